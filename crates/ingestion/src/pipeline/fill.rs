//! Filling a set of vectors from the ledger's stored text, beside everything else.
//!
//! What is done is known from the ids that the set holds, and from nothing else: a run that was cut off is gone on with by
//! looking again, and costs what it had not yet made durable. Embedding holds nobody up; only the writing of a group takes
//! its turn, and by then looks which of its revisions are still active. What came, changed or went meanwhile is found by
//! the next look, so a run ends only when one finds nothing missing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fontes_core::{
    Cancel, Chunk, ChunkId, DocumentSummary, Embedder, Embedding, Error, IndexEntry, Result, VectorIndex,
};
use serde::Serialize;

use super::{
    Ingestion,
    commit::{BATCH, ENTRIES},
    pause::Pause,
};
use crate::{chunk::Prefixer, ledger::RevisionId, profile::Prefix};

/// How often a paused run looks whether it may go on.
const PAUSED: Duration = Duration::from_millis(200);

/// How far a set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filling {
    /// Active chunks that it holds.
    pub chunks: usize,
    /// Active chunks that there are.
    pub of: usize,
    /// Chunks embedded by this run.
    pub embedded: usize,
    /// True when it was asked to stop before the end.
    pub cancelled: bool,
    /// True while it waits because ingests are paused.
    pub paused: bool,
}

impl Filling {
    /// Says whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.chunks == self.of
    }
}

/// Chunks of one revision on their way into a set.
struct Piece {
    revision: RevisionId,
    document: Arc<DocumentSummary>,
    chunk: Chunk,
    text: String,
}

impl Ingestion {
    /// Says how far a set is.
    ///
    /// # Errors
    /// Those of the ledger and the set.
    pub fn filling(&self, set: &dyn VectorIndex) -> Result<Filling> {
        let (active, ids) = (self.parts.ledger.active_chunk_ids()?, set.ids()?);
        let chunks = active.intersection(&ids).count();
        Ok(Filling { chunks, of: active.len(), ..Filling::default() })
    }

    /// Embeds what a set lacks with `embedder`, whose vectors it holds, until it lacks nothing. Searches and other writers go on
    /// meanwhile; an ingest in this process makes it wait. What was told to `observer` as held is durable, but for the last
    /// group. A set `cancel` ends it soon; while ingests are paused it waits.
    ///
    /// # Errors
    /// Those of the ledger, the set and the embedder; calling again goes on where it stopped.
    pub fn fill(
        &self,
        set: &dyn VectorIndex,
        embedder: &dyn Embedder,
        observer: &mut dyn FnMut(Filling),
        cancel: &Cancel,
    ) -> Result<Filling> {
        let mut embedded = 0;
        loop {
            let (mut filling, missing) = self.lacking(set)?;
            filling.embedded = embedded;
            observer(filling);
            if missing.is_empty() {
                if embedded > 0 {
                    set.optimize()?;
                }
                return Ok(filling);
            }
            self.fill_missing(set, embedder, &missing, &mut filling, observer, cancel)?;
            if filling.cancelled {
                return Ok(filling);
            }
            embedded = filling.embedded;
        }
    }

    /// Runs `then` if a set holds exactly what the ledger has active, and keeps everybody in this process from writing
    /// meanwhile; says whether it did. The snapshot counts up, because what is found may be other than before.
    ///
    /// # Errors
    /// Those of the ledger, the set and of `then`.
    pub fn when_whole(&self, set: &dyn VectorIndex, then: impl FnOnce() -> Result<()>) -> Result<bool> {
        let _turn = self.parts.ledger.turn();
        self.recover_turn()?;
        if set.ids()? != self.parts.ledger.active_chunk_ids()? {
            return Ok(false);
        }
        self.parts.ledger.note_change()?;
        then().map(|()| true)
    }

    /// How far a set is and what it lacks, in the order of the ledger. What it holds and should not goes.
    fn lacking(&self, set: &dyn VectorIndex) -> Result<(Filling, Vec<(RevisionId, ChunkId)>)> {
        let _turn = self.parts.ledger.turn();
        self.recover_turn()?;
        let (mut missing, mut ids) = (self.parts.ledger.active_chunks()?, set.ids()?);
        let of = missing.len();
        missing.retain(|(_, chunk)| !ids.remove(chunk));
        if !ids.is_empty() {
            set.remove(&ids.into_iter().collect::<Vec<_>>())?;
            set.flush()?;
        }
        Ok((Filling { chunks: of - missing.len(), of, ..Filling::default() }, missing))
    }

