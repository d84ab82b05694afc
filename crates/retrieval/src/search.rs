//! The searcher: legs, fusion, the ledger gate, the rerank slot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fontes_core::{
    AccessScope, EmbeddedQuery, Embedder, Error, Facet, Filter, Hit, IndexSnapshot, Ledger, LexicalIndex, Query,
    Reranker, Result, SearchMode, Subquery, SubqueryKind, TokenStore, VectorIndex,
};
use serde::{Deserialize, Serialize};

use crate::{
    Fused, Fusion, LegShares, QueryAnalysis,
    diversity::diversified,
    features::weigh_documents,
    feedback,
    gate::Gate,
    legs::Legs,
    rescoring::{self, Late, RERANK_DEPTH},
    several::{self, FoundBy, Noted, Text},
};

/// Most hits one search returns; a larger `k` is cut to it. Nobody reads more, and a page of a million hits
/// would hold the archive in memory.
pub const MAX_HITS: usize = 1_000;

/// Fewest candidates per leg. Fusion needs depth: a chunk that both legs rank 30th should still be seen.
const MIN_CANDIDATES: usize = 100;

/// Most candidates per leg.
const MAX_CANDIDATES: usize = 8 * MAX_HITS;

/// How many hits that step back are looked past for each that is wanted. Archives may hold the same notice by the
/// hundred thousand, and every candidate is read.
const LOOK_PAST: usize = 8;

/// Where the time of a search went, in milliseconds. The lexical leg runs beside embedding and the dense leg, so parts do not add up to
/// `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchTimings {
    /// Embedding the query.
    pub embed: f64,
    /// The dense leg without embedding.
    pub dense: f64,
    /// The lexical leg.
    pub lexical: f64,
    /// The dense leg once more, with what was found.
    #[serde(default)]
    pub feedback: f64,
    /// Fusion.
    pub fusion: f64,
    /// The ledger gate.
    pub ledger: f64,
    /// Reranking.
    pub rerank: f64,
    /// From the call to the result.
    pub total: f64,
}

/// Hits and how they came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Best first, ranked from 1.
    pub hits: Vec<Hit>,
    /// Where the time went.
    pub timings: SearchTimings,
    /// The state of the index at the beginning of the search.
    pub snapshot: IndexSnapshot,
    /// What to tell whoever asked about how the question was read.
    pub remark: Option<String>,
    /// What was searched for, the whole question first; nothing when that was all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<Subquery>,
    /// Which of these found each hit, and where it stood, best first.
    #[serde(skip)]
    pub found_by: Vec<Vec<FoundBy>>,
    /// What each leg contributed to the score of each hit, before reranking.
    #[serde(skip)]
    pub shares: Vec<LegShares>,
}

/// When the best hit holds less of what was asked for, by rarity, the question may be misspelt.
const WELL_FOUND: f32 = 0.5;

/// Searches both indexes and shows only what the ledger confirms. Shared by any number of threads.
pub struct Searcher {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) vectors: Arc<dyn VectorIndex>,
    pub(crate) lexical: Arc<dyn LexicalIndex>,
    pub(crate) ledger: Arc<dyn Ledger>,
    reranker: Option<Arc<dyn Reranker>>,
    /// Tokens that late interaction may read; 0 for none.
    late_tokens: usize,
    /// Whether the best of late interaction search once more.
    feedback: bool,
    /// What it need not read.
    tokens: Option<Arc<dyn TokenStore>>,
    pub(crate) fusion: Fusion,
}

impl Searcher {
    /// Joins the parts of a search. The embedder must be the one that built `vectors`.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for unusable fusion weights.
    pub fn new(
        embedder: Arc<dyn Embedder>,
        vectors: Arc<dyn VectorIndex>,
        lexical: Arc<dyn LexicalIndex>,
        ledger: Arc<dyn Ledger>,
        reranker: Option<Arc<dyn Reranker>>,
        fusion: Fusion,
    ) -> Result<Self> {
        fusion.validate()?;
        Ok(Self { embedder, vectors, lexical, ledger, reranker, late_tokens: 0, feedback: false, tokens: None, fusion })
    }

    /// Lets the embedder compare question and best candidates token by token in hybrid searches, and read as many tokens of
    /// them as this. Without it, and where a reranker decides, it does not.
    #[must_use]
    pub fn with_late_interaction(self, tokens: usize) -> Self {
        Self { late_tokens: tokens, ..self }
    }

    /// Lets the dense leg search once more with the best that late interaction finds.
    #[must_use]
    pub fn with_feedback(self, feedback: bool) -> Self {
        Self { feedback, ..self }
    }

