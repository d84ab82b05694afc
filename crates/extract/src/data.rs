//! Data as text: tables with separators, JSON, XML.

use fontes_core::BlockKind;
use roxmltree::Node;

use crate::{
    ExtractError, Extraction, MediaType, ParseLimits,
    builder::Builder,
    clinical, encoding, plain,
    xml::{self, NodeExt as _},
};

/// Parses a table with separators (RFC 4180 and its relatives with semicolons, tabs and bars).
pub(crate) fn parse_csv(bytes: &[u8], media: MediaType, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, None);
    let separator = if media == MediaType::Tsv { '\t' } else { separator(&text) };
    let mut builder = Builder::new(limits);
    let mut cells = 0_u64;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in (Rows { rest: &text, separator }) {
        cells += row.len() as u64;
        if cells > limits.cells {
            return Err(ExtractError::limit("number of cells", limits.cells));
        }
        // An empty line parts two tables.
        if row.iter().all(|cell| cell.trim().is_empty()) {
            builder.table(&std::mem::take(&mut rows));
        } else {
            rows.push(row);
        }
    }
    builder.table(&rows);
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(media)
}

/// The separator that splits the first lines most evenly.
fn separator(text: &str) -> char {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(20).collect();
    let score = |separator: char| {
        let counts: Vec<usize> = lines.iter().map(|line| line.matches(separator).count()).collect();
        let least = counts.iter().min().copied().unwrap_or(0);
        (least, counts.iter().filter(|count| **count == least).count())
    };
    // On a tie the later one wins: the comma is the standard's.
    ['|', '\t', ';', ','].into_iter().max_by_key(|separator| score(*separator)).unwrap_or(',')
}

/// Reads row after row; quotes may hold separators, line ends and doubled quotes.
struct Rows<'t> {
    rest: &'t str,
    separator: char,
}

impl Iterator for Rows<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut row = vec![String::new()];
        let mut quoted = false;
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            let cell = row.last_mut().expect("a row has a cell from the start");
            match c {
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' if quoted || cell.trim().is_empty() => quoted = !quoted,
                c if c == self.separator && !quoted => row.push(String::new()),
                '\n' if !quoted => {
                    end = at + 1;
                    break;
                }
                c => cell.push(c),
            }
        }
        self.rest = &self.rest[end..];
        Some(row)
    }
}

/// Parses JSON or JSON Lines: keys and values as indented lines, as a reader would write them down. What is
/// not well-formed is kept as text.
pub(crate) fn parse_json(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, None);
    if text.contains("\"resourceType\"")
        && let Ok(resource) = serde_json::from_str::<serde_json::Value>(&text)
        && resource["resourceType"].is_string()
    {
        return clinical::parse_fhir(&resource, limits);
    }
    let mut builder = Builder::new(limits);
    let mut damaged = false;
    // serde_json bounds the depth itself (128).
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
    for value in values.by_ref() {
        let Ok(value) = value else {
            damaged = true;
            break;
        };
        let items = match value {
            serde_json::Value::Array(items) => items,
            value => vec![value],
        };
        for item in items {
            let mut lines = String::new();
            outline(&item, "", 0, &mut lines);
            builder.block(BlockKind::Code, &lines);
        }
    }
    if damaged {
        let rest = text.get(values.byte_offset()..).unwrap_or(&text);
        plain::blocks(&mut builder, rest);
        builder.warnings.push("the JSON is damaged: kept as text".into());
    }
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Json)
}

/// Writes a value as `key: value` lines, two blanks deeper for each level.
fn outline(value: &serde_json::Value, key: &str, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let mut line = |text: &str| {
        let separator = if key.is_empty() || text.is_empty() { "" } else { " " };
        let colon = if key.is_empty() { "" } else { ":" };
        out.push_str(&format!("{indent}{key}{colon}{separator}{text}\n"));
    };
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::String(text) => line(text),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => line(&value.to_string()),
        serde_json::Value::Array(items) => {
            for item in items {
                outline(item, if key.is_empty() { "-" } else { key }, depth, out);
            }
        }
        serde_json::Value::Object(fields) => {
            let deeper = if key.is_empty() {
                depth
            } else {
                line("");
                depth + 1
            };
            for (name, field) in fields {
                outline(field, name, deeper, out);
            }
        }
    }
}

/// Parses XML of no known kind: the text of its elements, each under its name. With a document type
/// definition it is kept as it is written, nothing is expanded.
pub(crate) fn parse_xml(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, declared(bytes).as_deref());
    let mut builder = Builder::new(limits);
    match xml::tree(&text, limits) {
        Ok(tree) if clinical::ccda_blocks(&mut builder, &tree) => {}
        Ok(tree) => {
            let mut lines = String::new();
            for node in tree.descendants().filter(Node::is_element) {
                let own: String = node.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
                if own.trim().is_empty() {
                    // A container ends what went before it.
                    if lines.len() > 2000 {
                        builder.block(BlockKind::Paragraph, &std::mem::take(&mut lines));
                    }
                    continue;
                }
                let inline = node.children().any(|child| child.is_element());
                let content = if inline { node.all_text() } else { own };
                lines.push_str(&format!("{}: {}\n", node.name(), crate::clean::collapse(&content)));
            }
            builder.block(BlockKind::Paragraph, &lines);
        }
        Err(ExtractError::Unsafe { .. }) => {
            builder.warnings.push("declares a document type: kept as source text, no entity expanded".into());
            builder.block(BlockKind::Code, &text);
        }
        Err(error) => return Err(error),
    }
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Xml)
}

/// The encoding of the XML declaration.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let at = head.find("encoding=")? + "encoding=".len();
    let label = head[at..].trim_start_matches(['"', '\'']);
    Some(label.split(['"', '\'', '?']).next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], name: &str) -> String {
        crate::parse(bytes, name, &ParseLimits::default()).unwrap().document.text
    }

    #[test]
    fn separators_are_found_and_quotes_honoured() {
        assert_eq!(text(b"a;b,c\n\"x;\n\"\"y\"\"\";2\n\nnew;t\n", "x.csv"), "a\tb,c\nx; \"y\"\t2\n\nnew\tt\n");
        assert_eq!(text(b"a,b\r\n1,\"2,5\"\r\n", "x.csv"), "a\tb\n1\t2,5\n");
        assert_eq!(text(b"a\tb\n1\t2", "x.tsv"), "a\tb\n1\t2\n");
    }

    #[test]
    fn json_becomes_an_outline() {
        let json = br#"{"name":"Eva","tags":["a","b"],"address":{"city":"Bern"},"none":null}"#;
        assert_eq!(text(json, "x.json"), "name: Eva\ntags: a\ntags: b\naddress:\n  city: Bern\n");
        assert_eq!(text(b"{\"a\":1}\n{\"a\":2}\n", "x.jsonl"), "a: 1\n\na: 2\n");
        assert_eq!(text(b"{\"a\":1} oops", "x.json"), "a: 1\n\noops\n");
        assert!(text("[".repeat(100_000).as_bytes(), "x.json").starts_with("[[["));
    }

    #[test]
    fn xml_gives_the_text_of_its_elements() {
        let xml = b"<?xml version='1.0'?><r><name>Eva</name><p>ein <b>fetter</b> Satz</p></r>";
        assert_eq!(text(xml, "x.xml"), "name: Eva\np: ein fetter Satz\nb: fetter\n");
        let bomb = b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'x'>]><l>&a;</l>";
        let extraction = crate::parse(bomb, "x.xml", &ParseLimits::default()).unwrap();
        assert!(extraction.document.text.contains("&a;") && extraction.warnings[0].contains("no entity"));
    }
}
