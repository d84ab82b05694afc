//! Properties that hold for every reader written here, whatever the bytes.

use proptest::prelude::*;

use crate::{ParseLimits, parse};

/// Openings that lead to the readers of this crate (parsers of others panic on noise; the worker holds them).
const OPENINGS: &[(&[u8], &str)] = &[
    (b"", "a.txt"),
    (b"", "a.md"),
    (b"a;b\n", "a.csv"),
    (b"{", "a.json"),
    (b"<html>", "a"),
    (b"<?xml version='1.0'?>", "a"),
    (b"{\\rtf1\\ansi ", "a"),
    (b"MSH|^~\\&|", "a"),
];

/// Pieces that mean something to one reader or another, more often than chance would give them.
const WORDS: &[&str] = &[
    "{",
    "}",
    "\\par ",
    "\\'fc",
    "\\u8364?",
    "\\cell",
    "\\row",
    "\\footnote ",
    "<p>",
    "</p>",
    "<table><tr><td>",
    "</table>",
    "<li>",
    "<pre>",
    "&amp;",
    "<!--",
    "-->",
    "\n",
    "\r\n",
    "\n\n",
    "|",
    "^",
    "~",
    "# ",
    "- ",
    "1. ",
    "```\n",
    "| a | b |\n|--|--|\n",
    "\"",
    ";",
    ",",
    "\t",
    "[",
    "]",
    ":",
    "\u{0}",
    "\u{200B}",
    "\u{202E}",
    "ü",
    "漢",
    "😀",
    "\u{E0041}",
    "x y",
    "\u{C}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn readers_end_with_a_valid_document_or_an_error(
        opening in 0..OPENINGS.len(),
        words in prop::collection::vec(0..WORDS.len(), 0..60),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        at in any::<prop::sample::Index>(),
    ) {
        let (start, name) = OPENINGS[opening];
        let mut bytes = start.to_vec();
        bytes.extend(words.iter().flat_map(|word| WORDS[*word].bytes()));
        let at = at.index(bytes.len() + 1).max(start.len().min(bytes.len()));
        bytes.splice(at..at, noise);
        if let Ok(extraction) = parse(&bytes, name, &ParseLimits::default()) {
            let document = extraction.document;
            prop_assert!(document.validate().is_ok());
            for page in &document.pages {
                let text = page.span.of(&document.text).unwrap();
                prop_assert!(text.is_empty() || text.ends_with('\n'));
            }
            for block in &document.blocks {
                let text = block.span.of(&document.text).unwrap();
                let hidden = ['\0', '\u{200B}', '\u{202E}', '\u{E0041}'];
                prop_assert!(!text.trim().is_empty() && !text.contains(hidden), "{:?}", text);
                let page = &document.pages[block.page as usize - 1];
                prop_assert!(page.span.start <= block.span.start && block.span.end <= page.span.end);
            }
        }
    }
}
