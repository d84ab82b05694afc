//! A document with place: one stored text, pages and blocks as spans of it.

use serde::{Deserialize, Serialize};

use crate::{
    Language,
    word::{self, Word},
};

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
    /// Clockwise degrees by which the file turns the page for display: 0, 90, 180 or 270.
    #[serde(skip_serializing_if = "is_upright", default)]
    pub rotation: u16,
    /// How the text was obtained.
    pub method: ExtractionMethod,
    /// For recognised pages, how sure the recognition is of its words: the mean over characters, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidence: Option<f32>,
    /// The words whose place is known, in the order of the text.
    #[serde(with = "word::packed", skip_serializing_if = "Vec::is_empty", default)]
    pub words: Vec<Word>,
}

impl Page {
    /// A page of a format without places.
    pub fn new(number: u32, span: Span) -> Self {
        let method = ExtractionMethod::Text;
        Self { number, span, size: None, rotation: 0, method, confidence: None, words: Vec::new() }
    }
}

/// Says whether a rotation is none; serde hands over references.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_upright(rotation: &u16) -> bool {
    *rotation == 0
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
    /// Whom it is about, of patients.
    #[serde(default)]
    pub patient: PatientLabel,
}

/// Which patient a document says it is about. What is asked for one patient must not bring another's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatientLabel {
    /// It does not say: it is about whom the document around it is about.
    #[default]
    Unsaid,
    /// One, known by these names and numbers.
    One(Vec<String>),
    /// Several, or some that cannot be told apart: it is found for none of them.
    Several,
}

impl PatientLabel {
    /// Names and numbers by which it is found, inside a document that is found by `around`.
    pub fn names<'a>(&'a self, around: &'a [String]) -> &'a [String] {
        match self {
            Self::Unsaid => around,
            Self::One(names) => names,
            Self::Several => &[],
        }
    }
}

/// The result of extraction: one text and its structure.
///
/// Invariants, checked by [`Document::validate`]: spans lie within the text on character boundaries; pages
/// are numbered 1, 2, …; pages, blocks and words are ordered and do not overlap; words lie on their page.
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

    /// Where a span stands: one box per line it touches on each page, or the boxes of its blocks on pages
    /// whose words have no places; empty for formats without places.
    pub fn boxes_of(&self, span: &Span) -> Vec<BBox> {
        let mut boxes = Vec::new();
        for page in self.pages.iter().filter(|page| page.span.overlaps(span)) {
            let from = page.words.partition_point(|word| word.span.end <= span.start);
            let words = page.words[from..].iter().take_while(|word| word.span.start < span.end);
            boxes.extend(word::lines(page.number, words));
            if page.words.is_empty() {
                let blocks = self.blocks.iter().filter(|block| block.span.overlaps(span));
                boxes.extend(blocks.filter_map(|block| block.bbox).filter(|bbox| bbox.page == page.number));
            }
        }
        boxes
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
        let outside = |page: &Page, word: &Word| word.span.start < page.span.start || word.span.end > page.span.end;
        if self.pages.iter().any(|page| page.words.iter().any(|word| outside(page, word))) {
            return broken("a word stands outside its page");
        }
        for (what, spans) in [
            ("page", self.pages.iter().map(|page| page.span).collect::<Vec<_>>()),
            ("block", self.blocks.iter().map(|block| block.span).collect()),
            ("word", self.pages.iter().flat_map(|page| &page.words).map(|word| word.span).collect()),
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

    #[test]
    fn only_what_is_unsaid_is_taken_from_around() {
        let (own, around) = (["Eva".to_owned()], ["Ida".to_owned()]);
        assert_eq!(PatientLabel::Unsaid.names(&around), around);
        assert_eq!(PatientLabel::One(own.to_vec()).names(&around), own);
        assert!(PatientLabel::Several.names(&around).is_empty());
    }

    fn page(number: u32, start: usize, end: usize) -> Page {
        Page::new(number, Span::new(start, end))
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
        document = two_pages();
        document.pages[0].words = vec![Word::new(Span::new(8, 12), [0.0, 0.0, 9.0, 9.0], None)];
        assert!(document.validate().unwrap_err().to_string().contains("outside its page"));
    }

    #[test]
    fn a_span_is_boxed_line_by_line_and_by_blocks_where_words_have_no_place() {
        let mut document = two_pages();
        document.text = "one two three\nzwei".into();
        document.pages[0].span = Span::new(0, 14);
        document.pages[1].span = Span::new(14, 18);
        document.pages[0].words = vec![
            Word::new(Span::new(0, 3), [10.0, 10.0, 30.0, 20.0], None),
            Word::new(Span::new(4, 7), [34.0, 10.5, 50.0, 20.0], None),
            Word::new(Span::new(8, 13), [10.0, 24.0, 40.0, 34.0], None),
        ];
        let bbox = BBox { page: 2, x0: 1.0, y0: 2.0, x1: 3.0, y1: 4.0 };
        document.blocks =
            vec![Block { kind: BlockKind::Paragraph, span: Span::new(14, 18), page: 2, bbox: Some(bbox) }];
        document.validate().unwrap();
        let line = BBox { page: 1, x0: 10.0, y0: 10.0, x1: 50.0, y1: 20.0 };
        let next = BBox { page: 1, x0: 10.0, y0: 24.0, x1: 40.0, y1: 34.0 };
        assert_eq!(document.boxes_of(&Span::new(0, 18)), [line, next, bbox]);
        assert_eq!(document.boxes_of(&Span::new(8, 9)), [next]);
    }
}
