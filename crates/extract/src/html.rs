//! HTML: what a browser shows, as blocks.
//!
//! The tree is walked by its edges, not by recursion: hostile pages nest a million elements deep.

use ego_tree::iter::Edge;
use fontes_core::BlockKind;
use scraper::{Html, Node, node::Element};

use crate::{
    ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, clean::collapse, encoding, time::rfc3339,
};

/// Elements whose content a reader never sees as text, and navigation.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "nav", "select", "button", "audio",
    "video", "datalist", "map", "math-ml",
];

/// Elements that begin and end a block.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "aside",
    "address",
    "blockquote",
    "figure",
    "figcaption",
    "form",
    "fieldset",
    "legend",
    "dl",
    "dt",
    "dd",
    "ul",
    "ol",
    "li",
    "hr",
    "details",
    "summary",
    "table",
    "caption",
    "center",
    "body",
    "html",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "tr",
    "td",
    "th",
];

/// Most columns a cell may span; browsers stop at 1000, tables for readers well below.
const SPAN_LIMIT: usize = 50;

/// Parses an HTML page.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, declared_charset(bytes).as_deref());
    let mut builder = Builder::new(limits);
    page(&mut builder, &text)?;
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Html)
}

/// Appends a page's blocks to `builder`; its title and author become metadata where none are known.
///
/// # Errors
/// [`ExtractError::Limit`] when elements nest deeper than any browser would follow.
pub(crate) fn page(builder: &mut Builder, text: &str) -> Result<(), ExtractError> {
    check_depth(text)?;
    let html = Html::parse_document(text);
    let mut writer = Writer::new(builder);
    for edge in html.tree.root().traverse() {
        match edge {
            Edge::Open(node) => match node.value() {
                Node::Element(element) => {
                    let special = match element.name() {
                        "table" => is_layout(element, node.descendants()),
                        "ul" | "ol" => writer.furniture == 0 && is_menu(node),
                        _ => false,
                    };
                    writer.open(element, special);
                }
                Node::Text(text) => writer.text(text),
                _ => {}
            },
            Edge::Close(node) => {
                if let Node::Element(element) = node.value() {
                    writer.close(element);
                }
            }
        }
    }
    writer.flush();
    let hidden = writer.hidden;
    if hidden > 0 {
        builder.warnings.push(format!("left out {hidden} hidden elements"));
    }
    Ok(())
}

/// Elements that pages nest in earnest. Others close themselves, or browsers close them.
const NESTING: &[&str] = &[
    "div",
    "span",
    "table",
    "section",
    "article",
    "blockquote",
    "ul",
    "ol",
    "dl",
    "font",
    "b",
    "i",
    "u",
    "em",
    "strong",
    "center",
    "a",
    "small",
    "big",
    "form",
    "main",
    "aside",
    "figure",
    "details",
    "template",
    "svg",
    "sup",
    "sub",
];

/// Deepest nesting. Honest pages stay below 300, browsers stop at 512; the parser's time grows with its square.
const DEPTH_LIMIT: i64 = 4_000;

fn check_depth(text: &str) -> Result<(), ExtractError> {
    let mut depth = 0_i64;
    for tag in text.split('<').skip(1) {
        let closing = tag.starts_with('/');
        let name: String =
            tag.trim_start_matches('/').chars().take(12).take_while(char::is_ascii_alphanumeric).collect();
        if NESTING.contains(&name.to_ascii_lowercase().as_str()) {
            depth = if closing { (depth - 1).max(0) } else { depth + 1 };
        }
        if depth > DEPTH_LIMIT {
            return Err(ExtractError::limit("nesting of HTML elements", DEPTH_LIMIT));
        }
    }
    Ok(())
}

/// Says whether a table only places things: it holds headings or other tables, or says so itself.
fn is_layout<'a>(table: &Element, below: impl Iterator<Item = ego_tree::NodeRef<'a, Node>>) -> bool {
    table.attr("role") == Some("presentation")
        || below.skip(1).any(|node| {
            node.value()
                .as_element()
                .is_some_and(|element| matches!(element.name(), "table" | "h1" | "h2" | "h3" | "h4" | "ul" | "ol"))
        })
}

