//! Before a file is read: who may see it, which document it is, and whether it is whole.

use std::{
    fs::Metadata,
    time::{Duration, SystemTime},
};

use fontes_core::{Digest, DocumentId, ErrorKind, Labels, Result};

use super::{
    prepare::{Emit, Item, Place, Preparer, Stop, send},
    read::ReadFault,
    walk::FoundFile,
};
use crate::ledger::QuarantineEntry;

impl Preparer<'_> {
    /// Who may see a file, by the rules of its source.
    pub(super) fn labels(&self, found: &FoundFile) -> Result<Labels, ReadFault> {
        let root = &self.walk.roots[found.root];
        self.request.access.labels(&self.request.labels, root, &found.path).map_err(|what| ReadFault {
            kind: ErrorKind::Invalid,
            code: "access_unknown",
            message: format!("who may see it is not known: {what}"),
            advice: "mend the access rules of its source or the access file beside it",
            transient: true,
        })
    }

    /// Sets aside a file of which nobody knows who may see it. What was searchable of it is so no longer: the rules
    /// may have been changed in order to close it.
    pub(super) fn close(
        &self,
        stored: Option<DocumentId>,
        entry: QuarantineEntry,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        send(emit, Item::Quarantine(entry))?;
        match stored.map(|id| self.parts.ledger.known(id)).transpose()?.flatten() {
            Some(known) => self.gone(known, emit),
            None => Ok(()),
        }
    }

    /// The id of a document that was never at `locator` before. Usually the one derived from the place; where the
    /// document that began there has moved away, one that is still free.
    pub(super) fn fresh_id(&self, locator: &[u8]) -> Result<DocumentId> {
        let source = &self.request.labels.source;
        let mut id = DocumentId::derive(source, locator);
        let mut number = 1_u32;
        while self.parts.ledger.holds(id)? {
            number += 1;
            // A path holds no zero byte, so this is the locator of nothing else.
            id = DocumentId::derive(source, &[locator, b"\0", number.to_string().as_bytes()].concat());
        }
        Ok(id)
    }

    /// Takes a file that appeared for the document that disappeared elsewhere, when their bytes are the same.
    pub(super) fn follow_move(&self, place: &mut Place<'_>, sha256: Digest) -> Result<()> {
        let (ledger, source) = (&self.parts.ledger, &self.request.labels.source);
        let to = (&place.locator[..], &place.path[..]);
        if let Some(known) = self.moves.follow(ledger, source, sha256, to, !self.request.dry_run)? {
            place.id = known.id;
            place.moved_from = Some(known.path);
        }
        Ok(())
    }

    pub(super) fn is_unsettled(&self, metadata: &Metadata, now: SystemTime) -> bool {
        let age = |time: SystemTime| now.duration_since(time).unwrap_or_default();
        self.request.settle > Duration::ZERO && metadata.modified().is_ok_and(|time| age(time) < self.request.settle)
    }
}
