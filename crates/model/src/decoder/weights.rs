//! Which tensor plays which part: one set of roles over the names of Hugging Face and of GGUF.

use std::sync::Arc;

use super::{
    DecoderError,
    config::{Biases, DecoderConfig},
};
use crate::weights::{TensorSource, TensorView, WeightsError, floats};

/// A tensor outside the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `[input_rows, hidden]`.
    Embedding,
    /// `[hidden]`.
    OutputNorm,
    /// `[output_rows, hidden]`; the embedding's rows when tied.
    Output,
    /// A tensor of one layer.
    Layer(usize, LayerRole),
}

/// A tensor inside a layer. Matrices are `[outputs, inputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerRole {
    /// `[hidden]`, before attention.
    AttentionNorm,
    /// `[heads · head_dim, hidden]`.
    Query,
    /// `[kv_heads · head_dim, hidden]`.
    Key,
    /// `[kv_heads · head_dim, hidden]`.
    Value,
    /// `[hidden, heads · head_dim]`.
    AttentionOutput,
    /// `[heads · head_dim]`.
    QueryBias,
    /// `[kv_heads · head_dim]`.
    KeyBias,
    /// `[kv_heads · head_dim]`.
    ValueBias,
    /// `[hidden]`.
    AttentionOutputBias,
    /// `[head_dim]`, on each query head before the rotation.
    QueryNorm,
    /// `[head_dim]`, on each key head before the rotation.
    KeyNorm,
    /// `[hidden]`, on the attention's output (Gemma).
    PostAttentionNorm,
    /// `[hidden]`, before the feed-forward block.
    FeedForwardNorm,
    /// `[intermediate, hidden]`, in gated blocks.
    Gate,
    /// `[intermediate, hidden]`.
    Up,
    /// `[hidden, intermediate]`.
    Down,
    /// `[hidden]`, on the feed-forward block's output (Gemma).
    PostFeedForwardNorm,
}

impl LayerRole {
    const ALL: [Self; 17] = [
        Self::AttentionNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::AttentionOutput,
        Self::QueryBias,
        Self::KeyBias,
        Self::ValueBias,
        Self::AttentionOutputBias,
        Self::QueryNorm,
        Self::KeyNorm,
        Self::PostAttentionNorm,
        Self::FeedForwardNorm,
        Self::Gate,
        Self::Up,
        Self::Down,
        Self::PostFeedForwardNorm,
    ];

    /// Says whether a model of this configuration has the tensor.
    pub fn is_used(self, config: &DecoderConfig) -> bool {
        match self {
            Self::QueryBias | Self::KeyBias | Self::ValueBias => config.biases != Biases::None,
            Self::AttentionOutputBias => config.biases == Biases::Qkvo,
            Self::QueryNorm | Self::KeyNorm => config.qk_norm,
            Self::PostAttentionNorm | Self::PostFeedForwardNorm => config.post_norms,
            Self::Gate => config.activation.is_gated(),
            _ => true,
        }
    }

    fn is_norm(self) -> bool {
        matches!(
            self,
            Self::AttentionNorm
                | Self::QueryNorm
                | Self::KeyNorm
                | Self::PostAttentionNorm
                | Self::FeedForwardNorm
                | Self::PostFeedForwardNorm
        )
    }

