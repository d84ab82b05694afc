//! Measuring retrieval: every way of searching over the same questions.

use std::{
    collections::{BTreeMap, HashSet},
    time::Instant,
};

use fontes_core::Result;
use serde::{Deserialize, Serialize};

use crate::{
    Dataset, GroupReport, Interval, Question, QuestionClass,
    bootstrap::{interval, mean, quantile},
    group::{grouped, language},
    metrics::{Judgements, average_precision, complete, ndcg, recall, reciprocal_rank, success},
    paired_p_value,
};

/// Depths at which recall is told.
const DEPTHS: [usize; 7] = [1, 3, 5, 10, 20, 50, 100];

/// Seed of every resampling, so that a report can be repeated.
const SEED: u64 = 20_240_229;

/// What a search gave for one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Ids of corpus documents, best first. Several passages of one document may repeat it; the first counts.
    pub ids: Vec<String>,
    /// How long it took, in milliseconds.
    pub milliseconds: f64,
}

/// The figures of one way of searching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeReport {
    /// Means by name: `ndcg@10`, `recall@10`, `recall@100`, `mrr@10`, `map`, `success@1`, `success@5`; and `complete@3`,
    /// `complete@5`, `complete@8`, the share of questions with every relevant document among the first.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % bootstrap intervals of the same.
    pub intervals: BTreeMap<String, Interval>,
    /// Median time of a search.
    pub p50_ms: f64,
    /// Time within which 99 of 100 searches end.
    pub p99_ms: f64,
    /// Mean recall at growing depths.
    #[serde(default)]
    pub recall: Vec<(usize, f64)>,
}

/// The figures of a set. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalReport {
    /// Name of the set.
    pub dataset: String,
    /// Number of documents.
    pub documents: usize,
    /// Number of questions.
    pub queries: usize,
    /// The figures of the last mode measured, which is hybrid when all are.
    pub metrics: BTreeMap<String, f64>,
    /// The figures of every mode.
    pub per_mode: BTreeMap<String, ModeReport>,
    /// p-value of the difference in nDCG@10 between the last mode and each other, by a paired randomisation
    /// test.
    pub p_values: BTreeMap<String, f64>,
    /// nDCG@10 by the language of the question.
    #[serde(default)]
    pub per_language: BTreeMap<String, GroupReport>,
    /// nDCG@10 by the class of the question; see [`QuestionClass`].
    #[serde(default)]
    pub per_class: BTreeMap<String, GroupReport>,
    /// How long the evaluation took.
    pub seconds: f64,
}

/// Runs every question of `dataset` in every one of `modes` and counts. `run` gets a question and the number of a mode, and
/// searches at least 100 deep. A mode is a name: besides those of a search it may be one of them with a part left out.
///
/// # Errors
/// The first error of `run`.
pub fn evaluate_retrieval(
    dataset: &Dataset,
    modes: &[&str],
    run: &mut dyn FnMut(&Question, usize) -> Result<Ranking>,
) -> Result<RetrievalReport> {
    let begin = Instant::now();
    let mut per_mode = BTreeMap::new();
    let mut gains: Vec<(String, Vec<f64>)> = Vec::new();
    let mut metrics = BTreeMap::new();
    for (number, &mode) in modes.iter().enumerate() {
        let (report, gain) = evaluate_mode(dataset, number, run)?;
        metrics.clone_from(&report.metrics);
        per_mode.insert(mode.to_owned(), report);
        gains.push((mode.to_owned(), gain));
    }
    let texts = || dataset.questions.iter().map(|question| question.text.as_str());
    let languages: Vec<String> = texts().map(language).collect();
    let classes: Vec<String> = texts().map(|text| QuestionClass::of(text).name().to_owned()).collect();
    let (per_language, per_class) = (grouped(&languages, &gains), grouped(&classes, &gains));
    let last = gains.pop();
    let p_values = last
        .iter()
        .flat_map(|(_, last)| gains.iter().map(|(mode, values)| (mode.clone(), paired_p_value(last, values, SEED))));
    Ok(RetrievalReport {
        dataset: dataset.name.clone(),
        documents: dataset.corpus.len(),
        queries: dataset.questions.len(),
        metrics,
        per_mode,
        p_values: p_values.collect(),
        per_language,
        per_class,
        seconds: begin.elapsed().as_secs_f64(),
    })
}

