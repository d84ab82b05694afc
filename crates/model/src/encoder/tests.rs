//! Encoders against the outputs of `transformers` on small random checkpoints (`tests/fixtures/encoders`).

use std::{fs, path::PathBuf};

use fontes_core::{
    Cancel, ErrorKind, Language, MatchPassage, QueryToken,
    seam::{EmbedAs, Embedder, Inference, Judge, Reranker},
};
use serde::Deserialize;

use super::{network::Packed, *};
use crate::store::{Manifest, ModelStore};

#[derive(Deserialize)]
struct Case {
    role: String,
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

#[derive(Deserialize)]
struct Pair {
    query: String,
    passage: String,
    score: f32,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders").join(name)
}

/// The model in `dir`, found as a model used where it lies.
fn model(dir: &Path) -> InstalledModel {
    let memory = tempfile::tempdir().unwrap();
    let store = ModelStore::open(memory.path(), Manifest::default(), "", None);
    store.resolve_path(dir, &Cancel::default()).unwrap()
}

/// Exact, to be compared with the reference.
fn options() -> EncoderOptions {
    EncoderOptions { threads: 2, precision: Precision::F32, ..EncoderOptions::default() }
}

fn cases(name: &str) -> Vec<Case> {
    serde_json::from_slice(&fs::read(fixture(name).join("reference.json")).unwrap()).unwrap()
}

fn pairs(name: &str) -> Vec<Pair> {
    serde_json::from_slice(&fs::read(fixture(name).join("reference.json")).unwrap()).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Embeds the cases of one role in one call.
fn embed(embedder: &EncoderEmbedder, cases: &[Case], role: &str) -> Vec<Vec<f32>> {
    let texts: Vec<&str> = cases.iter().filter(|case| case.role == role).map(|case| case.text.as_str()).collect();
    embedder.embed(&texts, if role == "query" { EmbedAs::Query } else { EmbedAs::Passage }).unwrap()
}

/// Least cosine between embeddings and references.
fn agreement(embedder: &EncoderEmbedder, cases: &[Case]) -> f32 {
    let of_role = |role: &str| {
        let wanted: Vec<&Case> = cases.iter().filter(|case| case.role == role).collect();
        let found = embed(embedder, cases, role);
        assert_eq!(wanted.len(), found.len());
        wanted.iter().zip(found).map(|(case, vector)| cosine(&case.vector, &vector)).fold(f32::INFINITY, f32::min)
    };
    of_role("query").min(of_role("passage"))
}

#[test]
fn embeddings_agree_with_transformers() {
    for name in ["bert", "xlm-roberta"] {
        let (cases, embedder) = (cases(name), open_embedder(&model(&fixture(name)), &options()).unwrap());
        for role in ["query", "passage"] {
            let wanted = cases.iter().filter(|case| case.role == role);
            for (case, vector) in wanted.zip(embed(&embedder, &cases, role)) {
                let worst = case.vector.iter().zip(&vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{name}, {} tokens: off by {worst}", case.ids.len());
            }
        }
    }
}

#[test]
fn tokens_are_those_of_the_reference_and_cut_at_the_limit() {
    for name in ["bert", "xlm-roberta"] {
        let embedder = open_embedder(&model(&fixture(name)), &options()).unwrap();
        assert_eq!(embedder.max_tokens(), 40);
        let cases = cases(name);
        assert!(cases.iter().any(|case| case.ids.len() == 40), "the fixtures reach the limit");
        for case in cases {
            let prefix =
                if case.role == "query" { &embedder.usage.query_prefix } else { &embedder.usage.passage_prefix };
            assert_eq!(embedder.tokenizer.single(&format!("{prefix}{}", case.text)).unwrap().ids, case.ids);
        }
    }
}

#[test]
fn reduced_precision_stays_close() {
    use Precision::{F16, Int8, Q4_0, Q8_0};
    for (precision, least) in [(F16, 0.9999), (Int8, 0.998), (Q8_0, 0.999), (Q4_0, 0.95)] {
        for isa in Isa::ALL {
            let options = EncoderOptions { precision, isa, ..options() };
            for name in ["bert", "xlm-roberta"] {
                let embedder = open_embedder(&model(&fixture(name)), &options).unwrap();
                let cosine = agreement(&embedder, &cases(name));
                assert!(cosine > least, "{name} {precision:?} {isa:?}: {cosine}");
            }
        }
    }
}

#[test]
fn grouping_does_not_change_an_embedding() {
    let cases = cases("bert");
    let model = model(&fixture("bert"));
    let together = open_embedder(&model, &options()).unwrap();
    let apart = open_embedder(&model, &EncoderOptions { tokens_per_batch: 1, threads: 3, ..options() }).unwrap();
    for (a, b) in embed(&together, &cases, "passage").iter().zip(embed(&apart, &cases, "passage")) {
        assert!(cosine(a, &b) > 0.999_999);
    }
    assert!(together.embed(&[], EmbedAs::Query).unwrap().is_empty());
    let empty = together.embed(&[""], EmbedAs::Passage).unwrap();
    assert!((cosine(&empty[0], &empty[0]) - 1.0).abs() < 1e-5);
}

#[test]
fn a_long_text_is_cut_before_it_is_tokenised_and_many_threads_change_nothing() {
    let model = model(&fixture("xlm-roberta"));
    let long = "Das Archiv bewahrt die Akten auf. ".repeat(3000);
    let (short, _) = long.split_at(1000);
    let options = EncoderOptions { precision: Precision::Int8, ..options() };
    let embed = |threads| {
        let embedder = open_embedder(&model, &EncoderOptions { threads, ..options.clone() }).unwrap();
        embedder.embed(&[&long, short, "", "\u{0}\u{feff}"], EmbedAs::Passage).unwrap()
    };
    let one = embed(1);
    assert_eq!(one[0], one[1]);
    assert_eq!(one, embed(64));
}

#[test]
fn fewer_dimensions_are_the_first_ones_made_unit() {
    let model = model(&fixture("xlm-roberta"));
    let whole = open_embedder(&model, &options()).unwrap().embed(&["x"], EmbedAs::Query).unwrap();
    let cut = EncoderOptions { dimensions: Some(8), ..options() };
    let embedder = open_embedder(&model, &cut).unwrap();
    assert_eq!(embedder.dimensions(), 8);
    let cut = embedder.embed(&["x"], EmbedAs::Query).unwrap();
    let length = whole[0][..8].iter().map(|x| x * x).sum::<f32>().sqrt();
    for (a, b) in cut[0].iter().zip(&whole[0]) {
        assert!((a - b / length).abs() < 1e-5);
    }
    for wrong in [0, 33] {
        let options = EncoderOptions { dimensions: Some(wrong), ..options() };
        assert!(matches!(open_embedder(&model, &options), Err(EncoderError::Dimensions { .. })));
    }
}

#[test]
fn token_offsets_ascend_on_character_boundaries() {
    for name in ["bert", "xlm-roberta"] {
        let embedder = open_embedder(&model(&fixture(name)), &options()).unwrap();
        let text = "  Le Conseil fédéral…  naïve café\n12 % 🦀 Mitglieder";
        let offsets = embedder.token_offsets(text).unwrap();
        assert!(offsets.len() > 10 && offsets.is_sorted());
        assert!(offsets.iter().all(|&at| text.is_char_boundary(at)));
        assert!(embedder.token_offsets("").unwrap().is_empty());
    }
}

#[test]
fn rerankers_agree_with_transformers() {
    for name in ["bert-reranker", "xlm-roberta-reranker"] {
        let pairs = pairs(name);
        let reranker = open_reranker(&model(&fixture(name)), &options(), RerankBudget::default()).unwrap();
        for group in pairs.chunk_by(|a, b| a.query == b.query) {
            let passages: Vec<&str> = group.iter().map(|pair| pair.passage.as_str()).collect();
            let scores = reranker.score(&group[0].query, &passages).unwrap();
            for (pair, score) in group.iter().zip(scores) {
                assert!((pair.score - score).abs() < 1e-4, "{name}: {score}, reference {}", pair.score);
            }
        }
        assert!(reranker.score("q", &[]).unwrap().is_empty());
    }
}

/// A folder with the files of a fixture and other names for its labels.
fn labelled(name: &str, labels: serde_json::Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(fixture(name).join(file), dir.path().join(file)).unwrap();
    }
    let path = dir.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["id2label"] = labels;
    fs::write(&path, config.to_string()).unwrap();
    dir
}

#[test]
fn judges_say_what_rerankers_score() {
    // That scores are those of `transformers` is another test's; short texts are cut by neither.
    let texts = [("federal council", "members"), ("members", "the council"), ("archive", "x"), ("x", "archive")];
    let swapped = labelled("bert-reranker", serde_json::json!({"0": "entailment", "1": "not_entailment"}));
    for (dir, name, sign) in [
        (fixture("bert-reranker"), "bert-reranker", 1.0),
        (swapped.path().to_owned(), "bert-reranker", -1.0),
        (fixture("xlm-roberta-reranker"), "xlm-roberta-reranker", 1.0),
    ] {
        let judge = open_judge(&model(&dir), &options()).unwrap();
        let reranker = open_reranker(&model(&fixture(name)), &options(), RerankBudget::default()).unwrap();
        for (text, statement) in texts {
            let inference = Inference { question: "", language: Language::English, statement, text };
            let probability = judge.entails(&inference, &Cancel::default()).unwrap();
            let score = reranker.score(text, &[statement]).unwrap()[0];
            let wanted = 1.0 / (1.0 + (-sign * score).exp());
            assert!((probability - wanted).abs() < 1e-5, "{name}: {probability}, wanted {wanted}");
        }
    }
}

#[test]
fn a_judge_needs_to_know_its_labels() {
    let three = labelled("bert-reranker", serde_json::json!({"0": "a", "1": "b", "2": "c"}));
    assert!(matches!(open_judge(&model(three.path()), &options()), Err(EncoderError::Unsupported { .. })));
    let four = labelled("bert-reranker", serde_json::json!({"0": "a", "1": "b", "2": "c", "3": "entailment"}));
    assert!(matches!(open_judge(&model(four.path()), &options()), Err(EncoderError::Unsupported { .. })));
    assert!(matches!(open_judge(&model(&fixture("bert")), &options()), Err(EncoderError::WrongRole { .. })));
}

#[test]
fn a_long_text_leaves_room_for_the_statement() {
    let judge = open_judge(&model(&fixture("bert-reranker")), &options()).unwrap();
    let long = "federal council ".repeat(100);
    let tokens = |text: &str, statement: &str| judge.0.tokenizer.premise_and_statement(text, statement).unwrap();
    let both = tokens(&long, "seven members");
    let statement = judge.0.tokenizer.plain("seven members").unwrap().0;
    assert_eq!(both.ids.len(), 40);
    assert!(both.ids.ends_with(&[&statement[..], &both.ids[39..]].concat()), "the statement is whole");
    assert_eq!(tokens(&long, &long).ids.len(), 40);
}

#[test]
fn the_body_of_an_input_is_the_text_alone() {
    for name in ["bert", "xlm-roberta"] {
        let embedder = open_embedder(&model(&fixture(name)), &options()).unwrap();
        for (prefix, text) in [("query: ", "the federal council"), ("", "archives"), ("query: ", "a b")] {
            let input = embedder.tokenizer.single(&format!("{prefix}{text}")).unwrap();
            let body = embedder.tokenizer.body(prefix, &input).unwrap();
            assert_eq!(input.ids[body], embedder.tokenizer.plain(text).unwrap().0, "{name}: {prefix}{text}");
        }
    }
}

/// Late interaction by its definition, one text and one token at a time.
fn matched(embedder: &EncoderEmbedder, query: &str, passages: &[&str]) -> Vec<f64> {
    let hidden = embedder.network.config().hidden;
    let rows = |text: &str, role: EmbedAs| -> Vec<(u32, Vec<f64>)> {
        let input = embedder.tokenizer.single(&format!("{}{text}", embedder.prefix(role))).unwrap();
        let mut packed = Packed::default();
        packed.push(&input.ids, &input.types);
        let states = embedder.network.forward(&embedder.network.machine().pool, &packed).unwrap();
        let body = embedder.tokenizer.body(embedder.prefix(role), &input).unwrap();
        let centred = |at: usize| {
            let row = states[at * hidden..][..hidden].iter().zip(embedder.network.centre());
            row.map(|(x, mean)| f64::from(x - mean)).collect()
        };
        body.map(|at| (input.ids[at], centred(at))).collect()
    };
    // Of the passage's token only the signs count; a normal distribution's cosine with its signs is the root of 2/π.
    let near = |asked: &[f64], row: &[f64]| {
        let length = asked.iter().map(|x| x * x).sum::<f64>().sqrt();
        let with_signs: f64 = asked.iter().zip(row).map(|(x, y)| if *y > 0.0 { *x } else { -x }).sum();
        with_signs / length / (hidden as f64).sqrt() / std::f64::consts::FRAC_2_PI.sqrt()
    };
    let read: Vec<_> = passages.iter().map(|passage| rows(passage, EmbedAs::Passage)).collect();
    let asked = rows(query, EmbedAs::Query);
    let weights: f64 = asked.iter().map(|(id, _)| f64::from(embedder.tokenizer.weight(*id))).sum();
    let score = |passage: &Vec<(u32, Vec<f64>)>| {
        let token = |(id, token): &(u32, Vec<f64>)| {
            let nearest = passage.iter().map(|(_, row)| near(token, row)).fold(0.0, f64::max).min(1.0);
            f64::from(embedder.tokenizer.weight(*id)) * nearest * nearest
        };
        asked.iter().map(token).sum::<f64>() / weights
    };
    read.iter().map(score).collect()
}

fn unread<'a>(texts: &[&'a str]) -> Vec<MatchPassage<'a>> {
    texts.iter().map(|text| MatchPassage { text, tokens: &[] }).collect()
}

