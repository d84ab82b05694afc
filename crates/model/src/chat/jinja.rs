//! A checkpoint's Jinja template, rendered under limits.

use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::{ChatError, ChatOptions, Part, Turn, python};
use crate::tokenizer::TextTokenizer;
use fontes_core::{Digest, Role};

/// Instructions a template may run. The longest published one uses a few hundred per message.
const FUEL: u64 = 2_000_000;
/// Nested calls a template may make.
const RECURSION: usize = 64;
/// Longest template source: the largest published one is below 40 kB, and the engine counts lines and columns in
/// sixteen bits.
const MAX_SOURCE: usize = (1 << 16) - 1;
const NAME: &str = "chat";

/// A compiled template with the names of the tokens it may write.
pub struct Template {
    environment: Environment<'static>,
    digest: Digest,
    begin: String,
    end: String,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("digest", &self.digest).finish()
    }
}

impl Template {
    /// Compiles `source` for the vocabulary of `tokenizer`. White space around blocks is treated as the
    /// reference implementation does (`trim_blocks` and `lstrip_blocks`, transformers `chat_template_utils`).
    ///
    /// # Errors
    /// [`ChatError::Syntax`].
    pub fn compile(source: &str, tokenizer: &TextTokenizer) -> Result<Self, ChatError> {
        if source.len() > MAX_SOURCE {
            let detail = format!("template of {} bytes", source.len());
            return Err(ChatError::Syntax(minijinja::Error::new(minijinja::ErrorKind::SyntaxError, detail)));
        }
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        python::install(&mut environment);
        environment.add_template_owned(NAME, without_generation_marks(source)).map_err(ChatError::Syntax)?;
        let text = |id: Option<_>| id.and_then(|id| tokenizer.control_text(id)).unwrap_or_default().to_owned();
        let end = fontes_core::Vocabulary::end_tokens(tokenizer).first().copied();
        Ok(Self {
            environment,
            digest: Digest::of(source.as_bytes()),
            begin: text(tokenizer.begin_token()),
            end: text(end),
        })
    }

    pub(super) fn render(&self, turns: &[Turn], options: ChatOptions) -> Result<Vec<Part>, ChatError> {
        let placeholders = Placeholders::new(self.digest);
        let messages: Vec<Value> = turns
            .iter()
            .map(|turn| {
                let role = match turn.role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                };
                context! { role, content => placeholders.content(turn) }
            })
            .collect();
        let template = self.environment.get_template(NAME).map_err(ChatError::Render)?;
        let now = options.now;
        let clock = now.map(|now| Value::from_function(move |format: &str| python::strftime(now, format)));
        let text = template
            .render(context! {
                messages,
                bos_token => self.begin,
                eos_token => self.end,
                add_generation_prompt => true,
                enable_thinking => options.thinking,
                strftime_now => clock.unwrap_or(Value::UNDEFINED),
                tools => Value::from(()),
            })
            .map_err(ChatError::Render)?;
        placeholders.split(&text, turns)
    }
}

/// Strings that stand for contents while a template runs. They are plain words, so that a template may trim,
/// quote or test them; they are unlike anything a template itself writes.
struct Placeholders {
    mark: String,
}

impl Placeholders {
    fn new(template: Digest) -> Self {
        let digest = Digest::of(format!("fontes placeholder {template}").as_bytes()).to_string();
        Self { mark: format!("FONTES{}", &digest[..24]) }
    }

    fn one(&self, message: usize) -> String {
        format!("{}N{message}E", self.mark)
    }

    fn content(&self, turn: &Turn) -> String {
        turn.contents.iter().map(|&message| self.one(message)).collect::<Vec<_>>().join("\n\n")
    }

    fn split(&self, text: &str, turns: &[Turn]) -> Result<Vec<Part>, ChatError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(&self.mark) {
            let number = rest[at + self.mark.len()..].strip_prefix('N').and_then(|tail| tail.split_once('E'));
            let message = number.and_then(|(digits, _)| digits.parse().ok());
            let known = message.filter(|message| turns.iter().any(|turn| turn.contents.contains(message)));
            let Some(message) = known else { return Err(ChatError::Dropped { message: 0 }) };
            parts.push(Part::Literal(rest[..at].to_owned()));
            parts.push(Part::Content(message));
            rest = &rest[at + self.one(message).len()..];
        }
        parts.push(Part::Literal(rest.to_owned()));
        for &message in turns.iter().flat_map(|turn| &turn.contents) {
            if !parts.contains(&Part::Content(message)) {
                return Err(ChatError::Dropped { message: message + 1 });
            }
        }
        Ok(parts)
    }
}

/// Training templates mark the assistant's words with a block of their own, which writes nothing.
fn without_generation_marks(source: &str) -> String {
    let mut text = source.to_owned();
    for name in ["generation", "endgeneration"] {
        for (open, close) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
            text =
                text.replace(&format!("{open} {name} {close}"), &format!("{open} if true {close}{open} endif {close}"));
        }
    }
    text
}
