//! Sheets of plain type for stored text that has no pages to draw: a small PDF made here and drawn like any
//! other. One sheet shows where a span stands; it does not imitate the original's look.

use std::fmt::Write as _;

use fontes_core::{BBox, BlockKind, Document, Span};

/// A4 in points, with its margin.
const SHEET: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 56.0;

/// Courier: every character is 0.6 em wide, so places need no font tables.
const SIZE: f32 = 10.0;
const ADVANCE: f32 = 0.6 * SIZE;
const LEADING: f32 = 13.0;

/// Characters per line and lines per sheet that the margins leave.
const COLUMNS: usize = 80;
const ROWS: usize = 56;

/// One sheet of a document's stored text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// A PDF file of one page.
    pub pdf: Vec<u8>,
    /// Where the span stands on it.
    pub boxes: Vec<BBox>,
}

/// A line of type: part of the text, and whether it is a heading's.
struct Row {
    span: Span,
    bold: bool,
}

/// Sets the sheet of page `page` on which `marked` begins; the page's first sheet without a mark.
///
/// Characters that the fonts of every PDF reader lack (anything but Western European) are shown as `?`.
pub fn typeset(document: &Document, page: u32, marked: Option<Span>) -> Sheet {
    let rows = rows(document, page);
    let first = marked.and_then(|marked| rows.iter().position(|row| row.span.overlaps(&marked)));
    let sheet = first.unwrap_or(0) / ROWS * ROWS;
    let shown = &rows[sheet.min(rows.len())..(sheet + ROWS).min(rows.len())];
    let mut content = String::from("BT\n");
    let mut boxes = Vec::new();
    let mut top = MARGIN;
    for row in shown {
        let text = row.span.of(&document.text).unwrap_or_default();
        let font = if row.bold { "B" } else { "R" };
        let baseline = SHEET.1 - top - SIZE;
        // Writing to a string cannot fail.
        let _ = writeln!(content, "/{font} {SIZE} Tf 1 0 0 1 {MARGIN} {baseline} Tm <{}> Tj", encoded(text));
        if let Some(marked) = marked.filter(|marked| marked.overlaps(&row.span)) {
            let place = |at: usize| {
                let before = text.get(..at.saturating_sub(row.span.start).min(text.len())).unwrap_or(text);
                #[expect(clippy::cast_precision_loss, reason = "at most eighty characters")]
                let characters = shown_characters(before).count() as f32;
                MARGIN + characters * ADVANCE
            };
            let (x0, x1) = (place(marked.start), place(marked.end.min(row.span.end)));
            boxes.push(BBox { page: 1, x0, y0: top, x1, y1: top + SIZE * 1.25 });
        }
        top += LEADING;
    }
    content.push_str("ET");
    Sheet { pdf: file(&content), boxes }
}

/// Breaks a page's text into lines that fit, blocks apart.
fn rows(document: &Document, page: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    let Some(page) = document.pages.iter().find(|candidate| candidate.number == page) else { return rows };
    let mut start = page.span.start;
    for line in page.span.of(&document.text).unwrap_or_default().split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        let whole = Span::new(start, start + text.len());
        let bold = document
            .blocks
            .iter()
            .any(|block| matches!(block.kind, BlockKind::Heading(_)) && block.span.overlaps(&whole));
        let mut from = 0;
        loop {
            let rest = &text[from..];
            let length = broken(rest);
            rows.push(Row { span: Span::new(start + from, start + from + length), bold });
            from += length;
            from += text[from..].len() - text[from..].trim_start_matches(' ').len();
            if from >= text.len() {
                break;
            }
        }
        start += line.len();
    }
    rows
}

/// How many bytes of a line fit: up to the last blank within the columns, or all columns of a long word.
fn broken(text: &str) -> usize {
    let (mut used, mut blank) = (0, None);
    for (at, c) in text.char_indices() {
        used += if c == '\t' { TAB.len() } else { 1 };
        if used > COLUMNS {
            return blank.filter(|blank| *blank > 0).unwrap_or(at.max(c.len_utf8()));
        }
        if c == ' ' {
            blank = Some(at);
        }
    }
    text.len()
}

