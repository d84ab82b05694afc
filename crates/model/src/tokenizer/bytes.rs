//! The bytes each token stands for.

use std::collections::HashMap;

use super::definition::{Definition, Spelling};

/// The characters by which byte-level BPE writes the 256 bytes: printable Latin-1 stands for itself, the rest
/// is moved to U+0100 and up, in order (Radford et al. 2019, `encoder.py` of GPT-2).
fn byte_characters() -> [char; 256] {
    let mut moved = 0;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
            char::from(byte)
        } else {
            moved += 1;
            char::from_u32(0x100 + moved - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    })
}

/// Bytes of each id, `None` for control tokens and ids nobody defines.
pub(super) fn token_bytes(definition: &Definition) -> Vec<Option<Box<[u8]>>> {
    let mut table = vec![None; definition.len];
    let of_character: HashMap<char, u8> = (0..=255).zip(byte_characters()).map(|(b, c)| (c, b)).collect();
    for (id, piece) in &definition.pieces {
        table[*id as usize] = Some(match definition.spelling {
            Spelling::ByteLevel => spelled_bytes(piece, &of_character),
            Spelling::Metaspace => metaspace_bytes(piece),
        });
    }
    for control in definition.controls.values() {
        table[control.id as usize] = None;
    }
    table
}

/// A piece that is not spelled in byte characters stands for itself, as in the library's own decoder.
fn spelled_bytes(piece: &str, of_character: &HashMap<char, u8>) -> Box<[u8]> {
    let spelled: Option<Box<[u8]>> = piece.chars().map(|character| of_character.get(&character).copied()).collect();
    spelled.unwrap_or_else(|| piece.as_bytes().into())
}

/// SentencePiece writes spaces as U+2581 and single bytes as `<0x0A>`.
fn metaspace_bytes(piece: &str) -> Box<[u8]> {
    let byte = piece.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')).filter(|hex| hex.len() == 2);
    match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => [byte].into(),
        None => piece.replace('\u{2581}', " ").into_bytes().into(),
    }
}
