//! Moves: a file that disappeared in one place and appeared in another is the same document.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use fontes_core::{Digest, DocumentId, Result};

use super::walk::Walk;
use crate::ledger::{KnownDocument, SqliteLedger};

/// What a run knows about files that are no longer where they were.
pub(super) struct Moves<'w> {
    walk: &'w Walk,
    present: HashSet<Vec<u8>>,
    /// Documents whose new place was found. Locked while one is looked for: two copies of a moved file must not
    /// both be taken for it.
    followed: Mutex<HashSet<DocumentId>>,
}

impl<'w> Moves<'w> {
    pub(super) fn new(walk: &'w Walk) -> Self {
        Self { walk, present: walk.present(), followed: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<DocumentId>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether the walk looked where `locator` (of a file on disk) should be, and it was not there.
    pub(super) fn is_gone(&self, locator: &[u8]) -> bool {
        self.walk.covers(locator) && !self.present.contains(locator)
    }

    /// Says whether the new place of a document was found in this run.
    pub(super) fn followed(&self, document: DocumentId) -> bool {
        self.lock().contains(&document)
    }

    /// The document of `source` that was moved to `locator`, where nothing was before: it has the same bytes and
    /// the same kind of name, and is gone from its old place. `keep` makes the ledger follow.
    pub(super) fn follow(
        &self,
        ledger: &SqliteLedger,
        source: &str,
        sha256: Digest,
        (locator, path): (&[u8], &str),
        keep: bool,
    ) -> Result<Option<KnownDocument>> {
        let mut followed = self.lock();
        let moved = ledger.same_content(source, sha256)?.into_iter().find(|known| {
            extension(&known.locator) == extension(locator)
                && self.is_gone(&known.locator)
                && !followed.contains(&known.id)
        });
        let Some(known) = moved else { return Ok(None) };
        if keep && !ledger.relocate(known.id, locator, path)? {
            return Ok(None);
        }
        followed.insert(known.id);
        Ok(Some(known))
    }
}

/// The part of a name that has a say in the media type.
fn extension(locator: &[u8]) -> &[u8] {
    let name = locator.rsplit(|&byte| byte == b'/').next().unwrap_or(locator);
    name.iter().rposition(|&byte| byte == b'.').map_or(&[], |dot| &name[dot..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_of_the_name_alone() {
        assert_eq!(extension(b"/a.b/c.txt"), b".txt");
        assert_eq!(extension(b"/a.b/c"), b"");
    }
}
