//! The ledger: the only truth about what is stored and searchable, in one SQLite file.
//!
//! Three nouns. A **document** is a source item; a **revision** is one reading of it, with text, structure
//! and chunks; the **outbox** holds what the indexes still owe. A revision is `pending` while the indexes
//! learn of it, then `active` (searchable), later `superseded` or `removed`. The write side below is used by
//! the pipeline in one fixed order; the read side is core's [`fontes_core::Ledger`].
//!
//! **Why two connections.** SQLite in WAL mode lets one writer and many readers work at once; searches must
//! not wait for a running ingest.

mod error;
mod outbox;
mod quarantine;
mod read;
mod relocate;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fontes_core::Result;
use rusqlite::Connection;

pub use error::LedgerError;
pub(crate) use outbox::{Operation, OperationKind};
pub use quarantine::QuarantineEntry;
pub use read::{KnownDocument, LedgerCounts, RevisionInfo};
pub(crate) use row::RevisionId;
pub(crate) use write::NewRevision;

/// The ledger of one data directory. Holds the directory's lock as long as it lives.
#[derive(Debug)]
pub struct SqliteLedger {
    path: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// One operation over ledger and indexes at a time, whoever holds a reference to the ledger.
    turn: Mutex<()>,
    /// Locked until closed, also by a kill: the lock belongs to the open file, not to its name.
    _lock: File,
}

impl SqliteLedger {
    /// Opens the ledger of `directory`, making both when they do not exist.
    ///
    /// One process at a time: whoever opens first holds the directory until the value is dropped.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Conflict`] when another process holds the directory or a newer version
    /// wrote the ledger, `Corrupt` when the file is not what was written, `Unavailable` for a directory
    /// that cannot be written.
    pub fn open(directory: &Path) -> Result<Self> {
        Ok(Self::open_locked(directory)?)
    }

    fn open_locked(directory: &Path) -> Result<Self, LedgerError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| LedgerError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(unusable(directory))?;
        let lock_path = directory.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(unusable(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LedgerError::Locked { directory: directory.to_owned() },
            TryLockError::Error(source) => LedgerError::Io { path: lock_path, source },
        })?;
        let path = directory.join("ledger.sqlite");
        let writer = schema::open_writer(&path)?;
        let reader = schema::open_reader(&path)?;
        Ok(Self { path, writer: Mutex::new(writer), reader: Mutex::new(reader), turn: Mutex::new(()), _lock: lock })
    }

    /// The database file; its size is part of the disk use that `status` reports.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the turn to change ledger and indexes together.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction that waits for the disk; all or nothing.
    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> Result<T> {
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut connection).map_err(|error| match error {
            LedgerError::Sqlite { source, .. } => LedgerError::Sqlite { write: true, source }.into(),
            other => other.into(),
        })
    }
}
