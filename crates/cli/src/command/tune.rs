//! `fontes eval tune`: weights of fusion learnt from a site's own judgements.
//!
//! Every second question is learnt from, the others tell whether it was worth anything. A recipe is written only when it was:
//! weights that fit one half by chance do harm on every other question.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use fontes_core::{Error, Query};
use fontes_eval::{Dataset, Difference, TuningCandidate, TuningQuestion, mean_ndcg, ndcg, tuned};
use fontes_index::Recipe;
use fontes_retrieval::{FEATURES, Fusion, FusionMethod, Searcher};
use serde_json::{Value, json};

use super::eval::Corpus;
use crate::{
    args::EvalTune,
    config::Config,
    output::{Outcome, Voice},
};

/// Hits that nDCG@10 needs: several chunks may be of one document.
const DEPTH: usize = 50;

/// The feature whose weight stays: only ratios matter.
const FIXED: [usize; 1] = [0];

/// The features whose weight may be negative: those of documents.
const SIGNED: [usize; 4] = [4, 5, 6, 7];

/// Learns, proves, and writes.
pub fn run(config: &Config, voice: Voice, arguments: &EvalTune) -> anyhow::Result<Outcome> {
    let dataset = limited(Dataset::open(&arguments.dir)?, arguments.limit);
    let (name, total) = (dataset.name.clone(), dataset.questions.len());
    let corpus = Corpus::index(config, voice, &dataset)?;
    let usual = corpus.archive.searcher(config)?;
    let before = *usual.fusion();
    if before.method != FusionMethod::WeightedSum {
        let what = "the index recipe fuses by rank, and weights of scores mean nothing there";
        return Err(Error::invalid(what).advise("set fusion.method to \"weighted_sum\"").into());
    }
    if !config.models.reranker.is_empty() {
        let what = "a reranker decides the order, and weights of fusion hardly matter";
        return Err(Error::invalid(what).advise("set models.reranker to \"\" to tune without it").into());
    }
    let (even, odd) = (dataset.clone().half(false), dataset.half(true));
    let learnt_from = questions(&corpus, &usual, &even)?;
    let weights = tuned(&learnt_from, &before.weights(), &FIXED, &SIGNED);
    let weights: [f32; FEATURES.len()] =
        weights.try_into().map_err(|_| Error::internal("another number of weights"))?;
    let after = before.with_weights(weights.map(rounded));
    let fitted = [before, after].map(|fusion| mean_ndcg(&learnt_from, &fusion.weights()));
    let difference = compared(&corpus, &odd, config, after)?;
    drop((usual, corpus));
    let mut elsewhere = BTreeMap::new();
    for dir in &arguments.on {
        let other = limited(Dataset::open(dir)?, arguments.limit).half(true);
        let corpus = Corpus::index(config, voice, &other)?;
        elsewhere.insert(other.name.clone(), (other.questions.len(), compared(&corpus, &other, config, after)?));
    }
    let found = Tuned { name, total, held_back: odd.questions.len(), before, after, fitted, difference, elsewhere };
    let write = arguments.recipe.as_deref().filter(|_| difference.is_better() || arguments.force);
    if let Some(path) = write {
        found.write(config, path)?;
    }
    if voice.json {
        voice.object(&found.json(write))?;
    } else {
        voice.text(&found.text(write))?;
        if arguments.recipe.is_some() && write.is_none() {
            voice.remark("not significantly better on the half that was held back: nothing is written (--force would)");
        }
    }
    Ok(Outcome::Done)
}

fn limited(dataset: Dataset, limit: Option<usize>) -> Dataset {
    match limit {
        Some(limit) => dataset.sample(limit),
        None => dataset,
    }
}

/// Weights are told with two decimals: more is noise.
fn rounded(weight: f32) -> f32 {
    (weight * 100.0).round() / 100.0
}

/// The candidates of every question, with what weights multiply.
fn questions(corpus: &Corpus, searcher: &Searcher, dataset: &Dataset) -> anyhow::Result<Vec<TuningQuestion>> {
    let mut questions = Vec::with_capacity(dataset.questions.len());
    for question in &dataset.questions {
        corpus.go_on()?;
        let found = searcher.featured(&question.text, &corpus.scope)?;
        let candidates = found.into_iter().filter_map(|one| {
            let document = corpus.ids.get(&one.hit.document_id)?.clone();
            Some(TuningCandidate { document, features: one.features.to_vec(), offset: one.offset })
        });
        let judged = dataset.judgements.get(&question.id).cloned().unwrap_or_default();
        questions.push(TuningQuestion { candidates: candidates.collect(), judged });
    }
    Ok(questions)
}

