//! Blocks on disk, one file each, named by their key.
//!
//! ```text
//! magic "FKV1" · number of documents u32 · their ids, 16 bytes each · length of the copy u64 · digest · the copy
//! ```
//!
//! Little-endian. A file is written under another name first and is whole or not there. It is believed only with the
//! right length and digest; what is damaged is removed and counts as not there. Files are for their owner alone.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use fontes_core::{Digest, DocumentId, Error, ErrorKind, Result};

use super::Block;

const MAGIC: &[u8; 4] = b"FKV1";
const EXTENSION: &str = "kv";

/// Of files that are being written, or were when a process was killed.
const PARTIAL: &str = "partial";

/// Most documents a block may name; a prompt holds far fewer passages.
const MAX_DOCUMENTS: u32 = 1 << 16;

/// Largest copy that is read back: [`super::BLOCK`] positions of the largest model have 80 MB.
const MAX_COPY: u64 = 1 << 30;

/// A folder of blocks within a limit of bytes.
pub(super) struct Disk {
    folder: PathBuf,
    limit: u64,
}

impl Disk {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, key: &Digest) -> PathBuf {
        self.folder.join(format!("{key}.{EXTENSION}"))
    }

    pub(super) fn contains(&self, key: &Digest) -> bool {
        self.path(key).is_file()
    }

    /// Reads a block; a damaged one is removed.
    pub(super) fn get(&self, key: &Digest) -> Option<Block> {
        let path = self.path(key);
        let mut file = File::open(&path).ok()?;
        let block = read(&mut file);
        if block.is_none() {
            // If it cannot be removed it is skipped again next time.
            let _ = fs::remove_file(&path);
        }
        block
    }

    /// Stores a block. A cache that cannot be written keeps less; nobody is told.
    pub(super) fn put(&self, key: &Digest, block: &Block) {
        let partial = self.folder.join(format!("{key}.{PARTIAL}"));
        let stored = self.create(&partial).and_then(|mut file| {
            file.write_all(&header(block))?;
            file.write_all(&block.copy)?;
            fs::rename(&partial, self.path(key))
        });
        if stored.is_err() {
            let _ = fs::remove_file(&partial);
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
            options.mode(0o600);
            folder.mode(0o700);
        }
        folder.create(&self.folder)?;
        options.open(path)
    }

    /// Marks `used`, a chain from its beginning on, as used, and removes other files, the least recently used first, until
    /// the limit holds; then the end of the chain.
    pub(super) fn trim<'k>(&self, used: impl DoubleEndedIterator<Item = &'k Digest>) {
        let mut turns = HashMap::new();
        for (turn, key) in used.rev().enumerate() {
            let path = self.path(key);
            // Writing the same four bytes again makes the file new without asking what time it is.
            if File::options().write(true).open(&path).and_then(|mut file| file.write_all(MAGIC)).is_ok() {
                turns.insert(path, turn);
            }
        }
        let mut files: Vec<_> = entries(&self.folder)
            .filter_map(|path| {
                let metadata = fs::metadata(&path).ok()?;
                Some((turns.get(&path).copied(), metadata.modified().ok()?, metadata.len(), path))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(.., size, _)| size).sum();
        for (.., size, path) in files {
            if total <= self.limit {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }
}

/// The block files of a folder; none when there is no folder.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    with_extension(folder, EXTENSION)
}

fn with_extension(folder: &Path, wanted: &str) -> impl Iterator<Item = PathBuf> {
    let list = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    list.filter(move |path| path.extension().is_some_and(|extension| extension == wanted))
}

/// Removes from a folder of blocks every block that was computed from a document that `keep` refuses, and every file
/// that cannot be read. Returns how many went. A folder that is not there holds nothing.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when a file cannot be removed.
pub fn retain_on_disk(folder: &Path, keep: impl Fn(&DocumentId) -> bool) -> Result<usize> {
    let mut removed = 0;
    for path in entries(folder).chain(with_extension(folder, PARTIAL)) {
        let whole = path.extension().is_some_and(|extension| extension == EXTENSION);
        let documents = File::open(&path).ok().filter(|_| whole).and_then(|mut file| read_documents(&mut file));
        if documents.is_some_and(|documents| documents.iter().all(&keep)) {
            continue;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = format!("cached computation {} cannot be removed", path.display());
                return Err(Error::new(ErrorKind::Unavailable, message)
                    .advise("remove the folder by hand: it holds nothing that cannot be computed again")
                    .because(error));
            }
            _ => removed += 1,
        }
    }
    Ok(removed)
}

