//! Sets of vectors side by side: one is searched, others are built, kept or taken away beside it.
//!
//! Each set has a place of its own, a folder with a shard or a collection of a server, rather than all being named vectors of
//! one shard. So a set comes and goes without touching what is searched, its damage is its own, and which one is
//! searched is one word in the manifest, which is replaced whole. What a set holds is told by its ids alone, never by a
//! counter beside them: whoever fills one asks which ids it lacks.
//!
//! On a server the archive's alias leads to the active set. It follows the manifest: a switch writes the manifest, then
//! moves the alias, and an opening that finds it at another set of the archive moves it on.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use fontes_core::{
    AccessScope, Candidate, ChunkId, Error, ErrorKind, Filter, IndexEntry, ModelIdentity, Result, VectorIndex,
};

use crate::{
    Index, Manifest, Measure, Recipe, SetState, VectorHome,
    directory::{DirectoryLock, remove_dir},
    edge::EdgeIndex,
    error::IndexError,
    manifest::{Place, VECTORS, VectorSet, set_name},
    open::OtherVectors,
    recipe::VectorRecipe,
    server::{self, Draft, ServerIndex},
};

/// Where the sets of one index are, and how they are opened.
pub(crate) struct SetHome {
    dir: PathBuf,
    pub(crate) home: VectorHome,
    recipe: VectorRecipe,
    pub(crate) lock: Arc<DirectoryLock>,
}

impl SetHome {
    pub(crate) fn new(dir: &Path, home: &VectorHome, recipe: VectorRecipe, lock: Arc<DirectoryLock>) -> Self {
        Self { dir: dir.to_owned(), home: home.clone(), recipe, lock }
    }

    /// Opens the active set.
    pub(crate) fn open_active(&self, manifest: &Manifest) -> Result<Arc<dyn VectorIndex>, IndexError> {
        let set = manifest.active_set();
        if let (VectorHome::Server(settings), Some(collection)) = (&self.home, set.collection()) {
            let own: Vec<&str> = manifest.others().filter_map(VectorSet::collection).collect();
            if !own.is_empty() {
                server::lead_to(settings, collection, &own)?;
            }
            let (embedder, dimensions) = (&set.embedder, set.dimensions);
            let index = ServerIndex::open(settings, &self.recipe, &settings.name, collection, embedder, dimensions)?;
            return Ok(Arc::new(index));
        }
        self.open_set(set)
    }

    /// Opens a set where its manifest says it is, which must be where `home` says.
    fn open_set(&self, set: &VectorSet) -> Result<Arc<dyn VectorIndex>, IndexError> {
        self.require_home(set)?;
        Ok(match (&self.home, &set.place) {
            (VectorHome::Server(settings), Place::Collection(collection)) => {
                let (embedder, dimensions) = (&set.embedder, set.dimensions);
                let index = ServerIndex::open(settings, &self.recipe, collection, collection, embedder, dimensions)?;
                Arc::new(index)
            }
            (_, Place::Folder(folder) | Place::Collection(folder)) => {
                let path = self.dir.join(folder);
                Arc::new(EdgeIndex::open(&path, set.dimensions, &self.recipe, self.lock.clone())?)
            }
        })
    }

    /// Checks that a set is where `home` says.
    fn require_home(&self, set: &VectorSet) -> Result<(), IndexError> {
        let elsewhere = |built: String, given| Err(IndexError::OtherHome { path: self.dir.clone(), built, given });
        match (&self.home, &set.place) {
            (VectorHome::InProcess, Place::Collection(collection)) => elsewhere(
                format!("collection {collection:?} of a Qdrant server, which a rebuild here leaves there"),
                "none of a server",
            ),
            (VectorHome::Server(_), Place::Folder(_)) => elsewhere("its directory".into(), "a Qdrant server"),
            _ => Ok(()),
        }
    }

    /// Makes a folder for vectors of this length.
    pub(crate) fn create_folder(&self, folder: &str, dimensions: usize) -> Result<Arc<dyn VectorIndex>, IndexError> {
        Ok(Arc::new(EdgeIndex::create(&self.dir.join(folder), dimensions, &self.recipe, self.lock.clone())?))
    }

    /// Makes an empty set, and gives its place.
    fn create(
        &self,
        manifest: &Manifest,
        embedder: &ModelIdentity,
        dimensions: usize,
    ) -> Result<VectorSet, IndexError> {
        let set = |place| VectorSet::new(embedder.clone(), dimensions, place);
        match &self.home {
            VectorHome::InProcess => {
                let taken = |name: &String| manifest.sets.iter().any(|set| set.place == Place::Folder(name.clone()));
                let mut names = (2..).map(|number| format!("{VECTORS}-{number}"));
                let folder = names.find(|name| !taken(name)).expect("there is always a next number");
                // What an addition that was cut short left; the manifest does not know of it.
                remove_dir(&self.dir.join(&folder))?;
                self.create_folder(&folder, dimensions)?;
                Ok(set(Place::Folder(folder)))
            }
            VectorHome::Server(settings) => {
                let draft = Draft::beside(settings, &self.recipe, embedder, dimensions)?;
                Ok(set(Place::Collection(draft.collection().to_owned())))
            }
        }
    }

