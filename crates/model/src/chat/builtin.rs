//! Conversation formats known without a template.

use fontes_core::Role;

use super::{ChatOptions, Part, Turn};
use crate::tokenizer::TextTokenizer;

/// What Apertus is told it is when nobody says otherwise (its own template does the same, with a date).
const APERTUS_SYSTEM: &str = "You are Apertus, a helpful assistant created by the SwissAI initiative.";

/// A conversation format, recognised by the control tokens of the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Apertus v1 and v1.5: no line breaks between blocks, and a developer block that turns thinking on or off.
    Apertus,
    /// ChatML: Qwen, SmolLM, many others.
    ChatMl,
    /// Llama 3.
    Llama3,
    /// Gemma 2 and 3: no system role.
    Gemma,
    /// Mistral: no system role.
    Mistral,
    /// Role names and colons, for base models that know no conversation.
    Plain,
}

impl Builtin {
    /// The format whose control tokens `tokenizer` has.
    pub fn of(tokenizer: &TextTokenizer) -> Self {
        [
            ("<|assistant_start|>", Self::Apertus),
            ("<|im_start|>", Self::ChatMl),
            ("<|start_header_id|>", Self::Llama3),
            ("<start_of_turn>", Self::Gemma),
            ("[INST]", Self::Mistral),
        ]
        .into_iter()
        .find(|(token, _)| tokenizer.control(token).is_some())
        .map_or(Self::Plain, |(_, format)| format)
    }

    pub(super) fn render(self, turns: &[Turn], options: ChatOptions) -> Vec<Part> {
        let mut parts = Vec::new();
        match self {
            Self::Apertus => apertus(&mut parts, turns, options),
            Self::ChatMl => blocks(&mut parts, turns, ["<|im_start|>", "\n", "<|im_end|>\n"], "assistant"),
            Self::Llama3 => {
                let around = ["<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"];
                blocks(&mut parts, turns, around, "assistant");
            }
            Self::Gemma => {
                let around = ["<start_of_turn>", "\n", "<end_of_turn>\n"];
                blocks(&mut parts, &without_system(turns), around, "model");
            }
            Self::Mistral => mistral(&mut parts, &without_system(turns)),
            Self::Plain => plain(&mut parts, turns),
        }
        parts
    }
}

fn literal(parts: &mut Vec<Part>, text: impl Into<String>) {
    parts.push(Part::Literal(text.into()));
}

fn contents(parts: &mut Vec<Part>, turn: &Turn) {
    for (place, &message) in turn.contents.iter().enumerate() {
        if place > 0 {
            literal(parts, "\n\n");
        }
        parts.push(Part::Content(message));
    }
}

fn apertus(parts: &mut Vec<Part>, turns: &[Turn], options: ChatOptions) {
    let (system, rest): (Vec<&Turn>, Vec<&Turn>) = turns.iter().partition(|turn| turn.role == Role::System);
    literal(parts, "<s><|system_start|>");
    if system.is_empty() {
        literal(parts, APERTUS_SYSTEM);
    }
    for (place, turn) in system.into_iter().enumerate() {
        if place > 0 {
            literal(parts, "\n\n");
        }
        contents(parts, turn);
    }
    let thinking = if options.thinking { "enabled" } else { "disabled" };
    let developer = format!("Deliberation: {thinking}\nTool Capabilities: disabled");
    literal(parts, format!("<|system_end|><|developer_start|>{developer}<|developer_end|>"));
    for turn in rest {
        let name = if turn.role == Role::Assistant { "assistant" } else { "user" };
        literal(parts, format!("<|{name}_start|>"));
        contents(parts, turn);
        literal(parts, format!("<|{name}_end|>"));
    }
    literal(parts, "<|assistant_start|>");
}

/// Turns between an opening, a role name, a separator and a closing.
fn blocks(parts: &mut Vec<Part>, turns: &[Turn], [open, after_name, close]: [&str; 3], assistant: &str) {
    for turn in turns {
        let name = match turn.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => assistant,
        };
        literal(parts, format!("{open}{name}{after_name}"));
        contents(parts, turn);
        literal(parts, close);
    }
    literal(parts, format!("{open}{assistant}{after_name}"));
}

fn mistral(parts: &mut Vec<Part>, turns: &[Turn]) {
    for turn in turns {
        if turn.role == Role::Assistant {
            contents(parts, turn);
            literal(parts, "</s>");
        } else {
            literal(parts, "[INST] ");
            contents(parts, turn);
            literal(parts, "[/INST]");
        }
    }
}

fn plain(parts: &mut Vec<Part>, turns: &[Turn]) {
    for turn in turns {
        literal(
            parts,
            match turn.role {
                Role::System => "",
                Role::User => "Question: ",
                Role::Assistant => "Answer: ",
            },
        );
        contents(parts, turn);
        literal(parts, "\n\n");
    }
    literal(parts, "Answer:");
}

fn without_system(turns: &[Turn]) -> Vec<Turn> {
    super::merge_system(turns).unwrap_or_else(|| {
        let copy = |turn: &Turn| Turn { role: turn.role, contents: turn.contents.clone() };
        turns.iter().map(copy).collect()
    })
}
