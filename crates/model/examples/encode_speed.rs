//! Speed of an embedder on one model folder, as one line of JSON; `benches/onnxruntime.py` compares it with ONNX Runtime.
//!
//! `encode_speed MODEL_DIR TEXTS.json [THREADS] [PRECISION] [KERNELS]`: the texts are an object of named lists. Each list is
//! embedded again and again for a second or so, tokenising included; the figure is the median time of one pass. PRECISION is
//! f32, f16, int8 (the default), q8_0 or q4_0; KERNELS is portable, avx2, avx-vnni or avx512-vnni.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program, not a library")]

use std::{collections::BTreeMap, path::Path, time::Instant};

use fontes_core::{
    Cancel,
    seam::{EmbedAs, Embedder},
};
use fontes_model::{
    encoder::{EncoderOptions, open_embedder},
    kernels::Isa,
    store::{Manifest, ModelStore},
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let texts: BTreeMap<String, Vec<String>> = serde_json::from_slice(&std::fs::read(&arguments[2]).unwrap()).unwrap();
    let mut options = EncoderOptions::default();
    if let Some(threads) = arguments.get(3) {
        options.threads = threads.parse().unwrap();
    }
    if let Some(precision) = arguments.get(4) {
        options.precision = serde_json::from_value(precision.as_str().into()).unwrap();
    }
    if let Some(kernels) = arguments.get(5) {
        options.isa = Isa::ALL.into_iter().find(|isa| isa.name() == kernels).unwrap();
    }
    let begin = Instant::now();
    let store = ModelStore::open(std::env::temp_dir().join("fontes-encode-speed"), Manifest::default(), "", None);
    let model = store.resolve_path(Path::new(&arguments[1]), &Cancel::default()).unwrap();
    let resolved = begin.elapsed().as_secs_f64();
    let embedder = open_embedder(&model, &options).unwrap();
    let open = begin.elapsed().as_secs_f64() - resolved;

    let begin = Instant::now();
    let mut vectors = embedder.embed(&["What does the law say about archives?"], EmbedAs::Query).unwrap();
    let first = begin.elapsed().as_secs_f64();
    let query = median(|| {
        embedder.embed(&["What does the law say about archives?"], EmbedAs::Query).unwrap();
    });
    let mut seconds = BTreeMap::new();
    for (name, texts) in &texts {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        vectors.extend(embedder.embed(&texts, EmbedAs::Passage).unwrap().into_iter().take(4));
        let pass = median(|| {
            embedder.embed(&texts, EmbedAs::Passage).unwrap();
        });
        let begin = Instant::now();
        texts.iter().for_each(|text| drop(embedder.token_offsets(text).unwrap()));
        seconds.insert(name, (pass, begin.elapsed().as_secs_f64()));
    }
    println!(
        "{}",
        serde_json::json!({
            "resolve_s": resolved, "open_s": open, "first_query_ms": first * 1e3, "query_ms": query * 1e3,
            "seconds": seconds.iter().map(|(name, (pass, _))| (name, pass)).collect::<BTreeMap<_, _>>(),
            "tokenise_s": seconds.iter().map(|(name, (_, tokenise))| (name, tokenise)).collect::<BTreeMap<_, _>>(),
            "vectors": vectors,
        })
    );
}

/// Median time of one call, over a second and at least three calls.
fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 3 || begin.elapsed().as_secs_f64() < 1.0 {
        let start = Instant::now();
        work();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