    /// Lets late interaction use the signs of tokens that were kept when documents came in.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn TokenStore>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// The same search with another fusion.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for unusable weights.
    pub fn with_fusion(self, fusion: Fusion) -> Result<Self> {
        fusion.validate()?;
        Ok(Self { fusion, ..self })
    }

    /// The present fusion.
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// The same search without reading its best candidates again; `None` when it does not anyway.
    pub fn without_rescoring(&self) -> Option<Self> {
        self.reads_again(SearchMode::Hybrid).then(|| Self {
            embedder: self.embedder.clone(),
            vectors: self.vectors.clone(),
            lexical: self.lexical.clone(),
            ledger: self.ledger.clone(),
            reranker: None,
            late_tokens: 0,
            feedback: false,
            tokens: None,
            fusion: self.fusion,
        })
    }

    fn reads_again(&self, mode: SearchMode) -> bool {
        self.reranker.is_some() || self.interacts_late(mode)
    }

    fn interacts_late(&self, mode: SearchMode) -> bool {
        self.late_tokens > 0 && mode == SearchMode::Hybrid
    }

    /// Finds the best allowed, active chunks for `query`: at most `query.k` and [`MAX_HITS`], best first, in an
    /// order that depends on nothing but index state and query. What only repeats a better hit is named there, under
    /// [`Hit::also_in`], when it is allowed and active too. A query without a letter or digit, or `k` of
    /// 0, finds nothing; very long queries are cut. Where several texts are searched for, each has its share of what is read
    /// again, so that all of them cost hardly more; the whole of a question that was taken apart is not compared token by token.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for an empty query; whatever the indexes, embedder and ledger give.
    pub fn search(&self, query: &Query, scope: &AccessScope) -> Result<SearchResult> {
        let begin = Instant::now();
        if query.text.trim().is_empty() {
            return Err(Error::invalid("query is empty").advise("type at least one word"));
        }
        let snapshot = self.ledger.snapshot()?;
        let mut run = self.run(query, scope);
        let k = query.k.min(MAX_HITS);
        let mut result = SearchResult { snapshot, ..SearchResult::default() };
        if let Some(analysis) = QueryAnalysis::of(&query.text)
            && k > 0
        {
            result.remark.clone_from(&analysis.remark);
            let texts = several::texts(query, analysis);
            for (hit, (shares, found_by)) in self.found(query, &texts, scope, k, &mut run)? {
                result.hits.push(Hit { rank: result.hits.len() + 1, ..hit });
                result.shares.push(shares);
                result.found_by.push(found_by);
            }
            let texts = texts.into_iter().map(|text| text.subquery);
            let also = query.also.iter().filter(|one| one.kind == SubqueryKind::Hypothetical).cloned();
            result.queries = texts.chain(also).collect();
            if result.queries.len() == 1 {
                result.queries.clear();
            }
        }
        result.timings = SearchTimings { total: milliseconds(begin.elapsed()), ..run.timings };
        Ok(result)
    }

    /// The question as it was probably meant, when much of it was not found as typed: for people who look through what
    /// `result` holds. Nothing for a search by similarity alone.
    ///
    /// # Errors
    /// Whatever the lexical index gives.
    pub fn suggestion(&self, query: &Query, scope: &AccessScope, result: &SearchResult) -> Result<Option<String>> {
        let best = result.hits.iter().filter_map(|hit| hit.scores.lexical).fold(0.0, f32::max);
        match QueryAnalysis::of(&query.text) {
            Some(analysis) if query.mode != SearchMode::Dense && best < WELL_FOUND => {
                self.lexical.suggest(&analysis.lexical, scope)
            }
            _ => Ok(None),
        }
    }

    /// Counts the documents that `scope` and `filter` let through, by the values of their fields.
    ///
    /// # Errors
    /// Whatever the lexical index gives.
    pub fn facets(&self, scope: &AccessScope, filter: &Filter) -> Result<Vec<Facet>> {
        self.lexical.facets(scope, filter)
    }

