//! Rewriting: a generator helps to search. It makes queries of a question, or a passage that might answer it.
//!
//! A question and the passage that answers it often share no word and little direction. Queries in other words find what the
//! question's own do not; a passage that was made up lies nearer to real ones than a question does (HyDE; Gao et al. 2022,
//! arXiv 2212.10496). Nothing that comes back is believed or shown as an answer: it is searched for, and what is found
//! decides.
//!
//! **Why bounded twice.** The search waits for it. Whatever does not come within the tokens and the time allowed is as good as
//! nothing, and the caller searches for the question as it stands.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{LazyLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use fontes_core::{
    Cancel, Error, ErrorKind, FinishReason, GenerationRequest, Generator, Language, Message, Result, Role, Sampling,
    SearchSettings, Subquery, SubqueryKind,
};
use serde::Deserialize;

use crate::clean::for_prompt;

/// Most queries taken from a generator.
const MAX_QUERIES: usize = 3;

/// Longest query taken, in bytes. What is longer is an answer, an explanation or a loop.
const MAX_QUERY: usize = 300;

/// Shortest passage taken, in words: fewer say nothing beyond the question.
const FEWEST_WORDS: usize = 4;

/// How often it is looked whether the time is up or nobody waits any more.
const TICK: Duration = Duration::from_millis(20);

/// What rewriting may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteLimits {
    /// Tokens of each text that is generated.
    pub max_tokens: usize,
    /// Time for all of them together.
    pub time: Duration,
}

impl Default for RewriteLimits {
    /// Three short queries or two sentences, and as long as people wait for a search by a model on a small machine.
    fn default() -> Self {
        Self { max_tokens: 96, time: Duration::from_secs(20) }
    }
}

/// The words of a request in one language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    rewrite: String,
    hypothetical: String,
    question: String,
}

static WORDS: LazyLock<BTreeMap<Language, Words>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../config/prompts/search.toml")).expect("the compiled prompts are tested")
});

/// What to search for beside `question`, as `settings` ask: queries in other words, a hypothetical passage, or both. Greedy, so
/// that the same generator gives the same texts. Nothing when the generator wrote nothing of use.
///
/// # Errors
/// [`ErrorKind::Timeout`] when it takes longer than `limits` allow or is cancelled; whatever the generator gives.
pub fn rewritten(
    generator: &dyn Generator,
    question: &str,
    settings: &SearchSettings,
    limits: &RewriteLimits,
    cancel: &Cancel,
) -> Result<Vec<Subquery>> {
    let language = Language::detect(question);
    let words = WORDS.get(&language).or_else(|| WORDS.get(&Language::English));
    let Some(words) = words else { return Ok(Vec::new()) };
    let write = |system: &str, cancel: &Cancel| -> Result<(String, bool)> {
        let asked = words.question.replace("{question}", for_prompt(question).trim());
        let messages = [Message::text(Role::System, system.trim()), Message::text(Role::User, asked)];
        let request = GenerationRequest {
            messages: &messages,
            sampling: &Sampling::default(),
            max_tokens: limits.max_tokens,
            stop: &[],
            mask: None,
            attention: false,
            origin: None,
        };
        let generation = generator.generate(request, &mut |_| ControlFlow::Continue(()), cancel)?;
        match generation.finish {
            FinishReason::Cancelled => {
                Err(Error::new(ErrorKind::Timeout, "the generator took too long to rewrite a question for the search"))
            }
            finish => Ok((generation.text, finish == FinishReason::Length)),
        }
    };
    within(limits.time, cancel, |cancel| {
        let mut found = Vec::new();
        if settings.rewrite {
            let (text, cut) = write(&words.rewrite, cancel)?;
            found.extend(queries(&text, cut, question));
        }
        if settings.hypothetical {
            let (text, _) = write(&words.hypothetical, cancel)?;
            found.extend(passage(&text));
        }
        Ok(found)
    })
}

/// Runs `work`, and asks it to stop when the time is up or the caller is asked to.
fn within<T>(time: Duration, cancel: &Cancel, work: impl FnOnce(&Cancel) -> T) -> T {
    let own = Cancel::default();
    let (working, done) = mpsc::channel::<()>();
    thread::scope(|threads| {
        let watched = own.clone();
        threads.spawn(move || {
            let begin = Instant::now();
            while done.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                if cancel.is_cancelled() || begin.elapsed() >= time {
                    watched.cancel();
                    return;
                }
            }
        });
        let result = work(&own);
        drop(working);
        result
    })
}

/// The queries among the lines of a generated text, without the signs of a list. The last line of a text that was cut off is
/// not whole.
fn queries(text: &str, cut: bool, question: &str) -> Vec<Subquery> {
    let mut lines: Vec<&str> = text.lines().collect();
    if cut && lines.len() > 1 {
        lines.pop();
    }
    let mut queries: Vec<Subquery> = Vec::new();
    for line in lines {
        let numbered = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        let line = if numbered.trim_start().starts_with(['.', ')']) { numbered } else { line };
        let text = line.trim_matches(|c: char| c.is_whitespace() || "-–*•.)\"'`„“”«»#".contains(c));
        let new = text != question.trim() && queries.iter().all(|one| one.text != text);
        let said = text.chars().any(char::is_alphanumeric) && text.len() <= MAX_QUERY && !text.ends_with(':');
        if new && said && queries.len() < MAX_QUERIES {
            queries.push(Subquery { text: text.to_owned(), kind: SubqueryKind::Rewritten });
        }
    }
    queries
}

