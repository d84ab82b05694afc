//! The `pdf-extract` back end: interprets page content over `lopdf`, gives each character with its place.
//! Panics on one file in forty, which costs the page.

use ::pdf_extract::{MediaBox, OutputDev, OutputError, Transform, output_doc_page};
use hayro::kurbo::{Affine, Point};

use super::{GLYPH_LIMIT, Glyph, PageText, spelled_out};

/// A file as this back end reads it. Pages are found by their number.
pub(super) struct Reader(lopdf::Document);

impl Reader {
    /// Opens the file; `None` when this back end cannot.
    pub fn open(bytes: &[u8]) -> Option<Self> {
        lopdf::Document::load_mem(bytes).ok().map(Self)
    }

    /// Appends the characters of page `number` to `out`, in the order in which they are drawn, and says
    /// whether it came to the end. `display` maps user space to the displayed page.
    pub fn read(&self, number: u32, display: Affine, out: &mut PageText) -> bool {
        let mut collector = Collector { display, glyphs: &mut out.glyphs };
        output_doc_page(&self.0, &mut collector, number).is_ok()
    }
}

struct Collector<'g> {
    display: Affine,
    glyphs: &'g mut Vec<Glyph>,
}

impl Collector<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "points on a page fit f32")]
    fn displayed(&self, x: f64, y: f64) -> (f32, f32) {
        let point = self.display * Point::new(x, y);
        (point.x as f32, point.y as f32)
    }
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
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        if self.glyphs.len() >= GLYPH_LIMIT {
            return Ok(());
        }
        // A font without widths would put all characters on one spot.
        let width = if width > 0.0 { width } else { 0.5 };
        let advance = width * font_size;
        let from = self.displayed(trm.m31, trm.m32);
        let to = self.displayed(trm.m31 + trm.m11 * advance, trm.m32 + trm.m12 * advance);
        #[expect(clippy::cast_possible_truncation, reason = "points on a page fit f32")]
        let size = (trm.m21.hypot(trm.m22) * font_size).abs() as f32;
        if [from.0, from.1, to.0, to.1, size].iter().all(|number| number.is_finite()) {
            self.glyphs.push(Glyph { text: spelled_out(text), from, to, size, hidden: false, bold: false });
        }
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
