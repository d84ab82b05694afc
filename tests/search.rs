//! Searching: why a hit is there, what may be counted, what was probably meant.

use crate::site::Site;

/// A site of three documents in two languages.
fn site() -> Site {
    let site = Site::new();
    site.write(
        "frist.txt",
        "Die Kündigungsfrist beträgt nach Art. 335c Abs. 1 OR einen Monat; die Frist beginnt mit dem Empfang.",
    );
    site.write("rat.txt", "Der Bundesrat besteht aus sieben Mitgliedern und wird von der Bundesversammlung gewählt.");
    site.write("delai.txt", "Le délai de recours est de trente jours à compter de la notification de la décision.");
    site.ingest(0);
    site
}

#[test]
fn every_hit_says_why_it_is_there() {
    let site = site();
    let filtered = ["search", "Frist der Kündigung, Art. 335c", "--explain", "--filter", "language=de"];
    let found = site.json(&filtered, 0);
    let hit = &found["hits"][0];
    let why = &hit["explanation"];
    assert!(hit["text"].as_str().unwrap().contains("Kündigungsfrist"));
    let term = |wanted: &str| {
        let terms = why["terms"].as_array().unwrap();
        terms.iter().find(|term| term["term"] == wanted).unwrap_or_else(|| panic!("{wanted} in {terms:?}"))
    };
    assert!(term("kündigung")["found"][0].as_str().unwrap().contains("kuendigungsfrist"));
    assert!(term("art 335c")["weight"].as_f64().unwrap() > 0.0);
    assert_eq!(why["similarity"], hit["scores"]["dense"]);
    let shares = why["fusion"]["dense"].as_f64().unwrap() + why["fusion"]["lexical"].as_f64().unwrap();
    assert!((shares - hit["scores"]["fused"].as_f64().unwrap()).abs() < 1e-5);
    assert!(why["boosts"][0].as_str().unwrap().contains("exactly"));
    assert_eq!(why["filters"][0], "language=de");
    let shown = site.run(&["search", "Bundesrat", "--explain"], 0);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("text: as typed") && shown.contains("similarity"), "{shown}");
}

#[test]
fn two_questions_in_one_bring_the_passage_of_each() {
    let site = site();
    let asked = "Wie lange ist die Kündigungsfrist und wie viele Mitglieder hat der Bundesrat?";
    let found = site.json(&["search", asked, "-k", "2", "--explain"], 0);
    let mut paths: Vec<&str> = found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["frist.txt", "rat.txt"]);
    assert_eq!(found["queries"][2]["text"], "wie viele Mitglieder hat der Bundesrat?");
    let best = &found["hits"][0]["explanation"]["found_by"][0];
    assert_eq!((&best["kind"], &best["rank"]), (&"part".into(), &1.into()));
    let shown = site.run(&["search", asked, "--explain"], 0);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("number 1 for"), "each hit says what found it");
    let whole = site.json(&["search", asked, "--whole"], 0);
    assert!(whole.get("queries").is_none());
    let single = site.json(&["search", "Wie viele Mitglieder hat der Bundesrat?"], 0);
    assert!(single.get("queries").is_none());
    site.run(&["search", "Bundesrat", "--diversity", "2"], 2);
}

#[test]
fn a_recipe_of_the_site_decides_what_weighs() {
    let site = site();
    let recipe = std::fs::read_to_string(crate::site::repository().join("indexes/default/index.toml")).unwrap();
    let path = site.dir().join("mine.toml");
    std::fs::write(&path, format!("{recipe}\n[fusion.learnt]\ntitle = 0.5\n")).unwrap();
    let search = |recipe: &std::path::Path| {
        let mut command = site.command(&["search", "Welche Frist gilt?", "--explain", "--json"]);
        command.env("FONTES_INDEX__RECIPE", recipe).output().unwrap()
    };
    let found: serde_json::Value = serde_json::from_slice(&search(&path).stdout).unwrap();
    let shares = &found["hits"][0]["explanation"]["fusion"];
    assert!(shares["document"].as_f64().unwrap() > 0.0, "{shares}");
    let missing = search(&site.dir().join("none.toml"));
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("none.toml"));
}

#[test]
fn documents_are_counted() {
    let found = site().json(&["search", "Bundesrat", "--facets"], 0);
    let facets = found["facets"].as_array().unwrap();
    let count = |field: &str, value: &str| {
        facets.iter().find(|facet| facet["field"] == field && facet["value"] == value).map(|facet| &facet["documents"])
    };
    assert_eq!(count("language", "de").unwrap(), 2);
    assert_eq!(count("language", "fr").unwrap(), 1);
    assert_eq!(count("media_type", "text/plain").unwrap(), 3);
}

#[test]
fn slips_and_operators_are_told() {
    let site = site();
    let found = site.json(&["search", "Bundesversamlung"], 0);
    assert_eq!(found["suggestion"], "bundesversammlung");
    assert!(found["hits"][0]["text"].as_str().unwrap().contains("Bundesversammlung"));
    let found = site.json(&["search", "Bundesrat AND Mitglieder"], 0);
    assert!(found["remark"].as_str().unwrap().contains("plain words"));
    assert!(found["hits"][0]["text"].as_str().unwrap().contains("sieben Mitgliedern"));
}

#[test]
fn what_is_asked_for_one_patient_brings_no_other() {
    let site = Site::new();
    // The note is "Asthma seit der Kindheit, Salbutamol bei Bedarf." in base64.
    let record = |id: &str, given: &str| {
        format!(
            r#"{{"resourceType":"Bundle","entry":[
            {{"resource":{{"resourceType":"Patient","id":"{id}","name":[{{"given":["{given}"],"family":"Muster"}}]}}}},
            {{"resource":{{"resourceType":"DocumentReference","id":"note","subject":{{"reference":"Patient/{id}"}},"content":[{{"attachment":
              {{"contentType":"text/plain","data":"QXN0aG1hIHNlaXQgZGVyIEtpbmRoZWl0LCBTYWxidXRhbW9sIGJlaSBCZWRhcmYu"}}}}]}}}}]}}"#
        )
    };
    site.write("eva.json", record("p1", "Eva"));
    site.write("ida.json", record("p2", "Ida"));
    site.write("merkblatt.txt", "Asthma: Salbutamol bei Bedarf, höchstens achtmal am Tag.");
    site.ingest(0);
    // Where the hits are, and what says the same; 1 is the exit code for none.
    let places = |filter: &[&str], code: i32| -> Vec<String> {
        let found = site.json(&[&["search", "Asthma Salbutamol"], filter].concat(), code);
        let hits = found["hits"].as_array().unwrap();
        let all =
            hits.iter().flat_map(|hit| std::iter::once(hit).chain(hit["also_in"].as_array().into_iter().flatten()));
        all.map(|place| place["path"].as_str().unwrap().to_owned()).collect()
    };
    assert!(places(&[], 0).iter().any(|path| path.contains("merkblatt")));
    for patient in ["patient=eva muster", "patient=P1"] {
        let found = places(&["--filter", patient], 0);
        assert!(found.iter().any(|path| path.contains("eva.json!/note")), "{found:?}");
        assert!(found.iter().all(|path| path.contains("eva.json")), "{found:?}");
    }
    // The record turns out to be Ida's; the note inside it has not changed.
    site.write("eva.json", record("p2", "Ida"));
    site.ingest(0);
    assert!(places(&["--filter", "patient=eva muster"], 1).is_empty());
    assert!(places(&["--filter", "patient=p2"], 0).iter().any(|path| path.contains("eva.json!/note")));
}
