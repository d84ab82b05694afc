//! From the characters of a line to its words.

use super::{
    lines::{COPY_OFFSET, Placed, PlacedWord, area},
    rtl::{is_rtl, logical_order, phrases_turned, turned},
};

/// A gap of this share of the font size separates words. Kerning stays below 0.1, the narrowest justified
/// blank is about 0.18, the thin space of formulas 0.16.
const WORD_GAP: f32 = 0.12;

/// What a back end gives for a character that the font does not name. It is ink, but says nothing.
const UNKNOWN: &str = "\u{FFFD}";

/// Where a word may be parted; it says something at the end of a line only.
const SOFT_HYPHEN: &str = "\u{AD}";

/// Characters spaced out further than this share of the font size are taken for words of one letter.
const MOST_TRACKING: f32 = 0.35;

/// Orders the characters by place, drops those drawn twice for boldness, and parts them into words at blanks
/// and gaps, in logical order.
pub(super) fn words(open: &mut Vec<Placed<'_>>, baseline: f32, size: f32) -> Vec<PlacedWord> {
    let backward = open.windows(2).any(|pair| pair[1].start < pair[0].start - 0.1);
    let letters = || open.iter().flat_map(|placed| placed.glyph.text.chars()).filter(|c| c.is_alphabetic());
    let turned_letters = letters().filter(|c| is_rtl(*c)).count();
    let rtl = turned_letters * 2 > letters().count();
    if backward || turned_letters > 0 {
        open.sort_by(|a, b| a.start.total_cmp(&b.start));
        drop_overlaid_blanks(open);
    }
    open.dedup_by(|next, kept| {
        // Letters hardly wider than the offset follow each other in earnest: kashidas, dots.
        let reach = (COPY_OFFSET * kept.size).min(0.5 * (kept.end - kept.start).abs());
        next.glyph.text == kept.glyph.text && !next.is_blank() && (next.start - kept.start).abs() < reach
    });
    let gap = word_gap(open);
    let mut words: Vec<PlacedWord> = Vec::new();
    // Where the word being built begins, and its text.
    let (mut from, mut text, mut in_mark) = (0, String::new(), false);
    let mut last_end: Option<f32> = None;
    for (index, placed) in open.iter().enumerate() {
        let blank = placed.is_blank();
        let raised = placed.size <= 0.8 * size && baseline - placed.baseline >= 0.15 * size;
        let mark = Some(superscript(&placed.glyph.text)).filter(|mark| raised && !mark.is_empty());
        // A note mark is no digit of the number before it: "Art. 2" with note 3 is not article 23.
        let parted = mark.is_some() != in_mark && !is_power_base(&text, words.last());
        let closing = in_mark && placed.glyph.text.starts_with(['.', ',', ';', ':', ')', '!', '?']);
        let far = last_end.is_some_and(|end| placed.start - end > gap * placed.size);
        if (blank || far || parted && !closing) && !text.is_empty() {
            words.push(word(&open[from..index], std::mem::take(&mut text), rtl));
        }
        if blank {
            continue;
        }
        if text.is_empty() {
            from = index;
        }
        in_mark = mark.is_some();
        last_end = Some(placed.end);
        if placed.glyph.text == UNKNOWN || placed.glyph.text == SOFT_HYPHEN && index + 1 < open.len() {
            continue;
        }
        // Presentation order: right-to-left ligatures are turned with their word below.
        match mark {
            Some(mark) => text.push_str(&mark),
            None if rtl => text.extend(placed.glyph.text.chars().rev()),
            None => text.push_str(&placed.glyph.text),
        }
    }
    if !text.is_empty() {
        words.push(word(&open[from..], text, rtl));
    }
    match () {
        () if rtl => logical_order(words),
        () if turned_letters > 0 => phrases_turned(words),
        () => words,
    }
}

