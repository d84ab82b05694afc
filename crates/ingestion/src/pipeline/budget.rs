//! A bound on the bytes of documents between the disk and the indexes.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often a waiting thread looks whether the run was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes in flight. Threads wait before they read a file that would pass the limit.
pub(super) struct Budget {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

impl Budget {
    /// Makes a budget of `limit` bytes.
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: Mutex::new(0), freed: Condvar::new() })
    }

    /// Waits for `bytes`; a claim above the whole limit waits until it is alone. `None` when `stopped` says so.
    pub(super) fn claim(self: &Arc<Self>, bytes: u64, stopped: &dyn Fn() -> bool) -> Option<Permit> {
        let claim = bytes.min(self.limit);
        let mut used = self.used();
        while *used + claim > self.limit {
            if stopped() {
                return None;
            }
            let waited = self.freed.wait_timeout(used, LOOK).unwrap_or_else(PoisonError::into_inner);
            used = waited.0;
        }
        *used += claim;
        Some(Permit { budget: Arc::clone(self), bytes: claim })
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether more than half is in use: time to commit rather than to collect.
    pub(super) fn is_tight(&self) -> bool {
        *self.used() > self.limit / 2
    }
}

/// A share of the budget, given back when dropped.
pub(super) struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Permit {
    /// Replaces the claim by what is really held. Never waits: the memory is already in use.
    pub(super) fn settle(&mut self, bytes: u64) {
        let mut used = self.budget.used();
        *used = *used - self.bytes + bytes;
        self.bytes = bytes;
        drop(used);
        self.budget.freed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.budget.used() -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn claims_wait_for_room_and_giants_for_solitude() {
        let budget = Budget::new(100);
        let never = || false;
        let first = budget.claim(60, &never).unwrap();
        assert!(budget.is_tight());
        assert!(budget.claim(60, &|| true).is_none(), "stopped while waiting");
        let passed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _giant = budget.claim(1_000, &never).unwrap();
                passed.store(true, Ordering::SeqCst);
            });
            std::thread::sleep(LOOK);
            assert!(!passed.load(Ordering::SeqCst));
            drop(first);
        });
        assert!(passed.load(Ordering::SeqCst));
        assert_eq!(*budget.used(), 0);
    }

    #[test]
    fn a_settled_claim_counts_what_is_held() {
        let budget = Budget::new(100);
        let mut permit = budget.claim(80, &|| false).unwrap();
        permit.settle(10);
        assert!(!budget.is_tight());
        permit.settle(300);
        drop(permit);
        assert_eq!(*budget.used(), 0);
    }
}
