//! The vector vocabulary of the kernels: one trait, four instruction sets.
//!
//! A value of a [`Lanes`] type is a proof that its instruction set may be used: the vector types can only be made
//! inside [`super::isa`]. So register-to-register operations are safe methods; only loads and stores, which
//! trust a pointer, are `unsafe`.
//!
//! Two shapes of vector exist, both of sixteen lanes ([`WIDTH`]), in as many registers as that takes:
//!
//! ```text
//! Ints    lane 0         lane 1         …     one i32 per weight row, or
//!         k0 k1 k2 k3    k0 k1 k2 k3    …     four consecutive 8-bit values per weight row
//! Floats  lane 0         lane 1         …     one f32 per weight row, position or channel
//! ```
//!
//! A *short* sum is a run of dot products so small that 16 bits hold it: where the processor multiplies bytes into pairs
//! of 16 bits ([`Lanes::SHORT`]), it stays in them for the whole run. It has the type of a vector of integers, and nothing
//! but [`Lanes::add_short`] and [`Lanes::add_short_scaled`] may be done with it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{Avx2, AvxVnni};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// Lanes per vector: as many as a weight tile has rows.
pub(crate) const WIDTH: usize = 16;

/// Operations on vectors of [`WIDTH`] 32-bit lanes.
pub(crate) trait Lanes: Copy + Send + Sync {
    /// Whether short sums are held in 16 bits. Where not, runs may be as long as one likes.
    const SHORT: bool;
    /// Most activation rows per pass over a tile: two accumulators a row must fit the register file.
    const GROUP: usize;
    /// Sixteen i32, or 64 bytes.
    type Ints: Copy;
    /// Sixteen f32.
    type Floats: Copy;

    /// All lanes `value`.
    fn splat_int(self, value: i32) -> Self::Ints;
    /// Loads 64 bytes.
    ///
    /// # Safety
    /// `from` is valid for that many bytes; no alignment is needed.
    unsafe fn load_ints(self, from: *const u8) -> Self::Ints;
    /// [`Lanes::load_ints`] of weights, which come from memory and are read in order: where it pays, also asks for those
    /// some way ahead, so that a core does not wait for each line.
    ///
    /// # Safety
    /// As for [`Lanes::load_ints`]; what lies ahead need not exist.
    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> Self::Ints {
        // SAFETY: the caller's contract.
        unsafe { self.load_ints(from) }
    }
    /// Stores 64 bytes.
    ///
    /// # Safety
    /// `to` is valid for that many bytes; no alignment is needed.
    unsafe fn store_ints(self, to: *mut u8, value: Self::Ints);
    /// Loads sixteen bytes, each widened to an unsigned lane.
    ///
    /// # Safety
    /// `from` is valid for sixteen bytes.
    unsafe fn load_u8(self, from: *const u8) -> Self::Ints;
    /// Loads sixteen bytes, each widened to a signed lane.
    ///
    /// # Safety
    /// `from` is valid for sixteen bytes.
    unsafe fn load_i8(self, from: *const u8) -> Self::Ints;
    /// The low four bits of every byte.
    fn low_nibbles(self, bytes: Self::Ints) -> Self::Ints;
    /// The high four bits of every byte, moved down.
    fn high_nibbles(self, bytes: Self::Ints) -> Self::Ints;
    /// Adds 2-bit field `FIELD` (0 lowest) of every byte of `fields` above the four bits of `nibbles`.
    fn with_high_bits<const FIELD: usize>(self, nibbles: Self::Ints, fields: Self::Ints) -> Self::Ints;
    /// Per lane: the low halves of `even` and `odd` as a pair of i16.
    fn pair(self, even: Self::Ints, odd: Self::Ints) -> Self::Ints;
    /// Per lane: the short sum `short` plus the dot product of four unsigned weights and four signed activations in −127…127.
    /// A short sum starts as zeros; of all its products with first and second weights, and of all with third and fourth, the
    /// magnitudes may add up to 32,767 where [`Lanes::SHORT`]: eight dots of weights up to 15, two of weights up to 63.
    fn dot_short(self, short: Self::Ints, weights: Self::Ints, activations: Self::Ints) -> Self::Ints;
    /// Per lane: `sum` plus a short sum.
    fn add_short(self, sum: Self::Ints, short: Self::Ints) -> Self::Ints;
    /// Per lane: `sum` plus a short sum times `scale`, which is in −32,768…32,767.
    fn add_short_scaled(self, sum: Self::Ints, short: Self::Ints, scale: Self::Ints) -> Self::Ints;
    /// Every signed byte plus 128, as an unsigned one.
    fn offset_bytes(self, bytes: Self::Ints) -> Self::Ints;
    /// The start value of a sum of [`Lanes::dot_signed`] over activations whose *negated* sum is given.
    fn signed_start(self, negated_sum: i32) -> Self::Ints;
    /// Per lane: `sum` plus the dot product of four signed weights and four signed activations in −127…127;
    /// exact over a run that began with [`Lanes::signed_start`].
    fn dot_signed(self, sum: Self::Ints, weights: Self::Ints, activations: Self::Ints) -> Self::Ints;
    /// Per lane: `sum` plus the dot product of two pairs of i16.
    fn dot_pairs(self, sum: Self::Ints, left: Self::Ints, right: Self::Ints) -> Self::Ints;
    /// Per lane: `sum + ints · scale`, in 32 bits.
    fn add_scaled(self, sum: Self::Ints, ints: Self::Ints, scale: Self::Ints) -> Self::Ints;
    /// Per lane: `8 · high + low`.
    fn join_octal(self, high: Self::Ints, low: Self::Ints) -> Self::Ints;
    /// Per lane: `64 · high + low`.
    fn join_sixty_fourths(self, high: Self::Ints, low: Self::Ints) -> Self::Ints;
    /// Every byte (at most 15) times the 6-bit number of its lane, as `8 · [0] + [1]` with parts of at most 105.
    fn octal_products(self, bytes: Self::Ints, scale: Self::Ints) -> [Self::Ints; 2];
    /// Every byte (at most 63) less 32, times the signed 8-bit number of its lane, as `64 · [0] + [1]` with parts in −64…64
    /// and 0…63.
    fn centred_products(self, bytes: Self::Ints, scale: Self::Ints) -> [Self::Ints; 2];
    /// Every byte (at most 15) less 8.
    fn centre_nibbles(self, bytes: Self::Ints) -> Self::Ints;
    /// Converts to f32, exactly below 2^24, else rounded to nearest.
    fn to_floats(self, ints: Self::Ints) -> Self::Floats;

