//! Reading one file whole, or saying why not.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
};

use fontes_core::ErrorKind;

/// Why a file could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadFault {
    pub(super) kind: ErrorKind,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) advice: &'static str,
    pub(super) transient: bool,
}

/// A file that someone writes to is read again this many times before it is left for the next run.
const ATTEMPTS: usize = 2;

/// Reads `path` whole, if it is at most `limit` bytes long and does not change meanwhile.
pub(super) fn read_stable(path: &Path, limit: u64) -> Result<Vec<u8>, ReadFault> {
    for _ in 0..ATTEMPTS {
        if let Some(bytes) = read_once(path, limit)? {
            return Ok(bytes);
        }
    }
    Err(ReadFault {
        kind: ErrorKind::Unavailable,
        code: "changing",
        message: "file changes while it is read".into(),
        advice: "ingest again when the program that writes it is done",
        transient: true,
    })
}

/// `None` when the file changed between the first and the last look.
fn read_once(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ReadFault> {
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    let before = file.metadata().map_err(|error| unreadable(&error))?;
    if !before.is_file() {
        return Err(unreadable(&io::Error::other("no longer a file")));
    }
    if before.len() > limit {
        return Err(ReadFault {
            kind: ErrorKind::Invalid,
            code: "too_large",
            message: format!("file has {} bytes, more than the limit of {limit}", before.len()),
            advice: "split the file, or raise ingest.max_file_mib if you trust its source",
            transient: false,
        });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    file.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    let after = fs::metadata(path).map_err(|error| unreadable(&error))?;
    let stable = stamp(&before) == stamp(&after) && bytes.len() as u64 == before.len();
    Ok(stable.then_some(bytes))
}

fn stamp(metadata: &Metadata) -> (u64, Option<std::time::SystemTime>) {
    (metadata.len(), metadata.modified().ok())
}

/// The fault for a path the system does not let us look at.
pub(super) fn unreadable(error: &io::Error) -> ReadFault {
    ReadFault {
        kind: ErrorKind::Unavailable,
        code: "unreadable",
        message: format!("file cannot be read: {}", error.kind()),
        advice: "check its permissions and the health of its disk",
        transient: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_stable(&path, 5).unwrap(), b"12345");
        assert_eq!(read_stable(&path, 4).unwrap_err().code, "too_large");
        assert_eq!(read_stable(folder.path(), 4).unwrap_err().code, "unreadable");
        assert_eq!(read_stable(&folder.path().join("b"), 4).unwrap_err().code, "unreadable");
    }
}
