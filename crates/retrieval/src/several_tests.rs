//! Tests of searches for several texts at once, on the strict fakes.

use std::sync::{Arc, Mutex};

use fontes_core::{
    EmbeddedQuery, Embedder, Hit, MatchPassage, ModelIdentity, Query, QueryToken, Result, SearchMode, Subquery,
    SubqueryKind, seam::EmbedAs,
};
use fontes_testkit::{HashEmbedder, Specimen};

use crate::search::tests::{Archive, paths, query, staff};

const ASKED: &str = "Wie lange gilt die Bewilligung und was kostet der Fahrausweis?";

/// Many documents have words of both questions; one answers each.
fn archive() -> Archive {
    let both = (0..12).map(|n| {
        Specimen::new(
            &format!("both{n:02}"),
            0,
            &format!("Bewilligung und Fahrausweis, Merkblatt{n}: wie lange und was"),
        )
    });
    let answers = [
        Specimen::new("permit", 0, "Die Bewilligung gilt lange: zwei Jahre ab Ausstellung beim Amt"),
        Specimen::new("ticket", 0, "Der Fahrausweis kostet achtzig Franken am Schalter"),
    ];
    Archive::of(both.chain(answers).collect())
}

fn split(text: &str, k: usize) -> Query {
    Query { split: true, ..query(text, k) }
}

fn also(text: &str, kind: SubqueryKind) -> Subquery {
    Subquery { text: text.into(), kind }
}

#[test]
fn the_best_of_each_part_is_among_the_first() {
    let archive = archive();
    let searcher = archive.searcher(None);
    for mode in SearchMode::ALL {
        let found = searcher.search(&Query { mode, ..split(ASKED, 5) }, &staff()).unwrap();
        let mut first = paths(&found)[..2].to_vec();
        first.sort_unstable();
        assert_eq!(first, ["permit", "ticket"], "{mode}");
        assert!(found.hits.is_sorted_by(|a, b| a.score >= b.score), "{mode}");
        assert!(found.hits.iter().zip(1..).all(|(hit, rank)| hit.rank == rank));
        let kinds: Vec<SubqueryKind> = found.queries.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [SubqueryKind::Whole, SubqueryKind::Part, SubqueryKind::Part]);
    }
}

#[test]
fn one_question_is_searched_for_as_ever() {
    let archive = archive();
    let searcher = archive.searcher(None).with_late_interaction(10_000);
    for text in ["Was kostet der Fahrausweis?", "Bewilligung und Fahrausweis"] {
        let [plain, with] = [query(text, 9), split(text, 9)].map(|query| searcher.search(&query, &staff()).unwrap());
        assert_eq!(plain.hits, with.hits);
        assert!(with.queries.is_empty() && with.found_by.iter().all(Vec::is_empty));
    }
}

#[test]
fn every_hit_says_which_text_found_it() {
    let archive = archive();
    let searcher = archive.searcher(None);
    let asked = split(ASKED, 20);
    let found = searcher.search(&asked, &staff()).unwrap();
    let why = searcher.explain(&asked, &staff(), &found).unwrap();
    let of = |path: &str| &why[paths(&found).iter().position(|one| *one == path).unwrap()];
    let best = &of("ticket").found_by[0];
    assert_eq!((best.subquery.kind, best.rank), (SubqueryKind::Part, 1));
    assert!(best.subquery.text.contains("Fahrausweis") && !best.subquery.text.contains("Bewilligung"));
    assert!(of("ticket").terms.iter().any(|term| term.term.contains("fahrausweis")) || of("ticket").terms.is_empty());
    assert!(why.iter().all(|one| !one.found_by.is_empty()));
}

#[test]
fn what_may_not_be_seen_is_found_by_no_part() {
    let archive = Archive::of(vec![
        Specimen::new("open", 0, "Die Bewilligung gilt lange"),
        Specimen::new("board", 0, "Der Fahrausweis kostet achtzig Franken").groups(&["board"]),
    ]);
    let found = archive.searcher(None).search(&split(ASKED, 9), &staff()).unwrap();
    assert_eq!(paths(&found), ["open"]);
}

#[test]
fn copies_that_two_parts_find_are_one_hit() {
    let text = "Die Bewilligung gilt lange und der Fahrausweis kostet achtzig Franken";
    let archive = Archive::of(vec![Specimen::new("a", 0, text), Specimen::new("b", 0, &text.to_uppercase())]);
    let found = archive.searcher(None).search(&split(ASKED, 9), &staff()).unwrap();
    assert_eq!(found.hits.len(), 1);
    let places = |hit: &Hit| hit.also_in.iter().map(|other| other.path.clone()).collect::<Vec<_>>();
    assert_eq!(places(&found.hits[0]).len(), 1, "the other place is named once: {:?}", places(&found.hits[0]));
}

