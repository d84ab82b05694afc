//! The marker grammar, enforced while decoding: inside brackets only numbers of given passages can come, and a
//! finished sentence is followed by a marker.

use fontes_core::{DecodeStep, LogitMask, TokenId, Vocabulary};

use crate::{marker::Markers, sentence};

/// Allows only markers of given passages after an opening bracket, and asks for a marker after a sentence.
#[derive(Debug)]
pub struct MarkerMask {
    markers: Markers,
    abstention: String,
    tokens: Option<Tokens>,
}

/// What the mask needs to know of a vocabulary, found out once.
#[derive(Debug)]
struct Tokens {
    /// Tokens with a bracket anywhere in them.
    bracketed: Vec<TokenId>,
    /// Tokens that may come inside brackets: digits, commas and spaces up to the closer.
    inner: Vec<TokenId>,
}

impl MarkerMask {
    /// Makes a mask for passages with the numbers `markers`. The sentence `abstention` needs no marker.
    pub fn new(markers: impl IntoIterator<Item = u32>, abstention: &str) -> Self {
        Self { markers: markers.into_iter().collect(), abstention: abstention.trim().to_owned(), tokens: None }
    }

    /// Says whether `text` may come after an opening bracket, up to and perhaps beyond the closing one.
    fn allows_inner(&self, text: &[u8]) -> bool {
        let mut number = String::new();
        let mut numbers = 0;
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                b'0'..=b'9' => number.push(char::from(byte)),
                b',' | b']' => {
                    if !number.parse().is_ok_and(|number| self.markers.contains(&number)) {
                        return false;
                    }
                    numbers += 1;
                    number.clear();
                    if byte == b']' {
                        return self.allows_outer(&text[at + 1..]);
                    }
                }
                b' ' if number.is_empty() && numbers > 0 => {}
                _ => return false,
            }
        }
        // Cut short: some marker must still be able to complete it.
        self.markers.iter().any(|marker| marker.to_string().starts_with(&number))
    }

    /// Says whether `text` may come outside brackets.
    fn allows_outer(&self, text: &[u8]) -> bool {
        match text.iter().position(|byte| matches!(byte, b'[' | b']')) {
            None => true,
            Some(at) => text[at] == b'[' && self.allows_inner(&text[at + 1..]),
        }
    }

    /// Says whether the last sentence of `text` still lacks a marker.
    fn lacks_marker(&self, text: &str) -> bool {
        let last = sentence::sentences(text, sentence::Lines::Meant).last().copied();
        let last = last.and_then(|span| span.of(text)).unwrap_or_default();
        last.chars().any(char::is_alphabetic) && !last.contains('[') && !self.is_abstention(text)
    }

    /// Says whether `text` is the beginning or the whole of the abstention.
    fn is_abstention(&self, text: &str) -> bool {
        let text = text.trim();
        !text.is_empty() && (self.abstention.starts_with(text) || text.starts_with(&self.abstention))
    }
}

impl LogitMask for MarkerMask {
    fn apply(&mut self, step: &DecodeStep<'_>, logits: &mut [f32]) {
        if self.tokens.is_none() {
            self.tokens = Some(Tokens::of(step.vocabulary));
        }
        let Some(tokens) = &self.tokens else { return };
        let open = step.text.rfind('[').filter(|&open| !step.text[open..].contains(']'));
        if let Some(open) = open {
            let so_far = &step.text.as_bytes()[open + 1..];
            let allowed = tokens.inner.iter().copied().filter(|&token| {
                let bytes = step.vocabulary.token_bytes(token).unwrap_or_default();
                self.allows_inner(&[so_far, bytes].concat())
            });
            keep_only(logits, allowed);
            return;
        }
        for &token in &tokens.bracketed {
            if !step.vocabulary.token_bytes(token).is_some_and(|bytes| self.allows_outer(bytes)) {
                forbid(logits, token);
            }
        }
        let best = best(logits);
        let ends = step.vocabulary.end_tokens().contains(&best);
        let next = step.vocabulary.token_bytes(best).unwrap_or_default();
        let finished = ends || sentence::is_finished_before(step.text, next);
        let wants_marker = !self.markers.is_empty() && finished;
        if wants_marker && self.lacks_marker(step.text) {
            let allowed = tokens.bracketed.iter().copied().filter(|&token| {
                step.vocabulary.token_bytes(token).is_some_and(|bytes| {
                    bytes.strip_prefix(b" ").unwrap_or(bytes).starts_with(b"[") && self.allows_outer(bytes)
                })
            });
            keep_only(logits, allowed);
        }
    }
}

impl Tokens {
    fn of(vocabulary: &dyn Vocabulary) -> Self {
        let (mut bracketed, mut inner) = (Vec::new(), Vec::new());
        for token in 0..TokenId::try_from(vocabulary.len()).unwrap_or(TokenId::MAX) {
            let Some(bytes) = vocabulary.token_bytes(token) else { continue };
            if bytes.iter().any(|byte| matches!(byte, b'[' | b']')) {
                bracketed.push(token);
            }
            let mut until_close = bytes.iter().take_while(|byte| **byte != b']');
            if !bytes.is_empty() && until_close.all(|byte| matches!(byte, b'0'..=b'9' | b',' | b' ')) {
                inner.push(token);
            }
        }
        Self { bracketed, inner }
    }
}

fn forbid(logits: &mut [f32], token: TokenId) {
    if let Some(logit) = logits.get_mut(token as usize) {
        *logit = f32::NEG_INFINITY;
    }
}

/// Forbids everything but `allowed`. When nothing is allowed, the text ends there.
pub(crate) fn keep_only(logits: &mut [f32], allowed: impl Iterator<Item = TokenId>) {
    let kept: Vec<(TokenId, f32)> =
        allowed.filter_map(|token| logits.get(token as usize).map(|logit| (token, *logit))).collect();
    logits.fill(f32::NEG_INFINITY);
    for (token, logit) in kept {
        logits[token as usize] = logit;
    }
}

fn best(logits: &[f32]) -> TokenId {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.and_then(|(token, _)| TokenId::try_from(token).ok()).unwrap_or(TokenId::MAX)
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
