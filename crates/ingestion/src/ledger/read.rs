//! The read side: what is searchable, and what the pipeline must know to decide what to do.

use std::time::SystemTime;

use fontes_core::{
    AccessScope, ChunkId, ChunkRecord, Digest, Document, DocumentId, DocumentSummary, IndexSnapshot, Labels, Language,
    Ledger, Result, Span, seam::document_not_found,
};
use rusqlite::{Connection, OptionalExtension, Row, blob::Blob, named_params};

use super::{
    SqliteLedger,
    error::LedgerError,
    row::{self, CHUNK_COLUMNS, RevisionId, SUMMARY_COLUMNS},
    schema,
};

/// An active document as the pipeline compares it with what it finds.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownDocument {
    /// Its identity.
    pub id: DocumentId,
    /// Bytes of its locator.
    pub locator: Vec<u8>,
    /// Its path for display.
    pub path: String,
    /// Its title, or the file name when it has none.
    pub title: String,
    /// Digest of the source bytes.
    pub sha256: Digest,
    /// Media type.
    pub media_type: String,
    /// Main language.
    pub language: Language,
    /// Number of pages.
    pub pages: usize,
    /// Number of chunks.
    pub chunks: usize,
    /// Who may see it.
    pub labels: Labels,
    /// Version of the chunker that cut it.
    pub chunker: String,
    /// What was put before each chunk for embedding.
    pub context: String,
    /// Whether it was read for whom it is about.
    pub patient_read: bool,
    /// Names and numbers of the patient of the document around it, when it was read.
    pub patient_around: Vec<String>,
}

/// One revision in the history of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionInfo {
    /// Number, from 1.
    pub number: usize,
    /// `pending`, `active`, `superseded` or `removed`.
    pub state: String,
    /// Milliseconds after the Unix epoch at which it was recorded.
    pub recorded_ms: i64,
    /// Digest of the source bytes.
    pub sha256: Digest,
}

/// Numbers for `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Active documents.
    pub documents: usize,
    /// Chunks of active documents.
    pub chunks: usize,
    /// Pages of active documents.
    pub pages: usize,
    /// Operations the indexes still owe.
    pub pending: usize,
    /// Files set aside.
    pub quarantined: usize,
}

const KNOWN_COLUMNS: &str = "d.locator AS locator, r.chunks AS chunks, r.chunker AS chunker, r.context AS context, \
     r.patient_around AS patient_around";

/// Every row of a query, decoded.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    decode: impl Fn(&Row<'_>) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode(row)?);
    }
    Ok(found)
}

fn known(row: &Row<'_>) -> Result<KnownDocument, LedgerError> {
    Ok(KnownDocument {
        id: row::document_id(row, "document_id")?,
        locator: row.get("locator")?,
        path: row.get("path")?,
        title: row.get("title")?,
        sha256: row::digest(row, "sha256")?,
        media_type: row.get("media_type")?,
        language: row::language(row, "document_language")?,
        pages: row::count(row, "pages")?,
        chunks: row::count(row, "chunks")?,
        labels: row::labels(row)?,
        chunker: row.get("chunker")?,
        context: row.get("context")?,
        patient_read: row.get::<_, Option<String>>("patient")?.is_some(),
        patient_around: row::names(row.get("patient_around")?)?,
    })
}

impl SqliteLedger {
    /// The active revision of a document, whoever may see it: for the pipeline only.
    pub(crate) fn known(&self, id: DocumentId) -> Result<Option<KnownDocument>> {
        Ok(self.known_where("d.id = ?1", [id.as_bytes()])?.pop())
    }

    /// The active documents found inside `parent`.
    pub(crate) fn children(&self, parent: DocumentId) -> Result<Vec<KnownDocument>> {
        Ok(self.known_where("d.parent = ?1", [parent.as_bytes()])?)
    }

