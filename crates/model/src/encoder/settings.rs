//! How a checkpoint wants to be used as a sentence embedder: pooling, prefixes, longest input.
//!
//! In this order: what the manifest says, what the files of `sentence-transformers` beside the checkpoint
//! say, and for the e5 family, whose files do not say it, what its authors publish.

use std::path::Path;

use serde_json::Value;

use crate::store::{EmbeddingSettings, Pooling};

use super::EncoderError;

/// Settings with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub pooling: Pooling,
    pub query_prefix: String,
    pub passage_prefix: String,
    pub max_tokens: usize,
}

impl Usage {
    /// Puts together what is known about the embedder `name` in `dir`. `positions` bounds the input.
    pub fn find(
        dir: &Path,
        name: &str,
        given: Option<&EmbeddingSettings>,
        positions: usize,
    ) -> Result<Self, EncoderError> {
        let given = given.cloned().unwrap_or_default();
        let json = |file: &str| -> Option<Value> { serde_json::from_slice(&std::fs::read(dir.join(file)).ok()?).ok() };
        let pooling = match (given.pooling, json("1_Pooling/config.json")) {
            (Some(pooling), _) => pooling,
            (None, Some(config)) => pooling_of(&config)?,
            (None, None) => Pooling::Mean,
        };
        let prompts = json("config_sentence_transformers.json");
        let prompt = |names: &[&str]| {
            let prompts = prompts.as_ref()?.get("prompts")?;
            names.iter().find_map(|name| prompts.get(*name)?.as_str()).map(str::to_owned)
        };
        let e5 = is_e5(name);
        let family = |prefix: &str| if e5 { prefix.to_owned() } else { String::new() };
        let query_prefix = given.query_prefix.or_else(|| prompt(&["query"]));
        let passage_prefix = given.passage_prefix.or_else(|| prompt(&["passage", "document"]));
        let stated = json("sentence_bert_config.json").and_then(|config| config.get("max_seq_length")?.as_u64());
        let max_tokens = given.max_tokens.or(stated.map(|tokens| tokens as usize)).unwrap_or(positions);
        Ok(Self {
            pooling,
            query_prefix: query_prefix.unwrap_or_else(|| family("query: ")),
            passage_prefix: passage_prefix.unwrap_or_else(|| family("passage: ")),
            max_tokens: max_tokens.clamp(8, positions.max(8)),
        })
    }
}

/// e5 models want "query: " and "passage: " (Wang et al. 2022, arXiv 2212.03533); the instruct ones do not.
fn is_e5(name: &str) -> bool {
    let name = name.to_lowercase();
    !name.contains("instruct") && name.split(['-', '_', '/', '.']).any(|part| part == "e5")
}

fn pooling_of(config: &Value) -> Result<Pooling, EncoderError> {
    let chosen = |mode: &str| config.get(format!("pooling_mode_{mode}")).and_then(Value::as_bool).unwrap_or(false);
    match (chosen("cls_token"), chosen("mean_tokens")) {
        (true, false) => Ok(Pooling::Cls),
        (false, true) => Ok(Pooling::Mean),
        _ => Err(EncoderError::Unsupported {
            what: "pooling",
            found: "of 1_Pooling/config.json".into(),
            supported: "cls_token or mean_tokens, one of them",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(files: &[(&str, &str)], name: &str, given: Option<&EmbeddingSettings>) -> Result<Usage, EncoderError> {
        let dir = tempfile::tempdir().unwrap();
        for (file, content) in files {
            std::fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(file), content).unwrap();
        }
        Usage::find(dir.path(), name, given, 512)
    }

    #[test]
    fn the_manifest_wins_over_files_and_files_over_the_family() {
        let files = [
            ("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#),
            ("config_sentence_transformers.json", r#"{"prompts": {"query": "q: ", "document": ""}}"#),
            ("sentence_bert_config.json", r#"{"max_seq_length": 256}"#),
        ];
        let from_files = usage(&files, "multilingual-e5-base", None).unwrap();
        assert_eq!((from_files.pooling, from_files.max_tokens), (Pooling::Cls, 256));
        assert_eq!((from_files.query_prefix.as_str(), from_files.passage_prefix.as_str()), ("q: ", ""));
        let given = EmbeddingSettings { pooling: Some(Pooling::Mean), max_tokens: Some(4096), ..Default::default() };
        let given = usage(&files, "x", Some(&given)).unwrap();
        assert_eq!((given.pooling, given.max_tokens), (Pooling::Mean, 512), "never past the positions");
        let e5 = usage(&[], "multilingual-e5-base", None).unwrap();
        assert_eq!((e5.query_prefix.as_str(), e5.passage_prefix.as_str()), ("query: ", "passage: "));
        assert_eq!(usage(&[], "multilingual-e5-large-instruct", None).unwrap().query_prefix, "");
        assert_eq!(usage(&[], "line5-small", None).unwrap().query_prefix, "");
    }

    #[test]
    fn an_unknown_pooling_is_refused() {
        let files = [("1_Pooling/config.json", r#"{"pooling_mode_max_tokens": true}"#)];
        assert!(matches!(usage(&files, "x", None), Err(EncoderError::Unsupported { .. })));
    }
}
