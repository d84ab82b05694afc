//! What files looked like when they were last read, so that watching an archive does not read all of it again
//! every few seconds.
//!
//! Kept in memory only: the first run of a process reads every file. The change time is among what is
//! compared, because programs can set a modification time back but not that one; and a stamp counts only
//! when the file had been left alone for a while before it was read, because a clock ticks coarsely.

use std::{
    collections::HashMap,
    fs::Metadata,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use fontes_core::{Digest, DocumentId};

/// File systems keep times in steps of up to two seconds (FAT).
const SETTLED: Duration = Duration::from_secs(3);

/// Everything about a file that changes when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: SystemTime,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
    device_and_inode: (u64, u64),
}

impl Stamp {
    /// The stamp of a file; `None` where the system tells too little.
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok()?,
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            device_and_inode: (metadata.dev(), metadata.ino()),
        })
    }

    /// The stamp of a file; `None` where the system tells too little.
    #[cfg(not(unix))]
    pub(super) fn of(_metadata: &Metadata) -> Option<Self> {
        None
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(self.changed.0.unsigned_abs());
        now.duration_since(changed.max(self.modified)).is_ok_and(|age| age > SETTLED)
    }
}

/// Stamps and digests of the files read by this process.
#[derive(Debug, Default)]
pub(super) struct Stamps(Mutex<HashMap<DocumentId, (Stamp, Digest)>>);

impl Stamps {
    /// The digest of a file that looks exactly as when it was read.
    pub(super) fn digest(&self, file: DocumentId, stamp: Stamp) -> Option<Digest> {
        let stamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.get(&file).filter(|(seen, _)| *seen == stamp).map(|(_, digest)| *digest)
    }

    /// Remembers a file that was read whole. `stamp` was taken before the reading began, at `now`.
    pub(super) fn remember(&self, file: DocumentId, stamp: Stamp, digest: Digest, now: SystemTime) {
        if stamp.is_settled(now) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file, (stamp, digest));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_files_left_alone_are_remembered_and_any_change_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let stamp = Stamp::of(&std::fs::metadata(&path).unwrap()).unwrap();
        let (file, digest) = (DocumentId::derive("files", b"/a"), Digest::of(b"1"));
        let stamps = Stamps::default();
        stamps.remember(file, stamp, digest, stamp.modified);
        assert_eq!(stamps.digest(file, stamp), None, "written this very moment");
        stamps.remember(file, stamp, digest, stamp.modified + Duration::from_secs(60));
        assert_eq!(stamps.digest(file, stamp), Some(digest));
        assert_eq!(stamps.digest(DocumentId::derive("files", b"/b"), stamp), None);
        let (seconds, nanoseconds) = stamp.changed;
        assert_eq!(stamps.digest(file, Stamp { changed: (seconds, nanoseconds + 1), ..stamp }), None);
    }
}
