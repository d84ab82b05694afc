//! From a path to a network.

use std::{path::Path, sync::Arc};

use fontes_core::Result;

use super::{
    DecoderError, DecoderWeights, Network,
    candle::CandleNetwork,
    options::{OpenOptions, Runner},
};
use crate::weights::TensorSource;

/// Opens the decoder at `path`: a GGUF file or a safetensors directory.
///
/// # Errors
/// Kinds as for [`crate::weights::WeightsError`] and [`DecoderError`]; the message names the file, tensor or key.
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
    match options.runner {
        Runner::Auto | Runner::Candle => Ok(Box::new(CandleNetwork::load(weights, options)?)),
        Runner::Cpu => Err(DecoderError::NotBuilt { what: "the CPU runner" }.into()),
    }
}
