//! Vectors in Qdrant, in process (`qdrant-edge`).
//!
//! What the library leaves to its caller is done here: it does not replay its write-ahead log when it loads, so
//! an entry is safe only after [`VectorIndex::flush`]; it builds no graph until it is told to; its flush and
//! drop panic when the disk does not obey; its log grows for ever; a killed optimisation leaves its work behind.

mod filter;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use fontes_core::{AccessScope, Candidate, ChunkId, ErrorKind, Filter, IndexEntry, Result, VectorIndex};
use qdrant_edge::{
    AcornSearchParams, CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams,
    FieldIndexOperations, HnswIndexConfig, NamedQuery, OperationResult, PayloadFieldSchema, PointId,
    PointInsertOperations, PointOperations, PointStruct, QuantizationConfig, QuantizationSearchParams, QueryEnum,
    QueryRequest, ScalarQuantizationConfig, ScalarType, ScoringQuery, ScrollRequest, SearchParams, UpdateOperation,
    VectorStructInternal, WalOptions, WithPayloadInterface, WithVector, external::ordered_float::OrderedFloat,
    external::uuid::Uuid,
};

use self::filter::{json_path, schema, scope_filter};
use crate::{
    MAX_RESULTS,
    directory::{DirectoryLock, remove_dir, require_space},
    error::IndexError,
    point::{FIELDS, check_vector, checked, payload},
    recipe::{Quantization, VectorRecipe},
};

/// The name Qdrant gives the only vector of a point.
const VECTOR: &str = "";

/// Ids read per step of a scroll: enough to make steps rare, little enough to hold.
const SCROLL_PAGE: usize = 10_000;

/// Size of one file of the write-ahead log. The library's 32 MiB would be most of a small index; the log is
/// never read back, only its numbering counts.
const LOG_FILE_BYTES: usize = 8 << 20;

/// Segments to aim for: a search visits them one after the other, so few. But every merge builds the graph of the
/// merged anew, and beyond this number the three smallest are merged. With two, the large graph was rebuilt whenever
/// 40 MiB of new vectors had come together; with five, new vectors grow through ever larger segments beside it, and
/// each is built into a graph a handful of times instead of with every such batch.
const SEGMENTS: usize = 5;

/// A [`VectorIndex`] on Qdrant's in-process shard. Cosine similarity, one vector per chunk, ids are chunk ids.
#[derive(Debug)]
pub(crate) struct EdgeIndex {
    /// `None` only while being dropped.
    shard: Option<EdgeShard>,
    path: PathBuf,
    dimensions: usize,
    search: SearchParams,
    /// Serialises updates, flushes and optimisation: flush gives up by panicking when it meets either.
    writing: Mutex<()>,
    /// Set when a write broke down half-way. What is in memory is then unknown, so nothing more is written.
    broken: AtomicBool,
    _lock: Arc<DirectoryLock>,
}

