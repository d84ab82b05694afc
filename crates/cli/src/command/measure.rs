//! `fontes eval retrieval` and `fontes eval make`: how well passages are found, and sets to tell by.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::BufReader,
    iter,
    path::Path,
    time::Instant,
};

use anyhow::Context as _;
use fontes_core::{
    Cancel, ChunkId, Error, Ledger as _, Query, Result as CoreResult, SearchMode, SearchSettings, Subquery,
};
use fontes_eval::{Baseline, Dataset, Question, Ranking, RetrievalReport, Run, Source};

use super::eval::{Corpus, gate};
use crate::{
    args::{EvalMake, EvalRetrieval, HalfChoice},
    config::Config,
    finding,
    output::{Outcome, Voice},
    wiring,
};

/// Hits per search: metrics look at 100 documents, and several chunks may be of one.
const DEPTH: usize = 300;

/// Chunks read from the ledger at once.
const PAGE: usize = 1_000;

/// Measures retrieval, or counts the run of another system.
pub fn retrieval(config: &Config, voice: Voice, arguments: &EvalRetrieval) -> anyhow::Result<Outcome> {
    let baseline = arguments.run.baseline.as_deref().map(Baseline::open).transpose()?;
    let dataset = Dataset::open(&arguments.run.dir)?;
    let dataset = match arguments.half {
        Some(half) => dataset.half(half == HalfChoice::Odd),
        None => dataset,
    };
    let dataset = match arguments.run.limit {
        Some(limit) => dataset.sample(limit),
        None => dataset,
    };
    let (report, runs) = match &arguments.given {
        Some(path) => given(voice, &dataset, path)?,
        None => measured(config, voice, &dataset)?,
    };
    if let Some(folder) = &arguments.runs {
        write_runs(folder, &dataset, &runs)?;
    }
    if let Some(path) = &arguments.report {
        write_report(path, &report)?;
    }
    if voice.json {
        voice.object(&report)?;
    } else {
        voice.text(&fontes_eval::retrieval_markdown(&report))?;
    }
    gate(baseline.as_ref(), &report.metrics)
}

/// What stands in a report beside the modes: hybrid searches that do not read their best candidates again.
const FUSED: &str = "fused";

/// Searches in every mode, and without reading candidates again where that is done.
fn measured(
    config: &Config,
    voice: Voice,
    dataset: &Dataset,
) -> anyhow::Result<(RetrievalReport, BTreeMap<String, Run>)> {
    let corpus = Corpus::index(config, voice, dataset)?;
    let searcher = corpus.archive.searcher(config)?;
    let settings = config.search.settings();
    let also = rewritings(config, voice, dataset, &settings, &corpus.cancel)?;
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    let plain = searcher.without_rescoring();
    let mut ways: Vec<_> = SearchMode::ALL.iter().map(|&mode| (mode.to_string(), mode, &searcher)).collect();
    if let Some(plain) = &plain {
        // The last one is what the report is about.
        ways.insert(ways.len() - 1, (FUSED.to_owned(), SearchMode::Hybrid, plain));
    }
    let names: Vec<&str> = ways.iter().map(|(name, ..)| name.as_str()).collect();
    let mut search = |question: &Question, way: usize| -> CoreResult<Ranking> {
        corpus.go_on()?;
        let (name, mode, searcher) = &ways[way];
        let (mode, searcher) = (*mode, *searcher);
        let query = Query {
            text: question.text.clone(),
            k: DEPTH,
            mode,
            split: settings.split,
            also: also.get(&question.id).cloned().unwrap_or_default(),
            diversity: settings.diversity,
            ..Query::default()
        };
        let begin = Instant::now();
        let found = searcher.search(&query, &corpus.scope)?;
        let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
        // A document that is only named beside another was found all the same.
        let documents = found
            .hits
            .iter()
            .flat_map(|hit| iter::once(hit.document_id).chain(hit.also_in.iter().map(|other| other.document_id)));
        let ids: Vec<String> = documents.filter_map(|id| corpus.ids.get(&id).cloned()).collect();
        runs.entry(name.clone()).or_default().insert(question.id.clone(), ids.clone());
        Ok(Ranking { ids, milliseconds })
    };
    let report = fontes_eval::evaluate_retrieval(dataset, &names, &mut search)?;
    Ok((report, runs))
}

/// What the generator makes of each question, where the configuration wants it; questions for which it fails are searched for as
/// they stand, and counted.
fn rewritings(
    config: &Config,
    voice: Voice,
    dataset: &Dataset,
    settings: &SearchSettings,
    cancel: &Cancel,
) -> anyhow::Result<BTreeMap<String, Vec<Subquery>>> {
    if !settings.rewrite && !settings.hypothetical {
        return Ok(BTreeMap::new());
    }
    let Some(generator) = wiring::generator(config, None)? else {
        return Err(Error::invalid("search.rewrite and search.hypothetical need a generator")
            .advise("install one")
            .into());
    };
    let begin = Instant::now();
    let mut also = BTreeMap::new();
    for question in &dataset.questions {
        if let Some(texts) = finding::rewrite(config, Some(generator.as_ref()), &question.text, settings, cancel)? {
            also.insert(question.id.clone(), texts);
        }
    }
    let (asked, seconds) = (dataset.questions.len(), begin.elapsed().as_secs_f64());
    voice.remark(&format!("{} of {asked} questions rewritten in {seconds:.1} s", also.len()));
    Ok(also)
}

