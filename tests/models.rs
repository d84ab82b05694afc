//! Models that are broken, foreign or too large: each is refused with what is wrong and what to do, and nothing crashes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::site::{self, Site, fontes};

fn fixture(name: &str) -> PathBuf {
    site::repository().join("tests/fixtures/apertus").join(name)
}

/// A copy of a fixture's checkpoint, to be broken.
fn copy(name: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::write(dir.path().join(path.file_name().unwrap()), fs::read(&path).unwrap()).unwrap();
    }
    dir
}

/// Probes a model that must be refused; gives what the user reads.
fn refused(path: &Path, ids: &str, settings: &[(&str, &str)]) -> String {
    let mut command = fontes();
    command.args(["models", "probe", path.to_str().unwrap(), "--ids", ids, "--json"]);
    let output = command.envs(settings.iter().copied()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Where `needle` starts.
fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn a_missing_shard_is_named() {
    let dir = copy("odd");
    fs::remove_file(dir.path().join("model-00002-of-00003.safetensors")).unwrap();
    says(&refused(dir.path(), "1,2", &[]), &["model-00002-of-00003.safetensors"]);
}

#[test]
fn a_wrong_shape_is_named_with_both_shapes() {
    let dir = copy("mini");
    edit(&dir.path().join("config.json"), |config| {
        let text = String::from_utf8(std::mem::take(config)).unwrap();
        *config = text.replace("\"intermediate_size\": 320", "\"intermediate_size\": 384").into_bytes();
    });
    says(&refused(dir.path(), "1,2", &[]), &["up_proj.weight", "320", "384"]);
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let whole = fs::read(fixture("gguf/q8_0.gguf")).unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cut.gguf");
    for keep in [0, 3, 20, 5_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..keep]).unwrap();
        says(&refused(&path, "1,2", &[]), &["cut.gguf"]);
    }
}

#[test]
fn an_unknown_quantisation_is_named_with_its_tensor() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("odd.gguf");
    fs::copy(fixture("gguf/q8_0.gguf"), &path).unwrap();
    edit(&path, |bytes| {
        // A tensor's entry: its name, the number of dimensions (u32), two sizes (u64), its type (u32).
        let kind = find(bytes, b"blk.0.ffn_up.weight") + "blk.0.ffn_up.weight".len() + 4 + 16;
        bytes[kind..kind + 4].copy_from_slice(&250_u32.to_le_bytes());
    });
    says(&refused(&path, "1,2", &[]), &["blk.0.ffn_up.weight", "250"]);
}

#[test]
fn an_unknown_architecture_is_named_with_those_that_are_known() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("foreign.gguf");
    fs::copy(fixture("gguf/q8_0.gguf"), &path).unwrap();
    edit(&path, |bytes| {
        let value = find(bytes, b"general.architecture") + "general.architecture".len() + 4 + 8;
        bytes[value..value + 7].copy_from_slice(b"unheard");
    });
    says(&refused(&path, "1,2", &[]), &["unheard", "apertus", "llama", "qwen2", "gemma3"]);

    let dir = copy("mini");
    edit(&dir.path().join("config.json"), |config| {
        let text = String::from_utf8(std::mem::take(config)).unwrap();
        *config = text.replace("ApertusForCausalLM", "UnheardForCausalLM").replace("\"apertus\"", "\"unheard\"").into();
    });
    says(&refused(dir.path(), "1,2", &[]), &["nheard", "apertus"]);
}

#[test]
fn ids_and_prompts_that_do_not_fit_are_refused_with_the_limit() {
    let long = vec!["7"; 600].join(",");
    says(&refused(&fixture("mini"), &long, &[]), &["600", "512"]);
    says(&refused(&fixture("mini"), "1,512", &[]), &["512"]);
}

#[test]
fn weights_that_are_no_numbers_are_no_answer() {
    let dir = copy("mini");
    edit(&dir.path().join("model.safetensors"), |bytes| {
        // The last tensor's last weights, in bfloat16.
        let end = bytes.len();
        bytes[end - 64..].copy_from_slice(&[0xc0, 0x7f].repeat(32));
    });
    says(&refused(dir.path(), "1,17,300", &[]), &["model.norm.weight", "not finite"]);
}

#[test]
fn too_little_memory_is_said_before_loading_with_what_would_fit() {
    let message = refused(&fixture("gguf/q8_0.gguf"), "1,2", &[("FONTES_GENERATION__MEMORY_MIB", "1")]);
    says(&message, &["GiB", "would fit"]);
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let dir = copy("mini");
    fs::copy(fixture("tiny/tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    let site = site::samples();
    let output = site.run(&["ask", "Wer?", "--model", dir.path().to_str().unwrap()], 2);
    says(&String::from_utf8_lossy(&output.stderr), &["tokenizer", "512"]);
}

#[test]
fn a_checkpoint_is_quantised_to_a_file_that_answers_like_it() {
    let site = Site::new();
    let file = site.dir().join("mini.gguf");
    let (dir, file) = (fixture("mini"), file.to_str().unwrap());
    let ids = "1,17,300,499,5";
    let exact = site.json(&["models", "probe", dir.to_str().unwrap(), "--ids", ids], 0);
    for (kind, least) in [("q8_0", 4), ("q6_k", 3), ("q5_k_m", 3), ("q4_k_m", 2), ("q4_0", 2)] {
        let made = site.json(&["models", "quantize", dir.to_str().unwrap(), "--type", kind, "-o", file], 0);
        assert_eq!(made["bytes"].as_u64(), Some(fs::metadata(file).unwrap().len()), "{kind}");
        let found = site.json(&["models", "probe", file, "--ids", ids, "--runner", "candle"], 0);
        let argmax = |probe: &serde_json::Value| probe["argmax_per_position"].as_array().unwrap().clone();
        let same = argmax(&exact).iter().zip(&argmax(&found)).filter(|(a, b)| a == b).count();
        assert!(same >= least, "{kind}: {same} of 5 most likely tokens");
        fs::remove_file(file).unwrap();
    }
}
