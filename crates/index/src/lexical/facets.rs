//! Counts of documents by the values of their fields, within what may be seen.

use std::collections::BTreeMap;

use fontes_core::{Facet, FilterField};
use tantivy::{
    DocSet, Searcher, Term,
    query::{BooleanQuery, EnableScoring, Query, TermQuery},
    schema::IndexRecordOption,
};

use super::schema::Fields;

/// What is counted.
const COUNTED: [FilterField; 3] = [FilterField::Language, FilterField::Source, FilterField::MediaType];

/// Counts the documents in `allowed` by the values of each field, the most frequent first.
pub(super) fn facets(searcher: &Searcher, fields: &Fields, allowed: &BooleanQuery) -> tantivy::Result<Vec<Facet>> {
    let first = TermQuery::new(Term::from_field_bool(fields.first, true), IndexRecordOption::Basic);
    let documents = BooleanQuery::intersection(vec![Box::new(allowed.clone()), Box::new(first)]);
    let documents = documents.weight(EnableScoring::disabled_from_searcher(searcher))?;
    let mut counts: BTreeMap<(usize, String), u64> = BTreeMap::new();
    for segment in searcher.segment_readers() {
        let mut begins = Vec::new();
        let mut found = documents.scorer(segment, 1.0)?;
        while found.doc() < segment.max_doc() {
            if !segment.is_deleted(found.doc()) {
                begins.push(found.doc());
            }
            found.advance();
        }
        for (at, field) in COUNTED.into_iter().enumerate() {
            let Some(indexed) = fields.filter_field(field) else { continue };
            let index = segment.inverted_index(indexed)?;
            let mut terms = index.terms().stream()?;
            while terms.advance() {
                let mut postings = index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
                let has = |&&document: &&u32| {
                    let here = if postings.doc() < document { postings.seek(document) } else { postings.doc() };
                    here == document
                };
                let count = begins.iter().filter(has).count();
                if let Ok(value) = std::str::from_utf8(terms.key())
                    && count > 0
                {
                    *counts.entry((at, value.to_owned())).or_default() += count as u64;
                }
            }
        }
    }
    let mut facets: Vec<(usize, Facet)> = counts
        .into_iter()
        .map(|((at, value), documents)| (at, Facet { field: COUNTED[at], value, documents }))
        .collect();
    facets.sort_by(|(a, one), (b, other)| {
        a.cmp(b).then(other.documents.cmp(&one.documents)).then_with(|| one.value.cmp(&other.value))
    });
    Ok(facets.into_iter().map(|(_, facet)| facet).collect())
}
