//! Fusion: two ranked lists of candidates become one.

use std::{cmp::Ordering, collections::HashMap};

use fontes_core::{Candidate, ChunkId, Scores};
use serde::{Deserialize, Serialize};

use crate::features::{LEGS, OF_DOCUMENT};

/// How two lists become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionMethod {
    /// Reciprocal rank: `Σ weight / (rank_constant + rank)` (Cormack, Clarke and Büttcher, SIGIR 2009). Needs no
    /// scale, forgives outliers, forgets how much better the first one was.
    ReciprocalRank,
    /// Weighted sum of scores; keeps distances (Bruch et al., arXiv 2210.11934). Similarities lie in a narrow band
    /// that differs from model to model, so the dense list is scaled to 0..=1 by its own extremes. Lexical scores
    /// are shares of what the question asks for: they are scaled likewise, but when even the best chunk holds
    /// little of the question, as with a question in another language, words weigh little.
    #[default]
    WeightedSum,
}

/// Method and weights; what an index recipe carries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fusion {
    /// The method.
    pub method: FusionMethod,
    /// Weight of the dense leg, not negative.
    pub dense_weight: f32,
    /// Weight of the lexical leg, not negative.
    pub lexical_weight: f32,
    /// The constant of reciprocal rank fusion: 60 in the paper, larger flattens.
    pub rank_constant: f32,
    /// Factor on the lexical weight when the question names something exactly (identifier, quoted phrase).
    pub exact_boost: f32,
    /// Weight of the reciprocal rank in the dense list, beside its score. This and what follows only count in a weighted sum.
    pub dense_rank: f32,
    /// The same for the lexical list.
    pub lexical_rank: f32,
    /// Weight of the share of a title's words that the question has. This and what follows may be negative.
    pub title: f32,
    /// Weight of a chunk in the language of the question.
    pub language: f32,
    /// Weight of the length of a chunk.
    pub length: f32,
    /// Weight of newer documents among the candidates.
    pub freshness: f32,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            method: FusionMethod::WeightedSum,
            dense_weight: 1.0,
            lexical_weight: 1.0,
            rank_constant: 60.0,
            exact_boost: 2.0,
            dense_rank: 0.0,
            lexical_rank: 0.0,
            title: 0.0,
            language: 0.0,
            length: 0.0,
            freshness: 0.0,
        }
    }
}

/// A candidate after fusion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused {
    /// The chunk.
    pub chunk: ChunkId,
    /// Scores of the legs that found it, and the fused score.
    pub scores: Scores,
    /// What the order goes by.
    pub score: f32,
    /// What each leg contributed to it.
    pub shares: LegShares,
    /// Scaled scores and reciprocal ranks, as [`crate::FEATURES`] begin.
    pub legs: [f32; LEGS],
}

/// What contributed to a score; together they are the score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegShares {
    /// The dense leg.
    pub dense: f32,
    /// The lexical leg.
    pub lexical: f32,
    /// What the document is, where a site has learnt weights for it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub document: f32,
}

/// Says whether a share is none; serde hands over references.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_nothing(share: &f32) -> bool {
    *share == 0.0
}

impl LegShares {
    fn sum(self) -> f32 {
        self.dense + self.lexical + self.document
    }
}

impl Fusion {
    /// Checks the numbers of a recipe.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for weights that are negative (but for those of documents), not finite or all zero.
    pub fn validate(&self) -> fontes_core::Result<()> {
        let [.., title, language, length, freshness] = self.weights();
        let documents = [title, language, length, freshness];
        let legs = [self.dense_weight, self.lexical_weight, self.exact_boost, self.rank_constant];
        if legs.iter().chain(&[self.dense_rank, self.lexical_rank]).any(|weight| !weight.is_finite() || *weight < 0.0)
            || documents.iter().any(|weight| !weight.is_finite())
            || self.dense_weight + self.lexical_weight <= 0.0
        {
            return Err(fontes_core::Error::invalid("fusion weights are negative, not finite or all zero")
                .advise("give both legs a weight of 0 or more, and one of them more than 0"));
        }
        Ok(())
    }

