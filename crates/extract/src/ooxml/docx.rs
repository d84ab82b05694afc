//! Word documents: paragraphs with their styles, numbers, notes and page breaks.
//!
//! Page numbers come from the breaks that Word wrote when it last laid the document out, else from explicit
//! breaks; without either everything is on page 1.

use std::collections::HashMap;

use fontes_core::BlockKind;
use roxmltree::Node;

use super::{Relation, is_on, numbering::Numbering, numbering::NumberingRef, styles::Styles};
use crate::{
    ExtractError, Extraction, MediaType, ParseLimits,
    builder::Builder,
    package::Package,
    xml::{self, NodeExt as _},
};

/// Parses a Word document.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    let main = super::main_part(&mut package, "word/document.xml", limits)?;
    let text = package.text(&main)?.ok_or_else(|| ExtractError::corrupted("the package has no main document"))?;
    let relations = super::relations(&mut package, &main, limits)?;
    let mut part = |kind: &str| -> Result<Option<String>, ExtractError> {
        match relations.values().find(|relation| relation.kind == kind) {
            Some(relation) => package.text(&relation.target),
            None => Ok(None),
        }
    };
    let mut styles = Styles::default();
    if let Some(text) = part("styles")? {
        styles = Styles::read(&xml::tree(&text, limits)?);
    }
    let mut numbering = Numbering::default();
    if let Some(text) = part("numbering")? {
        numbering = Numbering::read(&xml::tree(&text, limits)?);
    }
    let mut notes = HashMap::new();
    for (kind, element) in [("footnotes", "footnote"), ("endnotes", "endnote"), ("comments", "comment")] {
        if let Some(text) = part(kind)? {
            read_notes(&xml::tree(&text, limits)?, element, &mut notes);
        }
    }
    let headers = running_lines("header", &relations, &mut package, limits)?;
    let footers = running_lines("footer", &relations, &mut package, limits)?;
    let mut builder = Builder::new(limits);
    builder.metadata = super::metadata(&mut package, limits);
    headers.iter().for_each(|text| builder.block(BlockKind::Furniture, text));
    let tree = xml::tree(&text, limits)?;
    let laid_out = tree.descendants().any(|node| node.name() == "lastRenderedPageBreak");
    let mut reader =
        Reader { builder, styles, numbering, notes, pending: Vec::new(), laid_out, numbered_notes: 0, hidden: 0 };
    let body = tree.root_element().child("body").unwrap_or_else(|| tree.root_element());
    reader.blocks(body);
    let Reader { mut builder, hidden, .. } = reader;
    if hidden > 0 {
        builder.warnings.push(format!("left out {hidden} runs of hidden text"));
    }
    footers.iter().for_each(|text| builder.block(BlockKind::Furniture, text));
    for chart in super::parts_of_kind(&relations, "chart") {
        if let Some(text) = package.text(chart)? {
            builder.block(BlockKind::Paragraph, &super::chart_text(&xml::tree(&text, limits)?));
        }
    }
    super::embedded(&mut package, "word/embeddings/", &mut builder.children)?;
    if builder.is_empty() && builder.children.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Docx)
}

