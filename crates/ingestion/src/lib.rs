//! From source to index: the ledger, chunking, and the pipeline that survives a kill at any moment.
//!
//! Three nouns. The [`SqliteLedger`] is the only truth about documents, revisions and chunks. A [`Chunker`]
//! cuts a document into exact spans of its stored text, by a [`Profile`]. An [`Ingestion`] brings files in,
//! takes documents out, and keeps both indexes equal to the ledger.
//!
//! **Why a ledger and an outbox.** Three stores cannot commit together. The ledger records what is about to
//! happen, the indexes do it in a fixed order, and the last commit of the lexical index carries the ledger's
//! position. Whatever moment the process dies at, what is left says whether to finish or to undo, and a hit
//! is shown only when the ledger has it active: a lagging index can lose recall, never leak.
//!
//! **Out of scope:** parsing (crate `extract`, in a process of its own), what an index looks like inside, when to
//! run. The crate never prints and asks a [`fontes_core::Clock`] for the time.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod access;
mod chunk;
mod ledger;
mod pipeline;
mod profile;
mod select;
mod source;
mod tokens;

pub use access::{AccessRules, FolderRule, PosixGroups};
pub use chunk::{Chunker, Measure, Prefixer};
pub use ledger::{KnownDocument, LedgerCounts, LedgerError, QuarantineEntry, RevisionInfo, SqliteLedger};
pub use pipeline::{
    CheckReport, Erasure, Extractor, FileError, FileRecord, FileStatus, Filling, Finding, IndexName, IngestEvent,
    IngestLimits, IngestRequest, IngestSummary, Ingestion, IngestionParts, OtherVectors, Pause, Progress, Recovery,
    SetReport, StageSeconds, StatusReport,
};
pub use profile::{Context, Prefix, Profile, Profiles};
pub use select::Selection;
pub use source::SourceConfig;
pub use tokens::SqliteTokens;
