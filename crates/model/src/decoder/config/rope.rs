//! Rotary position embedding: which frequencies, paired how (Su et al. 2021, arXiv 2104.09864).

use std::f64::consts::TAU;

use super::{DecoderError, bad};

/// Which elements of a head are rotated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Element `i` with `i + dims/2` (Hugging Face checkpoints; "NeoX").
    HalfSplit,
    /// Element `2i` with `2i + 1` (Llama GGUF files, whose rows were permuted for it; "normal").
    Interleaved,
}

/// How frequencies are stretched for contexts beyond the trained one.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All divided by a factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Long wavelengths divided by `factor`, short ones kept, a linear blend between (Llama 3.1).
    Llama3 {
        /// The divisor of long wavelengths.
        factor: f64,
        /// Wavelengths above `original_context / low` are divided.
        low: f64,
        /// Wavelengths below `original_context / high` are kept.
        high: f64,
        /// Context of the pre-training.
        original_context: f64,
    },
    /// Each divided by its own number (the `rope_freqs.weight` tensor of a GGUF file).
    Divisors(Vec<f32>),
}

/// A rotation: base, stretch, pairing, and how many leading elements of each head turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// Stretch.
    pub scaling: RopeScaling,
    /// Pairing.
    pub pairing: Pairing,
    /// Leading elements of each head that turn; even, at most the head's width.
    pub dims: usize,
}

impl Rope {
    /// The angle per position of each pair, `dims / 2` values, rounded to `f32` as the reference does.
    pub fn frequencies(&self) -> Vec<f32> {
        (0..self.dims / 2)
            .map(|pair| {
                let plain = self.theta.powf(-((2 * pair) as f64) / self.dims as f64);
                self.stretch(plain, pair) as f32
            })
            .collect()
    }

    fn stretch(&self, frequency: f64, pair: usize) -> f64 {
        match &self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Divisors(divisors) => frequency / f64::from(divisors[pair]),
            &RopeScaling::Llama3 { factor, low, high, original_context } => {
                let wavelength = TAU / frequency;
                if wavelength < original_context / high {
                    frequency
                } else if wavelength > original_context / low {
                    frequency / factor
                } else {
                    let smooth = (original_context / wavelength - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        }
    }

    /// Cosines and sines for `positions`, each `[positions, dims / 2]` row-major.
    pub fn table(&self, positions: std::ops::Range<usize>) -> (Vec<f32>, Vec<f32>) {
        let frequencies = self.frequencies();
        let angles =
            positions.flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency));
        angles.map(|angle| (angle.cos(), angle.sin())).unzip()
    }

    pub(super) fn check(&self, head_dim: usize) -> Result<(), DecoderError> {
        if self.dims == 0 || !self.dims.is_multiple_of(2) || self.dims > head_dim {
            return Err(bad("rope dimensions", format!("{} of a head of {head_dim}", self.dims)));
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let sound = positive(self.theta)
            && match &self.scaling {
                RopeScaling::None => true,
                RopeScaling::Linear { factor } => positive(*factor),
                RopeScaling::Llama3 { factor, low, high, original_context } => {
                    [*factor, *low, *high, *original_context].into_iter().all(positive) && high > low
                }
                RopeScaling::Divisors(divisors) => {
                    divisors.len() == self.dims / 2 && divisors.iter().all(|&divisor| positive(divisor.into()))
                }
            };
        if sound { Ok(()) } else { Err(bad("rope", "base and scaling are not usable numbers".to_owned())) }
    }
}
