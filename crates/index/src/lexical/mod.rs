//! Words in Tantivy.
//!
//! Writes are staged in one writer thread and appear with [`LexicalIndex::commit`], whose payload is the ledger
//! position: segments, deletions and position become visible in one rename of the meta file.

mod analysis;
mod compound;
mod correct;
mod explain;
mod facets;
mod plan;
mod schema;
mod score;
mod stem;
mod stop;
mod top;

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fontes_core::{
    AccessScope, Candidate, ChunkId, Facet, Filter, IndexEntry, LedgerPosition, LexicalIndex, Result, TermMatch,
    seam::require_labels,
};
use tantivy::{
    DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyError,
    collector::DocSetCollector,
    columnar::Column,
    indexer::LogMergePolicy,
    query::{BooleanQuery, TermQuery},
    schema::IndexRecordOption,
};

use self::schema::{Fields, chunk_of};
use crate::{
    MAX_RESULTS,
    directory::{DirectoryLock, require_space},
    error::IndexError,
    recipe::LexicalRecipe,
};

/// Version of everything that decides which words are stored: analysis, stemmers, schema. Raised with any change,
/// whereupon older indexes ask to be rebuilt.
pub const ANALYZERS: u32 = 4;

/// Segments are merged when so many are of about one size: commits of a few documents stay cheap, and a query
/// visits tens of segments at most.
const MERGE_AT: usize = 8;

/// A segment is rewritten when this share of it is removed.
const MERGE_AT_DELETED: f32 = 0.3;

/// What a word is worth that was not typed but probably meant: less than half, so that whoever fuses or reports can
/// tell.
const CORRECTED: f32 = 0.4;

/// A [`LexicalIndex`] on Tantivy.
pub(crate) struct TantivyIndex {
    index: Index,
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
    recipe: LexicalRecipe,
    path: PathBuf,
    _lock: Arc<DirectoryLock>,
}

impl TantivyIndex {
    /// Creates an empty index in `path`, whose parent `lock` protects.
    ///
    /// # Errors
    /// [`IndexError::Tantivy`] when the library cannot.
    pub(crate) fn create(path: &Path, recipe: &LexicalRecipe, lock: Arc<DirectoryLock>) -> Result<Self, IndexError> {
        fs::create_dir_all(path).map_err(IndexError::io("create", path))?;
        require_space(path)?;
        let (schema, fields) = Fields::schema();
        let index = Index::create_in_dir(path, schema).map_err(IndexError::tantivy("create"))?;
        Self::new(index, fields, path, recipe, lock)
    }

