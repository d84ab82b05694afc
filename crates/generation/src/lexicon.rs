//! Closed word lists of the four working languages: stop words, negations, numerals, months, and the words that
//! announce commentary. Facts of the languages, kept in one place.

use std::{collections::HashSet, sync::LazyLock};

use fontes_core::Language;

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
     dort hier sehr schon mehr sowie bzw etwa dabei damit davon dazu daran darauf gibt gab wurden ja viele viel \
     bin bist wäre wären hätte würde würden ab je pro alle allem allen aller alles",
    "le la les l un une des du de d et ou mais aussi à au aux en dans par pour sur sous avec sans chez vers entre ce cet \
     cette ces c il elle ils elles on nous vous je tu se s son sa ses leur leurs lui y ne n pas plus que qu qui quoi \
     dont où quand comment combien pourquoi quel quelle quels quelles lequel laquelle est sont était étaient fut furent \
     être été a ont avait avaient avoir eu peut peuvent doit doivent si comme même très tout tous toute toutes afin lors \
     lorsque lorsqu puisqu jusqu quelqu ceux celui celle celles cela ça donc car ni",
    "il lo la i gli le l un uno una e ed o ma anche a ad al allo alla ai agli alle da dal dallo dalla dai dagli dalle di \
     del dello della dei degli delle in nel nello nella nei negli nelle su sul sullo sulla sui sugli sulle con per tra \
     fra che chi cui cosa come dove quando quanto quanta quanti quante quale quali perché perchè si ci vi ne non è sono \
     era erano fu furono essere stato stata stati state ha hanno aveva avevano avere può possono deve devono se suo sua \
     suoi sue loro questo questa questi queste quello quella quelli quelle più molto tipo qual dell nell sull dall all \
     coll quell quest com dov cos anch sia stati state venne venivano viene vengono suo sua",
    "the a an and or but of to in on at by for from with without into onto over under between about as is are was were be \
     been being am do does did done has have had having will would can could shall should may might must this that these \
     those it its he she they them his her their we you i me my our your who whom whose which what when where why how \
     many much not no so such than then there here if also only any some don doesn didn isn wasn aren weren ll ve re",
];

/// Words that deny, by language: `mai` denies in Italian and is a month in German and French.
const NEGATIONS: [(Language, &str); 4] = [
    (Language::German, "nicht nie niemals nichts niemand weder ohne nirgends keinesfalls keineswegs"),
    (Language::French, "pas jamais aucun aucune rien ni sans nul nulle non"),
    (Language::Italian, "non mai nessun nessuno nessuna niente nulla né senza no"),
    (Language::English, "not no never none nobody nothing neither nor without cannot t"),
];

/// Says whether a lowercase word denies in `language`; in a text of no known language, in any of the four,
/// words of several meanings aside.
pub(crate) fn is_negation(lower: &str, language: Language) -> bool {
    let ambiguous = matches!(lower, "mai" | "no" | "t" | "ni" | "nul");
    let listed = NEGATIONS.iter().any(|(spoken, words)| {
        (*spoken == language || !Language::WORKING.contains(&language) && !ambiguous)
            && words.split(' ').any(|word| word == lower)
    });
    let german = matches!(language, Language::German | Language::Undetermined);
    listed || german && lower.starts_with("kein")
}

/// Says whether a lowercase word takes the denial back that stands before it: `nicht nur`, `not only`.
pub(crate) fn is_only(lower: &str) -> bool {
    matches!(
        lower,
        "nur" | "allein" | "bloss" | "seulement" | "uniquement" | "solo" | "soltanto" | "solamente" | "only"
    )
}

/// The value of a numeral written as a word of `language`: `sei` is six in Italian and a verb in German, `due` is
/// two in Italian and no number in English. "One" is left out: it is an article in three of the languages.
pub(crate) fn numeral(lower: &str, language: Language) -> Option<u32> {
    let column = Language::WORKING.iter().position(|working| *working == language);
    let is_in = |words: &str| words.split('|').any(|word| word == lower);
    let ambiguous = matches!(lower, "sei" | "due" | "cent" | "neuf" | "elf" | "acht");
    NUMERALS
        .iter()
        .find(|(_, words)| match column {
            Some(column) => is_in(words[column]),
            None => !ambiguous && words.iter().any(|words| is_in(words)),
        })
        .map(|(value, _)| *value)
}

