//! A set of vectors beside the searched one: filled from the ledger, interrupted anywhere, never holding what it should not.

use std::sync::Arc;

use fontes_core::{
    Cancel, ChunkId, Classification, Embedder, Filter, Ledger as _, Result, TokenStore as _, VectorIndex as _,
    seam::EmbedAs,
};
use fontes_testkit::scope;

use super::{
    IndexName, Site, request,
    site::{Failure, Vectors, other_embedder},
};
use crate::{FileStatus, Filling, Measure};

fn other(site: &Site) -> Arc<Vectors> {
    site.other.clone().unwrap()
}

fn try_fill(site: &Site) -> Result<Filling> {
    site.ingestion().fill(&*other(site), &other_embedder(), &mut |_| {}, &Cancel::default())
}

fn fill(site: &Site) -> Filling {
    try_fill(site).unwrap()
}

/// What the set holds beyond and short of the ledger, after recovery.
fn difference(site: &Site) -> (usize, usize) {
    site.ingestion().recover().unwrap();
    let (ids, active) = (other(site).ids().unwrap(), site.ingestion().ledger().active_chunk_ids().unwrap());
    (ids.difference(&active).count(), active.difference(&ids).count())
}

/// The chunks that the set finds for `word` as someone of `group`, past the ledger.
fn found(site: &Site, word: &str, group: &str) -> Vec<ChunkId> {
    let vector = other_embedder().embed(&[word], EmbedAs::Query).unwrap().remove(0);
    let scope = scope(&[group], Classification::Internal);
    let found = other(site).search(&vector, &scope, &Filter::default(), 1).unwrap();
    found.iter().map(|candidate| candidate.chunk).collect()
}

fn archive() -> Site {
    archive_with(600)
}

/// An archive whose largest document has this many sections.
fn archive_with(sections: u32) -> Site {
    let site = Site::with_other();
    site.put("change.txt", "before words");
    site.put("gone.txt", "vanishing words");
    site.put("keep.txt", "kept words");
    site.put(
        "law.md",
        &(0..sections).map(|n| format!("# Section {n}\n\nWords of section {n}.\n\n")).collect::<String>(),
    );
    site.ingest();
    site
}

#[test]
fn a_set_is_filled_from_the_stored_text_and_finds_what_the_other_finds() {
    let site = archive();
    let before = site.ingestion().filling(&*other(&site)).unwrap();
    assert_eq!((before.chunks, before.is_whole()), (0, false));
    let mut told = Vec::new();
    let filling =
        site.ingestion().fill(&*other(&site), &other_embedder(), &mut |one| told.push(one.chunks), &Cancel::default());
    let filling = filling.unwrap();
    assert!(filling.is_whole() && filling.of > 600 && filling.embedded == filling.of, "{filling:?}");
    assert!(told.is_sorted() && told.last() == Some(&filling.of));
    assert_eq!(found(&site, "gone.txt vanishing words", "staff"), [site.find("vanishing")[0].chunk.id]);
    assert_eq!(fill(&site).embedded, 0, "never twice");
    assert_eq!(site.tokens.ids(Some(&other_embedder().identity().sha256)).unwrap().len(), filling.of, "signs too");
    site.assert_consistent();
}

#[test]
fn what_changes_or_goes_leaves_the_set_at_once_and_what_comes_is_caught_up() {
    let site = archive();
    fill(&site);
    site.put("change.txt", "after words");
    site.put("new.txt", "fresh words");
    site.delete("gone.txt");
    site.ingest();
    assert_eq!(difference(&site), (0, 2), "a part of the ledger, without what came");
    site.assert_consistent();
    let report = site.ingestion().check().unwrap();
    assert_eq!((report.sets[0].name.as_str(), report.sets[0].missing), ("other@16", 2));
    assert_eq!(fill(&site).embedded, 2);
    assert_eq!(found(&site, "new.txt fresh words", "staff"), [site.find("fresh")[0].chunk.id]);
}

#[test]
fn new_labels_do_not_leave_old_ones_behind_in_the_set() {
    let site = archive();
    fill(&site);
    let chunk = site.find("kept")[0].chunk.id;
    let mut closed = request(&site.root);
    closed.labels.groups = [fontes_core::Group("board".into())].into();
    site.try_ingest(&closed).unwrap();
    assert!(!found(&site, "kept words", "staff").contains(&chunk), "the same chunk id, but no longer theirs");
    fill(&site);
    assert!(found(&site, "kept words", "staff").is_empty());
    assert_eq!(found(&site, "kept words", "board"), [chunk]);
}

#[test]
fn erasure_reaches_every_set_and_is_looked_up_there() {
    let site = archive();
    fill(&site);
    let erased = site.ingestion().forget(&[site.id("keep.txt")]).unwrap();
    assert!(erased[0].verified_absent);
    assert_eq!(difference(&site), (0, 0));
}

#[test]
fn a_filling_that_is_cut_off_anywhere_is_gone_on_with() {
    let calls = {
        let site = archive();
        site.faults.clear();
        fill(&site);
        site.faults.calls()
    };
    assert!(calls >= 4, "several groups");
    for failure in [Failure::Before, Failure::After] {
        for call in 0..calls {
            let mut site = archive();
            site.faults.plan(call, failure);
            try_fill(&site).unwrap_err();
            site.crash();
            let (extra, missing) = difference(&site);
            assert_eq!(extra, 0);
            let rest = fill(&site);
            assert_eq!(rest.embedded, missing, "only what was not durable, step {call}, {failure:?}");
            assert_eq!(difference(&site), (0, 0));
            site.assert_consistent();
        }
    }
}