    /// Begins a search.
    pub(crate) fn run<'a>(&'a self, query: &'a Query, scope: &'a AccessScope) -> Run<'a> {
        Run { gate: Gate::new(self.ledger.as_ref(), scope, query), timings: SearchTimings::default() }
    }

    /// Searches for every text and makes one list of what they find: at most `k`, with which of several texts found it.
    fn found(
        &self,
        query: &Query,
        texts: &[Text],
        scope: &AccessScope,
        k: usize,
        run: &mut Run<'_>,
    ) -> Result<Vec<Noted<FoundBy>>> {
        let most = if query.diversity > 0.0 { k.max(RERANK_DEPTH) } else { k };
        let wanted = if self.reads_again(query.mode) { most.max(RERANK_DEPTH) } else { most };
        let depth = (4 * wanted).clamp(MIN_CANDIDATES, MAX_CANDIDATES);
        let (embedded, legs) = self.first_legs(query, scope, texts, depth, run)?;
        // Compared token by token, what is near to all parts and answers none would be the best of the whole.
        let is_apart = self.reranker.is_none() && texts.iter().any(|text| text.subquery.kind == SubqueryKind::Part);
        let is_read = |text: &Text| !is_apart || text.subquery.kind != SubqueryKind::Whole;
        let fusion = self.fusion;
        let of = texts.iter().filter(|text| is_read(text)).count();
        let mut lists = Vec::with_capacity(texts.len());
        for (number, (text, legs)) in texts.iter().zip(legs).enumerate() {
            let (analysis, embedded) = (&text.analysis, embedded.get(number));
            let share = is_read(text).then_some(Share { of });
            lists.push(self.hits(
                Sought { query, scope, fusion, share, analysis, embedded },
                (legs, depth),
                most,
                run,
            )?);
        }
        let by = |(number, rank): (usize, usize)| FoundBy { subquery: texts[number].subquery.clone(), rank };
        let found = match lists.len() {
            1 => lists.remove(0).into_iter().map(|(hit, shares)| (hit, (shares, Vec::new()))).collect(),
            _ => several::merged(lists)
                .into_iter()
                .map(|(hit, (shares, places))| (hit, (shares, places.into_iter().map(by).collect())))
                .collect(),
        };
        let mut found = diversified(found, query.diversity);
        found.truncate(k);
        Ok(found)
    }

    /// Makes hits of what both legs found, and fetches ever deeper until `k` candidates pass the gate or the indexes have no more; then,
    /// where candidates are compared token by token, once more with the best.
    fn hits(
        &self,
        sought: Sought<'_>,
        (mut legs, mut depth): (Legs, usize),
        k: usize,
        run: &mut Run<'_>,
    ) -> Result<Vec<(Hit, LegShares)>> {
        let is_read = sought.share.is_some() && self.reads_again(sought.query.mode);
        let wanted = if is_read { k.max(RERANK_DEPTH) } else { k };
        let (late, ms) = timed(|| self.late(sought));
        run.timings.rerank += ms;
        let mut late = late?;
        loop {
            let exhausted = legs.dense.len() < depth && legs.lexical.len() < depth;
            let [mut found, back] = self.joined(sought, &legs, wanted, run)?;
            if found.len() + back.len() / LOOK_PAST < wanted && !exhausted && depth < MAX_CANDIDATES {
                depth = (4 * depth).min(MAX_CANDIDATES);
                legs = self.legs(sought, depth, run)?;
                continue;
            }
            self.order(sought, late.as_mut(), &mut found, run)?;
            let [found, back] = match late.filter(|_| self.feedback) {
                Some(late) => self.once_more(sought, legs, late, ([found, back], depth, wanted), run)?,
                None => [found, back],
            };
            return Ok(ranked(found, back, k));
        }
    }

    /// Lets the best of `found` search once more; see [`feedback`]. What brings less than there was is not taken; where passages had to
    /// be read, because nothing is kept of them, there is no second time.
    fn once_more(
        &self,
        sought: Sought<'_>,
        legs: Legs,
        mut late: Late<'_>,
        (found, depth, wanted): ([Vec<(Hit, LegShares)>; 2], usize, usize),
        run: &mut Run<'_>,
    ) -> Result<[Vec<(Hit, LegShares)>; 2]> {
        let question = sought.embedded.map_or(&[][..], |embedded| &embedded.vector);
        if late.has_read() {
            return Ok(found);
        }
        let (near, ms) = timed(|| {
            let vector = feedback::vector(question, &found[0], self.vectors.as_ref())?;
            vector.map(|vector| self.vectors.search(&vector, sought.scope, &sought.query.filter, depth)).transpose()
        });
        run.timings.feedback += ms;
        let Some(near) = near? else { return Ok(found) };
        let again = Legs { dense: near, lexical: legs.lexical };
        let sought = Sought { fusion: feedback::fusion(sought.fusion), ..sought };
        let [mut again, mut back] = self.joined(sought, &again, wanted, run)?;
        if again.len() < found[0].len() {
            return Ok(found);
        }
        let begin = Instant::now();
        for hits in [&mut again, &mut back] {
            feedback::tell(hits, question, &legs.dense, self.vectors.as_ref())?;
        }
        run.timings.feedback += milliseconds(begin.elapsed());
        self.order(sought, Some(&mut late), &mut again, run)?;
        Ok([again, back])
    }

    /// Fuses what the legs found, and asks the ledger.
    fn joined(
        &self,
        sought: Sought<'_>,
        legs: &Legs,
        wanted: usize,
        run: &mut Run<'_>,
    ) -> Result<[Vec<(Hit, LegShares)>; 2]> {
        let begin = Instant::now();
        let fused = sought.fusion.fuse(&legs.dense, &legs.lexical, sought.analysis.exact);
        run.timings.fusion += milliseconds(begin.elapsed());
        let begin = Instant::now();
        let found = self.confirm(&fused, sought, wanted, run);
        run.timings.ledger += milliseconds(begin.elapsed());
        found
    }

    /// Puts candidates in order by what their documents say and by reading the best again, as far as that is wanted.
    fn order(
        &self,
        sought: Sought<'_>,
        late: Option<&mut Late<'_>>,
        found: &mut [(Hit, LegShares)],
        run: &mut Run<'_>,
    ) -> Result<()> {
        let begin = Instant::now();
        weigh_documents(sought.fusion, &sought.analysis.dense, &run.gate, found);
        run.timings.fusion += milliseconds(begin.elapsed());
        self.read_again(sought, late, found, run)
    }

    /// Reads the best again, as far as that is wanted.
    pub(crate) fn read_again(
        &self,
        sought: Sought<'_>,
        late: Option<&mut Late<'_>>,
        found: &mut [(Hit, LegShares)],
        run: &mut Run<'_>,
    ) -> Result<()> {
        let begin = Instant::now();
        match (&self.reranker, sought.share, late) {
            (Some(reranker), Some(share), _) => {
                let head = found.len().min(share.divide(RERANK_DEPTH));
                rescoring::decide(reranker.as_ref(), &sought.analysis.dense, &mut found[..head])?;
            }
            (None, _, Some(late)) => late.add(found)?,
            _ => {}
        }
        run.timings.rerank += milliseconds(begin.elapsed());
        Ok(())
    }

    /// What compares candidates token by token, where that is wanted.
    pub(crate) fn late(&self, sought: Sought<'_>) -> Result<Option<Late<'_>>> {
        let is_wanted = self.reranker.is_none() && self.interacts_late(sought.query.mode);
        let (Some(embedded), Some(share), true) = (sought.embedded, sought.share, is_wanted) else { return Ok(None) };
        let query = (sought.analysis.dense.as_str(), embedded.tokens.as_slice());
        let budget = share.divide(self.late_tokens);
        Late::new(self.embedder.as_ref(), self.tokens.as_deref(), query, self.lexical.as_ref(), budget).map(Some)
    }

    /// Lets candidates through the ledger's gate; see [`Gate::confirm`].
    pub(crate) fn confirm(
        &self,
        fused: &[Fused],
        Sought { scope, analysis, .. }: Sought<'_>,
        wanted: usize,
        run: &mut Run<'_>,
    ) -> Result<[Vec<(Hit, LegShares)>; 2]> {
        run.gate.confirm(fused, wanted, |hit| {
            let matches = self.lexical.explain(&analysis.lexical, scope, hit.chunk_id)?;
            Ok(matches.into_iter().map(|found| found.term).collect())
        })
    }
}

