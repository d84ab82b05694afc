//! Opening the database file: settings, schema version, integrity.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, config::DbConfig};

use super::error::LedgerError;

/// The schema version this code reads and writes; kept in SQLite's `user_version`.
pub(crate) const VERSION: i64 = 2;

/// Marks the file as a ledger of Fontes ("FNTS"); kept in SQLite's `application_id`.
const APPLICATION_ID: i64 = 0x464e_5453;

/// What makes version n + 1 out of version n; the first makes a ledger out of nothing.
const STEPS: [&str; 2] = [include_str!("schema_v1.sql"), include_str!("schema_v2.sql")];

/// Files up to this size are checked in full on every open (a fraction of a second). Larger ones only after
/// an unclean end, which leaves a write-ahead log behind; `check` looks at everything in any case.
const CHECK_ALWAYS_BYTES: u64 = 64 << 20;

/// How long a statement waits for another connection of this process.
const BUSY: Duration = Duration::from_secs(10);

/// Prepared statements kept per connection: all of this crate's, so that none is compiled twice.
const STATEMENTS: usize = 64;

/// Pages that searches find again without asking the system, in KiB. To read a part of a text its pages are walked from the first on.
const READ_CACHE_KIB: i64 = 64 << 10;

/// Opens a connection that writes.
///
/// `synchronous=FULL` because the ledger is the only truth: a commit must survive power loss.
/// `secure_delete` because erased text must not stay in free pages.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, LedgerError> {
    let unclean = std::fs::metadata(wal_of(path)).is_ok_and(|wal| wal.len() > 0);
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let mut connection = connect(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    if size > 0 && (unclean || size <= CHECK_ALWAYS_BYTES) {
        integrity(&connection, "quick_check")?;
    }
    prepare(&mut connection)?;
    Ok(connection)
}

/// Opens a connection that only reads, so that searches do not wait for a running ingest.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READ_CACHE_KIB)?;
    Ok(connection)
}

/// A connection whose statements are compiled once. Without the guarantee of stable plans SQLite compiles one again when its parameters were
/// cleared, as rusqlite does after each use, and its plan could depend on them; that takes longer than to find a row.
fn connect(path: &Path) -> Result<Connection, LedgerError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Runs SQLite's `quick_check` or `integrity_check`.
pub(crate) fn integrity(connection: &Connection, pragma: &str) -> Result<(), LedgerError> {
    let verdict: String = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(LedgerError::Damaged { what: format!("{pragma} finds errors") }) }
}

fn prepare(connection: &mut Connection) -> Result<(), LedgerError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (version, application, tables) {
        (VERSION, APPLICATION_ID, _) => Ok(()),
        (0, 0, 0) | (1.., APPLICATION_ID, _) if version < VERSION => {
            let done = usize::try_from(version).unwrap_or(0);
            let transaction = connection.transaction()?;
            STEPS[done..].iter().try_for_each(|step| transaction.execute_batch(step))?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.commit().map_err(LedgerError::from)
        }
        (found, APPLICATION_ID, _) if found > VERSION => Err(LedgerError::Newer { found, known: VERSION }),
        _ => Err(LedgerError::Damaged { what: "the file is a database, but not a ledger of Fontes".into() }),
    }
}

/// The write-ahead log beside a database file.
pub(crate) fn wal_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
