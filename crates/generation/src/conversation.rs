//! Conversation: a follow-up question becomes one that stands alone, by rule.
//!
//! Search knows nothing of what was said before. When a question leans on the one before it (a pronoun, an
//! opening "and", hardly a word of its own), it is that question with another year, person, place or kind, if it says no more
//! than that; else the content words of that question are put in front. No model rewrites anything, so nothing can be invented and
//! the same dialogue gives the same search.

use std::ops::Range;

use fontes_core::Language;

use crate::{
    anchors::{are_rivals, is_mark},
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

/// Words before a noun.
const DETERMINERS: &[&str] = &[
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "welche", "welcher", "welches",
    "welchen", "welchem", "le", "la", "les", "un", "une", "quel", "quelle", "il", "lo", "gli", "quale", "the", "a",
    "an", "which", "what",
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
    if let Some(replaced) = replaced((question, &own), (subject, &all)) {
        return replaced;
    }
    let borrowed: Vec<&str> = all
        .iter()
        .filter(|word| word.content && !known.contains(&word.stem.as_str()))
        .filter(about)
        .map(|word| raw(subject, word))
        .take(BORROWED)
        .collect();
    if borrowed.is_empty() { question.to_owned() } else { format!("{}: {question}", borrowed.join(" ")) }
}

/// The earlier question with what the follow-up puts in place of something: a year for a year, the same thing with another figure, an
/// acronym for an acronym, two names for two names, what follows a preposition for what follows its like, a compound for one that
/// ends alike. Nothing when the follow-up says more than that.
fn replaced((question, own): (&str, &[Word]), (subject, all): (&str, &[Word])) -> Option<String> {
    if asked(question) != Asked::Other {
        return None;
    }
    let end = |text: &str, word: &Word| word.start + raw(text, word).len();
    let swap = |(from, to): (Range<usize>, Range<usize>)| {
        let whole = own.iter().enumerate().all(|(at, word)| !word.content || to.contains(&at));
        let part = &question[own[to.start].start..end(question, &own[to.end - 1])];
        let (before, after) = (&subject[..all[from.start].start], &subject[end(subject, &all[from.end - 1])..]);
        whole.then(|| format!("{before}{part}{after}"))
    };
    (0..own.len()).flat_map(|at| places((question, own), at, (subject, all))).find_map(swap)
}

/// What may be swapped for what follows `at`: ranges of the words of the earlier question and of the follow-up.
fn places(
    (question, own): (&str, &[Word]),
    at: usize,
    (subject, all): (&str, &[Word]),
) -> Vec<(Range<usize>, Range<usize>)> {
    let named = |word: &Word| word.capital && word.content;
    let last = |like: &dyn Fn(usize) -> bool| (0..all.len()).rev().find(|&other| like(other));
    let single = |like: &dyn Fn(usize) -> bool| last(like).map(|other| (other..other + 1, at..at + 1));
    let pair = |like: &dyn Fn(usize) -> bool| last(like).map(|other| (other..other + 2, at..at + 2));
    let word = &own[at];
    let year = is_year(&word.stem).then(|| single(&|other| is_year(&all[other].stem)));
    let follows = |text: &str, words: &[Word], at: usize| {
        words.get(at + 1).is_some_and(|next| next.content || is_mark(text, next))
    };
    let beside = (word.content && follows(question, own, at))
        .then(|| pair(&|other| all[other].stem == word.stem && follows(subject, all, other)));
    let acronym = is_acronym(raw(question, word)).then(|| single(&|other| is_acronym(raw(subject, &all[other]))));
    let two = |words: &[Word], at: usize| at > 0 && words[at..].iter().take(2).filter(|word| named(word)).count() == 2;
    // What follows a determiner is a noun with its apposition and no name.
    let determined = |other: usize| DETERMINERS.contains(&raw(subject, &all[other - 1]).to_lowercase().as_str());
    let names = two(own, at).then(|| pair(&|other| two(all, other) && !determined(other)));
    let compound = named(word).then(|| single(&|other| named(&all[other]) && are_rivals(&word.stem, &all[other].stem)));
    // A preposition with the names behind it.
    let kind = |text: &str, word: &Word| {
        let lower = raw(text, word).to_lowercase();
        BEFORE_NAMES.iter().position(|like| like.contains(&lower.as_str()))
    };
    let phrase = |text: &str, words: &[Word], at: usize| {
        let name = at + 1 + words[at + 1..].iter().position(|word| word.content)?;
        let names = words[name..].iter().take_while(|word| named(word)).count();
        let timely = |word: &Word| is_season(&raw(text, word).to_lowercase());
        (names > 0).then(|| (at..name + names, timely(&words[name])))
    };
    let own_kind = kind(question, word);
    let phrases = own_kind.and_then(|own_kind| {
        let (to, timely) = phrase(question, own, at)?;
        let like = |other: usize| phrase(subject, all, other).filter(|(_, its)| *its == timely);
        let other = last(&|other| kind(subject, &all[other]) == Some(own_kind) && like(other).is_some())?;
        Some((like(other)?.0, to))
    });
    [year, beside, acronym, names, compound].into_iter().flatten().flatten().chain(phrases).collect()
}

/// Says whether a word is a month or a season: what stands in place of no place.
fn is_season(lower: &str) -> bool {
    const SEASONS: &str = "frühling|sommer|herbst|winter|printemps|été|automne|hiver|primavera|estate|autunno|inverno|spring|\
         summer|autumn";
    lexicon::month(lower).is_some() || SEASONS.split('|').any(|season| season == lower)
}

/// Says whether a word is written in capitals.
fn is_acronym(raw: &str) -> bool {
    raw.chars().filter(|c| c.is_uppercase()).count() > 1 && !raw.chars().any(char::is_lowercase)
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
                "Wie lange ist die Kündigungsfrist in Zürich?",
            ),
            (
                "Und wer ist dafür zuständig?",
                "Wie lange dauert die Dekolonisation?",
                "Dekolonisation: Und wer ist dafür zuständig?",
            ),
            ("Et pour elle ?", "Quel est le délai de recours ?", "délai recours: Et pour elle ?"),
            ("E quanto costa?", "Chi rilascia il passaporto?", "rilascia passaporto: E quanto costa?"),
            ("Und 2022?", "Was kostete der Merlot 2021?", "Was kostete der Merlot 2022?"),
            ("Und Hans Meier?", "Wann muss Heidi Müller zur Kontrolle?", "Wann muss Hans Meier zur Kontrolle?"),
            ("Et pour Lausanne ?", "Quel est le prix pour Genève ?", "Quel est le prix pour Lausanne ?"),
            (
                "Und die Rekursfrist?",
                "Wie lang ist die Einsprachefrist in Bern?",
                "Wie lang ist die Rekursfrist in Bern?",
            ),
            ("Et pour l'ERV ?", "Quand lève-t-on l'isolement SARM ?", "Quand lève-t-on l'isolement ERV ?"),
            (
                "E per i caschi bianchi?",
                "Quanti caschi rossi ci sono in magazzino?",
                "Quanti caschi bianchi ci sono in magazzino?",
            ),
            ("And the Polara 25?", "What is the capacity of the Polara 12?", "What is the capacity of the Polara 25?"),
            ("And in July?", "What does the pass cost in Zermatt?", "pass cost Zermatt: And in July?"),
            ("Und Hans Meier?", "Wer ist Leiter der Abteilung Finanzen?", "Leiter Abteilung Finanzen: Und Hans Meier?"),
            ("Und in Zürich mit Kindern?", "Was gilt in Bern?", "gilt Bern: Und in Zürich mit Kindern?"),
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
