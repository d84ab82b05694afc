//! `fontes ask`: a cited answer, streamed on a terminal.

use std::time::Instant;

use fontes_core::{Answer, Cancel, Filter, Sampling};
use fontes_generation::AskEvent;
use fontes_server::{Ask, Site};

use crate::{
    args,
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    render,
    wiring::{self, Archive},
};

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Ask) -> anyhow::Result<Outcome> {
    let cancel = interrupt::install()?;
    let scope = config.access.scope(arguments.principal.as_deref())?;
    let ask = Ask {
        k: arguments.k,
        filter: filter_of(&arguments.filters)?,
        sampling: Sampling { temperature: arguments.temperature, seed: arguments.seed, ..Sampling::default() },
        max_tokens: arguments.max_tokens,
        ..Ask::new(arguments.question.as_str())
    };
    let archive = Archive::open(config)?;
    let begin = Instant::now();
    let generator = wiring::generator(config, arguments.model.as_deref())?;
    if let Some(generator) = &generator
        && voice.verbose
    {
        voice.remark(&format!("loaded {} in {:.1} s", generator.identity().name, begin.elapsed().as_secs_f64()));
    }
    let site = archive.site(config, generator)?;
    let answer = answer(&site, voice, &ask, &scope, &cancel)?;
    Ok(match answer {
        _ if cancel.is_cancelled() => Outcome::Interrupted,
        answer if answer.abstained => Outcome::Nothing,
        _ => Outcome::Done,
    })
}

/// Reads conditions of the form `field=value`.
pub fn filter_of(conditions: &[String]) -> fontes_core::Result<Filter> {
    let mut filter = Filter::default();
    conditions.iter().try_for_each(|condition| filter.add(condition))?;
    Ok(filter)
}

/// Answers and prints: JSON as one object; for a person the checked sentences as they come, then the sources.
pub fn answer(
    site: &Site,
    voice: Voice,
    ask: &Ask,
    scope: &fontes_core::AccessScope,
    cancel: &Cancel,
) -> anyhow::Result<Answer> {
    if voice.json {
        let answer = site.answer(ask, scope, &mut |_| {}, cancel)?;
        voice.object(&answer)?;
        return Ok(answer);
    }
    let mut printed = Ok(());
    let mut streamed = false;
    let answer = site.answer(
        ask,
        scope,
        &mut |event| {
            if let AskEvent::Sentence(sentence) = event
                && voice.is_interactive()
                && printed.is_ok()
            {
                streamed = true;
                printed = voice.text(&format!("{} ", render::marked(voice, sentence)));
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
