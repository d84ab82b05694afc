//! `fontes status`, `forget` and `check`: what is there, take it out, prove it.

use std::os::unix::fs::MetadataExt as _;

use fontes_core::{DocumentId, Error};
use serde_json::json;

use crate::{
    config::Config,
    interrupt,
    output::{Outcome, Voice, printable},
    progress::FillProgress,
    wiring::{self, Archive},
};

/// What is indexed, pending, quarantined.
pub fn status(config: &Config, voice: Voice) -> anyhow::Result<Outcome> {
    let archive = Archive::open(config)?;
    let status = archive.ingestion.status()?;
    if let Some(remark) = archive.other_embedder_remark(config) {
        voice.remark(&remark);
    }
    let quarantined = archive.ledger.quarantined()?;
    let disk = disk_bytes(&config.data.dir);
    let generator =
        wiring::generator_choice(config, None).map_or_else(|error| error.to_string(), |choice| choice.to_string());
    if voice.json {
        let mut object = serde_json::to_value(&status)?;
        object["quarantined_files"] = quarantined
            .iter()
            .map(
                |entry| json!({ "path": entry.path, "kind": entry.kind, "code": entry.code, "message": entry.message }),
            )
            .collect();
        object["disk_bytes"] = disk.into();
        object["generator"] = generator.into();
        object["vectors"] = archive.vectors.to_string().into();
        object["data_dir"] = config.data.dir.display().to_string().into();
        voice.object(&object)?;
        return Ok(Outcome::Done);
    }
    voice.line(&format!("data       {} ({:.1} MiB)", config.data.dir.display(), disk as f64 / f64::from(1 << 20)))?;
    voice.line(&format!(
        "documents  {} ({} chunks, snapshot {})",
        status.documents, status.chunks, status.index_snapshot.0
    ))?;
    voice.line(&format!("embedder   {} ({:.12}…)", status.embedder.name, status.embedder.sha256.to_string()))?;
    voice.line(&format!("vectors    {}", archive.vectors))?;
    for set in &status.sets {
        voice.line(&format!("beside     {}: {} of {} chunks", set.name, set.chunks, status.chunks))?;
    }
    voice.line(&format!("generator  {generator}"))?;
    voice.line(&format!("pending    {}", status.pending))?;
    voice.line(&format!("consistent {}", if status.consistent { "yes" } else { "no: run `fontes check`" }))?;
    voice.line(&format!("quarantine {}", quarantined.len()))?;
    for entry in &quarantined {
        voice.line(&printable(&format!("  ({}) {}: {}", entry.code, entry.path, entry.message)))?;
        if let Some(advice) = &entry.advice {
            voice.line(&format!("      try: {advice}"))?;
        }
    }
    Ok(Outcome::Done)
}

/// Erases documents and proves it.
pub fn forget(config: &Config, voice: Voice, documents: &[DocumentId]) -> anyhow::Result<Outcome> {
    let erased = Archive::open(config)?.ingestion.forget(documents)?;
    fontes_model::prefix::retain_on_disk(&wiring::prefix_folder(config), |document| !documents.contains(document))?;
    for erasure in &erased {
        if voice.json {
            voice.object(erasure)?;
        } else {
            let proof = if erasure.verified_absent { "verified absent" } else { "STILL PRESENT" };
            voice.line(&format!("{}: {} chunks removed, {proof}", erasure.document_id, erasure.chunks_removed))?;
        }
    }
    if erased.iter().any(|erasure| !erasure.verified_absent) {
        return Err(Error::corrupt("an erased document is still present").advise("run `fontes check --repair`").into());
    }
    Ok(Outcome::Done)
}

/// Proves that ledger and indexes agree, and that models are what was installed.
pub fn check(config: &Config, voice: Voice, repair: bool) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let archive = if repair { Archive::open_for_repair(config)? } else { Archive::open(config)? };
    let report = if repair {
        let bar = FillProgress::new(voice, "repair");
        archive.ingestion.repair(&mut |filling| bar.show(&filling), &cancel)?
    } else {
        archive.ingestion.check()?
    };
    if let Some(remark) = archive.other_embedder_remark(config) {
        voice.remark(&remark);
    }
    let interrupted = repair && cancel.is_cancelled();
    let models = match interrupted {
        true => Vec::new(),
        false => wiring::model_store(config)?.verify(None, &cancel).map_err(Error::from)?,
    };
    let altered: Vec<_> =
        models.iter().filter_map(|(model, failure)| failure.as_ref().map(|failure| (model, failure))).collect();
    let consistent = report.consistent && altered.is_empty();
    if voice.json {
        let mut findings = serde_json::to_value(&report.findings)?;
        if let Some(findings) = findings.as_array_mut() {
            findings.extend(
                altered.iter().map(|(model, failure)| json!({ "model": model.name, "problem": failure.to_string() })),
            );
        }
        voice.object(&json!({
            "consistent": consistent, "chunks": report.chunks, "chunk_ids_sha256": report.chunk_ids_sha256,
            "vectors": archive.vectors.to_string(), "models": models.len(), "findings": findings,
            "embedder": archive.active(), "sets": report.sets, "emptied": archive.emptied,
            "tokens_missing": report.tokens_missing,
        }))?;
    } else {
        for finding in &report.findings {
            let mended = if finding.repaired { ", repaired" } else { "" };
            let of = finding.set.as_ref().map_or(String::new(), |set| format!(" of {set}"));
            voice.line(&format!(
                "{:?}{of}: {} chunks missing, {} too many{mended}",
                finding.index, finding.missing, finding.extra
            ))?;
        }
        for name in &archive.emptied {
            voice
                .line(&format!("{name} was damaged and is empty now; `fontes embedders add {name}` fills it again"))?;
        }
        for set in &report.sets {
            voice.line(&format!(
                "beside: {} holds {} chunks, {} are still to be embedded",
                set.name, set.chunks, set.missing
            ))?;
        }
        if report.tokens_missing > 0 {
            voice.line(&format!(
                "{} chunks are read again by every search that finds them; `fontes check --repair` makes that unnecessary",
                report.tokens_missing
            ))?;
        }
        for (_, failure) in &altered {
            voice.line(&failure.to_string())?;
        }
        let verdict = if consistent { "consistent" } else { "NOT consistent" };
        voice.line(&format!(
            "{verdict}: {} chunks in ledger, Qdrant ({}) and Tantivy; {} models",
            report.chunks,
            archive.vectors,
            models.len()
        ))?;
    }
    if interrupted {
        voice.remark("interrupted: what is repaired stays, the same command goes on with the rest");
        return Ok(Outcome::Interrupted);
    }
    if consistent {
        return Ok(Outcome::Done);
    }
    let advice = if altered.is_empty() { "run `fontes check --repair`" } else { "install the named models again" };
    Err(Error::corrupt("stored data is not what the ledger and the manifest say").advise(advice).into())
}

/// Bytes that all files below a folder take on the disk.
pub(super) fn disk_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            // Files with holes take less than their length.
            Ok(metadata) => metadata.blocks() * 512,
            Err(_vanished) => 0,
        })
        .sum()
}
