//! What glyphs say whose file does not tell (no ToUnicode map, no glyph names): the font program's own character map
//! tells, or the character collection that a composite font is numbered by (ISO 32000-2, 9.10.2).

use std::collections::HashMap;

use hayro::{
    hayro_interpret::{
        font::{OutlineFontData, OutlineGlyph},
        hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded},
    },
    hayro_syntax::{
        Pdf,
        object::{Array, Dict, Name, Object, String as PdfString},
    },
};
use skrifa::{FontRef, MetadataProvider as _};

/// Most fonts of a document whose tables are kept. A document of a thousand pages has some fifty.
const FONTS_LIMIT: usize = 500;

/// Looks up what nameless glyphs of one document say. What was found out about a font is kept.
pub(super) struct Names<'p> {
    pdf: &'p Pdf,
    programs: HashMap<u128, HashMap<u32, char>>,
    /// By the name of the font; made when first asked for.
    collections: Option<HashMap<String, Collection>>,
}

impl<'p> Names<'p> {
    /// For the glyphs of `pdf`.
    pub fn new(pdf: &'p Pdf) -> Self {
        Self { pdf, programs: HashMap::new(), collections: None }
    }

    /// What a glyph says, as far as that can be found out.
    pub fn find(&mut self, glyph: &OutlineGlyph) -> Option<BfString> {
        let font = glyph.font_data()?;
        let by_program = self.by_program(&font, glyph.glyph_id().to_u32());
        by_program.map(BfString::Char).or_else(|| self.by_collection(&font, glyph.char_code()))
    }

    /// Through the character map of the font program, read backwards.
    fn by_program(&mut self, font: &OutlineFontData, glyph: u32) -> Option<char> {
        if self.programs.len() > FONTS_LIMIT {
            self.programs.clear();
        }
        let characters = self.programs.entry(font.cache_key).or_insert_with(|| characters((*font.data).as_ref()));
        characters.get(&glyph).copied()
    }

    /// Through the number of the character in its collection.
    fn by_collection(&mut self, font: &OutlineFontData, code: u32) -> Option<BfString> {
        let collections = self.collections.get_or_insert_with(|| collections(self.pdf));
        collections.get(font.postscript_name.as_deref()?)?.name(code)
    }
}

/// The characters that a font program maps to its glyphs, by glyph; of several the lowest. Those of symbol fonts stand
/// in the private area, with the code of the character in the low byte.
fn characters(program: &[u8]) -> HashMap<u32, char> {
    let mut found = HashMap::new();
    let Ok(font) = FontRef::new(program) else { return found };
    for (code, glyph) in font.charmap().mappings() {
        let code = if (0xF020..=0xF07E).contains(&code) { code - 0xF000 } else { code };
        let says_something = |c: &char| !c.is_control() && !('\u{E000}'..='\u{F8FF}').contains(c);
        let Some(c) = char::from_u32(code).filter(says_something) else { continue };
        found.entry(glyph.to_u32()).and_modify(|known: &mut char| *known = c.min(*known)).or_insert(c);
    }
    found
}

/// How a composite font numbers its characters.
struct Collection {
    /// From codes to numbers; codes are numbers where there is none.
    encoding: Option<CMap>,
    /// From numbers to UTF-16.
    unicode: CMap,
}

impl Collection {
    /// Reads the dictionary of a composite font; `None` when its numbers mean something to itself only.
    fn of(font: &Dict<'_>) -> Option<Self> {
        let descendant = font.get::<Array<'_>>("DescendantFonts")?.iter::<Dict<'_>>().next()?;
        let system = descendant.get::<Dict<'_>>("CIDSystemInfo")?;
        let entry = |key: &str| Some(system.get::<PdfString<'_>>(key)?.as_bytes().to_vec());
        let family = CidFamily::from_registry_ordering(&entry("Registry")?, &entry("Ordering")?);
        let encoding = font.get::<Name<'_>>("Encoding");
        let encoding = encoding.filter(|name| !name.starts_with(b"Identity"));
        Some(Self {
            encoding: encoding.and_then(|name| predefined(CMapName::from_bytes(&name))),
            unicode: predefined(family.ucs2_cmap()?)?,
        })
    }

    fn name(&self, code: u32) -> Option<BfString> {
        let number = match &self.encoding {
            Some(encoding) => (1..=4).find_map(|bytes| encoding.lookup_cid_code(code, bytes))?,
            None => code,
        };
        self.unicode.lookup_bf_string(number)
    }
}

/// What codes say where they are those of common encodings: ASCII and Latin-1, with the ligatures where TeX's encodings
/// have them (OT1, T1).
pub(super) fn by_code(code: char) -> Option<&'static str> {
    match code {
        '\u{B}' | '\u{1B}' => Some("ff"),
        '\u{C}' | '\u{1C}' => Some("fi"),
        '\u{D}' | '\u{1D}' => Some("fl"),
        '\u{E}' | '\u{1E}' => Some("ffi"),
        '\u{F}' | '\u{1F}' => Some("ffl"),
        _ => None,
    }
}

/// Fewest letters that show whether codes are letters.
const LETTERS: usize = 40;

/// Fewest characters that show whether codes are figures.
const FIGURES: usize = 8;

