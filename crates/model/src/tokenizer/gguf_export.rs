//! A `tokenizer.json` in the words of GGUF.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    TokenizerError,
    definition::{Definition, Spelling},
};

/// Vocabulary and merges as the `tokenizer.ggml.*` keys hold them.
pub(crate) struct GgufVocabulary {
    /// Name of the rule that cuts text into words.
    pub(crate) pre: &'static str,
    /// One text per id.
    pub(crate) tokens: Vec<String>,
    /// 1 plain, 3 control, 4 user-defined, 5 unused.
    pub(crate) types: Vec<i32>,
    /// Pairs with a space between, best first.
    pub(crate) merges: Vec<String>,
}

impl GgufVocabulary {
    /// Reads the bytes of a `tokenizer.json` for a network that writes `ids` ids.
    ///
    /// # Errors
    /// [`TokenizerError`]: malformed, or not byte-level BPE with a rule that GGUF has a name for.
    pub(crate) fn from_json(json: &[u8], ids: usize) -> Result<Self, TokenizerError> {
        let value: Value =
            serde_json::from_slice(json).map_err(|error| TokenizerError::malformed(error.to_string()))?;
        let pre = rule_name(&value)?;
        let merges = merges(&value["model"]["merges"])?;
        let added = value["added_tokens"].as_array().map_or(&[][..], Vec::as_slice);
        let special: HashSet<u64> = added
            .iter()
            .filter(|token| token["special"].as_bool() == Some(true))
            .filter_map(|token| token["id"].as_u64())
            .collect();
        let user: HashSet<u64> = added.iter().filter_map(|token| token["id"].as_u64()).collect();
        let mut definition = Definition::read(value)?;
        if definition.spelling != Spelling::ByteLevel {
            return Err(TokenizerError::Unsupported { kind: "not byte-level BPE".to_owned() });
        }
        let (mut tokens, mut types) = (Vec::with_capacity(ids), Vec::with_capacity(ids));
        for id in (0..).take(ids) {
            let kind = match u64::from(id) {
                id if special.contains(&id) => 3,
                id if user.contains(&id) => 4,
                _ => 1,
            };
            match definition.pieces.remove(&id) {
                Some(piece) => {
                    tokens.push(piece);
                    types.push(kind);
                }
                None => {
                    tokens.push(format!("[PAD{id}]"));
                    types.push(5);
                }
            }
        }
        Ok(Self { pre, tokens, types, merges })
    }
}

/// Recognises the rule by what only it says.
fn rule_name(value: &Value) -> Result<&'static str, TokenizerError> {
    let rule = &value["pre_tokenizer"];
    let parts = rule["pretokenizers"].as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
    let regexes: Vec<&str> = parts.iter().filter_map(|part| part["pattern"]["Regex"].as_str()).collect();
    match regexes[..] {
        [regex] if regex.contains(r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}") && !regex.contains("{1,3}") => Ok("tekken"),
        [regex] if regex.contains(r"\p{N}{1,3}") && regex.contains("(?i:'s") => Ok("llama-bpe"),
        [regex] if regex.contains(r"|\p{N}|") && regex.contains("(?i:'s") => Ok("qwen2"),
        [] if parts.iter().any(|part| part["type"] == "Digits") => Ok("smollm"),
        [] if parts.iter().any(|part| part["type"] == "ByteLevel" && part["use_regex"] != false) => Ok("gpt-2"),
        _ => Err(TokenizerError::Unsupported { kind: "a pre-tokenizer without a name in GGUF".to_owned() }),
    }
}

fn merges(list: &Value) -> Result<Vec<String>, TokenizerError> {
    let join = |merge: &Value| match merge {
        Value::String(pair) => Some(pair.clone()),
        pair => Some(format!("{} {}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
    };
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(join).collect::<Option<_>>().ok_or_else(|| TokenizerError::malformed("a merge is no pair"))
}
