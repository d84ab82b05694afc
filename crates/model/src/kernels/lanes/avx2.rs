//! Eight lanes: AVX2 with FMA and F16C, with and without the int8 dot product of AVX-VNNI.
//!
//! The two differ only in the dot products, so one macro writes both. Without VNNI a dot product is
//! `vpmaddubsw` (u8 × i8 into saturating i16 pairs) and `vpmaddwd`. No pair saturates: unsigned weights stay
//! at or below 63, 2 · 63 · 127 = 16,002; signed weights go in as magnitude with their sign moved to the
//! activation, 2 · 128 · 127 = 32,512 < 32,768.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_abs_epi8, _mm256_add_epi32, _mm256_add_ps,
    _mm256_and_si256, _mm256_blend_epi16, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtepi8_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtph_ps, _mm256_dpbusd_avx_epi32, _mm256_dpwssd_avx_epi32,
    _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_mullo_epi16, _mm256_mullo_epi32, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256, _mm256_sign_epi8,
    _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srai_epi16, _mm256_srli_epi16, _mm256_srli_epi32, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_sub_epi8, _mm256_sub_epi16,
};

use super::Lanes;

/// Proof that AVX2, FMA and F16C may be used.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Proof that AVX2, FMA, F16C and AVX-VNNI may be used.
#[derive(Clone, Copy)]
pub(crate) struct AvxVnni(());