const PASSAGES: [&str; 4] =
    ["The council keeps archives of the state.", "Of what?", "federal federal", "the federal council of the state"];

/// The tokens of a query.
fn asked(embedder: &EncoderEmbedder, query: &str) -> Vec<QueryToken> {
    embedder.embed_queries(&[query]).unwrap().remove(0).tokens
}

#[test]
fn late_interaction_follows_its_definition_within_the_budget() {
    for name in ["bert", "xlm-roberta"] {
        let embedder = open_embedder(&model(&fixture(name)), &options()).unwrap();
        let asked = asked(&embedder, "the federal council");
        let scores = embedder.match_tokens(&asked, &unread(&PASSAGES), usize::MAX).unwrap();
        for (score, reference) in scores.iter().zip(matched(&embedder, "the federal council", &PASSAGES)) {
            assert!((f64::from(score.unwrap()) - reference).abs() < 1e-4, "{name}: {score:?}, {reference}");
        }
        assert!(scores.iter().flatten().all(|score| (0.0..=1.0).contains(score)));
        let few = embedder.match_tokens(&asked, &unread(&PASSAGES), 0).unwrap();
        assert_eq!(few.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false], "{name}");
        assert_eq!(embedder.match_tokens(&asked, &[], 99).unwrap(), []);
    }
}

