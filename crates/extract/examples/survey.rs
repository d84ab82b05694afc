//! Runs every file of a folder through a worker pool and prints one line per file: what came of it, with
//! pages, characters and seconds. `survey FOLDER [--text]`; started by itself with `extract-worker`, it is
//! the worker.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use fontes_core::Cancel;
use fontes_extract::{WorkerCommand, WorkerLimits, WorkerPool, worker};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(first) = args.first() else { return ExitCode::from(2) };
    if first == "extract-worker" {
        return worker::serve();
    }
    let show_text = args.iter().any(|arg| arg == "--text");
    let Ok(program) = std::env::current_exe() else { return ExitCode::from(2) };
    let command = WorkerCommand { program, args: vec!["extract-worker".into()] };
    let pool = WorkerPool::new(command, WorkerLimits::default(), 1);
    for mechanism in pool.sandbox().unwrap_or_default() {
        println!("# {} {} {}", mechanism.name, mechanism.active, mechanism.detail);
    }
    for path in files(Path::new(first)) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut begun = Instant::now();
        pool.extract_tree(&bytes, &name, &Cancel::default(), &mut |part| {
            let seconds = begun.elapsed().as_secs_f32();
            begun = Instant::now();
            let shown = format!("{}!{}", path.display(), part.path_inside);
            match part.result {
                Ok(extraction) => {
                    let document = extraction.document;
                    let (pages, blocks) = (document.pages.len(), document.blocks.len());
                    let chars = document.text.chars().filter(|c| !c.is_whitespace()).count();
                    let language = document.language;
                    println!(
                        "ok\t{shown}\t{pages}\t{blocks}\t{chars}\t{language}\t{seconds:.2}\t{:?}\t{:?}",
                        document.metadata, extraction.warnings
                    );
                    if show_text {
                        println!("{}", document.text);
                    }
                }
                Err(error) => println!("{}\t{shown}\t0\t0\t0\t-\t{seconds:.2}\t{error}", error.code()),
            }
        });
    }
    ExitCode::SUCCESS
}

fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| files(path)).collect()
}