    /// Opens the index in `path`, whose parent `lock` protects.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] when it is not what [`TantivyIndex::create`] and its writes left.
    pub(crate) fn open(path: &Path, recipe: &LexicalRecipe, lock: Arc<DirectoryLock>) -> Result<Self, IndexError> {
        let damaged = |what: String| IndexError::Damaged { path: path.to_owned(), what };
        let as_damage = |error: TantivyError| {
            let error = IndexError::tantivy("open")(error);
            match error.kind() {
                // The lock and the disk are not damage; a schema that does not parse is.
                fontes_core::ErrorKind::Conflict | fontes_core::ErrorKind::Unavailable => error,
                _ => damaged("the lexical segments cannot be read".into()),
            }
        };
        if !path.join("meta.json").is_file() {
            return Err(damaged("the lexical meta file is missing".into()));
        }
        // The library panics on a file that is shorter than its footer.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let index = Index::open_in_dir(path).map_err(as_damage)?;
            let (schema, fields) = Fields::schema();
            if index.schema() != schema {
                return Err(damaged("the lexical fields are not those of this version".into()));
            }
            Self::new(index, fields, path, recipe, lock).map_err(|error| match error {
                IndexError::Tantivy { source, .. } => as_damage(*source),
                other => other,
            })
        }));
        opened.unwrap_or_else(|_| Err(damaged("a lexical segment cannot be read".into())))
    }

    fn new(
        index: Index,
        fields: Fields,
        path: &Path,
        recipe: &LexicalRecipe,
        lock: Arc<DirectoryLock>,
    ) -> Result<Self, IndexError> {
        let failed = || IndexError::tantivy("open");
        let writer: IndexWriter = index.writer_with_num_threads(1, recipe.writer_memory_mib << 20).map_err(failed())?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGE_AT);
        policy.set_del_docs_ratio_before_merge(MERGE_AT_DELETED);
        writer.set_merge_policy(Box::new(policy));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(failed())?;
        let path = path.to_owned();
        Ok(Self { index, fields, reader, writer: Mutex::new(writer), recipe: *recipe, path, _lock: lock })
    }

    fn writer(&self) -> MutexGuard<'_, IndexWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best allowed chunks for `text`, scores as shares of what it asks for.
    fn found(
        &self,
        text: &str,
        searcher: &Searcher,
        allowed: &BooleanQuery,
        limit: usize,
    ) -> Result<Vec<Candidate>, IndexError> {
        let failed = || IndexError::tantivy("search");
        let plan = plan::plan(text, &self.fields, &self.recipe.weights, searcher).map_err(failed())?;
        let found = score::best(searcher, &self.fields, &self.recipe, &plan, allowed, limit).map_err(failed())?;
        let mut candidates = self.candidates(searcher, &found)?;
        for candidate in &mut candidates {
            candidate.score /= plan.mass;
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        Ok(candidates)
    }

    /// `text` as it was probably meant.
    fn corrected(&self, text: &str, searcher: &Searcher, allowed: &BooleanQuery) -> Result<Option<String>, IndexError> {
        correct::corrected(text, searcher, &self.fields, &self.recipe, allowed).map_err(IndexError::tantivy("correct"))
    }

    /// Where `chunk` is, if it may be seen.
    fn allowed_address(
        &self,
        searcher: &Searcher,
        allowed: &BooleanQuery,
        chunk: ChunkId,
    ) -> tantivy::Result<Option<DocAddress>> {
        let this = TermQuery::new(self.fields.chunk_term(chunk), IndexRecordOption::Basic);
        let both = BooleanQuery::intersection(vec![Box::new(this), Box::new(allowed.clone())]);
        Ok(searcher.search(&both, &DocSetCollector)?.into_iter().next())
    }

    /// The ids of the documents found, read from the columns of their segments.
    fn candidates(&self, searcher: &Searcher, found: &[(f32, DocAddress)]) -> Result<Vec<Candidate>, IndexError> {
        let mut columns: Vec<Option<Halves>> = vec![None; searcher.segment_readers().len()];
        let mut candidates = Vec::with_capacity(found.len());
        for &(score, address) in found {
            let ordinal = address.segment_ord as usize;
            if columns[ordinal].is_none() {
                columns[ordinal] = Some(Halves::open(searcher, ordinal)?);
            }
            let halves = columns[ordinal].as_ref().expect("opened above");
            let chunk = halves.chunk(address.doc_id).ok_or_else(|| self.damaged("a document has no chunk id"))?;
            candidates.push(Candidate { chunk, score });
        }
        Ok(candidates)
    }

    fn damaged(&self, what: &str) -> IndexError {
        IndexError::Damaged { path: self.path.clone(), what: what.to_owned() }
    }
}

/// The two columns that hold the chunk ids of a segment.
#[derive(Clone)]
struct Halves {
    high: Column,
    low: Column,
}

impl Halves {
    fn open(searcher: &Searcher, ordinal: usize) -> Result<Self, IndexError> {
        let columns = searcher.segment_readers()[ordinal].fast_fields();
        let open = |name| columns.u64(name).map_err(IndexError::tantivy("read its ids"));
        Ok(Self { high: open("chunk_high")?, low: open("chunk_low")? })
    }

    fn chunk(&self, document: u32) -> Option<ChunkId> {
        Some(chunk_of(self.high.first(document)?, self.low.first(document)?))
    }
}

