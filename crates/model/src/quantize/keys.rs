//! The header of the file to be: shape, activation, tokenizer, template, provenance.

use std::path::Path;

use fontes_core::Vocabulary as _;
use serde_json::Value;

use super::{QuantizeError, Target, writer::Entry};
use crate::{
    decoder::{
        DecoderWeights,
        config::{DecoderConfig, RopeScaling},
    },
    generate::from_directory,
    tokenizer::{GgufVocabulary, TextTokenizer},
    weights::{Config, TensorSource, WeightsError, floats},
};

/// Where the file comes from.
pub(super) struct Provenance<'a> {
    pub(super) directory: &'a Path,
    pub(super) license: Option<&'a str>,
    pub(super) listing: &'a str,
    pub(super) target: Target,
}

type Keys = Vec<(String, Entry)>;

/// All keys, `general.architecture` first as the specification asks.
pub(super) fn keys(weights: &DecoderWeights, provenance: &Provenance<'_>) -> Result<Keys, QuantizeError> {
    let mut keys = general(weights.config(), provenance);
    keys.extend(shape(weights.config()));
    keys.extend(activation(weights.source(), weights.config().layers)?);
    keys.extend(conversation(weights, provenance.directory)?);
    Ok(keys)
}

fn key(name: &str, entry: Entry) -> (String, Entry) {
    (name.to_owned(), entry)
}

fn number(value: usize) -> Entry {
    // Every count was checked against limits far below this when the configuration was read.
    Entry::U32(u32::try_from(value).unwrap_or(u32::MAX))
}

fn general(config: &DecoderConfig, provenance: &Provenance<'_>) -> Keys {
    let text = |text: &str| Entry::String(text.to_owned());
    let name = provenance.directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut keys = vec![
        key("general.architecture", text("apertus")),
        key("general.type", text("model")),
        key("general.name", Entry::String(name)),
        key("general.size_label", Entry::String(size_label(config))),
        key("general.file_type", Entry::U32(provenance.target.file_type())),
        key("general.quantization_version", Entry::U32(2)),
        key("general.quantized_by", text(concat!("fontes ", env!("CARGO_PKG_VERSION")))),
        key("fontes.quantizer.version", text(env!("CARGO_PKG_VERSION"))),
        key("fontes.quantizer.type", text(provenance.target.name())),
        key("fontes.source.sha256", Entry::String(fontes_core::Digest::of(provenance.listing.as_bytes()).to_string())),
        key("fontes.source.files", Entry::Strings(provenance.listing.lines().map(str::to_owned).collect())),
    ];
    let license = provenance.license.map(str::to_owned).or_else(|| stated_license(provenance.directory));
    keys.extend(license.map(|license| key("general.license", Entry::String(license))));
    keys
}

/// The licence in the front matter of the model card.
fn stated_license(directory: &Path) -> Option<String> {
    let card = std::fs::read_to_string(directory.join("README.md")).ok()?;
    let front = card.strip_prefix("---")?.split("\n---").next()?;
    let license = front.lines().find_map(|line| line.strip_prefix("license:"))?;
    Some(license.trim().trim_matches(['"', '\'']).to_owned()).filter(|license| !license.is_empty())
}

/// Parameters in the usual short form.
fn size_label(config: &DecoderConfig) -> String {
    let attention = 2 * config.hidden * config.head_dim * (config.heads + config.kv_heads);
    let layer = attention + 2 * config.hidden * config.intermediate;
    let ends = config.hidden * config.output_rows * if config.tied { 1 } else { 2 };
    let total = (config.layers * layer + ends) as f64;
    if total >= 1e9 { format!("{:.1}B", total / 1e9) } else { format!("{:.1}M", total / 1e6) }
}

fn shape(config: &DecoderConfig) -> Keys {
    let mut keys = vec![
        key("apertus.block_count", number(config.layers)),
        key("apertus.context_length", number(config.context_length)),
        key("apertus.embedding_length", number(config.hidden)),
        key("apertus.feed_forward_length", number(config.intermediate)),
        key("apertus.attention.head_count", number(config.heads)),
        key("apertus.attention.head_count_kv", number(config.kv_heads)),
        key("apertus.attention.key_length", number(config.head_dim)),
        key("apertus.attention.value_length", number(config.head_dim)),
        key("apertus.attention.layer_norm_rms_epsilon", Entry::F32(config.norm_eps)),
        key("apertus.vocab_size", number(config.output_rows)),
        key("apertus.rope.freq_base", Entry::F32(config.rope.theta as f32)),
        key("apertus.rope.dimension_count", number(config.rope.dims)),
    ];
    if let RopeScaling::Linear { factor } = config.rope.scaling {
        keys.push(key("apertus.rope.scaling.type", Entry::String("linear".to_owned())));
        keys.push(key("apertus.rope.scaling.factor", Entry::F32(factor as f32)));
    }
    keys
}

