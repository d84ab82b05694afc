//! Several texts for one question: its parts, and what a generator made of it. Each is searched for, and the lists become
//! one.
//!
//! **How.** The lists take turns: the best hit of each part, then the best of the whole question, then the second of each part. What
//! several lists have at the same turn comes by how high they all have it. So the best hit of each part is among the first
//! whatever the others hold, which adding up reciprocal ranks does not give: there, what is second for every part beats
//! what is best for one. "Several questions in one" in `docs/benchmarks.md` has what other ways give.

use std::collections::HashMap;

use fontes_core::{ChunkId, Hit, Query, Subquery, SubqueryKind};
use serde::{Deserialize, Serialize};

use crate::{
    LegShares, QueryAnalysis, decompose,
    duplicate::{Distinct, Wording},
};

/// Most texts that are searched for: each costs a search.
const MAX_TEXTS: usize = 6;

/// By how much of a turn the whole question comes after its parts: what it finds is near to all of them, and best for none.
const AFTER: f32 = 0.5;

/// A text made ready for both legs.
pub(crate) struct Text {
    pub subquery: Subquery,
    pub analysis: QueryAnalysis,
}

/// Which of the texts found a hit. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundBy {
    /// What the text is to the question.
    #[serde(flatten)]
    pub subquery: Subquery,
    /// The place of the hit among those of this text, from 1.
    pub rank: usize,
}

/// The texts that a query is searched for by, the whole question first.
pub(crate) fn texts(query: &Query, whole: QueryAnalysis) -> Vec<Text> {
    let subquery = Subquery { text: whole.dense.clone(), kind: SubqueryKind::Whole };
    let mut texts = vec![Text { subquery, analysis: whole }];
    let parts = if query.split { decompose::parts(&query.text) } else { Vec::new() };
    let parts = parts.into_iter().map(|text| Subquery { text, kind: SubqueryKind::Part });
    let also = query.also.iter().filter(|one| one.kind != SubqueryKind::Hypothetical).cloned();
    for subquery in parts.chain(also) {
        if let Some(analysis) = QueryAnalysis::of(&subquery.text)
            && texts.len() < MAX_TEXTS
            && !texts.iter().any(|text| text.analysis.dense == analysis.dense)
        {
            texts.push(Text { subquery, analysis });
        }
    }
    texts
}

/// The passages that might answer a query.
pub(crate) fn hypothetical(query: &Query) -> Vec<&str> {
    let passages =
        query.also.iter().filter(|one| one.kind == SubqueryKind::Hypothetical && !one.text.trim().is_empty());
    passages.map(|one| one.text.as_str()).take(MAX_TEXTS).collect()
}

/// A hit with what each leg contributed, and where it was found.
pub(crate) type Noted<P> = (Hit, (LegShares, Vec<P>));

/// Number of a list, and a place in it.
type Place = (usize, usize);

/// A hit of several lists.
struct Several {
    hit: Hit,
    shares: LegShares,
    /// At which turn it comes, from 1.
    turn: f32,
    /// Reciprocals of its places, added up.
    sum: f32,
    /// Numbers of the lists that hold it, and its place there.
    places: Vec<Place>,
}

/// Makes one list of those of each text, best first, scored by the reciprocal of the turn. What says nothing more than a better
/// hit is named there.
pub(crate) fn merged(lists: Vec<Vec<(Hit, LegShares)>>) -> Vec<Noted<Place>> {
    let mut all: Vec<Several> = Vec::new();
    let mut known: HashMap<ChunkId, usize> = HashMap::new();
    for (number, list) in lists.into_iter().enumerate() {
        for (hit, shares) in list {
            let rank = hit.rank;
            let turn = rank as f32 + if number == 0 { AFTER } else { 0.0 };
            let at = *known.entry(hit.chunk_id).or_insert(all.len());
            if at == all.len() {
                all.push(Several { hit: hit.clone(), shares, turn: f32::INFINITY, sum: 0.0, places: Vec::new() });
            }
            let one = &mut all[at];
            // Scores are told as in the list that has it first; they do not compare between lists.
            if turn < one.turn {
                (one.hit, one.shares, one.turn) = (hit, shares, turn);
            }
            one.sum += 1.0 / turn;
            one.places.push((number, rank));
        }
    }
    // Equals stay as they came: what an earlier text found first.
    all.sort_by(|a, b| a.turn.total_cmp(&b.turn).then(b.sum.total_cmp(&a.sum)));
    let mut distinct = Distinct::new();
    for Several { hit, shares, turn, mut places, .. } in all {
        let wording = Wording::of(&hit.text, &hit.headings);
        if let Some(hit) = distinct.fold(Hit { score: 1.0 / turn, ..hit }, &wording) {
            places.sort_by_key(|&(number, rank)| (rank, number == 0, number));
            distinct.keep(hit, wording, (shares, places));
        }
    }
    distinct.into_hits().map(|(hit, note)| (places_once(hit), note)).collect()
}

/// Names every other place once: two lists may name each other's hits.
fn places_once(mut hit: Hit) -> Hit {
    let mut seen = vec![hit.chunk_id];
    hit.also_in.retain(|place| {
        let new = !seen.contains(&place.chunk_id);
        seen.push(place.chunk_id);
        new
    });
    hit
}

#[cfg(test)]
#[path = "several_tests.rs"]
mod tests;
