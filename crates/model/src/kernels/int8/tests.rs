//! Products against exact arithmetic on the same integers.

use proptest::prelude::*;

use super::*;

/// Values in ±1 (xorshift).
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A row's integers and their scale, as the kernels are to see them.
fn integers(values: &[f32]) -> (f64, Vec<i32>) {
    let largest = values.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let inverse = 127.0 / largest;
    let q = values.iter().map(|x| (x * inverse).round_ties_even() as i32).collect();
    (f64::from(largest / 127.0), q)
}

fn product(
    isa: Isa,
    threads: usize,
    shape: [usize; 2],
    weights: &[f32],
    bias: &[f32],
    x: &[f32],
    then: Then,
) -> Vec<f32> {
    let pool = ThreadPool::new(threads);
    let mut arena = Arena::new(Int8Matrix::footprint(shape[0], shape[1])).unwrap();
    let matrix = Int8Matrix::pack(&mut arena, &pool, shape, weights.to_vec(), bias.to_vec(), &[]).unwrap();
    let mut rows = Int8Rows::new(isa);
    rows.fill(&pool, x, &matrix);
    let mut out = vec![0.25; x.len() / shape[1] * shape[0]];
    multiply_int8(&pool, &arena, &rows, &matrix, then, &mut out);
    out
}

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_path_multiplies_the_integers_exactly(
        rows in 1_usize..70, outputs in 1_usize..100, inputs in 1_usize..200, seed: u64, exponent in -12..12, power in 1..6,
    ) {
        let scale = 10_f32.powi(exponent);
        let weights: Vec<f32> = noise(seed, outputs * inputs).iter().map(|x| x * scale).collect();
        // The more small activations, the more of them are summed in 16 bits.
        let x: Vec<f32> = noise(!seed, rows * inputs).iter().map(|x| x.powi(power) / scale).collect();
        let bias = noise(seed ^ 99, outputs);
        let channels: Vec<_> = weights.chunks(inputs).map(integers).collect();
        let wanted: Vec<f64> = x.chunks(inputs).flat_map(|row| {
            let (row_scale, row) = integers(row);
            channels.iter().zip(&bias).map(move |((scale, channel), bias)| {
                let sum: i32 = row.iter().zip(channel).map(|(a, b)| a * b).sum();
                row_scale * scale * f64::from(sum) + f64::from(*bias)
            }).collect::<Vec<_>>()
        }).collect();
        for isa in available() {
            for then in [Then::Bias, Then::BiasAdd, Then::BiasGelu] {
                let found = product(isa, 2, [outputs, inputs], &weights, &bias, &x, then);
                for (found, wanted) in found.iter().zip(&wanted) {
                    let (exact, rounding) = match then {
                        Then::Bias => (*wanted, 0.0),
                        Then::BiasAdd => (wanted + 0.25, 0.0),
                        Then::BiasGelu => (gelu(*wanted), 5e-5 * (1.0 + wanted.abs())),
                    };
                    let (wanted, tolerance) = (exact, 1e-5 + 1e-5 * wanted.abs() + rounding);
                    prop_assert!((f64::from(*found) - wanted).abs() < tolerance, "{isa:?} {then:?}: {found}, not {wanted}");
                }
            }
        }
    }
}

/// x · Φ(x), with the error function by its series; beyond 5 it is ±1 to six digits.
fn gelu(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.max(0.0);
    }
    let y = x / std::f64::consts::SQRT_2;
    let (mut term, mut total) = (y, y);
    for n in 1..200 {
        term *= -y * y / f64::from(n);
        total += term / f64::from(2 * n + 1);
    }
    0.5 * x * (1.0 + total * 2.0 / std::f64::consts::PI.sqrt())
}

