//! From scores to weights, one block of the cache after the other: the running maximum and total of each query row.

use std::ops::Range;

use super::{Attend, BLOCK};
use crate::kernels::{
    elementwise::{exp, exp_and_sum, larger, maximum},
    pool::SharedMut,
};

/// Some query rows of one key/value head. Row `t · group + g` of the head is query head `g` of the group at position
/// `start + t`; rows are counted here from the first of `rows`.
pub(super) struct Weighing<'a> {
    call: &'a Attend<'a>,
    head: usize,
    rows: Range<usize>,
    /// The last position of the call, which is observed.
    last: usize,
    most: Vec<f32>,
    total: Vec<f32>,
    /// `[rows][observed]`.
    masses: Vec<f32>,
}

impl<'a> Weighing<'a> {
    pub(super) fn new(call: &'a Attend<'a>, head: usize, rows: Range<usize>) -> Self {
        let (count, observed) = (rows.len(), call.observed.len());
        let last = call.start + call.queries.len() / call.width() - 1;
        let (most, total) = (vec![f32::NEG_INFINITY; count], vec![0.0; count]);
        Self { call, head, rows, last, most, total, masses: vec![0.0; count * observed] }
    }

    /// Number of rows.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The position of a row.
    #[inline(always)]
    pub(super) fn position(&self, row: usize) -> usize {
        self.call.start + (self.rows.start + row) / self.call.attention.group
    }

    /// The first position that any row sees.
    pub(super) fn first_position(&self) -> usize {
        self.call.attention.first_visible(self.position(0))
    }

    /// One past the last position that any row sees.
    pub(super) fn end_position(&self) -> usize {
        self.position(self.len() - 1) + 1
    }

    /// Where the numbers of a row start in queries and outputs.
    #[inline(always)]
    pub(super) fn place(&self, row: usize) -> usize {
        let (row, group) = (self.rows.start + row, self.call.attention.group);
        row / group * self.call.width() + (self.head * group + row % group) * self.call.cache.dim()
    }

    /// Turns the scores of the block at `from` into weights relative to the largest score so far, and returns the factor that
    /// brings earlier sums of weighted values to the same.
    #[inline(always)]
    pub(super) fn weigh(&mut self, row: usize, from: usize, weights: &mut [f32]) -> f32 {
        // Always the whole block: the order of additions must not depend on where the other rows end.
        let weights = &mut weights[..BLOCK];
        let position = self.position(row);
        let visible = (position + 1).saturating_sub(from).min(BLOCK);
        weights[visible..].fill(f32::NEG_INFINITY);
        let hidden = self.call.attention.first_visible(position).saturating_sub(from).min(BLOCK);
        weights[..hidden].fill(f32::NEG_INFINITY);
        let highest = larger(self.most[row], maximum(weights));
        if highest == f32::NEG_INFINITY {
            weights.fill(0.0);
            return 1.0;
        }
        let sum = exp_and_sum(weights, highest);
        let observed = self.call.observed;
        let masses = &mut self.masses[row * observed.len()..(row + 1) * observed.len()];
        let mut factor = 1.0;
        if highest != self.most[row] {
            factor = exp(self.most[row] - highest);
            self.total[row] *= factor;
            masses.iter_mut().for_each(|mass| *mass *= factor);
            self.most[row] = highest;
        }
        self.total[row] += sum;
        if position == self.last {
            for (mass, range) in masses.iter_mut().zip(observed) {
                let clip = |at: usize| at.saturating_sub(from).min(BLOCK);
                *mass += weights[clip(range.start)..clip(range.end.max(range.start))].iter().sum::<f32>();
            }
        }
        factor
    }

    /// The factor that turns a row's sums into means. Writes what was observed of it to `[query heads, observed]` masses.
    #[inline(always)]
    pub(super) fn finish(&self, row: usize, masses: &SharedMut<f32>) -> f32 {
        let (group, observed) = (self.call.attention.group, self.call.observed.len());
        let factor = 1.0 / self.total[row];
        if self.position(row) == self.last && observed > 0 {
            let query_head = self.head * group + (self.rows.start + row) % group;
            // SAFETY: `attend` checked the length, and one unit has the last position of a query head.
            let masses = unsafe { std::slice::from_raw_parts_mut(masses.at(query_head * observed), observed) };
            for (mass, sum) in masses.iter_mut().zip(&self.masses[row * observed..]) {
                *mass = sum * factor;
            }
        }
        factor
    }
}
