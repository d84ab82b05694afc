//! Identity: digests, document and chunk ids, snapshot and ledger numbers, model identity.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{Error, Span};

/// A SHA-256 digest (FIPS 180-4), written as 64 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digests `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Wraps a digest computed elsewhere (a streaming hasher).
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Digests fields unambiguously: each is preceded by its length, so that `("ab","c")` ≠ `("a","bc")`.
    pub fn of_fields(domain: &str, fields: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for field in std::iter::once(domain.as_bytes()).chain(fields.iter().copied()) {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        Self(hasher.finalize().into())
    }

    /// The first 16 bytes, shaped as a UUID of version 8 (RFC 9562 §5.8: custom, here a truncated SHA-256).
    fn uuid_v8(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse_hex(text).map(Self).ok_or_else(|| Error::invalid("a digest is 64 hexadecimal digits"))
    }
}

/// Identifies a document: stable over re-ingest of the same source, whatever its content becomes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId([u8; 16]);

impl DocumentId {
    /// Derives the id of the item `locator` (an absolute path, a message id) of source `source`.
    pub fn derive(source: &str, locator: &[u8]) -> Self {
        Self(Digest::of_fields("fontes document v1", &[source.as_bytes(), locator]).uuid_v8())
    }
}

/// Identifies a chunk: derived from document, content, chunker version and ordinal, so a rebuild gives the
/// same ids and two documents with the same content do not collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; 16]);

impl ChunkId {
    /// Derives the id of chunk number `ordinal` of `document` whose source bytes digest to `content`, cut by
    /// `chunker` (a version string naming every setting that moves a boundary) at `span`.
    pub fn derive(document: DocumentId, content: Digest, chunker: &str, ordinal: u32, span: Span) -> Self {
        let fields: [&[u8]; 6] = [
            &document.0,
            content.as_bytes(),
            chunker.as_bytes(),
            &ordinal.to_le_bytes(),
            &(span.start as u64).to_le_bytes(),
            &(span.end as u64).to_le_bytes(),
        ];
        Self(Digest::of_fields("fontes chunk v1", &fields).uuid_v8())
    }
}

/// Implements text, bytes and serde for a 16-byte id written like a UUID.
macro_rules! uuid_like {
    ($name:ident, $noun:literal) => {
        impl $name {
            /// The id as 16 bytes, as stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the id back from its stored bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (index, byte) in self.0.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let malformed = || Error::invalid(concat!("a ", $noun, " id looks like a UUID"));
                let dashes_right = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
                if !dashes_right {
                    return Err(malformed());
                }
                parse_hex(&text.replace('-', "")).map(Self).ok_or_else(malformed)
            }
        }

        serde_as_text!($name);
    };
}

/// Serialises a type as the text that `Display` writes and `FromStr` reads.
macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_text!(Digest);
uuid_like!(DocumentId, "document");
uuid_like!(ChunkId, "chunk");

/// Reads exactly `N` bytes of hexadecimal digits.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Counts the ledger's committed changes to what is searchable; an answer names the one it was given from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexSnapshot(pub u64);

/// A position in the ledger's outbox; the lexical index commits it together with its segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LedgerPosition(pub u64);

/// Names a model and pins its weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// The manifest name, or the file name for a model given by path.
    pub name: String,
    /// Digest of the weights.
    pub sha256: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-4 example: SHA-256("abc").
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), expected);
        assert_eq!(expected.parse::<Digest>().unwrap(), Digest::of(b"abc"));
    }

    #[test]
    fn ids_survive_text_and_bytes() {
        let id = DocumentId::derive("files", b"/a/b.pdf");
        assert_eq!(id.to_string().parse::<DocumentId>().unwrap(), id);
        assert_eq!(DocumentId::from_bytes(*id.as_bytes()), id);
        assert_eq!(&id.to_string()[14..15], "8", "a UUID of version 8");
    }

    #[test]
    fn malformed_ids_are_refused() {
        for text in ["", "x", "00000000000000000000000000000000", "0000000-00000-0000-0000-000000000000"] {
            assert_eq!(text.parse::<ChunkId>().unwrap_err().kind(), crate::ErrorKind::Invalid, "{text:?}");
        }
        assert!("é".repeat(18).parse::<ChunkId>().is_err(), "36 bytes that are not ASCII");
    }

    #[test]
    fn every_ingredient_moves_the_chunk_id() {
        let document = DocumentId::derive("files", b"/a");
        let span = Span { start: 0, end: 9 };
        let base = ChunkId::derive(document, Digest::of(b"x"), "v1", 0, span);
        let others = [
            ChunkId::derive(DocumentId::derive("files", b"/b"), Digest::of(b"x"), "v1", 0, span),
            ChunkId::derive(document, Digest::of(b"y"), "v1", 0, span),
            ChunkId::derive(document, Digest::of(b"x"), "v2", 0, span),
            ChunkId::derive(document, Digest::of(b"x"), "v1", 1, span),
            ChunkId::derive(document, Digest::of(b"x"), "v1", 0, Span { start: 0, end: 8 }),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}
