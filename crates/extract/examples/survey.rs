//! Runs every file of a folder through a worker pool and prints one line per file: what came of it, with
//! pages, characters and seconds. `survey FOLDER [--text | --json | --png DIR] [--engine pdf_extract]
//! [--no-ocr]`; with `--png`, draws the first page of every file into DIR with its headings marked; with `--json`, one
//! object per file with the text and the placed words of every page. Started by itself with `extract-worker`, it is
//! the worker.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use fontes_core::{BlockKind, Cancel, Document};
use fontes_extract::{
    ParseLimits, PdfEngine, WorkerCommand, WorkerLimits, WorkerPool,
    worker::{self, Part, Recognition},
};
use serde_json::json;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(first) = args.first() else { return ExitCode::from(2) };
    if first == "extract-worker" {
        return worker::serve();
    }
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let Ok(program) = std::env::current_exe() else { return ExitCode::from(2) };
    let command = WorkerCommand { program, args: vec!["extract-worker".into()] };
    let pdf_engine = if has("pdf_extract") { PdfEngine::PdfExtract } else { PdfEngine::Hayro };
    let parse = ParseLimits { pdf_engine, ..ParseLimits::default() };
    let recognition = Recognition { enabled: !has("--no-ocr"), ..Recognition::default() };
    let limits = WorkerLimits { parse, recognition, ..WorkerLimits::default() };
    let pool = WorkerPool::new(command, limits, 1);
    if !has("--json") {
        for mechanism in pool.sandbox().unwrap_or_default() {
            println!("# {} {} {}", mechanism.name, mechanism.active, mechanism.detail);
        }
    }
    for path in files(Path::new(first)) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut begun = Instant::now();
        pool.extract_tree(&bytes, &name, &Cancel::default(), &mut |part| {
            let seconds = begun.elapsed().as_secs_f32();
            begun = Instant::now();
            let folder = args.iter().position(|arg| arg == "--png").and_then(|at| args.get(at + 1));
            if let Some(folder) = folder {
                draw(&pool, &part, &Path::new(folder).join(format!("{name}.png")));
            } else if has("--json") {
                println!("{}", record(&path, &part, seconds));
            } else {
                line(&path, part, seconds, has("--text"));
            }
        });
    }
    ExitCode::SUCCESS
}

/// One line for people.
fn line(path: &Path, part: Part<'_>, seconds: f32, show_text: bool) {
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
                for block in &document.blocks {
                    println!(
                        "[{:?} p{}] {}",
                        block.kind,
                        block.page,
                        block.span.of(&document.text).unwrap_or_default()
                    );
                }
            }
        }
        Err(error) => println!("{}\t{shown}\t0\t0\t0\t-\t{seconds:.2}\t{error}", error.code()),
    }
}

/// Draws the first page with its headings marked.
fn draw(pool: &WorkerPool, part: &Part<'_>, file: &Path) {
    let Ok(mut pictures) = pool.draw(part.bytes, "", &[1], 100, &Cancel::default()) else { return };
    let Some(picture) = pictures.first_mut() else { return };
    for document in part.result.iter().map(|extraction| &extraction.document) {
        let headings = document.blocks.iter().filter(|block| matches!(block.kind, BlockKind::Heading(_)));
        headings.for_each(|block| picture.mark(&document.boxes_of(&block.span)));
    }
    let written = picture.png().is_ok_and(|png| std::fs::write(file, png).is_ok());
    println!("{}\t{}", if written { "drawn" } else { "not written" }, file.display());
}

/// One object for scripts.
fn record(path: &Path, part: &Part<'_>, seconds: f32) -> serde_json::Value {
    let (code, document, warnings) = match &part.result {
        Ok(extraction) => ("ok", Some(&extraction.document), extraction.warnings.clone()),
        Err(error) => (error.code(), None, vec![error.to_string()]),
    };
    let pages: Vec<_> =
        document.iter().flat_map(|document| (0..document.pages.len()).map(|page| shown(document, page))).collect();
    json!({ "path": path, "inside": part.path_inside, "code": code, "seconds": seconds, "warnings": warnings, "pages": pages })
}

fn shown(document: &Document, index: usize) -> serde_json::Value {
    let page = &document.pages[index];
    let text = |span: fontes_core::Span| span.of(&document.text).unwrap_or_default();
    let words: Vec<_> = page
        .words
        .iter()
        .map(|word| (word.area[0], word.area[1], word.area[2], word.area[3], text(word.span)))
        .collect();
    // Where words have places, notes on the page (fields, comments) are told by having none.
    let has_words = |span: fontes_core::Span| page.words.iter().any(|word| span.overlaps(&word.span));
    let blocks = document.blocks.iter().filter(|block| page.span.overlaps(&block.span));
    let content = blocks.filter(|block| page.words.is_empty() || has_words(block.span));
    let content: Vec<&str> = content.map(|block| text(block.span)).collect();
    json!({ "number": page.number, "method": page.method, "confidence": page.confidence, "text": content.join("\n"), "words": words })
}

fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| files(path)).collect()
}
