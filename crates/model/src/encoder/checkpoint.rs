//! Where an encoder's tensors come from: a safetensors folder or an E5S1 container, by the same names.

use std::sync::Arc;

use crate::weights::{TensorSource, TensorView, WeightType, WeightsError, floats};

use super::{adapter::Adapter, e5s1::Container};

/// Prefixes under which checkpoints keep the encoder proper.
const PREFIXES: &[&str] = &["", "bert.", "roberta.", "model.", "0.auto_model."];

/// An opened checkpoint. Tensors are asked for by the names of `transformers`, without the model's prefix.
#[derive(Debug)]
pub(super) enum Checkpoint {
    /// A folder, and the prefix it uses.
    Folder(TensorSource, &'static str),
    /// A container.
    Container(Container),
    /// Another checkpoint whose matrices an adapter changes.
    Adapted(Arc<Checkpoint>, Adapter),
}

impl Checkpoint {
    /// Takes an opened folder and finds its prefix.
    pub fn folder(source: TensorSource) -> Result<Self, WeightsError> {
        let word = "embeddings.word_embeddings.weight";
        let prefix = PREFIXES.iter().find(|prefix| source.contains(&format!("{prefix}{word}")));
        let prefix = prefix.ok_or_else(|| WeightsError::MissingTensor { tensor: word.to_owned() })?;
        Ok(Self::Folder(source, prefix))
    }

    /// Finds a tensor of the encoder and checks its shape.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<TensorView<'_>, WeightsError> {
        let view = match self {
            Self::Folder(source, prefix) => source.tensor(&format!("{prefix}{name}"))?,
            Self::Container(container) => container.tensor(name)?,
            Self::Adapted(base, _) => return base.tensor(name, shape),
        };
        checked(view, shape)
    }

    /// Full name of BERT's pooler, which belongs to the encoder but is only used by classification heads.
    pub fn pooler(&self) -> String {
        match self {
            Self::Folder(_, prefix) => format!("{prefix}pooler.dense"),
            Self::Container(_) => "pooler.dense".to_owned(),
            Self::Adapted(base, _) => base.pooler(),
        }
    }

    /// Finds a tensor of a classification head, by its full name.
    pub fn head(&self, name: &str, shape: &[usize]) -> Result<TensorView<'_>, WeightsError> {
        match self {
            Self::Folder(source, _) => checked(source.tensor(name)?, shape),
            Self::Container(_) => Err(WeightsError::MissingTensor { tensor: name.to_owned() }),
            Self::Adapted(base, _) => base.head(name, shape),
        }
    }

    /// Reads the weights of a linear layer, row after row, and their stored form where that is what was read.
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<(Vec<f32>, Option<TensorView<'_>>), WeightsError> {
        let view = self.tensor(&format!("{name}.weight"), &shape)?;
        let mut values = finite(&view)?;
        if let Self::Adapted(_, adapter) = self {
            adapter.add_to(name, shape, &mut values)?;
            return Ok((values, None));
        }
        Ok((values, Some(view)))
    }

    /// Reads a vector of the encoder.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, WeightsError> {
        finite(&self.tensor(name, &[length])?)
    }
}

fn checked<'a>(view: TensorView<'a>, shape: &[usize]) -> Result<TensorView<'a>, WeightsError> {
    if view.shape == shape {
        return Ok(view);
    }
    Err(WeightsError::WrongShape { tensor: view.name.to_owned(), wanted: shape.to_vec(), found: view.shape.to_vec() })
}

/// Reads a tensor as numbers, all of them finite.
pub(super) fn finite(view: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let values = floats(view)?;
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(WeightsError::NotFinite { tensor: view.name.to_owned() })
}

/// Where a table's bytes lie inside a checkpoint, so that rows are looked up in stored form.
#[derive(Clone, Debug)]
pub(super) struct Table {
    name: String,
    shape: [usize; 2],
}

impl Table {
    /// Finds the table.
    pub fn find(checkpoint: &Checkpoint, name: &str, rows: usize, columns: usize) -> Result<Self, WeightsError> {
        let view = checkpoint.tensor(name, &[rows, columns])?;
        // A row must be whole blocks, or it cannot be cut out.
        if view.dtype != WeightType::F32 && view.dtype.byte_len(columns).is_none() {
            let found = view.shape.to_vec();
            return Err(WeightsError::WrongShape { tensor: name.to_owned(), wanted: vec![rows, 32], found });
        }
        Ok(Self { name: name.to_owned(), shape: [rows, columns] })
    }

    /// Reads rows one after the other.
    pub fn rows(&self, checkpoint: &Checkpoint, rows: &[u32]) -> Result<Vec<f32>, WeightsError> {
        crate::weights::row_floats(&checkpoint.tensor(&self.name, &self.shape)?, rows)
    }
}
