//! Every instruction set against exact arithmetic on the same integers, over odd shapes and extreme scales.

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::{
    kernels::{Isa, LAYOUT},
    weights::{TensorView, floats},
};

const NATIVE: [WeightType; 4] = [WeightType::Q4_K, WeightType::Q6_K, WeightType::Q8_0, WeightType::Q4_0];

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= (self.0 << 13) | 1;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A stored matrix with random bits and scales of the given magnitude.
fn stored(dtype: WeightType, rows: usize, cols: usize, magnitude: f32, noise: &mut Noise) -> Vec<u8> {
    let mut bytes = vec![0_u8; dtype.byte_len(cols).unwrap() * rows];
    bytes.iter_mut().for_each(|byte| *byte = (noise.next() >> 32) as u8);
    let scales: &[usize] = match dtype {
        WeightType::Q4_K => &[0, 2],
        WeightType::Q6_K => &[208],
        WeightType::Q8_0 | WeightType::Q4_0 => &[0],
        _ => return bytes,
    };
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        for &at in scales {
            block[at..at + 2].copy_from_slice(&f16::from_f32(noise.float() * magnitude).to_le_bytes());
        }
    }
    bytes
}

struct Case {
    dtype: WeightType,
    rows: usize,
    cols: usize,
    bytes: Vec<u8>,
    tokens: usize,
    values: Vec<f32>,
}

impl Case {
    fn random(dtype: WeightType, [rows, cols, tokens]: [usize; 3], magnitude: f32, seed: u64) -> Self {
        let mut noise = Noise(seed | 1);
        let bytes = stored(dtype, rows, cols, magnitude, &mut noise);
        let values = (0..tokens * cols).map(|_| noise.float() * 4.0).collect();
        Self { dtype, rows, cols, bytes, tokens, values }
    }

    fn activations(&self, isa: Isa, pool: &ThreadPool) -> Activations {
        let mut activations = Activations::new(isa, TileFormat::of(self.dtype).scaling());
        activations.fill(pool, self.tokens, self.cols, |row, out| {
            out.copy_from_slice(&self.values[row * self.cols..(row + 1) * self.cols]);
        });
        activations
    }

    fn product(&self, isa: Isa) -> (Vec<f32>, Activations) {
        let pool = ThreadPool::new(2);
        let mut arena = Arena::new(PackedMatrix::footprint(self.dtype, self.rows, self.cols)).unwrap();
        let matrix = PackedMatrix::pack(&mut arena, &pool, self.dtype, [self.rows, self.cols], &self.bytes).unwrap();
        let activations = self.activations(isa, &pool);
        let mut out = vec![1.0; self.tokens * self.rows];
        let mut products = [Product { matrix: &matrix, out: &mut out, output: Output::Add }];
        multiply(&pool, &arena, &activations, &mut products);
        (out, activations)
    }

    /// Compares with f64 arithmetic on the stored weights and the quantised activations.
    fn check(&self, isa: Isa) {
        let (out, activations) = self.product(isa);
        let view = TensorView { name: "w", dtype: self.dtype, shape: &[self.rows, self.cols], bytes: &self.bytes };
        let weights = floats(&view).unwrap();
        for token in 0..self.tokens {
            for row in 0..self.rows {
                let (mut exact, mut size) = (1.0, 1.0);
                for (col, &weight) in weights[row * self.cols..(row + 1) * self.cols].iter().enumerate() {
                    let product = f64::from(weight) * activations.value(token, col);
                    exact += product;
                    size += product.abs();
                }
                let found = f64::from(out[token * self.rows + row]);
                assert!(
                    (found - exact).abs() <= 4e-6 * size,
                    "{} {} {}x{}x{}: token {token} row {row}: {found} for {exact} (of {size})",
                    isa.name(),
                    self.dtype,
                    self.rows,
                    self.cols,
                    self.tokens
                );
            }
        }
    }
}

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_path_is_exact_up_to_the_rounding_of_sums(
        rows in 1_usize..40, blocks in 1_usize..4, tokens in 1_usize..30, exponent in -4..3_i32, seed: u64,
    ) {
        for dtype in NATIVE {
            let cols = blocks * dtype.block_len();
            let case = Case::random(dtype, [rows, cols, tokens], 10_f32.powi(exponent), seed);
            available().for_each(|isa| case.check(isa));
        }
    }
}

#[test]
fn every_group_size_and_a_partial_tile() {
    for dtype in NATIVE {
        for tokens in [1, 2, 3, 4, 5, 8, 9, 12, 13, 25] {
            let case = Case::random(dtype, [17, 512, tokens], 0.01, 7);
            available().for_each(|isa| case.check(isa));
        }
    }
}

/// Activations larger than the second-level cache: passes over rows or over inputs.
#[test]
fn what_goes_in_several_passes_is_added_once() {
    for dtype in NATIVE {
        let case = Case::random(dtype, [16, 9216, 77], 0.01, 13);
        for isa in available() {
            let passes = passes(&case.activations(isa, &ThreadPool::new(1)));
            assert!(passes.len() > 1, "{}: one pass", isa.name());
            case.check(isa);
        }
    }
}

#[test]
fn extreme_weights_do_not_overflow() {
    for dtype in NATIVE {
        for fill in [0x00, 0xFF, 0x7F, 0x80] {
            let mut case = Case::random(dtype, [16, 256, 12], 1.0, 3);
            for block in case.bytes.chunks_exact_mut(dtype.block_bytes()) {
                let scale_at = if dtype == WeightType::Q6_K { 208 } else { 0 };
                let first_weight = if dtype == WeightType::Q4_K { 4 } else { 2 };
                for (at, byte) in block.iter_mut().enumerate() {
                    let is_scale = if dtype == WeightType::Q6_K { at >= scale_at } else { at < first_weight };
                    if !is_scale {
                        *byte = fill;
                    }
                }
            }
            for (sign, value) in [1.0, -1.0].into_iter().enumerate() {
                case.values.fill(value * (sign as f32 + 1.0));
                available().for_each(|isa| case.check(isa));
            }
        }
    }
}

