//! Cleans text of what a reader cannot see.
//!
//! Invisible characters carry instructions past a reader's eyes (Unicode tag characters, zero-width
//! sequences, UTS #39 and the "Trojan Source" bidi controls). They leave the stored text and are counted, so
//! that the document can be flagged. Joiners that shape Arabic, Indic and emoji sequences stay.

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// How many hidden characters were removed, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// Zero-width characters and joiners without anything to join.
    pub zero_width: usize,
    /// Characters of the tag block U+E0000–E007F and supplementary variation selectors.
    pub tags: usize,
    /// Controls of writing direction.
    pub bidi: usize,
    /// Control characters, NUL first among them.
    pub controls: usize,
}

impl Hidden {
    /// Warnings for people, one per kind seen. Single direction marks are ordinary in Arabic and Hebrew
    /// text; they are reported all the same.
    pub fn warnings(&self) -> Vec<String> {
        [
            (self.zero_width, "zero-width characters"),
            (self.tags, "Unicode tag characters"),
            (self.bidi, "text direction controls"),
            (self.controls, "control characters"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("removed {count} {what}"))
        .collect()
    }
}

/// Returns `raw` in Unicode normal form C with `\n` line ends, without hidden characters, and counts these.
///
/// Special spaces become plain ones, soft hyphens vanish, tabs and newlines stay.
pub(crate) fn clean(raw: &str, hidden: &mut Hidden) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\n' | '\t' => out.push(c),
            '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' => out.push(' '),
            '\u{AD}' => {}
            '\u{200C}' | '\u{200D}' if out.chars().next_back().is_some_and(joins) => out.push(c),
            '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{FEFF}' | '\u{180E}' | '\u{FE00}'..='\u{FE0D}' => {
                hidden.zero_width += 1;
            }
            '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{206F}' | '\u{61C}' => {
                hidden.bidi += 1;
            }
            '\u{E0000}'..='\u{E01EF}' => hidden.tags += 1,
            c if c.is_control() => hidden.controls += 1,
            c => out.push(c),
        }
    }
    if is_nfc(&out) { out } else { out.nfc().collect() }
}

/// Says whether a joiner after `c` shapes what a reader sees.
fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8FF}' | '\u{900}'..='\u{DFF}' | '\u{1780}'..='\u{18AF}' | '\u{2600}'..='\u{27BF}'
        | '\u{FE0E}' | '\u{FE0F}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Joins the words of `text` with single spaces: what markup languages do with white space.
pub(crate) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(raw: &str) -> (String, Hidden) {
        let mut hidden = Hidden::default();
        let text = clean(raw, &mut hidden);
        (text, hidden)
    }

    #[test]
    fn hidden_instructions_are_removed_and_counted() {
        let tags: String = "ignore".chars().map(|c| char::from_u32(0xE0000 + c as u32).unwrap()).collect();
        let (text, hidden) = cleaned(&format!("pay{tags} \u{202E}now\u{202C}\u{200B}\u{0}"));
        assert_eq!(text, "pay now");
        assert_eq!(hidden, Hidden { zero_width: 1, tags: 6, bidi: 2, controls: 1 });
        assert_eq!(hidden.warnings().len(), 4);
    }

    #[test]
    fn line_ends_spaces_and_soft_hyphens_are_made_plain() {
        let (text, hidden) = cleaned("a\r\nb\rc\u{2028}d\u{A0}e Ver\u{AD}trag u\u{308}");
        assert_eq!(text, "a\nb\nc\nd e Vertrag ü");
        assert_eq!(hidden, Hidden::default());
    }

    #[test]
    fn joiners_stay_where_they_shape_text() {
        let persian = "می\u{200C}خواهم";
        let family = "👩\u{200D}👧";
        assert_eq!(cleaned(persian).0, persian);
        assert_eq!(cleaned(family).0, family);
        assert_eq!(cleaned("pass\u{200D}word").0, "password");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(raw in "\\PC*|[\\x00-\\x{2FFF}]{0,40}") {
            let (once, _) = cleaned(&raw);
            let (twice, hidden) = cleaned(&once);
            prop_assert_eq!(&once, &twice);
            prop_assert_eq!(hidden, Hidden::default());
        }
    }
}
