//! A vector index in memory: exact, strict, and it forgets on a crash what was not flushed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fontes_core::{
    AccessScope, Candidate, ChunkId, DocumentId, Error, Filter, FilterField, IndexEntry, Labels, Language, Result,
    VectorIndex, day_of, folded, seam::require_labels,
};

/// What both fakes keep of an entry to decide who finds it.
#[derive(Clone, Debug)]
pub(crate) struct Visibility {
    document: DocumentId,
    labels: Labels,
    language: Language,
    media_type: String,
    author: Option<String>,
    patient: Vec<String>,
    day: Option<u32>,
}

impl Visibility {
    /// Takes the labels of `entry`.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] without a group, or when chunk and document do not belong together.
    pub(crate) fn of(entry: &IndexEntry<'_>) -> Result<Self> {
        require_labels(&entry.document.labels)?;
        if entry.chunk.document != entry.document.id {
            return Err(Error::invalid(format!("chunk {} is not of document {}", entry.chunk.id, entry.document.id)));
        }
        Ok(Self {
            document: entry.document.id,
            labels: entry.document.labels.clone(),
            language: entry.chunk.language,
            media_type: entry.document.media_type.clone(),
            author: entry.document.author.as_deref().map(folded),
            patient: entry.document.patient.iter().map(|name| folded(name)).collect(),
            day: day_of(entry.document),
        })
    }

    /// Says whether `scope` and `filter` let it be found.
    pub(crate) fn admits(&self, scope: &AccessScope, filter: &Filter) -> bool {
        let document = self.document.to_string();
        let wanted = |field, have: &str| {
            let mut values = filter.values(field).peekable();
            values.peek().is_none() || values.any(|value| value == have)
        };
        scope.allows(&self.labels)
            && wanted(FilterField::Language, self.language.code())
            && wanted(FilterField::Source, &self.labels.source)
            && wanted(FilterField::MediaType, &self.media_type)
            && wanted(FilterField::DocumentId, &document)
            && wanted(FilterField::Author, self.author.as_deref().unwrap_or_default())
            && wanted(FilterField::Classification, self.labels.classification.name())
            && self.of_patient(filter)
            && self.of_group(scope, filter)
            && self.of_day(filter)
    }
}

impl Visibility {
    /// Says whether a group that is asked for lets the asker see it.
    fn of_group(&self, scope: &AccessScope, filter: &Filter) -> bool {
        let mut groups = filter.values(FilterField::Group).peekable();
        let own = |group: &str| scope.groups().any(|own| own.0 == group && self.labels.groups.contains(own));
        groups.peek().is_none() || groups.any(own)
    }

    fn of_patient(&self, filter: &Filter) -> bool {
        let mut names = filter.values(FilterField::Patient).peekable();
        names.peek().is_none() || names.any(|name| self.patient.iter().any(|own| own == name))
    }

    fn of_day(&self, filter: &Filter) -> bool {
        let mut ranges = filter.dates().peekable();
        let within = |(first, last)| self.day.is_some_and(|day| first <= day && day <= last);
        let is_later = |last| self.day.is_some_and(|day| day > last);
        (ranges.peek().is_none() || ranges.any(within)) && !filter.as_of().is_some_and(is_later)
    }
}

/// Sorts best first, equal scores by id, and keeps `k`.
pub(crate) fn best(mut candidates: Vec<Candidate>, k: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    candidates.truncate(k);
    candidates
}

type Points = BTreeMap<ChunkId, (Visibility, Vec<f32>)>;

#[derive(Debug, Default)]
struct State {
    present: Points,
    flushed: Points,
}

/// Exact nearest neighbours by scanning.
#[derive(Debug)]
pub struct MemoryVectorIndex {
    dimensions: usize,
    state: Mutex<State>,
}

impl MemoryVectorIndex {
    /// Makes an empty index of vectors `dimensions` long.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, state: Mutex::default() }
    }

    /// Forgets every write since the last flush: the worst a power failure may do.
    pub fn crash(&self) {
        let mut state = self.state();
        state.present = state.flushed.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, vector: &[f32]) -> Result<()> {
        if vector.len() != self.dimensions {
            let (got, want) = (vector.len(), self.dimensions);
            return Err(Error::invalid(format!("vector has {got} dimensions, the index {want}")));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        // A NaN is near nothing, so it is refused too.
        let unit = (length - 1.0).abs() < 1e-3;
        if unit { Ok(()) } else { Err(Error::invalid("vector is not of unit length")) }
    }
}

impl VectorIndex for MemoryVectorIndex {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        let mut points = Vec::with_capacity(entries.len());
        for entry in entries {
            self.check(entry.vector)?;
            points.push((entry.chunk.id, (Visibility::of(entry)?, entry.vector.to_vec())));
        }
        self.state().present.extend(points);
        Ok(())
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        let mut state = self.state();
        for chunk in chunks {
            state.present.remove(chunk);
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let mut state = self.state();
        state.flushed = state.present.clone();
        Ok(())
    }

    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        self.check(vector)?;
        let dot = |stored: &[f32]| stored.iter().zip(vector).map(|(x, y)| x * y).sum();
        let state = self.state();
        let allowed = state.present.iter().filter(|(_, (visibility, _))| visibility.admits(scope, filter));
        Ok(best(allowed.map(|(&chunk, (_, stored))| Candidate { chunk, score: dot(stored) }).collect(), k))
    }

    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>> {
        let state = self.state();
        Ok(chunks.iter().map(|chunk| state.present.get(chunk).map(|(_, vector)| vector.clone())).collect())
    }

    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        Ok(self.state().present.keys().copied().collect())
    }

    fn optimize(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Specimen, conformance, unit_vector};

    #[test]
    fn conforms() {
        conformance::vector_index(MemoryVectorIndex::new);
    }

    #[test]
    fn a_crash_forgets_what_was_not_flushed() {
        let index = MemoryVectorIndex::new(4);
        let specimen = |n| Specimen::new("a", n, "text").vector(unit_vector(u64::from(n), 4));
        index.upsert(&[specimen(0).entry()]).unwrap();
        index.flush().unwrap();
        index.upsert(&[specimen(1).entry()]).unwrap();
        index.remove(&[specimen(0).id()]).unwrap();
        index.crash();
        assert_eq!(index.ids().unwrap(), [specimen(0).id()].into());
    }
}
