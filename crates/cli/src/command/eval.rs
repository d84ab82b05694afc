//! `fontes eval`: retrieval and answers, measured on a set of questions.
//!
//! The corpus goes through the real pipeline into an index of its own, kept under `eval/` of the data
//! directory, so that a second evaluation of the same set embeds nothing again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use fontes_core::{
    AccessScope, Answer, Cancel, Citation, Digest, Document, DocumentId, Error, Language, Ledger as _, Metadata, Page,
    Result as CoreResult, Span,
};
use fontes_eval::{AnswerReport, Asking, Baseline, CorpusDocument, Dataset, Question, QuestionOutcome};
use fontes_extract::{ExtractError, Extraction};
use fontes_generation::AnswerPolicy;
use fontes_ingestion::{Extractor, Profiles, SqliteLedger};
use fontes_server::{Ask, Site};

use super::{embedders, ingest, measure, tune};
use crate::{
    args::{AnswersRun, Eval, EvalRun},
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    wiring::{self, Archive, Intake},
};

/// Name of the system with nothing switched off.
const WHOLE: &str = "whole";

/// Media type of corpus documents: plain text, already extracted.
const CORPUS_TYPE: &str = "text/plain";

/// Runs an evaluation.
pub fn run(config: &Config, voice: Voice, command: &Eval) -> anyhow::Result<Outcome> {
    match command {
        Eval::Retrieval(run) => measure::retrieval(config, voice, run),
        Eval::Answers(run) => answers(config, voice, run),
        Eval::Make(arguments) => measure::make(config, voice, arguments),
        Eval::Tune(arguments) => tune::run(config, voice, arguments),
        Eval::Signals(run) => signals(config, voice, run),
    }
}

fn answers(config: &Config, voice: Voice, arguments: &AnswersRun) -> anyhow::Result<Outcome> {
    let run = &arguments.run;
    let baseline = run.baseline.as_deref().map(Baseline::open).transpose()?;
    let dataset = dataset(run)?;
    let corpus = Corpus::index(config, voice, &dataset)?;
    let generator = wiring::generator(config, run.model.as_deref())?;
    let usual = wiring::policy(config);
    let mut variants = vec![(WHOLE, usual)];
    if arguments.ablation {
        variants.extend(ablations(usual, generator.is_some(), !config.answer.judge.is_empty()));
    }
    let mut reports = Vec::with_capacity(variants.len());
    for (name, policy) in variants {
        let site = corpus.archive.site_with(config, generator.clone(), policy)?;
        let mut journal = Journal::open(arguments.report.as_deref(), name)?;
        let earlier = std::mem::take(&mut journal.earlier);
        let mut asking = SiteAsking { site, corpus: &corpus };
        let report = fontes_eval::evaluate_answers(&dataset, &mut asking, earlier, &mut |one| journal.keep(one))?;
        reports.push((name.to_owned(), report));
    }
    let mut text = fontes_eval::answers_markdown(&reports[0].1);
    if arguments.ablation {
        text.push_str(&format!("\n{}", fontes_eval::ablation_markdown(&reports)));
    }
    if let Some(folder) = &arguments.report {
        write_report(folder, &text, &reports[0].1)?;
    }
    let whole = AnswerReport { outcomes: Vec::new(), ..reports.swap_remove(0).1 };
    if voice.json {
        voice.object(&whole)?;
    } else {
        voice.text(&text)?;
    }
    gate(baseline.as_ref(), &whole.metrics)
}

/// The system with one part off at a time.
fn ablations(usual: AnswerPolicy, generates: bool, judged: bool) -> Vec<(&'static str, AnswerPolicy)> {
    let silent = ("never silent", AnswerPolicy { threshold: 0.0, ..usual });
    if !generates {
        let alone = AnswerPolicy { neighbour_ratio: f32::INFINITY, ..usual };
        return vec![("no neighbours", alone), ("one place", AnswerPolicy { quote_limit: 1, ..usual }), silent];
    }
    let unjudged = judged.then_some(("no judge", AnswerPolicy { judgement: 0.0, ..usual }));
    let parts = [
        ("no marker grammar", AnswerPolicy { constrain: false, ..usual }),
        ("no verification", AnswerPolicy { verify: false, ..usual }),
        ("no second try", AnswerPolicy { repairs: 0, ..usual }),
        silent,
    ];
    unjudged.into_iter().chain(parts).collect()
}

