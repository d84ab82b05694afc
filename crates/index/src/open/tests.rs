//! Tests of opening: refusals, interrupted creation, and kills in the middle of writes.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use fontes_core::{ChunkId, Classification, Digest, ErrorKind, Filter, IndexEntry, LedgerPosition};
use fontes_testkit::{Specimen, scope, unit_vector};

use super::*;

const DIMENSIONS: usize = 16;

fn identity(name: &str) -> ModelIdentity {
    ModelIdentity { name: name.into(), sha256: Digest::of(name.as_bytes()) }
}

fn open(dir: &Path) -> Result<Index> {
    Index::open(dir, &Recipe::builtin(), &identity("e5"), DIMENSIONS, &VectorHome::InProcess)
}

fn specimen(n: u32) -> Specimen {
    Specimen::new("doc", n, &format!("wort nummer{n}")).vector(unit_vector(u64::from(n), DIMENSIONS))
}

fn write(index: &Index, n: u32) {
    let specimen = specimen(n);
    index.vectors.upsert(&[specimen.entry()]).unwrap();
    index.vectors.flush().unwrap();
    index.lexical.upsert(&[specimen.entry()]).unwrap();
    index.lexical.commit(LedgerPosition(u64::from(n) + 1)).unwrap();
}

#[test]
fn an_index_is_created_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/index");
    write(&open(&path).unwrap(), 0);
    let index = open(&path).unwrap();
    assert!(index.manifest.ready);
    assert_eq!(index.vectors.ids().unwrap(), index.lexical.ids().unwrap());
    assert_eq!(index.lexical.committed().unwrap(), LedgerPosition(1));
    let staff = scope(&["staff"], Classification::Internal);
    let found = index.lexical.search("nummer0", &staff, &Filter::default(), 5).unwrap();
    assert_eq!(found[0].chunk, specimen(0).id());
}

#[test]
fn another_embedder_is_refused_and_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    let error = Index::open(dir.path(), &Recipe::builtin(), &identity("minilm"), DIMENSIONS, &VectorHome::InProcess)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let message = error.to_string();
    assert!(message.contains("e5") && message.contains("minilm"), "{message}");
    let error = Index::open(dir.path(), &Recipe::builtin(), &identity("e5"), DIMENSIONS + 1, &VectorHome::InProcess)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    open(dir.path()).unwrap();
}

#[test]
fn a_second_opening_is_a_conflict_until_the_first_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let Index { vectors, lexical, .. } = open(dir.path()).unwrap();
    drop(vectors);
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.advice().unwrap().contains("two processes on one data directory"));
    drop(lexical);
    open(dir.path()).unwrap();
}

#[test]
fn an_interrupted_creation_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let manifest = Manifest::read(dir.path()).unwrap().unwrap();
    Manifest { ready: false, ..manifest }.write(dir.path()).unwrap();
    fs::remove_dir_all(dir.path().join("lexical")).unwrap();
    let index = open(dir.path()).unwrap();
    assert!(index.manifest.ready && index.lexical.ids().unwrap().is_empty());
}

#[test]
fn a_missing_half_is_told_and_not_made_anew() {
    for missing in ["manifest.toml", "vectors", "lexical"] {
        let dir = tempfile::tempdir().unwrap();
        write(&open(dir.path()).unwrap(), 0);
        let path = dir.path().join(missing);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        for _ in 0..2 {
            assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt, "{missing}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = open(&file.join("index")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.advice().unwrap().contains("writable"));

    let read_only = dir.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anyway.
    if fs::write(read_only.join("probe"), "").is_err() {
        assert_eq!(open(&read_only.join("index")).unwrap_err().kind(), ErrorKind::Unavailable);
    }
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Environment variable that turns the next test into the process that is killed.
const VICTIM_DIR: &str = "FONTES_TEST_VICTIM_DIR";

/// Writes for ever, one line per acknowledged entry. Run by [`kills_lose_nothing_acknowledged`] only.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM_DIR).map(PathBuf::from) else { return };
    let index = open(&dir).unwrap();
    let first = u32::try_from(index.lexical.committed().unwrap().0).unwrap();
    for n in first.. {
        write(&index, n);
        // One write per line: a line is there whole or not.
        use std::io::Write as _;
        std::io::stdout().write_all(format!("written {n}\n").as_bytes()).unwrap();
        if n % 8 == 7 {
            index.vectors.optimize().unwrap();
        }
    }
}

#[test]
fn kills_lose_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeSet<ChunkId> = BTreeSet::new();
    for round in 0..4_u64 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "open::tests::victim", "--nocapture", "--test-threads=1"])
            .env(VICTIM_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let number = |line: &str| line.rsplit_once("written ")?.1.parse::<u32>().ok();
        let mut written = 0;
        // Long enough to be anywhere: after some acknowledged writes, plus a little.
        while written < 5 + 3 * round {
            let line = lines.next().expect("the victim writes until it is killed").unwrap();
            if let Some(n) = number(&line) {
                acknowledged.insert(specimen(n).id());
                written += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(3 * round));
        victim.kill().unwrap();
        victim.wait().unwrap();
        acknowledged.extend(
            lines.map_while(std::result::Result::ok).filter_map(|line| number(&line)).map(|n| specimen(n).id()),
        );

        let index = open(dir.path()).unwrap();
        let (vectors, lexical) = (index.vectors.ids().unwrap(), index.lexical.ids().unwrap());
        assert!(acknowledged.is_subset(&vectors), "round {round}: vectors lost");
        assert!(acknowledged.is_subset(&lexical), "round {round}: words lost");
        // At most the one entry in flight is in one half only.
        assert!(vectors.symmetric_difference(&lexical).count() <= 1, "round {round}");
        let staff = scope(&["staff"], Classification::Internal);
        for id in acknowledged.iter().take(5) {
            let n = (0..10_000).find(|&n| specimen(n).id() == *id).unwrap();
            let found = index.vectors.search(&specimen(n).vector, &staff, &Filter::default(), 1).unwrap();
            assert_eq!(found[0].chunk, *id, "round {round}: a vector that is listed is found");
        }
    }
}

