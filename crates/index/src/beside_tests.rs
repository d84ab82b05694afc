//! Tests of sets side by side: each has its own, one is searched, and no step half done is the end of any.

use std::fs;

use fontes_core::{Classification, Digest};
use fontes_testkit::{Specimen, scope, unit_vector};

use super::*;

const FIRST: usize = 16;
const SECOND: usize = 8;

fn identity(name: &str) -> ModelIdentity {
    ModelIdentity { name: name.into(), sha256: Digest::of(name.as_bytes()) }
}

fn measure() -> Measure {
    Measure { max_tokens: 512, embedder: identity("e5") }
}

fn open(dir: &Path, embedder: &str, dimensions: usize) -> Result<Index> {
    Index::open(dir, &Recipe::builtin(), &identity(embedder), dimensions, &VectorHome::InProcess)
}

fn add(dir: &Path, embedder: &str, dimensions: usize) -> Result<String> {
    Index::add_set(dir, &Recipe::builtin(), &identity(embedder), dimensions, &VectorHome::InProcess)
}

fn drop_set(dir: &Path, name: &str) -> Result<()> {
    Index::drop_set(dir, &Recipe::builtin(), name, &VectorHome::InProcess)
}

fn write(vectors: &dyn VectorIndex, n: u32, dimensions: usize) -> ChunkId {
    let specimen = Specimen::new("doc", n, "").vector(unit_vector(n.into(), dimensions));
    vectors.upsert(&[specimen.entry()]).unwrap();
    vectors.flush().unwrap();
    specimen.id()
}

/// An index of e5 with a chunk, and an empty set of minilm beside it.
fn two_sets() -> (tempfile::TempDir, ChunkId) {
    let dir = tempfile::tempdir().unwrap();
    let chunk = write(open(dir.path(), "e5", FIRST).unwrap().vectors.as_ref(), 0, FIRST);
    assert_eq!(add(dir.path(), "minilm", SECOND).unwrap(), "minilm@8");
    (dir, chunk)
}

#[test]
fn a_switch_changes_what_is_searched_and_leaves_both_sets_as_they_are() {
    let (dir, chunk) = two_sets();
    let index = open(dir.path(), "e5", FIRST).unwrap();
    assert_eq!(index.others[0].name, "minilm@8");
    write(index.others[0].vectors.as_ref(), 0, SECOND);
    let other = write(index.others[0].vectors.as_ref(), 1, SECOND);
    assert_eq!(index.vectors.ids().unwrap(), [chunk].into());
    index.switch("minilm", measure()).unwrap();
    index.switch("minilm@8", measure()).unwrap();
    assert_eq!(index.vectors.ids().unwrap(), [chunk].into(), "whoever has it open goes on");
    drop(index);

    let error = open(dir.path(), "e5", FIRST).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "the embedder that was no longer opens it: {error}");
    let index = open(dir.path(), "minilm", SECOND).unwrap();
    assert_eq!(index.vectors.ids().unwrap(), [chunk, other].into());
    let staff = scope(&["staff"], Classification::Internal);
    let found = index.vectors.search(&unit_vector(1, SECOND), &staff, &Filter::default(), 1).unwrap();
    assert_eq!(found[0].chunk, other);
    assert_eq!(index.others[0].vectors.ids().unwrap(), [chunk].into());
    assert_eq!(index.manifest.measures, [measure()], "noted once");
    index.switch("e5", Measure { max_tokens: 256, embedder: identity("minilm") }).unwrap();
    drop(index);
    assert_eq!(open(dir.path(), "e5", FIRST).unwrap().vectors.ids().unwrap(), [chunk].into(), "and back");
}

