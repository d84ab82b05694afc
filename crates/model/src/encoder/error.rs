//! What keeps an encoder from being opened or run.

use std::path::PathBuf;

use fontes_core::{Error, ErrorKind};

use crate::{store::ModelRole, weights::WeightsError};

/// An encoder that cannot be opened, or an input it cannot take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// The weights cannot be read or do not fit the configuration.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The configuration names something that is not built.
    #[error("encoder {what} {found:?} is not supported; supported: {supported}")]
    Unsupported {
        /// What was named: architecture, activation, pooling.
        what: &'static str,
        /// The name in the configuration.
        found: String,
        /// The names that would do.
        supported: &'static str,
    },
    /// The configuration contradicts itself.
    #[error("encoder configuration is not valid: {0}")]
    Config(String),
    /// None of the dimensions of an embedding are to be kept, or more than there are.
    #[error("{wanted} dimensions wanted, the model gives 1 to {has}")]
    Dimensions {
        /// How many are to be kept.
        wanted: usize,
        /// How many there are.
        has: usize,
    },
    /// The tokens of a query are another embedder's.
    #[error("a token of the query has {got} numbers, those of this encoder have {want}")]
    ForeignTokens {
        /// Numbers of that token.
        got: usize,
        /// Numbers of a token here.
        want: usize,
    },
    /// The tokenizer is missing or does not parse.
    #[error("tokenizer {} cannot be used", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: tokenizers::Error,
    },
    /// The tokenizer knows ids that the network has no row for.
    #[error("tokenizer has {tokenizer} ids, the encoder only {encoder}")]
    Vocabulary {
        /// Ids of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding.
        encoder: usize,
    },
    /// A text could not be tokenised.
    #[error("text could not be tokenised")]
    Tokenise(#[source] tokenizers::Error),
    /// An adapter is damaged or was trained on another model.
    #[error("adapter does not fit model {name:?}: {reason}")]
    Adapter {
        /// The model.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// The model is for something else.
    #[error("model {name:?} is no {}", role_name(*wanted))]
    WrongRole {
        /// The model.
        name: String,
        /// What was asked for.
        wanted: ModelRole,
    },
    /// The weights do not fit the address space.
    #[error("{bytes} bytes for the encoder's weights are not available")]
    Memory {
        /// Bytes wanted.
        bytes: usize,
        /// The system's refusal.
        source: std::io::Error,
    },
    /// The weights could not be packed.
    #[error("encoder weights could not be packed")]
    Pack(#[from] crate::kernels::PackError),
    /// A computation failed.
    #[error("encoder computation failed")]
    Compute(#[from] candle_core::Error),
    /// The network gave something that is not a number.
    #[error("encoder gave a result that is not a number")]
    NotANumber,
}

fn role_name(role: ModelRole) -> &'static str {
    match role {
        ModelRole::Embedder => "embedder",
        ModelRole::Reranker => "reranker",
        ModelRole::Generator => "generator",
    }
}

impl From<EncoderError> for Error {
    fn from(error: EncoderError) -> Self {
        use EncoderError as E;
        let (kind, advice) = match error {
            E::Weights(error) => return error.into(),
            E::Unsupported { .. } => (ErrorKind::Invalid, "choose another model; `fontes models list` shows them"),
            E::Config(_) | E::Tokenizer { .. } | E::Vocabulary { .. } => {
                (ErrorKind::Corrupt, "remove the model and install it again")
            }
            E::Dimensions { .. } => (ErrorKind::Invalid, "keep as many as there are or fewer: NAME@N, or NAME for all"),
            E::ForeignTokens { .. } => (ErrorKind::Internal, "this is a bug in Fontes: please report it"),
            E::WrongRole { .. } => {
                (ErrorKind::Invalid, "choose a model of the right kind; `fontes models list` shows it")
            }
            E::Adapter { .. } => (ErrorKind::Invalid, "use the model that the adapter was trained on"),
            E::Memory { .. } => (ErrorKind::Unavailable, "choose a smaller model"),
            E::NotANumber => (ErrorKind::Corrupt, "verify the model's files with `fontes models verify`"),
            E::Tokenise(_) | E::Compute(_) | E::Pack(_) => (ErrorKind::Internal, "report this with the model's name"),
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
