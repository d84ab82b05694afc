//! What can go wrong in the model store, each variant naming its noun.

use std::{io, path::PathBuf};

use fontes_core::{Digest, Error, ErrorKind};

use super::Source;

/// One source that was tried, and why it did not give the file.
#[derive(Debug)]
pub struct Attempt {
    /// The source, or the first of several parts.
    pub source: Source,
    /// Why it failed.
    pub reason: StoreError,
}

/// An error of the model store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The manifest does not parse or contradicts itself.
    #[error("model manifest is not valid: {0}")]
    Manifest(String),
    /// Neither the manifest nor the store knows the name.
    #[error("model {name:?} is not known")]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// Known names that look like it.
        similar: Vec<String>,
    },
    /// The manifest knows the name, the store does not hold it.
    #[error("model {name:?} is not installed")]
    NotInstalled {
        /// The name asked for.
        name: String,
    },
    /// A name that cannot be a folder of the store.
    #[error("{name:?} cannot be a model name")]
    BadName {
        /// The name.
        name: String,
    },
    /// The name is taken by other weights.
    #[error("model {name:?} is already installed with other weights")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Another process is changing the same model.
    #[error("model {name:?} is being installed or removed by another process")]
    Busy {
        /// The model.
        name: String,
    },
    /// Every source of a file failed.
    #[error("file {file} of model {model:?} could not be fetched: {}", reasons(attempts))]
    SourcesFailed {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// The sources in the order tried.
        attempts: Vec<Attempt>,
    },
    /// Fetched bytes are not the pinned ones.
    #[error("{file} has digest {actual}, wanted {expected}")]
    WrongDigest {
        /// The file.
        file: String,
        /// The pinned digest.
        expected: Digest,
        /// The digest found.
        actual: Digest,
    },
    /// Fetched bytes are more or fewer than pinned.
    #[error("{file} has {actual} bytes, wanted {expected}")]
    WrongSize {
        /// The file.
        file: String,
        /// The pinned size.
        expected: u64,
        /// The size found (at least).
        actual: u64,
    },
    /// An installed file is not what was installed.
    #[error("file {file} of model {model:?} has changed since it was installed")]
    Altered {
        /// The model.
        model: String,
        /// The file.
        file: String,
    },
    /// The installed bytes are not those the manifest pins.
    #[error("installed model {name:?} is not the one the manifest names")]
    NotThePinned {
        /// The model.
        name: String,
    },
    /// The path holds nothing that is known as a model.
    #[error("{} is not a model: {reason}", path.display())]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What was missing.
        reason: String,
    },
    /// The server, or the package client, said no.
    #[error("{0}")]
    Refused(String),
    /// The archive does not hold what the manifest says.
    #[error("package does not hold {entry}: {reason}")]
    Package {
        /// Path inside the package.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// Someone asked to stop. What was fetched is kept and continued next time.
    #[error("installation of model {name:?} was interrupted")]
    Interrupted {
        /// The model.
        name: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StoreError {
    /// Wraps an I/O error with what was tried on which path.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Says whether trying the next source is pointless: the disk is full or someone asked to stop.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Interrupted { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem)
            }
            _ => false,
        }
    }
}

/// Lists attempts in one line.
fn reasons(attempts: &[Attempt]) -> String {
    let one = |attempt: &Attempt| {
        let cause = std::error::Error::source(&attempt.reason).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{}: {}{cause}", attempt.source, attempt.reason)
    };
    attempts.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        use StoreError as S;
        let kind = match &error {
            S::UnknownModel { .. } => ErrorKind::NotFound,
            S::NotInstalled { .. } | S::SourcesFailed { .. } | S::Refused(_) | S::Interrupted { .. } => {
                ErrorKind::Unavailable
            }
            S::Manifest(_) | S::BadName { .. } | S::NotAModel { .. } => ErrorKind::Invalid,
            S::NameTaken { .. } | S::Busy { .. } => ErrorKind::Conflict,
            S::WrongDigest { .. }
            | S::WrongSize { .. }
            | S::Altered { .. }
            | S::NotThePinned { .. }
            | S::Package { .. } => ErrorKind::Corrupt,
            S::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorKind::NotFound,
            S::Io { .. } => ErrorKind::Unavailable,
        };
        let advice = match &error {
            S::UnknownModel { similar, .. } if !similar.is_empty() => {
                Some(format!("did you mean {}", similar.join(" or ")))
            }
            S::UnknownModel { .. } => Some("run `fontes models list` to see the names".to_owned()),
            S::NotInstalled { name } => Some(format!("run `fontes models install {name}`")),
            S::BadName { .. } => Some("use letters, digits, dots, dashes and underscores".to_owned()),
            S::NameTaken { name } => Some(format!("choose another --name, or run `fontes models remove {name}` first")),
            S::Busy { .. } => Some("wait until it has ended".to_owned()),
            S::SourcesFailed { .. } => {
                Some("check the connection, or bring the files and run `fontes models add PATH`".to_owned())
            }
            S::Interrupted { name } => Some(format!("run `fontes models install {name}` again to go on")),
            S::Altered { model, .. } | S::NotThePinned { name: model } => {
                Some(format!("run `fontes models remove {model}` and install it again"))
            }
            S::NotAModel { .. } => {
                Some("give a GGUF file, or a folder with config.json, tokenizer.json and safetensors".to_owned())
            }
            S::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, or name another [models] dir".to_owned())
            }
            S::Io { .. } => Some("check that the path exists and its permissions".to_owned()),
            S::Manifest(_) | S::WrongDigest { .. } | S::WrongSize { .. } | S::Package { .. } | S::Refused(_) => None,
        };
        let core = Self::new(kind, error.to_string());
        let core = match advice {
            Some(advice) => core.advise(advice),
            None => core,
        };
        core.because(error)
    }
}
