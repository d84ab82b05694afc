//! PowerPoint presentations before PPTX ([MS-PPT]): a page per slide, title first, then text, then notes.
//!
//! A presentation is a tree of records; saving appends, and a directory says which copy of an object counts.
//! Text of placeholders stands in the outline of the document, other text with the shapes of the slide, which
//! refer to the outline by number.

use std::collections::HashMap;

use encoding_rs::WINDOWS_1252;
use fontes_core::BlockKind;

use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, compound::Compound};

/// Record types ([MS-PPT] 2.13.24).
mod kind {
    pub const DOCUMENT: u16 = 0x03E8;
    pub const SLIDE_ATOM: u16 = 0x03EF;
    pub const SLIDE_PERSIST: u16 = 0x03F3;
    pub const OUTLINE: u16 = 0x0FF0;
    pub const OUTLINE_REF: u16 = 0x0F9E;
    pub const TEXT_HEADER: u16 = 0x0F9F;
    pub const TEXT_WIDE: u16 = 0x0FA0;
    pub const TEXT_BYTES: u16 = 0x0FA8;
    pub const USER_EDIT: u16 = 0x0FF5;
    pub const DIRECTORY: u16 = 0x1772;
}

/// Begins the stream that points to the newest save; the other value says that the file is encrypted.
const ENCRYPTED: u32 = 0xF3D1_C4DF;

/// Most saves followed back. Each is one round of "fast save".
const EDITS_LIMIT: usize = 10_000;

/// Outlines of the slides and of the notes, told by their record's instance; masters have another.
const SLIDES: u16 = 0;
const NOTES: u16 = 2;

/// Parses a presentation.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut file = Compound::open(bytes)?;
    let missing = |what: &str| ExtractError::corrupted(format!("no {what} stream"));
    let user = file.stream("/Current User").ok_or_else(|| missing("Current User"))?;
    let content = file.stream("/PowerPoint Document").ok_or_else(|| missing("PowerPoint Document"))?;
    if u32_at(&user, 12) == Some(ENCRYPTED) {
        return Err(ExtractError::Encrypted { what: "the presentation".into() });
    }
    let presentation = Presentation::open(&content, u32_at(&user, 16).unwrap_or(0))?;
    let mut builder = Builder::new(limits);
    presentation.write(&mut builder);
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Ppt)
}

/// A record: its type, its instance, and what it holds.
#[derive(Clone, Copy)]
struct Record<'a> {
    kind: u16,
    instance: u16,
    is_container: bool,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; one that is cut short holds what there is.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (version, kind) = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
        let length = usize::try_from(u32_at(bytes, 4)?).ok()?;
        let rest = bytes.get(8..)?;
        let (body, rest) = rest.split_at(length.min(rest.len()));
        Some((Self { kind, instance: version >> 4, is_container: version & 0xF == 0xF, body }, rest))
    }

    /// The records inside a container.
    fn children(self) -> impl Iterator<Item = Self> {
        let mut rest = if self.is_container { self.body } else { &[] };
        std::iter::from_fn(move || {
            let (record, after) = Self::read(rest)?;
            rest = after;
            Some(record)
        })
    }

    /// All records inside, in the order of the file. No recursion: hostile files nest as deep as they are long.
    fn descendants(self) -> Vec<Self> {
        let (mut found, mut waiting) = (Vec::new(), vec![self]);
        while let Some(record) = waiting.pop() {
            found.push(record);
            let children: Vec<Self> = record.children().collect();
            waiting.extend(children.into_iter().rev());
        }
        found
    }
}

/// A text and what it is ([MS-PPT] 2.13.33).
#[derive(Clone, Debug, Default)]
struct Text {
    is_title: bool,
    text: String,
}

/// A slide, or the notes of one, in the order of the outline.
struct Entry {
    /// Key into the directory of objects.
    object: u32,
    /// Number by which slides name their notes.
    id: u32,
    texts: Vec<Text>,
}

/// What is needed to read slides.
struct Presentation<'a> {
    content: &'a [u8],
    objects: HashMap<u32, u32>,
    slides: Vec<Entry>,
    notes: Vec<Entry>,
}

