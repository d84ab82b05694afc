//! Tests of the loop on a network that says what it is told to.

use std::{
    cell::RefCell,
    ops::{ControlFlow, Range},
};

use fontes_core::{
    Cancel, Digest, ErrorKind, FinishReason, Generation, GenerationRequest, Generator, LogitMask, Message,
    ModelIdentity, Result, Role, Sampling, Segment, TokenId, Vocabulary,
};

use super::*;
use crate::{
    chat::{Builtin, ChatFormat, ChatOptions},
    decoder::{Logits, Network, Session},
    tokenizer::TextTokenizer,
};

const VOCABULARY: usize = 1024;

/// Puts a high logit on each token of a script in turn, then on the end token; a little lower one on a control
/// token that must never come. Checks that it is used as the contract says.
struct Scripted {
    script: Vec<TokenId>,
    context: usize,
}

struct ScriptedSession<'a> {
    network: &'a Scripted,
    len: usize,
    capacity: usize,
    next: usize,
    ranges: RefCell<Vec<Range<usize>>>,
}

impl Network for Scripted {
    fn output_size(&self) -> usize {
        VOCABULARY
    }
    fn input_size(&self) -> usize {
        VOCABULARY
    }
    fn context_length(&self) -> usize {
        self.context
    }
    fn layers(&self) -> usize {
        2
    }
    fn session(&self, capacity: usize) -> Result<Box<dyn Session + '_>> {
        assert!(capacity <= self.context);
        Ok(Box::new(ScriptedSession { network: self, len: 0, capacity, next: 0, ranges: RefCell::default() }))
    }
}

impl Session for ScriptedSession<'_> {
    fn len(&self) -> usize {
        self.len
    }
    fn forward(&mut self, tokens: &[TokenId], logits: Logits) -> Result<Vec<f32>> {
        assert!(tokens.len() <= 256, "cancellation waits for a pass of {}", tokens.len());
        self.len += tokens.len();
        assert!(self.len <= self.capacity);
        if logits == Logits::None {
            return Ok(Vec::new());
        }
        let token = self.network.script.get(self.next).copied().unwrap_or(68);
        self.next += 1;
        let mut row = vec![0.0; VOCABULARY];
        row[token as usize] = 20.0;
        row[65] = 30.0;
        Ok(row)
    }
    fn truncate(&mut self, len: usize) {
        self.len = len;
    }
    fn observe(&mut self, ranges: &[Range<usize>]) {
        self.ranges.replace(ranges.to_vec());
    }
    fn attention(&self) -> Vec<Vec<f32>> {
        vec![self.ranges.borrow().iter().map(|range| range.len() as f32 / 1000.0).collect(); 2]
    }
}

fn tokenizer() -> TextTokenizer {
    let json = include_bytes!("../../../../tests/fixtures/apertus/tiny/tokenizer.json");
    let mut tokenizer = TextTokenizer::from_json(json).unwrap();
    tokenizer.set_end_tokens(vec![2, 68, 72]);
    tokenizer
}

fn generator_of(script: Vec<TokenId>, chat: ChatOptions) -> LocalGenerator {
    let network = Scripted { script, context: 2048 };
    let identity = ModelIdentity { name: "scripted".into(), sha256: Digest::of(b"") };
    LocalGenerator::new(Box::new(network), tokenizer(), ChatFormat::Builtin(Builtin::Apertus), chat, identity).unwrap()
}

fn says(text: &str) -> LocalGenerator {
    generator_of(tokenizer().encode_text(text), ChatOptions::default())
}

struct Ask<'a> {
    max_tokens: usize,
    stop: Vec<String>,
    mask: Option<&'a mut dyn LogitMask>,
    sampling: Sampling,
    messages: Vec<Message>,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        let messages = vec![Message::text(Role::User, "who?")];
        Self { max_tokens: 1000, stop: Vec::new(), mask: None, sampling: Sampling::default(), messages }
    }
}

/// Generates, and checks that what was streamed is what is returned.
fn ask(generator: &LocalGenerator, ask: Ask<'_>) -> Result<Generation> {
    let mut streamed = String::new();
    let request = GenerationRequest {
        messages: &ask.messages,
        sampling: &ask.sampling,
        max_tokens: ask.max_tokens,
        stop: &ask.stop,
        mask: match ask.mask {
            Some(mask) => Some(mask),
            None => None,
        },
        attention: true,
        origin: None,
    };
    let mut on_text = |text: &str| {
        streamed.push_str(text);
        ControlFlow::Continue(())
    };
    let generation = generator.generate(request, &mut on_text, &Cancel::default())?;
    assert_eq!(streamed, generation.text);
    Ok(generation)
}

