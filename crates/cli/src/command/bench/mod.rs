//! `fontes bench`: honest throughput and latency on this machine, without a peer.

mod readers;
mod synthetic;

use std::{fs, path::Path, time::Instant};

use anyhow::Context as _;
use fontes_core::{Cancel, Embedder, Error, Query, SearchMode, seam::EmbedAs};
use fontes_model::{
    decoder::{self, Logits},
    kernels::{Isa, Roofline, ThreadPool},
};
use fontes_retrieval::Searcher;
use serde_json::{Value, json};

use super::{bench_rag, ingest};
use crate::{
    args::{Bench, BenchGenerate},
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    wiring::{self, Archive},
};

/// A sentence of each working language; texts of the embedding benchmark repeat and number them.
const SENTENCES: [&str; 4] = [
    "Die Verwaltung bewahrt die Akten nach Abschluss des Verfahrens zehn Jahre lang auf.",
    "L’administration conserve les dossiers pendant dix ans après la clôture de la procédure.",
    "L’amministrazione conserva gli atti per dieci anni dopo la chiusura del procedimento.",
    "The administration keeps the files for ten years after the procedure has been closed.",
];

/// Runs a benchmark.
pub fn run(config: &Config, voice: Voice, command: &Bench) -> anyhow::Result<Outcome> {
    let figures = match command {
        Bench::Embed { texts } => embed(config, *texts)?,
        Bench::Search { chunks: Some(chunks), readers, .. } => synthetic::search(config, voice, *chunks, *readers)?,
        Bench::Search { queries, .. } => search(config, queries.as_deref().unwrap_or(Path::new("/dev/stdin")))?,
        Bench::Generate(arguments) => generation(config, arguments)?,
        Bench::Rag { questions, model, max_tokens, limit, ways } => {
            let questions = bench_rag::read(questions, *limit)?;
            bench_rag::run(config, voice, model.as_deref(), &questions, *max_tokens, ways)?
        }
        Bench::Ingest { dir } => ingestion(config, voice, dir)?,
    };
    let figures = with_memory(figures);
    if voice.json {
        voice.object(&figures)?;
    } else if let Some(object) = figures.as_object() {
        for (name, value) in object {
            let value = value.as_f64().map_or(value.to_string(), |number| {
                // Shares are read to the percent, rates to the tenth.
                if name.contains("_share_") { format!("{number:.2}") } else { format!("{number:.1}") }
            });
            voice.line(&format!("{name:<28} {value}"))?;
        }
    }
    Ok(Outcome::Done)
}

/// Adds the peak resident size of this process, where the system tells (Linux: `VmHWM`).
fn with_memory(mut figures: Value) -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = peak.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    if let Some(kib) = kib {
        figures["peak_rss_bytes"] = (kib * 1024).into();
    }
    figures
}

