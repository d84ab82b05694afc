//! Draws pages: for text recognition, and to show a citation where it stands.

use hayro::{
    PixmapSettings, RenderCache, RenderSettings, hayro_interpret::InterpreterSettings, render,
    vello_cpu::color::palette::css::WHITE,
};

use crate::{ExtractError, ParseLimits, Picture};

/// Most pixels of a drawn page: A4 at 300 dpi has 8.7 million. Larger pages are drawn coarser.
const PIXEL_LIMIT: f32 = 16e6;

/// Draws pages of a PDF at `dpi` (or coarser, see [`PIXEL_LIMIT`]), in the order asked for.
///
/// # Errors
/// As [`super::parse`]; [`ExtractError::Corrupted`] for a page that the file does not have.
pub(crate) fn draw(bytes: &[u8], pages: &[u32], dpi: u32, limits: &ParseLimits) -> Result<Vec<Picture>, ExtractError> {
    let pdf = super::open(bytes)?;
    let file_pages = super::order::pages(&pdf, limits.pages);
    if file_pages.len() as u64 > limits.pages {
        return Err(ExtractError::limit("number of pages", limits.pages));
    }
    let cache = RenderCache::new();
    let mut pictures = Vec::with_capacity(pages.len());
    for number in pages {
        let page = usize::try_from(*number).ok().and_then(|number| *file_pages.get(number.checked_sub(1)?)?);
        let page = page.ok_or_else(|| ExtractError::corrupted(format!("the PDF has no page {number}")))?;
        let (width, height) = page.render_dimensions();
        let scale = scale(width, height, dpi);
        let settings = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
        let pixmap = render(page, &cache, &InterpreterSettings::default(), &RenderSettings::default(), &settings);
        let (columns, rows) = (u32::from(pixmap.width()), u32::from(pixmap.height()));
        // The background is opaque, so premultiplied colours are plain ones.
        let rgb = pixmap.data().iter().flat_map(|pixel| [pixel.r, pixel.g, pixel.b]).collect();
        pictures.push(Picture { number: *number, width: columns, height: rows, dpi: scale * 72.0, rgb });
    }
    Ok(pictures)
}

/// Pixels per point: as asked, unless the page is so large that it would not fit.
fn scale(width: f32, height: f32, dpi: u32) -> f32 {
    let wanted = (f32::from(u16::try_from(dpi).unwrap_or(u16::MAX)) / 72.0).clamp(0.1, 20.0);
    let longest = f32::from(u16::MAX) / width.max(height).max(1.0);
    wanted.min((PIXEL_LIMIT / (width * height).max(1.0)).sqrt()).min(longest)
}
