//! Words as they were probably meant: the most similar ones of the index that the asker may see.

use std::collections::BTreeMap;

use tantivy::{
    Searcher, Term,
    query::{BooleanQuery, FuzzyTermQuery, Query},
    schema::Field,
};

use super::{
    analysis::{Word, words},
    plan::{self, Plan, PlannedWord},
    schema::Fields,
    score,
};
use crate::recipe::LexicalRecipe;

/// Letters of the shortest word that is corrected; shorter ones resemble too much.
const MIN_LETTERS: usize = 4;

/// From so many letters on, two slips are allowed instead of one.
const TWO_SLIPS: usize = 8;

/// More unknown words are another language or gibberish, not slips.
const MAX_UNKNOWN: usize = 3;

/// Similar words that are looked at.
const MAX_SIMILAR: usize = 32;

/// `text` with what no allowed chunk holds replaced by what some do; `None` when nothing is or can be replaced.
pub(super) fn corrected(
    text: &str,
    searcher: &Searcher,
    fields: &Fields,
    recipe: &LexicalRecipe,
    allowed: &BooleanQuery,
) -> tantivy::Result<Option<String>> {
    let plan = plan::plan(text, fields, &recipe.weights, searcher)?;
    let mut unknown = plan.unknown;
    for word in plan.words {
        if unknown.len() > MAX_UNKNOWN {
            break;
        }
        let text = word.text.clone();
        if !occurs(word, searcher, fields, recipe, allowed)? {
            unknown.push(Word::of(&text));
        }
    }
    if unknown.is_empty() || unknown.len() > MAX_UNKNOWN {
        return Ok(None);
    }
    let mut replaced = text.to_owned();
    for word in unknown {
        for similar in similar(&word, searcher, fields.exact)? {
            let planned = plan::plan(&similar, fields, &recipe.weights, searcher)?;
            let Some(first) = planned.words.into_iter().next() else { continue };
            if occurs(first, searcher, fields, recipe, allowed)? {
                replaced = with(&replaced, &word.text, &similar);
                break;
            }
        }
    }
    Ok((replaced != text).then_some(replaced))
}

/// Says whether an allowed chunk holds the word in any form.
fn occurs(
    word: PlannedWord,
    searcher: &Searcher,
    fields: &Fields,
    recipe: &LexicalRecipe,
    allowed: &dyn Query,
) -> tantivy::Result<bool> {
    let alone = Plan { words: vec![word], phrases: Vec::new(), unknown: Vec::new(), mass: 1.0 };
    score::any(searcher, fields, recipe, &alone, allowed)
}

/// Words of the index within one or two slips (Damerau–Levenshtein), the nearest first, then the most frequent.
fn similar(word: &Word, searcher: &Searcher, field: Field) -> tantivy::Result<Vec<String>> {
    let letters = word.text.chars().count();
    if word.number || letters < MIN_LETTERS {
        return Ok(Vec::new());
    }
    let slips = if letters < TWO_SLIPS { 1 } else { 2 };
    let mut found: BTreeMap<String, (u8, u64)> = BTreeMap::new();
    for distance in 1..=slips {
        let fuzzy = FuzzyTermQuery::new(Term::from_field_text(field, &word.text), distance, true);
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let mut stream = index.terms().search(fuzzy.automaton()?).into_stream()?;
            while stream.advance() {
                if let Ok(text) = std::str::from_utf8(stream.key()) {
                    let (_, frequency) = found.entry(text.to_owned()).or_insert((distance, 0));
                    *frequency += u64::from(stream.value().doc_freq);
                }
            }
        }
    }
    let mut found: Vec<(String, (u8, u64))> =
        found.into_iter().filter(|(text, _)| begin_alike(text, &word.text)).collect();
    found.sort_by(|(a, (near, many)), (b, (far, few))| near.cmp(far).then(few.cmp(many)).then(a.cmp(b)));
    found.truncate(MAX_SIMILAR);
    Ok(found.into_iter().map(|(text, _)| text).collect())
}

/// Says whether two different words begin with the same letter, or with the same two swapped: hardly anyone misses the
/// first letter, and many short words differ in nothing else.
fn begin_alike(one: &str, other: &str) -> bool {
    let first_two = |word: &str| word.chars().take(2).collect::<Vec<char>>();
    let (one_two, mut other_two) = (first_two(one), first_two(other));
    let same = one_two.first() == other_two.first();
    other_two.reverse();
    one != other && (same || one_two == other_two)
}

/// `text` with every occurrence of the lower-case `word` replaced.
fn with(text: &str, word: &str, by: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let end = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        if words(end).iter().any(|cut| cut.text == word) {
            replaced.push_str(by);
            replaced.push_str(&piece[end.len()..]);
        } else {
            replaced.push_str(piece);
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_meant_is_replaced() {
        assert_eq!(with("Die First, die FIRST? Firsten", "first", "frist"), "Die frist, die frist? Firsten");
        assert_eq!(with("", "first", "frist"), "");
    }
}
