//! Builds a [`Document`]: the one place where stored text, pages and blocks grow together.

use fontes_core::{BBox, Block, BlockKind, Document, ExtractionMethod, Language, Metadata, Page, Span, Word};

use crate::{
    Child, ExtractError, Extraction, MediaType, ParseLimits,
    clean::{Hidden, clean, collapse},
    pdf::PlacedWord,
};

/// What is known of a page beside its text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageFacts {
    /// Width and height in points as displayed.
    pub size: Option<(f32, f32)>,
    /// Clockwise degrees by which the file turns it.
    pub rotation: u16,
    /// For recognised pages, how sure recognition is, 0 to 1.
    pub recognised: Option<f32>,
}

/// A word is looked for within this many bytes behind the one before it: separators, and what cleaning made
/// of characters in between.
const WORD_REACH: usize = 16;

/// Grows a document block by block. Blocks are separated by a blank line, list items by a newline; each
/// page's text ends with a newline; separators belong to no block.
pub(crate) struct Builder {
    text: String,
    pages: Vec<Page>,
    blocks: Vec<Block>,
    /// Words of the page being built.
    words: Vec<Word>,
    page_start: usize,
    hidden: Hidden,
    text_limit: usize,
    overflow: bool,
    /// What the document says about itself.
    pub metadata: Metadata,
    /// Files found inside.
    pub children: Vec<Child>,
    /// Warnings for people.
    pub warnings: Vec<String>,
}

impl Builder {
    /// Starts an empty document.
    pub fn new(limits: &ParseLimits) -> Self {
        Self {
            text: String::new(),
            pages: Vec::new(),
            blocks: Vec::new(),
            words: Vec::new(),
            page_start: 0,
            hidden: Hidden::default(),
            text_limit: usize::try_from(limits.text_bytes).unwrap_or(usize::MAX),
            overflow: false,
            metadata: Metadata::default(),
            children: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Appends a block of `raw` text; nothing when only white space is left after cleaning. Runs of blanks
    /// become one except in code; lines are kept.
    pub fn block(&mut self, kind: BlockKind, raw: &str) {
        self.block_at(kind, raw, None);
    }

    /// As [`Builder::block`], with the block's place on the page.
    pub fn block_at(&mut self, kind: BlockKind, raw: &str, bbox: Option<BBox>) {
        if self.overflow {
            return;
        }
        let cleaned = clean(raw, &mut self.hidden);
        let body = match kind {
            BlockKind::Code => cleaned.trim_end().trim_start_matches('\n').to_owned(),
            BlockKind::Table => cleaned.trim_matches('\n').to_owned(),
            BlockKind::Heading(_) => collapse(&cleaned),
            _ => tidy_lines(&cleaned),
        };
        if body.trim().is_empty() {
            return;
        }
        if self.text.len() + body.len() > self.text_limit {
            self.overflow = true;
            return;
        }
        let on_page = self.text.len() > self.page_start;
        let in_list = kind == BlockKind::ListItem && self.blocks.last().is_some_and(|last| last.kind == kind);
        if on_page && !in_list {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(&body);
        self.blocks.push(Block { kind, span: Span::new(start, self.text.len()), page: self.page_number(), bbox });
        self.text.push('\n');
    }

    /// As [`Builder::block_at`], with the places of the words that `raw` consists of, in its order.
    pub fn block_of_words(&mut self, kind: BlockKind, raw: &str, bbox: BBox, words: &[PlacedWord]) {
        let blocks = self.blocks.len();
        self.block_at(kind, raw, Some(bbox));
        if self.blocks.len() == blocks {
            return;
        }
        let mut at = self.blocks[blocks].span.start;
        // Cleaning took from the text what no reader sees; the words are cleaned alike and found again.
        let mut unseen = Hidden::default();
        for word in words {
            let text = clean(&word.text, &mut unseen);
            let text = text.trim();
            let rest = &self.text[at..];
            let near = &rest[..rest.ceil_char_boundary(WORD_REACH + text.len())];
            let Some(offset) = near.find(text).filter(|_| !text.is_empty()) else { continue };
            let span = Span::new(at + offset, at + offset + text.len());
            let (x0, y0, x1, y1) = word.area;
            self.words.push(Word::new(span, [x0, y0, x1, y1], word.confidence));
            at = span.end;
        }
    }

    /// Appends a table, rows of cells. Line breaks and tabs inside cells become blanks; empty rows and
    /// empty trailing cells vanish.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        let mut out = String::new();
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| collapse(cell)).collect();
            let line = cells.join("\t");
            let line = line.trim_end_matches('\t');
            if !line.trim().is_empty() {
                out.push_str(line);
                out.push('\n');
            }
        }
        self.block(BlockKind::Table, &out);
    }

