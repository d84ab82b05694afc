//! The configuration in a GGUF header.

use super::{
    Activation, Architecture, Biases, DecoderConfig, Pairing, Rope, RopeScaling, XIelu, alternating, bad, missing,
};
use crate::{
    decoder::DecoderError,
    weights::{Metadata, TensorSource, floats},
};

/// Settings of one architecture: its keys share a prefix.
struct Keys<'a> {
    metadata: &'a Metadata<'a>,
    prefix: &'a str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn optional(&self, name: &str) -> Result<Option<usize>, DecoderError> {
        let key = self.key(name);
        match (self.metadata.unsigned(&key), self.metadata.value(&key)) {
            (Some(number), _) if number < 1 << 32 => Ok(Some(number as usize)),
            (_, None) => Ok(None),
            _ => Err(bad(&key, "is not a sensible number".to_owned())),
        }
    }

    fn need(&self, name: &str) -> Result<usize, DecoderError> {
        self.optional(name)?.ok_or_else(|| missing(&self.key(name)))
    }

    fn float(&self, name: &str) -> Option<f64> {
        self.metadata.float(&self.key(name))
    }
}

pub(super) fn read(metadata: &Metadata<'_>, source: &TensorSource) -> Result<DecoderConfig, DecoderError> {
    let prefix = metadata.string("general.architecture").ok_or_else(|| missing("general.architecture"))?;
    let architecture = match prefix {
        "apertus" => Architecture::Apertus,
        "llama" => Architecture::Llama,
        "qwen2" => Architecture::Qwen2,
        "qwen3" => Architecture::Qwen3,
        "gemma3" => Architecture::Gemma3,
        other => return Err(DecoderError::UnknownArchitecture { found: other.to_owned() }),
    };
    let keys = Keys { metadata, prefix };
    refuse_unsupported(&keys)?;
    let gemma = architecture == Architecture::Gemma3;
    let layers = keys.need("block_count")?;
    let hidden = keys.need("embedding_length")?;
    let heads = keys.need("attention.head_count")?;
    let head_dim = match keys.optional("attention.key_length")? {
        Some(length) => length,
        None => hidden.checked_div(heads).unwrap_or(0),
    };
    if layers > 1 << 12 {
        return Err(bad(&keys.key("block_count"), format!("{layers} are too many")));
    }
    let rows = |tensor: &str| -> Result<usize, DecoderError> {
        Ok(source.tensor(tensor)?.shape.first().copied().unwrap_or(0))
    };
    let tied = !source.contains("output.weight");
    let input_rows = rows("token_embd.weight")?;
    let (rope, local_rope) = ropes(&keys, architecture, head_dim, source)?;
    Ok(DecoderConfig {
        architecture,
        layers,
        hidden,
        intermediate: keys.need("feed_forward_length")?,
        heads,
        kv_heads: keys.optional("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        input_rows,
        output_rows: if tied { input_rows } else { rows("output.weight")? },
        context_length: keys.need("context_length")?,
        norm_eps: keys
            .float("attention.layer_norm_rms_epsilon")
            .ok_or_else(|| missing(&keys.key("attention.layer_norm_rms_epsilon")))? as f32,
        norm_offset: 0.0,
        activation: match architecture {
            Architecture::Apertus => Activation::XIelu(xielu(metadata, layers)?),
            Architecture::Gemma3 => Activation::GeGlu,
            _ => Activation::SwiGlu,
        },
        biases: match (source.contains("blk.0.attn_q.bias"), source.contains("blk.0.attn_output.bias")) {
            (true, true) => Biases::Qkvo,
            (true, false) => Biases::Qkv,
            _ => Biases::None,
        },
        // Where the architecture has it, a file without it is damaged, not different.
        qk_norm: matches!(architecture, Architecture::Apertus | Architecture::Qwen3 | Architecture::Gemma3)
            || source.contains("blk.0.attn_q_norm.weight"),
        post_norms: gemma,
        embedding_scale: if gemma { (hidden as f32).sqrt() } else { 1.0 },
        query_scale: query_scale(architecture, layers, hidden, heads, head_dim),
        rope,
        local_rope,
        windows: windows(&keys, architecture, layers)?,
        tied,
    })
}

/// The header has no key for Gemma's query scale; only the 27B (62 layers) differs from the head's width.
fn query_scale(architecture: Architecture, layers: usize, hidden: usize, heads: usize, head_dim: usize) -> f32 {
    let of = if architecture == Architecture::Gemma3 && layers == 62 { hidden / heads.max(1) } else { head_dim };
    (of as f64).powf(-0.5) as f32
}

fn refuse_unsupported(keys: &Keys<'_>) -> Result<(), DecoderError> {
    if keys.optional("expert_count")?.is_some_and(|count| count > 0) {
        return Err(bad(&keys.key("expert_count"), "mixtures of experts are not supported".to_owned()));
    }
    let lengths = (keys.optional("attention.key_length")?, keys.optional("attention.value_length")?);
    if matches!(lengths, (Some(key), Some(value)) if key != value) {
        return Err(bad(&keys.key("attention.value_length"), "differs from the key length".to_owned()));
    }
    Ok(())
}

/// Raw scalars, one per layer, under keys without the architecture's prefix.
fn xielu(metadata: &Metadata<'_>, layers: usize) -> Result<Vec<XIelu>, DecoderError> {
    let column = |key: &str| -> Result<Vec<f64>, DecoderError> {
        // One value for all layers is written as a plain float.
        let values = metadata.floats(key).or_else(|| Some(vec![metadata.float(key)?; layers]));
        let values = values.ok_or_else(|| missing(key))?;
        if values.len() == layers && values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(bad(key, format!("holds {} values for {layers} layers, or one that is no number", values.len())))
        }
    };
    let (alpha_p, alpha_n) = (column("xielu.alpha_p")?, column("xielu.alpha_n")?);
    let (beta, eps) = (column("xielu.beta")?, column("xielu.eps")?);
    Ok((0..layers)
        .map(|l| XIelu::from_stored(alpha_p[l] as f32, alpha_n[l] as f32, beta[l] as f32, eps[l] as f32))
        .collect())
}

