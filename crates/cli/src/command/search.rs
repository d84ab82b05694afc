//! `fontes search`: passages, no generation.

use fontes_core::Query;
use serde_json::json;

use super::ask::filter_of;
use crate::{
    args,
    config::Config,
    output::{Outcome, Voice},
    render,
    wiring::Archive,
};

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Search) -> anyhow::Result<Outcome> {
    let scope = config.access.scope(arguments.principal.as_deref())?;
    let query = Query {
        text: arguments.query.clone(),
        k: arguments.k,
        mode: arguments.mode.into(),
        filter: filter_of(&arguments.filters)?,
    };
    let found = Archive::open(config)?.searcher(config)?.search(&query, &scope)?;
    if voice.json {
        voice.object(&json!({ "hits": found.hits, "timings_ms": found.timings, "index_snapshot": found.snapshot }))?;
    } else {
        for hit in &found.hits {
            voice.line(&render::hit(voice, hit, arguments.explain))?;
        }
        voice.remark(&format!("{} passages in {:.0} ms", found.hits.len(), found.timings.total));
    }
    Ok(if found.hits.is_empty() { Outcome::Nothing } else { Outcome::Done })
}
