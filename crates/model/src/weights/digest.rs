//! Digests of model files, computed by streaming.

use std::{fmt::Write as _, fs::File, io::Read as _, path::Path};

use fontes_core::Digest;
use sha2::{Digest as _, Sha256};

use super::WeightsError;

/// Bytes read at a time: large enough that the hash, not the disk, is the limit.
const PIECE: usize = 1 << 20;

/// Digests one file.
pub(super) fn file(path: &Path) -> Result<Digest, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let mut input = File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = input.read(&mut piece).map_err(io)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hasher.finalize().into()));
        }
        hasher.update(&piece[..read]);
    }
}

/// Digests several files as one: the digest of what `sha256sum FILE…` prints for them, sorted by name.
pub(super) fn files<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<Digest, WeightsError> {
    let mut lines = Vec::new();
    for path in paths {
        lines.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), file(path)?));
    }
    lines.sort();
    let listing = lines.iter().fold(String::new(), |mut listing, (name, digest)| {
        // Writing to a String cannot fail.
        let _ = writeln!(listing, "{digest}  {name}");
        listing
    });
    Ok(Digest::of(listing.as_bytes()))
}
