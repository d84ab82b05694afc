//! German compounds: "Bundesverwaltungsgerichtsentscheid" finds "Entscheid des Bundesverwaltungsgerichts", and
//! "Frist" finds "Kündigungsfrist".
//!
//! No foreign dictionary: the words of the corpus itself say where a compound may be cut, and they are looked up
//! in the index when a query comes. So nothing depends on the order in which documents came in, a rebuilt index
//! finds the same, and every new document counts at once.

use std::collections::HashMap;

use fontes_core::Language;
use tantivy::{Searcher, Term, schema::Field};

use super::{analysis::Word, schema::Fields, stem::Stems, stop::is_stop_word};

/// Letters that a part has at least: "Amt", "Ehe", "Rat". Shorter ones are found in every word.
const MIN_PART: usize = 3;

/// Letters of a stem that stands for a part: shorter ones are stems of too many words.
const MIN_STEM: usize = 4;

/// Letters of the shortest compound that is looked at: two parts and one more.
pub(super) const MIN_COMPOUND: usize = 2 * MIN_PART + 1;

/// Letters of the longest.
const MAX_COMPOUND: usize = 48;

/// What may stand between two parts: "Kündigung-s-frist", "Kind-er-garten", "Frau-en-haus".
const LINKS: [&str; 6] = ["", "s", "es", "n", "en", "er"];

/// Compounds looked at when those of a word are collected, per segment and end.
const MAX_SCANNED: usize = 512;

/// Compounds searched for, the most frequent.
const MAX_COMPOUNDS: usize = 64;

/// Letters that a word must have for its continuations to be looked for: shorter beginnings say nothing.
const MIN_PREFIX: usize = 2;

/// Says whether a plain spelling may be a compound or part of one.
pub(super) fn is_candidate(word: &str) -> bool {
    word.len() >= MIN_PART && word.len() <= MAX_COMPOUND && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// The same of a spelling with its umlauts, on which the stems of its parts depend.
fn is_splittable(word: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || matches!(c, 'ä' | 'ö' | 'ü' | 'ß');
    word.len() >= MIN_COMPOUND && word.len() <= MAX_COMPOUND && word.chars().all(letter)
}

/// A plain spelling backwards: how the ends of words can be looked up.
pub(super) fn reversed(word: &str) -> String {
    word.chars().rev().collect()
}

/// Cuts `word` into as few known words as possible, the most frequent when there is a choice (after Koehn and
/// Knight, 2003). `frequency` gives 0 for unknown words. Empty when there is no cut.
pub(super) fn split(word: &str, mut frequency: impl FnMut(&str) -> u64) -> Vec<String> {
    if !is_splittable(word) {
        return Vec::new();
    }
    // best[end]: fewest parts up to `end`, then the sum of the logarithms of their frequencies; and the last part.
    let mut best: Vec<Option<(usize, f64, usize, usize)>> = vec![None; word.len() + 1];
    best[0] = Some((0, 0.0, 0, 0));
    for start in 0..word.len() {
        let Some((parts, sum, ..)) = best[start] else { continue };
        for end in start + MIN_PART..=word.len() {
            if (start == 0 && end == word.len()) || !word.is_char_boundary(end) {
                continue;
            }
            let count = frequency(&word[start..end]);
            if count == 0 {
                continue;
            }
            let value = (parts + 1, sum + (count as f64).ln());
            for link in LINKS {
                let next = end + link.len();
                let inner = next + MIN_PART <= word.len() || (link.is_empty() && next == word.len());
                if !inner || !word[end..].starts_with(link) {
                    continue;
                }
                let better =
                    best[next].is_none_or(|(parts, sum, ..)| value.0 < parts || (value.0 == parts && value.1 > sum));
                if better {
                    best[next] = Some((value.0, value.1, start, end));
                }
            }
        }
    }
    let mut parts = Vec::new();
    let mut at = word.len();
    while at > 0 {
        let Some((_, _, start, end)) = best[at] else { return Vec::new() };
        parts.push(word[start..end].to_owned());
        at = start;
    }
    parts.reverse();
    parts
}

/// The words of an index, as far as compounds need them.
pub(super) struct Lexicon<'s> {
    searcher: &'s Searcher,
    fields: &'s Fields,
    stems: Stems,
    known: HashMap<String, u64>,
}

impl<'s> Lexicon<'s> {
    /// Looks at what `searcher` sees.
    pub(super) fn new(searcher: &'s Searcher, fields: &'s Fields) -> Self {
        Self { searcher, fields, stems: Stems::of(Language::German), known: HashMap::new() }
    }

    /// Document frequency of a word in any of its inflections.
    fn frequency(&mut self, word: &str) -> u64 {
        if let Some(&known) = self.known.get(word) {
            return known;
        }
        if is_stop_word(word) {
            return 0;
        }
        let part = Word::of(word);
        let mut forms = vec![Term::from_field_text(self.fields.folded, &part.plain())];
        let stems = self.stems.stem(&part).into_iter().filter(|stem| stem.len() >= MIN_STEM);
        forms.extend(stems.map(|stem| Term::from_field_text(self.fields.stem, &stem)));
        // A dictionary that cannot be read costs the compounds; the search itself will tell.
        let frequency = forms.iter().map(|term| self.searcher.doc_freq(term).unwrap_or(0)).max().unwrap_or(0);
        self.known.insert(word.to_owned(), frequency);
        frequency
    }

