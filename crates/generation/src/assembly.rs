//! Assembly: generated text comes in pieces, checked sentences with citations come out.

use std::collections::HashSet;

use fontes_core::{Cancel, Citation, Inference, Judge, Language, Result, Sentence, Span, Support};

use crate::{
    AnswerPolicy, Unsupported,
    clean::for_header,
    lexicon,
    marker::{Marked, Markers, take_markers, write_markers},
    plain::plain,
    prompt::{TITLE_CHARS, Template},
    sentence::{Lines, sentences},
    source::Source,
    verify::{Claim, Evidence, Verifier},
};

/// A sentence that came this often is a loop, and nothing after it is worth waiting for.
const REPEATS: usize = 2;

/// After this many sentences beside the question, a model that copies its sources one after the other is stopped.
const STRAYS: usize = 2;

/// What carries a sentence by so much less than another source is no source of it.
const MUCH_LESS: f32 = 0.25;

/// A sentence of a source that is likely to hold the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Likely {
    /// Marker of the source.
    pub(crate) marker: u32,
    /// The sentence in the stored text.
    pub(crate) span: Span,
}

impl Likely {
    fn is_cited_by(&self, citation: &Citation) -> bool {
        citation.marker == self.marker && citation.span.overlaps(&self.span)
    }
}

/// A sentence of the answer and how it was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// The sentence.
    pub(crate) sentence: Sentence,
    /// Where it stands in the generated text.
    pub(crate) place: Span,
    bullet: bool,
    own_line: bool,
}

/// The answer so far.
pub(crate) struct Assembly<'a> {
    sources: &'a [Source],
    likely: &'a [Likely],
    template: &'a Template,
    policy: &'a AnswerPolicy,
    language: Language,
    verifier: Verifier<'a>,
    markers: Markers,
    raw: String,
    done: usize,
    drafted: String,
    seen: HashSet<String>,
    repeats: usize,
    strays: usize,
    /// The sentences so far.
    pub(crate) written: Vec<Written>,
    /// Sentences left out because no source carries them or because they are beside the question.
    pub(crate) dropped: usize,
    /// The model said that the sources do not say.
    pub(crate) gave_up: bool,
    /// What it wrote is carried by the sources, but by nothing that is likely to hold the answer.
    pub(crate) astray: bool,
}

impl<'a> Assembly<'a> {
    /// Begins an answer in `language` from `sources`, which are likely to hold it at `likely`.
    pub(crate) fn new(
        sources: &'a [Source],
        likely: &'a [Likely],
        template: &'a Template,
        policy: &'a AnswerPolicy,
        language: Language,
        verifier: Verifier<'a>,
    ) -> Self {
        Self {
            sources,
            likely,
            template,
            policy,
            language,
            verifier,
            markers: sources.iter().map(Source::marker).collect(),
            raw: String::new(),
            done: 0,
            drafted: String::new(),
            seen: HashSet::new(),
            repeats: 0,
            strays: 0,
            written: Vec::new(),
            dropped: 0,
            gave_up: false,
            astray: false,
        }
    }

    /// Takes a piece of generated text and checks the sentences that it completes.
    pub(crate) fn push(&mut self, piece: &str) -> Result<()> {
        self.raw.push_str(piece);
        let rest = self.raw[self.done..].to_owned();
        let spans = sentences(&rest, Lines::Meant);
        // The last one may go on, and a bracket after a full stop may still become its marker.
        let opening = spans.last().is_some_and(|last| last.of(&rest).is_some_and(|text| text.starts_with('[')));
        let complete = spans.len().saturating_sub(if opening { 2 } else { 1 });
        for span in &spans[..complete] {
            self.sentence(&rest, *span)?;
        }
        if let Some(last) = complete.checked_sub(1) {
            self.done += spans[last].end;
        }
        Ok(())
    }

    /// Checks what is left.
    pub(crate) fn finish(&mut self, cut: bool) -> Result<()> {
        if !cut {
            let rest = self.raw.split_off(self.done);
            for span in sentences(&rest, Lines::Meant) {
                self.sentence(&rest, span)?;
            }
        }
        Ok(())
    }