fn embed(config: &Config, texts: usize) -> anyhow::Result<Value> {
    let embedder = wiring::embedder(config)?;
    let texts: Vec<String> = (0..texts.max(1))
        .map(|number| {
            // One to eight sentences: chunks are not all of one length.
            (0..=number % 8).map(|step| format!("{number}.{step} {} ", SENTENCES[(number + step) % 4])).collect()
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let tokens = count_tokens(embedder.as_ref(), &texts)?;
    embedder.embed(&texts[..1], EmbedAs::Passage)?;
    let begin = Instant::now();
    embedder.embed(&texts, EmbedAs::Passage)?;
    let seconds = begin.elapsed().as_secs_f64();
    Ok(json!({
        "embedder": embedder.identity().name, "texts": texts.len(), "tokens": tokens, "seconds": seconds,
        "tokens_per_second": tokens as f64 / seconds, "texts_per_second": texts.len() as f64 / seconds,
    }))
}

fn count_tokens(embedder: &dyn Embedder, texts: &[&str]) -> anyhow::Result<usize> {
    let mut tokens = 0;
    for text in texts {
        tokens += embedder.token_offsets(text)?.len();
    }
    Ok(tokens)
}

fn search(config: &Config, queries: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(queries).with_context(|| format!("queries {}", queries.display()))?;
    let queries: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if queries.is_empty() {
        return Err(Error::invalid("there is no query in that file").advise("write one query a line").into());
    }
    let cancel = interrupt::install()?;
    let archive = Archive::open(config)?;
    latencies(config, &archive.searcher(config)?, &queries, &cancel)
}

/// Hits per query of the latency measurements: what a page shows.
const HITS: usize = 10;

/// Times every query in every mode, after one pass that warms caches. The query's embedding is part of a dense
/// or hybrid search; `…_without_embedding` leaves it out.
fn latencies(
    config: &Config,
    searcher: &Searcher,
    queries: &[impl AsRef<str>],
    cancel: &Cancel,
) -> anyhow::Result<Value> {
    let scope = config.access.scope(None)?;
    let mut figures = json!({ "queries": queries.len() });
    for mode in SearchMode::ALL {
        let run = |text: &str| {
            interrupt::check(cancel)?;
            let query = Query { text: text.to_owned(), k: HITS, mode, ..Query::default() };
            searcher.search(&query, &scope)
        };
        for text in queries {
            run(text.as_ref())?;
        }
        let (mut whole, mut without, mut around) = (Vec::new(), Vec::new(), Vec::new());
        for text in queries {
            let timings = run(text.as_ref())?.timings;
            whole.push(timings.total);
            // Words are looked for beside embedding and the dense leg: the longer of both is the time in the engines.
            let outside = timings.total - (timings.embed + timings.dense).max(timings.lexical) - timings.feedback;
            without.push(outside + timings.dense.max(timings.lexical) + timings.feedback);
            around.push(outside);
        }
        for (name, times) in
            [("", &mut whole), ("_without_embedding", &mut without), ("_outside_the_legs", &mut around)]
        {
            figures[format!("{mode}{name}_p50_ms")] = quantile(times, 0.50).into();
            figures[format!("{mode}{name}_p99_ms")] = quantile(times, 0.99).into();
        }
    }
    figures["p50_ms"] = figures["hybrid_p50_ms"].clone();
    figures["p99_ms"] = figures["hybrid_p99_ms"].clone();
    Ok(figures)
}

/// The nearest-rank quantile.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn generation(config: &Config, arguments: &BenchGenerate) -> anyhow::Result<Value> {
    let generate = arguments.generate;
    let (path, packed_copy) = match wiring::generator_choice(config, arguments.model.as_deref())? {
        wiring::GeneratorChoice::Installed(model) => (model.weights(), wiring::packed_copy(config, &model)),
        wiring::GeneratorChoice::Path(path) => (path, None),
        choice => {
            return Err(Error::invalid(format!("there is no local model to measure ({choice})"))
                .advise("name one with --model")
                .into());
        }
    };
    let begin = Instant::now();
    let device = arguments.device.map_or_else(|| config.generation.device.parse(), Ok)?;
    let options = decoder::OpenOptions {
        runner: arguments.runner.into(),
        dtype: arguments.dtype.map_or_else(|| wiring::float_dtype(config, device), Ok)?,
        device,
        max_memory: wiring::memory_limit(config, device),
        packed_copy,
        ..decoder::OpenOptions::default()
    };
    let network = decoder::open(&path, &options)?;
    let load = begin.elapsed().as_secs_f64();
    let ids: Vec<u32> = (0..arguments.prompt.max(1)).map(|at| 1_000 + (at * 7_919 % 20_000) as u32).collect();
    let ids: Vec<u32> = ids.iter().map(|id| id % network.output_size() as u32).collect();
    let mut session = network.session(ids.len() + generate)?;
    // The first pass of a process also loads kernels and touches buffers.
    session.forward(&ids[..ids.len().min(16)], Logits::Last)?;
    session.truncate(0);
    let begin = Instant::now();
    let mut logits = session.forward(&ids, Logits::Last)?;
    let prefill = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    for _ in 0..generate {
        let best = logits.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1)).map_or(0, |(id, _)| id);
        logits = session.forward(&[best as u32], Logits::Last)?;
    }
    let decode = begin.elapsed().as_secs_f64();
    let mut figures = json!({
        "model": path.file_name().map(|name| name.to_string_lossy().into_owned()),
        "load_seconds": load, "prompt_tokens": ids.len(), "generated_tokens": generate,
        "prefill_tokens_per_second": ids.len() as f64 / prefill,
        "decode_tokens_per_second": generate as f64 / decode,
        "tokens_per_second": generate as f64 / decode,
    });
    if let Some(cost) = network.cost() {
        let read = cost.multiply_adds as f64 * ids.len() as f64 / prefill;
        add_limits(&mut figures, read, cost.bytes as f64 * generate as f64 / decode)?;
    }
    Ok(figures)
}

/// Adds what the machine can do at best, and the shares of it that `multiply_adds` and `bytes` per second are. Attention and
/// the key/value cache are not counted, so the shares are lower bounds.
fn add_limits(figures: &mut Value, multiply_adds: f64, bytes: f64) -> anyhow::Result<()> {
    let (isa, threads) = (Isa::detect(), std::thread::available_parallelism().map_or(1, usize::from));
    let limits = Roofline::measure(&ThreadPool::shared(threads), isa, &wiring::SystemClock)?;
    figures["instructions"] = isa.name().into();
    figures["threads"] = threads.into();
    figures["multiply_adds_per_second_peak"] = limits.multiply_adds_per_second.into();
    figures["prefill_share_of_peak"] = (multiply_adds / limits.multiply_adds_per_second).into();
    figures["bytes_per_second_peak"] = limits.bytes_per_second.into();
    figures["decode_share_of_bandwidth"] = (bytes / limits.bytes_per_second).into();
    Ok(())
}

fn ingestion(config: &Config, voice: Voice, dir: &Path) -> anyhow::Result<Value> {
    let cancel = interrupt::install()?;
    let config = config.beneath(format!("bench-{}", std::process::id()));
    let summary = Archive::open(&config).and_then(|archive| {
        let request = wiring::request(&config, vec![dir.to_owned()]);
        ingest::once(&archive.ingestion, voice, &request, &mut ingest::Records::default(), &cancel)
    });
    wiring::remove_archive(&config)?;
    let summary = summary?;
    Ok(json!({
        "files": summary.files_seen, "quarantined": summary.quarantined, "pages": summary.pages,
        "chunks": summary.chunks, "tokens": summary.tokens, "bytes": summary.bytes, "seconds": summary.seconds,
        "files_per_second": summary.files_seen as f64 / summary.seconds,
        "pages_per_second": summary.pages as f64 / summary.seconds,
        "chunks_per_second": summary.chunks as f64 / summary.seconds,
        "tokens_per_second": summary.tokens as f64 / summary.seconds,
        "stage_seconds": summary.stages,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let mut values = vec![4.0, 1.0, 3.0, 2.0];
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.99)), (2.0, 4.0));
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
