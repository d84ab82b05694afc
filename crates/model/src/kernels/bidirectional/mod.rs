//! Attention of encoders: every token sees every token of its own sequence, and none of any other.
//!
//! The unit of work is one head of one sequence: its keys and values are laid out once and serve all its queries; scores of
//! a few queries stay in the cache until they have weighted the values. Two ways to do it: [`vectors`], exact to single
//! precision on every processor, and [`tiles`], which rounds queries, keys, values and weights to bf16 for the tile unit
//! and is taken only where asked for.

#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
mod vectors;

use std::ops::Range;

use super::{
    isa::{Isa, Kernel},
    lanes::Lanes,
    pool::{SharedMut, ThreadPool},
};

/// The shape of an encoder's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Width of a token's vector.
    pub hidden: usize,
    /// Heads; divides `hidden`.
    pub count: usize,
    /// Whether bf16 will do between projection and context (relative error 2⁻⁹ a factor).
    pub rounded: bool,
}

/// Attends within each sequence: `projected` is `[tokens, 3 · hidden]` (query, key, value), `context` becomes
/// `[tokens, hidden]`.
///
/// # Panics
/// When a length does not fit, or sequences overlap or pass the end: a defect of the caller.
pub fn attend_within(
    pool: &ThreadPool,
    isa: Isa,
    heads: Heads,
    sequences: &[Range<usize>],
    projected: &[f32],
    context: &mut [f32],
) {
    let tokens = context.len() / heads.hidden;
    assert!(heads.count > 0 && heads.hidden.is_multiple_of(heads.count), "heads that do not divide the width");
    assert_eq!(projected.len(), tokens * 3 * heads.hidden, "projections of another size");
    let mut end = 0;
    for sequence in sequences {
        assert!(end <= sequence.start && sequence.start <= sequence.end, "sequences that overlap");
        end = sequence.end;
    }
    assert!(end <= tokens, "a sequence past the last token");
    let context = SharedMut::new(context);
    let units = sequences.len() * heads.count;
    pool.for_each_range(units, units.div_ceil(pool.threads() * 4).max(1), |units| {
        isa.run(Units { isa, heads, sequences, projected, context: &context, units });
    });
}

/// The kernel: some heads of some sequences, numbered sequence by sequence.
struct Units<'a> {
    isa: Isa,
    heads: Heads,
    sequences: &'a [Range<usize>],
    projected: &'a [f32],
    context: &'a SharedMut<f32>,
    units: Range<usize>,
}

impl Kernel for Units<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let units = self.units.clone().map(|unit| Unit {
            hidden: self.heads.hidden,
            width: self.heads.hidden / self.heads.count,
            head: unit % self.heads.count,
            sequence: self.sequences[unit / self.heads.count].clone(),
            projected: self.projected,
            context: self.context,
        });
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if self.heads.rounded
            && let Some(amx) = tiles::serves(self.isa, self.heads.hidden / self.heads.count)
        {
            return tiles::attend(amx, units);
        }
        let mut scratch = vectors::Scratch::default();
        for unit in units {
            vectors::attend(lanes, &unit, &mut scratch);
        }
    }
}

/// One head of one sequence.
struct Unit<'a> {
    hidden: usize,
    /// Channels of a head.
    width: usize,
    head: usize,
    sequence: Range<usize>,
    projected: &'a [f32],
    context: &'a SharedMut<f32>,
}

impl Unit<'_> {
    /// Number of tokens.
    #[inline(always)]
    fn len(&self) -> usize {
        self.sequence.len()
    }

    /// The query (`part` 0), key (1) or value (2) of a token of the sequence.
    #[inline(always)]
    fn row(&self, token: usize, part: usize) -> &[f32] {
        let at = ((self.sequence.start + token) * 3 + part) * self.hidden + self.head * self.width;
        &self.projected[at..at + self.width]
    }

    /// Where the result of a token goes, a row of `width` values that no other unit touches.
    #[inline(always)]
    fn out(&self, token: usize) -> *mut f32 {
        assert!(token < self.len());
        // SAFETY: `attend_within` checked that sequences lie in the output.
        unsafe { self.context.at((self.sequence.start + token) * self.hidden + self.head * self.width) }
    }

    /// What queries are multiplied by, so that scores are powers of two.
    #[inline(always)]
    fn scale(&self) -> f32 {
        std::f32::consts::LOG2_E / (self.width as f32).sqrt()
    }
}
