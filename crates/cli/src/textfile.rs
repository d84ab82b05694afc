//! Progress of an ingest as a file that Prometheus reads through its node exporter (textfile collector): batch jobs
//! have no port to ask.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use fontes_ingestion::Progress;

/// Scrapes come every few seconds; writing more often tells nobody more.
const INTERVAL: Duration = Duration::from_secs(1);

/// The file, and what was last written to it.
pub struct Textfile {
    path: PathBuf,
    source: String,
    begin: Instant,
    written: Option<Instant>,
}

impl Textfile {
    /// Begins to tell of the run over one source. The file appears with the first progress.
    pub fn new(path: &Path, source: &str) -> Self {
        Self { path: path.to_owned(), source: source.to_owned(), begin: Instant::now(), written: None }
    }

    /// Writes how far the run is, unless it did just now; always when the run is over.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn show(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let over = progress.files_done == progress.files_total;
        if !over && self.written.is_some_and(|at| at.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.written = Some(Instant::now());
        // Replaced whole: a reader never sees half of it.
        let new = self.path.with_extension("new");
        fs::write(&new, text(&self.source, progress, self.begin.elapsed()))
            .and_then(|()| fs::rename(&new, &self.path))
            .with_context(|| format!("metrics {}", self.path.display()))
    }
}

/// The metrics in the text format, version 0.0.4.
fn text(source: &str, progress: &Progress, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { progress.bytes_done as f64 / seconds } else { 0.0 };
    let left = (progress.bytes_total - progress.bytes_done.min(progress.bytes_total)) as f64;
    let remaining = if rate > 0.0 { left / rate } else { f64::INFINITY };
    let values = [
        ("files_done", "Files finished.", progress.files_done as f64),
        ("files_total", "Files found.", progress.files_total as f64),
        ("bytes_done", "Bytes of the files finished.", progress.bytes_done as f64),
        ("bytes_total", "Bytes of the files found.", progress.bytes_total as f64),
        ("pages", "Pages that became searchable.", progress.pages as f64),
        ("chunks", "Chunks embedded.", progress.chunks as f64),
        ("paused", "1 while the run waits because it was paused.", f64::from(u8::from(progress.paused))),
        ("seconds", "Time since the run began.", seconds),
        ("bytes_per_second", "Bytes finished in a second, over the whole run.", rate),
        ("remaining_seconds", "Time left at that rate.", if left > 0.0 { remaining } else { 0.0 }),
    ];
    let label = source.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut text = String::new();
    for (name, help, value) in values {
        let number = if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() };
        write!(
            text,
            "# HELP fontes_ingest_{name} {help}\n# TYPE fontes_ingest_{name} gauge\n\
             fontes_ingest_{name}{{source=\"{label}\"}} {number}\n"
        )
        .expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(files_done: usize) -> Progress {
        Progress { files_done, files_total: 4, bytes_done: 100, bytes_total: 400, ..Progress::default() }
    }

    #[test]
    fn rate_and_time_left_are_told() {
        let text = text("a \"b\"", &progress(1), Duration::from_secs(10));
        for line in [
            "fontes_ingest_files_done{source=\"a \\\"b\\\"\"} 1",
            "fontes_ingest_bytes_per_second{source=\"a \\\"b\\\"\"} 10",
            "fontes_ingest_remaining_seconds{source=\"a \\\"b\\\"\"} 30",
            "# TYPE fontes_ingest_bytes_total gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(super::text("a", &Progress { bytes_total: 1, ..Progress::default() }, INTERVAL).contains("+Inf"));
    }

    #[test]
    fn the_file_is_written_at_once_then_rarely_and_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fontes.prom");
        let mut textfile = Textfile::new(&path, "files");
        let mut done = |files| {
            textfile.show(&progress(files)).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            text.lines().find(|line| line.starts_with("fontes_ingest_files_done")).unwrap().to_owned()
        };
        assert!(done(1).ends_with(" 1"));
        assert!(done(2).ends_with(" 1"), "too soon");
        assert!(done(4).ends_with(" 4"), "over");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
