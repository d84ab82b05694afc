//! What can be wrong with a model file.

use std::path::PathBuf;

use fontes_core::{Error, ErrorKind};

use super::WeightType;

/// A model file that cannot be opened or believed.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file is not there or cannot be read.
    #[error("model file {path:?} cannot be read", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A path holds neither a GGUF file nor a safetensors checkpoint.
    #[error("{path:?} holds no model: {reason}", path = .path.display())]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What was looked for.
        reason: &'static str,
    },
    /// The index of a sharded checkpoint names a file that is missing.
    #[error("shard {shard:?} named in the checkpoint's index is missing")]
    MissingShard {
        /// The file name in the index.
        shard: String,
    },
    /// A header contradicts itself or the size of its file.
    #[error("model file {path:?} is damaged: {reason}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A JSON file of the checkpoint cannot be parsed.
    #[error("{path:?} is not valid JSON for a checkpoint", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A tensor is stored in a type that is not read here.
    #[error("tensor {tensor:?} has the unknown quantisation {found}; supported are {supported}", supported = supported())]
    UnknownType {
        /// The tensor.
        tensor: String,
        /// The type's name or number.
        found: String,
    },
    /// A tensor the model needs is not in the files.
    #[error("tensor {tensor:?} is missing from the checkpoint")]
    MissingTensor {
        /// The tensor.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor {tensor:?} has shape {found:?}, the configuration says {wanted:?}")]
    WrongShape {
        /// The tensor.
        tensor: String,
        /// Shape by the configuration, outermost first.
        wanted: Vec<usize>,
        /// Shape in the file, outermost first.
        found: Vec<usize>,
    },
    /// A tensor holds NaN or infinity.
    #[error("tensor {tensor:?} holds values that are not finite numbers")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
}

fn supported() -> String {
    WeightType::ALL.map(WeightType::name).join(", ")
}

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Self {
        let (kind, advice) = match &error {
            WeightsError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                (ErrorKind::NotFound, "check the path, or install the model with `fontes models install`")
            }
            WeightsError::Io { .. } => (ErrorKind::Unavailable, "check the file's permissions and the disk"),
            WeightsError::NotAModel { .. } => {
                (ErrorKind::Invalid, "give a .gguf file or a directory with config.json and safetensors files")
            }
            WeightsError::MissingShard { .. } => (ErrorKind::Corrupt, "fetch the missing file of the checkpoint again"),
            WeightsError::UnknownType { .. } => (ErrorKind::Invalid, "use a file in one of the supported types"),
            WeightsError::Malformed { .. }
            | WeightsError::Json { .. }
            | WeightsError::MissingTensor { .. }
            | WeightsError::WrongShape { .. }
            | WeightsError::NotFinite { .. } => (ErrorKind::Corrupt, "fetch the model again and compare its digest"),
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
