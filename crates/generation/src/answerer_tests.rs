//! Tests of answers on the strict fakes: citations, repair, abstention, packing, streaming.

use fontes_core::{
    Block, BlockKind, Chunk, Classification, Document, DocumentSummary, Duplicate, ErrorKind, Hit, Metadata, Page,
    Sampling, Scores, Span,
};
use fontes_testkit::{HashEmbedder, MemoryLedger, ScriptedGenerator, Specimen, scope};

use super::*;
use crate::Unsupported;

pub(crate) const FRIST: &str = "Die Beschwerde ist innert 30 Tagen nach der Eröffnung einzureichen. Die Frist steht \
    vom 15. Juli bis zum 15. August still. Für Einsprachen gilt eine Frist von 10 Tagen.";
pub(crate) const RAT: &str = "Der Bundesrat besteht aus sieben Mitgliedern. Sie werden von der Bundesversammlung \
    gewählt. Karin Keller-Sutter ist Vorsteherin des Finanzdepartements.";

/// A ledger with one document per text, and the passages that show each in full.
pub(crate) fn archive(texts: &[&str]) -> (Arc<MemoryLedger>, Vec<Passage>) {
    let specimen = |(number, text): (usize, &&str)| {
        let number = number + 1;
        Specimen::new(&format!("{number}.txt"), 0, text).title(&format!("Dokument {number}"))
    };
    let specimens: Vec<Specimen> = texts.iter().enumerate().map(specimen).collect();
    archive_of(&specimens)
}

/// The same of whole specimens, whose titles, paths, headings and dates count.
pub(crate) fn archive_of(specimens: &[Specimen]) -> (Arc<MemoryLedger>, Vec<Passage>) {
    let ledger = Arc::new(MemoryLedger::new());
    let mut passages = Vec::new();
    for (marker, specimen) in (1..).zip(specimens) {
        let (summary, chunk): (DocumentSummary, Chunk) = (specimen.document.clone(), specimen.chunk.clone());
        let text = chunk.text.clone();
        let language = Language::detect(&text);
        let half = text.floor_char_boundary(text.len() / 2);
        let page = |number, start, end| Page::new(number, Span::new(start, end));
        let document = Document {
            media_type: "text/plain".into(),
            metadata: Metadata::default(),
            language,
            text: text.clone(),
            pages: vec![page(1, 0, half), page(2, half, text.len())],
            blocks: vec![Block {
                kind: BlockKind::Paragraph,
                span: Span::new(0, text.len()),
                page: 1,
                bbox: Some(fontes_core::BBox { page: 1, x0: 1.0, y0: 2.0, x1: 3.0, y1: 4.0 }),
            }],
        };
        ledger.insert(summary.clone(), document, vec![chunk.clone()]);
        let hit = Hit {
            rank: marker as usize,
            score: 1.0,
            document_id: summary.id,
            chunk_id: chunk.id,
            title: summary.title,
            path: summary.path,
            pages: vec![1, 2],
            span: chunk.span,
            headings: chunk.headings,
            language,
            text,
            scores: Scores::default(),
            also_in: Vec::new(),
        };
        passages.push(Passage { marker, hit });
    }
    (ledger, passages)
}

pub(crate) fn staff() -> AccessScope {
    scope(&["staff"], Classification::Internal)
}

pub(crate) fn request<'a>(question: &'a str, passages: Vec<Passage>, scope: &'a AccessScope) -> AskRequest<'a> {
    AskRequest {
        question,
        passages,
        snapshot: IndexSnapshot(7),
        scope,
        standalone: None,
        queries: Vec::new(),
        remarks: Vec::new(),
        settings: AskSettings {
            max_tokens: 200,
            sampling: Sampling { seed: 5, ..Sampling::default() },
            ..AskSettings::default()
        },
        language: None,
        extractive: false,
        preview: false,
        retrieval_ms: 1.0,
        rerank_ms: 0.0,
    }
}

pub(crate) fn answerer(
    generator: Option<Arc<dyn Generator>>,
    ledger: Arc<MemoryLedger>,
    policy: AnswerPolicy,
) -> Answerer {
    Answerer::new(generator, Arc::new(HashEmbedder::new(512)), ledger, Prompts::default(), policy)
}

