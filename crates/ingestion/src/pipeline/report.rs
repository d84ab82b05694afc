//! What the pipeline tells: events while it works, one record per file, a summary at the end. Field names are
//! part of the command-line contract.

use fontes_core::{Digest, DocumentId, ErrorKind, IndexSnapshot, Language, ModelIdentity};
use serde::Serialize;

use super::stage::StageSeconds;
use crate::ledger::QuarantineEntry;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// Not known before, now searchable.
    New,
    /// Known with other content, labels or settings; the new revision is searchable.
    Changed,
    /// As before; nothing was done.
    Unchanged,
    /// As before, in another place; nothing was read into the indexes again.
    Moved,
    /// No longer at its source; no longer searchable.
    Removed,
    /// Gave no document; see the error. An earlier revision stays searchable.
    Quarantined,
    /// Not taken in: a symbolic link, a device, a file past its time, or one that is still being written.
    Skipped,
}

/// Why a file was quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileError {
    /// Who must act.
    pub kind: ErrorKind,
    /// Stable code.
    pub code: String,
    /// What is wrong, without document text.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What became of one file, or of one document inside a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileRecord {
    /// Absolute path; `!/` before a path inside another file.
    pub path: String,
    /// Identity, when it is or was a document.
    pub document_id: Option<DocumentId>,
    /// Digest of its bytes, when they could be read.
    pub sha256: Option<Digest>,
    /// What became of it.
    pub status: FileStatus,
    /// Media type, when known.
    pub media_type: Option<String>,
    /// Number of pages.
    pub pages: usize,
    /// Number of chunks.
    pub chunks: usize,
    /// Main language, when known.
    pub language: Option<Language>,
    /// Why it was quarantined or skipped.
    pub error: Option<FileError>,
    /// Another document with exactly the same bytes.
    pub duplicate_of: Option<DocumentId>,
    /// Where it was before, when it was moved.
    pub moved_from: Option<String>,
    /// What a careful reader should know about the extraction.
    pub warnings: Vec<String>,
}

impl FileRecord {
    /// A record without content.
    pub(crate) fn bare(path: String, status: FileStatus) -> Self {
        Self {
            path,
            document_id: None,
            sha256: None,
            status,
            media_type: None,
            pages: 0,
            chunks: 0,
            language: None,
            error: None,
            duplicate_of: None,
            moved_from: None,
            warnings: Vec::new(),
        }
    }

    /// The record of a file that is set aside.
    pub(crate) fn quarantined(entry: &QuarantineEntry) -> Self {
        let error = FileError {
            kind: entry.kind,
            code: entry.code.clone(),
            message: entry.message.clone(),
            advice: entry.advice.clone(),
        };
        Self {
            document_id: Some(DocumentId::derive(&entry.source, &entry.locator)),
            sha256: entry.sha256,
            error: Some(error),
            ..Self::bare(entry.path.clone(), FileStatus::Quarantined)
        }
    }
}

/// How far a run is. Bytes are the true measure: files differ a thousandfold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Files finished: searchable, unchanged or set aside.
    pub files_done: usize,
    /// Files found.
    pub files_total: usize,
    /// Bytes of the finished files.
    pub bytes_done: u64,
    /// Bytes of all files found.
    pub bytes_total: u64,
    /// Pages that became searchable.
    pub pages: usize,
    /// Chunks embedded, committed or not.
    pub chunks: usize,
    /// True while the run waits because it was paused.
    pub paused: bool,
}

/// Something that happened during a run.
#[derive(Debug)]
pub enum IngestEvent<'a> {
    /// The files to work through are known.
    Found(Progress),
    /// Work went on.
    Progress(Progress),
    /// A file is finished; what the record says is durable.
    File(&'a FileRecord),
    /// A group of documents became searchable.
    Committed(IndexSnapshot),
}

/// A run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IngestSummary {
    /// Files found, whatever became of them.
    pub files_seen: usize,
    /// Documents that were not known. Documents inside files count by themselves.
    pub documents_new: usize,
    /// Documents with a new revision.
    pub documents_changed: usize,
    /// Documents that are as before.
    pub documents_unchanged: usize,
    /// Documents that are as before, in another place.
    pub documents_moved: usize,
    /// Documents whose file is gone.
    pub documents_removed: usize,
    /// Files set aside in this run or an earlier one, and still there.
    pub quarantined: usize,
    /// Links, special files, files past their time, files still being written.
    pub skipped: usize,
    /// Chunks written.
    pub chunks: usize,
    /// Pages written.
    pub pages: usize,
    /// Tokens of the chunks written, as the embedder counts them.
    pub tokens: usize,
    /// Bytes of all files found and finished.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// The snapshot at the end.
    pub index_snapshot: IndexSnapshot,
    /// True when it was asked to stop before the end. What was reported is durable, the rest is as before.
    pub cancelled: bool,
    /// True when nothing was written.
    pub dry_run: bool,
    /// Where the time went.
    pub stages: StageSeconds,
}

