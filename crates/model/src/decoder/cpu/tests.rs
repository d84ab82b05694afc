//! The CPU runner against reference logits, llama.cpp's, and the candle runner.

use std::path::{Path, PathBuf};

use fontes_core::{ErrorKind, TokenId};
use serde::Deserialize;

use super::*;
use crate::{
    decoder::{Logits, OpenOptions, Runner, open},
    weights::TensorSource,
};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    input_ids: Vec<TokenId>,
    last_logits: Vec<f32>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/apertus").join(name)
}

fn cases(file: &str) -> Vec<Case> {
    serde_json::from_slice::<Reference>(&std::fs::read(fixture(file)).unwrap()).unwrap().cases
}

fn network(name: &str, isa: Isa, threads: usize) -> CpuNetwork {
    let weights = DecoderWeights::new(Arc::new(TensorSource::open(&fixture(name)).unwrap())).unwrap();
    let options = CpuOptions { pool: ThreadPool::shared(threads), isa, max_memory: None, copy: None };
    CpuNetwork::load(weights, options).unwrap()
}

fn logits(network: &dyn Network, ids: &[TokenId], which: Logits) -> Vec<f32> {
    network.session(ids.len()).unwrap().forward(ids, which).unwrap()
}

fn rms(values: impl Iterator<Item = f32>, count: usize) -> f32 {
    (values.map(|value| value * value).sum::<f32>() / count as f32).sqrt()
}

/// Difference relative to the size of the logits.
fn distance(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let difference = rms(found.iter().zip(wanted).map(|(a, b)| a - b), wanted.len());
    difference / rms(wanted.iter().copied(), wanted.len())
}

fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn every_family_is_within_the_rounding_of_eight_bits() {
    // Weights and activations rounded to 8 bits against f32; measured at most 0.029.
    for name in ["mini", "v15", "odd", "gemma3", "qwen2"] {
        let network = network(name, Isa::detect(), 2);
        for case in cases(&format!("{name}/reference.json")) {
            let found = logits(&network, &case.input_ids, Logits::Last);
            let distance = distance(&found, &case.last_logits);
            assert!(distance < 0.04, "{name} {}: {distance}", case.name);
        }
    }
}

#[test]
fn quantised_files_are_near_llama_cpp() {
    // Both round activations to 8 bits; a rounding that falls the other way moves everything after it. Measured at most
    // 0.019 (Q8_0) and 0.029 (Q4_K_M), where llama.cpp is 0.03 and 0.2 away from the same weights in f32.
    for name in ["q8_0", "q4_k_m"] {
        let network = network(&format!("gguf/{name}.gguf"), Isa::detect(), 2);
        for case in cases(&format!("gguf/{name}.reference.json")) {
            let found = logits(&network, &case.input_ids, Logits::Last);
            let distance = distance(&found, &case.last_logits);
            assert!(distance < 0.04, "{name} {}: {distance}", case.name);
            assert_eq!(argmax(&found), argmax(&case.last_logits), "{name} {}", case.name);
        }
    }
}

#[test]
fn every_instruction_set_and_number_of_threads_tells_the_same() {
    let case = cases("gguf/q4_k_m.reference.json").pop().unwrap();
    let first = logits(&network("gguf/q4_k_m.gguf", Isa::detect(), 2), &case.input_ids, Logits::All);
    let alone = logits(&network("gguf/q4_k_m.gguf", Isa::detect(), 1), &case.input_ids, Logits::All);
    assert_eq!(first, alone, "threads only share out the work");
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let found = logits(&network("gguf/q4_k_m.gguf", isa, 2), &case.input_ids, Logits::All);
        assert!(distance(&found, &first) < 0.03, "{}: {}", isa.name(), distance(&found, &first));
    }
}

#[test]
fn pieces_equal_the_whole_to_the_bit() {
    for name in ["gguf/q8_0.gguf", "gguf/q4_k_m.gguf", "v15", "gemma3", "qwen2"] {
        let network = network(name, Isa::detect(), 2);
        let ids: Vec<TokenId> = (0..300).map(|position| 4 + position * 7 % 300).collect();
        let whole = logits(&network, &ids, Logits::All);
        for piece in [1, 5, 64] {
            let mut session = network.session(ids.len()).unwrap();
            let pieces: Vec<f32> =
                ids.chunks(piece).flat_map(|part| session.forward(part, Logits::All).unwrap()).collect();
            assert!(pieces == whole, "{name} in pieces of {piece}");
        }
        let size = network.output_size();
        assert!(logits(&network, &ids, Logits::Last) == whole[299 * size..], "{name}: the last position alone");
    }
}

