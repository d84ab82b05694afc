//! One thread pool for everything: short parallel regions with a barrier that spins before it sleeps.
//!
//! Generating one token enters about a hundred regions of 20–200 µs each. Waking a sleeping thread costs
//! 5–50 µs, so a worker that finds nothing spins for a while ([`SPINS`]) and only then sleeps; an idle pool costs
//! nothing. Regions of different sessions take turns (a mutex held for one region), so two requests at once never
//! put more threads to work than the pool has, and a pool smaller than the machine leaves the rest to searches.
//!
//! Work is handed out in small ranges from a shared counter, not in fixed shares: when a neighbour takes one core
//! away for a time slice, the other threads take over its part. Each range computes its own outputs entirely,
//! so results do not depend on the number of threads.
//!
//! A region must not enter another region of the same pool: it would wait for itself.

use std::{
    any::Any,
    cell::UnsafeCell,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

/// Turns of the waiting loop before a worker sleeps: at some 40 cycles a `pause` about 50 µs, longer than the
/// serial gaps within a layer and far shorter than a scheduler's time slice.
const SPINS: u32 = 4_000;

type Work = dyn Fn(usize) + Sync;

/// Threads that run parallel regions together with the calling thread.
pub struct ThreadPool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    region: Mutex<()>,
}

