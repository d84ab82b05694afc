//! Query and passage to score: a cross-encoder with a classification head.

use std::time::{Duration, Instant};

use fontes_core::{ModelIdentity, Result, seam::Reranker};

use super::{EncoderError, batch, cross::CrossEncoder, tokenize::Tokens};

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
    pub(super) encoder: CrossEncoder,
    pub(super) budget: RerankBudget,
}

impl EncoderReranker {
    /// Passages in their order, until the budget is spent; those not reached score NaN.
    fn score_all(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, EncoderError> {
        let (begin, machine) = (Instant::now(), self.encoder.network.machine());
        let inputs = batch::each(&machine.pool, passages, |passage| self.encoder.tokenizer.pair(query, passage))?;
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

    /// The only label of each, or the second against the first.
    fn score_inputs(&self, inputs: &[Tokens]) -> Result<Vec<f32>, EncoderError> {
        let rows = self.encoder.read(inputs)?;
        Ok(rows.into_iter().map(|row| if let [no, yes] = row[..] { yes - no } else { row[0] }).collect())
    }
}

impl Reranker for EncoderReranker {
    fn identity(&self) -> &ModelIdentity {
        &self.encoder.identity
    }

    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        Ok(self.score_all(query, passages)?)
    }
}
