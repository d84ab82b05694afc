//! Rich Text Format (version 1.9.1), read as Word shows it.
//!
//! A small reader of its own: the format is a stream of groups and control words, and what matters for text
//! is little. Eight-bit text is decoded by the code page of its font.

mod charset;
mod reader;

use crate::{ExtractError, Extraction, MediaType, ParseLimits};

/// Parses an RTF file.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let builder = reader::Reader::new(limits).read(bytes)?;
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Rtf)
}

#[cfg(test)]
mod tests {
    use fontes_core::BlockKind;

    use super::*;

    fn parsed(rtf: &[u8]) -> Extraction {
        parse(rtf, &ParseLimits::default()).unwrap()
    }

    fn blocks(extraction: &Extraction) -> Vec<(BlockKind, u32, &str)> {
        let document = &extraction.document;
        document.blocks.iter().map(|block| (block.kind, block.page, block.span.of(&document.text).unwrap())).collect()
    }

    #[test]
    fn text_styles_tables_and_notes_are_read() {
        let extraction = parsed(
            br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}{\f1\fcharset204 Cyr;}}{\stylesheet{\s1 heading 1;}{\s2 Normal;}}
{\info{\title Der Titel}{\author Eva}{\creatim\yr2024\mo1\dy2\hr3\min4}}{\header Kopf\par}{\*\unknown secret}
\pard\s1 Gr\'fc\'dfe\par\pard\s2 Ein \u8364?uro{\footnote Die Note.} und {\f1\'cf\'f0\'e8} {\v hidden}\emdash \par
{\listtext\'b7\tab}Punkt\par\page Zweite\line Zeile\par
\trowd\intbl A\cell B\cell\row\trowd\intbl 1\cell 2\cell\row\pard Ende\par}",
        );
        let expected = [
            (BlockKind::Heading(1), 1, "Grüße"),
            (BlockKind::Paragraph, 1, "Ein €uro[1] und При —"),
            (BlockKind::Footnote, 1, "[1] Die Note."),
            (BlockKind::ListItem, 1, "- Punkt"),
            (BlockKind::Paragraph, 2, "Zweite\nZeile"),
            (BlockKind::Table, 2, "A\tB\n1\t2"),
            (BlockKind::Paragraph, 2, "Ende"),
            (BlockKind::Furniture, 2, "Kopf"),
        ];
        assert_eq!(blocks(&extraction), expected);
        let metadata = &extraction.document.metadata;
        assert_eq!(metadata.title.as_deref(), Some("Der Titel"));
        assert_eq!(metadata.created.as_deref(), Some("2024-01-02T03:04:00Z"));
        assert_eq!(extraction.warnings, ["left out 1 runs of hidden text"]);
    }

    #[test]
    fn surrogates_and_replacement_characters_are_handled() {
        let extraction = parsed(br"{\rtf1\ansi\uc1 a\u-10179?\u-8694?b{\uc2\u228 xy}\uc0\u246 c\par}");
        assert_eq!(extraction.document.text, "a😊bäöc\n");
    }

    #[test]
    fn hostile_files_end() {
        let deep = [b"{\\rtf1 ".as_slice(), &b"{".repeat(100_000)].concat();
        assert_eq!(parse(&deep, &ParseLimits::default()).unwrap_err().code(), "limit");
        assert_eq!(parse(b"{\\rtf1 \\bin999999999 x}", &ParseLimits::default()).unwrap_err(), ExtractError::Empty);
        assert_eq!(parsed(b"{\\rtf1 cut").document.text, "cut\n");
    }
}
