//! What can be wrong with a file, and who must act on it.

use fontes_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// Why a file gave no document. Crosses the pipe from the worker, hence no borrowed or boxed causes.
///
/// Messages never hold document text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ExtractError {
    /// The file has no bytes, or a container without anything readable in it.
    #[error("file is empty")]
    Empty,
    /// No parser knows this kind of file.
    #[error("files of type {media_type} are not read")]
    Unsupported {
        /// What the file is, as far as it can be told.
        media_type: String,
    },
    /// A password or rights management keeps the content closed.
    #[error("{what} is encrypted")]
    Encrypted {
        /// What is closed.
        what: String,
    },
    /// The content is not what its kind requires.
    #[error("file is damaged: {what}")]
    Corrupted {
        /// What is wrong, without document text.
        what: String,
    },
    /// The file is larger than the limit.
    #[error("file has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// Parsing would pass a limit: a bomb, or an honest giant.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: String,
        /// The limit in force.
        limit: u64,
    },
    /// The content asks for something that is never done (a document type definition with entities).
    #[error("file holds {what}, which is not processed")]
    Unsafe {
        /// The dangerous thing.
        what: String,
    },
    /// Well-formed, but without any text: a scan without a text layer, a drawing.
    #[error("no readable text on {pages} pages")]
    NoText {
        /// Pages seen.
        pages: u32,
    },
    /// The parser did not come to an end in time; its process was killed.
    #[error("no result after {seconds} s")]
    #[serde(rename = "timeout")]
    TimedOut {
        /// The limit in force.
        seconds: u64,
    },
    /// The parser's process ended without a result.
    #[error("the parser crashed: {how}")]
    Crashed {
        /// Signal, exit status or place of the panic.
        how: String,
    },
    /// The parser wanted more memory than it may have.
    #[error("parsing needs more than {limit_bytes} bytes of memory")]
    OutOfMemory {
        /// The limit in force.
        limit_bytes: u64,
    },
    /// The caller asked to stop.
    #[error("extraction was cancelled")]
    Cancelled,
    /// No worker could be started or spoken to: says nothing about the file.
    #[error("no extraction worker: {what}")]
    #[serde(rename = "worker")]
    WorkerUnavailable {
        /// What failed.
        what: String,
    },
    /// A defect of the extractor itself.
    #[error("extractor is at fault: {what}")]
    Internal {
        /// The broken expectation.
        what: String,
    },
}

impl ExtractError {
    /// The stable code that reports and the ledger carry.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unsupported { .. } => "unsupported",
            Self::Encrypted { .. } => "encrypted",
            Self::Corrupted { .. } => "corrupted",
            Self::TooLarge { .. } => "too_large",
            Self::Limit { .. } => "limit",
            Self::Unsafe { .. } => "unsafe",
            Self::NoText { .. } => "no_text",
            Self::TimedOut { .. } => "timeout",
            Self::Crashed { .. } => "crashed",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::Cancelled => "cancelled",
            Self::WorkerUnavailable { .. } => "worker",
            Self::Internal { .. } => "internal",
        }
    }

    /// Says whether the same bytes may fare better later (the machine was at fault, not the file).
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Cancelled | Self::WorkerUnavailable { .. })
    }

    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut { .. } => ErrorKind::Timeout,
            Self::WorkerUnavailable { .. } | Self::Cancelled => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }

    /// What the owner of the file can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Empty => "remove the file, or check that it was copied completely",
            Self::Unsupported { .. } => "save it as PDF, DOCX, ODT, HTML or text and ingest that",
            Self::Encrypted { .. } => "save a copy without password or rights management and ingest that",
            Self::Corrupted { .. } => "open it in its own program and save it again, or restore it from a backup",
            Self::TooLarge { .. } | Self::Limit { .. } => "split the file, or raise the limit if you trust its source",
            Self::Unsafe { .. } => "save a copy without it if you trust its source",
            Self::NoText { .. } => {
                "if it shows text, see in `fontes doctor` whether tesseract and its languages are there, then ingest it \
                 again with --retry"
            }
            Self::TimedOut { .. } => "retry on a quieter machine, raise the time limit, or split the file",
            Self::Crashed { .. } => "save it again with another program; the file is set aside, the job goes on",
            Self::OutOfMemory { .. } => "split the file, or raise the memory limit of the workers",
            Self::Cancelled => "start the job again; finished files are kept",
            Self::WorkerUnavailable { .. } => "run `fontes doctor`",
            Self::Internal { .. } => "report this file's kind and the message",
        }
    }

    /// Shorthand for [`ExtractError::Corrupted`].
    pub(crate) fn corrupted(what: impl ToString) -> Self {
        Self::Corrupted { what: what.to_string() }
    }

    /// Shorthand for [`ExtractError::Limit`].
    pub(crate) fn limit(what: &str, limit: impl TryInto<u64>) -> Self {
        Self::Limit { what: what.to_owned(), limit: limit.try_into().unwrap_or(u64::MAX) }
    }
}

impl From<ExtractError> for Error {
    fn from(error: ExtractError) -> Self {
        Self::new(error.kind(), error.to_string()).advise(error.advice()).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_serde_writes() {
        let errors = [
            ExtractError::Empty,
            ExtractError::NoText { pages: 3 },
            ExtractError::TimedOut { seconds: 60 },
            ExtractError::WorkerUnavailable { what: "gone".into() },
            ExtractError::OutOfMemory { limit_bytes: 1 },
        ];
        for error in errors {
            let json = serde_json::to_value(&error).unwrap();
            assert_eq!(json["code"], error.code());
            assert_eq!(serde_json::from_value::<ExtractError>(json).unwrap(), error);
        }
    }

    #[test]
    fn the_seam_error_names_who_acts_and_what_to_do() {
        let error = Error::from(ExtractError::Encrypted { what: "PDF".into() });
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "PDF is encrypted");
        assert!(error.advice().unwrap().contains("without password"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