#[test]
fn text_ends_where_the_turn_ends_and_control_tokens_never_come() {
    let generation = ask(&says("Bern is the capital.🇨🇭"), Ask::default()).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("Bern is the capital.🇨🇭", FinishReason::Stop));
    assert_eq!(generation.tokens.generated, generation.logprobs.len());
    // The unmasked distribution has the forbidden control token ten nats above the chosen one.
    assert!(generation.logprobs.iter().all(|logprob| (logprob + 10.0).abs() < 1e-3), "{:?}", generation.logprobs);
}

#[test]
fn the_budget_and_the_context_end_a_text() {
    let generator = says("one two three four five six seven");
    let generation = ask(&generator, Ask { max_tokens: 2, ..Ask::default() }).unwrap();
    assert_eq!((generation.finish, generation.tokens.generated), (FinishReason::Length, 2));
    assert_eq!(ask(&generator, Ask { max_tokens: 0, ..Ask::default() }).unwrap().text, "");
    let prompt = generator.prompt(&Ask::default().messages).unwrap().tokens.len();
    let generator = generator.with_context_limit(prompt + 3);
    let generation = ask(&generator, Ask::default()).unwrap();
    assert_eq!((generation.finish, generation.tokens.generated), (FinishReason::Length, 3));
    let error = ask(&generator.with_context_limit(prompt), Ask::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(&prompt.to_string()), "{error}");
}

#[test]
fn stop_strings_end_a_text_and_leave_no_record() {
    let stop = vec!["\n\nQuestion".to_owned()];
    let generation = ask(&says("Bern.\n\nQuestion: why?"), Ask { stop, ..Ask::default() }).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("Bern.", FinishReason::Stop));
    assert!(generation.tokens.generated > generation.logprobs.len());
}

#[test]
fn circles_and_commentary_are_cut() {
    let sentence = "The Federal Council has seven members who are elected by the Federal Assembly for four years. ";
    let generation = ask(&says(&sentence.repeat(30)), Ask::default()).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), (sentence.trim(), FinishReason::Repetition));
    assert!(generation.tokens.generated < 300, "{}", generation.tokens.generated);
    let generation = ask(&says("Seven. [1]\n\nNote: The answer is based on the context."), Ask::default()).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("Seven. [1]", FinishReason::Stop));
}

#[test]
fn cancelling_ends_within_one_token_and_between_pieces_of_the_prompt() {
    let generator = says("one two three four five six seven");
    let ask = Ask::default();
    let request = |messages| GenerationRequest {
        messages,
        sampling: &ask.sampling,
        max_tokens: 100,
        stop: &[],
        mask: None,
        attention: false,
        origin: None,
    };
    let generation = generator.generate(request(&ask.messages), &mut |_| ControlFlow::Break(()), &Cancel::default());
    let generation = generation.unwrap();
    assert_eq!(generation.finish, FinishReason::Cancelled);
    assert!("one two".starts_with(&generation.text) && !generation.text.is_empty(), "{:?}", generation.text);
    let cancel = Cancel::default();
    cancel.cancel();
    let generation = generator.generate(request(&ask.messages), &mut |_| ControlFlow::Continue(()), &cancel).unwrap();
    assert_eq!((generation.finish, generation.text.as_str()), (FinishReason::Cancelled, ""));
}

#[test]
fn long_prompts_are_read_in_pieces() {
    let generator = says("Bern.");
    let messages = vec![Message::text(Role::User, "word ".repeat(400))];
    let prompt = generator.prompt(&messages).unwrap().tokens.len();
    assert!(prompt > 600);
    let generation = ask(&generator, Ask { messages, ..Ask::default() }).unwrap();
    assert_eq!((generation.tokens.prompt, generation.text.as_str()), (prompt, "Bern."));
}

#[test]
fn masks_narrow_the_text_and_an_empty_mask_ends_it() {
    struct Nothing;
    impl LogitMask for Nothing {
        fn apply(&mut self, _: &fontes_core::DecodeStep<'_>, logits: &mut [f32]) {
            logits.fill(f32::NEG_INFINITY);
        }
    }
    let generator = says("maybe");
    let mut mask = Choices::new(["yes", "no", "não"]);
    let generation = ask(&generator, Ask { mask: Some(&mut mask), ..Ask::default() }).unwrap();
    assert!(["yes", "no", "não"].contains(&generation.text.as_str()), "{}", generation.text);
    let mut nothing = Nothing;
    let generation = ask(&generator, Ask { mask: Some(&mut nothing), ..Ask::default() }).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("", FinishReason::Stop));
}

