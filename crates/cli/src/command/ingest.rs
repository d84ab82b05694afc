//! `fontes ingest`: files and folders into both indexes.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use fontes_core::{Cancel, Classification, Error, Group, Labels};
use fontes_ingestion::{
    FileStatus, IngestEvent, IngestRequest, IngestSummary, Ingestion, Pause, Profile, Profiles, SourceConfig,
};

use crate::{
    args,
    config::Config,
    interrupt,
    output::{Outcome, Voice, printable},
    progress::{IngestProgress, quarantined},
    textfile::Textfile,
    wiring::{self, Archive, Intake},
};

/// Pause between two looks of `--watch`: changes are picked up within seconds, at the cost of one walk.
const WATCH_PAUSE: Duration = Duration::from_secs(2);

/// While watching, files that changed this recently are left for the next look: whoever writes them may not be done.
const SETTLE: Duration = Duration::from_secs(2);

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Ingest) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let mut requests = requests(config, arguments)?;
    let mut intake = Intake::new(config)?;
    if let Some(file) = arguments.profile.as_deref().map(Path::new).filter(|path| path.is_file()) {
        let name = add_profile(&mut intake.profiles, file)?;
        requests.iter_mut().for_each(|request| request.profile = Some(name.clone()));
    }
    let archive = Archive::open_with(config, intake)?;
    if let Some(remark) = archive.other_embedder_remark(config) {
        voice.remark(&remark);
    }
    let report = arguments.report.as_deref().map(Report::create).transpose()?;
    let mut records = Records { report, metrics: arguments.metrics.clone() };
    if Pause::of(&config.data.dir).is_set() {
        voice.remark("ingests are paused; `fontes resume` lets this one begin");
    }
    let mut summary = pass(&archive.ingestion, voice, &requests, &mut records, &cancel)?;
    forget_computed(config, &summary)?;
    tell(voice, &summary)?;
    while arguments.watch && !cancel.is_cancelled() {
        pause(WATCH_PAUSE, &cancel);
        summary = pass(&archive.ingestion, Voice { quiet: true, ..voice }, &requests, &mut records, &cancel)?;
        forget_computed(config, &summary)?;
        if summary.changes() {
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

/// Erases what generators computed from documents once some of them are gone or different.
fn forget_computed(config: &Config, summary: &IngestSummary) -> anyhow::Result<()> {
    if summary.documents_changed + summary.documents_removed > 0 {
        fontes_model::prefix::retain_on_disk(&wiring::prefix_folder(config), |_document| false)?;
    }
    Ok(())
}

/// Makes ingests on this data directory wait.
pub fn pause_all(config: &Config, voice: Voice) -> anyhow::Result<Outcome> {
    Pause::of(&config.data.dir).set()?;
    tell_pause(config, voice, true)
}

/// Lets ingests on this data directory go on.
pub fn resume_all(config: &Config, voice: Voice) -> anyhow::Result<Outcome> {
    Pause::of(&config.data.dir).clear()?;
    tell_pause(config, voice, false)
}

fn tell_pause(config: &Config, voice: Voice, paused: bool) -> anyhow::Result<Outcome> {
    if voice.json {
        voice.object(&serde_json::json!({ "paused": paused }))?;
    } else {
        let what = if paused { "wait until `fontes resume`" } else { "go on" };
        voice.line(&format!("ingests into {} {what}", config.data.dir.display()))?;
    }
    Ok(Outcome::Done)
}

/// What the arguments ask for: the paths as one source, or the configured sources.
fn requests(config: &Config, arguments: &args::Ingest) -> anyhow::Result<Vec<IngestRequest>> {
    let requests =
        if arguments.paths.is_empty() { configured(config, arguments)? } else { vec![named(config, arguments)?] };
    let finish = |request: IngestRequest| IngestRequest {
        profile: arguments.profile.clone().or(request.profile),
        dry_run: arguments.dry_run,
        retry: arguments.retry,
        jobs: arguments.jobs.unwrap_or_else(|| wiring::jobs(config)),
        settle: if arguments.watch { SETTLE } else { Duration::ZERO },
        ..request
    };
    Ok(requests.into_iter().map(finish).collect())
}

/// The paths of the command line.
fn named(config: &Config, arguments: &args::Ingest) -> anyhow::Result<IngestRequest> {
    let groups: BTreeSet<Group> = match arguments.groups.as_slice() {
        [] => config.access.default_groups.clone(),
        groups => groups.iter().cloned().map(Group).collect(),
    };
    let classification = match &arguments.classification {
        None => config.access.default_classification,
        Some(level) => classification(level)?,
    };
    let usual = wiring::request(config, arguments.paths.clone());
    Ok(IngestRequest { labels: Labels { groups, classification, ..usual.labels }, ..usual })
}

/// The configured sources, or those of them that were named.
fn configured(config: &Config, arguments: &args::Ingest) -> anyhow::Result<Vec<IngestRequest>> {
    let dir = &config.ingest.sources;
    if dir.as_os_str().is_empty() {
        return Err(Error::invalid("nothing to ingest: no path is given and no folder of sources is configured")
            .advise("name files or folders, or set ingest.sources to a folder of source files")
            .into());
    }
    let mut sources = SourceConfig::folder(dir)?;
    let known: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    if let Some(unknown) = arguments.sources.iter().find(|name| !known.contains(name)) {
        return Err(Error::not_found(format!("source {unknown:?} is not in {}", dir.display()))
            .advise(format!("use one of {}", known.join(", ")))
            .into());
    }
    if sources.is_empty() {
        return Err(Error::not_found(format!("there is no source in {}", dir.display()))
            .advise("put a copy of ingest/sources/example.toml there")
            .into());
    }
    sources.retain(|source| arguments.sources.is_empty() || arguments.sources.contains(&source.name));
    Ok(sources.iter().map(SourceConfig::request).collect::<Result<_, _>>()?)
}

/// One look at every source, one after the other.
fn pass(
    ingestion: &Ingestion,
    voice: Voice,
    requests: &[IngestRequest],
    records: &mut Records,
    cancel: &Cancel,
) -> anyhow::Result<IngestSummary> {
    let mut total = IngestSummary::default();
    for request in requests {
        let summary = once(ingestion, voice, request, records, cancel)?;
        if requests.len() > 1 && summary.changes() {
            voice.remark(&format!("{}: {}", request.labels.source, sentence(&summary)));
        }
        total.add(&summary);
        if total.cancelled {
            break;
        }
    }
    Ok(total)
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

/// What is kept of a run beside its result. By default nothing.
#[derive(Default)]
pub struct Records {
    report: Option<Report>,
    /// Where progress is told to Prometheus.
    metrics: Option<PathBuf>,
}

/// One pass over the roots, with progress, report and metrics.
pub fn once(
    ingestion: &Ingestion,
    voice: Voice,
    request: &IngestRequest,
    records: &mut Records,
    cancel: &Cancel,
) -> anyhow::Result<IngestSummary> {
    let bar = IngestProgress::new(voice);
    let mut metrics = records.metrics.as_deref().map(|path| Textfile::new(path, &request.labels.source));
    let mut written = Ok(());
    let mut observer = |event: IngestEvent<'_>| {
        bar.show(&event);
        if let IngestEvent::File(record) = &event
            && let Some(error) = &record.error
        {
            match record.status {
                // A bar names them above itself.
                FileStatus::Quarantined if !voice.shows_progress() => voice.remark(&quarantined(record, error)),
                FileStatus::Skipped if request.roots.iter().any(|root| root.as_os_str() == record.path.as_str()) => {
                    voice.remark(&format!("skipped {}: {}", printable(&record.path), error.message));
                }
                _ => {}
            }
        }
        if written.is_err() {
            return;
        }
        written = match (&event, records.report.as_mut(), metrics.as_mut()) {
            (IngestEvent::File(record), Some(report), _) => report.line(record),
            (IngestEvent::Found(progress) | IngestEvent::Progress(progress), _, Some(metrics)) => {
                metrics.show(progress)
            }
            _ => Ok(()),
        };
    };
    let summary = ingestion.ingest(request, &mut observer, cancel)?;
    written?;
    if let Some(report) = &mut records.report {
        report.flush()?;
    }
    Ok(summary)
}

/// Prints a summary.
fn tell(voice: Voice, summary: &IngestSummary) -> anyhow::Result<()> {
    if voice.json {
        return voice.object(summary);
    }
    voice.line(&sentence(summary))?;
    if summary.cancelled {
        voice.remark("interrupted: what is counted here is searchable, the next run does the rest");
    } else if summary.files_seen == 0 && summary.documents_removed == 0 {
        voice.remark("nothing to do: there is no file to read");
    } else if !summary.changes() {
        voice.remark("nothing to do: everything is as before");
    }
    if summary.quarantined > 0 {
        voice.remark("`fontes status` names the quarantined files; --retry tries them again");
    }
    Ok(())
}

/// A summary in words.
fn sentence(summary: &IngestSummary) -> String {
    let would = if summary.dry_run { "would be " } else { "" };
    let moved = match summary.documents_moved {
        0 => String::new(),
        moved => format!("{moved} {would}moved, "),
    };
    format!(
        "{} files: {} {would}new, {} {would}changed, {} unchanged, {moved}{} {would}removed, {} quarantined · {} pages, \
         {} chunks in {:.1} s",
        summary.files_seen,
        summary.documents_new,
        summary.documents_changed,
        summary.documents_unchanged,
        summary.documents_removed,
        summary.quarantined,
        summary.pages,
        summary.chunks,
        summary.seconds
    )
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
