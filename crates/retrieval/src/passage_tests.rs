//! Tests of passages on a ledger in memory.

use fontes_core::{ChunkId, Classification, Digest, DocumentSummary, Language, Metadata, Page, Scores, Span};
use fontes_testkit::{MemoryLedger, Specimen, scope};

use super::*;

const LAW: &str = "Erster Satz.\n\nZweiter Satz.\n\nDritter Satz.\n\nGanz am Ende steht ein anderer, vierter Satz.";

/// A ledger with the documents at `paths`, all saying [`LAW`], each of two pages.
fn ledger(paths: &[&str]) -> MemoryLedger {
    let ledger = MemoryLedger::new();
    for path in paths {
        let summary: DocumentSummary = Specimen::new(path, 0, LAW).document;
        let page = |number, start, end| Page::new(number, Span::new(start, end));
        let document = Document {
            media_type: "text/plain".into(),
            metadata: Metadata::default(),
            language: Language::German,
            text: LAW.into(),
            pages: vec![page(1, 0, 14), page(2, 14, LAW.len())],
            blocks: Vec::new(),
        };
        ledger.insert(summary, document, Vec::new());
    }
    ledger
}

fn hit(path: &str, rank: usize, part: &str) -> Hit {
    let start = LAW.find(part).unwrap();
    let specimen = Specimen::new(path, 0, LAW);
    Hit {
        rank,
        score: 1.0 / rank as f32,
        document_id: specimen.document.id,
        chunk_id: ChunkId::derive(specimen.document.id, Digest::of(b""), "t", 0, Span::new(start, 0)),
        title: path.into(),
        path: path.into(),
        pages: vec![1],
        span: Span::new(start, start + part.len()),
        headings: Vec::new(),
        language: Language::German,
        text: part.into(),
        scores: Scores::default(),
        also_in: Vec::new(),
    }
}

fn of(hits: &[Hit], ledger: &MemoryLedger, options: PassageOptions) -> Vec<Passage> {
    passages(hits, ledger, &scope(&["staff"], Classification::Internal), &options).unwrap()
}

#[test]
fn neighbours_become_one_exact_span_with_its_pages() {
    let hits = [hit("a", 1, "Dritter Satz."), hit("a", 2, "Erster Satz."), hit("a", 3, "Zweiter Satz.")];
    let passages = of(&hits, &ledger(&["a"]), PassageOptions::default());
    assert_eq!(passages.len(), 1);
    let passage = &passages[0];
    assert_eq!((passage.marker, passage.hit.rank), (1, 1));
    assert_eq!(passage.hit.text, "Erster Satz.\n\nZweiter Satz.\n\nDritter Satz.");
    assert_eq!(passage.hit.span.of(LAW), Some(passage.hit.text.as_str()));
    assert_eq!(passage.hit.pages, [1, 2]);
}

#[test]
fn overlaps_are_joined_and_distance_is_not() {
    let hits = [hit("a", 1, "Erster Satz.\n\nZweiter"), hit("a", 2, "Zweiter Satz."), hit("a", 3, "vierter Satz.")];
    let texts: Vec<String> =
        of(&hits, &ledger(&["a"]), PassageOptions::default()).into_iter().map(|passage| passage.hit.text).collect();
    assert_eq!(texts, ["Erster Satz.\n\nZweiter Satz.", "vierter Satz."]);
}

#[test]
fn a_union_does_not_outgrow_its_limit() {
    let hits = [hit("a", 1, "Erster Satz."), hit("a", 2, "Zweiter Satz.")];
    let options = PassageOptions { max_bytes: 20, ..PassageOptions::default() };
    assert_eq!(of(&hits, &ledger(&["a"]), options).len(), 2);
}

#[test]
fn copies_of_a_better_passage_are_named_there_and_markers_stay_dense() {
    let end = "Ganz am Ende steht ein anderer, vierter Satz.";
    let hits = [hit("a", 1, end), hit("b", 2, end), hit("b", 3, "Erster Satz.")];
    let passages = of(&hits, &ledger(&["a", "b"]), PassageOptions::default());
    let seen: Vec<(u32, &str)> = passages.iter().map(|passage| (passage.marker, passage.hit.path.as_str())).collect();
    assert_eq!(seen, [(1, "a"), (2, "b")]);
    assert_eq!(passages[1].hit.text, "Erster Satz.");
    let also: Vec<&str> = passages[0].hit.also_in.iter().map(|other| other.path.as_str()).collect();
    assert_eq!(also, ["b"]);
}

