//! Bad input: a clear error of the right kind, exit code 2, the store intact.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use serde_json::Value;

use crate::site::Site;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_missing_path_is_named() {
    let site = Site::new();
    let output = site.run(&["ingest", "/no/such/folder"], 2);
    assert!(stderr(&output).contains("/no/such/folder"), "{}", stderr(&output));
}

#[test]
fn an_unknown_model_is_named_with_what_there_is() {
    let site = Site::new();
    let output = site.run(&["models", "install", "multilingual-e5-smal"], 2);
    assert!(stderr(&output).contains("multilingual-e5-small"), "close names are suggested: {}", stderr(&output));
}

#[test]
fn searching_before_ingesting_says_so() {
    let site = Site::new();
    let found = site.json(&["search", "irgendetwas"], 1);
    assert!(found["hits"].as_array().unwrap().is_empty());
}

#[test]
fn an_unknown_filter_field_is_refused_with_the_known_ones() {
    let site = Site::new();
    let output = site.run(&["search", "x", "--filter", "colour=red"], 2);
    assert!(stderr(&output).contains("language"), "{}", stderr(&output));
}

#[test]
fn odd_queries_are_no_errors() {
    let site = Site::new();
    site.write("a.txt", "Der Bundesrat besteht aus sieben Mitgliedern.");
    site.ingest(0);
    let long = "wort ".repeat(10_000);
    for query in ["der die das", "SELECT * FROM (", "\"unclosed", "a AND OR NOT (", "+-*/\\", "日本語", "🙂", &long]
    {
        let output = site.command(&["search", query, "--json"]).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{query:.40}: {}", stderr(&output));
    }
    site.run(&["search", "x", "-k", "0"], 2);
    site.run(&["search", "Bundesrat", "-k", "1000000"], 0);
    site.run(&["search", ""], 2);
}

#[test]
fn an_index_that_is_gone_is_no_empty_archive() {
    let site = Site::new();
    site.write("a.txt", "Der Bundesrat besteht aus sieben Mitgliedern.");
    site.ingest(0);
    std::fs::remove_dir_all(site.data().join("index")).unwrap();
    for arguments in [&["search", "Bundesrat"][..], &["ask", "Wie viele Mitglieder?", "--model", "none"], &["status"]] {
        assert!(stderr(&site.run(arguments, 2)).contains("check --repair"), "{arguments:?}");
    }
    assert_eq!(site.json(&["check", "--repair"], 0)["consistent"], true);
    site.run(&["search", "Bundesrat"], 0);
}

#[test]
fn names_of_files_do_not_speak_to_the_terminal() {
    let site = Site::new();
    site.write("rot\x1b[31m.txt", "Der Bundesrat besteht aus sieben Mitgliedern.");
    site.ingest(0);
    let output = site.run(&["search", "Bundesrat"], 0);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("rot\u{fffd}[31m.txt") && !shown.contains('\x1b'), "{shown}");
}

#[test]
fn what_cannot_be_right_is_told_with_advice() {
    let site = Site::new();
    site.write("a.txt", "Der Bundesrat besteht aus sieben Mitgliedern.");
    site.ingest(0);
    let wrong: [&[&str]; 4] = [
        &["search", "x", "--filter", "date=2024-02-30"],
        &["search", "x", "--filter", "language=xx"],
        &["ask", "x", "--model", "none", "--temperature=nan"],
        &["ask", "x", "--model", "none", "--threshold", "7"],
    ];
    for arguments in wrong {
        assert!(stderr(&site.run(arguments, 2)).contains("try: "), "{arguments:?}");
    }
}

#[test]
fn symlink_loops_end() {
    let site = Site::new();
    site.write("a.txt", "Ein Text.");
    std::os::unix::fs::symlink(site.documents(), site.documents().join("loop")).unwrap();
    let summary = site.ingest(0);
    assert_eq!(summary["documents_new"], 1);
}