#[test]
fn kept_signs_stand_for_the_text_and_cost_no_budget() {
    for name in ["bert", "xlm-roberta"] {
        let embedder = open_embedder(&model(&fixture(name)), &options()).unwrap();
        let made = embedder.embed_passages(&PASSAGES).unwrap();
        let vectors: Vec<Vec<f32>> = made.iter().map(|embedding| embedding.vector.clone()).collect();
        assert_eq!(vectors, embedder.embed(&PASSAGES, EmbedAs::Passage).unwrap(), "{name}");
        let asked = asked(&embedder, "the federal council");
        let read = embedder.match_tokens(&asked, &unread(&PASSAGES), usize::MAX).unwrap();
        let kept: Vec<MatchPassage<'_>> =
            made.iter().map(|embedding| MatchPassage { text: "", tokens: &embedding.tokens }).collect();
        assert_eq!(embedder.match_tokens(&asked, &kept, 0).unwrap(), read, "{name}");
        // Some kept and some not: the first that is not is read in any case.
        let mut mixed = unread(&PASSAGES);
        (mixed[0], mixed[3]) = (kept[0], kept[3]);
        let some = embedder.match_tokens(&asked, &mixed, 0).unwrap();
        assert_eq!(some, [read[0], read[1], None, read[3]], "{name}");
        // What is no signs of these weights is read.
        for damaged in [&[][..], &[1, 2], &[9], &made[0].tokens[..made[0].tokens.len() - 1]] {
            let passage = MatchPassage { text: PASSAGES[0], tokens: damaged };
            assert_eq!(embedder.match_tokens(&asked, &[passage], 99).unwrap(), [read[0]], "{name}");
        }
    }
}

