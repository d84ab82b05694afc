//! PDF: one page of text per page of the file, whatever happens to the pages beside it.
//!
//! `lopdf` reads the file (pages, boxes, metadata, fields, attachments, encryption); a back end finds the
//! characters of a page and where they stand ([`Glyph`]); lines, paragraphs and blocks are built here
//! ([`layout`]), so that every back end gives the same kind of document.

mod fields;
mod layout;
mod lines;
mod pdf_extract;
mod repair;
mod runs;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fontes_core::{BBox, BlockKind};
use lopdf::{Dictionary, Object, ObjectId};

use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, plain, time};

pub(crate) use lines::PlacedWord;

/// Finds the characters of pages. One so far; `pdfium` is to stand beside it, better on rotated pages and
/// right-to-left text, at the price of a native library.
#[derive(Clone, Copy, Debug)]
enum PdfBackend {
    /// Pure Rust. Panics on one file in forty, which costs the page here.
    PdfExtract,
}

/// A character (or ligature) on a page.
#[derive(Clone, Debug, PartialEq)]
struct Glyph {
    /// What it says, ligatures spelled out.
    text: String,
    /// Origin on the baseline and end of the advance, in points from the top left of the displayed page.
    from: (f32, f32),
    to: (f32, f32),
    /// Font size in points as displayed.
    size: f32,
}

/// The frame of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    left: f32,
    bottom: f32,
    right: f32,
    top: f32,
    /// Clockwise rotation in quarter turns.
    turns: u8,
}

impl Frame {
    /// Size as displayed.
    fn size(&self) -> (f32, f32) {
        let (width, height) = (self.right - self.left, self.top - self.bottom);
        if self.turns.is_multiple_of(2) { (width, height) } else { (height, width) }
    }

    /// A point of user space on the displayed page, from its top left.
    fn display(&self, x: f32, y: f32) -> (f32, f32) {
        match self.turns {
            0 => (x - self.left, self.top - y),
            1 => (y - self.bottom, x - self.left),
            2 => (self.right - x, y - self.bottom),
            _ => (self.top - y, self.right - x),
        }
    }
}

/// Parses a PDF file.
///
/// # Errors
/// [`ExtractError::Encrypted`] when the empty password does not open it, [`ExtractError::NoText`] when no
/// page has text, [`ExtractError::Corrupted`] also when no page can be interpreted, [`ExtractError::Limit`].
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let document = open(bytes)?;
    // One more than allowed is enough to know; the tree of a hostile file may be endless.
    let page_limit = usize::try_from(limits.pages).unwrap_or(usize::MAX);
    let page_ids: Vec<ObjectId> = document.page_iter().take(page_limit.saturating_add(1)).collect();
    if page_ids.len() > page_limit {
        return Err(ExtractError::limit("number of pages", limits.pages));
    }
    if page_ids.is_empty() {
        return Err(ExtractError::corrupted("the PDF has no pages"));
    }
    let mut builder = Builder::new(limits);
    describe(&mut builder, &document);
    let mut pages = Vec::with_capacity(page_ids.len());
    let (mut failed, mut outside) = (Vec::new(), 0);
    for (number, id) in (1_u32..).zip(&page_ids) {
        let dictionary = document.get_dictionary(*id).ok();
        let frame = dictionary.map_or(LETTER, |page| frame(&document, page));
        let (mut glyphs, complete) = glyphs(PdfBackend::PdfExtract, &document, number, &frame);
        if !complete {
            failed.push(number);
        }
        outside += drop_unseen(&mut glyphs, frame.size());
        let rescued = if complete { None } else { rescued(&document, number, &glyphs) };
        if rescued.is_some() {
            glyphs.clear();
        }
        let notes = dictionary.map_or_else(Vec::new, |page| fields::annotations(&document, page));
        pages.push(layout::PageContent {
            size: frame.size(),
            rotation: u16::from(frame.turns) * 90,
            lines: lines::build(&glyphs),
            rescued,
            notes,
        });
    }
    if failed.len() == page_ids.len() && pages.iter().all(layout::PageContent::is_empty) {
        return Err(ExtractError::corrupted("the content of no page can be interpreted"));
    }
    if !failed.is_empty() {
        builder.warnings.push(format!("{} pages could not be read to their end: {failed:?}", failed.len()));
    }
    if outside > 0 {
        builder.warnings.push(format!("left out {outside} characters off the page or too small to see"));
    }
    write(&mut builder, &pages);
    fields::attachments(&mut builder, &document, limits);
    if builder.is_empty() && builder.children.is_empty() {
        return Err(ExtractError::NoText { pages: u32::try_from(page_ids.len()).unwrap_or(u32::MAX) });
    }
    let empty = pages.iter().zip(1..).filter(|(page, number)| page.is_empty() && !failed.contains(number)).count();
    if empty > 0 {
        builder.warnings.push(format!("{empty} of {} pages have no text layer", pages.len()));
    }
    builder.finish(MediaType::Pdf)
}

