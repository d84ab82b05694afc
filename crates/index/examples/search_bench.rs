//! Measures search over synthetic chunks: `search_bench [CHUNKS] [DIMENSIONS]`, best built with `--release`.
//!
//! Vectors lie in clusters and words follow Zipf's law, as real ones do; a group that may see a quarter of the
//! chunks asks. Each half is measured through the seam and by calling its engine directly with the same filter and the
//! same terms in the same fields; for that comparison the lookup of compounds, which Tantivy does not have, is off.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use fontes_core::{AccessScope, Classification, Digest, Filter, IndexEntry, LedgerPosition, ModelIdentity, Result};
use fontes_index::{Index, Recipe};
use fontes_testkit::{Specimen, scope, unit_vector};
use qdrant_edge::{
    AcornSearchParams, AnyVariants, Condition, EdgeShard, FieldCondition, Filter as QdrantFilter, Match, NamedQuery,
    QueryEnum, QueryRequest, ScoringQuery, SearchParams, WithPayloadInterface, WithVector,
    external::ordered_float::OrderedFloat,
};
use tantivy::{
    Term,
    collector::TopDocs,
    query::{BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query, TermQuery},
    schema::IndexRecordOption,
    tokenizer::{Language as Snowball, RawTokenizer, Stemmer, TextAnalyzer},
};

const QUERIES: u64 = 300;
const WORDS: u64 = 8;
const K: usize = 100;

#[expect(clippy::print_stdout, reason = "a benchmark reports")]
fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (chunks, dimensions) = (number(100_000), number(384));
    let dir =
        tempfile::tempdir().map_err(|error| fontes_core::Error::unavailable("no temporary folder").because(error))?;
    let identity = ModelIdentity { name: "synthetic".into(), sha256: Digest::of(b"synthetic") };
    let recipe = Recipe::builtin();
    let index = Index::open(dir.path(), &recipe, &identity, dimensions)?;

    let started = Instant::now();
    let mut generating = Duration::ZERO;
    for batch in 0..chunks.div_ceil(500) {
        let before = Instant::now();
        let specimens: Vec<Specimen> =
            (batch * 500..chunks.min(batch * 500 + 500)).map(|n| specimen(n as u64, dimensions)).collect();
        generating += before.elapsed();
        let entries: Vec<IndexEntry<'_>> = specimens.iter().map(Specimen::entry).collect();
        index.vectors.upsert(&entries)?;
        index.lexical.upsert(&entries)?;
    }
    index.vectors.flush()?;
    index.lexical.commit(LedgerPosition(1))?;
    println!("{chunks} chunks of {dimensions} dimensions");
    println!("written in {:.1} s", (started.elapsed() - generating).as_secs_f64());
    let started = Instant::now();
    index.vectors.optimize()?;
    println!("graph built in {:.1} s", started.elapsed().as_secs_f64());
    println!("on disk {} MB", bytes(dir.path()) / 1_000_000);

    let all = scope(&["quarter", "rest"], Classification::Internal);
    let none = Filter::default();
    // Vectors are mapped, not held: the first searches after building fault every page in once.
    let dense = |n| index.vectors.search(&vector(n + 5_000_000, dimensions), &all, &none, K).map(drop);
    println!("dense, all allowed, right after building: {}", percentiles(dense)?);
    let quarter = scope(&["quarter"], Classification::Internal);
    for (name, scope) in [("all", &all), ("a quarter", &quarter)] {
        let dense = |n| index.vectors.search(&vector(n + 5_000_000, dimensions), scope, &none, K).map(drop);
        println!("dense, {name} allowed: {}", percentiles(dense)?);
        let lexical = |n| index.lexical.search(&text(n + 5_000_000, WORDS), scope, &none, K).map(drop);
        println!("lexical, {name} allowed: {}", percentiles(lexical)?);
    }
    println!("recall@10 of a quarter: {:.4}", recall(&index, &quarter, chunks, dimensions)?);
    drop(index);
    let mut plain = Recipe::builtin();
    plain.lexical.weights.compound = 0.0;
    let index = Index::open(dir.path(), &plain, &identity, dimensions)?;
    let lexical = |n| index.lexical.search(&text(n + 5_000_000, WORDS), &quarter, &none, K).map(drop);
    println!("lexical without compounds, a quarter allowed: {}", percentiles(lexical)?);
    drop(index);

    let internal = |what: &'static str| move |_| fontes_core::Error::internal(what);
    let shard = EdgeShard::load(&dir.path().join("vectors"), None).map_err(|_| fontes_core::Error::internal("load"))?;
    let direct = |n| shard.query(dense_request(vector(n + 5_000_000, dimensions))).map(drop).map_err(internal("query"));
    println!("Qdrant alone, a quarter allowed: {}", percentiles(direct)?);
    let opened =
        tantivy::Index::open_in_dir(dir.path().join("lexical")).map_err(|_| fontes_core::Error::internal("open"))?;
    let searcher = opened.reader().map_err(|_| fontes_core::Error::internal("reader"))?.searcher();
    let schema = opened.schema();
    let mut stemmers = stemmers();
    let direct = |n| {
        let query = lexical_request(&schema, &mut stemmers, &text(n + 5_000_000, WORDS));
        searcher
            .search(&query, &TopDocs::with_limit(K).order_by_score())
            .map(drop)
            .map_err(|_| fontes_core::Error::internal("search"))
    };
    println!("Tantivy alone, the same fields and terms, a quarter allowed: {}", percentiles(direct)?);
    Ok(())
}

