//! Tuning: weights of a sum that ranks, learnt from judged questions.
//!
//! Coordinate ascent on nDCG@10 itself (Metzler and Croft, "Linear feature-based models for information retrieval", 2007): one
//! weight after the other is moved to where the mean is highest, until none moves. A move away from where the weights
//! began costs a little (ridge), so that a weight which only fits chance stays where it was. No randomness: the same questions
//! give the same weights.
//!
//! **Why not a model with more to say.** A site has a few hundred judged questions. They tell a handful of weights, and
//! whether these hold is told by the half that was held back, never by the half that was learnt from.

use crate::{
    Interval, Judgements,
    bootstrap::{interval, mean},
    metrics::ndcg,
    paired_p_value,
};

/// Moves tried for a weight, up and down.
const STEPS: [f32; 6] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6];

/// Weights stay within this distance from 0.
const BOUND: f32 = 4.0;

/// What a squared distance of 1 from the beginning costs, in nDCG of one question. By chance alone, as much can be gained on the
/// questions that are learnt from: the fewer there are, the less they move.
const RIDGE: f64 = 1.0;

/// Rounds over all weights; a handful settles.
const ROUNDS: usize = 20;

/// A gain that counts; below it rounding decides.
const GAIN: f64 = 1e-6;

/// Seed of resampling, as in every report.
const SEED: u64 = 20_240_229;

/// Differences at least as large come by chance less often than this when they are told to be significant.
const SIGNIFICANT: f64 = 0.05;

/// A candidate of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningCandidate {
    /// The document; several candidates may be of one, and the best counts.
    pub document: String,
    /// What the weights multiply.
    pub features: Vec<f32>,
    /// What is added to the weighted mean whatever the weights.
    pub offset: f32,
}

/// A judged question with its candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningQuestion {
    /// What may be ranked.
    pub candidates: Vec<TuningCandidate>,
    /// What is relevant.
    pub judged: Judgements,
}

/// A difference between two runs of the same questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean before.
    pub before: f64,
    /// Mean after.
    pub after: f64,
    /// 95 % bootstrap interval of the mean difference.
    pub interval: Interval,
    /// p-value of a paired randomisation test.
    pub p_value: f64,
}

impl Difference {
    /// Compares the values of each question, in the same order.
    pub fn of(before: &[f64], after: &[f64]) -> Self {
        let differences: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        Self {
            before: mean(before),
            after: mean(after),
            interval: interval(&differences, SEED),
            p_value: paired_p_value(after, before, SEED),
        }
    }

    /// Says whether the second run is better, and not by chance.
    pub fn is_better(&self) -> bool {
        self.after > self.before && self.p_value < SIGNIFICANT
    }
}

/// The weights near `begin` by which nDCG@10 over `questions` is highest. Those of `fixed` stay: only the ratio of weights
/// matters, so one must. None becomes negative where it was not allowed to (`signed`).
pub fn tuned(questions: &[TuningQuestion], begin: &[f32], fixed: &[usize], signed: &[usize]) -> Vec<f32> {
    let worth = |weights: &[f32]| {
        let distance: f64 = weights.iter().zip(begin).map(|(now, then)| f64::from(now - then).powi(2)).sum();
        mean_ndcg(questions, weights) - RIDGE * distance / questions.len().max(1) as f64
    };
    let mut weights = begin.to_vec();
    let mut best = worth(&weights);
    for _ in 0..ROUNDS {
        let before = best;
        for at in (0..weights.len()).filter(|at| !fixed.contains(at)) {
            let here = weights[at];
            let least = if signed.contains(&at) { -BOUND } else { 0.0 };
            let mut chosen = here;
            // 0 and the beginning are tried too: a weight that earns nothing goes home.
            let moves = STEPS.iter().flat_map(|step| [here - step, here + step]).chain([0.0, begin[at]]);
            for candidate in moves.map(|weight| weight.clamp(least, BOUND)) {
                weights[at] = candidate;
                let value = worth(&weights);
                if value > best + GAIN {
                    (best, chosen) = (value, candidate);
                }
            }
            weights[at] = chosen;
        }
        if best - before <= GAIN {
            break;
        }
    }
    weights
}

