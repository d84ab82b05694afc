//! From plain words to what is looked up. There is no syntax and so no syntax error: quotes around words ask for
//! the phrase, a star behind a word for its continuations, everything else is words.

use std::collections::BTreeSet;

use fontes_core::Language;
use tantivy::{
    Searcher, Term,
    query::{PhraseQuery, Query},
    schema::Field,
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
const MAX_PHRASES: usize = 16;

/// Letters that an abbreviation in an identifier may have: "Art.", "Abs.", "lit.", "SR", "GZ", "mg".
const MAX_ABBREVIATION: usize = 4;

/// A query of fewer letters does not tell its language.
const TELLING_LETTERS: usize = 24;

/// Languages whose stems are tried when the query does not tell its own.
const MAX_LANGUAGES: usize = 4;

/// What a phrase between quotes is worth, as a multiple of one that was only guessed.
const QUOTED: f32 = 4.0;

/// What a whole reference is worth, as a multiple of two neighbours in it.
const WHOLE: f32 = 2.0;

/// What is looked up for a query.
pub(super) struct Plan {
    /// Words that occur in the index, each once.
    pub words: Vec<PlannedWord>,
    /// Words that should stand side by side.
    pub phrases: Vec<Phrase>,
    /// Words that occur nowhere, in no form.
    pub unknown: Vec<Word>,
    /// Inverse document frequencies of all words added up, those that occur nowhere included: the score of a
    /// chunk that holds each word once.
    pub mass: f32,
}

/// A word of a query and all that is evidence for it.
pub(super) struct PlannedWord {
    /// As typed, in lower case.
    pub text: String,
    /// Inverse document frequency, of the most frequent form.
    pub idf: f32,
    /// The word itself.
    pub whole: Evidence,
    /// Its parts, when it is a compound.
    pub parts: Vec<Part>,
}

/// Part of a compound.
pub(super) struct Part {
    /// The part.
    pub text: String,
    /// Its share of the rarity of all parts.
    pub share: f32,
    /// Where it is found.
    pub evidence: Evidence,
}

/// The posting lists that bear on a word.
#[derive(Default)]
pub(super) struct Evidence {
    /// Each with its place in the ranking.
    pub forms: Vec<Form>,
}

/// A posting list.
pub(super) struct Form {
    /// What kind of evidence it is.
    pub place: Place,
    /// Field and term.
    pub term: Term,
}

/// What kind of evidence a posting list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The spelling as typed.
    Exact,
    /// A spelling that differs in accents.
    Folded,
    /// The stem.
    Stem,
    /// A compound that the word is part of, or a continuation.
    Compound,
    /// The title, in any form.
    Title,
    /// A heading, in any form.
    Headings,
}

/// Words that should stand side by side.
pub(super) struct Phrase {
    /// The words.
    pub text: String,
    /// Inverse document frequencies of its words added up.
    pub rarity: f32,
    /// What standing side by side adds to the score.
    pub weight: f32,
    /// One per field with places.
    pub queries: Vec<Box<dyn Query>>,
}

/// Plans `text` for what `searcher` sees.
pub(super) fn plan(text: &str, fields: &Fields, weights: &FieldWeights, searcher: &Searcher) -> tantivy::Result<Plan> {
    let text = first_words(text);
    let mut found = words(text);
    found.truncate(MAX_WORDS);
    let mut planner = Planner::new(text, fields, searcher)?;
    let mut plan = Plan { words: Vec::new(), phrases: Vec::new(), unknown: Vec::new(), mass: 0.0 };
    let mut seen = BTreeSet::new();
    let wanted: Vec<&Word> = content_words(&found).filter(|word| seen.insert((&word.text, word.prefix))).collect();
    for (place, word) in wanted.into_iter().enumerate() {
        let planned = planner.word(word, weights.compound > 0.0 && place < MAX_SPLIT)?;
        plan.mass += planned.idf;
        if planned.whole.forms.is_empty() && planned.parts.is_empty() {
            plan.unknown.push(word.clone());
        } else {
            plan.words.push(planned);
        }
    }
    // The rarest first; among equals by spelling, so that the same words give the same query.
    plan.words.sort_by(|a, b| b.idf.total_cmp(&a.idf).then_with(|| a.text.cmp(&b.text)));
    plan.words.truncate(MAX_TERMS);
    if weights.phrase > 0.0 && !plan.words.is_empty() {
        plan.phrases = planner.phrases(text, &found, weights.phrase)?;
    }
    Ok(plan)
}