/// Measures one mode; gives its report and the nDCG@10 of every question.
fn evaluate_mode(
    dataset: &Dataset,
    mode: usize,
    run: &mut dyn FnMut(&Question, usize) -> Result<Ranking>,
) -> Result<(ModeReport, Vec<f64>)> {
    let unjudged = Judgements::new();
    let mut values: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut curve = DEPTHS.map(|depth| (depth, Vec::new()));
    let mut times = Vec::with_capacity(dataset.questions.len());
    for question in &dataset.questions {
        let ranking = run(question, mode)?;
        times.push(ranking.milliseconds);
        let mut seen = HashSet::new();
        let ranked: Vec<String> = ranking.ids.into_iter().filter(|id| seen.insert(id.clone())).collect();
        let judged = dataset.judgements.get(&question.id).unwrap_or(&unjudged);
        for (name, value) in measure(&ranked, judged) {
            values.entry(name).or_default().push(value);
        }
        for (depth, values) in &mut curve {
            values.push(recall(&ranked, judged, *depth));
        }
    }
    let report = ModeReport {
        metrics: values.iter().map(|(name, values)| ((*name).to_owned(), mean(values))).collect(),
        intervals: values.iter().map(|(name, values)| ((*name).to_owned(), interval(values, SEED))).collect(),
        p50_ms: quantile(&times, 0.5),
        p99_ms: quantile(&times, 0.99),
        recall: curve.into_iter().map(|(depth, values)| (depth, mean(&values))).collect(),
    };
    Ok((report, values.remove("ndcg@10").unwrap_or_default()))
}

fn measure(ranked: &[String], judged: &Judgements) -> [(&'static str, f64); 10] {
    [
        ("ndcg@10", ndcg(ranked, judged, 10)),
        ("recall@10", recall(ranked, judged, 10)),
        ("recall@100", recall(ranked, judged, 100)),
        ("mrr@10", reciprocal_rank(ranked, judged, 10)),
        ("map", average_precision(ranked, judged)),
        ("success@1", success(ranked, judged, 1)),
        ("success@5", success(ranked, judged, 5)),
        ("complete@3", complete(ranked, judged, 3)),
        ("complete@5", complete(ranked, judged, 5)),
        ("complete@8", complete(ranked, judged, 8)),
    ]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn dataset() -> Dataset {
        let question = |n: usize| Question { id: format!("q{n}"), text: n.to_string(), answers: Vec::new() };
        let judged = |n: usize| (format!("q{n}"), Judgements::from([(format!("d{n}"), 1)]));
        Dataset {
            name: "toy".into(),
            corpus: Vec::new(),
            questions: (0..20).map(question).collect(),
            judgements: (0..20).map(judged).collect(),
        }
    }

    pub(crate) fn report() -> RetrievalReport {
        evaluate_retrieval(&dataset(), &["lexical", "dense", "hybrid"], &mut |question, mode| {
            let right = question.id.replace('q', "d");
            let ids = match mode {
                2 => vec![right.clone(), right, "x".into()],
                1 => vec!["x".into(), "x".into(), right],
                _ => vec!["x".into()],
            };
            Ok(Ranking { ids, milliseconds: 2.0 })
        })
        .unwrap()
    }

    #[test]
    fn modes_are_measured_side_by_side() {
        let report = report();
        assert_eq!(report.queries, 20);
        assert_eq!(report.metrics["ndcg@10"], 1.0);
        assert_eq!(report.per_mode["hybrid"].metrics, report.metrics);
        assert_eq!(report.per_mode["dense"].metrics["mrr@10"], 0.5, "a repeated document counts once");
        assert_eq!(report.per_mode["lexical"].metrics["recall@100"], 0.0);
        assert!(report.p_values["dense"] < 0.01);
        assert_eq!(report.per_mode["dense"].p99_ms, 2.0);
        assert_eq!(report.per_mode["dense"].recall[..2], [(1, 0.0), (3, 1.0)]);
        assert_eq!(report.per_class["keywords"].queries, 20);
        assert_eq!(report.per_class["keywords"].ndcg["hybrid"], 1.0);
    }

    #[test]
    fn errors_of_the_run_come_through() {
        let error = evaluate_retrieval(&dataset(), &["dense"], &mut |_, _| {
            Err(fontes_core::Error::unavailable("index is not there"))
        });
        assert_eq!(error.unwrap_err().kind(), fontes_core::ErrorKind::Unavailable);
    }
}