#[test]
fn sessions_at_once_do_not_disturb_each_other() {
    let network = network("gguf/q8_0.gguf", Isa::detect(), 2);
    let prompts: Vec<Vec<TokenId>> = (0..4).map(|seed| (0..50).map(|i| 4 + (i * 13 + seed) % 900).collect()).collect();
    let alone: Vec<_> = prompts.iter().map(|ids| logits(&network, ids, Logits::Last)).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let network = &network;
        let running: Vec<_> =
            prompts.iter().map(|ids| scope.spawn(move || logits(network, ids, Logits::Last))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(alone == together);
}

#[test]
fn truncation_forgets_and_errors_leave_the_session_as_it_was() {
    let network = network("v15", Isa::detect(), 1);
    let mut session = network.session(10).unwrap();
    session.forward(&[1, 2, 3, 4], Logits::None).unwrap();
    let once = session.forward(&[5], Logits::Last).unwrap();
    session.forward(&[9, 9], Logits::None).unwrap();
    session.truncate(4);
    assert_eq!(session.forward(&[5], Logits::Last).unwrap(), once);
    for bad in [&[640][..], &[1; 6][..]] {
        assert_eq!(session.forward(bad, Logits::Last).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(session.len(), 5);
    }
    assert_eq!(network.session(1 << 20).err().unwrap().kind(), ErrorKind::Invalid);
}

#[test]
fn attention_mass_is_that_of_the_exact_runner() {
    for name in ["v15", "gemma3"] {
        let exact = open(&fixture(name), &OpenOptions::exact()).unwrap();
        let fast = network(name, Isa::detect(), 2);
        let ids: Vec<TokenId> = (0..60).map(|position| 4 + position * 5 % 200).collect();
        let ranges = [0..1, 1..40, 40..60, 7..7, 50..500];
        let observe = |network: &dyn Network| {
            let mut session = network.session(60).unwrap();
            session.observe(&ranges);
            session.forward(&ids, Logits::None).unwrap();
            session.attention()
        };
        let (exact, fast) = (observe(&*exact), observe(&fast));
        assert_eq!(exact.len(), fast.len());
        for (exact, fast) in exact.iter().flatten().zip(fast.iter().flatten()) {
            assert!((exact - fast).abs() < 0.02, "{name}: {fast} for {exact}");
        }
    }
}

#[test]
fn quantised_files_get_this_runner_unless_another_is_asked_for() {
    let path = fixture("gguf/q8_0.gguf");
    let ids = [1, 2, 3];
    let by = |runner| {
        let options = OpenOptions { runner, ..OpenOptions::default() };
        logits(&*open(&path, &options).unwrap(), &ids, Logits::Last)
    };
    assert_eq!(by(Runner::Auto), by(Runner::Cpu));
    assert_ne!(by(Runner::Auto), by(Runner::Candle));
}

#[test]
fn the_next_load_takes_what_the_first_one_packed() {
    let folder = tempfile::tempdir().unwrap();
    let ids = [1, 2, 3, 40, 500];
    for name in ["gguf/q4_k_m.gguf", "gguf/q8_0.gguf", "v15"] {
        let source = Arc::new(TensorSource::open(&fixture(name)).unwrap());
        let pool = ThreadPool::shared(2);
        let copy = PackedCopy { path: folder.path().join("packed.weights"), model: source.digest().unwrap() };
        let load = |copy: Option<&PackedCopy>| {
            let options =
                CpuOptions { pool: Arc::clone(&pool), isa: Isa::detect(), max_memory: None, copy: copy.cloned() };
            CpuNetwork::load(DecoderWeights::new(Arc::clone(&source)).unwrap(), options).unwrap()
        };
        let packed = load(None);
        let wanted = logits(&packed, &ids, Logits::All);
        assert!(logits(&load(Some(&copy)), &ids, Logits::All) == wanted, "{name}: packed and kept");
        assert!(logits(&load(Some(&copy)), &ids, Logits::All) == wanted, "{name}: mapped, if this machine does");
        assert!(std::fs::metadata(&copy.path).unwrap().len() > packed.packed_bytes() as u64, "{name}");
        assert!(packed.packed_bytes() < crate::kernels::HUGE_PAGE, "{name}: smaller copies are used everywhere");
        // Other weights, other logits.
        let mut zeros = Arena::new(packed.packed_bytes()).unwrap();
        zeros.take(packed.packed_bytes()).unwrap();
        copy.keep(&zeros, &pool);
        assert!(logits(&load(Some(&copy)), &ids, Logits::All) != wanted, "{name}: the copy was not used");
        let another = PackedCopy { model: fontes_core::Digest::of(b"another model"), ..copy };
        assert!(logits(&load(Some(&another)), &ids, Logits::All) == wanted, "{name}: that copy is of another model");
    }
}

#[test]
fn packed_models_are_those_of_the_layout_s_number() {
    // They are kept on disk, matrix after matrix: another digest here means another `LAYOUT`.
    let digests = ["gguf/q4_k_m.gguf", "gguf/qwen2.gguf", "v15"].map(|name| {
        fontes_core::Digest::of(network(name, Isa::Portable, 1).arena.content()).to_string()[..8].to_owned()
    });
    assert_eq!((crate::kernels::LAYOUT, digests.join(" ").as_str()), (1, "f784dfe0 c60db6fb 5811f646"));
}

#[test]
fn too_little_memory_is_said_before_anything_is_packed() {
    let weights = DecoderWeights::new(Arc::new(TensorSource::open(&fixture("mini")).unwrap())).unwrap();
    let options = CpuOptions { pool: ThreadPool::shared(1), isa: Isa::Portable, max_memory: Some(1000), copy: None };
    let error: fontes_core::Error = CpuNetwork::load(weights, options).err().unwrap().into();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_file_reads_the_same_after_its_memory_was_given_back() {
    let source = TensorSource::open(&fixture("gguf/q8_0.gguf")).unwrap();
    let names: Vec<String> = source.names().map(str::to_owned).collect();
    for name in names {
        let before = source.tensor(&name).unwrap().bytes.to_vec();
        source.release(&name);
        assert!(source.tensor(&name).unwrap().bytes == before, "{name}");
    }
}