    fn gguf_name(self) -> &'static str {
        match self {
            Self::AttentionNorm => "attn_norm.weight",
            Self::Query => "attn_q.weight",
            Self::Key => "attn_k.weight",
            Self::Value => "attn_v.weight",
            Self::AttentionOutput => "attn_output.weight",
            Self::QueryBias => "attn_q.bias",
            Self::KeyBias => "attn_k.bias",
            Self::ValueBias => "attn_v.bias",
            Self::AttentionOutputBias => "attn_output.bias",
            Self::QueryNorm => "attn_q_norm.weight",
            Self::KeyNorm => "attn_k_norm.weight",
            Self::PostAttentionNorm => "post_attention_norm.weight",
            Self::FeedForwardNorm => "ffn_norm.weight",
            Self::Gate => "ffn_gate.weight",
            Self::Up => "ffn_up.weight",
            Self::Down => "ffn_down.weight",
            Self::PostFeedForwardNorm => "post_ffw_norm.weight",
        }
    }

    fn hugging_face_name(self, config: &DecoderConfig) -> &'static str {
        let apertus = matches!(config.activation, super::config::Activation::XIelu(_));
        match self {
            Self::AttentionNorm if apertus => "attention_layernorm.weight",
            Self::AttentionNorm => "input_layernorm.weight",
            Self::Query => "self_attn.q_proj.weight",
            Self::Key => "self_attn.k_proj.weight",
            Self::Value => "self_attn.v_proj.weight",
            Self::AttentionOutput => "self_attn.o_proj.weight",
            Self::QueryBias => "self_attn.q_proj.bias",
            Self::KeyBias => "self_attn.k_proj.bias",
            Self::ValueBias => "self_attn.v_proj.bias",
            Self::AttentionOutputBias => "self_attn.o_proj.bias",
            Self::QueryNorm => "self_attn.q_norm.weight",
            Self::KeyNorm => "self_attn.k_norm.weight",
            Self::PostAttentionNorm => "post_attention_layernorm.weight",
            Self::FeedForwardNorm if apertus => "feedforward_layernorm.weight",
            Self::FeedForwardNorm if config.post_norms => "pre_feedforward_layernorm.weight",
            // Llama's "post attention" norm stands before the feed-forward block.
            Self::FeedForwardNorm => "post_attention_layernorm.weight",
            Self::Gate => "mlp.gate_proj.weight",
            Self::Up => "mlp.up_proj.weight",
            Self::Down => "mlp.down_proj.weight",
            Self::PostFeedForwardNorm => "post_feedforward_layernorm.weight",
        }
    }

    fn shape(self, config: &DecoderConfig) -> Vec<usize> {
        let (query, key) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        match self {
            Self::Query => vec![query, config.hidden],
            Self::Key | Self::Value => vec![key, config.hidden],
            Self::AttentionOutput => vec![config.hidden, query],
            Self::QueryBias => vec![query],
            Self::KeyBias | Self::ValueBias => vec![key],
            Self::QueryNorm | Self::KeyNorm => vec![config.head_dim],
            Self::Gate | Self::Up => vec![config.intermediate, config.hidden],
            Self::Down => vec![config.hidden, config.intermediate],
            _ => vec![config.hidden],
        }
    }
}

/// Prefixes under which checkpoints keep the decoder, most specific first.
const PREFIXES: [&str; 4] = ["model.language_model.", "language_model.model.", "model.", ""];

/// Finds the prefix of the decoder's tensors in a safetensors checkpoint.
pub(super) fn hugging_face_prefix(source: &TensorSource) -> &'static str {
    let holds = |prefix: &&str| source.contains(&format!("{prefix}embed_tokens.weight"));
    PREFIXES.into_iter().find(holds).unwrap_or("model.")
}

enum Naming {
    HuggingFace { prefix: &'static str },
    Gguf,
}

/// A checkpoint whose every needed tensor is present, of a known type and of the right shape.
pub struct DecoderWeights {
    source: Arc<TensorSource>,
    config: DecoderConfig,
    naming: Naming,
    /// `[output_rows, hidden]`, kept so that a view of the tied head can borrow it.
    output_shape: [usize; 2],
}

impl DecoderWeights {
    /// Reads the configuration of `source` and checks every tensor against it.
    ///
    /// # Errors
    /// As [`DecoderConfig::read`]; [`WeightsError::MissingTensor`] and [`WeightsError::WrongShape`] by name.
    pub fn new(source: Arc<TensorSource>) -> Result<Self, DecoderError> {
        let config = DecoderConfig::read(&source)?;
        let naming = match source.metadata() {
            Some(_) => Naming::Gguf,
            None => Naming::HuggingFace { prefix: hugging_face_prefix(&source) },
        };
        let output_shape = [config.output_rows, config.hidden];
        let weights = Self { source, config, naming, output_shape };
        weights.roles().try_for_each(|role| weights.tensor(role).map(drop))?;
        Ok(weights)
    }

    /// The configuration.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// For tests that stand in for another configuration.
    #[cfg(test)]
    pub(super) fn config_mut(&mut self) -> &mut DecoderConfig {
        &mut self.config
    }

    /// The files.
    pub fn source(&self) -> &Arc<TensorSource> {
        &self.source
    }

