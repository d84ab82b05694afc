//! Activations as the integer kernels want them: quantised to int8, grouped, interleaved.
//!
//! Rows (tokens) are cut into groups of `R` rows, eight at most, that share one pass over a weight tile. Within a group,
//! four consecutive values of one row form a *quad*, and the quads of all rows at the same place lie together, so
//! the kernel walks through memory in a straight line and broadcasts one quad per multiplication:
//!
//! ```text
//! quads   k = 0…3                     k = 4…7                     …
//!         row 0 │ row 1 │ … row R−1 │ row 0 │ row 1 │ … row R−1 │ …       4 bytes each
//! scales  block 0: row 0 … row R−1 │ block 1: row 0 … row R−1 │ …         one f32 each
//! sums    the same order                                                one i32 each
//! ```
//!
//! Where the processor multiplies whole matrices ([`super::amx`]) and there are rows enough, groups are of sixteen rows, and
//! instead of quads hold *left tiles*: 64 values of row 0, 64 of row 1, … Scales and sums lie as for any group of sixteen.
//!
//! A value is `scale · q` with `q` in −127…127. [`Scaling::Per256`] serves the super-block formats (Q4_K, Q6_K), whose
//! sub-block scales are integers and can be applied before the activation scale; [`Scaling::Per32`] serves Q8_0 and
//! Q4_0. Both are what llama.cpp uses for the same weights, so the error is the same too.
//!
//! The sums exist because weights are stored with an offset: for a weight `a·w − b`, `Σ (a·w − b)·q` is
//! `a·Σ w·q − b·Σ q`, and `Σ q` over a block is known when the activations are quantised.
//!
//! A block that holds a NaN or an infinity gets the scale NaN, so every output that reads it is NaN and the caller
//! sees it; nothing is hidden by the integers.

use super::{
    amx::{LINE, TILE, Tile},
    isa::{Isa, Kernel},
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
};

/// Fewest rows that go through matrix instructions. Expanding the weights for them costs about as much as multiplying four
/// rows without.
const TILED_ROWS: usize = 5;

/// How many consecutive values share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// 32 values.
    Per32,
    /// 256 values; rows must be a multiple of 256 long.
    Per256,
}

impl Scaling {
    fn block(self) -> usize {
        match self {
            Self::Per32 => 32,
            Self::Per256 => 256,
        }
    }
}

/// Rows that share one pass over a tile; `size` may exceed the rows left, the rest are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// First row.
    pub(crate) row: usize,
    /// Rows of the group that exist.
    pub(crate) rows: usize,
    /// Rows the group is laid out for: 1, 2, 4 or 8; 16 for left tiles.
    pub(crate) size: usize,
    /// Rows laid out before it.
    slot: usize,
}

/// Where the parts of one group start.
#[derive(Clone, Copy)]
pub(crate) struct GroupView {
    /// `[cols / 4][size]` quads; for groups of sixteen there are none.
    pub(crate) quads: *const i32,
    /// `[cols / block][size]` scales.
    pub(crate) scales: *const f32,
    /// Per256: `[cols / 64][size]` pairs of i16 sums over 32. Per32: `[cols / 32][size]` negated sums over 32.
    pub(crate) sums32: *const i32,
    /// Per256: `[cols / 32][size]` pairs of i16 sums over 16. Per32: unused.
    pub(crate) sums16: *const i32,
}

/// A quantised activation matrix; the buffers are kept and reused from one pass to the next.
pub struct Activations {
    isa: Isa,
    scaling: Scaling,
    rows: usize,
    cols: usize,
    groups: Vec<Group>,
    quads: Vec<i32>,
    /// `[groups][tiles_per_group]`, instead of quads where groups are of sixteen.
    tiles: Vec<Tile>,
    scales: Vec<f32>,
    sums32: Vec<i32>,
    sums16: Vec<i32>,
    /// One row per group, where `fill` lets its caller produce values.
    scratch: Vec<f32>,
}

