//! The encoder proper: tokens of several sequences in, one vector per token out.
//!
//! Sequences are packed one after the other into one matrix `[tokens, hidden]`: no padding, so no work on
//! padding and no mask; only attention knows where a sequence ends.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    EncoderConfig, EncoderError, EncoderOptions,
    checkpoint::{Checkpoint, Table},
    elementwise::{Norm, add, layer_norm},
    linear::{Inputs, Linear, Machine, Precision},
};
use crate::kernels::{Heads, Then, ThreadPool, attend_within};

/// Tokens that go through the second half of a layer together: what the widened rows of so many take up (400 KiB for
/// multilingual-e5-small) stays in the second-level cache beside the layer's weights. Dense products, which lay out their
/// weights anew for each call, get whole batches.
const BLOCK: usize = 64;

/// Several tokenised sequences, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// Token ids of all sequences.
    pub ids: Vec<u32>,
    /// 0 or 1 per token: first or second text of a pair.
    pub types: Vec<u32>,
    /// Where each sequence lies.
    pub sequences: Vec<Range<usize>>,
    /// Index of each token's sequence.
    pub owners: Vec<usize>,
}

impl Packed {
    /// Appends a sequence.
    pub fn push(&mut self, ids: &[u32], types: &[u32]) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.types.extend_from_slice(types);
        self.owners.extend(std::iter::repeat_n(self.sequences.len(), ids.len()));
        self.sequences.push(start..self.ids.len());
    }
}

fn load_norm(checkpoint: &Checkpoint, name: &str, config: &EncoderConfig) -> Result<Norm, EncoderError> {
    let vector = |part: &str, old: &str| {
        let found = checkpoint.vector(&format!("{name}.{part}"), config.hidden);
        // Checkpoints converted from TensorFlow still use the old names.
        found.or_else(|error| checkpoint.vector(&format!("{name}.{old}"), config.hidden).map_err(|_| error))
    };
    Ok(Norm { weight: vector("weight", "gamma")?, bias: vector("bias", "beta")?, epsilon: config.epsilon })
}

/// Buffers of one forward pass, kept from layer to layer and from pass to pass.
struct Scratch {
    inputs: Inputs,
    projected: Vec<f32>,
    context: Vec<f32>,
    wide: Vec<f32>,
}

/// Scratch space that nobody uses just now, at most as much as passes ran at once.
#[derive(Default)]
struct Spare(Mutex<Vec<Scratch>>);

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spare")
    }
}

impl Spare {
    fn take(&self) -> Option<Scratch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give(&self, scratch: Scratch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value as one product.
    query_key_value: Linear,
    attended: Linear,
    attention_norm: Norm,
    widen: Linear,
    narrow: Linear,
    output_norm: Norm,
}

/// An encoder with its weights.
#[derive(Debug)]
pub(super) struct Network {
    config: EncoderConfig,
    heads: Heads,
    checkpoint: Arc<Checkpoint>,
    words: Table,
    /// `[positions, hidden]`.
    positions: Vec<f32>,
    /// `[token_types, hidden]`.
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    machine: Machine,
    spare: Spare,
}

impl Network {
    /// Loads the weights. Word embeddings stay where and as they are stored; rows are looked up.
    pub fn load(
        checkpoint: Arc<Checkpoint>,
        config: EncoderConfig,
        options: &EncoderOptions,
    ) -> Result<Self, EncoderError> {
        let hidden = config.hidden;
        let table = |name: &str, rows: usize| -> Result<Vec<f32>, EncoderError> {
            let name = format!("embeddings.{name}_embeddings.weight");
            Ok(super::checkpoint::finite(&checkpoint.tensor(&name, &[rows, hidden])?)?)
        };
        let words = Table::find(&checkpoint, "embeddings.word_embeddings.weight", config.vocabulary, hidden)?;
        let (positions, types) = (table("position", config.positions)?, table("token_type", config.token_types)?);
        let norm = load_norm(&checkpoint, "embeddings.LayerNorm", &config)?;
        let mut machine = Machine::new(&config, options)?;
        let layers = (0..config.layers)
            .map(|number| Layer::load(&checkpoint, &config, number, options.precision, &mut machine))
            .collect::<Result<_, _>>()?;
        // Where products are rounded to 8 bits, attention may round to bf16.
        let heads = Heads { hidden, count: config.heads, rounded: options.precision == Precision::Int8 };
        Ok(Self { config, heads, checkpoint, words, positions, types, norm, layers, machine, spare: Spare::default() })
    }

