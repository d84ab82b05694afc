//! What can go wrong with an index, sorted by who must act.

use std::{io, path::PathBuf};

use fontes_core::{Error, ErrorKind, ModelIdentity};
use qdrant_edge::OperationError;
use tantivy::{TantivyError, directory::error::LockError};

use crate::server::ServerError;

/// An error of this crate; converted to [`fontes_core::Error`] where it leaves.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A vector of another length than the index holds.
    #[error("vector has {got} dimensions, the index {want}")]
    Dimensions {
        /// Length given.
        got: usize,
        /// Length of the index.
        want: usize,
    },
    /// A vector with a NaN, an infinity, or another length than one.
    #[error("vector is not of unit length")]
    NotUnit,
    /// A chunk handed in with the summary of another document.
    #[error("chunk {chunk} is not of document {document}")]
    Mismatch {
        /// The chunk.
        chunk: fontes_core::ChunkId,
        /// The document it came with.
        document: fontes_core::DocumentId,
    },
    /// Another process, or another handle of this one, has the directory open.
    #[error("index directory {path:?} is open in another process")]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The index was built with another embedder.
    #[error(
        "index {path:?} was built with embedder {} ({}), not with {} ({})",
        built.name, built.sha256, given.name, given.sha256
    )]
    OtherEmbedder {
        /// The directory.
        path: PathBuf,
        /// The embedder that built it.
        built: Box<ModelIdentity>,
        /// The embedder it was to be opened with.
        given: Box<ModelIdentity>,
    },
    /// The index was built with another vector length, by an embedder that calls itself the same.
    #[error("index {path:?} holds vectors of {built} dimensions, not {given}")]
    OtherDimensions {
        /// The directory.
        path: PathBuf,
        /// Its vector length.
        built: usize,
        /// The vector length it was to be opened with.
        given: usize,
    },
    /// A set of vectors beside the active one.
    #[error("vectors of {name}: {source}")]
    OfSet {
        /// The set.
        name: String,
        /// What is wrong with it.
        source: Box<IndexError>,
    },
    /// The index was written in another format than this program writes.
    #[error("index {path:?} has {what} {found}, this program knows {known}")]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// Which number differs.
        what: &'static str,
        /// The number found.
        found: u32,
        /// The number known.
        known: u32,
    },
    /// The index keeps its vectors elsewhere than the configuration says.
    #[error("index {path:?} keeps its vectors in {built}, and is to be opened with {given}")]
    OtherHome {
        /// The directory.
        path: PathBuf,
        /// Where they are.
        built: String,
        /// Where the configuration says they are.
        given: &'static str,
    },
    /// The vectors' home on a server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Something in the directory is not what was written there.
    #[error("index directory {path:?} is damaged: {what}")]
    Damaged {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A recipe that does not parse, or names values out of range.
    #[error("index recipe is malformed: {0}")]
    Recipe(String),
    /// The operating system refused.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Too little room to go on safely.
    #[error("{path:?} has {free} bytes free, too few to write an index")]
    Full {
        /// The directory.
        path: PathBuf,
        /// Bytes free.
        free: u64,
    },
    /// Qdrant refused.
    #[error("vector index cannot {action}")]
    Qdrant {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: Box<OperationError>,
    },
    /// Qdrant panicked: its own way to say that a disk write failed, or that a file is not as it left it.
    #[error("vector index broke down while it tried to {action}")]
    Panicked {
        /// What was tried.
        action: &'static str,
    },
    /// Tantivy refused.
    #[error("lexical index cannot {action}")]
    Tantivy {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: Box<TantivyError>,
    },
}

/// Advice for everything that a full or read-only disk causes.
const DISK_ADVICE: &str = "check that the data directory is writable and has free space, then start again";

/// Advice for everything that only a rebuild mends.
const REBUILD_ADVICE: &str = "keep a copy, move the index directory away and run `fontes check --repair` to rebuild it";

impl From<IndexError> for Error {
    fn from(error: IndexError) -> Self {
        let kind = error.kind();
        let advice = error.advice();
        let message = error.to_string();
        let converted = Self::new(kind, message).because(error);
        match advice {
            Some(advice) => converted.advise(advice),
            None => converted,
        }
    }
}

impl IndexError {
    /// Wraps an error of the operating system.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Wraps an error of Qdrant.
    pub(crate) fn qdrant(action: &'static str) -> impl FnOnce(OperationError) -> Self {
        move |source| Self::Qdrant { action, source: Box::new(source) }
    }

    /// Wraps an error of Tantivy.
    pub(crate) fn tantivy(action: &'static str) -> impl FnOnce(TantivyError) -> Self {
        move |source| Self::Tantivy { action, source: Box::new(source) }
    }

