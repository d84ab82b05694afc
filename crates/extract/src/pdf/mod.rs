//! PDF: one page of text per page of the file, whatever happens to the pages beside it.
//!
//! `hayro` reads the file (pages, metadata, fields, attachments, encryption); a back end finds the characters
//! of a page and where they stand ([`Glyph`]); lines, paragraphs and blocks are built here ([`layout`]), so
//! that every back end, and text recognition, gives the same kind of document.

mod accents;
mod fields;
mod interpret;
mod layout;
mod lines;
mod names;
mod order;
mod pdf_extract;
pub(crate) mod render;
mod replacement;
mod rtl;
mod runs;
mod words;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use fontes_core::{BBox, BlockKind};
use hayro::{
    hayro_interpret::{InterpreterCache, TransformExt as _},
    hayro_syntax::{
        LoadPdfError, Pdf,
        metadata::Metadata,
        object::DateTime,
        page::{Page, Rotation},
    },
};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::{
    ExtractError, Extraction, MediaType, ParseLimits, Recognised,
    builder::{Builder, PageFacts},
};

pub(crate) use lines::PlacedWord;
use names::Names;

/// What finds the characters of PDF pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PdfEngine {
    /// `hayro`: see docs/decisions for why it is the default.
    #[default]
    Hayro,
    /// `pdf-extract` over `lopdf`: less text, no invisible text told apart, and a panic on one file in forty.
    PdfExtract,
}

/// Most characters of a page. A dense page of a law gazette has 15,000.
const GLYPH_LIMIT: usize = 500_000;

/// A character (or ligature) on a page.
#[derive(Clone, Debug, PartialEq)]
struct Glyph {
    /// What it says, ligatures spelled out; U+FFFD when the font does not tell.
    text: String,
    /// Origin on the baseline and end of the advance, in points from the top left of the displayed page.
    from: (f32, f32),
    to: (f32, f32),
    /// Font size in points as displayed.
    size: f32,
    /// Drawn without ink, as over a scan.
    hidden: bool,
    /// Set in a heavy font, as far as the font tells.
    bold: bool,
}

/// What a back end finds on a page.
#[derive(Debug, Default)]
struct PageText {
    glyphs: Vec<Glyph>,
    /// Share of the page that pictures cover, overlaps counted twice.
    pictures: f32,
    /// Curved shapes: letters drawn as outlines are some.
    outlines: usize,
}

/// Parses a PDF file. Pages that hold something but no usable text, and were not `recognised`, go to `unread`.
///
/// # Errors
/// [`ExtractError::Encrypted`] when the empty password does not open it, [`ExtractError::NoText`] when no
/// page has text, [`ExtractError::Corrupted`] also when no page can be interpreted, [`ExtractError::Limit`].
pub(crate) fn parse(
    bytes: &[u8],
    limits: &ParseLimits,
    recognised: &Recognised,
    unread: &mut Vec<u32>,
) -> Result<Extraction, ExtractError> {
    let pdf = open(bytes)?;
    let file_pages = order::pages(&pdf, limits.pages);
    if file_pages.len() as u64 > limits.pages {
        return Err(ExtractError::limit("number of pages", limits.pages));
    }
    if file_pages.is_empty() {
        return Err(ExtractError::corrupted("the PDF has no pages"));
    }
    let mut builder = Builder::new(limits);
    describe(&mut builder, pdf.metadata());
    let reader = match limits.pdf_engine {
        PdfEngine::Hayro => None,
        PdfEngine::PdfExtract => pdf_extract::Reader::open(bytes),
    };
    let (cache, mut names) = (InterpreterCache::new(), Names::new(&pdf));
    let mut pages = Vec::with_capacity(file_pages.len());
    let mut unseen = Unseen::default();
    for (number, page) in (1_u32..).zip(file_pages) {
        let Some(page) = page else {
            unseen.failed.push(number);
            pages.push(layout::PageContent::new(usual_size(&pages), Vec::new()));
            continue;
        };
        let mut text = PageText::default();
        let read = || match &reader {
            None => {
                interpret::read(page, &cache, &mut names, &mut text);
                true
            }
            Some(reader) => reader.read(number, page.initial_transform(true).to_kurbo(), &mut text),
        };
        // Panics end here; aborts and loops end the worker.
        if !catch_unwind(AssertUnwindSafe(read)).unwrap_or(false) {
            unseen.failed.push(number);
        }
        let size = page.render_dimensions();
        unseen.drop_from(&mut text, size);
        accents::joined(&mut text.glyphs);
        let mut content = layout::PageContent::new(size, lines::build(&text.glyphs));
        content.rotation = rotation(page);
        content.notes = fields::annotations(page, page.initial_transform(true).to_kurbo());
        match recognised.get(&number) {
            Some(words) => content.replace_by(words),
            None if needs_recognition(&text) => unread.push(number),
            None => {}
        }
        pages.push(content);
    }
    if unseen.failed.len() == pages.len() && pages.iter().all(layout::PageContent::is_empty) {
        return Err(ExtractError::corrupted("the content of no page can be interpreted"));
    }
    write(&mut builder, &pages);
    fields::attachments(&mut builder, &pdf, limits);
    if builder.is_empty() && builder.children.is_empty() {
        // Damaged files are searched for objects, and those of an encrypted one are then read as they stand.
        let closed = unread.is_empty() && names_encryption(bytes);
        let pages = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        return Err(if closed { encrypted() } else { ExtractError::NoText { pages } });
    }
    unseen.warn(&mut builder, &pages);
    builder.finish(MediaType::Pdf)
}

