//! Speed of the CPU runner on one model file, as one line of JSON; `benches/llamacpp.py` compares it with llama.cpp.
//!
//! `generate_speed MODEL.gguf [THREADS] [ISA]`: packs the weights, loads them again as the next process would, from the copy that
//! was kept (MODEL.packed; packs them again where this machine uses none), reads 512 and 2,048 random tokens, generates 32 after 2,048 and after one,
//! and holds the figures against what the machine can do at best.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program, not a library")]

use std::{
    path::Path,
    sync::Arc,
    time::{Instant, SystemTime},
};

use fontes_core::{Clock, TokenId};
use fontes_model::{
    decoder::{
        DecoderWeights, Logits, Network, Session,
        cpu::{CpuNetwork, CpuOptions, PackedCopy},
    },
    kernels::{Isa, Roofline, ThreadPool},
    weights::TensorSource,
};

const GENERATED: usize = 32;

struct Wall;

impl Clock for Wall {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let threads = arguments.get(2).map_or(2, |threads| threads.parse().unwrap());
    let pool = ThreadPool::shared(threads);
    let isa =
        arguments.get(3).map_or(Isa::detect(), |name| Isa::ALL.into_iter().find(|isa| isa.name() == name).unwrap());
    let path = Path::new(&arguments[1]);
    let load = |copy| {
        let begin = Instant::now();
        let source = Arc::new(TensorSource::open(path).unwrap());
        let options = CpuOptions { pool: Arc::clone(&pool), isa, max_memory: None, copy };
        let network = CpuNetwork::load(DecoderWeights::new(source).unwrap(), options).unwrap();
        (network, begin.elapsed().as_secs_f64())
    };
    let pack = load(None).1;
    let model = TensorSource::open(path).unwrap().digest().unwrap();
    let copy = PackedCopy { path: path.with_extension("packed"), model };
    let keep = load(Some(copy.clone())).1;
    let (network, load) = load(Some(copy));

    let mut state = 1_u64;
    let limit = network.input_size().min(30_000) as u64;
    let tokens: Vec<TokenId> = (0..2048)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % limit) as TokenId
        })
        .collect();
    let mut session = network.session(2048 + GENERATED).unwrap();
    session.forward(&tokens[..8], Logits::Last).unwrap();
    let prefill_512 = read(&mut *session, &tokens[..512]);
    let prefill_2048 = read(&mut *session, &tokens);
    let decode_2048 = generate(&mut *session, &tokens);
    read(&mut *session, &tokens[..1]);
    let decode_0 = generate(&mut *session, &tokens);
    // Taken before the roofline, which needs memory of its own.
    let peak_mb = peak_resident_kb() / 1024.0;

    let limits = Roofline::measure(&pool, isa, &Wall).unwrap();
    let cost = network.cost().unwrap();
    println!(
        "{{\"load_s\": {load:.3}, \"pack_s\": {pack:.3}, \"keep_s\": {keep:.3}, \"prefill_512\": {prefill_512:.2}, \"prefill_2048\": {prefill_2048:.2}, \
         \"decode_2048\": {decode_2048:.2}, \"decode_0\": {decode_0:.2}, \"peak_mb\": {peak_mb:.0}, \
         \"peak_gmacs\": {:.0}, \"share_gmacs\": {:.3}, \"peak_gbs\": {:.1}, \"share_gbs\": {:.3}}}",
        limits.multiply_adds_per_second / 1e9,
        cost.multiply_adds as f64 * prefill_512 / limits.multiply_adds_per_second,
        limits.bytes_per_second / 1e9,
        cost.bytes as f64 * decode_0 / limits.bytes_per_second,
    );
}

/// Tokens per second of reading a prompt from the start.
fn read(session: &mut dyn Session, tokens: &[TokenId]) -> f64 {
    session.truncate(0);
    let begin = Instant::now();
    session.forward(tokens, Logits::Last).unwrap();
    tokens.len() as f64 / begin.elapsed().as_secs_f64()
}

/// Tokens per second of one token after the other.
fn generate(session: &mut dyn Session, tokens: &[TokenId]) -> f64 {
    let begin = Instant::now();
    for token in &tokens[..GENERATED] {
        session.forward(std::slice::from_ref(token), Logits::Last).unwrap();
    }
    GENERATED as f64 / begin.elapsed().as_secs_f64()
}

/// The most memory that was resident so far (Linux).
fn peak_resident_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}
