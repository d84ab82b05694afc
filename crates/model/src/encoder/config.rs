//! The shape of an encoder, from a checkpoint's `config.json`.

use serde_json::Value;

use super::EncoderError;

/// The two families; they differ in where positions start and in how a classification head is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// BERT (Devlin et al. 2018, arXiv 1810.04805).
    Bert,
    /// XLM-RoBERTa (Conneau et al. 2019, arXiv 1911.02116): positions start after the padding id.
    XlmRoberta,
}

/// The shape of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// The family.
    pub family: Family,
    /// Width of a token's vector.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// Rows of the position embedding.
    pub positions: usize,
    /// Rows of the token-type embedding.
    pub token_types: usize,
    /// Added to the variance in layer normalisation.
    pub epsilon: f32,
    /// Position of the first token.
    pub first_position: usize,
    /// Outputs of the classification head; 0 without one.
    pub labels: usize,
    /// The output that says that the first text entails the second, where the labels name one.
    pub entailment: Option<usize>,
}

/// Larger numbers than any encoder has; what is larger is not believed.
const LARGEST: u64 = 1 << 24;

impl EncoderConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`EncoderError::Unsupported`] for another architecture, activation or kind of position;
    /// [`EncoderError::Config`] for sizes that are missing or do not fit together.
    pub fn from_json(config: &Value) -> Result<Self, EncoderError> {
        let text = |field: &str| config.get(field).and_then(Value::as_str);
        let number = |field: &str| {
            let found = config.get(field).and_then(Value::as_u64).filter(|value| (1..=LARGEST).contains(value));
            found
                .map(|value| value as usize)
                .ok_or_else(|| EncoderError::Config(format!("{field} is missing or absurd")))
        };
        let architecture = config.pointer("/architectures/0").and_then(Value::as_str).or_else(|| text("model_type"));
        let architecture = architecture.unwrap_or_default();
        let family = family(architecture).or_else(|| family(text("model_type")?)).ok_or_else(|| {
            let supported = "BertModel, XLMRobertaModel and their ForSequenceClassification";
            EncoderError::Unsupported { what: "architecture", found: architecture.to_owned(), supported }
        })?;
        if let Some(found) = text("hidden_act").filter(|name| *name != "gelu") {
            return Err(EncoderError::Unsupported { what: "activation", found: found.to_owned(), supported: "gelu" });
        }
        if let Some(found) = text("position_embedding_type").filter(|name| *name != "absolute") {
            let supported = "absolute";
            return Err(EncoderError::Unsupported { what: "position embedding", found: found.to_owned(), supported });
        }
        let pad = config.get("pad_token_id").and_then(Value::as_u64).unwrap_or(1).min(LARGEST) as usize;
        let classifies = architecture.ends_with("ForSequenceClassification");
        let names = config.get("id2label").and_then(Value::as_object);
        let entails = |name: &Value| name.as_str().is_some_and(|name| name.to_lowercase().starts_with("entail"));
        let entailment = names.and_then(|names| names.iter().find(|(_, name)| entails(name))?.0.parse().ok());
        let labels = match names {
            Some(names) => names.len(),
            // The default of `transformers`; a single label is written out.
            None => config.get("num_labels").and_then(Value::as_u64).unwrap_or(2).min(LARGEST) as usize,
        };
        let epsilon = config.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12) as f32;
        let shape = Self {
            family,
            hidden: number("hidden_size")?,
            layers: number("num_hidden_layers")?,
            heads: number("num_attention_heads")?,
            feed_forward: number("intermediate_size")?,
            vocabulary: number("vocab_size")?,
            positions: number("max_position_embeddings")?,
            token_types: number("type_vocab_size")?,
            epsilon,
            first_position: if family == Family::XlmRoberta { pad + 1 } else { 0 },
            labels: if classifies { labels } else { 0 },
            entailment: entailment.filter(|&at| classifies && at < labels),
        };
        shape.check()?;
        Ok(shape)
    }

    /// Checks that the sizes fit together.
    pub(super) fn check(&self) -> Result<(), EncoderError> {
        let wrong = |what: &str| Err(EncoderError::Config(what.to_owned()));
        if self.heads == 0 || !self.hidden.is_multiple_of(self.heads) {
            return wrong("the heads do not divide the width");
        }
        if self.hidden == 0 || self.feed_forward == 0 || self.vocabulary == 0 || self.token_types == 0 {
            return wrong("a size is zero");
        }
        if self.layers > 1000 || self.hidden > 1 << 16 || self.feed_forward > 1 << 18 {
            return wrong("a size is absurd");
        }
        if self.max_tokens() < 8 {
            return wrong("there are too few positions");
        }
        if !(0.0..1.0).contains(&self.epsilon) {
            return wrong("layer_norm_eps is out of range");
        }
        Ok(())
    }

    /// Longest input that has a position for each token.
    pub fn max_tokens(&self) -> usize {
        self.positions.saturating_sub(self.first_position)
    }
}

fn family(name: &str) -> Option<Family> {
    match name {
        "BertModel" | "BertForMaskedLM" | "BertForSequenceClassification" | "bert" => Some(Family::Bert),
        "XLMRobertaModel" | "XLMRobertaForMaskedLM" | "XLMRobertaForSequenceClassification" | "xlm-roberta" => {
            Some(Family::XlmRoberta)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base() -> Value {
        json!({
            "architectures": ["XLMRobertaForSequenceClassification"], "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 100, "max_position_embeddings": 66,
            "type_vocab_size": 1, "pad_token_id": 1, "id2label": {"0": "LABEL_0"}
        })
    }

    fn with(field: &str, value: Value) -> Result<EncoderConfig, EncoderError> {
        let mut config = base();
        config[field] = value;
        EncoderConfig::from_json(&config)
    }

    #[test]
    fn xlm_roberta_starts_after_the_padding_id() {
        let config = EncoderConfig::from_json(&base()).unwrap();
        assert_eq!((config.first_position, config.max_tokens(), config.labels), (2, 64, 1));
        let bert = with("architectures", json!(["BertModel"])).unwrap();
        let labels = json!({"0": "CONTRADICTION", "1": "ENTAILMENT", "2": "NEUTRAL"});
        assert_eq!(with("id2label", labels).unwrap().entailment, Some(1));
        assert_eq!(with("id2label", json!({"7": "entailment"})).unwrap().entailment, None, "there is no such output");
        assert_eq!((bert.first_position, bert.max_tokens(), bert.labels), (0, 66, 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (field, value) in [
            ("architectures", json!(["DebertaV2Model"])),
            ("hidden_act", json!("silu")),
            ("hidden_size", json!(0)),
            ("hidden_size", json!(u64::MAX)),
            ("num_attention_heads", json!(7)),
            ("vocab_size", json!("many")),
            ("max_position_embeddings", json!(3)),
            ("position_embedding_type", json!("relative_key")),
            ("layer_norm_eps", json!(7)),
        ] {
            assert!(with(field, value).is_err(), "{field}");
        }
    }
}