impl<'a> Presentation<'a> {
    /// Follows the saves from the newest back; what a newer one says of an object counts.
    fn open(content: &'a [u8], newest: u32) -> Result<Self, ExtractError> {
        let at = |offset: u32| {
            let rest = content.get(usize::try_from(offset).ok()?..)?;
            Some(Record::read(rest)?.0)
        };
        let (mut objects, mut document, mut next) = (HashMap::new(), None, newest);
        for _ in 0..EDITS_LIMIT {
            let Some(edit) = at(next).filter(|record| record.kind == kind::USER_EDIT) else { break };
            let field = |offset: usize| u32_at(edit.body, offset).unwrap_or(0);
            document = document.or(Some(field(16)));
            let directory = at(field(12)).filter(|record| record.kind == kind::DIRECTORY);
            directory.iter().for_each(|directory| read_directory(directory.body, &mut objects));
            next = field(8);
            if next == 0 {
                break;
            }
        }
        let document = document.and_then(|id| at(*objects.get(&id)?)).filter(|record| record.kind == kind::DOCUMENT);
        let document = document.ok_or_else(|| ExtractError::corrupted("the presentation has no document record"))?;
        let outline = |instance: u16| -> Vec<Entry> {
            let lists = document.children().filter(|list| list.kind == kind::OUTLINE && list.instance == instance);
            lists.flat_map(entries).collect()
        };
        Ok(Self { content, slides: outline(SLIDES), notes: outline(NOTES), objects })
    }

    fn object(&self, id: u32) -> Option<Record<'a>> {
        let offset = usize::try_from(*self.objects.get(&id)?).ok()?;
        Some(Record::read(self.content.get(offset..)?)?.0)
    }

    fn write(&self, builder: &mut Builder) {
        for slide in &self.slides {
            let record = self.object(slide.object);
            let texts = record.map_or_else(|| slide.texts.clone(), |record| texts_of(record, &slide.texts));
            let (titles, others): (Vec<&Text>, Vec<&Text>) = texts.iter().partition(|text| text.is_title);
            titles.iter().for_each(|title| builder.block(BlockKind::Heading(1), &title.text));
            for Text { text, .. } in others {
                let items: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                match items.as_slice() {
                    [] => {}
                    [one] => builder.block(BlockKind::Paragraph, one),
                    items => items.iter().for_each(|item| builder.block(BlockKind::ListItem, &format!("- {item}"))),
                }
            }
            let notes = record.and_then(notes_of).and_then(|id| self.notes.iter().find(|notes| notes.id == id));
            if let Some(notes) = notes {
                let texts = self.object(notes.object).map(|record| texts_of(record, &notes.texts)).unwrap_or_default();
                let texts: Vec<&str> = texts.iter().map(|text| text.text.trim()).collect();
                let text = texts.join("\n");
                if !text.trim().is_empty() {
                    builder.block(BlockKind::Footnote, &format!("Notes: {text}"));
                }
            }
            builder.end_page(None);
        }
    }
}

/// Reads runs of offsets ([MS-PPT] 2.3.4): twenty bits of the first id, twelve of their number.
fn read_directory(body: &[u8], objects: &mut HashMap<u32, u32>) {
    let mut words = body.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    while let Some(run) = words.next() {
        let (first, count) = (run & 0xF_FFFF, run >> 20);
        for (id, offset) in (first..first + count).zip(&mut words) {
            objects.entry(id).or_insert(offset);
        }
    }
}

/// The entries of an outline, each with the texts that follow it.
fn entries(outline: Record<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for record in outline.children() {
        match record.kind {
            kind::SLIDE_PERSIST => {
                let field = |at: usize| u32_at(record.body, at).unwrap_or(0);
                entries.push(Entry { object: field(0), id: field(12), texts: Vec::new() });
            }
            kind::TEXT_HEADER => {
                // A header without text behind it still counts: slides refer to texts by number.
                let text = Text { is_title: is_title_kind(record), text: String::new() };
                if let Some(entry) = entries.last_mut() {
                    entry.texts.push(text);
                }
            }
            _ => {
                let last = entries.last_mut().and_then(|entry| entry.texts.last_mut());
                if let (Some(last), Some(text)) = (last, text_of(record)) {
                    last.text = text;
                }
            }
        }
    }
    entries
}

/// The texts of a slide in the order of its shapes; those it takes from the outline are looked up there.
fn texts_of(slide: Record<'_>, outline: &[Text]) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut is_title = false;
    for record in slide.descendants() {
        match record.kind {
            kind::TEXT_HEADER => is_title = is_title_kind(record),
            kind::OUTLINE_REF => {
                let number = u32_at(record.body, 0).and_then(|number| usize::try_from(number).ok());
                texts.extend(number.and_then(|number| outline.get(number)).cloned());
            }
            _ => texts.extend(text_of(record).map(|text| Text { is_title, text })),
        }
    }
    texts
}

fn is_title_kind(header: Record<'_>) -> bool {
    matches!(u32_at(header.body, 0), Some(0 | 6))
}

