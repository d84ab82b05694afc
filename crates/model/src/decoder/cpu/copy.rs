//! A copy of packed weights on disk, so that the next process maps what this one packed.
//!
//! ```text
//! packed weights, as they lie in the arena · magic "FPW1" · their length u64 · layout u32 · digest of the model · digest of this copy
//! ```
//!
//! Little-endian. Packing takes a third of a second for a gigabyte; what takes seconds is the memory it goes to, above all
//! in a virtual machine, whose host provides huge pages one by one when they are first touched. A file in the system's cache
//! lies in memory already, several processes share it, and under pressure it can be dropped and read again.
//!
//! A copy is believed only with the right length, layout, model and digest: all of it is hashed at every load, on all
//! threads, at one to two gigabytes a second each. **It is used only where the system maps it in huge pages**, because from
//! small ones a token takes up to twice as long; so the first pages are tried before the rest is written, or read. A copy
//! that cannot be read or believed is as good as none: weights are packed. (A disk that fails later, when a page was dropped
//! and is read again, ends the process, as with the model's file.)

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use fontes_core::Digest;

use crate::{
    kernels::{Arena, HUGE_PAGE, LAYOUT, ThreadPool},
    weights::mmap,
};

const MAGIC: &[u8; 4] = b"FPW1";

/// Bytes after the weights that tell without hashing whether a copy may be the right one: magic, length, layout, model.
const NAME: usize = 4 + 8 + 4 + 32;

/// All bytes after the weights.
const TRAILER: usize = NAME + 32;

/// Bytes hashed at a time.
const PIECE: usize = 1 << 20;

/// Bytes after which it is seen whether the system maps a copy in huge pages.
const TRIAL: usize = 2 * HUGE_PAGE;

/// Bytes that stay free on the disk beside a copy and as much again.
const RESERVE: u64 = 1 << 30;

/// Where packed weights are kept, and of which model they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedCopy {
    /// The file, in a folder that exists.
    pub path: PathBuf,
    /// Digest of the model's files.
    pub model: Digest,
}

/// Why a copy is not used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unused {
    /// There is none, or none to be believed: another is worth its while.
    Missing,
    /// The system maps it in small pages, and would do so with another.
    Slow,
}

impl From<io::Error> for Unused {
    fn from(_: io::Error) -> Self {
        Self::Missing
    }
}

impl PackedCopy {
    /// Opens the copy of an arena of `len` bytes.
    pub(super) fn open(&self, len: usize, pool: &ThreadPool) -> Result<Arena, Unused> {
        let mut file = File::open(&self.path)?;
        let trailer = read_trailer(&mut file, len)?;
        if trailer[..NAME] != self.name(len) {
            return Err(Unused::Missing);
        }
        let map = mmap::map_private(&file)?;
        for part in [0..len.min(TRIAL), 0..len] {
            mmap::populate(&map, part.clone())?;
            // The last page is rarely a whole one.
            if mmap::huge_bytes(&map) < part.len() / HUGE_PAGE * HUGE_PAGE / 2 {
                return Err(Unused::Slow);
            }
        }
        let believed = trailer[NAME..] == *self.digest(&map[..len], pool).as_bytes();
        if believed { Ok(Arena::filled(map, len)) } else { Err(Unused::Missing) }
    }

    /// Keeps a copy of what an arena holds. A copy that cannot be written, for lack of space or of rights, is done without.
    pub(super) fn keep(&self, arena: &Arena, pool: &ThreadPool) {
        let mut partial = OsString::from(&self.path);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let Some(folder) = self.path.parent() else { return };
        // One writer at a time. The lock goes with its holder, so that what lies there was left by a process that was killed.
        let Ok(lock) = File::open(folder) else { return };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_file(&partial);
            if has_room(folder, arena.content().len()) && self.write(&partial, arena.content(), pool).is_err() {
                let _ = fs::remove_file(&partial);
            }
        }
    }

    fn write(&self, partial: &Path, weights: &[u8], pool: &ThreadPool) -> io::Result<()> {
        let mut file = File::options().read(true).write(true).create_new(true).open(partial)?;
        let mut written = 0;
        // In pieces of a huge page, so that the system caches them in such pages.
        for piece in weights.chunks(HUGE_PAGE) {
            file.write_all(piece)?;
            written += piece.len();
            if written == TRIAL {
                let map = mmap::map_private(&file)?;
                mmap::populate(&map, 0..TRIAL)?;
                if mmap::huge_bytes(&map) < TRIAL / 2 {
                    return Err(io::ErrorKind::Unsupported.into());
                }
            }
        }
        file.write_all(&self.name(weights.len()))?;
        file.write_all(self.digest(weights, pool).as_bytes())?;
        fs::rename(partial, &self.path)
    }

    fn name(&self, len: usize) -> Vec<u8> {
        [&MAGIC[..], &(len as u64).to_le_bytes(), &LAYOUT.to_le_bytes(), self.model.as_bytes()].concat()
    }

    /// Digest of the name and of the digests of all pieces.
    fn digest(&self, weights: &[u8], pool: &ThreadPool) -> Digest {
        let mut pieces = vec![[0; 32]; weights.len().div_ceil(PIECE)];
        pool.for_each_chunk(&mut pieces, 1, 1, |index, piece| {
            let from = index * PIECE;
            piece[0] = *Digest::of(&weights[from..weights.len().min(from + PIECE)]).as_bytes();
        });
        Digest::of_fields("fontes packed weights", &[&self.name(weights.len()), pieces.as_flattened()])
    }
}

