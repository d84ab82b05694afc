//! The fields of the lexical index, and a chunk as a Tantivy document.

use std::ops::Bound;

use fontes_core::{AccessScope, ChunkId, Classification, Filter, FilterField, IndexEntry, Language, day_of, folded};
use tantivy::{
    Term,
    query::{BooleanQuery, Occur, Query, RangeQuery, TermQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TantivyDocument, TextFieldIndexing, TextOptions},
    tokenizer::{PreTokenizedString, Token},
};

use super::{
    analysis::words,
    compound::{MIN_COMPOUND, is_candidate, reversed},
    stem::Stems,
};

/// The fields. Text is analysed here and handed over as words, so no tokeniser has to be registered again after
/// each opening, and one field can hold the stems of every language: a field per language would make BM25 take
/// the chunks of all other languages for empty ones and misjudge every length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// The chunk id, by which a chunk is replaced or removed.
    pub chunk: Field,
    /// The chunk id again as two numbers, by which hits are told.
    pub chunk_high: Field,
    /// The lower half.
    pub chunk_low: Field,
    /// One word per group that may see the chunk: classification rank and group in one, so that one posting list
    /// answers "may this group at this rank".
    pub access: Field,
    /// Language code.
    pub language: Field,
    /// Name of the source.
    pub source: Field,
    /// Media type.
    pub media_type: Field,
    /// Document id.
    pub document: Field,
    /// Author, in lower case.
    pub author: Field,
    /// Names and numbers of the patient it is about, in lower case.
    pub patient: Field,
    /// Day of the document, as a number of eight digits.
    pub day: Field,
    /// Whether it is the first chunk of its document: those are counted as documents.
    pub first: Field,
    /// Every word as it is spelled, but for case.
    pub exact: Field,
    /// Every folded spelling of every word, with places.
    pub folded: Field,
    /// One form per word: its stem; of numbers, and in languages without stemmer, the plain spelling. Its length is
    /// the length of the text.
    pub stem: Field,
    /// Long German words, backwards.
    pub tail: Field,
    /// Folded spellings and stems of the document's title, with places.
    pub title: Field,
    /// The same of the headings above the chunk.
    pub headings: Field,
}

impl Fields {
    /// The schema and its fields.
    pub(super) fn schema() -> (Schema, Self) {
        let mut builder = Schema::builder();
        let label = || indexed_text(IndexRecordOption::Basic, false);
        let placed = |lengths| indexed_text(IndexRecordOption::WithFreqsAndPositions, lengths);
        let fields = Self {
            chunk: builder.add_bytes_field("chunk", INDEXED),
            chunk_high: builder.add_u64_field("chunk_high", FAST),
            chunk_low: builder.add_u64_field("chunk_low", FAST),
            access: builder.add_text_field("access", label()),
            language: builder.add_text_field("language", label()),
            source: builder.add_text_field("source", label()),
            media_type: builder.add_text_field("media_type", label()),
            document: builder.add_text_field("document", label()),
            author: builder.add_text_field("author", label()),
            patient: builder.add_text_field("patient", label()),
            day: builder.add_u64_field("day", FAST | INDEXED),
            first: builder.add_bool_field("first", INDEXED),
            exact: builder.add_text_field("exact", indexed_text(IndexRecordOption::WithFreqs, false)),
            folded: builder.add_text_field("folded", placed(false)),
            stem: builder.add_text_field("stem", indexed_text(IndexRecordOption::WithFreqs, true)),
            tail: builder.add_text_field("tail", label()),
            title: builder.add_text_field("title", placed(true)),
            headings: builder.add_text_field("headings", placed(true)),
        };
        (builder.build(), fields)
    }

