//! Tests of the searcher on the strict fakes.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use fontes_core::{
    ChunkId, Classification, Digest, ErrorKind, LedgerPosition, MatchPassage, ModelIdentity, QueryToken, seam::EmbedAs,
};
use fontes_testkit::{
    HashEmbedder, MemoryLedger, MemoryLexicalIndex, MemoryTokenStore, MemoryVectorIndex, Specimen, scope,
};

use super::*;

const DIMENSIONS: usize = 256;

/// Both indexes and the ledger, filled with the same specimens.
pub(crate) struct Archive {
    embedder: Arc<dyn Embedder>,
    vectors: Arc<MemoryVectorIndex>,
    lexical: Arc<MemoryLexicalIndex>,
    ledger: Arc<MemoryLedger>,
}

impl Archive {
    pub(crate) fn of(specimens: Vec<Specimen>) -> Self {
        Self::embedded_by(Arc::new(HashEmbedder::new(DIMENSIONS)), specimens)
    }

    fn embedded_by(embedder: Arc<dyn Embedder>, specimens: Vec<Specimen>) -> Self {
        let vectors = Arc::new(MemoryVectorIndex::new(DIMENSIONS));
        let lexical = Arc::new(MemoryLexicalIndex::new());
        let ledger = Arc::new(MemoryLedger::new());
        for specimen in specimens {
            let vector = embedder.embed(&[&specimen.chunk.text], EmbedAs::Passage).unwrap().remove(0);
            let specimen = specimen.vector(vector);
            vectors.upsert(&[specimen.entry()]).unwrap();
            lexical.upsert(&[specimen.entry()]).unwrap();
            ledger.insert_records([specimen.record()]);
        }
        vectors.flush().unwrap();
        lexical.commit(LedgerPosition(1)).unwrap();
        Self { embedder, vectors, lexical, ledger }
    }

    /// What is kept of the tokens of all chunks.
    pub(crate) fn tokens(&self) -> Arc<MemoryTokenStore> {
        let ids: Vec<ChunkId> = self.lexical.ids().unwrap().into_iter().collect();
        let everyone = scope(&["staff", "board"], Classification::Secret);
        let tokens = Arc::new(MemoryTokenStore::new());
        for record in self.ledger.chunks(&ids, &everyone).unwrap() {
            let signs = HashEmbedder::new(DIMENSIONS).embed_passages(&[&record.chunk.text]).unwrap().remove(0).tokens;
            tokens.put(&self.embedder.identity().sha256, &[(record.chunk.id, &signs)]).unwrap();
        }
        tokens
    }

    pub(crate) fn searcher(&self, reranker: Option<Arc<dyn Reranker>>) -> Searcher {
        Searcher::new(
            self.embedder.clone(),
            self.vectors.clone(),
            self.lexical.clone(),
            self.ledger.clone(),
            reranker,
            Fusion::default(),
        )
        .unwrap()
    }
}

fn laws() -> Archive {
    Archive::of(vec![
        Specimen::new("a", 0, "Die Frist beträgt dreissig Tage nach der Eröffnung"),
        Specimen::new("b", 0, "Der Bundesrat hat sieben Mitglieder"),
        Specimen::new("c", 0, "Die Frist für geheime Akten").groups(&["board"]),
        Specimen::new("d", 0, "Die Frist für streng geheime Akten").classification(Classification::Secret),
    ])
}

pub(crate) fn query(text: &str, k: usize) -> Query {
    Query { text: text.into(), k, ..Query::default() }
}

pub(crate) fn staff() -> AccessScope {
    scope(&["staff"], Classification::Internal)
}

pub(crate) fn paths(result: &SearchResult) -> Vec<&str> {
    result.hits.iter().map(|hit| hit.path.as_str()).collect()
}

#[test]
fn both_legs_agree_on_the_best_and_leave_their_scores() {
    let result = laws().searcher(None).search(&query("Welche Frist gilt nach der Eröffnung?", 5), &staff()).unwrap();
    assert_eq!(paths(&result)[0], "a");
    let best = &result.hits[0];
    assert_eq!(best.rank, 1);
    assert!(best.scores.dense.is_some() && best.scores.lexical.is_some());
    assert_eq!(best.scores.fused, Some(best.score));
    assert_eq!(result.snapshot, IndexSnapshot(4));
    assert!(result.timings.total > 0.0);
}

