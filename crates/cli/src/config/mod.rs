//! How this site runs: built-in defaults, then a file, then the environment, then flags.
//!
//! The only place that reads the environment and the home directory. Everything below gets values.

pub mod schema;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fontes_core::{AccessPolicy, Error, SearchSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::args::Global;

/// The defaults, which are also the commented reference.
pub const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// Prefix of environment variables that set a key: `FONTES_SECTION__KEY`.
const ENVIRONMENT_PREFIX: &str = "FONTES_";

/// The whole configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where data lives.
    pub data: Data,
    /// Which models run.
    pub models: Models,
    /// How documents are taken in.
    pub ingest: Ingest,
    /// How indexes are built and searched.
    pub index: Index,
    /// Where vectors live.
    pub qdrant: Qdrant,
    /// How passages are found.
    pub search: Search,
    /// How answers are made.
    pub answer: Answer,
    /// How a local model writes.
    pub generation: Generation,
    /// Where the server listens.
    pub server: Server,
    /// Who may see what.
    #[schemars(with = "schema::Access")]
    pub access: AccessPolicy,
}

/// `[data]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data directory; resolved to a real path by [`Config::load`].
    pub dir: PathBuf,
}

/// `[models]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// The model directory; resolved to a real path by [`Config::load`].
    pub dir: PathBuf,
    /// Installed name of the embedder of new archives; `NAME@N` keeps the first N dimensions of its vectors.
    pub embedder: String,
    /// How weights of embedder and reranker are held and multiplied.
    pub encoder_precision: EncoderPrecision,
    /// Installed name, path, `none` or `auto`.
    pub generator: String,
    /// What `auto` tries, in order.
    pub generators: Vec<String>,
    /// Installed name of the reranker, or empty.
    pub reranker: String,
    /// Tokens the reranker reads for one search.
    pub reranker_tokens: usize,
    /// Milliseconds after which it begins no further passage.
    pub reranker_milliseconds: u64,
    /// Base address of `hf:` sources.
    pub hub: String,
    /// A server to generate with.
    pub remote: Remote,
}

/// How weights of embedder and reranker are held and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncoderPrecision {
    /// Single precision, the reference.
    F32,
    /// Half precision.
    F16,
    /// 8 bits, a scale per channel and per token: the fastest.
    Int8,
    /// 8 bits, a scale per 32 weights.
    Q8_0,
    /// 4 bits.
    Q4_0,
}

/// `[models.remote]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Address, or empty for none.
    pub base_url: String,
    /// Model name on that server.
    pub model: String,
    /// Longest prompt plus answer that server takes, in tokens.
    pub context_length: usize,
    /// File with the API key, or empty.
    pub api_key_file: PathBuf,
}

/// `[ingest]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// Documents parsed at once; 0 is one per core.
    pub jobs: usize,
    /// Largest file read, in MiB.
    pub max_file_mib: u64,
    /// Memory of one worker, in MiB.
    pub worker_memory_mib: u64,
    /// Wall-clock limit per document, in seconds.
    pub worker_seconds: u64,
    /// Bytes between stages, in MiB.
    pub in_flight_mib: u64,
    /// Folder of source files; empty: none.
    pub sources: PathBuf,
    /// What reads PDF pages.
    pub pdf_engine: PdfEngine,
    /// Languages that text recognition expects (ISO 639-1); none switches it off.
    pub ocr_languages: Vec<String>,
    /// Most pages of a file that are recognised.
    pub ocr_pages: u32,
}

/// What reads PDF pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PdfEngine {
    /// Finds most, and draws pages with the same interpreter.
    Hayro,
    /// Finds less, and panics on one file in forty.
    PdfExtract,
}

/// `[index]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// File with the recipe; empty: the one that is compiled in.
    pub recipe: PathBuf,
}

/// `[qdrant]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qdrant {
    /// Address of a server's gRPC port, or empty for vectors in process.
    pub url: String,
    /// File with the API key, or empty.
    pub api_key_file: PathBuf,
    /// Name of this archive on the server.
    pub collection: String,
    /// Parts of a new collection.
    pub shards: u32,
    /// Copies of each part of a new collection.
    pub replicas: u32,
    /// Longest wait for one reply, in seconds.
    pub timeout_seconds: u64,
    /// Whether vectors and key may go unencrypted to another machine.
    pub plain_http: bool,
}

/// `[search]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Tokens that may be read of candidates, to compare them with the question, where nothing is kept of them;
    /// 0 compares none.
    pub late_interaction_tokens: usize,
    /// Whether the vectors of the best passages search once more, where candidates are compared.
    pub feedback: bool,
    /// Whether a text that clearly asks several things is searched for part by part, too.
    pub split: bool,
    /// How much a hit that resembles a better one steps back, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub diversity: f32,
    /// Whether a generator puts questions in other words for the search.
    pub rewrite: bool,
    /// Whether it writes a passage that might answer them, and the like of it is searched for.
    pub hypothetical: bool,
    /// Tokens it may write for each.
    pub rewrite_tokens: usize,
    /// Milliseconds it may take for one question.
    pub rewrite_milliseconds: u64,
}

