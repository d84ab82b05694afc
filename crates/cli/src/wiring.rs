//! The whole system on one page: what is made of what.
//!
//! ```text
//! configuration ─► model store ─► embedder ─┬─► index (names its embedder, refuses another)
//!                       │                   │
//!                       └─► generator       ├─► ingestion ◄─ worker pool, ledger
//!                               │           │
//!                               └──► site ◄─┴─► searcher ◄─ ledger
//! ```

mod sets;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use fontes_core::{Clock, Embedder, Error, ErrorKind, Generator, Judge, Labels, Language, Reader, Reranker};
use fontes_extract::{ParseLimits, PdfEngine, WorkerCommand, WorkerLimits, WorkerPool, worker::Recognition};
use fontes_generation::{AnswerPolicy, Answerer, GeneratorJudge, Prompts, Unsupported};
use fontes_index::{Index, Recipe, ServerSettings, VectorHome};
use fontes_ingestion::{
    Extractor, IngestLimits, IngestRequest, Ingestion, IngestionParts, Measure, OtherVectors, Profiles, SqliteLedger,
    SqliteTokens,
};
use fontes_model::{
    decoder::{DeviceChoice, Dtype, OpenOptions, cpu::PackedCopy},
    encoder::{self, EncoderEmbedder},
    generate,
    prefix::PrefixLimits,
    remote::{RemoteGenerator, RemoteOptions},
    store::{InstalledModel, Manifest, ModelRole, ModelStore},
};
use fontes_retrieval::Searcher;
use fontes_server::Site;

use crate::{
    config::{self, Config},
    finding, machine,
};

pub use sets::{Choice, Standing, add as add_set, model_and_dimensions, remove as drop_set, searches_with};

/// The models Fontes knows, with digests and sources.
const MODEL_MANIFEST: &str = include_str!("../../../config/models.toml");

/// What makes a reader of the default embedder; `config/reader/README.md` says what it was trained on.
const READER: &[u8] = include_bytes!("../../../config/reader/multilingual-e5-small.safetensors");

/// Name of the source of everything given on the command line.
pub const FILES: &str = "files";

const MIB: u64 = 1 << 20;

/// The system clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The folder of models with the built-in manifest.
pub fn model_store(config: &Config) -> anyhow::Result<ModelStore> {
    let manifest: Manifest = MODEL_MANIFEST.parse().context("built-in model manifest")?;
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    Ok(ModelStore::open(&config.models.dir, manifest, &config.models.hub, token))
}

/// The installed embedder the configuration names.
pub fn embedder(config: &Config) -> anyhow::Result<Arc<EncoderEmbedder>> {
    Choice::named(config, &config.models.embedder)?.open(config)
}

fn encoder_options(config: &Config) -> encoder::EncoderOptions {
    let precision = match config.models.encoder_precision {
        config::EncoderPrecision::F32 => encoder::Precision::F32,
        config::EncoderPrecision::F16 => encoder::Precision::F16,
        config::EncoderPrecision::Int8 => encoder::Precision::Int8,
        config::EncoderPrecision::Q8_0 => encoder::Precision::Q8_0,
        config::EncoderPrecision::Q4_0 => encoder::Precision::Q4_0,
    };
    encoder::EncoderOptions { precision, ..encoder::EncoderOptions::default() }
}

/// The installed reranker, when the configuration names one.
fn reranker(config: &Config) -> anyhow::Result<Option<Arc<dyn Reranker>>> {
    if config.models.reranker.is_empty() {
        return Ok(None);
    }
    let model = installed(&model_store(config)?, &config.models.reranker)?;
    let budget = encoder::RerankBudget {
        tokens: config.models.reranker_tokens,
        time: Duration::from_millis(config.models.reranker_milliseconds),
    };
    let reranker = encoder::open_reranker(&model, &encoder_options(config), budget).map_err(Error::from)?;
    Ok(Some(Arc::new(reranker)))
}

/// What has the last word on generated sentences; nothing when there are none or the configuration wants no judge.
fn judge(config: &Config, generator: Option<&Arc<dyn Generator>>) -> anyhow::Result<Option<Arc<dyn Judge>>> {
    let Some(generator) = generator else { return Ok(None) };
    Ok(match config.answer.judge.as_str() {
        "" => None,
        "generator" => Some(Arc::new(GeneratorJudge::new(generator.clone()))),
        name => {
            let model = installed(&model_store(config)?, name)?;
            Some(Arc::new(encoder::open_judge(&model, &encoder_options(config)).map_err(Error::from)?))
        }
    })
}

