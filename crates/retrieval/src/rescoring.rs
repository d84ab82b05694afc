//! Reading the best candidates again, with the question beside them.
//!
//! A **reranker**, a cross-encoder that a site installs, decides alone: it has seen more than both legs. Without one, the
//! embedder compares question and passages token by token (**late interaction**); that sees more than one vector per
//! chunk does and less than the legs do together, so its score is added to that of fusion. It is for hybrid searches: the
//! legs alone stay what they are.

use fontes_core::{ChunkId, Embedder, Error, Hit, MatchPassage, Reranker, Result, TokenStore};

use crate::LegShares;

/// How many fused candidates are read at most: cross-encoders cost tens of milliseconds each on a CPU.
pub(crate) const RERANK_DEPTH: usize = 50;

/// What late interaction weighs against fusion. Mean nDCG@10 over the tuning halves of five sets with 4 / 8 / 16: see
/// "Reading candidates again" in `docs/benchmarks.md`; there is no peak, only a plateau.
pub(crate) const WEIGHT: f32 = 8.0;

/// Longest title and headings that are read before a passage, in bytes: as many tokens as the default profile embeds.
const CONTEXT_BYTES: usize = 200;

/// Puts candidates into the order in which `reranker` sees them. What its budget did not reach stays behind, in the order of
/// fusion.
///
/// # Errors
/// Whatever the reranker gives; an internal error when it gives another number of scores.
pub(crate) fn decide(reranker: &dyn Reranker, question: &str, candidates: &mut [(Hit, LegShares)]) -> Result<()> {
    let head = candidates.len().min(RERANK_DEPTH);
    let texts = texts(&candidates[..head]);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = reranker.score(question, &texts)?;
    if scores.len() != head {
        return Err(Error::internal(format!("reranker gave {} scores for {head} passages", scores.len())));
    }
    for ((hit, _), score) in candidates.iter_mut().zip(scores) {
        (hit.scores.rerank, hit.score) = (Some(score), score);
    }
    // Stable: equal scores keep the order of fusion; what was not reranked stays behind what was.
    candidates[..head].sort_by(|(a, _), (b, _)| {
        let key = |hit: &Hit| hit.scores.rerank.filter(|score| !score.is_nan()).unwrap_or(f32::MIN);
        key(b).total_cmp(&key(a))
    });
    Ok(())
}

/// Adds to the score of each candidate how much of the question it holds, token by token. Those whose tokens' signs are in
/// `tokens` cost next to nothing; of the others, the first within `budget` tokens are read. The sum is scaled so that what was
/// between 0 and 1 stays there.
///
/// # Errors
/// Whatever the embedder gives; an internal error when it gives another number of scores.
pub(crate) fn add(
    embedder: &dyn Embedder,
    tokens: Option<&dyn TokenStore>,
    question: &str,
    budget: usize,
    candidates: &mut [(Hit, LegShares)],
) -> Result<()> {
    let head = candidates.len().min(RERANK_DEPTH);
    let ids: Vec<ChunkId> = candidates[..head].iter().map(|(hit, _)| hit.chunk_id).collect();
    // What cannot be looked up is read.
    let kept = tokens.and_then(|tokens| tokens.get(&embedder.identity().sha256, &ids).ok());
    let kept = kept.filter(|kept| kept.len() == head).unwrap_or_else(|| vec![Vec::new(); head]);
    let texts = texts(&candidates[..head]);
    let passages: Vec<MatchPassage<'_>> =
        texts.iter().zip(&kept).map(|(text, tokens)| MatchPassage { text, tokens }).collect();
    let scores = embedder.match_tokens(question, &passages, budget)?;
    if scores.len() != head {
        return Err(Error::internal(format!("embedder gave {} scores for {head} passages", scores.len())));
    }
    if scores.iter().all(Option::is_none) {
        return Ok(());
    }
    let scores = scores.into_iter().chain(std::iter::repeat(None));
    for ((hit, _), score) in candidates.iter_mut().zip(scores) {
        hit.scores.rerank = score;
        hit.score = (hit.score + WEIGHT * score.unwrap_or(0.0)) / (1.0 + WEIGHT);
    }
    candidates.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score));
    Ok(())
}

/// Passages as they are read.
fn texts(candidates: &[(Hit, LegShares)]) -> Vec<String> {
    candidates.iter().map(|(hit, _)| text(hit)).collect()
}

/// Title and headings, then the text.
fn text(hit: &Hit) -> String {
    let mut context: Vec<&str> = vec![&hit.title];
    context.extend(hit.headings.iter().map(String::as_str));
    // Many documents repeat their title as the first heading.
    context.dedup();
    let context = context.join(" › ");
    format!("{}\n{}", &context[..context.floor_char_boundary(CONTEXT_BYTES)], hit.text)
}
