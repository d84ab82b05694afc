//! What a question asks for, and whether a sentence holds a thing of that kind.

use std::collections::HashSet;

use fontes_core::Language;

use crate::{
    facts::is_year,
    lexicon,
    unit::{adjective, is_currency, is_mass, is_time, unit},
    words::{Word, has_any, raw, spaced},
};

/// What kind of thing a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// How many, how much.
    Quantity,
    /// How old.
    Age,
    /// At what price.
    Price,
    /// How heavy.
    Weight,
    /// How long, within what time.
    Duration,
    /// When.
    Time,
    /// Who.
    Person,
    /// Where.
    Place,
    /// Why, how.
    Reason,
    /// Anything else.
    Other,
}

/// Question phrases by kind, in the order in which they are tried: `seit wann` is a time before `wann` could be
/// anything else, `in welchem Jahr` before `welche`.
const PHRASES: [(Asked, &str); 9] = [
    (
        Asked::Duration,
        "wie lange|welcher frist|welche frist|welchen fristen|welche fristen|welchem zeitraum|welche dauer|\
         combien de temps|quel délai|quels délais|quelle durée|combien de jours|combien de mois|\
         quanto tempo|quale termine|che termine|quali termini|quale durata|quanti giorni|quanti mesi|\
         how long|how soon|what deadline|which deadline|what time limit|what period|which period|how many days",
    ),
    (
        Asked::Time,
        "wann|welchem jahr|welches jahr|welcher zeit|welchem jahrhundert|welchem datum|welchem tag|welchem monat|\
         quand|quelle année|quelle date|quel jour|quel mois|quel siècle|quelle époque|quelle heure|\
         quando|che anno|quale anno|quale data|che data|quale giorno|quale mese|quale secolo|che secolo|che ora|\
         when|what year|which year|what date|which date|what day|which day|what month|what century|what decade|what time",
    ),
    (
        Asked::Age,
        "wie alt|welchem alter|welches alter|quel âge|quanti anni|quale età|che età|how old|what age|which age",
    ),
    (
        Asked::Price,
        "wie teuer|was kostet|was kosten|was kostete|was kosteten|wie viel kostete|wieviel kostete|wie viel kostet|wie viel kosten|wieviel kostet|wieviel kosten|welcher preis|\
         welchen preis|wie hoch ist der preis|quel est le prix|quel est le coût|quel prix|combien coûte|combien coûtent|combien a coûté|combien ont coûté|combien coûtait|combien coûtaient|\
         quanto costa|quanto costano|quanto costava|quanto è costato|quanto è costata|quale prezzo|qual è il prezzo|what does it cost|what is the price|what price|what is the cost",
    ),
    (
        Asked::Weight,
        "wie viel wiegt|wieviel wiegt|welches gewicht|quel poids|quel est le poids|combien pèse|quanto pesa|quale peso|\
         qual è il peso|how heavy|what weight|what is the weight",
    ),
    (
        Asked::Quantity,
        "wie viele|wie viel|wieviel|wieviele|wie hoch|wie gross|wie groß|wie weit|wie oft|\
         wie lang|wie breit|wie schnell|wie vielen|was verdient|welche gebühr|welcher betrag|welche dosis|welchen betrag|\
         welcher prozentsatz|welche anzahl|welcher temperatur|welche temperatur|wie warm|wie kalt|wie heiss|\
         combien|quelle température|quelle dose|quel tarif|quels tarifs|quel pourcentage|quel montant|quel nombre|quelle taille|quelle quantité|\
         quelle distance|quelle superficie|quelle vitesse|quel taux|\
         quanto|quanta|quanti|quante|quale dose|che dose|quale tariffa|che percentuale|quale percentuale|quale importo|quale temperatura|che temperatura|\
         how many|how much|how far|how high|how large|how big|how tall|how often|how fast|how deep|\
         what dose|which dose|what fee|what is the fee|what temperature|what percentage|what percent|what number|what amount|what distance",
    ),
    (Asked::Person, "wer|wen|wem|wessen|qui|chi|who|whom|whose"),
    (
        Asked::Place,
        "wo|wohin|woher|welcher stadt|welchem land|welches land|welche stadt|welchem ort|welchem kanton|\
         où|quel pays|quelle ville|quel endroit|quelle région|quel lieu|\
         dove|quale paese|che paese|quale città|che città|quale regione|quale luogo|\
         where|what country|which country|what city|which city|what place|what state|which state",
    ),
    (Asked::Reason, "warum|weshalb|wieso|wozu|pourquoi|perché|perchè|why"),
];

/// Words and phrases that give reasons.
const REASONS: &str = "weil|da|damit|wegen|aufgrund|um|deshalb|daher|denn|parce|car|afin|pour|en raison|grâce|puisque|\
     perché|poiché|per|a causa|affinché|grazie|because|since|due to|to|so that|in order";

/// Tells what a question asks for from its question words.
pub(crate) fn asked(question: &str) -> Asked {
    let spaced = spaced(question);
    let kind = PHRASES.iter().find(|(_, phrases)| has_any(&spaced, phrases));
    kind.map_or(Asked::Other, |(kind, _)| *kind)
}