    /// All lanes `value`.
    fn splat(self, value: f32) -> Self::Floats;
    /// Loads sixteen f32.
    ///
    /// # Safety
    /// `from` is valid for sixteen reads.
    unsafe fn load(self, from: *const f32) -> Self::Floats;
    /// Asks for the cache line at `to`, wherever it points, in order to write it soon.
    #[inline(always)]
    fn ask_to_write(self, to: *mut f32) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a request for memory touches nothing, and every x86-64 processor has the instruction or ignores it.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(to.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = to;
    }
    /// Stores sixteen f32.
    ///
    /// # Safety
    /// `to` is valid for sixteen writes.
    unsafe fn store(self, to: *mut f32, value: Self::Floats);
    /// Loads sixteen half-precision values, given by their bits.
    ///
    /// # Safety
    /// `from` is valid for sixteen reads.
    unsafe fn load_f16(self, from: *const u16) -> Self::Floats;
    /// `left + right`.
    fn add(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// `left * right`.
    fn mul(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// `left * right + sum`, in one rounding where the instruction set has it.
    fn fma(self, left: Self::Floats, right: Self::Floats, sum: Self::Floats) -> Self::Floats;
    /// `sum - left * right`, in one rounding where the instruction set has it.
    fn fnma(self, left: Self::Floats, right: Self::Floats, sum: Self::Floats) -> Self::Floats;
    /// The smaller of two; `right` where either is not a number.
    fn min(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// The larger of two; `right` where either is not a number.
    fn max(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// `value · 2^n`, where `shifted` is n + 1.5 · 2^23 and so holds n in its low bits; nothing may leave the normal range.
    fn scale_by_power(self, value: Self::Floats, shifted: Self::Floats) -> Self::Floats;
}
