//! Filters: typed conditions that narrow a search, and counts by the values they take.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Classification, DocumentId, DocumentSummary, Error, Language, Result};

/// A field that a filter can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterField {
    /// Language code of the chunk.
    Language,
    /// Name of the source.
    Source,
    /// Media type of the document.
    MediaType,
    /// One document.
    DocumentId,
    /// Author or sender, whole, whatever the case.
    Author,
    /// A group that may see the document, and of which the asker is a member.
    Group,
    /// How closely the document is held.
    Classification,
    /// Day on which the document was made or sent; days, months, years and ranges of them.
    Date,
    /// As of a day, month or year: documents made or sent later are left out, those without a date stay. Texts are those of today.
    AsOf,
    /// Name or number of the patient that the document is about, whole, whatever the case.
    Patient,
}

impl FilterField {
    /// Every field, in the order in which they are named.
    pub const ALL: [Self; 10] = [
        Self::Language,
        Self::Source,
        Self::MediaType,
        Self::DocumentId,
        Self::Author,
        Self::Group,
        Self::Classification,
        Self::Date,
        Self::AsOf,
        Self::Patient,
    ];

    /// The name that filters, reports and the command line use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Source => "source",
            Self::MediaType => "media_type",
            Self::DocumentId => "document_id",
            Self::Author => "author",
            Self::Group => "group",
            Self::Classification => "classification",
            Self::Date => "date",
            Self::AsOf => "as_of",
            Self::Patient => "patient",
        }
    }
}

impl fmt::Display for FilterField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FilterField {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let alias = match name {
            "lang" => "language",
            "type" => "media_type",
            "document" => "document_id",
            name => name,
        };
        Self::ALL.into_iter().find(|field| field.name() == alias).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("filter field {name:?} is not known")).advise(format!("use one of: {known}"))
        })
    }
}

/// Conditions that narrow a search, all of which must hold. Values are typed and checked when parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Field and wanted value; several values for one field mean any of them.
    pub conditions: Vec<(FilterField, String)>,
}

impl Filter {
    /// Reads conditions given as `field=value`.
    ///
    /// # Errors
    /// As for [`Filter::add`].
    pub fn of(conditions: &[String]) -> Result<Self> {
        let mut filter = Self::default();
        conditions.iter().try_for_each(|condition| filter.add(condition))?;
        Ok(filter)
    }

    /// Adds a condition given as `field=value`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for an unknown field or a malformed value, naming the known fields or values.
    pub fn add(&mut self, condition: &str) -> Result<()> {
        let (field, value) = condition.split_once('=').ok_or_else(|| {
            Error::invalid(format!("filter {condition:?} is not of the form field=value"))
                .advise("write for example language=de or date=2024-01..2024-06")
        })?;
        let field = field.trim().parse::<FilterField>()?;
        let value = value.trim();
        if value.is_empty() {
            return Err(Error::invalid(format!("filter {condition:?} has no value"))
                .advise(format!("write {field}= and what it is to be")));
        }
        let value = match field {
            FilterField::Language => value.to_lowercase().parse::<Language>()?.code().to_owned(),
            FilterField::DocumentId => {
                let malformed = |error| {
                    Error::invalid(format!("filter document_id {value:?} is no document's id"))
                        .advise("take it from a hit or a citation")
                        .because(error)
                };
                value.parse::<DocumentId>().map_err(malformed)?.to_string()
            }
            FilterField::Classification => value.parse::<Classification>()?.name().to_owned(),
            FilterField::Date => {
                days(value).ok_or_else(|| {
                    Error::invalid(format!("filter date {value:?} is no day, month, year or range of them"))
                        .advise("write date=2024, date=2024-05, date=2024-05-17 or date=2024-01..2024-06")
                })?;
                value.to_owned()
            }
            FilterField::AsOf => {
                days(value).filter(|_| !value.contains("..")).ok_or_else(|| {
                    Error::invalid(format!("filter as_of {value:?} is no day, month or year"))
                        .advise("write as_of=2024, as_of=2024-05 or as_of=2024-05-17")
                })?;
                value.to_owned()
            }
            FilterField::Author | FilterField::Patient => folded(value),
            FilterField::Source | FilterField::MediaType | FilterField::Group => value.to_owned(),
        };
        self.conditions.push((field, value));
        Ok(())
    }

    /// The values wanted for `field`; empty means no condition on it.
    pub fn values(&self, field: FilterField) -> impl Iterator<Item = &str> {
        self.conditions.iter().filter(move |(named, _)| *named == field).map(|(_, value)| value.as_str())
    }

    /// The ranges of days wanted, both ends included, as numbers of eight digits; empty means no condition.
    pub fn dates(&self) -> impl Iterator<Item = (u32, u32)> {
        self.values(FilterField::Date).filter_map(days)
    }

