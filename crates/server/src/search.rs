//! `POST /v1/search`: passages as JSON, the shape of `fontes search --json`. `GET /v1/facets`: what can be narrowed to.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query as Parameters, State},
};
use fontes_core::{
    Cancel, Error, Facet, Filter, Hit, IndexSnapshot, Query, Result, SearchChoice, SearchMode, Subquery,
};
use fontes_retrieval::SearchTimings;
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, site::Site};

/// The request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    query: String,
    #[serde(default = "ten")]
    k: usize,
    #[serde(default)]
    mode: SearchMode,
    /// Conditions of the form `field=value`.
    #[serde(default)]
    filter: Vec<String>,
    /// Count the documents within the filter by the values of their fields.
    #[serde(default)]
    facets: bool,
    /// How is searched, where it is to differ from the site's way.
    #[serde(default)]
    search: SearchChoice,
}

/// The reply.
#[derive(Serialize)]
pub struct SearchReply {
    hits: Vec<Hit>,
    timings_ms: SearchTimings,
    index_snapshot: IndexSnapshot,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<Vec<Facet>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queries: Vec<Subquery>,
}

/// What is said when a generator was to help and did not.
pub const NOT_REWRITTEN: &str = "the generator did not rewrite the question in time; it was searched for as it stands";

/// Cancels the work of a request when nobody waits for it any more.
#[derive(Default)]
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Passages a reader looks through: one screen.
fn ten() -> usize {
    10
}

/// Checks a wanted number of passages: of none nothing would be found, and that would be taken for an answer.
pub(crate) fn at_least_one(k: usize) -> Result<usize> {
    if k > 0 { Ok(k) } else { Err(Error::invalid("k is 0").advise("ask for 1 passage or more")) }
}

/// Searches as the default principal.
pub async fn search(
    State(site): State<Arc<Site>>,
    Json(request): Json<SearchRequest>,
) -> std::result::Result<Json<SearchReply>, Failure> {
    let filter = Filter::of(&request.filter)?;
    let settings = request.search.over(site.search_settings())?;
    let query = Query {
        text: request.query,
        k: at_least_one(request.k)?,
        mode: request.mode,
        filter,
        diversity: settings.diversity,
        ..Query::default()
    };
    // Whoever goes away drops this future, and with it the guard.
    let cancel = CancelOnDrop::default();
    let cancelled = cancel.0.clone();
    let reply = site
        .work(move |site| {
            let (scope, searcher) = (site.scope()?, site.searcher());
            let (found, remark) = site.search(query.clone(), &settings, &scope, &cancelled)?;
            let suggestion = searcher.suggestion(&query, &scope, &found)?;
            let facets = if request.facets { Some(searcher.facets(&scope, &query.filter)?) } else { None };
            Ok(SearchReply {
                hits: found.hits,
                timings_ms: found.timings,
                index_snapshot: found.snapshot,
                suggestion,
                remark: found.remark.or(remark.map(|_| NOT_REWRITTEN.to_owned())),
                queries: found.queries,
                facets,
            })
        })
        .await?;
    Ok(Json(reply))
}

/// What documents can be narrowed to.
#[derive(Serialize)]
pub struct FacetsReply {
    facets: Vec<Facet>,
}

/// Counts the documents that the default principal may see by the values of their fields, within `filter=field=value`, which may be
/// repeated.
pub async fn facets(
    State(site): State<Arc<Site>>,
    Parameters(parameters): Parameters<Vec<(String, String)>>,
) -> std::result::Result<Json<FacetsReply>, Failure> {
    if let Some((name, _)) = parameters.iter().find(|(name, _)| name != "filter") {
        return Err(Error::invalid(format!("parameter {name:?} is not known")).advise("use filter=field=value").into());
    }
    let conditions: Vec<String> = parameters.into_iter().map(|(_, condition)| condition).collect();
    let filter = Filter::of(&conditions)?;
    let facets = site.work(move |site| site.searcher().facets(&site.scope()?, &filter)).await?;
    Ok(Json(FacetsReply { facets }))
}
