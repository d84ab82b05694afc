//! Measures search over synthetic chunks: `search_bench [CHUNKS] [DIMENSIONS] [none|int8] [FOLDER|URL]`, best built
//! with `--release`. With a folder the index stays there, and is only searched when it is there already. With the address of a
//! Qdrant server the vectors live there, and are deleted in the end.
//!
//! Vectors lie in clusters and words follow Zipf's law, as real ones do; groups that may see from a thousandth to all of the
//! chunks ask. Each half is measured through the seam and by calling its engine directly with the same filter and the
//! same terms in the same fields; for that comparison the lookup of compounds, which Tantivy does not have, is off.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use fontes_core::{
    AccessScope, Classification, Digest, Error, Filter, IndexEntry, LedgerPosition, ModelIdentity, Result,
};
use fontes_index::{Index, Quantization, Recipe, ServerSettings, VectorHome};
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

/// Groups by the number of chunks of which they may see one.
const GROUPS: [(&str, u64); 6] =
    [("a thousandth", 1_000), ("a hundredth", 100), ("a tenth", 10), ("a quarter", 4), ("half", 2), ("all", 1)];

#[expect(clippy::print_stdout, reason = "a benchmark reports")]
fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (chunks, dimensions) = (number(100_000), number(384));
    let mut recipe = Recipe::builtin();
    if args.next().as_deref() == Some("int8") {
        recipe.vectors.quantization = Quantization::Int8;
    }
    let scratch = tempfile::tempdir().map_err(|error| Error::unavailable("no temporary folder").because(error))?;
    let (dir, home) = match args.next() {
        Some(url) if url.starts_with("http") => (scratch.path().to_owned(), server(url)),
        Some(folder) => (PathBuf::from(folder), VectorHome::InProcess),
        None => (scratch.path().to_owned(), VectorHome::InProcess),
    };
    let identity = ModelIdentity { name: "synthetic".into(), sha256: Digest::of(b"synthetic") };
    println!("{chunks} chunks of {dimensions} dimensions, vectors held as {:?}", recipe.vectors.quantization);
    let there = dir.join("lexical").exists();
    let index = Index::open(&dir, &recipe, &identity, dimensions, &home)?;
    if !there {
        build(&index, chunks, dimensions)?;
    }
    println!("on disk {} MB", bytes(&dir) / 1_000_000);

    // Vectors are mapped, not held: the first searches after building fault every page in once.
    let all = allowed("all");
    let dense = |n| index.vectors.search(&vector(n + 5_000_000, dimensions), &all, &Filter::default(), K).map(drop);
    println!("dense, all allowed, first searches: {}", percentiles(dense)?);
    for (group, every) in GROUPS {
        let (scope, none) = (allowed(group), Filter::default());
        let dense = |n| index.vectors.search(&question(n, every, dimensions), &scope, &none, K).map(drop);
        let lexical = |n| index.lexical.search(&text(n + 5_000_000, WORDS), &scope, &none, K).map(drop);
        let both = |n| {
            thread::scope(|threads| {
                let words = threads.spawn(|| lexical(n));
                dense(n)?;
                words.join().map_err(|_| Error::internal("a search panicked"))?
            })
        };
        println!("{group} allowed, dense: {}", percentiles(dense)?);
        println!("{group} allowed, lexical: {}", percentiles(lexical)?);
        println!("{group} allowed, both at once: {}", percentiles(both)?);
    }
    for (topics, own) in [("topics of one's own", true), ("any topic", false)] {
        for (group, recall) in recalls(&index, chunks, dimensions, own)? {
            println!("{group} allowed, {topics}: recall@10 {recall:.4}");
        }
    }
    println!("resident: {}", resident());
    let quarter = allowed("a quarter");
    let none = Filter::default();
    drop(index);
    if let VectorHome::Server(_) = home {
        return Index::discard(&dir, &home);
    }
    let mut plain = recipe;
    plain.lexical.weights.compound = 0.0;
    let index = Index::open(&dir, &plain, &identity, dimensions, &home)?;
    let lexical = |n| index.lexical.search(&text(n + 5_000_000, WORDS), &quarter, &none, K).map(drop);
    println!("lexical without compounds, a quarter allowed: {}", percentiles(lexical)?);
    drop(index);

    let internal = |what: &'static str| move |_| Error::internal(what);
    let shard = EdgeShard::load(&dir.join("vectors"), None).map_err(|_| Error::internal("load"))?;
    let direct = |n| shard.query(dense_request(vector(n + 5_000_000, dimensions))).map(drop).map_err(internal("query"));
    println!("Qdrant alone, a quarter allowed: {}", percentiles(direct)?);
    let opened = tantivy::Index::open_in_dir(dir.join("lexical")).map_err(|_| Error::internal("open"))?;
    let searcher = opened.reader().map_err(|_| Error::internal("reader"))?.searcher();
    let schema = opened.schema();
    let mut stemmers = stemmers();
    let direct = |n| {
        let query = lexical_request(&schema, &mut stemmers, &text(n + 5_000_000, WORDS));
        searcher
            .search(&query, &TopDocs::with_limit(K).order_by_score())
            .map(drop)
            .map_err(|_| Error::internal("search"))
    };
    println!("Tantivy alone, the same fields and terms, a quarter allowed: {}", percentiles(direct)?);
    Ok(())
}