/// What a model that writes `text` makes of `question` over the two documents.
fn generated(question: &str, text: &str, policy: AnswerPolicy) -> Answer {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new([text, text]));
    let scope = staff();
    answerer(Some(generator), ledger, policy)
        .answer(request(question, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap()
}

const ASKED: &str = "Innert welcher Frist ist die Beschwerde einzureichen?";

#[test]
fn a_supported_sentence_points_at_the_smallest_span() {
    let answer = generated(ASKED, "Die Beschwerde ist innert 30 Tagen einzureichen [1].", AnswerPolicy::default());
    assert_eq!(answer.answer, "Die Beschwerde ist innert 30 Tagen einzureichen. [1]");
    assert!(!answer.abstained && !answer.extractive);
    let sentence = &answer.sentences[0];
    assert_eq!(sentence.support, Support::Supported);
    let citation = &sentence.citations[0];
    assert_eq!(citation.quote, "Die Beschwerde ist innert 30 Tagen nach der Eröffnung einzureichen.");
    assert_eq!(citation.span.of(FRIST), Some(citation.quote.as_str()));
    assert_eq!(citation.pages, [1]);
    assert_eq!(citation.boxes.len(), 1);
    assert_eq!((answer.seed, answer.index_snapshot), (5, IndexSnapshot(7)));
    assert_eq!(answer.model.name, "scripted");
}

#[test]
fn pages_are_those_of_the_quote_not_of_the_passage() {
    let asked = "Welche Frist gilt für Einsprachen?";
    let answer = generated(asked, "Für Einsprachen gilt eine Frist von 10 Tagen [1].", AnswerPolicy::default());
    assert_eq!(answer.sentences[0].support, Support::Verbatim);
    assert_eq!(answer.sentences[0].citations[0].pages, [2]);
}

#[test]
fn what_is_carried_but_answers_something_else_gives_way_to_a_quote() {
    let aside = "Für Einsprachen gilt eine Frist von 10 Tagen [1].";
    let answer = generated(ASKED, aside, AnswerPolicy::default());
    assert!(answer.extractive && answer.remarks.contains(&Remark::QuotedInstead), "{answer:?}");
    assert!(answer.sentences[0].text.contains("30 Tagen"), "{}", answer.sentences[0].text);
    // Beside what answers the question it may stand.
    let both = format!("Die Beschwerde ist innert 30 Tagen einzureichen [1]. {aside}");
    let answer = generated(ASKED, &both, AnswerPolicy::default());
    assert!(!answer.extractive);
    assert_eq!(answer.sentences.len(), 2);
}

#[test]
fn a_wrong_number_name_or_denial_is_dropped() {
    for wrong in [
        "Die Beschwerde ist innert 20 Tagen einzureichen [1].",
        "Die Beschwerde ist innert 30 Monaten einzureichen [1].",
        "Die Beschwerde ist nicht innert 30 Tagen einzureichen [1].",
        "Der Bundesrat besteht aus neun Mitgliedern [2].",
        "Ueli Maurer ist Vorsteher des Finanzdepartements [2].",
    ] {
        let policy = AnswerPolicy { unsupported: Unsupported::Mark, ..AnswerPolicy::default() };
        let answer = generated(ASKED, wrong, policy);
        assert_eq!(answer.sentences[0].support, Support::Unsupported, "{wrong}");
        assert!(answer.sentences[0].citations.is_empty());
        assert!(answer.abstained);
        assert!(answer.answer.contains("durch die Quellen nicht belegt"));
    }
}

#[test]
fn figures_of_one_sentence_do_not_carry_the_words_of_another() {
    let passage = "Telearbeit ist an höchstens drei Tagen pro Woche möglich. Der Dienstag ist für alle Teams Präsenztag. Die \
        vorgesetzte Stelle entscheidet innert zehn Arbeitstagen über ein Gesuch.";
    let (ledger, passages) = archive(&[passage]);
    let text = "Die Frist beträgt zehn Tage [1]. Telearbeit ist an höchstens drei Tagen pro Woche möglich [1].";
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new([text, text]));
    let (scope, policy) = (staff(), AnswerPolicy { similarity: 0.3, ..AnswerPolicy::default() });
    let asked = "An wie vielen Tagen pro Woche ist Telearbeit möglich?";
    let answer = answerer(Some(generator), ledger, policy)
        .answer(request(asked, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap();
    assert_eq!(answer.answer, "Telearbeit ist an höchstens drei Tagen pro Woche möglich. [1]");
}

#[test]
fn a_wrong_or_missing_marker_is_repaired() {
    for text in [
        "Der Bundesrat besteht aus sieben Mitgliedern [1].",
        "Der Bundesrat besteht aus sieben Mitgliedern.",
        "Der Bundesrat besteht aus sieben Mitgliedern [9].",
    ] {
        let answer = generated("Aus wie vielen Mitgliedern besteht der Bundesrat?", text, AnswerPolicy::default());
        assert_eq!(answer.answer, "Der Bundesrat besteht aus sieben Mitgliedern. [2]", "{text}");
    }
}

#[test]
fn unsupported_sentences_go_and_supported_ones_stay() {
    let text = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Sie kostet 500 Franken [1]. Hinweis: Diese \
                Antwort basiert auf dem Kontext. Die Beschwerde ist innert 30 Tagen einzureichen [1].";
    let answer = generated(ASKED, text, AnswerPolicy::default());
    assert_eq!(answer.answer, "Die Beschwerde ist innert 30 Tagen einzureichen. [1]");
}

#[test]
fn when_nothing_holds_the_sources_are_quoted() {
    let answer = generated(ASKED, "Das kostet 900 Franken [1].", AnswerPolicy::default());
    assert!(answer.extractive);
    assert_eq!(answer.model.name, EXTRACTIVE);
    assert!(answer.sentences.iter().all(|sentence| sentence.support == Support::Verbatim));
    assert_eq!(answer.remarks, [Remark::QuotedInstead], "and says so");
}

#[test]
fn what_was_left_out_is_counted() {
    let text = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Sie kostet 500 Franken [1].";
    assert_eq!(generated(ASKED, text, AnswerPolicy::default()).remarks, [Remark::LeftOut { sentences: 1 }]);
}

#[test]
fn what_is_beside_the_question_is_left_out_though_a_source_carries_it() {
    let text = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Der Bundesrat besteht aus sieben Mitgliedern [2].";
    let answer = generated(ASKED, text, AnswerPolicy::default());
    assert_eq!(answer.answer, "Die Beschwerde ist innert 30 Tagen einzureichen. [1]");
    assert_eq!(answer.remarks, [Remark::LeftOut { sentences: 1 }]);
    let lenient = AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() };
    assert_eq!(generated(ASKED, text, lenient).sentences.len(), 2, "what may hold the answer stays");
}

#[test]
fn the_threshold_of_a_request_decides_what_is_beside_the_question() {
    let text = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Der Bundesrat besteht aus sieben Mitgliedern [2].";
    let sentences = |threshold: Option<f32>| {
        let (ledger, passages) = archive(&[FRIST, RAT]);
        let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new([text]));
        let scope = staff();
        let mut asked = request(ASKED, passages, &scope);
        asked.settings.threshold = threshold;
        let answerer = answerer(Some(generator), ledger, AnswerPolicy::default());
        answerer.answer(asked, &mut |_| {}, &Cancel::default()).unwrap().sentences.len()
    };
    assert_eq!([None, Some(0.0)].map(sentences), [1, 2]);
}

