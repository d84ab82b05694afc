//! Groups sequences into batches: similar lengths together, a bounded number of tokens each.

/// Indices of `lengths`, longest sequence first, cut so that no batch holds more than `budget` tokens unless
/// one sequence alone does. Every index occurs exactly once.
pub(super) fn batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // Stable, so the same input is always batched the same way.
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for index in order {
        match batches.last_mut() {
            Some(batch) if tokens + lengths[index] <= budget => batch.push(index),
            _ => {
                batches.push(vec![index]);
                tokens = 0;
            }
        }
        tokens += lengths[index];
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sequence_is_in_exactly_one_batch_within_the_budget(
            lengths in proptest::collection::vec(1_usize..600, 0..80),
            budget in 1_usize..2000,
        ) {
            let batches = batches(&lengths, budget);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let tokens: usize = batch.iter().map(|&index| lengths[index]).sum();
                prop_assert!(tokens <= budget || batch.len() == 1);
            }
            let order: Vec<usize> = batches.concat().into_iter().map(|index| lengths[index]).collect();
            prop_assert!(order.windows(2).all(|pair| pair[0] >= pair[1]));
        }
    }
}
