//! The manifest: what an index was built with, stored beside it and checked whenever it is opened.

use std::{fs, path::Path};

use fontes_core::ModelIdentity;
use serde::{Deserialize, Serialize};

use crate::{directory::replace_file, error::IndexError, lexical::ANALYZERS};

/// Name of the manifest within an index directory.
const FILE: &str = "manifest.toml";

/// Version of the directory layout and of what the engines write. Raised when either changes.
pub const FORMAT: u32 = 1;

/// The same for an index whose vectors are on a server; programs before it would look for them in the directory.
pub const FORMAT_SERVER: u32 = 2;

/// What an index was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout; [`FORMAT`] or [`FORMAT_SERVER`] when this program made it.
    pub format: u32,
    /// Version of the text analysis, on which the stored words depend.
    pub analyzers: u32,
    /// Length of the vectors.
    pub dimensions: usize,
    /// Whether the directory is complete; false only while it is being created.
    pub ready: bool,
    /// The collection on a Qdrant server that was made for the vectors; `None` when they are in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The embedder that made the vectors.
    pub embedder: ModelIdentity,
}

/// Only the format number, read first: other versions may have other fields.
#[derive(Deserialize)]
struct Probe {
    format: u32,
}

impl Manifest {
    /// The manifest of a new index.
    pub(crate) fn new(embedder: ModelIdentity, dimensions: usize) -> Self {
        Self { format: FORMAT, analyzers: ANALYZERS, dimensions, ready: false, collection: None, embedder }
    }

    /// The same for vectors in `collection` on a server.
    pub(crate) fn in_collection(self, collection: &str) -> Self {
        Self { format: FORMAT_SERVER, collection: Some(collection.to_owned()), ..self }
    }

