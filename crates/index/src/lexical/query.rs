//! From plain words to a Tantivy query. There is no syntax and so no syntax error: quotes around words ask for
//! the phrase, everything else is words.

use std::collections::BTreeSet;

use fontes_core::Language;
use tantivy::{
    Searcher, Term,
    query::{BooleanQuery, BoostQuery, PhraseQuery, Query, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::{
    analysis::{Word, words},
    compound::Lexicon,
    schema::Fields,
    stem::Stems,
    stop::is_stop_word,
};
use crate::recipe::FieldWeights;

/// Words of a query that are looked at; a longer text says no more about what is wanted.
const MAX_WORDS: usize = 1_000;

/// Words that are searched for: the rarest. Each costs a walk over its postings.
const MAX_TERMS: usize = 64;

/// Words whose compounds are looked for; a text so long has enough words of its own.
const MAX_SPLIT: usize = 24;

/// Words that a phrase may have.
const MAX_PHRASE: usize = 16;

/// Phrases that are searched for.
const MAX_PHRASES: usize = 12;

/// Letters that an abbreviation in an identifier may have: "Art.", "Abs.", "lit.", "SR", "GZ", "mg".
const MAX_ABBREVIATION: usize = 4;

/// Compiles `text` for `searcher`. `None` when no word of it is in the index.
pub(super) fn words_query(
    text: &str,
    fields: &Fields,
    weights: &FieldWeights,
    searcher: &Searcher,
) -> tantivy::Result<Option<Box<dyn Query>>> {
    let text = first_words(text);
    let mut found = words(text);
    found.truncate(MAX_WORDS);
    let language = Language::detect(text);
    let mut stems = Stems::for_query(language);
    let mut terms: Vec<(Term, f32, u64)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut clauses: Vec<Box<dyn Query>> = Vec::new();
    let german = matches!(language, Language::German | Language::Undetermined);
    let mut lexicon = Lexicon::new(searcher, fields);
    let wanted: Vec<&Word> = content_words(&found).filter(|word| seen.insert(&word.text)).collect();
    for (place, word) in wanted.into_iter().enumerate() {
        terms.extend(word_terms(word, 1.0, &mut stems, fields, weights, searcher)?);
        if german && weights.compound > 0.0 && place < MAX_SPLIT {
            let plain = word.plain();
            for part in lexicon.parts(&plain) {
                let part = Word { text: part, ..word.clone() };
                terms.extend(word_terms(&part, weights.compound, &mut stems, fields, weights, searcher)?);
            }
            clauses.extend(lexicon.compounds(&plain, weights.compound)?);
        }
    }
    // The same stem may come from two words, and the same spelling from two stems.
    terms.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    terms.dedup_by(|a, b| a.0 == b.0);
    // The rarest first; among equals the order of terms, so that the same words give the same query.
    terms.sort_by_key(|(_, _, frequency)| *frequency);
    terms.truncate(MAX_TERMS * FIELDS_PER_WORD);

    clauses.extend(terms.into_iter().map(|(term, weight, _)| weighted(term, weight)));
    if clauses.is_empty() {
        return Ok(None);
    }
    if weights.phrase > 0.0 {
        let mut phrases = quoted(text);
        phrases.extend(identifiers(&found));
        phrases.dedup();
        phrases.truncate(MAX_PHRASES);
        clauses.extend(phrases.into_iter().filter_map(|phrase| phrase_query(fields.exact, phrase, weights.phrase)));
    }
    Ok(Some(Box::new(BooleanQuery::union(clauses))))
}

/// A word is looked for in so many fields.
const FIELDS_PER_WORD: usize = 4;

/// The part of `text` that may be looked at, by a bound that is cheap to find: 16 bytes a word.
fn first_words(text: &str) -> &str {
    let mut end = text.len().min(MAX_WORDS * 16);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The words that say what is wanted: all but function words, or all when there are no others.
fn content_words(found: &[Word]) -> impl Iterator<Item = &Word> {
    let only_stop_words = found.iter().all(|word| is_stop_word(&word.text));
    found.iter().filter(move |word| only_stop_words || !is_stop_word(&word.text))
}

/// Where a word is looked for, with weights (times `share`) and document frequencies, as far as it occurs at all.
fn word_terms(
    word: &Word,
    share: f32,
    stems: &mut Stems,
    fields: &Fields,
    weights: &FieldWeights,
    searcher: &Searcher,
) -> tantivy::Result<Vec<(Term, f32, u64)>> {
    let mut wanted = Vec::new();
    let plain = word.plain().into_owned();
    if plain != word.text {
        // Typed with its accents, the word finds them first.
        wanted.push((fields.exact, word.text.clone(), weights.exact * 0.5));
    }
    for stem in stems.stem(word) {
        wanted.push((fields.stem, stem.clone(), weights.stem));
        wanted.push((fields.title, stem.clone(), weights.title));
        wanted.push((fields.headings, stem, weights.headings));
    }
    wanted.push((fields.title, plain.clone(), weights.title));
    wanted.push((fields.headings, plain.clone(), weights.headings));
    // A number has no stem and counts in full.
    let exact = if word.number { weights.exact.max(weights.stem) } else { weights.exact };
    wanted.push((fields.exact, plain, exact));

    let mut terms = Vec::new();
    for (field, text, weight) in wanted.into_iter().filter(|(_, _, weight)| *weight > 0.0) {
        let term = Term::from_field_text(field, &text);
        let frequency = searcher.doc_freq(&term)?;
        if frequency > 0 {
            terms.push((term, weight * share, frequency));
        }
    }
    Ok(terms)
}

fn weighted(term: Term, weight: f32) -> Box<dyn Query> {
    let query = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
    Box::new(BoostQuery::new(query, weight))
}

/// The phrases between quotation marks. An unclosed mark is no mark.
fn quoted(text: &str) -> Vec<Vec<Word>> {
    let is_quote = |c: char| matches!(c, '"' | '«' | '»' | '„' | '“' | '”');
    let pieces: Vec<&str> = text.split(is_quote).collect();
    let closed = if pieces.len().is_multiple_of(2) { pieces.len() - 1 } else { pieces.len() };
    let inside = pieces[..closed].iter().skip(1).step_by(2);
    inside.map(|piece| words(piece)).filter(|words| words.len() > 1).collect()
}

/// Pairs of neighbours that read as one name: a number or single letter with the short word beside it, as in
/// "Art. 5 Abs. 2 lit. a DSG", "GZ 2024-123.45", "500 mg". Pairs, because a citation may be cut short.
fn identifiers(found: &[Word]) -> Vec<Vec<Word>> {
    let whole: Vec<&Word> = found.iter().filter(|word| !word.part).collect();
    let letters = |word: &Word| word.text.chars().count();
    let short = |word: &Word| word.number || letters(word) <= MAX_ABBREVIATION;
    let label = |word: &Word| word.number || letters(word) == 1;
    whole
        .chunk_by(|a, b| short(a) && short(b))
        .filter(|run| run.iter().any(|word| word.number))
        .flat_map(|run| run.windows(2))
        .filter(|pair| pair.iter().any(|word| label(word)))
        .map(|pair| pair.iter().map(|&word| word.clone()).collect())
        .collect()
}

fn phrase_query(field: Field, phrase: Vec<Word>, weight: f32) -> Option<Box<dyn Query>> {
    let first = phrase.first()?.position;
    let whole = phrase.iter().filter(|word| !word.part).take(MAX_PHRASE);
    let terms: Vec<(usize, Term)> =
        whole.map(|word| (word.position - first, Term::from_field_text(field, &word.plain()))).collect();
    // Tantivy's phrase has two words at least.
    (terms.len() > 1).then(|| Box::new(BoostQuery::new(Box::new(PhraseQuery::new_with_offset(terms)), weight)) as _)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(phrases: Vec<Vec<Word>>) -> Vec<String> {
        let join = |phrase: Vec<Word>| phrase.into_iter().map(|word| word.text).collect::<Vec<_>>().join(" ");
        phrases.into_iter().map(join).collect()
    }

    #[test]
    fn quotes_ask_for_phrases() {
        assert_eq!(texts(quoted("die \"gute Sache\" und «das Ganze»")), ["gute sache", "das ganze"]);
        assert_eq!(texts(quoted("ein \"offenes Ende")), [""; 0]);
        assert_eq!(texts(quoted("\"Wort\"")), [""; 0], "one word is no phrase");
    }

    #[test]
    fn identifiers_are_found() {
        let find = |text: &str| texts(identifiers(&words(text)));
        assert_eq!(
            find("Was sagt Art. 5 Abs. 2 lit. a DSG dazu?"),
            ["art 5", "5 abs", "abs 2", "2 lit", "lit a", "a dsg"]
        );
        assert_eq!(find("Verfügung GZ 2024-123.45 betreffend"), ["gz 2024-123.45"]);
        assert_eq!(find("Dosis 500mg täglich"), ["500 mg"]);
        assert_eq!(find("der Hund und die Katze"), [""; 0]);
        assert_eq!(find("im Jahr 1848"), ["jahr 1848"]);
    }
}
