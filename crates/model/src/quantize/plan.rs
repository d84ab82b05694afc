//! Which tensors are written, in which type: llama.cpp's mixtures (`llama-quant.cpp`).

use super::{QuantizeError, Target};
use crate::{
    decoder::{
        DecoderWeights, LayerRole, Role,
        config::{DecoderConfig, Rope, RopeScaling},
    },
    weights::WeightType,
};

/// Where a tensor's numbers come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The checkpoint.
    Tensor(Role),
    /// Computed here.
    Numbers(Vec<f32>),
}

/// A tensor of the file to be.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) dtype: WeightType,
    /// Innermost dimension first, as GGUF writes it.
    pub(super) dimensions: Vec<u64>,
    pub(super) elements: usize,
    /// Elements of a row.
    pub(super) width: usize,
    pub(super) bytes: usize,
    pub(super) source: Source,
    /// Bytes it takes in the checkpoint, for progress.
    pub(super) source_bytes: u64,
}

/// All tensors in file order.
pub(super) struct Plan {
    pub(super) tensors: Vec<Planned>,
}

impl Plan {
    pub(super) fn new(weights: &DecoderWeights, target: Target) -> Result<Self, QuantizeError> {
        let config = weights.config();
        let mut tensors = Vec::new();
        for role in weights.roles() {
            let name = match role {
                Role::Embedding => "token_embd.weight".to_owned(),
                Role::OutputNorm => "output_norm.weight".to_owned(),
                // Also where the checkpoint ties it to the embedding: llama.cpp's `apertus` asks for it by name.
                Role::Output => "output.weight".to_owned(),
                Role::Layer(layer, role) => match layer_name(role) {
                    Some(name) => format!("blk.{layer}.{name}.weight"),
                    // Apertus has no biases, gates or post-norms.
                    None => continue,
                },
            };
            let view = weights.tensor(role)?;
            let mut shape = view.shape.to_vec();
            if role == Role::Embedding {
                shape[0] = config.output_rows;
            }
            let width = shape.last().copied().unwrap_or(1);
            let dtype = if shape.len() == 1 { WeightType::F32 } else { fitting(wanted(target, role, config), width) };
            let source_bytes = view.bytes.len() as u64;
            tensors.push(Planned::new(name, dtype, &shape, Source::Tensor(role), source_bytes));
        }
        if let Some(divisors) = rope_divisors(&config.rope) {
            let shape = [divisors.len()];
            let numbers = Source::Numbers(divisors);
            tensors.push(Planned::new("rope_freqs.weight".to_owned(), WeightType::F32, &shape, numbers, 0));
        }
        Ok(Self { tensors })
    }
}

impl Planned {
    fn new(name: String, dtype: WeightType, shape: &[usize], source: Source, source_bytes: u64) -> Self {
        let elements = shape.iter().product();
        let width = shape.last().copied().unwrap_or(1);
        let dimensions = shape.iter().rev().map(|&length| length as u64).collect();
        // `fitting` chose a type whose blocks divide the width.
        let bytes = elements / dtype.block_len() * dtype.block_bytes();
        Self { name, dtype, dimensions, elements, width, bytes, source, source_bytes }
    }
}

fn layer_name(role: LayerRole) -> Option<&'static str> {
    Some(match role {
        LayerRole::AttentionNorm => "attn_norm",
        LayerRole::Query => "attn_q",
        LayerRole::Key => "attn_k",
        LayerRole::Value => "attn_v",
        LayerRole::AttentionOutput => "attn_output",
        LayerRole::QueryNorm => "attn_q_norm",
        LayerRole::KeyNorm => "attn_k_norm",
        LayerRole::FeedForwardNorm => "ffn_norm",
        LayerRole::Up => "ffn_up",
        LayerRole::Down => "ffn_down",
        _ => return None,
    })
}

/// The type of a matrix where its width allows it.
fn wanted(target: Target, role: Role, config: &DecoderConfig) -> WeightType {
    let base = match target {
        Target::Q8_0 => return WeightType::Q8_0,
        Target::Q6K => return WeightType::Q6_K,
        Target::Q5KM => WeightType::Q5_K,
        Target::Q4KM => WeightType::Q4_K,
        Target::Q4_0 => WeightType::Q4_0,
    };
    let mixture = target != Target::Q4_0;
    match role {
        // The output projection decides between tokens.
        Role::Output => WeightType::Q6_K,
        Role::Layer(layer, LayerRole::Value | LayerRole::Down) if mixture && sensitive(layer, config.layers) => {
            WeightType::Q6_K
        }
        _ => base,
    }
}

/// llama.cpp's choice of layers that get more bits: the first and last eighth, and every third between.
fn sensitive(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// The nearest type whose blocks fill rows of `width`: llama.cpp's fallbacks, with one more step.
fn fitting(wanted: WeightType, width: usize) -> WeightType {
    let fills = |dtype: WeightType| width.is_multiple_of(dtype.block_len());
    if fills(wanted) {
        return wanted;
    }
    let smaller = match wanted {
        // candle multiplies the next two types two blocks at a time and stops at an odd number of them.
        WeightType::Q4_K if width.is_multiple_of(64) => WeightType::Q5_0,
        WeightType::Q5_K if width.is_multiple_of(64) => WeightType::Q5_1,
        WeightType::Q4_K | WeightType::Q5_K => WeightType::Q8_0,
        WeightType::Q6_K => WeightType::Q8_0,
        other => other,
    };
    if fills(smaller) { smaller } else { WeightType::F16 }
}

/// What each frequency is divided by (Llama 3.1 scaling, baked in as llama.cpp's converter does).
fn rope_divisors(rope: &Rope) -> Option<Vec<f32>> {
    let &RopeScaling::Llama3 { factor, low, high, original_context } = &rope.scaling else { return None };
    let divisor = |pair: usize| {
        let wavelength = std::f64::consts::TAU * rope.theta.powf((2 * pair) as f64 / rope.dims as f64);
        if wavelength < original_context / high {
            1.0
        } else if wavelength > original_context / low {
            factor
        } else {
            let smooth = (original_context / wavelength - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    Some((0..rope.dims / 2).map(|pair| divisor(pair) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_rows_fall_back_as_in_llama_cpp() {
        assert_eq!(fitting(WeightType::Q4_K, 512), WeightType::Q4_K);
        assert_eq!(fitting(WeightType::Q4_K, 320), WeightType::Q5_0);
        assert_eq!(fitting(WeightType::Q5_K, 320), WeightType::Q5_1);
        assert_eq!(fitting(WeightType::Q5_K, 96), WeightType::Q8_0);
        assert_eq!(fitting(WeightType::Q6_K, 320), WeightType::Q8_0);
        assert_eq!(fitting(WeightType::Q4_0, 100), WeightType::F16);
    }

    #[test]
    fn sensitive_layers_are_llama_cpps() {
        let of = |layers| (0..layers).filter(|&layer| sensitive(layer, layers)).collect::<Vec<_>>();
        assert_eq!(of(4), [2, 3]);
        assert_eq!(of(32), [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
    }
}