/// The reader that comes with the default embedder; none with another, or when the configuration wants none.
fn reader(config: &Config, embedder: &EncoderEmbedder) -> anyhow::Result<Option<Arc<dyn Reader>>> {
    if !config.answer.reader {
        return Ok(None);
    }
    match encoder::open_reader(embedder, READER, &encoder_options(config)) {
        Ok(reader) => Ok(Some(Arc::new(reader))),
        Err(encoder::EncoderError::Adapter { .. }) => Ok(None),
        Err(error) => Err(Error::from(error).into()),
    }
}

/// An installed model by name; the error says how to install it.
fn installed(store: &ModelStore, name: &str) -> anyhow::Result<InstalledModel> {
    Ok(store.resolve(name).map_err(Error::from)?)
}

/// What will write answers.
#[derive(Clone, Debug)]
pub enum GeneratorChoice {
    /// Nothing: sentences are quoted.
    None,
    /// An installed model.
    Installed(Box<InstalledModel>),
    /// A model where it lies.
    Path(PathBuf),
    /// A server named in the configuration.
    Remote,
}

impl fmt::Display for GeneratorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Installed(model) => f.write_str(&model.name),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Remote => f.write_str("remote server"),
        }
    }
}

/// Decides what writes answers: the flag, else the configuration; `auto` takes a configured server, else the
/// first installed of the configured list.
pub fn generator_choice(config: &Config, flag: Option<&str>) -> anyhow::Result<GeneratorChoice> {
    let wanted = flag.unwrap_or(&config.models.generator);
    let store = model_store(config)?;
    match wanted {
        "none" => Ok(GeneratorChoice::None),
        "auto" if !config.models.remote.base_url.is_empty() => Ok(GeneratorChoice::Remote),
        "auto" => {
            let ready = config.models.generators.iter().find_map(|name| store.resolve(name).ok());
            Ok(ready.map_or(GeneratorChoice::None, |model| GeneratorChoice::Installed(Box::new(model))))
        }
        "remote" => Ok(GeneratorChoice::Remote),
        path if Path::new(path).exists() => Ok(GeneratorChoice::Path(path.into())),
        name => Ok(GeneratorChoice::Installed(Box::new(installed(&store, name)?))),
    }
}

/// Where computations for the beginnings of prompts are kept.
pub fn prefix_folder(config: &Config) -> PathBuf {
    config.data.dir.join("prefix")
}

/// Bytes that a local model may take on this machine. A GPU refuses by itself what does not fit there.
pub fn memory_limit(config: &Config, device: DeviceChoice) -> Option<u64> {
    match config.generation.memory_mib {
        _ if device != DeviceChoice::Cpu => None,
        0 => machine::available_memory(),
        mib => Some(mib * MIB),
    }
}

/// What float weights of a local model become in memory.
pub fn float_dtype(config: &Config, device: DeviceChoice) -> anyhow::Result<Dtype> {
    Ok(match config.generation.dtype.as_str() {
        "auto" if device == DeviceChoice::Cpu => Dtype::Q8_0,
        "auto" => Dtype::Bf16,
        name => name.parse()?,
    })
}

/// Where packed weights of an installed model are kept, if the site wants that.
pub fn packed_copy(config: &Config, model: &InstalledModel) -> Option<PackedCopy> {
    config.generation.packed_copy.then(|| PackedCopy { path: model.packed(), model: model.sha256 })
}

/// How a local model is opened: one of the store, or a path.
fn generator_options(config: &Config, model: Option<&InstalledModel>) -> anyhow::Result<generate::Options> {
    let device: DeviceChoice = config.generation.device.parse()?;
    let dtype = float_dtype(config, device)?;
    let max_memory = memory_limit(config, device);
    let packed_copy = model.and_then(|model| packed_copy(config, model));
    let prefix = PrefixLimits {
        memory_bytes: config.generation.prefix_memory_mib * MIB,
        disk_bytes: config.generation.prefix_disk_mib * MIB,
        folder: prefix_folder(config),
    };
    Ok(generate::Options {
        decoder: OpenOptions { device, dtype, max_memory, packed_copy, ..OpenOptions::default() },
        identity: model.map(InstalledModel::identity),
        now: Some(SystemClock.now()),
        drafts: config.generation.drafts,
        prefix: (prefix.memory_bytes + prefix.disk_bytes > 0).then_some(prefix),
        ..generate::Options::default()
    })
}

