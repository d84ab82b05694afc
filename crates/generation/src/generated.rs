//! The generated way: a model writes under the marker grammar, and what holds is kept.

use std::ops::ControlFlow;

use fontes_core::{
    Attention, Cancel, Error, ErrorKind, FinishReason, Generation, GenerationRequest, Generator, LogitMask, Message,
    PromptOrigin, Remark, Result, Sampling,
};

use crate::{
    MarkerMask,
    answerer::{Answerer, AskEvent, Body, Question},
    assembly::{Assembly, Likely, Written},
    source::Source,
    verify::Verifier,
};

/// Temperature of the first attempt at repair; each further one is as much warmer.
const REPAIR_TEMPERATURE: f32 = 0.5;

/// More bytes to a token than any text has on average: a server that does not keep to the number of tokens is stopped here.
const BYTES_PER_TOKEN: usize = 16;

/// Nucleus of repairs: warm enough to differ, not enough to babble (Holtzman et al. 2020).
const REPAIR_TOP_P: f32 = 0.9;

/// A generator with what it is given.
pub(crate) struct Prompted<'a> {
    pub(crate) generator: &'a dyn Generator,
    pub(crate) sources: &'a [Source],
    /// The sentences of the sources that are likely to hold the answer.
    pub(crate) likely: &'a [Likely],
    pub(crate) messages: &'a [Message],
}

/// What came of one run of the generator.
struct Attempt {
    body: Body,
    gave_up: bool,
    astray: bool,
}

impl Answerer {
    /// Generates, and once more, warmer, when nothing of it holds. The flag says whether the model said that the
    /// sources do not say.
    pub(crate) fn generate(
        &self,
        question: &Question<'_>,
        prompted: &Prompted<'_>,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<(Body, bool)> {
        let asked = &question.request.settings.sampling;
        for repair in 0..=self.policy.repairs {
            let sampling = match repair {
                0 => asked.clone(),
                _ => Sampling {
                    temperature: asked.temperature + REPAIR_TEMPERATURE * repair as f32,
                    top_p: asked.top_p.min(REPAIR_TOP_P),
                    seed: asked.seed.wrapping_add(u64::from(repair)),
                    ..asked.clone()
                },
            };
            let Attempt { body, gave_up, astray } = self.attempt(question, prompted, &sampling, on_event, cancel)?;
            // A model that is astray has read its sources another way, which warmth does not change.
            let done = !body.sentences.is_empty() || gave_up || astray || !self.policy.verify;
            if done || repair == self.policy.repairs || cancel.is_cancelled() {
                return Ok((body, gave_up));
            }
        }
        Ok((Body::default(), false))
    }

    /// Runs the generator once and assembles what it writes.
    fn attempt(
        &self,
        question: &Question<'_>,
        prompted: &Prompted<'_>,
        sampling: &Sampling,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<Attempt> {
        let Prompted { generator, sources, likely, messages } = *prompted;
        let verifier = Verifier::new(question.asked, question.language, self.embedder.as_ref(), &self.policy);
        let mut assembly = Assembly::new(sources, likely, question.template, &self.policy, question.language, verifier);
        let mut mask = MarkerMask::new(sources.iter().map(Source::marker), question.template.abstention());
        let judge = self.judge.as_ref().filter(|_| self.policy.verify && self.policy.judgement > 0.0);
        let mut failure = None;
        let mut shown = 0;
        let (mut taken, most) = (0, question.request.settings.max_tokens.saturating_mul(BYTES_PER_TOKEN));
        let mut on_text = |piece: &str| {
            if let Err(error) = assembly.push(piece) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            if let Some(draft) = assembly.draft() {
                on_event(AskEvent::Draft(&draft));
            }
            // A judge speaks when everything is written: the model that judges may be the one at work here.
            let settled = if judge.is_some() { &[] } else { assembly.settled() };
            for written in &settled[shown..] {
                on_event(AskEvent::Sentence(&written.sentence));
            }
            shown = settled.len();
            taken += piece.len();
            if assembly.is_over() || taken > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let documents: Vec<_> = sources.iter().map(|source| source.passage.hit.document_id).collect();
        let request = GenerationRequest {
            messages,
            sampling,
            max_tokens: question.request.settings.max_tokens,
            stop: &[],
            mask: self.policy.constrain.then_some(&mut mask as &mut dyn LogitMask),
            attention: question.request.settings.attention,
            origin: Some(PromptOrigin { scope: question.request.scope.digest(), documents: &documents }),
        };
        let generation = generator.generate(request, &mut on_text, cancel)?;
        if let Some(error) = failure {
            return Err(error);
        }
        assembly.finish(is_cut(&generation))?;
        if let Some(judge) = judge {
            assembly.judge(judge.as_ref(), (question.asked, question.spoken), cancel)?;
        }
        assembly.anchor();
        for written in &assembly.written[shown..] {
            on_event(AskEvent::Sentence(&written.sentence));
        }
        if cancel.is_cancelled() && assembly.written.is_empty() {
            return Err(Error::new(ErrorKind::Timeout, "answer was cancelled before its first sentence"));
        }
        attribute(&mut assembly.written, &generation, sources);
        let dropped = assembly.dropped;
        let remarks = if dropped > 0 && !assembly.written.is_empty() {
            vec![Remark::LeftOut { sentences: dropped }]
        } else {
            Vec::new()
        };
        let (gave_up, astray) = (assembly.gave_up, assembly.astray);
        let body = Body {
            text: assembly.text(),
            sentences: assembly.written.into_iter().map(|written| written.sentence).collect(),
            remarks,
            generation: Some(generation),
            ..Body::default()
        };
        Ok(Attempt { body, gave_up, astray })
    }
}

/// Says whether the last sentence was cut off in the middle, by the budget or by whoever asked.
fn is_cut(generation: &Generation) -> bool {
    matches!(generation.finish, FinishReason::Length | FinishReason::Cancelled)
        && !crate::sentence::is_finished(
            generation
                .text
                .trim_end()
                .trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '[' | ']' | ',' | ' ')),
        )
}

/// Writes to each sentence where the generator looked while it wrote it: the mean over the sentence's tokens and
/// all groups of layers, per passage.
fn attribute(written: &mut [Written], generation: &Generation, sources: &[Source]) {
    for Written { sentence, place, .. } in written {
        let rows: Vec<&Vec<f32>> = generation
            .attention
            .iter()
            .filter(|token| place.start <= token.offset && token.offset < place.end)
            .flat_map(|token| &token.mass)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let share = |number: usize| rows.iter().filter_map(|row| row.get(number)).sum::<f32>() / rows.len() as f32;
        sentence.attention = sources
            .iter()
            .enumerate()
            .map(|(number, source)| Attention { marker: source.marker(), share: share(number) })
            .collect();
        sentence.attention.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.marker.cmp(&b.marker)));
    }
}
