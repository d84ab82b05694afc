//! The seams: traits with contracts. Each has two real implementations, or one and a stricter fake.
//!
//! All seams are synchronous. The work behind them is CPU-bound or local disk; callers on an async runtime
//! move it off their threads.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use crate::{
    AccessScope, Chunk, ChunkId, ChunkRecord, Digest, Document, DocumentId, DocumentSummary, Error, ErrorKind, Facet,
    Filter, Generation, GenerationRequest, IndexSnapshot, Labels, Language, LedgerPosition, ModelIdentity, Result,
    Span, TermMatch,
};

/// A flag that asks long work to stop at the next safe point. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop. Idempotent.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Says whether someone asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present moment; may go backwards when the system clock is set.
    fn now(&self) -> SystemTime;
}

/// What a text is to an embedder: models of the e5 family prefix the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedAs {
    /// Something asked.
    Query,
    /// Something stored.
    Passage,
}

/// Turns text into vectors.
pub trait Embedder: Send + Sync {
    /// Name and weight digest. An index remembers it and opens with no other.
    fn identity(&self) -> &ModelIdentity;

    /// Length of every vector.
    fn dimensions(&self) -> usize;

    /// Longest input in tokens, special tokens and prefix included; longer input is cut.
    fn max_tokens(&self) -> usize;

    /// Embeds each text. The result has the order of the input, each vector `dimensions()` long and of unit
    /// Euclidean length, and does not depend on how texts are grouped into calls beyond rounding.
    fn embed(&self, texts: &[&str], role: EmbedAs) -> Result<Vec<Vec<f32>>>;

    /// Byte offset at which each token of `text` begins, ascending, without special tokens or prefix. What
    /// chunk sizes are measured with.
    fn token_offsets(&self, text: &str) -> Result<Vec<usize>>;

    /// Says whether [`Embedder::embed_passages`] gives signs of tokens.
    fn has_tokens(&self) -> bool {
        false
    }

    /// Embeds each text as [`EmbedAs::Passage`], with the signs of its tokens when [`Embedder::has_tokens`].
    fn embed_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let vectors = self.embed(texts, EmbedAs::Passage)?;
        Ok(vectors.into_iter().map(|vector| Embedding { vector, tokens: Vec::new() }).collect())
    }

    /// Embeds each text as [`EmbedAs::Query`], with its tokens when [`Embedder::has_tokens`].
    fn embed_queries(&self, texts: &[&str]) -> Result<Vec<EmbeddedQuery>> {
        let vectors = self.embed(texts, EmbedAs::Query)?;
        Ok(vectors.into_iter().map(|vector| EmbeddedQuery { vector, tokens: Vec::new() }).collect())
    }

    /// How much of a query each passage holds, token by token (late interaction): one score of 0..=1 per passage, in order,
    /// comparable for the same tokens. They are those of [`Embedder::embed_queries`], each with its weight, and weights are none
    /// below zero. Passages come with the most promising first. One whose signs are given costs next to nothing; of the others as
    /// many are read as are within `budget` tokens, the first whatever its length, and the rest scores `None`. Embedders without
    /// token vectors read none, which is the default.
    fn match_tokens(
        &self,
        query: &[QueryToken],
        passages: &[MatchPassage<'_>],
        budget: usize,
    ) -> Result<Vec<Option<f32>>> {
        let _ = (query, budget);
        Ok(vec![None; passages.len()])
    }
}

/// What an embedder makes of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddedQuery {
    /// Its vector; see [`Embedder::embed`].
    pub vector: Vec<f32>,
    /// Its tokens, in order, those that a prefix adds left out. Empty when the embedder gives none.
    pub tokens: Vec<QueryToken>,
}

/// A token of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryToken {
    /// The bytes of the query that it stands for.
    pub span: Span,
    /// Its vector, in the embedder's own form.
    pub vector: Vec<f32>,
    /// How much it counts; from the embedder, by how rare it is in its vocabulary.
    pub weight: f32,
}

/// What an embedder makes of a passage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    /// Its vector; see [`Embedder::embed`].
    pub vector: Vec<f32>,
    /// The signs of its tokens' vectors, in the embedder's own form: what [`Embedder::match_tokens`] needs of it. Empty
    /// when the embedder gives none.
    pub tokens: Vec<u8>,
}

/// A passage to compare with a query token by token.
#[derive(Clone, Copy, Debug)]
pub struct MatchPassage<'a> {
    /// Its text.
    pub text: &'a str,
    /// The signs of its tokens, from [`Embedder::embed_passages`]; empty when they were not kept.
    pub tokens: &'a [u8],
}

/// Scores how well a passage answers a query.
pub trait Reranker: Send + Sync {
    /// Name and weight digest.
    fn identity(&self) -> &ModelIdentity;

