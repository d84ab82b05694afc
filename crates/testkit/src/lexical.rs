//! A lexical index in memory: word overlap instead of BM25, and staged writes die in a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fontes_core::{
    AccessScope, Candidate, ChunkId, Filter, IndexEntry, LedgerPosition, LexicalIndex, Result, TermMatch,
};

use crate::{
    embedder::words,
    vector::{Visibility, best},
};

/// A posting list's worth of one chunk: who may see it, and its words.
type Posting = (Visibility, BTreeSet<String>);

#[derive(Debug, Default)]
struct State {
    committed: BTreeMap<ChunkId, Posting>,
    /// In order of staging; `None` removes.
    staged: Vec<(ChunkId, Option<Posting>)>,
    position: LedgerPosition,
}

/// Scores a chunk by the number of distinct query words in its text, title and headings.
#[derive(Debug, Default)]
pub struct MemoryLexicalIndex(Mutex<State>);

impl MemoryLexicalIndex {
    /// Makes an empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything staged since the last commit.
    pub fn crash(&self) {
        self.state().staged.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LexicalIndex for MemoryLexicalIndex {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        let mut staged = Vec::with_capacity(entries.len());
        for entry in entries {
            let fields = [&entry.chunk.text, &entry.document.title].into_iter().chain(&entry.chunk.headings);
            let words = fields.flat_map(|field| words(field)).collect();
            staged.push((entry.chunk.id, Some((Visibility::of(entry)?, words))));
        }
        self.state().staged.extend(staged);
        Ok(())
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        self.state().staged.extend(chunks.iter().map(|&chunk| (chunk, None)));
        Ok(())
    }

    fn commit(&self, position: LedgerPosition) -> Result<()> {
        let mut state = self.state();
        for (chunk, posting) in std::mem::take(&mut state.staged) {
            match posting {
                Some(posting) => drop(state.committed.insert(chunk, posting)),
                None => drop(state.committed.remove(&chunk)),
            }
        }
        state.position = position;
        Ok(())
    }

    fn committed(&self) -> Result<LedgerPosition> {
        Ok(self.state().position)
    }

    fn search(&self, text: &str, scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        let query: BTreeSet<String> = words(text).collect();
        let state = self.state();
        let allowed = state.committed.iter().filter(|(_, (visibility, _))| visibility.admits(scope, filter));
        let scored =
            allowed.map(|(&chunk, (_, words))| Candidate { chunk, score: query.intersection(words).count() as f32 });
        Ok(best(scored.filter(|candidate| candidate.score > 0.0).collect(), k))
    }

    fn rarities(&self, wanted: &[&str]) -> Result<Vec<f32>> {
        let state = self.state();
        let (all, with) = (state.committed.len() as f32, |word: &String| {
            state.committed.values().filter(|(_, words)| words.contains(word)).count() as f32
        });
        let rarity = |text: &&str| words(text).next().map_or(0.0, |word| ((1.0 + all) / (0.5 + with(&word))).ln());
        Ok(wanted.iter().map(rarity).collect())
    }

    fn explain(&self, text: &str, scope: &AccessScope, chunk: ChunkId) -> Result<Vec<TermMatch>> {
        let query: BTreeSet<String> = words(text).collect();
        let state = self.state();
        let allowed = |(visibility, _): &&Posting| visibility.admits(scope, &Filter::default());
        let held = state.committed.get(&chunk).filter(allowed).map(|(_, words)| query.intersection(words).cloned());
        let found = |term| TermMatch { term, found: vec!["text".to_owned()], rarity: 1.0, weight: 1.0 };
        Ok(held.into_iter().flatten().map(found).collect())
    }

    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        Ok(self.state().committed.keys().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Specimen, conformance};

    #[test]
    fn conforms() {
        conformance::lexical_index(MemoryLexicalIndex::new);
    }

    #[test]
    fn a_crash_forgets_what_was_staged() {
        let index = MemoryLexicalIndex::new();
        let specimen = |n| Specimen::new("a", n, "text");
        index.upsert(&[specimen(0).entry()]).unwrap();
        index.commit(LedgerPosition(1)).unwrap();
        index.upsert(&[specimen(1).entry()]).unwrap();
        index.remove(&[specimen(0).id()]).unwrap();
        index.crash();
        index.commit(LedgerPosition(2)).unwrap();
        assert_eq!(index.ids().unwrap(), [specimen(0).id()].into());
    }
}
