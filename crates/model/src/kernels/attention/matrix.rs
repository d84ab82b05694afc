//! Attention with matrix instructions: sixteen query rows at a time against blocks of the cache.
//!
//! The instructions multiply bfloat16 (8 bits of precision) and sum in f32. Scores decide everything that follows, and keys of
//! some models are large, so queries and keys go in as two parts each, `x = high + low` with the low part exact for a
//! half-precision key: `high·high + high·low + low·high` is right to 2^-16. Values go in as two parts too; only the weights are
//! rounded, to 2^-9, which is less than the rounding to 8 bits that follows.
//!
//! ```text
//! queries   per 16 rows:                 [high │ high │ low]    of [dim / 32] left tiles
//! keys      per block, per 16 positions: [high │ low │ high]    of [dim / 32] right tiles
//! weights   per 16 rows:                 [once │ again]         of [positions / 32] left tiles
//! values    per block, per 16 channels:  [high │ low]           of [positions / 32] right tiles
//! ```
//!
//! A row's bits do not depend on the rows beside it: a product's rows are independent, blocks start at fixed positions, and
//! a block of which a row sees nothing adds zeros.

use std::ops::Range;

use super::{Attend, BLOCK, Weighing};
use crate::kernels::{
    amx::{LINE, Sums, TILE, Tile, Tiles},
    isa::Kernel,
    kv::{HeadCache, KEY_TILE},
    lanes::{Lanes, WIDTH},
    pool::SharedMut,
};

/// Query rows per unit of work: enough to spread the conversion of a block over.
pub(super) const ROWS: usize = 128;

/// Right tiles of 32 positions per block.
const STEPS: usize = BLOCK / 32;

/// Units of work: some rows of a head, one after the other.
pub(super) struct Units<'a> {
    pub(super) call: &'a Attend<'a>,
    pub(super) tiles: &'a Tiles,
    /// Each a key/value head and rows; row `t · group + g` is query head `g` of the group at position `start + t`.
    pub(super) units: Vec<(usize, Range<usize>)>,
    pub(super) out: &'a SharedMut<f32>,
    pub(super) masses: &'a SharedMut<f32>,
}

/// Operands and sums of the unit under way.
struct Workspace {
    /// Tiles of 32 channels.
    depth: usize,
    queries: Vec<Tile>,
    keys: Vec<Tile>,
    values: Vec<Tile>,
    /// `[row tiles][channels / 16]`.
    out: Vec<Sums<f32>>,
}

impl Kernel for Units<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let depth = self.call.cache.dim().div_ceil(32);
        let mut space = Workspace { depth, queries: Vec::new(), keys: Vec::new(), values: Vec::new(), out: Vec::new() };
        space.keys.resize(BLOCK / TILE * 3 * depth, Tile::ZERO);
        space.values.resize(2 * depth * 2 * STEPS, Tile::ZERO);
        for (head, rows) in &self.units {
            self.unit(lanes, *head, rows.clone(), &mut space);
        }
    }
}

