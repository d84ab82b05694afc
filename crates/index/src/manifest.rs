//! The manifest: what an index was built with, stored beside it and checked whenever it is opened.
//!
//! It is replaced whole, so what it says changes in one step: which sets of vectors there are, and which of them is
//! searched.

use std::{collections::BTreeSet, fs, path::Path};

use fontes_core::ModelIdentity;
use serde::{Deserialize, Serialize};

use crate::{directory::replace_file, error::IndexError, lexical::ANALYZERS};

/// Name of the manifest within an index directory.
const FILE: &str = "manifest.toml";

/// Folder of the first set of vectors within an index directory; those of later ones have a number behind it.
pub(crate) const VECTORS: &str = "vectors";

/// Version of the directory layout and of what the engines write. Raised when either changes. Versions 1 and 2, with one
/// set of vectors in the directory or on a server, are read.
pub const FORMAT: u32 = 3;

/// What an index was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout; [`FORMAT`].
    pub format: u32,
    /// Version of the text analysis, on which the stored words depend.
    pub analyzers: u32,
    /// Whether the directory is complete; false only while it is being created.
    pub ready: bool,
    /// Name of the set that is searched.
    pub active: String,
    /// The sets of vectors, in the order in which they were added; one or more.
    pub sets: Vec<VectorSet>,
    /// Embedders in whose tokens documents were cut before another became the active one; those documents stay as
    /// they were cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
}

/// The vectors of one embedder at one length. Weights and length make a set what it is; a model may be renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorSet {
    /// Length of the vectors; less than the embedder gives when only the first numbers are kept.
    pub dimensions: usize,
    /// How far it is.
    pub state: SetState,
    /// Where it is.
    pub place: Place,
    /// The embedder that made it.
    pub embedder: ModelIdentity,
}

/// How far a set of vectors is. What it holds is told by its ids alone; this says what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetState {
    /// It never held all chunks, and is to.
    Building,
    /// It held all chunks once. What came later it may lack, unless it is the active one.
    Built,
    /// It is being taken away.
    Dropped,
}

/// Where a set of vectors is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In this folder of the index directory.
    Folder(String),
    /// In the collection that was made under this name on a Qdrant server.
    Collection(String),
}

/// What chunks were measured with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The embedder's longest input, which bounds chunks.
    pub max_tokens: usize,
    /// The embedder.
    pub embedder: ModelIdentity,
}

/// Only the format number, read first: other versions may have other fields.
#[derive(Deserialize)]
struct Probe {
    format: u32,
}

/// A manifest of format 1, or of 2 with a collection.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneSet {
    format: u32,
    analyzers: u32,
    dimensions: usize,
    ready: bool,
    collection: Option<String>,
    embedder: ModelIdentity,
}

impl OneSet {
    /// The same in this format; `None` when it does not say where its vectors are.
    fn upgraded(self) -> Option<Manifest> {
        let place = match (self.format, self.collection) {
            (1, None) => Place::Folder(VECTORS.into()),
            (2, Some(collection)) => Place::Collection(collection),
            _ => return None,
        };
        let mut manifest = Manifest::new(VectorSet::new(self.embedder, self.dimensions, place));
        (manifest.analyzers, manifest.ready) = (self.analyzers, self.ready);
        Some(manifest)
    }
}

impl VectorSet {
    /// A set that is to be filled.
    pub(crate) fn new(embedder: ModelIdentity, dimensions: usize, place: Place) -> Self {
        Self { dimensions, state: SetState::Building, place, embedder }
    }

    /// What it goes by: model and length, `multilingual-e5-small@384`.
    pub fn name(&self) -> String {
        set_name(&self.embedder.name, self.dimensions)
    }

    /// Says whether it holds vectors of this embedder at this length.
    pub fn is_of(&self, embedder: &ModelIdentity, dimensions: usize) -> bool {
        self.embedder.sha256 == embedder.sha256 && self.dimensions == dimensions
    }

    /// The collection on a server that was made for it.
    pub(crate) fn collection(&self) -> Option<&str> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Collection(collection) => Some(collection),
        }
    }
}

/// What a set of `model`'s vectors goes by.
pub(crate) fn set_name(model: &str, dimensions: usize) -> String {
    format!("{model}@{dimensions}")
}

