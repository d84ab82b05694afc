//! One pass: some tokens through all layers.

use std::ops::Range;

use super::{CpuNetwork, inputs::Inputs, layer::Layer, rotary_layout};
use crate::{
    decoder::config::Rope,
    kernels::{
        Attend, Attention, KvCache, Output, PackedMatrix, RotaryLayout, activate, attend, rms_norm, rms_norm_in_place,
        rotate,
    },
};

/// Rows of heads or channels per turn of the small steps: below this, waking a thread costs more than it saves.
const GRAIN: usize = 64;

/// The buffers of a pass, reused by every pass of a session.
pub(super) struct Buffers {
    pub(super) inputs: Inputs,
    /// `[tokens, hidden]`, the residual stream.
    pub(super) stream: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    /// `[tokens, hidden]`, an output that is normalised before it joins the stream.
    branch: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// `[query heads, observed ranges]`.
    masses: Vec<f32>,
}

impl Buffers {
    pub(super) fn new(network: &CpuNetwork) -> Self {
        Self {
            inputs: Inputs::new(network.options.isa),
            stream: Vec::new(),
            query: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            attended: Vec::new(),
            branch: Vec::new(),
            gate: Vec::new(),
            up: Vec::new(),
            masses: Vec::new(),
        }
    }
}

/// Cosines and sines of the positions of a pass.
struct Rotation {
    layout: RotaryLayout,
    pairs: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Rotation {
    fn new(rope: &Rope, positions: Range<usize>) -> Self {
        let (cosines, sines) = rope.table(positions);
        Self { layout: rotary_layout(rope.pairing), pairs: rope.dims / 2, cosines, sines }
    }

    fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let part = row * self.pairs..(row + 1) * self.pairs;
        (&self.cosines[part.clone()], &self.sines[part])
    }
}

/// Tokens on their way through the layers.
pub(super) struct Pass<'a> {
    network: &'a CpuNetwork,
    cache: &'a mut KvCache,
    buffers: &'a mut Buffers,
    observed: &'a [Range<usize>],
    /// Position of the first row of the stream.
    start: usize,
    rows: usize,
    global: Rotation,
    local: Option<Rotation>,
}

impl<'a> Pass<'a> {
    /// Begins a pass over the `rows` rows that are in the stream of `buffers`.
    pub(super) fn new(
        network: &'a CpuNetwork,
        cache: &'a mut KvCache,
        buffers: &'a mut Buffers,
        observed: &'a [Range<usize>],
        start: usize,
        rows: usize,
    ) -> Self {
        let config = network.config();
        let positions = start..start + rows;
        let local = config.local_rope.as_ref().map(|rope| Rotation::new(rope, positions.clone()));
        Self { network, cache, buffers, observed, start, rows, global: Rotation::new(&config.rope, positions), local }
    }

    /// Runs all layers and leaves the last `keep` rows in the stream; the last layer works on no others. Returns the attention
    /// mass per layer and observed range.
    pub(super) fn run(&mut self, keep: usize) -> Vec<Vec<f32>> {
        let network = self.network;
        let keep = if self.observed.is_empty() { keep } else { keep.max(1) };
        let mut masses = Vec::new();
        for (index, layer) in network.layers.iter().enumerate() {
            self.project(index, layer);
            if index + 1 == network.layers.len() {
                self.drop_rows(keep);
            }
            if self.rows > 0 {
                masses.push(self.attend(index));
                self.join_attention(layer);
                self.feed_forward(layer);
            }
        }
        if self.observed.is_empty() { Vec::new() } else { masses }
    }

    /// Queries, keys and values: projected, normalised, rotated, stored.
    fn project(&mut self, index: usize, layer: &Layer) {
        let (config, options) = (self.network.config(), &self.network.options);
        let (pool, isa) = (&*options.pool, options.isa);
        let (rows, hidden, dim) = (self.rows, config.hidden, config.head_dim);
        let (width, kv_width) = (config.heads * dim, config.kv_heads * dim);
        let Buffers { inputs, stream, query, key, value, .. } = &mut *self.buffers;
        query.resize(rows * width, 0.0);
        key.resize(rows * kv_width, 0.0);
        value.resize(rows * kv_width, 0.0);
        inputs.fill(pool, [rows, hidden], [&layer.query, &layer.key, &layer.value], |row, out| {
            rms_norm(isa, &stream[row * hidden..(row + 1) * hidden], &layer.attention_norm, config.norm_eps, out);
        });
        let products = [(&layer.query, &mut query[..]), (&layer.key, &mut key[..]), (&layer.value, &mut value[..])];
        inputs.multiply(pool, &self.network.arena, Output::Replace, products);
        let rotation = match (&self.local, config.windows[index]) {
            (Some(local), Some(_)) => local,
            _ => &self.global,
        };
        let biases = layer.biases.as_ref();
        for (which, heads, values) in [(0, config.heads, &mut *query), (1, config.kv_heads, key)] {
            pool.for_each_chunk(values, dim, GRAIN, |chunk, head| {
                if let Some(biases) = biases {
                    add(head, &biases[which][chunk % heads * dim..]);
                }
                if let Some(norms) = &layer.head_norms {
                    rms_norm_in_place(isa, head, &norms[which], config.norm_eps);
                }
                let (cosines, sines) = rotation.row(chunk / heads);
                rotate(isa, rotation.layout, head, cosines, sines);
            });
        }
        if let Some([.., bias]) = biases {
            pool.for_each_chunk(value, kv_width, GRAIN, |_, row| add(row, bias));
        }
        self.cache.write(pool, index, self.start, key, value);
    }

