//! How this site runs: built-in defaults, then a file, then the environment, then flags.
//!
//! The only place that reads the environment and the home directory. Everything below gets values.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fontes_core::{AccessPolicy, Error};
use serde::Deserialize;

use crate::args::Global;

/// The defaults, which are also the commented reference.
pub const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// Prefix of environment variables that set a key: `FONTES_SECTION__KEY`.
const ENVIRONMENT_PREFIX: &str = "FONTES_";

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where data lives.
    pub data: Data,
    /// Which models run.
    pub models: Models,
    /// How documents are taken in.
    pub ingest: Ingest,
    /// How answers are made.
    pub answer: Answer,
    /// Where the server listens.
    pub server: Server,
    /// Who may see what.
    pub access: AccessPolicy,
}

/// `[data]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data directory; resolved to a real path by [`Config::load`].
    pub dir: PathBuf,
}

/// `[models]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// The model directory; resolved to a real path by [`Config::load`].
    pub dir: PathBuf,
    /// Installed name of the embedder.
    pub embedder: String,
    /// Installed name, path, `none` or `auto`.
    pub generator: String,
    /// What `auto` tries, in order.
    pub generators: Vec<String>,
    /// Installed name of the reranker, or empty.
    pub reranker: String,
    /// Base address of `hf:` sources.
    pub hub: String,
    /// A server to generate with.
    pub remote: Remote,
}

/// `[models.remote]`.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
}

/// `[answer]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Budget for passages, in tokens of the generator.
    pub passage_tokens: usize,
    /// What happens to unsupported sentences.
    pub unsupported: Unsupported,
}

/// What happens to sentences the sources do not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// They are left out.
    Drop,
    /// They stay, marked.
    Mark,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Listening address.
    pub listen: std::net::SocketAddr,
}

impl Config {
    /// Composes the configuration for this run.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] naming the file or variable and the key at fault.
    pub fn load(global: &Global) -> anyhow::Result<Self> {
        let environment = std::env::vars().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        let file = global.config.as_deref().map(read_table).transpose()?;
        let mut config = Self::compose(file, environment)?;
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

    /// Lays `file` and then `environment` over the defaults.
    fn compose(file: Option<toml::Table>, environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut table: toml::Table = DEFAULTS.parse().context("built-in defaults")?;
        if let Some(file) = file {
            overlay(&mut table, file);
        }
        for (name, value) in environment {
            // FONTES_CONFIG, FONTES_DATA_DIR and the like have no section: they are flags, read by clap.
            let Some((section, key)) = name[ENVIRONMENT_PREFIX.len()..].split_once("__") else { continue };
            let path: Vec<String> =
                std::iter::once(section).chain(key.split("__")).map(str::to_ascii_lowercase).collect();
            overlay(&mut table, nested(&path, parse_value(&value)));
        }
        table.try_into().map_err(|error: toml::de::Error| {
            Error::invalid(format!("configuration: {}", error.message()))
                .advise("compare with config/default.toml, which lists every key")
                .into()
        })
    }
}

/// Reads a TOML file.
fn read_table(path: &Path) -> anyhow::Result<toml::Table> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::invalid(format!("configuration file {} cannot be read", path.display())).because(error)
    })?;
    text.parse().map_err(|error: toml::de::Error| {
        Error::invalid(format!("configuration file {}: {}", path.display(), error.message())).into()
    })
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
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::compose(Some(file.parse().unwrap()), environment)
    }

    #[test]
    fn the_defaults_are_complete() {
        let config = compose("", &[]).unwrap();
        assert!(config.server.listen.ip().is_loopback());
        assert!(config.access.scope(None).is_ok(), "the default principal exists");
        assert!(config.models.generators[0].starts_with("apertus"), "Apertus comes first");
    }

    #[test]
    fn environment_wins_over_file_over_defaults() {
        let file = "[ingest]\njobs = 3\nmax_file_mib = 10\n";
        let config = compose(file, &[("FONTES_INGEST__JOBS", "5"), ("FONTES_MODELS__EMBEDDER", "mini")]).unwrap();
        assert_eq!((config.ingest.jobs, config.ingest.max_file_mib), (5, 10));
        assert_eq!(config.models.embedder, "mini");
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = compose("[ingest]\nspeed = 9\n", &[]).unwrap_err();
        assert!(error.to_string().contains("speed"), "{error}");
        assert!(compose("", &[("FONTES_INGEST__SPEED", "9")]).is_err());
    }
}