#[test]
fn tokens_of_a_query_have_places_and_weights() {
    for name in ["bert", "xlm-roberta"] {
        let embedder = open_embedder(&model(&fixture(name)), &options()).unwrap();
        let query = "the council, the council";
        let embedded = embedder.embed_queries(&[query, "archives"]).unwrap().remove(0);
        assert_eq!(embedded.vector, embedder.embed(&[query], EmbedAs::Query).unwrap()[0], "{name}");
        let mut tokens = embedded.tokens;
        // A space that the tokenizer puts before a text is given the place of the first letter.
        assert!(tokens.windows(2).all(|pair| pair[0].span.start <= pair[1].span.start), "{name}: {tokens:?}");
        let is_covered = |at: usize| tokens.iter().any(|token| (token.span.start..token.span.end).contains(&at));
        assert!(query.char_indices().all(|(at, c)| c == ' ' || is_covered(at)), "{name}: {tokens:?}");
        assert!(tokens.iter().all(|token| query.get(token.span.start..token.span.end).is_some()), "{name}");
        // What has no weight does not count.
        let score = |tokens: &[QueryToken]| embedder.match_tokens(tokens, &unread(&PASSAGES), usize::MAX).unwrap();
        let all = score(&tokens);
        tokens[1..].iter_mut().for_each(|token| token.weight = 0.0);
        assert_eq!(score(&tokens), score(&tokens[..1]), "{name}");
        assert_ne!(score(&tokens), all, "{name}");
        tokens[0].weight = 0.0;
        assert_eq!(score(&tokens), [None; 4], "{name}: nothing counts");
        tokens[0].vector.pop();
        assert!(embedder.match_tokens(&tokens, &unread(&PASSAGES), 9).is_err(), "{name}: of another embedder");
    }
}

