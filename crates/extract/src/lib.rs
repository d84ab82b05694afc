//! Bytes to [`Document`]s: pages, blocks and exact spans, parsed in a sandboxed worker process.
//!
//! Two nouns. An [`Extraction`] is what came out of one file: the document, the files found inside it
//! ([`Child`]: mail attachments, archive entries) and warnings. A [`WorkerPool`] runs [`parse`] in child
//! processes that own nothing: no network, no files, no new processes, bounded memory and time.
//!
//! **Why a process.** Every parser measured on hostile files hung, crashed or ran out of memory on one of
//! them; `catch_unwind` stops neither an abort, nor a stack overflow, nor a loop. In a worker each of these
//! costs one file, and the next file gets a fresh worker. Parsers are a `match` on [`MediaType`], not a
//! trait: a format is added by adding an arm.
//!
//! **Contract.** What a file is gets decided from its content first, its name second. Stored text is what a
//! reader sees: line endings are `\n`, invisible and direction-changing characters are removed and counted
//! in a warning, hyphenation at line ends is undone. Every document passes [`Document::validate`]. Limits
//! ([`ParseLimits`]) are checked before memory is spent.
//!
//! **Formats.** PDF, Word (DOCX, DOC), Excel (XLSX, XLSB, XLS), PowerPoint (PPTX, PPT), OpenDocument (text, sheets,
//! slides), RTF, HTML, EPUB, Markdown, text, CSV, JSON, XML, mail (EML, MBOX, MSG), pictures of pages (PNG, JPEG,
//! TIFF), ZIP, 7z, TAR, GZIP, and for clinics FHIR, C-CDA and HL7 v2. Pages without usable text are read by text
//! recognition where `tesseract` is installed ([`worker::Recognition`]).
//!
//! **Out of scope:** chunking, storing, reading files from disk, Outlook stores (PST) and RAR: those are named as unsupported. Without `tesseract` a page without text stays empty, and a document
//! without any is [`ExtractError::NoText`].
//!
//! ```
//! use fontes_extract::{ParseLimits, parse};
//!
//! let extraction = parse(b"# Title\n\nHello.\n", "note.md", &ParseLimits::default())?;
//! assert_eq!(extraction.document.metadata.title.as_deref(), Some("Title"));
//! # Ok::<(), fontes_extract::ExtractError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod archive;
mod builder;
mod clean;
mod clinical;
mod compound;
mod data;
mod doc;
mod encoding;
mod epub;
mod error;
mod html;
mod limits;
mod mail;
mod markdown;
mod media;
mod odf;
mod ooxml;
mod package;
mod pdf;
mod picture;
mod plain;
mod ppt;
mod recognised;
mod rtf;
mod scan;
mod time;
mod typeset;
pub mod worker;
mod xml;

use serde::{Deserialize, Serialize};

use fontes_core::Document;

pub use error::ExtractError;
pub use limits::ParseLimits;
pub use media::MediaType;
pub use pdf::PdfEngine;
pub use picture::Picture;
pub(crate) use recognised::{Recognised, RecognisedWord};
pub use typeset::{Sheet, typeset};
pub use worker::{WorkerCommand, WorkerLimits, WorkerPool};

/// What came out of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extraction {
    /// Its text and structure.
    pub document: Document,
    /// Files inside it, in their order; each becomes a document of its own.
    pub children: Vec<Child>,
    /// What a careful reader should know: pages that could not be read, hidden text that was removed.
    pub warnings: Vec<String>,
}

/// A file found inside another: a mail attachment, an archive entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Its path inside the parent, `/` as separator, unique within the parent. Written after `!/` behind the
    /// parent's own path: `mail.eml!/report.pdf`.
    pub path_inside: String,
    /// Its file name.
    pub name: String,
    /// Its content.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// An extraction, and the pages that hold something but no usable text: they wait for recognition.
pub(crate) type Parsed = (Extraction, Vec<u32>);

