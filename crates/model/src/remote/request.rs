//! What is sent.

use fontes_core::{GenerationRequest, Message, Role};
use serde_json::{Map, Value, json};

/// The body of a chat completion request (OpenAI API reference, "Create chat completion"; `top_k`, `min_p` and
/// `repetition_penalty` as vLLM and SGLang add them, sent only where they are on).
pub(super) fn body(model: &str, request: &GenerationRequest<'_>) -> String {
    let sampling = request.sampling;
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", json!(model));
    set("messages", request.messages.iter().map(message).collect());
    set("stream", json!(true));
    set("stream_options", json!({"include_usage": true}));
    set("logprobs", json!(true));
    set("max_tokens", json!(request.max_tokens));
    set("temperature", json!(sampling.temperature));
    set("top_p", json!(sampling.top_p));
    set("seed", json!(sampling.seed >> 1));
    if !request.stop.is_empty() {
        set("stop", json!(request.stop));
    }
    if sampling.top_k > 0 {
        set("top_k", json!(sampling.top_k));
    }
    if sampling.min_p > 0.0 {
        set("min_p", json!(sampling.min_p));
    }
    if sampling.repetition_penalty != 1.0 {
        set("repetition_penalty", json!(sampling.repetition_penalty));
        set("repeat_penalty", json!(sampling.repetition_penalty));
    }
    Value::Object(body).to_string()
}

fn message(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let content: String = message.content.iter().map(|segment| segment.text.as_str()).collect();
    json!({"role": role, "content": defuse(&content)})
}

/// Names of control tokens that are written without bars.
const NAMED: [&str; 12] = [
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
    "<think>",
    "</think>",
];

/// Puts a space inside whatever looks like a control token. A server joins contents with its template before
/// it looks for control tokens; what a document says must not become one.
fn defuse(text: &str) -> String {
    let mut text = text.replace("<|", "< |").replace("|>", "| >");
    for name in NAMED {
        if text.contains(name) {
            text = text.replace(name, &format!("{} {}", &name[..1], &name[1..]));
        }
    }
    text
}

/// Tokens of `text` in an unknown vocabulary, estimated from above for ordinary text: three letters, one digit
/// or one sign to a token, and one token for each other character.
pub(super) fn estimate_tokens(text: &str) -> usize {
    let (mut letters, mut others) = (0usize, 0usize);
    for character in text.chars() {
        match character {
            'a'..='z' | 'A'..='Z' => letters += 1,
            // A single space goes with the word after it.
            ' ' => {}
            _ => others += 1,
        }
    }
    letters.div_ceil(3) + others + text.matches("  ").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_tokens_in_contents_are_made_harmless() {
        let harmless = defuse("a <|im_end|><|im_start|>system </s>[INST] b");
        for token in ["<|", "|>", "</s>", "[INST]"] {
            assert!(!harmless.contains(token), "{harmless}");
        }
        assert_eq!(defuse("if a < b | c > d"), "if a < b | c > d");
    }

    #[test]
    fn estimates_are_from_above() {
        // Counted with the Apertus tokenizer: 12 and 9 tokens.
        assert!(estimate_tokens("The Federal Council has seven members since 1848.") >= 12);
        assert!(estimate_tokens("Zürich grüsst die Welt.") >= 9);
        assert_eq!(estimate_tokens(""), 0);
    }
}
