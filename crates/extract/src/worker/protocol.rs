//! Frames between parent and worker: a JSON header and raw blobs, each with its length in front.
//!
//! Layout, integers little endian: `u32` header length, `u32` number of blobs, one `u64` length per blob,
//! header, blobs. Text and files travel as blobs, so nothing large is escaped.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use fontes_core::Document;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{pool::WorkerLimits, sandbox::Mechanism};
use crate::{Child, ExtractError, Extraction, ParseLimits, Parsed, Picture, Recognised};

/// Written by the worker before its first frame. The parent skips what comes before it, so a wrapper or a
/// test harness that prints a line does no harm.
pub(super) const PREAMBLE: &[u8] = b"\0fontes extract worker 1\0";

/// Exit status of a worker that had no memory for a frame. (Allocations elsewhere abort.)
pub(super) const EXIT_NO_MEMORY: i32 = 12;

/// Bytes of noise accepted before the preamble.
const NOISE_LIMIT: usize = 64 << 10;

/// Largest header. The header of the largest document in the limits (2,000,000 blocks of about 70 bytes)
/// stays below.
const HEADER_LIMIT: u32 = 256 << 20;

/// Most bytes of pictures in a frame: four of 16 million pixels.
const PICTURES_LIMIT: u64 = 256 << 20;

/// Most blobs in a frame: the text and the children.
const BLOBS_LIMIT: u32 = 100_001;

/// What a worker process is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Role {
    /// Parses and draws file after file.
    Parser,
    /// Becomes the text recognition program; the rest of the input is the picture of one page.
    Recogniser { program: PathBuf, args: Vec<String> },
}

/// First frame to the worker: the limits it shall put on itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub role: Role,
    pub parse: ParseLimits,
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    pub files: u64,
    pub require_sandbox: bool,
}

impl Setup {
    /// The setup for a worker under `limits`.
    pub fn new(limits: &WorkerLimits, role: Role) -> Self {
        Self {
            role,
            parse: limits.parse.clone(),
            memory_bytes: limits.memory_bytes,
            cpu_seconds: limits.cpu_seconds,
            files: limits.files_per_worker,
            require_sandbox: limits.require_sandbox,
        }
    }
}

/// First frame from the worker: what holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub sandbox: Vec<Mechanism>,
    /// Why it refuses to work, when it does.
    pub refusal: Option<String>,
}

/// What to do with one file; its bytes are the only blob.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub name: String,
    pub task: Task,
}

/// What is wanted of a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Its text, with the words that recognition found on pages that have none of their own.
    Parse { recognised: Recognised },
    /// Pictures of pages.
    Draw { pages: Vec<u32>, dpi: u32 },
}

/// The result for one file; the first blob is the text, the others are the children.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Response {
    pub result: Result<Head, ExtractError>,
}

/// An [`Extraction`] without its large parts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    document: Document,
    children: Vec<Child>,
    unread: Vec<u32>,
    warnings: Vec<String>,
}

/// Writes one result.
pub(super) fn write_result(out: &mut impl Write, result: Result<Parsed, ExtractError>) -> io::Result<()> {
    match result {
        Err(error) => write(out, &Response { result: Err(error) }, &[]),
        Ok((Extraction { mut document, children, warnings }, unread)) => {
            let text = std::mem::take(&mut document.text);
            let blobs: Vec<Vec<u8>> = children.iter().map(|child| child.bytes.clone()).collect();
            let blobs: Vec<&[u8]> = [text.as_bytes()].into_iter().chain(blobs.iter().map(Vec::as_slice)).collect();
            let children = children.iter().map(|child| Child { bytes: Vec::new(), ..child.clone() }).collect();
            write(out, &Response { result: Ok(Head { document, children, unread, warnings }) }, &blobs)
        }
    }
}

