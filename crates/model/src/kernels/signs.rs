//! How near vectors are to rows of which only the signs are known.
//!
//! Sixteen vectors lie side by side, a column for each of their numbers, and four rows share what is loaded of them. A product with +1 or
//! −1 is exact, so a fused multiply-add rounds as an addition does, and all instruction sets give the same.

use super::{
    isa::{Isa, Kernel},
    lanes::{Lanes, WIDTH},
};

/// Rows that are compared at once: with sixteen vectors, as many sums as registers hold.
const ROWS: usize = 4;

/// For each byte of signs, +1 where that bit of it is set, the lowest first, and −1 where not.
const UNITS: [[f32; 8]; 256] = {
    let mut units = [[-1.0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                units[byte][bit] = 1.0;
            }
            bit += 1;
        }
        byte += 1;
    }
    units
};

/// Vectors laid out to be compared with signs.
pub struct SignQuery {
    /// `[vectors / 16, dimensions]`, zeros where there is no vector.
    columns: Vec<[f32; WIDTH]>,
    vectors: usize,
    dimensions: usize,
}

impl SignQuery {
    /// Lays out `vectors`, `[vectors, dimensions]`.
    ///
    /// # Panics
    /// When `dimensions` is 0.
    pub fn new(vectors: &[f32], dimensions: usize) -> Self {
        let count = vectors.len() / dimensions;
        let mut columns = vec![[0.0; WIDTH]; count.div_ceil(WIDTH) * dimensions];
        for (vector, numbers) in vectors.chunks_exact(dimensions).enumerate() {
            let group = &mut columns[vector / WIDTH * dimensions..][..dimensions];
            group.iter_mut().zip(numbers).for_each(|(column, number)| column[vector % WIDTH] = *number);
        }
        Self { columns, vectors: count, dimensions }
    }

    /// Bytes of one row of signs.
    pub fn stride(&self) -> usize {
        self.dimensions.div_ceil(8)
    }

    /// For each vector, the largest product with a row of +1 and −1, and at least 0. `signs` has [`SignQuery::stride`] bytes a row: a bit
    /// for each number, the first the lowest, set for +1.
    pub fn nearest(&self, isa: Isa, signs: &[u8]) -> Vec<f32> {
        let mut nearest = vec![0.0; self.columns.len() / self.dimensions * WIDTH];
        isa.run(Nearest { query: self, signs, nearest: &mut nearest });
        nearest.truncate(self.vectors);
        nearest
    }
}

struct Nearest<'a> {
    query: &'a SignQuery,
    signs: &'a [u8],
    nearest: &'a mut [f32],
}

impl Kernel for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let SignQuery { columns, dimensions, .. } = self.query;
        // For each number, what it is times in each of the rows.
        let mut units = vec![[0.0; ROWS]; self.query.stride() * 8];
        for signs in self.signs.chunks(self.query.stride() * ROWS) {
            let rows = signs.chunks_exact(self.query.stride());
            let count = rows.len();
            for (row, signs) in rows.enumerate() {
                for (units, byte) in units.chunks_exact_mut(8).zip(signs) {
                    units.iter_mut().zip(&UNITS[usize::from(*byte)]).for_each(|(units, unit)| units[row] = *unit);
                }
            }
            for (columns, nearest) in columns.chunks_exact(*dimensions).zip(self.nearest.chunks_exact_mut(WIDTH)) {
                let mut sums = [lanes.splat(0.0); ROWS];
                for (column, units) in columns.iter().zip(&units) {
                    // SAFETY: a column has as many numbers as there are lanes.
                    let column = unsafe { lanes.load(column.as_ptr()) };
                    for (sum, unit) in sums.iter_mut().zip(units) {
                        *sum = lanes.fma(column, lanes.splat(*unit), *sum);
                    }
                }
                // SAFETY: as many as there are lanes, too.
                let mut best = unsafe { lanes.load(nearest.as_ptr()) };
                for sum in &sums[..count] {
                    best = lanes.max(*sum, best);
                }
                // SAFETY: as above.
                unsafe { lanes.store(nearest.as_mut_ptr(), best) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expected(vectors: &[f32], dimensions: usize, signs: &[u8]) -> Vec<f64> {
        let product = |vector: &[f32], row: &[u8]| -> f64 {
            let signed =
                |(at, x): (usize, &f32)| if row[at / 8] >> (at % 8) & 1 == 1 { f64::from(*x) } else { -f64::from(*x) };
            vector.iter().enumerate().map(signed).sum()
        };
        let rows = || signs.chunks_exact(dimensions.div_ceil(8));
        vectors
            .chunks_exact(dimensions)
            .map(|vector| rows().map(|row| product(vector, row)).fold(0.0, f64::max))
            .collect()
    }

    proptest! {
        #[test]
        fn every_instruction_set_finds_the_nearest(
            (dimensions, vectors, signs) in (1_usize..70, 0_usize..40, 0_usize..14).prop_flat_map(|(dimensions, vectors, rows)| (
                Just(dimensions),
                prop::collection::vec(-2.0_f32..2.0, dimensions * vectors),
                prop::collection::vec(any::<u8>(), dimensions.div_ceil(8) * rows),
            ))
        ) {
            let query = SignQuery::new(&vectors, dimensions);
            let portable = query.nearest(Isa::Portable, &signs);
            for (found, expected) in portable.iter().zip(expected(&vectors, dimensions, &signs)) {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} for {expected}");
            }
            prop_assert_eq!(portable.len(), vectors.len() / dimensions);
            for isa in Isa::ALL {
                prop_assert_eq!(&query.nearest(isa, &signs), &portable, "{}", isa.name());
            }
        }
    }

    #[test]
    fn without_rows_nothing_is_near() {
        let query = SignQuery::new(&[1.0, -1.0, 0.5, 0.5], 2);
        assert_eq!(query.nearest(Isa::detect(), &[]), [0.0, 0.0]);
        assert_eq!(query.nearest(Isa::detect(), &[0b01]), [2.0, 0.0], "one of them points away");
    }
}
