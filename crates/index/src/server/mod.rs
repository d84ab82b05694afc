//! Vectors in a Qdrant server or cluster, over gRPC.
//!
//! The same contract as in process, with the same fields, conditions and recipe. A write is acknowledged when the server
//! has it in its log on disk and has applied it (`wait`), by most of the copies where there are several, so there is
//! nothing left to flush. The server builds graphs by itself while vectors come in; [`VectorIndex::optimize`] waits for it.
//!
//! What the client library leaves to its caller is done here: it is asynchronous, it prints when versions differ, and it
//! names a malformed key in an error. It sends nothing but the requests below, and nothing is sent unless a server is set.

mod collection;
mod connection;
mod convert;
mod error;
mod settings;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use fontes_core::{AccessScope, Candidate, ChunkId, Filter, IndexEntry, ModelIdentity, Result, VectorIndex};
use qdrant_client::qdrant::{
    AcornSearchParams, CollectionInfo, CollectionStatus, DeletePoints, GetPoints, OptimizersConfigDiff,
    PointsOperationResponse, QuantizationSearchParams, Query, QueryPoints, ScrollPoints, SearchParams,
    UpdateCollection, UpdateStatus, UpsertPoints, VectorInput, vector_output::Vector,
};

use self::{
    connection::Connection,
    convert::{chunk_id, point, point_id, scope_filter},
};
use crate::{
    MAX_RESULTS,
    error::IndexError,
    point::{check_vector, checked},
    recipe::{Quantization, VectorRecipe},
};

pub use self::{error::ServerError, settings::ServerSettings};

/// Bytes of one request, about: a quarter of what a server accepts over its other protocol unless told otherwise.
const REQUEST_BYTES: usize = 8 << 20;

/// Bytes of a point beside its vector, about.
const PAYLOAD_BYTES: usize = 512;

/// Ids read per step of a scroll, or removed by one request.
const IDS: usize = 10_000;

/// Wait between two looks at an optimisation.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An empty collection of this archive that nothing points to yet.
#[derive(Debug)]
pub(crate) struct Draft {
    index: ServerIndex,
    collection: String,
}

impl Draft {
    /// Makes the collection.
    ///
    /// # Errors
    /// [`IndexError::Server`].
    pub(crate) fn create(
        settings: &ServerSettings,
        recipe: &VectorRecipe,
        embedder: &ModelIdentity,
        dimensions: usize,
    ) -> Result<Self, IndexError> {
        let index = ServerIndex::connect(settings, recipe, &settings.name, dimensions)?;
        collection::require_free(&index.connection, &settings.name)?;
        let collection = collection::create(&index.connection, settings, recipe, embedder, dimensions)?;
        Ok(Self { index, collection })
    }

    /// Makes a collection beside those the archive has: complete, with no alias that leads to it.
    ///
    /// # Errors
    /// [`IndexError::Server`].
    pub(crate) fn beside(
        settings: &ServerSettings,
        recipe: &VectorRecipe,
        embedder: &ModelIdentity,
        dimensions: usize,
    ) -> Result<Self, IndexError> {
        let index = ServerIndex::connect(settings, recipe, &settings.name, dimensions)?;
        let collection = collection::create(&index.connection, settings, recipe, embedder, dimensions)?;
        collection::index_fields(&index.connection, &collection)?;
        Ok(Self { index, collection })
    }

    /// The collection's name. Note it before [`Draft::publish`]: it proves whose the collection is.
    pub(crate) fn collection(&self) -> &str {
        &self.collection
    }

    /// Makes it what the archive's name leads to.
    ///
    /// # Errors
    /// [`IndexError::Server`].
    pub(crate) fn publish(self) -> Result<ServerIndex, IndexError> {
        collection::index_fields(&self.index.connection, &self.collection)?;
        collection::lead(&self.index.connection, &self.index.name, &self.collection)?;
        Ok(self.index)
    }
}

/// A [`VectorIndex`] on a Qdrant server. Cosine similarity, one vector per chunk, ids are chunk ids.
#[derive(Debug)]
pub(crate) struct ServerIndex {
    connection: Connection,
    /// The archive's alias for its active set, the collection's own name for another.
    name: String,
    dimensions: usize,
    search: SearchParams,
}

impl ServerIndex {
    /// Opens the collection that was made as `collection`, through `name`: an alias, or the collection itself.
    ///
    /// # Errors
    /// [`IndexError::Server`].
    pub(crate) fn open(
        settings: &ServerSettings,
        recipe: &VectorRecipe,
        name: &str,
        collection: &str,
        embedder: &ModelIdentity,
        dimensions: usize,
    ) -> Result<Self, IndexError> {
        let index = Self::connect(settings, recipe, name, dimensions)?;
        collection::check(&index.connection, &index.name, collection, embedder, dimensions)?;
        Ok(index)
    }

