//! A linear layer: the one place where an encoder multiplies matrices.

use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use serde::{Deserialize, Serialize};

use super::{
    EncoderConfig, EncoderError,
    checkpoint::{Checkpoint, finite},
    elementwise::{add_bias, add_bias_gelu},
};
use crate::{
    kernels::{Activations, Arena, Isa, Output, PackedMatrix, Product, Scaling, ThreadPool, multiply},
    weights::WeightType,
};

/// How the weights of linear layers are held in memory, and so how they are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision: the reference that the others are measured against.
    F32,
    /// Half precision: half the memory.
    F16,
    /// 8 bits for weights and activations, a scale per 32: a quarter of the memory and several times the speed;
    /// on real models the cosine to single precision is above 0.999. The default.
    #[default]
    Q8_0,
    /// 4 bits for weights, 8 for activations: an eighth of the memory. No loss for weights stored so.
    Q4_0,
}

impl Precision {
    /// The stored type that weights are packed from; nothing for dense products.
    fn packed(self) -> Option<WeightType> {
        match self {
            Self::F32 | Self::F16 => None,
            // The kernels make 8-bit tiles of plain floats.
            Self::Q8_0 => Some(WeightType::F32),
            Self::Q4_0 => Some(WeightType::Q4_0),
        }
    }
}

/// What products run on: threads, instruction set, packed weights.
pub(super) struct Machine {
    /// All threads, for one batch at a time.
    pub pool: ThreadPool,
    /// The calling thread alone, for several batches at once.
    pub alone: ThreadPool,
    pub isa: Isa,
    pub arena: Arena,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("threads", &self.pool.threads()).field("isa", &self.isa).finish()
    }
}

impl Machine {
    /// Starts threads and reserves room for an encoder's packed weights.
    pub fn new(config: &EncoderConfig, precision: Precision, threads: usize) -> Result<Self, EncoderError> {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let layer = precision.packed().map_or(0, |dtype| {
            let shapes = [(3 * hidden, hidden), (hidden, hidden), (wide, hidden), (hidden, wide)];
            shapes.iter().map(|&(rows, columns)| PackedMatrix::footprint(dtype, rows, columns)).sum()
        });
        let bytes = config.layers.saturating_mul(layer);
        let arena = Arena::new(bytes).map_err(|source| EncoderError::Memory { bytes, source })?;
        Ok(Self { pool: ThreadPool::new(threads.max(1)), alone: ThreadPool::new(1), isa: Isa::detect(), arena })
    }

    /// Scratch space for the activations of a product.
    pub fn activations(&self) -> Activations {
        Activations::new(self.isa, Scaling::Per32)
    }
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
    /// In the machine's arena.
    Packed(PackedMatrix),
}

impl Linear {
    /// Loads the named layers of one shape as a single one: their outputs follow each other.
    pub fn load(
        checkpoint: &Checkpoint,
        names: &[String],
        shape: [usize; 2],
        precision: Precision,
        machine: &mut Machine,
    ) -> Result<Self, EncoderError> {
        let [outputs, inputs] = shape;
        let (mut values, mut stored, mut bias) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let view = checkpoint.tensor(&format!("{name}.weight"), &shape)?;
            values.extend(finite(&view)?);
            if view.dtype == WeightType::Q4_0 {
                stored.extend_from_slice(view.bytes);
            }
            bias.extend(checkpoint.vector(&format!("{name}.bias"), outputs)?);
        }
        let Some(dtype) = precision.packed() else { return Self::dense(values, bias, inputs, precision) };
        let rows = bias.len();
        let bytes = match dtype {
            WeightType::Q4_0 if WeightType::Q4_0.byte_len(rows * inputs) == Some(stored.len()) => stored,
            WeightType::Q4_0 => quantise(values, rows, inputs)?,
            _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        let matrix = PackedMatrix::pack(&mut machine.arena, &machine.pool, dtype, [rows, inputs], &bytes)?;
        Ok(Self { weight: Weight::Packed(matrix), bias, inputs })
    }

    /// Loads a layer of a classification head; small, so it stays exact.
    pub fn load_head(checkpoint: &Checkpoint, name: &str, shape: [usize; 2]) -> Result<Self, EncoderError> {
        let weights = finite(&checkpoint.head(&format!("{name}.weight"), &shape)?)?;
        let bias = finite(&checkpoint.head(&format!("{name}.bias"), &shape[..1])?)?;
        Self::dense(weights, bias, shape[1], Precision::F32)
    }

    fn dense(values: Vec<f32>, bias: Vec<f32>, inputs: usize, precision: Precision) -> Result<Self, EncoderError> {
        let weight = Tensor::from_vec(values, (bias.len(), inputs), &Device::Cpu)?;
        let weight = if precision == Precision::F16 { weight.to_dtype(DType::F16)? } else { weight };
        Ok(Self { weight: Weight::Dense(weight), bias, inputs })
    }

    /// Outputs per row.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Multiplies `rows` (any number of them, each `inputs` long, one after the other), applies `then`, and
    /// leaves the result in `out`.
    pub fn forward(
        &self,
        (pool, machine): (&ThreadPool, &Machine),
        activations: &mut Activations,
        rows: &[f32],
        then: Then,
        out: &mut Vec<f32>,
    ) -> Result<(), EncoderError> {
        let (count, inputs) = (rows.len() / self.inputs, self.inputs);
        match &self.weight {
            Weight::Packed(matrix) => {
                activations.fill(pool, count, inputs, |row, values| {
                    values.copy_from_slice(&rows[row * inputs..(row + 1) * inputs]);
                });
                out.resize(count * self.outputs(), 0.0);
                let product = Product { matrix, out: &mut *out, output: Output::Replace };
                multiply(pool, &machine.arena, activations, &mut [product]);
            }
            Weight::Dense(weight) => {
                let input = Tensor::from_slice(rows, (count, inputs), &Device::Cpu)?;
                let product = input.to_dtype(weight.dtype())?.matmul(&weight.t()?)?.to_dtype(DType::F32)?;
                *out = product.flatten_all()?.to_vec1::<f32>()?;
            }
        }
        pool.for_each_chunk(out, self.bias.len(), 8, |_, row| match then {
            Then::Bias => add_bias(row, &self.bias),
            Then::BiasGelu => add_bias_gelu(machine.isa, row, &self.bias),
        });
        Ok(())
    }
}

/// Quantises a matrix to Q4_0 blocks.
fn quantise(values: Vec<f32>, rows: usize, inputs: usize) -> Result<Vec<u8>, EncoderError> {
    if !inputs.is_multiple_of(WeightType::Q4_0.block_len()) {
        return Err(EncoderError::Config(format!("{inputs} inputs cannot be held as Q4_0")));
    }
    let dense = Tensor::from_vec(values, (rows, inputs), &Device::Cpu)?;
    Ok(QTensor::quantize(&dense, GgmlDType::Q4_0)?.data()?.into_owned())
}
