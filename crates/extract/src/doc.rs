//! Word documents before DOCX ([MS-DOC]; Word 6 and 95 in their simple form): the text through the piece
//! table, tables and notes by their marks.
//!
//! Styles are not read, so headings are paragraphs here; page breaks are those that the author set.

use encoding_rs::WINDOWS_1252;
use fontes_core::BlockKind;

use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, compound::Compound};

/// Offsets in the file information block ([MS-DOC] 2.5).
const VERSION: usize = 0x02;
const FLAGS: usize = 0x0A;
const TEXT_LENGTHS: usize = 0x4C;
const PIECE_TABLE: usize = 0x1A2;

/// The same in the block of Word 6 and 95: where the text begins and ends, and the lengths of its parts.
const OLD_TEXT: usize = 0x18;
const OLD_TEXT_LENGTHS: usize = 0x34;

/// First version whose block is laid out as read here (Word 97).
const WORD_97: u16 = 0xC1;

/// Most pieces of a document. A document saved a thousand times by Word's fast save has some ten thousand.
const PIECES_LIMIT: usize = 1_000_000;

/// Parses a document.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut file = Compound::open(bytes)?;
    let main = file.stream("/WordDocument").ok_or_else(|| ExtractError::corrupted("no WordDocument stream"))?;
    let flags = u16_at(&main, FLAGS)?;
    if flags & 0x0100 != 0 {
        return Err(ExtractError::Encrypted { what: "the document".into() });
    }
    let old = u16_at(&main, VERSION)? < WORD_97;
    let text = if old {
        old_text(&main, flags)?
    } else {
        let table = file.stream(if flags & 0x0200 == 0 { "/0Table" } else { "/1Table" });
        let table = table.ok_or_else(|| ExtractError::corrupted("no table stream"))?;
        let start = usize_at(&main, PIECE_TABLE)?;
        text(&main, table.get(start..).unwrap_or(&[]), limits)?
    };
    let lengths = if old { OLD_TEXT_LENGTHS } else { TEXT_LENGTHS };
    // Body, footnotes, headers, macros, comments, endnotes follow each other; lengths are in characters.
    let mut parts = Vec::new();
    let mut from = 0_usize;
    for index in 0..6 {
        let length = usize_at(&main, lengths + index * 4)?;
        let to = from.saturating_add(length).min(text.len());
        parts.push(text.get(from..to).unwrap_or(&[]));
        from = to;
    }
    let mut builder = Builder::new(limits);
    blocks(&mut builder, parts[0], BlockKind::Paragraph);
    for (index, kind) in
        [(1, BlockKind::Footnote), (5, BlockKind::Footnote), (4, BlockKind::Footnote), (2, BlockKind::Furniture)]
    {
        blocks(&mut builder, parts[index], kind);
    }
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Doc)
}

/// The text of Word 6 and 95: one run of bytes in the code page of Western Windows, unless saved fast.
fn old_text(main: &[u8], flags: u16) -> Result<Vec<u16>, ExtractError> {
    if flags & 0x0004 != 0 {
        return Err(ExtractError::Unsupported { media_type: "application/msword; version=95, fast-saved".into() });
    }
    let (from, to) = (usize_at(main, OLD_TEXT)?, usize_at(main, OLD_TEXT + 4)?);
    let bytes = main.get(from..to.min(main.len())).ok_or_else(|| ExtractError::corrupted("text out of the file"))?;
    Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0.encode_utf16().collect())
}

