//! Q8_0: signed 8-bit weights, one scale per 32.
//!
//! A weight is `d · q` with q in −128…127. Two blocks lie together, so that every vector of weights is a cache line, and with
//! their scales, so that one row reads memory in a straight line:
//!
//! ```text
//! offset 0        16 vectors of 64 bytes: vector j holds, per row, inputs 4j … 4j + 3
//! 1024            d  [2][16 rows] f16
//! 1088            the next 64 inputs; of an odd number of blocks the last is zeros
//! ```
//!
//! The dot-product instruction wants unsigned weights: the sum starts at −128 · Σ activations and every weight gets 128
//! added (its sign bit flipped). Instruction sets with a signed product do neither; see [`Lanes::signed_start`].

use std::ops::Range;

use half::f16;

use super::{Blocks, Tile, interleave};
use crate::kernels::{activations::GroupView, amx::LINE, lanes::Lanes};

/// Bytes per block of one row in the file: d, 32 weights.
const FILE_BLOCK: usize = 34;

/// Bytes of two blocks of sixteen rows.
pub(super) const PAIR: usize = 1088;

/// The arithmetic of Q8_0 tiles.
pub(crate) enum Q8 {}

impl Tile for Q8 {
    const PACKED: bool = false;

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(_lanes: L, _tile: *const u8, _inputs: Range<usize>, _out: *mut u8) {}

    #[inline(always)]
    unsafe fn multiply<L: Lanes, const R: usize>(
        lanes: L,
        tile: *const u8,
        inputs: Range<usize>,
        _unpacked: Option<*const u8>,
        view: GroupView,
        total: &mut [L::Floats; R],
    ) {
        for block in inputs.start / 32..inputs.end / 32 {
            // SAFETY: the caller's contract covers every offset of the layout above, and 8 quads, 1 scale and 1 sum per
            // block and activation row.
            unsafe {
                let bytes = tile.add(weights_at(block));
                let mut dot = [lanes.splat_int(0); R];
                for (r, dot) in dot.iter_mut().enumerate() {
                    *dot = lanes.signed_start(*view.sums32.add(block * R + r));
                }
                for j in 0..8 {
                    let weights = lanes.load_weights(bytes.add(j * 64));
                    for (r, dot) in dot.iter_mut().enumerate() {
                        let quad = lanes.splat_int(*view.quads.add((block * 8 + j) * R + r));
                        *dot = lanes.dot_signed(*dot, weights, quad);
                    }
                }
                let d = lanes.load_f16(tile.add(Self::scales_at(block)).cast());
                for r in 0..R {
                    let scale = lanes.mul(d, lanes.splat(*view.scales.add(block * R + r)));
                    total[r] = lanes.fma(lanes.to_floats(dot[r]), scale, total[r]);
                }
            }
        }
    }
}

impl Blocks for Q8 {
    #[inline(always)]
    unsafe fn bytes<L: Lanes>(lanes: L, tile: *const u8, block: usize, out: *mut u8) {
        for j in 0..8 {
            // SAFETY: the caller's contract; a block has eight vectors.
            unsafe { lanes.store_ints(out.add(j * LINE), lanes.load_ints(tile.add(weights_at(block) + j * LINE))) };
        }
    }

    #[inline(always)]
    fn scales_at(block: usize) -> usize {
        block / 2 * PAIR + 1024 + block % 2 * 32
    }
}

/// Where the weights of a block start in a tile.
#[inline(always)]
fn weights_at(block: usize) -> usize {
    block / 2 * PAIR + block % 2 * 512
}

/// Where the scale of a block of one row lies in a tile.
fn scale_at(block: usize, row: usize) -> Range<usize> {
    let at = Q8::scales_at(block) + row * 2;
    at..at + 2
}

/// Moves one row from the file's layout into its place in the tile.
pub(super) fn pack_row(tile: &mut [u8], row: usize, bytes: &[u8]) {
    let blocks = bytes.as_chunks::<FILE_BLOCK>().0;
    for (index, block) in blocks.iter().enumerate() {
        interleave(&mut tile[weights_at(index)..], row, &block[2..]);
        tile[scale_at(index, row)].copy_from_slice(&block[..2]);
    }
}

/// Quantises one row (a multiple of 32 long) into its place in the tile. A block with a NaN or an infinity gets the scale
/// NaN, so that outputs show it.
pub(super) fn quantise_row(tile: &mut [u8], row: usize, values: &[f32]) {
    for (index, block) in values.as_chunks::<32>().0.iter().enumerate() {
        let magnitude =
            block.iter().fold(0.0_f32, |most, value| if value.is_nan() { *value } else { most.max(value.abs()) });
        let scale =
            f16::from_f32(if block.iter().any(|value| !value.is_finite()) { f32::NAN } else { magnitude / 127.0 });
        // The scale as it is stored decides the integers; it can round to zero.
        let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
        let q = block.map(|value| ((value * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned());
        interleave(&mut tile[weights_at(index)..], row, &q);
        tile[scale_at(index, row)].copy_from_slice(&scale.to_le_bytes());
    }
}
