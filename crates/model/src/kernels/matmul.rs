//! Quantised matrix products: activations times packed weights, for one row (generating) and for many (reading).
//!
//! `out[t][n] = Σ_k x[t][k] · w[n][k]`. The unit of work is a weight tile: sixteen outputs for all activation rows. A tile
//! is read from memory once and meets every group of rows while it sits in the first-level cache (a Q4_K tile of 2,048
//! inputs is 18.5 KiB), so memory traffic does not grow with the number of rows; the groups stream from the second level
//! (240 rows of 2,048 are 480 KiB) at 4 bytes per cycle and core. Several products of the same activations (query, key and
//! value projections) are one parallel region.

use std::ops::Range;

use super::{
    activations::{Activations, Group},
    arena::Arena,
    isa::Kernel,
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
    tile::{Q4, Q4K, Q6K, Q8, TILE_ROWS, Tile, TileFormat},
};
use crate::weights::{WeightType, WeightsError};

/// What can go wrong when weights are packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The arena is smaller than the matrices put into it.
    #[error("weight arena is full")]
    Full,
    /// The bytes are not those of a matrix of this shape and type.
    #[error("{found} bytes do not hold {rows} rows of {cols} weights of type {dtype}")]
    WrongLength {
        /// Rows of the matrix.
        rows: usize,
        /// Weights per row.
        cols: usize,
        /// Their type.
        dtype: WeightType,
        /// Bytes given.
        found: usize,
    },
    /// The weights could not be read as numbers.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// A weight matrix `[rows, cols]` (outputs, inputs), packed into tiles inside an [`Arena`].
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    format: TileFormat,
    rows: usize,
    cols: usize,
    part: Range<usize>,
}

impl PackedMatrix {
    /// Bytes of arena that a matrix takes up.
    pub fn footprint(dtype: WeightType, rows: usize, cols: usize) -> usize {
        Arena::footprint(rows.div_ceil(TILE_ROWS).saturating_mul(TileFormat::of(dtype).tile_bytes(cols)))
    }

    /// Packs a matrix that is stored row by row in `bytes`, on all threads.
    ///
    /// # Errors
    /// Every variant of [`PackError`].
    pub fn pack(
        arena: &mut Arena,
        pool: &ThreadPool,
        dtype: WeightType,
        [rows, cols]: [usize; 2],
        bytes: &[u8],
    ) -> Result<Self, PackError> {
        let wrong = || PackError::WrongLength { rows, cols, dtype, found: bytes.len() };
        let row_bytes = dtype.byte_len(cols).ok_or_else(wrong)?;
        if row_bytes == 0 || row_bytes.checked_mul(rows) != Some(bytes.len()) {
            return Err(wrong());
        }
        let format = TileFormat::of(dtype);
        let tile_bytes = format.tile_bytes(cols);
        let part = arena.take(rows.div_ceil(TILE_ROWS) * tile_bytes).ok_or(PackError::Full)?;
        let failure = std::sync::Mutex::new(None);
        pool.for_each_chunk(arena.bytes_mut(&part), tile_bytes, 8, |index, tile| {
            let first = index * TILE_ROWS;
            let rows = &bytes[first * row_bytes..rows.min(first + TILE_ROWS) * row_bytes];
            if let Err(error) = format.pack(tile, dtype, rows, cols)
                && let Ok(mut failure) = failure.lock()
            {
                *failure = Some(error);
            }
        });
        match failure.into_inner() {
            Ok(Some(error)) => Err(error.into()),
            _ => Ok(Self { format, rows, cols, part }),
        }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The layout of its tiles, which says what activations it wants.
    pub fn format(&self) -> TileFormat {
        self.format
    }

    /// Bytes read by one pass over it.
    pub fn bytes(&self) -> usize {
        self.part.len()
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }
}

/// What happens to the values that were in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They are replaced.
    Replace,
    /// The product is added to them (a residual connection).
    Add,
}

/// One matrix product of a region: where it goes, `[rows of the activations, rows of the matrix]`.
pub struct Product<'a> {
    /// The weights.
    pub matrix: &'a PackedMatrix,
    /// The results, row-major.
    pub out: &'a mut [f32],
    /// Replace or add.
    pub output: Output,
}

