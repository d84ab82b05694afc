//! Model files as named tensors: safetensors directories and GGUF files behind one small type.
//!
//! A [`TensorSource`] is an opened set of model files; a [`TensorView`] is one tensor inside it, borrowed from
//! the mapped file, still in its stored type. Opening reads headers only, and checks every number in them
//! against the size of the file before it is believed: model files come from strangers.
//!
//! **Why not the readers of candle.** They read GGUF tensors into the heap, trust counts before checking them,
//! and know nothing of bounds or overlaps. A mapped view lets a runner repack weights straight from the page
//! cache, and lets embedding rows be looked up without loading the table.
//!
//! **Out of scope:** what the tensors mean (see [`crate::decoder`]), and writing files.

mod digest;
mod error;
mod float;
pub mod gguf;
pub(crate) mod mmap;
mod safetensors;
mod source;
mod weight_type;

pub use error::WeightsError;
pub(crate) use float::ggml;
pub use float::{floats, row_floats};
pub use gguf::{Array, Metadata, Value};
pub use source::{Config, TensorSource, TensorView};
pub use weight_type::WeightType;
