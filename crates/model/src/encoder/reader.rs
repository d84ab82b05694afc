//! Where in a text the answer to a question stands: question and text are read together, every token says how
//! likely the answer begins and ends there, and the first token says how likely there is none (Devlin et al. 2018,
//! section 4.3).
//!
//! Only the parts that are asked about are read, in windows, each with a little of the text around them, so that what a
//! pronoun stands for is seen.

use std::ops::Range;

use fontes_core::{
    ModelIdentity, Result, Span,
    seam::{Finding, Reader, Reading},
};

use super::{
    EncoderError,
    adapter::Ends,
    batch,
    network::{Network, Packed},
    tokenize::{TextTokenizer, Tokens},
};

/// Most tokens of a question.
const QUESTION: usize = 96;

/// Most tokens of a window: what the reader was trained on. Attention makes long windows dear, too.
const WINDOW: usize = 320;

/// Tokens shown before and after the parts of a window: a sentence.
const CONTEXT: usize = 40;

/// Most tokens read for one question: two dozen sentences and what stands around them.
const BUDGET: usize = 2_048;

/// Longest answer in tokens; as in training.
const ANSWER: usize = 30;

/// An encoder that finds answers.
#[derive(Debug)]
pub struct EncoderReader {
    pub(super) identity: ModelIdentity,
    pub(super) network: Network,
    pub(super) ends: Ends,
    pub(super) tokenizer: TextTokenizer,
    pub(super) tokens_per_batch: usize,
}

/// Consecutive parts of a text, as one input.
#[derive(Debug)]
struct Window {
    text: usize,
    tokens: Range<usize>,
    parts: Range<usize>,
}

/// A text cut into tokens, and the tokens of each part.
struct Cut {
    ids: Vec<u32>,
    bytes: Vec<Range<usize>>,
    parts: Vec<Range<usize>>,
}

impl EncoderReader {
    fn read_all(&self, question: &str, texts: &[Reading<'_>]) -> Result<Vec<Vec<Option<Finding>>>, EncoderError> {
        let frame = self.tokenizer.first_of_pair(question, QUESTION.min(self.tokenizer.max_tokens() / 3))?;
        let room = WINDOW.min(self.tokenizer.max_tokens().saturating_sub(frame.ids.len())).max(1);
        let cuts = texts.iter().map(|reading| self.cut(reading)).collect::<Result<Vec<_>, _>>()?;
        let mut spent = 0;
        let windows: Vec<Window> = cuts
            .iter()
            .enumerate()
            .flat_map(|(text, cut)| {
                windows(&cut.parts, cut.ids.len(), room).into_iter().map(move |(tokens, parts)| Window {
                    text,
                    tokens,
                    parts,
                })
            })
            .take_while(|window| {
                let first = spent == 0;
                spent += window.tokens.len() + frame.ids.len();
                first || spent <= BUDGET
            })
            .collect();
        let inputs: Vec<Tokens> =
            windows.iter().map(|window| framed(&frame, &cuts[window.text].ids[window.tokens.clone()])).collect();
        let before = frame.ids.len() - 1;
        let mut findings: Vec<Vec<Option<Finding>>> =
            texts.iter().map(|reading| vec![None; reading.parts.len()]).collect();
        for (window, ends) in windows.iter().zip(self.ends(&inputs)?) {
            let cut = &cuts[window.text];
            let none: f32 = ends.first().map_or(0.0, |[start, end]| start + end);
            for part in window.parts.clone() {
                let range = &cut.parts[part];
                let inside = range.start.max(window.tokens.start)..range.end.min(window.tokens.end);
                let at = |token: usize| token - window.tokens.start + before;
                if inside.is_empty() {
                    continue;
                }
                let Some((score, answer)) = best(&ends[at(inside.start)..at(inside.end)]) else { continue };
                let (first, last) = (inside.start + answer.start, inside.start + answer.end - 1);
                let span = Span::new(cut.bytes[first].start, cut.bytes[last].end.max(cut.bytes[first].start));
                let found = &mut findings[window.text][part];
                if found.is_none_or(|found| score - none > found.score) {
                    *found = Some(Finding { span, score: score - none });
                }
            }
        }
        Ok(findings)
    }

    fn cut(&self, reading: &Reading<'_>) -> Result<Cut, EncoderError> {
        let text = if reading.parts.is_empty() { "" } else { reading.text };
        let (ids, bytes) = self.tokenizer.plain(text)?;
        let token_at = |byte: usize| bytes.partition_point(|token| token.start < byte);
        let parts = reading.parts.iter().map(|part| token_at(part.start)..token_at(part.end)).collect();
        Ok(Cut { ids, bytes, parts })
    }

    /// For every token of every input how much speaks for an answer beginning and ending there.
    fn ends(&self, inputs: &[Tokens]) -> Result<Vec<Vec<[f32; 2]>>, EncoderError> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let hidden = self.network.config().hidden;
        batch::run(self.network.machine(), &lengths, self.tokens_per_batch, |pool, batch| {
            let mut packed = Packed::default();
            batch.iter().for_each(|&index| packed.push(&inputs[index].ids, &inputs[index].types));
            let states = self.network.forward(pool, &packed)?;
            let ends = |sequence: &Range<usize>| {
                let rows = states[sequence.start * hidden..sequence.end * hidden].chunks_exact(hidden);
                let ends: Vec<[f32; 2]> = rows.map(|vector| self.ends.of(vector)).collect();
                let sound = ends.iter().flatten().all(|value| value.is_finite());
                if sound { Ok(ends) } else { Err(EncoderError::NotANumber) }
            };
            packed.sequences.iter().map(ends).collect()
        })
    }
}

