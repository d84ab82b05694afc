//! The encoder proper: tokens of several sequences in, one vector per token out.
//!
//! Sequences are packed one after the other into one matrix `[tokens, hidden]`: no padding, so no work on
//! padding and no mask; only attention knows where a sequence ends.

use std::ops::Range;

use super::{
    EncoderConfig, EncoderError,
    attention::{self, attend},
    checkpoint::{Checkpoint, Table},
    elementwise::{Norm, add_and_normalise},
    linear::{Linear, Machine, Precision, Then},
};
use crate::kernels::{Activations, ThreadPool};

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

/// Buffers of one forward pass, kept from layer to layer.
struct Scratch {
    activations: Activations,
    projected: Vec<f32>,
    keys: Vec<f32>,
    context: Vec<f32>,
    change: Vec<f32>,
    wide: Vec<f32>,
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
    checkpoint: Checkpoint,
    words: Table,
    /// `[positions, hidden]`.
    positions: Vec<f32>,
    /// `[token_types, hidden]`.
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    machine: Machine,
}

impl Network {
    /// Loads the weights. Word embeddings stay where and as they are stored; rows are looked up.
    pub fn load(
        checkpoint: Checkpoint,
        config: EncoderConfig,
        precision: Precision,
        threads: usize,
    ) -> Result<Self, EncoderError> {
        let hidden = config.hidden;
        let table = |name: &str, rows: usize| -> Result<Vec<f32>, EncoderError> {
            let name = format!("embeddings.{name}_embeddings.weight");
            Ok(super::checkpoint::finite(&checkpoint.tensor(&name, &[rows, hidden])?)?)
        };
        let words = Table::find(&checkpoint, "embeddings.word_embeddings.weight", config.vocabulary, hidden)?;
        let (positions, types) = (table("position", config.positions)?, table("token_type", config.token_types)?);
        let norm = load_norm(&checkpoint, "embeddings.LayerNorm", &config)?;
        let mut machine = Machine::new(&config, precision, threads)?;
        let layers = (0..config.layers)
            .map(|number| Layer::load(&checkpoint, &config, number, precision, &mut machine))
            .collect::<Result<_, _>>()?;
        Ok(Self { config, checkpoint, words, positions, types, norm, layers, machine })
    }

    /// The shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The checkpoint, for a head to be loaded from.
    pub fn checkpoint(&self) -> &Checkpoint {
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
        let mut scratch = Scratch {
            activations: self.machine.activations(),
            projected: Vec::new(),
            keys: Vec::new(),
            context: Vec::new(),
            change: Vec::new(),
            wide: Vec::new(),
        };
        for layer in &self.layers {
            self.layer(layer, pool, packed, &mut state, &mut scratch)?;
        }
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
            row.iter_mut().zip(&self.types[kind * hidden..]).for_each(|(x, kind)| *x += kind);
            let position = &self.positions[position * hidden..(position + 1) * hidden];
            add_and_normalise(self.machine.isa, row, position, &self.norm);
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
        let Scratch { activations, projected, keys, context, change, wide } = scratch;
        let machine = (pool, &self.machine);
        layer.query_key_value.forward(machine, activations, state, Then::Bias, projected)?;
        let shape = attention::Shape { hidden: self.config.hidden, heads: self.config.heads };
        let sequences = (packed.sequences.as_slice(), packed.owners.as_slice());
        attend((pool, self.machine.isa), shape, sequences, projected, keys, context);
        layer.attended.forward(machine, activations, context, Then::Bias, change)?;
        self.add_and_normalise(pool, state, change, &layer.attention_norm);
        layer.widen.forward(machine, activations, state, Then::BiasGelu, wide)?;
        layer.narrow.forward(machine, activations, wide, Then::Bias, change)?;
        self.add_and_normalise(pool, state, change, &layer.output_norm);
        Ok(())
    }

    /// `state ← norm(state + change)`, row by row.
    fn add_and_normalise(&self, pool: &ThreadPool, state: &mut [f32], change: &[f32], norm: &Norm) {
        let hidden = self.config.hidden;
        pool.for_each_chunk(state, hidden, 16, |token, row| {
            add_and_normalise(self.machine.isa, row, &change[token * hidden..(token + 1) * hidden], norm);
        });
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
