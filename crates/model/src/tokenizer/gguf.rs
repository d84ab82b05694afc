//! A `tokenizer.json` rebuilt from the `tokenizer.ggml.*` keys of a GGUF file.
//!
//! GGUF keeps vocabulary and merges but only the *name* of the rule that cuts text into words; the rules are
//! those of llama.cpp's `llama-vocab.cpp`, in the words of the tokenizer library.

use serde_json::{Value, json};

use super::TokenizerError;
use crate::weights::Metadata;

/// Token types of the specification that are not plain text.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;

/// Contractions, words, single digits, signs, white space: Qwen 2 and its heirs.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with up to three digits together: Llama 3.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Words split where small letters turn to capitals: Mistral Nemo and Apertus.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Llama 4 and GPT-4o: as Mistral Nemo, with contractions kept at their word and up to three digits together.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What is cut out, one rule after the other, where a file names no rule.
const UNNAMED: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

/// How words are cut out of text, by the name of the rule.
struct Rule {
    pre_tokenizer: Value,
    /// A word that is a piece by itself is not put together from merges.
    ignore_merges: bool,
    normalizer: Value,
    /// Prompts begin with the token for it unless the file says otherwise.
    begins: bool,
}

impl Rule {
    /// Finds a rule of byte-level vocabularies.
    fn named(name: &str) -> Option<Self> {
        let plain =
            |pre_tokenizer| Self { pre_tokenizer, ignore_merges: false, normalizer: Value::Null, begins: false };
        Some(match name {
            "tekken" => Self { ignore_merges: true, begins: true, ..plain(split(&[TEKKEN])) },
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => {
                Self { ignore_merges: true, begins: true, ..plain(split(&[LLAMA3])) }
            }
            "dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4" => plain(split(&[LLAMA3])),
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" => {
                // The checkpoints' own tokenizers compose characters first; llama.cpp does not.
                Self { normalizer: json!({"type": "NFC"}), ..plain(split(&[QWEN2])) }
            }
            "gpt-4o" | "llama4" => plain(split(&[GPT4O])),
            "smollm" | "smollm2" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
                plain(smollm())
            }
            "gpt-2" | "gpt2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "exaone4" | "roberta-bpe" => {
                plain(byte_spelling(true))
            }
            "default" => plain(split(&UNNAMED)),
            _ => return None,
        })
    }
}

/// Whether prompts begin with the token for it where the file does not say.
pub(crate) fn begins_by_default(metadata: &Metadata<'_>) -> bool {
    let name = metadata.string("tokenizer.ggml.pre").unwrap_or("default");
    match metadata.string("tokenizer.ggml.model") {
        Some("llama") => true,
        Some("gpt2") => Rule::named(name).is_some_and(|rule| rule.begins),
        _ => false,
    }
}

/// Rebuilds the definition.
pub(super) fn tokenizer_json(metadata: &Metadata<'_>) -> Result<Value, TokenizerError> {
    let model = metadata.string("tokenizer.ggml.model").ok_or_else(|| missing("model"))?;
    let tokens = metadata.strings("tokenizer.ggml.tokens").ok_or_else(|| missing("tokens"))?;
    let types = metadata.integers("tokenizer.ggml.token_type").unwrap_or_default();
    if !types.is_empty() && types.len() != tokens.len() {
        return Err(TokenizerError::malformed(format!("{} tokens have {} types", tokens.len(), types.len())));
    }
    let added = added_tokens(&tokens, &types);
    match model {
        "gpt2" => byte_level(metadata, &tokens, added),
        "llama" => sentence_piece(metadata, &tokens, &types, added),
        other => Err(TokenizerError::Unsupported { kind: other.to_owned() }),
    }
}

fn missing(key: &str) -> TokenizerError {
    TokenizerError::malformed(format!("key tokenizer.ggml.{key} is missing"))
}

fn added_tokens(tokens: &[&str], types: &[i64]) -> Value {
    let kind = |id: usize| types.get(id).copied().unwrap_or(1);
    let added = tokens
        .iter()
        .enumerate()
        .filter(|(id, token)| !token.is_empty() && matches!(kind(*id), UNKNOWN | CONTROL | USER_DEFINED | UNUSED));
    added
        .map(|(id, token)| {
            json!({"id": id, "content": token, "special": kind(id) != USER_DEFINED, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect()
}

fn byte_level(metadata: &Metadata<'_>, tokens: &[&str], added: Value) -> Result<Value, TokenizerError> {
    let merges = metadata.strings("tokenizer.ggml.merges").ok_or_else(|| missing("merges"))?;
    let name = metadata.string("tokenizer.ggml.pre").unwrap_or("default");
    let rule = Rule::named(name)
        .ok_or_else(|| TokenizerError::Unsupported { kind: format!("gpt2 with pre-tokenizer {name}") })?;
    let vocabulary: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": rule.normalizer,
        "pre_tokenizer": rule.pre_tokenizer,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "ignore_merges": rule.ignore_merges, "vocab": vocabulary, "merges": merges},
    }))
}

fn byte_spelling(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

/// One cut after the other, then bytes as characters.
fn split(regexes: &[&str]) -> Value {
    let cut =
        |regex: &&str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let steps: Vec<Value> = regexes.iter().map(cut).chain([byte_spelling(false)]).collect();
    json!({"type": "Sequence", "pretokenizers": steps})
}

fn smollm() -> Value {
    json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_spelling(true)]})
}

/// SentencePiece BPE as Llama 2, Mistral and Gemma use it. llama.cpp joins, again and again, the adjacent pair
/// whose joint piece has the highest score; with a merge for every way to cut a piece in two, ordered by the
/// score of the whole, the library does the same.
fn sentence_piece(
    metadata: &Metadata<'_>,
    tokens: &[&str],
    types: &[i64],
    added: Value,
) -> Result<Value, TokenizerError> {
    let scores = metadata.floats("tokenizer.ggml.scores").ok_or_else(|| missing("scores"))?;
    if scores.len() != tokens.len() {
        return Err(TokenizerError::malformed(format!("{} tokens have {} scores", tokens.len(), scores.len())));
    }
    let vocabulary: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let mut ranked = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        if types.get(id).copied().unwrap_or(1) != 1 {
            continue;
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(l), Some(r)) = (vocabulary.get(left), vocabulary.get(right)) {
                ranked.push((scores[id], l.as_u64(), r.as_u64(), left, right));
            }
        }
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let merges: Vec<Value> = ranked.into_iter().map(|(_, _, _, left, right)| json!([left, right])).collect();
    let unknown = metadata.unsigned("tokenizer.ggml.unknown_token_id").and_then(|id| usize::try_from(id).ok());
    let unknown = unknown.and_then(|id| tokens.get(id));
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
    let prefix = metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let normalizer = if prefix {
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, space]})
    } else {
        space
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": null,
        "decoder": {"type": "ByteFallback"},
        "model": {"type": "BPE", "unk_token": unknown, "fuse_unk": true, "byte_fallback": true,
            "vocab": vocabulary, "merges": merges},
    }))
}
