//! The contract of [`LexicalIndex`].

use fontes_core::{AccessScope, ChunkId, Classification, ErrorKind, Filter, IndexEntry, LedgerPosition, LexicalIndex};

use super::{filters_are_kept, sorted, staff, variously_labelled};
use crate::{Specimen, scope};

/// Checks everything the seam promises. `make` gives a new empty index, each time another one.
///
/// # Panics
/// On the first broken promise.
pub fn lexical_index<I: LexicalIndex>(make: impl Fn() -> I) {
    empty_index_finds_nothing(&make());
    staged_writes_appear_with_the_commit(&make());
    later_staging_wins(&make());
    more_matches_come_first(&make());
    rarer_words_are_told(&make());
    title_and_headings_are_searched(&make());
    scope_is_kept(&make());
    filter_is_kept(&make());
    any_text_is_a_query(&make());
    bad_entries_are_refused_whole(&make());
    readers_and_writer_together(&make());
}

fn specimen(n: u32, text: &str) -> Specimen {
    Specimen::new("doc", n, text)
}

fn stage<I: LexicalIndex>(index: &I, specimens: &[Specimen]) {
    let entries: Vec<IndexEntry<'_>> = specimens.iter().map(Specimen::entry).collect();
    index.upsert(&entries).expect("well-formed entries are taken");
}

fn find<I: LexicalIndex>(index: &I, text: &str, scope: &AccessScope, filter: &Filter, k: usize) -> Vec<ChunkId> {
    let found = index.search(text, scope, filter, k).expect("any text is a query");
    assert!(found.len() <= k, "never more than k");
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score), "best first");
    found.iter().map(|candidate| candidate.chunk).collect()
}

fn all<I: LexicalIndex>(index: &I, text: &str) -> Vec<ChunkId> {
    let mut found = find(index, text, &staff(), &Filter::default(), 100);
    found.sort();
    found
}

fn empty_index_finds_nothing<I: LexicalIndex>(index: &I) {
    assert_eq!(index.committed().expect("position"), LedgerPosition(0));
    assert!(index.ids().expect("ids").is_empty());
    assert!(all(index, "Frist").is_empty());
    index.remove(&[specimen(0, "").id()]).expect("removing an unknown id is no error");
    index.commit(LedgerPosition(3)).expect("committing nothing new still moves the position");
    assert_eq!(index.committed().expect("position"), LedgerPosition(3));
}

fn staged_writes_appear_with_the_commit<I: LexicalIndex>(index: &I) {
    let (first, second) = (specimen(0, "Frist"), specimen(1, "Frist"));
    stage(index, std::slice::from_ref(&first));
    assert!(all(index, "Frist").is_empty() && index.ids().expect("ids").is_empty(), "staged is invisible");
    index.commit(LedgerPosition(7)).expect("commit");
    assert_eq!(all(index, "Frist"), [first.id()]);
    assert_eq!(index.committed().expect("position"), LedgerPosition(7));
    index.remove(&[first.id()]).expect("stage a removal");
    stage(index, std::slice::from_ref(&second));
    assert_eq!(all(index, "Frist"), [first.id()], "staged removals are invisible too");
    index.commit(LedgerPosition(8)).expect("commit");
    assert_eq!(all(index, "Frist"), [second.id()]);
    assert_eq!(index.ids().expect("ids"), [second.id()].into());
}

fn later_staging_wins<I: LexicalIndex>(index: &I) {
    stage(index, &[specimen(0, "alpha"), specimen(0, "beta")]);
    stage(index, &[specimen(0, "gamma")]);
    stage(index, &[specimen(1, "delta")]);
    index.remove(&[specimen(1, "").id()]).expect("remove");
    index.remove(&[specimen(2, "").id()]).expect("remove");
    stage(index, &[specimen(2, "epsilon")]);
    index.commit(LedgerPosition(1)).expect("commit");
    assert!(all(index, "alpha beta delta").is_empty());
    assert_eq!(all(index, "gamma"), [specimen(0, "").id()]);
    assert_eq!(all(index, "epsilon"), [specimen(2, "").id()], "staged after its removal, it stays");
    assert_eq!(index.ids().expect("ids").len(), 2, "an id is there once");
    stage(index, &[specimen(0, "zeta").groups(&["board"])]);
    index.commit(LedgerPosition(2)).expect("commit");
    assert!(all(index, "gamma zeta").is_empty(), "new text and new labels replace the old");
    assert_eq!(index.ids().expect("ids").len(), 2);
}

fn more_matches_come_first<I: LexicalIndex>(index: &I) {
    let specimens = [
        specimen(0, "Die Frist beträgt zwei Wochen."),
        specimen(1, "Die Kündigung hat eine Frist von drei Monaten."),
        specimen(2, "Der Garten ist grün."),
    ];
    stage(index, &specimens);
    index.commit(LedgerPosition(1)).expect("commit");
    let query = "Kündigung Frist Monaten";
    assert_eq!(find(index, query, &staff(), &Filter::default(), 10), [specimens[1].id(), specimens[0].id()]);
    assert_eq!(find(index, query, &staff(), &Filter::default(), 1), [specimens[1].id()]);
    assert!(find(index, query, &staff(), &Filter::default(), 0).is_empty(), "k of 0");
    assert_eq!(find(index, query, &staff(), &Filter::default(), 1_000_000).len(), 2, "k of a million");
    assert_eq!(all(index, "GARTEN"), [specimens[2].id()], "case makes no difference");
}

