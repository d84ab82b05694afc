//! Attention against its definition in double precision.

use proptest::prelude::*;

use super::*;

/// Attention straight from its definition.
fn reference(heads: Heads, sequences: &[Range<usize>], projected: &[f32]) -> Vec<f64> {
    let Heads { hidden, count, .. } = heads;
    let width = hidden / count;
    let at = |token: usize, part: usize, channel: usize| f64::from(projected[(token * 3 + part) * hidden + channel]);
    let mut out = vec![0.0; projected.len() / 3];
    for sequence in sequences {
        for query in sequence.clone() {
            for head in 0..count {
                let channels = head * width..(head + 1) * width;
                let score = |key: usize| {
                    let product: f64 = channels.clone().map(|c| at(query, 0, c) * at(key, 1, c)).sum();
                    product / (width as f64).sqrt()
                };
                let largest = sequence.clone().map(score).fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = sequence.clone().map(|key| (score(key) - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                for channel in channels.clone() {
                    let mixed = sequence.clone().zip(&weights).map(|(key, weight)| weight * at(key, 2, channel));
                    out[query * hidden + channel] = mixed.sum::<f64>() / total;
                }
            }
        }
    }
    out
}

/// Values in ±`scale` (a linear congruence).
fn noise(seed: u32, count: usize, scale: f32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / 8_388_608.0 - 1.0) * scale
        })
        .collect()
}

fn attend(isa: Isa, threads: usize, heads: Heads, sequences: &[Range<usize>], projected: &[f32]) -> Vec<f32> {
    let mut context = vec![7.0; projected.len() / 3];
    attend_within(&ThreadPool::new(threads), isa, heads, sequences, projected, &mut context);
    context
}

/// Sequences of these lengths, one after the other.
fn sequences(lengths: &[usize]) -> Vec<Range<usize>> {
    let ends = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    ends.zip(lengths).map(|(end, length)| end - length..end).collect()
}

#[test]
fn every_instruction_set_agrees_with_the_definition() {
    let sequences = sequences(&[1, 13, 48, 1, 17, 100]);
    for (hidden, count) in [(32, 4), (64, 2), (60, 3), (34, 1), (128, 4)] {
        let heads = Heads { hidden, count, rounded: false };
        let projected = noise(1, 180 * 3 * hidden, 2.0);
        let wanted = reference(heads, &sequences, &projected);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for (found, wanted) in attend(isa, 2, heads, &sequences, &projected).iter().zip(&wanted) {
                assert!((f64::from(*found) - wanted).abs() < 1e-5, "{isa:?} {heads:?}: {found} {wanted}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rounding_costs_what_bf16_resolves(
        lengths in proptest::collection::vec(1_usize..90, 1..5),
        width in prop_oneof![Just(32_usize), Just(64)],
        seed: u32,
    ) {
        let heads = Heads { hidden: 2 * width, count: 2, rounded: true };
        let sequences = sequences(&lengths);
        let projected = noise(seed, lengths.iter().sum::<usize>() * 3 * heads.hidden, 2.0);
        let wanted = reference(heads, &sequences, &projected);
        let found = attend(Isa::detect(), 1, heads, &sequences, &projected);
        for (found, wanted) in found.iter().zip(&wanted) {
            // Values are below 2: 2^-9 of them for the values, as much for the weights, and scores of up to about 8 with
            // an error of 2^-9 per factor, averaged over the channels.
            prop_assert!((f64::from(*found) - wanted).abs() < 0.03, "{found} {wanted}");
        }
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    let heads = Heads { hidden: 32, count: 1, rounded: false };
    let projected = noise(5, 40 * 96, 300.0);
    let one = 0..40;
    let sequences = std::slice::from_ref(&one);
    let wanted = reference(heads, sequences, &projected);
    for rounded in [false, true] {
        let found = attend(Isa::detect(), 1, Heads { rounded, ..heads }, sequences, &projected);
        assert!(found.iter().all(|x| x.is_finite()));
        if !rounded {
            assert!(found.iter().zip(&wanted).all(|(x, wanted)| (f64::from(*x) - wanted).abs() < 0.05));
        }
    }
}

#[test]
fn what_is_no_number_stays_in_its_sequence() {
    for rounded in [false, true] {
        let heads = Heads { hidden: 64, count: 2, rounded };
        let mut projected = noise(9, 60 * 192, 1.0);
        projected[30 * 192..31 * 192].fill(f32::NAN);
        let found = attend(Isa::detect(), 1, heads, &sequences(&[20, 40]), &projected);
        assert!(found[..20 * 64].iter().all(|x| x.is_finite()));
        assert!(found[20 * 64..].iter().all(|x| x.is_nan()), "rounded: {rounded}");
    }
}
