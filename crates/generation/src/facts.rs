//! Hard facts of a sentence: numbers with their units, months, names, denials. A sentence whose facts are not
//! in the cited span is not carried by it, however similar the words are.

use std::collections::HashSet;

use fontes_core::Language;

use crate::{
    lexicon,
    unit::{adjective, is_currency, unit},
    words::{Word, found, raw, words},
};

/// A number in digits or as a word, normalised, and the unit beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quantity {
    /// Digits and at most one point: `1'234,50` is `1234.5`.
    pub(crate) value: String,
    /// The unit's common name, when a known one stands beside it.
    pub(crate) unit: Option<&'static str>,
}

/// The facts of a piece of text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    quantities: Vec<Quantity>,
    /// Every part of a date.
    implied: HashSet<String>,
    months: HashSet<u32>,
    /// Stems of what are likely names, each possibly of several words.
    names: Vec<Vec<String>>,
    stems: HashSet<String>,
    denials: usize,
    /// Stems around each denial.
    denied: Vec<HashSet<String>>,
}

/// Figures of a sentence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    quantities: Vec<Quantity>,
    /// Parts of dates.
    implied: HashSet<String>,
}

impl Figures {
    pub(crate) fn is_empty(&self) -> bool {
        self.quantities.is_empty() && self.implied.is_empty()
    }

    /// Says whether both have figures of one unit and none of these is in both.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        let of = |figures: &Self, unit| -> HashSet<String> {
            figures.quantities.iter().filter(|one| one.unit == unit).map(|one| one.value.clone()).collect()
        };
        let units = self.quantities.iter().map(|quantity| quantity.unit).filter(Option::is_some);
        units.map(|unit| (of(self, unit), of(other, unit))).any(|(own, its)| !its.is_empty() && own.is_disjoint(&its))
    }

    /// Says whether both have a figure, with the same unit where both name one.
    pub(crate) fn meet(&self, other: &Self) -> bool {
        let same = |one: &Quantity, other: &Quantity| {
            one.value == other.value && (one.unit.is_none() || other.unit.is_none() || one.unit == other.unit)
        };
        self.quantities
            .iter()
            .any(|one| other.quantities.iter().any(|other| same(one, other)) || other.implied.contains(&one.value))
            || other.quantities.iter().any(|other| self.implied.contains(&other.value))
            || !self.implied.is_disjoint(&other.implied)
    }
}

/// Words before a number that is a name.
pub(crate) const NAMING: &[&str] = &[
    "art", "artikel", "article", "articles", "articolo", "abs", "absatz", "al", "alinéa", "cpv", "ziff", "ziffer",
    "nr", "nummer", "no", "n", "numéro", "numero", "number", "section", "kapitel", "chapitre", "capitolo", "chapter",
    "version", "zimmer", "chambre", "camera", "room",
];

/// The figures in digits that name something, each as the parts that it may be written with: years and other long ones, dates, file
/// numbers, articles. Counts and measures are left out: what holds for 8 m² may be written of 10.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(Vec<Vec<String>>);

impl Numbers {
    /// Reads the figures of `text`; numbers in words are left out, for they have too many forms.
    pub(crate) fn of(text: &str) -> Self {
        let text = text.replace('§', " art ");
        let tokens = tokens(&text);
        let parts = |(at, token): (usize, &&str)| {
            let (digits, glued) = token.split_at(token.find(|c: char| c.is_alphabetic()).unwrap_or(token.len()));
            let parts = date_parts(digits);
            let lower = |token: &&str| token.to_lowercase();
            let named = at.checked_sub(1).is_some_and(|before| NAMING.contains(&lower(&tokens[before]).as_str()));
            let day = tokens.get(at + 1).is_some_and(|after| lexicon::month(&lower(after)).is_some());
            let long = digits.len() >= 3 && glued.is_empty() && unit(&tokens[at + 1..]).is_none();
            match parts.is_empty() {
                true if digits.is_empty() || !(named || day || long) => None,
                true => Some(vec![normalised(digits)]),
                false => Some(parts),
            }
        };
        Self(tokens.iter().enumerate().filter_map(parts).collect())
    }

