//! The outbox: what the indexes still owe the ledger, and the way back from a crash.
//!
//! Every change puts its work here in the same transaction that records it, and takes it out when both
//! indexes have done it. After a crash the rows that are left say exactly what to finish; each operation can
//! be repeated without harm.

use fontes_core::{ChunkId, DocumentId, LedgerPosition, Result};
use rusqlite::Connection;

use super::{
    SqliteLedger,
    error::LedgerError,
    read::all,
    row::{self, RevisionId},
    schema,
    write::next_snapshot,
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    /// Index a pending revision, then make it active.
    Activate,
    /// Take a pending revision back out of the indexes, then drop it.
    RollBack,
    /// Take a superseded or removed revision out of the indexes.
    Retire,
    /// Take a whole document out of the indexes, then erase every trace of it.
    Forget,
}

/// One row of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) position: LedgerPosition,
    pub(crate) kind: OperationKind,
    pub(crate) document: DocumentId,
    /// `None` for [`OperationKind::Forget`], which covers all revisions.
    pub(crate) revision: Option<RevisionId>,
}

fn operation(row: &rusqlite::Row<'_>) -> Result<Operation, LedgerError> {
    let kind = match row.get::<_, String>("operation")?.as_str() {
        "activate" => OperationKind::Activate,
        "roll_back" => OperationKind::RollBack,
        "retire" => OperationKind::Retire,
        "forget" => OperationKind::Forget,
        _ => return Err(row::damaged("an outbox operation is not known")),
    };
    Ok(Operation {
        position: LedgerPosition(row.get::<_, i64>("position")?.unsigned_abs()),
        kind,
        document: row::document_id(row, "document")?,
        revision: row.get::<_, Option<i64>>("revision")?.map(RevisionId),
    })
}

impl SqliteLedger {
    /// Everything that is owed, oldest first.
    pub(crate) fn operations(&self) -> Result<Vec<Operation>> {
        let sql = "SELECT position, operation, document, revision FROM outbox ORDER BY position";
        Ok(all(&self.reader(), sql, [], operation)?)
    }

