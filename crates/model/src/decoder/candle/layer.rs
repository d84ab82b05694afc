//! One transformer layer.

use candle_core::{D, Device, Result as CandleResult, Tensor};

use super::{
    activation::xielu,
    attention::{Attended, LayerCache, Plan, Rotation, attend},
    linear::Linear,
};
use crate::decoder::{
    DecoderError, DecoderWeights, LayerRole, Role,
    config::{Activation, DecoderConfig, XIelu},
    options::Dtype,
};

/// Weights of one layer.
pub(super) struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    query_norm: Option<Tensor>,
    key_norm: Option<Tensor>,
    post_attention_norm: Option<Tensor>,
    feed_forward_norm: Tensor,
    feed_forward: FeedForward,
    post_feed_forward_norm: Option<Tensor>,
}

enum FeedForward {
    XIelu { up: Linear, down: Linear, parameters: XIelu },
    Gated { gate: Linear, up: Linear, down: Linear, gelu: bool },
}

/// What a layer needs to know about the pass it is part of.
pub(super) struct Pass<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) rotation: &'a Rotation,
    pub(super) plan: &'a Plan,
    pub(super) cache: &'a LayerCache,
    /// Cached positions before this pass.
    pub(super) start: usize,
    /// Whether the last row's attention is wanted.
    pub(super) observe: bool,
}

/// Loads a norm's weight.
pub(super) fn norm_weight(weights: &DecoderWeights, role: Role, device: &Device) -> Result<Tensor, DecoderError> {
    let values = weights.vector(role)?;
    let width = values.len();
    Ok(Tensor::from_vec(values, width, device)?)
}

/// RMSNorm over the last dimension (Zhang & Sennrich 2019, arXiv 1910.07467).
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> CandleResult<Tensor> {
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean_square + f64::from(eps))?.sqrt()?)?.broadcast_mul(weight)
}

impl Layer {
    pub(super) fn load(
        weights: &DecoderWeights,
        layer: usize,
        dtype: Dtype,
        device: &Device,
    ) -> Result<Self, DecoderError> {
        use LayerRole as R;
        let config = weights.config();
        let role = |role: R| Role::Layer(layer, role);
        let linear = |matrix: R| Linear::load(&weights.tensor(role(matrix))?, None, dtype, device);
        let biased = |matrix: R, bias: R| {
            let bias = bias.is_used(config).then(|| weights.vector(role(bias))).transpose()?;
            Linear::load(&weights.tensor(role(matrix))?, bias, dtype, device)
        };
        let norm = |norm: R| norm_weight(weights, role(norm), device);
        let optional_norm = |which: R| which.is_used(config).then(|| norm(which)).transpose();
        let feed_forward = match &config.activation {
            Activation::XIelu(parameters) => {
                FeedForward::XIelu { up: linear(R::Up)?, down: linear(R::Down)?, parameters: parameters[layer] }
            }
            gated => FeedForward::Gated {
                gate: linear(R::Gate)?,
                up: linear(R::Up)?,
                down: linear(R::Down)?,
                gelu: *gated == Activation::GeGlu,
            },
        };
        Ok(Self {
            attention_norm: norm(R::AttentionNorm)?,
            query: biased(R::Query, R::QueryBias)?,
            key: biased(R::Key, R::KeyBias)?,
            value: biased(R::Value, R::ValueBias)?,
            output: biased(R::AttentionOutput, R::AttentionOutputBias)?,
            query_norm: optional_norm(R::QueryNorm)?,
            key_norm: optional_norm(R::KeyNorm)?,
            post_attention_norm: optional_norm(R::PostAttentionNorm)?,
            feed_forward_norm: norm(R::FeedForwardNorm)?,
            feed_forward,
            post_feed_forward_norm: optional_norm(R::PostFeedForwardNorm)?,
        })
    }

    /// Runs `[tokens, hidden]` through the layer, appending to its cache.
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> CandleResult<(Tensor, Attended)> {
        let eps = pass.config.norm_eps;
        let normed = rms_norm(x, &self.attention_norm, eps)?;
        let heads = |linear: &Linear, heads: usize, norm: Option<&Tensor>| {
            let split = linear.forward(&normed)?.reshape((normed.dim(0)?, heads, pass.config.head_dim))?;
            let split = norm.map_or(Ok(split.clone()), |norm| rms_norm(&split, norm, eps))?;
            split.transpose(0, 1)?.contiguous()
        };
        let queries = pass.rotation.apply(&heads(&self.query, pass.config.heads, self.query_norm.as_ref())?)?;
        let keys = pass.rotation.apply(&heads(&self.key, pass.config.kv_heads, self.key_norm.as_ref())?)?;
        let values = heads(&self.value, pass.config.kv_heads, None)?;
        pass.cache.write(&keys, &values, pass.start)?;
        let attended = attend(pass.config, &queries, pass.cache, pass.plan, pass.observe)?;
        let x = self.add(x, self.output.forward(&attended.mixed)?, self.post_attention_norm.as_ref(), eps)?;
        let normed = rms_norm(&x, &self.feed_forward_norm, eps)?;
        let x = self.add(&x, self.feed_forward.forward(&normed)?, self.post_feed_forward_norm.as_ref(), eps)?;
        Ok((x, attended))
    }

    fn add(&self, x: &Tensor, update: Tensor, norm: Option<&Tensor>, eps: f32) -> CandleResult<Tensor> {
        match norm {
            Some(norm) => x + rms_norm(&update, norm, eps)?,
            None => x + update,
        }
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        match self {
            Self::XIelu { up, down, parameters } => down.forward(&xielu(&up.forward(x)?, parameters)?),
            Self::Gated { gate, up, down, gelu } => {
                let gate = gate.forward(x)?;
                // candle's `gelu` is the tanh approximation.
                let gate = if *gelu { gate.gelu()? } else { gate.silu()? };
                down.forward(&(gate * up.forward(x)?)?)
            }
        }
    }
}