impl EdgeIndex {
    /// Creates an empty index in `path`, whose parent `lock` protects.
    ///
    /// # Errors
    /// [`IndexError::Qdrant`] or [`IndexError::Panicked`] when the library cannot.
    pub(crate) fn create(
        path: &Path,
        dimensions: usize,
        recipe: &VectorRecipe,
        lock: Arc<DirectoryLock>,
    ) -> Result<Self, IndexError> {
        fs::create_dir_all(path).map_err(IndexError::io("create", path))?;
        require_space(path)?;
        let shard = guarded("create", || EdgeShard::new(path, config(dimensions, recipe)))?;
        let index = Self::new(shard, path, dimensions, recipe, lock);
        for (field, kind) in FIELDS {
            index.write("index a payload field", || {
                let field_schema = Some(PayloadFieldSchema::FieldType(schema(kind)));
                let create = CreateIndex { field_name: json_path(field), field_schema };
                index.shard().update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(create)))
            })?;
        }
        index.flush_to_disk()?;
        Ok(index)
    }

    /// Opens the index in `path`, whose parent `lock` protects.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] when it is not what [`EdgeIndex::create`] and its writes left.
    pub(crate) fn open(
        path: &Path,
        dimensions: usize,
        recipe: &VectorRecipe,
        lock: Arc<DirectoryLock>,
    ) -> Result<Self, IndexError> {
        // What a killed optimisation was building; the segments it read from are still in place.
        remove_dir(&path.join("temp_segments"))?;
        drop_spent_log(&path.join("wal"))?;
        let damaged = |what: String| IndexError::Damaged { path: path.to_owned(), what };
        if !path.join("segments").is_dir() {
            return Err(damaged("the vector segments are missing".into()));
        }
        let shard = match guarded("open", || EdgeShard::load(path, Some(config(dimensions, recipe)))) {
            Ok(shard) => shard,
            Err(IndexError::Panicked { .. }) => return Err(damaged("a vector segment cannot be read".into())),
            Err(error) => match error.kind() {
                ErrorKind::Internal => return Err(damaged(source_of(&error))),
                _ => return Err(error),
            },
        };
        let index = Self::new(shard, path, dimensions, recipe, lock);
        let indexed = index.shard().info().payload_schema;
        if FIELDS.iter().any(|(field, _)| !indexed.contains_key(&json_path(field))) {
            return Err(IndexError::Damaged { path: path.to_owned(), what: "a payload index is missing".into() });
        }
        Ok(index)
    }

    fn new(shard: EdgeShard, path: &Path, dimensions: usize, recipe: &VectorRecipe, lock: Arc<DirectoryLock>) -> Self {
        Self {
            shard: Some(shard),
            path: path.to_owned(),
            dimensions,
            search: search_params(recipe),
            writing: Mutex::new(()),
            broken: AtomicBool::new(false),
            _lock: lock,
        }
    }

    fn shard(&self) -> &EdgeShard {
        self.shard.as_ref().expect("the shard is there until the index is dropped")
    }

    /// Runs a write alone, and remembers when it broke down.
    fn write<T>(&self, action: &'static str, body: impl FnOnce() -> OperationResult<T>) -> Result<T, IndexError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.broken.load(Ordering::Acquire) {
            return Err(IndexError::Panicked { action });
        }
        let result = guarded(action, body);
        if let Err(IndexError::Panicked { .. }) = result {
            self.broken.store(true, Ordering::Release);
        }
        result
    }

    fn flush_to_disk(&self) -> Result<(), IndexError> {
        self.write("flush", || {
            self.shard().flush();
            Ok(())
        })
    }
}

impl VectorIndex for EdgeIndex {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        let points: Vec<_> = checked(entries, self.dimensions)?.into_iter().map(|entry| point(entry).into()).collect();
        if points.is_empty() {
            return Ok(());
        }
        require_space(&self.path)?;
        let points = PointInsertOperations::PointsList(points);
        let operation = UpdateOperation::PointOperation(PointOperations::UpsertPoints(points));
        Ok(self.write("add vectors", || self.shard().update(operation))?)
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        let ids = chunks.iter().copied().map(point_id).collect();
        let operation = UpdateOperation::PointOperation(PointOperations::DeletePoints { ids });
        Ok(self.write("remove vectors", || self.shard().update(operation))?)
    }

    fn flush(&self) -> Result<()> {
        Ok(self.flush_to_disk()?)
    }

    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        check_vector(vector, self.dimensions)?;
        let limit = k.min(MAX_RESULTS);
        let Some(filter) = scope_filter(scope, filter) else { return Ok(Vec::new()) };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = QueryRequest {
            prefetches: Vec::new(),
            query: Some(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::default_dense(vector.to_vec())))),
            filter: Some(filter),
            score_threshold: None,
            limit,
            offset: 0,
            params: Some(self.search),
            with_vector: WithVector::Bool(false),
            with_payload: WithPayloadInterface::Bool(false),
        };
        let found = guarded("search", || self.shard().query(request))?;
        let mut candidates = found
            .iter()
            .map(|point| Ok(Candidate { chunk: chunk_id(&self.path, point.id)?, score: point.score }))
            .collect::<Result<Vec<_>, IndexError>>()?;
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        Ok(candidates)
    }

    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>> {
        let ids: Vec<PointId> = chunks.iter().copied().map(point_id).collect();
        let found = guarded("read vectors", || {
            let payload = WithPayloadInterface::Bool(false);
            self.shard().retrieve(&ids, Some(payload), Some(WithVector::Bool(true)))
        })?;
        let mut vectors = HashMap::with_capacity(found.len());
        for record in found {
            if let Some(VectorStructInternal::Single(vector)) = record.vector {
                vectors.insert(record.id, vector);
            }
        }
        Ok(ids.iter().map(|id| vectors.get(id).cloned()).collect())
    }

    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        let mut ids = BTreeSet::new();
        let mut offset = None;
        loop {
            let request = ScrollRequest {
                offset,
                limit: Some(SCROLL_PAGE),
                filter: None,
                with_payload: Some(WithPayloadInterface::Bool(false)),
                with_vector: WithVector::Bool(false),
                order_by: None,
            };
            let (page, next) = guarded("list its ids", || self.shard().scroll(request))?;
            for record in page {
                ids.insert(chunk_id(&self.path, record.id)?);
            }
            match next {
                Some(_) => offset = next,
                None => return Ok(ids),
            }
        }
    }

    fn optimize(&self) -> Result<()> {
        require_space(&self.path)?;
        // A kill in the middle must find on disk what the new segments are made from.
        self.flush_to_disk()?;
        self.write("optimise", || self.shard().optimize().map(drop))?;
        Ok(self.flush_to_disk()?)
    }
}

