//! Answers: sentences with citations that resolve, and the record of how they came about.

use serde::{Deserialize, Serialize};

use crate::{BBox, Digest, DocumentId, IndexSnapshot, ModelIdentity, Passage, Span};

/// Whether a sentence is carried by what it cites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Quoted word for word from the cited span.
    Verbatim,
    /// Checked against the cited span and carried by it.
    Supported,
    /// Checked, and not carried by any given passage.
    Unsupported,
    /// Not checked.
    #[default]
    Unchecked,
}

/// A pointer from a sentence to the exact place it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The passage's marker.
    pub marker: u32,
    /// The document.
    pub document_id: DocumentId,
    /// Its title.
    pub title: String,
    /// Its path.
    pub path: String,
    /// Pages the quoted span touches.
    pub pages: Vec<u32>,
    /// Span of the document's stored text; always inside the passage's span.
    pub span: Span,
    /// The text of that span, byte for byte.
    pub quote: String,
    /// Boxes on the pages, when the format has places.
    pub boxes: Vec<BBox>,
}

/// One sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// The sentence without markers.
    pub text: String,
    /// What it rests on.
    pub citations: Vec<Citation>,
    /// The verdict.
    pub support: Support,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens generated.
    pub generated: usize,
}

/// Where the time of an answer went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AskTimings {
    /// Both legs and fusion.
    pub retrieval: f64,
    /// Reranking.
    pub rerank: f64,
    /// Reading the prompt.
    pub prefill: f64,
    /// From the question to the first generated token.
    pub first_token: f64,
    /// From the question to the end of the answer.
    pub total: f64,
}

/// An answer, or an honest abstention. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question as asked.
    pub question: String,
    /// The whole text, markers included.
    pub answer: String,
    /// True when the sources do not say.
    pub abstained: bool,
    /// True when no generator ran and sentences are quoted from the sources.
    pub extractive: bool,
    /// The sentences in order.
    pub sentences: Vec<Sentence>,
    /// What the model was given, or the closest passages of an abstention.
    pub passages: Vec<Passage>,
    /// What generated the text; the extractive method names itself.
    pub model: ModelIdentity,
    /// Which state of the index was searched.
    pub index_snapshot: IndexSnapshot,
    /// Digest of the prompt template.
    pub prompt_sha256: Digest,
    /// Sampling seed.
    pub seed: u64,
    /// Tokens read and written.
    pub tokens: TokenUsage,
    /// Where the time went.
    pub timings_ms: AskTimings,
}
