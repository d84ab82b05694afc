//! Vectors of several embedders side by side: added, built and interrupted, switched to and back, taken away; and what an
//! operator is told. The second embedder is mostly the first one cut to fewer dimensions, which is a set like any other.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::site::{EMBEDDER, Site, fontes, skipped};

/// The searched set of every new site.
const FULL: &str = "multilingual-e5-small@384";

/// The same embedder cut to a third.
const CUT: &str = "multilingual-e5-small@128";

/// Kills in each of the tests that kill.
const KILLS: usize = 5;

/// Documents of those tests: more than a group.
const DOCUMENTS: usize = 320;

/// Sets by name: state, chunks done, chunks in all.
fn sets(site: &Site) -> Vec<(String, String, u64, u64)> {
    let output = site.run(&["embedders", "--json"], 0);
    let lines = String::from_utf8(output.stdout).unwrap();
    let set = |line: &str| {
        let set: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| set[key].as_str().unwrap().to_owned();
        (text("name"), text("state"), set["chunks_done"].as_u64().unwrap(), set["chunks_total"].as_u64().unwrap())
    };
    lines.lines().map(set).collect()
}

fn state(site: &Site, name: &str) -> String {
    sets(site).into_iter().find(|set| set.0 == name).map(|set| set.1).unwrap()
}

/// Chunks found by similarity alone, with their scores.
fn near(site: &Site, query: &str) -> Vec<(String, f64)> {
    let found = site.json(&["search", query, "--mode", "dense"], 0);
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| (hit["chunk_id"].to_string(), hit["scores"]["dense"].as_f64().unwrap())).collect()
}

fn check(site: &Site) -> Value {
    let check = site.json(&["check"], 0);
    assert_eq!(check["consistent"], true, "{check}");
    check
}

fn refusal(site: &Site, arguments: &[&str]) -> String {
    String::from_utf8(site.run(arguments, 2).stderr).unwrap()
}

fn acts(site: &Site) {
    site.write("frist.txt", "Die Frist für Einsprachen beträgt dreissig Tage.");
    site.write("umzug.txt", "Der Umzug nach Biel ist im Mai.");
    site.write("archiv.txt", "Das Archiv liegt im Keller des Rathauses.");
    site.ingest(0);
}

#[test]
fn an_archive_changes_its_embedder_and_back_while_documents_come_and_go() {
    let site = Site::new();
    acts(&site);
    let before = near(&site, "Wie lange kann man Einsprache erheben?");
    assert_eq!(sets(&site), [(FULL.into(), "active".into(), 3, 3)]);
    let added = site.json(&["embedders", "add", CUT], 0);
    assert_eq!((&added["chunks_done"], &added["embedded"], &added["dimensions"]), (&3.into(), &3.into(), &128.into()));
    assert_eq!(state(&site, CUT), "ready");
    assert_eq!(near(&site, "Wie lange kann man Einsprache erheben?"), before, "searches are as before");

    site.write("neu.txt", "Neu: Beschwerden gehen an das Bundesgericht.");
    site.write("umzug.txt", "Der Umzug nach Biel ist erst im Juni.");
    site.ingest(0);
    assert_eq!(state(&site, CUT), "behind");
    assert_eq!(check(&site)["sets"][0]["missing"], 2);
    let used = site.json(&["embedders", "use", CUT], 0);
    assert_eq!((&used["previous"], &used["embedded"]), (&FULL.into(), &2.into()), "what came is caught up first");
    let after = near(&site, "Wie lange kann man Einsprache erheben?");
    assert_eq!(after[0].0, before[0].0, "the same chunk");
    assert!((after[0].1 - before[0].1).abs() > 1e-4, "by other vectors: {after:?} {before:?}");
    assert_eq!(near(&site, "Wohin gehen Beschwerden?").len(), 4);
    let status = site.json(&["status"], 0);
    assert_eq!((&status["embedder"]["name"], &status["consistent"]), (&EMBEDDER.into(), &true.into()));
    site.run(&["ask", "Wie lange ist die Frist für Einsprachen?", "--model", "none"], 0);

    let summary = site.ingest(0);
    assert_eq!(summary["documents_unchanged"], 4, "documents stay as they were cut: {summary}");
    fs::remove_file(site.documents().join("archiv.txt")).unwrap();
    site.ingest(0);
    let document = site.json(&["search", "Beschwerden"], 0)["hits"][0]["document_id"].as_str().unwrap().to_owned();
    assert_eq!(site.json(&["forget", &document], 0)["verified_absent"], true);
    assert_eq!(sets(&site), [(FULL.into(), "ready".into(), 2, 2), (CUT.into(), "active".into(), 2, 2)]);
    check(&site);

    let back = site.json(&["embedders", "use", FULL], 0);
    assert_eq!(back["embedded"], 0, "nothing came in the meantime, what went has left both");
    assert_eq!(near(&site, "Wie lange kann man Einsprache erheben?")[0], before[0]);
    site.json(&["embedders", "drop", CUT], 0);
    assert_eq!(sets(&site), [(FULL.into(), "active".into(), 2, 2)]);
    assert!(!site.data().join("index/vectors-2").exists());
    check(&site);
}

