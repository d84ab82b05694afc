//! What a run does with what it finds.

use std::sync::atomic::Ordering;

use fontes_core::{Cancel, Classification, ErrorKind, Group, Ledger as _};
use fontes_testkit::scope;

use super::{FileStatus::*, Site, request};
use crate::{IngestEvent, Profiles};

#[test]
fn files_become_searchable_and_a_second_run_changes_nothing() {
    let site = Site::new();
    site.put("a.txt", "Die Kündigungsfrist beträgt drei Monate.");
    site.put("b/c.md", "# Telework\n\nTwo days per week are allowed.\n");
    let (summary, records) = site.ingest();
    assert_eq!(site.statuses(&records), [("a.txt".into(), New), ("b/c.md".into(), New)]);
    assert_eq!((summary.files_seen, summary.documents_new, summary.quarantined), (2, 2, 0));
    assert_eq!(summary.bytes, 41 + 44);
    let found = site.find("telework");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].chunk.headings, ["Telework"]);
    assert_eq!(found[0].document.title, "Telework");
    site.assert_consistent();

    let snapshot = site.ingestion().ledger().snapshot().unwrap();
    let calls = site.extractor.calls.load(Ordering::Relaxed);
    let (summary, records) = site.ingest();
    assert_eq!(site.statuses(&records), [("a.txt".into(), Unchanged), ("b/c.md".into(), Unchanged)]);
    assert_eq!((summary.documents_unchanged, summary.documents_new, summary.chunks), (2, 0, 0));
    assert_eq!(site.ingestion().ledger().snapshot().unwrap(), snapshot);
    assert_eq!(site.extractor.calls.load(Ordering::Relaxed), calls, "nothing was extracted again");
}

#[test]
fn changed_and_deleted_files_leave_nothing_old_behind() {
    let site = Site::new();
    site.put("a.txt", "alpha one");
    site.put("b.txt", "beta");
    site.ingest();
    site.put("a.txt", "gamma two");
    site.delete("b.txt");
    let (summary, records) = site.ingest();
    assert_eq!(site.statuses(&records), [("a.txt".into(), Changed), ("b.txt".into(), Removed)]);
    assert_eq!((summary.documents_changed, summary.documents_removed), (1, 1));
    assert!(site.find("alpha").is_empty() && site.find("beta").is_empty());
    let found = site.find("gamma");
    assert_eq!((found.len(), found[0].document.revision), (1, 2));
    site.assert_consistent();
    let scope = scope(&["staff"], Classification::Internal);
    let history = site.ingestion().ledger().revisions(site.id("a.txt"), &scope).unwrap();
    let states: Vec<_> = history.iter().map(|revision| (revision.number, revision.state.as_str())).collect();
    assert_eq!(states, [(2, "active"), (1, "superseded")]);
    // And back again: the first content gives the first chunk ids.
    site.put("a.txt", "alpha one");
    site.put("b.txt", "beta");
    site.ingest();
    assert_eq!((site.find("alpha").len(), site.find("gamma").len(), site.find("beta").len()), (1, 0, 1));
    site.assert_consistent();
}

#[test]
fn a_bad_file_is_set_aside_and_the_run_goes_on() {
    let site = Site::new();
    site.put("a.txt", "fine");
    site.put("bad.txt", "CRASH");
    site.put("empty.txt", "");
    site.put("slow.txt", "SLOW");
    let (summary, records) = site.ingest();
    assert_eq!((summary.documents_new, summary.quarantined), (1, 3));
    let codes: Vec<_> = records.iter().filter_map(|record| record.error.as_ref().map(|error| &*error.code)).collect();
    assert_eq!(codes, ["crashed", "empty", "timeout"]);
    // Unchanged, they are not tried again, except where the machine may have been at fault.
    let calls = site.extractor.calls.load(Ordering::Relaxed);
    let (summary, _) = site.ingest();
    assert_eq!((summary.quarantined, site.extractor.calls.load(Ordering::Relaxed)), (3, calls + 1));
    site.try_ingest(&crate::IngestRequest { retry: true, ..request(&site.root) }).unwrap();
    assert_eq!(site.extractor.calls.load(Ordering::Relaxed), calls + 4);
    let attempts: Vec<u32> =
        site.ingestion().ledger().quarantined().unwrap().iter().map(|entry| entry.attempts).collect();
    assert_eq!(attempts, [2, 2, 3]);
    // Mended or deleted, they leave the quarantine.
    site.put("bad.txt", "now fine");
    site.delete("empty.txt");
    site.delete("slow.txt");
    let (summary, _) = site.ingest();
    assert_eq!((summary.documents_new, summary.quarantined), (1, 0));
    assert!(site.ingestion().ledger().quarantined().unwrap().is_empty());
    site.assert_consistent();
}

#[test]
fn a_document_that_turns_bad_stays_searchable_as_it_was() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    site.ingest();
    site.put("a.txt", "CRASH");
    let (summary, records) = site.ingest();
    assert_eq!((summary.quarantined, records[0].status), (1, Quarantined));
    assert_eq!(site.find("alpha").len(), 1);
    site.put("a.txt", "alpha");
    let (summary, _) = site.ingest();
    assert_eq!((summary.documents_unchanged, summary.quarantined), (1, 0));
    assert!(site.ingestion().ledger().quarantined().unwrap().is_empty());
}

