//! The contract of [`VectorIndex`].

use fontes_core::{AccessScope, Candidate, ChunkId, Classification, ErrorKind, Filter, IndexEntry, VectorIndex};

use super::{filters_are_kept, sorted, staff, variously_labelled};
use crate::{Specimen, scope, unit_vector};

const DIMENSIONS: usize = 8;

/// Checks everything the seam promises. `make` gives a new empty index of that many dimensions, each time
/// another one.
///
/// # Panics
/// On the first broken promise.
pub fn vector_index<I: VectorIndex>(make: impl Fn(usize) -> I) {
    empty_index_finds_nothing(&make(DIMENSIONS));
    nearest_come_first(&make(DIMENSIONS));
    later_entry_replaces_earlier(&make(DIMENSIONS));
    removed_chunks_are_gone(&make(DIMENSIONS));
    vectors_are_given_back(&make(DIMENSIONS));
    scope_is_kept(&make(DIMENSIONS));
    filter_is_kept(&make(DIMENSIONS));
    bad_entries_are_refused_whole(&make(DIMENSIONS));
    readers_and_writer_together(&make(DIMENSIONS));
}

fn specimen(n: u32) -> Specimen {
    Specimen::new("doc", n, "text").vector(unit_vector(u64::from(n), DIMENSIONS))
}

fn upsert<I: VectorIndex>(index: &I, specimens: &[Specimen]) {
    let entries: Vec<IndexEntry<'_>> = specimens.iter().map(Specimen::entry).collect();
    index.upsert(&entries).expect("well-formed entries are taken");
}

fn find<I: VectorIndex>(index: &I, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Vec<ChunkId> {
    let found = index.search(vector, scope, filter, k).expect("a well-formed search succeeds");
    assert!(found.len() <= k, "never more than k");
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score), "best first");
    found.iter().map(|candidate| candidate.chunk).collect()
}

fn everything<I: VectorIndex>(index: &I, scope: &AccessScope, filter: &Filter) -> Vec<ChunkId> {
    let mut found = find(index, &unit_vector(0, DIMENSIONS), scope, filter, 1_000);
    found.sort();
    found
}

fn empty_index_finds_nothing<I: VectorIndex>(index: &I) {
    assert!(index.ids().expect("ids").is_empty());
    assert!(everything(index, &staff(), &Filter::default()).is_empty());
    index.remove(&[specimen(0).id()]).expect("removing an unknown id is no error");
    index.upsert(&[]).expect("nothing to add is no error");
    index.optimize().expect("optimising nothing is no error");
    index.flush().expect("flushing nothing is no error");
}

fn nearest_come_first<I: VectorIndex>(index: &I) {
    let specimens: Vec<Specimen> = (0..60).map(specimen).collect();
    upsert(index, &specimens);
    let query = unit_vector(1_000, DIMENSIONS);
    let cosine = |specimen: &Specimen| specimen.vector.iter().zip(&query).map(|(x, y)| x * y).sum::<f32>();
    let mut expected: Vec<Candidate> =
        specimens.iter().map(|specimen| Candidate { chunk: specimen.id(), score: cosine(specimen) }).collect();
    expected.sort_by(|a, b| b.score.total_cmp(&a.score));
    let check = |when: &str| {
        let found = index.search(&query, &staff(), &Filter::default(), 10).expect("search");
        assert_eq!(found.len(), 10, "{when}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.chunk, expected.chunk, "{when}");
            assert!((found.score - expected.score).abs() < 1e-4, "the score is the cosine ({when})");
        }
    };
    check("as written");
    index.flush().expect("flush");
    check("after flush");
    index.optimize().expect("optimise");
    check("after optimise");
    index.optimize().expect("optimise again");
    check("after optimising twice");
    assert!(find(index, &query, &staff(), &Filter::default(), 0).is_empty(), "k of 0");
    assert_eq!(find(index, &query, &staff(), &Filter::default(), 1_000_000).len(), 60, "k of a million");
    assert_eq!(index.ids().expect("ids").into_iter().collect::<Vec<_>>(), sorted(&specimens));
}

