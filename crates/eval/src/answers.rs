//! Measuring answers: do citations hold the known answer, and is there silence when it was taken away?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use fontes_core::{Answer, Citation, Error, Result, Support};
use serde::{Deserialize, Serialize};

use crate::{
    Dataset, Interval, Question,
    bootstrap::{interval, mean, quantile},
    squad,
};

const SEED: u64 = 20_240_301;

/// The system under test, as the caller composed it.
pub trait Asking {
    /// Answers a question from the whole corpus but the documents `without`.
    fn ask(&mut self, question: &Question, without: &BTreeSet<String>) -> Result<Answer>;

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
}

/// Asks every question that has known answers, once over the whole corpus and once without its relevant
/// documents. Metrics:
///
/// - `citations_resolve`: share of citations that resolve;
/// - `citation_recall`: share of questions with a citation whose quote holds a known answer; silence is a miss;
/// - `citation_precision`: share of citations, over answered questions, whose quote holds a known answer;
/// - `first_citation`: share of answered questions whose first citation does;
/// - `document_precision`: share of citations that are of a relevant document;
/// - `answer_recall`: share of questions whose answer text holds a known answer;
/// - `f1`, `exact_match`: words of the answer against the known one (SQuAD);
/// - `supported`: share of sentences that the product itself says are carried;
/// - `abstained`: share of questions met with silence although the answer is there;
/// - `false_answers`: share of questions answered although every relevant document was taken away. Another
///   document may still hold the answer, so this is an upper bound of the error.
///
/// # Errors
/// [`fontes_core::ErrorKind::Invalid`] when no question has a known answer; the first error of `asking`.
pub fn evaluate_answers(dataset: &Dataset, asking: &mut dyn Asking) -> Result<AnswerReport> {
    let begin = Instant::now();
    let questions: Vec<&Question> = dataset.questions.iter().filter(|question| !question.answers.is_empty()).collect();
    if questions.is_empty() {
        return Err(Error::invalid(format!("evaluation set {:?} has no known answers", dataset.name))
            .advise("queries.jsonl needs metadata.answers[].text"));
    }
    let mut values = Values::default();
    let mut times = Vec::with_capacity(questions.len());
    let mut model = String::new();
    for question in &questions {
        let relevant = dataset.relevant(&question.id);
        let asked = Instant::now();
        let answer = asking.ask(question, &BTreeSet::new())?;
        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
        model.clone_from(&answer.model.name);
        measure(question, &relevant, &answer, asking, &mut values);
        let without = asking.ask(question, &relevant)?;
        values.add("false_answers", !without.abstained);
    }
    Ok(AnswerReport {
        dataset: dataset.name.clone(),
        model,
        checker: "known answer spans, compared as words without articles (SQuAD)".into(),
        queries: questions.len(),
        metrics: values.0.iter().map(|(name, values)| ((*name).to_owned(), mean(values))).collect(),
        intervals: values.0.iter().map(|(name, values)| ((*name).to_owned(), interval(values, SEED))).collect(),
        p50_ms: quantile(&times, 0.5),
        p99_ms: quantile(&times, 0.99),
        seconds: begin.elapsed().as_secs_f64(),
    })
}

#[derive(Default)]
struct Values(BTreeMap<&'static str, Vec<f64>>);

impl Values {
    fn add(&mut self, name: &'static str, holds: bool) {
        self.score(name, f64::from(u8::from(holds)));
    }

    fn score(&mut self, name: &'static str, value: f64) {
        self.0.entry(name).or_default().push(value);
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
    let holds = |text: &str| known.iter().any(|known| squad::holds(text, known));
    let citations: Vec<&Citation> = answer.sentences.iter().flat_map(|sentence| &sentence.citations).collect();
    for citation in &citations {
        values.add("citations_resolve", asking.resolves(citation));
        values.add("citation_precision", holds(&citation.quote));
        values.add("document_precision", asking.corpus_id(citation).is_some_and(|id| relevant.contains(&id)));
    }
    for sentence in &answer.sentences {
        values.add("supported", matches!(sentence.support, Support::Supported | Support::Verbatim));
    }
    if let Some(first) = citations.first() {
        values.add("first_citation", holds(&first.quote));
    }
    let text: String = answer.sentences.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join(" ");
    values.add("citation_recall", citations.iter().any(|citation| holds(&citation.quote)));
    values.add("answer_recall", holds(&text));
    values.score("f1", squad::best(known, |known| squad::f1(&text, known)));
    values.score("exact_match", squad::best(known, |known| f64::from(u8::from(squad::exact(&text, known)))));
    values.add("abstained", answer.abstained);
}

#[cfg(test)]
#[path = "answers_tests.rs"]
pub(crate) mod tests;
