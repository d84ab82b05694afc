//! Decoder-only transformers: one configuration, two runners behind one small seam.
//!
//! A [`Network`] is immutable weights, shared by every request; a [`Session`] is one conversation's key/value
//! cache and scratch space. Two runners implement the pair: the candle runner (any dtype, the exact
//! reference, the way to a GPU) and the CPU runner over our own kernels (quantised weights, fast). The
//! generation loop sees only this seam.

pub mod candle;
pub mod config;
pub mod cpu;
mod error;
mod memory;
mod open;
mod options;
mod probe;
mod sequence;
mod weights;

use std::ops::Range;

use fontes_core::{Result, TokenId};

pub use error::DecoderError;
pub use open::{load, open};
pub use options::{DeviceChoice, Dtype, KvDtype, OpenOptions, Runner};
pub use probe::{Probe, Speeds, probe};
pub use weights::{DecoderWeights, LayerRole, Role};

/// Layers are shown as at most this many groups: enough to tell early from late, small enough to store.
const MAX_LAYER_GROUPS: usize = 4;

/// Means of `[layer][range]` over even groups of layers, `[layer_group][range]`; empty for no layers.
pub(crate) fn by_layer_group(layers: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let groups = layers.len().min(MAX_LAYER_GROUPS);
    (0..groups)
        .map(|group| {
            let members = &layers[group * layers.len() / groups..(group + 1) * layers.len() / groups];
            let mean = |range: usize| members.iter().map(|layer| layer[range]).sum::<f32>() / members.len() as f32;
            (0..layers[0].len()).map(mean).collect()
        })
        .collect()
}

/// Which positions of a forward pass should yield logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// None: the tokens only fill the cache.
    None,
    /// The last position.
    Last,
    /// Every position of this pass.
    All,
}

/// Immutable weights of a decoder.
pub trait Network: Send + Sync {
    /// Number of ids the network can generate (rows of the output projection).
    fn output_size(&self) -> usize;

    /// Number of ids the network can read (rows of the input embedding); at least `output_size`.
    fn input_size(&self) -> usize;

    /// Longest sequence in tokens.
    fn context_length(&self) -> usize;

    /// Number of transformer layers.
    fn layers(&self) -> usize;

    /// Starts an empty session with room for `capacity` tokens.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] when `capacity` is past the context, naming both;
    /// [`fontes_core::ErrorKind::Unavailable`] when memory does not suffice.
    fn session(&self, capacity: usize) -> Result<Box<dyn Session + '_>>;

    /// What one token costs, for benchmarks; nothing where the runner does not know.
    fn cost(&self) -> Option<TokenCost> {
        None
    }
}

/// What one token costs, attention aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCost {
    /// Multiply-adds of reading it in a prompt: all matrices but the output's.
    pub multiply_adds: usize,
    /// Bytes of weights read to generate it.
    pub bytes: usize,
}

/// One sequence under way.
pub trait Session {
    /// Tokens in the cache.
    fn len(&self) -> usize;

    /// Says whether the cache holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads `tokens` after what the cache holds and returns logits row-major, `[positions, output_size]`,
    /// as chosen by `logits`. Feeding a prompt in pieces gives the same result as feeding it whole.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for an id outside the input vocabulary or a sequence past the
    /// capacity; [`fontes_core::ErrorKind::Corrupt`] when the logits are not numbers.
    fn forward(&mut self, tokens: &[TokenId], logits: Logits) -> Result<Vec<f32>>;

    /// Forgets everything from position `len` on. Used to drop rejected drafts.
    fn truncate(&mut self, len: usize);

    /// From now on, records the attention mass that the last position of each pass puts on these position
    /// ranges. An empty slice turns recording off.
    fn observe(&mut self, ranges: &[Range<usize>]);

    /// `[layer_group][range]` attention mass of the last position of the last pass, mean over the heads and
    /// layers of the group; empty when nothing is observed. Layers are split into at most four even groups.
    fn attention(&self) -> Vec<Vec<f32>>;

    /// Copies of the cache hold whole multiples of this many positions; 0 where the runner makes no copies.
    fn copy_unit(&self) -> usize {
        0
    }

    /// Copies keys and values of `positions`, whole units. They depend on the tokens up to there and on nothing
    /// else, so that any session of the same network that begins with the same tokens may [`Session::paste`] them.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for positions that are no whole units or are not there.
    fn copy(&self, positions: Range<usize>) -> Result<Vec<u8>> {
        Err(fontes_core::Error::invalid(format!("this runner makes no copies of positions {positions:?}")))
    }

    /// Appends copied positions, as if their tokens had been read now.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for a copy of another shape, between units or past the capacity; nothing
    /// is appended then.
    fn paste(&mut self, copy: &[u8]) -> Result<()> {
        Err(fontes_core::Error::invalid(format!("this runner takes no copy of {} bytes", copy.len())))
    }
}

#[cfg(test)]
mod tests;