impl Drop for EdgeIndex {
    fn drop(&mut self) {
        // The library flushes when dropped and panics when it cannot. Nothing acknowledged is lost by that.
        let shard = self.shard.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(shard)));
    }
}

/// Runs a call into the library; a panic inside becomes an error.
fn guarded<T>(action: &'static str, body: impl FnOnce() -> OperationResult<T>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result.map_err(IndexError::qdrant(action)),
        Err(_) => Err(IndexError::Panicked { action }),
    }
}

/// The text of an error's cause, for errors whose kind is decided by where they happened.
fn source_of(error: &IndexError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Removes the files of the log that only a replay would need, all but the last closed one, from which the
/// library counts on.
fn drop_spent_log(log: &Path) -> Result<(), IndexError> {
    let Ok(entries) = fs::read_dir(log) else { return Ok(()) };
    let start = |path: &Path| path.file_name()?.to_str()?.strip_prefix("closed-")?.parse::<u64>().ok();
    let mut closed: Vec<(u64, PathBuf)> =
        entries.flatten().filter_map(|entry| Some((start(&entry.path())?, entry.path()))).collect();
    closed.sort();
    closed.pop();
    for (_, path) in closed {
        fs::remove_file(&path).map_err(IndexError::io("remove", &path))?;
    }
    Ok(())
}

fn config(dimensions: usize, recipe: &VectorRecipe) -> EdgeConfig {
    let hnsw = HnswIndexConfig {
        m: recipe.m,
        ef_construct: recipe.ef_construct,
        full_scan_threshold: recipe.full_scan_kib,
        max_indexing_threads: 0,
        on_disk: None,
        // Filtered searches use ACORN; extra links per payload value would only cost build time.
        payload_m: Some(0),
        inline_storage: None,
    };
    let params = EdgeVectorParams::builder(dimensions, Distance::Cosine).on_disk(recipe.on_disk).build();
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(SEGMENTS),
        indexing_threshold: Some(recipe.full_scan_kib),
        ..EdgeOptimizersConfig::default()
    };
    let builder = EdgeConfig::builder()
        .vector(VECTOR, params)
        .hnsw_config(hnsw)
        .optimizers(optimizers)
        .wal_options(WalOptions { segment_capacity: LOG_FILE_BYTES, ..WalOptions::default() });
    match recipe.quantization {
        Quantization::None => builder.build(),
        Quantization::Int8 => {
            let int8 =
                ScalarQuantizationConfig { r#type: ScalarType::Int8, quantile: Some(0.99), always_ram: Some(true) };
            builder.quantization_config(QuantizationConfig::from(int8)).build()
        }
    }
}

fn search_params(recipe: &VectorRecipe) -> SearchParams {
    let quantization = match recipe.quantization {
        Quantization::None => None,
        // Twice the candidates, rescored with the full vectors.
        Quantization::Int8 => {
            Some(QuantizationSearchParams { ignore: false, rescore: Some(true), oversampling: Some(2.0) })
        }
    };
    SearchParams {
        hnsw_ef: Some(recipe.ef_search),
        exact: false,
        quantization,
        indexed_only: false,
        // Every search carries an access filter. When it keeps all, ACORN does what plain HNSW does.
        acorn: Some(AcornSearchParams { enable: true, max_selectivity: Some(OrderedFloat(1.0)) }),
    }
}

fn point(entry: &IndexEntry<'_>) -> PointStruct {
    PointStruct::new(point_id(entry.chunk.id), entry.vector.to_vec(), payload(entry))
}

fn point_id(chunk: ChunkId) -> PointId {
    PointId::Uuid(Uuid::from_bytes(*chunk.as_bytes()))
}

fn chunk_id(path: &Path, point: PointId) -> Result<ChunkId, IndexError> {
    match point {
        PointId::Uuid(uuid) => Ok(ChunkId::from_bytes(uuid.into_bytes())),
        PointId::NumId(number) => {
            let what = format!("point {number} is not a chunk id");
            Err(IndexError::Damaged { path: path.to_owned(), what })
        }
    }
}

#[cfg(test)]
mod tests;
