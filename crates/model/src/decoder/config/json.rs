//! `config.json` of Hugging Face checkpoints.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Activation, Architecture, Biases, DecoderConfig, Pairing, Rope, RopeScaling, XIelu, alternating, bad, missing,
};
use crate::{
    decoder::{DecoderError, weights::hugging_face_prefix},
    weights::{TensorSource, WeightsError, floats},
};

/// The keys that matter, of all families.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw {
    model_type: Option<String>,
    vocab_size: Option<usize>,
    output_vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    qk_norm: Option<bool>,
    post_norm: Option<bool>,
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
    partial_rotary_factor: Option<f64>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    sliding_window_pattern: Option<usize>,
    layer_types: Option<Vec<String>>,
    query_pre_attn_scalar: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct RawRope {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    partial_rotary_factor: Option<f64>,
}

pub(super) fn read(document: &Value, source: &TensorSource) -> Result<DecoderConfig, DecoderError> {
    let outer: Raw = parse("config.json", document)?;
    let outer_type = outer.model_type.clone().unwrap_or_default();
    let architecture = architecture(&outer_type)?;
    let raw = match document.get("text_config") {
        Some(text) => parse("text_config", text)?,
        None => outer,
    };
    refuse_unsupported(&raw)?;
    let need = |value: Option<usize>, key: &str| value.ok_or_else(|| missing(key));
    let gemma = architecture == Architecture::Gemma3;
    let layers = need(raw.num_hidden_layers, "num_hidden_layers")?;
    let hidden = need(raw.hidden_size, "hidden_size")?;
    // The multimodal Gemma checkpoints leave what their library defaults to.
    let heads = need(raw.num_attention_heads.or(gemma.then_some(8)), "num_attention_heads")?;
    let kv_heads = raw.num_key_value_heads.unwrap_or(if gemma { 4 } else { heads });
    let head_dim = raw.head_dim.unwrap_or(if gemma { 256 } else { hidden.checked_div(heads).unwrap_or(0) });
    let input_rows = need(raw.vocab_size.or(gemma.then_some(262_208)), "vocab_size")?;
    let context_length = need(raw.max_position_embeddings.or(gemma.then_some(131_072)), "max_position_embeddings")?;
    let scale_of = raw.query_pre_attn_scalar.filter(|_| gemma).unwrap_or(head_dim as f64);
    let windows = windows(&raw, architecture, layers);
    let (rope, local_rope) = ropes(&raw, architecture, head_dim)?;
    if layers > 1 << 12 {
        return Err(bad("num_hidden_layers", format!("{layers} are too many")));
    }
    Ok(DecoderConfig {
        architecture,
        layers,
        hidden,
        intermediate: need(raw.intermediate_size, "intermediate_size")?,
        heads,
        kv_heads,
        head_dim,
        input_rows,
        output_rows: raw.output_vocab_size.unwrap_or(input_rows),
        context_length,
        norm_eps: raw.rms_norm_eps.unwrap_or(if architecture == Architecture::Apertus { 1e-5 } else { 1e-6 }) as f32,
        norm_offset: if gemma { 1.0 } else { 0.0 },
        activation: activation(&raw, architecture, layers, source)?,
        biases: match architecture {
            Architecture::Qwen2 => Biases::Qkv,
            _ if raw.attention_bias == Some(true) => Biases::Qkvo,
            _ => Biases::None,
        },
        qk_norm: gemma
            || architecture == Architecture::Qwen3
            || (architecture == Architecture::Apertus && raw.qk_norm != Some(false)),
        post_norms: gemma,
        embedding_scale: if gemma { (hidden as f32).sqrt() } else { 1.0 },
        query_scale: scale_of.powf(-0.5) as f32,
        rope,
        local_rope,
        windows,
        tied: raw.tie_word_embeddings.unwrap_or(gemma),
    })
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, value: &Value) -> Result<T, DecoderError> {
    T::deserialize(value).map_err(|error| bad(key, error.to_string()))
}

fn architecture(model_type: &str) -> Result<Architecture, DecoderError> {
    Ok(match model_type {
        "apertus" | "apertus1p5" | "apertus1p5_text" => Architecture::Apertus,
        "llama" => Architecture::Llama,
        "mistral" => Architecture::Mistral,
        "qwen2" => Architecture::Qwen2,
        "qwen3" => Architecture::Qwen3,
        "gemma3" | "gemma3_text" => Architecture::Gemma3,
        other => return Err(DecoderError::UnknownArchitecture { found: other.to_owned() }),
    })
}

/// Settings that change the arithmetic and that no published checkpoint of these families uses.
fn refuse_unsupported(raw: &Raw) -> Result<(), DecoderError> {
    let unsupported = [
        ("mlp_bias", raw.mlp_bias == Some(true)),
        ("post_norm", raw.post_norm == Some(true)),
        ("attn_logit_softcapping", raw.attn_logit_softcapping.is_some()),
        ("final_logit_softcapping", raw.final_logit_softcapping.is_some()),
    ];
    match unsupported.into_iter().find(|(_, set)| *set) {
        Some((key, _)) => Err(bad(key, "is not supported".to_owned())),
        None => Ok(()),
    }
}

