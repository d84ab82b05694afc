//! Opening an index: both halves of one directory, or a reason why not.

use std::{fmt, path::Path, sync::Arc};

use fontes_core::{LexicalIndex, ModelIdentity, Result, VectorIndex};

use crate::{
    Manifest, Recipe,
    directory::{DirectoryLock, remove_dir},
    edge::EdgeIndex,
    error::IndexError,
    lexical::TantivyIndex,
};

/// Folder of the vectors within an index directory.
const VECTORS: &str = "vectors";
/// Folder of the words within an index directory.
const LEXICAL: &str = "lexical";

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
    /// Opens the index in `dir` for the embedder `embedder`, whose vectors are `dimensions` long; creates it when
    /// the directory holds none. To look at an index without its embedder, pass what [`Manifest::read`] names.
    ///
    /// # Errors
    /// - [`fontes_core::ErrorKind::Conflict`]: another process has it open; another embedder built it (both are
    ///   named); another version of Fontes made it.
    /// - [`fontes_core::ErrorKind::Corrupt`]: it is not what was written.
    /// - [`fontes_core::ErrorKind::Unavailable`]: the directory cannot be written, or is nearly full.
    pub fn open(dir: &Path, recipe: &Recipe, embedder: &ModelIdentity, dimensions: usize) -> Result<Self> {
        let lock = Arc::new(DirectoryLock::acquire(dir)?);
        match Manifest::load(dir)? {
            Some(manifest) if manifest.ready => {
                manifest.check(dir, embedder, dimensions)?;
                let vectors = EdgeIndex::open(&dir.join(VECTORS), dimensions, &recipe.vectors, lock.clone())?;
                let lexical = TantivyIndex::open(&dir.join(LEXICAL), &recipe.lexical, lock)?;
                Ok(Self { vectors: Arc::new(vectors), lexical: Arc::new(lexical), manifest })
            }
            Some(_) => {
                // Creation was cut short; nothing can have been written yet.
                remove_dir(&dir.join(VECTORS))?;
                remove_dir(&dir.join(LEXICAL))?;
                Self::create(dir, recipe, embedder, dimensions, lock)
            }
            None if dir.join(VECTORS).exists() || dir.join(LEXICAL).exists() => {
                Err(IndexError::Damaged { path: dir.to_owned(), what: "the manifest is missing".into() }.into())
            }
            None => Self::create(dir, recipe, embedder, dimensions, lock),
        }
    }

    fn create(
        dir: &Path,
        recipe: &Recipe,
        embedder: &ModelIdentity,
        dimensions: usize,
        lock: Arc<DirectoryLock>,
    ) -> Result<Self> {
        if dimensions == 0 {
            return Err(fontes_core::Error::invalid("an index of vectors without dimensions"));
        }
        let mut manifest = Manifest::new(embedder.clone(), dimensions);
        manifest.write(dir)?;
        let vectors = EdgeIndex::create(&dir.join(VECTORS), dimensions, &recipe.vectors, lock.clone())?;
        let lexical = TantivyIndex::create(&dir.join(LEXICAL), &recipe.lexical, lock)?;
        manifest.ready = true;
        manifest.write(dir)?;
        Ok(Self { vectors: Arc::new(vectors), lexical: Arc::new(lexical), manifest })
    }
}

#[cfg(test)]
mod tests;
