//! What can be wrong with a tokenizer.

use std::path::PathBuf;

use fontes_core::{Error, ErrorKind};

/// A tokenizer that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file is not there or cannot be read.
    #[error("tokenizer {path:?} cannot be read", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The definition contradicts itself.
    #[error("tokenizer is malformed: {reason}")]
    Malformed {
        /// What does not fit.
        reason: String,
    },
    /// A kind of tokenizer that is not built here.
    #[error("tokenizer kind {kind:?} is not supported")]
    Unsupported {
        /// The kind, as the file names it.
        kind: String,
    },
    /// The tokenizer is not the network's.
    #[error("tokenizer of {tokenizer} ids does not match a network that reads {input} and writes {output}")]
    Mismatch {
        /// Ids of the tokenizer.
        tokenizer: usize,
        /// Ids the network reads.
        input: usize,
        /// Ids the network writes.
        output: usize,
    },
}

impl TokenizerError {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        let (kind, advice) = match &error {
            TokenizerError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                (ErrorKind::NotFound, "put the model's tokenizer.json beside its weights")
            }
            TokenizerError::Io { .. } => (ErrorKind::Unavailable, "check that the file may be read"),
            TokenizerError::Malformed { .. } => (ErrorKind::Corrupt, "fetch the model again and verify its digest"),
            TokenizerError::Unsupported { .. } => {
                (ErrorKind::Invalid, "put the model's own tokenizer.json beside the weights, or choose another model")
            }
            TokenizerError::Mismatch { .. } => {
                (ErrorKind::Invalid, "use the tokenizer.json that was published with these weights")
            }
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
