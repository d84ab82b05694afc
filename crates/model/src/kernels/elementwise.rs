//! The small steps between the products: RMSNorm, rotary embedding, activation functions, exponentials.
//!
//! They are written as plain loops over slices and compiled once per instruction set ([`Isa::run`] inlines them into a
//! function that has it enabled), so the compiler makes the vectors. Sums keep sixteen partial sums, because floating
//! point may not be reordered behind our back; all instruction sets add in the same order.
//!
//! Accuracy: [`exp`] is within 2 units in the last place over its range, measured by a test; everything built on it within
//! 1e-6 relative, or 1e-7 absolute near zero.

use super::{
    isa::{Isa, Kernel},
    lanes::Lanes,
};

/// How the two halves of a rotated pair lie within a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotaryLayout {
    /// Element `i` with element `i + dim / 2` (Apertus, Qwen, Gemma, Hugging Face's Llama).
    HalfSplit,
    /// Element `2i` with element `2i + 1` (Llama and Mistral as GGUF stores them).
    Interleaved,
}

/// The function between the two halves of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// xIELU with its parameters as applied: for x > 0 `positive·x² + beta·x`, otherwise
    /// `negative·(expm1(min(x, eps)) − x) + beta·x`.
    Xielu {
        /// `softplus(alpha_p)`.
        positive: f32,
        /// `beta + softplus(alpha_n)`.
        negative: f32,
        /// The slope at zero.
        beta: f32,
        /// The largest argument of `expm1`, a small negative number.
        eps: f32,
    },
    /// `x · sigmoid(x)`.
    Silu,
    /// Gaussian error linear unit in its tanh form.
    GeluTanh,
}

/// e^x for any x: 0 below −87.3, infinity above 88.7, NaN for NaN. Cephes' reduction (x = n·ln 2 + r, |r| ≤ ln 2 / 2, with
/// ln 2 in two parts) and its degree-6 polynomial.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let clamped = x.clamp(-87.3, 88.7);
    // Adding 1.5 · 2^23 rounds to an integer and leaves it in the low mantissa bits.
    let shifted = clamped * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4_f32;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 0.166_666_65;
    p = p * r + 0.5;
    let fraction = p * r * r + r + 1.0;
    // n reaches 128 and the biased exponent must stay below 255: multiply in two halves.
    let bits = shifted.to_bits() as i32 - 0x4B40_0000;
    let half = bits >> 1;
    let value = fraction * power_of_two(half) * power_of_two(bits - half);
    let value = if x < -87.3 { 0.0 } else { value };
    if x > 88.7 { f32::INFINITY } else { value }
}

/// 2^n for n in −126…127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// e^x − 1 − x for x ≤ 0: a series near zero, where the plain difference would cancel.
#[inline(always)]
fn exp_minus_tangent(x: f32) -> f32 {
    let mut p = 1.0 / 362_880.0;
    p = p * x + 1.0 / 40_320.0;
    p = p * x + 1.0 / 5_040.0;
    p = p * x + 1.0 / 720.0;
    p = p * x + 1.0 / 120.0;
    p = p * x + 1.0 / 24.0;
    p = p * x + 1.0 / 6.0;
    p = p * x + 0.5;
    let far = exp(x) - 1.0 - x;
    if x > -0.6 { p * x * x } else { far }
}

/// A function of one number. A trait and not a closure: its method is inlined into the vector code for certain, where a
/// closure may stay a scalar call (10 % of the time of reading a prompt, measured).
trait Curve: Copy {
    fn value(self, x: f32) -> f32;
}

#[derive(Clone, Copy)]
struct Xielu {
    positive: f32,
    negative: f32,
    beta: f32,
    eps: f32,
}

impl Curve for Xielu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let low = if x < self.eps { x } else { self.eps };
        // expm1(low) − x, with the two differences taken where they are exact.
        let negative = self.negative * (exp_minus_tangent(low) + (low - x));
        let positive = self.positive * x * x;
        let curved = if x > 0.0 { positive } else { negative };
        // A NaN fails both comparisons above; it comes back through this term.
        curved + self.beta * x
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x / (1.0 + exp(-x))
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        // x · (1 + tanh(y)) / 2 = x / (1 + e^(−2y)), with 2y = 2 √(2/π) (x + 0.044715 x³).
        let inner = 1.595_769 * (x + 0.044_715 * x * x * x);
        x / (1.0 + exp(-inner))
    }
}

