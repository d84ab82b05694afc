//! `fontes bench rag`: what drafts and kept beginnings save on real questions, and that they change no answer.
//!
//! Every question is asked in up to four ways over the same index with the same model, one after the other. With kept
//! beginnings there are two rounds: in the first the cache fills, in the second each question was asked before. Nothing
//! is kept on disk, and in memory as much as is configured, at least 1 GiB: some 36,000 tokens of a 1.5B model. `tokens`
//! lists prompt and generated tokens of each question, for a peer to repeat (`benches/llamacpp.py --rag`).

use std::{fs, path::Path};

use anyhow::Context as _;
use fontes_core::{Answer, Error};
use fontes_server::Ask;
use serde_json::{Value, json};

use super::bench::quantile;
use crate::{
    args::WayChoice,
    config::Config,
    interrupt,
    output::Voice,
    wiring::{self, Archive},
};

/// A way of asking: its name, drafts, kept beginnings.
fn settings(choice: WayChoice) -> (&'static str, bool, bool) {
    match choice {
        WayChoice::Plain => ("plain", false, false),
        WayChoice::Drafts => ("drafts", true, false),
        WayChoice::Kept => ("kept", false, true),
        WayChoice::Both => ("both", true, true),
    }
}

/// Reads questions: lines, or JSON Lines with a `question`.
pub fn read(path: &Path, limit: usize) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("questions {}", path.display()))?;
    let question = |line: &str| {
        let json = serde_json::from_str::<Value>(line).ok();
        json.and_then(|json| json["question"].as_str().map(str::to_owned)).unwrap_or_else(|| line.to_owned())
    };
    let questions: Vec<String> =
        text.lines().filter(|line| !line.trim().is_empty()).take(limit).map(question).collect();
    if questions.is_empty() {
        return Err(Error::invalid("there is no question in that file").advise("write one question a line").into());
    }
    Ok(questions)
}

/// Measures the ways one after the other; answers are compared with those of the first.
pub fn run(
    config: &Config,
    voice: Voice,
    model: Option<&str>,
    questions: &[String],
    max_tokens: usize,
    ways: &[WayChoice],
) -> anyhow::Result<Value> {
    let cancel = interrupt::install()?;
    let archive = Archive::open(config)?;
    let mut figures = json!({ "questions": questions.len(), "max_tokens": max_tokens });
    let mut first: Vec<Answer> = Vec::new();
    for (name, drafts, kept) in ways.iter().copied().map(settings) {
        let mut config = config.clone();
        config.generation.drafts = drafts;
        config.generation.prefix_disk_mib = 0;
        config.generation.prefix_memory_mib = if kept { config.generation.prefix_memory_mib.max(1024) } else { 0 };
        let generator = wiring::generator(&config, model)?;
        let generator = generator.ok_or_else(|| {
            Error::invalid("there is no language model to measure").advise("install one, or name one with --model")
        })?;
        figures["model"] = generator.identity().name.clone().into();
        let site = archive.site(&config, Some(generator))?;
        let rounds: &[&str] = if kept { &["", "_again"] } else { &[""] };
        for round in rounds {
            let mut answers = Vec::with_capacity(questions.len());
            for question in questions {
                let ask = Ask { max_tokens, ..Ask::new(question.as_str()) };
                answers.push(site.answer(&ask, &site.scope()?, &mut |_| {}, &cancel)?);
                interrupt::check(&cancel)?;
            }
            let way = format!("{name}{round}");
            if first.is_empty() {
                first.clone_from(&answers);
                figures["tokens"] =
                    written(&answers).map(|one| json!([one.tokens.prompt, one.tokens.generated])).collect();
            }
            describe(&mut figures, &way, &answers, &first);
            let seconds = |what| figures[format!("{way}_{what}_p50_ms")].as_f64().unwrap_or_default() / 1e3;
            let (token, total) = (seconds("first_token"), seconds("total"));
            let count = written(&answers).count();
            voice.remark(&format!("{way}: first token {token:.2} s, answer {total:.2} s (medians of {count})"));
        }
    }
    Ok(figures)
}

/// The answers that a model wrote.
fn written(answers: &[Answer]) -> impl Iterator<Item = &Answer> {
    answers.iter().filter(|answer| !answer.extractive && answer.tokens.prompt > 0)
}

/// Adds the figures of one way; sums are over the questions that a model answered.
fn describe(figures: &mut Value, way: &str, answers: &[Answer], first: &[Answer]) {
    let written: Vec<&Answer> = written(answers).collect();
    let mut times = |time: fn(&Answer) -> f64, what: &str| {
        let mut values: Vec<f64> = written.iter().map(|answer| time(answer)).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        figures[format!("{way}_{what}_mean_ms")] = mean.into();
        figures[format!("{way}_{what}_p50_ms")] = quantile(&mut values, 0.5).into();
    };
    times(|answer| answer.timings_ms.first_token, "first_token");
    times(|answer| answer.timings_ms.total, "total");
    let sum = |count: fn(&Answer) -> usize| written.iter().map(|answer| count(answer)).sum::<usize>();
    figures[format!("{way}_prompt_tokens")] = sum(|answer| answer.tokens.prompt).into();
    figures[format!("{way}_reused_tokens")] = sum(|answer| answer.tokens.reused).into();
    figures[format!("{way}_generated_tokens")] = sum(|answer| answer.tokens.generated).into();
    let same = answers.iter().zip(first).filter(|(one, other)| one.answer == other.answer).count();
    figures[format!("{way}_same_answers")] = same.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_lines_or_json_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("questions");
        fs::write(&path, "Wer?\n\n{\"question\": \"Quand ?\", \"answer\": \"x\"}\nWhy?\n").unwrap();
        assert_eq!(read(&path, 9).unwrap(), ["Wer?", "Quand ?", "Why?"]);
        assert_eq!(read(&path, 1).unwrap(), ["Wer?"]);
        fs::write(&path, "\n").unwrap();
        assert!(read(&path, 9).is_err());
    }
}
