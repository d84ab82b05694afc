//! Q4_0: 4-bit weights, one scale per 32.
//!
//! A weight is `d · (q − 8)` with q in 0…15:
//!
//! ```text
//! offset 0        cols / 8 vectors of 64 bytes: vector 4b + j holds, per row, four bytes whose low nibbles are inputs
//!                 32b + 4j … + 3 and whose high nibbles are inputs 32b + 16 + 4j … + 3     (the file's own pairing)
//! 8 · cols        d  [cols / 32][16 rows] f16
//! 9 · cols        (up to a multiple of 64)
//! ```
//!
//! The offset 8 goes into the sum: −8 · Σ activations. The products of a block are a short sum.

use std::ops::Range;

use super::{Blocks, TILE_ROWS, Tile, interleave};
use crate::kernels::{activations::GroupView, amx, lanes::Lanes};

/// Bytes per block of one row in the file: d, 16 bytes of weights.
const FILE_BLOCK: usize = 18;

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
        cols: usize,
        inputs: Range<usize>,
        _unpacked: Option<*const u8>,
        view: GroupView,
        total: &mut [L::Floats; R],
    ) {
        for block in inputs.start / 32..inputs.end / 32 {
            // SAFETY: the caller's contract covers every offset of the layout above, and 8 quads, 1 scale and 1 sum per
            // block and activation row.
            unsafe {
                let bytes = tile.add(block * 256);
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
                let d = lanes.load_f16(tile.add(cols * 8 + block * 32).cast());
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
    unsafe fn bytes<'a, L: Lanes>(
        lanes: L,
        tile: &'a [u8],
        inputs: Range<usize>,
        spare: &'a mut Vec<amx::Tile>,
    ) -> &'a [u8] {
        spare.resize(inputs.len().div_ceil(64), amx::Tile::ZERO);
        let out = spare.as_mut_ptr().cast::<u8>();
        for block in 0..inputs.len() / 32 {
            // SAFETY: the caller's contract; `spare` has room for 512 bytes per block.
            unsafe {
                let packed = tile.as_ptr().add((inputs.start / 32 + block) * 256);
                for j in 0..4 {
                    let bytes = lanes.load_ints(packed.add(j * 64));
                    let out = out.add(block * 512 + j * 64);
                    lanes.store_ints(out, lanes.centre_nibbles(lanes.low_nibbles(bytes)));
                    lanes.store_ints(out.add(256), lanes.centre_nibbles(lanes.high_nibbles(bytes)));
                }
            }
        }
        // SAFETY: `spare` holds at least that many bytes and is borrowed for as long as the result.
        unsafe { std::slice::from_raw_parts(out, inputs.len() * TILE_ROWS) }
    }

    fn scales(cols: usize) -> usize {
        cols * TILE_ROWS / 2
    }
}

/// Moves one row from the file's layout into its place in the tile.
pub(super) fn pack_row(tile: &mut [u8], row: usize, bytes: &[u8]) {
    let blocks = bytes.as_chunks::<FILE_BLOCK>().0;
    for (index, block) in blocks.iter().enumerate() {
        interleave(&mut tile[index * 256..(index + 1) * 256], row, &block[2..]);
        let at = blocks.len() * 32 * 8 + (index * TILE_ROWS + row) * 2;
        tile[at..at + 2].copy_from_slice(&block[..2]);
    }
}
