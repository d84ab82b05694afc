//! Why a chunk was found: which words in which forms, and what each adds.

use fontes_core::TermMatch;
use tantivy::{DocAddress, DocSet, Searcher, postings::Postings as _, schema::IndexRecordOption};

use super::{
    plan::{Evidence, Form, Place, Plan},
    schema::Fields,
    score::{self, Contributions},
};
use crate::recipe::LexicalRecipe;

/// What each word and phrase of `plan` adds to the score of one chunk, as shares of the whole query, the weightiest
/// first.
pub(super) fn term_matches(
    searcher: &Searcher,
    fields: &Fields,
    recipe: &LexicalRecipe,
    plan: &Plan,
    address: DocAddress,
) -> tantivy::Result<Vec<TermMatch>> {
    let Contributions { words, phrases } = score::contributions(searcher, fields, recipe, plan, address)?;
    let mut matches = Vec::with_capacity(words.len() + phrases.len());
    for (at, score) in words {
        let word = &plan.words[at];
        let mut found = found(&word.whole, "", searcher, address)?;
        for part in &word.parts {
            found.extend(self::found(&part.evidence, &format!("part {}, ", part.text), searcher, address)?);
        }
        matches.push(TermMatch { term: word.text.clone(), found, rarity: word.idf, weight: score / plan.mass });
    }
    for (at, score) in phrases {
        let phrase = &plan.phrases[at];
        let found = vec!["phrase".to_owned()];
        matches.push(TermMatch { term: phrase.text.clone(), found, rarity: phrase.rarity, weight: score / plan.mass });
    }
    matches.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.term.cmp(&b.term)));
    Ok(matches)
}

/// The forms of `evidence` that the chunk holds, described.
fn found(evidence: &Evidence, prefix: &str, searcher: &Searcher, address: DocAddress) -> tantivy::Result<Vec<String>> {
    let segment = searcher.segment_reader(address.segment_ord);
    let mut found = Vec::new();
    for form in &evidence.forms {
        let index = segment.inverted_index(form.term.field())?;
        let Some(mut postings) = index.read_postings(&form.term, IndexRecordOption::WithFreqs)? else { continue };
        let at = if postings.doc() < address.doc_id { postings.seek(address.doc_id) } else { postings.doc() };
        if at == address.doc_id {
            let described = format!("{prefix}{} ×{}", described(form), postings.term_freq());
            if !found.contains(&described) {
                found.push(described);
            }
        }
    }
    Ok(found)
}

fn described(form: &Form) -> String {
    let value = form.term.value();
    let text = value.as_str().unwrap_or_default();
    match form.place {
        Place::Exact => "text: as typed".to_owned(),
        Place::Folded => format!("text: {text}"),
        Place::Stem => format!("text: stem {text}"),
        Place::Compound => format!("text: within {text}"),
        Place::Title => format!("title: {text}"),
        Place::Headings => format!("headings: {text}"),
    }
}
