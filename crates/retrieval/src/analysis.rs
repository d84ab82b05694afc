//! What can be told from a question before searching: its usable part, and whether it names things exactly.

use std::collections::HashSet;

/// Longest query that is searched, in bytes; the rest is cut on a character boundary. Embedders cut at 512
/// tokens anyway (some 2 KB), and no person types more.
const MAX_BYTES: usize = 8_192;

/// Most distinct words handed to the lexical leg: every word costs a posting list.
const MAX_WORDS: usize = 256;

/// A query made ready for both legs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryAnalysis {
    /// The query for the dense leg: trimmed, bounded.
    pub dense: String,
    /// The query for the lexical leg: bounded in distinct words, order kept.
    pub lexical: String,
    /// True when the query names something exactly: a quoted phrase, a file number, a law article, a dose.
    pub exact: bool,
    /// What to tell whoever typed operators: they are taken for plain words.
    pub remark: Option<String>,
}

impl QueryAnalysis {
    /// Analyses what the user typed. `None` when there is no letter and no digit to search for.
    pub fn of(text: &str) -> Option<Self> {
        let text = bounded(text.trim(), MAX_BYTES);
        if !text.chars().any(char::is_alphanumeric) {
            return None;
        }
        let mut seen = HashSet::new();
        let repeated_or_over = |word: &&str| {
            let new = seen.insert(word.to_lowercase());
            new && seen.len() <= MAX_WORDS
        };
        let count = text.split_whitespace().count();
        let lexical = if count <= MAX_WORDS {
            text.to_owned()
        } else {
            text.split_whitespace().filter(repeated_or_over).collect::<Vec<_>>().join(" ")
        };
        let exact = has_quoted_phrase(text) || has_identifier(text);
        Some(Self { dense: text.to_owned(), lexical, exact, remark: remark(text) })
    }
}

/// The longest prefix of at most `limit` bytes that cuts no character.
fn bounded(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// What to say about a query that is written for another search engine. It is searched as plain words all the same.
fn remark(text: &str) -> Option<String> {
    let lone_quote = text.chars().filter(|c| *c == '"').count() % 2 == 1;
    let mut found: Vec<&str> = if lone_quote { vec!["a quotation mark that is not closed"] } else { Vec::new() };
    let operator = |word: &str| matches!(word, "AND" | "OR" | "NOT" | "NEAR" | "&&" | "||");
    // Between two words that are not all capitals: "AND" in a headline is no operator.
    let lower = text.chars().any(char::is_lowercase);
    if lower && text.split_whitespace().any(operator) {
        found.push("AND, OR or NOT");
    }
    let named = |word: &str| {
        word.split_once(':').is_some_and(|(field, value)| {
            let name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            name(field) && value.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '"' | '[' | '('))
        })
    };
    if text.split_whitespace().any(named) {
        found.push("field:value");
    }
    let weighted = |word: &str| {
        word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').ends_with(['^', '~']) && word.len() > 2
    };
    let regular = |word: &str| word.len() > 2 && (word.starts_with('/') && word.ends_with('/') || word.contains(".*"));
    if text.split_whitespace().any(|word| weighted(word) || regular(word)) {
        found.push("weights, fuzzy marks or regular expressions");
    }
    (!found.is_empty()).then(|| {
        let found = found.join(", ");
        format!(
            "searched as plain words ({found}); quote words for a phrase, end one with * for its continuations, narrow \
             with a filter"
        )
    })
}

/// Says whether a phrase of at least one word stands between quotation marks of one of the usual pairs.
fn has_quoted_phrase(text: &str) -> bool {
    [('"', '"'), ('„', '“'), ('„', '”'), ('“', '”'), ('«', '»'), ('»', '«')].iter().any(|&(open, close)| {
        text.split_once(open)
            .and_then(|(_, rest)| rest.split_once(close))
            .is_some_and(|(phrase, _)| phrase.chars().filter(|c| c.is_alphanumeric()).count() >= 2)
    })
}

/// Says whether a word looks like a reference: digits joined with letters or punctuation (`2024-123.45`,
/// `B-1234/2020`, `500mg`), or a number after an article or paragraph sign (`Art. 5`, `§ 12`).
fn has_identifier(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let article = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '§').to_lowercase();
        matches!(word.as_str(), "art" | "article" | "artikel" | "articolo" | "§" | "§§" | "abs" | "al" | "cpv" | "lit")
    };
    words.windows(2).any(|pair| article(pair[0]) && number(pair[1])) || words.iter().any(|word| is_reference(word))
}

fn is_reference(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let joints = word.chars().filter(|c| matches!(c, '-' | '/' | '.' | '_' | ':')).count();
    let letters = word.chars().any(char::is_alphabetic);
    // A year range, a decimal or an ordinal is no reference: it takes letters at a joint, or several joints.
    digits >= 3 && (letters && joints > 0 || joints >= 2) || is_dose(word)
}

/// A number written together with a unit of medicine, as in `400mg`.
fn is_dose(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    unit.len() < word.len()
        && matches!(unit.to_lowercase().as_str(), "mg" | "g" | "µg" | "mcg" | "kg" | "ml" | "ie" | "iu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names_are_recognised() {
        for text in [
            "GZ 2024-123.45",
            "Urteil B-1234/2020",
            "Art. 5 Abs. 2 DSG",
            "§ 12 Verwaltungsverfahren",
            "Ibuprofen 400mg",
            "\"freie Beweiswürdigung\"",
            "«secret médical»",
        ] {
            assert!(QueryAnalysis::of(text).unwrap().exact, "{text}");
        }
    }

    #[test]
    fn plain_questions_are_not_exact() {
        for text in ["Wie lange dauert das Verfahren?", "Who won in 1999?", "in the 19th century", "10.5 Prozent"] {
            assert!(!QueryAnalysis::of(text).unwrap().exact, "{text}");
        }
    }

    #[test]
    fn operators_of_others_are_told_to_be_words() {
        let remark = |text: &str| QueryAnalysis::of(text).unwrap().remark;
        for (text, named) in [
            ("Frist AND Kündigung", "AND, OR or NOT"),
            ("title:Frist", "field:value"),
            ("\"Treu und Glauben", "not closed"),
            ("Frist^2", "weights"),
            ("Frist~", "weights"),
            ("/Fri.*/", "regular expressions"),
        ] {
            let remark = remark(text).unwrap();
            assert!(remark.contains(named) && remark.contains("plain words"), "{text}: {remark}");
        }
        for text in
            ["Frist", "\"Treu und Glauben\"", "NOT FOR SALE", "Sitzung um 10:30", "Art. 5:", "siehe: Frist", "a.b.c"]
        {
            assert_eq!(remark(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_to_search_for() {
        for text in ["", "   ", "???", "\u{200b}", "—"] {
            assert_eq!(QueryAnalysis::of(text), None, "{text:?}");
        }
    }

    #[test]
    fn ten_thousand_words_are_bounded() {
        let text: String = (0..10_000).map(|n| format!("wört{} ", n % 700)).collect();
        let analysis = QueryAnalysis::of(&text).unwrap();
        assert!(analysis.dense.len() <= MAX_BYTES);
        assert_eq!(analysis.lexical.split_whitespace().count(), MAX_WORDS);
    }
}
