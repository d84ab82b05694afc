//! Bringing indexes and signs back to what the ledger says.

use std::collections::BTreeSet;

use fontes_core::{Cancel, ChunkId, IndexEntry, Result};

use super::{
    Filling, Ingestion,
    commit::{BATCH, entry},
    report::{CheckReport, Finding},
};

impl Ingestion {
    /// Sets right what [`Ingestion::check`] tells: chunks that an index lacks, and those whose tokens' signs are not kept, are
    /// embedded again from the stored text, and superfluous ones go. `observer` hears how many of those that are embedded are
    /// done. A set `cancel` ends it soon; what is done stays, and another repair does the rest.
    ///
    /// # Errors
    /// Those of `check`, of the indexes and of the embedder.
    pub fn repair(&self, observer: &mut dyn FnMut(Filling), cancel: &Cancel) -> Result<CheckReport> {
        let _turn = self.parts.ledger.turn();
        let before = self.look()?;
        if before.consistent && before.tokens_missing == 0 {
            return Ok(before);
        }
        self.remove_superfluous()?;
        self.embed_lacking(observer, cancel)?;
        let mut report = self.compare()?;
        if report.consistent {
            let repaired = |finding| Finding { repaired: true, ..finding };
            report.findings = before.findings.into_iter().map(repaired).collect();
        }
        Ok(report)
    }

    /// Takes away what the ledger does not have active.
    fn remove_superfluous(&self) -> Result<()> {
        let active = self.parts.ledger.active_chunk_ids()?;
        let superfluous = |ids: BTreeSet<ChunkId>| ids.difference(&active).copied().collect::<Vec<_>>();
        self.parts.vectors.remove(&superfluous(self.parts.vectors.ids()?))?;
        self.parts.lexical.remove(&superfluous(self.parts.lexical.ids()?))?;
        self.parts.tokens.remove(&superfluous(self.parts.tokens.ids(None)?))?;
        for other in &self.parts.others {
            other.vectors.remove(&superfluous(other.vectors.ids()?))?;
            other.vectors.flush()?;
        }
        self.commit_repairs()
    }

    /// Embeds what an index or the signs lack, in the order of the ledger.
    fn embed_lacking(&self, observer: &mut dyn FnMut(Filling), cancel: &Cancel) -> Result<()> {
        let lexical = self.parts.lexical.ids()?;
        let indexed: BTreeSet<ChunkId> = self.parts.vectors.ids()?.intersection(&lexical).copied().collect();
        let unsigned = self.without_tokens(&self.parts.ledger.active_chunk_ids()?)?;
        let mut lacking = self.parts.ledger.active_chunks()?;
        lacking.retain(|(_, chunk)| !indexed.contains(chunk) || unsigned.contains(chunk));
        let mut filling = Filling { of: lacking.len(), ..Filling::default() };
        observer(filling);
        for pieces in lacking.chunk_by(|(one, _), (next, _)| one == next) {
            let wanted: BTreeSet<ChunkId> = pieces.iter().map(|(_, chunk)| *chunk).collect();
            let (document, mut chunks, context) = self.parts.ledger.stored(pieces[0].0)?;
            chunks.retain(|chunk| wanted.contains(&chunk.id));
            for part in chunks.chunks(BATCH).take_while(|_| !cancel.is_cancelled()) {
                let embeddings = self.embedded(part, &document, context.parse()?)?;
                self.keep_tokens(self.parts.embedder.as_ref(), part.iter().zip(&embeddings))?;
                let lost = part.iter().zip(&embeddings).filter(|(chunk, _)| !indexed.contains(&chunk.id));
                let entries: Vec<IndexEntry<'_>> =
                    lost.map(|(chunk, embedding)| entry(chunk, &document, embedding)).collect();
                self.upsert(&entries)?;
                filling.embedded += part.len();
                filling.chunks = filling.embedded;
                observer(filling);
            }
        }
        if !unsigned.is_empty() {
            // The same searches may now find another order.
            self.parts.ledger.note_change()?;
        }
        self.commit_repairs()
    }
}
