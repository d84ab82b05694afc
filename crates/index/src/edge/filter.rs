//! Conditions and fields in the types of Qdrant's in-process shard.

use fontes_core::{AccessScope, Filter};
use qdrant_edge::{
    AnyVariants, Condition as EdgeCondition, FieldCondition, Filter as EdgeFilter, JsonPath, Match, PayloadSchemaType,
    Range, external::ordered_float::OrderedFloat,
};

use crate::{
    condition::{Condition, conditions},
    point::FieldKind,
};

/// What every search asks with; `None` when nothing can match.
pub(super) fn scope_filter(scope: &AccessScope, filter: &Filter) -> Option<EdgeFilter> {
    let must = conditions(scope, filter)?.into_iter().map(condition).collect();
    Some(EdgeFilter { should: None, min_should: None, must: Some(must), must_not: None })
}

fn condition(condition: Condition) -> EdgeCondition {
    match condition {
        Condition::AnyOf(field, words) => {
            let any = Match::new_any(AnyVariants::Strings(words.into_iter().collect()));
            EdgeCondition::Field(FieldCondition::new_match(json_path(field), any))
        }
        Condition::Within(field, first, last) => {
            let bound = |number: Option<u32>| number.map(|number| OrderedFloat(f64::from(number)));
            let range = Range { lt: None, gt: None, gte: bound(first), lte: bound(last) };
            EdgeCondition::Field(FieldCondition::new_range(json_path(field), range))
        }
        Condition::NotAbove(field, last) => {
            let range = Range { lt: None, gt: Some(OrderedFloat(f64::from(last))), gte: None, lte: None };
            let above = EdgeCondition::Field(FieldCondition::new_range(json_path(field), range));
            EdgeCondition::Filter(EdgeFilter {
                should: None,
                min_should: None,
                must: None,
                must_not: Some(vec![above]),
            })
        }
        Condition::Either(conditions) => {
            let should = Some(conditions.into_iter().map(self::condition).collect());
            EdgeCondition::Filter(EdgeFilter { should, min_should: None, must: None, must_not: None })
        }
    }
}

/// The path of a payload field.
pub(super) fn json_path(field: &str) -> JsonPath {
    field.parse().expect("a plain name is a path")
}

/// How the shard indexes a field.
pub(super) fn schema(kind: FieldKind) -> PayloadSchemaType {
    match kind {
        FieldKind::Keyword => PayloadSchemaType::Keyword,
        FieldKind::Integer => PayloadSchemaType::Integer,
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::Classification;
    use fontes_testkit::scope;
    use serde_json::json;

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
}
