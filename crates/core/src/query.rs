//! Asking for passages: query, filter, hit, passage.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ChunkId, DocumentId, Error, Language, PageRange, Span};

/// Which legs of the search run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// Both legs, fused. The default.
    #[default]
    Hybrid,
    /// Vectors only.
    Dense,
    /// Words only.
    Lexical,
}

impl SearchMode {
    /// Every mode, in the order reports use.
    pub const ALL: [Self; 3] = [Self::Lexical, Self::Dense, Self::Hybrid];
}

impl fmt::Display for SearchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Lexical => "lexical",
        })
    }
}

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
}

/// Conditions that narrow a search, all of which must hold. Values are typed and checked when parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Field and wanted value; several values for one field mean any of them.
    pub conditions: Vec<(FilterField, String)>,
}

impl Filter {
    /// Adds a condition given as `field=value`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for an unknown field or a malformed value, naming the known fields.
    pub fn add(&mut self, condition: &str) -> crate::Result<()> {
        let (field, value) = condition
            .split_once('=')
            .ok_or_else(|| Error::invalid(format!("filter {condition:?} is not of the form field=value")))?;
        let field = field.trim().parse::<FilterField>()?;
        let value = value.trim();
        match field {
            FilterField::Language => drop(value.parse::<Language>()?),
            FilterField::DocumentId => drop(value.parse::<DocumentId>()?),
            FilterField::Source | FilterField::MediaType if value.is_empty() => {
                return Err(Error::invalid(format!("filter {condition:?} has no value")));
            }
            FilterField::Source | FilterField::MediaType => {}
        }
        self.conditions.push((field, value.to_owned()));
        Ok(())
    }

    /// The values wanted for `field`; empty means no condition on it.
    pub fn values(&self, field: FilterField) -> impl Iterator<Item = &str> {
        self.conditions.iter().filter(move |(named, _)| *named == field).map(|(_, value)| value.as_str())
    }
}

impl FromStr for FilterField {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "language" | "lang" => Ok(Self::Language),
            "source" => Ok(Self::Source),
            "media_type" | "type" => Ok(Self::MediaType),
            "document_id" | "document" => Ok(Self::DocumentId),
            _ => Err(Error::invalid(format!("filter field {name:?} is not known"))
                .advise("use language, source, media_type or document_id")),
        }
    }
}

/// A question put to the indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What the user typed.
    pub text: String,
    /// How many hits to return.
    pub k: usize,
    /// Which legs run.
    pub mode: SearchMode,
    /// Narrowing conditions.
    pub filter: Filter,
}

/// Why a hit stands where it stands. Scores of different legs are not comparable with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Cosine similarity of the dense leg.
    pub dense: Option<f32>,
    /// BM25 score of the lexical leg.
    pub lexical: Option<f32>,
    /// Result of fusion.
    pub fused: Option<f32>,
    /// Score of the reranker.
    pub rerank: Option<f32>,
}

/// One result of a search. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Position, from 1.
    pub rank: usize,
    /// The score that decided the order.
    pub score: f32,
    /// The document.
    pub document_id: DocumentId,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// Title of the document.
    pub title: String,
    /// Path of the document.
    pub path: String,
    /// Pages the span touches.
    pub pages: Vec<u32>,
    /// Span of the document's stored text.
    pub span: Span,
    /// Headings above the chunk.
    #[serde(rename = "heading")]
    pub headings: Vec<String>,
    /// Language of the text.
    pub language: Language,
    /// The text of the span.
    pub text: String,
    /// Where the score comes from.
    pub scores: Scores,
}

impl Hit {
    /// The page range of the hit; pages are never empty.
    pub fn page_range(&self) -> PageRange {
        let first = self.pages.first().copied().unwrap_or(1);
        PageRange { first, last: self.pages.last().copied().unwrap_or(first) }
    }
}

/// A hit as shown to a model: numbered from 1, and that number is the citation marker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The marker number, from 1.
    pub marker: u32,
    /// What was found.
    #[serde(flatten)]
    pub hit: Hit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_typed() {
        let mut filter = Filter::default();
        filter.add("language=de").unwrap();
        filter.add("language=fr").unwrap();
        filter.add("source = mails").unwrap();
        assert_eq!(filter.values(FilterField::Language).collect::<Vec<_>>(), ["de", "fr"]);
        assert_eq!(filter.values(FilterField::Source).collect::<Vec<_>>(), ["mails"]);
        for bad in ["language", "language=klingon", "colour=red", "document_id=7", "source="] {
            assert_eq!(filter.add(bad).unwrap_err().kind(), crate::ErrorKind::Invalid, "{bad}");
        }
    }
}