/// Mean nDCG@10 when candidates are ranked by these weights.
pub fn mean_ndcg(questions: &[TuningQuestion], weights: &[f32]) -> f64 {
    let total = weights.iter().filter(|weight| **weight > 0.0).sum::<f32>().max(f32::EPSILON);
    let values: Vec<f64> = questions
        .iter()
        .map(|question| {
            let score = |candidate: &TuningCandidate| {
                let sum: f32 = candidate.features.iter().zip(weights).map(|(value, weight)| value * weight).sum();
                sum / total + candidate.offset
            };
            let mut scored: Vec<(f32, &str)> =
                question.candidates.iter().map(|one| (score(one), one.document.as_str())).collect();
            // Stable: equals keep the order in which they came.
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut first: Vec<String> = Vec::with_capacity(10);
            for (_, document) in scored {
                if first.len() == 10 {
                    break;
                }
                if first.iter().all(|known| known != document) {
                    first.push(document.to_owned());
                }
            }
            ndcg(&first, &question.judged, 10)
        })
        .collect();
    mean(&values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::SplitMix;

    fn candidate(document: &str, features: &[f32]) -> TuningCandidate {
        TuningCandidate { document: document.into(), features: features.to_vec(), offset: 0.0 }
    }

    /// Questions in which the second feature says what is right as often as `share` of them, the first never, the third is
    /// noise.
    fn questions(count: u64, share: u64) -> Vec<TuningQuestion> {
        let mut random = SplitMix(7);
        let mut noise = move || (random.below(1_000) as f32) / 1_000.0;
        (0..count)
            .map(|n| {
                let told = if n % 100 < share { 1.0 } else { 0.0 };
                let mut candidates: Vec<TuningCandidate> =
                    (0..9).map(|d| candidate(&format!("d{d}"), &[0.5 + noise() / 2.0, 0.0, noise()])).collect();
                candidates.push(candidate("right", &[0.4, told, noise()]));
                TuningQuestion { candidates, judged: Judgements::from([("right".into(), 1)]) }
            })
            .collect()
    }

    #[test]
    fn what_tells_gets_weight_and_noise_stays_at_home() {
        let questions = questions(200, 90);
        let begin = [1.0, 0.0, 0.0];
        let weights = tuned(&questions, &begin, &[0], &[2]);
        assert!(weights[0] == 1.0 && weights[1] > 0.3, "{weights:?}");
        assert!(weights[2].abs() < 0.3, "{weights:?}");
        assert!(mean_ndcg(&questions, &weights) > mean_ndcg(&questions, &begin) + 0.3);
        assert_eq!(weights, tuned(&questions, &begin, &[0], &[2]), "the same questions give the same weights");
    }

    #[test]
    fn nothing_to_learn_moves_nothing() {
        assert_eq!(tuned(&[], &[1.0, 1.0], &[0], &[]), [1.0, 1.0]);
        let flat: Vec<TuningQuestion> = questions(20, 0)
            .into_iter()
            .map(|question| {
                let candidates = question.candidates.into_iter().map(|one| candidate(&one.document, &[0.5; 3]));
                TuningQuestion { candidates: candidates.collect(), ..question }
            })
            .collect();
        assert_eq!(tuned(&flat, &[1.0, 0.5, 0.0], &[0], &[2]), [1.0, 0.5, 0.0]);
    }

    #[test]
    fn weights_keep_their_sign_unless_they_may_not() {
        // The second feature speaks against what is right.
        let against: Vec<TuningQuestion> = questions(50, 0)
            .into_iter()
            .map(|mut question| {
                question.candidates[..9].iter_mut().for_each(|one| one.features[1] = 1.0);
                question
            })
            .collect();
        assert_eq!(tuned(&against, &[1.0, 0.0, 0.0], &[0], &[])[1], 0.0);
        assert!(tuned(&against, &[1.0, 0.0, 0.0], &[0], &[1])[1] < -0.2);
    }

    #[test]
    fn a_document_counts_once_and_offsets_count() {
        let mut question = questions(1, 0).remove(0);
        question.candidates = vec![candidate("x", &[0.9]), candidate("x", &[0.8]), candidate("right", &[0.7])];
        let value = mean_ndcg(std::slice::from_ref(&question), &[1.0]);
        assert!((value - 1.0 / 3f64.log2()).abs() < 1e-9, "second of two documents");
        question.candidates[2].offset = 1.0;
        assert_eq!(mean_ndcg(&[question], &[1.0]), 1.0);
    }

    #[test]
    fn a_difference_is_better_only_beyond_chance() {
        let before: Vec<f64> = (0..100).map(|n| f64::from(n % 3) / 2.0).collect();
        let better: Vec<f64> = before.iter().map(|value| value + 0.1).collect();
        let difference = Difference::of(&before, &better);
        assert!(difference.is_better() && difference.interval.low > 0.09);
        assert!(!Difference::of(&better, &before).is_better());
        let noise: Vec<f64> =
            before.iter().zip(0..).map(|(value, n)| value + if n % 2 == 0 { 0.11 } else { -0.1 }).collect();
        assert!(!Difference::of(&before, &noise).is_better());
    }
}
