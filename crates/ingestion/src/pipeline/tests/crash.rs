//! What is left when an index fails or the machine dies at any step, and what recovery makes of it.

use fontes_core::{Cancel, Embedder as _, LexicalIndex as _, TokenStore as _, VectorIndex as _};

use super::{IndexName, Site, request, site::Failure};

/// A history whose last run adds, changes, relabels-in-place and removes, so that every step of the protocol
/// has something to do.
fn prepare(site: &Site) {
    site.put("change.txt", "before words");
    site.put("gone.txt", "vanishing words");
    site.put("box.txt", "BOX one.txt=inside one;two.txt=inside two");
    site.put("keep.txt", "kept words");
    site.ingest();
    site.put("change.txt", "after words");
    site.put("new.txt", "fresh words");
    site.put("box.txt", "BOX one.txt=inside one;three.txt=inside three");
    site.delete("gone.txt");
}

/// What an undisturbed run leaves, apart from numbers that count attempts.
fn outcome(site: &Site) -> Vec<(String, String)> {
    site.assert_consistent();
    let mut found: Vec<(String, String)> = ["words", "inside", "BOX"]
        .iter()
        .flat_map(|word| site.find(word))
        .map(|record| (record.document.path.replace(&*site.root.to_string_lossy(), ""), record.chunk.text))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn undisturbed() -> (Vec<(String, String)>, usize) {
    let site = Site::new();
    prepare(&site);
    site.faults.clear();
    site.ingest();
    let calls = site.faults.calls();
    (outcome(&site), calls)
}

/// Fewest write calls that a run over [`prepare`] makes; more when a slow machine splits it into groups.
const STEPS: usize = 8;

/// Runs with a failure planned at `call`; gives 1 when it came to that.
fn interrupt(site: &Site, call: usize, failure: Failure) -> usize {
    site.faults.plan(call, failure);
    usize::from(site.try_ingest(&request(&site.root)).is_err())
}

#[test]
fn power_loss_at_any_step_loses_nothing_and_doubles_nothing() {
    let (expected, calls) = undisturbed();
    let mut failures = 0;
    for failure in [Failure::Before, Failure::After] {
        for call in 0..calls {
            let mut site = Site::new();
            prepare(&site);
            failures += interrupt(&site, call, failure);
            site.crash();
            site.ingestion().recover().unwrap();
            site.assert_consistent();
            assert_eq!(site.find("kept").len(), 1);
            site.ingest();
            assert_eq!(outcome(&site), expected, "step {call}, {failure:?}");
        }
    }
    assert!(failures >= 2 * STEPS, "{failures} failures");
}

#[test]
fn a_failing_index_in_a_living_process_does_no_harm() {
    let (expected, calls) = undisturbed();
    for failure in [Failure::Before, Failure::After] {
        for call in 0..calls {
            let site = Site::new();
            prepare(&site);
            interrupt(&site, call, failure);
            site.faults.clear();
            site.assert_consistent();
            site.ingest();
            assert_eq!(outcome(&site), expected, "step {call}, {failure:?}");
        }
    }
}

#[test]
fn recovery_that_dies_is_repeated() {
    let (expected, calls) = undisturbed();
    for call in 0..calls {
        for second in 0..4 {
            let mut site = Site::new();
            prepare(&site);
            interrupt(&site, call, Failure::After);
            site.crash();
            site.faults.plan(second, Failure::Before);
            let _ = site.ingestion().recover();
            site.crash();
            site.ingestion().recover().unwrap();
            site.ingest();
            assert_eq!(outcome(&site), expected, "step {call}, then {second}");
        }
    }
}

#[test]
fn a_relabelling_that_is_rolled_back_restores_what_it_overwrote() {
    for call in 0..4 {
        let mut site = Site::new();
        site.put("a.txt", "alpha");
        site.ingest();
        let mut other = request(&site.root);
        other.labels.groups = [fontes_core::Group("board".into())].into();
        site.faults.plan(call, Failure::Before);
        site.try_ingest(&other).unwrap_err();
        if call == 3 {
            // Both indexes already had the new labels in place when the commit failed; no power was lost.
            site.faults.clear();
        } else {
            site.crash();
        }
        site.ingestion().recover().unwrap();
        assert_eq!(site.find("alpha").len(), 1, "step {call}");
        site.assert_consistent();
    }
}

#[test]
fn an_interrupted_erasure_is_completed() {
    for call in 0..4 {
        let mut site = Site::new();
        site.put("a.txt", "Zebrafinkenkäfig");
        site.ingest();
        site.faults.plan(call, Failure::Before);
        site.ingestion().forget(&[site.id("a.txt")]).unwrap_err();
        assert!(site.find("Zebrafinkenkäfig").is_empty(), "invisible at once");
        site.crash();
        assert!(site.find("Zebrafinkenkäfig").is_empty());
        assert_eq!(site.ingestion().recover().unwrap().retired, 1);
        site.assert_consistent();
        let bytes = std::fs::read(site.data.join("ledger.sqlite")).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"Zebra"));
    }
}