    /// Fuses the lists of both legs, each best first. The order is total: score, then the other leg's scores,
    /// then chunk id, so the same lists give the same order on every machine. A leg with an empty list does
    /// not count; a list alone keeps its own scores.
    pub fn fuse(&self, dense: &[Candidate], lexical: &[Candidate], exact: bool) -> Vec<Fused> {
        let both = !dense.is_empty() && !lexical.is_empty();
        let boost = if exact { self.exact_boost } else { 1.0 };
        let lexical_weight = self.lexical_weight * boost;
        let ranks = match self.method {
            FusionMethod::WeightedSum => [self.dense_rank, self.lexical_rank * boost],
            FusionMethod::ReciprocalRank => [0.0; 2],
        };
        let mut fused: HashMap<ChunkId, Fused> = HashMap::with_capacity(dense.len() + lexical.len());
        let legs = [(dense, self.dense_weight, true), (lexical, lexical_weight, false)];
        for (list, weight, is_dense) in legs {
            let scale = if is_dense { Scale::extremes(list) } else { Scale::above_the_rest(list) };
            for (rank, candidate) in list.iter().enumerate() {
                let share = match self.method {
                    FusionMethod::ReciprocalRank => 1.0 / (self.rank_constant + 1.0 + rank as f32),
                    FusionMethod::WeightedSum => scale.apply(candidate.score),
                };
                let entry = fused.entry(candidate.chunk).or_insert(Fused {
                    chunk: candidate.chunk,
                    scores: Scores::default(),
                    score: 0.0,
                    shares: LegShares::default(),
                    legs: [0.0; LEGS],
                });
                let by_rank = (self.rank_constant + 1.0) / (self.rank_constant + 1.0 + rank as f32);
                let leg = usize::from(!is_dense);
                let Fused { scores, shares, legs, .. } = entry;
                let (own, its) = if is_dense {
                    (&mut scores.dense, &mut shares.dense)
                } else {
                    (&mut scores.lexical, &mut shares.lexical)
                };
                if own.is_none() {
                    *own = Some(candidate.score);
                    (legs[leg], legs[leg + 2]) = (share, by_rank);
                    *its = if both { weight * share + ranks[leg] * by_rank } else { finite(candidate.score) };
                }
            }
        }
        let mut fused: Vec<Fused> = fused.into_values().collect();
        let total = match self.method {
            FusionMethod::WeightedSum if both => self.total(boost),
            FusionMethod::WeightedSum | FusionMethod::ReciprocalRank => 1.0,
        };
        for one in &mut fused {
            one.shares =
                LegShares { dense: one.shares.dense / total, lexical: one.shares.lexical / total, ..one.shares };
            one.score = one.shares.sum();
            one.scores.fused = both.then_some(one.score);
        }
        fused.sort_by(Fused::better_first);
        fused
    }
}

impl Fusion {
    /// What all positive weights add up to, so that a score stays within 0 and 1.
    fn total(&self, boost: f32) -> f32 {
        let [dense, lexical, dense_rank, lexical_rank, documents @ ..] = self.weights();
        let positive: f32 = documents.iter().filter(|weight| **weight > 0.0).sum();
        dense + dense_rank + boost * (lexical + lexical_rank) + positive
    }

    /// Says whether anything but the legs counts.
    pub(crate) fn looks_at_documents(&self) -> bool {
        self.method == FusionMethod::WeightedSum && self.weights()[LEGS..].iter().any(|weight| *weight != 0.0)
    }

    /// What a document with these features adds to a fused score.
    pub(crate) fn of_document(&self, values: &[f32; OF_DOCUMENT]) -> f32 {
        let sum: f32 = self.weights()[LEGS..].iter().zip(values).map(|(weight, value)| weight * value).sum();
        sum / self.total(1.0)
    }
}

