//! Closed word lists of the four working languages: stop words, negations, numerals, months, units, and the
//! words that announce commentary. Facts of the languages, kept in one place.

use std::{collections::HashSet, sync::LazyLock};

/// Says whether a lowercase word carries no content of its own.
pub(crate) fn is_stop_word(lower: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> =
        LazyLock::new(|| STOP_WORDS.iter().flat_map(|list| list.split_whitespace()).collect());
    WORDS.contains(lower)
}

/// Articles, pronouns, prepositions, auxiliaries and question words.
const STOP_WORDS: &[&str] = &[
    "der die das den dem des ein eine einen einem einer eines und oder aber auch als an am auf aus bei beim bis da dass \
     daß dann doch durch er es sie wir ihr ich du man für gegen hat haben hatte hatten ihm ihn ihnen ihre ihren ihrer \
     ihrem ihres im in ins ist sind war waren wird werden wurde wurden worden mit nach nicht noch nur ob sein seine \
     seinen seiner seinem seines sich so über um uns unter vom von vor was wer wen wem wessen wie wo wann warum weshalb \
     wieso woher wohin womit wofür wodurch welche welcher welches welchen welchem wenn wieviel zu zum zur zwischen \
     kann können konnte konnten muss müssen soll sollen darf dürfen diese dieser dieses diesen diesem jene jener jenes \
     dort hier sehr schon mehr sowie bzw etwa dabei damit davon dazu daran darauf gibt gab wurden ja viele viel",
    "le la les l un une des du de d et ou mais aussi à au aux en dans par pour sur sous avec sans chez vers entre ce cet \
     cette ces c il elle ils elles on nous vous je tu se s son sa ses leur leurs lui y ne n pas plus que qu qui quoi \
     dont où quand comment combien pourquoi quel quelle quels quelles lequel laquelle est sont était étaient fut furent \
     être été a ont avait avaient avoir eu peut peuvent doit doivent si comme même très tout tous toute toutes afin",
    "il lo la i gli le l un uno una e ed o ma anche a ad al allo alla ai agli alle da dal dallo dalla dai dagli dalle di \
     del dello della dei degli delle in nel nello nella nei negli nelle su sul sullo sulla sui sugli sulle con per tra \
     fra che chi cui cosa come dove quando quanto quanta quanti quante quale quali perché perchè si ci vi ne non è sono \
     era erano fu furono essere stato stata stati state ha hanno aveva avevano avere può possono deve devono se suo sua \
     suoi sue loro questo questa questi queste quello quella quelli quelle più molto tipo",
    "the a an and or but of to in on at by for from with without into onto over under between about as is are was were be \
     been being am do does did done has have had having will would can could shall should may might must this that these \
     those it its he she they them his her their we you i me my our your who whom whose which what when where why how \
     many much not no so such than then there here if also only any some",
];

/// Words that deny.
pub(crate) fn is_negation(lower: &str) -> bool {
    matches!(
        lower,
        "nicht"
            | "nie"
            | "niemals"
            | "nichts"
            | "niemand"
            | "weder"
            | "ohne"
            | "nirgends"
            | "keinesfalls"
            | "keineswegs"
            | "pas"
            | "jamais"
            | "aucun"
            | "aucune"
            | "rien"
            | "personne"
            | "ni"
            | "sans"
            | "nul"
            | "nulle"
            | "non"
            | "mai"
            | "nessun"
            | "nessuno"
            | "nessuna"
            | "niente"
            | "nulla"
            | "né"
            | "senza"
            | "not"
            | "no"
            | "never"
            | "none"
            | "nobody"
            | "nothing"
            | "neither"
            | "nor"
            | "without"
            | "cannot"
            | "t"
    ) || lower.starts_with("kein")
}

/// The value of a numeral written as a word. "One" is left out: it is an article in three of the languages.
pub(crate) fn numeral(lower: &str) -> Option<u32> {
    NUMERALS.iter().find(|(_, words)| words.split(' ').any(|word| word == lower)).map(|(value, _)| *value)
}