#[test]
fn a_passage_that_says_more_stands_by_itself_and_one_that_says_less_does_not() {
    let part = "Ganz am Ende steht ein anderer, vierter Satz.";
    let whole = &LAW[LAW.find("Dritter").unwrap()..];
    let paths = |hits: &[Hit]| -> Vec<String> {
        let passages = of(hits, &ledger(&["a", "b"]), PassageOptions::default());
        passages.into_iter().map(|passage| passage.hit.path).collect()
    };
    let saying = |text: &str| [hit("a", 1, whole), Hit { text: text.into(), ..hit("b", 2, part) }];
    assert_eq!(paths(&[hit("a", 1, part), hit("b", 2, whole)]), ["a", "b"]);
    for text in [part, "GANZ AM ENDE\nSTEHT EIN ANDERER VIERTER SATZ!", "ein anderer, vierter Satz"] {
        assert_eq!(paths(&saying(text)), ["a"], "{text}");
    }
    for text in [
        "Ganz am Ende steht kein anderer, vierter Satz.",
        "Ganz am Ende steht ein anderer, 4. Satz.",
        "Ganz am Ende steht ein anderer, vierter Satz. Satz. Satz.",
        "Satz vierter anderer ein steht Ende am ganz.",
        "—",
    ] {
        assert_eq!(paths(&saying(text)), ["a", "b"], "{text}");
    }
    let elsewhere = Hit { headings: vec!["Kanton Bern".into()], ..hit("b", 2, part) };
    assert_eq!(paths(&[hit("a", 1, whole), elsewhere]), ["a", "b"]);
}

#[test]
fn what_neighbours_repeat_is_named_beside_both() {
    let copies = |rank, part| {
        let mut hit = hit("a", rank, part);
        hit.also_in = vec![crate::duplicate::place(&self::hit("b", rank, part))];
        hit
    };
    let passages =
        of(&[copies(2, "Zweiter Satz."), copies(1, "Erster Satz.")], &ledger(&["a", "b"]), PassageOptions::default());
    assert_eq!(passages.len(), 1);
    let spans: Vec<usize> = passages[0].hit.also_in.iter().map(|other| other.span.start).collect();
    assert_eq!(spans, [0, 14]);
}

#[test]
fn no_more_than_the_limit() {
    let hits = [hit("a", 1, "Erster Satz."), hit("a", 2, "vierter Satz.")];
    assert_eq!(of(&hits, &ledger(&["a"]), PassageOptions { limit: 1, ..PassageOptions::default() }).len(), 1);
    assert!(of(&[], &ledger(&[]), PassageOptions::default()).is_empty());
}

#[test]
fn a_vanished_document_is_not_joined() {
    let hits = [hit("a", 1, "Erster Satz."), hit("a", 2, "Zweiter Satz.")];
    let passages = of(&hits, &ledger(&[]), PassageOptions::default());
    assert_eq!(passages.len(), 1);
    assert_eq!(passages[0].hit.text, "Erster Satz.");
}

#[test]
fn passages_that_say_other_things_come_first_where_that_is_wanted() {
    let hits = [
        hit("a", 1, "Ganz am Ende steht ein anderer"),
        hit("b", 2, "am Ende steht ein anderer, vierter Satz."),
        hit("c", 3, "Erster Satz."),
    ];
    let ledger = ledger(&["a", "b", "c"]);
    let first_two = |diversity| {
        let options = PassageOptions { limit: 2, diversity, ..PassageOptions::default() };
        of(&hits, &ledger, options).into_iter().map(|passage| (passage.marker, passage.hit.path)).collect::<Vec<_>>()
    };
    assert_eq!(first_two(0.0), [(1, "a".into()), (2, "b".into())]);
    assert_eq!(first_two(0.6), [(1, "a".into()), (2, "c".into())]);
}
