//! The embedding stage: collects documents into groups and gives each group its vectors.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, SystemTime},
};

use fontes_core::{Cancel, Digest, Embedding as Embedded, Error, Result};

use super::{
    IngestRequest, IngestionParts,
    budget::{Budget, Permit},
    commit::BATCH,
    kept::Kept,
    prepare::{Item, Prepared},
    report::FileRecord,
    run::Message,
    stage::{Meter, Stage},
};
use crate::{
    chunk::Prefixer,
    ledger::{KnownDocument, QuarantineEntry},
};

/// A group is written when it has this many chunks, …
const GROUP_CHUNKS: usize = 512;

/// … or this many documents, …
const GROUP_DOCUMENTS: usize = 64;

/// … or is this old, so that a kill loses little work, …
const GROUP_AGE: Duration = Duration::from_secs(2);

/// … or nothing came for this long.
const IDLE: Duration = Duration::from_millis(200);

/// Texts seen in this run whose embeddings are kept: copies of documents, letterheads and quoted mails are embedded
/// once. Some 25 MB at 384 dimensions, mostly signs of tokens.
const REMEMBERED: usize = 2048;

/// Embeddings that need not be made again.
struct Known {
    /// Of this run, by the digest of their text.
    remembered: HashMap<Digest, Embedded>,
    /// Of a run that was cut off.
    kept: Kept,
}

/// Documents to be written together, and what becomes true with them.
#[derive(Default)]
pub(super) struct Group {
    pub(super) writes: Vec<Prepared>,
    /// One per chunk of `writes`, in order; empty until embedded.
    pub(super) embeddings: Vec<Embedded>,
    pub(super) quarantine: Vec<QuarantineEntry>,
    pub(super) gone: Vec<KnownDocument>,
    pub(super) release: Vec<Vec<u8>>,
    pub(super) settled: Vec<FileRecord>,
    pub(super) done: Vec<(u64, Permit)>,
    chunks: usize,
    since: Option<SystemTime>,
}

impl Group {
    fn take(&mut self, item: Item, now: SystemTime) {
        self.since.get_or_insert(now);
        match item {
            Item::Write(prepared) => {
                self.chunks += prepared.chunks.len();
                self.writes.push(*prepared);
            }
            Item::Settled(record) => self.settled.push(*record),
            Item::Quarantine(entry) => self.quarantine.push(entry),
            Item::Gone(known) => self.gone.push(known),
            Item::Release(locator) => self.release.push(locator),
            Item::Done { bytes, permit } => self.done.push((bytes, permit)),
        }
    }
}

/// The stage between preparing and writing.
pub(super) struct Embedding<'a> {
    parts: &'a IngestionParts,
    dry_run: bool,
    cancel: &'a Cancel,
    budget: &'a Arc<Budget>,
    meter: &'a Meter,
    embedded: AtomicUsize,
}

impl<'a> Embedding<'a> {
    pub(super) fn new(
        parts: &'a IngestionParts,
        request: &IngestRequest,
        cancel: &'a Cancel,
        budget: &'a Arc<Budget>,
        meter: &'a Meter,
    ) -> Self {
        Self { parts, dry_run: request.dry_run, cancel, budget, meter, embedded: AtomicUsize::new(0) }
    }

    /// Chunks embedded so far.
    pub(super) fn embedded(&self) -> usize {
        self.embedded.load(Ordering::Relaxed)
    }