impl Units<'_> {
    #[inline(always)]
    fn unit<L: Lanes>(&self, lanes: L, head: usize, rows: Range<usize>, space: &mut Workspace) {
        let cache = self.call.cache.head(self.call.layer, head);
        let mut weighing = Weighing::new(self.call, head, rows.clone());
        let count = rows.len().div_ceil(TILE);
        space.out.clear();
        space.out.resize(count * 2 * space.depth, Sums::zero());
        self.load_queries(&weighing, space);
        let blocks = weighing.first_position() / BLOCK * BLOCK..weighing.end_position();
        for from in blocks.clone().step_by(BLOCK) {
            let positions = BLOCK.min(blocks.end - from);
            load_keys(lanes, cache, self.call.cache.dim(), from, positions, space);
            load_values(lanes, cache, self.call.cache.dim(), from, positions, space);
            for tile in (0..count).step_by(2) {
                // Rows are in the order of their positions: the last sees most.
                let last = ((tile + 2) * TILE).min(rows.len()) - 1;
                if weighing.position(last) < from {
                    continue;
                }
                if tile + 1 < count {
                    self.block::<2>(from, tile, space, &mut weighing);
                } else {
                    self.block::<1>(from, tile, space, &mut weighing);
                }
            }
        }
        self.finish(&weighing, space);
    }

    /// `M` row tiles from `tile` on against the block that is loaded.
    #[inline(always)]
    fn block<const M: usize>(&self, from: usize, tile: usize, space: &mut Workspace, weighing: &mut Weighing<'_>) {
        let run = 3 * space.depth;
        let mut scores = [[Sums::<f32>::zero(); BLOCK / TILE]; M];
        let left: [&[Tile]; M] = std::array::from_fn(|m| &space.queries[(tile + m) * run..][..run]);
        let mut sums = [[Sums::zero(); 2]; M];
        for pair in 0..BLOCK / TILE / 2 {
            let right = [0, 1].map(|n| &space.keys[(2 * pair + n) * run..][..run]);
            self.tiles.multiply_bf16(left, right, &mut sums);
            for (scores, sums) in scores.iter_mut().zip(&sums) {
                scores[2 * pair..2 * pair + 2].copy_from_slice(sums);
            }
        }
        let mut weights = [[Tile::ZERO; 2 * STEPS]; M];
        let mut factors = [[1.0_f32; TILE]; M];
        for m in 0..M {
            let rows = TILE.min(weighing.len() - (tile + m) * TILE);
            for (row, factor) in factors[m].iter_mut().enumerate().take(rows) {
                let mut line = [0.0_f32; BLOCK];
                for (part, sums) in line.as_chunks_mut::<TILE>().0.iter_mut().zip(&scores[m]) {
                    part.copy_from_slice(&sums.0[row * TILE..][..TILE]);
                }
                *factor = weighing.weigh((tile + m) * TILE + row, from, &mut line);
                for (step, part) in line.as_chunks::<32>().0.iter().enumerate() {
                    let part = rounded(part);
                    weights[m][step].0[row * LINE..][..LINE].copy_from_slice(part.as_flattened());
                    weights[m][STEPS + step].0[row * LINE..][..LINE].copy_from_slice(part.as_flattened());
                }
            }
        }
        let left: [&[Tile]; M] = std::array::from_fn(|m| &weights[m][..]);
        for pair in 0..space.depth {
            let right = [0, 1].map(|n| &space.values[(2 * pair + n) * 2 * STEPS..][..2 * STEPS]);
            self.tiles.multiply_bf16(left, right, &mut sums);
            for m in 0..M {
                for (n, sums) in sums[m].iter().enumerate() {
                    let out = &mut space.out[(tile + m) * 2 * space.depth + 2 * pair + n];
                    for (row, (out, sums)) in
                        out.0.as_chunks_mut::<TILE>().0.iter_mut().zip(sums.0.as_chunks::<TILE>().0).enumerate()
                    {
                        let factor = factors[m][row];
                        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *out * factor + sum);
                    }
                }
            }
        }
    }

    /// Lays out the queries of a unit, scaled, in two parts.
    #[inline(always)]
    fn load_queries(&self, weighing: &Weighing<'_>, space: &mut Workspace) {
        let (depth, dim) = (space.depth, self.call.cache.dim());
        space.queries.clear();
        space.queries.resize(weighing.len().div_ceil(TILE) * 3 * depth, Tile::ZERO);
        for row in 0..weighing.len() {
            let query = &self.call.queries[weighing.place(row)..][..dim];
            let run = &mut space.queries[row / TILE * 3 * depth..][..3 * depth];
            for (step, channels) in query.chunks(32).enumerate() {
                let mut padded = [0.0_f32; 32];
                for (out, value) in padded.iter_mut().zip(channels) {
                    *out = value * self.call.attention.scale;
                }
                let high = rounded(&padded);
                let mut rest = padded;
                for (rest, high) in rest.iter_mut().zip(high) {
                    *rest -= f32::from_bits(u32::from(u16::from_le_bytes(high)) << 16);
                }
                let line = row % TILE * LINE..row % TILE * LINE + LINE;
                run[step].0[line.clone()].copy_from_slice(high.as_flattened());
                run[depth + step].0[line.clone()].copy_from_slice(high.as_flattened());
                run[2 * depth + step].0[line].copy_from_slice(rounded(&rest).as_flattened());
            }
        }
    }

    /// Divides by the totals and writes the results.
    #[inline(always)]
    fn finish(&self, weighing: &Weighing<'_>, space: &Workspace) {
        let dim = self.call.cache.dim();
        for row in 0..weighing.len() {
            let factor = weighing.finish(row, self.masses);
            // SAFETY: each row's outputs are written by the one thread that has its unit; `attend` checked the length.
            let out = unsafe { std::slice::from_raw_parts_mut(self.out.at(weighing.place(row)), dim) };
            let sums = &space.out[row / TILE * 2 * space.depth..];
            for (out, sums) in out.chunks_mut(TILE).zip(sums) {
                for (out, sum) in out.iter_mut().zip(&sums.0[row % TILE * TILE..]) {
                    *out = sum * factor;
                }
            }
        }
    }
}

