//! A `tokenizer.json`, taken apart into plain vocabulary and control tokens.

use std::collections::BTreeMap;

use fontes_core::TokenId;
use serde_json::{Map, Value, json};

use super::{Control, TokenizerError};

/// Ids past this are refused: eight times the largest published vocabulary.
const MAX_IDS: usize = 1 << 21;

/// Bytes of the longest piece. The longest published ones, runs of white space, stay below 512; the library drops
/// its tree of pieces by recursion, a level per character.
const MAX_PIECE: usize = 4096;

/// How pieces of the vocabulary spell bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// One character per byte, as GPT-2 does.
    ByteLevel,
    /// SentencePiece: U+2581 for a space, `<0x0A>` for a byte.
    Metaspace,
}

/// The parts of a tokenizer definition, checked.
pub(crate) struct Definition {
    /// The definition without control tokens, post-processing, truncation and padding.
    pub(super) plain: Value,
    pub(super) controls: BTreeMap<String, Control>,
    /// All pieces by id, control tokens included.
    pub(crate) pieces: BTreeMap<TokenId, String>,
    pub(super) spelling: Spelling,
    /// What the model writes for text it cannot spell.
    pub(super) unknown: Option<TokenId>,
    /// One more than the highest id.
    pub(super) len: usize,
}

impl Definition {
    /// Takes a definition apart.
    pub(super) fn read(mut value: Value) -> Result<Self, TokenizerError> {
        let root = value.as_object_mut().ok_or_else(|| TokenizerError::malformed("not a JSON object"))?;
        let added = take_added(root)?;
        let mut pieces = model_pieces(root.get("model").unwrap_or(&Value::Null))?;
        pieces.extend(added.iter().map(|added| (added.id, added.content.clone())));
        let len = pieces.keys().next_back().map_or(0, |&last| last as usize + 1);
        if len > MAX_IDS {
            return Err(TokenizerError::malformed(format!("ids up to {len}")));
        }
        if let Some((id, piece)) = pieces.iter().find(|(_, piece)| piece.len() > MAX_PIECE) {
            return Err(TokenizerError::malformed(format!("piece {id} of {} bytes", piece.len())));
        }
        let unknown = unknown_id(root.get("model").unwrap_or(&Value::Null), &pieces);
        let (plain_added, control_added): (Vec<_>, Vec<_>) = added.into_iter().partition(Added::is_plain);
        let controls: BTreeMap<String, Control> = control_added
            .into_iter()
            .map(|added| (added.content, Control { id: added.id, lstrip: added.lstrip, rstrip: added.rstrip }))
            .collect();
        root.insert("added_tokens".into(), plain_added.into_iter().map(|added| added.json).collect());
        for part in ["post_processor", "truncation", "padding"] {
            root.insert(part.into(), Value::Null);
        }
        never_prefix_runs(root);
        let spelling = spelling(root);
        remove_from_model(root, &controls)?;
        Ok(Self { plain: value, controls, pieces, spelling, unknown, len })
    }
}

struct Added {
    id: TokenId,
    content: String,
    special: bool,
    lstrip: bool,
    rstrip: bool,
    json: Value,
}

impl Added {
    /// Runs of white space are text with an id of their own (Gemma); everything else that was added by hand
    /// means something to the model and is kept from untrusted text, special or not.
    fn is_plain(&self) -> bool {
        !self.special && self.content.chars().all(|c| c.is_whitespace() || c == '\u{2581}')
    }
}

fn take_added(root: &mut Map<String, Value>) -> Result<Vec<Added>, TokenizerError> {
    let Some(Value::Array(list)) = root.remove("added_tokens") else { return Ok(Vec::new()) };
    let flag = |json: &Value, name: &str| json.get(name).and_then(Value::as_bool).unwrap_or(false);
    list.into_iter()
        .map(|json| {
            let id = json.get("id").and_then(Value::as_u64).and_then(|id| TokenId::try_from(id).ok());
            let content = json.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
            let (Some(id), Some(content)) = (id, content) else {
                return Err(TokenizerError::malformed("an added token has no id or no text"));
            };
            Ok(Added {
                id,
                content: content.to_owned(),
                special: flag(&json, "special"),
                lstrip: flag(&json, "lstrip"),
                rstrip: flag(&json, "rstrip"),
                json,
            })
        })
        .collect()
}

