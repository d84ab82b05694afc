//! Tests of the counting, with a system whose every answer is known.

use fontes_core::{
    AskSettings, AskTimings, Digest, DocumentId, IndexSnapshot, ModelIdentity, Sentence, Span, TokenUsage,
};

use super::*;
use crate::metrics::Judgements;

/// Cites the right place for even questions, a wrong one for odd ones; answers the third even without sources.
struct Known(f64);

fn citation(document: &str, quote: &str) -> Citation {
    Citation {
        marker: 1,
        document_id: DocumentId::derive("set", document.as_bytes()),
        title: document.into(),
        path: document.into(),
        date: None,
        pages: vec![1],
        span: Span::new(0, quote.len()),
        quote: quote.into(),
        answer: None,
        boxes: Vec::new(),
        also_in: Vec::new(),
    }
}

fn answer(sentences: Vec<Sentence>) -> Answer {
    Answer {
        question: String::new(),
        standalone: None,
        queries: Vec::new(),
        answer: String::new(),
        abstained: sentences.is_empty(),
        extractive: true,
        confidence: if sentences.is_empty() { 0.0 } else { 0.5 },
        remarks: Vec::new(),
        sentences,
        passages: Vec::new(),
        model: ModelIdentity { name: "known".into(), sha256: Digest::of(b"") },
        index_snapshot: IndexSnapshot(1),
        prompt_sha256: Digest::of(b""),
        config_sha256: None,
        settings: AskSettings::default(),
        left_out: Vec::new(),
        seed: 0,
        tokens: TokenUsage::default(),
        timings_ms: AskTimings::default(),
    }
}

impl Asking for Known {
    fn ask(&mut self, question: &Question, without: &BTreeSet<String>) -> Result<Answer> {
        let number: usize = question.id[1..].parse().unwrap();
        if !without.is_empty() && number != 3 {
            return Ok(answer(Vec::new()));
        }
        let (document, quote) =
            if number.is_multiple_of(2) { ("right", "es sind 30 Tage") } else { ("wrong", "es regnet") };
        let citations = vec![citation(document, quote)];
        Ok(answer(vec![Sentence { text: quote.into(), citations, support: Support::Verbatim, attention: Vec::new() }]))
    }

    fn threshold(&self) -> f64 {
        self.0
    }

    fn system(&self) -> String {
        format!("known {}", self.0)
    }

    fn resolves(&mut self, citation: &Citation) -> bool {
        citation.title == "right"
    }

    fn corpus_id(&mut self, citation: &Citation) -> Option<String> {
        Some(citation.title.clone())
    }
}

fn dataset() -> Dataset {
    let question = |n: usize| Question { id: format!("q{n}"), text: "?".into(), answers: vec!["30 Tage".into()] };
    let judged = |n: usize| (format!("q{n}"), Judgements::from([("right".to_owned(), 1)]));
    Dataset {
        name: "toy".into(),
        corpus: Vec::new(),
        questions: (0..4).map(question).collect(),
        judgements: (0..4).map(judged).collect(),
    }
}

pub(crate) fn report() -> AnswerReport {
    evaluate(0.0)
}

fn evaluate(threshold: f64) -> AnswerReport {
    evaluate_answers(&dataset(), &mut Known(threshold), Vec::new(), &mut |_| Ok(())).unwrap()
}

#[test]
fn every_figure_is_counted_by_its_definition() {
    let metrics = report().metrics;
    for (name, expected) in [
        ("citations_resolve", 0.5),
        ("citation_recall", 0.5),
        ("citation_precision", 0.5),
        ("first_citation", 0.5),
        ("document_precision", 0.5),
        ("answer_recall", 0.5),
        ("supported", 1.0),
        ("statement_recall", 1.0),
        ("statement_precision", 1.0),
        ("extractive", 1.0),
        ("abstained", 0.0),
        ("false_answers", 0.25),
        ("misled", 0.25),
        ("exact_match", 0.0),
        // Words "es sind 30 tage" against "30 tage": 2 · 2 / 6, for every second question.
        ("f1", 1.0 / 3.0),
    ] {
        assert!((metrics[name] - expected).abs() < 1e-12, "{name}: {}", metrics[name]);
    }
}

#[test]
fn below_the_threshold_there_is_silence_and_the_curve_knows_better() {
    let report = evaluate(0.6);
    assert_eq!((report.metrics["abstained"], report.metrics["citation_recall"]), (1.0, 0.0));
    assert_eq!(report.operating_point.coverage, 0.0);
    assert_eq!((report.curve[0].coverage, report.curve[0].risk), (1.0, 0.5));
    assert!(report.outcomes.iter().all(|outcome| outcome.answer.is_empty()));
}

#[test]
fn a_set_without_known_answers_is_refused() {
    let mut dataset = dataset();
    dataset.questions.iter_mut().for_each(|question| question.answers.clear());
    let refused = evaluate_answers(&dataset, &mut Known(0.0), Vec::new(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(refused.kind(), fontes_core::ErrorKind::Invalid);
}

#[test]
fn an_interrupted_run_goes_on_and_counts_the_same() {
    let mut kept = Vec::new();
    let interrupted = evaluate_answers(&dataset(), &mut Known(0.0), Vec::new(), &mut |outcome| {
        kept.push(outcome.clone());
        if kept.len() < 3 { Ok(()) } else { Err(Error::unavailable("interrupted")) }
    });
    assert!(interrupted.is_err());
    let line = serde_json::to_string(&kept).unwrap();
    let kept: Vec<QuestionOutcome> = serde_json::from_str(&line).unwrap();
    let mut asked = 0;
    let mut go_on = |system: f64| {
        asked = 0;
        let mut count = |_: &QuestionOutcome| {
            asked += 1;
            Ok(())
        };
        let report = evaluate_answers(&dataset(), &mut Known(system), kept.clone(), &mut count).unwrap();
        (report.metrics, asked)
    };
    assert_eq!(go_on(0.0), (report().metrics, 1));
    assert_eq!(go_on(0.1), (report().metrics, 4), "another system's outcomes do not count");
}
