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
    let setup = protocol::Setup::new(&WorkerLimits::default(), protocol::Role::Parser);
    let mut stdin = worker.stdin.take().unwrap();
    protocol::write(&mut stdin, &setup, &[]).unwrap();
    let heavy = format!("BT /F 12 Tf {} ET", "1 0 0 1 0 0 Tm (x) Tj ".repeat(400_000));
    let bytes = crate::pdf::tests::pdf(&[(&heavy, "")], "", "");
    let task = protocol::Task::Parse { recognised: crate::Recognised::new() };
    protocol::write(&mut stdin, &protocol::Request { name: "a.pdf".into(), task }, &[&bytes]).unwrap();
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

/// A scan: a sheet of type, drawn at 300 dpi.
fn scan(pool: &WorkerPool, text: &str) -> crate::Picture {
    let document = crate::parse(text.as_bytes(), "a.txt", &crate::ParseLimits::default()).unwrap().document;
    let sheet = crate::typeset(&document, 1, None);
    pool.draw(&sheet.pdf, "sheet.pdf", &[1], 300, &Cancel::default()).unwrap().remove(0)
}

/// A PDF that shows a picture on a page of A4 and nothing else.
fn pdf_of(picture: &crate::Picture) -> Vec<u8> {
    let (width, height, length) = (picture.width, picture.height, picture.rgb.len());
    let mut out = format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]/MediaBox[0 0 595 842]>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/Resources<</XObject<</X 5 0 R>>>>/Contents 4 0 R>>endobj\n\
         4 0 obj<</Length 28>>stream\nq 595 0 0 842 0 0 cm /X Do Q\nendstream endobj\n\
         5 0 obj<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceRGB\
         /BitsPerComponent 8/Length {length}>>stream\n"
    )
    .into_bytes();
    out.extend(&picture.rgb);
    out.extend(b"\nendstream endobj\ntrailer<</Root 1 0 R/Size 6>>\n%%EOF");
    out
}

const LETTER: &str = "Sehr geehrte Damen und Herren\n\nDie Prüfung der Gesuche dauert höchstens dreißig Tage. Über \
                      Beschwerden entscheidet die Behörde.\n";

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn scans_are_recognised_with_the_place_of_every_word() {
    if recognition_report(&Recognition::default()).languages.is_empty() {
        eprintln!("skipped: tesseract with language data is not installed");
        return;
    }
    let pool = pool(WorkerLimits::default());
    let picture = scan(&pool, LETTER);
    for (bytes, name) in [(picture.png().unwrap(), "scan.png"), (pdf_of(&picture), "scan.pdf")] {
        let document = pool.extract(&bytes, name, &Cancel::default()).unwrap().document;
        let read: Vec<&str> = document.text.split_whitespace().collect();
        assert_eq!(read, LETTER.split_whitespace().collect::<Vec<_>>(), "{name}");
        let page = &document.pages[0];
        assert_eq!(page.method, fontes_core::ExtractionMethod::Ocr, "{name}");
        assert!(page.confidence.unwrap() > 0.8, "{name}: {:?}", page.confidence);
        // Sheets begin 56 points from the edges, with 6 points a character.
        let [left, top, right, _] = page.words[1].area;
        assert!(
            (left - 86.0).abs() < 4.0 && (right - 128.0).abs() < 4.0 && (top - 58.0).abs() < 6.0,
            "{name}: {page:?}"
        );
    }
}

#[test]
fn without_recognition_a_scan_is_named_and_a_mixed_file_keeps_its_text() {
    let recognition = Recognition { enabled: false, ..Recognition::default() };
    let pool = pool(WorkerLimits { recognition, ..WorkerLimits::default() });
    let picture = scan(&pool, LETTER);
    let error = pool.extract(&picture.png().unwrap(), "scan.png", &Cancel::default()).unwrap_err();
    assert_eq!(error, ExtractError::NoText { pages: 1 });
    assert!(error.advice().contains("tesseract"));
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn tesseract_runs_without_network_and_writes_nothing() {
    // What stands in for tesseract tries what a taken-over one would.
    let script = "import socket,sys\n\
        try:\n socket.socket(); print('network')\nexcept OSError: pass\n\
        try:\n open('/tmp/fontes-escape-ocr','w'); print('written')\nexcept OSError: pass\n\
        try:\n open('/etc/passwd'); print('read')\nexcept OSError: pass\n\
        print('end')\n";
    let Some(python) =
        ["/usr/bin/python3", "/usr/local/bin/python3"].iter().find(|path| std::path::Path::new(path).exists())
    else {
        eprintln!("skipped: no system python3 to stand in for tesseract");
        return;
    };
    let offered = sandbox_report().iter().all(|layer| layer.active);
    let role = protocol::Role::Recogniser {
        program: python.into(),
        args: ["-I", "-S", "-c", script].map(str::to_owned).to_vec(),
    };
    let command = pool(WorkerLimits::default()).command().clone();
    let printed = recognise::table(&command, &WorkerLimits::default(), role, b"", 20, &Cancel::default()).unwrap();
    assert!(!offered || printed == "end\n", "{printed}");
}
