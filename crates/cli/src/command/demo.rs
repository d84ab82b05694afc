//! `fontes demo`: the README's main job on the bundled samples.

use std::path::{Path, PathBuf};

use fontes_core::Error;
use fontes_server::Ask;

use super::{ask, ingest, models};
use crate::{
    args,
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    wiring::{self, Archive},
};

/// The language model of the demonstration when no other is installed: it fits every machine.
const GENERATOR: &str = "qwen2.5-coder-0.5b-instruct";

/// Longest answer: two or three sentences, so that the demonstration stays short on two cores.
const ANSWER_TOKENS: usize = 160;

/// One question in German, one in English; their answers are in the samples.
const QUESTIONS: [&str; 2] = [
    "Wie hoch ist die Pauschale für Strom und Internet bei Telearbeit?",
    "Which course did the patient take believing that he had a UTI?",
];

/// Runs the demonstration in a data directory of its own, beside the user's.
pub fn run(config: Config, voice: Voice, arguments: &args::Demo) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let samples = samples(arguments.samples.as_deref())?;
    let config = config.beneath("demo");
    let store = wiring::model_store(&config)?;
    let (embedder, _) = wiring::model_and_dimensions(&config.models.embedder);
    if store.resolve(embedder).is_err() {
        voice.remark(&format!("installing {embedder} (pinned, checked)"));
        models::install(&store, voice, embedder, &cancel)?;
    }
    let flag = if arguments.no_generator { Some("none") } else { None };
    if flag.is_none() && matches!(wiring::generator_choice(&config, None)?, wiring::GeneratorChoice::None) {
        voice.remark(&format!("installing {GENERATOR} (pinned, checked)"));
        models::install(&store, voice, GENERATOR, &cancel)?;
    }
    let archive = Archive::open(&config)?;
    let request = wiring::request(&config, vec![samples]);
    let summary = ingest::once(&archive.ingestion, voice, &request, &mut ingest::Records::default(), &cancel)?;
    voice.remark(&format!(
        "{} documents new, {} unchanged, {} chunks in {:.1} s",
        summary.documents_new, summary.documents_unchanged, summary.chunks, summary.seconds
    ));
    let site = archive.site(&config, wiring::generator(&config, flag)?)?;
    let scope = config.access.scope(None)?;
    let mut answered = false;
    for question in QUESTIONS {
        if cancel.is_cancelled() {
            return Ok(Outcome::Interrupted);
        }
        if !voice.json {
            voice.line(&format!("\n{}", voice.style("1", question)))?;
        }
        let ask = Ask { max_tokens: ANSWER_TOKENS, ..Ask::new(question) };
        answered |= !ask::answer(&site, voice, &ask, &scope, None, &cancel)?.abstained;
    }
    Ok(if answered { Outcome::Done } else { Outcome::Nothing })
}

/// The samples: as given, beside the working directory, or where the container keeps them.
fn samples(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let places = [Path::new("ingest/samples"), Path::new("/usr/share/fontes/samples")];
    let found = given.into_iter().chain(places).find(|place| place.is_dir());
    found.map(Path::to_owned).ok_or_else(|| {
        Error::not_found("the sample documents are not here")
            .advise("run this in the repository, or pass --samples DIR")
            .into()
    })
}
