//! The generation loop: a conversation in, text out, over any [`crate::decoder::Network`].
//!
//! A [`LocalGenerator`] joins a network, its tokenizer and its conversation format. Each call opens one session,
//! reads the prompt in pieces, and then chooses one token at a time: forbid what is never text, let the caller's
//! mask narrow the rest, sample, pass the text through an outlet that holds back what may yet have to go. The
//! text streamed and the text returned are the same.
//!
//! **Why hold back instead of correcting later.** Stop strings, trailing commentary and circles are seen only
//! after they began. Readers have already seen what was streamed, and an audit must show what they saw.
//!
//! **Out of scope:** what to ask, citations, batches of conversations.

mod commentary;
mod local;
mod lookahead;
mod masks;
mod open;
mod outlet;
mod repetition;
mod run;
mod sampler;
#[cfg(test)]
mod tests;

pub use local::LocalGenerator;
pub use masks::Choices;
pub(crate) use open::from_directory;
pub use open::{Options, TemplateChoice, open};
pub(crate) use outlet::Outlet;
pub(crate) use repetition::Repetition;
