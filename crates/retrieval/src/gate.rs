//! The ledger gate: which candidates may be shown at this moment, and what they say.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use fontes_core::{AccessScope, ChunkId, ChunkRecord, Hit, Ledger, Query, Result};

use crate::{
    Fused, LegShares,
    boilerplate::Boilerplate,
    duplicate::{Distinct, Wording},
};

/// How many candidates beyond the last hit are looked at for what says the same as a hit: copies score nearly alike.
const LOOK_AHEAD: usize = 16;

/// What the ledger says of the candidates of one search. It is asked about each once, however many lists have it, but for copies.
pub(crate) struct Gate<'a> {
    ledger: &'a dyn Ledger,
    scope: &'a AccessScope,
    query: &'a Query,
    /// Nothing for what may not be shown.
    known: HashMap<ChunkId, Option<Known>>,
}

/// A chunk that may be shown.
struct Known {
    record: ChunkRecord,
    wording: Rc<Wording>,
}

impl<'a> Gate<'a> {
    /// A gate that has asked nothing yet.
    pub(crate) fn new(ledger: &'a dyn Ledger, scope: &'a AccessScope, query: &'a Query) -> Self {
        Self { ledger, scope, query, known: HashMap::new() }
    }

    /// Lets candidates through, best first, until `wanted` that differ are confirmed; apart, those that step back because they
    /// repeat what many say. `terms` gives the words of the question that a hit holds.
    ///
    /// # Errors
    /// Whatever the ledger and `terms` give.
    pub(crate) fn confirm(
        &mut self,
        fused: &[Fused],
        wanted: usize,
        terms: impl Fn(&Hit) -> Result<BTreeSet<String>>,
    ) -> Result<[Vec<(Hit, LegShares)>; 2]> {
        let (mut distinct, mut boilerplate) = (Distinct::new(), Boilerplate::default());
        let (mut rest, mut kept) = (fused, 0);
        while kept < wanted && !rest.is_empty() {
            let (batch, later) = rest.split_at((wanted - kept + LOOK_AHEAD).min(rest.len()));
            rest = later;
            self.ask(batch)?;
            let known = |one: &Fused| self.known.get(&one.chunk)?.as_ref();
            let found = batch.iter().filter_map(|one| known(one).map(|known| (one, known)));
            found.clone().for_each(|(_, known)| boilerplate.count(&known.wording));
            let mut folded = Vec::new();
            for (one, Known { record, wording }) in found {
                let Some(hit) = distinct.fold(hit(one, record), wording) else {
                    folded.push(one.chunk);
                    continue;
                };
                if kept < wanted {
                    let steps_back = boilerplate.steps_back(&hit, wording, &terms)?;
                    kept += usize::from(!steps_back);
                    distinct.keep(hit, wording.clone(), (one.shares, steps_back));
                }
            }
            // There may be thousands of copies, and hardly any is asked about again.
            folded.iter().for_each(|chunk| drop(self.known.remove(chunk)));
        }
        let (back, found): (Vec<_>, Vec<_>) = distinct.into_hits().partition(|(_, (_, steps_back))| *steps_back);
        Ok([found, back].map(|hits| hits.into_iter().map(|(hit, (shares, _))| (hit, shares)).collect()))
    }

    /// A chunk that was let through.
    pub(crate) fn record(&self, chunk: ChunkId) -> Option<&ChunkRecord> {
        self.known.get(&chunk)?.as_ref().map(|known| &known.record)
    }

    /// Makes known what the ledger says of these.
    fn ask(&mut self, batch: &[Fused]) -> Result<()> {
        let ids: Vec<ChunkId> = batch.iter().map(|one| one.chunk).filter(|id| !self.known.contains_key(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let records = self.ledger.chunks(&ids, self.scope)?;
        // The ledger leaves out what is not active, or not for this scope.
        self.known.extend(ids.into_iter().map(|id| (id, None)));
        let may_be_shown = |record: &ChunkRecord| {
            self.scope.allows(&record.document.labels) && !self.query.without.contains(&record.document.id)
        };
        for record in records.into_iter().filter(may_be_shown) {
            let wording = Rc::new(Wording::of(&record.chunk.text, &record.chunk.headings));
            self.known.insert(record.chunk.id, Some(Known { record, wording }));
        }
        Ok(())
    }
}

/// A hit that is not numbered yet.
pub(crate) fn hit(fused: &Fused, ChunkRecord { chunk, document }: &ChunkRecord) -> Hit {
    Hit {
        rank: 0,
        score: fused.score,
        document_id: chunk.document,
        chunk_id: chunk.id,
        title: document.title.clone(),
        path: document.path.clone(),
        pages: chunk.pages.to_vec(),
        span: chunk.span,
        headings: chunk.headings.clone(),
        language: chunk.language,
        text: chunk.text.clone(),
        scores: fused.scores,
        also_in: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use fontes_core::{Document, DocumentId, DocumentSummary, IndexSnapshot, Scores};
    use fontes_testkit::{MemoryLedger, Specimen};

    use super::*;
    use crate::search::tests::{query, staff};

    /// A ledger that notes what it is asked about.
    struct Noting {
        ledger: MemoryLedger,
        asked: Mutex<Vec<Vec<ChunkId>>>,
    }

    impl Ledger for Noting {
        fn chunks(&self, ids: &[ChunkId], scope: &AccessScope) -> Result<Vec<ChunkRecord>> {
            self.asked.lock().unwrap().push(ids.to_vec());
            self.ledger.chunks(ids, scope)
        }

        fn document(&self, id: DocumentId, scope: &AccessScope) -> Result<(DocumentSummary, Document)> {
            self.ledger.document(id, scope)
        }

        fn snapshot(&self) -> Result<IndexSnapshot> {
            self.ledger.snapshot()
        }
    }

    #[test]
    fn the_ledger_is_asked_about_each_candidate_once() {
        let specimens = [
            Specimen::new("a", 0, "Die Frist beträgt dreissig Tage"),
            Specimen::new("b", 0, "Der Bundesrat hat sieben Mitglieder"),
            Specimen::new("c", 0, "Geheime Akten").groups(&["board"]),
        ];
        let fused = |one: &Specimen| Fused {
            chunk: one.chunk.id,
            scores: Scores::default(),
            score: 1.0,
            shares: LegShares::default(),
            legs: [0.0; 4],
        };
        let fused: Vec<Fused> = specimens.iter().map(fused).collect();
        let ledger = MemoryLedger::new();
        ledger.insert_records(specimens.iter().map(Specimen::record));
        let ledger = Noting { ledger, asked: Mutex::default() };
        let (query, staff) = (query("Frist", 9), staff());
        let mut gate = Gate::new(&ledger, &staff, &query);
        let mut through = |fused: &[Fused]| {
            let [found, _] = gate.confirm(fused, 9, |_| Ok(BTreeSet::new())).unwrap();
            found.into_iter().map(|(hit, _)| hit.path).collect::<Vec<_>>()
        };
        assert_eq!(through(&fused[..1]), ["a"]);
        assert_eq!(through(&fused), ["a", "b"]);
        let backwards: Vec<Fused> = fused.iter().rev().cloned().collect();
        assert_eq!(through(&backwards), ["b", "a"], "each list keeps its order");
        let ids: Vec<ChunkId> = fused.iter().map(|one| one.chunk).collect();
        assert_eq!(*ledger.asked.lock().unwrap(), [&ids[..1], &ids[1..]], "also about what may not be shown");
    }
}
