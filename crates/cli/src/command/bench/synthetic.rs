//! An archive of any size to search in, without embedding all of it: made-up documents through the whole pipeline,
//! with made-up vectors for what is stored and the installed embedder for what is asked.

use std::{fs, path::Path, sync::Arc, time::Instant};

use anyhow::Context as _;
use fontes_core::{
    Cancel, Digest, Document, Embedder, Embedding, Language, MatchPassage, Metadata, ModelIdentity, Page, Result, Span,
    seam::EmbedAs,
};
use fontes_extract::{ExtractError, Extraction};
use fontes_ingestion::{Extractor, Profiles};
use serde_json::Value;

use super::latencies;
use crate::{
    command::ingest,
    config::Config,
    interrupt,
    output::Voice,
    wiring::{self, Archive, Intake},
};

/// Chunks of one made-up document.
const CHUNKS_PER_DOCUMENT: usize = 100;

/// Words of a made-up chunk: with some two tokens a word, about the 256 tokens of a real one.
const WORDS: u64 = 110;

/// Words that occur, by Zipf's law.
const VOCABULARY: f64 = 50_000.0;

/// Clusters in which the made-up vectors lie, as real ones do.
const CLUSTERS: u64 = 2_000;

/// Queries timed.
const QUERIES: u64 = 300;

/// Words of a query.
const QUERY_WORDS: u64 = 8;

/// Builds a temporary archive of about `chunks` chunks, optimises it, and times searches over it.
pub(super) fn search(config: &Config, chunks: usize) -> anyhow::Result<Value> {
    let cancel = interrupt::install()?;
    let config = config.beneath(format!("bench-{}", std::process::id()));
    let figures = build_and_search(&config, chunks, &cancel);
    wiring::remove_archive(&config)?;
    figures
}

fn build_and_search(config: &Config, chunks: usize, cancel: &Cancel) -> anyhow::Result<Value> {
    let folder = config.data.dir.join("documents");
    fs::create_dir_all(&folder).with_context(|| format!("folder {}", folder.display()))?;
    for number in 0..chunks.div_ceil(CHUNKS_PER_DOCUMENT) {
        fs::write(folder.join(format!("{number:06}.txt")), number.to_string())?;
    }
    let embedder: Arc<dyn Embedder> = Arc::new(Synthetic::of(wiring::embedder(config)?)?);
    let intake = Intake { extractor: Arc::new(MadeUp), profiles: Profiles::built_in() };
    let archive = Archive::open_embedding_with(config, intake, embedder)?;
    let silent = Voice { json: false, quiet: true, verbose: false };
    let request = wiring::request(config, vec![folder]);
    let summary = ingest::once(&archive.ingestion, silent, &request, &mut ingest::Records::default(), cancel)?;
    interrupt::check(cancel)?;
    let begin = Instant::now();
    archive.optimize()?;
    let optimize = begin.elapsed().as_secs_f64();
    let queries: Vec<String> = (0..QUERIES).map(|number| words(number + 5_000_000, QUERY_WORDS)).collect();
    let mut figures = latencies(config, &archive.searcher(config)?, &queries, cancel)?;
    figures["chunks"] = summary.chunks.into();
    figures["write_seconds"] = summary.seconds.into();
    figures["write_stage_seconds"] = serde_json::to_value(summary.stages)?;
    figures["optimize_seconds"] = optimize.into();
    figures["disk_bytes"] = super::super::maintain::disk_bytes(Path::new(&config.data.dir)).into();
    Ok(figures)
}

/// Gives a document of [`CHUNKS_PER_DOCUMENT`] paragraphs for a file that holds its number.
struct MadeUp;

impl Extractor for MadeUp {
    fn extract(&self, bytes: &[u8], _name: &str, _cancel: &Cancel) -> Result<Extraction, ExtractError> {
        let malformed = || ExtractError::Corrupted { what: "made-up document".into() };
        let number: u64 = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let first = number * CHUNKS_PER_DOCUMENT as u64;
        let mut document = Document {
            media_type: "text/plain".into(),
            metadata: Metadata { title: Some(format!("Akte {number}")), ..Metadata::default() },
            language: Language::German,
            text: String::new(),
            pages: Vec::new(),
            blocks: Vec::new(),
        };
        // A page for each paragraph; a heading above each keeps paragraphs in chunks of their own.
        for (paragraph, page) in (first..first + CHUNKS_PER_DOCUMENT as u64).zip(1..) {
            let start = document.text.len();
            let heading = format!("Abschnitt {paragraph}\n");
            let span = Span::new(start, start + heading.len());
            document.text.push_str(&heading);
            document.blocks.push(fontes_core::Block {
                kind: fontes_core::BlockKind::Heading(1),
                span,
                page,
                bbox: None,
            });
            document.text.push_str(&words(paragraph, WORDS));
            document.text.push('\n');
            let span = Span::new(start, document.text.len());
            document.pages.push(Page::new(page, span));
        }
        Ok(Extraction { document, children: Vec::new(), warnings: Vec::new() })
    }
}

