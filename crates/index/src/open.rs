//! Opening an index: both halves, of one directory and perhaps a server, or a reason why not.

use std::{fmt, path::Path, sync::Arc};

use fontes_core::{LexicalIndex, ModelIdentity, Result, VectorIndex};

use crate::{
    Manifest, Recipe,
    directory::{DirectoryLock, remove_dir},
    edge::EdgeIndex,
    error::IndexError,
    lexical::TantivyIndex,
    server::{self, Draft, ServerIndex, ServerSettings},
};

/// Folder of the vectors within an index directory.
const VECTORS: &str = "vectors";
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

/// An open index. The directory stays locked until both halves are dropped.
#[derive(Clone)]
pub struct Index {
    /// The dense half.
    pub vectors: Arc<dyn VectorIndex>,
    /// The lexical half.
    pub lexical: Arc<dyn LexicalIndex>,
    /// What it was built with.
    pub manifest: Manifest,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index in `dir`, with its vectors in `home`, for the embedder `embedder`, whose vectors are `dimensions`
    /// long; creates it when the directory holds none.
    ///
    /// # Errors
    /// - [`fontes_core::ErrorKind::Conflict`]: another process has it open; another embedder built it (both are
    ///   named); another version of Fontes made it; its vectors are elsewhere; another archive has its name on the server.
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
        match Manifest::load(dir)? {
            Some(manifest) if manifest.ready => {
                manifest.check(dir, embedder, dimensions)?;
                let vectors = open_vectors(dir, recipe, &manifest, home, lock.clone())?;
                let lexical = TantivyIndex::open(&dir.join(LEXICAL), &recipe.lexical, lock)?;
                Ok(Self { vectors, lexical: Arc::new(lexical), manifest })
            }
            Some(manifest) => {
                // Creation was cut short; nothing can have been written yet.
                remove(dir, Some(&manifest), home)?;
                Self::create(dir, recipe, embedder, dimensions, home, lock)
            }
            None if dir.join(VECTORS).exists() || dir.join(LEXICAL).exists() => {
                Err(IndexError::Damaged { path: dir.to_owned(), what: "the manifest is missing".into() }.into())
            }
            None => Self::create(dir, recipe, embedder, dimensions, home, lock),
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
        home: &VectorHome,
        lock: Arc<DirectoryLock>,
    ) -> Result<Self> {
        if dimensions == 0 {
            return Err(fontes_core::Error::invalid("an index of vectors without dimensions"));
        }
        let mut manifest = Manifest::new(embedder.clone(), dimensions);
        let vectors: Arc<dyn VectorIndex> = match home {
            VectorHome::InProcess => {
                manifest.write(dir)?;
                Arc::new(EdgeIndex::create(&dir.join(VECTORS), dimensions, &recipe.vectors, lock.clone())?)
            }
            VectorHome::Server(settings) => {
                let draft = Draft::create(settings, &recipe.vectors, embedder, dimensions)?;
                manifest = manifest.in_collection(draft.collection());
                manifest.write(dir)?;
                Arc::new(draft.publish()?)
            }
        };
        let lexical = TantivyIndex::create(&dir.join(LEXICAL), &recipe.lexical, lock)?;
        manifest.ready = true;
        manifest.write(dir)?;
        Ok(Self { vectors, lexical: Arc::new(lexical), manifest })
    }
}

/// Opens the vectors of a complete index where its manifest says they are, which must be where `home` says.
fn open_vectors(
    dir: &Path,
    recipe: &Recipe,
    manifest: &Manifest,
    home: &VectorHome,
    lock: Arc<DirectoryLock>,
) -> Result<Arc<dyn VectorIndex>> {
    let elsewhere = |built: String, given| IndexError::OtherHome { path: dir.to_owned(), built, given };
    Ok(match (home, &manifest.collection) {
        (VectorHome::InProcess, None) => {
            Arc::new(EdgeIndex::open(&dir.join(VECTORS), manifest.dimensions, &recipe.vectors, lock)?)
        }
        (VectorHome::Server(settings), Some(collection)) => {
            let (embedder, dimensions) = (&manifest.embedder, manifest.dimensions);
            Arc::new(ServerIndex::open(settings, &recipe.vectors, collection, embedder, dimensions)?)
        }
        (VectorHome::InProcess, Some(collection)) => {
            let built = format!("collection {collection:?} of a Qdrant server, which a rebuild here leaves there");
            return Err(elsewhere(built, "none of a server").into());
        }
        (VectorHome::Server(_), None) => return Err(elsewhere("its directory".into(), "a Qdrant server").into()),
    })
}

/// Removes everything but the lock; the manifest last, since it says what else there is.
fn remove(dir: &Path, manifest: Option<&Manifest>, home: &VectorHome) -> Result<(), IndexError> {
    if let (VectorHome::Server(settings), Some(collection)) = (home, manifest.and_then(|m| m.collection.as_ref())) {
        server::delete(settings, collection)?;
    }
    remove_dir(&dir.join(VECTORS))?;
    remove_dir(&dir.join(LEXICAL))?;
    Manifest::remove(dir)
}

#[cfg(test)]
mod tests;
