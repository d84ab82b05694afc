//! Unigram vocabularies (Kudo 2018, arXiv 1804.10959) that open fast and stay small.
//!
//! The tokenizer library keeps such a vocabulary as a tree of hash maps, one per prefix: for the 250,000 pieces of the
//! XLM-RoBERTa family that takes half a second to build and 300 MB to hold. [`Unigram`] keeps all pieces in one string and
//! finds them by hash, tries every end within a word, and so finds the same tokens by the same arithmetic; a test holds the
//! two side by side. Everything around the model (normalisation, words, added tokens, templates) stays the library's: [`Pieces`] takes
//! the place of its model in its own pipeline.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tokenizers::{
    DecoderWrapper, Model, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Result, Token,
    Tokenizer, TokenizerBuilder, TokenizerImpl,
    models::{TrainerWrapper, unigram::UnigramError},
};

/// The library's pipeline on [`Pieces`].
pub(crate) type Pipeline =
    TokenizerImpl<Pieces, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Opens a `tokenizer.json`: unigram vocabularies here, all others as the library does.
///
/// # Errors
/// The library's, for a definition that it does not accept either.
pub(crate) fn open(json: &[u8]) -> Result<Pipeline> {
    if let Ok(pipeline) = serde_json::from_slice::<Pipeline>(json) {
        return Ok(pipeline);
    }
    let library = Tokenizer::from_bytes(json)?;
    let mut pipeline = TokenizerBuilder::new()
        .with_normalizer(library.get_normalizer().cloned())
        .with_pre_tokenizer(library.get_pre_tokenizer().cloned())
        .with_post_processor(library.get_post_processor().cloned())
        .with_decoder(library.get_decoder().cloned())
        .with_added_vocabulary(library.get_added_vocabulary().clone())
        .with_model(Pieces::Library(library.get_model().clone()))
        .build()?;
    pipeline.set_encode_special_tokens(library.get_encode_special_tokens());
    Ok(pipeline)
}

/// One more than the highest id that a pipeline can give.
pub(crate) fn highest(pipeline: &Pipeline) -> usize {
    let added = pipeline.get_added_tokens_decoder().into_keys().max().map_or(0, |id| id as usize + 1);
    let model = match pipeline.get_model() {
        Pieces::Unigram(unigram) => unigram.scores.len(),
        Pieces::Library(model) => model.get_vocab().into_values().max().map_or(0, |id| id as usize + 1),
    };
    model.max(added)
}

/// How rare a token is: what it costs a unigram vocabulary, which is minus the logarithm of its probability. `None` where
/// the vocabulary has no probabilities.
pub(crate) fn rarity(pipeline: &Pipeline, id: u32) -> Option<f32> {
    match pipeline.get_model() {
        Pieces::Unigram(unigram) => unigram.scores.get(id as usize).map(|score| -*score as f32),
        Pieces::Library(_) => None,
    }
}

/// The model of a pipeline.
pub(crate) enum Pieces {
    Unigram(Unigram),
    Library(ModelWrapper),
}

impl Model for Pieces {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        match self {
            Self::Unigram(unigram) => unigram.tokenize(word),
            Self::Library(model) => model.tokenize(word),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Self::Unigram(unigram) => unigram.id(token),
            Self::Library(model) => model.token_to_id(token),
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        match self {
            Self::Unigram(unigram) => unigram.piece(id).map(str::to_owned),
            Self::Library(model) => model.id_to_token(id),
        }
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Self::Unigram(unigram) => (0..).map_while(|id| Some((unigram.piece(id)?.to_owned(), id))).collect(),
            Self::Library(model) => model.get_vocab(),
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Self::Unigram(unigram) => unigram.scores.len(),
            Self::Library(model) => model.get_vocab_size(),
        }
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        match self {
            Self::Unigram(_) => Err("a compact vocabulary is not saved".into()),
            Self::Library(model) => model.save(folder, prefix),
        }
    }

    fn get_trainer(&self) -> TrainerWrapper {
        match self {
            Self::Unigram(_) => TrainerWrapper::UnigramTrainer(Default::default()),
            Self::Library(model) => model.get_trainer(),
        }
    }
}