fn later_entry_replaces_earlier<I: VectorIndex>(index: &I) {
    let first = specimen(0).vector(unit_vector(1, DIMENSIONS));
    let second = specimen(0).vector(unit_vector(2, DIMENSIONS)).groups(&["board"]);
    upsert(index, std::slice::from_ref(&first));
    upsert(index, std::slice::from_ref(&second));
    assert_eq!(index.ids().expect("ids").len(), 1);
    assert!(everything(index, &staff(), &Filter::default()).is_empty(), "new labels hold at once");
    let board = scope(&["board"], Classification::Internal);
    let found = index.search(&second.vector, &board, &Filter::default(), 5).expect("search");
    assert_eq!(found.len(), 1);
    assert!((found[0].score - 1.0).abs() < 1e-4, "the later vector counts");
    upsert(index, &[specimen(1).vector(unit_vector(1, DIMENSIONS)), specimen(1).vector(unit_vector(7, DIMENSIONS))]);
    let found = index.search(&unit_vector(7, DIMENSIONS), &staff(), &Filter::default(), 1).expect("search");
    assert!((found[0].score - 1.0).abs() < 1e-4, "within one batch the later entry counts");
}

fn removed_chunks_are_gone<I: VectorIndex>(index: &I) {
    let specimens: Vec<Specimen> = (0..5).map(specimen).collect();
    upsert(index, &specimens);
    index.flush().expect("flush");
    index.remove(&[specimens[1].id(), specimens[3].id(), specimen(99).id()]).expect("remove");
    let left = sorted([&specimens[0], &specimens[2], &specimens[4]]);
    assert_eq!(everything(index, &staff(), &Filter::default()), left);
    assert_eq!(index.ids().expect("ids").into_iter().collect::<Vec<_>>(), left);
    upsert(index, &specimens[1..2]);
    assert!(index.ids().expect("ids").contains(&specimens[1].id()), "a removed chunk may come back");
}

fn vectors_are_given_back<I: VectorIndex>(index: &I) {
    assert!(index.vectors(&[]).expect("of no chunk").is_empty());
    assert_eq!(index.vectors(&[specimen(0).id()]).expect("of an empty index"), [None]);
    let specimens: Vec<Specimen> = (0..60).map(specimen).collect();
    upsert(index, &specimens);
    let moved = Specimen::new("doc", 7, "text").vector(unit_vector(700, DIMENSIONS));
    upsert(index, std::slice::from_ref(&moved));
    index.remove(&[specimens[3].id()]).expect("removed");
    index.flush().expect("flushed");
    let wanted = [&specimens[50], &specimens[3], &moved, &specimen(99), &specimens[50]].map(Specimen::id);
    let found = index.vectors(&wanted).expect("of chunks, some of which are there");
    let expected = [Some(&specimens[50].vector), None, Some(&moved.vector), None, Some(&specimens[50].vector)];
    assert_eq!(found.len(), expected.len(), "one for each, in order");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.is_some(), expected.is_some(), "number {at}");
        let off = found.iter().flatten().zip(expected.into_iter().flatten()).map(|(x, y)| (x - y).abs());
        assert!(off.fold(0.0, f32::max) < 1e-5, "number {at}: {found:?}, {expected:?}");
    }
}

fn scope_is_kept<I: VectorIndex>(index: &I) {
    let specimens = [
        specimen(0).groups(&["staff"]),
        specimen(1).groups(&["board"]),
        specimen(2).groups(&["board", "staff"]),
        specimen(3).groups(&["staff"]).classification(Classification::Confidential),
        specimen(4).groups(&["staff"]).classification(Classification::Public),
        specimen(5).groups(&["sta"]),
    ];
    upsert(index, &specimens);
    for optimised in [false, true] {
        if optimised {
            index.optimize().expect("optimise");
        }
        for clearance in Classification::ALL {
            for groups in [&[][..], &["staff"], &["board"], &["staff", "board"], &["strangers"], &["sta"], &["STAFF"]] {
                let scope = scope(groups, clearance);
                let allowed = specimens.iter().filter(|specimen| scope.allows(&specimen.document.labels));
                assert_eq!(everything(index, &scope, &Filter::default()), sorted(allowed), "{groups:?} {clearance:?}");
            }
        }
    }
}