#[test]
fn when_nothing_holds_it_is_tried_once_more_and_warmer() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let texts = ["Das kostet 900 Franken [1].", "Die Beschwerde ist innert 30 Tagen einzureichen [1]."];
    let generator = Arc::new(ScriptedGenerator::new(texts));
    let scope = staff();
    let answer = answerer(Some(generator.clone()), ledger, AnswerPolicy::default())
        .answer(request(ASKED, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap();
    assert_eq!(answer.answer, "Die Beschwerde ist innert 30 Tagen einzureichen. [1]");
    assert!(!answer.extractive && answer.remarks.is_empty());
    let samplings: Vec<Sampling> = generator.requests().into_iter().map(|request| request.sampling).collect();
    assert_eq!(samplings[0].temperature, 0.0);
    assert!(samplings[1].temperature > 0.0 && samplings[1].seed != samplings[0].seed);
}

#[test]
fn of_all_passages_named_the_carrying_ones_are_cited() {
    let rule = "Die Beschwerde ist innert 30 Tagen nach der Eröffnung beim Amt schriftlich einzureichen.";
    let vague = "Eine Beschwerde nach 30 Tagen ist verspätet, die Eröffnung zählt, das Amt prüft es.";
    let (ledger, passages) = archive(&[rule, vague]);
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new([format!("{rule} [1][2]").as_str()]));
    let scope = staff();
    let answer = answerer(Some(generator), ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
        .answer(request(ASKED, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap();
    assert_eq!(answer.answer, format!("{rule} [1]"));
}

#[test]
fn a_question_repeated_states_nothing() {
    let written = format!("{ASKED} [1] Die Beschwerde ist innert 30 Tagen einzureichen [1].");
    let answer = generated(ASKED, &written, AnswerPolicy::default());
    assert_eq!(answer.answer, "Die Beschwerde ist innert 30 Tagen einzureichen. [1]");
}

#[test]
fn a_follow_up_is_answered_as_it_is_understood_and_recorded_as_asked() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let scope = staff();
    let mut asked = request("Und für Einsprachen?", passages, &scope);
    asked.standalone = Some("Frist Einsprachen Tagen: Und für Einsprachen?".into());
    let answer = answerer(None, ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
        .answer(asked, &mut |_| {}, &Cancel::default())
        .unwrap();
    assert!(answer.answer.contains("Für Einsprachen gilt eine Frist von 10 Tagen."), "{}", answer.answer);
    assert_eq!(answer.question, "Und für Einsprachen?");
    assert!(answer.standalone.is_some());
}

#[test]
fn leaving_the_cited_passage_out_shows_what_the_answer_rests_on() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let scope = staff();
    let mut asked = request("Aus wie vielen Mitgliedern besteht der Bundesrat?", passages, &scope);
    asked.settings.leave_one_out = true;
    let answer =
        answerer(None, ledger, AnswerPolicy::default()).answer(asked, &mut |_| {}, &Cancel::default()).unwrap();
    assert_eq!(answer.left_out.len(), 1);
    assert_eq!((answer.left_out[0].marker, answer.left_out[0].abstained), (2, true));
}

#[test]
fn attention_is_summed_per_sentence_and_passage() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let text = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Der Bundesrat besteht aus sieben Mitgliedern [2].";
    let second = text.find("Der Bundesrat").unwrap();
    let at = |offset, mass: &[f32]| fontes_core::TokenAttention { offset, mass: vec![mass.to_vec()] };
    let attention = vec![at(0, &[0.6, 0.2]), at(4, &[0.4, 0.0]), at(second, &[0.1, 0.8])];
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new([text]).with_attention(attention));
    let scope = staff();
    let mut asked = request(ASKED, passages, &scope);
    asked.settings.attention = true;
    let answer = answerer(Some(generator), ledger, AnswerPolicy { threshold: 0.0, ..AnswerPolicy::default() })
        .answer(asked, &mut |_| {}, &Cancel::default())
        .unwrap();
    let shares: Vec<Vec<(u32, f32)>> = answer
        .sentences
        .iter()
        .map(|sentence| sentence.attention.iter().map(|one| (one.marker, one.share)).collect())
        .collect();
    assert_eq!(shares, [vec![(1, 0.5), (2, 0.1)], vec![(2, 0.8), (1, 0.1)]]);
}

