//! Comparing answers with known ones, as SQuAD does (Rajpurkar et al. 2016), with the articles of four
//! languages.

use std::collections::HashMap;

const ARTICLES: &[&str] = &[
    "a", "an", "the", "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines",
    "le", "la", "les", "l", "un", "une", "des", "du", "il", "lo", "i", "gli", "uno", "una",
];

/// Lowercased words without punctuation and articles.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| !ARTICLES.contains(&word.as_str()))
        .collect()
}

/// Says whether the two texts are the same, case, punctuation and articles aside.
pub(crate) fn exact(answer: &str, known: &str) -> bool {
    words(answer) == words(known)
}

/// Says whether `text` holds `known` as a run of words, case, punctuation and articles aside.
pub(crate) fn holds(text: &str, known: &str) -> bool {
    let (text, known) = (words(text), words(known));
    !known.is_empty() && text.windows(known.len()).any(|window| window == known)
}

/// Says whether `text` holds one of the `known` answers, as [`holds`] compares.
pub fn holds_answer(text: &str, known: &[String]) -> bool {
    known.iter().any(|known| holds(text, known))
}

/// Harmonic mean of word precision and recall.
pub(crate) fn f1(answer: &str, known: &str) -> f64 {
    let (answer, known) = (words(answer), words(known));
    let mut left: HashMap<&str, usize> = HashMap::new();
    known.iter().for_each(|word| *left.entry(word).or_default() += 1);
    let shared = answer.iter().filter(|word| {
        left.get_mut(word.as_str()).is_some_and(|count| {
            let found = *count > 0;
            *count = count.saturating_sub(1);
            found
        })
    });
    let shared = shared.count() as f64;
    if shared == 0.0 { 0.0 } else { 2.0 * shared / (answer.len() + known.len()) as f64 }
}

/// The best of `score` over the known answers.
pub(crate) fn best(known: &[String], score: impl Fn(&str) -> f64) -> f64 {
    known.iter().map(|known| score(known)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_case_and_punctuation_do_not_count() {
        assert!(exact("The Federal Council.", "federal council"));
        assert!(exact("l'État", "État"));
        assert!(!exact("Bundesrat", "Nationalrat"));
        assert!(holds("Er dauert (ungefähr) 30 Tage.", "ungefähr 30 Tage"));
        assert!(!holds("Er dauert 130 Tage.", "30 Tage") && !holds("Text", ""));
    }

    #[test]
    fn f1_by_hand() {
        // Shared: "drei", "monate"; four words against two.
        assert!((f1("nach genau drei Monaten Monate", "drei Monate") - 2.0 * 2.0 / 7.0).abs() < 1e-12);
        assert_eq!(f1("x x", "x"), 2.0 / 3.0);
        assert_eq!(f1("", "x"), 0.0);
    }
}