/// Says whether `name` is a folder of vectors: nothing else in an index directory may be taken for one.
pub(crate) fn is_folder_of_vectors(name: &str) -> bool {
    let number = name.strip_prefix(VECTORS).and_then(|rest| rest.strip_prefix('-'));
    name == VECTORS || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

impl Manifest {
    /// The manifest of a new index with one set, the active one.
    pub(crate) fn new(set: VectorSet) -> Self {
        let set = VectorSet { state: SetState::Built, ..set };
        let (active, measures) = (set.name(), Vec::new());
        Self { format: FORMAT, analyzers: ANALYZERS, ready: false, active, sets: vec![set], measures }
    }

    /// The set that is searched.
    pub fn active_set(&self) -> &VectorSet {
        self.set(&self.active).expect("a manifest is read only with its active set")
    }

    /// The set of this name, unless it is being taken away.
    pub fn set(&self, name: &str) -> Option<&VectorSet> {
        self.sets.iter().find(|set| set.state != SetState::Dropped && set.name() == name)
    }

    /// The sets beside the active one, without those that are being taken away.
    pub fn others(&self) -> impl Iterator<Item = &VectorSet> {
        self.sets.iter().filter(|set| set.state != SetState::Dropped && set.name() != self.active)
    }

    /// Reads the manifest of the index in `dir`; `None` when there is none.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Conflict`] for another format than this program's,
    /// [`fontes_core::ErrorKind::Corrupt`] for a manifest that is not one, and
    /// [`fontes_core::ErrorKind::Unavailable`] when it cannot be read.
    pub fn read(dir: &Path) -> fontes_core::Result<Option<Self>> {
        Ok(Self::load(dir)?)
    }

    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, IndexError> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(IndexError::Damaged { path, what: "the manifest is not text".into() });
            }
            Err(error) => return Err(IndexError::io("read", path)(error)),
        };
        let damaged = |what: String| IndexError::Damaged { path: path.clone(), what };
        let unparsed = |error: toml::de::Error| damaged(format!("the manifest does not parse: {}", error.message()));
        let manifest = match toml::from_str::<Probe>(&text).map_err(unparsed)?.format {
            1 | 2 => toml::from_str::<OneSet>(&text).map_err(unparsed)?.upgraded(),
            FORMAT => Some(toml::from_str::<Self>(&text).map_err(unparsed)?),
            found => {
                return Err(IndexError::OtherFormat { path: dir.to_owned(), what: "format", found, known: FORMAT });
            }
        };
        let manifest = manifest.ok_or_else(|| damaged("the manifest does not say where the vectors are".into()))?;
        manifest.agrees().map_err(|what| damaged(what.into()))?;
        Ok(Some(manifest))
    }

    /// Says what contradicts itself.
    fn agrees(&self) -> Result<(), &'static str> {
        let distinct = |count: usize| count == self.sets.len();
        if self.set(&self.active).is_none_or(|set| set.state != SetState::Built) {
            return Err("the manifest names no set of vectors to search");
        }
        if !distinct(self.sets.iter().map(VectorSet::name).collect::<BTreeSet<_>>().len())
            || !distinct(self.sets.iter().map(|set| format!("{:?}", set.place)).collect::<BTreeSet<_>>().len())
        {
            return Err("the manifest names a set of vectors twice");
        }
        let strange = |set: &VectorSet| matches!(&set.place, Place::Folder(name) if !is_folder_of_vectors(name));
        if self.sets.iter().any(strange) { Err("the manifest names a folder that holds no vectors") } else { Ok(()) }
    }

    /// Writes the manifest into `dir`, replacing the one there whole.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), IndexError> {
        let text = toml::to_string(self).expect("a manifest is plain data");
        replace_file(&dir.join(FILE), text.as_bytes())
    }

    /// Removes the manifest from `dir`; a missing one is no error.
    pub(crate) fn remove(dir: &Path) -> Result<(), IndexError> {
        let path = dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(IndexError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Checks that the index in `dir` may be searched with this embedder by this program.
    pub(crate) fn check(&self, dir: &Path, embedder: &ModelIdentity, dimensions: usize) -> Result<(), IndexError> {
        let path = dir.to_owned();
        if self.analyzers != ANALYZERS {
            let (found, known) = (self.analyzers, ANALYZERS);
            return Err(IndexError::OtherFormat { path, what: "text analysis version", found, known });
        }
        let built = self.active_set();
        if built.embedder.sha256 != embedder.sha256 {
            let (built, given) = (Box::new(built.embedder.clone()), Box::new(embedder.clone()));
            return Err(IndexError::OtherEmbedder { path, built, given });
        }
        if built.dimensions != dimensions {
            return Err(IndexError::OtherDimensions { path, built: built.dimensions, given: dimensions });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