/// Says whether codes read as letters look like words of a language in Latin letters: two letters in five are vowels, in
/// random codes one in five. Letters of a subset numbered in the order of their use pass seldom.
pub(super) fn reads(codes: impl Iterator<Item = char>) -> bool {
    let (mut all, mut figures, mut letters, mut vowels, mut common) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    for c in codes {
        all += 1;
        let lower = c.to_lowercase().next().unwrap_or(c);
        figures += usize::from(matches!(c, ' ' | '0'..='9' | '.' | ',' | '-' | '+' | '%' | '/'));
        letters += usize::from(lower.is_alphabetic());
        vowels += usize::from("aeiouyäöüàâéèêëîïôùûòì".contains(lower));
        common += usize::from("enirtas".contains(lower));
    }
    // Figures are figures: nobody numbers letters by them.
    if all >= FIGURES && letters == 0 && figures == all {
        return true;
    }
    letters >= LETTERS
        && letters * 2 >= all - figures
        && (28..=52).contains(&(vowels * 100 / letters))
        && (40..=75).contains(&(common * 100 / letters))
}

fn predefined(name: CMapName<'_>) -> Option<CMap> {
    CMap::parse(load_embedded(name)?, load_embedded)
}

/// The collections of all composite fonts of a document, by the name of the font without the mark of a subset.
fn collections(pdf: &Pdf) -> HashMap<String, Collection> {
    let mut found = HashMap::new();
    for object in pdf.objects() {
        let Object::Dict(font) = object else { continue };
        let is = |key: &str, value: &[u8]| font.get::<Name<'_>>(key).is_some_and(|name| &*name == value);
        if !is("Subtype", b"Type0") || found.len() > FONTS_LIMIT {
            continue;
        }
        let name = font.get::<Name<'_>>("BaseFont").map(|name| String::from_utf8_lossy(&name).into_owned());
        if let (Some(name), Some(collection)) = (name, Collection::of(&font)) {
            let name = name.split_once('+').map_or(name.as_str(), |(_, name)| name).to_owned();
            found.insert(name, collection);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pdf::tests::pdf;

    /// A font program of nothing but a character map (format 12): two runs of characters, from glyph 5 and 9.
    fn program(runs: [(u32, u32, u32); 2]) -> Vec<u8> {
        let mut map = Vec::new();
        map.extend([0_u16, 1, 3, 10].iter().flat_map(|word| word.to_be_bytes()));
        map.extend(12_u32.to_be_bytes());
        map.extend([12_u16, 0].iter().flat_map(|word| word.to_be_bytes()));
        map.extend([16 + 24, 0, 2].iter().flat_map(|word: &u32| word.to_be_bytes()));
        map.extend(runs.iter().flat_map(|(from, to, glyph)| [*from, *to, *glyph]).flat_map(u32::to_be_bytes));
        let mut out = vec![0, 1, 0, 0, 0, 1, 0, 16, 0, 0, 0, 0];
        out.extend(b"cmap\0\0\0\0\0\0\0\x1C");
        out.extend(u32::try_from(map.len()).unwrap().to_be_bytes());
        out.extend(map);
        out
    }

    #[test]
    fn a_font_program_is_read_backwards() {
        let found = characters(&program([(0x61, 0x62, 5), (0xF041, 0xF041, 9)]));
        assert_eq!(found, HashMap::from([(5, 'a'), (6, 'b'), (9, 'A')]));
        assert_eq!(characters(&program([(0xE001, 0xE001, 5), (0x1F, 0x1F, 9)])), HashMap::new());
        assert_eq!(characters(b"no font"), HashMap::new());
    }

    #[test]
    fn composite_fonts_are_numbered_by_their_collection() {
        let name = |encoding: &str, ordering: &str, code: u32| {
            // Without its table, a file is searched for its objects.
            let file = String::from_utf8(pdf(&[("", "")], "", "")).unwrap().replace("startxref", "lost");
            let file = format!(
                "{file}\n99 0 obj<</Type/Font/Subtype/Type0/BaseFont/ABCDEF+Kana/Encoding/{encoding}/DescendantFonts[\
                 <</CIDSystemInfo<</Registry(Adobe)/Ordering({ordering})/Supplement 2>>>>]>>endobj\n"
            );
            let pdf = Pdf::new(Arc::new(file.into_bytes())).ok().unwrap();
            let found = collections(&pdf);
            found.get("Kana").and_then(|collection| collection.name(code))
        };
        let is = |found: Option<BfString>, c: char| matches!(found, Some(BfString::Char(it)) if it == c);
        assert!(is(name("Identity-H", "Japan1", 843), 'あ'));
        assert!(is(name("90ms-RKSJ-H", "Japan1", 0x82A0), 'あ'));
        assert!(name("Identity-H", "Identity", 843).is_none());
    }

    #[test]
    fn codes_that_read_like_a_language_are_letters() {
        let text = "Ideology as ritual is what the committee of the party decided in the autumn of that year";
        assert!(reads(text.chars()));
        assert!(reads("Die Verwaltung bewahrt die Akten nach Abschluss des Verfahrens zehn Jahre lang auf".chars()));
        // The same text under a substitution, and a subset numbered from the start.
        assert!(!reads(text.chars().map(|c| if c.is_ascii_lowercase() {
            char::from(b'a' + (c as u8 - b'a' + 7) % 26)
        } else {
            c
        })));
        assert!(!reads((0..200_u8).map(|code| char::from(33 + code % 60))));
        assert!(!reads("too short".chars()));
        assert!(reads("14,918,000 -2,345".chars()));
        assert!(reads(
            "Theory Building Activities . . . . . . . . 11 Professional Ethics . . . . . . . . . . 16".chars()
        ));
    }
}
