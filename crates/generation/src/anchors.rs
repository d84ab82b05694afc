//! Anchors: what a question is about and what nothing similar will do for.
//!
//! A reader recognises the form of an answer: a dose is a dose, whoever takes it. So a passage must also be about the
//! thing asked for. Five kinds of words can be checked without understanding either text. **Figures**: a year, an article, a file
//! number of the question has to stand in the passage, its title or its headings; within a table, in the row itself. **Named
//! figures**: where `Merlot 2024`, `AA-27`, `XPlus 50` or the meeting of 18 September is asked for, a sentence must not have that word
//! before another figure or date.
//! **Names**: of capitalised words in a row one must be there, in languages that capitalise nothing else; and of two
//! capitalised words in a row the passage must not have one beside another partner and the second nowhere, as `Hans Müller` where
//! `Heidi Müller` is asked for. **Compounds**: a sentence must not have one with the same end and another beginning instead, as
//! `Mutterschaftsurlaub` where `Vaterschaftsurlaub` is asked for. **Codes**: where `B2` is asked for, a sentence with `A1` is of another.

use std::collections::HashSet;

use fontes_core::Language;

use crate::{
    date::{Day, date, dates},
    facts::{Facts, NAMING, Numbers, is_year},
    lexicon,
    unit::unit,
    words::{Word, found, raw, stem, words},
};

/// Words before names that are no part of them.
const TITLES: &str = "herr|herrn|frau|dr|prof|fräulein|monsieur|madame|mademoiselle|mme|signor|signora|signore|\
     dott|mr|mrs|ms|miss|sir|patient|patientin|paziente";

/// Words before a noun that is no name, beside stop words: `welche Dosis Torasemid`.
const QUANTIFIERS: &[&str] = &["viel", "viele", "vielen", "wieviel", "wieviele", "combien", "quanto", "quanti", "many"];

/// Words that join figures behind a word: `Zimmer 11, 12 und 14`.
const JOINING: &[&str] = &["und", "oder", "bis", "et", "ou", "à", "e", "o", "a", "and", "or", "to"];

/// Words between a thing and its date: `Sitzung vom 18. September`.
const DATING: &[&str] = &["vom", "am", "du", "le", "del", "dell", "il", "of", "on", "dated", "from"];

/// Letters of a word that may be the end of a compound with the same date behind it.
const PART: usize = 4;

/// Letters of the end that two compounds share.
const END: usize = 5;

/// Letters of the beginning in which they differ.
const BEGINNING: usize = 2;

/// Letters from the beginning on that make another spelling of a name.
const ALIKE: usize = 5;

/// What a question is about, as far as it can be checked.
pub(crate) struct Anchors {
    numbers: Numbers,
    dates: HashSet<Day>,
    named: Vec<Named>,
    years: Vec<String>,
    /// Stems of capitalised words in a row, where these are names.
    names: Vec<Vec<String>>,
    language: Language,
    pairs: Vec<Pair>,
    /// Stems of nouns that may be compounds; German alone writes them as one word.
    nouns: Vec<String>,
    /// Letters with figures behind them.
    codes: Vec<String>,
}

/// A word, by its stem, and the figure right behind it, or the date as day and month: together they name something.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    word: String,
    figure: String,
    /// The word has a capital.
    proper: bool,
}

/// Two capitalised words in a row, by their stems.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    first: String,
    second: String,
    /// The first is a noun with its article, so that only the second can be the name.
    first_is_noun: bool,
}

/// A passage with its title and headings, as anchors see it.
pub(crate) struct Ground {
    stems: HashSet<String>,
    pairs: Vec<Pair>,
    named: Vec<Named>,
    dates: HashSet<Day>,
    /// What the first lines of the document are of: `Protokoll der Sitzung vom 12. Juni`.
    titled: Vec<Named>,
}

