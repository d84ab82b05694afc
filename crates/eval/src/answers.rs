//! Measuring answers: do citations hold the known answer, and is there silence when it was taken away?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use fontes_core::{Answer, Citation, Error, Result, Support};
use serde::{Deserialize, Serialize};

use crate::{
    CurvePoint, Dataset, Interval, Question, Trial,
    bootstrap::{interval, mean, quantile},
    curve, squad, statement,
};

const SEED: u64 = 20_240_301;

/// The system under test, as the caller composed it.
pub trait Asking {
    /// Answers a question from the whole corpus but the documents `without`. The answer is wanted however little
    /// the system trusts it, where that costs nothing; [`Answer::confidence`] says how much it does.
    fn ask(&mut self, question: &Question, without: &BTreeSet<String>) -> Result<Answer>;

    /// The confidence below which the system would have stayed silent.
    fn threshold(&self) -> f64;

    /// Tells this system from others: models, settings and state of the index, as a digest. Outcomes of the same system
    /// may be kept and counted together.
    fn system(&self) -> String;

    /// Says whether a citation resolves: the document is there and its stored text has the quote at the span.
    fn resolves(&mut self, citation: &Citation) -> bool;

    /// The id in the set of the document that is cited.
    fn corpus_id(&mut self, citation: &Citation) -> Option<String>;
}

/// The figures of a set. The checker is the known answer: a citation is right when its quote holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerReport {
    /// Name of the set.
    pub dataset: String,
    /// Name of the model that answered, or of the extractive method.
    pub model: String,
    /// What decided whether a citation is right.
    pub checker: String,
    /// Number of questions.
    pub queries: usize,
    /// Means by name, as documented on [`evaluate_answers`].
    pub metrics: BTreeMap<String, f64>,
    /// 95 % bootstrap intervals of the same.
    pub intervals: BTreeMap<String, Interval>,
    /// Median time of an answer.
    pub p50_ms: f64,
    /// Time within which 99 of 100 answers come.
    pub p99_ms: f64,
    /// How long the evaluation took.
    pub seconds: f64,
    /// What the threshold in use gives.
    pub operating_point: CurvePoint,
    /// What other thresholds would give.
    pub curve: Vec<CurvePoint>,
    /// Every question: what was answered and whether it was right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<QuestionOutcome>,
}

/// How one question went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionOutcome {
    /// Its id in the set.
    pub question: String,
    /// Which system answered ([`Asking::system`]).
    pub system: String,
    /// Name of the model that answered, or of the extractive method.
    pub model: String,
    /// What the system answered; empty when it stayed silent.
    pub answer: String,
    /// What it answered when the relevant documents were gone; empty when it stayed silent.
    pub answer_without: String,
    /// Confidence and correctness.
    #[serde(flatten)]
    pub trial: Trial,
    /// Milliseconds of the first answer.
    pub milliseconds: f64,
    /// What this question adds to each metric.
    pub values: BTreeMap<String, Vec<f64>>,
}

const CHECKER: &str = "known answer spans in the quotes, as words without articles (SQuAD); \
    statements: figures and most words in the quotes (lexical)";

/// Asks every question that has known answers, once over the whole corpus and once without its relevant
/// documents. Metrics:
///
/// - `citations_resolve`: share of citations that resolve;
/// - `citation_recall`: share of questions with a citation whose quote holds a known answer; silence is a miss;
/// - `citation_precision`: share of citations, over answered questions, whose quote holds a known answer;
/// - `first_citation`: share of answered questions whose first citation does;
/// - `document_precision`: share of citations that are of a relevant document;
/// - `statement_recall`, `statement_precision`: ALCE's citation recall and precision: share of statements that
///   their quotes support, and of citations that this support needs;
/// - `answer_recall`: share of questions whose answer text holds a known answer;
/// - `f1`, `exact_match`: words of the answer against the known one (SQuAD): of what the first citation points at as the
///   answer, where it does, else of the whole text;
/// - `supported`: share of sentences that the product itself says are carried;
/// - `extractive`: share of answered questions that were quoted rather than written;
/// - `abstained`: share of questions met with silence although the answer is there;
/// - `false_answers`: share of questions answered although every relevant document was taken away. Another
///   document may still hold the answer, so this is an upper bound of the error;
/// - `misled`: share of questions answered then by quotes that hold no known answer.
///
/// Questions with an outcome of the same system in `earlier` are not asked again; every new outcome is handed to `keep`
/// as soon as it is there, so that an interrupted run can go on.
///
/// # Errors
/// [`fontes_core::ErrorKind::Invalid`] when no question has a known answer; the first error of `asking`.
pub fn evaluate_answers(
    dataset: &Dataset,
    asking: &mut dyn Asking,
    earlier: Vec<QuestionOutcome>,
    keep: &mut dyn FnMut(&QuestionOutcome) -> Result<()>,
) -> Result<AnswerReport> {
    let begin = Instant::now();
    let questions: Vec<&Question> = dataset.questions.iter().filter(|question| !question.answers.is_empty()).collect();
    if questions.is_empty() {
        return Err(Error::invalid(format!("evaluation set {:?} has no known answers", dataset.name))
            .advise("queries.jsonl needs metadata.answers[].text"));
    }
    let system = asking.system();
    let known = earlier.into_iter().filter(|outcome| outcome.system == system);
    let mut known: BTreeMap<String, QuestionOutcome> =
        known.map(|outcome| (outcome.question.clone(), outcome)).collect();
    let mut outcomes = Vec::with_capacity(questions.len());
    for question in &questions {
        let outcome = match known.remove(&question.id) {
            Some(outcome) => outcome,
            None => {
                let outcome = outcome(dataset, question, asking)?;
                keep(&outcome)?;
                outcome
            }
        };
        outcomes.push(outcome);
    }
    Ok(report(dataset, asking.threshold(), outcomes, begin.elapsed().as_secs_f64()))
}

