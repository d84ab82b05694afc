//! The answerer: from a question and its passages to an answer, step by step.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fontes_core::{
    AccessScope, Answer, AskSettings, Cancel, Citation, Digest, Embedder, Error, Generation, Generator, IndexSnapshot,
    Judge, Language, Ledger, LeftOut, ModelIdentity, Passage, Reader, Remark, Result, Sentence, Span, Subquery,
    Support,
};

use crate::{
    AnswerPolicy, Prompts, Template,
    assembly::{Likely, one_line, reduce},
    clean::hides_text,
    conflict::{conflicting, successor},
    estimate::Estimate,
    extractive::{self, Extract, Scales},
    generated::Prompted,
    marker::{Markers, write_markers},
    parts::{self, Part},
    prompt::Room,
    signals::Signals,
    source::{Source, sources},
    standing::Standing,
    table::labelled,
};

/// Name of the method that answers without a model, as `model.name` of its answers.
pub const EXTRACTIVE: &str = "extractive";

/// The extractive method and its version, digested into answers: the same method gives the same quotes.
const METHOD: &str = "fontes extractive v7";

/// Longest question, in bytes: several pages. What is longer is a document, not a question.
const MAX_QUESTION: usize = 16_384;

/// A question with what was found for it.
#[derive(Debug)]
pub struct AskRequest<'a> {
    /// The question as asked.
    pub question: &'a str,
    /// The question made to stand alone, when it leaned on earlier ones: what is answered then.
    pub standalone: Option<String>,
    /// What was searched for, when that was more than the question.
    pub queries: Vec<Subquery>,
    /// What a reader should know about how it was searched for.
    pub remarks: Vec<Remark>,
    /// The passages found, best first, numbered from 1.
    pub passages: Vec<Passage>,
    /// The state of the index in which they were found.
    pub snapshot: IndexSnapshot,
    /// What whoever asks may see.
    pub scope: &'a AccessScope,
    /// What decides the answer beside the question.
    pub settings: AskSettings,
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

/// A sentence that may answer, and what the extractive method weighs it by. For learning and inspecting.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// The sentence and its place.
    pub citation: Citation,
    /// The probability that it holds the answer, 0..=1.
    pub probability: f32,
    /// Signals by name, each about 0..=1.
    pub signals: Vec<(&'static str, f32)>,
}

/// Answers questions. Shared by any number of threads.
pub struct Answerer {
    pub(crate) generator: Option<Arc<dyn Generator>>,
    pub(crate) embedder: Arc<dyn Embedder>,
    reader: Option<Arc<dyn Reader>>,
    pub(crate) judge: Option<Arc<dyn Judge>>,
    ledger: Arc<dyn Ledger>,
    prompts: Prompts,
    pub(crate) policy: AnswerPolicy,
    estimate: Estimate,
    pub(crate) extractive: ModelIdentity,
}

/// What is known about a question before it is answered.
pub(crate) struct Question<'a> {
    pub(crate) request: &'a AskRequest<'a>,
    /// The question that is answered.
    pub(crate) asked: &'a str,
    pub(crate) language: Language,
    /// The language of the answer's fixed words.
    pub(crate) spoken: Language,
    pub(crate) template: &'a Template,
    /// Probability below which a sentence is no answer.
    pub(crate) threshold: f32,
    pub(crate) begin: Instant,
}

