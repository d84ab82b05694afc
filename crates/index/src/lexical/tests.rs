//! Tests of the lexical index: the contract, four languages, identifiers, reopening, damage.

use fontes_core::{Classification, ErrorKind, Language};
use fontes_testkit::{Specimen, conformance, scope};
use tempfile::TempDir;

use super::*;
use crate::recipe::Recipe;

fn recipe() -> LexicalRecipe {
    LexicalRecipe { writer_memory_mib: 16, ..Recipe::builtin().lexical }
}

fn create(dir: &TempDir) -> TantivyIndex {
    let lock = Arc::new(DirectoryLock::acquire(dir.path()).unwrap());
    TantivyIndex::create(&dir.path().join("lexical"), &recipe(), lock).unwrap()
}

fn reopen(dir: &TempDir) -> Result<TantivyIndex, IndexError> {
    let lock = Arc::new(DirectoryLock::acquire(dir.path()).unwrap());
    TantivyIndex::open(&dir.path().join("lexical"), &recipe(), lock)
}

/// An index of `texts`, numbered in order.
fn index_of(texts: &[(Language, &str)]) -> (TempDir, TantivyIndex) {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    for (n, (language, text)) in (0..).zip(texts) {
        index.upsert(&[Specimen::new("doc", n, text).language(*language).entry()]).unwrap();
    }
    index.commit(LedgerPosition(1)).unwrap();
    (dir, index)
}

/// The numbers of the texts found, best first.
fn find(index: &TantivyIndex, query: &str) -> Vec<u32> {
    let staff = scope(&["staff"], Classification::Internal);
    let found = index.search(query, &staff, &Filter::default(), 10).unwrap();
    let number = |candidate: &Candidate| (0..1_000).find(|&n| Specimen::new("doc", n, "").id() == candidate.chunk);
    found.iter().map(|candidate| number(candidate).unwrap()).collect()
}

#[test]
fn conforms() {
    let dirs = Mutex::new(Vec::new());
    conformance::lexical_index(|| {
        let dir = tempfile::tempdir().unwrap();
        let index = create(&dir);
        dirs.lock().unwrap().push(dir);
        index
    });
}

#[test]
fn inflections_are_found_in_four_languages() {
    let (_dir, index) = index_of(&[
        (Language::German, "Die Kündigung bedarf der Schriftform."),
        (Language::French, "L'État garantit les libertés fondamentales."),
        (Language::Italian, "I termini dell'articolo precedente restano applicabili."),
        (Language::English, "The committee reviewed all regulations."),
    ]);
    let cases = [
        ("Wann sind Kündigungen gültig?", 0),
        ("Kündigungen", 0),
        ("Kuendigung", 0),
        ("quelle est la liberté garantie par l'état", 1),
        ("etat", 1),
        ("qual è il termine degli articoli", 2),
        ("regulation of committees", 3),
    ];
    for (query, expected) in cases {
        assert_eq!(find(&index, query).first(), Some(&expected), "{query}");
    }
}

#[test]
fn spellings_meet_and_the_one_typed_comes_first() {
    let (_dir, index) = index_of(&[
        (Language::German, "Die Strasse nach Mueller"),
        (Language::German, "Die Straße nach Müller"),
        (Language::French, "la cote du vin"),
        (Language::French, "la côte du vin"),
    ]);
    assert_eq!(find(&index, "Straße"), [1, 0]);
    assert_eq!(find(&index, "strasse").len(), 2);
    assert_eq!(find(&index, "müller"), [1, 0]);
    assert_eq!(find(&index, "Muller"), [1, 0], "typed without the umlaut");
    assert_eq!(find(&index, "côte"), [3, 2]);
    assert_eq!(find(&index, "cote").len(), 2);
}

#[test]
fn another_language_matches_by_spelling() {
    let (_dir, index) = index_of(&[
        (Language::French, "Le document mentionne le Bundesrat et la Confédération."),
        (Language::German, "Der Ausschuss tagt im Mai."),
    ]);
    assert_eq!(find(&index, "Was macht der Bundesrat im Ausland?").first(), Some(&0));
}

#[test]
fn exact_references_come_first() {
    let mut texts: Vec<(Language, String)> = Vec::new();
    for article in 1..20 {
        for paragraph in 1..4 {
            texts.push((
                Language::German,
                format!("Nach Art. {article} Abs. {paragraph} lit. b DSG gilt Ziffer {paragraph} sinngemäss."),
            ));
        }
    }
    texts.push((Language::German, "Art. 5a Abs. 2 regelt die Ausnahme, Art. 2 Abs. 5 den Rest.".into()));
    texts.push((Language::German, "Aktenzeichen GZ 2024-123.45, Eingang am 12.05.2024".into()));
    texts.push((Language::German, "Aktenzeichen GZ 2024-123.46, Eingang am 13.05.2024".into()));
    texts.push((Language::German, "Paracetamol 500mg morgens, Ibuprofen 400 mg abends".into()));
    texts.push((Language::German, "Paracetamol 1000 mg morgens, 500 Einheiten Insulin".into()));
    let borrowed: Vec<(Language, &str)> = texts.iter().map(|(language, text)| (*language, text.as_str())).collect();
    let (_dir, index) = index_of(&borrowed);
    let at = |wanted: &str| texts.iter().position(|(_, text)| text.contains(wanted)).unwrap() as u32;
    let cases = [
        ("Art. 5 Abs. 2", at("Art. 5 Abs. 2 lit")),
        ("Was steht in Art. 12 Abs. 3 lit. b DSG?", at("Art. 12 Abs. 3")),
        ("Art. 5a", at("Art. 5a")),
        ("GZ 2024-123.45", at("2024-123.45")),
        ("2024-123.46", at("2024-123.46")),
        ("12.05.2024", at("12.05.2024")),
        ("Paracetamol 500 mg", at("500mg")),
        ("1000mg", at("1000 mg")),
    ];
    for (query, expected) in cases {
        assert_eq!(find(&index, query).first(), Some(&expected), "{query}");
    }
}

