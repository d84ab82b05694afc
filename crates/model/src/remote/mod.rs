//! A generator that runs elsewhere: any server that speaks the OpenAI chat protocol (vLLM, SGLang, llama-server).
//!
//! A [`RemoteGenerator`] posts a conversation to one fixed address and reads the answer as it is written
//! (server-sent events). The address comes from the configuration and never changes: redirects and proxies
//! from the environment are not followed.
//!
//! **What a server cannot do for us.** It applies its own template to plain strings, so control tokens in
//! documents are made harmless before they are sent; masks and attention do not exist there, and callers that
//! depend on them check the text afterwards. Stop strings, commentary and circles are handled here as for
//! [`crate::generate::LocalGenerator`].
//!
//! **Out of scope:** tools, images, embeddings by server.

mod connection;
mod error;
mod event;
mod request;
#[cfg(test)]
mod tests;

use std::{
    ops::ControlFlow,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use fontes_core::{
    Cancel, Digest, FinishReason, Generation, GenerationRequest, Generator, ModelIdentity, Result, TokenUsage,
};

use self::{
    connection::{Connection, Incoming},
    event::Event,
};
use crate::generate::{Outlet, Repetition};

pub use error::RemoteError;

/// How often a waiting request looks at the cancel flag; well below the time one token takes.
const POLL: Duration = Duration::from_millis(20);

/// Where a server is and how patient to be with it.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// `http://host:port` or `https://host`, with or without `/v1`.
    pub base_url: String,
    /// The model's name on that server.
    pub model: String,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// Longest prompt plus answer the server was started with.
    pub context_length: usize,
    /// Longest wait for a connection. Five seconds: the server is on the same site.
    pub connect_timeout: Duration,
    /// Longest wait for the answer to begin. Two minutes: it may queue and read a long prompt first.
    pub first_token_timeout: Duration,
    /// Longest silence within the answer. Half a minute is far more than one token takes anywhere.
    pub read_timeout: Duration,
    /// Further attempts after 429, 5xx and failed connections, before anything was received. Three, with
    /// doubling pauses from half a second, ride out a restart of a load balancer but not of a model.
    pub retries: u32,
    /// The first pause; each next is twice as long.
    pub backoff: Duration,
}

impl RemoteOptions {
    /// The defaults for a server and a model.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>, context_length: usize) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            context_length,
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(120),
            read_timeout: Duration::from_secs(30),
            retries: 3,
            backoff: Duration::from_millis(500),
        }
    }
}

/// A generator behind an OpenAI-compatible server.
pub struct RemoteGenerator {
    connection: Connection,
    options: RemoteOptions,
    identity: ModelIdentity,
}

impl std::fmt::Debug for RemoteGenerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteGenerator").field("identity", &self.identity).finish()
    }
}

impl RemoteGenerator {
    /// Prepares a client; nothing is sent yet. The weights on a server are unknown: its identity is the model's
    /// name and the digest of that name.
    ///
    /// # Errors
    /// [`RemoteError::Address`].
    pub fn new(options: RemoteOptions) -> Result<Self, RemoteError> {
        let connection = Connection::new(&options)?;
        let identity = ModelIdentity { name: options.model.clone(), sha256: Digest::of(options.model.as_bytes()) };
        Ok(Self { connection, options, identity })
    }

    /// Sends until the answer begins, with pauses between attempts. `None` when cancelled.
    fn connect(&self, body: &str, cancel: &Cancel) -> Result<Option<(Receiver<Incoming>, Event)>, RemoteError> {
        let mut pause = self.options.backoff;
        for attempt in 0.. {
            let stream = self.connection.post(body.to_owned());
            let error = match receive(&stream, cancel) {
                None => return Ok(None),
                Some(Ok(event)) => return Ok(Some((stream, event))),
                Some(Err(error)) => error,
            };
            if attempt >= self.options.retries || !error.is_transient() {
                return Err(error);
            }
            if !wait(error.retry_after().unwrap_or(pause), cancel) {
                return Ok(None);
            }
            pause *= 2;
        }
        Ok(None)
    }
}

