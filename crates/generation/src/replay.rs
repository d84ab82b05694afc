//! Replay: what differs between an answer and the same question asked again.

use std::fmt;

use fontes_core::Answer;

/// One difference between two answers to the same question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another question was asked.
    Question,
    /// The index has moved on: before, now.
    Snapshot(u64, u64),
    /// Another model answered: before, now.
    Model(String, String),
    /// The prompt template was changed.
    Prompt,
    /// Another sampling seed was used: before, now.
    Seed(u64, u64),
    /// The site's policy, its judge or the settings of the question differ.
    Configuration,
    /// Other passages were given.
    Passages,
    /// The text of the answer differs.
    Text,
    /// The text is the same and rests on other spans.
    Citations,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question => f.write_str("another question"),
            Self::Snapshot(before, now) => write!(f, "index snapshot was {before}, is {now}"),
            Self::Model(before, now) => write!(f, "model was {before}, is {now}"),
            Self::Prompt => f.write_str("prompt template differs"),
            Self::Seed(before, now) => write!(f, "seed was {before}, is {now}"),
            Self::Configuration => f.write_str("policy, judge or settings differ"),
            Self::Passages => f.write_str("other passages were given"),
            Self::Text => f.write_str("the answer reads differently"),
            Self::Citations => f.write_str("the answer rests on other spans"),
        }
    }
}

/// Compares two answers: causes first, effects after. Empty when the answer is the same; times do not count.
pub fn changes(before: &Answer, now: &Answer) -> Vec<Change> {
    let model = |answer: &Answer| format!("{} {}", answer.model.name, answer.model.sha256);
    let given = |answer: &Answer| -> Vec<_> {
        answer.passages.iter().map(|passage| (passage.marker, passage.hit.document_id, passage.hit.span)).collect()
    };
    let cited = |answer: &Answer| -> Vec<_> {
        let citations = answer.sentences.iter().flat_map(|sentence| &sentence.citations);
        citations.map(|citation| (citation.document_id, citation.span, citation.quote.clone())).collect()
    };
    let text_differs = before.answer != now.answer;
    let all = [
        (before.question != now.question, Change::Question),
        (before.index_snapshot != now.index_snapshot, Change::Snapshot(before.index_snapshot.0, now.index_snapshot.0)),
        (before.model != now.model, Change::Model(model(before), model(now))),
        (before.prompt_sha256 != now.prompt_sha256, Change::Prompt),
        (before.seed != now.seed, Change::Seed(before.seed, now.seed)),
        (before.config_sha256 != now.config_sha256, Change::Configuration),
        (given(before) != given(now), Change::Passages),
        (text_differs, Change::Text),
        (!text_differs && cited(before) != cited(now), Change::Citations),
    ];
    all.into_iter().filter(|(differs, _)| *differs).map(|(_, change)| change).collect()
}
