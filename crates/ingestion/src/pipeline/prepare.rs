//! From a file to something to write: read, compare, extract, chunk. Runs on several threads.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::SystemTime};

use fontes_core::{Cancel, Chunk, Digest, Document, DocumentId, Embedder, Error, ErrorKind, Result};
use fontes_extract::{Child, ExtractError, Extraction};

use super::{
    Extractor, IngestLimits, IngestRequest,
    budget::{Budget, Permit},
    read::{ReadFault, read_stable},
    report::{FileError, FileRecord, FileStatus},
    stamp::{Stamp, Stamps},
    walk::{FoundFile, locator},
};
use crate::{
    chunk::Chunker,
    ledger::{KnownDocument, QuarantineEntry, SqliteLedger},
    profile::{Prefix, Profile, Profiles},
};

/// A document ready to be embedded and written.
pub(super) struct Prepared {
    pub(super) id: DocumentId,
    pub(super) locator: Vec<u8>,
    pub(super) parent: Option<DocumentId>,
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
    pub(super) title: String,
    pub(super) document: Document,
    pub(super) chunks: Vec<Chunk>,
    pub(super) chunker: String,
    pub(super) prefix: Prefix,
    pub(super) record: FileRecord,
}

/// What a thread hands to the writer, in order. `Done` ends a file.
pub(super) enum Item {
    /// New or changed.
    Write(Box<Prepared>),
    /// Nothing to write.
    Settled(FileRecord),
    /// Failed now; to be set aside.
    Quarantine(QuarantineEntry),
    /// No longer inside its parent.
    Gone(KnownDocument),
    /// No longer to be set aside.
    Release(Vec<u8>),
    /// Everything about one file was said. The permit holds its share of memory until it is written.
    Done { bytes: u64, permit: Permit },
}

/// Where items go; `false` when nobody listens any more.
pub(super) type Emit<'a> = dyn FnMut(Item) -> bool + 'a;

/// Ends the work on a file.
pub(super) enum Stop {
    /// Asked to stop, or nobody listens.
    Cancelled,
    /// The whole run must end.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Everything needed to prepare files; shared by the threads of a run.
pub(super) struct Preparer<'a> {
    pub(super) ledger: &'a SqliteLedger,
    pub(super) extractor: &'a dyn Extractor,
    pub(super) embedder: &'a dyn Embedder,
    pub(super) profiles: &'a Profiles,
    pub(super) request: &'a IngestRequest,
    pub(super) limits: &'a IngestLimits,
    /// What files looked like when this process last read them.
    pub(super) stamps: &'a Stamps,
    /// When the run began.
    pub(super) now: SystemTime,
    pub(super) cancel: &'a Cancel,
}

/// One item of a file: the file itself, or something inside it.
struct Place<'p> {
    id: DocumentId,
    locator: Vec<u8>,
    path: String,
    name: &'p str,
    parent: Option<DocumentId>,
    depth: u32,
}

/// What the files inside one file amount to, over all depths.
#[derive(Default)]
struct Inside {
    count: u64,
    bytes: u64,
}

