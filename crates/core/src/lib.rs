//! The vocabulary of Fontes: the nouns every other crate speaks, and the seams between crates.
//!
//! Three chains of nouns tell the whole story. A [`Document`] has [`Page`]s and [`Block`]s over one stored
//! text; it is cut into [`Chunk`]s, each an exact [`Span`] of that text. A [`Query`] yields [`Hit`]s, which
//! become the [`Passage`]s shown to a model. An [`Answer`] is a list of [`Sentence`]s whose [`Citation`]s
//! point back at spans. Everything else here is identity ([`DocumentId`], [`ChunkId`], [`Digest`]), access
//! ([`AccessScope`]), or a seam (the traits in [`seam`]).
//!
//! **Why a crate of nouns.** Crates that agree only on these types can be built, tested and replaced apart:
//! `ingestion` never sees candle, `retrieval` never sees SQLite. The seams are traits with contracts; the
//! binary alone decides which implementation stands behind each.
//!
//! **Out of scope:** I/O, async runtimes, clocks, randomness, environment, and any policy about how a noun
//! is produced.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod access;
mod answer;
mod chunk;
mod document;
mod error;
mod filter;
mod generation;
mod id;
mod language;
mod query;
pub mod seam;
mod word;

pub use access::{AccessPolicy, AccessScope, Classification, Group, Labels, Principal};
pub use answer::{
    Answer, AskSettings, AskTimings, Attention, Citation, LeftOut, Remark, Sentence, Support, TokenUsage,
};
pub use chunk::{Chunk, ChunkRecord, DocumentSummary, PageRange};
pub use document::{BBox, Block, BlockKind, Document, ExtractionMethod, Metadata, Page, PatientLabel, Span};
pub use error::{Error, ErrorKind, Result};
pub use filter::{Facet, Filter, FilterField, day_of, folded};
pub use generation::{
    DecodeStep, FinishReason, Generation, GenerationRequest, LogitMask, Message, PassageNumber, PromptOrigin, Role,
    Sampling, Segment, TokenAttention, TokenId, Vocabulary,
};
pub use id::{ChunkId, Digest, DocumentId, IndexSnapshot, LedgerPosition, ModelIdentity};
pub use language::Language;
pub use query::{
    Duplicate, Hit, Passage, Query, Scores, SearchChoice, SearchMode, SearchSettings, Subquery, SubqueryKind, TermMatch,
};
pub use seam::{
    Cancel, Candidate, Clock, EmbeddedQuery, Embedder, Embedding, Finding, Generator, IndexEntry, Inference, Judge,
    Ledger, LexicalIndex, MatchPassage, QueryToken, Reader, Reading, Reranker, TokenStore, VectorIndex,
};
pub use word::Word;