fn filter_is_kept<I: VectorIndex>(index: &I) {
    let other = Specimen::new("other", 0, "text").vector(unit_vector(50, DIMENSIONS));
    let specimens = variously_labelled([0, 1, 2, 3, 4].map(specimen), other);
    upsert(index, &specimens);
    filters_are_kept(&specimens, |filter| everything(index, &staff(), filter));
}

fn bad_entries_are_refused_whole<I: VectorIndex>(index: &I) {
    let good = specimen(0);
    let bad = [
        ("too few dimensions", specimen(1).vector(unit_vector(1, DIMENSIONS - 1))),
        ("no dimensions", specimen(1).vector(Vec::new())),
        ("not a number", specimen(1).vector(vec![f32::NAN; DIMENSIONS])),
        ("infinite", specimen(1).vector(vec![f32::INFINITY; DIMENSIONS])),
        ("zero", specimen(1).vector(vec![0.0; DIMENSIONS])),
        ("not of unit length", specimen(1).vector(vec![1.0; DIMENSIONS])),
        ("no group", specimen(1).groups(&[])),
    ];
    for (what, bad) in bad {
        let error = index.upsert(&[good.entry(), bad.entry()]).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}");
        assert!(index.ids().expect("ids").is_empty(), "a refused batch leaves nothing behind ({what})");
        if what != "no group" {
            let error = index.search(&bad.vector, &staff(), &Filter::default(), 5).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Invalid, "searching: {what}");
        }
    }
}

fn readers_and_writer_together<I: VectorIndex>(index: &I) {
    let closed: Vec<Specimen> = (0..20).map(|n| specimen(n).groups(&["board"])).collect();
    let open: Vec<Specimen> = (20..60).map(specimen).collect();
    upsert(index, &closed);
    std::thread::scope(|threads| {
        for reader in 0..2 {
            let closed = sorted(&closed);
            threads.spawn(move || {
                for round in 0..20 {
                    let query = unit_vector(reader * 100 + round, DIMENSIONS);
                    let found = find(index, &query, &staff(), &Filter::default(), 30);
                    assert!(found.iter().all(|id| closed.binary_search(id).is_err()), "the scope holds meanwhile");
                }
            });
        }
        for batch in open.chunks(8) {
            upsert(index, batch);
            index.flush().expect("flush");
        }
        index.optimize().expect("optimise");
    });
    assert_eq!(everything(index, &staff(), &Filter::default()), sorted(&open));
    assert_eq!(index.ids().expect("ids").len(), 60);
}

/// Recall@10 over `queries`: the share of the truly nearest ten of the allowed `specimens` that are among the ten found.
///
/// # Panics
/// When a search fails or finds fewer than ten.
pub fn recall_at_10(index: &dyn VectorIndex, specimens: &[Specimen], scope: &AccessScope, queries: &[Vec<f32>]) -> f64 {
    let mut found_true = 0;
    for query in queries {
        let mut exact: Vec<(f32, ChunkId)> = specimens
            .iter()
            .filter(|specimen| scope.allows(&specimen.document.labels))
            .map(|specimen| (specimen.vector.iter().zip(query).map(|(x, y)| x * y).sum(), specimen.id()))
            .collect();
        exact.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = index.search(query, scope, &Filter::default(), 10).expect("the search is well formed");
        assert_eq!(found.len(), 10);
        found_true += found.iter().filter(|hit| exact[..10].iter().any(|(_, id)| *id == hit.chunk)).count();
    }
    found_true as f64 / (10 * queries.len()) as f64
}
