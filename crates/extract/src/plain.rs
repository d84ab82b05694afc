//! Plain text: paragraphs at blank lines, pages at form feeds.

use fontes_core::BlockKind;

use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, encoding};

/// Parses plain text.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, None);
    let mut builder = Builder::new(limits);
    for (index, page) in text.split('\u{0C}').enumerate() {
        if index > 0 {
            builder.end_page(None);
        }
        blocks(&mut builder, page);
    }
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Text)
}

/// Appends the paragraphs of `text`; those that look drawn with blanks keep their layout.
pub(crate) fn blocks(builder: &mut Builder, text: &str) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            paragraph.push_str(line);
            paragraph.push('\n');
        } else if !paragraph.is_empty() {
            let kind = if is_drawn(&paragraph) { BlockKind::Code } else { BlockKind::Paragraph };
            builder.block(kind, &paragraph);
            paragraph.clear();
        }
    }
}

/// Says whether most lines are aligned with runs of blanks: a table or a drawing, whose layout is meaning.
fn is_drawn(paragraph: &str) -> bool {
    let lines = paragraph.lines().count();
    let aligned = paragraph.lines().filter(|line| line.trim().contains("   ")).count();
    lines >= 2 && aligned * 2 > lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_feeds_are_page_breaks() {
        let extraction = parse(b"one\r\ntwo\r\n\r\nthree\x0Cfour\n\x0C", &ParseLimits::default()).unwrap();
        let document = extraction.document;
        assert_eq!(document.text, "one\ntwo\n\nthree\nfour\n");
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.blocks.iter().map(|block| block.page).collect::<Vec<_>>(), [1, 1, 2]);
        assert!(extraction.warnings.is_empty());
    }

    #[test]
    fn aligned_columns_keep_their_blanks() {
        let text = b"Name    Amount\nRent    1200\n\nJust   prose here\nand here.";
        let document = parse(text, &ParseLimits::default()).unwrap().document;
        assert_eq!(document.blocks[0].kind, BlockKind::Code);
        assert!(document.text.starts_with("Name    Amount\nRent    1200\n\nJust prose"));
    }

    #[test]
    fn only_blanks_is_empty() {
        assert_eq!(parse(b" \n\x0C\n\t", &ParseLimits::default()).unwrap_err(), ExtractError::Empty);
    }
}
