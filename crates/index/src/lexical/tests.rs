//! Tests of the lexical index: the contract, four languages, identifiers, reopening, damage.

use fontes_core::{Classification, ErrorKind, Language};
use fontes_testkit::{Specimen, conformance, scope};
use tempfile::TempDir;

use super::*;
use crate::recipe::Recipe;

pub(super) fn recipe() -> LexicalRecipe {
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
    assert_eq!(find(&index, "strasse"), [0, 1]);
    assert_eq!(find(&index, "müller"), [1, 0]);
    assert_eq!(find(&index, "mueller"), [0, 1]);
    assert_eq!(find(&index, "Muller"), [1, 0], "typed without the umlaut");
    assert_eq!(find(&index, "côte"), [3, 2]);
    assert_eq!(find(&index, "cote"), [2, 3]);
}

#[test]
fn the_spelling_as_typed_beats_longer_and_repeated_others() {
    let (_dir, index) = index_of(&[
        (Language::German, "Kündigungen sind möglich, doch sind Kündigungen und Kündigungen im Sommer zweierlei"),
        (
            Language::German,
            "Eine Kündigung nach dem Vertrag ist in jedem Fall schriftlich zu erklären und zu begründen",
        ),
        (Language::French, "la cote, la cote du titre et la cote de la bourse à la fin de la semaine"),
        (Language::French, "une côte escarpée au bord de la mer, visible depuis le large par beau temps"),
    ]);
    assert_eq!(find(&index, "Kündigung"), [1, 0]);
    assert_eq!(find(&index, "Kündigungen"), [0, 1]);
    assert_eq!(find(&index, "côte"), [3, 2]);
    assert_eq!(find(&index, "cote"), [2, 3]);
}

#[test]
fn one_word_in_many_fields_is_not_many_words() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    let everywhere = Specimen::new("doc", 0, "Frist, Fristen, Frist").title("Frist").headings(&["Fristen", "Frist"]);
    let both = Specimen::new("doc", 1, "Eine Frist gilt auch für den Rekurs an das Departement des Kantons.");
    index.upsert(&[everywhere.entry(), both.entry()]).unwrap();
    index.commit(LedgerPosition(1)).unwrap();
    assert_eq!(find(&index, "Frist Rekurs"), [1, 0]);
}

#[test]
fn a_whole_compound_beats_its_parts() {
    let (_dir, index) = index_of(&[
        (Language::German, "Frist und Kündigung, Kündigung und Frist; die Frist der Kündigung"),
        (Language::German, "Wie lange die Kündigungsfrist dauert, sagt das Gesetz nicht in allen Fällen abschliessend"),
        (Language::German, "Bundesverwaltungsgericht: der Entscheid, ein Entscheid, Entscheide"),
        (Language::German, "Ein Bundesverwaltungsgerichtsentscheid erging im Sommer zu einer ganz anderen Sache"),
    ]);
    assert_eq!(find(&index, "Kündigungsfrist"), [1, 0]);
    assert_eq!(find(&index, "Bundesverwaltungsgerichtsentscheid"), [3, 2]);
}

#[test]
fn a_dose_stands_with_its_drug() {
    let (_dir, index) = index_of(&[
        (Language::German, "Ibuprofen 600 mg bei Bedarf"),
        (Language::German, "Paracetamol 400mg, dann Ibuprofen 600 mg"),
        (Language::German, "Der Patient nimmt seit Jahren Ibuprofen 400 mg, und zwar stets am Morgen nach dem Essen"),
        (Language::German, "400 Tropfen, Ibuprofen nach Bedarf, mg nicht genannt"),
    ]);
    for query in ["Ibuprofen 400 mg", "Ibuprofen 400mg", "ibuprofen 400 MG"] {
        assert_eq!(find(&index, query).first(), Some(&2), "{query}");
    }
}

#[test]
fn citations_meet_across_languages() {
    let (_dir, index) = index_of(&[
        (Language::German, "Massgebend ist Artikel 5 Absatz 2 Buchstabe a des Gesetzes."),
        (Language::French, "L'art. 5 al. 3 let. a est applicable."),
        (Language::French, "L'art. 5 al. 2 let. a est applicable."),
    ]);
    let mut found = find(&index, "Art. 5 cpv. 2 lett. a");
    found.truncate(2);
    found.sort_unstable();
    assert_eq!(found, [0, 2]);
}

#[test]
fn a_star_finds_beginnings() {
    let (_dir, index) = index_of(&[
        (Language::German, "Das Bundesverwaltungsgericht tagt."),
        (Language::German, "Der Bundesrat tagt."),
        (Language::German, "Der Kantonsrat tagt."),
    ]);
    assert_eq!(find(&index, "Bundesverw*"), [0]);
    let mut found = find(&index, "bundes*");
    found.sort_unstable();
    assert_eq!(found, [0, 1]);
    assert!(find(&index, "b*").is_empty(), "one letter begins too much");
}

#[test]
fn slips_are_forgiven_only_when_nothing_else_is_found() {
    let (_dir, index) = index_of(&[
        (Language::German, "Die Kündigungsfrist beträgt drei Monate."),
        (Language::German, "Die Kundin kommt im Juni."),
        (Language::German, "Aktenzeichen 2024-17"),
    ]);
    assert_eq!(find(&index, "Kündigungsfrsit"), [0]);
    assert_eq!(find(&index, "Kundni"), [1]);
    assert_eq!(find(&index, "Juni Kündigungsfrsit"), [1], "something was found");
    assert!(find(&index, "2025-18").is_empty(), "numbers are never corrected");
    let staff = scope(&["staff"], Classification::Internal);
    let suggest = |text: &str| index.suggest(text, &staff).unwrap();
    assert_eq!(suggest("Juni Kündigungsfrsit?").as_deref(), Some("Juni kündigungsfrist?"));
    assert_eq!(suggest("Kündigungsfrist im Juni"), None);
    assert_eq!(suggest("the quick brown fox jumps over lazy dogs"), None, "another language is no slip");
}

