//! Accents that are drawn over their letter: fonts of old TeX have no "ü", only "¨" and "u".

use unicode_normalization::UnicodeNormalization as _;

use super::Glyph;

/// Joins each accent with the letter drawn right before or after it in the same place.
pub(super) fn joined(glyphs: &mut Vec<Glyph>) {
    for at in 0..glyphs.len() {
        let Some(mark) = mark(&glyphs[at].text) else { continue };
        let beside = [at.checked_add(1), at.checked_sub(1)].into_iter().flatten();
        let letter = beside.filter(|letter| glyphs.get(*letter).is_some_and(|letter| is_over(&glyphs[at], letter)));
        let found = letter.filter_map(|letter| Some((letter, composed(&glyphs[letter].text, mark)?))).next();
        if let Some((letter, text)) = found {
            glyphs[letter].text = text;
            glyphs[at].text.clear();
        }
    }
    glyphs.retain(|glyph| !glyph.text.is_empty());
}

/// The combining form of an accent that stands by itself.
fn mark(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let mark = match chars.next()? {
        '`' => '\u{300}',
        '\u{B4}' => '\u{301}',
        '^' | '\u{2C6}' => '\u{302}',
        '~' | '\u{2DC}' => '\u{303}',
        '\u{AF}' => '\u{304}',
        '\u{2D8}' => '\u{306}',
        '\u{2D9}' => '\u{307}',
        '\u{A8}' => '\u{308}',
        '\u{2DA}' => '\u{30A}',
        '\u{2DD}' => '\u{30B}',
        '\u{2C7}' => '\u{30C}',
        '\u{B8}' => '\u{327}',
        '\u{2DB}' => '\u{328}',
        mark @ '\u{300}'..='\u{36F}' => mark,
        _ => return None,
    };
    chars.next().is_none().then_some(mark)
}

/// The letter with its accent, where there is such a letter.
fn composed(letter: &str, mark: char) -> Option<String> {
    let letter = letter.replace('ı', "i").replace('ȷ', "j");
    let one = |text: &str| text.chars().count() == 1;
    let joined: String = one(&letter).then(|| letter.chars().chain([mark]).nfc().collect())?;
    one(&joined).then_some(joined)
}

/// Says whether the middle of an accent lies within the advance of a letter.
fn is_over(accent: &Glyph, letter: &Glyph) -> bool {
    let (dx, dy) = (letter.to.0 - letter.from.0, letter.to.1 - letter.from.1);
    let middle = ((accent.from.0 + accent.to.0) / 2.0, (accent.from.1 + accent.to.1) / 2.0);
    let (x, y) = (middle.0 - letter.from.0, middle.1 - letter.from.1);
    let advance = dx.hypot(dy).max(0.01);
    let (along, across) = ((x * dx + y * dy) / advance, (x * dy - y * dx) / advance);
    (0.0..=advance).contains(&along) && across.abs() < 0.5 * letter.size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(glyphs: &[(&str, f32, f32)]) -> String {
        let glyph = |(text, from, to): &(&str, f32, f32)| Glyph {
            text: (*text).into(),
            from: (*from, 20.0),
            to: (*to, 20.0),
            size: 10.0,
            hidden: false,
            bold: false,
        };
        let mut glyphs: Vec<Glyph> = glyphs.iter().map(glyph).collect();
        joined(&mut glyphs);
        glyphs.into_iter().map(|glyph| glyph.text).collect()
    }

    #[test]
    fn accents_join_the_letter_below_them() {
        assert_eq!(text(&[("f", 0.0, 3.0), ("¨", 3.2, 8.2), ("u", 3.0, 8.0), ("r", 8.0, 11.0)]), "für");
        assert_eq!(text(&[("J", 0.0, 4.0), ("o", 4.0, 9.0), ("¨", 4.8, 8.1), ("rg", 9.0, 17.0)]), "Jörg");
        assert_eq!(text(&[("ı", 0.0, 2.5), ("´", -0.4, 3.0)]), "í");
        // Beside their neighbours, and over what has no such accent.
        assert_eq!(text(&[("a", 0.0, 5.0), ("^", 5.0, 9.0), ("b", 9.0, 14.0)]), "a^b");
        assert_eq!(text(&[("¨", 0.0, 5.0), ("7", 0.0, 5.0)]), "¨7");
    }
}
