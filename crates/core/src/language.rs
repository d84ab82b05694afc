//! Languages Fontes can tell apart, and telling them apart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

macro_rules! languages {
    ($($variant:ident $code:literal $lang:ident),+ $(,)?) => {
        /// A language with its own stemmer (Snowball) or `Undetermined`; written as its ISO 639-1 code.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Language {
            $(#[doc = concat!("ISO 639-1 `", $code, "`.")] #[serde(rename = $code)] $variant,)+
            /// Not known, mixed, or without its own analysis; ISO 639-2 `und`.
            #[default]
            #[serde(rename = "und")]
            Undetermined,
        }

        impl Language {
            /// Every language but `Undetermined`.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code that JSON and the command line use.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ Self::Undetermined => "und" }
            }

            /// Guesses the language of `text` from its script and character trigrams.
            ///
            /// Short or mixed text gives `Undetermined` rather than a coin toss; the four working languages
            /// win ties, because that is what the archives hold.
            pub fn detect(text: &str) -> Self {
                let sample: String = text.chars().filter(|c| !c.is_ascii_digit()).take(SAMPLE_CHARS).collect();
                if is_short(&sample) {
                    return Self::detect_working(&sample);
                }
                let Some(info) = whatlang::detect(&sample) else { return Self::Undetermined };
                if !info.is_reliable() {
                    return Self::detect_working(&sample);
                }
                match info.lang() { $(whatlang::Lang::$lang => Self::$variant,)+ _ => Self::detect_working(&sample) }
            }
        }
    };
}

/// Detection looks at this many characters: trigram statistics settle long before.
const SAMPLE_CHARS: usize = 2_000;

/// Fewer words than this have too few trigrams to tell a language by: `Preis Dermisol Plus` is no English.
const SHORT: usize = 4;

/// Says whether a text is a few words in Latin letters.
fn is_short(text: &str) -> bool {
    text.split_whitespace().count() < SHORT && text.chars().filter(|c| c.is_alphabetic()).all(is_latin)
}

/// Text is in none of the working languages when one letter in this many is not Latin. A syllable or sign of
/// East Asian scripts stands for two to four letters, and names and formulas put single Greek letters anywhere.
const OTHER_SCRIPTS: usize = 5;

languages! {
    German "de" Deu, French "fr" Fra, Italian "it" Ita, English "en" Eng,
    Arabic "ar" Ara, Danish "da" Dan, Dutch "nl" Nld, Finnish "fi" Fin, Greek "el" Ell, Hungarian "hu" Hun,
    Norwegian "no" Nob, Portuguese "pt" Por, Romanian "ro" Ron, Russian "ru" Rus, Spanish "es" Spa,
    Swedish "sv" Swe, Tamil "ta" Tam, Turkish "tr" Tur,
}

impl Language {
    /// The four languages Fontes is made for first.
    pub const WORKING: [Self; 4] = [Self::German, Self::French, Self::Italian, Self::English];

    /// Decides among the working languages by their most frequent short words; for questions and headings,
    /// where trigrams are unreliable. Text of which a good part is in another script is none of them.
    fn detect_working(text: &str) -> Self {
        // English terms in a Korean text do not make it English.
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let others = text.chars().filter(|c| c.is_alphabetic() && !is_latin(*c)).count();
        if others * OTHER_SCRIPTS >= letters {
            return Self::Undetermined;
        }
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        let score = |list: &[&str]| words.iter().filter(|word| list.contains(word)).count();
        let scores = [
            (Self::German, score(GERMAN)),
            (Self::French, score(FRENCH)),
            (Self::Italian, score(ITALIAN)),
            (Self::English, score(ENGLISH)),
        ];
        let best = scores.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let mut winners = scores.iter().filter(|(_, count)| *count == best && best > 0);
        match (winners.next(), winners.next()) {
            (Some((language, _)), None) => *language,
            _ => Self::Undetermined,
        }
    }
}

