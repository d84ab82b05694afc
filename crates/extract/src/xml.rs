//! XML without its dangers: no document type definition, no entities, bounded depth and size.

use roxmltree::{Document, Node, ParsingOptions};

use crate::{ExtractError, ParseLimits};

/// Parses `text` into a read-only tree.
///
/// # Errors
/// [`ExtractError::Unsafe`] when it declares a document type, [`ExtractError::Limit`] over the nesting or
/// number of elements, [`ExtractError::Corrupted`] when it is not well-formed.
pub(crate) fn tree<'t>(text: &'t str, limits: &ParseLimits) -> Result<Document<'t>, ExtractError> {
    check_depth(text, limits.nesting)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: limits.nodes, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => ExtractError::Unsafe { what: "an XML document type definition".into() },
        roxmltree::Error::NodesLimitReached => ExtractError::limit("number of XML nodes", limits.nodes),
        // The message of other errors may quote the text: keep the place only.
        error => ExtractError::corrupted(format!("XML is not well-formed at {}", error.pos())),
    })
}

/// Most attributes of one element, told by their equals signs. Office files have at most some hundred
/// (namespaces of a drawing), and a value that holds thousands of signs is no honest one either.
const ATTRIBUTES_LIMIT: usize = 4_096;

/// Counts how deep elements nest, before a recursive parser does. Quotes are honoured, comments and
/// character data skipped; text that fools this is not well-formed.
fn check_depth(text: &str, limit: u32) -> Result<(), ExtractError> {
    let mut rest = text;
    let mut depth = 0_u32;
    while let Some(open) = rest.find('<') {
        rest = &rest[open..];
        let end = match () {
            () if rest.starts_with("<!--") => rest.find("-->"),
            () if rest.starts_with("<![CDATA[") => rest.find("]]>"),
            () => tag_end(rest),
        };
        let Some(end) = end else { return Ok(()) };
        // Each attribute is compared with all others of its element: time grows with the square.
        if rest.as_bytes().get(1).is_some_and(|byte| !matches!(byte, b'!' | b'?'))
            && end > ATTRIBUTES_LIMIT
            && rest[..end].bytes().filter(|byte| *byte == b'=').count() > ATTRIBUTES_LIMIT
        {
            return Err(ExtractError::limit("number of XML attributes", ATTRIBUTES_LIMIT));
        }
        match rest.as_bytes().get(1) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') => {}
            _ if rest[..end].ends_with('/') => {}
            _ => depth += 1,
        }
        if depth > limit {
            return Err(ExtractError::limit("nesting of XML elements", limit));
        }
        rest = &rest[end..];
    }
    Ok(())
}

/// Where the tag that `rest` begins with ends: its `>` outside quotes.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Navigation by local name: office formats use one prefix per namespace, and local names do not collide
/// where this is used.
pub(crate) trait NodeExt<'a, 't> {
    /// The element's name without its namespace; empty for text.
    fn name(&self) -> &'t str;
    /// The first child element of that name.
    fn child(&self, name: &str) -> Option<Node<'a, 't>>;
    /// The value of the attribute with that local name, in whatever namespace.
    fn attr(&self, name: &str) -> Option<&'a str>;
    /// All text below, joined.
    fn all_text(&self) -> String;
}

impl<'a, 't> NodeExt<'a, 't> for Node<'a, 't> {
    fn name(&self) -> &'t str {
        self.tag_name().name()
    }

    fn child(&self, name: &str) -> Option<Node<'a, 't>> {
        self.children().find(|child| child.name() == name)
    }

    fn attr(&self, name: &str) -> Option<&'a str> {
        self.attributes().find(|attribute| attribute.name() == name).map(|attribute| attribute.value())
    }

    fn all_text(&self) -> String {
        self.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangers_are_typed_errors() {
        let bomb = r#"<!DOCTYPE l [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><l>&b;</l>"#;
        let deep = "<a>".repeat(100_000);
        let wide = format!("<a>{}</a>", "<b/>".repeat(50));
        let limits = ParseLimits { nodes: 40, ..ParseLimits::default() };
        let code = |text: &str| tree(text, &limits).unwrap_err().code();
        assert_eq!(code(bomb), "unsafe");
        assert_eq!(code(&deep), "limit");
        assert_eq!(code(&wide), "limit");
        assert_eq!(code("<a><b></a>"), "corrupted");
    }

    #[test]
    fn depth_counts_elements_only() {
        let flat = format!("<r x='>'>{}</r>", "<a b=\">\"/><!-- <c> --><c></c><![CDATA[<d>]]>".repeat(500));
        check_depth(&flat, 2).unwrap();
        let document = tree(&flat, &ParseLimits::default()).unwrap();
        assert_eq!(document.root_element().attr("x"), Some(">"));
    }
}
