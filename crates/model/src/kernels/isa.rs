//! The instruction sets a kernel can run on, chosen once at run time.
//!
//! A kernel is a struct of arguments with [`Kernel::run`], written once over [`Lanes`]. [`Isa::run`] enters a
//! function compiled for the instruction set and hands the kernel the lanes of that set; everything below it
//! is inlined into that function. This is the only place where an instruction set is selected.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512, AvxVnni};
use super::{
    amx::Amx,
    lanes::{Lanes, Portable},
};

/// An instruction set with its own kernels, from the slowest to the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust: runs everywhere and is the reference that the others are tested against.
    Portable,
    /// AVX2, FMA and F16C (Intel since 2013, AMD since 2015).
    Avx2,
    /// AVX2 with the VEX-coded int8 dot product (Intel client processors since 2021).
    AvxVnni,
    /// AVX-512 F/BW/VL/DQ and VNNI (Intel servers since 2019, AMD since Zen 4).
    Avx512Vnni,
    /// The same with matrix instructions for several rows at once (Intel servers since 2023).
    Amx,
}

/// Work that is written over the lanes of any instruction set.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;

    /// Does the work. Implementations are `#[inline(always)]`: the body must be compiled inside the function
    /// that has the instruction set enabled.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

impl Isa {
    /// All instruction sets, from the slowest to the fastest.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni, Self::Amx];

    /// Returns the fastest instruction set of this processor.
    pub fn detect() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Says whether this processor (and its operating system) offers the instruction set.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 =
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
            match self {
                Self::Portable => true,
                Self::Avx2 => avx2,
                Self::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
                Self::Amx => Self::Avx512Vnni.is_available() && Amx::detect().is_some(),
                Self::Avx512Vnni => {
                    avx2 && is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512vl")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vnni")
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx-vnni",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Amx => "amx",
        }
    }

    /// The name that processors are sold by, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Portable => "no AVX2",
            Self::Avx2 => "AVX2",
            Self::AvxVnni => "AVX2 with VNNI",
            Self::Avx512Vnni => "AVX-512 VNNI",
            Self::Amx => "AVX-512 VNNI and AMX",
        }
    }

    /// The matrix instructions, where this instruction set has them and the processor offers them.
    pub(crate) fn matrix_instructions(self) -> Option<Amx> {
        if self == Self::Amx && self.is_available() { Amx::detect() } else { None }
    }

    /// Largest number of activation rows that one pass over a weight tile serves, and so the group size of
    /// packed activations.
    pub(crate) fn group_rows(self) -> usize {
        // Asked of the lanes that will do the work: they are the portable ones where the processor lacks the set.
        self.run(GroupRows)
    }

    /// Runs `kernel` on this instruction set, or on the portable one when the processor lacks it.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // Detection is cached by the standard library: a load and a test per call.
        if !self.is_available() {
            return kernel.run(Portable);
        }
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `is_available` has just confirmed every feature that `run_avx2` enables.
            Self::Avx2 => unsafe { run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, for `run_avx_vnni`.
            Self::AvxVnni => unsafe { run_avx_vnni(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, for `run_avx512`.
            Self::Avx512Vnni => unsafe { run_avx512(kernel, 0) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above: it includes that set.
            Self::Amx => unsafe { run_avx512(kernel, Avx512::AHEAD) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => kernel.run(Portable),
        }
    }
}

struct GroupRows;

impl Kernel for GroupRows {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> usize {
        L::GROUP
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: this function is compiled for, and only called with, the features that `Avx2` stands for.
    kernel.run(unsafe { Avx2::assume() })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn run_avx_vnni<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: this function is compiled for, and only called with, the features that `AvxVnni` stands for.
    kernel.run(unsafe { AvxVnni::assume() })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn run_avx512<K: Kernel>(kernel: K, ahead: usize) -> K::Output {
    // SAFETY: this function is compiled for, and only called with, the features that `Avx512` stands for.
    kernel.run(unsafe { Avx512::assume(ahead) })
}
