//! Pictures of pages as files: PNG, JPEG, TIFF with one page or many. Their text is what recognition reads.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageFormat, ImageReader, Limits, imageops::FilterType};
use tiff::{
    ColorType,
    decoder::{Decoder, DecodingResult},
    tags::Tag,
};

use crate::{ExtractError, Extraction, MediaType, ParseLimits, Picture, Recognised, pdf};

/// Most pixels of a picture: A4 at 600 dpi has 35 million.
const PIXELS: u64 = 64_000_000;

/// Most bytes that decoding may hold.
const BYTES: u64 = 400 << 20;

/// Pictures are handed on with at most this many pixels along the longer edge: A4 at 300 dpi.
const LONGEST: u32 = 3_508;

/// The longer edge of the page on which a picture is shown, in points: A4.
const PAGE_EDGE: f32 = 842.0;

/// Puts together what recognition read on a picture's pages.
///
/// # Errors
/// [`ExtractError::NoText`] as long as nothing was recognised, [`ExtractError::Corrupted`],
/// [`ExtractError::Limit`].
pub(crate) fn parse(
    bytes: &[u8],
    media: MediaType,
    limits: &ParseLimits,
    recognised: &Recognised,
) -> Result<Extraction, ExtractError> {
    let sizes = sizes(bytes, media, limits)?;
    pdf::from_recognised(&sizes.into_iter().map(page_size).collect::<Vec<_>>(), media, limits, recognised)
}

/// The pages of a picture file, scaled down to what recognition needs.
///
/// # Errors
/// As [`parse`].
pub(crate) fn draw(
    bytes: &[u8],
    media: MediaType,
    pages: &[u32],
    limits: &ParseLimits,
) -> Result<Vec<Picture>, ExtractError> {
    let count = sizes(bytes, media, limits)?.len();
    pages
        .iter()
        .map(|number| {
            let index = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
            let index = index.filter(|index| *index < count).ok_or_else(|| damaged("no such page"))?;
            let decoded = if media == MediaType::Tiff { tiff_page(bytes, index)? } else { single(bytes, media)? };
            Ok(picture(*number, decoded))
        })
        .collect()
}

fn damaged(what: impl ToString) -> ExtractError {
    ExtractError::corrupted(format!("picture: {}", what.to_string()))
}

/// Pixels of each page, known from the headers before any pixel is decoded.
fn sizes(bytes: &[u8], media: MediaType, limits: &ParseLimits) -> Result<Vec<(u32, u32)>, ExtractError> {
    let mut sizes = Vec::new();
    if media == MediaType::Tiff {
        let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
        loop {
            sizes.push(decoder.dimensions().map_err(damaged)?);
            if sizes.len() as u64 > limits.pages {
                return Err(ExtractError::limit("number of pages", limits.pages));
            }
            if !decoder.more_images() {
                break;
            }
            decoder.next_image().map_err(damaged)?;
        }
    } else {
        sizes.push(reader(bytes, media).into_dimensions().map_err(damaged)?);
    }
    if sizes.iter().any(|(width, height)| u64::from(*width) * u64::from(*height) > PIXELS) {
        return Err(ExtractError::limit("pixels", PIXELS));
    }
    Ok(sizes)
}

/// The page on which a picture of this size is shown.
#[expect(clippy::cast_precision_loss, reason = "pixels along an edge")]
fn page_size((width, height): (u32, u32)) -> (f32, f32) {
    let scale = PAGE_EDGE / width.max(height).max(1) as f32;
    (width as f32 * scale, height as f32 * scale)
}

fn reader(bytes: &[u8], media: MediaType) -> ImageReader<Cursor<&[u8]>> {
    let format = if media == MediaType::Png { ImageFormat::Png } else { ImageFormat::Jpeg };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(BYTES);
    reader.limits(limits);
    reader
}

fn single(bytes: &[u8], media: MediaType) -> Result<DynamicImage, ExtractError> {
    reader(bytes, media).decode().map_err(damaged)
}

fn tiff_page(bytes: &[u8], index: usize) -> Result<DynamicImage, ExtractError> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    for _ in 0..index {
        decoder.next_image().map_err(damaged)?;
    }
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let colours = decoder.colortype().map_err(damaged)?;
    let white_is_zero = decoder.get_tag_u32(Tag::PhotometricInterpretation).is_ok_and(|value| value == 0);
    let DecodingResult::U8(mut samples) = decoder.read_image().map_err(damaged)? else {
        return Err(damaged("samples that are not of 8 bits"));
    };
    if let ColorType::Gray(bits @ (1 | 2 | 4)) = colours {
        samples = unpacked(&samples, width, bits);
    }
    if white_is_zero && matches!(colours, ColorType::Gray(8)) {
        samples.iter_mut().for_each(|sample| *sample = 255 - *sample);
    }
    let decoded = match colours {
        ColorType::Gray(_) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        ColorType::GrayA(8) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
        ColorType::RGB(8) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        ColorType::RGBA(8) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
        other => return Err(damaged(format!("colours of kind {other:?}"))),
    };
    decoded.ok_or_else(|| damaged("fewer samples than pixels"))
}

