//! The key/value cache: half precision, allocated once, laid out for the attention kernels.
//!
//! Per layer and head, with `dim` padded to a multiple of sixteen:
//!
//! ```text
//! keys    [positions / 16][dim][16 positions] f16     a vector holds one channel of sixteen positions: scores of sixteen
//!                                                     positions come out side by side, without horizontal sums
//! values  [positions][dim] f16                        a vector holds sixteen channels of one position: outputs of sixteen
//!                                                     channels come out side by side
//! ```
//!
//! Memory: 2 · layers · heads · dim · 2 bytes per position, 128 KiB for Apertus 8B. The system provides pages as they are
//! first written.

use std::{io, ops::Range};

use half::{f16, slice::HalfFloatSliceExt};

use super::{arena::Arena, attention::MAX_HEAD_DIM, pool::ThreadPool};

/// Positions whose keys are interleaved. Copies of a cache hold whole multiples of it.
pub const KEY_TILE: usize = 16;

/// Keys and values of every layer for one sequence.
pub struct KvCache {
    arena: Arena,
    layers: Vec<[Range<usize>; 2]>,
    heads: usize,
    dim: usize,
    padded: usize,
    capacity: usize,
}

/// Keys and values of one head in one layer.
#[derive(Clone, Copy)]
pub(super) struct HeadCache<'a> {
    /// `[capacity / 16][dim][16]` f16.
    pub(super) keys: &'a [u8],
    /// `[capacity][dim]` f16.
    pub(super) values: &'a [u8],
}

impl KvCache {
    /// Makes an empty cache for `capacity` positions.
    ///
    /// # Errors
    /// The system's refusal of so much memory; `InvalidInput` for heads of no or more than [`MAX_HEAD_DIM`] channels.
    pub fn new(layers: usize, heads: usize, dim: usize, capacity: usize) -> io::Result<Self> {
        if heads == 0 || dim == 0 || dim > MAX_HEAD_DIM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let padded = dim.next_multiple_of(16);
        let capacity = capacity.next_multiple_of(KEY_TILE);
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let part =
            [heads, padded, capacity, 2].into_iter().try_fold(1_usize, usize::checked_mul).ok_or_else(too_large)?;
        let total = Arena::footprint(part).checked_mul(2 * layers).ok_or_else(too_large)?;
        let mut arena = Arena::new(total)?;
        let mut parts = Vec::with_capacity(layers);
        for _ in 0..layers {
            let keys = arena.take(part).ok_or_else(too_large)?;
            let values = arena.take(part).ok_or_else(too_large)?;
            parts.push([keys, values]);
        }
        Ok(Self { arena, layers: parts, heads, dim, padded, capacity })
    }

    /// Positions there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Key/value heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Channels per head.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Bytes of a copy of `positions` positions.
    pub fn copy_bytes(&self, positions: usize) -> usize {
        self.layers.len() * 2 * self.heads * self.padded * 2 * positions
    }

    /// Copies what is stored of `positions`, whole tiles of [`KEY_TILE`], for a cache of the same shape.
    ///
    /// # Panics
    /// When the positions are not whole tiles inside the capacity: a defect of the caller.
    pub fn copy_out(&self, positions: Range<usize>) -> Vec<u8> {
        let part = self.head_part(&positions);
        let mut copy = Vec::with_capacity(self.copy_bytes(positions.len()));
        for side in self.layers.iter().flatten() {
            for head in self.arena.bytes(side).chunks_exact(self.head_bytes()) {
                copy.extend_from_slice(&head[part.clone()]);
            }
        }
        copy
    }

    /// Stores a copy at `positions`, whole tiles. Says whether the copy has the right length; if not, nothing happens.
    ///
    /// # Panics
    /// As [`KvCache::copy_out`].
    pub fn copy_in(&mut self, positions: Range<usize>, copy: &[u8]) -> bool {
        let part = self.head_part(&positions);
        if copy.len() != self.copy_bytes(positions.len()) {
            return false;
        }
        let head_bytes = self.head_bytes();
        let mut pieces = copy.chunks_exact(part.len().max(1));
        for side in self.layers.iter().flatten() {
            for (head, piece) in self.arena.bytes_mut(side).chunks_exact_mut(head_bytes).zip(&mut pieces) {
                head[part.clone()].copy_from_slice(piece);
            }
        }
        true
    }

