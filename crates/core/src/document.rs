//! A document with place: one stored text, pages and blocks as spans of it.

use serde::{Deserialize, Serialize};

use crate::Language;

/// A half-open byte range of a stored text, on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Makes the span `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Says whether the span holds nothing.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// The text of the span, or `None` when it is out of range or cuts a character.
    pub fn of<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.get(self.start..self.end)
    }

    /// Says whether the two spans share at least one byte.
    pub fn overlaps(&self, other: &Span) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn cover(&self, other: &Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A box on a page in PDF points (1/72 inch), origin at the top left of the page as displayed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BBox {
    /// Page number, from 1.
    pub page: u32,
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

/// How a page's text was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractionMethod {
    /// The file's own text layer or markup.
    Text,
    /// Optical character recognition.
    Ocr,
}

/// One page as a span of the document's text. Formats without pages have exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Page number, from 1, without gaps.
    pub number: u32,
    /// The page's part of the text. Pages are in order and do not overlap.
    pub span: Span,
    /// Width and height in points as displayed, when known.
    pub size: Option<(f32, f32)>,
    /// How the text was obtained.
    pub method: ExtractionMethod,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "level")]
pub enum BlockKind {
    /// A heading; level 1 is the highest.
    Heading(u8),
    /// Running text.
    Paragraph,
    /// An item of a list.
    ListItem,
    /// A table; cells are separated by tabs, rows by newlines in the stored text.
    Table,
    /// Program text or preformatted text.
    Code,
    /// A foot- or endnote, or a comment.
    Footnote,
    /// Running header or footer: kept, not searched.
    Furniture,
}

/// A block of a document in reading order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    #[serde(flatten)]
    pub kind: BlockKind,
    /// Its part of the text. Blocks are in order and do not overlap.
    pub span: Span,
    /// Page on which it starts, from 1.
    pub page: u32,
    /// Where it stands, when the format says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bbox: Option<BBox>,
}

/// What a document says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Title from the metadata, else the first heading, else `None`.
    pub title: Option<String>,
    /// Author or sender.
    pub author: Option<String>,
    /// Creation or sending time as RFC 3339, when given.
    pub created: Option<String>,
}

/// The result of extraction: one text and its structure.
///
/// Invariants, checked by [`Document::validate`]: spans lie within the text on character boundaries; pages
/// are numbered 1, 2, …; pages and blocks are ordered and do not overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Media type (RFC 6838), as decided from content first, name second.
    pub media_type: String,
    /// What the document says about itself.
    pub metadata: Metadata,
    /// Main language of the text.
    pub language: Language,
    /// The stored text: every span points into it.
    pub text: String,
    /// Pages in order; at least one.
    pub pages: Vec<Page>,
    /// Blocks in reading order.
    pub blocks: Vec<Block>,
}

impl Document {
    /// The page numbers a span touches, lowest first; the nearest page for an empty span.
    pub fn pages_of(&self, span: &Span) -> Vec<u32> {
        let touched: Vec<u32> =
            self.pages.iter().filter(|page| page.span.overlaps(span)).map(|page| page.number).collect();
        if touched.is_empty() {
            self.pages
                .iter()
                .rev()
                .find(|page| page.span.start <= span.start)
                .map(|page| page.number)
                .into_iter()
                .collect()
        } else {
            touched
        }
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Internal`] naming the first broken invariant: an extractor is at fault, not a file.
    pub fn validate(&self) -> crate::Result<()> {
        let broken =
            |what: &str| Err(crate::Error::internal(format!("extracted document breaks an invariant: {what}")));
        if self.pages.is_empty() {
            return broken("no page");
        }
        if self.pages.iter().zip(1..).any(|(page, number)| page.number != number) {
            return broken("pages are not numbered from 1 without gaps");
        }
        for (what, spans) in [
            ("page", self.pages.iter().map(|page| page.span).collect::<Vec<_>>()),
            ("block", self.blocks.iter().map(|block| block.span).collect()),
        ] {
            if spans.iter().any(|span| span.start > span.end || span.of(&self.text).is_none()) {
                return broken(&format!("a {what} span is outside the text or cuts a character"));
            }
            if spans.windows(2).any(|pair| pair[0].end > pair[1].start) {
                return broken(&format!("{what} spans overlap or are out of order"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32, start: usize, end: usize) -> Page {
        Page { number, span: Span::new(start, end), size: None, method: ExtractionMethod::Text }
    }

    fn two_pages() -> Document {
        Document {
            media_type: "text/plain".into(),
            metadata: Metadata::default(),
            language: Language::German,
            text: "Größe\nzwei".into(),
            pages: vec![page(1, 0, 8), page(2, 8, 12)],
            blocks: vec![],
        }
    }

    #[test]
    fn a_span_never_cuts_a_character() {
        let text = "Größe";
        assert_eq!(Span::new(0, 4).of(text), Some("Grö"));
        assert_eq!(Span::new(0, 3).of(text), None);
        assert_eq!(Span::new(3, 99).of(text), None);
    }

    #[test]
    fn a_span_over_a_page_break_names_both_pages() {
        let document = two_pages();
        assert_eq!(document.pages_of(&Span::new(5, 10)), [1, 2]);
        assert_eq!(document.pages_of(&Span::new(0, 8)), [1]);
        assert_eq!(document.pages_of(&Span::new(8, 8)), [2]);
    }

    #[test]
    fn broken_documents_are_named() {
        let mut document = two_pages();
        document.validate().unwrap();
        document.pages[1].number = 3;
        assert!(document.validate().unwrap_err().to_string().contains("numbered"));
        document = two_pages();
        document.pages[0].span.end = 9;
        assert!(document.validate().unwrap_err().to_string().contains("overlap"));
        document = two_pages();
        document.pages[0].span.end = 3;
        assert!(document.validate().unwrap_err().to_string().contains("cuts a character"));
    }
}