impl Anchors {
    /// The anchors of a question in `language`.
    pub(crate) fn of(question: &str, language: Language) -> Self {
        let words = words(question);
        // What begins the question is capitalised in any case.
        let pairs = pairs(question, &words).into_iter().filter(|(at, _)| *at > 0).map(|(_, pair)| pair).collect();
        let years = words.iter().filter(|word| is_year(&word.stem)).map(|word| word.stem.clone()).collect();
        let named = named(question, &words);
        let names = if language == Language::German { Vec::new() } else { names(&words) };
        let nouns = nouns(&words, language);
        let dates = dates(question, &words);
        let codes = codes(&words);
        Self { numbers: Numbers::of(question), dates, named, years, names, language, pairs, nouns, codes }
    }

    /// Says whether a passage is about something else of the same kind: `facts` are those of the passage with title and headings.
    pub(crate) fn miss(&self, ground: &Ground, facts: &Facts) -> bool {
        !self.numbers.are_in(&[facts])
            || !self.dates.is_subset(&ground.dates)
            || self.pairs.iter().any(|pair| pair.has_rival(ground))
    }

    /// Says whether a passage in `language` lacks a name that it would write as the question does.
    pub(crate) fn miss_name(&self, ground: &Ground, language: Language) -> bool {
        let alike = |stem: &String| {
            let begins = |other: &String| other.chars().zip(stem.chars()).take_while(|(a, b)| a == b).count();
            found(stem, &ground.stems) > 0.0 || ground.stems.iter().any(|other| begins(other) >= ALIKE)
        };
        self.language == language && self.names.iter().any(|name| !name.iter().any(alike))
    }

    /// Says whether a sentence, or all that its passage says, is about another thing of the same name by the figure behind it, or
    /// about another year.
    pub(crate) fn miss_figure(&self, text: &str, sentence: &[Word], ground: &Ground) -> bool {
        if self.named.is_empty() && self.years.is_empty() {
            return false;
        }
        let own = named(text, sentence);
        let has = |figure: &String| sentence.iter().any(|word| word.stem == *figure);
        let rival = |wanted: &Named, among: &[Named]| among.iter().any(|named| named.is_like(wanted));
        let other_thing = |wanted: &Named| {
            let titled = ground.titled.iter().filter(|titled| wanted.is_dated() && titled.is_like(wanted));
            if titled.clone().next().is_some() {
                // A line of its own may still be of the date.
                let is_it = |named: &Named| named.figure == wanted.figure && named.is_like(wanted);
                return !titled.into_iter().chain(&own).any(is_it);
            }
            let known = ground.named.iter().any(|named| named.figure == wanted.figure && named.is_like(wanted));
            let apart = || {
                !has(&wanted.figure)
                    && (rival(wanted, &own) || !ground.stems.contains(&wanted.figure) && rival(wanted, &ground.named))
            };
            // A line of a log is about the thing that it names, whatever the next one is about.
            let asked = |named: &Named| self.named.iter().any(|other| other.figure == named.figure);
            let line = wanted.is_proper()
                && text.contains(['|', '\t'])
                && !own.iter().any(|named| named.figure == wanted.figure)
                && own.iter().any(|named| named.is_like(wanted) && !asked(named));
            line || !known && if wanted.is_proper() { rival(wanted, &ground.named) } else { apart() }
        };
        let not_asked = |word: &Word| is_year(&word.stem) && !self.years.contains(&word.stem);
        let other_year = |year: &String| !ground.stems.contains(year) && sentence.iter().any(not_asked);
        self.named.iter().any(other_thing) || self.years.iter().any(other_year)
    }

    /// Says whether a row of a table has every figure that names something in the question, and one that is no year.
    pub(crate) fn name_row(&self, row: &Facts) -> bool {
        self.numbers.exceed_years() && self.numbers.are_in(&[row])
    }

    /// Says whether a sentence in `language` is about another thing of the same kind by its compounds; `frame` has the stems
    /// of what it stands under.
    pub(crate) fn miss_compound(&self, sentence: &[Word], frame: &HashSet<String>, language: Language) -> bool {
        let own = nouns(sentence, language);
        let rival = |wanted: &String| own.iter().any(|noun| !self.nouns.contains(noun) && are_rivals(wanted, noun));
        let absent = |wanted: &&String| !own.contains(wanted) && !frame.contains(*wanted);
        self.nouns.iter().filter(absent).any(rival)
    }

