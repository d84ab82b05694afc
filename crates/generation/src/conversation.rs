//! Conversation: a follow-up question becomes one that stands alone, by rule.
//!
//! Search knows nothing of what was said before. When a question leans on the one before it (a pronoun, an
//! opening "and", hardly a word of its own), the content words of that question are put in front. No model
//! rewrites anything, so nothing can be invented and the same dialogue gives the same search.

use fontes_core::Language;

use crate::{
    asked::{Asked, asked},
    lexicon,
    words::{Word, raw, words},
};

/// A follow-up of fewer content words than this says too little to be searched for alone.
const FEW: usize = 3;

/// Most words taken from the question before.
const BORROWED: usize = 12;

/// Words that point back, in four languages.
const POINTING: &[&str] = &[
    "er", "sie", "es", "ihn", "ihm", "ihr", "ihre", "ihren", "sein", "seine", "dieser", "diese", "dieses", "diesem",
    "dazu", "davon", "dafür", "dagegen", "daran", "dabei", "dort", "il", "elle", "ils", "elles", "lui", "leur",
    "leurs", "cela", "celui", "celle", "ceux", "cette", "ces", "là", "lo", "loro", "suo", "sua", "suoi", "questo",
    "questa", "quello", "quella", "ciò", "ne", "he", "she", "it", "they", "them", "his", "her", "its", "their", "this",
    "that", "these", "those", "there",
];

/// Openings that continue.
const CONTINUING: &[&str] = &["und", "et", "e", "ed", "and", "aber", "mais", "ma", "but", "oder", "ou", "o", "or"];

/// Makes `question` stand alone, given the earlier questions of the dialogue, oldest first. A question that
/// already does comes back as it is.
pub fn standalone(question: &str, earlier: &[&str]) -> String {
    let own = words(question);
    if !leans_back(question, &own) {
        return question.to_owned();
    }
    // The nearest earlier question that stands alone holds the subject.
    let subject = earlier.iter().rev().find(|earlier| !leans_back(earlier, &words(earlier))).or(earlier.last());
    let Some(subject) = subject else { return question.to_owned() };
    let known: Vec<&str> = own.iter().map(|word| word.stem.as_str()).collect();
    // One that asks something of its own takes over what it is about and not what was asked: in German, nouns and figures.
    let asks = asked(question) != Asked::Other && Language::detect(subject) == Language::German;
    let about = |word: &&Word| !asks || word.capital || word.stem.starts_with(|c: char| c.is_ascii_digit());
    let borrowed: Vec<&str> = words(subject)
        .iter()
        .filter(|word| word.content && !known.contains(&word.stem.as_str()))
        .filter(about)
        .map(|word| raw(subject, word))
        .take(BORROWED)
        .collect();
    if borrowed.is_empty() { question.to_owned() } else { format!("{}: {question}", borrowed.join(" ")) }
}

fn leans_back(question: &str, words: &[Word]) -> bool {
    let lower = |word: &Word| raw(question, word).to_lowercase();
    let continues = words.first().is_some_and(|first| CONTINUING.contains(&lower(first).as_str()));
    let language = Language::detect(question);
    let content = words.iter().filter(|word| word.content && !lexicon::is_negation(&lower(word), language)).count();
    let points = words.iter().any(|word| POINTING.contains(&lower(word).as_str()));
    continues || content < FEW && points || content < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_up_borrows_the_subject() {
        let cases = [
            (
                "Und in Zürich?",
                "Wie lange ist die Kündigungsfrist im Kanton Bern?",
                "lange Kündigungsfrist Kanton Bern: Und in Zürich?",
            ),
            (
                "Und wer ist dafür zuständig?",
                "Wie lange dauert die Dekolonisation?",
                "Dekolonisation: Und wer ist dafür zuständig?",
            ),
            ("Et pour elle ?", "Quel est le délai de recours ?", "délai recours: Et pour elle ?"),
            ("E quanto costa?", "Chi rilascia il passaporto?", "rilascia passaporto: E quanto costa?"),
            ("Who elected them?", "How many members does the Council have?", "members Council: Who elected them?"),
        ];
        for (question, before, expected) in cases {
            assert_eq!(standalone(question, &[before]), expected);
        }
    }

    #[test]
    fn a_question_that_stands_alone_is_left_alone() {
        for question in ["Wie viele Mitglieder hat der Nationalrat?", "Quel est le délai de recours administratif ?"] {
            assert_eq!(standalone(question, &["Was kostet ein Pass?"]), question);
        }
        assert_eq!(standalone("Und dann?", &[]), "Und dann?");
    }

    #[test]
    fn the_subject_is_found_past_other_follow_ups() {
        let dialogue = ["Wie lange dauert die Einsprachefrist?", "Und im Sommer?"];
        assert_eq!(standalone("Warum?", &dialogue), "Einsprachefrist: Warum?");
    }
}