    /// One score per passage, in order; higher is better, comparable only within a call. Passages come with the most
    /// promising first: one that the reranker's budget does not reach scores NaN.
    fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>>;
}

/// A text to look for an answer in, and the parts of it that may hold one.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The text; parts are understood from what stands around them.
    pub text: &'a str,
    /// Spans of `text`, ascending, not overlapping.
    pub parts: &'a [Span],
}

/// The likeliest answer in a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The answer in the text, within the part.
    pub span: Span,
    /// Log odds of this being the answer against the text holding none; comparable between questions.
    pub score: f32,
}

/// Reads texts for the answer to a question.
pub trait Reader: Send + Sync {
    /// Name and weight digest.
    fn identity(&self) -> &ModelIdentity;

    /// The likeliest answer in each part of each text, in order; `None` for parts that were not reached or hold
    /// no token. Texts come with the most promising first: reading has a budget.
    fn read(&self, question: &str, texts: &[Reading<'_>]) -> Result<Vec<Vec<Option<Finding>>>>;
}

/// A statement, what it answers, and a text that may say it.
#[derive(Clone, Copy, Debug)]
pub struct Inference<'a> {
    /// What was asked. A short answer means something only beside it.
    pub question: &'a str,
    /// The language of the answer.
    pub language: Language,
    /// What is claimed.
    pub statement: &'a str,
    /// What is cited for it.
    pub text: &'a str,
}

/// Judges whether texts say what is claimed of them (textual entailment).
pub trait Judge: Send + Sync {
    /// Name and weight digest.
    fn identity(&self) -> &ModelIdentity;

    /// The probability, 0..=1, that the text says what the statement does.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when cancelled before there is a verdict; whatever the model gives.
    fn entails(&self, inference: &Inference<'_>, cancel: &Cancel) -> Result<f32>;
}

/// Continues a conversation.
pub trait Generator: Send + Sync {
    /// Name and weight digest (for a server: its name and the digest of the model name it states).
    fn identity(&self) -> &ModelIdentity;

    /// Longest prompt plus answer, in tokens.
    fn context_length(&self) -> usize;

    /// Number of tokens of `text` in this model's vocabulary; an upper estimate where that is unknown.
    fn count_tokens(&self, text: &str) -> usize;

    /// Generates text, handing each complete piece to `on_text` as it comes. A `Break` from `on_text` or a
    /// set `cancel` ends generation within one token; what was generated is returned either way.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the prompt does not fit the context; [`ErrorKind::Unavailable`] and
    /// [`ErrorKind::Timeout`] from remote generators; [`ErrorKind::Corrupt`] for weights that give no numbers.
    fn generate(
        &self,
        request: GenerationRequest<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &Cancel,
    ) -> Result<Generation>;

    /// Erases whatever was kept of prompts that held passages of `documents`. Keepers of nothing do nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when a stored copy cannot be removed.
    fn forget(&self, documents: &[DocumentId]) -> Result<()> {
        let _ = documents;
        Ok(())
    }
}

/// One chunk as handed to both indexes.
#[derive(Clone, Copy, Debug)]
pub struct IndexEntry<'a> {
    /// The chunk.
    pub chunk: &'a Chunk,
    /// Its document.
    pub document: &'a DocumentSummary,
    /// Its embedding, of unit length. The lexical index ignores it.
    pub vector: &'a [f32],
}

/// A chunk that an index found, with that index's score (higher is better).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The chunk.
    pub chunk: ChunkId,
    /// The score.
    pub score: f32,
}

/// Vectors with an access filter inside.
///
/// Writes become durable at [`VectorIndex::flush`]; a reader may see them earlier. Upserting an id twice
/// leaves the later entry; removing an unknown id is no error.
pub trait VectorIndex: Send + Sync {
    /// Adds or replaces entries.
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()>;

    /// Removes chunks.
    fn remove(&self, chunks: &[ChunkId]) -> Result<()>;

    /// Makes everything written so far survive power loss.
    fn flush(&self) -> Result<()>;

    /// The `k` nearest allowed chunks by cosine similarity, best first. Never more than `k`, never a chunk
    /// outside `scope` or `filter`; an empty scope finds nothing.
    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>>;

    /// The vectors of chunks, in order; `None` for one that is not there. There is no scope: ask for what is known to be allowed.
    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>>;

    /// Every chunk id present.
    fn ids(&self) -> Result<BTreeSet<ChunkId>>;

    /// Builds what makes searches fast. Blocking, idempotent, safe to interrupt.
    fn optimize(&self) -> Result<()>;
}

