//! The router without a socket, over the strict fakes.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use fontes_core::{
    Cancel, Classification, Document, Embedder as _, Generator, Language, LedgerPosition, LexicalIndex as _, Metadata,
    Page, Query, Remark, SearchSettings, Span, SubqueryKind, VectorIndex as _, seam::EmbedAs,
};
use fontes_generation::{AnswerPolicy, Answerer, Prompts};
use fontes_retrieval::{Fusion, Searcher};
use fontes_testkit::{
    HashEmbedder, MemoryLedger, MemoryLexicalIndex, MemoryVectorIndex, ScriptedGenerator, Specimen, policy,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{Ask, Site, router};

const TEXT: &str = "Der Bundesrat besteht aus sieben Mitgliedern.";
const HIDDEN: &str = "Der Bundesrat verhandelt geheim in Biel.";

/// A site with one document for staff and one for the board; requests are staff.
fn site() -> Arc<Site> {
    Arc::new(site_with(None))
}

/// The same with a generator.
fn site_with(generator: Option<Arc<dyn Generator>>) -> Site {
    let embedder = Arc::new(HashEmbedder::new(64));
    let vectors = Arc::new(MemoryVectorIndex::new(64));
    let lexical = Arc::new(MemoryLexicalIndex::new());
    let ledger = Arc::new(MemoryLedger::new());
    for (path, text, group) in [("open.txt", TEXT, "staff"), ("board.txt", HIDDEN, "board")] {
        let vector = embedder.embed(&[text], EmbedAs::Passage).unwrap().remove(0);
        let specimen = Specimen::new(path, 0, text).groups(&[group]).title(path).vector(vector);
        vectors.upsert(&[specimen.entry()]).unwrap();
        lexical.upsert(&[specimen.entry()]).unwrap();
        let span = Span::new(0, text.len());
        let document = Document {
            media_type: "text/plain".into(),
            metadata: Metadata::default(),
            language: Language::German,
            text: text.into(),
            pages: vec![Page::new(1, span)],
            blocks: vec![],
        };
        ledger.insert(specimen.document, document, vec![specimen.chunk]);
    }
    vectors.flush().unwrap();
    lexical.commit(LedgerPosition(1)).unwrap();
    let searcher = Searcher::new(embedder.clone(), vectors, lexical, ledger.clone(), None, Fusion::default()).unwrap();
    let answerer = Answerer::new(generator, embedder, ledger.clone(), Prompts::default(), AnswerPolicy::default());
    Site::new(Arc::new(searcher), Arc::new(answerer), ledger, policy(&["staff"], Classification::Internal))
}

fn id_of(path: &str) -> String {
    fontes_core::DocumentId::derive("files", path.as_bytes()).to_string()
}

async fn call(request: Request<Body>) -> Response<Body> {
    router(site()).oneshot(request).await.unwrap()
}

async fn get(path: &str) -> Response<Body> {
    call(Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(path: &str, body: &Value) -> Response<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    call(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_search_gives_only_what_the_principal_may_see() {
    let response = post("/v1/search", &json!({ "query": "Bundesrat" })).await;
    assert_eq!(response.status(), StatusCode::OK);
    let reply: Value = serde_json::from_str(&text(response).await).unwrap();
    let hits = reply["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!((&hits[0]["text"], &hits[0]["rank"]), (&json!(TEXT), &json!(1)));
}

#[tokio::test]
async fn a_search_tells_how_it_was_read_and_counts_when_asked() {
    let reply =
        async |body: Value| -> Value { serde_json::from_str(&text(post("/v1/search", &body).await).await).unwrap() };
    let plain = reply(json!({ "query": "Bundesrat" })).await;
    assert!(plain["index_snapshot"].is_number() && plain.get("facets").is_none() && plain.get("remark").is_none());
    let asked = reply(json!({ "query": "Bundesrat AND sieben", "facets": true })).await;
    assert!(asked["remark"].as_str().unwrap().contains("plain words"));
    assert!(asked["facets"].is_array());
}

#[tokio::test]
async fn two_questions_in_one_are_told_apart_when_asked_for() {
    let body = |search: Value| json!({ "query": "Wer wählt den Bundesrat und wie viele Mitglieder hat er?", "search": search });
    let plain: Value = serde_json::from_str(&text(post("/v1/search", &body(json!({}))).await).await).unwrap();
    assert!(plain.get("queries").is_none());
    let split = text(post("/v1/search", &body(json!({ "split": true }))).await).await;
    let split: Value = serde_json::from_str(&split).unwrap();
    let kinds: Vec<&Value> = split["queries"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["whole", "part", "part"]);
    for wrong in [json!({ "diversity": 7.0 }), json!({ "hyde": true })] {
        assert_eq!(post("/v1/search", &body(wrong)).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[test]
fn a_generator_helps_to_search_and_its_failure_is_a_remark() {
    let scope = fontes_testkit::scope(&["staff"], Classification::Internal);
    let settings = SearchSettings { rewrite: true, hypothetical: true, ..SearchSettings::default() };
    let query = || Query { text: "Wie viele?".into(), k: 3, ..Query::default() };
    let writing = ScriptedGenerator::new(["Mitglieder Bundesrat", "Der Bundesrat hat sieben Mitglieder."]);
    let site = site_with(Some(Arc::new(writing)));
    let (found, remark) = site.search(query(), &settings, &scope, &Cancel::default()).unwrap();
    let kinds: Vec<SubqueryKind> = found.queries.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [SubqueryKind::Whole, SubqueryKind::Rewritten, SubqueryKind::Hypothetical]);
    assert_eq!((found.hits[0].text.as_str(), remark), (TEXT, None));
    // The script is over: the search goes on without it.
    let (found, remark) = site.search(query(), &settings, &scope, &Cancel::default()).unwrap();
    assert!(found.queries.is_empty());
    assert_eq!(remark, Some(Remark::NotRewritten));
    // Without a generator nothing is rewritten, and nothing is missing.
    let plain = site_with(None).search(query(), &settings, &scope, &Cancel::default()).unwrap();
    assert_eq!((plain.0.hits, plain.1), (found.hits, None));
    let gone = Cancel::default();
    gone.cancel();
    let site = site_with(Some(Arc::new(ScriptedGenerator::new(["Mitglieder Bundesrat"]))));
    assert!(site.search(query(), &settings, &scope, &gone).is_err(), "nobody waits");
}

#[test]
fn an_answer_records_how_was_searched() {
    let scope = fontes_testkit::scope(&["staff"], Classification::Internal);
    let site = site_with(None);
    let search = Some(SearchSettings { split: true, diversity: 0.2, ..SearchSettings::default() });
    let ask = Ask { search, ..Ask::new("Wer wählt den Bundesrat und wie viele Mitglieder hat er?") };
    let answer = site.answer(&ask, &scope, &mut |_| {}, &Cancel::default()).unwrap();
    assert_eq!(answer.queries.len(), 3);
    assert_eq!(Some(answer.settings.search), search);
    assert_eq!(Ask::again(&answer).search, search);
    let plain = site.answer(&Ask::new("Bundesrat?"), &scope, &mut |_| {}, &Cancel::default()).unwrap();
    assert!(plain.queries.is_empty() && plain.settings.search == SearchSettings::default());
}

#[tokio::test]
async fn documents_are_counted_for_narrowing() {
    let response = get("/v1/facets").await;
    assert_eq!(response.status(), StatusCode::OK);
    let reply: Value = serde_json::from_str(&text(response).await).unwrap();
    assert!(reply["facets"].is_array());
    let within: Value =
        serde_json::from_str(&text(get("/v1/facets?filter=language=fr&filter=source=none").await).await).unwrap();
    assert_eq!(within["facets"], json!([]));
    for wrong in ["/v1/facets?filter=language=xx", "/v1/facets?foo=1"] {
        assert_eq!(get(wrong).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn an_answer_streams_and_ends_with_the_whole() {
    let response = post("/v1/ask", &json!({ "question": "Wie viele Mitglieder hat der Bundesrat?" })).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let events = text(response).await;
    let names: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((names.first(), names.last()), (Some(&"passages"), Some(&"answer")), "{events}");
    let last = events.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let answer: Value = serde_json::from_str(last).unwrap();
    assert_eq!(answer["sentences"][0]["citations"][0]["quote"], TEXT);
    assert!(!events.contains("geheim"));
}

#[tokio::test]
async fn a_document_opens_by_page_and_strangers_documents_do_not_exist() {
    let response = get(&format!("/v1/documents/{}?page=1", id_of("open.txt"))).await;
    let reply: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(reply["pages"][0]["text"], TEXT);
    for absent in [id_of("board.txt"), id_of("nothing.txt")] {
        let response = get(&format!("/v1/documents/{absent}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = text(response).await.replace(&absent, "ID");
        assert_eq!(body, text(get(&format!("/v1/documents/{}", id_of("x"))).await).await.replace(&id_of("x"), "ID"));
    }
    assert_eq!(get("/v1/documents/not-an-id").await.status(), StatusCode::NOT_FOUND);
    let missing_page = get(&format!("/v1/documents/{}?page=9", id_of("open.txt"))).await;
    assert_eq!(missing_page.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let cases = [
        json!({ "query": "x", "filter": ["colour=red"] }),
        json!({ "query": "" }),
        json!({ "query": "x", "as": "board" }),
        json!({ "query": "x", "k": 0 }),
    ];
    for body in cases {
        let response = post("/v1/search", &body).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let told: Value = serde_json::from_str(&text(response).await).unwrap();
        assert!(told["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}: {told}");
    }
    // Before the stream begins, so that a client need not read events to see that it asked wrongly.
    for body in [
        json!({ "question": " " }),
        json!({ "question": "x", "k": 0 }),
        json!({ "question": "x", "temperature": -1 }),
        json!({ "question": "x", "filter": ["colour=red"] }),
    ] {
        let response = post("/v1/ask", &body).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    }
    let unknown = get("/v1/nothing").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let told: Value = serde_json::from_str(&text(unknown).await).unwrap();
    assert_eq!(told["error"]["kind"], "not_found");
    let long = "x".repeat(100_000);
    assert_eq!(post("/v1/search", &json!({ "query": long })).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn another_name_is_refused() {
    let request = Request::get("/").header(header::HOST, "evil.example").body(Body::empty()).unwrap();
    assert_eq!(call(request).await.status(), StatusCode::FORBIDDEN);
    let request = Request::get("/").header(header::HOST, "localhost:7878").body(Body::empty()).unwrap();
    assert_eq!(call(request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let response = get("/").await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let page = text(response).await + &text(get("/page.js").await).await + &text(get("/page.css").await).await;
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains("innerHTML"), "text enters the page as text only");
}

#[tokio::test]
async fn metrics_name_routes_and_never_identifiers() {
    let site = site();
    let id = id_of("open.txt");
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    router(Arc::clone(&site)).oneshot(request(&format!("/v1/documents/{id}"))).await.unwrap();
    let metrics = text(router(site).oneshot(request("/metrics")).await.unwrap()).await;
    assert!(metrics.contains("route=\"/v1/documents/{id}\",status=\"200\"} 1"), "{metrics}");
    assert!(!metrics.contains(&id));
    assert!(metrics.contains("fontes_index_snapshot"));
}

#[test]
fn only_loopback_addresses_are_listened_on() {
    for address in ["0.0.0.0:1", "192.168.1.1:1", "[::]:1"] {
        assert!(crate::loopback_only(address.parse().unwrap()).is_err(), "{address}");
    }
    crate::loopback_only("127.0.0.1:0".parse().unwrap()).unwrap();
}
