//! Searching once more with what was found (pseudo-relevance feedback).
//!
//! The vector of the question and those of its best passages together are nearer to further passages on the matter than the question
//! alone, most of all across languages (Rocchio 1971; with vectors of language models Li et al., arXiv 2108.11044). So the dense leg
//! searches again with their sum. Only where candidates were compared token by token: without that the best are too often
//! wrong, and feedback makes wrong what was right ("Feedback" in `docs/benchmarks.md`).

use std::collections::HashMap;

use fontes_core::{Candidate, ChunkId, Hit, Result, VectorIndex};

use crate::{Fusion, LegShares};

/// Passages whose vectors go with that of the question.
const PASSAGES: usize = 2;

/// What their mean weighs against the question.
const WEIGHT: f32 = 3.0;

/// What the dense leg weighs then, against what it weighs alone: it has seen more than the words of the question.
const DENSE: f32 = 2.0;

/// The vector to search with once more; `None` when the best of `found` were not compared token by token, or have no vectors.
///
/// # Errors
/// Whatever the index gives.
pub(crate) fn vector(
    question: &[f32],
    found: &[(Hit, LegShares)],
    vectors: &dyn VectorIndex,
) -> Result<Option<Vec<f32>>> {
    let best = &found[..PASSAGES.min(found.len())];
    if best.is_empty() || best.iter().any(|(hit, _)| hit.scores.rerank.is_none()) {
        return Ok(None);
    }
    // The ledger has confirmed that these may be seen.
    let ids: Vec<ChunkId> = best.iter().map(|(hit, _)| hit.chunk_id).collect();
    let near: Vec<Vec<f32>> = vectors.vectors(&ids)?.into_iter().flatten().collect();
    let mut sum = question.to_vec();
    add(&mut sum, &near, WEIGHT / near.len().max(1) as f32);
    Ok((!near.is_empty()).then_some(sum))
}

/// How the second list of the dense leg is fused with that of the lexical one.
pub(crate) fn fusion(first: Fusion) -> Fusion {
    Fusion { dense_weight: DENSE * first.dense_weight, dense_rank: DENSE * first.dense_rank, ..first }
}

/// Adds vectors, each times `weight`, to `sum`, and scales it to unit length.
pub(crate) fn add(sum: &mut [f32], vectors: &[Vec<f32>], weight: f32) {
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * x);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::EPSILON);
    sum.iter_mut().for_each(|x| *x /= length);
}

/// Tells similarity with the question apart from that with the question and its best passages, by which `found` was found. `near` is
/// what the question alone found.
///
/// # Errors
/// Whatever the index gives.
pub(crate) fn tell(
    found: &mut [(Hit, LegShares)],
    question: &[f32],
    near: &[Candidate],
    vectors: &dyn VectorIndex,
) -> Result<()> {
    let mut similarity: HashMap<ChunkId, f32> = near.iter().map(|one| (one.chunk, one.score)).collect();
    let by_feedback = found.iter().filter(|(hit, _)| hit.scores.dense.is_some()).map(|(hit, _)| hit.chunk_id);
    let new: Vec<ChunkId> = by_feedback.filter(|chunk| !similarity.contains_key(chunk)).collect();
    for (chunk, vector) in new.iter().zip(vectors.vectors(&new)?) {
        let product = |vector: Vec<f32>| question.iter().zip(vector).map(|(x, y)| x * y).sum();
        similarity.extend(vector.map(|vector| (*chunk, product(vector))));
    }
    for (Hit { chunk_id, scores, .. }, _) in found {
        scores.feedback = scores.dense.take();
        scores.dense = similarity.get(chunk_id).copied();
    }
    Ok(())
}
