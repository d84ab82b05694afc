//! Token ids of lines of text, for comparing tokenizers: `tokenize MODEL < LINES`, one JSON array a line.
//!
//! `MODEL` is a GGUF file, whose vocabulary is rebuilt, or a `tokenizer.json`. Text is taken as untrusted: control
//! tokens in it are just text.

#![expect(clippy::print_stdout, reason = "a measuring program, not a library")]

use std::{io::BufRead as _, path::Path};

use fontes_model::{tokenizer::TextTokenizer, weights::TensorSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: tokenize MODEL < LINES")?;
    let path = Path::new(&path);
    let tokenizer = if path.extension().is_some_and(|extension| extension == "json") {
        TextTokenizer::from_file(path)?
    } else {
        let source = TensorSource::open(path)?;
        TextTokenizer::from_gguf(&source.metadata().ok_or("no GGUF file")?)?
    };
    for line in std::io::stdin().lock().lines() {
        // A line may hold line breaks, written as JSON strings.
        let line = line?;
        let text = serde_json::from_str::<String>(&line).unwrap_or(line);
        println!("{:?}", tokenizer.encode_text(&text));
    }
    Ok(())
}
