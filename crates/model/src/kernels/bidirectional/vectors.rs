//! Attention in single precision, in vector registers.
//!
//! ```text
//! scores   for a vector of positions: sum[r] += key[channel][positions] · query[channel][r]      over channels
//! mix      for a vector of channels:  sum[r] += value[position][channels] · weight[r][position]   over positions
//! ```

use super::Unit;
use crate::kernels::lanes::Lanes;

/// Queries that share one pass over keys and values: eight sums in flight hide the latency of a multiply-add.
const ROWS: usize = 8;
/// Rows are padded to whole vectors of every instruction set.
const PADDING: usize = 16;

/// Buffers, kept from head to head.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[channel][position]`, padded with zeros.
    keys: Vec<f32>,
    /// `[position][channel]`, padded with zeros.
    values: Vec<f32>,
    /// `[channel][row]`.
    queries: Vec<[f32; ROWS]>,
    /// `[row][position]`.
    scores: Vec<f32>,
}

/// Works out one head of one sequence.
#[inline(always)]
pub(super) fn attend<L: Lanes>(lanes: L, unit: &Unit<'_>, scratch: &mut Scratch) {
    let (length, width) = (unit.len(), unit.width);
    let (positions, channels) = (length.next_multiple_of(PADDING), width.next_multiple_of(PADDING));
    let Scratch { keys, values, queries, scores } = scratch;
    keys.clear();
    keys.resize(width * positions, 0.0);
    values.clear();
    values.resize(length * channels, 0.0);
    for token in 0..length {
        for (channel, value) in unit.row(token, 1).iter().enumerate() {
            keys[channel * positions + token] = *value;
        }
        values[token * channels..][..width].copy_from_slice(unit.row(token, 2));
    }
    queries.resize(width, [0.0; ROWS]);
    scores.resize(ROWS * positions, 0.0);
    for first in (0..length).step_by(ROWS) {
        let rows = ROWS.min(length - first);
        for row in 0..rows {
            let query = unit.row(first + row, 0);
            queries.iter_mut().zip(query).for_each(|(out, value)| out[row] = value * unit.scale());
        }
        score(lanes, queries, keys, positions, scores);
        let mut inverse = [0.0; ROWS];
        for (row, inverse) in inverse.iter_mut().enumerate() {
            *inverse = 1.0 / exponentials(lanes, &mut scores[row * positions..][..positions], length);
        }
        for channel in (0..channels).step_by(L::WIDTH) {
            let sums = mix(lanes, scores, positions, &values[channel..], channels, length);
            for (row, sum) in sums.into_iter().enumerate().take(rows) {
                let (mut part, count) = ([0.0; PADDING], width.saturating_sub(channel).min(L::WIDTH));
                // SAFETY: no vector is longer than the padding, and `count` values are left in the row of the result.
                unsafe {
                    lanes.store(part.as_mut_ptr(), lanes.mul(sum, lanes.splat(inverse[row])));
                    let out = unit.out(first + row).add(channel.min(width));
                    std::ptr::copy_nonoverlapping(part.as_ptr(), out, count);
                }
            }
        }
    }
}

/// `scores[row][position] = Σ queries[channel][row] · keys[channel][position]`.
#[inline(always)]
fn score<L: Lanes>(lanes: L, queries: &[[f32; ROWS]], keys: &[f32], positions: usize, scores: &mut [f32]) {
    assert!(keys.len() >= queries.len() * positions && scores.len() >= ROWS * positions);
    for from in (0..positions).step_by(L::WIDTH) {
        let mut sums = [lanes.splat(0.0); ROWS];
        for (channel, query) in queries.iter().enumerate() {
            // SAFETY: `positions` is a multiple of the vector, and the lengths were checked.
            let key = unsafe { lanes.load(keys.as_ptr().add(channel * positions + from)) };
            for (sum, query) in sums.iter_mut().zip(query) {
                *sum = lanes.fma(key, lanes.splat(*query), *sum);
            }
        }
        for (row, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { lanes.store(scores.as_mut_ptr().add(row * positions + from), sum) };
        }
    }
}

/// Replaces scores by `2^(score − largest)`, those past `length` by almost nothing, and returns their sum.
#[inline(always)]
fn exponentials<L: Lanes>(lanes: L, scores: &mut [f32], length: usize) -> f32 {
    scores[length..].fill(f32::NEG_INFINITY);
    let mut largest = lanes.splat(f32::NEG_INFINITY);
    for from in (0..scores.len()).step_by(L::WIDTH) {
        // SAFETY: rows are padded to whole vectors.
        largest = lanes.max(unsafe { lanes.load(scores.as_ptr().add(from)) }, largest);
    }
    let largest = lanes.splat(reduce(lanes, largest, f32::max));
    let mut sum = lanes.splat(0.0);
    for from in (0..scores.len()).step_by(L::WIDTH) {
        // SAFETY: as above.
        unsafe {
            let at = scores.as_mut_ptr().add(from);
            let power = power_of_two(lanes, lanes.fnma(largest, lanes.splat(1.0), lanes.load(at)));
            lanes.store(at, power);
            sum = lanes.add(sum, power);
        }
    }
    reduce(lanes, sum, |sum, x| sum + x)
}

/// 2^x for x up to 0 within 2e-7 relative; below −120 it stays at the value there.
#[inline(always)]
fn power_of_two<L: Lanes>(lanes: L, x: L::Floats) -> L::Floats {
    // The order of the arguments lets a NaN through.
    let x = lanes.max(lanes.splat(-120.0), x);
    // Adding 1.5 · 2^23 rounds to the nearest integer and leaves it in the low mantissa bits.
    let shifted = lanes.add(x, lanes.splat(12_582_912.0));
    let rest = lanes.fnma(lanes.add(shifted, lanes.splat(-12_582_912.0)), lanes.splat(1.0), x);
    let mut p = lanes.splat(1.327_65e-3);
    for coefficient in [9.675_54e-3, 5.550_713e-2, 0.240_220_2, 0.693_146_97, 1.000_000_1] {
        p = lanes.fma(p, rest, lanes.splat(coefficient));
    }
    lanes.scale_by_power(p, shifted)
}

/// Joins the lanes of a vector, in order.
#[inline(always)]
fn reduce<L: Lanes>(lanes: L, vector: L::Floats, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut values = [0.0; PADDING];
    // SAFETY: no vector is longer than the padding.
    unsafe { lanes.store(values.as_mut_ptr(), vector) };
    values[1..L::WIDTH].iter().fold(values[0], |all, value| join(all, *value))
}

/// `Σ weights[row][position] · values[position · stride…]`, one vector of channels for each row.
#[inline(always)]
fn mix<L: Lanes>(
    lanes: L,
    weights: &[f32],
    positions: usize,
    values: &[f32],
    stride: usize,
    length: usize,
) -> [L::Floats; ROWS] {
    assert!(weights.len() >= ROWS * positions && length <= positions);
    assert!(length == 0 || values.len() >= (length - 1) * stride + L::WIDTH);
    let mut sums = [lanes.splat(0.0); ROWS];
    for position in 0..length {
        // SAFETY: the lengths were checked.
        unsafe {
            let value = lanes.load(values.as_ptr().add(position * stride));
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = lanes.fma(value, lanes.splat(*weights.as_ptr().add(row * positions + position)), *sum);
            }
        }
    }
    sums
}
