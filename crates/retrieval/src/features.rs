//! Features: what is known of a candidate, as numbers of 0..=1 that weights of a site can multiply.
//!
//! Both legs give two each: the score, scaled as fusion scales it, and the reciprocal of the rank. The document gives the others.
//! By default only the scaled scores count; `fontes eval tune` learns the other weights from a site's own judgements. See
//! `docs/decisions/0023-weights-learnt-by-a-site.md`.

use std::collections::HashSet;

use fontes_core::{AccessScope, ChunkRecord, Hit, Language, Query, Result, SearchMode, day_of};

use crate::{
    Fusion, LegShares, QueryAnalysis, Searcher,
    duplicate::words,
    gate::Gate,
    search::{Share, Sought},
    several::{self, Text},
};

/// The features by name, in the order of [`Fusion::weights`].
pub const FEATURES: [&str; 8] =
    ["dense", "lexical", "dense_rank", "lexical_rank", "title", "language", "length", "freshness"];

/// Features that the legs give; those of the document follow.
pub(crate) const LEGS: usize = 4;

/// Features of a document.
pub(crate) const OF_DOCUMENT: usize = FEATURES.len() - LEGS;

/// Words of a title shorter than this are articles and prepositions.
const LETTERS: usize = 3;

/// Length of a chunk, in bytes, that counts in full: the longest that the usual profiles cut.
const FULL_LENGTH: f32 = 4_000.0;

/// Candidates of a question that weights are learnt from, for each; fusion fetches as many.
const POOL: usize = 100;

/// A candidate with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Featured {
    /// The candidate.
    pub hit: Hit,
    /// In the order of [`FEATURES`].
    pub features: [f32; FEATURES.len()],
    /// What reading again adds to its score, whatever the weights.
    pub offset: f32,
}

/// What is compared with a document.
struct Asked {
    words: HashSet<u64>,
    language: Language,
}

impl Asked {
    fn of(text: &str) -> Self {
        Self { words: words(text).collect(), language: Language::detect(text) }
    }

    /// Title, language, length; freshness is told only among candidates.
    fn about(&self, record: &ChunkRecord) -> [f32; OF_DOCUMENT - 1] {
        let long = |word: &&str| word.chars().count() >= LETTERS;
        let title: Vec<&str> = record.document.title.split(|c: char| !c.is_alphanumeric()).filter(long).collect();
        let named = title.iter().flat_map(|word| words(word)).filter(|word| self.words.contains(word)).count();
        let same = self.language != Language::Undetermined && record.chunk.language == self.language;
        let length = (1.0 + record.chunk.text.len() as f32).ln() / (1.0 + FULL_LENGTH).ln();
        [named as f32 / title.len().max(1) as f32, f32::from(u8::from(same)), length.min(1.0)]
    }
}

/// What the documents of candidates say, in the order of `records`. The newest of them is fresh and the oldest is not; one
/// without a date counts as the oldest.
fn of_documents(question: &str, records: &[&ChunkRecord]) -> Vec<[f32; OF_DOCUMENT]> {
    let asked = Asked::of(question);
    // Months as 31 days, which keeps the order and nearly the distance.
    let day = |number: u32| (number / 10_000 * 372 + number / 100 % 100 * 31 + number % 100) as f32;
    let days: Vec<Option<f32>> = records.iter().map(|record| day_of(&record.document).map(day)).collect();
    let (low, high) = days
        .iter()
        .flatten()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), day| (low.min(*day), high.max(*day)));
    let fresh = |day: Option<f32>| match day {
        Some(day) if high > low => (day - low) / (high - low),
        _ => 0.0,
    };
    records
        .iter()
        .zip(days)
        .map(|(record, day)| {
            let [title, language, length] = asked.about(record);
            [title, language, length, fresh(day)]
        })
        .collect()
}

/// The chunks of hits that the gate let through.
fn records<'g>(found: &[(Hit, LegShares)], gate: &'g Gate<'_>) -> Vec<&'g ChunkRecord> {
    found.iter().filter_map(|(hit, _)| gate.record(hit.chunk_id)).collect()
}

/// Adds to the scores of fused candidates what their documents say, where a site has learnt weights for it, and puts them into
/// that order.
pub(crate) fn weigh_documents(fusion: Fusion, question: &str, gate: &Gate<'_>, found: &mut [(Hit, LegShares)]) {
    if !fusion.looks_at_documents() || found.iter().all(|(hit, _)| hit.scores.fused.is_none()) {
        return;
    }
    let values = of_documents(question, &records(found, gate));
    for ((hit, shares), values) in found.iter_mut().zip(values) {
        shares.document = fusion.of_document(&values);
        hit.score += shares.document;
        hit.scores.fused = Some(hit.score);
    }
    // Stable: equals keep the order of the legs.
    found.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score));
}

