//! From lines to blocks: paragraphs, headings, list items, running lines.

use std::collections::{BTreeMap, HashMap};

use fontes_core::BlockKind;

use super::{
    fields::Note,
    lines::{self, Line, PlacedWord},
};
use crate::recognised::{self, RecognisedWord};

/// What stands on a page.
#[derive(Debug)]
pub(super) struct PageContent {
    /// Width and height as displayed.
    pub size: (f32, f32),
    /// Degrees by which the file turns it.
    pub rotation: u16,
    /// Lines in reading order.
    pub lines: Vec<Line>,
    /// Fields and comments.
    pub notes: Vec<Note>,
    /// For recognised pages, how sure recognition is, 0 to 1.
    pub confidence: Option<f32>,
    /// Recognition found something, too unsure to be kept.
    pub unsure: bool,
}

impl PageContent {
    /// An upright page with its lines.
    pub fn new(size: (f32, f32), lines: Vec<Line>) -> Self {
        Self { size, rotation: 0, lines, notes: Vec::new(), confidence: None, unsure: false }
    }

    /// Puts what recognition read in the place of the page's own text, unless it is unsure of it.
    pub fn replace_by(&mut self, words: &[RecognisedWord]) {
        let Some(sure) = recognised::confidence(words) else { return };
        if sure < recognised::UNSURE {
            self.unsure = true;
        } else {
            self.confidence = Some(sure);
            self.lines = lines::from_recognised(words);
        }
    }

    /// Says whether the page's content has no text.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// A block and its rectangle.
#[derive(Debug, PartialEq)]
pub(super) struct TextBlock {
    pub kind: BlockKind,
    pub text: String,
    /// The words of the text in order; halves of a word parted at a line end follow each other.
    pub words: Vec<PlacedWord>,
    pub area: (f32, f32, f32, f32),
}

/// What is usual in a document: sizes and leading that tell headings and paragraphs, and lines that repeat
/// from page to page.
#[derive(Debug)]
pub(super) struct Style {
    /// Size of most characters, in half points.
    body: i32,
    /// Larger sizes in use, largest first, in half points.
    headings: Vec<i32>,
    /// Whether heavy lines of the body's size stand out: not when most of the text is heavy.
    bold_stands_out: bool,
    /// Usual distance of baselines, as a multiple of the font size.
    leading: f32,
    /// Lines at the edge of pages that come again, digits made equal.
    running: HashMap<String, usize>,
    pages: usize,
}

/// A size this much over the body's is a heading's.
const HEADING_RATIO: f32 = 1.12;

/// A size that more than this share of the text has is no heading's.
const HEADING_SHARE: f32 = 0.2;

/// Share of the page height at top and bottom where running lines stand.
const EDGE: f32 = 0.09;

#[expect(clippy::cast_possible_truncation, reason = "font sizes in half points fit i32; casts saturate")]
fn half_points(size: f32) -> i32 {
    (size * 2.0).round() as i32
}

impl Style {
    /// Measures a document.
    pub fn of(pages: &[PageContent]) -> Self {
        let mut sizes: BTreeMap<i32, usize> = BTreeMap::new();
        let mut leadings: BTreeMap<i32, usize> = BTreeMap::new();
        let mut running: HashMap<String, usize> = HashMap::new();
        let mut bold = 0;
        for page in pages {
            for line in &page.lines {
                *sizes.entry(half_points(line.size)).or_default() += line.text.len();
                bold += if line.bold { line.text.len() } else { 0 };
            }
            for pair in page.lines.windows(2) {
                let step = (pair[1].baseline - pair[0].baseline) / pair[0].size.max(0.5);
                if half_points(pair[0].size) == half_points(pair[1].size) && (0.8..2.6).contains(&step) {
                    // In twentieths of the size.
                    *leadings.entry(half_points(step * 10.0)).or_default() += 1;
                }
            }
            let mut seen: Vec<String> = page.lines.iter().filter_map(|line| edge_key(line, page.size.1)).collect();
            seen.sort_unstable();
            seen.dedup();
            for key in seen {
                *running.entry(key).or_default() += 1;
            }
        }
        let most = |counts: &BTreeMap<i32, usize>| counts.iter().max_by_key(|(_, count)| **count).map(|(key, _)| *key);
        let body = most(&sizes).unwrap_or(20);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (limit, leading) =
            (body as f32 * HEADING_RATIO, most(&leadings).map_or(1.2, |twentieths| twentieths as f32 / 20.0));
        let total: usize = sizes.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let is_heading = |size: i32, count: usize| size as f32 > limit && count as f32 <= HEADING_SHARE * total as f32;
        let headings =
            sizes.iter().rev().filter(|(size, count)| is_heading(**size, **count)).map(|(size, _)| *size).collect();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let bold_stands_out = bold as f32 <= HEADING_SHARE * total as f32;
        Self { body, headings, bold_stands_out, leading, running, pages: pages.len() }
    }

