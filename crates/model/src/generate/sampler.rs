//! Choosing the next token from logits.

use fontes_core::{Error, Result, Sampling, TokenId};

/// The repetition penalty looks at this many of the latest generated tokens (llama.cpp's default). The prompt
/// does not count: a cited answer must be free to repeat the words of its passages.
const PENALTY_WINDOW: usize = 64;

/// SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"): 64 bits of state,
/// the same numbers on every machine. Sampling needs no more quality than this.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in 0..1 with 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Chooses tokens by one [`Sampling`]. The order is that of transformers: penalty, temperature, top-k, top-p,
/// min-p; shares are of the tempered distribution.
pub(super) struct Sampler<'a> {
    sampling: &'a Sampling,
    random: SplitMix64,
    candidates: Vec<(f32, TokenId)>,
}

impl<'a> Sampler<'a> {
    /// Checks the settings.
    pub(super) fn new(sampling: &'a Sampling) -> Result<Self> {
        let refuse = |what: &str| Err(Error::invalid(format!("sampling {what}")).advise("correct the setting"));
        let at_least = |value: f32, least: f32| value.is_finite() && value >= least;
        if !at_least(sampling.temperature, 0.0) {
            return refuse("temperature is not a number from 0 up");
        }
        if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
            return refuse("top_p is outside 0..1");
        }
        if !(0.0..=1.0).contains(&sampling.min_p) {
            return refuse("min_p is outside 0..1");
        }
        if !(sampling.repetition_penalty.is_finite() && sampling.repetition_penalty > 0.0) {
            return refuse("repetition_penalty is not above 0");
        }
        Ok(Self { sampling, random: SplitMix64(sampling.seed), candidates: Vec::new() })
    }

    /// Chooses from `logits`, of which forbidden ones are negative infinity; changes them. `None` when all are.
    pub(super) fn choose(&mut self, logits: &mut [f32], generated: &[TokenId]) -> Option<TokenId> {
        self.penalise(logits, generated);
        if self.sampling.temperature == 0.0 { greedy(logits) } else { self.draw(logits) }
    }

    fn penalise(&self, logits: &mut [f32], generated: &[TokenId]) {
        let penalty = self.sampling.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let recent = &generated[generated.len().saturating_sub(PENALTY_WINDOW)..];
        let mut seen = recent.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for token in seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Option<TokenId> {
        let best = logits[greedy(logits)? as usize];
        let scaled = |logit: f32| (logit - best) / self.sampling.temperature;
        let floor = if self.sampling.min_p > 0.0 { self.sampling.min_p.ln() } else { f32::NEG_INFINITY };
        self.candidates.clear();
        for (id, &logit) in (0..).zip(logits) {
            if logit > f32::NEG_INFINITY && scaled(logit) >= floor {
                self.candidates.push((scaled(logit).exp(), id));
            }
        }
        if self.sampling.top_k > 0 {
            keep_best(&mut self.candidates, self.sampling.top_k);
        }
        if self.sampling.top_p < 1.0 {
            keep_nucleus(&mut self.candidates, f64::from(self.sampling.top_p));
        }
        let total: f64 = self.candidates.iter().map(|&(weight, _)| f64::from(weight)).sum();
        let mut left = self.random.unit() * total;
        for &(weight, id) in &self.candidates {
            left -= f64::from(weight);
            if left < 0.0 {
                return Some(id);
            }
        }
        self.candidates.last().map(|&(_, id)| id)
    }
}

/// The highest logit, the lowest id among equals; `None` when all are negative infinity.
fn greedy(logits: &[f32]) -> Option<TokenId> {
    let mut best = (f32::NEG_INFINITY, None);
    for (id, &logit) in (0..).zip(logits) {
        if logit > best.0 {
            best = (logit, Some(id));
        }
    }
    best.1
}

fn heavier(a: &(f32, TokenId), b: &(f32, TokenId)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Keeps the `count` heaviest, in order.
fn keep_best(candidates: &mut Vec<(f32, TokenId)>, count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, heavier);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(heavier);
}

