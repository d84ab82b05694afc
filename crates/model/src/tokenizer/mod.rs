//! Text to token ids and back, with a hard line between trusted and untrusted text.
//!
//! A [`TextTokenizer`] holds two things apart that a `tokenizer.json` mixes: the vocabulary for plain text, and
//! the control tokens. Plain text is encoded by a tokenizer from which every control token was removed, so that
//! no document and no question can produce one; only a [`Piece::Template`] may. A [`Detokenizer`] turns
//! generated ids back into text without ever giving out half a character.
//!
//! **Why not a flag.** The tokenizer library matches added tokens in any text, whatever the caller asks for
//! with `add_special_tokens`; its switch to turn that off covers tokens marked special only, and chat markers
//! such as `<tool_call>` or `<think>` often are not. Taking the tokens out leaves nothing to forget.
//!
//! **The seam for Apertus v2.** Everything above this module uses [`TextTokenizer`]'s methods and never the
//! library behind it: another encoder needs another constructor and another `plain` field, no trait.

mod bytes;
mod definition;
mod error;
mod gguf;
mod gguf_export;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod unigram;

use std::{collections::BTreeMap, ops::Range, path::Path};

use fontes_core::{TokenId, Vocabulary};
use tokenizers::Tokenizer;

pub use error::TokenizerError;
pub(crate) use gguf::begins_by_default;
pub(crate) use gguf_export::GgufVocabulary;
pub use stream::Detokenizer;

use definition::Definition;

use crate::weights::Metadata;

/// A part of a prompt, by who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Written by the conversation template: control tokens are recognised.
    Template(&'a str),
    /// Written by anyone: control tokens are just text.
    Text(&'a str),
}

/// A control token as the tokenizer defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) id: TokenId,
    /// Swallows white space before it.
    pub(crate) lstrip: bool,
    /// Swallows white space after it.
    pub(crate) rstrip: bool,
}

/// Encodes and decodes text for one model.
pub struct TextTokenizer {
    plain: Tokenizer,
    /// Control tokens by their text, longest first within a first byte.
    controls: BTreeMap<String, Control>,
    unknown: Option<TokenId>,
    /// Bytes of each id; `None` for control tokens and unused ids.
    bytes: Vec<Option<Box<[u8]>>>,
    is_control: Vec<bool>,
    ends: Vec<TokenId>,
    begin: Option<(TokenId, bool)>,
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTokenizer").field("ids", &self.bytes.len()).field("controls", &self.controls.len()).finish()
    }
}