/// Loads what writes answers.
pub fn generator(config: &Config, flag: Option<&str>) -> anyhow::Result<Option<Arc<dyn Generator>>> {
    let open = |path: &Path, model| Ok::<_, anyhow::Error>(generate::open(path, generator_options(config, model)?)?);
    Ok(match generator_choice(config, flag)? {
        GeneratorChoice::None => None,
        GeneratorChoice::Installed(model) if model.role != ModelRole::Generator => {
            let what = format!("model {:?} does not generate text", model.name);
            return Err(Error::invalid(what).advise("`fontes models list` shows which models do").into());
        }
        GeneratorChoice::Installed(model) => Some(Arc::new(open(&model.weights(), Some(&*model))?)),
        GeneratorChoice::Path(path) => Some(Arc::new(open(&path, None)?)),
        GeneratorChoice::Remote => Some(Arc::new(remote(&config.models.remote)?)),
    })
}

/// The generator of a configured server.
fn remote(remote: &config::Remote) -> anyhow::Result<RemoteGenerator> {
    if remote.base_url.is_empty() {
        return Err(Error::invalid("no remote server is configured").advise("set models.remote.base_url").into());
    }
    let mut options = RemoteOptions::new(&remote.base_url, &remote.model, remote.context_length);
    options.api_key = api_key(&remote.api_key_file)?;
    Ok(RemoteGenerator::new(options).map_err(Error::from)?)
}

/// The key in a file; none when no file is named.
fn api_key(path: &Path) -> anyhow::Result<Option<String>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let key = std::fs::read_to_string(path).with_context(|| format!("API key file {}", path.display()))?;
    Ok(Some(key.trim().to_owned()))
}

/// Where vectors live.
pub fn vector_home(config: &Config) -> anyhow::Result<VectorHome> {
    let qdrant = &config.qdrant;
    if qdrant.url.is_empty() {
        return Ok(VectorHome::InProcess);
    }
    Ok(VectorHome::Server(ServerSettings {
        url: qdrant.url.clone(),
        api_key: api_key(&qdrant.api_key_file)?,
        name: qdrant.collection.clone(),
        shards: qdrant.shards,
        replicas: qdrant.replicas,
        timeout: Duration::from_secs(qdrant.timeout_seconds),
        plain_http: qdrant.plain_http,
    }))
}

/// Folder of the index in the data directory.
fn index_folder(config: &Config) -> PathBuf {
    config.data.dir.join("index")
}

/// Removes a data directory that was made for a measurement, and its vectors wherever they are.
pub fn remove_archive(config: &Config) -> anyhow::Result<()> {
    Index::discard(&index_folder(config), &vector_home(config)?)?;
    let dir = &config.data.dir;
    std::fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))
}

/// How documents get in: what parses them, and how they are cut.
pub struct Intake {
    /// Bytes to documents.
    pub extractor: Arc<dyn Extractor>,
    /// How documents are cut.
    pub profiles: Profiles,
}

impl Intake {
    /// The usual way: parsing in sandboxed worker processes, which start when the first file comes; the built-in
    /// profiles.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { extractor: Arc::new(workers(config)?), profiles: Profiles::built_in() })
    }
}

/// One data directory, opened: the way in, and what the way out is made of. One process at a time holds it.
pub struct Archive {
    /// The truth.
    pub ledger: Arc<SqliteLedger>,
    /// The way in.
    pub ingestion: Ingestion,
    index: Index,
    tokens: Arc<SqliteTokens>,
    embedder: Arc<dyn Embedder>,
    /// What a reader can be made of, unless the embedder is of the caller's choice.
    encoder: Option<Arc<EncoderEmbedder>>,
    recipe: Recipe,
    /// Where the vectors are.
    pub vectors: VectorHome,
    /// Sets of vectors that were damaged and that opening for repair has emptied.
    pub emptied: Vec<String>,
}

