//! How a decoder is to be opened.

use std::{fmt, str::FromStr};

use candle_core::DType;
use fontes_core::Error;

use super::cpu::PackedCopy;
use crate::weights::WeightType;

/// Which implementation runs a decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runner {
    /// The fast CPU runner where it applies, else candle.
    #[default]
    Auto,
    /// candle: every architecture and type, exact, CPU or GPU.
    Candle,
    /// Our own kernels, on the CPU.
    Cpu,
}

/// What float weights become in memory. Quantised weights keep their own types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// Exact for every published checkpoint; the default, because a wrong answer is not cheaper.
    #[default]
    F32,
    /// Half the memory; products round activations to 11 bits.
    F16,
    /// Half the memory; products round activations to 8 bits.
    Bf16,
    /// A little over a quarter of the memory: quantised while loading, in blocks of 32 with a scale each. What lets float
    /// weights into the fast CPU runner.
    Q8_0,
}

impl Dtype {
    const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Q8_0];

    /// The type of `columns` weights in a row: blocks need whole ones, and what has none stays exact.
    pub(super) fn stored(self, columns: usize) -> WeightType {
        match self {
            Self::F16 => WeightType::F16,
            Self::Bf16 => WeightType::BF16,
            Self::Q8_0 if columns.is_multiple_of(WeightType::Q8_0.block_len()) => WeightType::Q8_0,
            Self::F32 | Self::Q8_0 => WeightType::F32,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
        })
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|dtype| dtype.to_string() == name);
        known.ok_or_else(|| Error::invalid(format!("dtype {name:?} is not known")).advise("use f32, bf16, f16 or q8_0"))
    }
}

/// How keys and values are cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvDtype {
    /// Half the memory; moves logits of a random model by about 1e-2 and greedy text not at all.
    #[default]
    F16,
    /// Exact, for probes.
    F32,
}

impl KvDtype {
    /// Bytes per element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    pub(super) const fn candle(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::F32 => DType::F32,
        }
    }
}

/// Where the candle runner computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// A CUDA device by number; needs the Cargo feature `cuda`.
    Cuda(usize),
}

impl DeviceChoice {
    /// Whether this build can compute on a GPU (the Cargo feature `cuda`).
    pub fn gpu_built() -> bool {
        candle_core::utils::cuda_is_available()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    /// Reads `cpu`, `cuda` (the first) or `cuda:N`.
    fn from_str(name: &str) -> Result<Self, Error> {
        let number = match name.strip_prefix("cuda") {
            None if name == "cpu" => return Ok(Self::Cpu),
            Some("") => Some(0),
            rest => rest.and_then(|rest| rest.strip_prefix(':')?.parse().ok()),
        };
        number.map(Self::Cuda).ok_or_else(|| {
            Error::invalid(format!("device {name:?} is not known")).advise("use cpu, cuda or cuda:1 and so on")
        })
    }
}

/// How a decoder is to be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The implementation.
    pub runner: Runner,
    /// Float weights in memory.
    pub dtype: Dtype,
    /// The cache.
    pub kv_dtype: KvDtype,
    /// The device of the candle runner.
    pub device: DeviceChoice,
    /// Bytes that weights, cache and scratch may take together; `None` does not ask.
    pub max_memory: Option<u64>,
    /// Threads of the CPU runner; `None` uses every core the process may use. Models with the same number share them.
    pub threads: Option<std::num::NonZeroUsize>,
    /// Where the CPU runner keeps packed weights for the next process; `None` packs them anew.
    pub packed_copy: Option<PackedCopy>,
}

impl OpenOptions {
    /// The most exact arithmetic there is: candle with an `f32` cache.
    pub fn exact() -> Self {
        Self { runner: Runner::Candle, kv_dtype: KvDtype::F32, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        let parse = |name: &str| name.parse::<DeviceChoice>().ok();
        assert_eq!((parse("cpu"), parse("cuda")), (Some(DeviceChoice::Cpu), Some(DeviceChoice::Cuda(0))));
        assert_eq!(parse("cuda:3"), Some(DeviceChoice::Cuda(3)));
        assert_eq!(parse("cuda:3").map(|device| device.to_string()).as_deref(), Some("cuda:3"));
        assert!(["", "gpu", "cuda3", "cuda:", "cuda:-1", "cpu:0"].into_iter().all(|name| parse(name).is_none()));
    }
}