/// US letter, the frame of pages that state none (as PDF viewers assume).
const LETTER: Frame = Frame { left: 0.0, bottom: 0.0, right: 612.0, top: 792.0, turns: 0 };

/// Opens the file with the empty password; a file whose tables are broken is searched for its objects.
fn open(bytes: &[u8]) -> Result<lopdf::Document, ExtractError> {
    let opened = match load(bytes) {
        Ok(document) if document.page_iter().next().is_some() => return Ok(document),
        Err(error @ ExtractError::Encrypted { .. }) => return Err(error),
        opened => opened,
    };
    let second = repair::repaired(bytes).map(|bytes| load(&bytes));
    match second {
        Some(Ok(document)) if document.page_iter().next().is_some() => Ok(document),
        Some(Err(error @ ExtractError::Encrypted { .. })) => Err(error),
        _ => opened,
    }
}

fn load(bytes: &[u8]) -> Result<lopdf::Document, ExtractError> {
    let encrypted = || ExtractError::Encrypted { what: "the PDF".into() };
    let document = lopdf::Document::load_mem(bytes).map_err(|error| match error {
        lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) => encrypted(),
        // Messages of the parser may quote the file: keep the kind.
        lopdf::Error::Parse(_) => ExtractError::corrupted("PDF structure cannot be parsed"),
        lopdf::Error::Xref(_) => ExtractError::corrupted("PDF cross-reference table is broken"),
        _ => ExtractError::corrupted("PDF cannot be loaded"),
    })?;
    // After a successful decryption lopdf removes the entry.
    if document.trailer.get(b"Encrypt").is_ok() {
        return Err(encrypted());
    }
    Ok(document)
}

/// Asks a back end for the characters of a page, and says whether it came to the end. Its panics end here;
/// its aborts and loops end the worker.
fn glyphs(backend: PdfBackend, document: &lopdf::Document, number: u32, frame: &Frame) -> (Vec<Glyph>, bool) {
    let mut glyphs = Vec::new();
    let read = || match backend {
        PdfBackend::PdfExtract => pdf_extract::read(document, number, frame, &mut glyphs),
    };
    let complete = matches!(catch_unwind(AssertUnwindSafe(read)), Ok(Ok(())));
    (glyphs, complete)
}

/// The text of a page on which the back end stopped early, as `lopdf` finds it: without places and often
/// without blanks, but more than what the back end had got to.
fn rescued(document: &lopdf::Document, number: u32, glyphs: &[Glyph]) -> Option<String> {
    let text = catch_unwind(AssertUnwindSafe(|| document.extract_text(&[number]))).ok()?.ok()?;
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    let had: usize = glyphs.iter().map(|glyph| letters(&glyph.text)).sum();
    (letters(&text) > had + had / 5).then_some(text)
}

