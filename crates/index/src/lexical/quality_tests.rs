//! Sets of our own making: German compounds over law text, and exact references.

use fontes_core::{Classification, Language};
use fontes_testkit::{Specimen, scope};
use tempfile::TempDir;

use super::{tests::recipe, *};

/// Compound and the passage that says it in other words, tab between them; `-` for passages that nobody asks for.
const COMPOUNDS: &str = include_str!("../../tests/fixtures/german_compounds.tsv");

fn index_of(texts: &[&str], recipe: &LexicalRecipe) -> (TempDir, TantivyIndex) {
    let dir = tempfile::tempdir().unwrap();
    let lock = Arc::new(DirectoryLock::acquire(dir.path()).unwrap());
    let index = TantivyIndex::create(&dir.path().join("lexical"), recipe, lock).unwrap();
    let specimens: Vec<Specimen> =
        (0..).zip(texts).map(|(n, text)| Specimen::new("law", n, text).language(Language::German)).collect();
    let entries: Vec<IndexEntry<'_>> = specimens.iter().map(Specimen::entry).collect();
    index.upsert(&entries).unwrap();
    index.commit(LedgerPosition(1)).unwrap();
    (dir, index)
}

/// The rank, from 1, at which each query finds its text among the first `k`.
fn ranks(index: &TantivyIndex, wanted: &[(String, u32)], k: usize) -> Vec<Option<usize>> {
    let staff = scope(&["staff"], Classification::Internal);
    let rank = |(query, text): &(String, u32)| {
        let id = Specimen::new("law", *text, "").id();
        let found = index.search(query, &staff, &Filter::default(), k).unwrap();
        found.iter().position(|candidate| candidate.chunk == id).map(|at| at + 1)
    };
    wanted.iter().map(rank).collect()
}

#[test]
fn german_compounds_are_found_by_their_parts() {
    let lines: Vec<(&str, &str)> = COMPOUNDS.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let texts: Vec<&str> = lines.iter().map(|(_, text)| *text).collect();
    let wanted: Vec<(String, u32)> = (0..)
        .zip(&lines)
        .filter(|(_, (compound, _))| *compound != "-")
        .map(|(n, (c, _))| ((*c).to_owned(), n))
        .collect();
    assert!(wanted.len() >= 100, "{} compounds", wanted.len());
    let recall = |recipe: &LexicalRecipe| {
        let (_dir, index) = index_of(&texts, recipe);
        let ranks = ranks(&index, &wanted, 10);
        let missed: Vec<&str> =
            ranks.iter().zip(&wanted).filter(|(rank, _)| rank.is_none()).map(|(_, (word, _))| word.as_str()).collect();
        (1.0 - missed.len() as f64 / wanted.len() as f64, format!("{missed:?}"))
    };
    let (with, missed) = recall(&recipe());
    let mut plain = recipe();
    plain.weights.compound = 0.0;
    let (without, _) = recall(&plain);
    assert!(with >= 0.98, "recall@10 {with:.3}; missed {missed}");
    assert!(without <= 0.2, "recall@10 without splitting {without:.3}: the set no longer tells");
}

/// A passage that holds a reference, among others that differ from it in one part, and how it is asked for.
fn references() -> Vec<(String, String)> {
    let mut references = Vec::new();
    let laws = ["DSG", "OR", "ZGB", "StPO"];
    let letters = ["a", "b", "c"];
    for (at, law) in laws.iter().enumerate() {
        for article in 1..=8 {
            let (paragraph, letter) = (1 + (article + at) % 3, letters[article % 3]);
            let text = format!(
                "Nach Art. {article} Abs. {paragraph} lit. {letter} {law} gilt dies, sofern die Voraussetzungen erfüllt sind."
            );
            let asked = match article % 4 {
                0 => format!("Art. {article} Abs. {paragraph} lit. {letter} {law}"),
                1 => format!("Artikel {article} Absatz {paragraph} Buchstabe {letter} {law}"),
                2 => format!("Was steht in Art. {article} Abs. {paragraph} {law}?"),
                _ => format!("art. {article} al. {paragraph} let. {letter} {law}"),
            };
            references.push((text, asked));
        }
    }
    for number in 0..40 {
        let file = format!("2024-{}.{}", 100 + number / 4, 41 + number % 4);
        let text = format!("Eingang des Schreibens GZ {file}, zuständig ist die Abteilung Recht der Verwaltung.");
        references.push((text, if number % 2 == 0 { format!("GZ {file}") } else { format!("Schreiben {file}") }));
    }
    for (drug, doses) in [
        ("Ibuprofen", [200, 400, 600, 800]),
        ("Paracetamol", [250, 500, 650, 1000]),
        ("Metoprolol", [25, 50, 100, 200]),
        ("Amoxicillin", [250, 500, 750, 875]),
        ("Pantoprazol", [10, 20, 40, 80]),
        ("Metformin", [500, 750, 850, 1000]),
        ("Ramipril", [2, 5, 10, 15]),
    ] {
        for (at, dose) in doses.into_iter().enumerate() {
            let (written, asked) = if at % 2 == 0 { (" ", "") } else { ("", " ") };
            let text = format!(
                "Verordnet wurde {drug} {dose}{written}mg morgens, dazu Magnesium {} mg abends nach dem Essen.",
                doses[(at + 1) % 4]
            );
            references.push((text, format!("{drug} {dose}{asked}mg")));
        }
    }
    references
}

#[test]
fn exact_references_stand_at_rank_one() {
    let references = references();
    assert!(references.len() >= 100, "{} references", references.len());
    let mut texts: Vec<String> = references.iter().map(|(text, _)| text.clone()).collect();
    // Passages that hold the parts of references, repeatedly, but none whole.
    for n in 1..=20 {
        texts.push(format!("Art. {n} und Abs. {n} sowie lit. a, lit. b und lit. c DSG OR ZGB StPO; Abs. 1, 2, 3."));
        texts.push(format!("GZ 2024, Schreiben {n} vom 2024, Nummer 10{} der Abteilung, GZ {n}.", n % 10));
        texts
            .push(format!("Ibuprofen, Paracetamol und Metoprolol mg: {n}00 Tropfen, {n}0 mg Ibuprofen oder Ramipril."));
    }
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_dir, index) = index_of(&borrowed, &recipe());
    let wanted: Vec<(String, u32)> = (0..).zip(&references).map(|(n, (_, asked))| (asked.clone(), n)).collect();
    let missed: Vec<(&str, Option<usize>)> = ranks(&index, &wanted, 10)
        .into_iter()
        .zip(&wanted)
        .filter(|(rank, _)| *rank != Some(1))
        .map(|(rank, (asked, _))| (asked.as_str(), rank))
        .collect();
    assert!(missed.is_empty(), "{} of {} are not at rank 1: {missed:?}", missed.len(), wanted.len());
}