impl Fused {
    fn better_first(&self, other: &Self) -> Ordering {
        let key =
            |one: &Self| [one.score, one.scores.dense.unwrap_or(f32::MIN), one.scores.lexical.unwrap_or(f32::MIN)];
        key(other)
            .iter()
            .zip(key(self))
            .map(|(theirs, ours)| finite(*theirs).total_cmp(&finite(ours)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.chunk.cmp(&other.chunk))
    }
}

/// Puts a score that is no number below every other, so that a broken leg cannot come out on top.
fn finite(score: f32) -> f32 {
    if score.is_nan() { f32::MIN } else { score.clamp(f32::MIN, f32::MAX) }
}

/// How the scores of a list become comparable with those of the other. Always by its head of the same depth, so that
/// asking for more hits does not change the order of the first. The worst candidate keeps a little, because being
/// found at all is worth more than not being found; what lies deeper keeps just that.
struct Scale {
    low: f32,
    range: f32,
}

/// What the last candidate of a list keeps.
const FLOOR: f32 = 0.02;

/// The share of a question that is enough for words to count in full.
const ENOUGH: f32 = 0.6;

/// How deep the head reaches: as deep as the shallowest search fetches.
const HEAD: usize = 100;

impl Scale {
    /// The head from its worst, 0, to its best, 1.
    fn extremes(list: &[Candidate]) -> Self {
        let scores = || list.iter().take(HEAD).map(|candidate| candidate.score).filter(|score| score.is_finite());
        let low = scores().fold(f32::INFINITY, f32::min);
        let high = scores().fold(f32::NEG_INFINITY, f32::max);
        Self { low, range: high - low }
    }

    /// From the score at which the head ends, or nothing when the head holds all there is, to its best or to
    /// [`ENOUGH`], whichever is more.
    fn above_the_rest(list: &[Candidate]) -> Self {
        let rest = list.get(HEAD - 1).map_or(0.0, |last| last.score).max(0.0);
        let best = list.first().map_or(0.0, |first| first.score).max(ENOUGH);
        Self { low: rest, range: best - rest }
    }

    fn apply(&self, score: f32) -> f32 {
        if !score.is_finite() {
            return 0.0;
        }
        if self.range <= f32::EPSILON {
            return if score < self.low { FLOOR } else { 1.0 };
        }
        FLOOR + (1.0 - FLOOR) * ((score - self.low) / self.range).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: u8) -> ChunkId {
        ChunkId::from_bytes([n; 16])
    }

    fn list(entries: &[(u8, f32)]) -> Vec<Candidate> {
        entries.iter().map(|&(n, score)| Candidate { chunk: chunk(n), score }).collect()
    }

    fn order(fused: &[Fused]) -> Vec<u8> {
        fused.iter().map(|one| one.chunk.as_bytes()[0]).collect()
    }

    #[test]
    fn reciprocal_rank_by_hand() {
        let fusion = Fusion { method: FusionMethod::ReciprocalRank, ..Fusion::default() };
        let fused = fusion.fuse(&list(&[(1, 0.9), (2, 0.8)]), &list(&[(2, 7.0), (3, 5.0)]), false);
        assert_eq!(order(&fused), [2, 1, 3]);
        let expected = 1.0 / 62.0 + 1.0 / 61.0;
        assert!((fused[0].score - expected).abs() < 1e-6);
        assert_eq!(fused[0].scores.dense, Some(0.8));
        assert_eq!(fused[0].scores.lexical, Some(7.0));
    }

    #[test]
    fn a_weighted_sum_keeps_distances() {
        let fused = Fusion::default().fuse(
            &list(&[(1, 0.90), (2, 0.89), (3, 0.70)]),
            &list(&[(2, 1.2), (3, 0.2), (4, 0.1)]),
            false,
        );
        assert_eq!(order(&fused), [2, 1, 3, 4]);
        let sum = |one: &Fused| one.shares.dense + one.shares.lexical;
        assert!(fused.iter().all(|one| one.score > 0.0 && one.score == sum(one)));
    }

