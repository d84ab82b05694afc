//! Blocks in memory, the least recently used first to go.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use fontes_core::{Digest, DocumentId};

use super::Block;

/// Blocks by key, within a limit of bytes.
pub(super) struct Memory {
    limit: u64,
    bytes: u64,
    blocks: HashMap<Digest, (u64, Arc<Block>)>,
    /// Keys by the number of their last use.
    uses: BTreeMap<u64, Digest>,
    clock: u64,
}

impl Memory {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, bytes: 0, blocks: HashMap::new(), uses: BTreeMap::new(), clock: 0 }
    }

    /// Says whether anything may be kept here.
    pub(super) fn is_used(&self) -> bool {
        self.limit > 0
    }

    /// Finds a block and marks it as used.
    pub(super) fn get(&mut self, key: &Digest) -> Option<Arc<Block>> {
        self.touch(key);
        self.blocks.get(key).map(|(_, block)| Arc::clone(block))
    }

    /// Marks a block as used; false when it is not here.
    pub(super) fn touch(&mut self, key: &Digest) -> bool {
        let Some((used, _)) = self.blocks.get_mut(key) else { return false };
        self.uses.remove(used);
        self.clock += 1;
        *used = self.clock;
        self.uses.insert(self.clock, *key);
        true
    }

    /// The number of uses so far.
    pub(super) fn now(&self) -> u64 {
        self.clock
    }

    /// Keeps a block, and drops others until the limit holds, but none used after `since`; where that is not enough, the
    /// block is not kept.
    pub(super) fn put(&mut self, key: Digest, block: Arc<Block>, since: u64) {
        let size = block.copy.len() as u64;
        self.remove(&key);
        while self.bytes + size > self.limit {
            let Some((_, oldest)) = self.uses.first_key_value().filter(|&(&used, _)| used <= since) else { return };
            let oldest = *oldest;
            self.remove(&oldest);
        }
        self.clock += 1;
        self.uses.insert(self.clock, key);
        self.blocks.insert(key, (self.clock, block));
        self.bytes += size;
    }

    /// Drops the blocks computed from a document that `keep` refuses.
    pub(super) fn retain(&mut self, keep: impl Fn(&DocumentId) -> bool) {
        let gone = self.blocks.iter().filter(|(_, (_, block))| !block.documents.iter().all(&keep));
        let gone: Vec<Digest> = gone.map(|(key, _)| *key).collect();
        gone.iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: &Digest) {
        if let Some((used, block)) = self.blocks.remove(key) {
            self.uses.remove(&used);
            self.bytes -= block.copy.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn block(size: usize, documents: &[u8]) -> Arc<Block> {
        let documents = documents.iter().map(|&id| DocumentId::from_bytes([id; 16])).collect();
        Arc::new(Block { copy: vec![0; size], documents })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut memory = Memory::new(100);
        (0..3).for_each(|number| memory.put(key(number), block(30, &[]), 0));
        assert!(memory.get(&key(0)).is_some());
        memory.put(key(3), block(30, &[]), memory.now());
        let held: Vec<u8> = (0..4).filter(|&number| memory.blocks.contains_key(&key(number))).collect();
        assert_eq!((held, memory.bytes), (vec![0, 2, 3], 90));
        memory.put(key(0), block(10, &[]), 0);
        assert_eq!((memory.bytes, memory.uses.len()), (70, 3), "replaced, not counted twice");
        memory.put(key(4), block(31, &[]), 0);
        assert!(!memory.touch(&key(4)), "everything here was used since");
        memory.put(key(4), block(101, &[]), memory.now());
        assert!(!memory.touch(&key(4)), "larger than the limit");
    }

    #[test]
    fn what_a_document_was_part_of_goes_with_it() {
        let mut memory = Memory::new(100);
        memory.put(key(0), block(10, &[]), 0);
        memory.put(key(1), block(10, &[1]), 0);
        memory.put(key(2), block(10, &[1, 2]), 0);
        memory.retain(|document| document.as_bytes()[0] != 2);
        assert!(memory.touch(&key(0)) && memory.touch(&key(1)) && !memory.touch(&key(2)));
        assert_eq!((memory.bytes, memory.uses.len()), (20, 2));
    }
}
