//! Proof across crates: one test binary, one file per topic.
//!
//! Everything here runs the real `fontes` binary or reads the repository itself. What a single crate can
//! prove is proved in that crate.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod ask;
mod bad_input;
mod damage;
mod duplicates;
mod embedders;
mod ingest;
mod layout;
mod model_double;
mod models;
mod qdrant;
mod recovery;
mod search;
mod site;
