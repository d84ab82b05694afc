//! A small archive on disk with a data directory, indexes that can fail, and an extractor that knows tricks.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use fontes_core::{
    AccessScope, Cancel, Candidate, ChunkId, ChunkRecord, DocumentId, Error, Filter, IndexEntry, Labels, Ledger as _,
    LedgerPosition, LexicalIndex, Result, VectorIndex,
};
use fontes_extract::{Child, ExtractError, Extraction, ParseLimits, parse};
use fontes_testkit::{FixedClock, HashEmbedder, MemoryLexicalIndex, MemoryTokenStore, MemoryVectorIndex, scope};

use crate::{
    FileRecord, IngestEvent, IngestLimits, IngestRequest, IngestSummary, Ingestion, IngestionParts, Measure,
    OtherVectors, Profiles, SqliteLedger,
    pipeline::{Extractor, FileStatus},
};

/// The real parsers without the process around them, and tricks by content: `CRASH` kills the parser,
/// `BOX name=text;…` is a container, `NOWORKER` means that no worker starts.
pub(super) struct InProcess {
    pub(super) calls: AtomicUsize,
}

impl Extractor for InProcess {
    fn extract(&self, bytes: &[u8], name: &str, cancel: &Cancel) -> Result<Extraction, ExtractError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if cancel.is_cancelled() {
            return Err(ExtractError::Cancelled);
        }
        if bytes.starts_with(b"CRASH") {
            return Err(ExtractError::Crashed { how: "signal 11".into() });
        }
        if bytes.starts_with(b"PANIC") {
            panic!("planned");
        }
        if bytes.starts_with(b"SLOW") {
            return Err(ExtractError::TimedOut { seconds: 60 });
        }
        if bytes.starts_with(b"NOWORKER") {
            return Err(ExtractError::WorkerUnavailable { what: "no such program".into() });
        }
        let mut extraction = parse(bytes, name, &ParseLimits::default())?;
        if let Some(inside) = extraction.document.text.clone().strip_prefix("BOX ") {
            extraction.children = inside.trim().split(';').filter_map(child).collect();
        }
        Ok(extraction)
    }
}

fn child(entry: &str) -> Option<Child> {
    let (name, text) = entry.split_once('=')?;
    Some(Child { path_inside: name.into(), name: name.into(), bytes: text.replace('~', ";").into_bytes() })
}

/// When a call to an index fails: before it does anything, or after it did everything (a lost answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Before,
    After,
}

/// Fails the n-th write call over both indexes, once.
#[derive(Default)]
pub(super) struct Faults {
    calls: AtomicUsize,
    plan: Mutex<Option<(usize, Failure)>>,
}

impl Faults {
    pub(super) fn plan(&self, call: usize, failure: Failure) {
        self.calls.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = Some((call, failure));
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(super) fn clear(&self) {
        self.calls.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = None;
    }

    fn around<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let planned = self.plan.lock().unwrap().filter(|(at, _)| *at == call).map(|(_, failure)| failure);
        match planned {
            Some(Failure::Before) => Err(Error::unavailable("planned failure")),
            Some(Failure::After) => work().and(Err(Error::unavailable("planned failure"))),
            None => work(),
        }
    }
}

/// A vector index whose write calls can fail.
pub(super) struct Vectors(pub(super) MemoryVectorIndex, Arc<Faults>);

impl VectorIndex for Vectors {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        self.1.around(|| self.0.upsert(entries))
    }
    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        self.1.around(|| self.0.remove(chunks))
    }
    fn flush(&self) -> Result<()> {
        self.1.around(|| self.0.flush())
    }
    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        self.0.search(vector, scope, filter, k)
    }
    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>> {
        self.0.vectors(chunks)
    }
    fn ids(&self) -> Result<std::collections::BTreeSet<ChunkId>> {
        self.0.ids()
    }
    fn optimize(&self) -> Result<()> {
        self.0.optimize()
    }
}

/// A lexical index whose write calls can fail.
pub(super) struct Lexical(pub(super) MemoryLexicalIndex, Arc<Faults>);

impl LexicalIndex for Lexical {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        self.1.around(|| self.0.upsert(entries))
    }
    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        self.1.around(|| self.0.remove(chunks))
    }
    fn commit(&self, position: LedgerPosition) -> Result<()> {
        self.1.around(|| self.0.commit(position))
    }
    fn committed(&self) -> Result<LedgerPosition> {
        self.0.committed()
    }
    fn search(&self, text: &str, scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        self.0.search(text, scope, filter, k)
    }
    fn ids(&self) -> Result<std::collections::BTreeSet<ChunkId>> {
        self.0.ids()
    }
}

/// Everything a test needs; the folder `root` is the archive.
pub(super) struct Site {
    pub(super) root: PathBuf,
    pub(super) data: PathBuf,
    pub(super) faults: Arc<Faults>,
    pub(super) vectors: Arc<Vectors>,
    /// A set of vectors of [`other_embedder`] beside the searched one, when there is one.
    pub(super) other: Option<Arc<Vectors>>,
    /// What embeds, and what did before it.
    pub(super) embedder: HashEmbedder,
    pub(super) measures: Vec<Measure>,
    pub(super) lexical: Arc<Lexical>,
    /// What it keeps of tokens.
    pub(super) tokens: Arc<MemoryTokenStore>,
    pub(super) extractor: Arc<InProcess>,
    pub(super) clock: Arc<FixedClock>,
    ingestion: Option<Ingestion>,
    _folder: tempfile::TempDir,
}

