//! Bringing revisions in: first pending with a place in the outbox, later active.

use std::time::SystemTime;

use fontes_core::{
    Chunk, Digest, Document, DocumentId, DocumentSummary, IndexSnapshot, Labels, LedgerPosition, Result,
    seam::require_labels,
};
use rusqlite::{Connection, named_params};

use super::{
    SqliteLedger,
    error::LedgerError,
    read::all,
    row::{self, RevisionId, Structure, integer, to_json},
};
use crate::profile::Prefix;

/// A reading of a document as the pipeline hands it over.
pub(crate) struct NewRevision<'a> {
    pub(crate) document: DocumentId,
    pub(crate) locator: &'a [u8],
    pub(crate) path: &'a str,
    pub(crate) parent: Option<DocumentId>,
    pub(crate) sha256: Digest,
    pub(crate) bytes: u64,
    /// Never empty: the title, or the file name when there is none.
    pub(crate) title: &'a str,
    pub(crate) content: &'a Document,
    pub(crate) patient: &'a [String],
    pub(crate) patient_around: &'a [String],
    pub(crate) labels: &'a Labels,
    pub(crate) chunker: &'a str,
    pub(crate) prefix: Prefix,
    pub(crate) chunks: &'a [Chunk],
}

/// A revision that is pending.
pub(crate) struct Staged {
    pub(crate) revision: RevisionId,
    pub(crate) position: LedgerPosition,
    pub(crate) summary: DocumentSummary,
    /// Whether the document has an active revision that this one will supersede.
    pub(crate) replaces: bool,
}

impl SqliteLedger {
    /// Writes revisions as pending, in one transaction, each with a place in the outbox. A quarantine entry
    /// of the same file ends here.
    pub(crate) fn stage(&self, revisions: &[NewRevision<'_>], at: SystemTime) -> Result<Vec<Staged>> {
        for revision in revisions {
            require_labels(revision.labels)?;
        }
        self.write(|connection| revisions.iter().map(|revision| stage_one(connection, revision, at)).collect())
    }

    /// Makes pending revisions active, what they replace superseded, and counts the snapshot up. What the
    /// indexes still hold of the replaced revisions goes to the outbox.
    pub(crate) fn activate(&self, revisions: &[RevisionId]) -> Result<IndexSnapshot> {
        self.write(|connection| {
            for revision in revisions {
                let mut retire = connection.prepare_cached(
                    "INSERT INTO outbox (operation, document, revision) SELECT 'retire', old.document, old.id \
                     FROM revisions AS old JOIN revisions AS new ON new.document = old.document \
                     WHERE new.id = ?1 AND old.state = 'active'",
                )?;
                retire.execute([revision.0])?;
                let mut supersede = connection.prepare_cached(
                    "UPDATE revisions SET state = 'superseded' WHERE state = 'active' \
                     AND document = (SELECT document FROM revisions WHERE id = ?1)",
                )?;
                supersede.execute([revision.0])?;
                let mut activate = connection
                    .prepare_cached("UPDATE revisions SET state = 'active' WHERE id = ?1 AND state = 'pending'")?;
                if activate.execute([revision.0])? != 1 {
                    return Err(row::damaged("a revision to activate is not pending"));
                }
                let mut settle =
                    connection.prepare_cached("DELETE FROM outbox WHERE revision = ?1 AND operation = 'activate'")?;
                settle.execute([revision.0])?;
            }
            next_snapshot(connection)
        })
    }

    /// Makes active documents invisible at once; what the indexes hold of them goes to the outbox.
    pub(crate) fn remove(&self, documents: &[DocumentId]) -> Result<IndexSnapshot> {
        self.write(|connection| {
            for document in documents {
                let mut retire = connection.prepare_cached(
                    "INSERT INTO outbox (operation, document, revision) \
                     SELECT 'retire', document, id FROM revisions WHERE document = ?1 AND state = 'active'",
                )?;
                retire.execute([document.as_bytes()])?;
                let mut remove = connection.prepare_cached(
                    "UPDATE revisions SET state = 'removed' WHERE document = ?1 AND state = 'active'",
                )?;
                remove.execute([document.as_bytes()])?;
            }
            next_snapshot(connection)
        })
    }
}

impl SqliteLedger {
    /// Counts the snapshot up for a change that is not the ledger's own: answers name it, and hits come otherwise from now on.
    pub(crate) fn note_change(&self) -> Result<IndexSnapshot> {
        self.write(next_snapshot)
    }
}

/// Counts the snapshot up: something searchable changes with this transaction.
pub(crate) fn next_snapshot(connection: &Connection) -> Result<IndexSnapshot, LedgerError> {
    let sql = "UPDATE snapshot SET number = number + 1 RETURNING number";
    let number: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(IndexSnapshot(number.unsigned_abs()))
}

fn stage_one(connection: &Connection, new: &NewRevision<'_>, at: SystemTime) -> Result<Staged, LedgerError> {
    insert_document(connection, new)?;
    let (revision, number) = insert_revision(connection, new, at)?;
    insert_content(connection, revision, new)?;
    insert_chunks(connection, revision, new.chunks)?;
    connection
        .prepare_cached("INSERT INTO outbox (operation, document, revision) VALUES ('activate', ?1, ?2)")?
        .execute((new.document.as_bytes(), revision.0))?;
    let position = LedgerPosition(connection.last_insert_rowid().unsigned_abs());
    connection
        .prepare_cached("DELETE FROM quarantine WHERE source = ?1 AND locator = ?2")?
        .execute((&new.labels.source, new.locator))?;
    let sql = "SELECT 1 FROM revisions WHERE document = ?1 AND state = 'active'";
    let replaces = !all(connection, sql, [new.document.as_bytes()], |_| Ok(()))?.is_empty();
    let summary = DocumentSummary {
        id: new.document,
        sha256: new.sha256,
        title: new.title.to_owned(),
        path: new.path.to_owned(),
        media_type: new.content.media_type.clone(),
        language: new.content.language,
        author: new.content.metadata.author.clone(),
        created: new.content.metadata.created.clone(),
        patient: new.patient.to_vec(),
        revision: number,
        pages: u32::try_from(new.content.pages.len()).unwrap_or(u32::MAX),
        labels: new.labels.clone(),
    };
    Ok(Staged { revision, position, summary, replaces })
}

fn insert_document(connection: &Connection, new: &NewRevision<'_>) -> Result<(), LedgerError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO documents (id, source, locator, path, parent) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO UPDATE SET path = excluded.path, parent = excluded.parent",
    )?;
    let parent = new.parent.as_ref().map(DocumentId::as_bytes);
    insert.execute((new.document.as_bytes(), &new.labels.source, new.locator, new.path, parent))?;
    Ok(())
}

