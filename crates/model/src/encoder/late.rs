//! Late interaction: query and passages are encoded apart, then compared token by token (ColBERT, Khattab and Zaharia,
//! SIGIR 2020, arXiv 2004.12832), here with the token vectors of an embedder that was not trained for it.
//!
//! Three things make such vectors comparable. All of them point much the same way, so the mean of those at hand is taken off
//! (Mu and Viswanath 2018, arXiv 1702.01417). What a passage holds of a token is the cosine of its nearest, squared: many
//! half matches are worth less than a few whole ones. Rare tokens count more. `docs/benchmarks.md` ("Reading candidates
//! again") has what each is worth, and what whitening and other layers would give.

use std::ops::Range;

use fontes_core::seam::EmbedAs;

use super::{
    EncoderEmbedder, EncoderError, batch,
    elementwise::normalise,
    network::Packed,
    tokenize::{TextTokenizer, Tokens},
};

/// Columns by which a query's vectors are laid out, so that sums run side by side.
const LANES: usize = 8;

impl EncoderEmbedder {
    /// One score per passage; see [`fontes_core::Embedder::match_tokens`].
    pub(super) fn match_all(
        &self,
        query: &str,
        passages: &[&str],
        budget: usize,
    ) -> Result<Vec<Option<f32>>, EncoderError> {
        let pool = &self.network.machine().pool;
        let asked = self.tokenizer.single(&format!("{}{query}", self.prefix(EmbedAs::Query)))?;
        let prefix = self.prefix(EmbedAs::Passage);
        let mut inputs = batch::each(pool, passages, |passage| self.tokenizer.single(&format!("{prefix}{passage}")))?;
        inputs.truncate(affordable(&inputs, budget));
        let mut bodies =
            inputs.iter().map(|input| self.tokenizer.body(prefix, input)).collect::<Result<Vec<_>, _>>()?;
        bodies.push(self.tokenizer.body(self.prefix(EmbedAs::Query), &asked)?);
        let weights = weights(&self.tokenizer, &asked.ids[bodies[inputs.len()].clone()]);
        inputs.push(asked);
        let mut states = self.states(&inputs, &bodies)?;
        let hidden = self.network.config().hidden;
        centre(&mut states, hidden)?;
        let query = Columns::of(&states.pop().unwrap_or_default(), hidden);
        let mut scores = vec![0.0; states.len()];
        pool.for_each_chunk(&mut scores, 1, 1, |passage, score| score[0] = query.found_in(&states[passage], &weights));
        let scores = scores.into_iter().map(|score| weights.first().map(|_| score));
        Ok(scores.chain(std::iter::repeat(None)).take(passages.len()).collect())
    }

    /// The vectors of the tokens of each input that stand in its body.
    fn states(&self, inputs: &[Tokens], bodies: &[Range<usize>]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let hidden = self.network.config().hidden;
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        batch::run(self.network.machine(), &lengths, self.tokens_per_batch, |pool, batch| {
            let mut packed = Packed::default();
            batch.iter().for_each(|&index| packed.push(&inputs[index].ids, &inputs[index].types));
            let states = self.network.forward(pool, &packed)?;
            let body = |(&index, sequence): (&usize, &Range<usize>)| {
                let Range { start, end } = bodies[index];
                states[(sequence.start + start) * hidden..(sequence.start + end) * hidden].to_vec()
            };
            Ok(batch.iter().zip(&packed.sequences).map(body).collect())
        })
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

/// What each token of a query counts; together 1.
fn weights(tokenizer: &TextTokenizer, ids: &[u32]) -> Vec<f32> {
    let weights: Vec<f32> = ids.iter().map(|&id| tokenizer.weight(id)).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Takes the mean of all passages' rows off every row, the query's (the last) too, and makes them unit vectors. A row that
/// is the mean itself becomes nothing.
fn centre(states: &mut [Vec<f32>], hidden: usize) -> Result<(), EncoderError> {
    let mut mean = vec![0.0; hidden];
    let (_, passages) = states.split_last().ok_or(EncoderError::NotANumber)?;
    let rows = || passages.iter().flat_map(|passage| passage.chunks_exact(hidden));
    let count = rows().count().max(1) as f32;
    rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count));
    if mean.iter().any(|x| !x.is_finite()) {
        return Err(EncoderError::NotANumber);
    }
    for row in states.iter_mut().flat_map(|states| states.chunks_exact_mut(hidden)) {
        row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
        if !normalise(row) {
            row.fill(0.0);
        }
    }
    Ok(())
}

/// The vectors of a query as columns, padded with zeros to whole lanes.
struct Columns {
    values: Vec<f32>,
    width: usize,
}

impl Columns {
    fn of(rows: &[f32], hidden: usize) -> Self {
        let width = (rows.len() / hidden).next_multiple_of(LANES);
        let mut values = vec![0.0; hidden * width];
        for (token, row) in rows.chunks_exact(hidden).enumerate() {
            row.iter().enumerate().for_each(|(at, x)| values[at * width + token] = *x);
        }
        Self { values, width }
    }