#[test]
fn each_mode_runs_only_its_leg() {
    let archive = laws();
    for (mode, dense, lexical) in [(SearchMode::Dense, true, false), (SearchMode::Lexical, false, true)] {
        let result = archive.searcher(None).search(&Query { mode, ..query("Frist", 2) }, &staff()).unwrap();
        assert_eq!(paths(&result)[0], "a");
        let scores = result.hits[0].scores;
        assert_eq!((scores.dense.is_some(), scores.lexical.is_some(), scores.fused), (dense, lexical, None));
    }
}

#[test]
fn what_may_not_be_seen_is_not_found() {
    for k in [1, 2, 10] {
        let result = laws().searcher(None).search(&query("Frist geheime Akten", k), &staff()).unwrap();
        assert!(paths(&result).iter().all(|path| ["a", "b"].contains(path)), "{:?}", paths(&result));
    }
    let nobody = scope(&[], Classification::Secret);
    assert!(laws().searcher(None).search(&query("Frist", 9), &nobody).unwrap().hits.is_empty());
}

#[test]
fn withdrawn_chunks_are_skipped_and_k_is_still_filled() {
    let specimens = (0..300).map(|n| Specimen::new(&format!("p{n:03}"), 0, &format!("Frist und Wort{n}")));
    let archive = Archive::of(specimens.collect());
    // The ledger withdraws the first 290; the indexes lag behind.
    for n in 0..290 {
        archive.ledger.remove(Specimen::new(&format!("p{n:03}"), 0, "").document.id);
    }
    for mode in SearchMode::ALL {
        let result = archive.searcher(None).search(&Query { mode, ..query("Frist", 8) }, &staff()).unwrap();
        assert_eq!(result.hits.len(), 8, "{mode}");
        assert!(paths(&result).iter().all(|path| *path >= "p290"));
    }
}

