//! Reading an evaluation set in the layout of BEIR (Thakur et al. 2021): `corpus.jsonl`, `queries.jsonl`,
//! `qrels/*.tsv`.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use fontes_core::{Error, Result};
use serde::Deserialize;

use crate::Judgements;

/// Longest line read, in bytes. A document longer than this is no evaluation passage.
const MAX_LINE: usize = 16 << 20;

/// Most documents, questions or judgements read; the largest public sets (MS MARCO) hold nine million.
const MAX_LINES: usize = 20_000_000;

/// A document of an evaluation set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CorpusDocument {
    /// Its id in the set.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its title; may be empty.
    #[serde(default)]
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A question of an evaluation set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its id in the set.
    pub id: String,
    /// The question.
    pub text: String,
    /// Known answers, word for word from the corpus, without repetition. Empty when the set has none.
    pub answers: Vec<String>,
}

/// An evaluation set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// The folder's name.
    pub name: String,
    /// The documents, in the order of the file.
    pub corpus: Vec<CorpusDocument>,
    /// The questions with at least one relevant document, in the order of the file.
    pub questions: Vec<Question>,
    /// Relevance per question id.
    pub judgements: BTreeMap<String, Judgements>,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    #[serde(default)]
    metadata: QueryMetadata,
}

#[derive(Default, Deserialize)]
struct QueryMetadata {
    #[serde(default)]
    answers: Vec<AnswerSpan>,
}

#[derive(Deserialize)]
struct AnswerSpan {
    text: String,
}

impl Dataset {
    /// Reads the set in `folder`.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::NotFound`] for a missing file; [`fontes_core::ErrorKind::Invalid`] naming file
    /// and line for anything malformed, for repeated ids, and for judgements of unknown ids.
    pub fn open(folder: &Path) -> Result<Self> {
        let name = folder
            .canonicalize()
            .ok()
            .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
        let corpus = jsonl::<CorpusDocument>(&folder.join("corpus.jsonl"))?;
        let lines = jsonl::<QueryLine>(&folder.join("queries.jsonl"))?;
        let documents = unique("corpus.jsonl", corpus.iter().map(|document| document.id.as_str()))?;
        let known = unique("queries.jsonl", lines.iter().map(|line| line.id.as_str()))?;
        if let Some(empty) = lines.iter().find(|line| line.text.trim().is_empty()) {
            return Err(Error::invalid(format!("query {:?} of queries.jsonl is empty", empty.id))
                .advise("give it a text, or take its line out"));
        }
        let judgements = judgements(&folder.join("qrels"), &known, &documents)?;
        let refused = refused(&folder.join("review.tsv"))?;
        let questions: Vec<Question> = lines
            .into_iter()
            .filter(|line| !refused.contains(&line.id))
            .filter(|line| judgements.get(&line.id).is_some_and(|judged| judged.values().any(|grade| *grade > 0)))
            .map(|line| {
                let mut seen = HashSet::new();
                let answers = line.metadata.answers.into_iter().map(|answer| answer.text);
                let answers =
                    answers.filter(|answer| !answer.trim().is_empty() && seen.insert(answer.clone())).collect();
                Question { id: line.id, text: line.text, answers }
            })
            .collect();
        if corpus.is_empty() || questions.is_empty() {
            return Err(Error::invalid(format!("evaluation set {} has no judged question", folder.display()))
                .advise("it needs corpus.jsonl, queries.jsonl and qrels/test.tsv with relevance above 0"));
        }
        Ok(Self { name: name.unwrap_or_default(), corpus, questions, judgements })
    }

    /// Keeps every second question: the even ones to tune on, the odd ones to report on.
    #[must_use]
    pub fn half(mut self, odd: bool) -> Self {
        let mut at = 0;
        self.questions.retain(|_| {
            at += 1;
            (at % 2 == 0) == odd
        });
        self
    }