/// Cells of a table are separated by this.
const TAB: &str = " | ";

fn shown_characters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(|c| {
        let tab = (c == '\t').then(|| TAB.chars());
        tab.into_iter().flatten().chain((c != '\t').then_some(c))
    })
}

/// The text as hexadecimal digits in Windows code page 1252 (WinAnsiEncoding).
fn encoded(text: &str) -> String {
    let mut digits = String::with_capacity(text.len() * 2);
    for c in shown_characters(text) {
        let mut utf8 = [0; 4];
        let (byte, _, unknown) = encoding_rs::WINDOWS_1252.encode(c.encode_utf8(&mut utf8));
        let byte = if unknown { b'?' } else { byte.first().copied().unwrap_or(b'?') };
        let _ = write!(digits, "{byte:02X}");
    }
    digits
}

/// A PDF of one page with this content.
fn file(content: &str) -> Vec<u8> {
    let font = |name: &str| format!("<</Type/Font/Subtype/Type1/BaseFont/{name}/Encoding/WinAnsiEncoding>>");
    let (width, height) = SHEET;
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!("<</Type/Pages/Count 1/Kids[3 0 R]/MediaBox[0 0 {width} {height}]>>"),
        "<</Type/Page/Parent 2 0 R/Resources<</Font<</R 5 0 R/B 6 0 R>>>>/Contents 4 0 R>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        font("Courier"),
        font("Courier-Bold"),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut table = String::from("0000000000 65535 f \n");
    for (number, object) in (1..).zip(&objects) {
        let _ = writeln!(table, "{:010} 00000 n ", out.len());
        let _ = write!(out, "{number} 0 obj\n{object}\nendobj\n");
    }
    let (start, size) = (out.len(), objects.len() + 1);
    let _ = write!(out, "xref\n0 {size}\n{table}trailer<</Root 1 0 R/Size {size}>>\nstartxref\n{start}\n%%EOF\n");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ParseLimits, parse};

    #[test]
    fn a_sheet_says_what_the_text_says_and_boxes_lie_on_the_words() {
        let text = format!("# Größe\n\n{}Hier steht die gesuchte Stelle im Text.\n", "Viel Text davor. ".repeat(400));
        let document = parse(text.as_bytes(), "a.md", &ParseLimits::default()).unwrap().document;
        let start = document.text.find("gesuchte Stelle").unwrap();
        let sheet = typeset(&document, 1, Some(Span::new(start, start + "gesuchte Stelle".len())));
        let drawn = parse(&sheet.pdf, "sheet.pdf", &ParseLimits::default()).unwrap().document;
        assert!(drawn.text.contains("die gesuchte Stelle im Text."), "{}", drawn.text);
        assert!(!drawn.text.contains("Größe"), "the mark is on a later sheet");
        let at = drawn.text.find("gesuchte Stelle").unwrap();
        let [found] = drawn.boxes_of(&Span::new(at, at + "gesuchte Stelle".len()))[..] else { panic!("one line") };
        let [made] = sheet.boxes[..] else { panic!("one line") };
        assert!((found.x0 - made.x0).abs() < 1.0 && (found.x1 - made.x1).abs() < 1.0, "{found:?} {made:?}");
        assert!(found.y0 < made.y1 && made.y0 < found.y1, "{found:?} {made:?}");
    }

    #[test]
    fn long_words_tables_and_foreign_letters_are_set_somehow() {
        let text = format!("a,b\n1,{}\n漢字,2\n", "x".repeat(300));
        let document = parse(text.as_bytes(), "a.csv", &ParseLimits::default()).unwrap().document;
        let sheet = typeset(&document, 1, None);
        let drawn = parse(&sheet.pdf, "sheet.pdf", &ParseLimits::default()).unwrap().document.text;
        assert!(drawn.contains("a | b") && drawn.contains("?? | 2"), "{drawn}");
        assert!(typeset(&document, 9, None).boxes.is_empty());
    }
}