#[test]
fn attention_is_told_per_passage() {
    let segment = |text: &str, passage| Segment { text: text.into(), passage };
    let content = vec![segment("first here", Some(0)), segment(" and ", None), segment("second one there", Some(2))];
    let messages = vec![Message { role: Role::User, content }];
    let generation = ask(&says(" \nBern is."), Ask { messages, ..Ask::default() }).unwrap();
    assert_eq!(generation.text, "Bern is.");
    assert_eq!(generation.attention.len(), generation.logprobs.len());
    let first = &generation.attention[0];
    assert_eq!((first.offset, first.mass.len(), first.mass[0].len()), (0, 2, 3));
    assert!(first.mass[0][0] > 0.0 && first.mass[0][1] == 0.0 && first.mass[0][2] > 0.0);
    assert!(generation.attention.iter().all(|token| token.offset < generation.text.len()));
}

#[test]
fn thoughts_are_not_text() {
    let tokenizer = tokenizer();
    let script: Vec<TokenId> =
        [vec![69], tokenizer.encode_text("hm hm"), vec![70], tokenizer.encode_text("Bern.")].concat();
    let thinking = ChatOptions { thinking: true, now: None };
    assert_eq!(ask(&generator_of(script.clone(), thinking), Ask::default()).unwrap().text, "Bern.");
    // Without leave to think, the opening token cannot come; the next best is the end.
    assert_eq!(ask(&generator_of(script, ChatOptions::default()), Ask::default()).unwrap().text, "");
}

#[test]
fn the_same_seed_writes_the_same_text() {
    let generator = says("");
    let text = |seed| {
        let sampling = Sampling { temperature: 40.0, seed, ..Sampling::default() };
        ask(&generator, Ask { sampling, max_tokens: 30, ..Ask::default() }).unwrap().text
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn counting_counts_text_only() {
    assert_eq!(says("").count_tokens(""), 0);
    assert!(says("").count_tokens("<|user_end|>") > 1);
    assert_eq!(tokenizer().len(), VOCABULARY);
}

/// The tiny quantised Apertus with its tokenizer, on the CPU runner.
fn tiny(options: Options) -> LocalGenerator {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/apertus/gguf/q8_0.gguf");
    open(&path, options).unwrap()
}

#[test]
fn drafts_and_kept_beginnings_change_nothing_but_time() {
    use crate::prefix::PrefixLimits;
    let limits = PrefixLimits { memory_bytes: 1 << 30, ..PrefixLimits::default() };
    let plain = tiny(Options::default());
    let fast = tiny(Options { drafts: true, prefix: Some(limits), ..Options::default() });
    let run = |generator: &LocalGenerator, sampling: &Sampling, max_tokens| {
        let documents = [fontes_core::DocumentId::from_bytes([1; 16])];
        let passage = Segment { text: "the end of the line, the end of the line. ".repeat(8), passage: Some(0) };
        let question = Segment { text: "the end of what?".into(), passage: None };
        let messages = [
            Message::text(Role::System, "answer the question"),
            Message { role: Role::User, content: vec![passage, question] },
        ];
        let origin = fontes_core::PromptOrigin { scope: Digest::of(b"anna"), documents: &documents };
        let mut mask = NoCapitals;
        let request = GenerationRequest {
            messages: &messages,
            sampling,
            max_tokens,
            stop: &[],
            mask: Some(&mut mask),
            attention: false,
            origin: Some(origin),
        };
        generator.generate(request, &mut |_| ControlFlow::Continue(()), &Cancel::default()).unwrap()
    };
    let mut reused = 0;
    for (seed, temperature) in [(0, 0.0), (1, 0.7), (2, 0.7), (3, 1.5)] {
        let sampling = Sampling { temperature, seed, ..Sampling::default() };
        for max_tokens in [1, 7, 60] {
            let (slow, quick) = (run(&plain, &sampling, max_tokens), run(&fast, &sampling, max_tokens));
            assert_eq!((&slow.text, &slow.logprobs, slow.finish), (&quick.text, &quick.logprobs, quick.finish));
            assert_eq!(slow.tokens.reused, 0);
            reused = quick.tokens.reused;
        }
    }
    assert!(reused > 64, "{reused}");
}

/// Forbids tokens with capital letters: a mask that looks at every token.
struct NoCapitals;

impl LogitMask for NoCapitals {
    fn apply(&mut self, step: &fontes_core::DecodeStep<'_>, logits: &mut [f32]) {
        for (id, logit) in (0..).zip(logits) {
            if step.vocabulary.token_bytes(id).is_some_and(|bytes| bytes.iter().any(u8::is_ascii_uppercase)) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}