    /// The chunk as Tantivy takes it. Nothing is stored: the ledger has the text.
    pub(super) fn document(&self, entry: &IndexEntry<'_>) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        let id = entry.chunk.id;
        let (high, low) = halves(id);
        document.add_bytes(self.chunk, id.as_bytes());
        document.add_u64(self.chunk_high, high);
        document.add_u64(self.chunk_low, low);
        let labels = &entry.document.labels;
        for group in &labels.groups {
            document.add_text(self.access, access_word(labels.classification.rank(), &group.0));
        }
        document.add_text(self.language, entry.chunk.language.code());
        document.add_text(self.source, &labels.source);
        document.add_text(self.media_type, &entry.document.media_type);
        document.add_text(self.document, entry.document.id.to_string());
        if let Some(author) = &entry.document.author {
            document.add_text(self.author, folded(author));
        }
        for name in &entry.document.patient {
            document.add_text(self.patient, folded(name));
        }
        if let Some(day) = day_of(entry.document) {
            document.add_u64(self.day, day.into());
        }

        document.add_bool(self.first, entry.chunk.ordinal == 0);

        let mut stems = Stems::of(entry.chunk.language);
        let words = words(&entry.chunk.text);
        let spelled = words.iter().map(|word| (word.position, word.text.clone()));
        document.add_pre_tokenized_text(self.exact, tokens(spelled));
        let folded = words.iter().flat_map(|word| word.folded().into_iter().map(|text| (word.position, text)));
        document.add_pre_tokenized_text(self.folded, tokens(folded));
        let stemmed = words.iter().flat_map(|word| stems.forms(word).into_iter().map(|text| (word.position, text)));
        document.add_pre_tokenized_text(self.stem, tokens(stemmed));
        if entry.chunk.language == Language::German {
            for word in words.iter().filter(|word| !word.number) {
                let plain = word.plain();
                if plain.len() >= MIN_COMPOUND && is_candidate(&plain) {
                    document.add_text(self.tail, reversed(&plain));
                }
            }
        }

        let mut titles = Stems::of(entry.document.language);
        document.add_pre_tokenized_text(self.title, folded_and_stems(&entry.document.title, &mut titles));
        let headings = entry.chunk.headings.join("\n");
        document.add_pre_tokenized_text(self.headings, folded_and_stems(&headings, &mut stems));
        document
    }

    /// Compiles who is asking and what was asked for into one query, which does not score. `None` when nothing can
    /// match.
    pub(super) fn scope_filter(&self, scope: &AccessScope, filter: &Filter) -> Option<BooleanQuery> {
        if scope.groups().len() == 0 {
            return None;
        }
        // A condition on group or classification narrows who is asking, and can do nothing else: who else may see a
        // document is nobody's business.
        let wanted = |field| filter.values(field).collect::<Vec<&str>>();
        let (groups, levels) = (wanted(FilterField::Group), wanted(FilterField::Classification));
        let groups = scope.groups().filter(|group| groups.is_empty() || groups.contains(&group.0.as_str()));
        let groups: Vec<&str> = groups.map(|group| group.0.as_str()).collect();
        let levels = Classification::ALL
            .into_iter()
            .filter(|level| *level <= scope.clearance() && (levels.is_empty() || levels.contains(&level.name())));
        let access = levels.flat_map(|level| groups.iter().map(move |group| access_word(level.rank(), group)));
        let mut clauses = vec![any_of(self.access, access)];
        for named in FilterField::ALL {
            let mut values = filter.values(named).map(str::to_owned).peekable();
            if let Some(field) = self.filter_field(named)
                && values.peek().is_some()
            {
                clauses.push(any_of(field, values));
            }
        }
        if filter.values(FilterField::Date).next().is_some() {
            let day = |day: u32| Term::from_field_u64(self.day, day.into());
            let range = |(first, last)| -> Box<dyn Query> {
                Box::new(RangeQuery::new(Bound::Included(day(first)), Bound::Included(day(last))))
            };
            clauses.push(Box::new(BooleanQuery::union(filter.dates().map(range).collect())));
        }
        let mut clauses: Vec<(Occur, Box<dyn Query>)> =
            clauses.into_iter().map(|clause| (Occur::Must, clause)).collect();
        if let Some(last) = filter.as_of() {
            let last = Term::from_field_u64(self.day, last.into());
            let later = RangeQuery::new(Bound::Excluded(last), Bound::Unbounded);
            clauses.push((Occur::MustNot, Box::new(later)));
        }
        Some(BooleanQuery::new(clauses))
    }