/// Removes characters that no reader sees: outside the page, or smaller than half a point.
fn drop_unseen(glyphs: &mut Vec<Glyph>, size: (f32, f32)) -> usize {
    let before = glyphs.len();
    glyphs.retain(|glyph| {
        let near = glyph.size.max(2.0);
        let (x, y) = glyph.from;
        glyph.size > 0.5 && x > -near && y > -near && x < size.0 + near && y < size.1 + near
    });
    before - glyphs.len()
}

/// The page's visible frame: the crop box within the media box, rotated.
fn frame(document: &lopdf::Document, page: &Dictionary) -> Frame {
    let rectangle = |key: &[u8]| -> Option<[f32; 4]> {
        let array = inherited(document, page, key)?.as_array().ok()?;
        let mut numbers = array.iter().filter_map(|number| {
            let (_, number) = document.dereference(number).ok()?;
            number.as_float().ok()
        });
        let [a, b, c, d] = [numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?];
        let ordered = [a.min(c), b.min(d), a.max(c), b.max(d)];
        (ordered[2] - ordered[0] > 1.0 && ordered[3] - ordered[1] > 1.0).then_some(ordered)
    };
    let media = rectangle(b"MediaBox").unwrap_or([LETTER.left, LETTER.bottom, LETTER.right, LETTER.top]);
    let crop = rectangle(b"CropBox").unwrap_or(media);
    let [left, bottom] = [crop[0].max(media[0]), crop[1].max(media[1])];
    let [right, top] = [crop[2].min(media[2]), crop[3].min(media[3])];
    let [left, bottom, right, top] =
        if right - left > 1.0 && top - bottom > 1.0 { [left, bottom, right, top] } else { media };
    let degrees = inherited(document, page, b"Rotate").and_then(|angle| angle.as_i64().ok()).unwrap_or(0);
    let turns = u8::try_from(degrees.rem_euclid(360) / 90).unwrap_or(0);
    Frame { left, bottom, right, top, turns }
}

/// A page attribute, looked up through the page tree (ISO 32000-2, 7.7.3.4).
fn inherited<'d>(document: &'d lopdf::Document, page: &'d Dictionary, key: &[u8]) -> Option<&'d Object> {
    let mut node = page;
    // The depth of honest page trees is below ten; a loop ends here.
    for _ in 0..64 {
        if let Ok(value) = node.get(key) {
            return document.dereference(value).ok().map(|(_, value)| value);
        }
        node = node.get(b"Parent").and_then(Object::as_reference).and_then(|id| document.get_dictionary(id)).ok()?;
    }
    None
}

/// Reads title, author and date from the information dictionary (ISO 32000-2, 14.3.3).
fn describe(builder: &mut Builder, document: &lopdf::Document) {
    let Ok(info) = document.trailer.get(b"Info") else { return };
    let Some(info) = document.dereference(info).ok().and_then(|(_, info)| info.as_dict().ok()) else { return };
    let text = |key: &[u8]| {
        let value = info.get(key).and_then(|value| document.dereference(value)).ok()?.1;
        lopdf::decode_text_string(value).ok().filter(|text| !text.trim().is_empty())
    };
    // Programs write the name of the file they converted; that is no title.
    builder.metadata.title = text(b"Title").filter(|title| !is_file_name(title));
    builder.metadata.author = text(b"Author");
    builder.metadata.created = text(b"CreationDate").and_then(|date| time::from_pdf(&date));
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
        for block in layout::blocks(page, &style) {
            let (x0, y0, x1, y1) = block.area;
            let bbox = BBox { page: number, x0, y0, x1, y1 };
            builder.block_of_words(block.kind, &block.text, bbox, &block.words);
        }
        if let Some(text) = &page.rescued {
            plain::blocks(builder, text);
        }
        for note in &page.notes {
            builder.block(if note.is_comment { BlockKind::Footnote } else { BlockKind::Paragraph }, &note.text);
        }
        builder.end_page_as(Some(page.size), page.rotation);
    }
}

#[cfg(test)]
pub(crate) mod tests;
