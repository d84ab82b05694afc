//! Bad places: files that cannot be read or parsed, data directories that cannot be written, are full, or are of
//! another making, and interruptions. Each: a clear error of the right kind and exit code, the store intact.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::site::{Site, fontes, skipped};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Says whether `program` with `arguments` runs and succeeds.
fn works(program: &str, arguments: &[&str]) -> bool {
    let run = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// What takes from root the right to pass over permissions; others do not have it.
const PLAIN_USER: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

/// Runs a command on `site` as someone whom permissions bind. `None` where that cannot be arranged.
fn bound(site: &Site, arguments: &[&str]) -> Option<Output> {
    let root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !root {
        return Some(site.command(arguments).output().unwrap());
    }
    if !works(PLAIN_USER[0], &[PLAIN_USER[1], "true"]) {
        return None;
    }
    let mut command = Command::new(PLAIN_USER[0]);
    command.arg(PLAIN_USER[1]).arg(fontes().get_program()).arg("--data-dir").arg(site.data()).args(arguments);
    Some(command.output().unwrap())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// The records of the report of an ingest of the whole folder, by file name.
fn report(site: &Site, code: i32) -> Vec<Value> {
    let (report, documents) = (site.dir().join("report.jsonl"), site.documents());
    site.json(&["ingest", documents.to_str().unwrap(), "--report", report.to_str().unwrap()], code);
    fs::read_to_string(report).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A PDF that no empty password opens, with a table of its objects as writers leave it.
fn encrypted() -> String {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
        "<</Filter/Standard/V 1/R 2/P -4/O(01234567890123456789012345678901)/U(01234567890123456789012345678901)>>",
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut table = String::from("xref\n0 5\n0000000000 65535 f \n");
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.push_str(&format!("{number} 0 obj{object}endobj\n"));
    }
    let start = pdf.len();
    let trailer = "<</Size 5/Root 1 0 R/Encrypt 4 0 R/ID[(0123456789012345)(0123456789012345)]>>";
    format!("{pdf}{table}trailer{trailer}\nstartxref\n{start}\n%%EOF")
}

const NO_PAGES: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF";

#[test]
fn every_kind_of_bad_file_is_set_aside_with_its_reason() {
    let site = Site::new();
    site.write("good.txt", "Das Archiv ist im Keller.");
    site.write("empty.pdf", "");
    site.write("encrypted.pdf", encrypted());
    site.write("no-pages.pdf", NO_PAGES);
    site.write("broken.docx", "PK\x03\x04 nonsense");
    let huge = fs::File::create(site.documents().join("huge.txt")).unwrap();
    huge.set_len(300 << 20).unwrap();
    let codes: Vec<(String, String, String)> = report(&site, 3)
        .iter()
        .filter(|record| record["status"] == "quarantined")
        .map(|record| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let error = &record["error"];
            assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{record}");
            assert!(error["advice"].as_str().is_some_and(|text| !text.is_empty()), "{record}");
            let name = Path::new(record["path"].as_str().unwrap()).file_name().unwrap();
            (name.to_string_lossy().into_owned(), text(&error["kind"]), text(&error["code"]))
        })
        .collect();
    let code = |file: &str| {
        let found = codes.iter().find(|(name, _, _)| name == file).unwrap_or_else(|| panic!("{file}: {codes:?}"));
        (found.1.as_str(), found.2.as_str())
    };
    assert_eq!(codes.len(), 5, "{codes:?}");
    assert_eq!(code("empty.pdf"), ("invalid", "empty"));
    assert_eq!(code("encrypted.pdf"), ("invalid", "encrypted"));
    assert_eq!(code("huge.txt"), ("invalid", "too_large"));
    assert_eq!(code("broken.docx").0, "invalid");
    assert_eq!(code("no-pages.pdf").0, "invalid");
    assert_eq!(site.json(&["check"], 0)["consistent"], true);
    let found = site.json(&["search", "Keller"], 0);
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);
}