#[test]
fn files_inside_files_are_documents_with_a_path_inside() {
    let site = Site::new();
    site.put("box.txt", "BOX one.txt=alpha;two.txt=beta;bad.txt=CRASH;deep.txt=BOX inner.txt=gamma");
    let (summary, records) = site.ingest();
    let expected = [
        ("box.txt", New),
        ("box.txt!/bad.txt", Quarantined),
        ("box.txt!/deep.txt", New),
        ("box.txt!/deep.txt!/inner.txt", New),
        ("box.txt!/one.txt", New),
        ("box.txt!/two.txt", New),
    ];
    assert_eq!(site.statuses(&records), expected.map(|(path, status)| (path.to_owned(), status)));
    assert_eq!(summary.files_seen, 1);
    // Unchanged as a whole, with what is set aside inside.
    let (summary, again) = site.ingest();
    assert_eq!((summary.documents_unchanged, summary.quarantined, again.len()), (5, 1, 6));
    // What is no longer inside is gone, over all depths.
    site.put("box.txt", "BOX one.txt=alpha");
    let (summary, records) = site.ingest();
    assert_eq!((summary.documents_removed, summary.documents_unchanged), (3, 1), "{records:?}");
    assert!(site.find("gamma").is_empty());
    assert!(site.ingestion().ledger().quarantined().unwrap().is_empty());
    site.assert_consistent();
    site.delete("box.txt");
    assert_eq!(site.ingest().0.documents_removed, 2);
    site.assert_consistent();
}

#[test]
fn a_mail_that_contains_itself_ends() {
    let site = Site::new();
    let mut nested = "CORE".to_owned();
    for level in 0..6 {
        nested = format!("BOX {level}.txt={nested}");
    }
    site.put("mail.txt", &nested);
    let (summary, records) = site.ingest();
    assert_eq!((summary.documents_new, summary.quarantined), (4, 1));
    assert!(records.iter().any(|record| record.error.as_ref().is_some_and(|error| error.code == "limit")));
}

#[test]
fn exact_duplicates_name_each_other() {
    let site = Site::new();
    site.put("a.txt", "same words");
    site.put("b.txt", "same words");
    let (_, records) = site.ingest();
    assert_eq!(records[0].duplicate_of, Some(site.id("b.txt")));
    assert_eq!(records[1].duplicate_of, Some(site.id("a.txt")));
}

#[test]
fn new_labels_are_a_change_and_take_hold_in_place() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    site.ingest();
    let mut confidential = request(&site.root);
    confidential.labels.classification = Classification::Confidential;
    confidential.labels.groups = [Group("board".into())].into();
    let (summary, _) = site.try_ingest(&confidential).unwrap();
    assert_eq!(summary.documents_changed, 1);
    assert!(site.find("alpha").is_empty(), "staff may not see it any more");
    site.assert_consistent();
}

#[test]
fn a_profile_can_be_named_and_an_unknown_one_is_refused() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    site.ingest();
    let named = |name: &str| crate::IngestRequest { profile: Some(name.into()), ..request(&site.root) };
    assert_eq!(site.try_ingest(&named("law")).unwrap().0.documents_changed, 1);
    assert_eq!(site.try_ingest(&named("law")).unwrap().0.documents_unchanged, 1);
    assert_eq!(site.try_ingest(&named("novel")).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(Profiles::built_in().named("law").is_ok());
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    site.put("bad.txt", "CRASH");
    site.put("gone.txt", "gamma");
    site.ingest();
    site.put("a.txt", "changed");
    site.put("new.txt", "new");
    site.delete("gone.txt");
    let snapshot = site.ingestion().ledger().snapshot().unwrap();
    let dry = crate::IngestRequest { dry_run: true, ..request(&site.root) };
    let (summary, _) = site.try_ingest(&dry).unwrap();
    let counts = (summary.documents_new, summary.documents_changed, summary.documents_removed, summary.quarantined);
    assert_eq!((counts, summary.dry_run), ((1, 1, 1, 1), true));
    assert_eq!(site.ingestion().ledger().snapshot().unwrap(), snapshot);
    assert_eq!((site.find("alpha").len(), site.find("new").len(), site.find("gamma").len()), (1, 0, 1));
}

#[test]
fn a_missing_root_and_missing_groups_are_refused() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    site.ingest();
    let missing = request(&site.root.join("nothing"));
    assert_eq!(site.try_ingest(&missing).unwrap_err().kind(), ErrorKind::NotFound);
    let mut nobody = request(&site.root);
    nobody.labels.groups.clear();
    assert_eq!(site.try_ingest(&nobody).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(site.find("alpha").len(), 1);
}

