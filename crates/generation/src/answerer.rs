//! The answerer: from a question and its passages to an answer, step by step.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use fontes_core::{
    AccessScope, Answer, AskTimings, Cancel, Digest, Embedder, Error, ErrorKind, FinishReason, Generation,
    GenerationRequest, Generator, IndexSnapshot, Language, Ledger, LogitMask, ModelIdentity, Passage, Result, Sampling,
    Sentence, Support, TokenUsage,
};

use crate::{
    AnswerPolicy, MarkerMask, Prompts, Template,
    assembly::{Assembly, one_line, reduce},
    extractive::{self, Extract, Weights},
    marker::{Markers, write_markers},
    prompt::Room,
    source::{Source, sources},
    verify::Verifier,
};

/// Name of the method that answers without a model, as `model.name` of its answers.
pub const EXTRACTIVE: &str = "extractive";

/// Longest question, in bytes: several pages. What is longer is a document, not a question.
const MAX_QUESTION: usize = 16_384;

/// A question with what was found for it.
#[derive(Debug)]
pub struct AskRequest<'a> {
    /// The question as asked.
    pub question: &'a str,
    /// The passages found, best first, numbered from 1.
    pub passages: Vec<Passage>,
    /// The state of the index in which they were found.
    pub snapshot: IndexSnapshot,
    /// What whoever asks may see.
    pub scope: &'a AccessScope,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// At most this many tokens of answer.
    pub max_tokens: usize,
    /// Language of the answer's template; `None` goes by the question.
    pub language: Option<Language>,
    /// Quote, even when a generator is installed.
    pub extractive: bool,
    /// Give the extractive sentences at once, before the generated ones come.
    pub preview: bool,
    /// Milliseconds that search and fusion took.
    pub retrieval_ms: f64,
    /// Milliseconds that reranking took.
    pub rerank_ms: f64,
}