    /// Lets `judge` have the last word on sentences that are not in their sources word for word. Nobody is asked when nobody waits any
    /// more; then they are not carried.
    pub(crate) fn judge(
        &mut self,
        judge: &dyn Judge,
        (question, language): (&str, Language),
        cancel: &Cancel,
    ) -> Result<()> {
        for mut written in std::mem::take(&mut self.written) {
            if written.sentence.support == Support::Supported {
                let text = self.cited(&written.sentence.citations);
                let inference = Inference { question, language, statement: &written.sentence.text, text: &text };
                let probability = match judge.entails(&inference, cancel) {
                    Err(_) if cancel.is_cancelled() => 0.0,
                    judged => judged?,
                };
                if probability.is_nan() || probability < self.policy.judgement {
                    written.sentence.support = Support::Unsupported;
                    written.sentence.citations.clear();
                }
            }
            if self.is_dropped(&written.sentence) {
                self.dropped += 1;
            } else {
                self.written.push(written);
            }
        }
        Ok(())
    }

    /// Drops everything when none of it rests on a sentence that is likely to hold the answer: what is carried by the sources but
    /// answers something else is worse than a quote.
    pub(crate) fn anchor(&mut self) {
        if !self.written.is_empty() && !self.is_anchored() {
            self.astray = true;
            self.dropped += self.written.len();
            self.written.clear();
        }
    }

    /// The sentences that will stay whatever follows.
    pub(crate) fn settled(&self) -> &[Written] {
        if self.is_anchored() { &self.written } else { &[] }
    }