/// What an unknown character costs below the worst piece (as SentencePiece has it).
const UNKNOWN_PENALTY: f64 = 10.0;

/// A unigram vocabulary.
pub(crate) struct Unigram {
    /// All pieces, one after the other.
    text: String,
    /// Where each piece ends in `text`.
    ends: Vec<u32>,
    scores: Vec<f64>,
    least: f64,
    unknown: Option<u32>,
    byte_fallback: bool,
    index: Index,
}

/// The best way found to a place in a word.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    from: usize,
    id: u32,
}

impl Step {
    /// Says whether this way is better than the one known so far. Of two equals the first stays.
    fn improves(self, known: Option<Self>) -> bool {
        known.is_none_or(|known| self.score > known.score)
    }
}

impl Unigram {
    /// The text of a piece.
    fn piece(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        let start = if id == 0 { 0 } else { *self.ends.get(id - 1)? as usize };
        self.text.get(start..*self.ends.get(id)? as usize)
    }

    /// The id of a piece; of equal pieces the last.
    fn id(&self, piece: &str) -> Option<u32> {
        self.find(Index::hash(Index::START, piece), piece)
    }

    #[inline]
    fn find(&self, hash: u64, piece: &str) -> Option<u32> {
        self.index.candidates(hash).find(|&id| self.piece(id) == Some(piece))
    }

    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        let mut tokens = Vec::new();
        for (range, _) in self.best(word)? {
            let text = &word[range.clone()];
            let offsets = (range.start, range.end);
            // Unknown characters together may be a piece, though none of them is.
            if let Some(id) = self.id(text) {
                tokens.push(Token::new(id, text.to_owned(), offsets));
            } else if let Some(bytes) = self.bytes(text) {
                tokens.extend(bytes.into_iter().map(|(id, name)| Token::new(id, name, offsets)));
            } else {
                let id = self.unknown.ok_or(UnigramError::MissingUnkId)?;
                tokens.push(Token::new(id, text.to_owned(), offsets));
            }
        }
        Ok(tokens)
    }

    /// A text byte by byte, where the vocabulary has a piece for each byte.
    fn bytes(&self, text: &str) -> Option<Vec<(u32, String)>> {
        let byte = |byte: u8| {
            let name = format!("<0x{byte:02X}>");
            Some((self.id(&name)?, name))
        };
        if self.byte_fallback { text.bytes().map(byte).collect() } else { None }
    }

    /// The cut of a word into pieces with the highest sum of scores, and whether a piece is unknown; neighbouring unknown
    /// characters are one.
    fn best(&self, word: &str) -> Result<Vec<(std::ops::Range<usize>, bool)>> {
        let unknown_score = self.least - UNKNOWN_PENALTY;
        let mut steps: Vec<Option<Step>> = vec![None; word.len() + 1];
        for (start, character) in word.char_indices() {
            let so_far = steps[start].map_or(0.0, |step| step.score);
            let mut single = false;
            let mut hash = Index::START;
            for (at, next) in word[start..].char_indices() {
                let end = start + at + next.len_utf8();
                if end - start > self.index.longest {
                    break;
                }
                hash = Index::hash(hash, &word[start + at..end]);
                if let Some(id) = self.find(hash, &word[start..end]) {
                    let step = Step { score: self.scores[id as usize] + so_far, from: start, id };
                    if step.improves(steps[end]) {
                        steps[end] = Some(step);
                    }
                    single |= at == 0;
                }
            }
            if !single {
                let end = start + character.len_utf8();
                let step = Step { score: unknown_score + so_far, from: start, id: self.unknown.unwrap_or(0) };
                if step.improves(steps[end]) {
                    self.unknown.ok_or(UnigramError::MissingUnkId)?;
                    steps[end] = Some(step);
                }
            }
        }
        let mut cut: Vec<(std::ops::Range<usize>, bool)> = Vec::new();
        let mut end = word.len();
        while end > 0 {
            // Every character boundary was reached, if only by an unknown character.
            let Some(step) = steps[end] else { return Err("a word cannot be cut into pieces".into()) };
            let unknown = Some(step.id) == self.unknown;
            match cut.last_mut() {
                Some((range, true)) if unknown => range.start = step.from,
                _ => cut.push((step.from..end, unknown)),
            }
            end = step.from;
        }
        cut.reverse();
        Ok(cut)
    }
}

