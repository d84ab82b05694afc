//! What is remembered beside an installed model: its record, its digests, and the stamps of checked files.
//!
//! Hashing a gigabyte at every start would cost seconds. So after a full hash the file's size, modification
//! time and inode are stamped, and a file whose stamp still fits is taken as checked. A stamp catches
//! accidents (a truncated copy, an overwritten file); it does not catch someone who can also set times.
//! [`super::ModelStore::verify`] always hashes everything.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use fontes_core::{Cancel, Digest, ModelIdentity};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{DigestPolicy, EmbeddingSettings, ModelRole, StoreError};

/// Name of the record beside a model's files.
const RECORD: &str = "installed.json";
/// Name of the stamps beside a model's files.
const STAMPS: &str = "stamps.json";
/// Name of the packed weights beside a model's files.
const PACKED: &str = "packed.weights";
/// Bytes read at once while hashing and copying.
pub(super) const BLOCK: usize = 1 << 20;

/// One file of an installed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledFile {
    /// Path below the model's folder.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// Digest.
    pub sha256: Digest,
    /// Where it came from.
    pub source: String,
}

/// A model whose files are on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledModel {
    /// The name it is installed under.
    pub name: String,
    /// What it is for.
    pub role: ModelRole,
    /// The folder that holds the files.
    #[serde(skip)]
    pub dir: PathBuf,
    /// Its files, sorted by name.
    pub files: Vec<InstalledFile>,
    /// One digest over all files; see [`model_digest`].
    pub sha256: Digest,
    /// Name of the architecture.
    pub architecture: String,
    /// SPDX expression, or `unknown` for a model that was added by hand.
    pub license: String,
    /// What a user should know about licence and origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the bytes were pinned by a manifest or recorded on first use.
    pub digest: DigestPolicy,
    /// Settings of an embedder that its files do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingSettings>,
}

impl InstalledModel {
    /// Name and digest, as indexes and answers remember it.
    pub fn identity(&self) -> ModelIdentity {
        ModelIdentity { name: self.name.clone(), sha256: self.sha256 }
    }

    /// Path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// The first file with this extension.
    pub fn file_with_extension(&self, extension: &str) -> Option<PathBuf> {
        let has = |file: &&InstalledFile| Path::new(&file.name).extension().is_some_and(|found| found == extension);
        self.files.iter().find(has).map(|file| self.path(&file.name))
    }

    /// What a loader opens: the GGUF file of a generator, else the folder.
    pub fn weights(&self) -> PathBuf {
        self.file_with_extension("gguf").unwrap_or_else(|| self.dir.clone())
    }

    /// Where a loader may keep what it made of the weights. It is not one of the model's files: whoever writes it sees to it
    /// that it is told from a damaged one, and it goes with the model, or when that is verified.
    pub fn packed(&self) -> PathBuf {
        self.path(PACKED)
    }

    /// Removes packed weights, and what is left of writing them. Nothing is touched where there are none, so that a model on a
    /// read-only disk stays one that can be verified.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn forget_packed(&self) -> Result<(), StoreError> {
        for path in [self.packed(), self.path(&format!("{PACKED}.partial"))] {
            if path.exists() {
                fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
            }
        }
        Ok(())
    }

    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Reads the record of the model in `dir`; `None` when there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let Some(mut model) = read_json::<Self>(&dir.join(RECORD))? else { return Ok(None) };
        dir.clone_into(&mut model.dir);
        Ok(Some(model))
    }

    /// Writes the record to the folder `at`, atomically.
    pub(super) fn write(&self, at: &Path) -> Result<(), StoreError> {
        write_json(&at.join(RECORD), self)
    }

    /// Stamps every file as just hashed; the stamps go to the folder `at`.
    pub(super) fn stamp_all(&self, at: &Path) -> Result<(), StoreError> {
        let mut stamps = Stamps::default();
        for file in &self.files {
            let path = self.path(&file.name);
            stamps.files.insert(file.name.clone(), Stamp::of(&path).map_err(StoreError::io("read", path))?);
        }
        write_json(&at.join(STAMPS), &stamps)
    }

    /// Says whether every file still carries its stamp, without hashing.
    pub(super) fn is_stamped(&self) -> bool {
        let stamps = Stamps::read(&self.dir);
        self.files.iter().all(|file| stamps.fits(file, &self.path(&file.name)))
    }

    /// Checks every file: `thorough` hashes all of them, otherwise only those whose stamp in the folder `at`
    /// does not fit.
    ///
    /// # Errors
    /// [`StoreError::Altered`] naming the first file that is not what was installed.
    pub(super) fn check(&self, at: &Path, thorough: bool, cancel: &Cancel) -> Result<(), StoreError> {
        let stamps = Stamps::read(at);
        let mut hashed = false;
        for file in &self.files {
            let path = self.path(&file.name);
            if !thorough && stamps.fits(file, &path) {
                continue;
            }
            hashed = true;
            let altered = || StoreError::Altered { model: self.name.clone(), file: file.name.clone() };
            match fs::metadata(&path) {
                Ok(found) if found.len() == file.bytes => {}
                Ok(_) => return Err(altered()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(altered()),
                Err(error) => return Err(StoreError::io("read", path)(error)),
            }
            let interrupted = || StoreError::Interrupted { name: self.name.clone() };
            if hash_file(&path, cancel)?.ok_or_else(interrupted)? != file.sha256 {
                return Err(altered());
            }
        }
        if hashed {
            // A store on a read-only disk works; it only hashes again next time.
            self.stamp_all(at).ok();
        }
        Ok(())
    }
}

/// One digest for a model: of a single file, that file's own; of several, the SHA-256 of the lines
/// `<digest>  <name>\n` sorted by name, which is what `sha256sum FILES | sha256sum` prints.
pub fn model_digest(files: &[InstalledFile]) -> Digest {
    if let [only] = files {
        return only.sha256;
    }
    let mut lines: Vec<_> = files.iter().map(|file| (&file.name, file.sha256)).collect();
    lines.sort();
    Digest::of(lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect::<String>().as_bytes())
}

/// Hashes a file; `None` when cancelled.
pub(super) fn hash_file(path: &Path, cancel: &Cancel) -> Result<Option<Digest>, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        match file.read(&mut block) {
            Ok(0) => return Ok(Some(Digest::from_bytes(hasher.finalize().into()))),
            Ok(read) => hasher.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::io("read", path)(error)),
        }
    }
}

/// What a file looked like when it was last hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified_ns: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            bytes: metadata.len(),
            modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
            inode: inode(&metadata),
        })
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

/// The stamps of one model, by file name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stamps {
    files: BTreeMap<String, Stamp>,
}

impl Stamps {
    /// Reads the stamps; unreadable ones count as none, because hashing again is always right.
    fn read(dir: &Path) -> Self {
        read_json(&dir.join(STAMPS)).ok().flatten().unwrap_or_default()
    }

    fn fits(&self, file: &InstalledFile, path: &Path) -> bool {
        self.files
            .get(&file.name)
            .is_some_and(|stamp| stamp.bytes == file.bytes && Stamp::of(path).is_ok_and(|found| found == *stamp))
    }
}

/// Reads a JSON file; `None` when there is none.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let invalid = |error: serde_json::Error| StoreError::io("parse", path)(io::Error::other(error));
    serde_json::from_slice(&text).map(Some).map_err(invalid)
}

/// Writes a JSON file so that a reader sees the old or the new one, never half of it.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let new = path.with_extension("json.new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(StoreError::io("write", path))
}
