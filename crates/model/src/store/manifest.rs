//! The manifest: which models Fontes knows, under which licence, from where, and with which bytes.

use std::{collections::BTreeSet, str::FromStr};

use fontes_core::Digest;
use serde::{Deserialize, Serialize};

use super::{Source, StoreError, source::is_plain_relative};

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// Text to vector.
    Embedder,
    /// Two texts to score: a query and a passage, or a text and a statement about it.
    Reranker,
    /// Conversation to text.
    Generator,
}

/// Whether the bytes of a model are known before it is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DigestPolicy {
    /// The manifest pins every digest; other bytes are refused.
    #[default]
    Pinned,
    /// Trust on first use: nobody of ours has seen these bytes. Whatever the first installation fetches is
    /// recorded and checked from then on. Named plainly wherever the model is listed.
    OnInstall,
}

/// How the tokens of a sequence become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token.
    Cls,
}

/// What a sentence embedder needs to know beyond its checkpoint. Absent fields come from the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSettings {
    /// How tokens become one vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Put before every question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_prefix: Option<String>,
    /// Put before every passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage_prefix: Option<String>,
    /// Longest input in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
}

/// A source, or parts to be put one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Origin {
    /// The whole file.
    Whole(Source),
    /// Consecutive parts.
    Parts(Vec<Source>),
}

impl Origin {
    /// The sources in order; one for a whole file.
    pub fn parts(&self) -> &[Source] {
        match self {
            Self::Whole(source) => std::slice::from_ref(source),
            Self::Parts(parts) => parts,
        }
    }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path below the model's folder.
    pub name: String,
    /// Size; required when pinned.
    pub bytes: Option<u64>,
    /// Digest; required when pinned.
    pub sha256: Option<Digest>,
    /// Where it comes from, tried in order.
    pub sources: Vec<Origin>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name it is installed under.
    pub name: String,
    /// What it is for.
    pub role: ModelRole,
    /// SPDX expression of the weights' licence.
    pub license: String,
    /// What a user should know about licence and origin.
    #[serde(default)]
    pub note: Option<String>,
    /// Name of the architecture, as checkpoints name it.
    pub architecture: String,
    /// One sentence.
    pub description: String,
    /// Whether the bytes are known.
    #[serde(default)]
    pub digest: DigestPolicy,
    /// Settings of an embedder.
    #[serde(default)]
    pub embedding: Option<EmbeddingSettings>,
    /// The files, named one by one.
    #[serde(default, rename = "file")]
    pub files: Vec<ModelFile>,
    /// Roots of a checkpoint in the layout of `transformers`, tried in order; its own index names the shards.
    #[serde(default)]
    pub checkpoint: Vec<Source>,
}

impl ModelEntry {
    /// Total size, when every file's is known.
    pub fn bytes(&self) -> Option<u64> {
        if self.files.is_empty() { None } else { self.files.iter().map(|file| file.bytes).sum() }
    }

    /// Checks one entry.
    fn validate(&self) -> Result<(), StoreError> {
        let wrong = |what: String| Err(StoreError::Manifest(format!("model {:?}: {what}", self.name)));
        if !is_model_name(&self.name) {
            return Err(StoreError::BadName { name: self.name.clone() });
        }
        if self.files.is_empty() == self.checkpoint.is_empty() {
            return wrong("name either files or a checkpoint".into());
        }
        if !self.checkpoint.is_empty() && self.digest == DigestPolicy::Pinned {
            return wrong("a checkpoint has no pinned digests: say digest = \"on-install\"".into());
        }
        let mut names = BTreeSet::new();
        for file in &self.files {
            if !is_plain_relative(&file.name) || !names.insert(&file.name) {
                return wrong(format!("file name {:?} is not usable", file.name));
            }
            if file.sources.iter().all(|origin| origin.parts().is_empty()) {
                return wrong(format!("file {:?} has no source", file.name));
            }
            let pinned = file.bytes.is_some() && file.sha256.is_some();
            if self.digest == DigestPolicy::Pinned && !pinned {
                return wrong(format!("file {:?} is not pinned", file.name));
            }
        }
        Ok(())
    }
}

/// Every model known, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format; 1.
    version: u32,
    /// The models.
    #[serde(default, rename = "model")]
    models: Vec<ModelEntry>,
}

impl Manifest {
    /// The models in the order of the manifest.
    pub fn models(&self) -> &[ModelEntry] {
        &self.models
    }

    /// The model of this name.
    pub fn find(&self, name: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|model| model.name == name)
    }
}

impl FromStr for Manifest {
    type Err = StoreError;

    /// Parses and checks a manifest in TOML.
    ///
    /// # Errors
    /// [`StoreError::Manifest`] naming the model and what is wrong.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let manifest: Self = toml::from_str(text).map_err(|error| StoreError::Manifest(error.to_string()))?;
        if manifest.version != 1 {
            return Err(StoreError::Manifest(format!("version {} is not known, only 1", manifest.version)));
        }
        let mut names = BTreeSet::new();
        for model in &manifest.models {
            model.validate()?;
            if !names.insert(&model.name) {
                return Err(StoreError::Manifest(format!("model {:?} is named twice", model.name)));
            }
        }
        Ok(manifest)
    }
}

/// Says whether `name` can name a model: a plain folder name, not one of the store's own.
pub(super) fn is_model_name(name: &str) -> bool {
    is_plain_relative(name) && !name.contains(['/', ' ']) && !name.starts_with('.') && name.len() <= 128
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifest that ships.
    const SHIPPED: &str = include_str!("../../../../config/models.toml");

    #[test]
    fn the_shipped_manifest_is_valid_and_names_apertus_first() {
        let manifest: Manifest = SHIPPED.parse().unwrap();
        let first = manifest.models().iter().find(|model| model.role == ModelRole::Generator).unwrap();
        assert!(first.name.starts_with("apertus"), "{}", first.name);
        let embedder = manifest.find("multilingual-e5-small").unwrap();
        assert_eq!(embedder.digest, DigestPolicy::Pinned);
        assert!(embedder.bytes().unwrap() > 80_000_000);
    }

    #[test]
    fn unpinned_files_must_say_so() {
        let text = |extra: &str| {
            format!(
                "version = 1\n[[model]]\nname = \"m\"\nrole = \"embedder\"\nlicense = \"MIT\"\narchitecture = \"bert\"\n\
                 description = \"d\"\n{extra}\n[[model.file]]\nname = \"w\"\nsources = [\"file:/w\"]\n"
            )
        };
        assert!(matches!(text("").parse::<Manifest>(), Err(StoreError::Manifest(_))));
        assert!(text("digest = \"on-install\"").parse::<Manifest>().is_ok());
    }

    #[test]
    fn contradictions_are_refused() {
        let model = "[[model]]\nname = \"m\"\nrole = \"generator\"\nlicense = \"x\"\narchitecture = \"a\"\ndescription = \"d\"\n";
        let checkpoint = "digest = \"on-install\"\ncheckpoint = [\"file:/c\"]\n";
        let twice = format!("version = 1\n{model}{checkpoint}{model}{checkpoint}");
        let file = "[[model.file]]\nname = \"../w\"\nsources = [\"file:/w\"]\n";
        let escaping = format!("version = 1\n{model}digest = \"on-install\"\n{file}");
        let pinned_checkpoint = format!("version = 1\n{model}checkpoint = [\"file:/c\"]\n");
        for text in [&twice, &escaping, &pinned_checkpoint, "version = 2", "version = 1\ncolour = 3"] {
            assert!(text.parse::<Manifest>().is_err(), "{text}");
        }
    }
}