fn windows(keys: &Keys<'_>, architecture: Architecture, layers: usize) -> Result<Vec<Option<usize>>, DecoderError> {
    let window = keys.optional("attention.sliding_window")?.filter(|&window| window > 0);
    Ok(match (architecture, window) {
        (Architecture::Gemma3, Some(window)) => {
            let period = keys.optional("attention.sliding_window_pattern")?.filter(|&period| period > 0);
            alternating(layers, window, period.unwrap_or(6))
        }
        _ => vec![None; layers],
    })
}

fn ropes(
    keys: &Keys<'_>,
    architecture: Architecture,
    head_dim: usize,
    source: &TensorSource,
) -> Result<(Rope, Option<Rope>), DecoderError> {
    let gemma = architecture == Architecture::Gemma3;
    let pairing = if architecture == Architecture::Llama { Pairing::Interleaved } else { Pairing::HalfSplit };
    let dims = keys.optional("rope.dimension_count")?.unwrap_or(head_dim);
    let theta = keys.float("rope.freq_base").unwrap_or(if gemma { 1e6 } else { 1e4 });
    let factor = keys.float("rope.scaling.factor").or(keys.float("rope.scale_linear")).filter(|&factor| factor != 0.0);
    let scaling = if source.contains("rope_freqs.weight") {
        RopeScaling::Divisors(floats(&source.tensor("rope_freqs.weight")?)?)
    } else {
        match (keys.metadata.string(&keys.key("rope.scaling.type")), factor) {
            (Some("none"), _) | (None | Some("linear"), None) => RopeScaling::None,
            (None | Some("linear"), Some(factor)) => RopeScaling::Linear { factor },
            (Some(other), _) => {
                let reason = format!("{other:?} is not supported; none, linear and rope_freqs.weight are");
                return Err(bad(&keys.key("rope.scaling.type"), reason));
            }
        }
    };
    let local = gemma.then(|| {
        let theta = keys.float("rope.freq_base_swa").unwrap_or(1e4);
        Rope { theta, scaling: RopeScaling::None, pairing, dims }
    });
    Ok((Rope { theta, scaling, pairing, dims }, local))
}