/// Ids by the hash of their pieces, in one open table.
struct Index {
    /// Upper half of the hash, and id plus one; 0 is free.
    slots: Vec<u64>,
    /// Bytes of the longest piece.
    longest: usize,
}

impl Index {
    /// The hash of nothing (FNV-1a, as its multiplier below).
    const START: u64 = 0xCBF2_9CE4_8422_2325;

    /// A table for so many pieces, half full at most.
    fn new(pieces: usize) -> Self {
        Self { slots: vec![0; (2 * pieces + 1).next_power_of_two()], longest: 0 }
    }

    /// Hashes more of a piece.
    #[inline]
    fn hash(hash: u64, text: &str) -> u64 {
        text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
    }

    /// Ids of pieces that may have this hash, in the order they were added.
    #[inline]
    fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let first = hash as usize;
        let slots = (0..self.slots.len()).map(move |at| self.slots[(first.wrapping_add(at)) & (self.slots.len() - 1)]);
        slots
            .take_while(|slot| *slot != 0)
            .filter(move |slot| slot >> 32 == hash >> 32)
            .filter_map(|slot| (slot as u32).checked_sub(1))
    }

    /// Adds a piece. Of equal pieces the one added first is found.
    fn add(&mut self, piece: &str, id: u32) {
        let hash = Self::hash(Self::START, piece);
        self.longest = self.longest.max(piece.len());
        let mut place = hash as usize & (self.slots.len() - 1);
        while self.slots[place] != 0 {
            place = (place + 1) & (self.slots.len() - 1);
        }
        self.slots[place] = hash >> 32 << 32 | u64::from(id + 1);
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(ModelVisitor).map(Self::Unigram)
    }
}

struct ModelVisitor;

impl<'de> Visitor<'de> for ModelVisitor {
    type Value = Unigram;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a unigram model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Unigram, A::Error> {
        let (mut pieces, mut unknown, mut byte_fallback) = (None, None, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "type" if map.next_value::<Cow<'de, str>>()? != "Unigram" => {
                    return Err(A::Error::custom("another kind of model"));
                }
                "type" => {}
                "unk_id" => unknown = map.next_value::<Option<u32>>()?,
                "byte_fallback" => byte_fallback = map.next_value()?,
                "vocab" => pieces = Some(map.next_value_seed(VocabularySeed)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Vocabulary { text, ends, scores } = pieces.ok_or_else(|| A::Error::missing_field("vocab"))?;
        if unknown.is_some_and(|id| id as usize >= scores.len()) {
            return Err(A::Error::custom("the unknown piece is not in the vocabulary"));
        }
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let index = Index::new(scores.len());
        let mut unigram = Unigram { text, ends, scores, least, unknown, byte_fallback, index };
        // From the last to the first: of equal pieces the last counts.
        for id in (0..unigram.scores.len() as u32).rev() {
            let start = if id == 0 { 0 } else { unigram.ends[id as usize - 1] as usize };
            unigram.index.add(&unigram.text[start..unigram.ends[id as usize] as usize], id);
        }
        Ok(unigram)
    }
}

#[derive(Default)]
struct Vocabulary {
    text: String,
    ends: Vec<u32>,
    scores: Vec<f64>,
}

/// Reads the list of pieces and scores.
struct VocabularySeed;

impl<'de> DeserializeSeed<'de> for VocabularySeed {
    type Value = Vocabulary;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Vocabulary, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for VocabularySeed {
    type Value = Vocabulary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pieces with scores")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Vocabulary, A::Error> {
        let mut vocabulary = Vocabulary::default();
        while let Some(Entry(piece, score)) = seq.next_element::<Entry<'de>>()? {
            vocabulary.text.push_str(&piece);
            let end = u32::try_from(vocabulary.text.len()).map_err(A::Error::custom)?;
            vocabulary.ends.push(end);
            vocabulary.scores.push(score);
        }
        Ok(vocabulary)
    }
}

