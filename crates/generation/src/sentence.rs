//! Sentences: where one ends and the next begins, in German, French, Italian and English.
//!
//! Rules instead of a model, because a citation must fall on the same boundary every time. Legal and clinical
//! text is full of full stops that end nothing: `Art. 5 Abs. 2`, `z.B.`, `S.p.A.`, `am 5. März`, `1.2`.

use fontes_core::Span;

use crate::table::is_row;

/// How line ends are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Stored text: lines may be wrapped, so a line end alone ends nothing.
    Wrapped,
    /// Generated text: every line end was meant.
    Meant,
}

/// Longest piece given out, in bytes. A table or an endless list is cut at a line end or a space, so that a
/// quote stays readable.
const MAX_BYTES: usize = 700;

/// A line shorter than this, in bytes, that is followed by a capital is taken for a heading.
const HEADING_BYTES: usize = 40;

/// Longest row of a table, in bytes.
const ROW_BYTES: usize = 400;

/// What keeps columns of plain text apart.
const COLUMN_GAP: &str = "   ";

/// What stands in front of the items of a list.
pub(crate) const BULLETS: [char; 10] = ['-', '–', '•', '*', '·', '▪', '●', '○', '☐', '◦'];

/// Splits `text` into sentences: spans of `text` in order, trimmed, not empty, not overlapping. Citation
/// markers right after a full stop belong to the sentence before it.
pub(crate) fn sentences(text: &str, lines: Lines) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        let end = match c {
            '.' | '!' | '?' | '…' | '。' | '！' | '？' => after_terminator(text, start, at, next),
            '\n' => line_ends_sentence(text, start, at, lines).then_some(next),
            _ => None,
        };
        match end {
            Some(end) => {
                push(text, start, end, &mut spans);
                start = end;
                at = end.max(next);
            }
            None => at = next,
        }
    }
    push(text, start, text.len(), &mut spans);
    spans
}

/// Says whether `text` ends with a finished sentence rather than with an abbreviation or in mid-sentence.
pub(crate) fn is_finished(text: &str) -> bool {
    let trimmed = text.trim_end().trim_end_matches(is_closer);
    match trimmed.chars().next_back() {
        Some('!' | '?' | '…') => true,
        Some('.') => !stop_is_inner(trimmed, 0, trimmed.len() - 1),
        _ => false,
    }
}

/// [`is_finished`], when `next` is what would be written next: a full stop may lie within a word, as in `1.` of `1.435`, `admin.`
/// of `admin.ch`, or the ordinal of `1. Januar`.
pub(crate) fn is_finished_before(text: &str, next: &[u8]) -> bool {
    let within = text.strip_suffix('.').is_some_and(|before| match next.first() {
        Some(b' ') => is_ordinal(last_word(before)) && !next.starts_with(b" ["),
        Some(byte) => byte.is_ascii_alphanumeric(),
        None => false,
    });
    !within && is_finished(text)
}

/// Where the sentence ends when the terminator at `at` ends one.
fn after_terminator(text: &str, start: usize, at: usize, next: usize) -> Option<usize> {
    let mut end = next;
    while let Some(c) = text[end..].chars().next().filter(|&c| is_closer(c) || matches!(c, '.' | '!' | '?')) {
        end += c.len_utf8();
    }
    end = after_markers(text, after_spaced_closer(text, end));
    let rest = &text[end..];
    // A full stop in a cell ends nothing: `Spittelgasse 2, Zi. 16`.
    if !rest.trim_start_matches([' ', '\r']).starts_with('\n') && is_one_row(line_at(text, start, at)) {
        return None;
    }
    let Some(following) = rest.chars().next() else { return Some(end) };
    let full_width = matches!(text[at..].chars().next(), Some('。' | '！' | '？'));
    if !following.is_whitespace() && !full_width {
        return None;
    }
    let opens = rest.trim_start().chars().next();
    if opens.is_some_and(char::is_lowercase) {
        return None;
    }
    let is_stop = text[at..].starts_with('.');
    (!(is_stop && stop_is_inner(text, start, at))).then_some(end)
}

/// Moves past a closing guillemet that stands off, as French sets it: `Allez. » Il part.`
fn after_spaced_closer(text: &str, end: usize) -> usize {
    let rest = &text[end..];
    let trimmed = rest.trim_start_matches([' ', '\u{a0}', '\u{202f}']);
    match trimmed.strip_prefix('»') {
        Some(after) if !after.starts_with(char::is_alphanumeric) => text.len() - after.len(),
        _ => end,
    }
}

/// Moves past citation markers, each with the space before it.
fn after_markers(text: &str, mut end: usize) -> usize {
    loop {
        let rest = &text[end..];
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let inner = rest[spaces..].strip_prefix('[');
        let close = inner.and_then(|inner| inner.find(']').map(|close| (inner, close)));
        match close {
            Some((inner, close))
                if close > 0 && inner[..close].chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | ' ' | ';')) =>
            {
                end += spaces + close + 2;
            }
            _ => return end,
        }
    }
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '“' | '’' | '»' | '«' | '›' | ')')
}

