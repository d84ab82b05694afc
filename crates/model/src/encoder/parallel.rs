//! Splits a buffer over threads.

/// Calls `work` with the index and the content of each `chunk`-sized piece of `data`, on up to `threads`
/// threads. Each thread takes one run of neighbouring pieces. The last piece may be shorter.
pub(super) fn for_each_chunk<T: Send>(
    threads: usize,
    data: &mut [T],
    chunk: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let chunk = chunk.max(1);
    let pieces = data.len().div_ceil(chunk);
    let threads = threads.clamp(1, pieces.max(1));
    let per_thread = pieces.div_ceil(threads).max(1);
    let run = |first: usize, data: &mut [T]| {
        data.chunks_mut(chunk).enumerate().for_each(|(index, piece)| work(first + index, piece));
    };
    std::thread::scope(|scope| {
        let mut runs = data.chunks_mut(per_thread * chunk).enumerate();
        let mine = runs.next();
        for (index, part) in runs {
            scope.spawn(move || run(index * per_thread, part));
        }
        if let Some((_, part)) = mine {
            run(0, part);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_visited_once_with_its_index() {
        for (length, chunk, threads) in [(0, 3, 2), (1, 3, 4), (10, 3, 2), (10, 3, 100), (12, 4, 3), (5, 0, 2)] {
            let mut data = vec![0; length];
            for_each_chunk(threads, &mut data, chunk, |index, piece| {
                piece.iter_mut().for_each(|value| *value += index + 1);
            });
            let expected: Vec<usize> = (0..length).map(|i| i / chunk.max(1) + 1).collect();
            assert_eq!(data, expected, "{length} {chunk} {threads}");
        }
    }
}
