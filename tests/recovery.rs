//! Kill -9 at random moments of an ingest: what comes out in the end is what an undisturbed run gives.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::site::Site;

/// Kills in this test. `tests/kill.sh` runs the long version (50 kills over 500 files).
const KILLS: usize = 6;

/// Files per run: several commit groups.
const FILES: usize = 60;

fn documents(site: &Site) {
    for number in 0..FILES {
        let text = format!(
            "# Akte {number}\n\nDie Akte {number} liegt im Regal {} und betrifft Fall {}.\n",
            number % 7,
            number * 13
        );
        site.write(&format!("akten/{number:03}.md"), text);
    }
}

/// A number from the system clock: moments need to differ between runs, and a failure prints its own.
fn moment(seed: &mut u64, most: Duration) -> Duration {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    most.mul_f64((*seed >> 40) as f64 / (1u64 << 24) as f64)
}

#[test]
fn kills_lose_nothing_and_double_nothing() {
    let undisturbed = Site::new();
    documents(&undisturbed);
    let begin = Instant::now();
    let summary = undisturbed.ingest(0);
    let whole = begin.elapsed();
    let chunks = summary["chunks"].as_u64().unwrap();

    let mut seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let first_seed = seed;
    let site = Site::over(&undisturbed);
    let folder = site.documents();
    for _ in 0..KILLS {
        let mut ingest =
            site.command(&["ingest", folder.to_str().unwrap(), "--quiet"]).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(moment(&mut seed, whole));
        ingest.kill().unwrap();
        ingest.wait().unwrap();
        let check = site.json(&["check"], 0);
        assert_eq!(check["consistent"], true, "seed {first_seed}: {check}");
    }
    site.ingest(0);
    assert_eq!(site.json(&["check"], 0)["consistent"], true);
    assert_eq!(site.json(&["status"], 0)["chunks"].as_u64(), Some(chunks));
    // The check compares ledger, Qdrant and Tantivy; its digest is of the chunk ids they share.
    let digest = |site: &Site| site.json(&["check"], 0)["chunk_ids_sha256"].clone();
    assert_eq!(digest(&site), digest(&undisturbed), "the same chunk ids");
    let second: Value = site.ingest(0);
    assert_eq!(second["documents_unchanged"], FILES);
}