/// A generated passage, if it is one.
fn passage(text: &str) -> Option<Subquery> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = text.split(' ').filter(|word| word.chars().any(char::is_alphanumeric)).count();
    (words >= FEWEST_WORDS).then_some(Subquery { text, kind: SubqueryKind::Hypothetical })
}

#[cfg(test)]
mod tests {
    use fontes_core::{Generation, ModelIdentity};
    use fontes_testkit::ScriptedGenerator;

    use super::*;

    const QUESTION: &str = "Wie lange gilt die Bewilligung?";

    fn settings(rewrite: bool, hypothetical: bool) -> SearchSettings {
        SearchSettings { rewrite, hypothetical, ..SearchSettings::default() }
    }

    fn of(script: &[&str], settings: SearchSettings) -> Vec<(String, SubqueryKind)> {
        let generator = ScriptedGenerator::new(script.iter().copied());
        let found = rewritten(&generator, QUESTION, &settings, &RewriteLimits::default(), &Cancel::default()).unwrap();
        assert!(generator.requests().iter().all(|request| request.prompt().contains(QUESTION)));
        assert!(generator.requests().iter().all(|request| request.sampling == Sampling::default()));
        found.into_iter().map(|one| (one.text, one.kind)).collect()
    }

    #[test]
    fn every_language_has_its_words() {
        assert!(Language::WORKING.iter().all(|language| WORDS.contains_key(language)));
        assert!(WORDS.values().all(|words| words.question.contains("{question}")));
    }

    #[test]
    fn lines_become_queries_and_a_text_a_passage() {
        let rewritten = |text: &str| (text.to_owned(), SubqueryKind::Rewritten);
        let written =
            "Suchanfragen:\n1. Dauer der Bewilligung\n- \"Gültigkeit Bewilligung\"\n2024 Frist\nvierte\nfünfte";
        assert_eq!(
            of(&[written], settings(true, false)),
            ["Dauer der Bewilligung", "Gültigkeit Bewilligung", "2024 Frist"].map(rewritten)
        );
        let passage = "Die Bewilligung gilt\nzwei Jahre.";
        assert_eq!(
            of(&["Gültigkeit", passage], settings(true, true)),
            [rewritten("Gültigkeit"), ("Die Bewilligung gilt zwei Jahre.".into(), SubqueryKind::Hypothetical)]
        );
        assert_eq!(of(&[], settings(false, false)), [], "nothing is asked for, nothing is generated");
    }

    #[test]
    fn what_is_no_query_is_left_out() {
        for written in ["", "???\n---", QUESTION, &"x".repeat(MAX_QUERY + 1)] {
            assert_eq!(of(&[written], settings(true, false)), [], "{written}");
        }
        assert_eq!(of(&["Ja."], settings(false, true)), []);
        let cut = queries("Dauer Bewilligung\nGültigkeit der Bewil", true, QUESTION);
        assert_eq!(cut.len(), 1, "the last line is not whole");
    }

    /// Writes until it is told to stop.
    struct Endless(ModelIdentity);

    impl Generator for Endless {
        fn identity(&self) -> &ModelIdentity {
            &self.0
        }

        fn context_length(&self) -> usize {
            1 << 20
        }

        fn count_tokens(&self, text: &str) -> usize {
            text.len()
        }

        fn generate(
            &self,
            _: GenerationRequest<'_>,
            _: &mut dyn FnMut(&str) -> ControlFlow<()>,
            cancel: &Cancel,
        ) -> Result<Generation> {
            let begin = Instant::now();
            while !cancel.is_cancelled() {
                assert!(begin.elapsed() < Duration::from_secs(30), "nobody stopped it");
                thread::sleep(Duration::from_millis(1));
            }
            Ok(Generation {
                text: "Dauer".into(),
                finish: FinishReason::Cancelled,
                tokens: fontes_core::TokenUsage::default(),
                logprobs: Vec::new(),
                attention: Vec::new(),
                prefill_ms: 0.0,
                first_token_ms: 0.0,
                total_ms: 0.0,
            })
        }
    }

    #[test]
    fn time_and_whoever_asked_end_it() {
        let endless = Endless(ScriptedGenerator::new([""; 0]).identity().clone());
        let run = |millis: u64, cancel: &Cancel| {
            let limits = RewriteLimits { time: Duration::from_millis(millis), ..RewriteLimits::default() };
            rewritten(&endless, QUESTION, &settings(true, true), &limits, cancel).unwrap_err().kind()
        };
        assert_eq!(run(30, &Cancel::default()), ErrorKind::Timeout);
        let cancelled = Cancel::default();
        cancelled.cancel();
        assert_eq!(run(60_000, &cancelled), ErrorKind::Timeout);
    }

    #[test]
    fn errors_of_the_generator_come_through() {
        let silent = ScriptedGenerator::new([""; 0]);
        let failed =
            rewritten(&silent, QUESTION, &settings(true, false), &RewriteLimits::default(), &Cancel::default());
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
    }
}