/// Drops blanks that were drawn over characters: cells are filled up with blanks, far into their neighbour. Those that
/// stand between two words have room there.
fn drop_overlaid_blanks(open: &mut Vec<Placed<'_>>) {
    let mut next_start = vec![f32::MAX; open.len()];
    for index in (1..open.len()).rev() {
        next_start[index - 1] = if open[index].is_blank() { next_start[index] } else { open[index].start };
    }
    let (mut last_end, mut next_start) = (f32::MIN, next_start.into_iter());
    open.retain(|placed| {
        let room = next_start.next().unwrap_or(f32::MAX) - last_end;
        if placed.is_blank() {
            return room >= 0.5 * (placed.end - placed.start);
        }
        last_end = placed.end;
        true
    });
}

fn word(placed: &[Placed<'_>], text: String, rtl: bool) -> PlacedWord {
    let text = if rtl { turned(&text) } else { text };
    PlacedWord { text, area: area(placed.iter()), confidence: None }
}

/// The gap that separates words on this line, as a share of the font size: wider where the letters themselves
/// are spaced out (tracked headings). Only gaps between letters tell: leaders and formulas are spaced anyhow.
fn word_gap(open: &[Placed<'_>]) -> f32 {
    let is_letter = |placed: &Placed<'_>| placed.glyph.text.chars().all(char::is_alphabetic);
    let mut gaps: Vec<f32> = open
        .windows(2)
        .filter(|pair| is_letter(&pair[0]) && is_letter(&pair[1]))
        .map(|pair| (pair[1].start - pair[0].end) / pair[1].size.max(0.5))
        .collect();
    if gaps.len() < 4 {
        return WORD_GAP;
    }
    // One gap in three or four may be one between words.
    let low = gaps.len() / 4;
    let usual = *gaps.select_nth_unstable_by(low, f32::total_cmp).1;
    WORD_GAP + usual.clamp(0.0, MOST_TRACKING)
}

/// Digits as superscripts; empty when there is anything else.
fn superscript(digits: &str) -> String {
    let marks: Option<String> =
        digits.chars().map(|c| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(usize::try_from(c.to_digit(10)?).ok()?)).collect();
    marks.unwrap_or_default()
}

/// What letters are counted with, so that a raised number behind "Bst. a" is a note's.
const COUNTED: [&str; 24] = [
    "bst",
    "buchst",
    "buchstabe",
    "buchstaben",
    "lit",
    "litt",
    "let",
    "lett",
    "lettre",
    "lettres",
    "lettera",
    "lettere",
    "letter",
    "anhang",
    "annexe",
    "allegato",
    "annex",
    "und",
    "et",
    "e",
    "and",
    "bis",
    "à",
    "a",
];

/// Says whether a raised number behind it is the power of a unit (m², cm³) or of a variable (x²), not a note mark.
fn is_power_base(word: &str, before: Option<&PlacedWord>) -> bool {
    let counted = before.is_some_and(|before| {
        COUNTED.contains(&before.text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str())
    });
    let base = word.trim_end_matches(|c| matches!(c, '⁰' | '¹' | '²' | '³' | '⁴'..='⁹'));
    let base = base.trim_start_matches(|c: char| !c.is_alphanumeric());
    let unit = base.trim_start_matches(|c: char| c.is_ascii_digit());
    // An article may be "12a", and the mark behind it a note's.
    matches!(unit, "m" | "cm" | "mm" | "km" | "dm") || base.chars().count() == 1 && base == unit && !counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_belong_to_units_and_variables() {
        assert!(["m", "(mm", "5m", "x", "x²", "S"].iter().all(|base| is_power_base(base, None)));
        assert!(!["12a", "2", "Art", "Wang", ""].iter().any(|base| is_power_base(base, None)));
        let before = |text: &str| PlacedWord { text: text.into(), area: area([].iter()), confidence: None };
        assert!(!["Bst.", "(lett.", "und"].iter().any(|text| is_power_base("a", Some(&before(text)))));
        assert!(is_power_base("m", Some(&before("und"))) && is_power_base("x", Some(&before("="))));
    }
}