/// A body of an answer and how it was made.
#[derive(Default)]
pub(crate) struct Body {
    pub(crate) text: String,
    pub(crate) sentences: Vec<Sentence>,
    pub(crate) extractive: bool,
    pub(crate) confidence: f32,
    pub(crate) remarks: Vec<Remark>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) generation: Option<Generation>,
    pub(crate) before_generation_ms: f64,
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
        let extractive = ModelIdentity { name: EXTRACTIVE.into(), sha256: Digest::of(METHOD.as_bytes()) };
        let estimate = Estimate::default();
        Self { generator, embedder, reader: None, judge: None, ledger, prompts, policy, estimate, extractive }
    }

    /// Lets `reader` say where answers stand, beside words and similarity.
    #[must_use]
    pub fn with_reader(self, reader: Arc<dyn Reader>) -> Self {
        let method = format!("{METHOD} {}", reader.identity().sha256);
        let extractive = ModelIdentity { sha256: Digest::of(method.as_bytes()), ..self.extractive };
        Self { reader: Some(reader), estimate: Estimate::reading(), extractive, ..self }
    }

    /// Lets `judge` have the last word on generated sentences.
    #[must_use]
    pub fn with_judge(self, judge: Arc<dyn Judge>) -> Self {
        Self { judge: Some(judge), ..self }
    }

    /// What the site decided.
    pub fn policy(&self) -> &AnswerPolicy {
        &self.policy
    }

    /// The generator, if there is one.
    pub fn generator(&self) -> Option<&Arc<dyn Generator>> {
        self.generator.as_ref()
    }

    /// The identity of the extractive method, which depends on the reader.
    pub fn extractive_identity(&self) -> &ModelIdentity {
        &self.extractive
    }

    /// Answers. Every citation of the answer resolves against the ledger as it is now; a sentence without a
    /// citation is there only under [`crate::Unsupported::Mark`], and says so. Same request, same state, same
    /// models: same answer, times aside.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] for an empty or endless question;
    /// [`fontes_core::ErrorKind::Timeout`] when cancelled before the first sentence; whatever ledger, embedder,
    /// generator and judge give.
    pub fn answer(
        &self,
        mut request: AskRequest<'_>,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<Answer> {
        let begin = Instant::now();
        check_question(request.question)?;
        let language = request.language.unwrap_or_else(|| Language::detect(request.question));
        let passages = std::mem::take(&mut request.passages);
        let sources = sources(passages, self.ledger.as_ref(), request.scope)?;
        let asked = request.standalone.as_deref().unwrap_or(request.question);
        // A few words without an article may be of any language; then it is that of what was found.
        let spoken = match (language, sources.first()) {
            (Language::Undetermined, Some(first)) => first.language(),
            _ => language,
        };
        let template = self.prompts.template(spoken);
        let threshold = request.settings.threshold.unwrap_or(self.policy.threshold);
        let question = Question { request: &request, asked, language, spoken, template, threshold, begin };
        let (sources, mut body) = self.body(&question, sources, on_event, cancel)?;
        let replaced = replaced(&sources, &body.sentences);
        body.remarks.extend(replaced.into_iter().chain(hidden(&sources)).chain(request.remarks.iter().cloned()));
        if request.settings.leave_one_out {
            body.left_out = self.leave_one_out(&question, &sources, &body, cancel)?;
        }
        let answer = self.complete(&question, &sources, body);
        on_event(AskEvent::Done(&answer));
        Ok(answer)
    }

    /// The sentences that the extractive method compares, best first.
    ///
    /// # Errors
    /// Whatever ledger and embedder give.
    pub fn weigh(&self, request: AskRequest<'_>) -> Result<Vec<Weighed>> {
        let language = request.language.unwrap_or_else(|| Language::detect(request.question));
        let sources = sources(request.passages, self.ledger.as_ref(), request.scope)?;
        let extracts = self.extracts(request.question, language, &sources)?;
        let weighed = |extract: &Extract| Weighed {
            citation: sources[extract.source].cite(extract.span),
            probability: extract.probability,
            signals: Signals::NAMES.iter().copied().zip(extract.signals.values()).collect(),
        };
        Ok(extracts.iter().map(weighed).collect())
    }

    fn extracts(&self, question: &str, language: Language, sources: &[Source]) -> Result<Vec<Extract>> {
        let scales =
            Scales { embedder: self.embedder.as_ref(), reader: self.reader.as_deref(), estimate: &self.estimate };
        extractive::rank(question, language, sources, scales)
    }

    /// What is asked, with the sentences that may answer it.
    fn parts(&self, question: &Question<'_>, sources: &[Source]) -> Result<Vec<Part>> {
        let part = |asked: &str| Ok(Part::new(asked, self.extracts(asked, question.language, sources)?));
        parts::questions(question.asked, &question.request.queries).into_iter().map(part).collect()
    }

    /// The sentences of the answer, none when the sources do not say; and the sources that were given.
    fn body(
        &self,
        question: &Question<'_>,
        mut sources: Vec<Source>,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &Cancel,
    ) -> Result<(Vec<Source>, Body)> {
        let settings = &question.request.settings;
        let mut parts = self.parts(question, &sources)?;
        let confidence = parts.iter().map(|part| part.confidence).fold(0.0, f32::max);
        let threshold = question.threshold;
        if confidence < threshold {
            keep_close(&mut sources, &parts, &self.policy);
            on_event(AskEvent::Passages(&given(&sources)));
            return Ok((sources, Body { extractive: true, confidence, ..Body::default() }));
        }
        let Some(generator) = self.generator.as_ref().filter(|_| !question.request.extractive) else {
            on_event(AskEvent::Passages(&given(&sources)));
            let quoted = self.quote(question, &sources, &parts);
            quoted.sentences.iter().for_each(|sentence| on_event(AskEvent::Sentence(sentence)));
            return Ok((sources, Body { confidence, ..quoted }));
        };
        parts::likeliest_first(&mut sources, &mut parts);
        let room = Room { answer: settings.max_tokens, passages: self.policy.passage_tokens };
        let messages = question.template.pack(question.asked, &mut sources, generator.as_ref(), room)?;
        // What was cut away is not given, so it is not quoted either.
        let is_given = |extract: &Extract| {
            sources.get(extract.source).is_some_and(|source| extract.span.end <= source.passage.hit.span.end)
        };
        parts.iter_mut().for_each(|part| part.extracts.retain(is_given));
        on_event(AskEvent::Passages(&given(&sources)));
        // Empty when what is likely did not fit into the prompt.
        let quoted = self.quote(question, &sources, &parts);
        if question.request.preview {
            on_event(AskEvent::Preview(&quoted.sentences));
        }
        let before_generation_ms = milliseconds(question.begin.elapsed());
        let likely = parts::extracts(&parts).filter(|extract| extract.probability >= threshold);
        let likely: Vec<Likely> =
            likely.map(|extract| Likely { marker: sources[extract.source].marker(), span: extract.span }).collect();
        let prompted =
            Prompted { generator: generator.as_ref(), sources: &sources, likely: &likely, messages: &messages };
        let (mut body, gave_up) = self.generate(question, &prompted, on_event, cancel)?;
        if body.sentences.is_empty() && self.policy.verify && !quoted.sentences.is_empty() {
            // Nothing the model wrote holds. What the sources say word for word does. Models small enough for a machine without
            // a GPU give up too early, so their silence counts no more than that.
            quoted.sentences.iter().for_each(|sentence| on_event(AskEvent::Sentence(sentence)));
            let mut remarks = vec![if gave_up { Remark::GeneratorSilent } else { Remark::QuotedInstead }];
            remarks.extend(quoted.remarks);
            body = Body { generation: body.generation, remarks, ..quoted };
        } else if !body.sentences.is_empty() {
            self.complement(question, &sources, &parts, &mut body, on_event);
        }
        Ok((sources, Body { before_generation_ms, confidence, ..body }))
    }

    /// Quotes the chosen sentences for each part that the sources answer, and those that contradict them; what was replaced comes last.
    fn quote(&self, question: &Question<'_>, sources: &[Source], parts: &[Part]) -> Body {
        let mut body = Body { extractive: true, ..Body::default() };
        for part in parts::answered(parts, question.threshold) {
            self.quote_part(sources, part, &mut body);
            let successor = successor(&part.extracts, sources);
            let is_new = |extract: &Extract| !cites(&body.sentences, &sources[extract.source], extract.span);
            if let Some(successor) = successor.filter(is_new) {
                add_quote(&sources[successor.source], &successor, &mut body);
            }
        }
        if !body.sentences.is_empty() {
            add_remarks(question, sources, parts, &mut body);
            let differ = body.remarks.iter().any(|remark| matches!(remark, Remark::Conflict { .. }));
            body.sentences.sort_by_key(|sentence| order(sources, sentence, differ));
            body.text = body.sentences.iter().map(told).collect::<Vec<_>>().join("\n");
        }
        body
    }

    /// Quotes the chosen sentences for one part, unless what was quoted before holds them; without their neighbours when it
    /// holds these.
    pub(crate) fn quote_part(&self, sources: &[Source], part: &Part, body: &mut Body) {
        let before = body.sentences.len();
        for extract in extractive::choose(&part.extracts, &self.policy) {
            let source = &sources[extract.source];
            let alone =
                part.extracts.iter().find(|one| (one.source, one.sentence) == (extract.source, extract.sentence));
            let is_new = |extract: &&Extract| !cites(&body.sentences[..before], source, extract.span);
            if let Some(extract) = [Some(&extract), alone].into_iter().flatten().find(is_new) {
                add_quote(source, extract, body);
            }
        }
    }

    /// Adds what a generated answer leaves out: a quote for each of several parts that it does not touch, exceptions from the
    /// rules that it states, and what contradicts its sources.
    fn complement(
        &self,
        question: &Question<'_>,
        sources: &[Source],
        parts: &[Part],
        body: &mut Body,
        on_event: &mut dyn FnMut(AskEvent<'_>),
    ) {
        let written = body.sentences.len();
        for part in parts::answered(parts, question.threshold).filter(|_| parts.len() > 1) {
            let likely = part.extracts.iter().filter(|extract| extract.probability >= question.threshold);
            let touches = |extract: &Extract| cites(&body.sentences[..written], &sources[extract.source], extract.span);
            if !likely.clone().any(touches) {
                self.quote_part(sources, part, body);
            }
        }
        uncited_limits(sources, &body.sentences).into_iter().for_each(|limit| add_citation(limit, body));
        add_remarks(question, sources, parts, body);
        body.sentences[written..].iter().for_each(|sentence| on_event(AskEvent::Sentence(sentence)));
    }

    /// Answers again without each cited passage.
    fn leave_one_out(
        &self,
        question: &Question<'_>,
        sources: &[Source],
        body: &Body,
        cancel: &Cancel,
    ) -> Result<Vec<LeftOut>> {
        let cited = body.sentences.iter().flat_map(|sentence| &sentence.citations).map(|citation| citation.marker);
        let markers: std::collections::BTreeSet<u32> = cited.collect();
        let mut left_out = Vec::with_capacity(markers.len());
        for marker in markers {
            let rest = sources.iter().filter(|source| source.marker() != marker).cloned().collect();
            let (_, without) = self.body(question, rest, &mut |_| {}, cancel)?;
            let abstained = without.sentences.iter().all(|sentence| sentence.support == Support::Unsupported);
            let answer = if abstained { question.template.abstention().to_owned() } else { without.text };
            left_out.push(LeftOut { marker, answer, abstained });
        }
        Ok(left_out)
    }
}