impl LexicalIndex for TantivyIndex {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        let mut documents = Vec::with_capacity(entries.len());
        for entry in entries {
            require_labels(&entry.document.labels)?;
            if entry.chunk.document != entry.document.id {
                return Err(IndexError::Mismatch { chunk: entry.chunk.id, document: entry.document.id }.into());
            }
            documents.push((entry.chunk.id, self.fields.document(entry)));
        }
        require_space(&self.path)?;
        let writer = self.writer();
        for (chunk, document) in documents {
            writer.delete_term(self.fields.chunk_term(chunk));
            writer.add_document(document).map_err(IndexError::tantivy("stage a chunk"))?;
        }
        Ok(())
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        let writer = self.writer();
        for &chunk in chunks {
            writer.delete_term(self.fields.chunk_term(chunk));
        }
        Ok(())
    }

    fn commit(&self, position: LedgerPosition) -> Result<()> {
        require_space(&self.path)?;
        let failed = || IndexError::tantivy("commit");
        let mut writer = self.writer();
        let mut prepared = writer.prepare_commit().map_err(failed())?;
        prepared.set_payload(&position.0.to_string());
        prepared.commit().map_err(failed())?;
        Ok(self.reader.reload().map_err(failed())?)
    }

    fn committed(&self) -> Result<LedgerPosition> {
        let meta = self.index.load_metas().map_err(IndexError::tantivy("read its meta file"))?;
        match meta.payload {
            None => Ok(LedgerPosition(0)),
            Some(payload) => Ok(LedgerPosition(
                payload.parse().map_err(|_| self.damaged("the committed ledger position is not a number"))?,
            )),
        }
    }

    fn search(&self, text: &str, scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        let searcher = self.reader.searcher();
        let limit = k.min(MAX_RESULTS).min(usize::try_from(searcher.num_docs()).unwrap_or(usize::MAX));
        let Some(allowed) = self.fields.scope_filter(scope, filter) else { return Ok(Vec::new()) };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut candidates = self.found(text, &searcher, &allowed, limit)?;
        if candidates.is_empty()
            && let Some(meant) = self.corrected(text, &searcher, &allowed)?
        {
            candidates = self.found(&meant, &searcher, &allowed, limit)?;
            candidates.iter_mut().for_each(|candidate| candidate.score = CORRECTED * candidate.score.min(1.0));
        }
        Ok(candidates)
    }

    fn suggest(&self, text: &str, scope: &AccessScope) -> Result<Option<String>> {
        let Some(allowed) = self.fields.scope_filter(scope, &Filter::default()) else { return Ok(None) };
        Ok(self.corrected(text, &self.reader.searcher(), &allowed)?)
    }

    fn explain(&self, text: &str, scope: &AccessScope, chunk: ChunkId) -> Result<Vec<TermMatch>> {
        let searcher = self.reader.searcher();
        let Some(allowed) = self.fields.scope_filter(scope, &Filter::default()) else { return Ok(Vec::new()) };
        let failed = || IndexError::tantivy("explain");
        let Some(address) = self.allowed_address(&searcher, &allowed, chunk).map_err(failed())? else {
            return Ok(Vec::new());
        };
        let explain = |text: &str| {
            let plan = plan::plan(text, &self.fields, &self.recipe.weights, &searcher)?;
            explain::term_matches(&searcher, &self.fields, &self.recipe, &plan, address)
        };
        let mut matches = explain(text).map_err(failed())?;
        if matches.is_empty()
            && let Some(meant) = self.corrected(text, &searcher, &allowed)?
        {
            matches = explain(&meant).map_err(failed())?;
            let sum: f32 = matches.iter().map(|one| one.weight).sum();
            matches.iter_mut().for_each(|one| one.weight *= CORRECTED / sum.max(1.0));
        }
        Ok(matches)
    }

    fn rarities(&self, words: &[&str]) -> Result<Vec<f32>> {
        let searcher = self.reader.searcher();
        Ok(plan::rarities(words, &self.fields, &searcher).map_err(IndexError::tantivy("count words"))?)
    }

    fn facets(&self, scope: &AccessScope, filter: &Filter) -> Result<Vec<Facet>> {
        let Some(allowed) = self.fields.scope_filter(scope, filter) else { return Ok(Vec::new()) };
        let searcher = self.reader.searcher();
        Ok(facets::facets(&searcher, &self.fields, &allowed).map_err(IndexError::tantivy("count documents"))?)
    }

    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        let searcher = self.reader.searcher();
        let mut ids = BTreeSet::new();
        for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
            let halves = Halves::open(&searcher, ordinal)?;
            for document in segment.doc_ids_alive() {
                ids.insert(halves.chunk(document).ok_or_else(|| self.damaged("a document has no chunk id"))?);
            }
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod quality_tests;
#[cfg(test)]
mod tests;
