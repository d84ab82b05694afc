//! Perplexity of a model file over given token ids, as one line of JSON; `benches/perplexity.py` compares it with llama.cpp.
//!
//! `perplexity MODEL.gguf IDS.json [THREADS] [ISA]`: `IDS.json` is a list of windows, each a list of ids that is read from an
//! empty cache. Every id but a window's first counts.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program, not a library")]

use std::{path::Path, sync::Arc};

use fontes_core::TokenId;
use fontes_model::{
    decoder::{
        DecoderWeights, Logits, Network,
        cpu::{CpuNetwork, CpuOptions},
    },
    kernels::{Isa, ThreadPool},
    weights::TensorSource,
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let threads = arguments.get(3).map_or(2, |threads| threads.parse().unwrap());
    let isa =
        arguments.get(4).map_or(Isa::detect(), |name| Isa::ALL.into_iter().find(|isa| isa.name() == name).unwrap());
    let windows: Vec<Vec<TokenId>> = serde_json::from_slice(&std::fs::read(&arguments[2]).unwrap()).unwrap();
    let source = Arc::new(TensorSource::open(Path::new(&arguments[1])).unwrap());
    let options = CpuOptions { pool: ThreadPool::shared(threads), isa, max_memory: None, copy: None };
    let network = CpuNetwork::load(DecoderWeights::new(source).unwrap(), options).unwrap();
    let (mut sum, mut count) = (0.0, 0_usize);
    for window in &windows {
        let mut session = network.session(window.len()).unwrap();
        let logits = session.forward(window, Logits::All).unwrap();
        for (logits, &next) in logits.chunks_exact(network.output_size()).zip(&window[1..]) {
            sum += surprise(logits, next);
            count += 1;
        }
    }
    let mean = sum / count as f64;
    println!(
        "{{\"isa\": \"{}\", \"tokens\": {count}, \"nll\": {mean:.6}, \"perplexity\": {:.5}}}",
        isa.name(),
        mean.exp()
    );
}

/// −ln of the probability of `next`.
fn surprise(logits: &[f32], next: TokenId) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
    total.ln() + most - f64::from(logits[next as usize])
}