/// Checks that something is asked, and not too much.
///
/// # Errors
/// [`fontes_core::ErrorKind::Invalid`] for an empty or endless question.
pub fn check_question(question: &str) -> Result<()> {
    if question.trim().is_empty() {
        return Err(Error::invalid("question is empty").advise("ask something"));
    }
    if question.len() > MAX_QUESTION {
        return Err(Error::invalid(format!("question is longer than {MAX_QUESTION} bytes"))
            .advise("ask a shorter question, and ingest what is to be read as a document"));
    }
    Ok(())
}

/// Adds, for each part, what contradicts its best sentence, side by side, unless it is cited already; and names the parts
/// that the sources do not answer.
fn add_remarks(question: &Question<'_>, sources: &[Source], parts: &[Part], body: &mut Body) {
    for part in parts::answered(parts, question.threshold) {
        let conflict = conflicting(&part.asked, question.language, &part.extracts, sources);
        for extract in &conflict {
            let source = &sources[extract.source];
            if !cites(&body.sentences, source, extract.span) {
                add_quote(source, extract, body);
            }
        }
        // Where all but one were replaced, it is clear which one holds.
        let stand = conflict.iter().filter(|extract| sources[extract.source].standing != Standing::Replaced).count();
        let markers = conflict.iter().map(|extract| sources[extract.source].marker()).collect();
        let remark = Remark::Conflict { markers };
        if !conflict.is_empty() && stand != 1 && !body.remarks.contains(&remark) {
            body.remarks.push(remark);
        }
    }
    let touched = |part: &Part| {
        part.extracts.first().is_some_and(|best| cites(&body.sentences, &sources[best.source], best.span))
    };
    let unsaid = parts.iter().filter(|part| parts.len() > 1 && part.confidence < question.threshold && !touched(part));
    let unsaid: Vec<Remark> = unsaid.map(|part| Remark::NotSaid { question: part.asked.clone() }).collect();
    body.remarks.extend(unsaid);
}

