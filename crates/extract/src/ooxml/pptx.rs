//! PowerPoint presentations: a page per slide, title first, then text, tables, notes and comments.

use std::collections::HashMap;

use fontes_core::BlockKind;
use roxmltree::Node;

use super::Relation;
use crate::{
    ExtractError, Extraction, MediaType, ParseLimits,
    builder::Builder,
    package::Package,
    xml::{self, NodeExt as _},
};

/// English metric units per point (ISO/IEC 29500-1, 20.1.2.1).
const EMU_PER_POINT: f32 = 12_700.0;

/// Parses a presentation.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    let main = super::main_part(&mut package, "ppt/presentation.xml", limits)?;
    let text = package.text(&main)?.ok_or_else(|| ExtractError::corrupted("the package has no presentation"))?;
    let tree = xml::tree(&text, limits)?;
    let relations = super::relations(&mut package, &main, limits)?;
    let mut builder = Builder::new(limits);
    builder.metadata = super::metadata(&mut package, limits);
    let size = tree.root_element().child("sldSz").and_then(|size| {
        let points = |name: &str| Some(size.attr(name)?.parse::<f32>().ok()? / EMU_PER_POINT);
        points("cx").zip(points("cy"))
    });
    let list = tree.root_element().child("sldIdLst");
    let slides = list.iter().flat_map(|list| list.children()).filter_map(|slide| {
        // `id` is the slide's number, `r:id` its relationship.
        let id = slide.attributes().find(|attribute| attribute.name() == "id" && attribute.namespace().is_some())?;
        relations.get(id.value())
    });
    for relation in slides {
        slide(&mut builder, &mut package, &relation.target, limits)?;
        builder.end_page(size);
    }
    super::embedded(&mut package, "ppt/embeddings/", &mut builder.children)?;
    if builder.is_empty() && builder.children.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Pptx)
}

fn slide(
    builder: &mut Builder,
    package: &mut Package<'_>,
    part: &str,
    limits: &ParseLimits,
) -> Result<(), ExtractError> {
    let Some(text) = package.text(part)? else {
        builder.warnings.push(format!("slide {} is missing", builder.page_number()));
        return Ok(());
    };
    let relations = super::relations(package, part, limits)?;
    let tree = xml::tree(&text, limits)?;
    let shapes = tree.root_element().child("cSld").and_then(|slide| slide.child("spTree"));
    if let Some(shapes) = shapes {
        // The title is first on the slide wherever it stands in the file.
        for title in shapes.descendants().filter(|node| node.name() == "sp" && is_title(*node)) {
            builder.block(BlockKind::Heading(1), &paragraphs(title).join(" "));
        }
        self::shapes(builder, shapes);
        for chart in charts(shapes, &relations) {
            if let Some(text) = package.text(&chart)? {
                builder.block(BlockKind::Paragraph, &super::chart_text(&xml::tree(&text, limits)?));
            }
        }
    }
    let mut attached: Vec<&Relation> =
        relations.values().filter(|relation| matches!(relation.kind.as_str(), "notesSlide" | "comments")).collect();
    attached.sort_by(|a, b| a.target.cmp(&b.target));
    for relation in attached {
        let Some(text) = package.text(&relation.target)? else { continue };
        let tree = xml::tree(&text, limits)?;
        if relation.kind == "comments" {
            for comment in tree.descendants().filter(|node| matches!(node.name(), "cm" | "comment")) {
                builder.block(BlockKind::Footnote, &format!("Comment: {}", comment.all_text().trim()));
            }
        } else {
            let bodies = tree.descendants().filter(|node| node.name() == "sp" && placeholder(*node) == Some("body"));
            let notes: Vec<String> = bodies.flat_map(paragraphs).collect();
            if !notes.is_empty() {
                builder.block(BlockKind::Footnote, &format!("Notes: {}", notes.join("\n")));
            }
        }
    }
    Ok(())
}

/// Reads shapes in their order; groups are entered. Depth is bounded by the XML reader.
fn shapes(builder: &mut Builder, parent: Node<'_, '_>) {
    for node in parent.children().filter(Node::is_element) {
        match node.name() {
            "sp" if is_title(node) => {}
            // Slide numbers, dates and footers repeat on every slide.
            "sp" if matches!(placeholder(node), Some("sldNum" | "dt" | "ftr")) => {
                builder.block(BlockKind::Furniture, &paragraphs(node).join(" "));
            }
            "sp" => text_body(builder, node),
            "graphicFrame" => {
                for table in node.descendants().filter(|node| node.name() == "tbl") {
                    let rows = table.children().filter(|row| row.name() == "tr");
                    let cells = |row: Node<'_, '_>| -> Vec<String> {
                        row.children()
                            .filter(|cell| cell.name() == "tc")
                            .map(|cell| paragraphs(cell).join(" "))
                            .collect()
                    };
                    builder.table(&rows.map(cells).collect::<Vec<_>>());
                }
            }
            "AlternateContent" => {
                if let Some(choice) = node.child("Choice").or_else(|| node.child("Fallback")) {
                    shapes(builder, choice);
                }
            }
            "grpSp" => shapes(builder, node),
            _ => {}
        }
    }
}

