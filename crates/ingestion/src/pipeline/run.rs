//! One run: threads that prepare, and the calling thread that embeds, writes and tells.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, SystemTime},
};

use fontes_core::{Cancel, Error, IndexSnapshot, Ledger as _, Result, seam::EmbedAs, seam::require_labels};

use super::{
    IngestEvent, IngestRequest, IngestSummary, Ingestion, Progress,
    budget::{Budget, Permit},
    commit::BATCH,
    prepare::{Item, Prepared, Preparer, Stop, cost_of_reading, record_of, record_skipped},
    read::unreadable,
    report::{FileRecord, FileStatus},
    walk::{FoundFile, Walk, locator, walk},
};
use crate::{
    chunk::embedding_text,
    ledger::{KnownDocument, QuarantineEntry},
};

/// Items between the threads and the writer. Few: the budget bounds bytes, this bounds many small ones.
const QUEUE: usize = 32;

/// A group is written when it has this many chunks, …
const GROUP_CHUNKS: usize = 512;

/// … or this many documents, …
const GROUP_DOCUMENTS: usize = 64;

/// … or is this old, so that a kill loses little work, …
const GROUP_AGE: Duration = Duration::from_secs(2);

/// … or nothing came for this long.
const IDLE: Duration = Duration::from_millis(200);

type Message = Result<Item>;

/// Runs `request`; the caller holds the turn.
pub(super) fn run(
    ingestion: &Ingestion,
    request: &IngestRequest,
    observer: &mut dyn FnMut(IngestEvent<'_>),
    cancel: &Cancel,
) -> Result<IngestSummary> {
    let parts = &ingestion.parts;
    require_labels(&request.labels)?;
    if let Some(name) = &request.profile {
        parts.profiles.named(name)?;
    }
    if !request.dry_run {
        ingestion.recover_turn()?;
    }
    let started = parts.clock.now();
    let data = parts.ledger.path().parent().unwrap_or(parts.ledger.path());
    let walk = walk(&request.roots, data, cancel)?;
    let preparer = Preparer {
        ledger: &parts.ledger,
        extractor: &*parts.extractor,
        embedder: &*parts.embedder,
        profiles: &parts.profiles,
        request,
        limits: &parts.limits,
        stamps: &ingestion.stamps,
        now: started,
        cancel,
    };
    let budget = Budget::new(parts.limits.in_flight_bytes);
    let mut writer = Writer::new(ingestion, request, observer, cancel, &budget);
    writer.begin(&walk);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Message>(QUEUE);
        for _ in 0..request.jobs.clamp(1, walk.files.len().max(1)) {
            let sender = sender.clone();
            let (preparer, budget, next, stop) = (&preparer, &budget, &next, &stop);
            let files = &walk.files;
            scope.spawn(move || prepare_files(preparer, files, next, budget, stop, &sender));
        }
        drop(sender);
        let result = writer.receive(receiver);
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    if !writer.summary.cancelled {
        writer.finish(&walk, &preparer)?;
    }
    let seconds = parts.clock.now().duration_since(started).unwrap_or_default().as_secs_f64();
    let index_snapshot = parts.ledger.snapshot()?;
    Ok(IngestSummary { seconds, index_snapshot, dry_run: request.dry_run, ..writer.summary })
}

/// Takes one file after the other until there are none, nobody listens, or something fails.
fn prepare_files(
    preparer: &Preparer<'_>,
    files: &[FoundFile],
    next: &AtomicUsize,
    budget: &Arc<Budget>,
    stop: &AtomicBool,
    sender: &SyncSender<Message>,
) {
    let stopped = || stop.load(Ordering::Relaxed) || preparer.cancel.is_cancelled();
    while let Some(found) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        if stopped() {
            return;
        }
        let Some(permit) = budget.claim(cost_of_reading(found), &stopped) else { return };
        let mut emit = |item| sender.send(Ok(item)).is_ok();
        // A defect met by one file must not end the run. Nothing the closure shares is left half-written: the
        // ledger rolls back a transaction that is dropped.
        let prepared = catch_unwind(AssertUnwindSafe(|| preparer.file(found, permit, &mut emit)));
        match prepared.unwrap_or_else(|_panic| preparer.panicked(found, budget, &mut emit)) {
            Ok(()) => {}
            Err(Stop::Cancelled) => return,
            Err(Stop::Failed(error)) => {
                // Nobody listening means that the run already ends for another reason.
                let _ = sender.send(Err(error));
                return;
            }
        }
    }
}

