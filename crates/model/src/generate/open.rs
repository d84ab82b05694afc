//! From a path to a generator.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::SystemTime};

use fontes_core::{Error, ErrorKind, ModelIdentity, Result, TokenId};
use serde_json::Value;

use super::LocalGenerator;
use crate::{
    chat::{Builtin, ChatFormat, ChatOptions, Template},
    decoder::{self, OpenOptions},
    prefix::PrefixLimits,
    tokenizer::{TextTokenizer, begins_by_default},
    weights::{Config, Metadata, TensorSource},
};

/// Control tokens that end a turn in any vocabulary that has them. Checkpoints often name only one of several
/// in their configuration; a text that runs on past the other is worse than one token too careful.
const END_NAMES: [&str; 12] = [
    "<|assistant_end|>",
    "<|tools_suffix|>",
    "</s>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<eos>",
    "<|end|>",
    "<|eot|>",
];

/// Which conversation format to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateChoice {
    /// The checkpoint's template, or a built-in format where it brings none.
    #[default]
    Checkpoint,
    /// The built-in format of the vocabulary.
    Builtin,
}

/// How a generator is to be opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the network is to be opened.
    pub decoder: OpenOptions,
    /// The conversation format.
    pub template: TemplateChoice,
    /// Let the model think before it answers, where it can.
    pub thinking: bool,
    /// The date that templates may write into the prompt.
    pub now: Option<SystemTime>,
    /// Use at most this much of the network's context.
    pub context_limit: Option<usize>,
    /// How much to keep of the beginnings of prompts; `None` keeps nothing.
    pub prefix: Option<PrefixLimits>,
    /// Draft tokens from the text so far and verify several in one pass.
    pub drafts: bool,
    /// Name and digest where they are known; computed from the files otherwise, which reads every byte.
    pub identity: Option<ModelIdentity>,
}

/// Opens a GGUF file or a safetensors directory with its tokenizer and conversation format.
///
/// # Errors
/// Those of the weights, the decoder, the tokenizer and the template, each naming what is wrong.
pub fn open(path: &Path, options: Options) -> Result<LocalGenerator> {
    let source = Arc::new(TensorSource::open(path)?);
    let (tokenizer, template) = match source.config() {
        Config::Gguf(metadata) => from_gguf(path, &metadata)?,
        Config::Json(config) => from_directory(path, config)?,
    };
    let format = match template {
        Some(text) if options.template == TemplateChoice::Checkpoint => {
            ChatFormat::Template(Box::new(Template::compile(&text, &tokenizer)?))
        }
        _ => ChatFormat::Builtin(Builtin::of(&tokenizer)),
    };
    let identity = match options.identity {
        Some(identity) => identity,
        None => {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            ModelIdentity { name, sha256: source.digest()? }
        }
    };
    let network = decoder::load(source, &options.decoder)?;
    let chat = ChatOptions { thinking: options.thinking, now: options.now };
    let mut generator = LocalGenerator::new(network, tokenizer, format, chat, identity)?.with_drafts(options.drafts);
    if let Some(limits) = &options.prefix {
        generator = generator.with_prefix_cache(limits);
    }
    Ok(match options.context_limit {
        Some(limit) => generator.with_context_limit(limit),
        None => generator,
    })
}

type Parts = (TextTokenizer, Option<String>);

fn from_gguf(path: &Path, metadata: &Metadata<'_>) -> Result<Parts> {
    // A tokenizer.json beside the file wins: it is exact where GGUF keeps only the name of a rule.
    let beside = path.with_file_name("tokenizer.json");
    let mut tokenizer =
        if beside.is_file() { TextTokenizer::from_file(&beside)? } else { TextTokenizer::from_gguf(metadata)? };
    let id = |key: &str| {
        metadata.unsigned(&format!("tokenizer.ggml.{key}_token_id")).and_then(|id| TokenId::try_from(id).ok())
    };
    let ends: BTreeSet<TokenId> = ["eos", "eot", "eom"].into_iter().filter_map(id).collect();
    set_ends(&mut tokenizer, ends);
    if let Some(begin) = id("bos") {
        // llama.cpp's default where the key is missing.
        let always = metadata.bool("tokenizer.ggml.add_bos_token").unwrap_or_else(|| begins_by_default(metadata));
        tokenizer.set_begin_token(begin, always);
    }
    Ok((tokenizer, metadata.string("tokenizer.chat_template").map(str::to_owned)))
}

pub(crate) fn from_directory(path: &Path, config: &Value) -> Result<Parts> {
    let mut tokenizer = TextTokenizer::from_file(&path.join("tokenizer.json"))?;
    let generation = read_json(&path.join("generation_config.json"))?;
    let settings = read_json(&path.join("tokenizer_config.json"))?;
    let text_config = config.get("text_config").unwrap_or(&Value::Null);
    let mut ends = BTreeSet::new();
    for place in [&generation, config, text_config] {
        ends.extend(ids(place.get("eos_token_id")));
    }
    ends.extend(token_text(settings.get("eos_token")).and_then(|text| tokenizer.control(text)));
    set_ends(&mut tokenizer, ends);
    let named = token_text(settings.get("bos_token")).and_then(|text| tokenizer.control(text));
    let numbered =
        [&generation, config, text_config].into_iter().find_map(|place| ids(place.get("bos_token_id")).next());
    let always = settings.get("add_bos_token").and_then(Value::as_bool);
    if let Some(begin) = named.or(numbered) {
        // Where nothing is said, the Apertus checkpoints begin with it (their tokenizer.json adds it).
        let apertus = Builtin::of(&tokenizer) == Builtin::Apertus;
        tokenizer.set_begin_token(begin, always.unwrap_or(apertus));
    }
    let template = match std::fs::read_to_string(path.join("chat_template.jinja")) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => template_text(settings.get("chat_template")),
        Err(error) => return Err(unreadable(&path.join("chat_template.jinja"), error)),
    };
    Ok((tokenizer, template))
}

fn set_ends(tokenizer: &mut TextTokenizer, mut ends: BTreeSet<TokenId>) {
    ends.extend(END_NAMES.iter().filter_map(|name| tokenizer.control(name)));
    tokenizer.set_end_tokens(ends.into_iter().collect());
}

/// One id or a list of them.
fn ids(value: Option<&Value>) -> impl Iterator<Item = TokenId> {
    let list = match value {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    list.iter().filter_map(Value::as_u64).filter_map(|id| TokenId::try_from(id).ok())
}

/// A token by its text, or by an object with its text.
fn token_text(value: Option<&Value>) -> Option<&str> {
    let value = value?;
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// A template, or the one named "default" of several.
fn template_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Array(several) => {
            let default = several.iter().find(|one| one.get("name").and_then(Value::as_str) == Some("default"))?;
            default.get("template")?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// A JSON file that need not be there.
fn read_json(path: &Path) -> Result<Value> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Error::corrupt(format!("{:?} is not valid JSON", path.display()))
                .advise("fetch the model again")
                .because(error)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{:?} cannot be read", path.display()))
        .advise("check that the file may be read")
        .because(error)
}
