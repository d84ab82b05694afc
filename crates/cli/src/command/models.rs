//! `fontes models`: the model store, raw probes, quantisation.

use fontes_core::{Cancel, Error};
use fontes_model::{
    decoder,
    quantize::{self, QuantizeOptions},
    store::{ModelStatus, ModelStore},
};

use crate::{
    args::{Models, Probe, RunnerChoice},
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    progress::InstallProgress,
    wiring,
};

/// Runs a command on models.
pub fn run(config: &Config, voice: Voice, command: Models) -> anyhow::Result<Outcome> {
    match command {
        Models::Probe(arguments) => return probe(voice, &arguments),
        Models::Quantize { dir, kind, output } => {
            let options = QuantizeOptions { kind: kind.parse()?, ..QuantizeOptions::default() };
            let cancel = interrupt::install()?;
            let written = quantize::quantize(&dir, &output, &options, &mut |_| {}, &cancel)?;
            if voice.json {
                voice.object(&written)?;
            } else {
                voice.line(&format!("{}: {} bytes, sha256 {}", written.path.display(), written.bytes, written.sha256))?;
            }
            return Ok(Outcome::Done);
        }
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

fn probe(voice: Voice, arguments: &Probe) -> anyhow::Result<Outcome> {
    let options = decoder::OpenOptions {
        runner: arguments.runner.into(),
        dtype: arguments.dtype.parse()?,
        ..decoder::OpenOptions::default()
    };
    let result = decoder::probe(&arguments.path, &arguments.ids, arguments.greedy, &options)?;
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
