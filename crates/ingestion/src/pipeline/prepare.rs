//! From a file to something to write: read, compare, extract, chunk. Runs on several threads.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use fontes_core::{Cancel, Chunk, Digest, Document, DocumentId, Error, ErrorKind, Labels, Result};
use fontes_extract::{Child, ExtractError, Extraction, MediaType};

use super::{
    IngestRequest, IngestionParts,
    budget::{Budget, Permit},
    moves::Moves,
    read::{ReadFault, read_stable},
    report::{FileError, FileRecord, FileStatus},
    stage::{Meter, Stage},
    stamp::{Stamp, Stamps},
    walk::{EXPIRED, FoundFile, Walk, locator},
};
use crate::{
    chunk::{Chunker, Measure},
    ledger::{KnownDocument, QuarantineEntry},
    profile::{Prefix, Profile},
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
    /// Names and numbers of the one patient it is about.
    pub(super) patient: Vec<String>,
    /// Those of the document around it.
    pub(super) patient_around: Vec<String>,
    pub(super) chunks: Vec<Chunk>,
    /// Of all chunks together.
    pub(super) tokens: usize,
    pub(super) labels: Labels,
    pub(super) chunker: String,
    pub(super) prefix: Prefix,
    pub(super) record: FileRecord,
}

/// What a thread hands to the writer, in order. `Done` ends a file.
pub(super) enum Item {
    /// New or changed.
    Write(Box<Prepared>),
    /// Nothing to write.
    Settled(Box<FileRecord>),
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
    pub(super) parts: &'a IngestionParts,
    pub(super) request: &'a IngestRequest,
    /// What files looked like when this process last read them.
    pub(super) stamps: &'a Stamps,
    pub(super) walk: &'a Walk,
    pub(super) moves: &'a Moves<'a>,
    pub(super) meter: &'a Meter,
    pub(super) cancel: &'a Cancel,
}