/// Columns in the order of [`Language::WORKING`].
const NUMERALS: &[(u32, [&str; 4])] = &[
    (2, ["zwei|beide|beiden", "deux", "due", "two|both"]),
    (3, ["drei", "trois", "tre", "three"]),
    (4, ["vier", "quatre", "quattro", "four"]),
    (5, ["fünf", "cinq", "cinque", "five"]),
    (6, ["sechs", "six", "sei", "six"]),
    (7, ["sieben", "sept", "sette", "seven"]),
    (8, ["acht", "huit", "otto", "eight"]),
    (9, ["neun", "neuf", "nove", "nine"]),
    (10, ["zehn", "dix", "dieci", "ten"]),
    (11, ["elf", "onze", "undici", "eleven"]),
    (12, ["zwölf", "douze", "dodici", "twelve"]),
    (13, ["dreizehn", "treize", "tredici", "thirteen"]),
    (14, ["vierzehn", "quatorze", "quattordici", "fourteen"]),
    (15, ["fünfzehn", "quinze", "quindici", "fifteen"]),
    (16, ["sechzehn", "seize", "sedici", "sixteen"]),
    (18, ["achtzehn", "", "diciotto", "eighteen"]),
    (20, ["zwanzig", "vingt", "venti", "twenty"]),
    (25, ["fünfundzwanzig", "", "venticinque", ""]),
    (30, ["dreissig|dreißig", "trente", "trenta", "thirty"]),
    (40, ["vierzig", "quarante", "quaranta", "forty"]),
    (48, ["achtundvierzig", "", "quarantotto", ""]),
    (50, ["fünfzig", "cinquante", "cinquanta", "fifty"]),
    (60, ["sechzig", "soixante", "sessanta", "sixty"]),
    (70, ["siebzig", "septante", "settanta", "seventy"]),
    (80, ["achtzig", "huitante", "ottanta", "eighty"]),
    (90, ["neunzig", "nonante", "novanta", "ninety"]),
    (100, ["hundert|einhundert", "cent", "cento", "hundred"]),
    (1_000, ["tausend|eintausend", "mille", "mille", "thousand"]),
];

/// The number of the month that a word names.
pub(crate) fn month(lower: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "januar jänner janvier gennaio january jan janv",
        "februar février febbraio february feb févr",
        "märz mars marzo march",
        "april avril aprile apr",
        "mai maggio may",
        "juni juin giugno june",
        "juli juillet luglio july juil",
        "august août agosto aug",
        "september septembre settembre sept sep",
        "oktober octobre ottobre october okt oct",
        "november novembre nov",
        "dezember décembre dicembre december dez dec",
    ];
    MONTHS.iter().zip(1..).find(|(words, _)| words.split(' ').any(|word| word == lower)).map(|(_, number)| number)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_languages_are_covered() {
        let [german, french, italian, english] = Language::WORKING;
        for (word, language) in [
            ("nicht", german),
            ("keine", german),
            ("pas", french),
            ("non", italian),
            ("mai", italian),
            ("never", english),
        ] {
            assert!(is_negation(word, language), "{word}");
        }
        for (word, language) in [("mai", german), ("no", french), ("pas", english)] {
            assert!(!is_negation(word, language), "{word}");
        }
        let sevens = ["sieben", "sept", "sette", "seven"].into_iter().zip(Language::WORKING);
        assert!(sevens.clone().all(|(word, language)| numeral(word, language) == Some(7)));
        assert!(sevens.clone().all(|(word, _)| numeral(word, Language::Undetermined) == Some(7)));
        for (word, language) in [("due", english), ("sei", german), ("due", Language::Undetermined)] {
            assert_eq!(numeral(word, language), None, "{word}");
        }
        assert_eq!(["märz", "mars", "marzo", "march"].map(month), [Some(3); 4]);
        assert!(["der", "les", "gli", "the", "dell", "qual", "lorsqu"].iter().all(|word| is_stop_word(word)));
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
