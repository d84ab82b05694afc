//! Running weights: decoders (Apertus first), encoders, rerankers, their tokenizers, and the store that installs them.
//!
//! From the bottom: [`weights`] opens model files and believes nothing in them unchecked; [`kernels`] multiplies on the
//! CPU; [`decoder`] runs causal networks on candle or on the kernels, [`encoder`] embeds and scores; [`tokenizer`] and
//! [`chat`] turn conversations into ids; [`prefix`] keeps what was computed for the beginnings of prompts; [`generate`]
//! writes text, [`remote`] lets a server write it; [`quantize`] makes files smaller; [`store`] installs and checks them.
//!
//! **Out of scope:** what to ask and what an answer is worth.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod chat;
pub mod decoder;
pub mod encoder;
pub mod generate;
pub mod kernels;
pub mod prefix;
pub mod quantize;
pub mod remote;
pub mod store;
pub mod tokenizer;
pub mod weights;