impl IngestSummary {
    /// Adds the run over another source. Times add up, the snapshot is the later one.
    pub fn add(&mut self, other: &Self) {
        self.files_seen += other.files_seen;
        self.documents_new += other.documents_new;
        self.documents_changed += other.documents_changed;
        self.documents_unchanged += other.documents_unchanged;
        self.documents_moved += other.documents_moved;
        self.documents_removed += other.documents_removed;
        self.quarantined += other.quarantined;
        self.skipped += other.skipped;
        self.chunks += other.chunks;
        self.pages += other.pages;
        self.tokens += other.tokens;
        self.bytes += other.bytes;
        self.seconds += other.seconds;
        self.index_snapshot = self.index_snapshot.max(other.index_snapshot);
        self.cancelled |= other.cancelled;
        self.dry_run |= other.dry_run;
        self.stages.add(&other.stages);
    }

    /// Says whether anything became searchable, moved, or is no longer.
    pub fn changes(&self) -> bool {
        self.documents_new + self.documents_changed + self.documents_moved + self.documents_removed > 0
    }

    /// Counts one record.
    pub(crate) fn count(&mut self, record: &FileRecord) {
        match record.status {
            FileStatus::New => self.documents_new += 1,
            FileStatus::Changed => self.documents_changed += 1,
            FileStatus::Unchanged => self.documents_unchanged += 1,
            FileStatus::Moved => self.documents_moved += 1,
            FileStatus::Removed => self.documents_removed += 1,
            FileStatus::Quarantined => self.quarantined += 1,
            FileStatus::Skipped => self.skipped += 1,
        }
        if matches!(record.status, FileStatus::New | FileStatus::Changed) {
            self.chunks += record.chunks;
            self.pages += record.pages;
        }
    }
}

/// What was left of an earlier, interrupted run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Revisions that both indexes had and that are now active.
    pub completed: usize,
    /// Revisions that were taken back; their files are read again on the next run.
    pub rolled_back: usize,
    /// Replaced, removed or forgotten revisions that were taken out of the indexes.
    pub retired: usize,
    /// The lexical index knows of more than the ledger (a ledger restored from an older backup): run the
    /// repair.
    pub index_ahead: bool,
}

/// Where a chunk is, beside the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexName {
    /// The vector index.
    Vectors,
    /// The lexical index.
    Lexical,
    /// The signs of tokens. Lacking some is no difference.
    Tokens,
}

/// A difference between the ledger and an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub index: IndexName,
    /// Which set of vectors, when it is not the one that is searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Chunks the ledger has active and the index lacks.
    pub missing: usize,
    /// Chunks the index has and the ledger does not have active.
    pub extra: usize,
    /// True when it was set right.
    pub repaired: bool,
}

/// Whether ledger and indexes hold exactly the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// True when they do, after repairs if repairs were asked for.
    pub consistent: bool,
    /// Active chunks of the ledger.
    pub chunks: usize,
    /// Digest of the ids of the active chunks in their order: equal for equal contents, whatever the way there.
    pub chunk_ids_sha256: Digest,
    /// Differences, empty when there were none.
    pub findings: Vec<Finding>,
    /// Sets of vectors beside the one that is searched.
    pub sets: Vec<SetReport>,
    /// Active chunks whose tokens' signs are not kept though the embedder gives them: searches that find them read them again.
    pub tokens_missing: usize,
}

/// What a set of vectors beside the searched one holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetReport {
    /// Its name.
    pub name: String,
    /// Active chunks that it holds.
    pub chunks: usize,
    /// Active chunks that it lacks: it is being filled, or was before they came.
    pub missing: usize,
}

/// Proof of the erasure of one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// The document.
    pub document_id: DocumentId,
    /// Chunks taken out of both indexes, and of every set of vectors.
    pub chunks_removed: usize,
    /// True when neither ledger nor index holds anything of it: looked up after the erasure, not assumed.
    pub verified_absent: bool,
}

/// What is indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusReport {
    /// Active documents.
    pub documents: usize,
    /// Active chunks.
    pub chunks: usize,
    /// Pages of active documents.
    pub pages: usize,
    /// Operations the indexes still owe.
    pub pending: usize,
    /// Files set aside.
    pub quarantined: usize,
    /// The present snapshot.
    pub index_snapshot: IndexSnapshot,
    /// The embedder.
    pub embedder: ModelIdentity,
    /// Whether ledger and both indexes hold exactly the same chunks.
    pub consistent: bool,
    /// Sets of vectors beside the one that is searched.
    pub sets: Vec<SetReport>,
}
