//! An embedder without a model: a bag of hashed words.

use fontes_core::{
    Digest, EmbeddedQuery, Embedder, Embedding, MatchPassage, ModelIdentity, QueryToken, Result, Span, seam::EmbedAs,
};

/// Embeds a text as the direction of its word counts, each word hashed to one dimension (feature hashing,
/// Weinberger et al. 2009, without signs). Texts that share words are near; the role makes no difference.
#[derive(Clone, Debug)]
pub struct HashEmbedder {
    identity: ModelIdentity,
    dimensions: usize,
    max_tokens: usize,
}

impl HashEmbedder {
    /// Longest input of [`HashEmbedder::new`], in words.
    pub const MAX_TOKENS: usize = 512;

    /// Makes an embedder of vectors `dimensions` long. Its identity depends on that number only.
    pub fn new(dimensions: usize) -> Self {
        Self::named("hash-embedder", dimensions)
    }

    /// Makes an embedder with another name, and so another identity.
    pub fn named(name: &str, dimensions: usize) -> Self {
        assert!(dimensions > 0, "a vector has at least one dimension");
        let sha256 = Digest::of(format!("{name} {dimensions}").as_bytes());
        Self { identity: ModelIdentity { name: name.to_owned(), sha256 }, dimensions, max_tokens: Self::MAX_TOKENS }
    }

    /// Sets the longest input, in words.
    #[must_use]
    pub fn with_max_tokens(self, max_tokens: usize) -> Self {
        Self { max_tokens, ..self }
    }

    fn embed_one(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        for word in words(text).take(self.max_tokens) {
            vector[dimension_of(&word, self.dimensions)] += 1.0;
        }
        let length = vector.iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
        if length == 0.0 {
            // A text without words still needs a direction; any fixed one will do.
            vector[0] = 1.0;
        } else {
            vector.iter_mut().for_each(|x| *x /= length);
        }
        vector
    }
}

impl Embedder for HashEmbedder {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn embed(&self, texts: &[&str], _role: EmbedAs) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| self.embed_one(text)).collect())
    }

    fn has_tokens(&self) -> bool {
        true
    }

    fn embed_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        Ok(texts.iter().map(|text| Embedding { vector: self.embed_one(text), tokens: signs(text) }).collect())
    }

    /// A token for each word, of equal weight.
    fn embed_queries(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>> {
        let token = |text: &str, word: &str| {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            let vector = hash(&word.to_lowercase()).to_le_bytes().map(f32::from).to_vec();
            QueryToken { span: Span::new(start, start + word.len()), vector, weight: 1.0 }
        };
        let tokens = |text: &str| pieces(text).map(|word| token(text, word)).collect();
        Ok(texts.iter().map(|text| EmbeddedQuery { vector: self.embed_one(text), tokens: tokens(text) }).collect())
    }

    /// The share of the query's words, by weight, that a passage holds.
    fn match_tokens(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>> {
        let all: f32 = query.iter().map(|token| token.weight).sum();
        let mut spent = 0;
        let score = |passage: &MatchPassage<'_>| {
            let read = if passage.tokens.is_empty() { signs(passage.text) } else { passage.tokens.to_vec() };
            let (held, _) = read.as_chunks::<SIGN>();
            let within = !passage.tokens.is_empty() || spent == 0 || spent + held.len() <= budget;
            spent += if passage.tokens.is_empty() { held.len() } else { 0 };
            let is_held = |token: &&QueryToken| held.iter().any(|word| word.map(f32::from) == token.vector[..]);
            within.then(|| query.iter().filter(is_held).map(|token| token.weight).sum::<f32>() / all.max(f32::EPSILON))
        };
        Ok(passages.iter().map(score).collect())
    }

    fn token_offsets(&self, text: &str) -> Result<Vec<usize>> {
        let starts = text.char_indices().scan(true, |after_space, (at, c)| {
            let begins = *after_space && !c.is_whitespace();
            *after_space = c.is_whitespace();
            Some(begins.then_some(at))
        });
        Ok(starts.flatten().collect())
    }
}

/// Lowercased runs of letters and digits.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    pieces(text).map(str::to_lowercase)
}

/// Runs of letters and digits.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Bytes by which a word is known again.
const SIGN: usize = 8;

/// The hash of each word of a text.
fn signs(text: &str) -> Vec<u8> {
    words(text).flat_map(|word| hash(&word).to_le_bytes()).collect()
}

/// FNV-1a, 64 bits: stable over versions of the standard library, unlike its hasher.
fn hash(word: &str) -> u64 {
    word.bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn dimension_of(word: &str, dimensions: usize) -> usize {
    usize::try_from(hash(word) % dimensions as u64).expect("the remainder is below a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn vectors_are_of_unit_length_and_shared_words_are_near() {
        let embedder = HashEmbedder::new(256);
        let texts = ["the notice period", "the NOTICE period is long", "apples and pears", ""];
        let vectors = embedder.embed(&texts, EmbedAs::Passage).unwrap();
        for vector in &vectors {
            assert!((dot(vector, vector) - 1.0).abs() < 1e-5);
        }
        assert!(dot(&vectors[0], &vectors[1]) > 0.7);
        assert!(dot(&vectors[0], &vectors[2]) < 0.4);
    }

    #[test]
    fn input_is_cut_at_the_longest_length() {
        let embedder = HashEmbedder::new(64).with_max_tokens(2);
        let vectors = embedder.embed(&["one two", "one two three"], EmbedAs::Query).unwrap();
        assert_eq!(vectors[0], vectors[1]);
    }

    #[test]
    fn tokens_begin_where_words_begin() {
        let offsets = HashEmbedder::new(8).token_offsets("  Größe ist\tda").unwrap();
        assert_eq!(offsets, [2, 10, 14]);
        assert_eq!(HashEmbedder::new(8).token_offsets("").unwrap(), [0; 0]);
    }

    #[test]
    fn another_name_is_another_identity() {
        assert_ne!(HashEmbedder::new(8).identity(), HashEmbedder::named("other", 8).identity());
        assert_ne!(HashEmbedder::new(8).identity(), HashEmbedder::new(9).identity());
    }
}