#[test]
fn another_model_takes_over() {
    const OTHER: &str = "all-minilm-l6-v2";
    if !fontes().args(["models", "install", OTHER, "--quiet"]).output().unwrap().status.success() {
        return skipped("a switch to another model", "all-minilm-l6-v2 cannot be installed");
    }
    let site = Site::new();
    site.write("a.txt", "The archive is in the cellar of the town hall.");
    site.write("b.txt", "Objections can be raised within thirty days.");
    site.ingest(0);
    site.json(&["embedders", "use", FULL], 0);
    let unknown = refusal(&site, &["embedders", "use", OTHER]);
    assert!(unknown.contains(FULL) && unknown.contains("embedders add"), "{unknown}");
    site.json(&["embedders", "add", OTHER], 0);
    site.json(&["embedders", "use", OTHER], 0);
    let hits = site.json(&["search", "How long may one object?", "--mode", "dense"], 0);
    assert!(hits["hits"][0]["text"].as_str().unwrap().contains("thirty"), "{hits}");
    site.run(&["ask", "Where is the archive?", "--model", "none"], 0);
    assert_eq!(site.ingest(0)["documents_unchanged"], 2);
    site.json(&["embedders", "drop", EMBEDDER], 0);
    check(&site);
    let output = site.run(&["status"], 0);
    let remark = String::from_utf8(output.stderr).unwrap();
    assert!(remark.contains("models.embedder") && remark.contains("embedders add"), "{remark}");
    let configured = site.command(&["status"]).env("FONTES_MODELS__EMBEDDER", OTHER).output().unwrap();
    assert!(configured.status.success() && configured.stderr.is_empty(), "nothing to remark");
}

/// A number from the system clock: moments need to differ between runs, and a failure prints its own.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64)
    }

    fn within(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        most.mul_f64((self.0 >> 40) as f64 / (1u64 << 24) as f64)
    }
}

fn many(site: &Site) {
    for number in 0..DOCUMENTS {
        let text = format!(
            "# Akte {number}\n\nDie Akte {number} liegt im Regal {} und betrifft {}.\n",
            number % 7,
            number * 13
        );
        site.write(&format!("akten/{number:03}.md"), text);
    }
    site.ingest(0);
}

