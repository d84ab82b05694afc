//! Encoders: embedders and rerankers of the BERT and XLM-RoBERTa families.
//!
//! Four nouns for the outside: an [`EncoderEmbedder`] turns texts into vectors, an [`EncoderReranker`] scores passages against
//! a query, an [`EncoderReader`] finds answers in them, an [`EncoderJudge`] says whether they carry a statement. Inside, a
//! tokenizer makes ids, sequences are sorted by length and packed into batches of a bounded number of tokens, the network gives
//! one vector per token, and pooling or a classification head makes of them what was asked for.
//!
//! **Why our own and not `candle-transformers`.** Its BERT pads every sequence to the longest of the batch
//! and multiplies the padding, too; it cannot look embedding rows up in quantised form, which for
//! a vocabulary of 250,000 is most of the model; and it copies more than it computes on narrow models. The
//! whole encoder is two hundred lines once matrix products are one type (`linear`).
//!
//! **Out of scope:** training, sparse embeddings, keeping the signs of tokens (`late` makes and compares them).

mod adapter;
mod batch;
mod checkpoint;
mod config;
mod cross;
mod e5s1;
mod elementwise;
mod embedder;
mod error;
mod judge;
mod late;
mod linear;
mod network;
mod reader;
mod reranker;
mod settings;
#[cfg(test)]
mod tests;
mod tokenize;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use config::{EncoderConfig, Family};
pub use embedder::EncoderEmbedder;
pub use error::EncoderError;
pub use judge::EncoderJudge;
pub use linear::Precision;
pub use reader::EncoderReader;
pub use reranker::{EncoderReranker, RerankBudget};

use fontes_core::{Digest, ModelIdentity};

use crate::{
    kernels::Isa,
    store::{InstalledModel, ModelRole},
    weights::{Config, TensorSource},
};
use adapter::Adapter;
use checkpoint::Checkpoint;
use cross::{CrossEncoder, Head};
use e5s1::Container;
use network::Network;
use settings::Usage;
use tokenize::TextTokenizer;

/// How an encoder is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderOptions {
    /// How linear layers are held.
    pub precision: Precision,
    /// Threads to work on, at least one.
    pub threads: usize,
    /// Most tokens computed at once. Larger batches do not run faster once the matrices are wide enough for
    /// the kernels; smaller ones stay in the cache.
    pub tokens_per_batch: usize,
    /// Keep only the first so many dimensions of an embedding, for models trained that way (Matryoshka,
    /// Kusupati et al. 2022, arXiv 2205.13147). `None`: all.
    pub dimensions: Option<usize>,
    /// The kernels to run on; a slower set than the processor's serves tests and comparisons.
    pub isa: Isa,
}

impl Default for EncoderOptions {
    /// 8 bits, every core, 256 tokens at once (measured: more leave the second-level cache, fewer read the weights too often),
    /// all dimensions, the processor's fastest kernels.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { precision: Precision::Int8, threads, tokens_per_batch: 256, dimensions: None, isa: Isa::detect() }
    }
}

/// Opens an embedder.
///
/// # Errors
/// [`EncoderError::WrongRole`] for another kind of model, [`EncoderError::Dimensions`] for none or more dimensions than
/// there are, and whatever is wrong with the files.
pub fn open_embedder(model: &InstalledModel, options: &EncoderOptions) -> Result<EncoderEmbedder, EncoderError> {
    expect_role(model, ModelRole::Embedder)?;
    let (network, tokenizer) = open_parts(model, options)?;
    let config = network.config();
    let dimensions = options.dimensions.unwrap_or(config.hidden);
    if !(1..=config.hidden).contains(&dimensions) {
        return Err(EncoderError::Dimensions { wanted: dimensions, has: config.hidden });
    }
    let usage = Usage::find(&model.dir, &model.name, model.embedding.as_ref(), config.max_tokens())?;
    let tokenizer = tokenizer.fitted(usage.max_tokens, config.vocabulary)?;
    let tokens_per_batch = options.tokens_per_batch;
    Ok(EncoderEmbedder { identity: model.identity(), network, tokenizer, usage, dimensions, tokens_per_batch })
}

/// Opens a reranker that spends `budget` on a call.
///
/// # Errors
/// [`EncoderError::WrongRole`] for another kind of model, and whatever is wrong with the files.
pub fn open_reranker(
    model: &InstalledModel,
    options: &EncoderOptions,
    budget: RerankBudget,
) -> Result<EncoderReranker, EncoderError> {
    let encoder = open_cross_encoder(model, options, |config| config.labels <= 2, "1 or 2 labels")?;
    Ok(EncoderReranker { encoder, budget })
}

