//! Runs and judgements as `trec_eval` reads and writes them, so that others can check our figures and we theirs.
//!
//! A run has six columns: question, `Q0`, document, rank, score, name of the run. Order is by score, descending;
//! the rank is not looked at, as `trec_eval` does not look at it. Judgements have four: question, `0`, document,
//! grade.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::BufRead,
};

use fontes_core::{Error, Result};

use crate::Judgements;

/// Documents by question, best first.
pub type Run = BTreeMap<String, Vec<String>>;

/// Writes a run named `name`. Scores fall by one from rank to rank: ours are of no use outside.
pub fn write_run(run: &Run, name: &str) -> String {
    let mut text = String::new();
    for (question, documents) in run {
        let mut seen = BTreeSet::new();
        let unique: Vec<&String> = documents.iter().filter(|id| seen.insert(*id)).collect();
        for (at, document) in unique.iter().enumerate() {
            let _ = writeln!(text, "{question} Q0 {document} {} {} {name}", at + 1, unique.len() - at);
        }
    }
    text
}

/// Writes judgements.
pub fn write_qrels(judgements: &BTreeMap<String, Judgements>) -> String {
    let mut text = String::new();
    for (question, judged) in judgements {
        for (document, grade) in judged {
            let _ = writeln!(text, "{question} 0 {document} {grade}");
        }
    }
    text
}

/// Reads a run. Equal scores are put in descending order of the document's id, as `trec_eval` does.
///
/// # Errors
/// [`fontes_core::ErrorKind::Invalid`] naming the line: not six columns, a score that is no number, a document
/// twice for one question, or text that cannot be read.
pub fn read_run(reader: impl BufRead) -> Result<Run> {
    let mut scored: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (line, number) in reader.lines().zip(1..) {
        let line = line.map_err(|error| Error::invalid(format!("run line {number} cannot be read")).because(error))?;
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (question, document, score) = match columns[..] {
            [] => continue,
            [question, _, document, _, score, _] => (question, document, score),
            _ => return Err(Error::invalid(format!("run line {number} has not six columns"))),
        };
        let score: f64 = score
            .parse()
            .ok()
            .filter(|score: &f64| !score.is_nan())
            .ok_or_else(|| Error::invalid(format!("run line {number} has no number as score")))?;
        if scored.entry(question.to_owned()).or_default().insert(document.to_owned(), score).is_some() {
            return Err(Error::invalid(format!("run line {number} names document {document:?} again")));
        }
    }
    let ordered = |documents: BTreeMap<String, f64>| {
        let mut documents: Vec<(String, f64)> = documents.into_iter().collect();
        documents.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
        documents.into_iter().map(|(id, _)| id).collect()
    };
    Ok(scored.into_iter().map(|(question, documents)| (question, ordered(documents))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let run: Run = [("q1".to_owned(), ["d2", "d1", "d3"].map(str::to_owned).to_vec())].into();
        let text = write_run(&run, "hybrid");
        assert_eq!(text.lines().next(), Some("q1 Q0 d2 1 3 hybrid"));
        assert_eq!(read_run(text.as_bytes()).unwrap(), run);
    }

    #[test]
    fn a_repeated_passage_counts_once() {
        let run: Run = [("q".to_owned(), ["a", "a", "b"].map(str::to_owned).to_vec())].into();
        assert_eq!(write_run(&run, "x").lines().count(), 2);
    }

    #[test]
    fn order_is_by_score_and_ties_by_id_from_the_end() {
        let text = "q Q0 a 1 0.5 x\nq Q0 b 2 0.5 x\n\nq Q0 c 3 9 x\n";
        assert_eq!(read_run(text.as_bytes()).unwrap()["q"], ["c", "b", "a"]);
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, named) in [
            ("q Q0 d 1 0.5", "line 1 has not six"),
            ("q Q0 d 1 high x", "line 1 has no number"),
            ("q Q0 d 1 NaN x", "line 1 has no number"),
            ("q Q0 d 1 2 x\nq Q0 d 2 1 x", "line 2 names document \"d\" again"),
        ] {
            let error = read_run(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn judgements_have_four_columns() {
        let judged = [("q".to_owned(), Judgements::from([("d".to_owned(), 2)]))].into();
        assert_eq!(write_qrels(&judged), "q 0 d 2\n");
    }
}
