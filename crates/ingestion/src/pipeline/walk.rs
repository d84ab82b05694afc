//! Finding files below the roots, in a stable order, without following links.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsStr,
    fs::{self, FileType},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use fontes_core::{Cancel, Error, ErrorKind, Result};

use crate::select::Selection;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Which of the roots it was found below.
    pub(super) root: usize,
}

/// What the walk saw.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The roots as absolute paths without links.
    pub(super) roots: Vec<PathBuf>,
    /// Regular files, each once, in the order of their names.
    pub(super) files: Vec<FoundFile>,
    /// Links, special files and files past their time, and which of these they are.
    pub(super) skipped: Vec<(PathBuf, &'static str)>,
    /// Files and folders that could not be looked at. Nothing below them is known to be gone.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// The bytes that identify a path, in whatever encoding the system uses.
pub(super) fn locator(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

/// Looks at everything below `roots` except `exclude` (the data directory itself).
///
/// Symbolic links are not followed: a loop cannot trap the walk, and nothing outside the roots gets in. A
/// root that is itself a link is resolved, because the caller named it. Names that begin with a dot, lock files of
/// office programs (`~$…`) and what `select` leaves are passed over in silence.
///
/// # Errors
/// `NotFound` when a root does not exist: a missing folder must not look like a folder with no files.
pub(super) fn walk(
    roots: &[PathBuf],
    exclude: &Path,
    select: &Selection,
    now: SystemTime,
    cancel: &Cancel,
) -> Result<Walk> {
    let mut walk = Walk::default();
    let exclude = fs::canonicalize(exclude).ok();
    let mut visited = BTreeSet::new();
    for root in roots {
        let root = fs::canonicalize(root).map_err(|error| missing_root(root, error))?;
        let mut open = vec![root.clone()];
        walk.roots.push(root);
        while let Some(path) = open.pop() {
            if cancel.is_cancelled() {
                return Ok(walk);
            }
            if Some(&path) == exclude.as_ref() || !visited.insert(path.clone()) {
                continue;
            }
            match walk.look(&path, select, now) {
                // Last first, because the stack is taken from its end.
                Ok(inside) => open.extend(inside.into_iter().rev()),
                Err(error) => walk.unreadable.push((path, error)),
            }
        }
    }
    Ok(walk)
}

fn missing_root(root: &Path, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Unavailable };
    Error::new(kind, format!("{} cannot be read: {}", root.display(), error.kind()))
        .advise("check the path, its permissions, and that its disk is mounted")
        .because(error)
}

impl Walk {
    /// Notes what `path` is; for a folder, gives what is inside, by name.
    fn look(&mut self, path: &Path, select: &Selection, now: SystemTime) -> io::Result<Vec<PathBuf>> {
        let metadata = fs::symlink_metadata(path)?;
        let kind = metadata.file_type();
        let number = self.roots.len() - 1;
        let root = self.roots[number].as_path();
        if kind.is_dir() {
            if select.leaves_folder(root, path) {
                return Ok(Vec::new());
            }
            let mut inside = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                if !passed_over(&entry.file_name()) {
                    inside.push(entry.path());
                }
            }
            inside.sort_unstable();
            return Ok(inside);
        }
        if !select.takes(root, path) {
            return Ok(Vec::new());
        }
        if !kind.is_file() {
            self.skipped.push((path.to_owned(), special(&kind)));
        } else if select.is_past(&metadata, now) {
            self.skipped.push((path.to_owned(), EXPIRED));
        } else {
            self.files.push(FoundFile { path: path.to_owned(), bytes: metadata.len(), root: number });
        }
        Ok(Vec::new())
    }

    /// The locators of the files found.
    pub(super) fn present(&self) -> HashSet<Vec<u8>> {
        self.files.iter().map(|file| locator(&file.path)).collect()
    }

    /// Says whether an absolute path lies below a root that was looked at in full.
    pub(super) fn covers(&self, locator: &[u8]) -> bool {
        let hidden = self.unreadable.iter().any(|(path, _)| is_below(locator, path));
        !hidden && self.roots.iter().any(|root| is_below(locator, root))
    }
}

/// Code of a file that its source keeps no longer.
pub(super) const EXPIRED: &str = "expired";