#[test]
fn rare_tokens_weigh_more_where_the_vocabulary_tells() {
    let embedder = open_embedder(&model(&fixture("xlm-roberta")), &options()).unwrap();
    let weights: Vec<f32> = (0..90).map(|id| embedder.tokenizer.weight(id)).collect();
    assert!(weights.iter().all(|weight| *weight >= 2.0) && weights.iter().any(|weight| *weight > 2.0), "{weights:?}");
    let bert = open_embedder(&model(&fixture("bert")), &options()).unwrap();
    assert_eq!([5, 50].map(|id| bert.tokenizer.weight(id)), [1.0; 2]);
}

#[test]
fn a_spent_budget_leaves_passages_unread() {
    let model = model(&fixture("bert-reranker"));
    let score = |budget| {
        let reranker = open_reranker(&model, &options(), budget).unwrap();
        reranker.score("the federal council", &["archives of the state"; 60]).unwrap()
    };
    let read = |scores: &[f32]| scores.iter().take_while(|score| score.is_finite()).count();
    let unlimited = RerankBudget { tokens: usize::MAX, time: std::time::Duration::MAX };
    let all = score(unlimited);
    assert_eq!(read(&all), 60);
    let few = score(RerankBudget { tokens: 100, ..unlimited });
    assert!((1..60).contains(&read(&few)), "{few:?}");
    assert!(few.iter().zip(&all).take(read(&few)).all(|(a, b)| (a - b).abs() < 1e-5));
    assert!(few[read(&few)..].iter().all(|score| score.is_nan()));
    assert_eq!(read(&score(RerankBudget { tokens: 0, ..unlimited })), 1);
    assert!(read(&score(RerankBudget { time: std::time::Duration::ZERO, ..unlimited })) >= 1);
}