    /// The level of a heading set in this size: by size first, below that what is heavy.
    fn heading_level(&self, size: f32, bold: bool) -> Option<u8> {
        let size = half_points(size);
        let level = |rank: usize| Some(u8::try_from(rank + 1).unwrap_or(6).min(6));
        match self.headings.iter().position(|heading| *heading == size) {
            Some(rank) if size > self.body => level(rank),
            _ if bold && self.bold_stands_out && size >= self.body => level(self.headings.len()),
            _ => None,
        }
    }

    fn is_running(&self, line: &Line, height: f32) -> bool {
        let Some(key) = edge_key(line, height) else { return false };
        if is_page_number(&key) {
            return true;
        }
        let count = self.running.get(&key).copied().unwrap_or(0);
        count >= 3 && count * 7 >= self.pages
    }
}

/// For a line at the edge of the page, its text with digits made equal and the edge.
fn edge_key(line: &Line, height: f32) -> Option<String> {
    let (_, top, _, bottom) = line.area;
    let edge = match () {
        () if bottom < height * EDGE => "top ",
        () if top > height * (1.0 - EDGE) => "bottom ",
        () => return None,
    };
    let mut key = String::from(edge);
    for c in line.text.chars().flat_map(char::to_lowercase) {
        match c.is_numeric() {
            true if key.ends_with('#') => {}
            true => key.push('#'),
            false => key.push(c),
        }
    }
    Some(key)
}

fn is_page_number(key: &str) -> bool {
    let text = key.split_once(' ').map_or("", |(_, text)| text);
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '#').filter(|word| !word.is_empty());
    let mut numbers = 0;
    for word in words {
        match word {
            "#" => numbers += 1,
            "page" | "seite" | "pagina" | "p" | "s" | "of" | "von" | "de" | "sur" | "di" | "su" => {}
            _ => return false,
        }
    }
    (1..=2).contains(&numbers)
}

/// Groups a page's lines into blocks.
pub(super) fn blocks(page: &PageContent, style: &Style) -> Vec<TextBlock> {
    let mut blocks = Vec::new();
    let mut open: Vec<&Line> = Vec::new();
    for line in &page.lines {
        let running = style.is_running(line, page.size.1);
        if running || !open.is_empty() && !continues(&open, line, style) {
            finish(&mut blocks, &mut open, style);
        }
        if running {
            let (text, words) = (line.text.clone(), line.words.clone());
            blocks.push(TextBlock { kind: BlockKind::Furniture, text, words, area: line.area });
        } else {
            open.push(line);
        }
    }
    finish(&mut blocks, &mut open, style);
    blocks
}

/// Says whether `next` belongs to the paragraph of the `open` lines.
fn continues(open: &[&Line], next: &Line, style: &Style) -> bool {
    let Some(last) = open.last() else { return true };
    if let (Some(last), Some(next)) = (last.paragraph, next.paragraph) {
        return last == next;
    }
    let size = last.size.max(next.size);
    let step = next.baseline - last.baseline;
    let left = open.iter().map(|line| line.start).fold(f32::MAX, f32::min);
    let right = open.iter().map(|line| line.end).fold(f32::MIN, f32::max);
    let together = last.direction == next.direction
        && (last.size - next.size).abs() <= 0.12 * size
        && step > 0.3 * size
        && step <= (style.leading * 1.15).max(1.3) * size
        && next.start < right
        && next.end > left
        && !(style.bold_stands_out && last.bold != next.bold)
        && !starts_item(&next.text)
        && !starts_numbered(&next.text);
    if !together {
        return false;
    }
    if open.len() < 2 {
        // The second line may be indented (hanging) or not (first line indented): both go on, unless the
        // first was so short that it ended something.
        return last.end - last.start > 0.45 * (next.end - next.start) || !ends_sentence(&last.text);
    }
    let indent = next.start - last.start;
    let short = last.end < right - 0.35 * (right - left);
    indent.abs() <= 0.8 * size && !(short && ends_sentence(&last.text))
}

fn ends_sentence(text: &str) -> bool {
    text.ends_with(['.', '!', '?', ':', ';', '。', '؟'])
}

