//! The writing stage, on the calling thread: commits groups, counts, and tells.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use fontes_core::{Cancel, IndexSnapshot, Ledger as _, Result};

use super::{
    IngestEvent, IngestRequest, IngestSummary, Ingestion, Progress,
    embed::{Embedding, Group},
    pause::Pause,
    prepare::{Item, Preparer, Stop, record_of, record_skipped},
    read::unreadable,
    report::{FileRecord, FileStatus},
    stage::{Meter, Stage},
    walk::{Walk, locator, outermost},
};

/// How often progress is told while a group is embedded.
const TICK: Duration = Duration::from_millis(200);

/// Writes what the other stages hand over.
pub(super) struct Writer<'a> {
    ingestion: &'a Ingestion,
    request: &'a IngestRequest,
    observer: &'a mut dyn FnMut(IngestEvent<'_>),
    cancel: &'a Cancel,
    meter: &'a Meter,
    progress: Progress,
    summary: IngestSummary,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        ingestion: &'a Ingestion,
        request: &'a IngestRequest,
        observer: &'a mut dyn FnMut(IngestEvent<'_>),
        cancel: &'a Cancel,
        meter: &'a Meter,
    ) -> Self {
        let (progress, summary) = (Progress::default(), IngestSummary::default());
        Self { ingestion, request, observer, cancel, meter, progress, summary }
    }

    pub(super) fn begin(&mut self, walk: &Walk) {
        self.summary.files_seen = walk.files.len() + walk.skipped.len() + walk.unreadable.len();
        self.progress.files_total = walk.files.len();
        self.progress.bytes_total = walk.files.iter().map(|file| file.bytes).sum();
        (self.observer)(IngestEvent::Found(self.progress));
    }

    pub(super) fn was_cancelled(&self) -> bool {
        self.summary.cancelled
    }

    pub(super) fn into_summary(self) -> IngestSummary {
        self.summary
    }

    /// Writes groups until none come. What was embedded when a stop is asked for is dropped, not written: the next
    /// run embeds it again.
    pub(super) fn receive(
        &mut self,
        groups: Receiver<Result<Group>>,
        embedding: &Embedding<'_>,
        pause: &Pause,
    ) -> Result<()> {
        loop {
            let received = groups.recv_timeout(TICK);
            if self.cancel.is_cancelled() {
                self.summary.cancelled = true;
                return Ok(());
            }
            self.progress.chunks = embedding.embedded();
            self.progress.paused = pause.is_set();
            match received {
                Ok(group) => self.commit(group?)?,
                Err(RecvTimeoutError::Timeout) => (self.observer)(IngestEvent::Progress(self.progress)),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Writes a group; when it returns, what it tells is durable. Dropping the group frees its memory.
    fn commit(&mut self, mut group: Group) -> Result<()> {
        if !self.request.dry_run {
            let snapshot = self.write(&mut group)?;
            if !group.writes.is_empty() || !group.gone.is_empty() {
                (self.observer)(IngestEvent::Committed(snapshot));
            }
        }
        let Group { writes, quarantine, gone, settled, done, .. } = group;
        self.summary.tokens += writes.iter().map(|prepared| prepared.tokens).sum::<usize>();
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

    fn write(&mut self, group: &mut Group) -> Result<IndexSnapshot> {
        let ledger = &self.ingestion.parts.ledger;
        let source = &self.request.labels.source;
        // Before the documents: a parent that is active says that everything inside it was dealt with.
        self.meter.time(Stage::Ledger, || {
            ledger.quarantine(&group.quarantine, self.ingestion.parts.clock.now())?;
            ledger.release(source, &group.release)
        })?;
        let mut snapshot = None;
        if !group.gone.is_empty() {
            let gone: Vec<_> = group.gone.iter().map(|known| known.id).collect();
            snapshot = Some(self.ingestion.remove(&gone)?);
        }
        if !group.writes.is_empty() {
            snapshot = Some(self.ingestion.write(&group.writes, &group.embeddings, self.meter)?);
            for prepared in &mut group.writes {
                prepared.record.duplicate_of = ledger.duplicate_of(prepared.id, prepared.sha256)?;
            }
        }
        snapshot.map_or_else(|| ledger.snapshot(), Ok)
    }

    /// What the walk itself says: links, unreadable paths, and documents whose files are gone.
    pub(super) fn finish(&mut self, walk: &Walk, preparer: &Preparer<'_>) -> Result<()> {
        let ledger = &self.ingestion.parts.ledger;
        let mut group = Group::default();
        for (path, code) in &walk.skipped {
            group.settled.push(record_skipped(path, code));
        }
        for (path, error) in &walk.unreadable {
            let shown = path.to_string_lossy().into_owned();
            group.quarantine.push(preparer.path_fault(locator(path), shown, None, unreadable(error)));
        }
        let source = &self.request.labels.source;
        for known in ledger.top_level(source)? {
            if preparer.moves.is_gone(&known.locator) && !preparer.moves.followed(known.id) {
                let mut emit = |item| {
                    if let Item::Gone(known) = item {
                        group.gone.push(known);
                    }
                    true
                };
                match preparer.gone(known, &mut emit) {
                    Err(Stop::Failed(error)) => return Err(error),
                    Err(Stop::Cancelled) | Ok(()) => {}
                }
            }
        }
        let aside = ledger.quarantined()?.into_iter();
        let released =
            aside.filter(|entry| entry.source == *source && preparer.moves.is_gone(outermost(&entry.locator)));
        group.release = released.map(|entry| entry.locator).collect();
        self.commit(group)?;
        self.optimize()
    }

    /// Lets the vector index build its graph over what the run brought in. Searches are right without it, only
    /// slower; interrupted, it is done again by the next run that writes.
    fn optimize(&mut self) -> Result<()> {
        if self.request.dry_run || self.summary.chunks == 0 {
            return Ok(());
        }
        self.meter.time(Stage::Optimize, || self.ingestion.parts.vectors.optimize())
    }
}