/// Says whether the full stop at `at` belongs to the word before it: an abbreviation, an initial, an ordinal.
fn stop_is_inner(text: &str, start: usize, at: usize) -> bool {
    let before = &text[start.min(at)..at];
    let word = last_word(before);
    if word.is_empty() {
        return false;
    }
    let mut chars = word.chars();
    let single_letter = chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none();
    let dotted = word.contains('.') && word.split('.').all(|part| part.chars().count() <= 2 && !part.is_empty());
    let at_end = text[at + 1..].trim().is_empty();
    single_letter
        || dotted && word.chars().any(char::is_alphabetic)
        || (is_ordinal(word) || is_long_ordinal(word, before)) && !at_end
        || is_abbreviation(word)
        || before.ends_with("ad es")
}

/// The word that `text` ends with, without what opens before it.
fn last_word(text: &str) -> &str {
    let start = text.rfind(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '«' | '„' | '"' | '’' | '\''));
    text[start.unwrap_or(0)..].trim_start_matches(|c: char| !c.is_alphanumeric())
}

/// Says whether a full stop after `word` makes it an ordinal when something follows.
fn is_ordinal(word: &str) -> bool {
    (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Says whether a full stop after `word`, with which `before` ends, makes it an ordinal of three digits: `ab der 101. Seite`. Without
/// the article it may end a sentence.
fn is_long_ordinal(word: &str, before: &str) -> bool {
    const ARTICLES: [&str; 10] = ["der", "die", "das", "dem", "den", "des", "vom", "zum", "zur", "beim"];
    word.len() == 3
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && ARTICLES.contains(&last_word(before[..before.len() - word.len()].trim_end()))
}

fn is_abbreviation(word: &str) -> bool {
    let word = word.to_lowercase();
    ABBREVIATIONS.contains(&word.as_str())
}

/// Abbreviations that are followed by something. Those that may also end a sentence (usw., etc.) are left
/// out: a sentence too many is better than two facts in one citation.
const ABBREVIATIONS: &[&str] = &[
    // law
    "art", "artt", "abs", "ziff", "bst", "lit", "let", "al", "cpv", "cf", "vgl", "nr", "nrn", "no", "n°", "ch", "par",
    "kap", "rz", "rn", "fn", "bd", "hrsg", "aufl", "ff", "bzw", "resp", "sog", "gem", "ggf", "evtl", "inkl", "exkl",
    "insb", "betr", "dgl", "sec", "sect", "seq", "bge", "lett", "segg", // persons
    "dr", "prof", "hr", "fr", "frl", "dipl", "ing", "med", "jur", "phil", "pharm", "dent", "vet", "iur", "oec", "sc",
    "nat", "rer", "lic", "mr", "mrs", "ms", "mme", "mlle", "mm", "me", "st", "ste", "sig", "sigg", "dott", "avv", "on",
    "jr", "sr", "rev", "gen", "col", "lt", "capt", "sen", "gov", // quantities and places in a text
    "ca", "mio", "mia", "mrd", "mind", "max", "min", "approx", "env", "circa", "ed", "eds", "vol", "fig", "tab", "abb",
    "pag", "pp", "vs", "inc", "ltd", "corp", "tel", "str", "av", "bd", "kt", "jh", "jhdt", "geb", "gest", "ehem",
    "chr", "zw", "jan", "feb", "febr", "apr", "aug", "sept", "okt", "oct", "nov", "dez", "dec", "déc", "janv", "févr",
    "avr", "juil",
];

fn line_ends_sentence(text: &str, start: usize, at: usize, lines: Lines) -> bool {
    if lines == Lines::Meant {
        return true;
    }
    let following = &text[at + 1..];
    let line = line_at(text, start, at).trim();
    let next_line = following.trim_start_matches([' ', '\r']);
    let next = next_line.chars().next();
    let bullet = next.is_some_and(|c| BULLETS.contains(&c));
    let item = next_line.split_once(['.', ')']).is_some_and(|(number, _)| {
        !number.is_empty() && number.len() <= 2 && number.chars().all(|c| c.is_ascii_alphanumeric())
    });
    let heading =
        line.len() < HEADING_BYTES && !line.ends_with([',', '-', ';']) && next.is_some_and(char::is_uppercase);
    matches!(next, Some('\n') | None)
        || bullet
        || item
        || heading
        || is_one_row(line)
        || is_one_row(following.lines().next().unwrap_or_default())
}

/// The line in which the byte `at` stands, from the sentence's `start` on.
fn line_at(text: &str, start: usize, at: usize) -> &str {
    let line = text[start..at].rfind('\n').map_or(start, |end| start + end + 1);
    &text[line..text[at..].find('\n').map_or(text.len(), |end| at + end)]
}

/// Says whether a line is a row to be left whole: of a table, or of columns that spaces keep apart in two places. Long ones are
/// running text that was laid out with a table.
fn is_one_row(line: &str) -> bool {
    let line = line.trim();
    let gaps = || line.split(COLUMN_GAP).filter(|cell| !cell.trim().is_empty()).count() - 1;
    line.len() <= ROW_BYTES && (is_row(line) || line.contains(COLUMN_GAP) && gaps() >= 2)
}

/// Adds the trimmed span, cut into readable pieces when it is very long.
fn push(text: &str, start: usize, end: usize, spans: &mut Vec<Span>) {
    let slice = &text[start..end];
    let start = start + (slice.len() - slice.trim_start().len());
    let end = start + slice.trim().len();
    if start >= end {
        return;
    }
    if end - start <= MAX_BYTES {
        spans.push(Span::new(start, end));
        return;
    }
    let limit = text.floor_char_boundary(start + MAX_BYTES);
    let window = &text[start..limit];
    let cut = window.rfind('\n').or_else(|| window.rfind("; ").map(|at| at + 1)).or_else(|| window.rfind(' '));
    let cut = start + cut.filter(|&cut| cut > 0).unwrap_or(window.len());
    push(text, start, cut, spans);
    push(text, cut, end, spans);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text, Lines::Wrapped).iter().map(|span| span.of(text).unwrap()).collect()
    }

    #[test]
    fn abbreviations_end_nothing() {
        for text in [
            "Gemäss Art. 5 Abs. 2 lit. a DSG gilt dies, z.B. für Dr. Muster.",
            "Am 5. März 2024 trat der 19. Bundesrat, vgl. Nr. 7, zurück.",
            "Selon M. Dupont, l'art. 3 al. 2 de la loi s'applique (cf. ch. 4).",
            "La Rossi S.p.A. paga 1.250,50 euro ai sensi dell'art. 12 cpv. 3.",
            "J. F. Kennedy and Mr. Smith met at 3.5 km from the U.S. border.",
            "Es kostet ca. Fr. 12.50 pro Stück.",
            "Una tazza, ad es. Oedogonium, va bene.",
        ] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn sentences_end_where_they_end() {
        let text = "Die Frist beträgt 30 Tage. Sie beginnt 2024. Gilt das? Ja! «Und jetzt.» Nein …";
        let expected =
            ["Die Frist beträgt 30 Tage.", "Sie beginnt 2024.", "Gilt das?", "Ja!", "«Und jetzt.»", "Nein …"];
        assert_eq!(split(text), expected);
    }

    #[test]
    fn guillemets_that_stand_off_close_the_sentence() {
        let text = "Il dit : « Allez. » Puis il part. Er sagte es. »Gut«, sagte sie.";
        assert_eq!(split(text), ["Il dit : « Allez. »", "Puis il part.", "Er sagte es.", "»Gut«, sagte sie."]);
    }

    #[test]
    fn markers_belong_to_the_sentence_before() {
        let text = "Dreissig Tage. [1] [2, 3] Danach verfällt es [4]. Ende.[1]";
        assert_eq!(split(text), ["Dreissig Tage. [1] [2, 3]", "Danach verfällt es [4].", "Ende.[1]"]);
    }

    #[test]
    fn wrapped_lines_are_joined_and_structure_is_not() {
        let text = "Titel der Sache\nDie Mitglieder des Bundesrates werden auf vier\nJahre gewählt.\n- erstens\n- zweitens\n\nDanach";
        let expected = [
            "Titel der Sache",
            "Die Mitglieder des Bundesrates werden auf vier\nJahre gewählt.",
            "- erstens",
            "- zweitens",
            "Danach",
        ];
        assert_eq!(split(text), expected);
    }

    #[test]
    fn a_row_is_one_sentence() {
        let directory = "Name\tBüro\tPensum\nBernasconi\tSpittelgasse 2, Zi. 16\t50 %. Fest.\nKeller\tRathaus\t";
        assert_eq!(split(directory), directory.lines().map(str::trim).collect::<Vec<_>>());
        let plain = "Die Masse der Zonen nach dem Anhang sind wie\nfolgt festgelegt:\nZone           Fassade   Ziffer\nW2 Wohnzone    7,0 m     0,30\nK  Kernzone    11,5 m    keine\nAlles gilt.";
        let expected = [
            "Die Masse der Zonen nach dem Anhang sind wie\nfolgt festgelegt:",
            "Zone           Fassade   Ziffer",
            "W2 Wohnzone    7,0 m     0,30",
            "K  Kernzone    11,5 m    keine",
            "Alles gilt.",
        ];
        assert_eq!(split(plain), expected);
        assert_eq!(split("Ein Satz.   Noch einer.").len(), 2, "one gap makes no row");
    }

    #[test]
    fn spans_are_ordered_trimmed_and_short_enough() {
        let long = "Wort ".repeat(1_000) + "Ende.\t\n äöü. ß";
        let spans = sentences(&long, Lines::Wrapped);
        assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
        for span in &spans {
            let piece = span.of(&long).unwrap();
            assert_eq!(piece, piece.trim());
            assert!(!piece.is_empty() && piece.len() <= MAX_BYTES);
        }
    }

    #[test]
    fn finished_or_not() {
        for text in ["Es gilt.", "Wirklich?", "«Ja.»", "Es gilt. "] {
            assert!(is_finished(text), "{text}");
        }
        for text in ["gemäss Art.", "am 5", "z.B.", "Es gilt", "", "Dr."] {
            assert!(!is_finished(text), "{text}");
        }
    }
}
