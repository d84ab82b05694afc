//! The encoder's tokenizer: text to ids within a length, with special tokens, and token offsets.

use std::{ops::Range, path::Path, sync::Arc};

use tokenizers::{Encoding, Model as _, OffsetType, PostProcessor as _, PreTokenizer as _, TruncationDirection};

use super::EncoderError;
use crate::tokenizer::unigram::{self, Pipeline};

/// The least weight of a token: some vocabularies give special tokens and the most common pieces none.
const COMMON: f32 = 2.0;

/// A tokenised input, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// 0 for the first text, 1 for the second.
    pub types: Vec<u32>,
}

/// A `tokenizer.json`, without the truncation and padding it may ask for: lengths are decided here. Clones share it.
#[derive(Clone)]
pub(super) struct TextTokenizer {
    tokenizer: Arc<Pipeline>,
    max_tokens: usize,
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTokenizer").field("max_tokens", &self.max_tokens).finish_non_exhaustive()
    }
}

impl TextTokenizer {
    /// Reads `tokenizer.json` in `dir`.
    pub fn open(dir: &Path) -> Result<Self, EncoderError> {
        let path = dir.join("tokenizer.json");
        let invalid = |source| EncoderError::Tokenizer { path: path.clone(), source };
        let json = std::fs::read(&path).map_err(|error| invalid(error.into()))?;
        let mut tokenizer = unigram::open(&json).map_err(invalid)?;
        tokenizer.with_truncation(None).map_err(invalid)?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer: Arc::new(tokenizer), max_tokens: 0 })
    }

    /// Sets the longest input, and checks that a network of `vocabulary` ids knows all of these.
    pub fn fitted(self, max_tokens: usize, vocabulary: usize) -> Result<Self, EncoderError> {
        let highest = unigram::highest(&self.tokenizer);
        if highest > vocabulary {
            return Err(EncoderError::Vocabulary { tokenizer: highest, encoder: vocabulary });
        }
        Ok(Self { max_tokens, ..self })
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

    /// Tokenises a text and a statement about it as one input. The text is cut to what the statement leaves; a statement
    /// longer than half the input is cut to that half.
    pub fn premise_and_statement(&self, text: &str, statement: &str) -> Result<Tokens, EncoderError> {
        let room = self.max_tokens.saturating_sub(self.special(true)).max(2);
        let statement = self.cut(statement, room / 2)?;
        let text = self.cut(text, room - statement.len())?;
        self.finish(text, Some(statement))
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

    /// Tokenises a question as the first of a pair, with the special tokens around it. The last token belongs after
    /// the second text, which goes before it and is of the last token's type.
    pub fn first_of_pair(&self, question: &str, room: usize) -> Result<Tokens, EncoderError> {
        self.finish(self.cut(question, room)?, Some(Encoding::default()))
    }

    /// Tokenises a whole text without special tokens: ids, and the bytes of `text` that each stands for.
    pub fn plain(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<usize>>), EncoderError> {
        let encoding = self.tokenizer.encode(text, false).map_err(EncoderError::Tokenise)?;
        let within = |&(start, end): &(usize, usize)| {
            let start = text.floor_char_boundary(start.min(text.len()));
            start..text.ceil_char_boundary(end.min(text.len())).max(start)
        };
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().iter().map(within).collect()))
    }

    /// Where in an input of [`TextTokenizer::single`] the text stands that follows `prefix`, special tokens left out.
    pub fn body(&self, prefix: &str, input: &Tokens) -> Result<Range<usize>, EncoderError> {
        // The space after a prefix belongs to the token that follows.
        let (prefix, _) = self.plain(prefix.trim_end())?;
        let end = input.ids.len().saturating_sub(self.special(false).div_ceil(2));
        Ok((self.special(false) / 2 + prefix.len()).min(end)..end)
    }

    /// How much a token tells: more when it is rare. 1 for each where the vocabulary has no probabilities.
    pub fn weight(&self, id: u32) -> f32 {
        unigram::rarity(&self.tokenizer, id).map_or(1.0, |rarity| rarity.max(COMMON))
    }

    fn special(&self, pair: bool) -> usize {
        self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    /// Tokenises the beginning of a text, `room` tokens at most: the steps of the library's `encode_fast`, which has no such
    /// limit per call, so that of a long text only as much is cut into tokens as will be used.
    fn cut(&self, text: &str, room: usize) -> Result<Encoding, EncoderError> {
        let tokenizer = &self.tokenizer;
        let mut words = tokenizer.get_added_vocabulary().extract_and_normalize(tokenizer.get_normalizer(), text);
        let cut = move || {
            if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
                pre_tokenizer.pre_tokenize(&mut words)?;
            }
            tokenizer.get_model().tokenize_in_pretokenized(&mut words, Some((room, TruncationDirection::Right)))?;
            words.into_encoding(None, 0, OffsetType::None)
        };
        let mut encoding = cut().map_err(EncoderError::Tokenise)?;
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