const NUMERALS: &[(u32, &str)] = &[
    (2, "zwei deux due two"),
    (3, "drei trois tre three"),
    (4, "vier quatre quattro four"),
    (5, "fünf cinq cinque five"),
    (6, "sechs six sei"),
    (7, "sieben sept sette seven"),
    (8, "acht huit otto eight"),
    (9, "neun neuf nove nine"),
    (10, "zehn dix dieci ten"),
    (11, "elf onze undici eleven"),
    (12, "zwölf douze dodici twelve"),
    (14, "vierzehn quatorze quattordici fourteen"),
    (15, "fünfzehn quinze quindici fifteen"),
    (20, "zwanzig vingt venti twenty"),
    (30, "dreissig dreißig trente trenta thirty"),
    (40, "vierzig quarante quaranta forty"),
    (50, "fünfzig cinquante cinquanta fifty"),
    (60, "sechzig soixante sessanta sixty"),
    (90, "neunzig nonante novanta ninety"),
    (100, "hundert einhundert cent cento hundred"),
    (1_000, "tausend eintausend mille thousand"),
];

/// The number of the month that a word names.
pub(crate) fn month(lower: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "januar jänner janvier gennaio january jan",
        "februar février febbraio february feb",
        "märz mars marzo march",
        "april avril aprile apr",
        "mai maggio may",
        "juni juin giugno june",
        "juli juillet luglio july",
        "august août agosto aug",
        "september septembre settembre sept",
        "oktober octobre ottobre october okt oct",
        "november novembre nov",
        "dezember décembre dicembre december dez dec",
    ];
    MONTHS.iter().zip(1..).find(|(words, _)| words.split(' ').any(|word| word == lower)).map(|(_, number)| number)
}

/// Units that are confused at a cost, by a common name.
pub(crate) fn unit(lower: &str) -> Option<&'static str> {
    Some(match lower {
        "%" | "prozent" | "pourcent" | "percent" => "percent",
        "franken" | "chf" | "fr" | "francs" | "franchi" | "sfr" => "franc",
        "€" | "eur" | "euro" | "euros" => "euro",
        "$" | "usd" | "dollar" | "dollars" | "dollari" => "dollar",
        "mg" | "milligramm" => "milligram",
        "µg" | "mcg" | "mikrogramm" => "microgram",
        "g" | "gramm" | "grammes" | "grammi" | "grams" => "gram",
        "kg" | "kilogramm" | "kilo" => "kilogram",
        "ml" | "milliliter" => "millilitre",
        "stunde" | "stunden" | "heure" | "heures" | "ora" | "ore" | "hour" | "hours" | "h" => "hour",
        "minute" | "minuten" | "minutes" | "minuto" | "minuti" => "minute",
        "tag" | "tage" | "tagen" | "jour" | "jours" | "giorno" | "giorni" | "day" | "days" => "day",
        "woche" | "wochen" | "semaine" | "semaines" | "settimana" | "settimane" | "week" | "weeks" => "week",
        "monat" | "monate" | "monaten" | "mois" | "mese" | "mesi" | "month" | "months" => "month",
        "jahr" | "jahre" | "jahren" | "an" | "ans" | "année" | "années" | "anno" | "anni" | "year" | "years" => {
            "year"
        }
        "km" | "kilometer" | "kilomètres" | "chilometri" | "kilometres" | "kilometers" => "kilometre",
        "million" | "millionen" | "millions" | "milione" | "milioni" | "mio" => "million",
        "milliarde" | "milliarden" | "milliard" | "milliards" | "miliardo" | "miliardi" | "billion" | "mrd" | "mia" => {
            "billion"
        }
        _ => return None,
    })
}

/// Says whether a sentence talks about the answer instead of giving it, as small models like to add.
pub(crate) fn is_commentary(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    let opens = [
        "note",
        "hinweis",
        "anmerkung",
        "remarque",
        "nota",
        "disclaimer",
        "antwort:",
        "réponse:",
        "risposta:",
        "answer:",
        "quellen:",
        "sources:",
        "fonti:",
        "this answer",
        "diese antwort",
        "cette réponse",
        "questa risposta",
        "as an ai",
        "als ki",
        "i hope",
        "ich hoffe",
        "let me know",
        "based on the provided",
        "basierend auf den",
    ];
    let about = [
        "context",
        "kontext",
        "contexte",
        "contesto",
        "passage",
        "textstelle",
        "provided",
        "bereitgestellt",
        "fourni",
        "forniti",
        "based on",
        "basiert",
        "basée",
        "basata",
        "language model",
        "sprachmodell",
        "modèle de langage",
        "hope",
        "hoffe",
        "know if",
    ];
    let label_only = lower.trim_end().ends_with(':') && lower.chars().count() < 20;
    opens.iter().any(|opening| lower.trim_start_matches(['(', '*', ' ']).starts_with(opening))
        && (label_only || about.iter().any(|word| lower.contains(word)))
}