    /// Embeds and writes `missing` in groups.
    fn fill_missing(
        &self,
        set: &dyn VectorIndex,
        embedder: &dyn Embedder,
        missing: &[(RevisionId, ChunkId)],
        filling: &mut Filling,
        observer: &mut dyn FnMut(Filling),
        cancel: &Cancel,
    ) -> Result<()> {
        let ledger = &self.parts.ledger;
        let pause = Pause::of(ledger.path().parent().unwrap_or(ledger.path()));
        let mut group: Vec<Piece> = Vec::new();
        for of_revision in missing.chunk_by(|(one, _), (other, _)| one == other) {
            for piece in self.pieces(of_revision, embedder)? {
                group.push(piece);
                if group.len() == ENTRIES {
                    self.fill_group(set, embedder, &mut group, filling, observer, cancel)?;
                }
                while pause.is_set() && !cancel.is_cancelled() {
                    observer(Filling { paused: true, ..*filling });
                    std::thread::sleep(PAUSED);
                }
                if cancel.is_cancelled() {
                    filling.cancelled = true;
                    return Ok(());
                }
            }
        }
        self.fill_group(set, embedder, &mut group, filling, observer, cancel)
    }

    /// The missing chunks of one revision with what the embedder is to see; none when it is no longer active.
    fn pieces(&self, missing: &[(RevisionId, ChunkId)], embedder: &dyn Embedder) -> Result<Vec<Piece>> {
        let Some(&(revision, _)) = missing.first() else { return Ok(Vec::new()) };
        let (document, chunks, context) = {
            let _turn = self.parts.ledger.turn();
            if !self.parts.ledger.is_active(revision)? {
                return Ok(Vec::new());
            }
            self.parts.ledger.stored(revision)?
        };
        let prefix: Prefix = context.parse()?;
        let wanted: BTreeSet<ChunkId> = missing.iter().map(|(_, chunk)| *chunk).collect();
        let document = Arc::new(document);
        let mut prefixer = Prefixer::new(&document.title, prefix, embedder);
        let wanted = chunks.into_iter().filter(|chunk| wanted.contains(&chunk.id));
        wanted
            .map(|chunk| {
                let text = prefixer.embedding_text(&chunk)?;
                Ok(Piece { revision, document: document.clone(), chunk, text })
            })
            .collect()
    }

    /// Embeds a group, texts of like length together, and writes what is still active of it; durable when it returns.
    fn fill_group(
        &self,
        set: &dyn VectorIndex,
        embedder: &dyn Embedder,
        group: &mut Vec<Piece>,
        filling: &mut Filling,
        observer: &mut dyn FnMut(Filling),
        cancel: &Cancel,
    ) -> Result<()> {
        let mut pieces = std::mem::take(group);
        pieces.sort_by_key(|piece| piece.text.len());
        let mut embeddings: Vec<Embedding> = Vec::with_capacity(pieces.len());
        for batch in pieces.chunks(BATCH) {
            if cancel.is_cancelled() {
                filling.cancelled = true;
                return Ok(());
            }
            let texts: Vec<&str> = batch.iter().map(|piece| piece.text.as_str()).collect();
            embeddings.extend(embedder.embed_passages(&texts)?);
            observer(Filling { chunks: filling.chunks + embeddings.len(), ..*filling });
        }
        if embeddings.len() != pieces.len() {
            return Err(Error::internal("the embedder gives another number of vectors than texts"));
        }
        let _turn = self.parts.ledger.turn();
        let revisions: BTreeSet<RevisionId> = pieces.iter().map(|piece| piece.revision).collect();
        let mut active = BTreeSet::new();
        for revision in revisions {
            if self.parts.ledger.is_active(revision)? {
                active.insert(revision);
            }
        }
        let kept = || pieces.iter().zip(&embeddings).filter(|(piece, _)| active.contains(&piece.revision));
        let entries = kept().map(|(piece, Embedding { vector, .. })| IndexEntry {
            chunk: &piece.chunk,
            document: &piece.document,
            vector,
        });
        let entries: Vec<IndexEntry<'_>> = entries.collect();
        self.keep_tokens(embedder, kept().map(|(piece, embedding)| (&piece.chunk, embedding)))?;
        set.upsert(&entries)?;
        set.flush()?;
        filling.chunks += entries.len();
        filling.embedded += embeddings.len();
        Ok(())
    }
}
