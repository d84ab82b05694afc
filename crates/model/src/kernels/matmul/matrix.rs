//! Products with matrix instructions: a weight tile against groups of sixteen rows.
//!
//! The instructions give exact integer sums; scales are applied by vector lanes. Two ways, by where scales change:
//!
//! - **super-blocks** (Q4_K, Q6_K): the tile is expanded, 256 inputs at a time, into two planes of bytes (8 KiB, read by all
//!   groups from the first-level cache); sums over 256 inputs are scaled once. Totals of all groups wait in memory.
//! - **blocks** of 32 (Q8_0, Q4_0): the tile's weights are laid out as signed bytes, once for all groups; each sum over 32 inputs
//!   is scaled, into totals that stay in registers over all inputs of a group.

use std::marker::PhantomData;

use super::Task;
use crate::kernels::{
    activations::{Activations, Group, GroupView},
    amx::{self, Amx, Depth, Sums},
    isa::Kernel,
    lanes::Lanes,
    tile::{Blocks, Q4, Q4K, Q6K, Q8, SuperBlocks, TILE_ROWS, TileFormat},
};

/// Works on a task with the arithmetic of its format.
pub(super) fn run(amx: Amx, task: Task<'_>) {
    let isa = task.activations.isa();
    match task.job.matrix.format {
        TileFormat::Q4K => {
            amx.with_tiles(Depth::Full, |tiles| isa.run(BySuperBlock { task, tiles, format: PhantomData::<Q4K> }))
        }
        TileFormat::Q6K => {
            amx.with_tiles(Depth::Full, |tiles| isa.run(BySuperBlock { task, tiles, format: PhantomData::<Q6K> }))
        }
        TileFormat::Q8 => {
            amx.with_tiles(Depth::Half, |tiles| isa.run(ByBlock { task, tiles, format: PhantomData::<Q8> }))
        }
        TileFormat::Q4 => {
            amx.with_tiles(Depth::Half, |tiles| isa.run(ByBlock { task, tiles, format: PhantomData::<Q4> }))
        }
    }
}

struct BySuperBlock<'a, T> {
    task: Task<'a>,
    tiles: &'a amx::Tiles,
    format: PhantomData<T>,
}

impl<T: SuperBlocks> Kernel for BySuperBlock<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let groups = self.task.activations.groups();
        let mut totals = vec![Sums::<f32>::zero(); groups.len()];
        for tile in self.task.tiles.clone() {
            for (&group, totals) in groups.iter().zip(&mut totals) {
                for (row, total) in totals.0.as_chunks_mut::<TILE_ROWS>().0.iter_mut().enumerate().take(group.rows) {
                    let start = self.task.start(lanes, group.row + row, tile);
                    // SAFETY: a row of totals is a whole vector.
                    unsafe { lanes.store(total.as_mut_ptr(), start) };
                }
            }
            self.tile(lanes, tile, &mut totals);
            for (&group, totals) in groups.iter().zip(&totals) {
                for (row, total) in totals.0.as_chunks::<TILE_ROWS>().0.iter().enumerate().take(group.rows) {
                    // SAFETY: as above.
                    let total = unsafe { lanes.load(total.as_ptr()) };
                    self.task.finish(lanes, group.row + row, tile, total);
                }
            }
        }
    }
}

impl<T: SuperBlocks> BySuperBlock<'_, T> {
    /// Adds the products of a tile to the totals of all groups.
    #[inline(always)]
    fn tile<L: Lanes>(&self, lanes: L, tile: usize, totals: &mut [Sums<f32>]) {
        let (bytes, inputs) = (self.task.tile(tile), &self.task.inputs);
        let activations = self.task.activations;
        let mut planes = [[amx::Tile::ZERO; 4]; 2];
        let mut sums = [[Sums::<i32>::zero(); 2]; 2];
        for block in inputs.start / 256..inputs.end / 256 {
            let block_bytes = &bytes[block * T::BYTES..(block + 1) * T::BYTES];
            // SAFETY: the slice is one super-block.
            let shared = unsafe {
                T::expand(lanes, block_bytes.as_ptr(), &mut planes);
                T::shared(lanes, block_bytes.as_ptr())
            };
            let right = [&planes[0][..], &planes[1][..]];
            for (pair, totals) in activations.groups().chunks(2).zip(totals.chunks_mut(2)) {
                match *pair {
                    [upper, lower] => {
                        let left = [part(activations, upper, block), part(activations, lower, block)];
                        self.tiles.multiply_i8(left, right, &mut sums);
                    }
                    [single] => {
                        let out = std::array::from_mut(&mut sums[0]);
                        self.tiles.multiply_i8([part(activations, single, block)], right, out);
                    }
                    _ => {}
                }
                for ((&group, sums), total) in pair.iter().zip(&sums).zip(totals) {
                    scale::<L, T>(lanes, &shared, block, sums, activations.view(group), total);
                }
            }
        }
    }
}