/// Spreads samples of less than 8 bits, rows padded to bytes, to one byte each.
fn unpacked(samples: &[u8], width: u32, bits: u8) -> Vec<u8> {
    let width = width as usize;
    let per_byte = usize::from(8 / bits);
    let highest = (1_u16 << bits) - 1;
    let mut out = Vec::with_capacity(samples.len() * per_byte);
    for row in samples.chunks(width.div_ceil(per_byte).max(1)) {
        let spread = row.iter().flat_map(|byte| {
            (0..per_byte).map(move |place| {
                let shift = 8 - usize::from(bits) * (place + 1);
                u8::try_from((u16::from(*byte) >> shift & highest) * 255 / highest).unwrap_or(u8::MAX)
            })
        });
        out.extend(spread.take(width));
    }
    out
}

fn picture(number: u32, decoded: DynamicImage) -> Picture {
    let longest = decoded.width().max(decoded.height()).max(1);
    let decoded = if longest > LONGEST { decoded.resize(LONGEST, LONGEST, FilterType::Triangle) } else { decoded };
    // What is transparent is paper.
    let mut rgb = Vec::with_capacity(decoded.width() as usize * decoded.height() as usize * 3);
    let rgba = decoded.to_rgba8();
    for pixel in rgba.pixels() {
        let [red, green, blue, alpha] = pixel.0.map(u16::from);
        let over = |colour: u16| u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        rgb.extend([over(red), over(green), over(blue)]);
    }
    let (width, height) = rgba.dimensions();
    let (points, _) = page_size((width, height));
    #[expect(clippy::cast_precision_loss, reason = "pixels along an edge")]
    let dpi = width as f32 / points.max(0.1) * 72.0;
    Picture { number, width, height, dpi, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognised::RecognisedWord;

    fn png(width: u32, height: u32) -> Vec<u8> {
        Picture { number: 1, width, height, dpi: 72.0, rgb: vec![200; (width * height * 3) as usize] }.png().unwrap()
    }

    #[test]
    fn a_picture_is_a_page_that_waits_for_recognition() {
        let bytes = png(210, 297);
        let limits = ParseLimits::default();
        let error = crate::parse(&bytes, "scan.png", &limits).unwrap_err();
        assert_eq!(error, ExtractError::NoText { pages: 1 });
        let drawn = crate::draw(&bytes, "scan.png", &[1], 300, &limits).unwrap();
        assert_eq!((drawn[0].width, drawn[0].height, drawn[0].rgb[0]), (210, 297, 200));
        assert!((drawn[0].dpi - 25.4).abs() < 0.1, "{}", drawn[0].dpi);
        let word = |text: &str, left: f32| RecognisedWord {
            text: text.into(),
            area: [left, 100.0, left + 40.0, 112.0],
            confidence: 90,
            paragraph: 1,
            line: 1,
        };
        let recognised = Recognised::from([(1, vec![word("Guten", 72.0), word("Tag", 116.0)])]);
        let (extraction, _) = crate::parse_with(&bytes, "scan.png", &limits, &recognised).unwrap();
        let page = &extraction.document.pages[0];
        assert_eq!(extraction.document.text, "Guten Tag\n");
        assert_eq!((page.method, page.confidence), (fontes_core::ExtractionMethod::Ocr, Some(0.9)));
        assert_eq!(page.words[1].area, [116.0, 100.0, 156.0, 112.0]);
        assert_eq!(page.words[1].confidence, Some(90));
    }

    #[test]
    fn black_and_white_rows_are_unpacked_without_their_padding() {
        assert_eq!(unpacked(&[0b1010_0000, 0b0100_0000], 3, 1), [255, 0, 255, 0, 255, 0]);
        assert_eq!(unpacked(&[0b1100_0110], 4, 2), [255, 0, 85, 170]);
    }

    #[test]
    fn broken_and_giant_pictures_are_typed_errors() {
        let limits = ParseLimits::default();
        let mut cut = png(64, 64);
        cut.truncate(60);
        assert_eq!(crate::draw(&cut, "a.png", &[1], 300, &limits).unwrap_err().code(), "corrupted");
        let mut giant = png(64, 64);
        giant[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
        assert!(["corrupted", "limit"].contains(&crate::parse(&giant, "a.png", &limits).unwrap_err().code()));
        assert_eq!(crate::draw(&png(9, 9), "a.png", &[2], 300, &limits).unwrap_err().code(), "corrupted");
    }
}
