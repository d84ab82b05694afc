//! Adapters: a small trained change of an encoder that makes a reader of it.
//!
//! A linear layer's weights `W` become `W + up · down`, where `down` is `[rank, inputs]` and `up` `[outputs, rank]`
//! (LoRA, Hu et al. 2021, arXiv 2106.09685). The sum is formed once, when the model is opened, so that running
//! costs the same as without. An adapter of rank 8 is a hundredth of the encoder and can live beside the source.

use std::collections::BTreeMap;

use fontes_core::ModelIdentity;
use safetensors::SafeTensors;

use super::EncoderError;
use crate::weights::{TensorView, WeightType, WeightsError, floats};

/// Metadata that names the model an adapter was trained on, and its digest.
const BASE: [&str; 2] = ["base", "base_sha256"];

/// Tensors of an adapter by name: `LAYER.down`, `LAYER.up`.
#[derive(Debug)]
pub(super) struct Adapter(BTreeMap<String, Factor>);

/// A matrix.
#[derive(Debug)]
struct Factor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// What tells where an answer begins and where it ends: a weight per number of a token's vector, and a bias, for each.
#[derive(Debug)]
pub(super) struct Ends {
    pub start: (Vec<f32>, f32),
    pub end: (Vec<f32>, f32),
}

impl Adapter {
    /// Reads an adapter for `model` in the safetensors format: F16 or F32 tensors, and `head.weight` `[2, hidden]` and
    /// `head.bias` `[2]` for the ends.
    pub fn parse(bytes: &[u8], model: &ModelIdentity) -> Result<(Self, Ends), EncoderError> {
        let refused = |reason: String| EncoderError::Adapter { name: model.name.clone(), reason };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| refused(error.to_string()))?;
        let told = |key: &str| header.metadata().as_ref().and_then(|told| told.get(key).cloned()).unwrap_or_default();
        if BASE.map(told) != [model.name.clone(), model.sha256.to_string()] {
            return Err(refused(format!("it was trained on {:?}, digest {}", told(BASE[0]), told(BASE[1]))));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| refused(error.to_string()))?;
        let mut factors = BTreeMap::new();
        for (name, tensor) in tensors.tensors() {
            let dtype = match tensor.dtype() {
                safetensors::Dtype::F16 => WeightType::F16,
                safetensors::Dtype::F32 => WeightType::F32,
                other => return Err(refused(format!("tensor {name:?} is of type {other:?}"))),
            };
            let view = TensorView { name: &name, dtype, shape: tensor.shape(), bytes: tensor.data() };
            let values = floats(&view)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(WeightsError::NotFinite { tensor: name }.into());
            }
            factors.insert(name, Factor { shape: tensor.shape().to_vec(), values });
        }
        let mut head = |name: &str| {
            factors.remove(name).map(|factor| factor.values).ok_or_else(|| refused(format!("it has no {name}")))
        };
        let (weights, bias) = (head("head.weight")?, head("head.bias")?);
        let (&[start, end], true) = (&bias[..], weights.len().is_multiple_of(2)) else {
            return Err(refused("its head has not two outputs".into()));
        };
        let (first, second) = weights.split_at(weights.len() / 2);
        Ok((Self(factors), Ends { start: (first.to_vec(), start), end: (second.to_vec(), end) }))
    }

    /// Adds the change of layer `name` to its weights, `[outputs, inputs]`. A layer without a change stays.
    pub fn add_to(&self, name: &str, [outputs, inputs]: [usize; 2], weights: &mut [f32]) -> Result<(), WeightsError> {
        let factor = |part: &str| self.0.get(&format!("{name}.{part}"));
        let (Some(down), Some(up)) = (factor("down"), factor("up")) else { return Ok(()) };
        let rank = down.shape.first().copied().unwrap_or(0);
        for (part, factor, wanted) in [("down", down, [rank, inputs]), ("up", up, [outputs, rank])] {
            if factor.shape != wanted {
                let (tensor, found) = (format!("{name}.{part}"), factor.shape.clone());
                return Err(WeightsError::WrongShape { tensor, wanted: wanted.to_vec(), found });
            }
        }
        for (row, shares) in weights.chunks_exact_mut(inputs).zip(up.values.chunks_exact(rank.max(1))) {
            for (share, change) in shares.iter().zip(down.values.chunks_exact(inputs)) {
                row.iter_mut().zip(change).for_each(|(weight, change)| *weight += share * change);
            }
        }
        Ok(())
    }
}

impl Ends {
    /// Checks that the head is for vectors of this width.
    pub fn fitted(self, hidden: usize) -> Result<Self, EncoderError> {
        if self.start.0.len() == hidden {
            return Ok(self);
        }
        Err(WeightsError::WrongShape {
            tensor: "head.weight".into(),
            wanted: vec![2, hidden],
            found: vec![2, self.start.0.len()],
        }
        .into())
    }

    /// How much speaks for an answer beginning and ending at a token with this vector.
    pub fn of(&self, vector: &[f32]) -> [f32; 2] {
        [&self.start, &self.end]
            .map(|(weights, bias)| weights.iter().zip(vector).map(|(w, x)| w * x).sum::<f32>() + bias)
    }
}
