//! Noticing that a text goes in circles.
//!
//! Small models, and Apertus-8B when it answers from passages, sometimes repeat a sentence until the budget is
//! gone. Exact repetition is enough to look for: greedy decoding that has said the same thing twice in the same
//! surroundings says it for ever.

use fontes_core::TokenId;

/// Longest circle looked for, in tokens: a paragraph of four or five sentences.
const MAX_PERIOD: usize = 160;
/// Tokens that must have come again before a circle is called one: dashes of a table and short refrains are
/// legitimate.
const MIN_REPEATED: usize = 40;

/// Watches generated tokens.
#[derive(Debug)]
pub(crate) struct Repetition {
    tokens: Vec<TokenId>,
    /// By period less one: how many of the latest tokens equal the token one period before them.
    runs: Vec<usize>,
}

impl Repetition {
    pub(crate) fn new() -> Self {
        Self { tokens: Vec::new(), runs: vec![0; MAX_PERIOD] }
    }

    /// Adds a token. Returns where to cut once the text is a circle: the number of tokens to keep, which is up
    /// to the end of the first time round.
    pub(crate) fn push(&mut self, token: TokenId) -> Option<usize> {
        let at = self.tokens.len();
        self.tokens.push(token);
        let mut cut = None;
        for (index, run) in self.runs.iter_mut().enumerate() {
            let period = index + 1;
            let again = at.checked_sub(period).is_some_and(|before| self.tokens[before] == token);
            *run = if again { *run + 1 } else { 0 };
            // Twice more, word for word, besides the first time.
            if cut.is_none() && *run >= MIN_REPEATED.max(2 * period) {
                cut = Some(at + 1 - *run);
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(tokens: impl IntoIterator<Item = TokenId>) -> Option<usize> {
        let mut repetition = Repetition::new();
        tokens.into_iter().find_map(|token| repetition.push(token))
    }

    #[test]
    fn a_sentence_said_three_times_is_kept_once() {
        let start = 1000..1010;
        let sentence: Vec<TokenId> = (0..25).collect();
        let text = start.chain(sentence.iter().copied().cycle().take(100));
        assert_eq!(cut(text), Some(10 + 25));
    }

    #[test]
    fn a_stuttered_token_is_kept_once() {
        assert_eq!(cut([7, 8].into_iter().chain(std::iter::repeat_n(9, 100))), Some(3));
    }

    #[test]
    fn lists_and_tables_are_no_circles() {
        let list = (0..100).flat_map(|item| [1, 2, 3, 1000 + item, 4]);
        assert_eq!(cut(list), None);
        let refrain = [1, 2, 3, 4, 5, 6, 7, 8].into_iter().cycle().take(32).chain(100..200);
        assert_eq!(cut(refrain), None);
        assert_eq!(cut(std::iter::repeat_n(5, 30)), None);
    }
}