impl Asked {
    /// Says whether a number answers.
    pub(crate) fn is_of_figures(self) -> bool {
        matches!(self, Self::Quantity | Self::Age | Self::Price | Self::Weight | Self::Duration | Self::Time)
    }

    /// Says whether only certain units answer.
    pub(crate) fn is_strict(self) -> bool {
        matches!(self, Self::Age | Self::Price | Self::Weight | Self::Duration)
    }

    /// Says whether a sentence of `words` holds a thing of this kind that is not in the question already. `None`
    /// where the kind says nothing about the form of the answer.
    pub(crate) fn is_in(
        self,
        text: &str,
        language: Language,
        words: &[Word],
        question: &HashSet<String>,
    ) -> Option<bool> {
        let new = || words.iter().filter(|word| !question.contains(&word.stem));
        let digit = |word: &Word| word.stem.starts_with(|c: char| c.is_ascii_digit());
        let numeral = |word: &Word| {
            let lower = raw(text, word).to_lowercase();
            // Also as an ordinal: `das vierzigste Lebensjahr`.
            let cardinal = ["ste", "sten", "ster"].iter().find_map(|ending| lower.strip_suffix(ending));
            lexicon::numeral(cardinal.unwrap_or(&lower), language).is_some()
        };
        let month = |word: &Word| lexicon::month(&raw(text, word).to_lowercase()).is_some();
        match self {
            Self::Quantity => Some(new().any(|word| digit(word) || numeral(word))),
            // "One month" has no numeral in three of the languages, so the unit suffices; so does the time until which.
            Self::Duration => Some(new().any(|word| {
                let lower = raw(text, word).to_lowercase();
                span_of_time(text, language, word)
                    || month(word)
                    || is_year(&word.stem)
                    || adjective(&lower).is_some()
                    || UNTIL.contains(&lower.as_str())
            })),
            Self::Age => Some(new().any(|word| {
                let lower = raw(text, word).to_lowercase();
                let age = AGES.contains(&lower.as_str());
                span_of_time(text, language, word) || is_year(&word.stem) || adjective(&lower).is_some() || age
            })),
            Self::Price => Some(is_free(text) || new().any(|word| digit(word) || numeral(word)) && pays(text)),
            Self::Weight => Some(new().any(|word| {
                let raw = raw(text, word);
                let glued = raw.trim_start_matches(|c: char| c.is_ascii_digit());
                unit(&[glued]).is_some_and(|(unit, _)| is_mass(unit)) || POUNDS.contains(&raw.to_lowercase().as_str())
            })),
            Self::Time => {
                Some(new().any(|word| digit(word) && (word.stem.len() == 4 || word.stem.len() <= 2) || month(word)))
            }
            Self::Person | Self::Place => {
                Some(words.iter().skip(1).any(|word| word.capital && word.content && !question.contains(&word.stem)))
            }
            Self::Reason => Some(has_any(&spaced(text), REASONS)),
            Self::Other => None,
        }
    }
}

/// Words with which a time ends, clocks, and those for at once.
const UNTIL: &[&str] = &[
    "unverzüglich",
    "sofort",
    "umgehend",
    "immédiatement",
    "subito",
    "immediatamente",
    "immediately",
    "promptly",
    "bis",
    "uhr",
    "jusqu",
    "heures",
    "fino",
    "until",
    "till",
    "clock",
    "lebenslang",
    "unbefristet",
];

/// Words beside an age without a unit.
const AGES: &[&str] = &[
    "alter",
    "rentenalter",
    "pensionsalter",
    "mindestalter",
    "lebensalter",
    "aged",
    "age",
    "âge",
    "âgé",
    "âgée",
    "âgés",
    "età",
];

/// Units of weight that are no metric ones.
const POUNDS: &[&str] =
    &["pfund", "livre", "livres", "libbra", "libbre", "pound", "pounds", "lb", "lbs", "ounces", "tons"];

/// Names of columns of prices, beside those with a currency; German compounds end with them.
const PRICES: &[&str] = &[
    "preis",
    "preise",
    "prix",
    "prezzo",
    "prezzi",
    "price",
    "prices",
    "kosten",
    "coût",
    "coûts",
    "costo",
    "costi",
    "cost",
    "costs",
    "tarif",
    "tarife",
    "tarifs",
    "tariffa",
    "tariffe",
    "fare",
    "fares",
    "gebühr",
    "gebühren",
    "fee",
    "fees",
    "betrag",
    "montant",
    "importo",
];

/// Bytes of what may also be the end of another word: `coffee`.
const SHORTEST: usize = 4;

/// Prices that are no figures.
const FREE: &str = "kostenlos|gratis|unentgeltlich|kostenfrei|gratuit|gratuite|gratuits|gratuitement|gratuito|gratuita|gratuitamente|\
     free|no charge";

fn is_free(text: &str) -> bool {
    has_any(&spaced(text), FREE)
}

