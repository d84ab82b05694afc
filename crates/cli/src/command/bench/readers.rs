//! Many people who search while documents come in: what each search takes, and whether all that was committed is found by its words.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fontes_core::{AccessScope, Cancel, Error, Query, SearchMode};
use fontes_retrieval::Searcher;
use serde_json::Value;

use super::{HITS, quantile};
use crate::interrupt;

/// A reader asks, and reads so long before the next question.
const PAUSE: Duration = Duration::from_secs(1);

/// How long readers search alone.
const ALONE: Duration = Duration::from_secs(20);

/// Readers of an archive.
pub(super) struct Readers<'a> {
    pub searcher: &'a Searcher,
    pub scope: AccessScope,
    pub queries: &'a [String],
    pub count: u16,
}

impl Readers<'_> {
    /// Times hybrid searches of all readers, first alone and then while `write` runs; afterwards each of `headings`, which it wrote,
    /// must be found first. Adds to `figures`: `readers`, `readers_alone_…` and `readers_beside_writer_…` with `searches`, `p50_ms`,
    /// `p99_ms` and `max_ms`, and `missing_after_commit`.
    pub(super) fn measure(
        &self,
        write: impl FnOnce() -> anyhow::Result<()>,
        headings: impl Iterator<Item = String>,
        figures: &mut Value,
        cancel: &Cancel,
    ) -> anyhow::Result<()> {
        figures["readers"] = self.count.into();
        let wait = || {
            let begin = Instant::now();
            while begin.elapsed() < ALONE {
                interrupt::check(cancel)?;
                thread::sleep(PAUSE / 10);
            }
            Ok(())
        };
        report(figures, "readers_alone", &mut self.during(wait)?);
        report(figures, "readers_beside_writer", &mut self.during(write)?);
        interrupt::check(cancel)?;
        let mut missing = 0;
        for heading in headings {
            let query = Query { text: heading.clone(), k: 1, mode: SearchMode::Lexical, ..Query::default() };
            let found = self.searcher.search(&query, &self.scope)?;
            missing += usize::from(!found.hits.iter().any(|hit| hit.headings.contains(&heading)));
        }
        figures["missing_after_commit"] = missing.into();
        Ok(())
    }

    /// The times of all searches, in milliseconds, that began while `work` ran.
    fn during(&self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
        let (done, failed) = (AtomicBool::new(false), Mutex::new(None));
        let times = Mutex::new(Vec::new());
        thread::scope(|threads| {
            for reader in 0..self.count {
                let (done, failed, times) = (&done, &failed, &times);
                threads.spawn(move || match self.read(reader, done) {
                    Ok(own) => times.lock().unwrap_or_else(PoisonError::into_inner).extend(own),
                    Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                });
            }
            let _stop = Stop(&done);
            work()
        })?;
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.into()),
            None => Ok(times.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// One reader's searches. Readers begin one after the other within the first pause, each with other questions.
    fn read(&self, reader: u16, done: &AtomicBool) -> Result<Vec<f64>, Error> {
        let mut times = Vec::new();
        thread::sleep(PAUSE * u32::from(reader) / u32::from(self.count));
        for text in self.queries.iter().cycle().skip(usize::from(reader) * 7) {
            if done.load(Ordering::Relaxed) {
                break;
            }
            let begin = Instant::now();
            let query = Query { text: text.clone(), k: HITS, mode: SearchMode::Hybrid, ..Query::default() };
            self.searcher.search(&query, &self.scope)?;
            times.push(begin.elapsed().as_secs_f64() * 1_000.0);
            thread::sleep(PAUSE.saturating_sub(begin.elapsed()));
        }
        Ok(times)
    }
}

/// Lets readers stop, however the work ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn report(figures: &mut Value, name: &str, times: &mut [f64]) {
    figures[format!("{name}_searches")] = times.len().into();
    for (quantity, share) in [("p50", 0.50), ("p99", 0.99), ("max", 1.0)] {
        figures[format!("{name}_{quantity}_ms")] = quantile(times, share).into();
    }
}
