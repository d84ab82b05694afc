//! Who may see what, as conditions on payload fields: the meaning, which each home of Qdrant says in its own types.

use fontes_core::{AccessScope, Classification, Filter, FilterField};

use crate::point::{AUTHOR, DAY, DOCUMENT, GROUPS, LANGUAGE, MEDIA_TYPE, PATIENT, RANK, SOURCE};

/// One condition on the payload of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The field holds one of these words, which are never none.
    AnyOf(&'static str, Vec<String>),
    /// The field is a number between two others, ends included.
    Within(&'static str, Option<u32>, Option<u32>),
    /// The field is no number above this one.
    NotAbove(&'static str, u32),
    /// One of these holds; they are never none.
    Either(Vec<Condition>),
}

/// Compiles who is asking and what was asked for into conditions that must all hold. `None` when nothing can
/// match: a scope without groups has no conditions, so a caller cannot search with some that forget the scope. Engines
/// differ in what they make of a choice among nothing, so that is not asked either.
pub(crate) fn conditions(scope: &AccessScope, filter: &Filter) -> Option<Vec<Condition>> {
    if scope.groups().len() == 0 {
        return None;
    }
    let mut must = vec![
        Condition::AnyOf(GROUPS, scope.groups().map(|group| group.0.clone()).collect()),
        Condition::Within(RANK, None, Some(scope.clearance().rank().into())),
    ];
    for field in FilterField::ALL {
        let values: Vec<String> = filter.values(field).map(str::to_owned).collect();
        if values.is_empty() {
            continue;
        }
        let condition = match field {
            FilterField::Language => Condition::AnyOf(LANGUAGE, values),
            FilterField::Source => Condition::AnyOf(SOURCE, values),
            FilterField::MediaType => Condition::AnyOf(MEDIA_TYPE, values),
            FilterField::DocumentId => Condition::AnyOf(DOCUMENT, values),
            FilterField::Author => Condition::AnyOf(AUTHOR, values),
            FilterField::Patient => Condition::AnyOf(PATIENT, values),
            // Who else may see a document is nobody's business: only groups of one's own can be asked for.
            FilterField::Group => {
                let own = |name: &String| scope.groups().any(|group| group.0 == *name);
                Condition::AnyOf(GROUPS, values.into_iter().filter(own).collect())
            }
            FilterField::Classification => {
                let levels = values.iter().filter_map(|name| name.parse::<Classification>().ok());
                let exactly = |rank: u32| Condition::Within(RANK, Some(rank), Some(rank));
                Condition::Either(levels.map(|level| exactly(level.rank().into())).collect())
            }
            FilterField::Date => {
                let between = |(first, last)| Condition::Within(DAY, Some(first), Some(last));
                Condition::Either(filter.dates().map(between).collect())
            }
            FilterField::AsOf => Condition::NotAbove(DAY, filter.as_of()?),
        };
        let choices = match &condition {
            Condition::AnyOf(_, words) => words.len(),
            Condition::Either(conditions) => conditions.len(),
            Condition::Within(..) | Condition::NotAbove(..) => 1,
        };
        if choices == 0 {
            return None;
        }
        must.push(condition);
    }
    Some(must)
}

#[cfg(test)]
mod tests {
    use fontes_testkit::scope;

    use super::*;

    #[test]
    fn the_scope_is_always_in_the_conditions() {
        let mut filter = Filter::default();
        filter.add("group=b").unwrap();
        filter.add("group=strangers").unwrap();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            conditions(&scope(&["a", "b"], Classification::Internal), &filter).unwrap(),
            [
                Condition::AnyOf(GROUPS, words(&["a", "b"])),
                Condition::Within(RANK, None, Some(1)),
                Condition::AnyOf(GROUPS, words(&["b"])),
            ]
        );
    }

    #[test]
    fn no_group_has_no_conditions() {
        assert_eq!(conditions(&scope(&[], Classification::Secret), &Filter::default()), None);
    }

    #[test]
    fn a_group_of_others_has_no_conditions() {
        let mut filter = Filter::default();
        filter.add("group=board").unwrap();
        assert_eq!(conditions(&scope(&["staff"], Classification::Secret), &filter), None);
    }
}
