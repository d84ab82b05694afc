//! The pipeline: files in, both indexes and the ledger in step, whatever happens on the way.
//!
//! Several threads read, compare, extract and chunk; one embeds; the calling thread writes. Between them are
//! bounded queues, and a budget bounds the bytes of documents in flight. Documents are written in groups, in
//! the one order that [`commit`] describes.

mod admit;
mod budget;
mod check;
mod commit;
mod embed;
mod fill;
mod kept;
mod moves;
mod pause;
mod prepare;
mod read;
mod repair;
mod report;
mod run;
mod stage;
mod stamp;
#[cfg(test)]
mod tests;
mod walk;
mod write;

use std::{path::PathBuf, sync::Arc, time::Duration};

use fontes_core::{Cancel, Clock, Embedder, Labels, LexicalIndex, Result, TokenStore, VectorIndex};
use fontes_extract::{ExtractError, Extraction, ParseLimits, WorkerPool};

use crate::{access::AccessRules, chunk::Measure, ledger::SqliteLedger, profile::Profiles, select::Selection};

pub use fill::Filling;
pub use pause::Pause;
pub use report::{
    CheckReport, Erasure, FileError, FileRecord, FileStatus, Finding, IndexName, IngestEvent, IngestSummary, Progress,
    Recovery, SetReport, StatusReport,
};
pub use stage::StageSeconds;

/// Turns bytes into a document. The real one is [`WorkerPool`], which does it in a sandboxed process.
pub trait Extractor: Send + Sync {
    /// Extracts one file; may be called from several threads.
    ///
    /// # Errors
    /// What is wrong with the file, or that no extraction is possible at all.
    fn extract(&self, bytes: &[u8], name: &str, cancel: &Cancel) -> Result<Extraction, ExtractError>;
}

impl Extractor for WorkerPool {
    fn extract(&self, bytes: &[u8], name: &str, cancel: &Cancel) -> Result<Extraction, ExtractError> {
        Self::extract(self, bytes, name, cancel)
    }
}

/// What one run may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestLimits {
    /// Larger files are quarantined, not read.
    pub max_file_bytes: u64,
    /// Bytes of documents between the disk and the indexes, at most; a single larger file goes alone.
    pub in_flight_bytes: u64,
    /// Limits on files inside files: depth, number, bytes.
    pub parse: ParseLimits,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self { max_file_bytes: 256 << 20, in_flight_bytes: 256 << 20, parse: ParseLimits::default() }
    }
}

/// What an [`Ingestion`] is made of.
pub struct IngestionParts {
    /// The truth.
    pub ledger: Arc<SqliteLedger>,
    /// Bytes to documents.
    pub extractor: Arc<dyn Extractor>,
    /// Text to vectors, and the measure of chunks.
    pub embedder: Arc<dyn Embedder>,
    /// Where vectors go: the set that is searched.
    pub vectors: Arc<dyn VectorIndex>,
    /// Sets of vectors beside it. What leaves the archive leaves them too; what comes to it comes to them by
    /// [`Ingestion::fill`].
    pub others: Vec<OtherVectors>,
    /// Where the signs of tokens go.
    pub tokens: Arc<dyn TokenStore>,
    /// Where words go.
    pub lexical: Arc<dyn LexicalIndex>,
    /// The time of revisions.
    pub clock: Arc<dyn Clock>,
    /// How documents are cut.
    pub profiles: Profiles,
    /// What documents were measured with before this embedder; those stay as they were cut.
    pub measures: Vec<Measure>,
    /// What a run may use.
    pub limits: IngestLimits,
}

/// A set of vectors beside the one that is searched.
pub struct OtherVectors {
    /// Its name.
    pub name: String,
    /// Its vectors: always a part of the ledger's active chunks, with their present labels.
    pub vectors: Arc<dyn VectorIndex>,
}

/// What to ingest, from where, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestRequest {
    /// Files and folders; folders with everything below them.
    pub roots: Vec<PathBuf>,
    /// Name of the source, groups and classification of its documents.
    pub labels: Labels,
    /// Name of the profile for all of them; `None`: the media type decides.
    pub profile: Option<String>,
    /// Say what would happen, write nothing.
    pub dry_run: bool,
    /// Try quarantined files again although they have not changed.
    pub retry: bool,
    /// Files read and extracted at the same time; at least one.
    pub jobs: usize,
    /// Which files are taken.
    pub select: Selection,
    /// Labels of single folders and files.
    pub access: AccessRules,
    /// A file that changed this recently may be half written, and is left for the next run. Zero: none is.
    pub settle: Duration,
}

impl IngestRequest {
    /// Everything below `roots`, with the same labels for all, by one thread.
    pub fn new(roots: Vec<PathBuf>, labels: Labels) -> Self {
        Self {
            roots,
            labels,
            profile: None,
            dry_run: false,
            retry: false,
            jobs: 1,
            select: Selection::default(),
            access: AccessRules::default(),
            settle: Duration::ZERO,
        }
    }
}

/// Brings documents in, takes them out, and keeps ledger and indexes in step.
pub struct Ingestion {
    parts: IngestionParts,
    stamps: stamp::Stamps,
}

impl Ingestion {
    /// Puts the parts together. Call [`Ingestion::recover`] before the first search.
    pub fn new(parts: IngestionParts) -> Self {
        Self { parts, stamps: stamp::Stamps::default() }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Arc<SqliteLedger> {
        &self.parts.ledger
    }

    /// Finishes what an interrupted run left, so that both indexes equal the ledger. Cheap when there is
    /// nothing to do. Every writing operation below does it first.
    ///
    /// # Errors
    /// Those of the ledger and the indexes; calling again goes on where it stopped.
    pub fn recover(&self) -> Result<Recovery> {
        let _turn = self.parts.ledger.turn();
        self.recover_turn()
    }

    /// Brings both indexes in step with what `request` finds.
    ///
    /// Incremental by content: what is as before costs one read, and a further run of the same process not even
    /// that while the file looks untouched. A file that disappeared in one place and appeared in another is the
    /// same document, moved. Documents whose files are gone from below
    /// the roots are removed, unless their folder could not be read. A file that gives no document is
    /// quarantined and the run goes on; an earlier revision of it stays searchable. A set `cancel` ends the
    /// run soon, with everything reported so far durable and the rest as before.
    ///
    /// # Errors
    /// `NotFound` for a missing root, `Invalid` for labels without a group or an unknown profile; `Unavailable`
    /// when no extraction worker starts or the disk is full. Whatever was reported before is durable.
    pub fn ingest(
        &self,
        request: &IngestRequest,
        observer: &mut dyn FnMut(IngestEvent<'_>),
        cancel: &Cancel,
    ) -> Result<IngestSummary> {
        let _turn = self.parts.ledger.turn();
        run::run(self, request, observer, cancel)
    }
}
