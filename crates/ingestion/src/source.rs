//! Sources: where documents come from and who may see them, as files of `ingest/sources`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use fontes_core::{Classification, Error, Group, Labels, Result, seam::require_labels};
use serde::Deserialize;

use crate::{IngestRequest, access::AccessRules, select::Selection};

/// A source as its file says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its name, part of every document's identity.
    pub name: String,
    /// Files and folders: a mounted share is a folder, a mailbox in mbox form is a file.
    pub paths: Vec<PathBuf>,
    /// Groups that may see its documents, where `access` says nothing else.
    pub groups: BTreeSet<Group>,
    /// How closely they are held.
    #[serde(default)]
    pub classification: Classification,
    /// Name of a profile; `None`: the media type decides.
    #[serde(default)]
    pub profile: Option<String>,
    /// Patterns of the files to take; empty: all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Patterns of files and folders to leave.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Days after its last change during which a file is kept; older ones are taken out. `None`: for ever.
    #[serde(default)]
    pub keep_days: Option<u32>,
    /// Sources with a higher number come first.
    #[serde(default)]
    pub priority: i32,
    /// Rules for single folders and files.
    #[serde(default)]
    pub access: AccessRules,
}

impl SourceConfig {
    /// Reads a source.
    ///
    /// # Errors
    /// `Invalid` for unknown or missing keys, malformed patterns, and for a source that nobody could see.
    pub fn parse(toml: &str) -> Result<Self> {
        let source: Self = toml::from_str(toml).map_err(|error| {
            Error::invalid(format!("source cannot be read: {}", error.message()))
                .advise("compare it with ingest/sources/example.toml")
        })?;
        require_labels(&source.labels())?;
        source.selection()?;
        Ok(source)
    }

    /// Reads every source of a folder (its `*.toml`), the most urgent first, by name among equals.
    ///
    /// # Errors
    /// `Invalid` naming the file at fault, also for two sources of one name; `Unavailable` when the folder cannot
    /// be read.
    pub fn folder(dir: &Path) -> Result<Vec<Self>> {
        let unreadable = |path: &Path, error: std::io::Error| {
            Error::unavailable(format!("{} cannot be read: {}", path.display(), error.kind())).because(error)
        };
        let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, error))?;
        let mut sources: Vec<Self> = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| unreadable(dir, error))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let source = Self::parse(&text).map_err(|error| {
                let advice = error.advice().unwrap_or("compare it with ingest/sources/example.toml").to_owned();
                Error::invalid(format!("{}: {error}", path.display())).advise(advice)
            })?;
            if sources.iter().any(|known| known.name == source.name) {
                return Err(Error::invalid(format!("two sources of {} are named {:?}", dir.display(), source.name))
                    .advise("documents are known by source and path: give each source a name of its own"));
            }
            sources.push(source);
        }
        sources.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        Ok(sources)
    }

    /// The labels of its documents, where no rule says anything else.
    pub fn labels(&self) -> Labels {
        Labels { groups: self.groups.clone(), classification: self.classification, source: self.name.clone() }
    }

    /// A request for everything it holds.
    ///
    /// # Errors
    /// `Invalid` for malformed patterns.
    pub fn request(&self) -> Result<IngestRequest> {
        Ok(IngestRequest {
            profile: self.profile.clone(),
            select: self.selection()?,
            access: self.access.clone(),
            ..IngestRequest::new(self.paths.clone(), self.labels())
        })
    }

    fn selection(&self) -> Result<Selection> {
        let keep = self.keep_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
        Selection::new(&self.include, &self.exclude, keep)
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
        let request = source.request().unwrap();
        assert_eq!(request.profile.as_deref(), Some("law"));
        assert_eq!(request.access.folders.len(), 1);
    }

    #[test]
    fn a_source_nobody_may_see_or_with_a_slip_is_refused() {
        for toml in [
            "name = 'a'\npaths = []\ngroups = []",
            "name = 'a'\npaths = []\ngroups = ['x']\ngroup = 'y'",
            "name = 'a'\npaths = []\ngroups = ['x']\ninclude = ['[']",
            "name = 'a'\npaths = []\ngroups = ['x']\n[access]\nfolder = []",
        ] {
            assert_eq!(SourceConfig::parse(toml).unwrap_err().kind(), fontes_core::ErrorKind::Invalid, "{toml}");
        }
    }

    #[test]
    fn a_folder_of_sources_is_read_by_priority() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, name: &str, more: &str| {
            let text = format!("name = '{name}'\npaths = []\ngroups = ['x']\n{more}");
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        put("a.toml", "a", "");
        put("b.toml", "b", "");
        put("c.toml", "c", "priority = 5");
        put("notes.txt", "d", "not a source");
        let names: Vec<String> =
            SourceConfig::folder(folder.path()).unwrap().into_iter().map(|source| source.name).collect();
        assert_eq!(names, ["c", "a", "b"]);
        put("d.toml", "a", "");
        assert!(SourceConfig::folder(folder.path()).unwrap_err().to_string().contains("named \"a\""));
        put("d.toml", "d", "speed = 3");
        assert!(SourceConfig::folder(folder.path()).unwrap_err().to_string().contains("d.toml"));
    }
}
