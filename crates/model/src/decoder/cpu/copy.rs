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
//! small ones a token takes up to twice as long; so the first pages of a new copy are tried before the rest is written.
//! Whatever goes wrong, weights are packed as if there were no copy.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use fontes_core::Digest;

use crate::{
    kernels::{Arena, LAYOUT, ThreadPool},
    weights::mmap,
};

const MAGIC: &[u8; 4] = b"FPW1";

/// Bytes after the weights.
const TRAILER: usize = 4 + 8 + 4 + 32 + 32;

/// Bytes hashed at a time.
const PIECE: usize = 1 << 20;

/// The huge page of x86-64 and of most 64-bit Arm systems. Written in pieces of this size, a file is cached in such pages.
const HUGE_PAGE: usize = 2 << 20;

/// Bytes of a new copy after which it is seen whether the system maps them in huge pages.
const TRIAL: usize = 2 * HUGE_PAGE;

/// Bytes that stay free on the disk beside a copy.
const RESERVE: u64 = 1 << 30;

/// Where packed weights are kept, and of which model they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedCopy {
    /// The file, in a folder that exists.
    pub path: PathBuf,
    /// Digest of the model's files.
    pub model: Digest,
}

impl PackedCopy {
    /// Opens the copy of an arena of `len` bytes; `None` when there is none to be believed, or it would be slow.
    pub(super) fn open(&self, len: usize, pool: &ThreadPool) -> Option<Arena> {
        let file = File::open(&self.path).ok()?;
        if file.metadata().ok()?.len() != len.checked_add(TRAILER)? as u64 {
            return None;
        }
        let map = mmap::map_private(&file).ok()?;
        let whole_pages = len / HUGE_PAGE * HUGE_PAGE;
        if mmap::huge_bytes(&map) < whole_pages / 2 {
            return None;
        }
        let (weights, trailer) = map.split_at(len);
        let believed = trailer == self.trailer(weights, pool);
        believed.then(|| Arena::filled(map, len))
    }

    /// Keeps a copy of what an arena holds. A copy that cannot be written, for lack of space or of rights, is done without.
    pub(super) fn keep(&self, arena: &Arena, pool: &ThreadPool) {
        let partial = self.path.with_extension("partial");
        if self.has_room(arena.content().len())
            && let Ok(file) = claim(&partial)
            && self.write(file, &partial, arena.content(), pool).is_err()
        {
            let _ = fs::remove_file(&partial);
        }
    }