/// Keeps the sources that are about what is asked; extracts no longer point at them.
fn keep_close(sources: &mut Vec<Source>, parts: &[Part], policy: &AnswerPolicy) {
    let mut numbers = 0..;
    sources.retain(|source| {
        let number = numbers.next();
        let likely = |extract: &Extract| Some(extract.source) == number && extract.probability >= policy.close;
        source.passage.hit.scores.dense.is_some_and(|cosine| cosine >= policy.close_similarity)
            || parts::extracts(parts).any(likely)
    });
}

/// Says whether a sentence cites something of `span` in `source`.
fn cites(sentences: &[Sentence], source: &Source, span: Span) -> bool {
    let mut citations = sentences.iter().flat_map(|sentence| &sentence.citations);
    citations.any(|citation| citation.marker == source.marker() && citation.span.overlaps(&span))
}

/// Adds a quoted sentence to a body. A row of a table is told with the names of its columns.
fn add_quote(source: &Source, extract: &Extract, body: &mut Body) {
    let citation = Citation { answer: extract.answer, ..source.cite(extract.span) };
    if let Some(head) = source.table_head(extract.span) {
        let text = one_line(&reduce(&labelled(source.text(head), &citation.quote), &Markers::new()).text);
        add_sentence(text, vec![citation, source.cite_anywhere(head)], Support::Supported, body);
        return;
    }
    add_citation(citation, body);
}