#[test]
fn an_unreadable_file_costs_that_file_and_an_unreadable_folder_takes_nothing_away() {
    let site = Site::new();
    site.write("open.txt", "Das Archiv ist im Keller.");
    let closed = site.write("closed.txt", "Die Bibliothek ist im Turm.");
    let inside = site.write("folder/inside.txt", "Der Garten ist im Hof.");
    let folder = inside.parent().unwrap();
    let documents = site.documents();
    let ingest = ["ingest", documents.to_str().unwrap(), "--json"];
    assert_eq!(site.ingest(0)["documents_new"], 3);
    mode(&closed, 0);
    mode(folder, 0);
    fs::remove_file(site.documents().join("open.txt")).unwrap();
    let output = bound(&site, &ingest);
    mode(folder, 0o755);
    let Some(output) = output else { return skipped("unreadable files", "setpriv cannot bind root to permissions") };
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["quarantined"], &summary["documents_removed"]), (&2.into(), &1.into()), "{summary}");
    let found = site.json(&["search", "Bibliothek Turm Garten Hof"], 0);
    assert_eq!(found["hits"].as_array().unwrap().len(), 2, "both stay as they were");
    mode(&closed, 0o644);
    assert_eq!(site.ingest(0)["documents_unchanged"], 2);
}

#[test]
fn a_read_only_data_directory_is_unavailable_and_stays_as_it_was() {
    let site = Site::new();
    site.write("a.txt", "Das Archiv ist im Keller.");
    site.ingest(0);
    site.write("b.txt", "Die Bibliothek ist im Turm.");
    let documents = site.documents();
    let everything = works("chmod", &["-R", "a-w", site.data().to_str().unwrap()]);
    let output = bound(&site, &["ingest", documents.to_str().unwrap()]);
    assert!(everything && works("chmod", &["-R", "u+w", site.data().to_str().unwrap()]));
    let Some(output) = output else { return skipped("read-only data", "setpriv cannot bind root to permissions") };
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("unavailable") && stderr(&output).contains("try:"), "{}", stderr(&output));
    assert_eq!(site.json(&["status"], 0)["documents"], 1);
    assert_eq!(site.ingest(0)["documents_new"], 1);
}

/// Ingests one folder into a file system of its own, fills that up but for 100 MiB (less than what the indexes keep
/// in reserve), ingests another folder, asks, makes room, and goes on.
const FULL_DISK: &str = r#"
    set -u; mkdir -p "$2" && mount -t tmpfs -o size=300m none "$2" || exit 77
    "$1" --data-dir "$2/data" ingest "$3/first" --quiet >/dev/null || exit 1
    free=$(df --output=avail -k "$2" | tail -1)
    head -c $(( (free - 102400) * 1024 )) /dev/zero >"$2/ballast"
    "$1" --data-dir "$2/data" ingest "$3" --quiet; full=$?
    "$1" --data-dir "$2/data" search Keller --json >/dev/null; asked=$?
    rm "$2/ballast"
    "$1" --data-dir "$2/data" ingest "$3" --json; roomy=$?
    "$1" --data-dir "$2/data" check --json >/dev/null
    echo "codes $full $asked $roomy $?"
"#;

#[test]
fn a_full_disk_stops_the_run_and_the_next_one_completes_it() {
    if !works("unshare", &["-rm", "true"]) {
        return skipped("a full disk", "unshare cannot make a mount namespace");
    }
    let site = Site::new();
    site.write("first/a.txt", "Das Archiv ist im Keller.");
    for number in 0..20 {
        site.write(&format!("second/{number:02}.txt"), format!("Akte {number} liegt im Regal."));
    }
    let (disk, documents) = (site.dir().join("disk"), site.documents());
    let output = Command::new("unshare")
        .args(["-rm", "bash", "-c", FULL_DISK, "full-disk"])
        .arg(fontes().get_program())
        .args([&disk, &documents])
        .output()
        .unwrap();
    if output.status.code() == Some(77) {
        return skipped("a full disk", "no tmpfs can be mounted");
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.ends_with("codes 2 0 0 0\n"), "{printed}{}", stderr(&output));
    assert!(stderr(&output).contains("unavailable") && stderr(&output).contains("space"), "{}", stderr(&output));
    let summary: Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    assert_eq!((&summary["documents_new"], &summary["documents_unchanged"]), (&20.into(), &1.into()));
}