/// Signs of the tokens of chunks, so that a search need not read its candidates again.
///
/// What is lost costs time and nothing else, so nothing here is part of what makes a chunk searchable. But signs tell what a
/// text is about, so what leaves the archive leaves here too.
pub trait TokenStore: Send + Sync {
    /// Keeps the signs that the embedder with these weights gave, and replaces what was kept of the same chunks.
    fn put(&self, embedder: &Digest, signs: &[(ChunkId, &[u8])]) -> Result<()>;

    /// The signs of each chunk, in order; empty where none are kept.
    fn get(&self, embedder: &Digest, chunks: &[ChunkId]) -> Result<Vec<Vec<u8>>>;

    /// Erases what is kept of chunks, whatever embedder it is of. When it returns, no file holds it.
    fn remove(&self, chunks: &[ChunkId]) -> Result<()>;

    /// Every chunk of which signs are kept, of this embedder or of any.
    fn ids(&self, embedder: Option<&Digest>) -> Result<BTreeSet<ChunkId>>;
}

/// Postings with an access filter inside.
///
/// Writes are staged and become visible and durable together at [`LexicalIndex::commit`]; a crash before it
/// loses them all. Staging an id twice leaves the later entry.
pub trait LexicalIndex: Send + Sync {
    /// Stages additions or replacements.
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()>;

    /// Stages removals.
    fn remove(&self, chunks: &[ChunkId]) -> Result<()>;

    /// Commits what is staged, and `position` with it, atomically.
    fn commit(&self, position: LedgerPosition) -> Result<()>;

    /// The position of the last commit; zero for a new index.
    fn committed(&self) -> Result<LedgerPosition>;

    /// The `k` best allowed chunks by their words, best first. `text` is plain words, never query syntax. Scores of
    /// one query compare with those of another: a chunk that holds each word once has about 1, one that only holds what
    /// was probably meant by misspelt words has less than half.
    fn search(&self, text: &str, scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>>;

    /// `text` with the words that no allowed chunk holds replaced by the most similar ones that some do; `None`
    /// when there is nothing to replace, or nothing similar. An index that keeps no dictionary gives nothing.
    fn suggest(&self, text: &str, scope: &AccessScope) -> Result<Option<String>> {
        let _ = (text, scope);
        Ok(None)
    }

    /// Which words of `text` speak for `chunk`, the weightiest first; nothing for a chunk that is not allowed. An
    /// index that cannot tell gives nothing.
    fn explain(&self, text: &str, scope: &AccessScope, chunk: ChunkId) -> Result<Vec<TermMatch>> {
        let _ = (text, scope, chunk);
        Ok(Vec::new())
    }

    /// How rare each word is among all chunks: its inverse document frequency, 0 for what is no word. An index that does not
    /// count gives nothing.
    fn rarities(&self, words: &[&str]) -> Result<Vec<f32>> {
        let _ = words;
        Ok(Vec::new())
    }

    /// How many allowed documents have each value of language (that of their beginning), source and media type; the
    /// most frequent first within a field. A value that no allowed document has is not named. An index that does not
    /// count gives nothing.
    fn facets(&self, scope: &AccessScope, filter: &Filter) -> Result<Vec<Facet>> {
        let _ = (scope, filter);
        Ok(Vec::new())
    }

    /// Every chunk id committed.
    fn ids(&self) -> Result<BTreeSet<ChunkId>>;
}

/// The read side of the only truth about what is searchable.
///
/// Every method that gives out content takes the scope and treats "not active", "not allowed" and "does not
/// exist" alike.
pub trait Ledger: Send + Sync {
    /// The active, allowed chunks among `ids`, in the order of `ids`; the others are left out.
    fn chunks(&self, ids: &[ChunkId], scope: &AccessScope) -> Result<Vec<ChunkRecord>>;

    /// An active, allowed document with its stored text.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], the same for "not there" and "not yours".
    fn document(&self, id: DocumentId, scope: &AccessScope) -> Result<(DocumentSummary, Document)>;

    /// The present snapshot number.
    fn snapshot(&self) -> Result<IndexSnapshot>;
}

/// The one "not found" every store gives for a document, whether it is absent or out of scope.
pub fn document_not_found(id: DocumentId) -> Error {
    Error::new(ErrorKind::NotFound, format!("document {id} is not there")).advise("run `fontes search` to find its id")
}

/// Checks that `labels` name at least one group, before a document is stored.
///
/// # Errors
/// [`ErrorKind::Invalid`] for labels nobody could ever be allowed to see: unknown access is not indexed.
pub fn require_labels(labels: &Labels) -> Result<()> {
    if labels.groups.is_empty() {
        return Err(Error::invalid("document has no access group").advise("name groups for its source or folder"));
    }
    Ok(())
}
