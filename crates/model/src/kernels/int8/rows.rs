//! Tokens as the int8 products want them: left tiles of signed bytes, a scale and a sum for each row.
//!
//! A value is `scale · q` with `q` in −127…127, once it is at the level the matrix wants. A row that holds a NaN or an infinity
//! gets the scale NaN, so every output of that token is NaN and the caller sees it.

use super::{
    Int8Matrix, PANEL,
    levels::Bring,
    lists::{self, GROUP, Lists, QUAD},
};
use crate::kernels::{
    amx::{Amx, LINE, TILE, Tile},
    isa::{Isa, Kernel},
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
};

/// Quantised rows; the buffers are kept and reused from one product to the next.
pub struct Int8Rows {
    isa: Isa,
    /// The matrix instructions, where `isa` has them.
    amx: Option<Amx>,
    count: usize,
    width: usize,
    /// Left tiles, `[rows / 16][width / 64]`, up to whole panels; rows past the last are stale.
    tiles: Vec<Tile>,
    scales: Vec<f32>,
    /// Sums, negated, over those of the row's integers that meet weights plus 128: where a product starts.
    negated_sums: Vec<i32>,
    /// For each group of rows, where the kernels want them.
    lists: Vec<Lists>,
}

impl Int8Rows {
    /// Makes an empty matrix for the kernels of `isa`.
    pub fn new(isa: Isa) -> Self {
        let amx = isa.matrix_instructions();
        Self {
            isa,
            amx,
            count: 0,
            width: 0,
            tiles: Vec::new(),
            scales: Vec::new(),
            negated_sums: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// Quantises `values`, the rows that `matrix` is to be multiplied with, one after the other.
    pub fn fill(&mut self, pool: &ThreadPool, values: &[f32], matrix: &Int8Matrix) {
        let (width, levels) = (matrix.inputs, matrix.levels.as_ref());
        let (count, steps) = (values.len() / width, width.div_ceil(LINE));
        (self.count, self.width) = (count, steps * LINE);
        let tiles = count.next_multiple_of(PANEL) / TILE * steps;
        if self.tiles.len() < tiles {
            self.tiles.resize(tiles, Tile::ZERO);
        }
        if self.scales.len() < count {
            self.scales.resize(count, 0.0);
            self.negated_sums.resize(count, 0);
        }
        let (isa, listed) = (self.isa, lists::wanted(self.isa));
        if listed && self.lists.len() < count.div_ceil(GROUP) {
            self.lists.resize(count.div_ceil(GROUP), Lists::default());
        }
        let lists = SharedMut::new(&mut self.lists);
        let (scales, sums) = (SharedMut::new(&mut self.scales), SharedMut::new(&mut self.negated_sums));
        pool.for_each_chunk(&mut self.tiles[..count.div_ceil(TILE) * steps], steps, 1, |block, tiles| {
            let mut quantised = vec![0_i8; steps * LINE];
            let mut levelled = vec![0.0; levels.map_or(0, |_| width)];
            let mut marks = vec![0_u64; if listed { steps * LINE / (2 * QUAD) } else { 0 }];
            let rows = TILE.min(count - block * TILE);
            for row in 0..rows {
                let at = block * TILE + row;
                let mut values = &values[at * width..(at + 1) * width];
                if let Some(levels) = levels {
                    isa.run(Bring { values, levels, out: &mut levelled });
                    values = &levelled;
                }
                let (scale, sum) = quantise(isa, values, &mut quantised);
                for (tile, line) in tiles.iter_mut().zip(quantised.as_chunks::<LINE>().0) {
                    tile.0[row * LINE..(row + 1) * LINE].copy_from_slice(&line.map(i8::cast_unsigned));
                }
                // SAFETY: `at` is below `count`, and each row is worked on by one thread.
                unsafe {
                    *scales.at(at) = scale;
                    *sums.at(at) = -sum;
                }
                if !listed {
                    continue;
                }
                lists::mark(isa, &quantised, &mut marks);
                if row % GROUP == GROUP - 1 || row == rows - 1 {
                    // SAFETY: as above, of this group of rows, none of which another thread works on.
                    let (lists, first) = unsafe { (&mut *lists.at(at / GROUP), row / GROUP * GROUP) };
                    lists.fill(&marks);
                    marks.fill(0);
                    let [_, _, signed] = lists.parts();
                    for row in first..=row {
                        // SAFETY: as above.
                        unsafe { *sums.at(block * TILE + row) += sum_of(tiles, row, signed) };
                    }
                }
            }
        });
    }

    /// The kernels it was made for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The matrix instructions, where there are any.
    pub(super) fn amx(&self) -> Option<Amx> {
        self.amx
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes per row, padding included.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The run of left tiles that holds sixteen rows from `row` on, a multiple of sixteen. Runs up to the next multiple of 32
    /// rows exist; rows past [`Int8Rows::count`] hold anything.
    pub(super) fn run(&self, row: usize) -> &[Tile] {
        let steps = self.width / LINE;
        &self.tiles[row / TILE * steps..(row / TILE + 1) * steps]
    }

    /// The scale of a row.
    pub(super) fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    /// The sum, negated, of those of a row's integers that meet weights plus 128: all, or those of two of the lists.
    pub(super) fn negated_sum(&self, row: usize) -> i32 {
        self.negated_sums[row]
    }

    /// The lists of the group of rows that begins at `row`.
    pub(super) fn lists(&self, row: usize) -> &Lists {
        &self.lists[row / GROUP]
    }
}

/// Sums some quads of a row of left tiles.
fn sum_of(tiles: &[Tile], row: usize, quads: &[u16]) -> i32 {
    let values = |&quad: &u16| {
        let at = usize::from(quad) * QUAD;
        &tiles[at / LINE].0[row * LINE + at % LINE..][..QUAD]
    };
    quads.iter().flat_map(values).map(|q| i32::from(q.cast_signed())).sum()
}

/// Quantises one row into `out`, which may be longer and is filled up with zeros. Gives the scale and the sum of the
/// integers.
pub(super) fn quantise(isa: Isa, values: &[f32], out: &mut [i8]) -> (f32, i32) {
    isa.run(Quantise { values, out })
}

struct Quantise<'a> {
    values: &'a [f32],
    out: &'a mut [i8],
}

impl Kernel for Quantise<'_> {
    type Output = (f32, i32);

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> (f32, i32) {
        let Self { values, out } = self;
        let (out, padding) = out.split_at_mut(values.len());
        padding.fill(0);
        // The bits of |x| order like |x| itself, with infinity and then NaN at the top: one integer maximum finds the
        // largest magnitude and everything that is not finite.
        let largest = values.iter().fold(0_u32, |largest, value| largest.max(value.to_bits() & 0x7FFF_FFFF));
        let magnitude = f32::from_bits(largest);
        // Below 1e-30 a row counts as zero: 127 / magnitude would overflow soon after.
        if !magnitude.is_finite() || magnitude < 1e-30 {
            out.fill(0);
            return (if magnitude.is_finite() { 0.0 } else { f32::NAN }, 0);
        }
        let inverse = 127.0 / magnitude;
        let mut sum = 0;
        for (q, value) in out.iter_mut().zip(values) {
            // Adding 1.5 · 2^23 leaves the rounded integer in the low mantissa bits, in two's complement.
            *q = (value * inverse + 12_582_912.0).to_bits() as i8;
            sum += i32::from(*q);
        }
        (magnitude / 127.0, sum)
    }
}
