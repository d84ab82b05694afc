//! One sequence under way on the candle runner.

use std::{collections::BTreeMap, ops::Range};

use candle_core::Tensor;
use fontes_core::{Result, TokenId};

use super::{
    CandleNetwork,
    attention::{Attended, LayerCache, MAX_SCORES, Plan, Rotation},
    layer::{Pass, rms_norm},
};
use crate::decoder::{DecoderError, Logits, Session};

/// Tokens per pass of a long prompt. Activations of a pass stay below a few hundred MiB at 8B widths, and
/// matrix products are no faster with more rows.
const CHUNK: usize = 512;

pub(super) struct CandleSession<'a> {
    network: &'a CandleNetwork,
    caches: Vec<LayerCache>,
    capacity: usize,
    len: usize,
    observed: Vec<Range<usize>>,
    attention: Vec<Vec<f32>>,
}

impl<'a> CandleSession<'a> {
    pub(super) fn new(network: &'a CandleNetwork, capacity: usize) -> Result<Self, DecoderError> {
        let config = network.config();
        if capacity > config.context_length {
            return Err(DecoderError::TooLong { tokens: capacity, what: "context", limit: config.context_length });
        }
        network.budget.admit(capacity)?;
        // A cache of no positions cannot be a tensor; one position costs nothing.
        let cache = |_| LayerCache::new(config, capacity.max(1), network.kv_dtype, &network.device);
        let caches = (0..config.layers).map(cache).collect::<candle_core::Result<_>>()?;
        Ok(Self { network, caches, capacity, len: 0, observed: Vec::new(), attention: Vec::new() })
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

    /// Runs at most [`CHUNK`] tokens and returns the hidden states `[tokens, hidden]` of the last layer.
    fn pass(&mut self, tokens: &[TokenId]) -> Result<Tensor, DecoderError> {
        let network = self.network;
        let (config, device) = (network.config(), &network.device);
        let (start, end) = (self.len, self.len + tokens.len());
        let global = Rotation::new(&config.rope, start..end, device)?;
        let local = config.local_rope.as_ref().map(|rope| Rotation::new(rope, start..end, device)).transpose()?;
        let mut plans = BTreeMap::new();
        for &window in &config.windows {
            if let std::collections::btree_map::Entry::Vacant(entry) = plans.entry(window) {
                entry.insert(Plan::new(config, start, tokens.len(), window, MAX_SCORES, device)?);
            }
        }
        let mut x = network.embed(tokens)?;
        let mut rows = Vec::new();
        for (number, (layer, cache)) in network.layers.iter().zip(&self.caches).enumerate() {
            let window = config.windows[number];
            let rotation = local.as_ref().filter(|_| window.is_some()).unwrap_or(&global);
            let observe = !self.observed.is_empty();
            let pass = Pass { config, rotation, plan: &plans[&window], cache, start, observe };
            let (next, attended) = layer.forward(&x, &pass)?;
            if observe {
                rows.push(self.mass(&attended));
            }
            x = next;
        }
        self.len = end;
        self.attention = crate::decoder::by_layer_group(&rows);
        Ok(x)
    }

    /// Attention mass of one layer's last row on each observed range.
    fn mass(&self, attended: &Attended) -> Vec<f32> {
        let share = |range: &Range<usize>| {
            let clip = |position: usize| position.saturating_sub(attended.first).min(attended.last_row.len());
            attended.last_row[clip(range.start)..clip(range.end.max(range.start))].iter().sum()
        };
        self.observed.iter().map(share).collect()
    }

    fn logits(&self, hidden: &Tensor) -> Result<Vec<f32>, DecoderError> {
        let config = self.network.config();
        let normed = rms_norm(hidden, &self.network.output_norm, config.norm_eps)?;
        let logits: Vec<f32> = self.network.output.forward(&normed)?.flatten_all()?.to_vec1()?;
        if logits.iter().all(|logit| logit.is_finite()) { Ok(logits) } else { Err(DecoderError::NotFinite) }
    }

    fn run(&mut self, tokens: &[TokenId], logits: Logits) -> Result<Vec<f32>, DecoderError> {
        self.check(tokens)?;
        let mut collected = Vec::new();
        let mut rest = tokens.len();
        for chunk in tokens.chunks(CHUNK) {
            let hidden = self.pass(chunk)?;
            rest -= chunk.len();
            match logits {
                Logits::All => collected.extend(self.logits(&hidden)?),
                Logits::Last if rest == 0 => collected = self.logits(&hidden.narrow(0, chunk.len() - 1, 1)?)?,
                Logits::Last | Logits::None => {}
            }
        }
        Ok(collected)
    }
}

impl Session for CandleSession<'_> {
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