    /// Number of the page being built, from 1.
    pub fn page_number(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX - 1) + 1
    }

    /// Says whether the page being built has no text yet.
    pub fn page_is_empty(&self) -> bool {
        self.text.len() == self.page_start
    }

    /// Says whether no block was stored at all.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Ends the present page, which may be empty, and begins the next.
    pub fn end_page(&mut self, size: Option<(f32, f32)>) {
        self.end_page_as(PageFacts { size, ..PageFacts::default() });
    }

    /// As [`Builder::end_page`], with more that is known of the page.
    pub fn end_page_as(&mut self, facts: PageFacts) {
        let PageFacts { size, rotation, recognised } = facts;
        let mut page = Page::new(self.page_number(), Span::new(self.page_start, self.text.len()));
        if recognised.is_some() {
            page.method = ExtractionMethod::Ocr;
        }
        (page.size, page.rotation, page.confidence) = (size, rotation, recognised);
        page.words = std::mem::take(&mut self.words);
        self.pages.push(page);
        self.page_start = self.text.len();
    }

    /// Ends the document: a last page that has text is ended, the title falls back to the first heading, the
    /// language is detected.
    ///
    /// # Errors
    /// [`ExtractError::Limit`] when the text grew over the limit; [`ExtractError::Internal`] for a document
    /// that breaks an invariant.
    pub fn finish(mut self, media: MediaType) -> Result<Extraction, ExtractError> {
        if self.overflow {
            return Err(ExtractError::limit("text in bytes", self.text_limit));
        }
        if !self.page_is_empty() || self.pages.is_empty() {
            self.end_page(None);
        }
        let mut metadata = self.metadata;
        for field in [&mut metadata.title, &mut metadata.author] {
            *field = field.take().map(|raw| collapse(&clean(&raw, &mut self.hidden))).filter(|text| !text.is_empty());
        }
        if metadata.title.is_none() {
            let heading = self.blocks.iter().find(|block| matches!(block.kind, BlockKind::Heading(_)));
            metadata.title = heading.and_then(|block| block.span.of(&self.text)).map(str::to_owned);
        }
        let document = Document {
            media_type: media.name().to_owned(),
            metadata,
            language: Language::detect(&self.text),
            text: self.text,
            pages: self.pages,
            blocks: self.blocks,
        };
        document.validate().map_err(|error| ExtractError::Internal { what: error.to_string() })?;
        let mut warnings = self.hidden.warnings();
        warnings.append(&mut self.warnings);
        Ok(Extraction { document, children: self.children, warnings })
    }
}

/// Collapses blanks within lines, drops empty lines at both ends.
fn tidy_lines(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(collapse).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> Builder {
        Builder::new(&ParseLimits::default())
    }

    #[test]
    fn text_pages_and_blocks_fit_together() {
        let mut builder = builder();
        builder.block(BlockKind::Heading(1), " Größe \n der Dinge ");
        builder.block(BlockKind::ListItem, "eins");
        builder.block(BlockKind::ListItem, "zwei");
        builder.block(BlockKind::Paragraph, " \u{200B} ");
        builder.end_page(Some((595.0, 842.0)));
        builder.end_page(None);
        builder.table(&[vec!["a\nb".into(), "c\td".into(), String::new()], vec![String::new()]]);
        let Extraction { document, warnings, .. } = builder.finish(MediaType::Text).unwrap();
        assert_eq!(document.text, "Größe der Dinge\n\neins\nzwei\na b\tc d\n");
        assert_eq!(document.metadata.title.as_deref(), Some("Größe der Dinge"));
        assert_eq!(document.pages.len(), 3);
        assert!(document.pages[1].span.is_empty());
        let blocks: Vec<_> =
            document.blocks.iter().map(|block| (block.page, block.span.of(&document.text).unwrap())).collect();
        assert_eq!(blocks, [(1, "Größe der Dinge"), (1, "eins"), (1, "zwei"), (3, "a b\tc d")]);
        assert_eq!(warnings, ["removed 1 zero-width characters"]);
    }

    #[test]
    fn an_empty_document_has_one_page() {
        let extraction = builder().finish(MediaType::Text).unwrap();
        assert_eq!(extraction.document.pages.len(), 1);
        assert_eq!(extraction.document.text, "");
    }

    #[test]
    fn text_over_the_limit_is_an_error_not_a_cut() {
        let mut builder = Builder::new(&ParseLimits { text_bytes: 10, ..ParseLimits::default() });
        builder.block(BlockKind::Paragraph, "12345");
        builder.block(BlockKind::Paragraph, "1234567");
        assert_eq!(builder.finish(MediaType::Text).unwrap_err().code(), "limit");
    }
}
