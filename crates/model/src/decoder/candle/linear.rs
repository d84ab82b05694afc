//! A linear layer over whatever the weights are stored in.

use std::{borrow::Cow, sync::Arc};

use candle_core::{
    DType, Device, Module as _, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};

use crate::{
    decoder::{DecoderError, options::Dtype},
    weights::{TensorView, WeightType, floats, ggml},
};

/// `y = x·Wᵀ (+ b)`, with `W` `[outputs, inputs]`; activations are `f32` on both sides.
pub(super) struct Linear {
    matrix: Matrix,
    bias: Option<Tensor>,
}

enum Matrix {
    /// A dense tensor; activations are converted to its dtype.
    Dense(Tensor),
    /// Blocks, or 16-bit floats on a CPU, where candle multiplies dense `bf16` not at all.
    Blocks(QMatMul),
}

impl Linear {
    /// Loads a matrix: quantised blocks stay as they are, floats become `dtype`.
    pub(super) fn load(
        view: &TensorView<'_>,
        bias: Option<Vec<f32>>,
        dtype: Dtype,
        device: &Device,
    ) -> Result<Self, DecoderError> {
        let shape = (view.shape[0], view.shape[1]);
        let matrix = if view.dtype.is_quantised() {
            blocks(Cow::Borrowed(view.bytes), ggml(view.dtype), shape, device)?
        } else {
            match dtype.stored(shape.1) {
                WeightType::Q8_0 => {
                    let weights = Tensor::from_vec(floats(view)?, shape, &Device::Cpu)?;
                    Matrix::of(QTensor::quantize_onto(&weights, GgmlDType::Q8_0, device)?)
                }
                stored @ (WeightType::F16 | WeightType::BF16) => {
                    let bytes = narrow(view, stored)?;
                    if device.is_cpu() {
                        blocks(bytes, ggml(stored), shape, device)?
                    } else {
                        let dtype = if stored == WeightType::F16 { DType::F16 } else { DType::BF16 };
                        Matrix::Dense(Tensor::from_raw_buffer(&bytes, dtype, &[shape.0, shape.1], device)?)
                    }
                }
                _ => Matrix::Dense(Tensor::from_vec(floats(view)?, shape, device)?),
            }
        };
        let bias = bias.map(|bias| Tensor::from_vec(bias, shape.0, device)).transpose()?;
        Ok(Self { matrix, bias })
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let y = match &self.matrix {
            Matrix::Dense(weight) => x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?.to_dtype(DType::F32)?,
            Matrix::Blocks(weight) => weight.forward(&x.contiguous()?)?,
        };
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

impl Matrix {
    /// The variant is named here because candle's constructor would expand 16-bit floats to 32.
    fn of(tensor: QTensor) -> Self {
        Self::Blocks(QMatMul::QTensor(Arc::new(tensor)))
    }
}

fn blocks(
    bytes: Cow<'_, [u8]>,
    dtype: GgmlDType,
    shape: (usize, usize),
    device: &Device,
) -> Result<Matrix, DecoderError> {
    // Blocks hold 16- and 32-bit numbers. Heap memory is aligned for them, a safetensors map need not be.
    let bytes = if bytes.as_ptr().align_offset(4) == 0 { bytes } else { Cow::Owned(bytes.into_owned()) };
    Ok(Matrix::of(QTensor::new(QStorage::from_data(bytes, device, dtype)?, shape)?))
}

/// The bytes of a float tensor in a 16-bit type; borrowed where it has that type.
fn narrow<'a>(view: &TensorView<'a>, to: WeightType) -> Result<Cow<'a, [u8]>, DecoderError> {
    if view.dtype == to {
        return Ok(Cow::Borrowed(view.bytes));
    }
    let values = floats(view)?.into_iter();
    Ok(Cow::Owned(match to {
        WeightType::F16 => values.flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect(),
        _ => values.flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect(),
    }))
}