/// What embeds for the set beside the searched one.
pub(super) fn other_embedder() -> HashEmbedder {
    HashEmbedder::named("other", 16)
}

pub(super) fn request(root: &Path) -> IngestRequest {
    let groups = [fontes_core::Group("staff".into())].into();
    let labels = Labels { groups, source: "files".into(), ..Labels::default() };
    IngestRequest { jobs: 2, ..IngestRequest::new(vec![root.to_owned()], labels) }
}

impl Site {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(folder.path()).unwrap();
        let (root, data) = (base.join("archive"), base.join("data"));
        fs::create_dir(&root).unwrap();
        let faults = Arc::new(Faults::default());
        let mut site = Self {
            vectors: Arc::new(Vectors(MemoryVectorIndex::new(32), Arc::clone(&faults))),
            other: None,
            embedder: HashEmbedder::new(32),
            measures: Vec::new(),
            lexical: Arc::new(Lexical(MemoryLexicalIndex::new(), Arc::clone(&faults))),
            tokens: Arc::new(MemoryTokenStore::new()),
            extractor: Arc::new(InProcess { calls: AtomicUsize::new(0) }),
            clock: Arc::new(FixedClock::at(1_800_000_000)),
            root,
            data,
            faults,
            ingestion: None,
            _folder: folder,
        };
        site.open();
        site
    }

    /// A site with an empty set of vectors beside the searched one.
    pub(super) fn with_other() -> Self {
        let mut site = Self::new();
        site.other = Some(Arc::new(Vectors(MemoryVectorIndex::new(16), Arc::clone(&site.faults))));
        site.ingestion = None;
        site.open();
        site
    }

    /// Opens ledger and pipeline over what is on disk and in the indexes.
    pub(super) fn open(&mut self) {
        let parts = IngestionParts {
            ledger: Arc::new(SqliteLedger::open(&self.data).unwrap()),
            extractor: self.extractor.clone(),
            embedder: Arc::new(self.embedder.clone()),
            vectors: self.vectors.clone(),
            others: self
                .other
                .iter()
                .map(|other| OtherVectors { name: "other@16".into(), vectors: other.clone() })
                .collect(),
            tokens: self.tokens.clone(),
            lexical: self.lexical.clone(),
            clock: self.clock.clone(),
            profiles: Profiles::built_in(),
            measures: self.measures.clone(),
            limits: IngestLimits::default(),
        };
        self.ingestion = Some(Ingestion::new(parts));
    }

    /// Loses power: what the indexes had not made durable is gone, and the process with it.
    pub(super) fn crash(&mut self) {
        self.close();
        self.vectors.0.crash();
        if let Some(other) = &self.other {
            other.0.crash();
        }
        self.lexical.0.crash();
        self.faults.clear();
        self.open();
    }

    /// Lets go of ledger and pipeline.
    pub(super) fn close(&mut self) {
        self.ingestion = None;
    }

    pub(super) fn ingestion(&self) -> &Ingestion {
        self.ingestion.as_ref().unwrap()
    }

    pub(super) fn put(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn delete(&self, name: &str) {
        fs::remove_file(self.root.join(name)).unwrap();
    }

    pub(super) fn try_ingest(&self, request: &IngestRequest) -> Result<(IngestSummary, Vec<FileRecord>)> {
        let mut records = Vec::new();
        let mut observer = |event: IngestEvent<'_>| {
            if let IngestEvent::File(record) = event {
                records.push(record.clone());
            }
        };
        let summary = self.ingestion().ingest(request, &mut observer, &Cancel::default())?;
        records.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((summary, records))
    }

    pub(super) fn ingest(&self) -> (IngestSummary, Vec<FileRecord>) {
        self.try_ingest(&request(&self.root)).unwrap()
    }

    /// Path below the archive and status of every record, and how many there are of each status.
    pub(super) fn statuses(&self, records: &[FileRecord]) -> Vec<(String, FileStatus)> {
        let root = format!("{}/", self.root.display());
        records.iter().map(|record| (record.path.replacen(&root, "", 1), record.status)).collect()
    }

    pub(super) fn id(&self, name: &str) -> DocumentId {
        DocumentId::derive("files", self.root.join(name).as_os_str().as_encoded_bytes())
    }

    /// The chunks that a search for `word` shows, as the ledger gives them out.
    pub(super) fn find(&self, word: &str) -> Vec<ChunkRecord> {
        let scope = scope(&["staff"], fontes_core::Classification::Internal);
        let found = self.lexical.search(word, &scope, &Filter::default(), 50).unwrap();
        let ids: Vec<ChunkId> = found.iter().map(|candidate| candidate.chunk).collect();
        self.ingestion().ledger().chunks(&ids, &scope).unwrap()
    }

    /// Ledger and both indexes hold exactly the same, and nothing is owed.
    pub(super) fn assert_consistent(&self) {
        let report = self.ingestion().check().unwrap();
        assert!(report.consistent && report.tokens_missing == 0, "{report:?}");
        assert_eq!(self.ingestion().ledger().counts().unwrap().pending, 0);
    }
}