impl Activations {
    /// Makes an empty matrix for the kernels of `isa`.
    pub fn new(isa: Isa, scaling: Scaling) -> Self {
        Self {
            isa,
            scaling,
            rows: 0,
            cols: 0,
            groups: Vec::new(),
            quads: Vec::new(),
            tiles: Vec::new(),
            scales: Vec::new(),
            sums32: Vec::new(),
            sums16: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The scaling it was made for.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// The kernels it was made for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values per row, padded with zeros to whole blocks.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    #[inline(always)]
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    #[inline(always)]
    pub(crate) fn view(&self, group: Group) -> GroupView {
        let blocks = self.cols / self.scaling.block();
        let pairs = self.sums32_per_row();
        GroupView {
            quads: if self.is_tiled() { std::ptr::null() } else { self.quads[self.cols / 4 * group.slot..].as_ptr() },
            scales: self.scales[blocks * group.slot..].as_ptr(),
            sums32: self.sums32[pairs * group.slot..].as_ptr(),
            sums16: match self.scaling {
                Scaling::Per256 => self.sums16[self.cols / 32 * group.slot..].as_ptr(),
                Scaling::Per32 => std::ptr::null(),
            },
        }
    }

    /// Says whether the groups are left tiles for matrix instructions.
    #[inline(always)]
    pub(crate) fn is_tiled(&self) -> bool {
        self.groups.first().is_some_and(|group| group.size == TILE)
    }

    /// The left tiles of a group of sixteen, from input 0 on; whole pairs of tiles, whatever follows the last input.
    #[inline(always)]
    pub(crate) fn tiles(&self, group: Group) -> &[Tile] {
        let count = self.tiles_per_group();
        &self.tiles[group.slot / TILE * count..][..count]
    }

    #[inline(always)]
    fn tiles_per_group(&self) -> usize {
        self.cols.div_ceil(2 * LINE) * 2
    }

    #[inline(always)]
    fn sums32_per_row(&self) -> usize {
        match self.scaling {
            Scaling::Per32 => self.cols / 32,
            Scaling::Per256 => self.cols / 64,
        }
    }

    /// Fills the matrix with `rows` rows of `cols` values: `produce` writes the row of the given index into a
    /// zeroed-or-stale buffer of `cols` values, on any thread, and the row is quantised at once while it is in cache.
    pub fn fill(&mut self, pool: &ThreadPool, rows: usize, cols: usize, produce: impl Fn(usize, &mut [f32]) + Sync) {
        self.resize(rows, cols);
        let mut scratch = std::mem::take(&mut self.scratch);
        let padded = self.cols;
        let (isa, scaling) = (self.isa, self.scaling);
        let (blocks, pairs) = (padded / scaling.block(), self.sums32_per_row());
        let (tiled, tiles_per_group) = (self.is_tiled(), self.tiles_per_group());
        let quads = SharedMut::new(&mut self.quads);
        let tiles = SharedMut::new(&mut self.tiles);
        let scales = SharedMut::new(&mut self.scales);
        let sums32 = SharedMut::new(&mut self.sums32);
        let sums16 = SharedMut::new(&mut self.sums16);
        let groups = &self.groups;
        pool.for_each_chunk(&mut scratch[..groups.len() * padded], padded, 1, |index, values| {
            let group = groups[index];
            for row in 0..group.size {
                if row < group.rows {
                    produce(group.row + row, &mut values[..cols]);
                    values[cols..].fill(0.0);
                } else {
                    values.fill(0.0);
                }
                // SAFETY: the parts of a group start at its slot times the length of a row's part, as `resize`
                // laid them out, and each group is worked on by one thread.
                unsafe {
                    let place = if tiled {
                        Place::Lines(tiles.at(group.slot / TILE * tiles_per_group).cast::<u8>().add(row * LINE))
                    } else {
                        Place::Quads(quads.at(padded / 4 * group.slot + row))
                    };
                    isa.run(QuantiseRow {
                        values,
                        scaling,
                        stride: group.size,
                        place,
                        scales: scales.at(blocks * group.slot + row),
                        sums32: sums32.at(pairs * group.slot + row),
                        sums16: sums16.at(if scaling == Scaling::Per256 { padded / 32 * group.slot + row } else { 0 }),
                    });
                }
            }
        });
        self.scratch = scratch;
    }

    /// Lays out groups and makes room.
    fn resize(&mut self, rows: usize, cols: usize) {
        self.rows = rows;
        self.cols = cols.next_multiple_of(self.scaling.block());
        self.groups.clear();
        let (mut row, mut slot) = (0, 0);
        let tiled = rows >= TILED_ROWS && self.isa.matrix_instructions().is_some();
        let largest = if tiled { TILE } else { self.isa.group_rows() };
        while row < rows {
            let left = rows - row;
            let size = if tiled {
                TILE
            } else {
                [1, 2, 4, 8].into_iter().find(|&size| size >= left.min(largest)).unwrap_or(largest)
            };
            self.groups.push(Group { row, rows: left.min(size), size, slot });
            row += size;
            slot += size;
        }
        if tiled {
            let count = slot / TILE * self.tiles_per_group();
            if self.tiles.len() < count {
                self.tiles.resize(count, Tile::ZERO);
            }
        } else {
            grow(&mut self.quads, self.cols / 4 * slot);
        }
        grow(&mut self.scales, self.cols / self.scaling.block() * slot);
        let pairs = self.sums32_per_row();
        grow(&mut self.sums32, pairs * slot);
        if self.scaling == Scaling::Per256 {
            grow(&mut self.sums16, self.cols / 32 * slot);
        }
        grow(&mut self.scratch, self.cols * self.groups.len());
    }
}

/// Makes `buffer` at least `len` long; stale values stay, every one of them is written before it is read.
fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// Where the integers of a row go.
#[derive(Clone, Copy)]
enum Place {
    /// The row's first quad; they are `stride` apart.
    Quads(*mut i32),
    /// The row's line in its first tile.
    Lines(*mut u8),
}

/// Quantises one row into its places within a group. The pointers are those of the row's first elements; elements
/// of one row are `stride` apart.
struct QuantiseRow<'a> {
    values: &'a [f32],
    scaling: Scaling,
    stride: usize,
    place: Place,
    scales: *mut f32,
    sums32: *mut i32,
    sums16: *mut i32,
}

impl Kernel for QuantiseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        match self.scaling {
            Scaling::Per256 => self.per_256(),
            Scaling::Per32 => self.per_32(),
        }
    }
}

