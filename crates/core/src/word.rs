//! Words with their places, and how they are written down in few bytes.

use crate::{BBox, Span};

/// A word on its page. A word hyphenated at a line end is two: each half has its own place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Its part of the document's text.
    pub span: Span,
    /// Left, top, right and bottom edge in points, from the top left of the page as displayed; tenths are kept.
    pub area: [f32; 4],
    /// How sure the recognition is of it, in percent; `None` for words of a text layer.
    pub confidence: Option<u8>,
}

impl Word {
    /// Makes a word; places are rounded to tenths of a point, which is what storage keeps.
    pub fn new(span: Span, area: [f32; 4], confidence: Option<u8>) -> Self {
        Self { span, area: area.map(|edge| from_tenths(tenths(edge))), confidence }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "casts saturate, far outside any page")]
fn tenths(points: f32) -> i32 {
    (points * 10.0).round() as i32
}

#[expect(clippy::cast_precision_loss, reason = "pages are far below the 1.6 million tenths that f32 holds exactly")]
fn from_tenths(tenths: i32) -> f32 {
    tenths as f32 / 10.0
}

/// Joins words that follow each other on one line into one box.
pub(crate) fn lines<'w>(page: u32, words: impl Iterator<Item = &'w Word>) -> Vec<BBox> {
    let mut lines: Vec<BBox> = Vec::new();
    for word in words {
        let [x0, y0, x1, y1] = word.area;
        match lines.last_mut().filter(|line| follows(line, &word.area)) {
            Some(line) => {
                (line.x0, line.y0) = (line.x0.min(x0), line.y0.min(y0));
                (line.x1, line.y1) = (line.x1.max(x1), line.y1.max(y1));
            }
            None => lines.push(BBox { page, x0, y0, x1, y1 }),
        }
    }
    lines
}

/// Says whether a word goes on with a line: at the same height or, in vertical writing, in the same column,
/// and near. A gap of more than three heights is another column or cell.
fn follows(line: &BBox, word: &[f32; 4]) -> bool {
    let [x0, y0, x1, y1] = *word;
    let shared = |a0: f32, a1: f32, b0: f32, b1: f32| a1.min(b1) - a0.max(b0) > 0.5 * (a1 - a0).min(b1 - b0);
    let apart = |a0: f32, a1: f32, b0: f32, b1: f32| (b0 - a1).max(a0 - b1);
    let beside = shared(line.y0, line.y1, y0, y1) && apart(line.x0, line.x1, x0, x1) < 3.0 * (y1 - y0);
    let below = shared(line.x0, line.x1, x0, x1) && apart(line.y0, line.y1, y0, y1) < 0.5 * (x1 - x0);
    beside || below && line.y1 - line.y0 > 2.0 * (line.x1 - line.x0)
}

/// Words as a flat list of integers, seven each: distance from the end of the word before, length, the edges
/// in tenths of a point, confidence or -1. A law of 1,600 pages has 800,000 words: 20 bytes each instead of
/// 150.
pub(crate) mod packed {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::{Span, Word, from_tenths, tenths};

    /// Integers per word.
    const WIDTH: usize = 7;

    /// Writes the list.
    pub fn serialize<S: Serializer>(words: &[Word], serializer: S) -> Result<S::Ok, S::Error> {
        let mut flat: Vec<i64> = Vec::with_capacity(words.len() * WIDTH);
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let mut end = 0;
        for word in words {
            flat.push(number(word.span.start) - number(end));
            flat.push(number(word.span.len()));
            flat.extend(word.area.map(|edge| i64::from(tenths(edge))));
            flat.push(word.confidence.map_or(-1, i64::from));
            end = word.span.end;
        }
        flat.serialize(serializer)
    }

    /// Reads the list; whether the spans fit the text is for [`crate::Document::validate`] to say.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Word>, D::Error> {
        let flat = Vec::<i64>::deserialize(deserializer)?;
        if flat.len() % WIDTH != 0 {
            return Err(D::Error::custom("words are written with seven numbers each"));
        }
        let mut words = Vec::with_capacity(flat.len() / WIDTH);
        let mut end = 0_usize;
        for packed in flat.chunks_exact(WIDTH) {
            let forward = usize::try_from(packed[0]).ok().and_then(|step| end.checked_add(step));
            let start = forward.ok_or_else(|| D::Error::custom("a word begins before the end of the last"))?;
            let length = usize::try_from(packed[1]).ok().and_then(|length| start.checked_add(length));
            end = length.ok_or_else(|| D::Error::custom("a word has a negative length"))?;
            let edge = |at: usize| from_tenths(i32::try_from(packed[at]).unwrap_or(0));
            let area = [edge(2), edge(3), edge(4), edge(5)];
            words.push(Word { span: Span::new(start, end), area, confidence: u8::try_from(packed[6]).ok() });
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use crate::Page;

    use super::*;

    #[test]
    fn words_round_trip_in_few_bytes_and_old_pages_have_none() {
        let mut page = Page::new(1, Span::new(0, 20));
        let old = serde_json::to_string(&page).unwrap();
        assert!(!old.contains("words"), "{old}");
        page.words = vec![
            Word::new(Span::new(0, 5), [72.0, 90.04, 100.37, 102.0], None),
            Word::new(Span::new(6, 20), [-3.2, 90.0, 140.0, 102.0], Some(93)),
        ];
        let json = serde_json::to_string(&page).unwrap();
        assert!(json.contains("[0,5,720,900,1004,1020,-1,1,14,-32,900,1400,1020,93]"), "{json}");
        assert_eq!(serde_json::from_str::<Page>(&json).unwrap(), page);
        assert!(serde_json::from_str::<Page>(&old).unwrap().words.is_empty());
    }

    #[test]
    fn words_that_lie_are_refused() {
        let page = |words: &str| {
            format!(r#"{{"number":1,"span":{{"start":0,"end":9}},"size":null,"method":"text","words":{words}}}"#)
        };
        for words in ["[1,2,3]", "[-1,2,0,0,0,0,-1]", "[0,-2,0,0,0,0,-1]"] {
            assert!(serde_json::from_str::<Page>(&page(words)).is_err(), "{words}");
        }
    }

    #[test]
    fn a_new_column_begins_a_new_box() {
        let word = |x0, y0| Word::new(Span::default(), [x0, y0, x0 + 20.0, y0 + 10.0], None);
        let words = [word(0.0, 0.0), word(25.0, 1.0), word(300.0, 0.0), word(300.0, 14.0)];
        assert_eq!(lines(1, words.iter()).len(), 3);
    }
}