    /// The active documents of a source that are not inside another.
    pub(crate) fn top_level(&self, source: &str) -> Result<Vec<KnownDocument>> {
        Ok(self.known_where("d.source = ?1 AND d.parent IS NULL", [source])?)
    }

    /// The active documents of a source with the same source bytes that are not inside another.
    pub(crate) fn same_content(&self, source: &str, sha256: Digest) -> Result<Vec<KnownDocument>> {
        let condition = "d.source = ?1 AND r.sha256 = ?2 AND d.parent IS NULL";
        Ok(self.known_where(condition, (source, sha256.as_bytes()))?)
    }

    /// The id of the document that is or was at a place, searchable or not.
    pub(crate) fn document_at(&self, source: &str, locator: &[u8]) -> Result<Option<DocumentId>> {
        let sql = "SELECT id FROM documents WHERE source = ?1 AND locator = ?2";
        let found = all(&self.reader(), sql, (source, locator), |row| row::document_id(row, "id"))?;
        Ok(found.into_iter().next())
    }

    fn known_where(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<KnownDocument>, LedgerError> {
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, {KNOWN_COLUMNS} FROM documents AS d \
             JOIN revisions AS r ON r.document = d.id AND r.state = 'active' WHERE {condition} ORDER BY d.locator"
        );
        all(&self.reader(), &sql, parameters, known)
    }

    /// Another active or pending document with the same source bytes.
    pub(crate) fn duplicate_of(&self, id: DocumentId, sha256: Digest) -> Result<Option<DocumentId>> {
        let sql = "SELECT document AS id FROM revisions WHERE sha256 = ?1 AND document <> ?2 \
                   AND state IN ('active', 'pending') ORDER BY id LIMIT 1";
        let found = all(&self.reader(), sql, (sha256.as_bytes(), id.as_bytes()), |row| row::document_id(row, "id"))?;
        Ok(found.into_iter().next())
    }

    /// The ids of every active chunk: what both indexes must hold, no more and no less.
    pub fn active_chunk_ids(&self) -> Result<std::collections::BTreeSet<ChunkId>> {
        let sql =
            "SELECT c.id AS id FROM chunks AS c JOIN revisions AS r ON r.id = c.revision WHERE r.state = 'active'";
        Ok(all(&self.reader(), sql, [], |row| row::chunk_id(row, "id"))?.into_iter().collect())
    }

    /// Every active chunk with its revision, in the order of revisions and of their text.
    pub(crate) fn active_chunks(&self) -> Result<Vec<(RevisionId, ChunkId)>> {
        let sql = "SELECT r.id AS revision, c.id AS id FROM chunks AS c JOIN revisions AS r ON r.id = c.revision \
                   WHERE r.state = 'active' ORDER BY r.id, c.ordinal";
        let row = |row: &Row<'_>| Ok((RevisionId(row.get("revision")?), row::chunk_id(row, "id")?));
        Ok(all(&self.reader(), sql, [], row)?)
    }