    /// Keeps only the last `keep` rows of stream and queries.
    fn drop_rows(&mut self, keep: usize) {
        let gone = self.rows - keep.min(self.rows);
        if gone > 0 {
            let config = self.network.config();
            self.buffers.stream.copy_within(gone * config.hidden..self.rows * config.hidden, 0);
            self.buffers.query.drain(..gone * config.heads * config.head_dim);
            self.rows -= gone;
            self.start += gone;
        }
    }

    /// Gathers from the cache; returns the last row's attention mass on each observed range, mean over the heads.
    fn attend(&mut self, index: usize) -> Vec<f32> {
        let (config, options) = (self.network.config(), &self.network.options);
        let Buffers { query, attended, masses, .. } = &mut *self.buffers;
        let ranges = self.observed.len();
        attended.resize(query.len(), 0.0);
        masses.resize(config.heads * ranges, 0.0);
        let call = Attend {
            cache: self.cache,
            layer: index,
            attention: Attention { group: config.group(), scale: config.query_scale, window: config.windows[index] },
            start: self.start,
            queries: query,
            observed: self.observed,
        };
        attend(&options.pool, options.isa, &call, attended, masses);
        let mean = |range: usize| masses.iter().skip(range).step_by(ranges).sum::<f32>() / config.heads as f32;
        (0..ranges).map(mean).collect()
    }

    /// Projects what attention gathered and adds it to the stream.
    fn join_attention(&mut self, layer: &Layer) {
        let options = &self.network.options;
        let Buffers { inputs, attended, .. } = &mut *self.buffers;
        let width = attended.len() / self.rows;
        inputs.fill(&options.pool, [self.rows, width], [&layer.attention_output], |row, out| {
            out.copy_from_slice(&attended[row * width..(row + 1) * width]);
        });
        self.join(&layer.attention_output, layer.post_norms.as_ref().map(|norms| &norms[0]));
        if let Some(bias) = &layer.attention_output_bias {
            let hidden = self.network.config().hidden;
            let stream = &mut self.buffers.stream[..self.rows * hidden];
            options.pool.for_each_chunk(stream, hidden, GRAIN, |_, row| add(row, bias));
        }
    }

    fn feed_forward(&mut self, layer: &Layer) {
        let (config, options) = (self.network.config(), &self.network.options);
        let (pool, isa) = (&*options.pool, options.isa);
        let (rows, hidden, inner) = (self.rows, config.hidden, config.intermediate);
        let Buffers { inputs, stream, gate, up, .. } = &mut *self.buffers;
        up.resize(rows * inner, 0.0);
        inputs.fill(pool, [rows, hidden], layer.gate.iter().chain([&layer.up]), |row, out| {
            rms_norm(isa, &stream[row * hidden..(row + 1) * hidden], &layer.feed_forward_norm, config.norm_eps, out);
        });
        let arena = &self.network.arena;
        if let Some(matrix) = &layer.gate {
            gate.resize(rows * inner, 0.0);
            inputs.multiply(pool, arena, Output::Replace, [(matrix, &mut gate[..]), (&layer.up, &mut up[..])]);
        } else {
            inputs.multiply(pool, arena, Output::Replace, [(&layer.up, &mut up[..])]);
        }
        inputs.fill(pool, [rows, inner], [&layer.down], |row, out| {
            let part = row * inner..(row + 1) * inner;
            if layer.gate.is_some() {
                activate(isa, layer.activation, &gate[part.clone()], Some(&up[part]), out);
            } else {
                activate(isa, layer.activation, &up[part], None, out);
            }
        });
        self.join(&layer.down, layer.post_norms.as_ref().map(|norms| &norms[1]));
    }

    /// Multiplies the inputs with `matrix` and adds the result, normalised where asked, to the stream.
    fn join(&mut self, matrix: &PackedMatrix, norm: Option<&Vec<f32>>) {
        let (config, options) = (self.network.config(), &self.network.options);
        let hidden = config.hidden;
        let Buffers { inputs, stream, branch, .. } = &mut *self.buffers;
        let stream = &mut stream[..self.rows * hidden];
        let Some(norm) = norm else {
            return inputs.multiply(&options.pool, &self.network.arena, Output::Add, [(matrix, stream)]);
        };
        branch.resize(stream.len(), 0.0);
        inputs.multiply(&options.pool, &self.network.arena, Output::Replace, [(matrix, &mut branch[..])]);
        options.pool.for_each_chunk(branch, hidden, GRAIN, |_, row| {
            rms_norm_in_place(options.isa, row, norm, config.norm_eps);
        });
        options.pool.for_each_chunk(stream, hidden, GRAIN, |row, out| add(out, &branch[row * hidden..]));
    }
}

/// Adds the first values of `other` to `values`.
fn add(values: &mut [f32], other: &[f32]) {
    values.iter_mut().zip(other).for_each(|(value, other)| *value += other);
}