/// Documents to be written together, and what becomes true with them.
#[derive(Default)]
struct Group {
    writes: Vec<Prepared>,
    quarantine: Vec<QuarantineEntry>,
    gone: Vec<KnownDocument>,
    release: Vec<Vec<u8>>,
    settled: Vec<FileRecord>,
    done: Vec<(u64, Permit)>,
    chunks: usize,
    since: Option<SystemTime>,
}

/// The calling thread's side.
struct Writer<'a> {
    ingestion: &'a Ingestion,
    request: &'a IngestRequest,
    observer: &'a mut dyn FnMut(IngestEvent<'_>),
    cancel: &'a Cancel,
    budget: &'a Arc<Budget>,
    group: Group,
    progress: Progress,
    summary: IngestSummary,
}

impl<'a> Writer<'a> {
    fn new(
        ingestion: &'a Ingestion,
        request: &'a IngestRequest,
        observer: &'a mut dyn FnMut(IngestEvent<'_>),
        cancel: &'a Cancel,
        budget: &'a Arc<Budget>,
    ) -> Self {
        let (group, progress, summary) = (Group::default(), Progress::default(), IngestSummary::default());
        Self { ingestion, request, observer, cancel, budget, group, progress, summary }
    }

    fn begin(&mut self, walk: &Walk) {
        self.summary.files_seen = walk.files.len() + walk.skipped.len() + walk.unreadable.len();
        self.progress.files_total = walk.files.len();
        self.progress.bytes_total = walk.files.iter().map(|file| file.bytes).sum();
        (self.observer)(IngestEvent::Found(self.progress));
    }

    fn receive(&mut self, receiver: Receiver<Message>) -> Result<()> {
        loop {
            match receiver.recv_timeout(IDLE) {
                Ok(Ok(item)) => self.take(item),
                Ok(Err(error)) => {
                    // What came before the failure is good and need not be done again.
                    self.commit()?;
                    return Err(error);
                }
                Err(RecvTimeoutError::Timeout) => self.commit()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.cancel.is_cancelled() {
                break;
            }
            if self.is_full() {
                self.commit()?;
            }
        }
        if self.cancel.is_cancelled() {
            self.summary.cancelled = true;
            self.group = Group::default();
            return Ok(());
        }
        self.commit()
    }

    fn take(&mut self, item: Item) {
        let group = &mut self.group;
        group.since.get_or_insert_with(|| self.ingestion.parts.clock.now());
        match item {
            Item::Write(prepared) => {
                group.chunks += prepared.chunks.len();
                group.writes.push(*prepared);
            }
            Item::Settled(record) => group.settled.push(record),
            Item::Quarantine(entry) => group.quarantine.push(entry),
            Item::Gone(known) => group.gone.push(known),
            Item::Release(locator) => group.release.push(locator),
            Item::Done { bytes, permit } => group.done.push((bytes, permit)),
        }
    }

    fn is_full(&self) -> bool {
        let group = &self.group;
        let age = || {
            let now = self.ingestion.parts.clock.now();
            group.since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default()
        };
        group.chunks >= GROUP_CHUNKS
            || group.writes.len() >= GROUP_DOCUMENTS
            || self.budget.is_tight()
            || age() >= GROUP_AGE
    }

    /// Writes the group; when it returns, what it tells is durable. Dropping the group frees its memory.
    fn commit(&mut self) -> Result<()> {
        let mut group = std::mem::take(&mut self.group);
        if group.since.is_none() {
            return Ok(());
        }
        if !self.request.dry_run {
            let Some(snapshot) = self.write(&mut group)? else {
                self.summary.cancelled = true;
                return Ok(());
            };
            if !group.writes.is_empty() || !group.gone.is_empty() {
                (self.observer)(IngestEvent::Committed(snapshot));
            }
        }
        let Group { writes, quarantine, gone, settled, done, .. } = group;
        let records = writes.into_iter().map(|prepared| prepared.record);
        let quarantined = quarantine.iter().map(FileRecord::quarantined);
        let removed = gone.iter().map(|known| record_of(known, FileStatus::Removed));
        for record in records.chain(quarantined).chain(removed).chain(settled) {
            self.tell(&record);
        }
        for (bytes, _permit) in done {
            self.progress.files_done += 1;
            self.progress.bytes_done += bytes;
        }
        self.summary.bytes = self.progress.bytes_done;
        (self.observer)(IngestEvent::Progress(self.progress));
        Ok(())
    }

    fn tell(&mut self, record: &FileRecord) {
        self.summary.count(record);
        if matches!(record.status, FileStatus::New | FileStatus::Changed) {
            self.progress.pages += record.pages;
        }
        (self.observer)(IngestEvent::File(record));
    }

    /// `None` when asked to stop before anything was written.
    fn write(&mut self, group: &mut Group) -> Result<Option<IndexSnapshot>> {
        let ledger = &self.ingestion.parts.ledger;
        let labels = &self.request.labels;
        let Some(vectors) = self.embed(&group.writes)? else { return Ok(None) };
        // Before the documents: a parent that is active says that everything inside it was dealt with.
        ledger.quarantine(&group.quarantine, self.ingestion.parts.clock.now())?;
        ledger.release(&labels.source, &group.release)?;
        let mut snapshot = None;
        if !group.gone.is_empty() {
            let gone: Vec<_> = group.gone.iter().map(|known| known.id).collect();
            snapshot = Some(self.ingestion.remove(&gone)?);
        }
        if !group.writes.is_empty() {
            snapshot = Some(self.ingestion.write(&group.writes, &vectors, labels)?);
            for prepared in &mut group.writes {
                prepared.record.duplicate_of = ledger.duplicate_of(prepared.id, prepared.sha256)?;
            }
        }
        snapshot.map_or_else(|| ledger.snapshot(), Ok).map(Some)
    }

    /// Embeds every chunk of the group, texts of like length together: a batch is as slow as its longest.
    /// The result has the order of the chunks; `None` when asked to stop.
    fn embed(&mut self, writes: &[Prepared]) -> Result<Option<Vec<Vec<f32>>>> {
        let embedder = &*self.ingestion.parts.embedder;
        let chunks = writes.iter().flat_map(|prepared| prepared.chunks.iter().map(move |chunk| (prepared, chunk)));
        let texts = chunks
            .map(|(prepared, chunk)| embedding_text(chunk, &prepared.title, prepared.prefix, embedder))
            .collect::<Result<Vec<String>>>()?;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| texts[index].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in order.chunks(BATCH) {
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            let inputs: Vec<&str> = batch.iter().map(|&index| texts[index].as_str()).collect();
            let embedded = embedder.embed(&inputs, EmbedAs::Passage)?;
            if embedded.len() != inputs.len() {
                return Err(Error::internal("the embedder gives another number of vectors than texts"));
            }
            for (&index, vector) in batch.iter().zip(embedded) {
                vectors[index] = vector;
            }
            self.progress.chunks += batch.len();
            (self.observer)(IngestEvent::Progress(self.progress));
        }
        Ok(Some(vectors))
    }

    /// What the walk itself says: links, unreadable paths, and documents whose files are gone.
    fn finish(&mut self, walk: &Walk, preparer: &Preparer<'_>) -> Result<()> {
        self.group.since = Some(self.ingestion.parts.clock.now());
        for (path, code) in &walk.skipped {
            self.group.settled.push(record_skipped(path, code));
        }
        for (path, error) in &walk.unreadable {
            let shown = path.to_string_lossy().into_owned();
            self.group.quarantine.push(preparer.path_fault(locator(path), shown, None, unreadable(error)));
        }
        let source = &self.request.labels.source;
        let present: BTreeSet<Vec<u8>> = walk.files.iter().map(|file| locator(&file.path)).collect();
        let is_gone = |locator: &[u8]| walk.covers(locator) && !present.contains(outermost(locator));
        let mut gone = Vec::new();
        for known in self.ingestion.parts.ledger.top_level(source)? {
            if is_gone(&known.locator) {
                let mut emit = |item| {
                    if let Item::Gone(known) = item {
                        gone.push(known);
                    }
                    true
                };
                match preparer.gone(known, &mut emit) {
                    Err(Stop::Failed(error)) => return Err(error),
                    Err(Stop::Cancelled) | Ok(()) => {}
                }
            }
        }
        self.group.gone = gone;
        let aside = self.ingestion.parts.ledger.quarantined()?.into_iter();
        let released = aside.filter(|entry| entry.source == *source && is_gone(&entry.locator));
        self.group.release = released.map(|entry| entry.locator).collect();
        self.commit()
    }
}

/// The path of the file on disk, without what is inside it.
fn outermost(locator: &[u8]) -> &[u8] {
    let inside = locator.windows(2).position(|pair| pair == b"!/");
    inside.map_or(locator, |at| &locator[..at])
}