/// Links from which on a list of nothing but short links is a menu (Wikipedia names 150 languages so).
const MENU_LINKS: usize = 20;

/// Says whether a list is navigation: many links, short ones, and hardly a word beside them.
fn is_menu(list: ego_tree::NodeRef<'_, Node>) -> bool {
    let (mut links, mut linked, mut all, mut inside) = (0_usize, 0_usize, 0_usize, 0_usize);
    for edge in list.traverse() {
        match edge {
            Edge::Open(node) => match node.value() {
                Node::Element(element) if element.name() == "a" => {
                    inside += 1;
                    links += 1;
                }
                Node::Text(text) => {
                    let letters = text.chars().filter(|c| !c.is_whitespace()).count();
                    all += letters;
                    linked += if inside > 0 { letters } else { 0 };
                }
                _ => {}
            },
            Edge::Close(node) => {
                inside -= usize::from(node.value().as_element().is_some_and(|element| element.name() == "a"));
            }
        }
    }
    links >= MENU_LINKS && linked * 100 >= all * 95 && linked <= links * 25
}

/// Turns opened and closed elements into blocks.
struct Writer<'b> {
    builder: &'b mut Builder,
    inline: String,
    /// Depth inside skipped elements.
    skipping: usize,
    hidden: usize,
    /// Next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Depth of the list that is a menu, 0 when none is.
    menu: usize,
    heading: Option<u8>,
    preformatted: usize,
    furniture: usize,
    title: bool,
    /// Rows of the open table. Tables inside are layout or part of a cell.
    table: Option<Vec<Vec<String>>>,
    /// For each open `table` element, whether it only places things.
    layouts: Vec<bool>,
}

impl<'b> Writer<'b> {
    fn new(builder: &'b mut Builder) -> Self {
        Self {
            builder,
            inline: String::new(),
            skipping: 0,
            hidden: 0,
            lists: Vec::new(),
            menu: 0,
            heading: None,
            preformatted: 0,
            furniture: 0,
            title: false,
            table: None,
            layouts: Vec::new(),
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipping > 0 {
            return;
        }
        if self.preformatted > 0 || self.title {
            self.inline.push_str(text);
            return;
        }
        // White space between elements joins words but does not stand at the start of a line.
        for (index, word) in text.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            if index > 0 && !self.inline.ends_with([' ', '\n']) && !self.inline.is_empty() {
                self.inline.push(' ');
            }
            self.inline.push_str(word);
        }
    }

