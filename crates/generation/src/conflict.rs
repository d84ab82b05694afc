//! Conflicts: two documents that give different figures for the same thing.
//!
//! Nothing is averaged and nothing is decided: both are quoted, with their dates, and the reader is told. Only
//! questions for a quantity or a time are looked at, because only there can a difference be told without
//! understanding the text; and only sentences that say nearly the same in other figures, or in other units, count.

use std::collections::HashSet;

use fontes_core::Language;

use crate::{
    asked::asked,
    extractive::Extract,
    facts::{Facts, Figures},
    source::Source,
    standing::Standing,
    words::content_stems,
};

/// Sentences are about the same thing when this share of all their words but figures is in both, …
const ALIKE: f32 = 0.5;

/// … or this share of the shorter one's: the newer text often says more.
const HELD: f32 = 0.75;

/// Words that the shorter one must have for that.
const FEWEST: usize = 2;

/// Another sentence counts when it is at least this share as likely to answer as the best.
const NEARLY_AS_LIKELY: f32 = 0.5;

/// The best extract and those of other documents that contradict it; empty when nothing does.
pub(crate) fn conflicting(
    question: &str,
    language: Language,
    extracts: &[Extract],
    sources: &[Source],
) -> Vec<Extract> {
    let Some(best) = extracts.first().filter(|_| asked(question).is_of_figures()) else {
        return Vec::new();
    };
    let known = Facts::of(question, language);
    let figures = |extract: &Extract| -> Figures {
        let source = &sources[extract.source];
        Facts::of(source.text(extract.span), source.language()).figures_beyond(&known)
    };
    let own = figures(best);
    if own.is_empty() {
        return Vec::new();
    }
    let mut documents = HashSet::from([sources[best.source].passage.hit.document_id]);
    let contradicts = |extract: &&Extract| {
        let other = figures(extract);
        !other.is_empty()
            && (!own.meet(&other) || own.differ(&other))
            && says_the_like(extract, best, sources)
            && documents.insert(sources[extract.source].passage.hit.document_id)
    };
    let others: Vec<Extract> = extracts[1..].iter().filter(contradicts).copied().collect();
    if others.is_empty() { others } else { std::iter::once(*best).chain(others).collect() }
}

/// The sentence that says the like of the best one, in a document that was not replaced where that one was.
pub(crate) fn successor(extracts: &[Extract], sources: &[Source]) -> Option<Extract> {
    let replaced = |extract: &&Extract| sources[extract.source].standing == Standing::Replaced;
    let best = extracts.first().filter(replaced)?;
    extracts.iter().find(|other| !replaced(other) && says_the_like(other, best, sources)).copied()
}

/// Says whether a sentence is about the same thing as the best one, and may be the answer as well.
fn says_the_like(extract: &Extract, best: &Extract, sources: &[Source]) -> bool {
    if extract.probability < NEARLY_AS_LIKELY * best.probability {
        return false;
    }
    let words = |extract: &Extract| {
        let mut words = content_stems(sources[extract.source].text(extract.span));
        words.retain(|stem| !stem.starts_with(|c: char| c.is_ascii_digit()));
        words
    };
    let (own, other) = (words(best), words(extract));
    let shared = own.intersection(&other).count() as f32;
    let all = own.union(&other).count().max(1) as f32;
    let fewest = own.len().min(other.len());
    shared / all >= ALIKE || fewest >= FEWEST && shared / fewest as f32 >= HELD
}