    /// The day after which nothing counts, as a number of eight digits: the end of the latest that is named.
    pub fn as_of(&self) -> Option<u32> {
        self.values(FilterField::AsOf).filter_map(days).map(|(_, last)| last).max()
    }
}

/// A name as it is compared: in lower case, with single spaces.
pub fn folded(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The day on which a document was made or sent, as a number of eight digits: 17 May 2024 is 20240517.
pub fn day_of(document: &DocumentSummary) -> Option<u32> {
    let day = document.created.as_deref()?.get(..10)?;
    days(day).filter(|(first, last)| first == last).map(|(day, _)| day)
}

/// First and last day of `2024`, `2024-05`, `2024-05-17`, or of a range between two of them, either of which may be
/// missing.
fn days(text: &str) -> Option<(u32, u32)> {
    match text.split_once("..") {
        Some(("", "")) => None,
        Some((from, to)) => {
            let first = if from.is_empty() { 0 } else { days(from)?.0 };
            let last = if to.is_empty() { u32::MAX } else { days(to)?.1 };
            (first <= last).then_some((first, last))
        }
        None => {
            let parts: Vec<&str> = text.split('-').collect();
            let number = |part: &str, digits: usize, most: u32| {
                let digits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
                part.parse::<u32>().ok().filter(|number| digits && (1..=most).contains(number))
            };
            let year = number(parts[0], 4, 9_999)? * 10_000;
            match parts[1..] {
                [] => Some((year + 101, year + 1_231)),
                [month] => number(month, 2, 12).map(|month| (year + month * 100 + 1, year + month * 100 + 31)),
                [month, day] => {
                    let month = number(month, 2, 12)?;
                    let day = year + month * 100 + number(day, 2, last_day(year / 10_000, month))?;
                    Some((day, day))
                }
                _ => None,
            }
        }
    }
}

/// The last day of a month of the Gregorian calendar.
fn last_day(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// How many documents a value of a field has. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facet {
    /// The field.
    pub field: FilterField,
    /// The value, as a filter takes it.
    pub value: String,
    /// Documents that have it, among those that the asker may see.
    pub documents: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_typed() {
        let mut filter = Filter::default();
        let conditions = [
            "language=de",
            "lang=fr",
            "source = mails",
            "classification=Internal",
            "author=Anna MUSTER",
            "patient=Eva  Muster",
            "date=2024-05",
            "date=2024-02-29",
            "as_of=2023-07",
            "as_of=2023-06-01",
            "language=IT",
        ];
        for condition in conditions {
            filter.add(condition).unwrap();
        }
        assert_eq!(filter.values(FilterField::Language).collect::<Vec<_>>(), ["de", "fr", "it"]);
        assert_eq!(filter.values(FilterField::Source).collect::<Vec<_>>(), ["mails"]);
        assert_eq!(filter.values(FilterField::Classification).collect::<Vec<_>>(), ["internal"]);
        assert_eq!(filter.values(FilterField::Author).collect::<Vec<_>>(), ["anna muster"]);
        assert_eq!(filter.values(FilterField::Patient).collect::<Vec<_>>(), ["eva muster"]);
        assert_eq!(filter.dates().collect::<Vec<_>>(), [(20_240_501, 20_240_531), (20_240_229, 20_240_229)]);
        assert_eq!(filter.as_of(), Some(20_230_731));
        let bad = [
            "as_of=2023..2024",
            "as_of=now",
            "language",
            "language=klingon",
            "document_id=7",
            "source=",
            "classification=cosmic",
            "date=yesterday",
            "date=2023-02-29",
        ];
        for bad in bad {
            assert_eq!(filter.add(bad).unwrap_err().kind(), crate::ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn an_unknown_field_is_told_with_the_known_ones() {
        let error = Filter::default().add("colour=red").unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
        for field in FilterField::ALL {
            assert!(error.advice().unwrap().contains(field.name()), "{field}");
            assert_eq!(field.name().parse::<FilterField>().unwrap(), field);
        }
    }

    #[test]
    fn days_months_years_and_ranges() {
        assert_eq!(days("2024"), Some((20_240_101, 20_241_231)));
        assert_eq!(days("2024-02-29"), Some((20_240_229, 20_240_229)));
        assert_eq!(days("2023-11..2024-02"), Some((20_231_101, 20_240_231)));
        assert_eq!(days("..2024"), Some((0, 20_241_231)));
        assert_eq!(days("2024-05-17.."), Some((20_240_517, u32::MAX)));
        for bad in ["", "..", "24", "2024-13", "2024-00", "2024-1-1", "2025..2024", "2024-05-17-1", "+024", "2024…2025"]
        {
            assert_eq!(days(bad), None, "{bad:?}");
        }
    }
}
