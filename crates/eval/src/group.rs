//! Groups of questions: by language, and by what kind of question it is.

use std::collections::BTreeMap;

use fontes_core::Language;
use fontes_retrieval::QueryAnalysis;
use serde::{Deserialize, Serialize};

use crate::bootstrap::mean;

/// Words of the longest query that is a list of keywords.
const KEYWORDS: usize = 4;

/// Kinds of questions, told apart as the search tells them apart: what they are is what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionClass {
    /// Names something exactly: a file number, a law article, a dose, a phrase in quotes.
    Exact,
    /// Ends with a question mark.
    Question,
    /// A few words.
    Keywords,
    /// A sentence, a claim.
    Statement,
}

impl QuestionClass {
    /// The class of a question.
    pub fn of(text: &str) -> Self {
        if QueryAnalysis::of(text).is_some_and(|analysis| analysis.exact) {
            Self::Exact
        } else if text.trim_end().ends_with('?') {
            Self::Question
        } else if text.split_whitespace().count() <= KEYWORDS {
            Self::Keywords
        } else {
            Self::Statement
        }
    }

    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Question => "question",
            Self::Keywords => "keywords",
            Self::Statement => "statement",
        }
    }
}

/// The figures of a group of questions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Number of questions.
    pub queries: usize,
    /// Mean nDCG@10 of every mode.
    pub ndcg: BTreeMap<String, f64>,
}

/// Groups `gains` (per mode, one value per question) by the name each question has.
pub(crate) fn grouped(names: &[String], gains: &[(String, Vec<f64>)]) -> BTreeMap<String, GroupReport> {
    let mut groups: BTreeMap<String, GroupReport> = BTreeMap::new();
    for name in names {
        groups.entry(name.clone()).or_default().queries += 1;
    }
    for (mode, gains) in gains {
        for (name, group) in &mut groups {
            let of_group = names.iter().zip(gains).filter(|(of, _)| *of == name).map(|(_, gain)| *gain);
            group.ndcg.insert(mode.clone(), mean(&of_group.collect::<Vec<_>>()));
        }
    }
    groups
}

/// The language of a question, as its code.
pub(crate) fn language(text: &str) -> String {
    Language::detect(text).code().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_apart() {
        let cases = [
            ("Was sagt Art. 5 Abs. 2 DSG?", QuestionClass::Exact),
            ("Wie lange dauert das Verfahren?", QuestionClass::Question),
            ("délai de recours", QuestionClass::Keywords),
            ("0-dimensional biomaterials show inductive properties.", QuestionClass::Statement),
        ];
        for (text, class) in cases {
            assert_eq!(QuestionClass::of(text), class, "{text}");
        }
    }

    #[test]
    fn groups_have_their_own_means() {
        let names = ["de", "fr", "de"].map(str::to_owned);
        let groups = grouped(&names, &[("dense".into(), vec![1.0, 0.25, 0.0])]);
        assert_eq!(groups["de"], GroupReport { queries: 2, ndcg: [("dense".to_owned(), 0.5)].into() });
        assert_eq!(groups["fr"].ndcg["dense"], 0.25);
    }
}