/// The size of a page that cannot be read: that of the page before, or A4.
fn usual_size(pages: &[layout::PageContent]) -> (f32, f32) {
    pages.last().map_or((595.0, 842.0), |page| page.size)
}

/// Makes a document of recognised pages alone.
///
/// # Errors
/// [`ExtractError::NoText`] when nothing was recognised.
pub(crate) fn from_recognised(
    sizes: &[(f32, f32)],
    media: MediaType,
    limits: &ParseLimits,
    recognised: &Recognised,
) -> Result<Extraction, ExtractError> {
    let mut builder = Builder::new(limits);
    let mut pages: Vec<_> = sizes.iter().map(|size| layout::PageContent::new(*size, Vec::new())).collect();
    for (page, number) in pages.iter_mut().zip(1..) {
        page.replace_by(recognised.get(&number).map_or(&[][..], Vec::as_slice));
    }
    write(&mut builder, &pages);
    if builder.is_empty() {
        return Err(ExtractError::NoText { pages: u32::try_from(pages.len()).unwrap_or(u32::MAX) });
    }
    builder.finish(media)
}

/// A page with fewer characters than this beside a picture that covers most of it is a scan with a stamp.
const FEW: usize = 24;

/// More than this share of characters without meaning makes a text layer useless.
const GARBAGE: f32 = 0.3;

/// Says whether a page must be recognised: it shows something, and what text it has is none or garbage.
fn needs_recognition(text: &PageText) -> bool {
    let letters = || text.glyphs.iter().flat_map(|glyph| glyph.text.chars()).filter(|c| !c.is_whitespace());
    let total = letters().count();
    // Private use, unassigned: fonts whose codes mean something to themselves only.
    let garbage = letters().filter(|c| matches!(c, '\u{FFFD}' | '\u{E000}'..='\u{F8FF}')).count();
    #[expect(clippy::cast_precision_loss, reason = "characters of a page")]
    let useless = garbage as f32 > GARBAGE * total as f32;
    let drawn = text.pictures > 0.1 || text.outlines > 100;
    if total < FEW { text.pictures > SCAN_SHARE || total == 0 && drawn } else { useless }
}

/// Opens the file with the empty password; `hayro` searches files with broken tables for their objects.
fn open(bytes: &[u8]) -> Result<Pdf, ExtractError> {
    Pdf::new(Arc::new(bytes.to_vec())).map_err(|error| match error {
        LoadPdfError::Decryption(_) => encrypted(),
        LoadPdfError::Invalid if names_encryption(bytes) => encrypted(),
        LoadPdfError::Invalid => ExtractError::corrupted("PDF structure cannot be read"),
    })
}

fn encrypted() -> ExtractError {
    ExtractError::Encrypted { what: "the PDF".into() }
}

/// Says whether a trailer in the file names an encryption dictionary (ISO 32000-2, 7.5.5).
fn names_encryption(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|window| window == b"/Encrypt")
}

fn rotation(page: &Page<'_>) -> u16 {
    match page.rotation() {
        Rotation::None => 0,
        Rotation::Horizontal => 90,
        Rotation::Flipped => 180,
        Rotation::FlippedHorizontal => 270,
    }
}

/// What stands in the file and is not read, counted for the warnings.
#[derive(Default)]
struct Unseen {
    /// Pages whose interpretation ended early.
    failed: Vec<u32>,
    outside: usize,
    hidden: usize,
}

/// Pictures that cover at least this share of a page make it a scan; invisible text over a scan is its
/// recognised text, elsewhere it is meant for machines and not for readers.
const SCAN_SHARE: f32 = 0.5;

impl Unseen {
    /// Removes characters that no reader sees: outside the page, smaller than half a point, or invisible
    /// without a picture beneath.
    fn drop_from(&mut self, text: &mut PageText, size: (f32, f32)) {
        let before = text.glyphs.len();
        text.glyphs.retain(|glyph| {
            let near = glyph.size.max(2.0);
            let (x, y) = glyph.from;
            glyph.size > 0.5 && x > -near && y > -near && x < size.0 + near && y < size.1 + near
        });
        let inside = text.glyphs.len();
        self.outside += before - inside;
        if text.pictures < SCAN_SHARE {
            text.glyphs.retain(|glyph| !glyph.hidden);
        }
        self.hidden += inside - text.glyphs.len();
    }