struct Activate<'a> {
    activation: Activation,
    values: &'a [f32],
    factors: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        // One loop per function: the match must not be inside.
        match self.activation {
            Activation::Silu => self.each(Silu),
            Activation::GeluTanh => self.each(GeluTanh),
            Activation::Xielu { positive, negative, beta, eps } => {
                self.each(Xielu { positive, negative, beta, eps });
            }
        }
    }
}

impl Activate<'_> {
    #[inline(always)]
    fn each<C: Curve>(self, curve: C) {
        match self.factors {
            None => {
                for (out, &value) in self.out.iter_mut().zip(self.values) {
                    *out = curve.value(value);
                }
            }
            Some(factors) => {
                for ((out, &value), &factor) in self.out.iter_mut().zip(self.values).zip(factors) {
                    *out = curve.value(value) * factor;
                }
            }
        }
    }
}

/// Applies an activation function, and multiplies with `factors` (a gated feed-forward layer) where given. All slices have
/// the same length.
pub fn activate(isa: Isa, activation: Activation, values: &[f32], factors: Option<&[f32]>, out: &mut [f32]) {
    isa.run(Activate { activation, values, factors, out });
}

struct RmsNorm<'a> {
    values: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let mean = sum_of_squares(self.values) / self.values.len() as f32;
        let factor = 1.0 / (mean + self.eps).sqrt();
        for ((out, value), weight) in self.out.iter_mut().zip(self.values).zip(self.weight) {
            *out = value * factor * weight;
        }
    }
}

#[inline(always)]
fn sum_of_squares(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// `out = values / √(mean(values²) + eps) · weight`. All slices have the same length.
pub fn rms_norm(isa: Isa, values: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    isa.run(RmsNorm { values, weight, eps, out });
}

/// As [`rms_norm`], in place.
pub fn rms_norm_in_place(isa: Isa, values: &mut [f32], weight: &[f32], eps: f32) {
    isa.run(RmsNormInPlace { values, weight, eps });
}

struct RmsNormInPlace<'a> {
    values: &'a mut [f32],
    weight: &'a [f32],
    eps: f32,
}

impl Kernel for RmsNormInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let mean = sum_of_squares(self.values) / self.values.len() as f32;
        let factor = 1.0 / (mean + self.eps).sqrt();
        for (value, weight) in self.values.iter_mut().zip(self.weight) {
            *value = *value * factor * weight;
        }
    }
}

/// Rotates one head in place by the angles whose cosines and sines are given, one per pair. A head longer than twice the
/// number of pairs keeps its rest (partial rotary embedding).
pub fn rotate(isa: Isa, layout: RotaryLayout, head: &mut [f32], cosines: &[f32], sines: &[f32]) {
    isa.run(Rotate { layout, head, cosines, sines });
}

struct Rotate<'a> {
    layout: RotaryLayout,
    head: &'a mut [f32],
    cosines: &'a [f32],
    sines: &'a [f32],
}

impl Kernel for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let pairs = self.cosines.len();
        let head = &mut self.head[..2 * pairs];
        match self.layout {
            RotaryLayout::HalfSplit => {
                let (first, second) = head.split_at_mut(pairs);
                for (((x, y), cos), sin) in first.iter_mut().zip(second).zip(self.cosines).zip(self.sines) {
                    (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
                }
            }
            RotaryLayout::Interleaved => {
                for (([x, y], cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(self.cosines).zip(self.sines) {
                    (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
                }
            }
        }
    }
}

/// The largest score; −∞ for none, NaN when there is one.
#[inline(always)]
pub(super) fn maximum(scores: &[f32]) -> f32 {
    let (chunks, rest) = scores.as_chunks::<16>();
    let mut most = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (most, &score) in most.iter_mut().zip(chunk) {
            *most = larger(*most, score);
        }
    }
    most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &score| larger(most, score))
}

/// The larger of two; a NaN on either side stays (nothing is larger than it).
#[inline(always)]
pub(super) fn larger(most: f32, score: f32) -> f32 {
    if score > most || score.is_nan() { score } else { most }
}