fn activation(
    raw: &Raw,
    architecture: Architecture,
    layers: usize,
    source: &TensorSource,
) -> Result<Activation, DecoderError> {
    let name = raw.hidden_activation.as_deref().or(raw.hidden_act.as_deref());
    match (architecture, name) {
        (Architecture::Apertus, None | Some("xielu")) => xielu(layers, source).map(Activation::XIelu),
        (Architecture::Gemma3, None | Some("gelu_pytorch_tanh")) => Ok(Activation::GeGlu),
        (Architecture::Apertus | Architecture::Gemma3, Some(other)) => {
            Err(bad("hidden_act", format!("{other:?} is not the activation of {architecture}")))
        }
        (_, None | Some("silu")) => Ok(Activation::SwiGlu),
        (_, Some(other)) => Err(bad("hidden_act", format!("{other:?} is not supported"))),
    }
}

/// The stored scalars of each layer; `beta` and `eps` are buffers that may be absent, with the published values.
fn xielu(layers: usize, source: &TensorSource) -> Result<Vec<XIelu>, DecoderError> {
    let prefix = hugging_face_prefix(source);
    let scalar = |layer: usize, name: &str, default: Option<f32>| -> Result<f32, DecoderError> {
        let tensor = format!("{prefix}layers.{layer}.mlp.act_fn.{name}");
        if let (false, Some(value)) = (source.contains(&tensor), default) {
            return Ok(value);
        }
        let view = source.tensor(&tensor)?;
        if view.elements() != 1 {
            let found = view.shape.to_vec();
            return Err(WeightsError::WrongShape { tensor, wanted: vec![1], found }.into());
        }
        let value = floats(&view)?[0];
        if value.is_finite() { Ok(value) } else { Err(WeightsError::NotFinite { tensor }.into()) }
    };
    (0..layers)
        .map(|layer| {
            Ok(XIelu::from_stored(
                scalar(layer, "alpha_p", None)?,
                scalar(layer, "alpha_n", None)?,
                scalar(layer, "beta", Some(0.5))?,
                scalar(layer, "eps", Some(-1e-6))?,
            ))
        })
        .collect()
}

fn windows(raw: &Raw, architecture: Architecture, layers: usize) -> Vec<Option<usize>> {
    let gemma = architecture == Architecture::Gemma3;
    let window = match architecture {
        Architecture::Gemma3 => raw.sliding_window.or(Some(4096)),
        Architecture::Mistral => raw.sliding_window,
        _ => raw.sliding_window.filter(|_| raw.use_sliding_window == Some(true)),
    };
    let Some(window) = window else { return vec![None; layers.min(1 << 12)] };
    if let Some(types) = &raw.layer_types {
        return types.iter().map(|kind| (kind == "sliding_attention").then_some(window)).collect();
    }
    if gemma {
        return alternating(layers.min(1 << 12), window, raw.sliding_window_pattern.unwrap_or(6).max(1));
    }
    // Qwen windows only the layers from `max_window_layers` on; Mistral all.
    let first = if architecture == Architecture::Mistral { 0 } else { raw.max_window_layers.unwrap_or(layers) };
    (0..layers.min(1 << 12)).map(|layer| (layer >= first).then_some(window)).collect()
}

fn ropes(raw: &Raw, architecture: Architecture, head_dim: usize) -> Result<(Rope, Option<Rope>), DecoderError> {
    let gemma = architecture == Architecture::Gemma3;
    let mut parameters: Vec<RawRope> = Vec::new();
    let written = raw.rope_parameters.as_ref().or(raw.rope_scaling.as_ref()).filter(|value| !value.is_null());
    if let Some(value) = written {
        // Newer files with two rotations key the parameters by the kind of layer.
        match value.get("full_attention") {
            Some(full) => {
                parameters.push(parse("rope_parameters", full)?);
                if let Some(local) = value.get("sliding_attention") {
                    parameters.push(parse("rope_parameters", local)?);
                }
            }
            None => parameters.push(parse("rope_parameters", value)?),
        }
    }
    let default_theta = match architecture {
        Architecture::Apertus => 12e6,
        Architecture::Gemma3 => 1e6,
        _ => 1e4,
    };
    let global = parameters.first().cloned().unwrap_or_default();
    let theta = global.rope_theta.or(raw.rope_theta).unwrap_or(default_theta);
    let rope = rope(&global, theta, raw.partial_rotary_factor, head_dim)?;
    if !gemma {
        return Ok((rope, None));
    }
    let local = parameters.get(1).cloned().unwrap_or_default();
    let theta = local.rope_theta.or(raw.rope_local_base_freq).unwrap_or(1e4);
    let local = self::rope(&local, theta, raw.partial_rotary_factor, head_dim)?;
    Ok((rope, Some(local)))
}

fn rope(raw: &RawRope, theta: f64, partial: Option<f64>, head_dim: usize) -> Result<Rope, DecoderError> {
    let need = |value: Option<f64>, key: &str| value.ok_or_else(|| missing(key));
    let scaling = match raw.rope_type.as_deref() {
        None | Some("default") => RopeScaling::None,
        Some("linear") => RopeScaling::Linear { factor: need(raw.factor, "rope factor")? },
        Some("llama3") => RopeScaling::Llama3 {
            factor: need(raw.factor, "rope factor")?,
            low: need(raw.low_freq_factor, "low_freq_factor")?,
            high: need(raw.high_freq_factor, "high_freq_factor")?,
            original_context: need(raw.original_max_position_embeddings, "original_max_position_embeddings")?,
        },
        Some(other) => {
            return Err(bad("rope_type", format!("{other:?} is not supported; default, linear and llama3 are")));
        }
    };
    let share = raw.partial_rotary_factor.or(partial).unwrap_or(1.0);
    Ok(Rope { theta, scaling, pairing: Pairing::HalfSplit, dims: (head_dim as f64 * share) as usize })
}