#[test]
fn what_changes_in_the_middle_of_a_filling_is_right_at_its_end() {
    let site = archive();
    let mut changed = false;
    let mut observer = |filling: Filling| {
        if filling.chunks > 0 && !std::mem::replace(&mut changed, true) {
            // The first group is embedded and not yet written.
            site.put("change.txt", "after words");
            site.put("new.txt", "fresh words");
            site.delete("gone.txt");
            site.ingest();
        }
    };
    let filling = site.ingestion().fill(&*other(&site), &other_embedder(), &mut observer, &Cancel::default()).unwrap();
    assert!(filling.is_whole() && filling.embedded >= filling.of, "{filling:?}");
    assert_eq!(difference(&site), (0, 0));
    site.assert_consistent();
}

#[test]
fn a_cancelled_filling_is_honest() {
    let site = archive();
    let cancel = Cancel::default();
    let mut observer = |filling: Filling| {
        if filling.chunks > 300 {
            cancel.cancel();
        }
    };
    let filling = site.ingestion().fill(&*other(&site), &other_embedder(), &mut observer, &cancel).unwrap();
    assert!(filling.cancelled && !filling.is_whole());
    assert_eq!(other(&site).ids().unwrap().len(), filling.chunks);
    assert!(fill(&site).is_whole());
}

/// As in `crash`, with a set that holds everything beside: whatever dies, it never holds what the ledger has not.
#[test]
fn power_loss_at_any_step_of_a_run_leaves_the_set_a_part_of_the_ledger() {
    let prepare = |site: &Site| {
        fill(site);
        site.put("change.txt", "after words");
        site.put("new.txt", "fresh words");
        site.delete("gone.txt");
    };
    let relabel = |site: &Site| {
        let mut request = request(&site.root);
        request.labels.groups = [fontes_core::Group("board".into())].into();
        request
    };
    let calls = {
        let site = archive_with(3);
        prepare(&site);
        site.faults.clear();
        site.try_ingest(&relabel(&site)).unwrap();
        site.faults.calls()
    };
    for failure in [Failure::Before, Failure::After] {
        for call in 0..calls {
            let mut site = archive_with(3);
            prepare(&site);
            site.faults.plan(call, failure);
            let _a_slow_machine_may_split_the_run_otherwise = site.try_ingest(&relabel(&site));
            site.crash();
            assert_eq!(difference(&site).0, 0, "step {call}, {failure:?}");
            site.try_ingest(&relabel(&site)).unwrap();
            fill(&site);
            assert_eq!(difference(&site), (0, 0), "step {call}, {failure:?}");
            assert!(found(&site, "kept words", "staff").is_empty(), "step {call}, {failure:?}");
            site.assert_consistent();
        }
    }
}

#[test]
fn a_set_that_holds_too_much_is_reported_and_repaired() {
    let site = archive();
    fill(&site);
    let mut all = other(&site).ids().unwrap();
    // The ledger loses a document that the set does not know of.
    site.ingestion().forget(&[site.id("keep.txt")]).unwrap();
    let stray = fontes_testkit::Specimen::new("stray", 0, "").vector(fontes_testkit::unit_vector(1, 16));
    other(&site).0.upsert(&[stray.entry()]).unwrap();
    let report = site.ingestion().check().unwrap();
    assert!(!report.consistent);
    let finding = &report.findings[0];
    assert_eq!((finding.index, finding.set.as_deref(), finding.extra), (IndexName::Vectors, Some("other@16"), 1));
    let report = site.ingestion().repair(&mut |_filling| {}, &Cancel::default()).unwrap();
    assert!(report.consistent && report.findings[0].repaired);
    all.retain(|chunk| site.ingestion().ledger().active_chunk_ids().unwrap().contains(chunk));
    assert_eq!(other(&site).ids().unwrap(), all);
}

#[test]
fn only_a_whole_set_is_switched_to_and_the_snapshot_counts() {
    let site = archive();
    let snapshot = || site.ingestion().ledger().snapshot().unwrap();
    let before = snapshot();
    let mut switched = false;
    assert!(!site.ingestion().when_whole(&*other(&site), || panic!("not whole")).unwrap());
    assert_eq!(snapshot(), before);
    fill(&site);
    let then = || {
        switched = true;
        Ok(())
    };
    assert!(site.ingestion().when_whole(&*other(&site), then).unwrap() && switched);
    assert!(snapshot() > before);
}

#[test]
fn another_embedder_is_no_reason_to_cut_the_archive_anew() {
    let mut site = archive();
    let before = site.ingestion().ledger().active_chunk_ids().unwrap();
    let first = site.embedder.clone();
    fill(&site);
    // The switch: what was beside is searched.
    site.close();
    let beside = other(&site);
    let vectors = std::mem::replace(&mut site.vectors, beside);
    site.other = Some(vectors);
    site.embedder = other_embedder().with_max_tokens(64);
    site.measures = vec![Measure::of(&first)];
    site.open();
    let (summary, _) = site.ingest();
    assert_eq!((summary.documents_unchanged, summary.chunks), (4, 0));
    assert_eq!(site.ingestion().ledger().active_chunk_ids().unwrap(), before, "chunks stay as they were cut");
    site.put("change.txt", "after words");
    let (_, records) = site.ingest();
    assert_eq!(records.iter().filter(|record| record.status == FileStatus::Changed).count(), 1);
    site.assert_consistent();
    site.close();
    site.measures.clear();
    site.open();
    assert_eq!(site.ingest().0.documents_changed, 3, "without the measure they are cut anew");
}