    /// Says whether there is one that is more than a year.
    pub(crate) fn exceed_years(&self) -> bool {
        self.0.iter().any(|parts| !matches!(&parts[..], [year] if is_year(year)))
    }

    /// Says whether each is among some of these facts.
    pub(crate) fn are_in(&self, known: &[&Facts]) -> bool {
        self.0.iter().flatten().all(|value| known.iter().any(|facts| facts.has_value(value)))
    }
}

/// Says whether digits are a year of the last or this century.
pub(crate) fn is_year(digits: &str) -> bool {
    digits.len() == 4 && digits.parse().is_ok_and(|year: u16| (1900..2100).contains(&year))
}

/// Why a sentence's facts are not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// A number that the source does not have, or has with another unit.
    Number,
    /// A month the source does not name.
    Month,
    /// A name the source does not have.
    Name,
    /// One denies what the other affirms.
    Negation,
}

impl Facts {
    /// Reads the facts of `text`. The language decides what counts as a name: German capitalises every noun.
    pub(crate) fn of(text: &str, language: Language) -> Self {
        let tokens = tokens(text);
        let mut facts = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let lower = token.to_lowercase();
            if token.starts_with(|c: char| c.is_ascii_digit()) {
                at += facts.add_number(token, &tokens, at);
            } else if let Some(value) = lexicon::numeral(&lower, language) {
                let unit = unit(&tokens[at + 1..]);
                facts.quantities.push(Quantity { value: value.to_string(), unit: unit.map(|(name, _)| name) });
                at += unit.map_or(0, |(_, length)| length);
            } else if let Some((number, unit)) = adjective(&lower)
                && let Some(value) = lexicon::numeral(number, language)
            {
                facts.quantities.push(Quantity { value: value.to_string(), unit: Some(unit) });
            } else if let Some(month) = lexicon::month(&lower).filter(|_| beside_number(&tokens, at)) {
                facts.months.insert(month);
            }
            at += 1;
        }
        let words = words(text);
        facts.stems = words.iter().map(|word| word.stem.clone()).collect();
        for (at, word) in words.iter().enumerate() {
            let lower = |word: &Word| raw(text, word).to_lowercase();
            let taken_back = words.get(at + 1).is_some_and(|next| lexicon::is_only(&lower(next)));
            if lexicon::is_negation(&lower(word), language) && !taken_back {
                facts.denials += 1;
                let near = words[at.saturating_sub(4)..(at + 5).min(words.len())].iter();
                facts.denied.push(near.filter(|word| word.content).map(|word| word.stem.clone()).collect());
            }
        }
        facts.names = names(text, language);
        facts
    }

    /// Takes the number at `at`; says how many of the tokens after it are its unit.
    fn add_number(&mut self, token: &str, tokens: &[&str], at: usize) -> usize {
        let (digits, glued) = token.split_at(token.find(|c: char| c.is_alphabetic()).unwrap_or(token.len()));
        let parts = date_parts(digits);
        if !parts.is_empty() {
            self.implied.extend(parts);
            return 0;
        }
        let after = if glued.is_empty() { unit(&tokens[at + 1..]) } else { unit(&[glued]).map(|(name, _)| (name, 0)) };
        let before = || unit(&tokens[at.checked_sub(1)?..at]).filter(|(name, _)| is_currency(name));
        let name = after.or_else(before).map(|(name, _)| name);
        self.quantities.push(Quantity { value: normalised(digits), unit: name });
        after.map_or(0, |(_, length)| length)
    }

    /// Checks that every fact of `self` is among the facts of `source`. Names may come from `frame` too: the
    /// title, the headings, the rest of the passage. Numbers may come from the title and headings only,
    /// which `frame_numbers` holds.
    pub(crate) fn carried_by(&self, source: &Facts, frame: &Facts, frame_numbers: &Facts) -> Result<(), Mismatch> {
        let number_found = |quantity: &Quantity| {
            let same = |other: &&Quantity| other.value == quantity.value;
            let with_unit: Vec<&Quantity> = source.quantities.iter().filter(same).collect();
            let units_agree = with_unit.is_empty()
                || quantity.unit.is_none()
                || with_unit.iter().any(|other| other.unit.is_none() || other.unit == quantity.unit);
            let present = !with_unit.is_empty()
                || source.implied.contains(&quantity.value)
                || frame_numbers.quantities.iter().any(|other| other.value == quantity.value)
                || frame_numbers.implied.contains(&quantity.value);
            present && units_agree
        };
        if !self.quantities.iter().all(number_found) {
            return Err(Mismatch::Number);
        }
        let month_value = |value: &String| value.parse().is_ok_and(|month| source.months.contains(&month));
        if !self
            .implied
            .iter()
            .all(|value| source.has_value(value) || month_value(value) || frame_numbers.has_value(value))
        {
            return Err(Mismatch::Number);
        }
        if !self.months.iter().all(|month| {
            source.months.contains(month)
                || source.implied.contains(&month.to_string())
                || frame_numbers.months.contains(month)
        }) {
            return Err(Mismatch::Month);
        }
        let named = |name: &Vec<String>| {
            name.iter().any(|stem| found(stem, &source.stems) > 0.0 || found(stem, &frame.stems) > 0.0)
        };
        if !self.names.iter().all(named) {
            return Err(Mismatch::Name);
        }
        self.agrees_in_denial(source).then_some(()).ok_or(Mismatch::Negation)
    }

    /// The figures, numbers and parts of dates, that `known` does not have.
    pub(crate) fn figures_beyond(&self, known: &Facts) -> Figures {
        let new = |value: &String| !known.has_value(value);
        let quantities = self.quantities.iter().filter(|quantity| new(&quantity.value)).cloned().collect();
        Figures { quantities, implied: self.implied.iter().filter(|value| new(value)).cloned().collect() }
    }

    /// Says whether all measures of `other`, and there are some, are among these.
    pub(crate) fn have_measures(&self, other: &Self) -> bool {
        let mut measures = other.quantities.iter().filter(|quantity| quantity.unit.is_some()).peekable();
        measures.peek().is_some() && measures.all(|quantity| self.quantities.contains(quantity))
    }

    fn has_value(&self, value: &String) -> bool {
        self.implied.contains(value) || self.quantities.iter().any(|quantity| quantity.value == *value)
    }

    /// These facts and, beside them, the numbers that `question` and `passage` share: a sentence may repeat them
    /// from the question, wherever in the passage they stand.
    pub(crate) fn with_echo(&self, question: &Facts, passage: &Facts) -> Self {
        let mut frame = self.clone();
        let asked = question.quantities.iter().filter(|quantity| passage.has_value(&quantity.value)).cloned();
        frame.quantities.extend(asked);
        frame.implied.extend(question.implied.iter().filter(|value| passage.has_value(value)).cloned());
        frame.months.extend(question.months.intersection(&passage.months));
        frame
    }

    /// A denial needs a denial in the source. A denial in the source that stands around most of what the
    /// sentence says must not be lost.
    fn agrees_in_denial(&self, source: &Facts) -> bool {
        if self.denials > 0 {
            return source.denials > 0;
        }
        !source.denied.iter().any(|around| {
            let shared = around.iter().filter(|stem| self.stems.contains(*stem)).count();
            around.len() >= 2 && shared * 3 >= around.len() * 2
        })
    }
}