    /// Keeps at most `limit` questions, spread evenly over the file.
    #[must_use]
    pub fn sample(mut self, limit: usize) -> Self {
        let total = self.questions.len();
        let mut at = 0;
        self.questions.retain(|_| {
            at += 1;
            total <= limit || (at * limit) / total != ((at - 1) * limit) / total
        });
        self
    }

    /// The documents judged relevant to a question.
    pub fn relevant(&self, question: &str) -> BTreeSet<String> {
        let judged = self.judgements.get(question).into_iter().flatten();
        judged.filter(|(_, grade)| **grade > 0).map(|(id, _)| id.clone()).collect()
    }
}

fn jsonl<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let mut values = Vec::new();
    for_lines(path, |number, line| {
        let value = serde_json::from_str(line).map_err(|error| {
            Error::invalid(format!("{} line {number} is not the expected JSON object", path.display())).because(error)
        })?;
        values.push(value);
        Ok(())
    })?;
    Ok(values)
}

/// Hands each line that is not blank to `take`, with its number from 1.
fn for_lines(path: &Path, mut take: impl FnMut(usize, &str) -> Result<()>) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound {
            fontes_core::ErrorKind::NotFound
        } else {
            fontes_core::ErrorKind::Invalid
        };
        Error::new(kind, format!("evaluation file {} cannot be read", path.display()))
            .because(error)
            .advise("give a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv")
    };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read =
            std::io::Read::take(&mut reader, MAX_LINE as u64 + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if read > MAX_LINE || number > MAX_LINES {
            return Err(Error::invalid(format!("{} line {number} is beyond the limits", path.display())));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|error| Error::invalid(format!("{} line {number} is not UTF-8", path.display())).because(error))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.is_empty() {
            take(number, text)?;
        }
    }
    Ok(())
}

fn unique<'a>(file: &str, ids: impl Iterator<Item = &'a str>) -> Result<HashSet<&'a str>> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(Error::invalid(format!("{file} has the id {id:?} twice")));
        }
    }
    Ok(seen)
}

/// The questions that a person has marked `n` in a review file; none when there is no such file.
fn refused(path: &Path) -> Result<HashSet<String>> {
    let mut refused = HashSet::new();
    if path.exists() {
        for_lines(path, |_, line| {
            let mut columns = line.split('\t');
            if let (Some("n"), Some(question)) = (columns.next(), columns.next()) {
                refused.insert(question.to_owned());
            }
            Ok(())
        })?;
    }
    Ok(refused)
}

/// Reads `test.tsv`, or the only `.tsv` there is: three columns (BEIR) or four (TREC).
fn judgements(
    folder: &Path,
    questions: &HashSet<&str>,
    documents: &HashSet<&str>,
) -> Result<BTreeMap<String, Judgements>> {
    let path = qrels_file(folder)?;
    let mut judged: BTreeMap<String, Judgements> = BTreeMap::new();
    let mut unknown: Vec<String> = Vec::new();
    for_lines(&path, |number, line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (question, document, grade) = match columns[..] {
            [question, document, grade] | [question, _, document, grade] => (question, document, grade),
            _ => return Err(Error::invalid(format!("{} line {number} has not three columns", path.display()))),
        };
        let Ok(grade) = grade.parse::<i32>() else {
            // The one line that may hold no number is the heading.
            if number == 1 {
                return Ok(());
            }
            return Err(Error::invalid(format!("{} line {number} has no whole number as grade", path.display())));
        };
        if !questions.contains(question) {
            unknown.push(format!("question {question:?} on line {number}"));
        } else if !documents.contains(document) {
            unknown.push(format!("document {document:?} on line {number}"));
        } else {
            judged.entry(question.to_owned()).or_default().insert(document.to_owned(), grade);
        }
        Ok(())
    })?;
    if !unknown.is_empty() {
        let first = unknown.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        return Err(Error::invalid(format!("{} judges {} unknown ids: {first}", path.display(), unknown.len()))
            .advise("corpus, queries and qrels must belong together"));
    }
    Ok(judged)
}