impl QuantiseRow<'_> {
    /// Stores the integers of block `index`.
    ///
    /// # Safety
    /// The row's places reach so far.
    #[inline(always)]
    unsafe fn put<const N: usize>(&self, index: usize, q: &[i8; N]) {
        // SAFETY: the caller's contract; a part of 32 values lies within one line.
        unsafe {
            match self.place {
                Place::Quads(first) => {
                    for (quad, bytes) in q.as_chunks::<4>().0.iter().enumerate() {
                        *first.add((index * N / 4 + quad) * self.stride) = word(*bytes);
                    }
                }
                Place::Lines(first) => {
                    for (part, bytes) in q.as_chunks::<32>().0.iter().enumerate() {
                        let value = index * N + part * 32;
                        let at = value / LINE * size_of::<Tile>() + value % LINE;
                        first.add(at).cast::<[i8; 32]>().write(*bytes);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn per_256(self) {
        let (blocks, _) = self.values.as_chunks::<256>();
        for (index, block) in blocks.iter().enumerate() {
            let (scale, q) = quantise(block);
            let mut sums = [0_i16; 16];
            for (sum, q) in sums.iter_mut().zip(q.as_chunks::<16>().0) {
                *sum = q.iter().map(|&q| i16::from(q)).sum();
            }
            // SAFETY: `fill` gives pointers to a group laid out for this row length: 64 quads, 1 scale, 4 pairs of
            // sums over 32 and 8 pairs of sums over 16 per block, each `stride` apart.
            unsafe {
                self.put(index, &q);
                *self.scales.add(index * self.stride) = scale;
                for pair in 0..8 {
                    *self.sums16.add((index * 8 + pair) * self.stride) = pack(sums[2 * pair], sums[2 * pair + 1]);
                }
                for pair in 0..4 {
                    let low = sums[4 * pair] + sums[4 * pair + 1];
                    let high = sums[4 * pair + 2] + sums[4 * pair + 3];
                    *self.sums32.add((index * 4 + pair) * self.stride) = pack(low, high);
                }
            }
        }
    }

    #[inline(always)]
    fn per_32(self) {
        let (blocks, _) = self.values.as_chunks::<32>();
        for (index, block) in blocks.iter().enumerate() {
            let (scale, q) = quantise(block);
            let sum: i32 = q.iter().map(|&q| i32::from(q)).sum();
            // SAFETY: as in `per_256`: 8 quads, 1 scale and 1 sum per block.
            unsafe {
                self.put(index, &q);
                *self.scales.add(index * self.stride) = scale;
                *self.sums32.add(index * self.stride) = -sum;
            }
        }
    }
}

/// Four signed bytes as the kernels load them.
#[inline(always)]
fn word(bytes: [i8; 4]) -> i32 {
    i32::from_le_bytes(bytes.map(i8::cast_unsigned))
}

/// Two i16 in one i32, the first one low.
#[inline(always)]
fn pack(low: i16, high: i16) -> i32 {
    (i32::from(high) << 16) | (i32::from(low) & 0xFFFF)
}

/// Quantises a block to `scale · q`, rounding to nearest. Below 1e-30 a block counts as zero: its products could
/// not change any f32 sum that matters, and 127 / max would overflow soon after.
#[inline(always)]
fn quantise<const N: usize>(block: &[f32; N]) -> (f32, [i8; N]) {
    // The bits of |x| order like |x| itself, with infinity and then NaN at the top: one integer maximum finds the
    // largest magnitude and everything that is not finite.
    let mut largest = 0_u32;
    for value in block {
        largest = largest.max(value.to_bits() & 0x7FFF_FFFF);
    }
    let magnitude = f32::from_bits(largest);
    if !magnitude.is_finite() {
        return (f32::NAN, [0; N]);
    }
    if magnitude < 1e-30 {
        return (0.0, [0; N]);
    }
    let inverse = 127.0 / magnitude;
    let mut q = [0_i8; N];
    for (q, value) in q.iter_mut().zip(block) {
        // Adding 1.5 · 2^23 leaves the rounded integer in the low mantissa bits, in two's complement.
        *q = (value * inverse + 12_582_912.0).to_bits() as i8;
    }
    (magnitude / 127.0, q)
}

#[cfg(test)]
impl Activations {
    /// The value that the integers stand for.
    pub(crate) fn value(&self, row: usize, col: usize) -> f64 {
        let group = *self.groups.iter().find(|group| (group.row..group.row + group.rows).contains(&row)).unwrap();
        let inner = row - group.row;
        let q = if self.is_tiled() {
            self.tiles(group)[col / LINE].0[inner * LINE + col % LINE]
        } else {
            self.quads[self.cols / 4 * group.slot + col / 4 * group.size + inner].to_le_bytes()[col % 4]
        };
        let q = q.cast_signed();
        let block = self.scaling.block();
        let scale = self.scales[self.cols / block * group.slot + col / block * group.size + inner];
        f64::from(q) * f64::from(scale)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(isa: Isa, scaling: Scaling, rows: usize, cols: usize, values: &[f32]) -> Activations {
        let mut activations = Activations::new(isa, scaling);
        let pool = ThreadPool::new(2);
        activations.fill(&pool, rows, cols, |row, out| out.copy_from_slice(&values[row * cols..(row + 1) * cols]));
        activations
    }

    proptest! {
        #[test]
        fn values_come_back_within_half_a_step(rows in 1_usize..30, blocks in 1_usize..4, seed: u64, exponent in -20..20) {
            for (isa, scaling) in [(Isa::Portable, Scaling::Per32), (Isa::detect(), Scaling::Per256), (Isa::detect(), Scaling::Per32)] {
                let cols = blocks * scaling.block();
                let magnitude = 10_f32.powi(exponent);
                let mut state = seed;
                let values: Vec<f32> = (0..rows * cols).map(|_| noise(&mut state) * magnitude).collect();
                let activations = filled(isa, scaling, rows, cols, &values);
                for row in 0..rows {
                    for col in 0..cols {
                        let exact = f64::from(values[row * cols + col]);
                        let step = f64::from(magnitude) / 127.0;
                        prop_assert!((activations.value(row, col) - exact).abs() <= 0.5001 * step);
                    }
                }
            }
        }
    }

    /// A value in −1…1 (xorshift).
    fn noise(state: &mut u64) -> f32 {
        *state ^= (*state << 13) | 1;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    #[test]
    fn what_is_no_number_stays_visible() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![1.0; 64];
            values[40] = bad;
            let activations = filled(Isa::detect(), Scaling::Per32, 1, 64, &values);
            assert!((activations.value(0, 5) - 1.0).abs() < 1e-6);
            assert!(activations.value(0, 33).is_nan());
        }
    }

    #[test]
    fn zero_and_tiny_rows_are_zero() {
        for value in [0.0, -0.0, 1e-38, f32::from_bits(1)] {
            let activations = filled(Isa::detect(), Scaling::Per256, 3, 256, &vec![value; 768]);
            assert_eq!(activations.value(2, 255), 0.0);
        }
    }

    #[test]
    fn short_rows_are_padded_with_zeros() {
        let activations = filled(Isa::detect(), Scaling::Per32, 2, 40, &[1.0; 80]);
        assert_eq!(activations.cols(), 64);
        assert_eq!(activations.value(1, 41), 0.0);
        assert!((activations.value(1, 39) - 1.0).abs() < 1e-6);
    }
}