#[test]
fn a_silent_model_gives_way_to_what_the_sources_likely_say() {
    let answer = generated(ASKED, "Die Quellen sagen dazu nichts.", AnswerPolicy::default());
    assert!(answer.extractive && !answer.abstained, "{}", answer.confidence);
    assert_eq!(answer.remarks, [Remark::GeneratorSilent]);
    let unchecked = AnswerPolicy { verify: false, ..AnswerPolicy::default() };
    let answer = generated(ASKED, "Die Quellen sagen dazu nichts.", unchecked);
    assert!(answer.abstained && answer.sentences.is_empty());
}

fn extracted(question: &str) -> Answer {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let scope = staff();
    answerer(None, ledger, AnswerPolicy::default())
        .answer(request(question, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap()
}

#[test]
fn without_a_generator_the_best_sentence_is_quoted() {
    let answer = extracted("Wie viele Mitglieder hat der Bundesrat?");
    assert!(answer.extractive && !answer.abstained);
    let first = &answer.sentences[0];
    assert_eq!(first.text, "Der Bundesrat besteht aus sieben Mitgliedern.");
    assert_eq!((first.support, first.citations[0].marker), (Support::Verbatim, 2));
}

#[test]
fn what_the_sources_do_not_say_is_not_answered() {
    for question in ["Wer gewann 1998 das Tennisturnier von Melbourne?", "Quelle est la capitale du Pérou ?", "???"] {
        let answer = extracted(question);
        assert!(answer.abstained, "{question}: {}", answer.answer);
        assert!(answer.sentences.is_empty());
    }
    assert_eq!(extracted("Quelle est la capitale du Pérou ?").answer, "Les sources n'en disent rien.");
}

#[test]
fn vanished_changed_and_forbidden_passages_are_not_used() {
    let (ledger, mut passages) = archive(&[FRIST, RAT]);
    passages[0].hit.text = "Die Beschwerde ist innert 99 Tagen einzureichen.".into();
    ledger.remove(passages[1].hit.document_id);
    let scope = staff();
    let answerer = answerer(None, ledger, AnswerPolicy::default());
    let answer = answerer.answer(request(ASKED, passages.clone(), &scope), &mut |_| {}, &Cancel::default()).unwrap();
    assert!(answer.abstained && answer.passages.is_empty());
    let stranger = fontes_testkit::scope(&["other"], Classification::Secret);
    let answer = answerer.answer(request(ASKED, passages, &stranger), &mut |_| {}, &Cancel::default()).unwrap();
    assert!(answer.passages.is_empty());
}

#[test]
fn prompts_fit_the_budget_and_name_only_what_they_hold() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let generator = Arc::new(
        ScriptedGenerator::new(["Die Beschwerde ist innert 30 Tagen einzureichen [1]."]).with_context_length(400),
    );
    let scope = staff();
    let answer = answerer(Some(generator.clone()), ledger, AnswerPolicy::default())
        .answer(request(ASKED, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap();
    let prompt = generator.requests()[0].prompt();
    assert!(generator.count_tokens(&prompt) + 200 <= 400, "{}", generator.count_tokens(&prompt));
    for passage in &answer.passages {
        assert!(prompt.contains(&passage.hit.text), "what is listed was given");
    }
    assert!(generator.requests()[0].masked);
}

#[test]
fn the_likeliest_passage_is_read_first_and_keeps_its_marker() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let generator = Arc::new(ScriptedGenerator::new(["Der Bundesrat besteht aus sieben Mitgliedern [2]."]));
    let scope = staff();
    let answer = answerer(Some(generator.clone()), ledger, AnswerPolicy::default())
        .answer(
            request("Aus wie vielen Mitgliedern besteht der Bundesrat?", passages, &scope),
            &mut |_| {},
            &Cancel::default(),
        )
        .unwrap();
    let prompt = generator.requests()[0].prompt();
    assert!(prompt.find("[2] Dokument 2").unwrap() < prompt.find("[1] Dokument 1").unwrap(), "{prompt}");
    assert_eq!(answer.sentences[0].citations[0].marker, 2);
}

#[test]
fn too_small_a_context_is_an_error() {
    let (ledger, passages) = archive(&[FRIST]);
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new(["x"]).with_context_length(100));
    let scope = staff();
    let error = answerer(Some(generator), ledger, AnswerPolicy::default())
        .answer(request(ASKED, passages, &scope), &mut |_| {}, &Cancel::default())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.advice().is_some());
}

