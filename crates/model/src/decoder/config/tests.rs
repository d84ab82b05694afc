//! Configurations as published, read from small stand-ins.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;

/// A directory with `config` and only the xIELU scalars as tensors.
fn checkpoint(directory: &Path, config: &Value, names: &[String]) -> TensorSource {
    let mut header = serde_json::Map::new();
    for (number, name) in names.iter().enumerate() {
        header
            .insert(name.clone(), json!({"dtype": "F32", "shape": [1], "data_offsets": [4 * number, 4 * number + 4]}));
    }
    let header = serde_json::to_vec(&header).unwrap();
    let data = vec![0; 4 * names.len()];
    fs::write(directory.join("model.safetensors"), [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat())
        .unwrap();
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    TensorSource::open(directory).unwrap()
}

fn read(config: &Value) -> Result<DecoderConfig, DecoderError> {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<_> =
        (0..2).flat_map(|l| ["alpha_n", "alpha_p"].map(|name| format!("model.layers.{l}.mlp.act_fn.{name}"))).collect();
    DecoderConfig::read(&checkpoint(directory.path(), config, &names))
}

fn small(model_type: &str) -> Value {
    json!({"model_type": model_type, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
           "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 512})
}

fn with(mut config: Value, more: Value) -> Value {
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

#[test]
fn old_and_new_rope_settings_say_the_same() {
    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 64});
    let old = read(&with(small("apertus"), json!({"rope_theta": 5e5, "rope_scaling": scaling}))).unwrap();
    let new = with(scaling, json!({"rope_theta": 5e5}));
    let new = read(&with(small("apertus"), json!({"rope_parameters": new}))).unwrap();
    assert_eq!(old, new);
    assert_eq!(old.rope.theta, 5e5);
    assert!(matches!(old.rope.scaling, RopeScaling::Llama3 { factor: 8.0, .. }));
    // Absent buffers take the published values; softplus(0) = ln 2.
    let Activation::XIelu(layers) = old.activation else { panic!("not xIELU") };
    assert!((layers[1].alpha_n - (0.5 + 2_f32.ln())).abs() < 1e-6 && layers[1].eps == -1e-6);
}

#[test]
fn llama3_scaling_has_three_bands() {
    let scaling = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original_context: 64.0 };
    let rope = Rope { theta: 10_000.0, scaling, pairing: Pairing::HalfSplit, dims: 32 };
    let plain = Rope { scaling: RopeScaling::None, ..rope.clone() }.frequencies();
    let scaled = rope.frequencies();
    assert_eq!(scaled[0], plain[0], "short wavelengths stay");
    assert!((scaled[15] - plain[15] / 8.0).abs() < 1e-9, "long ones are divided");
    assert!((0..16).any(|i| scaled[i] < plain[i] * 0.999 && scaled[i] > plain[i] / 8.0 * 1.001), "some are blended");
    let (cos, sin) = rope.table(3..5);
    assert_eq!((cos.len(), sin[0]), (32, 3_f32.sin()));
}

#[test]
fn families_differ_where_they_should() {
    let qwen2 = read(&small("qwen2")).unwrap();
    assert_eq!((qwen2.biases, qwen2.qk_norm), (Biases::Qkv, false));
    let qwen3 = read(&with(small("qwen3"), json!({"head_dim": 32}))).unwrap();
    assert_eq!((qwen3.biases, qwen3.qk_norm, qwen3.head_dim), (Biases::None, true, 32));
    let mistral = read(&with(small("mistral"), json!({"sliding_window": 16}))).unwrap();
    assert_eq!(mistral.windows, [Some(16), Some(16)]);
    let gemma = json!({"sliding_window": 8, "sliding_window_pattern": 2, "head_dim": 16, "query_pre_attn_scalar": 4,
                       "rope_scaling": {"rope_type": "linear", "factor": 8.0}});
    let gemma = read(&with(small("gemma3_text"), gemma)).unwrap();
    assert_eq!((gemma.windows.as_slice(), gemma.query_scale), (&[Some(8), None][..], 0.5));
    assert_eq!((gemma.layer_rope(0).theta, gemma.layer_rope(1).theta), (1e4, 1e6));
    assert_eq!((gemma.embedding_scale, gemma.norm_offset, gemma.tied), (8.0, 1.0, true));
}

#[test]
fn what_is_not_supported_is_named() {
    for (config, words) in [
        (small("mamba"), vec!["\"mamba\"", "apertus", "gemma3"]),
        (with(small("llama"), json!({"rope_scaling": {"type": "yarn", "factor": 4.0}})), vec!["yarn", "llama3"]),
        (with(small("llama"), json!({"num_key_value_heads": 3})), vec!["3 do not divide 4 heads"]),
        (with(small("llama"), json!({"num_attention_heads": 0})), vec!["head"]),
        (with(small("llama"), json!({"vocab_size": null})), vec!["lacks \"vocab_size\""]),
        (with(small("llama"), json!({"hidden_size": "wide"})), vec!["config.json"]),
        (with(small("llama"), json!({"num_hidden_layers": 1_u64 << 40})), vec!["too many"]),
        (with(small("apertus"), json!({"output_vocab_size": 200})), vec!["200 ids could be generated"]),
        (with(small("apertus"), json!({"hidden_act": "relu2"})), vec!["relu2"]),
        (with(small("apertus"), json!({"num_hidden_layers": 3})), vec!["model.layers.2.mlp.act_fn.alpha_p", "missing"]),
    ] {
        let message = read(&config).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn xielu_meets_the_reference_values() {
    // Layer 0 of the tiny fixture, values computed by transformers 5.23.
    let xielu = XIelu::from_stored(0.200_195_31, -0.898_437_5, 0.5, -9.983_778e-7);
    assert!((xielu.alpha_p - 0.798_246_26).abs() < 1e-6 && (xielu.alpha_n - 0.841_605_8).abs() < 1e-6);
    assert!((xielu.apply(-30.0) - 9.406_569).abs() < 1e-5);
    assert_eq!(xielu.apply(0.0), 0.0 + xielu.alpha_n * xielu.eps.exp_m1());
}