/// Says whether a letter is of the Latin script: Basic Latin to Latin Extended-B, Additional, ligatures.
fn is_latin(c: char) -> bool {
    matches!(c, '\0'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' | '\u{FB00}'..='\u{FB06}')
}

// Function words that do not occur in the other three languages; the usual closed classes.
const GERMAN: &[&str] = &[
    "der", "das", "und", "ist", "nicht", "wie", "wer", "wo", "wann", "warum", "welche", "welcher", "welches", "ein",
    "eine", "einer", "eines", "mit", "für", "auf", "von", "zu", "den", "dem", "des", "wird", "werden", "sind", "kann",
    "muss", "nach", "bei", "über", "gilt", "hat", "im", "zum", "zur", "viele", "lange", "wieviel", "die", "was", "war",
    "wurde", "wurden", "welchem", "welchen", "weshalb", "wogegen", "wofür", "womit", "manche", "dass", "aus", "wem",
];
const FRENCH: &[&str] = &[
    "le", "les", "une", "est", "et", "qui", "que", "quel", "quelle", "quels", "quelles", "où", "quand", "comment",
    "pourquoi", "combien", "dans", "pour", "avec", "sur", "des", "du", "au", "aux", "sont", "pas", "peut", "doit",
    "cette", "ces", "ont", "il", "elle", "son", "sa", "ou", "par", "leur", "étaient", "était", "fut", "avait", "qu",
    "y",
];
const ITALIAN: &[&str] = &[
    "il", "lo", "gli", "è", "e", "che", "chi", "quale", "quali", "dove", "quando", "perché", "quanto", "quanti",
    "quante", "di", "del", "della", "dei", "delle", "nel", "nella", "per", "con", "sono", "può", "deve", "una", "come",
    "cosa", "ha", "al", "alla",
];
const ENGLISH: &[&str] = &[
    "the", "is", "are", "and", "of", "what", "who", "where", "when", "why", "how", "which", "for", "with", "on",
    "does", "do", "did", "was", "were", "to", "by", "from", "an", "must", "can", "many", "long", "much",
];

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self, Error> {
        Self::ALL.iter().chain([&Self::Undetermined]).find(|language| language.code() == code).copied().ok_or_else(
            || {
                let known: Vec<&str> = Self::ALL.iter().map(|language| language.code()).collect();
                let known = known.join(", ");
                Error::invalid(format!("language code {code:?} is not known")).advise(format!("use one of: {known}"))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_told_apart() {
        let cases = [
            (
                Language::German,
                "Die Bundesversammlung wählt die Mitglieder des Bundesrates für die Dauer von vier Jahren.",
            ),
            (
                Language::French,
                "Les membres du Conseil fédéral sont élus par l'Assemblée fédérale pour une durée de quatre ans.",
            ),
            (
                Language::Italian,
                "I membri del Consiglio federale sono eletti dall'Assemblea federale per un quadriennio.",
            ),
            (
                Language::English,
                "The members of the Federal Council are elected by the Federal Assembly for four years.",
            ),
        ];
        for (language, text) in cases {
            assert_eq!(Language::detect(text), language, "{text}");
        }
    }

    #[test]
    fn short_questions_are_told_apart() {
        let cases = [
            (Language::German, "Wie viele Mitglieder hat der Bundesrat?"),
            (Language::German, "Wie lange ist die Kündigungsfrist?"),
            (Language::French, "Combien de membres compte le Conseil fédéral ?"),
            (Language::Italian, "Quanti membri ha il Consiglio federale?"),
            (Language::German, "In welchem Jahr starb Tesla?"),
            (Language::German, "Was ist die NASUWT?"),
            (Language::Italian, "Quanti protestanti vivono oggi in Francia?"),
            (Language::English, "What was the name of the company?"),
            (Language::French, "Ou l'artiste travaille-t-il ?"),
            (Language::French, "L'empire est-il exclusivement musulman ?"),
            (Language::Italian, "Quanto costa il menu del giorno?"),
            (Language::English, "How many members does the Federal Council have?"),
        ];
        for (language, text) in cases {
            assert_eq!(Language::detect(text), language, "{text}");
        }
    }

    #[test]
    fn nothing_to_go_by_is_undetermined() {
        for text in ["", "12345", "???"] {
            assert_eq!(Language::detect(text), Language::Undetermined, "{text:?}");
        }
    }

    #[test]
    fn other_scripts_are_undetermined_whatever_latin_words_they_hold() {
        let cases = [
            "대한민국은 민주공화국이다. 대한민국의 주권은 국민에게 있다. (the Constitution of Korea)",
            "中华人民共和国是工人阶级领导的社会主义国家。 What is the law?",
            "すべて国民は、法の下に平等であって、政治的に差別されない。 The law of Japan",
            "ประเทศไทยเป็นราชอาณาจักร and the law",
            "כל אדם שווה בפני החוק the law",
        ];
        for text in cases {
            assert_eq!(Language::detect(text), Language::Undetermined, "{text}");
        }
        assert_eq!(Language::detect("What is the angle α in the figure?"), Language::English);
    }

    #[test]
    fn codes_round_trip() {
        for language in Language::ALL {
            assert_eq!(language.code().parse::<Language>().unwrap(), *language);
            assert_eq!(serde_json::to_value(language).unwrap(), language.code());
        }
        assert!("xx".parse::<Language>().is_err());
    }
}