/// Waits for the next event, `None` when cancelled.
fn receive(stream: &Receiver<Incoming>, cancel: &Cancel) -> Option<Result<Event, RemoteError>> {
    loop {
        if cancel.is_cancelled() {
            return None;
        }
        match stream.recv_timeout(POLL) {
            Ok(incoming) => return Some(incoming),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Some(Err(RemoteError::CutOff)),
        }
    }
}

/// Sleeps in short pieces; false when cancelled.
fn wait(pause: Duration, cancel: &Cancel) -> bool {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if cancel.is_cancelled() {
            return false;
        }
        std::thread::sleep(POLL.min(pause));
    }
    true
}

/// The answer as it grows.
struct Answer<'a> {
    outlet: Outlet<'a>,
    repetition: Repetition,
    offsets: Vec<usize>,
    logprobs: Vec<f32>,
    usage: Option<TokenUsage>,
    finish: Option<FinishReason>,
}

impl Answer<'_> {
    /// Takes one event. True when the text has ended here, whatever the server still has to say.
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Begin | Event::Done => {}
            Event::Text { text, logprobs } => {
                self.logprobs.extend(logprobs);
                let offset = self.outlet.text().len();
                self.offsets.push(offset);
                if self.outlet.push(&text) {
                    self.finish = Some(FinishReason::Stop);
                    return true;
                }
                // A piece of the stream is a token; equal pieces are as good as equal ids.
                if let Some(keep) = self.repetition.push(piece_id(&text)) {
                    self.outlet.cut_before_circle(self.offsets.get(keep).copied().unwrap_or(offset));
                    self.finish = Some(FinishReason::Repetition);
                    return true;
                }
            }
        }
        false
    }
}

/// 32 bits of FNV-1a.
fn piece_id(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Generator for RemoteGenerator {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn context_length(&self) -> usize {
        self.options.context_length
    }

    fn count_tokens(&self, text: &str) -> usize {
        request::estimate_tokens(text)
    }

    /// As the trait says. `mask` and `attention` are left aside: no such server offers them.
    fn generate(
        &self,
        request: GenerationRequest<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &Cancel,
    ) -> Result<Generation> {
        let began = Instant::now();
        let elapsed = || began.elapsed().as_secs_f64() * 1000.0;
        let body = request::body(&self.options.model, &request);
        let mut answer = Answer {
            outlet: Outlet::new(request.stop),
            repetition: Repetition::new(),
            offsets: Vec::new(),
            logprobs: Vec::new(),
            usage: None,
            finish: None,
        };
        let mut first_ms = None;
        let mut next = self.connect(&body, cancel)?;
        let finish = loop {
            let Some((stream, event)) = next else { break FinishReason::Cancelled };
            if matches!(event, Event::Text { .. }) {
                first_ms.get_or_insert_with(elapsed);
            }
            let done = event == Event::Done;
            let ended = answer.take(event);
            let text = answer.outlet.release();
            if !text.is_empty() && on_text(text).is_break() {
                break FinishReason::Cancelled;
            }
            if done || ended {
                break answer.finish.ok_or(RemoteError::CutOff)?;
            }
            next = match receive(&stream, cancel) {
                None => None,
                // Some servers close the connection where others say that they are done.
                Some(Err(RemoteError::CutOff)) if answer.finish.is_some() => Some((stream, Event::Done)),
                Some(event) => Some((stream, event?)),
            };
        };
        let rest = answer.outlet.finish();
        if !rest.is_empty() {
            let _ = on_text(rest);
        }
        let estimate = TokenUsage {
            prompt: request.messages.iter().flat_map(|m| &m.content).map(|s| self.count_tokens(&s.text)).sum(),
            generated: answer.offsets.len(),
            reused: 0,
        };
        let (total_ms, text) = (elapsed(), answer.outlet.into_text());
        let first_token_ms = first_ms.unwrap_or(total_ms);
        Ok(Generation {
            text,
            finish,
            tokens: answer.usage.unwrap_or(estimate),
            logprobs: answer.logprobs,
            attention: Vec::new(),
            prefill_ms: first_token_ms,
            first_token_ms,
            total_ms,
        })
    }
}
