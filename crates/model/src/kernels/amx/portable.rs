//! What the instructions compute, in plain Rust: the reference of the tests, and what other targets compile.

use super::{LINE, Sums, TILE, Tile};
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) use elsewhere::{configure, multiply_bf16, multiply_blocks_i8, multiply_i8, release};

/// Byte `k` of row `row` of a run of left tiles.
fn left_i8(run: &[Tile], row: usize, k: usize) -> i32 {
    i32::from(run[k / LINE].0[row * LINE + k % LINE].cast_signed())
}

/// Byte `k` of column `col` of a run of right tiles: quads.
fn right_i8(run: &[Tile], col: usize, k: usize) -> i32 {
    i32::from(run[k / LINE].0[k % LINE / 4 * LINE + col * 4 + k % 4].cast_signed())
}

/// Number `k` of row `row` of a run of left tiles.
fn left_bf16(run: &[Tile], row: usize, k: usize) -> f32 {
    let at = row * LINE + k % 32 * 2;
    widen(&run[k / 32].0[at..at + 2])
}

/// Number `k` of column `col` of a run of right tiles: pairs.
fn right_bf16(run: &[Tile], col: usize, k: usize) -> f32 {
    let at = k % 32 / 2 * LINE + col * 4 + k % 2 * 2;
    widen(&run[k / 32].0[at..at + 2])
}

fn widen(bytes: &[u8]) -> f32 {
    f32::from_bits(u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 24)
}

/// `left · right` over runs of equally many tiles, wrapping as the instruction does.
pub(super) fn product_i8(left: &[Tile], right: &[Tile]) -> Sums<i32> {
    let mut out = Sums::zero();
    for (at, sum) in out.0.iter_mut().enumerate() {
        let products = (0..left.len() * LINE).map(|k| left_i8(left, at / TILE, k) * right_i8(right, at % TILE, k));
        *sum = products.fold(0, i32::wrapping_add);
    }
    out
}

/// As [`product_i8`] for bfloat16. The instruction adds in another order.
pub(super) fn product_bf16(left: &[Tile], right: &[Tile]) -> Sums<f32> {
    let mut out = Sums::zero();
    for (at, sum) in out.0.iter_mut().enumerate() {
        *sum = (0..left.len() * 32).map(|k| left_bf16(left, at / TILE, k) * right_bf16(right, at % TILE, k)).sum();
    }
    out
}

/// Block `block` of [`super::Tiles::multiply_blocks_i8`].
pub(super) fn product_of_block(left: &[Tile; 2], right: &[Tile; 2], block: usize) -> Sums<i32> {
    let mut out = Sums::zero();
    for (at, sum) in out.0.iter_mut().enumerate() {
        *sum = (block * 32..block * 32 + 32).map(|k| left_i8(left, at / TILE, k) * right_i8(right, at % TILE, k)).sum();
    }
    out
}

/// The signatures of the instructions, for targets that have none. Never called there: no [`super::Amx`] exists.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod elsewhere {
    use super::{super::Depth, Sums, Tile, product_bf16, product_i8, product_of_block};

    pub(in super::super) unsafe fn configure(_depth: Depth) {}

    pub(in super::super) unsafe fn release() {}

    pub(in super::super) unsafe fn multiply_i8<const M: usize>(
        left: [*const Tile; M],
        right: [*const Tile; 2],
        steps: usize,
        out: &mut [[Sums<i32>; 2]; M],
    ) {
        // SAFETY: the caller's contract: every operand is a run of `steps` tiles.
        let run = |start| unsafe { std::slice::from_raw_parts(start, steps) };
        *out = left.map(|left| right.map(|right| product_i8(run(left), run(right))));
    }

    pub(in super::super) unsafe fn multiply_bf16<const M: usize>(
        left: [*const Tile; M],
        right: [*const Tile; 2],
        steps: usize,
        out: &mut [[Sums<f32>; 2]; M],
    ) {
        // SAFETY: as in `multiply_i8`.
        let run = |start| unsafe { std::slice::from_raw_parts(start, steps) };
        *out = left.map(|left| right.map(|right| product_bf16(run(left), run(right))));
    }

    pub(in super::super) unsafe fn multiply_blocks_i8(left: &[Tile; 2], right: &[Tile; 2], out: &mut [Sums<i32>; 4]) {
        *out = [0, 1, 2, 3].map(|block| product_of_block(left, right, block));
    }
}
