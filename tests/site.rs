//! A Fontes of its own for a test: a temporary data directory and the real binary.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tempfile::TempDir;

/// The embedder every test site uses; installed once per machine into the default model directory.
pub const EMBEDDER: &str = "multilingual-e5-small";

/// A data directory and the way to run commands on it.
pub struct Site {
    dir: TempDir,
    documents: PathBuf,
}

impl Site {
    /// An empty site, with the embedder installed.
    pub fn new() -> Self {
        LazyLock::force(&INSTALLED);
        let dir = TempDir::new().unwrap();
        let documents = dir.path().join("documents");
        Self { dir, documents }
    }

    /// An empty site over the documents of another: the same documents get the same ids.
    pub fn over(other: &Self) -> Self {
        Self { dir: TempDir::new().unwrap(), documents: other.documents() }
    }

    /// The folder that is this site's own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Writes a document into the site's folder of documents and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.documents().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The site's folder of documents.
    pub fn documents(&self) -> PathBuf {
        self.documents.clone()
    }

    /// A command on this site, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = fontes();
        command.arg("--data-dir").arg(self.data()).args(arguments);
        command
    }

    /// Runs a command and checks its exit code.
    pub fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "fontes {arguments:?}\nstdout: {}\nstderr: {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Runs a command with `--json`, checks its exit code, and reads the one object it prints.
    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = self.run(&arguments, code);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?} printed no JSON: {error}: {}", String::from_utf8_lossy(&output.stdout))
        })
    }

    /// Ingests the site's folder of documents.
    pub fn ingest(&self, code: i32) -> Value {
        let documents = self.documents();
        self.json(&["ingest", documents.to_str().unwrap()], code)
    }
}

/// The binary under test, without the caller's settings.
pub fn fontes() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fontes"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FONTES_")) {
        command.env_remove(name);
    }
    command
}

/// Says that a test cannot run here, and why. The count of skipped tests is the count of these lines.
pub fn skipped(test: &str, why: &str) {
    let _closed_stderr_is_no_failure =
        std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED {test}: {why}\n"));
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The samples, ingested once and shared; one process at a time may hold a data directory, hence the lock.
pub fn samples() -> MutexGuard<'static, Site> {
    static SAMPLES: LazyLock<Mutex<Site>> = LazyLock::new(|| {
        let site = Site::new();
        let samples = repository().join("ingest/samples");
        site.run(&["ingest", samples.to_str().unwrap(), "--quiet"], 0);
        Mutex::new(site)
    });
    SAMPLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the embedder: the one thing the tests need that a clone does not hold.
static INSTALLED: LazyLock<()> = LazyLock::new(|| {
    let output = fontes().args(["models", "install", EMBEDDER, "--quiet"]).output().unwrap();
    assert!(
        output.status.success(),
        "the tests need the model {EMBEDDER} and could not install it: {}",
        String::from_utf8_lossy(&output.stderr)
    );
});