/// The pieces of the model by id, checked to be what the library may be given: it indexes without looking.
fn model_pieces(model: &Value) -> Result<BTreeMap<TokenId, String>, TokenizerError> {
    let kind = model.get("type").and_then(Value::as_str).unwrap_or("BPE");
    match (kind, model.get("vocab")) {
        ("BPE", Some(Value::Object(vocabulary))) => {
            check_merges(model, vocabulary)?;
            let id = |id: &Value| id.as_u64().and_then(|id| TokenId::try_from(id).ok());
            vocabulary
                .iter()
                .map(|(piece, value)| Some((id(value)?, piece.clone())))
                .collect::<Option<_>>()
                .ok_or_else(|| TokenizerError::malformed("the vocabulary has an id that is no token id"))
        }
        ("Unigram", Some(Value::Array(vocabulary))) => (0..)
            .zip(vocabulary)
            .map(|(id, entry)| Some((id, entry.get(0)?.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .ok_or_else(|| TokenizerError::malformed("a vocabulary entry has no text")),
        ("BPE" | "Unigram", _) => Err(TokenizerError::malformed("the model has no vocabulary")),
        (other, _) => Err(TokenizerError::Unsupported { kind: other.to_owned() }),
    }
}

/// Each merge must join two pieces into a third.
fn check_merges(model: &Value, vocabulary: &Map<String, Value>) -> Result<(), TokenizerError> {
    let merges = model.get("merges").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let sides = |merge: &Value| match merge {
        Value::String(pair) => pair.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())),
        pair => Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned())),
    };
    let sound = |merge: &Value| {
        sides(merge).is_some_and(|(left, right)| {
            vocabulary.contains_key(&left)
                && vocabulary.contains_key(&right)
                && vocabulary.contains_key(&format!("{left}{right}"))
        })
    };
    match merges.iter().position(|merge| !sound(merge)) {
        Some(at) => Err(TokenizerError::malformed(format!("merge {at} names a piece outside the vocabulary"))),
        None => Ok(()),
    }
}

fn unknown_id(model: &Value, pieces: &BTreeMap<TokenId, String>) -> Option<TokenId> {
    match model.get("unk_token").and_then(Value::as_str) {
        Some(name) => pieces.iter().find(|(_, piece)| *piece == name).map(|(&id, _)| id),
        None => model.get("unk_id").and_then(Value::as_u64).and_then(|id| TokenId::try_from(id).ok()),
    }
}

/// A conversation starts with a control token, after which SentencePiece's "first" scheme adds no space: the
/// runs of text between control tokens must not get one each.
fn never_prefix_runs(root: &mut Map<String, Value>) {
    let set = |part: &mut Value| {
        if part.get("type").and_then(Value::as_str) == Some("Metaspace")
            && part.get("prepend_scheme").and_then(Value::as_str) == Some("first")
        {
            part["prepend_scheme"] = json!("never");
        }
    };
    if let Some(part) = root.get_mut("pre_tokenizer") {
        set(part);
        part.get_mut("pretokenizers").and_then(Value::as_array_mut).into_iter().flatten().for_each(set);
    }
}

fn spelling(root: &Map<String, Value>) -> Spelling {
    let mentions = |part: &str| root.get(part).is_some_and(|value| value.to_string().contains("\"ByteLevel\""));
    if mentions("decoder") || mentions("pre_tokenizer") { Spelling::ByteLevel } else { Spelling::Metaspace }
}

/// Takes control tokens out of a BPE vocabulary, unless a merge needs them or they are the unknown token.
/// A unigram vocabulary is indexed by position and stays; the encoder looks at what comes out.
fn remove_from_model(
    root: &mut Map<String, Value>,
    controls: &BTreeMap<String, Control>,
) -> Result<(), TokenizerError> {
    let Some(model) = root.get_mut("model").and_then(Value::as_object_mut) else {
        return Err(TokenizerError::malformed("there is no model"));
    };
    model.entry("type").or_insert_with(|| json!("BPE"));
    let unknown = model.get("unk_token").and_then(Value::as_str).map(str::to_owned);
    let mut needed: std::collections::BTreeSet<String> = unknown.into_iter().collect();
    for merge in model.get("merges").and_then(Value::as_array).into_iter().flatten() {
        let (left, right) = match merge {
            Value::String(pair) => pair.split_once(' ').unwrap_or_default(),
            pair => (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default()),
        };
        let whole = format!("{left}{right}");
        for piece in [left, right, whole.as_str()] {
            if controls.contains_key(piece) {
                needed.insert(piece.to_owned());
            }
        }
    }
    if let Some(vocabulary) = model.get_mut("vocab").and_then(Value::as_object_mut) {
        for name in controls.keys().filter(|name| !needed.contains(*name)) {
            vocabulary.remove(name);
        }
    }
    Ok(())
}