/// Expands the keys of a block into right tiles: pairs of channels, sixteen positions side by side.
#[inline(always)]
fn load_keys<L: Lanes>(
    lanes: L,
    cache: HeadCache<'_>,
    dim: usize,
    from: usize,
    positions: usize,
    space: &mut Workspace,
) {
    let (depth, padded) = (space.depth, dim.next_multiple_of(16));
    for tile in 0..positions.div_ceil(KEY_TILE) {
        let keys = &cache.keys[(from + tile * KEY_TILE) * padded * 2..][..KEY_TILE * padded * 2];
        let run = &mut space.keys[tile * 3 * depth..][..3 * depth];
        for (pair, keys) in keys.as_chunks::<{ 4 * KEY_TILE }>().0.iter().enumerate() {
            let (even, odd) = (sixteen(lanes, &keys[..32]), sixteen(lanes, &keys[32..]));
            let (step, line) = (pair / 16, pair % 16 * LINE);
            let [high, low] = halves(&even, &odd);
            run[step].0[line..line + LINE].copy_from_slice(high.as_flattened());
            run[depth + step].0[line..line + LINE].copy_from_slice(low.as_flattened());
            run[2 * depth + step].0[line..line + LINE].copy_from_slice(high.as_flattened());
        }
    }
}

/// Expands the values of a block into right tiles: pairs of positions, sixteen channels side by side. Positions past the last
/// are zeros: whatever the cache holds there must not meet even a weight of zero.
#[inline(always)]
fn load_values<L: Lanes>(
    lanes: L,
    cache: HeadCache<'_>,
    dim: usize,
    from: usize,
    positions: usize,
    space: &mut Workspace,
) {
    let padded = dim.next_multiple_of(16);
    let values = &cache.values[from * padded * 2..][..positions * padded * 2];
    if positions < BLOCK {
        space.values.fill(Tile::ZERO);
    }
    for (pair, lines) in values.chunks(4 * padded).enumerate() {
        let (even, odd) = lines.split_at(2 * padded);
        for (tile, even) in even.as_chunks::<32>().0.iter().enumerate() {
            let even = sixteen(lanes, even);
            let odd = match odd.as_chunks::<32>().0.get(tile) {
                Some(odd) => sixteen(lanes, odd),
                None => [0.0; 16],
            };
            let [high, low] = halves(&even, &odd);
            let (run, line) = (&mut space.values[tile * 2 * STEPS..][..2 * STEPS], pair % 16 * LINE);
            run[pair / 16].0[line..line + LINE].copy_from_slice(high.as_flattened());
            run[STEPS + pair / 16].0[line..line + LINE].copy_from_slice(low.as_flattened());
        }
    }
}

/// Sixteen half-precision numbers.
#[inline(always)]
fn sixteen<L: Lanes>(lanes: L, bytes: &[u8]) -> [f32; 16] {
    let mut out = [0.0; WIDTH];
    let bytes = &bytes[..2 * WIDTH];
    // SAFETY: both hold a vector.
    unsafe { lanes.store(out.as_mut_ptr(), lanes.load_f16(bytes.as_ptr().cast())) };
    out
}

/// `x = high + low`, cut and not rounded, so that the low part of a half-precision number is exact; `[even, odd]` pairs.
#[inline(always)]
fn halves(even: &[f32; 16], odd: &[f32; 16]) -> [[[u8; 4]; 16]; 2] {
    let cut = |value: f32| f32::from_bits(value.to_bits() & 0xFFFF_0000);
    let pair = |even: f32, odd: f32| (even.to_bits() >> 16 | odd.to_bits() & 0xFFFF_0000).to_le_bytes();
    let mut out = [[[0; 4]; 16]; 2];
    for lane in 0..16 {
        out[0][lane] = pair(even[lane], odd[lane]);
        out[1][lane] = pair(even[lane] - cut(even[lane]), odd[lane] - cut(odd[lane]));
    }
    out
}

/// Rounds to bfloat16, to nearest even; what is no number stays none.
#[inline(always)]
fn rounded<const N: usize>(values: &[f32; N]) -> [[u8; 2]; N] {
    let mut out = [[0; 2]; N];
    for (out, value) in out.iter_mut().zip(values) {
        let bits = value.to_bits();
        let nearest = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
        *out = (if value.is_nan() { 0x7FC0 } else { nearest as u16 }).to_le_bytes();
    }
    out
}
