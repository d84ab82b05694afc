//! Copies: what is said in several documents is shown once and names them all, each to those who may see it.

use serde_json::Value;

use crate::site::Site;

const RULE: &str = "Wer eine Bewilligung erneuern will, reicht das Gesuch spätestens dreissig Tage vor dem Ablauf bei \
                    der Gemeindekanzlei in Riedwil ein. Die Gebühr beträgt vierzig Franken und ist bar zu bezahlen.";

const QUESTION: &str = "Wie hoch ist die Gebühr für die Erneuerung der Bewilligung in Riedwil?";

/// The rule, the same from another writer's machine, and a later version.
fn site() -> Site {
    let site = Site::new();
    site.write("merkblatt.txt", RULE);
    site.write("kopie.md", RULE.to_uppercase().replace(' ', "\n").replace('.', " ."));
    site.write("neu.txt", RULE.replace("vierzig", "sechzig"));
    site
}

/// The names of the files behind a hit or citation, sorted.
fn places(found: &Value) -> Vec<String> {
    let others = found["also_in"].as_array().into_iter().flatten();
    let name = |place: &Value| place["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let mut names: Vec<String> = others.chain([found]).map(name).collect();
    names.sort();
    names
}

fn hits(found: &Value) -> Vec<Vec<String>> {
    let mut hits: Vec<Vec<String>> = found["hits"].as_array().unwrap().iter().map(places).collect();
    hits.sort();
    hits
}

fn cited(answer: &Value) -> Vec<Vec<String>> {
    let sentences = answer["sentences"].as_array().unwrap().iter();
    sentences.flat_map(|sentence| sentence["citations"].as_array().unwrap()).map(places).collect()
}

#[test]
fn copies_are_one_source_and_another_version_is_another() {
    let site = site();
    site.ingest(0);
    let found = site.json(&["search", QUESTION], 0);
    assert_eq!(hits(&found), [vec!["kopie.md", "merkblatt.txt"], vec!["neu.txt"]]);
    let answer = site.json(&["ask", QUESTION, "--model", "none", "--threshold", "0"], 0);
    let cited = cited(&answer);
    assert!(cited.iter().all(|places| *places == ["neu.txt"] || *places == ["kopie.md", "merkblatt.txt"]), "{cited:?}");
    let shown = site.run(&["search", QUESTION], 0);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("also in "), "{shown:?}");
}

#[test]
fn a_forgotten_copy_is_named_no_longer() {
    let site = site();
    site.ingest(0);
    let found = site.json(&["search", QUESTION], 0);
    let hit = found["hits"].as_array().unwrap().iter().find(|hit| hit["also_in"].is_array()).unwrap();
    let (shown, named) = (&hit["document_id"], &hit["also_in"][0]["document_id"]);
    site.run(&["forget", shown.as_str().unwrap()], 0);
    let found = site.json(&["search", QUESTION], 0);
    let ids: Vec<&Value> = found["hits"].as_array().unwrap().iter().map(|hit| &hit["document_id"]).collect();
    assert!(ids.contains(&named) && !ids.contains(&shown));
    assert!(!found.to_string().contains("also_in"));
    let answer = site.json(&["ask", QUESTION, "--model", "none", "--threshold", "0"], 0);
    assert!(!answer.to_string().contains(shown.as_str().unwrap()));
}

#[test]
fn a_copy_that_is_not_yours_is_neither_named_nor_in_the_way() {
    let site = Site::new();
    let configuration = site.dir().join("fontes.toml");
    let principals = "[access.principals.anna]\ngroups = [\"board\"]\n[access.principals.beat]\ngroups = [\"staff\"]\n\
                      [access.principals.clea]\ngroups = [\"board\", \"staff\"]\n";
    std::fs::write(&configuration, principals).unwrap();
    let configuration = configuration.to_str().unwrap();
    for group in ["board", "staff"] {
        let path = site.write(&format!("{group}.txt"), RULE);
        site.run(&["--config", configuration, "ingest", path.to_str().unwrap(), "--group", group], 0);
    }
    for (who, sees) in
        [("anna", vec!["board.txt"]), ("beat", vec!["staff.txt"]), ("clea", vec!["board.txt", "staff.txt"])]
    {
        let found = site.json(&["--config", configuration, "search", QUESTION, "--as", who], 0);
        assert_eq!(hits(&found), std::slice::from_ref(&sees), "{who}");
        let ask = ["--config", configuration, "ask", QUESTION, "--model", "none", "--threshold", "0", "--as", who];
        let cited = cited(&site.json(&ask, 0));
        assert!(!cited.is_empty() && cited.iter().all(|places| *places == sees), "{who}: {cited:?}");
    }
}

const NOTICE: &str = "Diese Nachricht ist vertraulich und nur für die Person bestimmt, an die sie gerichtet ist. Wer sie \
                      irrtümlich erhält, darf ihren Inhalt weder speichern noch an andere weitergeben und löscht sie.";

#[test]
fn a_notice_below_every_mail_takes_one_place() {
    let site = Site::new();
    for n in 0..20 {
        let about = ["Offerte", "Rechnung", "Mahnung", "Bestellung"][n % 4];
        site.write(&format!("mail{n:02}.txt"), format!("Anbei die {about} Nummer {n} vom März.\n\n{NOTICE}\n"));
    }
    site.write("weisung.txt", "Vertraulich ist, was ein Amt so bezeichnet. Weitergeben darf es nur die Leitung.");
    site.ingest(0);
    let names = |question: &str, k: &str| -> Vec<String> {
        let found = site.json(&["search", question, "-k", k], 0);
        found["hits"].as_array().unwrap().iter().flat_map(places).collect()
    };
    let question = "Wer darf den Inhalt einer vertraulichen Nachricht an andere weitergeben?";
    assert!(names(question, "2").contains(&"weisung.txt".to_owned()), "{:?}", names(question, "5"));
    assert_eq!(names(question, "30").len(), 21, "those that step back are still there");
    // A mail that has more of the question than the notice keeps its place.
    assert!(names("vertrauliche Nachricht mit Mahnung Nummer 14", "3").contains(&"mail14.txt".to_owned()));
}
