//! What a site decides about answers: how strict the checks are and when Fontes stays silent.

use serde::{Deserialize, Serialize};

/// What happens to a sentence that no source carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// It is left out. The default: nothing uncited is presented as fact.
    #[default]
    Drop,
    /// It is shown, marked as not carried by the sources.
    Mark,
}

/// Thresholds and choices of the citation contract. Similarities are cosines of the installed embedder; the
/// defaults are set for multilingual-e5-small, whose cosines lie close together (unrelated sentences reach
/// 0.8). Only `threshold` is calibrated on data; the others are judgement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerPolicy {
    /// What happens to unsupported sentences.
    pub unsupported: Unsupported,
    /// A sentence is carried when this share of its content words is in the cited span (facts agreeing).
    pub containment: f32,
    /// With less than that, but at least this share, similarity may decide.
    pub containment_floor: f32,
    /// The similarity that then suffices.
    pub similarity: f32,
    /// The similarity that suffices across languages, where words cannot be compared.
    pub similarity_across: f32,
    /// What a judge, where there is one, must find at least as probable of a sentence that words or similarity carry.
    pub judgement: f32,
    /// Fontes stays silent when the probability that the best sentence found holds the answer is below this.
    pub threshold: f32,
    /// Passages are shown with an abstention when their best sentence holds the answer with at least this probability, …
    pub close: f32,
    /// … or when the passage is this similar to the question. Everything else is of another matter.
    pub close_similarity: f32,
    /// Most places the extractive method quotes.
    pub quote_limit: usize,
    /// A further place is quoted only when it is at least this share as likely as the best.
    pub quote_ratio: f32,
    /// The sentence before or after joins the quote when it is at least this share as likely.
    pub neighbour_ratio: f32,
    /// Most sentences of a generated answer; small models do not know when to stop.
    pub sentence_limit: usize,
    /// Most tokens of passages given to a generator. Reading them is what a machine without a GPU spends its
    /// time on, and small models lose the thread in long prompts.
    pub passage_tokens: usize,
    /// How often to generate anew, warmer each time, when nothing that was written holds.
    pub repairs: u32,
    /// Decode under the marker grammar. Off only to measure what it does.
    pub constrain: bool,
    /// Check sentences against their sources. Off only to measure what it does.
    pub verify: bool,
}

impl Default for AnswerPolicy {
    fn default() -> Self {
        Self {
            unsupported: Unsupported::Drop,
            containment: 0.6,
            containment_floor: 0.3,
            similarity: 0.90,
            similarity_across: 0.88,
            judgement: 0.5,
            threshold: 0.35,
            close: 0.1,
            close_similarity: 0.83,
            quote_limit: 2,
            quote_ratio: 0.95,
            neighbour_ratio: 0.1,
            sentence_limit: 12,
            passage_tokens: 1_200,
            repairs: 1,
            constrain: true,
            verify: true,
        }
    }
}
