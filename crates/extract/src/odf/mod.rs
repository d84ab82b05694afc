//! OpenDocument (OASIS ODF 1.3): text, spreadsheets and presentations share one grammar and one reader.

mod reader;

use std::collections::HashMap;

use fontes_core::{BlockKind, Metadata};
use roxmltree::Document;

use crate::{
    ExtractError, Extraction, MediaType, ParseLimits,
    archive::push_child,
    builder::Builder,
    package::Package,
    time::rfc3339,
    xml::{self, NodeExt as _},
};
use reader::Reader;

/// Parses an OpenDocument file of the kind `media`.
pub(crate) fn parse(bytes: &[u8], media: MediaType, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    // Encrypted packages name the ciphers in their manifest and hold noise in the other parts.
    if package.text("META-INF/manifest.xml")?.is_some_and(|manifest| manifest.contains("encryption-data")) {
        return Err(ExtractError::Encrypted { what: "the OpenDocument file".into() });
    }
    let content = package.text("content.xml")?.ok_or_else(|| ExtractError::corrupted("the package has no content"))?;
    let content = xml::tree(&content, limits)?;
    let styles = package.text("styles.xml")?.unwrap_or_else(|| "<none/>".into());
    let styles = xml::tree(&styles, limits)?;
    let mut builder = Builder::new(limits);
    builder.metadata = metadata(&mut package, limits);
    let running = running_lines(&styles);
    for (_, text) in running.iter().filter(|(is_header, _)| *is_header) {
        builder.block(BlockKind::Furniture, text);
    }
    let mut reader = Reader::new(builder, Styles::read(&[&styles, &content]), limits);
    let body = content.root_element().child("body").unwrap_or_else(|| content.root_element());
    match media {
        MediaType::Ods => reader.sheets(body)?,
        MediaType::Odp => reader.slides(body)?,
        _ => reader.blocks(body)?,
    }
    let mut builder = reader.finish();
    for (_, text) in running.iter().filter(|(is_header, _)| !*is_header) {
        builder.block(BlockKind::Furniture, text);
    }
    objects(&mut package, &mut builder)?;
    if builder.is_empty() && builder.children.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(media)
}

/// Headers and footers of the page styles, each once; `true` marks headers.
fn running_lines(styles: &Document<'_>) -> Vec<(bool, String)> {
    let mut lines: Vec<(bool, String)> = Vec::new();
    let masters = styles.descendants().filter(|node| node.name() == "master-page").flat_map(|master| master.children());
    for node in masters {
        let is_header = node.name().starts_with("header");
        if !is_header && !node.name().starts_with("footer") {
            continue;
        }
        let text: Vec<String> = node.descendants().filter(|child| child.name() == "p").map(|p| p.all_text()).collect();
        let line = (is_header, text.join("\n"));
        if !line.1.trim().is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Reads `meta.xml`; a broken part is no reason to fail.
fn metadata(package: &mut Package<'_>, limits: &ParseLimits) -> Metadata {
    let Ok(Some(text)) = package.text("meta.xml") else { return Metadata::default() };
    let Ok(tree) = xml::tree(&text, limits) else { return Metadata::default() };
    let field = |name: &str| {
        let node = tree.descendants().find(|node| node.name() == name)?;
        Some(node.all_text()).filter(|text| !text.trim().is_empty())
    };
    Metadata {
        title: field("title"),
        author: field("initial-creator").or_else(|| field("creator")),
        created: field("creation-date").and_then(|text| rfc3339(&text)),
        ..Metadata::default()
    }
}

/// Embedded documents that are files of their own (pictures and charts are not).
fn objects(package: &mut Package<'_>, builder: &mut Builder) -> Result<(), ExtractError> {
    for index in 0..package.names().len() {
        let name = package.names()[index].clone();
        let is_file = [".pdf", ".docx", ".xlsx", ".odt", ".ods"].iter().any(|extension| name.ends_with(extension));
        // Programs also store pictures of the document's own first page.
        if is_file
            && !name.starts_with("Thumbnails/")
            && let Some(bytes) = package.read_index(index)?
        {
            push_child(&mut builder.children, &name, bytes);
        }
    }
    Ok(())
}

/// What matters of automatic and named styles.
#[derive(Debug, Default)]
struct Styles {
    /// Styles that begin a page.
    breaks: Vec<String>,
    /// Styles of hidden text.
    hidden: Vec<String>,
    /// First level of list styles: numbered or not.
    numbered: HashMap<String, bool>,
}

impl Styles {
    fn read(trees: &[&Document<'_>]) -> Self {
        let mut styles = Self::default();
        for node in trees.iter().flat_map(|tree| tree.descendants()) {
            let Some(name) = node.attr("name") else { continue };
            match node.name() {
                "style" => {
                    let property =
                        |element: &str, attribute: &str| node.child(element).and_then(|child| child.attr(attribute));
                    if property("paragraph-properties", "break-before") == Some("page") {
                        styles.breaks.push(name.to_owned());
                    }
                    if property("text-properties", "display") == Some("none") {
                        styles.hidden.push(name.to_owned());
                    }
                }
                "list-style" => {
                    let first = node.children().find(|level| level.attr("level") == Some("1"));
                    let numbered = first.is_some_and(|level| level.name() == "list-level-style-number");
                    styles.numbered.insert(name.to_owned(), numbered);
                }
                _ => {}
            }
        }
        styles
    }
}

#[cfg(test)]
mod tests;