/// The outcomes of a run, written line by line as they come, so that an interrupted run can go on.
struct Journal {
    file: Option<(fs::File, PathBuf)>,
    earlier: Vec<QuestionOutcome>,
}

impl Journal {
    /// Opens the journal of `variant` in the report's folder, and reads what an earlier run left; a line that was cut off
    /// does not count. Without a folder nothing is kept.
    fn open(folder: Option<&Path>, variant: &str) -> anyhow::Result<Self> {
        let Some(folder) = folder else { return Ok(Self { file: None, earlier: Vec::new() }) };
        fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
        let suffix = if variant == WHOLE { String::new() } else { format!("-{}", variant.replace(' ', "-")) };
        let path = folder.join(format!("questions{suffix}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let earlier = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let unreadable = || format!("journal {}", path.display());
        let mut file = fs::File::options().create(true).append(true).open(&path).with_context(unreadable)?;
        if !text.is_empty() && !text.ends_with('\n') {
            writeln!(file).with_context(unreadable)?;
        }
        Ok(Self { file: Some((file, path)), earlier })
    }

    fn keep(&mut self, outcome: &QuestionOutcome) -> CoreResult<()> {
        let Some((file, path)) = &mut self.file else { return Ok(()) };
        let line = serde_json::to_string(outcome)
            .map_err(|error| Error::internal("an outcome cannot be written as JSON").because(error))?;
        writeln!(file, "{line}")
            .map_err(|error| Error::unavailable(format!("journal {} cannot be written", path.display())).because(error))
    }
}

fn write_report(folder: &Path, markdown: &str, report: &AnswerReport) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
    let title = format!("{}, {} questions, {}", report.dataset, report.queries, report.model);
    let figures = AnswerReport { outcomes: Vec::new(), ..report.clone() };
    let files = [
        ("answers.json", serde_json::to_string_pretty(&figures)?),
        ("answers.md", format!("{markdown}\n![risk over coverage](risk-coverage.svg)\n")),
        ("risk-coverage.svg", fontes_eval::curve_svg(&title, &report.curve, &report.operating_point)),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("report file {}", path.display()))?;
    }
    Ok(())
}

