//! The small steps between matrix products: layer normalisation, GELU, length.
//!
//! Written as plain loops without branches or calls, which the compiler turns into vector instructions of
//! whatever instruction set the surrounding kernel is compiled for.

use crate::kernels::{Isa, Kernel, Lanes};

/// Scale and shift of a layer normalisation (Ba et al. 2016, arXiv 1607.06450).
#[derive(Debug)]
pub(super) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

/// `row ← norm(row)`.
pub(super) fn layer_norm(isa: Isa, row: &mut [f32], norm: &Norm) {
    isa.run(LayerNorm { row, norm });
}

struct LayerNorm<'a> {
    row: &'a mut [f32],
    norm: &'a Norm,
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Self { row, norm } = self;
        let count = row.len() as f32;
        let mean = sum(row, |x| x) / count;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
        let scale = 1.0 / (variance + norm.epsilon).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// Sums in sixteen lanes: fast, more exact than one after the other, and in the same order everywhere.
#[inline(always)]
fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0_f32; 16];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| f(*value)).sum::<f32>()
}

/// Adds to each value.
pub(super) fn add(values: &mut [f32], more: &[f32]) {
    for (x, more) in values.iter_mut().zip(more) {
        *x += more;
    }
}

/// `x ← x/2 · (1 + erf(x/√2))` (Hendrycks & Gimpel 2016, arXiv 1606.08415, exact form).
pub(super) fn gelu(isa: Isa, row: &mut [f32]) {
    isa.run(Gelu { row });
}

struct Gelu<'a> {
    row: &'a mut [f32],
}

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        for x in self.row {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// The error function within 4e-7: a rational approximation x·P(x²)/Q(x²) on [−4, 4]; beyond, erf is ±1 in
/// single precision.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = -2.726_142e-10_f32;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s - 2.101_024e-6;
    let p = p * s - 5.692_506_4e-5;
    let p = p * s - 7.349_906_3e-4;
    let p = p * s - 2.954_6e-3;
    let p = p * s - 1.609_603_3e-2;
    let q = -1.456_607_2e-5_f32;
    let q = q * s - 2.133_740_5e-4;
    let q = q * s - 1.682_827e-3;
    let q = q * s - 7.373_329e-3;
    let q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// Scales a vector to unit Euclidean length. `false` when it has none: zero, or not a number.
pub(super) fn normalise(vector: &mut [f32]) -> bool {
    let length = sum(vector, |x| x * x).sqrt();
    if !(length.is_finite() && length > 0.0) {
        return false;
    }
    for x in vector {
        *x /= length;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its Maclaurin series in double precision; converges for |x| ≤ 4.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn erf_is_close_everywhere() {
        for step in -4000..=4000 {
            let x = step as f32 / 1000.0;
            let error = (f64::from(erf(x)) - erf_series(f64::from(x))).abs();
            assert!(error < 4e-7, "erf({x}) is off by {error}");
        }
        assert_eq!(erf(100.0), erf(4.0));
    }

    #[test]
    fn layer_norm_and_gelu_keep_their_promises() {
        for isa in Isa::ALL {
            let mut row: Vec<f32> = (0..50).map(|i| (i * i) as f32).collect();
            let norm = Norm { weight: vec![1.0; 50], bias: vec![0.0; 50], epsilon: 1e-12 };
            layer_norm(isa, &mut row, &norm);
            assert!(row.iter().sum::<f32>().abs() < 1e-3);
            assert!((row.iter().map(|x| x * x).sum::<f32>() / 50.0 - 1.0).abs() < 1e-4);
            // GELU(1) = Φ(1) = 0.841345, and GELU(-1) = -Φ(-1).
            let mut row = [1.0, -1.0, 40.5];
            gelu(isa, &mut row);
            let wanted = [0.841_344_8, -0.158_655_25, 40.5];
            assert!(row.iter().zip(wanted).all(|(x, wanted)| (x - wanted).abs() < 1e-5), "{row:?}");
        }
    }

    #[test]
    fn nothing_has_no_direction() {
        assert!(!normalise(&mut [0.0; 4]));
        assert!(!normalise(&mut [f32::NAN, 1.0]));
        let mut vector = [3.0, 4.0];
        assert!(normalise(&mut vector));
        assert_eq!(vector, [0.6, 0.8]);
    }
}