/// Says whether `locator` is `folder` or below it.
fn is_below(locator: &[u8], folder: &Path) -> bool {
    let folder = folder.as_os_str().as_encoded_bytes();
    locator.strip_prefix(folder).is_some_and(|rest| {
        rest.is_empty() || folder.ends_with(b"/") || rest.starts_with(b"/") || rest.starts_with(b"!/")
    })
}

/// The path of the file on disk, without what is inside it.
pub(super) fn outermost(locator: &[u8]) -> &[u8] {
    let inside = locator.windows(2).position(|pair| pair == b"!/");
    inside.map_or(locator, |at| &locator[..at])
}

fn passed_over(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.starts_with(b"~$")
}

fn special(kind: &FileType) -> &'static str {
    if kind.is_symlink() { "symbolic_link" } else { "special_file" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(roots: &[PathBuf]) -> Result<Walk> {
        walk(roots, Path::new("/nowhere"), &Selection::default(), SystemTime::now(), &Cancel::default())
    }

    fn names(walk: &Walk, root: &Path) -> Vec<String> {
        walk.files.iter().map(|file| file.path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn files_come_once_in_order_and_hidden_ones_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("b/.git")).unwrap();
        for name in ["b/2.txt", "b/1.txt", "a.txt", ".hidden", "b/.git/x", "~$a.docx"] {
            fs::write(root.join(name), "x").unwrap();
        }
        let roots = [root.clone(), root.join("b"), root.join("a.txt")];
        let walk = all(&roots).unwrap();
        assert_eq!(names(&walk, &root), ["a.txt", "b/1.txt", "b/2.txt"]);
        assert!(walk.covers(&locator(&root.join("gone.txt"))));
        assert!(!walk.covers(&locator(Path::new("/elsewhere"))));
    }

    #[test]
    fn what_the_selection_leaves_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("drafts/b")).unwrap();
        for name in ["a.pdf", "a.txt", "drafts/b/c.pdf"] {
            fs::write(root.join(name), "x").unwrap();
        }
        let select = Selection::new(&["**/*.pdf".into()], &["drafts/**".into()], None).unwrap();
        let roots = [root.clone()];
        let found = walk(&roots, Path::new("/nowhere"), &select, SystemTime::now(), &Cancel::default()).unwrap();
        assert_eq!(names(&found, &root), ["a.pdf"]);
        assert_eq!(found.present(), [locator(&root.join("a.pdf"))].into());
        let day = std::time::Duration::from_secs(86_400);
        let select = Selection::new(&[], &[], Some(day)).unwrap();
        let found =
            walk(&roots, Path::new("/nowhere"), &select, SystemTime::now() + 2 * day, &Cancel::default()).unwrap();
        assert!(found.files.is_empty() && found.skipped.iter().all(|(_, code)| *code == EXPIRED));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_reported_not_followed_and_loops_end() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.txt"), "x").unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::write(root.join("a.txt"), "x").unwrap();
        std::os::unix::fs::symlink(&root, root.join("loop")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("out")).unwrap();
        let walk = all(std::slice::from_ref(&root)).unwrap();
        assert_eq!(names(&walk, &root), ["a.txt"]);
        assert_eq!(walk.skipped.len(), 2);
        assert!(walk.skipped.iter().all(|(_, code)| *code == "symbolic_link"));
    }

    #[test]
    fn the_data_directory_is_not_a_source() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/ledger.sqlite"), "x").unwrap();
        let walk = walk(
            &[folder.path().to_owned()],
            &folder.path().join("data"),
            &Selection::default(),
            SystemTime::now(),
            &Cancel::default(),
        )
        .unwrap();
        assert_eq!(walk.files, []);
    }

    #[test]
    fn a_missing_root_is_an_error() {
        let error = all(&["/no/such/folder".into()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn nothing_below_an_unreadable_folder_counts_as_gone() {
        let mut walk = Walk { roots: vec!["/a".into()], ..Walk::default() };
        assert!(walk.covers(b"/a/b/c.txt"));
        assert!(!walk.covers(b"/ab/c.txt"));
        walk.unreadable.push(("/a/b".into(), io::Error::other("permission denied")));
        assert!(!walk.covers(b"/a/b/c.txt"));
        assert!(walk.covers(b"/a/d.txt"));
    }
}
