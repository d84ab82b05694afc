//! Where the time of a run goes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use serde::Serialize;

/// Seconds that threads spent in each stage. Stages run side by side and several threads extract at once, so the
/// sum is more than the run took; the largest says what to speed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StageSeconds {
    /// Reading files and digesting them.
    pub read: f64,
    /// Parsing, waiting for a worker included.
    pub extract: f64,
    /// Counting tokens and cutting.
    pub chunk: f64,
    /// Embedding.
    pub embed: f64,
    /// Writing vectors and making them durable.
    pub vectors: f64,
    /// Writing postings and committing them.
    pub lexical: f64,
    /// Ledger transactions of the writer.
    pub ledger: f64,
    /// Building the graph over the vectors, once at the end.
    pub optimize: f64,
}

impl StageSeconds {
    /// Adds another run's seconds.
    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.extract += other.extract;
        self.chunk += other.chunk;
        self.embed += other.embed;
        self.vectors += other.vectors;
        self.lexical += other.lexical;
        self.ledger += other.ledger;
        self.optimize += other.optimize;
    }
}

/// One stage.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Read,
    Extract,
    Chunk,
    Embed,
    Vectors,
    Lexical,
    Ledger,
    Optimize,
}

/// Adds up the time of each stage over all threads of a run.
#[derive(Debug, Default)]
pub(super) struct Meter([AtomicU64; 8]);

impl Meter {
    /// Does `work` and counts its time for `stage`.
    pub(super) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = work();
        let nanoseconds = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0[stage as usize].fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }

    /// What was counted so far.
    pub(super) fn seconds(&self) -> StageSeconds {
        let of = |stage: Stage| self.0[stage as usize].load(Ordering::Relaxed) as f64 / 1e9;
        StageSeconds {
            read: of(Stage::Read),
            extract: of(Stage::Extract),
            chunk: of(Stage::Chunk),
            embed: of(Stage::Embed),
            vectors: of(Stage::Vectors),
            lexical: of(Stage::Lexical),
            ledger: of(Stage::Ledger),
            optimize: of(Stage::Optimize),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_is_counted_where_it_was_spent() {
        let meter = Meter::default();
        assert_eq!(meter.time(Stage::Embed, || 7), 7);
        meter.time(Stage::Vectors, || std::thread::sleep(Duration::from_millis(5)));
        meter.time(Stage::Vectors, || std::thread::sleep(Duration::from_millis(5)));
        let seconds = meter.seconds();
        assert!(seconds.vectors >= 0.010 && seconds.embed < seconds.vectors && seconds.read == 0.0, "{seconds:?}");
    }
}