impl Search {
    /// How is searched where a request does not say.
    pub fn settings(&self) -> SearchSettings {
        let Self { split, rewrite, hypothetical, diversity, .. } = *self;
        SearchSettings { split, rewrite, hypothetical, diversity }
    }
}

/// Reads a number from 0 to 1.
fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    let share = f32::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(D::Error::custom(format!("{share} is not between 0 and 1")))
    }
}

/// `[answer]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Whether sentences are read for the answer, beside words and similarity.
    pub reader: bool,
    /// Budget for passages, in tokens of the generator.
    pub passage_tokens: usize,
    /// Confidence below which there is silence, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub threshold: f32,
    /// What happens to unsupported sentences.
    pub unsupported: Unsupported,
    /// What has the last word on generated sentences: `generator`, an installed cross-encoder's name, or empty.
    pub judge: String,
    /// Probability below which the judge rejects a sentence, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub judgement: f32,
}

/// `[generation]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Where a local model computes: `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// What float weights become in memory: `auto`, `f32`, `bf16`, `f16` or `q8_0`.
    pub dtype: String,
    /// Memory for weights and session, in MiB; 0 asks the system.
    pub memory_mib: u64,
    /// Whether packed weights are kept beside an installed model.
    pub packed_copy: bool,
    /// Whether tokens are drafted and verified together.
    pub drafts: bool,
    /// Memory for the beginnings of prompts, in MiB.
    pub prefix_memory_mib: u64,
    /// Disk for the beginnings of prompts, in MiB.
    pub prefix_disk_mib: u64,
}

/// What happens to sentences the sources do not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// They are left out.
    Drop,
    /// They stay, marked.
    Mark,
}

/// `[server]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Listening address.
    pub listen: std::net::SocketAddr,
}

impl Config {
    /// Composes the configuration for this run.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] naming the key at fault, what set it, and what to do.
    pub fn load(global: &Global) -> anyhow::Result<Self> {
        let environment = std::env::vars().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        let file = global.config.as_deref().map(Layer::read).transpose()?;
        let mut config = Self::compose(file.into_iter().chain(environment.filter_map(Layer::variable)))?;
        if let Some(dir) = &global.data_dir {
            config.data.dir.clone_from(dir);
        }
        if config.data.dir.as_os_str().is_empty() {
            config.data.dir = base_dir("XDG_DATA_HOME", ".local/share")?.join("fontes");
        }
        if config.models.dir.as_os_str().is_empty() {
            config.models.dir = base_dir("XDG_CACHE_HOME", ".cache")?.join("fontes/models");
        }
        config.data.dir = std::path::absolute(&config.data.dir)?;
        config.models.dir = std::path::absolute(&config.models.dir)?;
        Ok(config)
    }

    /// The same for an archive of its own in a folder of the data directory: on a server it has a name of its own too.
    pub fn beneath(&self, folder: impl AsRef<Path>) -> Self {
        let mut config = self.clone();
        config.data.dir.push(folder.as_ref());
        for part in folder.as_ref() {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            config.qdrant.collection.push('-');
            config.qdrant.collection.extend(part.to_string_lossy().chars().map(plain));
        }
        config
    }

    /// Lays `layers` over the defaults, later ones over earlier ones.
    fn compose(layers: impl Iterator<Item = Layer>) -> anyhow::Result<Self> {
        let mut table: toml::Table = DEFAULTS.parse().context("built-in defaults")?;
        let layers: Vec<Layer> = layers.collect();
        for layer in &layers {
            overlay(&mut table, layer.table.clone());
        }
        serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
            let path = error.path().to_string();
            // A flaw in a table may be a key of the wrong name, which the message names.
            let key = if path == "." { String::new() } else { format!("{path}: ") };
            let origin = layers.iter().rev().find(|layer| layer.sets(&path));
            let from = origin.map_or(String::new(), |layer| format!("{}: ", layer.origin));
            let advice = match origin {
                Some(layer) => format!("correct it in {}; {HINT}", layer.origin),
                None => HINT.to_owned(),
            };
            Error::invalid(format!("{from}{key}{}", error.inner().message())).advise(advice).into()
        })
    }
}

/// Where to look the right name or value up.
const HINT: &str = "config/default.toml explains every key, `fontes config schema` gives their types";

/// Settings from one place.
struct Layer {
    /// The place, as a person would name it.
    origin: String,
    table: toml::Table,
}

impl Layer {
    /// Reads a configuration file.
    fn read(path: &Path) -> anyhow::Result<Self> {
        let origin = format!("configuration file {}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("{origin} cannot be read: {}", error.kind()))
                .advise("check the path given by --config or FONTES_CONFIG, and its permissions")
                .because(error)
        })?;
        let table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Error::invalid(format!("{origin}, line {line}: {}", error.message())).advise(HINT)
        })?;
        Ok(Self { origin, table })
    }

    /// Reads a variable `FONTES_SECTION__KEY`. Others (`FONTES_CONFIG`, `FONTES_DATA_DIR`) are flags, read by clap.
    fn variable((name, value): (String, String)) -> Option<Self> {
        let (section, key) = name[ENVIRONMENT_PREFIX.len()..].split_once("__")?;
        let path: Vec<String> = std::iter::once(section).chain(key.split("__")).map(str::to_ascii_lowercase).collect();
        Some(Self { origin: format!("variable {name}"), table: nested(&path, parse_value(&value)) })
    }

    /// Says whether this layer has the key at `path`, names joined by dots.
    fn sets(&self, path: &str) -> bool {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.table.get(name));
        names.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten().is_some()
    }
}

