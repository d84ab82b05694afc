//! One sequence under way on the CPU runner.

use std::ops::Range;

use fontes_core::{Result, TokenId};

use super::{
    CpuNetwork, admit,
    pass::{Buffers, Pass},
    too_little,
};
use crate::{
    decoder::{DecoderError, Logits, Role, Session},
    kernels::{KvCache, Output, rms_norm},
    weights::row_floats,
};

/// Tokens per pass of a long prompt: 20 groups of 12 rows. At a width of 2,048 their quantised activations are 480 KiB and
/// stay in the second-level cache while every weight tile passes by; weights are then read at 1 % of the time of the
/// products, so more rows would gain nothing.
const CHUNK: usize = 240;

pub(super) struct CpuSession<'a> {
    network: &'a CpuNetwork,
    cache: KvCache,
    buffers: Buffers,
    capacity: usize,
    len: usize,
    observed: Vec<Range<usize>>,
    attention: Vec<Vec<f32>>,
}

impl<'a> CpuSession<'a> {
    pub(super) fn new(network: &'a CpuNetwork, capacity: usize) -> Result<Self, DecoderError> {
        let config = network.config();
        if capacity > config.context_length {
            return Err(DecoderError::TooLong { tokens: capacity, what: "context", limit: config.context_length });
        }
        let cache_bytes = config.kv_bytes_per_token(2).saturating_mul(capacity as u64);
        let needed = cache_bytes.saturating_add(network.packed_bytes() as u64);
        admit(&network.options, needed, "a shorter session would fit")?;
        let cache = KvCache::new(config.layers, config.kv_heads, config.head_dim, capacity)
            .map_err(|_| too_little(needed, network.options.max_memory, "a shorter session would fit"))?;
        let buffers = Buffers::new(network);
        Ok(Self { network, cache, buffers, capacity, len: 0, observed: Vec::new(), attention: Vec::new() })
    }

    fn check(&self, tokens: &[TokenId]) -> Result<(), DecoderError> {
        let rows = self.network.config().input_rows;
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= rows) {
            return Err(DecoderError::UnknownToken { id, rows });
        }
        let total = self.len + tokens.len();
        if total > self.capacity {
            return Err(DecoderError::TooLong { tokens: total, what: "session", limit: self.capacity });
        }
        Ok(())
    }

    fn run(&mut self, tokens: &[TokenId], logits: Logits) -> Result<Vec<f32>, DecoderError> {
        self.check(tokens)?;
        let mut collected = Vec::new();
        let mut rest = tokens.len();
        for chunk in tokens.chunks(CHUNK) {
            rest -= chunk.len();
            let keep = match logits {
                Logits::All => chunk.len(),
                Logits::Last if rest == 0 => 1,
                Logits::Last | Logits::None => 0,
            };
            self.embed(chunk)?;
            let Self { network, cache, buffers, observed, .. } = self;
            let masses = Pass::new(network, cache, buffers, observed, self.len, chunk.len()).run(keep);
            self.len += chunk.len();
            self.attention = crate::decoder::by_layer_group(&masses);
            if keep > 0 {
                self.project_output(keep, &mut collected)?;
            }
        }
        Ok(collected)
    }

    /// Looks up `[tokens, hidden]`, scaled, into the stream.
    fn embed(&mut self, tokens: &[TokenId]) -> Result<(), DecoderError> {
        let network = self.network;
        self.buffers.stream = row_floats(&network.weights.tensor(Role::Embedding)?, tokens)?;
        let scale = network.config().embedding_scale;
        if scale != 1.0 {
            self.buffers.stream.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(())
    }

    /// Appends the logits of the first `rows` rows of the stream.
    fn project_output(&mut self, rows: usize, collected: &mut Vec<f32>) -> Result<(), DecoderError> {
        let (network, config) = (self.network, self.network.config());
        let (pool, hidden) = (&network.options.pool, config.hidden);
        let Buffers { inputs, stream, .. } = &mut self.buffers;
        inputs.fill(pool, [rows, hidden], [&network.output], |row, out| {
            let values = &stream[row * hidden..(row + 1) * hidden];
            rms_norm(network.options.isa, values, &network.output_norm, config.norm_eps, out);
        });
        let before = collected.len();
        collected.resize(before + rows * config.output_rows, 0.0);
        let out = &mut collected[before..];
        inputs.multiply(pool, &network.arena, Output::Replace, [(&network.output, &mut *out)]);
        if out.iter().all(|logit| logit.is_finite()) { Ok(()) } else { Err(DecoderError::NotFinite) }
    }
}

impl Session for CpuSession<'_> {
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
}
