//! Models that do not come from the manifest: added to the store by hand, or used where they lie.

use std::{fs, path::Path};

use fontes_core::{Cancel, Digest};

use super::{
    DigestPolicy, ModelStore, StoreError,
    inspect::{Found, inspect},
    install::{Lock, PARTIAL, publish},
    manifest::is_model_name,
    record::{InstalledFile, InstalledModel, hash_file, model_digest},
};

/// Folder of the store that remembers digests of models used where they lie.
const BY_PATH: &str = "partial/by-path";

impl ModelStore {
    /// Installs the model at `path` (a GGUF file or a checkpoint folder) as `name`, by default the name of
    /// the file or folder. Files are linked where the disk allows it and copied otherwise. Under a name of
    /// the manifest the bytes must be the pinned ones, if any are.
    ///
    /// # Errors
    /// [`StoreError::NotAModel`], [`StoreError::BadName`], [`StoreError::NameTaken`],
    /// [`StoreError::NotThePinned`], [`StoreError::Busy`], or the failed file operation.
    pub fn add(&self, path: &Path, name: Option<&str>, cancel: &Cancel) -> Result<InstalledModel, StoreError> {
        let found = inspect(path)?;
        let name = name.map_or_else(|| default_name(path), str::to_owned);
        if !is_model_name(&name) || name == PARTIAL {
            return Err(StoreError::BadName { name });
        }
        let _lock = Lock::take(&self.dir, &name)?;
        let model = self.describe(&found, &name, cancel)?;
        if let Some(installed) = InstalledModel::read(&self.dir.join(&name))? {
            if installed.sha256 != model.sha256 {
                return Err(StoreError::NameTaken { name });
            }
            if installed.check(&installed.dir, false, cancel).is_ok() {
                return Ok(installed);
            }
        }
        if !self.matches_pins(&model) {
            return Err(StoreError::NotThePinned { name });
        }
        let dir = self.dir.join(PARTIAL).join(&name);
        fs::remove_dir_all(&dir).ok();
        for file in &model.files {
            let (from, to) = (model.path(&file.name), dir.join(&file.name));
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
            }
            let from = from.canonicalize().map_err(StoreError::io("open", from))?;
            // No link: what is done to one file later would be done to the other.
            fs::copy(&from, &to).map_err(StoreError::io("write", to))?;
        }
        let model = InstalledModel { dir, ..model };
        // What was copied is what was hashed, or it is not installed.
        model.check(&model.dir, true, cancel)?;
        publish(&self.dir, model)
    }

    /// Describes the model at `path` without installing it. Digests are remembered in the store, so that the
    /// next call does not hash unchanged files again.
    ///
    /// # Errors
    /// As [`ModelStore::add`].
    pub fn resolve_path(&self, path: &Path, cancel: &Cancel) -> Result<InstalledModel, StoreError> {
        let found = inspect(path)?;
        let absolute = path.canonicalize().map_err(StoreError::io("open", path))?;
        let memory = self.dir.join(BY_PATH).join(Digest::of(absolute.as_os_str().as_encoded_bytes()).to_string());
        if let Ok(Some(mut known)) = InstalledModel::read(&memory) {
            known.dir.clone_from(&found.dir);
            let same_files = known.files.len() == found.files.len()
                && known.files.iter().all(|file| found.files.contains(&file.name));
            if same_files && known.check(&memory, false, cancel).is_ok() {
                return Ok(known);
            }
        }
        let model = self.describe(&found, &default_name(path), cancel)?;
        // A store that cannot be written only means hashing again next time.
        if fs::create_dir_all(&memory).is_ok() && model.stamp_all(&memory).is_ok() {
            model.write(&memory).ok();
        }
        Ok(model)
    }

    /// Hashes what was found; role, licence and settings come from the manifest when it knows the name.
    fn describe(&self, found: &Found, name: &str, cancel: &Cancel) -> Result<InstalledModel, StoreError> {
        let mut files = Vec::new();
        for file in &found.files {
            let path = found.dir.join(file);
            let bytes = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
            let interrupted = || StoreError::Interrupted { name: name.to_owned() };
            let sha256 = hash_file(&path, cancel)?.ok_or_else(interrupted)?;
            let source = format!("file:{}", path.display());
            files.push(InstalledFile { name: file.clone(), bytes, sha256, source });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let entry = self.manifest.find(name);
        Ok(InstalledModel {
            name: name.to_owned(),
            role: found.role,
            dir: found.dir.clone(),
            sha256: model_digest(&files),
            files,
            architecture: found.architecture.clone(),
            license: entry.map_or_else(|| "unknown".to_owned(), |entry| entry.license.clone()),
            note: entry.and_then(|entry| entry.note.clone()),
            digest: entry.map_or(DigestPolicy::OnInstall, |entry| entry.digest),
            embedding: entry.and_then(|entry| entry.embedding.clone()),
        })
    }
}

/// The name of the file or folder, without `.gguf`, with what a name may not hold turned into dashes.
fn default_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".gguf").unwrap_or(&name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-+".contains(c) { c } else { '-' };
    name.chars().map(plain).collect::<String>().trim_start_matches(['.', '-']).to_owned()
}
