//! Qdrant and Tantivy behind the two index seams, with the access filter inside both.
//!
//! Three nouns. A [`Recipe`] says how an index is built and searched; it is a file in the repository. A
//! [`Manifest`] says what an index on disk was built with; it lies beside the index and is checked at every
//! opening. An [`Index`] is the open pair: vectors in Qdrant, words in Tantivy. Vectors have two homes, by the same
//! contract: Qdrant's in-process shard, and a Qdrant server or cluster ([`VectorHome`]). Vectors of several embedders may
//! lie side by side, a [`VectorSet`] each; one of them is searched, and which one is a word in the manifest (`beside`).
//!
//! **Why two engines in one directory.** Each is the best at its half and neither needs a service. The directory
//! is locked as one, made as one and refused as one, so the halves cannot drift apart by being opened apart; it is so
//! with a server too, whose collection notes which directory it belongs to.
//! Neither engine is the truth: both can be rebuilt from the ledger, and every hit is checked against it again.
//! So nothing here repairs; damage is told, with what to do.
//!
//! **Access.** Each half has one function that turns scope and filter into the engine's own filter, and no search
//! that goes around it. A scope without groups compiles to nothing and finds nothing.
//!
//! **Out of scope:** fusion, reranking and passages (`retrieval`), the order of writes over both halves
//! (`ingestion`), document text (the ledger has it; here are only vectors and words).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod beside;
mod condition;
mod directory;
mod edge;
mod error;
mod lexical;
mod manifest;
mod open;
mod point;
mod recipe;
mod server;

pub use error::IndexError;
pub use lexical::ANALYZERS;
pub use manifest::{FORMAT, Manifest, Measure, Place, SetState, VectorSet};
pub use open::{Index, OtherVectors, VectorHome};
pub use recipe::{
    FieldWeights, FusionMethod, FusionRecipe, LearntWeights, LexicalRecipe, Quantization, Recipe, VectorRecipe,
};
pub use server::{ServerError, ServerReport, ServerSettings, report};

/// The most hits a search of either half gives, whatever `k` is: ten times what a reranker can take.
pub const MAX_RESULTS: usize = 10_000;
