//! One request under way.

use std::{
    ops::{ControlFlow, Range},
    time::Instant,
};

use fontes_core::{
    Cancel, DecodeStep, Error, FinishReason, Generation, LogitMask, PromptOrigin, Result, Sampling, TokenAttention,
    TokenId, TokenUsage, Vocabulary as _,
};

use super::{
    LocalGenerator,
    lookahead::Lookahead,
    outlet::Outlet,
    repetition::Repetition,
    sampler::{Sampler, log_sum_exp},
};
use crate::{
    chat::Prompt,
    decoder::{Logits, Session},
    tokenizer::Detokenizer,
};

/// Tokens of the prompt read between two looks at the cancel flag: large enough for full speed, and a second
/// or so of work for a small model on two cores.
const PREFILL_CHUNK: usize = 256;

/// A generated token and where its text begins.
struct Written {
    offset: usize,
    logprob: f32,
    mass: Vec<Vec<f32>>,
}

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) sampling: &'a Sampling,
    pub(super) stop: &'a [String],
    pub(super) attention: bool,
    pub(super) origin: Option<PromptOrigin<'a>>,
    pub(super) prompt: Prompt,
    /// New tokens at most; prompt and budget fit the context.
    pub(super) budget: usize,
    pub(super) began: Instant,
}

/// State of one request.
pub(super) struct Run<'a> {
    generator: &'a LocalGenerator,
    prompt: Prompt,
    budget: usize,
    began: Instant,
    sampler: Sampler<'a>,
    outlet: Outlet<'a>,
    detokenizer: Detokenizer,
    repetition: Repetition,
    attention: bool,
    origin: Option<PromptOrigin<'a>>,
    /// Tokens of the prompt that were not read again.
    reused: usize,
    /// Chosen tokens that the session has read, thoughts included.
    chosen: Vec<TokenId>,
    /// Tokens of the text, without thoughts.
    visible: Vec<TokenId>,
    written: Vec<Written>,
    /// Where the text stood at each generated token, thoughts included.
    offsets: Vec<usize>,
    in_thought: bool,
}

/// What one step led to.
enum Step {
    On(TokenId),
    Ended(FinishReason),
}

impl<'a> Run<'a> {
    pub(super) fn new(generator: &'a LocalGenerator, ask: Ask<'a>) -> Result<Self> {
        let last_control = ask.prompt.tokens.iter().rev().find(|&&id| generator.tokenizer.is_control(id));
        let in_thought = generator.thinking.is_some_and(|(open, _)| last_control == Some(&open));
        Ok(Self {
            generator,
            sampler: Sampler::new(ask.sampling)?,
            outlet: Outlet::new(ask.stop),
            prompt: ask.prompt,
            budget: ask.budget,
            began: ask.began,
            attention: ask.attention,
            origin: ask.origin,
            reused: 0,
            chosen: Vec::new(),
            detokenizer: Detokenizer::default(),
            repetition: Repetition::new(),
            visible: Vec::new(),
            written: Vec::new(),
            offsets: Vec::new(),
            in_thought,
        })
    }

    /// Reads the prompt, writes the text, tells what happened.
    pub(super) fn finish(
        mut self,
        mut mask: Option<&mut dyn LogitMask>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &Cancel,
    ) -> Result<Generation> {
        let capacity = self.prompt.tokens.len() + self.budget;
        let mut session = self.generator.network.session(capacity)?;
        if let Some(cache) = &self.generator.prefix {
            self.reused = cache.restore(&self.prompt, self.origin, &mut *session);
        }
        let logits = self.prefill(&mut *session, cancel)?;
        let prefill_ms = self.elapsed_ms();
        let mut first_token_ms = None;
        let finish = match logits {
            None => FinishReason::Cancelled,
            Some(logits) => {
                // Attention is recorded for the last token of a pass only: with it, tokens are read one by one.
                let drafts = self.generator.drafts && !self.attention;
                let mut ahead = Lookahead::new(&mut *session, capacity, &self.prompt.tokens, logits, drafts);
                let finish = self.write_text(&mut ahead, &mut mask, on_text, cancel, &mut first_token_ms)?;
                ahead.drop_rest();
                finish
            }
        };
        if let Some(cache) = &self.generator.prefix {
            let tokens = [&self.prompt.tokens[..], &self.chosen].concat();
            cache.keep(&self.prompt, &tokens, self.origin, &*session)?;
        }
        drop(session);
        let rest = self.outlet.finish();
        if !rest.is_empty() {
            // The text has ended either way: a wish to stop changes nothing any more.
            let _ = on_text(rest);
        }
        let total_ms = self.elapsed_ms();
        Ok(self.record(finish, prefill_ms, first_token_ms.unwrap_or(total_ms), total_ms))
    }

    /// Chooses tokens until the text has ended.
    fn write_text(
        &mut self,
        ahead: &mut Lookahead<'_>,
        mask: &mut Option<&mut dyn LogitMask>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &Cancel,
        first_token_ms: &mut Option<f64>,
    ) -> Result<FinishReason> {
        loop {
            if cancel.is_cancelled() {
                return Ok(FinishReason::Cancelled);
            }
            if self.offsets.len() >= self.budget {
                return Ok(FinishReason::Length);
            }
            let step = self.step(ahead, mask)?;
            first_token_ms.get_or_insert_with(|| self.elapsed_ms());
            let text = self.outlet.release();
            if !text.is_empty() && on_text(text).is_break() {
                return Ok(FinishReason::Cancelled);
            }
            match step {
                Step::Ended(reason) => return Ok(reason),
                Step::On(token) if self.offsets.len() < self.budget => {
                    ahead.choose(token)?;
                    self.chosen.push(token);
                }
                Step::On(_) => {}
            }
        }
    }

