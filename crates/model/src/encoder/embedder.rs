//! Text to vector: prefix, tokenise, encode, pool, cut, normalise.

use fontes_core::{
    EmbeddedQuery, Embedding, MatchPassage, ModelIdentity, QueryToken, Result, seam::EmbedAs, seam::Embedder,
};

use super::{
    EncoderError, batch,
    elementwise::normalise,
    network::{Network, Packed},
    settings::Usage,
    tokenize::{TextTokenizer, Tokens},
};
use crate::store::Pooling;

/// A sentence embedder on a BERT or XLM-RoBERTa encoder.
#[derive(Debug)]
pub struct EncoderEmbedder {
    pub(super) identity: ModelIdentity,
    pub(super) network: Network,
    pub(super) tokenizer: TextTokenizer,
    pub(super) usage: Usage,
    /// Length of the vectors given out; at most the encoder's width.
    pub(super) dimensions: usize,
    pub(super) tokens_per_batch: usize,
}

impl EncoderEmbedder {
    /// Each text with its prefix, as tokens.
    pub(super) fn tokenised(&self, texts: &[&str], role: EmbedAs) -> Result<Vec<Tokens>, EncoderError> {
        let prefix = self.prefix(role);
        batch::each(&self.network.machine().pool, texts, |text| self.tokenizer.single(&format!("{prefix}{text}")))
    }

    /// Makes something of the vectors of each input's tokens, `[tokens, hidden]`, in order.
    pub(super) fn encode<T: Send>(
        &self,
        inputs: &[Tokens],
        made: impl Fn(usize, &[f32]) -> Result<T, EncoderError> + Sync,
    ) -> Result<Vec<T>, EncoderError> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        batch::run(self.network.machine(), &lengths, self.tokens_per_batch, |pool, batch| {
            let mut packed = Packed::default();
            batch.iter().for_each(|&index| packed.push(&inputs[index].ids, &inputs[index].types));
            let states = self.network.forward(pool, &packed)?;
            let hidden = self.network.config().hidden;
            let sequences = batch.iter().zip(&packed.sequences);
            sequences.map(|(&index, tokens)| made(index, &states[tokens.start * hidden..tokens.end * hidden])).collect()
        })
    }

    /// What goes before a text in this role.
    pub(super) fn prefix(&self, role: EmbedAs) -> &str {
        match role {
            EmbedAs::Query => &self.usage.query_prefix,
            EmbedAs::Passage => &self.usage.passage_prefix,
        }
    }

    /// One unit vector from the token vectors of a sequence.
    pub(super) fn pool(&self, states: &[f32]) -> Result<Vec<f32>, EncoderError> {
        let hidden = self.network.config().hidden;
        let mut vector = states[..hidden].to_vec();
        if self.usage.pooling == Pooling::Mean {
            // The sum points the same way as the mean.
            for row in states.chunks_exact(hidden).skip(1) {
                vector.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        vector.truncate(self.dimensions);
        if normalise(&mut vector) { Ok(vector) } else { Err(EncoderError::NotANumber) }
    }
}

impl Embedder for EncoderEmbedder {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    fn embed(&self, texts: &[&str], role: EmbedAs) -> Result<Vec<Vec<f32>>> {
        Ok(self.encode(&self.tokenised(texts, role)?, |_, states| self.pool(states))?)
    }

    fn token_offsets(&self, text: &str) -> Result<Vec<usize>> {
        Ok(self.tokenizer.offsets(text)?)
    }

    fn has_tokens(&self) -> bool {
        true
    }

    fn embed_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        Ok(self.embed_signed(texts)?)
    }

    fn embed_queries(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>> {
        Ok(self.embed_asked(texts)?)
    }

    fn match_tokens(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>> {
        Ok(self.match_all(query, passages, budget)?)
    }
}
