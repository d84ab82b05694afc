//! Office Open XML (ISO/IEC 29500): what Word, Excel and PowerPoint files share.

mod docx;
mod numbering;
mod pptx;
mod styles;
mod xlsx;

use std::collections::HashMap;

use fontes_core::Metadata;

use crate::{
    Child, ExtractError, ParseLimits,
    archive::push_child,
    compound::Compound,
    package::Package,
    time::rfc3339,
    xml::{self, NodeExt as _},
};

pub(crate) use docx::parse as parse_docx;
pub(crate) use pptx::parse as parse_pptx;
pub(crate) use xlsx::{parse_xls, parse_xlsb, parse_xlsx};

/// A relationship of a part: its kind (the last word of the type URI) and the full name of its target.
#[derive(Debug, PartialEq)]
struct Relation {
    kind: String,
    target: String,
}

/// Reads the relationships of `part`, by id. A part without any has none.
fn relations(
    package: &mut Package<'_>,
    part: &str,
    limits: &ParseLimits,
) -> Result<HashMap<String, Relation>, ExtractError> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let path = if folder.is_empty() { format!("_rels/{name}.rels") } else { format!("{folder}/_rels/{name}.rels") };
    let Some(text) = package.text(&path)? else { return Ok(HashMap::new()) };
    let tree = xml::tree(&text, limits)?;
    let relations = tree.root_element().children().filter(|node| node.is_element()).filter_map(|node| {
        if node.attr("TargetMode") == Some("External") {
            return None;
        }
        let kind = node.attr("Type")?.rsplit('/').next()?.to_owned();
        Some((node.attr("Id")?.to_owned(), Relation { kind, target: resolved(folder, node.attr("Target")?) }))
    });
    Ok(relations.collect())
}

/// A target path relative to `folder`, without `..`.
fn resolved(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "" | "." => {}
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

/// The name of the main part, found as the standard demands, else where everybody puts it.
fn main_part(package: &mut Package<'_>, fallback: &str, limits: &ParseLimits) -> Result<String, ExtractError> {
    let relations = relations(package, "", limits).unwrap_or_default();
    let main = relations.into_values().find(|relation| relation.kind == "officeDocument");
    Ok(main.map_or_else(|| fallback.to_owned(), |relation| relation.target))
}

/// Reads title, author and date from the core properties; a broken part is no reason to fail.
fn metadata(package: &mut Package<'_>, limits: &ParseLimits) -> Metadata {
    let Ok(Some(text)) = package.text("docProps/core.xml") else { return Metadata::default() };
    let Ok(tree) = xml::tree(&text, limits) else { return Metadata::default() };
    let field = |name: &str| {
        let node = tree.root_element().child(name)?;
        Some(node.all_text()).filter(|text| !text.trim().is_empty())
    };
    Metadata {
        title: field("title"),
        author: field("creator"),
        created: field("created").and_then(|text| rfc3339(&text)),
        ..Metadata::default()
    }
}

/// Files embedded in the container under `folder` become children. Objects in OLE envelopes are unwrapped
/// where the envelope holds a plain file.
fn embedded(package: &mut Package<'_>, folder: &str, children: &mut Vec<Child>) -> Result<(), ExtractError> {
    let entries = package.names().iter().enumerate().filter(|(_, name)| name.starts_with(folder));
    for (index, name) in entries.map(|(index, name)| (index, name.clone())).collect::<Vec<_>>() {
        let Some(bytes) = package.read_index(index)? else { continue };
        let name = name[folder.len()..].to_owned();
        if bytes.starts_with(b"\xD0\xCF\x11\xE0") && name.ends_with(".bin") {
            if let Some(content) = unwrapped(&bytes) {
                push_child(children, &name, content);
            }
        } else {
            push_child(children, &name, bytes);
        }
    }
    Ok(())
}

/// The file inside an OLE object: programs put it into one of two streams.
fn unwrapped(envelope: &[u8]) -> Option<Vec<u8>> {
    let mut file = Compound::open(envelope).ok()?;
    ["/CONTENTS", "/Package"].into_iter().find_map(|path| file.stream(path))
}

/// The parts of a kind, in the order of their names.
fn parts_of_kind<'r>(relations: &'r HashMap<String, Relation>, kind: &str) -> Vec<&'r str> {
    let parts = relations.values().filter(|relation| relation.kind == kind);
    let mut parts: Vec<&str> = parts.map(|relation| relation.target.as_str()).collect();
    parts.sort_unstable();
    parts
}

/// Titles, series names and categories of a chart; values without their axis tell nothing.
fn chart_text(tree: &roxmltree::Document<'_>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for node in tree.descendants() {
        let in_names = || node.ancestors().any(|ancestor| ancestor.name() == "strCache");
        if node.name() == "t" || node.name() == "v" && in_names() {
            let text = node.all_text().trim().to_owned();
            if !text.is_empty() && !texts.contains(&text) && texts.len() < 500 {
                texts.push(text);
            }
        }
    }
    texts.join("\n")
}

/// Says whether an on/off property is on: present, and not switched off by its value.
fn is_on(node: Option<roxmltree::Node<'_, '_>>) -> bool {
    node.is_some_and(|node| !matches!(node.attr("val"), Some("0" | "false" | "off" | "none")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::zipped;

    #[test]
    fn targets_are_resolved_against_their_part() {
        for (folder, target, expected) in [
            ("word", "styles.xml", "word/styles.xml"),
            ("ppt/slides", "../notesSlides/n1.xml", "ppt/notesSlides/n1.xml"),
            ("word", "/word/document.xml", "word/document.xml"),
            ("", "../../etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(resolved(folder, target), expected);
        }
    }

    #[test]
    fn external_targets_are_no_relations() {
        let rels = br#"<Relationships><Relationship Id="a" Type="http://x/image" Target="i.png"/>
            <Relationship Id="b" Type="http://x/hyperlink" Target="http://evil" TargetMode="External"/></Relationships>"#;
        let bytes = zipped(&[("word/_rels/document.xml.rels", rels)]);
        let limits = ParseLimits::default();
        let mut package = Package::open(&bytes, &limits).unwrap();
        let relations = relations(&mut package, "word/document.xml", &limits).unwrap();
        assert_eq!(relations.len(), 1);
        assert_eq!(relations["a"], Relation { kind: "image".into(), target: "word/i.png".into() });
    }
}
