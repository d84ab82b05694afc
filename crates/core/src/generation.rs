//! What is asked of a generator and what it gives back.

use serde::{Deserialize, Serialize};

use crate::{Digest, DocumentId, TokenUsage};

/// A token id of some model's vocabulary.
pub type TokenId = u32;

/// Number of a passage in a prompt, from 0; attention is attributed to these.
pub type PassageNumber = usize;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator.
    System,
    /// The person who asks, and the passages given along.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message. All segment text is untrusted: it is encoded without special-token recognition, so
/// nothing in it can become a control token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The text.
    pub text: String,
    /// The passage this segment is, for attention attribution.
    pub passage: Option<PassageNumber>,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Segment>,
}

impl Message {
    /// Makes a message of one plain segment.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Segment { text: text.into(), passage: None }] }
    }
}

/// How tokens are chosen. The defaults are greedy: the same question gives the same answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy; above, logits are divided by it.
    pub temperature: f32,
    /// Keep the `top_k` most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set whose probability reaches this; 1 keeps all (Holtzman et al. 2020).
    pub top_p: f32,
    /// Drop tokens less likely than this share of the most likely one; 0 keeps all (arXiv 2407.01082).
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens; 1 is off (CTRL, arXiv 1909.05858).
    pub repetition_penalty: f32,
    /// Seed of the generator's own random numbers.
    pub seed: u64,
}

impl Sampling {
    /// Temperatures that a request may have: above, hardly a word fits the next.
    pub const TEMPERATURES: std::ops::RangeInclusive<f32> = 0.0..=2.0;
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
    }
}

/// Whose prompt this is and where its passages come from. It decides what a generator may keep of the work of reading
/// the prompt, who profits from it, and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptOrigin<'a> {
    /// Digest of the scope of whoever asks ([`crate::AccessScope::digest`]). What holds passages or questions is kept
    /// for that scope alone.
    pub scope: Digest,
    /// The document of each passage, by [`PassageNumber`]. Forgetting one ends everything computed from it.
    pub documents: &'a [DocumentId],
}

/// A request for text.
pub struct GenerationRequest<'a> {
    /// The conversation, oldest first.
    pub messages: &'a [Message],
    /// How tokens are chosen.
    pub sampling: &'a Sampling,
    /// At most this many new tokens.
    pub max_tokens: usize,
    /// Strings that end the text; they are not part of it.
    pub stop: &'a [String],
    /// Narrows what may come next.
    pub mask: Option<&'a mut dyn LogitMask>,
    /// Record attention mass per passage.
    pub attention: bool,
    /// Whose it is; `None` keeps nothing beyond the operator's own words.
    pub origin: Option<PromptOrigin<'a>>,
}

/// Read access to a vocabulary, for masks.
pub trait Vocabulary {
    /// Number of ids.
    fn len(&self) -> usize;

    /// Says whether there is no id at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes a token adds to the text; `None` for control tokens and unused ids.
    fn token_bytes(&self, token: TokenId) -> Option<&[u8]>;

    /// Encodes plain text without special tokens.
    fn encode(&self, text: &str) -> Vec<TokenId>;

    /// Ids that end the model's turn.
    fn end_tokens(&self) -> &[TokenId];
}

/// What a mask may look at before the next token is chosen.
pub struct DecodeStep<'a> {
    /// Tokens generated so far.
    pub tokens: &'a [TokenId],
    /// Their text, complete characters only.
    pub text: &'a str,
    /// The vocabulary.
    pub vocabulary: &'a dyn Vocabulary,
}

/// Narrows the next token: sets the logits of forbidden tokens to negative infinity.
pub trait LogitMask {
    /// Called once per generated token, before sampling. `logits` has one entry per vocabulary id.
    /// A mask that forbids everything ends the text.
    fn apply(&mut self, step: &DecodeStep<'_>, logits: &mut [f32]);
}

/// Why the text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn, or a stop string came.
    Stop,
    /// The token budget or the context is used up.
    Length,
    /// The text went in circles and was cut before the circle.
    Repetition,
    /// The caller asked to stop.
    Cancelled,
}

/// Attention of one generated token: mass per passage, averaged over heads, per group of layers.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenAttention {
    /// Byte offset in the generated text where the token begins.
    pub offset: usize,
    /// `[layer_group][passage]`, each the share of attention in 0..=1.
    pub mass: Vec<Vec<f32>>,
}

/// Generated text and its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The text without control tokens or stop strings.
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens read and written.
    pub tokens: TokenUsage,
    /// Natural-log probability of each generated token under the unmasked, untempered distribution.
    pub logprobs: Vec<f32>,
    /// Attention per generated token, when asked for and available.
    pub attention: Vec<TokenAttention>,
    /// Milliseconds spent reading the prompt.
    pub prefill_ms: f64,
    /// Milliseconds from the call to the first token.
    pub first_token_ms: f64,
    /// Milliseconds from the call to the end.
    pub total_ms: f64,
}
