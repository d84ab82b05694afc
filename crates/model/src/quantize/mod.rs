//! From a safetensors checkpoint to one quantised GGUF file.
//!
//! [`quantize`] reads an Apertus directory tensor by tensor and writes the file llama.cpp would: the same keys,
//! names and mixture of types, with tokenizer, conversation template and provenance inside. A [`Target`] names
//! the mixture. Memory stays at a few hundred megabytes whatever the model's size; the file appears under its
//! name only when it is complete.
//!
//! **Why our own.** A site should need no Python and no second toolchain to go from the published weights to
//! the file it runs, and should be able to show which bytes became which.
//!
//! Of Apertus v1.5 the text rows of the embedding are written: image and audio codes need encoders that GGUF
//! files do not carry, and llama.cpp wants as many rows in as out.
//!
//! **Out of scope:** other architectures (published as GGUF by their makers), importance matrices.

mod error;
mod keys;
mod plan;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::File,
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::{Device, Tensor, quantized::QTensor};
use fontes_core::Digest;
use sha2::{Digest as _, Sha256};

use self::{
    plan::{Plan, Planned, Source},
    writer::HashingWriter,
};
use crate::{
    decoder::{DecoderWeights, config::Architecture},
    weights::{TensorSource, TensorView, WeightType, WeightsError, floats, ggml},
};

pub use error::QuantizeError;

/// Elements quantised at a time: 64 MB as `f32`, enough rows for every core.
const PIECE: usize = 16 << 20;

/// A mixture of types, by the names llama.cpp gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// 8 bits throughout: nearly exact.
    Q8_0,
    /// 6 bits throughout.
    Q6K,
    /// 5 bits, the most sensitive tensors 6.
    Q5KM,
    /// 4 bits, the most sensitive tensors 6: the usual choice.
    Q4KM,
    /// 4 bits in small blocks: the fastest to compute, the least exact.
    Q4_0,
}

impl Target {
    /// All targets, most exact first.
    pub const ALL: [Self; 5] = [Self::Q8_0, Self::Q6K, Self::Q5KM, Self::Q4KM, Self::Q4_0];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q6K => "q6_k",
            Self::Q5KM => "q5_k_m",
            Self::Q4KM => "q4_k_m",
            Self::Q4_0 => "q4_0",
        }
    }

    /// `general.file_type` of the GGUF specification.
    const fn file_type(self) -> u32 {
        match self {
            Self::Q8_0 => 7,
            Self::Q6K => 18,
            Self::Q5KM => 17,
            Self::Q4KM => 15,
            Self::Q4_0 => 2,
        }
    }
}

impl std::str::FromStr for Target {
    type Err = QuantizeError;

    fn from_str(name: &str) -> Result<Self, QuantizeError> {
        let wanted = name.to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|target| target.name() == wanted);
        found.ok_or_else(|| QuantizeError::UnknownTarget { name: name.to_owned() })
    }
}

/// How far the work is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The tensor being written, or the file being digested.
    pub current: &'a str,
    /// Bytes of the source dealt with: read once to digest, once to quantise.
    pub done: u64,
    /// Bytes to deal with.
    pub total: u64,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quantized {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
    /// Digest of the checkpoint, as [`TensorSource::digest`] computes it.
    pub source_sha256: Digest,
}

