//! Stems: Snowball, per language.

use fontes_core::Language;
use tantivy::tokenizer::{Language as Snowball, RawTokenizer, Stemmer, TextAnalyzer};

use super::analysis::{Word, fold_stem};

/// Stems words of some languages at once.
pub(super) struct Stems(Vec<TextAnalyzer>);

impl Stems {
    /// The stemmer of one language; none for [`Language::Undetermined`].
    pub(super) fn of(language: Language) -> Self {
        Self(snowball(language).into_iter().map(analyzer).collect())
    }

    /// For a query: the stemmer of its language, or of every working language when that is not known, as it often
    /// is not for two or three words.
    pub(super) fn for_query(language: Language) -> Self {
        match snowball(language) {
            Some(snowball) => Self(vec![analyzer(snowball)]),
            None => Self(Language::WORKING.into_iter().filter_map(snowball).map(analyzer).collect()),
        }
    }

    /// The stems of a word, each once. Numbers have none.
    pub(super) fn stem(&mut self, word: &Word) -> Vec<String> {
        let mut stems = Vec::with_capacity(self.0.len());
        if word.number {
            return stems;
        }
        for analyzer in &mut self.0 {
            let mut stream = analyzer.token_stream(&word.text);
            if stream.advance() {
                let stem = fold_stem(&stream.token().text).into_owned();
                if !stem.is_empty() && !stems.contains(&stem) {
                    stems.push(stem);
                }
            }
        }
        stems
    }
}

fn analyzer(language: Snowball) -> TextAnalyzer {
    TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(language)).build()
}

fn snowball(language: Language) -> Option<Snowball> {
    Some(match language {
        Language::German => Snowball::German,
        Language::French => Snowball::French,
        Language::Italian => Snowball::Italian,
        Language::English => Snowball::English,
        Language::Arabic => Snowball::Arabic,
        Language::Danish => Snowball::Danish,
        Language::Dutch => Snowball::Dutch,
        Language::Finnish => Snowball::Finnish,
        Language::Greek => Snowball::Greek,
        Language::Hungarian => Snowball::Hungarian,
        Language::Norwegian => Snowball::Norwegian,
        Language::Portuguese => Snowball::Portuguese,
        Language::Romanian => Snowball::Romanian,
        Language::Russian => Snowball::Russian,
        Language::Spanish => Snowball::Spanish,
        Language::Swedish => Snowball::Swedish,
        Language::Tamil => Snowball::Tamil,
        Language::Turkish => Snowball::Turkish,
        Language::Undetermined => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexical::analysis::words;

    fn stem(language: Language, text: &str) -> String {
        Stems::of(language).stem(&words(text)[0]).remove(0)
    }

    #[test]
    fn inflections_meet() {
        let cases = [
            (Language::German, "Häuser", "Haus"),
            (Language::German, "Kündigungen", "Kündigung"),
            (Language::French, "l'administration", "administrations"),
            (Language::French, "libérées", "libéré"),
            (Language::Italian, "dell'articolo", "articoli"),
            (Language::English, "regulations", "regulation"),
        ];
        for (language, one, other) in cases {
            assert_eq!(stem(language, one), stem(language, other), "{one}, {other}");
        }
    }

    #[test]
    fn every_language_has_its_stemmer() {
        for &language in Language::ALL {
            assert_eq!(Stems::of(language).0.len(), 1, "{language}");
        }
        assert!(Stems::of(Language::Undetermined).stem(&words("Wort")[0]).is_empty());
    }

    #[test]
    fn a_query_of_unknown_language_has_the_stems_of_all() {
        let stems = Stems::for_query(Language::Undetermined).stem(&words("Kündigungen")[0]);
        assert!(stems.contains(&stem(Language::German, "Kündigung")), "{stems:?}");
    }

    #[test]
    fn numbers_are_not_stemmed() {
        assert!(Stems::of(Language::German).stem(&words("5a")[0]).is_empty());
    }
}
