//! Cutting documents into chunks that respect structure.
//!
//! A chunk is an exact span of the stored text: never across documents, sections or furniture; table rows
//! stay whole where they fit, and every piece of a large table names its header row as its last heading.
//! Sizes are counted in the embedder's own tokens. What the embedding sees before the text (title, headings)
//! is put there by a [`Prefixer`] and never part of the span.

mod section;
mod sizer;
#[cfg(test)]
mod tests;

use std::ops::Range;

use fontes_core::{
    Chunk, ChunkId, Digest, Document, DocumentId, Embedder, Error, Language, ModelIdentity, PageRange, Result, Span,
};
use text_splitter::{ChunkConfig, TextSplitter};

use crate::profile::{Context, Prefix, Profile};
use section::{Stretch, StretchKind, stretches};
use sizer::{SliceSizer, TokenOffsets};

/// Changes whenever this code moves a boundary for the same settings.
const REVISION: u32 = 1;

/// Tokens that an embedder adds by itself: start and end of sequence and a short role prefix.
const RESERVED_TOKENS: usize = 12;

/// Shorter texts do not tell their language; they have the document's.
const LANGUAGE_CHARS: usize = 60;

/// Text split at once: some ten chunks.
const WINDOW_BYTES: usize = 16 << 10;

/// Longest header row kept as a heading, in characters.
const HEADER_CHARS: usize = 240;

/// What chunks are measured with: the tokens of one embedder, bounded by its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The embedder.
    pub embedder: ModelIdentity,
    /// Its longest input in tokens.
    pub max_tokens: usize,
}

impl Measure {
    /// That of an embedder at hand.
    pub fn of(embedder: &dyn Embedder) -> Self {
        Self { embedder: embedder.identity().clone(), max_tokens: embedder.max_tokens() }
    }

    /// The version of the chunker that cuts by `profile` in this measure; see [`Chunker::version`].
    pub fn version(&self, profile: &Profile) -> String {
        let (max_tokens, overlap_tokens) = self.sizes(profile);
        let Self { embedder: ModelIdentity { name, sha256 }, .. } = self;
        format!(
            "fontes {REVISION}, text-splitter 0.33, max {max_tokens}, overlap {overlap_tokens}, tokens of {name} {}",
            &sha256.to_string()[..16]
        )
    }

    /// Most tokens of a chunk, and of what it shares with its neighbour.
    fn sizes(&self, profile: &Profile) -> (usize, usize) {
        let room = self.max_tokens.saturating_sub(profile.context_tokens + RESERVED_TOKENS);
        let max_tokens = profile.max_tokens.min(room).max(1);
        (max_tokens, profile.overlap_tokens.min(max_tokens / 2))
    }
}

/// Cuts documents by one profile, in the tokens of one embedder.
pub struct Chunker<'e> {
    embedder: &'e dyn Embedder,
    max_tokens: usize,
    overlap_tokens: usize,
    version: String,
}

impl<'e> Chunker<'e> {
    /// Makes a chunker. Chunks, their context and what the embedder adds always fit the embedder's input.
    pub fn new(profile: &Profile, embedder: &'e dyn Embedder) -> Self {
        let measure = Measure::of(embedder);
        let (max_tokens, overlap_tokens) = measure.sizes(profile);
        Self { embedder, max_tokens, overlap_tokens, version: measure.version(profile) }
    }

    /// Names every setting that moves a boundary; part of each chunk's identity.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Most tokens of a chunk.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Cuts a document whose source bytes digest to `content`. Chunks come in the order of the text, without
    /// white space at their ends; every character that is neither white space nor furniture is in one.
    ///
    /// # Errors
    /// What the embedder's tokenizer gives.
    pub fn chunk(&self, document: &Document, id: DocumentId, content: Digest) -> Result<Vec<Chunk>> {
        Ok(self.counted(document, id, content)?.0)
    }