#[test]
fn paths_with_one_rounding_give_the_same_bits() {
    let (weights, bias, x) = (noise(1, 96 * 192), noise(2, 96), noise(3, 50 * 192));
    let results: Vec<_> = available()
        .filter(|isa| *isa != Isa::Portable)
        .map(|isa| product(isa, 1, [96, 192], &weights, &bias, &x, Then::Bias))
        .collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_is_no_number_stays_in_its_row_and_zero_rows_give_the_bias() {
    for bad in [f32::NAN, f32::INFINITY, 0.0, 1e-38] {
        let mut x = noise(4, 3 * 64);
        x[64..128].fill(0.0);
        x[70] = bad;
        for isa in available() {
            let out = product(isa, 1, [33, 64], &noise(5, 33 * 64), &[0.5; 33], &x, Then::Bias);
            assert!(out[..33].iter().chain(&out[66..]).all(|x| x.is_finite()));
            let row = &out[33..66];
            assert!(if bad.is_finite() { row.iter().all(|&x| x == 0.5) } else { row.iter().all(|x| x.is_nan()) });
        }
    }
}

#[test]
fn the_longest_sum_does_not_overflow() {
    let inputs = MOST_INPUTS;
    for isa in available() {
        let out = product(isa, 1, [1, inputs], &vec![1.0; inputs], &[0.0], &vec![-1.0; inputs], Then::Bias);
        assert!((out[0] + inputs as f32).abs() < 1.0, "{isa:?}: {}", out[0]);
    }
    let pool = ThreadPool::new(1);
    let mut arena = Arena::new(1 << 20).unwrap();
    let mut pack =
        |shape, values: &[f32], bias: Vec<f32>| Int8Matrix::pack(&mut arena, &pool, shape, values.to_vec(), bias, &[]);
    assert!(pack([1, MOST_INPUTS + 1], &vec![0.0; MOST_INPUTS + 1], vec![0.0]).is_err());
    assert!(pack([2, 8], &[0.0; 15], vec![0.0; 2]).is_err());
    assert!(pack([2, 8], &[0.0; 16], vec![0.0; 3]).is_err());
}

#[test]
fn levels_change_nothing_but_the_rounding_and_that_for_the_better() {
    let (rows, outputs, inputs) = (40, 48, 96);
    let weights = noise(6, outputs * inputs);
    // As after a normalisation: one input is always large, another varies widely, the rest is small.
    let mut x: Vec<f32> = noise(7, rows * inputs).iter().map(|x| x * 0.1).collect();
    for row in x.chunks_exact_mut(inputs) {
        row[3] += 12.0;
        row[17] *= 60.0;
    }
    let exact: Vec<f64> = x
        .chunks_exact(inputs)
        .flat_map(|row| {
            weights.chunks_exact(inputs).map(|w| row.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum())
        })
        .collect();
    let pool = ThreadPool::new(2);
    for isa in available() {
        let error = |sample: &[f32]| {
            let mut arena = Arena::new(Int8Matrix::footprint(outputs, inputs)).unwrap();
            let bias = vec![0.0; outputs];
            let matrix = Int8Matrix::pack(&mut arena, &pool, [outputs, inputs], weights.clone(), bias, sample).unwrap();
            let (mut filled, mut out) = (Int8Rows::new(isa), vec![0.0; rows * outputs]);
            filled.fill(&pool, &x, &matrix);
            multiply_int8(&pool, &arena, &filled, &matrix, Then::Bias, &mut out);
            out.iter().zip(&exact).map(|(found, wanted)| (f64::from(*found) - wanted).powi(2)).sum::<f64>().sqrt()
        };
        let (plain, levelled, from_few) = (error(&[]), error(&x), error(&x[..8 * inputs]));
        assert!(levelled < 0.2 * plain && from_few < 0.3 * plain, "{isa:?}: {levelled} and {from_few} of {plain}");
        assert_eq!(error(&vec![f32::NAN; inputs]), plain, "a broken sample levels nothing");
        assert!(error(&vec![0.5; 4 * inputs]).is_finite(), "inputs that never changed have a factor");
    }
}