/// A piece, borrowed from the file where it has no escapes, and its score.
#[derive(Deserialize)]
struct Entry<'a>(#[serde(borrow)] Cow<'a, str>, f64);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The same definition in the library and here.
    fn both(vocabulary: &[(String, f64)], unknown: Option<u32>, byte_fallback: bool) -> (Tokenizer, Pipeline) {
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
            "model": {"type": "Unigram", "unk_id": unknown, "byte_fallback": byte_fallback, "vocab": vocabulary},
        });
        let json = serde_json::to_vec(&json).unwrap();
        let pipeline = open(&json).unwrap();
        assert!(matches!(pipeline.get_model(), Pieces::Unigram(_)));
        (Tokenizer::from_bytes(&json).unwrap(), pipeline)
    }

    fn agree(library: &Tokenizer, pipeline: &Pipeline, text: &str) {
        match (library.encode(text, false), pipeline.encode(text, false)) {
            (Ok(wanted), Ok(found)) => {
                assert_eq!(wanted.get_ids(), found.get_ids(), "{text:?}");
                assert_eq!(wanted.get_offsets(), found.get_offsets(), "{text:?}");
                assert_eq!(wanted.get_tokens(), found.get_tokens(), "{text:?}");
            }
            (wanted, found) => assert_eq!(wanted.is_err(), found.is_err(), "{text:?}"),
        }
    }

    proptest! {
        #[test]
        fn tokens_are_those_of_the_library(
            pieces in proptest::collection::vec(("[aäb€🦀\\\\\"]{1,4}", -9.0..0.0_f64), 1..60),
            texts in proptest::collection::vec("[aäb€🦀x \\\\\"]{0,30}", 1..10),
            unknown in any::<bool>(),
            byte_fallback in any::<bool>(),
        ) {
            let mut vocabulary = vec![("<unk>".to_owned(), 0.0)];
            vocabulary.extend(pieces);
            if byte_fallback {
                vocabulary.extend((0..=255).map(|byte: u8| (format!("<0x{byte:02X}>"), -5.0)));
            }
            let (library, pipeline) = both(&vocabulary, unknown.then_some(0), byte_fallback);
            texts.iter().for_each(|text| agree(&library, &pipeline, text));
            for (piece, _) in &vocabulary {
                prop_assert_eq!(library.token_to_id(piece), pipeline.token_to_id(piece));
            }
            prop_assert_eq!(highest(&pipeline), vocabulary.len());
        }
    }

    #[test]
    fn unknown_neighbours_are_one_even_when_they_spell_a_piece() {
        let vocabulary = [("<unk>".to_owned(), 0.0), ("a".to_owned(), -1.0), ("a".to_owned(), -3.0)];
        let (library, pipeline) = both(&vocabulary, Some(0), false);
        for text in ["", "a", "xyz", "axya", "<unk>", "x<unk>y", "ü🦀a"] {
            agree(&library, &pipeline, text);
        }
    }

    #[test]
    fn other_models_are_left_to_the_library() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders");
        for (name, unigram) in [("bert", false), ("xlm-roberta", true)] {
            let json = std::fs::read(dir.join(name).join("tokenizer.json")).unwrap();
            let (library, pipeline) = (Tokenizer::from_bytes(&json).unwrap(), open(&json).unwrap());
            assert_eq!(matches!(pipeline.get_model(), Pieces::Unigram(_)), unigram, "{name}");
            let text = "  Le Conseil fédéral…  naïve café\n12 % 🦀 Mitglieder <s> [CLS] ＡＢＣ ﬁn";
            agree(&library, &pipeline, text);
            let special = |encoding: tokenizers::Encoding| encoding.get_ids().to_vec();
            assert_eq!(special(library.encode(text, true).unwrap()), special(pipeline.encode(text, true).unwrap()));
        }
    }

    #[test]
    fn a_damaged_vocabulary_is_refused() {
        for model in [
            json!({"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}),
            json!({"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}),
            json!({"type": "Unigram", "unk_id": 0}),
            json!({"type": "Unigram", "unk_id": 0, "vocab": {"a": 1}}),
        ] {
            let json = json!({"version": "1.0", "added_tokens": [], "model": model});
            assert!(open(&serde_json::to_vec(&json).unwrap()).is_err(), "{json}");
        }
    }
}
