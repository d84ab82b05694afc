//! The sandboxed worker: a child process that parses and can do nothing else.
//!
//! [`serve`] is the child (the hidden command `fontes extract-worker`), [`WorkerPool`] the parent. They speak
//! length-prefixed frames over the child's standard input and output ([`protocol`]). The child gives up its
//! rights before it sees the first byte of a document ([`sandbox`]); the parent holds the clock and trusts
//! nothing that comes back: sizes are bounded and every document is validated again.

mod pool;
mod protocol;
mod recognise;
mod sandbox;
mod serve;

pub use pool::{Part, WorkerCommand, WorkerLimits, WorkerPool};
pub use recognise::{Recognition, RecognitionReport, recognition_report};
pub use sandbox::{Mechanism, sandbox_report};
pub use serve::serve;

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
