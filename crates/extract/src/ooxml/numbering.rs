//! Automatic numbering of paragraphs (ISO/IEC 29500-1, 17.9): the numbers a reader sees but the text lacks.

use std::collections::HashMap;

use roxmltree::{Document, Node};

use crate::xml::NodeExt as _;

/// Levels that a list can have.
const LEVELS: usize = 9;

/// Says to which list and level a paragraph belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberingRef {
    list: u32,
    level: usize,
}

impl NumberingRef {
    /// Reads `w:numPr` of paragraph properties.
    pub fn of(properties: Node<'_, '_>) -> Option<Self> {
        let numbering = properties.child("numPr")?;
        let value = |name: &str| numbering.child(name)?.attr("val")?.parse::<u32>().ok();
        let level = value("ilvl").unwrap_or(0).min(8);
        Some(Self { list: value("numId")?, level: usize::try_from(level).unwrap_or(0) })
    }
}

#[derive(Clone, Debug)]
struct Level {
    start: u32,
    format: String,
    text: String,
}

/// The lists of a document, and how far each has counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// Abstract list of each list.
    lists: HashMap<u32, u32>,
    levels: HashMap<u32, Vec<Level>>,
    counters: HashMap<u32, [Option<u32>; LEVELS]>,
}

impl Numbering {
    /// Reads `word/numbering.xml`.
    pub fn read(tree: &Document<'_>) -> Self {
        let mut numbering = Self::default();
        for node in tree.root_element().children() {
            let id = |name: &str| node.attr(name).and_then(|id| id.parse::<u32>().ok());
            if node.name() == "abstractNum" {
                let levels = node.children().filter(|child| child.name() == "lvl").take(LEVELS).map(|level| {
                    let value = |name: &str| level.child(name).and_then(|child| child.attr("val"));
                    Level {
                        start: value("start").and_then(|start| start.parse().ok()).unwrap_or(1),
                        format: value("numFmt").unwrap_or("decimal").to_owned(),
                        text: value("lvlText").unwrap_or("").to_owned(),
                    }
                });
                numbering.levels.extend(id("abstractNumId").map(|id| (id, levels.collect())));
            } else if node.name() == "num" {
                let list = node.child("abstractNumId").and_then(|list| list.attr("val")?.parse().ok());
                numbering.lists.extend(id("numId").zip(list));
            }
        }
        numbering
    }

    /// Counts one paragraph and gives its label: `- ` for bullets, `2.1 ` for numbers; `None` when the
    /// paragraph is in no list (list 0 takes a paragraph out of its style's list).
    pub fn next(&mut self, place: NumberingRef) -> Option<String> {
        if place.list == 0 {
            return None;
        }
        let list = self.lists.get(&place.list).copied();
        let Some((list, levels)) = list.and_then(|list| Some((list, self.levels.get(&list)?))) else {
            return Some("- ".to_owned());
        };
        let counters = self.counters.entry(list).or_default();
        let start = levels.get(place.level).map_or(1, |level| level.start);
        let count = counters[place.level].map_or(start, |count| count.saturating_add(1));
        counters[place.level] = Some(count);
        counters[place.level + 1..].fill(None);
        let level = levels.get(place.level)?;
        if level.format == "bullet" {
            return Some("- ".to_owned());
        }
        let mut label = level.text.clone();
        for (index, level) in levels.iter().enumerate().take(place.level + 1) {
            let number = counters[index].unwrap_or(level.start);
            label = label.replace(&format!("%{}", index + 1), &written(number, &level.format));
        }
        let label = label.trim();
        Some(if label.is_empty() { String::new() } else { format!("{label} ") })
    }
}

/// A number in a format of ISO/IEC 29500-1, 17.18.59.
fn written(number: u32, format: &str) -> String {
    match format {
        "lowerLetter" => letters(number),
        "upperLetter" => letters(number).to_uppercase(),
        "lowerRoman" => roman(number),
        "upperRoman" => roman(number).to_uppercase(),
        "none" => String::new(),
        "decimalZero" => format!("{number:02}"),
        _ => number.to_string(),
    }
}

/// a … z, aa, bb, … as Word counts.
fn letters(number: u32) -> String {
    let index = number.saturating_sub(1);
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    // Word repeats the letter; nobody counts to a thousand in letters.
    std::iter::repeat_n(letter, usize::try_from(index / 26 + 1).unwrap_or(1).min(40)).collect()
}

fn roman(number: u32) -> String {
    const DIGITS: [(u32, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    let mut rest = number.min(3999);
    let mut out = String::new();
    for (value, digits) in DIGITS {
        while rest >= value {
            out.push_str(digits);
            rest -= value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_count_as_word_does() {
        let xml = r#"<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="7">
            <w:lvl><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
            <w:lvl><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>
            <w:lvl><w:numFmt w:val="bullet"/><w:lvlText w:val="x"/></w:lvl></w:abstractNum>
            <w:num w:numId="3"><w:abstractNumId w:val="7"/></w:num></w:numbering>"#;
        let mut numbering = Numbering::read(&Document::parse(xml).unwrap());
        let mut label = |level| numbering.next(NumberingRef { list: 3, level }).unwrap();
        let labels = [label(0), label(1), label(1), label(2), label(0), label(1)];
        assert_eq!(labels, ["1. ", "1.a) ", "1.b) ", "- ", "2. ", "2.a) "]);
        assert_eq!(numbering.next(NumberingRef { list: 0, level: 0 }), None);
        assert_eq!(numbering.next(NumberingRef { list: 99, level: 0 }).as_deref(), Some("- "));
    }

    #[test]
    fn letters_and_roman_numbers() {
        assert_eq!([letters(1), letters(26), letters(28)], ["a", "z", "bb"]);
        assert_eq!([roman(4), roman(1994), roman(0)], ["iv", "mcmxciv", ""]);
    }
}
