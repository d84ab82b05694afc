//! Asking for passages: query, hit, passage.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{ChunkId, DocumentId, Filter, Language, PageRange, Span};

/// Which legs of the search run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// Both legs, fused. The default.
    #[default]
    Hybrid,
    /// Vectors only.
    Dense,
    /// Words only.
    Lexical,
}

impl SearchMode {
    /// Every mode, in the order reports use.
    pub const ALL: [Self; 3] = [Self::Lexical, Self::Dense, Self::Hybrid];
}

impl fmt::Display for SearchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Lexical => "lexical",
        })
    }
}

/// A question put to the indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What the user typed.
    pub text: String,
    /// How many hits to return.
    pub k: usize,
    /// Which legs run.
    pub mode: SearchMode,
    /// Narrowing conditions.
    pub filter: Filter,
    /// Documents left out of consideration, as if they were not there: for leave-one-out checks.
    pub without: BTreeSet<DocumentId>,
}

/// Why a hit stands where it stands. Scores of different legs are not comparable with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Cosine similarity of the dense leg.
    pub dense: Option<f32>,
    /// BM25 score of the lexical leg.
    pub lexical: Option<f32>,
    /// Result of fusion.
    pub fused: Option<f32>,
    /// Score of the reranker, or of late interaction, by which the best candidates were read again.
    pub rerank: Option<f32>,
}

/// Why a word or phrase of the query speaks for a chunk. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermMatch {
    /// The word, or the words of a phrase, as searched for.
    pub term: String,
    /// Where and in which forms it was found: `text: exact`, `text: stem kündig`, `title`, `phrase`, …
    pub found: Vec<String>,
    /// Inverse document frequency: how rare it is in the index.
    pub rarity: f32,
    /// What it adds to the lexical score.
    pub weight: f32,
}

/// Another place that says nothing more than a hit does, in the same words. Field names are part of the command-line
/// contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The document; that of the hit when the same is said twice in it.
    pub document_id: DocumentId,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// Title of the document.
    pub title: String,
    /// Path of the document.
    pub path: String,
    /// Pages the span touches.
    pub pages: Vec<u32>,
    /// Span of the document's stored text.
    pub span: Span,
}

/// One result of a search. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Position, from 1.
    pub rank: usize,
    /// The score that decided the order.
    pub score: f32,
    /// The document.
    pub document_id: DocumentId,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// Title of the document.
    pub title: String,
    /// Path of the document.
    pub path: String,
    /// Pages the span touches.
    pub pages: Vec<u32>,
    /// Span of the document's stored text.
    pub span: Span,
    /// Headings above the chunk.
    #[serde(rename = "heading")]
    pub headings: Vec<String>,
    /// Language of the text.
    pub language: Language,
    /// The text of the span.
    pub text: String,
    /// Where the score comes from.
    pub scores: Scores,
    /// Where the same is said, best first; none of these is a hit of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<Duplicate>,
}

impl Hit {
    /// The page range of the hit; pages are never empty.
    pub fn page_range(&self) -> PageRange {
        let first = self.pages.first().copied().unwrap_or(1);
        PageRange { first, last: self.pages.last().copied().unwrap_or(first) }
    }
}

/// A hit as shown to a model: numbered from 1, and that number is the citation marker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The marker number, from 1.
    pub marker: u32,
    /// What was found.
    #[serde(flatten)]
    pub hit: Hit,
}
