//! Prompts: one template per language, packed under the generator's token budget.

use std::{collections::BTreeMap, path::Path};

use fontes_core::{Digest, Error, Generator, Language, Message, Result, Role, Segment};
use serde::Deserialize;

use crate::{
    clean::{for_header, for_prompt},
    marker::write_markers,
    source::Source,
};

/// The words of a prompt in one language.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    system: String,
    sources: String,
    question: String,
    closing: String,
    abstention: String,
    unsupported: String,
    page: String,
}

/// A template and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    words: Words,
    digest: Digest,
}

/// The templates of a site: German, French, Italian, English; any other language falls back to English, whose
/// template asks for an answer in the language of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts(BTreeMap<Language, Template>);

/// Room in the generator's context, in tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Kept free for the answer.
    pub(crate) answer: usize,
    /// At most this much for passages.
    pub(crate) passages: usize,
}

/// The templates compiled in.
const COMPILED: [(Language, &str); 4] = [
    (Language::German, include_str!("../../../config/prompts/de.toml")),
    (Language::French, include_str!("../../../config/prompts/fr.toml")),
    (Language::Italian, include_str!("../../../config/prompts/it.toml")),
    (Language::English, include_str!("../../../config/prompts/en.toml")),
];

impl Default for Prompts {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Prompts {
    /// The templates compiled in.
    pub fn built_in() -> Self {
        let template = |text| Template::parse(text).expect("the compiled templates are tested");
        Self(COMPILED.iter().map(|&(language, text)| (language, template(text))).collect())
    }

    /// Reads `de.toml`, `fr.toml`, `it.toml`, `en.toml` of a folder over the compiled ones; each may be absent.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] naming the file that cannot be read or is not a template.
    pub fn with_folder(folder: &Path) -> Result<Self> {
        let mut prompts = Self::default();
        for (language, _) in COMPILED {
            let path = folder.join(format!("{language}.toml"));
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(
                        Error::invalid(format!("prompt template {} cannot be read", path.display())).because(error)
                    );
                }
            };
            let template = Template::parse(&text).map_err(|error| {
                Error::invalid(format!("prompt template {} is malformed", path.display()))
                    .because(error)
                    .advise("compare it with the file of the same name in config/prompts")
            })?;
            prompts.0.insert(language, template);
        }
        Ok(prompts)
    }

    /// The template for a question in `language`.
    pub fn template(&self, language: Language) -> &Template {
        self.0.get(&language).or_else(|| self.0.get(&Language::English)).expect("English is always there")
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        Ok(Self { words: toml::from_str(text)?, digest: Digest::of(text.as_bytes()) })
    }

    /// Digest of the template's file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The sentence that says that the sources do not say.
    pub fn abstention(&self) -> &str {
        &self.words.abstention
    }

    /// What is added to a sentence that no source carries.
    pub fn unsupported(&self) -> &str {
        &self.words.unsupported
    }

    /// Packs the prompt: as many of `sources`, in order, as there is room for; the first that does not fit is
    /// shortened to whole sentences, the rest is removed from `sources`.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] when not even one sentence fits.
    pub(crate) fn pack(
        &self,
        question: &str,
        sources: &mut Vec<Source>,
        generator: &dyn Generator,
        room: Room,
    ) -> Result<Vec<Message>> {
        let question = self.words.question.replace("{question}", for_prompt(question).trim());
        let closing = |sources: &[Source]| {
            self.words.closing.replace("{markers}", &write_markers(sources.iter().map(Source::marker)))
        };
        let fixed: usize = [self.words.system.as_str(), &self.words.sources, &question, &closing(sources)]
            .iter()
            .map(|text| generator.count_tokens(text))
            .sum();
        let budget = generator.context_length().saturating_sub(room.answer + fixed + RESERVE).min(room.passages);
        self.fit(sources, generator, budget);
        if sources.is_empty() {
            return Err(Error::invalid("question and prompt leave no room for a passage in the generator's context")
                .advise("ask a shorter question, allow fewer tokens, or use a model with a longer context"));
        }
        let mut content = vec![plain_segment(format!("{}\n\n", self.words.sources))];
        content.extend(
            sources
                .iter()
                .enumerate()
                .map(|(number, source)| Segment { text: self.passage(source), passage: Some(number) }),
        );
        content.push(plain_segment(format!("{question}\n\n{}", closing(sources))));
        Ok(vec![Message::text(Role::System, self.words.system.trim()), Message { role: Role::User, content }])
    }

    fn fit(&self, sources: &mut Vec<Source>, generator: &dyn Generator, budget: usize) {
        let mut left = budget;
        let mut kept = 0;
        for source in sources.iter_mut() {
            let tokens = generator.count_tokens(&self.passage(source));
            if tokens <= left {
                left -= tokens;
                kept += 1;
                continue;
            }
            // Shorten in proportion, a little more each time, until it fits.
            let bytes = source.passage.hit.text.len();
            let fits = (1..=4).any(|attempt| {
                let share = left as f64 / tokens as f64 * (1.0 - 0.15 * f64::from(attempt));
                source.shorten((bytes as f64 * share) as usize) && generator.count_tokens(&self.passage(source)) <= left
            });
            kept += usize::from(fits);
            break;
        }
        sources.truncate(kept);
    }

    /// A passage between delimiters that its text cannot contain, under a line that says where it is from.
    fn passage(&self, source: &Source) -> String {
        let hit = &source.passage.hit;
        let mut place = vec![for_header(&source.summary.title, TITLE_CHARS)];
        place.extend(source.date().map(|date| for_header(date, DATE_CHARS)));
        if !hit.headings.is_empty() {
            place.push(for_header(&hit.headings.join(" › "), TITLE_CHARS));
        }
        place.extend(hit.pages.first().map(|page| format!("{} {page}", self.words.page)));
        let marker = source.marker();
        let text = for_prompt(&hit.text);
        format!("[{marker}] {}\n<passage>\n{}\n</passage>\n\n", place.join(" · "), text.trim())
    }
}

/// Tokens kept free for the chat template's own control tokens.
const RESERVE: usize = 48;

/// Longest title or heading path shown.
pub(crate) const TITLE_CHARS: usize = 120;

/// Length of an RFC 3339 date.
const DATE_CHARS: usize = 10;

fn plain_segment(text: String) -> Segment {
    Segment { text, passage: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_templates_are_whole() {
        let prompts = Prompts::default();
        for language in Language::WORKING {
            let template = prompts.template(language);
            assert!(template.words.question.contains("{question}"), "{language}");
            assert!(template.words.closing.contains("{markers}"), "{language}");
            assert!(template.words.system.contains(&template.words.abstention), "{language}: the model must know it");
            assert_eq!(Language::detect(&template.words.system), language);
        }
        assert_eq!(prompts.template(Language::Tamil), prompts.template(Language::English));
        assert_ne!(prompts.template(Language::German).digest(), prompts.template(Language::French).digest());
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = Template::parse("system = \"x\"\ncolour = \"red\"").unwrap_err();
        assert!(error.to_string().contains("colour"));
    }
}