/// Puts `value` under nested tables named by `path`.
fn nested(path: &[String], value: toml::Value) -> toml::Table {
    match path {
        [] => toml::Table::new(),
        [key] => [(key.clone(), value)].into_iter().collect(),
        [key, rest @ ..] => [(key.clone(), toml::Value::Table(nested(rest, value)))].into_iter().collect(),
    }
}

/// Reads an environment value as TOML when it is TOML, as a string otherwise.
fn parse_value(text: &str) -> toml::Value {
    format!("value = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// Lays `over` on `base`, table by table; other values replace.
fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => overlay(below, above),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// A base directory of the XDG specification: the variable, or a folder under the home directory.
fn base_dir(variable: &str, fallback: &str) -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os(variable).filter(|dir| Path::new(dir).is_absolute()) {
        return Ok(dir.into());
    }
    let home = std::env::var_os("HOME").ok_or_else(|| {
        Error::invalid("no home directory is known").advise("pass --data-dir and set FONTES_MODELS__DIR")
    })?;
    Ok(Path::new(&home).join(fallback))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose(file: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
        let file = Layer { origin: "configuration file site.toml".into(), table: file.parse().unwrap() };
        let environment =
            environment.iter().filter_map(|(name, value)| Layer::variable(((*name).into(), (*value).into())));
        Config::compose(std::iter::once(file).chain(environment))
    }

    fn complaint(file: &str, environment: &[(&str, &str)]) -> (String, String) {
        let error = compose(file, environment).unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        (error.to_string(), error.advice().unwrap().to_owned())
    }

    #[test]
    fn the_defaults_are_complete() {
        let config = compose("", &[]).unwrap();
        assert!(config.server.listen.ip().is_loopback());
        assert!(config.access.scope(None).is_ok(), "the default principal exists");
        assert!(config.models.generators[0].starts_with("apertus"), "Apertus comes first");
    }

    #[test]
    fn an_archive_beneath_has_its_own_folder_and_name() {
        let config = compose("[data]\ndir = '/data'\n", &[]).unwrap();
        let beneath = config.beneath(Path::new("eval").join("x.y"));
        assert_eq!(beneath.data.dir, Path::new("/data/eval/x.y"));
        assert_eq!(
            (config.qdrant.collection.as_str(), beneath.qdrant.collection.as_str()),
            ("fontes", "fontes-eval-x-y")
        );
        assert!(config.qdrant.url.is_empty(), "no network unless it is set");
    }

    #[test]
    fn environment_wins_over_file_over_defaults() {
        let file = "[ingest]\njobs = 3\nmax_file_mib = 10\n";
        let config = compose(file, &[("FONTES_INGEST__JOBS", "5"), ("FONTES_MODELS__EMBEDDER", "mini")]).unwrap();
        assert_eq!((config.ingest.jobs, config.ingest.max_file_mib), (5, 10));
        assert_eq!(config.models.embedder, "mini");
    }

    #[test]
    fn unknown_keys_are_refused_by_name_and_place() {
        let (message, advice) = complaint("[ingest]\nspeed = 9\n", &[]);
        assert!(message.contains("ingest") && message.contains("speed") && message.contains("site.toml"), "{message}");
        assert!(message.contains("max_file_mib"), "names what there is: {message}");
        assert!(advice.contains("fontes config schema"), "{advice}");
        let (message, _) = complaint("", &[("FONTES_INGEST__SPEED", "9")]);
        assert!(message.contains("FONTES_INGEST__SPEED"), "{message}");
    }

    #[test]
    fn wrong_values_are_refused_with_their_key() {
        let (message, advice) = complaint("[ingest]\nmax_file_mib = 'many'\n", &[]);
        assert!(message.contains("ingest.max_file_mib") && message.contains("site.toml"), "{message}");
        assert!(advice.contains("site.toml"), "{advice}");
        let (message, advice) = complaint("", &[("FONTES_ANSWER__UNSUPPORTED", "keep")]);
        assert!(message.contains("answer.unsupported") && message.contains("drop"), "{message}");
        assert!(advice.contains("FONTES_ANSWER__UNSUPPORTED"), "{advice}");
        let (message, _) = complaint("[access.principals.eve]\ngroups = 7\n", &[]);
        assert!(message.contains("access.principals.eve.groups"), "{message}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_named_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        std::fs::write(&path, "[data]\ndir = \"x\"\nnonsense\n").unwrap();
        let error = Layer::read(&path).err().unwrap().to_string();
        assert!(error.contains("site.toml, line 3"), "{error}");
        assert!(Layer::read(&folder.path().join("none.toml")).err().unwrap().to_string().contains("none.toml"));
    }
}