macro_rules! eight_lanes {
    ($proof:ident, $dot_bytes:expr, $dot_words:expr) => {
        impl $proof {
            /// Makes the proof.
            ///
            /// # Safety
            /// The processor has the features, and the caller is compiled with them enabled.
            #[inline(always)]
            pub(crate) unsafe fn assume() -> Self {
                Self(())
            }
        }

        // SAFETY of every block below: a value of the proof exists only where its features were detected, so
        // the instructions exist; operations on registers have no other requirement. Loads and stores repeat
        // the trait's contract: the pointer is valid for the vector's size, and the instructions are unaligned.
        impl Lanes for $proof {
            const WIDTH: usize = 8;
            // 4 integer sums and 4 float sums leave 8 of the 16 registers.
            const GROUP: usize = 4;
            type Ints = __m256i;
            type Floats = __m256;

            #[inline(always)]
            fn splat_int(self, value: i32) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_set1_epi32(value) }
            }

            #[inline(always)]
            unsafe fn load_ints(self, from: *const u8) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_loadu_si256(from.cast::<__m256i>()) }
            }

            #[inline(always)]
            unsafe fn store_ints(self, to: *mut u8, value: __m256i) {
                // SAFETY: see above.
                unsafe { _mm256_storeu_si256(to.cast::<__m256i>(), value) }
            }

            #[inline(always)]
            unsafe fn load_u8(self, from: *const u8) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast::<__m128i>())) }
            }

            #[inline(always)]
            unsafe fn load_i8(self, from: *const u8) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast::<__m128i>())) }
            }

            #[inline(always)]
            fn low_nibbles(self, bytes: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_and_si256(bytes, _mm256_set1_epi8(0x0F)) }
            }

            #[inline(always)]
            fn high_nibbles(self, bytes: __m256i) -> __m256i {
                // SAFETY: see above. Bits shifted in from the neighbouring byte are masked away.
                unsafe { _mm256_and_si256(_mm256_srli_epi32::<4>(bytes), _mm256_set1_epi8(0x0F)) }
            }

            #[inline(always)]
            fn with_high_bits<const FIELD: usize>(self, nibbles: __m256i, fields: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe {
                    let moved = match FIELD {
                        0 => _mm256_slli_epi32::<4>(fields),
                        1 => _mm256_slli_epi32::<2>(fields),
                        2 => fields,
                        _ => _mm256_srli_epi32::<2>(fields),
                    };
                    _mm256_or_si256(nibbles, _mm256_and_si256(moved, _mm256_set1_epi8(0x30)))
                }
            }

            #[inline(always)]
            fn pair(self, even: __m256i, odd: __m256i) -> __m256i {
                // SAFETY: see above. The mask takes the odd 16-bit halves from the shifted operand.
                unsafe { _mm256_blend_epi16::<0xAA>(even, _mm256_slli_epi32::<16>(odd)) }
            }

            #[inline(always)]
            fn dot_unsigned(self, sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { $dot_bytes(sum, weights, activations) }
            }

            #[inline(always)]
            fn signed_start(self, _negated_sum: i32) -> __m256i {
                // SAFETY: see above. Moving the sign to the activation needs no correction.
                unsafe { _mm256_setzero_si256() }
            }

            #[inline(always)]
            fn dot_signed(self, sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { $dot_bytes(sum, _mm256_abs_epi8(weights), _mm256_sign_epi8(activations, weights)) }
            }

            #[inline(always)]
            fn dot_pairs(self, sum: __m256i, left: __m256i, right: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { $dot_words(sum, left, right) }
            }

            #[inline(always)]
            fn add_scaled(self, sum: __m256i, ints: __m256i, scale: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_add_epi32(sum, _mm256_mullo_epi32(ints, scale)) }
            }

            #[inline(always)]
            fn join_octal(self, high: __m256i, low: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_add_epi32(_mm256_slli_epi32::<3>(high), low) }
            }

            #[inline(always)]
            fn join_sixty_fourths(self, high: __m256i, low: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_add_epi32(_mm256_slli_epi32::<6>(high), low) }
            }

            #[inline(always)]
            fn octal_products(self, bytes: __m256i, scale: __m256i) -> [__m256i; 2] {
                // SAFETY: see above. A product of at most 15 · 7 stays in its byte, so one 16-bit product serves two bytes.
                unsafe {
                    let both = _mm256_or_si256(scale, _mm256_slli_epi32::<16>(scale));
                    let high = _mm256_srli_epi16::<3>(both);
                    let low = _mm256_and_si256(both, _mm256_set1_epi16(7));
                    [_mm256_mullo_epi16(bytes, high), _mm256_mullo_epi16(bytes, low)]
                }
            }

            #[inline(always)]
            fn centred_products(self, bytes: __m256i, scale: __m256i) -> [__m256i; 2] {
                // SAFETY: see above. Even and odd bytes go through 16-bit lanes of their own.
                unsafe {
                    let byte = _mm256_set1_epi16(0xFF);
                    let both = self.pair(scale, scale);
                    let offset = _mm256_set1_epi16(32);
                    let even = _mm256_mullo_epi16(_mm256_sub_epi16(_mm256_and_si256(bytes, byte), offset), both);
                    let odd = _mm256_mullo_epi16(_mm256_sub_epi16(_mm256_srli_epi16::<8>(bytes), offset), both);
                    let low = _mm256_or_si256(_mm256_and_si256(even, byte), _mm256_slli_epi16::<8>(odd));
                    let low = _mm256_and_si256(low, _mm256_set1_epi8(63));
                    let (even, odd) = (_mm256_srai_epi16::<6>(even), _mm256_srai_epi16::<6>(odd));
                    let high = _mm256_or_si256(_mm256_and_si256(even, byte), _mm256_slli_epi16::<8>(odd));
                    [high, low]
                }
            }

            #[inline(always)]
            fn centre_nibbles(self, bytes: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_sub_epi8(bytes, _mm256_set1_epi8(8)) }
            }

            #[inline(always)]
            fn to_floats(self, ints: __m256i) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_cvtepi32_ps(ints) }
            }

            #[inline(always)]
            fn splat(self, value: f32) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_set1_ps(value) }
            }

            #[inline(always)]
            unsafe fn load(self, from: *const f32) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_loadu_ps(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32, value: __m256) {
                // SAFETY: see above.
                unsafe { _mm256_storeu_ps(to, value) }
            }

            #[inline(always)]
            unsafe fn load_f16(self, from: *const u16) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast::<__m128i>())) }
            }

            #[inline(always)]
            fn add(self, left: __m256, right: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_add_ps(left, right) }
            }

            #[inline(always)]
            fn mul(self, left: __m256, right: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_mul_ps(left, right) }
            }

            #[inline(always)]
            fn fma(self, left: __m256, right: __m256, sum: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_fmadd_ps(left, right, sum) }
            }

            #[inline(always)]
            fn fnma(self, left: __m256, right: __m256, sum: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_fnmadd_ps(left, right, sum) }
            }

            #[inline(always)]
            fn min(self, left: __m256, right: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_min_ps(left, right) }
            }

            #[inline(always)]
            fn max(self, left: __m256, right: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_max_ps(left, right) }
            }

            #[inline(always)]
            fn scale_by_power(self, value: __m256, shifted: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe {
                    let power = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
                    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), power))
                }
            }
        }
    };
}

/// `vpmaddubsw`, `vpmaddwd`, `vpaddd`.
#[inline(always)]
unsafe fn dot_bytes_avx2(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
    // SAFETY: the caller holds a proof of AVX2.
    unsafe {
        let pairs = _mm256_maddubs_epi16(weights, activations);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// `vpmaddwd`, `vpaddd`.
#[inline(always)]
unsafe fn dot_words_avx2(sum: __m256i, left: __m256i, right: __m256i) -> __m256i {
    // SAFETY: the caller holds a proof of AVX2.
    unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(left, right)) }
}

eight_lanes!(Avx2, dot_bytes_avx2, dot_words_avx2);
eight_lanes!(AvxVnni, _mm256_dpbusd_avx_epi32, _mm256_dpwssd_avx_epi32);