fn server(url: String) -> VectorHome {
    VectorHome::Server(ServerSettings {
        url,
        api_key: std::env::var("FONTES_QDRANT_API_KEY").ok(),
        name: format!("fontes-bench-{}", std::process::id()),
        shards: 1,
        replicas: 1,
        timeout: Duration::from_secs(60),
        plain_http: false,
    })
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

#[expect(clippy::print_stdout, reason = "a benchmark reports")]
fn build(index: &Index, chunks: usize, dimensions: usize) -> Result<()> {
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
    println!("written in {:.1} s", (started.elapsed() - generating).as_secs_f64());
    let started = Instant::now();
    index.vectors.optimize()?;
    println!("graph built in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Share of the true ten nearest that are found for each group, over 50 questions: about topics that the group may see, or
/// about any. Groups see whole topics, so of others the nearest that is left is far away.
fn recalls(index: &Index, chunks: usize, dimensions: usize, own: bool) -> Result<Vec<(&'static str, f64)>> {
    let asked = |every: u64| (0..50).map(move |n| question(n, if own { every } else { 1 }, dimensions));
    let queries: Vec<Vec<Vec<f32>>> = GROUPS.iter().map(|&(_, every)| asked(every).collect()).collect();
    let mut nearest = vec![vec![Vec::new(); 50]; GROUPS.len()];
    let keep_ten = |nearest: &mut Vec<(f32, fontes_core::ChunkId)>| {
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
        nearest.truncate(10);
    };
    for n in 0..chunks as u64 {
        let (id, vector) = (Specimen::new("bench", ordinal(n), "").id(), vector(n, dimensions));
        for (group, _) in GROUPS.into_iter().enumerate().filter(|(_, (_, every))| n.is_multiple_of(*every)) {
            for (query, nearest) in queries[group].iter().zip(&mut nearest[group]) {
                nearest.push((query.iter().zip(&vector).map(|(x, y)| x * y).sum(), id));
                if nearest.len() > 1_000 {
                    keep_ten(nearest);
                }
            }
        }
    }
    let share = |(group, nearest): (usize, &mut Vec<Vec<(f32, fontes_core::ChunkId)>>)| -> Result<_> {
        let name = GROUPS[group].0;
        let mut found_true = 0;
        for (query, nearest) in queries[group].iter().zip(nearest) {
            keep_ten(nearest);
            let found = index.vectors.search(query, &allowed(name), &Filter::default(), 10)?;
            found_true += found.iter().filter(|hit| nearest.iter().any(|(_, id)| *id == hit.chunk)).count();
        }
        Ok((name, found_true as f64 / (10 * queries[group].len()) as f64))
    };
    nearest.iter_mut().enumerate().map(share).collect()
}

/// A question about a topic of those who may see one chunk out of `every`: clusters go round with the numbers of chunks.
fn question(n: u64, every: u64, dimensions: usize) -> Vec<f32> {
    vector((n + 5_000_000) * every, dimensions)
}

fn allowed(group: &str) -> AccessScope {
    scope(&[group], Classification::Internal)
}

fn ordinal(n: u64) -> u32 {
    u32::try_from(n).expect("fewer than four billion chunks")
}

fn specimen(n: u64, dimensions: usize) -> Specimen {
    let groups: Vec<&str> =
        GROUPS.into_iter().filter(|(_, every)| n.is_multiple_of(*every)).map(|(group, _)| group).collect();
    Specimen::new("bench", ordinal(n), &text(n, 120)).groups(&groups).vector(vector(n, dimensions))
}

/// Memory of this process: its own, and pages of files that the system may take back.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("RssAnon") || line.starts_with("RssFile"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
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
    let group = Match::new_any(AnyVariants::Strings(["a quarter".to_owned()].into_iter().collect()));
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
    let access = term("access", "1a quarter", IndexRecordOption::Basic);
    BooleanQuery::new(vec![
        (Occur::Must, Box::new(ConstScoreQuery::new(access, 0.0))),
        (Occur::Must, Box::new(BooleanQuery::union(words))),
    ])
}

fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes(&entry.path()),
        // Blocks, not length: preallocated files are sparse.
        Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
