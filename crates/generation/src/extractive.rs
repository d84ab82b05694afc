//! The extractive method: the sentences of the sources that answer the question, word for word.
//!
//! It needs no generator, answers in milliseconds, and cannot invent anything: what it says is quoted. Every
//! sentence gets [`crate::signals`], and [`crate::estimate`] makes of them the probability that it holds the
//! answer. The best is quoted; when even that one is unlikely, the sources do not say.

use fontes_core::{Embedder, Finding, Language, Reader, Reading, Result, Span, seam::EmbedAs};

use crate::{
    AnswerPolicy,
    estimate::Estimate,
    pointing::Pointing,
    signals::{Candidate, Signals, add_findings, candidates},
    source::Source,
    verify::cosine,
};

/// Only this many sentences, the best by words, are read for the answer.
const READ: usize = 24;

/// Only this many sentences, the best so far, are compared by similarity: embedding is what costs.
const EMBEDDED: usize = 12;

/// What sentences are weighed with.
#[derive(Clone, Copy)]
pub(crate) struct Scales<'a> {
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) reader: Option<&'a dyn Reader>,
    pub(crate) estimate: &'a Estimate,
}

/// A sentence of a source and how likely it is to hold the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extract {
    /// Index of the source.
    pub(crate) source: usize,
    /// Index of the sentence in the source.
    pub(crate) sentence: usize,
    /// The sentence in the stored text.
    pub(crate) span: Span,
    /// Where in it the answer stands, in the stored text, when a reader could tell.
    pub(crate) answer: Option<Span>,
    /// It is a row of a table: it says nothing of the rows beside it.
    pub(crate) is_row: bool,
    /// The sentence beside it that names what the question names and it does not.
    pub(crate) named_by: Option<Span>,
    /// The sentence after it that makes an exception from it.
    pub(crate) limited_by: Option<Span>,
    /// The probability that it holds the answer.
    pub(crate) probability: f32,
    /// What that rests on.
    pub(crate) signals: Signals,
}

/// Ranks the sentences of `sources` as answers to `question`, best first.
pub(crate) fn rank(
    question: &str,
    language: Language,
    sources: &[Source],
    Scales { embedder, reader, estimate }: Scales<'_>,
) -> Result<Vec<Extract>> {
    let mut candidates = candidates(question, language, sources);
    if let Some(reader) = reader {
        best_first(&mut candidates, READ);
        candidates.sort_by_key(|candidate| (candidate.source, candidate.span));
        let findings = findings(question, sources, &candidates, reader)?;
        add_findings(&mut candidates, &findings);
    }
    best_first(&mut candidates, EMBEDDED);
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<&str> = candidates.iter().map(|candidate| sources[candidate.source].text(candidate.span)).collect();
    let asked = embedder.embed(&[question], EmbedAs::Query)?;
    let vectors = embedder.embed(&texts, EmbedAs::Passage)?;
    let cosines: Vec<f32> =
        vectors.iter().map(|vector| asked.first().map_or(0.0, |asked| cosine(asked, vector))).collect();
    let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
    let pointing = Pointing::of(question, language);
    let extract = |(candidate, cosine): (&Candidate, &f32)| {
        let signals = candidate.signals.with_similarity(*cosine, mean);
        let Candidate { source, sentence, span, is_row, named_by, limited_by, .. } = *candidate;
        let answer = pointing.at(&sources[source], span, candidate.answer);
        let probability = estimate.probability(&signals);
        Extract { source, sentence, span, answer, is_row, named_by, limited_by, probability, signals }
    };
    let mut extracts: Vec<Extract> = candidates.iter().zip(&cosines).map(extract).collect();
    extracts.sort_by(|a, b| {
        b.probability.total_cmp(&a.probability).then(a.source.cmp(&b.source)).then(a.span.cmp(&b.span))
    });
    Ok(extracts)
}

/// Keeps the best candidates at first sight, best first.
fn best_first(candidates: &mut Vec<Candidate>, most: usize) {
    let place = |candidate: &Candidate| (candidate.source, candidate.span);
    candidates
        .sort_by(|a, b| b.signals.at_first().total_cmp(&a.signals.at_first()).then_with(|| place(a).cmp(&place(b))));
    candidates.truncate(most);
}