impl Preparer<'_> {
    /// Prepares one file and everything inside it.
    pub(super) fn file(&self, found: &FoundFile, permit: Permit, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let mut permit = permit;
        let locator = locator(&found.path);
        let name = found.path.file_name().unwrap_or(found.path.as_os_str()).to_string_lossy();
        let place = Place {
            id: DocumentId::derive(&self.request.labels.source, &locator),
            path: found.path.to_string_lossy().into_owned(),
            locator,
            name: &name,
            parent: None,
            depth: 0,
        };
        let mut held = 0;
        let mut counting = |item: Item| {
            held += weight(&item);
            emit(item)
        };
        self.contents(found, &place, &mut counting)?;
        permit.settle(held);
        send(emit, Item::Done { bytes: found.bytes, permit })
    }

    fn contents(&self, found: &FoundFile, place: &Place<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
        // Taken before the reading: a change meanwhile makes the stamp an old one.
        let stamp = std::fs::symlink_metadata(&found.path).ok().and_then(|metadata| Stamp::of(&metadata));
        if let Some(sha256) = stamp.and_then(|stamp| self.stamps.digest(place.id, stamp))
            && self.as_before(place, sha256, emit)?
        {
            return Ok(());
        }
        match read_stable(&found.path, self.limits.max_file_bytes) {
            Err(fault) => send(emit, Item::Quarantine(self.fault(place, None, fault))),
            Ok(bytes) => {
                let sha256 = Digest::of(&bytes);
                if let Some(stamp) = stamp {
                    self.stamps.remember(place.id, stamp, sha256, self.now);
                }
                self.item(place, &bytes, sha256, &mut Inside::default(), emit)
            }
        }
    }

    /// Sets a file aside that met a defect of Fontes.
    pub(super) fn panicked(&self, found: &FoundFile, budget: &Arc<Budget>, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let fault = ReadFault {
            kind: ErrorKind::Internal,
            code: "internal",
            message: "a defect of fontes kept the file from being prepared".into(),
            advice: "report the kind of this file; the run goes on without it",
            transient: true,
        };
        let path = found.path.to_string_lossy().into_owned();
        send(emit, Item::Quarantine(self.path_fault(locator(&found.path), path, None, fault)))?;
        let Some(permit) = budget.claim(0, &|| false) else { return Err(Stop::Cancelled) };
        send(emit, Item::Done { bytes: found.bytes, permit })
    }

    /// Says whether these bytes need no work, and if so tells what is known of them.
    fn as_before(&self, place: &Place<'_>, sha256: Digest, emit: &mut Emit<'_>) -> Result<bool, Stop> {
        let source = &self.request.labels.source;
        let known = self.ledger.known(place.id)?;
        let aside = self.ledger.quarantine_entry(source, &place.locator)?;
        if let Some(known) = known.filter(|known| self.is_current(known, sha256)) {
            let parts = self.ledger.quarantined_inside(source, &place.locator)?;
            if parts.iter().any(|part| self.deserves_retry(part)) {
                return Ok(false);
            }
            if aside.is_some() {
                send(emit, Item::Release(place.locator.clone()))?;
            }
            self.unchanged(&known, emit)?;
            for part in &parts {
                send(emit, Item::Settled(FileRecord::quarantined(part)))?;
            }
            return Ok(true);
        }
        match aside.filter(|entry| entry.sha256 == Some(sha256) && !self.deserves_retry(entry)) {
            Some(entry) => send(emit, Item::Settled(FileRecord::quarantined(&entry))).map(|()| true),
            None => Ok(false),
        }
    }

    fn item(
        &self,
        place: &Place<'_>,
        bytes: &[u8],
        sha256: Digest,
        inside: &mut Inside,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        if self.as_before(place, sha256, emit)? {
            return Ok(());
        }
        let known = self.ledger.known(place.id)?;
        let status = if known.is_some() { FileStatus::Changed } else { FileStatus::New };
        match self.extractor.extract(bytes, place.name, self.cancel) {
            Ok(extraction) => self.extracted(place, (sha256, bytes.len() as u64), extraction, status, inside, emit),
            Err(ExtractError::Cancelled) => Err(Stop::Cancelled),
            Err(error @ ExtractError::WorkerUnavailable { .. }) => Err(Stop::Failed(error.into())),
            Err(error) => {
                let entry = self.extract_fault(place, sha256, &error);
                send(emit, Item::Quarantine(entry))
            }
        }
    }

    /// Children first: when the parent is found unchanged later, everything inside it is known to be done.
    fn extracted(
        &self,
        place: &Place<'_>,
        (sha256, bytes): (Digest, u64),
        extraction: Extraction,
        status: FileStatus,
        inside: &mut Inside,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        let Extraction { document, children, warnings } = extraction;
        self.children(place, children, inside, emit)?;
        let profile = self.profile(&document.media_type)?;
        let chunker = Chunker::new(profile, self.embedder);
        let chunks = chunker.chunk(&document, place.id, sha256)?;
        let record = FileRecord {
            path: place.path.clone(),
            document_id: Some(place.id),
            sha256: Some(sha256),
            status,
            media_type: Some(document.media_type.clone()),
            pages: document.pages.len(),
            chunks: chunks.len(),
            language: Some(document.language),
            error: None,
            duplicate_of: None,
            warnings,
        };
        let title = document.metadata.title.clone().filter(|title| !title.trim().is_empty());
        let prepared = Prepared {
            id: place.id,
            locator: place.locator.clone(),
            parent: place.parent,
            bytes,
            sha256,
            title: title.unwrap_or_else(|| place.name.to_owned()),
            document,
            chunks,
            chunker: chunker.version().to_owned(),
            prefix: profile.prefix(),
            record,
        };
        send(emit, Item::Write(Box::new(prepared)))
    }

    fn children(
        &self,
        parent: &Place<'_>,
        children: Vec<Child>,
        inside: &mut Inside,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        let source = &self.request.labels.source;
        let mut present = BTreeSet::new();
        for child in children {
            let locator = [&parent.locator[..], b"!/", child.path_inside.as_bytes()].concat();
            let place = Place {
                id: DocumentId::derive(source, &locator),
                path: format!("{}!/{}", parent.path, child.path_inside),
                locator,
                name: &child.name,
                parent: Some(parent.id),
                depth: parent.depth + 1,
            };
            inside.count += 1;
            inside.bytes = inside.bytes.saturating_add(child.bytes.len() as u64);
            match self.over_limit(place.depth, inside) {
                Some(error) => {
                    let entry = self.extract_fault(&place, Digest::of(&child.bytes), &error);
                    send(emit, Item::Quarantine(entry))?;
                }
                None => self.item(&place, &child.bytes, Digest::of(&child.bytes), inside, emit)?,
            }
            present.insert(place.locator);
        }
        for known in self.ledger.children(parent.id)? {
            if !present.contains(&known.locator) {
                self.gone(known, emit)?;
            }
        }
        for part in self.ledger.quarantined_inside(source, &parent.locator)? {
            // What is deeper inside is looked at by the child it is inside of.
            let kept = present.iter().any(|locator| part.locator.starts_with(locator));
            if !kept {
                send(emit, Item::Release(part.locator))?;
            }
        }
        Ok(())
    }

    fn over_limit(&self, depth: u32, inside: &Inside) -> Option<ExtractError> {
        let limits = &self.limits.parse;
        let limit = |what: &str, limit| Some(ExtractError::Limit { what: what.to_owned(), limit });
        match () {
            () if depth > limits.depth => limit("nesting of files in files", limits.depth.into()),
            () if inside.count > limits.children => limit("number of files inside", limits.children),
            () if inside.bytes > limits.inflated_bytes => limit("bytes of the files inside", limits.inflated_bytes),
            () => None,
        }
    }

    /// Says that a known document and everything inside it are gone, the innermost first.
    pub(super) fn gone(&self, known: KnownDocument, emit: &mut Emit<'_>) -> Result<(), Stop> {
        for child in self.ledger.children(known.id)? {
            self.gone(child, emit)?;
        }
        send(emit, Item::Gone(known))
    }

    fn unchanged(&self, known: &KnownDocument, emit: &mut Emit<'_>) -> Result<(), Stop> {
        send(emit, Item::Settled(record_of(known, FileStatus::Unchanged)))?;
        for child in self.ledger.children(known.id)? {
            self.unchanged(&child, emit)?;
        }
        Ok(())
    }

    /// Says whether the same bytes would be stored in the same way again.
    fn is_current(&self, known: &KnownDocument, sha256: Digest) -> bool {
        known.sha256 == sha256
            && known.labels == self.request.labels
            && self.profile(&known.media_type).is_ok_and(|profile| {
                known.chunker == Chunker::new(profile, self.embedder).version()
                    && known.context == profile.prefix().to_string()
            })
    }

    fn deserves_retry(&self, entry: &QuarantineEntry) -> bool {
        entry.transient || self.request.retry
    }

    fn profile(&self, media_type: &str) -> Result<&Profile> {
        match &self.request.profile {
            Some(name) => self.profiles.named(name),
            None => Ok(self.profiles.for_media_type(media_type)),
        }
    }

    fn extract_fault(&self, place: &Place<'_>, sha256: Digest, error: &ExtractError) -> QuarantineEntry {
        QuarantineEntry {
            source: self.request.labels.source.clone(),
            locator: place.locator.clone(),
            path: place.path.clone(),
            sha256: Some(sha256),
            kind: error.kind(),
            code: error.code().to_owned(),
            message: error.to_string(),
            advice: Some(error.advice().to_owned()),
            transient: error.is_transient(),
            attempts: 1,
        }
    }

    fn fault(&self, place: &Place<'_>, sha256: Option<Digest>, fault: ReadFault) -> QuarantineEntry {
        self.path_fault(place.locator.clone(), place.path.clone(), sha256, fault)
    }

    /// The entry for a path that could not be read.
    pub(super) fn path_fault(
        &self,
        locator: Vec<u8>,
        path: String,
        sha256: Option<Digest>,
        fault: ReadFault,
    ) -> QuarantineEntry {
        let ReadFault { kind, code, message, advice, transient } = fault;
        QuarantineEntry {
            source: self.request.labels.source.clone(),
            locator,
            path,
            sha256,
            kind,
            code: code.to_owned(),
            message,
            advice: Some(advice.to_owned()),
            transient,
            attempts: 1,
        }
    }
}

