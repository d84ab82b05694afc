//! From scope and filter to Qdrant: payload fields, and the one function that compiles who may see what.

use fontes_core::{AccessScope, Classification, Filter, FilterField, IndexEntry, day_of, folded};
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

/// Payload field: author, in lower case.
const AUTHOR: &str = "author";
/// Payload field: names and numbers of the patient it is about, in lower case.
const PATIENT: &str = "patient";
/// Payload field: day of the document, as a number of eight digits.
const DAY: &str = "day";

/// Every payload field, each of which is indexed: a filter on a field without an index reads every payload.
pub(super) const FIELDS: [(&str, PayloadSchemaType); 9] = [
    (GROUPS, PayloadSchemaType::Keyword),
    (RANK, PayloadSchemaType::Integer),
    (LANGUAGE, PayloadSchemaType::Keyword),
    (SOURCE, PayloadSchemaType::Keyword),
    (MEDIA_TYPE, PayloadSchemaType::Keyword),
    (DOCUMENT, PayloadSchemaType::Keyword),
    (AUTHOR, PayloadSchemaType::Keyword),
    (PATIENT, PayloadSchemaType::Keyword),
    (DAY, PayloadSchemaType::Integer),
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
        AUTHOR: entry.document.author.as_deref().map(folded),
        PATIENT: entry.document.patient.iter().map(|name| folded(name)).collect::<Vec<_>>(),
        DAY: day_of(entry.document),
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
        within(RANK, None, Some(scope.clearance().rank().into())),
    ];
    for field in FilterField::ALL {
        let values: Vec<String> = filter.values(field).map(str::to_owned).collect();
        if values.is_empty() {
            continue;
        }
        must.push(match field {
            FilterField::Language => any_of(LANGUAGE, values.into_iter()),
            FilterField::Source => any_of(SOURCE, values.into_iter()),
            FilterField::MediaType => any_of(MEDIA_TYPE, values.into_iter()),
            FilterField::DocumentId => any_of(DOCUMENT, values.into_iter()),
            FilterField::Author => any_of(AUTHOR, values.into_iter()),
            FilterField::Patient => any_of(PATIENT, values.into_iter()),
            // Who else may see a document is nobody's business: only groups of one's own can be asked for.
            FilterField::Group => {
                any_of(GROUPS, values.into_iter().filter(|group| scope.groups().any(|own| own.0 == *group)))
            }
            FilterField::Classification => {
                let ranks = values
                    .iter()
                    .filter_map(|name| name.parse::<Classification>().ok())
                    .map(|level| f64::from(level.rank()));
                either(ranks.map(|rank| within(RANK, Some(rank), Some(rank))).collect())
            }
            FilterField::Date => {
                let range = |(first, last)| within(DAY, Some(f64::from(first)), Some(f64::from(last)));
                either(filter.dates().map(range).collect())
            }
        });
    }
    Some(QdrantFilter { should: None, min_should: None, must: Some(must), must_not: None })
}

/// A number between two others, ends included.
fn within(field: &str, first: Option<f64>, last: Option<f64>) -> Condition {
    let range = Range { lt: None, gt: None, gte: first.map(OrderedFloat), lte: last.map(OrderedFloat) };
    Condition::Field(FieldCondition::new_range(json_path(field), range))
}

/// One of several conditions.
fn either(conditions: Vec<Condition>) -> Condition {
    Condition::Filter(QdrantFilter { should: Some(conditions), min_should: None, must: None, must_not: None })
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