fn qrels_file(folder: &Path) -> Result<std::path::PathBuf> {
    let usual = folder.join("test.tsv");
    if usual.exists() {
        return Ok(usual);
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "tsv")).collect();
    match &files[..] {
        [only] => Ok(only.clone()),
        _ => Err(Error::not_found(format!("{} has no test.tsv", folder.display()))
            .advise("put the judgements into qrels/test.tsv: question id, document id, grade")),
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::ErrorKind;
    use tempfile::TempDir;

    use super::*;

    const CORPUS: &str =
        "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"eins\",\"metadata\":{}}\n{\"_id\":\"d2\",\"text\":\"zwei\"}\n";
    const QUERIES: &str = "{\"_id\":\"q1\",\"text\":\"wer\",\"metadata\":{\"answers\":[{\"text\":\"eins\",\"start\":0},{\"text\":\"eins\",\"start\":0}]}}\n\
                           {\"_id\":\"q2\",\"text\":\"was\"}\n";

    fn folder(corpus: &str, queries: &str, qrels: &str) -> TempDir {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("qrels")).unwrap();
        for (name, text) in [("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels/test.tsv", qrels)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_set_is_read_and_unjudged_questions_are_left_out() {
        let folder = folder(CORPUS, QUERIES, "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t0\n");
        let dataset = Dataset::open(folder.path()).unwrap();
        assert_eq!(dataset.corpus.len(), 2);
        let expected = Question { id: "q1".into(), text: "wer".into(), answers: vec!["eins".into()] };
        assert_eq!(dataset.questions, [expected]);
        assert_eq!(dataset.relevant("q1"), ["d1".to_owned()].into());
        assert!(dataset.relevant("q2").is_empty());
    }

    #[test]
    fn errors_name_file_and_line() {
        let cases = [
            (CORPUS, "{\"_id\":1}", "q1\td1\t1", "queries.jsonl line 1"),
            ("{\"_id\":\"d1\"}", QUERIES, "q1\td1\t1", "corpus.jsonl line 1"),
            (CORPUS, QUERIES, "q1\td1\t1\nq9\td1\t1\nq1\td9\t1", "2 unknown ids: question \"q9\" on line 2"),
            (CORPUS, QUERIES, "q1\td1\t1\nq1 d1", "line 2 has not three columns"),
            (CORPUS, QUERIES, "q1\td1\t1\nq1\td1\tx", "line 2 has no whole number"),
            (CORPUS, QUERIES, "", "no judged question"),
            ("{\"_id\":\"d\",\"text\":\"\"}\n{\"_id\":\"d\",\"text\":\"\"}", QUERIES, "", "\"d\" twice"),
        ];
        for (corpus, queries, qrels, expected) in cases {
            let folder = folder(corpus, queries, qrels);
            let error = Dataset::open(folder.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(Dataset::open(Path::new("nowhere")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn trec_columns_are_read_too() {
        let folder = folder(CORPUS, QUERIES, "q1 0 d1 1\n");
        assert_eq!(Dataset::open(folder.path()).unwrap().questions.len(), 1);
    }

    #[test]
    fn halves_and_samples_share_nothing_and_lose_nothing() {
        let question = |n: usize| Question { id: n.to_string(), text: String::new(), answers: Vec::new() };
        let dataset = Dataset { questions: (0..11).map(question).collect(), ..Dataset::default() };
        let (even, odd) = (dataset.clone().half(false), dataset.clone().half(true));
        assert_eq!((even.questions.len(), odd.questions.len()), (6, 5));
        assert!(even.questions.iter().all(|question| !odd.questions.contains(question)));
        assert_eq!(dataset.clone().sample(4).questions.len(), 4);
        assert_eq!(dataset.sample(100).questions.len(), 11);
    }
}
