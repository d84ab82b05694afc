//! A linear layer: the one place where an encoder multiplies matrices.

use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use serde::{Deserialize, Serialize};

use super::{
    EncoderConfig, EncoderError, EncoderOptions,
    checkpoint::{Checkpoint, finite},
    elementwise::{add, gelu},
};
use crate::{
    kernels::{
        Activations, Arena, Int8Matrix, Int8Rows, Isa, Output, PackedMatrix, Product, Scaling, Then, ThreadPool,
        multiply, multiply_int8,
    },
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
    /// 8 bits, a scale per output channel and per token: a quarter of the memory and by far the fastest. The default; what
    /// it costs in retrieval quality is in `docs/benchmarks.md`.
    #[default]
    Int8,
    /// 8 bits for weights and activations, a scale per 32: closer to single precision than [`Precision::Int8`], slower.
    Q8_0,
    /// 4 bits for weights, 8 for activations: an eighth of the memory. No loss for weights stored so.
    Q4_0,
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
    pub fn new(config: &EncoderConfig, options: &EncoderOptions) -> Result<Self, EncoderError> {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let footprint = |(rows, columns)| match options.precision {
            Precision::F32 | Precision::F16 => 0,
            Precision::Int8 => Int8Matrix::footprint(rows, columns),
            Precision::Q8_0 => PackedMatrix::footprint(WeightType::F32, rows, columns),
            Precision::Q4_0 => PackedMatrix::footprint(WeightType::Q4_0, rows, columns),
        };
        let shapes = [(3 * hidden, hidden), (hidden, hidden), (wide, hidden), (hidden, wide)];
        let layer = shapes.into_iter().map(footprint).sum();
        let bytes = config.layers.saturating_mul(layer);
        let arena = Arena::new(bytes).map_err(|source| EncoderError::Memory { bytes, source })?;
        let (pool, alone) = (ThreadPool::new(options.threads.max(1)), ThreadPool::new(1));
        Ok(Self { pool, alone, isa: options.isa, arena })
    }
}

/// The input of a product in the forms that the precisions want; kept from product to product.
pub(super) struct Inputs {
    blocks: Activations,
    rows: Int8Rows,
}

impl Inputs {
    /// Makes empty buffers.
    pub fn new(isa: Isa) -> Self {
        Self { blocks: Activations::new(isa, Scaling::Per32), rows: Int8Rows::new(isa) }
    }
}

/// `y = x · Wᵀ + b` for packed rows.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Weight,
    inputs: usize,
    outputs: usize,
}

#[derive(Debug)]
enum Weight {
    /// `[outputs, inputs]`, and the bias.
    Dense(Tensor, Vec<f32>),
    /// In the machine's arena, and the bias.
    Packed(PackedMatrix, Vec<f32>),
    /// In the machine's arena.
    Int8(Int8Matrix),
}

