//! Where files lie: moves, access rules, selection, half-written files, pauses, copies.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use fontes_core::{Cancel, Clock as _, ErrorKind, Group};
use fontes_testkit::scope;

use super::{FileStatus::*, Site, request};
use crate::{AccessRules, IngestEvent, IngestRequest, Pause, Selection};

#[test]
fn a_moved_file_is_the_same_document_and_costs_nothing() {
    let site = Site::new();
    site.put("a.md", "# Title\n\nalpha words");
    site.put("keep.txt", "kept");
    site.ingest();
    let (id, calls) = (site.find("alpha")[0].document.id, site.extractor.calls.load(Ordering::Relaxed));
    std::fs::create_dir(site.root.join("sub")).unwrap();
    std::fs::rename(site.root.join("a.md"), site.root.join("sub/b.md")).unwrap();
    let dry = IngestRequest { dry_run: true, ..request(&site.root) };
    let (summary, _) = site.try_ingest(&dry).unwrap();
    assert_eq!((summary.documents_moved, summary.documents_removed, summary.documents_new), (1, 0, 0));
    let (summary, records) = site.ingest();
    assert_eq!(site.statuses(&records), [("keep.txt".into(), Unchanged), ("sub/b.md".into(), Moved)]);
    assert_eq!((summary.documents_moved, summary.documents_removed, summary.documents_new), (1, 0, 0));
    assert!(records[1].moved_from.as_ref().unwrap().ends_with("/a.md"));
    let found = site.find("alpha");
    assert_eq!(found[0].document.id, id);
    assert!(found[0].document.path.ends_with("/sub/b.md"));
    assert_eq!(site.extractor.calls.load(Ordering::Relaxed), calls, "nothing was parsed");
    assert_eq!(site.ingest().0.documents_unchanged, 2);
    site.assert_consistent();
    // A newcomer in the old place is another document.
    site.put("a.md", "# Other\n\nbeta words");
    assert_eq!(site.ingest().0.documents_new, 1);
    assert_ne!(site.find("beta")[0].document.id, id);
    assert_eq!(site.ingest().0.documents_unchanged, 3);
    site.assert_consistent();
}

#[test]
fn a_container_moves_with_everything_inside() {
    let site = Site::new();
    site.put("box.txt", "BOX one.txt=alpha;bad.txt=CRASH");
    site.ingest();
    let ids = ["box.txt", "box.txt!/one.txt"].map(|name| site.id(name));
    std::fs::rename(site.root.join("box.txt"), site.root.join("crate.txt")).unwrap();
    let (summary, records) = site.ingest();
    // It has no title, so its name is its title, and that changed.
    let expected = [("crate.txt", Changed), ("crate.txt!/bad.txt", Quarantined), ("crate.txt!/one.txt", Unchanged)];
    assert_eq!(site.statuses(&records), expected.map(|(path, status)| (path.to_owned(), status)));
    assert_eq!((summary.documents_removed, summary.documents_new), (0, 0));
    let found: Vec<_> =
        site.find("alpha").into_iter().map(|record| (record.document.id, record.document.path)).collect();
    for (id, path) in ids.into_iter().zip(["crate.txt", "crate.txt!/one.txt"]) {
        assert!(found.contains(&(id, site.root.join(path).display().to_string())), "{found:?}");
    }
    assert_eq!(site.ingestion().ledger().quarantined().unwrap().len(), 1);
    site.delete("crate.txt");
    assert_eq!(site.ingest().0.documents_removed, 2);
    site.assert_consistent();
}

#[test]
fn records_that_were_read_before_patients_were_looked_for_are_read_again() {
    let site = Site::new();
    let seen = r#"{"resourceType":"Condition","code":{"text":"asthma"},"subject":{"reference":"Patient/p1"}}"#;
    site.put("eva.json", seen);
    site.put("note.txt", "plain words");
    site.ingest();
    assert_eq!(site.find("asthma")[0].document.patient, ["p1"]);
    // As a ledger of version 1 is after its migration.
    let ledger = rusqlite::Connection::open(site.data.join("ledger.sqlite")).unwrap();
    ledger.execute("UPDATE revisions SET patient = NULL", ()).unwrap();
    assert!(site.find("asthma")[0].document.patient.is_empty());
    let (_, records) = site.ingest();
    assert_eq!(site.statuses(&records), [("eva.json".into(), Changed), ("note.txt".into(), Unchanged)]);
    assert_eq!(site.find("asthma")[0].document.patient, ["p1"]);
    site.assert_consistent();
}

#[test]
fn a_copy_is_no_move_and_one_of_two_copies_is() {
    let site = Site::new();
    site.put("a.txt", "same words");
    site.ingest();
    site.put("b.txt", "same words");
    let (summary, _) = site.ingest();
    assert_eq!((summary.documents_new, summary.documents_moved), (1, 0));
    for name in ["a.txt", "b.txt"] {
        site.delete(name);
    }
    for name in ["c.txt", "d.txt", "e.txt"] {
        site.put(name, "same words");
    }
    let (summary, _) = site.ingest();
    // Named after their files, they are indexed anew under their old identity.
    assert_eq!((summary.documents_changed, summary.documents_new, summary.documents_removed), (2, 1, 0));
    site.assert_consistent();
}

