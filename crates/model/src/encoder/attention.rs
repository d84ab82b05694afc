//! Attention within packed sequences: every token sees every token of its own sequence.
//!
//! The work is cut into blocks of eight tokens, all heads each. Keys are laid out channel by channel first, so
//! that sixteen scores come out side by side; scores of a block stay in the first-level cache until they have
//! weighted the values, and no matrix of scores is ever stored.

use std::ops::Range;

use super::elementwise::softmax;
use crate::kernels::{Isa, Kernel, Lanes, ThreadPool};

/// Tokens that share one pass over keys and values.
const ROWS: usize = 8;
/// Channels that are laid out together.
const CHANNELS: usize = 16;

/// The shape of attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Width of a token's vector.
    pub hidden: usize,
    /// Heads; divides `hidden`.
    pub heads: usize,
}

/// Attends: `projected` is `[tokens, 3·hidden]` (query, key, value), `context` becomes `[tokens, hidden]`.
/// `owners` names each token's sequence; `keys` is scratch space that is kept.
pub(super) fn attend(
    (pool, isa): (&ThreadPool, Isa),
    shape: Shape,
    (sequences, owners): (&[Range<usize>], &[usize]),
    projected: &[f32],
    keys: &mut Vec<f32>,
    context: &mut Vec<f32>,
) {
    let Shape { hidden, .. } = shape;
    let tokens = owners.len();
    // The last vector of positions may reach past the last token.
    let stride = tokens + CHANNELS;
    keys.resize(hidden * stride, 0.0);
    pool.for_each_chunk(keys, CHANNELS * stride, 1, |block, out| {
        let first = hidden + block * CHANNELS;
        let channels = out.len() / stride;
        for (token, row) in projected.chunks_exact(3 * hidden).enumerate() {
            for (channel, value) in row[first..first + channels].iter().enumerate() {
                out[channel * stride + token] = *value;
            }
        }
    });
    let keys: &[f32] = keys;
    context.resize(tokens * hidden, 0.0);
    pool.for_each_chunk(context, ROWS * hidden, 1, |block, mut out| {
        let (mut token, end) = (block * ROWS, tokens.min((block + 1) * ROWS));
        while token < end {
            let sequence = sequences[owners[token]].clone();
            let rows = token..end.min(sequence.end);
            let (mine, rest) = out.split_at_mut(rows.len() * hidden);
            token = rows.end;
            isa.run(Block { shape, projected, keys, stride, sequence, rows, out: mine });
            out = rest;
        }
    });
}

/// The kernel: up to eight tokens of one sequence.
struct Block<'a> {
    shape: Shape,
    projected: &'a [f32],
    /// `[hidden][stride]`.
    keys: &'a [f32],
    stride: usize,
    sequence: Range<usize>,
    rows: Range<usize>,
    out: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        // As many lanes as a vector has: two rows of accumulators must fit the registers.
        if L::WIDTH == 16 { self.heads::<16>() } else { self.heads::<8>() }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn heads<const W: usize>(self) {
        let Self { shape: Shape { hidden, heads }, projected, keys, stride, sequence, rows, out } = self;
        let (width, length) = (hidden / heads, sequence.len());
        let scale = 1.0 / (width as f32).sqrt();
        let padded = length.next_multiple_of(16);
        let mut queries = vec![[0.0; ROWS]; width];
        let mut scores = vec![0.0; ROWS * padded];
        for head in 0..heads {
            for (row, token) in rows.clone().enumerate() {
                let query = &projected[token * 3 * hidden + head * width..][..width];
                queries.iter_mut().zip(query).for_each(|(out, value)| out[row] = value * scale);
            }
            let keys = &keys[head * width * stride..][..width * stride];
            score::<W>(&queries, keys, stride, sequence.start, &mut scores);
            for row in scores.chunks_exact_mut(padded).take(rows.len()) {
                softmax(&mut row[..length]);
            }
            let values = &projected[sequence.start * 3 * hidden + 2 * hidden + head * width..];
            mix::<W>(&scores, values, 3 * hidden, length, width, |row, channel, sums| {
                if row < rows.len() {
                    let part = &mut out[row * hidden + head * width..][..width];
                    let count = sums.len().min(width - channel);
                    part[channel..channel + count].copy_from_slice(&sums[..count]);
                }
            });
        }
    }
}

