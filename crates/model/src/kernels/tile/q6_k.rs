//! Q6_K: 6-bit weights, one signed 8-bit scale per 16, in super-blocks of 256.
//!
//! A weight is `d · scale · (q − 32)` with q in 0…63. One super-block of a tile, with n the half (inputs 128n …):
//!
//! ```text
//! offset 0      48 vectors of 64 bytes in threes, 3(8n + j) …, j < 8:
//!                 low four bits: low nibbles inputs 128n + 4j …, high nibbles 128n + 64 + 4j …
//!                 low four bits: low nibbles inputs 128n + 32 + 4j …, high nibbles 128n + 96 + 4j …
//!                 high two bits: in bits 2m, 2m + 1 those of inputs 128n + 32m + 4j …
//! 3072          scales  [16 sub-blocks][16 rows] i8
//! 3328          d       [16 rows] f16
//! 3360          32 bytes of padding to a whole cache line
//! 3392
//! ```
//!
//! What is multiplied together lies together: one row reads memory in a straight line, which is what a processor fetches ahead.
//! With low and high bits in two runs, as the file has them, a core of Zen 4 read a third as fast (10 and 28 GB/s).
//!
//! The offset 32 is applied to all sixteen sub-blocks at once: 8 dot products of (scale, scale) with pairs of activation
//! sums. A sub-block's integer sum stays below 16 · 63 · 127, a super-block's below 2^28.

use std::ops::Range;

use super::{SuperBlocks, Tile, add_unpacked, put_word};
use crate::kernels::{
    activations::GroupView,
    amx::{self, LINE},
    lanes::Lanes,
};

/// Bytes per super-block of sixteen rows.
pub(super) const BLOCK: usize = 3392;
/// Bytes of the weights of a half.
const HALF: usize = 1536;
const SCALES: usize = 3072;
const D: usize = 3328;

/// Bytes per super-block of one row in the file: 128 low, 64 high, 16 scales, d.
const FILE_BLOCK: usize = 210;

/// The arithmetic of Q6_K tiles.
pub(crate) enum Q6K {}