impl Searcher {
    /// The candidates of a question with their features, in the present order, to learn weights from. The question is searched
    /// for as a whole, in both legs.
    ///
    /// # Errors
    /// Those of [`Searcher::search`].
    pub fn featured(&self, text: &str, scope: &AccessScope) -> Result<Vec<Featured>> {
        let Some(analysis) = QueryAnalysis::of(text) else { return Ok(Vec::new()) };
        let query =
            Query { text: text.to_owned(), k: POOL, mode: SearchMode::Hybrid, split: false, ..Query::default() };
        let share = Some(Share { of: 1 });
        let mut run = self.run(&query, scope);
        let texts = several::texts(&query, analysis);
        let (embedded, legs) = self.first_legs(&query, scope, &texts, POOL, &mut run)?;
        let (Some(Text { analysis, .. }), Some(legs)) = (texts.first(), legs.first()) else { return Ok(Vec::new()) };
        let sought = Sought { query: &query, scope, fusion: self.fusion, share, analysis, embedded: embedded.first() };
        let fused = self.fusion.fuse(&legs.dense, &legs.lexical, analysis.exact);
        let [mut found, _] = self.confirm(&fused, sought, POOL, &mut run)?;
        self.read_again(sought, self.late(sought)?.as_mut(), &mut found, &mut run)?;
        let documents = of_documents(text, &records(&found, &run.gate));
        let boost = if analysis.exact { self.fusion.exact_boost } else { 1.0 };
        let featured = found.into_iter().zip(documents).filter_map(|((hit, _), document)| {
            let legs = fused.iter().find(|one| one.chunk == hit.chunk_id)?.legs;
            let mut features = [0.0; FEATURES.len()];
            features[..LEGS].copy_from_slice(&[legs[0], boost * legs[1], legs[2], boost * legs[3]]);
            features[LEGS..].copy_from_slice(&document);
            let offset = crate::rescoring::WEIGHT * hit.scores.rerank.unwrap_or(0.0);
            Some(Featured { hit, features, offset })
        });
        Ok(featured.collect())
    }
}

impl Fusion {
    /// The weights in the order of [`FEATURES`].
    pub fn weights(&self) -> [f32; FEATURES.len()] {
        [
            self.dense_weight,
            self.lexical_weight,
            self.dense_rank,
            self.lexical_rank,
            self.title,
            self.language,
            self.length,
            self.freshness,
        ]
    }

    /// The same fusion with other weights, in the order of [`FEATURES`].
    #[must_use]
    pub fn with_weights(self, weights: [f32; FEATURES.len()]) -> Self {
        let [dense_weight, lexical_weight, dense_rank, lexical_rank, title, language, length, freshness] = weights;
        Self { dense_weight, lexical_weight, dense_rank, lexical_rank, title, language, length, freshness, ..self }
    }
}

#[cfg(test)]
mod tests {
    use fontes_testkit::Specimen;

    use super::*;

    fn record(title: &str, created: Option<&str>, text: &str) -> ChunkRecord {
        let mut record = Specimen::new(title, 0, text).record();
        record.document.title = title.into();
        record.document.created = created.map(str::to_owned);
        record.chunk.language = Language::German;
        record
    }

    #[test]
    fn documents_are_compared_with_the_question_and_with_each_other() {
        let records = [
            record("Reglement der Bibliothek", Some("2020-01-01T00:00:00Z"), "kurz"),
            record("Bibliothek", Some("2024-01-01T00:00:00Z"), &"lang ".repeat(2_000)),
            record("", None, "kurz"),
            record("Rede", Some("2022-01-01T00:00:00Z"), "kurz"),
        ];
        let values = of_documents("Wann öffnet die Bibliothek am Samstag?", &records.iter().collect::<Vec<_>>());
        let column = |at: usize| values.iter().map(|row| row[at]).collect::<Vec<f32>>();
        assert_eq!(column(0), [1.0 / 3.0, 1.0, 0.0, 0.0]);
        assert_eq!(column(1), [1.0; 4]);
        assert!(column(2)[1] == 1.0 && column(2)[0] < 0.3);
        assert_eq!(column(3), [0.0, 1.0, 0.0, 0.5]);
        let none = of_documents("???", &[&records[2]]);
        assert_eq!(none[0][1], 0.0, "nothing is known of the language");
    }

    #[test]
    fn weights_go_there_and_back() {
        let weights = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, -0.4, 0.3];
        assert_eq!(Fusion::default().with_weights(weights).weights(), weights);
        assert_eq!(Fusion::default().weights(), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
