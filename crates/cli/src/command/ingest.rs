//! `fontes ingest`: files and folders into both indexes.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use fontes_core::{Cancel, Classification, Error, Group, Labels};
use fontes_ingestion::{IngestEvent, IngestRequest, IngestSummary, Ingestion, Profile, Profiles};

use crate::{
    args,
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    progress::IngestProgress,
    wiring::{self, Archive},
};

/// Pause between two looks of `--watch`: changes are picked up within seconds, at the cost of one walk.
const WATCH_PAUSE: Duration = Duration::from_secs(3);

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Ingest) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let mut request = request(config, arguments)?;
    let mut profiles = Profiles::built_in();
    if let Some(file) = request.profile.as_deref().map(Path::new).filter(|path| path.is_file()) {
        request.profile = Some(add_profile(&mut profiles, file)?);
    }
    let ingestion = Archive::open(config)?.ingestion(config, profiles)?;
    let mut report = arguments.report.as_deref().map(Report::create).transpose()?;
    let mut summary = once(&ingestion, voice, &request, &mut report, &cancel)?;
    tell(voice, &summary)?;
    while arguments.watch && !cancel.is_cancelled() {
        pause(WATCH_PAUSE, &cancel);
        summary = once(&ingestion, Voice { quiet: true, ..voice }, &request, &mut report, &cancel)?;
        if summary.documents_new + summary.documents_changed + summary.documents_removed > 0 {
            tell(voice, &summary)?;
        }
    }
    Ok(if summary.cancelled || cancel.is_cancelled() {
        Outcome::Interrupted
    } else if summary.quarantined > 0 {
        Outcome::Quarantined
    } else {
        Outcome::Done
    })
}

/// What the arguments ask for.
fn request(config: &Config, arguments: &args::Ingest) -> anyhow::Result<IngestRequest> {
    let groups: BTreeSet<Group> = match arguments.groups.as_slice() {
        [] => config.access.default_groups.clone(),
        groups => groups.iter().cloned().map(Group).collect(),
    };
    let classification = match &arguments.classification {
        None => config.access.default_classification,
        Some(level) => classification(level)?,
    };
    let usual = wiring::request(config, arguments.paths.clone());
    Ok(IngestRequest {
        labels: Labels { groups, classification, ..usual.labels },
        profile: arguments.profile.clone(),
        dry_run: arguments.dry_run,
        retry: arguments.retry,
        jobs: arguments.jobs.unwrap_or(usual.jobs),
        roots: usual.roots,
    })
}

/// Adds the profile in `file` and gives its name, that of the file.
fn add_profile(profiles: &mut Profiles, file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("profile {}", file.display()))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    profiles.insert(&name, Profile::parse(&name, &text)?);
    Ok(name)
}

/// Reads a level by its name.
fn classification(level: &str) -> anyhow::Result<Classification> {
    serde_json::from_value(level.into()).map_err(|_unknown| {
        Error::invalid(format!("classification {level:?} is not known"))
            .advise("use public, internal, confidential or secret")
            .into()
    })
}

/// One pass over the roots, with progress and report.
pub fn once(
    ingestion: &Ingestion,
    voice: Voice,
    request: &IngestRequest,
    report: &mut Option<Report>,
    cancel: &Cancel,
) -> anyhow::Result<IngestSummary> {
    let progress = IngestProgress::new(voice);
    let mut written = Ok(());
    let mut observer = |event: IngestEvent<'_>| {
        progress.show(&event);
        if let (IngestEvent::File(record), Some(report)) = (&event, report.as_mut())
            && written.is_ok()
        {
            written = report.line(record);
        }
    };
    let summary = ingestion.ingest(request, &mut observer, cancel)?;
    written?;
    if let Some(report) = report {
        report.flush()?;
    }
    Ok(summary)
}

/// Prints a summary.
fn tell(voice: Voice, summary: &IngestSummary) -> anyhow::Result<()> {
    if voice.json {
        return voice.object(summary);
    }
    let would = if summary.dry_run { "would be " } else { "" };
    voice.line(&format!(
        "{} files: {} {would}new, {} {would}changed, {} unchanged, {} {would}removed, {} quarantined · {} pages, {} chunks in {:.1} s",
        summary.files_seen,
        summary.documents_new,
        summary.documents_changed,
        summary.documents_unchanged,
        summary.documents_removed,
        summary.quarantined,
        summary.pages,
        summary.chunks,
        summary.seconds
    ))?;
    if summary.documents_new + summary.documents_changed + summary.documents_removed == 0 && !summary.cancelled {
        voice.remark("nothing to do: everything is as before");
    }
    if summary.quarantined > 0 {
        voice.remark("`fontes status` names the quarantined files; --retry tries them again");
    }
    Ok(())
}

/// Sleeps in short steps so that Ctrl-C is felt at once.
fn pause(time: Duration, cancel: &Cancel) {
    let step = Duration::from_millis(100);
    for _ in 0..time.as_millis() / step.as_millis() {
        if cancel.is_cancelled() {
            return;
        }
        std::thread::sleep(step);
    }
}

/// The report: one JSON line per file.
pub struct Report(BufWriter<File>);

impl Report {
    /// Creates the file, replacing an older one.
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("report {}", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    fn line(&mut self, record: &impl serde::Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, record)?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}
