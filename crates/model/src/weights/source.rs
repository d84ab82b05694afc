//! An opened set of model files.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use fontes_core::Digest;
use memmap2::Mmap;

use super::{
    WeightType, WeightsError, digest,
    gguf::{self, Metadata},
    mmap, safetensors,
};

/// One tensor inside a model file, in its stored type.
#[derive(Clone, Debug)]
pub struct TensorView<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its numbers are stored.
    pub dtype: WeightType,
    /// Row-major shape, outermost dimension first: a linear layer is `[outputs, inputs]` in both formats.
    pub shape: &'a [usize],
    /// The stored bytes, exactly as long as type and shape say, little-endian.
    pub bytes: &'a [u8],
}

impl TensorView<'_> {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where a tensor lies. Checked when it is made: `bytes` is inside file `file` and as long as type and shape say.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) dtype: WeightType,
    pub(super) shape: Vec<usize>,
    pub(super) file: usize,
    pub(super) bytes: Range<usize>,
}

/// What the checkpoint says about itself.
#[derive(Debug)]
pub enum Config<'a> {
    /// The `config.json` of a safetensors directory.
    Json(&'a serde_json::Value),
    /// The key/value header of a GGUF file.
    Gguf(Metadata<'a>),
}

enum Header {
    Json { config: Box<serde_json::Value>, path: PathBuf },
    Gguf(gguf::Header),
}

/// An opened GGUF file or safetensors directory: tensors by name, configuration, identity.
pub struct TensorSource {
    files: Vec<(PathBuf, Mmap)>,
    tensors: BTreeMap<String, Entry>,
    header: Header,
}

impl std::fmt::Debug for TensorSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorSource").field("files", &self.files.len()).field("tensors", &self.tensors.len()).finish()
    }
}

impl TensorSource {
    /// Opens `path`: a GGUF file (version 2 or 3), or a directory with `config.json` and either
    /// `model.safetensors` or `model.safetensors.index.json` with its shards. Reads and checks headers only.
    ///
    /// # Errors
    /// Every variant of [`WeightsError`] but those about the meaning of tensors.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let kind = std::fs::metadata(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        if kind.is_dir() { Self::open_directory(path) } else { Self::open_gguf(path) }
    }

    fn open_gguf(path: &Path) -> Result<Self, WeightsError> {
        let file = mmap::map(path)?;
        let (header, tensors) = gguf::parse(&file).map_err(|error| match error {
            gguf::ParseError::NotGguf => WeightsError::NotAModel {
                path: path.to_owned(),
                reason: "neither a GGUF file nor a directory with config.json",
            },
            gguf::ParseError::Malformed(reason) => WeightsError::Malformed { path: path.to_owned(), reason },
            gguf::ParseError::UnknownType(error) => error,
        })?;
        Ok(Self { files: vec![(path.to_owned(), file)], tensors, header: Header::Gguf(header) })
    }

    fn open_directory(path: &Path) -> Result<Self, WeightsError> {
        let config_path = path.join("config.json");
        let config = Box::new(safetensors::read_json(&config_path)?);
        let mut files = Vec::new();
        for shard in safetensors::shards(path)? {
            let file = mmap::map(&shard)?;
            files.push((shard, file));
        }
        let tensors = safetensors::collect(path, &files)?;
        Ok(Self { files, tensors, header: Header::Json { config, path: config_path } })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Says whether a tensor is there.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Finds a tensor.
    ///
    /// # Errors
    /// [`WeightsError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, WeightsError> {
        let (name, entry) =
            self.tensors.get_key_value(name).ok_or_else(|| WeightsError::MissingTensor { tensor: name.to_owned() })?;
        let bytes = &self.files[entry.file].1[entry.bytes.clone()];
        Ok(TensorView { name, dtype: entry.dtype, shape: &entry.shape, bytes })
    }

    /// Lets the system take back the memory in which a tensor was read, once it has been copied elsewhere. It stays
    /// readable; reading it again reads the file again.
    pub fn release(&self, name: &str) {
        if let Some(entry) = self.tensors.get(name) {
            mmap::release(&self.files[entry.file].1, entry.bytes.clone());
        }
    }

    /// What the checkpoint says about itself.
    pub fn config(&self) -> Config<'_> {
        match &self.header {
            Header::Json { config, .. } => Config::Json(config),
            Header::Gguf(header) => Config::Gguf(Metadata::new(&self.files[0].1, header)),
        }
    }

    /// The key/value header, for a GGUF file.
    pub fn metadata(&self) -> Option<Metadata<'_>> {
        match self.config() {
            Config::Gguf(metadata) => Some(metadata),
            Config::Json(_) => None,
        }
    }

    /// Bytes of all weight files together.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|(_, file)| file.len() as u64).sum()
    }

    /// The weight files, sorted by name.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Digests the weights by reading every byte once; minutes for a large model, so callers keep the result.
    ///
    /// A GGUF file has the digest of its bytes. A directory has the digest of what `sha256sum` prints for
    /// `config.json` and the weight files, sorted by name.
    ///
    /// # Errors
    /// [`WeightsError::Io`].
    pub fn digest(&self) -> Result<Digest, WeightsError> {
        match &self.header {
            Header::Gguf(_) => digest::file(&self.files[0].0),
            Header::Json { path, .. } => digest::files(self.paths().chain([path.as_path()])),
        }
    }
}
