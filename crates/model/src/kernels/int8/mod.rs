//! Dense int8 products for encoders: one scale per output channel, one per token, exact sums over the whole input.
//!
//! `out[t][n] = x_scale[t] · w_scale[n] · Σ_k x[t][k] · w[n][k] + bias[n]`, with GELU or a residual connection done while
//! the sums are still in registers. Compared with the block formats of [`super::multiply`], nothing is scaled inside the sum:
//! that is what lets the tile unit of a processor (AMX) do all of it, and what makes the plain vector path a third faster.
//! The price is one scale for a whole token; the accuracy is measured in `docs/benchmarks.md`.
//!
//! Rows and weights lie in the tiles of [`super::amx`], left and right, which serve the vector paths as well: a line of a right
//! tile is one vector, four inputs for each of sixteen channels. Two tiles side by side are a *panel* of 32 channels.
//!
//! Where the processor has no dot product of bytes, rows also have lists of what may be summed in 16 bits ([`lists`]).
//!
//! A panel of 384 inputs is 12 KiB: it is read once and meets all tokens from the first-level cache, while the tokens' own
//! bytes stream from the second.

mod epilogue;
mod levels;
mod lists;
mod panels;
mod rows;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use rows::Int8Rows;

use super::{
    amx::{LINE, TILE},
    arena::Arena,
    isa::Isa,
    matmul::PackError,
    pool::{SharedMut, ThreadPool},
};
use epilogue::{Add, Bias, Gelu};
use levels::Levels;
use panels::Panels;
use rows::quantise;

use crate::weights::WeightType;

/// Channels per panel: what one pass works out.
const PANEL: usize = 2 * TILE;
/// More inputs could overflow a sum of products of 127 by 127.
const MOST_INPUTS: usize = 1 << 17;

/// What follows the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The bias.
    Bias,
    /// The bias, then GELU within 4e-5 (Hendrycks & Gimpel 2016, arXiv 1606.08415).
    BiasGelu,
    /// The bias, added to what the output holds: a residual connection.
    BiasAdd,
}

/// A weight matrix `[outputs, inputs]` with its bias, packed inside an [`Arena`].
#[derive(Clone, Debug)]
pub struct Int8Matrix {
    outputs: usize,
    inputs: usize,
    part: Range<usize>,
    /// Per output, padded to whole panels.
    scales: Vec<f32>,
    /// Per output, padded to whole panels.
    bias: Vec<f32>,
    /// Where rows are to be brought before they are rounded.
    levels: Option<Levels>,
}

impl Int8Matrix {
    /// Bytes of arena that a matrix takes up.
    pub fn footprint(outputs: usize, inputs: usize) -> usize {
        Arena::footprint(outputs.next_multiple_of(PANEL).saturating_mul(inputs.next_multiple_of(LINE)))
    }

    /// Quantises a matrix that is given row by row in `values`, on all threads. Values must be finite. What is multiplied
    /// with it is expected to be like `sample`, `[tokens, inputs]`: its inputs are brought to one level before they are rounded,
    /// which makes no difference but for rounding; with an empty sample they stay as they are.
    ///
    /// # Errors
    /// [`PackError::Full`], and [`PackError::WrongLength`] when values or bias are not those of such a matrix or there are
    /// more than 131,072 inputs.
    pub fn pack(
        arena: &mut Arena,
        pool: &ThreadPool,
        [outputs, inputs]: [usize; 2],
        mut values: Vec<f32>,
        mut bias: Vec<f32>,
        sample: &[f32],
    ) -> Result<Self, PackError> {
        let fits = outputs.checked_mul(inputs) == Some(values.len()) && bias.len() == outputs;
        if !fits || inputs == 0 || inputs > MOST_INPUTS {
            let (dtype, found) = (WeightType::F32, size_of_val(&values[..]));
            return Err(PackError::WrongLength { rows: outputs, cols: inputs, dtype, found });
        }
        let (padded, tile_bytes) = (outputs.next_multiple_of(PANEL), inputs.next_multiple_of(LINE) * TILE);
        let part = arena.take(padded * inputs.next_multiple_of(LINE)).ok_or(PackError::Full)?;
        let levels = Levels::of(sample, &values, inputs);
        if let Some(levels) = &levels {
            levels.carry_over(&mut values, &mut bias);
        }
        let mut scales = vec![0.0; padded];
        bias.resize(padded, 0.0);
        let scale_of = SharedMut::new(&mut scales);
        let isa = Isa::detect();
        pool.for_each_chunk(arena.bytes_mut(&part), tile_bytes, 4, |tile, bytes| {
            let mut quantised = vec![0_i8; inputs.next_multiple_of(LINE)];
            for channel in 0..TILE.min(outputs.saturating_sub(tile * TILE)) {
                let row = tile * TILE + channel;
                let (scale, _) = quantise(isa, &values[row * inputs..(row + 1) * inputs], &mut quantised);
                // SAFETY: `row` is below `outputs`, and each tile, so each row, is worked on by one thread.
                unsafe { *scale_of.at(row) = scale };
                for (word, four) in bytes
                    .as_chunks_mut::<4>()
                    .0
                    .iter_mut()
                    .skip(channel)
                    .step_by(TILE)
                    .zip(quantised.as_chunks::<4>().0)
                {
                    *word = four.map(i8::cast_unsigned);
                }
            }
        });
        Ok(Self { outputs, inputs, part, scales, bias, levels })
    }

    /// Outputs per row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Inputs per row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

/// Multiplies `rows`, which were filled for `matrix`, with it, in one parallel region. `out` is `[rows, outputs]`.
///
/// # Panics
/// When a length does not fit the matrix: a defect of the caller.
pub fn multiply_int8(
    pool: &ThreadPool,
    arena: &Arena,
    rows: &Int8Rows,
    matrix: &Int8Matrix,
    then: Then,
    out: &mut [f32],
) {
    assert_eq!(rows.width(), matrix.inputs.next_multiple_of(LINE), "rows of another width");
    assert_eq!(out.len(), rows.count() * matrix.outputs, "output of another size");
    let (bytes, out) = (arena.bytes(&matrix.part), SharedMut::new(out));
    let panels = matrix.scales.len() / PANEL;
    // Four turns per thread, so that a delayed thread costs little.
    let grain = panels.div_ceil(pool.threads() * 4).max(1);
    pool.for_each_range(panels, grain, |range| {
        let isa = rows.isa();
        match then {
            Then::Bias => isa.run(Panels { matrix, bytes, rows, range, out: &out, then: Bias }),
            Then::BiasGelu => isa.run(Panels { matrix, bytes, rows, range, out: &out, then: Gelu }),
            Then::BiasAdd => isa.run(Panels { matrix, bytes, rows, range, out: &out, then: Add }),
        }
    });
}