    /// The text so far, markers included.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for Written { sentence, bullet, own_line, .. } in &self.written {
            if !text.is_empty() {
                text.push(if *own_line { '\n' } else { ' ' });
            }
            if *bullet {
                text.push_str("- ");
            }
            text.push_str(&sentence.text);
            if sentence.support == Support::Unsupported {
                text.push_str(&format!(" ({})", self.template.unsupported()));
            }
            let markers = write_markers(sentence.citations.iter().map(|citation| citation.marker));
            if !markers.is_empty() {
                text.push(' ');
                text.push_str(&markers);
            }
        }
        text
    }

    /// What is cited, each after its document's title and heading.
    fn cited(&self, citations: &[Citation]) -> String {
        let told = |citation: &Citation| {
            let source = self.sources.iter().find(|source| source.marker() == citation.marker);
            let place = source.map(|source| for_header(&source.heading_of(citation.span), TITLE_CHARS));
            format!("{}: {}", place.unwrap_or_default(), citation.quote)
        };
        citations.iter().map(told).collect::<Vec<_>>().join("\n")
    }

    fn is_dropped(&self, sentence: &Sentence) -> bool {
        sentence.support == Support::Unsupported && self.policy.unsupported == Unsupported::Drop
    }

    /// Says whether some sentence rests on one that is likely to hold the answer. Not asked where nothing is left out, or where
    /// no such sentence was given.
    fn is_anchored(&self) -> bool {
        let cited = |likely: &Likely| self.citations().any(|citation| likely.is_cited_by(citation));
        let asked = self.policy.verify && self.policy.unsupported == Unsupported::Drop && !self.likely.is_empty();
        !asked || self.likely.iter().any(cited)
    }

    /// Says whether more text cannot add anything.
    pub(crate) fn is_over(&self) -> bool {
        self.gave_up
            || self.repeats >= REPEATS
            || self.strays >= STRAYS
            || self.written.len() >= self.policy.sentence_limit
    }

    /// The next piece of the unchecked text, cleaned, for showing that something happens. Whole words only.
    pub(crate) fn draft(&mut self) -> Option<String> {
        let end = self.raw.rfind(char::is_whitespace)?;
        // A bracket still open may become a marker, which a draft does not show.
        let open = self.raw[..end].rfind('[').filter(|&open| !self.raw[open..end].contains(']'));
        let clean = reduce(&self.raw[..open.unwrap_or(end)], &self.markers).text;
        let piece = clean.strip_prefix(self.drafted.as_str()).filter(|piece| !piece.is_empty())?.to_owned();
        self.drafted = clean;
        Some(piece)
    }

    fn sentence(&mut self, rest: &str, span: Span) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let marked = reduce(span.of(rest).unwrap_or_default(), &self.markers);
        let bullet = marked.text.starts_with("- ");
        let text = marked.text.trim_start_matches(['-', '•', ' ']).trim().to_owned();
        // Small models repeat the question; it states nothing.
        let states = text.chars().any(char::is_alphanumeric) && !text.ends_with('?');
        if !states || lexicon::is_commentary(&text) {
            return Ok(());
        }
        let key = letters(&text);
        if key.contains(&letters(self.template.abstention())) {
            self.gave_up = self.written.is_empty();
            return Ok(());
        }
        if !self.seen.insert(key) {
            self.repeats += 1;
            return Ok(());
        }
        let sentence = self.check(text, &marked.markers)?;
        let own_line = bullet || rest[..span.start].trim_end_matches(' ').ends_with('\n');
        if self.is_dropped(&sentence) {
            self.dropped += 1;
            return Ok(());
        }
        if self.strays_from_question(&sentence) {
            self.strays += 1;
            self.dropped += 1;
            return Ok(());
        }
        let place = Span::new(self.done + span.start, self.done + span.end);
        self.written.push(Written { sentence, place, bullet, own_line });
        Ok(())
    }

    /// Says whether a further sentence speaks of something else: it is carried, but by sources that nothing before it rests
    /// on and that do not hold the answer.
    fn strays_from_question(&self, sentence: &Sentence) -> bool {
        let used = |marker: u32| self.citations().any(|citation| citation.marker == marker);
        self.policy.verify
            && !self.written.is_empty()
            && !sentence.citations.is_empty()
            && !sentence.citations.iter().any(|citation| {
                used(citation.marker) || self.likely.iter().any(|likely| likely.marker == citation.marker)
            })
    }

    /// What the sentences so far cite.
    fn citations(&self) -> impl Iterator<Item = &Citation> {
        self.written.iter().flat_map(|written| &written.sentence.citations)
    }

    /// Finds what carries the sentence: first among the passages it names, then among all.
    fn check(&mut self, text: String, named: &[u32]) -> Result<Sentence> {
        let mut claim = Claim::new(&text, self.language);
        let sources = self.sources;
        if !self.policy.verify {
            let cited = sources.iter().filter(|source| named.contains(&source.marker()));
            let citations = cited.map(|source| source.cite(self.verifier.closest(&claim, source))).collect();
            return Ok(Sentence { text, citations, support: Support::Unchecked, attention: Vec::new() });
        }
        let mut carrying: Vec<(&Source, Evidence)> = Vec::new();
        for marker in named {
            if let Some(source) = sources.iter().find(|source| source.marker() == *marker)
                && let Some(evidence) = self.verifier.evidence(&mut claim, source)?
            {
                carrying.push((source, evidence));
            }
        }
        // Small models name every passage they were given.
        let best = carrying.iter().map(|(_, evidence)| evidence.score).fold(0.0, f32::max);
        carrying.retain(|(_, evidence)| evidence.score + MUCH_LESS >= best);
        let mut citations: Vec<Citation> =
            carrying.into_iter().map(|(source, evidence)| source.cite(evidence.span)).collect();
        if citations.is_empty() {
            let mut best: Option<(&Source, Evidence)> = None;
            for source in sources {
                if let Some(evidence) = self.verifier.evidence(&mut claim, source)?
                    && best.is_none_or(|(_, best)| evidence.score > best.score)
                {
                    best = Some((source, evidence));
                }
            }
            citations.extend(best.map(|(source, evidence)| source.cite(evidence.span)));
        }
        let support = match citations.first() {
            None => Support::Unsupported,
            Some(first) if one_line(&first.quote).contains(&one_line(&text)) => Support::Verbatim,
            Some(_) => Support::Supported,
        };
        Ok(Sentence { text, citations, support, attention: Vec::new() })
    }
}

/// Reduces text to plain text and takes its markers out, until neither finds anything more: a marker may have
/// stood between the halves of an address.
pub(crate) fn reduce(text: &str, known: &Markers) -> Marked {
    let mut marked = take_markers(&plain(text), known);
    loop {
        let again = take_markers(&plain(&marked.text), known);
        if again.text == marked.text {
            return marked;
        }
        let new: Vec<u32> = again.markers.into_iter().filter(|marker| !marked.markers.contains(marker)).collect();
        marked.markers.extend(new);
        marked.text = again.text;
    }
}

/// Lowercased letters and digits, for telling whether two sentences are the same.
pub(crate) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The text with every run of white space as one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
