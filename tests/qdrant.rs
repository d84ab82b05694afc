//! An archive whose vectors are on a Qdrant server: moved there, used there, moved back; and servers that cannot be used.

use std::{fs, process::Command};

use serde_json::Value;

use crate::site::{Site, skipped};

/// A site whose vectors are on a server.
struct Remote<'a> {
    site: &'a Site,
    url: String,
    key: Option<String>,
}

impl Remote<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.env("FONTES_QDRANT__URL", &self.url);
        command.env("FONTES_QDRANT__COLLECTION", format!("fontes-test-{}", std::process::id()));
        if let Some(key) = &self.key {
            let path = self.site.dir().join("key");
            fs::write(&path, key).unwrap();
            command.env("FONTES_QDRANT__API_KEY_FILE", path);
        }
        command
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What stderr says of a command that fails.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn check_of(report: &Value) -> &Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "vectors").unwrap()
}

#[test]
fn servers_that_cannot_be_used_are_named_with_advice() {
    let site = Site::new();
    let absent = Remote { site: &site, url: "http://127.0.0.1:9".into(), key: None };
    let refusal = absent.refusal(&["status"]);
    assert!(refusal.contains("http://127.0.0.1:9") && refusal.contains("qdrant.url"), "{refusal}");
    let report = absent.json(&["doctor"], 2);
    assert_eq!(check_of(&report)["status"], "fail", "{report}");
    let open = Remote { site: &site, url: "http://192.0.2.1:6334".into(), key: Some("geheim".into()) };
    let refusal = open.refusal(&["status"]);
    assert!(refusal.contains("unencrypted") && refusal.contains("https://"), "{refusal}");
    assert!(!refusal.contains("geheim"));
    assert_eq!(check_of(&site.json(&["doctor"], 0))["detail"], "in process");
}

/// Leaves an empty collection on the server: one that is left behind on the way back is not deleted.
#[test]
fn an_archive_moves_to_a_server_and_back() {
    let Ok(url) = std::env::var("FONTES_QDRANT_URL") else {
        return skipped("an archive on a Qdrant server", "FONTES_QDRANT_URL names none");
    };
    let site = Site::new();
    let remote = Remote { site: &site, url, key: std::env::var("FONTES_QDRANT_API_KEY").ok() };
    site.write("umzug.txt", "Der Umzug nach Biel ist im Mai.");
    site.write("frist.txt", "Die Frist für Einsprachen beträgt dreissig Tage.");
    site.ingest(0);
    let query = ["search", "Wie lange kann man Einsprache erheben?", "--mode", "dense"];
    let hits = |found: &Value| -> Vec<(String, f64)> {
        let hits = found["hits"].as_array().unwrap().iter();
        hits.map(|hit| (hit["chunk_id"].to_string(), hit["scores"]["dense"].as_f64().unwrap())).collect()
    };
    let here = hits(&site.json(&query, 0));

    let refusal = remote.refusal(&["status"]);
    assert!(refusal.contains("check --repair"), "{refusal}");
    assert_eq!(remote.json(&["check", "--repair"], 0)["consistent"], true);
    let there = hits(&remote.json(&query, 0));
    assert_eq!(here.len(), there.len());
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(here.0, there.0);
        assert!((here.1 - there.1).abs() < 1e-4, "{here:?} {there:?}");
    }
    site.write("neu.txt", "Neu: Einsprachen gehen an das Bundesgericht.");
    let folder = site.documents();
    assert_eq!(remote.json(&["ingest", folder.to_str().unwrap()], 0)["documents_new"], 1);
    let found = remote.json(&["search", "Einsprachen an das Bundesgericht"], 0);
    let document = found["hits"][0]["document_id"].as_str().unwrap().to_owned();
    assert_eq!(remote.json(&["forget", &document], 0)["verified_absent"], true);
    let check = remote.json(&["check"], 0);
    assert_eq!((&check["consistent"], check["chunks"].as_u64()), (&Value::Bool(true), Some(2)), "{check}");
    assert!(check["vectors"].as_str().unwrap().contains(&remote.url));
    assert_eq!(check_of(&remote.json(&["doctor"], 0))["status"], "ok");

    for hit in remote.json(&["search", "Umzug oder Frist"], 0)["hits"].as_array().unwrap() {
        remote.json(&["forget", hit["document_id"].as_str().unwrap()], 0);
    }
    let refusal = site.command(&["status"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refusal.stderr).contains("check --repair"));
    assert_eq!(site.json(&["check", "--repair"], 0)["consistent"], true);
}