fn rarer_words_are_told<I: LexicalIndex>(index: &I) {
    let text = |n: u32| if n.is_multiple_of(10) { "Die Frist für Einsprachen" } else { "Die Frist" };
    stage(index, &(0..40).map(|n| specimen(n, text(n))).collect::<Vec<_>>());
    index.commit(LedgerPosition(1)).expect("commit");
    let words = ["Frist", "einsprachen", "Rekurs", "–"];
    let rarities = index.rarities(&words).expect("rarities");
    if rarities.is_empty() {
        return; // It does not count, and says so.
    }
    assert_eq!(rarities.len(), words.len());
    assert!(rarities.iter().all(|rarity| rarity.is_finite() && *rarity >= 0.0), "{rarities:?}");
    assert!(rarities[0] < rarities[1] && rarities[1] < rarities[2], "{rarities:?}");
    assert_eq!(rarities[3], 0.0, "what is no word is not rare");
}

fn title_and_headings_are_searched<I: LexicalIndex>(index: &I) {
    let specimens = [
        specimen(0, "Alles Weitere regelt die Verordnung.").title("Datenschutzgesetz"),
        specimen(1, "Alles Weitere regelt die Verordnung.").headings(&["Kapitel Bearbeitung", "Grundsatz"]),
    ];
    stage(index, &specimens);
    index.commit(LedgerPosition(1)).expect("commit");
    assert_eq!(all(index, "Datenschutzgesetz"), [specimens[0].id()]);
    assert_eq!(all(index, "Grundsatz"), [specimens[1].id()]);
}

fn scope_is_kept<I: LexicalIndex>(index: &I) {
    let specimens = [
        specimen(0, "Frist").groups(&["staff"]),
        specimen(1, "Frist").groups(&["board"]),
        specimen(2, "Frist").groups(&["board", "staff"]),
        specimen(3, "Frist").classification(Classification::Confidential),
        specimen(4, "Frist").classification(Classification::Public),
        specimen(5, "Frist").groups(&["sta"]),
    ];
    stage(index, &specimens);
    index.commit(LedgerPosition(1)).expect("commit");
    for clearance in Classification::ALL {
        for groups in [&[][..], &["staff"], &["board"], &["staff", "board"], &["strangers"], &["sta"], &["STAFF"]] {
            let scope = scope(groups, clearance);
            let allowed = specimens.iter().filter(|specimen| scope.allows(&specimen.document.labels));
            let mut found = find(index, "Frist", &scope, &Filter::default(), 100);
            found.sort();
            assert_eq!(found, sorted(allowed), "{groups:?} {clearance:?}");
        }
    }
}

fn filter_is_kept<I: LexicalIndex>(index: &I) {
    let own = [0, 1, 2, 3, 4].map(|n| specimen(n, "Kontakt"));
    let specimens = variously_labelled(own, Specimen::new("other", 0, "Kontakt"));
    stage(index, &specimens);
    index.commit(LedgerPosition(1)).expect("commit");
    filters_are_kept(&specimens, |filter| find(index, "Kontakt", &staff(), filter, 100));
}

fn any_text_is_a_query<I: LexicalIndex>(index: &I) {
    let target = specimen(0, "Die Frist beträgt 30 Tage.");
    stage(index, std::slice::from_ref(&target));
    index.commit(LedgerPosition(1)).expect("commit");
    for text in ["", " \n\t", "\"", "\"\"", "((((", "*", "???", "\u{0}", "🙂", "日本語"] {
        assert!(all(index, text).is_empty(), "{text:?}");
    }
    let hostile = [
        "Frist AND",
        "Frist OR (",
        "text:Frist",
        "Frist:",
        "+Frist",
        "-Frist",
        "NOT Frist",
        "\"Frist",
        "Frist\"",
        "Frist~2",
        "Frist^9",
        "[Frist TO Tage]",
        "/Frist.*/",
        "Frist*",
        "groups:board Frist",
        "{Frist}",
        "\\Frist",
        "Frist\u{0}",
    ];
    for text in hostile {
        assert_eq!(all(index, text), [target.id()], "{text:?}");
    }
    let long = (0..10_000).map(|n| format!("wort{n}")).collect::<Vec<_>>().join(" ");
    assert!(all(index, &long).is_empty());
    assert_eq!(all(index, &format!("Frist {long}")), [target.id()], "a long query still finds by its first words");
    assert!(all(index, &"x".repeat(1_000_000)).is_empty(), "one endless word");
}

fn bad_entries_are_refused_whole<I: LexicalIndex>(index: &I) {
    let (good, bad) = (specimen(0, "Frist"), specimen(1, "Frist").groups(&[]));
    let error = index.upsert(&[good.entry(), bad.entry()]).expect_err("an entry without a group");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    index.commit(LedgerPosition(1)).expect("commit");
    assert!(index.ids().expect("ids").is_empty(), "a refused batch leaves nothing behind");
}

fn readers_and_writer_together<I: LexicalIndex>(index: &I) {
    let closed: Vec<Specimen> = (0..10).map(|n| specimen(n, "Frist").groups(&["board"])).collect();
    let open: Vec<Specimen> = (10..40).map(|n| specimen(n, "Frist")).collect();
    stage(index, &closed);
    index.commit(LedgerPosition(1)).expect("commit");
    std::thread::scope(|threads| {
        for _ in 0..2 {
            let closed = sorted(&closed);
            threads.spawn(move || {
                for _ in 0..20 {
                    let found = all(index, "Frist");
                    assert!(found.iter().all(|id| closed.binary_search(id).is_err()), "the scope holds meanwhile");
                }
            });
        }
        for (batch, position) in open.chunks(10).zip(2..) {
            stage(index, batch);
            index.commit(LedgerPosition(position)).expect("commit");
        }
    });
    assert_eq!(all(index, "Frist"), sorted(&open));
}