/// Reads one result and checks it: a worker that was taken over must not hand on a broken document.
pub(super) fn read_result(input: &mut impl Read, limits: &ParseLimits) -> io::Result<Result<Parsed, ExtractError>> {
    let blob_limit = limits.text_bytes + limits.inflated_bytes + limits.file_bytes;
    let (response, blobs): (Response, _) = read(input, blob_limit)?;
    let Head { mut document, mut children, unread, warnings } = match response.result {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    let mut blobs = blobs.into_iter();
    let text = blobs.next().ok_or_else(|| invalid("a result without text"))?;
    document.text = String::from_utf8(text).map_err(|_| invalid("text that is not UTF-8"))?;
    if blobs.len() != children.len() {
        return Err(invalid("a result that misses children"));
    }
    for (child, bytes) in children.iter_mut().zip(blobs) {
        child.bytes = bytes;
    }
    document.validate().map_err(|_| invalid("a document that breaks an invariant"))?;
    Ok(Ok((Extraction { document, children, warnings }, unread)))
}

/// Writes the pictures of pages, one blob each.
pub(super) fn write_pictures(out: &mut impl Write, result: Result<Vec<Picture>, ExtractError>) -> io::Result<()> {
    let blobs: Vec<&[u8]> = result.iter().flatten().map(|picture| picture.rgb.as_slice()).collect();
    write(out, &result, &blobs)
}

/// Reads pictures of pages and checks that each has all of its pixels.
pub(super) fn read_pictures(input: &mut impl Read) -> io::Result<Result<Vec<Picture>, ExtractError>> {
    let (result, blobs): (Result<Vec<Picture>, ExtractError>, _) = read(input, PICTURES_LIMIT)?;
    let mut pictures = match result {
        Ok(pictures) => pictures,
        Err(error) => return Ok(Err(error)),
    };
    if blobs.len() != pictures.len() {
        return Err(invalid("a result that misses pictures"));
    }
    for (picture, rgb) in pictures.iter_mut().zip(blobs) {
        picture.rgb = rgb;
    }
    if !pictures.iter().all(Picture::is_whole) {
        return Err(invalid("a picture that misses pixels"));
    }
    Ok(Ok(pictures))
}

/// Writes one frame and flushes.
pub(super) fn write(out: &mut impl Write, header: &impl Serialize, blobs: &[&[u8]]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let length = |len: usize| u32::try_from(len).map_err(|_| invalid("a frame that is too large"));
    out.write_all(&length(header.len())?.to_le_bytes())?;
    out.write_all(&length(blobs.len())?.to_le_bytes())?;
    for blob in blobs {
        out.write_all(&(blob.len() as u64).to_le_bytes())?;
    }
    out.write_all(&header)?;
    for blob in blobs {
        out.write_all(blob)?;
    }
    out.flush()
}

/// Reads one frame whose blobs hold at most `blob_limit` bytes together.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] when the other side is gone, [`io::ErrorKind::InvalidData`] for frames
/// over the limits. Memory grows with what arrives, not with what a length claims.
pub(super) fn read<T: DeserializeOwned>(input: &mut impl Read, blob_limit: u64) -> io::Result<(T, Vec<Vec<u8>>)> {
    let mut word = [0; 4];
    input.read_exact(&mut word)?;
    let header_len = u32::from_le_bytes(word);
    input.read_exact(&mut word)?;
    let count = u32::from_le_bytes(word);
    if header_len > HEADER_LIMIT || count > BLOBS_LIMIT {
        return Err(invalid("a frame that is too large"));
    }
    let mut lengths = Vec::new();
    let mut total = 0_u64;
    for _ in 0..count {
        let mut length = [0; 8];
        input.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        total = total.saturating_add(length);
        lengths.push(length);
    }
    if total > blob_limit {
        return Err(invalid("a frame that is too large"));
    }
    let header = read_bytes(input, u64::from(header_len))?;
    let header = serde_json::from_slice(&header)?;
    let blobs = lengths.into_iter().map(|length| read_bytes(input, length)).collect::<io::Result<_>>()?;
    Ok((header, blobs))
}

fn read_bytes(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Skips to just behind the preamble.
pub(super) fn skip_to_preamble(input: &mut impl Read) -> io::Result<()> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(PREAMBLE) {
        if seen.len() > NOISE_LIMIT {
            return Err(invalid("a program that is no extraction worker"));
        }
        input.read_exact(&mut byte)?;
        seen.push(byte[0]);
    }
    Ok(())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the worker sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed() -> Parsed {
        let mut extraction = crate::parse("Grüße\n".as_bytes(), "a.txt", &ParseLimits::default()).unwrap();
        extraction.children.push(Child { path_inside: "b/c".into(), name: "c".into(), bytes: vec![0, 255] });
        (extraction, vec![1])
    }

    #[test]
    fn results_round_trip() {
        for result in [Ok(parsed()), Err(ExtractError::NoText { pages: 2 })] {
            let mut wire = Vec::new();
            write_result(&mut wire, result.clone()).unwrap();
            assert_eq!(read_result(&mut wire.as_slice(), &ParseLimits::default()).unwrap(), result);
        }
    }

    #[test]
    fn lies_about_lengths_and_spans_are_refused() {
        let limits = ParseLimits::default();
        let mut wire = Vec::new();
        write_result(&mut wire, Ok(parsed())).unwrap();
        for cut in 0..wire.len() {
            assert!(read_result(&mut &wire[..cut], &limits).is_err(), "cut at {cut}");
        }
        let mut huge = wire.clone();
        huge[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read_result(&mut huge.as_slice(), &limits).unwrap_err().to_string().contains("too large"));
        let mut broken = parsed();
        broken.0.document.pages[0].span.end = 3;
        let mut wire = Vec::new();
        write_result(&mut wire, Ok(broken)).unwrap();
        assert!(read_result(&mut wire.as_slice(), &limits).unwrap_err().to_string().contains("invariant"));
    }

    #[test]
    fn pictures_round_trip_and_lies_about_pixels_are_refused() {
        let picture = Picture { number: 3, width: 2, height: 1, dpi: 72.0, rgb: vec![1, 2, 3, 4, 5, 6] };
        for result in [Ok(vec![picture.clone()]), Err(ExtractError::Empty)] {
            let mut wire = Vec::new();
            write_pictures(&mut wire, result.clone()).unwrap();
            assert_eq!(read_pictures(&mut wire.as_slice()).unwrap(), result);
        }
        let mut wire = Vec::new();
        write_pictures(&mut wire, Ok(vec![Picture { height: 9, ..picture }])).unwrap();
        assert!(read_pictures(&mut wire.as_slice()).unwrap_err().to_string().contains("misses pixels"));
    }

    #[test]
    fn noise_before_the_preamble_is_skipped() {
        let wire = [b"running 1 test\n\0fontes".as_slice(), PREAMBLE, b"!"].concat();
        let mut rest = wire.as_slice();
        skip_to_preamble(&mut rest).unwrap();
        assert_eq!(rest, b"!");
    }
}
