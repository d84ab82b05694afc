//! The estimate: how likely a sentence is to hold the answer, learnt from questions with known answers.

use crate::signals::Signals;

/// What speaks against a passage that is about another year, article or person, where another stands in its place. Not learnt: hardly any question of the sets that
/// weights are learnt from is answered beside its subject, and everyday archives are full of neighbours.
const ASTRAY: f32 = 4.2;

/// What words of the question in a row of a table say for it. Not learnt either: no set has tables, and a reader trained on sentences
/// makes little of cells.
const ROW: f32 = 1.0;

/// A logistic regression over [`Signals`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Regression {
    bias: f32,
    weights: Signals,
}

/// Two regressions: across languages words cannot be compared, so meaning and rank must carry more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    same: Regression,
    across: Regression,
}

impl Estimate {
    /// The probability that a sentence with these signals holds the answer, 0..=1.
    pub(crate) fn probability(&self, signals: &Signals) -> f32 {
        let Regression { bias, weights } = if signals.across > 0.0 { &self.across } else { &self.same };
        let sum: f32 = weights.values().iter().zip(signals.values()).map(|(weight, value)| weight * value).sum();
        let sum = sum - ASTRAY * signals.astray + ROW * signals.row;
        1.0 / (1.0 + (-(bias + sum)).exp())
    }
}

impl Estimate {
    /// The weights where a reader has a say, learnt in the same way on articles that the reader was not trained on. What it
    /// knows makes some of the others superfluous.
    pub(crate) fn reading() -> Self {
        let same = Regression {
            bias: -3.60,
            weights: Signals {
                around: 0.65,
                passage: 0.79,
                rank: 1.02,
                dense: 0.16,
                standout: 1.34,
                lacking: -0.52,
                answer: 1.58,
                apart: 0.54,
                ..Signals::default()
            },
        };
        let across = Regression {
            bias: -4.20,
            weights: Signals {
                rank: 1.11,
                similarity: 4.26,
                standout: 2.34,
                answer: 0.83,
                apart: 0.61,
                ..Signals::default()
            },
        };
        Self { same, across }
    }
}

/// Learnt by `benches/extractive_weights.py` with multilingual-e5-small, as `docs/benchmarks.md` ("Answers") records.
/// Another embedder needs its own.
impl Default for Estimate {
    fn default() -> Self {
        let same = Regression {
            bias: -5.99,
            weights: Signals {
                sentence: 0.85,
                beside: -2.43,
                around: 3.34,
                passage: -0.06,
                ahead: 0.62,
                rank: 1.30,
                dense: 0.78,
                similarity: 2.28,
                standout: 1.35,
                lacking: -0.86,
                ..Signals::default()
            },
        };
        let across = Regression {
            bias: -5.50,
            weights: Signals {
                around: 3.39,
                rank: 0.86,
                similarity: 6.59,
                standout: 1.96,
                lacking: -2.96,
                ..Signals::default()
            },
        };
        Self { same, across }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn across_languages_meaning_suffices() {
        let foreign = Signals { similarity: 0.6, standout: 0.6, rank: 1.0, ..Signals::default() };
        let estimate = Estimate::default();
        let (same, across) =
            (estimate.probability(&foreign), estimate.probability(&Signals { across: 1.0, ..foreign }));
        assert!(across > 0.26 && same < 0.1, "{across} {same}");
    }

    #[test]
    fn what_a_reader_finds_decides() {
        let topic = Signals {
            around: 0.8,
            passage: 1.0,
            rank: 1.0,
            similarity: 0.6,
            answer: -0.8,
            apart: -0.2,
            ..Signals::default()
        };
        let found = Signals { answer: 1.0, apart: 0.5, ..topic };
        for across in [0.0, 1.0] {
            let of = |signals: Signals| Estimate::reading().probability(&Signals { across, ..signals });
            assert!(of(found) > 0.4 && of(topic) < 0.25, "{} {}", of(found), of(topic));
        }
    }

    #[test]
    fn what_speaks_for_a_sentence_makes_it_likelier() {
        let estimate = Estimate::default();
        let poor = Signals { lacking: 1.0, rank: 0.2, ..Signals::default() };
        let good =
            Signals { sentence: 1.0, around: 1.0, passage: 1.0, rank: 1.0, similarity: 0.8, ..Signals::default() };
        let (low, high) = (estimate.probability(&poor), estimate.probability(&good));
        assert!((0.0..0.1).contains(&low) && (0.5..=1.0).contains(&high), "{low} {high}");
        for better in
            [Signals { sentence: 1.0, ..poor }, Signals { similarity: 0.9, ..poor }, Signals { lacking: 0.0, ..poor }]
        {
            assert!(estimate.probability(&better) > low, "{better:?}");
        }
    }
}