/// Embeds queries with a real model, and gives passages vectors by their digest and the signs of one text, which cost a search as
/// much as their own.
struct Synthetic {
    real: Arc<dyn Embedder>,
    signs: Vec<u8>,
}

impl Synthetic {
    fn of(real: Arc<dyn Embedder>) -> Result<Self> {
        let signs = real.embed_passages(&[&words(0, WORDS)])?.pop().map(|one| one.tokens).unwrap_or_default();
        Ok(Self { real, signs })
    }
}

impl Embedder for Synthetic {
    fn identity(&self) -> &ModelIdentity {
        self.real.identity()
    }

    fn dimensions(&self) -> usize {
        self.real.dimensions()
    }

    fn max_tokens(&self) -> usize {
        self.real.max_tokens()
    }

    fn embed(&self, texts: &[&str], role: EmbedAs) -> Result<Vec<Vec<f32>>> {
        match role {
            EmbedAs::Query => self.real.embed(texts, role),
            EmbedAs::Passage => Ok(texts.iter().map(|text| vector(text, self.dimensions())).collect()),
        }
    }

    fn has_tokens(&self) -> bool {
        self.real.has_tokens()
    }

    fn embed_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let made = |text: &&str| Embedding { vector: vector(text, self.dimensions()), tokens: self.signs.clone() };
        Ok(texts.iter().map(made).collect())
    }

    fn match_tokens(&self, query: &str, passages: &[MatchPassage<'_>], budget: usize) -> Result<Vec<Option<f32>>> {
        self.real.match_tokens(query, passages, budget)
    }

    /// Words instead of tokens: counting the tokens of a hundred thousand made-up chunks is not what is measured.
    fn token_offsets(&self, text: &str) -> Result<Vec<usize>> {
        let begins = |(at, c): (usize, char)| {
            let after_space = text[..at].chars().next_back().is_none_or(char::is_whitespace);
            (after_space && !c.is_whitespace()).then_some(at)
        };
        Ok(text.char_indices().filter_map(begins).collect())
    }
}

/// A unit vector near the centre of a cluster, decided by the text.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let digest = Digest::of(text.as_bytes());
    let seed = u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"));
    let (centre, noise) = (directions(seed % CLUSTERS, dimensions), directions(seed | 1 << 63, dimensions));
    let mut vector: Vec<f32> = centre.zip(noise).map(|(centre, noise)| centre + 0.7 * noise).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Numbers between -1 and 1 from a seed.
fn directions(seed: u64, dimensions: usize) -> impl Iterator<Item = f32> {
    let mut state = seed;
    (0..dimensions).map(move |_| (uniform(&mut state) * 2.0 - 1.0) as f32)
}

/// Words of which the r-th most frequent is r times rarer than the first.
fn words(seed: u64, count: u64) -> String {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95) | 1;
    let word = |_| format!("wort{}", letters(VOCABULARY.powf(uniform(&mut state)) as u64));
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

/// The next of a sequence of numbers from 0 to 1 (SplitMix64, Steele et al. 2014).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number as letters, so that it is taken for a word.
fn letters(mut number: u64) -> String {
    let mut letters = String::new();
    while number > 0 {
        letters.push(char::from(b'a' + u8::try_from(number % 26).expect("below 26")));
        number /= 26;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_documents_are_sound_and_have_their_chunks() {
        let made = MadeUp.extract(b"7", "7.txt", &Cancel::default()).unwrap();
        made.document.validate().unwrap();
        assert_eq!(made.document.pages.len(), CHUNKS_PER_DOCUMENT);
        assert!(MadeUp.extract(b"seven", "7.txt", &Cancel::default()).is_err());
    }

    #[test]
    fn vectors_are_of_unit_length_and_decided_by_the_text() {
        let one = vector("a text", 384);
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(one, vector("a text", 384));
        assert_ne!(one, vector("another", 384));
    }
}
