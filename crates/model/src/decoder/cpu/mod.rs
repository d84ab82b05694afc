//! The CPU runner: every architecture of [`DecoderConfig`] over our own kernels.
//!
//! A [`CpuNetwork`] holds all weight matrices repacked into one huge-page arena, in the precision of the file (plain
//! floats become 8 bits); norms and biases as f32; the embedding stays in the mapped file and rows are expanded when they are
//! looked up. A session holds the half-precision cache and every buffer of a pass, allocated once.
//!
//! **Why beside candle.** Its products are two to three times slower than the processor allows, and its attention on CPU
//! handles one query and one key at a time. **Exactness:** activations are rounded to 8 bits in blocks before each
//! product, as llama.cpp does for the same weights; the candle runner is the reference in tests.

mod copy;
mod inputs;
mod layer;
mod pass;
mod session;

use std::sync::Arc;

use fontes_core::Result;

pub use self::copy::PackedCopy;
use self::{
    copy::Unused,
    layer::{Layer, is_matrix},
    session::CpuEngine,
};
use super::{
    DecoderError, DecoderWeights, Network, Role, Session, TokenCost,
    config::{DecoderConfig, Pairing},
    memory::{usual_session, what_fits},
    sequence::Sequence,
};
use crate::{
    kernels::{Arena, Isa, MAX_HEAD_DIM, PackError, PackedMatrix, RotaryLayout, ThreadPool},
    weights::WeightsError,
};

/// How the CPU runner is to work.
#[derive(Clone)]
pub struct CpuOptions {
    /// The threads it computes on.
    pub pool: Arc<ThreadPool>,
    /// The kernels.
    pub isa: Isa,
    /// Bytes that weights, cache and scratch may take together; `None` does not ask.
    pub max_memory: Option<u64>,
    /// Where packed weights are kept for the next process; `None` packs them anew.
    pub copy: Option<PackedCopy>,
}

/// A decoder whose weights are packed for the CPU kernels.
pub struct CpuNetwork {
    weights: DecoderWeights,
    options: CpuOptions,
    arena: Arena,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    output: PackedMatrix,
}

impl CpuNetwork {
    /// Says whether the kernels cover the model.
    pub fn supports(config: &DecoderConfig) -> bool {
        config.head_dim <= MAX_HEAD_DIM
    }

    /// Says whether the file's weights are quantised, so that nothing is lost against the file.
    ///
    /// # Errors
    /// As [`DecoderWeights::tensor`].
    pub fn suits(weights: &DecoderWeights) -> Result<bool, DecoderError> {
        Ok(weights.tensor(Role::Layer(0, super::LayerRole::Down))?.dtype.is_quantised())
    }

    /// Packs all weights but the embedding, or maps the copy of them that an earlier process kept.
    ///
    /// # Errors
    /// [`DecoderError::TooLittleMemory`] before anything is packed; [`DecoderError::NotBuilt`] for heads that are too wide;
    /// [`DecoderError::Weights`].
    pub fn load(weights: DecoderWeights, options: CpuOptions) -> Result<Self, DecoderError> {
        if !Self::supports(weights.config()) {
            return Err(DecoderError::NotBuilt { what: "a CPU runner for heads of more than 256 channels" });
        }
        let mut total = 0_usize;
        for role in weights.roles().filter(|&role| is_matrix(role)) {
            let view = weights.tensor(role)?;
            total = total.saturating_add(PackedMatrix::footprint(view.dtype, view.shape[0], view.shape[1]));
        }
        let session = usual_session(weights.config(), 2);
        let needed = session.saturating_add(total as u64);
        if let Some(available) = options.max_memory.filter(|&available| needed > available) {
            let fits = what_fits(&weights, session, available)?;
            return Err(DecoderError::TooLittleMemory { needed, available, fits });
        }
        let out_of_memory = |_| too_little(total as u64, options.max_memory, "free memory first");
        let pool = &*options.pool;
        let kept = options.copy.as_ref().map(|copy| copy.open(total, pool));
        let missing = matches!(kept, Some(Err(Unused::Missing)));
        let (mut arena, packed) = match kept {
            Some(Ok(arena)) => (arena, true),
            _ => (Arena::new(total).map_err(out_of_memory)?, false),
        };
        let mut loader = Loader { weights: &weights, pool, arena: &mut arena, packed };
        let layers =
            (0..weights.config().layers).map(|layer| Layer::load(&mut loader, layer)).collect::<Result<_, _>>()?;
        let output = loader.matrix(Role::Output)?;
        let output_norm = weights.vector(Role::OutputNorm)?;
        if let (true, Some(copy)) = (missing, &options.copy) {
            copy.keep(&arena, pool);
        }
        Ok(Self { layers, output_norm, output, arena, options, weights })
    }

    fn config(&self) -> &DecoderConfig {
        self.weights.config()
    }

    /// Bytes of packed weights.
    fn packed_bytes(&self) -> usize {
        self.arena.used()
    }
}

/// Refuses what is past the limit of memory.
fn admit(options: &CpuOptions, needed: u64, fits: &str) -> Result<(), DecoderError> {
    match options.max_memory {
        Some(available) if needed > available => Err(too_little(needed, options.max_memory, fits)),
        _ => Ok(()),
    }
}

fn too_little(needed: u64, available: Option<u64>, fits: &str) -> DecoderError {
    DecoderError::TooLittleMemory { needed, available: available.unwrap_or(0), fits: fits.to_owned() }
}

/// Packs tensors by role.
struct Loader<'a> {
    weights: &'a DecoderWeights,
    pool: &'a ThreadPool,
    arena: &'a mut Arena,
    /// Whether the arena holds them already.
    packed: bool,
}

impl Loader<'_> {
    fn matrix(&mut self, role: Role) -> Result<PackedMatrix, DecoderError> {
        let view = self.weights.tensor(role)?;
        let shape = [view.shape[0], view.shape[1]];
        let matrix = if self.packed {
            PackedMatrix::place(self.arena, view.dtype, shape)
        } else {
            let matrix = PackedMatrix::pack(self.arena, self.pool, view.dtype, shape, view.bytes);
            self.weights.source().release(view.name);
            matrix
        };
        matrix.map_err(|error| match error {
            PackError::Weights(error) => error.into(),
            // Lengths were checked when the file was opened, and the arena was sized from the same shapes.
            PackError::Full | PackError::WrongLength { .. } => WeightsError::WrongShape {
                tensor: view.name.to_owned(),
                wanted: shape.to_vec(),
                found: view.shape.to_vec(),
            }
            .into(),
        })
    }
}

fn rotary_layout(pairing: Pairing) -> RotaryLayout {
    match pairing {
        Pairing::HalfSplit => RotaryLayout::HalfSplit,
        Pairing::Interleaved => RotaryLayout::Interleaved,
    }
}

impl Network for CpuNetwork {
    fn output_size(&self) -> usize {
        self.config().output_rows
    }

    fn input_size(&self) -> usize {
        self.config().input_rows
    }

    fn context_length(&self) -> usize {
        self.config().context_length
    }

    fn layers(&self) -> usize {
        self.config().layers
    }

    fn session(&self, capacity: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Sequence::new(self.config(), capacity, || CpuEngine::new(self, capacity))?))
    }

    fn cost(&self) -> Option<TokenCost> {
        let products = self.layers.iter().flat_map(Layer::matrices).map(|matrix| matrix.rows() * matrix.cols());
        Some(TokenCost { multiply_adds: products.sum(), bytes: self.packed_bytes() })
    }
}

#[cfg(test)]
mod tests;
