//! Sixteen lanes in plain Rust: the reference of every vector kernel, and the path of other processors.
//!
//! Arrays of lanes, not scalars, so that the compiler may still use whatever vectors the target has.

use half::f16;

use super::Lanes;

/// Plain Rust; needs no proof.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Sixteen i32, or 64 bytes in little-endian order.
pub(crate) type Words = [i32; 16];

#[inline(always)]
fn map(words: Words, f: impl Fn(i32) -> i32) -> Words {
    let mut out = words;
    for word in &mut out {
        *word = f(*word);
    }
    out
}

#[inline(always)]
fn zip(left: [f32; 16], right: [f32; 16], f: impl Fn(f32, f32) -> f32) -> [f32; 16] {
    let mut out = left;
    for (out, right) in out.iter_mut().zip(right) {
        *out = f(*out, right);
    }
    out
}

/// The low eight bits of `f` of every unsigned byte and the number of its lane.
#[inline(always)]
fn each_byte(bytes: Words, lanes: Words, f: impl Fn(i32, i32) -> i32) -> Words {
    let mut out = bytes;
    for (out, lane) in out.iter_mut().zip(lanes) {
        *out = i32::from_le_bytes(out.to_le_bytes().map(|byte| f(i32::from(byte), lane) as u8));
    }
    out
}

// SAFETY of the blocks below: loads and stores repeat the trait's contract (the pointer is valid for the
// vector's size) and use unaligned accesses.
impl Lanes for Portable {
    const SHORT: bool = false;
    const GROUP: usize = 4;
    type Ints = Words;
    type Floats = [f32; 16];

    #[inline(always)]
    fn splat_int(self, value: i32) -> Words {
        [value; 16]
    }

    #[inline(always)]
    unsafe fn load_ints(self, from: *const u8) -> Words {
        // SAFETY: see above.
        map(unsafe { from.cast::<Words>().read_unaligned() }, i32::from_le)
    }

