//! From blocks to stretches: runs of text that may share a chunk.

use std::ops::Range;

use fontes_core::{BlockKind, Document};

/// What a stretch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StretchKind {
    /// Headings, paragraphs, lists, notes, code, small tables between them.
    Text,
    /// One table.
    Table,
}

/// A run of text inside one section, without furniture in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) kind: StretchKind,
    pub(super) range: Range<usize>,
    /// Texts of the headings above and at its beginning, highest first.
    pub(super) headings: Vec<String>,
}

/// A heading on the path to where the walk is.
struct Open {
    level: u8,
    text: String,
}

/// Walks the blocks and collects stretches.
struct Walk<'d> {
    document: &'d Document,
    path: Vec<Open>,
    /// The stretch being collected, and whether it holds nothing but headings so far.
    current: Option<(Range<usize>, bool)>,
    stretches: Vec<Stretch>,
}

/// Longest heading kept in a path, in characters: a paragraph set as a heading must not flood every chunk.
const HEADING_CHARS: usize = 160;

/// Cuts a document at headings, furniture and large tables.
///
/// A new section begins at a heading, except directly below a higher heading: a chapter title stays with
/// its first article instead of becoming a chunk of its own. Text that no block covers counts as paragraphs.
/// `is_large` decides which tables stand alone.
pub(super) fn stretches(document: &Document, is_large: &dyn Fn(&Range<usize>) -> bool) -> Vec<Stretch> {
    let mut walk = Walk { document, path: Vec::new(), current: None, stretches: Vec::new() };
    let mut at = 0;
    for block in &document.blocks {
        let range = block.span.start..block.span.end;
        walk.body(at..range.start);
        at = range.end;
        match block.kind {
            BlockKind::Heading(level) => walk.heading(level, range),
            BlockKind::Furniture => walk.close(),
            BlockKind::Table if is_large(&range) => {
                walk.close();
                walk.push(StretchKind::Table, range);
            }
            BlockKind::Paragraph | BlockKind::ListItem | BlockKind::Table | BlockKind::Code | BlockKind::Footnote => {
                walk.body(range)
            }
        }
    }
    walk.body(at..document.text.len());
    walk.close();
    walk.stretches
}

impl Walk<'_> {
    fn blank(&self, range: &Range<usize>) -> bool {
        self.document.text[range.clone()].chars().all(char::is_whitespace)
    }

    fn heading(&mut self, level: u8, range: Range<usize>) {
        if self.blank(&range) {
            return;
        }
        let below = self.path.last().is_some_and(|above| above.level < level);
        let continues = below && self.current.as_ref().is_some_and(|(_, only_headings)| *only_headings);
        if !continues {
            self.close();
        }
        while self.path.last().is_some_and(|open| open.level >= level) {
            self.path.pop();
        }
        let words: Vec<&str> = self.document.text[range.clone()].split_whitespace().collect();
        self.path.push(Open { level, text: words.join(" ").chars().take(HEADING_CHARS).collect() });
        self.extend(range, true);
    }

    fn body(&mut self, range: Range<usize>) {
        if !self.blank(&range) {
            self.extend(range, false);
        }
    }

    fn extend(&mut self, range: Range<usize>, heading: bool) {
        self.current = Some(match self.current.take() {
            Some((so_far, only_headings)) => (so_far.start..range.end, only_headings && heading),
            None => (range, heading),
        });
    }

    fn close(&mut self) {
        if let Some((range, _)) = self.current.take() {
            self.push(StretchKind::Text, range);
        }
    }

    fn push(&mut self, kind: StretchKind, range: Range<usize>) {
        let headings = self.path.iter().map(|open| open.text.clone()).collect();
        self.stretches.push(Stretch { kind, range, headings });
    }
}