/// Parses one file. Runs in the worker; callers elsewhere use [`WorkerPool::extract`].
///
/// `file_name` breaks ties where the content does not tell (Markdown or plain text, CSV or plain text).
///
/// # Errors
/// An [`ExtractError`] saying what is wrong with the file. A panic of a parser is not caught here except
/// where a single page can be given up.
pub fn parse(bytes: &[u8], file_name: &str, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    parse_with(bytes, file_name, limits, &Recognised::new()).map(|(extraction, _)| extraction)
}

/// As [`parse`], with the words that recognition found on pages that have none of their own.
pub(crate) fn parse_with(
    bytes: &[u8],
    file_name: &str,
    limits: &ParseLimits,
    recognised: &Recognised,
) -> Result<Parsed, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::Empty);
    }
    if bytes.len() as u64 > limits.file_bytes {
        return Err(ExtractError::TooLarge { bytes: bytes.len() as u64, limit: limits.file_bytes });
    }
    let media = MediaType::detect(bytes, file_name)?;
    let mut unread = Vec::new();
    let extraction = match media {
        MediaType::Markdown => markdown::parse(bytes, limits),
        MediaType::Text => plain::parse(bytes, limits),
        MediaType::Html => html::parse(bytes, limits),
        MediaType::Pdf => pdf::parse(bytes, limits, recognised, &mut unread),
        MediaType::Png | MediaType::Jpeg | MediaType::Tiff => scan::parse(bytes, media, limits, recognised),
        MediaType::Email => mail::parse_eml(bytes, limits),
        MediaType::Mbox => mail::parse_mbox(bytes, limits),
        MediaType::OutlookMessage => mail::parse_msg(bytes, limits),
        MediaType::Docx => ooxml::parse_docx(bytes, limits),
        MediaType::Doc => doc::parse(bytes, limits),
        MediaType::Pptx => ooxml::parse_pptx(bytes, limits),
        MediaType::Ppt => ppt::parse(bytes, limits),
        MediaType::Xlsx => ooxml::parse_xlsx(bytes, limits),
        MediaType::Xlsb => ooxml::parse_xlsb(bytes, limits),
        MediaType::Xls => ooxml::parse_xls(bytes, limits),
        MediaType::Odt | MediaType::Ods | MediaType::Odp => odf::parse(bytes, media, limits),
        MediaType::Rtf => rtf::parse(bytes, limits),
        MediaType::Epub => epub::parse(bytes, limits),
        MediaType::Csv | MediaType::Tsv => data::parse_csv(bytes, media, limits),
        MediaType::Hl7 => clinical::parse_hl7(bytes, limits),
        MediaType::Json | MediaType::Fhir => data::parse_json(bytes, limits),
        MediaType::Xml => data::parse_xml(bytes, limits),
        MediaType::Zip => archive::parse_zip(bytes, limits),
        MediaType::SevenZip => archive::parse_7z(bytes, limits),
        MediaType::Tar => archive::parse_tar(bytes, limits),
        MediaType::Gzip => archive::parse_gzip(bytes, file_name, limits),
    }?;
    extraction.document.validate().map_err(|error| ExtractError::Internal { what: error.to_string() })?;
    Ok((extraction, unread))
}

/// Draws pages at `dpi` dots per inch. Runs in the worker.
///
/// # Errors
/// As [`parse`]; [`ExtractError::Unsupported`] for files that have no pages to draw.
pub(crate) fn draw(
    bytes: &[u8],
    file_name: &str,
    pages: &[u32],
    dpi: u32,
    limits: &ParseLimits,
) -> Result<Vec<Picture>, ExtractError> {
    match MediaType::detect(bytes, file_name)? {
        MediaType::Pdf => pdf::render::draw(bytes, pages, dpi, limits),
        media @ (MediaType::Png | MediaType::Jpeg | MediaType::Tiff) => scan::draw(bytes, media, pages, limits),
        media => Err(ExtractError::Unsupported { media_type: media.name().to_owned() }),
    }
}

#[cfg(test)]
mod tests;
