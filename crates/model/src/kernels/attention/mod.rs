//! Attention over the key/value cache: grouped queries, causal, with an optional sliding window.
//!
//! One kernel serves one position (generating, bound by reading keys and values) and many (reading a prompt, bound by
//! multiply-adds). Its rows are the query heads that share a key/value head, for one position after the other: up to twelve
//! rows share every read and conversion of a cached number. It walks the cache in blocks with a running maximum (Milakov and
//! Gimelshein, arXiv 1805.02867), so no score matrix is ever stored.
//!
//! ```text
//! scores   for a vector of 16 positions: sum[r] += key[channel][16 positions] · query[channel][r]   over channels
//! mix      for a vector of 16 channels:  out[r] += value[position][16 channels] · weight[r][position]  over positions
//! ```
//!
//! On vector lanes ([`rows`]) queries, scores and sums are f32, and only the cache is f16; matrix instructions, where there are
//! any, do the same within the precision that [`matrix`] states. A row goes through the same additions in the same order whatever
//! rows it is worked on with: blocks start at fixed positions and are always summed whole. So reading a prompt in pieces, and
//! verifying drafted tokens together, gives exactly the bits of reading token by token.

mod matrix;
mod rows;
mod weighing;

use std::ops::Range;

use matrix::{ROWS, Units};
use rows::{MOST, MOST_IN_SIXTEEN, Rows};
use weighing::Weighing;

use super::{
    amx::Depth,
    isa::Isa,
    kv::KvCache,
    lanes::{Lanes, WIDTH},
    pool::{SharedMut, ThreadPool},
};

/// Positions per block of the cache: keys and values of 128 positions of 128 channels are 64 KiB, read from the second level
/// while the 6 KiB of scores of twelve rows stay in the first.
const BLOCK: usize = 128;

/// Most channels per head; the inner buffers are on the stack.
pub const MAX_HEAD_DIM: usize = 256;

/// How queries meet the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Query heads per key/value head.
    pub group: usize,
    /// Scores are multiplied by this, usually 1 / √dim.
    pub scale: f32,
    /// Positions that a query sees, itself included; nothing means all.
    pub window: Option<usize>,
}

impl Attention {
    /// The first position that the query at `position` sees.
    pub fn first_visible(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

/// What a call attends to, and with what.
pub struct Attend<'a> {
    /// Keys and values, those of the queries' own positions included.
    pub cache: &'a KvCache,
    /// The layer.
    pub layer: usize,
    /// How.
    pub attention: Attention,
    /// Position of the first query row.
    pub start: usize,
    /// `[positions, query heads · dim]`.
    pub queries: &'a [f32],
    /// Position ranges whose share of the last position's attention is wanted.
    pub observed: &'a [Range<usize>],
}

impl Attend<'_> {
    /// Floats per position in queries and outputs.
    fn width(&self) -> usize {
        self.cache.heads() * self.attention.group * self.cache.dim()
    }
}

/// Attends from each query to all that it sees, itself included. `out` is shaped as the queries; `masses` receives
/// `[query heads, observed]` sums of attention weights of the last position.
///
/// # Panics
/// When a length does not fit the cache: a defect of the caller.
pub fn attend(pool: &ThreadPool, isa: Isa, call: &Attend<'_>, out: &mut [f32], masses: &mut [f32]) {
    let (cache, group) = (call.cache, call.attention.group);
    let heads = cache.heads();
    let width = call.width();
    let positions = call.queries.len() / width;
    assert!(call.queries.len() == positions * width && out.len() == call.queries.len(), "queries of another shape");
    assert!(call.start + positions <= cache.capacity(), "positions outside the cache");
    assert_eq!(masses.len(), heads * group * call.observed.len(), "masses of another shape");
    let rows = positions * group;
    let on_lanes = if isa.group_rows() > 4 { MOST } else { MOST_IN_SIXTEEN };
    let rows_at_once = isa.matrix_instructions().map_or(on_lanes, |_| ROWS);
    let blocks = rows.div_ceil(rows_at_once);
    let (out, masses) = (SharedMut::new(out), SharedMut::new(masses));
    // Several units per turn share buffers; the last rows see most and take longest: they go first.
    let grain = (blocks * heads / (8 * pool.threads())).max(1);
    pool.for_each_range(blocks * heads, grain, |units| {
        let units = units.map(|unit| {
            let first = (blocks - 1 - unit / heads) * rows_at_once;
            (unit % heads, first..rows.min(first + rows_at_once))
        });
        match isa.matrix_instructions() {
            Some(amx) => {
                let tiles = amx.tiles(Depth::Full);
                isa.run(Units { call, tiles: &tiles, units: units.collect(), out: &out, masses: &masses });
            }
            None => units.for_each(|(head, rows)| isa.run(Rows { call, head, rows, out: &out, masses: &masses })),
        }
    });
}

