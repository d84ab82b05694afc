//! Quantised matrix products: activations times packed weights, for one row (generating) and for many (reading).
//!
//! `out[t][n] = Σ_k x[t][k] · w[n][k]`. The unit of work is a weight tile: sixteen outputs for all activation rows. A tile
//! is read from memory once and meets every group of rows while it sits in the first-level cache (a Q4_K tile of 2,048
//! inputs is 18.5 KiB), so memory traffic does not grow with the number of rows; the groups stream from the second level.
//! What does not fit there ([`SECOND_LEVEL`]) goes in passes ([`passes`]). Several products of the same activations
//! (query, key and value projections) are one parallel region.
//!
//! Vector lanes do the arithmetic ([`lanes`]), or matrix instructions where the activations were laid out for them
//! ([`matrix`]). Both add the same exact integers in the same order, so the bits of a row do not depend on how many rows it
//! is read with.

mod lanes;
mod matrix;

use std::ops::Range;

use super::{
    activations::{Activations, Group},
    arena::Arena,
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
    tile::{TILE_ROWS, TileFormat},
};
use crate::weights::{WeightType, WeightsError};

/// Bytes of activations per pass over the weights: half the second-level cache of the processors in question.
const SECOND_LEVEL: usize = 512 << 10;

/// The same for processors with matrix instructions, which have 2 MiB.
const SECOND_LEVEL_MATRIX: usize = 1 << 20;

/// Fewest rows per pass over the weights, however long: with fewer, reading the weights takes longer than multiplying.
const LEAST_ROWS: usize = 64;

/// Most inputs per pass where a pass unpacks its weights: sixteen bytes each.
const MOST_UNPACKED: usize = 2048;

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
        let matrix = Self::place(arena, dtype, [rows, cols])?;
        let (format, tile_bytes) = (matrix.format, matrix.format.tile_bytes(cols));
        let failure = std::sync::Mutex::new(None);
        pool.for_each_chunk(arena.bytes_mut(&matrix.part), tile_bytes, 8, |index, tile| {
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
            _ => Ok(matrix),
        }
    }

    /// Takes the part of a matrix that an arena holds already ([`Arena::filled`]).
    ///
    /// # Errors
    /// [`PackError::Full`].
    pub fn place(arena: &mut Arena, dtype: WeightType, [rows, cols]: [usize; 2]) -> Result<Self, PackError> {
        let format = TileFormat::of(dtype);
        let part = arena.take(rows.div_ceil(TILE_ROWS) * format.tile_bytes(cols)).ok_or(PackError::Full)?;
        Ok(Self { format, rows, cols, part })
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
    for (groups, inputs) in passes(activations) {
        pool.for_each_range(total, grain, |range| {
            let mut before = 0;
            for job in &jobs {
                let tiles = range.start.max(before)..range.end.min(before + job.matrix.tiles());
                if !tiles.is_empty() {
                    let tiles = tiles.start - before..tiles.end - before;
                    let onto = job.add || inputs.start > 0;
                    Task { job, activations, tiles, groups: groups.clone(), inputs: inputs.clone(), onto }.run();
                }
                before += job.matrix.tiles();
            }
        });
    }
}

/// Parts of the activations that stay in the second-level cache: groups of rows, and ranges of inputs (whole blocks of any
/// format).
///
/// Vector lanes with many registers take some rows over all inputs at a time: reading the weights again costs less than reading
/// the outputs again. Where a pass unpacks its weights it takes all rows over some inputs.
fn passes(activations: &Activations) -> Vec<(Range<usize>, Range<usize>)> {
    let (rows, cols, groups) = (activations.rows(), activations.cols(), activations.groups().len());
    if groups <= 1 {
        return vec![(0..groups, 0..cols)];
    }
    let group_rows = activations.isa().group_rows();
    if group_rows > 4 && !activations.is_tiled() {
        let step = (SECOND_LEVEL / cols.max(1)).max(LEAST_ROWS) / group_rows;
        let step = groups.div_ceil(groups.div_ceil(step));
        return (0..groups).step_by(step).map(|first| (first..groups.min(first + step), 0..cols)).collect();
    }
    let (room, whole) =
        if activations.is_tiled() { (SECOND_LEVEL_MATRIX, usize::MAX) } else { (SECOND_LEVEL, MOST_UNPACKED) };
    let most = (room / rows.max(1)).clamp(1024, whole) / 256 * 256;
    let step = cols.div_ceil(cols.div_ceil(most).max(1)).next_multiple_of(256);
    (0..cols).step_by(step).map(|first| (0..groups, first..cols.min(first + step))).collect()
}

struct Job<'a> {
    matrix: &'a PackedMatrix,
    tiles: &'a [u8],
    out: SharedMut<f32>,
    add: bool,
}

/// Some tiles of a job, for some groups of rows, over some of the inputs.
struct Task<'a> {
    job: &'a Job<'a>,
    activations: &'a Activations,
    tiles: Range<usize>,
    groups: Range<usize>,
    inputs: Range<usize>,
    /// Whether the products come on top of what is in the output: a residual, or an earlier pass.
    onto: bool,
}

impl Task<'_> {
    fn run(self) {
        match self.activations.isa().matrix_instructions() {
            Some(amx) if self.activations.is_tiled() => matrix::run(amx, self),
            _ => lanes::run(&self),
        }
    }

    /// The groups of rows.
    fn groups(&self) -> &[Group] {
        &self.activations.groups()[self.groups.clone()]
    }

    /// The bytes of a tile.
    fn tile(&self, tile: usize) -> &[u8] {
        let size = self.job.matrix.format.tile_bytes(self.job.matrix.cols);
        &self.job.tiles[tile * size..(tile + 1) * size]
    }

    /// Where the outputs of a tile for an activation row start, and how many there are.
    fn place(&self, row: usize, tile: usize) -> (usize, usize) {
        let (rows, first) = (self.job.matrix.rows, tile * TILE_ROWS);
        (row * rows + first, (rows - first).min(TILE_ROWS))
    }

    /// The values that a sum starts from.
    #[inline(always)]
    fn start<L: Lanes>(&self, lanes: L, row: usize, tile: usize) -> L::Floats {
        let (at, width) = self.place(row, tile);
        if !self.onto {
            // SAFETY: `multiply` checked the output's length.
            lanes.ask_to_write(unsafe { self.job.out.at(at) });
            return lanes.splat(0.0);
        }
        // SAFETY: `multiply` checked the output's length; this tile's outputs are touched by this thread alone; `spare` holds a
        // whole vector.
        unsafe {
            let out = self.job.out.at(at);
            if width == TILE_ROWS {
                return lanes.load(out);
            }
            let mut spare = [0.0_f32; TILE_ROWS];
            out.copy_to_nonoverlapping(spare.as_mut_ptr(), width);
            lanes.load(spare.as_ptr())
        }
    }

    /// Stores a sum.
    #[inline(always)]
    fn finish<L: Lanes>(&self, lanes: L, row: usize, tile: usize, sum: L::Floats) {
        let (at, width) = self.place(row, tile);
        // SAFETY: as in `start`.
        unsafe {
            let out = self.job.out.at(at);
            if width == TILE_ROWS {
                lanes.store(out, sum);
            } else {
                let mut spare = [0.0_f32; TILE_ROWS];
                lanes.store(spare.as_mut_ptr(), sum);
                out.copy_from_nonoverlapping(spare.as_ptr(), width);
            }
        }
    }
}

#[cfg(test)]
mod tests;