#[test]
fn odd_queries_are_answered_sensibly() {
    let archive = laws();
    let searcher = archive.searcher(None);
    let search = |text: &str, k| searcher.search(&query(text, k), &staff());
    assert_eq!(search("  ", 5).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(search("?!…", 5).unwrap().hits.is_empty());
    assert!(search("Frist", 0).unwrap().hits.is_empty());
    assert_eq!(search("Frist", 1_000_000).unwrap().hits.len(), 2);
    assert!(!search(&"Frist Tage ".repeat(5_000), 5).unwrap().hits.is_empty());
    for text in ["der die das", "a AND (b OR", "\"", "title:x^2 [* TO *]", "期限", "\u{202e}Frist"] {
        search(text, 5).unwrap();
    }
}

#[test]
fn hits_are_explained_in_their_order() {
    let archive = laws();
    let searcher = archive.searcher(None);
    let mut asked = query("Art. 5: Welche Frist gilt nach der Eröffnung?", 5);
    asked.filter.add("source=files").unwrap();
    let result = searcher.search(&asked, &staff()).unwrap();
    let explained = searcher.explain(&asked, &staff(), &result).unwrap();
    assert_eq!(explained.len(), result.hits.len());
    for (hit, why) in result.hits.iter().zip(&explained) {
        assert_eq!(why.similarity, hit.scores.dense);
        assert!((why.fusion.dense + why.fusion.lexical - hit.score).abs() < 1e-6);
        assert_eq!(why.filters, ["source=files"]);
        assert!(why.boosts[0].contains("exactly"));
    }
}

#[test]
fn operators_are_searched_as_words_with_a_remark() {
    let searcher = laws().searcher(None);
    let result = searcher.search(&query("Frist AND Eröffnung", 5), &staff()).unwrap();
    assert_eq!(paths(&result)[0], "a");
    assert!(result.remark.unwrap().contains("plain words"));
    assert_eq!(searcher.search(&query("Frist", 5), &staff()).unwrap().remark, None);
}

#[test]
fn the_order_is_always_the_same() {
    let specimens = (0..50).map(|n| Specimen::new(&format!("p{n}"), 0, "gleicher Text").headings(&[&n.to_string()]));
    let archive = Archive::of(specimens.collect());
    let ids = |result: SearchResult| result.hits.iter().map(|hit| hit.chunk_id).collect::<Vec<ChunkId>>();
    let first = ids(archive.searcher(None).search(&query("gleicher Text", 20), &staff()).unwrap());
    assert!(first.is_sorted(), "ties go by chunk id");
    for _ in 0..5 {
        assert_eq!(ids(archive.searcher(None).search(&query("gleicher Text", 20), &staff()).unwrap()), first);
    }
}

#[test]
fn copies_are_one_hit_that_names_the_others_whom_the_asker_may_see() {
    let text = "Die Frist beträgt dreissig Tage nach der Eröffnung";
    let archive = Archive::of(vec![
        Specimen::new("a", 0, text),
        Specimen::new("b", 0, &text.to_uppercase()),
        Specimen::new("c", 0, text).groups(&["board"]),
        Specimen::new("d", 0, &text.replace("dreissig", "zehn")),
    ]);
    let searcher = archive.searcher(None);
    let found = |scope: &AccessScope, query: &Query| -> Vec<Vec<String>> {
        let hits = searcher.search(query, scope).unwrap().hits;
        let places = |hit: Hit| {
            let mut places: Vec<String> = hit.also_in.into_iter().map(|other| other.path).collect();
            places.push(hit.path);
            places.sort();
            places
        };
        hits.into_iter().map(places).collect()
    };
    let asked = query("Frist dreissig Tage", 1);
    assert_eq!(found(&staff(), &asked), [["a", "b"]]);
    assert_eq!(found(&scope(&["board"], Classification::Internal), &asked), [["c"]]);
    assert_eq!(found(&scope(&["board", "staff"], Classification::Internal), &asked), [["a", "b", "c"]]);
    assert_eq!(found(&staff(), &query("Frist dreissig Tage", 9)).len(), 2, "another number is another hit");
    let without = BTreeSet::from([Specimen::new("a", 0, "").document.id]);
    assert_eq!(found(&staff(), &Query { without, ..asked.clone() }), [["b"]]);
    archive.ledger.remove(Specimen::new("b", 0, "").document.id);
    assert_eq!(found(&staff(), &asked), [["a"]]);
}

#[test]
fn many_copies_leave_room_for_other_hits() {
    let copies = (0..300).map(|n| Specimen::new(&format!("p{n:03}"), 0, "Frist und Tage"));
    let others = (0..5).map(|n| Specimen::new(&format!("q{n}"), 0, &format!("Frist und anderes {n}")));
    let archive = Archive::of(copies.chain(others).collect());
    let hits = archive.searcher(None).search(&query("Frist und Tage", 4), &staff()).unwrap().hits;
    assert_eq!(hits.len(), 4);
    assert_eq!(hits[0].also_in.len(), 299);
    assert!(hits[1..].iter().all(|hit| hit.path.starts_with('q')));
}

/// Prefers short passages; counts what it reads.
struct Brevity {
    identity: ModelIdentity,
    read: AtomicUsize,
    seen: Mutex<Vec<usize>>,
}

impl Reranker for Brevity {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn score(&self, _: &str, passages: &[&str]) -> Result<Vec<f32>> {
        self.read.fetch_add(passages.len(), Ordering::Relaxed);
        self.seen.lock().unwrap().push(passages.len());
        Ok(passages.iter().map(|passage| -(passage.len() as f32)).collect())
    }
}

#[test]
fn a_reranker_decides_among_the_best() {
    let archive = laws();
    let identity = archive.embedder.identity().clone();
    let reranker = Arc::new(Brevity { identity, read: AtomicUsize::new(0), seen: Mutex::default() });
    let searcher = archive.searcher(Some(reranker.clone()));
    let result = searcher.search(&query("Frist nach der Eröffnung", 1), &staff()).unwrap();
    assert_eq!(paths(&result), ["b"], "the shorter one");
    assert_eq!(result.hits[0].score, result.hits[0].scores.rerank.unwrap());
    assert_eq!(reranker.read.load(Ordering::Relaxed), 2, "and only allowed passages were read");
}

/// Twelve documents: in most the first word of the question over and over, in the last all of its words in a long text.
fn wordy() -> Archive {
    let filler: String = (0..60).map(|n| format!("nebenbei{n} ")).collect();
    let mut specimens: Vec<Specimen> =
        (0..11).map(|n| Specimen::new(&format!("p{n:02}"), 0, &format!("Frist Frist Zeile{n}"))).collect();
    specimens.push(Specimen::new("whole", 0, &format!("Frist {filler} Eröffnung {filler} Tage")));
    Archive::of(specimens)
}

#[test]
fn late_interaction_adds_to_fusion_in_hybrid_searches_alone() {
    let archive = wordy();
    let (plain, late) = (archive.searcher(None), archive.searcher(None).with_late_interaction(10_000));
    let asked = |mode| Query { mode, ..query("Frist Eröffnung Tage", 12) };
    for mode in [SearchMode::Dense, SearchMode::Lexical] {
        let [a, b] = [&plain, &late].map(|searcher| searcher.search(&asked(mode), &staff()).unwrap());
        assert_eq!(a.hits, b.hits, "{mode} stays what it is");
    }
    let [before, after] =
        [&plain, &late].map(|searcher| searcher.search(&asked(SearchMode::Hybrid), &staff()).unwrap());
    assert_ne!(paths(&before)[0], "whole");
    assert_eq!(paths(&after)[0], "whole");
    let best = &after.hits[0];
    assert_eq!(best.scores.rerank, Some(1.0), "all three words");
    assert!(after.hits.is_sorted_by(|a, b| a.score >= b.score));
    assert!(after.hits.iter().all(|hit| (0.0..=1.0).contains(&hit.score) && hit.scores.fused.is_some()));
    assert!(after.timings.rerank > 0.0);
    let again = late.without_rescoring().unwrap().search(&asked(SearchMode::Hybrid), &staff()).unwrap();
    assert_eq!(again.hits, before.hits);
    assert!(plain.without_rescoring().is_none());
}

#[test]
fn what_the_budget_does_not_reach_stays_behind_in_the_order_of_fusion() {
    let archive = wordy();
    let asked = query("Frist Eröffnung Tage", 12);
    let before = archive.searcher(None).search(&asked, &staff()).unwrap();
    // Three words each: two passages.
    let result = archive.searcher(None).with_late_interaction(7).search(&asked, &staff()).unwrap();
    let read: Vec<bool> = result.hits.iter().map(|hit| hit.scores.rerank.is_some()).collect();
    assert_eq!(read.iter().filter(|read| **read).count(), 2);
    assert!(read.is_sorted_by(|a, b| a >= b), "{read:?}");
    assert_eq!(paths(&result)[2..], paths(&before)[2..]);
}

#[test]
fn what_is_kept_of_tokens_is_not_read_and_ranks_alike() {
    let archive = wordy();
    let asked = query("Frist Eröffnung Tage", 12);
    let read = archive.searcher(None).with_late_interaction(10_000).search(&asked, &staff()).unwrap();
    let tokens = Arc::new(MemoryTokenStore::new());
    for hit in &read.hits {
        let embedding = archive.embedder.embed_passages(&[&hit.text]).unwrap().remove(0);
        tokens.put(&archive.embedder.identity().sha256, &[(hit.chunk_id, &embedding.tokens)]).unwrap();
    }
    // A budget that reaches no more than the first passage.
    let short = || archive.searcher(None).with_late_interaction(1);
    let kept = short().with_tokens(tokens.clone()).search(&asked, &staff()).unwrap();
    assert_eq!(kept.hits, read.hits);
    assert_ne!(short().search(&asked, &staff()).unwrap().hits, read.hits);
    // One chunk was brought in before signs were kept: it is read.
    tokens.remove(&[read.hits[0].chunk_id]).unwrap();
    let mixed = short().with_tokens(tokens).search(&asked, &staff()).unwrap();
    assert_eq!(mixed.hits, read.hits);
}

#[test]
fn signs_that_cannot_be_looked_up_are_read() {
    /// Refuses everything.
    struct Broken;

    impl TokenStore for Broken {
        fn put(&self, _: &Digest, _: &[(ChunkId, &[u8])]) -> Result<()> {
            Err(Error::unavailable("broken"))
        }

        fn get(&self, _: &Digest, _: &[ChunkId]) -> Result<Vec<Vec<u8>>> {
            Err(Error::unavailable("broken"))
        }

        fn remove(&self, _: &[ChunkId]) -> Result<()> {
            Err(Error::unavailable("broken"))
        }

        fn ids(&self, _: Option<&Digest>) -> Result<BTreeSet<ChunkId>> {
            Err(Error::unavailable("broken"))
        }
    }

    let archive = wordy();
    let asked = query("Frist Eröffnung Tage", 12);
    let late = || archive.searcher(None).with_late_interaction(10_000);
    let [read, broken] = [late(), late().with_tokens(Arc::new(Broken))].map(|it| it.search(&asked, &staff()).unwrap());
    assert_eq!(broken.hits, read.hits);
}

#[test]
fn an_embedder_without_token_vectors_changes_nothing() {
    /// Has one vector per text and no more.
    struct Blind(HashEmbedder);

    impl Embedder for Blind {
        fn identity(&self) -> &ModelIdentity {
            self.0.identity()
        }

        fn dimensions(&self) -> usize {
            self.0.dimensions()
        }

        fn max_tokens(&self) -> usize {
            self.0.max_tokens()
        }

        fn embed(&self, texts: &[&str], role: EmbedAs) -> Result<Vec<Vec<f32>>> {
            self.0.embed(texts, role)
        }

        fn token_offsets(&self, text: &str) -> Result<Vec<usize>> {
            self.0.token_offsets(text)
        }
    }

    let archive = wordy();
    let plain = archive.searcher(None);
    let mut blind = archive.searcher(None).with_late_interaction(10_000);
    blind.embedder = Arc::new(Blind(HashEmbedder::new(DIMENSIONS)));
    let asked = query("Frist Eröffnung Tage", 12);
    let [a, b] = [&plain, &blind].map(|searcher| searcher.search(&asked, &staff()).unwrap());
    assert_eq!(a.hits, b.hits);
}

/// Twenty mails that end with the same notice, the last of them about what it says, and the rule behind it.
fn mailbox() -> Archive {
    let notice = "Diese Nachricht ist vertraulich und darf von der Person die sie irrtümlich erhalten hat nicht an \
                  andere weitergegeben und auch nicht gespeichert werden";
    let mail = |n: usize| Specimen::new(&format!("mail{n:02}"), 0, &format!("Anbei Beleg{n} und Offerte{n}. {notice}"));
    let asked = Specimen::new("asked", 0, &format!("Warum ist die Weisung vertraulich? {notice}"));
    let rule = Specimen::new("rule", 0, "Als vertraulich gilt eine Nachricht wenn ihr Absender sie so bezeichnet hat");
    Archive::of((0..20).map(mail).chain([asked, rule]).collect())
}

#[test]
fn what_many_mails_end_with_takes_one_place() {
    let archive = mailbox();
    for mode in SearchMode::ALL {
        let search =
            |text: &str, k| archive.searcher(None).search(&Query { mode, ..query(text, k) }, &staff()).unwrap();
        // One asks about it in its own words.
        let few = search("vertraulich Nachricht weitergegeben gespeichert", 3);
        let mails = |result: &SearchResult| paths(result).iter().filter(|path| path.starts_with("mail")).count();
        assert!(mails(&few) == 1 && paths(&few).contains(&"rule"), "{mode} {:?}", paths(&few));
        // Words that the notice lacks keep a mail in its place.
        assert!(paths(&search("vertraulich Nachricht Offerte7 Weisung", 4)).contains(&"mail07"), "{mode}");
        let all = search("vertraulich Nachricht weitergegeben gespeichert", 50);
        assert_eq!(all.hits.len(), 22, "none is lost");
        assert!(all.hits.windows(2).all(|pair| pair[0].score >= pair[1].score && pair[0].rank + 1 == pair[1].rank));
    }
}

/// One vector per text, given by its first word, and the tokens of a bag of words.
struct Pointed(HashEmbedder);

impl Pointed {
    fn vector(text: &str) -> Vec<f32> {
        let degrees: f32 = text.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok()).unwrap_or(0.0);
        let mut vector = vec![0.0; DIMENSIONS];
        (vector[0], vector[1]) = (degrees.to_radians().cos(), degrees.to_radians().sin());
        vector
    }
}