#[test]
fn events_come_in_order_and_agree_with_the_answer() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let text = "Die Beschwerde ist innert 30 Tagen einzureichen [1]. Der Bundesrat besteht aus sieben Mitgliedern [2].";
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new([text]));
    let scope = staff();
    let mut log = Vec::new();
    let mut draft = String::new();
    let answer = answerer(Some(generator), ledger, AnswerPolicy::default())
        .answer(
            AskRequest { preview: true, ..request(ASKED, passages, &scope) },
            &mut |event| match event {
                AskEvent::Passages(passages) => log.push(format!("passages {}", passages.len())),
                AskEvent::Preview(sentences) => log.push(format!("preview {}", !sentences.is_empty())),
                AskEvent::Draft(piece) => draft.push_str(piece),
                AskEvent::Sentence(sentence) => log.push(sentence.text.clone()),
                AskEvent::Done(_) => log.push("done".into()),
            },
            &Cancel::default(),
        )
        .unwrap();
    let mut expected = vec!["passages 2".to_owned(), "preview true".to_owned()];
    expected.extend(answer.sentences.iter().map(|sentence| sentence.text.clone()));
    expected.push("done".into());
    assert_eq!(log, expected);
    assert_eq!(draft, "Die Beschwerde ist innert 30 Tagen einzureichen. Der Bundesrat besteht aus sieben Mitgliedern");
}