/// The part of `text` that may be looked at, by a bound that is cheap to find: 16 bytes a word.
fn first_words(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_WORDS * 16)]
}

/// The words that say what is wanted: all but function words, or all when there are no others.
fn content_words(found: &[Word]) -> impl Iterator<Item = &Word> {
    let said = |word: &Word| word.prefix || !is_stop_word(&word.text);
    let only_stop_words = !found.iter().any(said);
    found.iter().filter(move |word| only_stop_words || said(word))
}

/// How rare each of `wanted` is, in the spelling that most chunks have; 0 for what is no word. Counting stems, too, finds a
/// little less (decision 30).
pub(super) fn rarities(wanted: &[&str], fields: &Fields, searcher: &Searcher) -> tantivy::Result<Vec<f32>> {
    let all = all_chunks(searcher);
    let rarity = |text: &&str| {
        let mut rarest = 0.0_f32;
        for word in words(text) {
            let mut most = searcher.doc_freq(&Term::from_field_text(fields.exact, &word.text))?;
            for form in word.folded() {
                most = most.max(searcher.doc_freq(&Term::from_field_text(fields.folded, &form))?);
            }
            rarest = rarest.max(idf(all, most));
        }
        Ok(rarest)
    };
    wanted.iter().map(rarity).collect()
}

/// Rarity of what occurs in `with` of `all` chunks: never negative, and for nothing as for half a chunk.
fn idf(all: u64, with: u64) -> f32 {
    let (all, with) = (all.max(with) as f32, with as f32);
    (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
}

fn all_chunks(searcher: &Searcher) -> u64 {
    searcher.segment_readers().iter().map(|segment| u64::from(segment.max_doc())).sum()
}

/// Looks words up.
struct Planner<'s> {
    searcher: &'s Searcher,
    fields: &'s Fields,
    documents: u64,
    stems: Stems,
    german: bool,
    lexicon: Lexicon<'s>,
}

impl<'s> Planner<'s> {
    fn new(text: &str, fields: &'s Fields, searcher: &'s Searcher) -> tantivy::Result<Self> {
        let languages = languages(text, fields, searcher)?;
        Ok(Self {
            searcher,
            fields,
            documents: all_chunks(searcher),
            stems: Stems::of_all(&languages),
            german: languages.contains(&Language::German),
            lexicon: Lexicon::new(searcher, fields),
        })
    }

    /// See [`idf`].
    fn idf(&self, documents: u64) -> f32 {
        idf(self.documents, documents)
    }

    fn word(&mut self, word: &Word, split: bool) -> tantivy::Result<PlannedWord> {
        let (mut whole, mut frequency) = self.evidence(word)?;
        let mut parts = Vec::new();
        if word.prefix {
            frequency += self.continuations(word, &mut whole)?;
        } else if split && self.german && !word.number {
            let plain = word.plain();
            let compounds = self.lexicon.compounds(&plain)?;
            for (compound, documents) in compounds {
                let term = Term::from_field_text(self.fields.folded, &compound);
                whole.forms.push(Form { place: Place::Compound, term });
                frequency += documents;
            }
            for part in self.lexicon.parts(&word.text) {
                let (evidence, frequency) = self.evidence(&Word::of(&part))?;
                parts.push(Part { text: part, share: self.idf(frequency), evidence });
            }
            let all: f32 = parts.iter().map(|part| part.share).sum();
            for part in &mut parts {
                part.share /= all;
            }
        }
        Ok(PlannedWord { text: word.text.clone(), idf: self.idf(frequency), whole, parts })
    }

