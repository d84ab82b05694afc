//! The encoder proper: tokens of several sequences in, one vector per token out.
//!
//! Sequences are packed one after the other into one matrix `[tokens, hidden]`: no padding, so no work on
//! padding and no mask; only attention knows where a sequence ends.

use std::ops::Range;

use candle_core::{Device, Tensor};

use super::{
    EncoderConfig, EncoderError,
    checkpoint::{Checkpoint, Table},
    elementwise::{layer_norm, scaled_softmax},
    linear::{Linear, Precision, Then},
    parallel::for_each_chunk,
};

/// Several tokenised sequences, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// Token ids of all sequences.
    pub ids: Vec<u32>,
    /// 0 or 1 per token: first or second text of a pair.
    pub types: Vec<u32>,
    /// Where each sequence lies.
    pub sequences: Vec<Range<usize>>,
}

impl Packed {
    /// Appends a sequence.
    pub fn push(&mut self, ids: &[u32], types: &[u32]) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.types.extend_from_slice(types);
        self.sequences.push(start..self.ids.len());
    }
}

/// Scale and shift of a layer normalisation.
#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    fn load(checkpoint: &Checkpoint, name: &str, width: usize) -> Result<Self, EncoderError> {
        let vector = |part: &str, old: &str| {
            let found = checkpoint.vector(&format!("{name}.{part}"), width);
            // Checkpoints converted from TensorFlow still use the old names.
            found.or_else(|error| checkpoint.vector(&format!("{name}.{old}"), width).map_err(|_| error))
        };
        Ok(Self { weight: vector("weight", "gamma")?, bias: vector("bias", "beta")? })
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
    checkpoint: Checkpoint,
    words: Table,
    /// `[positions, hidden]`.
    positions: Vec<f32>,
    /// `[token_types, hidden]`.
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    threads: usize,
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
        let norm = Norm::load(&checkpoint, "embeddings.LayerNorm", hidden)?;
        let layers = (0..config.layers)
            .map(|number| Layer::load(&checkpoint, &config, number, precision))
            .collect::<Result<_, _>>()?;
        Ok(Self { config, checkpoint, words, positions, types, norm, layers, threads: threads.max(1) })
    }

    /// The shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The checkpoint, for a head to be loaded from.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// One vector per token, `[tokens, hidden]`. Ids must be below the vocabulary, sequences no longer than
    /// [`EncoderConfig::max_tokens`].
    pub fn forward(&self, packed: &Packed) -> Result<Vec<f32>, EncoderError> {
        let mut state = self.embed(packed)?;
        for layer in &self.layers {
            self.layer(layer, packed, &mut state)?;
        }
        Ok(state)
    }

    /// Word plus position plus type, normalised.
    fn embed(&self, packed: &Packed) -> Result<Vec<f32>, EncoderError> {
        let hidden = self.config.hidden;
        let mut state = self.words.rows(&self.checkpoint, &packed.ids)?;
        for sequence in &packed.sequences {
            for (position, token) in sequence.clone().enumerate() {
                let position = (position + self.config.first_position) * hidden;
                // A family with one token type gives every token that one.
                let kind = (packed.types[token] as usize).min(self.config.token_types - 1) * hidden;
                let added = self.positions[position..position + hidden].iter().zip(&self.types[kind..kind + hidden]);
                let row = &mut state[token * hidden..(token + 1) * hidden];
                row.iter_mut().zip(added).for_each(|(x, (position, kind))| *x += position + kind);
                layer_norm(row, &self.norm.weight, &self.norm.bias, self.config.epsilon);
            }
        }
        Ok(state)
    }

    fn layer(&self, layer: &Layer, packed: &Packed, state: &mut [f32]) -> Result<(), EncoderError> {
        let projected = layer.query_key_value.forward(state, Then::Bias, self.threads)?;
        let context = self.attend(packed, &projected)?;
        let attended = layer.attended.forward(&context, Then::Bias, self.threads)?;
        self.add_and_normalise(state, &attended, &layer.attention_norm);
        let wide = layer.widen.forward(state, Then::BiasGelu, self.threads)?;
        let narrow = layer.narrow.forward(&wide, Then::Bias, self.threads)?;
        self.add_and_normalise(state, &narrow, &layer.output_norm);
        Ok(())
    }

    /// `state ← norm(state + change)`.
    fn add_and_normalise(&self, state: &mut [f32], change: &[f32], norm: &Norm) {
        let hidden = self.config.hidden;
        for_each_chunk(self.threads, state, hidden, |token, row| {
            let change = &change[token * hidden..(token + 1) * hidden];
            row.iter_mut().zip(change).for_each(|(x, change)| *x += change);
            layer_norm(row, &norm.weight, &norm.bias, self.config.epsilon);
        });
    }

    /// Multi-head attention within each sequence: `[tokens, 3·hidden]` to `[tokens, hidden]`.
    fn attend(&self, packed: &Packed, projected: &[f32]) -> Result<Vec<f32>, EncoderError> {
        let mut context = vec![0.0; packed.ids.len() * self.config.hidden];
        for sequence in &packed.sequences {
            self.attend_one(sequence, projected, &mut context)?;
        }
        Ok(context)
    }

    fn attend_one(&self, tokens: &Range<usize>, projected: &[f32], context: &mut [f32]) -> Result<(), EncoderError> {
        let (hidden, heads, count) = (self.config.hidden, self.config.heads, tokens.len());
        let width = hidden / heads;
        let projected = &projected[tokens.start * 3 * hidden..tokens.end * 3 * hidden];
        // [token, which, head, width] → [which, head, token, width], as views.
        let all = Tensor::from_slice(projected, (count, 3, heads, width), &Device::Cpu)?.permute((1, 2, 0, 3))?;
        let (query, key, value) = (all.get(0)?, all.get(1)?, all.get(2)?);
        let mut weights = query.matmul(&key.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        let scale = 1.0 / (width as f32).sqrt();
        for_each_chunk(self.threads_for(weights.len()), &mut weights, count, |_, row| scaled_softmax(row, scale));
        let weights = Tensor::from_vec(weights, (heads, count, count), &Device::Cpu)?;
        let result = weights.matmul(&value)?.flatten_all()?.to_vec1::<f32>()?;
        // [head, token, width] → [token, head, width]
        for token in 0..count {
            let row = &mut context[(tokens.start + token) * hidden..][..hidden];
            for (head, part) in row.chunks_exact_mut(width).enumerate() {
                part.copy_from_slice(&result[(head * count + token) * width..][..width]);
            }
        }
        Ok(())
    }

    /// Starting a thread costs as much as tens of thousands of exponentials.
    fn threads_for(&self, values: usize) -> usize {
        self.threads.min(values / 50_000).max(1)
    }
}

impl Layer {
    fn load(
        checkpoint: &Checkpoint,
        config: &EncoderConfig,
        number: usize,
        precision: Precision,
    ) -> Result<Self, EncoderError> {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let linear = |parts: &[&str], shape: [usize; 2]| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            Linear::load(checkpoint, &names, shape, precision)
        };
        let projections = ["attention.self.query", "attention.self.key", "attention.self.value"];
        Ok(Self {
            query_key_value: linear(&projections, [hidden, hidden])?,
            attended: linear(&["attention.output.dense"], [hidden, hidden])?,
            attention_norm: Norm::load(checkpoint, &name("attention.output.LayerNorm"), hidden)?,
            widen: linear(&["intermediate.dense"], [wide, hidden])?,
            narrow: linear(&["output.dense"], [hidden, wide])?,
            output_norm: Norm::load(checkpoint, &name("output.LayerNorm"), hidden)?,
        })
    }
}
