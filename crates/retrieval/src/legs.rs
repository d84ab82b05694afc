//! The two legs of a search, run beside each other.
//!
//! Words need no vector. So their leg begins at once, on a thread of its own, while the question is embedded and the dense leg searches
//! with what comes of it; both take about as long on a large archive.

use fontes_core::{AccessScope, Candidate, EmbeddedQuery, Error, Query, Result, SearchMode, seam::EmbedAs};

use crate::{
    QueryAnalysis, Searcher, feedback,
    search::{Run, Sought, timed},
    several::{self, Text},
};

/// What each leg found, best first.
pub(crate) struct Legs {
    pub(crate) dense: Vec<Candidate>,
    pub(crate) lexical: Vec<Candidate>,
}

impl Searcher {
    /// Embeds every text, and lets both legs look for `depth` candidates for each. For a search by words alone nothing is embedded.
    ///
    /// # Errors
    /// Whatever embedder and indexes give.
    pub(crate) fn first_legs(
        &self,
        query: &Query,
        scope: &AccessScope,
        texts: &[Text],
        depth: usize,
        run: &mut Run<'_>,
    ) -> Result<(Vec<EmbeddedQuery>, Vec<Legs>)> {
        let words =
            || -> Result<Vec<_>> { texts.iter().map(|text| self.words(query, scope, &text.analysis, depth)).collect() };
        let near = || {
            let (embedded, embed_ms) = timed(|| self.embed(query, texts));
            run.timings.embed = embed_ms;
            let embedded = embedded?;
            let near =
                || -> Result<Vec<_>> { embedded.iter().map(|one| self.near(query, scope, Some(one), depth)).collect() };
            let (near, near_ms) = timed(near);
            run.timings.dense += near_ms;
            Ok::<_, Error>((embedded, near?))
        };
        let ((lexical, lexical_ms), near) = beside(query.mode, || timed(words), near)?;
        run.timings.lexical += lexical_ms;
        let (embedded, dense) = near?;
        let dense = dense.into_iter().chain(std::iter::repeat_with(Vec::new));
        let legs = lexical?.into_iter().zip(dense).map(|(lexical, dense)| Legs { dense, lexical });
        Ok((embedded, legs.collect()))
    }

    /// Lets both legs look for `depth` candidates, when fewer were too few.
    ///
    /// # Errors
    /// Whatever the indexes give.
    pub(crate) fn legs(&self, sought: Sought<'_>, depth: usize, run: &mut Run<'_>) -> Result<Legs> {
        let Sought { query, scope, analysis, embedded, .. } = sought;
        let ((lexical, lexical_ms), (dense, dense_ms)) = beside(
            query.mode,
            || timed(|| self.words(query, scope, analysis, depth)),
            || timed(|| self.near(query, scope, embedded, depth)),
        )?;
        run.timings.dense += dense_ms;
        run.timings.lexical += lexical_ms;
        Ok(Legs { dense: dense?, lexical: lexical? })
    }

    /// The lexical leg.
    fn words(
        &self,
        query: &Query,
        scope: &AccessScope,
        analysis: &QueryAnalysis,
        depth: usize,
    ) -> Result<Vec<Candidate>> {
        match query.mode {
            SearchMode::Dense => Ok(Vec::new()),
            SearchMode::Lexical | SearchMode::Hybrid => {
                self.lexical.search(&analysis.lexical, scope, &query.filter, depth)
            }
        }
    }

    /// The dense leg.
    fn near(
        &self,
        query: &Query,
        scope: &AccessScope,
        embedded: Option<&EmbeddedQuery>,
        depth: usize,
    ) -> Result<Vec<Candidate>> {
        embedded.map_or(Ok(Vec::new()), |one| self.vectors.search(&one.vector, scope, &query.filter, depth))
    }

    /// Every text embedded, in one batch; none for a search by words alone. The vector of the whole question is the mean of its
    /// own and those of hypothetical passages (HyDE; Gao et al., arXiv 2212.10496).
    fn embed(&self, query: &Query, texts: &[Text]) -> Result<Vec<EmbeddedQuery>> {
        if query.mode == SearchMode::Lexical {
            return Ok(Vec::new());
        }
        let asked: Vec<&str> = texts.iter().map(|text| text.analysis.dense.as_str()).collect();
        let mut embedded = self.embedder.embed_queries(&asked)?;
        if embedded.len() != asked.len() {
            return Err(Error::internal(format!("embedder gave {} vectors for {} texts", embedded.len(), asked.len())));
        }
        let passages = several::hypothetical(query);
        if let (Some(EmbeddedQuery { vector: whole, .. }), false) = (embedded.first_mut(), passages.is_empty()) {
            feedback::add(whole, &self.embedder.embed(&passages, EmbedAs::Passage)?, 1.0);
        }
        Ok(embedded)
    }
}

/// Runs both: `words` on a thread of its own where both have something to do.
fn beside<W: Send, N>(mode: SearchMode, words: impl FnOnce() -> W + Send, near: impl FnOnce() -> N) -> Result<(W, N)> {
    if mode != SearchMode::Hybrid {
        return Ok((words(), near()));
    }
    std::thread::scope(|threads| {
        let words = threads.spawn(words);
        let near = near();
        let words = words.join().map_err(|_| Error::internal("lexical leg of a search panicked"))?;
        Ok((words, near))
    })
}