    /// Where whole tiles lie within a head: keys and values of as many positions take as many bytes.
    fn head_part(&self, positions: &Range<usize>) -> Range<usize> {
        let whole = positions.start.is_multiple_of(KEY_TILE) && positions.end.is_multiple_of(KEY_TILE);
        assert!(whole && positions.end <= self.capacity, "no whole tiles of the cache");
        positions.start * self.padded * 2..positions.end * self.padded * 2
    }

    fn head_bytes(&self) -> usize {
        self.padded * self.capacity * 2
    }

    pub(super) fn head(&self, layer: usize, head: usize) -> HeadCache<'_> {
        let [keys, values] = &self.layers[layer];
        let part = head * self.head_bytes()..(head + 1) * self.head_bytes();
        HeadCache { keys: &self.arena.bytes(keys)[part.clone()], values: &self.arena.bytes(values)[part] }
    }

    /// Stores the keys and values, `[rows, heads · dim]` each, of the positions from `start` on.
    ///
    /// # Panics
    /// When the rows do not fit the capacity or the shape: a defect of the caller.
    pub fn write(&mut self, pool: &ThreadPool, layer: usize, start: usize, keys: &[f32], values: &[f32]) {
        let (heads, dim, padded, head_bytes) = (self.heads, self.dim, self.padded, self.head_bytes());
        let width = heads * dim;
        let rows = keys.len() / width;
        assert!(keys.len() == values.len() && start + rows <= self.capacity, "rows outside the cache");
        let [key_part, value_part] = self.layers[layer].clone();
        pool.for_each_chunk(self.arena.bytes_mut(&key_part), head_bytes, grain(rows, heads), |head, out| {
            for (row, keys) in keys.chunks_exact(width).enumerate() {
                let position = start + row;
                let tile = &mut out[position / KEY_TILE * padded * KEY_TILE * 2..][..padded * KEY_TILE * 2];
                let column = tile.as_chunks_mut::<2>().0.iter_mut().skip(position % KEY_TILE).step_by(KEY_TILE);
                for (out, key) in column.zip(halves(&keys[head * dim..(head + 1) * dim])) {
                    *out = key.to_le_bytes();
                }
            }
        });
        pool.for_each_chunk(self.arena.bytes_mut(&value_part), head_bytes, grain(rows, heads), |head, out| {
            for (row, values) in values.chunks_exact(width).enumerate() {
                let line = out[(start + row) * padded * 2..][..2 * dim].as_chunks_mut::<2>().0;
                for (out, value) in line.iter_mut().zip(halves(&values[head * dim..(head + 1) * dim])) {
                    *out = value.to_le_bytes();
                }
            }
        });
    }
}

/// One head's numbers in half precision, converted eight at a time where the processor can; the rest are zeros.
fn halves(values: &[f32]) -> [f16; MAX_HEAD_DIM] {
    let mut out = [f16::ZERO; MAX_HEAD_DIM];
    out[..values.len()].convert_from_f32_slice(values);
    out
}

/// Heads per turn: a few rows are not worth waking the other threads for.
fn grain(rows: usize, heads: usize) -> usize {
    if rows < 8 { heads } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed) % 101) as f32).collect()
    }

    #[test]
    fn copies_hold_what_was_written_there_and_nothing_else() {
        let pool = ThreadPool::shared(1);
        let (layers, heads, dim) = (2, 3, 20);
        let mut full = KvCache::new(layers, heads, dim, 64).unwrap();
        for layer in 0..layers {
            let rows = numbers(50 * heads * dim, layer);
            full.write(&pool, layer, 0, &rows, &numbers(rows.len(), 7 + layer));
        }
        // Another capacity: tiles of the same positions lie elsewhere.
        let mut other = KvCache::new(layers, heads, dim, 40).unwrap();
        assert!(other.copy_in(0..16, &full.copy_out(0..16)));
        assert!(other.copy_in(16..48, &full.copy_out(16..48)));
        let bytes = 48 * 32 * 2;
        for (layer, head) in (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))) {
            let (copied, source) = (other.head(layer, head), full.head(layer, head));
            assert!(copied.keys[..bytes] == source.keys[..bytes] && copied.values[..bytes] == source.values[..bytes]);
        }
        assert!(!other.copy_in(0..16, &full.copy_out(0..32)), "a copy of another length is refused");
    }
}
