//! Raw logits for given token ids: the diagnosis that needs no tokenizer.

use fontes_core::{Clock, Result, TokenId};
use serde::Serialize;

use super::{DecoderError, Logits, Network};

/// What a probe measured; the fields are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// Logits of the last given id.
    pub last_logits: Vec<f32>,
    /// The most likely next id after each given id.
    pub argmax_per_position: Vec<TokenId>,
    /// The greedy continuation.
    pub greedy: Vec<TokenId>,
    /// Speeds.
    pub tokens_per_second: Speeds,
}

/// Tokens per second of the two phases; 0 where nothing was run or the clock did not move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Speeds {
    /// Reading the given ids.
    pub prefill: f64,
    /// Continuing one by one.
    pub decode: f64,
}

/// Reads `ids` at once and continues greedily for `greedy` tokens. Among equal logits the lowest id wins.
///
/// # Errors
/// [`fontes_core::ErrorKind::Invalid`] for no ids, unknown ids or a sequence past the context;
/// [`fontes_core::ErrorKind::Corrupt`] when the logits are no numbers.
pub fn probe(network: &dyn Network, ids: &[TokenId], greedy: usize, clock: &dyn Clock) -> Result<Probe> {
    if ids.is_empty() {
        return Err(fontes_core::Error::invalid("a probe needs at least one token id").advise("give --ids 1,2,3"));
    }
    let tokens = ids.len().saturating_add(greedy);
    if tokens > network.context_length() {
        return Err(DecoderError::TooLong { tokens, what: "context", limit: network.context_length() }.into());
    }
    let mut session = network.session(tokens)?;
    let begin = clock.now();
    let logits = session.forward(ids, Logits::All)?;
    let read = clock.now();
    let argmax_per_position: Vec<_> = logits.chunks(network.output_size()).map(argmax).collect();
    let last_logits = logits[logits.len() - network.output_size()..].to_vec();
    let mut continuation = Vec::with_capacity(greedy);
    let mut next = argmax(&last_logits);
    for step in 0..greedy {
        continuation.push(next);
        if step + 1 < greedy {
            next = argmax(&session.forward(&[next], Logits::Last)?);
        }
    }
    let end = clock.now();
    let speed = |tokens: usize, from, to: std::time::SystemTime| {
        let seconds = to.duration_since(from).map_or(0.0, |elapsed| elapsed.as_secs_f64());
        if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 }
    };
    let tokens_per_second =
        Speeds { prefill: speed(ids.len(), begin, read), decode: speed(greedy.saturating_sub(1), read, end) };
    Ok(Probe { last_logits, argmax_per_position, greedy: continuation, tokens_per_second })
}

/// The id with the largest logit, the lowest among equals.
fn argmax(logits: &[f32]) -> TokenId {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    best as TokenId
}
