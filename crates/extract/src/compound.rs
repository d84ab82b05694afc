//! OLE2 compound files ([MS-CFB]): streams by path, for the formats that live in them.

use std::io::{Cursor, Read as _};

use cfb::CompoundFile;

use crate::ExtractError;

/// An open compound file. A stream never gives more bytes than the whole file has, whatever its directory says.
pub(crate) struct Compound<'a> {
    file: CompoundFile<Cursor<&'a [u8]>>,
    most: u64,
}

impl<'a> Compound<'a> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ExtractError::corrupted`] when its tables do not hold together.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let file = CompoundFile::open(Cursor::new(bytes));
        let file = file.map_err(|error| ExtractError::corrupted(format!("compound file: {error}")))?;
        Ok(Self { file, most: bytes.len() as u64 })
    }

    /// The content of the stream at `path`, if there is one and it can be read.
    pub(crate) fn stream(&mut self, path: &str) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        self.file.open_stream(path).ok()?.take(self.most).read_to_end(&mut content).ok()?;
        Some(content)
    }
}
