//! Sixteen lanes in two registers of eight: AVX2 with FMA and F16C, with and without the int8 dot product of AVX-VNNI.
//!
//! Two registers a value, because what is the same in all lanes (four activations, a query's channel, a weight of attention)
//! is then loaded once for two multiplications: loads and not multiplications are what a processor with so few registers
//! runs out of.
//!
//! The two instruction sets differ only in the integer dot products ([`Dots`]). Without VNNI a dot product is `vpmaddubsw` (u8 × i8
//! into saturating i16 pairs), and `vpmaddwd` to join the pairs. No pair saturates: unsigned weights stay at or below 63,
//! 2 · 63 · 127 = 16,002; signed weights go in as magnitude with their sign moved to the activation, 2 · 128 · 127 = 32,512 <
//! 32,768. A short sum stays in 16 bits for a whole run, and its one `vpmaddwd` multiplies with the scale as well: half the
//! multiplications of joining each pair at once.
//!
//! **Asking ahead.** One core of Zen 3 reads Q4_K weights for one row at 9 GB/s, and at 11 to 14 when it asks for them 3 KiB ahead
//! (plain reading: 15). For two threads it makes no difference; with AVX-VNNI it was not measured.

use std::{
    arch::x86_64::{
        __m128i, __m256, __m256i, _MM_HINT_T0, _mm_loadl_epi64, _mm_loadu_si128, _mm_prefetch, _mm256_abs_epi8,
        _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_blend_epi16, _mm256_castps_si256,
        _mm256_castsi256_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtph_ps,
        _mm256_dpbusd_avx_epi32, _mm256_dpwssd_avx_epi32, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
        _mm256_mullo_epi16, _mm256_mullo_epi32, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi16,
        _mm256_set1_epi32, _mm256_set1_ps, _mm256_sign_epi8, _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srai_epi16,
        _mm256_srli_epi16, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_epi8, _mm256_sub_epi16,
        _mm256_xor_si256,
    },
    marker::PhantomData,
};

use super::Lanes;

/// Proof that AVX2, FMA and F16C may be used.
pub(crate) type Avx2 = Pair<InPairs>;

/// Proof that AVX2, FMA, F16C and AVX-VNNI may be used.
pub(crate) type AvxVnni = Pair<InQuads>;

/// Sixteen lanes in two registers.
#[derive(Clone, Copy)]
pub(crate) struct Pair<D>(PhantomData<D>);

impl<D: Dots> Pair<D> {
    /// Makes the proof.
    ///
    /// # Safety
    /// The processor has the features of the instruction set, and the caller is compiled with them enabled.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

/// The integer dot products of a register.
pub(crate) trait Dots: Copy + Send + Sync {
    /// See [`Lanes::SHORT`].
    const SHORT: bool;
    /// How many bytes ahead weights are asked for. At zero the request is for what is being loaded, and costs nothing.
    const AHEAD: usize;

    /// See [`Lanes::dot_short`].
    ///
    /// # Safety
    /// The processor has the instruction set, as for every function here.
    unsafe fn short(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
    /// See [`Lanes::add_short`].
    ///
    /// # Safety
    /// As above.
    unsafe fn add_short(sum: __m256i, short: __m256i) -> __m256i;
    /// See [`Lanes::add_short_scaled`].
    ///
    /// # Safety
    /// As above.
    unsafe fn add_short_scaled(sum: __m256i, short: __m256i, scale: __m256i) -> __m256i;
    /// `sum` plus four products a lane, of weights up to 128.
    ///
    /// # Safety
    /// As above.
    unsafe fn bytes(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
    /// See [`Lanes::dot_pairs`].
    ///
    /// # Safety
    /// As above.
    unsafe fn words(sum: __m256i, left: __m256i, right: __m256i) -> __m256i;
}

/// AVX2: products in pairs.
#[derive(Clone, Copy)]
pub(crate) struct InPairs;

// SAFETY of both implementations: the caller has the instruction set; operations on registers need nothing else.
impl Dots for InPairs {
    const SHORT: bool = true;
    const AHEAD: usize = 3072;

    #[inline(always)]
    unsafe fn short(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, activations)) }
    }

