//! An archive of any size to search in, without embedding all of it: made-up documents through the whole pipeline,
//! with made-up vectors for what is stored and the installed embedder for what is asked.

use std::{
    fs,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use fontes_core::{
    Cancel, Digest, Document, EmbeddedQuery, Embedder, Embedding, Language, MatchPassage, Metadata, ModelIdentity,
    Page, QueryToken, Result, Span, seam::EmbedAs,
};
use fontes_extract::{ExtractError, Extraction};
use fontes_ingestion::{Extractor, Profiles};
use serde_json::Value;

use super::{latencies, readers};
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

/// Documents that come in beside readers, embedded by the real model.
const WRITTEN: usize = 10;

/// Builds a temporary archive of about `chunks` chunks, optimises it, and times searches over it; also those of `readers` people
/// beside a writer.
pub(super) fn search(config: &Config, voice: Voice, chunks: usize, readers: Option<u16>) -> anyhow::Result<Value> {
    let cancel = interrupt::install()?;
    let config = config.beneath(format!("bench-{}", std::process::id()));
    let figures = build_and_search(&config, voice, chunks, readers, &cancel);
    wiring::remove_archive(&config)?;
    figures
}

fn build_and_search(
    config: &Config,
    voice: Voice,
    chunks: usize,
    readers: Option<u16>,
    cancel: &Cancel,
) -> anyhow::Result<Value> {
    let folder = config.data.dir.join("documents");
    let documents = chunks.div_ceil(CHUNKS_PER_DOCUMENT);
    write(&folder, 0..documents)?;
    let embedder = Arc::new(Synthetic::of(wiring::embedder(config)?)?);
    let intake = Intake { extractor: Arc::new(MadeUp), profiles: Profiles::built_in() };
    let archive = Archive::open_embedding_with(config, intake, embedder.clone())?;
    let silent = Voice { json: false, quiet: true, verbose: false };
    let ingest = |folder: &Path| {
        let request = wiring::request(config, vec![folder.to_owned()]);
        ingest::once(&archive.ingestion, silent, &request, &mut ingest::Records::default(), cancel)
    };
    voice.remark(&format!("writing {} chunks", documents * CHUNKS_PER_DOCUMENT));
    let summary = ingest(&folder)?;
    interrupt::check(cancel)?;
    voice.remark("building the graph");
    let begin = Instant::now();
    archive.optimize()?;
    let optimize = begin.elapsed().as_secs_f64();
    voice.remark("searching");
    let queries: Vec<String> = (0..QUERIES).map(|number| words(number + 5_000_000, QUERY_WORDS)).collect();
    let searcher = archive.searcher(config)?;
    let mut figures = latencies(config, &searcher, &queries, cancel)?;
    if let Some(count) = readers {
        voice.remark(&format!("{count} people search, first alone, then beside a writer"));
        let readers =
            readers::Readers { searcher: &searcher, scope: config.access.scope(None)?, queries: &queries, count };
        embedder.embeds_passages.store(true, Ordering::Relaxed);
        let folder = config.data.dir.join("more");
        write(&folder, documents..documents + WRITTEN)?;
        let written = CHUNKS_PER_DOCUMENT * documents..CHUNKS_PER_DOCUMENT * (documents + WRITTEN);
        readers.measure(|| ingest(&folder).map(drop), written.map(heading), &mut figures, cancel)?;
    }
    figures["chunks"] = summary.chunks.into();
    figures["write_seconds"] = summary.seconds.into();
    figures["write_stage_seconds"] = serde_json::to_value(summary.stages)?;
    figures["optimize_seconds"] = optimize.into();
    figures["disk_bytes"] = super::super::maintain::disk_bytes(Path::new(&config.data.dir)).into();
    Ok(figures)
}

/// Files that stand for these documents.
fn write(folder: &Path, numbers: Range<usize>) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
    for number in numbers {
        fs::write(folder.join(format!("{number:06}.txt")), number.to_string())?;
    }
    Ok(())
}

/// What stands above a paragraph, and above no other.
fn heading(paragraph: usize) -> String {
    format!("Abschnitt {paragraph}")
}

/// Gives a document of [`CHUNKS_PER_DOCUMENT`] paragraphs for a file that holds its number.
struct MadeUp;

impl Extractor for MadeUp {
    fn extract(&self, bytes: &[u8], _name: &str, _cancel: &Cancel) -> Result<Extraction, ExtractError> {
        let malformed = || ExtractError::Corrupted { what: "made-up document".into() };
        let number: usize = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let first = number * CHUNKS_PER_DOCUMENT;
        let mut document = Document {
            media_type: "text/plain".into(),
            metadata: Metadata { title: Some(format!("Akte {number}")), ..Metadata::default() },
            language: Language::German,
            text: String::new(),
            pages: Vec::new(),
            blocks: Vec::new(),
        };
        // A page for each paragraph; a heading above each keeps paragraphs in chunks of their own.
        for (paragraph, page) in (first..first + CHUNKS_PER_DOCUMENT).zip(1..) {
            let start = document.text.len();
            let heading = heading(paragraph) + "\n";
            let span = Span::new(start, start + heading.len());
            document.text.push_str(&heading);
            document.blocks.push(fontes_core::Block {
                kind: fontes_core::BlockKind::Heading(1),
                span,
                page,
                bbox: None,
            });
            document.text.push_str(&words(paragraph as u64, WORDS));
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
    /// Whether passages are embedded by the real model from now on.
    embeds_passages: AtomicBool,
}

impl Synthetic {
    fn of(real: Arc<dyn Embedder>) -> Result<Self> {
        let signs = real.embed_passages(&[&words(0, WORDS)])?.pop().map(|one| one.tokens).unwrap_or_default();
        Ok(Self { real, signs, embeds_passages: AtomicBool::new(false) })
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
        if self.embeds_passages.load(Ordering::Relaxed) {
            return self.real.embed_passages(texts);
        }
        let made = |text: &&str| Embedding { vector: vector(text, self.dimensions()), tokens: self.signs.clone() };
        Ok(texts.iter().map(made).collect())
    }

    fn embed_queries(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>> {
        self.real.embed_queries(texts)
    }

    fn match_tokens(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>> {
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
