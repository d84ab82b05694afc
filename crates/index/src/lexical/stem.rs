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

    /// The stemmers of several languages.
    pub(super) fn of_all(languages: &[Language]) -> Self {
        Self(languages.iter().filter_map(|&language| snowball(language)).map(analyzer).collect())
    }

    /// What stands for a word in the field of stems: its stems, or the word itself when it has none.
    pub(super) fn forms(&mut self, word: &Word) -> Vec<String> {
        let stems = self.stem(word);
        if stems.is_empty() { vec![word.plain().into_owned()] } else { stems }
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
    fn several_languages_stem_at_once() {
        let stems = Stems::of_all(&Language::WORKING).stem(&words("Kündigungen")[0]);
        assert!(stems.contains(&stem(Language::German, "Kündigung")), "{stems:?}");
    }

    #[test]
    fn numbers_are_not_stemmed() {
        assert!(Stems::of(Language::German).stem(&words("5a")[0]).is_empty());
        assert_eq!(Stems::of(Language::German).forms(&words("5a")[0]), ["5a"]);
        assert_eq!(Stems::of(Language::Undetermined).forms(&words("Müller")[0]), ["mueller"]);
    }
}
