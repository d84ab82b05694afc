//! Words as the checks see them: folded, lightly stemmed, with their place, and without the words that carry
//! no content.

use std::collections::HashSet;

use crate::lexicon;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Folded and stemmed.
    pub(crate) stem: String,
    /// Byte offset of its first letter.
    pub(crate) start: usize,
    /// Begins with a capital.
    pub(crate) capital: bool,
    /// Carries content: neither a stop word nor a single letter.
    pub(crate) content: bool,
}

/// The words of `text` in order: runs of letters and digits.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(begin)) => {
                words.push(word(&text[begin..at], begin));
                start = None;
            }
            _ => {}
        }
    }
    words
}

fn word(text: &str, start: usize) -> Word {
    let lower = text.to_lowercase();
    let content = !lexicon::is_stop_word(&lower) && (lower.chars().nth(1).is_some() || lower.parse::<u8>().is_ok());
    Word { stem: stem(&lower), start, capital: text.chars().next().is_some_and(char::is_uppercase), content }
}

/// The letters of a word as they stand in `text`.
pub(crate) fn raw<'t>(text: &'t str, word: &Word) -> &'t str {
    text[word.start..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// The distinct stems of the content words of `text`.
pub(crate) fn content_stems(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| word.content).map(|word| word.stem).collect()
}

/// Folds accents and umlauts and takes off the endings of inflection that the four languages share. Not a
/// linguistic stemmer: both sides of a comparison go through it, and only equality matters.
pub(crate) fn stem(lower: &str) -> String {
    let folded = fold(lower);
    if folded.chars().any(|c| c.is_ascii_digit()) {
        return folded;
    }
    let mut stem = folded.as_str();
    for endings in [&["s", "x"] as &[&str], ENDINGS] {
        if let Some(ending) = endings
            .iter()
            .find(|ending| stem.len() >= ending.len() + 4 && stem.ends_with(**ending) && !stem.ends_with("ied"))
        {
            stem = &stem[..stem.len() - ending.len()];
        }
    }
    while stem.len() > 4 && stem.ends_with(['a', 'e', 'i', 'o', 'u']) || stem.len() == 4 && stem.ends_with('e') {
        stem = &stem[..stem.len() - 1];
    }
    stem.to_owned()
}

/// Longest first.
const ENDINGS: &[&str] =
    &["ements", "ungen", "ement", "ingly", "heit", "ing", "ung", "ern", "ed", "en", "em", "er", "es", "ly", "n"];

fn fold(lower: &str) -> String {
    let mut folded = String::with_capacity(lower.len());
    for c in lower.chars() {
        match c {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => folded.push('a'),
            'è' | 'é' | 'ê' | 'ë' => folded.push('e'),
            'ì' | 'í' | 'î' | 'ï' => folded.push('i'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' => folded.push('o'),
            'ù' | 'ú' | 'û' | 'ü' => folded.push('u'),
            'ç' => folded.push('c'),
            'ñ' => folded.push('n'),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            other => folded.push(other),
        }
    }
    folded
}

/// How well `stem` is found among `stems`: 1 for itself, less as part of a compound (`frist` in
/// `kündigungsfrist`), 0 otherwise.
pub(crate) fn found(stem: &str, stems: &HashSet<String>) -> f32 {
    if stems.contains(stem) {
        return 1.0;
    }
    let compound = |other: &String| {
        let (short, long) = if other.len() < stem.len() { (other.as_str(), stem) } else { (stem, other.as_str()) };
        short.len() >= 5 && (long.starts_with(short) || long.ends_with(short))
    };
    if stem.len() >= 5 && stems.iter().any(compound) { 0.7 } else { 0.0 }
}

/// The share of `wanted` that is found among `stems`, each weighing the same; `None` when nothing is wanted.
pub(crate) fn containment(wanted: &HashSet<String>, stems: &HashSet<String>) -> Option<f32> {
    let sum: f32 = wanted.iter().map(|stem| found(stem, stems)).sum();
    (!wanted.is_empty()).then(|| sum / wanted.len() as f32)
}

/// Lowercased words with one space around each.
pub(crate) fn spaced(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}

/// Says whether one of `phrases`, which `|` separates, is among spaced words.
pub(crate) fn has_any(spaced: &str, phrases: &str) -> bool {
    phrases.split('|').any(|phrase| {
        let mut rest = spaced;
        while let Some(at) = rest.find(phrase) {
            let (before, after) = (&rest[..at], &rest[at + phrase.len()..]);
            if before.ends_with(' ') && after.starts_with(' ') {
                return true;
            }
            rest = after;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflections_meet() {
        for (one, other) in [
            ("Mitglieder", "Mitglied"),
            ("Fristen", "Frist"),
            ("Verfügungen", "Verfügung"),
            ("members", "member"),
            ("membri", "membro"),
            ("consiglieri", "consigliere"),
            ("conseillers", "conseiller"),
            ("Straße", "Strasse"),
        ] {
            assert_eq!(stem(&one.to_lowercase()), stem(&other.to_lowercase()), "{one} {other}");
        }
        assert_ne!(stem("frist"), stem("gericht"));
    }

    #[test]
    fn compounds_are_half_found() {
        let stems = content_stems("Die Kündigungsfrist beträgt drei Monate.");
        assert_eq!(found(&stem("frist"), &stems), 0.7);
        assert_eq!(found(&stem("monat"), &stems), 1.0);
        assert_eq!(found(&stem("jahre"), &stems), 0.0);
    }

    #[test]
    fn stop_words_carry_nothing() {
        assert!(content_stems("der die das et la of the che non è").is_empty());
        assert_eq!(containment(&HashSet::new(), &content_stems("Frist")), None);
    }

    #[test]
    fn places_are_exact() {
        let text = "L'État, ß 5";
        let starts: Vec<&str> = words(text).iter().map(|word| &text[word.start..]).collect();
        assert_eq!(starts, ["L'État, ß 5", "État, ß 5", "ß 5", "5"]);
    }
}