#[test]
fn a_damaged_index_is_reported_and_repaired_from_the_stored_text() {
    let site = Site::new();
    site.put("a.txt", "alpha words");
    site.put("b.txt", "beta words");
    site.ingest();
    let lost = site.find("alpha")[0].chunk.id;
    site.lexical.0.remove(&[lost]).unwrap();
    site.lexical.0.commit(site.lexical.0.committed().unwrap()).unwrap();
    let report = site.ingestion().check().unwrap();
    assert!(!report.consistent && !site.ingestion().status().unwrap().consistent);
    assert_eq!((report.findings[0].index, report.findings[0].missing), (IndexName::Lexical, 1));
    let report = site.ingestion().repair(&mut |_filling| {}, &Cancel::default()).unwrap();
    assert!(report.consistent && report.findings[0].repaired);
    assert_eq!(site.find("alpha").len(), 1);
    assert!(site.ingestion().check().unwrap().findings.is_empty());
}

#[test]
fn signs_of_tokens_that_are_lost_are_told_and_made_anew() {
    let site = Site::new();
    site.put("a.txt", "alpha words");
    site.put("b.txt", "beta words");
    site.ingest();
    site.assert_consistent();
    let weights = site.embedder.identity().sha256;
    let [alpha, beta] = ["alpha", "beta"].map(|word| site.find(word)[0].chunk.id);
    let before = site.tokens.get(&weights, &[alpha, beta]).unwrap();
    site.tokens.remove(&[alpha]).unwrap();
    let report = site.ingestion().check().unwrap();
    assert!(report.consistent, "nothing is wrong without them");
    assert_eq!(report.tokens_missing, 1);
    // What has no business here is a finding: it tells what an erased text was about.
    let stranger = fontes_testkit::Specimen::new("stranger", 0, "text").id();
    site.tokens.put(&weights, &[(stranger, &[1])]).unwrap();
    let report = site.ingestion().check().unwrap();
    assert_eq!((report.findings[0].index, report.findings[0].extra), (IndexName::Tokens, 1));
    let report = site.ingestion().repair(&mut |_filling| {}, &Cancel::default()).unwrap();
    assert!(report.consistent && report.findings[0].repaired && report.tokens_missing == 0, "{report:?}");
    assert_eq!(site.tokens.get(&weights, &[alpha, beta, stranger]).unwrap(), [&before[..], &[vec![]]].concat());
    site.ingestion().forget(&[site.id("a.txt")]).unwrap();
    assert_eq!(site.tokens.get(&weights, &[alpha, beta]).unwrap(), [vec![], before[1].clone()]);
}

#[test]
fn an_interrupted_repair_keeps_what_is_done_and_another_does_the_rest() {
    let site = Site::new();
    site.put("a.txt", "alpha words");
    site.put("b.txt", "beta words");
    site.put("c.txt", "gamma words");
    site.ingest();
    site.tokens.remove(&["alpha", "beta"].map(|word| site.find(word)[0].chunk.id)).unwrap();
    site.vectors.remove(&[site.find("gamma")[0].chunk.id]).unwrap();
    let cancel = Cancel::default();
    let mut first = |filling: crate::Filling| {
        assert_eq!(filling.of, 3);
        if filling.chunks == 1 {
            cancel.cancel();
        }
    };
    let report = site.ingestion().repair(&mut first, &cancel).unwrap();
    let gone = report.findings.iter().map(|finding| finding.missing).sum::<usize>();
    assert_eq!(report.tokens_missing + gone, 2, "one of three is done: {report:?}");
    let mut told = Vec::new();
    let mut rest = |filling: crate::Filling| told.push((filling.chunks, filling.of));
    let report = site.ingestion().repair(&mut rest, &Cancel::default()).unwrap();
    assert!(report.consistent && report.tokens_missing == 0, "{report:?}");
    assert_eq!(told, [(0, 2), (1, 2), (2, 2)]);
    site.assert_consistent();
}

#[test]
fn a_ledger_restored_from_an_older_backup_is_noticed() {
    let mut site = Site::new();
    site.put("a.txt", "alpha");
    site.ingest();
    // The ledger is lost, the indexes are not.
    std::fs::rename(&site.data, site.data.with_extension("old")).unwrap();
    site.crash();
    assert!(site.ingestion().recover().unwrap().index_ahead);
    let report = site.ingestion().repair(&mut |_filling| {}, &Cancel::default()).unwrap();
    assert!(report.consistent && report.findings.iter().all(|finding| finding.extra == 1));
    site.ingest();
    assert_eq!(site.find("alpha").len(), 1);
    site.assert_consistent();
}

#[test]
fn the_vectors_of_a_large_document_outlive_the_run_that_made_them_and_no_longer() {
    let mut site = Site::new();
    let kept = |site: &Site| site.data.join("embedding-0.part").exists();
    let section = |number| format!("# Section {number}\n\nWords of section {number}.\n\n");
    site.put("law.md", &(0..1_200).map(section).collect::<String>());
    assert_eq!(interrupt(&site, 0, Failure::Before), 1);
    site.crash();
    assert!(kept(&site), "embedded, not written");
    site.ingest();
    assert!(!kept(&site), "written");
    site.assert_consistent();
    site.put("law.md", &(0..1_200).rev().map(section).collect::<String>());
    assert_eq!(interrupt(&site, 0, Failure::Before), 1);
    assert!(kept(&site));
    site.ingestion().forget(&[site.id("law.md")]).unwrap();
    assert!(!kept(&site), "erased");
}
