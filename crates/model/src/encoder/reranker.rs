//! Query and passage to score: a cross-encoder with a classification head.

use std::time::{Duration, Instant};

use fontes_core::{ModelIdentity, Result, seam::Reranker};

use super::{
    EncoderConfig, EncoderError, batch,
    checkpoint::Checkpoint,
    config::Family,
    linear::{Inputs, Linear, Machine},
    network::{Network, Packed},
    tokenize::{TextTokenizer, Tokens},
};
use crate::kernels::{Then, ThreadPool};

/// What one call may spend. A cross-encoder reads every passage together with the query, and a large one reads a few hundred
/// tokens a second on a small machine: an answer must not wait for the fiftieth passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RerankBudget {
    /// Tokens of all pairs together. The first passage is read in any case.
    pub tokens: usize,
    /// Time after which no further passage is begun.
    pub time: Duration,
}

impl Default for RerankBudget {
    /// 16,384 tokens (fifty passages of 300), one second.
    fn default() -> Self {
        Self { tokens: 16_384, time: Duration::from_secs(1) }
    }
}

/// Tokens between two looks at the time, for each thread: enough for a batch.
const TURN: usize = 512;

/// A cross-encoder on a BERT or XLM-RoBERTa encoder.
#[derive(Debug)]
pub struct EncoderReranker {
    pub(super) identity: ModelIdentity,
    pub(super) network: Network,
    pub(super) head: Head,
    pub(super) tokenizer: TextTokenizer,
    pub(super) tokens_per_batch: usize,
    pub(super) budget: RerankBudget,
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
        let mut inputs = Inputs::new(machine.1.isa);
        let mut states = vec![0.0; first_tokens.len()];
        self.dense.forward(machine, &mut inputs, first_tokens, Then::Bias, &mut states)?;
        states.iter_mut().for_each(|x| *x = x.tanh());
        let mut labels = vec![0.0; states.len() / self.dense.outputs() * self.project.outputs()];
        self.project.forward(machine, &mut inputs, &states, Then::Bias, &mut labels)?;
        let score = |row: &[f32]| if let [no, yes] = row { yes - no } else { row[0] };
        let scores: Vec<f32> = labels.chunks_exact(self.project.outputs()).map(score).collect();
        if scores.iter().all(|score| score.is_finite()) { Ok(scores) } else { Err(EncoderError::NotANumber) }
    }
}

impl EncoderReranker {
    /// Passages in their order, until the budget is spent; those not reached score NaN.
    fn score_all(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, EncoderError> {
        let (begin, machine) = (Instant::now(), self.network.machine());
        let inputs = batch::each(&machine.pool, passages, |passage| self.tokenizer.pair(query, passage))?;
        let mut spent = 0;
        let affordable = inputs.iter().take_while(|input| {
            let first = spent == 0;
            spent += input.ids.len();
            first || spent <= self.budget.tokens
        });
        let affordable = affordable.count();
        let mut scores = Vec::with_capacity(passages.len());
        let mut rest = &inputs[..affordable];
        while !rest.is_empty() && (scores.is_empty() || begin.elapsed() < self.budget.time) {
            let mut tokens = 0;
            let turn = rest.iter().position(|input| {
                tokens += input.ids.len();
                tokens > TURN * machine.pool.threads()
            });
            let (now, later) = rest.split_at(turn.map_or(rest.len(), |turn| turn.max(1)));
            scores.extend(self.score_inputs(now)?);
            rest = later;
        }
        scores.resize(passages.len(), f32::NAN);
        Ok(scores)
    }

    fn score_inputs(&self, inputs: &[Tokens]) -> Result<Vec<f32>, EncoderError> {
        let machine = self.network.machine();
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let hidden = self.network.config().hidden;
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