/// Searches for every question with the usual fusion and with another.
fn compared(corpus: &Corpus, dataset: &Dataset, config: &Config, after: Fusion) -> anyhow::Result<Difference> {
    let usual = corpus.archive.searcher(config)?;
    let other = corpus.archive.searcher(config)?.with_fusion(after)?;
    let (mut before, mut now) = (Vec::new(), Vec::new());
    for question in &dataset.questions {
        corpus.go_on()?;
        for (searcher, values) in [(&usual, &mut before), (&other, &mut now)] {
            let query = Query { text: question.text.clone(), k: DEPTH, ..Query::default() };
            let found = searcher.search(&query, &corpus.scope)?;
            let mut ranked: Vec<String> = Vec::new();
            for hit in &found.hits {
                let places = std::iter::once(hit.document_id).chain(hit.also_in.iter().map(|other| other.document_id));
                for id in places.filter_map(|id| corpus.ids.get(&id)) {
                    if !ranked.contains(id) {
                        ranked.push(id.clone());
                    }
                }
            }
            let judged = dataset.judgements.get(&question.id).cloned().unwrap_or_default();
            values.push(ndcg(&ranked, &judged, 10));
        }
    }
    Ok(Difference::of(&before, &now))
}

/// What was learnt, and what it is worth.
struct Tuned {
    name: String,
    total: usize,
    held_back: usize,
    before: Fusion,
    after: Fusion,
    /// nDCG@10 on the half that was learnt from, before and after, among the first hundred candidates.
    fitted: [f64; 2],
    difference: Difference,
    /// The same on other sets: number of questions, difference.
    elsewhere: BTreeMap<String, (usize, Difference)>,
}

impl Tuned {
    fn weights(fusion: &Fusion) -> BTreeMap<&'static str, f64> {
        // As they are told elsewhere, not as the nearest that f32 holds.
        let told = |weight: f32| (f64::from(weight) * 100.0).round() / 100.0;
        FEATURES.into_iter().zip(fusion.weights().map(told)).collect()
    }

    fn json(&self, written: Option<&Path>) -> Value {
        let difference = |difference: &Difference| {
            json!({
                "before": difference.before, "after": difference.after, "p_value": difference.p_value,
                "interval": difference.interval, "better": difference.is_better(),
            })
        };
        let elsewhere: BTreeMap<&str, Value> =
            self.elsewhere.iter().map(|(name, (_, one))| (name.as_str(), difference(one))).collect();
        json!({
            "dataset": self.name, "queries": self.total, "held_back": self.held_back,
            "weights": { "before": Self::weights(&self.before), "after": Self::weights(&self.after) },
            "tuned": { "before": self.fitted[0], "after": self.fitted[1] },
            "ndcg@10": difference(&self.difference), "elsewhere": elsewhere, "written": written,
        })
    }

    fn text(&self, written: Option<&Path>) -> String {
        let mut text = format!("## {}\n\n| weight | before | after |\n|---|---:|---:|\n", self.name);
        let after = self.after.weights();
        for ((name, before), after) in FEATURES.into_iter().zip(self.before.weights()).zip(after) {
            text.push_str(&format!("| {name} | {before:.2} | {after:.2} |\n"));
        }
        let learnt = self.total - self.held_back;
        text.push_str(&format!(
            "\nnDCG@10 on the {learnt} questions learnt from: {:.4}, was {:.4}.\n",
            self.fitted[1], self.fitted[0]
        ));
        text.push_str(&told("held back", self.held_back, &self.difference));
        for (name, (questions, difference)) in &self.elsewhere {
            text.push_str(&told(name, *questions, difference));
        }
        if let Some(path) = written {
            text.push_str(&format!("\nWritten to {}; set index.recipe to use it.\n", path.display()));
        }
        text
    }

    /// Writes the recipe in use, or the file as it is, with these weights.
    fn write(&self, config: &Config, path: &Path) -> anyhow::Result<()> {
        let present = [path, config.index.recipe.as_path()].into_iter().find(|path| path.is_file());
        let text = match present {
            Some(present) => fs::read_to_string(present).with_context(|| format!("recipe {}", present.display()))?,
            None => Recipe::builtin_text().to_owned(),
        };
        let candidates = Recipe::parse(&text)?.fusion.candidates;
        let text = format!("{}\n{}", without_fusion(&text).trim_end(), self.section(candidates));
        Recipe::parse(&text).context("the recipe that would be written")?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
        }
        fs::write(path, text).with_context(|| format!("recipe {}", path.display()))
    }

    /// The `[fusion]` section, with what was measured.
    fn section(&self, candidates: usize) -> String {
        let Difference { before, after, interval, p_value } = self.difference;
        let learnt = self.total - self.held_back;
        let mut text = format!(
            "\n[fusion]\n# Learnt by `fontes eval tune` from {learnt} questions of {}. nDCG@10 on {} others: {after:.4}, was \
             {before:.4};\n# difference {:+.4}, 95 % interval {:+.4} to {:+.4}, p = {p_value:.4}.\n",
            self.name,
            self.held_back,
            after - before,
            interval.low,
            interval.high
        );
        let [dense, lexical, learnt @ ..] = self.after.weights();
        text.push_str(&format!(
            "method = \"weighted_sum\"\nk = {:?}\ndense = {dense:?}\nlexical = {lexical:?}\ncandidates = {candidates}\n\n\
             [fusion.learnt]\n",
            self.after.rank_constant
        ));
        for (name, weight) in FEATURES[2..].iter().zip(learnt) {
            text.push_str(&format!("{name} = {weight:?}\n"));
        }
        text
    }
}

