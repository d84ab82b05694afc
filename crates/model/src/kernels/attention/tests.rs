//! The kernel against plain attention in f64, on every instruction set.

use half::f16;

use super::*;
use crate::kernels::{Isa, KvCache, ThreadPool};

struct Case {
    heads: usize,
    dim: usize,
    attention: Attention,
    positions: usize,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Case {
    fn random(heads: usize, group: usize, dim: usize, positions: usize, window: Option<usize>) -> Self {
        let mut state = (heads * 31 + group * 7 + dim + positions) as u64;
        let mut noise = |count: usize, magnitude: f32| -> Vec<f32> {
            (0..count)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    f16::from_f32(((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * magnitude).to_f32()
                })
                .collect()
        };
        let queries = noise(positions * heads * group * dim, 3.0);
        let keys = noise(positions * heads * dim, 3.0);
        let values = noise(positions * heads * dim, 1.0);
        let attention = Attention { group, scale: 1.0 / (dim as f32).sqrt(), window };
        Self { heads, dim, attention, positions, queries, keys, values }
    }

    fn width(&self) -> usize {
        self.heads * self.attention.group * self.dim
    }

    fn cache(&self, pool: &ThreadPool) -> KvCache {
        let mut cache = KvCache::new(2, self.heads, self.dim, self.positions).unwrap();
        // In two pieces, the second at an odd position, and in the second layer.
        let cut = (self.positions / 3) * self.heads * self.dim;
        cache.write(pool, 1, 0, &self.keys[..cut], &self.values[..cut]);
        cache.write(pool, 1, self.positions / 3, &self.keys[cut..], &self.values[cut..]);
        cache
    }

    /// Weights of all positions, and the output, for one query head at one position.
    fn exact(&self, position: usize, head: usize) -> (Vec<f64>, Vec<f64>) {
        let (dim, kv) = (self.dim, head / self.attention.group);
        let query = &self.queries[position * self.width() + head * dim..][..dim];
        let mut weights = vec![0.0_f64; self.positions];
        let visible = self.attention.first_visible(position)..position + 1;
        for (seen, weight) in weights.iter_mut().enumerate().take(visible.end).skip(visible.start) {
            let key = &self.keys[(seen * self.heads + kv) * dim..][..dim];
            let dot: f64 = query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
            *weight = (dot * f64::from(self.attention.scale)).exp();
        }
        let sum: f64 = weights.iter().sum();
        let mut out = vec![0.0; dim];
        for (seen, weight) in weights.iter_mut().enumerate() {
            *weight /= sum;
            for (out, &value) in out.iter_mut().zip(&self.values[(seen * self.heads + kv) * dim..][..dim]) {
                *out += *weight * f64::from(value);
            }
        }
        (weights, out)
    }

    fn check(&self, isa: Isa) {
        let pool = ThreadPool::new(2);
        let cache = self.cache(&pool);
        let (width, dim) = (self.width(), self.dim);
        let query_heads = self.heads * self.attention.group;
        let start = self.positions / 2;
        let observed = [0..1, self.positions / 4..self.positions, 3..3];
        let mut many = vec![0.0; (self.positions - start) * width];
        let mut masses = vec![0.0; query_heads * observed.len()];
        attend(&pool, isa, &self.call(&cache, start..self.positions, &observed), &mut many, &mut masses);
        // Weights and values of matrix instructions are rounded to 2^-9.
        let (tolerance, mass_tolerance) = if isa == Isa::Amx { (4e-3, 1e-4) } else { (5e-6, 5e-6) };
        let mut one = vec![0.0; width];
        for position in start..self.positions {
            let call = self.call(&cache, position..position + 1, &observed);
            attend(&ThreadPool::new(1), isa, &call, &mut one, &mut masses);
            assert_eq!(one, many[(position - start) * width..][..width], "{}: alone and among others", isa.name());
            for head in 0..query_heads {
                let (exact_weights, exact) = self.exact(position, head);
                for (&exact, &found) in exact.iter().zip(&one[head * dim..]) {
                    assert!((f64::from(found) - exact).abs() < tolerance, "{}: {found} for {exact}", isa.name());
                }
                for (range, &found) in observed.iter().zip(&masses[head * observed.len()..]) {
                    let exact: f64 = exact_weights.iter().take(range.end).skip(range.start).sum();
                    assert!(
                        (f64::from(found) - exact).abs() < mass_tolerance,
                        "{} {range:?}: {found} for {exact}",
                        isa.name()
                    );
                }
            }
        }
    }

    fn call<'a>(&'a self, cache: &'a KvCache, rows: Range<usize>, observed: &'a [Range<usize>]) -> Attend<'a> {
        let queries = &self.queries[rows.start * self.width()..rows.end * self.width()];
        Attend { cache, layer: 1, attention: self.attention, start: rows.start, queries, observed }
    }
}

#[test]
fn the_kernel_equals_plain_attention() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for (heads, group, dim, positions, window) in [
            (1, 1, 16, 1, None),
            (2, 4, 32, 37, None),
            (1, 3, 80, 150, None),
            (2, 7, 24, 50, None),
            (1, 8, 64, 300, Some(40)),
            (1, 12, 128, 33, Some(1)),
            (1, 2, 256, 140, Some(129)),
        ] {
            Case::random(heads, group, dim, positions, window).check(isa);
        }
    }
}

#[test]
fn a_value_that_is_no_number_is_not_hidden() {
    let pool = ThreadPool::new(1);
    let mut case = Case::random(1, 2, 16, 20, None);
    case.queries.fill(f32::NAN);
    let cache = case.cache(&pool);
    let mut out = vec![0.0; case.queries.len()];
    attend(&pool, Isa::detect(), &case.call(&cache, 0..20, &[]), &mut out, &mut []);
    assert!(out.iter().all(|value| value.is_nan()));
}
