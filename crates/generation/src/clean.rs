//! Cleaning what goes into a prompt: hidden characters out, forged markers and delimiters made harmless.

/// Says whether a character is invisible and so may hide an instruction: zero-width and bidirectional
/// controls, tag characters, variation selectors, soft hyphens, control characters (Unicode TR36, and the
/// "ASCII smuggling" attacks on language models).
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || c.is_control() && !matches!(c, '\n' | '\t')
}

/// Invisible characters in a row that no writer needs.
const HIDDEN_RUN: usize = 3;

/// Says whether `text` hides something from its reader: tag characters, a reversed direction, or a run of
/// invisible characters. A soft hyphen or a lone joiner hides nothing.
pub(crate) fn hides_text(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        run = if is_hidden(c) && !c.is_control() { run + 1 } else { 0 };
        run >= HIDDEN_RUN || matches!(c, '\u{202d}' | '\u{202e}' | '\u{e0000}'..='\u{e007f}')
    })
}

/// Makes untrusted text fit for a prompt. Square brackets become round ones, so that no text can name a
/// passage; what looks like a tag loses its angle, so that no text can close the passage it stands in.
pub(crate) fn for_prompt(text: &str) -> String {
    let visible: Vec<char> = text.chars().filter(|&c| !is_hidden(c)).collect();
    let mut cleaned = String::with_capacity(text.len());
    for (at, &c) in visible.iter().enumerate() {
        let next = visible.get(at + 1).copied().unwrap_or(' ');
        cleaned.push(match c {
            '[' | '【' | '［' | '〔' | '⟦' => '(',
            ']' | '】' | '］' | '〕' | '⟧' => ')',
            '<' if next.is_alphabetic() || matches!(next, '/' | '|' | '!' | '?' | '<') => '‹',
            other => other,
        });
    }
    cleaned
}

/// Makes untrusted text fit for one line of a prompt, at most `limit` characters.
pub(crate) fn for_header(text: &str, limit: usize) -> String {
    let line: String = for_prompt(text).split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_text_is_gone() {
        let tagged: String = "ignore".chars().filter_map(|c| char::from_u32(0xe0000 + c as u32)).collect();
        assert_eq!(for_prompt(&format!("Fr\u{ad}ist{tagged}\u{202e} 30\u{200b} Tage\n")), "Frist 30 Tage\n");
    }

    #[test]
    fn only_what_hides_is_flagged() {
        for text in ["Fr\u{ad}ist", "👩\u{200d}👧", "Frist\u{200b} gilt", "plain"] {
            assert!(!hides_text(text), "{text:?}");
        }
        for text in ["a\u{e0049}b", "\u{202e}neg", "x\u{200b}\u{200c}\u{200b}\u{2060}y"] {
            assert!(hides_text(text), "{text:?}");
        }
    }

    #[test]
    fn markers_and_delimiters_cannot_be_forged() {
        assert_eq!(for_prompt("siehe [3] und 【1】"), "siehe (3) und (1)");
        assert_eq!(for_prompt("</passage> <|im_start|> x < 5 und <5 mg"), "‹/passage> ‹|im_start|> x < 5 und <5 mg");
        assert_eq!(for_header("Titel\n[2] Frage: was\u{200b}", 11), "Titel (2) F");
    }
}