/// The text of a record that holds some: lines end with CR, and VT breaks a line in a paragraph.
fn text_of(record: Record<'_>) -> Option<String> {
    let text = match record.kind {
        kind::TEXT_WIDE => {
            let units: Vec<u16> =
                record.body.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        // The low bytes of UTF-16; programs wrote Windows-1252 all the same.
        kind::TEXT_BYTES => WINDOWS_1252.decode_without_bom_handling(record.body).0.into_owned(),
        _ => return None,
    };
    Some(text.replace('\r', "\n").replace('\u{B}', " "))
}

/// The number of the notes that belong to a slide.
fn notes_of(slide: Record<'_>) -> Option<u32> {
    let atom = slide.children().find(|record| record.kind == kind::SLIDE_ATOM)?;
    u32_at(atom.body, 16).filter(|id| *id != 0)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use cfb::CompoundFile;

    use super::*;

    /// A record with `body`; containers say so in the lowest bits of the version.
    fn record(kind: u16, version: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        [&version.to_le_bytes()[..], &kind.to_le_bytes(), &length.to_le_bytes(), body].concat()
    }

    fn words(words: &[usize]) -> Vec<u8> {
        words.iter().flat_map(|word| u32::try_from(*word).unwrap().to_le_bytes()).collect()
    }

    fn wide(text: &str) -> Vec<u8> {
        record(kind::TEXT_WIDE, 0, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
    }

    fn header(of: usize) -> Vec<u8> {
        record(kind::TEXT_HEADER, 0, &words(&[of]))
    }

    /// One slide whose title stands in the outline behind its body, a text of its own, and notes; saved twice,
    /// the first time with another slide.
    fn presentation(token: u32) -> Vec<u8> {
        let persist = |object: usize, id: usize| record(kind::SLIDE_PERSIST, 0, &words(&[object, 0, 0, id, 0]));
        let outline = [persist(2, 256), header(1), wide("eins\rzwei"), header(0), wide("Größe")].concat();
        let lists = [record(kind::OUTLINE, 0xF, &outline), record(kind::OUTLINE, 0x2F, &persist(3, 256))].concat();
        let atom = record(kind::SLIDE_ATOM, 2, &words(&[0, 0, 0, 0, 256, 0]));
        let reference = |number: usize| record(kind::OUTLINE_REF, 0, &words(&[number]));
        let textbox = |inside: &[u8]| record(0xF00D, 0xF, inside);
        let own = [header(4), record(kind::TEXT_BYTES, 0, b"gr\xFCn")].concat();
        let slide = [atom, textbox(&reference(0)), textbox(&own), textbox(&reference(1))].concat();
        let mut content = Vec::new();
        let mut put = |record: Vec<u8>| {
            content.extend(record);
            content.len()
        };
        let old = put(record(0x03EE, 0xF, &textbox(&wide("old"))));
        let directory = put(record(kind::DIRECTORY, 0, &words(&[1 << 20 | 2, 0])));
        let edit = put(record(kind::USER_EDIT, 0, &words(&[0, 0, 0, old, 1, 0, 0])));
        let document = put(record(kind::DOCUMENT, 0xF, &lists));
        let slide = put(record(0x03EE, 0xF, &slide));
        let notes = put(record(0x03F0, 0xF, &textbox(&[header(2), wide("sagen")].concat())));
        let newer = put(record(kind::DIRECTORY, 0, &words(&[3 << 20 | 1, edit, document, slide])));
        put(record(kind::USER_EDIT, 0, &words(&[0, 0, directory, notes, 1, 0, 0])));
        let user = [&[0; 12][..], &token.to_le_bytes(), &words(&[newer])].concat();
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        for (name, content) in [("/Current User", &user), ("/PowerPoint Document", &content)] {
            file.create_stream(name).unwrap().write_all(content).unwrap();
        }
        file.into_inner().into_inner()
    }

    #[test]
    fn the_newest_save_counts_and_texts_come_from_the_outline() {
        let document = crate::parse(&presentation(0), "x.ppt", &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Größe\n\n- eins\n- zwei\n\ngrün\n\nNotes: sagen\n");
        assert_eq!(document.metadata.title.as_deref(), Some("Größe"));
        assert_eq!(document.pages.len(), 1);
    }

    #[test]
    fn locked_and_cut_presentations_are_typed_errors() {
        let code = |bytes: &[u8]| parse(bytes, &ParseLimits::default()).unwrap_err().code();
        assert_eq!(code(&presentation(ENCRYPTED)), "encrypted");
        assert_eq!(code(&presentation(0)[..900]), "corrupted");
    }
}
