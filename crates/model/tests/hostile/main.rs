//! Damaged and hostile model files: thousands of mutations of valid ones, none of which may crash, hang or take memory.
//!
//! Each target (a kind of file) runs in a child process with two gigabytes of address space, so that an allocation that
//! a header merely claims ends it. The child writes each file before it opens it: what killed it is what lies there, and
//! goes into `tests/fixtures/hostile`, whose files are replayed first. Two seconds per target; `FONTES_FUZZ_SECONDS`
//! sets more. `fuzz/` holds libFuzzer targets over the same functions, for who has the nightly compiler.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it did"
)]

mod mutate;
mod targets;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use targets::{TARGETS, Target, fixtures};

/// Address space of a child, in KiB.
const CHILD_KIB: u64 = 2 << 20;

/// Longest time that one file may take in a debug build.
const SLOWEST: Duration = Duration::from_secs(5);

fn seconds() -> u64 {
    std::env::var("FONTES_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// What was found before, by target.
fn findings(target: &Target) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(fixtures().join("hostile"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(target.name))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn run_one(target: &Target, folder: &Path, bytes: &[u8]) {
    let begin = Instant::now();
    (target.run)(folder, bytes);
    assert!(begin.elapsed() < SLOWEST, "{} took {:?}", target.name, begin.elapsed());
}

/// The child: runs one target over findings and mutations in the folder it is told.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child() {
    let (Ok(name), Ok(folder)) = (std::env::var("HOSTILE_TARGET"), std::env::var("HOSTILE_FOLDER")) else { return };
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let folder = PathBuf::from(folder);
    let seeds = (target.seeds)(&fixtures());
    assert!(!seeds.is_empty());
    for bytes in seeds.iter().chain(&findings(target)) {
        run_one(target, &folder, bytes);
    }
    let until = Instant::now() + Duration::from_secs(seconds());
    // Another start each day would find more, and fail on days when nothing was changed.
    let mut mutator = mutate::Mutator::new(0x5EED, target.text);
    let mut count = 0_u64;
    while Instant::now() < until {
        run_one(target, &folder, &mutator.next(&seeds));
        count += 1;
    }
    println!("{name}: {count} files");
}

fn fuzz(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -v {CHILD_KIB} && exec \"$0\" child --exact --ignored --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env("HOSTILE_TARGET", name)
        .env("HOSTILE_FOLDER", folder.path())
        // Threads reserve address space: two are enough here.
        .env("RAYON_NUM_THREADS", "2")
        .env("MALLOC_ARENA_MAX", "2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    if !output.status.success() {
        let kept = folder.keep();
        panic!("{name} was ended by the files in {}: {}\n{said}", kept.display(), output.status);
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains(" files"), "nothing was run: {said}");
}

#[test]
fn gguf() {
    fuzz("gguf");
}

#[test]
fn safetensors() {
    fuzz("safetensors");
}

#[test]
fn config() {
    fuzz("config");
}

#[test]
fn tokenizer() {
    fuzz("tokenizer");
}

#[test]
fn template() {
    fuzz("template");
}

#[test]
fn e5s1() {
    fuzz("e5s1");
}
