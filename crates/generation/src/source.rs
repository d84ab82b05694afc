//! Sources: passages with the stored text they are spans of, and citations made from them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use fontes_core::{
    AccessScope, Block, BlockKind, ChunkId, Citation, Document, DocumentId, DocumentSummary, Duplicate, ErrorKind,
    Language, Ledger, Passage, Result, Span,
};

use crate::{
    assembly::letters,
    date::dates,
    exception,
    facts::{Facts, is_year},
    list::joined_items,
    sentence::{Lines, sentences},
    standing::{Standing, standing},
    table::{alike, cells, head, is_row},
    words::words,
};

/// How many bytes of a document are its first lines, where its date stands.
const HEAD: usize = 400;

/// A passage, its document and its sentences.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The passage as given to the model.
    pub(crate) passage: Passage,
    /// Its document's record.
    pub(crate) summary: DocumentSummary,
    document: Arc<Document>,
    /// The tables that the passage touches.
    tables: Vec<Table>,
    /// Sentences of the passage as spans of the stored text.
    pub(crate) sentences: Vec<Span>,
    /// Facts of title, headings and date.
    pub(crate) frame: Facts,
    /// Facts of the whole passage with title and headings.
    pub(crate) facts: Facts,
    /// The first lines of its document.
    pub(crate) head: Span,
    /// Whether its document still holds, by what it says of itself.
    pub(crate) standing: Standing,
    /// Letters and digits of the places that say the same, in the order of the passage's `also_in`.
    repeated: Vec<String>,
}

/// A table that a passage is of.
#[derive(Clone, Copy, Debug)]
struct Table {
    span: Span,
    /// The row that names its columns.
    head: Option<Span>,
}

impl Table {
    /// The tables of `document` that `passage` touches.
    fn all(document: &Document, passage: Span) -> Vec<Self> {
        let is_table = |block: &&Block| matches!(block.kind, BlockKind::Table) && block.span.overlaps(&passage);
        let table = |block: &Block| {
            let shifted = |head: Span| Span::new(block.span.start + head.start, block.span.start + head.end);
            Self { span: block.span, head: block.span.of(&document.text).and_then(head).map(shifted) }
        };
        document.blocks.iter().filter(is_table).map(table).collect()
    }
}

impl Source {
    fn new(passage: Passage, summary: DocumentSummary, document: Arc<Document>) -> Option<Self> {
        // A document that changed since the search no longer says what the passage says.
        if passage.hit.span.of(&document.text) != Some(passage.hit.text.as_str()) {
            return None;
        }
        let offset = passage.hit.span.start;
        let sentences = joined_items(&passage.hit.text, sentences(&passage.hit.text, Lines::Wrapped))
            .into_iter()
            .map(|span| Span::new(span.start + offset, span.end + offset))
            .collect();
        let date = summary.created.as_deref().unwrap_or_default().split('T').next().unwrap_or_default();
        let head = Span::new(0, document.text.floor_char_boundary(HEAD));
        let figures = figures_of_dates(head.of(&document.text).unwrap_or_default());
        let frame = format!("{}\n{}\n{date}\n{figures}", summary.title, passage.hit.headings.join("\n"));
        let language = passage.hit.language;
        let facts = Facts::of(&format!("{frame}\n{}", passage.hit.text), language);
        let frame = Facts::of(&frame, language);
        let tables = Table::all(&document, passage.hit.span);
        let standing = standing(&summary.path, &document.text);
        Some(Self { frame, facts, passage, summary, document, tables, sentences, head, standing, repeated: Vec::new() })
    }

    /// The marker by which it is cited.
    pub(crate) fn marker(&self) -> u32 {
        self.passage.marker
    }

    /// The language of the passage.
    pub(crate) fn language(&self) -> Language {
        self.passage.hit.language
    }