/// One line per candidate sentence of each question, with the relevant documents there and gone.
fn signals(config: &Config, voice: Voice, run: &EvalRun) -> anyhow::Result<Outcome> {
    let dataset = dataset(run)?;
    let corpus = Corpus::index(config, voice, &dataset)?;
    let site = corpus.archive.site(config, None)?;
    for question in dataset.questions.iter().filter(|question| !question.answers.is_empty()) {
        let relevant = dataset.relevant(&question.id);
        for without in [BTreeSet::new(), relevant.clone()] {
            let ask = corpus.ask(question, &without);
            for weighed in site.weigh(&ask, &corpus.scope)? {
                let signals: BTreeMap<&str, f32> = weighed.signals.into_iter().collect();
                voice.object(&serde_json::json!({
                    "question": question.id,
                    "language": Language::detect(&question.text),
                    "gone": !without.is_empty(),
                    "relevant": corpus.ids.get(&weighed.citation.document_id).is_some_and(|id| relevant.contains(id)),
                    "right": fontes_eval::holds_answer(&weighed.citation.quote, &question.answers),
                    "document": weighed.citation.document_id,
                    "span": weighed.citation.span,
                    "probability": weighed.probability,
                    "signals": signals,
                }))?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn dataset(run: &EvalRun) -> anyhow::Result<Dataset> {
    let dataset = Dataset::open(&run.dir)?;
    Ok(match run.limit {
        Some(limit) => dataset.sample(limit),
        None => dataset,
    })
}

/// Fails when a metric fell below the baseline.
pub(super) fn gate(baseline: Option<&Baseline>, measured: &BTreeMap<String, f64>) -> anyhow::Result<Outcome> {
    let Some(baseline) = baseline else { return Ok(Outcome::Done) };
    let fallen = baseline.regressions(measured);
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
pub(super) struct Corpus {
    pub(super) archive: Archive,
    pub(super) scope: AccessScope,
    pub(super) cancel: Cancel,
    /// Ids of the set by document.
    pub(super) ids: BTreeMap<DocumentId, String>,
    /// Documents by id of the set.
    documents: BTreeMap<String, DocumentId>,
}

impl Corpus {
    /// Brings the corpus of `dataset` into an index, or finds it there.
    pub(super) fn index(config: &Config, voice: Voice, dataset: &Dataset) -> anyhow::Result<Self> {
        let cancel = interrupt::install()?;
        let config = config.beneath(Path::new("eval").join(&dataset.name));
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
        embedders::bring(&config, voice, &cancel)?;
        let intake = Intake { extractor: Arc::new(CorpusExtractor), profiles: Profiles::built_in() };
        let archive = Archive::open_with(&config, intake)?;
        let request = wiring::request(&config, vec![folder]);
        let summary = ingest::once(&archive.ingestion, voice, &request, &mut ingest::Records::default(), &cancel)?;
        anyhow::ensure!(!summary.cancelled, Error::unavailable("evaluation was interrupted; run it again to go on"));
        voice.remark(&format!(
            "{}: {} documents, {} chunks new in {:.1} s",
            dataset.name,
            dataset.corpus.len(),
            summary.chunks,
            summary.seconds
        ));
        let ids = documents.iter().map(|(id, document)| (*document, id.clone())).collect();
        Ok(Self { archive, scope: config.access.scope(None)?, cancel, ids, documents })
    }

    /// Whether to go on with the next question.
    ///
    /// # Errors
    /// When asked to stop.
    pub(super) fn go_on(&self) -> CoreResult<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::unavailable("evaluation was interrupted").advise("run it again to go on"));
        }
        Ok(())
    }

    fn ledger(&self) -> &SqliteLedger {
        &self.archive.ledger
    }

    /// The question put to the corpus but the documents `without`.
    fn ask(&self, question: &Question, without: &BTreeSet<String>) -> Ask {
        let without = without.iter().filter_map(|id| self.documents.get(id).copied()).collect();
        Ask { without, ..Ask::new(question.text.as_str()) }
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
            pages: vec![Page::new(1, span)],
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
        // Quoting below the threshold costs nothing and tells the rest of the curve; generating would cost minutes.
        let quotes = self.site.answerer().generator().is_none();
        let ask = Ask { threshold: quotes.then_some(0.0), ..self.corpus.ask(question, without) };
        let answer = self.site.answer(&ask, &self.corpus.scope, &mut |_| {}, &self.corpus.cancel)?;
        self.corpus.go_on()?;
        Ok(answer)
    }

    fn system(&self) -> String {
        let answerer = self.site.answerer();
        let model = answerer.generator().map(|generator| generator.identity().sha256);
        let method = answerer.extractive_identity().sha256;
        Digest::of(format!("{:?} {model:?} {method}", answerer.policy()).as_bytes()).to_string()
    }

    fn threshold(&self) -> f64 {
        f64::from(self.site.answerer().policy().threshold)
    }

    fn resolves(&mut self, citation: &Citation) -> bool {
        let found = self.corpus.ledger().document(citation.document_id, &self.corpus.scope);
        found.is_ok_and(|(_, document)| citation.span.of(&document.text) == Some(citation.quote.as_str()))
    }

    fn corpus_id(&mut self, citation: &Citation) -> Option<String> {
        self.corpus.ids.get(&citation.document_id).cloned()
    }
}
