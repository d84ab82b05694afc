//! Inference kernels for CPUs: quantised products, attention, and the small steps between them.
//!
//! The only SIMD of the house, and the only `unsafe` besides the mapping of files. Three nouns: an [`Isa`] is chosen once
//! and carries every kernel; a [`ThreadPool`] runs short parallel regions; an [`Arena`] holds the packed weights in huge
//! pages.
//!
//! **Why our own.** Reading a prompt is bound by int8 multiply-adds, generating by reading weights. Portable libraries
//! leave two thirds of the first and half of the second unused (`docs/benchmarks.md`). What makes the difference: weights
//! repacked at load into tiles of sixteen rows ([`tile`]), no larger than in the file; up to eight activation rows per
//! pass ([`activations`]); huge pages; attention that reads keys and values once for all heads that share them
//! ([`attention`]); one pool, no oversubscription.
//!
//! **How it is kept right.** Every kernel is written once over the vector vocabulary of [`lanes`] and instantiated for
//! portable Rust, AVX2, AVX-VNNI and AVX-512-VNNI. Tests compare each with exact arithmetic on the same integers.
//!
//! Encoders, which read whole texts at once and keep nothing, have products ([`int8`]) and attention ([`bidirectional`]) of
//! their own.
//!
//! **Out of scope:** model structure ([`crate::decoder`]), reading files ([`crate::weights`]), GPUs.
#![expect(
    unsafe_code,
    reason = "vector instructions and disjoint writes from several threads; each site says why it is sound"
)]

mod activations;
mod amx;
mod arena;
mod attention;
mod bidirectional;
mod elementwise;
mod int8;
mod isa;
mod kv;
mod lanes;
mod matmul;
mod pool;
mod roofline;
mod signs;
mod tile;

pub use activations::{Activations, Scaling};
pub use arena::Arena;
pub(crate) use arena::HUGE_PAGE;
pub use attention::{Attend, Attention, MAX_HEAD_DIM, attend};
pub use bidirectional::{Heads, attend_within};
pub use elementwise::{Activation, RotaryLayout, activate, rms_norm, rms_norm_in_place, rotate};
pub use int8::{Int8Matrix, Int8Rows, Then, multiply_int8};
pub use isa::Isa;
pub(crate) use isa::Kernel;
pub use kv::{KEY_TILE, KvCache};
pub(crate) use lanes::Lanes;
pub use matmul::{Output, PackError, PackedMatrix, Product, multiply};
pub use pool::ThreadPool;
pub use roofline::Roofline;
pub use signs::SignQuery;
pub use tile::{LAYOUT, TILE_ROWS, TileFormat};
