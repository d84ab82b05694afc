//! `fontes models`: the model store, raw probes, quantisation.

use std::path::Path;

use fontes_core::{Cancel, Error};
use fontes_model::{
    decoder::{self, OpenOptions},
    quantize,
    store::{ModelStatus, ModelStore},
};

use crate::{
    args::{Models, Probe, RunnerChoice},
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    progress::{InstallProgress, QuantizeProgress},
    wiring,
};

/// Runs a command on models.
pub fn run(config: &Config, voice: Voice, command: Models) -> anyhow::Result<Outcome> {
    match command {
        Models::Probe(arguments) => return probe(config, voice, &arguments),
        Models::Quantize { dir, kind, output } => return quantized(voice, &dir, &kind, &output),
        _ => {}
    }
    let store = wiring::model_store(config)?;
    match command {
        Models::List => list(voice, &store.list().map_err(Error::from)?)?,
        Models::Install { name } => {
            install(&store, voice, &name, &interrupt::install()?)?;
            status_of(&store, voice, &name)?;
        }
        Models::Add { path, name } => {
            let model = store.add(&path, name.as_deref(), &interrupt::install()?).map_err(Error::from)?;
            status_of(&store, voice, &model.name)?;
        }
        Models::Verify { name } => return verify(&store, voice, name.as_deref()),
        Models::Remove { name } => {
            store.remove(&name).map_err(Error::from)?;
            if voice.json {
                voice.object(&serde_json::json!({ "name": name, "removed": true }))?;
            } else {
                voice.line(&format!("{name}: removed"))?;
            }
        }
        Models::Probe(_) | Models::Quantize { .. } => {}
    }
    Ok(Outcome::Done)
}

/// Installs a model with a progress bar; does nothing when it is there.
pub fn install(store: &ModelStore, voice: Voice, name: &str, cancel: &Cancel) -> anyhow::Result<()> {
    let progress = InstallProgress::new(voice, name);
    store.install(name, &mut |step| progress.show(&step), cancel).map_err(Error::from)?;
    Ok(())
}

/// Prints one model's line.
fn status_of(store: &ModelStore, voice: Voice, name: &str) -> anyhow::Result<()> {
    let models = store.list().map_err(Error::from)?;
    match models.iter().find(|model| model.name == name) {
        Some(model) if voice.json => voice.object(model),
        Some(model) => describe(voice, model),
        None => Ok(()),
    }
}

/// One line per model; JSON Lines for scripts.
fn list(voice: Voice, models: &[ModelStatus]) -> anyhow::Result<()> {
    models.iter().try_for_each(|model| if voice.json { voice.object(model) } else { describe(voice, model) })
}

fn describe(voice: Voice, model: &ModelStatus) -> anyhow::Result<()> {
    let state = match (&model.path, model.verified) {
        (None, _) => voice.style("2", "not installed"),
        (Some(_), true) => voice.style("32", "installed"),
        (Some(_), false) => voice.style("31", "changed since it was checked"),
    };
    let size = model.bytes.map_or("size not known".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
    let kind = format!("{:?}", model.kind).to_lowercase();
    voice.line(&format!("{:<34} {kind:<10} {size:>9}  {:<12} {state}", model.name, model.license))?;
    for remark in [&model.description, &model.note].into_iter().flatten() {
        voice.line(&voice.style("2", &format!("    {remark}")))?;
    }
    Ok(())
}

fn verify(store: &ModelStore, voice: Voice, name: Option<&str>) -> anyhow::Result<Outcome> {
    let models = store.verify(name, &interrupt::install()?).map_err(Error::from)?;
    let mut sound = true;
    for (model, failure) in &models {
        sound &= failure.is_none();
        if voice.json {
            voice.object(model)?;
        } else {
            let verdict = failure.as_ref().map_or("ok".to_owned(), ToString::to_string);
            voice.line(&format!("{:<34} {verdict}", model.name))?;
        }
    }
    if sound {
        return Ok(Outcome::Done);
    }
    Err(Error::corrupt("an installed model is not what was installed").advise("remove it and install it again").into())
}

impl From<RunnerChoice> for decoder::Runner {
    fn from(choice: RunnerChoice) -> Self {
        match choice {
            RunnerChoice::Auto => Self::Auto,
            RunnerChoice::Candle => Self::Candle,
            RunnerChoice::Cpu => Self::Cpu,
        }
    }
}

/// Writes a quantised file, with progress.
fn quantized(voice: Voice, dir: &Path, kind: &str, output: &Path) -> anyhow::Result<Outcome> {
    let target = kind.parse().map_err(Error::from)?;
    let progress = QuantizeProgress::new(voice);
    let written =
        quantize::quantize(dir, target, output, None, &mut |step| progress.show(step)).map_err(Error::from)?;
    drop(progress);
    if voice.json {
        voice.object(&written)?;
    } else {
        voice.line(&format!("{}: {} bytes, sha256 {}", written.path.display(), written.bytes, written.sha256))?;
    }
    Ok(Outcome::Done)
}

/// Raw logits. Exact arithmetic (an f32 cache) unless a runner is chosen: a probe is for comparing.
fn probe(config: &Config, voice: Voice, arguments: &Probe) -> anyhow::Result<Outcome> {
    let options = OpenOptions {
        dtype: arguments.dtype,
        runner: arguments.runner.into(),
        device: arguments.device,
        max_memory: wiring::memory_limit(config, arguments.device),
        ..OpenOptions::exact()
    };
    let network = decoder::open(&arguments.path, &options)?;
    let result = decoder::probe(network.as_ref(), &arguments.ids, arguments.greedy, &wiring::SystemClock)?;
    if voice.json {
        voice.object(&result)?;
    } else {
        voice.line(&format!("argmax per position: {:?}", result.argmax_per_position))?;
        voice.line(&format!("greedy: {:?}", result.greedy))?;
        let speed = &result.tokens_per_second;
        voice.line(&format!("prefill {:.1} tokens/s, decode {:.1} tokens/s", speed.prefill, speed.decode))?;
    }
    Ok(Outcome::Done)
}