/// What kind of thing a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// How many, how much, how long.
    Quantity,
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

/// Tells what a question asks for from its question word.
pub(crate) fn asked(question: &str) -> Asked {
    let lower = format!(" {} ", question.to_lowercase().replace(['?', ',', '\'', '’', '.', ':', '!'], " "));
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(&format!(" {phrase} ")));
    if has(&[
        "wann",
        "quand",
        "quando",
        "when",
        "in welchem jahr",
        "seit wann",
        "en quelle année",
        "quelle année",
        "quel jour",
        "in che anno",
        "in quale anno",
        "what year",
        "which year",
        "what date",
        "welchem jahr",
        "quelle date",
        "welches jahr",
        "welchem datum",
        "quale anno",
        "che anno",
    ]) {
        Asked::Time
    } else if has(&[
        "wie viele",
        "wieviel",
        "wieviele",
        "wie viel",
        "wie lange",
        "wie hoch",
        "wie gross",
        "wie groß",
        "wie alt",
        "wie weit",
        "combien",
        "quel pourcentage",
        "quel montant",
        "quel nombre",
        "quelle durée",
        "quel âge",
        "quanto",
        "quanta",
        "quanti",
        "quante",
        "how many",
        "how much",
        "how long",
        "how old",
        "how far",
        "how high",
        "how large",
        "what percentage",
        "wie oft",
        "welcher prozentsatz",
        "wie viel prozent",
        "che percentuale",
        "quale percentuale",
    ]) {
        Asked::Quantity
    } else if has(&["wer", "wen", "wem", "wessen", "qui", "chi", "who", "whom", "whose"]) {
        Asked::Person
    } else if has(&[
        "wo",
        "wohin",
        "woher",
        "où",
        "dove",
        "where",
        "in welcher stadt",
        "in welchem land",
        "quel pays",
        "quelle ville",
    ]) {
        Asked::Place
    } else if has(&["warum", "weshalb", "wieso", "pourquoi", "perché", "perchè", "why"]) {
        Asked::Reason
    } else {
        Asked::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_languages_are_covered() {
        for word in ["nicht", "keine", "pas", "non", "never"] {
            assert!(is_negation(word), "{word}");
        }
        assert_eq!(["sieben", "sept", "sette", "seven"].map(numeral), [Some(7); 4]);
        assert_eq!(["märz", "mars", "marzo", "march"].map(month), [Some(3); 4]);
        assert_eq!(["tage", "jours", "giorni", "days"].map(unit), [Some("day"); 4]);
        assert!(["der", "les", "gli", "the"].iter().all(|word| is_stop_word(word)));
    }

    #[test]
    fn questions_tell_what_they_ask_for() {
        let cases = [
            ("Wie viele Mitglieder hat der Rat?", Asked::Quantity),
            ("En quelle année fut-elle fondée ?", Asked::Time),
            ("Chi ha scritto il libro?", Asked::Person),
            ("Where is it?", Asked::Place),
            ("Warum gilt das?", Asked::Reason),
            ("Was gilt?", Asked::Other),
        ];
        for (question, expected) in cases {
            assert_eq!(asked(question), expected, "{question}");
        }
    }

    #[test]
    fn commentary_is_recognised_and_content_is_not() {
        for text in [
            "Note: the answer is based on the provided context.",
            "Hinweis: Diese Antwort basiert auf dem Kontext.",
            "(Note: This is based on passage 1.)",
            "Quellen:",
        ] {
            assert!(is_commentary(text), "{text}");
        }
        for text in ["Die Note beträgt 5.", "Nota bene ist lateinisch.", "Notes are kept for ten years."] {
            assert!(!is_commentary(text), "{text}");
        }
    }
}
