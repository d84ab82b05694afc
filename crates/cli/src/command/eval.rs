//! `fontes eval`: retrieval and answers, measured on a set of questions.
//!
//! The corpus goes through the real pipeline into an index of its own, kept under `eval/` of the data
//! directory, so that a second evaluation of the same set embeds nothing again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::Instant,
};

use anyhow::Context as _;
use fontes_core::{
    AccessScope, Answer, Cancel, Citation, Document, DocumentId, Error, ExtractionMethod, Language, Ledger as _,
    Metadata, Page, Query, Result as CoreResult, SearchMode, Span,
};
use fontes_eval::{Asking, Baseline, CorpusDocument, Dataset, Question, Ranking};
use fontes_extract::{ExtractError, Extraction};
use fontes_ingestion::{Extractor, Profiles, SqliteLedger};
use fontes_server::{Ask, Site};

use super::ingest;
use crate::{
    args::{Eval, EvalRun},
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    wiring::{self, Archive, Intake},
};

/// Hits per search: metrics look at 100 documents, and several chunks may be of one.
const DEPTH: usize = 300;

/// Media type of corpus documents: plain text, already extracted.
const CORPUS_TYPE: &str = "text/plain";

/// Runs an evaluation.
pub fn run(config: &Config, voice: Voice, command: &Eval) -> anyhow::Result<Outcome> {
    match command {
        Eval::Retrieval(run) => retrieval(config, voice, run),
        Eval::Answers(run) => answers(config, voice, run),
    }
}

fn retrieval(config: &Config, voice: Voice, run: &EvalRun) -> anyhow::Result<Outcome> {
    let dataset = dataset(run)?;
    let corpus = Corpus::index(config, voice, &dataset)?;
    let searcher = corpus.archive.searcher(config)?;
    let mut search = |question: &Question, mode: SearchMode| -> CoreResult<Ranking> {
        let query = Query { text: question.text.clone(), k: DEPTH, mode, filter: Default::default() };
        let begin = Instant::now();
        let found = searcher.search(&query, &corpus.scope)?;
        let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
        let ids = found.hits.iter().filter_map(|hit| corpus.ids.get(&hit.document_id).cloned()).collect();
        Ok(Ranking { ids, milliseconds })
    };
    let report = fontes_eval::evaluate_retrieval(&dataset, &SearchMode::ALL, &mut search)?;
    if voice.json {
        voice.object(&report)?;
    } else {
        voice.text(&fontes_eval::retrieval_markdown(&report))?;
    }
    gate(run, &report.metrics)
}

fn answers(config: &Config, voice: Voice, run: &EvalRun) -> anyhow::Result<Outcome> {
    let dataset = dataset(run)?;
    let corpus = Corpus::index(config, voice, &dataset)?;
    let generator = wiring::generator(config, run.model.as_deref())?;
    let site = corpus.archive.site(config, generator)?;
    let mut asking = SiteAsking { site, corpus: &corpus };
    let report = fontes_eval::evaluate_answers(&dataset, &mut asking)?;
    if voice.json {
        voice.object(&report)?;
    } else {
        voice.text(&fontes_eval::answers_markdown(&report))?;
    }
    gate(run, &report.metrics)
}

fn dataset(run: &EvalRun) -> anyhow::Result<Dataset> {
    let dataset = Dataset::open(&run.dir)?;
    Ok(match run.limit {
        Some(limit) => dataset.sample(limit),
        None => dataset,
    })
}

/// Fails when a metric fell below the baseline.
fn gate(run: &EvalRun, measured: &BTreeMap<String, f64>) -> anyhow::Result<Outcome> {
    let Some(path) = &run.baseline else { return Ok(Outcome::Done) };
    let fallen = Baseline::open(path)?.regressions(measured);
    if fallen.is_empty() {
        return Ok(Outcome::Done);
    }
    let list: Vec<String> = fallen
        .iter()
        .map(|metric| {
            let now = metric.measured.map_or("not measured".to_owned(), |now| format!("{now:.4}"));
            format!("{} {now} (baseline {:.4})", metric.metric, metric.baseline)
        })
        .collect();
    Err(Error::conflict(format!("below the baseline: {}", list.join(", ")))
        .advise("find out what changed, or accept the new figures as the baseline")
        .into())
}

