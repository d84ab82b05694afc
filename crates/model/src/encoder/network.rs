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
use crate::kernels::{Heads, Isa, Then, ThreadPool, attend_within};

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

impl Scratch {
    fn new(isa: Isa) -> Self {
        Self { inputs: Inputs::new(isa), projected: Vec::new(), context: Vec::new(), wide: Vec::new() }
    }
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

/// What precedes the layers.
#[derive(Debug)]
struct Embedding {
    words: Table,
    /// `[positions, hidden]`.
    positions: Vec<f32>,
    /// `[token_types, hidden]`.
    types: Vec<f32>,
    norm: Norm,
}

#[derive(Debug)]
struct Layer {
    attention: SelfAttention,
    feed_forward: FeedForward,
}

#[derive(Debug)]
struct SelfAttention {
    /// Query, key and value as one product.
    query_key_value: Linear,
    attended: Linear,
    norm: Norm,
}

#[derive(Debug)]
struct FeedForward {
    widen: Linear,
    narrow: Linear,
    norm: Norm,
}

/// An encoder with its weights.
#[derive(Debug)]
pub(super) struct Network {
    config: EncoderConfig,
    heads: Heads,
    checkpoint: Arc<Checkpoint>,
    embedding: Embedding,
    layers: Vec<Layer>,
    machine: Machine,
    spare: Spare,
    centre: Vec<f32>,
}

impl Network {
    /// Loads the weights. Word embeddings stay where and as they are stored; rows are looked up.
    pub fn load(
        checkpoint: Arc<Checkpoint>,
        config: EncoderConfig,
        options: &EncoderOptions,
    ) -> Result<Self, EncoderError> {
        let embedding = Embedding::load(&checkpoint, &config)?;
        let mut machine = Machine::new(&config, options)?;
        // Where products are rounded to 8 bits, attention may round to bf16.
        let rounded = options.precision == Precision::Int8;
        let heads = Heads { hidden: config.hidden, count: config.heads, rounded };
        let mut sample = Sample::new(&config);
        sample.state = embedding.embed(&checkpoint, &config, (&machine.pool, machine.isa), &sample.packed)?;
        let layers = (0..config.layers)
            .map(|number| {
                Layer::load(&checkpoint, &config, heads, number, options.precision, &mut machine, &mut sample)
            })
            .collect::<Result<_, _>>()?;
        let centre = sample.mean(config.hidden);
        Ok(Self { config, heads, checkpoint, embedding, layers, machine, spare: Spare::default(), centre })
    }

    /// The same network with attention in single precision, whatever the processor has: where a threshold decides, the machine
    /// must not.
    pub fn with_exact_attention(mut self) -> Self {
        self.heads.rounded = false;
        self
    }

    /// The shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The checkpoint, for a head to be loaded from, or another network.
    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.checkpoint
    }

    /// The mean vector of tokens from all over the vocabulary, `[hidden]`: what all have in common.
    pub fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// What products run on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// One vector per token, `[tokens, hidden]`, worked out on `pool`. Ids must be below the vocabulary, sequences no longer than
    /// [`EncoderConfig::max_tokens`].
    pub fn forward(&self, pool: &ThreadPool, packed: &Packed) -> Result<Vec<f32>, EncoderError> {
        let (machine, heads) = ((pool, &self.machine), self.heads);
        let mut state = self.embedding.embed(&self.checkpoint, &self.config, (pool, self.machine.isa), packed)?;
        let mut scratch = self.spare.take().unwrap_or_else(|| Scratch::new(self.machine.isa));
        for Layer { attention, feed_forward } in &self.layers {
            attention.attend(machine, heads, &packed.sequences, &state, &mut scratch)?;
            let context = std::mem::take(&mut scratch.context);
            let block = if feed_forward.widen.is_dense() { packed.ids.len() } else { BLOCK }.max(1) * heads.hidden;
            for (state, context) in state.chunks_mut(block).zip(context.chunks(block)) {
                attention.add(machine, context, state, &mut scratch.inputs)?;
                feed_forward.add(machine, state, &mut scratch)?;
            }
            scratch.context = context;
        }
        self.spare.give(scratch);
        Ok(state)
    }
}

impl Embedding {
    fn load(checkpoint: &Checkpoint, config: &EncoderConfig) -> Result<Self, EncoderError> {
        let hidden = config.hidden;
        let table = |name: &str, rows: usize| -> Result<Vec<f32>, EncoderError> {
            let name = format!("embeddings.{name}_embeddings.weight");
            Ok(super::checkpoint::finite(&checkpoint.tensor(&name, &[rows, hidden])?)?)
        };
        Ok(Self {
            words: Table::find(checkpoint, "embeddings.word_embeddings.weight", config.vocabulary, hidden)?,
            positions: table("position", config.positions)?,
            types: table("token_type", config.token_types)?,
            norm: load_norm(checkpoint, "embeddings.LayerNorm", config)?,
        })
    }

    /// Word plus position plus type, normalised: `[tokens, hidden]`.
    fn embed(
        &self,
        checkpoint: &Checkpoint,
        config: &EncoderConfig,
        (pool, isa): (&ThreadPool, Isa),
        packed: &Packed,
    ) -> Result<Vec<f32>, EncoderError> {
        let hidden = config.hidden;
        let mut state = self.words.rows(checkpoint, &packed.ids)?;
        pool.for_each_chunk(&mut state, hidden, 16, |token, row| {
            let position = token - packed.sequences[packed.owners[token]].start + config.first_position;
            // A family with one token type gives every token that one.
            let kind = (packed.types[token] as usize).min(config.token_types - 1);
            add(row, &self.types[kind * hidden..]);
            add(row, &self.positions[position * hidden..]);
            layer_norm(isa, row, &self.norm);
        });
        Ok(state)
    }
}

