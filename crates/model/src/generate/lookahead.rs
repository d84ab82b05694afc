//! Reading ahead: drafts taken from the text itself, verified together in one pass.
//!
//! An answer with sources repeats its sources. Where the last few tokens stood before, in the prompt or in the answer,
//! what followed them there is drafted ("prompt lookup", Saxena 2023; verification as in Leviathan et al., arXiv
//! 2211.17192). One pass over the chosen token and its draft gives the logits after each of them, for little more than
//! the cost of one token: the weights are read once.
//!
//! **Exactness.** A draft never chooses anything. Each token is chosen from its own logits, by the same mask and with
//! the same random number as without drafts; the draft only decides whether those logits are there already. Text,
//! log-probabilities and what a seed gives are therefore the same. (For a draft that proposes one token with certainty,
//! this is the acceptance rule of speculative sampling.)

use fontes_core::{Result, TokenId};

use crate::decoder::{Logits, Session};

/// The longest run of tokens that is looked up; a longer one is a better guess.
const LONGEST_MATCH: usize = 4;

/// The shortest. One token says too little: most stand in many places.
const SHORTEST_MATCH: usize = 2;

/// Most tokens of a draft: with the chosen token a group of twelve rows, which the matrix kernels work on together.
const LONGEST_DRAFT: usize = 11;

/// Fewest tokens of a draft, after one that went wrong at once.
const SHORTEST_DRAFT: usize = 2;

/// Proposes what may come next.
#[derive(Debug)]
struct Drafter {
    /// Prompt and answer.
    text: Vec<TokenId>,
    /// Tokens of the next draft.
    length: usize,
}

impl Drafter {
    fn new(prompt: &[TokenId]) -> Self {
        Self { text: prompt.to_vec(), length: LONGEST_DRAFT / 2 }
    }

    /// What followed the latest earlier occurrence of the last tokens, the longest run of them that has one.
    fn draft(&self, most: usize) -> &[TokenId] {
        let text = &self.text;
        for length in (SHORTEST_MATCH..=LONGEST_MATCH.min(text.len())).rev() {
            let (before, last) = (&text[..text.len() - 1], &text[text.len() - length..]);
            if let Some(at) = before.windows(length).rposition(|run| run == last) {
                let rest = &text[at + length..];
                return &rest[..rest.len().min(self.length).min(most)];
            }
        }
        &[]
    }

    /// Drafts more after a draft that came true, and little beyond what came true after another.
    fn learn(&mut self, drafted: usize, accepted: usize) {
        if drafted > 0 {
            let next = if accepted == drafted { 2 * drafted } else { accepted + 1 };
            self.length = next.clamp(SHORTEST_DRAFT, LONGEST_DRAFT);
        }
    }
}

/// A session that may know the logits of the next few tokens already.
pub(super) struct Lookahead<'s> {
    session: &'s mut dyn Session,
    capacity: usize,
    drafter: Option<Drafter>,
    /// Tokens that the session has read beyond the chosen ones.
    draft: Vec<TokenId>,
    /// How many of them were chosen.
    accepted: usize,
    /// Logits after the last chosen token before the draft, and after each drafted one.
    rows: Vec<f32>,
}

impl<'s> Lookahead<'s> {
    /// Goes on from a session that has read the prompt, with the logits after it. `drafts` turns drafts on.
    pub(super) fn new(
        session: &'s mut dyn Session,
        capacity: usize,
        prompt: &[TokenId],
        logits: Vec<f32>,
        drafts: bool,
    ) -> Self {
        let drafter = drafts.then(|| Drafter::new(prompt));
        Self { session, capacity, drafter, draft: Vec::new(), accepted: 0, rows: logits }
    }

    /// Logits after the last chosen token.
    pub(super) fn logits(&self) -> &[f32] {
        let width = self.rows.len() / (self.draft.len() + 1);
        &self.rows[self.accepted * width..(self.accepted + 1) * width]
    }

    /// The session, which may have read a draft beyond the chosen tokens.
    pub(super) fn session(&self) -> &dyn Session {
        self.session
    }

    /// Takes note that `token` was chosen, and makes its logits available.
    pub(super) fn choose(&mut self, token: TokenId) -> Result<()> {
        if let Some(drafter) = &mut self.drafter {
            drafter.text.push(token);
        }
        if self.draft.get(self.accepted) == Some(&token) {
            self.accepted += 1;
            return Ok(());
        }
        self.drop_rest();
        let mut tokens = vec![token];
        if let Some(drafter) = &self.drafter {
            tokens.extend_from_slice(drafter.draft(self.capacity.saturating_sub(self.session.len() + 1)));
        }
        self.rows = self.session.forward(&tokens, if tokens.len() > 1 { Logits::All } else { Logits::Last })?;
        self.draft = tokens.split_off(1);
        Ok(())
    }

    /// Lets the session forget what of the draft was not chosen, so that it holds exactly the chosen tokens.
    pub(super) fn drop_rest(&mut self) {
        let surplus = self.draft.len() - self.accepted;
        self.session.truncate(self.session.len() - surplus);
        if let Some(drafter) = &mut self.drafter {
            drafter.learn(self.draft.len(), self.accepted);
        }
        self.draft.clear();
        self.accepted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafter(text: &[TokenId]) -> Drafter {
        Drafter::new(text)
    }

    #[test]
    fn what_followed_before_is_drafted() {
        assert_eq!(drafter(&[1, 2, 3, 4, 9, 1, 2]).draft(3), [3, 4, 9]);
        assert_eq!(drafter(&[1, 2, 7, 5, 1, 2, 8, 1, 2]).draft(1), [8], "the latest place");
        assert_eq!(drafter(&[0, 1, 2, 7, 5, 1, 2, 8, 0, 1, 2]).draft(1), [7], "the longest run");
        assert_eq!(drafter(&[5, 5, 5, 5]).draft(9), [5], "runs may overlap");
        assert!(drafter(&[1, 2, 3, 2]).draft(9).is_empty(), "one token is too little");
        assert!(drafter(&[1]).draft(9).is_empty() && drafter(&[]).draft(9).is_empty());
        assert!(drafter(&[1, 2, 3, 1, 2]).draft(0).is_empty());
    }

    #[test]
    fn lengths_follow_success() {
        let mut drafter = drafter(&[]);
        assert_eq!(drafter.length, 5);
        for (drafted, accepted, next) in [(5, 5, 10), (10, 10, 11), (11, 3, 4), (4, 0, 2), (2, 2, 4), (0, 0, 4)] {
            drafter.learn(drafted, accepted);
            assert_eq!(drafter.length, next, "{accepted} of {drafted}");
        }
    }
}
