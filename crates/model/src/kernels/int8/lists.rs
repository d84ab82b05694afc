//! Which inputs of some rows may be multiplied how, where dot products are summed in 16 bits ([`Lanes::SHORT`]).
//!
//! Such a processor multiplies unsigned weights, and saturates at 16 bits. A weight plus 128 is at most 255, so a sum of
//! products is exact as long as neither the positive nor the negative activations in it exceed 128 together: 255 · 128 =
//! 32,640. That is so for most, because 127 is the largest activation of a whole row. So the quads of a group of rows go into
//! three lists:
//!
//! | list | what stays within 128, in every row of the group | instructions for 64 products |
//! |---|---|---|
//! | together | the first two and the last two inputs of two neighbouring quads | 5 |
//! | apart | the same of one quad | 6 |
//! | signed | nothing need: magnitudes are multiplied, signs are moved to the activations | 8 |
//!
//! The list that an input is in changes the order of additions and nothing else: sums of integers are exact. How many are in
//! which is in `docs/benchmarks.md`.

use crate::kernels::{
    isa::{Isa, Kernel},
    lanes::Lanes,
};

/// Inputs per quad.
pub(super) const QUAD: usize = 4;

/// Inputs per pair of quads.
const PAIR: usize = 2 * QUAD;

/// Rows that share their lists: those that share a pass over the weights.
pub(super) const GROUP: usize = 4;

/// The same number in the four 16-bit fields of a word.
const FIELDS: u64 = 0x0001_0001_0001_0001;

/// The highest bit of each field.
const HIGHEST: u64 = FIELDS << 15;

/// Says whether the kernels of an instruction set want lists.
pub(super) fn wanted(isa: Isa) -> bool {
    isa.run(Wanted)
}

struct Wanted;

impl Kernel for Wanted {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> bool {
        L::SHORT
    }
}

/// The lists of a group of rows.
#[derive(Clone, Default)]
pub(super) struct Lists {
    /// The numbers of pairs of quads, then of quads, one list after the other.
    order: Vec<u16>,
    /// Where each list ends.
    ends: [usize; 3],
}

impl Lists {
    /// Makes the lists from what [`mark`] left of the rows.
    pub fn fill(&mut self, marks: &[u64]) {
        // Each number is written in any case and kept if it belongs here: no branch to mispredict. Hence one place more.
        self.order.resize(2 * marks.len() + 1, 0);
        let mut at = 0;
        for (pair, &mark) in marks.iter().enumerate() {
            self.order[at] = pair as u16;
            at += usize::from(mark == 0);
        }
        self.ends[0] = at;
        for signed in [false, true] {
            for (pair, &mark) in marks.iter().enumerate() {
                for quad in 0..2 {
                    self.order[at] = (2 * pair + quad) as u16;
                    let exceeds = (mark >> (32 * quad)) & HIGHEST & 0xFFFF_FFFF != 0;
                    at += usize::from(mark != 0 && exceeds == signed);
                }
            }
            self.ends[1 + usize::from(signed)] = at;
        }
    }

    /// The pairs of quads that may be taken together, the quads that may be taken apart, and those that need signs.
    pub fn parts(&self) -> [&[u16]; 3] {
        let [together, apart, signed] = self.ends;
        [&self.order[..together], &self.order[together..apart], &self.order[apart..signed]]
    }
}

/// Marks, for each pair of quads of a row, what must not be done with it: bit 14 of a field of 16, take it together; bit 15 of
/// the lower or the higher two fields, take the first or the second quad apart. Marks of several rows gather.
pub(super) fn mark(isa: Isa, row: &[i8], marks: &mut [u64]) {
    isa.run(Mark { row, marks });
}

struct Mark<'a> {
    row: &'a [i8],
    marks: &'a mut [u64],
}

impl Kernel for Mark<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        for (mark, pair) in self.marks.iter_mut().zip(self.row.as_chunks::<PAIR>().0) {
            let bytes = u64::from_le_bytes(pair.map(i8::cast_unsigned));
            // 1 in each negative byte, then 255; then the positive values, and the magnitudes of the negative ones.
            let sign = bytes >> 7 & 0x0101_0101_0101_0101;
            let negative = (sign << 8).wrapping_sub(sign);
            *mark |= excess(bytes & !negative) | excess((!bytes & negative) + sign);
        }
    }
}

/// Marks sums of eight magnitudes that exceed 128.
#[inline(always)]
fn excess(magnitudes: u64) -> u64 {
    const EVEN: u64 = 0xFF * FIELDS;
    const REST: u64 = (0x8000 - 129) * FIELDS;
    // First and second, third and fourth input of the first quad, and the same of the second.
    let pairs = (magnitudes & EVEN) + (magnitudes >> 8 & EVEN);
    let both = (pairs & 0xFFFF_FFFF) + (pairs >> 32);
    ((pairs + REST) & HIGHEST) | ((both + REST) & HIGHEST) >> 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The largest sum of one sign over the first two and the last two inputs of some quads.
    fn largest(quads: &[i8]) -> i32 {
        let side = |sign: i32, half: usize| -> i32 {
            quads.chunks(4).flat_map(|quad| &quad[half..half + 2]).map(|&q| (i32::from(q) * sign).max(0)).sum()
        };
        [side(1, 0), side(-1, 0), side(1, 2), side(-1, 2)].into_iter().max().unwrap()
    }

    proptest! {
        #[test]
        fn a_quad_is_in_the_first_list_that_takes_it(
            rows in proptest::collection::vec(proptest::collection::vec(-127_i8..=127, 40), 1..4), quiet in 1_i8..8,
        ) {
            let rows: Vec<Vec<i8>> = rows.into_iter().map(|row| row.into_iter().map(|q| q / quiet).collect()).collect();
            let exceeds = |from: usize, count: usize| rows.iter().any(|row| largest(&row[from..from + count]) > 128);
            for isa in [Isa::Portable, Isa::detect()] {
                let mut marks = [0; 5];
                rows.iter().for_each(|row| mark(isa, row, &mut marks));
                let mut lists = Lists::default();
                lists.fill(&marks);
                let [together, apart, signed] = lists.parts().map(|list| list.iter().map(|&at| usize::from(at)));
                prop_assert!(together.clone().all(|pair| !exceeds(pair * PAIR, PAIR)));
                for quad in apart.clone() {
                    prop_assert!(!exceeds(quad * QUAD, QUAD) && exceeds(quad / 2 * PAIR, PAIR));
                }
                prop_assert!(signed.clone().all(|quad| exceeds(quad * QUAD, QUAD)));
                let mut seen: Vec<usize> = together.flat_map(|pair| [2 * pair, 2 * pair + 1]).chain(apart).chain(signed).collect();
                seen.sort_unstable();
                prop_assert!(seen.into_iter().eq(0..10));
            }
        }
    }
}
