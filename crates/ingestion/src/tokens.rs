//! Signs of the tokens of chunks, in one SQLite file of the data directory.
//!
//! A search looks up a few dozen of them by chunk, and they are some ten KiB each: a row of a database, not a file of its
//! own and nothing to keep in memory. What is in the file can be made again, so a file that turns out to be damaged is replaced
//! by an empty one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fontes_core::{ChunkId, Digest, Error, Result, TokenStore};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Name of the file within a data directory.
const FILE: &str = "tokens.sqlite";

/// What SQLite puts beside its file.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Rows are larger than the usual page of 4 KiB.
const PAGE_BYTES: u32 = 16_384;

/// How long a statement waits for another connection.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS tokens (
    chunk BLOB NOT NULL, embedder BLOB NOT NULL, signs BLOB NOT NULL, UNIQUE (chunk, embedder)
) STRICT;";

/// Chunks whose signs are taken away in one transaction: with `secure_delete` the log grows by as much as they held.
const STEP: usize = 500;

/// A [`TokenStore`] on SQLite. The lock of the ledger beside it keeps other processes out.
#[derive(Debug)]
pub struct SqliteTokens {
    dir: PathBuf,
    /// So that a search does not wait while a run brings documents in. Locked before `writer`.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

impl SqliteTokens {
    /// Opens the file in the data directory `dir`, of which the ledger is open; a new one when there is none that can be read.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Unavailable`] when the directory cannot be written.
    pub fn open(dir: &Path) -> Result<Self> {
        let connections = || -> rusqlite::Result<_> { Ok((connect(dir)?, connect(dir)?)) };
        let opened = match connections() {
            Err(error) if is_damage(&error) => {
                Self::discard(dir)?;
                connections()
            }
            opened => opened,
        };
        let (reader, writer) = opened.map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), reader: Mutex::new(reader), writer: Mutex::new(writer) })
    }

    /// Takes away what is of no embedder among `embedders`.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Unavailable`] when the file cannot be written.
    pub fn keep_only<'d>(&self, embedders: impl Iterator<Item = &'d Digest>) -> Result<()> {
        let kept: BTreeSet<&[u8]> = embedders.map(|embedder| embedder.as_bytes().as_slice()).collect();
        let all = self.run(&self.reader, |reader| {
            let mut select = reader.prepare("SELECT DISTINCT embedder FROM tokens")?;
            select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<Vec<u8>>>>()
        })?;
        for embedder in all.iter().filter(|embedder| !kept.contains(embedder.as_slice())) {
            let step = format!(
                "DELETE FROM tokens WHERE rowid IN (SELECT rowid FROM tokens WHERE embedder = ?1 LIMIT {STEP})"
            );
            while self.run(&self.writer, |writer| writer.execute(&step, [embedder]))? > 0 {
                self.empty_log()?;
            }
        }
        Ok(())
    }

    /// Removes the file from `dir`; a missing one is no error.
    fn discard(dir: &Path) -> Result<()> {
        for suffix in SUFFIXES {
            let path = dir.join(format!("{FILE}{suffix}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::unavailable(format!("{} cannot be removed", path.display())).because(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Works on a connection; when the file turns out to be damaged, on that of an empty one.
    fn run<T>(
        &self,
        connection: &Mutex<Connection>,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let done = work(&mut locked(connection));
        match done {
            Err(error) if is_damage(&error) => {
                self.begin_anew()?;
                work(&mut locked(connection)).map_err(failed)
            }
            done => done.map_err(failed),
        }
    }

    /// Replaces a damaged file by an empty one.
    fn begin_anew(&self) -> Result<()> {
        let (mut reader, mut writer) = (locked(&self.reader), locked(&self.writer));
        let nothing = || Connection::open_in_memory().map_err(failed);
        // What is open could not be removed on every system.
        (*reader, *writer) = (nothing()?, nothing()?);
        Self::discard(&self.dir)?;
        *reader = connect(&self.dir).map_err(failed)?;
        *writer = connect(&self.dir).map_err(failed)?;
        Ok(())
    }

    /// Leaves no copy of what was deleted in the log.
    fn empty_log(&self) -> Result<()> {
        // Nobody reads while this is held, so the log can be emptied.
        let (_reader, writer) = (locked(&self.reader), locked(&self.writer));
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        match busy.map_err(failed)? {
            0 => Ok(()),
            _ => Err(Error::unavailable(format!("the log of {} cannot be emptied", self.dir.join(FILE).display()))),
        }
    }
}

fn connect(dir: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(dir.join(FILE))?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What replaces the signs of a text that changed must not be lost when the text is not.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.execute_batch(SCHEMA)?;
    connection.prepare("SELECT chunk, embedder, signs FROM tokens")?;
    Ok(connection)
}

fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(source: rusqlite::Error) -> Error {
    Error::unavailable("what is kept of tokens cannot be read or written")
        .advise("check that the data directory is writable and has free space")
        .because(source)
}

/// Says whether a file is not what was written, so that a new one is of more use.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::{
        Error::SqlInputError,
        ErrorCode::{DatabaseCorrupt, NotADatabase},
    };
    matches!(error, SqlInputError { .. }) || matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

impl TokenStore for SqliteTokens {
    fn put(&self, embedder: &Digest, signs: &[(ChunkId, &[u8])]) -> Result<()> {
        self.run(&self.writer, |writer| {
            let transaction = writer.transaction()?;
            {
                let sql = "INSERT OR REPLACE INTO tokens (chunk, embedder, signs) VALUES (?1, ?2, ?3)";
                let mut insert = transaction.prepare_cached(sql)?;
                for (chunk, signs) in signs {
                    insert.execute(params![chunk.as_bytes(), embedder.as_bytes(), signs])?;
                }
            }
            transaction.commit()
        })
    }

    fn get(&self, embedder: &Digest, chunks: &[ChunkId]) -> Result<Vec<Vec<u8>>> {
        self.run(&self.reader, |reader| {
            let mut select = reader.prepare_cached("SELECT signs FROM tokens WHERE chunk = ?1 AND embedder = ?2")?;
            let mut signs = |chunk: &ChunkId| {
                let row = select.query_row(params![chunk.as_bytes(), embedder.as_bytes()], |row| row.get(0));
                row.optional().map(Option::unwrap_or_default)
            };
            chunks.iter().map(&mut signs).collect()
        })
    }

    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        for step in chunks.chunks(STEP) {
            self.run(&self.writer, |writer| {
                let transaction = writer.transaction()?;
                {
                    let mut delete = transaction.prepare_cached("DELETE FROM tokens WHERE chunk = ?1")?;
                    for chunk in step {
                        delete.execute([chunk.as_bytes()])?;
                    }
                }
                transaction.commit()
            })?;
            self.empty_log()?;
        }
        Ok(())
    }

    fn ids(&self, embedder: Option<&Digest>) -> Result<BTreeSet<ChunkId>> {
        self.run(&self.reader, |reader| {
            let mut select = reader.prepare_cached("SELECT chunk FROM tokens WHERE ?1 IS NULL OR embedder = ?1")?;
            let chunk = |row: &rusqlite::Row<'_>| Ok(ChunkId::from_bytes(row.get(0)?));
            select.query_map([embedder.map(Digest::as_bytes)], chunk)?.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use fontes_testkit::{Specimen, conformance};

    use super::*;

    fn open(dir: &Path) -> SqliteTokens {
        SqliteTokens::open(dir).unwrap()
    }

    fn digest() -> Digest {
        Digest::of(b"embedder")
    }

    #[test]
    fn the_contract_is_kept_and_what_was_put_is_there_later() {
        let dir = tempfile::tempdir().unwrap();
        conformance::token_store(&open(dir.path()));
        let chunk = Specimen::new("later", 0, "text").id();
        open(dir.path()).put(&digest(), &[(chunk, &[1])]).unwrap();
        assert_eq!(open(dir.path()).get(&digest(), &[chunk]).unwrap(), [vec![1]]);
    }

    #[test]
    fn what_is_removed_is_in_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let ids: Vec<ChunkId> = (0..20).map(|n| Specimen::new("doc", n, "text").id()).collect();
        let signs = b"these very bytes".repeat(1_000);
        ids.iter().for_each(|id| store.put(&digest(), &[(*id, &signs)]).unwrap());
        let holds = || {
            let files = fs::read_dir(dir.path()).unwrap().flatten();
            files.map(|file| fs::read(file.path()).unwrap()).any(|bytes| bytes.windows(16).any(|it| it == &signs[..16]))
        };
        assert!(holds());
        store.remove(&ids).unwrap();
        assert!(!holds());
    }

    #[test]
    fn a_file_that_is_damaged_while_it_is_open_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<ChunkId> = (0..500).map(|n| Specimen::new("doc", n, "text").id()).collect();
        let fill = |store: &SqliteTokens| {
            ids.iter().for_each(|id| store.put(&digest(), &[(*id, &[7; 3_000])]).unwrap());
            store.empty_log().unwrap();
        };
        fill(&open(dir.path()));
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[PAGE_BYTES as usize..].fill(0xA5);
        fs::write(&path, &bytes).unwrap();
        let store = open(dir.path());
        assert!(store.get(&digest(), &ids).unwrap().iter().all(Vec::is_empty));
        assert!(store.ids(None).unwrap().is_empty());
        fill(&store);
        store.remove(&ids[1..]).unwrap();
        assert_eq!(store.ids(None).unwrap(), BTreeSet::from([ids[0]]));
    }

    #[test]
    fn what_is_of_no_set_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let [kept, dropped] = [digest(), Digest::of(b"dropped")];
        let chunk = Specimen::new("doc", 0, "text").id();
        [kept, dropped].iter().for_each(|embedder| store.put(embedder, &[(chunk, &[1])]).unwrap());
        store.keep_only([&kept].into_iter()).unwrap();
        assert_eq!([kept, dropped].map(|embedder| store.ids(Some(&embedder)).unwrap().len()), [1, 0]);
    }

    #[test]
    fn a_file_that_is_none_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"no database at all, but long enough to be taken for one".repeat(400))
            .unwrap();
        let store = open(dir.path());
        assert!(store.ids(Some(&digest())).unwrap().is_empty());
        drop(store);
        let other = Connection::open(dir.path().join(FILE)).unwrap();
        other.execute_batch("DROP TABLE tokens; CREATE TABLE tokens (something TEXT)").unwrap();
        drop(other);
        let store = open(dir.path());
        let chunk = Specimen::new("doc", 0, "text").id();
        store.put(&digest(), &[(chunk, &[1])]).unwrap();
        SqliteTokens::discard(dir.path()).unwrap();
        SqliteTokens::discard(dir.path()).unwrap();
        assert!(!dir.path().join(FILE).exists());
    }
}
