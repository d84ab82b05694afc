//! The heart: a question and its passages become an answer whose every sentence points at its source.
//!
//! The nouns are [`Answerer`], which holds what answering needs, [`AskRequest`], and [`AskEvent`], the steps of
//! an answer as they happen. [`Prompts`] are the words put to a model, [`AnswerPolicy`] what a site decides,
//! [`MarkerMask`] the citation grammar enforced while decoding.
//!
//! **The contract.** A model proposes; the sources dispose. Generated text is cut into sentences and reduced to
//! plain text. A marker can only name a passage that was given. Each sentence is checked against the smallest
//! span that could carry it: numbers, dates, units, names and denials first, then words, then similarity. What
//! no source carries is dropped or marked. When nothing is left, the answer is that the sources do not say.
//! So any text whatever, from any model, becomes an [`fontes_core::Answer`] whose citations all resolve.
//!
//! **Why check after asking for markers.** Models cite wrongly about as often as not, and pages or quotes that
//! a model reports are worth nothing. The span, the quote and the page of a citation are computed from the
//! stored text, never read from the model.
//!
//! **Without a model** the extractive method quotes the best sentences. It uses the same citations and the same
//! abstention, and says what it is.
//!
//! **Out of scope:** finding passages (`retrieval`), running a model (`model`), sessions, transport.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod anchors;
mod answerer;
mod asked;
mod assembly;
mod clean;
mod conflict;
mod conversation;
mod date;
mod estimate;
mod exception;
mod extractive;
mod facts;
mod generated;
mod judging;
mod lexicon;
mod list;
mod marker;
mod mask;
mod parts;
mod plain;
mod pointing;
mod policy;
mod prompt;
mod record;
mod replay;
mod rewriting;
mod sentence;
mod signals;
mod source;
mod standing;
mod table;
mod unit;
mod verify;
mod words;

pub use answerer::{Answerer, AskEvent, AskRequest, EXTRACTIVE, Weighed, check_question};
pub use conversation::standalone;
pub use judging::GeneratorJudge;
pub use mask::MarkerMask;
pub use policy::{AnswerPolicy, Unsupported};
pub use prompt::{Prompts, Template};
pub use replay::{Change, changes};
pub use rewriting::{RewriteLimits, rewritten};
