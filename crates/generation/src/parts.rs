//! What a question asks for: one thing, or several in one text, each with the sentences that may answer it.
//!
//! Whoever asks two things wants two answers, and the likeliest sentence of all answers only one of them. So sentences are
//! weighed for each part by itself, and a part that the sources do not answer is told.

use fontes_core::{Subquery, SubqueryKind};

use crate::{extractive::Extract, source::Source};

/// One thing that is asked.
#[derive(Debug)]
pub(crate) struct Part {
    /// The question for it.
    pub asked: String,
    /// The sentences that may answer it, likeliest first, of the sources that are given.
    pub extracts: Vec<Extract>,
    /// The probability that the best sentence of all that was found answers it.
    pub confidence: f32,
}

impl Part {
    /// A part with every sentence that was found for it.
    pub fn new(asked: &str, extracts: Vec<Extract>) -> Self {
        let confidence = extracts.first().map_or(0.0, |best| best.probability);
        Self { asked: asked.to_owned(), extracts, confidence }
    }

    /// Says whether a sentence that is given answers it with at least this probability.
    pub fn is_answered(&self, threshold: f32) -> bool {
        self.extracts.first().is_some_and(|best| best.probability >= threshold)
    }
}

/// The questions to weigh sentences for: those in the text where it was taken apart for the search, or the text itself.
pub(crate) fn questions<'q>(asked: &'q str, queries: &'q [Subquery]) -> Vec<&'q str> {
    let parts = queries.iter().filter(|query| query.kind == SubqueryKind::Part);
    let parts: Vec<&str> = parts.map(|query| query.text.as_str()).collect();
    if parts.len() < 2 { vec![asked] } else { parts }
}

/// The parts that a given sentence answers with at least the probability `threshold`.
pub(crate) fn answered(parts: &[Part], threshold: f32) -> impl Iterator<Item = &Part> {
    parts.iter().filter(move |part| part.is_answered(threshold))
}

/// The sentences of all parts.
pub(crate) fn extracts(parts: &[Part]) -> impl Iterator<Item = &Extract> {
    parts.iter().flat_map(|part| &part.extracts)
}

/// Puts the sources with the likeliest sentences first, so that the budget of a prompt is spent on them: the best source of
/// each part, then the others. Markers stay, and so does the order of equals.
pub(crate) fn likeliest_first(sources: &mut Vec<Source>, parts: &mut [Part]) {
    let mut best = vec![0.0_f32; sources.len()];
    extracts(parts).for_each(|extract| best[extract.source] = best[extract.source].max(extract.probability));
    let leads =
        |source: usize| parts.iter().any(|part| part.extracts.first().is_some_and(|extract| extract.source == source));
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by(|&a, &b| leads(b).cmp(&leads(a)).then(best[b].total_cmp(&best[a])));
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(now, &before)| place[before] = now);
    parts.iter_mut().flat_map(|part| &mut part.extracts).for_each(|extract| extract.source = place[extract.source]);
    let mut taken: Vec<Option<Source>> = std::mem::take(sources).into_iter().map(Some).collect();
    sources.extend(order.into_iter().filter_map(|before| taken[before].take()));
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