/// Counts a run that lies in a file; it stands under the name of the mode that is reported.
fn given(voice: Voice, dataset: &Dataset, path: &Path) -> anyhow::Result<(RetrievalReport, BTreeMap<String, Run>)> {
    let file = fs::File::open(path).map_err(|error| {
        Error::invalid(format!("run {} cannot be read", path.display()))
            .advise("name a file with six columns a line, as `--runs` writes it")
            .because(error)
    })?;
    let run = fontes_eval::read_run(BufReader::new(file))?;
    if dataset.questions.iter().all(|question| !run.contains_key(&question.id)) {
        let what = format!("run {} answers no question of {}", path.display(), dataset.name);
        return Err(Error::invalid(what).advise("the ids of questions must be those of queries.jsonl").into());
    }
    let known: HashSet<&str> = dataset.corpus.iter().map(|document| document.id.as_str()).collect();
    let named: HashSet<&str> = run.values().flatten().map(String::as_str).collect();
    let strangers = named.difference(&known).count();
    if strangers == named.len() {
        let what = format!("run {} names no document of {}", path.display(), dataset.name);
        return Err(Error::invalid(what).advise("the ids of documents must be those of corpus.jsonl").into());
    }
    if strangers > 0 {
        voice.remark(&format!("{strangers} of {} documents of the run are not in corpus.jsonl", named.len()));
    }
    let mut read = |question: &Question, _: usize| -> CoreResult<Ranking> {
        Ok(Ranking { ids: run.get(&question.id).cloned().unwrap_or_default(), milliseconds: 0.0 })
    };
    let report = fontes_eval::evaluate_retrieval(dataset, &[&SearchMode::Hybrid.to_string()], &mut read)?;
    Ok((report, BTreeMap::new()))
}

fn write_runs(folder: &Path, dataset: &Dataset, runs: &BTreeMap<String, Run>) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
    for (mode, run) in runs {
        let path = folder.join(format!("{mode}.run"));
        let name = format!("fontes-{mode}");
        fs::write(&path, fontes_eval::write_run(run, &name)).with_context(|| format!("run {}", path.display()))?;
    }
    let path = folder.join("qrels.txt");
    fs::write(&path, fontes_eval::write_qrels(&dataset.judgements)).with_context(|| format!("{}", path.display()))
}

/// Writes one page, or Markdown with its plots beside it.
fn write_report(path: &Path, report: &RetrievalReport) -> anyhow::Result<()> {
    let put = |path: &Path, text: &str| fs::write(path, text).with_context(|| format!("report {}", path.display()));
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => put(path, &fontes_eval::retrieval_html(report)),
        Some("md") => {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let mut text = fontes_eval::retrieval_markdown(report);
            for (name, plot) in [("ndcg", fontes_eval::bars(report)), ("recall", fontes_eval::recall_curve(report))] {
                let file = format!("{stem}-{name}.svg");
                put(&path.with_file_name(&file), &plot)?;
                text.push_str(&format!("\n![{name}]({file})\n"));
            }
            put(path, &text)
        }
        _ => Err(Error::invalid(format!("report {} ends with neither .html nor .md", path.display())).into()),
    }
}

/// Makes a known-item set of what the principal may see.
pub fn make(config: &Config, voice: Voice, arguments: &EvalMake) -> anyhow::Result<Outcome> {
    let scope = config.access.scope(arguments.principal.as_deref())?;
    let ledger = wiring::ledger(config)?;
    let ids: Vec<ChunkId> = ledger.active_chunk_ids()?.into_iter().collect();
    let mut sources = Vec::with_capacity(ids.len());
    for page in ids.chunks(PAGE) {
        let records = ledger.chunks(page, &scope)?;
        sources.extend(records.into_iter().map(|record| Source {
            id: record.chunk.id.to_string(),
            title: record.document.title,
            text: record.chunk.text,
        }));
    }
    let items = fontes_eval::known_items(&sources, arguments.questions, arguments.seed);
    if items.questions.is_empty() {
        voice.remark("no passage holds a sentence that a question can be made of");
        return Ok(Outcome::Nothing);
    }
    items.write(&arguments.dir)?;
    let made = items.questions.len();
    if voice.json {
        voice.object(&serde_json::json!({ "path": arguments.dir, "questions": made, "passages": sources.len() }))?;
    } else {
        voice.line(&format!("{made} questions over {} passages in {}", sources.len(), arguments.dir.display()))?;
        voice.remark("mark questions nobody would ask with n in review.tsv, then run `fontes eval retrieval` on it");
    }
    Ok(Outcome::Done)
}