#[test]
fn the_wrong_kind_of_model_is_refused() {
    let embedder = model(&fixture("bert"));
    let error = fontes_core::Error::from(open_reranker(&embedder, &options(), RerankBudget::default()).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(open_embedder(&model(&fixture("bert-reranker")), &options()).is_err());
}

/// A copy of a fixture in which one file is changed.
fn damaged(name: &str, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(fixture(name).join(file), dir.path().join(file)).unwrap();
    }
    let path = dir.path().join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    dir
}

#[test]
fn damaged_checkpoints_are_errors() {
    let replaced = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replacen(from, to, 1).into_bytes()
    };
    let wide = damaged("bert", "config.json", replaced("\"hidden_size\": 32", "\"hidden_size\": 64"));
    assert!(matches!(open_embedder(&model(wide.path()), &options()), Err(EncoderError::Weights(_))));
    let deep = damaged("bert", "config.json", replaced("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"));
    assert!(matches!(open_embedder(&model(deep.path()), &options()), Err(EncoderError::Weights(_))));
    let short = damaged("bert", "model.safetensors", |bytes| bytes[..bytes.len() - 4].to_vec());
    assert!(matches!(open_embedder(&model(short.path()), &options()), Err(EncoderError::Weights(_))));
    let nan = damaged("bert", "model.safetensors", |mut bytes| {
        // The first number after the header belongs to the first tensor by name, a normalisation.
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    });
    assert!(matches!(open_embedder(&model(nan.path()), &options()), Err(EncoderError::Weights(_))));
    let garbled = damaged("bert", "tokenizer.json", |_| b"{}".to_vec());
    assert!(matches!(open_embedder(&model(garbled.path()), &options()), Err(EncoderError::Tokenizer { .. })));
    let foreign = damaged("bert", "tokenizer.json", |_| fs::read(fixture("xlm-roberta/tokenizer.json")).unwrap());
    assert!(open_embedder(&model(foreign.path()), &options()).is_ok(), "fewer ids than rows is no contradiction");
    let small = damaged("xlm-roberta", "tokenizer.json", |_| fs::read(fixture("bert/tokenizer.json")).unwrap());
    assert!(matches!(open_embedder(&model(small.path()), &options()), Err(EncoderError::Vocabulary { .. })));
}

