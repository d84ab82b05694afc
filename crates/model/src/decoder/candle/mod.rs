//! The candle runner: exact, for any dtype and architecture, and the way to a GPU.
//!
//! Activations are `f32` throughout; only weights and the cache are narrower. Weights of a quantised file stay
//! quantised, rows of the embedding are expanded as they are read, and the cache of a session is allocated once:
//! no pass copies it, and grouped heads share it without repetition.
//!
//! **Out of scope:** speed on a CPU, which is the task of the runner over our own kernels.

mod activation;
mod attention;
mod layer;
mod linear;
mod session;

use candle_core::{DType, Device, Tensor};
use fontes_core::Result;

use self::{
    layer::{Layer, norm_weight},
    linear::Linear,
    session::CandleEngine,
};
use super::{
    DecoderError, DecoderWeights, Network, Role, Session,
    config::DecoderConfig,
    memory::MemoryBudget,
    options::{DeviceChoice, OpenOptions},
    sequence::Sequence,
};
use crate::weights::row_floats;

/// A decoder whose weights are candle tensors.
pub struct CandleNetwork {
    weights: DecoderWeights,
    layers: Vec<Layer>,
    output_norm: Tensor,
    output: Linear,
    device: Device,
    kv_dtype: DType,
    budget: MemoryBudget,
}

impl CandleNetwork {
    /// Loads all weights but the embedding, which stays in the mapped file.
    ///
    /// # Errors
    /// [`DecoderError::TooLittleMemory`] before anything is loaded; [`DecoderError::NotBuilt`] for a GPU in a
    /// build without one; [`DecoderError::Weights`]; [`DecoderError::Candle`].
    pub fn load(weights: DecoderWeights, options: &OpenOptions) -> Result<Self, DecoderError> {
        let budget = MemoryBudget::plan(&weights, options)?;
        let device = match options.device {
            DeviceChoice::Cpu => Device::Cpu,
            DeviceChoice::Cuda(_) if !DeviceChoice::gpu_built() => {
                return Err(DecoderError::NotBuilt { what: "the GPU runner (feature `cuda`)" });
            }
            DeviceChoice::Cuda(ordinal) => Device::new_cuda(ordinal)?,
        };
        let layers = (0..weights.config().layers)
            .map(|layer| Layer::load(&weights, layer, options.dtype, &device))
            .collect::<Result<_, _>>()?;
        let output_norm = norm_weight(&weights, Role::OutputNorm, &device)?;
        let output = Linear::load(&weights.tensor(Role::Output)?, None, options.dtype, &device)?;
        let kv_dtype = options.kv_dtype.candle();
        Ok(Self { weights, layers, output_norm, output, device, kv_dtype, budget })
    }

    fn config(&self) -> &DecoderConfig {
        self.weights.config()
    }

    /// Looks up `[tokens, hidden]`, scaled.
    fn embed(&self, tokens: &[u32]) -> Result<Tensor, DecoderError> {
        let mut rows = row_floats(&self.weights.tensor(Role::Embedding)?, tokens)?;
        let scale = self.config().embedding_scale;
        if scale != 1.0 {
            rows.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(Tensor::from_vec(rows, (tokens.len(), self.config().hidden), &self.device)?)
    }
}

impl Network for CandleNetwork {
    fn output_size(&self) -> usize {
        self.config().output_rows
    }

    fn input_size(&self) -> usize {
        self.config().input_rows
    }

    fn context_length(&self) -> usize {
        self.config().context_length
    }

    fn layers(&self) -> usize {
        self.config().layers
    }

    fn session(&self, capacity: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Sequence::new(self.config(), capacity, || CandleEngine::new(self, capacity))?))
    }
}