    #[inline(always)]
    unsafe fn store_ints(self, to: *mut u8, value: Words) {
        // SAFETY: see above.
        unsafe { to.cast::<Words>().write_unaligned(map(value, i32::to_le)) };
    }

    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> Words {
        // SAFETY: see above.
        unsafe { from.cast::<[u8; 16]>().read_unaligned() }.map(i32::from)
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> Words {
        // SAFETY: see above.
        unsafe { from.cast::<[i8; 16]>().read_unaligned() }.map(i32::from)
    }

    #[inline(always)]
    fn low_nibbles(self, bytes: Words) -> Words {
        map(bytes, |word| word & 0x0F0F_0F0F)
    }

    #[inline(always)]
    fn high_nibbles(self, bytes: Words) -> Words {
        map(bytes, |word| (word >> 4) & 0x0F0F_0F0F)
    }

    #[inline(always)]
    fn with_high_bits<const FIELD: usize>(self, nibbles: Words, fields: Words) -> Words {
        let mut out = nibbles;
        for (out, fields) in out.iter_mut().zip(fields) {
            *out |= ((fields >> (2 * FIELD)) & 0x0303_0303) << 4;
        }
        out
    }

    #[inline(always)]
    fn pair(self, even: Words, odd: Words) -> Words {
        let mut out = even;
        for (out, odd) in out.iter_mut().zip(odd) {
            *out = (*out & 0xFFFF) | (odd << 16);
        }
        out
    }

    #[inline(always)]
    fn dot_short(self, short: Words, weights: Words, activations: Words) -> Words {
        let mut out = short;
        for (out, (weights, activations)) in out.iter_mut().zip(weights.into_iter().zip(activations)) {
            let (weights, activations) = (weights.to_le_bytes(), activations.to_le_bytes());
            for byte in 0..4 {
                *out = out.wrapping_add(i32::from(weights[byte]) * i32::from(activations[byte].cast_signed()));
            }
        }
        out
    }

    #[inline(always)]
    fn add_short(self, sum: Words, short: Words) -> Words {
        let mut out = sum;
        for (out, short) in out.iter_mut().zip(short) {
            *out = out.wrapping_add(short);
        }
        out
    }

    #[inline(always)]
    fn add_short_scaled(self, sum: Words, short: Words, scale: Words) -> Words {
        self.add_scaled(sum, short, scale)
    }

    #[inline(always)]
    fn offset_bytes(self, bytes: Words) -> Words {
        map(bytes, |word| word ^ 0x8080_8080_u32.cast_signed())
    }

    #[inline(always)]
    fn signed_start(self, _negated_sum: i32) -> Words {
        [0; 16]
    }

    #[inline(always)]
    fn dot_signed(self, sum: Words, weights: Words, activations: Words) -> Words {
        let mut out = sum;
        for (out, (weights, activations)) in out.iter_mut().zip(weights.into_iter().zip(activations)) {
            let (weights, activations) = (weights.to_le_bytes(), activations.to_le_bytes());
            for byte in 0..4 {
                let product = i32::from(weights[byte].cast_signed()) * i32::from(activations[byte].cast_signed());
                *out = out.wrapping_add(product);
            }
        }
        out
    }

    #[inline(always)]
    fn dot_pairs(self, sum: Words, left: Words, right: Words) -> Words {
        let mut out = sum;
        for (out, (left, right)) in out.iter_mut().zip(left.into_iter().zip(right)) {
            let low = i32::from(left as i16) * i32::from(right as i16);
            let high = (left >> 16) * (right >> 16);
            *out = out.wrapping_add(low).wrapping_add(high);
        }
        out
    }

    #[inline(always)]
    fn add_scaled(self, sum: Words, ints: Words, scale: Words) -> Words {
        let mut out = sum;
        for (out, (int, scale)) in out.iter_mut().zip(ints.into_iter().zip(scale)) {
            *out = out.wrapping_add(int.wrapping_mul(scale));
        }
        out
    }

    #[inline(always)]
    fn join_octal(self, high: Words, low: Words) -> Words {
        self.add_scaled(low, high, [8; 16])
    }

    #[inline(always)]
    fn join_sixty_fourths(self, high: Words, low: Words) -> Words {
        self.add_scaled(low, high, [64; 16])
    }

    #[inline(always)]
    fn octal_products(self, bytes: Words, scale: Words) -> [Words; 2] {
        [
            each_byte(bytes, scale, |byte, scale| byte * (scale >> 3)),
            each_byte(bytes, scale, |byte, scale| byte * (scale & 7)),
        ]
    }

    #[inline(always)]
    fn centred_products(self, bytes: Words, scale: Words) -> [Words; 2] {
        [
            each_byte(bytes, scale, |byte, scale| ((byte - 32) * scale) >> 6),
            each_byte(bytes, scale, |byte, scale| ((byte - 32) * scale) & 63),
        ]
    }

    #[inline(always)]
    fn centre_nibbles(self, bytes: Words) -> Words {
        each_byte(bytes, bytes, |byte, _| byte - 8)
    }

    #[inline(always)]
    fn to_floats(self, ints: Words) -> [f32; 16] {
        ints.map(|int| int as f32)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 16] {
        [value; 16]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> [f32; 16] {
        // SAFETY: see above.
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: [f32; 16]) {
        // SAFETY: see above.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> [f32; 16] {
        // SAFETY: see above.
        unsafe { from.cast::<[u16; 16]>().read_unaligned() }.map(|bits| f16::from_bits(bits).to_f32_const())
    }

    #[inline(always)]
    fn add(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        zip(left, right, |left, right| left + right)
    }

    #[inline(always)]
    fn mul(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        zip(left, right, |left, right| left * right)
    }

    #[inline(always)]
    fn fma(self, left: [f32; 16], right: [f32; 16], sum: [f32; 16]) -> [f32; 16] {
        // Two roundings: without the instruction, `mul_add` would call a slow exact routine.
        zip(sum, zip(left, right, |left, right| left * right), |sum, product| sum + product)
    }

    #[inline(always)]
    fn fnma(self, left: [f32; 16], right: [f32; 16], sum: [f32; 16]) -> [f32; 16] {
        zip(sum, zip(left, right, |left, right| left * right), |sum, product| sum - product)
    }

    #[inline(always)]
    fn min(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        zip(left, right, |left, right| if left < right { left } else { right })
    }

    #[inline(always)]
    fn max(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        zip(left, right, |left, right| if left > right { left } else { right })
    }

    #[inline(always)]
    fn scale_by_power(self, value: [f32; 16], shifted: [f32; 16]) -> [f32; 16] {
        zip(value, shifted, |value, shifted| f32::from_bits(value.to_bits().wrapping_add(shifted.to_bits() << 23)))
    }
}
