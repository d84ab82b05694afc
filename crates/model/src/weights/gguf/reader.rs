//! A cursor over untrusted bytes.

/// Reads little-endian numbers and strings; every read is checked against what is left.
pub(super) struct Reader<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn file_len(&self) -> usize {
        self.file.len()
    }

    /// Takes `count` bytes; `what` names them in the refusal.
    pub(super) fn bytes(&mut self, count: u64, what: &str) -> Result<&'a [u8], String> {
        let end = usize::try_from(count).ok().and_then(|count| self.position.checked_add(count));
        let taken = end.and_then(|end| self.file.get(self.position..end));
        let taken = taken.ok_or_else(|| format!("{what} of {count} bytes passes the end of the file"))?;
        self.position += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let bytes = self.bytes(N as u64, what)?;
        Ok(*bytes.first_chunk().expect("exactly N bytes were taken"))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length (u64) and that many bytes of UTF-8.
    pub(super) fn string(&mut self, what: &str) -> Result<&'a str, String> {
        let length = self.u64(what)?;
        let bytes = self.bytes(length, what)?;
        str::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8"))
    }
}
