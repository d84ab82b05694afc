//! A linear layer: the one place where an encoder multiplies matrices.

use candle_core::{
    DType, Device, Module as _, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
};
use serde::{Deserialize, Serialize};

use super::{
    EncoderError,
    checkpoint::{Checkpoint, finite},
    elementwise::{add_bias, add_bias_gelu},
    parallel::for_each_chunk,
};

/// How the weights of linear layers are held in memory, and so how they are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision: the reference, and fastest for narrow models without quantised kernels. Weights that
    /// are stored quantised are expanded once.
    #[default]
    F32,
    /// Half precision: half the memory.
    F16,
    /// 8 bits, scale per 32: a quarter of the memory.
    Q8_0,
    /// 4 bits, scale per 32: an eighth of the memory, and some loss.
    Q4_0,
}

/// What follows the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The bias.
    Bias,
    /// The bias, then GELU.
    BiasGelu,
}

/// `y = x · Wᵀ + b` for packed rows.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Weight,
    bias: Vec<f32>,
    inputs: usize,
}

#[derive(Debug)]
enum Weight {
    /// `[outputs, inputs]`.
    Dense(Tensor),
    Quantised(QMatMul),
}

impl Linear {
    /// Loads the named layers of one width as a single one: their outputs follow each other.
    pub fn load(
        checkpoint: &Checkpoint,
        names: &[String],
        [outputs, inputs]: [usize; 2],
        precision: Precision,
    ) -> Result<Self, EncoderError> {
        let (mut weights, mut bias) = (Vec::with_capacity(names.len() * outputs * inputs), Vec::new());
        for name in names {
            weights.extend(finite(&checkpoint.tensor(&format!("{name}.weight"), &[outputs, inputs])?)?);
            bias.extend(checkpoint.vector(&format!("{name}.bias"), outputs)?);
        }
        Self::new(weights, bias, inputs, precision)
    }

    /// Loads a layer of a classification head.
    pub fn load_head(checkpoint: &Checkpoint, name: &str, shape: [usize; 2]) -> Result<Self, EncoderError> {
        let weights = finite(&checkpoint.head(&format!("{name}.weight"), &shape)?)?;
        let bias = finite(&checkpoint.head(&format!("{name}.bias"), &shape[..1])?)?;
        Self::new(weights, bias, shape[1], Precision::F32)
    }

    fn new(weights: Vec<f32>, bias: Vec<f32>, inputs: usize, precision: Precision) -> Result<Self, EncoderError> {
        let dense = Tensor::from_vec(weights, (bias.len(), inputs), &Device::Cpu)?;
        let quantised = |kind: GgmlDType| -> Result<Weight, EncoderError> {
            if !inputs.is_multiple_of(kind.block_size()) {
                return Err(EncoderError::Config(format!("{inputs} inputs cannot be held as {kind:?}")));
            }
            Ok(Weight::Quantised(QMatMul::from_qtensor(QTensor::quantize(&dense, kind)?)?))
        };
        let weight = match precision {
            Precision::F32 => Weight::Dense(dense),
            Precision::F16 => Weight::Dense(dense.to_dtype(DType::F16)?),
            Precision::Q8_0 => quantised(GgmlDType::Q8_0)?,
            Precision::Q4_0 => quantised(GgmlDType::Q4_0)?,
        };
        Ok(Self { weight, bias, inputs })
    }

    /// Outputs per row.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Multiplies `rows` (any number of them, each `inputs` long, one after the other) and applies `then`.
    pub fn forward(&self, rows: &[f32], then: Then, threads: usize) -> Result<Vec<f32>, EncoderError> {
        let shape = (rows.len() / self.inputs, self.inputs);
        let input = Tensor::from_slice(rows, shape, &Device::Cpu)?;
        let product = match &self.weight {
            Weight::Dense(weight) if weight.dtype() == DType::F32 => input.matmul(&weight.t()?)?,
            Weight::Dense(weight) => input.to_dtype(weight.dtype())?.matmul(&weight.t()?)?.to_dtype(DType::F32)?,
            Weight::Quantised(weight) => weight.forward(&input)?,
        };
        let mut product = product.flatten_all()?.to_vec1::<f32>()?;
        for_each_chunk(threads, &mut product, self.bias.len(), |_, row| match then {
            Then::Bias => add_bias(row, &self.bias),
            Then::BiasGelu => add_bias_gelu(row, &self.bias),
        });
        Ok(product)
    }
}