/// What a reader finds in each candidate, in the stored text; candidates are in the order of the sources.
fn findings(
    question: &str,
    sources: &[Source],
    candidates: &[Candidate],
    reader: &dyn Reader,
) -> Result<Vec<Option<Finding>>> {
    let parts: Vec<Vec<Span>> = sources
        .iter()
        .enumerate()
        .map(|(number, source)| {
            let begin = source.passage.hit.span.start;
            let own = candidates.iter().filter(|candidate| candidate.source == number);
            own.map(|candidate| Span::new(candidate.span.start - begin, candidate.span.end - begin)).collect()
        })
        .collect();
    let texts: Vec<Reading<'_>> =
        sources.iter().zip(&parts).map(|(source, parts)| Reading { text: &source.passage.hit.text, parts }).collect();
    let found = reader.read(question, &texts)?;
    let placed = |(source, findings): (&Source, Vec<Option<Finding>>)| {
        let begin = source.passage.hit.span.start;
        let moved =
            move |Finding { span, score }| Finding { span: Span::new(span.start + begin, span.end + begin), score };
        findings.into_iter().map(move |finding| finding.map(moved)).collect::<Vec<_>>()
    };
    Ok(sources.iter().zip(found).flat_map(placed).collect())
}

/// Chooses what to quote, best place first: the best sentence, joined with the better of its neighbours when that
/// is likely too, and other places only when they are nearly as good. Two sentences that follow each other are one
/// quote: a reader sees them at a glance, and the answer often stands in the second.
pub(crate) fn choose(extracts: &[Extract], policy: &AnswerPolicy) -> Vec<Extract> {
    let Some(best) = extracts.first() else { return Vec::new() };
    let mut chosen: Vec<Extract> = Vec::new();
    for extract in extracts {
        if chosen.len() == policy.quote_limit || extract.probability < policy.quote_ratio * best.probability {
            break;
        }
        if !chosen.iter().any(|place| place.source == extract.source && place.span.overlaps(&extract.span)) {
            chosen.push(with_neighbour(extract, extracts, policy));
        }
    }
    chosen
}

/// The extract, joined with the likelier of the sentences before and after, if that is likely enough, or with the one that names
/// what is asked for: it may be the one that denies it. An exception from it is quoted with it.
fn with_neighbour(extract: &Extract, extracts: &[Extract], policy: &AnswerPolicy) -> Extract {
    let beside = |other: &&Extract| {
        other.source == extract.source
            && !(other.is_row || extract.is_row)
            && other.sentence.abs_diff(extract.sentence) == 1
            && other.probability >= policy.neighbour_ratio * extract.probability
    };
    // They come best first.
    let likely = extracts.iter().find(beside).map(|other| other.span);
    let named = extract.named_by.filter(|_| !extract.is_row);
    let span = [likely.or(named), extract.limited_by]
        .into_iter()
        .flatten()
        .fold(extract.span, |span, other| span.cover(&other));
    Extract { span, ..*extract }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(source: usize, sentence: usize, probability: f32) -> Extract {
        let span = Span::new(100 * sentence, 100 * sentence + 90);
        let signals = Signals::default();
        Extract {
            source,
            sentence,
            span,
            answer: None,
            is_row: false,
            named_by: None,
            limited_by: None,
            probability,
            signals,
        }
    }

    fn chosen(extracts: &[Extract]) -> Vec<(usize, Span)> {
        let policy = AnswerPolicy { quote_limit: 2, quote_ratio: 0.9, neighbour_ratio: 0.4, ..AnswerPolicy::default() };
        choose(extracts, &policy).iter().map(|extract| (extract.source, extract.span)).collect()
    }

    #[test]
    fn a_likely_neighbour_joins_the_best() {
        assert_eq!(chosen(&[extract(0, 2, 0.8), extract(0, 3, 0.4)]), [(0, Span::new(200, 390))]);
        assert_eq!(chosen(&[extract(0, 2, 0.8), extract(0, 3, 0.4), extract(0, 1, 0.35)]), [(0, Span::new(200, 390))]);
        assert_eq!(chosen(&[extract(0, 2, 0.8), extract(0, 3, 0.3)]), [(0, Span::new(200, 290))]);
        assert_eq!(chosen(&[extract(0, 2, 0.8), extract(0, 4, 0.6), extract(1, 3, 0.6)]), [(0, Span::new(200, 290))]);
    }

    #[test]
    fn an_exception_is_quoted_with_its_rule() {
        let limited = Extract { limited_by: Some(Span::new(400, 490)), ..extract(0, 2, 0.8) };
        assert_eq!(chosen(&[limited]), [(0, Span::new(200, 490))]);
        assert_eq!(chosen(&[limited, extract(0, 1, 0.4)]), [(0, Span::new(100, 490))], "beside the likely neighbour");
    }

    #[test]
    fn another_place_must_be_nearly_as_good() {
        let two = [(1, Span::new(200, 290)), (0, Span::new(0, 90))];
        assert_eq!(chosen(&[extract(1, 2, 0.8), extract(0, 0, 0.75), extract(2, 5, 0.74)]), two);
        assert_eq!(chosen(&[extract(1, 2, 0.8), extract(0, 0, 0.6)]), two[..1]);
        assert_eq!(chosen(&[extract(1, 2, 0.8), extract(1, 3, 0.79)]), [(1, Span::new(200, 390))]);
        assert!(chosen(&[]).is_empty());
    }
}
