//! The `pdf-extract` back end: interprets page content, gives each character with its place.

use ::pdf_extract::{MediaBox, OutputDev, OutputError, Transform, output_doc_page};

use super::{Frame, Glyph};
use crate::ExtractError;

/// Most characters of a page. A dense page of a law gazette has 15,000.
const GLYPH_LIMIT: usize = 500_000;

/// Appends the characters of page `number` to `glyphs`, in the order in which they are drawn. What came
/// before an error or a panic is on the page all the same.
pub(super) fn read(
    document: &lopdf::Document,
    number: u32,
    frame: &Frame,
    glyphs: &mut Vec<Glyph>,
) -> Result<(), ExtractError> {
    let mut collector = Collector { frame: *frame, glyphs };
    output_doc_page(document, &mut collector, number)
        .map_err(|_| ExtractError::corrupted(format!("content of page {number}")))
}

struct Collector<'g> {
    frame: Frame,
    glyphs: &'g mut Vec<Glyph>,
}

impl OutputDev for Collector<'_> {
    fn begin_page(
        &mut self,
        _number: u32,
        _media_box: &MediaBox,
        _art_box: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    /// `trm` maps text space to user space; `width` is in units of the font size, `spacing` in text space.
    fn output_character(
        &mut self,
        trm: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        if self.glyphs.len() >= GLYPH_LIMIT {
            return Ok(());
        }
        // A font without widths would put all characters on one spot.
        let width = if width > 0.0 { width } else { 0.5 };
        // Tracked headings are one word: small character spacing belongs to the advance.
        let tracking = if spacing > 0.0 && spacing <= 0.35 * font_size.abs() && text != " " { spacing } else { 0.0 };
        let advance = width * font_size + tracking;
        let (x, y) = (trm.m31, trm.m32);
        let (end_x, end_y) = (x + trm.m11 * advance, y + trm.m12 * advance);
        let size = (trm.m21.hypot(trm.m22) * font_size).abs();
        let numbers = [x, y, end_x, end_y, size];
        if !numbers.iter().all(|number| number.is_finite()) {
            return Ok(());
        }
        #[expect(clippy::cast_possible_truncation, reason = "points on a page fit f32")]
        let [x, y, end_x, end_y, size] = numbers.map(|number| number as f32);
        self.glyphs.push(Glyph {
            text: spelled_out(text),
            from: self.frame.display(x, y),
            to: self.frame.display(end_x, end_y),
            size,
        });
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Spells out the Latin ligatures (U+FB00–FB06) and unifies hyphens that fonts draw.
fn spelled_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{FB00}' => out.push_str("ff"),
            '\u{FB01}' => out.push_str("fi"),
            '\u{FB02}' => out.push_str("fl"),
            '\u{FB03}' => out.push_str("ffi"),
            '\u{FB04}' => out.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => out.push_str("st"),
            '\u{2010}' | '\u{2011}' => out.push('-'),
            c => out.push(c),
        }
    }
    out
}
