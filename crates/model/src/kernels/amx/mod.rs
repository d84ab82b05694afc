//! Matrix instructions of Intel servers (AMX): products of tiles of sixteen rows by 64 bytes.
//!
//! One `tdpbssd` does 16,384 multiply-adds of 8-bit integers in sixteen cycles, sixteen times what `vpdpbusd` does;
//! `tdpbf16ps` does half as many of bfloat16. What they cost is preparation: the process asks the system for the
//! registers once ([`Amx::detect`]), each thread configures them before use and gives them back after
//! ([`Amx::with_tiles`]; a thread that keeps them makes every context switch save 8 KiB), and operands lie in memory as
//! the instructions want them.
//!
//! ```text
//! left    16 rows (activations), each 64 bytes of consecutive inputs          tile = 16 × 64 bytes
//!           row 0:  k0 k1 … k63           i8      (bf16: k0 … k31)
//!           row 1:  k0 k1 … k63
//!            ⋮
//! right   16 columns (outputs), inputs in quads (bf16: in pairs)               tile = 16 × 64 bytes
//!           line 0:  column 0: k0 k1 k2 k3 │ column 1: k0 k1 k2 k3 │ … │ column 15     i8
//!           line 1:  column 0: k4 k5 k6 k7 │ …
//!           line 0:  column 0: k0 k1       │ column 1: k0 k1       │ …                 bf16
//! out     16 rows × 16 columns of i32 (f32), row by row
//! ```
//!
//! The lines of a right tile are the vectors of [`super::tile`]: a Q8_0 weight tile is a run of right tiles as it lies
//! in the arena. Longer rows are runs of tiles, one after the other: tile `s` holds inputs `64 s … 64 s + 63`.
//!
//! **Why inline assembly.** The intrinsics are not stable Rust. Each primitive is one block that loads, multiplies and
//! stores, so nothing but the shape of the tiles is state between two of them. **Out of scope:** scales, biases, threads; see
//! [`super::matmul`].

#[cfg(any(test, not(all(target_arch = "x86_64", target_os = "linux"))))]
mod portable;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
use portable as instructions;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod instructions;
mod system;

use std::{cell::Cell, marker::PhantomData, sync::OnceLock};

/// Rows of a left tile and of a result, columns of a right tile.
pub(crate) const TILE: usize = 16;

/// Bytes per line of a tile.
pub(crate) const LINE: usize = 64;

/// An operand: sixteen lines of 64 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Tile(pub(crate) [u8; TILE * LINE]);

/// A result: sixteen rows of sixteen numbers, i32 or f32.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Sums<T>(pub(crate) [T; TILE * TILE]);

impl Tile {
    /// All zeros.
    pub(crate) const ZERO: Self = Self([0; TILE * LINE]);

    /// Sees bytes that start at a cache line as tiles; a rest that fills none is left out.
    ///
    /// # Panics
    /// When they start elsewhere: a defect of the caller.
    pub(crate) fn run(bytes: &[u8]) -> &[Self] {
        assert!(bytes.as_ptr().cast::<Self>().is_aligned(), "tiles start at a cache line");
        // SAFETY: the start is aligned, the length is rounded down to whole tiles, any bytes are a tile, and the borrow is kept.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<Self>()) }
    }
}

impl<T: Copy + Default> Sums<T> {
    /// All zeros.
    pub(crate) fn zero() -> Self {
        Self([T::default(); TILE * TILE])
    }
}

/// How much of a line the operands fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// 64 bytes: whole tiles.
    Full,
    /// 32 bytes: left lines of 32 bytes, right tiles of eight lines; for weights with a scale per 32.
    Half,
}

/// Proof that this process may use the instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amx(());

impl Amx {
    /// Asks processor and system, once per process. Nothing on other processors, in systems that do not save the registers,
    /// and where a sandbox refuses the request.
    pub(crate) fn detect() -> Option<Self> {
        static GRANTED: OnceLock<bool> = OnceLock::new();
        GRANTED.get_or_init(system::request).then_some(Self(()))
    }

