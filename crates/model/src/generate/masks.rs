//! Ready-made masks.

use fontes_core::{DecodeStep, LogitMask, TokenId};

/// Lets the text be one of a few strings and nothing else.
///
/// Works on bytes, so that a choice may be spelled by any tokens, also by ones that split its characters.
#[derive(Clone, Debug)]
pub struct Choices {
    choices: Vec<Vec<u8>>,
}

impl Choices {
    /// Allows exactly `choices`. With none, or only empty ones, the text is empty.
    pub fn new(choices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { choices: choices.into_iter().map(|choice| choice.into().into_bytes()).collect() }
    }

    /// What may still follow the tokens so far.
    fn remainders(&self, step: &DecodeStep<'_>) -> Vec<&[u8]> {
        let bytes = |&token: &TokenId| step.vocabulary.token_bytes(token).unwrap_or_default();
        let written: Vec<u8> = step.tokens.iter().flat_map(bytes).copied().collect();
        self.choices.iter().filter_map(|choice| choice.strip_prefix(&written[..])).collect()
    }
}

impl LogitMask for Choices {
    fn apply(&mut self, step: &DecodeStep<'_>, logits: &mut [f32]) {
        let remainders = self.remainders(step);
        let complete = remainders.iter().any(|rest| rest.is_empty());
        let fits = |bytes: &[u8]| !bytes.is_empty() && remainders.iter().any(|rest| rest.starts_with(bytes));
        for (id, logit) in (0..).zip(logits.iter_mut()) {
            let allowed = match step.vocabulary.token_bytes(id) {
                Some(bytes) => fits(bytes),
                None => complete && step.vocabulary.end_tokens().contains(&id),
            };
            if !allowed {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}
