//! Sixteen lanes: AVX-512 with VNNI.
//!
//! `vpdpbusd zmm` does 64 multiply-adds of u8 × i8 into 16 i32 and issues once per cycle on Zen 4; the
//! activation operand is a 4-byte broadcast folded into the instruction.
//!
//! **Asking ahead.** One core of a large Intel server sees memory late and keeps few lines under way by itself: two threads
//! read weights at 26 GB/s, and at 30, as fast as memory gives them, when they ask for those 2 KiB ahead (Sapphire Rapids;
//! 1 KiB and 4 KiB are a little slower). On Zen 4 asking 4 KiB ahead made it a fifth slower, so it is left to processors
//! with matrix instructions, where it was found to pay.

use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_loadu_si256,
    _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtepi8_epi32,
    _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32,
    _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_blend_epi16, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_mullo_epi16, _mm512_mullo_epi32, _mm512_or_si512, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi16, _mm512_slli_epi32, _mm512_srai_epi16,
    _mm512_srli_epi16, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_epi8, _mm512_sub_epi16,
    _mm512_xor_si512,
};

use super::Lanes;

/// Proof that AVX-512 F/BW/VL/DQ/VNNI may be used.
#[derive(Clone, Copy)]
pub(crate) struct Avx512 {
    /// How many bytes ahead weights are asked for. At zero the request is for what is being loaded, and costs nothing.
    ahead: usize,
}

impl Avx512 {
    /// Bytes ahead that weights are asked for where that pays.
    pub(crate) const AHEAD: usize = 2048;

    /// Makes the proof. Weights are asked for `ahead` bytes before they are loaded.
    ///
    /// # Safety
    /// The processor has the features, and the caller is compiled with them enabled.
    #[inline(always)]
    pub(crate) unsafe fn assume(ahead: usize) -> Self {
        Self { ahead }
    }
}

// SAFETY of every block below: a value of `Avx512` exists only where its features were detected, so the
// instructions exist; operations on registers have no other requirement. Loads and stores repeat the trait's
// contract: the pointer is valid for the vector's size, and the unaligned instructions are used.
impl Lanes for Avx512 {
    const SHORT: bool = false;
    // Sums of low nibbles, of high nibbles and over sub-blocks are 24 of the 32 registers. With twelve rows the compiler spills:
    // Q4_K in the first-level cache, Zen 4, 113 GMAC/s a core and 182 with eight, of 234.
    const GROUP: usize = 8;
    type Ints = __m512i;
    type Floats = __m512;

