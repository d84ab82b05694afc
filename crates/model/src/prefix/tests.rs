//! Tests on a small random network: what is restored is what would have been computed, for whom it may be.

use std::path::Path;

use super::*;
use crate::decoder::{Logits, Network, OpenOptions, Runner, open};

const ANNA: Digest = Digest::from_bytes([1; 32]);
const BEAT: Digest = Digest::from_bytes([2; 32]);
const MODEL: Digest = Digest::from_bytes([9; 32]);

fn document(id: u8) -> DocumentId {
    DocumentId::from_bytes([id; 16])
}

fn network(runner: Runner) -> Box<dyn Network> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/apertus/gguf/q8_0.gguf");
    open(&path, &OpenOptions { runner, ..OpenOptions::default() }).unwrap()
}

/// 150 tokens: 70 of the operator, passages of document 1 (80..100) and 2 (120..140).
fn prompt() -> Prompt {
    let tokens = (0..150).map(|at| (at * 37 + 80) % 1000).collect();
    Prompt { tokens, passages: vec![(0, 80..100), (1, 120..140)], shared: 70 }
}

fn documents() -> [DocumentId; 2] {
    [document(1), document(2)]
}

fn origin(scope: Digest, documents: &[DocumentId]) -> Option<PromptOrigin<'_>> {
    Some(PromptOrigin { scope, documents })
}

fn memory(bytes: u64) -> PrefixCache {
    PrefixCache::new(MODEL, &PrefixLimits { memory_bytes: bytes, ..PrefixLimits::default() })
}

/// Restores what it can, reads the rest, keeps all; tells how much was restored, and the logits.
fn read(
    network: &dyn Network,
    cache: &PrefixCache,
    prompt: &Prompt,
    origin: Option<PromptOrigin<'_>>,
) -> (usize, Vec<f32>) {
    let mut session = network.session(200).unwrap();
    let restored = cache.restore(prompt, origin, &mut *session);
    assert_eq!(restored, session.len());
    let logits = session.forward(&prompt.tokens[restored..], Logits::Last).unwrap();
    cache.keep(prompt, &prompt.tokens, origin, &*session).unwrap();
    (restored, logits)
}

#[test]
fn restored_beginnings_give_the_same_bits() {
    let network = network(Runner::Cpu);
    let (cache, documents, prompt) = (memory(1 << 30), documents(), prompt());
    let (restored, plain) = read(&*network, &cache, &prompt, origin(ANNA, &documents));
    assert_eq!(restored, 0);
    let (restored, warm) = read(&*network, &cache, &prompt, origin(ANNA, &documents));
    assert_eq!((restored, warm), (128, plain.clone()));
    let mut other = prompt.clone();
    other.tokens[100] = 999;
    let (restored, logits) = read(&*network, &cache, &other, origin(ANNA, &documents));
    assert_eq!(restored, 96, "the first block that differs ends it");
    assert_eq!(logits, read(&*network, &memory(0), &other, None).1);
    assert_ne!(logits, plain);
    let mut session = network.session(128).unwrap();
    let whole = Prompt { tokens: prompt.tokens[..128].to_vec(), ..prompt };
    assert_eq!(cache.restore(&whole, origin(ANNA, &documents), &mut *session), 96, "the last token must be read");
}

#[test]
fn the_candle_runner_restores_too() {
    let network = network(Runner::Candle);
    let (cache, documents, prompt) = (memory(1 << 30), documents(), prompt());
    let (_, plain) = read(&*network, &cache, &prompt, origin(ANNA, &documents));
    let (restored, warm) = read(&*network, &cache, &prompt, origin(ANNA, &documents));
    assert_eq!(restored, 128);
    // candle sums in another order for another number of rows.
    let close = plain.iter().zip(&warm).all(|(plain, warm)| (plain - warm).abs() < 0.05);
    assert!(close);
}

#[test]
fn nobody_meets_what_another_scope_read() {
    let network = network(Runner::Cpu);
    let (cache, documents, prompt) = (memory(1 << 30), documents(), prompt());
    read(&*network, &cache, &prompt, origin(ANNA, &documents));
    assert_eq!(read(&*network, &cache, &prompt, None).0, 64, "the operator's words are everyone's");
    assert_eq!(read(&*network, &cache, &prompt, origin(BEAT, &documents)).0, 64);
    assert_eq!(read(&*network, &cache, &prompt, origin(BEAT, &documents)).0, 128);
    let other_model = PrefixCache { model: ANNA, ..cache };
    assert_eq!(read(&*network, &other_model, &prompt, origin(ANNA, &documents)).0, 0);
    let unowned = memory(1 << 30);
    read(&*network, &unowned, &prompt, None);
    assert_eq!(read(&*network, &unowned, &prompt, None).0, 64, "what has no owner is not kept");
}

#[test]
fn forgetting_a_document_ends_what_was_computed_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(Runner::Cpu);
    let (documents, prompt) = (documents(), prompt());
    for limits in [
        PrefixLimits { memory_bytes: 1 << 30, ..PrefixLimits::default() },
        PrefixLimits { disk_bytes: 1 << 30, folder: folder.path().to_owned(), ..PrefixLimits::default() },
        PrefixLimits { memory_bytes: 1 << 30, disk_bytes: 1 << 30, folder: folder.path().to_owned() },
    ] {
        let cache = PrefixCache::new(MODEL, &limits);
        for (forgotten, left) in [(3, 128), (2, 96), (1, 64)] {
            read(&*network, &cache, &prompt, origin(ANNA, &documents));
            cache.forget(&[document(forgotten)]).unwrap();
            let mut session = network.session(200).unwrap();
            assert_eq!(cache.restore(&prompt, origin(ANNA, &documents), &mut *session), left, "{limits:?}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "only the operator's words are left");
}

#[test]
fn what_is_on_disk_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(Runner::Cpu);
    let (documents, prompt) = (documents(), prompt());
    let limits = PrefixLimits { memory_bytes: 0, disk_bytes: 1 << 30, folder: folder.path().to_owned() };
    let (_, plain) = read(&*network, &PrefixCache::new(MODEL, &limits), &prompt, origin(ANNA, &documents));
    let (restored, warm) = read(&*network, &PrefixCache::new(MODEL, &limits), &prompt, origin(ANNA, &documents));
    assert_eq!((restored, warm), (128, plain));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        // Half of a file, as a crash of the disk would leave it.
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(read(&*network, &PrefixCache::new(MODEL, &limits), &prompt, origin(ANNA, &documents)).0, 0);
}

#[test]
fn a_small_memory_keeps_beginnings() {
    let network = network(Runner::Cpu);
    let (documents, prompt) = (documents(), prompt());
    let block = {
        let mut session = network.session(32).unwrap();
        session.forward(&prompt.tokens[..32], Logits::None).unwrap();
        session.copy(0..32).unwrap().len() as u64
    };
    let cache = memory(2 * block);
    read(&*network, &cache, &prompt, origin(ANNA, &documents));
    assert_eq!(read(&*network, &cache, &prompt, origin(ANNA, &documents)).0, 64);
    let other = Prompt { tokens: prompt.tokens.iter().map(|token| token ^ 1).collect(), ..prompt.clone() };
    read(&*network, &cache, &other, origin(ANNA, &documents));
    assert_eq!(read(&*network, &cache, &other, origin(ANNA, &documents)).0, 64, "the last prompt wins");
    assert_eq!(read(&*network, &cache, &prompt, origin(ANNA, &documents)).0, 0);
}