/// Says whether a line opens a list item: a bullet, or a number or letter with a mark behind.
fn starts_item(text: &str) -> bool {
    if bullet(text).is_some() {
        return true;
    }
    let Some((mark, rest)) = text.split_once(' ') else { return false };
    let label = mark.trim_start_matches('(').trim_end_matches(['.', ')', '°', 'º']);
    mark.len() > label.len()
        && !rest.is_empty()
        && mark.ends_with(['.', ')', '°', 'º'])
        && (label.len() == 1 && label.chars().all(char::is_alphabetic)
            || (1..=3).contains(&label.len()) && label.chars().all(|c| c.is_ascii_digit()))
}

/// Says whether a line opens a paragraph with a raised number, as statutes number theirs.
fn starts_numbered(text: &str) -> bool {
    let rest = text.trim_start_matches(['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹']);
    rest.len() < text.len() && rest.trim_start().starts_with(|c: char| c.is_alphabetic())
}

fn bullet(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['•', '▪', '◦', '●', '■', '‣', '⁃', '·', '\u{F0B7}', '\u{F0A7}', '–', '▸', '➢'])?;
    (rest.starts_with(' ') || text.starts_with(['•', '\u{F0B7}', '\u{F0A7}'])).then(|| rest.trim_start())
}

/// Ends the open block.
fn finish(blocks: &mut Vec<TextBlock>, open: &mut Vec<&Line>, style: &Style) {
    let (Some(first), Some(last)) = (open.first(), open.last()) else { return };
    let mut area = first.area;
    for line in open.iter() {
        let (x0, y0, x1, y1) = line.area;
        area = (area.0.min(x0), area.1.min(y0), area.2.max(x1), area.3.max(y1));
    }
    let (mut text, words) = joined(open);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let larger = half_points(first.size.min(last.size)) > style.body;
    // What is only heavy may be a sentence; a heading does not end like one.
    let heading = style.heading_level(first.size.min(last.size), open.iter().all(|line| line.bold));
    let heading = heading.filter(|_| larger || !text.ends_with(['.', ';', ',']));
    let kind = match heading {
        Some(level) if open.len() <= 3 && letters >= 2 && text.chars().count() <= 200 => BlockKind::Heading(level),
        _ if bullet(&text).is_some() => {
            text = format!("- {}", bullet(&text).unwrap_or_default());
            BlockKind::ListItem
        }
        _ if starts_item(&text) => BlockKind::ListItem,
        _ => BlockKind::Paragraph,
    };
    blocks.push(TextBlock { kind, text, words, area });
    open.clear();
}

/// Joins lines: running text flows, hyphenation is undone; short lines (addresses, tables) stay lines.
fn joined(lines: &[&Line]) -> (String, Vec<PlacedWord>) {
    let left = lines.iter().map(|line| line.start).fold(f32::MAX, f32::min);
    let right = lines.iter().map(|line| line.end).fold(f32::MIN, f32::max);
    let reach = left + 0.72 * (right - left);
    let before_last = &lines[..lines.len().saturating_sub(1)];
    let full = before_last.iter().filter(|line| line.end >= reach).count();
    let flows = full * 2 >= before_last.len();
    let (mut text, mut words) = (String::new(), Vec::new());
    for line in lines {
        match junction(&text, &line.text, flows) {
            Junction::Blank(blank) => text.extend(blank),
            Junction::Hyphen => {
                text.pop();
                if let Some(PlacedWord { text, .. }) = words.last_mut() {
                    text.pop();
                }
            }
        }
        text.push_str(&line.text);
        words.extend_from_slice(&line.words);
    }
    (text, words)
}

/// What stands between two lines once they are joined.
enum Junction {
    /// A blank, a line end, or nothing.
    Blank(Option<char>),
    /// The hyphen that ended the first line goes.
    Hyphen,
}

/// Says how a line joins flowing (or line-wise) text.
fn junction(text: &str, line: &str, flows: bool) -> Junction {
    let mut back = text.chars().rev();
    let Some(last) = back.next() else { return Junction::Blank(None) };
    let before = back.next().unwrap_or(' ');
    let first = line.chars().next().unwrap_or(' ');
    let word: String = line.chars().take_while(|c| c.is_alphabetic()).collect();
    match last {
        '\u{AD}' => Junction::Hyphen,
        '-' if before.is_alphabetic() && first.is_lowercase() && !joins_compounds(&word) => Junction::Hyphen,
        '-' if before.is_alphanumeric() && first.is_alphanumeric() && !joins_compounds(&word) => Junction::Blank(None),
        last if flows && is_cjk(last) && is_cjk(first) => Junction::Blank(None),
        _ => Junction::Blank(Some(if flows { ' ' } else { '\n' })),
    }
}