/// Puts the text together from its pieces, one UTF-16 unit per character position.
fn text(main: &[u8], table: &[u8], limits: &ParseLimits) -> Result<Vec<u16>, ExtractError> {
    let mut at = 0;
    // Property blocks stand before the pieces.
    while table.get(at) == Some(&1) {
        at += 3 + usize::from(u16_at(table, at + 1)?);
    }
    if table.get(at) != Some(&2) {
        return Err(ExtractError::corrupted("no piece table"));
    }
    let count = usize_at(table, at + 1)?.saturating_sub(4) / 12;
    let positions = at + 5;
    if count == 0 || count > PIECES_LIMIT {
        return Err(ExtractError::corrupted("the piece table has no believable length"));
    }
    let mut units = Vec::new();
    for index in 0..count {
        let begin = usize_at(table, positions + index * 4)?;
        let end = usize_at(table, positions + (index + 1) * 4)?;
        let descriptor = positions + (count + 1) * 4 + index * 8;
        let place = usize_at(table, descriptor + 2)?;
        let length = end.saturating_sub(begin);
        if (units.len() as u64 + length as u64) * 2 > limits.text_bytes {
            return Err(ExtractError::limit("text in bytes", limits.text_bytes));
        }
        let compressed = place & 0x4000_0000 != 0;
        let place = place & 0x3FFF_FFFF;
        if compressed {
            let bytes = main.get(place / 2..).unwrap_or(&[]);
            let text = WINDOWS_1252.decode_without_bom_handling(&bytes[..length.min(bytes.len())]).0;
            units.extend(text.encode_utf16());
        } else {
            let bytes = main.get(place..).unwrap_or(&[]);
            units.extend(bytes.chunks_exact(2).take(length).map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
        }
    }
    Ok(units)
}

/// Appends paragraphs of `kind`; cells and rows are told by their marks.
fn blocks(builder: &mut Builder, units: &[u16], kind: BlockKind) {
    let text = String::from_utf16_lossy(units);
    let (mut paragraph, mut row, mut rows) = (String::new(), Vec::new(), Vec::<Vec<String>>::new());
    // Field codes stand between their begin and separator; fields nest.
    let mut fields: Vec<bool> = Vec::new();
    for c in text.chars() {
        match c {
            '\u{13}' => fields.push(true),
            '\u{14}' => {
                if let Some(code) = fields.last_mut() {
                    *code = false;
                }
            }
            '\u{15}' => {
                fields.pop();
            }
            _ if fields.contains(&true) => {}
            // A row ends with a mark right behind that of its last cell.
            '\u{7}' if paragraph.is_empty() && !row.is_empty() => rows.push(std::mem::take(&mut row)),
            '\u{7}' => row.push(std::mem::take(&mut paragraph)),
            '\r' | '\u{C}' if row.is_empty() => {
                if !paragraph.trim().is_empty() {
                    builder.table(&std::mem::take(&mut rows));
                    builder.block(kind, &std::mem::take(&mut paragraph));
                }
                paragraph.clear();
                if c == '\u{C}' && kind == BlockKind::Paragraph && !builder.page_is_empty() {
                    builder.table(&std::mem::take(&mut rows));
                    builder.end_page(None);
                }
            }
            '\r' | '\u{C}' => paragraph.push(' '),
            '\u{B}' => paragraph.push('\n'),
            '\u{1E}' => paragraph.push('-'),
            // Pictures, note references, optional hyphens.
            '\u{1}'..='\u{8}' | '\u{1F}' => {}
            c => paragraph.push(c),
        }
    }
    rows.extend((!row.is_empty()).then_some(row));
    builder.table(&rows);
    builder.block(kind, &paragraph);
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ExtractError> {
    let pair = at.checked_add(2).and_then(|end| bytes.get(at..end));
    pair.and_then(|pair| pair.try_into().ok()).map(u16::from_le_bytes).ok_or_else(cut)
}

fn usize_at(bytes: &[u8], at: usize) -> Result<usize, ExtractError> {
    let word = at.checked_add(4).and_then(|end| bytes.get(at..end));
    let word: u32 = word.and_then(|word| word.try_into().ok()).map(u32::from_le_bytes).ok_or_else(cut)?;
    usize::try_from(word).map_err(|_| cut())
}

fn cut() -> ExtractError {
    ExtractError::corrupted("the document is cut")
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use cfb::CompoundFile;

    use super::*;

    /// A document of two pieces, eight-bit and wide, with a footnote behind the body.
    fn document(flags: u16) -> Vec<u8> {
        let (body, wide) =
            ("Gr\u{fc}\u{df}e\rA\u{7}B\u{7}\u{7}1\u{7}2\u{7}\u{7}", "\u{13}PAGE\u{14}7\u{15} Seite\u{C}zwei\rNote\r");
        let note = "Note\r".len();
        let mut main = vec![0; 0x200];
        main[VERSION..VERSION + 2].copy_from_slice(&WORD_97.to_le_bytes());
        main[FLAGS..FLAGS + 2].copy_from_slice(&flags.to_le_bytes());
        let (eight, all) = (body.chars().count(), body.chars().count() + wide.chars().count());
        let mut put =
            |at: usize, value: usize| main[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
        put(TEXT_LENGTHS, all - note);
        put(TEXT_LENGTHS + 4, note);
        main.extend(body.chars().map(|c| u8::try_from(c as u32).unwrap()));
        let wide_at = main.len();
        main.extend(wide.encode_utf16().flat_map(u16::to_le_bytes));
        let mut table = vec![1, 2, 0, 9, 9, 2];
        let mut word = |value: usize| table.extend(u32::try_from(value).unwrap().to_le_bytes());
        word(28);
        [0, eight, all].into_iter().for_each(&mut word);
        for place in [(0x200 * 2) | 0x4000_0000, wide_at] {
            table.extend([0, 0]);
            table.extend(u32::try_from(place).unwrap().to_le_bytes());
            table.extend([0, 0]);
        }
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        for (name, content) in [("/WordDocument", &main), ("/0Table", &table)] {
            file.create_stream(name).unwrap().write_all(content).unwrap();
        }
        file.into_inner().into_inner()
    }

    #[test]
    fn pieces_tables_fields_and_notes_are_read() {
        let document = crate::parse(&document(0), "x.doc", &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Grüße\n\nA\tB\n1\t2\n\n7 Seite\nzwei\n\nNote\n");
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.blocks.last().unwrap().kind, BlockKind::Footnote);
    }

    #[test]
    fn word_6_stores_its_text_in_one_run() {
        let mut main = vec![0; 0x200];
        main[VERSION] = 101;
        let text = b"Gr\xFC\xDFe\rzweitens\rNote\r";
        let mut put =
            |at: usize, value: usize| main[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
        put(OLD_TEXT, 0x200);
        put(OLD_TEXT + 4, 0x200 + text.len());
        put(OLD_TEXT_LENGTHS, text.len() - 5);
        put(OLD_TEXT_LENGTHS + 4, 5);
        main.extend(text);
        let file = |main: &[u8]| {
            let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
            file.create_stream("/WordDocument").unwrap().write_all(main).unwrap();
            file.into_inner().into_inner()
        };
        let document = parse(&file(&main), &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Grüße\n\nzweitens\n\nNote\n");
        main[FLAGS] = 0x04;
        assert_eq!(parse(&file(&main), &ParseLimits::default()).unwrap_err().code(), "unsupported");
    }

    #[test]
    fn locked_and_cut_documents_are_typed_errors() {
        let code = |bytes: &[u8]| parse(bytes, &ParseLimits::default()).unwrap_err().code();
        assert_eq!(code(&document(0x0100)), "encrypted");
        assert_eq!(code(&document(0x0200)), "corrupted");
        assert_eq!(code(&document(0)[..600]), "corrupted");
    }
}
