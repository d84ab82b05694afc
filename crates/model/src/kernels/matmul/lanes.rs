//! Products on vector lanes: a weight tile against groups of one to twelve rows.

use std::marker::PhantomData;

use super::Task;
use crate::kernels::{
    activations::Group,
    amx::{self, LINE},
    isa::Kernel,
    lanes::Lanes,
    tile::{Q4, Q4K, Q6K, Q8, Tile, TileFormat},
};

/// Fewest groups of rows that weights are unpacked for: with less, the stores are not won back.
const UNPACKED_GROUPS: usize = 3;

/// Works on a task with the arithmetic of its format.
pub(super) fn run(task: Task<'_>) {
    let isa = task.activations.isa();
    match task.job.matrix.format {
        TileFormat::Q4K => isa.run(Tiles { task, format: PhantomData::<Q4K> }),
        TileFormat::Q6K => isa.run(Tiles { task, format: PhantomData::<Q6K> }),
        TileFormat::Q8 => isa.run(Tiles { task, format: PhantomData::<Q8> }),
        TileFormat::Q4 => isa.run(Tiles { task, format: PhantomData::<Q4> }),
    }
}

struct Tiles<'a, T> {
    task: Task<'a>,
    format: PhantomData<T>,
}

impl<T: Tile> Kernel for Tiles<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let groups = self.task.activations.groups();
        // Where a pass serves few rows, weights are taken apart for all passes together.
        let unpacks = T::PACKED && L::GROUP <= 4 && groups.len() >= UNPACKED_GROUPS;
        let mut spare = vec![amx::Tile::ZERO; if unpacks { self.task.inputs.len().div_ceil(LINE) } else { 0 }];
        for tile in self.task.tiles.clone() {
            let unpacked = unpacks.then(|| spare.as_mut_ptr().cast::<u8>());
            if let Some(unpacked) = unpacked {
                // SAFETY: the slice is one tile; a line of sixteen fours for each quad of inputs.
                unsafe { T::unpack(lanes, self.task.tile(tile).as_ptr(), self.task.inputs.clone(), unpacked) };
            }
            for &group in groups {
                match group.size {
                    1 => self.group::<L, 1>(lanes, tile, None, group),
                    2 => self.group::<L, 2>(lanes, tile, None, group),
                    4 => self.group::<L, 4>(lanes, tile, unpacked.map(<*mut u8>::cast_const), group),
                    8 if L::GROUP > 4 => self.group::<L, 8>(lanes, tile, None, group),
                    _ if L::GROUP > 4 => self.group::<L, 12>(lanes, tile, None, group),
                    _ => {}
                }
            }
        }
    }
}

impl<T: Tile> Tiles<'_, T> {
    #[inline(always)]
    fn group<L: Lanes, const R: usize>(&self, lanes: L, tile: usize, unpacked: Option<*const u8>, group: Group) {
        let task = &self.task;
        let (cols, view) = (task.activations.cols(), task.activations.view(group));
        let bytes = task.tile(tile);
        let mut total = [lanes.splat(0.0); R];
        for (row, total) in total.iter_mut().enumerate().take(group.rows) {
            *total = task.start(lanes, group.row + row, tile);
        }
        // SAFETY: the slice is one tile; `multiply` checked columns and scaling and cut whole blocks; the group's size is `R`;
        // `run` unpacked these inputs of this tile.
        unsafe {
            T::multiply::<L, R>(lanes, bytes.as_ptr(), cols, task.inputs.clone(), unpacked, view, &mut total);
        }
        for (row, total) in total.into_iter().enumerate().take(group.rows) {
            task.finish(lanes, group.row + row, tile, total);
        }
    }
}
