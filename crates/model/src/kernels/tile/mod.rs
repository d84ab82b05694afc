//! Weight tiles: sixteen output rows interleaved, so that one vector holds the same four inputs of all sixteen.
//!
//! ```text
//! GGUF, row by row                       tile
//! row 0:  w0 w1 w2 w3 │ w4 w5 w6 w7 │ …   row 0: w0…w3 │ row 1: w0…w3 │ … │ row 15: w0…w3     64 bytes
//! row 1:  w0 w1 w2 w3 │ w4 w5 w6 w7 │ …   row 0: w4…w7 │ row 1: w4…w7 │ … │ row 15: w4…w7     64 bytes
//!  ⋮                                       ⋮
//! ```
//!
//! A dot-product instruction multiplies each group of four bytes with four activations and adds into the lane of that
//! row: no horizontal sums, and sixteen outputs fall out side by side. The bytes are those of the file, moved in words
//! of four; quantised values are never rounded again. Scales are gathered so that the sixteen of one sub-block are one
//! load, and stay as compact as the file has them, because reading weights is what generating a token waits for.
//!
//! | format | bits per weight, file | tile | made from |
//! |---|---|---|---|
//! | [`TileFormat::Q4K`] | 4.5 | 4.625 | Q4_K |
//! | [`TileFormat::Q6K`] | 6.5625 | 6.625 | Q6_K |
//! | [`TileFormat::Q8`] | 8.5 | 8.5 | Q8_0, and every other type by way of f32 |
//! | [`TileFormat::Q4`] | 4.5 | 4.5 | Q4_0 |
//!
//! Q4_1, Q5_*, Q2_K, Q3_K and plain floats become [`TileFormat::Q8`]: at most 1/254 of the largest weight of each 32 is
//! lost, less than a tenth of what their own quantisation lost, or for floats what Q8_0 is accepted for.

mod q4;
mod q4_k;
mod q6_k;
mod q8;

pub(crate) use q4::Q4;
pub(crate) use q4_k::Q4K;
pub(crate) use q6_k::Q6K;
pub(crate) use q8::Q8;

use std::ops::Range;

use super::{
    activations::{GroupView, Scaling},
    amx,
    lanes::Lanes,
};
use crate::weights::{self, WeightType};

/// Output rows per tile.
pub const TILE_ROWS: usize = 16;

/// Names the layouts of all formats and the order of a model's matrices together: another number wherever the same model
/// becomes other bytes, so that packed weights of another version are not taken for today's.
pub const LAYOUT: u32 = 1;

/// The layout of a weight tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileFormat {
    /// 4 bits, 6-bit scale and minimum per 32, in super-blocks of 256.
    Q4K,
    /// 6 bits, 8-bit scale per 16, in super-blocks of 256.
    Q6K,
    /// 8 bits, scale per 32.
    Q8,
    /// 4 bits, scale per 32.
    Q4,
}

/// One tile format's arithmetic.
pub(crate) trait Tile {
    /// Whether taking the weights apart is work enough to be done once for several groups of rows.
    const PACKED: bool;

    /// Takes the weights over `inputs` apart: 64 bytes a quad, one after the other. Does nothing where not [`Tile::PACKED`].
    ///
    /// # Safety
    /// `tile` is a tile that has those inputs, whole blocks; `out` has room for sixteen bytes for each of them.
    unsafe fn unpack<L: Lanes>(lanes: L, tile: *const u8, inputs: Range<usize>, out: *mut u8);

    /// Multiplies a tile with a group of `R` activation rows and adds the products over `inputs` to `total`,
    /// whose element `r` holds the outputs of row `r`. Blocks are added one after the
    /// other, so a product in pieces has the bits of the whole. `unpacked` is what [`Tile::unpack`] made of the inputs, if it
    /// was asked.
    ///
    /// # Safety
    /// `tile` is a tile that has those inputs, whole blocks, and `view` is a group of size `R` of activations that have them, with
    /// the format's scaling.
    unsafe fn multiply<L: Lanes, const R: usize>(
        lanes: L,
        tile: *const u8,
        inputs: Range<usize>,
        unpacked: Option<*const u8>,
        view: GroupView,
        total: &mut [L::Floats; R],
    );
}

/// Adds the products of a sub-block of `QUADS` quads with its scale, in short sums of `run` quads.
///
/// # Safety
/// `weights` are as many unpacked quads, `quads` as many of a group of `R` rows.
#[inline(always)]
unsafe fn add_unpacked<L: Lanes, const R: usize, const QUADS: usize>(
    lanes: L,
    (weights, quads): (*const u8, *const i32),
    run: usize,
    scale: L::Ints,
    sum: &mut [L::Ints; R],
) {
    for first in (0..QUADS).step_by(run) {
        let mut dot = [lanes.splat_int(0); R];
        for j in first..first + run {
            // SAFETY: the caller's contract.
            unsafe {
                let weights = lanes.load_ints(weights.add(j * 64));
                for (r, dot) in dot.iter_mut().enumerate() {
                    *dot = lanes.dot_short(*dot, weights, lanes.splat_int(*quads.add(j * R + r)));
                }
            }
        }
        for (sum, dot) in sum.iter_mut().zip(dot) {
            *sum = lanes.add_short_scaled(*sum, dot, scale);
        }
    }
}

/// A format of super-blocks for the matrix instructions ([`amx`]), on lanes as wide as a tile is high.
///
/// A weight of a super-block is an integer times one number for all 256 (and, for some, less another): the integer is the
/// product of the stored value and the sub-block's scale, too wide for a byte. It is split into two *planes* of bytes; two
/// products and a shift give the exact sum over 256 inputs, the very integer that [`Tile::multiply`] arrives at.
pub(crate) trait SuperBlocks {
    /// Bytes of a super-block in the tile.
    const BYTES: usize;
    /// What a super-block's sixteen rows share over all activation rows.
    type Shared<L: Lanes>: Copy;

