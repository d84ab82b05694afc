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

/// The arguments that make this test binary a worker.
const ENTRY: [&str; 5] = ["worker::tests::worker_entry", AS_WORKER, "--exact", "--nocapture", "--test-threads=1"];

/// A pool whose workers are this test binary.
pub(crate) fn pool(limits: WorkerLimits) -> WorkerPool {
    let program = std::env::current_exe().unwrap();
    WorkerPool::new(WorkerCommand { program, args: ENTRY.map(str::to_owned).to_vec() }, limits, 1)
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

#[test]
fn a_worker_ends_with_its_parent_even_in_the_middle_of_a_file() {
    // What a killed parent leaves behind is a worker whose input has no writer any more.
    let program = std::env::current_exe().unwrap();
    let mut worker = std::process::Command::new(program)
        .args(ENTRY)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let limits = WorkerLimits::default();
    let setup = protocol::Setup {
        parse: limits.parse,
        memory_bytes: limits.memory_bytes,
        cpu_seconds: 60,
        files: 1,
        require_sandbox: false,
    };
    let mut stdin = worker.stdin.take().unwrap();
    protocol::write(&mut stdin, &setup, &[]).unwrap();
    let heavy = format!("BT /F 12 Tf {} ET", "1 0 0 1 0 0 Tm (x) Tj ".repeat(400_000));
    let bytes = crate::pdf::tests::pdf(&[(&heavy, "")], "", "");
    protocol::write(&mut stdin, &protocol::Request { name: "a.pdf".into() }, &[&bytes]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(worker.try_wait().unwrap().is_none(), "still parsing");
    let begun = Instant::now();
    drop(stdin);
    worker.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn cancelling_stops_a_file_that_is_being_parsed() {
    let heavy = format!("BT /F 12 Tf {} ET", "1 0 0 1 0 0 Tm (x) Tj ".repeat(400_000));
    let bytes = crate::pdf::tests::pdf(&[(&heavy, "")], "", "");
    let pool = pool(WorkerLimits::default());
    let cancel = Cancel::default();
    let begun = Instant::now();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| pool.extract(&bytes, "a.pdf", &cancel).unwrap_err());
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel();
        running.join().unwrap()
    });
    assert_eq!(error, ExtractError::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
