//! The best few of many.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use tantivy::DocAddress;

/// A chunk and its score; the better one is the greater, and of equals the one that comes first.
#[derive(Clone, Copy, Debug)]
struct Scored(f32, DocAddress);

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

/// Keeps the `limit` best.
pub(super) struct Top {
    limit: usize,
    worst_first: BinaryHeap<Reverse<Scored>>,
}

impl Top {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, worst_first: BinaryHeap::new() }
    }

    /// Takes a chunk if it is among the best so far; gives the score that the next one has to beat.
    pub(super) fn offer(&mut self, score: f32, address: DocAddress) -> f32 {
        self.worst_first.push(Reverse(Scored(score, address)));
        if self.worst_first.len() > self.limit {
            self.worst_first.pop();
        }
        self.threshold()
    }

    /// The score that the next chunk has to beat.
    pub(super) fn threshold(&self) -> f32 {
        match self.worst_first.peek() {
            Some(Reverse(worst)) if self.worst_first.len() == self.limit => worst.0,
            _ => f32::NEG_INFINITY,
        }
    }

    /// The best, best first.
    pub(super) fn into_sorted(self) -> Vec<(f32, DocAddress)> {
        self.worst_first.into_sorted_vec().into_iter().map(|Reverse(Scored(score, address))| (score, address)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay_in_order() {
        let mut top = Top::new(3);
        let scores = [0.5, 2.0, 1.0, 2.0, 0.1, 3.0];
        let thresholds: Vec<f32> =
            (0..).zip(scores).map(|(doc, score)| top.offer(score, DocAddress::new(0, doc))).collect();
        assert_eq!(thresholds[1..], [f32::NEG_INFINITY, 0.5, 1.0, 1.0, 2.0]);
        let kept: Vec<(f32, u32)> = top.into_sorted().into_iter().map(|(score, at)| (score, at.doc_id)).collect();
        assert_eq!(kept, [(3.0, 5), (2.0, 1), (2.0, 3)]);
    }
}
