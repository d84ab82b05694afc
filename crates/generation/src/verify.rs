//! Verification: does the cited span carry the sentence? Cheapest check first, and facts before similarity.

use std::collections::{HashMap, HashSet};

use fontes_core::{Embedder, Language, Result, Span, seam::EmbedAs};

use crate::{
    AnswerPolicy,
    facts::Facts,
    source::Source,
    words::{containment, content_stems, found},
};

/// Widest evidence, in sentences. More is no longer a place that a reader can check at a glance.
const WIDEST: usize = 4;

/// What a further sentence of evidence must add to be worth reading.
const WIDTH_COST: f32 = 0.04;

/// The span that carries a sentence best, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// Span of the stored text.
    pub(crate) span: Span,
    /// Goodness, only for comparing evidence for the same sentence.
    pub(crate) score: f32,
}

/// Checks sentences of one answer; embeds each sentence of a source at most once.
pub(crate) struct Verifier<'a> {
    embedder: &'a dyn Embedder,
    policy: &'a AnswerPolicy,
    /// Facts and content stems of the question: what a sentence repeats of them proves nothing and needs no proof
    /// beyond standing in the passage.
    asked: (Facts, HashSet<String>),
    embedded: HashMap<(u32, Span), Vec<f32>>,
    /// Runs of sentences per marker, analysed once.
    prepared: HashMap<u32, Prepared>,
}

/// A sentence to be checked.
pub(crate) struct Claim {
    text: String,
    facts: Facts,
    stems: HashSet<String>,
    language: Language,
    vector: Option<Vec<f32>>,
}

impl Claim {
    /// Reads the facts of a sentence without markers, written in the language of the answer.
    pub(crate) fn new(text: &str, language: Language) -> Self {
        Self {
            text: text.to_owned(),
            facts: Facts::of(text, language),
            stems: content_stems(text),
            language,
            vector: None,
        }
    }
}

impl<'a> Verifier<'a> {
    /// Checks sentences of one answer to `question`.
    pub(crate) fn new(
        question: &str,
        language: Language,
        embedder: &'a dyn Embedder,
        policy: &'a AnswerPolicy,
    ) -> Self {
        let asked = (Facts::of(question, language), content_stems(question));
        Self { embedder, policy, asked, embedded: HashMap::new(), prepared: HashMap::new() }
    }

