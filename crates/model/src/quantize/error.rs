//! Why a checkpoint cannot be quantised.

use std::path::PathBuf;

use fontes_core::{Error, ErrorKind};

use crate::{decoder::DecoderError, tokenizer::TokenizerError, weights::WeightsError};

/// A failed quantisation. Nothing is left behind under the output's name.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The target type is none of those written here.
    #[error("quantisation type {name:?} is not one of q8_0, q6_k, q5_k_m, q4_k_m, q4_0")]
    UnknownTarget {
        /// What was asked for.
        name: String,
    },
    /// The checkpoint is not an Apertus safetensors directory.
    #[error("{path:?} is no Apertus checkpoint in safetensors: {reason}", path = .path.display())]
    NotApertus {
        /// The path.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The configuration cannot be read.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// The tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A file of the checkpoint other than the weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] Error),
    /// A tensor could not be quantised.
    #[error("tensor {tensor:?} cannot be quantised")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// Why.
        #[source]
        source: candle_core::Error,
    },
    /// The output cannot be written.
    #[error("{path:?} cannot be written", path = .path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl From<QuantizeError> for Error {
    fn from(error: QuantizeError) -> Self {
        let (kind, advice) = match error {
            QuantizeError::Weights(inner) => return inner.into(),
            QuantizeError::Decoder(inner) => return inner.into(),
            QuantizeError::Tokenizer(inner) => return inner.into(),
            QuantizeError::Checkpoint(inner) => return inner,
            QuantizeError::UnknownTarget { .. } => (ErrorKind::Invalid, "choose one of the named types"),
            QuantizeError::NotApertus { .. } => {
                (ErrorKind::Invalid, "give the directory of an Apertus checkpoint with its config.json")
            }
            QuantizeError::Tensor { .. } => (ErrorKind::Internal, "report this with the checkpoint's name"),
            QuantizeError::Output { .. } => (ErrorKind::Unavailable, "check free space and rights of the folder"),
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
