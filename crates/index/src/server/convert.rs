//! Points, ids and conditions in the types of Qdrant's protocol.

use fontes_core::{AccessScope, ChunkId, Filter, IndexEntry};
use qdrant_client::{
    Payload,
    qdrant::{
        Condition as ServerCondition, FieldCondition, FieldType, Filter as ServerFilter, Match, PointId, PointStruct,
        Range, RepeatedStrings, condition::ConditionOneOf, r#match::MatchValue, point_id::PointIdOptions,
    },
};

use crate::{
    condition::{Condition, conditions},
    point::{FieldKind, payload},
};

/// What every search asks with; `None` when nothing can match.
pub(super) fn scope_filter(scope: &AccessScope, filter: &Filter) -> Option<ServerFilter> {
    Some(ServerFilter::must(conditions(scope, filter)?.into_iter().map(condition)))
}

fn condition(condition: Condition) -> ServerCondition {
    let one_of = match condition {
        Condition::AnyOf(field, strings) => {
            let any = Match { match_value: Some(MatchValue::Keywords(RepeatedStrings { strings })) };
            ConditionOneOf::Field(FieldCondition { key: field.into(), r#match: Some(any), ..Default::default() })
        }
        Condition::Within(field, first, last) => {
            let range = Range { gte: first.map(f64::from), lte: last.map(f64::from), ..Range::default() };
            ConditionOneOf::Field(FieldCondition { key: field.into(), range: Some(range), ..Default::default() })
        }
        Condition::NotAbove(field, last) => {
            let range = Range { gt: Some(f64::from(last)), ..Range::default() };
            let above = FieldCondition { key: field.into(), range: Some(range), ..Default::default() };
            ConditionOneOf::Filter(ServerFilter::must_not([ServerCondition::from(above)]))
        }
        Condition::Either(conditions) => {
            ConditionOneOf::Filter(ServerFilter::should(conditions.into_iter().map(self::condition)))
        }
    };
    ServerCondition { condition_one_of: Some(one_of) }
}

/// How the server indexes a field.
pub(super) fn field_type(kind: FieldKind) -> FieldType {
    match kind {
        FieldKind::Keyword => FieldType::Keyword,
        FieldKind::Integer => FieldType::Integer,
    }
}

/// A checked entry as a point.
pub(super) fn point(entry: &IndexEntry<'_>) -> PointStruct {
    let payload = Payload::try_from(payload(entry)).expect("what is stored beside a vector is an object");
    PointStruct::new(point_id(entry.chunk.id), entry.vector.to_vec(), payload)
}

/// The id of a chunk's point.
pub(super) fn point_id(chunk: ChunkId) -> PointId {
    PointIdOptions::Uuid(chunk.to_string()).into()
}

/// The chunk of a point; what the id is instead when it is no chunk's.
pub(super) fn chunk_id(id: Option<PointId>) -> Result<ChunkId, String> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Uuid(text)) => text.parse().map_err(|_| format!("point {text:?} is not a chunk id")),
        Some(PointIdOptions::Num(number)) => Err(format!("point {number} is not a chunk id")),
        None => Err("a point without id".into()),
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::Classification;
    use fontes_testkit::{Specimen, scope};

    use super::*;

    #[test]
    fn the_scope_is_always_in_the_filter() {
        let mut asked = Filter::default();
        asked.add("date=2024-05").unwrap();
        let compiled = scope_filter(&scope(&["a", "b"], Classification::Internal), &asked).unwrap();
        assert!(compiled.should.is_empty() && compiled.must_not.is_empty() && compiled.min_should.is_none());
        let keys: Vec<_> = compiled
            .must
            .iter()
            .map(|condition| match condition.condition_one_of.as_ref().unwrap() {
                ConditionOneOf::Field(field) => (field.key.as_str(), field.r#match.is_some(), field.range),
                ConditionOneOf::Filter(filter) => {
                    assert_eq!(filter.should.len(), 1);
                    ("", false, None)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let rank = Range { lte: Some(1.0), ..Range::default() };
        assert_eq!(keys, [("groups", true, None), ("rank", false, Some(rank)), ("", false, None)]);
        assert!(scope_filter(&scope(&[], Classification::Secret), &Filter::default()).is_none());
    }

    #[test]
    fn ids_come_back_as_they_went() {
        let specimen = Specimen::new("doc", 7, "text");
        assert_eq!(chunk_id(point(&specimen.entry()).id), Ok(specimen.id()));
        for id in [None, Some(7.into()), Some("seven".into())] {
            assert!(chunk_id(id).is_err());
        }
    }
}