/// A step of an answer. Everything in it is plain text; markers and citations resolve.
#[derive(Clone, Copy, Debug)]
pub enum AskEvent<'a> {
    /// The passages that will be answered from.
    Passages(&'a [Passage]),
    /// Quoted sentences, while a generator is at work.
    Preview(&'a [Sentence]),
    /// More of the text as the model writes it, not checked yet. Only to show that something happens.
    Draft(&'a str),
    /// A checked sentence of the answer.
    Sentence(&'a Sentence),
    /// The whole answer.
    Done(&'a Answer),
}

/// Answers questions. Shared by any number of threads.
pub struct Answerer {
    generator: Option<Arc<dyn Generator>>,
    embedder: Arc<dyn Embedder>,
    ledger: Arc<dyn Ledger>,
    prompts: Prompts,
    policy: AnswerPolicy,
    weights: Weights,
    extractive: ModelIdentity,
}

/// What is known about a question before it is answered.
struct Question<'a> {
    request: &'a AskRequest<'a>,
    language: Language,
    template: &'a Template,
    begin: Instant,
}

/// A body of an answer and how it was made.
#[derive(Default)]
struct Body {
    text: String,
    sentences: Vec<Sentence>,
    extractive: bool,
    generation: Option<Generation>,
    before_generation_ms: f64,
}

impl Answerer {
    /// Joins the parts. Without a generator every answer is extractive.
    pub fn new(
        generator: Option<Arc<dyn Generator>>,
        embedder: Arc<dyn Embedder>,
        ledger: Arc<dyn Ledger>,
        prompts: Prompts,
        policy: AnswerPolicy,
    ) -> Self {
        let extractive = ModelIdentity { name: EXTRACTIVE.into(), sha256: Digest::of(b"fontes extractive v1") };
        Self { generator, embedder, ledger, prompts, policy, weights: Weights::default(), extractive }
    }

    /// The generator, if there is one.
    pub fn generator(&self) -> Option<&Arc<dyn Generator>> {
        self.generator.as_ref()
    }

    /// Answers. Every citation of the answer resolves against the ledger as it is now; a sentence without a
    /// citation is there only under [`crate::Unsupported::Mark`], and says so. Same request, same state, same
    /// models: same answer, times aside.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an empty or endless question; [`ErrorKind::Timeout`] when cancelled before
    /// the first sentence; whatever ledger, embedder and generator give.
    pub fn answer(
        &self,
        mut request: AskRequest<'_>,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<Answer> {
        let begin = Instant::now();
        if request.question.trim().is_empty() {
            return Err(Error::invalid("question is empty").advise("ask something"));
        }
        if request.question.len() > MAX_QUESTION {
            return Err(Error::invalid(format!("question is longer than {MAX_QUESTION} bytes"))
                .advise("ask a shorter question, and ingest what is to be read as a document"));
        }
        let language = request.language.unwrap_or_else(|| Language::detect(request.question));
        let passages = std::mem::take(&mut request.passages);
        let sources = sources(passages, self.ledger.as_ref(), request.scope)?;
        let question = Question { request: &request, language, template: self.prompts.template(language), begin };
        let (sources, body) = self.body(&question, sources, on_event, cancel)?;
        let answer = self.complete(&question, sources, body);
        on_event(AskEvent::Done(&answer));
        Ok(answer)
    }

    /// The sentences of the answer, none when the sources do not say.
    fn body(
        &self,
        question: &Question<'_>,
        mut sources: Vec<Source>,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<(Vec<Source>, Body)> {
        let asked = question.request.question;
        let extracts = extractive::rank(asked, &sources, self.embedder.as_ref(), &self.weights)?;
        let confidence = extracts.iter().map(|extract| extract.confidence).fold(0.0, f32::max);
        let generator = self.generator.as_ref().filter(|_| !question.request.extractive);
        let speaks = confidence >= self.policy.extract_threshold;
        let Some(generator) = generator.filter(|_| speaks) else {
            on_event(AskEvent::Passages(&given(&sources)));
            let body = if speaks { self.quote(&sources, &extracts) } else { Body::default() };
            body.sentences.iter().for_each(|sentence| on_event(AskEvent::Sentence(sentence)));
            return Ok((sources, Body { extractive: true, ..body }));
        };
        let quoted = self.quote(&sources, &extracts);
        let room = Room { answer: question.request.max_tokens, passages: self.policy.passage_tokens };
        let messages = question.template.pack(asked, &mut sources, generator.as_ref(), room)?;
        on_event(AskEvent::Passages(&given(&sources)));
        if question.request.preview {
            on_event(AskEvent::Preview(&quoted.sentences));
        }
        let before_generation_ms = milliseconds(question.begin.elapsed());
        let generated = self.generate(question, generator.as_ref(), &sources, &messages, on_event, cancel)?;
        let (mut body, gave_up) = generated;
        if body.sentences.is_empty() && !gave_up && self.policy.verify {
            // Nothing the model wrote holds. What the sources say word for word does, if it was given.
            let within = |sentence: &Sentence| {
                sentence.citations.iter().all(|citation| {
                    sources.iter().any(|source| {
                        source.marker() == citation.marker && citation.span.end <= source.passage.hit.span.end
                    })
                })
            };
            if quoted.sentences.iter().all(within) {
                quoted.sentences.iter().for_each(|sentence| on_event(AskEvent::Sentence(sentence)));
                body = Body { generation: body.generation, ..quoted };
            }
        }
        Ok((sources, Body { before_generation_ms, ..body }))
    }

    /// Runs the generator under the marker grammar and assembles what it writes. The flag says whether the
    /// model said that the sources do not say.
    fn generate(
        &self,
        question: &Question<'_>,
        generator: &dyn Generator,
        sources: &[Source],
        messages: &[fontes_core::Message],
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<(Body, bool)> {
        let verifier = Verifier::new(self.embedder.as_ref(), &self.policy);
        let mut assembly = Assembly::new(sources, question.template, &self.policy, question.language, verifier);
        let mut mask = MarkerMask::new(sources.iter().map(Source::marker), question.template.abstention());
        let mut failure = None;
        let mut shown = 0;
        let mut on_text = |piece: &str| {
            if let Err(error) = assembly.push(piece) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            if let Some(draft) = assembly.draft() {
                on_event(AskEvent::Draft(&draft));
            }
            for sentence in &assembly.sentences[shown..] {
                on_event(AskEvent::Sentence(sentence));
            }
            shown = assembly.sentences.len();
            if assembly.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let request = GenerationRequest {
            messages,
            sampling: &question.request.sampling,
            max_tokens: question.request.max_tokens,
            stop: &[],
            mask: self.policy.constrain.then_some(&mut mask as &mut dyn LogitMask),
            attention: false,
        };
        let generation = generator.generate(request, &mut on_text, cancel)?;
        if let Some(error) = failure {
            return Err(error);
        }
        if !is_cut(&generation) {
            assembly.finish()?;
        }
        for sentence in &assembly.sentences[shown..] {
            on_event(AskEvent::Sentence(sentence));
        }
        if cancel.is_cancelled() && assembly.sentences.is_empty() {
            return Err(Error::new(ErrorKind::Timeout, "answer was cancelled before its first sentence"));
        }
        let gave_up = assembly.gave_up;
        let body = Body {
            text: assembly.text,
            sentences: assembly.sentences,
            generation: Some(generation),
            ..Body::default()
        };
        Ok((body, gave_up))
    }

    /// Quotes the chosen sentences.
    fn quote(&self, sources: &[Source], extracts: &[Extract]) -> Body {
        let mut body = Body { extractive: true, ..Body::default() };
        for extract in extractive::choose(extracts, &self.policy) {
            let source = &sources[extract.source];
            let citation = source.cite(extract.span);
            let quote = one_line(&citation.quote);
            // A source's own footnote numbers must not pass as citations.
            let text = one_line(&reduce(&quote, &Markers::new()).text);
            if text.is_empty() {
                continue;
            }
            if !body.text.is_empty() {
                body.text.push('\n');
            }
            body.text.push_str(&format!("{text} {}", write_markers([citation.marker])));
            let support = if text == quote { Support::Verbatim } else { Support::Supported };
            body.sentences.push(Sentence { text, citations: vec![citation], support });
        }
        body
    }

    /// Puts the record around the body.
    fn complete(&self, question: &Question<'_>, sources: Vec<Source>, body: Body) -> Answer {
        let request = question.request;
        let abstained = body.sentences.iter().all(|sentence| sentence.support == Support::Unsupported);
        let text = if body.sentences.is_empty() { question.template.abstention().to_owned() } else { body.text };
        let generator = self.generator.as_ref().filter(|_| !body.extractive);
        let found_ms = request.retrieval_ms + request.rerank_ms;
        let generation = body.generation.as_ref();
        Answer {
            question: request.question.to_owned(),
            answer: text,
            abstained,
            extractive: body.extractive,
            sentences: body.sentences,
            passages: given(&sources),
            model: generator.map_or(&self.extractive, |generator| generator.identity()).clone(),
            index_snapshot: request.snapshot,
            prompt_sha256: question.template.digest(),
            seed: request.sampling.seed,
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

fn given(sources: &[Source]) -> Vec<Passage> {
    sources.iter().map(|source| source.passage.clone()).collect()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
#[path = "answerer_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile;
