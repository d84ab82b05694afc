//! Tests of the vector index: the contract, recall under filters, reopening, damage.

use fontes_core::{Classification, ErrorKind};
use fontes_testkit::{Specimen, clustered_vector, conformance, scope, unit_vector};
use tempfile::TempDir;

use super::*;
use crate::recipe::Recipe;

const DIMENSIONS: usize = 32;

/// A recipe under which a few thousand points get a graph.
fn graph_recipe() -> VectorRecipe {
    VectorRecipe { full_scan_kib: 16, ..Recipe::builtin().vectors }
}

fn create(dir: &TempDir, dimensions: usize, recipe: &VectorRecipe) -> EdgeIndex {
    let lock = Arc::new(DirectoryLock::acquire(dir.path()).unwrap());
    EdgeIndex::create(&dir.path().join("vectors"), dimensions, recipe, lock).unwrap()
}

fn reopen(dir: &TempDir, dimensions: usize) -> Result<EdgeIndex, IndexError> {
    let lock = Arc::new(DirectoryLock::acquire(dir.path()).unwrap());
    EdgeIndex::open(&dir.path().join("vectors"), dimensions, &graph_recipe(), lock)
}

#[test]
fn conforms() {
    let dirs = Mutex::new(Vec::new());
    conformance::vector_index(|dimensions| {
        let dir = tempfile::tempdir().unwrap();
        let index = create(&dir, dimensions, &graph_recipe());
        dirs.lock().unwrap().push(dir);
        index
    });
}

/// A plain graph search under a filter that keeps a tenth to a third loses true neighbours. Ours must not.
#[test]
fn filters_do_not_cost_recall() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir, DIMENSIONS, &graph_recipe());
    let specimens: Vec<Specimen> = (0..6_000)
        .map(|n| {
            // One of ten chunks is for the board, three of ten for the audit, the rest for staff alone.
            let groups: &[&str] = match n % 10 {
                0 => &["board"],
                1..=3 => &["audit"],
                _ => &["staff"],
            };
            Specimen::new("doc", n, "").groups(groups).vector(clustered_vector(n, 1, DIMENSIONS))
        })
        .collect();
    for batch in specimens.chunks(500) {
        index.upsert(&batch.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
    }
    index.optimize().unwrap();
    assert!(index.shard().info().indexed_vectors_count >= 5_000, "there is a graph to search");

    for groups in [&["board"][..], &["audit"], &["board", "audit"], &["staff"], &["board", "audit", "staff"]] {
        let far = (0..50).map(|n| clustered_vector(n, 1, DIMENSIONS).iter().map(|x| -x).collect::<Vec<_>>());
        let near = (0..50).map(|n| clustered_vector(n * 7 + 1, 2, DIMENSIONS));
        let queries: Vec<_> = far.chain(near).collect();
        let recall = conformance::recall_at_10(&index, &specimens, &scope(groups, Classification::Internal), &queries);
        assert!(recall >= 0.98, "recall@10 under {groups:?} is {recall}");
    }
}

#[test]
fn flushed_entries_are_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let specimen = |n: u32| Specimen::new("doc", n, "").vector(unit_vector(u64::from(n), DIMENSIONS));
    let staff = scope(&["staff"], Classification::Internal);
    let expected: BTreeSet<ChunkId> = (1..40).map(|n| specimen(n).id()).collect();
    {
        let index = create(&dir, DIMENSIONS, &graph_recipe());
        let specimens: Vec<Specimen> = (0..40).map(specimen).collect();
        index.upsert(&specimens.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
        index.remove(&[specimen(0).id()]).unwrap();
        index.flush().unwrap();
    }
    for round in 0..3 {
        let index = reopen(&dir, DIMENSIONS).unwrap();
        assert_eq!(index.ids().unwrap(), expected);
        let found = index.search(&unit_vector(7, DIMENSIONS), &staff, &Filter::default(), 1).unwrap();
        assert_eq!(found[0].chunk, specimen(7).id());
        // The operation numbers must go on from where they were: an update that seems older is ignored.
        let moved = specimen(8).vector(unit_vector(1_000 + round, DIMENSIONS));
        index.upsert(&[moved.entry()]).unwrap();
        let found = index.search(&moved.vector, &staff, &Filter::default(), 1).unwrap();
        assert!(found[0].score > 0.999, "the update of round {round} counts");
        index.flush().unwrap();
    }
}

