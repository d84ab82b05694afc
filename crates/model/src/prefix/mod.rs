//! Prompts that begin like earlier ones are not read again: an exact cache of keys and values by prefix.
//!
//! What a causal network computes for a token depends on the tokens up to it and on nothing else. So the keys and
//! values of a prompt are kept in blocks of [`BLOCK`] tokens, each found by the digest of everything before it: a
//! chain of digests is a tree of prefixes without pointers. A later prompt that begins the same way (system message,
//! template, the same passages in the same order, the conversation so far) pastes the blocks and reads the rest.
//! Nothing is approximated.
//!
//! **Whose it is.** Blocks that hold only the operator's words are found by everyone. From the first passage or
//! question on, the digest also covers the asker's scope, so that nobody meets what somebody else's rights put there,
//! nor can tell from the speed of an answer what was asked. Without a [`PromptOrigin`] such blocks are not kept at all.
//!
//! **What ends it.** A block names the documents whose passages it was computed from, its predecessors' included;
//! [`PrefixCache::forget`] erases every block that names a forgotten one, in memory and on disk. Beyond that the least
//! recently used go when the limits are reached; a block is used at the latest when its successors are, so none is
//! left without its beginning.
//!
//! **Why not per passage and anywhere.** Keys and values of a passage behind another beginning are different numbers;
//! pasting them there is an approximation whose loss would have to be measured first.

mod disk;
mod memory;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use fontes_core::{Digest, DocumentId, PromptOrigin, Result, TokenId};

use self::{disk::Disk, memory::Memory};
use crate::{chat::Prompt, decoder::Session};

pub use disk::retain_on_disk;

/// Tokens per block. A prompt is read again from the start of the first block that differs, so on average half of
/// this is wasted per prompt, a tenth of a second for a small model on two cores; smaller blocks cost more digests
/// and files. A whole multiple of every runner's copy unit.
const BLOCK: usize = 32;

/// How much may be kept, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixLimits {
    /// Bytes in memory; 0 keeps nothing there.
    pub memory_bytes: u64,
    /// Bytes on disk; 0 keeps nothing there.
    pub disk_bytes: u64,
    /// The folder for what is on disk; used by one process at a time.
    pub folder: PathBuf,
}

/// Keys and values of the beginnings of earlier prompts, for one network. Shared by all its requests.
pub struct PrefixCache {
    model: Digest,
    memory: Mutex<Memory>,
    disk: Option<Disk>,
}

/// A kept block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The copy of [`BLOCK`] positions.
    copy: Vec<u8>,
    /// Documents it was computed from.
    documents: BTreeSet<DocumentId>,
}

/// A block of a prompt: how it is found, and what it is computed from.
struct Link {
    key: Digest,
    documents: BTreeSet<DocumentId>,
}

impl PrefixCache {
    /// Makes an empty cache, or one with what its folder holds. `model` is the digest of the weights: blocks of other
    /// weights are never found.
    pub fn new(model: Digest, limits: &PrefixLimits) -> Self {
        let disk = (limits.disk_bytes > 0).then(|| Disk::new(limits.folder.clone(), limits.disk_bytes));
        Self { model, memory: Mutex::new(Memory::new(limits.memory_bytes)), disk }
    }

    /// Pastes the longest kept beginning of `prompt` into an empty session, the last token excepted, whose logits are
    /// wanted. Returns how many tokens need not be read.
    pub(crate) fn restore(
        &self,
        prompt: &Prompt,
        origin: Option<PromptOrigin<'_>>,
        session: &mut dyn Session,
    ) -> usize {
        let readable = prompt.tokens.len().saturating_sub(1);
        let since = self.lock().now();
        for link in self.chain(prompt, &prompt.tokens[..readable], origin, session) {
            // A block that does not fit is as good as none: the prompt is read from here.
            if self.find(&link.key, since).is_none_or(|block| session.paste(&block.copy).is_err()) {
                break;
            }
        }
        session.len()
    }