    fn warn(&self, builder: &mut Builder, pages: &[layout::PageContent]) {
        let Self { failed, outside, hidden } = self;
        let warnings = &mut builder.warnings;
        if !failed.is_empty() {
            warnings.push(format!("{} pages could not be read to their end: {failed:?}", failed.len()));
        }
        if *outside > 0 {
            warnings.push(format!("left out {outside} characters off the page or too small to see"));
        }
        if *hidden > 0 {
            warnings.push(format!("left out {hidden} characters of invisible text"));
        }
        let waits = |page: &layout::PageContent| page.is_empty() && page.confidence.is_none() && !page.unsure;
        let empty = pages.iter().zip(1..).filter(|(page, number)| waits(page) && !failed.contains(number)).count();
        if empty > 0 {
            warnings.push(format!("{empty} of {} pages have no text layer", pages.len()));
        }
    }
}

/// Spells out the Latin ligatures (U+FB00–FB06) and Arabic presentation forms, unifies hyphens that fonts
/// draw, and drops what is no character.
fn spelled_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{FB00}'..='\u{FB06}' | '\u{FB13}'..='\u{FB17}' | '\u{FB50}'..='\u{FDFB}' | '\u{FE70}'..='\u{FEFC}' => {
                out.extend(c.nfkc());
            }
            '\u{2010}' | '\u{2011}' => out.push('-'),
            '\u{0}'..='\u{8}' | '\u{E}'..='\u{1F}' => {}
            c => out.push(c),
        }
    }
    out
}

/// Takes title, author and date from the information dictionary (ISO 32000-2, 14.3.3).
fn describe(builder: &mut Builder, metadata: &Metadata) {
    let text = |bytes: &Option<Box<[u8]>>| {
        let text = fields::decoded(bytes.as_deref()?);
        Some(text).filter(|text| !text.trim().is_empty())
    };
    // Programs write the name of the file they converted; that is no title.
    builder.metadata.title = text(&metadata.title).filter(|title| !is_file_name(title));
    builder.metadata.author = text(&metadata.author);
    builder.metadata.created = metadata.creation_date.map(rfc3339);
}

fn rfc3339(date: DateTime) -> String {
    let DateTime { year, month, day, hour, minute, second, utc_offset_hour, utc_offset_minute } = date;
    let zone = match (utc_offset_hour, utc_offset_minute) {
        (0, 0) => "Z".to_owned(),
        (hours, minutes) => format!("{hours:+03}:{minutes:02}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
}

/// Says whether a title is none: a file name, a number in a register ("745.2", "BBl2010-891"), or what
/// programs call a document nobody named.
fn is_file_name(title: &str) -> bool {
    let lower = title.trim().to_lowercase();
    let one_word = !lower.contains(char::is_whitespace);
    let letters = lower.chars().filter(|c| c.is_alphabetic()).count();
    let digits = lower.chars().filter(char::is_ascii_digit).count();
    let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    letters == 0
        || ["microsoft word -", "microsoft powerpoint -", "microsoft excel -"]
            .iter()
            .any(|program| lower.starts_with(program))
        || ["untitled", "untitled document", "unbenannt", "document", "dokument", "documento", "senza titolo"]
            .contains(&stem)
        || stem == "sans titre"
        || one_word && (lower.contains('_') || digits >= letters)
        || [".doc", ".docx", ".pdf", ".indd", ".dvi", ".tex", ".qxd", ".xls", ".xlsx", ".ppt", ".pptx"]
            .iter()
            .any(|extension| lower.ends_with(extension))
}

/// Writes all pages with headings and running lines told from the whole document.
fn write(builder: &mut Builder, pages: &[layout::PageContent]) {
    let style = layout::Style::of(pages);
    for (page, number) in pages.iter().zip(1..) {
        let bbox = |(x0, y0, x1, y1)| BBox { page: number, x0, y0, x1, y1 };
        for block in layout::blocks(page, &style) {
            builder.block_of_words(block.kind, &block.text, bbox(block.area), &block.words);
        }
        for note in &page.notes {
            let kind = if note.is_comment { BlockKind::Footnote } else { BlockKind::Paragraph };
            builder.block_at(kind, &note.text, note.area.map(bbox));
        }
        if page.unsure {
            builder.warnings.push(format!("page {number} is hardly legible (handwriting?); its text was left out"));
        }
        builder.end_page_as(PageFacts { size: Some(page.size), rotation: page.rotation, recognised: page.confidence });
    }
}

#[cfg(test)]
pub(crate) mod tests;