    fn elapsed_ms(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1000.0
    }

    /// Feeds what the session does not hold of the prompt yet; the logits after it, or nothing when cancelled.
    fn prefill(&self, session: &mut dyn Session, cancel: &Cancel) -> Result<Option<Vec<f32>>> {
        let mut chunks = self.prompt.tokens[session.len()..].chunks(PREFILL_CHUNK).peekable();
        while let Some(chunk) = chunks.next() {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            if chunks.peek().is_some() {
                session.forward(chunk, Logits::None)?;
                continue;
            }
            if self.attention {
                let ranges: Vec<Range<usize>> = self.prompt.passages.iter().map(|(_, range)| range.clone()).collect();
                session.observe(&ranges);
            }
            return session.forward(chunk, Logits::Last).map(Some);
        }
        Ok(None)
    }

    /// Chooses one token and adds its text.
    fn step(&mut self, ahead: &Lookahead<'_>, mask: &mut Option<&mut dyn LogitMask>) -> Result<Step> {
        let logits = ahead.logits();
        let tokenizer = &self.generator.tokenizer;
        if logits.len() != tokenizer.len() {
            return Err(Error::internal(format!("{} logits for {} ids", logits.len(), tokenizer.len())));
        }
        let normaliser = log_sum_exp(logits);
        if !normaliser.is_finite() {
            return Err(Error::corrupt("the network gives logits that are not numbers")
                .advise("verify the model's digest with `fontes models verify`"));
        }
        let mut narrowed = logits.to_vec();
        for &id in &self.generator.forbidden {
            narrowed[id as usize] = f32::NEG_INFINITY;
        }
        if let (Some(mask), false) = (mask.as_mut(), self.in_thought) {
            let step = DecodeStep { tokens: &self.visible, text: self.outlet.text(), vocabulary: tokenizer };
            mask.apply(&step, &mut narrowed);
        }
        let Some(token) = self.sampler.choose(&mut narrowed, &self.visible) else {
            return Ok(Step::Ended(FinishReason::Stop));
        };
        if tokenizer.end_tokens().contains(&token) {
            return Ok(Step::Ended(FinishReason::Stop));
        }
        let logprob = (f64::from(logits[token as usize]) - normaliser) as f32;
        Ok(self.write(token, logprob, ahead.session()))
    }

    fn write(&mut self, token: TokenId, logprob: f32, session: &dyn Session) -> Step {
        let offset = self.outlet.text().len();
        self.offsets.push(offset);
        let thinking = self.generator.thinking;
        let mut ended = false;
        if thinking.is_some_and(|(open, close)| token == open || token == close) {
            self.in_thought = thinking.is_some_and(|(open, _)| token == open);
        } else if !self.in_thought {
            self.visible.push(token);
            let mass = if self.attention { self.by_passage(&session.attention()) } else { Vec::new() };
            self.written.push(Written { offset, logprob, mass });
            let mut piece = String::new();
            let bytes = self.generator.tokenizer.token_bytes(token).unwrap_or_default();
            self.detokenizer.push(bytes, &mut piece);
            ended = self.outlet.push(&piece);
        }
        if ended {
            return Step::Ended(FinishReason::Stop);
        }
        if let Some(keep) = self.repetition.push(token) {
            let end = self.offsets.get(keep).copied().unwrap_or(offset);
            self.outlet.cut_before_circle(end);
            return Step::Ended(FinishReason::Repetition);
        }
        Step::On(token)
    }

    /// Adds up the ranges of each passage.
    fn by_passage(&self, groups: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let passages = self.prompt.passages.iter().map(|(passage, _)| passage + 1).max().unwrap_or(0);
        let sum = |group: &Vec<f32>| {
            let mut mass = vec![0.0; passages];
            for ((passage, _), share) in self.prompt.passages.iter().zip(group) {
                mass[*passage] += share;
            }
            mass
        };
        groups.iter().map(sum).collect()
    }

    fn record(self, finish: FinishReason, prefill_ms: f64, first_token_ms: f64, total_ms: f64) -> Generation {
        let lead = self.outlet.lead();
        let text = self.outlet.into_text();
        // Tokens whose text was cut off leave no record; one that begins in the white space before the text does.
        let kept: Vec<Written> =
            self.written.into_iter().take_while(|token| token.offset.saturating_sub(lead) < text.len()).collect();
        Generation {
            finish,
            tokens: TokenUsage { prompt: self.prompt.tokens.len(), generated: self.offsets.len(), reused: self.reused },
            logprobs: kept.iter().map(|token| token.logprob).collect(),
            attention: kept
                .into_iter()
                .filter(|token| !token.mass.is_empty())
                .map(|token| TokenAttention { offset: token.offset.saturating_sub(lead), mass: token.mass })
                .collect(),
            text,
            prefill_ms,
            first_token_ms,
            total_ms,
        }
    }
}
