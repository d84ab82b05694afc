//! What a chunk is in either home of Qdrant: fields beside a vector, and the checks before anything is written.

use std::collections::BTreeMap;

use fontes_core::{ChunkId, IndexEntry, Result, day_of, folded, seam::require_labels};
use serde_json::{Value, json};

use crate::error::IndexError;

/// Payload field: groups that may see the chunk.
pub(crate) const GROUPS: &str = "groups";
/// Payload field: rank of the classification.
pub(crate) const RANK: &str = "rank";
/// Payload field: language code.
pub(crate) const LANGUAGE: &str = "language";
/// Payload field: name of the source.
pub(crate) const SOURCE: &str = "source";
/// Payload field: media type of the document.
pub(crate) const MEDIA_TYPE: &str = "media_type";
/// Payload field: id of the document.
pub(crate) const DOCUMENT: &str = "document";
/// Payload field: author, in lower case.
pub(crate) const AUTHOR: &str = "author";
/// Payload field: names and numbers of the patient it is about, in lower case.
pub(crate) const PATIENT: &str = "patient";
/// Payload field: day of the document, as a number of eight digits.
pub(crate) const DAY: &str = "day";

/// How a field is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// Words compared as a whole.
    Keyword,
    /// Whole numbers, compared by size.
    Integer,
}

/// Every payload field, each of which is indexed: a filter on a field without an index reads every payload.
pub(crate) const FIELDS: [(&str, FieldKind); 9] = [
    (GROUPS, FieldKind::Keyword),
    (RANK, FieldKind::Integer),
    (LANGUAGE, FieldKind::Keyword),
    (SOURCE, FieldKind::Keyword),
    (MEDIA_TYPE, FieldKind::Keyword),
    (DOCUMENT, FieldKind::Keyword),
    (AUTHOR, FieldKind::Keyword),
    (PATIENT, FieldKind::Keyword),
    (DAY, FieldKind::Integer),
];

/// How far from one the length of a vector may be: f32 rounding over a few thousand dimensions stays far below.
const UNIT_TOLERANCE: f32 = 1e-3;

/// What is stored with a vector: enough to filter by, and no content.
pub(crate) fn payload(entry: &IndexEntry<'_>) -> Value {
    let labels = &entry.document.labels;
    json!({
        GROUPS: labels.groups,
        RANK: labels.classification.rank(),
        LANGUAGE: entry.chunk.language.code(),
        SOURCE: labels.source,
        MEDIA_TYPE: entry.document.media_type,
        DOCUMENT: entry.document.id,
        AUTHOR: entry.document.author.as_deref().map(folded),
        PATIENT: entry.document.patient.iter().map(|name| folded(name)).collect::<Vec<_>>(),
        DAY: day_of(entry.document),
    })
}

/// Checks that a vector is `dimensions` long and of unit length.
///
/// # Errors
/// [`IndexError::Dimensions`] and [`IndexError::NotUnit`].
pub(crate) fn check_vector(vector: &[f32], dimensions: usize) -> Result<(), IndexError> {
    if vector.len() != dimensions {
        return Err(IndexError::Dimensions { got: vector.len(), want: dimensions });
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    // A NaN is near nothing, so it is refused too.
    let unit = (length - 1.0).abs() < UNIT_TOLERANCE;
    if unit { Ok(()) } else { Err(IndexError::NotUnit) }
}

/// Checks every entry before any is written; of two for one chunk the later is given, in the order of ids.
///
/// # Errors
/// [`fontes_core::ErrorKind::Invalid`] for the first that may not be stored.
pub(crate) fn checked<'e, 'a>(entries: &'e [IndexEntry<'a>], dimensions: usize) -> Result<Vec<&'e IndexEntry<'a>>> {
    let mut latest: BTreeMap<ChunkId, &IndexEntry<'a>> = BTreeMap::new();
    for entry in entries {
        check_vector(entry.vector, dimensions)?;
        require_labels(&entry.document.labels)?;
        if entry.chunk.document != entry.document.id {
            return Err(IndexError::Mismatch { chunk: entry.chunk.id, document: entry.document.id }.into());
        }
        latest.insert(entry.chunk.id, entry);
    }
    Ok(latest.into_values().collect())
}
