//! Pausing: a marker file in the data directory, so that another process can pause a run and a pause outlives
//! both.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use fontes_core::{Error, Result};

/// Name of the marker.
const NAME: &str = "paused";

/// The pause of one data directory. While it is set, runs finish the files they hold and take no further ones.
#[derive(Clone, Debug)]
pub struct Pause(PathBuf);

impl Pause {
    /// The pause of the data directory `data`, which need not exist yet.
    pub fn of(data: &Path) -> Self {
        Self(data.join(NAME))
    }

    /// Says whether runs wait.
    pub fn is_set(&self) -> bool {
        self.0.exists()
    }

    /// Makes runs wait, now and later. Idempotent.
    ///
    /// # Errors
    /// `Unavailable` when the data directory cannot be written.
    pub fn set(&self) -> Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).and_then(|()| fs::write(&self.0, b"")).map_err(|error| self.unusable(error))
    }

    /// Lets runs go on. Idempotent.
    ///
    /// # Errors
    /// `Unavailable` when the data directory cannot be written.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unusable(error)),
            _ => Ok(()),
        }
    }

    fn unusable(&self, error: io::Error) -> Error {
        Error::unavailable(format!("{} cannot be written: {}", self.0.display(), error.kind()))
            .advise("check the permissions of the data directory")
            .because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_set_and_cleared_any_number_of_times() {
        let folder = tempfile::tempdir().unwrap();
        let pause = Pause::of(&folder.path().join("data"));
        pause.clear().unwrap();
        assert!(!pause.is_set());
        pause.set().unwrap();
        pause.set().unwrap();
        assert!(Pause::of(&folder.path().join("data")).is_set());
        pause.clear().unwrap();
        assert!(!pause.is_set());
    }

    #[test]
    fn a_directory_that_cannot_be_is_unavailable() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("data"), "a file").unwrap();
        let error = Pause::of(&folder.path().join("data")).set().unwrap_err();
        assert_eq!(error.kind(), fontes_core::ErrorKind::Unavailable);
    }
}