impl Archive {
    /// Opens the configured data directory, creating it when it is new, and finishes what an interrupted run left.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        Self::open_with(config, Intake::new(config)?)
    }

    /// The same, with a way in of the caller's choice.
    pub fn open_with(config: &Config, intake: Intake) -> anyhow::Result<Self> {
        Self::open_own(config, intake, false)
    }

    /// The same, with an embedder of the caller's choice.
    pub fn open_embedding_with(config: &Config, intake: Intake, embedder: Arc<dyn Embedder>) -> anyhow::Result<Self> {
        Self::open_index(config, intake, ledger(config)?, embedder, false)
    }

    /// Opens the data directory for repair: an index that is damaged, of another version or of other weights
    /// is replaced by an empty one, which the repair fills again from the ledger's stored text; so is a set beside the
    /// searched one, which waits to be filled.
    pub fn open_for_repair(config: &Config) -> anyhow::Result<Self> {
        Self::open_own(config, Intake::new(config)?, true)
    }

    /// Opens with the embedder that the archive names, a new one with the configured.
    fn open_own(config: &Config, intake: Intake, repair: bool) -> anyhow::Result<Self> {
        // Held first: what the archive names cannot change meanwhile.
        let ledger = ledger(config)?;
        let encoder = Choice::of_archive(config)?.open(config)?;
        let archive = Self::open_index(config, intake, ledger, encoder.clone(), repair)?;
        Ok(Self { encoder: Some(encoder), ..archive })
    }

    fn open_index(
        config: &Config,
        intake: Intake,
        ledger: Arc<SqliteLedger>,
        embedder: Arc<dyn Embedder>,
        repair: bool,
    ) -> anyhow::Result<Self> {
        let recipe = finding::recipe(config)?;
        let (dir, home) = (index_folder(config), vector_home(config)?);
        if !repair && sets::is_lost(config) && ledger.counts()?.documents > 0 {
            return Err(Error::corrupt(format!("the index of the archive in {} is gone", config.data.dir.display()))
                .advise("`fontes check --repair` makes it anew from the stored texts")
                .into());
        }
        let open = || Index::open(&dir, &recipe, embedder.identity(), embedder.dimensions(), &home);
        let mut index = match open() {
            // The ledger's lock is held, so a conflict is not with another process.
            Err(error) if repair && matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Corrupt) => {
                Index::discard(&dir, &home)?;
                open()?
            }
            opened => opened?,
        };
        let emptied = if repair { index.mend_others()? } else { Vec::new() };
        let tokens = Arc::new(SqliteTokens::open(&config.data.dir)?);
        let others = index.others.iter();
        let measures = index.manifest.measures.iter();
        let ingestion = Ingestion::new(IngestionParts {
            ledger: ledger.clone(),
            extractor: intake.extractor,
            embedder: embedder.clone(),
            vectors: index.vectors.clone(),
            others: others
                .map(|other| OtherVectors { name: other.name.clone(), vectors: other.vectors.clone() })
                .collect(),
            tokens: tokens.clone(),
            lexical: index.lexical.clone(),
            clock: Arc::new(SystemClock),
            profiles: intake.profiles,
            measures: measures
                .map(|one| Measure { embedder: one.embedder.clone(), max_tokens: one.max_tokens })
                .collect(),
            limits: IngestLimits {
                max_file_bytes: config.ingest.max_file_mib * MIB,
                in_flight_bytes: config.ingest.in_flight_mib * MIB,
                parse: parse_limits(config),
            },
        });
        // On a full disk what is left of an interrupted run stays for later: hits are confirmed by the ledger, so
        // reading is safe, and every write recovers first.
        ingestion.recover().map(drop).or_else(|error| match error.kind() {
            ErrorKind::Unavailable => Ok(()),
            _ => Err(error),
        })?;
        Ok(Self { ledger, ingestion, index, tokens, embedder, encoder: None, recipe, vectors: home, emptied })
    }

    /// What to tell when there is nothing to search in: often a mistyped folder.
    pub fn empty_remark(&self, config: &Config) -> anyhow::Result<Option<String>> {
        let empty = self.ledger.counts()?.documents == 0;
        let remark =
            || format!("there is no document in {}: `fontes ingest`, or check --data-dir", config.data.dir.display());
        Ok(empty.then(remark))
    }

    /// Builds what makes searches fast; blocks while it does.
    pub fn optimize(&self) -> anyhow::Result<()> {
        Ok(self.index.vectors.optimize()?)
    }

    /// The way out: search alone.
    pub fn searcher(&self, config: &Config) -> anyhow::Result<Searcher> {
        Ok(Searcher::new(
            self.embedder.clone(),
            self.index.vectors.clone(),
            self.index.lexical.clone(),
            self.ledger.clone(),
            reranker(config)?,
            finding::fusion(&self.recipe),
        )?
        .with_tokens(self.tokens.clone())
        .with_late_interaction(config.search.late_interaction_tokens)
        .with_feedback(config.search.feedback))
    }

    /// The way out: search, and answers written by `generator` or quoted without one.
    pub fn site(&self, config: &Config, generator: Option<Arc<dyn Generator>>) -> anyhow::Result<Site> {
        self.site_with(config, generator, policy(config))
    }

    /// The same under another policy.
    pub fn site_with(
        &self,
        config: &Config,
        generator: Option<Arc<dyn Generator>>,
        policy: AnswerPolicy,
    ) -> anyhow::Result<Site> {
        let judge = judge(config, generator.as_ref())?;
        let mut answerer =
            Answerer::new(generator, self.embedder.clone(), self.ledger.clone(), Prompts::default(), policy);
        if let Some(encoder) = &self.encoder
            && let Some(reader) = reader(config, encoder)?
        {
            answerer = answerer.with_reader(reader);
        }
        if let Some(judge) = judge {
            answerer = answerer.with_judge(judge);
        }
        let searcher = Arc::new(self.searcher(config)?);
        let site = Site::new(searcher, Arc::new(answerer), self.ledger.clone(), config.access.clone());
        Ok(site.with_search(config.search.settings(), finding::rewrite_limits(config)))
    }
}