fn kill_after(mut child: Child, moment: Duration) {
    thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn kills_of_a_building_and_of_a_switch_lose_nothing_and_do_nothing_twice() {
    let site = Site::new();
    many(&site);
    let total = site.json(&["status"], 0)["chunks"].as_u64().unwrap();
    let begin = Instant::now();
    site.json(&["embedders", "add", "multilingual-e5-small@64"], 0);
    let whole = begin.elapsed();
    site.json(&["embedders", "drop", "multilingual-e5-small@64"], 0);

    let mut moments = Moments::new();
    let seed = moments.0;
    let quietly = |arguments: &[&str]| {
        site.command(arguments).arg("--quiet").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut done = 0;
    for kill in 0..KILLS {
        kill_after(quietly(&["embedders", "add", CUT]), moments.within(whole));
        check(&site);
        let now = sets(&site).iter().find(|set| set.0 == CUT).map_or(0, |set| set.2);
        assert!(now >= done, "kill {kill}, seed {seed}: {now} after {done}");
        done = now;
        assert!(!near(&site, "In welchem Regal liegt die Akte 12?").is_empty());
    }
    let added = site.json(&["embedders", "add", CUT], 0);
    assert_eq!(added["embedded"].as_u64(), Some(total - done), "seed {seed}");

    let begin = Instant::now();
    site.json(&["embedders", "use", CUT], 0);
    let whole = begin.elapsed();
    let mut active = CUT.to_owned();
    for kill in 0..KILLS {
        let next = if active == FULL { CUT } else { FULL };
        // Most of it is reading the model; the switch itself is a moment near the end.
        kill_after(quietly(&["embedders", "use", next]), whole / 2 + moments.within(whole / 2));
        let now = sets(&site).into_iter().find(|set| set.1 == "active").unwrap().0;
        assert!([FULL, CUT].contains(&now.as_str()), "kill {kill}, seed {seed}");
        active = now;
        check(&site);
        assert!(!near(&site, "In welchem Regal liegt die Akte 12?").is_empty());
    }
    assert_eq!(site.ingest(0)["documents_unchanged"].as_u64(), Some(DOCUMENTS as u64));
}

#[test]
fn ctrl_c_leaves_what_is_done_and_says_so() {
    let site = Site::new();
    many(&site);
    // A run that was already over, or had not yet set its handler, is tried again at another moment.
    for milliseconds in [2_500, 1_800, 3_500, 1_200, 5_000] {
        let child = site.command(&["embedders", "add", CUT, "--json"]);
        let mut child = { child }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        if status.code() != Some(130) {
            site.run(&["embedders", "drop", CUT, "--json"], if status.success() { 0 } else { 2 });
            continue;
        }
        let mut told = String::new();
        child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["cancelled"], true);
        let (_, state, done, total) = sets(&site).into_iter().find(|set| set.0 == CUT).unwrap();
        assert_eq!((state.as_str(), Some(done)), ("building", told["chunks_done"].as_u64()));
        let rest = site.json(&["embedders", "use", CUT], 0);
        assert_eq!(rest["embedded"].as_u64(), Some(total - done), "the switch completes it");
        return;
    }
    skipped("Ctrl-C while vectors are built", "no moment was within the run");
}

/// Searches through the server at `address`.
fn ask_server(address: &str, query: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = serde_json::json!({ "query": query, "mode": "dense" }).to_string();
    write!(
        stream,
        "POST /v1/search HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn a_server_answers_while_it_builds_what_was_added_for_later() {
    let site = Site::new();
    many(&site);
    let added = site.json(&["embedders", "add", CUT, "--later"], 0);
    assert_eq!((&added["chunks_done"], &added["embedded"]), (&0.into(), &0.into()));
    assert_eq!(state(&site, CUT), "building");
    let mut server = site.command(&["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let listening = lines.find(|line| line.contains("http://")).unwrap();
    let address = listening.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let reply = ask_server(&address, "In welchem Regal liegt die Akte 12?");
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("Akte"), "{reply}");
    let busy = refusal(&site, &["embedders", "use", CUT]);
    assert!(busy.contains("conflict"), "one process at a time holds the directory: {busy}");
    let done = lines.find(|line| line.contains("holds all")).unwrap();
    assert!(done.contains(CUT) && done.contains("embedders use"), "{done}");
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(state(&site, CUT), "ready");
    assert_eq!(site.json(&["embedders", "use", CUT], 0)["embedded"], 0);
}

#[test]
fn a_configured_cut_is_what_a_new_archive_gets() {
    let site = Site::new();
    site.write("a.txt", "Das Archiv ist im Keller.");
    let configured = |name: &str, arguments: &[&str]| {
        let output = site.command(arguments).env("FONTES_MODELS__EMBEDDER", name).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let documents = site.documents();
    let ingest = ["ingest", documents.to_str().unwrap()];
    for wrong in ["multilingual-e5-small@0", "multilingual-e5-small@385"] {
        let (code, stderr) = configured(wrong, &ingest);
        assert!(code == Some(2) && stderr.contains("invalid") && stderr.contains("1 to 384"), "{stderr}");
    }
    assert_eq!(configured(CUT, &ingest).0, Some(0));
    assert_eq!(sets(&site), [(CUT.into(), "active".into(), 1, 1)], "whatever is configured later");
    assert_eq!(near(&site, "Wo ist das Archiv?").len(), 1);
}

#[test]
fn mistakes_are_told_with_a_way_out() {
    let site = Site::new();
    let none = refusal(&site, &["embedders", "add", CUT]);
    assert!(none.contains("not_found") && none.contains("ingest"), "{none}");
    acts(&site);
    let missing = refusal(&site, &["embedders", "add", "bge-m3"]);
    assert!(missing.contains("models"), "{missing}");
    let active = refusal(&site, &["embedders", "drop", EMBEDDER]);
    assert!(active.contains("conflict") && active.contains("embedders use"), "{active}");
    site.json(&["embedders", "add", CUT], 0);
    let unclear = refusal(&site, &["embedders", "use", EMBEDDER]);
    assert!(unclear.contains(FULL) && unclear.contains(CUT), "{unclear}");
    let again = site.json(&["embedders", "add", CUT], 0);
    assert_eq!(again["embedded"], 0);
    assert_eq!(site.json(&["embedders", "use", FULL], 0)["embedded"], 0, "it is in use");
}

#[test]
fn a_damaged_set_beside_stops_no_search_and_is_emptied_on_request() {
    let site = Site::new();
    acts(&site);
    site.json(&["embedders", "add", CUT], 0);
    fs::remove_dir_all(site.data().join("index/vectors-2/segments")).unwrap();
    assert_eq!(near(&site, "Wie lange ist die Frist?").len(), 3);
    let told = refusal(&site, &["check"]);
    assert!(told.contains("corrupt") && told.contains(CUT) && told.contains("--repair"), "{told}");
    let repaired = site.json(&["check", "--repair"], 0);
    assert_eq!((&repaired["consistent"], &repaired["sets"][0]["missing"]), (&true.into(), &3.into()));
    assert_eq!(repaired["emptied"], serde_json::json!([CUT]));
    assert_eq!(state(&site, CUT), "building");
    assert_eq!(site.json(&["embedders", "add", CUT], 0)["embedded"], 3);
    assert_eq!(check(&site)["emptied"], serde_json::json!([]));
    fs::remove_dir_all(site.data().join("index/vectors-3/segments")).unwrap();
    site.json(&["embedders", "drop", CUT], 0);
    check(&site);
}
