//! Attention on the tile unit: products of bf16 summed in single precision, sixteen by sixteen by 32 per instruction.
//!
//! ```text
//! scores    queries [32][width]  ×  keys, as [width / 2][16 positions] pairs of channels
//! context   weights [32][positions]  ×  values, as [positions / 2][16 channels] pairs of positions
//! ```
//!
//! Keys are transposed, values interleaved, once per head. The weights, 2^(score − largest), are not divided by their sum;
//! the context is.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_ps, _mm512_mul_ps, _mm512_permutexvar_epi16,
    _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_ps,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::Unit;
use crate::kernels::{
    Isa,
    amx::{Amx, Depth, LINE, Sums, TILE, Tile, Tiles},
};

/// Queries per block, positions per step of the second product.
const BLOCK: usize = 32;

/// The matrix instructions, where they serve for heads of `width` channels.
pub(super) fn serves(isa: Isa, width: usize) -> Option<Amx> {
    isa.matrix_instructions().filter(|_| width.is_multiple_of(32) && is_x86_feature_detected!("avx512bf16"))
}

/// Sums of 32 rows and 32 columns.
type Square = [[Sums<f32>; 2]; 2];

/// Buffers, kept from head to head.
#[derive(Default)]
struct Scratch {
    /// Right tiles, `[positions / 16][width / 32]`.
    keys: Vec<Tile>,
    /// Right tiles, `[width / 16][positions / 32]`.
    values: Vec<Tile>,
    /// Left tiles, `[2][width / 32]`.
    queries: Vec<Tile>,
    /// `[positions / 32]`.
    scores: Vec<Square>,
    /// Left tiles, `[2][positions / 32]`.
    weights: Vec<Tile>,
}

