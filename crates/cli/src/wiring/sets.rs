//! Which embedder an archive takes, and the vectors of others beside.
//!
//! The archive itself says which of its sets of vectors is searched, and so which model embeds. The configuration names the
//! embedder of archives to come: a switch is one word in one file, and nothing else has to be changed with it.

use std::sync::Arc;

use fontes_core::{Cancel, Digest, Embedder as _, Error, ErrorKind, VectorIndex};
use fontes_index::{Index, Manifest, Measure, SetState, VectorSet};
use fontes_ingestion::{Filling, SqliteTokens};
use fontes_model::{
    encoder::{self, EncoderEmbedder},
    store::{InstalledModel, ModelRole},
};
use serde::Serialize;

use super::{Archive, encoder_options, index_folder, installed, ledger, model_store, vector_home};
use crate::{config::Config, finding};

/// An embedder to open.
pub struct Choice {
    /// The installed model.
    pub model: InstalledModel,
    /// How many of the first numbers of its vectors are kept; all of them when not said.
    pub dimensions: Option<usize>,
}

impl Choice {
    /// The embedder named `NAME` or, with only its first `N` dimensions, `NAME@N`.
    pub fn named(config: &Config, name: &str) -> anyhow::Result<Self> {
        let (model, dimensions) = model_and_dimensions(name);
        Ok(Self { model: installed(&model_store(config)?, model)?, dimensions })
    }

    /// The embedder of a set: the installed one with its weights, whatever its name, else the one of its name, for the
    /// index to refuse.
    fn of_set(config: &Config, set: &VectorSet) -> anyhow::Result<Self> {
        let store = model_store(config)?;
        let weights = |sha256: Option<Digest>| sha256 == Some(set.embedder.sha256);
        let listed = store.list().map_err(Error::from)?;
        let mut same = listed.iter().filter(|model| model.kind == ModelRole::Embedder && weights(model.sha256));
        let name = same.next().map_or(&set.embedder.name, |model| &model.name);
        let model = store.resolve(name).map_err(Error::from).map_err(|error| match error.kind() {
            ErrorKind::Unavailable | ErrorKind::NotFound => missing(config, set, error),
            _ => error,
        })?;
        Ok(Self { model, dimensions: Some(set.dimensions) })
    }

    /// What the archive is searched with, or will be when there is none yet.
    pub fn of_archive(config: &Config) -> anyhow::Result<Self> {
        // What is wrong with a manifest is told when the index is opened.
        match manifest(config) {
            Some(manifest) => Self::of_set(config, manifest.active_set()),
            None => Self::named(config, &config.models.embedder),
        }
    }

    /// Opens it on every core.
    pub fn open(&self, config: &Config) -> anyhow::Result<Arc<EncoderEmbedder>> {
        self.open_on(config, 1)
    }

    /// Opens it on one core in `share`.
    fn open_on(&self, config: &Config, share: usize) -> anyhow::Result<Arc<EncoderEmbedder>> {
        let usual = encoder_options(config);
        let options =
            encoder::EncoderOptions { threads: (usual.threads / share).max(1), dimensions: self.dimensions, ..usual };
        Ok(Arc::new(encoder::open_embedder(&self.model, &options).map_err(Error::from)?))
    }
}

/// The error for a set whose model is not there.
fn missing(config: &Config, set: &VectorSet, error: Error) -> Error {
    let advice = error.advice().unwrap_or("install it again").to_owned();
    let index = index_folder(config);
    Error::new(error.kind(), format!("the model of the vectors {} is not here: {error}", set.name()))
        .advise(format!(
            "{advice}; if that model is lost, move {} away, and `fontes check --repair` computes vectors of models.embedder",
            index.display()
        ))
        .because(error)
}

/// `NAME` and, of `NAME@N`, the number.
pub fn model_and_dimensions(name: &str) -> (&str, Option<usize>) {
    let parts = name.rsplit_once('@').and_then(|(model, number)| Some((model, number.parse().ok()?)));
    parts.map_or((name, None), |(model, number)| (model, Some(number)))
}

