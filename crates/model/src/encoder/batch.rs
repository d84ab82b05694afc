//! Groups sequences into batches: similar lengths together, a bounded number of tokens each; and runs them.
//!
//! Several batches run side by side, each on one thread from beginning to end: threads then never wait for each
//! other, which matters on a machine that is busy with other things. A single batch, such as one question, is
//! spread over all threads.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::{EncoderError, linear::Machine, tokenize::Tokens};
use crate::kernels::ThreadPool;

/// Fewest tokens that are worth a batch of their own.
const FEWEST: usize = 256;

/// Tokenises every text, on all threads.
pub(super) fn each(
    pool: &ThreadPool,
    texts: &[&str],
    tokenise: impl Fn(&str) -> Result<Tokens, EncoderError> + Sync,
) -> Result<Vec<Tokens>, EncoderError> {
    let mut inputs: Vec<Option<Result<Tokens, EncoderError>>> = texts.iter().map(|_| None).collect();
    pool.for_each_chunk(&mut inputs, 1, 2, |index, input| input[0] = Some(tokenise(texts[index])));
    inputs.into_iter().flatten().collect()
}

/// Computes something for every sequence, given their lengths: `work` gets indices and gives a result for each.
/// Results come back in the order of `lengths`.
pub(super) fn run<T: Send>(
    machine: &Machine,
    lengths: &[usize],
    budget: usize,
    work: impl Fn(&ThreadPool, &[usize]) -> Result<Vec<T>, EncoderError> + Sync,
) -> Result<Vec<T>, EncoderError> {
    let threads = machine.pool.threads();
    // Two batches or more per thread, so that none waits long for the last.
    let share = lengths.iter().sum::<usize>() / (2 * threads);
    let batches = batches(lengths, budget.min(share.max(FEWEST)));
    let results = Mutex::new(Vec::with_capacity(lengths.len()));
    let keep = |batch: &[usize], found: Result<Vec<T>, EncoderError>| -> Result<(), EncoderError> {
        let found = batch.iter().copied().zip(found?);
        results.lock().expect("a panic in a batch ends the whole run").extend(found);
        Ok(())
    };
    if batches.len() < 2 || threads < 2 {
        batches.iter().try_for_each(|batch| keep(batch, work(&machine.pool, batch)))?;
    } else {
        let next = AtomicUsize::new(0);
        let serve = || {
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                keep(batch, work(&machine.alone, batch))?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(batches.len())).map(|_| scope.spawn(serve)).collect();
            let mine = serve();
            let ended = |other: std::thread::ScopedJoinHandle<'_, _>| {
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            others.into_iter().map(ended).fold(mine, |all: Result<(), EncoderError>, one| all.and(one))
        })?;
    }
    let mut results = results.into_inner().expect("a panic in a batch ends the whole run");
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Indices of `lengths`, longest sequence first, cut so that no batch holds more than `budget` tokens unless
/// one sequence alone does. Every index occurs exactly once.
fn batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
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
