//! Server-sent events of a chat completion stream.

use std::io::{BufRead, Read as _};

use fontes_core::{FinishReason, TokenUsage};
use serde_json::Value;

use super::RemoteError;

/// Longest line believed. A chunk holds one token and its probabilities: a few hundred bytes.
const MAX_LINE: u64 = 1 << 20;

/// Something a server says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// The answer begins.
    Begin,
    /// More text.
    Text { text: String, logprobs: Vec<f32> },
    /// Why the text ended.
    Finish(FinishReason),
    /// What it cost.
    Usage(TokenUsage),
    /// Nothing more will come.
    Done,
}

/// Reads the events of the next line that has any; empty at the end of the stream.
pub(super) fn read(reader: &mut impl BufRead) -> Result<Vec<Event>, ReadError> {
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(ReadError::Io)?;
        if line.is_empty() {
            return Ok(Vec::new());
        }
        if line.len() as u64 == MAX_LINE {
            return Err(ReadError::Broken(RemoteError::Protocol { reason: "a line without end" }));
        }
        // Comments, event names and blank lines carry nothing here (WHATWG HTML §9.2).
        let Some(data) = line.strip_prefix(b"data:") else {
            if line.first() == Some(&b'{') {
                return Err(ReadError::Broken(RemoteError::Protocol { reason: "an answer that is not a stream" }));
            }
            continue;
        };
        let events = parse(data.trim_ascii()).map_err(ReadError::Broken)?;
        if !events.is_empty() {
            return Ok(events);
        }
    }
}

/// Why no event could be read.
pub(super) enum ReadError {
    Io(std::io::Error),
    Broken(RemoteError),
}

fn parse(data: &[u8]) -> Result<Vec<Event>, RemoteError> {
    if data == b"[DONE]" {
        return Ok(vec![Event::Done]);
    }
    let chunk: Value =
        serde_json::from_slice(data).map_err(|_| RemoteError::Protocol { reason: "a chunk that is not JSON" })?;
    if chunk.get("error").is_some_and(|error| !error.is_null()) {
        return Err(RemoteError::Protocol { reason: "an error within the answer" });
    }
    if !chunk.is_object() {
        return Err(RemoteError::Protocol { reason: "a chunk that is no object" });
    }
    let mut events = Vec::new();
    let choice = &chunk["choices"][0];
    if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
        let list = choice["logprobs"]["content"].as_array().map_or(&[][..], Vec::as_slice);
        let logprobs = list.iter().filter_map(|token| token["logprob"].as_f64()).map(|value| value as f32).collect();
        events.push(Event::Text { text: text.to_owned(), logprobs });
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        let length = reason == "length";
        events.push(Event::Finish(if length { FinishReason::Length } else { FinishReason::Stop }));
    }
    let count = |name: &str| chunk["usage"][name].as_u64().and_then(|count| usize::try_from(count).ok());
    if let (Some(prompt), Some(generated)) = (count("prompt_tokens"), count("completion_tokens")) {
        let cached = &chunk["usage"]["prompt_tokens_details"]["cached_tokens"];
        let reused = cached.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        events.push(Event::Usage(TokenUsage { prompt, generated, reused }));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(stream: &str) -> Result<Vec<Event>, ReadError> {
        let mut reader = stream.as_bytes();
        let mut events = Vec::new();
        loop {
            let more = read(&mut reader)?;
            if more.is_empty() {
                return Ok(events);
            }
            events.extend(more);
        }
    }

    #[test]
    fn chunks_become_events() {
        let stream = ": ping\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"logprobs\":{\"content\":[{\"logprob\":-0.5}]}}]}\r\n\n\
            data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n\
            data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\
            \"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\ndata: [DONE]\n\n";
        let Ok(events) = all(stream) else { panic!("no events") };
        let usage = TokenUsage { prompt: 3, generated: 1, reused: 2 };
        let text = Event::Text { text: "Hi".into(), logprobs: vec![-0.5] };
        assert_eq!(events, [text, Event::Finish(FinishReason::Length), Event::Usage(usage), Event::Done]);
    }

    #[test]
    fn errors_and_plain_answers_are_refused() {
        for stream in ["data: {\"error\":{\"message\":\"x\"}}\n", "{\"choices\":[]}\n", "data: nonsense\n", "data: 3\n"]
        {
            assert!(matches!(all(stream), Err(ReadError::Broken(RemoteError::Protocol { .. }))), "{stream}");
        }
        let endless = "x".repeat(MAX_LINE as usize + 9);
        assert!(matches!(all(&endless), Err(ReadError::Broken(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_events_or_an_error(stream in "(data: |\\{|\\}|\"choices\"|:|\\[|\\]|\n|\\PC){0,40}") {
            let _ = all(&stream);
        }
    }
}
