//! The house rules as a test: crate arrows, homes of heavy dependencies, headers, sizes, top-level names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Longest source file, in lines (STYLE: hyperfine's longest is 505).
const LONGEST_FILE: usize = 600;

/// Ceiling on locked packages. Raising it is a decision: say why in docs/decisions.
const LOCKED_PACKAGES: usize = 770;

/// What may stand at the top level, dot-folders aside.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "config",
    "crates",
    "deploy",
    "docs",
    "fuzz",
    "indexes",
    "ingest",
    "rustfmt.toml",
    "tests",
];

/// The arrows of the house: which crates a crate may use. `cli` alone composes and may use all.
fn arrows() -> BTreeMap<&'static str, &'static [&'static str]> {
    [
        ("fontes-core", &[][..]),
        ("fontes-audit", &[]),
        ("fontes-testkit", &["fontes-core"]),
        ("fontes-extract", &["fontes-core"]),
        ("fontes-model", &["fontes-core"]),
        ("fontes-index", &["fontes-core"]),
        ("fontes-ingestion", &["fontes-core", "fontes-extract", "fontes-model", "fontes-index"]),
        ("fontes-retrieval", &["fontes-core", "fontes-model", "fontes-index"]),
        ("fontes-generation", &["fontes-core", "fontes-model"]),
        ("fontes-eval", &["fontes-core", "fontes-retrieval", "fontes-generation"]),
        (
            "fontes-server",
            &["fontes-core", "fontes-retrieval", "fontes-generation", "fontes-ingestion", "fontes-audit"],
        ),
    ]
    .into()
}

/// Heavy dependencies and the one crate each may live in.
const HOMES: &[(&str, &str)] = &[
    ("candle-core", "fontes-model"),
    ("tokenizers", "fontes-model"),
    ("safetensors", "fontes-model"),
    ("ureq", "fontes-model"),
    ("tantivy", "fontes-index"),
    ("qdrant-edge", "fontes-index"),
    ("qdrant-client", "fontes-index"),
    ("axum", "fontes-server"),
    ("pdf-extract", "fontes-extract"),
    ("lopdf", "fontes-extract"),
    ("hayro", "fontes-extract"),
    ("image", "fontes-extract"),
    ("tiff", "fontes-extract"),
    ("quick-xml", "fontes-extract"),
    ("scraper", "fontes-extract"),
    ("mail-parser", "fontes-extract"),
    ("calamine", "fontes-extract"),
    ("sevenz-rust2", "fontes-extract"),
    ("rusqlite", "fontes-ingestion"),
    ("text-splitter", "fontes-ingestion"),
    ("clap", "fontes"),
    ("indicatif", "fontes"),
    ("anyhow", "fontes"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Names of a package's dependencies of one kind (`null` is normal, `"dev"` is dev).
fn dependencies(package: &Value, dev: bool) -> impl Iterator<Item = &str> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(move |dependency| (dependency["kind"] == "dev") == dev)
        .map(|dependency| dependency["name"].as_str().unwrap())
}

fn source_files() -> Vec<PathBuf> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != "target" {
                    walk(&path, files);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for top in ["crates", "tests"] {
        walk(&root().join(top), &mut files);
    }
    assert!(files.len() > 50, "the walk found the sources");
    files
}

#[test]
fn arrows_point_one_way() {
    let arrows = arrows();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let Some(allowed) = arrows.get(name) else {
            assert_eq!(name, "fontes", "a crate without a place in the house");
            continue;
        };
        for dependency in dependencies(&package, false).filter(|dependency| dependency.starts_with("fontes")) {
            assert!(allowed.contains(&dependency), "{name} may not use {dependency}");
        }
    }
}

#[test]
fn testkit_is_for_tests_only() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        assert!(dependencies(&package, false).all(|dependency| dependency != "fontes-testkit"), "{name} ships testkit");
    }
}

#[test]
fn heavy_dependencies_stay_at_home() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        for (dependency, home) in HOMES {
            let used = dependencies(&package, false).any(|used| used == *dependency);
            assert!(!used || name == *home, "{dependency} lives in {home}, not in {name}");
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    let headless: Vec<_> =
        source_files().into_iter().filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!")).collect();
    assert!(headless.is_empty(), "files without a //! header: {headless:?}");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = source_files()
        .into_iter()
        .map(|path| (std::fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();
    assert!(long.is_empty(), "files over {LONGEST_FILE} lines: {long:?}");
}

#[test]
fn names_say_what_things_are() {
    for path in source_files() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "util", "helpers", "helper", "common", "misc", "manager"].contains(&stem), "{path:?}");
        let text = std::fs::read_to_string(&path).unwrap();
        // A foreign trait's methods are not ours to name; they stand without `pub`.
        let ours = |line: &str| line.trim_start().starts_with("pub") && line.contains(concat!("fn get", "_"));
        assert!(!text.lines().any(ours), "{path:?}: accessors carry no such prefix");
    }
}

#[test]
fn unsafe_stays_in_the_kernels_and_at_the_mmap() {
    for path in source_files() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let allowed =
            shown.starts_with("crates/model/src/kernels/") || shown.starts_with("crates/model/src/weights/mmap");
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let has =
            code.clone().any(|line| line.contains(concat!("unsafe", " {")) || line.contains(concat!("unsafe", " fn")));
        assert!(allowed || !has, "{shown} holds unsafe code");
    }
}

#[test]
fn the_top_level_is_a_short_list() {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let top: BTreeSet<&str> = listed.lines().map(|path| path.split('/').next().unwrap()).collect();
    let strangers: Vec<_> = top.iter().filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(name)).collect();
    assert!(strangers.is_empty(), "not part of the house: {strangers:?}");
}

#[test]
fn dependencies_are_counted() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages = lock.matches("[[package]]").count();
    assert!(packages <= LOCKED_PACKAGES, "{packages} locked packages; the ceiling is {LOCKED_PACKAGES}");
}

#[test]
fn nothing_names_this_machine_or_a_registry() {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let forbidden =
        [concat!("pypi", ".org"), concat!("pythonhosted", ".org"), concat!("/work", "/"), concat!("/root", "/")];
    for path in String::from_utf8(output.stdout).unwrap().lines().filter(|path| *path != "Cargo.lock") {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        for word in forbidden {
            assert!(!text.contains(word), "{path} names {word}");
        }
    }
}