/// Words before which a hyphen at the line end stands for a shared part: "Ein- und Ausgang".
fn joins_compounds(word: &str) -> bool {
    matches!(word, "und" | "oder" | "bzw" | "sowie" | "bis" | "et" | "ou" | "and" | "or" | "e" | "o" | "ed")
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, start: f32, end: f32, baseline: f32, size: f32) -> Line {
        let area = (start, baseline - size * 0.75, end, baseline + size * 0.25);
        Line { text: text.into(), area, start, end, baseline, size, ..Line::default() }
    }

    fn page(lines: Vec<Line>) -> PageContent {
        PageContent::new((600.0, 800.0), lines)
    }

    fn texts(pages: &[PageContent], index: usize) -> Vec<(BlockKind, String)> {
        let style = Style::of(pages);
        blocks(&pages[index], &style).into_iter().map(|block| (block.kind, block.text)).collect()
    }

    #[test]
    fn paragraphs_end_at_gaps_and_hyphenation_is_undone() {
        let pages = [page(vec![
            line("Bericht", 50.0, 120.0, 100.0, 18.0),
            line("Die Kündi-", 50.0, 300.0, 140.0, 10.0),
            line("gung der Ein-", 50.0, 300.0, 152.0, 10.0),
            line("und Ausgänge an der Nord-", 50.0, 300.0, 164.0, 10.0),
            line("Süd-Achse endet.", 50.0, 150.0, 176.0, 10.0),
            line("Neuer Absatz", 50.0, 290.0, 200.0, 10.0),
            line("geht weiter.", 50.0, 100.0, 212.0, 10.0),
            line("• Punkt", 50.0, 100.0, 224.0, 10.0),
        ])];
        let expected = [
            (BlockKind::Heading(1), "Bericht"),
            (BlockKind::Paragraph, "Die Kündigung der Ein- und Ausgänge an der Nord-Süd-Achse endet."),
            (BlockKind::Paragraph, "Neuer Absatz geht weiter."),
            (BlockKind::ListItem, "- Punkt"),
        ];
        assert_eq!(texts(&pages, 0), expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn articles_of_a_statute_are_headings_and_numbered_paragraphs() {
        let bold = |line: Line| Line { bold: true, ..line };
        let pages = [page(vec![
            bold(line("Art. 1 Gegenstand", 50.0, 150.0, 100.0, 10.0)),
            line("¹ Dieses Gesetz regelt die Aufgaben und die Organisation.", 50.0, 300.0, 112.0, 10.0),
            line("² Es gilt für alle Stellen der Verwaltung und für", 50.0, 300.0, 124.0, 10.0),
            line("Dritte, soweit sie Aufgaben übernehmen.", 50.0, 250.0, 136.0, 10.0),
        ])];
        let expected = [
            (BlockKind::Heading(1), "Art. 1 Gegenstand"),
            (BlockKind::Paragraph, "¹ Dieses Gesetz regelt die Aufgaben und die Organisation."),
            (
                BlockKind::Paragraph,
                "² Es gilt für alle Stellen der Verwaltung und für Dritte, soweit sie Aufgaben übernehmen.",
            ),
        ];
        assert_eq!(texts(&pages, 0), expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn addresses_keep_their_lines() {
        let pages = [page(vec![
            line("Universität", 50.0, 110.0, 100.0, 10.0),
            line("Straße 1", 50.0, 90.0, 112.0, 10.0),
            line("8000 Zürich, Schweiz, Kontinent", 50.0, 300.0, 124.0, 10.0),
        ])];
        assert_eq!(texts(&pages, 0)[0].1, "Universität\nStraße 1\n8000 Zürich, Schweiz, Kontinent");
    }

    #[test]
    fn lines_that_repeat_at_the_edge_are_furniture() {
        let pages: Vec<PageContent> = (1..=4)
            .map(|number| {
                page(vec![
                    line("Bundesgesetz", 50.0, 120.0, 30.0, 9.0),
                    line(&format!("Inhalt {number}"), 50.0, 120.0, 400.0, 10.0),
                    line(&format!("{number} / 4"), 280.0, 300.0, 780.0, 9.0),
                ])
            })
            .collect();
        let kinds: Vec<BlockKind> = texts(&pages, 2).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [BlockKind::Furniture, BlockKind::Paragraph, BlockKind::Furniture]);
    }
}
