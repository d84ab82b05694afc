//! Text in any encoding to Unicode.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes looked at to tell text from binary data.
const SNIFF_BYTES: usize = 8192;

/// Decodes `bytes`: byte order mark, then the declared encoding, then valid UTF-8, then statistics.
/// Malformed sequences become U+FFFD; nothing fails.
pub(crate) fn decode(bytes: &[u8], declared: Option<&str>) -> String {
    if let Some((encoding, bom)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[bom..]).0.into_owned();
    }
    if let Some(encoding) = utf16_without_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let declared = declared.and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = match declared {
        Some(encoding) if encoding != UTF_8 && !encoding.is_single_byte() => encoding,
        _ if is_damaged_utf8(bytes) => UTF_8,
        Some(encoding) if encoding != UTF_8 => encoding,
        _ => guess(bytes),
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Text of two bytes a character as UTF-8; `None` for anything else. For formats of bytes that somebody saved as text.
pub(crate) fn narrowed(bytes: &[u8]) -> Option<String> {
    let marked = Encoding::for_bom(bytes).is_some_and(|(encoding, _)| encoding != UTF_8);
    (marked || utf16_without_bom(bytes).is_some()).then(|| decode(bytes, None))
}

/// Guesses a legacy encoding from statistics.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// Says whether `bytes` are UTF-8 but for a few damaged places (a cut, a bad byte): well-formed sequences
/// outnumber the damage ten to one, which no legacy encoding does by chance.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good >= bad * 10
}

/// Recognises UTF-16 without a mark by its zero bytes: in Latin text every second byte is zero.
fn utf16_without_bom(bytes: &[u8]) -> Option<&'static Encoding> {
    let sniff = &bytes[..bytes.len().min(SNIFF_BYTES) & !1];
    if sniff.len() < 4 {
        return None;
    }
    let pairs = sniff.len() / 2;
    let zeros = |offset: usize| sniff.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match (even * 10, odd * 10) {
        (even, odd) if odd >= pairs * 4 && even * 20 <= pairs => Some(UTF_16LE),
        (even, odd) if even >= pairs * 4 && odd * 20 <= pairs => Some(UTF_16BE),
        _ => None,
    }
}

/// Says whether `bytes` are no text in any encoding.
pub(crate) fn looks_binary(bytes: &[u8]) -> bool {
    let sniff = &bytes[..bytes.len().min(SNIFF_BYTES)];
    if Encoding::for_bom(sniff).is_some() || utf16_without_bom(bytes).is_some() {
        return false;
    }
    let controls = sniff.iter().filter(|byte| matches!(**byte, 0..=8 | 14..=26 | 28..=31)).count();
    // A stray NUL or bell does not make a text binary; one byte in fifty does.
    controls * 50 > sniff.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str = "Die Kündigungsfrist beträgt drei Monate; für Führungskräfte gelten größere Fristen.";

    #[test]
    fn encodings_are_recognised() {
        let utf16: Vec<u8> = GERMAN.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin: Vec<u8> = GERMAN.chars().map(|c| u8::try_from(c as u32).unwrap()).collect();
        let mut marked = vec![0xFE, 0xFF];
        marked.extend(GERMAN.encode_utf16().flat_map(u16::to_be_bytes));
        for bytes in [GERMAN.as_bytes(), &utf16, &latin, &marked] {
            assert_eq!(decode(bytes, None), GERMAN);
            assert!(!looks_binary(bytes));
        }
    }

    #[test]
    fn a_cut_in_utf8_does_not_turn_it_into_mojibake() {
        let text = GERMAN.repeat(3);
        let cut = &text.as_bytes()[..text.find('ü').unwrap() + 1];
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend_from_slice(cut);
        let decoded = decode(&bytes, Some("iso-8859-1"));
        assert!(decoded.starts_with("Die Kündigungsfrist"));
        assert!(decoded.ends_with('\u{FFFD}'));
    }

    #[test]
    fn a_declared_encoding_is_believed_when_it_can_be_true() {
        let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode("東京都");
        assert_eq!(decode(&bytes, Some("shift_jis")), "東京都");
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode("Привет");
        assert_eq!(decode(&bytes, Some("windows-1251")), "Привет");
    }
}