#[test]
fn one_embedder_at_two_lengths_makes_two_sets() {
    let (dir, _) = two_sets();
    assert_eq!(add(dir.path(), "e5", SECOND).unwrap(), "e5@8");
    assert_eq!(add(dir.path(), "e5", SECOND).unwrap(), "e5@8", "there already");
    let manifest = Manifest::read(dir.path()).unwrap().unwrap();
    let names: Vec<String> = manifest.sets.iter().map(VectorSet::name).collect();
    assert_eq!(names, ["e5@16", "minilm@8", "e5@8"]);
    assert_eq!(manifest.find("minilm").unwrap().name(), "minilm@8");
    let unclear = manifest.find("e5").unwrap_err();
    assert_eq!(unclear.kind(), ErrorKind::Invalid);
    assert!(unclear.advice().unwrap().contains("e5@16, e5@8"), "{unclear}");
    let unknown = manifest.find("bge").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.advice().unwrap().contains("minilm@8"));
    let renamed = ModelIdentity { name: "renamed".into(), ..identity("e5") };
    let there = Index::add_set(dir.path(), &Recipe::builtin(), &renamed, SECOND, &VectorHome::InProcess).unwrap();
    assert_eq!(there, "e5@8", "weights and length make a set what it is");
    let other = ModelIdentity { sha256: Digest::of(b"other"), ..identity("e5") };
    let error = Index::add_set(dir.path(), &Recipe::builtin(), &other, SECOND, &VectorHome::InProcess).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn a_dropped_set_is_gone_with_its_vectors_and_the_active_one_is_not_dropped() {
    let (dir, _) = two_sets();
    let error = drop_set(dir.path(), "e5").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.advice().unwrap().contains("embedders use"));
    let index = open(dir.path(), "e5", FIRST).unwrap();
    assert_eq!(drop_set(dir.path(), "minilm").unwrap_err().kind(), ErrorKind::Conflict, "while it is open");
    drop(index);
    drop_set(dir.path(), "minilm").unwrap();
    assert!(!dir.path().join("vectors-2").exists());
    assert!(open(dir.path(), "e5", FIRST).unwrap().others.is_empty());
    assert_eq!(drop_set(dir.path(), "minilm").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_drop_that_was_cut_short_is_completed_by_the_next_opening() {
    let (dir, chunk) = two_sets();
    let mut manifest = Manifest::read(dir.path()).unwrap().unwrap();
    manifest.sets[1].state = SetState::Dropped;
    manifest.write(dir.path()).unwrap();
    let index = open(dir.path(), "e5", FIRST).unwrap();
    assert!(index.others.is_empty() && !dir.path().join("vectors-2").exists());
    assert_eq!(index.vectors.ids().unwrap(), [chunk].into());
    drop(index);
    assert_eq!(Manifest::read(dir.path()).unwrap().unwrap().sets.len(), 1);
}

#[test]
fn an_addition_that_was_cut_short_is_nothing_and_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), "e5", FIRST).unwrap());
    fs::create_dir_all(dir.path().join("vectors-2/segments/half")).unwrap();
    assert!(open(dir.path(), "e5", FIRST).unwrap().others.is_empty());
    add(dir.path(), "minilm", SECOND).unwrap();
    let index = open(dir.path(), "e5", FIRST).unwrap();
    assert!(index.others[0].vectors.ids().unwrap().is_empty());
}

#[test]
fn nothing_is_added_where_there_is_no_index() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("none"), dir.path().to_owned()] {
        assert_eq!(add(&path, "minilm", SECOND).unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(!dir.path().join("none").exists());
}

#[test]
fn damage_of_another_set_stops_no_search_is_told_and_mended_by_emptying_it() {
    let (dir, chunk) = two_sets();
    let index = open(dir.path(), "e5", FIRST).unwrap();
    write(index.others[0].vectors.as_ref(), 0, SECOND);
    index.note_built("minilm").unwrap();
    drop(index);
    fs::remove_dir_all(dir.path().join("vectors-2/segments")).unwrap();
    let mut index = open(dir.path(), "e5", FIRST).unwrap();
    assert_eq!(index.vectors.ids().unwrap(), [chunk].into());
    for error in [index.others[0].vectors.ids().unwrap_err(), index.others[0].vectors.remove(&[chunk]).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("minilm@8") && error.advice().unwrap().contains("--repair"), "{error}");
    }
    index.others[0].vectors.flush().unwrap();
    assert_eq!(index.mend_others().unwrap(), ["minilm@8"]);
    assert!(index.mend_others().unwrap().is_empty());
    assert!(index.others[0].vectors.ids().unwrap().is_empty());
    drop(index);
    let index = open(dir.path(), "e5", FIRST).unwrap();
    assert_eq!(index.manifest.sets[1].state, SetState::Building, "to be filled again");
}

#[test]
fn an_index_of_the_first_format_takes_a_second_set() {
    let dir = tempfile::tempdir().unwrap();
    let chunk = write(open(dir.path(), "e5", FIRST).unwrap().vectors.as_ref(), 0, FIRST);
    let digest = identity("e5").sha256;
    let analyzers = crate::ANALYZERS;
    let old = format!(
        "format = 1\nanalyzers = {analyzers}\ndimensions = {FIRST}\nready = true\n\n\
         [embedder]\nname = \"e5\"\nsha256 = \"{digest}\"\n"
    );
    fs::write(dir.path().join("manifest.toml"), &old).unwrap();
    assert_eq!(open(dir.path(), "e5", FIRST).unwrap().vectors.ids().unwrap(), [chunk].into());
    assert_eq!(fs::read_to_string(dir.path().join("manifest.toml")).unwrap(), old, "opened unchanged");
    add(dir.path(), "minilm", SECOND).unwrap();
    let index = open(dir.path(), "e5", FIRST).unwrap();
    assert_eq!((index.vectors.ids().unwrap(), index.others.len()), ([chunk].into(), 1));
}

#[test]
fn a_discarded_index_leaves_no_set_behind() {
    let (dir, _) = two_sets();
    Index::discard(dir.path(), &VectorHome::InProcess).unwrap();
    assert!(!dir.path().join("vectors").exists() && !dir.path().join("vectors-2").exists());
    assert!(open(dir.path(), "minilm", SECOND).unwrap().others.is_empty());
}
