//! Sources: where documents come from and who may see them, as files of `ingest/sources`.

use std::{collections::BTreeSet, path::PathBuf};

use fontes_core::{Classification, Error, Group, Labels, Result, seam::require_labels};
use serde::Deserialize;

/// A source as its file says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its name, part of every document's identity.
    pub name: String,
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Groups that may see its documents.
    pub groups: BTreeSet<Group>,
    /// How closely they are held.
    #[serde(default)]
    pub classification: Classification,
    /// Name of a profile; `None`: the media type decides.
    #[serde(default)]
    pub profile: Option<String>,
}

impl SourceConfig {
    /// Reads a source.
    ///
    /// # Errors
    /// `Invalid` for unknown or missing keys, and for a source that nobody could see.
    pub fn parse(toml: &str) -> Result<Self> {
        let source: Self = toml::from_str(toml).map_err(|error| {
            Error::invalid(format!("source cannot be read: {}", error.message()))
                .advise("compare it with ingest/sources/example.toml")
        })?;
        require_labels(&source.labels())?;
        Ok(source)
    }

    /// The labels of its documents.
    pub fn labels(&self) -> Labels {
        Labels { groups: self.groups.clone(), classification: self.classification, source: self.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_reads() {
        let source = SourceConfig::parse(include_str!("../../../ingest/sources/example.toml")).unwrap();
        assert_eq!(source.labels().source, "laws");
        assert_eq!(source.classification, Classification::Public);
        assert_eq!(source.profile.as_deref(), Some("law"));
    }

    #[test]
    fn a_source_nobody_may_see_is_refused() {
        for toml in ["name = 'a'\npaths = []\ngroups = []", "name = 'a'\npaths = []\ngroups = ['x']\ngroup = 'y'"] {
            assert_eq!(SourceConfig::parse(toml).unwrap_err().kind(), fontes_core::ErrorKind::Invalid);
        }
    }
}