    /// Works until nothing comes, nobody takes, or something fails. A set `cancel` ends it between two batches.
    pub(super) fn run(&self, items: &Receiver<Message>, groups: &SyncSender<Result<Group>>, kept: Kept) {
        let mut known = Known { remembered: HashMap::new(), kept };
        let mut group = Group::default();
        loop {
            let received = items.recv_timeout(IDLE);
            if self.cancel.is_cancelled() {
                return;
            }
            let (ready, then) = match received {
                Ok(Ok(item)) => {
                    group.take(item, self.parts.clock.now());
                    (self.is_full(&group), Ok(true))
                }
                // What came before the failure is good and need not be done again.
                Ok(Err(error)) => (true, Err(error)),
                Err(RecvTimeoutError::Timeout) => (true, Ok(true)),
                Err(RecvTimeoutError::Disconnected) => (true, Ok(false)),
            };
            if ready && group.since.is_some() && !self.hand_over(std::mem::take(&mut group), groups, &mut known) {
                return;
            }
            match then {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let _nobody_listens_when_the_run_already_ends = groups.send(Err(error));
                    return;
                }
            }
        }
    }

    fn is_full(&self, group: &Group) -> bool {
        let age = || {
            let now = self.parts.clock.now();
            group.since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default()
        };
        group.chunks >= GROUP_CHUNKS
            || group.writes.len() >= GROUP_DOCUMENTS
            || self.budget.is_tight()
            || age() >= GROUP_AGE
    }

    /// Embeds a group and passes it on; says whether to go on.
    fn hand_over(&self, mut group: Group, groups: &SyncSender<Result<Group>>, known: &mut Known) -> bool {
        let made = if self.dry_run { Ok(Some(Vec::new())) } else { self.embed(&group.writes, known) };
        match made {
            Ok(Some(embeddings)) => {
                group.embeddings = embeddings;
                groups.send(Ok(group)).is_ok()
            }
            Ok(None) => false,
            Err(error) => {
                let _nobody_listens_when_the_run_already_ends = groups.send(Err(error));
                false
            }
        }
    }

    /// Embeds every chunk, equal texts once and texts of like length together: a batch is as slow as its longest.
    /// The result has the order of the chunks; `None` when asked to stop.
    fn embed(&self, writes: &[Prepared], known: &mut Known) -> Result<Option<Vec<Embedded>>> {
        let Known { remembered, kept } = known;
        let embedder = &*self.parts.embedder;
        let mut digests = Vec::new();
        let mut texts: HashMap<Digest, String> = HashMap::new();
        for prepared in writes {
            let mut prefixer = Prefixer::new(&prepared.title, prepared.prefix, embedder);
            for chunk in &prepared.chunks {
                let text = prefixer.embedding_text(chunk)?;
                let digest = Digest::of(text.as_bytes());
                digests.push(digest);
                if !remembered.contains_key(&digest) {
                    texts.insert(digest, text);
                }
            }
        }
        let mut embeddings: HashMap<Digest, Embedded> = HashMap::with_capacity(texts.len());
        embeddings.extend(texts.keys().filter_map(|digest| Some((*digest, kept.take(digest)?))));
        texts.retain(|digest, _| !embeddings.contains_key(digest));
        let mut fresh: Vec<(Digest, String)> = texts.into_iter().collect();
        fresh.sort_by(|(a, one), (b, other)| one.len().cmp(&other.len()).then_with(|| a.cmp(b)));
        kept.begin(fresh.len(), &embeddings);
        for batch in fresh.chunks(BATCH) {
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            let inputs: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            let embedded = self.meter.time(Stage::Embed, || embedder.embed_passages(&inputs))?;
            if embedded.len() != inputs.len() {
                return Err(Error::internal("the embedder gives another number of vectors than texts"));
            }
            kept.add(batch.iter().map(|(digest, _)| digest).zip(&embedded));
            embeddings.extend(batch.iter().map(|(digest, _)| *digest).zip(embedded));
            self.embedded.fetch_add(batch.len(), Ordering::Relaxed);
        }
        let copies = digests.len() - fresh.len();
        self.embedded.fetch_add(copies, Ordering::Relaxed);
        let found = |digest| embeddings.get(digest).or_else(|| remembered.get(digest));
        let in_order: Vec<Embedded> = digests.iter().filter_map(found).cloned().collect();
        if remembered.len() + embeddings.len() > REMEMBERED {
            remembered.clear();
        }
        remembered.extend(embeddings.into_iter().take(REMEMBERED));
        Ok(Some(in_order))
    }
}
