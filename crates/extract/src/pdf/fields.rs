//! What a PDF holds beside page content: form fields, comments, attached files.

use lopdf::{Dictionary, Document, Object, decode_text_string};

use crate::{ParseLimits, archive::push_child, builder::Builder};

/// Text that stands on a page as a field or comment.
#[derive(Debug, PartialEq)]
pub(super) struct Note {
    pub text: String,
    /// A comment, else a filled form field.
    pub is_comment: bool,
}

/// Most annotations read per page.
const NOTES_LIMIT: usize = 2_000;

/// Reads the filled fields and the comments of a page (ISO 32000-2, 12.5 and 12.7).
pub(super) fn annotations(document: &Document, page: &Dictionary) -> Vec<Note> {
    let Some(list) = resolve(document, page, b"Annots").and_then(|list| list.as_array().ok()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    for item in list.iter().take(NOTES_LIMIT) {
        let Some(annotation) = document.dereference(item).ok().and_then(|(_, item)| item.as_dict().ok()) else {
            continue;
        };
        let note = match annotation.get(b"Subtype").and_then(Object::as_name) {
            Ok(b"Widget") => field(document, annotation).map(|text| Note { text, is_comment: false }),
            Ok(b"Text" | b"FreeText" | b"Highlight" | b"Underline" | b"StrikeOut" | b"Squiggly") => {
                text(document, annotation, b"Contents").map(|text| Note { text, is_comment: true })
            }
            _ => None,
        };
        notes.extend(note);
    }
    notes
}

/// A form field as `label: value`. Label and value may stand with the field's parent.
fn field(document: &Document, widget: &Dictionary) -> Option<String> {
    let parent = resolve(document, widget, b"Parent").and_then(|parent| parent.as_dict().ok());
    let lookup = |key: &[u8]| text(document, widget, key).or_else(|| text(document, parent?, key));
    let value = lookup(b"V").filter(|value| value != "Off")?;
    match lookup(b"TU").or_else(|| lookup(b"T")) {
        Some(label) => Some(format!("{label}: {value}")),
        None => Some(value),
    }
}

/// Attached files become children (ISO 32000-2, 7.11.4); those that cannot be read are told.
pub(super) fn attachments(builder: &mut Builder, document: &Document, limits: &ParseLimits) {
    let Ok(catalog) = document.catalog() else { return };
    let tree = resolve(document, catalog, b"Names")
        .and_then(|names| names.as_dict().ok())
        .and_then(|names| resolve(document, names, b"EmbeddedFiles"));
    let mut waiting: Vec<&Object> = tree.into_iter().collect();
    let (mut nodes, mut total, mut failed) = (0_u64, 0_u64, 0_u64);
    while let Some(node) = waiting.pop() {
        nodes += 1;
        let Some(node) = node.as_dict().ok().filter(|_| nodes <= limits.entries) else { continue };
        for kid in resolve(document, node, b"Kids").and_then(|kids| kids.as_array().ok()).into_iter().flatten().rev() {
            waiting.extend(document.dereference(kid).ok().map(|(_, kid)| kid));
        }
        let pairs = resolve(document, node, b"Names").and_then(|names| names.as_array().ok());
        for pair in pairs.map_or(&[][..], Vec::as_slice).chunks_exact(2) {
            match file(document, &pair[1]) {
                Some((name, bytes)) if total + bytes.len() as u64 <= limits.inflated_bytes => {
                    total += bytes.len() as u64;
                    push_child(&mut builder.children, &name, bytes);
                }
                _ => failed += 1,
            }
        }
    }
    if failed > 0 {
        builder.warnings.push(format!("{failed} attached files could not be read"));
    }
}

fn file(document: &Document, specification: &Object) -> Option<(String, Vec<u8>)> {
    let specification = document.dereference(specification).ok()?.1.as_dict().ok()?;
    let name = text(document, specification, b"UF").or_else(|| text(document, specification, b"F"))?;
    let files = resolve(document, specification, b"EF")?.as_dict().ok()?;
    let stream = resolve(document, files, b"UF").or_else(|| resolve(document, files, b"F"))?.as_stream().ok()?;
    Some((name, stream.get_plain_content().ok()?))
}

fn resolve<'d>(document: &'d Document, dictionary: &'d Dictionary, key: &[u8]) -> Option<&'d Object> {
    dictionary.get(key).and_then(|value| document.dereference(value)).ok().map(|(_, value)| value)
}

/// A text string or name, `None` when empty.
fn text(document: &Document, dictionary: &Dictionary, key: &[u8]) -> Option<String> {
    let value = resolve(document, dictionary, key)?;
    let text = match value {
        Object::Name(name) => String::from_utf8_lossy(name).into_owned(),
        value => decode_text_string(value).ok()?,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}
