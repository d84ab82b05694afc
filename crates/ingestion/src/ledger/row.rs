//! Between rows and nouns: the one place that knows how values are written down.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use fontes_core::{
    Block, Chunk, ChunkId, Classification, Digest, Document, DocumentId, DocumentSummary, ErrorKind, Group, Labels,
    Language, Metadata, Page, PageRange, PatientLabel, Span,
};
use rusqlite::Row;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::error::LedgerError;

/// Number of a revision, unique in the ledger and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RevisionId(pub(crate) i64);

/// What [`document_summary`] reads, from `revisions AS r JOIN documents AS d`.
pub(crate) const SUMMARY_COLUMNS: &str = "d.id AS document_id, d.source AS source, d.path AS path, r.sha256 AS sha256, \
     r.title AS title, r.media_type AS media_type, r.language AS document_language, r.author AS author, \
     r.created AS created, r.patient AS patient, r.number AS number, r.pages AS pages, \
     r.access_groups AS access_groups, r.classification AS classification";

/// What [`chunk`] reads, from `chunks AS c`.
pub(crate) const CHUNK_COLUMNS: &str = "c.id AS chunk_id, c.ordinal AS ordinal, c.span_start AS span_start, \
     c.span_end AS span_end, c.first_page AS first_page, c.last_page AS last_page, c.headings AS headings, \
     c.language AS chunk_language";

/// Pages and blocks, beside the stored text.
#[derive(Serialize, Deserialize)]
pub(crate) struct Structure {
    pub(crate) pages: Vec<Page>,
    pub(crate) blocks: Vec<Block>,
}

pub(crate) fn damaged(what: &str) -> LedgerError {
    LedgerError::Damaged { what: what.to_owned() }
}

/// SQLite integers are signed and 64 bits; nothing counted here comes near the end.
pub(crate) fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn count(row: &Row<'_>, column: &str) -> Result<usize, LedgerError> {
    usize::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("a count is negative"))
}

fn small(row: &Row<'_>, column: &str) -> Result<u32, LedgerError> {
    u32::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("a number is out of range"))
}

pub(crate) fn document_id(row: &Row<'_>, column: &str) -> Result<DocumentId, LedgerError> {
    Ok(DocumentId::from_bytes(row.get(column)?))
}

pub(crate) fn chunk_id(row: &Row<'_>, column: &str) -> Result<ChunkId, LedgerError> {
    Ok(ChunkId::from_bytes(row.get(column)?))
}

pub(crate) fn digest(row: &Row<'_>, column: &str) -> Result<Digest, LedgerError> {
    Ok(Digest::from_bytes(row.get(column)?))
}

pub(crate) fn language(row: &Row<'_>, column: &str) -> Result<Language, LedgerError> {
    row.get::<_, String>(column)?.parse().map_err(|_| damaged("a language code is not known"))
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(text).map_err(|_| damaged("a stored structure cannot be read"))
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys always becomes JSON")
}

/// The kind whose stable name is `name`.
pub(crate) fn error_kind(name: &str) -> Result<ErrorKind, LedgerError> {
    serde_json::from_value(name.into()).map_err(|_| damaged("an error kind is not known"))
}

pub(crate) fn labels(row: &Row<'_>) -> Result<Labels, LedgerError> {
    let groups: BTreeSet<Group> = from_json(row.get::<_, String>("access_groups")?.as_bytes())?;
    let rank = count(row, "classification")?;
    let classification = *Classification::ALL.get(rank).ok_or_else(|| damaged("a classification is not known"))?;
    Ok(Labels { groups, classification, source: row.get("source")? })
}

/// Names of a patient; none where they were never looked for.
pub(crate) fn names(stored: Option<String>) -> Result<Vec<String>, LedgerError> {
    stored.map_or(Ok(Vec::new()), |text| from_json(text.as_bytes()))
}

pub(crate) fn document_summary(row: &Row<'_>) -> Result<DocumentSummary, LedgerError> {
    Ok(DocumentSummary {
        id: document_id(row, "document_id")?,
        sha256: digest(row, "sha256")?,
        title: row.get("title")?,
        path: row.get("path")?,
        media_type: row.get("media_type")?,
        language: language(row, "document_language")?,
        author: row.get("author")?,
        created: row.get("created")?,
        patient: names(row.get("patient")?)?,
        revision: small(row, "number")?,
        pages: small(row, "pages")?,
        labels: labels(row)?,
    })
}

/// A chunk without its text, which the caller takes from the stored text.
pub(crate) fn chunk(row: &Row<'_>, document: DocumentId) -> Result<Chunk, LedgerError> {
    Ok(Chunk {
        id: chunk_id(row, "chunk_id")?,
        document,
        ordinal: small(row, "ordinal")?,
        span: Span::new(count(row, "span_start")?, count(row, "span_end")?),
        pages: PageRange { first: small(row, "first_page")?, last: small(row, "last_page")? },
        headings: from_json(row.get::<_, String>("headings")?.as_bytes())?,
        language: language(row, "chunk_language")?,
        text: String::new(),
    })
}

/// Puts a document together from its summary and its stored content.
pub(crate) fn document(summary: &DocumentSummary, text: Vec<u8>, structure: &[u8]) -> Result<Document, LedgerError> {
    let Structure { pages, blocks } = from_json(structure)?;
    Ok(Document {
        media_type: summary.media_type.clone(),
        metadata: Metadata {
            title: Some(summary.title.clone()),
            author: summary.author.clone(),
            created: summary.created.clone(),
            patient: if summary.patient.is_empty() {
                PatientLabel::Unsaid
            } else {
                PatientLabel::One(summary.patient.clone())
            },
        },
        language: summary.language,
        text: String::from_utf8(text).map_err(|_| damaged("a stored text is not UTF-8"))?,
        pages,
        blocks,
    })
}

/// Milliseconds after the Unix epoch; times before it count as the epoch.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
