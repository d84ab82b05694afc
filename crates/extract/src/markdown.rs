//! Markdown: the text as a reader sees it, with headings, lists, tables and code as blocks.

use fontes_core::BlockKind;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, encoding};

/// Parses CommonMark with tables, footnotes, task lists, strikethrough and a YAML front matter.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, None);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::new(limits);
    for event in Parser::new_ext(&text, options) {
        reader.event(event);
    }
    reader.flush(BlockKind::Paragraph);
    if reader.builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    reader.builder.finish(MediaType::Markdown)
}

/// Collects inline text until the block around it ends.
struct Reader {
    builder: Builder,
    inline: String,
    /// Next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    table: Vec<Vec<String>>,
    in_table: bool,
    in_footnote: bool,
    front_matter: bool,
}

impl Reader {
    fn new(limits: &ParseLimits) -> Self {
        Self {
            builder: Builder::new(limits),
            inline: String::new(),
            lists: Vec::new(),
            table: Vec::new(),
            in_table: false,
            in_footnote: false,
            front_matter: false,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.front_matter => self.front_matter_lines(&text),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.inline.push_str(&text);
            }
            Event::Html(html) | Event::InlineHtml(html) => self.inline.push_str(&without_tags(&html)),
            Event::SoftBreak => self.inline.push(' '),
            Event::HardBreak => self.inline.push('\n'),
            Event::FootnoteReference(label) => {
                self.inline.push('[');
                self.inline.push_str(&label);
                self.inline.push(']');
            }
            Event::TaskListMarker(done) => self.inline.push_str(if done { "[x] " } else { "[ ] " }),
            Event::Rule => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::MetadataBlock(_) => self.front_matter = true,
            Tag::Heading { .. } | Tag::Paragraph | Tag::HtmlBlock if self.lists.is_empty() && !self.in_footnote => {
                self.flush(BlockKind::Paragraph);
            }
            Tag::List(first) => {
                self.flush_in_list();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush_in_list();
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "- ".to_owned(),
                };
                self.inline.push_str(&marker);
            }
            Tag::CodeBlock(_) => self.flush_in_list(),
            Tag::Table(_) => {
                self.flush_in_list();
                self.in_table = true;
            }
            Tag::TableHead | Tag::TableRow => self.table.push(Vec::new()),
            Tag::FootnoteDefinition(label) => {
                self.flush_in_list();
                self.in_footnote = true;
                self.inline.push_str(&format!("[{label}] "));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::MetadataBlock(_) => self.front_matter = false,
            TagEnd::Heading(level) => self.flush(BlockKind::Heading(level_number(level))),
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::Item | TagEnd::List(_) => {
                self.flush_in_list();
                if matches!(tag, TagEnd::List(_)) {
                    self.lists.pop();
                }
            }
            TagEnd::CodeBlock => self.flush(BlockKind::Code),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(row) = self.table.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                self.builder.table(&std::mem::take(&mut self.table));
                self.in_table = false;
            }
            TagEnd::FootnoteDefinition => {
                self.flush(BlockKind::Footnote);
                self.in_footnote = false;
            }
            TagEnd::Image => self.inline.push(' '),
            _ => {}
        }
    }

    /// Ends the open text as what the surroundings make of it.
    fn flush_in_list(&mut self) {
        let kind = match () {
            () if self.in_footnote => BlockKind::Footnote,
            () if self.lists.is_empty() => BlockKind::Paragraph,
            () => BlockKind::ListItem,
        };
        self.flush(kind);
    }

    fn flush(&mut self, kind: BlockKind) {
        if self.in_table {
            return;
        }
        let text = std::mem::take(&mut self.inline);
        if !matches!(text.trim(), "-" | "") {
            self.builder.block(kind, &text);
        }
    }

    /// Reads title, author and date from `key: value` lines; anything else of a front matter is for programs.
    fn front_matter_lines(&mut self, text: &str) {
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            let metadata = &mut self.builder.metadata;
            match key.trim().to_ascii_lowercase().as_str() {
                _ if value.is_empty() => {}
                "title" => metadata.title = Some(value),
                "author" | "authors" => metadata.author = Some(value),
                "date" | "created" => metadata.created = crate::time::rfc3339(&value),
                _ => {}
            }
        }
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// The text between the tags of an HTML fragment; comments vanish.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let closing = if rest[open..].starts_with("<!--") { "-->" } else { ">" };
        let Some(end) = rest[open..].find(closing) else { return out };
        let tag = rest[open..open + end].to_ascii_lowercase();
        if tag.starts_with("<br") || tag.starts_with("</p") || tag.starts_with("</tr") {
            out.push('\n');
        }
        rest = &rest[open + end + closing.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Extraction {
        parse(text.as_bytes(), &ParseLimits::default()).unwrap()
    }

    fn blocks(extraction: &Extraction) -> Vec<(BlockKind, &str)> {
        let text = &extraction.document.text;
        extraction.document.blocks.iter().map(|block| (block.kind, block.span.of(text).unwrap())).collect()
    }

    #[test]
    fn a_reader_sees_no_markup() {
        let extraction = parsed(
            "# Das *Gesetz*\n\nEin [Link](http://x) und `code`<br>neu.\nWeiter <!-- hidden -->so.\n\n\
             3. drei\n4. vier\n   - tief\n\n| A | B |\n|---|---|\n| 1 | **2** |\n\n```rust\nlet x  = 1;\n```\n\n\
             Note[^n]\n\n[^n]: Die Note.\n",
        );
        let expected = [
            (BlockKind::Heading(1), "Das Gesetz"),
            (BlockKind::Paragraph, "Ein Link und code\nneu. Weiter so."),
            (BlockKind::ListItem, "3. drei"),
            (BlockKind::ListItem, "4. vier"),
            (BlockKind::ListItem, "- tief"),
            (BlockKind::Table, "A\tB\n1\t2"),
            (BlockKind::Code, "let x  = 1;"),
            (BlockKind::Paragraph, "Note[n]"),
            (BlockKind::Footnote, "[n] Die Note."),
        ];
        assert_eq!(blocks(&extraction), expected);
        assert_eq!(extraction.document.metadata.title.as_deref(), Some("Das Gesetz"));
    }

    #[test]
    fn front_matter_becomes_metadata() {
        let extraction = parsed("---\ntitle: \"Bericht: Teil 1\"\nauthor: Eva\ndate: 2024-05-01\n---\n\nText.\n");
        let metadata = &extraction.document.metadata;
        assert_eq!(metadata.title.as_deref(), Some("Bericht: Teil 1"));
        assert_eq!(metadata.author.as_deref(), Some("Eva"));
        assert_eq!(metadata.created.as_deref(), Some("2024-05-01T00:00:00Z"));
        assert_eq!(extraction.document.text, "Text.\n");
    }
}
