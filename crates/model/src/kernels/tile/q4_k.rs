//! Q4_K: 4-bit weights, one 6-bit scale and one 6-bit minimum per 32, in super-blocks of 256.
//!
//! A weight is `d · scale · q − dmin · min` with q in 0…15. One super-block of a tile:
//!
//! ```text
//! offset 0      32 vectors of 64 bytes: vector 8p + j holds, per row, four bytes whose low nibbles are inputs
//!               64p + 4j … + 3 and whose high nibbles are inputs 64p + 32 + 4j … + 3        (the file's own pairing)
//! 2048          scales  [8 sub-blocks][16 rows] u8
//! 2176          minima  [8 sub-blocks][16 rows] u8
//! 2304          d       [16 rows] f16
//! 2336          dmin    [16 rows] f16
//! 2368
//! ```
//!
//! Per activation row and super-block the kernel needs 64 dot products for the weights, 8 integer multiply-adds
//! for the scales, and 4 dot products of i16 pairs for all minima. A sub-block's integer sum stays below 32 · 15 · 127, half
//! of which is a short sum; a super-block's below 2^25: integers up to there, so that every order of additions gives the same sum.

use std::ops::Range;

use super::{SuperBlocks, TILE_ROWS, Tile, add_unpacked, interleave};
use crate::kernels::{
    activations::GroupView,
    amx::{self, LINE, TILE},
    lanes::Lanes,
};

/// Bytes per super-block of sixteen rows.
pub(super) const BLOCK: usize = 2368;
const SCALES: usize = 2048;
const MINIMA: usize = 2176;
const D: usize = 2304;
const DMIN: usize = 2336;

/// Bytes per super-block of one row in the file: d, dmin, 12 bytes of scales and minima, 128 bytes of weights.
const FILE_BLOCK: usize = 144;

/// The arithmetic of Q4_K tiles.
pub(crate) enum Q4K {}