impl Reader for EncoderReader {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn read(&self, question: &str, texts: &[Reading<'_>]) -> Result<Vec<Vec<Option<Finding>>>> {
        Ok(self.read_all(question, texts)?)
    }
}

/// Puts the tokens of a text where the frame has room for them: before its last token.
fn framed(frame: &Tokens, ids: &[u32]) -> Tokens {
    let at = frame.ids.len() - 1;
    let kind = frame.types[at];
    let mut tokens = frame.clone();
    tokens.ids.splice(at..at, ids.iter().copied());
    tokens.types.splice(at..at, ids.iter().map(|_| kind));
    tokens
}

/// Puts parts, given as ranges of a text's `total` tokens, into windows of at most `room` tokens: the tokens of each and its
/// parts. A window goes on while little lies between its parts, and shows a little of what stands before and after them.
fn windows(parts: &[Range<usize>], total: usize, room: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let around = CONTEXT.min(room / 4);
    let mut windows: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        match windows.last_mut() {
            Some((tokens, parts)) if part.end + around <= tokens.start + room && part.start <= tokens.end + around => {
                tokens.end = part.end;
                parts.end = number + 1;
            }
            _ => {
                let start = part.start.saturating_sub(around);
                windows.push((start..part.end.min(start + room), number..number + 1));
            }
        }
    }
    for (tokens, _) in &mut windows {
        tokens.end = (tokens.end + around).min(tokens.start + room).min(total);
    }
    windows
}

/// The best answer among tokens of one part, and its score; none when there are no tokens.
fn best(ends: &[[f32; 2]]) -> Option<(f32, Range<usize>)> {
    let mut best: Option<(f32, Range<usize>)> = None;
    for (first, [start, _]) in ends.iter().enumerate() {
        for (length, [_, end]) in ends[first..].iter().take(ANSWER).enumerate() {
            let score = start + end;
            if best.as_ref().is_none_or(|(best, _)| score > *best) {
                best = Some((score, first..first + length + 1));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_whole_parts_with_a_little_around_them() {
        let parts = [0..40, 40..90, 90..150, 150..160, 160..400];
        let cut = [(0..65, 0..1), (15..115, 1..2), (65..165, 2..3), (125..185, 3..4), (135..235, 4..5)];
        assert_eq!(windows(&parts, 400, 100), cut, "a part that is longer than a window is cut");
        let apart = [10..20, 30..40, 200..210];
        assert_eq!(windows(&apart, 215, 100), [(0..65, 0..2), (175..215, 2..3)], "what lies far apart is read apart");
        assert_eq!(windows(&[], 0, 10), []);
    }

    #[test]
    fn the_best_answer_is_short_and_does_not_end_before_it_begins() {
        let ends = [[0.0, 9.0], [3.0, 0.0], [0.0, 1.0], [0.0, 4.0]];
        assert_eq!(best(&ends), Some((9.0, 0..1)));
        assert_eq!(best(&ends[1..]), Some((7.0, 0..3)));
        assert_eq!(best(&[]), None);
        let mut far = vec![[0.0, 0.0]; ANSWER + 2];
        (far[0][0], far[ANSWER + 1][1]) = (5.0, 5.0);
        assert_eq!(best(&far).unwrap().0, 5.0, "the two ends are too far apart to be one answer");
    }
}
