//! Attention of one position: every cached number is read once for all query heads that share it.

use super::{Attention, MAX_HEAD_DIM, mix, scores};
use crate::kernels::{
    elementwise::softmax,
    isa::{Isa, Kernel},
    kv::{HeadCache, KEY_TILE, KvCache},
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
};

/// Most query heads worked on together.
const MOST: usize = 8;

/// Attends from the query at `position` to all that it sees. `queries` and `out` are `[query heads · dim]`.
///
/// `weights` is scratch space that afterwards holds the attention weights: one row per query head, of
/// `weights.len() / query heads` values, whose first value belongs to position `first_visible` rounded down to a multiple of
/// 16. It needs room for that many positions rounded up to a multiple of 16.
///
/// # Panics
/// When a length does not fit the cache: a defect of the caller.
#[expect(clippy::too_many_arguments, reason = "a kernel: everything it touches is named")]
pub fn attend_one(
    pool: &ThreadPool,
    isa: Isa,
    cache: &KvCache,
    layer: usize,
    attention: Attention,
    position: usize,
    queries: &[f32],
    weights: &mut [f32],
    out: &mut [f32],
) {
    let (group, dim) = (attention.group, cache.dim());
    let width = group * dim;
    let first_tile = attention.first_visible(position) / KEY_TILE;
    let tiles = position / KEY_TILE + 1 - first_tile;
    let stride = weights.len() / (cache.heads() * group);
    assert!(queries.len() == cache.heads() * width && out.len() == queries.len(), "queries of another shape");
    assert!(position < cache.capacity() && stride >= tiles * KEY_TILE, "position outside the cache");
    let out = SharedMut::new(out);
    pool.for_each_chunk(&mut weights[..cache.heads() * group * stride], group * stride, 1, |head, weights| {
        // SAFETY: the outputs of a key/value head are written by the one thread that has its index.
        let out = unsafe { std::slice::from_raw_parts_mut(out.at(head * width), width) };
        let queries = &queries[head * width..(head + 1) * width];
        let cache = cache.head(layer, head);
        let mut from = 0;
        while from < group {
            let rows = [8, 4, 2, 1].into_iter().find(|&rows| rows <= group - from).unwrap_or(1);
            isa.run(Rows {
                cache,
                attention,
                position,
                dim,
                rows,
                stride,
                queries: &queries[from * dim..(from + rows) * dim],
                weights: &mut weights[from * stride..(from + rows) * stride],
                out: &mut out[from * dim..(from + rows) * dim],
            });
            from += rows;
        }
    });
}

/// Up to eight query heads that share a key/value head.
struct Rows<'a> {
    cache: HeadCache<'a>,
    attention: Attention,
    position: usize,
    dim: usize,
    rows: usize,
    stride: usize,
    queries: &'a [f32],
    weights: &'a mut [f32],
    out: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        match self.rows {
            8 => self.attend::<L, 8>(lanes),
            4 => self.attend::<L, 4>(lanes),
            2 => self.attend::<L, 2>(lanes),
            _ => self.attend::<L, 1>(lanes),
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn attend<L: Lanes, const R: usize>(&mut self, lanes: L) {
        let (dim, padded, stride) = (self.dim, self.dim.next_multiple_of(16), self.stride);
        let mut queries = [0.0_f32; MOST * MAX_HEAD_DIM];
        for (r, query) in self.queries.chunks_exact(dim).enumerate() {
            for (channel, value) in query.iter().enumerate() {
                queries[channel * R + r] = value * self.attention.scale;
            }
        }
        let first = self.attention.first_visible(self.position);
        let (first_tile, end) = (first / KEY_TILE, self.position + 1);
        let tiles = end.div_ceil(KEY_TILE) - first_tile;
        let origin = first_tile * KEY_TILE;
        let keys = &self.cache.keys[first_tile * padded * KEY_TILE * 2..(first_tile + tiles) * padded * KEY_TILE * 2];
        // SAFETY: `keys` is exactly that many tiles; `attend_one` checked that each row of `weights` holds them; the
        // queries are `[dim][R]`, zero in the padding.
        unsafe {
            scores::<L, R>(lanes, keys.as_ptr(), tiles, padded, queries.as_ptr(), self.weights.as_mut_ptr(), stride);
        }
        for row in self.weights.chunks_exact_mut(stride) {
            row[..first - origin].fill(0.0);
            softmax(&mut row[first - origin..end - origin]);
            row[end - origin..tiles * KEY_TILE].fill(0.0);
        }
        let mut sums = [0.0_f32; MOST * MAX_HEAD_DIM];
        let values = &self.cache.values[origin * padded * 2..end * padded * 2];
        // SAFETY: `values` is exactly `end − origin` positions; weights as above; the sums are `[R][padded]`.
        unsafe {
            mix::<L, R>(lanes, values.as_ptr(), end - origin, padded, self.weights.as_ptr(), stride, sums.as_mut_ptr());
        }
        for (out, sums) in self.out.chunks_exact_mut(dim).zip(sums.chunks_exact(padded)) {
            out.copy_from_slice(&sums[..dim]);
        }
    }
}