    /// The shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The checkpoint, for a head to be loaded from, or another network.
    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.checkpoint
    }

    /// What products run on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// One vector per token, `[tokens, hidden]`, worked out on `pool`. Ids must be below the vocabulary, sequences no longer than
    /// [`EncoderConfig::max_tokens`].
    pub fn forward(&self, pool: &ThreadPool, packed: &Packed) -> Result<Vec<f32>, EncoderError> {
        let mut state = self.embed(pool, packed)?;
        let mut scratch = self.spare.take().unwrap_or_else(|| Scratch {
            inputs: Inputs::new(self.machine.isa),
            projected: Vec::new(),
            context: Vec::new(),
            wide: Vec::new(),
        });
        for layer in &self.layers {
            self.layer(layer, pool, packed, &mut state, &mut scratch)?;
        }
        self.spare.give(scratch);
        Ok(state)
    }

    /// Word plus position plus type, normalised.
    fn embed(&self, pool: &ThreadPool, packed: &Packed) -> Result<Vec<f32>, EncoderError> {
        let hidden = self.config.hidden;
        let mut state = self.words.rows(&self.checkpoint, &packed.ids)?;
        pool.for_each_chunk(&mut state, hidden, 16, |token, row| {
            let position = token - packed.sequences[packed.owners[token]].start + self.config.first_position;
            // A family with one token type gives every token that one.
            let kind = (packed.types[token] as usize).min(self.config.token_types - 1);
            add(row, &self.types[kind * hidden..]);
            add(row, &self.positions[position * hidden..]);
            layer_norm(self.machine.isa, row, &self.norm);
        });
        Ok(state)
    }

    fn layer(
        &self,
        layer: &Layer,
        pool: &ThreadPool,
        packed: &Packed,
        state: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), EncoderError> {
        let Scratch { inputs, projected, context, wide } = scratch;
        let (machine, hidden, tokens) = ((pool, &self.machine), self.config.hidden, packed.ids.len());
        projected.resize(tokens * 3 * hidden, 0.0);
        layer.query_key_value.forward(machine, inputs, state, Then::Bias, projected)?;
        context.resize(tokens * hidden, 0.0);
        attend_within(pool, self.machine.isa, self.heads, &packed.sequences, projected, context);
        let block = if layer.widen.is_dense() { tokens } else { BLOCK }.max(1) * hidden;
        for (state, context) in state.chunks_mut(block).zip(context.chunks(block)) {
            layer.attended.forward(machine, inputs, context, Then::BiasAdd, state)?;
            self.normalise(pool, state, &layer.attention_norm);
            wide.resize(state.len() / hidden * layer.widen.outputs(), 0.0);
            layer.widen.forward(machine, inputs, state, Then::BiasGelu, wide)?;
            layer.narrow.forward(machine, inputs, wide, Then::BiasAdd, state)?;
            self.normalise(pool, state, &layer.output_norm);
        }
        Ok(())
    }

    fn normalise(&self, pool: &ThreadPool, state: &mut [f32], norm: &Norm) {
        pool.for_each_chunk(state, self.config.hidden, 16, |_, row| layer_norm(self.machine.isa, row, norm));
    }
}

impl Layer {
    fn load(
        checkpoint: &Checkpoint,
        config: &EncoderConfig,
        number: usize,
        precision: Precision,
        machine: &mut Machine,
    ) -> Result<Self, EncoderError> {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let mut linear = |parts: &[&str], shape: [usize; 2]| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            Linear::load(checkpoint, &names, shape, precision, machine)
        };
        let projections = ["attention.self.query", "attention.self.key", "attention.self.value"];
        Ok(Self {
            query_key_value: linear(&projections, [hidden, hidden])?,
            attended: linear(&["attention.output.dense"], [hidden, hidden])?,
            attention_norm: load_norm(checkpoint, &name("attention.output.LayerNorm"), config)?,
            widen: linear(&["intermediate.dense"], [wide, hidden])?,
            narrow: linear(&["output.dense"], [hidden, wide])?,
            output_norm: load_norm(checkpoint, &name("output.LayerNorm"), config)?,
        })
    }
}
