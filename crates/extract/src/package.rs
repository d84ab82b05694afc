//! ZIP containers under limits: what office formats, EPUB and archives are made of.
//!
//! Claimed sizes are never believed: an entry is inflated at most to what the limits leave, and one byte
//! more means a bomb.

use std::io::{Cursor, Read as _};

use zip::{ZipArchive, result::ZipError};

use crate::{ExtractError, ParseLimits, encoding};

/// An open ZIP container that counts what it inflates.
pub(crate) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    names: Vec<String>,
    limits: &'a ParseLimits,
    inflated: u64,
}

impl<'a> Package<'a> {
    /// Opens a container and checks the number of its entries.
    pub fn open(bytes: &'a [u8], limits: &'a ParseLimits) -> Result<Self, ExtractError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if archive.len() as u64 > limits.entries {
            return Err(ExtractError::limit("number of entries", limits.entries));
        }
        let names = archive.file_names().map(|name| name.map(Into::into).unwrap_or_default()).collect();
        Ok(Self { archive, names, limits, inflated: 0 })
    }

    /// Names of all entries in their order; an undecodable name is empty.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The content of the named entry, `None` when there is no such entry. Names are compared without case
    /// and leading slash, as office programs do.
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let name = name.trim_start_matches('/');
        let exact = self.names.iter().position(|entry| entry == name);
        match exact.or_else(|| self.names.iter().position(|entry| entry.eq_ignore_ascii_case(name))) {
            Some(index) => self.read_index(index),
            None => Ok(None),
        }
    }

    /// The named entry as text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        Ok(self.read(name)?.map(|bytes| encoding::decode(&bytes, Some("utf-8"))))
    }

    /// The content of the entry at `index`; `None` for folders and links.
    ///
    /// # Errors
    /// [`ExtractError::Limit`] over the ratio or the total, [`ExtractError::Encrypted`],
    /// [`ExtractError::Corrupted`].
    pub fn read_index(&mut self, index: usize) -> Result<Option<Vec<u8>>, ExtractError> {
        let raw = self.archive.by_index_raw(index).map_err(damaged)?;
        if raw.is_dir() || raw.is_symlink() {
            return Ok(None);
        }
        if raw.encrypted() {
            return Err(ExtractError::Encrypted { what: "an entry of the container".into() });
        }
        let compressed = raw.compressed_size();
        drop(raw);
        let by_ratio = compressed.saturating_mul(self.limits.inflation_ratio).max(ParseLimits::RATIO_FREE_BYTES);
        let by_total = self.limits.inflated_bytes - self.inflated;
        let mut entry = self.archive.by_index(index).map_err(damaged)?;
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(by_ratio.min(by_total) + 1).read_to_end(&mut bytes);
        let length = bytes.len() as u64;
        if length > by_total {
            return Err(ExtractError::limit("inflated size in bytes", self.limits.inflated_bytes));
        }
        if length > by_ratio {
            return Err(ExtractError::limit("inflation ratio", self.limits.inflation_ratio));
        }
        read.map_err(|error| ExtractError::corrupted(format!("entry {index} of the container: {error}")))?;
        self.inflated += length;
        Ok(Some(bytes))
    }
}

fn damaged(error: ZipError) -> ExtractError {
    match error {
        ZipError::InvalidPassword => ExtractError::Encrypted { what: "an entry of the container".into() },
        ZipError::CompressionMethodNotSupported(method) => {
            ExtractError::Unsupported { media_type: format!("application/zip; compression={method}") }
        }
        error => ExtractError::corrupted(format!("ZIP container: {error}")),
    }
}

/// Makes ZIP files for tests.
#[cfg(test)]
pub(crate) fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_as_office_programs_do() {
        let bytes = zipped(&[("Word/Document.xml", b"<a/>")]);
        let limits = ParseLimits::default();
        let mut package = Package::open(&bytes, &limits).unwrap();
        assert_eq!(package.text("/word/document.xml").unwrap().as_deref(), Some("<a/>"));
        assert_eq!(package.text("nothing").unwrap(), None);
    }

    #[test]
    fn inflation_stops_at_ratio_total_and_number() {
        let zeros = vec![0; 9 << 20];
        let bytes = zipped(&[("a", &zeros), ("b", b"x")]);
        let check = |limits: ParseLimits, what: &str| {
            let error = Package::open(&bytes, &limits).and_then(|mut package| package.read("a")).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        };
        check(ParseLimits::default(), "ratio");
        check(
            ParseLimits { inflation_ratio: 2000, inflated_bytes: 1 << 20, ..ParseLimits::default() },
            "inflated size",
        );
        check(ParseLimits { entries: 1, ..ParseLimits::default() }, "number of entries");
    }

    #[test]
    fn a_lying_size_is_not_believed() {
        let mut bytes = zipped(&[("a", b"hello hello hello hello")]);
        // The claimed size stands at 24 in the central directory record.
        let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[directory + 24..directory + 28].copy_from_slice(&u32::MAX.to_le_bytes());
        let limits = ParseLimits::default();
        let read = Package::open(&bytes, &limits).and_then(|mut package| package.read("a"));
        assert!(read.is_err() || read.unwrap().unwrap() == b"hello hello hello hello");
    }
}
