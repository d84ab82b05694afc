//! Statements and what is quoted for them, as ALCE counts (Gao et al., EMNLP 2023), with a lexical checker.
//!
//! ALCE asks an entailment model whether the cited text supports the statement. None is at hand, so the checker
//! is stricter in figures and blind to meaning: every number of the statement must be quoted, and so must the
//! given share of its longer words, endings aside. It shares no code with what the product checks itself by.

use std::collections::HashSet;

/// Share of a statement's longer words that the quotes must have.
const WORDS: f64 = 0.6;

/// Letters of a word that are compared: what is left of most inflected words without their endings.
const PREFIX: usize = 5;

/// Says whether `quotes` together support `statement`.
pub(crate) fn supports(statement: &str, quotes: &[&str]) -> bool {
    let quoted: HashSet<String> = quotes.iter().flat_map(|quote| keys(quote)).collect();
    let wanted = keys(statement);
    let is_number = |key: &String| key.starts_with(|c: char| c.is_ascii_digit());
    let numbers_hold = wanted.iter().filter(|key| is_number(key)).all(|key| quoted.contains(key));
    let words: Vec<&String> = wanted.iter().filter(|key| !is_number(key)).collect();
    let found = words.iter().filter(|word| quoted.contains(**word)).count();
    !quotes.is_empty() && numbers_hold && found as f64 >= WORDS * words.len() as f64
}

/// The citations of a statement that count as precise: each supports it alone, or support is lost without it.
pub(crate) fn precise(statement: &str, quotes: &[&str]) -> usize {
    if !supports(statement, quotes) {
        return 0;
    }
    let needed = |at: usize| {
        let others: Vec<&str> =
            quotes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, quote)| *quote).collect();
        supports(statement, &quotes[at..=at]) || !supports(statement, &others)
    };
    (0..quotes.len()).filter(|&at| needed(at)).count()
}

/// Numbers without grouping, and the beginnings of words of at least four letters.
fn keys(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’' | '.' | ','))
        .flat_map(|piece| {
            if piece.starts_with(|c: char| c.is_ascii_digit()) {
                vec![piece.chars().filter(char::is_ascii_digit).collect::<String>()]
            } else {
                let long = |word: &&str| word.chars().count() >= 4;
                let words = piece.split(|c: char| !c.is_alphanumeric()).filter(long);
                words.map(|word| word.to_lowercase().chars().take(PREFIX).collect()).collect()
            }
        })
        .filter(|key| !key.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_must_hold_and_most_words_too() {
        let quote = "Die Beschwerde ist innert 30 Tagen nach der Eröffnung einzureichen.";
        assert!(supports("Die Beschwerde muss innert 30 Tagen eingereicht werden: Eröffnung einzureichen.", &[quote]));
        assert!(!supports("Die Beschwerde ist innert 20 Tagen einzureichen.", &[quote]));
        assert!(!supports("Die Miete steigt jährlich.", &[quote]));
        assert!(!supports("Ja.", &[]));
        assert!(supports("Die Gebühr: 1'250 Franken.", &["Die Gebühr beträgt 1.250 Franken."]));
    }

    #[test]
    fn a_citation_that_adds_nothing_is_not_precise() {
        let quotes = ["Die Frist beträgt 30 Tage.", "Es regnet oft."];
        assert_eq!(precise("Die Frist beträgt 30 Tage.", &quotes), 1);
        assert_eq!(precise("Die Frist beträgt 40 Tage.", &quotes), 0);
        assert_eq!(precise("Rot sind Rosen und blau ist 7 Uhr.", &["Rot sind Rosen", "blau 7 Uhr"]), 2);
    }
}
