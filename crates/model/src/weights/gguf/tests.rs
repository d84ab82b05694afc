//! Well-formed, contradictory and mutated GGUF headers.

use proptest::prelude::*;

use super::*;

/// A small valid file: one key of each interesting kind, two tensors.
fn valid() -> Vec<u8> {
    file(3, &[("a", 4, &8_u32.to_le_bytes()), ("b", 8, &text("word"))], &[("t", &[32, 2], 8, 0), ("u", &[4], 0, 96)])
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// Writes a header with `keys` (name, type, raw value) and `tensors` (name, innermost-first shape, type, offset),
/// then 128 zero bytes of data.
fn file(version: u32, keys: &[(&str, u32, &[u8])], tensors: &[(&str, &[u64], u32, u64)]) -> Vec<u8> {
    let mut bytes = [MAGIC, &version.to_le_bytes()].concat();
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((keys.len() as u64).to_le_bytes());
    for (key, kind, value) in keys {
        bytes.extend(text(key));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(*value);
    }
    for (name, shape, kind, offset) in tensors {
        bytes.extend(text(name));
        bytes.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + 128, 0);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    match check(bytes).unwrap_err() {
        ParseError::Malformed(reason) => reason,
        ParseError::NotGguf => "not GGUF".to_owned(),
        ParseError::UnknownType(error) => error.to_string(),
    }
}

#[test]
fn a_valid_file_is_read() {
    let bytes = valid();
    let (header, tensors) = parse(&bytes).unwrap();
    let metadata = Metadata::new(&bytes, &header);
    assert_eq!((metadata.unsigned("a"), metadata.string("b")), (Some(8), Some("word")));
    assert_eq!(metadata.string("a"), None);
    assert_eq!(tensors["t"].shape, [2, 32]);
    assert_eq!(tensors["t"].bytes.len(), 68);
    assert_eq!(tensors["u"].bytes.start - tensors["t"].bytes.start, 96);
}

#[test]
fn arrays_are_decoded_on_demand() {
    let strings = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &text("x"), &text("yz")].concat();
    let floats = [&6_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), &0.5_f32.to_le_bytes()].concat();
    let bytes = file(2, &[("s", 9, &strings), ("f", 9, &floats)], &[]);
    let (header, _) = parse(&bytes).unwrap();
    let metadata = Metadata::new(&bytes, &header);
    assert_eq!(metadata.strings("s"), Some(vec!["x", "yz"]));
    assert_eq!(metadata.floats("f"), Some(vec![0.5]));
    assert_eq!(metadata.integers("f"), None);
}

#[test]
fn false_numbers_are_refused_by_name() {
    let huge = u64::MAX;
    let array = |kind: u32, count: u64| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"GGML".to_vec(), "not GGUF"),
        (Vec::new(), "not GGUF"),
        (file(1, &[], &[]), "version 1"),
        (file(3, &[("k", 9, &array(0, huge))], &[]), "passes the end"),
        (file(3, &[("k", 9, &array(12, huge))], &[]), "claims 18446744073709551615 elements"),
        (file(3, &[("k", 8, &huge.to_le_bytes())], &[]), "passes the end"),
        (file(3, &[("k", 13, &[])], &[]), "unknown value type 13"),
        (file(3, &[("k", 7, &[2])], &[]), "neither true nor false"),
        (file(3, &[("k", 0, &[1]), ("k", 0, &[1])], &[]), "occurs twice"),
        (file(3, &[("general.alignment", 4, &3_u32.to_le_bytes())], &[]), "power of two"),
        (file(3, &[], &[("t", &[4], 0, 0), ("t", &[4], 0, 32)]), "occurs twice"),
        (file(3, &[], &[("t", &[4], 0, 0), ("u", &[16], 0, 0)]), "overlap"),
        (file(3, &[], &[("t", &[4], 0, 8)]), "not aligned"),
        (file(3, &[], &[("t", &[4], 0, 1 << 40)]), "passes the end"),
        (file(3, &[], &[("t", &[4], 0, huge - 31)]), "passes the end"),
        (file(3, &[], &[("t", &[1 << 40, 1 << 40], 0, 0)]), "whole F32 blocks"),
        (file(3, &[], &[("t", &[33], 8, 0)]), "whole Q8_0 blocks"),
        (file(3, &[], &[("t", &[16, 2], 8, 0)]), "whole Q8_0 blocks"),
        (file(3, &[], &[("t", &[1, 1, 1, 1, 1], 0, 0)]), "5 dimensions"),
        (file(3, &[], &[("t", &[256], 23, 0)]), "IQ4_XS (23)"),
    ];
    for (bytes, reason) in cases {
        let found = refusal(&bytes);
        assert!(found.contains(reason), "wanted {reason:?}, found {found:?}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut value = [9_u32.to_le_bytes().to_vec(), 1_u64.to_le_bytes().to_vec()].concat().repeat(10);
    value.extend([0_u32.to_le_bytes().to_vec(), 0_u64.to_le_bytes().to_vec()].concat());
    assert!(refusal(&file(3, &[("k", 9, &value)], &[])).contains("too deep"));
}

#[test]
fn counts_are_bounded() {
    let mut bytes = valid();
    bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&bytes).contains("too many"));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = valid();
    let needed = parse(&bytes).unwrap().1["u"].bytes.end;
    for length in 0..needed {
        assert!(check(&bytes[..length]).is_err(), "{length} of {needed} bytes");
    }
}

proptest! {
    #[test]
    fn mutations_never_panic(changes in prop::collection::vec((0_usize..256, any::<u8>()), 1..8)) {
        let mut bytes = valid();
        for (position, value) in changes {
            let position = position % bytes.len();
            bytes[position] = value;
        }
        if let Ok((header, tensors)) = parse(&bytes) {
            let metadata = Metadata::new(&bytes, &header);
            metadata.keys().for_each(|key| drop(metadata.strings(key)));
            for entry in tensors.values() {
                prop_assert!(bytes.get(entry.bytes.clone()).is_some());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&[b"GGUF\x03\0\0\0", tail.as_slice()].concat());
    }
}