/// Replaces each score by e^(score − most) and returns the sum.
#[inline(always)]
pub(super) fn exp_and_sum(scores: &mut [f32], most: f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (chunks, rest) = scores.as_chunks_mut::<16>();
    for chunk in chunks {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp(*score - most);
            *sum += *score;
        }
    }
    let mut sum = sums.iter().sum::<f32>();
    for score in rest {
        *score = exp(*score - most);
        sum += *score;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut x = -87.2_f32;
        while x < 88.6 {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.4e-7, "exp({x}): relative error {error}");
            x += 0.003_7;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-100.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(100.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn xielu_follows_its_definition() {
        let (positive, negative, beta, eps) = (0.8_f32, 1.3_f32, 0.5_f32, -1e-6_f32);
        let xielu = Activation::Xielu { positive, negative, beta, eps };
        let mut inputs: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.005).collect();
        inputs.extend([-1e-7, -1e-6, -2e-6, -1e-4, -1e-3, 0.0, 1e-7, -300.0, 300.0]);
        for isa in available() {
            let mut out = vec![0.0; inputs.len()];
            activate(isa, xielu, &inputs, None, &mut out);
            for (&x, &found) in inputs.iter().zip(&out) {
                let wide = f64::from(x);
                let exact = if x > 0.0 {
                    f64::from(positive) * wide * wide + f64::from(beta) * wide
                } else {
                    f64::from(negative) * (wide.min(f64::from(eps)).exp_m1() - wide) + f64::from(beta) * wide
                };
                assert!(
                    (f64::from(found) - exact).abs() <= 1e-7 + 1e-6 * exact.abs(),
                    "{}: xielu({x}) = {found}, not {exact}",
                    isa.name()
                );
            }
            activate(isa, xielu, &[f32::NAN], None, &mut out[..1]);
            assert!(out[0].is_nan());
        }
    }

    #[test]
    fn gates_follow_their_definition() {
        let inputs: Vec<f32> = (-300..300).map(|i| i as f32 * 0.05).collect();
        let factors: Vec<f32> = inputs.iter().map(|x| 1.0 - x).collect();
        for isa in available() {
            let mut out = vec![0.0; inputs.len()];
            activate(isa, Activation::Silu, &inputs, Some(&factors), &mut out);
            for ((&x, &factor), &found) in inputs.iter().zip(&factors).zip(&out) {
                let exact = f64::from(x) / (1.0 + (-f64::from(x)).exp()) * f64::from(factor);
                assert!(
                    (f64::from(found) - exact).abs() <= 1e-6 + 1e-6 * exact.abs(),
                    "silu({x}) = {found}, not {exact}"
                );
            }
            activate(isa, Activation::GeluTanh, &inputs, None, &mut out);
            for (&x, &found) in inputs.iter().zip(&out) {
                let wide = f64::from(x);
                let exact = 0.5
                    * wide
                    * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3))).tanh());
                assert!(
                    (f64::from(found) - exact).abs() <= 1e-6 + 1e-6 * exact.abs(),
                    "gelu({x}) = {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn rms_norm_and_rotation_follow_their_definitions() {
        let values: Vec<f32> = (0..37).map(|i| (i as f32 - 11.0) * 0.3).collect();
        let weight: Vec<f32> = (0..37).map(|i| 1.0 + i as f32 * 0.01).collect();
        let mean: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 37.0;
        for isa in available() {
            let mut out = vec![0.0; 37];
            rms_norm(isa, &values, &weight, 1e-5, &mut out);
            for ((&value, &weight), &found) in values.iter().zip(&weight).zip(&out) {
                let exact = f64::from(value) / (mean + 1e-5).sqrt() * f64::from(weight);
                assert!((f64::from(found) - exact).abs() < 1e-5);
            }
            let mut in_place = values.clone();
            rms_norm_in_place(isa, &mut in_place, &weight, 1e-5);
            assert_eq!(in_place, out);

            let (cos, sin) = ([0.0, 1.0], [1.0, 0.0]);
            let mut head = [1.0, 2.0, 3.0, 4.0, 9.0];
            rotate(isa, RotaryLayout::HalfSplit, &mut head, &cos, &sin);
            assert_eq!(head, [-3.0, 2.0, 1.0, 4.0, 9.0]);
            let mut head = [1.0, 2.0, 3.0, 4.0, 9.0];
            rotate(isa, RotaryLayout::Interleaved, &mut head, &cos, &sin);
            assert_eq!(head, [-2.0, 1.0, 3.0, 4.0, 9.0]);
        }
    }

    #[test]
    fn maximum_and_sum_keep_what_is_no_number() {
        let mut scores: Vec<f32> = (0..37).map(|i| i as f32 * 0.1).collect();
        assert_eq!(maximum(&scores), scores[36]);
        assert_eq!(maximum(&[]), f32::NEG_INFINITY);
        scores[20] = f32::NAN;
        assert!(maximum(&scores).is_nan());
        assert!(exp_and_sum(&mut scores, 3.6).is_nan());
    }
}
