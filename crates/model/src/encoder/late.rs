//! Late interaction: query and passages are encoded apart, then compared token by token (ColBERT, Khattab and Zaharia,
//! SIGIR 2020, arXiv 2004.12832), here with the token vectors of an embedder that was not trained for it.
//!
//! Three things make such vectors comparable. All of them point much the same way, so what they share is taken off
//! (Mu and Viswanath 2018, arXiv 1702.01417): the mean over tokens from all over the vocabulary. What a passage holds of a
//! token is the cosine of its nearest, squared: many half matches are worth less than a few whole ones. Rare tokens count more.
//!
//! **Signs.** Of a passage's vectors only the signs are kept, 48 bytes a token where vectors have 384 numbers: few enough to
//! store, so that a search need not read its candidates again. The query keeps its numbers; against signs they give the cosine
//! up to a constant and an error that is small over hundreds of dimensions (random hyperplanes, Charikar, STOC 2002). It is
//! squared and the largest of a passage's counts, and that ranks nearly as whole vectors do. `docs/benchmarks.md` ("Reading candidates
//! again") has what each is worth.

use std::ops::Range;

use fontes_core::{EmbeddedQuery, Embedding, MatchPassage, QueryToken, Span, seam::EmbedAs};

use super::{EncoderEmbedder, EncoderError, elementwise::normalise, linear::Machine, tokenize::Tokens};
use crate::kernels::SignQuery;

/// Begins the signs of a passage; another number for another meaning of the bits.
const VERSION: u8 = 1;

/// The cosine of a vector with one of signs is this much smaller than with what the signs are of, when its numbers are
/// normally distributed: the root of 2/π.
const SHRINKS: f32 = 0.797_884_6;