    /// Where the values of a filter field are indexed as they are.
    pub(super) fn filter_field(&self, field: FilterField) -> Option<Field> {
        match field {
            FilterField::Language => Some(self.language),
            FilterField::Source => Some(self.source),
            FilterField::MediaType => Some(self.media_type),
            FilterField::DocumentId => Some(self.document),
            FilterField::Author => Some(self.author),
            FilterField::Patient => Some(self.patient),
            FilterField::Group | FilterField::Classification | FilterField::Date | FilterField::AsOf => None,
        }
    }

    /// The term by which a chunk is removed.
    pub(super) fn chunk_term(&self, chunk: ChunkId) -> Term {
        Term::from_field_bytes(self.chunk, chunk.as_bytes())
    }
}

/// A chunk id as two numbers.
fn halves(chunk: ChunkId) -> (u64, u64) {
    let number = u128::from_be_bytes(*chunk.as_bytes());
    let low = u64::try_from(number & u128::from(u64::MAX)).expect("64 bits remain");
    let high = u64::try_from(number >> 64).expect("64 bits remain");
    (high, low)
}

/// A chunk id from its two numbers.
pub(super) fn chunk_of(high: u64, low: u64) -> ChunkId {
    ChunkId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// Rank and group as one word. The rank is one digit and comes first, so no group name can pass for another.
fn access_word(rank: u8, group: &str) -> String {
    format!("{rank}{group}")
}

fn any_of(field: Field, values: impl Iterator<Item = String>) -> Box<dyn Query> {
    let terms = values.map(|value| {
        let term = Term::from_field_text(field, &value);
        Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>
    });
    Box::new(BooleanQuery::union(terms.collect()))
}

fn indexed_text(record: IndexRecordOption, fieldnorms: bool) -> TextOptions {
    let indexing =
        TextFieldIndexing::default().set_tokenizer("raw").set_index_option(record).set_fieldnorms(fieldnorms);
    TextOptions::default().set_indexing_options(indexing)
}

fn folded_and_stems(text: &str, stems: &mut Stems) -> PreTokenizedString {
    let mut all = Vec::new();
    for word in words(text) {
        let mut forms = word.folded();
        forms.extend(stems.forms(&word));
        forms.sort();
        forms.dedup();
        all.extend(forms.into_iter().map(|form| (word.position, form)));
    }
    tokens(all.into_iter())
}

fn tokens(words: impl Iterator<Item = (usize, String)>) -> PreTokenizedString {
    let tokens =
        words.map(|(position, text)| Token { offset_from: 0, offset_to: 0, position, text, position_length: 1 });
    PreTokenizedString { text: String::new(), tokens: tokens.collect() }
}

#[cfg(test)]
mod tests {
    use fontes_core::Classification;
    use fontes_testkit::{Specimen, scope};

    use super::*;

    #[test]
    fn a_chunk_id_survives_its_halves() {
        let id = Specimen::new("a", 0, "").id();
        let (high, low) = halves(id);
        assert_eq!(chunk_of(high, low), id);
        assert_ne!(high, low);
    }

    #[test]
    fn no_group_has_no_filter() {
        let (_, fields) = Fields::schema();
        assert!(fields.scope_filter(&scope(&[], Classification::Secret), &Filter::default()).is_none());
    }

    #[test]
    fn rank_and_group_cannot_be_confused() {
        // A group called "1staff" at rank 0 is not group "staff" at rank 1 nor at any other.
        let confusable: Vec<String> = [(0, "1staff"), (1, "staff"), (0, "staff"), (0, "01staff")]
            .map(|(rank, group)| access_word(rank, group))
            .into();
        for (at, word) in confusable.iter().enumerate() {
            assert!(!confusable[..at].contains(word), "{word}");
        }
    }
}