fn told(what: &str, questions: usize, difference: &Difference) -> String {
    let Difference { before, after, interval, p_value } = difference;
    format!(
        "nDCG@10 on {questions} questions ({what}): {after:.4}, was {before:.4}; {:+.4}, 95 % interval {:+.4} to {:+.4}, p = {p_value:.4}.\n",
        after - before,
        interval.low,
        interval.high
    )
}

/// A recipe without its `[fusion]` tables.
fn without_fusion(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            let table = line.trim().trim_start_matches('[').trim_end_matches(']').trim();
            inside = table == "fusion" || table.starts_with("fusion.");
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use fontes_eval::Interval;

    use super::*;

    fn found() -> Tuned {
        let before = Fusion::default();
        let after = before.with_weights([1.0, 0.85, 0.1, 0.0, 0.3, 0.0, -0.05, 0.0]);
        let difference =
            Difference { before: 0.8, after: 0.83, interval: Interval { low: 0.01, high: 0.05 }, p_value: 0.004 };
        Tuned {
            name: "my-set".into(),
            total: 200,
            held_back: 100,
            before,
            after,
            fitted: [0.8, 0.85],
            difference,
            elsewhere: BTreeMap::from([("other".to_owned(), (50, difference))]),
        }
    }

    #[test]
    fn a_recipe_keeps_all_but_its_fusion() {
        let found = found();
        let text = format!("{}\n{}", without_fusion(Recipe::builtin_text()).trim_end(), found.section(100));
        let (recipe, builtin) = (Recipe::parse(&text).unwrap(), Recipe::builtin());
        assert_eq!((recipe.vectors, recipe.lexical), (builtin.vectors, builtin.lexical));
        assert_eq!((recipe.fusion.dense, recipe.fusion.lexical), (1.0, 0.85));
        assert_eq!((recipe.fusion.learnt.title, recipe.fusion.learnt.length), (0.3, -0.05));
        assert!(text.contains("# Learnt by") && text.contains("p = 0.0040"), "{text}");
        assert!(text.contains("# HNSW graph"), "comments stay");
        // Written again over itself, it holds one section.
        let again = format!("{}\n{}", without_fusion(&text).trim_end(), found.section(100));
        assert_eq!(again, text);
    }

    #[test]
    fn figures_are_told_in_full() {
        let found = found();
        let text = found.text(Some(Path::new("mine.toml")));
        for part in ["| title | 0.00 | 0.30 |", "0.8300, was 0.8000", "(other)", "mine.toml"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = found.json(None);
        assert_eq!((&json["ndcg@10"]["better"], &json["written"]), (&json!(true), &Value::Null));
        assert_eq!(json["held_back"], 100);
    }
}