/// Adds a sentence that says what it cites.
fn add_citation(citation: Citation, body: &mut Body) {
    let quote = one_line(&citation.quote);
    // A source's own footnote numbers must not pass as citations.
    let text = one_line(&reduce(&quote, &Markers::new()).text);
    let support = if text == quote { Support::Verbatim } else { Support::Supported };
    add_sentence(text, vec![citation], support, body);
}

/// The sentences that limit what is cited and are not cited themselves.
fn uncited_limits(sources: &[Source], sentences: &[Sentence]) -> Vec<Citation> {
    let mut limits: Vec<Citation> = Vec::new();
    for citation in sentences.iter().flat_map(|sentence| &sentence.citations) {
        let source = sources.iter().find(|source| source.marker() == citation.marker);
        if let Some(source) = source
            && let Some(limit) = source.limit_of(citation.span)
            && !cites(sentences, source, limit)
            && !limits.iter().any(|known| (known.marker, known.span) == (source.marker(), limit))
        {
            limits.push(source.cite(limit));
        }
    }
    limits
}

/// Adds a sentence with its citations, which are all of one source; nothing for an empty one.
fn add_sentence(text: String, citations: Vec<Citation>, support: Support, body: &mut Body) {
    if text.is_empty() {
        return;
    }
    let sentence = Sentence { text, citations, support, attention: Vec::new() };
    if !body.text.is_empty() {
        body.text.push('\n');
    }
    body.text.push_str(&told(&sentence));
    body.sentences.push(sentence);
}

/// A quoted sentence with its marker.
fn told(sentence: &Sentence) -> String {
    let first = sentence.citations.first().map(|citation| citation.marker);
    format!("{} {}", sentence.text, write_markers(first))
}

/// Says whether a sentence cites a source.
fn rests_on(sentence: &Sentence, source: &Source) -> bool {
    sentence.citations.iter().any(|citation| citation.marker == source.marker())
}

/// Where a quote stands: what was replaced comes last, and of quotes that `differ` what replaced another comes first.
fn order(sources: &[Source], sentence: &Sentence, differ: bool) -> Standing {
    let cited = sources.iter().filter(|source| rests_on(sentence, source));
    match cited.map(|source| source.standing).max().unwrap_or_default() {
        Standing::Replaces if !differ => Standing::Silent,
        standing => standing,
    }
}

/// A remark on the cited documents that say of themselves that they no longer hold, if there are any.
fn replaced(sources: &[Source], sentences: &[Sentence]) -> Option<Remark> {
    let replaced = sources.iter().filter(|source| source.standing == Standing::Replaced);
    let cited = replaced.filter(|source| sentences.iter().any(|sentence| rests_on(sentence, source)));
    let markers: Vec<u32> = cited.map(Source::marker).collect();
    (!markers.is_empty()).then_some(Remark::Replaced { markers })
}

/// Remarks on passages that hide text from their readers.
fn hidden(sources: &[Source]) -> impl Iterator<Item = Remark> {
    let hiding = sources.iter().filter(|source| hides_text(&source.passage.hit.text));
    hiding.map(|source| Remark::HiddenText { marker: source.marker() })
}

pub(crate) fn given(sources: &[Source]) -> Vec<Passage> {
    sources.iter().map(|source| source.passage.clone()).collect()
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
#[path = "answerer_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "quoting_tests.rs"]
mod quoting;

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile;
