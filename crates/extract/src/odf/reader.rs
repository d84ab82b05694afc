//! Walks the content of an OpenDocument file. Depth is bounded by the XML reader.

use fontes_core::BlockKind;
use roxmltree::Node;

use super::Styles;
use crate::{ExtractError, ParseLimits, builder::Builder, xml::NodeExt as _};

/// Cells repeated more often than this at the end of a row are filler up to the edge of the sheet.
const REPEAT_LIMIT: usize = 64;

/// Rows with content that are repeated are written at most so often.
const ROW_REPEAT_LIMIT: usize = 16;

pub(super) struct Reader {
    builder: Builder,
    styles: Styles,
    /// Notes and frames that wait for the end of their paragraph.
    pending: Vec<(BlockKind, String)>,
    /// The file says where pages ended when it was last laid out.
    laid_out: bool,
    cells_left: u64,
    cells_limit: u64,
    notes: u32,
    hidden: u32,
}

impl Reader {
    pub fn new(builder: Builder, styles: Styles, limits: &ParseLimits) -> Self {
        Self {
            builder,
            styles,
            pending: Vec::new(),
            laid_out: false,
            cells_left: limits.cells,
            cells_limit: limits.cells,
            notes: 0,
            hidden: 0,
        }
    }

    /// Gives the builder back.
    pub fn finish(mut self) -> Builder {
        if self.hidden > 0 {
            self.builder.warnings.push(format!("left out {} pieces of hidden text", self.hidden));
        }
        self.builder
    }

    /// Reads the blocks of a text document.
    pub fn blocks(&mut self, parent: Node<'_, '_>) -> Result<(), ExtractError> {
        if parent.name() == "body" {
            self.laid_out = parent.descendants().any(|node| node.name() == "soft-page-break");
        }
        for node in parent.children().filter(Node::is_element) {
            match node.name() {
                "h" => {
                    let level = node.attr("outline-level").and_then(|level| level.parse().ok()).unwrap_or(1_u8);
                    self.paragraph(node, BlockKind::Heading(level.clamp(1, 9)), "");
                }
                "p" => self.paragraph(node, BlockKind::Paragraph, ""),
                "list" => self.list(node, None)?,
                "table" => {
                    let rows = self.rows(node)?;
                    self.builder.table(&rows);
                    self.flush_pending();
                }
                "soft-page-break" => self.page_break(),
                "tracked-changes" | "forms" | "sequence-decls" | "variable-decls" => {}
                // Frames that stand for themselves, sections, indexes, change marks.
                _ => self.blocks(node)?,
            }
        }
        Ok(())
    }