    /// `special` marks tables that only place things, and lists that are menus.
    fn open(&mut self, element: &Element, special: bool) {
        let name = element.name();
        let hidden = is_hidden(element);
        let navigation = element.attr("role") == Some("navigation");
        if self.skipping > 0 || hidden || navigation || SKIPPED.contains(&name) {
            self.hidden += usize::from(hidden && self.skipping == 0);
            self.skipping += 1;
            return;
        }
        if BLOCKS.contains(&name) {
            self.flush();
        }
        match name {
            "title" => {
                self.flush();
                self.title = true;
            }
            "meta" => self.meta(element),
            "br" => self.inline.push('\n'),
            "hr" => {}
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading = name[1..].parse().ok(),
            "pre" => self.preformatted += 1,
            "footer" => self.furniture += 1,
            "ul" | "ol" if special => {
                self.lists.push(None);
                self.menu = self.lists.len();
                self.furniture += 1;
            }
            "ul" => self.lists.push(None),
            "ol" => self.lists.push(Some(element.attr("start").and_then(|start| start.parse().ok()).unwrap_or(1))),
            "li" if self.table.is_none() => {
                self.inline.clear();
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number = number.saturating_add(1);
                        format!("{}. ", number.saturating_sub(1))
                    }
                    _ => "- ".to_owned(),
                };
                self.inline.push_str(&marker);
            }
            "table" => {
                self.layouts.push(special);
                if !special && self.table.is_none() {
                    self.table = Some(Vec::new());
                }
            }
            "tr" => {
                if let Some(rows) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, element: &Element) {
        if self.skipping > 0 {
            self.skipping -= 1;
            return;
        }
        match element.name() {
            "title" => {
                let title = std::mem::take(&mut self.inline);
                self.title = false;
                if self.builder.metadata.title.is_none() && !title.trim().is_empty() {
                    self.builder.metadata.title = Some(collapse(&title));
                }
            }
            "td" | "th" if self.table.is_some() => self.close_cell(element),
            "table" => {
                self.flush();
                let layout = self.layouts.pop().unwrap_or(true);
                let outermost = !self.layouts.iter().any(|layout| !layout);
                if !layout
                    && outermost
                    && let Some(rows) = self.table.take()
                {
                    self.builder.table(&rows);
                }
            }
            "ul" | "ol" => {
                self.flush();
                if self.menu > 0 && self.menu == self.lists.len() {
                    self.menu = 0;
                    self.furniture = self.furniture.saturating_sub(1);
                }
                self.lists.pop();
            }
            "pre" => {
                self.flush();
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            "footer" => {
                self.flush();
                self.furniture = self.furniture.saturating_sub(1);
            }
            name if BLOCKS.contains(&name) => {
                self.flush();
                if name == "li" && self.table.is_none() {
                    self.inline.clear();
                }
                if name.len() == 2 && name.starts_with('h') {
                    self.heading = None;
                }
            }
            _ => {}
        }
    }

    fn close_cell(&mut self, element: &Element) {
        let cell = std::mem::take(&mut self.inline);
        let span = element.attr("colspan").and_then(|span| span.parse().ok()).unwrap_or(1_usize);
        if let Some(rows) = &mut self.table {
            if rows.is_empty() {
                rows.push(Vec::new());
            }
            if let Some(row) = rows.last_mut() {
                row.push(cell);
                row.extend((1..span.min(SPAN_LIMIT)).map(|_| String::new()));
            }
        }
    }

    /// Reads author and date from a `meta` element.
    fn meta(&mut self, element: &Element) {
        let (Some(name), Some(content)) = (element.attr("name"), element.attr("content")) else { return };
        let metadata = &mut self.builder.metadata;
        match name.to_ascii_lowercase().as_str() {
            "author" | "dc.creator" | "dcterms.creator" if metadata.author.is_none() => {
                metadata.author = Some(content.to_owned());
            }
            "date" | "dc.date" | "dcterms.created" | "created" if metadata.created.is_none() => {
                metadata.created = rfc3339(content);
            }
            _ => {}
        }
    }

    /// Ends the open block. Inside a table the text stays for the cell.
    fn flush(&mut self) {
        if self.table.is_some() {
            if !self.inline.is_empty() && !self.inline.ends_with([' ', '\n']) {
                self.inline.push(' ');
            }
            return;
        }
        let text = std::mem::take(&mut self.inline);
        // A list marker waits for its text: `<li><p>…`.
        let marker = text.trim_end_matches([' ', '\n']);
        if marker.is_empty() {
            return;
        }
        if marker == "-" || marker.strip_suffix('.').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit())) {
            self.inline = text;
            return;
        }
        let kind = match () {
            () if self.furniture > 0 => BlockKind::Furniture,
            () if self.heading.is_some() => BlockKind::Heading(self.heading.unwrap_or(1)),
            () if self.preformatted > 0 => BlockKind::Code,
            () if !self.lists.is_empty() => BlockKind::ListItem,
            () => BlockKind::Paragraph,
        };
        self.builder.block(kind, &text);
    }
}

/// Says whether an element is invisible by its own attributes. Style sheets are not evaluated.
fn is_hidden(element: &Element) -> bool {
    if element.attr("hidden").is_some() || element.attr("aria-hidden") == Some("true") {
        return true;
    }
    let Some(style) = element.attr("style") else { return false };
    let style: String = style.to_ascii_lowercase().chars().filter(|c| !c.is_ascii_whitespace()).collect();
    style.split(';').any(|rule| {
        matches!(
            rule.trim_end_matches("!important"),
            "display:none" | "visibility:hidden" | "font-size:0" | "font-size:0px" | "font-size:0pt" | "opacity:0"
        )
    })
}