    /// Who must act.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Dimensions { .. } | Self::NotUnit | Self::Recipe(_) => ErrorKind::Invalid,
            Self::Mismatch { .. } => ErrorKind::Invalid,
            Self::Busy { .. }
            | Self::OtherEmbedder { .. }
            | Self::OtherDimensions { .. }
            | Self::OtherFormat { .. }
            | Self::OtherHome { .. } => ErrorKind::Conflict,
            Self::OfSet { source, .. } => source.kind(),
            Self::Server(error) => error.kind(),
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Io { .. } | Self::Full { .. } | Self::Panicked { .. } => ErrorKind::Unavailable,
            Self::Qdrant { source, .. } => qdrant_kind(source),
            Self::Tantivy { source, .. } => tantivy_kind(source),
        }
    }

    /// What to do.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Busy { .. } => Some("two processes on one data directory: stop the other, or give this one its own"),
            Self::OtherEmbedder { .. } | Self::OtherDimensions { .. } => Some(
                "install the embedder that built it again, or run `fontes check --repair`, which computes all vectors anew",
            ),
            Self::OfSet { .. } if self.kind() == ErrorKind::Corrupt => Some(
                "searches do not need them: `fontes check --repair` empties the set, `fontes embedders drop` takes it away",
            ),
            Self::OfSet { source, .. } => source.advice(),
            Self::OtherFormat { found, known, .. } if found > known => {
                Some("a newer Fontes made it: use that version, or another data directory")
            }
            Self::OtherFormat { .. } => Some("an older Fontes made it: run `fontes check --repair` to rebuild it"),
            Self::OtherHome { .. } => Some(
                "set qdrant.url as it was, or run `fontes check --repair` to compute the vectors anew where it says now",
            ),
            Self::Server(error) => Some(error.advice()),
            Self::Recipe(_) => Some("compare it with indexes/default/index.toml"),
            _ => match self.kind() {
                ErrorKind::Corrupt => Some(REBUILD_ADVICE),
                ErrorKind::Unavailable => Some(DISK_ADVICE),
                _ => None,
            },
        }
    }
}

fn qdrant_kind(error: &OperationError) -> ErrorKind {
    match error {
        OperationError::OutOfMemory { .. } | OperationError::Cancelled { .. } => ErrorKind::Unavailable,
        OperationError::Timeout { .. } => ErrorKind::Timeout,
        OperationError::InconsistentStorage { .. } => ErrorKind::Corrupt,
        // Qdrant passes input and output errors on as text.
        OperationError::ServiceError { description, .. } if mentions_disk(description) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

fn tantivy_kind(error: &TantivyError) -> ErrorKind {
    match error {
        TantivyError::LockFailure(LockError::LockBusy, _) => ErrorKind::Conflict,
        TantivyError::IncompatibleIndex(_) => ErrorKind::Conflict,
        TantivyError::DataCorruption(_) | TantivyError::DeserializeError(_) => ErrorKind::Corrupt,
        TantivyError::OpenReadError(tantivy::directory::error::OpenReadError::FileDoesNotExist(_)) => {
            ErrorKind::Corrupt
        }
        TantivyError::IoError(_)
        | TantivyError::OpenDirectoryError(_)
        | TantivyError::OpenReadError(_)
        | TantivyError::OpenWriteError(_)
        | TantivyError::LockFailure(..)
        // The indexing thread dies of a failed write, and that is all it says.
        | TantivyError::ErrorInThread(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

/// Says whether a message is about the disk: the texts of ENOSPC, EROFS, EACCES, EDQUOT and EIO.
fn mentions_disk(description: &str) -> bool {
    ["No space left", "Read-only file system", "Permission denied", "quota exceeded", "Input/output error"]
        .iter()
        .any(|text| description.contains(text))
}

#[cfg(test)]
mod tests {
    use fontes_core::Digest;

    use super::*;

    #[test]
    fn kinds_say_who_must_act() {
        let io = |kind| IndexError::io("write", "/data")(io::Error::from(kind));
        let qdrant = |text: &str| IndexError::qdrant("flush")(OperationError::service_error_light(text));
        let cases = [
            (Error::from(IndexError::NotUnit), ErrorKind::Invalid),
            (io(io::ErrorKind::StorageFull).into(), ErrorKind::Unavailable),
            (io(io::ErrorKind::ReadOnlyFilesystem).into(), ErrorKind::Unavailable),
            (qdrant("flush: No space left on device (os error 28)").into(), ErrorKind::Unavailable),
            (qdrant("something else").into(), ErrorKind::Internal),
            (IndexError::Busy { path: "/data".into() }.into(), ErrorKind::Conflict),
            (IndexError::Damaged { path: "/data".into(), what: "x".into() }.into(), ErrorKind::Corrupt),
        ];
        for (error, kind) in cases {
            assert_eq!(error.kind(), kind, "{error}");
            let needs_advice = !matches!(kind, ErrorKind::Invalid | ErrorKind::Internal);
            assert_eq!(error.advice().is_some(), needs_advice, "{error}");
        }
    }

    #[test]
    fn both_embedders_are_named() {
        let identity = |name: &str| Box::new(ModelIdentity { name: name.into(), sha256: Digest::of(name.as_bytes()) });
        let error = IndexError::OtherEmbedder { path: "/i".into(), built: identity("e5"), given: identity("minilm") };
        let message = Error::from(error).to_string();
        assert!(message.contains("e5") && message.contains("minilm"), "{message}");
        assert!(message.contains(&Digest::of(b"e5").to_string()), "{message}");
    }
}
