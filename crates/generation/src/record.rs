//! The record: what is put around the sentences of an answer, so that it can be checked and repeated.

use fontes_core::{Answer, AskTimings, Digest, Support, TokenUsage};

use crate::{
    answerer::{Answerer, Body, Question, given, milliseconds},
    source::Source,
};

impl Answerer {
    /// Puts the record around the body.
    pub(crate) fn complete(&self, question: &Question<'_>, sources: &[Source], body: Body) -> Answer {
        let request = question.request;
        let abstained = body.sentences.iter().all(|sentence| sentence.support == Support::Unsupported);
        let text = if body.sentences.is_empty() { question.template.abstention().to_owned() } else { body.text };
        let generator = self.generator.as_ref().filter(|_| !body.extractive);
        let found_ms = request.retrieval_ms + request.rerank_ms;
        let generation = body.generation.as_ref();
        Answer {
            question: request.question.to_owned(),
            standalone: request.standalone.clone(),
            queries: request.queries.clone(),
            answer: text,
            abstained,
            extractive: body.extractive,
            confidence: body.confidence,
            remarks: body.remarks,
            sentences: body.sentences,
            passages: given(sources),
            model: generator.map_or(&self.extractive, |generator| generator.identity()).clone(),
            index_snapshot: request.snapshot,
            prompt_sha256: question.template.digest(),
            config_sha256: Some(self.config_digest(question, generation.is_some())),
            settings: request.settings.clone(),
            left_out: body.left_out,
            seed: request.settings.sampling.seed,
            tokens: generation.map_or_else(TokenUsage::default, |generation| generation.tokens),
            timings_ms: AskTimings {
                retrieval: request.retrieval_ms,
                rerank: request.rerank_ms,
                prefill: generation.map_or(0.0, |generation| generation.prefill_ms),
                first_token: generation
                    .map_or(0.0, |generation| found_ms + body.before_generation_ms + generation.first_token_ms),
                total: found_ms + milliseconds(question.begin.elapsed()),
            },
        }
    }

    /// Digest of policy, settings and the judge of what was generated. The debug form lists every field by name, so a new field changes it.
    fn config_digest(&self, question: &Question<'_>, generated: bool) -> Digest {
        let judge = self.judge.as_ref().filter(|_| generated).map(|judge| judge.identity());
        Digest::of(format!("{:?}\n{:?}\n{judge:?}", self.policy, question.request.settings).as_bytes())
    }
}
