//! What can go wrong with the ledger, and who must act on it.

use std::path::PathBuf;

use fontes_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Why the ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds the data directory.
    #[error("data directory {} is in use by another process (two processes on one data directory)", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The ledger was written by a newer Fontes.
    #[error("ledger has schema version {found}, this program knows version {known}")]
    Newer {
        /// Version found.
        found: i64,
        /// Highest version known.
        known: i64,
    },
    /// Stored data is not what was written.
    #[error("ledger is damaged: {what}")]
    Damaged {
        /// What does not hold, without document text.
        what: String,
    },
    /// A file or folder of the data directory could not be used.
    #[error("data directory: {} cannot be used", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("ledger {} failed: {}", if *.write { "write" } else { "read" }, reason(.source))]
    Sqlite {
        /// Whether something was being written.
        write: bool,
        /// The cause.
        source: rusqlite::Error,
    },
}

impl From<rusqlite::Error> for LedgerError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite { write: false, source }
    }
}

/// The words of SQLite's result code; never its message, which may quote values.
fn reason(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly) => "the file system is read-only",
        Some(ErrorCode::CannotOpen) => "the file cannot be opened",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::PermissionDenied) => "permission denied",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another connection holds it",
        Some(ErrorCode::DatabaseCorrupt) => "the file is corrupt",
        Some(ErrorCode::NotADatabase) => "the file is not a ledger",
        Some(ErrorCode::OutOfMemory) => "out of memory",
        Some(_) => "SQLite refused the statement",
        None => "a stored value has an unexpected form",
    }
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory,
        ) => ErrorKind::Unavailable,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Conflict,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => ErrorKind::Corrupt,
        Some(_) => ErrorKind::Internal,
    }
}

impl From<LedgerError> for Error {
    fn from(error: LedgerError) -> Self {
        let (kind, advice) = match &error {
            LedgerError::Locked { .. } => (
                ErrorKind::Conflict,
                "wait for the other `fontes` to end or stop it; several people ask at the same time through `fontes serve`",
            ),
            LedgerError::Newer { .. } => (ErrorKind::Conflict, "use the newer fontes that wrote it"),
            LedgerError::Damaged { .. } => (ErrorKind::Corrupt, RESTORE),
            LedgerError::Io { .. } => (ErrorKind::Unavailable, STORAGE),
            LedgerError::Sqlite { source, .. } => match kind_of(source) {
                kind @ ErrorKind::Unavailable => (kind, STORAGE),
                kind @ ErrorKind::Conflict => (kind, "stop the other program that has the ledger open"),
                kind @ ErrorKind::Corrupt => (kind, RESTORE),
                kind => (kind, "report the command and this message"),
            },
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}

const STORAGE: &str = "check that the data directory exists, may be written, and that its disk has free space";
const RESTORE: &str = "restore the data directory from a backup, or ingest into a new one";
