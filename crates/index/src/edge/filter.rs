//! From scope and filter to Qdrant: payload fields, and the one function that compiles who may see what.

use fontes_core::{AccessScope, Filter, FilterField, IndexEntry};
use qdrant_edge::{
    AnyVariants, Condition, FieldCondition, Filter as QdrantFilter, JsonPath, Match, PayloadSchemaType, Range,
    external::ordered_float::OrderedFloat,
};
use serde_json::{Value, json};

/// Payload field: groups that may see the chunk.
const GROUPS: &str = "groups";
/// Payload field: rank of the classification.
const RANK: &str = "rank";
/// Payload field: language code.
const LANGUAGE: &str = "language";
/// Payload field: name of the source.
const SOURCE: &str = "source";
/// Payload field: media type of the document.
const MEDIA_TYPE: &str = "media_type";
/// Payload field: id of the document.
const DOCUMENT: &str = "document";

/// Every payload field, each of which is indexed: a filter on a field without an index reads every payload.
pub(super) const FIELDS: [(&str, PayloadSchemaType); 6] = [
    (GROUPS, PayloadSchemaType::Keyword),
    (RANK, PayloadSchemaType::Integer),
    (LANGUAGE, PayloadSchemaType::Keyword),
    (SOURCE, PayloadSchemaType::Keyword),
    (MEDIA_TYPE, PayloadSchemaType::Keyword),
    (DOCUMENT, PayloadSchemaType::Keyword),
];

/// What is stored with a vector: enough to filter by, and no content.
pub(super) fn payload(entry: &IndexEntry<'_>) -> Value {
    let labels = &entry.document.labels;
    json!({
        GROUPS: labels.groups,
        RANK: labels.classification.rank(),
        LANGUAGE: entry.chunk.language.code(),
        SOURCE: labels.source,
        MEDIA_TYPE: entry.document.media_type,
        DOCUMENT: entry.document.id,
    })
}

/// Compiles who is asking and what was asked for into conditions that must all hold. `None` when nothing can
/// match: a scope without groups has no filter, so a caller cannot search with one that forgets the scope.
pub(super) fn scope_filter(scope: &AccessScope, filter: &Filter) -> Option<QdrantFilter> {
    if scope.groups().len() == 0 {
        return None;
    }
    let mut must = vec![
        any_of(GROUPS, scope.groups().map(|group| group.0.clone())),
        Condition::Field(FieldCondition::new_range(
            json_path(RANK),
            Range { lt: None, gt: None, gte: None, lte: Some(OrderedFloat(f64::from(scope.clearance().rank()))) },
        )),
    ];
    for field in [FilterField::Language, FilterField::Source, FilterField::MediaType, FilterField::DocumentId] {
        let mut values = filter.values(field).map(str::to_owned).peekable();
        if values.peek().is_some() {
            must.push(any_of(payload_field(field), values));
        }
    }
    Some(QdrantFilter { should: None, min_should: None, must: Some(must), must_not: None })
}

/// The payload field that a filter field looks at.
fn payload_field(field: FilterField) -> &'static str {
    match field {
        FilterField::Language => LANGUAGE,
        FilterField::Source => SOURCE,
        FilterField::MediaType => MEDIA_TYPE,
        FilterField::DocumentId => DOCUMENT,
    }
}

/// The path of a payload field.
pub(super) fn json_path(field: &str) -> JsonPath {
    field.parse().expect("a plain name is a path")
}

fn any_of(field: &str, values: impl Iterator<Item = String>) -> Condition {
    let any = Match::new_any(AnyVariants::Strings(values.collect()));
    Condition::Field(FieldCondition::new_match(json_path(field), any))
}

#[cfg(test)]
mod tests {
    use fontes_core::Classification;
    use fontes_testkit::scope;

    use super::*;

    #[test]
    fn the_scope_is_always_in_the_filter() {
        let compiled = scope_filter(&scope(&["a", "b"], Classification::Internal), &Filter::default()).unwrap();
        assert_eq!(
            serde_json::to_value(compiled).unwrap()["must"],
            json!([
                { "key": "groups", "match": { "any": ["a", "b"] } },
                { "key": "rank", "range": { "lt": null, "gt": null, "gte": null, "lte": 1.0 } },
            ])
        );
    }

    #[test]
    fn no_group_has_no_filter() {
        assert_eq!(scope_filter(&scope(&[], Classification::Secret), &Filter::default()), None);
    }
}
