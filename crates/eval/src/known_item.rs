//! An evaluation set from documents nobody has judged: known-item questions.
//!
//! A passage is drawn, and a question is made of words of one of its sentences; the passage is then the one
//! right answer. Words are drawn by how much they say (inverse document frequency), which is how people were
//! found to ask for what they remember (Azzopardi, de Rijke and Balog, SIGIR 2007). Such sets flatter the
//! lexical leg and tell nothing of paraphrases; they are for watching one archive over time, and for a person to
//! improve: `review.tsv` lists every question beside its passage, and those marked `n` are left out when the set
//! is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use fontes_core::{Error, Result};
use serde_json::json;

use crate::bootstrap::SplitMix;

/// Words of a question: as many as people type.
const WORDS: usize = 5;

/// Letters of a word that says something.
const LETTERS: usize = 4;

/// Words of a sentence that a question can be made of.
const SENTENCE: std::ops::RangeInclusive<usize> = 6..=60;

/// A passage that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Title of its document.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A set of questions, each with its passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownItems<'s> {
    sources: &'s [Source],
    /// Question and number of its source, in the order of the sources.
    pub questions: Vec<(String, usize)>,
}

/// Makes at most `count` questions of `sources`, spread over them evenly. The same sources and seed give the same
/// questions; passages without a usable sentence have none.
pub fn known_items(sources: &[Source], count: usize, seed: u64) -> KnownItems<'_> {
    let mut frequencies: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources {
        for word in content(&source.text).into_iter().collect::<BTreeSet<_>>() {
            *frequencies.entry(word).or_default() += 1;
        }
    }
    let mut random = SplitMix(seed);
    let mut questions = Vec::with_capacity(count.min(sources.len()));
    let mut asked = BTreeSet::new();
    for (at, source) in sources.iter().enumerate() {
        // As many questions as the share of the sources gone through.
        let due = ((at + 1) * count).div_ceil(sources.len().max(1));
        if questions.len() < due.min(count)
            && let Some(question) = question(&source.text, &frequencies, sources.len(), &mut random)
            && asked.insert(question.clone())
        {
            questions.push((question, at));
        }
    }
    KnownItems { sources, questions }
}

impl KnownItems<'_> {
    /// Writes the set into `folder` in the layout of BEIR, with `review.tsv` for a person to read.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Conflict`] when the folder holds a set already;
    /// [`fontes_core::ErrorKind::Unavailable`] when it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        if folder.join("queries.jsonl").exists() {
            return Err(Error::conflict(format!("{} holds an evaluation set already", folder.display()))
                .advise("name another folder: a reviewed set is work that must not be lost"));
        }
        let mut corpus = String::new();
        for Source { id, title, text } in self.sources {
            let _ = writeln!(corpus, "{}", json!({ "_id": id, "title": title, "text": text }));
        }
        let (mut queries, mut qrels) = (String::new(), "query-id\tcorpus-id\tscore\n".to_owned());
        let mut review = "keep\tquery-id\tquestion\tpassage\n".to_owned();
        for ((question, at), number) in self.questions.iter().zip(1..) {
            let Source { id, text, .. } = &self.sources[*at];
            let _ = writeln!(queries, "{}", json!({ "_id": format!("k{number}"), "text": question }));
            let _ = writeln!(qrels, "k{number}\t{id}\t1");
            let passage = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(review, "y\tk{number}\t{question}\t{passage}");
        }
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
            made.map_err(|error| Error::unavailable(format!("{} cannot be written", path.display())).because(error))
        };
        put("corpus.jsonl", &corpus)?;
        put("qrels/test.tsv", &qrels)?;
        put("review.tsv", &review)?;
        // Last, because this file says that the set is whole.
        put("queries.jsonl", &queries)
    }
}

