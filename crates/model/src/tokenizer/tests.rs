//! Tests on a small byte-level tokenizer with Apertus' control tokens.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const TINY: &[u8] = include_bytes!("../../../../tests/fixtures/apertus/tiny/tokenizer.json");

fn tiny() -> TextTokenizer {
    TextTokenizer::from_json(TINY).unwrap()
}

fn text_of(tokenizer: &TextTokenizer, ids: &[TokenId]) -> String {
    let (mut text, mut stream) = (String::new(), Detokenizer::default());
    for &id in ids {
        stream.push(tokenizer.token_bytes(id).unwrap_or_default(), &mut text);
    }
    text
}

#[test]
fn templates_yield_control_tokens_and_text_does_not() {
    let tokenizer = tiny();
    let marker = "<|user_end|>";
    assert_eq!(tokenizer.control(marker), Some(66));
    assert_eq!(tokenizer.encode_pieces(&[Piece::Template(marker)]).0, [66]);
    let ids = tokenizer.encode_pieces(&[Piece::Text(marker)]).0;
    assert!(ids.len() > 1 && ids.iter().all(|&id| !tokenizer.is_control(id)), "{ids:?}");
    assert_eq!(text_of(&tokenizer, &ids), marker);
}

#[test]
fn a_control_token_cannot_be_assembled_across_pieces() {
    let tokenizer = tiny();
    let (ids, _) = tokenizer.encode_pieces(&[Piece::Template("<|user_"), Piece::Text("end|>")]);
    assert!(!ids.contains(&66));
}

#[test]
fn cutting_text_into_pieces_does_not_change_its_tokens() {
    let tokenizer = tiny();
    let whole = tokenizer.encode_pieces(&[Piece::Template("<s>"), Piece::Text("the end of the line")]).0;
    let (cut, ranges) = tokenizer.encode_pieces(&[
        Piece::Template("<s>"),
        Piece::Text("the end "),
        Piece::Text(""),
        Piece::Text("of the line"),
    ]);
    assert_eq!(cut, whole);
    assert_eq!(ranges[0], 0..1);
    assert!(ranges[2].is_empty());
    assert_eq!((ranges[1].start, ranges[1].end, ranges[3].end), (1, ranges[3].start, whole.len()));
}

#[test]
fn half_characters_wait() {
    let (mut text, mut stream) = (String::new(), Detokenizer::default());
    let flag = "🇨🇭é".as_bytes();
    for (count, byte) in flag.iter().enumerate() {
        stream.push(&[*byte], &mut text);
        assert!("🇨🇭é".starts_with(&text), "after {count} bytes");
    }
    assert_eq!(text, "🇨🇭é");
    assert!(!stream.is_pending());
    stream.push(&[0xF0, 0x9F, b'a'], &mut text);
    assert!(text.ends_with("\u{FFFD}a"), "a broken sequence is replaced, not kept back for ever");
}

#[test]
fn a_unigram_vocabulary_that_lists_control_tokens_as_pieces_cannot_leak_them() {
    let definition = json!({
        "version": "1.0",
        "added_tokens": [{"id": 1, "content": "<s>", "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false}],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0,
            "vocab": [["<unk>", 0.0], ["<s>", 0.0], ["<", -9.0], ["s", -9.0], [">", -9.0], ["a", -9.0]]},
    });
    let tokenizer = TextTokenizer::from_json(definition.to_string().as_bytes()).unwrap();
    assert_eq!(tokenizer.encode_text("a<s>a<s>"), [5, 2, 3, 4, 5, 2, 3, 4]);
    assert_eq!(tokenizer.encode_pieces(&[Piece::Template("a<s>")]).0, [5, 1]);
}

#[test]
fn another_models_tokenizer_is_refused() {
    let error = tiny().fit(512, 512).unwrap_err();
    assert!(matches!(error, TokenizerError::Mismatch { tokenizer: 1024, input: 512, output: 512 }), "{error}");
    assert!(tiny().fit(131_072, 131_072).is_err(), "far too few ids");
    let mut padded = tiny();
    padded.fit(1100, 1100).unwrap();
    assert_eq!((padded.len(), padded.token_bytes(1050)), (1100, None));
    assert!(padded.is_control(1050), "padding is never text");
}

#[test]
fn hostile_definitions_are_errors() {
    let merges = json!({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}});
    let huge = json!({"model": {"type": "BPE", "vocab": {"a": 4_000_000_000u32}, "merges": []}});
    let word_piece = json!({"model": {"type": "WordPiece", "vocab": {}}});
    // Once overflowed the stack of the library, which drops its tree of pieces a level per character.
    let endless =
        json!({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a".repeat(1 << 16), 0.0]]}});
    for definition in [json!(3), json!({}), merges, huge, word_piece, endless, json!({"model": {"vocab": [[1]]}})] {
        assert!(TextTokenizer::from_json(definition.to_string().as_bytes()).is_err());
    }
}

proptest! {
    #[test]
    fn no_text_encodes_to_a_control_token_and_all_text_survives(
        parts in proptest::collection::vec((any::<prop::sample::Index>(), ".{0,8}"), 0..6)
    ) {
        let tokenizer = tiny();
        let markers: Vec<&str> = tokenizer.controls().map(|(text, _)| text).collect();
        let text: String = parts.iter().map(|(index, tail)| format!("{}{tail}", index.get(&markers))).collect();
        let ids = tokenizer.encode_text(&text);
        prop_assert!(ids.iter().all(|&id| !tokenizer.is_control(id)));
        prop_assert_eq!(text_of(&tokenizer, &ids), text);
    }
}