/// How answers are made on this site.
pub fn policy(config: &Config) -> AnswerPolicy {
    AnswerPolicy {
        unsupported: match config.answer.unsupported {
            config::Unsupported::Drop => Unsupported::Drop,
            config::Unsupported::Mark => Unsupported::Mark,
        },
        judgement: config.answer.judgement,
        threshold: config.answer.threshold,
        passage_tokens: config.answer.passage_tokens,
        ..AnswerPolicy::default()
    }
}

/// The ledger alone, for commands that only read stored text.
pub fn ledger(config: &Config) -> anyhow::Result<Arc<SqliteLedger>> {
    Ok(Arc::new(SqliteLedger::open(&config.data.dir)?))
}

/// A plain request for `roots`: the site's default labels, profiles by media type.
pub fn request(config: &Config, roots: Vec<PathBuf>) -> IngestRequest {
    let labels = Labels {
        groups: config.access.default_groups.clone(),
        classification: config.access.default_classification,
        source: FILES.into(),
    };
    IngestRequest { jobs: jobs(config), ..IngestRequest::new(roots, labels) }
}

/// Documents parsed at once.
pub fn jobs(config: &Config) -> usize {
    match config.ingest.jobs {
        0 => thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    }
}

fn parse_limits(config: &Config) -> ParseLimits {
    let pdf_engine = match config.ingest.pdf_engine {
        config::PdfEngine::Hayro => PdfEngine::Hayro,
        config::PdfEngine::PdfExtract => PdfEngine::PdfExtract,
    };
    ParseLimits { file_bytes: config.ingest.max_file_mib * MIB, pdf_engine, ..ParseLimits::default() }
}

/// How pages without text are read.
///
/// # Errors
/// A configured language that is not known.
pub fn recognition(config: &Config) -> anyhow::Result<Recognition> {
    let codes = config.ingest.ocr_languages.iter();
    let languages = codes.map(|code| code.parse::<Language>()).collect::<Result<Vec<_>, _>>()?;
    let (enabled, pages) = (!languages.is_empty(), config.ingest.ocr_pages);
    Ok(Recognition { enabled, languages, pages, ..Recognition::default() })
}

/// The parsing processes: this very binary, started as `extract-worker`.
///
/// # Errors
/// When the running program cannot be found.
pub fn workers(config: &Config) -> anyhow::Result<WorkerPool> {
    let program = std::env::current_exe().context("path of the running program")?;
    let limits = WorkerLimits {
        parse: parse_limits(config),
        wall_seconds: config.ingest.worker_seconds,
        cpu_seconds: config.ingest.worker_seconds,
        memory_bytes: config.ingest.worker_memory_mib * MIB,
        recognition: recognition(config)?,
        ..WorkerLimits::default()
    };
    Ok(WorkerPool::new(WorkerCommand { program, args: vec!["extract-worker".into()] }, limits, jobs(config)))
}
