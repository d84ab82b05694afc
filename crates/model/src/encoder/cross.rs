//! A cross-encoder: two texts, read together, to the scores of a few labels.

use fontes_core::ModelIdentity;

use super::{
    EncoderConfig, EncoderError, batch,
    checkpoint::Checkpoint,
    config::Family,
    linear::{Inputs, Linear, Machine},
    network::{Network, Packed},
    tokenize::{TextTokenizer, Tokens},
};
use crate::kernels::{Then, ThreadPool};

/// An encoder with a classification head: what rerankers and judges are made of.
#[derive(Debug)]
pub(super) struct CrossEncoder {
    pub identity: ModelIdentity,
    pub network: Network,
    pub head: Head,
    pub tokenizer: TextTokenizer,
    pub tokens_per_batch: usize,
}

impl CrossEncoder {
    /// Reads inputs: a row of label scores for each, in order.
    pub fn read(&self, inputs: &[Tokens]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let (network, machine) = (&self.network, self.network.machine());
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let hidden = network.config().hidden;
        batch::run(machine, &lengths, self.tokens_per_batch, |pool, batch| {
            let mut packed = Packed::default();
            batch.iter().for_each(|&index| packed.push(&inputs[index].ids, &inputs[index].types));
            let states = network.forward(pool, &packed)?;
            let first: Vec<f32> = packed
                .sequences
                .iter()
                .flat_map(|sequence| &states[sequence.start * hidden..(sequence.start + 1) * hidden])
                .copied()
                .collect();
            self.head.labels((pool, machine), &first)
        })
    }
}

/// What turns the first token's vector into label scores: a dense layer, tanh, and a projection.
#[derive(Debug)]
pub(super) struct Head {
    dense: Linear,
    project: Linear,
}

impl Head {
    /// Loads the head. BERT keeps the dense layer in its pooler, XLM-RoBERTa in the classifier.
    pub fn load(checkpoint: &Checkpoint, config: &EncoderConfig) -> Result<Self, EncoderError> {
        let (square, out) = ([config.hidden; 2], [config.labels, config.hidden]);
        Ok(match config.family {
            Family::Bert => Self {
                dense: Linear::load_head(checkpoint, &checkpoint.pooler(), square)?,
                project: Linear::load_head(checkpoint, "classifier", out)?,
            },
            Family::XlmRoberta => Self {
                dense: Linear::load_head(checkpoint, "classifier.dense", square)?,
                project: Linear::load_head(checkpoint, "classifier.out_proj", out)?,
            },
        })
    }

    /// The label scores of each first token.
    fn labels(&self, machine: (&ThreadPool, &Machine), first_tokens: &[f32]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let mut inputs = Inputs::new(machine.1.isa);
        let mut states = vec![0.0; first_tokens.len()];
        self.dense.forward(machine, &mut inputs, first_tokens, Then::Bias, &mut states)?;
        states.iter_mut().for_each(|x| *x = x.tanh());
        let mut labels = vec![0.0; states.len() / self.dense.outputs() * self.project.outputs()];
        self.project.forward(machine, &mut inputs, &states, Then::Bias, &mut labels)?;
        if labels.iter().any(|score| !score.is_finite()) {
            return Err(EncoderError::NotANumber);
        }
        Ok(labels.chunks_exact(self.project.outputs()).map(<[f32]>::to_vec).collect())
    }
}