    /// The chunks, and the number of their tokens together.
    pub(crate) fn counted(&self, document: &Document, id: DocumentId, content: Digest) -> Result<(Vec<Chunk>, usize)> {
        let offsets = TokenOffsets::of(&document.text, self.embedder)?;
        let large = |range: &Range<usize>| offsets.count(range) > self.max_tokens;
        let (mut chunks, mut tokens) = (Vec::new(), 0);
        for stretch in stretches(document, &large) {
            for piece in self.pieces(&document.text, &offsets, &stretch)? {
                let ordinal =
                    u32::try_from(chunks.len()).map_err(|_| Error::invalid("document has too many chunks"))?;
                let span = Span::new(piece.range.start, piece.range.end);
                tokens += offsets.count(&piece.range);
                let text = document.text[piece.range].to_owned();
                chunks.push(Chunk {
                    id: ChunkId::derive(id, content, &self.version, ordinal, span),
                    document: id,
                    ordinal,
                    span,
                    pages: pages_of(document, span),
                    headings: piece.headings,
                    language: language_of(&text, document.language),
                    text,
                });
            }
        }
        Ok((chunks, tokens))
    }

    fn pieces(&self, text: &str, offsets: &TokenOffsets, stretch: &Stretch) -> Result<Vec<Piece>> {
        let piece = |range| Piece { range, headings: stretch.headings.clone() };
        match stretch.kind {
            StretchKind::Text => {
                let ranges = self.split(text, offsets, &stretch.range, self.overlap_tokens)?;
                Ok(ranges.into_iter().map(piece).collect())
            }
            StretchKind::Table => {
                let header = header_row(&text[stretch.range.clone()]);
                let mut pieces: Vec<Piece> =
                    self.split_rows(text, offsets, &stretch.range)?.into_iter().map(piece).collect();
                // The first piece begins with the header row itself.
                for continued in pieces.iter_mut().skip(1) {
                    continued.headings.extend(header.clone());
                }
                Ok(pieces)
            }
        }
    }

    /// Splits running text at the largest of paragraph, line, sentence, word that fits.
    ///
    /// The splitter looks at every line break of its input for every chunk, which is quadratic: a million
    /// lines of one character took minutes. It is given a window at a time; the last chunk of a window may be
    /// cut short by its end and is made again as the first of the next.
    fn split(
        &self,
        text: &str,
        offsets: &TokenOffsets,
        range: &Range<usize>,
        overlap: usize,
    ) -> Result<Vec<Range<usize>>> {
        let sizer = SliceSizer { offsets, text };
        let config = ChunkConfig::new(self.max_tokens)
            .with_sizer(sizer)
            .with_overlap(overlap)
            .map_err(|error| Error::internal("chunk overlap does not fit").because(error))?;
        let splitter = TextSplitter::new(config);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let (mut at, mut window) = (range.start, WINDOW_BYTES);
        loop {
            let end = text.floor_char_boundary(at.saturating_add(window).min(range.end));
            let pieces = splitter.chunk_indices(&text[at..end]);
            let mut found: Vec<Range<usize>> =
                pieces.map(|(start, piece)| at + start..at + start + piece.len()).collect();
            if end == range.end {
                ranges.extend(found);
                return Ok(ranges);
            }
            match found.pop() {
                // Nothing but white space.
                None => at = end,
                // Not even one whole chunk.
                Some(_) if found.is_empty() => window *= 2,
                Some(open) => {
                    ranges.extend(found);
                    (at, window) = (open.start, WINDOW_BYTES);
                }
            }
        }
    }

