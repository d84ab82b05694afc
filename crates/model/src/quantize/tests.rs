//! Tests on the tiny random checkpoints.

use super::*;
use crate::decoder::{self, Logits, OpenOptions};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/apertus").join(name)
}

fn quantized(name: &str, target: Target, folder: &Path) -> Quantized {
    let output = folder.join(format!("{name}-{}.gguf", target.name()));
    quantize(&fixture(name), target, &output, Some("apache-2.0"), &mut |_| {}).unwrap()
}

fn logits(path: &Path, tokens: &[u32]) -> Vec<f32> {
    let network = decoder::open(path, &OpenOptions::exact()).unwrap();
    let mut session = network.session(tokens.len()).unwrap();
    session.forward(tokens, Logits::Last).unwrap()
}

/// Root mean square difference over the root mean square of the reference.
fn relative_error(found: &[f32], reference: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = found.iter().zip(reference).map(|(a, b)| square(a - b)).sum();
    (difference / reference.iter().map(|&x| square(x)).sum::<f64>()).sqrt()
}

#[test]
fn quantised_models_stay_close_to_their_source() {
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<u32> = (0..40).map(|i| (i * 37 + 11) % 500).collect();
    for name in ["mini", "v15"] {
        let reference = logits(&fixture(name), &tokens);
        // Random weights have no structure that would forgive rounding; measured values are about half these.
        for (target, bound) in
            [(Target::Q8_0, 0.06), (Target::Q6K, 0.12), (Target::Q5KM, 0.25), (Target::Q4KM, 0.45), (Target::Q4_0, 0.6)]
        {
            let file = quantized(name, target, folder.path());
            let error = relative_error(&logits(&file.path, &tokens), &reference);
            assert!(error < bound, "{name} {}: {error}", target.name());
        }
    }
}

#[test]
fn the_record_is_true_and_the_same_input_gives_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = quantized("mini", Target::Q4KM, folder.path());
    let bytes = std::fs::read(&first.path).unwrap();
    assert_eq!((first.bytes, first.sha256), (bytes.len() as u64, Digest::of(&bytes)));
    let source = TensorSource::open(&fixture("mini")).unwrap();
    assert_eq!(first.source_sha256, source.digest().unwrap());
    let again = quantized("mini", Target::Q4KM, folder.path());
    assert_eq!(again, first, "replaces the file with the same bytes");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");

    let written = TensorSource::open(&first.path).unwrap();
    let keys = written.metadata().unwrap();
    assert_eq!(keys.string("fontes.source.sha256"), Some(first.source_sha256.to_string().as_str()));
    assert_eq!(keys.string("general.license"), Some("apache-2.0"));
    assert_eq!(keys.unsigned("general.file_type"), Some(15));
    assert!(keys.strings("fontes.source.files").unwrap().iter().any(|line| line.ends_with("  config.json")));
    assert!(written.contains("output.weight"), "llama.cpp asks for a tied head, too");
}

#[test]
fn the_text_rows_of_v15_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = quantized("v15", Target::Q8_0, folder.path());
    let written = TensorSource::open(&file.path).unwrap();
    assert_eq!(written.tensor("token_embd.weight").unwrap().shape, written.tensor("output.weight").unwrap().shape);
    assert!(written.names().all(|name| !name.contains("vision")));
}

#[test]
fn a_vocabulary_survives_the_way_into_the_file_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("model");
    std::fs::create_dir(&directory).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture("mini").join(name), directory.join(name)).unwrap();
    }
    // The mini network has 512 ids: the first 512 of the tokenizer and the merges among them.
    let json = std::fs::read(fixture("tiny").join("tokenizer.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let vocabulary = value["model"]["vocab"].as_object_mut().unwrap();
    vocabulary.retain(|_, id| id.as_u64().unwrap() < 512);
    let known: std::collections::HashSet<String> = vocabulary.keys().cloned().collect();
    value["model"]["merges"]
        .as_array_mut()
        .unwrap()
        .retain(|merge| known.contains(&format!("{}{}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap())));
    std::fs::write(directory.join("tokenizer.json"), value.to_string()).unwrap();
    std::fs::write(directory.join("chat_template.jinja"), "{{ messages[0].content }}").unwrap();
    let output = folder.path().join("out.gguf");
    quantize(&directory, Target::Q8_0, &output, None, &mut |_| {}).unwrap();

    let written = TensorSource::open(&output).unwrap();
    let keys = written.metadata().unwrap();
    assert_eq!(keys.string("tokenizer.chat_template"), Some("{{ messages[0].content }}"));
    assert_eq!(keys.unsigned("tokenizer.ggml.eot_token_id"), Some(68));
    let before = crate::tokenizer::TextTokenizer::from_json(value.to_string().as_bytes()).unwrap();
    let after = crate::tokenizer::TextTokenizer::from_gguf(&keys).unwrap();
    for text in ["the end of the line", "Zürich <|user_end|> 1848\n\n  x", "日本 🇨🇭"] {
        assert_eq!(before.encode_text(text), after.encode_text(text), "{text}");
    }
    let (controls, again): (Vec<_>, Vec<_>) = (before.controls().collect(), after.controls().collect());
    assert_eq!(controls, again);
}

#[test]
fn what_is_no_apertus_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let run = |path: &Path| quantize(path, Target::Q8_0, &output, None, &mut |_| {}).unwrap_err();
    assert!(matches!(run(&fixture("gguf").join("q8_0.gguf")), QuantizeError::NotApertus { .. }));
    assert!(matches!(run(folder.path()), QuantizeError::Weights(_)));
    let error = quantize(&fixture("mini"), Target::Q8_0, &folder.path().join("no/out.gguf"), None, &mut |_| {});
    assert!(matches!(error, Err(QuantizeError::Output { .. })));
    assert!("q3_k".parse::<Target>().is_err() && "Q4_K_M".parse::<Target>().unwrap() == Target::Q4KM);
}

#[test]
fn progress_reaches_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = (0, 1);
    let output = folder.path().join("out.gguf");
    quantize(&fixture("mini"), Target::Q4_0, &output, None, &mut |progress| {
        assert!(progress.done >= last.0 && progress.done <= progress.total);
        last = (progress.done, progress.total);
    })
    .unwrap();
    assert!(last.0 * 10 >= last.1 * 9, "{last:?}");
}
