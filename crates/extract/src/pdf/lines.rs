//! From characters to lines.
//!
//! Characters that follow each other on one baseline form a line, in the order in which the page draws them:
//! programs draw columns, boxes and table rows one after the other, and that order is the best hint of
//! reading order there is. Texts that lie over each other become lines of their own ([`runs`]). Within a line,
//! characters are put in order of place, and right-to-left runs in logical order.

use super::{Glyph, runs, words::words};
use crate::RecognisedWord;

/// A word of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlacedWord {
    pub text: String,
    /// Left, top, right, bottom on the displayed page.
    pub area: (f32, f32, f32, f32),
    /// How sure a recognised word is, in percent.
    pub confidence: Option<u8>,
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// Its words, separated by single blanks.
    pub text: String,
    /// The same words with their places.
    pub words: Vec<PlacedWord>,
    /// Left, top, right, bottom on the displayed page.
    pub area: (f32, f32, f32, f32),
    /// Along the writing direction: start, end; across it: baseline, growing downwards.
    pub start: f32,
    pub end: f32,
    pub baseline: f32,
    /// Writing direction in steps of 5 degrees, 0 = to the right.
    pub direction: i32,
    /// Largest font size on it.
    pub size: f32,
    /// All of it is set in a heavy font.
    pub bold: bool,
    /// The paragraph it belongs to, where that is known beforehand.
    pub paragraph: Option<u32>,
}

/// Baselines closer than this share of the font size are one line, wherever on it the next character is.
const SAME_BASELINE: f32 = 0.12;

/// Sub- and superscripts are shifted by at most this share of the larger size, and less than their own size,
/// and stand right behind what they belong to.
const BASELINE_SHIFT: f32 = 0.45;

/// A second drawing of a character, for boldness, is off by less than this share of the font size.
pub(super) const COPY_OFFSET: f32 = 0.12;

/// Lines of a page that go up instead of down beyond this share show that it is drawn in no reading order.
const UPWARD_SHARE: f32 = 0.35;

/// A character in coordinates of its writing direction.
pub(super) struct Placed<'g> {
    pub glyph: &'g Glyph,
    pub start: f32,
    pub end: f32,
    pub baseline: f32,
    direction: i32,
    /// Font size; a blank much larger than what it stands behind has the size of that, for programs make
    /// vertical space with blanks of any size.
    pub size: f32,
}

impl<'g> Placed<'g> {
    fn new(glyph: &'g Glyph) -> Self {
        let (dx, dy, size) = (glyph.to.0 - glyph.from.0, glyph.to.1 - glyph.from.1, glyph.size);
        // Nearly all text runs to the right: no trigonometry for it.
        if dx > 0.0 && dy.abs() < 0.01 * dx {
            return Self { glyph, start: glyph.from.0, end: glyph.to.0, baseline: glyph.from.1, direction: 0, size };
        }
        // Steps of five degrees: skewed scans stay with the horizontal text they belong to.
        #[expect(clippy::cast_possible_truncation, reason = "an angle in steps is between -36 and 36")]
        let direction = (dy.atan2(dx).to_degrees() / 5.0).round() as i32;
        let direction = if direction == -36 { 36 } else { direction };
        let (sin, cos) = step_angle(direction).sin_cos();
        let along = |(x, y): (f32, f32)| x * cos + y * sin;
        let baseline = glyph.from.1 * cos - glyph.from.0 * sin;
        Self { glyph, start: along(glyph.from), end: along(glyph.to), baseline, direction, size }
    }