/// The texts of the headers or footers, each once.
fn running_lines(
    kind: &str,
    relations: &HashMap<String, Relation>,
    package: &mut Package<'_>,
    limits: &ParseLimits,
) -> Result<Vec<String>, ExtractError> {
    let mut texts = Vec::new();
    for part in super::parts_of_kind(relations, kind) {
        if let Some(text) = package.text(part)? {
            let text = block_text(xml::tree(&text, limits)?.root_element());
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    Ok(texts)
}

/// Collects notes by `element` and id. Separators, which Word stores as notes, have a type.
fn read_notes(tree: &roxmltree::Document<'_>, element: &str, notes: &mut HashMap<String, String>) {
    for node in tree.root_element().children().filter(|node| node.name() == element) {
        let separator = node.attr("type").is_some_and(|kind| kind != "normal");
        let Some(id) = node.attr("id").filter(|_| !separator) else { continue };
        let text = block_text(node);
        let text = match node.attr("author") {
            Some(author) if element == "comment" => format!("Comment by {author}: {text}"),
            _ => text,
        };
        notes.insert(format!("{element}{id}"), text);
    }
}

/// The text of all paragraphs below, one per line.
fn block_text(node: Node<'_, '_>) -> String {
    let mut out = String::new();
    for paragraph in node.descendants().filter(|node| node.name() == "p") {
        let before = out.len();
        for text in paragraph.descendants() {
            match text.name() {
                "t" => out.push_str(&text.all_text()),
                "tab" | "br" => out.push(' '),
                _ => {}
            }
        }
        if out.len() > before {
            out.push('\n');
        }
    }
    out
}

struct Reader {
    builder: Builder,
    styles: Styles,
    numbering: Numbering,
    notes: HashMap<String, String>,
    /// Notes and text boxes that wait for the end of their paragraph.
    pending: Vec<(BlockKind, String)>,
    /// Word wrote down where pages end.
    laid_out: bool,
    numbered_notes: u32,
    hidden: u32,
}

/// A paragraph's text, cut where pages end inside it.
#[derive(Default)]
struct Pieces {
    text: String,
    breaks: Vec<usize>,
}

impl Reader {
    /// Reads block-level content. Depth is bounded by the XML reader.
    fn blocks(&mut self, parent: Node<'_, '_>) {
        for node in parent.children().filter(Node::is_element) {
            match node.name() {
                "p" => self.paragraph(node),
                "tbl" => self.table(node),
                "AlternateContent" => {
                    if let Some(choice) = node.child("Choice").or_else(|| node.child("Fallback")) {
                        self.blocks(choice);
                    }
                }
                "sdt" | "sdtContent" | "customXml" | "ins" | "smartTag" => self.blocks(node),
                _ => {}
            }
        }
    }

    fn paragraph(&mut self, node: Node<'_, '_>) {
        let properties = node.child("pPr");
        let style = properties.and_then(|properties| properties.child("pStyle")).and_then(|style| style.attr("val"));
        let style = style.map(|id| self.styles.resolve(id)).unwrap_or_default();
        let outline =
            properties.and_then(|properties| properties.child("outlineLvl")).and_then(|level| level.attr("val"));
        let outline =
            outline.and_then(|level| level.parse::<u8>().ok()).filter(|level| *level < 9).map(|level| level + 1);
        let level = outline.or(style.level);
        let place = properties.and_then(NumberingRef::of).or(style.numbering);
        let break_before = properties.is_some_and(|properties| is_on(properties.child("pageBreakBefore")));
        if break_before && !self.laid_out {
            self.page_break();
        }
        let mut pieces = Pieces::default();
        self.inline(node, &mut pieces);
        let has_text = !pieces.text.trim().is_empty();
        let label = place.filter(|_| has_text).and_then(|place| self.numbering.next(place));
        let kind = match (level, &label) {
            (Some(level), _) => BlockKind::Heading(level),
            (None, Some(_)) => BlockKind::ListItem,
            (None, None) => BlockKind::Paragraph,
        };
        // Bullets before headings are decoration; numbers are part of them.
        let label = label.filter(|label| level.is_none() || label != "- ").unwrap_or_default();
        let mut from = 0;
        let mut label = label.as_str();
        for end in pieces.breaks.iter().copied().map(Some).chain([None]) {
            let piece = pieces.text.get(from..end.unwrap_or(pieces.text.len())).unwrap_or("");
            if !piece.trim().is_empty() {
                self.builder.block(kind, &format!("{label}{}", piece.trim_start()));
                label = "";
            }
            if let Some(end) = end {
                self.page_break();
                from = end;
            }
        }
        for (kind, text) in std::mem::take(&mut self.pending) {
            self.builder.block(kind, &text);
        }
        let section = properties.and_then(|properties| properties.child("sectPr"));
        let new_page = section.is_some_and(|section| {
            section
                .child("type")
                .and_then(|kind| kind.attr("val"))
                .is_none_or(|kind| kind != "continuous" && kind != "nextColumn")
        });
        if new_page && !self.laid_out {
            self.page_break();
        }
    }

    /// Ends the page, unless nothing stands on it: a break before and one after are one.
    fn page_break(&mut self) {
        if !self.builder.page_is_empty() {
            self.builder.end_page(None);
        }
    }

    /// Collects the text of runs.
    fn inline(&mut self, parent: Node<'_, '_>, out: &mut Pieces) {
        for node in parent.children().filter(Node::is_element) {
            match node.name() {
                "t" => out.text.push_str(&node.all_text()),
                "tab" | "ptab" => out.text.push(' '),
                "br" if node.attr("type") == Some("page") => {
                    if !self.laid_out {
                        out.breaks.push(out.text.len());
                    }
                }
                "br" | "cr" => out.text.push('\n'),
                "noBreakHyphen" => out.text.push('-'),
                "lastRenderedPageBreak" => out.breaks.push(out.text.len()),
                "sym" => out.text.extend(symbol(node)),
                "footnoteReference" => self.note(node, "footnote", out),
                "endnoteReference" => self.note(node, "endnote", out),
                "commentReference" => {
                    let id = node.attr("id").unwrap_or("");
                    if let Some(text) = self.notes.get(&format!("comment{id}")) {
                        self.pending.push((BlockKind::Footnote, text.clone()));
                    }
                }
                "r" if node.child("rPr").is_some_and(|properties| is_on(properties.child("vanish"))) => {
                    self.hidden += 1
                }
                "txbxContent" => self.text_box(node),
                "AlternateContent" => {
                    if let Some(choice) = node.child("Choice").or_else(|| node.child("Fallback")) {
                        self.inline(choice, out);
                    }
                }
                // Deleted text, field codes, properties and alternative text are not what a reader sees.
                "del" | "moveFrom" | "instrText" | "delText" | "pPr" | "rPr" | "sdtPr" | "docPr" | "rt" | "p"
                | "tbl" => {}
                _ => self.inline(node, out),
            }
        }
    }

    /// Puts a mark into the text and the note behind the paragraph.
    fn note(&mut self, node: Node<'_, '_>, element: &str, out: &mut Pieces) {
        let id = node.attr("id").unwrap_or("");
        let Some(text) = self.notes.get(&format!("{element}{id}")) else { return };
        self.numbered_notes += 1;
        let mark = format!("[{}]", self.numbered_notes);
        out.text.push_str(&mark);
        self.pending.push((BlockKind::Footnote, format!("{mark} {}", text.trim())));
    }

    /// Text boxes are read after the paragraph that anchors them.
    fn text_box(&mut self, node: Node<'_, '_>) {
        for paragraph in node.children().filter(|child| matches!(child.name(), "p" | "tbl" | "sdt")) {
            let text = block_text_or_self(paragraph);
            self.pending.push((BlockKind::Paragraph, text));
        }
    }

    fn table(&mut self, node: Node<'_, '_>) {
        let mut rows = Vec::new();
        for row in node.descendants().filter(|child| child.name() == "tr" && nearest(*child, "tbl") == Some(node)) {
            let mut cells = Vec::new();
            for cell in row.descendants().filter(|child| child.name() == "tc" && nearest(*child, "tr") == Some(row)) {
                let properties = cell.child("tcPr");
                let value = |name: &str| properties.and_then(|properties| properties.child(name));
                let continued =
                    value("vMerge").is_some_and(|merge| merge.attr("val").is_none_or(|val| val == "continue"));
                cells.push(if continued { String::new() } else { self.cell(cell) });
                let span = value("gridSpan").and_then(|span| span.attr("val")?.parse::<usize>().ok()).unwrap_or(1);
                cells.extend((1..span.min(64)).map(|_| String::new()));
            }
            rows.push(cells);
        }
        self.builder.table(&rows);
        for (kind, text) in std::mem::take(&mut self.pending) {
            self.builder.block(kind, &text);
        }
    }

    /// A cell's paragraphs, joined; page breaks inside a table do not cut it.
    fn cell(&mut self, cell: Node<'_, '_>) -> String {
        let mut text = String::new();
        for paragraph in cell.descendants().filter(|child| child.name() == "p") {
            let mut pieces = Pieces::default();
            self.inline(paragraph, &mut pieces);
            if !pieces.text.trim().is_empty() {
                let place = paragraph.child("pPr").and_then(NumberingRef::of);
                text.push_str(&place.and_then(|place| self.numbering.next(place)).unwrap_or_default());
                text.push_str(pieces.text.trim());
                text.push(' ');
            }
        }
        text
    }
}

/// The nearest ancestor of that name.
fn nearest<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    node.ancestors().skip(1).find(|ancestor| ancestor.name() == name)
}

fn block_text_or_self(node: Node<'_, '_>) -> String {
    let below = block_text(node);
    if below.is_empty() {
        node.descendants().filter(|child| child.name() == "t").map(|t| t.all_text()).collect()
    } else {
        below
    }
}

/// A character of a symbol font, by its code; private-use codes of the common fonts stand for bullets,
/// arrows and check marks, of which only the last matter to a reader.
fn symbol(node: Node<'_, '_>) -> Option<char> {
    let code = u32::from_str_radix(node.attr("char")?, 16).ok()?;
    match code {
        0xF0FE | 0xF052 => Some('☒'),
        0xF0A8 | 0xF0A3 => Some('☐'),
        0xF0FC => Some('✓'),
        0xE000..=0xF8FF => None,
        code => char::from_u32(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::zipped;

    const RELS: &[u8] = br#"<Relationships>
        <Relationship Id="1" Type="x/styles" Target="styles.xml"/><Relationship Id="2" Type="x/footnotes" Target="footnotes.xml"/>
        <Relationship Id="3" Type="x/comments" Target="comments.xml"/><Relationship Id="4" Type="x/header" Target="header1.xml"/>
        </Relationships>"#;

    fn parsed(body: &str) -> Extraction {
        let document =
            format!(r#"<w:document xmlns:w="w" xmlns:mc="mc" xmlns:v="v"><w:body>{body}</w:body></w:document>"#);
        let bytes = zipped(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("word/document.xml", document.as_bytes()),
            ("word/_rels/document.xml.rels", RELS),
            (
                "word/styles.xml",
                r#"<w:styles xmlns:w="w"><w:style w:styleId="H"><w:name w:val="heading 2"/></w:style></w:styles>"#.as_bytes(),
            ),
            (
                "word/footnotes.xml",
                br#"<w:footnotes xmlns:w="w"><w:footnote w:id="5"><w:p><w:r><w:t>Die Note.</w:t></w:r></w:p></w:footnote></w:footnotes>"#,
            ),
            (
                "word/comments.xml",
                br#"<w:comments xmlns:w="w"><w:comment w:id="0" w:author="Eva"><w:p><w:r><w:t>Stimmt?</w:t></w:r></w:p></w:comment></w:comments>"#,
            ),
            ("word/header1.xml", br#"<w:hdr xmlns:w="w"><w:p><w:r><w:t>Kopf</w:t></w:r></w:p></w:hdr>"#),
            ("docProps/core.xml", b"<p><title>T</title><creator>E</creator><created>2024-01-02T03:04:05Z</created></p>"),
        ]);
        assert_eq!(MediaType::detect(&bytes, "x").unwrap(), MediaType::Docx);
        parse(&bytes, &ParseLimits::default()).unwrap()
    }

    fn blocks(extraction: &Extraction) -> Vec<(BlockKind, u32, &str)> {
        let document = &extraction.document;
        let text = |block: &fontes_core::Block| block.span.of(&document.text).unwrap();
        document.blocks.iter().map(|block| (block.kind, block.page, text(block))).collect()
    }

    #[test]
    fn structure_notes_and_boxes_are_kept() {
        let extraction = parsed(
            r#"<w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>Titel</w:t></w:r></w:p>
            <w:p><w:r><w:t xml:space="preserve">Ein </w:t></w:r><w:ins><w:r><w:t>neuer</w:t></w:r></w:ins><w:del><w:r><w:delText>alter</w:delText></w:r></w:del>
              <w:r><w:t xml:space="preserve"> Satz</w:t><w:footnoteReference w:id="5"/></w:r><w:r><w:commentReference w:id="0"/></w:r>
              <w:r><w:rPr><w:vanish/></w:rPr><w:t>geheim</w:t></w:r>
              <w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>Kasten</w:t></w:r></w:p></w:txbxContent></mc:Choice>
              <mc:Fallback><w:txbxContent><w:p><w:r><w:t>Kasten</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>A</w:t></w:r></w:p></w:tc><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:r><w:t>B</w:t></w:r></w:p><w:p><w:r><w:t>C</w:t></w:r></w:p></w:tc></w:tr>
            <w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc><w:tc><w:p><w:r><w:t>3</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"#,
        );
        let expected = [
            (BlockKind::Furniture, 1, "Kopf"),
            (BlockKind::Heading(2), 1, "Titel"),
            (BlockKind::Paragraph, 1, "Ein neuer Satz[1]"),
            (BlockKind::Footnote, 1, "[1] Die Note."),
            (BlockKind::Footnote, 1, "Comment by Eva: Stimmt?"),
            (BlockKind::Paragraph, 1, "Kasten"),
            (BlockKind::Table, 1, "A\tB C\n1\t\t3"),
        ];
        assert_eq!(blocks(&extraction), expected);
        assert_eq!(extraction.document.metadata.author.as_deref(), Some("E"));
        assert_eq!(extraction.warnings, ["left out 1 runs of hidden text"]);
    }

    #[test]
    fn pages_follow_the_layout_else_explicit_breaks() {
        let explicit = parsed(
            r#"<w:p><w:r><w:t>eins</w:t><w:br w:type="page"/><w:t>zwei</w:t></w:r></w:p>
               <w:p><w:pPr><w:pageBreakBefore/></w:pPr><w:r><w:t>drei</w:t></w:r></w:p>"#,
        );
        let pages: Vec<_> = blocks(&explicit).into_iter().map(|(_, page, text)| (page, text)).collect();
        assert_eq!(pages, [(1, "Kopf"), (1, "eins"), (2, "zwei"), (3, "drei")]);
        let laid_out = parsed(
            r#"<w:p><w:r><w:t>eins</w:t><w:br w:type="page"/></w:r></w:p>
               <w:p><w:r><w:lastRenderedPageBreak/><w:t>zwei</w:t></w:r></w:p>"#,
        );
        assert_eq!(laid_out.document.pages.len(), 2);
    }
}