/// What the archive's index was built with, if there is one that can be read.
fn manifest(config: &Config) -> Option<Manifest> {
    Manifest::read(&index_folder(config)).ok().flatten().filter(|manifest| manifest.ready)
}

/// Says whether there is no index at all, so that opening would make an empty one.
pub(super) fn is_lost(config: &Config) -> bool {
    matches!(Manifest::read(&index_folder(config)), Ok(None))
}

/// Says whether the archive is, or will be, searched with this embedder.
pub fn searches_with(config: &Config, embedder: &EncoderEmbedder) -> bool {
    let fits = |manifest: Manifest| manifest.active_set().is_of(embedder.identity(), embedder.dimensions());
    manifest(config).is_none_or(fits)
}

/// Adds an empty set of `embedder`'s vectors to the archive, which nobody has open; gives its name.
pub fn add(config: &Config, embedder: &EncoderEmbedder) -> anyhow::Result<String> {
    let _held = existing_ledger(config)?;
    let (dir, home) = (index_folder(config), vector_home(config)?);
    Ok(Index::add_set(&dir, &finding::recipe(config)?, embedder.identity(), embedder.dimensions(), &home)?)
}

/// Takes a set out of the archive, which nobody has open; gives its name.
pub fn remove(config: &Config, name: &str) -> anyhow::Result<String> {
    let _held = existing_ledger(config)?;
    let (dir, home) = (index_folder(config), vector_home(config)?);
    let name = manifest(config).map_or(Ok(name.to_owned()), |manifest| manifest.find(name).map(VectorSet::name))?;
    Index::drop_set(&dir, &finding::recipe(config)?, &name, &home)?;
    if let Some(manifest) = manifest(config) {
        // Two sets may be of the same weights, cut to different lengths.
        SqliteTokens::open(&config.data.dir)?.keep_only(manifest.sets.iter().map(|set| &set.embedder.sha256))?;
    }
    Ok(name)
}

/// Holds the data directory, if there is one.
fn existing_ledger(config: &Config) -> anyhow::Result<Arc<fontes_ingestion::SqliteLedger>> {
    if !config.data.dir.is_dir() {
        let what = format!("there is no archive in {}", config.data.dir.display());
        return Err(Error::not_found(what).advise("ingest something first, or check --data-dir").into());
    }
    ledger(config)
}

/// Where a set stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Searches use it.
    Active,
    /// It holds every chunk and can be switched to at once.
    Ready,
    /// It held every chunk once; what came since is missing.
    Behind,
    /// It is being built.
    Building,
}

/// A set, and how far it is.
#[derive(Clone, Debug, Serialize)]
pub struct SetStatus {
    /// Its name, `NAME@N`.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Digest of the model.
    pub sha256: Digest,
    /// Length of its vectors.
    pub dimensions: usize,
    /// Where it stands.
    pub state: Standing,
    /// Chunks of the archive that it holds.
    pub chunks_done: usize,
    /// Chunks of the archive.
    pub chunks_total: usize,
}

impl Archive {
    /// Every set of vectors, the first made first.
    pub fn sets(&self) -> anyhow::Result<Vec<SetStatus>> {
        let manifest = &self.index.manifest;
        let all = manifest.sets.iter().filter(|set| set.state != SetState::Dropped);
        all.map(|set| {
            let filling = self.set_filling(&set.name())?;
            let state = match set.state {
                _ if set.name() == manifest.active => Standing::Active,
                _ if filling.is_whole() => Standing::Ready,
                SetState::Building => Standing::Building,
                SetState::Built | SetState::Dropped => Standing::Behind,
            };
            Ok(SetStatus {
                name: set.name(),
                model: set.embedder.name.clone(),
                sha256: set.embedder.sha256,
                dimensions: set.dimensions,
                state,
                chunks_done: filling.chunks,
                chunks_total: filling.of,
            })
        })
        .collect()
    }

