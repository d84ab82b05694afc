//! Some query rows of one key/value head, through all the blocks of the cache that they see.

use std::ops::Range;

use super::{Attend, MAX_HEAD_DIM, mix, scores};
use crate::kernels::{
    elementwise::{exp, exp_and_sum, larger, maximum},
    isa::Kernel,
    kv::{HeadCache, KEY_TILE},
    lanes::Lanes,
    pool::SharedMut,
};

/// Positions per block of the cache: keys and values of 128 positions of 128 channels are 64 KiB, read from the second level
/// while the 6 KiB of scores stay in the first.
const BLOCK: usize = 128;

/// Most query rows worked on together: twelve sums for each of two vectors of channels leave eight registers of 32.
pub(super) const MOST: usize = 12;

/// Row `t · group + g` is query head `g` of the group at position `start + t`.
pub(super) struct Rows<'a> {
    pub(super) call: &'a Attend<'a>,
    pub(super) cache: HeadCache<'a>,
    pub(super) head: usize,
    /// Floats per position in queries and outputs.
    pub(super) width: usize,
    /// The last position of the call, which is observed.
    pub(super) last: usize,
    pub(super) rows: Range<usize>,
    pub(super) out: &'a SharedMut<f32>,
    pub(super) masses: &'a SharedMut<f32>,
}

/// Sums under way for `R` rows.
struct Running<const R: usize> {
    most: [f32; R],
    total: [f32; R],
    /// `[R][padded dim]`.
    out: [f32; MOST * MAX_HEAD_DIM],
    /// `[R][observed]`.
    masses: Vec<f32>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match self.rows.len() {
            1 => self.attend::<L, 1>(lanes),
            2 => self.attend::<L, 2>(lanes),
            3 | 4 => self.attend::<L, 4>(lanes),
            5..=8 if L::GROUP > 4 => self.attend::<L, 8>(lanes),
            _ if L::GROUP > 4 => self.attend::<L, MOST>(lanes),
            _ => {}
        }
    }
}

impl Rows<'_> {
    /// The position of a row, and where its numbers start in queries and outputs.
    #[inline(always)]
    fn place(&self, row: usize) -> (usize, usize) {
        let group = self.call.attention.group;
        let (t, g) = (row / group, row % group);
        (self.call.start + t, t * self.width + (self.head * group + g) * self.call.cache.dim())
    }

    #[inline(always)]
    fn attend<L: Lanes, const R: usize>(&self, lanes: L) {
        let (call, dim) = (self.call, self.call.cache.dim());
        let padded = dim.next_multiple_of(16);
        let mut queries = [0.0_f32; MOST * MAX_HEAD_DIM];
        for (r, row) in self.rows.clone().enumerate() {
            let (_, at) = self.place(row);
            for (channel, value) in call.queries[at..at + dim].iter().enumerate() {
                queries[channel * R + r] = value * call.attention.scale;
            }
        }
        let mut weights = [0.0_f32; MOST * BLOCK];
        let mut running = Running::<R> {
            most: [f32::NEG_INFINITY; R],
            total: [0.0; R],
            out: [0.0; MOST * MAX_HEAD_DIM],
            masses: vec![0.0; R * call.observed.len()],
        };
        let end = self.place(self.rows.end - 1).0 + 1;
        let first = call.attention.first_visible(self.place(self.rows.start).0) / BLOCK * BLOCK;
        for from in (first..end).step_by(BLOCK) {
            let positions = BLOCK.min(end - from);
            let tiles = positions.div_ceil(KEY_TILE);
            let keys = &self.cache.keys[from * padded * 2..(from + tiles * KEY_TILE) * padded * 2];
            // SAFETY: `keys` is exactly that many tiles; a row of `weights` holds a block; queries are `[padded][R]`.
            unsafe {
                scores::<L, R>(lanes, keys.as_ptr(), tiles, padded, queries.as_ptr(), weights.as_mut_ptr(), BLOCK);
            }
            self.weigh(from, padded, &mut weights, &mut running);
            let values = &self.cache.values[from * padded * 2..(from + positions) * padded * 2];
            // SAFETY: `values` is exactly `positions` rows; weights as above; the sums are `[R][padded]`.
            unsafe {
                mix::<L, R>(
                    lanes,
                    values.as_ptr(),
                    positions,
                    padded,
                    weights.as_ptr(),
                    BLOCK,
                    running.out.as_mut_ptr(),
                );
            }
        }
        self.finish(padded, &running);
    }

    /// Turns the scores of a block into weights relative to the running maximum, and brings the sums so far to it.
    #[inline(always)]
    fn weigh<const R: usize>(&self, from: usize, padded: usize, weights: &mut [f32], running: &mut Running<R>) {
        let observed = self.call.observed;
        for (r, row) in self.rows.clone().enumerate() {
            // Always the whole block: the order of additions must not depend on where the other rows end.
            let weights = &mut weights[r * BLOCK..(r + 1) * BLOCK];
            let position = self.place(row).0;
            let visible = (position + 1).saturating_sub(from).min(BLOCK);
            weights[visible..].fill(f32::NEG_INFINITY);
            let hidden = self.call.attention.first_visible(position).saturating_sub(from).min(BLOCK);
            weights[..hidden].fill(f32::NEG_INFINITY);
            let highest = larger(running.most[r], maximum(weights));
            if highest == f32::NEG_INFINITY {
                weights.fill(0.0);
                continue;
            }
            let sum = exp_and_sum(weights, highest);
            let masses = &mut running.masses[r * observed.len()..(r + 1) * observed.len()];
            if highest != running.most[r] {
                let factor = exp(running.most[r] - highest);
                running.total[r] *= factor;
                running.out[r * padded..(r + 1) * padded].iter_mut().for_each(|sum| *sum *= factor);
                masses.iter_mut().for_each(|mass| *mass *= factor);
                running.most[r] = highest;
            }
            running.total[r] += sum;
            if position == self.last {
                for (mass, range) in masses.iter_mut().zip(observed) {
                    let clip = |at: usize| at.saturating_sub(from).min(BLOCK);
                    *mass += weights[clip(range.start)..clip(range.end.max(range.start))].iter().sum::<f32>();
                }
            }
        }
    }

    /// Divides by the totals and writes the results.
    #[inline(always)]
    fn finish<const R: usize>(&self, padded: usize, running: &Running<R>) {
        let (dim, group, observed) = (self.call.cache.dim(), self.call.attention.group, self.call.observed.len());
        for (r, row) in self.rows.clone().enumerate() {
            let factor = 1.0 / running.total[r];
            let (position, at) = self.place(row);
            // SAFETY: each row's outputs are written by the one thread that has its unit; `attend` checked the length.
            let out = unsafe { std::slice::from_raw_parts_mut(self.out.at(at), dim) };
            for (out, sum) in out.iter_mut().zip(&running.out[r * padded..]) {
                *out = sum * factor;
            }
            if position == self.last && observed > 0 {
                let query_head = self.head * group + row % group;
                // SAFETY: as above, for `[query heads, observed]` masses: one unit has the last position of a query head.
                let masses = unsafe { std::slice::from_raw_parts_mut(self.masses.at(query_head * observed), observed) };
                for (mass, sum) in masses.iter_mut().zip(&running.masses[r * observed..]) {
                    *mass = sum * factor;
                }
            }
        }
    }
}
