//! The instructions against plain arithmetic, over random and extreme bytes.

use proptest::prelude::*;

use super::{portable::*, *};

/// The instructions, or a line that names the test which this processor cannot run.
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn amx(test: &str) -> Option<Amx> {
    let amx = Amx::detect();
    if amx.is_none() {
        eprintln!("skipped: {test}: this processor has no AMX, or the system does not grant it");
    }
    amx
}

fn tiles(count: usize, next: &mut impl FnMut() -> u8) -> Vec<Tile> {
    (0..count)
        .map(|_| {
            let mut tile = Tile::ZERO;
            tile.0.iter_mut().for_each(|byte| *byte = next());
            tile
        })
        .collect()
}

fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    }
}

/// Random bfloat16 in ±2, by bytes.
fn halves(count: usize, next: &mut impl FnMut() -> u8) -> Vec<Tile> {
    let mut out = tiles(count, next);
    for tile in &mut out {
        for pair in tile.0.as_chunks_mut::<2>().0 {
            // The exponent's low bit stays random, its others are those of 1.
            pair[1] = (pair[1] & 0x80) | 0x3F;
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn bytes_multiply_exactly(steps in 0_usize..6, seed: u64) {
        let Some(amx) = amx("bytes_multiply_exactly") else { return Ok(()) };
        let mut next = noise(seed);
        let [a, b, c, d] = [(); 4].map(|()| tiles(steps, &mut next));
        let mut out = [[Sums::zero(); 2]; 2];
        let mut single = [[Sums::zero(); 2]];
        amx.with_tiles(Depth::Full, |tiles| {
            tiles.multiply_i8([&a, &b], [&c, &d], &mut out);
            tiles.multiply_i8([&b], [&c, &d], &mut single);
        });
        for (m, left) in [&a, &b].into_iter().enumerate() {
            for (n, right) in [&c, &d].into_iter().enumerate() {
                prop_assert_eq!(out[m][n].0, product_i8(left, right).0);
            }
        }
        prop_assert_eq!(single.map(|row| row.map(|sums| sums.0)), [out[1].map(|sums| sums.0)]);
    }

    #[test]
    fn blocks_of_32_have_sums_of_their_own(seed: u64) {
        let Some(amx) = amx("blocks_of_32_have_sums_of_their_own") else { return Ok(()) };
        let mut next = noise(seed);
        let [left, right] = [(); 2].map(|()| <[Tile; 2]>::try_from(tiles(2, &mut next)).unwrap());
        let mut out = [Sums::zero(); 4];
        amx.with_tiles(Depth::Half, |tiles| tiles.multiply_blocks_i8(&left, &right, &mut out));
        for (block, sums) in out.iter().enumerate() {
            prop_assert_eq!(sums.0, product_of_block(&left, &right, block).0);
        }
    }

    #[test]
    fn bfloat16_multiplies_within_the_rounding_of_f32(steps in 0_usize..6, seed: u64) {
        let Some(amx) = amx("bfloat16_multiplies_within_the_rounding_of_f32") else { return Ok(()) };
        let mut next = noise(seed);
        let [a, b, c, d] = [(); 4].map(|()| halves(steps, &mut next));
        let mut out = [[Sums::zero(); 2]; 2];
        let mut single = [[Sums::zero(); 2]];
        amx.with_tiles(Depth::Full, |tiles| {
            tiles.multiply_bf16([&a, &b], [&c, &d], &mut out);
            tiles.multiply_bf16([&b], [&c, &d], &mut single);
        });
        for (m, left) in [&a, &b].into_iter().enumerate() {
            for (n, right) in [&c, &d].into_iter().enumerate() {
                for (found, exact) in out[m][n].0.iter().zip(product_bf16(left, right).0) {
                    // Products are at most 4; each addition rounds to 2^-24 of a sum below 4 · 160.
                    prop_assert!((found - exact).abs() <= 1e-3, "{found} for {exact}");
                }
            }
        }
        // The order of additions does not depend on the other rows.
        prop_assert_eq!(single.map(|row| row.map(|sums| sums.0)), [out[1].map(|sums| sums.0)]);
    }
}

#[test]
fn the_largest_bytes_do_not_saturate() {
    let Some(amx) = amx("the_largest_bytes_do_not_saturate") else { return };
    let run = [Tile([0x80; TILE * LINE]); 8];
    let mut out = [[Sums::zero(); 2]];
    amx.with_tiles(Depth::Full, |tiles| tiles.multiply_i8([&run], [&run, &run], &mut out));
    assert!(out[0][0].0.iter().all(|&sum| sum == 128 * 128 * 512));
}

#[test]
fn what_is_no_number_stays_in_its_row() {
    let Some(amx) = amx("what_is_no_number_stays_in_its_row") else { return };
    let mut left = halves(1, &mut noise(3));
    left[0].0[5 * LINE..5 * LINE + 2].copy_from_slice(&0x7FC0_u16.to_le_bytes());
    let right = halves(1, &mut noise(4));
    let mut out = [[Sums::zero(); 2]];
    amx.with_tiles(Depth::Full, |tiles| tiles.multiply_bf16([&left], [&right, &right], &mut out));
    for (row, sums) in out[0][0].0.chunks_exact(TILE).enumerate() {
        assert!(sums.iter().all(|sum| sum.is_nan() == (row == 5)));
    }
}

#[test]
fn every_thread_configures_its_own_tiles_and_may_do_so_again() {
    let Some(amx) = amx("every_thread_configures_its_own") else { return };
    let run = tiles(3, &mut noise(9));
    let exact = product_i8(&run, &run).0;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut out = [[Sums::zero(); 2]];
                    amx.with_tiles(Depth::Full, |tiles| tiles.multiply_i8([&run], [&run, &run], &mut out));
                    assert_eq!(out[0][1].0, exact);
                }
            });
        }
    });
    let nested = std::panic::catch_unwind(|| amx.with_tiles(Depth::Full, |_| amx.with_tiles(Depth::Half, |_| ())));
    assert!(nested.is_err());
    amx.with_tiles(Depth::Half, |_| ());
}
