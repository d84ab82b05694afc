//! A network with its tokenizer and conversation format.

use std::{ops::ControlFlow, time::Instant};

use fontes_core::{
    Cancel, DocumentId, Error, Generation, GenerationRequest, Generator, Message, ModelIdentity, Result, TokenId,
    Vocabulary as _,
};

use super::run::{Ask, Run};
use crate::{
    chat::{ChatFormat, ChatOptions, Prompt},
    decoder::Network,
    prefix::{PrefixCache, PrefixLimits},
    tokenizer::TextTokenizer,
};

/// The pairs of tokens between which models think, Apertus v1 first, then v1.5 and others.
const THINKING: [(&str, &str); 2] = [("<|inner_prefix|>", "<|inner_suffix|>"), ("<think>", "</think>")];

/// A generator that runs on this machine.
pub struct LocalGenerator {
    pub(super) network: Box<dyn Network>,
    pub(super) tokenizer: TextTokenizer,
    format: ChatFormat,
    chat: ChatOptions,
    identity: ModelIdentity,
    context_length: usize,
    /// Ids that are never chosen: control tokens and unused ids, less end tokens and the thinking pair.
    pub(super) forbidden: Vec<TokenId>,
    /// Opening and closing token of thoughts, when the model may think.
    pub(super) thinking: Option<(TokenId, TokenId)>,
    /// What is kept of earlier prompts.
    pub(super) prefix: Option<PrefixCache>,
    /// Whether tokens are drafted and verified together.
    pub(super) drafts: bool,
}

impl std::fmt::Debug for LocalGenerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalGenerator").field("identity", &self.identity).field("format", &self.format).finish()
    }
}

impl LocalGenerator {
    /// Joins the parts. The tokenizer must know its end tokens.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] when the tokenizer is not the network's.
    pub fn new(
        network: Box<dyn Network>,
        mut tokenizer: TextTokenizer,
        format: ChatFormat,
        chat: ChatOptions,
        identity: ModelIdentity,
    ) -> Result<Self> {
        tokenizer.fit(network.input_size(), network.output_size())?;
        let pair = |(open, close)| Some((tokenizer.control(open)?, tokenizer.control(close)?));
        let thinking = if chat.thinking { THINKING.into_iter().find_map(pair) } else { None };
        let ends = tokenizer.end_tokens();
        let allowed = |id: &TokenId| ends.contains(id) || thinking.is_some_and(|(a, b)| *id == a || *id == b);
        let forbidden =
            (0..).take(tokenizer.len()).filter(|&id| tokenizer.token_bytes(id).is_none() && !allowed(&id)).collect();
        let context_length = network.context_length();
        Ok(Self {
            network,
            tokenizer,
            format,
            chat,
            identity,
            context_length,
            forbidden,
            thinking,
            prefix: None,
            drafts: false,
        })
    }

    /// Uses at most `tokens` of the network's context, for machines with little memory.
    #[must_use]
    pub fn with_context_limit(mut self, tokens: usize) -> Self {
        self.context_length = self.context_length.min(tokens);
        self
    }

    /// Keeps the beginnings of prompts, so that they are not read again. Answers stay the same.
    #[must_use]
    pub fn with_prefix_cache(mut self, limits: &PrefixLimits) -> Self {
        self.prefix = Some(PrefixCache::new(self.identity.sha256, limits));
        self
    }

    /// Drafts tokens from the text so far and verifies several in one pass. Answers stay the same.
    #[must_use]
    pub fn with_drafts(mut self, drafts: bool) -> Self {
        self.drafts = drafts;
        self
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Writes a conversation as the network will read it.
    ///
    /// # Errors
    /// Those of [`crate::chat::ChatError`].
    pub fn prompt(&self, messages: &[Message]) -> Result<Prompt> {
        Ok(self.format.prompt(&self.tokenizer, messages, self.chat)?)
    }
}

impl Generator for LocalGenerator {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokenizer.encode_text(text).len()
    }

    fn generate(
        &self,
        request: GenerationRequest<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &Cancel,
    ) -> Result<Generation> {
        let began = Instant::now();
        let GenerationRequest { messages, sampling, max_tokens, stop, mask, attention, origin } = request;
        let prompt = self.prompt(messages)?;
        if prompt.tokens.len() >= self.context_length {
            let (length, most) = (prompt.tokens.len(), self.context_length);
            let message = format!("prompt of {length} tokens does not fit the context of {most} with room to answer");
            return Err(Error::invalid(message).advise("give fewer passages, or choose a model with a longer context"));
        }
        let budget = max_tokens.min(self.context_length - prompt.tokens.len());
        let ask = Ask { sampling, stop, attention, origin, prompt, budget, began };
        Run::new(self, ask)?.finish(mask, on_text, cancel)
    }

    fn forget(&self, documents: &[DocumentId]) -> Result<()> {
        self.prefix.as_ref().map_or(Ok(()), |cache| cache.forget(documents))
    }
}
