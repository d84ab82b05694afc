//! Words that text recognition (OCR) found on pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The words of recognised pages by page number, from 1. A page without words was looked at in vain.
pub(crate) type Recognised = BTreeMap<u32, Vec<RecognisedWord>>;

/// A word as text recognition read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecognisedWord {
    /// What it says.
    pub text: String,
    /// Left, top, right, bottom in points from the top left of the displayed page.
    pub area: [f32; 4],
    /// How sure the recognition is, in percent.
    pub confidence: u8,
    /// Which paragraph and which line of the page it belongs to; equal numbers belong together.
    pub paragraph: u32,
    pub line: u32,
}

/// Pages of which recognition is less sure than this, on the mean of characters, are handwriting, photographs
/// or noise: their "text" would only pollute the index. Clean print is above 0.9, bad copies above 0.7.
pub(crate) const UNSURE: f32 = 0.5;

/// How sure recognition is of a page: the mean over characters, 0 to 1; `None` without words.
pub(crate) fn confidence(words: &[RecognisedWord]) -> Option<f32> {
    let letters = |word: &RecognisedWord| word.text.chars().count();
    let total: usize = words.iter().map(letters).sum();
    let sure: usize = words.iter().map(|word| letters(word) * usize::from(word.confidence)).sum();
    #[expect(clippy::cast_precision_loss, reason = "characters of a page")]
    let mean = || sure as f32 / total as f32 / 100.0;
    (total > 0).then(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_weigh_more() {
        let word = |text: &str, confidence| RecognisedWord {
            text: text.into(),
            area: [0.0; 4],
            confidence,
            paragraph: 1,
            line: 1,
        };
        assert_eq!(confidence(&[word("aaa", 100), word("b", 0)]), Some(0.75));
        assert_eq!(confidence(&[]), None);
    }
}
