//! The book-keeping of a session, the same for every runner.
//!
//! An [`Engine`] knows how to run some tokens at some position and keeps their keys and values; a [`Sequence`]
//! around it knows how long the sequence is, what is observed, and what may be asked.

use std::ops::Range;

use fontes_core::{Error, Result, TokenId};

use super::{DecoderError, Logits, Session, config::DecoderConfig};

/// One runner's part of a session.
pub(super) trait Engine {
    /// Tokens per pass of a long prompt.
    const CHUNK: usize;

    /// Copies of the cache hold whole multiples of this many positions.
    const COPY_UNIT: usize;

    /// Runs at most [`Engine::CHUNK`] tokens from position `start` on, stores their keys and values, and appends the
    /// logits of the last `keep` of them. Returns `[layer][range]` attention mass of the last token, nothing when
    /// nothing is observed.
    fn pass(
        &mut self,
        start: usize,
        tokens: &[TokenId],
        keep: usize,
        observed: &[Range<usize>],
        logits: &mut Vec<f32>,
    ) -> Result<Vec<Vec<f32>>, DecoderError>;

    /// Copies whole units of positions.
    fn copy_out(&self, positions: Range<usize>) -> Result<Vec<u8>, DecoderError>;

    /// Stores a copy; false when it has the wrong length for those positions.
    fn copy_in(&mut self, positions: Range<usize>, copy: &[u8]) -> Result<bool, DecoderError>;

    /// Bytes of a copy of one unit.
    fn copy_unit_bytes(&self) -> usize;
}

/// A sequence under way on some runner.
pub(super) struct Sequence<'a, E> {
    engine: E,
    config: &'a DecoderConfig,
    capacity: usize,
    len: usize,
    observed: Vec<Range<usize>>,
    attention: Vec<Vec<f32>>,
}

impl<'a, E: Engine> Sequence<'a, E> {
    /// Begins an empty sequence of at most `capacity` tokens on the engine that `start` makes.
    pub(super) fn new(
        config: &'a DecoderConfig,
        capacity: usize,
        start: impl FnOnce() -> Result<E, DecoderError>,
    ) -> Result<Self, DecoderError> {
        if capacity > config.context_length {
            return Err(DecoderError::TooLong { tokens: capacity, what: "context", limit: config.context_length });
        }
        Ok(Self { engine: start()?, config, capacity, len: 0, observed: Vec::new(), attention: Vec::new() })
    }

    fn check(&self, tokens: &[TokenId]) -> Result<(), DecoderError> {
        let rows = self.config.input_rows;
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= rows) {
            return Err(DecoderError::UnknownToken { id, rows });
        }
        self.admit(tokens.len())
    }

    fn admit(&self, more: usize) -> Result<(), DecoderError> {
        let total = self.len.saturating_add(more);
        if total > self.capacity {
            return Err(DecoderError::TooLong { tokens: total, what: "session", limit: self.capacity });
        }
        Ok(())
    }

    fn run(&mut self, tokens: &[TokenId], logits: Logits) -> Result<Vec<f32>, DecoderError> {
        self.check(tokens)?;
        let mut collected = Vec::new();
        let mut rest = tokens.len();
        for chunk in tokens.chunks(E::CHUNK) {
            rest -= chunk.len();
            let keep = match logits {
                Logits::All => chunk.len(),
                Logits::Last if rest == 0 => 1,
                Logits::Last | Logits::None => 0,
            };
            let masses = self.engine.pass(self.len, chunk, keep, &self.observed, &mut collected)?;
            self.len += chunk.len();
            self.attention = super::by_layer_group(&masses);
        }
        if collected.iter().all(|logit| logit.is_finite()) { Ok(collected) } else { Err(DecoderError::NotFinite) }
    }
}

impl<E: Engine> Session for Sequence<'_, E> {
    fn len(&self) -> usize {
        self.len
    }

    fn forward(&mut self, tokens: &[TokenId], logits: Logits) -> Result<Vec<f32>> {
        let before = self.len;
        self.run(tokens, logits).map_err(|error| {
            // What was half read is forgotten: the caller may go on from where it was.
            self.len = before;
            error.into()
        })
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn observe(&mut self, ranges: &[Range<usize>]) {
        self.observed = ranges.to_vec();
        self.attention.clear();
    }

    fn attention(&self) -> Vec<Vec<f32>> {
        self.attention.clone()
    }

    fn copy_unit(&self) -> usize {
        E::COPY_UNIT
    }

    fn copy(&self, positions: Range<usize>) -> Result<Vec<u8>> {
        let whole = positions.start.is_multiple_of(E::COPY_UNIT) && positions.end.is_multiple_of(E::COPY_UNIT);
        if !whole || positions.start > positions.end || positions.end > self.len {
            return Err(Error::invalid(format!("positions {positions:?} of {} are no whole units", self.len)));
        }
        Ok(self.engine.copy_out(positions)?)
    }

    fn paste(&mut self, copy: &[u8]) -> Result<()> {
        let unit_bytes = self.engine.copy_unit_bytes();
        if !self.len.is_multiple_of(E::COPY_UNIT) || !copy.len().is_multiple_of(unit_bytes) {
            return Err(Error::invalid("a copy of a cache does not fit where it is put"));
        }
        let more = copy.len() / unit_bytes * E::COPY_UNIT;
        self.admit(more)?;
        if !self.engine.copy_in(self.len..self.len + more, copy)? {
            return Err(Error::invalid("a copy of a cache has another shape"));
        }
        self.len += more;
        Ok(())
    }
}