struct Shared {
    /// The work of the present region; written by the thread that holds `ThreadPool::region`.
    work: UnsafeCell<Option<*const Work>>,
    /// Counts regions; a change starts the workers.
    epoch: AtomicU64,
    /// Workers that have not finished the present region.
    pending: AtomicUsize,
    /// Workers asleep on `wake`.
    sleeping: AtomicUsize,
    stop: AtomicBool,
    gate: Mutex<()>,
    wake: Condvar,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is the only field that is not already `Sync`. It is written before `epoch` changes (release) and
// read by workers after they saw the change (acquire); it is written again only after `pending` reached zero,
// which each worker signals (release) after its last use. The pointee is `Sync` and outlives the region,
// because `ThreadPool::run` does not return, nor unwind, before `pending` is zero.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is only followed within a region.
unsafe impl Send for Shared {}

impl ThreadPool {
    /// Starts a pool of `threads` threads, counting the caller of each region: `threads - 1` are spawned; zero
    /// counts as one. Threads that the system refuses are done without.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            work: UnsafeCell::new(None),
            epoch: AtomicU64::new(0),
            pending: AtomicUsize::new(0),
            sleeping: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            gate: Mutex::new(()),
            wake: Condvar::new(),
            panicked: Mutex::new(None),
        });
        let workers = (1..threads)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("kernel-{index}")).spawn(move || shared.serve(index)).ok()
            })
            .collect();
        Self { shared, workers, region: Mutex::new(()) }
    }

    /// The pool of `threads` threads that everything in this process shares, started when first asked for and ended with
    /// its last user. Two models in one process so do not put twice the threads to work.
    pub fn shared(threads: usize) -> Arc<Self> {
        static POOLS: Mutex<Vec<(usize, Weak<ThreadPool>)>> = Mutex::new(Vec::new());
        let threads = threads.max(1);
        let mut pools = lock(&POOLS);
        pools.retain(|(_, pool)| pool.strong_count() > 0);
        let running = pools.iter().find(|(count, _)| *count == threads).and_then(|(_, pool)| pool.upgrade());
        running.unwrap_or_else(|| {
            let pool = Arc::new(Self::new(threads));
            pools.push((threads, Arc::downgrade(&pool)));
            pool
        })
    }

    /// Number of threads that work in a region, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` with ranges of at most `grain` items that together are `0..items`, on all threads.
    pub fn for_each_range(&self, items: usize, grain: usize, work: impl Fn(Range<usize>) + Sync) {
        let grain = grain.max(1);
        if items == 0 {
            return;
        }
        if self.workers.is_empty() || items <= grain {
            return work(0..items);
        }
        let next = AtomicUsize::new(0);
        self.run(&|_| {
            loop {
                let start = next.fetch_add(grain, Ordering::Relaxed);
                if start >= items {
                    return;
                }
                work(start..items.min(start + grain));
            }
        });
    }

    /// Calls `work` with the index and the content of each chunk of `data`, on all threads. The last chunk may
    /// be shorter. A thread takes `grain` chunks at a time.
    pub fn for_each_chunk<T: Send>(
        &self,
        data: &mut [T],
        chunk: usize,
        grain: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let (len, chunk) = (data.len(), chunk.max(1));
        let start = SharedMut(data.as_mut_ptr());
        self.for_each_range(len.div_ceil(chunk), grain, |range| {
            for index in range {
                let from = index * chunk;
                // SAFETY: `from..from + size` lies in `data`; every index is handed out once, so no two slices
                // overlap; `data` is borrowed mutably until the region has ended.
                let piece = unsafe { std::slice::from_raw_parts_mut(start.at(from), chunk.min(len - from)) };
                work(index, piece);
            }
        });
    }

    /// Calls `work` once on every thread, with the thread's index, and waits for all.
    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        let turn = lock(&self.region);
        // SAFETY: only the lifetime is erased; see `Shared`: nothing follows the pointer after this function.
        let erased = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const Work>(work) };
        // SAFETY: `region` is held and no region is under way, so no worker reads the cell.
        unsafe { *self.shared.work.get() = Some(erased) };
        self.shared.pending.store(self.workers.len(), Ordering::Relaxed);
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        if self.shared.sleeping.load(Ordering::SeqCst) > 0 {
            let _gate = lock(&self.shared.gate);
            self.shared.wake.notify_all();
        }
        let mine = catch_unwind(AssertUnwindSafe(|| work(0)));
        let mut turns = 0_u32;
        while self.shared.pending.load(Ordering::Acquire) > 0 {
            turns += 1;
            // The workers may need this very core.
            if turns > SPINS { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        let theirs = lock(&self.shared.panicked).take();
        drop(turn);
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _gate = lock(&self.shared.gate);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker only panics inside `catch_unwind`, so there is nothing to report.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// The life of a worker.
    fn serve(&self, index: usize) {
        let mut seen = 0;
        while let Some(epoch) = self.next_epoch(seen) {
            seen = epoch;
            // SAFETY: the epoch changed, so `run` has written the cell and waits until `pending` is zero.
            let work = unsafe { *self.work.get() };
            if let Some(work) = work {
                // SAFETY: the pointee lives until `run` returns, which is after this worker's decrement.
                let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (*work)(index) }));
                if let Err(panic) = outcome {
                    *lock(&self.panicked) = Some(panic);
                }
            }
            self.pending.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for another epoch than `seen`: spinning, then asleep. Returns nothing when the pool ends.
    fn next_epoch(&self, seen: u64) -> Option<u64> {
        let changed = || {
            let epoch = self.epoch.load(Ordering::SeqCst);
            (epoch != seen).then_some(epoch)
        };
        for _ in 0..SPINS {
            if let Some(epoch) = changed() {
                return Some(epoch);
            }
            std::hint::spin_loop();
        }
        let mut gate = lock(&self.gate);
        // Announced before the last look at the epoch, as `run` changes the epoch before it looks here: with both
        // in one total order, one of the two sees the other.
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        let epoch = loop {
            if let Some(epoch) = changed() {
                break Some(epoch);
            }
            if self.stop.load(Ordering::SeqCst) {
                break None;
            }
            gate = self.wake.wait(gate).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        epoch
    }
}

/// Locks, whatever happened to the last holder: the protected values have no invariant that a panic could break.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The start of a buffer whose disjoint parts are written by different threads.
pub(super) struct SharedMut<T>(*mut T);

// SAFETY: the pointer itself may travel; each use states why its part is not touched by another thread.
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<T> {}

impl<T> SharedMut<T> {
    /// Takes the start of `data`.
    pub(super) fn new(data: &mut [T]) -> Self {
        Self(data.as_mut_ptr())
    }

    /// The address of element `index`.
    ///
    /// # Safety
    /// `index` is within the buffer, or one past its end.
    #[inline(always)]
    pub(super) unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: the caller keeps within the buffer.
        unsafe { self.0.add(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for threads in [0, 1, 2, 5] {
            let pool = ThreadPool::new(threads);
            for (items, grain) in [(0, 1), (1, 1), (7, 2), (1000, 3), (5, 100)] {
                let mut counts = vec![0_u32; items];
                pool.for_each_chunk(&mut counts, 1, grain, |_, count| count[0] += 1);
                assert!(counts.iter().all(|&count| count == 1), "{threads} threads, {items} items");
            }
        }
    }

    #[test]
    fn regions_of_several_callers_take_turns() {
        let pool = ThreadPool::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.for_each_range(64, 4, |range| {
                            total.fetch_add(range.len(), Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 4 * 200 * 64);
    }

    #[test]
    fn equal_counts_share_a_pool() {
        let first = ThreadPool::shared(3);
        assert!(Arc::ptr_eq(&first, &ThreadPool::shared(3)));
        assert_eq!(ThreadPool::shared(1).threads(), 1);
    }

    #[test]
    fn wakes_after_sleep() {
        let pool = ThreadPool::new(2);
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let mut data = vec![0_u8; 64];
            pool.for_each_chunk(&mut data, 1, 1, |_, byte| byte[0] = 1);
            assert!(data.iter().all(|&byte| byte == 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = ThreadPool::new(2);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each_range(16, 1, |range| assert!(range.start != 7, "seven"));
        }));
        assert!(outcome.is_err());
        let count = AtomicUsize::new(0);
        pool.for_each_range(16, 1, |range| {
            count.fetch_add(range.len(), Ordering::Relaxed);
        });
        assert_eq!(count.load(Ordering::Relaxed), 16);
    }
}
