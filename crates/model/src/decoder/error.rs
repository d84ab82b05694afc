//! What can go wrong between a model file and its logits.

use fontes_core::{Error, ErrorKind};

use super::config::Architecture;
use crate::weights::WeightsError;

/// A decoder that cannot be configured, loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum DecoderError {
    /// The files themselves.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The checkpoint is of an architecture that is not implemented.
    #[error("unknown architecture {found:?}; supported are {supported}", supported = Architecture::names())]
    UnknownArchitecture {
        /// What the checkpoint calls itself.
        found: String,
    },
    /// The configuration lacks a setting that has no default.
    #[error("the model's configuration lacks {key:?}")]
    MissingSetting {
        /// The key, as the file would write it.
        key: String,
    },
    /// A setting contradicts another, or is out of any sensible range.
    #[error("the model's configuration says {key:?}: {reason}")]
    BadSetting {
        /// The key.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// More memory is needed than may be used.
    #[error("the model needs {needed}, {available} available; {fits}", needed = gib(*.needed), available = gib(*.available))]
    TooLittleMemory {
        /// Bytes needed.
        needed: u64,
        /// Bytes that may be used.
        available: u64,
        /// What would fit, as a clause.
        fits: String,
    },
    /// A sequence is longer than the session or the model allows.
    #[error("{tokens} tokens do not fit into the {what} of {limit}")]
    TooLong {
        /// Tokens asked for.
        tokens: usize,
        /// `"context"` or `"session"`.
        what: &'static str,
        /// Tokens allowed.
        limit: usize,
    },
    /// An id outside the input vocabulary.
    #[error("token id {id} is outside the input vocabulary of {rows}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
    },
    /// The network computed something that is not a number.
    #[error("the model's logits are not finite numbers: its weights are damaged")]
    NotFinite,
    /// The wanted runner is not in this build.
    #[error("{what} is not in this build")]
    NotBuilt {
        /// The runner or device.
        what: &'static str,
    },
    /// The tensor library refused.
    #[error("the tensor library failed")]
    Candle(#[from] candle_core::Error),
}

/// Bytes in the unit people buy memory in.
pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
}

impl From<DecoderError> for Error {
    fn from(error: DecoderError) -> Self {
        let (kind, advice) = match error {
            DecoderError::Weights(inner) => return inner.into(),
            DecoderError::UnknownArchitecture { .. } => (ErrorKind::Invalid, "use a model of a supported architecture"),
            DecoderError::MissingSetting { .. } | DecoderError::BadSetting { .. } => {
                (ErrorKind::Invalid, "compare config.json or the GGUF header with the published model")
            }
            DecoderError::TooLittleMemory { .. } => {
                (ErrorKind::Unavailable, "free memory, or choose a smaller or more strongly quantised model")
            }
            DecoderError::TooLong { .. } => (ErrorKind::Invalid, "give fewer or shorter passages"),
            DecoderError::UnknownToken { .. } => (ErrorKind::Invalid, "use the tokenizer that belongs to the model"),
            DecoderError::NotFinite => (ErrorKind::Corrupt, "fetch the model again and compare its digest"),
            DecoderError::NotBuilt { .. } => {
                (ErrorKind::Unavailable, "choose another runner or build with its feature")
            }
            DecoderError::Candle(_) => (ErrorKind::Internal, "report this with the model's name and digest"),
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