/// Says whether the name of a column or a heading is that of prices.
pub(crate) fn names_price(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.any(|word| {
        PRICES.iter().any(|price| word == *price || price.len() > SHORTEST && word.ends_with(price))
            || unit(&[word]).is_some_and(|(unit, _)| is_currency(unit))
    })
}

/// Says whether money or a share of it is named; of a line of a table without the names of its columns it may be, of one below
/// them it must.
fn pays(text: &str) -> bool {
    let named = |word: &str| {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
        unit(&[word]).is_some_and(|(unit, _)| is_currency(unit) || matches!(unit, "percent" | "million" | "billion"))
    };
    let words = text.split_whitespace();
    let figures = words.clone().filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).count();
    let is_line = text.contains('\t') && !text.contains('\n') || 2 * figures > words.count();
    let below = text.rsplit_once('\n').is_some_and(|(names, _)| names_price(names));
    is_line || below || text.contains(['€', '$', '£', '%']) || text.split(|c: char| !c.is_alphanumeric()).any(named)
}

/// Says whether a word is a unit of time.
fn span_of_time(text: &str, language: Language, word: &Word) -> bool {
    let word = raw(text, word).trim_start_matches(|c: char| c.is_ascii_digit());
    // A year in French, a preposition in German.
    language == Language::French && word.eq_ignore_ascii_case("an")
        || unit(&[word]).is_some_and(|(unit, _)| is_time(unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{content_stems, words};

    #[test]
    fn questions_tell_what_they_ask_for() {
        let cases = [
            ("Wie viele Mitglieder hat der Rat?", Asked::Quantity),
            ("En quelle année fut-elle fondée ?", Asked::Time),
            ("Seit wann gilt das Gesetz?", Asked::Time),
            ("Chi ha scritto il libro?", Asked::Person),
            ("Where is it?", Asked::Place),
            ("Warum gilt das?", Asked::Reason),
            ("Was gilt?", Asked::Other),
            ("À quel âge peut-on voter ?", Asked::Age),
            ("Innert welcher Frist ist zu antworten?", Asked::Duration),
            ("Entro quale termine va presentata?", Asked::Duration),
        ];
        for (question, expected) in cases {
            assert_eq!(asked(question), expected, "{question}");
        }
    }

    #[test]
    fn what_is_measured_otherwise_is_no_answer() {
        let holds = |question: &str, text: &str| {
            let language = Language::detect(text);
            asked(question).is_in(text, language, &words(text), &content_stems(question)).unwrap()
        };
        assert!(!holds("Wie alt war die Patientin?", "Sie erhielt 10 mg statt 1 mg."));
        assert!(holds("Wie alt war die Patientin?", "Die 84-jährige Patientin erhielt 10 mg."));
        assert!(!holds("Wie lange dauert die Reparatur?", "Die Anlage deckt nur 60 Prozent der Last."));
        assert!(holds("Innert welcher Frist ist zu melden?", "Der Vorfall ist unverzüglich zu melden."));
        assert!(holds("How long may it be kept?", "It may be kept for 72h."));
        assert!(holds("Wie lange gilt der Vertrag?", "Er dauert bis zum 30. Juni 2028."));
        assert!(!holds("What is the weight of the box?", "The box holds 12 litres for 24 hours."));
        assert!(holds("What is the weight of the box?", "The box weighs 3kg."));
        assert!(!holds("Was kostet die Maske?", "Die Maske wird in 50 Stück geliefert."));
        assert!(holds("Was kostet die Maske?", "Die Maske kostet CHF 12.60."));
        assert!(holds("Quanto costa la visita?", "La visita è gratuita."));
        assert!(holds("Was kostet die Reinigung des Postens?", "Polizeiposten 600 1780"), "a line of a table");
        assert!(holds("Was kostet der Posten?", "Objekt\tPreis CHF\nPolizeiposten\t1780"));
        assert!(holds("Was kostet der Ausweis?", "Leistung\tGrundgebühr\nAusweis\t55.00"));
        assert!(!holds("Was kostet die Prüfung?", "Anlage\tNächste Prüfung\nGondelbahn\t14.05.2025"));
    }

    #[test]
    fn only_what_the_question_does_not_say_itself_answers_it() {
        let question = "Wie viele Mitglieder hatte der Rat 1848?";
        let german = Language::German;
        let holds = |text: &str| asked(question).is_in(text, german, &words(text), &content_stems(question));
        assert_eq!(holds("Der Rat hatte 1848 sieben Mitglieder."), Some(true));
        assert_eq!(holds("Der Rat hatte 1848 einige Mitglieder."), Some(false));
        let until = "Innert welcher Frist ist zu antworten?";
        let within = |text: &str| asked(until).is_in(text, german, &words(text), &content_stems(until));
        assert_eq!(within("Zu antworten ist innert eines Monats."), Some(true));
        assert_eq!(within("Zu antworten ist auf Antrag."), Some(false));
        assert_eq!(asked("Was gilt?").is_in("Alles gilt.", german, &words("Alles gilt."), &HashSet::new()), None);
    }
}