/// A token of plain text and the bytes of the text it stands for.
struct Placed {
    id: TokenId,
    span: Range<usize>,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json` in the format of the Hugging Face `tokenizers` library.
    ///
    /// # Errors
    /// [`TokenizerError`]: unreadable, malformed, or of an unsupported kind.
    pub fn from_file(path: &Path) -> Result<Self, TokenizerError> {
        let bytes = std::fs::read(path).map_err(|source| TokenizerError::Io { path: path.to_owned(), source })?;
        Self::from_json(&bytes)
    }

    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError`]: malformed, or of an unsupported kind.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizerError> {
        let value = serde_json::from_slice(json).map_err(|error| TokenizerError::malformed(error.to_string()))?;
        Self::from_definition(Definition::read(value)?)
    }

    /// Rebuilds a tokenizer from the `tokenizer.ggml.*` keys of a GGUF file.
    ///
    /// # Errors
    /// [`TokenizerError`]: keys missing or contradictory, or a kind that is not supported.
    pub fn from_gguf(metadata: &Metadata<'_>) -> Result<Self, TokenizerError> {
        Self::from_definition(Definition::read(gguf::tokenizer_json(metadata)?)?)
    }

    fn from_definition(definition: Definition) -> Result<Self, TokenizerError> {
        let bytes = bytes::token_bytes(&definition);
        let mut is_control = vec![false; bytes.len()];
        for control in definition.controls.values() {
            is_control[control.id as usize] = true;
        }
        let plain = serde_json::from_value::<Tokenizer>(definition.plain)
            .map_err(|error| TokenizerError::malformed(error.to_string()))?;
        Ok(Self {
            plain,
            controls: definition.controls,
            unknown: definition.unknown,
            bytes,
            is_control,
            ends: Vec::new(),
            begin: None,
        })
    }

    /// The id of a control token, by its text.
    pub fn control(&self, text: &str) -> Option<TokenId> {
        self.controls.get(text).map(|control| control.id)
    }

    /// The text of a control token, by its id.
    pub fn control_text(&self, id: TokenId) -> Option<&str> {
        self.controls.iter().find(|(_, control)| control.id == id).map(|(text, _)| text.as_str())
    }

    /// What text becomes that the vocabulary cannot spell: the one special id that text can yield.
    pub fn unknown(&self) -> Option<TokenId> {
        self.unknown
    }

    /// All control tokens: text and id, sorted by text.
    pub fn controls(&self) -> impl Iterator<Item = (&str, TokenId)> {
        self.controls.iter().map(|(text, control)| (text.as_str(), control.id))
    }

    /// Says whether an id is a control token or unused. Such ids are never the encoding of plain text.
    pub fn is_control(&self, id: TokenId) -> bool {
        self.is_control.get(id as usize).copied().unwrap_or(true)
    }

    /// Names the ids that end the model's turn, sorted.
    pub fn set_end_tokens(&mut self, mut ends: Vec<TokenId>) {
        ends.sort_unstable();
        ends.dedup();
        self.ends = ends;
    }

    /// Names the token that begins a sequence, and whether every prompt starts with it even where the
    /// conversation template does not say so.
    pub fn set_begin_token(&mut self, begin: TokenId, always: bool) {
        self.begin = Some((begin, always));
    }

    /// The token that begins a sequence.
    pub fn begin_token(&self) -> Option<TokenId> {
        self.begin.map(|(id, _)| id)
    }

    /// Says whether every prompt starts with [`TextTokenizer::begin_token`].
    pub fn always_begins(&self) -> bool {
        self.begin.is_some_and(|(_, always)| always)
    }

    /// Makes the vocabulary as long as a network's output: padding rows get ids without text, ids that the
    /// network only reads are forgotten by [`Vocabulary::len`] but still encoded.
    ///
    /// # Errors
    /// [`TokenizerError::Mismatch`] when text could encode to an id that the network cannot read, or when more
    /// than a tenth of the network's ids have no text: the two then come from different models.
    pub fn fit(&mut self, input_size: usize, output_size: usize) -> Result<(), TokenizerError> {
        let used = self.bytes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mismatch = TokenizerError::Mismatch { tokenizer: self.bytes.len(), input: input_size, output: output_size };
        if used > input_size || self.bytes.len() < output_size - output_size / 10 {
            return Err(mismatch);
        }
        self.bytes.resize(output_size, None);
        Ok(())
    }

    /// Encodes untrusted text: never yields a control token.
    pub fn encode_text(&self, text: &str) -> Vec<TokenId> {
        self.place(text).into_iter().map(|token| token.id).collect()
    }

    /// Encodes pieces as one text, and tells for each piece which tokens it became.
    ///
    /// Plain text is encoded across the borders of pieces, as it would be in one string, so that cutting a
    /// message into segments does not change its tokens. A token that straddles a border counts for the piece
    /// of its last byte. Ranges are half open, in the order of the pieces, and never overlap.
    pub fn encode_pieces(&self, pieces: &[Piece<'_>]) -> (Vec<TokenId>, Vec<Range<usize>>) {
        let mut encoder = PieceEncoder::new(self, pieces.len());
        for (number, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => encoder.text(number, text),
                Piece::Template(text) => encoder.template(number, text),
            }
        }
        encoder.finish()
    }

    /// Encodes plain text with the place of each token, in order.
    fn place(&self, text: &str) -> Vec<Placed> {
        let mut placed = Vec::new();
        self.place_into(text, 0, &mut placed);
        placed
    }

    /// The library may still find a control token inside its own vocabulary (unigram models list them as
    /// ordinary pieces). Where it does, the text is cut inside the token and both sides are encoded again.
    fn place_into(&self, text: &str, base: usize, placed: &mut Vec<Placed>) {
        if text.is_empty() {
            return;
        }
        let Ok(encoding) = self.plain.encode(text, false) else {
            // The library refuses only text its model has no way to write; such text adds no tokens.
            return;
        };
        let tokens = || encoding.get_ids().iter().copied().zip(encoding.get_offsets().iter().copied());
        let mut cuts = Vec::new();
        for (id, (start, end)) in tokens() {
            if self.is_control(id) {
                let first = text.get(start..end).and_then(|part| part.chars().next()).map_or(1, char::len_utf8);
                cuts.extend([start, start + first, end]);
            }
        }
        cuts.retain(|&cut| 0 < cut && cut < text.len() && text.is_char_boundary(cut));
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.is_empty() {
            let kept = tokens().filter(|&(id, _)| !self.is_control(id) || Some(id) == self.unknown);
            placed.extend(kept.map(|(id, (start, end))| Placed { id, span: base + start..base + end }));
            return;
        }
        let mut start = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            self.place_into(&text[start..cut], base + start, placed);
            start = cut;
        }
    }
}