#[test]
fn updates_count_after_the_log_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let staff = scope(&["staff"], Classification::Internal);
    let dimensions = 1_024;
    let specimen = |n: u32, seed: u64| Specimen::new("doc", n, "").vector(unit_vector(seed, dimensions));
    let log_files = || {
        let names = fs::read_dir(dir.path().join("vectors/wal")).unwrap();
        names.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("closed-")).count()
    };
    {
        // Some 25 MiB of log: three files and a bit.
        let index = create(&dir, dimensions, &graph_recipe());
        for batch in 0..10_u32 {
            let specimens: Vec<Specimen> = (0..500).map(|n| specimen(batch * 500 + n, u64::from(n))).collect();
            index.upsert(&specimens.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
        }
        index.flush().unwrap();
    }
    assert!(log_files() > 1, "the log has grown");
    let index = reopen(&dir, dimensions).unwrap();
    assert_eq!(log_files(), 1, "the log was cut");
    let moved = specimen(3, 99_999);
    index.upsert(&[moved.entry()]).unwrap();
    let found = index.search(&moved.vector, &staff, &Filter::default(), 1).unwrap();
    assert_eq!(found[0].chunk, moved.id());
    assert!(found[0].score > 0.999, "the update counts");
}

#[test]
fn what_a_killed_optimisation_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(&dir, DIMENSIONS, &graph_recipe()));
    let left = dir.path().join("vectors/temp_segments/half-built");
    fs::create_dir_all(&left).unwrap();
    reopen(&dir, DIMENSIONS).unwrap();
    assert!(!left.exists());
}

/// A way to break an index.
type Breakage<'a> = &'a dyn Fn(&TempDir);

#[test]
fn damage_is_told_and_not_repaired() {
    let build = || {
        let dir = tempfile::tempdir().unwrap();
        let index = create(&dir, DIMENSIONS, &graph_recipe());
        let specimens: Vec<Specimen> =
            (0..50).map(|n| Specimen::new("doc", n, "").vector(unit_vector(u64::from(n), DIMENSIONS))).collect();
        index.upsert(&specimens.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
        index.flush().unwrap();
        drop(index);
        dir
    };
    let segment = |dir: &TempDir| {
        let mut segments = fs::read_dir(dir.path().join("vectors/segments")).unwrap();
        segments.next().unwrap().unwrap().path()
    };
    let breakages: [(&str, Breakage<'_>); 3] = [
        ("no segments", &|dir| fs::remove_dir_all(dir.path().join("vectors/segments")).unwrap()),
        ("a segment's state is garbage", &|dir| fs::write(segment(dir).join("segment.json"), "\0garbage").unwrap()),
        ("no segment is left", &|dir| fs::remove_dir_all(segment(dir)).unwrap()),
    ];
    for (what, break_it) in breakages {
        let dir = build();
        break_it(&dir);
        let error = fontes_core::Error::from(reopen(&dir, DIMENSIONS).expect_err(what));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.advice().is_some());
    }
}

#[test]
fn quantised_vectors_find_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let index = create(&dir, DIMENSIONS, &VectorRecipe { quantization: Quantization::Int8, ..graph_recipe() });
    let specimens: Vec<Specimen> =
        (0..2_000).map(|n| Specimen::new("doc", n, "").vector(clustered_vector(n, 1, DIMENSIONS))).collect();
    index.upsert(&specimens.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
    index.optimize().unwrap();
    let staff = scope(&["staff"], Classification::Internal);
    for specimen in specimens.iter().step_by(100) {
        let found = index.search(&specimen.vector, &staff, &Filter::default(), 3).unwrap();
        assert_eq!(found[0].chunk, specimen.id());
        assert!((found[0].score - 1.0).abs() < 1e-3, "scores are those of the full vectors");
    }
}

/// The folders of the segments, by name.
fn segments(dir: &TempDir) -> BTreeSet<String> {
    let entries = fs::read_dir(dir.path().join("vectors/segments")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn small_ingests_leave_the_large_graph_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = create(&dir, DIMENSIONS, &graph_recipe());
    let mut written: u32 = 0;
    let mut write = |index: &EdgeIndex, count: u32| {
        let specimens: Vec<Specimen> = (written..written + count)
            .map(|n| Specimen::new("doc", n, "").vector(unit_vector(n.into(), DIMENSIONS)))
            .collect();
        index.upsert(&specimens.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
        index.flush().unwrap();
        index.optimize().unwrap();
        written += count;
        written
    };
    write(&index, 3_000);
    let large = segments(&dir);
    // Four of these outgrow an exact scan and get a graph of their own; in all there are six such graphs.
    for round in 0..24 {
        if round % 5 == 4 {
            drop(index);
            index = reopen(&dir, DIMENSIONS).unwrap();
        }
        let written = write(&index, 40);
        assert!(large.intersection(&segments(&dir)).next().is_some(), "rebuilt after {written} points");
        assert!(segments(&dir).len() <= SEGMENTS, "{} segments", segments(&dir).len());
    }
    let staff = scope(&["staff"], Classification::Internal);
    for n in [7, 3_010, 3_959] {
        let found = index.search(&unit_vector(n, DIMENSIONS), &staff, &Filter::default(), 1).unwrap();
        assert_eq!(found[0].chunk, Specimen::new("doc", u32::try_from(n).unwrap(), "").id());
    }
}
