//! Asking for passages: query, hit, passage.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{ChunkId, DocumentId, Error, Filter, Language, PageRange, Result, Span};

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

/// What a text that is searched for is to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubqueryKind {
    /// The whole question.
    Whole,
    /// One of several questions in it.
    Part,
    /// The question in other words.
    Rewritten,
    /// A passage that might answer it, whether it is true or not: where its like stands, the answer may stand.
    Hypothetical,
}

/// A text that is searched for. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subquery {
    /// The text.
    pub text: String,
    /// What it is to the question.
    pub kind: SubqueryKind,
}

/// How a question is searched for. A site decides, and a request may decide otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchSettings {
    /// Search for each question by itself, too, when a text clearly holds several.
    pub split: bool,
    /// Let the generator, if there is one, put the question in other words, and search for these too.
    pub rewrite: bool,
    /// Let it write a passage that might answer the question, and search for the like of it.
    pub hypothetical: bool,
    /// How much a hit that resembles a better one steps back, 0..=1.
    pub diversity: f32,
}

/// What one request decides otherwise than the site; whatever is `None` stays as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchChoice {
    /// See [`SearchSettings::split`].
    pub split: Option<bool>,
    /// See [`SearchSettings::rewrite`].
    pub rewrite: Option<bool>,
    /// See [`SearchSettings::hypothetical`].
    pub hypothetical: Option<bool>,
    /// See [`SearchSettings::diversity`].
    pub diversity: Option<f32>,
}

impl SearchChoice {
    /// The settings of the request, where the site's are `usual`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for a diversity that is not within 0 and 1.
    pub fn over(self, usual: SearchSettings) -> Result<SearchSettings> {
        let diversity = self.diversity.unwrap_or(usual.diversity);
        if !(0.0..=1.0).contains(&diversity) {
            return Err(Error::invalid("diversity is not between 0 and 1")
                .advise("0 is the usual, 0.3 spreads results a little"));
        }
        Ok(SearchSettings {
            split: self.split.unwrap_or(usual.split),
            rewrite: self.rewrite.unwrap_or(usual.rewrite),
            hypothetical: self.hypothetical.unwrap_or(usual.hypothetical),
            diversity,
        })
    }
}

/// A question put to the indexes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// What the user typed.
    pub text: String,
    /// How many hits to return.
    pub k: usize,
    /// Which legs run.
    pub mode: SearchMode,
    /// Narrowing conditions.
    pub filter: Filter,
    /// Documents left out of consideration, as if they were not there: for leave-one-out checks.
    pub without: BTreeSet<DocumentId>,
    /// Search for each question by itself, too, when the text clearly holds several.
    pub split: bool,
    /// Texts to search for beside the question, from whoever can rewrite it. Their hits are fused with the question's.
    pub also: Vec<Subquery>,
    /// How much a hit that resembles a better one steps back, 0..=1; 0 for not at all.
    pub diversity: f32,
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
    /// Score of the reranker, or of late interaction, by which the best candidates were read again.
    pub rerank: Option<f32>,
    /// Cosine similarity with the question and the best passages together, by which the dense leg searched once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<f32>,
}

/// Why a word or phrase of the query speaks for a chunk. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermMatch {
    /// The word, or the words of a phrase, as searched for.
    pub term: String,
    /// Where and in which forms it was found: `text: exact`, `text: stem kündig`, `title`, `phrase`, …
    pub found: Vec<String>,
    /// Inverse document frequency: how rare it is in the index.
    pub rarity: f32,
    /// What it adds to the lexical score.
    pub weight: f32,
}

/// Another place that says nothing more than a hit does, in the same words. Field names are part of the command-line
/// contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The document; that of the hit when the same is said twice in it.
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
}

/// One result of a search. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Position, from 1.
    pub rank: usize,
    /// The score that decided the order, diversity aside.
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
    /// Where the same is said, best first; none of these is a hit of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<Duplicate>,
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
    fn a_request_changes_only_what_it_names() {
        let usual = SearchSettings { split: true, diversity: 0.25, ..SearchSettings::default() };
        assert_eq!(SearchChoice::default().over(usual).unwrap(), usual);
        let choice: SearchChoice = serde_json::from_str(r#"{"split": false, "rewrite": true}"#).unwrap();
        let expected = SearchSettings { rewrite: true, diversity: 0.25, ..SearchSettings::default() };
        assert_eq!(choice.over(usual).unwrap(), expected);
        for diversity in [-0.1, 1.1, f32::NAN] {
            let choice = SearchChoice { diversity: Some(diversity), ..SearchChoice::default() };
            assert_eq!(choice.over(usual).unwrap_err().kind(), crate::ErrorKind::Invalid);
        }
        assert!(serde_json::from_str::<SearchChoice>(r#"{"hyde": true}"#).is_err());
    }
}