#[test]
fn a_cancelled_answer_is_an_error_and_odd_questions_are_too() {
    let (ledger, passages) = archive(&[FRIST]);
    let generator: Arc<dyn Generator> = Arc::new(ScriptedGenerator::new(["Die Beschwerde ist innert"]));
    let answerer = answerer(Some(generator), ledger, AnswerPolicy::default());
    let scope = staff();
    let cancel = Cancel::default();
    cancel.cancel();
    let kind = |question: &str, cancel: &Cancel| {
        answerer.answer(request(question, passages.clone(), &scope), &mut |_| {}, cancel).unwrap_err().kind()
    };
    assert_eq!(kind(ASKED, &cancel), ErrorKind::Timeout);
    assert_eq!(kind(" ", &Cancel::default()), ErrorKind::Invalid);
    assert_eq!(kind(&"lang ".repeat(10_000), &Cancel::default()), ErrorKind::Invalid);
}

#[test]
fn the_same_question_has_the_same_answer() {
    let one = extracted("Wie viele Mitglieder hat der Bundesrat?");
    let mut other = extracted("Wie viele Mitglieder hat der Bundesrat?");
    assert!(crate::changes(&one, &other).is_empty());
    other.index_snapshot = IndexSnapshot(8);
    other.answer.push('!');
    let changes: Vec<String> = crate::changes(&one, &other).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["index snapshot was 7, is 8", "the answer reads differently"]);
}

#[test]
fn a_citation_names_the_other_places_in_which_its_quote_stands() {
    let changed = FRIST.replace("30 Tagen", "20 Tagen");
    let (ledger, mut passages) = archive(&[FRIST, FRIST, &changed]);
    let place = |passage: &Passage| Duplicate {
        document_id: passage.hit.document_id,
        chunk_id: passage.hit.chunk_id,
        title: passage.hit.title.clone(),
        path: passage.hit.path.clone(),
        pages: passage.hit.pages.clone(),
        span: passage.hit.span,
    };
    let others = passages.split_off(1);
    passages[0].hit.also_in = others.iter().map(place).collect();
    let scope = staff();
    let answerer = answerer(None, ledger.clone(), AnswerPolicy::default());
    let cited = || {
        let answer =
            answerer.answer(request(ASKED, passages.clone(), &scope), &mut |_| {}, &Cancel::default()).unwrap();
        let named = answer.sentences[0].citations[0].also_in.clone();
        (named, answer.passages[0].hit.also_in.clone())
    };
    assert_eq!(cited(), (vec![place(&others[0])], others.iter().map(place).collect()));
    ledger.remove(others[0].hit.document_id);
    assert_eq!(cited(), (Vec::new(), vec![place(&others[1])]));
}

#[test]
fn an_abstention_shows_what_is_close_and_nothing_else() {
    let (ledger, passages) = archive(&[FRIST, RAT]);
    let scope = staff();
    let markers = |close: f32| -> Vec<u32> {
        let policy = AnswerPolicy { threshold: 1.0, close, ..AnswerPolicy::default() };
        let answerer = answerer(None, ledger.clone(), policy);
        let answer =
            answerer.answer(request(ASKED, passages.clone(), &scope), &mut |_| {}, &Cancel::default()).unwrap();
        assert!(answer.abstained);
        answer.passages.iter().map(|passage| passage.marker).collect()
    };
    assert_eq!(markers(0.0), [1, 2]);
    assert_eq!(markers(AnswerPolicy::default().close), [1]);
    assert!(markers(1.0).is_empty());
}