#[test]
fn texts_of_a_caller_are_searched_for_too() {
    let archive = archive();
    let searcher = archive.searcher(None);
    let asked = "Merkblatt3 Merkblatt4";
    let without = searcher.search(&query(asked, 2), &staff()).unwrap();
    assert!(!paths(&without).contains(&"ticket"));
    let texts = vec![
        also("Fahrausweis kostet Franken", SubqueryKind::Rewritten),
        also(asked, SubqueryKind::Rewritten),
        also("  ", SubqueryKind::Rewritten),
        also("?!", SubqueryKind::Rewritten),
    ];
    let with = searcher.search(&Query { also: texts, ..query(asked, 2) }, &staff()).unwrap();
    assert_eq!(paths(&with)[0], "ticket");
    assert_eq!(with.queries.len(), 2, "what says nothing or the same is left out: {:?}", with.queries);
}

#[test]
fn a_hypothetical_passage_moves_similarity_and_no_words() {
    let archive = archive();
    let searcher = archive.searcher(None);
    let passage = also("Der Fahrausweis kostet achtzig Franken am Schalter", SubqueryKind::Hypothetical);
    let with = |mode| {
        let asked = Query { mode, also: vec![passage.clone()], ..query("Preis Merkblatt", 3) };
        searcher.search(&asked, &staff()).unwrap()
    };
    assert_eq!(paths(&with(SearchMode::Dense))[0], "ticket");
    assert_eq!(with(SearchMode::Dense).queries.len(), 2);
    let plain = searcher.search(&Query { mode: SearchMode::Lexical, ..query("Preis Merkblatt", 3) }, &staff()).unwrap();
    assert_eq!(with(SearchMode::Lexical).hits, plain.hits);
}

/// Counts the texts of each call, and the tokens that late interaction may read.
struct Counting {
    inner: HashEmbedder,
    calls: Mutex<Vec<usize>>,
    budgets: Mutex<Vec<usize>>,
}

impl Embedder for Counting {
    fn identity(&self) -> &ModelIdentity {
        self.inner.identity()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn max_tokens(&self) -> usize {
        self.inner.max_tokens()
    }

    fn embed(&self, texts: &[&str], role: EmbedAs) -> Result<Vec<Vec<f32>>> {
        self.calls.lock().unwrap().push(texts.len());
        self.inner.embed(texts, role)
    }

    fn token_offsets(&self, text: &str) -> Result<Vec<usize>> {
        self.inner.token_offsets(text)
    }

    fn embed_queries(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>> {
        self.calls.lock().unwrap().push(texts.len());
        self.inner.embed_queries(texts)
    }

    fn match_tokens(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>> {
        self.budgets.lock().unwrap().push(budget);
        self.inner.match_tokens(query, passages, budget)
    }
}

#[test]
fn all_texts_are_embedded_at_once_and_read_within_one_budget() {
    let archive = archive();
    let counting = Arc::new(Counting {
        inner: HashEmbedder::new(archive.searcher(None).embedder.dimensions()),
        calls: Mutex::default(),
        budgets: Mutex::default(),
    });
    let mut searcher = archive.searcher(None).with_late_interaction(900);
    searcher.embedder = counting.clone();
    let found = searcher.search(&split(ASKED, 5), &staff()).unwrap();
    assert_eq!(*counting.calls.lock().unwrap(), [3]);
    // The whole is not read again: near to both parts is not an answer.
    assert_eq!(std::mem::take(&mut *counting.budgets.lock().unwrap()), [450; 2]);
    assert!(paths(&found)[..2].contains(&"permit") && paths(&found)[..2].contains(&"ticket"));
    let also = ["Preis Fahrausweis", "Kosten Ausweis"].map(|text| also(text, SubqueryKind::Rewritten)).to_vec();
    searcher.search(&Query { also, ..query("Was kostet der Fahrausweis?", 5) }, &staff()).unwrap();
    assert_eq!(*counting.budgets.lock().unwrap(), [300; 3], "the same in other words is");
}

#[test]
fn the_number_of_searches_is_bounded() {
    let archive = archive();
    let also = (0..50).map(|n| also(&format!("Merkblatt{n}"), SubqueryKind::Rewritten)).collect();
    let found = archive.searcher(None).search(&Query { also, ..split(ASKED, 5) }, &staff()).unwrap();
    assert_eq!(found.queries.len(), super::MAX_TEXTS);
}

#[test]
fn diversity_lets_the_alike_step_back_and_loses_none() {
    let archive = archive();
    let searcher = archive.searcher(None);
    let asked = |diversity| {
        let query = Query { diversity, ..query("Bewilligung Fahrausweis Merkblatt", 14) };
        searcher.search(&query, &staff()).unwrap()
    };
    let (plain, diverse) = (asked(0.0), asked(0.9));
    let place = |found: &crate::SearchResult| paths(found).iter().position(|path| *path == "ticket").unwrap();
    assert!(place(&diverse) < place(&plain), "{:?} {:?}", paths(&plain), paths(&diverse));
    assert_eq!(diverse.hits.len(), plain.hits.len());
    assert_eq!(paths(&diverse)[0], paths(&plain)[0]);
    let few =
        searcher.search(&Query { diversity: 0.9, ..query("Bewilligung Fahrausweis Merkblatt", 3) }, &staff()).unwrap();
    assert_eq!(paths(&few), paths(&diverse)[..3], "chosen from deeper than the hits that are wanted");
}
