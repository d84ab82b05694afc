//! The pool against real worker processes: this test binary itself, entered through `worker_entry`.

use std::time::{Duration, Instant};

use fontes_core::Cancel;

use super::*;
use crate::ExtractError;

/// Present among the arguments when the test binary runs as a worker. The harness takes it for one more
/// filter that matches nothing.
const AS_WORKER: &str = "as-extract-worker";

/// Not a test of its own: the program that pools in other tests start.
#[test]
fn worker_entry() {
    if std::env::args().any(|argument| argument == AS_WORKER) {
        let code = serve();
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
}

/// A pool whose workers are this test binary.
pub(crate) fn pool(limits: WorkerLimits) -> WorkerPool {
    let args = ["worker::tests::worker_entry", AS_WORKER, "--exact", "--nocapture", "--test-threads=1"];
    let program = std::env::current_exe().unwrap();
    WorkerPool::new(WorkerCommand { program, args: args.map(str::to_owned).to_vec() }, limits, 1)
}

#[test]
fn a_worker_parses_file_after_file() {
    let pool = pool(WorkerLimits::default());
    let cancel = Cancel::default();
    for word in ["eins", "zwei", "drei"] {
        let extraction = pool.extract(word.as_bytes(), "a.txt", &cancel).unwrap();
        assert_eq!(extraction.document.text, format!("{word}\n"));
    }
    assert_eq!(pool.extract(b"", "a.txt", &cancel).unwrap_err(), ExtractError::Empty);
}

#[test]
fn the_sandbox_holds_where_the_platform_offers_it() {
    let offered = sandbox_report();
    let held = pool(WorkerLimits::default()).sandbox().unwrap();
    let summary = |mechanisms: &[Mechanism]| -> Vec<(String, bool)> {
        mechanisms.iter().map(|held| (held.name.clone(), held.active)).collect()
    };
    assert_eq!(summary(&offered), summary(&held), "{offered:?} {held:?}");
    if cfg!(target_os = "linux") {
        assert!(held.iter().any(|held| held.name == "rlimits" && held.active));
    }
}

#[test]
fn a_set_cancel_flag_stops_before_work() {
    let cancel = Cancel::default();
    cancel.cancel();
    let error = pool(WorkerLimits::default()).extract(b"x", "a.txt", &cancel).unwrap_err();
    assert_eq!(error, ExtractError::Cancelled);
}

#[test]
fn a_program_that_is_no_worker_is_named_quickly() {
    let command = WorkerCommand { program: "/bin/cat".into(), args: vec!["/dev/null".into()] };
    let pool = WorkerPool::new(command, WorkerLimits::default(), 1);
    let begun = Instant::now();
    assert_eq!(pool.extract(b"x", "a.txt", &Cancel::default()).unwrap_err().code(), "worker");
    assert!(begun.elapsed() < Duration::from_secs(10));
}
