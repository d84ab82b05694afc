//! Access: what a principal may not see stays unseen, in every mode and in every message.

use crate::site::Site;

/// Two groups, three people.
const CONFIGURATION: &str = r#"
[access.principals.anna]
groups = ["board"]
clearance = "confidential"
[access.principals.beat]
groups = ["staff"]
clearance = "internal"
[access.principals.nobody]
groups = []
clearance = "secret"
"#;

fn site() -> (Site, String) {
    let site = Site::new();
    let configuration = site.dir().join("fontes.toml");
    std::fs::write(&configuration, CONFIGURATION).unwrap();
    let board = site.write("board/plan.txt", "Der Umzug nach Biel kostet zwei Millionen Franken.");
    let staff = site.write("staff/plan.txt", "Der Umzug nach Biel ist im Mai.");
    let configuration = configuration.to_str().unwrap().to_owned();
    for (path, group, level) in [(board, "board", "confidential"), (staff, "staff", "internal")] {
        let path = path.to_str().unwrap();
        site.run(&["--config", &configuration, "ingest", path, "--group", group, "--classification", level], 0);
    }
    (site, configuration)
}

#[test]
fn each_sees_only_what_is_theirs_in_every_mode() {
    let (site, configuration) = site();
    for mode in ["lexical", "dense", "hybrid"] {
        for (who, sees) in [("anna", "Millionen"), ("beat", "Mai")] {
            let arguments = ["--config", &configuration, "search", "Umzug nach Biel", "--mode", mode, "--as", who];
            let found = site.json(&arguments, 0);
            let hits = found["hits"].as_array().unwrap();
            assert_eq!(hits.len(), 1, "{who} {mode}");
            assert!(hits[0]["text"].as_str().unwrap().contains(sees), "{who} {mode}");
        }
        let arguments = ["--config", &configuration, "search", "Umzug nach Biel", "--mode", mode, "--as", "nobody"];
        assert!(site.json(&arguments, 1)["hits"].as_array().unwrap().is_empty(), "no group sees nothing");
    }
}

#[test]
fn not_yours_and_not_there_look_alike() {
    let (site, configuration) = site();
    let found = site.json(&["--config", &configuration, "search", "Umzug", "--as", "anna"], 0);
    let id = found["hits"][0]["document_id"].as_str().unwrap();
    site.run(&["--config", &configuration, "show", id, "--as", "anna"], 0);
    let hidden = site.run(&["--config", &configuration, "show", id, "--as", "beat"], 2);
    let absent_id = "00000000-0000-8000-8000-000000000000";
    let absent = site.run(&["--config", &configuration, "show", absent_id, "--as", "beat"], 2);
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text(&hidden).replace(id, absent_id), text(&absent));
}

#[test]
fn a_stranger_is_refused() {
    let (site, configuration) = site();
    let output = site.run(&["--config", &configuration, "search", "Umzug", "--as", "mallory"], 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("forbidden"));
}
