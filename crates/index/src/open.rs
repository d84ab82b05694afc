//! Opening an index: both halves, of one directory and perhaps a server, or a reason why not.

use std::{fmt, fs, path::Path, sync::Arc};

use fontes_core::{LexicalIndex, ModelIdentity, Result, VectorIndex};

use crate::{
    Manifest, Recipe,
    beside::{Lazy, SetHome},
    directory::{DirectoryLock, remove_dir},
    error::IndexError,
    lexical::TantivyIndex,
    manifest::{Place, VECTORS, VectorSet, is_folder_of_vectors},
    server::{self, Draft, ServerSettings},
};

/// Folder of the words within an index directory.
const LEXICAL: &str = "lexical";

/// Where an index keeps its vectors.
#[derive(Clone, Debug)]
pub enum VectorHome {
    /// In the index directory, searched by this process. Nothing goes over a network.
    InProcess,
    /// On a Qdrant server or cluster. The words stay in the index directory.
    Server(ServerSettings),
}

impl fmt::Display for VectorHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess => f.write_str("in process"),
            Self::Server(settings) => write!(f, "{:?} on the Qdrant server {}", settings.name, settings.url),
        }
    }
}

/// An open index. The directory stays locked until all its parts are dropped.
#[derive(Clone)]
pub struct Index {
    /// The dense half: the active set of vectors.
    pub vectors: Arc<dyn VectorIndex>,
    /// The other sets of vectors, each opened when it is first used: searches need none of them.
    pub others: Vec<OtherVectors>,
    /// The lexical half.
    pub lexical: Arc<dyn LexicalIndex>,
    /// What it was built with, as it was when it was opened.
    pub manifest: Manifest,
    pub(crate) place: Arc<SetHome>,
}

/// A set of vectors beside the active one.
#[derive(Clone)]
pub struct OtherVectors {
    /// Its name; see [`VectorSet::name`].
    pub name: String,
    /// Its vectors.
    pub vectors: Arc<dyn VectorIndex>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index in `dir`, with its vectors in `home`, for the embedder `embedder`, whose vectors are `dimensions`
    /// long and must be those of the active set; creates it when the directory holds none.
    ///
    /// # Errors
    /// - [`fontes_core::ErrorKind::Conflict`]: another process has it open; another embedder built its active set (both
    ///   are named); another version of Fontes made it; its vectors are elsewhere; another archive has its name on the
    ///   server.
    /// - [`fontes_core::ErrorKind::Corrupt`]: it is not what was written.
    /// - [`fontes_core::ErrorKind::Unavailable`]: the directory cannot be written, or is nearly full; the server does not
    ///   answer or refuses the key.
    pub fn open(
        dir: &Path,
        recipe: &Recipe,
        embedder: &ModelIdentity,
        dimensions: usize,
        home: &VectorHome,
    ) -> Result<Self> {
        let lock = Arc::new(DirectoryLock::acquire(dir)?);
        let place = SetHome::new(dir, home, recipe.vectors, lock);
        match Manifest::load(dir)? {
            Some(manifest) if manifest.ready => {
                manifest.check(dir, embedder, dimensions)?;
                let vectors = place.open_active(&manifest)?;
                let manifest = place.finish_drops(manifest)?;
                let lexical = TantivyIndex::open(&dir.join(LEXICAL), &recipe.lexical, place.lock.clone())?;
                Ok(Self::of(vectors, lexical, manifest, place))
            }
            Some(manifest) => {
                // Creation was cut short; nothing can have been written yet.
                remove(dir, Some(&manifest), home)?;
                Self::create(dir, recipe, embedder, dimensions, place)
            }
            None if !folders_of_vectors(dir)?.is_empty() || dir.join(LEXICAL).exists() => {
                Err(IndexError::Damaged { path: dir.to_owned(), what: "the manifest is missing".into() }.into())
            }
            None => Self::create(dir, recipe, embedder, dimensions, place),
        }
    }

    /// Removes the index in `dir` and its vectors in `home`, so that it can be opened as a new one. What cannot be read
    /// is removed too. Vectors on a server that is not `home` stay there.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Conflict`] while it is open; [`fontes_core::ErrorKind::Unavailable`] when the server does
    /// not answer or the directory cannot be written.
    pub fn discard(dir: &Path, home: &VectorHome) -> Result<()> {
        let _lock = DirectoryLock::acquire(dir)?;
        let manifest = match Manifest::load(dir) {
            Ok(manifest) => manifest,
            Err(IndexError::Damaged { .. } | IndexError::OtherFormat { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(remove(dir, manifest.as_ref(), home)?)
    }

    fn create(
        dir: &Path,
        recipe: &Recipe,
        embedder: &ModelIdentity,
        dimensions: usize,
        place: SetHome,
    ) -> Result<Self> {
        if dimensions == 0 {
            return Err(fontes_core::Error::invalid("an index of vectors without dimensions"));
        }
        let set = |place| VectorSet::new(embedder.clone(), dimensions, place);
        let (mut manifest, vectors) = match &place.home {
            VectorHome::InProcess => {
                let manifest = Manifest::new(set(Place::Folder(VECTORS.into())));
                manifest.write(dir)?;
                let vectors = place.create_folder(VECTORS, dimensions)?;
                (manifest, vectors)
            }
            VectorHome::Server(settings) => {
                let draft = Draft::create(settings, &recipe.vectors, embedder, dimensions)?;
                let manifest = Manifest::new(set(Place::Collection(draft.collection().to_owned())));
                manifest.write(dir)?;
                (manifest, Arc::new(draft.publish()?) as Arc<dyn VectorIndex>)
            }
        };
        let lexical = TantivyIndex::create(&dir.join(LEXICAL), &recipe.lexical, place.lock.clone())?;
        manifest.ready = true;
        manifest.write(dir)?;
        Ok(Self::of(vectors, lexical, manifest, place))
    }

    fn of(vectors: Arc<dyn VectorIndex>, lexical: TantivyIndex, manifest: Manifest, place: SetHome) -> Self {
        let place = Arc::new(place);
        let others = manifest.others().map(|set| {
            let vectors: Arc<dyn VectorIndex> = Arc::new(Lazy::new(set.clone(), place.clone()));
            OtherVectors { name: set.name(), vectors }
        });
        Self { vectors, others: others.collect(), lexical: Arc::new(lexical), manifest, place }
    }
}

/// The folders in an index directory that hold vectors.
fn folders_of_vectors(dir: &Path) -> Result<Vec<String>, IndexError> {
    let entries = fs::read_dir(dir).map_err(IndexError::io("read", dir))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| is_folder_of_vectors(name)).collect())
}

/// Removes everything but the lock; the manifest last, since it says what else there is.
fn remove(dir: &Path, manifest: Option<&Manifest>, home: &VectorHome) -> Result<(), IndexError> {
    if let VectorHome::Server(settings) = home {
        let mut collections =
            manifest.into_iter().flat_map(|manifest| manifest.sets.iter().filter_map(VectorSet::collection));
        collections.try_for_each(|collection| server::delete(settings, collection))?;
    }
    for folder in folders_of_vectors(dir)? {
        remove_dir(&dir.join(folder))?;
    }
    remove_dir(&dir.join(LEXICAL))?;
    Manifest::remove(dir)
}

#[cfg(test)]
mod tests;
