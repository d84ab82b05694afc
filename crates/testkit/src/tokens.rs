//! A store of token signs in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fontes_core::{ChunkId, Digest, Result, TokenStore};

type Signs = BTreeMap<(ChunkId, Digest), Vec<u8>>;

/// Keeps signs until they are removed. Refuses empty ones: a chunk without signs has none to keep.
#[derive(Debug, Default)]
pub struct MemoryTokenStore(Mutex<Signs>);

impl MemoryTokenStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryTokenStore {
    fn put(&self, embedder: &Digest, signs: &[(ChunkId, &[u8])]) -> Result<()> {
        for (chunk, signs) in signs {
            assert!(!signs.is_empty(), "signs of {chunk} are empty");
            self.signs().insert((*chunk, *embedder), signs.to_vec());
        }
        Ok(())
    }

    fn get(&self, embedder: &Digest, chunks: &[ChunkId]) -> Result<Vec<Vec<u8>>> {
        let signs = self.signs();
        Ok(chunks.iter().map(|chunk| signs.get(&(*chunk, *embedder)).cloned().unwrap_or_default()).collect())
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        self.signs().retain(|(chunk, _), _| !chunks.contains(chunk));
        Ok(())
    }

    fn ids(&self, embedder: Option<&Digest>) -> Result<BTreeSet<ChunkId>> {
        let signs = self.signs();
        let wanted = signs.keys().filter(|(_, of)| embedder.is_none_or(|embedder| embedder == of));
        Ok(wanted.map(|(chunk, _)| *chunk).collect())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fake_keeps_the_contract() {
        crate::conformance::token_store(&super::MemoryTokenStore::new());
    }
}
