//! Proofs and erasure: do ledger and indexes hold the same, and is what was forgotten really gone.

use std::collections::BTreeSet;

use fontes_core::{ChunkId, Digest, DocumentId, Ledger as _, Result, seam::document_not_found};

use super::{
    Ingestion, kept,
    report::{CheckReport, Erasure, Finding, IndexName, SetReport, StatusReport},
};
use crate::ledger::{Operation, OperationKind};

impl Ingestion {
    /// Compares the ledger's active chunks with both indexes, after finishing what an interrupted run left, and with the
    /// sets of vectors beside the searched one and the signs of tokens, both of which may lack some and hold no others.
    ///
    /// # Errors
    /// `Corrupt` when the ledger itself is damaged: it is the truth, nothing repairs it.
    pub fn check(&self) -> Result<CheckReport> {
        let _turn = self.parts.ledger.turn();
        self.look()
    }

    /// What [`Ingestion::check`] does, in one's turn.
    pub(super) fn look(&self) -> Result<CheckReport> {
        self.parts.ledger.check_integrity()?;
        self.recover_turn()?;
        self.compare()
    }

    pub(super) fn compare(&self) -> Result<CheckReport> {
        let active = self.parts.ledger.active_chunk_ids()?;
        let indexes =
            [(IndexName::Vectors, self.parts.vectors.ids()?), (IndexName::Lexical, self.parts.lexical.ids()?)];
        let mut findings: Vec<Finding> = indexes
            .into_iter()
            .map(|(index, ids)| Finding {
                index,
                set: None,
                missing: active.difference(&ids).count(),
                extra: ids.difference(&active).count(),
                repaired: false,
            })
            .filter(|finding| finding.missing + finding.extra > 0)
            .collect();
        let mut sets = Vec::new();
        for other in &self.parts.others {
            let (name, ids) = (other.name.clone(), other.vectors.ids()?);
            let chunks = ids.intersection(&active).count();
            let (index, extra) = (IndexName::Vectors, ids.len() - chunks);
            if extra > 0 {
                findings.push(Finding { index, set: Some(name.clone()), missing: 0, extra, repaired: false });
            }
            sets.push(SetReport { name, chunks, missing: active.len() - chunks });
        }
        let extra = self.parts.tokens.ids(None)?.difference(&active).count();
        if extra > 0 {
            let index = IndexName::Tokens;
            findings.push(Finding { index, set: None, missing: 0, extra, repaired: false });
        }
        let tokens_missing = self.without_tokens(&active)?.len();
        let bytes: Vec<u8> = active.iter().flat_map(|id| *id.as_bytes()).collect();
        let chunk_ids_sha256 = Digest::of(&bytes);
        let (consistent, chunks) = (findings.is_empty(), active.len());
        Ok(CheckReport { consistent, chunks, chunk_ids_sha256, findings, sets, tokens_missing })
    }

    /// The chunks among `active` whose tokens' signs are not kept though the embedder gives them.
    pub(super) fn without_tokens(&self, active: &BTreeSet<ChunkId>) -> Result<BTreeSet<ChunkId>> {
        if !self.parts.embedder.has_tokens() {
            return Ok(BTreeSet::new());
        }
        let kept = self.parts.tokens.ids(Some(&self.parts.embedder.identity().sha256))?;
        Ok(active.difference(&kept).copied().collect())
    }

    /// Erases documents, with everything found inside them, from ledger and indexes, and looks whether they
    /// are gone. Their files at the source are not touched: a document whose file stays comes back with the
    /// next run over it.
    ///
    /// # Errors
    /// `NotFound` when one of `documents` is unknown; then nothing is erased. After any other error the
    /// documents are already invisible, and [`Ingestion::recover`] completes the erasure.
    pub fn forget(&self, documents: &[DocumentId]) -> Result<Vec<Erasure>> {
        let _turn = self.parts.ledger.turn();
        self.recover_turn()?;
        let ledger = &self.parts.ledger;
        let mut family: Vec<DocumentId> = Vec::new();
        for &document in documents {
            let members = ledger.family(document)?;
            if members.is_empty() {
                return Err(document_not_found(document));
            }
            family.extend(members);
        }
        let mut seen = BTreeSet::new();
        family.retain(|document| seen.insert(*document));
        ledger.begin_forget(&family)?;
        let operations = ledger.operations()?;
        let forgets = operations.iter().filter(|operation| operation.kind == OperationKind::Forget);
        let doomed = forgets
            .map(|operation: &Operation| Ok((operation.document, ledger.doomed_chunks(operation)?)))
            .collect::<Result<Vec<_>>>()?;
        self.retract()?;
        // An interrupted run may have kept vectors of its chunks.
        kept::clear(ledger.path().parent().unwrap_or(ledger.path()))?;
        let mut present = self.parts.vectors.ids()?;
        present.extend(self.parts.lexical.ids()?);
        present.extend(self.parts.tokens.ids(None)?);
        for other in &self.parts.others {
            present.extend(other.vectors.ids()?);
        }
        let erased = |(document_id, chunks): (DocumentId, Vec<ChunkId>)| {
            let found = chunks.iter().any(|chunk| present.contains(chunk));
            let verified_absent = !found && !ledger.holds(document_id)?;
            Ok(Erasure { document_id, chunks_removed: chunks.len(), verified_absent })
        };
        doomed.into_iter().map(erased).collect()
    }

    /// Says what is indexed. Compares chunk ids, but changes nothing.
    ///
    /// # Errors
    /// Those of the ledger and the indexes.
    pub fn status(&self) -> Result<StatusReport> {
        let counts = self.parts.ledger.counts()?;
        let compared = self.compare()?;
        Ok(StatusReport {
            documents: counts.documents,
            chunks: counts.chunks,
            pages: counts.pages,
            pending: counts.pending,
            quarantined: counts.quarantined,
            index_snapshot: self.parts.ledger.snapshot()?,
            embedder: self.parts.embedder.identity().clone(),
            consistent: compared.consistent,
            sets: compared.sets,
        })
    }
}
