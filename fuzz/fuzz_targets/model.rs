//! One kind of model file, named by `FONTES_FUZZ_TARGET`: gguf, safetensors, config, tokenizer, template or e5s1.
#![no_main]

#[path = "../../crates/model/tests/hostile/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&targets::Target> = LazyLock::new(|| {
    let name = std::env::var("FONTES_FUZZ_TARGET").unwrap_or_else(|_| "gguf".to_owned());
    targets::TARGETS.iter().find(|target| target.name == name).expect("a target of that name")
});

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

fuzz_target!(|bytes: &[u8]| (TARGET.run)(FOLDER.path(), bytes));