/// Multiplies `activations` with every matrix of `products`, in one parallel region.
///
/// # Panics
/// When a length, the columns or the scaling of the activations do not fit a matrix: a defect of the caller.
pub fn multiply(pool: &ThreadPool, arena: &Arena, activations: &Activations, products: &mut [Product<'_>]) {
    let jobs: Vec<Job<'_>> = products
        .iter_mut()
        .map(|product| {
            let matrix = product.matrix;
            assert_eq!(activations.scaling(), matrix.format.scaling(), "activations of another scaling");
            assert_eq!(activations.cols(), matrix.format.padded_cols(matrix.cols), "activations of another width");
            assert_eq!(product.out.len(), activations.rows() * matrix.rows, "output of another size");
            Job {
                matrix,
                tiles: arena.bytes(&matrix.part),
                out: SharedMut::new(product.out),
                add: product.output == Output::Add,
            }
        })
        .collect();
    let total: usize = jobs.iter().map(|job| job.matrix.tiles()).sum();
    // Eight turns per thread: small enough that a delayed thread costs little, large enough to read in long runs.
    let grain = total.div_ceil(pool.threads() * 8).max(1);
    pool.for_each_range(total, grain, |range| {
        let mut before = 0;
        for job in &jobs {
            let tiles = range.start.max(before)..range.end.min(before + job.matrix.tiles());
            if !tiles.is_empty() {
                job.run(tiles.start - before..tiles.end - before, activations);
            }
            before += job.matrix.tiles();
        }
    });
}

struct Job<'a> {
    matrix: &'a PackedMatrix,
    tiles: &'a [u8],
    out: SharedMut<f32>,
    add: bool,
}

impl Job<'_> {
    fn run(&self, tiles: Range<usize>, activations: &Activations) {
        let isa = activations.isa();
        match self.matrix.format {
            TileFormat::Q4K => isa.run(Tiles { job: self, tiles, activations, tile: Q4K }),
            TileFormat::Q6K => isa.run(Tiles { job: self, tiles, activations, tile: Q6K }),
            TileFormat::Q8 => isa.run(Tiles { job: self, tiles, activations, tile: Q8 }),
            TileFormat::Q4 => isa.run(Tiles { job: self, tiles, activations, tile: Q4 }),
        }
    }
}

/// The kernel: some tiles of one product, for all activation rows.
struct Tiles<'a, T> {
    job: &'a Job<'a>,
    tiles: Range<usize>,
    activations: &'a Activations,
    #[expect(dead_code, reason = "names the format; the arithmetic has no state")]
    tile: T,
}

impl<T: Tile> Kernel for Tiles<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for tile in self.tiles.clone() {
            for &group in self.activations.groups() {
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
        let cols = self.activations.cols();
        let tile_bytes = self.job.matrix.format.tile_bytes(cols);
        let bytes = &self.job.tiles[tile * tile_bytes..(tile + 1) * tile_bytes];
        let view = self.activations.view(group);
        for from in (0..TILE_ROWS).step_by(L::WIDTH) {
            // SAFETY: the slice is one tile; `multiply` checked columns and scaling, the group's size is `R`.
            let sums = unsafe { T::multiply::<L, R>(lanes, bytes.as_ptr(), cols, from, view) };
            let width = self.job.matrix.rows.saturating_sub(tile * TILE_ROWS + from).min(L::WIDTH);
            for (row, sum) in sums.into_iter().enumerate().take(group.rows) {
                let at = (group.row + row) * self.job.matrix.rows + tile * TILE_ROWS + from;
                // SAFETY: `multiply` checked the output's length; this tile's columns are written by this thread alone.
                unsafe { self.write(lanes, at, width, sum) };
            }
        }
    }

    /// Writes `width` lanes of `sum` to output `at…`.
    ///
    /// # Safety
    /// `at..at + width` lies in the output and no other thread touches it.
    #[inline(always)]
    unsafe fn write<L: Lanes>(&self, lanes: L, at: usize, width: usize, sum: L::Floats) {
        // SAFETY: the caller's contract; `spare` holds a whole vector.
        unsafe {
            let out = self.job.out.at(at);
            if width == L::WIDTH {
                let sum = if self.job.add { lanes.add(sum, lanes.load(out)) } else { sum };
                lanes.store(out, sum);
            } else {
                let mut spare = [0.0_f32; TILE_ROWS];
                lanes.store(spare.as_mut_ptr(), sum);
                for (lane, value) in spare.iter().enumerate().take(width) {
                    *out.add(lane) = if self.job.add { *out.add(lane) + value } else { *value };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
