//! Stored numbers as `f32`.

use std::borrow::Cow;

use candle_core::{
    Device,
    quantized::{GgmlDType, QStorage, QTensor},
};

use super::{TensorView, WeightType, WeightsError};

/// Reads a whole tensor as `f32`; quantised blocks are expanded.
///
/// # Errors
/// [`WeightsError::Malformed`]-like failures cannot happen for a view of an opened source; a refusal of the
/// quantisation library is passed on as [`WeightsError::UnknownType`].
pub fn floats(view: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    decode(view.name, view.dtype, view.bytes)
}

/// Reads rows of a matrix as `f32`, one after the other; only their bytes are touched.
///
/// # Errors
/// As [`floats`]; [`WeightsError::WrongShape`] when the view is no matrix or a row is past its end.
pub fn row_floats(view: &TensorView<'_>, rows: &[u32]) -> Result<Vec<f32>, WeightsError> {
    let &[count, columns] = view.shape else {
        return Err(WeightsError::WrongShape {
            tensor: view.name.to_owned(),
            wanted: vec![0, 0],
            found: view.shape.to_vec(),
        });
    };
    let stride = view.bytes.len().checked_div(count).unwrap_or(0);
    let mut bytes = Vec::with_capacity(rows.len() * stride);
    for &row in rows {
        let start = row as usize * stride;
        let Some(row_bytes) = view.bytes.get(start..start + stride) else {
            return Err(WeightsError::WrongShape {
                tensor: view.name.to_owned(),
                wanted: vec![row as usize + 1, columns],
                found: view.shape.to_vec(),
            });
        };
        bytes.extend_from_slice(row_bytes);
    }
    decode(view.name, view.dtype, &bytes)
}

fn decode(name: &str, dtype: WeightType, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
    let values = match dtype {
        WeightType::F32 => bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        WeightType::F16 => bytes.as_chunks::<2>().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()).collect(),
        WeightType::BF16 => bytes.as_chunks::<2>().0.iter().map(|&b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        WeightType::Q4_0 => q4_0(bytes),
        quantised => expand(quantised, bytes)
            .map_err(|error| WeightsError::UnknownType { tensor: name.to_owned(), found: error.to_string() })?,
    };
    Ok(values)
}

/// Q4_0 blocks: a half-precision scale, then sixteen bytes that hold weights 0…15 in their low halves and 16…31 in their
/// high ones, with 8 added. The tables of small embedders are stored so and read token by token.
fn q4_0(bytes: &[u8]) -> Vec<f32> {
    let blocks = bytes.as_chunks::<{ WeightType::Q4_0.block_bytes() }>().0;
    let mut values = vec![0.0; blocks.len() * WeightType::Q4_0.block_len()];
    for (values, [low, high, halves @ ..]) in values.as_chunks_mut::<32>().0.iter_mut().zip(blocks) {
        let scale = half::f16::from_le_bytes([*low, *high]).to_f32();
        let (first, second) = values.split_at_mut(16);
        for ((first, second), byte) in first.iter_mut().zip(second).zip(halves) {
            *first = (i32::from(byte & 15) - 8) as f32 * scale;
            *second = (i32::from(byte >> 4) - 8) as f32 * scale;
        }
    }
    values
}

fn expand(dtype: WeightType, bytes: &[u8]) -> candle_core::Result<Vec<f32>> {
    let elements = bytes.len() / dtype.block_bytes() * dtype.block_len();
    // Blocks hold 16-bit scales: bytes at an odd address are copied to an aligned one.
    let bytes = if bytes.as_ptr().align_offset(4) == 0 { Cow::Borrowed(bytes) } else { Cow::Owned(bytes.to_vec()) };
    let storage = QStorage::from_data(bytes, &Device::Cpu, ggml(dtype))?;
    QTensor::new(storage, elements)?.dequantize(&Device::Cpu)?.to_vec1()
}

/// The same type in candle's words.
pub(crate) fn ggml(dtype: WeightType) -> GgmlDType {
    match dtype {
        WeightType::F32 => GgmlDType::F32,
        WeightType::F16 => GgmlDType::F16,
        WeightType::BF16 => GgmlDType::BF16,
        WeightType::Q4_0 => GgmlDType::Q4_0,
        WeightType::Q4_1 => GgmlDType::Q4_1,
        WeightType::Q5_0 => GgmlDType::Q5_0,
        WeightType::Q5_1 => GgmlDType::Q5_1,
        WeightType::Q8_0 => GgmlDType::Q8_0,
        WeightType::Q2_K => GgmlDType::Q2K,
        WeightType::Q3_K => GgmlDType::Q3K,
        WeightType::Q4_K => GgmlDType::Q4K,
        WeightType::Q5_K => GgmlDType::Q5K,
        WeightType::Q6_K => GgmlDType::Q6K,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_geometry_is_candles() {
        for kind in WeightType::ALL {
            assert_eq!(
                (ggml(kind).block_size(), ggml(kind).type_size()),
                (kind.block_len(), kind.block_bytes()),
                "{kind}"
            );
        }
    }

    #[test]
    fn q4_0_is_read_as_candle_reads_it() {
        let mut state = 1_u32;
        let mut bytes: Vec<u8> = (0..18 * 40)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        // Scales of any sign and size, but finite.
        bytes.chunks_mut(18).for_each(|block| block[1] &= 0xBB);
        assert_eq!(q4_0(&bytes), expand(WeightType::Q4_0, &bytes).unwrap());
    }

    #[test]
    fn rows_equal_the_whole() {
        // Two rows of 32 at Q8_0: a scale of 2 (f16 0x4000) and bytes counting up.
        let block = |first: u8| [vec![0x00, 0x40], (0..32).map(|i| first + i).collect()].concat();
        let bytes = [block(0), block(32)].concat();
        let view = TensorView { name: "t", dtype: WeightType::Q8_0, shape: &[2, 32], bytes: &bytes };
        let all = floats(&view).unwrap();
        assert_eq!(all[33], 66.0);
        assert_eq!(row_floats(&view, &[1]).unwrap(), all[32..]);
        assert!(row_floats(&view, &[2]).is_err());
    }
}
