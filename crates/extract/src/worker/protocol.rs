//! Frames between parent and worker: a JSON header and raw blobs, each with its length in front.
//!
//! Layout, integers little endian: `u32` header length, `u32` number of blobs, one `u64` length per blob,
//! header, blobs. Text and files travel as blobs, so nothing large is escaped.

use std::io::{self, Read, Write};

use fontes_core::Document;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::sandbox::Mechanism;
use crate::{Child, ExtractError, Extraction, ParseLimits};

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

/// Most blobs in a frame: the text and the children.
const BLOBS_LIMIT: u32 = 100_001;

/// First frame to the worker: the limits it shall put on itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub parse: ParseLimits,
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    pub files: u64,
    pub require_sandbox: bool,
}

/// First frame from the worker: what holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub sandbox: Vec<Mechanism>,
    /// Why it refuses to work, when it does.
    pub refusal: Option<String>,
}

/// One file to parse; its bytes are the only blob.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub name: String,
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
    warnings: Vec<String>,
}

/// Writes one result.
pub(super) fn write_result(out: &mut impl Write, result: Result<Extraction, ExtractError>) -> io::Result<()> {
    match result {
        Err(error) => write(out, &Response { result: Err(error) }, &[]),
        Ok(Extraction { mut document, children, warnings }) => {
            let text = std::mem::take(&mut document.text);
            let blobs: Vec<Vec<u8>> = children.iter().map(|child| child.bytes.clone()).collect();
            let blobs: Vec<&[u8]> = [text.as_bytes()].into_iter().chain(blobs.iter().map(Vec::as_slice)).collect();
            let children = children.iter().map(|child| Child { bytes: Vec::new(), ..child.clone() }).collect();
            write(out, &Response { result: Ok(Head { document, children, warnings }) }, &blobs)
        }
    }
}

/// Reads one result and checks it: a worker that was taken over must not hand on a broken document.
pub(super) fn read_result(input: &mut impl Read, limits: &ParseLimits) -> io::Result<Result<Extraction, ExtractError>> {
    let blob_limit = limits.text_bytes + limits.inflated_bytes + limits.file_bytes;
    let (response, blobs): (Response, _) = read(input, blob_limit)?;
    let Head { mut document, mut children, warnings } = match response.result {
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
    Ok(Ok(Extraction { document, children, warnings }))
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

    fn extraction() -> Extraction {
        let mut extraction = crate::parse("Grüße\n".as_bytes(), "a.txt", &ParseLimits::default()).unwrap();
        extraction.children.push(Child { path_inside: "b/c".into(), name: "c".into(), bytes: vec![0, 255] });
        extraction
    }

    #[test]
    fn results_round_trip() {
        for result in [Ok(extraction()), Err(ExtractError::NoText { pages: 2 })] {
            let mut wire = Vec::new();
            write_result(&mut wire, result.clone()).unwrap();
            assert_eq!(read_result(&mut wire.as_slice(), &ParseLimits::default()).unwrap(), result);
        }
    }

    #[test]
    fn lies_about_lengths_and_spans_are_refused() {
        let limits = ParseLimits::default();
        let mut wire = Vec::new();
        write_result(&mut wire, Ok(extraction())).unwrap();
        for cut in 0..wire.len() {
            assert!(read_result(&mut &wire[..cut], &limits).is_err(), "cut at {cut}");
        }
        let mut huge = wire.clone();
        huge[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read_result(&mut huge.as_slice(), &limits).unwrap_err().to_string().contains("too large"));
        let mut broken = extraction();
        broken.document.pages[0].span.end = 3;
        let mut wire = Vec::new();
        write_result(&mut wire, Ok(broken)).unwrap();
        assert!(read_result(&mut wire.as_slice(), &limits).unwrap_err().to_string().contains("invariant"));
    }

    #[test]
    fn noise_before_the_preamble_is_skipped() {
        let wire = [b"running 1 test\n\0fontes".as_slice(), PREAMBLE, b"!"].concat();
        let mut rest = wire.as_slice();
        skip_to_preamble(&mut rest).unwrap();
        assert_eq!(rest, b"!");
    }
}