/// Opens a judge: a cross-encoder with a label for entailment, or with one score, or with the labels no and yes.
///
/// # Errors
/// [`EncoderError::WrongRole`] for another kind of model, [`EncoderError::Unsupported`] for three labels of which none is
/// named entailment, and whatever is wrong with the files.
pub fn open_judge(model: &InstalledModel, options: &EncoderOptions) -> Result<EncoderJudge, EncoderError> {
    let fits = |config: &EncoderConfig| config.labels <= 2 || config.labels == 3 && config.entailment.is_some();
    open_cross_encoder(model, options, fits, "1 or 2 labels, or 3 of which one is named entailment").map(EncoderJudge)
}

/// Opens a cross-encoder whose labels fit.
fn open_cross_encoder(
    model: &InstalledModel,
    options: &EncoderOptions,
    fits: impl FnOnce(&EncoderConfig) -> bool,
    supported: &'static str,
) -> Result<CrossEncoder, EncoderError> {
    expect_role(model, ModelRole::Reranker)?;
    let (network, tokenizer) = open_parts(model, options)?;
    let config = network.config();
    if config.labels == 0 || !fits(config) {
        let found = format!("of {} labels", config.labels);
        return Err(EncoderError::Unsupported { what: "classification head", found, supported });
    }
    let head = Head::load(network.checkpoint(), config)?;
    let tokenizer = tokenizer.fitted(config.max_tokens(), config.vocabulary)?;
    let tokens_per_batch = options.tokens_per_batch;
    Ok(CrossEncoder { identity: model.identity(), network, head, tokenizer, tokens_per_batch })
}

/// Opens a reader: the encoder of an embedder, changed by the adapter in `bytes`, which was trained on it. The two share
/// the tokenizer and the stored weights; only the matrices that products run on are the reader's own.
///
/// # Errors
/// [`EncoderError::Adapter`] for an adapter that is damaged or belongs to another model, and whatever is wrong with the
/// weights.
pub fn open_reader(
    embedder: &EncoderEmbedder,
    bytes: &[u8],
    options: &EncoderOptions,
) -> Result<EncoderReader, EncoderError> {
    let (adapter, ends) = Adapter::parse(bytes, &embedder.identity)?;
    let identity = ModelIdentity { name: format!("{} reader", embedder.identity.name), sha256: Digest::of(bytes) };
    let checkpoint = Checkpoint::Adapted(embedder.network.checkpoint().clone(), adapter);
    let network = Network::load(Arc::new(checkpoint), embedder.network.config().clone(), options)?;
    let network = network.with_exact_attention();
    let ends = ends.fitted(network.config().hidden)?;
    let tokenizer = embedder.tokenizer.clone().fitted(network.config().max_tokens(), network.config().vocabulary)?;
    Ok(EncoderReader { identity, network, ends, tokenizer, tokens_per_batch: options.tokens_per_batch })
}

fn expect_role(model: &InstalledModel, wanted: ModelRole) -> Result<(), EncoderError> {
    if model.role == wanted { Ok(()) } else { Err(EncoderError::WrongRole { name: model.name.clone(), wanted }) }
}

/// Opens network and tokenizer side by side: with a large vocabulary, each takes as long as the other.
fn open_parts(model: &InstalledModel, options: &EncoderOptions) -> Result<(Network, TextTokenizer), EncoderError> {
    std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| TextTokenizer::open(&model.dir));
        let network = open_network(model, options)?;
        let tokenizer = tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((network, tokenizer))
    })
}

fn open_network(model: &InstalledModel, options: &EncoderOptions) -> Result<Network, EncoderError> {
    let (checkpoint, config) = match container(model) {
        Some(path) => {
            let container = Container::open(&path)?;
            let config = container.config().clone();
            (Checkpoint::Container(container), config)
        }
        None => open_folder(&model.dir)?,
    };
    Network::load(Arc::new(checkpoint), config, options)
}

/// The E5S1 container among a model's files.
fn container(model: &InstalledModel) -> Option<PathBuf> {
    model.file_with_extension("bin")
}

fn open_folder(dir: &Path) -> Result<(Checkpoint, EncoderConfig), EncoderError> {
    let source = TensorSource::open(dir)?;
    let config = match source.config() {
        Config::Json(json) => EncoderConfig::from_json(json)?,
        Config::Gguf(_) => {
            let supported = "a safetensors folder or an E5S1 container";
            return Err(EncoderError::Unsupported { what: "file", found: "GGUF".into(), supported });
        }
    };
    Ok((Checkpoint::folder(source)?, config))
}