#[test]
fn other_types_arrive_within_the_step_of_eight_bits() {
    for dtype in [WeightType::F32, WeightType::F16, WeightType::BF16] {
        let mut noise = Noise(5);
        let (rows, cols, tokens) = (9, 40, 3);
        let weights: Vec<f32> = (0..rows * cols).map(|_| noise.float()).collect();
        let bytes: Vec<u8> = weights
            .iter()
            .flat_map(|&weight| match dtype {
                WeightType::F32 => weight.to_le_bytes().to_vec(),
                WeightType::F16 => f16::from_f32(weight).to_le_bytes().to_vec(),
                _ => half::bf16::from_f32(weight).to_le_bytes().to_vec(),
            })
            .collect();
        let values = (0..tokens * cols).map(|_| noise.float()).collect();
        let case = Case { dtype, rows, cols, bytes, tokens, values };
        for isa in available() {
            let (out, _) = case.product(isa);
            for token in 0..tokens {
                for row in 0..rows {
                    let exact: f32 =
                        (0..cols).map(|col| weights[row * cols + col] * case.values[token * cols + col]).sum();
                    let found = out[token * rows + row] - 1.0;
                    assert!((found - exact).abs() < 0.1, "{} {dtype}: {found} for {exact}", isa.name());
                }
            }
        }
    }
}

#[test]
fn a_value_that_is_no_number_reaches_every_output_of_its_row() {
    for dtype in NATIVE {
        let mut case = Case::random(dtype, [20, 256, 3], 0.1, 11);
        case.values[256 + 77] = f32::NAN;
        for isa in available() {
            let (out, _) = case.product(isa);
            assert!(out[20..40].iter().all(|value| value.is_nan()), "{} {dtype}", isa.name());
            assert!(out[..20].iter().chain(&out[40..]).all(|value| value.is_finite()), "{} {dtype}", isa.name());
        }
    }
}

#[test]
fn several_products_share_a_region() {
    let pool = ThreadPool::new(2);
    let shapes = [33, 16, 5];
    let cases: Vec<Case> = shapes.iter().map(|&rows| Case::random(WeightType::Q4_K, [rows, 256, 5], 0.1, 9)).collect();
    let mut arena = Arena::new(1 << 20).unwrap();
    let matrices: Vec<PackedMatrix> = cases
        .iter()
        .map(|case| PackedMatrix::pack(&mut arena, &pool, case.dtype, [case.rows, case.cols], &case.bytes).unwrap())
        .collect();
    let activations = cases[0].activations(Isa::detect(), &pool);
    let mut together: Vec<Vec<f32>> = shapes.iter().map(|rows| vec![0.0; rows * 5]).collect();
    let mut products: Vec<Product<'_>> = matrices
        .iter()
        .zip(&mut together)
        .map(|(matrix, out)| Product { matrix, out, output: Output::Replace })
        .collect();
    multiply(&pool, &arena, &activations, &mut products);
    for (matrix, together) in matrices.iter().zip(&together) {
        let mut alone = vec![0.0; together.len()];
        let mut products = [Product { matrix, out: &mut alone, output: Output::Replace }];
        multiply(&ThreadPool::new(1), &arena, &activations, &mut products);
        assert_eq!(&alone, together);
    }
}

#[test]
fn packed_bytes_are_those_of_the_layout_s_number() {
    // Packed weights are kept on disk: another digest here means another `LAYOUT`.
    let pool = ThreadPool::new(1);
    let digests =
        [WeightType::Q4_K, WeightType::Q6_K, WeightType::Q8_0, WeightType::Q4_0, WeightType::F32].map(|dtype| {
            let Case { rows, cols, bytes, values, .. } = Case::random(dtype, [20, 512, 20], 0.1, 3);
            let floats = || values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let bytes: Vec<u8> = if dtype == WeightType::F32 { floats() } else { bytes };
            let mut arena = Arena::new(PackedMatrix::footprint(dtype, rows, cols)).unwrap();
            PackedMatrix::pack(&mut arena, &pool, dtype, [rows, cols], &bytes).unwrap();
            fontes_core::Digest::of(arena.content()).to_string()[..8].to_owned()
        });
    assert_eq!((LAYOUT, digests.join(" ").as_str()), (1, "147b4793 cb5b906b dc09f190 58d30eac 7764b786"));
}

#[test]
fn wrong_lengths_are_refused() {
    let pool = ThreadPool::new(1);
    let mut arena = Arena::new(1 << 16).unwrap();
    let pack =
        |arena: &mut Arena, shape, bytes: &[u8]| PackedMatrix::pack(arena, &pool, WeightType::Q8_0, shape, bytes);
    assert!(matches!(pack(&mut arena, [2, 32], &[0; 67]), Err(PackError::WrongLength { .. })));
    assert!(matches!(pack(&mut arena, [2, 33], &[0; 68]), Err(PackError::WrongLength { .. })));
    assert!(matches!(pack(&mut arena, [usize::MAX, 32], &[0; 68]), Err(PackError::WrongLength { .. })));
    assert!(pack(&mut arena, [2, 32], &[0; 68]).is_ok());
    assert!(matches!(pack(&mut Arena::new(8).unwrap(), [2, 32], &[0; 68]), Err(PackError::Full)));
}
