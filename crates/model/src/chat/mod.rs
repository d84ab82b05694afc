//! Conversations as token ids: the checkpoint's own template, or a built-in one, around untrusted contents.
//!
//! A [`ChatFormat`] turns messages into a [`Prompt`]: ids, and which of them each passage became. The template
//! never sees what people and documents say. It is rendered with a placeholder for each message; the result is
//! cut at the placeholders, and the contents are put between the cuts as [`Piece::Text`], which cannot become
//! control tokens whatever it says, nor be read as template code.
//!
//! **Out of scope:** tools and images in messages; what to say in a system message.

mod builtin;
mod error;
mod jinja;
mod python;
#[cfg(test)]
mod tests;

use std::{ops::Range, time::SystemTime};

use fontes_core::{Message, PassageNumber, Role, TokenId};

pub use builtin::Builtin;
pub use error::ChatError;
pub use jinja::Template;

use crate::tokenizer::{Piece, TextTokenizer};

/// How a conversation is written for a model.
#[derive(Debug)]
pub enum ChatFormat {
    /// The checkpoint's own Jinja template.
    Template(Box<Template>),
    /// A format known here, for checkpoints that bring none.
    Builtin(Builtin),
}

/// What a conversation leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatOptions {
    /// Let the model think before it answers, where it can. Off by default: thinking costs a small machine
    /// minutes, and an answer with sources can be checked without it.
    pub thinking: bool,
    /// The date that templates may write into the prompt. Templates that insist on one fail without it.
    pub now: Option<SystemTime>,
}

/// A conversation ready to be read by a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The ids, beginning-of-sequence token included.
    pub tokens: Vec<TokenId>,
    /// Which ids are which passage, in the order of the text. A passage cut into several segments appears
    /// several times; the ranges never overlap.
    pub passages: Vec<(PassageNumber, Range<usize>)>,
    /// Leading ids that only the template and the system message decide: the same for everyone who asks.
    pub shared: usize,
}

/// A rendered conversation: what the template wrote, and where contents go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Text of the template.
    Literal(String),
    /// The content of a message, by its number.
    Content(usize),
}

/// A message as templates see it: a role and a placeholder.
struct Turn {
    role: Role,
    /// Numbers of the messages whose contents stand here, in order.
    contents: Vec<usize>,
}

impl ChatFormat {
    /// Writes `messages` and the opening of the model's turn.
    ///
    /// # Errors
    /// [`ChatError`]: no messages, or a template that fails or drops what was said.
    pub fn prompt(
        &self,
        tokenizer: &TextTokenizer,
        messages: &[Message],
        options: ChatOptions,
    ) -> Result<Prompt, ChatError> {
        if messages.is_empty() {
            return Err(ChatError::Empty);
        }
        let turns: Vec<Turn> =
            messages.iter().enumerate().map(|(at, message)| Turn { role: message.role, contents: vec![at] }).collect();
        let parts = match self {
            Self::Builtin(format) => format.render(&turns, options),
            Self::Template(template) => match template.render(&turns, options) {
                // Gemma and Mistral know no system role and say so by failing: the system's words then open
                // the first question.
                Err(first) => match merge_system(&turns) {
                    Some(merged) => template.render(&merged, options).map_err(|_| first)?,
                    None => return Err(first),
                },
                Ok(parts) => parts,
            },
        };
        Ok(encode(tokenizer, &parts, messages))
    }
}

/// Puts the contents of system messages before those of the first user message.
fn merge_system(turns: &[Turn]) -> Option<Vec<Turn>> {
    let (system, rest): (Vec<&Turn>, Vec<&Turn>) = turns.iter().partition(|turn| turn.role == Role::System);
    let first_user = rest.iter().position(|turn| turn.role == Role::User)?;
    if system.is_empty() {
        return None;
    }
    let merged = rest.iter().enumerate().map(|(at, turn)| {
        let mut contents: Vec<usize> = Vec::new();
        if at == first_user {
            contents.extend(system.iter().flat_map(|turn| &turn.contents));
        }
        contents.extend(&turn.contents);
        Turn { role: turn.role, contents }
    });
    Some(merged.collect())
}

fn encode(tokenizer: &TextTokenizer, parts: &[Part], messages: &[Message]) -> Prompt {
    let mut pieces = Vec::new();
    let mut owners = Vec::new();
    let mut personal = Vec::new();
    for part in parts {
        match part {
            Part::Literal(text) => {
                pieces.push(Piece::Template(text));
                owners.push(None);
                personal.push(false);
            }
            Part::Content(message) => {
                for segment in &messages[*message].content {
                    pieces.push(Piece::Text(&segment.text));
                    owners.push(segment.passage);
                    personal.push(messages[*message].role != Role::System || segment.passage.is_some());
                }
            }
        }
    }
    let (mut tokens, ranges) = tokenizer.encode_pieces(&pieces);
    let first = personal.iter().zip(&ranges).find(|&(&personal, range)| personal && range.start < range.end);
    let shared = first.map_or(tokens.len(), |(_, range)| range.start);
    let mut passages: Vec<(PassageNumber, Range<usize>)> =
        owners.into_iter().zip(ranges).filter_map(|(owner, range)| Some((owner?, range))).collect();
    passages.retain(|(_, range)| range.start < range.end);
    let surplus = begin_once(tokenizer, &mut tokens);
    for (_, range) in &mut passages {
        *range = range.start.saturating_add_signed(surplus)..range.end.saturating_add_signed(surplus);
    }
    Prompt { tokens, passages, shared: shared.saturating_add_signed(surplus) }
}

/// Makes the prompt of a model that wants a beginning-of-sequence token begin with exactly one: templates differ
/// in whether they write it, and some models answer nonsense without it or with two. Returns the shift.
fn begin_once(tokenizer: &TextTokenizer, tokens: &mut Vec<TokenId>) -> isize {
    let Some(begin) = tokenizer.begin_token().filter(|_| tokenizer.always_begins()) else { return 0 };
    let present = tokens.iter().take_while(|&&token| token == begin).count();
    if present == 0 {
        tokens.insert(0, begin);
        return 1;
    }
    tokens.drain(..present - 1);
    1 - isize::try_from(present).unwrap_or(1)
}
