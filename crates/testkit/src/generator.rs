//! A generator that says what it was told to say, and remembers what it was asked.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use fontes_core::{
    Cancel, Digest, Error, FinishReason, Generation, GenerationRequest, Generator, Message, ModelIdentity, Result,
    Sampling, TokenAttention, TokenUsage,
};

/// One request as a [`ScriptedGenerator`] saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// The conversation.
    pub messages: Vec<Message>,
    /// How tokens were to be chosen.
    pub sampling: Sampling,
    /// The budget.
    pub max_tokens: usize,
    /// Strings that end the text.
    pub stop: Vec<String>,
    /// Whether a mask came along. It is not applied: there is no vocabulary.
    pub masked: bool,
    /// Whether attention was asked for.
    pub attention: bool,
}

impl RecordedRequest {
    /// All the text of the conversation, one line per segment.
    pub fn prompt(&self) -> String {
        let segments = self.messages.iter().flat_map(|message| &message.content);
        segments.map(|segment| segment.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// Answers each request with the next text of its script, word by word; a token is a word with the white
/// space that follows it. Keeps the contract on budget, stop strings, context length and cancellation.
#[derive(Debug)]
pub struct ScriptedGenerator {
    identity: ModelIdentity,
    context_length: usize,
    script: Mutex<VecDeque<String>>,
    requests: Mutex<Vec<RecordedRequest>>,
    attention: Vec<TokenAttention>,
}

impl ScriptedGenerator {
    /// Makes a generator that answers with `texts`, in order. One request more is an error.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self {
            identity: ModelIdentity { name: "scripted".into(), sha256: Digest::of(b"scripted") },
            context_length: 8_192,
            script: Mutex::new(texts.into_iter().map(Into::into).collect()),
            requests: Mutex::new(Vec::new()),
            attention: Vec::new(),
        }
    }

    /// Sets the longest prompt plus answer, in words.
    #[must_use]
    pub fn with_context_length(self, context_length: usize) -> Self {
        Self { context_length, ..self }
    }

    /// Gives `attention` with every answer to a request that asks for it.
    #[must_use]
    pub fn with_attention(self, attention: Vec<TokenAttention>) -> Self {
        Self { attention, ..self }
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Generator for ScriptedGenerator {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn generate(
        &self,
        request: GenerationRequest<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &Cancel,
    ) -> Result<Generation> {
        let recorded = RecordedRequest {
            messages: request.messages.to_vec(),
            sampling: request.sampling.clone(),
            max_tokens: request.max_tokens,
            stop: request.stop.to_vec(),
            masked: request.mask.is_some(),
            attention: request.attention,
        };
        let prompt = self.count_tokens(&recorded.prompt());
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        if prompt >= self.context_length {
            return Err(Error::invalid(format!("prompt of {prompt} tokens exceeds the context")));
        }
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let script = script.ok_or_else(|| Error::internal("scripted generator has no text left"))?;
        let stop = request.stop.iter().filter_map(|stop| script.find(stop.as_str())).min();
        let wanted = &script[..stop.unwrap_or(script.len())];

        let budget = request.max_tokens.min(self.context_length - prompt);
        let mut text = String::new();
        let mut generated = 0;
        let mut finish = FinishReason::Stop;
        for word in wanted.split_inclusive(char::is_whitespace) {
            if generated == budget {
                finish = FinishReason::Length;
                break;
            }
            if cancel.is_cancelled() {
                finish = FinishReason::Cancelled;
                break;
            }
            text.push_str(word);
            generated += 1;
            if on_text(word).is_break() {
                finish = FinishReason::Cancelled;
                break;
            }
        }
        Ok(Generation {
            text,
            finish,
            tokens: TokenUsage { prompt, generated, reused: 0 },
            logprobs: vec![-0.1; generated],
            attention: if request.attention { self.attention.clone() } else { Vec::new() },
            prefill_ms: 0.0,
            first_token_ms: 0.0,
            total_ms: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::Role;

    use super::*;

    fn ask(generator: &ScriptedGenerator, max_tokens: usize, stop: &[String], cancel: &Cancel) -> Result<Generation> {
        let messages = [Message::text(Role::User, "how long")];
        let request = GenerationRequest {
            messages: &messages,
            sampling: &Sampling::default(),
            max_tokens,
            stop,
            mask: None,
            attention: false,
            origin: None,
        };
        generator.generate(request, &mut |_| ControlFlow::Continue(()), cancel)
    }

    #[test]
    fn the_script_is_followed_and_requests_are_kept() {
        let generator = ScriptedGenerator::new(["three months [1]", "second"]);
        let first = ask(&generator, 100, &[], &Cancel::default()).unwrap();
        assert_eq!((first.text.as_str(), first.finish), ("three months [1]", FinishReason::Stop));
        assert_eq!(first.tokens, TokenUsage { prompt: 2, generated: 3, reused: 0 });
        assert_eq!(ask(&generator, 100, &[], &Cancel::default()).unwrap().text, "second");
        assert!(ask(&generator, 100, &[], &Cancel::default()).is_err(), "the script is over");
        assert_eq!(generator.requests().len(), 3);
        assert_eq!(generator.requests()[0].prompt(), "how long");
    }

    #[test]
    fn budget_stop_and_cancel_end_the_text() {
        let generator = ScriptedGenerator::new(["a b c", "a b STOP c", "a b c"]);
        let cut = ask(&generator, 2, &[], &Cancel::default()).unwrap();
        assert_eq!((cut.text.as_str(), cut.finish), ("a b ", FinishReason::Length));
        let stopped = ask(&generator, 9, &["STOP".into()], &Cancel::default()).unwrap();
        assert_eq!((stopped.text.as_str(), stopped.finish), ("a b ", FinishReason::Stop));
        let cancel = Cancel::default();
        cancel.cancel();
        assert_eq!(ask(&generator, 9, &[], &cancel).unwrap().finish, FinishReason::Cancelled);
    }

    #[test]
    fn a_prompt_that_does_not_fit_is_refused() {
        let generator = ScriptedGenerator::new(["text"]).with_context_length(2);
        let error = ask(&generator, 9, &[], &Cancel::default()).unwrap_err();
        assert_eq!(error.kind(), fontes_core::ErrorKind::Invalid);
    }
}