    fn connect(
        settings: &ServerSettings,
        recipe: &VectorRecipe,
        name: &str,
        dimensions: usize,
    ) -> Result<Self, IndexError> {
        let (connection, _) = Connection::open(settings)?;
        Ok(Self { connection, name: name.to_owned(), dimensions, search: search_params(recipe) })
    }

    /// Checks that a write is done, not only queued.
    fn completed(&self, action: &'static str, reply: PointsOperationResponse) -> Result<(), IndexError> {
        let status = reply.result.map_or(UpdateStatus::UnknownUpdateStatus, |result| result.status());
        match status {
            UpdateStatus::Completed => Ok(()),
            other => Err(self.connection.unexpected(action, other.as_str_name()).into()),
        }
    }

    /// Asks for a pending optimisation: after a start the server waits for some change.
    fn wake_optimizer(&self) -> Result<(), IndexError> {
        let request = UpdateCollection {
            collection_name: self.name.clone(),
            optimizers_config: Some(OptimizersConfigDiff::default()),
            ..UpdateCollection::default()
        };
        self.connection.wait("begin to optimise", self.connection.client.update_collection(request))?;
        Ok(())
    }
}

impl VectorIndex for ServerIndex {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        const ACTION: &str = "add vectors";
        let entries = checked(entries, self.dimensions)?;
        let batch = (REQUEST_BYTES / (4 * self.dimensions + PAYLOAD_BYTES)).max(1);
        for entries in entries.chunks(batch) {
            let request = UpsertPoints {
                collection_name: self.name.clone(),
                wait: Some(true),
                points: entries.iter().map(|entry| point(entry)).collect(),
                ..UpsertPoints::default()
            };
            let reply = self.connection.wait(ACTION, self.connection.client.upsert_points(request));
            self.completed(ACTION, reply.map_err(IndexError::from)?)?;
        }
        Ok(())
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        const ACTION: &str = "remove vectors";
        for chunks in chunks.chunks(IDS) {
            let points = chunks.iter().copied().map(point_id).collect::<Vec<_>>();
            let request = DeletePoints {
                collection_name: self.name.clone(),
                wait: Some(true),
                points: Some(points.into()),
                ..DeletePoints::default()
            };
            let reply = self.connection.wait(ACTION, self.connection.client.delete_points(request));
            self.completed(ACTION, reply.map_err(IndexError::from)?)?;
        }
        Ok(())
    }

    /// Nothing to do: the server wrote its log to disk before it acknowledged.
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        const ACTION: &str = "search";
        check_vector(vector, self.dimensions)?;
        let limit = k.min(MAX_RESULTS);
        let Some(filter) = scope_filter(scope, filter) else { return Ok(Vec::new()) };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = QueryPoints {
            collection_name: self.name.clone(),
            query: Some(Query::new_nearest(VectorInput::from(vector.to_vec()))),
            filter: Some(filter),
            params: Some(self.search.clone()),
            limit: Some(limit as u64),
            with_payload: Some(false.into()),
            with_vectors: Some(false.into()),
            ..QueryPoints::default()
        };
        let reply = self.connection.wait(ACTION, self.connection.client.query(request)).map_err(IndexError::from)?;
        let mut candidates = Vec::with_capacity(reply.result.len());
        for found in reply.result {
            let chunk =
                chunk_id(found.id).map_err(|what| IndexError::from(self.connection.unexpected(ACTION, what)))?;
            candidates.push(Candidate { chunk, score: found.score });
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        Ok(candidates)
    }

    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>> {
        const ACTION: &str = "read vectors";
        let request = GetPoints {
            collection_name: self.name.clone(),
            ids: chunks.iter().copied().map(point_id).collect(),
            with_payload: Some(false.into()),
            with_vectors: Some(true.into()),
            ..GetPoints::default()
        };
        let reply =
            self.connection.wait(ACTION, self.connection.client.get_points(request)).map_err(IndexError::from)?;
        let mut vectors = HashMap::with_capacity(reply.result.len());
        for point in reply.result {
            let chunk =
                chunk_id(point.id).map_err(|what| IndexError::from(self.connection.unexpected(ACTION, what)))?;
            if let Some(Vector::Dense(vector)) = point.vectors.and_then(|vectors| vectors.get_vector()) {
                vectors.insert(chunk, vector.data);
            }
        }
        Ok(chunks.iter().map(|chunk| vectors.get(chunk).cloned()).collect())
    }

    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        const ACTION: &str = "list its ids";
        let mut ids = BTreeSet::new();
        let mut offset = None;
        loop {
            let request = ScrollPoints {
                collection_name: self.name.clone(),
                offset,
                limit: Some(IDS as u32),
                with_payload: Some(false.into()),
                with_vectors: Some(false.into()),
                ..ScrollPoints::default()
            };
            let page =
                self.connection.wait(ACTION, self.connection.client.scroll(request)).map_err(IndexError::from)?;
            for point in page.result {
                let id =
                    chunk_id(point.id).map_err(|what| IndexError::from(self.connection.unexpected(ACTION, what)))?;
                ids.insert(id);
            }
            offset = page.next_page_offset;
            if offset.is_none() {
                return Ok(ids);
            }
        }
    }

    fn optimize(&self) -> Result<()> {
        loop {
            let info = collection::info(&self.connection, &self.name).map_err(IndexError::from)?;
            if let Some(error) = info.optimizer_status.as_ref().filter(|status| !status.ok) {
                return Err(IndexError::from(self.connection.unexpected("optimise", error.error.clone())).into());
            }
            match info.status() {
                CollectionStatus::Green if queued(&info) == 0 => return Ok(()),
                CollectionStatus::Red | CollectionStatus::UnknownCollectionStatus => {
                    let state = info.status().as_str_name();
                    return Err(IndexError::from(self.connection.unexpected("optimise", state)).into());
                }
                CollectionStatus::Grey => self.wake_optimizer()?,
                CollectionStatus::Green | CollectionStatus::Yellow => {}
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Updates that the server has accepted and not yet applied.
fn queued(info: &CollectionInfo) -> u64 {
    info.update_queue.as_ref().map_or(0, |queue| queue.length)
}

fn search_params(recipe: &VectorRecipe) -> SearchParams {
    let quantization = match recipe.quantization {
        Quantization::None => None,
        // Twice the candidates, rescored with the full vectors.
        Quantization::Int8 => {
            Some(QuantizationSearchParams { ignore: Some(false), rescore: Some(true), oversampling: Some(2.0) })
        }
    };
    SearchParams {
        hnsw_ef: Some(recipe.ef_search as u64),
        exact: Some(false),
        quantization,
        indexed_only: Some(false),
        // Every search carries an access filter. When it keeps all, ACORN does what plain HNSW does.
        acorn: Some(AcornSearchParams { enable: Some(true), max_selectivity: Some(1.0) }),
        ..SearchParams::default()
    }
}

/// What a server says of itself and of an archive's vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Its version.
    pub version: String,
    /// The collection that the archive's name leads to; `None` when there is none yet.
    pub collection: Option<String>,
    /// Vectors in that collection, about.
    pub vectors: u64,
    /// Parts it is split into.
    pub shards: u32,
    /// Copies of each part.
    pub replicas: u32,
}

/// Asks the server for a report.
///
/// # Errors
/// Why it does not answer, refuses or will not do; see [`ServerError`].
pub fn report(settings: &ServerSettings) -> Result<ServerReport> {
    Ok(ask(settings).map_err(IndexError::from)?)
}

fn ask(settings: &ServerSettings) -> Result<ServerReport, ServerError> {
    let (connection, version) = Connection::open(settings)?;
    let Some(collection) = collection::aliased(&connection, &settings.name)? else {
        return Ok(ServerReport { version, collection: None, vectors: 0, shards: 0, replicas: 0 });
    };
    let info = collection::info(&connection, &collection)?;
    let params = info.config.and_then(|config| config.params).unwrap_or_default();
    Ok(ServerReport {
        version,
        collection: Some(collection),
        vectors: info.points_count.unwrap_or_default(),
        shards: params.shard_number,
        replicas: params.replication_factor.unwrap_or(1),
    })
}

/// Makes the archive's alias lead to `collection` when it leads to one of `own`, the archive's other collections, or to none
/// that is there. Where it leads elsewhere it stays: a restored copy, or another archive's, which opening tells apart.
///
/// # Errors
/// [`IndexError::Server`].
pub(crate) fn lead_to(settings: &ServerSettings, collection: &str, own: &[&str]) -> Result<(), IndexError> {
    let (connection, _) = Connection::open(settings)?;
    if collection::leads_to_any(&connection, &settings.name, own)? {
        collection::lead(&connection, &settings.name, collection)?;
    }
    Ok(())
}

/// Deletes from the server what was made as `collection`.
///
/// # Errors
/// [`IndexError::Server`].
pub(crate) fn delete(settings: &ServerSettings, collection: &str) -> Result<(), IndexError> {
    let (connection, _) = Connection::open(settings)?;
    Ok(collection::delete(&connection, &settings.name, collection)?)
}

#[cfg(test)]
mod tests;