fn percentiles(mut search: impl FnMut(u64) -> Result<()>) -> Result<String> {
    (0..20).try_for_each(&mut search)?;
    let mut times = Vec::new();
    for n in 0..QUERIES {
        let started = Instant::now();
        search(n)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(format!("p50 {:.2} ms, p99 {:.2} ms", times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// Share of the true ten nearest that are found, over 50 queries.
fn recall(index: &Index, scope: &AccessScope, chunks: usize, dimensions: usize) -> Result<f64> {
    let queries: Vec<Vec<f32>> = (0..50).map(|n| vector(n + 5_000_000, dimensions)).collect();
    let mut nearest: Vec<Vec<(f32, fontes_core::ChunkId)>> = vec![Vec::new(); queries.len()];
    for n in (0..chunks as u64).filter(|n| n.is_multiple_of(4)) {
        let specimen = specimen(n, dimensions);
        for (query, nearest) in queries.iter().zip(&mut nearest) {
            nearest.push((query.iter().zip(&specimen.vector).map(|(x, y)| x * y).sum(), specimen.id()));
            if nearest.len() > 1_000 {
                nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
                nearest.truncate(10);
            }
        }
    }
    let mut found_true = 0;
    for (query, mut nearest) in queries.iter().zip(nearest) {
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
        nearest.truncate(10);
        let found = index.vectors.search(query, scope, &Filter::default(), 10)?;
        found_true += found.iter().filter(|hit| nearest.iter().any(|(_, id)| *id == hit.chunk)).count();
    }
    Ok(found_true as f64 / (10 * queries.len()) as f64)
}

fn specimen(n: u64, dimensions: usize) -> Specimen {
    let group: &[&str] = if n.is_multiple_of(4) { &["quarter"] } else { &["rest"] };
    let ordinal = u32::try_from(n).expect("fewer than four billion chunks");
    Specimen::new("bench", ordinal, &text(n, 120)).groups(group).vector(vector(n, dimensions))
}

/// A vector in one of 2,000 clusters.
fn vector(n: u64, dimensions: usize) -> Vec<f32> {
    let centre = unit_vector(n.wrapping_mul(0x9e37_79b9) % 2_000, dimensions);
    let noise = unit_vector(n + 1_000_000_000, dimensions);
    let mut vector: Vec<f32> = centre.iter().zip(noise).map(|(c, x)| c + 0.7 * x).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Words of which the r-th most frequent is r times rarer than the first, out of 50,000.
fn text(n: u64, words: u64) -> String {
    let mut state = n.wrapping_mul(0xd134_2543_de82_ef95) | 1;
    let word = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let uniform = (state >> 40) as f64 / (1_u64 << 24) as f64;
        format!("wort{}", letters(50_000_f64.powf(uniform) as u64))
    };
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// A number as letters, so that it is taken for a word.
fn letters(mut number: u64) -> String {
    let mut letters = String::new();
    while number > 0 {
        letters.push(char::from(b'a' + u8::try_from(number % 26).expect("below 26")));
        number /= 26;
    }
    letters
}

fn dense_request(vector: Vec<f32>) -> QueryRequest {
    let group = Match::new_any(AnyVariants::Strings(["quarter".to_owned()].into_iter().collect()));
    let must = Condition::Field(FieldCondition::new_match("groups".parse().expect("a plain name is a path"), group));
    QueryRequest {
        prefetches: Vec::new(),
        query: Some(ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::default_dense(vector)))),
        filter: Some(QdrantFilter::new_must(must)),
        score_threshold: None,
        limit: K,
        offset: 0,
        params: Some(SearchParams {
            hnsw_ef: Some(Recipe::builtin().vectors.ef_search),
            acorn: Some(AcornSearchParams { enable: true, max_selectivity: Some(OrderedFloat(1.0)) }),
            ..SearchParams::default()
        }),
        with_vector: WithVector::Bool(false),
        with_payload: WithPayloadInterface::Bool(false),
    }
}

/// The stemmers of the working languages: the language of made-up words is not known.
fn stemmers() -> Vec<TextAnalyzer> {
    [Snowball::German, Snowball::French, Snowball::Italian, Snowball::English]
        .map(|language| TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(language)).build())
        .into()
}

fn lexical_request(schema: &tantivy::schema::Schema, stemmers: &mut [TextAnalyzer], text: &str) -> BooleanQuery {
    let field = |name| schema.get_field(name).expect("the field is in the schema");
    let term = |name, word: &str, record| -> Box<dyn Query> {
        Box::new(TermQuery::new(Term::from_field_text(field(name), word), record))
    };
    let weights = Recipe::builtin().lexical.weights;
    let mut words: Vec<Box<dyn Query>> = Vec::new();
    let mut add = |name, word: &str, weight: f32| {
        words.push(Box::new(BoostQuery::new(term(name, word, IndexRecordOption::WithFreqs), weight)));
    };
    for word in text.split(' ') {
        add("exact", word, 1.0);
        add("folded", word, weights.folded);
        let (mut forms, mut stems) = (vec![word.to_owned()], Vec::new());
        for stemmer in stemmers.iter_mut() {
            let mut stream = stemmer.token_stream(word);
            while stream.advance() {
                stems.push(stream.token().text.clone());
            }
        }
        stems.sort();
        stems.dedup();
        for stem in &stems {
            add("stem", stem, weights.stem);
        }
        forms.extend(stems);
        forms.sort();
        forms.dedup();
        for form in forms {
            add("title", &form, weights.title);
            add("headings", &form, weights.headings);
        }
    }
    let access = term("access", "1quarter", IndexRecordOption::Basic);
    BooleanQuery::new(vec![
        (Occur::Must, Box::new(ConstScoreQuery::new(access, 0.0))),
        (Occur::Must, Box::new(BooleanQuery::union(words))),
    ])
}

fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes(&entry.path()),
        // Blocks, not length: preallocated files are sparse.
        Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
