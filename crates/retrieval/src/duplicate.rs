//! Duplicates: a text that says nothing more than a better one is named beside it and takes no place of its own.
//!
//! **Why at query time.** All candidates of a search are within the scope of whoever asks, so what they may not see
//! can neither be named nor hide what they may see; and what is forgotten or replaced is gone from the next search
//! on. Nothing about likeness is stored.
//!
//! **Why so strict.** Two versions of a rule differ in one number or one "not". So a duplicate must have no word that
//! the better text lacks; the triples of words (Broder 1997) only make sure that they stand in the same order.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use fontes_core::{Duplicate, Hit};

/// The share of its word triples that a duplicate may have for itself: headings, page breaks and columns in between.
const APART: f32 = 0.2;

/// The words of a text, case and punctuation aside, as hashes.
pub(crate) struct Wording {
    /// In their order.
    pub text: Vec<u64>,
    /// Sorted, as often as they occur.
    words: Vec<u64>,
    headings: Vec<u64>,
    /// Of three words that follow each other; of all words when there are fewer. Sorted.
    triples: Vec<u64>,
}

impl Wording {
    pub(crate) fn of(text: &str, headings: &[String]) -> Self {
        let text: Vec<u64> = words(text).collect();
        let mut triples: Vec<u64> = text.windows(text.len().clamp(1, 3)).map(hash).collect();
        let mut words = text.clone();
        words.sort_unstable();
        triples.sort_unstable();
        Self { text, words, headings: headings.iter().flat_map(|heading| self::words(heading)).collect(), triples }
    }

    /// Each word once, sorted, with how often it occurs.
    pub(crate) fn counts(&self) -> Vec<(u64, f32)> {
        self.words.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f32)).collect()
    }

    /// Says whether `lesser` has no word that this lacks, and nearly the same order of words.
    fn holds(&self, lesser: &Self) -> bool {
        let here = |word: &u64| self.headings.contains(word) || self.words.binary_search(word).is_ok();
        !lesser.words.is_empty()
            && lacks_at_most(&self.words, &lesser.words, 0)
            && lesser.headings.iter().all(here)
            && lacks_at_most(&self.triples, &lesser.triples, (APART * lesser.triples.len() as f32) as usize)
    }
}

/// Says whether all but `most` of `wanted` are in `held`, each as often; both are sorted.
fn lacks_at_most(held: &[u64], wanted: &[u64], most: usize) -> bool {
    let (mut at, mut missing) = (0, 0);
    for one in wanted {
        at += held[at..].iter().take_while(|held| *held < one).count();
        match held.get(at) {
            Some(found) if found == one => at += 1,
            _ => missing += 1,
        }
        if missing > most {
            return false;
        }
    }
    true
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = u64> {
    let mut lower = String::new();
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(move |word| {
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        hash(lower.as_str())
    })
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Hits that differ, each with the places that say the same, and with a note of whoever keeps them.
pub(crate) struct Distinct<T>(Vec<(Hit, Rc<Wording>, T)>);

impl<T> Distinct<T> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Names the next best hit beside the first that holds it, or gives it back.
    pub(crate) fn fold(&mut self, hit: Hit, wording: &Wording) -> Option<Hit> {
        let Some((better, ..)) = self.0.iter_mut().find(|(_, better, _)| better.holds(wording)) else {
            return Some(hit);
        };
        // Chunks of one document overlap; that is no second place.
        if better.document_id != hit.document_id || !better.span.overlaps(&hit.span) {
            better.also_in.push(place(&hit));
        }
        better.also_in.extend(hit.also_in);
        None
    }

    /// Keeps the next best hit.
    pub(crate) fn keep(&mut self, hit: Hit, wording: impl Into<Rc<Wording>>, note: T) {
        self.0.push((hit, wording.into(), note));
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The hits, in the order in which they came.
    pub(crate) fn into_hits(self) -> impl Iterator<Item = (Hit, T)> {
        self.0.into_iter().map(|(hit, _, note)| (hit, note))
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