    /// The stored text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        span.of(&self.document.text).unwrap_or_default()
    }

    /// Of `span` what is no white space, in whole words, and of several cells of a table the longest one.
    pub(crate) fn core_of(&self, span: Span) -> Option<Span> {
        let longest = cells(self.text(span)).max_by_key(|cell| cell.end - cell.start)?;
        (longest.start < longest.end)
            .then(|| self.whole_words(Span::new(span.start + longest.start, span.start + longest.end)))
    }

    /// A span with the rest of the words that it cuts: tokens are parts of words.
    fn whole_words(&self, span: Span) -> Span {
        let (before, after) = (&self.document.text[..span.start], &self.document.text[span.end..]);
        let inside = self.text(span);
        let begin = if inside.starts_with(char::is_alphanumeric) { word_length(before.chars().rev()) } else { 0 };
        let end = if inside.ends_with(char::is_alphanumeric) { word_length(after.chars()) } else { 0 };
        Span::new(span.start - begin, span.end + end)
    }

    /// When the document was written, `YYYY-MM-DD`, when known.
    pub(crate) fn date(&self) -> Option<&str> {
        self.summary.created.as_deref().and_then(|created| created.split('T').next()).filter(|date| !date.is_empty())
    }

    /// Says whether a span is running text: not (only) a heading, a running header or footer.
    pub(crate) fn is_running_text(&self, span: Span) -> bool {
        use fontes_core::BlockKind::{Furniture, Heading};
        let mut touching = self.document.blocks.iter().filter(|block| block.span.overlaps(&span)).peekable();
        touching.peek().is_none() || touching.any(|block| !matches!(block.kind, Heading(_) | Furniture))
    }

    /// The heading under which `span` stands, with the title of the document: what a sentence need not say again.
    pub(crate) fn heading_of(&self, span: Span) -> String {
        use fontes_core::BlockKind::Heading;
        let above = self.document.blocks.iter().filter(|block| block.span.end <= span.start);
        let heading = above.filter(|block| matches!(block.kind, Heading(_))).max_by_key(|block| block.span.end);
        let heading = heading.map_or("", |block| self.text(block.span));
        format!("{}\n{heading}", self.summary.title)
    }

    /// The sentence that limits the last one of `rule`, under the same heading; rows of tables have none.
    pub(crate) fn limit_of(&self, rule: Span) -> Option<Span> {
        let sentence = self.sentences.iter().rposition(|sentence| sentence.overlaps(&rule))?;
        let rule = Some(self.sentences[sentence]).filter(|rule| !is_row(self.text(*rule)))?;
        let after = self.sentences.iter().skip(sentence + 1).take(exception::WITHIN).copied();
        let mut limits = after.filter(|after| exception::limits(self.text(*after)));
        limits.find(|after| self.heading_of(*after) == self.heading_of(rule))
    }

    /// The row that names the columns of the table in which the row `span` stands; nothing when it is no such row.
    pub(crate) fn table_head(&self, span: Span) -> Option<Span> {
        let head = self.table_of(span)?.head?;
        (span.start >= head.end && alike(self.text(head), self.text(span))).then_some(head)
    }

    /// Says whether `span` is the first row of a table, and whether that names its columns.
    pub(crate) fn as_first_row(&self, span: Span) -> (bool, bool) {
        let table = self.table_of(span).filter(|table| span.start <= table.span.start);
        (table.is_some(), table.is_some_and(|table| table.head.is_some()))
    }

    fn table_of(&self, span: Span) -> Option<&Table> {
        self.tables.iter().find(|table| table.span.overlaps(&span))
    }

    /// Cites `span` of the stored text, which lies within the passage.
    pub(crate) fn cite(&self, span: Span) -> Citation {
        let passage = self.passage.hit.span;
        self.cite_anywhere(Span::new(span.start.max(passage.start), span.end.min(passage.end)))
    }

    /// Cites `span` of the document, wherever it lies: what a passage is read with, as the names of columns.
    pub(crate) fn cite_anywhere(&self, span: Span) -> Citation {
        let quote = self.text(span).to_owned();
        Citation {
            marker: self.marker(),
            document_id: self.passage.hit.document_id,
            title: self.summary.title.clone(),
            path: self.summary.path.clone(),
            date: self.date().map(str::to_owned),
            pages: self.document.pages_of(&span),
            span,
            also_in: self.repeating(&quote),
            quote,
            answer: None,
            boxes: self.document.boxes_of(&span),
        }
    }

    /// The other places in which `quote` stands as well.
    fn repeating(&self, quote: &str) -> Vec<Duplicate> {
        let quote = letters(quote);
        let places = self.passage.hit.also_in.iter().zip(&self.repeated);
        places.filter(|(_, text)| text.contains(&quote)).map(|(place, _)| place.clone()).collect()
    }

    /// Reads what says the same; what the ledger does not confirm is named no longer.
    fn read_repeated(&mut self, ledger: &dyn Ledger, scope: &AccessScope) -> Result<()> {
        let ids: Vec<ChunkId> = self.passage.hit.also_in.iter().map(|place| place.chunk_id).collect();
        let confirmed = if ids.is_empty() { Vec::new() } else { ledger.chunks(&ids, scope)? };
        self.passage.hit.also_in.retain(|place| confirmed.iter().any(|record| record.chunk.id == place.chunk_id));
        self.repeated = confirmed.iter().map(|record| letters(&record.chunk.text)).collect();
        Ok(())
    }

    /// Keeps only the first sentences of the passage, up to `bytes`; false when not even one fits.
    pub(crate) fn shorten(&mut self, bytes: usize) -> bool {
        let begin = self.passage.hit.span.start;
        let kept = self.sentences.iter().take_while(|sentence| sentence.end - begin <= bytes).count();
        let Some(last) = kept.checked_sub(1).map(|last| self.sentences[last]) else { return false };
        self.sentences.truncate(kept);
        let span = Span::new(begin, last.end);
        self.passage.hit.text = self.text(span).to_owned();
        self.passage.hit.pages = self.document.pages_of(&span);
        self.passage.hit.span = span;
        true
    }
}

