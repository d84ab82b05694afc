//! Ingesting: what is taken in, what is told about it, and what happens the second time.

use crate::site::Site;

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    let site = Site::new();
    site.write("a.txt", "Der Bundesrat besteht aus sieben Mitgliedern.");
    site.write("mails/b.md", "# Délai\n\nLe délai de recours est de trente jours.");
    let first = site.ingest(0);
    assert_eq!(first["documents_new"], 2);
    let second = site.ingest(0);
    assert_eq!((&second["documents_new"], &second["documents_unchanged"]), (&0.into(), &2.into()));
    assert_eq!(second["chunks"], 0);
    let check = site.json(&["check"], 0);
    assert_eq!(check["consistent"], true);
}

#[test]
fn changes_and_deletions_reach_both_indexes() {
    let site = Site::new();
    let path = site.write("a.txt", "Die Frist beträgt zehn Tage.");
    site.write("b.txt", "Das Archiv ist im Keller.");
    site.ingest(0);
    std::fs::write(&path, "Die Frist beträgt zwanzig Tage.").unwrap();
    std::fs::remove_file(site.documents().join("b.txt")).unwrap();
    let summary = site.ingest(0);
    assert_eq!((&summary["documents_changed"], &summary["documents_removed"]), (&1.into(), &1.into()));
    for mode in ["lexical", "dense", "hybrid"] {
        let found = site.json(&["search", "Frist Archiv Keller", "--mode", mode], 0);
        let hits = found["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 1, "{mode}");
        assert_eq!(hits[0]["text"], "Die Frist beträgt zwanzig Tage.");
    }
}

#[test]
fn one_bad_file_does_not_stop_the_rest() {
    let site = Site::new();
    site.write("good.txt", "Die Bibliothek öffnet um neun Uhr.");
    site.write("broken.pdf", "%PDF-1.7\nthis is not a PDF");
    site.write("empty.txt", "");
    site.write("broken.docx", "PK\x03\x04 nonsense");
    let report = site.dir().join("report.jsonl");
    let documents = site.documents();
    let arguments = ["ingest", documents.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let summary = site.json(&arguments, 3);
    assert_eq!((&summary["documents_new"], &summary["quarantined"]), (&1.into(), &3.into()));
    let lines = std::fs::read_to_string(report).unwrap();
    let quarantined: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["status"] == "quarantined")
        .collect();
    assert_eq!(quarantined.len(), 3);
    for line in quarantined {
        for field in ["kind", "code", "message"] {
            assert!(line["error"][field].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
    }
    assert_eq!(site.json(&["check"], 0)["consistent"], true);
}

#[test]
fn a_dry_run_writes_nothing() {
    let site = Site::new();
    site.write("a.txt", "Etwas Text.");
    let documents = site.documents();
    let summary = site.json(&["ingest", documents.to_str().unwrap(), "--dry-run"], 0);
    assert_eq!(summary["documents_new"], 1);
    assert_eq!(site.json(&["status"], 0)["documents"], 0);
}

#[test]
fn a_forgotten_document_is_gone_from_everywhere() {
    let site = Site::new();
    site.write("secret.txt", "Das Kennwort lautet Zauberberg.");
    site.write("other.txt", "Der Zug fährt um acht Uhr.");
    site.ingest(0);
    let found = site.json(&["search", "Kennwort Zauberberg", "-k", "1"], 0);
    let id = found["hits"][0]["document_id"].as_str().unwrap().to_owned();
    let erased = site.json(&["forget", &id], 0);
    let erased = erased.as_array().map_or(&erased, |list| &list[0]);
    assert_eq!(erased["verified_absent"], true);
    let after = site.json(&["search", "Kennwort Zauberberg"], 0);
    assert!(after["hits"].as_array().unwrap().iter().all(|hit| hit["document_id"] != id.as_str()));
    site.run(&["show", &id], 2);
    assert_eq!(site.json(&["check"], 0)["consistent"], true);
    assert!(!holds(&site.data(), b"Zauberberg"), "the text is still in a file");
}

/// Says whether any file below `dir` holds `needle`.
fn holds(dir: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holds(&path, needle)
        } else {
            std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle)
        }
    })
}
