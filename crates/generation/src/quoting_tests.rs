//! Tests of what is quoted beside the best sentence: exceptions, what was replaced, what contradicts; and of which part is marked.

use fontes_core::Span;
use fontes_testkit::{ScriptedGenerator, Specimen};

use super::{
    tests::{FRIST, answerer, archive, archive_of, request, staff},
    *,
};

#[test]
fn what_was_replaced_comes_last_and_is_told() {
    let old = "Reglement, Fassung von 2021 (ersetzt durch die Fassung von 2024)\nDie Angestellten haben 20 Arbeitstage Ferien.";
    let new = "Reglement, Fassung von 2024\nDie Angestellten haben 25 Arbeitstage Ferien.";
    let scope = staff();
    let ask = |texts: &[&str]| {
        let (ledger, passages) = archive(texts);
        let asked = request("Wie viele Arbeitstage Ferien haben die Angestellten?", passages, &scope);
        answerer(None, ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
            .answer(asked, &mut |_| {}, &Cancel::default())
            .unwrap()
    };
    let answer = ask(&[old, new]);
    let cited: Vec<u32> = answer.sentences.iter().map(|sentence| sentence.citations[0].marker).collect();
    assert_eq!(cited, [2, 1], "{}", answer.answer);
    assert!(answer.answer.ends_with("[1]") && answer.answer.contains("25 Arbeitstage"), "{}", answer.answer);
    assert!(answer.remarks.contains(&Remark::Replaced { markers: vec![1] }), "{:?}", answer.remarks);
    assert!(ask(&[new]).remarks.is_empty());
}

#[test]
fn what_took_the_place_of_a_replaced_document_is_found() {
    let texts = [
        "Anträge für Telearbeit bewilligt die Leiterin.",
        "Anträge für Telearbeit bewilligt neu die Leiterin Personal.",
    ];
    let paths = ["weisung_aufgehoben.txt", "weisung.txt"];
    let specimens = [0, 1].map(|at| Specimen::new(paths[at], 0, texts[at]).title("Weisung"));
    let (ledger, passages) = archive_of(&specimens);
    let sources = sources(passages, ledger.as_ref(), &staff()).unwrap();
    let extract = |source: usize, probability| Extract {
        source,
        sentence: 0,
        span: Span::new(0, texts[source].len()),
        answer: None,
        is_row: false,
        named_by: None,
        limited_by: None,
        probability,
        signals: Signals::default(),
    };
    let found = |extracts: &[Extract]| successor(extracts, &sources).map(|extract| extract.source);
    assert_eq!(found(&[extract(0, 0.8), extract(1, 0.5)]), Some(1));
    assert_eq!(found(&[extract(0, 0.8), extract(1, 0.3)]), None, "unlikely to answer");
    assert_eq!(found(&[extract(1, 0.8), extract(0, 0.5)]), None, "nothing took its place");
}

#[test]
fn an_exception_is_quoted_whoever_states_the_rule() {
    let rule = "Anträge werden innert 20 Tagen beantwortet.";
    let limit = "Dies gilt nicht für Anträge der Polizei.";
    let (ledger, passages) = archive(&[&format!("{rule} {limit} Die Gebühr ist klein.")]);
    let scope = staff();
    let written: Arc<dyn Generator> =
        Arc::new(ScriptedGenerator::new(["Anträge werden innert 20 Tagen beantwortet [1]."]));
    for generator in [None, Some(written)] {
        let asked = request("Innert wie vielen Tagen werden Anträge beantwortet?", passages.clone(), &scope);
        let answer = answerer(generator, ledger.clone(), AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
            .answer(asked, &mut |_| {}, &Cancel::default())
            .unwrap();
        assert_eq!(
            answer.answer.replace("[1]", "").split_whitespace().collect::<Vec<_>>().join(" "),
            format!("{rule} {limit}")
        );
    }
}

#[test]
fn of_a_row_one_cell_is_marked() {
    let text = "Tank\tWein\tLiter\n 7 \tChardonnay reserve\t1200";
    let (ledger, passages) = archive(&[text]);
    let source = sources(passages, ledger.as_ref(), &staff()).unwrap().remove(0);
    let core = |part: &str| {
        let start = text.find(part).unwrap();
        source.core_of(Span::new(start, start + part.len())).map(|span| span.of(text).unwrap())
    };
    assert_eq!(core("\n 7 "), Some("7"));
    assert_eq!(core("7 \tChardonnay reserve\t1"), Some("Chardonnay reserve"));
    assert_eq!(core(" \t"), None);
    assert_eq!(core("onnay reser"), Some("Chardonnay reserve"), "whole words");
}

#[test]
fn documents_that_contradict_each_other_stand_side_by_side_with_their_dates() {
    let dated = |path: &str, text: &str, date: &str| {
        let mut specimen = Specimen::new(path, 0, text).title(path);
        specimen.document.created = Some(format!("{date}T08:00:00Z"));
        specimen
    };
    let specimens = [
        dated("a.txt", "Die Gebühr für einen Pass beträgt 100 Franken für Erwachsene.", "2001-02-03"),
        dated("b.txt", "Die Gebühr für einen Pass beträgt 140 Franken für Erwachsene.", "2024-05-06"),
    ];
    let question = "Wie hoch ist die Gebühr für einen Pass?";
    let scope = staff();
    let written = "Die Gebühr für einen Pass beträgt 140 Franken [2].";
    for generator in [None, Some(Arc::new(ScriptedGenerator::new([written])) as Arc<dyn Generator>)] {
        let (ledger, passages) = archive_of(&specimens);
        let answer = answerer(generator, ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
            .answer(request(question, passages, &scope), &mut |_| {}, &Cancel::default())
            .unwrap();
        let citations = || answer.sentences.iter().flat_map(|sentence| &sentence.citations);
        let mut dates: Vec<&str> = citations().filter_map(|citation| citation.date.as_deref()).collect();
        dates.sort_unstable();
        assert_eq!(dates, ["2001-02-03", "2024-05-06"], "{}", answer.answer);
        assert!(
            answer.remarks.iter().any(|remark| matches!(remark, Remark::Conflict { markers } if markers.len() == 2))
        );
    }
}

#[test]
fn the_same_number_of_another_unit_is_a_conflict() {
    let text = |unit: &str| format!("Die Einsprache ist innert 10 {unit} nach der Eröffnung zu erheben.");
    let question = "Innert welcher Frist ist die Einsprache zu erheben?";
    let scope = staff();
    let conflicts = |units: [&str; 2]| {
        let (ledger, passages) = archive(&[&text(units[0]), &text(units[1])]);
        let answer = answerer(None, ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
            .answer(request(question, passages, &scope), &mut |_| {}, &Cancel::default())
            .unwrap();
        answer.remarks.iter().any(|remark| matches!(remark, Remark::Conflict { .. }))
    };
    assert!(conflicts(["Tagen", "Arbeitstagen"]));
    assert!(!conflicts(["Arbeitstagen", "Werktagen"]));
}

#[test]
fn agreeing_documents_are_no_conflict() {
    let answer = {
        let (ledger, passages) =
            archive(&[FRIST, "Die Beschwerde ist innert dreissig Tagen nach der Eröffnung einzureichen."]);
        let scope = staff();
        answerer(None, ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
            .answer(
                request("Wie viele Tage nach der Eröffnung ist die Beschwerde einzureichen?", passages, &scope),
                &mut |_| {},
                &Cancel::default(),
            )
            .unwrap()
    };
    assert!(answer.remarks.is_empty(), "{:?}", answer.remarks);
}
