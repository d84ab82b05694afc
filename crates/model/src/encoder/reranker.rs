//! Query and passage to score: a cross-encoder with a classification head.

use fontes_core::{ModelIdentity, Result, seam::Reranker};

use super::{
    EncoderConfig, EncoderError, batch,
    checkpoint::Checkpoint,
    config::Family,
    linear::{Linear, Machine, Then},
    network::{Network, Packed},
    tokenize::{TextTokenizer, Tokens},
};
use crate::kernels::ThreadPool;

/// A cross-encoder on a BERT or XLM-RoBERTa encoder.
#[derive(Debug)]
pub struct EncoderReranker {
    pub(super) identity: ModelIdentity,
    pub(super) network: Network,
    pub(super) head: Head,
    pub(super) tokenizer: TextTokenizer,
    pub(super) tokens_per_batch: usize,
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
        if !(1..=2).contains(&config.labels) {
            let found = format!("of {} labels", config.labels);
            return Err(EncoderError::Unsupported { what: "classification head", found, supported: "1 or 2 labels" });
        }
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

    /// One score per row: the only label, or the second against the first.
    fn score(&self, machine: (&ThreadPool, &Machine), first_tokens: &[f32]) -> Result<Vec<f32>, EncoderError> {
        let (mut activations, mut states, mut labels) = (machine.1.activations(), Vec::new(), Vec::new());
        self.dense.forward(machine, &mut activations, first_tokens, Then::Bias, &mut states)?;
        states.iter_mut().for_each(|x| *x = x.tanh());
        self.project.forward(machine, &mut activations, &states, Then::Bias, &mut labels)?;
        let score = |row: &[f32]| if let [no, yes] = row { yes - no } else { row[0] };
        let scores: Vec<f32> = labels.chunks_exact(self.project.outputs()).map(score).collect();
        if scores.iter().all(|score| score.is_finite()) { Ok(scores) } else { Err(EncoderError::NotANumber) }
    }
}

impl EncoderReranker {
    fn score_all(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, EncoderError> {
        let inputs: Vec<Tokens> =
            passages.iter().map(|passage| self.tokenizer.pair(query, passage)).collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let hidden = self.network.config().hidden;
        let machine = self.network.machine();
        batch::run(machine, &lengths, self.tokens_per_batch, |pool, batch| {
            let mut packed = Packed::default();
            batch.iter().for_each(|&index| packed.push(&inputs[index].ids, &inputs[index].types));
            let states = self.network.forward(pool, &packed)?;
            let first: Vec<f32> = packed
                .sequences
                .iter()
                .flat_map(|sequence| &states[sequence.start * hidden..(sequence.start + 1) * hidden])
                .copied()
                .collect();
            self.head.score((pool, machine), &first)
        })
    }
}

impl Reranker for EncoderReranker {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        Ok(self.score_all(query, passages)?)
    }
}
