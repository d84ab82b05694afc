//! The encoder's tokenizer: text to ids within a length, with special tokens, and token offsets.

use std::path::Path;

use tokenizers::{EncodeInput, Encoding, PostProcessor as _, Tokenizer, TruncationDirection};

use super::EncoderError;

/// A tokenised input, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// 0 for the first text, 1 for the second.
    pub types: Vec<u32>,
}

/// A `tokenizer.json`, without the truncation and padding it may ask for: lengths are decided here.
#[derive(Debug)]
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    max_tokens: usize,
}

impl TextTokenizer {
    /// Opens `tokenizer.json` in `dir` for inputs of up to `max_tokens` and a network of `vocabulary` ids.
    pub fn open(dir: &Path, max_tokens: usize, vocabulary: usize) -> Result<Self, EncoderError> {
        let path = dir.join("tokenizer.json");
        let invalid = |source| EncoderError::Tokenizer { path: path.clone(), source };
        let mut tokenizer = Tokenizer::from_file(&path).map_err(invalid)?;
        tokenizer.with_truncation(None).map_err(invalid)?;
        tokenizer.with_padding(None);
        let highest = tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if highest > vocabulary {
            return Err(EncoderError::Vocabulary { tokenizer: highest, encoder: vocabulary });
        }
        Ok(Self { tokenizer, max_tokens })
    }

    /// Longest input, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Tokenises one text; the end is cut off.
    pub fn single(&self, text: &str) -> Result<Tokens, EncoderError> {
        let room = self.max_tokens.saturating_sub(self.special(false)).max(1);
        self.finish(self.cut(text, room)?, None)
    }

    /// Tokenises a query and a passage as one input. The passage is cut to what the query leaves; a query
    /// longer than half the input is cut to that half, so that something of the passage is always seen.
    pub fn pair(&self, query: &str, passage: &str) -> Result<Tokens, EncoderError> {
        let room = self.max_tokens.saturating_sub(self.special(true)).max(2);
        let query = self.cut(query, room / 2)?;
        let passage = self.cut(passage, room - query.len())?;
        self.finish(query, Some(passage))
    }

    /// Byte offset at which each token of `text` begins, ascending.
    pub fn offsets(&self, text: &str) -> Result<Vec<usize>, EncoderError> {
        let encoding = self.tokenizer.encode(text, false).map_err(EncoderError::Tokenise)?;
        let mut last = 0;
        Ok(encoding
            .get_offsets()
            .iter()
            .map(|&(start, _)| {
                // Byte tokens point into a character; chunks are cut between characters.
                last = text.floor_char_boundary(start.min(text.len())).max(last);
                last
            })
            .collect())
    }

    fn special(&self, pair: bool) -> usize {
        self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    fn cut(&self, text: &str, room: usize) -> Result<Encoding, EncoderError> {
        let mut encoding =
            self.tokenizer.encode_fast(EncodeInput::from(text), false).map_err(EncoderError::Tokenise)?;
        encoding.truncate(room, 0, TruncationDirection::Right);
        // The rest would be processed, too.
        encoding.set_overflowing(Vec::new());
        Ok(encoding)
    }

    fn finish(&self, first: Encoding, second: Option<Encoding>) -> Result<Tokens, EncoderError> {
        let encoding = self.tokenizer.post_process(first, second, true).map_err(EncoderError::Tokenise)?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec() })
    }
}