/// Words and numbers; a number keeps its separators and the letters glued to it. `%`, `‰`, `€` and `$` stand alone.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_alphanumeric() || matches!(c, '%' | '‰' | '€' | '$')) {
        rest = &rest[begin..];
        let first = rest.chars().next().unwrap_or(' ');
        let length = if first.is_ascii_digit() {
            number_length(rest)
        } else if first.is_alphanumeric() {
            rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

/// Length of the number at the start of `text`: digits, separators between digits, letters glued on. A space
/// joins only a group of exactly three digits to a group of at most three.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits_from = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits_from(0);
    let mut group = end;
    loop {
        let Some(separator) = text[end..].chars().next() else { return end };
        let after = end + separator.len_utf8();
        let digits = if after <= text.len() { digits_from(after) } else { 0 };
        let joins = match separator {
            '.' | ',' | '\'' | '’' | '-' | '/' | ':' => digits > 0,
            ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' => digits == 3 && group <= 3,
            _ => false,
        };
        if !joins {
            break;
        }
        end = after + digits;
        group = digits;
    }
    end + text[end..].find(|c: char| !c.is_alphabetic()).unwrap_or(text.len() - end)
}

/// The parts of something like `12.03.2024`, `2024-03-12`, `3/4` or `1999-2004`, without leading zeros; empty
/// for a plain number.
fn date_parts(digits: &str) -> Vec<String> {
    let parts: Vec<&str> = digits.split(['.', '-', '/', ':']).collect();
    let hyphenated = digits.contains(['-', '/', ':']);
    let dotted = parts.len() == 3 && parts[..2].iter().all(|part| part.len() <= 2) && !digits.contains(',');
    if !(dotted || hyphenated && parts.len() >= 2) {
        return Vec::new();
    }
    parts.iter().map(|part| normalised(part)).filter(|part| !part.is_empty()).collect()
}

