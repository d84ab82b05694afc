//! The kernel: some panels of a matrix for all rows.

use std::ops::Range;

use super::{Int8Matrix, Int8Rows, PANEL, epilogue::Epilogue, lists::QUAD};
use crate::kernels::{
    amx::{Amx, Depth, LINE, Sums, TILE, Tile},
    isa::Kernel,
    lanes::{Lanes, WIDTH},
    pool::SharedMut,
};

/// Vectors of channels per panel: what a pass works out where there are registers for it. With eight rows, sixteen sums.
const VECTORS: usize = PANEL / WIDTH;

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
            if L::GROUP > 4 {
                self.on_vectors::<L, VECTORS>(lanes, panel * PANEL);
            } else {
                for vector in 0..VECTORS {
                    self.on_vectors::<L, 1>(lanes, panel * PANEL + vector * WIDTH);
                }
            }
        }
    }
}

/// Where a quad lies in the lines of a row; in a tile of weights, each has a line.
#[inline(always)]
fn place(quad: usize) -> usize {
    let at = quad * QUAD;
    at / LINE * size_of::<Tile>() + at % LINE
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

    /// All rows for `V` vectors of channels.
    #[inline(always)]
    fn on_vectors<L: Lanes, const V: usize>(&self, lanes: L, channel: usize) {
        let count = self.rows.count();
        let mut row = 0;
        while row < count {
            row += match count - row {
                1 => self.group::<L, V, 1>(lanes, row, channel),
                2 => self.group::<L, V, 2>(lanes, row, channel),
                3 | 4 => self.group::<L, V, 4>(lanes, row, channel),
                _ if L::GROUP > 4 => self.group::<L, V, 8>(lanes, row, channel),
                _ => self.group::<L, V, 4>(lanes, row, channel),
            };
        }
    }

    /// `R` rows from `first` on, a multiple of `R`, so that they lie in one left tile; those past the last are worked out and
    /// forgotten. Returns `R`.
    #[inline(always)]
    fn group<L: Lanes, const V: usize, const R: usize>(&self, lanes: L, first: usize, channel: usize) -> usize {
        let count = self.rows.count();
        let weights: [_; V] = std::array::from_fn(|v| self.bytes[(channel / TILE + v) * self.tile_bytes()..].as_ptr());
        let rows: [usize; R] = std::array::from_fn(|row| (first + row).min(count - 1));
        let values = self.rows.run(first)[0].0[first % TILE * LINE..].as_ptr();
        let sums = if L::SHORT {
            self.sums_in_lists::<L, V, R>(lanes, first, weights, rows, values)
        } else {
            self.sums::<L, V, R>(lanes, weights, rows, values)
        };
        let constants = self.constants(lanes, channel);
        for (row, sums) in (first..count).zip(sums) {
            self.finish(lanes, row, channel, sums, constants);
        }
        R
    }

    /// The sums of `R` rows, whose first lines start at `values`, with the channels whose weights are at `weights`. One address for
    /// all rows: with one each there are more than registers, and reading them again costs a quarter of the time.
    #[inline(always)]
    fn sums<L: Lanes, const V: usize, const R: usize>(
        &self,
        lanes: L,
        weights: [*const u8; V],
        rows: [usize; R],
        values: *const u8,
    ) -> [[L::Ints; V]; R] {
        // Loops and not closures: they are compiled for the instruction set for certain.
        let mut sums = [[lanes.splat_int(0); V]; R];
        for (sums, row) in sums.iter_mut().zip(rows) {
            *sums = [lanes.signed_start(self.rows.negated_sum(row)); V];
        }
        for step in 0..self.rows.width() / LINE {
            for quad in 0..LINE / 4 {
                // SAFETY: a tile holds 64 bytes, a vector, per quad; a row holds a line in each left tile.
                unsafe {
                    let mut vectors = [lanes.splat_int(0); V];
                    for (vector, weights) in vectors.iter_mut().zip(weights) {
                        *vector = lanes.load_ints(weights.add(step * TILE * LINE + quad * LINE));
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let at = step * TILE * LINE + row * LINE + quad * 4;
                        let quad = lanes.splat_int(values.add(at).cast::<i32>().read());
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = lanes.dot_signed(*sum, vector, quad);
                        }
                    }
                }
            }
        }
        sums
    }

    /// [`Panels::sums`] list by list, with short sums where the activations allow it.
    #[inline(always)]
    fn sums_in_lists<L: Lanes, const V: usize, const R: usize>(
        &self,
        lanes: L,
        first: usize,
        weights: [*const u8; V],
        rows: [usize; R],
        values: *const u8,
    ) -> [[L::Ints; V]; R] {
        let zero = lanes.splat_int(0);
        let mut sums = [[zero; V]; R];
        for (sums, row) in sums.iter_mut().zip(rows) {
            *sums = [lanes.splat_int(self.rows.negated_sum(row) << 7); V];
        }
        let [together, apart, signed] = self.rows.lists(first).parts();
        for &pair in together {
            let quad = 2 * usize::from(pair);
            // SAFETY: as in `sums`; lists hold what is below the width.
            unsafe {
                let mut vectors = [[zero; 2]; V];
                for (vectors, weights) in vectors.iter_mut().zip(weights) {
                    for (next, vector) in vectors.iter_mut().enumerate() {
                        *vector = lanes.offset_bytes(lanes.load_ints(weights.add((quad + next) * LINE)));
                    }
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let values = values.add(place(quad) + row * LINE).cast::<i32>();
                    let quads = [lanes.splat_int(values.read()), lanes.splat_int(values.add(1).read())];
                    for (sum, vectors) in sums.iter_mut().zip(vectors) {
                        let short = lanes.dot_short(lanes.dot_short(zero, vectors[0], quads[0]), vectors[1], quads[1]);
                        *sum = lanes.add_short(*sum, short);
                    }
                }
            }
        }
        for &quad in apart {
            let quad = usize::from(quad);
            // SAFETY: as above.
            unsafe {
                let mut vectors = [zero; V];
                for (vector, weights) in vectors.iter_mut().zip(weights) {
                    *vector = lanes.offset_bytes(lanes.load_ints(weights.add(quad * LINE)));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let quad = lanes.splat_int(values.add(place(quad) + row * LINE).cast::<i32>().read());
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = lanes.add_short(*sum, lanes.dot_short(zero, vector, quad));
                    }
                }
            }
        }
        for &quad in signed {
            let quad = usize::from(quad);
            // SAFETY: as above.
            unsafe {
                let mut vectors = [zero; V];
                for (vector, weights) in vectors.iter_mut().zip(weights) {
                    *vector = lanes.load_ints(weights.add(quad * LINE));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let quad = lanes.splat_int(values.add(place(quad) + row * LINE).cast::<i32>().read());
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = lanes.dot_signed(*sum, vector, quad);
                    }
                }
            }
        }
        sums
    }

    /// Scales and biases of the vectors from `channel` on.
    #[inline(always)]
    fn constants<L: Lanes, const V: usize>(&self, lanes: L, channel: usize) -> [(L::Floats, L::Floats); V] {
        let mut constants = [(lanes.splat(0.0), lanes.splat(0.0)); V];
        for (v, constants) in constants.iter_mut().enumerate() {
            let at = channel + v * WIDTH;
            let (scales, bias) = (&self.matrix.scales[at..at + WIDTH], &self.matrix.bias[at..at + WIDTH]);
            // SAFETY: both slices hold a vector.
            *constants = unsafe { (lanes.load(scales.as_ptr()), lanes.load(bias.as_ptr())) };
        }
        constants
    }

    /// Scales the sums of a row, and writes them to their channels.
    #[inline(always)]
    fn finish<L: Lanes, const V: usize>(
        &self,
        lanes: L,
        row: usize,
        channel: usize,
        sums: [L::Ints; V],
        constants: [(L::Floats, L::Floats); V],
    ) {
        let outputs = self.matrix.outputs;
        let scale = lanes.splat(self.rows.scale(row));
        for (v, (sums, (channel_scale, bias))) in sums.into_iter().zip(constants).enumerate() {
            let value = lanes.fma(lanes.to_floats(sums), lanes.mul(scale, channel_scale), bias);
            let channel = channel + v * WIDTH;
            let width = outputs.saturating_sub(channel).min(WIDTH);
            // SAFETY: `multiply_int8` checked the output's length; these channels are written by this thread alone, and a
            // vector is read and written in place only when the row has room for it.
            unsafe {
                let out = self.out.at(row * outputs + channel.min(outputs));
                if width == WIDTH {
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
