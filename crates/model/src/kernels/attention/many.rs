//! Attention of a block of positions, in blocks of the cache with a running maximum.

use super::{Attention, MAX_HEAD_DIM, mix, scores};
use crate::kernels::{
    elementwise::{exp, exp_and_sum, larger, maximum},
    isa::{Isa, Kernel},
    kv::{HeadCache, KEY_TILE, KvCache},
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
};

/// Positions per block of the cache: keys and values of 128 positions of 128 channels are 64 KiB, read from the second level
/// while the 6 KiB of scores stay in the first.
const BLOCK: usize = 128;

/// Most query rows worked on together.
const MOST: usize = 12;

/// Attends from each of the queries at positions `start…` to all that it sees, itself included; their keys and values are
/// already in the cache. `queries` and `out` are `[positions, query heads · dim]`.
///
/// # Panics
/// When a length does not fit the cache: a defect of the caller.
#[expect(clippy::too_many_arguments, reason = "a kernel: everything it touches is named")]
pub fn attend_many(
    pool: &ThreadPool,
    isa: Isa,
    cache: &KvCache,
    layer: usize,
    attention: Attention,
    start: usize,
    queries: &[f32],
    out: &mut [f32],
) {
    let heads = cache.heads();
    let width = heads * attention.group * cache.dim();
    let positions = queries.len() / width;
    assert!(queries.len() == positions * width && out.len() == queries.len(), "queries of another shape");
    assert!(start + positions <= cache.capacity(), "positions outside the cache");
    let rows_at_once = if isa.group_rows() > 4 { MOST } else { 4 };
    let rows = positions * attention.group;
    let blocks = rows.div_ceil(rows_at_once);
    let out = SharedMut::new(out);
    pool.for_each_range(blocks * heads, 1, |units| {
        for unit in units {
            // The last rows see most and take longest: they go first.
            let (head, block) = (unit % heads, blocks - 1 - unit / heads);
            let first = block * rows_at_once;
            isa.run(Rows {
                cache: cache.head(layer, head),
                attention,
                start,
                dim: cache.dim(),
                head,
                width,
                rows: first..rows.min(first + rows_at_once),
                queries,
                out: &out,
            });
        }
    });
}

/// Some rows of one key/value head; row `t · group + g` is query head `g` of the group at position `start + t`.
struct Rows<'a> {
    cache: HeadCache<'a>,
    attention: Attention,
    start: usize,
    dim: usize,
    head: usize,
    width: usize,
    rows: std::ops::Range<usize>,
    queries: &'a [f32],
    out: &'a SharedMut<f32>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        if L::GROUP > 4 { self.attend::<L, MOST>(lanes) } else { self.attend::<L, 4>(lanes) }
    }
}

impl Rows<'_> {
    /// The position of a row, and where its numbers start in queries and outputs.
    #[inline(always)]
    fn place(&self, row: usize) -> (usize, usize) {
        let (t, g) = (row / self.attention.group, row % self.attention.group);
        (self.start + t, t * self.width + (self.head * self.attention.group + g) * self.dim)
    }

    #[inline(always)]
    fn attend<L: Lanes, const R: usize>(&self, lanes: L) {
        let (dim, padded) = (self.dim, self.dim.next_multiple_of(16));
        let mut queries = [0.0_f32; MOST * MAX_HEAD_DIM];
        for (r, row) in self.rows.clone().enumerate() {
            let (_, at) = self.place(row);
            for (channel, value) in self.queries[at..at + dim].iter().enumerate() {
                queries[channel * R + r] = value * self.attention.scale;
            }
        }
        let mut weights = [0.0_f32; MOST * BLOCK];
        let mut sums = [0.0_f32; MOST * MAX_HEAD_DIM];
        let mut most = [f32::NEG_INFINITY; R];
        let mut total = [0.0_f32; R];
        let end = self.place(self.rows.end - 1).0 + 1;
        let first = self.attention.first_visible(self.place(self.rows.start).0) / BLOCK * BLOCK;
        for from in (first..end).step_by(BLOCK) {
            let positions = BLOCK.min(end - from);
            let tiles = positions.div_ceil(KEY_TILE);
            let keys = &self.cache.keys[from * padded * 2..(from + tiles * KEY_TILE) * padded * 2];
            // SAFETY: `keys` is exactly that many tiles; a row of `weights` holds a block; queries are `[padded][R]`.
            unsafe {
                scores::<L, R>(lanes, keys.as_ptr(), tiles, padded, queries.as_ptr(), weights.as_mut_ptr(), BLOCK);
            }
            for (r, row) in self.rows.clone().enumerate() {
                let weights = &mut weights[r * BLOCK..r * BLOCK + positions];
                self.mask(row, from, weights);
                let highest = larger(most[r], maximum(weights));
                if highest == f32::NEG_INFINITY {
                    weights.fill(0.0);
                    continue;
                }
                let sum = exp_and_sum(weights, highest);
                if highest != most[r] {
                    let factor = exp(most[r] - highest);
                    total[r] *= factor;
                    sums[r * padded..(r + 1) * padded].iter_mut().for_each(|sum| *sum *= factor);
                    most[r] = highest;
                }
                total[r] += sum;
            }
            let values = &self.cache.values[from * padded * 2..(from + positions) * padded * 2];
            // SAFETY: `values` is exactly `positions` rows; weights as above; the sums are `[R][padded]`.
            unsafe {
                mix::<L, R>(lanes, values.as_ptr(), positions, padded, weights.as_ptr(), BLOCK, sums.as_mut_ptr());
            }
        }
        for (r, row) in self.rows.clone().enumerate() {
            let factor = 1.0 / total[r];
            let (_, at) = self.place(row);
            // SAFETY: each row's outputs are written by the one thread that has its unit; `attend_many` checked the length.
            let out = unsafe { std::slice::from_raw_parts_mut(self.out.at(at), dim) };
            for (out, sum) in out.iter_mut().zip(&sums[r * padded..]) {
                *out = sum * factor;
            }
        }
    }

    /// Hides what the row does not see: later positions, and those before its window.
    #[inline(always)]
    fn mask(&self, row: usize, from: usize, weights: &mut [f32]) {
        let position = self.place(row).0;
        let visible = (position + 1).saturating_sub(from).min(weights.len());
        weights[visible..].fill(f32::NEG_INFINITY);
        let hidden = self.attention.first_visible(position).saturating_sub(from).min(weights.len());
        weights[..hidden].fill(f32::NEG_INFINITY);
    }
}
