//! How much memory a decoder takes, known before anything is loaded.

use super::{
    DecoderError, DecoderWeights, LayerRole, Role,
    config::DecoderConfig,
    error::gib,
    options::{Dtype, OpenOptions},
};
use crate::weights::WeightType;

/// A session is assumed to want room for this many tokens: a question with its passages.
const USUAL_SESSION: usize = 4096;

/// Rows of activations alive during a pass of a long prompt, and the block of attention scores.
const PASS_ROWS: u64 = 512;
const SCORE_BYTES: u64 = 3 * (64 << 20);

/// What is needed for the weights and for each cached token, against what may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryBudget {
    resident: u64,
    per_token: u64,
    available: Option<u64>,
}

impl MemoryBudget {
    /// Estimates the needs of the candle runner and refuses what cannot fit.
    pub(super) fn plan(weights: &DecoderWeights, options: &OpenOptions) -> Result<Self, DecoderError> {
        let config = weights.config();
        let mut matrices = 0;
        for role in weights.roles().filter(|&role| is_matrix(role)) {
            let view = weights.tensor(role)?;
            matrices += candle_bytes(view.dtype, view.elements(), view.shape[1], options.dtype);
        }
        let per_token = config.kv_bytes_per_token(options.kv_dtype.bytes());
        let budget = Self { resident: matrices + scratch(config), per_token, available: options.max_memory };
        let needed = budget.resident.saturating_add(usual_session(config, options.kv_dtype.bytes()));
        match options.max_memory {
            Some(available) if needed > available => {
                let fits = what_fits(weights, needed - matrices, available)?;
                Err(DecoderError::TooLittleMemory { needed, available, fits })
            }
            _ => Ok(budget),
        }
    }

    fn with_session(&self, tokens: usize) -> u64 {
        self.resident.saturating_add(self.per_token.saturating_mul(tokens as u64))
    }

    /// Refuses a session whose cache would not fit beside the weights.
    pub(super) fn admit(&self, tokens: usize) -> Result<(), DecoderError> {
        let needed = self.with_session(tokens);
        match self.available {
            Some(available) if needed > available => {
                let fitting = available.saturating_sub(self.resident) / self.per_token.max(1);
                let fits = format!("a session of {fitting} tokens would fit");
                Err(DecoderError::TooLittleMemory { needed, available, fits })
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of the cache of a session as it is usually wanted.
pub(super) fn usual_session(config: &DecoderConfig, element_bytes: usize) -> u64 {
    config.kv_bytes_per_token(element_bytes).saturating_mul(config.context_length.min(USUAL_SESSION) as u64)
}

fn is_matrix(role: Role) -> bool {
    use LayerRole::{AttentionOutput, Down, Gate, Key, Query, Up, Value};
    match role {
        // The embedding stays in the mapped file.
        Role::Embedding | Role::OutputNorm => false,
        Role::Output => true,
        Role::Layer(_, role) => matches!(role, Query | Key | Value | AttentionOutput | Gate | Up | Down),
    }
}

/// Bytes of a matrix in candle: quantised ones are copied, and x86 keeps a second, repacked form of some types
/// whose rows fill super-blocks (6 bits per weight for Q4_K; about the stored size for Q6_K and Q8_0).
fn candle_bytes(stored: WeightType, elements: usize, columns: usize, dtype: Dtype) -> u64 {
    let stored = if stored.is_quantised() { stored } else { dtype.stored(columns) };
    let copy = stored.byte_len(elements).unwrap_or(usize::MAX) as u64;
    let repacked = match stored {
        _ if !columns.is_multiple_of(256) => 0,
        WeightType::Q4_K => copy / 3 * 4,
        WeightType::Q6_K | WeightType::Q8_0 => copy,
        _ => 0,
    };
    copy.saturating_add(repacked)
}

fn scratch(config: &DecoderConfig) -> u64 {
    let context = config.context_length as u64;
    let widths = 6 * config.hidden + 3 * config.intermediate + 4 * config.heads * config.head_dim;
    let rows = PASS_ROWS.min(context);
    let scores = (3 * 4 * config.heads as u64).saturating_mul(rows.saturating_mul(context));
    4 * widths as u64 * rows + 4 * config.output_rows as u64 + SCORE_BYTES.min(scores)
}

/// The least compressed form of the same model that would fit, as a clause.
pub(super) fn what_fits(weights: &DecoderWeights, beside: u64, available: u64) -> Result<String, DecoderError> {
    let mut elements = 0;
    for role in weights.roles().filter(|&role| is_matrix(role)) {
        elements += weights.tensor(role)?.elements() as u64;
    }
    for kind in [WeightType::Q8_0, WeightType::Q6_K, WeightType::Q5_K, WeightType::Q4_K] {
        let bytes = elements / kind.block_len() as u64 * kind.block_bytes() as u64 + beside;
        if bytes <= available {
            return Ok(format!("the same model as {kind} would fit in {} with the CPU runner", gib(bytes)));
        }
    }
    // Four and a half bits per weight, as in Q4_K.
    let parameters = available.saturating_sub(beside) as f64 * 8.0 / 4.5 / 1e9;
    Ok(format!("a model of {parameters:.1} billion parameters as Q4_K would fit"))
}
