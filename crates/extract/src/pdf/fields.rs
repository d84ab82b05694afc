//! What a PDF holds beside page content: form fields, comments, attached files.

use std::borrow::Cow;

use hayro::{
    hayro_interpret::RectExt as _,
    hayro_syntax::{
        Pdf,
        object::{Array, Dict, Name, Rect, Stream, String as PdfString},
        page::Page,
    },
    kurbo::Affine,
};

use crate::{ParseLimits, archive::push_child, builder::Builder};

/// Text that stands on a page as a field or comment.
#[derive(Debug, PartialEq)]
pub(super) struct Note {
    pub text: String,
    /// A comment, else a filled form field.
    pub is_comment: bool,
    /// Left, top, right, bottom on the displayed page, when the file says so.
    pub area: Option<(f32, f32, f32, f32)>,
}

/// Most annotations read per page.
const NOTES_LIMIT: usize = 2_000;

/// Reads the filled fields and the comments of a page (ISO 32000-2, 12.5 and 12.7).
pub(super) fn annotations(page: &Page<'_>, display: Affine) -> Vec<Note> {
    let Some(list) = page.raw().get::<Array<'_>>("Annots") else { return Vec::new() };
    let mut notes = Vec::new();
    for annotation in list.iter::<Dict<'_>>().take(NOTES_LIMIT) {
        let kind = annotation.get::<Name<'_>>("Subtype");
        let (text, is_comment) = match kind.as_deref() {
            Some(b"Widget") => (field(&annotation), false),
            Some(b"Text" | b"FreeText" | b"Highlight" | b"Underline" | b"StrikeOut" | b"Squiggly") => {
                (text(&annotation, "Contents"), true)
            }
            _ => continue,
        };
        let Some(text) = text else { continue };
        notes.push(Note { text, is_comment, area: area(&annotation, display) });
    }
    notes
}

#[expect(clippy::cast_possible_truncation, reason = "points on a page fit f32")]
fn area(annotation: &Dict<'_>, display: Affine) -> Option<(f32, f32, f32, f32)> {
    let rect = display.transform_rect_bbox(annotation.get::<Rect>("Rect")?.to_kurbo());
    Some((rect.x0 as f32, rect.y0 as f32, rect.x1 as f32, rect.y1 as f32))
}

/// A form field as `label: value`. Label and value may stand with the field's parent.
fn field(widget: &Dict<'_>) -> Option<String> {
    let parent = widget.get::<Dict<'_>>("Parent");
    let lookup = |key: &str| text(widget, key).or_else(|| text(parent.as_ref()?, key));
    let value = lookup("V").filter(|value| value != "Off")?;
    match lookup("TU").or_else(|| lookup("T")) {
        Some(label) => Some(format!("{label}: {value}")),
        None => Some(value),
    }
}

/// Attached files become children (ISO 32000-2, 7.11.4); those that cannot be read are told.
pub(super) fn attachments(builder: &mut Builder, pdf: &Pdf, limits: &ParseLimits) {
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let tree = catalog.and_then(|catalog| catalog.get::<Dict<'_>>("Names")?.get::<Dict<'_>>("EmbeddedFiles"));
    let mut waiting: Vec<Dict<'_>> = tree.into_iter().collect();
    let (mut nodes, mut total, mut failed) = (0_u64, 0_u64, 0_u64);
    while let Some(node) = waiting.pop() {
        nodes += 1;
        if nodes > limits.entries {
            break;
        }
        let kids: Vec<Dict<'_>> = node.get::<Array<'_>>("Kids").iter().flat_map(|kids| kids.iter()).collect();
        waiting.extend(kids.into_iter().rev());
        let Some(pairs) = node.get::<Array<'_>>("Names") else { continue };
        // Keys and specifications take turns; keys are strings.
        for specification in pairs.iter::<hayro::hayro_syntax::object::Object<'_>>().filter_map(|item| item.into_dict())
        {
            match file(&specification) {
                Some((name, bytes)) if total + bytes.len() as u64 <= limits.inflated_bytes => {
                    total += bytes.len() as u64;
                    push_child(&mut builder.children, &name, bytes.into_owned());
                }
                _ => failed += 1,
            }
        }
    }
    if failed > 0 {
        builder.warnings.push(format!("{failed} attached files could not be read"));
    }
}

fn file<'a>(specification: &Dict<'a>) -> Option<(String, Cow<'a, [u8]>)> {
    let name = text(specification, "UF").or_else(|| text(specification, "F"))?;
    let files = specification.get::<Dict<'_>>("EF")?;
    let stream = files.get::<Stream<'_>>("UF").or_else(|| files.get::<Stream<'_>>("F"))?;
    Some((name, stream.decoded().ok()?))
}

/// A text string or name, `None` when empty.
fn text(dictionary: &Dict<'_>, key: &str) -> Option<String> {
    let text = match dictionary.get::<PdfString<'_>>(key) {
        Some(string) => decoded(string.as_bytes()),
        None => String::from_utf8_lossy(&dictionary.get::<Name<'_>>(key)?).into_owned(),
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Decodes a text string (ISO 32000-2, 7.9.2.2): UTF-16 or UTF-8 by its mark, else PDFDocEncoding.
pub(super) fn decoded(bytes: &[u8]) -> String {
    let object = lopdf::Object::String(bytes.to_vec(), lopdf::StringFormat::Literal);
    lopdf::decode_text_string(&object).unwrap_or_default()
}