    /// The weighted mean of the squared cosine of each column with its nearest row; what points away counts as nothing.
    fn found_in(&self, rows: &[f32], weights: &[f32]) -> f32 {
        let (mut nearest, mut cosines) = (vec![0.0_f32; self.width], vec![0.0_f32; self.width]);
        for row in rows.chunks_exact((self.values.len() / self.width.max(1)).max(1)) {
            cosines.fill(0.0);
            for (x, columns) in row.iter().zip(self.values.chunks_exact(self.width.max(1))) {
                cosines.iter_mut().zip(columns).for_each(|(cosine, y)| *cosine += x * y);
            }
            nearest.iter_mut().zip(&cosines).for_each(|(nearest, cosine)| *nearest = nearest.max(*cosine));
        }
        weights.iter().zip(&nearest).map(|(weight, cosine)| weight * cosine * cosine).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two dimensions, one row per angle in degrees.
    fn rows(angles: &[f32]) -> Vec<f32> {
        angles.iter().flat_map(|angle| [angle.to_radians().cos(), angle.to_radians().sin()]).collect()
    }

    #[test]
    fn each_token_counts_by_its_nearest() {
        let query = Columns::of(&rows(&[0.0, 90.0]), 2);
        let score = |angles: &[f32], weights: &[f32]| query.found_in(&rows(angles), weights);
        assert!((score(&[0.0, 90.0], &[0.5, 0.5]) - 1.0).abs() < 1e-6);
        assert!((score(&[0.0, 180.0], &[0.5, 0.5]) - 0.5).abs() < 1e-6, "opposite is not near");
        assert!((score(&[45.0], &[0.5, 0.5]) - 0.5).abs() < 1e-6, "half a match of both is worth one whole");
        assert!((score(&[60.0], &[0.5, 0.5]) - 0.5).abs() < 1e-6);
        assert!((score(&[60.0], &[0.9, 0.1]) - 0.3).abs() < 1e-6, "by weight");
        assert_eq!(score(&[], &[0.5, 0.5]), 0.0);
    }

    #[test]
    fn what_all_rows_share_is_taken_off() {
        let mut states = vec![vec![5.0, 1.0, 5.0, -1.0], vec![5.0, 0.0], vec![5.0, 2.0]];
        centre(&mut states, 2).unwrap();
        assert_eq!(states, [vec![0.0, 1.0, 0.0, -1.0], vec![0.0, 0.0], vec![0.0, 1.0]]);
        assert!(centre(&mut [vec![f32::NAN; 2], vec![0.0; 2]], 2).is_err());
    }

    #[test]
    fn the_first_is_read_whatever_it_costs() {
        let input = |length| Tokens { ids: vec![0; length], types: vec![0; length] };
        let inputs = [input(9), input(3), input(4)];
        assert_eq!([0, 11, 12, 16].map(|budget| affordable(&inputs, budget)), [1, 1, 2, 3]);
        assert_eq!(affordable(&[], 5), 0);
    }
}