    fn write(&self, mut file: File, partial: &Path, weights: &[u8], pool: &ThreadPool) -> io::Result<()> {
        let mut written = 0;
        for piece in weights.chunks(HUGE_PAGE) {
            file.write_all(piece)?;
            written += piece.len();
            if written == TRIAL && mmap::huge_bytes(&mmap::map_private(&file)?) < TRIAL / 2 {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        file.write_all(&self.trailer(weights, pool))?;
        fs::rename(partial, &self.path)
    }

    fn trailer(&self, weights: &[u8], pool: &ThreadPool) -> Vec<u8> {
        let (len, layout) = ((weights.len() as u64).to_le_bytes(), LAYOUT.to_le_bytes());
        let mut pieces = vec![[0; 32]; weights.len().div_ceil(PIECE)];
        pool.for_each_chunk(&mut pieces, 1, 1, |index, piece| {
            let from = index * PIECE;
            piece[0] = *Digest::of(&weights[from..weights.len().min(from + PIECE)]).as_bytes();
        });
        let copy = Digest::of_fields("fontes packed weights", &[&layout, self.model.as_bytes(), pieces.as_flattened()]);
        [&MAGIC[..], &len, &layout, self.model.as_bytes(), copy.as_bytes()].concat()
    }

    /// Says whether the disk has room for a copy and as much again.
    fn has_room(&self, len: usize) -> bool {
        let Some(folder) = self.path.parent() else { return false };
        // A file system that does not tell says so when it is full.
        rustix::fs::statvfs(folder).map_or(true, |stat| {
            stat.f_bavail.saturating_mul(stat.f_frsize) >= (len as u64).saturating_mul(2).saturating_add(RESERVE)
        })
    }
}

/// Makes the file that becomes the copy. Its lock says that somebody is at it; without one it was left by a process that was
/// killed. It is never written over: another process may have it, under its final name.
fn claim(partial: &Path) -> io::Result<File> {
    if let Ok(left) = File::open(partial) {
        left.try_lock()?;
        fs::remove_file(partial)?;
    }
    let file = File::options().read(true).write(true).create_new(true).open(partial)?;
    file.try_lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 3_000_000;

    fn filled() -> Arena {
        let mut arena = Arena::new(LEN).unwrap();
        let part = arena.take(LEN).unwrap();
        for (at, byte) in arena.bytes_mut(&part).iter_mut().enumerate() {
            *byte = (at % 251) as u8;
        }
        arena
    }

    fn copy(folder: &Path, model: &[u8]) -> PackedCopy {
        PackedCopy { path: folder.join("packed.weights"), model: Digest::of(model) }
    }

    /// What can be believed, wherever this machine maps small files how.
    fn believed(copy: &PackedCopy, len: usize) -> bool {
        let pool = ThreadPool::new(2);
        let bytes = fs::read(&copy.path).unwrap_or_default();
        bytes.len() == len + TRAILER && bytes[len..] == copy.trailer(&bytes[..len], &pool)
    }

    #[test]
    fn the_format_is_version_one() {
        let pool = ThreadPool::new(1);
        let trailer = copy(Path::new(""), b"model").trailer(&[7; 5], &pool);
        let (model, piece) = (Digest::of(b"model"), Digest::of(&[7; 5]));
        let digest = Digest::of_fields("fontes packed weights", &[&[1, 0, 0, 0], model.as_bytes(), piece.as_bytes()]);
        let golden = [&b"FPW1\x05\0\0\0\0\0\0\0\x01\0\0\0"[..], model.as_bytes(), digest.as_bytes()];
        assert_eq!(trailer, golden.concat());
        assert_eq!(trailer.len(), TRAILER);
    }

    #[test]
    fn a_copy_comes_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, arena) = (ThreadPool::new(2), filled());
        let copy = copy(folder.path(), b"model");
        assert!(copy.open(LEN, &pool).is_none());
        copy.keep(&arena, &pool);
        assert!(believed(&copy, LEN));
        // Less than one huge page is used however it is mapped.
        let small = PackedCopy { path: folder.path().join("small.weights"), ..copy.clone() };
        let mut few = Arena::new(1000).unwrap();
        let part = few.take(1000).unwrap();
        few.bytes_mut(&part).fill(9);
        small.keep(&few, &pool);
        let mut opened = small.open(1000, &pool).unwrap();
        let part = opened.take(1000).unwrap();
        assert!(opened.bytes(&part) == [9; 1000]);
        drop(opened);
        assert!(small.open(999, &pool).is_none());
        let other = PackedCopy { model: Digest::of(b"another"), ..small.clone() };
        assert!(other.open(1000, &pool).is_none(), "weights of another model");
        let whole = fs::read(&small.path).unwrap();
        for at in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&small.path, bytes).unwrap();
            assert!(small.open(1000, &pool).is_none(), "byte {at}");
            fs::write(&small.path, &whole[..at]).unwrap();
            assert!(small.open(1000, &pool).is_none(), "{at} bytes");
        }
        small.keep(&few, &pool);
        assert!(small.open(1000, &pool).is_some(), "a damaged copy is replaced");
    }

    #[test]
    fn what_a_killed_process_left_is_replaced_and_what_another_writes_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, arena) = (ThreadPool::new(1), filled());
        let copy = copy(folder.path(), b"model");
        let partial = copy.path.with_extension("partial");
        let writing = claim(&partial).unwrap();
        copy.keep(&arena, &pool);
        assert!(partial.exists() && !copy.path.exists());
        drop(writing);
        copy.keep(&arena, &pool);
        assert!(!partial.exists() && believed(&copy, LEN));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_done_without() {
        let pool = ThreadPool::new(1);
        copy(Path::new("/nowhere/at/all"), b"model").keep(&filled(), &pool);
        copy(Path::new("/proc"), b"model").keep(&filled(), &pool);
    }
}
