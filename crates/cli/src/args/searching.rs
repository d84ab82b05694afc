//! Arguments of `search` and `ask` that say how is searched.

use clap::Args;
use fontes_core::SearchChoice;

/// How is searched, where it is to differ from the configuration.
#[derive(Args, Clone, Copy, Debug)]
pub struct Searching {
    /// Search for the text as one question, even when it clearly asks several things
    #[arg(long)]
    pub whole: bool,
    /// Let the generator put the question in other words, and search for these too
    #[arg(long)]
    pub rewrite: bool,
    /// Let the generator write a passage that might answer the question, and search for the like of it (HyDE)
    #[arg(long)]
    pub hyde: bool,
    /// How much a passage that resembles a better one steps back: 0 not at all, 1 whatever its score
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    pub diversity: Option<f32>,
}

impl Searching {
    /// What differs from the configuration.
    pub fn choice(self) -> SearchChoice {
        SearchChoice {
            split: self.whole.then_some(false),
            rewrite: self.rewrite.then_some(true),
            hypothetical: self.hyde.then_some(true),
            diversity: self.diversity,
        }
    }
}