/// The text of a shape: body placeholders are lists, unless they hold one paragraph.
fn text_body(builder: &mut Builder, shape: Node<'_, '_>) {
    let texts = paragraphs(shape);
    let is_body = matches!(placeholder(shape), Some("body" | "obj" | ""));
    if is_body && texts.len() > 1 {
        for text in texts {
            builder.block(BlockKind::ListItem, &format!("- {text}"));
        }
    } else {
        builder.block(BlockKind::Paragraph, &texts.join("\n"));
    }
}

/// The kind of placeholder a shape fills; empty when it is one without a kind.
fn placeholder<'a>(shape: Node<'a, '_>) -> Option<&'a str> {
    let properties = shape.children().find(|child| child.name() == "nvSpPr")?;
    let holder = properties.descendants().find(|node| node.name() == "ph")?;
    Some(holder.attributes().find(|attribute| attribute.name() == "type").map_or("", |kind| kind.value()))
}

fn is_title(shape: Node<'_, '_>) -> bool {
    matches!(placeholder(shape), Some("title" | "ctrTitle"))
}

/// The texts of the paragraphs below that are not empty.
fn paragraphs(node: Node<'_, '_>) -> Vec<String> {
    let below = node.descendants().filter(|child| child.name() == "p");
    let texts = below.map(|paragraph| {
        let mut text = String::new();
        for child in paragraph.descendants() {
            match child.name() {
                "t" => text.push_str(&child.all_text()),
                "br" => text.push('\n'),
                "tab" => text.push(' '),
                _ => {}
            }
        }
        text.trim().to_owned()
    });
    texts.filter(|text| !text.is_empty()).collect()
}

/// The parts that hold the charts of a slide.
fn charts(shapes: Node<'_, '_>, relations: &HashMap<String, Relation>) -> Vec<String> {
    let ids = shapes.descendants().filter(|node| node.name() == "chart").filter_map(|node| node.attr("id"));
    ids.filter_map(|id| relations.get(id)).map(|relation| relation.target.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::zipped;

    #[test]
    fn slides_are_pages_in_their_order() {
        let slide = |title: &str, body: &str| {
            format!(
                r#"<p:sld xmlns:p="p" xmlns:a="a"><p:cSld><p:spTree>
                <p:sp><p:nvSpPr><p:nvPr><p:ph type="body"/></p:nvPr></p:nvSpPr><p:txBody>{body}</p:txBody></p:sp>
                <p:sp><p:nvSpPr><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>{title}</a:t></a:r></a:p></p:txBody></p:sp>
                <p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>1</a:t></a:r></a:p></a:tc><a:tc/></a:tr></a:tbl></p:graphicFrame>
                </p:spTree></p:cSld></p:sld>"#
            )
        };
        let paragraph = |text: &str| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>");
        let bytes = zipped(&[
            ("[Content_Types].xml", b"<Types/>"),
            (
                "ppt/presentation.xml",
                br#"<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="b"/><p:sldId id="257" r:id="a"/></p:sldIdLst>
                <p:sldSz cx="9144000" cy="6858000"/></p:presentation>"#,
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                br#"<R><Relationship Id="a" Type="x/slide" Target="slides/s1.xml"/><Relationship Id="b" Type="x/slide" Target="slides/s2.xml"/></R>"#,
            ),
            ("ppt/slides/s1.xml", slide("Ende", &paragraph("Schluss")).as_bytes()),
            ("ppt/slides/s2.xml", slide("Anfang", &(paragraph("eins") + &paragraph("zwei"))).as_bytes()),
            ("ppt/slides/_rels/s1.xml.rels", br#"<R><Relationship Id="n" Type="x/notesSlide" Target="../notesSlides/n.xml"/></R>"#),
            (
                "ppt/notesSlides/n.xml",
                br#"<p:notes xmlns:p="p" xmlns:a="a"><p:sp><p:nvSpPr><p:nvPr><p:ph type="body"/></p:nvPr></p:nvSpPr><a:p><a:r><a:t>Merken</a:t></a:r></a:p></p:sp></p:notes>"#,
            ),
        ]);
        assert_eq!(MediaType::detect(&bytes, "x").unwrap(), MediaType::Pptx);
        let document = parse(&bytes, &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Anfang\n\n- eins\n- zwei\n\n1\nEnde\n\nSchluss\n\n1\n\nNotes: Merken\n");
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.pages[1].size, Some((720.0, 540.0)));
        assert_eq!(document.metadata.title.as_deref(), Some("Anfang"));
    }
}
