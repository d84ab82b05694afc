//! From a path to a network.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use fontes_core::Result;

use super::{
    DecoderWeights, Network,
    candle::CandleNetwork,
    cpu::{CpuNetwork, CpuOptions},
    options::{DeviceChoice, Dtype, KvDtype, OpenOptions, Runner},
};
use crate::{
    kernels::{Isa, ThreadPool},
    weights::TensorSource,
};

/// Opens the decoder at `path`: a GGUF file or a safetensors directory.
///
/// # Errors
/// Kinds as for [`crate::weights::WeightsError`] and [`super::DecoderError`]; the message names the file, tensor or key.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Network>> {
    let source = TensorSource::open(path)?;
    load(Arc::new(source), options)
}

/// Opens the decoder in files that are open already, for callers that also read the tokenizer from them.
///
/// # Errors
/// As [`open`].
pub fn load(source: Arc<TensorSource>, options: &OpenOptions) -> Result<Box<dyn Network>> {
    let weights = DecoderWeights::new(source)?;
    let fast = match options.runner {
        Runner::Cpu => true,
        Runner::Candle => false,
        // What is not quantised stays exact unless asked.
        Runner::Auto => {
            options.device == DeviceChoice::Cpu
                && options.kv_dtype == KvDtype::F16
                && CpuNetwork::supports(weights.config())
                && (options.dtype == Dtype::Q8_0 || CpuNetwork::suits(&weights)?)
        }
    };
    if fast {
        let threads = options.threads.or_else(|| std::thread::available_parallelism().ok());
        let pool = ThreadPool::shared(threads.map_or(1, NonZeroUsize::get));
        let copy = options.packed_copy.clone();
        let options = CpuOptions { pool, isa: Isa::detect(), max_memory: options.max_memory, copy };
        Ok(Box::new(CpuNetwork::load(weights, options)?))
    } else {
        Ok(Box::new(CandleNetwork::load(weights, options)?))
    }
}