    /// Every role this model has.
    pub fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        let layers = (0..self.config.layers).flat_map(|layer| {
            let used = LayerRole::ALL.into_iter().filter(|role| role.is_used(&self.config));
            used.map(move |role| Role::Layer(layer, role))
        });
        [Role::Embedding, Role::OutputNorm, Role::Output].into_iter().chain(layers)
    }

    /// The tensor in `role`, of exactly the shape that [`Role`] states.
    ///
    /// # Errors
    /// [`WeightsError::MissingTensor`], [`WeightsError::WrongShape`].
    pub fn tensor(&self, role: Role) -> Result<TensorView<'_>, DecoderError> {
        let wanted = self.shape(role);
        let view = self.source.tensor(&self.name(role))?;
        if view.shape == wanted {
            return Ok(view);
        }
        // The head of a tied model with fewer outputs than inputs is the first rows of the embedding.
        if let (Role::Output, true, &[rows, columns]) = (role, self.config.tied, view.shape)
            && rows == self.config.input_rows
            && columns == self.config.hidden
            && self.config.output_rows < rows
        {
            let bytes = &view.bytes[..view.bytes.len() / rows * self.config.output_rows];
            return Ok(TensorView { bytes, shape: &self.output_shape, ..view });
        }
        let (tensor, found) = (view.name.to_owned(), view.shape.to_vec());
        Err(WeightsError::WrongShape { tensor, wanted, found }.into())
    }

    /// A norm or bias as numbers ready to use: Gemma's offset is added.
    ///
    /// # Errors
    /// As [`DecoderWeights::tensor`]; [`WeightsError::NotFinite`].
    pub fn vector(&self, role: Role) -> Result<Vec<f32>, DecoderError> {
        let view = self.tensor(role)?;
        let mut values = floats(&view)?;
        let norm = match role {
            Role::Layer(_, role) => role.is_norm(),
            Role::OutputNorm => true,
            Role::Embedding | Role::Output => false,
        };
        if norm && self.config.norm_offset != 0.0 {
            values.iter_mut().for_each(|value| *value += self.config.norm_offset);
        }
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(WeightsError::NotFinite { tensor: view.name.to_owned() }.into())
        }
    }

    fn shape(&self, role: Role) -> Vec<usize> {
        match role {
            Role::Embedding => vec![self.config.input_rows, self.config.hidden],
            Role::OutputNorm => vec![self.config.hidden],
            Role::Output => vec![self.config.output_rows, self.config.hidden],
            Role::Layer(_, role) => role.shape(&self.config),
        }
    }

    fn name(&self, role: Role) -> String {
        match (&self.naming, role) {
            (Naming::Gguf, Role::Embedding) => "token_embd.weight".to_owned(),
            (Naming::Gguf, Role::OutputNorm) => "output_norm.weight".to_owned(),
            (Naming::Gguf, Role::Output) if self.config.tied => "token_embd.weight".to_owned(),
            (Naming::Gguf, Role::Output) => "output.weight".to_owned(),
            (Naming::Gguf, Role::Layer(layer, role)) => format!("blk.{layer}.{}", role.gguf_name()),
            (Naming::HuggingFace { prefix }, Role::Embedding) => format!("{prefix}embed_tokens.weight"),
            (Naming::HuggingFace { prefix }, Role::OutputNorm) => format!("{prefix}norm.weight"),
            (Naming::HuggingFace { prefix }, Role::Output) if self.config.tied => {
                format!("{prefix}embed_tokens.weight")
            }
            (Naming::HuggingFace { .. }, Role::Output) if self.source.contains("lm_head.weight") => {
                "lm_head.weight".to_owned()
            }
            (Naming::HuggingFace { prefix }, Role::Output) => self.inner_head(prefix),
            (Naming::HuggingFace { prefix }, Role::Layer(layer, role)) => {
                format!("{prefix}layers.{layer}.{}", role.hugging_face_name(&self.config))
            }
        }
    }

    /// Some multimodal checkpoints keep the head beside the language model.
    fn inner_head(&self, prefix: &str) -> String {
        let inner = format!("{}lm_head.weight", prefix.strip_suffix("model.").unwrap_or(prefix));
        if self.source.contains(&inner) { inner } else { "lm_head.weight".to_owned() }
    }
}
