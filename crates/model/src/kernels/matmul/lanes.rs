//! Products on vector lanes: a weight tile against groups of one to twelve rows.

use std::marker::PhantomData;

use super::Task;
use crate::kernels::{
    activations::Group,
    isa::Kernel,
    lanes::Lanes,
    tile::{Q4, Q4K, Q6K, Q8, TILE_ROWS, Tile, TileFormat},
};

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
        for tile in self.task.tiles.clone() {
            for &group in self.task.activations.groups() {
                match group.size {
                    1 => self.group::<L, 1>(lanes, tile, group),
                    2 => self.group::<L, 2>(lanes, tile, group),
                    4 => self.group::<L, 4>(lanes, tile, group),
                    8 if L::GROUP > 4 => self.group::<L, 8>(lanes, tile, group),
                    _ if L::GROUP > 4 => self.group::<L, 12>(lanes, tile, group),
                    _ => {}
                }
            }
        }
    }
}

impl<T: Tile> Tiles<'_, T> {
    #[inline(always)]
    fn group<L: Lanes, const R: usize>(&self, lanes: L, tile: usize, group: Group) {
        let task = &self.task;
        let (cols, view) = (task.activations.cols(), task.activations.view(group));
        let bytes = task.tile(tile);
        for from in (0..TILE_ROWS).step_by(L::WIDTH) {
            let mut total = [lanes.splat(0.0); R];
            for (row, total) in total.iter_mut().enumerate().take(group.rows) {
                *total = task.start(lanes, group.row + row, tile, from);
            }
            // SAFETY: the slice is one tile; `multiply` checked columns and scaling and cut whole blocks; the group's size is
            // `R`.
            unsafe {
                T::multiply::<L, R>(lanes, bytes.as_ptr(), cols, task.inputs.clone(), from, view, &mut total);
            }
            for (row, total) in total.into_iter().enumerate().take(group.rows) {
                task.finish(lanes, group.row + row, tile, from, total);
            }
        }
    }
}