/// The left tiles of a super-block.
#[inline(always)]
fn part(activations: &Activations, group: Group, block: usize) -> &[amx::Tile] {
    &activations.tiles(group)[block * 4..][..4]
}

/// Scales the sums of a super-block and adds them to the totals of a group.
#[inline(always)]
fn scale<L: Lanes, T: SuperBlocks>(
    lanes: L,
    shared: &T::Shared<L>,
    block: usize,
    [high, low]: &[Sums<i32>; 2],
    view: GroupView,
    totals: &mut Sums<f32>,
) {
    for row in 0..amx::TILE {
        let at = row * TILE_ROWS;
        // SAFETY: rows of sums and totals are whole vectors; per super-block and row there are one scale and four pairs of
        // sums, `amx::TILE` apart.
        unsafe {
            // No closure around vectors: one that is not inlined makes every instruction a call.
            let high = lanes.load_ints(high.0.as_ptr().add(at).cast());
            let low = lanes.load_ints(low.0.as_ptr().add(at).cast());
            let activation_scale = *view.scales.add(block * amx::TILE + row);
            let activation_sums = view.sums32.add(block * 4 * amx::TILE + row);
            let total = totals.0.as_mut_ptr().add(at);
            let start = lanes.load(total);
            lanes.store(total, T::add(lanes, shared, [high, low], activation_scale, activation_sums, start));
        }
    }
}

struct ByBlock<'a, T> {
    task: Task<'a>,
    tiles: &'a amx::Tiles,
    format: PhantomData<T>,
}

impl<T: Blocks> Kernel for ByBlock<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let task = &self.task;
        // Two tiles at a time; what a last block leaves of them stays zero.
        let mut weights = vec![[amx::Tile::ZERO; 2]; task.inputs.len().div_ceil(128)];
        for tile in task.tiles.clone() {
            let bytes = task.tile(tile);
            let out = weights.as_mut_ptr().cast::<u8>();
            for (index, block) in (task.inputs.start / 32..task.inputs.end / 32).enumerate() {
                // SAFETY: the slice is one tile, `multiply` cut whole blocks, and there are four for each pair of tiles.
                unsafe { T::bytes(lanes, bytes.as_ptr(), block, out.add(index * 512)) };
            }
            for &group in task.activations.groups() {
                let mut totals = [lanes.splat(0.0); amx::TILE];
                for (row, total) in totals.iter_mut().enumerate().take(group.rows) {
                    *total = task.start(lanes, group.row + row, tile);
                }
                self.group(lanes, &weights, bytes, group, &mut totals);
                for (row, total) in totals.into_iter().enumerate().take(group.rows) {
                    task.finish(lanes, group.row + row, tile, total);
                }
            }
        }
    }
}

impl<T: Blocks> ByBlock<'_, T> {
    /// Adds the products of the task's inputs for one group, four blocks at a time; `tile` has the scales.
    #[inline(always)]
    fn group<L: Lanes>(
        &self,
        lanes: L,
        weights: &[[amx::Tile; 2]],
        tile: &[u8],
        group: Group,
        totals: &mut [L::Floats; amx::TILE],
    ) {
        let first = self.task.inputs.start / 32;
        let left = &self.task.activations.tiles(group)[first / 2..];
        let view = self.task.activations.view(group);
        let mut sums = [Sums::<i32>::zero(); 4];
        let count = self.task.inputs.len() / 32;
        for (four, (left, right)) in left.as_chunks::<2>().0.iter().zip(weights).enumerate() {
            self.tiles.multiply_blocks_i8(left, right, &mut sums);
            for (block, sums) in (four * 4..count).zip(&sums) {
                // SAFETY: a tile has sixteen scales per block, a group of activations too; a row of sums is a whole vector.
                unsafe {
                    let d = lanes.load_f16(tile[T::scales_at(first + block)..][..32].as_ptr().cast());
                    let activation_scales = view.scales.add((first + block) * amx::TILE);
                    for (row, total) in totals.iter_mut().enumerate() {
                        let sum = lanes.to_floats(lanes.load_ints(sums.0.as_ptr().add(row * TILE_ROWS).cast()));
                        *total = lanes.fma(sum, lanes.mul(d, lanes.splat(*activation_scales.add(row))), *total);
                    }
                }
            }
        }
    }
}
