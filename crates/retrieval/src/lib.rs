//! Finding: a question goes in, the passages that may answer it come out.
//!
//! The nouns are [`Searcher`], which runs both legs and puts their candidates into one order, [`Fusion`], the
//! rule by which it does so, and the passages that [`passages`] makes of hits: neighbours joined, numbered for
//! citation. What only repeats a better hit is no hit of its own, but named beside it.
//!
//! **Why two legs.** Words find identifiers, names and rare terms exactly; vectors find paraphrases and other
//! languages. On legal German words win, on encyclopaedic questions vectors do, and nobody knows beforehand
//! which one a question needs. Scores become comparable by scaling them, and lexical ones, being shares of what was
//! asked for, say besides how much they know. So the lists are added up by score, with weights that a site can
//! tune, or fused by rank.
//!
//! **Several questions in one.** [`parts`] takes a text apart that asks more than one thing, by rule; the searcher searches
//! for the whole and for each part, and for what a caller rewrote it to, and fuses what it finds.
//!
//! **Why a gate after filters.** Both indexes filter by access scope inside. The ledger is asked once more for
//! every candidate, because it alone knows what is active at this moment: an index may lag behind by one
//! commit, and a lagging index must never show what was withdrawn.
//!
//! **Out of scope:** analysis of words (the lexical index does it), embedding, storage, prompts and answers.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod analysis;
mod boilerplate;
mod decompose;
mod diversity;
mod duplicate;
mod explanation;
mod features;
mod feedback;
mod fusion;
mod gate;
mod grammar;
mod legs;
mod passage;
mod rescoring;
mod search;
mod several;

pub use analysis::QueryAnalysis;
pub use decompose::parts;
pub use explanation::Explanation;
pub use features::{FEATURES, Featured};
pub use fusion::{Fused, Fusion, FusionMethod, LegShares};
pub use passage::{PassageOptions, passages};
pub use search::{MAX_HITS, SearchResult, SearchTimings, Searcher};
pub use several::FoundBy;
