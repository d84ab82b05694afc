//! The extractive method: the sentences of the sources that answer the question, word for word.
//!
//! It needs no generator, answers in milliseconds, and cannot invent anything: what it says is quoted. A
//! sentence is chosen by the question's words it holds (rare ones weigh more), by its similarity to the
//! question, by how good its passage is, and by whether it holds the kind of thing that is asked for.

use std::collections::{HashMap, HashSet};

use fontes_core::{Embedder, Result, Span, seam::EmbedAs};

use crate::{
    AnswerPolicy,
    lexicon::{self, Asked},
    source::Source,
    verify::cosine,
    words::{found, words},
};

/// How the signals of a sentence add up. Chosen by judgement; a coordinate search over the words-only part on
/// the even questions of XQuAD-de, PIAF-fr and SQuAD-it found nothing better on the odd ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weights {
    /// Rare question words in the sentence.
    pub(crate) sentence: f32,
    /// The same in the sentences before and after.
    pub(crate) neighbours: f32,
    /// The same in the whole passage.
    pub(crate) passage: f32,
    /// Good rank of the passage.
    pub(crate) rank: f32,
    /// Similarity to the question.
    pub(crate) similarity: f32,
    /// Holds the kind of thing asked for.
    pub(crate) kind: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { sentence: 1.0, neighbours: 0.2, passage: 0.3, rank: 0.3, similarity: 0.8, kind: 0.25 }
    }
}

/// Only this many sentences, the best by words, are compared by similarity: embedding is what costs.
const EMBEDDED: usize = 12;

/// A sentence of a source and what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extract {
    /// Index of the source.
    pub(crate) source: usize,
    /// The sentence in the stored text.
    pub(crate) span: Span,
    /// What the order goes by.
    pub(crate) score: f32,
    /// How sure it is that the sources speak to the question at all, comparable between questions.
    pub(crate) confidence: f32,
    /// What it rests on.
    pub(crate) signals: Signals,
}

/// What speaks for a sentence, each about 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    /// Share of the question's words, by weight, in the sentence.
    pub(crate) sentence: f32,
    /// The same in the better of its neighbours.
    pub(crate) neighbours: f32,
    /// The same in the passage with title and headings.
    pub(crate) passage: f32,
    /// Share of the weight that the heaviest word carries which the passage lacks.
    pub(crate) missing: f32,
    /// Goodness of the passage's rank.
    pub(crate) rank: f32,
    /// Holds the kind of thing asked for.
    pub(crate) kind: f32,
    /// Cosine of question and sentence.
    pub(crate) similarity: f32,
    /// How far that lies above the average of the compared sentences.
    pub(crate) standout: f32,
}

/// Ranks the sentences of `sources` as answers to `question`, best first.
pub(crate) fn rank(
    question: &str,
    sources: &[Source],
    embedder: &dyn Embedder,
    weights: &Weights,
) -> Result<Vec<Extract>> {
    let mut candidates = candidates(question, sources, weights);
    candidates.sort_by(|a, b| b.lexical.total_cmp(&a.lexical).then_with(|| a.place().cmp(&b.place())));
    candidates.truncate(EMBEDDED);
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let asked = embedder.embed(&[question], EmbedAs::Query)?;
    let texts: Vec<&str> = candidates.iter().map(|candidate| sources[candidate.source].text(candidate.span)).collect();
    let vectors = embedder.embed(&texts, EmbedAs::Passage)?;
    let similarities: Vec<f32> =
        vectors.iter().map(|vector| asked.first().map_or(0.0, |asked| cosine(asked, vector))).collect();
    let low = similarities.iter().copied().fold(f32::INFINITY, f32::min);
    let range = (similarities.iter().copied().fold(f32::NEG_INFINITY, f32::max) - low).max(0.05);
    let mean = similarities.iter().sum::<f32>() / similarities.len().max(1) as f32;
    let mut extracts: Vec<Extract> = candidates
        .iter()
        .zip(&similarities)
        .map(|(candidate, &similarity)| {
            let signals = Signals { similarity, standout: similarity - mean, ..candidate.signals };
            Extract {
                source: candidate.source,
                span: candidate.span,
                score: candidate.lexical + weights.similarity * (similarity - low) / range,
                confidence: signals.confidence(),
                signals,
            }
        })
        .collect();
    extracts.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.source.cmp(&b.source)).then(a.span.cmp(&b.span)));
    Ok(extracts)
}

/// Chooses what to quote: the best, and those nearly as good, in the order in which they stand.
pub(crate) fn choose(extracts: &[Extract], policy: &AnswerPolicy) -> Vec<Extract> {
    let Some(best) = extracts.first() else { return Vec::new() };
    let mut chosen: Vec<Extract> = extracts
        .iter()
        .filter(|extract| extract.score >= policy.extract_ratio * best.score)
        .take(policy.extract_limit)
        .copied()
        .collect();
    // Best passage first; within it, the order of the text.
    chosen.sort_by_key(|extract| (extract.source != best.source, extract.source, extract.span));
    chosen
}

struct Candidate {
    source: usize,
    span: Span,
    /// The sum of everything but similarity.
    lexical: f32,
    signals: Signals,
}

impl Candidate {
    fn place(&self) -> (usize, Span) {
        (self.source, self.span)
    }
}

impl Signals {
    /// How sure it is that the sources speak to the question, 0..=1.
    fn confidence(&self) -> f32 {
        0.25 * (self.sentence + self.passage) + 0.5 * ((self.similarity - 0.75) / 0.2).clamp(0.0, 1.0)
    }

