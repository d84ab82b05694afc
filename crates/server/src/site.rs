//! What the binary composed, and the gate through which work reaches blocking threads.

use std::sync::Arc;

use fontes_core::{AccessPolicy, AccessScope, Error, ErrorKind, Ledger, Result};
use fontes_generation::Answerer;
use fontes_retrieval::Searcher;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// Requests at work at once. A generator uses every core for one answer, so a few more only wait inside.
const AT_WORK: usize = 8;

/// A composed Fontes, shared by all requests.
pub struct Site {
    searcher: Arc<Searcher>,
    answerer: Arc<Answerer>,
    ledger: Arc<dyn Ledger>,
    policy: AccessPolicy,
    metrics: Metrics,
    gate: Arc<Semaphore>,
}

impl Site {
    /// Joins the parts.
    pub fn new(
        searcher: Arc<Searcher>,
        answerer: Arc<Answerer>,
        ledger: Arc<dyn Ledger>,
        policy: AccessPolicy,
    ) -> Self {
        let gate = Arc::new(Semaphore::new(AT_WORK));
        Self { searcher, answerer, ledger, policy, metrics: Metrics::default(), gate }
    }

    /// The searcher.
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// The answerer.
    pub fn answerer(&self) -> &Answerer {
        &self.answerer
    }

    /// The ledger's read side.
    pub fn ledger(&self) -> &dyn Ledger {
        self.ledger.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What requests may see: the default principal's scope, for there are no identities yet.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] when the configuration names no such principal.
    pub fn scope(&self) -> Result<AccessScope> {
        self.policy.scope(None)
    }

    /// Takes a place at work, or says at once that there is none.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.gate).try_acquire_owned().map_err(|_full| {
            Error::new(ErrorKind::Overloaded, "too many questions at once").advise("try again in a few seconds")
        })
    }

    /// Runs `work` on a blocking thread.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.enter()?;
        let site = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _at_work = permit;
            work(&site)
        })
        .await
        .unwrap_or_else(|_panicked| Err(Error::internal("a request's work ended abnormally")))
    }
}