#[test]
fn odd_names_endless_paths_and_lying_files_are_each_dealt_with() {
    let site = Site::new();
    site.write("a\nb \"quoted\" $(x).txt", "Namen sind nur Namen.");
    let latin = OsStr::from_bytes(b"gr\xFC\xDFe.txt");
    std::fs::write(site.documents().join(latin), "Ein Name in alter Kodierung.").unwrap();
    // A path longer than the system takes (4,096 bytes), built from the inside out.
    let (inner, outer) = (site.documents().join("inner"), site.documents().join("outer"));
    site.write("inner/deep.txt", "tief");
    for _ in 0..25 {
        std::fs::create_dir(&outer).unwrap();
        std::fs::rename(&inner, outer.join("x".repeat(200))).unwrap();
        std::fs::rename(&outer, &inner).unwrap();
    }
    let mail = |inside: &str, depth: usize| {
        format!(
            "From: a@b.ch\r\nSubject: {depth}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b{depth}\r\n\r\n\
             --b{depth}\r\nContent-Type: text/plain\r\n\r\nhallo {depth}\r\n--b{depth}\r\n\
             Content-Type: message/rfc822\r\n\r\n{inside}\r\n--b{depth}--\r\n"
        )
    };
    site.write("self.eml", (0..8).fold(String::new(), |inside, depth| mail(&inside, depth)));
    site.write(
        "lies.pdf",
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 100000/Kids[3 0 R 77 0 R]>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R\
         /Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n\
         4 0 obj<</Length 45>>stream\nBT /F 12 Tf 72 700 Td (eine einzige Seite) Tj ET\nendstream endobj\n\
         trailer<</Root 1 0 R>>\n%%EOF",
    );
    let report = site.dir().join("report.jsonl");
    let documents = site.documents();
    let arguments = ["ingest", documents.to_str().unwrap(), "--dry-run", "--report", report.to_str().unwrap()];
    let summary = site.json(&arguments, 3);
    let report = std::fs::read_to_string(report).unwrap();
    let records: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |end: &'static str| records.iter().filter(move |record| record["path"].as_str().unwrap().ends_with(end));
    assert_eq!(of("lies.pdf").map(|record| record["pages"].as_u64()).collect::<Vec<_>>(), [Some(1)]);
    assert_eq!(of("$(x).txt").chain(of("e.txt")).filter(|record| record["status"] == "new").count(), 2);
    let codes: Vec<&str> = records.iter().filter_map(|record| record["error"]["code"].as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "limit").count(), 1, "the mail ends: {codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "unreadable").count(), 1, "the path is told: {codes:?}");
    assert_eq!(summary["quarantined"], 2);
}

#[test]
fn two_processes_do_not_share_a_data_directory() {
    let site = Site::new();
    site.write("a.txt", "Ein Text.");
    site.ingest(0);
    let mut server =
        site.command(&["serve", "--listen", "127.0.0.1:0"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // The server says when it listens; from then on it holds the directory.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stderr.as_mut().unwrap()), &mut first).unwrap();
    let output = site.run(&["status"], 2);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(stderr(&output).contains("conflict"), "{}", stderr(&output));
    site.run(&["status"], 0);
}

#[test]
fn a_newer_or_foreign_data_directory_is_refused() {
    let site = Site::new();
    std::fs::create_dir_all(site.data()).unwrap();
    std::fs::write(site.data().join("ledger.sqlite"), b"this is not a database, however long the text may be ......")
        .unwrap();
    let output = site.run(&["status"], 2);
    assert!(stderr(&output).contains("corrupt"), "{}", stderr(&output));
}

#[test]
fn the_server_listens_on_loopback_only() {
    let site = Site::new();
    let output = site.run(&["serve", "--listen", "0.0.0.0:0"], 2);
    assert!(stderr(&output).contains("loopback"), "{}", stderr(&output));
}