    #[inline(always)]
    unsafe fn add_short(sum: __m256i, short: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { Self::words(sum, short, _mm256_set1_epi16(1)) }
    }

    #[inline(always)]
    unsafe fn add_short_scaled(sum: __m256i, short: __m256i, scale: __m256i) -> __m256i {
        // SAFETY: see above. Both halves of a lane get the scale.
        unsafe { Self::words(sum, short, pair(scale, scale)) }
    }

    #[inline(always)]
    unsafe fn bytes(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { Self::add_short(sum, _mm256_maddubs_epi16(weights, activations)) }
    }

    #[inline(always)]
    unsafe fn words(sum: __m256i, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(left, right)) }
    }
}

/// AVX-VNNI: four products at once.
#[derive(Clone, Copy)]
pub(crate) struct InQuads;

impl Dots for InQuads {
    const SHORT: bool = false;
    const AHEAD: usize = 0;

    #[inline(always)]
    unsafe fn short(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { Self::bytes(sum, weights, activations) }
    }

    #[inline(always)]
    unsafe fn add_short(sum: __m256i, short: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_add_epi32(sum, short) }
    }

    #[inline(always)]
    unsafe fn add_short_scaled(sum: __m256i, short: __m256i, scale: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_add_epi32(sum, _mm256_mullo_epi32(short, scale)) }
    }

    #[inline(always)]
    unsafe fn bytes(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_dpbusd_avx_epi32(sum, weights, activations) }
    }

    #[inline(always)]
    unsafe fn words(sum: __m256i, left: __m256i, right: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_dpwssd_avx_epi32(sum, left, right) }
    }
}

/// The low halves of `even` and `odd`, side by side.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn pair(even: __m256i, odd: __m256i) -> __m256i {
    // SAFETY: the caller's contract. The mask takes the odd 16-bit halves from the shifted operand.
    unsafe { _mm256_blend_epi16::<0xAA>(even, _mm256_slli_epi32::<16>(odd)) }
}

/// An instruction on both registers of each operand; `= operand` is the same register for both. A macro and not a closure, so
/// that it is compiled for the instruction set for certain.
macro_rules! both {
    ($op:path; $a:expr) => {{
        let a = $a;
        // SAFETY: a proof of the instruction set is at hand wherever this is used.
        unsafe { [$op(a[0]), $op(a[1])] }
    }};
    ($op:path; $a:expr, = $b:expr) => {{
        let (a, b) = ($a, $b);
        // SAFETY: as above.
        unsafe { [$op(a[0], b), $op(a[1], b)] }
    }};
    ($op:path; $a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        // SAFETY: as above.
        unsafe { [$op(a[0], b[0]), $op(a[1], b[1])] }
    }};
    ($op:path; $a:expr, $b:expr, $c:expr) => {{
        let (a, b, c) = ($a, $b, $c);
        // SAFETY: as above.
        unsafe { [$op(a[0], b[0], c[0]), $op(a[1], b[1], c[1])] }
    }};
}

/// Every byte, or every half of a lane, the same.
macro_rules! every {
    ($op:path, $value:expr) => {
        // SAFETY: as above.
        unsafe { $op($value) }
    };
}

// SAFETY of every block below: a value of the proof exists only where its features were detected, so the instructions exist;
// operations on registers have no other requirement. Loads and stores repeat the trait's contract: the pointer is valid for
// the vector's size, and the instructions are unaligned.
impl<D: Dots> Lanes for Pair<D> {
    const SHORT: bool = D::SHORT;
    // Four rows have eight registers of sums; eight are left for weights, activations and what is made of them.
    const GROUP: usize = 4;
    type Ints = [__m256i; 2];
    type Floats = [__m256; 2];

    #[inline(always)]
    fn splat_int(self, value: i32) -> [__m256i; 2] {
        [every!(_mm256_set1_epi32, value); 2]
    }

