//! The file as a format, the lock, and what only the right eyes see.

use fontes_core::{Classification, ErrorKind, Ledger as _};
use fontes_testkit::{Specimen, scope};
use rusqlite::{Connection, StatementStatus};

use super::{SqliteLedger, read::Chunks, schema};

/// Each adds to the one before.
const GOLDEN: [&str; 2] =
    [include_str!("../../../../tests/golden/ledger-v1.sql"), include_str!("../../../../tests/golden/ledger-v2.sql")];

fn schema_of(connection: &Connection) -> Vec<(String, Option<String>)> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY type, name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Writes the golden database into `directory` as a ledger file.
fn golden(directory: &std::path::Path) -> Connection {
    golden_of(GOLDEN.len(), directory)
}

/// The same as `version` wrote it.
fn golden_of(version: usize, directory: &std::path::Path) -> Connection {
    std::fs::create_dir_all(directory).unwrap();
    let connection = Connection::open(directory.join("ledger.sqlite")).unwrap();
    GOLDEN[..version].iter().for_each(|step| connection.execute_batch(step).unwrap());
    connection
}

#[test]
fn the_schema_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    let expected = schema_of(&golden(&folder.path().join("golden")));
    drop(SqliteLedger::open(&folder.path().join("new")).unwrap());
    let new = Connection::open(folder.path().join("new/ledger.sqlite")).unwrap();
    assert_eq!(schema_of(&new), expected, "a change of the schema needs a new version and a migration");
}

#[test]
fn a_ledger_of_any_version_reads() {
    for (version, patient) in [(1, &[][..]), (2, &["P-4711", "Eva Beispiel"])] {
        let folder = tempfile::tempdir().unwrap();
        drop(golden_of(version, folder.path()));
        let ledger = SqliteLedger::open(folder.path()).unwrap();
        let ids: Vec<_> = ledger.active_chunk_ids().unwrap().into_iter().collect();
        let records = ledger.chunks(&ids, &scope(&["staff"], Classification::Internal)).unwrap();
        assert_eq!(records[0].document.patient, patient);
    }
}

#[test]
fn a_ledger_reads_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    drop(golden(folder.path()));
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    assert_eq!(ledger.snapshot().unwrap().0, 7);
    let scope = scope(&["staff"], Classification::Internal);
    let ids: Vec<_> = ledger.active_chunk_ids().unwrap().into_iter().collect();
    let records = ledger.chunks(&ids, &scope).unwrap();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.chunk.text.as_str(), record.document.title.as_str()), ("Größe: zwei Meter.", "Maße"));
    assert_eq!(record.chunk.headings, ["Maße"]);
    let (summary, document) = ledger.document(record.document.id, &scope).unwrap();
    assert_eq!((summary.revision, document.pages.len(), document.blocks.len()), (2, 1, 2));
    assert_eq!(record.chunk.span.of(&document.text), Some("Größe: zwei Meter."));
    document.validate().unwrap();
    assert_eq!(ledger.quarantined().unwrap()[0].code, "encrypted");
    ledger.check_integrity().unwrap();
}

#[test]
fn a_statement_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    drop(golden(folder.path()));
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    let ids: Vec<_> = ledger.active_chunk_ids().unwrap().into_iter().collect();
    let other = Specimen::new("x", 0, "y").id();
    ledger.chunks(&[ids[0], other, ids[0]], &scope(&["staff"], Classification::Internal)).unwrap();
    let reader = ledger.reader();
    let statement = reader.prepare_cached(&Chunks::sql()).unwrap();
    assert_eq!((statement.get_status(StatementStatus::Run), statement.get_status(StatementStatus::RePrepare)), (3, 0));
}

#[test]
fn not_there_and_not_yours_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    drop(golden(folder.path()));
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    let staff = scope(&["staff"], Classification::Internal);
    let ids: Vec<_> = ledger.active_chunk_ids().unwrap().into_iter().collect();
    let id = ledger.chunks(&ids, &staff).unwrap()[0].document.id;
    let unknown = fontes_core::DocumentId::derive("x", b"y");
    for stranger in [scope(&["board"], Classification::Secret), scope(&["staff"], Classification::Public)] {
        assert!(ledger.chunks(&ids, &stranger).unwrap().is_empty());
        let not_yours = ledger.document(id, &stranger).unwrap_err();
        let not_there = ledger.document(unknown, &stranger).unwrap_err();
        assert_eq!(not_yours.kind(), ErrorKind::NotFound);
        assert_eq!(
            not_yours.to_string().replace(&id.to_string(), ""),
            not_there.to_string().replace(&unknown.to_string(), "")
        );
        assert_eq!(ledger.revisions(id, &stranger).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteLedger::open(folder.path()).unwrap();
    let error = SqliteLedger::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("two processes on one data directory"), "{error}");
    drop(first);
    SqliteLedger::open(folder.path()).unwrap();
}

#[test]
fn newer_foreign_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer");
    golden(&newer).pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    assert_eq!(SqliteLedger::open(&newer).unwrap_err().kind(), ErrorKind::Conflict);

    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    let connection = Connection::open(foreign.join("ledger.sqlite")).unwrap();
    connection.execute_batch("CREATE TABLE other (x)").unwrap();
    drop(connection);
    assert_eq!(SqliteLedger::open(&foreign).unwrap_err().kind(), ErrorKind::Corrupt);

    let damaged = folder.path().join("damaged");
    drop(golden(&damaged));
    let path = damaged.join("ledger.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = SqliteLedger::open(&damaged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.advice().unwrap().contains("backup"));
}

#[test]
fn a_full_disk_is_unavailable_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(golden(folder.path()));
    let ledger = SqliteLedger::open(folder.path()).unwrap();
    // SQLite gives the same error when the file may not grow as when the disk is full.
    let pages: i64 = ledger.reader().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    ledger.writer.lock().unwrap().pragma_update(None, "max_page_count", pages).unwrap();
    let entry = super::QuarantineEntry { message: "x".repeat(100_000), ..ledger.quarantined().unwrap()[0].clone() };
    let error = ledger.quarantine(&[entry], std::time::UNIX_EPOCH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("write failed: the disk is full"), "{error}");
    assert_eq!(ledger.quarantined().unwrap()[0].attempts, 1);
}

#[test]
fn a_directory_that_cannot_be_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let error = SqliteLedger::open(&folder.path().join("file/data")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.advice().unwrap().contains("free space"));
}
