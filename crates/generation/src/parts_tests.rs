//! Tests of answers to several questions in one text.

use std::sync::Arc;

use fontes_core::{Answer, Cancel, Generator, Remark, Subquery, SubqueryKind, Support};
use fontes_testkit::ScriptedGenerator;

use super::*;
use crate::{
    AnswerPolicy,
    answerer::tests::{FRIST, RAT, answerer, archive, request, staff},
};

const FIRST: &str = "Innert welcher Frist ist die Beschwerde einzureichen?";
const SECOND: &str = "Aus wie vielen Mitgliedern besteht der Bundesrat?";
const UNSAID: &str = "Welche Gebühr kostet ein Reisepass für Kinder?";

fn split(parts: &[&str]) -> Vec<Subquery> {
    let part = |text: &&str| Subquery { text: (*text).to_owned(), kind: SubqueryKind::Part };
    let whole = Subquery { text: parts.join(" "), kind: SubqueryKind::Whole };
    std::iter::once(whole).chain(parts.iter().map(part)).collect()
}

/// The answer to `parts` asked in one text, written by a model when there is a `script`.
fn answered_with(parts: &[&str], script: Option<&str>, apart: bool) -> Answer {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let generator = script.map(|text| Arc::new(ScriptedGenerator::new([text, text])) as Arc<dyn Generator>);
    let (asked, scope) = (parts.join(" "), staff());
    let mut asked = request(&asked, passages, &scope);
    asked.queries = if apart { split(parts) } else { Vec::new() };
    let mut streamed = Vec::new();
    let answer = answerer(generator, ledger, AnswerPolicy::default())
        .answer(
            asked,
            &mut |event| {
                if let crate::AskEvent::Sentence(sentence) = event {
                    streamed.push(sentence.clone());
                }
            },
            &Cancel::default(),
        )
        .unwrap();
    assert_eq!(streamed, answer.sentences, "what is streamed is what is answered");
    answer
}

fn cited(answer: &Answer) -> Vec<u32> {
    answer.sentences.iter().flat_map(|sentence| &sentence.citations).map(|citation| citation.marker).collect()
}

#[test]
fn every_part_is_quoted_for() {
    let answer = answered_with(&[FIRST, SECOND], None, true);
    assert_eq!(cited(&answer), [1, 2]);
    assert!(answer.answer.contains("30 Tagen") && answer.answer.contains("sieben Mitgliedern"), "{}", answer.answer);
    assert!(answer.remarks.is_empty(), "{:?}", answer.remarks);
    // In the order in which it is asked, whatever is likelier.
    assert_eq!(cited(&answered_with(&[SECOND, FIRST], None, true)), [2, 1]);
}

#[test]
fn the_same_text_undivided_is_answered_by_its_likeliest_sentence() {
    let answer = answered_with(&[FIRST, SECOND], None, false);
    assert_eq!(answer.sentences.len(), 1, "{}", answer.answer);
}

#[test]
fn a_part_that_the_sources_do_not_answer_is_named() {
    let answer = answered_with(&[FIRST, UNSAID], None, true);
    assert_eq!(cited(&answer), [1]);
    assert_eq!(answer.remarks, [Remark::NotSaid { question: UNSAID.into() }]);
    let answer = answered_with(&[UNSAID, "Wer gewann 1954 die Tour de France?"], None, true);
    assert!(answer.abstained && answer.remarks.is_empty(), "{answer:?}");
}

#[test]
fn two_parts_with_one_answer_quote_it_once() {
    let answer = answered_with(&[FIRST, "Bis wann ist die Beschwerde nach der Eröffnung einzureichen?"], None, true);
    assert_eq!(cited(&answer), [1]);
}