    /// Configures the tile registers of this thread, until the value is dropped.
    ///
    /// # Panics
    /// When they are configured already.
    pub(crate) fn tiles(self, depth: Depth) -> Tiles {
        Tiles::configure(depth)
    }

    /// Configures the tile registers of this thread for `work`, and releases them after.
    ///
    /// # Panics
    /// When called within `work`: there is one configuration per thread.
    pub(crate) fn with_tiles<R>(self, depth: Depth, work: impl FnOnce(&Tiles) -> R) -> R {
        let tiles = Tiles::configure(depth);
        work(&tiles)
    }
}

thread_local! {
    /// Whether this thread's tiles are configured.
    static CONFIGURED: Cell<bool> = const { Cell::new(false) };
}

/// The configured tile registers of one thread.
pub(crate) struct Tiles {
    depth: Depth,
    /// Registers belong to a thread: neither `Send` nor `Sync`.
    thread: PhantomData<*const ()>,
}

impl Tiles {
    fn configure(depth: Depth) -> Self {
        assert!(!CONFIGURED.replace(true), "the tiles of this thread are in use");
        // SAFETY: `Amx` proves that the instruction exists and is permitted.
        unsafe { instructions::configure(depth) };
        Self { depth, thread: PhantomData }
    }

    /// `out[m][n] = left[m] · right[n]` over all tiles of the operands, for i8 on both sides; exact while a sum fits 32 bits.
    ///
    /// # Panics
    /// When the operands are not equally long, or the tiles are not configured for [`Depth::Full`]: a defect of the caller.
    #[inline(always)]
    pub(crate) fn multiply_i8<const M: usize>(
        &self,
        left: [&[Tile]; M],
        right: [&[Tile]; 2],
        out: &mut [[Sums<i32>; 2]; M],
    ) {
        let steps = self.steps(&left, &right);
        let (left, right) = (left.map(<[Tile]>::as_ptr), right.map(<[Tile]>::as_ptr));
        // SAFETY: the tiles are configured for whole lines; every operand has `steps` tiles.
        unsafe { instructions::multiply_i8(left, right, steps, out) }
    }

    /// `out[m][n] = left[m] · right[n]` over all tiles of the operands, for bfloat16 on both sides, summed in f32. The order of
    /// additions is fixed by the instruction and the same for every row. Subnormal numbers count as zero.
    ///
    /// # Panics
    /// As [`Tiles::multiply_i8`].
    #[inline(always)]
    pub(crate) fn multiply_bf16<const M: usize>(
        &self,
        left: [&[Tile]; M],
        right: [&[Tile]; 2],
        out: &mut [[Sums<f32>; 2]; M],
    ) {
        let steps = self.steps(&left, &right);
        let (left, right) = (left.map(<[Tile]>::as_ptr), right.map(<[Tile]>::as_ptr));
        // SAFETY: as in `multiply_i8`.
        unsafe { instructions::multiply_bf16(left, right, steps, out) }
    }

    /// `out[i] = left half-tile i · right half-tile i`, for i8: four blocks of 32 inputs, each with a sum of its own.
    /// `left` is two whole tiles (block `i` is half `i % 2` of their lines), `right` is four runs of eight lines.
    ///
    /// # Panics
    /// When the tiles are not configured for [`Depth::Half`]: a defect of the caller.
    pub(crate) fn multiply_blocks_i8(&self, left: &[Tile; 2], right: &[Tile; 2], out: &mut [Sums<i32>; 4]) {
        assert_eq!(self.depth, Depth::Half, "tiles of another shape");
        // SAFETY: the tiles are configured for half lines; the operands are borrowed whole.
        unsafe { instructions::multiply_blocks_i8(left, right, out) }
    }

    fn steps(&self, left: &[&[Tile]], right: &[&[Tile]]) -> usize {
        assert_eq!(self.depth, Depth::Full, "tiles of another shape");
        let steps = right[0].len();
        assert!(left.iter().chain(right).all(|run| run.len() == steps), "operands of different lengths");
        steps
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the instruction exists, or there would be no `Tiles`.
        unsafe { instructions::release() };
        CONFIGURED.set(false);
    }
}

#[cfg(test)]
mod tests;