    #[test]
    fn words_that_say_little_weigh_little() {
        let dense = list(&[(1, 0.90), (2, 0.89), (3, 0.80)]);
        // The same order and the same ratio of words: a question of which all, and one of which a tenth was found.
        let (all, tenth) = (list(&[(2, 1.0), (1, 0.5)]), list(&[(2, 0.1), (1, 0.05)]));
        assert_eq!(order(&Fusion::default().fuse(&dense, &all, false))[0], 2);
        assert_eq!(order(&Fusion::default().fuse(&dense, &tenth, false))[0], 1);
    }

    #[test]
    fn asking_for_more_does_not_change_the_first() {
        let long = |step: f32| -> Vec<Candidate> {
            (0..240).map(|n| Candidate { chunk: chunk(n), score: 1.0 - step * f32::from(n).sqrt() }).collect()
        };
        let (dense, mut lexical) = (long(0.01), long(0.02));
        lexical.rotate_left(3);
        lexical.sort_by(|a, b| b.score.total_cmp(&a.score));
        let few = order(&Fusion::default().fuse(&dense[..100], &lexical[..100], false));
        let many = order(&Fusion::default().fuse(&dense, &lexical, false));
        assert_eq!(few[..50], many[..50]);
    }

    #[test]
    fn exact_questions_lean_lexical() {
        let (dense, lexical) = (list(&[(1, 0.9), (2, 0.5)]), list(&[(2, 1.0), (1, 0.1)]));
        let fusion = Fusion { dense_weight: 1.5, ..Fusion::default() };
        assert_eq!(order(&fusion.fuse(&dense, &lexical, false)), [1, 2]);
        assert_eq!(order(&fusion.fuse(&dense, &lexical, true)), [2, 1]);
    }

    #[test]
    fn ranks_count_where_a_site_has_learnt_so() {
        let (dense, lexical) = (list(&[(1, 0.9), (2, 0.89), (3, 0.5)]), list(&[(2, 1.0), (1, 0.97), (3, 0.1)]));
        assert_eq!(order(&Fusion::default().fuse(&dense, &lexical, false))[0], 2);
        let ranks = Fusion { dense_rank: 1.0, rank_constant: 0.0, ..Fusion::default() };
        let fused = ranks.fuse(&dense, &lexical, false);
        assert_eq!(order(&fused)[0], 1);
        assert!(fused.iter().all(|one| (0.0..=1.0).contains(&one.score)), "{fused:?}");
        assert_eq!(fused[0].legs[2], 1.0);
        assert_eq!(fused[2].legs[3], 1.0 / 3.0);
    }

    #[test]
    fn one_leg_keeps_its_own_scores() {
        let fused = Fusion::default().fuse(&[], &list(&[(1, 9.0), (2, 3.0)]), false);
        assert_eq!(fused[1].score, 3.0);
        assert_eq!(fused[1].scores, Scores { lexical: Some(3.0), ..Scores::default() });
    }

    #[test]
    fn ties_and_broken_scores_have_one_order() {
        let fusion = Fusion::default();
        let fused = fusion.fuse(&list(&[(9, 0.5), (3, 0.5), (7, 0.5)]), &[], false);
        assert_eq!(order(&fused), [3, 7, 9]);
        let broken = fusion.fuse(&list(&[(1, f32::NAN), (2, 0.1)]), &list(&[(3, 1.0), (1, f32::INFINITY)]), false);
        assert_eq!(broken.len(), 3);
        assert_eq!(order(&broken)[2], 1);
        assert!(broken.iter().all(|one| one.score.is_finite()));
    }

    #[test]
    fn bad_weights_are_refused() {
        assert!(Fusion { dense_weight: -1.0, ..Fusion::default() }.validate().is_err());
        assert!(Fusion { dense_weight: 0.0, lexical_weight: 0.0, ..Fusion::default() }.validate().is_err());
        assert!(Fusion { exact_boost: f32::NAN, ..Fusion::default() }.validate().is_err());
        assert!(Fusion { dense_rank: -0.1, ..Fusion::default() }.validate().is_err());
        assert!(Fusion { title: f32::INFINITY, ..Fusion::default() }.validate().is_err());
        Fusion { length: -0.5, ..Fusion::default() }.validate().unwrap();
        Fusion::default().validate().unwrap();
    }
}
