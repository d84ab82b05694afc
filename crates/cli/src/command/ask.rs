//! `fontes ask`: a cited answer, streamed on a terminal.

use std::{path::Path, time::Instant};

use fontes_core::{Answer, Cancel, Error, Language, Remark, Sampling};
use fontes_generation::{AskEvent, changes};
use fontes_server::{Ask, Site};

use crate::{
    args,
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    phrases::phrases,
    progress::AnswerProgress,
    render,
    wiring::{self, Archive},
};

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Ask) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let scope = config.access.scope(arguments.principal.as_deref())?;
    let recorded = arguments.replay.as_deref().map(recorded).transpose()?;
    let ask = match &recorded {
        Some(recorded) => Ask::again(recorded),
        None => asked(config, arguments)?,
    };
    let archive = Archive::open(config)?;
    let begin = Instant::now();
    let model = recorded.as_ref().and_then(model_of);
    let generator = wiring::generator(config, arguments.model.as_deref().or(model))?;
    if let Some(generator) = &generator
        && voice.verbose
    {
        voice.remark(&format!("loaded {} in {:.1} s", generator.identity().name, begin.elapsed().as_secs_f64()));
    }
    let site = archive.site(config, generator)?;
    let answer = match answer(&site, voice, &ask, &scope, recorded.as_ref(), &cancel) {
        // Whoever interrupts knows why there is no answer.
        Err(_) if cancel.is_cancelled() => return Ok(Outcome::Interrupted),
        answer => answer?,
    };
    if answer.passages.is_empty()
        && let Some(remark) = archive.empty_remark(config)?
    {
        voice.remark(&remark);
    }
    if let Some(recorded) = &recorded {
        let changes = changed(recorded, &answer);
        let verdict = if changes.is_empty() { "the same answer".to_owned() } else { changes.join("; ") };
        voice.remark(&format!("replay: {verdict}"));
    }
    Ok(match answer {
        _ if cancel.is_cancelled() => Outcome::Interrupted,
        answer if answer.abstained => Outcome::Nothing,
        _ => Outcome::Done,
    })
}

/// The request that the arguments make.
fn asked(config: &Config, arguments: &args::Ask) -> anyhow::Result<Ask> {
    if arguments.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
        return Err(Error::invalid("--threshold is not between 0 and 1").advise("0.35 is the usual").into());
    }
    if !Sampling::TEMPERATURES.contains(&arguments.temperature) {
        return Err(Error::invalid("--temperature is not between 0 and 2").advise("0 is greedy, the usual").into());
    }
    Ok(Ask {
        k: arguments.k,
        filter: arguments.narrowing.filter()?,
        sampling: Sampling { temperature: arguments.temperature, seed: arguments.seed, ..Sampling::default() },
        max_tokens: arguments.max_tokens,
        earlier: arguments.after.clone(),
        threshold: arguments.threshold,
        explain: arguments.explain,
        search: Some(arguments.choice.choice().over(config.search.settings())?),
        ..Ask::new(arguments.question.as_deref().unwrap_or_default())
    })
}

/// An answer as `--json` wrote it.
fn recorded(path: &Path) -> anyhow::Result<Answer> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::invalid(format!("answer {} cannot be read", path.display()))
            .because(error)
            .advise("give a file that `fontes ask --json` wrote")
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.into()))?;
    Ok(serde_json::from_str(&text).map_err(|error| unreadable(error.into()))?)
}

/// What is other than in a recorded answer, in words; nothing when it is the same.
fn changed(recorded: &Answer, answer: &Answer) -> Vec<String> {
    changes(recorded, answer).iter().map(ToString::to_string).collect()
}

/// What wrote a recorded answer; unknown when quotes stand in for what a model wrote.
fn model_of(answer: &Answer) -> Option<&str> {
    match answer.extractive {
        false => Some(&answer.model.name),
        true if answer.remarks.iter().any(|one| matches!(one, Remark::QuotedInstead | Remark::GeneratorSilent)) => None,
        true => Some("none"),
    }
}

/// Answers and prints: JSON as one object, with what is other than in `recorded`; for a person the checked sentences as they come, then the sources.
pub fn answer(
    site: &Site,
    voice: Voice,
    ask: &Ask,
    scope: &fontes_core::AccessScope,
    recorded: Option<&Answer>,
    cancel: &Cancel,
) -> anyhow::Result<Answer> {
    if voice.json {
        let answer = site.answer(ask, scope, &mut |_| {}, cancel)?;
        let mut reply = serde_json::to_value(&answer)?;
        if let Some(recorded) = recorded {
            reply["replay_changes"] = changed(recorded, &answer).into();
        }
        voice.object(&reply)?;
        return Ok(answer);
    }
    let ask = &Ask { preview: voice.is_interactive(), ..ask.clone() };
    let words = phrases(Language::detect(&ask.question));
    let progress = AnswerProgress::new(voice);
    let mut printed = Ok(());
    let mut streamed = false;
    let answer = site.answer(
        ask,
        scope,
        &mut |event| {
            progress.show(&event);
            if let AskEvent::Sentence(sentence) = event
                && voice.is_interactive()
                && printed.is_ok()
            {
                streamed = true;
                printed = voice.text(&format!("{} ", render::marked(voice, words, sentence)));
            }
        },
        cancel,
    )?;
    printed?;
    if streamed {
        voice.text(&format!("\n{}", render::sources(voice, &answer)))?;
    } else {
        voice.text(&render::answer(voice, &answer))?;
    }
    Ok(answer)
}
