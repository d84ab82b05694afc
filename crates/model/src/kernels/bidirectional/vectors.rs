//! Attention in single precision, in vector registers.
//!
//! ```text
//! scores   for a vector of positions: sum[r] += key[channel][positions] · query[channel][r]      over channels
//! mix      for a vector of channels:  sum[r] += value[position][channels] · weight[r][position]   over positions
//! ```

use super::Unit;
use crate::kernels::lanes::{Lanes, WIDTH};

/// Queries that share one pass over keys and values: eight registers of sums hide the latency of a multiply-add.
const ROWS: usize = 8;

/// The same where a vector is two of sixteen registers: the sums take twelve.
const ROWS_IN_SIXTEEN: usize = 6;

/// Buffers, kept from head to head.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[positions / 16][channel][16 positions]`, padded with zeros: what a pass reads lies in one piece, where whole rows of
    /// positions would fall on the same few lines of the first-level cache.
    keys: Vec<f32>,
    /// `[channels / 16][position][16 channels]`, padded with zeros.
    values: Vec<f32>,
    /// `[channel][row]`.
    queries: Vec<f32>,
    /// `[row][position]`.
    scores: Vec<f32>,
}

/// Works out one head of one sequence.
#[inline(always)]
pub(super) fn attend<L: Lanes>(lanes: L, unit: &Unit<'_>, scratch: &mut Scratch) {
    if L::GROUP > 4 {
        attend_rows::<L, ROWS>(lanes, unit, scratch);
    } else {
        attend_rows::<L, ROWS_IN_SIXTEEN>(lanes, unit, scratch);
    }
}

/// [`attend`], `R` queries at a time.
#[inline(always)]
fn attend_rows<L: Lanes, const R: usize>(lanes: L, unit: &Unit<'_>, scratch: &mut Scratch) {
    let (length, width) = (unit.len(), unit.width);
    let (positions, channels) = (length.next_multiple_of(WIDTH), width.next_multiple_of(WIDTH));
    let Scratch { keys, values, queries, scores } = scratch;
    keys.clear();
    keys.resize(width * positions, 0.0);
    values.clear();
    values.resize(length * channels, 0.0);
    for token in 0..length {
        let column = keys[token / WIDTH * width * WIDTH..].iter_mut().skip(token % WIDTH).step_by(WIDTH);
        column.zip(unit.row(token, 1)).for_each(|(key, value)| *key = *value);
        for (strip, part) in unit.row(token, 2).chunks(WIDTH).enumerate() {
            values[(strip * length + token) * WIDTH..][..part.len()].copy_from_slice(part);
        }
    }
    queries.resize(width * R, 0.0);
    scores.resize(R * positions, 0.0);
    for first in (0..length).step_by(R) {
        let rows = R.min(length - first);
        for row in 0..rows {
            let query = unit.row(first + row, 0);
            queries.iter_mut().skip(row).step_by(R).zip(query).for_each(|(out, value)| *out = value * unit.scale());
        }
        score::<L, R>(lanes, queries, keys, positions, scores);
        let mut inverse = [0.0; R];
        for (row, inverse) in inverse.iter_mut().enumerate() {
            *inverse = 1.0 / exponentials(lanes, &mut scores[row * positions..][..positions], length);
        }
        for channel in (0..channels).step_by(WIDTH) {
            let sums = mix::<L, R>(lanes, scores, positions, &values[channel * length..][..length * WIDTH]);
            for (row, sum) in sums.into_iter().enumerate().take(rows) {
                let (mut part, count) = ([0.0; WIDTH], width.saturating_sub(channel).min(WIDTH));
                // SAFETY: `count` values are left in the row of the result.
                unsafe {
                    lanes.store(part.as_mut_ptr(), lanes.mul(sum, lanes.splat(inverse[row])));
                    let out = unit.out(first + row).add(channel.min(width));
                    std::ptr::copy_nonoverlapping(part.as_ptr(), out, count);
                }
            }
        }
    }
}

/// `scores[row][position] = Σ queries[channel][row] · keys[position / 16][channel][position % 16]`.
#[inline(always)]
fn score<L: Lanes, const R: usize>(lanes: L, queries: &[f32], keys: &[f32], positions: usize, scores: &mut [f32]) {
    let (queries, _) = queries.as_chunks::<R>();
    assert!(keys.len() >= queries.len() * positions && scores.len() >= R * positions);
    for from in (0..positions).step_by(WIDTH) {
        let mut sums = [lanes.splat(0.0); R];
        for (channel, query) in queries.iter().enumerate() {
            // SAFETY: `positions` is a multiple of the vector, and the lengths were checked.
            let key = unsafe { lanes.load(keys.as_ptr().add(from * queries.len() + channel * WIDTH)) };
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
    for from in (0..scores.len()).step_by(WIDTH) {
        // SAFETY: rows are padded to whole vectors.
        largest = lanes.max(unsafe { lanes.load(scores.as_ptr().add(from)) }, largest);
    }
    let largest = lanes.splat(reduce(lanes, largest, f32::max));
    let mut sum = lanes.splat(0.0);
    for from in (0..scores.len()).step_by(WIDTH) {
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
    let mut values = [0.0; WIDTH];
    // SAFETY: there is room for a vector.
    unsafe { lanes.store(values.as_mut_ptr(), vector) };
    values[1..].iter().fold(values[0], |all, value| join(all, *value))
}

/// `Σ weights[row][position] · values[position]`, a vector of channels for each row.
#[inline(always)]
fn mix<L: Lanes, const R: usize>(lanes: L, weights: &[f32], positions: usize, values: &[f32]) -> [L::Floats; R] {
    let (values, _) = values.as_chunks::<WIDTH>();
    assert!(weights.len() >= R * positions && values.len() <= positions);
    let mut sums = [lanes.splat(0.0); R];
    for (position, value) in values.iter().enumerate() {
        // SAFETY: a value is a vector, and the lengths were checked.
        unsafe {
            let value = lanes.load(value.as_ptr());
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = lanes.fma(value, lanes.splat(*weights.as_ptr().add(row * positions + position)), *sum);
            }
        }
    }
    sums
}
