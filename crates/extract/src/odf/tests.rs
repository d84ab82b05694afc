//! Small OpenDocument packages through the whole parser.

use super::*;
use crate::package::zipped;

const NAMES: &str = r#"xmlns:office="o" xmlns:text="t" xmlns:table="ta" xmlns:style="s" xmlns:fo="f" xmlns:draw="d" xmlns:presentation="p" xmlns:dc="dc""#;

fn package(kind: &str, content: &str) -> Vec<u8> {
    let content = format!("<office:document-content {NAMES}>{content}</office:document-content>");
    let styles = format!(
        r#"<office:styles {NAMES}><style:master-page><style:header><text:p>Kopf</text:p></style:header></style:master-page></office:styles>"#
    );
    zipped(&[
        ("mimetype", format!("application/vnd.oasis.opendocument.{kind}").as_bytes()),
        ("content.xml", content.as_bytes()),
        ("styles.xml", styles.as_bytes()),
        (
            "meta.xml",
            format!("<office:m {NAMES}><dc:title>T</dc:title><dc:creator>E</dc:creator></office:m>").as_bytes(),
        ),
    ])
}

fn parsed(kind: &str, content: &str) -> Extraction {
    crate::parse(&package(kind, content), "x", &ParseLimits::default()).unwrap()
}

fn blocks(extraction: &Extraction) -> Vec<(BlockKind, u32, &str)> {
    let document = &extraction.document;
    document.blocks.iter().map(|block| (block.kind, block.page, block.span.of(&document.text).unwrap())).collect()
}

#[test]
fn a_text_document_keeps_its_structure() {
    let extraction = parsed(
        "text",
        r#"<office:automatic-styles><style:style style:name="B"><style:paragraph-properties fo:break-before="page"/></style:style>
        <style:style style:name="H"><style:text-properties text:display="none"/></style:style>
        <text:list-style style:name="L"><text:list-level-style-number text:level="1"/></text:list-style></office:automatic-styles>
        <office:body><office:text><text:h text:outline-level="2">Titel</text:h>
        <text:p>Ein<text:s text:c="2"/>Satz<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Note.</text:p></text:note-body></text:note>
          <text:span text:style-name="H">geheim</text:span><draw:frame><draw:text-box><text:p>Kasten</text:p></draw:text-box></draw:frame></text:p>
        <text:list text:style-name="L"><text:list-item><text:p>eins</text:p></text:list-item><text:list-item><text:p>zwei</text:p></text:list-item></text:list>
        <table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>b</text:p></table:table-cell><table:table-cell><text:p>c</text:p></table:table-cell></table:table-row></table:table>
        <text:p text:style-name="B">Neue Seite</text:p></office:text></office:body>"#,
    );
    let expected = [
        (BlockKind::Furniture, 1, "Kopf"),
        (BlockKind::Heading(2), 1, "Titel"),
        (BlockKind::Paragraph, 1, "Ein Satz[1]"),
        (BlockKind::Footnote, 1, "[1] Note."),
        (BlockKind::Paragraph, 1, "Kasten"),
        (BlockKind::ListItem, 1, "1. eins"),
        (BlockKind::ListItem, 1, "2. zwei"),
        (BlockKind::Table, 1, "a b\tc"),
        (BlockKind::Paragraph, 2, "Neue Seite"),
    ];
    assert_eq!(blocks(&extraction), expected);
    assert_eq!(extraction.document.metadata.author.as_deref(), Some("E"));
    assert_eq!(extraction.warnings, ["left out 1 pieces of hidden text"]);
}

#[test]
fn a_sheet_with_a_million_empty_rows_is_small() {
    let extraction = parsed(
        "spreadsheet",
        r#"<office:body><office:spreadsheet><table:table table:name="Kosten">
        <table:table-row><table:table-cell><text:p>Posten</text:p></table:table-cell><table:table-cell table:number-columns-repeated="2"/><table:table-cell><text:p>CHF</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16380"/></table:table-row>
        <table:table-row table:number-rows-repeated="1048570"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>
        <table:table-row><table:table-cell><text:p>Ende</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body>"#,
    );
    assert_eq!(extraction.document.text, "Kopf\n\nKosten\n\nPosten\t\t\tCHF\n\nEnde\n");
}

#[test]
fn slides_are_pages() {
    let extraction = parsed(
        "presentation",
        r#"<office:body><office:presentation>
        <draw:page><draw:frame><draw:text-box><text:p>Text</text:p></draw:text-box></draw:frame>
          <draw:frame presentation:class="title"><draw:text-box><text:p>Titel</text:p></draw:text-box></draw:frame>
          <presentation:notes><draw:frame><draw:text-box><text:p>Merken</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>
        <draw:page><draw:frame><draw:text-box><text:list><text:list-item><text:p>Punkt</text:p></text:list-item></text:list></draw:text-box></draw:frame></draw:page>
        </office:presentation></office:body>"#,
    );
    let expected = [
        (BlockKind::Furniture, 1, "Kopf"),
        (BlockKind::Heading(1), 1, "Titel"),
        (BlockKind::Paragraph, 1, "Text"),
        (BlockKind::Footnote, 1, "Notes: Merken"),
        (BlockKind::ListItem, 2, "- Punkt"),
    ];
    assert_eq!(blocks(&extraction), expected);
}

#[test]
fn an_encrypted_package_is_told() {
    let bytes = zipped(&[
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", b"<manifest:encryption-data/>"),
        ("content.xml", b"\x00\x01noise"),
    ]);
    assert_eq!(crate::parse(&bytes, "x", &ParseLimits::default()).unwrap_err().code(), "encrypted");
}
