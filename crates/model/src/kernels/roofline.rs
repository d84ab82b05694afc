//! What this machine could do at best: the two limits that every figure of a benchmark is held against.
//!
//! Reading a prompt is bound by int8 multiply-adds, generating by reading memory. Both limits are measured with the
//! instructions and the pages that the kernels use, in half a second, so that a share of them means something on any
//! machine.

use std::{hint::black_box, time::Duration};

use fontes_core::Clock;

use super::{
    amx::{Amx, Depth, Sums, TILE, Tile},
    arena::Arena,
    isa::{Isa, Kernel},
    lanes::{Lanes, WIDTH},
    pool::ThreadPool,
};

/// Bytes read to measure bandwidth: several times any last-level cache of a small machine.
const READ: usize = 256 << 20;

/// Short sums in [`PeakLoop`], about 20 ms; a multiple of every number of chains.
const ROUNDS: usize = 6_000_000;

/// Dots per short sum.
const DOTS: usize = 8;

/// Rounds of [`matrix_peak`], about 10 ms.
const MATRIX_ROUNDS: usize = 50_000;

/// Tiles per operand in [`matrix_peak`]: all four stay in the first-level cache.
const MATRIX_STEPS: usize = 8;

/// The limits of a machine with a given number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roofline {
    /// Multiply-adds of 8-bit integers per second.
    pub multiply_adds_per_second: f64,
    /// Bytes per second read from huge pages, where the system has them.
    pub bytes_per_second: f64,
}

impl Roofline {
    /// Measures, best of three: other work on the machine can only lower the figures.
    ///
    /// # Errors
    /// The system's refusal of 256 MiB.
    pub fn measure(pool: &ThreadPool, isa: Isa, clock: &dyn Clock) -> std::io::Result<Self> {
        let mut arena = Arena::new(READ)?;
        let part = arena.take(READ).ok_or(std::io::ErrorKind::OutOfMemory)?;
        pool.for_each_chunk(arena.bytes_mut(&part), 1 << 20, 1, |_, bytes| bytes.fill(1));
        let bytes = arena.bytes(&part);
        let read = best(clock, || {
            pool.for_each_range(READ >> 20, 4, |range| {
                black_box(isa.run(ReadLoop { bytes: &bytes[range.start << 20..range.end << 20] }));
            });
        });
        let threads = pool.threads();
        let products = match isa.matrix_instructions() {
            Some(_) => MATRIX_ROUNDS * MATRIX_STEPS * 4 * TILE * size_of::<Tile>(),
            None => ROUNDS * DOTS * WIDTH * 4,
        };
        let multiply = best(clock, || {
            pool.for_each_range(threads, 1, |range| {
                range.for_each(|_| match isa.matrix_instructions() {
                    Some(amx) => matrix_peak(amx),
                    None => drop(black_box(isa.run(PeakLoop { rounds: ROUNDS }))),
                });
            });
        });
        Ok(Self {
            multiply_adds_per_second: (threads * products) as f64 / multiply.as_secs_f64(),
            bytes_per_second: READ as f64 / read.as_secs_f64(),
        })
    }
}

fn best(clock: &dyn Clock, work: impl Fn()) -> Duration {
    let time = |_| {
        let begin = clock.now();
        work();
        clock.now().duration_since(begin).unwrap_or(Duration::MAX)
    };
    (0..3).map(time).min().unwrap_or(Duration::MAX).max(Duration::from_nanos(1))
}

/// Matrix products from the first-level cache.
fn matrix_peak(amx: Amx) {
    let run = black_box([Tile::ZERO; MATRIX_STEPS]);
    let mut sums = [[Sums::zero(); 2]; 2];
    let tiles = amx.tiles(Depth::Full);
    for _ in 0..MATRIX_ROUNDS {
        tiles.multiply_i8([&run, &run], [&run, &run], &mut sums);
    }
    black_box(sums);
}

/// Products as the kernels make them: short sums of eight dots, then a sum of those.
struct PeakLoop {
    rounds: usize,
}

impl Kernel for PeakLoop {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        if L::GROUP > 4 { self.chains::<L, 12>(lanes) } else { self.chains::<L, 4>(lanes) }
    }
}

impl PeakLoop {
    /// As many chains of dependent sums as the kernels have rows, which hides the latency of every known instruction.
    #[inline(always)]
    fn chains<L: Lanes, const N: usize>(self, lanes: L) -> f32 {
        let quads = [[1_i32; N]; DOTS];
        let (weights, mut sums) = (lanes.splat_int(black_box(0x0102_0304)), [lanes.splat_int(0); N]);
        for _ in 0..self.rounds / N {
            // Not known to be the same, so that no product is worked out once for all.
            let quads = black_box(&quads);
            let mut shorts = [lanes.splat_int(0); N];
            for quads in quads {
                for (short, quad) in shorts.iter_mut().zip(quads) {
                    *short = lanes.dot_short(*short, weights, lanes.splat_int(*quad));
                }
            }
            for (sum, short) in sums.iter_mut().zip(shorts) {
                *sum = lanes.add_short(*sum, short);
            }
        }
        let mut total = lanes.splat(0.0);
        for sum in sums {
            total = lanes.add(total, lanes.to_floats(sum));
        }
        first(lanes, total)
    }
}

struct ReadLoop<'a> {
    bytes: &'a [u8],
}

impl Kernel for ReadLoop<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let mut sums = [lanes.splat(0.0); 4];
        for piece in self.bytes.chunks_exact(16 * WIDTH) {
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the piece holds four vectors.
                let ints = unsafe { lanes.load_ints(piece.as_ptr().add(index * 4 * WIDTH)) };
                *sum = lanes.add(*sum, lanes.to_floats(ints));
            }
        }
        first(lanes, lanes.add(lanes.add(sums[0], sums[1]), lanes.add(sums[2], sums[3])))
    }
}

#[inline(always)]
fn first<L: Lanes>(lanes: L, values: L::Floats) -> f32 {
    let mut spare = [0.0_f32; WIDTH];
    // SAFETY: there is room for a vector.
    unsafe { lanes.store(spare.as_mut_ptr(), values) };
    spare[0]
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Wall;

    impl Clock for Wall {
        fn now(&self) -> SystemTime {
            SystemTime::now()
        }
    }

    #[test]
    fn limits_are_those_of_a_processor() {
        let limits = Roofline::measure(&ThreadPool::new(1), Isa::detect(), &Wall).unwrap();
        assert!((1e8..1e14).contains(&limits.multiply_adds_per_second), "{limits:?}");
        assert!((1e7..1e13).contains(&limits.bytes_per_second), "{limits:?}");
    }
}
