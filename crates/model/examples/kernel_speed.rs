//! Speed of each kernel by itself, as one line of JSON per kernel, to see which one a change made slower.
//!
//! `kernel_speed [ISA] [THREADS]`: the time of one call (median), with multiply-adds and bytes of weights or cache per second.
//! `kernel_speed ISA 1 KERNEL COUNT`: calls one kernel COUNT times on a small shape and says nothing; `benches/instructions.py`
//! counts the instructions of that. Kernels: see `KERNELS`; shapes are those of a model of 1.5 billion parameters and of e5-small.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program, not a library")]

use std::{hint::black_box, ops::Range, sync::Arc, time::Instant};

use fontes_model::{
    kernels::{
        Activation, Activations, Arena, Attend, Attention, Heads, Int8Matrix, Int8Rows, Isa, KvCache, Output,
        PackedMatrix, Product, RotaryLayout, Then, ThreadPool, TileFormat, activate, attend, attend_within, multiply,
        multiply_int8, rms_norm, rotate,
    },
    weights::WeightType,
};

const KERNELS: [&str; 15] = [
    "q4_k-1",
    "q4_k-4",
    "q4_k-256",
    "q6_k-1",
    "q6_k-256",
    "q8_0-1",
    "q8_0-256",
    "q4_0-1",
    "q4_0-256",
    "attend-1",
    "attend-256",
    "int8-256",
    "attend-within",
    "xielu",
    "norm-rotate",
];

/// How large the inputs are: as in real use, or small enough for an instrumented run.
#[derive(Clone, Copy)]
struct Scale {
    inputs: usize,
    outputs: usize,
    positions: usize,
    rows: usize,
}

const REAL: Scale = Scale { inputs: 2048, outputs: 32_768, positions: 2048, rows: 256 };
const SMALL: Scale = Scale { inputs: 512, outputs: 64, positions: 128, rows: 32 };

/// One kernel with its inputs, and what a call reads and multiplies.
struct Kernel {
    call: Box<dyn FnMut()>,
    multiply_adds: usize,
    bytes: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let isa =
        arguments.get(1).map_or(Isa::detect(), |name| Isa::ALL.into_iter().find(|isa| isa.name() == name).unwrap());
    let pool = ThreadPool::shared(arguments.get(2).map_or(1, |threads| threads.parse().unwrap()));
    if let Some(name) = arguments.get(3) {
        let mut kernel = kernel(name, isa, &pool, SMALL);
        (0..arguments[4].parse().unwrap()).for_each(|_| (kernel.call)());
        return;
    }
    for name in KERNELS {
        let mut kernel = kernel(name, isa, &pool, REAL);
        let seconds = median(&mut kernel.call);
        println!(
            "{{\"kernel\": \"{name}\", \"isa\": \"{}\", \"microseconds\": {:.1}, \"gmacs\": {:.1}, \"gbs\": {:.1}}}",
            isa.name(),
            seconds * 1e6,
            kernel.multiply_adds as f64 / seconds / 1e9,
            kernel.bytes as f64 / seconds / 1e9,
        );
    }
}