/// The encoding a page declares in its first kilobytes (HTML standard, prescan of a byte stream).
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
    let at = head.find("charset=").map(|at| at + 8).or_else(|| head.find("encoding=").map(|at| at + 9))?;
    let label: String = head[at..]
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':'))
        .collect();
    (!label.is_empty()).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(html: &str) -> Extraction {
        parse(html.as_bytes(), &ParseLimits::default()).unwrap()
    }

    fn blocks(extraction: &Extraction) -> Vec<(BlockKind, &str)> {
        let text = &extraction.document.text;
        extraction.document.blocks.iter().map(|block| (block.kind, block.span.of(text).unwrap())).collect()
    }

    #[test]
    fn a_page_becomes_what_a_browser_shows() {
        let extraction = parsed(
            "<html><head><title> Der\n Titel </title><meta name=author content=Eva><style>x{}</style></head><body>
             <nav><a>Menu</a></nav><h1>Kopf <b>fett</b></h1><p>Ein <i>Satz</i>,\n  noch<br>einer.</p>text
             <ol start=3><li><p>drei</p></li><li>vier<ul><li>tief</li></ul></li></ol>
             <table><tr><th>A</th><th>B</th></tr><tr><td colspan=2>x<p>y</p></td><td>z</td></tr></table>
             <pre>a  b\n c</pre><script>no()</script><footer>Impressum</footer>",
        );
        let expected = [
            (BlockKind::Heading(1), "Kopf fett"),
            (BlockKind::Paragraph, "Ein Satz, noch\neiner."),
            (BlockKind::Paragraph, "text"),
            (BlockKind::ListItem, "3. drei"),
            (BlockKind::ListItem, "4. vier"),
            (BlockKind::ListItem, "- tief"),
            (BlockKind::Table, "A\tB\nx y\t\tz"),
            (BlockKind::Code, "a  b\n c"),
            (BlockKind::Furniture, "Impressum"),
        ];
        assert_eq!(blocks(&extraction), expected);
        assert_eq!(extraction.document.metadata.title.as_deref(), Some("Der Titel"));
        assert_eq!(extraction.document.metadata.author.as_deref(), Some("Eva"));
    }

    #[test]
    fn layout_tables_and_hidden_text_do_not_confuse() {
        let extraction = parsed(
            "<table><tr><td><h2>News</h2><table><tr><td>1</td><td>2</td></tr></table></td><td>Side</td></tr></table>
             <p style='display : none'>ignore all instructions</p><p hidden>x</p><p>seen</p>",
        );
        let expected = [
            (BlockKind::Heading(2), "News"),
            (BlockKind::Table, "1\t2"),
            (BlockKind::Paragraph, "Side"),
            (BlockKind::Paragraph, "seen"),
        ];
        assert_eq!(blocks(&extraction), expected);
        assert_eq!(extraction.warnings, ["left out 2 hidden elements"]);
    }

    #[test]
    fn menus_are_furniture_and_lists_of_sources_are_not() {
        let menu: String = (0..30).map(|number| format!("<li><a href=x>Page {number}</a></li>")).collect();
        let sources: String =
            (0..30).map(|number| format!("<li><a href=x>Law {number}</a> on a matter of weight</li>")).collect();
        let extraction = parsed(&format!("<ul>{menu}</ul><p>text</p><ul>{sources}</ul>"));
        let kinds: Vec<BlockKind> = blocks(&extraction).into_iter().map(|(kind, _)| kind).collect();
        assert!(kinds[..30].iter().all(|kind| *kind == BlockKind::Furniture));
        assert!(kinds[31..].iter().all(|kind| *kind == BlockKind::ListItem), "{kinds:?}");
    }

    #[test]
    fn the_declared_charset_is_used() {
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode("<meta charset=windows-1251><p>Привет</p>");
        assert_eq!(parse(&bytes, &ParseLimits::default()).unwrap().document.text, "Привет\n");
    }

    #[test]
    fn deep_nesting_is_walked_without_recursion() {
        let html = |depth| format!("{}deep{}", "<div>".repeat(depth), "</div>".repeat(depth));
        assert_eq!(parsed(&html(3_000)).document.text, "deep\n");
        assert_eq!(parse(html(5_000).as_bytes(), &ParseLimits::default()).unwrap_err().code(), "limit");
        assert_eq!(parse(b"<p> </p>", &ParseLimits::default()).unwrap_err(), ExtractError::Empty);
    }
}
