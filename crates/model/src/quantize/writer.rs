//! The GGUF format, version 3 (ggml `docs/gguf.md`): little-endian header, tensor directory, aligned data.

use std::io::{self, Write};

use fontes_core::Digest;
use sha2::{Digest as _, Sha256};

use super::plan::Planned;

/// Tensor data begins at multiples of this; the specification's default.
pub(super) const ALIGNMENT: usize = 32;

/// A value of the header.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    U32(u32),
    F32(f32),
    Bool(bool),
    String(String),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    Strings(Vec<String>),
}

/// Header and tensor directory, padded to where the data begins.
pub(super) fn header(keys: &[(String, Entry)], tensors: &[Planned]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    length(&mut out, tensors.len());
    length(&mut out, keys.len());
    for (key, entry) in keys {
        string(&mut out, key);
        write_entry(&mut out, entry);
    }
    let mut offset = 0;
    for tensor in tensors {
        string(&mut out, &tensor.name);
        out.extend((tensor.dimensions.len() as u32).to_le_bytes());
        tensor.dimensions.iter().for_each(|dimension| out.extend(dimension.to_le_bytes()));
        out.extend(tensor.dtype.gguf_code().to_le_bytes());
        length(&mut out, offset);
        offset += tensor.bytes.next_multiple_of(ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out
}

fn length(out: &mut Vec<u8>, length: usize) {
    out.extend((length as u64).to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend(text.as_bytes());
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    const ARRAY: u32 = 9;
    let mut code = |codes: &[u32]| codes.iter().for_each(|code| out.extend(code.to_le_bytes()));
    match entry {
        Entry::U32(number) => code(&[4, *number]),
        Entry::F32(number) => code(&[6, number.to_bits()]),
        Entry::Bool(truth) => {
            code(&[7]);
            out.push(u8::from(*truth));
        }
        Entry::String(text) => {
            code(&[8]);
            string(out, text);
        }
        Entry::I32s(numbers) => {
            code(&[ARRAY, 5]);
            length(out, numbers.len());
            numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
        Entry::F32s(numbers) => {
            code(&[ARRAY, 6]);
            length(out, numbers.len());
            numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
        Entry::Strings(texts) => {
            code(&[ARRAY, 8]);
            length(out, texts.len());
            texts.iter().for_each(|text| string(out, text));
        }
    }
}

/// Counts and digests what passes through.
pub(super) struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    written: u64,
}

impl<W: Write> HashingWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), written: 0 }
    }

    /// Fills up with zeros to a multiple of `alignment`.
    pub(super) fn align(&mut self, alignment: usize) -> io::Result<()> {
        let surplus = (self.written % alignment as u64) as usize;
        if surplus > 0 { self.write_all(&vec![0; alignment - surplus]) } else { Ok(()) }
    }

    /// The writer, the digest and the length.
    pub(super) fn finish(mut self) -> io::Result<(W, Digest, u64)> {
        self.inner.flush()?;
        Ok((self.inner, Digest::from_bytes(self.hasher.finalize().into()), self.written))
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