/// Bytes of the letters and digits that `characters` begin with.
fn word_length(characters: impl Iterator<Item = char>) -> usize {
    characters.take_while(|c| c.is_alphanumeric()).map(char::len_utf8).sum()
}

/// The figures of the dates in the first lines of a document, which hold for all of it.
fn figures_of_dates(head: &str) -> String {
    let words = words(head);
    let days = dates(head, &words);
    let mut figures: Vec<String> = days.iter().map(|(day, month)| format!("{day}/{month}")).collect();
    figures.extend(words.into_iter().map(|word| word.stem).filter(|stem| is_year(stem)));
    figures.sort_unstable();
    figures.dedup();
    figures.join(" ")
}

/// Reads the documents behind `passages` from the ledger, once more under the scope of whoever asks. Passages
/// whose document is gone or has changed are left out; markers stay as given, and a marker given twice counts
/// once.
///
/// # Errors
/// Whatever the ledger gives, except "not found".
pub(crate) fn sources(passages: Vec<Passage>, ledger: &dyn Ledger, scope: &AccessScope) -> Result<Vec<Source>> {
    let mut documents: HashMap<DocumentId, Option<(DocumentSummary, Arc<Document>)>> = HashMap::new();
    let mut sources: Vec<Source> = Vec::with_capacity(passages.len());
    for passage in passages {
        let id = passage.hit.document_id;
        if let Entry::Vacant(vacant) = documents.entry(id) {
            vacant.insert(match ledger.document(id, scope) {
                Ok((summary, document)) => Some((summary, Arc::new(document))),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            });
        }
        let known = sources.iter().any(|source| source.marker() == passage.marker);
        if let Some(Some((summary, document))) = documents.get(&id)
            && !known
        {
            sources.extend(Source::new(passage, summary.clone(), document.clone()));
        }
    }
    for source in &mut sources {
        source.read_repeated(ledger, scope)?;
    }
    Ok(sources)
}