#[test]
fn an_index_of_another_embedder_is_refused_and_rebuilt_on_request() {
    let site = Site::new();
    site.write("a.txt", "Das Archiv ist im Keller.");
    site.ingest(0);
    let path = site.data().join("index/manifest.toml");
    let manifest = fs::read_to_string(&path).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("sha256")).unwrap();
    fs::write(&path, manifest.replace(line, &format!("sha256 = \"{}\"", "0".repeat(64)))).unwrap();
    for command in [&["search", "Keller"][..], &["status"], &["check"]] {
        let output = site.run(command, 2);
        assert!(stderr(&output).contains("conflict") && stderr(&output).contains("embedder"), "{}", stderr(&output));
    }
    let repaired = site.json(&["check", "--repair"], 0);
    assert_eq!(repaired["consistent"], true);
    assert_eq!(site.json(&["search", "Keller"], 0)["hits"].as_array().unwrap().len(), 1);
}

#[test]
fn a_newer_index_and_a_newer_ledger_are_refused_untouched() {
    let site = Site::new();
    site.write("a.txt", "Das Archiv ist im Keller.");
    site.ingest(0);
    let path = site.data().join("index/manifest.toml");
    let manifest = fs::read_to_string(&path).unwrap();
    fs::write(&path, manifest.replace("format = 3", "format = 99")).unwrap();
    let output = site.run(&["search", "Keller"], 2);
    assert!(stderr(&output).contains("conflict") && stderr(&output).contains("99"), "{}", stderr(&output));
    fs::write(&path, manifest).unwrap();
    site.run(&["search", "Keller"], 0);

    // The schema version is a big-endian number at byte 60 of a SQLite file (sqlite.org/fileformat2.html).
    let path = site.data().join("ledger.sqlite");
    let ledger = fs::read(&path).unwrap();
    let mut newer = ledger.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&path, &newer).unwrap();
    let output = site.run(&["search", "Keller"], 2);
    assert!(stderr(&output).contains("conflict"), "{}", stderr(&output));
    fs::write(&path, ledger).unwrap();
    site.run(&["search", "Keller"], 0);
}

/// Files of the interrupted run: several groups.
const FILES: usize = 150;

#[test]
fn ctrl_c_in_the_middle_exits_130_and_the_next_run_completes_it() {
    let calm = Site::new();
    for number in 0..FILES {
        calm.write(&format!("{number:03}.md"), format!("# Akte {number}\n\nDie Akte {number} liegt im Regal.\n"));
    }
    let begin = Instant::now();
    calm.ingest(0);
    let mut moment = begin.elapsed() / 2;
    // A run that was already over, or had not yet set its handler, is tried again at another moment.
    for _ in 0..8 {
        let site = Site::over(&calm);
        let documents = site.documents();
        let mut ingest = site.command(&["ingest", documents.to_str().unwrap(), "--json", "--quiet"]);
        let child = ingest.stdout(Stdio::piped()).spawn().unwrap();
        thread::sleep(moment);
        assert!(works("kill", &["-INT", &child.id().to_string()]));
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(130) => {}
            Some(0) => {
                moment = moment * 2 / 3;
                continue;
            }
            _ => {
                moment += Duration::from_millis(300);
                continue;
            }
        }
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        let before = summary["documents_new"].as_u64().unwrap();
        assert_eq!(summary["cancelled"], true);
        assert_eq!(site.json(&["check"], 0)["consistent"], true);
        assert_eq!(site.json(&["status"], 0)["documents"], before);
        let rest = site.ingest(0);
        assert_eq!(rest["documents_new"].as_u64().unwrap() + before, FILES as u64);
        let digest = |site: &Site| site.json(&["check"], 0)["chunk_ids_sha256"].clone();
        assert_eq!(digest(&site), digest(&calm));
        return;
    }
    panic!("no interrupt came in the middle");
}