fn insert_revision(
    connection: &Connection,
    new: &NewRevision<'_>,
    at: SystemTime,
) -> Result<(RevisionId, u32), LedgerError> {
    let mut next =
        connection.prepare_cached("SELECT coalesce(max(number), 0) + 1 FROM revisions WHERE document = ?1")?;
    let number: u32 = next.query_row([new.document.as_bytes()], |row| row.get(0))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO revisions (document, number, state, recorded_ms, sha256, bytes, media_type, title, author, \
         created, patient, patient_around, language, pages, chunks, access_groups, classification, chunker, context) \
         VALUES (:document, :number, 'pending', :recorded_ms, :sha256, :bytes, :media_type, :title, :author, \
         :created, :patient, :patient_around, :language, :pages, :chunks, :access_groups, :classification, :chunker, :context)",
    )?;
    insert.execute(named_params! {
        ":document": new.document.as_bytes(),
        ":number": number,
        ":recorded_ms": row::milliseconds(at),
        ":sha256": new.sha256.as_bytes(),
        ":bytes": i64::try_from(new.bytes).unwrap_or(i64::MAX),
        ":media_type": new.content.media_type,
        ":title": new.title,
        ":author": new.content.metadata.author,
        ":created": new.content.metadata.created,
        ":patient": to_json(&new.patient),
        ":patient_around": to_json(&new.patient_around),
        ":language": new.content.language.code(),
        ":pages": integer(new.content.pages.len()),
        ":chunks": integer(new.chunks.len()),
        ":access_groups": to_json(&new.labels.groups),
        ":classification": new.labels.classification.rank(),
        ":chunker": new.chunker,
        ":context": new.prefix.to_string(),
    })?;
    Ok((RevisionId(connection.last_insert_rowid()), number))
}

fn insert_content(connection: &Connection, revision: RevisionId, new: &NewRevision<'_>) -> Result<(), LedgerError> {
    // Borrowing would need a second type for the same JSON; a copy of the block list is small beside the text.
    let structure = Structure { pages: new.content.pages.clone(), blocks: new.content.blocks.clone() };
    connection.prepare_cached("INSERT INTO contents (revision, text, structure) VALUES (?1, ?2, ?3)")?.execute((
        revision.0,
        new.content.text.as_bytes(),
        to_json(&structure).as_bytes(),
    ))?;
    Ok(())
}

fn insert_chunks(connection: &Connection, revision: RevisionId, chunks: &[Chunk]) -> Result<(), LedgerError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO chunks (revision, ordinal, id, span_start, span_end, first_page, last_page, headings, language) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for chunk in chunks {
        insert.execute((
            revision.0,
            chunk.ordinal,
            chunk.id.as_bytes(),
            integer(chunk.span.start),
            integer(chunk.span.end),
            chunk.pages.first,
            chunk.pages.last,
            to_json(&chunk.headings),
            chunk.language.code(),
        ))?;
    }
    Ok(())
}