    /// The weighted sum of everything but similarity.
    fn lexical(&self, weights: &Weights) -> f32 {
        weights.sentence * self.sentence
            + weights.neighbours * self.neighbours
            + weights.passage * self.passage
            + weights.rank * self.rank
            + weights.kind * self.kind
    }
}

/// One sentence, analysed.
struct Analysed {
    source: usize,
    span: Span,
    stems: HashSet<String>,
}

fn candidates(question: &str, sources: &[Source], weights: &Weights) -> Vec<Candidate> {
    let sentences: Vec<Analysed> = sources
        .iter()
        .enumerate()
        .flat_map(|(number, source)| {
            let running = source.sentences.iter().filter(|span| source.is_running_text(**span));
            running.map(move |&span| Analysed { source: number, span, stems: stems(source.text(span)) })
        })
        .collect();
    let wanted = weigh(question, &sentences);
    let asked = lexicon::asked(question);
    let question_stems = stems(question);
    let passages: Vec<(f32, f32)> = sources
        .iter()
        .map(|source| {
            let hit = &source.passage.hit;
            let stems = stems(&format!("{} {} {}", source.summary.title, hit.headings.join(" "), hit.text));
            (coverage(&wanted, &stems), heaviest_missing(&wanted, &stems))
        })
        .collect();
    let mut candidates = Vec::with_capacity(sentences.len());
    for (at, sentence) in sentences.iter().enumerate() {
        let text = sources[sentence.source].text(sentence.span);
        if !is_statement(text) {
            continue;
        }
        let own = coverage(&wanted, &sentence.stems);
        let beside = [at.checked_sub(1), Some(at + 1)]
            .into_iter()
            .filter_map(|index| index.and_then(|index| sentences.get(index)))
            .filter(|other| other.source == sentence.source)
            .map(|other| coverage(&wanted, &other.stems))
            .fold(0.0, f32::max);
        let (passage, missing) = passages[sentence.source];
        let signals = Signals {
            sentence: own,
            neighbours: beside,
            passage,
            missing,
            rank: 1.0 / (1.0 + sentence.source as f32),
            kind: f32::from(u8::from(holds(text, asked, &question_stems))),
            ..Signals::default()
        };
        let lexical = signals.lexical(weights);
        candidates.push(Candidate { source: sentence.source, span: sentence.span, lexical, signals });
    }
    candidates
}

fn stems(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| word.content).map(|word| word.stem).collect()
}

/// The question's content words with their inverse sentence frequency among the sources.
fn weigh(question: &str, sentences: &[Analysed]) -> HashMap<String, f32> {
    let total = sentences.len() as f32;
    stems(question)
        .into_iter()
        .map(|stem| {
            let with = sentences.iter().filter(|sentence| found(&stem, &sentence.stems) > 0.0).count() as f32;
            let weight = (1.0 + (total - with + 0.5) / (with + 0.5)).ln();
            (stem, weight)
        })
        .collect()
}

fn coverage(wanted: &HashMap<String, f32>, stems: &HashSet<String>) -> f32 {
    let total: f32 = wanted.values().sum();
    // Sorted, so that rounding does not depend on the order of a hash map.
    let mut parts: Vec<f32> = wanted.iter().map(|(stem, weight)| weight * found(stem, stems)).collect();
    parts.sort_by(f32::total_cmp);
    if total > 0.0 { parts.iter().sum::<f32>() / total } else { 0.0 }
}

/// The share of all weight that the heaviest word carries which is not there.
fn heaviest_missing(wanted: &HashMap<String, f32>, stems: &HashSet<String>) -> f32 {
    let mut weights: Vec<f32> = wanted.values().copied().collect();
    weights.sort_by(f32::total_cmp);
    let total: f32 = weights.iter().sum();
    let missing = wanted.iter().filter(|(stem, _)| found(stem, stems) == 0.0).map(|(_, weight)| *weight);
    if total > 0.0 { missing.fold(0.0, f32::max) / total } else { 1.0 }
}

/// Says whether a sentence states something: long enough, and no question itself.
fn is_statement(text: &str) -> bool {
    !text.trim_end().ends_with('?') && text.split_whitespace().count() >= 4
}

/// Says whether a sentence holds the kind of thing asked for, beyond what the question already says.
fn holds(text: &str, asked: Asked, question: &HashSet<String>) -> bool {
    let words = words(text);
    let new = || words.iter().filter(|word| !question.contains(&word.stem));
    let digit = |stem: &str| stem.starts_with(|c: char| c.is_ascii_digit());
    match asked {
        Asked::Quantity => new().any(|word| digit(&word.stem)) || words.iter().any(|word| is_numeral(text, word.start)),
        Asked::Time => new().any(|word| digit(&word.stem) && (word.stem.len() == 4 || word.stem.len() <= 2)),
        Asked::Person | Asked::Place => {
            words.windows(2).any(|pair| pair[1].capital && pair[1].content && !question.contains(&pair[1].stem))
        }
        Asked::Reason => {
            let lower = format!(" {} ", text.to_lowercase());
            [
                " weil ",
                " da ",
                " damit ",
                " wegen ",
                " aufgrund ",
                " um ",
                " deshalb ",
                " parce ",
                " car ",
                " afin ",
                " pour ",
                " en raison ",
                " perché ",
                " poiché ",
                " per ",
                " a causa ",
                " because ",
                " since ",
                " due to ",
                " to ",
            ]
            .iter()
            .any(|cue| lower.contains(cue))
        }
        Asked::Other => false,
    }
}

fn is_numeral(text: &str, start: usize) -> bool {
    let word = text[start..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    lexicon::numeral(&word.to_lowercase()).is_some()
}
