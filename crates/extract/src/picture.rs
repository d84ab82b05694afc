//! Pictures of pages.

use fontes_core::BBox;
use image::ImageEncoder as _;
use serde::{Deserialize, Serialize};

use crate::ExtractError;

/// A page as a picture, three bytes per pixel, rows from the top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The page, from 1.
    pub number: u32,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pixels per inch of the page.
    pub dpi: f32,
    /// Red, green and blue of each pixel.
    #[serde(skip)]
    pub rgb: Vec<u8>,
}

/// What is left of each colour where the picture is marked: a bright yellow under black letters, as a
/// highlighter leaves it.
const MARKER: [u16; 3] = [255, 226, 60];

impl Picture {
    /// Says whether there are as many colours as pixels.
    pub fn is_whole(&self) -> bool {
        self.rgb.len() as u64 == u64::from(self.width) * u64::from(self.height) * 3
    }

    /// Marks boxes as with a highlighter; boxes of other pages are passed over.
    pub fn mark(&mut self, boxes: &[BBox]) {
        let scale = self.dpi / 72.0;
        for bbox in boxes.iter().filter(|bbox| bbox.page == self.number) {
            // Half a point of air around the letters.
            let (left, right) =
                (pixel((bbox.x0 - 0.5) * scale, self.width), pixel((bbox.x1 + 0.5) * scale, self.width));
            let (top, bottom) =
                (pixel((bbox.y0 - 0.5) * scale, self.height), pixel((bbox.y1 + 0.5) * scale, self.height));
            for row in top..bottom {
                let start = (row * self.width as usize + left) * 3;
                let line = self.rgb.get_mut(start..start + (right.saturating_sub(left)) * 3).unwrap_or_default();
                for (colour, kept) in line.iter_mut().zip(MARKER.into_iter().cycle()) {
                    *colour = u8::try_from(u16::from(*colour) * kept / 255).unwrap_or(u8::MAX);
                }
            }
        }
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`ExtractError::Internal`] for a picture without pixels.
    pub fn png(&self) -> Result<Vec<u8>, ExtractError> {
        let mut file = Vec::new();
        image::codecs::png::PngEncoder::new(&mut file)
            .write_image(&self.rgb, self.width, self.height, image::ExtendedColorType::Rgb8)
            .map_err(|error| ExtractError::Internal { what: format!("PNG: {error}") })?;
        Ok(file)
    }

    /// The picture as a portable grey map (Netpbm `P5`), what text recognition reads.
    pub(crate) fn pgm(&self) -> Vec<u8> {
        let mut file = format!("P5\n{} {}\n255\n", self.width, self.height).into_bytes();
        // Luma as in ITU-R BT.601, in 256ths.
        file.extend(self.rgb.chunks_exact(3).map(|rgb| {
            let luma = 77 * u32::from(rgb[0]) + 150 * u32::from(rgb[1]) + 29 * u32::from(rgb[2]);
            u8::try_from(luma >> 8).unwrap_or(u8::MAX)
        }));
        file
    }
}

/// A place as a pixel within `0..=limit`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the picture")]
fn pixel(place: f32, limit: u32) -> usize {
    (place.round().max(0.0) as u32).min(limit) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn white(width: u32, height: u32) -> Picture {
        let rgb = vec![255; (width * height * 3) as usize];
        Picture { number: 1, width, height, dpi: 72.0, rgb }
    }

    #[test]
    fn marks_colour_their_box_alone_and_leave_ink_black() {
        let mut picture = white(10, 10);
        let at = |x: usize, y: usize| (y * 10 + x) * 3;
        picture.rgb[at(4, 4)..at(4, 4) + 3].fill(0);
        let bbox = |page| BBox { page, x0: 3.0, y0: 3.0, x1: 6.0, y1: 6.0 };
        picture.mark(&[bbox(1)]);
        assert_eq!(picture.rgb[at(5, 5)..at(5, 5) + 3], [255, 226, 60]);
        assert_eq!(picture.rgb[at(4, 4)..at(4, 4) + 3], [0, 0, 0]);
        assert_eq!(picture.rgb[at(8, 8)..at(8, 8) + 3], [255, 255, 255]);
        let before = picture.clone();
        picture.mark(&[bbox(2), BBox { page: 1, x0: 50.0, y0: -9.0, x1: 99.0, y1: 999.0 }]);
        assert_eq!(picture, before);
    }

    #[test]
    fn files_say_what_they_are() {
        let picture = white(3, 2);
        assert!(picture.is_whole());
        assert!(picture.png().unwrap().starts_with(b"\x89PNG\r\n\x1A\n"));
        assert_eq!(picture.pgm(), b"P5\n3 2\n255\n\xFF\xFF\xFF\xFF\xFF\xFF");
    }
}
