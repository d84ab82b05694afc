//! Grouped-query attention over a pre-allocated cache.

use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor};

use crate::decoder::config::{DecoderConfig, Pairing, Rope};

/// Most elements of one block of attention scores: 64 MiB of `f32`, whatever the context.
pub(super) const MAX_SCORES: usize = 16 << 20;

/// Keys and values of one layer, `[kv_heads, capacity, head_dim]` each, written in place.
pub(super) struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    pub(super) fn new(config: &DecoderConfig, capacity: usize, dtype: DType, device: &Device) -> Result<Self> {
        let shape = (config.kv_heads, capacity, config.head_dim);
        Ok(Self { keys: Tensor::zeros(shape, dtype, device)?, values: Tensor::zeros(shape, dtype, device)? })
    }

    /// Stores `[kv_heads, tokens, head_dim]` from position `start` on.
    pub(super) fn write(&self, keys: &Tensor, values: &Tensor, start: usize) -> Result<()> {
        let dtype = self.keys.dtype();
        self.keys.slice_set(&keys.to_dtype(dtype)?.contiguous()?, 1, start)?;
        self.values.slice_set(&values.to_dtype(dtype)?.contiguous()?, 1, start)
    }

    /// Appends keys and values at `positions`, `[2, kv_heads, positions, head_dim]` in the cache's own type.
    pub(super) fn copy_out(&self, positions: &Range<usize>, copy: &mut Vec<u8>) -> Result<()> {
        for tensor in [&self.keys, &self.values] {
            let part = tensor.narrow(1, positions.start, positions.len())?.contiguous()?.flatten_all()?;
            match part.dtype() {
                DType::F16 => copy.extend(part.to_vec1::<half::f16>()?.into_iter().flat_map(half::f16::to_le_bytes)),
                _ => copy.extend(part.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes)),
            }
        }
        Ok(())
    }

    /// Stores what [`LayerCache::copy_out`] gave for as many positions.
    pub(super) fn copy_in(&self, positions: &Range<usize>, copy: &[u8]) -> Result<()> {
        let (heads, _, width) = self.keys.dims3()?;
        let (keys, values) = copy.split_at(copy.len() / 2);
        for (tensor, bytes) in [(&self.keys, keys), (&self.values, values)] {
            let shape = [heads, positions.len(), width];
            let part = Tensor::from_raw_buffer(bytes, tensor.dtype(), &shape, tensor.device())?;
            tensor.slice_set(&part, 1, positions.start)?;
        }
        Ok(())
    }

    /// Positions `range` of keys and values as `f32`; a view when the cache is `f32`.
    fn read(&self, range: &Range<usize>) -> Result<(Tensor, Tensor)> {
        let part = |tensor: &Tensor| tensor.narrow(1, range.start, range.len())?.to_dtype(DType::F32);
        Ok((part(&self.keys)?, part(&self.values)?))
    }
}

/// Cosines and sines of one pass, `[tokens, dims / 2]`, shared by all layers of the same rotation.
pub(super) struct Rotation {
    cos: Tensor,
    sin: Tensor,
    pairing: Pairing,
    dims: usize,
}

impl Rotation {
    pub(super) fn new(rope: &Rope, positions: Range<usize>, device: &Device) -> Result<Self> {
        let shape = (positions.len(), rope.dims / 2);
        let (cos, sin) = rope.table(positions);
        let (cos, sin) = (Tensor::from_vec(cos, shape, device)?, Tensor::from_vec(sin, shape, device)?);
        Ok(Self { cos, sin, pairing: rope.pairing, dims: rope.dims })
    }