    #[inline(always)]
    fn splat_int(self, value: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn load_ints(self, from: *const u8) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_loadu_si512(from.cast::<__m512i>()) }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const u8) -> __m512i {
        // SAFETY: see above. A request for memory touches nothing, wherever it points.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(self.ahead).cast());
            self.load_ints(from)
        }
    }

    #[inline(always)]
    unsafe fn store_ints(self, to: *mut u8, value: __m512i) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(to.cast::<__m512i>(), value) }
    }

    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast::<__m128i>())) }
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast::<__m128i>())) }
    }

    #[inline(always)]
    fn low_nibbles(self, bytes: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_and_si512(bytes, _mm512_set1_epi8(0x0F)) }
    }

    #[inline(always)]
    fn high_nibbles(self, bytes: __m512i) -> __m512i {
        // SAFETY: see above. Bits shifted in from the neighbouring byte are masked away.
        unsafe { _mm512_and_si512(_mm512_srli_epi32::<4>(bytes), _mm512_set1_epi8(0x0F)) }
    }

    #[inline(always)]
    fn with_high_bits<const FIELD: usize>(self, nibbles: __m512i, fields: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe {
            let moved = match FIELD {
                0 => _mm512_slli_epi32::<4>(fields),
                1 => _mm512_slli_epi32::<2>(fields),
                2 => fields,
                _ => _mm512_srli_epi32::<2>(fields),
            };
            _mm512_or_si512(nibbles, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)))
        }
    }

    #[inline(always)]
    fn pair(self, even: __m512i, odd: __m512i) -> __m512i {
        // SAFETY: see above. The mask takes the odd 16-bit halves from the shifted operand.
        unsafe { _mm512_mask_blend_epi16(0xAAAA_AAAA, even, _mm512_slli_epi32::<16>(odd)) }
    }

    #[inline(always)]
    fn dot_short(self, short: __m512i, weights: __m512i, activations: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(short, weights, activations) }
    }

    #[inline(always)]
    fn add_short(self, sum: __m512i, short: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(sum, short) }
    }

    #[inline(always)]
    fn add_short_scaled(self, sum: __m512i, short: __m512i, scale: __m512i) -> __m512i {
        self.add_scaled(sum, short, scale)
    }

    #[inline(always)]
    fn offset_bytes(self, bytes: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)) }
    }

    #[inline(always)]
    fn signed_start(self, negated_sum: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_slli_epi32::<7>(_mm512_set1_epi32(negated_sum)) }
    }

    #[inline(always)]
    fn dot_signed(self, sum: __m512i, weights: __m512i, activations: __m512i) -> __m512i {
        // SAFETY: see above. `signed_start` took off what the offset adds.
        unsafe { _mm512_dpbusd_epi32(sum, self.offset_bytes(weights), activations) }
    }

    #[inline(always)]
    fn dot_pairs(self, sum: __m512i, left: __m512i, right: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpwssd_epi32(sum, left, right) }
    }

    #[inline(always)]
    fn add_scaled(self, sum: __m512i, ints: __m512i, scale: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(sum, _mm512_mullo_epi32(ints, scale)) }
    }

    #[inline(always)]
    fn join_octal(self, high: __m512i, low: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(_mm512_slli_epi32::<3>(high), low) }
    }

    #[inline(always)]
    fn join_sixty_fourths(self, high: __m512i, low: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(_mm512_slli_epi32::<6>(high), low) }
    }

    #[inline(always)]
    fn octal_products(self, bytes: __m512i, scale: __m512i) -> [__m512i; 2] {
        // SAFETY: see above. A product of at most 15 · 7 stays in its byte, so one 16-bit product serves two bytes.
        unsafe {
            let both = _mm512_or_si512(scale, _mm512_slli_epi32::<16>(scale));
            let high = _mm512_srli_epi16::<3>(both);
            let low = _mm512_and_si512(both, _mm512_set1_epi16(7));
            [_mm512_mullo_epi16(bytes, high), _mm512_mullo_epi16(bytes, low)]
        }
    }

    #[inline(always)]
    fn centred_products(self, bytes: __m512i, scale: __m512i) -> [__m512i; 2] {
        // SAFETY: see above. Even and odd bytes go through 16-bit lanes of their own.
        unsafe {
            let byte = _mm512_set1_epi16(0xFF);
            let both = self.pair(scale, scale);
            let offset = _mm512_set1_epi16(32);
            let even = _mm512_mullo_epi16(_mm512_sub_epi16(_mm512_and_si512(bytes, byte), offset), both);
            let odd = _mm512_mullo_epi16(_mm512_sub_epi16(_mm512_srli_epi16::<8>(bytes), offset), both);
            let low = _mm512_or_si512(_mm512_and_si512(even, byte), _mm512_slli_epi16::<8>(odd));
            let low = _mm512_and_si512(low, _mm512_set1_epi8(63));
            let (even, odd) = (_mm512_srai_epi16::<6>(even), _mm512_srai_epi16::<6>(odd));
            let high = _mm512_or_si512(_mm512_and_si512(even, byte), _mm512_slli_epi16::<8>(odd));
            [high, low]
        }
    }

    #[inline(always)]
    fn centre_nibbles(self, bytes: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_sub_epi8(bytes, _mm512_set1_epi8(8)) }
    }

    #[inline(always)]
    fn to_floats(self, ints: __m512i) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: __m512) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to, value) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast::<__m256i>())) }
    }

    #[inline(always)]
    fn add(self, left: __m512, right: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(left, right) }
    }

    #[inline(always)]
    fn mul(self, left: __m512, right: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(left, right) }
    }

    #[inline(always)]
    fn fma(self, left: __m512, right: __m512, sum: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(left, right, sum) }
    }

    #[inline(always)]
    fn fnma(self, left: __m512, right: __m512, sum: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fnmadd_ps(left, right, sum) }
    }

    #[inline(always)]
    fn min(self, left: __m512, right: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_min_ps(left, right) }
    }

    #[inline(always)]
    fn max(self, left: __m512, right: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_max_ps(left, right) }
    }

    #[inline(always)]
    fn scale_by_power(self, value: __m512, shifted: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let power = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), power))
        }
    }
}
