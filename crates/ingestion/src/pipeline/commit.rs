//! The one order of writes, and the way back from any point of it.
//!
//! 1. The ledger records revisions as pending, each with a place in the outbox.
//! 2. The vector index takes the chunks and makes them durable.
//! 3. The lexical index takes them; its commit carries the highest outbox position.
//! 4. The ledger makes the revisions active, the replaced ones superseded, and owes their removal.
//! 5. Both indexes drop the chunks of replaced and removed revisions; the ledger settles the outbox.
//!
//! A crash before 3 ends leaves pending revisions whose position the lexical index does not have: they are
//! rolled back. A crash after it leaves pending revisions that both indexes hold: they are made active. A
//! crash in 5 leaves owed removals: they are repeated. Until 4, old chunks stay in both indexes, so that a
//! failure never takes away what was searchable.
//!
//! Sets of vectors beside the one that is searched take no part in bringing in; they are filled later (`fill`). But
//! nothing stays in them that is no longer so: in 2 they lose the chunks that a new revision of the same document
//! writes anew, whose labels may be others, and in 5 the same chunks as both indexes. So each holds, at any moment, a
//! part of what the ledger has active, or of what it owes the removal of.
//!
//! The signs of tokens come in 2 and go in 5 too. Without them a search reads a chunk again, so that a loss costs nothing but
//! time, and `check --repair` makes them anew.

use fontes_core::{
    Chunk, ChunkId, DocumentId, DocumentSummary, Embedder, Embedding, IndexEntry, IndexSnapshot, Result,
};

use super::{
    Ingestion,
    prepare::Prepared,
    report::Recovery,
    stage::{Meter, Stage},
};
use crate::{
    chunk::Prefixer,
    ledger::{NewRevision, Operation, OperationKind, RevisionId},
    profile::Prefix,
};

/// Entries handed to an index at once.
pub(super) const ENTRIES: usize = 256;

/// Texts embedded at once; between batches a run can be stopped and tells its progress.
pub(super) const BATCH: usize = 32;

impl Ingestion {
    /// Writes a group of documents through both indexes; `embeddings` has one per chunk, in order.
    pub(super) fn write(&self, group: &[Prepared], embeddings: &[Embedding], meter: &Meter) -> Result<IndexSnapshot> {
        let revisions: Vec<NewRevision<'_>> = group.iter().map(revision_of).collect();
        let staged = meter.time(Stage::Ledger, || self.parts.ledger.stage(&revisions, self.parts.clock.now()))?;
        let chunks = group
            .iter()
            .zip(&staged)
            .flat_map(|(prepared, staged)| prepared.chunks.iter().map(move |chunk| (chunk, &staged.summary)));
        let entry = |((chunk, document), embedding)| entry(chunk, document, embedding);
        let entries: Vec<IndexEntry<'_>> = chunks.zip(embeddings).map(entry).collect();
        let position = staged.iter().map(|staged| staged.position).max().unwrap_or_default();
        meter.time(Stage::Vectors, || {
            let chunks = group.iter().flat_map(|prepared| &prepared.chunks);
            self.keep_tokens(self.parts.embedder.as_ref(), chunks.zip(embeddings))?;
            entries.chunks(ENTRIES).try_for_each(|part| self.parts.vectors.upsert(part))?;
            self.parts.vectors.flush()?;
            let rewritten = group.iter().zip(&staged).filter(|(_, staged)| staged.replaces);
            self.withdraw(
                &rewritten.flat_map(|(prepared, _)| &prepared.chunks).map(|chunk| chunk.id).collect::<Vec<_>>(),
            )
        })?;
        meter.time(Stage::Lexical, || {
            entries.chunks(ENTRIES).try_for_each(|part| self.parts.lexical.upsert(part))?;
            self.parts.lexical.commit(position)
        })?;
        let ids: Vec<RevisionId> = staged.iter().map(|staged| staged.revision).collect();
        let snapshot = meter.time(Stage::Ledger, || self.parts.ledger.activate(&ids))?;
        if staged.iter().any(|staged| staged.replaces) {
            self.retract()?;
        }
        Ok(snapshot)
    }

    /// Makes documents invisible at once, then takes them out of both indexes.
    pub(super) fn remove(&self, documents: &[DocumentId]) -> Result<IndexSnapshot> {
        let snapshot = self.parts.ledger.remove(documents)?;
        self.retract()?;
        Ok(snapshot)
    }