    /// Where a word is found, as far as it occurs at all, and in how many chunks at least.
    fn evidence(&mut self, word: &Word) -> tantivy::Result<(Evidence, u64)> {
        let fields = self.fields;
        let (folded, stems) = (word.folded(), self.stems.forms(word));
        let mut wanted = vec![(Place::Exact, fields.exact, word.text.clone())];
        wanted.extend(folded.iter().map(|form| (Place::Folded, fields.folded, form.clone())));
        wanted.extend(stems.iter().map(|form| (Place::Stem, fields.stem, form.clone())));
        let any: BTreeSet<&String> = folded.iter().chain(&stems).collect();
        for (place, field) in [(Place::Title, fields.title), (Place::Headings, fields.headings)] {
            wanted.extend(any.iter().map(|&form| (place, field, form.clone())));
        }
        let (mut evidence, mut most) = (Evidence::default(), 0);
        for (place, field, form) in wanted {
            let term = Term::from_field_text(field, &form);
            let frequency = self.searcher.doc_freq(&term)?;
            if frequency > 0 {
                evidence.forms.push(Form { place, term });
                most = most.max(frequency);
            }
        }
        Ok((evidence, most))
    }

    /// Adds the words that begin with `word`; gives the number of chunks they are in, those with several counted
    /// more than once.
    fn continuations(&self, word: &Word, evidence: &mut Evidence) -> tantivy::Result<u64> {
        let mut frequency = 0;
        for (text, documents) in self.lexicon.continuations(&word.plain())? {
            let term = Term::from_field_text(self.fields.folded, &text);
            evidence.forms.push(Form { place: Place::Compound, term });
            frequency += documents;
        }
        Ok(frequency)
    }

    /// Phrases that are asked for in quotes or read as references.
    fn phrases(&self, text: &str, found: &[Word], weight: f32) -> tantivy::Result<Vec<Phrase>> {
        let quoted = quoted(text).into_iter().map(|phrase| (phrase, QUOTED));
        let mut wanted: Vec<(Vec<Word>, f32)> = quoted.chain(references(found)).collect();
        wanted.truncate(MAX_PHRASES);
        let mut phrases: Vec<Phrase> = Vec::new();
        for (words, factor) in wanted {
            let whole: Vec<&Word> = words.iter().filter(|word| !word.part).take(MAX_PHRASE).collect();
            let text = whole.iter().map(|word| word.plain()).collect::<Vec<_>>().join(" ");
            if whole.len() < 2 || phrases.iter().any(|phrase| phrase.text == text) {
                continue;
            }
            let mut rarity = 0.0;
            for word in &whole {
                rarity += self.idf(self.searcher.doc_freq(&Term::from_field_text(self.fields.folded, &word.plain()))?);
            }
            let places = [self.fields.folded, self.fields.title, self.fields.headings];
            let queries = places.into_iter().map(|field| phrase_query(field, &whole)).collect();
            phrases.push(Phrase { text, rarity, weight: weight * factor * rarity, queries });
        }
        Ok(phrases)
    }
}

/// The languages whose stems are looked up: that of the query when it is long enough to tell and the archive has
/// any of it, else those of the archive, the most frequent first.
fn languages(text: &str, fields: &Fields, searcher: &Searcher) -> tantivy::Result<Vec<Language>> {
    let mut present = Vec::new();
    for &language in Language::ALL {
        let chunks = searcher.doc_freq(&Term::from_field_text(fields.language, language.code()))?;
        if chunks > 0 {
            present.push((chunks, language));
        }
    }
    present.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let present: Vec<Language> = present.into_iter().map(|(_, language)| language).take(MAX_LANGUAGES).collect();
    let language = Language::detect(text);
    let telling = text.chars().filter(|c| c.is_alphabetic()).nth(TELLING_LETTERS - 1).is_some();
    Ok(if telling && present.contains(&language) { vec![language] } else { present })
}