    /// Says whether a sentence has another code of the same form than one that is asked for, which is neither in it nor in its
    /// `frame`.
    pub(crate) fn miss_code(&self, sentence: &[Word], frame: &[&HashSet<String>]) -> bool {
        let own = if self.codes.is_empty() { Vec::new() } else { codes(sentence) };
        let form = |code: &String| code.chars().map(|c| c.is_ascii_digit()).collect::<Vec<_>>();
        let is_rival = |wanted: &String, code: &String| form(code) == form(wanted) && !self.codes.contains(code);
        let absent = |wanted: &&String| !own.contains(wanted) && !frame.iter().any(|stems| stems.contains(*wanted));
        self.codes.iter().filter(absent).any(|wanted| own.iter().any(|code| is_rival(wanted, code)))
    }

    /// Says whether a row of a table is another one than the figures of the question name: neither `row` nor `frame`, title and
    /// headings, has them.
    pub(crate) fn miss_row(&self, row: &Facts, frame: &Facts) -> bool {
        !self.numbers.are_in(&[row, frame])
    }
}

impl Ground {
    /// What anchors look for in `text`, which has these words.
    pub(crate) fn of(text: &str, words: &[Word]) -> Self {
        let pairs = pairs(text, words).into_iter().map(|(_, pair)| pair).collect();
        let stems = words.iter().map(|word| word.stem.clone()).collect();
        Self { stems, pairs, named: named(text, words), dates: dates(text, words), titled: Vec::new() }
    }

    /// The same in a document that begins with `head`.
    pub(crate) fn below(mut self, head: &str) -> Self {
        let words = words(head);
        self.dates.extend(dates(head, &words));
        self.titled = named(head, &words).into_iter().filter(|named| named.is_dated()).take(1).collect();
        self
    }
}

impl Named {
    /// The figure belongs to the name, so that it means nothing behind another word: a year does, and so does an article's
    /// number.
    fn is_proper(&self) -> bool {
        self.proper && !is_year(&self.figure) && !NAMING.iter().any(|naming| stem(naming) == self.word)
    }

    /// The figure is a date.
    fn is_dated(&self) -> bool {
        self.figure.contains('.')
    }

    /// Names a thing of the same kind: by the same word, or of dated things by one that ends with the other.
    fn is_like(&self, other: &Self) -> bool {
        let (long, short) = if self.word.len() < other.word.len() { (other, self) } else { (self, other) };
        let dated = self.is_dated() && other.is_dated();
        long.word == short.word || dated && short.word.len() >= PART && long.word.ends_with(&short.word)
    }
}

impl Pair {
    /// One of the two is there with another partner, and the other one is not there at all.
    fn has_rival(&self, ground: &Ground) -> bool {
        // Another form of the word will do, as of a substance in another language.
        let [first, second] = [&self.first, &self.second].map(|stem| found(stem, &ground.stems) > 0.0);
        match (first, second) {
            (true, false) => ground.pairs.iter().any(|pair| is_end_of(&self.first, &pair.first)),
            (false, true) => !self.first_is_noun && ground.pairs.iter().any(|pair| pair.second == self.second),
            _ => false,
        }
    }
}

/// The stems that are a letter or two with a figure or two behind them, measures left out.
fn codes(words: &[Word]) -> Vec<String> {
    const MEASURES: &[&str] = &["m2", "m3", "cm2", "cm3", "km2", "mm2", "dm3", "co2", "o2"];
    let is_code = |stem: &str| {
        let letters = stem.chars().take_while(|c| c.is_alphabetic()).count();
        let rest = stem.trim_start_matches(char::is_alphabetic);
        let figures = (1..=2).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit());
        (1..=2).contains(&letters) && figures && !MEASURES.contains(&stem)
    };
    words.iter().filter(|word| is_code(&word.stem)).map(|word| word.stem.clone()).collect()
}

/// Says whether a stem is another or the end of a compound: `schul` of `primarschul`.
fn is_end_of(stem: &str, other: &str) -> bool {
    stem == other || stem.len() >= END && other.ends_with(stem)
}

