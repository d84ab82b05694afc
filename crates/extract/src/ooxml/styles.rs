//! Paragraph styles: which of them are headings, which of them are numbered.

use std::collections::HashMap;

use roxmltree::Document;

use super::numbering::NumberingRef;
use crate::xml::NodeExt as _;

/// Words for "heading" in style names. Word writes the English name whatever its language; other programs
/// write their own.
const HEADING_WORDS: &[&str] =
    &["heading", "überschrift", "titre", "titolo", "título", "kop", "rubrik", "overskrift", "otsikko", "nagłówek"];

/// What matters of a paragraph style.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Style {
    /// Heading level from 1.
    pub level: Option<u8>,
    /// List the style belongs to.
    pub numbering: Option<NumberingRef>,
    based_on: Option<String>,
}

/// The styles of a document by id.
#[derive(Debug, Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    /// Reads `word/styles.xml`.
    pub fn read(tree: &Document<'_>) -> Self {
        let mut styles = HashMap::new();
        for node in tree.root_element().children().filter(|node| node.name() == "style") {
            let Some(id) = node.attr("styleId") else { continue };
            let properties = node.child("pPr");
            let outline =
                properties.and_then(|properties| properties.child("outlineLvl")).and_then(|level| level.attr("val"));
            let outline =
                outline.and_then(|level| level.parse::<u8>().ok()).filter(|level| *level < 9).map(|level| level + 1);
            let name = node.child("name").and_then(|name| name.attr("val")).unwrap_or("");
            let style = Style {
                level: named_level(name).or(outline),
                numbering: properties.and_then(NumberingRef::of),
                based_on: node.child("basedOn").and_then(|base| base.attr("val")).map(str::to_owned),
            };
            styles.insert(id.to_owned(), style);
        }
        Self(styles)
    }

    /// The style of that id with what it inherits. An unknown id may itself be a name.
    pub fn resolve(&self, id: &str) -> Style {
        let mut found = Style { level: None, numbering: None, based_on: Some(id.to_owned()) };
        if !self.0.contains_key(id) {
            found.level = named_level(id);
        }
        // Chains of styles are short; a loop ends here.
        for _ in 0..16 {
            let Some(style) = found.based_on.as_ref().and_then(|base| self.0.get(base)) else { break };
            found.level = found.level.or(style.level);
            found.numbering = found.numbering.or(style.numbering);
            found.based_on.clone_from(&style.based_on);
        }
        found
    }
}

/// The heading level that a style name states: `heading 2`, `Überschrift 2`, `berschrift2`, `Title`.
fn named_level(name: &str) -> Option<u8> {
    let lower = name.trim().to_lowercase();
    if matches!(lower.as_str(), "title" | "titel") {
        return Some(1);
    }
    let digits = lower.trim_start_matches(|c: char| !c.is_ascii_digit());
    let word = lower[..lower.len() - digits.len()].trim_end();
    // Style ids lose what is not ASCII: `berschrift1`.
    let known = HEADING_WORDS.iter().any(|heading| *heading == word || heading.strip_prefix('ü') == Some(word));
    digits.parse().ok().filter(|level| known && (1..=9).contains(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_from_names_outline_and_ancestors() {
        let xml = r#"<w:styles xmlns:w="w">
            <w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
            <w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="berschrift2"/></w:style>
            <w:style w:styleId="Out"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="3"/></w:pPr></w:style>
            <w:style w:styleId="Loop"><w:name w:val="y"/><w:basedOn w:val="Loop"/></w:style></w:styles>"#;
        let tree = Document::parse(xml).unwrap();
        let styles = Styles::read(&tree);
        let level = |id: &str| styles.resolve(id).level;
        assert_eq!(level("berschrift2"), Some(2));
        assert_eq!(level("Own"), Some(2));
        assert_eq!(level("Out"), Some(4));
        assert_eq!(level("Loop"), None);
        assert_eq!(level("Titolo 1"), Some(1));
        assert_eq!(level("Normal"), None);
    }
}
