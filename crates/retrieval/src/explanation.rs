//! Why a hit stands where it stands.

use fontes_core::{AccessScope, Query, Result, TermMatch};
use serde::{Deserialize, Serialize};

use crate::{FoundBy, LegShares, QueryAnalysis, SearchResult, Searcher};

/// Why a hit stands where it stands. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Words and phrases of the query that speak for it, the weightiest first.
    pub terms: Vec<TermMatch>,
    /// Cosine of the angle between question and passage; none when the dense leg did not find it.
    pub similarity: Option<f32>,
    /// The same with question and best passages together, where the dense leg searched once more with these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<f32>,
    /// What each leg contributed to the score before reranking.
    pub fusion: LegShares,
    /// What made one leg count more than usual.
    pub boosts: Vec<String>,
    /// Conditions that it meets, besides that the asker may see it.
    pub filters: Vec<String>,
    /// Which of the texts that were searched for found it, best first; nothing when there was only the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_by: Vec<FoundBy>,
}

impl Searcher {
    /// Explains every hit of `result`, in their order. `query` and `scope` are those of the search; if the indexes have
    /// changed since, a hit that is gone has no terms.
    ///
    /// # Errors
    /// Whatever the lexical index gives.
    pub fn explain(&self, query: &Query, scope: &AccessScope, result: &SearchResult) -> Result<Vec<Explanation>> {
        let filters: Vec<String> =
            query.filter.conditions.iter().map(|(field, value)| format!("{field}={value}")).collect();
        let explain = |(at, (hit, shares)): (usize, (&fontes_core::Hit, &LegShares))| {
            let found_by = result.found_by.get(at).cloned().unwrap_or_default();
            // The scores are those of the text by which the hit stands first.
            let analysis = QueryAnalysis::of(found_by.first().map_or(&query.text, |best| &best.subquery.text));
            let terms = match &analysis {
                Some(analysis) if hit.scores.lexical.is_some() => {
                    self.lexical.explain(&analysis.lexical, scope, hit.chunk_id)?
                }
                _ => Vec::new(),
            };
            let boosts = analysis.iter().flat_map(|analysis| self.boosts(analysis)).collect();
            let (filters, fusion) = (filters.clone(), *shares);
            let (similarity, feedback) = (hit.scores.dense, hit.scores.feedback);
            Ok(Explanation { terms, similarity, feedback, fusion, boosts, filters, found_by })
        };
        result.hits.iter().zip(&result.shares).enumerate().map(explain).collect()
    }

    fn boosts(&self, analysis: &QueryAnalysis) -> Vec<String> {
        let exact = analysis.exact.then(|| {
            format!("the question names something exactly: words weigh {} times as much", self.fusion.exact_boost)
        });
        exact.into_iter().collect()
    }
}
