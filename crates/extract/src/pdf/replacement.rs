//! Replacement text (ISO 32000-2, 14.9.4): what marked content says where its glyphs say nothing.
//!
//! Browsers print ligatures and figures of equal width as glyphs without a name, and say beside them what they stand
//! for. Others mark the places where a word may be parted, and hyphens that stand only there. Other glyphs that have names
//! keep them: what is quoted must be what is seen.

use hayro::hayro_syntax::object::{Dict, String as PdfString};

use super::{Glyph, fields, spelled_out};

/// Most glyphs that one text replaces. A ligature is one, a word in a font without names a few.
const MOST: usize = 32;

/// The marked content that is open: its replacement text, if any, and the number of its first glyph.
#[derive(Default)]
pub(super) struct Replacements(Vec<Option<(String, usize)>>);

impl Replacements {
    /// Opens marked content before the glyph number `at`.
    pub fn begin(&mut self, properties: Option<&Dict<'_>>, at: usize) {
        let text = properties.and_then(|properties| properties.get::<PdfString<'_>>("ActualText"));
        self.0.push(text.map(|text| (spelled_out(&fields::decoded(text.as_bytes())), at)));
    }

    /// Closes it: one glyph now stands for those that said nothing. Gives its number.
    pub fn end(&mut self, glyphs: &mut Vec<Glyph>) -> Option<usize> {
        let (text, from) = self.0.pop()??;
        let covered = glyphs.get_mut(from..).filter(|covered| covered.len() <= MOST)?;
        let end = covered.last()?.to;
        let hyphen = text == "\u{AD}" && covered.iter().all(|glyph| matches!(glyph.text.trim(), "" | "-" | "\u{AD}"));
        let nameless = covered.iter().any(says_nothing)
            && covered.iter().all(|glyph| says_nothing(glyph) || glyph.text.trim().is_empty());
        if !hyphen && !nameless {
            return None;
        }
        let first = covered.first_mut()?;
        (first.text, first.to) = (text, end);
        glyphs.truncate(from + usize::from(!glyphs[from].text.is_empty()));
        Some(from)
    }
}

/// Says whether a font gives no name to a glyph, or one that means something to itself only.
fn says_nothing(glyph: &Glyph) -> bool {
    !glyph.text.is_empty() && glyph.text.chars().all(|c| matches!(c, '\u{FFFD}' | '\u{E000}'..='\u{F8FF}'))
}
