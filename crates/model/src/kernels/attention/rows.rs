//! Attention on vector lanes: some query rows of one key/value head, through all the blocks of the cache that they see.

use std::ops::Range;

use super::{Attend, BLOCK, MAX_HEAD_DIM, Weighing, mix, scores};
use crate::kernels::{isa::Kernel, kv::KEY_TILE, lanes::Lanes, pool::SharedMut};

/// Most query rows worked on together: twelve sums for each of two vectors of channels leave eight registers of 32.
pub(super) const MOST: usize = 12;

/// The same where a vector is two of sixteen registers: one vector of channels for six rows leaves four.
pub(super) const MOST_IN_SIXTEEN: usize = 6;

/// Row `t · group + g` is query head `g` of the group at position `start + t`.
pub(super) struct Rows<'a> {
    pub(super) call: &'a Attend<'a>,
    pub(super) head: usize,
    pub(super) rows: Range<usize>,
    pub(super) out: &'a SharedMut<f32>,
    pub(super) masses: &'a SharedMut<f32>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match self.rows.len() {
            1 => self.attend::<L, 1>(lanes),
            2 => self.attend::<L, 2>(lanes),
            3 | 4 => self.attend::<L, 4>(lanes),
            5 | 6 if L::GROUP <= 4 => self.attend::<L, MOST_IN_SIXTEEN>(lanes),
            5..=8 if L::GROUP > 4 => self.attend::<L, 8>(lanes),
            _ if L::GROUP > 4 => self.attend::<L, MOST>(lanes),
            _ => {}
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn attend<L: Lanes, const R: usize>(&self, lanes: L) {
        let (call, dim) = (self.call, self.call.cache.dim());
        let padded = dim.next_multiple_of(16);
        let cache = call.cache.head(call.layer, self.head);
        let mut weighing = Weighing::new(call, self.head, self.rows.clone());
        let mut queries = [0.0_f32; MOST * MAX_HEAD_DIM];
        for r in 0..weighing.len() {
            let at = weighing.place(r);
            for (channel, value) in call.queries[at..at + dim].iter().enumerate() {
                queries[channel * R + r] = value * call.attention.scale;
            }
        }
        let mut weights = [0.0_f32; MOST * BLOCK];
        // `[R][padded]`
        let mut sums = [0.0_f32; MOST * MAX_HEAD_DIM];
        let end = weighing.end_position();
        for from in (weighing.first_position() / BLOCK * BLOCK..end).step_by(BLOCK) {
            let positions = BLOCK.min(end - from);
            let tiles = positions.div_ceil(KEY_TILE);
            let keys = &cache.keys[from * padded * 2..(from + tiles * KEY_TILE) * padded * 2];
            // SAFETY: `keys` is exactly that many tiles; a row of `weights` holds a block; queries are `[padded][R]`.
            unsafe {
                scores::<L, R>(lanes, keys.as_ptr(), tiles, padded, queries.as_ptr(), weights.as_mut_ptr(), BLOCK);
            }
            for r in 0..weighing.len() {
                let factor = weighing.weigh(r, from, &mut weights[r * BLOCK..(r + 1) * BLOCK]);
                if factor != 1.0 {
                    sums[r * padded..(r + 1) * padded].iter_mut().for_each(|sum| *sum *= factor);
                }
            }
            let values = &cache.values[from * padded * 2..(from + positions) * padded * 2];
            // SAFETY: `values` is exactly `positions` rows; weights as above; the sums are `[R][padded]`.
            unsafe {
                mix::<L, R>(lanes, values.as_ptr(), positions, padded, weights.as_ptr(), BLOCK, sums.as_mut_ptr());
            }
        }
        for r in 0..weighing.len() {
            let factor = weighing.finish(r, self.masses);
            // SAFETY: each row's outputs are written by the one thread that has its unit; `attend` checked the length.
            let out = unsafe { std::slice::from_raw_parts_mut(self.out.at(weighing.place(r)), dim) };
            for (out, sum) in out.iter_mut().zip(&sums[r * padded..]) {
                *out = sum * factor;
            }
        }
    }
}