/// The phrases between quotation marks. An unclosed mark is no mark.
fn quoted(text: &str) -> Vec<Vec<Word>> {
    let is_quote = |c: char| matches!(c, '"' | '«' | '»' | '„' | '“' | '”');
    let pieces: Vec<&str> = text.split(is_quote).collect();
    let closed = if pieces.len().is_multiple_of(2) { pieces.len() - 1 } else { pieces.len() };
    let inside = pieces[..closed].iter().skip(1).step_by(2);
    inside.map(|piece| words(piece)).filter(|words| words.len() > 1).collect()
}

/// Neighbours that read as one name: runs of numbers, single letters and short words, as in "Art. 5 Abs. 2 lit. a
/// DSG", "GZ 2024-123.45", "500 mg". The whole run, with the name before a dose ("Ibuprofen 500 mg"), and every pair,
/// because a citation may be cut short. Each with what it is worth.
fn references(found: &[Word]) -> Vec<(Vec<Word>, f32)> {
    let whole: Vec<&Word> = found.iter().filter(|word| !word.part).collect();
    let letters = |word: &Word| word.text.chars().count();
    let label = |word: &Word| word.number || letters(word) == 1;
    let short = |word: &Word| label(word) || word.citation.is_some() || letters(word) <= MAX_ABBREVIATION;
    let owned = |words: &[&Word]| words.iter().map(|&word| word.clone()).collect::<Vec<Word>>();
    let mut references = Vec::new();
    let mut begin = 0;
    for run in whole.chunk_by(|a, b| short(a) && short(b)) {
        let end = begin + run.len();
        if run.iter().any(|word| word.number) {
            // A dose stands behind the name of its drug, however long that is.
            let before = if run[0].number { begin.saturating_sub(1) } else { begin };
            // From the word before the first label to the word behind the last.
            let first = begin + run.iter().position(|word| label(word)).unwrap_or(0);
            let last = begin + run.iter().rposition(|word| label(word)).unwrap_or(0);
            let reference = trimmed(&whole[first.saturating_sub(1).max(before)..(last + 2).min(end)]);
            if reference.len() > 2 {
                references.push((owned(reference), WHOLE));
            }
            let pairs = reference.windows(2).filter(|pair| pair.iter().any(|word| label(word)));
            references.extend(pairs.map(|pair| (owned(pair), 1.0)));
        }
        begin = end;
    }
    references
}

/// A run without the function words at its ends; the letter of "lit. a" is none.
fn trimmed<'a, 'w>(run: &'a [&'w Word]) -> &'a [&'w Word] {
    let lettered = |at: usize| at > 0 && run[at - 1].citation.is_some();
    let function = |at: usize| run[at].citation.is_none() && is_stop_word(&run[at].text) && !lettered(at);
    let begin = (0..run.len()).find(|&at| !function(at)).unwrap_or(run.len());
    let end = (begin..run.len()).rfind(|&at| !function(at)).map_or(begin, |last| last + 1);
    &run[begin..end]
}

fn phrase_query(field: Field, words: &[&Word]) -> Box<dyn Query> {
    let first = words[0].position;
    let term = |word: &&Word| (word.position - first, Term::from_field_text(field, &word.plain()));
    Box::new(PhraseQuery::new_with_offset(words.iter().map(term).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(phrases: impl IntoIterator<Item = Vec<Word>>) -> Vec<String> {
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
    fn references_are_found() {
        let find = |text: &str| texts(references(&words(text)).into_iter().map(|(words, _)| words));
        assert_eq!(
            find("Was sagt Art. 5 Abs. 2 lit. a DSG dazu?"),
            ["art 5 abs 2 lit a dsg", "art 5", "5 abs", "abs 2", "2 lit", "lit a", "a dsg"]
        );
        assert_eq!(find("Verfügung GZ 2024-123.45 betreffend"), ["gz 2024-123.45"]);
        assert_eq!(find("Dosis Ibuprofen 500mg täglich"), ["ibuprofen 500 mg", "ibuprofen 500", "500 mg"]);
        assert_eq!(find("der Hund und die Katze"), [""; 0]);
        assert_eq!(find("im Jahr 1848"), ["jahr 1848"]);
    }
}
