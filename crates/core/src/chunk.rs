//! Chunks: the unit of indexing, an exact span of one document's stored text.

use serde::{Deserialize, Serialize};

use crate::{ChunkId, Digest, DocumentId, Labels, Language, Span};

/// An inclusive range of page numbers, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRange {
    /// First page.
    pub first: u32,
    /// Last page, not before the first.
    pub last: u32,
}

impl PageRange {
    /// The pages as a list, the form that JSON output uses.
    pub fn to_vec(self) -> Vec<u32> {
        (self.first..=self.last).collect()
    }
}

/// A chunk: what is embedded and indexed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Derived identity; see [`ChunkId::derive`].
    pub id: ChunkId,
    /// The document it is cut from.
    pub document: DocumentId,
    /// Position among the document's chunks, from 0.
    pub ordinal: u32,
    /// Exact span of the document's stored text.
    pub span: Span,
    /// Pages the span touches.
    pub pages: PageRange,
    /// Headings above the chunk, highest first. Not part of the cited span.
    pub headings: Vec<String>,
    /// Language of this chunk's text.
    pub language: Language,
    /// The text of the span, byte for byte.
    pub text: String,
}

/// What the ledger tells about a document beside its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentSummary {
    /// Identity, stable over re-ingest.
    pub id: DocumentId,
    /// Digest of the source bytes of the active revision.
    pub sha256: Digest,
    /// Title, or the file name when there is none.
    pub title: String,
    /// Path as ingested (lossy UTF-8 for display).
    pub path: String,
    /// Media type.
    pub media_type: String,
    /// Main language.
    pub language: Language,
    /// Author or sender, when known.
    pub author: Option<String>,
    /// RFC 3339 creation or sending time, when known.
    pub created: Option<String>,
    /// Names and numbers of the one patient it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patient: Vec<String>,
    /// Revision number of this source item, from 1.
    pub revision: u32,
    /// Number of pages.
    pub pages: u32,
    /// Who may see it.
    pub labels: Labels,
}

/// A chunk with the document it belongs to, as the ledger gives it out after checking state and scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// The chunk.
    pub chunk: Chunk,
    /// Its document.
    pub document: DocumentSummary,
}