/// Seconds of one call: the median over a third of a second, at least five.
fn median(call: &mut dyn FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < 5 || begin.elapsed().as_secs_f64() < 0.3 {
        let begin = Instant::now();
        call();
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn kernel(name: &str, isa: Isa, pool: &Arc<ThreadPool>, scale: Scale) -> Kernel {
    let pool = Arc::clone(pool);
    match name {
        "attend-1" => attention(isa, pool, scale, 1),
        "attend-256" => attention(isa, pool, scale, scale.rows),
        "int8-256" => int8(isa, pool, scale),
        "attend-within" => within(isa, pool, scale),
        "xielu" => xielu(isa, scale),
        "norm-rotate" => norm_rotate(isa, scale),
        product => {
            let (format, rows) = product.split_once('-').unwrap();
            let format = match format {
                "q4_k" => WeightType::Q4_K,
                "q6_k" => WeightType::Q6_K,
                "q8_0" => WeightType::Q8_0,
                _ => WeightType::Q4_0,
            };
            quantised(isa, pool, scale, format, rows.parse::<usize>().unwrap().min(scale.rows))
        }
    }
}

/// A product with packed weights, larger than any cache at the real scale.
fn quantised(isa: Isa, pool: Arc<ThreadPool>, scale: Scale, format: WeightType, rows: usize) -> Kernel {
    let shape = [scale.outputs, scale.inputs];
    // Zeros with small scales: the kernels do the same work for every value.
    let stored = vec![1; format.byte_len(scale.inputs).unwrap() * scale.outputs];
    let mut arena = Arena::new(PackedMatrix::footprint(format, shape[0], shape[1])).unwrap();
    let matrix = PackedMatrix::pack(&mut arena, &pool, format, shape, &stored).unwrap();
    let values = noise(rows * scale.inputs);
    let mut activations = Activations::new(isa, TileFormat::of(format).scaling());
    activations.fill(&pool, rows, scale.inputs, |row, out| {
        out.copy_from_slice(&values[row * scale.inputs..(row + 1) * scale.inputs]);
    });
    let mut out = vec![0.0; rows * scale.outputs];
    let bytes = matrix.bytes();
    let call = move || {
        let mut products = [Product { matrix: &matrix, out: &mut out, output: Output::Replace }];
        multiply(&pool, &arena, &activations, &mut products);
        black_box(&out);
    };
    Kernel { call: Box::new(call), multiply_adds: rows * scale.inputs * scale.outputs, bytes }
}

/// Grouped-query attention over a half-precision cache: 2 key heads for 12 query heads of 128.
fn attention(isa: Isa, pool: Arc<ThreadPool>, scale: Scale, rows: usize) -> Kernel {
    const GROUP: usize = 6;
    const HEADS: usize = 2;
    const DIM: usize = 128;
    let positions = scale.positions;
    let mut cache = KvCache::new(1, HEADS, DIM, positions).unwrap();
    cache.write(&pool, 0, 0, &noise(positions * HEADS * DIM), &noise(positions * HEADS * DIM));
    let queries = noise(rows * HEADS * GROUP * DIM);
    let mut out = vec![0.0; queries.len()];
    let call = move || {
        let call = Attend {
            cache: &cache,
            layer: 0,
            attention: Attention { group: GROUP, scale: 0.09, window: None },
            start: positions - rows,
            queries: &queries,
            observed: &[],
        };
        attend(&pool, isa, &call, &mut out, &mut []);
        black_box(&out);
    };
    let multiply_adds = 2 * rows * positions * HEADS * GROUP * DIM;
    Kernel { call: Box::new(call), multiply_adds, bytes: positions * HEADS * DIM * 4 }
}

/// A product of the encoder: 384 inputs, 1,536 outputs, GELU.
fn int8(isa: Isa, pool: Arc<ThreadPool>, scale: Scale) -> Kernel {
    let shape = [1536.min(scale.outputs), 384];
    let mut arena = Arena::new(Int8Matrix::footprint(shape[0], shape[1])).unwrap();
    let matrix =
        Int8Matrix::pack(&mut arena, &pool, shape, noise(shape[0] * shape[1]), vec![0.0; shape[0]], &[]).unwrap();
    let mut rows = Int8Rows::new(isa);
    rows.fill(&pool, &bell(scale.rows * shape[1]), &matrix);
    let mut out = vec![0.0; scale.rows * shape[0]];
    let call = move || {
        multiply_int8(&pool, &arena, &rows, &matrix, Then::BiasGelu, &mut out);
        black_box(&out);
    };
    Kernel { call: Box::new(call), multiply_adds: scale.rows * shape[0] * shape[1], bytes: shape[0] * shape[1] }
}

/// Attention of the encoder, within texts of 128 tokens.
fn within(isa: Isa, pool: Arc<ThreadPool>, scale: Scale) -> Kernel {
    const TEXT: usize = 128;
    let heads = Heads { hidden: 384, count: 12, rounded: true };
    let tokens = scale.positions;
    let texts: Vec<Range<usize>> = (0..tokens / TEXT).map(|text| text * TEXT..(text + 1) * TEXT).collect();
    let projected = noise(tokens * 3 * heads.hidden);
    let mut out = vec![0.0; tokens * heads.hidden];
    let call = move || {
        attend_within(&pool, isa, heads, &texts, &projected, &mut out);
        black_box(&out);
    };
    Kernel {
        call: Box::new(call),
        multiply_adds: 2 * tokens * TEXT * heads.hidden,
        bytes: tokens * 3 * heads.hidden * 4,
    }
}

/// The activation of Apertus over a row of 10,752.
fn xielu(isa: Isa, scale: Scale) -> Kernel {
    let values = noise(21 * scale.inputs / 4);
    let mut out = vec![0.0; values.len()];
    let bytes = values.len() * 4;
    let activation = Activation::Xielu { positive: 0.8, negative: 0.8, beta: 0.5, eps: -1e-6 };
    let call = move || {
        activate(isa, activation, &values, None, &mut out);
        black_box(&out);
    };
    Kernel { call: Box::new(call), multiply_adds: 0, bytes }
}

/// RMS norm of a row, then rotation of its heads of 128.
fn norm_rotate(isa: Isa, scale: Scale) -> Kernel {
    let (values, weight) = (noise(scale.inputs), noise(scale.inputs));
    let (cosines, sines) = (noise(64), noise(64));
    let mut out = vec![0.0; values.len()];
    let bytes = values.len() * 8;
    let call = move || {
        rms_norm(isa, &values, &weight, 1e-6, &mut out);
        out.chunks_exact_mut(128).for_each(|head| rotate(isa, RotaryLayout::HalfSplit, head, &cosines, &sines));
        black_box(&out);
    };
    Kernel { call: Box::new(call), multiply_adds: 0, bytes }
}

/// Values in ±4 that are rare at the ends, as what a layer normalisation gives: how the encoder's products are done depends on it.
fn bell(count: usize) -> Vec<f32> {
    noise(4 * count).as_chunks::<4>().0.iter().map(|four| four.iter().sum()).collect()
}

/// Values in ±1 (a linear congruence).
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let value = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(value).collect()
}
