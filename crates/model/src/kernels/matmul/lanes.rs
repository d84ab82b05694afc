//! Products on vector lanes: a weight tile against groups of one to eight rows.

use std::marker::PhantomData;

use super::Task;
use crate::kernels::{
    activations::Group,
    amx::{self, LINE},
    isa::{Isa, Kernel},
    lanes::Lanes,
    tile::{Q4, Q4K, Q6K, Q8, Tile, TileFormat},
};

/// Fewest groups of rows that weights are unpacked for: with less, the stores are not won back.
const UNPACKED_GROUPS: usize = 3;

/// Works on a task with the arithmetic of its format.
pub(super) fn run(task: &Task<'_>) {
    match task.job.matrix.format {
        TileFormat::Q4K => tiles::<Q4K>(task),
        TileFormat::Q6K => tiles::<Q6K>(task),
        TileFormat::Q8 => tiles::<Q8>(task),
        TileFormat::Q4 => tiles::<Q4>(task),
    }
}

/// Groups of each size are a kernel of their own: one function with the loops of all sizes has more values to keep than there are
/// registers.
fn tiles<T: Tile>(task: &Task<'_>) {
    let isa = task.activations.isa();
    // Where a pass serves few rows, weights are taken apart for all passes together.
    let unpacks = T::PACKED && isa.group_rows() <= 4 && task.groups.len() >= UNPACKED_GROUPS;
    let mut spare = vec![amx::Tile::ZERO; if unpacks { task.inputs.len().div_ceil(LINE) } else { 0 }];
    for tile in task.tiles.clone() {
        let unpacked = unpacks.then(|| spare.as_mut_ptr().cast::<u8>());
        if let Some(out) = unpacked {
            isa.run(Unpack { task, tile, out, format: PhantomData::<T> });
        }
        for groups in task.groups().chunk_by(|one, next| one.size == next.size) {
            match groups[0].size {
                1 => rows::<T, 1>(isa, task, tile, None, groups),
                2 => rows::<T, 2>(isa, task, tile, None, groups),
                4 => rows::<T, 4>(isa, task, tile, unpacked, groups),
                _ => rows::<T, 8>(isa, task, tile, None, groups),
            }
        }
    }
}

fn rows<T: Tile, const R: usize>(isa: Isa, task: &Task<'_>, tile: usize, unpacked: Option<*mut u8>, groups: &[Group]) {
    let unpacked = unpacked.map(<*mut u8>::cast_const);
    isa.run(Rows::<T, R> { task, tile, unpacked, groups, format: PhantomData });
}

/// Takes the weights of a tile apart, once for all groups.
struct Unpack<'a, T> {
    task: &'a Task<'a>,
    tile: usize,
    out: *mut u8,
    format: PhantomData<T>,
}

impl<T: Tile> Kernel for Unpack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        // SAFETY: the slice is one tile; `tiles` made a line of sixteen fours for each quad of inputs.
        unsafe { T::unpack(lanes, self.task.tile(self.tile).as_ptr(), self.task.inputs.clone(), self.out) };
    }
}

/// One tile for some groups of `R` rows.
struct Rows<'a, T, const R: usize> {
    task: &'a Task<'a>,
    tile: usize,
    unpacked: Option<*const u8>,
    groups: &'a [Group],
    format: PhantomData<T>,
}

impl<T: Tile, const R: usize> Kernel for Rows<'_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let task = self.task;
        let bytes = task.tile(self.tile);
        for &group in self.groups {
            let mut total = [lanes.splat(0.0); R];
            for (row, total) in total.iter_mut().enumerate().take(group.rows) {
                *total = task.start(lanes, group.row + row, self.tile);
            }
            let view = task.activations.view(group);
            // SAFETY: the slice is one tile; `multiply` checked columns and scaling and cut whole blocks; the groups' size is `R`;
            // `tiles` unpacked these inputs of this tile.
            unsafe {
                T::multiply::<L, R>(lanes, bytes.as_ptr(), task.inputs.clone(), self.unpacked, view, &mut total);
            }
            for (row, total) in total.into_iter().enumerate().take(group.rows) {
                task.finish(lanes, group.row + row, self.tile, total);
            }
        }
    }
}