/// Asks one question, with its documents and without.
fn outcome(dataset: &Dataset, question: &Question, asking: &mut dyn Asking) -> Result<QuestionOutcome> {
    let (threshold, relevant) = (asking.threshold(), dataset.relevant(&question.id));
    let mut values = Values::default();
    let asked = Instant::now();
    let answer = asking.ask(question, &BTreeSet::new())?;
    let milliseconds = asked.elapsed().as_secs_f64() * 1_000.0;
    let given = silenced(&answer, threshold);
    measure(question, &relevant, &given, asking, &mut values);
    let without = asking.ask(question, &relevant)?;
    let given_without = silenced(&without, threshold);
    values.add("false_answers", !given_without.abstained);
    values.add("misled", !given_without.abstained && !cites(&given_without, &question.answers));
    let trial = Trial {
        confidence: confidence(&answer),
        right: cites(&answer, &question.answers),
        confidence_without: confidence(&without),
    };
    let text = |given: Answer| if given.abstained { String::new() } else { given.answer };
    Ok(QuestionOutcome {
        question: question.id.clone(),
        system: asking.system(),
        model: answer.model.name,
        answer: text(given),
        answer_without: text(given_without),
        trial,
        milliseconds,
        values: values.0,
    })
}

/// Counts outcomes together.
fn report(dataset: &Dataset, threshold: f64, outcomes: Vec<QuestionOutcome>, seconds: f64) -> AnswerReport {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, own) in outcomes.iter().flat_map(|outcome| &outcome.values) {
        values.entry(name.clone()).or_default().extend(own);
    }
    let trials: Vec<Trial> = outcomes.iter().map(|outcome| outcome.trial).collect();
    let times: Vec<f64> = outcomes.iter().map(|outcome| outcome.milliseconds).collect();
    AnswerReport {
        dataset: dataset.name.clone(),
        model: outcomes.last().map(|outcome| outcome.model.clone()).unwrap_or_default(),
        checker: CHECKER.into(),
        queries: outcomes.len(),
        metrics: values.iter().map(|(name, values)| (name.clone(), mean(values))).collect(),
        intervals: values.iter().map(|(name, values)| (name.clone(), interval(values, SEED))).collect(),
        p50_ms: quantile(&times, 0.5),
        p99_ms: quantile(&times, 0.99),
        seconds,
        operating_point: curve::point(&trials, threshold),
        curve: curve::curve(&trials),
        outcomes,
    }
}

/// The answer as the system gives it: silence below the threshold.
fn silenced(answer: &Answer, threshold: f64) -> Answer {
    let mut given = answer.clone();
    if f64::from(answer.confidence) < threshold {
        given.abstained = true;
        given.sentences.clear();
    }
    given
}

/// The confidence of an answer; 0 when there is none.
fn confidence(answer: &Answer) -> f64 {
    if answer.abstained { 0.0 } else { f64::from(answer.confidence) }
}

fn cites(answer: &Answer, known: &[String]) -> bool {
    let mut citations = answer.sentences.iter().flat_map(|sentence| &sentence.citations);
    citations.any(|citation| squad::holds_answer(&citation.quote, known))
}

/// The words that a citation points at as the answer.
fn pointed(citation: &Citation) -> Option<&str> {
    let answer = citation.answer?;
    let within = answer.start.checked_sub(citation.span.start)?..answer.end.checked_sub(citation.span.start)?;
    citation.quote.get(within)
}

#[derive(Default)]
struct Values(BTreeMap<String, Vec<f64>>);

impl Values {
    fn add(&mut self, name: &str, holds: bool) {
        self.score(name, f64::from(u8::from(holds)));
    }

    fn score(&mut self, name: &str, value: f64) {
        self.0.entry(name.to_owned()).or_default().push(value);
    }
}

fn measure(
    question: &Question,
    relevant: &BTreeSet<String>,
    answer: &Answer,
    asking: &mut dyn Asking,
    values: &mut Values,
) {
    let known = &question.answers;
    let holds = |text: &str| squad::holds_answer(text, known);
    let citations: Vec<&Citation> = answer.sentences.iter().flat_map(|sentence| &sentence.citations).collect();
    for citation in &citations {
        values.add("citations_resolve", asking.resolves(citation));
        values.add("citation_precision", holds(&citation.quote));
        values.add("document_precision", asking.corpus_id(citation).is_some_and(|id| relevant.contains(&id)));
    }
    for sentence in &answer.sentences {
        values.add("supported", matches!(sentence.support, Support::Supported | Support::Verbatim));
        let quotes: Vec<&str> = sentence.citations.iter().map(|citation| citation.quote.as_str()).collect();
        values.add("statement_recall", statement::supports(&sentence.text, &quotes));
        let precise = statement::precise(&sentence.text, &quotes);
        (0..quotes.len()).for_each(|at| values.add("statement_precision", at < precise));
    }
    if !answer.abstained {
        values.add("extractive", answer.extractive);
    }
    if let Some(first) = citations.first() {
        values.add("first_citation", holds(&first.quote));
    }
    let text: String = answer.sentences.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join(" ");
    values.add("citation_recall", cites(answer, known));
    values.add("answer_recall", holds(&text));
    let pointed = citations.first().and_then(|citation| pointed(citation)).unwrap_or(&text);
    values.score("f1", squad::best(known, |known| squad::f1(pointed, known)));
    values.score("exact_match", squad::best(known, |known| f64::from(u8::from(squad::exact(pointed, known)))));
    values.add("abstained", answer.abstained);
}

#[cfg(test)]
#[path = "answers_tests.rs"]
pub(crate) mod tests;
