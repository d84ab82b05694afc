//! The index directory: its lock, its free space, and files that are replaced whole.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use crate::error::IndexError;

/// Name of the file whose lock says that the directory is in use.
const LOCK_FILE: &str = "index.lock";

/// Writing stops when less than this is free. Qdrant and Tantivy both write through memory maps, where a full
/// disk is a killed process and not an error; 128 MiB is four of Qdrant's 32 MiB chunks, the most that one
/// batch opens.
const RESERVE_BYTES: u64 = 128 << 20;

/// An exclusive lock on an index directory, held as long as the value lives and freed by the operating system
/// when the process dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl DirectoryLock {
    /// Creates `dir` when missing and locks it.
    ///
    /// # Errors
    /// [`IndexError::Busy`] when someone holds the lock; [`IndexError::Io`] when the directory cannot be made or
    /// written.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, IndexError> {
        fs::create_dir_all(dir).map_err(IndexError::io("create", dir))?;
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(IndexError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(IndexError::Busy { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(IndexError::Io { action: "lock", path, source }),
        }
    }
}

/// Refuses to go on when the file system of `dir` is nearly full.
///
/// # Errors
/// [`IndexError::Full`].
pub(crate) fn require_space(dir: &Path) -> Result<(), IndexError> {
    // A file system that does not tell is taken to have room; the engines' own errors remain.
    let Ok(stat) = rustix::fs::statvfs(dir) else { return Ok(()) };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < RESERVE_BYTES { Err(IndexError::Full { path: dir.to_owned(), free }) } else { Ok(()) }
}

/// Replaces `path` with `bytes` so that a crash leaves the old content or the new, never a part of either.
///
/// # Errors
/// [`IndexError::Io`].
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), IndexError> {
    let mut temporary = PathBuf::from(path);
    temporary.set_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The rename is durable once the directory is.
        path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    };
    write().map_err(IndexError::io("write", path))
}

/// Removes a directory and all in it; a missing one is no error.
///
/// # Errors
/// [`IndexError::Io`].
pub(crate) fn remove_dir(path: &Path) -> Result<(), IndexError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(IndexError::Io { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_and_free_after() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("new/index");
        let lock = DirectoryLock::acquire(&inside).unwrap();
        assert!(matches!(DirectoryLock::acquire(&inside), Err(IndexError::Busy { .. })));
        drop(lock);
        DirectoryLock::acquire(&inside).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_an_io_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        fs::write(&path, "not a directory").unwrap();
        assert!(matches!(DirectoryLock::acquire(&path), Err(IndexError::Io { .. })));
    }

    #[test]
    fn a_replaced_file_is_whole_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.toml");
        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
