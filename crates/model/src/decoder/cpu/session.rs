//! The CPU runner's part of a session: its cache and its buffers.

use std::ops::Range;

use fontes_core::TokenId;

use super::{
    CpuNetwork, admit,
    pass::{Buffers, Pass},
    too_little,
};
use crate::{
    decoder::{DecoderError, Role, sequence::Engine},
    kernels::{KEY_TILE, KvCache, Output, rms_norm},
    weights::row_floats,
};

/// Keys and values of one sequence, and every buffer of a pass, allocated once.
pub(super) struct CpuEngine<'a> {
    network: &'a CpuNetwork,
    cache: KvCache,
    buffers: Buffers,
}

impl<'a> CpuEngine<'a> {
    pub(super) fn new(network: &'a CpuNetwork, capacity: usize) -> Result<Self, DecoderError> {
        let config = network.config();
        let cache_bytes = config.kv_bytes_per_token(2).saturating_mul(capacity as u64);
        let needed = cache_bytes.saturating_add(network.packed_bytes() as u64);
        admit(&network.options, needed, "a shorter session would fit")?;
        let cache = KvCache::new(config.layers, config.kv_heads, config.head_dim, capacity)
            .map_err(|_| too_little(needed, network.options.max_memory, "a shorter session would fit"))?;
        Ok(Self { network, cache, buffers: Buffers::new(network) })
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
    fn project_output(&mut self, rows: usize, logits: &mut Vec<f32>) {
        let (network, config) = (self.network, self.network.config());
        let (pool, hidden) = (&network.options.pool, config.hidden);
        let Buffers { inputs, stream, .. } = &mut self.buffers;
        inputs.fill(pool, [rows, hidden], [&network.output], |row, out| {
            let values = &stream[row * hidden..(row + 1) * hidden];
            rms_norm(network.options.isa, values, &network.output_norm, config.norm_eps, out);
        });
        let before = logits.len();
        logits.resize(before + rows * config.output_rows, 0.0);
        inputs.multiply(pool, &network.arena, Output::Replace, [(&network.output, &mut logits[before..])]);
    }
}

impl Engine for CpuEngine<'_> {
    /// Tokens per pass of a long prompt. Each pass reads all weights, and expands them where products need it, at a few percent
    /// of the time of the products; more rows would gain little and make every buffer larger.
    const CHUNK: usize = 512;

    const COPY_UNIT: usize = KEY_TILE;

    fn pass(
        &mut self,
        start: usize,
        tokens: &[TokenId],
        keep: usize,
        observed: &[Range<usize>],
        logits: &mut Vec<f32>,
    ) -> Result<Vec<Vec<f32>>, DecoderError> {
        self.embed(tokens)?;
        let Self { network, cache, buffers } = self;
        let masses = Pass::new(network, cache, buffers, observed, start, tokens.len()).run(keep);
        if keep > 0 {
            self.project_output(keep, logits);
        }
        Ok(masses)
    }

    fn copy_out(&self, positions: Range<usize>) -> Result<Vec<u8>, DecoderError> {
        Ok(self.cache.copy_out(positions))
    }

    fn copy_in(&mut self, positions: Range<usize>, copy: &[u8]) -> Result<bool, DecoderError> {
        Ok(self.cache.copy_in(positions, copy))
    }

    fn copy_unit_bytes(&self) -> usize {
        self.cache.copy_bytes(KEY_TILE)
    }
}
