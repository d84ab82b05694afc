//! The candle runner's part of a session.

use std::{collections::BTreeMap, ops::Range};

use candle_core::Tensor;
use fontes_core::TokenId;

use super::{
    CandleNetwork,
    attention::{Attended, LayerCache, MAX_SCORES, Plan, Rotation},
    layer::{Pass, rms_norm},
};
use crate::decoder::{DecoderError, sequence::Engine};

/// Keys and values of one sequence.
pub(super) struct CandleEngine<'a> {
    network: &'a CandleNetwork,
    caches: Vec<LayerCache>,
}

impl<'a> CandleEngine<'a> {
    pub(super) fn new(network: &'a CandleNetwork, capacity: usize) -> Result<Self, DecoderError> {
        let config = network.config();
        network.budget.admit(capacity)?;
        // A cache of no positions cannot be a tensor; one position costs nothing.
        let cache = |_| LayerCache::new(config, capacity.max(1), network.kv_dtype, &network.device);
        let caches = (0..config.layers).map(cache).collect::<candle_core::Result<_>>()?;
        Ok(Self { network, caches })
    }

    fn logits(&self, hidden: &Tensor) -> Result<Vec<f32>, DecoderError> {
        let config = self.network.config();
        let normed = rms_norm(hidden, &self.network.output_norm, config.norm_eps)?;
        Ok(self.network.output.forward(&normed)?.flatten_all()?.to_vec1()?)
    }
}

/// Attention mass of one layer's last row on each observed range.
fn mass(attended: &Attended, observed: &[Range<usize>]) -> Vec<f32> {
    let share = |range: &Range<usize>| {
        let clip = |position: usize| position.saturating_sub(attended.first).min(attended.last_row.len());
        attended.last_row[clip(range.start)..clip(range.end.max(range.start))].iter().sum()
    };
    observed.iter().map(share).collect()
}

impl Engine for CandleEngine<'_> {
    /// Activations of a pass stay below a few hundred MiB at 8B widths, and matrix products are no faster with more rows.
    const CHUNK: usize = 512;

    const COPY_UNIT: usize = 1;

    fn pass(
        &mut self,
        start: usize,
        tokens: &[TokenId],
        keep: usize,
        observed: &[Range<usize>],
        logits: &mut Vec<f32>,
    ) -> Result<Vec<Vec<f32>>, DecoderError> {
        let network = self.network;
        let (config, device) = (network.config(), &network.device);
        let positions = start..start + tokens.len();
        let global = Rotation::new(&config.rope, positions.clone(), device)?;
        let local = config.local_rope.as_ref().map(|rope| Rotation::new(rope, positions, device)).transpose()?;
        let mut plans = BTreeMap::new();
        for &window in &config.windows {
            if let std::collections::btree_map::Entry::Vacant(entry) = plans.entry(window) {
                entry.insert(Plan::new(config, start, tokens.len(), window, MAX_SCORES, device)?);
            }
        }
        let mut x = network.embed(tokens)?;
        let mut masses = Vec::new();
        for (number, (layer, cache)) in network.layers.iter().zip(&self.caches).enumerate() {
            let window = config.windows[number];
            let rotation = local.as_ref().filter(|_| window.is_some()).unwrap_or(&global);
            let observe = !observed.is_empty();
            let pass = Pass { config, rotation, plan: &plans[&window], cache, start, observe };
            let (next, attended) = layer.forward(&x, &pass)?;
            if observe {
                masses.push(mass(&attended, observed));
            }
            x = next;
        }
        if keep > 0 {
            logits.extend(self.logits(&x.narrow(0, tokens.len() - keep, keep)?)?);
        }
        Ok(masses)
    }

    fn copy_out(&self, positions: Range<usize>) -> Result<Vec<u8>, DecoderError> {
        let mut copy = Vec::new();
        for cache in &self.caches {
            cache.copy_out(&positions, &mut copy)?;
        }
        Ok(copy)
    }

    fn copy_in(&mut self, positions: Range<usize>, copy: &[u8]) -> Result<bool, DecoderError> {
        let layer_bytes = self.copy_unit_bytes() / self.caches.len().max(1) * positions.len();
        if copy.len() != layer_bytes * self.caches.len() {
            return Ok(false);
        }
        for (cache, copy) in self.caches.iter().zip(copy.chunks_exact(layer_bytes.max(1))) {
            cache.copy_in(&positions, copy)?;
        }
        Ok(true)
    }

    fn copy_unit_bytes(&self) -> usize {
        let config = self.network.config();
        self.caches.len() * 2 * config.kv_heads * config.head_dim * self.network.kv_dtype.size_in_bytes()
    }
}