#[test]
fn a_sentence_beside_what_is_quoted_for_another_part_is_quoted_alone() {
    let text = "Die Bewilligung gilt drei Jahre. Die Gebühr beträgt achtzig Franken.";
    let (ledger, passages) = archive(&[text]);
    let parts = ["Wie viele Jahre gilt die Bewilligung?", "Wie viele Franken beträgt die Gebühr?"];
    let (whole, scope) = (parts.join(" "), staff());
    let mut asked = request(&whole, passages, &scope);
    asked.queries = split(&parts);
    let policy = AnswerPolicy { neighbour_ratio: 2.0, ..AnswerPolicy::default() };
    let alone = answerer(None, ledger.clone(), policy).answer(asked, &mut |_| {}, &Cancel::default()).unwrap();
    assert_eq!(alone.sentences.len(), 2, "{}", alone.answer);
    // The best of the second part takes its neighbour along, which is quoted already.
    let mut sources = crate::source::sources(alone.passages.clone(), ledger.as_ref(), &scope).unwrap();
    let source = sources.remove(0);
    let [first, second] = [0, 1].map(|at: usize| Extract {
        source: 0,
        sentence: at,
        span: alone.sentences[at].citations[0].span,
        answer: None,
        is_row: false,
        named_by: None,
        limited_by: None,
        probability: 0.9,
        signals: crate::signals::Signals::default(),
    });
    let parts = [Part::new("a", vec![first]), Part::new("b", vec![second, Extract { probability: 0.8, ..first }])];
    let mut body = crate::answerer::Body::default();
    let answerer = answerer(None, ledger, AnswerPolicy::default());
    parts.iter().for_each(|part| answerer.quote_part(std::slice::from_ref(&source), part, &mut body));
    let spans: Vec<_> = body.sentences.iter().map(|sentence| sentence.citations[0].span).collect();
    assert_eq!(spans, [first.span, second.span]);
}

#[test]
fn what_did_not_fit_into_the_prompt_is_not_called_unsaid() {
    let mut part = Part::new(FIRST, vec![]);
    assert_eq!((part.confidence, part.is_answered(0.3)), (0.0, false));
    part.confidence = 0.9;
    assert!(!part.is_answered(0.3), "nothing of it is given");
}

#[test]
fn what_a_model_leaves_out_is_quoted() {
    let written = "Die Beschwerde ist innert 30 Tagen einzureichen [1].";
    let answer = answered_with(&[FIRST, SECOND], Some(written), true);
    assert_eq!(cited(&answer), [1, 2]);
    assert!(!answer.extractive);
    let [written, quoted] = &answer.sentences[..] else { panic!("{:?}", answer.sentences) };
    assert_eq!((written.support, quoted.support), (Support::Supported, Support::Verbatim));
    let both = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Der Bundesrat besteht aus sieben Mitgliedern [2].";
    let answer = answered_with(&[FIRST, SECOND], Some(both), true);
    assert_eq!(cited(&answer), [1, 2]);
    assert_eq!(answer.sentences.len(), 2, "{}", answer.answer);
}

#[test]
fn the_best_source_of_each_part_is_given_first() {
    let (ledger, passages) = archive(&[FRIST, FRIST, RAT]);
    let scope = staff();
    let mut sources = crate::source::sources(passages, ledger.as_ref(), &scope).unwrap();
    let extract = |source, probability| Extract {
        source,
        sentence: 0,
        span: fontes_core::Span::new(0, 10),
        answer: None,
        is_row: false,
        named_by: None,
        limited_by: None,
        probability,
        signals: crate::signals::Signals::default(),
    };
    let part = |extracts| Part::new("", extracts);
    let mut parts = [part(vec![extract(0, 0.9), extract(1, 0.8)]), part(vec![extract(2, 0.4), extract(1, 0.3)])];
    likeliest_first(&mut sources, &mut parts);
    assert_eq!(sources.iter().map(Source::marker).collect::<Vec<_>>(), [1, 3, 2]);
    let places = |part: &Part| part.extracts.iter().map(|extract| extract.source).collect::<Vec<_>>();
    assert_eq!(parts.iter().map(places).collect::<Vec<_>>(), [[0, 2], [1, 2]]);
}