impl Tile for Q6K {
    const PACKED: bool = true;

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(lanes: L, tile: *const u8, inputs: Range<usize>, out: *mut u8) {
        for (index, block) in (inputs.start / 256..inputs.end / 256).enumerate() {
            for n in 0..2 {
                // SAFETY: the caller's contract; a half has 32 quads, eight per field of high bits.
                unsafe {
                    let half = tile.add(block * BLOCK + n * HALF);
                    let out = out.add((index * 2 + n) * 32 * LINE);
                    unpack_field::<L, 0>(lanes, half, out);
                    unpack_field::<L, 1>(lanes, half, out);
                    unpack_field::<L, 2>(lanes, half, out);
                    unpack_field::<L, 3>(lanes, half, out);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply<L: Lanes, const R: usize>(
        lanes: L,
        tile: *const u8,
        inputs: Range<usize>,
        unpacked: Option<*const u8>,
        view: GroupView,
        total: &mut [L::Floats; R],
    ) {
        for (index, block) in (inputs.start / 256..inputs.end / 256).enumerate() {
            // SAFETY: the caller's contract covers every offset of the layout above, per super-block and lane, and
            // 64 quads, 1 scale and 8 pairs of sums per super-block and activation row.
            unsafe {
                let tile = tile.add(block * BLOCK);
                let mut sum = [lanes.splat_int(0); R];
                if let Some(unpacked) = unpacked {
                    for sub in 0..16 {
                        let quads = view.quads.add((block * 64 + sub * 4) * R);
                        let places = (unpacked.add((index * 64 + sub * 4) * LINE), quads);
                        let scale = lanes.load_i8(tile.add(SCALES + sub * 16));
                        add_unpacked::<L, R, 4>(lanes, places, run::<L>(), scale, &mut sum);
                    }
                } else {
                    for half in 0..2 {
                        let part = Part {
                            weights: tile.add(half * HALF),
                            scales: tile.add(SCALES + half * 128),
                            quads: view.quads.add((block * 64 + half * 32) * R),
                        };
                        if super::fits::<L>(4 * R) {
                            part.add_at_once(lanes, &mut sum);
                        } else {
                            part.add::<L, R, 0>(lanes, &mut sum);
                            part.add::<L, R, 1>(lanes, &mut sum);
                            part.add::<L, R, 2>(lanes, &mut sum);
                            part.add::<L, R, 3>(lanes, &mut sum);
                        }
                    }
                }
                let mut dot = [lanes.splat_int(0); R];
                for pair in 0..8 {
                    let even = lanes.load_i8(tile.add(SCALES + pair * 32));
                    let odd = lanes.load_i8(tile.add(SCALES + pair * 32 + 16));
                    let scales = lanes.pair(even, odd);
                    for (r, dot) in dot.iter_mut().enumerate() {
                        let sums = lanes.splat_int(*view.sums16.add((block * 8 + pair) * R + r));
                        *dot = lanes.dot_pairs(*dot, scales, sums);
                    }
                }
                let d = lanes.load_f16(tile.add(D).cast());
                for r in 0..R {
                    let sum = lanes.add_scaled(sum[r], dot[r], lanes.splat_int(-32));
                    let scale = lanes.mul(d, lanes.splat(*view.scales.add(block * R + r)));
                    total[r] = lanes.fma(lanes.to_floats(sum), scale, total[r]);
                }
            }
        }
    }
}

impl SuperBlocks for Q6K {
    const BYTES: usize = BLOCK;
    /// d
    type Shared<L: Lanes> = L::Floats;

    #[inline(always)]
    unsafe fn expand<L: Lanes>(lanes: L, block: *const u8, planes: &mut [[amx::Tile; 4]; 2]) {
        let [high, low] = planes.each_mut().map(|plane| plane.as_mut_ptr().cast::<u8>());
        // Inputs 128n + 32m …: n the half, m the field of the high bits.
        for n in 0..2 {
            // SAFETY: the caller's contract; a plane has 64 lines, eight per 32 inputs.
            unsafe {
                let out = [high.add(n * 32 * LINE), low.add(n * 32 * LINE)];
                let parts = (block.add(n * HALF), block.add(SCALES + n * 128));
                expand_field::<L, 0>(lanes, parts, out);
                expand_field::<L, 1>(lanes, parts, out);
                expand_field::<L, 2>(lanes, parts, out);
                expand_field::<L, 3>(lanes, parts, out);
            }
        }
    }

    #[inline(always)]
    unsafe fn shared<L: Lanes>(lanes: L, block: *const u8) -> L::Floats {
        // SAFETY: the caller's contract.
        unsafe { lanes.load_f16(block.add(D).cast()) }
    }

    #[inline(always)]
    unsafe fn add<L: Lanes>(
        lanes: L,
        &d: &L::Floats,
        [high, low]: [L::Ints; 2],
        scale: f32,
        _sums: *const i32,
        total: L::Floats,
    ) -> L::Floats {
        lanes.fma(lanes.to_floats(lanes.join_sixty_fourths(high, low)), lanes.mul(d, lanes.splat(scale)), total)
    }
}

/// Expands the 32 inputs of one half whose high bits are field `M`.
///
/// # Safety
/// The parts are the weights and scales of a half super-block; the outputs have 32 lines.
#[inline(always)]
unsafe fn expand_field<L: Lanes, const M: usize>(
    lanes: L,
    (half, scales): (*const u8, *const u8),
    [high, low]: [*mut u8; 2],
) {
    for j in 0..8 {
        // SAFETY: the caller's contract.
        unsafe {
            let scale = lanes.load_i8(scales.add((2 * M + j / 4) * 16));
            let weights = field::<L, M>(lanes, half, j);
            let products = lanes.centred_products(weights, scale);
            lanes.store_ints(high.add((M * 8 + j) * LINE), products[0]);
            lanes.store_ints(low.add((M * 8 + j) * LINE), products[1]);
        }
    }
}

/// Takes the weights of one half whose high bits are field `M` apart.
///
/// # Safety
/// `half` is the weights of a half super-block; `out` has 32 lines.
#[inline(always)]
unsafe fn unpack_field<L: Lanes, const M: usize>(lanes: L, half: *const u8, out: *mut u8) {
    for j in 0..8 {
        // SAFETY: the caller's contract.
        unsafe { lanes.store_ints(out.add((M * 8 + j) * LINE), field::<L, M>(lanes, half, j)) };
    }
}

/// Quad `j` of the 32 inputs whose high bits are field `M`: their low bits are in the first vector of three where M is even, and
/// in low nibbles where it is below 2.
///
/// # Safety
/// `half` is the weights of a half super-block, and `j` is below 8.
#[inline(always)]
unsafe fn field<L: Lanes, const M: usize>(lanes: L, half: *const u8, j: usize) -> L::Ints {
    // SAFETY: the caller's contract.
    unsafe {
        let bytes = lanes.load_ints(half.add((3 * j + M % 2) * LINE));
        let nibbles = if M < 2 { lanes.low_nibbles(bytes) } else { lanes.high_nibbles(bytes) };
        lanes.with_high_bits::<M>(nibbles, lanes.load_ints(half.add((3 * j + 2) * LINE)))
    }
}

/// One half of a super-block: 128 inputs.
struct Part {
    weights: *const u8,
    scales: *const u8,
    quads: *const i32,
}

impl Part {
    /// Adds all 128 inputs while every weight is loaded once.
    ///
    /// # Safety
    /// The pointers are those of a half super-block and of a group of `R` rows.
    #[inline(always)]
    unsafe fn add_at_once<L: Lanes, const R: usize>(&self, lanes: L, sum: &mut [L::Ints; R]) {
        for first in (0..8).step_by(run::<L>()) {
            let mut dots = [[lanes.splat_int(0); R]; 4];
            // SAFETY: the caller's contract; fields 0 and 2 go with the first vector of three, 1 and 3 with the second.
            unsafe {
                for j in first..first + run::<L>() {
                    let three = self.weights.add(3 * j * LINE);
                    let even = lanes.load_weights(three);
                    let odd = lanes.load_weights(three.add(LINE));
                    let fields = lanes.load_weights(three.add(2 * LINE));
                    let weights = [
                        lanes.with_high_bits::<0>(lanes.low_nibbles(even), fields),
                        lanes.with_high_bits::<1>(lanes.low_nibbles(odd), fields),
                        lanes.with_high_bits::<2>(lanes.high_nibbles(even), fields),
                        lanes.with_high_bits::<3>(lanes.high_nibbles(odd), fields),
                    ];
                    for (field, (dots, weights)) in dots.iter_mut().zip(weights).enumerate() {
                        for (r, dot) in dots.iter_mut().enumerate() {
                            let quad = lanes.splat_int(*self.quads.add((field * 8 + j) * R + r));
                            *dot = lanes.dot_short(*dot, weights, quad);
                        }
                    }
                }
                for (field, dots) in dots.into_iter().enumerate() {
                    let scale = lanes.load_i8(self.scales.add((2 * field + first / 4) * 16));
                    for (sum, dot) in sum.iter_mut().zip(dots) {
                        *sum = lanes.add_short_scaled(*sum, dot, scale);
                    }
                }
            }
        }
    }

    /// Adds the 32 inputs whose high bits are field `M`.
    ///
    /// # Safety
    /// The pointers are those of a half super-block and of a group of `R` rows.
    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize, const M: usize>(&self, lanes: L, sum: &mut [L::Ints; R]) {
        for first in (0..8).step_by(run::<L>()) {
            let mut dot = [lanes.splat_int(0); R];
            for j in first..first + run::<L>() {
                // SAFETY: the caller's contract.
                unsafe {
                    let weights = field::<L, M>(lanes, self.weights, j);
                    for (r, dot) in dot.iter_mut().enumerate() {
                        let quad = lanes.splat_int(*self.quads.add((M * 8 + j) * R + r));
                        *dot = lanes.dot_short(*dot, weights, quad);
                    }
                }
            }
            // SAFETY: as above.
            let scale = unsafe { lanes.load_i8(self.scales.add((2 * M + first / 4) * 16)) };
            for (sum, dot) in sum.iter_mut().zip(dot) {
                *sum = lanes.add_short_scaled(*sum, dot, scale);
            }
        }
    }
}

/// Quads per short sum: a sub-block has four, and 16 bits hold two.
#[inline(always)]
fn run<L: Lanes>() -> usize {
    if L::SHORT { 2 } else { 4 }
}

/// Moves one row from the file's layout into its place in the tile.
pub(super) fn pack_row(tile: &mut [u8], row: usize, bytes: &[u8]) {
    for (block, tile) in bytes.as_chunks::<FILE_BLOCK>().0.iter().zip(tile.as_chunks_mut::<BLOCK>().0) {
        for (index, word) in block[..192].as_chunks::<4>().0.iter().enumerate() {
            // 32 words of low bits, sixteen per half, then sixteen of high bits.
            let (half, j, part) = match index {
                0..32 => (index / 16, index % 8, index / 8 % 2),
                _ => (index / 8 - 4, index % 8, 2),
            };
            put_word(tile, half * 24 + 3 * j + part, row, word);
        }
        for sub in 0..16 {
            tile[SCALES + sub * 16 + row] = block[192 + sub];
        }
        tile[D + 2 * row..D + 2 * row + 2].copy_from_slice(&block[208..210]);
    }
}