impl EncoderEmbedder {
    /// See [`fontes_core::Embedder::embed_passages`].
    pub(super) fn embed_signed(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncoderError> {
        let inputs = self.tokenised(texts, EmbedAs::Passage)?;
        let bodies = self.bodies(&inputs, EmbedAs::Passage)?;
        self.encode(&inputs, |index, states| {
            Ok(Embedding { vector: self.pool(states)?, tokens: self.signs(self.rows(states, &bodies[index])) })
        })
    }

    /// See [`fontes_core::Embedder::embed_queries`].
    pub(super) fn embed_asked(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>, EncoderError> {
        let inputs = self.tokenised(texts, EmbedAs::Query)?;
        let bodies = self.bodies(&inputs, EmbedAs::Query)?;
        self.encode(&inputs, |index, states| {
            let body = &bodies[index];
            let rows = self.centred(self.rows(states, body))?;
            // The same tokens as behind the prefix, now with their places.
            let (_, spans) = self.tokenizer.plain(texts[index])?;
            let token = |((row, &id), span): ((&[f32], &u32), Range<usize>)| QueryToken {
                span: Span::new(span.start, span.end),
                vector: row.to_vec(),
                weight: self.tokenizer.weight(id),
            };
            let tokens =
                rows.chunks_exact(self.network.config().hidden).zip(&inputs[index].ids[body.clone()]).zip(spans);
            Ok(EmbeddedQuery { vector: self.pool(states)?, tokens: tokens.map(token).collect() })
        })
    }

    /// One score per passage; see [`fontes_core::Embedder::match_tokens`].
    pub(super) fn match_all(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>, EncoderError> {
        let hidden = self.network.config().hidden;
        if let Some(token) = query.iter().find(|token| token.vector.len() != hidden) {
            return Err(EncoderError::ForeignTokens { got: token.vector.len(), want: hidden });
        }
        let weights = shares(query);
        let query = query.iter().flat_map(|token| &token.vector).copied().collect::<Vec<f32>>();
        let query = SignQuery::new(&query, hidden);
        let unread: Vec<usize> = (0..passages.len()).filter(|&at| !self.are_signs(passages[at].tokens)).collect();
        let read = self.read(&unread.iter().map(|&at| passages[at].text).collect::<Vec<_>>(), budget)?;
        let mut signs: Vec<Option<&[u8]>> = passages.iter().map(|passage| Some(passage.tokens)).collect();
        let read = read.iter().map(|signs| Some(signs.as_slice())).chain(std::iter::repeat(None));
        unread.iter().zip(read).for_each(|(&at, read)| signs[at] = read);
        let mut scores = vec![None; passages.len()];
        if !weights.is_empty() {
            let Machine { pool, isa, .. } = self.network.machine();
            // Rows of signs are as long as the root of their dimensions.
            let one = 1.0 / ((hidden as f32).sqrt() * SHRINKS);
            pool.for_each_chunk(&mut scores, 1, 1, |at, score| {
                let nearest = |signs: &[u8]| query.nearest(*isa, signs.get(1..).unwrap_or_default());
                score[0] = signs[at].map(|signs| held(&nearest(signs), one, &weights));
            });
        }
        Ok(scores)
    }

    /// The signs of as many of `texts` as are within `budget` tokens.
    fn read(&self, texts: &[&str], budget: usize) -> Result<Vec<Vec<u8>>, EncoderError> {
        let mut inputs = self.tokenised(texts, EmbedAs::Passage)?;
        inputs.truncate(affordable(&inputs, budget));
        let bodies = self.bodies(&inputs, EmbedAs::Passage)?;
        self.encode(&inputs, |index, states| Ok(self.signs(self.rows(states, &bodies[index]))))
    }

    /// Where in each input the text itself stands.
    fn bodies(&self, inputs: &[Tokens], role: EmbedAs) -> Result<Vec<Range<usize>>, EncoderError> {
        inputs.iter().map(|input| self.tokenizer.body(self.prefix(role), input)).collect()
    }

    /// The vectors of some tokens of a sequence.
    fn rows<'s>(&self, states: &'s [f32], tokens: &Range<usize>) -> &'s [f32] {
        let hidden = self.network.config().hidden;
        &states[tokens.start * hidden..tokens.end * hidden]
    }

    /// Rows as unit vectors without what all tokens share. A row that is nothing else becomes nothing.
    fn centred(&self, rows: &[f32]) -> Result<Vec<f32>, EncoderError> {
        let mut centred = rows.to_vec();
        for row in centred.chunks_exact_mut(self.network.config().hidden) {
            row.iter_mut().zip(self.network.centre()).for_each(|(x, mean)| *x -= mean);
            if row.iter().any(|x| !x.is_finite()) {
                return Err(EncoderError::NotANumber);
            }
            if !normalise(row) {
                row.fill(0.0);
            }
        }
        Ok(centred)
    }

    /// Bytes of the signs of one token.
    fn stride(&self) -> usize {
        self.network.config().hidden.div_ceil(8)
    }

    /// Says whether bytes are signs of some passage by these weights.
    fn are_signs(&self, bytes: &[u8]) -> bool {
        bytes.split_first().is_some_and(|(version, signs)| *version == VERSION && signs.len() % self.stride() == 0)
    }

    /// Whether each number of each row is above the mean: a bit each, the first the lowest, each row from a byte on.
    fn signs(&self, rows: &[f32]) -> Vec<u8> {
        let (hidden, centre) = (self.network.config().hidden, self.network.centre());
        let mut signs = Vec::with_capacity(1 + rows.len() / hidden * self.stride());
        signs.push(VERSION);
        for row in rows.chunks_exact(hidden) {
            let byte = |(row, centre): (&[f32], &[f32])| {
                row.iter().zip(centre).rev().fold(0, |byte, (x, mean)| byte << 1 | u8::from(x > mean))
            };
            signs.extend(row.chunks(8).zip(centre.chunks(8)).map(byte));
        }
        signs
    }
}

/// How many of the inputs are within the budget; the first is in any case.
fn affordable(inputs: &[Tokens], budget: usize) -> usize {
    let mut spent = 0;
    let within = |input: &&Tokens| {
        let first = spent == 0;
        spent += input.ids.len();
        first || spent <= budget
    };
    inputs.iter().take_while(within).count()
}

/// What each token of a query counts, together 1; nothing when none counts.
fn shares(query: &[QueryToken]) -> Vec<f32> {
    let sum: f32 = query.iter().map(|token| token.weight).sum();
    if sum > 0.0 { query.iter().map(|token| token.weight / sum).collect() } else { Vec::new() }
}

/// The weighted mean of the squared cosine of each token with its nearest, whose product with it is `1 / one` times as large.
fn held(nearest: &[f32], one: f32, weights: &[f32]) -> f32 {
    // Signs of numbers that are not normally distributed may give a little more than 1.
    weights.iter().zip(nearest).map(|(weight, product)| weight * (one * product).min(1.0).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_counts_by_its_nearest() {
        assert!((held(&[2.0, 2.0], 0.5, &[0.5, 0.5]) - 1.0).abs() < 1e-6);
        assert!((held(&[2.0, 0.0], 0.5, &[0.5, 0.5]) - 0.5).abs() < 1e-6, "what points away counts as nothing");
        let half = std::f32::consts::SQRT_2;
        assert!((held(&[half, half], 0.5, &[0.5, 0.5]) - 0.5).abs() < 1e-6, "half a match of both is worth one whole");
        assert!((held(&[1.0, 1.0], 0.5, &[0.9, 0.1]) - 0.25).abs() < 1e-6);
        assert!((held(&[2.0, 1.0], 0.5, &[0.9, 0.1]) - 0.925).abs() < 1e-6, "by weight");
        assert!((held(&[9.0], 0.5, &[1.0]) - 1.0).abs() < 1e-6, "no more than the whole");
    }

    #[test]
    fn the_first_is_read_whatever_it_costs() {
        let input = |length| Tokens { ids: vec![0; length], types: vec![0; length] };
        let inputs = [input(9), input(3), input(4)];
        assert_eq!([0, 11, 12, 16].map(|budget| affordable(&inputs, budget)), [1, 1, 2, 3]);
        assert_eq!(affordable(&[], 5), 0);
    }
}
