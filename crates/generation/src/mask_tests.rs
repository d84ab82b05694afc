//! Tests of the mask over a small vocabulary.

use super::*;

struct Pieces(Vec<&'static str>);

impl Vocabulary for Pieces {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn token_bytes(&self, token: TokenId) -> Option<&[u8]> {
        let piece = self.0.get(token as usize)?;
        (*piece != "<end>").then_some(piece.as_bytes())
    }

    fn encode(&self, _: &str) -> Vec<TokenId> {
        Vec::new()
    }

    fn end_tokens(&self) -> &[TokenId] {
        &[0]
    }
}

const PIECES: [&str; 16] =
    ["<end>", " Tage", ".", "[", " [", "1", "2", "12", "]", "].", ", ", "[1]", "[7]", "][", "evil", "[evil]"];

/// The pieces that may follow `text` when each is as likely as the others but `favourite`, which is likelier.
fn allowed(text: &str, markers: &[u32], favourite: &str) -> Vec<&'static str> {
    let vocabulary = Pieces(PIECES.to_vec());
    let mut mask = MarkerMask::new(markers.iter().copied(), "Die Quellen sagen dazu nichts.");
    let mut logits: Vec<f32> = PIECES.iter().map(|piece| if *piece == favourite { 1.0 } else { 0.0 }).collect();
    mask.apply(&DecodeStep { tokens: &[], text, vocabulary: &vocabulary }, &mut logits);
    PIECES.iter().zip(&logits).filter(|(_, logit)| logit.is_finite()).map(|(piece, _)| *piece).collect()
}

#[test]
fn inside_brackets_only_given_numbers_come() {
    assert_eq!(allowed("Es gilt [", &[1, 2], ""), ["1", "2"]);
    assert_eq!(allowed("Es gilt [", &[1, 12], ""), ["1", "12"]);
    assert_eq!(allowed("Es gilt [1", &[1, 12], ""), ["2", "]", "].", ", ", "]["]);
    assert_eq!(allowed("Es gilt [1", &[1], ""), ["]", "].", ", ", "]["]);
    assert_eq!(allowed("Es gilt [1, ", &[1, 2], ""), ["1", "2"]);
}

#[test]
fn outside_brackets_forged_markers_cannot_begin() {
    let free = allowed("Es gilt", &[1], "");
    assert!(free.contains(&"[1]") && free.contains(&"[") && free.contains(&" Tage"));
    for forged in ["[7]", "[evil]", "]", "].", "]["] {
        assert!(!free.contains(&forged), "{forged}");
    }
}

#[test]
fn a_finished_sentence_is_followed_by_a_marker() {
    assert_eq!(allowed("Die Frist beträgt 30 Tage.", &[1], " Tage"), ["[", " [", "[1]"]);
    assert_eq!(allowed("Die Frist beträgt 30.", &[1], " ["), ["[", " [", "[1]"]);
    assert_eq!(allowed("Die Frist beträgt 30 Tage", &[1], "<end>"), ["[", " [", "[1]"]);
    assert!(allowed("Die Frist beträgt 30 Tage. [1]", &[1], "").contains(&"evil"));
    assert!(allowed("gemäss Art.", &[1], "").contains(&"evil"), "an abbreviation finishes nothing");
}

#[test]
fn a_full_stop_within_a_figure_or_a_name_finishes_nothing() {
    for (text, next) in [("Die Spurweite beträgt 1.", "12"), ("Es gilt ab dem 1.", " Tage"), ("siehe admin.", "evil")]
    {
        assert!(allowed(text, &[1], next).contains(&next), "{text}");
    }
    assert!(!allowed("Das war im Jahr 2012.", &[1], " Tage").contains(&" Tage"));
}

#[test]
fn an_abstention_needs_no_marker() {
    assert!(allowed("Die Quellen sagen dazu nichts.", &[1], "<end>").contains(&"<end>"));
    assert!(allowed("", &[1], "<end>").contains(&"<end>"));
}

#[test]
fn without_passages_no_bracket_opens() {
    let free = allowed("Es gilt.", &[], "");
    assert!(free.iter().all(|piece| !piece.contains('[')), "{free:?}");
}