#[test]
fn thirty_two_readers_see_every_commit_while_a_writer_ingests() {
    const READERS: usize = 32;
    const BATCHES: u32 = 12;
    const BATCH: u32 = 25;
    let dir = tempfile::tempdir().unwrap();
    let mut recipe = Recipe::builtin();
    // Few vectors already get a graph, so that readers search while graphs are built and segments merged.
    recipe.vectors.full_scan_kib = 4;
    let index = Index::open(dir.path(), &recipe, &identity("e5"), DIMENSIONS, &VectorHome::InProcess).unwrap();
    let specimen = |n: u32| {
        let groups: &[&str] = if n.is_multiple_of(5) { &["board"] } else { &["staff"] };
        let text = format!("Frist Nummer {n}");
        Specimen::new("doc", n, &text).groups(groups).vector(unit_vector(n.into(), DIMENSIONS))
    };
    let allowed = |n: u32| !n.is_multiple_of(5);
    let committed = AtomicU32::new(0);
    let staff = scope(&["staff"], Classification::Internal);
    let forbidden: BTreeSet<ChunkId> =
        (0..BATCHES * BATCH).filter(|&n| !allowed(n)).map(|n| specimen(n).id()).collect();
    std::thread::scope(|threads| {
        for reader in 0..READERS {
            let (index, committed, staff, forbidden) = (&index, &committed, &staff, &forbidden);
            threads.spawn(move || {
                let mut rounds = 0;
                while committed.load(Ordering::Acquire) < BATCHES * BATCH || rounds == 0 {
                    let there = committed.load(Ordering::Acquire);
                    let query = unit_vector(reader as u64, DIMENSIONS);
                    let words = index.lexical.search("Frist", staff, &Filter::default(), 1_000).unwrap();
                    let near = index.vectors.search(&query, staff, &Filter::default(), 1_000).unwrap();
                    for found in [&words, &near] {
                        assert!(found.iter().all(|hit| !forbidden.contains(&hit.chunk)), "the scope holds meanwhile");
                    }
                    let expected = (0..there).filter(|&n| allowed(n)).count();
                    assert!(words.len() >= expected, "{} of {expected} committed chunks", words.len());
                    rounds += 1;
                }
            });
        }
        for batch in 0..BATCHES {
            let specimens: Vec<Specimen> = (batch * BATCH..(batch + 1) * BATCH).map(specimen).collect();
            let entries: Vec<IndexEntry<'_>> = specimens.iter().map(Specimen::entry).collect();
            index.vectors.upsert(&entries).unwrap();
            index.vectors.flush().unwrap();
            index.lexical.upsert(&entries).unwrap();
            index.lexical.commit(LedgerPosition(u64::from(batch) + 1)).unwrap();
            committed.store((batch + 1) * BATCH, Ordering::Release);
            if batch % 4 == 3 {
                index.vectors.optimize().unwrap();
            }
        }
    });
    let all: BTreeSet<ChunkId> = (0..BATCHES * BATCH).map(|n| specimen(n).id()).collect();
    assert_eq!(index.vectors.ids().unwrap(), all);
    assert_eq!(index.lexical.ids().unwrap(), all);
}
