//! Inputs brought to one level before they are rounded.
//!
//! A token has one scale, so an input that is always large leaves the others few of the 127 steps. In encoders a handful of
//! inputs are: the normalisation before them gives them a large constant, or a large factor. What is the same for every
//! token can be taken off beforehand and given back: with a middle `m` and a factor `f` for each input,
//! `Σ x·w = Σ (x − m)·f · w/f + Σ m·w`, where the last sum belongs to the bias. Half of the inequality goes to the weights, which
//! have one scale per channel (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438; with shifts, Wei et al. 2023, arXiv 2304.09145).

use crate::kernels::{Lanes, isa::Kernel};

/// How much of an input's range is taken off it, as an exponent; the rest is left to the weights. Of 0.5, 0.65 and 0.8 the
/// best on multilingual-e5-small.
const SHARE: f32 = 0.65;
/// Ranges below this count as this, so that an input that never changes has a factor.
const LEAST: f32 = 1e-5;

/// What is done to each input of a product.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    /// Taken off first.
    middle: Vec<f32>,
    /// Multiplied with then.
    factor: Vec<f32>,
}

impl Levels {
    /// Levels for inputs like those of `sample`, `[tokens, inputs]`, that meet `weights`, `[outputs, inputs]`. `None` when
    /// the sample is empty or not finite.
    pub fn of(sample: &[f32], weights: &[f32], inputs: usize) -> Option<Self> {
        let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); inputs];
        for row in sample.chunks_exact(inputs) {
            for ((low, high), value) in ranges.iter_mut().zip(row) {
                (*low, *high) = (low.min(*value), high.max(*value));
            }
        }
        let mut largest = vec![LEAST; inputs];
        for row in weights.chunks_exact(inputs) {
            largest.iter_mut().zip(row).for_each(|(largest, weight)| *largest = largest.max(weight.abs()));
        }
        let middle: Vec<f32> = ranges.iter().map(|(low, high)| f32::midpoint(*low, *high)).collect();
        let exponents: Vec<f32> = ranges
            .iter()
            .zip(&largest)
            .map(|((low, high), weight)| (1.0 - SHARE) * weight.ln() - SHARE * ((high - low) / 2.0).max(LEAST).ln())
            .collect();
        // Only differences between inputs count: the mean goes, so that numbers stay of the size they had.
        let mean = exponents.iter().sum::<f32>() / inputs as f32;
        let factor: Vec<f32> = exponents.iter().map(|exponent| (exponent - mean).exp()).collect();
        let finite = middle.iter().chain(&factor).all(|value| value.is_finite()) && factor.iter().all(|f| *f > 0.0);
        finite.then_some(Self { middle, factor })
    }

    /// Makes weights and bias the ones for levelled inputs.
    pub fn carry_over(&self, weights: &mut [f32], bias: &mut [f32]) {
        for (row, bias) in weights.chunks_exact_mut(self.factor.len()).zip(bias) {
            // In double precision: the middles may be large and cancel.
            let taken: f64 = row.iter().zip(&self.middle).map(|(w, m)| f64::from(*w) * f64::from(*m)).sum();
            *bias = (f64::from(*bias) + taken) as f32;
            row.iter_mut().zip(&self.factor).for_each(|(weight, factor)| *weight /= factor);
        }
    }
}

/// Brings the values of a row to their levels.
pub(super) struct Bring<'a> {
    pub values: &'a [f32],
    pub levels: &'a Levels,
    pub out: &'a mut [f32],
}

impl Kernel for Bring<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        let Levels { middle, factor } = self.levels;
        for (((out, value), middle), factor) in self.out.iter_mut().zip(self.values).zip(middle).zip(factor) {
            *out = (value - middle) * factor;
        }
    }
}
