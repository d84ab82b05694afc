//! EPUB books: chapters in spine order, a page per chapter file (books have no other).

use std::collections::HashMap;

use crate::{
    ExtractError, Extraction, MediaType, ParseLimits,
    builder::Builder,
    encoding, html,
    package::Package,
    time::rfc3339,
    xml::{self, NodeExt as _},
};

/// Parses a book (EPUB 2 and 3: the container, the package document, the spine).
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    // Font obfuscation also lists itself there; only content under a scheme of its own is locked.
    let locked = package.text("META-INF/encryption.xml")?.is_some_and(|text| text.contains("xmlenc#aes"));
    let container = package
        .text("META-INF/container.xml")?
        .ok_or_else(|| ExtractError::corrupted("the book has no container file"))?;
    let container = xml::tree(&container, limits)?;
    let root = container.descendants().find(|node| node.name() == "rootfile").and_then(|node| node.attr("full-path"));
    let root = root.ok_or_else(|| ExtractError::corrupted("the container names no package document"))?;
    let text = package.text(root)?.ok_or_else(|| ExtractError::corrupted("the package document is missing"))?;
    let tree = xml::tree(&text, limits)?;
    let mut builder = Builder::new(limits);
    let field = |name: &str| {
        let node = tree.descendants().find(|node| node.name() == name)?;
        Some(node.all_text()).filter(|text| !text.trim().is_empty())
    };
    builder.metadata.title = field("title");
    builder.metadata.author = field("creator");
    builder.metadata.created = field("date").and_then(|date| rfc3339(&date));
    let items = tree.descendants().filter(|node| node.name() == "item");
    let manifest: HashMap<&str, &str> = items.filter_map(|item| Some((item.attr("id")?, item.attr("href")?))).collect();
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let spine = tree.descendants().filter(|node| node.name() == "itemref");
    for href in spine.filter_map(|item| manifest.get(item.attr("idref")?)) {
        let path = if folder.is_empty() { decoded(href) } else { format!("{folder}/{}", decoded(href)) };
        match package.read(&path)? {
            Some(chapter) => html::page(&mut builder, &encoding::decode(&chapter, Some("utf-8")))?,
            None => builder.warnings.push(format!("chapter {} is missing", builder.page_number())),
        }
        builder.end_page(None);
    }
    if builder.is_empty() {
        return Err(if locked { ExtractError::Encrypted { what: "the book".into() } } else { ExtractError::Empty });
    }
    builder.finish(MediaType::Epub)
}

/// Decodes percent-encoding (RFC 3986) and drops the fragment.
fn decoded(href: &str) -> String {
    let path = href.split('#').next().unwrap_or(href);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let code = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *byte == b'%');
        bytes.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::zipped;

    #[test]
    fn chapters_come_in_spine_order() {
        let bytes = zipped(&[
            ("mimetype", b"application/epub+zip"),
            (
                "META-INF/container.xml",
                br#"<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>"#,
            ),
            (
                "OPS/book.opf",
                br#"<package xmlns:dc="dc"><metadata><dc:title>Buch</dc:title><dc:creator>Eva</dc:creator></metadata>
                <manifest><item id="a" href="eins%20a.xhtml"/><item id="b" href="zwei.xhtml"/></manifest>
                <spine><itemref idref="b"/><itemref idref="a"/></spine></package>"#,
            ),
            ("OPS/eins a.xhtml", b"<html><body><h1>Eins</h1></body></html>"),
            ("OPS/zwei.xhtml", b"<!DOCTYPE html><html><head><title>x</title></head><body><p>Zwei</p></body></html>"),
        ]);
        let document = crate::parse(&bytes, "x.epub", &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Zwei\nEins\n");
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.metadata.title.as_deref(), Some("Buch"));
    }
}
