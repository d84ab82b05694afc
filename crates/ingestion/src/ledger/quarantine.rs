//! Files that gave no document: what is wrong with each, and how often it was tried.

use std::time::SystemTime;

use fontes_core::{Digest, ErrorKind, Result};
use rusqlite::{Row, named_params};

use super::{
    SqliteLedger,
    error::LedgerError,
    read::all,
    row::{self},
};

/// A file set aside. Tried again when its content changes, when the fault may have been the machine's, or
/// when asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineEntry {
    /// Name of the source.
    pub source: String,
    /// Bytes of the absolute path, `!/` before a path inside another file.
    pub locator: Vec<u8>,
    /// The path for display.
    pub path: String,
    /// Digest of the bytes that failed; `None` when they could not be read.
    pub sha256: Option<Digest>,
    /// Who must act.
    pub kind: ErrorKind,
    /// Stable code of the fault.
    pub code: String,
    /// What is wrong, without document text.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// Whether the same bytes may fare better next time.
    pub transient: bool,
    /// How often it was tried.
    pub attempts: u32,
}

const COLUMNS: &str = "source, locator, path, sha256, kind, code, message, advice, transient, attempts";

fn entry(row: &Row<'_>) -> Result<QuarantineEntry, LedgerError> {
    Ok(QuarantineEntry {
        source: row.get("source")?,
        locator: row.get("locator")?,
        path: row.get("path")?,
        sha256: row.get::<_, Option<[u8; 32]>>("sha256")?.map(Digest::from_bytes),
        kind: row::error_kind(&row.get::<_, String>("kind")?)?,
        code: row.get("code")?,
        message: row.get("message")?,
        advice: row.get("advice")?,
        transient: row.get("transient")?,
        attempts: row.get("attempts")?,
    })
}

impl SqliteLedger {
    /// Sets files aside; a file that is there already counts one more attempt.
    pub(crate) fn quarantine(&self, entries: &[QuarantineEntry], at: SystemTime) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(|connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO quarantine (source, locator, path, sha256, kind, code, message, advice, transient, \
                 attempts, recorded_ms) VALUES (:source, :locator, :path, :sha256, :kind, :code, :message, :advice, \
                 :transient, 1, :recorded_ms) ON CONFLICT (source, locator) DO UPDATE SET path = excluded.path, \
                 sha256 = excluded.sha256, kind = excluded.kind, code = excluded.code, message = excluded.message, \
                 advice = excluded.advice, transient = excluded.transient, attempts = attempts + 1, \
                 recorded_ms = excluded.recorded_ms",
            )?;
            for entry in entries {
                insert.execute(named_params! {
                    ":source": entry.source,
                    ":locator": entry.locator,
                    ":path": entry.path,
                    ":sha256": entry.sha256.as_ref().map(Digest::as_bytes),
                    ":kind": entry.kind.name(),
                    ":code": entry.code,
                    ":message": entry.message,
                    ":advice": entry.advice,
                    ":transient": entry.transient,
                    ":recorded_ms": row::milliseconds(at),
                })?;
            }
            Ok(())
        })
    }

    /// Every file set aside, by source and path.
    pub fn quarantined(&self) -> Result<Vec<QuarantineEntry>> {
        let sql = format!("SELECT {COLUMNS} FROM quarantine ORDER BY source, locator");
        Ok(all(&self.reader(), &sql, [], entry)?)
    }

    /// The entry of one file.
    pub(crate) fn quarantine_entry(&self, source: &str, locator: &[u8]) -> Result<Option<QuarantineEntry>> {
        let sql = format!("SELECT {COLUMNS} FROM quarantine WHERE source = ?1 AND locator = ?2");
        Ok(all(&self.reader(), &sql, (source, locator), entry)?.pop())
    }

    /// The entries of files inside another file, over all depths.
    pub(crate) fn quarantined_inside(&self, source: &str, locator: &[u8]) -> Result<Vec<QuarantineEntry>> {
        let (mut first, mut last) = (locator.to_vec(), locator.to_vec());
        first.extend(b"!/");
        // The byte after `/` ends the range of locators that begin with `locator!/`.
        last.extend(b"!0");
        let sql = format!(
            "SELECT {COLUMNS} FROM quarantine WHERE source = ?1 AND locator >= ?2 AND locator < ?3 ORDER BY locator"
        );
        Ok(all(&self.reader(), &sql, (source, first, last), entry)?)
    }

    /// Ends the entries of files that are gone or fared better.
    pub(crate) fn release(&self, source: &str, locators: &[Vec<u8>]) -> Result<()> {
        if locators.is_empty() {
            return Ok(());
        }
        self.write(|connection| {
            let mut delete = connection.prepare_cached("DELETE FROM quarantine WHERE source = ?1 AND locator = ?2")?;
            for locator in locators {
                delete.execute((source, locator))?;
            }
            Ok(())
        })
    }
}