impl Vocabulary for TextTokenizer {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn token_bytes(&self, token: TokenId) -> Option<&[u8]> {
        self.bytes.get(token as usize)?.as_deref()
    }

    fn encode(&self, text: &str) -> Vec<TokenId> {
        self.encode_text(text)
    }

    fn end_tokens(&self) -> &[TokenId] {
        &self.ends
    }
}

/// Collects runs of plain text between control tokens and encodes each run whole.
struct PieceEncoder<'a> {
    tokenizer: &'a TextTokenizer,
    tokens: Vec<TokenId>,
    ranges: Vec<Range<usize>>,
    run: String,
    /// Piece number and end in `run`, ascending.
    owners: Vec<(usize, usize)>,
    /// The last token swallows white space that the template writes after it.
    swallow: bool,
}

impl<'a> PieceEncoder<'a> {
    fn new(tokenizer: &'a TextTokenizer, pieces: usize) -> Self {
        let (tokens, run, owners) = (Vec::new(), String::new(), Vec::new());
        Self { tokenizer, tokens, ranges: vec![0..0; pieces], run, owners, swallow: false }
    }

    fn text(&mut self, piece: usize, text: &str) {
        if !text.is_empty() {
            self.run.push_str(text);
            self.owners.push((piece, self.run.len()));
            self.swallow = false;
        }
    }

    fn template(&mut self, piece: usize, mut text: &str) {
        while !text.is_empty() {
            let Some((at, name, control)) = self.next_control(text) else {
                let text = if self.swallow { text.trim_start() } else { text };
                return self.text(piece, text);
            };
            let before = &text[..at];
            let before = if control.lstrip { before.trim_end() } else { before };
            let before = if self.swallow { before.trim_start() } else { before };
            self.text(piece, before);
            self.flush();
            self.push(piece, control.id);
            self.swallow = control.rstrip;
            text = &text[at + name..];
        }
    }

    /// The first control token in `text`, the longest where several begin: its place, length and definition.
    fn next_control(&self, text: &str) -> Option<(usize, usize, &'a Control)> {
        let controls = &self.tokenizer.controls;
        let mut best: Option<(usize, usize, &Control)> = None;
        for (name, control) in controls {
            let limit = best.map_or(text.len(), |(at, ..)| (at + name.len()).min(text.len()));
            let Some(at) = text.get(..limit).unwrap_or(text).find(name.as_str()) else { continue };
            if best.is_none_or(|(found, length, _)| at < found || (at == found && name.len() > length)) {
                best = Some((at, name.len(), control));
            }
        }
        best
    }

    fn push(&mut self, piece: usize, id: TokenId) {
        let range = &mut self.ranges[piece];
        if range.start == range.end {
            *range = self.tokens.len()..self.tokens.len();
        }
        self.tokens.push(id);
        range.end = self.tokens.len();
    }

    fn flush(&mut self) {
        let owners = std::mem::take(&mut self.owners);
        let run = std::mem::take(&mut self.run);
        for token in self.tokenizer.place(&run) {
            let last = token.span.end.saturating_sub(1).max(token.span.start);
            let owner = owners.partition_point(|&(_, end)| end <= last).min(owners.len() - 1);
            self.push(owners[owner].0, token.id);
        }
    }

    fn finish(mut self) -> (Vec<TokenId>, Vec<Range<usize>>) {
        self.flush();
        (self.tokens, self.ranges)
    }
}