/// The record of a document that needs no writing.
pub(super) fn record_of(known: &KnownDocument, status: FileStatus) -> FileRecord {
    FileRecord {
        document_id: Some(known.id),
        sha256: Some(known.sha256),
        media_type: Some(known.media_type.clone()),
        pages: known.pages,
        chunks: known.chunks,
        language: Some(known.language),
        ..FileRecord::bare(known.path.clone(), status)
    }
}

/// The record of a link or a special file.
pub(super) fn record_skipped(path: &Path, code: &str) -> FileRecord {
    let error = FileError {
        kind: ErrorKind::Invalid,
        code: code.to_owned(),
        message: format!("not a file of its own: {}", code.replace('_', " ")),
        advice: Some("ingest what it points to by its own path".into()),
    };
    FileRecord { error: Some(error), ..FileRecord::bare(path.to_string_lossy().into_owned(), FileStatus::Skipped) }
}

fn send(emit: &mut Emit<'_>, item: Item) -> Result<(), Stop> {
    if emit(item) { Ok(()) } else { Err(Stop::Cancelled) }
}

/// Bytes an item holds until it is written: the text, its chunks with their overlap, and their vectors.
fn weight(item: &Item) -> u64 {
    match item {
        Item::Write(prepared) => {
            let chunks: usize = prepared.chunks.iter().map(|chunk| chunk.text.len() + CHUNK_BYTES).sum();
            (prepared.document.text.len() + chunks) as u64
        }
        _ => 0,
    }
}

/// A chunk's own fields, its vector of some hundred numbers, and its text once more with context.
const CHUNK_BYTES: usize = 4096;

/// What a file costs while it is read and extracted: its bytes here, and once more on their way to the worker.
pub(super) fn cost_of_reading(found: &FoundFile) -> u64 {
    found.bytes.saturating_mul(2)
}