/// Quantises the Apertus checkpoint in `directory` into `output`, replacing it if it exists.
///
/// The same checkpoint, target and version give the same bytes. `license` is written into the file; without it,
/// the licence stated in the checkpoint's `README.md` is. A checkpoint without `tokenizer.json` gives a file
/// without vocabulary, which takes token ids only.
///
/// # Errors
/// [`QuantizeError`].
pub fn quantize(
    directory: &Path,
    target: Target,
    output: &Path,
    license: Option<&str>,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Quantized, QuantizeError> {
    let refuse = |reason: &str| QuantizeError::NotApertus { path: directory.to_owned(), reason: reason.to_owned() };
    let source = Arc::new(TensorSource::open(directory)?);
    if source.metadata().is_some() {
        return Err(refuse("it is a GGUF file"));
    }
    let weights = DecoderWeights::new(Arc::clone(&source))?;
    if weights.config().architecture != Architecture::Apertus {
        return Err(refuse(weights.config().architecture.name()));
    }
    let total = 2 * source.total_bytes();
    let mut done = 0;
    let listing = digest_files(directory, &source, &mut |name, bytes| {
        done += bytes;
        on_progress(Progress { current: name, done, total });
    })?;
    let plan = Plan::new(&weights, target)?;
    let provenance = keys::Provenance { directory, license, listing: &listing, target };
    let header = writer::header(&keys::keys(&weights, &provenance)?, &plan.tensors);

    let partial = partial_name(output);
    let failed = |source| QuantizeError::Output { path: partial.clone(), source };
    let mut file = HashingWriter::new(BufWriter::new(File::create(&partial).map_err(failed)?));
    let written = file.write_all(&header).map_err(failed).and_then(|()| {
        plan.tensors.iter().try_for_each(|tensor| {
            write_tensor(&weights, tensor, &mut file, &partial)?;
            done += tensor.source_bytes;
            on_progress(Progress { current: &tensor.name, done: done.min(total), total });
            Ok(())
        })
    });
    let finished = written.and_then(|()| file.finish().map_err(failed));
    let finished = finished.and_then(|(inner, sha256, bytes)| {
        let file = inner.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&partial, output).map_err(failed)?;
        Ok((sha256, bytes))
    });
    match finished {
        Ok((sha256, bytes)) => {
            let source_sha256 = Digest::of(listing.as_bytes());
            Ok(Quantized { path: output.to_owned(), sha256, bytes, source_sha256 })
        }
        Err(error) => {
            // What went wrong matters more than a leftover that could not be removed.
            let _ = std::fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn partial_name(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    output.with_file_name(name)
}

/// Digests every file of the checkpoint: the listing that `sha256sum` would print, sorted by name.
fn digest_files(
    directory: &Path,
    source: &TensorSource,
    on_bytes: &mut dyn FnMut(&str, u64),
) -> Result<String, QuantizeError> {
    let config = directory.join("config.json");
    let mut lines = Vec::new();
    for path in source.paths().chain([config.as_path()]) {
        let unreadable = |source| WeightsError::Io { path: path.to_owned(), source };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut file = File::open(path).map_err(unreadable)?;
        let (mut hasher, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            let read = file.read(&mut piece).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            hasher.update(&piece[..read]);
            on_bytes(&name, read as u64);
        }
        lines.push((name, Digest::from_bytes(hasher.finalize().into())));
    }
    lines.sort();
    Ok(lines.into_iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect())
}

/// Writes one tensor, a few rows at a time, and what aligns the next.
fn write_tensor(
    weights: &DecoderWeights,
    planned: &Planned,
    file: &mut HashingWriter<BufWriter<File>>,
    path: &Path,
) -> Result<(), QuantizeError> {
    let failed = |source| QuantizeError::Output { path: path.to_owned(), source };
    match &planned.source {
        Source::Numbers(numbers) => {
            for number in numbers {
                file.write_all(&number.to_le_bytes()).map_err(failed)?;
            }
        }
        Source::Tensor(role) => {
            let view = weights.tensor(*role)?;
            let row = view.bytes.len() / view.shape[0];
            let rows = planned.elements / planned.width;
            // A vector is one row as wide as itself.
            let row_bytes = if view.shape.len() == 1 { view.bytes.len() } else { row };
            let step = (PIECE / planned.width).max(1);
            for first in (0..rows).step_by(step) {
                let count = step.min(rows - first);
                let bytes = &view.bytes[first * row_bytes..(first + count) * row_bytes];
                let values = floats(&TensorView { bytes, ..view.clone() })?;
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(WeightsError::NotFinite { tensor: view.name.to_owned() }.into());
                }
                file.write_all(&encode(values, planned, count)?).map_err(failed)?;
            }
        }
    }
    file.align(writer::ALIGNMENT).map_err(failed)
}

fn encode(values: Vec<f32>, planned: &Planned, rows: usize) -> Result<Vec<u8>, QuantizeError> {
    match planned.dtype {
        WeightType::F32 => Ok(values.into_iter().flat_map(f32::to_le_bytes).collect()),
        WeightType::F16 => Ok(values.into_iter().flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect()),
        dtype => Tensor::from_vec(values, (rows, planned.width), &Device::Cpu)
            .and_then(|tensor| QTensor::quantize(&tensor, ggml(dtype))?.data().map(|data| data.into_owned()))
            .map_err(|source| QuantizeError::Tensor { tensor: planned.name.clone(), source }),
    }
}
