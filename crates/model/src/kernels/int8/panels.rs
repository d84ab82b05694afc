//! The kernel: some panels of a matrix for all rows.

use std::ops::Range;

use super::{Int8Matrix, Int8Rows, PANEL, epilogue::Epilogue};
use crate::kernels::{
    amx::{Amx, Depth, LINE, Sums, TILE, Tile},
    isa::Kernel,
    lanes::Lanes,
    pool::SharedMut,
};

/// Vectors of channels per pass of the vector path: with twelve rows, 24 sums of the 32 registers.
const VECTORS: usize = 2;

/// Some panels of a product.
pub(super) struct Panels<'a, E> {
    pub matrix: &'a Int8Matrix,
    /// All tiles of the matrix.
    pub bytes: &'a [u8],
    pub rows: &'a Int8Rows,
    /// The panels to work out.
    pub range: Range<usize>,
    /// `[rows, outputs]`.
    pub out: &'a SharedMut<f32>,
    pub then: E,
}

impl<E: Epilogue> Kernel for Panels<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        if let Some(amx) = self.rows.amx() {
            return self.on_tiles(lanes, amx);
        }
        for panel in self.range.clone() {
            for channel in (0..PANEL).step_by(VECTORS * L::WIDTH) {
                self.on_vectors(lanes, panel * PANEL + channel);
            }
        }
    }
}