    fn list(&mut self, node: Node<'_, '_>, inherited: Option<bool>) -> Result<(), ExtractError> {
        let style = node.attr("style-name").and_then(|name| self.styles.numbered.get(name).copied());
        let numbered = style.or(inherited).unwrap_or(false);
        let mut number = 1_u32;
        for item in node.children().filter(|child| matches!(child.name(), "list-item" | "list-header")) {
            let mut label = if numbered { format!("{number}. ") } else { "- ".to_owned() };
            if item.name() == "list-item" {
                number = number.saturating_add(1);
            }
            for child in item.children().filter(Node::is_element) {
                match child.name() {
                    "list" => self.list(child, style.or(inherited))?,
                    // Numbered headings are written as lists.
                    "h" => self.blocks(item)?,
                    "p" => {
                        self.paragraph(child, BlockKind::ListItem, &label);
                        label.clear();
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn paragraph(&mut self, node: Node<'_, '_>, kind: BlockKind, label: &str) {
        let breaks = node.attr("style-name").is_some_and(|style| self.styles.breaks.iter().any(|name| name == style));
        if breaks && !self.laid_out {
            self.page_break();
        }
        let mut text = label.to_owned();
        let mut cuts = Vec::new();
        self.inline(node, &mut text, &mut cuts);
        let mut from = 0;
        for cut in cuts {
            self.builder.block(kind, &text[from..cut]);
            self.page_break();
            from = cut;
        }
        if text[from..].trim() != label.trim() || label.is_empty() {
            self.builder.block(kind, &text[from..]);
        }
        self.flush_pending();
    }

    fn page_break(&mut self) {
        if !self.builder.page_is_empty() {
            self.builder.end_page(None);
        }
    }

    fn flush_pending(&mut self) {
        for (kind, text) in std::mem::take(&mut self.pending) {
            self.builder.block(kind, &text);
        }
    }

    /// Collects the text of a paragraph; `cuts` are the places where pages end.
    fn inline(&mut self, parent: Node<'_, '_>, out: &mut String, cuts: &mut Vec<usize>) {
        for node in parent.children() {
            if node.is_text() {
                // White space in the file is markup; blanks that count are elements (ODF 1.3-3, 6.1.2).
                for word in node.text().unwrap_or("").split_inclusive(char::is_whitespace) {
                    let trimmed = word.trim_end();
                    out.push_str(trimmed);
                    if trimmed.len() < word.len() && !out.ends_with(' ') {
                        out.push(' ');
                    }
                }
                continue;
            }
            match node.name() {
                "s" => {
                    let count = node.attr("c").and_then(|count| count.parse().ok()).unwrap_or(1_usize);
                    out.extend(std::iter::repeat_n(' ', count.min(REPEAT_LIMIT)));
                }
                "tab" => out.push(' '),
                "line-break" => out.push('\n'),
                "soft-page-break" => cuts.push(out.len()),
                "note" => self.note(node, out),
                "annotation" => {
                    let text: Vec<String> =
                        node.descendants().filter(|child| child.name() == "p").map(|p| p.all_text()).collect();
                    let author = node.child("creator").map(|creator| creator.all_text()).unwrap_or_default();
                    self.pending.push((BlockKind::Footnote, format!("Comment by {author}: {}", text.join("\n"))));
                }
                "frame" | "custom-shape" | "text-box" | "rect" | "line" => self.frame(node),
                "hidden-text" | "hidden-paragraph" => self.hidden += 1,
                "span"
                    if node.attr("style-name").is_some_and(|style| self.styles.hidden.iter().any(|h| h == style)) =>
                {
                    self.hidden += 1;
                }
                "tracked-changes" | "ruby-text" | "annotation-end" => {}
                _ => self.inline(node, out, cuts),
            }
        }
    }

    fn note(&mut self, node: Node<'_, '_>, out: &mut String) {
        self.notes += 1;
        let citation = node.child("note-citation").map(|citation| citation.all_text()).filter(|text| !text.is_empty());
        let mark = format!("[{}]", citation.unwrap_or_else(|| self.notes.to_string()));
        out.push_str(&mark);
        let body = node.child("note-body");
        let text: Vec<String> = body
            .iter()
            .flat_map(|body| body.descendants())
            .filter(|child| child.name() == "p")
            .map(|paragraph| paragraph.all_text())
            .collect();
        self.pending.push((BlockKind::Footnote, format!("{mark} {}", text.join("\n"))));
    }

    /// The text of a box is read after the paragraph that anchors it.
    fn frame(&mut self, node: Node<'_, '_>) {
        for paragraph in node.descendants().filter(|child| matches!(child.name(), "p" | "h")) {
            let (mut text, mut cuts) = (String::new(), Vec::new());
            self.inline(paragraph, &mut text, &mut cuts);
            self.pending.push((BlockKind::Paragraph, text));
        }
    }

    /// The rows of a table. Repeated filler is dropped, so that a sheet that is a million empty rows long
    /// costs nothing.
    fn rows(&mut self, table: Node<'_, '_>) -> Result<Vec<Vec<String>>, ExtractError> {
        let mut rows = Vec::new();
        let own = |node: &Node<'_, '_>| node.ancestors().skip(1).find(|above| above.name() == "table") == Some(table);
        for row in table.descendants().filter(|node| node.name() == "table-row" && own(node)) {
            let mut cells: Vec<String> = Vec::new();
            let mut empty = 0_usize;
            for cell in row.children().filter(|cell| matches!(cell.name(), "table-cell" | "covered-table-cell")) {
                let repeat = repeated(cell, "number-columns-repeated");
                let text = self.cell(cell);
                if text.is_empty() {
                    empty = empty.saturating_add(repeat);
                    continue;
                }
                cells.extend((0..std::mem::take(&mut empty).min(REPEAT_LIMIT)).map(|_| String::new()));
                let copies = repeat.min(REPEAT_LIMIT);
                self.spend(copies)?;
                cells.extend((0..copies).map(|_| text.clone()));
            }
            let copies = if cells.is_empty() { 1 } else { repeated(row, "number-rows-repeated").min(ROW_REPEAT_LIMIT) };
            self.spend(cells.len().saturating_mul(copies - 1))?;
            rows.extend((0..copies).map(|_| cells.clone()));
        }
        Ok(rows)
    }

    fn spend(&mut self, cells: usize) -> Result<(), ExtractError> {
        let left = self.cells_left.checked_sub(cells as u64);
        self.cells_left = left.ok_or_else(|| ExtractError::limit("number of cells", self.cells_limit))?;
        Ok(())
    }

    fn cell(&mut self, cell: Node<'_, '_>) -> String {
        let mut text = String::new();
        for node in cell.descendants().filter(|node| matches!(node.name(), "p" | "h")) {
            // Comments and notes hold paragraphs of their own.
            if node
                .ancestors()
                .take_while(|above| *above != cell)
                .any(|above| matches!(above.name(), "annotation" | "note"))
            {
                continue;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            self.inline(node, &mut text, &mut Vec::new());
        }
        for annotation in cell.children().filter(|node| node.name() == "annotation") {
            let comment: Vec<String> =
                annotation.descendants().filter(|node| node.name() == "p").map(|p| p.all_text()).collect();
            self.pending.push((BlockKind::Footnote, format!("Comment: {}", comment.join("\n"))));
        }
        text.trim().to_owned()
    }

    /// Reads a spreadsheet: a page per sheet, its name, its rows in runs without an empty one between.
    pub fn sheets(&mut self, body: Node<'_, '_>) -> Result<(), ExtractError> {
        let sheets = body.children().filter(|node| node.name() == "spreadsheet").flat_map(|node| node.children());
        for sheet in sheets.filter(|node| node.name() == "table") {
            self.builder.block(BlockKind::Heading(1), sheet.attr("name").unwrap_or("Sheet"));
            let rows = self.rows(sheet)?;
            for region in rows.split(Vec::is_empty).filter(|region| !region.is_empty()) {
                self.builder.table(region);
            }
            self.flush_pending();
            self.builder.end_page(None);
        }
        Ok(())
    }

    /// Reads a presentation: a page per slide, titles as headings, notes behind.
    pub fn slides(&mut self, body: Node<'_, '_>) -> Result<(), ExtractError> {
        let slides = body.children().filter(|node| node.name() == "presentation").flat_map(|node| node.children());
        for slide in slides.filter(|node| node.name() == "page") {
            let (titles, others): (Vec<_>, Vec<_>) =
                slide.children().filter(Node::is_element).partition(|shape| shape.attr("class") == Some("title"));
            for title in titles {
                let mut text = String::new();
                for paragraph in title.descendants().filter(|node| node.name() == "p") {
                    self.inline(paragraph, &mut text, &mut Vec::new());
                    text.push(' ');
                }
                self.builder.block(BlockKind::Heading(1), &text);
            }
            for shape in others {
                if shape.name() == "notes" {
                    let mut text = String::from("Notes: ");
                    for paragraph in shape.descendants().filter(|node| node.name() == "p") {
                        self.inline(paragraph, &mut text, &mut Vec::new());
                        text.push('\n');
                    }
                    if text.trim() != "Notes:" {
                        self.builder.block(BlockKind::Footnote, &text);
                    }
                } else {
                    self.blocks(shape)?;
                }
            }
            self.flush_pending();
            self.builder.end_page(None);
        }
        Ok(())
    }
}

fn repeated(node: Node<'_, '_>, attribute: &str) -> usize {
    node.attr(attribute).and_then(|count| count.parse().ok()).unwrap_or(1).max(1)
}