    /// Says whether a revision is active.
    pub(crate) fn is_active(&self, revision: RevisionId) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM revisions WHERE id = ?1 AND state = 'active'";
        Ok(!all(&self.reader(), sql, [revision.0], |_| Ok(()))?.is_empty())
    }

    /// A revision with its chunks and what was put before them, to index it again.
    pub(crate) fn stored(&self, revision: RevisionId) -> Result<(DocumentSummary, Vec<fontes_core::Chunk>, String)> {
        let connection = self.reader();
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, r.context AS context, t.text AS text FROM revisions AS r \
             JOIN documents AS d ON d.id = r.document JOIN contents AS t ON t.revision = r.id WHERE r.id = ?1"
        );
        let found = all(&connection, &sql, [revision.0], |row| {
            Ok((row::document_summary(row)?, row.get::<_, String>("context")?, row.get::<_, Vec<u8>>("text")?))
        })?;
        let Some((summary, context, text)) = found.into_iter().next() else {
            return Err(row::damaged("a revision has no content").into());
        };
        let text = String::from_utf8(text).map_err(|_| row::damaged("a stored text is not UTF-8"))?;
        let sql = format!("SELECT {CHUNK_COLUMNS} FROM chunks AS c WHERE c.revision = ?1 ORDER BY c.ordinal");
        let chunks = all(&connection, &sql, [revision.0], |row| {
            let mut chunk = row::chunk(row, summary.id)?;
            let text = chunk.span.of(&text).ok_or_else(|| row::damaged("a chunk lies outside its text"))?;
            chunk.text = text.to_owned();
            Ok(chunk)
        })?;
        Ok((summary, chunks, context))
    }

    /// The history of an active, allowed document, newest first.
    ///
    /// # Errors
    /// `NotFound`, the same for "not there" and "not yours".
    pub fn revisions(&self, id: DocumentId, scope: &AccessScope) -> Result<Vec<RevisionInfo>> {
        let allowed = self.known(id)?.is_some_and(|known| scope.allows(&known.labels));
        if !allowed {
            return Err(document_not_found(id));
        }
        let sql = "SELECT number, state, recorded_ms, sha256 FROM revisions WHERE document = ?1 ORDER BY number DESC";
        Ok(all(&self.reader(), sql, [id.as_bytes()], |row| {
            Ok(RevisionInfo {
                number: row::count(row, "number")?,
                state: row.get("state")?,
                recorded_ms: row.get("recorded_ms")?,
                sha256: row::digest(row, "sha256")?,
            })
        })?)
    }

    /// A document as it was at a moment: the revision that was the newest then. Today's labels must allow it as well
    /// as those of that time: what was closed meanwhile stays closed.
    ///
    /// # Errors
    /// `NotFound`, the same for "not there", "not yet there" and "not yours".
    pub fn document_as_of(
        &self,
        id: DocumentId,
        at: SystemTime,
        scope: &AccessScope,
    ) -> Result<(DocumentSummary, Document)> {
        if !self.known(id)?.is_some_and(|known| scope.allows(&known.labels)) {
            return Err(document_not_found(id));
        }
        let state = "r.state IN ('active', 'superseded')";
        self.stored_document(id, scope, state, row::milliseconds(at))
    }

    /// The newest stored revision that meets `condition` and was recorded by `until`, with its text.
    fn stored_document(
        &self,
        id: DocumentId,
        scope: &AccessScope,
        condition: &str,
        until: i64,
    ) -> Result<(DocumentSummary, Document)> {
        let connection = self.reader();
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, t.text AS text, t.structure AS structure FROM documents AS d \
             JOIN revisions AS r ON r.document = d.id JOIN contents AS t ON t.revision = r.id \
             WHERE d.id = :id AND r.recorded_ms <= :until AND {condition} ORDER BY r.number DESC LIMIT 1"
        );
        let mut statement = connection.prepare_cached(&sql).map_err(LedgerError::from)?;
        let found = statement
            .query_row(named_params! { ":id": id.as_bytes(), ":until": until }, |row| {
                // The scope is asked before the text is read.
                let read = || {
                    let summary = row::document_summary(row)?;
                    if !scope.allows(&summary.labels) {
                        return Ok(None);
                    }
                    let document = row::document(&summary, row.get("text")?, &row.get::<_, Vec<u8>>("structure")?)?;
                    Ok(Some((summary, document)))
                };
                Ok(read())
            })
            .optional()
            .map_err(LedgerError::from)?;
        match found {
            Some(read) => read
                .map_err(|error: LedgerError| error.into())
                .and_then(|found| found.ok_or_else(|| document_not_found(id))),
            None => Err(document_not_found(id)),
        }
    }

    /// Numbers for `status`.
    pub fn counts(&self) -> Result<LedgerCounts> {
        let sql = "SELECT count(*) AS documents, coalesce(sum(chunks), 0) AS chunks, coalesce(sum(pages), 0) AS pages, \
                   (SELECT count(*) FROM outbox) AS pending, (SELECT count(*) FROM quarantine) AS quarantined \
                   FROM revisions WHERE state = 'active'";
        let counts = all(&self.reader(), sql, [], |row| {
            Ok(LedgerCounts {
                documents: row::count(row, "documents")?,
                chunks: row::count(row, "chunks")?,
                pages: row::count(row, "pages")?,
                pending: row::count(row, "pending")?,
                quarantined: row::count(row, "quarantined")?,
            })
        })?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    /// Looks at every page and index of the file.
    ///
    /// # Errors
    /// `Corrupt` when anything is not what was written.
    pub fn check_integrity(&self) -> Result<()> {
        Ok(schema::integrity(&self.reader(), "integrity_check")?)
    }
}