impl<E: Epilogue> Panels<'_, E> {
    /// Bytes of one tile.
    #[inline(always)]
    fn tile_bytes(&self) -> usize {
        self.rows.width() * TILE
    }

    /// All rows for the panels, with matrix instructions.
    #[inline(always)]
    fn on_tiles<L: Lanes>(&self, lanes: L, amx: Amx) {
        let unit = amx.tiles(Depth::Full);
        let mut sums = [[Sums::zero(); 2]; 2];
        for panel in self.range.clone() {
            let channel = panel * PANEL;
            let right = [0, 1].map(|tile| {
                Tile::run(
                    &self.bytes[(2 * panel + tile) * self.tile_bytes()..(2 * panel + tile + 1) * self.tile_bytes()],
                )
            });
            let constants = self.constants(lanes, channel);
            for block in (0..self.rows.count()).step_by(PANEL) {
                let left = self.rows.count() - block;
                if left > TILE {
                    unit.multiply_i8([self.rows.run(block), self.rows.run(block + TILE)], right, &mut sums);
                } else {
                    let [upper, _] = &mut sums;
                    unit.multiply_i8([self.rows.run(block)], right, std::array::from_mut(upper));
                }
                for row in 0..left.min(PANEL) {
                    let mut vectors = [lanes.splat_int(0); VECTORS];
                    for (vector, sums) in vectors.iter_mut().zip(&sums[row / TILE]) {
                        // SAFETY: a row of a result is sixteen numbers, one vector of this instruction set.
                        *vector = unsafe { lanes.load_ints(sums.0[row % TILE * TILE..][..TILE].as_ptr().cast()) };
                    }
                    self.finish(lanes, block + row, channel, vectors, constants);
                }
            }
        }
    }

    /// All rows for `2 · WIDTH` channels, in vector registers.
    #[inline(always)]
    fn on_vectors<L: Lanes>(&self, lanes: L, channel: usize) {
        let count = self.rows.count();
        let mut row = 0;
        while row < count {
            row += match count - row {
                1 => self.group::<L, 1>(lanes, row, channel),
                2 => self.group::<L, 2>(lanes, row, channel),
                3 | 4 => self.group::<L, 4>(lanes, row, channel),
                5..=8 if L::GROUP > 4 => self.group::<L, 8>(lanes, row, channel),
                _ if L::GROUP > 4 => self.group::<L, 12>(lanes, row, channel),
                _ => self.group::<L, 4>(lanes, row, channel),
            };
        }
    }

    /// `R` rows; those past the last are worked out and forgotten. Returns `R`.
    #[inline(always)]
    fn group<L: Lanes, const R: usize>(&self, lanes: L, first: usize, channel: usize) -> usize {
        let count = self.rows.count();
        let weights = [0, 1].map(|v| {
            let channel = channel + v * L::WIDTH;
            self.bytes[channel / TILE * self.tile_bytes() + channel % TILE * 4..].as_ptr()
        });
        let rows: [usize; R] = std::array::from_fn(|row| (first + row).min(count - 1));
        let values = rows.map(|row| self.rows.run(row)[0].0[row % TILE * LINE..].as_ptr());
        // Loops and not closures from here on: they are compiled for the instruction set for certain.
        let mut sums = [[lanes.splat_int(0); VECTORS]; R];
        for (sums, row) in sums.iter_mut().zip(rows) {
            *sums = [lanes.signed_start(self.rows.negated_sum(row)); VECTORS];
        }
        for step in 0..self.rows.width() / LINE {
            for quad in 0..LINE / 4 {
                // SAFETY: a tile holds 64 bytes per quad, of which a vector is a part; a row holds a line in each left tile.
                unsafe {
                    let mut vectors = [lanes.splat_int(0); VECTORS];
                    for (vector, weights) in vectors.iter_mut().zip(weights) {
                        *vector = lanes.load_ints(weights.add(step * TILE * LINE + quad * LINE));
                    }
                    for (sums, values) in sums.iter_mut().zip(values) {
                        let quad = lanes.splat_int(values.add(step * TILE * LINE + quad * 4).cast::<i32>().read());
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = lanes.dot_signed(*sum, vector, quad);
                        }
                    }
                }
            }
        }
        let constants = self.constants(lanes, channel);
        for (row, sums) in (first..count).zip(sums) {
            self.finish(lanes, row, channel, sums, constants);
        }
        R
    }

    /// Scales and biases of the vectors from `channel` on.
    #[inline(always)]
    fn constants<L: Lanes>(&self, lanes: L, channel: usize) -> [(L::Floats, L::Floats); VECTORS] {
        let mut constants = [(lanes.splat(0.0), lanes.splat(0.0)); VECTORS];
        for (v, constants) in constants.iter_mut().enumerate() {
            let at = channel + v * L::WIDTH;
            let (scales, bias) = (&self.matrix.scales[at..at + L::WIDTH], &self.matrix.bias[at..at + L::WIDTH]);
            // SAFETY: both slices hold a vector.
            *constants = unsafe { (lanes.load(scales.as_ptr()), lanes.load(bias.as_ptr())) };
        }
        constants
    }

    /// Scales the sums of a row, and writes them to their channels.
    #[inline(always)]
    fn finish<L: Lanes>(
        &self,
        lanes: L,
        row: usize,
        channel: usize,
        sums: [L::Ints; VECTORS],
        constants: [(L::Floats, L::Floats); VECTORS],
    ) {
        let outputs = self.matrix.outputs;
        let scale = lanes.splat(self.rows.scale(row));
        for (v, (sums, (channel_scale, bias))) in sums.into_iter().zip(constants).enumerate() {
            let value = lanes.fma(lanes.to_floats(sums), lanes.mul(scale, channel_scale), bias);
            let channel = channel + v * L::WIDTH;
            let width = outputs.saturating_sub(channel).min(L::WIDTH);
            // SAFETY: `multiply_int8` checked the output's length; these channels are written by this thread alone, and a
            // vector is read and written in place only when the row has room for it.
            unsafe {
                let out = self.out.at(row * outputs + channel.min(outputs));
                if width == L::WIDTH {
                    let old = if E::READS { lanes.load(out) } else { value };
                    lanes.store(out, self.then.finish(lanes, value, old));
                } else {
                    let mut spare = [0.0_f32; TILE];
                    std::ptr::copy_nonoverlapping(out, spare.as_mut_ptr(), width);
                    let old = lanes.load(spare.as_ptr());
                    lanes.store(spare.as_mut_ptr(), self.then.finish(lanes, value, old));
                    std::ptr::copy_nonoverlapping(spare.as_ptr(), out, width);
                }
            }
        }
    }
}
