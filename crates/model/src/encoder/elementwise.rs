//! The small steps between matrix products: layer normalisation, GELU, softmax, length.
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

/// `row ← norm(row + change)`.
pub(super) fn add_and_normalise(isa: Isa, row: &mut [f32], change: &[f32], norm: &Norm) {
    isa.run(AddNorm { row, change, norm });
}

struct AddNorm<'a> {
    row: &'a mut [f32],
    change: &'a [f32],
    norm: &'a Norm,
}

impl Kernel for AddNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Self { row, change, norm } = self;
        for (x, change) in row.iter_mut().zip(change) {
            *x += change;
        }
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

/// Adds a bias to each value.
pub(super) fn add_bias(row: &mut [f32], bias: &[f32]) {
    for (x, bias) in row.iter_mut().zip(bias) {
        *x += bias;
    }
}

/// `x ← x/2 · (1 + erf(x/√2))` of each value plus its bias (Hendrycks & Gimpel 2016, arXiv 1606.08415, exact form).
pub(super) fn add_bias_gelu(isa: Isa, row: &mut [f32], bias: &[f32]) {
    isa.run(AddBiasGelu { row, bias });
}

struct AddBiasGelu<'a> {
    row: &'a mut [f32],
    bias: &'a [f32],
}

impl Kernel for AddBiasGelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        for (x, bias) in self.row.iter_mut().zip(self.bias) {
            let v = *x + bias;
            *x = 0.5 * v * (1.0 + erf(v * std::f32::consts::FRAC_1_SQRT_2));
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

/// `row ← softmax(row)`.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let (chunks, rest) = row.as_chunks::<16>();
    let mut largest = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (largest, &x) in largest.iter_mut().zip(chunk) {
            *largest = if x > *largest { x } else { *largest };
        }
    }
    let largest =
        largest.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &x| if x > largest { x } else { largest });
    for x in row.iter_mut() {
        *x = exp(*x - largest);
    }
    let inverse = 1.0 / sum(row, |x| x);
    for x in row.iter_mut() {
        *x *= inverse;
    }
}

/// The exponential for arguments up to 0 within 3e-7 relative: 2^k times a polynomial in the remainder
/// (range reduction as in Cephes). Below −87 it stays at the value there.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // A comparison, not `max`, so that a NaN comes through.
    let x = if x < -87.0 { -87.0 } else { x };
    // Adding and taking away 1.5·2^23 rounds to the nearest integer and leaves it in the low mantissa bits.
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let k = shifted - 12_582_912.0;
    let r = x - k * 0.693_359_4 + k * 2.121_944_4e-4;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = (shifted.to_bits() as i32).wrapping_sub(0x4B40_0000).wrapping_add(127);
    p * f32::from_bits((power << 23) as u32)
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
    fn erf_and_exp_are_close_everywhere() {
        for step in -4000..=4000 {
            let x = step as f32 / 1000.0;
            let error = (f64::from(erf(x)) - erf_series(f64::from(x))).abs();
            assert!(error < 4e-7, "erf({x}) is off by {error}");
        }
        for step in 0..=80_000 {
            let x = -step as f32 / 1000.0;
            let error = (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs();
            assert!(error < 3e-7, "exp({x}) is off by {error}");
        }
        assert_eq!(erf(100.0), erf(4.0));
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_layer_norm_and_gelu_keep_their_promises() {
        let mut row: Vec<f32> = (0..37).map(|i| (i % 7) as f32 - 400.0).collect();
        softmax(&mut row);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[6] / row[5] - 1_f32.exp()).abs() < 1e-4);
        for isa in Isa::ALL {
            let mut row: Vec<f32> = (0..50).map(|i| (i * i) as f32).collect();
            let norm = Norm { weight: vec![1.0; 50], bias: vec![0.0; 50], epsilon: 1e-12 };
            add_and_normalise(isa, &mut row, &[1.0; 50], &norm);
            assert!(row.iter().sum::<f32>().abs() < 1e-3);
            assert!((row.iter().map(|x| x * x).sum::<f32>() / 50.0 - 1.0).abs() < 1e-4);
            // GELU(1) = Φ(1) = 0.841345, and GELU(-1) = -Φ(-1).
            let mut row = [0.5, -1.5, 40.0];
            add_bias_gelu(isa, &mut row, &[0.5; 3]);
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