/// Stems of the capitalised words in runs, but for the first word, which has a capital in any case.
pub(crate) fn names(words: &[Word]) -> Vec<Vec<String>> {
    let is_name = |word: &Word| word.capital && word.content;
    let runs = words.get(1..).unwrap_or_default().chunk_by(|one, next| is_name(one) == is_name(next));
    let names = runs.filter(|run| is_name(&run[0]));
    names.map(|run| run.iter().map(|word| word.stem.clone()).collect()).collect()
}

/// Words with a figure, a letter or a code right behind them that no unit follows: a count or a measure names nothing. Of several
/// joined by words or commas each is named.
fn named(text: &str, words: &[Word]) -> Vec<Named> {
    let mut all = Vec::new();
    for at in 0..words.len() {
        let one = &words[at];
        if !one.content || is_mark(text, one) || lexicon::month(&raw(text, one).to_lowercase()).is_some() {
            continue;
        }
        let name = |figure: String| Named { word: one.stem.clone(), figure, proper: one.capital };
        if let Some(link) = words.get(at + 1)
            && DATING.contains(&raw(text, link).to_lowercase().as_str())
            && let Some((day, month)) = date(text, &words[at + 2..])
        {
            all.push(name(format!("{day}.{month}")));
        }
        if let Some(gap) = gap(text, words, at)
            && matches!(gap, " " | "-" | "\u{a0}" | "\t" | "/")
        {
            all.extend(marks(text, words, at + 1).into_iter().map(name));
        }
    }
    all
}

/// The figures, letters and codes that begin at the word `at` and are joined by words or commas; none when a unit follows.
fn marks(text: &str, words: &[Word], mut at: usize) -> Vec<String> {
    let (mut marks, mut last) = (Vec::new(), at);
    while words.get(at).is_some_and(|word| is_mark(text, word)) {
        marks.push(words[at].stem.clone());
        last = at;
        let joint = words.get(at + 1).is_some_and(|word| JOINING.contains(&raw(text, word).to_lowercase().as_str()));
        at += match gap(text, words, at) {
            Some(gap) if gap.trim() == "," => 1,
            Some(_) if joint => 2,
            _ => break,
        };
    }
    let measured = words.get(last + 1).is_some_and(|next| unit(&[raw(text, next)]).is_some());
    if measured { Vec::new() } else { marks }
}

/// What stands between a word and the next one.
fn gap<'t>(text: &'t str, words: &[Word], at: usize) -> Option<&'t str> {
    let one = words.get(at)?;
    text.get(one.start + raw(text, one).len()..words.get(at + 1)?.start)
}

/// Says whether a word tells things of one name apart: a figure, a capital letter by itself, a code with a figure in it.
pub(crate) fn is_mark(text: &str, word: &Word) -> bool {
    let raw = raw(text, word);
    let letters = raw.trim_start_matches(|c: char| c.is_ascii_digit());
    let code = letters.len() < raw.len() || raw.contains(|c: char| c.is_ascii_digit());
    match letters {
        "" => true,
        // An English pronoun, and what may be a unit.
        "I" => false,
        _ if code => unit(&[letters]).is_none(),
        // With a full stop it is an initial.
        _ => letters.len() == 1 && word.capital && !text[word.start + raw.len()..].starts_with('.'),
    }
}

/// Stems of the nouns of a German text, which are those with a capital.
fn nouns(words: &[Word], language: Language) -> Vec<String> {
    let noun = |word: &&Word| language == Language::German && word.capital && word.content;
    words.iter().filter(noun).map(|word| word.stem.clone()).collect()
}

/// Says whether two stems end alike and begin otherwise.
pub(crate) fn are_rivals(one: &str, other: &str) -> bool {
    let shared = one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).count();
    let own = one.chars().count().min(other.chars().count()) - shared;
    shared >= END && own >= BEGINNING
}

