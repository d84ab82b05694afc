//! How this site searches: the recipe of its index, fusion, and what a generator may do for a search.

use std::time::Duration;

use anyhow::Context as _;
use fontes_core::{Cancel, Error, Generator, SearchSettings, Subquery};
use fontes_generation::{RewriteLimits, rewritten};
use fontes_index::Recipe;
use fontes_retrieval::{Fusion, FusionMethod};

use crate::config::{Config, Search};

/// The recipe of the configured file, or the one that is compiled in.
pub fn recipe(config: &Config) -> anyhow::Result<Recipe> {
    let path = &config.index.recipe;
    if path.as_os_str().is_empty() {
        return Ok(Recipe::builtin());
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::invalid(format!("index recipe {} cannot be read", path.display()))
            .because(error)
            .advise("check index.recipe in the configuration; indexes/default/index.toml shows what belongs into it")
    })?;
    Recipe::parse(&text).with_context(|| format!("index recipe {}", path.display()))
}

/// Fusion as the index recipe says.
pub fn fusion(recipe: &Recipe) -> Fusion {
    let learnt = recipe.fusion.learnt;
    Fusion {
        method: match recipe.fusion.method {
            fontes_index::FusionMethod::Rrf => FusionMethod::ReciprocalRank,
            fontes_index::FusionMethod::WeightedSum => FusionMethod::WeightedSum,
        },
        dense_weight: recipe.fusion.dense,
        lexical_weight: recipe.fusion.lexical,
        rank_constant: recipe.fusion.k,
        dense_rank: learnt.dense_rank,
        lexical_rank: learnt.lexical_rank,
        title: learnt.title,
        language: learnt.language,
        length: learnt.length,
        freshness: learnt.freshness,
        ..Fusion::default()
    }
}

/// What a generator may spend on a question before it is searched for.
pub fn rewrite_limits(config: &Config) -> RewriteLimits {
    let Search { rewrite_tokens, rewrite_milliseconds, .. } = config.search;
    RewriteLimits { max_tokens: rewrite_tokens, time: Duration::from_millis(rewrite_milliseconds) }
}

/// What `generator` makes of a question for the search, if that is wanted; `None` when it fails.
///
/// # Errors
/// When cancelled.
pub fn rewrite(
    config: &Config,
    generator: Option<&dyn Generator>,
    question: &str,
    settings: &SearchSettings,
    cancel: &Cancel,
) -> anyhow::Result<Option<Vec<Subquery>>> {
    let Some(generator) = generator.filter(|_| settings.rewrite || settings.hypothetical) else {
        return Ok(Some(Vec::new()));
    };
    match rewritten(generator, question, settings, &rewrite_limits(config), cancel) {
        Ok(also) => Ok(Some(also)),
        Err(error) if cancel.is_cancelled() => Err(error.into()),
        Err(_) => Ok(None),
    }
}
