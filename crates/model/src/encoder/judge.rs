//! Text and statement to probability: a cross-encoder trained on natural language inference (Bowman et al. 2015,
//! arXiv 1508.05326), or one that scores how well two texts go together.

use fontes_core::{
    Cancel, ModelIdentity, Result,
    seam::{Inference, Judge},
};

use super::{EncoderError, cross::CrossEncoder};

/// A cross-encoder on a BERT or XLM-RoBERTa encoder that says whether one text entails another.
#[derive(Debug)]
pub struct EncoderJudge(pub(super) CrossEncoder);

impl Judge for EncoderJudge {
    fn identity(&self) -> &ModelIdentity {
        &self.0.identity
    }

    /// The question has no place in natural language inference and is not read.
    fn entails(&self, inference: &Inference<'_>, _: &Cancel) -> Result<f32> {
        let input = self.0.tokenizer.premise_and_statement(inference.text, inference.statement)?;
        let rows = self.0.read(&[input])?;
        let labels = rows.first().ok_or(EncoderError::NotANumber)?;
        Ok(probability(labels, self.0.network.config().entailment))
    }
}

/// The share of label `entailment`; of the last one where none is named; of a single score its logistic function.
fn probability(labels: &[f32], entailment: Option<usize>) -> f32 {
    match labels {
        [score] => 1.0 / (1.0 + (-score).exp()),
        _ => {
            let chosen = labels[entailment.unwrap_or(labels.len() - 1)];
            1.0 / labels.iter().map(|score| (score - chosen).exp()).sum::<f32>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_label_counts() {
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(probability(&[0.0], None), 0.5);
        near(probability(&[0.0, 3f32.ln()], None), 0.75);
        near(probability(&[2f32.ln(), 0.0, 0.0], Some(0)), 0.5);
        near(probability(&[-1e30, 80.0, 1e30], Some(1)), 0.0);
    }
}