    /// The set that `name` names.
    pub fn set(&self, name: &str) -> anyhow::Result<&VectorSet> {
        Ok(self.index.manifest.find(name)?)
    }

    /// How far a set is.
    pub fn set_filling(&self, name: &str) -> anyhow::Result<Filling> {
        Ok(self.ingestion.filling(self.vectors_of(name)?.as_ref())?)
    }

    /// Name of the set that is searched.
    pub fn active(&self) -> &str {
        &self.index.manifest.active
    }

    /// Names of the sets that are being built.
    pub fn building(&self) -> Vec<String> {
        let building = self.index.manifest.others().filter(|set| set.state == SetState::Building);
        building.map(VectorSet::name).collect()
    }

    fn vectors_of(&self, name: &str) -> anyhow::Result<Arc<dyn VectorIndex>> {
        let other = self.index.others.iter().find(|other| other.name == name);
        match other {
            Some(other) => Ok(other.vectors.clone()),
            None if name == self.active() => Ok(self.index.vectors.clone()),
            None => Err(Error::not_found(format!("there is no set {name:?}")).into()),
        }
    }

    /// Embeds what a set lacks, on one core in `share`, until it lacks nothing; see [`fontes_ingestion::Ingestion::fill`].
    pub fn fill(
        &self,
        config: &Config,
        name: &str,
        share: usize,
        observer: &mut dyn FnMut(Filling),
        cancel: &Cancel,
    ) -> anyhow::Result<Filling> {
        let (set, vectors) = (self.set(name)?, self.vectors_of(name)?);
        // A set that lacks nothing needs no model.
        let filling = self.ingestion.filling(vectors.as_ref())?;
        let filling = if filling.is_whole() {
            // A kill after the last vector may have kept the graph from being built.
            if set.state == SetState::Building {
                vectors.optimize()?;
            }
            filling
        } else {
            let embedder = Choice::of_set(config, set)?.open_on(config, share)?;
            if !set.is_of(embedder.identity(), embedder.dimensions()) {
                let what = format!("the installed {} has other weights than those of {name}", set.embedder.name);
                let advice = format!("install those weights, or `fontes embedders drop {name}` and add it again");
                return Err(Error::conflict(what).advise(advice).into());
            }
            self.ingestion.fill(vectors.as_ref(), embedder.as_ref(), observer, cancel)?
        };
        if filling.is_whole() {
            self.index.note_built(name)?;
        }
        Ok(filling)
    }

    /// Makes a set the one that is searched from the next opening on, if it holds every chunk; says whether it does.
    pub fn switch(&self, name: &str) -> anyhow::Result<bool> {
        let vectors = self.vectors_of(name)?;
        let (embedder, max_tokens) = (self.embedder.identity().clone(), self.embedder.max_tokens());
        let measure = Measure { max_tokens, embedder };
        Ok(self.ingestion.when_whole(vectors.as_ref(), || self.index.switch(name, measure))?)
    }

    /// What to tell when the configuration names an embedder that the archive has no vectors of.
    pub fn other_embedder_remark(&self, config: &Config) -> Option<String> {
        let named = &config.models.embedder;
        let (model, dimensions) = model_and_dimensions(named);
        let fits =
            |set: &VectorSet| set.embedder.name == model && dimensions.is_none_or(|number| number == set.dimensions);
        let manifest = &self.index.manifest;
        if fits(manifest.active_set()) || manifest.others().any(fits) {
            return None;
        }
        let active = self.active();
        Some(format!(
            "models.embedder is {named}, and this archive is searched with {active}: `fontes embedders add {named}` \
             computes vectors of {named} beside, `fontes embedders use {named}` then searches with them"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_how_many_dimensions_are_kept() {
        assert_eq!(model_and_dimensions("multilingual-e5-small"), ("multilingual-e5-small", None));
        assert_eq!(model_and_dimensions("multilingual-e5-small@256"), ("multilingual-e5-small", Some(256)));
        assert_eq!(model_and_dimensions("me@home"), ("me@home", None));
    }
}
