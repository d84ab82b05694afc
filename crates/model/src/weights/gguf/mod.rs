//! GGUF, versions 2 and 3: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
//!
//! [`parse`] walks the header once. Nothing is allocated in proportion to a number that the file merely claims:
//! arrays stay in the file as checked ranges and are decoded when asked for.

mod metadata;
mod reader;
mod tensors;

use std::collections::BTreeMap;

pub use metadata::{Array, Metadata, Value};

use self::{metadata::Stored, reader::Reader};
use super::{WeightsError, source::Entry};

/// The four letters every GGUF file starts with.
const MAGIC: &[u8] = b"GGUF";

/// Most keys and tensors a file may claim; the largest published models have under 3,000 of either.
const MAX_COUNT: u64 = 1 << 20;

/// Why bytes are refused. The caller adds the file's name.
#[derive(Debug)]
pub enum ParseError {
    /// Not GGUF at all.
    NotGguf,
    /// GGUF, but it contradicts itself or its length.
    Malformed(String),
    /// A tensor type that is not read here.
    UnknownType(WeightsError),
}

impl From<String> for ParseError {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

/// The checked key/value header of a GGUF file; read through [`Metadata`].
#[derive(Debug)]
pub struct Header {
    version: u32,
    entries: BTreeMap<String, Stored>,
}

/// Parses and checks the header of `file`: magic, version, counts, lengths, nesting, types, and that every tensor
/// lies aligned inside the file and apart from the others. Never panics, whatever the bytes: the entry point for
/// fuzzing.
pub(super) fn parse(file: &[u8]) -> Result<(Header, BTreeMap<String, Entry>), ParseError> {
    let mut reader = Reader::new(file);
    if reader.bytes(4, "the magic").ok() != Some(MAGIC) {
        return Err(ParseError::NotGguf);
    }
    let version = reader.u32("the version")?;
    if !(2..=3).contains(&version) {
        // Version 3 written on a big-endian machine shows as 0x03000000.
        return Err(format!("version {version} is not read, only 2 and 3 (little-endian)").into());
    }
    let tensor_count = count(reader.u64("the tensor count")?, "tensors")?;
    let key_count = count(reader.u64("the key count")?, "keys")?;
    let mut entries = BTreeMap::new();
    for _ in 0..key_count {
        let key = reader.string("a key")?.to_owned();
        let value = metadata::read(&mut reader, &key)?;
        if entries.insert(key.clone(), value).is_some() {
            return Err(format!("key {key:?} occurs twice").into());
        }
    }
    let header = Header { version, entries };
    let alignment = tensors::alignment(&Metadata::new(file, &header))?;
    let tensors = tensors::read(&mut reader, tensor_count, alignment)?;
    Ok((header, tensors))
}

/// Checks a header the way [`super::TensorSource::open`] does, for fuzzing: bytes in, verdict out.
///
/// # Errors
/// [`ParseError`] for anything that is not a well-formed file.
pub fn check(file: &[u8]) -> Result<(), ParseError> {
    parse(file).map(|_| ())
}

fn count(claimed: u64, what: &str) -> Result<u64, String> {
    if claimed > MAX_COUNT { Err(format!("{claimed} {what} are too many")) } else { Ok(claimed) }
}

#[cfg(test)]
mod tests;