impl Tile for Q4K {
    const PACKED: bool = true;

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(lanes: L, tile: *const u8, inputs: Range<usize>, out: *mut u8) {
        for (index, block) in (inputs.start / 256..inputs.end / 256).enumerate() {
            for vector in 0..32 {
                // SAFETY: the caller's contract; eight quads of low nibbles, then those of the high ones.
                unsafe {
                    let bytes = lanes.load_ints(tile.add(block * BLOCK + vector * LINE));
                    let out = out.add((index * 64 + vector / 8 * 16 + vector % 8) * LINE);
                    lanes.store_ints(out, lanes.low_nibbles(bytes));
                    lanes.store_ints(out.add(8 * LINE), lanes.high_nibbles(bytes));
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
            // 64 quads, 1 scale and 4 pairs of sums per super-block and activation row.
            unsafe {
                let tile = tile.add(block * BLOCK);
                let quads = view.quads.add(block * 64 * R);
                let mut sum = [lanes.splat_int(0); R];
                if let Some(unpacked) = unpacked {
                    for sub in 0..8 {
                        let places = (unpacked.add((index * 64 + sub * 8) * LINE), quads.add(sub * 8 * R));
                        let scale = lanes.load_u8(tile.add(SCALES + sub * TILE_ROWS));
                        add_unpacked::<L, R, 8>(lanes, places, 8, scale, &mut sum);
                    }
                } else {
                    for pair in 0..4 {
                        let pair = Pair {
                            weights: tile.add(pair * 512),
                            scales: tile.add(SCALES + pair * 32),
                            quads: quads.add(pair * 16 * R),
                        };
                        if super::fits::<L>(2 * R) {
                            pair.add_at_once(lanes, &mut sum);
                        } else {
                            pair.add_one::<L, R, false>(lanes, &mut sum);
                            pair.add_one::<L, R, true>(lanes, &mut sum);
                        }
                    }
                }
                let shared = Shared::<L>::load(lanes, tile);
                for r in 0..R {
                    let (sums, scale) = (view.sums32.add(block * 4 * R + r), *view.scales.add(block * R + r));
                    total[r] = shared.add(lanes, sum[r], scale, sums, R, total[r]);
                }
            }
        }
    }
}

/// Two sub-blocks whose weights share their bytes.
#[derive(Clone, Copy)]
struct Pair {
    weights: *const u8,
    scales: *const u8,
    quads: *const i32,
}

impl Pair {
    /// Adds both sub-blocks while every weight is loaded once: what counts when there are few rows and memory is waited for.
    ///
    /// # Safety
    /// The pointers are those of a pair of sub-blocks and of a group of `R` rows.
    #[inline(always)]
    unsafe fn add_at_once<L: Lanes, const R: usize>(self, lanes: L, sum: &mut [L::Ints; R]) {
        let (mut low, mut high) = ([lanes.splat_int(0); R], [lanes.splat_int(0); R]);
        // SAFETY: the caller's contract.
        unsafe {
            for j in 0..8 {
                let bytes = lanes.load_weights(self.weights.add(j * 64));
                let weights = (lanes.low_nibbles(bytes), lanes.high_nibbles(bytes));
                for r in 0..R {
                    low[r] = lanes.dot_short(low[r], weights.0, lanes.splat_int(*self.quads.add(j * R + r)));
                    high[r] = lanes.dot_short(high[r], weights.1, lanes.splat_int(*self.quads.add((8 + j) * R + r)));
                }
            }
            let scales = (lanes.load_u8(self.scales), lanes.load_u8(self.scales.add(TILE_ROWS)));
            for r in 0..R {
                sum[r] = lanes.add_short_scaled(sum[r], low[r], scales.0);
                sum[r] = lanes.add_short_scaled(sum[r], high[r], scales.1);
            }
        }
    }

    /// Adds the sub-block of the low or of the high nibbles, with half the registers.
    ///
    /// # Safety
    /// As for [`Pair::add_at_once`].
    #[inline(always)]
    unsafe fn add_one<L: Lanes, const R: usize, const HIGH: bool>(self, lanes: L, sum: &mut [L::Ints; R]) {
        let mut dot = [lanes.splat_int(0); R];
        let sub = usize::from(HIGH);
        // SAFETY: the caller's contract.
        unsafe {
            for j in 0..8 {
                let bytes = lanes.load_weights(self.weights.add(j * 64));
                let weights = if HIGH { lanes.high_nibbles(bytes) } else { lanes.low_nibbles(bytes) };
                for (r, dot) in dot.iter_mut().enumerate() {
                    let quad = lanes.splat_int(*self.quads.add((sub * 8 + j) * R + r));
                    *dot = lanes.dot_short(*dot, weights, quad);
                }
            }
            let scale = lanes.load_u8(self.scales.add(sub * TILE_ROWS));
            for (sum, dot) in sum.iter_mut().zip(dot) {
                *sum = lanes.add_short_scaled(*sum, dot, scale);
            }
        }
    }
}

/// The numbers of a super-block that all activation rows share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<L: Lanes> {
    d: L::Floats,
    dmin: L::Floats,
    minima: [L::Ints; 4],
}

impl<L: Lanes> Shared<L> {
    /// # Safety
    /// `block` is a super-block of a tile.
    #[inline(always)]
    unsafe fn load(lanes: L, block: *const u8) -> Self {
        // SAFETY: the caller's contract.
        unsafe {
            let mut minima = [lanes.splat_int(0); 4];
            for (pair, minima) in minima.iter_mut().enumerate() {
                let even = lanes.load_u8(block.add(MINIMA + pair * 32));
                let odd = lanes.load_u8(block.add(MINIMA + pair * 32 + 16));
                *minima = lanes.pair(even, odd);
            }
            let d = lanes.load_f16(block.add(D).cast());
            Self { d, dmin: lanes.load_f16(block.add(DMIN).cast()), minima }
        }
    }

