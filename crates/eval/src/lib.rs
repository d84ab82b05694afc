//! Evaluation anyone can run: judged questions in, figures with their uncertainty out.
//!
//! The nouns are [`Dataset`], a folder of documents, questions and judgements in the layout of BEIR;
//! [`RetrievalReport`], how well each way of searching ranks what was judged relevant; and [`AnswerReport`],
//! how often answers cite a place that holds the known answer, and how often they stay silent when it is gone.
//!
//! **Why closures.** What is measured is the system as composed by the binary: the caller hands in a function
//! that searches or asks. This crate counts. It knows no index and no model, so its figures cannot be bent by
//! knowing them.
//!
//! **Why these definitions.** Ranking metrics are those of `trec_eval`, number for number, because figures are
//! worth nothing when they cannot be compared. Means come with a bootstrap interval, because two hundred
//! questions do not distinguish 0.71 from 0.73.
//!
//! **Out of scope:** loading the corpus into an index, and choosing parameters, but for the few weights that [`tuned`] learns from
//! judged questions.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod answers;
mod baseline;
mod bootstrap;
mod curve;
mod dataset;
mod group;
mod known_item;
mod metrics;
mod plot;
mod report;
mod retrieval;
mod squad;
mod statement;
mod trec;
mod tune;

pub use answers::{AnswerReport, Asking, QuestionOutcome, evaluate_answers};
pub use baseline::{Baseline, Regression};
pub use bootstrap::{Interval, interval, paired_p_value};
pub use curve::{CurvePoint, Trial, curve_svg};
pub use dataset::{CorpusDocument, Dataset, Question};
pub use group::{GroupReport, QuestionClass};
pub use known_item::{KnownItems, Source, known_items};
pub use metrics::{Judgements, average_precision, complete, ndcg, recall, reciprocal_rank, success};
pub use plot::{bars, recall_curve};
pub use report::{ablation_markdown, answers_markdown, retrieval_html, retrieval_markdown};
pub use retrieval::{ModeReport, Ranking, RetrievalReport, evaluate_retrieval};
pub use squad::holds_answer;
pub use trec::{Run, read_run, write_qrels, write_run};
pub use tune::{Difference, TuningCandidate, TuningQuestion, mean_ndcg, tuned};