    /// Reads the manifest of the index in `dir`; `None` when there is none.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Conflict`] for another format than this program's,
    /// [`fontes_core::ErrorKind::Corrupt`] for a manifest that is not one, and
    /// [`fontes_core::ErrorKind::Unavailable`] when it cannot be read.
    pub fn read(dir: &Path) -> fontes_core::Result<Option<Self>> {
        Ok(Self::load(dir)?)
    }

    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, IndexError> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(IndexError::Damaged { path, what: "the manifest is not text".into() });
            }
            Err(error) => return Err(IndexError::io("read", path)(error)),
        };
        let damaged = |error: toml::de::Error| IndexError::Damaged {
            path: path.clone(),
            what: format!("the manifest does not parse: {}", error.message()),
        };
        let Probe { format } = toml::from_str(&text).map_err(damaged)?;
        if ![FORMAT, FORMAT_SERVER].contains(&format) {
            let known = FORMAT_SERVER;
            return Err(IndexError::OtherFormat { path: dir.to_owned(), what: "format", found: format, known });
        }
        let manifest: Self = toml::from_str(&text).map_err(damaged)?;
        if manifest.collection.is_some() != (format == FORMAT_SERVER) {
            return Err(IndexError::Damaged { path, what: "the manifest does not say where the vectors are".into() });
        }
        Ok(Some(manifest))
    }

    /// Writes the manifest into `dir`, replacing the one there whole.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), IndexError> {
        let text = toml::to_string(self).expect("a manifest is plain data");
        replace_file(&dir.join(FILE), text.as_bytes())
    }

    /// Removes the manifest from `dir`; a missing one is no error.
    pub(crate) fn remove(dir: &Path) -> Result<(), IndexError> {
        let path = dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(IndexError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Checks that the index in `dir` may be opened with this embedder by this program.
    pub(crate) fn check(&self, dir: &Path, embedder: &ModelIdentity, dimensions: usize) -> Result<(), IndexError> {
        let path = dir.to_owned();
        if self.analyzers != ANALYZERS {
            let (found, known) = (self.analyzers, ANALYZERS);
            return Err(IndexError::OtherFormat { path, what: "text analysis version", found, known });
        }
        // The weights make the vectors; a model may be renamed.
        if self.embedder.sha256 != embedder.sha256 {
            let (built, given) = (Box::new(self.embedder.clone()), Box::new(embedder.clone()));
            return Err(IndexError::OtherEmbedder { path, built, given });
        }
        if self.dimensions != dimensions {
            return Err(IndexError::OtherDimensions { path, built: self.dimensions, given: dimensions });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::{Digest, Error, ErrorKind};

    use super::*;

    /// A manifest as version 1 writes it, byte for byte. Never edit: it stands for the ones out there.
    const GOLDEN_1: &str = "\
format = 1
analyzers = 1
dimensions = 384
ready = true

[embedder]
name = \"multilingual-e5-small\"
sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
";

    /// The same of version 2, for vectors on a server. Never edit.
    const GOLDEN_2: &str = "\
format = 2
analyzers = 1
dimensions = 384
ready = true
collection = \"fontes-ba7816bf-1\"

[embedder]
name = \"multilingual-e5-small\"
sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
";

    fn identity() -> ModelIdentity {
        ModelIdentity { name: "multilingual-e5-small".into(), sha256: Digest::of(b"abc") }
    }

    fn dir_with(text: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        dir
    }

    #[test]
    fn format_1_is_read_and_written() {
        let manifest = Manifest { ready: true, analyzers: 1, ..Manifest::new(identity(), 384) };
        let dir = dir_with(GOLDEN_1.as_bytes());
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest.clone()));
        manifest.write(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), GOLDEN_1);
    }

    #[test]
    fn format_2_is_read_and_written() {
        let manifest = Manifest { ready: true, analyzers: 1, ..Manifest::new(identity(), 384) };
        let manifest = manifest.in_collection("fontes-ba7816bf-1");
        let dir = dir_with(GOLDEN_2.as_bytes());
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest.clone()));
        manifest.write(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), GOLDEN_2);
    }

    #[test]
    fn other_analysers_are_a_conflict_with_advice() {
        let manifest = Manifest { analyzers: ANALYZERS - 1, ..Manifest::new(identity(), 384) };
        let error = Error::from(manifest.check(Path::new("/i"), &identity(), 384).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.advice().unwrap().contains("older"));
    }

    #[test]
    fn no_manifest_is_no_error() {
        assert_eq!(Manifest::read(tempfile::tempdir().unwrap().path()).unwrap(), None);
    }

    #[test]
    fn another_embedder_is_a_conflict() {
        let manifest = Manifest::new(identity(), 384);
        let other = ModelIdentity { name: "other".into(), sha256: Digest::of(b"other") };
        let refuse = |embedder, dimensions| -> Error {
            manifest.check(Path::new("/i"), embedder, dimensions).unwrap_err().into()
        };
        assert_eq!(refuse(&other, 384).kind(), ErrorKind::Conflict);
        assert_eq!(refuse(&identity(), 768).kind(), ErrorKind::Conflict);
        let renamed = ModelIdentity { name: "renamed".into(), ..identity() };
        manifest.check(Path::new("/i"), &renamed, 384).unwrap();
    }

    #[test]
    fn a_newer_format_is_a_conflict_with_advice() {
        let newer = GOLDEN_1.replace("format = 1", "format = 3\nsomething_new = true");
        let error = Manifest::read(dir_with(newer.as_bytes()).path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.advice().unwrap().contains("newer"));
    }

    #[test]
    fn a_damaged_manifest_is_corrupt() {
        let cut = &GOLDEN_1.as_bytes()[..60];
        let unknown = GOLDEN_1.replace("ready", "reddy");
        let (nowhere, twice) =
            (GOLDEN_1.replace("format = 1", "format = 2"), GOLDEN_2.replace("format = 2", "format = 1"));
        let texts = [&unknown, &nowhere, &twice].map(String::as_bytes);
        for bytes in [&b""[..], b"\xff\xfe\x00", b"format = ", cut].into_iter().chain(texts) {
            let error = Manifest::read(dir_with(bytes).path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", String::from_utf8_lossy(bytes));
            assert!(error.advice().is_some());
        }
    }
}