/// Scores of `R` queries against whole tiles of sixteen positions.
///
/// # Safety
/// `keys` holds `tiles` tiles of `dim` channels, `queries` is `[dim][R]`, `out` has `R` rows of `stride` floats with room for
/// `16 · tiles` in each.
#[inline(always)]
unsafe fn scores<L: Lanes, const R: usize>(
    lanes: L,
    keys: *const u8,
    tiles: usize,
    dim: usize,
    queries: *const f32,
    out: *mut f32,
    stride: usize,
) {
    for tile in 0..tiles {
        let mut sums = [lanes.splat(0.0); R];
        // SAFETY: the caller's contract.
        unsafe {
            let keys = keys.add(tile * dim * 2 * WIDTH);
            for channel in 0..dim {
                let key = lanes.load_f16(keys.add(channel * 2 * WIDTH).cast());
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = lanes.fma(key, lanes.splat(*queries.add(channel * R + r)), *sum);
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                lanes.store(out.add(r * stride + tile * WIDTH), sum);
            }
        }
    }
}

/// Adds weighted values to `R` outputs: `out[r] += Σ weight[r][p] · value[p]`.
///
/// # Safety
/// `values` holds `positions` rows of `dim` channels (a multiple of 16), `weights` has `R` rows of `stride` floats with
/// `positions` in each, `out` is `[R][dim]`.
#[inline(always)]
unsafe fn mix<L: Lanes, const R: usize>(
    lanes: L,
    values: *const u8,
    positions: usize,
    dim: usize,
    weights: *const f32,
    stride: usize,
    out: *mut f32,
) {
    let mut channel = 0;
    // SAFETY: the caller's contract; both strips stay below `dim`, a multiple of the vector width.
    unsafe {
        // Two vectors of channels where so many sums stay in registers.
        while L::GROUP > 4 && channel + 2 * WIDTH <= dim {
            strip::<L, R, 2>(lanes, values.add(channel * 2), positions, dim, weights, stride, out.add(channel));
            channel += 2 * WIDTH;
        }
        while channel < dim {
            strip::<L, R, 1>(lanes, values.add(channel * 2), positions, dim, weights, stride, out.add(channel));
            channel += WIDTH;
        }
    }
}

/// [`mix`] for `V` vectors of channels, whose sums stay in registers.
///
/// # Safety
/// As [`mix`], with `values` and `out` moved to the first channel and `V` vectors left.
#[inline(always)]
unsafe fn strip<L: Lanes, const R: usize, const V: usize>(
    lanes: L,
    values: *const u8,
    positions: usize,
    dim: usize,
    weights: *const f32,
    stride: usize,
    out: *mut f32,
) {
    let mut sums = [[lanes.splat(0.0); V]; R];
    // SAFETY: the caller's contract.
    unsafe {
        for (r, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = lanes.load(out.add(r * dim + v * WIDTH));
            }
        }
        for position in 0..positions {
            let mut value = [lanes.splat(0.0); V];
            for (v, value) in value.iter_mut().enumerate() {
                *value = lanes.load_f16(values.add((position * dim + v * WIDTH) * 2).cast());
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let weight = lanes.splat(*weights.add(r * stride + position));
                for (sum, value) in sums.iter_mut().zip(value) {
                    *sum = lanes.fma(value, weight, *sum);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                lanes.store(out.add(r * dim + v * WIDTH), sum);
            }
        }
    }
}

#[cfg(test)]
mod tests;
