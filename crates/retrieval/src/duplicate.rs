//! Duplicates: a text that says nothing more than a better one is named beside it and takes no place of its own.
//!
//! **Why at query time.** All candidates of a search are within the scope of whoever asks, so what they may not see
//! can neither be named nor hide what they may see; and what is forgotten or replaced is gone from the next search
//! on. Nothing about likeness is stored.
//!
//! **Why so strict.** Two versions of a rule differ in one number or one "not". So a duplicate must have no word that
//! the better text lacks; the triples of words (Broder 1997) only make sure that they stand in the same order.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use fontes_core::{Duplicate, Hit};

/// The share of its word triples that a duplicate has in common with the better text; the rest is headings, page breaks
/// and columns in between.
const ALIKE: f32 = 0.8;

/// The words of a text, case and punctuation aside, as hashes.
struct Wording {
    words: HashMap<u64, u32>,
    headings: HashSet<u64>,
    /// Hashes of three words that follow each other; of all words when there are fewer.
    triples: HashSet<u64>,
}

impl Wording {
    fn of(hit: &Hit) -> Self {
        let text: Vec<u64> = words(&hit.text).collect();
        let triples = text.windows(text.len().clamp(1, 3)).map(hash).collect();
        let mut counted = HashMap::with_capacity(text.len());
        text.iter().for_each(|word| *counted.entry(*word).or_default() += 1);
        Self { words: counted, headings: hit.headings.iter().flat_map(|heading| words(heading)).collect(), triples }
    }

    /// Says whether `lesser` has no word that this lacks, and nearly the same order of words.
    fn holds(&self, lesser: &Self) -> bool {
        let here = |word: &u64| self.words.get(word).copied().unwrap_or(0);
        let shared = || lesser.triples.intersection(&self.triples).count() as f32;
        !lesser.words.is_empty()
            && lesser.words.iter().all(|(word, count)| here(word) >= *count)
            && lesser.headings.iter().all(|word| self.headings.contains(word) || here(word) > 0)
            && shared() >= ALIKE * lesser.triples.len() as f32
    }
}

fn words(text: &str) -> impl Iterator<Item = u64> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let mut hasher = DefaultHasher::new();
        word.chars().flat_map(char::to_lowercase).for_each(|c| c.hash(&mut hasher));
        hasher.finish()
    })
}

fn hash(words: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    hasher.finish()
}

/// Hits that differ, each with the places that say the same.
pub(crate) struct Distinct {
    most: usize,
    kept: Vec<(Hit, Wording)>,
}

impl Distinct {
    /// None yet; at most `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    /// Takes the next best hit: names it beside the first that holds it, else keeps it if there is room. Says whether it
    /// was kept.
    pub(crate) fn offer(&mut self, hit: Hit) -> bool {
        let wording = Wording::of(&hit);
        if let Some((better, _)) = self.kept.iter_mut().find(|(_, better)| better.holds(&wording)) {
            // Chunks of one document overlap; that is no second place.
            if better.document_id != hit.document_id || !better.span.overlaps(&hit.span) {
                better.also_in.push(place(&hit));
            }
            better.also_in.extend(hit.also_in);
            return false;
        }
        let room = self.kept.len() < self.most;
        if room {
            self.kept.push((hit, wording));
        }
        room
    }

    /// The hits, in the order in which they came.
    pub(crate) fn into_hits(self) -> impl Iterator<Item = Hit> {
        self.kept.into_iter().map(|(hit, _)| hit)
    }
}

/// Where a hit stands.
pub(crate) fn place(hit: &Hit) -> Duplicate {
    Duplicate {
        document_id: hit.document_id,
        chunk_id: hit.chunk_id,
        title: hit.title.clone(),
        path: hit.path.clone(),
        pages: hit.pages.clone(),
        span: hit.span,
    }
}
