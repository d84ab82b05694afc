//! One run: threads that prepare, a thread that embeds, and the calling thread that writes and tells.
//!
//! ```text
//! prepare (jobs threads) ─ items ─► embed ─ groups ─► write
//! ```
//!
//! Both queues are short and block: whichever stage is slowest sets the pace, and the others wait instead of
//! filling memory.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use fontes_core::{Cancel, Ledger as _, Result, seam::require_labels};

use super::{
    IngestEvent, IngestRequest, IngestSummary, Ingestion,
    budget::Budget,
    embed::{Embedding, Group},
    kept::{self, Kept},
    moves::Moves,
    pause::Pause,
    prepare::{Item, Preparer, Stop, cost_of_reading},
    stage::Meter,
    walk::{FoundFile, walk},
    write::Writer,
};

/// Items between the preparing threads and the embedding one. Few: the budget bounds bytes, this bounds many
/// small ones.
const QUEUE: usize = 32;

/// Embedded groups that wait for the writer: one, so that embedding goes on while another group is written.
pub(super) const GROUPS: usize = 1;

/// How often a paused run looks whether it may go on.
const PAUSED: Duration = Duration::from_millis(200);

/// What the preparing threads send.
pub(super) type Message = Result<Item>;

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
    let walk = walk(&request.roots, data, &request.select, started, cancel)?;
    let (meter, budget, moves) = (Meter::default(), Budget::new(parts.limits.in_flight_bytes), Moves::new(&walk));
    let preparer =
        Preparer { parts, request, stamps: &ingestion.stamps, walk: &walk, moves: &moves, meter: &meter, cancel };
    let embedding = Embedding::new(parts, request, cancel, &budget, &meter);
    let (next, stop, pause) = (AtomicUsize::new(0), AtomicBool::new(false), Pause::of(data));
    let hands = Hands { preparer: &preparer, next: &next, budget: &budget, stop: &stop, pause: &pause };
    let mut writer = Writer::new(ingestion, request, observer, cancel, &meter);
    writer.begin(&walk);
    std::thread::scope(|scope| {
        let (items, to_embed) = sync_channel::<Message>(QUEUE);
        let (groups, to_write) = sync_channel::<Result<Group>>(GROUPS);
        for _ in 0..request.jobs.clamp(1, walk.files.len().max(1)) {
            let items = items.clone();
            scope.spawn(move || hands.prepare_files(&items));
        }
        drop(items);
        let embedding = &embedding;
        let kept = Kept::open(data, &*parts.embedder);
        scope.spawn(move || embedding.run(&to_embed, &groups, kept));
        // Dropping its end of the queue when it returns makes everybody else stop handing over.
        let result = writer.receive(to_write, embedding, &pause);
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    if !writer.was_cancelled() {
        writer.finish(&walk, &preparer)?;
        if !request.dry_run {
            kept::clear(data)?;
        }
    }
    let seconds = parts.clock.now().duration_since(started).unwrap_or_default().as_secs_f64();
    let index_snapshot = parts.ledger.snapshot()?;
    Ok(IngestSummary {
        seconds,
        index_snapshot,
        dry_run: request.dry_run,
        stages: meter.seconds(),
        ..writer.into_summary()
    })
}

/// What the preparing threads share.
#[derive(Clone, Copy)]
struct Hands<'a> {
    preparer: &'a Preparer<'a>,
    next: &'a AtomicUsize,
    budget: &'a Arc<Budget>,
    stop: &'a AtomicBool,
    pause: &'a Pause,
}

impl Hands<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.preparer.cancel.is_cancelled()
    }

    /// Takes one file after the other until there are none, nobody listens, or something fails.
    fn prepare_files(&self, items: &SyncSender<Message>) {
        while let Some(found) = self.preparer.walk.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            while self.pause.is_set() && !self.stopped() {
                std::thread::sleep(PAUSED);
            }
            if self.stopped() {
                return;
            }
            match self.prepare(found, items) {
                Ok(()) => {}
                Err(Stop::Cancelled) => return,
                Err(Stop::Failed(error)) => {
                    // Nobody listening means that the run already ends for another reason.
                    let _ = items.send(Err(error));
                    return;
                }
            }
        }
    }

    fn prepare(&self, found: &FoundFile, items: &SyncSender<Message>) -> Result<(), Stop> {
        let permit = self.budget.claim(cost_of_reading(found), &|| self.stopped()).ok_or(Stop::Cancelled)?;
        let mut emit = |item: Item| items.send(Ok(item)).is_ok();
        // A defect met by one file must not end the run. Nothing the closure shares is left half-written: the
        // ledger rolls back a transaction that is dropped.
        let prepared = catch_unwind(AssertUnwindSafe(|| self.preparer.file(found, permit, &mut emit)));
        prepared.unwrap_or_else(|_panic| self.preparer.panicked(found, self.budget, &mut emit))
    }
}
