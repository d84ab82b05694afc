//! Q4_0: 4-bit weights, one scale per 32.
//!
//! A weight is `d · (q − 8)` with q in 0…15:
//!
//! ```text
//! offset 0        8 vectors of 64 bytes: vector 4b + j holds, per row, four bytes whose low nibbles are inputs
//!                 32b + 4j … + 3 and whose high nibbles are inputs 32b + 16 + 4j … + 3     (the file's own pairing)
//! 512             d  [2][16 rows] f16
//! 576             the next 64 inputs; of an odd number of blocks the last is zeros
//! ```
//!
//! The offset 8 goes into the sum: −8 · Σ activations. The products of a block are a short sum.

use std::ops::Range;

use super::{Blocks, Tile, interleave};
use crate::kernels::{activations::GroupView, amx::LINE, lanes::Lanes};

/// Bytes per block of one row in the file: d, 16 bytes of weights.
const FILE_BLOCK: usize = 18;

/// Bytes of two blocks of sixteen rows.
pub(super) const PAIR: usize = 576;

/// The arithmetic of Q4_0 tiles.
pub(crate) enum Q4 {}

impl Tile for Q4 {
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
                for j in 0..4 {
                    let packed = lanes.load_weights(bytes.add(j * 64));
                    let (low, high) = (lanes.low_nibbles(packed), lanes.high_nibbles(packed));
                    for (r, dot) in dot.iter_mut().enumerate() {
                        let quad = lanes.splat_int(*view.quads.add((block * 8 + j) * R + r));
                        *dot = lanes.dot_short(*dot, low, quad);
                        let quad = lanes.splat_int(*view.quads.add((block * 8 + 4 + j) * R + r));
                        *dot = lanes.dot_short(*dot, high, quad);
                    }
                }
                let d = lanes.load_f16(tile.add(Self::scales_at(block)).cast());
                for r in 0..R {
                    let offset = lanes.splat_int(*view.sums32.add(block * R + r) << 3);
                    let sum = lanes.add_short(offset, dot[r]);
                    let scale = lanes.mul(d, lanes.splat(*view.scales.add(block * R + r)));
                    total[r] = lanes.fma(lanes.to_floats(sum), scale, total[r]);
                }
            }
        }
    }
}

impl Blocks for Q4 {
    #[inline(always)]
    unsafe fn bytes<L: Lanes>(lanes: L, tile: *const u8, block: usize, out: *mut u8) {
        for j in 0..4 {
            // SAFETY: the caller's contract; a block has four vectors.
            unsafe {
                let bytes = lanes.load_ints(tile.add(weights_at(block) + j * LINE));
                lanes.store_ints(out.add(j * LINE), lanes.centre_nibbles(lanes.low_nibbles(bytes)));
                lanes.store_ints(out.add((4 + j) * LINE), lanes.centre_nibbles(lanes.high_nibbles(bytes)));
            }
        }
    }

    #[inline(always)]
    fn scales_at(block: usize) -> usize {
        block / 2 * PAIR + 512 + block % 2 * 32
    }
}

/// Where the weights of a block start in a tile.
#[inline(always)]
fn weights_at(block: usize) -> usize {
    block / 2 * PAIR + block % 2 * 256
}

/// Moves one row from the file's layout into its place in the tile.
pub(super) fn pack_row(tile: &mut [u8], row: usize, bytes: &[u8]) {
    let blocks = bytes.as_chunks::<FILE_BLOCK>().0;
    for (index, block) in blocks.iter().enumerate() {
        interleave(&mut tile[weights_at(index)..], row, &block[2..]);
        let at = Q4::scales_at(index) + row * 2;
        tile[at..at + 2].copy_from_slice(&block[..2]);
    }
}