/// Tokens that go through the layers as they are loaded, to see what their products will meet, and where all vectors point.
struct Sample {
    packed: Packed,
    /// `[tokens, hidden]`, as far as the layers are loaded.
    state: Vec<f32>,
}

impl Sample {
    /// Tokens per sequence. What is always large is so for any token, so that few tokens tell, drawn from all over the
    /// vocabulary: on multilingual-e5-small, rounding costs the same whether it was levelled by them or by real texts.
    const TOKENS: usize = 64;
    const SEQUENCES: usize = 2;

    fn new(config: &EncoderConfig) -> Self {
        let length = Self::TOKENS.min(config.max_tokens());
        let mut packed = Packed::default();
        let mut drawn = (1_u64..).map(|n| {
            // Multiplicative hashing (Knuth 1998, 6.4).
            let hash = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            u32::try_from((hash * config.vocabulary as u64) >> 32).unwrap_or_default()
        });
        for _ in 0..Self::SEQUENCES {
            let ids: Vec<u32> = drawn.by_ref().take(length).collect();
            packed.push(&ids, &vec![0; length]);
        }
        Self { packed, state: Vec::new() }
    }

    fn mean(&self, hidden: usize) -> Vec<f32> {
        let mut mean = vec![0.0; hidden];
        let count = (self.state.len() / hidden).max(1) as f32;
        for row in self.state.chunks_exact(hidden) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count);
        }
        mean
    }
}

impl Layer {
    /// Loads a layer and sends the sample through it.
    fn load(
        checkpoint: &Checkpoint,
        config: &EncoderConfig,
        heads: Heads,
        number: usize,
        precision: Precision,
        machine: &mut Machine,
        sample: &mut Sample,
    ) -> Result<Self, EncoderError> {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let linear = |parts: &[&str], shape: [usize; 2], sample: &[f32], machine: &mut Machine| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            Linear::load(checkpoint, &names, shape, precision, machine, sample)
        };
        let Sample { packed, state } = sample;
        let mut scratch = Scratch::new(machine.isa);
        let projections = ["attention.self.query", "attention.self.key", "attention.self.value"];
        let attention = SelfAttention {
            query_key_value: linear(&projections, [hidden, hidden], state, machine)?,
            // What comes out of attention, and of GELU below, is even enough: levelling it was of no use or harm.
            attended: linear(&["attention.output.dense"], [hidden, hidden], &[], machine)?,
            norm: load_norm(checkpoint, &name("attention.output.LayerNorm"), config)?,
        };
        attention.attend((&machine.pool, machine), heads, &packed.sequences, state, &mut scratch)?;
        attention.add((&machine.pool, machine), &scratch.context, state, &mut scratch.inputs)?;
        let feed_forward = FeedForward {
            widen: linear(&["intermediate.dense"], [wide, hidden], state, machine)?,
            narrow: linear(&["output.dense"], [hidden, wide], &[], machine)?,
            norm: load_norm(checkpoint, &name("output.LayerNorm"), config)?,
        };
        feed_forward.add((&machine.pool, machine), state, &mut scratch)?;
        Ok(Self { attention, feed_forward })
    }
}

impl SelfAttention {
    /// What each token attends to, into `scratch.context`, `[tokens, hidden]`.
    fn attend(
        &self,
        machine: (&ThreadPool, &Machine),
        heads: Heads,
        sequences: &[Range<usize>],
        state: &[f32],
        scratch: &mut Scratch,
    ) -> Result<(), EncoderError> {
        let Scratch { inputs, projected, context, .. } = scratch;
        projected.resize(state.len() * 3, 0.0);
        self.query_key_value.forward(machine, inputs, state, Then::Bias, projected)?;
        context.resize(state.len(), 0.0);
        attend_within(machine.0, machine.1.isa, heads, sequences, projected, context);
        Ok(())
    }

    /// Adds it to the state of the same tokens, which is normalised then.
    fn add(
        &self,
        machine: (&ThreadPool, &Machine),
        context: &[f32],
        state: &mut [f32],
        inputs: &mut Inputs,
    ) -> Result<(), EncoderError> {
        self.attended.forward(machine, inputs, context, Then::BiasAdd, state)?;
        normalise(machine, state, &self.norm);
        Ok(())
    }
}

impl FeedForward {
    /// Adds what two products and the function between them make of some tokens' state, which is normalised then.
    fn add(
        &self,
        machine: (&ThreadPool, &Machine),
        state: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), EncoderError> {
        let Scratch { inputs, wide, .. } = scratch;
        wide.resize(state.len() / self.narrow.outputs() * self.widen.outputs(), 0.0);
        self.widen.forward(machine, inputs, state, Then::BiasGelu, wide)?;
        self.narrow.forward(machine, inputs, wide, Then::BiasAdd, state)?;
        normalise(machine, state, &self.norm);
        Ok(())
    }
}

fn normalise((pool, machine): (&ThreadPool, &Machine), state: &mut [f32], norm: &Norm) {
    pool.for_each_chunk(state, norm.weight.len(), 16, |_, row| layer_norm(machine.isa, row, norm));
}