/// An adapter for a fixture: a change of one layer, and a head that likes the ends of vectors along their first axis.
fn adapter(model: &InstalledModel, base: &str, up: f32) -> Vec<u8> {
    use safetensors::{Dtype, tensor::TensorView as View};
    let config: serde_json::Value = serde_json::from_slice(&fs::read(model.path("config.json")).unwrap()).unwrap();
    let hidden = config["hidden_size"].as_u64().unwrap() as usize;
    let bytes = |values: Vec<f32>| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let ramp = |count: usize| (0..count).map(|at| (at % 7) as f32 / 7.0 - 0.4).collect::<Vec<f32>>();
    let head: Vec<f32> = (0..2 * hidden).map(|at| f32::from(u8::from(at % hidden == 0))).collect();
    let layer = "encoder.layer.0.attention.output.dense";
    let tensors = [
        (format!("{layer}.down"), vec![2, hidden], bytes(ramp(2 * hidden))),
        (format!("{layer}.up"), vec![hidden, 2], bytes(vec![up; 2 * hidden])),
        ("head.weight".to_owned(), vec![2, hidden], bytes(head)),
        ("head.bias".to_owned(), vec![2], bytes(vec![0.0, 0.0])),
    ];
    let views = tensors.iter().map(|(name, shape, data)| (name, View::new(Dtype::F32, shape.clone(), data).unwrap()));
    let told = [("base".to_owned(), base.to_owned()), ("base_sha256".to_owned(), model.sha256.to_string())];
    safetensors::serialize(views, Some(told.into())).unwrap()
}

#[test]
fn a_reader_finds_one_answer_in_every_part_within_it() {
    use fontes_core::{
        Span,
        seam::{Reader, Reading},
    };
    let sentence = "the notice period is three months from the end of the month. ";
    let text = sentence.repeat(6);
    let parts: Vec<Span> = (0..6).map(|at| Span::new(at * sentence.len(), (at + 1) * sentence.len() - 1)).collect();
    for name in ["bert", "xlm-roberta"] {
        let model = model(&fixture(name));
        let embedder = open_embedder(&model, &options()).unwrap();
        let reader = open_reader(&embedder, &adapter(&model, &model.name, 0.0), &options()).unwrap();
        let whole = [Reading { text: &text, parts: &parts }, Reading { text: "", parts: &[] }];
        let found = reader.read("how long is the notice period?", &whole).unwrap();
        assert_eq!((found[0].len(), found[1].len()), (6, 0));
        for (finding, part) in found[0].iter().zip(&parts) {
            let finding = finding.expect("every part fits a window");
            assert!(part.start <= finding.span.start && finding.span.end <= part.end, "{finding:?} {part:?}");
            assert!(finding.score.is_finite() && !finding.span.is_empty());
        }
        let alone = [Reading { text: &text[..parts[0].end], parts: &parts[..1] }];
        let again = reader.read("how long is the notice period?", &alone).unwrap();
        assert_eq!(again, reader.read("how long is the notice period?", &alone).unwrap(), "reading is repeatable");
    }
}

#[test]
fn an_adapter_changes_its_layer_and_fits_only_its_model() {
    use fontes_core::{
        Span,
        seam::{Reader, Reading},
    };
    let model = model(&fixture("bert"));
    let embedder = open_embedder(&model, &options()).unwrap();
    let score = |up: f32| {
        let reader = open_reader(&embedder, &adapter(&model, &model.name, up), &options()).unwrap();
        let parts = [Span::new(0, 12)];
        reader.read("what is it?", &[Reading { text: "a dozen eggs", parts: &parts }]).unwrap()[0][0].unwrap().score
    };
    assert_ne!(score(0.0), score(0.5));
    assert_eq!(score(0.5), score(0.5));
    let foreign = open_reader(&embedder, &adapter(&model, "another", 0.0), &options());
    assert!(matches!(foreign, Err(EncoderError::Adapter { .. })));
    let mut cut = adapter(&model, &model.name, 0.0);
    cut.truncate(cut.len() - 1);
    assert!(matches!(open_reader(&embedder, &cut, &options()), Err(EncoderError::Adapter { .. })));
    assert!(matches!(open_reader(&embedder, b"", &options()), Err(EncoderError::Adapter { .. })));
}