/// The stored xIELU scalars of all layers, before softplus.
fn activation(source: &TensorSource, layers: usize) -> Result<Keys, QuantizeError> {
    let tail = "layers.0.mlp.act_fn.alpha_p";
    let first = source.names().find(|name| name.ends_with(tail) && !name.contains("vision"));
    let prefix = first.and_then(|name| name.strip_suffix(tail)).unwrap_or("model.").to_owned();
    // Checkpoints of the first release may leave out the two constants of the reference.
    let scalars = [("alpha_n", None), ("alpha_p", None), ("beta", Some(0.5)), ("eps", Some(-1e-6))];
    scalars
        .into_iter()
        .map(|(name, default)| {
            let values: Result<Vec<f32>, QuantizeError> = (0..layers)
                .map(|layer| {
                    let tensor = format!("{prefix}layers.{layer}.mlp.act_fn.{name}");
                    match default {
                        Some(value) if !source.contains(&tensor) => Ok(value),
                        _ => Ok(scalar(source, &tensor)?),
                    }
                })
                .collect();
            Ok((format!("xielu.{name}"), Entry::F32s(values?)))
        })
        .collect()
}

fn scalar(source: &TensorSource, name: &str) -> Result<f32, WeightsError> {
    let view = source.tensor(name)?;
    match floats(&view)?[..] {
        [value] if value.is_finite() => Ok(value),
        [_] => Err(WeightsError::NotFinite { tensor: name.to_owned() }),
        _ => Err(WeightsError::WrongShape { tensor: name.to_owned(), wanted: vec![1], found: view.shape.to_vec() }),
    }
}

fn conversation(weights: &DecoderWeights, directory: &Path) -> Result<Keys, QuantizeError> {
    let path = directory.join("tokenizer.json");
    if !path.exists() {
        return Ok(vec![key("tokenizer.ggml.model", Entry::String("no_vocab".to_owned()))]);
    }
    let Config::Json(config) = weights.source().config() else { return Ok(Vec::new()) };
    let (mut tokenizer, template) = from_directory(directory, config)?;
    let rows = weights.config().output_rows;
    tokenizer.fit(weights.config().input_rows, rows)?;
    let json = std::fs::read(&path).map_err(|source| crate::tokenizer::TokenizerError::Io { path, source })?;
    let mut keys = vocabulary(GgufVocabulary::from_json(&json, rows)?);
    keys.extend(special_ids(&tokenizer, config));
    keys.extend(template.map(|template| key("tokenizer.chat_template", Entry::String(template))));
    Ok(keys)
}

fn vocabulary(vocabulary: GgufVocabulary) -> Keys {
    vec![
        key("tokenizer.ggml.model", Entry::String("gpt2".to_owned())),
        key("tokenizer.ggml.pre", Entry::String(vocabulary.pre.to_owned())),
        key("tokenizer.ggml.tokens", Entry::Strings(vocabulary.tokens)),
        key("tokenizer.ggml.token_type", Entry::I32s(vocabulary.types)),
        key("tokenizer.ggml.merges", Entry::Strings(vocabulary.merges)),
    ]
}

fn special_ids(tokenizer: &TextTokenizer, config: &Value) -> Keys {
    let mut keys = Vec::new();
    let mut id = |name: &str, id: Option<u32>| {
        keys.extend(id.map(|id| key(&format!("tokenizer.ggml.{name}_token_id"), Entry::U32(id))));
    };
    // GGUF has room for one end of text and one end of turn.
    let stated = config.get("eos_token_id").and_then(|value| value.as_u64().or_else(|| value.get(0)?.as_u64()));
    let stated = stated.and_then(|stated| u32::try_from(stated).ok());
    id("bos", tokenizer.begin_token());
    id("eos", stated.or_else(|| tokenizer.end_tokens().first().copied()));
    id("eot", tokenizer.control("<|assistant_end|>"));
    id("unknown", tokenizer.control("<unk>"));
    id("padding", tokenizer.control("<pad>"));
    keys.push(key("tokenizer.ggml.add_bos_token", Entry::Bool(tokenizer.always_begins())));
    keys
}