#[test]
fn one_root_says_nothing_about_another() {
    let site = Site::new();
    site.put("x/a.txt", "alpha");
    site.put("y/b.txt", "beta");
    site.ingest();
    site.delete("y/b.txt");
    let (summary, _) = site.try_ingest(&request(&site.root.join("x"))).unwrap();
    assert_eq!((summary.documents_removed, summary.documents_unchanged), (0, 1));
    assert_eq!(site.find("beta").len(), 1);
}

#[test]
fn a_defect_costs_one_file() {
    let site = Site::new();
    site.put("a.txt", "PANIC");
    site.put("b.txt", "fine");
    let (summary, records) = site.ingest();
    assert_eq!((summary.documents_new, summary.quarantined), (1, 1));
    assert_eq!(records[0].error.as_ref().unwrap().kind, ErrorKind::Internal);
    site.assert_consistent();
}

#[cfg(target_os = "linux")]
#[test]
fn names_in_any_encoding_are_files_like_others() {
    use std::os::unix::ffi::OsStrExt as _;
    let site = Site::new();
    for name in [&b"caf\xe9.txt"[..], b"caf\xe8.txt", "Käse 株式.txt".as_bytes(), b"new\nline.txt"] {
        std::fs::write(site.root.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    assert_eq!(site.ingest().0.documents_new, 4);
    assert_eq!(site.ingest().0.documents_unchanged, 4);
    site.assert_consistent();
}

#[test]
fn without_a_worker_the_run_fails_and_sets_nothing_aside() {
    let site = Site::new();
    site.put("a.txt", "NOWORKER");
    assert_eq!(site.try_ingest(&request(&site.root)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(site.ingestion().ledger().quarantined().unwrap().is_empty());
}

#[test]
fn a_cancelled_run_is_honest_and_the_next_one_completes_it() {
    let site = Site::new();
    for number in 0..200 {
        site.put(&format!("{number:03}.txt"), &format!("document number{number}"));
    }
    let cancel = Cancel::default();
    let mut told = 0;
    let mut observer = |event: IngestEvent<'_>| {
        if let IngestEvent::File(_) = event {
            told += 1;
            cancel.cancel();
        }
    };
    let summary = site.ingestion().ingest(&request(&site.root), &mut observer, &cancel).unwrap();
    assert!(summary.cancelled);
    assert!((1..200).contains(&summary.documents_new), "{}", summary.documents_new);
    assert_eq!(summary.documents_new, told);
    site.assert_consistent();
    let (rest, _) = site.ingest();
    assert_eq!((rest.documents_new + summary.documents_new, rest.documents_unchanged), (200, summary.documents_new));
    site.assert_consistent();
}

#[test]
fn progress_counts_bytes_and_ends_at_the_total() {
    let site = Site::new();
    for number in 0..100 {
        site.put(&format!("{number:03}.txt"), &"word ".repeat(number + 1));
    }
    let mut last = crate::Progress::default();
    let mut observer = |event: IngestEvent<'_>| {
        if let IngestEvent::Found(progress) | IngestEvent::Progress(progress) = event {
            assert!(progress.bytes_done >= last.bytes_done && progress.chunks >= last.chunks);
            last = progress;
        }
    };
    let summary = site.ingestion().ingest(&request(&site.root), &mut observer, &Cancel::default()).unwrap();
    assert_eq!((last.files_done, last.bytes_done), (100, last.bytes_total));
    assert_eq!((last.chunks, last.pages), (summary.chunks, summary.pages));
}

#[test]
fn forgotten_documents_are_gone_from_everywhere() {
    let site = Site::new();
    site.put("box.txt", "BOX one.txt=Zebrafinkenkäfig;two.txt=Zebrafinkenkäfig again");
    site.put("keep.txt", "keep this");
    site.ingest();
    site.put("box.txt", "BOX one.txt=Zebrafinkenkäfig;two.txt=Zebrafinkenkäfig changed");
    site.ingest();
    let id = site.id("box.txt");
    let erasures = site.ingestion().forget(&[id]).unwrap();
    assert_eq!(erasures.len(), 3, "with both documents inside");
    assert!(erasures.iter().all(|erasure| erasure.verified_absent && erasure.chunks_removed == 1));
    assert!(site.find("Zebrafinkenkäfig").is_empty());
    assert_eq!(site.find("keep").len(), 1);
    site.assert_consistent();
    for file in ["ledger.sqlite", "ledger.sqlite-wal"] {
        let bytes = std::fs::read(site.data.join(file)).unwrap_or_default();
        let needle = "Zebrafinken".as_bytes();
        assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{file} still holds the text");
    }
    let error = site.ingestion().forget(&[site.id("keep.txt"), id]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(site.find("keep").len(), 1, "all or nothing");
}

#[cfg(unix)]
#[test]
fn a_remembered_file_is_noticed_when_it_changes() {
    let mut site = Site::new();
    site.put("a.txt", "alpha");
    site.ingest();
    assert_eq!(site.ingest().0.documents_unchanged, 1);
    site.put("a.txt", "other");
    assert_eq!(site.ingest().0.documents_changed, 1, "of the same length");
    assert_eq!(site.find("other").len(), 1);
    site.crash();
    assert_eq!(site.ingest().0.documents_unchanged, 1);
}
