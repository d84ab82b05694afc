//! Kept embeddings: those of large documents, on disk as they are made, so that a run which is cut off in the middle of
//! one goes on there.
//!
//! A document becomes searchable as a whole, and a law of 1,600 pages takes minutes to embed. Its vectors are appended
//! to a file of the data directory: a header that names the embedder, then one record after the other, of the text's
//! digest, the vector, the signs of the tokens with their number of bytes, and a check of all. There is a file for each group between embedding and ledger, taken in turn, so that none is begun
//! anew before what it held is written. They go when a run comes to its end, and with every erasure.
//!
//! What they hold is never needed: a file that cannot be read, or a disk that is full, costs time and nothing else.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use fontes_core::{Digest, Embedder, Embedding, Error, Result};

use super::run::GROUPS;

/// Groups with fewer new chunks are made again within seconds.
const LARGE: usize = 1_024;

/// A file for the group that is embedded, for those that wait, and for the one that is written.
const FILES: usize = GROUPS + 2;

/// Begins every file.
const MAGIC: &[u8; 8] = b"FNTSVEC2";

/// Bytes of a text's digest.
const TEXT: usize = 32;

/// Bytes of a number of bytes.
const LENGTH: usize = 4;

/// Bytes of a record's own digest that are kept with it.
const CHECK: usize = 8;

/// The embeddings that an earlier run left, and the file for those to come.
pub(super) struct Kept {
    data: PathBuf,
    header: Vec<u8>,
    found: HashMap<Digest, Embedding>,
    groups: usize,
    file: Option<File>,
}

fn path(data: &Path, number: usize) -> PathBuf {
    data.join(format!("embedding-{number}.part"))
}

/// Takes every file away. Idempotent.
///
/// # Errors
/// `Unavailable` when one cannot be removed.
pub(super) fn clear(data: &Path) -> Result<()> {
    for path in (0..FILES).map(|number| path(data, number)) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::unavailable(format!("{} cannot be removed", path.display())).because(error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Kept {
    /// Reads what `embedder` made for an earlier run in the data directory `data`.
    pub(super) fn open(data: &Path, embedder: &dyn Embedder) -> Self {
        let mut header = MAGIC.to_vec();
        header.extend(embedder.identity().sha256.as_bytes());
        header.extend((embedder.dimensions() as u64).to_le_bytes());
        let files = (0..FILES).filter_map(|number| fs::read(path(data, number)).ok());
        let records =
            files.flat_map(|file| records(file.strip_prefix(&header[..]).unwrap_or(&[]), embedder.dimensions()));
        Self { data: data.to_owned(), found: records.collect(), header, groups: 0, file: None }
    }

    /// The embedding of the text with this digest, if an earlier run made it.
    pub(super) fn take(&mut self, text: &Digest) -> Option<Embedding> {
        self.found.remove(text)
    }

    /// Begins a group with `fresh` texts to embed, beside those whose `embeddings` are there. Only large groups are kept.
    pub(super) fn begin(&mut self, fresh: usize, embeddings: &HashMap<Digest, Embedding>) {
        self.file = None;
        if fresh + embeddings.len() >= LARGE {
            // Without a file a kill costs the embedding of this group again, and nothing else.
            self.file = File::create(path(&self.data, self.groups % FILES)).ok();
            self.groups += 1;
            let header = self.header.clone();
            self.write(&header);
            self.add(embeddings.iter());
        }
    }

    /// Keeps embeddings of the group.
    pub(super) fn add<'v>(&mut self, embeddings: impl Iterator<Item = (&'v Digest, &'v Embedding)>) {
        if self.file.is_some() {
            let mut bytes = Vec::new();
            for (text, Embedding { vector, tokens }) in embeddings {
                let begin = bytes.len();
                bytes.extend(text.as_bytes());
                bytes.extend(u32::try_from(tokens.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
                bytes.extend(tokens);
                let check = Digest::of(&bytes[begin..]);
                bytes.extend(&check.as_bytes()[..CHECK]);
            }
            self.write(&bytes);
        }
    }

    /// Appends, or gives up on the group.
    fn write(&mut self, bytes: &[u8]) {
        self.file = self.file.take().and_then(|mut file| file.write_all(bytes).ok().map(|()| file));
    }
}

/// The records of a file, up to one that was not written whole.
fn records(mut bytes: &[u8], dimensions: usize) -> Vec<(Digest, Embedding)> {
    let mut records = Vec::new();
    while let Some((record, rest)) = record(bytes, dimensions) {
        records.push(record);
        bytes = rest;
    }
    records
}

/// The first record, and what comes after it.
fn record(bytes: &[u8], dimensions: usize) -> Option<((Digest, Embedding), &[u8])> {
    let (text, rest) = bytes.split_first_chunk::<TEXT>()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (numbers, rest) = rest.split_at_checked(4 * dimensions)?;
    let (tokens, rest) = rest.split_at_checked(length)?;
    let (check, rest) = rest.split_first_chunk::<CHECK>()?;
    let told = &bytes[..bytes.len() - rest.len() - CHECK];
    let (numbers, _) = numbers.as_chunks::<4>();
    let embedding =
        Embedding { vector: numbers.iter().copied().map(f32::from_le_bytes).collect(), tokens: tokens.to_vec() };
    Digest::of(told).as_bytes().starts_with(check).then(|| ((Digest::from_bytes(*text), embedding), rest))
}

#[cfg(test)]
mod tests {
    use fontes_testkit::HashEmbedder;

    use super::*;

    fn made(embedder: &HashEmbedder, count: usize) -> HashMap<Digest, Embedding> {
        let texts: Vec<String> = (0..count).map(|number| format!("text {number}")).collect();
        let inputs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embeddings = embedder.embed_passages(&inputs).unwrap();
        assert!(embeddings.iter().all(|embedding| !embedding.tokens.is_empty()));
        texts.iter().map(|text| Digest::of(text.as_bytes())).zip(embeddings).collect()
    }

    #[test]
    fn what_was_kept_is_found_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (data, embedder) = (folder.path(), HashEmbedder::new(16));
        let vectors = made(&embedder, LARGE);
        let mut kept = Kept::open(data, &embedder);
        kept.begin(0, &vectors);
        kept.add(made(&embedder, LARGE + 1).iter().filter(|(text, _)| !vectors.contains_key(*text)));
        assert_eq!(Kept::open(data, &embedder).found, made(&embedder, LARGE + 1));
        assert!(Kept::open(data, &HashEmbedder::new(8)).found.is_empty(), "of another embedder");
        let mut bytes = fs::read(path(data, 0)).unwrap();
        bytes.truncate(bytes.len() - 20);
        bytes.extend([0; 200]);
        fs::write(path(data, 0), &bytes).unwrap();
        assert_eq!(Kept::open(data, &embedder).found.len(), LARGE, "torn, and zeros after a power loss");
        clear(data).unwrap();
        clear(data).unwrap();
        assert!(Kept::open(data, &embedder).found.is_empty());
    }

    #[test]
    fn small_groups_are_not_kept_and_files_are_taken_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let (data, embedder) = (folder.path(), HashEmbedder::new(16));
        let mut kept = Kept::open(data, &embedder);
        kept.begin(LARGE - 1, &HashMap::new());
        kept.add(made(&embedder, 2).iter());
        assert_eq!(fs::read_dir(data).unwrap().count(), 0);
        for _ in 0..=FILES {
            kept.begin(LARGE, &HashMap::new());
        }
        assert_eq!(fs::read_dir(data).unwrap().count(), FILES);
    }
}