/// A search on its way.
pub(crate) struct Run<'a> {
    pub(crate) gate: Gate<'a>,
    pub(crate) timings: SearchTimings,
}

/// A text of a query that is searched for, made ready for both legs.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) query: &'a Query,
    pub(crate) scope: &'a AccessScope,
    pub(crate) fusion: Fusion,
    /// Its share of what may be read again; nothing for the whole of a question that was taken apart, unless a reranker reads it.
    pub(crate) share: Option<Share>,
    pub(crate) analysis: &'a QueryAnalysis,
    /// Nothing for a search by words alone.
    pub(crate) embedded: Option<&'a EmbeddedQuery>,
}

/// One of several equal shares of what a search may read again.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) of: usize,
}

impl Share {
    fn divide(self, whole: usize) -> usize {
        whole.div_ceil(self.of.max(1))
    }
}

/// At most `k` hits, numbered: those found, then those that step back, scored no better than what they stand behind.
fn ranked(found: Vec<(Hit, LegShares)>, back: Vec<(Hit, LegShares)>, k: usize) -> Vec<(Hit, LegShares)> {
    let least = found.last().map_or(f32::INFINITY, |(hit, _)| hit.score);
    let mut ranked = found;
    ranked.extend(back.into_iter().map(|(hit, shares)| (Hit { score: hit.score.min(least), ..hit }, shares)));
    ranked.truncate(k);
    ranked.iter_mut().zip(1..).for_each(|((hit, _), rank)| hit.rank = rank);
    ranked
}

pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begin = Instant::now();
    let result = work();
    (result, milliseconds(begin.elapsed()))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
#[path = "search_tests.rs"]
pub(crate) mod tests;
