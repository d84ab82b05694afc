//! The weights of one transformer layer.

use super::Loader;
use crate::{
    decoder::{
        DecoderError, LayerRole, Role,
        config::{self, Biases},
    },
    kernels::{Activation, PackedMatrix},
};

/// Says whether a tensor is packed. The embedding is not: its rows are looked up in the file.
pub(super) fn is_matrix(role: Role) -> bool {
    use LayerRole::{AttentionOutput, Down, Gate, Key, Query, Up, Value};
    match role {
        Role::Embedding | Role::OutputNorm => false,
        Role::Output => true,
        Role::Layer(_, role) => matches!(role, Query | Key | Value | AttentionOutput | Gate | Up | Down),
    }
}

/// Norms and biases as f32, matrices packed.
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: PackedMatrix,
    pub(super) key: PackedMatrix,
    pub(super) value: PackedMatrix,
    /// Of query, key and value.
    pub(super) biases: Option<[Vec<f32>; 3]>,
    /// Of query and key heads.
    pub(super) head_norms: Option<[Vec<f32>; 2]>,
    pub(super) attention_output: PackedMatrix,
    pub(super) attention_output_bias: Option<Vec<f32>>,
    /// On the outputs of attention and feed-forward.
    pub(super) post_norms: Option<[Vec<f32>; 2]>,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) gate: Option<PackedMatrix>,
    pub(super) up: PackedMatrix,
    pub(super) down: PackedMatrix,
    pub(super) activation: Activation,
}

impl Layer {
    pub(super) fn load(loader: &mut Loader<'_>, index: usize) -> Result<Self, DecoderError> {
        use LayerRole as R;
        let weights = loader.weights;
        let config = weights.config();
        let vector = |role: LayerRole| weights.vector(Role::Layer(index, role));
        let mut matrix = |role: LayerRole| loader.matrix(Role::Layer(index, role));
        let given = |wanted: bool| wanted.then_some(());
        let biases = given(config.biases != Biases::None)
            .map(|()| Ok::<_, DecoderError>([vector(R::QueryBias)?, vector(R::KeyBias)?, vector(R::ValueBias)?]));
        let head_norms =
            given(config.qk_norm).map(|()| Ok::<_, DecoderError>([vector(R::QueryNorm)?, vector(R::KeyNorm)?]));
        let post_norms = given(config.post_norms)
            .map(|()| Ok::<_, DecoderError>([vector(R::PostAttentionNorm)?, vector(R::PostFeedForwardNorm)?]));
        Ok(Self {
            attention_norm: vector(R::AttentionNorm)?,
            query: matrix(R::Query)?,
            key: matrix(R::Key)?,
            value: matrix(R::Value)?,
            biases: biases.transpose()?,
            head_norms: head_norms.transpose()?,
            attention_output: matrix(R::AttentionOutput)?,
            attention_output_bias: given(config.biases == Biases::Qkvo)
                .map(|()| vector(R::AttentionOutputBias))
                .transpose()?,
            post_norms: post_norms.transpose()?,
            feed_forward_norm: vector(R::FeedForwardNorm)?,
            gate: given(config.activation.is_gated()).map(|()| matrix(R::Gate)).transpose()?,
            up: matrix(R::Up)?,
            down: matrix(R::Down)?,
            activation: activation(&config.activation, index),
        })
    }

    pub(super) fn matrices(&self) -> impl Iterator<Item = &PackedMatrix> {
        [&self.query, &self.key, &self.value, &self.attention_output, &self.up, &self.down]
            .into_iter()
            .chain(&self.gate)
    }
}

fn activation(activation: &config::Activation, layer: usize) -> Activation {
    match activation {
        config::Activation::XIelu(layers) => {
            let config::XIelu { alpha_p, alpha_n, beta, eps } = layers[layer];
            Activation::Xielu { positive: alpha_p, negative: alpha_n, beta, eps }
        }
        config::Activation::SwiGlu => Activation::Silu,
        config::Activation::GeGlu => Activation::GeluTanh,
    }
}