/// `scores[row][position] = Σ queries[channel][row] · keys[channel][first + position]`.
#[inline(always)]
fn score<const W: usize>(queries: &[[f32; ROWS]], keys: &[f32], stride: usize, first: usize, scores: &mut [f32]) {
    let padded = scores.len() / ROWS;
    for from in (0..padded).step_by(W) {
        let mut sums = [[0.0_f32; W]; ROWS];
        for (query, keys) in queries.iter().zip(keys.chunks_exact(stride)) {
            let Some(keys) = keys[first + from..].first_chunk::<W>() else { break };
            for (sum, query) in sums.iter_mut().zip(query) {
                for (sum, key) in sum.iter_mut().zip(keys) {
                    *sum += query * key;
                }
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            scores[row * padded + from..][..W].copy_from_slice(sum);
        }
    }
}

/// Gives `emit` the sums `Σ weights[row][position] · values[position · stride + channel…]`, row by row, `W`
/// channels at a time.
#[inline(always)]
fn mix<const W: usize>(
    weights: &[f32],
    values: &[f32],
    stride: usize,
    length: usize,
    width: usize,
    mut emit: impl FnMut(usize, usize, &[f32; W]),
) {
    let padded = weights.len() / ROWS;
    for channel in (0..width).step_by(W) {
        let mut sums = [[0.0_f32; W]; ROWS];
        for from in (0..length).step_by(16) {
            let mut tile = [[0.0_f32; 16]; ROWS];
            for (row, tile) in tile.iter_mut().enumerate() {
                tile.copy_from_slice(&weights[row * padded + from..][..16]);
            }
            for position in 0..16.min(length - from) {
                let values = &values[(from + position) * stride + channel..];
                let mut value = [0.0_f32; W];
                match values.first_chunk::<W>().filter(|_| channel + W <= width) {
                    Some(whole) => value = *whole,
                    None => {
                        let count = values.len().min(width - channel);
                        value[..count].copy_from_slice(&values[..count]);
                    }
                }
                for (sum, tile) in sums.iter_mut().zip(&tile) {
                    let weight = tile[position];
                    for (sum, value) in sum.iter_mut().zip(&value) {
                        *sum += weight * value;
                    }
                }
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            emit(row, channel, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attention in double precision, straight from its definition.
    fn reference(shape: Shape, sequences: &[Range<usize>], projected: &[f32]) -> Vec<f64> {
        let Shape { hidden, heads } = shape;
        let width = hidden / heads;
        let at =
            |token: usize, part: usize, channel: usize| f64::from(projected[(token * 3 + part) * hidden + channel]);
        let mut out = vec![0.0; projected.len() / 3];
        for sequence in sequences {
            for query in sequence.clone() {
                for head in 0..heads {
                    let channels = head * width..(head + 1) * width;
                    let score = |key: usize| channels.clone().map(|c| at(query, 0, c) * at(key, 1, c)).sum::<f64>();
                    let weights: Vec<f64> =
                        sequence.clone().map(|key| (score(key) / (width as f64).sqrt()).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for channel in channels.clone() {
                        let mixed = sequence.clone().zip(&weights).map(|(key, weight)| weight * at(key, 2, channel));
                        out[query * hidden + channel] = mixed.sum::<f64>() / total;
                    }
                }
            }
        }
        out
    }

    #[test]
    fn every_instruction_set_agrees_with_the_definition() {
        let mut seed = 1_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 8_388_608.0 - 1.0
        };
        for (hidden, heads) in [(32, 4), (64, 2), (60, 3), (34, 1)] {
            let shape = Shape { hidden, heads };
            let sequences = [0..1, 1..14, 14..62, 62..63, 63..80];
            let owners: Vec<usize> =
                sequences.iter().enumerate().flat_map(|(index, range)| vec![index; range.len()]).collect();
            let projected: Vec<f32> = (0..80 * 3 * hidden).map(|_| 2.0 * random()).collect();
            let wanted = reference(shape, &sequences, &projected);
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                let pool = ThreadPool::new(2);
                let (mut keys, mut context) = (vec![7.0; 5], Vec::new());
                attend((&pool, isa), shape, (&sequences, &owners), &projected, &mut keys, &mut context);
                for (found, wanted) in context.iter().zip(&wanted) {
                    assert!((f64::from(*found) - wanted).abs() < 1e-5, "{isa:?} {hidden}/{heads}: {found} {wanted}");
                }
            }
        }
    }
}