    /// The smallest span of `source` that carries `claim` best, or `None` when none does.
    pub(crate) fn evidence(&mut self, claim: &mut Claim, source: &Source) -> Result<Option<Evidence>> {
        let mut windows = self.windows(claim, source);
        windows.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.span.start.cmp(&b.span.start)));
        if let Some(best) = windows.iter().find(|window| window.containment >= self.policy.containment) {
            return Ok(Some(Evidence { span: best.span, score: best.score }));
        }
        let across = claim.language != source.language() && source.language() != Language::Undetermined;
        let (floor, wanted) = if across {
            (0.0, self.policy.similarity_across)
        } else {
            (self.policy.containment_floor, self.policy.similarity)
        };
        let mut best: Option<Evidence> = None;
        // A sentence that is similar and another that has the figures do not carry a claim together.
        for window in windows.iter().filter(|window| window.containment >= floor && (across || window.count == 1)) {
            let similarity = self.similarity(claim, source, window)?;
            let score = similarity - WIDTH_COST * (window.count - 1) as f32;
            if similarity >= wanted && best.is_none_or(|best| score > best.score) {
                best = Some(Evidence { span: window.span, score });
            }
        }
        Ok(best)
    }

    /// The span to show for a sentence that is not checked: the most similar words.
    pub(crate) fn closest(&mut self, claim: &Claim, source: &Source) -> Span {
        let stems = |span: Span| content_stems(source.text(span));
        let score = |span: &&Span| containment(&claim.stems, &stems(**span)).unwrap_or(0.0);
        source
            .sentences
            .iter()
            .max_by(|a, b| score(a).total_cmp(&score(b)).then(b.start.cmp(&a.start)))
            .copied()
            .unwrap_or(source.passage.hit.span)
    }

    /// Every run of at most [`WIDEST`] sentences whose facts agree with the claim's.
    fn windows(&mut self, claim: &Claim, source: &Source) -> Vec<Window> {
        let asked = &self.asked;
        let prepared = self.prepared.entry(source.marker()).or_insert_with(|| Prepared::of(source, asked));
        let agreeing = prepared
            .runs
            .iter()
            .filter(|run| claim.facts.carried_by(&run.facts, &source.facts, &prepared.frame).is_ok());
        agreeing
            .filter_map(|run| {
                let Run { first, count, span, .. } = *run;
                let own = containment(&claim.stems, &run.stems)?;
                let echoed = claim.stems.iter().filter(|stem| prepared.echo.contains(*stem)).cloned();
                let with_echo = containment(&claim.stems, &run.stems.iter().cloned().chain(echoed).collect())?;
                let containment = if own >= self.policy.containment_floor { with_echo } else { own };
                Some(Window { first, count, span, containment, score: own - WIDTH_COST * (count - 1) as f32 })
            })
            .collect()
    }

    /// The similarity of the claim to the most similar sentence of the window.
    fn similarity(&mut self, claim: &mut Claim, source: &Source, window: &Window) -> Result<f32> {
        if claim.vector.is_none() {
            claim.vector = self.embedder.embed(&[&claim.text], EmbedAs::Query)?.pop();
        }
        let Some(vector) = &claim.vector else { return Ok(0.0) };
        let spans = &source.sentences[window.first..window.first + window.count];
        let key = |span: &Span| (source.marker(), *span);
        let missing: Vec<Span> = spans.iter().filter(|span| !self.embedded.contains_key(&key(span))).copied().collect();
        if !missing.is_empty() {
            let texts: Vec<&str> = missing.iter().map(|span| source.text(*span)).collect();
            let vectors = self.embedder.embed(&texts, EmbedAs::Query)?;
            self.embedded.extend(missing.iter().map(key).zip(vectors));
        }
        Ok(spans
            .iter()
            .filter_map(|span| self.embedded.get(&key(span)))
            .map(|other| cosine(vector, other))
            .fold(0.0, f32::max))
    }
}

/// A source, analysed for one question.
struct Prepared {
    runs: Vec<Run>,
    /// Content stems of the question that stand in the passage, its title or headings.
    echo: HashSet<String>,
    /// Facts of title and headings, and the numbers that question and passage share.
    frame: Facts,
}

/// A run of sentences of a source, analysed.
struct Run {
    first: usize,
    count: usize,
    span: Span,
    facts: Facts,
    stems: HashSet<String>,
}

impl Prepared {
    fn of(source: &Source, (asked, stems): &(Facts, HashSet<String>)) -> Self {
        let hit = &source.passage.hit;
        let whole = content_stems(&format!("{} {} {}", source.summary.title, hit.headings.join(" "), hit.text));
        let echo = stems.iter().filter(|stem| found(stem, &whole) > 0.0).cloned().collect();
        let total = source.sentences.len();
        let runs = (0..total).flat_map(|first| (1..=WIDEST.min(total - first)).map(move |count| (first, count)));
        let run = |(first, count): (usize, usize)| {
            let span = source.sentences[first].cover(&source.sentences[first + count - 1]);
            let text = source.text(span);
            Run { first, count, span, facts: Facts::of(text, source.language()), stems: content_stems(text) }
        };
        Self { runs: runs.map(run).collect(), echo, frame: source.frame.with_echo(asked, &source.facts) }
    }
}

/// A run of sentences and how it fits a claim.
struct Window {
    first: usize,
    count: usize,
    span: Span,
    containment: f32,
    score: f32,
}

/// The dot product, which is the cosine of vectors of unit length.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