/// Works out heads one after the other.
pub(super) fn attend<'a>(amx: Amx, units: impl Iterator<Item = Unit<'a>>) {
    let tiles = amx.tiles(Depth::Full);
    let mut scratch = Scratch::default();
    for unit in units {
        // SAFETY: `serves` has found every feature that the function enables.
        unsafe { head(&tiles, &unit, &mut scratch) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
fn head(tiles: &Tiles, unit: &Unit<'_>, scratch: &mut Scratch) {
    let (length, steps, blocks) = (unit.len(), unit.width / 32, unit.len().div_ceil(BLOCK));
    let Scratch { keys, values, queries, scores, weights } = scratch;
    keys.resize(2 * blocks * steps, Tile::ZERO);
    values.resize(unit.width / TILE * blocks, Tile::ZERO);
    queries.resize(2 * steps, Tile::ZERO);
    scores.resize(blocks, [[Sums::zero(); 2]; 2]);
    weights.resize(2 * blocks, Tile::ZERO);
    pack_keys(unit, keys);
    pack_values(unit, blocks, values);
    for first in (0..length).step_by(BLOCK) {
        let rows = BLOCK.min(length - first);
        pack_queries(unit, first, rows, queries);
        for (block, scores) in scores.iter_mut().enumerate() {
            let keys = [2 * block, 2 * block + 1].map(|block| &keys[block * steps..(block + 1) * steps]);
            multiply(tiles, queries, keys, rows, scores);
        }
        let mut inverse = [0.0; BLOCK];
        for half in 0..rows.div_ceil(TILE) {
            let weights = &mut weights[half * blocks..(half + 1) * blocks];
            let sums = exponentials(scores, half, length, weights);
            inverse[half * TILE..(half + 1) * TILE].copy_from_slice(&sums.map(|sum| 1.0 / sum));
        }
        for pair in 0..steps {
            let values = [2 * pair, 2 * pair + 1].map(|pair| &values[pair * blocks..(pair + 1) * blocks]);
            let mut context = [[Sums::zero(); 2]; 2];
            multiply(tiles, weights, values, rows, &mut context);
            for (row, inverse) in inverse.iter().enumerate().take(rows) {
                for (column, sums) in context[row / TILE].iter().enumerate() {
                    let scaled = _mm512_mul_ps(load(&sums.0[row % TILE * TILE..]), _mm512_set1_ps(*inverse));
                    // SAFETY: the row of the result is `width` values long, 32 for each step.
                    unsafe { _mm512_storeu_ps(unit.out(first + row).add(pair * 32 + column * TILE), scaled) };
                }
            }
        }
    }
}

/// Multiplies two runs of left tiles that follow each other; the second only where it has rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn multiply(tiles: &Tiles, left: &[Tile], right: [&[Tile]; 2], rows: usize, out: &mut Square) {
    let (upper, lower) = left.split_at(left.len() / 2);
    if rows > TILE {
        tiles.multiply_bf16([upper, lower], right, out);
    } else {
        let [first, _] = out;
        tiles.multiply_bf16([upper], right, std::array::from_mut(first));
    }
}

/// Loads sixteen values.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32]) -> __m512 {
    assert!(values.len() >= 16);
    // SAFETY: there are sixteen values.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// Rounds two vectors to bf16, `low` in the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(low: __m512, high: __m512) -> __m512i {
    // SAFETY: both types are 512 plain bits.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Stores a line of a tile.
#[inline]
#[target_feature(enable = "avx512f")]
fn put(tile: &mut Tile, line: usize, value: __m512i) {
    let row = &mut tile.0[line * LINE..(line + 1) * LINE];
    // SAFETY: the row is 64 bytes.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), value) };
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn pack_queries(unit: &Unit<'_>, first: usize, rows: usize, tiles: &mut [Tile]) {
    let (steps, scale) = (unit.width / 32, _mm512_set1_ps(unit.scale()));
    for row in 0..rows {
        let query = unit.row(first + row, 0);
        for step in 0..steps {
            let (low, high) = (load(&query[step * 32..]), load(&query[step * 32 + 16..]));
            let rounded = round(_mm512_mul_ps(low, scale), _mm512_mul_ps(high, scale));
            put(&mut tiles[row / 16 * steps + step], row % 16, rounded);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn pack_keys(unit: &Unit<'_>, tiles: &mut [Tile]) {
    let steps = unit.width / 32;
    for block in 0..unit.len().next_multiple_of(BLOCK) / 16 {
        for step in 0..steps {
            let mut rows = [_mm512_setzero_si512(); 16];
            for (row, position) in rows.iter_mut().zip(block * 16..unit.len()) {
                let key = &unit.row(position, 1)[step * 32..];
                *row = round(load(key), load(&key[16..]));
            }
            for (row, value) in transpose(rows).into_iter().enumerate() {
                put(&mut tiles[block * steps + step], row, value);
            }
        }
    }
}

/// Transposes sixteen rows of sixteen 32-bit values, in four rounds of exchanges.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut pairs = rows;
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // fours[4 i + j], in each of its quarters q: column 4 q + j of rows 4 i … 4 i + 3.
    let mut fours = rows;
    for i in 0..4 {
        for j in 0..2 {
            fours[4 * i + 2 * j] = _mm512_unpacklo_epi64(pairs[4 * i + j], pairs[4 * i + 2 + j]);
            fours[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[4 * i + j], pairs[4 * i + 2 + j]);
        }
    }
    let mut out = rows;
    for j in 0..4 {
        let even = |half: usize| _mm512_shuffle_i32x4::<0x88>(fours[8 * half + j], fours[8 * half + 4 + j]);
        let odd = |half: usize| _mm512_shuffle_i32x4::<0xDD>(fours[8 * half + j], fours[8 * half + 4 + j]);
        out[j] = _mm512_shuffle_i32x4::<0x88>(even(0), even(1));
        out[8 + j] = _mm512_shuffle_i32x4::<0xDD>(even(0), even(1));
        out[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd(0), odd(1));
        out[12 + j] = _mm512_shuffle_i32x4::<0xDD>(odd(0), odd(1));
    }
    out
}

/// Words 0, 16, 1, 17, …: interleaves the halves of a vector.
const INTERLEAVE: [u16; 32] = {
    let mut words = [0; 32];
    let mut i = 0;
    while i < 32 {
        words[i] = (i / 2 + i % 2 * 16) as u16;
        i += 1;
    }
    words
};

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_values(unit: &Unit<'_>, blocks: usize, tiles: &mut [Tile]) {
    // SAFETY: the constant is 64 bytes.
    let interleave = unsafe { _mm512_loadu_si512(INTERLEAVE.as_ptr().cast()) };
    for pair in 0..blocks * 16 {
        for channels in 0..unit.width / 16 {
            let value = |position: usize| {
                if position < unit.len() { load(&unit.row(position, 2)[channels * 16..]) } else { _mm512_setzero_ps() }
            };
            let rounded = round(value(2 * pair), value(2 * pair + 1));
            put(&mut tiles[channels * blocks + pair / 16], pair % 16, _mm512_permutexvar_epi16(interleave, rounded));
        }
    }
}

/// Writes `2^(score − largest)` for the scores of sixteen rows, the upper or the lower `half`, almost nothing for those past
/// `length`, and returns the sum of each row. Rows are worked on side by side, so that memory is read in one line.
#[target_feature(enable = "avx512f,avx512bf16")]
fn exponentials(scores: &mut [Square], half: usize, length: usize, weights: &mut [Tile]) -> [f32; TILE] {
    if let Some(last) = scores.last_mut() {
        // Scores past the end are of keys that are zero.
        for (column, sums) in last[half].iter_mut().enumerate() {
            let from = (length + BLOCK - length.next_multiple_of(BLOCK)).saturating_sub(column * TILE).min(TILE);
            sums.0.as_chunks_mut::<TILE>().0.iter_mut().for_each(|row| row[from..].fill(f32::NEG_INFINITY));
        }
    }
    let mut largest = [_mm512_set1_ps(f32::NEG_INFINITY); TILE];
    for scores in &*scores {
        let [left, right] = &scores[half];
        for (row, largest) in largest.iter_mut().enumerate() {
            let pair = _mm512_max_ps(load(&left.0[row * TILE..]), load(&right.0[row * TILE..]));
            *largest = _mm512_max_ps(pair, *largest);
        }
    }
    let largest: [f32; TILE] = std::array::from_fn(|row| _mm512_reduce_max_ps(largest[row]));
    let mut sums = [_mm512_setzero_ps(); TILE];
    for (scores, weights) in scores.iter().zip(weights) {
        let [left, right] = &scores[half];
        for (row, sum) in sums.iter_mut().enumerate() {
            let largest = _mm512_set1_ps(largest[row]);
            let low = power_of_two(_mm512_sub_ps(load(&left.0[row * TILE..]), largest));
            let high = power_of_two(_mm512_sub_ps(load(&right.0[row * TILE..]), largest));
            *sum = _mm512_add_ps(*sum, _mm512_add_ps(low, high));
            put(weights, row, round(low, high));
        }
    }
    std::array::from_fn(|row| _mm512_reduce_add_ps(sums[row]))
}

/// 2^x for x up to 0 within 8e-5 relative, a fiftieth of what bf16 resolves; below −120 it stays at the value there.
#[inline]
#[target_feature(enable = "avx512f")]
fn power_of_two(x: __m512) -> __m512 {
    // The order of the arguments lets a NaN through.
    let x = _mm512_max_ps(_mm512_set1_ps(-120.0), x);
    // Adding 1.5 · 2^23 rounds to the nearest integer and leaves it in the low mantissa bits.
    let shift = _mm512_set1_ps(12_582_912.0);
    let shifted = _mm512_add_ps(x, shift);
    let rest = _mm512_sub_ps(x, _mm512_sub_ps(shifted, shift));
    let mut p = _mm512_set1_ps(5.517_143e-2);
    for coefficient in [0.242_611_58, 0.693_261, 0.999_928] {
        p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(coefficient));
    }
    let power = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), power))
}
