//! Answers: sentences with citations that resolve, and the record of how they came about.

use serde::{Deserialize, Serialize};

use crate::{
    BBox, Digest, DocumentId, Duplicate, Filter, IndexSnapshot, ModelIdentity, Passage, Sampling, SearchSettings, Span,
    Subquery,
};

/// Whether a sentence is carried by what it cites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Quoted word for word from the cited span.
    Verbatim,
    /// Checked against the cited span and carried by it.
    Supported,
    /// Checked, and not carried by any given passage.
    Unsupported,
    /// Not checked.
    #[default]
    Unchecked,
}

/// A pointer from a sentence to the exact place it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The passage's marker.
    pub marker: u32,
    /// The document.
    pub document_id: DocumentId,
    /// Its title.
    pub title: String,
    /// Its path.
    pub path: String,
    /// When the document was written or sent (`YYYY-MM-DD`), when known: what tells two versions apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Pages the quoted span touches.
    pub pages: Vec<u32>,
    /// Span of the document's stored text; always inside the passage's span.
    pub span: Span,
    /// The text of that span, byte for byte.
    pub quote: String,
    /// Where in that span the answer stands, in the stored text, when a reader could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Span>,
    /// Boxes on the pages, when the format has places.
    pub boxes: Vec<BBox>,
    /// Where else the quote stands, letter for letter, white space and punctuation aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<Duplicate>,
}

/// One sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// The sentence without markers.
    pub text: String,
    /// What it rests on.
    pub citations: Vec<Citation>,
    /// The verdict.
    pub support: Support,
    /// Where the generator looked while it wrote the sentence, most first. Recorded on request; a hint, no proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<Attention>,
}

/// Attention that went to one passage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// The passage's marker.
    pub marker: u32,
    /// Share of the attention, averaged over the sentence's tokens, layers and heads, 0..=1.
    pub share: f32,
}

/// What was answered when one cited passage was left out: the same answer says that it rests on more than that
/// passage. A sign, no proof: models also repeat what they know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Marker of the passage that was left out.
    pub marker: u32,
    /// The answer without it.
    pub answer: String,
    /// True when the remaining sources did not say.
    pub abstained: bool,
}

/// All that decides an answer beside the question, the documents and the site's policy. What a replay needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AskSettings {
    /// Most passages to answer from.
    pub passages: usize,
    /// At most this many tokens of answer.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Narrowing conditions of the search.
    pub filter: Filter,
    /// Earlier questions of the conversation, oldest first.
    pub earlier: Vec<String>,
    /// Confidence below which to stay silent; `None` is the policy's.
    pub threshold: Option<f32>,
    /// Record attention per sentence.
    pub attention: bool,
    /// Answer again without each cited passage.
    pub leave_one_out: bool,
    /// How passages are searched for.
    pub search: SearchSettings,
}

/// Something a reader should know about an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Remark {
    /// A generator wrote an answer and none of it held against the sources, so they are quoted instead.
    QuotedInstead,
    /// A generator said that the sources do not say, but they very likely do, so they are quoted.
    GeneratorSilent,
    /// This many sentences of the generator were left out, because no source carries them or they are beside the question.
    LeftOut {
        /// How many.
        sentences: usize,
    },
    /// The passage contains invisible text, which was removed before the generator saw it.
    HiddenText {
        /// The passage's marker.
        marker: u32,
    },
    /// Passages that speak to the question differ in their figures. All are cited; which one holds is for the
    /// reader to decide.
    Conflict {
        /// Markers of the passages that differ.
        markers: Vec<u32>,
    },
    /// Cited documents that say of themselves that they were replaced or are no longer in force.
    Replaced {
        /// Markers of their passages.
        markers: Vec<u32>,
    },
    /// Several things were asked, and the sources do not say this one.
    NotSaid {
        /// What was asked.
        question: String,
    },
    /// A generator was to put the question in other words for the search and failed, so it was searched for as it stands.
    NotRewritten,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens generated.
    pub generated: usize,
    /// Tokens of the prompt that did not have to be read again, because an earlier prompt began the same way.
    #[serde(default)]
    pub reused: usize,
}

/// Where the time of an answer went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AskTimings {
    /// Both legs and fusion.
    pub retrieval: f64,
    /// Reranking.
    pub rerank: f64,
    /// Reading the prompt.
    pub prefill: f64,
    /// From the question to the first generated token.
    pub first_token: f64,
    /// From the question to the end of the answer.
    pub total: f64,
}

/// An answer, or an honest abstention. Field names are part of the command-line contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question as asked.
    pub question: String,
    /// The question as it was understood, when it leaned on earlier ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standalone: Option<String>,
    /// What was searched for, the whole question first; nothing when that was all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<Subquery>,
    /// The whole text, markers included.
    pub answer: String,
    /// True when the sources do not say.
    pub abstained: bool,
    /// True when the sentences are quoted from the sources, because no generator ran or nothing it wrote held.
    pub extractive: bool,
    /// How likely the best sentence found is to hold the answer, 0..=1, learnt from questions with known answers.
    /// Comparable between questions; what the decision to stay silent goes by.
    #[serde(default)]
    pub confidence: f32,
    /// What a reader should know about how this answer came about.
    #[serde(default)]
    pub remarks: Vec<Remark>,
    /// The sentences in order.
    pub sentences: Vec<Sentence>,
    /// What the model was given, or the closest passages of an abstention.
    pub passages: Vec<Passage>,
    /// What generated the text; the extractive method names itself.
    pub model: ModelIdentity,
    /// Which state of the index was searched.
    pub index_snapshot: IndexSnapshot,
    /// Digest of the prompt template.
    pub prompt_sha256: Digest,
    /// Digest of the site's policy, of the settings and, of what was generated, of the judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<Digest>,
    /// What was asked for beside the question.
    #[serde(default)]
    pub settings: AskSettings,
    /// What was answered without each cited passage. On request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Sampling seed.
    pub seed: u64,
    /// Tokens read and written.
    pub tokens: TokenUsage,
    /// Where the time went.
    pub timings_ms: AskTimings,
}