    /// Says whether it leaves no ink.
    pub fn is_blank(&self) -> bool {
        self.glyph.text.trim().is_empty()
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 36 steps")]
fn step_angle(direction: i32) -> f32 {
    (direction as f32 * 5.0).to_radians()
}

/// Builds the lines of a page. Text in the page's main direction comes first, then other directions.
pub(super) fn build(glyphs: &[Glyph]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Vec<Placed<'_>> = Vec::new();
    for glyph in glyphs {
        let mut placed = Placed::new(glyph);
        // The blank behind a raised mark has the size of the text to come.
        if let Some(last) = open.last().filter(|last| placed.is_blank() && placed.size > 2.0 * last.size) {
            placed.size = last.size;
        }
        if !open.is_empty() && !continues(&open, &placed) {
            // Programs draw blanks anywhere between the characters of a line.
            if placed.is_blank() {
                continue;
            }
            finish(&mut lines, &mut open);
        }
        // Blanks at the start of a line say nothing about its place.
        if !(open.is_empty() && placed.is_blank()) {
            open.push(placed);
        }
    }
    finish(&mut lines, &mut open);
    let main = main_direction(&lines);
    let (mut first, others): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| line.direction == main);
    if is_scattered(&first) {
        // Row by row is the best that is left: forms are drawn bottom up or field by field.
        first.sort_by(|a, b| row(a).cmp(&row(b)).then(a.start.total_cmp(&b.start)));
    }
    first.extend(others);
    first
}

/// Recognised lines whose height is within this share of the usual are set in the usual size: heights differ
/// with the letters a line happens to have.
const SAME_HEIGHT: f32 = 0.3;

/// Puts recognised words into lines, in the order of recognition, which knows columns.
pub(super) fn from_recognised(words: &[RecognisedWord]) -> Vec<Line> {
    let heights = |words: &[RecognisedWord]| {
        let mut heights: Vec<f32> = words.iter().map(|word| word.area[3] - word.area[1]).collect();
        heights.sort_by(f32::total_cmp);
        heights.get(heights.len() / 2).copied().unwrap_or(10.0)
    };
    let usual = heights(words);
    let mut lines = Vec::new();
    for line in words.chunk_by(|a, b| a.line == b.line) {
        let height = heights(line);
        let size = if (height / usual - 1.0).abs() <= SAME_HEIGHT { usual } else { height };
        let words: Vec<PlacedWord> = line
            .iter()
            .map(|word| PlacedWord {
                text: word.text.clone(),
                area: word.area.into(),
                confidence: Some(word.confidence),
            })
            .collect();
        let edge = |of: fn(&[f32; 4]) -> f32, pick: fn(f32, f32) -> f32| {
            line.iter().map(|word| of(&word.area)).reduce(pick).unwrap_or_default()
        };
        let area =
            (edge(|a| a[0], f32::min), edge(|a| a[1], f32::min), edge(|a| a[2], f32::max), edge(|a| a[3], f32::max));
        lines.push(Line {
            text: words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
            words,
            area,
            start: area.0,
            end: area.2,
            baseline: area.3 - 0.2 * size,
            direction: 0,
            size,
            bold: false,
            paragraph: line.first().map(|word| word.paragraph),
        });
    }
    lines
}

/// Says whether lines follow each other in no reading order. A new column or a box is one step up in many.
fn is_scattered(lines: &[Line]) -> bool {
    let steps = lines.len().saturating_sub(1);
    let up = lines.windows(2).filter(|pair| pair[1].baseline < pair[0].baseline - 0.5 * pair[0].size).count();
    #[expect(clippy::cast_precision_loss, reason = "lines of a page")]
    let share = up as f32 / steps.max(1) as f32;
    steps >= 6 && share > UPWARD_SHARE
}

/// The row a line stands in: baselines within three points are one.
#[expect(clippy::cast_possible_truncation, reason = "casts saturate, far outside any page")]
fn row(line: &Line) -> i32 {
    (line.baseline / 3.0).round() as i32
}

fn main_direction(lines: &[Line]) -> i32 {
    let weight = |direction: i32| -> usize {
        lines.iter().filter(|line| line.direction == direction).map(|line| line.text.len()).sum()
    };
    let mut directions: Vec<i32> = lines.iter().map(|line| line.direction).collect();
    directions.sort_unstable();
    directions.dedup();
    directions.into_iter().max_by_key(|direction| weight(*direction)).unwrap_or(0)
}

/// Says whether `next` stands on the line being built.
fn continues(open: &[Placed<'_>], next: &Placed<'_>) -> bool {
    let Some(last) = open.last() else { return true };
    // A shifted character is compared with its neighbours, one of which stands on the line itself.
    let recent = || open.iter().rev().take(4);
    let size = recent().map(|placed| placed.size).fold(next.size, f32::max);
    let gap = next.start - last.end;
    let beside = gap > -0.4 * size && gap < size;
    let level = |placed: &Placed<'_>| {
        let (small, large) = (placed.size.min(next.size), placed.size.max(next.size));
        let shift = (placed.baseline - next.baseline).abs();
        shift <= SAME_BASELINE * large.min(small * 1.5) || beside && shift <= (BASELINE_SHIFT * large).min(small)
    };
    last.direction == next.direction && recent().any(level)
}

/// Ends the open line, which is several where texts lie over each other.
fn finish(lines: &mut Vec<Line>, open: &mut Vec<Placed<'_>>) {
    for part in runs::parted(std::mem::take(open)) {
        lines.extend(line(part));
    }
}

/// Makes a line of characters; `None` when they are blank.
fn line(mut open: Vec<Placed<'_>>) -> Option<Line> {
    while open.last().is_some_and(Placed::is_blank) {
        open.pop();
    }
    let first = open.first()?;
    let direction = first.direction;
    let inked = || open.iter().filter(|placed| !placed.is_blank());
    let size = inked().map(|placed| placed.size).fold(0.0, f32::max);
    // The baseline of the largest characters is the line's own.
    let baseline = inked().find(|placed| placed.size >= size * 0.99).map_or(first.baseline, |p| p.baseline);
    let start = open.iter().map(|placed| placed.start.min(placed.end)).fold(f32::MAX, f32::min);
    let end = open.iter().map(|placed| placed.end.max(placed.start)).fold(f32::MIN, f32::max);
    let area = area(open.iter());
    let bold = inked().all(|placed| placed.glyph.bold);
    let words = words(&mut open, baseline, size);
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(Line {
        text,
        words,
        area,
        start,
        end,
        baseline,
        direction,
        size,
        bold,
        paragraph: None,
    })
}

/// The rectangle around the characters: ascenders reach 0.75, descenders 0.25 of the size.
pub(super) fn area<'p, 'g: 'p>(open: impl Iterator<Item = &'p Placed<'g>>) -> (f32, f32, f32, f32) {
    let mut area = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
    for placed in open.filter(|placed| !placed.is_blank()) {
        let (sin, cos) = step_angle(placed.direction).sin_cos();
        let (up, down) = (placed.size * 0.75, placed.size * 0.25);
        for (x, y) in [placed.glyph.from, placed.glyph.to] {
            for (x, y) in [(x + up * sin, y - up * cos), (x - down * sin, y + down * cos)] {
                area = (area.0.min(x), area.1.min(y), area.2.max(x), area.3.max(y));
            }
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters of `text` from (x, y), half an em each, size 10.
    fn typed(text: &str, x: f32, y: f32) -> Vec<Glyph> {
        let mut at = x;
        text.chars()
            .map(|c| {
                let glyph = Glyph {
                    text: c.to_string(),
                    from: (at, y),
                    to: (at + 5.0, y),
                    size: 10.0,
                    hidden: false,
                    bold: false,
                };
                at += 5.0;
                glyph
            })
            .collect()
    }

    fn texts(glyphs: &[Glyph]) -> Vec<String> {
        build(glyphs).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn gaps_become_blanks_and_baselines_become_lines() {
        let mut glyphs = typed("one", 0.0, 20.0);
        glyphs.extend(typed("two ", 18.0, 20.5));
        glyphs.extend(typed("x", 40.0, 17.0));
        glyphs.extend(typed("next", 0.0, 32.0));
        assert_eq!(texts(&glyphs), ["one two x", "next"]);
        assert_eq!(build(&glyphs)[1].area, (0.0, 24.5, 20.0, 34.5));
    }

    #[test]
    fn text_drawn_out_of_order_or_twice_is_read_once() {
        let mut glyphs = typed("world", 30.0, 20.0);
        glyphs.extend(typed("hello", 0.0, 20.0));
        glyphs.extend(typed("hello", 0.4, 20.0));
        assert_eq!(texts(&glyphs), ["hello world"]);
        // Letter by letter, each drawn twice.
        let twice = typed("bold", 0.0, 20.0).into_iter().flat_map(|glyph| {
            let (from, to) = ((glyph.from.0 + 0.6, glyph.from.1), (glyph.to.0 + 0.6, glyph.to.1));
            [glyph.clone(), Glyph { from, to, ..glyph }]
        });
        assert_eq!(texts(&twice.collect::<Vec<_>>()), ["bold"]);
    }

    #[test]
    fn blanks_of_any_size_join_no_lines() {
        // Programs make vertical space with paragraphs that hold one large blank.
        let mut glyphs = typed("(PTSA) ", 80.0, 125.0);
        glyphs.push(Glyph {
            text: " ".into(),
            from: (80.0, 132.0),
            to: (116.0, 132.0),
            size: 145.0,
            hidden: false,
            bold: false,
        });
        glyphs.extend(typed("of 18 June 2010 ", 80.0, 139.0));
        glyphs.push(Glyph {
            text: " ".into(),
            from: (160.0, 139.0),
            to: (196.0, 139.0),
            size: 145.0,
            hidden: false,
            bold: false,
        });
        let lines = build(&glyphs);
        let found: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.baseline, line.size)).collect();
        assert_eq!(found, [("(PTSA)", 125.0, 10.0), ("of 18 June 2010", 139.0, 10.0)]);
    }

    #[test]
    fn blanks_drawn_elsewhere_end_no_line() {
        let mut glyphs = typed("H", 0.0, 20.0);
        glyphs.extend(typed(" ", 300.0, 700.0));
        glyphs.extend(typed("2", 5.0, 22.0).into_iter().map(|glyph| Glyph { size: 7.0, ..glyph }));
        glyphs.extend(typed(" ", 300.0, 700.0));
        glyphs.extend(typed("O", 10.0, 20.0));
        assert_eq!(texts(&glyphs), ["H2O"]);
    }

    #[test]
    fn texts_that_lie_over_each_other_are_not_interleaved() {
        let mut glyphs = typed("provided for", 80.0, 73.0);
        glyphs.extend(typed("Federal Act", 81.7, 73.9));
        glyphs.extend(typed("of Parliament", 142.0, 73.9));
        assert_eq!(texts(&glyphs), ["provided for", "Federal Act of Parliament"]);
        // A form: the dotted line, then what is filled in, then the next field in the gap of the row.
        let mut glyphs = typed("Name ........", 0.0, 20.0);
        glyphs.extend(typed("Place Bern", 120.0, 20.0));
        glyphs.extend(typed("Eva M.", 27.0, 19.5));
        assert_eq!(texts(&glyphs), ["Name ........ Place Bern", "Eva M."]);
    }

    #[test]
    fn cells_and_accents_drawn_late_stay_on_their_line() {
        let mut glyphs = typed("one", 0.0, 20.0);
        glyphs.extend(typed("three", 100.0, 20.0));
        glyphs.extend(typed("two", 50.0, 20.0));
        glyphs.push(Glyph {
            text: "´".into(),
            from: (11.0, 20.0),
            to: (14.0, 20.0),
            size: 10.0,
            hidden: false,
            bold: false,
        });
        assert_eq!(texts(&glyphs), ["one´ two three"]);
    }

    #[test]
    fn cells_filled_up_with_blanks_do_not_part_their_neighbours() {
        let mut glyphs = typed("11/04/2015            ", 0.0, 20.0);
        glyphs.extend(typed("7", 140.0, 20.0));
        glyphs.extend(typed("09/11/2015 x", 70.0, 20.0));
        assert_eq!(texts(&glyphs), ["11/04/2015 09/11/2015 x 7"]);
    }

    #[test]
    fn spaced_out_letters_are_words_and_leaders_space_nothing_out() {
        let spaced = |text: &str, y: f32| {
            let mut glyphs = typed(text, 0.0, y);
            for (index, glyph) in glyphs.iter_mut().enumerate() {
                let shift = 2.5 * f32::from(u8::try_from(index).unwrap());
                (glyph.from.0, glyph.to.0) = (glyph.from.0 + shift, glyph.to.0 + shift);
            }
            glyphs
        };
        assert_eq!(texts(&spaced("GESETZ ÜBER", 20.0)), ["GESETZ ÜBER"]);
        let mut glyphs = typed("Räume", 0.0, 20.0);
        glyphs.extend(typed("und", 27.0, 20.0));
        glyphs.extend((0..20_u8).flat_map(|dot| typed(".", 50.0 + 9.0 * f32::from(dot), 20.0)));
        assert!(texts(&glyphs)[0].starts_with("Räume und ."), "{:?}", texts(&glyphs));
    }

    #[test]
    fn a_character_without_a_name_parts_no_word() {
        let glyphs = typed("star\u{FFFD}ng \u{FFFD}", 0.0, 20.0);
        assert_eq!(texts(&glyphs), ["starng"]);
    }

    #[test]
    fn right_to_left_lines_come_in_logical_order() {
        // Drawn from the left: the last letter of the line first.
        assert_eq!(texts(&typed("12.5 םולש", 0.0, 20.0)), ["שלום 12.5"]);
    }

    #[test]
    fn a_note_mark_is_no_digit_of_the_number_before_it() {
        let mut glyphs = typed("Art. 2", 0.0, 20.0);
        glyphs.push(Glyph {
            text: "3".into(),
            from: (30.0, 16.5),
            to: (33.0, 16.5),
            size: 6.0,
            hidden: false,
            bold: false,
        });
        glyphs.extend(typed("Scope 9 m", 34.0, 20.0));
        glyphs.push(Glyph {
            text: "2".into(),
            from: (79.0, 16.5),
            to: (82.0, 16.5),
            size: 6.0,
            hidden: false,
            bold: false,
        });
        // A mark before its text: the blank between has the size and the baseline of the text.
        glyphs.push(Glyph {
            text: "1".into(),
            from: (0.0, 37.0),
            to: (3.0, 37.0),
            size: 6.0,
            hidden: false,
            bold: false,
        });
        glyphs.extend(typed(" This", 3.0, 40.0));
        assert_eq!(texts(&glyphs), ["Art. 2 ³ Scope 9 m²", "¹ This"]);
    }

    #[test]
    fn a_large_line_beside_a_small_one_stays_apart() {
        let mut glyphs = typed("small print above", 0.0, 20.0);
        glyphs.extend(typed("TITLE", 0.0, 25.0).into_iter().map(|glyph| Glyph { size: 18.0, ..glyph }));
        assert_eq!(texts(&glyphs), ["small print above", "TITLE"]);
    }

    #[test]
    fn pages_drawn_bottom_up_are_read_top_down() {
        let words = ["g", "f", "e", "d", "c", "b", "a"];
        let glyphs: Vec<Glyph> = words
            .into_iter()
            .zip([140.0, 120.0, 100.0, 80.0, 60.0, 40.0, 20.0])
            .flat_map(|(word, y)| typed(word, 0.0, y))
            .collect();
        assert_eq!(texts(&glyphs), ["a", "b", "c", "d", "e", "f", "g"]);
    }

    #[test]
    fn margin_text_in_another_direction_comes_last() {
        let mut glyphs: Vec<Glyph> = "up"
            .chars()
            .zip([50.0, 45.0])
            .map(|(c, y)| Glyph {
                text: c.into(),
                from: (5.0, y),
                to: (5.0, y - 5.0),
                size: 10.0,
                hidden: false,
                bold: false,
            })
            .collect();
        glyphs.extend(typed("main text", 20.0, 20.0));
        assert_eq!(texts(&glyphs), ["main text", "up"]);
    }
}