impl Linear {
    /// Loads the named layers of one shape as a single one: their outputs follow each other. Their inputs will be like those
    /// of `sample`, which may be empty; only [`Precision::Int8`] makes use of it.
    pub fn load(
        checkpoint: &Checkpoint,
        names: &[String],
        shape: [usize; 2],
        precision: Precision,
        machine: &mut Machine,
        sample: &[f32],
    ) -> Result<Self, EncoderError> {
        let [outputs, inputs] = shape;
        let (mut values, mut stored, mut bias) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let (weights, view) = checkpoint.matrix(name, shape)?;
            values.extend(weights);
            if let Some(view) = view.filter(|view| view.dtype == WeightType::Q4_0) {
                stored.extend_from_slice(view.bytes);
            }
            bias.extend(checkpoint.vector(&format!("{name}.bias"), outputs)?);
        }
        let outputs = bias.len();
        let mut pack = |dtype, bias, bytes: &[u8]| {
            let matrix = PackedMatrix::pack(&mut machine.arena, &machine.pool, dtype, [outputs, inputs], bytes)?;
            Ok::<_, EncoderError>(Weight::Packed(matrix, bias))
        };
        let weight = match precision {
            Precision::F32 | Precision::F16 => return Self::dense(values, bias, inputs, precision),
            Precision::Int8 => {
                let Machine { arena, pool, .. } = machine;
                Weight::Int8(Int8Matrix::pack(arena, pool, [outputs, inputs], values, bias, sample)?)
            }
            // The kernels make 8-bit tiles of plain floats.
            Precision::Q8_0 => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                pack(WeightType::F32, bias, &bytes)?
            }
            Precision::Q4_0 if WeightType::Q4_0.byte_len(outputs * inputs) == Some(stored.len()) => {
                pack(WeightType::Q4_0, bias, &stored)?
            }
            Precision::Q4_0 => pack(WeightType::Q4_0, bias, &quantise(values, outputs, inputs)?)?,
        };
        Ok(Self { weight, inputs, outputs })
    }

    /// Loads a layer of a classification head; small, so it stays exact.
    pub fn load_head(checkpoint: &Checkpoint, name: &str, shape: [usize; 2]) -> Result<Self, EncoderError> {
        let weights = finite(&checkpoint.head(&format!("{name}.weight"), &shape)?)?;
        let bias = finite(&checkpoint.head(&format!("{name}.bias"), &shape[..1])?)?;
        Self::dense(weights, bias, shape[1], Precision::F32)
    }

    fn dense(values: Vec<f32>, bias: Vec<f32>, inputs: usize, precision: Precision) -> Result<Self, EncoderError> {
        let outputs = bias.len();
        let weight = Tensor::from_vec(values, (outputs, inputs), &Device::Cpu)?;
        let weight = if precision == Precision::F16 { weight.to_dtype(DType::F16)? } else { weight };
        Ok(Self { weight: Weight::Dense(weight, bias), inputs, outputs })
    }

    /// Outputs per row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether weights are held as plain floats.
    pub fn is_dense(&self) -> bool {
        matches!(self.weight, Weight::Dense(..))
    }

    /// Multiplies `rows` (any number of them, each as long as there are inputs, one after the other), and does `then` into
    /// `out`, which is `[rows, outputs]`.
    pub fn forward(
        &self,
        (pool, machine): (&ThreadPool, &Machine),
        buffers: &mut Inputs,
        rows: &[f32],
        then: Then,
        out: &mut [f32],
    ) -> Result<(), EncoderError> {
        let (count, inputs) = (rows.len() / self.inputs, self.inputs);
        let bias = match &self.weight {
            Weight::Int8(matrix) => {
                buffers.rows.fill(pool, rows, matrix);
                multiply_int8(pool, &machine.arena, &buffers.rows, matrix, then, out);
                return Ok(());
            }
            Weight::Packed(matrix, bias) => {
                buffers.blocks.fill(pool, count, inputs, |row, values| {
                    values.copy_from_slice(&rows[row * inputs..(row + 1) * inputs]);
                });
                let output = if then == Then::BiasAdd { Output::Add } else { Output::Replace };
                multiply(pool, &machine.arena, &buffers.blocks, &mut [Product { matrix, out: &mut *out, output }]);
                bias
            }
            Weight::Dense(weight, bias) => {
                let input = Tensor::from_slice(rows, (count, inputs), &Device::Cpu)?;
                let product = input.to_dtype(weight.dtype())?.matmul(&weight.t()?)?.to_dtype(DType::F32)?;
                let product = product.flatten_all()?.to_vec1::<f32>()?;
                if then == Then::BiasAdd {
                    add(out, &product)
                } else {
                    out.copy_from_slice(&product)
                }
                bias
            }
        };
        pool.for_each_chunk(out, self.outputs, 8, |_, row| {
            add(row, bias);
            if then == Then::BiasGelu {
                gelu(machine.isa, row);
            }
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
