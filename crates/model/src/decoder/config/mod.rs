//! One description for every decoder we run: [`DecoderConfig`].
//!
//! The architectures differ in a handful of choices (gated or not, normalised queries or not, biases, windows);
//! each choice is a field here, so that a runner is written once. Numbers always come from the checkpoint; a
//! default is used only where the reference implementation has one and published checkpoints rely on it.

mod gguf;
mod json;
mod rope;

use std::fmt;

use super::DecoderError;
use crate::weights::{Config, TensorSource};

pub use rope::{Pairing, Rope, RopeScaling};

/// The decoder families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Apertus v1.0, v1.1 Mini and the text backbone of v1.5 (arXiv 2509.14233).
    Apertus,
    /// Llama 2 and 3.
    Llama,
    /// Mistral; in GGUF it calls itself llama.
    Mistral,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3, dense.
    Qwen3,
    /// Gemma 3, text.
    Gemma3,
}

impl Architecture {
    const ALL: [Self; 6] = [Self::Apertus, Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    /// Its common name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apertus => "apertus",
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parameters of one layer's xIELU (arXiv 2411.13010), ready to use: softplus is already applied.
///
/// For `x > 0`: `alpha_p·x² + beta·x`; else `alpha_n·(expm1(min(x, eps)) − x) + beta·x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct XIelu {
    /// `softplus(stored alpha_p)`.
    pub alpha_p: f32,
    /// `beta + softplus(stored alpha_n)`.
    pub alpha_n: f32,
    /// Slope at zero.
    pub beta: f32,
    /// Small negative bound below which the exponential is used.
    pub eps: f32,
}

impl XIelu {
    /// Derives the parameters from the stored scalars.
    pub fn from_stored(alpha_p: f32, alpha_n: f32, beta: f32, eps: f32) -> Self {
        Self { alpha_p: softplus(alpha_p), alpha_n: beta + softplus(alpha_n), beta, eps }
    }

    /// Computes the activation.
    pub fn apply(&self, x: f32) -> f32 {
        if x > 0.0 {
            self.alpha_p * x * x + self.beta * x
        } else {
            self.alpha_n * (x.min(self.eps).exp_m1() - x) + self.beta * x
        }
    }
}

/// `ln(1 + eˣ)`; linear above 20, as in the reference, where the difference is below one unit in the last place.
fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// The feed-forward block.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// `down(xIELU(up(x)))`: not gated; one parameter set per layer.
    XIelu(Vec<XIelu>),
    /// `down(silu(gate(x)) · up(x))`.
    SwiGlu,
    /// `down(gelu_tanh(gate(x)) · up(x))`.
    GeGlu,
}

impl Activation {
    /// Says whether there is a gate projection.
    pub fn is_gated(&self) -> bool {
        !matches!(self, Self::XIelu(_))
    }
}

/// Which attention projections carry a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// None.
    None,
    /// Query, key and value.
    Qkv,
    /// Query, key, value and output.
    Qkvo,
}

/// Everything a runner needs to know besides the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// The family.
    pub architecture: Architecture,
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward block.
    pub intermediate: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; `heads · head_dim` need not be `hidden`.
    pub head_dim: usize,
    /// Rows of the input embedding: ids that can be read.
    pub input_rows: usize,
    /// Rows of the output projection: ids that can be generated.
    pub output_rows: usize,
    /// Longest sequence.
    pub context_length: usize,
    /// Epsilon of every RMSNorm.
    pub norm_eps: f32,
    /// Added to every stored norm weight: 1 for Gemma safetensors, else 0 (GGUF has it baked in).
    pub norm_offset: f32,
    /// The feed-forward block.
    pub activation: Activation,
    /// Attention biases.
    pub biases: Biases,
    /// RMSNorm over each query and key head, before the rotation.
    pub qk_norm: bool,
    /// RMSNorm on the outputs of attention and feed-forward, before the residual sum (Gemma).
    pub post_norms: bool,
    /// Factor on the input embedding.
    pub embedding_scale: f32,
    /// Factor on query–key products.
    pub query_scale: f32,
    /// Rotation of layers that see everything.
    pub rope: Rope,
    /// Rotation of layers with a window, where it differs.
    pub local_rope: Option<Rope>,
    /// For each layer, how many positions it sees back, itself included; `None` is all.
    pub windows: Vec<Option<usize>>,
    /// The output projection is the input embedding.
    pub tied: bool,
}

impl DecoderConfig {
    /// Reads the configuration of an opened checkpoint. The xIELU scalars come from its tensors (safetensors) or
    /// its keys (GGUF).
    ///
    /// # Errors
    /// [`DecoderError::UnknownArchitecture`], [`DecoderError::MissingSetting`], [`DecoderError::BadSetting`], and
    /// [`DecoderError::Weights`] when an activation scalar is missing.
    pub fn read(source: &TensorSource) -> Result<Self, DecoderError> {
        let config = match source.config() {
            Config::Json(document) => json::read(document, source)?,
            Config::Gguf(metadata) => gguf::read(&metadata, source)?,
        };
        config.check()?;
        Ok(config)
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// The rotation of `layer`.
    pub fn layer_rope(&self, layer: usize) -> &Rope {
        match (&self.local_rope, self.windows[layer]) {
            (Some(local), Some(_)) => local,
            _ => &self.rope,
        }
    }

    /// Bytes of keys and values per token at `element` bytes each.
    pub fn kv_bytes_per_token(&self, element: usize) -> u64 {
        (2 * self.layers * self.kv_heads * self.head_dim * element) as u64
    }

    fn check(&self) -> Result<(), DecoderError> {
        for (key, value, most) in [
            ("layers", self.layers, 1 << 12),
            ("hidden_size", self.hidden, 1 << 20),
            ("intermediate_size", self.intermediate, 1 << 22),
            ("attention heads", self.heads, 1 << 14),
            ("key/value heads", self.kv_heads, 1 << 14),
            ("head_dim", self.head_dim, 1 << 14),
            ("vocab_size", self.input_rows, 1 << 26),
            ("output_vocab_size", self.output_rows, 1 << 26),
            ("context length", self.context_length, 1 << 30),
        ] {
            if !(1..=most).contains(&value) {
                return Err(bad(key, format!("{value} is not between 1 and {most}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(bad("key/value heads", format!("{} do not divide {} heads", self.kv_heads, self.heads)));
        }
        if self.output_rows > self.input_rows {
            return Err(bad("output_vocab_size", format!("{} ids could be generated but not read", self.output_rows)));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return Err(bad("rms_norm_eps", format!("{} is no epsilon", self.norm_eps)));
        }
        if self.windows.len() != self.layers || self.windows.contains(&Some(0)) {
            return Err(bad("sliding_window", "does not describe every layer".to_owned()));
        }
        for rope in [Some(&self.rope), self.local_rope.as_ref()].into_iter().flatten() {
            rope.check(self.head_dim)?;
        }
        Ok(())
    }
}

pub(super) fn bad(key: &str, reason: String) -> DecoderError {
    DecoderError::BadSetting { key: key.to_owned(), reason }
}

fn missing(key: &str) -> DecoderError {
    DecoderError::MissingSetting { key: key.to_owned() }
}

/// Windows for the Gemma pattern: every `period`-th layer sees everything, the others `window` positions.
fn alternating(layers: usize, window: usize, period: usize) -> Vec<Option<usize>> {
    (0..layers).map(|layer| if (layer + 1).is_multiple_of(period) { None } else { Some(window) }).collect()
}

#[cfg(test)]
mod tests;
