//! Bad input: a clear error of the right kind, exit code 2, the store intact.

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
    site.run(&["search", "x", "-k", "0"], 1);
    site.run(&["search", "Bundesrat", "-k", "1000000"], 0);
    site.run(&["search", ""], 2);
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