/// Capitalised words that follow each other with one space between, each with the index of its first word.
fn pairs(text: &str, words: &[Word]) -> Vec<(usize, Pair)> {
    let lower = |word: &Word| raw(text, word).to_lowercase();
    let names = |word: &Word| {
        word.capital
            && word.content
            && TITLES.split('|').all(|title| title != lower(word))
            && raw(text, word).chars().count() > 1
    };
    let pair = |at: usize| -> Option<(usize, Pair)> {
        let (one, two) = (words.get(at)?, words.get(at + 1)?);
        let adjacent = text.get(one.start + raw(text, one).len()..two.start) == Some(" ");
        let first_is_noun = at.checked_sub(1).is_some_and(|before| {
            let before = lower(&words[before]);
            lexicon::is_stop_word(&before) || QUANTIFIERS.contains(&before.as_str())
        });
        (adjacent && names(one) && names(two))
            .then(|| (at, Pair { first: one.stem.clone(), second: two.stem.clone(), first_is_noun }))
    };
    (0..words.len()).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_code_is_another_thing() {
        let miss = |question: &str, sentence: &str, frame: &str| {
            let frame = words(frame).into_iter().map(|word| word.stem).collect();
            Anchors::of(question, Language::detect(question)).miss_code(&words(sentence), &[&frame])
        };
        assert!(miss("How much is the B2 German course?", "A1\tMonday\tCHF 290", ""));
        assert!(!miss("How much is the A1 German course?", "A1\tMonday\tCHF 290", ""));
        assert!(!miss("How much is the B2 German course?", "It costs CHF 290 with A1.", "Course B2"));
        assert!(miss("Wie hoch darf die Fassade in der W3 sein?", "W2 Wohnzone\t7,0 m", ""));
        assert!(
            !miss("Wie hoch darf die Fassade in der W3 sein?", "Die Fassade misst 30 m2 je A10.", ""),
            "another form"
        );
        assert!(!miss("Wie viele m2 hat der Raum?", "Er ist in Haus B2.", ""));
    }
    use crate::words::content_stems;

    fn misses(question: &str, text: &str) -> bool {
        let anchors = Anchors::of(question, Language::detect(question));
        anchors.miss(&Ground::of(text, &words(text)), &Facts::of(text, Language::detect(text)))
    }

    #[test]
    fn another_compound_with_the_same_end_is_another_thing() {
        let misses = |question: &str, sentence: &str, frame: &str| {
            let anchors = Anchors::of(question, Language::German);
            anchors.miss_compound(&words(sentence), &content_stems(frame), Language::German)
        };
        let question = "Wie lange dauert der Vaterschaftsurlaub?";
        let mothers = "Der bezahlte Mutterschaftsurlaub dauert 18 Wochen.";
        assert!(misses(question, mothers, "§ 8 Mutterschaftsurlaub"));
        assert!(!misses(question, "Väter haben Anspruch auf vier Wochen Urlaub.", "§ 9"), "a part alone is no rival");
        assert!(!misses(
            question,
            "Anders als der Mutterschaftsurlaub dauert er vier Wochen.",
            "§ 9 Vaterschaftsurlaub"
        ));
        assert!(!misses("Dauern Vaterschaftsurlaub und Mutterschaftsurlaub gleich lang?", mothers, ""));
        assert!(!misses(
            "Welches Gericht ist das Bundesverwaltungsgericht?",
            "Das Verwaltungsgericht entscheidet.",
            ""
        ));
    }

    #[test]
    fn another_person_of_the_same_name_is_somebody_else() {
        let question = "Welche Dosis Torasemid nimmt Heidi Müller?";
        assert!(misses(question, "Austrittsbericht Hans Müller\nTorasemid 20 mg 1-0-0-0"));
        assert!(!misses(question, "Austrittsbericht Heidi Müller\nTorasemid 10 mg 1-0-0-0"));
        assert!(!misses(question, "Frau Müller nimmt Torasemid 10 mg."), "nobody else is named");
        assert!(!misses(question, "Müller, Heidi: Torasemid 10 mg, wie Hans Müller"));
        assert!(misses("Who treats Anna Keller?", "Anna Weber is treated by Dr. Frei."));
        assert!(!misses("Wie alt ist Frau Müller?", "Herr Müller ist 80 Jahre alt."), "titles are not names");
        assert!(!misses(
            "Wie lange muss Frau Bianchi Enoxaparin spritzen?",
            "Bianchi Carla\nenoxaparina per 35 giorni"
        ));
    }

    #[test]
    fn a_name_must_be_there_where_only_names_have_capitals() {
        let misses = |question: &str, passage: &str| {
            let anchors = Anchors::of(question, Language::detect(question));
            anchors.miss_name(&Ground::of(passage, &words(passage)), Language::detect(passage))
        };
        let prices = "Le prix est de 95 francs par palette jusqu'à Genève et de 72 francs par palette jusqu'à Berne.";
        assert!(misses("Quel est le prix par palette jusqu'à Lausanne ?", prices));
        assert!(!misses("Quel est le prix par palette jusqu'à Genève ?", prices));
        assert!(
            !misses("Wie viel kostet die Palette nach Lausanne?", prices),
            "another language may write it otherwise"
        );
        assert!(!misses(
            "Who is treating Anna Keller at the moment?",
            "Mrs Keller is treated by the doctor on call this week."
        ));
        assert!(!misses("Where do the Hodgkinses live now?", "The family of Hodgkins has lived in Bristol for years."));
        assert!(
            !misses("Wo wohnt Hodgkins?", "Niemand weiss, wo die Leute wohnen."),
            "German nouns have capitals, too"
        );
    }

    #[test]
    fn the_same_word_with_another_figure_is_another_thing() {
        let misses = |question: &str, sentence: &str, rest: &str| {
            let passage = format!("{rest}\n{sentence}");
            let anchors = Anchors::of(question, Language::detect(question));
            anchors.miss_figure(sentence, &words(sentence), &Ground::of(&passage, &words(&passage)))
        };
        let bottling = "Merlot 2023: l'imbottigliamento è fissato per il 7 aprile 2025.";
        assert!(misses("Wann wird der Merlot 2024 abgefüllt?", bottling, "Chardonnay 2024: rimane sui lieviti."));
        assert!(!misses("Wann wird der Merlot 2023 abgefüllt?", bottling, ""));
        let press = "Die Presse Bucher XPlus 30 wird angeschafft, die Offerte von Willmes abgelehnt.";
        assert!(misses("Wer hat die Offerte von Bucher XPlus 50 abgelehnt?", press, ""));
        let tanks = "Arbeitsanweisung AA-17: Reinigung der Tanks";
        assert!(misses("Wer ist verantwortlich für AA-27?", "Verantwortlich ist Nadia Keller.", tanks));
        assert!(!misses("Wer ist verantwortlich für AA-17?", "Verantwortlich ist Nadia Keller.", tanks));
        assert!(misses("Merlot Barrique 2021", "1420\tMerlot Barrique\t2022\t29.00", "1043\tPinot Noir\t2021\t24.00"));
        assert!(misses("Qui est l'expert en 2026 ?", "L'expert pour 2024 et 2025 est M. Dubuis.", ""));
        let gloves = "10577\tNitrilhandschuhe Grösse M\t200 Stück";
        assert!(misses("Was kosten Nitrilhandschuhe Grösse S?", gloves, "10578\tNitrilhandschuhe Grösse L"));
        assert!(!misses("Was kosten Nitrilhandschuhe Grösse M?", gloves, "10578\tNitrilhandschuhe Grösse L"));
        let gasket = "The gasket will be inspected every 500 cycles instead of every 800.";
        assert!(misses("How many cycles did the SteriMax 800 fail?", gasket, "Two cycles of the SteriMax 600 failed."));
        let log = "2025-02-05 | Triebwagen 11 | Zahnrad vermessen: 2,1 mm";
        assert!(misses(
            "Wie stark ist das Zahnrad beim Triebwagen 14 abgenützt?",
            log,
            "Triebwagen 14 | Radsatz getauscht"
        ));
        assert!(!misses("Wie stark sind die Zahnräder der Triebwagen 11 und 12?", log, "Triebwagen 12 | 3,6 mm"));
        assert!(!misses("Was gilt für Zimmer 12?", "Die Zimmer 11, 12 und 14 werden gestrichen.", "Zimmer 3 bleibt."));
        assert!(misses("Was gilt auf der Station C1?", "Auf der Station C3 gilt nichts.", ""));
        assert!(!misses("Wann kommt Frau M. Meier?", "Frau Meier kommt am Montag.", "Frau B. Keller kommt nie."));
        assert!(!misses("Gartenhaus 8 m²?", "Ein Gartenhaus 10 m² gross braucht keine Bewilligung.", ""), "a measure");
        assert!(!misses("Was gilt nach Artikel 5?", "Wie in Artikel 4 gilt die Frist.", "Artikel 5"), "a reference");
    }

    #[test]
    fn the_same_thing_of_another_date_is_another_thing() {
        let misses = |question: &str, passage: &str| {
            let anchors = Anchors::of(question, Language::detect(question));
            let sentence = passage.lines().last().unwrap();
            anchors.miss_figure(sentence, &words(sentence), &Ground::of(passage, &words(passage)))
        };
        let minutes = "Protokoll der Verwaltungsratssitzung vom 12. Juni 2024\nNächste Sitzung: 18. September 2024\nVreni Gasser stimmt dagegen.";
        assert!(misses("Wer stimmte an der Sitzung vom 18. September 2024 dagegen?", minutes));
        assert!(misses("Who voted against it at the Verwaltungsratssitzung of September 18?", minutes));
        for question in
            ["Wer stimmte an der Sitzung vom 12. Juni dagegen?", "Wer stimmte an der Sitzung vom 12.06.2024 dagegen?"]
        {
            assert!(!misses(question, minutes), "{question}");
        }
        let asked = "Wer stimmte an der Sitzung vom 18. September dagegen?";
        let put_off = "Das Geschäft wird auf die Sitzung vom 18. September vertagt. Vreni Gasser stimmt dagegen.";
        let titled = |head: &str| {
            let ground = Ground::of(put_off, &words(put_off)).below(head);
            let sentence = "Vreni Gasser stimmt dagegen.";
            Anchors::of(asked, Language::German).miss_figure(sentence, &words(sentence), &ground)
        };
        assert!(titled("Protokoll der Sitzung vom 12. Juni 2024"), "the minutes of the other day");
        assert!(!titled("Protokoll der Sitzung vom 18. September 2024"));
        assert!(!titled("Protokoll"));
        assert!(!misses("Was gilt nach dem Vertrag vom 18. September?", minutes), "another kind of thing");
        assert!(misses(
            "Che cosa decise la riunione del 3 marzo 2025?",
            "Verbale della riunione del 2025-02-03\nSi rinvia."
        ));
    }

    #[test]
    fn a_noun_with_its_article_is_no_name() {
        assert!(!misses("Welche Dosis Torasemid ist richtig?", "Morgens Torasemid 20 mg, abends nichts."));
        assert!(misses(
            "Wer führt die Schule Oberwil?",
            "Liebe Primarschule Niederwald, Ihr Führer heisst Simon Furrer."
        ));
        assert!(misses("Was entschied die Gemeinde Unterlinth?", "Die Gemeinde Oberlinth wies die Einsprache ab."));
    }

    #[test]
    fn figures_of_the_question_must_be_there() {
        let text = "Der Verzugszins beträgt im Jahr 2021 3,5 Prozent.";
        assert!(misses("Wie hoch ist der Verzugszins 2019?", text));
        assert!(!misses("Wie hoch ist der Verzugszins 2021?", text));
        assert!(misses("Was regelt Art. 11?", "Art. 9\nDie Gebühr wird erhoben."));
        assert!(!misses("Wie wurde RK 2023/119 entschieden?", "RK 2023/119: abgewiesen"));
        assert!(misses("Wie wurde RK 2023/119 entschieden?", "RK 2023/118: abgewiesen"));
        assert!(
            !misses("Wie viele der zwei Räte tagen?", "Beide Räte tagen."),
            "numbers in words may be said otherwise"
        );
        assert!(!misses(
            "Braucht ein Gartenhaus von 8 m² eine Bewilligung?",
            "Bis 10 m² braucht es keine Bewilligung."
        ));
        assert!(misses("Wer hat am 5. Juli Dienst?", "3. Juli Gerber, 4. Juli Wüest"));
        assert!(!misses("Combien pour 2 personnes ?", "La chambre coûte 90 francs."));
    }
}