    /// Keeps what `session` holds of `tokens`, which begin with `prompt`: the whole blocks that are not kept yet.
    ///
    /// # Errors
    /// Those of the session. A full disk is none: the cache then keeps less.
    pub(crate) fn keep(
        &self,
        prompt: &Prompt,
        tokens: &[TokenId],
        origin: Option<PromptOrigin<'_>>,
        session: &dyn Session,
    ) -> Result<()> {
        let tokens = &tokens[..tokens.len().min(session.len())];
        let links = self.chain(prompt, tokens, origin, session);
        let since = self.lock().now();
        for (number, link) in links.iter().enumerate() {
            if self.touch(&link.key) {
                continue;
            }
            let copy = session.copy(number * BLOCK..(number + 1) * BLOCK)?;
            let block = Arc::new(Block { copy, documents: link.documents.clone() });
            if let Some(disk) = &self.disk {
                disk.put(&link.key, &block);
            }
            self.lock().put(link.key, block, since);
        }
        // From the end to the beginning, so that beginnings are always used last and outlive what follows them.
        let mut memory = self.lock();
        for link in links.iter().rev() {
            memory.touch(&link.key);
        }
        drop(memory);
        if let Some(disk) = &self.disk {
            disk.trim(links.iter().map(|link| &link.key));
        }
        Ok(())
    }

    /// Erases every block computed from one of `documents`.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Unavailable`] when a file cannot be removed.
    pub fn forget(&self, documents: &[DocumentId]) -> Result<()> {
        let keep = |document: &DocumentId| !documents.contains(document);
        self.lock().retain(keep);
        match &self.disk {
            Some(disk) => retain_on_disk(disk.folder(), keep).map(drop),
            None => Ok(()),
        }
    }

    /// The whole blocks of `tokens` that may be kept.
    fn chain(
        &self,
        prompt: &Prompt,
        tokens: &[TokenId],
        origin: Option<PromptOrigin<'_>>,
        session: &dyn Session,
    ) -> Vec<Link> {
        let unit = session.copy_unit();
        if unit == 0 || !BLOCK.is_multiple_of(unit) {
            return Vec::new();
        }
        let mut key = Digest::of_fields("fontes prefix v1", &[self.model.as_bytes(), &(unit as u64).to_le_bytes()]);
        let mut links = Vec::new();
        for (number, block) in tokens.chunks_exact(BLOCK).enumerate() {
            let end = (number + 1) * BLOCK;
            let scope = match origin {
                _ if end <= prompt.shared => None,
                Some(origin) => Some(origin.scope),
                None => break,
            };
            let bytes: Vec<u8> = block.iter().flat_map(|token| token.to_le_bytes()).collect();
            let scope = scope.as_ref().map_or(&[][..], |scope| scope.as_bytes());
            key = Digest::of_fields("block", &[key.as_bytes(), scope, &bytes]);
            links.push(Link { key, documents: documents(prompt, end, origin) });
        }
        links
    }

    fn find(&self, key: &Digest, since: u64) -> Option<Arc<Block>> {
        let held = self.lock().get(key);
        if held.is_some() {
            return held;
        }
        let block = Arc::new(self.disk.as_ref()?.get(key)?);
        self.lock().put(*key, Arc::clone(&block), since);
        Some(block)
    }

    /// Says whether a block is kept wherever blocks are kept.
    fn touch(&self, key: &Digest) -> bool {
        let mut memory = self.lock();
        let (held, wanted) = (memory.touch(key), memory.is_used());
        drop(memory);
        (held || !wanted) && self.disk.as_ref().is_none_or(|disk| disk.contains(key))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        // A panic elsewhere leaves the map whole: blocks are put and removed in single steps.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Documents with a passage that begins before position `end`.
fn documents(prompt: &Prompt, end: usize, origin: Option<PromptOrigin<'_>>) -> BTreeSet<DocumentId> {
    let documents = origin.map_or(&[][..], |origin| origin.documents);
    let begun = prompt.passages.iter().filter(|(_, range)| range.start < end);
    begun.filter_map(|(passage, _)| documents.get(*passage).copied()).collect()
}