fn header(block: &Block) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend((block.documents.len() as u32).to_le_bytes());
    block.documents.iter().for_each(|document| out.extend(document.as_bytes()));
    out.extend((block.copy.len() as u64).to_le_bytes());
    out.extend(digest(block).as_bytes());
    out
}

/// Digest of everything in a block.
fn digest(block: &Block) -> Digest {
    let documents: Vec<u8> = block.documents.iter().flat_map(|document| *document.as_bytes()).collect();
    Digest::of_fields("fontes kv v1", &[&documents, &block.copy])
}

fn array<const N: usize>(file: &mut File) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn read_documents(file: &mut File) -> Option<Vec<DocumentId>> {
    if &array::<4>(file)? != MAGIC {
        return None;
    }
    let count = u32::from_le_bytes(array(file)?);
    if count > MAX_DOCUMENTS {
        return None;
    }
    (0..count).map(|_| array(file).map(DocumentId::from_bytes)).collect()
}

fn read(file: &mut File) -> Option<Block> {
    let documents = read_documents(file)?.into_iter().collect();
    let length = u64::from_le_bytes(array(file)?);
    let stated = Digest::from_bytes(array(file)?);
    if length > MAX_COPY || length > file.metadata().ok()?.len() {
        return None;
    }
    let mut copy = Vec::with_capacity(length as usize);
    file.read_to_end(&mut copy).ok()?;
    let block = Block { copy, documents };
    (block.copy.len() as u64 == length && digest(&block) == stated).then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(seed: u8, size: usize, documents: &[u8]) -> Block {
        let documents = documents.iter().map(|&id| DocumentId::from_bytes([id; 16])).collect();
        Block { copy: (0..size).map(|at| seed ^ at as u8).collect(), documents }
    }

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn the_format_is_version_one() {
        let header = header(&block(0, 3, &[7]));
        let digest = Digest::of_fields("fontes kv v1", &[&[7; 16], &[0, 1, 2]]);
        let golden = [&b"FKV1\x01\0\0\0"[..], &[7; 16], b"\x03\0\0\0\0\0\0\0", digest.as_bytes()];
        assert_eq!(header, golden.concat());
    }

    #[test]
    fn blocks_come_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path().join("new/folder"), 1 << 20);
        let stored = block(5, 1000, &[1, 2]);
        disk.put(&key(1), &stored);
        assert_eq!(disk.get(&key(1)), Some(stored));
        let path = disk.path(&key(1));
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(disk.get(&key(1)), None, "{length} bytes");
            assert!(!path.exists(), "damaged files go");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x81;
            fs::write(&path, bytes).unwrap();
            assert_eq!(disk.get(&key(1)), None, "byte {at}");
        }
        assert_eq!(fs::read_dir(disk.folder()).unwrap().count(), 0, "nothing partial is left");
    }

    #[test]
    fn the_limit_holds_and_what_was_just_used_stays() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path().to_owned(), 3500);
        (0..3).for_each(|number| disk.put(&key(number), &block(number, 1000, &[])));
        disk.put(&key(3), &block(3, 1000, &[]));
        let held = || (0..4).filter(|&number| disk.contains(&key(number))).collect::<Vec<u8>>();
        disk.trim([key(0), key(3)].iter());
        assert!(held().len() == 3 && held().contains(&0) && held().contains(&3), "{:?}", held());
        let small = Disk::new(folder.path().to_owned(), 1500);
        small.trim([key(3), key(0)].iter());
        assert_eq!(held(), [3], "of a chain its beginning stays");
    }

    #[test]
    fn what_a_document_was_part_of_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path().to_owned(), 1 << 20);
        disk.put(&key(0), &block(0, 10, &[]));
        disk.put(&key(1), &block(1, 10, &[1]));
        disk.put(&key(2), &block(2, 10, &[1, 2]));
        disk.put(&key(3), &block(3, 10, &[]));
        fs::write(folder.path().join("broken.kv"), b"FK").unwrap();
        fs::write(folder.path().join("other.txt"), b"not ours").unwrap();
        fs::rename(disk.path(&key(3)), folder.path().join("killed.partial")).unwrap();
        let removed = retain_on_disk(folder.path(), |document| document.as_bytes()[0] != 2).unwrap();
        assert_eq!(removed, 3, "the forgotten, the broken, and what a killed process left");
        assert!(disk.contains(&key(0)) && disk.contains(&key(1)) && !disk.contains(&key(2)));
        assert!(folder.path().join("other.txt").exists());
        assert_eq!(retain_on_disk(&folder.path().join("absent"), |_| false).unwrap(), 0);
    }
}