/// Keeps the fewest heaviest whose share reaches `share`. Sorts only as many as that takes: the nucleus is
/// rarely more than a few hundred of a hundred thousand.
fn keep_nucleus(candidates: &mut Vec<(f32, TokenId)>, share: f64) {
    let wanted = share * candidates.iter().map(|&(weight, _)| f64::from(weight)).sum::<f64>();
    let mut sorted = 256;
    loop {
        if sorted < candidates.len() {
            candidates.select_nth_unstable_by(sorted, heavier);
        }
        let end = sorted.min(candidates.len());
        candidates[..end].sort_unstable_by(heavier);
        let mut sum = 0.0;
        for at in 0..end {
            sum += f64::from(candidates[at].0);
            if sum >= wanted {
                candidates.truncate(at + 1);
                return;
            }
        }
        if end == candidates.len() {
            return;
        }
        sorted *= 8;
    }
}

/// Natural logarithm of the sum of exponentials, in `f64`.
pub(super) fn log_sum_exp(logits: &[f32]) -> f64 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - best).exp())).sum();
    f64::from(best) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(sampling: &Sampling, logits: &[f32], count: usize) -> Vec<TokenId> {
        let mut sampler = Sampler::new(sampling).unwrap();
        (0..count).map(|_| sampler.choose(&mut logits.to_vec(), &[]).unwrap()).collect()
    }

    #[test]
    fn the_random_numbers_are_splitmix64() {
        // The first outputs for seed 1234567 of the reference implementation (Vigna, prng.di.unimi.it).
        let mut random = SplitMix64(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next(), random.next(), random.next()], expected);
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_nothing_from_nothing() {
        let sampling = Sampling::default();
        assert_eq!(draws(&sampling, &[0.0, 2.0, 2.0], 1), [1]);
        let mut none = [f32::NEG_INFINITY; 3];
        assert_eq!(Sampler::new(&sampling).unwrap().choose(&mut none, &[]), None);
    }

    #[test]
    fn a_seed_decides_and_shares_are_right() {
        let sampling = Sampling { temperature: 1.0, seed: 7, ..Sampling::default() };
        let logits = [0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
        let first = draws(&sampling, &logits, 4000);
        assert_eq!(first, draws(&sampling, &logits, 4000));
        assert_ne!(first, draws(&Sampling { seed: 8, ..sampling.clone() }, &logits, 4000));
        let share = |id| first.iter().filter(|&&token| token == id).count() as f64 / 4000.0;
        // Three standard deviations of a binomial with n = 4000 are below 0.025.
        assert!((share(0) - 0.7).abs() < 0.025 && (share(2) - 0.1).abs() < 0.025, "{} {}", share(0), share(2));
    }

    #[test]
    fn filters_keep_what_they_say() {
        let logits: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln).to_vec();
        let kept = |sampling: Sampling| {
            let mut ids = draws(&Sampling { temperature: 1.0, ..sampling }, &logits, 2000);
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(kept(Sampling { top_k: 2, ..Sampling::default() }), [0, 1]);
        assert_eq!(kept(Sampling { top_p: 0.75, ..Sampling::default() }), [0, 1]);
        assert_eq!(kept(Sampling { min_p: 0.25, ..Sampling::default() }), [0, 1, 2]);
        assert_eq!(kept(Sampling::default()), [0, 1, 2, 3]);
    }

    #[test]
    fn a_wide_nucleus_is_found_past_the_first_sort() {
        let mut candidates: Vec<(f32, TokenId)> = (0..5000).map(|id| (1.0, id)).collect();
        keep_nucleus(&mut candidates, 0.5);
        assert_eq!(candidates.len(), 2500);
    }

    #[test]
    fn the_penalty_discourages_either_sign() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let mut sampler = Sampler::new(&sampling).unwrap();
        assert_eq!(sampler.choose(&mut [3.0, 2.0], &[0]), Some(1));
        assert_eq!(sampler.choose(&mut [-1.0, -1.5], &[0]), Some(1));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let off = |change: fn(&mut Sampling)| {
            let mut sampling = Sampling::default();
            change(&mut sampling);
            Sampler::new(&sampling).is_err()
        };
        assert!(off(|s| s.temperature = -1.0) && off(|s| s.temperature = f32::NAN));
        assert!(off(|s| s.top_p = 0.0) && off(|s| s.min_p = 2.0) && off(|s| s.repetition_penalty = 0.0));
    }
}