impl Embedder for Pointed {
    fn identity(&self) -> &ModelIdentity {
        self.0.identity()
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }

    fn embed(&self, texts: &[&str], _: EmbedAs) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }

    fn embed_queries(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>> {
        let embedded = self.0.embed_queries(texts)?.into_iter().zip(texts);
        Ok(embedded.map(|(one, text)| EmbeddedQuery { vector: Self::vector(text), ..one }).collect())
    }

    fn token_offsets(&self, text: &str) -> Result<Vec<usize>> {
        self.0.token_offsets(text)
    }

    fn match_tokens(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>> {
        self.0.match_tokens(query, passages, budget)
    }
}

#[test]
fn the_best_passages_find_what_is_near_to_them() {
    // The question points to 0 degrees, its two best passages to 60; one is near to them, another beyond the question.
    let at = |path: &str, degrees: u32, text: &str| Specimen::new(path, 0, &format!("{degrees} {text}"));
    let mut specimens = vec![
        at("first", 60, "Die Frist für Einsprachen"),
        at("second", 60, "Für Einsprachen gilt eine Frist"),
        at("near", 62, "termine de recours"),
        at("far", 340, "menu de la semaine"),
    ];
    specimens.extend((0..20).map(|n| at(&format!("other{n}"), 170 + n, "etwas anderes")));
    let archive = Archive::embedded_by(Arc::new(Pointed(HashEmbedder::new(DIMENSIONS))), specimens);
    let late = || archive.searcher(None).with_late_interaction(10_000);
    let search = |feedback| {
        let searcher = late().with_tokens(archive.tokens()).with_feedback(feedback);
        let query = query("Frist Einsprachen", 24);
        let found = searcher.search(&query, &staff()).unwrap();
        let explained = searcher.explain(&query, &staff(), &found).unwrap();
        (found, explained)
    };
    let ((plain, _), (fed, explained)) = (search(false), search(true));
    let place = |found: &SearchResult, path: &str| paths(found).iter().position(|at| *at == path).unwrap();
    assert!(place(&plain, "far") < place(&plain, "near"), "{:?}", paths(&plain));
    assert!(place(&fed, "near") < place(&fed, "far"), "{:?}", paths(&fed));
    assert_eq!(paths(&fed)[..2], paths(&plain)[..2]);
    assert_eq!(fed.hits.len(), plain.hits.len(), "none is lost");
    // Similarity stays that with the question, and is told apart from the other.
    let near = place(&fed, "near");
    assert_eq!(fed.hits[near].scores.dense, plain.hits[place(&plain, "near")].scores.dense);
    assert!(explained[near].feedback > explained[near].similarity, "{:?}", explained[near]);
    assert!(plain.hits.iter().all(|hit| hit.scores.feedback.is_none()));
    assert!(fed.hits.iter().all(|hit| hit.scores.dense.is_some() && hit.scores.feedback.is_some()));
    // Where passages had to be read, the budget is spent: there is no second time.
    let read = late().with_feedback(true).search(&query("Frist Einsprachen", 24), &staff()).unwrap();
    assert!(read.hits.iter().all(|hit| hit.scores.feedback.is_none()));
}

#[test]
fn what_documents_say_weighs_alike_after_feedback() {
    let texts = ["Frist der Einsprache Tage", "Frist der Einsprache", "Frist und Tage", "Der Bundesrat"];
    let specimens =
        texts.iter().zip(["a", "b", "c", "d"]).map(|(text, path)| Specimen::new(path, 0, text).title("Frist Tage"));
    let archive = Archive::of(specimens.collect());
    let searcher =
        archive.searcher(None).with_late_interaction(10_000).with_tokens(archive.tokens()).with_feedback(true);
    let searcher = searcher.with_fusion(Fusion { title: 0.5, ..Fusion::default() }).unwrap();
    let found = searcher.search(&query("Frist Einsprache Tage", 9), &staff()).unwrap();
    assert_eq!(paths(&found)[0], "a");
    let best = &found.hits[0].scores;
    assert!(best.feedback.is_some());
    assert!(best.fused.is_some_and(|fused| (0.99..=1.0 + 1e-5).contains(&fused)), "best of all, and no more: {best:?}");
}

#[test]
fn feedback_shows_nobody_what_he_may_not_see() {
    let archive = wordy();
    let asked = query("Frist Eröffnung Tage", 50);
    for scope in [staff(), scope(&[], Classification::Secret)] {
        let searcher = archive.searcher(None).with_late_interaction(10_000).with_tokens(archive.tokens());
        let found = searcher.with_feedback(true).search(&asked, &scope).unwrap();
        assert!(found.hits.iter().all(|hit| archive.ledger.chunks(&[hit.chunk_id], &scope).unwrap().len() == 1));
        assert_eq!(found.hits.is_empty(), scope != staff());
    }
}