/// What follows `len` bytes of weights in a file of the right length.
fn read_trailer(file: &mut File, len: usize) -> Result<[u8; TRAILER], Unused> {
    if file.metadata()?.len() != (len + TRAILER) as u64 {
        return Err(Unused::Missing);
    }
    let mut trailer = [0; TRAILER];
    file.seek(SeekFrom::Start(len as u64))?;
    file.read_exact(&mut trailer)?;
    Ok(trailer)
}

/// Says whether the disk has room for a copy and as much again.
fn has_room(folder: &Path, len: usize) -> bool {
    // A file system that does not tell says so when it is full.
    rustix::fs::statvfs(folder).map_or(true, |stat| {
        stat.f_bavail.saturating_mul(stat.f_frsize) >= (len as u64).saturating_mul(2).saturating_add(RESERVE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole pieces and a rest, more than is tried first.
    const LEN: usize = 9_000_000;

    fn filled(len: usize) -> Arena {
        let mut arena = Arena::new(len).unwrap();
        let part = arena.take(len).unwrap();
        for (at, byte) in arena.bytes_mut(&part).iter_mut().enumerate() {
            *byte = (at % 251) as u8;
        }
        arena
    }

    fn copy(folder: &Path, model: &[u8]) -> PackedCopy {
        PackedCopy { path: folder.join("packed.weights"), model: Digest::of(model) }
    }

    #[test]
    fn the_format_is_version_one() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, copy) = (ThreadPool::new(1), copy(folder.path(), b"model"));
        copy.keep(&filled(5), &pool);
        let name = [&b"FPW1\x05\0\0\0\0\0\0\0\x01\0\0\0"[..], Digest::of(b"model").as_bytes()].concat();
        let piece = Digest::of(&[0, 1, 2, 3, 4]);
        let digest = Digest::of_fields("fontes packed weights", &[&name, piece.as_bytes()]);
        let golden = [&[0, 1, 2, 3, 4], &name[..], digest.as_bytes()].concat();
        assert_eq!(fs::read(&copy.path).unwrap(), golden);
    }

    #[test]
    fn a_copy_comes_back_where_the_system_maps_it_in_huge_pages() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, arena, copy) = (ThreadPool::new(2), filled(LEN), copy(folder.path(), b"model"));
        assert_eq!(copy.open(LEN, &pool).err(), Some(Unused::Missing));
        copy.keep(&arena, &pool);
        match copy.open(LEN, &pool) {
            Ok(mut opened) => {
                let part = opened.take(LEN).unwrap();
                assert!(opened.bytes(&part) == arena.content());
            }
            // Found out after the first pages of it; or, where memory is in small pieces, after all of them.
            Err(unused) => assert_eq!(unused == Unused::Slow, copy.path.exists()),
        }
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            usize::from(copy.path.exists()),
            "nothing partial is left"
        );
    }

    #[test]
    fn a_small_copy_comes_back_whole_or_not_at_all() {
        // Less than one huge page is used however it is mapped.
        let folder = tempfile::tempdir().unwrap();
        let (pool, arena, copy) = (ThreadPool::new(2), filled(1000), copy(folder.path(), b"model"));
        copy.keep(&arena, &pool);
        let mut opened = copy.open(1000, &pool).unwrap();
        let part = opened.take(1000).unwrap();
        assert!(opened.bytes(&part) == arena.content());
        drop(opened);
        let missing = |copy: &PackedCopy, len| copy.open(len, &pool).err() == Some(Unused::Missing);
        assert!(missing(&copy, 999));
        assert!(
            missing(&PackedCopy { model: Digest::of(b"another"), ..copy.clone() }, 1000),
            "weights of another model"
        );
        let whole = fs::read(&copy.path).unwrap();
        for at in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&copy.path, bytes).unwrap();
            assert!(missing(&copy, 1000), "byte {at}");
            fs::write(&copy.path, &whole[..at]).unwrap();
            assert!(missing(&copy, 1000), "{at} bytes");
        }
        copy.keep(&arena, &pool);
        assert!(!missing(&copy, 1000), "a damaged copy is replaced");
    }

    #[test]
    fn what_a_killed_process_left_goes_and_two_do_not_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, arena, copy) = (ThreadPool::new(1), filled(1000), copy(folder.path(), b"model"));
        let left = folder.path().join("packed.weights.partial");
        fs::write(&left, b"left").unwrap();
        let another = File::open(folder.path()).unwrap();
        another.lock().unwrap();
        copy.keep(&arena, &pool);
        assert!(left.exists() && !copy.path.exists(), "another process is at it");
        drop(another);
        copy.keep(&arena, &pool);
        assert!(!left.exists() && copy.open(1000, &pool).is_ok());
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, arena) = (ThreadPool::new(1), filled(1000));
        // A folder in the place of the copy, and no folder at all.
        let taken = copy(folder.path(), b"model");
        fs::create_dir(&taken.path).unwrap();
        taken.keep(&arena, &pool);
        copy(&folder.path().join("absent"), b"model").keep(&arena, &pool);
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["packed.weights"]);
        assert_eq!(taken.open(1000, &pool).err(), Some(Unused::Missing));
    }
}