#[test]
fn suggestions_and_corrections_reveal_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    let secret = Specimen::new("doc", 0, "Geheimprojekt Alpenglühen").groups(&["board"]);
    index.upsert(&[secret.entry(), Specimen::new("doc", 1, "Der Garten").entry()]).unwrap();
    index.commit(LedgerPosition(1)).unwrap();
    let (staff, board) = (scope(&["staff"], Classification::Internal), scope(&["board"], Classification::Internal));
    assert_eq!(index.suggest("Alpengluhen", &staff).unwrap(), None);
    assert_eq!(index.suggest("Alpengluehn", &board).unwrap().as_deref(), Some("alpenglühen"));
    assert!(find(&index, "Alpengluehn").is_empty());
    assert!(index.explain("Alpenglühen", &staff, secret.id()).unwrap().is_empty());
    assert!(!index.explain("Alpenglühen", &board, secret.id()).unwrap().is_empty());
}

#[test]
fn every_match_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    let specimen = Specimen::new("doc", 0, "Nach Art. 5 gilt die Frist der Kündigung.").title("Fristen");
    index.upsert(&[specimen.entry(), Specimen::new("doc", 1, "Der Garten").entry()]).unwrap();
    index.commit(LedgerPosition(1)).unwrap();
    let staff = scope(&["staff"], Classification::Internal);
    let query = "Art. 5 Kündigungsfrist Fristen Wald";
    let matches = index.explain(query, &staff, specimen.id()).unwrap();
    let of = |term: &str| matches.iter().find(|one| one.term == term).map(|one| one.found.join("; "));
    assert_eq!(of("fristen").as_deref(), Some("text: stem frist ×1; title: frist ×1; title: fristen ×1"));
    assert!(of("kündigungsfrist").unwrap().contains("part kündigung, text: as typed ×1"), "{matches:?}");
    assert_eq!(of("art 5").as_deref(), Some("phrase"));
    assert_eq!(of("wald"), None);
    let sum: f32 = matches.iter().map(|one| one.weight).sum();
    let found = index.search(query, &staff, &Filter::default(), 1).unwrap();
    assert!((sum - found[0].score).abs() < 1e-5, "{sum} {}", found[0].score);
    assert!(matches.windows(2).all(|pair| pair[0].weight >= pair[1].weight));
}

#[test]
fn documents_are_counted_within_what_may_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    let french = |path: &str| Specimen::new(path, 0, "Le délai").language(Language::French);
    let specimens = [
        Specimen::new("a", 0, "Die Frist"),
        Specimen::new("a", 1, "Die Frist geht weiter"),
        french("b").source("mails").media_type("message/rfc822"),
        french("c"),
        french("d").source("secret").groups(&["board"]),
        french("e").source("vault").classification(Classification::Secret),
        french("f"),
    ];
    let entries: Vec<IndexEntry<'_>> = specimens.iter().map(Specimen::entry).collect();
    index.upsert(&entries).unwrap();
    index.remove(&[specimens[6].id()]).unwrap();
    index.commit(LedgerPosition(1)).unwrap();
    let count = |groups: &[&str], conditions: &[&str]| {
        let mut filter = Filter::default();
        conditions.iter().for_each(|condition| filter.add(condition).unwrap());
        let facets = index.facets(&scope(groups, Classification::Internal), &filter).unwrap();
        let shown = |facet: &Facet| format!("{}={} {}", facet.field.name(), facet.value, facet.documents);
        facets.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    let all = "language=fr 2, language=de 1, source=files 2, source=mails 1, media_type=text/plain 2, \
               media_type=message/rfc822 1";
    assert_eq!(count(&["staff"], &[]), all);
    assert_eq!(count(&["staff"], &["source=mails"]), "language=fr 1, source=mails 1, media_type=message/rfc822 1");
    assert_eq!(count(&["staff"], &["source=secret"]), "", "not even a zero tells that it exists");
    assert_eq!(count(&["board"], &[]), "language=fr 1, source=secret 1, media_type=text/plain 1");
    assert_eq!(count(&[], &[]), "");
}

#[test]
fn pruning_changes_no_result() {
    // Zipf-like words over many chunks in several segments: the best few are those of the whole list.
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir);
    let word = |n: u32| format!("wort{}", char::from(b'a' + u8::try_from(n % 26).unwrap()));
    for batch in 0..3 {
        for n in 0..200_u32 {
            let n = 200 * batch + n;
            let text: Vec<String> = (0..12).map(|m| word((n * 7 + m * m * 13) % (3 + 23 * (m % 3)))).collect();
            index.upsert(&[Specimen::new("doc", n, &text.join(" ")).entry()]).unwrap();
        }
        index.commit(LedgerPosition(u64::from(batch) + 1)).unwrap();
    }
    let staff = scope(&["staff"], Classification::Internal);
    for query in ["worta wortb wortc", "worta wortz wortq wortm", "wortb wortb wortx worty \"wortc wortd\""] {
        let all = index.search(query, &staff, &Filter::default(), 1_000).unwrap();
        let few = index.search(query, &staff, &Filter::default(), 10).unwrap();
        let scores = |list: &[Candidate]| list.iter().take(10).map(|one| one.score).collect::<Vec<_>>();
        assert_eq!(scores(&few), scores(&all), "{query}");
    }
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