    #[inline(always)]
    unsafe fn load_ints(self, from: *const u8) -> [__m256i; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> [__m256i; 2] {
        // SAFETY: see above. A request for memory touches nothing, wherever it points.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(D::AHEAD).cast());
            self.load_ints(from)
        }
    }

    #[inline(always)]
    unsafe fn store_ints(self, to: *mut u8, value: [__m256i; 2]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_si256(to.cast(), value[0]);
            _mm256_storeu_si256(to.add(32).cast(), value[1]);
        }
    }

    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> [__m256i; 2] {
        // SAFETY: see above.
        let bytes = unsafe { [_mm_loadl_epi64(from.cast()), _mm_loadl_epi64(from.add(8).cast())] };
        both!(_mm256_cvtepu8_epi32; bytes)
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> [__m256i; 2] {
        // SAFETY: see above.
        let bytes = unsafe { [_mm_loadl_epi64(from.cast()), _mm_loadl_epi64(from.add(8).cast())] };
        both!(_mm256_cvtepi8_epi32; bytes)
    }

    #[inline(always)]
    fn low_nibbles(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_and_si256; bytes, = every!(_mm256_set1_epi8, 0x0F))
    }

    #[inline(always)]
    fn high_nibbles(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        // Bits shifted in from the neighbouring byte are masked away.
        self.low_nibbles(both!(_mm256_srli_epi32::<4>; bytes))
    }

    #[inline(always)]
    fn with_high_bits<const FIELD: usize>(self, nibbles: [__m256i; 2], fields: [__m256i; 2]) -> [__m256i; 2] {
        let moved = match FIELD {
            0 => both!(_mm256_slli_epi32::<4>; fields),
            1 => both!(_mm256_slli_epi32::<2>; fields),
            2 => fields,
            _ => both!(_mm256_srli_epi32::<2>; fields),
        };
        both!(_mm256_or_si256; nibbles, both!(_mm256_and_si256; moved, = every!(_mm256_set1_epi8, 0x30)))
    }

    #[inline(always)]
    fn pair(self, even: [__m256i; 2], odd: [__m256i; 2]) -> [__m256i; 2] {
        both!(pair; even, odd)
    }

    #[inline(always)]
    fn dot_short(self, short: [__m256i; 2], weights: [__m256i; 2], activations: [__m256i; 2]) -> [__m256i; 2] {
        both!(D::short; short, weights, activations)
    }

    #[inline(always)]
    fn add_short(self, sum: [__m256i; 2], short: [__m256i; 2]) -> [__m256i; 2] {
        both!(D::add_short; sum, short)
    }

    #[inline(always)]
    fn add_short_scaled(self, sum: [__m256i; 2], short: [__m256i; 2], scale: [__m256i; 2]) -> [__m256i; 2] {
        both!(D::add_short_scaled; sum, short, scale)
    }

    #[inline(always)]
    fn offset_bytes(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_xor_si256; bytes, = every!(_mm256_set1_epi8, -128))
    }

    #[inline(always)]
    fn signed_start(self, _negated_sum: i32) -> [__m256i; 2] {
        // Moving the sign to the activation needs no correction.
        self.splat_int(0)
    }

    #[inline(always)]
    fn dot_signed(self, sum: [__m256i; 2], weights: [__m256i; 2], activations: [__m256i; 2]) -> [__m256i; 2] {
        let magnitudes = both!(_mm256_abs_epi8; weights);
        both!(D::bytes; sum, magnitudes, both!(_mm256_sign_epi8; activations, weights))
    }

    #[inline(always)]
    fn dot_pairs(self, sum: [__m256i; 2], left: [__m256i; 2], right: [__m256i; 2]) -> [__m256i; 2] {
        both!(D::words; sum, left, right)
    }

    #[inline(always)]
    fn add_scaled(self, sum: [__m256i; 2], ints: [__m256i; 2], scale: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_add_epi32; sum, both!(_mm256_mullo_epi32; ints, scale))
    }

    #[inline(always)]
    fn join_octal(self, high: [__m256i; 2], low: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_add_epi32; both!(_mm256_slli_epi32::<3>; high), low)
    }

    #[inline(always)]
    fn join_sixty_fourths(self, high: [__m256i; 2], low: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_add_epi32; both!(_mm256_slli_epi32::<6>; high), low)
    }

    #[inline(always)]
    fn octal_products(self, bytes: [__m256i; 2], scale: [__m256i; 2]) -> [[__m256i; 2]; 2] {
        // A product of at most 15 · 7 stays in its byte, so one 16-bit product serves two bytes.
        let halves = self.pair(scale, scale);
        let high = both!(_mm256_srli_epi16::<3>; halves);
        let low = both!(_mm256_and_si256; halves, = every!(_mm256_set1_epi16, 7));
        [both!(_mm256_mullo_epi16; bytes, high), both!(_mm256_mullo_epi16; bytes, low)]
    }

    #[inline(always)]
    fn centred_products(self, bytes: [__m256i; 2], scale: [__m256i; 2]) -> [[__m256i; 2]; 2] {
        // Even and odd bytes go through 16-bit lanes of their own.
        let (byte, offset) = (every!(_mm256_set1_epi16, 0xFF), every!(_mm256_set1_epi16, 32));
        let scale = self.pair(scale, scale);
        let even = both!(_mm256_sub_epi16; both!(_mm256_and_si256; bytes, = byte), = offset);
        let odd = both!(_mm256_sub_epi16; both!(_mm256_srli_epi16::<8>; bytes), = offset);
        let (even, odd) = (both!(_mm256_mullo_epi16; even, scale), both!(_mm256_mullo_epi16; odd, scale));
        let low_odd = both!(_mm256_slli_epi16::<8>; odd);
        let low = both!(_mm256_or_si256; both!(_mm256_and_si256; even, = byte), low_odd);
        let high_even = both!(_mm256_and_si256; both!(_mm256_srai_epi16::<6>; even), = byte);
        let high_odd = both!(_mm256_slli_epi16::<8>; both!(_mm256_srai_epi16::<6>; odd));
        [both!(_mm256_or_si256; high_even, high_odd), both!(_mm256_and_si256; low, = every!(_mm256_set1_epi8, 63))]
    }

    #[inline(always)]
    fn centre_nibbles(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_sub_epi8; bytes, = every!(_mm256_set1_epi8, 8))
    }

    #[inline(always)]
    fn to_floats(self, ints: [__m256i; 2]) -> [__m256; 2] {
        both!(_mm256_cvtepi32_ps; ints)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        [every!(_mm256_set1_ps, value); 2]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: [__m256; 2]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to, value[0]);
            _mm256_storeu_ps(to.add(8), value[1]);
        }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> [__m256; 2] {
        // SAFETY: see above.
        let halves: [__m128i; 2] = unsafe { [_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.add(8).cast())] };
        both!(_mm256_cvtph_ps; halves)
    }

    #[inline(always)]
    fn add(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_add_ps; left, right)
    }

    #[inline(always)]
    fn mul(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_mul_ps; left, right)
    }

    #[inline(always)]
    fn fma(self, left: [__m256; 2], right: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_fmadd_ps; left, right, sum)
    }

    #[inline(always)]
    fn fnma(self, left: [__m256; 2], right: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_fnmadd_ps; left, right, sum)
    }

    #[inline(always)]
    fn min(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_min_ps; left, right)
    }

    #[inline(always)]
    fn max(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_max_ps; left, right)
    }

    #[inline(always)]
    fn scale_by_power(self, value: [__m256; 2], shifted: [__m256; 2]) -> [__m256; 2] {
        let power = both!(_mm256_slli_epi32::<23>; both!(_mm256_castps_si256; shifted));
        both!(_mm256_castsi256_ps; both!(_mm256_add_epi32; both!(_mm256_castps_si256; value), power))
    }
}