    /// Takes away what a set holds; nothing there is no error.
    fn delete(&self, set: &VectorSet) -> Result<(), IndexError> {
        match (&self.home, &set.place) {
            (_, Place::Folder(folder)) => remove_dir(&self.dir.join(folder)),
            (VectorHome::Server(settings), Place::Collection(collection)) => server::delete(settings, collection),
            // Vectors on a server that is not configured stay there, as when an index is discarded.
            (VectorHome::InProcess, Place::Collection(_)) => Ok(()),
        }
    }

    /// Takes away the sets that are to be dropped.
    pub(crate) fn finish_drops(&self, manifest: Manifest) -> Result<Manifest, IndexError> {
        if manifest.sets.iter().all(|set| set.state != SetState::Dropped) {
            return Ok(manifest);
        }
        let (dropped, sets): (Vec<_>, Vec<_>) =
            manifest.sets.into_iter().partition(|set| set.state == SetState::Dropped);
        dropped.iter().try_for_each(|set| self.delete(set))?;
        let manifest = Manifest { sets, ..manifest };
        manifest.write(&self.dir)?;
        Ok(manifest)
    }

    /// The manifest as it is now.
    fn manifest(&self) -> Result<Manifest, IndexError> {
        let missing = || IndexError::Damaged { path: self.dir.clone(), what: "the manifest is missing".into() };
        Manifest::load(&self.dir)?.filter(|manifest| manifest.ready).ok_or_else(missing)
    }
}

impl Index {
    /// Adds an empty set of `embedder`'s vectors at this length to the index in `dir`, which is not open; gives its name. A
    /// set that is there stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while the index is open, or when there is a set of other weights that goes by the same name;
    /// [`ErrorKind::NotFound`] when there is no index; those of [`Index::open`].
    pub fn add_set(
        dir: &Path,
        recipe: &Recipe,
        embedder: &ModelIdentity,
        dimensions: usize,
        home: &VectorHome,
    ) -> Result<String> {
        let (place, manifest) = closed(dir, recipe, home)?;
        let there = manifest.sets.iter().find(|set| set.state != SetState::Dropped && set.is_of(embedder, dimensions));
        if let Some(set) = there {
            return Ok(set.name());
        }
        let name = set_name(&embedder.name, dimensions);
        if manifest.set(&name).is_some() {
            return Err(Error::conflict(format!("there is a set {name:?} of other weights"))
                .advise(format!("`fontes embedders drop {name}` takes it away")));
        }
        place.require_home(manifest.active_set())?;
        let manifest = place.finish_drops(manifest)?;
        let set = place.create(&manifest, embedder, dimensions)?;
        let sets = manifest.sets.iter().cloned().chain([set]).collect();
        Manifest { sets, ..manifest }.write(dir)?;
        Ok(name)
    }

    /// Takes a set, with all its vectors, out of the index in `dir`, which is not open. A damaged one goes too.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while the index is open, or for the active set; [`ErrorKind::NotFound`] for a name that no
    /// set has. After any other error the next opening completes it.
    pub fn drop_set(dir: &Path, recipe: &Recipe, name: &str, home: &VectorHome) -> Result<()> {
        let (place, mut manifest) = closed(dir, recipe, home)?;
        let set = manifest.find(name)?.name();
        if set == manifest.active {
            return Err(Error::conflict(format!("searches use {set}"))
                .advise("`fontes embedders use NAME` makes another the one that is searched"));
        }
        manifest.sets.iter_mut().filter(|one| one.name() == set).for_each(|one| one.state = SetState::Dropped);
        manifest.write(dir)?;
        place.finish_drops(manifest)?;
        Ok(())
    }

    /// Makes a set the one that is searched by whoever opens the index from now on; this one goes on with the set that was.
    /// The caller has made sure that it holds all chunks, and keeps others from writing meanwhile. `measure` is what the
    /// active embedder measures chunks with.
    ///
    /// Atomic: a crash leaves the old set or the new one. Done already, it changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a name that no set has; those of writing the manifest. When the server fails after it
    /// was written, the next opening completes the switch.
    pub fn switch(&self, name: &str, measure: Measure) -> Result<()> {
        let mut manifest = self.place.manifest()?;
        let set = manifest.find(name)?.clone();
        if manifest.active == set.name() {
            return Ok(());
        }
        if !manifest.measures.contains(&measure) {
            manifest.measures.push(measure);
        }
        manifest.active = set.name();
        manifest.sets.iter_mut().filter(|one| one.name() == set.name()).for_each(|one| one.state = SetState::Built);
        manifest.write(&self.place.dir)?;
        if let (VectorHome::Server(settings), Some(collection)) = (&self.place.home, set.collection()) {
            let own: Vec<&str> = manifest.others().filter_map(VectorSet::collection).collect();
            server::lead_to(settings, collection, &own)?;
        }
        Ok(())
    }

