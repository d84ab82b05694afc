//! Progress bars on stderr, for a person at a terminal only.

use fontes_generation::AskEvent;
use fontes_ingestion::{FileError, FileRecord, FileStatus, Filling, IngestEvent};
use fontes_model::{quantize, store};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    output::{Voice, printable},
    render,
};

/// Shows how an ingest goes: bytes (files differ a thousandfold), files, chunks, rate and time left.
pub struct IngestProgress {
    bar: ProgressBar,
}

impl IngestProgress {
    /// A bar, or silence when nobody watches.
    pub fn new(voice: Voice) -> Self {
        let bar = if voice.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style("{bar:30} {bytes}/{total_bytes} · {msg} · {bytes_per_sec} · {eta} left"));
        Self { bar }
    }

    /// Takes in an event.
    pub fn show(&self, event: &IngestEvent<'_>) {
        match event {
            IngestEvent::Found(progress) | IngestEvent::Progress(progress) => {
                self.bar.set_length(progress.bytes_total);
                self.bar.set_position(progress.bytes_done);
                let paused = if progress.paused { "PAUSED · " } else { "" };
                let (done, total) = (progress.files_done, progress.files_total);
                let counts =
                    format!("{paused}{done}/{total} files, {} pages, {} chunks", progress.pages, progress.chunks);
                self.bar.set_message(counts);
            }
            IngestEvent::File(record) => self.name_quarantined(record),
            IngestEvent::Committed(_) => {}
        }
    }

    /// Names a file that was set aside, above the bar.
    fn name_quarantined(&self, record: &FileRecord) {
        if let (FileStatus::Quarantined, Some(error)) = (record.status, &record.error) {
            self.bar.println(quarantined(record, error));
        }
    }
}

impl Drop for IngestProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// One line on a file that was set aside.
pub fn quarantined(record: &FileRecord, error: &FileError) -> String {
    printable(&format!("quarantined ({}) {}: {}", error.code, record.path, error.message)).into_owned()
}

/// Shows how far a set of vectors is: chunks, rate and time left.
pub struct FillProgress {
    bar: ProgressBar,
}

impl FillProgress {
    /// A bar, or silence when nobody watches.
    pub fn new(voice: Voice, name: &str) -> Self {
        let bar = if voice.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style("{prefix} {bar:30} {pos}/{len} chunks{msg} · {per_sec} · {eta} left"));
        bar.set_prefix(name.to_owned());
        Self { bar }
    }

    /// Takes in how far it is. What was there before is not part of the rate.
    pub fn show(&self, filling: &Filling) {
        if self.bar.length() != Some(filling.of as u64) {
            self.bar.set_length(filling.of as u64);
        }
        if filling.embedded == 0 && self.bar.position() == 0 {
            self.bar.set_position(filling.chunks as u64);
            self.bar.reset_eta();
        }
        self.bar.set_position(filling.chunks as u64);
        self.bar.set_message(if filling.paused { " · PAUSED" } else { "" });
    }
}

impl Drop for FillProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows what the sources say word for word, until a model has read them.
pub struct AnswerProgress {
    bar: ProgressBar,
    voice: Voice,
}

impl AnswerProgress {
    /// Nothing yet; never anything when nobody watches.
    pub fn new(voice: Voice) -> Self {
        let watched = voice.shows_progress() && voice.is_interactive();
        let bar = if watched { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(style("{msg}"));
        Self { bar, voice }
    }

    /// Shows a preview; takes it away when the first sentence of the answer is there.
    pub fn show(&self, event: &AskEvent<'_>) {
        match event {
            AskEvent::Preview(quoted) => {
                self.bar.set_message(render::preview(self.voice, quoted));
                self.bar.tick();
            }
            AskEvent::Sentence(_) | AskEvent::Done(_) => self.bar.finish_and_clear(),
            AskEvent::Passages(_) | AskEvent::Draft(_) => {}
        }
    }
}

impl Drop for AnswerProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows how the files of a model arrive.
pub struct InstallProgress {
    bar: ProgressBar,
}

impl InstallProgress {
    /// A bar, or silence when nobody watches.
    pub fn new(voice: Voice, model: &str) -> Self {
        let bar = if voice.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style("{prefix} {bar:30} {bytes}/{total_bytes} · {msg} · {eta} left"));
        bar.set_prefix(model.to_owned());
        Self { bar }
    }

    /// Takes in how far a file is.
    pub fn show(&self, progress: &store::Progress<'_>) {
        if let Some(total) = progress.total {
            self.bar.set_length(total);
        }
        self.bar.set_position(progress.received);
        self.bar.set_message(format!("{} from {}", progress.file, progress.source));
    }
}

impl Drop for InstallProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows how far a quantisation is.
pub struct QuantizeProgress {
    bar: ProgressBar,
}

impl QuantizeProgress {
    /// A bar, or silence when nobody watches.
    pub fn new(voice: Voice) -> Self {
        let bar = if voice.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style("{bar:30} {bytes}/{total_bytes} · {msg} · {eta} left"));
        Self { bar }
    }

    /// Takes in a step.
    pub fn show(&self, progress: quantize::Progress<'_>) {
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
        self.bar.set_message(progress.current.to_owned());
    }
}

impl Drop for QuantizeProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates here are constant").progress_chars("━╸ ")
}