    /// Makes sure that new positions lie above `committed`; says whether they did not. Then the lexical index
    /// was written together with another, later ledger, and its position proves nothing about this one.
    pub(crate) fn catch_up(&self, committed: LedgerPosition) -> Result<bool> {
        let sql = "SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'outbox'";
        let last = all(&self.reader(), sql, [], |row| Ok(row.get::<_, i64>("last")?))?.into_iter().next().unwrap_or(0);
        if committed.0 <= last.unsigned_abs() {
            return Ok(false);
        }
        let committed = i64::try_from(committed.0).map_err(|_| row::damaged("an outbox position is out of range"))?;
        self.write(|connection| {
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'", [])?;
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?1)", [committed])?;
            Ok(true)
        })
    }

    /// Turns activations into roll-backs with new, higher positions: a later commit of the lexical index must
    /// never be taken for the commit that would have carried them.
    pub(crate) fn give_up(&self, activations: &[RevisionId]) -> Result<()> {
        self.write(|connection| {
            for revision in activations {
                connection.execute(
                    "INSERT INTO outbox (operation, document, revision) SELECT 'roll_back', document, revision \
                     FROM outbox WHERE revision = ?1 AND operation = 'activate'",
                    [revision.0],
                )?;
                connection
                    .execute("DELETE FROM outbox WHERE revision = ?1 AND operation = 'activate'", [revision.0])?;
            }
            Ok(())
        })
    }

    /// Makes documents invisible at once and records that they are to be erased.
    pub(crate) fn begin_forget(&self, documents: &[DocumentId]) -> Result<()> {
        self.write(|connection| {
            for document in documents {
                connection.execute(
                    "INSERT INTO outbox (operation, document) SELECT 'forget', id FROM documents WHERE id = ?1",
                    [document.as_bytes()],
                )?;
                connection.execute(
                    "UPDATE revisions SET state = 'removed' WHERE document = ?1 AND state = 'active'",
                    [document.as_bytes()],
                )?;
            }
            next_snapshot(connection).map(drop)
        })
    }

    /// The chunks that an operation takes out of the indexes: those of its revision (or document) that no
    /// active revision shares.
    pub(crate) fn doomed_chunks(&self, operation: &Operation) -> Result<Vec<ChunkId>> {
        let sql = "SELECT DISTINCT c.id AS id FROM chunks AS c JOIN revisions AS r ON r.id = c.revision \
                   WHERE r.document = ?1 AND (?2 IS NULL OR r.id = ?2) AND c.id NOT IN \
                   (SELECT k.id FROM chunks AS k JOIN revisions AS a ON a.id = k.revision \
                    WHERE a.document = ?1 AND a.state = 'active')";
        let revision = operation.revision.map(|revision| revision.0);
        let id = |row: &rusqlite::Row<'_>| row::chunk_id(row, "id");
        Ok(all(&self.reader(), sql, (operation.document.as_bytes(), revision), id)?)
    }

    /// The active revision of a document whose chunks a rolled-back revision may have overwritten.
    pub(crate) fn overwritten(&self, operation: &Operation) -> Result<Option<RevisionId>> {
        let sql = "SELECT DISTINCT a.id AS id FROM revisions AS a JOIN chunks AS k ON k.revision = a.id \
                   WHERE a.document = ?1 AND a.state = 'active' \
                   AND k.id IN (SELECT id FROM chunks WHERE revision = ?2)";
        let revision = operation.revision.map(|revision| revision.0);
        let parameters = (operation.document.as_bytes(), revision);
        Ok(all(&self.reader(), sql, parameters, |row| Ok(RevisionId(row.get("id")?)))?.into_iter().next())
    }

    /// Records that both indexes have done what `operations` asked, and drops what is no longer needed: a
    /// rolled-back revision altogether, the chunks of a retired one, the text of a removed one, every row of
    /// a forgotten document.
    pub(crate) fn settle(&self, operations: &[Operation]) -> Result<()> {
        if operations.is_empty() {
            return Ok(());
        }
        self.write(|connection| operations.iter().try_for_each(|operation| settle_one(connection, operation)))
    }

    /// Empties the write-ahead log into the file and cuts it to nothing, so that erased text is in neither.
    pub(crate) fn truncate_log(&self) -> Result<()> {
        // A reader in the middle of a statement would keep the log; holding its lock says there is none.
        let _reader = self.reader();
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let busy: i64 = writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|source| LedgerError::Sqlite { write: true, source })?;
        let emptied = std::fs::metadata(schema::wal_of(&self.path)).map_or(true, |log| log.len() == 0);
        if busy == 0 && emptied { Ok(()) } else { Err(row::damaged("the write-ahead log cannot be emptied").into()) }
    }

    /// Says whether the ledger has any row of a document.
    pub(crate) fn holds(&self, document: DocumentId) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM documents WHERE id = ?1";
        Ok(!all(&self.reader(), sql, [document.as_bytes()], |_| Ok(()))?.is_empty())
    }

    /// A document and everything found inside it, over all depths, searchable or not; empty when unknown.
    pub(crate) fn family(&self, document: DocumentId) -> Result<Vec<DocumentId>> {
        let sql = "WITH RECURSIVE family (id) AS (SELECT id FROM documents WHERE id = ?1 UNION \
                   SELECT d.id FROM documents AS d JOIN family AS f ON d.parent = f.id) SELECT id FROM family";
        Ok(all(&self.reader(), sql, [document.as_bytes()], |row| row::document_id(row, "id"))?)
    }
}

fn settle_one(connection: &Connection, operation: &Operation) -> Result<(), LedgerError> {
    let revision = operation.revision.map(|revision| revision.0);
    match operation.kind {
        // Left to `activate`, which settles it together with the change of state.
        OperationKind::Activate => return Ok(()),
        OperationKind::RollBack => {
            connection.execute("DELETE FROM revisions WHERE id = ?1 AND state = 'pending'", [revision])?;
            // A document that never had another revision was never there.
            connection.execute(
                "DELETE FROM documents WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM revisions WHERE document = ?1)",
                [operation.document.as_bytes()],
            )?;
        }
        OperationKind::Retire => {
            connection.execute("DELETE FROM chunks WHERE revision = ?1", [revision])?;
            connection.execute(
                "DELETE FROM contents WHERE revision IN (SELECT id FROM revisions WHERE id = ?1 AND state = 'removed')",
                [revision],
            )?;
        }
        OperationKind::Forget => {
            connection.execute(
                "DELETE FROM quarantine WHERE EXISTS (SELECT 1 FROM documents AS d WHERE d.id = ?1 \
                 AND d.source = quarantine.source AND d.locator = quarantine.locator)",
                [operation.document.as_bytes()],
            )?;
            connection.execute("DELETE FROM documents WHERE id = ?1", [operation.document.as_bytes()])?;
        }
    }
    let position = i64::try_from(operation.position.0).unwrap_or(i64::MAX);
    connection.execute("DELETE FROM outbox WHERE position = ?1", [position])?;
    Ok(())
}
