//! `fontes embedders`: vectors of several embedders side by side, and which of them is searched.

use std::time::Instant;

use fontes_core::{Cancel, Embedder as _};
use fontes_ingestion::{Filling, Pause};
use serde_json::json;

use crate::{
    args::Embedders,
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    progress::FillProgress,
    wiring::{self, Archive, Choice, Standing},
};

/// Runs a command.
pub fn run(config: &Config, voice: Voice, command: Option<Embedders>) -> anyhow::Result<Outcome> {
    match command.unwrap_or(Embedders::List) {
        Embedders::List => list(config, voice),
        Embedders::Add { name, later } => add(config, voice, &name, later),
        Embedders::Use { name } => switch(config, voice, &name),
        Embedders::Drop { name } => remove(config, voice, &name),
    }
}

/// One line per set; JSON Lines for scripts.
fn list(config: &Config, voice: Voice) -> anyhow::Result<Outcome> {
    let archive = Archive::open(config)?;
    for set in archive.sets()? {
        if voice.json {
            voice.object(&set)?;
            continue;
        }
        let (state, colour) = match set.state {
            Standing::Active => ("active", "32"),
            Standing::Ready => ("ready", "0"),
            Standing::Behind => ("behind", "33"),
            Standing::Building => ("building", "33"),
        };
        let (done, total) = (set.chunks_done, set.chunks_total);
        let state = voice.style(colour, &format!("{state:<9}"));
        voice.line(&format!("{:<34} {state} {done} of {total} chunks, {} dimensions", set.name, set.dimensions))?;
    }
    if let Some(remark) = archive.other_embedder_remark(config) {
        voice.remark(&remark);
    }
    Ok(Outcome::Done)
}

/// Adds a set, unless it is there, and embeds what it lacks, unless that is for later.
fn add(config: &Config, voice: Voice, name: &str, later: bool) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let embedder = Choice::named(config, name)?.open(config)?;
    let name = wiring::add_set(config, &embedder)?;
    let dimensions = embedder.dimensions();
    drop(embedder);
    let archive = Archive::open(config)?;
    let (filling, seconds) =
        if later { (archive.set_filling(&name)?, 0.0) } else { fill(&archive, config, voice, &name, &cancel)? };
    if voice.json {
        voice.object(&json!({
            "name": name, "dimensions": dimensions, "chunks_done": filling.chunks, "chunks_total": filling.of,
            "embedded": filling.embedded, "seconds": seconds, "cancelled": filling.cancelled,
        }))?;
    } else {
        let Filling { chunks, of, embedded, .. } = filling;
        voice.line(&format!("{name}: {chunks} of {of} chunks, {embedded} embedded in {seconds:.1} s"))?;
    }
    if filling.cancelled {
        voice.remark("interrupted: what is done stays, the same command goes on with the rest");
        return Ok(Outcome::Interrupted);
    }
    if later && !filling.is_whole() {
        voice.remark("`fontes serve` computes the rest while it answers; without --later this command does");
    } else if name != archive.active() {
        voice.remark(&format!("searches use {}; `fontes embedders use {name}` changes that", archive.active()));
    }
    Ok(Outcome::Done)
}

/// Embeds what a set lacks, with progress; gives the seconds it took.
fn fill(
    archive: &Archive,
    config: &Config,
    voice: Voice,
    name: &str,
    cancel: &Cancel,
) -> anyhow::Result<(Filling, f64)> {
    if Pause::of(&config.data.dir).is_set() {
        voice.remark("ingests are paused; `fontes resume` lets this go on");
    }
    let (bar, begin) = (FillProgress::new(voice, name), Instant::now());
    let filling = archive.fill(config, name, 1, &mut |filling| bar.show(&filling), cancel)?;
    Ok((filling, begin.elapsed().as_secs_f64()))
}

/// Makes a set the one that is searched, after embedding what it lacks.
fn switch(config: &Config, voice: Voice, name: &str) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let archive = Archive::open(config)?;
    let (name, previous) = (archive.set(name)?.name(), archive.active().to_owned());
    let mut embedded = 0;
    if name != previous {
        let (switched, count) = take_over(&archive, config, voice, &name, &cancel)?;
        if !switched {
            voice.remark(&format!("interrupted: searches use {previous} as before; what is done stays"));
            return Ok(Outcome::Interrupted);
        }
        embedded = count;
    }
    if voice.json {
        voice.object(&json!({ "name": name, "active": true, "previous": previous, "embedded": embedded }))?;
    } else if name == previous {
        voice.line(&format!("{name}: searches use it already"))?;
    } else {
        voice.line(&format!("{name}: searches use it from now on"))?;
        voice.remark(&format!(
            "{previous} stays beside it: `fontes embedders use {previous}` goes back, `fontes embedders drop {previous}` \
             takes it away"
        ));
    }
    Ok(Outcome::Done)
}

/// Takes a set away.
fn remove(config: &Config, voice: Voice, name: &str) -> anyhow::Result<Outcome> {
    let name = wiring::drop_set(config, name)?;
    if voice.json {
        voice.object(&json!({ "name": name, "dropped": true }))?;
    } else {
        voice.line(&format!("{name}: dropped"))?;
    }
    Ok(Outcome::Done)
}

/// Makes the configured embedder the one that an existing archive is searched with: whoever measures wants no other.
pub fn bring(config: &Config, voice: Voice, cancel: &Cancel) -> anyhow::Result<()> {
    let embedder = wiring::embedder(config)?;
    if wiring::searches_with(config, &embedder) {
        return Ok(());
    }
    let name = wiring::add_set(config, &embedder)?;
    drop(embedder);
    take_over(&Archive::open(config)?, config, voice, &name, cancel).map(drop)
}

/// Embeds what a set lacks and makes it the one that is searched; says whether that came about, and how many chunks it
/// embedded.
fn take_over(
    archive: &Archive,
    config: &Config,
    voice: Voice,
    name: &str,
    cancel: &Cancel,
) -> anyhow::Result<(bool, usize)> {
    let mut embedded = 0;
    loop {
        let (filling, _) = fill(archive, config, voice, name, cancel)?;
        embedded += filling.embedded;
        if filling.cancelled {
            return Ok((false, embedded));
        }
        if archive.switch(name)? {
            return Ok((true, embedded));
        }
    }
}

/// Fills the sets that are being built, while a server answers; half of the cores are its.
pub fn build_beside(archive: &Archive, config: &Config, voice: Voice, cancel: &Cancel) {
    for name in archive.building() {
        voice.remark(&format!("computing vectors of {name} beside"));
        match archive.fill(config, &name, 2, &mut |_progress| {}, cancel) {
            Ok(filling) if filling.cancelled => return,
            Ok(filling) => {
                voice.remark(&format!("{name} holds all {} chunks; `fontes embedders use {name}`", filling.of))
            }
            Err(error) => voice.remark(&format!("vectors of {name}: {}", crate::output::describe(&error))),
        }
    }
}
