//! What the binary composed, and the gate through which work reaches blocking threads.

use std::{collections::BTreeSet, sync::Arc};

use fontes_core::{
    AccessPolicy, AccessScope, Answer, AskSettings, Cancel, DocumentId, Error, ErrorKind, Filter, Ledger, Query,
    Remark, Result, Sampling, SearchSettings,
};
use fontes_generation::{Answerer, AskEvent, AskRequest, RewriteLimits, Weighed, rewritten, standalone};
use fontes_retrieval::{PassageOptions, SearchResult, Searcher, passages};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// Requests at work at once. A generator uses every core for one answer, so a few more only wait inside.
const AT_WORK: usize = 8;

/// Hits searched per passage wanted: neighbours merge.
const HITS_PER_PASSAGE: usize = 3;

/// Passages an answer is made from unless the caller says otherwise.
pub const DEFAULT_PASSAGES: usize = 8;

/// Longest answer unless the caller says otherwise, in tokens: a few sentences.
pub const DEFAULT_MAX_TOKENS: usize = 320;

/// A question with everything that decides its answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The question.
    pub question: String,
    /// Most passages to answer from.
    pub k: usize,
    /// Narrowing conditions.
    pub filter: Filter,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// At most this many tokens of answer.
    pub max_tokens: usize,
    /// Documents left out of consideration, as if they were not there: for leave-one-out checks.
    pub without: BTreeSet<DocumentId>,
    /// Earlier questions of the conversation, oldest first.
    pub earlier: Vec<String>,
    /// Confidence below which to stay silent; `None` is the site's.
    pub threshold: Option<f32>,
    /// Record attention per sentence, and answer again without each cited passage.
    pub explain: bool,
    /// Give quoted sentences at once, before the generated ones come.
    pub preview: bool,
    /// How passages are searched for; `None` is the site's way.
    pub search: Option<SearchSettings>,
}

impl Ask {
    /// A question with the usual settings: greedy, and short enough for a small machine.
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            k: DEFAULT_PASSAGES,
            filter: Filter::default(),
            sampling: Sampling::default(),
            max_tokens: DEFAULT_MAX_TOKENS,
            without: BTreeSet::new(),
            earlier: Vec::new(),
            threshold: None,
            explain: false,
            preview: false,
            search: None,
        }
    }
}

impl Ask {
    /// What an answer records of the request.
    fn settings(&self, search: SearchSettings) -> AskSettings {
        AskSettings {
            passages: self.k,
            max_tokens: self.max_tokens,
            sampling: self.sampling.clone(),
            filter: self.filter.clone(),
            earlier: self.earlier.clone(),
            threshold: self.threshold,
            attention: self.explain,
            leave_one_out: self.explain,
            search,
        }
    }

    /// The request that an answer records, to be asked again.
    pub fn again(answer: &Answer) -> Self {
        let settings = &answer.settings;
        Self {
            k: settings.passages,
            filter: settings.filter.clone(),
            sampling: settings.sampling.clone(),
            max_tokens: settings.max_tokens,
            earlier: settings.earlier.clone(),
            threshold: settings.threshold,
            explain: settings.attention,
            search: Some(settings.search),
            ..Self::new(answer.question.as_str())
        }
    }
}

/// A composed Fontes, shared by all requests.
pub struct Site {
    searcher: Arc<Searcher>,
    answerer: Arc<Answerer>,
    ledger: Arc<dyn Ledger>,
    policy: AccessPolicy,
    search: SearchSettings,
    rewriting: RewriteLimits,
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
        let (search, rewriting) = (SearchSettings::default(), RewriteLimits::default());
        Self { searcher, answerer, ledger, policy, search, rewriting, metrics: Metrics::default(), gate }
    }

    /// Decides how is searched where a request does not say, and what a generator may spend on it. Without this, plainly.
    #[must_use]
    pub fn with_search(self, search: SearchSettings, rewriting: RewriteLimits) -> Self {
        Self { search, rewriting, ..self }
    }

    /// How is searched where a request does not say.
    pub fn search_settings(&self) -> SearchSettings {
        self.search
    }

    /// Searches, with the generator's help where `settings` want it. When it fails, the question is searched for as it stands,
    /// and the remark says so.
    ///
    /// # Errors
    /// Those of [`Searcher::search`]; [`ErrorKind::Timeout`] when cancelled before.
    pub fn search(
        &self,
        query: Query,
        settings: &SearchSettings,
        scope: &AccessScope,
        cancel: &Cancel,
    ) -> Result<(SearchResult, Option<Remark>)> {
        let mut query = Query { split: settings.split, ..query };
        let mut remark = None;
        if let Some(generator) = self.answerer.generator()
            && (settings.rewrite || settings.hypothetical)
            && query.text.chars().any(char::is_alphanumeric)
        {
            match rewritten(generator.as_ref(), &query.text, settings, &self.rewriting, cancel) {
                Ok(also) => query.also.extend(also),
                Err(error) if cancel.is_cancelled() => return Err(error),
                Err(_) => remark = Some(Remark::NotRewritten),
            }
        }
        Ok((self.searcher.search(&query, scope)?, remark))
    }

    /// The searcher.
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// The answerer.
    pub fn answerer(&self) -> &Answerer {
        &self.answerer
    }

    /// Searches, makes passages, answers. The one way from a question to an answer, for page and terminal.
    ///
    /// # Errors
    /// Those of [`Searcher::search`] and [`Answerer::answer`].
    pub fn answer(
        &self,
        ask: &Ask,
        scope: &AccessScope,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<Answer> {
        self.answerer.answer(self.request(ask, scope, cancel)?, on_event, cancel)
    }

    /// The sentences that quoting would choose from, for learning and inspecting.
    ///
    /// # Errors
    /// Those of [`Searcher::search`] and [`Answerer::weigh`].
    pub fn weigh(&self, ask: &Ask, scope: &AccessScope) -> Result<Vec<Weighed>> {
        self.answerer.weigh(self.request(ask, scope, &Cancel::default())?)
    }

    /// Searches and makes passages.
    fn request<'a>(&self, ask: &'a Ask, scope: &'a AccessScope, cancel: &Cancel) -> Result<AskRequest<'a>> {
        let settings = ask.search.unwrap_or(self.search);
        let earlier: Vec<&str> = ask.earlier.iter().map(String::as_str).collect();
        let standalone = Some(standalone(&ask.question, &earlier)).filter(|alone| *alone != ask.question);
        let query = Query {
            text: standalone.as_ref().unwrap_or(&ask.question).clone(),
            k: ask.k.saturating_mul(HITS_PER_PASSAGE),
            filter: ask.filter.clone(),
            without: ask.without.clone(),
            ..Query::default()
        };
        let (found, remark) = self.search(query, &settings, scope, cancel)?;
        let options = PassageOptions { limit: ask.k, diversity: settings.diversity, ..PassageOptions::default() };
        Ok(AskRequest {
            question: &ask.question,
            standalone,
            passages: passages(&found.hits, self.ledger.as_ref(), scope, &options)?,
            snapshot: found.snapshot,
            scope,
            queries: found.queries,
            remarks: remark.into_iter().collect(),
            settings: ask.settings(settings),
            language: None,
            extractive: false,
            preview: ask.preview,
            retrieval_ms: found.timings.total - found.timings.rerank,
            rerank_ms: found.timings.rerank,
        })
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
