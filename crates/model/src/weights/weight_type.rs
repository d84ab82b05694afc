//! The number formats in which weights are stored, and their block geometry.

use std::fmt;

use super::WeightsError;

/// How the numbers of a tensor are stored. Quantised types pack a fixed number of consecutive row elements into
/// a block with its own scale (layouts: `ggml-common.h` of the GGML project).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "the names of the GGUF specification")]
pub enum WeightType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// Upper half of a single-precision number.
    BF16,
    /// 4 bits, scale per 32.
    Q4_0,
    /// 4 bits, scale and minimum per 32.
    Q4_1,
    /// 5 bits, scale per 32.
    Q5_0,
    /// 5 bits, scale and minimum per 32.
    Q5_1,
    /// 8 bits, scale per 32.
    Q8_0,
    /// 2 bits in super-blocks of 256.
    Q2_K,
    /// 3 bits in super-blocks of 256.
    Q3_K,
    /// 4 bits in super-blocks of 256.
    Q4_K,
    /// 5 bits in super-blocks of 256.
    Q5_K,
    /// 6 bits in super-blocks of 256.
    Q6_K,
}

impl WeightType {
    /// Every type that can be read, in the order of precision within each family.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// Elements per block; 1 for plain floats.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2_K => 84,
            Self::Q3_K => 110,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// Says whether elements share a block.
    pub const fn is_quantised(self) -> bool {
        self.block_len() > 1
    }

    /// Bytes of `elements` consecutive elements; `None` when they do not fill whole blocks or overflow.
    pub fn byte_len(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }

    /// The type number of the GGUF specification.
    pub const fn gguf_code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q2_K => 10,
            Self::Q3_K => 11,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// Reads a GGUF type number of tensor `tensor`.
    ///
    /// # Errors
    /// [`WeightsError::UnknownType`] for a number outside [`WeightType::ALL`].
    pub fn from_gguf_code(code: u32, tensor: &str) -> Result<Self, WeightsError> {
        Self::ALL.into_iter().find(|kind| kind.gguf_code() == code).ok_or_else(|| WeightsError::UnknownType {
            tensor: tensor.to_owned(),
            found: match foreign_name(code) {
                Some(name) => format!("{name} ({code})"),
                None => code.to_string(),
            },
        })
    }

    /// The name the GGUF specification writes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2_K => "Q2_K",
            Self::Q3_K => "Q3_K",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
        }
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names the GGUF types that exist and are not read here, so that the message says more than a number.
const fn foreign_name(code: u32) -> Option<&'static str> {
    Some(match code {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_foreign_types_are_named() {
        for kind in WeightType::ALL {
            assert_eq!(WeightType::from_gguf_code(kind.gguf_code(), "t").unwrap(), kind);
        }
        let error = WeightType::from_gguf_code(23, "blk.0.attn_q.weight").unwrap_err().to_string();
        assert!(error.contains("IQ4_XS (23)") && error.contains("blk.0.attn_q.weight"), "{error}");
        assert!(error.contains("Q6_K"), "the supported types are named: {error}");
    }

    #[test]
    fn partial_blocks_have_no_length() {
        assert_eq!(WeightType::Q8_0.byte_len(64), Some(68));
        assert_eq!(WeightType::Q8_0.byte_len(65), None);
        assert_eq!(WeightType::F32.byte_len(usize::MAX), None);
    }
}