/// One item of a file: the file itself, or something inside it.
pub(super) struct Place<'p> {
    pub(super) id: DocumentId,
    pub(super) locator: Vec<u8>,
    pub(super) path: String,
    name: &'p str,
    labels: &'p Labels,
    parent: Option<DocumentId>,
    /// Whom the document around it is about.
    patient: &'p [String],
    depth: u32,
    /// Where the file was when it was last seen, if elsewhere.
    pub(super) moved_from: Option<String>,
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
        let mut held = 0;
        let mut counting = |item: Item| {
            held += weight(&item);
            emit(item)
        };
        self.contents(found, &mut counting)?;
        permit.settle(held);
        send(emit, Item::Done { bytes: found.bytes, permit })
    }

    fn contents(&self, found: &FoundFile, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let locator = locator(&found.path);
        let path = found.path.to_string_lossy().into_owned();
        let source = &self.request.labels.source;
        let stored = self.parts.ledger.document_at(source, &locator)?;
        let labels = match self.labels(found) {
            Ok(labels) => labels,
            Err(fault) => return self.close(stored, self.path_fault(locator, path, None, fault), emit),
        };
        let name = found.path.file_name().unwrap_or(found.path.as_os_str()).to_string_lossy();
        let id = match stored {
            Some(id) => id,
            None => self.fresh_id(&locator)?,
        };
        let mut place = Place {
            id,
            locator,
            path,
            name: &name,
            labels: &labels,
            parent: None,
            patient: &[],
            depth: 0,
            moved_from: None,
        };
        // Taken before the reading: a change meanwhile makes the stamp an old one.
        let metadata = std::fs::symlink_metadata(&found.path).ok();
        let now = self.parts.clock.now();
        if metadata.as_ref().is_some_and(|metadata| self.is_unsettled(metadata, now)) {
            return send(emit, Item::Settled(Box::new(record_skipped(&found.path, SETTLING))));
        }
        let stamp = metadata.as_ref().and_then(Stamp::of);
        if let Some(sha256) = stamp.and_then(|stamp| self.stamps.digest(place.id, stamp))
            && self.as_before(&place, sha256, emit)?
        {
            return Ok(());
        }
        let read =
            || read_stable(&found.path, self.parts.limits.max_file_bytes).map(|bytes| (Digest::of(&bytes), bytes));
        match self.meter.time(Stage::Read, read) {
            Err(fault) => send(emit, Item::Quarantine(self.fault(&place, None, fault))),
            Ok((sha256, bytes)) => {
                if stored.is_none() {
                    self.follow_move(&mut place, sha256)?;
                }
                if let Some(stamp) = stamp {
                    self.stamps.remember(place.id, stamp, sha256, now);
                }
                self.item(&place, &bytes, sha256, &mut Inside::default(), emit)
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
        let known = self.parts.ledger.known(place.id)?;
        let aside = self.parts.ledger.quarantine_entry(source, &place.locator)?;
        if let Some(known) = known.filter(|known| self.is_current(known, place, sha256)) {
            let parts = self.parts.ledger.quarantined_inside(source, &place.locator)?;
            if parts.iter().any(|part| self.deserves_retry(part)) {
                return Ok(false);
            }
            if aside.is_some() {
                send(emit, Item::Release(place.locator.clone()))?;
            }
            self.unchanged(&known, place, emit)?;
            for part in &parts {
                send(emit, Item::Settled(Box::new(FileRecord::quarantined(part))))?;
            }
            return Ok(true);
        }
        match aside.filter(|entry| entry.sha256 == Some(sha256) && !self.deserves_retry(entry)) {
            Some(entry) => send(emit, Item::Settled(Box::new(FileRecord::quarantined(&entry)))).map(|()| true),
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
        let known = self.parts.ledger.known(place.id)?;
        let status = if known.is_some() { FileStatus::Changed } else { FileStatus::New };
        let extract = || self.parts.extractor.extract(bytes, place.name, self.cancel);
        match self.meter.time(Stage::Extract, extract) {
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
        let patient = document.metadata.patient.names(place.patient).to_vec();
        self.children(place, &patient, children, inside, emit)?;
        let profile = self.profile(&document.media_type)?;
        let chunker = Chunker::new(profile, &*self.parts.embedder);
        let cut = || chunker.counted(&document, place.id, sha256);
        let (chunks, tokens) = self.meter.time(Stage::Chunk, cut)?;
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
            moved_from: place.moved_from.clone(),
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
            patient,
            patient_around: place.patient.to_vec(),
            chunks,
            tokens,
            labels: place.labels.clone(),
            chunker: chunker.version().to_owned(),
            prefix: profile.prefix(),
            record,
        };
        send(emit, Item::Write(Box::new(prepared)))
    }

    fn children(
        &self,
        parent: &Place<'_>,
        patient: &[String],
        children: Vec<Child>,
        inside: &mut Inside,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        let source = &self.request.labels.source;
        let mut present = BTreeSet::new();
        for child in children {
            let locator = [&parent.locator[..], b"!/", child.path_inside.as_bytes()].concat();
            let id = match self.parts.ledger.document_at(source, &locator)? {
                Some(id) => id,
                None => self.fresh_id(&locator)?,
            };
            let place = Place {
                id,
                path: format!("{}!/{}", parent.path, child.path_inside),
                locator,
                name: &child.name,
                labels: parent.labels,
                parent: Some(parent.id),
                patient,
                depth: parent.depth + 1,
                moved_from: None,
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
        for known in self.parts.ledger.children(parent.id)? {
            if !present.contains(&known.locator) {
                self.gone(known, emit)?;
            }
        }
        for part in self.parts.ledger.quarantined_inside(source, &parent.locator)? {
            // What is deeper inside is looked at by the child it is inside of.
            let kept = present.iter().any(|locator| part.locator.starts_with(locator));
            if !kept {
                send(emit, Item::Release(part.locator))?;
            }
        }
        Ok(())
    }

    fn over_limit(&self, depth: u32, inside: &Inside) -> Option<ExtractError> {
        let limits = &self.parts.limits.parse;
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
        for child in self.parts.ledger.children(known.id)? {
            self.gone(child, emit)?;
        }
        send(emit, Item::Gone(known))
    }

    /// Says that the document at `place` is as before, and everything inside it.
    fn unchanged(&self, known: &KnownDocument, place: &Place<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let status = if place.moved_from.is_some() { FileStatus::Moved } else { FileStatus::Unchanged };
        let (path, moved_from) = (place.path.clone(), place.moved_from.clone());
        send(emit, Item::Settled(Box::new(FileRecord { path, moved_from, ..record_of(known, status) })))?;
        self.unchanged_inside(known.id, emit)
    }

    fn unchanged_inside(&self, parent: DocumentId, emit: &mut Emit<'_>) -> Result<(), Stop> {
        for child in self.parts.ledger.children(parent)? {
            send(emit, Item::Settled(Box::new(record_of(&child, FileStatus::Unchanged))))?;
            self.unchanged_inside(child.id, emit)?;
        }
        Ok(())
    }

    /// Says whether the same bytes would be stored in the same way again.
    fn is_current(&self, known: &KnownDocument, place: &Place<'_>, sha256: Digest) -> bool {
        // A document without a title goes by its file name, and that may have changed.
        let named_after = place.moved_from.as_deref().and_then(|path| path.rsplit('/').next());
        known.sha256 == sha256
            && known.labels == *place.labels
            && known.patient_around == place.patient
            && (known.patient_read || !MediaType::may_hold_records(&known.media_type))
            && named_after.is_none_or(|name| name == place.name || name != known.title)
            && self.profile(&known.media_type).is_ok_and(|profile| {
                self.cuts_so(profile, &known.chunker) && known.context == profile.prefix().to_string()
            })
    }

    /// Says whether `profile` cuts as `chunker` did, in the embedder's own measure or in that of one that was there before
    /// it: another embedder is no reason to cut a whole archive anew.
    fn cuts_so(&self, profile: &Profile, chunker: &str) -> bool {
        let own = Measure::of(&*self.parts.embedder);
        [&own].into_iter().chain(&self.parts.measures).any(|measure| measure.version(profile) == chunker)
    }

    fn deserves_retry(&self, entry: &QuarantineEntry) -> bool {
        entry.transient || self.request.retry
    }

    fn profile(&self, media_type: &str) -> Result<&Profile> {
        match &self.request.profile {
            Some(name) => self.parts.profiles.named(name),
            None => Ok(self.parts.profiles.for_media_type(media_type)),
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

/// Code of a file that may be half written.
const SETTLING: &str = "settling";

/// The record of a file that is not taken in, by the code that says why.
pub(super) fn record_skipped(path: &Path, code: &str) -> FileRecord {
    let (kind, message, advice) = match code {
        EXPIRED => (ErrorKind::Invalid, "past the time its source keeps files".into(), "raise keep_days to keep it"),
        SETTLING => (ErrorKind::Unavailable, "changed just now".into(), "it is taken in when it is left alone"),
        _ => {
            let message = format!("not a file of its own: {}", code.replace('_', " "));
            (ErrorKind::Invalid, message, "ingest what it points to by its own path")
        }
    };
    let error = FileError { kind, code: code.to_owned(), message, advice: Some(advice.into()) };
    FileRecord { error: Some(error), ..FileRecord::bare(path.to_string_lossy().into_owned(), FileStatus::Skipped) }
}

pub(super) fn send(emit: &mut Emit<'_>, item: Item) -> Result<(), Stop> {
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
