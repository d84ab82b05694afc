//! A ledger in memory: documents and chunks that are active until told otherwise.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use fontes_core::{
    AccessScope, ChunkId, ChunkRecord, Document, DocumentId, DocumentSummary, IndexSnapshot, Ledger, Result,
    seam::document_not_found,
};

#[derive(Debug, Default)]
struct State {
    chunks: BTreeMap<ChunkId, ChunkRecord>,
    documents: BTreeMap<DocumentId, (DocumentSummary, Document)>,
    snapshot: IndexSnapshot,
}

/// The read side of a ledger, filled by hand. Every change raises the snapshot number.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<State>);

impl MemoryLedger {
    /// Makes an empty ledger at snapshot 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a document with its chunks, active at once; replaces an earlier revision and its chunks.
    ///
    /// # Panics
    /// When the document breaks an invariant, belongs to another summary's id or media type, or a chunk's text
    /// is not the text of its span: a test that feeds such things would prove nothing.
    pub fn insert(&self, summary: DocumentSummary, document: Document, chunks: Vec<fontes_core::Chunk>) {
        document.validate().expect("the document is well formed");
        for chunk in &chunks {
            assert_eq!(chunk.document, summary.id, "the chunk is of this document");
            assert_eq!(chunk.span.of(&document.text), Some(chunk.text.as_str()), "the chunk's text is its span's");
        }
        let mut state = self.state();
        state.chunks.retain(|_, record| record.document.id != summary.id);
        for chunk in chunks {
            state.chunks.insert(chunk.id, ChunkRecord { chunk, document: summary.clone() });
        }
        state.documents.insert(summary.id, (summary, document));
        state.snapshot.0 += 1;
    }

    /// Stores chunks without their documents' stored texts, for tests that only look at hits.
    pub fn insert_records(&self, records: impl IntoIterator<Item = ChunkRecord>) {
        let mut state = self.state();
        state.chunks.extend(records.into_iter().map(|record| (record.chunk.id, record)));
        state.snapshot.0 += 1;
    }

    /// Forgets a document and its chunks. An unknown id is no error.
    pub fn remove(&self, id: DocumentId) {
        let mut state = self.state();
        state.chunks.retain(|_, record| record.document.id != id);
        state.documents.remove(&id);
        state.snapshot.0 += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for MemoryLedger {
    fn chunks(&self, ids: &[ChunkId], scope: &AccessScope) -> Result<Vec<ChunkRecord>> {
        let state = self.state();
        let found = ids.iter().filter_map(|id| state.chunks.get(id));
        Ok(found.filter(|record| scope.allows(&record.document.labels)).cloned().collect())
    }

    fn document(&self, id: DocumentId, scope: &AccessScope) -> Result<(DocumentSummary, Document)> {
        let state = self.state();
        let found = state.documents.get(&id).filter(|(summary, _)| scope.allows(&summary.labels));
        found.cloned().ok_or_else(|| document_not_found(id))
    }

    fn snapshot(&self) -> Result<IndexSnapshot> {
        Ok(self.state().snapshot)
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::{Classification, ErrorKind};

    use super::*;
    use crate::{Specimen, scope};

    #[test]
    fn order_is_kept_and_the_unseen_is_left_out() {
        let ledger = MemoryLedger::new();
        let open = Specimen::new("a", 0, "open");
        let closed = Specimen::new("b", 0, "closed").groups(&["board"]);
        ledger.insert_records([open.record(), closed.record()]);
        let staff = scope(&["staff"], Classification::Internal);
        let both = scope(&["staff", "board"], Classification::Internal);
        let ids = [closed.id(), open.id(), Specimen::new("c", 0, "absent").id()];
        let found = |scope| -> Vec<ChunkId> {
            ledger.chunks(&ids, scope).unwrap().iter().map(|record| record.chunk.id).collect()
        };
        assert_eq!(found(&staff), [open.id()]);
        assert_eq!(found(&both), [closed.id(), open.id()]);
        assert_eq!(ledger.snapshot().unwrap(), IndexSnapshot(1));
        ledger.remove(closed.document.id);
        assert_eq!(found(&both), [open.id()]);
        assert_eq!(ledger.document(closed.document.id, &both).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