    /// Notes that a set held all chunks. Idempotent.
    ///
    /// # Errors
    /// As [`Index::switch`].
    pub fn note_built(&self, name: &str) -> Result<()> {
        let mut manifest = self.place.manifest()?;
        let set = manifest.find(name)?;
        if set.state == SetState::Building {
            let name = set.name();
            manifest.sets.iter_mut().filter(|one| one.name() == name).for_each(|one| one.state = SetState::Built);
            manifest.write(&self.place.dir)?;
        }
        Ok(())
    }

    /// Replaces other sets that are damaged by empty ones, which are to be filled again; gives their names. The active set
    /// is not among them: an index whose active set is damaged does not open.
    ///
    /// # Errors
    /// Those of [`Index::open`], except for damage.
    pub fn mend_others(&mut self) -> Result<Vec<String>> {
        let mut mended = Vec::new();
        for at in 0..self.others.len() {
            let damaged = |error: &Error| error.kind() == ErrorKind::Corrupt;
            if self.others[at].vectors.ids().is_err_and(|error| damaged(&error)) {
                let name = self.others[at].name.clone();
                let mut manifest = self.place.manifest()?;
                let old = manifest.find(&name)?.clone();
                self.place.delete(&old)?;
                let new = self.place.create(&manifest, &old.embedder, old.dimensions)?;
                manifest.sets.iter_mut().filter(|one| one.name() == name).for_each(|one| one.clone_from(&new));
                manifest.write(&self.place.dir)?;
                let vectors = Arc::new(Lazy::new(new, self.place.clone()));
                self.others[at] = OtherVectors { name: name.clone(), vectors };
                mended.push(name);
            }
        }
        Ok(mended)
    }
}

impl Manifest {
    /// The set that `name` names: in full, or by the model alone where that is clear.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Invalid`] for a model with sets of several lengths; both name the choices.
    pub fn find(&self, name: &str) -> Result<&VectorSet> {
        if let Some(set) = self.set(name) {
            return Ok(set);
        }
        let sets: Vec<&VectorSet> = self.sets.iter().filter(|set| set.state != SetState::Dropped).collect();
        let names = |sets: &[&VectorSet]| sets.iter().map(|set| set.name()).collect::<Vec<_>>().join(", ");
        let alike: Vec<&VectorSet> = sets.iter().copied().filter(|set| set.embedder.name == name).collect();
        match alike[..] {
            [set] => Ok(set),
            [] => Err(Error::not_found(format!("there are no vectors of {name:?} here"))
                .advise(format!("use one of {}, or `fontes embedders add`", names(&sets)))),
            _ => Err(Error::invalid(format!("{name:?} has vectors of several lengths here"))
                .advise(format!("use one of {}", names(&alike)))),
        }
    }
}

/// Locks an index that nobody has open, and reads its manifest.
fn closed(dir: &Path, recipe: &Recipe, home: &VectorHome) -> Result<(SetHome, Manifest)> {
    let none = || Error::not_found("there is no archive here yet").advise("ingest something first");
    if !dir.is_dir() {
        return Err(none());
    }
    let place = SetHome::new(dir, home, recipe.vectors, Arc::new(DirectoryLock::acquire(dir)?));
    let manifest = Manifest::load(dir)?.filter(|manifest| manifest.ready).ok_or_else(none)?;
    Ok((place, manifest))
}

/// A set that is opened when it is first used.
pub(crate) struct Lazy {
    set: VectorSet,
    place: Arc<SetHome>,
    opened: Mutex<Option<Arc<dyn VectorIndex>>>,
}

impl Lazy {
    pub(crate) fn new(set: VectorSet, place: Arc<SetHome>) -> Self {
        Self { set, place, opened: Mutex::new(None) }
    }

    fn opened(&self) -> Result<Arc<dyn VectorIndex>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*opened {
            return Ok(index.clone());
        }
        let named = |error: IndexError| IndexError::OfSet { name: self.set.name(), source: Box::new(error) };
        Ok(opened.insert(self.place.open_set(&self.set).map_err(named)?).clone())
    }
}

impl VectorIndex for Lazy {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        self.opened()?.upsert(entries)
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        if chunks.is_empty() { Ok(()) } else { self.opened()?.remove(chunks) }
    }

    fn flush(&self) -> Result<()> {
        // What was not opened has nothing to make durable.
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        opened.map_or(Ok(()), |index| index.flush())
    }

    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        self.opened()?.search(vector, scope, filter, k)
    }

    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>> {
        self.opened()?.vectors(chunks)
    }

    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        self.opened()?.ids()
    }

    fn optimize(&self) -> Result<()> {
        self.opened()?.optimize()
    }
}

#[cfg(test)]
#[path = "beside_tests.rs"]
mod tests;