    /// The parts of `word`, or nothing.
    pub(super) fn parts(&mut self, word: &str) -> Vec<String> {
        split(word, |part| self.frequency(part))
    }

    /// The compounds that `word` begins or ends, the most frequent first, with document frequencies.
    pub(super) fn compounds(&mut self, word: &str) -> tantivy::Result<Vec<(String, u64)>> {
        if !is_candidate(word) {
            return Ok(Vec::new());
        }
        let mut found: Vec<(String, u64)> = Vec::new();
        for (term, frequency) in self.starting_with(self.fields.tail, &reversed(word), MIN_PART)? {
            let compound = reversed(&term);
            if self.is_first_part(&compound[..compound.len() - word.len()]) {
                found.push((compound, frequency));
            }
        }
        for (compound, frequency) in self.starting_with(self.fields.folded, word, MIN_PART)? {
            if is_candidate(&compound) && self.is_last_part(&compound[word.len()..]) {
                found.push((compound, frequency));
            }
        }
        Ok(most_frequent(found))
    }

    /// The words that begin with `word`, the most frequent first, with document frequencies.
    pub(super) fn continuations(&self, word: &str) -> tantivy::Result<Vec<(String, u64)>> {
        if word.chars().count() < MIN_PREFIX {
            return Ok(Vec::new());
        }
        Ok(most_frequent(self.starting_with(self.fields.folded, word, 1)?))
    }

    /// Says whether `rest`, without what links it on, is a known word.
    fn is_first_part(&mut self, rest: &str) -> bool {
        LINKS
            .iter()
            .filter_map(|link| rest.strip_suffix(link))
            .any(|part| part.len() >= MIN_PART && self.frequency(part) > 0)
    }

    /// Says whether `rest`, without what links it on, is a known word.
    fn is_last_part(&mut self, rest: &str) -> bool {
        LINKS
            .iter()
            .filter_map(|link| rest.strip_prefix(link))
            .any(|part| part.len() >= MIN_PART && self.frequency(part) > 0)
    }

    /// The words of `field` that begin with `prefix` and go on for `more` bytes at least, with frequencies.
    fn starting_with(&self, field: Field, prefix: &str, more: usize) -> tantivy::Result<Vec<(String, u64)>> {
        let mut found: HashMap<String, u64> = HashMap::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let mut stream = index.terms().range().ge(prefix).into_stream()?;
            let mut scanned = 0;
            while scanned < MAX_SCANNED && stream.advance() && stream.key().starts_with(prefix.as_bytes()) {
                scanned += 1;
                if let Ok(word) = std::str::from_utf8(stream.key())
                    && word.len() >= prefix.len() + more
                    && word.len() <= MAX_COMPOUND
                {
                    *found.entry(word.to_owned()).or_default() += u64::from(stream.value().doc_freq);
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// As many words as are searched for, the most frequent, each once.
fn most_frequent(mut found: Vec<(String, u64)>) -> Vec<(String, u64)> {
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.dedup_by(|a, b| a.0 == b.0);
    found.truncate(MAX_COMPOUNDS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(word: &str, known: &[(&str, u64)]) -> Vec<String> {
        split(word, |part| known.iter().find(|(word, _)| *word == part).map_or(0, |(_, count)| *count))
    }

    #[test]
    fn compounds_are_cut_at_known_words() {
        let known = [("bund", 9), ("verwaltung", 9), ("gericht", 9), ("entscheid", 9), ("kuendigung", 5), ("frist", 5)];
        assert_eq!(parts("bundesverwaltungsgerichtsentscheid", &known), ["bund", "verwaltung", "gericht", "entscheid"]);
        assert_eq!(parts("kuendigungsfrist", &known), ["kuendigung", "frist"]);
        assert_eq!(parts("kuendigungsschreiben", &known), [""; 0], "a part is not known");
        assert_eq!(parts("gericht", &known), [""; 0], "a word is not its own part");
    }

    #[test]
    fn few_long_parts_win_over_many_short_ones() {
        let known =
            [("bund", 900), ("verwaltung", 900), ("gericht", 900), ("bundesverwaltungsgericht", 1), ("entscheid", 9)];
        assert_eq!(parts("bundesverwaltungsgerichtsentscheid", &known), ["bundesverwaltungsgericht", "entscheid"]);
    }

    #[test]
    fn among_equal_cuts_the_frequent_words_win() {
        let known = [("staub", 9), ("ecken", 1), ("staubecken", 0), ("stau", 9), ("becken", 20)];
        assert_eq!(parts("staubecken", &known), ["stau", "becken"]);
    }

    #[test]
    fn what_is_no_word_is_not_cut() {
        for word in ["", "kurz", "5000000000", "naïvetäten", &"a".repeat(200)] {
            assert_eq!(split(word, |_| 1), [""; 0], "{word}");
        }
    }
}
