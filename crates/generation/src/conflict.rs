//! Conflicts: two documents that give different figures for the same thing.
//!
//! Nothing is averaged and nothing is decided: both are quoted, with their dates, and the reader is told. Only
//! questions for a quantity or a time are looked at, because only there can a difference be told without
//! understanding the text; and only sentences that say nearly the same in other figures, or in other units, count.

use std::collections::HashSet;

use fontes_core::Language;

use crate::{
    asked::{Asked, asked},
    extractive::Extract,
    facts::{Facts, Figures},
    source::Source,
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
    let Some(best) =
        extracts.first().filter(|_| matches!(asked(question), Asked::Quantity | Asked::Duration | Asked::Time))
    else {
        return Vec::new();
    };
    let known = Facts::of(question, language);
    let said = |extract: &Extract| -> (Figures, HashSet<String>) {
        let source = &sources[extract.source];
        let text = source.text(extract.span);
        let figures = Facts::of(text, source.language()).figures_beyond(&known);
        let mut words = content_stems(text);
        words.retain(|stem| !stem.starts_with(|c: char| c.is_ascii_digit()));
        (figures, words)
    };
    let (figures, words) = said(best);
    if figures.is_empty() {
        return Vec::new();
    }
    let mut documents = HashSet::from([sources[best.source].passage.hit.document_id]);
    let contradicts = |extract: &&Extract| {
        let (other_figures, other_words) = said(extract);
        let shared = words.intersection(&other_words).count() as f32;
        let all = words.union(&other_words).count().max(1) as f32;
        let fewest = words.len().min(other_words.len());
        extract.probability >= NEARLY_AS_LIKELY * best.probability
            && !other_figures.is_empty()
            && !figures.meet(&other_figures)
            && (shared / all >= ALIKE || fewest >= FEWEST && shared / fewest as f32 >= HELD)
            && documents.insert(sources[extract.source].passage.hit.document_id)
    };
    let others: Vec<Extract> = extracts[1..].iter().filter(contradicts).copied().collect();
    if others.is_empty() { others } else { std::iter::once(*best).chain(others).collect() }
}