#[test]
fn access_rules_give_each_file_its_labels_and_fail_closed() {
    let site = Site::new();
    site.put("open/a.txt", "alpha");
    site.put("closed/b.txt", "beta");
    let folders = toml::from_str::<AccessRules>(
        "access_files = true\n[[folders]]\npath = 'closed'\ngroups = ['board']\nclassification = 'secret'",
    );
    let ruled = IngestRequest { access: folders.unwrap(), ..request(&site.root) };
    assert_eq!(site.try_ingest(&ruled).unwrap().0.documents_new, 2);
    assert_eq!((site.find("alpha").len(), site.find("beta").len()), (1, 0), "staff do not see the board's");
    assert_eq!(site.try_ingest(&ruled).unwrap().0.documents_unchanged, 2);
    // An access file that nobody understands closes what it stands beside.
    site.put("open/.access.toml", "groups = ['board'");
    let (summary, records) = site.try_ingest(&ruled).unwrap();
    assert_eq!((summary.quarantined, summary.documents_removed), (1, 1));
    let fault = records.iter().find_map(|record| record.error.as_ref()).unwrap();
    assert_eq!((fault.code.as_str(), fault.kind), ("access_unknown", ErrorKind::Invalid));
    assert!(site.find("alpha").is_empty());
    site.put("open/.access.toml", "groups = ['staff', 'board']");
    assert_eq!(site.try_ingest(&ruled).unwrap().0.documents_new, 1);
    let groups = &site.find("alpha")[0].document.labels.groups;
    assert_eq!(groups, &["board", "staff"].map(|name| Group(name.into())).into());
    site.assert_consistent();
}

#[test]
fn what_is_no_longer_selected_or_past_its_time_is_taken_out() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    site.put("b.md", "beta");
    site.ingest();
    let only = |patterns: &[String], keep| IngestRequest {
        select: Selection::new(patterns, &[], keep).unwrap(),
        ..request(&site.root)
    };
    let (summary, _) = site.try_ingest(&only(&["*.txt".into()], None)).unwrap();
    assert_eq!((summary.documents_removed, summary.documents_unchanged), (1, 1));
    let day = Duration::from_secs(86_400);
    site.clock.set(SystemTime::now() + 3 * day);
    let (summary, records) = site.try_ingest(&only(&[], Some(day))).unwrap();
    assert_eq!((summary.documents_removed, summary.skipped), (1, 2));
    assert!(records.iter().any(|record| record.error.as_ref().is_some_and(|error| error.code == "expired")));
    assert!(site.find("alpha").is_empty());
    site.assert_consistent();
}

#[test]
fn a_file_still_being_written_is_left_for_the_next_look() {
    let site = Site::new();
    site.put("a.txt", "half of it");
    site.clock.set(SystemTime::now());
    let watching = IngestRequest { settle: Duration::from_secs(5), ..request(&site.root) };
    let (summary, records) = site.try_ingest(&watching).unwrap();
    assert_eq!((summary.documents_new, records[0].status), (0, Skipped));
    site.clock.set(SystemTime::now() + Duration::from_secs(60));
    assert_eq!(site.try_ingest(&watching).unwrap().0.documents_new, 1);
    // Known documents stay while their file changes.
    site.put("a.txt", "another half");
    site.clock.set(SystemTime::now());
    let (summary, _) = site.try_ingest(&watching).unwrap();
    assert_eq!((summary.documents_removed, summary.skipped), (0, 1));
    assert_eq!(site.find("half").len(), 1);
}

#[test]
fn an_older_revision_can_be_asked_for_by_date() {
    let site = Site::new();
    site.put("a.txt", "first words");
    let start = site.clock.now();
    let hour = Duration::from_secs(3_600);
    site.ingest();
    site.clock.advance(10 * hour);
    site.put("a.txt", "second words");
    site.ingest();
    let (ledger, id) = (site.ingestion().ledger(), site.id("a.txt"));
    let staff = scope(&["staff"], fontes_core::Classification::Internal);
    let text = |at| ledger.document_as_of(id, at, &staff).map(|(_, document)| document.text.trim().to_owned());
    assert_eq!(text(start + hour).unwrap(), "first words");
    assert_eq!(text(start + 11 * hour).unwrap(), "second words");
    assert_eq!(text(start - hour).unwrap_err().kind(), ErrorKind::NotFound);
    // Closed today, it is closed as it was then.
    let mut closed = request(&site.root);
    closed.labels.groups = [Group("board".into())].into();
    site.try_ingest(&closed).unwrap();
    assert_eq!(text(start + hour).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_paused_run_waits_and_then_completes() {
    let site = Site::new();
    site.put("a.txt", "alpha");
    let pause = Pause::of(&site.data);
    pause.set().unwrap();
    let mut told = 0;
    let mut observer = |event: IngestEvent<'_>| {
        if let IngestEvent::Progress(progress) = event
            && progress.paused
        {
            assert_eq!(progress.files_done, 0, "nothing is taken in while paused");
            told += 1;
            if told == 2 {
                pause.clear().unwrap();
            }
        }
    };
    let summary = site.ingestion().ingest(&request(&site.root), &mut observer, &Cancel::default()).unwrap();
    assert_eq!((summary.documents_new, told >= 2), (1, true));
}

#[test]
fn a_summary_says_where_the_time_went_and_how_many_tokens_there_were() {
    let site = Site::new();
    site.put("a.txt", "five words in this text");
    let (summary, _) = site.ingest();
    assert_eq!(summary.tokens, 5);
    let stages = summary.stages;
    for seconds in [stages.read, stages.extract, stages.chunk, stages.embed, stages.vectors, stages.lexical] {
        assert!(seconds > 0.0, "{stages:?}");
    }
}
