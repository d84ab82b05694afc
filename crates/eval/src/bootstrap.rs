//! Uncertainty: bootstrap intervals of means, and a paired randomisation test between two runs.

use serde::{Deserialize, Serialize};

/// Resamples. 1,000 settle a 95 % interval to about one hundredth of its width.
const RESAMPLES: usize = 1_000;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The 2.5 % quantile.
    pub low: f64,
    /// The 97.5 % quantile.
    pub high: f64,
}

/// The percentile bootstrap interval of the mean of `values` (Efron 1979). The same values and seed give the
/// same interval. Both ends are the mean when there are fewer than two values.
pub fn interval(values: &[f64], seed: u64) -> Interval {
    let mean = mean(values);
    if values.len() < 2 {
        return Interval { low: mean, high: mean };
    }
    let mut random = SplitMix(seed);
    let resample = |random: &mut SplitMix| -> f64 {
        (0..values.len()).map(|_| values[random.below(values.len())]).sum::<f64>() / values.len() as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample(&mut random)).collect();
    means.sort_by(f64::total_cmp);
    Interval { low: means[RESAMPLES / 40], high: means[RESAMPLES - 1 - RESAMPLES / 40] }
}

/// Two-sided p-value of the paired randomisation test (Fisher; Smucker et al. 2007 for retrieval): how often
/// swapping the two runs at random, question by question, gives a difference of means at least as large.
/// 1 when the lists differ in length or are empty.
pub fn paired_p_value(one: &[f64], other: &[f64], seed: u64) -> f64 {
    if one.len() != other.len() || one.is_empty() {
        return 1.0;
    }
    let differences: Vec<f64> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    let observed = differences.iter().sum::<f64>().abs();
    let mut random = SplitMix(seed);
    let extreme = (0..10 * RESAMPLES)
        .filter(|_| {
            let sum: f64 = differences
                .iter()
                .map(|difference| if random.next() & 1 == 0 { *difference } else { -difference })
                .sum();
            sum.abs() >= observed - 1e-12
        })
        .count();
    (extreme + 1) as f64 / (10 * RESAMPLES + 1) as f64
}

/// The mean, 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The value below which the share `q` of `values` lies (nearest rank), 0 of nothing.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// SplitMix64 (Steele et al. 2014): small, seeded, good enough to resample.
pub(crate) struct SplitMix(pub u64);

impl SplitMix {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // The bias of the remainder is below 2^-40 for any evaluation set.
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_the_mean_and_narrows_with_more() {
        let few: Vec<f64> = (0..40).map(|n| f64::from(n % 2)).collect();
        let many: Vec<f64> = (0..4_000).map(|n| f64::from(n % 2)).collect();
        let (wide, narrow) = (interval(&few, 1), interval(&many, 1));
        assert!(wide.low < 0.5 && 0.5 < wide.high);
        // The normal approximation says 0.5 ± 1.96 · 0.5 / √n.
        assert!((wide.high - wide.low - 2.0 * 1.96 * 0.5 / 40f64.sqrt()).abs() < 0.06);
        assert!((narrow.high - narrow.low - 2.0 * 1.96 * 0.5 / 4_000f64.sqrt()).abs() < 0.006);
        assert_eq!(interval(&few, 1), interval(&few, 1));
        assert_eq!(interval(&[0.3], 1), Interval { low: 0.3, high: 0.3 });
    }

    #[test]
    fn a_real_difference_is_significant_and_noise_is_not() {
        let base: Vec<f64> = (0..100).map(|n| f64::from(n % 3) / 2.0).collect();
        let better: Vec<f64> = base.iter().map(|value| value + 0.1).collect();
        let noise: Vec<f64> =
            base.iter().zip(0..).map(|(value, n)| value + if n % 2 == 0 { 0.1 } else { -0.1 }).collect();
        assert!(paired_p_value(&better, &base, 3) < 0.001);
        assert!(paired_p_value(&noise, &base, 3) > 0.5);
        assert_eq!(paired_p_value(&base, &[], 3), 1.0);
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&[], 0.5)), (50.0, 99.0, 0.0));
    }
}