/// One spelling per number: no grouping, a point before decimals, no leading zeros, no trailing decimal zeros.
fn normalised(digits: &str) -> String {
    let mut plain = String::with_capacity(digits.len());
    for (at, c) in digits.char_indices() {
        let rest = &digits[at + c.len_utf8()..];
        let group = rest.chars().take_while(char::is_ascii_digit).count();
        match c {
            '0'..='9' => plain.push(c),
            '.' | ',' if group == 3 && !digits.starts_with('0') => {}
            '.' | ',' if !plain.contains('.') => plain.push('.'),
            _ => {}
        }
    }
    let plain = if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.') } else { &plain };
    let plain = plain.trim_start_matches('0');
    if plain.is_empty() || plain.starts_with('.') { format!("0{plain}") } else { plain.to_owned() }
}

fn beside_number(tokens: &[&str], at: usize) -> bool {
    let number = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at)).is_some_and(|token| token.starts_with(|c: char| c.is_ascii_digit()))
    };
    number(at.checked_sub(1)) || number(Some(at + 1)) || number(at.checked_sub(2))
}

/// Likely names: runs of capitalised words that do not merely begin the sentence, and acronyms. In German
/// only runs of two or more and acronyms count, because every noun is capitalised.
fn names(text: &str, language: Language) -> Vec<Vec<String>> {
    let words = words(text);
    let mut names = Vec::new();
    let mut run: Vec<String> = Vec::new();
    let shortest = if matches!(language, Language::German | Language::Undetermined) { 2 } else { 1 };
    for (at, word) in words.iter().enumerate() {
        let raw = raw(text, word);
        let acronym = raw.len() >= 2 && raw.chars().all(char::is_uppercase);
        if acronym {
            names.push(vec![word.stem.clone()]);
        } else if word.capital && word.content && at > 0 && lexicon::month(&raw.to_lowercase()).is_none() {
            run.push(word.stem.clone());
            continue;
        }
        if run.len() >= shortest {
            names.push(std::mem::take(&mut run));
        }
        run.clear();
    }
    if run.len() >= shortest {
        names.push(run);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sentence: &str, source: &str) -> Result<(), Mismatch> {
        let language = Language::detect(sentence);
        let (claim, source) = (Facts::of(sentence, language), Facts::of(source, language));
        claim.carried_by(&source, &Facts::default(), &Facts::default())
    }

    #[test]
    fn measures_are_there_with_their_units() {
        let have = |text: &str, wanted: &str| {
            let [text, wanted] = [text, wanted].map(|text| Facts::of(text, Language::German));
            text.have_measures(&wanted)
        };
        assert!(have("1042\tPinot Noir\t50 cl\tCHF 14", "Was kosten 50 cl für CHF 14?"));
        assert!(have("Rohr\t20 mm\t3 kg", "Rohr von 20 mm"));
        assert!(!have("Rohr\t120 mm", "Rohr von 20 mm"), "part of another figure");
        assert!(!have("Rohr\t20 cm", "Rohr von 20 mm"), "another unit");
        assert!(!have("Rohr\t20 mm", "Rohr von 20 mm und 3 kg"), "one of two");
        assert!(!have("Rohr\t20 mm", "Welches Rohr?"), "nothing is measured");
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (written, expected) in [
            ("1'234", "1234"),
            ("1.234", "1234"),
            ("1,234.50", "1234.5"),
            ("1.234,50", "1234.5"),
            ("0.125", "0.125"),
            ("12,5", "12.5"),
            ("007", "7"),
            ("3.00", "3"),
            ("1 234 567", "1234567"),
            ("0", "0"),
        ] {
            assert_eq!(normalised(written), expected, "{written}");
        }
    }

    #[test]
    fn a_number_must_be_in_the_source() {
        assert_eq!(check("Die Frist beträgt 30 Tage.", "Die Frist beträgt dreissig Tage."), Ok(()));
        assert_eq!(check("Die Frist beträgt 20 Tage.", "Die Frist beträgt 30 Tage."), Err(Mismatch::Number));
        assert_eq!(check("Es kostet 1'250 Franken.", "Es kostet CHF 1250.00."), Ok(()));
        assert_eq!(check("The dose is 40 mg.", "The dose is 40 g."), Err(Mismatch::Number));
        assert_eq!(check("Il y a sept membres.", "Le conseil compte 7 membres."), Ok(()));
        assert_eq!(check("Le conseil a neuf membres.", "Le conseil compte 7 membres."), Err(Mismatch::Number));
    }

    #[test]
    fn a_number_is_a_number_of_something() {
        let same = [
            ("Die Frist beträgt zehn Arbeitstage.", "Sie endet nach 10 Werktagen."),
            ("Die Frist beträgt zehn Tage.", "Innert 10 Kalendertagen."),
            ("Die Frist beträgt 10 Tage.", "Innert zehn voller Arbeitstage oder später."),
            ("Die Frist beträgt 30 Tage.", "Es gilt eine dreissigtägige Frist."),
            ("Es gilt eine zehntägige Frist.", "Es gilt eine 10-tägige Frist."),
            ("Le délai est de dix jours ouvrables.", "Un délai de 10 jours ouvrés."),
            ("Il termine è di dieci giorni lavorativi.", "Entro 10 giorni lavorativi."),
            ("The period is ten working days.", "Within 10 business days."),
            ("Le taux est de 20 pour cent.", "Le taux est de 20 %."),
            ("Die Busse beträgt 50 Rappen.", "Fr. 1.50, davon 50 Rp."),
            ("Le taux augmente de 2 points de pourcentage.", "Il augmente de 2 points de pourcentage."),
        ];
        for (claim, source) in same {
            assert_eq!(check(claim, source), Ok(()), "{claim} {source}");
        }
        let different = [
            ("Die Frist beträgt zehn Tage.", "Die Frist beträgt zehn Arbeitstage."),
            ("Die Frist beträgt 10 Tage.", "Die Frist beträgt zehn Arbeitstage."),
            ("Die Frist beträgt zehn Arbeitstage.", "Die Frist beträgt 10 Tage."),
            ("Es gilt eine zehntägige Frist.", "Die Frist beträgt 20 Tage."),
            ("Es gilt eine zehntägige Frist.", "Es gilt eine zehnwöchige Frist."),
            ("Le délai est de dix jours.", "Le délai est de dix jours ouvrables."),
            ("Il termine è di dieci giorni.", "Il termine è di dieci giorni lavorativi."),
            ("The period is ten days.", "The period is ten working days."),
            ("The period is three months.", "The period is three weeks."),
            ("La durée est de deux ans.", "La durée est de deux mois."),
            ("Es kostet 50 Franken.", "Es kostet 50 Rappen."),
            ("Der Satz steigt um 2 Prozent.", "Der Satz steigt um 2 Prozentpunkte."),
            ("Die Dosis beträgt 40 mg.", "Die Dosis beträgt 40 ml."),
            ("La dose est de 40 mg.", "La dose est de 40 µg."),
        ];
        for (claim, source) in different {
            assert_eq!(check(claim, source), Err(Mismatch::Number), "{claim} {source}");
        }
    }

    #[test]
    fn dates_meet_in_every_form() {
        assert_eq!(check("Am 12. März 2024 in Kraft.", "In Kraft seit 12.03.2024."), Ok(()));
        assert_eq!(check("In Kraft seit 12.03.2024.", "Am 12. März 2024 in Kraft getreten."), Ok(()));
        assert_eq!(check("Am 12. April 2024 in Kraft.", "Am 12. März 2024 in Kraft."), Err(Mismatch::Month));
        assert_eq!(check("In force since 2024-03-12.", "In force since 12 March 2024."), Ok(()));
    }

    #[test]
    fn names_must_be_known() {
        assert_eq!(check("It was written by Jane Austen.", "Jane Austen wrote it."), Ok(()));
        assert_eq!(check("It was written by Emily Brontë.", "Jane Austen wrote it."), Err(Mismatch::Name));
        assert_eq!(check("Zuständig ist das EDI.", "Zuständig ist das EJPD."), Err(Mismatch::Name));
    }

    #[test]
    fn words_of_other_languages_are_no_numbers_and_no_denials() {
        assert_eq!(check("The delay was due to rain.", "Rain caused the delay."), Ok(()));
        assert_eq!(check("Im Mai 2024 wurde der Rat gewählt.", "Der Rat wurde im Mai 2024 gewählt."), Ok(()));
        assert_eq!(check("Er sagte, dies sei erlaubt.", "Dies ist erlaubt, sagte er."), Ok(()));
        let both = "Nicht nur der Bund, sondern auch die Kantone sind zuständig.";
        assert_eq!(check("Der Bund und die Kantone sind zuständig.", both), Ok(()));
    }

    #[test]
    fn numbers_of_the_question_may_stand_elsewhere_in_the_passage() {
        let german = Language::German;
        let claim = Facts::of("1848 hatte der Rat sieben Mitglieder.", german);
        let span = Facts::of("Der Rat hatte sieben Mitglieder.", german);
        let passage = Facts::of("1848 wurde gewählt. Der Rat hatte sieben Mitglieder.", german);
        let question = Facts::of("Wie viele Mitglieder hatte der Rat 1848?", german);
        let none = Facts::default();
        assert_eq!(claim.carried_by(&span, &passage, &none), Err(Mismatch::Number));
        assert_eq!(claim.carried_by(&span, &passage, &none.with_echo(&question, &passage)), Ok(()));
        assert_eq!(claim.carried_by(&span, &span, &none.with_echo(&question, &span)), Err(Mismatch::Number));
    }

    #[test]
    fn denial_is_not_lost_and_not_invented() {
        let yes = "Die Bearbeitung ist erlaubt.";
        let no = "Die Bearbeitung ist nicht erlaubt.";
        assert_eq!(check(yes, no), Err(Mismatch::Negation));
        assert_eq!(check(no, yes), Err(Mismatch::Negation));
        assert_eq!(check(no, no), Ok(()));
        assert_eq!(check(yes, yes), Ok(()));
    }
}