#[test]
fn compounds_and_their_parts_find_each_other() {
    let (_dir, index) = index_of(&[
        (Language::German, "Der Entscheid des Bundesverwaltungsgerichts ist rechtskräftig."),
        (Language::German, "Die Kündigungsfrist beträgt drei Monate."),
        (Language::German, "Eine Frist für die Kündigung besteht nicht."),
        (Language::German, "Das Gericht und die Verwaltung des Bundes tagen im Sitzungssaal."),
        (Language::German, "Der Garten liegt am Waldrand."),
    ]);
    assert_eq!(find(&index, "Bundesverwaltungsgerichtsentscheid").first(), Some(&0));
    assert_eq!(find(&index, "Kündigungsfrist"), [1, 2]);
    let mut found = find(&index, "Frist");
    found.sort_unstable();
    assert_eq!(found, [1, 2], "the head of a compound");
    let mut found = find(&index, "Kündigung");
    found.sort_unstable();
    assert_eq!(found, [1, 2], "the first part of a compound");
    assert!(find(&index, "Wagen").is_empty(), "an end that is no part is no match");
}

#[test]
fn a_phrase_in_quotes_comes_first() {
    let (_dir, index) = index_of(&[
        (Language::German, "gute Sitten und treue Dienste nach Glauben, Treu"),
        (Language::German, "Das Gebot lautet Treu und Glauben, sonst nichts weiter in diesem Satz hier"),
    ]);
    assert_eq!(find(&index, "\"Treu und Glauben\"").first(), Some(&1));
}

#[test]
fn committed_entries_are_there_after_reopening_and_staged_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    {
        let index = create(&dir);
        index.upsert(&[Specimen::new("doc", 0, "eins").entry()]).unwrap();
        index.commit(LedgerPosition(41)).unwrap();
        index.upsert(&[Specimen::new("doc", 1, "zwei").entry()]).unwrap();
        index.remove(&[Specimen::new("doc", 0, "").id()]).unwrap();
    }
    let index = reopen(&dir).unwrap();
    assert_eq!(index.committed().unwrap(), LedgerPosition(41));
    assert_eq!(find(&index, "eins zwei"), [0]);
    index.commit(LedgerPosition(42)).unwrap();
    assert_eq!(find(&index, "eins zwei"), [0], "what was staged before is not in a later commit");
}

#[test]
fn many_small_commits_leave_few_segments() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    for n in 0..60 {
        index.upsert(&[Specimen::new("doc", n, "Frist").entry()]).unwrap();
        index.commit(LedgerPosition(u64::from(n))).unwrap();
    }
    assert_eq!(index.ids().unwrap().len(), 60);
    let segments = index.reader.searcher().segment_readers().len();
    assert!(segments < 40, "{segments} segments");
}

/// A way to break an index.
type Breakage<'a> = &'a dyn Fn(&TempDir);

#[test]
fn damage_is_told_and_not_repaired() {
    let build = || {
        let dir = tempfile::tempdir().unwrap();
        let index = create(&dir);
        index.upsert(&[Specimen::new("doc", 0, "Frist").entry()]).unwrap();
        index.commit(LedgerPosition(1)).unwrap();
        drop(index);
        dir
    };
    let file = |dir: &TempDir, suffix: &str| {
        let files = fs::read_dir(dir.path().join("lexical")).unwrap().flatten().map(|entry| entry.path());
        files.into_iter().find(|path| path.to_str().unwrap().ends_with(suffix)).unwrap()
    };
    let breakages: [(&str, Breakage<'_>); 4] = [
        ("no meta file", &|dir| fs::remove_file(dir.path().join("lexical/meta.json")).unwrap()),
        ("garbage for a meta file", &|dir| fs::write(dir.path().join("lexical/meta.json"), "{]").unwrap()),
        ("a segment file is missing", &|dir| fs::remove_file(file(dir, ".term")).unwrap()),
        ("a segment file is cut", &|dir| fs::write(file(dir, ".term"), b"short").unwrap()),
    ];
    for (what, break_it) in breakages {
        let dir = build();
        break_it(&dir);
        let error = fontes_core::Error::from(reopen(&dir).err().expect(what));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.advice().is_some());
    }
}