/// Chunks and their texts, read from one state of the ledger. What a document's text is read through stays open from one to the next:
/// opening it is most of what reading a chunk costs.
pub(super) struct Chunks<'c> {
    connection: &'c Connection,
    sql: String,
    texts: Option<Blob<'c>>,
}

impl Chunks<'_> {
    /// Finds one by its id.
    pub(super) fn sql() -> String {
        format!(
            "SELECT {SUMMARY_COLUMNS}, {CHUNK_COLUMNS}, r.id AS revision_id FROM chunks AS c \
             JOIN revisions AS r ON r.id = c.revision AND r.state = 'active' \
             JOIN documents AS d ON d.id = r.document WHERE c.id = ?1"
        )
    }

    fn record(&mut self, id: ChunkId, scope: &AccessScope) -> Result<Option<ChunkRecord>, LedgerError> {
        let found = all(self.connection, &self.sql, [id.as_bytes()], |row| {
            let document = row::document_summary(row)?;
            let chunk = row::chunk(row, document.id)?;
            Ok((ChunkRecord { chunk, document }, row.get::<_, i64>("revision_id")?))
        })?;
        let Some((mut record, revision)) = found.into_iter().next() else { return Ok(None) };
        if !scope.allows(&record.document.labels) {
            return Ok(None);
        }
        record.chunk.text = self.text(revision, record.chunk.span)?;
        Ok(Some(record))
    }

    /// Reads a part of a stored text without loading the whole of it.
    fn text(&mut self, revision: i64, span: Span) -> Result<String, LedgerError> {
        let texts = match self.texts.take() {
            Some(mut texts) => {
                texts.reopen(revision)?;
                texts
            }
            None => self.connection.blob_open(c"main", c"contents", c"text", revision, true)?,
        };
        let mut bytes = vec![0; span.len()];
        let read = self.texts.insert(texts).read_at_exact(&mut bytes, span.start);
        read.map_err(|_| row::damaged("a chunk lies outside its text"))?;
        String::from_utf8(bytes).map_err(|_| row::damaged("a chunk cuts a character"))
    }
}

impl Ledger for SqliteLedger {
    fn chunks(&self, ids: &[ChunkId], scope: &AccessScope) -> Result<Vec<ChunkRecord>> {
        let connection = self.reader();
        let state = connection.unchecked_transaction().map_err(LedgerError::from)?;
        let mut chunks = Chunks { connection: &state, sql: Chunks::sql(), texts: None };
        let mut records = Vec::with_capacity(ids.len());
        for &id in ids {
            records.extend(chunks.record(id, scope)?);
        }
        Ok(records)
    }

    fn document(&self, id: DocumentId, scope: &AccessScope) -> Result<(DocumentSummary, Document)> {
        self.stored_document(id, scope, "r.state = 'active'", i64::MAX)
    }

    fn snapshot(&self) -> Result<IndexSnapshot> {
        let number: i64 =
            self.reader().query_row("SELECT number FROM snapshot", [], |row| row.get(0)).map_err(LedgerError::from)?;
        Ok(IndexSnapshot(number.unsigned_abs()))
    }
}
