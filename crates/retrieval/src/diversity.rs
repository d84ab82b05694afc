//! Diversity: what resembles a better hit steps back, so that the first hits say different things.
//!
//! Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): hits are chosen one by one, each time the one whose
//! relevance, less its likeness to the nearest of those already chosen, is greatest. Relevance is the score, scaled to 0..=1 over
//! the candidates. Likeness is the cosine between the words of two texts, rare words of the candidates counting more: what all
//! candidates share, because the question asks for it, makes no two of them alike.
//!
//! **Why words.** They are at hand; vectors lie in an index that gives out scores only, and fetching or computing them again
//! would cost more than the rest of the search.

use std::collections::HashMap;

use fontes_core::Hit;

use crate::duplicate::Wording;

/// How many candidates are chosen from; deeper ones keep their order.
const POOL: usize = 50;

/// Puts hits, best first, into the order of marginal relevance: `diversity` 0 is by score alone, 1 by difference alone. The first
/// stays the first.
pub(crate) fn diversified<T>(mut found: Vec<(Hit, T)>, diversity: f32) -> Vec<(Hit, T)> {
    let pool = found.len().min(POOL);
    if pool < 3 || diversity.is_nan() || diversity <= 0.0 {
        return found;
    }
    let deeper = found.split_off(pool);
    let vectors = vectors(&found);
    let relevance = scaled(&found);
    // The likeness of each candidate to the nearest of the chosen.
    let mut nearest = vec![0.0_f32; pool];
    let mut left: Vec<usize> = (0..pool).collect();
    let mut order = Vec::with_capacity(pool);
    let worth =
        |candidate: usize, nearest: &[f32]| (1.0 - diversity) * relevance[candidate] - diversity * nearest[candidate];
    while !left.is_empty() {
        // The first stays first; of equals the better one is chosen.
        let mut best = 0;
        if !order.is_empty() {
            for at in 1..left.len() {
                if worth(left[at], &nearest) > worth(left[best], &nearest) {
                    best = at;
                }
            }
        }
        let chosen = left.remove(best);
        for &other in &left {
            nearest[other] = nearest[other].max(cosine(&vectors[chosen], &vectors[other]));
        }
        order.push(chosen);
    }
    let mut taken: Vec<Option<(Hit, T)>> = found.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| taken[at].take()).chain(deeper).collect()
}

/// Scores from 0, the worst, to 1, the best.
fn scaled<T>(found: &[(Hit, T)]) -> Vec<f32> {
    let scores = || found.iter().map(|(hit, _)| hit.score).filter(|score| score.is_finite());
    let (low, high) = (scores().fold(f32::INFINITY, f32::min), scores().fold(f32::NEG_INFINITY, f32::max));
    let scale = |score: f32| match high - low {
        range if range > f32::EPSILON && score.is_finite() => (score - low) / range,
        _ => 0.0,
    };
    found.iter().map(|(hit, _)| scale(hit.score)).collect()
}

/// The words of each text with their weights, sorted, of unit length: frequency, damped, times rarity among the texts.
fn vectors<T>(found: &[(Hit, T)]) -> Vec<Vec<(u64, f32)>> {
    let counts = found.iter().map(|(hit, _)| Wording::of(&hit.text, &hit.headings).counts());
    let counts: Vec<Vec<(u64, f32)>> = counts.collect();
    let mut holders: HashMap<u64, f32> = HashMap::new();
    counts.iter().flatten().for_each(|(word, _)| *holders.entry(*word).or_default() += 1.0);
    let weigh = |(word, count): (u64, f32)| {
        let rarity = (1.0 + found.len() as f32 / holders[&word]).ln();
        (word, (1.0 + count.ln()) * rarity)
    };
    let weighed = counts.into_iter().map(|words| words.into_iter().map(weigh).collect());
    weighed.map(unit).collect()
}

fn unit(mut vector: Vec<(u64, f32)>) -> Vec<(u64, f32)> {
    let length = vector.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt().max(f32::EPSILON);
    vector.iter_mut().for_each(|(_, weight)| *weight /= length);
    vector
}

fn cosine(one: &[(u64, f32)], other: &[(u64, f32)]) -> f32 {
    let (mut sum, mut at) = (0.0, 0);
    for (word, weight) in one {
        at += other[at..].iter().take_while(|(before, _)| before < word).count();
        if let Some((_, theirs)) = other.get(at).filter(|(same, _)| same == word) {
            sum += weight * theirs;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use fontes_core::Scores;
    use fontes_testkit::Specimen;

    use super::*;
    use crate::{Fused, LegShares, gate};

    /// Hits with these texts and scores, best first.
    fn hits(texts: &[(&str, f32)]) -> Vec<(Hit, usize)> {
        let hit = |(number, (text, score)): (usize, &(&str, f32))| {
            let record = Specimen::new("a", u32::try_from(number).unwrap(), text).record();
            let scores = Scores::default();
            let fused =
                Fused { chunk: record.chunk.id, scores, score: *score, shares: LegShares::default(), legs: [0.0; 4] };
            (gate::hit(&fused, &record), number)
        };
        texts.iter().enumerate().map(hit).collect()
    }

    fn order(texts: &[(&str, f32)], diversity: f32) -> Vec<usize> {
        diversified(hits(texts), diversity).into_iter().map(|(_, number)| number).collect()
    }

    const TEXTS: [(&str, f32); 4] = [
        ("Die Bewilligung gilt zwei Jahre ab Ausstellung", 0.9),
        ("Die Bewilligung gilt zwei Jahre ab dem Tag der Ausstellung", 0.88),
        ("Die Verlängerung kostet achtzig Franken", 0.8),
        ("Kantinen öffnen um elf", 0.1),
    ];

    #[test]
    fn what_repeats_a_better_hit_steps_back() {
        assert_eq!(order(&TEXTS, 0.0), [0, 1, 2, 3]);
        assert_eq!(order(&TEXTS, 0.3), [0, 2, 1, 3]);
        assert_eq!(order(&TEXTS, 1.0)[0], 0, "the first stays");
        assert_eq!(*order(&TEXTS, 1.0).last().unwrap(), 1, "difference alone");
    }

    #[test]
    fn odd_numbers_lose_no_hit() {
        for diversity in [f32::NAN, -1.0, 0.5, 1.0, 7.0] {
            let mut found =
                order(&[("", f32::NAN), ("a", f32::INFINITY), ("a", 0.5), ("b", 0.5), ("", 0.1)], diversity);
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2, 3, 4], "{diversity}");
        }
        let many: Vec<(String, f32)> = (0..70_u8).map(|n| (format!("Wort{n}"), 1.0 - f32::from(n) / 100.0)).collect();
        let many: Vec<(&str, f32)> = many.iter().map(|(text, score)| (text.as_str(), *score)).collect();
        assert_eq!(order(&many, 0.2), (0..70).collect::<Vec<_>>(), "nothing in common, nothing moves");
    }
}