    /// Turns `[heads, tokens, head_dim]`.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (heads, tokens, width) = x.dims3()?;
        let half = self.dims / 2;
        let turning = x.narrow(2, 0, self.dims)?;
        let (a, b) = match self.pairing {
            Pairing::HalfSplit => (turning.narrow(2, 0, half)?, turning.narrow(2, half, half)?),
            Pairing::Interleaved => {
                let pairs = turning.contiguous()?.reshape((heads, tokens, half, 2))?;
                (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
            }
        };
        let first = (a.broadcast_mul(&self.cos)? - b.broadcast_mul(&self.sin)?)?;
        let second = (b.broadcast_mul(&self.cos)? + a.broadcast_mul(&self.sin)?)?;
        let turned = match self.pairing {
            Pairing::HalfSplit => Tensor::cat(&[first, second], 2)?,
            Pairing::Interleaved => Tensor::stack(&[first, second], 3)?.reshape((heads, tokens, self.dims))?,
        };
        if self.dims == width {
            return Ok(turned);
        }
        Tensor::cat(&[turned, x.narrow(2, self.dims, width - self.dims)?], 2)
    }
}

/// Which keys a block of query rows sees, and the mask where not all of its rows see all of them.
struct Block {
    rows: Range<usize>,
    keys: Range<usize>,
    /// `[rows, keys]`: 0 or negative infinity.
    mask: Option<Tensor>,
}

/// The blocks of one pass, shared by all layers of the same window.
pub(super) struct Plan {
    blocks: Vec<Block>,
    /// Everything that any row sees.
    keys: Range<usize>,
}

impl Plan {
    /// Plans a pass of `tokens` rows after `start` cached positions. A row sees itself, the rows before it, and
    /// at most `window` positions in all. No block has more than `max_scores` scores, unless one row does.
    pub(super) fn new(
        config: &DecoderConfig,
        start: usize,
        tokens: usize,
        window: Option<usize>,
        max_scores: usize,
        device: &Device,
    ) -> Result<Self> {
        let first_key = |row: usize| window.map_or(0, |window| (start + row + 1).saturating_sub(window));
        let step = (max_scores / (config.heads * (start + tokens))).clamp(1, tokens);
        let mut blocks = Vec::new();
        for begin in (0..tokens).step_by(step) {
            let rows = begin..(begin + step).min(tokens);
            let keys = first_key(rows.start)..start + rows.end;
            let visible = |row: usize, key: usize| key >= first_key(row) && key <= start + row;
            let mask = (rows.len() > 1).then(|| {
                let cells = rows.clone().flat_map(|row| keys.clone().map(move |key| (row, key)));
                let values = cells.map(|(row, key)| if visible(row, key) { 0.0 } else { f32::NEG_INFINITY }).collect();
                Tensor::from_vec(values, (rows.len(), keys.len()), device)
            });
            blocks.push(Block { mask: mask.transpose()?, rows, keys });
        }
        Ok(Self { blocks, keys: first_key(0)..start + tokens })
    }
}

/// What attention gives back.
pub(super) struct Attended {
    /// `[tokens, heads · head_dim]`.
    pub(super) mixed: Tensor,
    /// Attention of the last row, mean over heads, from position `first` on; empty unless asked for.
    pub(super) last_row: Vec<f32>,
    pub(super) first: usize,
}