    /// Packs whole rows; a row that is too large by itself is split as text.
    fn split_rows(&self, text: &str, offsets: &TokenOffsets, table: &Range<usize>) -> Result<Vec<Range<usize>>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut open: Option<Range<usize>> = None;
        let mut at = table.start;
        for line in text[table.clone()].split_inclusive('\n') {
            let row = trimmed(text, at..at + line.len());
            at += line.len();
            if row.is_empty() {
                continue;
            }
            let grown = open.as_ref().map_or(row.clone(), |open| open.start..row.end);
            if offsets.count(&grown) <= self.max_tokens {
                open = Some(grown);
                continue;
            }
            ranges.extend(open.take());
            if offsets.count(&row) <= self.max_tokens {
                open = Some(row);
            } else {
                ranges.extend(self.split(text, offsets, &row, 0)?);
            }
        }
        ranges.extend(open);
        Ok(ranges)
    }
}

/// A chunk to be.
struct Piece {
    range: Range<usize>,
    headings: Vec<String>,
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    start..start + piece.trim().len()
}

/// The first row of a table with its cells set apart visibly, when it says anything.
fn header_row(table: &str) -> Option<String> {
    let row = table.lines().find(|line| !line.trim().is_empty())?;
    let cells: Vec<&str> = row.split('\t').map(str::trim).filter(|cell| !cell.is_empty()).collect();
    (!cells.is_empty()).then(|| cells.join(" | ").chars().take(HEADER_CHARS).collect())
}

/// The pages a span touches; found by bisection, because long documents have many of both.
fn pages_of(document: &Document, span: Span) -> PageRange {
    let ends_before = document.pages.partition_point(|page| page.span.end <= span.start);
    let starts_before = document.pages.partition_point(|page| page.span.start < span.end);
    let last = starts_before.max(1).min(document.pages.len());
    let first = (ends_before + 1).min(last);
    let number = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
    PageRange { first: number(first), last: number(last) }
}

fn language_of(text: &str, document: Language) -> Language {
    if text.chars().nth(LANGUAGE_CHARS).is_none() {
        return document;
    }
    match Language::detect(text) {
        Language::Undetermined => document,
        detected => detected,
    }
}

/// Puts before the chunks of one document what their embedding sees beside the text.
pub struct Prefixer<'e> {
    title: &'e str,
    prefix: Prefix,
    embedder: &'e dyn Embedder,
    /// The last line as joined, and as cut: the chunks of a section share theirs.
    last: Option<(String, String)>,
}

impl<'e> Prefixer<'e> {
    /// For the chunks of a document named `title`.
    pub fn new(title: &'e str, prefix: Prefix, embedder: &'e dyn Embedder) -> Self {
        Self { title, prefix, embedder, last: None }
    }

    /// What the embedder sees of a chunk: its prefix and its text. Headings that the text itself begins with are not
    /// said twice.
    ///
    /// # Errors
    /// What the embedder's tokenizer gives.
    pub fn embedding_text(&mut self, chunk: &Chunk) -> Result<String> {
        let mut parts = Vec::new();
        if self.prefix.context == Context::TitleAndHeadings {
            parts.push(self.title);
        }
        if self.prefix.context != Context::None {
            let said = chunk.text.split_whitespace().take(HEADING_WORDS).collect::<Vec<_>>().join(" ");
            parts.extend(chunk.headings.iter().map(String::as_str).filter(|heading| !said.contains(heading)));
        }
        // Many documents repeat their title as the first heading.
        parts.dedup();
        match self.cut(parts.join(" › "))?.trim_end() {
            "" => Ok(chunk.text.clone()),
            line => Ok(format!("{line}\n{}", chunk.text)),
        }
    }

    /// The part of `line` within the limit.
    fn cut(&mut self, line: String) -> Result<&str> {
        if self.last.as_ref().is_none_or(|(joined, _)| *joined != line) {
            let mut cut = line.clone();
            if let Some(&end) = self.embedder.token_offsets(&line)?.get(self.prefix.tokens) {
                cut.truncate(line.floor_char_boundary(end));
            }
            self.last = Some((line, cut));
        }
        Ok(self.last.as_ref().map_or("", |(_, cut)| cut.as_str()))
    }
}

/// Headings at the beginning of a chunk are looked for among this many of its first words.
const HEADING_WORDS: usize = 64;