/// A corpus in an index of its own.
struct Corpus {
    archive: Archive,
    scope: AccessScope,
    /// Ids of the set by document.
    ids: BTreeMap<DocumentId, String>,
    /// Documents by id of the set.
    documents: BTreeMap<String, DocumentId>,
}

impl Corpus {
    /// Brings the corpus of `dataset` into an index, or finds it there.
    fn index(config: &Config, voice: Voice, dataset: &Dataset) -> anyhow::Result<Self> {
        let cancel = interrupt::install()?;
        let mut config = config.clone();
        config.data.dir = config.data.dir.join("eval").join(&dataset.name);
        let folder = config.data.dir.join("corpus");
        fs::create_dir_all(&folder).with_context(|| format!("folder {}", folder.display()))?;
        let mut documents = BTreeMap::new();
        for (number, document) in dataset.corpus.iter().enumerate() {
            let path = folder.join(format!("{number:07}.json"));
            let content = serde_json::json!({ "_id": document.id, "title": document.title, "text": document.text });
            fs::write(&path, content.to_string()).with_context(|| format!("corpus file {}", path.display()))?;
            let path = path.canonicalize()?;
            documents
                .insert(document.id.clone(), DocumentId::derive(wiring::FILES, path.as_os_str().as_encoded_bytes()));
        }
        let intake = Intake { extractor: Arc::new(CorpusExtractor), profiles: Profiles::built_in() };
        let archive = Archive::open_with(&config, intake)?;
        let request = wiring::request(&config, vec![folder]);
        let summary = ingest::once(&archive.ingestion, voice, &request, &mut None, &cancel)?;
        anyhow::ensure!(!summary.cancelled, Error::unavailable("evaluation was interrupted; run it again to go on"));
        voice.remark(&format!(
            "{}: {} documents, {} chunks new in {:.1} s",
            dataset.name,
            dataset.corpus.len(),
            summary.chunks,
            summary.seconds
        ));
        let ids = documents.iter().map(|(id, document)| (*document, id.clone())).collect();
        Ok(Self { archive, scope: config.access.scope(None)?, ids, documents })
    }

    fn ledger(&self) -> &SqliteLedger {
        &self.archive.ledger
    }
}

/// Corpus documents are text already: nothing is parsed, so nothing needs a sandbox.
struct CorpusExtractor;

impl Extractor for CorpusExtractor {
    fn extract(&self, bytes: &[u8], _name: &str, _cancel: &Cancel) -> Result<Extraction, ExtractError> {
        let malformed = |_| ExtractError::Corrupted { what: "evaluation document".into() };
        let CorpusDocument { title, text, .. } = serde_json::from_slice(bytes).map_err(malformed)?;
        let span = Span::new(0, text.len());
        let document = Document {
            media_type: CORPUS_TYPE.into(),
            metadata: Metadata { title: Some(title).filter(|title| !title.is_empty()), ..Metadata::default() },
            language: Language::detect(&text),
            text,
            pages: vec![Page { number: 1, span, size: None, method: ExtractionMethod::Text }],
            blocks: Vec::new(),
        };
        Ok(Extraction { document, children: Vec::new(), warnings: Vec::new() })
    }
}

/// The composed system under test.
struct SiteAsking<'a> {
    site: Site,
    corpus: &'a Corpus,
}

impl Asking for SiteAsking<'_> {
    fn ask(&mut self, question: &Question, without: &BTreeSet<String>) -> CoreResult<Answer> {
        let without = without.iter().filter_map(|id| self.corpus.documents.get(id).copied()).collect();
        let ask = Ask { without, ..Ask::new(question.text.as_str()) };
        self.site.answer(&ask, &self.corpus.scope, &mut |_| {}, &Cancel::default())
    }

    fn resolves(&mut self, citation: &Citation) -> bool {
        let found = self.corpus.ledger().document(citation.document_id, &self.corpus.scope);
        found.is_ok_and(|(_, document)| citation.span.of(&document.text) == Some(citation.quote.as_str()))
    }

    fn corpus_id(&mut self, citation: &Citation) -> Option<String> {
        self.corpus.ids.get(&citation.document_id).cloned()
    }
}