    /// Adds the products of a super-block, `sum` before any scale, to `total`.
    ///
    /// # Safety
    /// `sums` is valid for four pairs of activation sums, `stride` apart.
    #[inline(always)]
    unsafe fn add(
        &self,
        lanes: L,
        sum: L::Ints,
        scale: f32,
        sums: *const i32,
        stride: usize,
        total: L::Floats,
    ) -> L::Floats {
        let mut less = lanes.splat_int(0);
        for (pair, minima) in self.minima.into_iter().enumerate() {
            // SAFETY: the caller's contract.
            less = lanes.dot_pairs(less, minima, lanes.splat_int(unsafe { *sums.add(pair * stride) }));
        }
        let value = lanes.fnma(lanes.to_floats(less), self.dmin, lanes.mul(lanes.to_floats(sum), self.d));
        lanes.fma(value, lanes.splat(scale), total)
    }
}

impl SuperBlocks for Q4K {
    const BYTES: usize = BLOCK;
    type Shared<L: Lanes> = Shared<L>;

    #[inline(always)]
    unsafe fn expand<L: Lanes>(lanes: L, block: *const u8, planes: &mut [[amx::Tile; 4]; 2]) {
        let [high, low] = planes.each_mut().map(|plane| plane.as_mut_ptr().cast::<u8>());
        for sub in 0..8 {
            // SAFETY: the caller's contract; a plane has 64 lines, eight per sub-block.
            unsafe {
                let scale = lanes.load_u8(block.add(SCALES + sub * 16));
                for j in 0..8 {
                    let bytes = lanes.load_ints(block.add((sub / 2 * 8 + j) * LINE));
                    let weights = if sub % 2 == 0 { lanes.low_nibbles(bytes) } else { lanes.high_nibbles(bytes) };
                    let products = lanes.octal_products(weights, scale);
                    lanes.store_ints(high.add((sub * 8 + j) * LINE), products[0]);
                    lanes.store_ints(low.add((sub * 8 + j) * LINE), products[1]);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn shared<L: Lanes>(lanes: L, block: *const u8) -> Shared<L> {
        // SAFETY: the caller's contract.
        unsafe { Shared::load(lanes, block) }
    }

    #[inline(always)]
    unsafe fn add<L: Lanes>(
        lanes: L,
        shared: &Shared<L>,
        [high, low]: [L::Ints; 2],
        scale: f32,
        sums: *const i32,
        total: L::Floats,
    ) -> L::Floats {
        // SAFETY: the caller's contract.
        unsafe { shared.add(lanes, lanes.join_octal(high, low), scale, sums, TILE, total) }
    }
}

/// Moves one row from the file's layout into its place in the tile.
pub(super) fn pack_row(tile: &mut [u8], row: usize, bytes: &[u8]) {
    for (block, tile) in bytes.as_chunks::<FILE_BLOCK>().0.iter().zip(tile.as_chunks_mut::<BLOCK>().0) {
        interleave(tile, row, &block[16..]);
        for sub in 0..8 {
            let (scale, minimum) = scale_and_minimum(&block[4..16], sub);
            tile[SCALES + sub * 16 + row] = scale;
            tile[MINIMA + sub * 16 + row] = minimum;
        }
        tile[D + 2 * row..D + 2 * row + 2].copy_from_slice(&block[0..2]);
        tile[DMIN + 2 * row..DMIN + 2 * row + 2].copy_from_slice(&block[2..4]);
    }
}

/// Unpacks the 6-bit scale and minimum of sub-block `sub` from the file's twelve bytes: the first four of each are the
/// low six bits of bytes 0–3 and 4–7; the others have four bits in bytes 8–11 and two at the top of the former.
fn scale_and_minimum(bytes: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        (bytes[sub] & 63, bytes[sub + 4] & 63)
    } else {
        let scale = (bytes[sub + 4] & 15) | ((bytes[sub - 4] >> 6) << 4);
        let minimum = (bytes[sub + 4] >> 4) | ((bytes[sub] >> 6) << 4);
        (scale, minimum)
    }
}