/// A question from one sentence of `text`: its most telling words, drawn by weight, in their order.
fn question(
    text: &str,
    frequencies: &BTreeMap<String, usize>,
    documents: usize,
    random: &mut SplitMix,
) -> Option<String> {
    let sentences: Vec<Vec<&str>> = text
        .split_inclusive(['.', '!', '?', '\n'])
        .map(|sentence| sentence.split_whitespace().collect())
        .filter(|words: &Vec<&str>| SENTENCE.contains(&words.len()))
        .collect();
    if sentences.is_empty() {
        return None;
    }
    let sentence = &sentences[random.below(sentences.len())];
    let mut drawn: Vec<(f64, usize, &str)> = Vec::new();
    for (place, typed) in sentence.iter().enumerate() {
        let word = typed.trim_matches(|c: char| !c.is_alphanumeric());
        let Some(frequency) = frequencies.get(&word.to_lowercase()) else { continue };
        let weight = ((documents + 1) as f64 / (*frequency as f64 + 0.5)).ln().max(1e-3);
        // Weighted drawing without replacement (Efraimidis and Spirakis 2006): the largest u^(1/weight).
        let uniform = (random.below(1 << 30) as f64 + 0.5) / f64::from(1 << 30);
        drawn.push((uniform.ln() / weight, place, word));
    }
    drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut seen = BTreeSet::new();
    drawn.retain(|(_, _, word)| seen.insert(word.to_lowercase()));
    drawn.truncate(WORDS);
    if drawn.len() < WORDS.div_ceil(2) {
        return None;
    }
    drawn.sort_by_key(|(_, place, _)| *place);
    Some(drawn.into_iter().map(|(_, _, word)| word).collect::<Vec<_>>().join(" "))
}

/// The words of a text that say something, in lower case.
fn content(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= LETTERS)
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    fn sources() -> Vec<Source> {
        let text = |n: usize| {
            format!(
                "Kurz. Die Verfügung Nummer{n} betrifft den Antrag der Gemeinde Ort{n} über Beiträge für Strasse{n}. Ende"
            )
        };
        (0..40).map(|n| Source { id: format!("c{n}"), title: "Titel".into(), text: text(n) }).collect()
    }

    #[test]
    fn questions_are_words_of_their_passage_and_repeatable() {
        let sources = sources();
        let items = known_items(&sources, 10, 7);
        assert_eq!(items, known_items(&sources, 10, 7));
        assert_ne!(items, known_items(&sources, 10, 8));
        assert_eq!(items.questions.len(), 10);
        for (question, at) in &items.questions {
            let words: Vec<&str> = question.split(' ').collect();
            assert!((3..=WORDS).contains(&words.len()), "{question}");
            assert!(words.iter().all(|word| sources[*at].text.contains(word)), "{question}");
        }
        assert!(items.questions.last().unwrap().1 >= 30, "spread over the sources");
    }

    #[test]
    fn nothing_to_ask_is_no_question() {
        let source = |text: &str| Source { id: "a".into(), title: String::new(), text: text.into() };
        assert!(known_items(&[source("Zu kurz."), source("")], 5, 1).questions.is_empty());
        assert!(known_items(&[], 5, 1).questions.is_empty());
    }

    #[test]
    fn a_written_set_is_read_and_a_review_counts() {
        let folder = tempfile::TempDir::new().unwrap();
        let sources = sources();
        let items = known_items(&sources, 10, 7);
        items.write(folder.path()).unwrap();
        assert_eq!(Dataset::open(folder.path()).unwrap().questions.len(), 10);
        assert_eq!(items.write(folder.path()).unwrap_err().kind(), fontes_core::ErrorKind::Conflict);
        let review = folder.path().join("review.tsv");
        let text = fs::read_to_string(&review).unwrap().replacen("\ny\tk3\t", "\nn\tk3\t", 1);
        fs::write(&review, text).unwrap();
        let reviewed = Dataset::open(folder.path()).unwrap();
        assert_eq!(reviewed.questions.len(), 9);
        assert!(reviewed.questions.iter().all(|question| question.id != "k3"));
    }
}
