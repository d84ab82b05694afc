//! `fontes search`: passages, no generation.

use fontes_core::{Language, Query};
use serde_json::json;

use crate::{
    args,
    config::Config,
    finding, interrupt,
    output::{Outcome, Voice},
    phrases::phrases,
    render,
    wiring::{self, Archive},
};

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Search) -> anyhow::Result<Outcome> {
    let scope = config.access.scope(arguments.principal.as_deref())?;
    let settings = arguments.choice.choice().over(config.search.settings())?;
    let mut query = Query {
        text: arguments.query.clone(),
        k: arguments.k,
        mode: arguments.mode.into(),
        filter: arguments.narrowing.filter()?,
        split: settings.split,
        diversity: settings.diversity,
        ..Query::default()
    };
    let generator = match settings.rewrite || settings.hypothetical {
        true => wiring::generator(config, None)?,
        false => None,
    };
    let helped = finding::rewrite(config, generator.as_deref(), &query.text, &settings, &interrupt::install()?)?;
    let not_rewritten = helped.is_none().then(|| fontes_server::NOT_REWRITTEN.to_owned());
    query.also = helped.unwrap_or_default();
    let archive = Archive::open(config)?;
    let searcher = archive.searcher(config)?;
    let found = searcher.search(&query, &scope)?;
    if found.hits.is_empty()
        && let Some(remark) = archive.empty_remark(config)?
    {
        voice.remark(&remark);
    }
    let explanations = if arguments.explain { searcher.explain(&query, &scope, &found)? } else { Vec::new() };
    let remark = found.remark.clone().or(not_rewritten);
    let suggestion = searcher.suggestion(&query, &scope, &found)?;
    let facets = if arguments.facets { Some(searcher.facets(&scope, &query.filter)?) } else { None };
    if voice.json {
        let mut hits = serde_json::to_value(&found.hits)?;
        for (hit, explanation) in hits.as_array_mut().into_iter().flatten().zip(&explanations) {
            hit["explanation"] = serde_json::to_value(explanation)?;
        }
        let mut reply = json!({ "hits": hits, "timings_ms": found.timings, "index_snapshot": found.snapshot });
        if !found.queries.is_empty() {
            reply["queries"] = serde_json::to_value(&found.queries)?;
        }
        for (name, text) in [("suggestion", &suggestion), ("remark", &remark)] {
            if let Some(text) = text {
                reply[name] = text.as_str().into();
            }
        }
        if let Some(facets) = &facets {
            reply["facets"] = serde_json::to_value(facets)?;
        }
        voice.object(&reply)?;
    } else {
        for (at, hit) in found.hits.iter().enumerate() {
            voice.line(&render::hit(voice, hit, explanations.get(at)))?;
        }
        for facet in facets.iter().flatten() {
            voice.line(&format!("{:>8}  {}={}", facet.documents, facet.field, facet.value))?;
        }
        if let Some(searched) = render::searched(phrases(Language::English), &found.queries) {
            voice.remark(&searched);
        }
        if let Some(remark) = &remark {
            voice.remark(remark);
        }
        if let Some(suggestion) = &suggestion {
            voice.remark(&format!("did you mean: {suggestion}"));
        }
        voice.remark(&format!("{} passages in {:.0} ms", found.hits.len(), found.timings.total));
    }
    Ok(if found.hits.is_empty() { Outcome::Nothing } else { Outcome::Done })
}
