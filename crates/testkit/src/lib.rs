//! Strict fakes and conformance suites for the seams of `fontes-core`.
//!
//! Two nouns. A **fake** implements a seam in memory, exactly and deterministically, and is stricter than
//! production: it refuses what production may merely get away with, and loses on [`MemoryVectorIndex::crash`]
//! and [`MemoryLexicalIndex::crash`] whatever was not made durable. A **conformance suite** is the contract of
//! a seam written as checks; it runs on the fake and on every real implementation, so that a test against the
//! fake says something about production. A [`Specimen`] builds the chunks both are fed with.
//!
//! **Why fakes and not mocks.** A mock repeats what its author believes the callee does. A fake that passes the
//! same suite as the real index cannot drift from it.
//!
//! **Out of scope:** anything production links. This crate is a dev-dependency only, and its checks fail by
//! panicking.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod clock;
pub mod conformance;
mod embedder;
mod generator;
mod ledger;
mod lexical;
mod specimen;
mod tokens;
mod vector;

pub use clock::FixedClock;
pub use embedder::HashEmbedder;
pub use generator::{RecordedRequest, ScriptedGenerator};
pub use ledger::MemoryLedger;
pub use lexical::MemoryLexicalIndex;
pub use specimen::{Specimen, clustered_vector, policy, scope, unit_vector};
pub use tokens::MemoryTokenStore;
pub use vector::MemoryVectorIndex;