    /// Takes chunks out of the sets beside the searched one, and makes that durable.
    fn withdraw(&self, chunks: &[ChunkId]) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        for other in &self.parts.others {
            chunks.chunks(ENTRIES).try_for_each(|part| other.vectors.remove(part))?;
            other.vectors.flush()?;
        }
        Ok(())
    }

    pub(super) fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        for part in entries.chunks(ENTRIES) {
            self.parts.vectors.upsert(part)?;
            self.parts.lexical.upsert(part)?;
        }
        Ok(())
    }

    /// Finishes what an interrupted run left, so that both indexes equal the ledger.
    pub(super) fn recover_turn(&self) -> Result<Recovery> {
        let ledger = &self.parts.ledger;
        let committed = self.parts.lexical.committed()?;
        let mut recovery = Recovery { index_ahead: ledger.catch_up(committed)?, ..Recovery::default() };
        let operations = ledger.operations()?;
        if operations.is_empty() {
            return Ok(recovery);
        }
        let activations = operations.iter().filter(|operation| operation.kind == OperationKind::Activate);
        let (done, open): (Vec<&Operation>, Vec<&Operation>) =
            activations.partition(|operation| operation.position <= committed && !recovery.index_ahead);
        let revisions = |operations: &[&Operation]| -> Vec<RevisionId> {
            operations.iter().filter_map(|operation| operation.revision).collect()
        };
        if !done.is_empty() {
            ledger.activate(&revisions(&done))?;
        }
        if !open.is_empty() {
            ledger.give_up(&revisions(&open))?;
        }
        recovery.completed = done.len();
        recovery.rolled_back = open.len();
        recovery.retired = self.retract()?;
        Ok(recovery)
    }

    /// Takes everything the outbox names out of both indexes and settles it; gives the number of revisions
    /// retired and documents forgotten. Every step may be repeated.
    pub(super) fn retract(&self) -> Result<usize> {
        let ledger = &self.parts.ledger;
        let operations = ledger.operations()?;
        let Some(last) = operations.last() else { return Ok(0) };
        let mut doomed: Vec<ChunkId> = Vec::new();
        for operation in &operations {
            doomed.extend(ledger.doomed_chunks(operation)?);
        }
        self.withdraw(&doomed)?;
        self.parts.tokens.remove(&doomed)?;
        for part in doomed.chunks(ENTRIES) {
            self.parts.vectors.remove(part)?;
            self.parts.lexical.remove(part)?;
        }
        for operation in operations.iter().filter(|operation| operation.kind == OperationKind::RollBack) {
            if let Some(revision) = ledger.overwritten(operation)? {
                self.reindex(revision)?;
            }
        }
        self.parts.vectors.flush()?;
        self.parts.lexical.commit(last.position.max(self.parts.lexical.committed()?))?;
        ledger.settle(&operations)?;
        let forgotten = operations.iter().filter(|operation| operation.kind == OperationKind::Forget).count();
        if forgotten > 0 {
            ledger.truncate_log()?;
        }
        let retired = operations.iter().filter(|operation| operation.kind == OperationKind::Retire).count();
        Ok(retired + forgotten)
    }

    /// Embeds a stored revision again and hands it to both indexes, unflushed.
    fn reindex(&self, revision: RevisionId) -> Result<()> {
        let (document, chunks, context) = self.parts.ledger.stored(revision)?;
        let prefix: Prefix = context.parse()?;
        for part in chunks.chunks(BATCH) {
            let embeddings = self.embedded(part, &document, prefix)?;
            self.keep_tokens(self.parts.embedder.as_ref(), part.iter().zip(&embeddings))?;
            let entries = part.iter().zip(&embeddings);
            let entries: Vec<IndexEntry<'_>> =
                entries.map(|(chunk, embedding)| entry(chunk, &document, embedding)).collect();
            self.upsert(&entries)?;
        }
        Ok(())
    }

    /// Embeds chunks of a stored revision as they were embedded when it came.
    pub(super) fn embedded(
        &self,
        chunks: &[Chunk],
        document: &DocumentSummary,
        prefix: Prefix,
    ) -> Result<Vec<Embedding>> {
        let texts = self.embedding_texts(chunks, document, prefix)?;
        self.parts.embedder.embed_passages(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Keeps the signs of the tokens of chunks, as far as there are any.
    pub(super) fn keep_tokens<'c>(
        &self,
        embedder: &dyn Embedder,
        embedded: impl Iterator<Item = (&'c Chunk, &'c Embedding)>,
    ) -> Result<()> {
        let signs = embedded.filter(|(_, embedding)| !embedding.tokens.is_empty());
        let signs: Vec<(ChunkId, &[u8])> =
            signs.map(|(chunk, embedding)| (chunk.id, embedding.tokens.as_slice())).collect();
        if signs.is_empty() { Ok(()) } else { self.parts.tokens.put(&embedder.identity().sha256, &signs) }
    }

    fn embedding_texts(&self, chunks: &[Chunk], document: &DocumentSummary, prefix: Prefix) -> Result<Vec<String>> {
        let mut prefixer = Prefixer::new(&document.title, prefix, &*self.parts.embedder);
        chunks.iter().map(|chunk| prefixer.embedding_text(chunk)).collect()
    }

    /// Commits both indexes at the position the lexical index already has: repairs change no ledger.
    pub(super) fn commit_repairs(&self) -> Result<()> {
        self.parts.vectors.flush()?;
        let position = self.parts.lexical.committed()?;
        self.parts.lexical.commit(position)
    }
}

/// What both indexes take of a chunk.
pub(super) fn entry<'e>(chunk: &'e Chunk, document: &'e DocumentSummary, embedding: &'e Embedding) -> IndexEntry<'e> {
    IndexEntry { chunk, document, vector: &embedding.vector }
}

fn revision_of(prepared: &Prepared) -> NewRevision<'_> {
    NewRevision {
        document: prepared.id,
        locator: &prepared.locator,
        path: &prepared.record.path,
        parent: prepared.parent,
        sha256: prepared.sha256,
        bytes: prepared.bytes,
        title: &prepared.title,
        content: &prepared.document,
        patient: &prepared.patient,
        patient_around: &prepared.patient_around,
        labels: &prepared.labels,
        chunker: &prepared.chunker,
        prefix: prepared.prefix,
        chunks: &prepared.chunks,
    }
}