    /// Writes the planes, high and low, of one super-block as right tiles.
    ///
    /// # Safety
    /// `block` is valid for [`SuperBlocks::BYTES`].
    unsafe fn expand<L: Lanes>(lanes: L, block: *const u8, planes: &mut [[amx::Tile; 4]; 2]);

    /// Loads what is shared.
    ///
    /// # Safety
    /// `block` is valid for [`SuperBlocks::BYTES`].
    unsafe fn shared<L: Lanes>(lanes: L, block: *const u8) -> Self::Shared<L>;

    /// Adds one activation row's product over a super-block to `total`. `planes` are its sums over the planes, `scale` is
    /// the activations' scale, `sums` the first of four pairs of activation sums over 32, [`amx::TILE`] apart.
    ///
    /// # Safety
    /// `sums` is valid for that.
    unsafe fn add<L: Lanes>(
        lanes: L,
        shared: &Self::Shared<L>,
        planes: [L::Ints; 2],
        scale: f32,
        sums: *const i32,
        total: L::Floats,
    ) -> L::Floats;
}

/// A format of blocks of 32 with one scale, for the matrix instructions: signed bytes and half-precision scales.
pub(crate) trait Blocks {
    /// Writes the weights of a block as signed bytes, eight lines of a right tile.
    ///
    /// # Safety
    /// `tile` is a tile that has the block; `out` has room for 512 bytes.
    unsafe fn bytes<L: Lanes>(lanes: L, tile: *const u8, block: usize, out: *mut u8);

    /// Where the sixteen scales of a block start in a tile.
    fn scales_at(block: usize) -> usize;
}

impl TileFormat {
    /// The layout that weights of `dtype` are packed into.
    pub fn of(dtype: WeightType) -> Self {
        match dtype {
            WeightType::Q4_K => Self::Q4K,
            WeightType::Q6_K => Self::Q6K,
            WeightType::Q4_0 => Self::Q4,
            _ => Self::Q8,
        }
    }

    /// The activations it multiplies with.
    pub fn scaling(self) -> Scaling {
        match self {
            Self::Q4K | Self::Q6K => Scaling::Per256,
            Self::Q8 | Self::Q4 => Scaling::Per32,
        }
    }

    /// Inputs per tile, for rows of `cols`: whole blocks.
    pub fn padded_cols(self, cols: usize) -> usize {
        match self.scaling() {
            Scaling::Per32 => cols.next_multiple_of(32),
            Scaling::Per256 => cols.next_multiple_of(256),
        }
    }

    /// Bytes of a tile whose rows have `cols` inputs; a multiple of a cache line.
    pub fn tile_bytes(self, cols: usize) -> usize {
        let cols = self.padded_cols(cols);
        match self {
            Self::Q4K => cols / 256 * q4_k::BLOCK,
            Self::Q6K => cols / 256 * q6_k::BLOCK,
            Self::Q8 => cols.div_ceil(64) * q8::PAIR,
            Self::Q4 => cols.div_ceil(64) * q4::PAIR,
        }
    }

    /// Fills a tile from up to sixteen rows as they are in a file: `dtype` rows of `cols` elements each, one after
    /// the other in `rows`. Missing rows and the padding of short ones become zeros.
    ///
    /// # Errors
    /// Those of [`weights::floats`], for a type that goes by way of f32.
    pub(crate) fn pack(
        self,
        tile: &mut [u8],
        dtype: WeightType,
        rows: &[u8],
        cols: usize,
    ) -> Result<(), weights::WeightsError> {
        let count = dtype.byte_len(cols).map_or(0, |row| rows.len().checked_div(row).unwrap_or(0)).min(TILE_ROWS);
        if count == 0 {
            return Ok(());
        }
        let by_row = rows.chunks_exact(rows.len() / count).take(count).enumerate();
        match (self, dtype) {
            (Self::Q4K, WeightType::Q4_K) => by_row.for_each(|(row, bytes)| q4_k::pack_row(tile, row, bytes)),
            (Self::Q6K, WeightType::Q6_K) => by_row.for_each(|(row, bytes)| q6_k::pack_row(tile, row, bytes)),
            (Self::Q4, WeightType::Q4_0) => by_row.for_each(|(row, bytes)| q4::pack_row(tile, row, bytes)),
            (_, WeightType::Q8_0) => by_row.for_each(|(row, bytes)| q8::pack_row(tile, row, bytes)),
            _ => {
                let view = weights::TensorView { name: "", dtype, shape: &[count, cols], bytes: rows };
                let mut padded = vec![0.0; self.padded_cols(cols)];
                for (row, values) in weights::floats(&view)?.chunks_exact(cols).enumerate() {
                    padded[..cols].copy_from_slice(values);
                    q8::quantise_row(tile, row, &padded);
                }
            }
        }
        Ok(())
    }
}

/// Says whether `sums` dot products stay in registers beside totals and weights, so that weights can be loaded once for several
/// of them. A constant wherever it is called.
#[inline(always)]
fn fits<L: Lanes>(sums: usize) -> bool {
    sums <= L::GROUP
}

/// Copies words of four bytes of one row into the words of a tile, sixteen words apart.
fn interleave(tile: &mut [u8], row: usize, words: &[u8]) {
    for (index, word) in words.as_chunks::<4>().0.iter().enumerate() {
        put_word(tile, index, row, word);
    }
}

/// Writes a row's word of a vector.
fn put_word(tile: &mut [u8], vector: usize, row: usize, word: &[u8; 4]) {
    let at = (vector * TILE_ROWS + row) * 4;
    tile[at..at + 4].copy_from_slice(word);
}
