//! Sizes in the embedder's tokens, from one pass over the text.
//!
//! Asking a tokenizer for every candidate piece is what makes splitting slow (0.1–0.4 MB/s measured). Token
//! offsets of the whole text are computed once; the size of any piece is then two binary searches.

use std::ops::Range;

use fontes_core::{Embedder, Result};
use text_splitter::ChunkSizer;

/// Tokenizers need many times the memory of their input; pieces of this size bound it, whatever the text.
const PIECE_BYTES: usize = 64 << 10;

/// A run of characters that a tokenizer does not know can be a single token, megabytes long. Real text has three
/// to six bytes in a token; from this many on, a token counts for more than one.
const BYTES_PER_TOKEN: usize = 32;

/// Where each token of one text begins.
pub(super) struct TokenOffsets(Vec<usize>);

impl TokenOffsets {
    /// Tokenizes `text` in pieces cut at white space, where no tokenizer in use joins across.
    pub(super) fn of(text: &str, embedder: &dyn Embedder) -> Result<Self> {
        let mut offsets = Vec::with_capacity(text.len() / 4);
        let mut at = 0;
        while at < text.len() {
            let end = piece_end(text, at);
            offsets.extend(embedder.token_offsets(&text[at..end])?.into_iter().map(|offset| at + offset));
            at = end;
        }
        Ok(Self(offsets))
    }

    /// Number of tokens that a piece of the text has on its own: those that begin in it, and one more when it
    /// begins inside a token. Never less than one for every [`BYTES_PER_TOKEN`].
    pub(super) fn count(&self, range: &Range<usize>) -> usize {
        let first = self.0.partition_point(|&offset| offset < range.start);
        let last = self.0.partition_point(|&offset| offset < range.end);
        let torn = first > 0 && self.0.get(first).is_none_or(|&offset| offset > range.start);
        (last - first + usize::from(torn && !range.is_empty())).max(range.len() / BYTES_PER_TOKEN)
    }
}

/// Where the piece that begins at `at` ends: after the last white space within reach, else at the last
/// character boundary.
fn piece_end(text: &str, at: usize) -> usize {
    let reach = text.floor_char_boundary(at.saturating_add(PIECE_BYTES).min(text.len()));
    if reach == text.len() {
        return reach;
    }
    let window = &text[at..reach];
    let after_space = window.char_indices().rev().find(|(_, c)| c.is_whitespace()).map(|(i, c)| i + c.len_utf8());
    at + after_space.unwrap_or(window.len())
}

/// Measures pieces of one text for `text-splitter`, which hands them back as slices of it.
pub(super) struct SliceSizer<'t> {
    pub(super) offsets: &'t TokenOffsets,
    pub(super) text: &'t str,
}

impl ChunkSizer for SliceSizer<'_> {
    fn size(&self, piece: &str) -> usize {
        // A slice knows its place by its address. A string from elsewhere would land outside the text and is
        // sized by its length, which no capacity fits.
        let start = (piece.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        match start.checked_add(piece.len()) {
            Some(end) if end <= self.text.len() => self.offsets.count(&(start..end)),
            _ => piece.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use fontes_testkit::HashEmbedder;

    use super::*;

    #[test]
    fn pieces_count_what_begins_in_them() {
        let text = "one two  three";
        let offsets = TokenOffsets::of(text, &HashEmbedder::new(4)).unwrap();
        assert_eq!(offsets.count(&(0..14)), 3);
        assert_eq!(offsets.count(&(4..7)), 1);
        assert_eq!(offsets.count(&(5..7)), 1, "a torn token still counts");
        assert_eq!(offsets.count(&(5..14)), 2);
        assert_eq!(offsets.count(&(4..4)), 0);
        let unknown = "字".repeat(320);
        let offsets = TokenOffsets::of(&unknown, &HashEmbedder::new(4)).unwrap();
        assert_eq!(offsets.count(&(0..960)), 30, "one token, but long");
    }

    #[test]
    fn long_texts_are_tokenized_in_pieces_with_the_same_result() {
        let text = "Wörter und noch mehr Wörter\n".repeat(20_000);
        let embedder = HashEmbedder::new(4);
        assert!(text.len() > 4 * PIECE_BYTES);
        assert_eq!(TokenOffsets::of(&text, &embedder).unwrap().0, embedder.token_offsets(&text).unwrap());
        let unbroken = "ß".repeat(PIECE_BYTES);
        assert_eq!(TokenOffsets::of(&unbroken, &embedder).unwrap().0[0], 0);
    }

    #[test]
    fn a_slice_knows_its_place() {
        let text = "one two three";
        let offsets = TokenOffsets::of(text, &HashEmbedder::new(4)).unwrap();
        let sizer = SliceSizer { offsets: &offsets, text };
        assert_eq!(sizer.size(&text[4..]), 2);
        assert_eq!(sizer.size("somewhere else"), 14);
    }
}
