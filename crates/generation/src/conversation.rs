//! Conversation: a follow-up question becomes one that stands alone, by rule.
//!
//! Search knows nothing of what was said before. When a question leans on the one before it (a pronoun, an
//! opening "and", hardly a word of its own), the content words of that question are put in front, but for those that it puts
//! something else in place of: another year, person, place or kind. No model rewrites anything, so nothing can be invented and the
//! same dialogue gives the same search.

use fontes_core::Language;

use crate::{
    anchors::are_rivals,
    asked::{Asked, asked},
    facts::is_year,
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

/// Words before a place, a person or a purpose, by what they say.
const BEFORE_NAMES: [&[&str]; 4] = [
    &["in", "im", "ins", "à", "en", "au", "aux", "dans", "nel", "nella", "at"],
    &["für", "fürs", "pour", "per", "for"],
    &["bei", "beim", "chez", "presso", "with", "mit", "avec", "con"],
    &["nach", "bis", "jusqu", "vers", "verso", "to"],
];

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
    let all = words(subject);
    let displaced = displaced((question, &own), (subject, &all));
    let borrowed: Vec<&str> = all
        .iter()
        .filter(|word| word.content && !known.contains(&word.stem.as_str()))
        .filter(|word| !displaced.contains(&word.start))
        .filter(about)
        .map(|word| raw(subject, word))
        .take(BORROWED)
        .collect();
    if borrowed.is_empty() { question.to_owned() } else { format!("{}: {question}", borrowed.join(" ")) }
}

/// Where the words of `subject` begin that `question` puts something else in place of: a year in place of a year, two names in
/// place of two names, what follows a preposition in place of what follows its like, a compound in place of one that ends alike.
fn displaced((question, own): (&str, &[Word]), (subject, all): (&str, &[Word])) -> Vec<usize> {
    if asked(question) != Asked::Other {
        return Vec::new();
    }
    let named = |word: &Word| word.capital && word.content;
    let years = own.iter().any(|word| is_year(&word.stem));
    let mut displaced: Vec<usize> =
        all.iter().filter(|word| years && is_year(&word.stem)).map(|word| word.start).collect();
    let couple = |words: &[Word]| {
        let rest = words.get(1..).unwrap_or_default();
        rest.windows(2).rposition(|two| two.iter().all(named)).map(|at| at + 1)
    };
    if let (Some(_), Some(at)) = (couple(own), couple(all)) {
        displaced.extend([all[at].start, all[at + 1].start]);
    }
    let kind = |text: &str, word: &Word| {
        let lower = raw(text, word).to_lowercase();
        BEFORE_NAMES.iter().position(|like| like.contains(&lower.as_str()))
    };
    let name_after =
        |words: &[Word], at: usize| words[at + 1..].iter().position(|word| word.content).map(|skip| at + 1 + skip);
    for (at, word) in own.iter().enumerate() {
        let is_like = |other: &usize| kind(subject, &all[*other]).is_some_and(|its| Some(its) == kind(question, word));
        let name = name_after(own, at).filter(|name| named(&own[*name]));
        if let (Some(_), Some(like)) = (name, (0..all.len()).rev().find(is_like))
            && let Some(first) = name_after(all, like)
        {
            displaced.extend(all[first..].iter().take_while(|word| named(word)).map(|word| word.start));
        }
        let rivals = |other: &&Word| named(word) && named(other) && are_rivals(&word.stem, &other.stem);
        displaced.extend(all.iter().filter(rivals).map(|word| word.start));
    }
    displaced
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
                "lange Kündigungsfrist: Und in Zürich?",
            ),
            (
                "Und wer ist dafür zuständig?",
                "Wie lange dauert die Dekolonisation?",
                "Dekolonisation: Und wer ist dafür zuständig?",
            ),
            ("Et pour elle ?", "Quel est le délai de recours ?", "délai recours: Et pour elle ?"),
            ("E quanto costa?", "Chi rilascia il passaporto?", "rilascia passaporto: E quanto costa?"),
            ("Und 2022?", "Was kostete der Merlot 2021?", "kostete Merlot: Und 2022?"),
            ("Und Hans Meier?", "Wann muss Heidi Müller zur Kontrolle?", "Kontrolle: Und Hans Meier?"),
            ("Et pour Lausanne ?", "Quel est le prix pour Genève ?", "prix: Et pour Lausanne ?"),
            ("Und die Rekursfrist?", "Wie lang ist die Einsprachefrist in Bern?", "lang Bern: Und die Rekursfrist?"),
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