/// Mixes the cached values for rotated queries `[heads, tokens, head_dim]`.
pub(super) fn attend(
    config: &DecoderConfig,
    queries: &Tensor,
    cache: &LayerCache,
    plan: &Plan,
    observe: bool,
) -> Result<Attended> {
    let (heads, tokens, width) = queries.dims3()?;
    let (kv_heads, group) = (config.kv_heads, config.group());
    // Query head h reads key/value head h / group: consecutive heads fold into rows of one product.
    let queries = (queries * f64::from(config.query_scale))?.reshape((kv_heads, group, tokens, width))?;
    let (keys, values) = cache.read(&plan.keys)?;
    let mut mixed = Vec::with_capacity(plan.blocks.len());
    let mut last_row = Vec::new();
    for block in &plan.blocks {
        let rows = block.rows.len();
        let (offset, seen) = (block.keys.start - plan.keys.start, block.keys.len());
        let query =
            queries.narrow(2, block.rows.start, rows)?.contiguous()?.reshape((kv_heads, group * rows, width))?;
        let mut scores = query.matmul(&keys.narrow(1, offset, seen)?.t()?)?;
        if let Some(mask) = &block.mask {
            let by_row = scores.reshape((kv_heads, group, rows, seen))?.broadcast_add(mask)?;
            scores = by_row.reshape((kv_heads, group * rows, seen))?;
        }
        let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let sums = weights.sum_keepdim(D::Minus1)?;
        let block_mixed = weights.matmul(&values.narrow(1, offset, seen)?)?.broadcast_div(&sums)?;
        if observe && block.rows.end == tokens {
            let shares = weights.broadcast_div(&sums)?.reshape((heads, rows, seen))?;
            last_row = shares.narrow(1, rows - 1, 1)?.mean(0)?.flatten_all()?.to_vec1()?;
        }
        mixed.push(
            block_mixed.reshape((heads, rows, width))?.transpose(0, 1)?.contiguous()?.reshape((rows, heads * width))?,
        );
    }
    let first = plan.blocks.last().map_or(0, |block| block.keys.start);
    let mixed = if mixed.len() == 1 { mixed.remove(0) } else { Tensor::cat(&mixed, 0)? };
    Ok(Attended { mixed, last_row, first })
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{decoder::DecoderWeights, weights::TensorSource};

    fn numbers(shape: (usize, usize, usize), seed: f64) -> Tensor {
        let count = shape.0 * shape.1 * shape.2;
        let values: Vec<f32> = (0..count).map(|i| ((i as f64 * 0.37 + seed).sin() * 2.0) as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn small_blocks_give_what_one_block_gives() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/apertus/odd");
        let weights = DecoderWeights::new(Arc::new(TensorSource::open(&path).unwrap())).unwrap();
        let config = weights.config();
        let (start, tokens) = (6, 11);
        let cache = LayerCache::new(config, 20, DType::F32, &Device::Cpu).unwrap();
        let kv = (config.kv_heads, start + tokens, config.head_dim);
        cache.write(&numbers(kv, 1.0), &numbers(kv, 2.0), 0).unwrap();
        let queries = numbers((config.heads, tokens, config.head_dim), 3.0);
        for window in [None, Some(4), Some(100)] {
            let run = |max_scores| {
                let plan = Plan::new(config, start, tokens, window, max_scores, &Device::Cpu).unwrap();
                let attended = attend(config, &queries, &cache, &plan, true).unwrap();
                let mut shares = vec![0.0; attended.first];
                shares.extend(attended.last_row);
                (plan.blocks.len(), values(&attended.mixed), shares)
            };
            let (one, whole, whole_shares) = run(MAX_SCORES);
            let (many, pieces, pieces_shares) = run(3 * config.heads * (start + tokens));
            assert_eq!((one, many), (1, 4));
            assert!(whole.iter().zip(&pieces).all(|(a, b)| (a - b).abs() < 1e-5));
            let seen = window.map_or(0, |window| (start + tokens).saturating_sub(window));
            for position in 0..start + tokens {
                assert!((whole_shares[position] - pieces_shares[position]).abs() < 1e-6);
                assert_eq!(whole_shares[position] > 0.0, position >= seen, "{window:?} {position}");
            }
        }
    }

    #[test]
    fn the_two_pairings_are_one_rotation_of_reordered_elements() {
        let rope = Rope {
            theta: 100.0,
            scaling: crate::decoder::config::RopeScaling::None,
            pairing: Pairing::HalfSplit,
            dims: 6,
        };
        let x = numbers((2, 3, 8), 0.5);
        // Half-split element i is interleaved element 2i, and i + 3 is 2i + 1; the last two do not turn.
        let order = Tensor::new(&[0_u32, 3, 1, 4, 2, 5, 6, 7], &Device::Cpu).unwrap();
        let split = Rotation::new(&rope, 5..8, &Device::Cpu).unwrap().apply(&x).unwrap();
        let rope = Rope { pairing: Pairing::Interleaved, ..rope };
        let reordered = x.index_select(&order, 2).unwrap();
        let interleaved = Rotation::new(&rope, 5..8, &Device::Cpu).unwrap().apply(&reordered).unwrap();
        assert_eq!(values(&split.index_select(&order, 2).unwrap()), values(&interleaved));
        assert_ne!(values(&split), values(&x));
    }
}
