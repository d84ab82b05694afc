//! Plain text: paragraphs at blank lines, pages at form feeds, tables where columns are aligned with blanks.

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
            paragraph_and_tables(builder, &paragraph);
            paragraph.clear();
        }
    }
}

/// Appends a paragraph and the tables in it.
fn paragraph_and_tables(builder: &mut Builder, paragraph: &str) {
    let lines: Vec<&str> = paragraph.lines().collect();
    let (mut begin, mut at) = (0, 0);
    while at < lines.len() {
        let Some(rows) = table(&lines[at..]) else {
            at += 1;
            continue;
        };
        lines_alone(builder, &lines[begin..at]);
        at += rows.len();
        begin = at;
        builder.table(&rows);
    }
    lines_alone(builder, &lines[begin..]);
}

fn lines_alone(builder: &mut Builder, lines: &[&str]) {
    let paragraph = lines.join("\n");
    let kind = if is_drawn(&paragraph) { BlockKind::Code } else { BlockKind::Paragraph };
    builder.block(kind, &paragraph);
}

/// The table that `lines` begin with, if they do: its rows of cells. Blanks keep its columns apart, three at least or else two.
fn table(lines: &[&str]) -> Option<Vec<Vec<String>>> {
    ["   ", "  "].into_iter().find_map(|gap| aligned(lines, gap))
}

/// The rows that stand under the first line's cells, when there are [`ROWS`] with it and columns enough.
fn aligned(lines: &[&str], gap: &str) -> Option<Vec<Vec<String>>> {
    let head = cells(lines.first()?, gap);
    if head.len() < 2 {
        return None;
    }
    let rows = lines.iter().map_while(|line| row(&head, &cells(line, gap)));
    let rows: Vec<Vec<String>> = rows.collect();
    (rows.len() >= ROWS).then_some(rows)
}

/// Fewest rows of a table, the names of its columns among them.
const ROWS: usize = 3;

/// A cell of a line: the columns of characters at which it begins and ends, and what it says.
type Cell<'a> = (usize, usize, &'a str);

/// The cells of a line, kept apart by `gap` or more.
fn cells<'a>(line: &'a str, gap: &str) -> Vec<Cell<'a>> {
    let mut column = 0;
    let mut cells = Vec::new();
    for piece in line.split(gap) {
        let text = piece.trim();
        let begin = column + piece.chars().take_while(|c| c.is_whitespace()).count();
        if !text.is_empty() {
            cells.push((begin, begin + text.chars().count(), text));
        }
        column += piece.chars().count() + gap.len();
    }
    cells
}

/// The cells of a line in the columns of `head`, the first that each stands under: one in each, some beside the first column, of
/// which one at least begins or ends where the head's does.
fn row(head: &[Cell<'_>], cells: &[Cell<'_>]) -> Option<Vec<String>> {
    let mut row = vec![String::new(); head.len()];
    let mut is_aligned = false;
    for &(begin, end, text) in cells {
        let under = head.iter().position(|(start, until, _)| begin < *until && *start < end);
        let column = under.or_else(|| head.iter().rposition(|(start, ..)| *start <= begin))?;
        if !row[column].is_empty() {
            return None;
        }
        is_aligned |= column > 0 && (begin == head[column].0 || end == head[column].1);
        text.clone_into(&mut row[column]);
    }
    is_aligned.then_some(row)
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
    fn three_aligned_lines_are_a_table() {
        let text = "Art. 6  Masse\nZone           Fassade   Ziffer\nW2 Wohnzone    7,0 m     0,30\nK  Kernzone    11,5 m\nAlles gilt ab heute.";
        let document = parse(text.as_bytes(), &ParseLimits::default()).unwrap().document;
        let blocks: Vec<_> =
            document.blocks.iter().map(|block| (block.kind, block.span.of(&document.text).unwrap())).collect();
        assert_eq!(
            blocks,
            [
                (BlockKind::Paragraph, "Art. 6 Masse"),
                (BlockKind::Table, "Zone\tFassade\tZiffer\nW2 Wohnzone\t7,0 m\t0,30\nK Kernzone\t11,5 m"),
                (BlockKind::Paragraph, "Alles gilt ab heute."),
            ]
        );
        let english = "  Level   Day        Fee\n  A1      Monday      290\n  A2      Tuesday   1,320";
        let document = parse(english.as_bytes(), &ParseLimits::default()).unwrap().document;
        assert!(document.text.ends_with("A1\tMonday\t290\nA2\tTuesday\t1,320\n"), "{}", document.text);
    }

    #[test]
    fn what_is_not_aligned_is_no_table() {
        for text in [
            "One  two words.\nThree  four.\nFive words  six.",
            "   /\\   \n  /  \\  \n /    \\ ",
            "Sehr geehrte   Damen\nund Herren",
            "a  b\nc  d",
        ] {
            let document = parse(text.as_bytes(), &ParseLimits::default()).unwrap().document;
            assert!(document.blocks.iter().all(|block| block.kind != BlockKind::Table), "{text}: {:?}", document.text);
        }
    }

    #[test]
    fn only_blanks_is_empty() {
        assert_eq!(parse(b" \n\x0C\n\t", &ParseLimits::default()).unwrap_err(), ExtractError::Empty);
    }
}
