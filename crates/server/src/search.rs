//! `POST /v1/search`: passages as JSON, the shape of `fontes search --json`.

use std::sync::Arc;

use axum::{Json, extract::State};
use fontes_core::{Filter, Hit, Query, SearchMode};
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
}

/// The reply.
#[derive(Serialize)]
pub struct SearchReply {
    hits: Vec<Hit>,
    timings_ms: SearchTimings,
}

/// Passages a reader looks through: one screen.
fn ten() -> usize {
    10
}

/// Reads conditions of the form `field=value`.
pub fn filter_of(conditions: &[String]) -> fontes_core::Result<Filter> {
    let mut filter = Filter::default();
    conditions.iter().try_for_each(|condition| filter.add(condition))?;
    Ok(filter)
}

/// Searches as the default principal.
pub async fn search(
    State(site): State<Arc<Site>>,
    Json(request): Json<SearchRequest>,
) -> Result<Json<SearchReply>, Failure> {
    let filter = filter_of(&request.filter)?;
    let query = Query { text: request.query, k: request.k, mode: request.mode, filter, without: Default::default() };
    let result = site
        .work(move |site| {
            let scope = site.scope()?;
            site.searcher().search(&query, &scope)
        })
        .await?;
    Ok(Json(SearchReply { hits: result.hits, timings_ms: result.timings }))
}
