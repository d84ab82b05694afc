//! Signals: what speaks for and against a sentence as the answer to a question, in numbers.
//!
//! All of them come from words, ranks and one embedding per sentence. Each is about 0..=1, so that the weights
//! that [`crate::estimate`] gives them can be compared.

use std::collections::{HashMap, HashSet};

use fontes_core::{DocumentId, Finding, Language, Span};

use crate::{
    anchors::{Anchors, Ground, names},
    asked::{Asked, asked},
    facts::Facts,
    source::Source,
    table,
    unit::unit,
    words::{Word, content_stems, found, raw, words},
};

/// Cosines of multilingual-e5-small lie between about 0.75 (unrelated) and 0.95 (the same).
const COSINE_LOW: f32 = 0.75;
const COSINE_RANGE: f32 = 0.2;

/// Log odds of a reader are divided by this; its answers lie between about -10 and 15.
const LOG_ODDS: f32 = 10.0;

/// What a reader's word is worth beside words in common, when choosing what to embed.
const READ: f32 = 1.5;

/// What a row of a table has before others when it holds the measures of the question, whose figures may be parts of others.
const EXACT: f32 = 0.1;

/// Words that join what is asked for.
const AND: &[&str] = &["und", "oder", "sowie", "et", "ou", "e", "ed", "o", "and", "or"];

/// How far what is measured in other units than the question asks for is astray.
const UNMEASURED: f32 = 0.4;

/// How far what lacks the thing asked for is astray, against what has another one in its place.
const ABSENT: f32 = 0.6;

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What speaks for a sentence. Words of the question weigh by how rare they are among the sentences found.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub(crate) struct Signals { $($(#[$doc])* pub(crate) $name: f32),+ }

        impl Signals {
            /// Their names, in the order of [`Self::values`].
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Their values.
            pub(crate) fn values(&self) -> [f32; Self::NAMES.len()] {
                [$(self.$name),+]
            }
        }
    };
}

signals! {
    /// Share of the question's words in the sentence.
    sentence,
    /// The same in the better of the sentences before and after.
    beside,
    /// The same in the sentence, both of them, heading and title together.
    around,
    /// The same in the passage with title and headings.
    passage,
    /// How far the passage's share lies above that of the best other passage.
    ahead,
    /// Goodness of the passage's rank: 1, 1/2, 1/3, …
    rank,
    /// Cosine of question and passage, as the search found it.
    dense,
    /// Cosine of question and sentence.
    similarity,
    /// How far that lies above the average of the compared sentences.
    standout,
    /// The kind of thing asked for is known, and the sentence holds none.
    lacking,
    /// What a reader says for an answer in the sentence, against none.
    answer,
    /// How far that lies above the best sentence of the other passages.
    apart,
    /// Question and passage are in different languages, so that words cannot be compared.
    across,
    /// The passage is about another year, article or person than the question, or another row of the table is meant: 1 where
    /// something else of the same name stands there, [`ABSENT`] where the thing asked for does not, [`UNMEASURED`] where what is
    /// said has other units.
    astray,
    /// Of a row of a table, the share of the question's words in it.
    row,
}

/// A sentence of a source as a candidate, without the signals that embedding brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Index of the source.
    pub(crate) source: usize,
    /// Index of the sentence in the source.
    pub(crate) sentence: usize,
    /// The sentence in the stored text.
    pub(crate) span: Span,
    /// Where in it a reader sees the answer, in the stored text.
    pub(crate) answer: Option<Span>,
    /// It is a row of a table.
    pub(crate) is_row: bool,
    /// The sentence beside it that names what the question names and it does not.
    pub(crate) named_by: Option<Span>,
    /// The sentence after it that makes an exception from it.
    pub(crate) limited_by: Option<Span>,
    /// Of a row of a table, the share of the question's words in the names of its columns, where these are known.
    pub(crate) columns: Option<f32>,
    /// What speaks for it.
    pub(crate) signals: Signals,
}

impl Signals {
    /// Adds what embedding brings: the sentence's cosine to the question, and the average over all compared.
    pub(crate) fn with_similarity(self, cosine: f32, mean: f32) -> Self {
        Self { similarity: scaled(cosine), standout: (cosine - mean) * 10.0, ..self }
    }

    /// A first estimate without the sentence's embedding, for choosing what is worth one.
    pub(crate) fn at_first(&self) -> f32 {
        self.sentence + 0.2 * self.beside + 0.3 * self.passage + 0.3 * self.rank - 0.25 * self.lacking
            + READ * self.answer
    }
}

fn scaled(cosine: f32) -> f32 {
    ((cosine - COSINE_LOW) / COSINE_RANGE).clamp(0.0, 1.0)
}

/// A question as the signals see it.
struct Wanted {
    /// Content stems with their inverse sentence frequency.
    weights: HashMap<String, f32>,
    stems: HashSet<String>,
    /// Stems of capitalised words but units: names, and in German all things. None where several are asked for in one breath.
    things: HashSet<String>,
    /// Stems of what the question names: its words with a capital, the first one left out.
    names: Vec<String>,
    kind: Asked,
    facts: Facts,
    anchors: Anchors,
    language: Language,
}

/// One sentence, analysed.
struct Analysed {
    source: usize,
    sentence: usize,
    span: Span,
    words: Vec<Word>,
    stems: HashSet<String>,
    coverage: f32,
}

/// Every sentence of the sources that states something, with its signals.
pub(crate) fn candidates(question: &str, language: Language, sources: &[Source]) -> Vec<Candidate> {
    let mut sentences = analysed(sources);
    let wanted = Wanted::of(question, language, &sentences);
    for sentence in &mut sentences {
        sentence.coverage = wanted.coverage(&sentence.stems);
    }
    let texts: Vec<String> = sources.iter().map(with_frame).collect();
    let read: Vec<Vec<Word>> = texts.iter().map(|text| words(text)).collect();
    let passages: Vec<f32> = read.iter().map(|words| wanted.coverage(&stems(words))).collect();
    let ground = |((text, words), source): ((&String, &Vec<Word>), &Source)| {
        Ground::of(text, words).below(&format!("{}\n{}", source.text(source.head), source.date().unwrap_or_default()))
    };
    let grounds: Vec<Ground> = texts.iter().zip(&read).zip(sources).map(ground).collect();
    let is_astray = |(source, ground): (&Source, &Ground)| {
        wanted.anchors.miss(ground, &source.facts) || wanted.anchors.miss_name(ground, source.language())
    };
    let astray: Vec<bool> = sources.iter().zip(&grounds).map(is_astray).collect();
    let titles: Vec<HashSet<String>> = sources.iter().map(|source| content_stems(&source.summary.title)).collect();
    let rows = words_of_rows(&sentences, sources);
    let mut candidates = Vec::with_capacity(sentences.len());
    let mut caption: Option<&Analysed> = None;
    for (at, sentence) in sentences.iter().enumerate() {
        let source = &sources[sentence.source];
        let (first_row, head) = source.as_first_row(sentence.span);
        let text = source.text(sentence.span);
        let is_row = table::is_row(text);
        if !is_row {
            caption = is_caption(at, &sentences, sources).then_some(sentence);
        }
        if head || !is_statement(text) || !is_row && caption.is_some() {
            continue;
        }
        let neighbours: Vec<&Analysed> = [at.checked_sub(1), Some(at + 1)]
            .into_iter()
            .filter_map(|index| sentences.get(index?))
            .filter(|other| other.source == sentence.source)
            .collect();
        let mut heading = content_stems(&source.heading_of(sentence.span));
        if let Some(caption) = caption.filter(|caption| is_row && caption.source == sentence.source) {
            heading.extend(caption.stems.iter().cloned());
        }
        let mut signals = signals(&wanted, source, &passages, sentence, (&neighbours, &heading));
        let row = is_row.then(|| Facts::of(text, source.language()));
        let names = source.table_head(sentence.span).map(|head| content_stems(source.text(head))).unwrap_or_default();
        let frame = [&sentence.stems, &names, &heading, &titles[sentence.source]];
        let absent = astray[sentence.source]
            || row.is_some() && wanted.lacks_of(&rows[&source.passage.hit.document_id], &frame)
            || row.as_ref().is_some_and(|row| wanted.anchors.miss_row(row, &source.frame))
            || wanted.anchors.miss_compound(&sentence.words, &heading, source.language());
        let other = wanted.anchors.miss_figure(text, &sentence.words, &grounds[sentence.source])
            || wanted.anchors.miss_code(&sentence.words, &[&heading, &titles[sentence.source]]);
        let unmeasured = wanted.kind.is_strict() && signals.lacking > 0.0;
        signals.astray = flag(other).max(ABSENT * flag(absent)).max(UNMEASURED * flag(unmeasured));
        signals.row = match &row {
            // What may name columns, too, says nothing about the rows.
            Some(row) if !first_row => {
                let exact = EXACT * flag(row.have_measures(&wanted.facts));
                flag(wanted.anchors.name_row(row)).max(wanted.coverage_of_row(&sentence.stems, &names)) + exact
            }
            _ => 0.0,
        };
        let columns = (!names.is_empty()).then(|| wanted.coverage(&names));
        // A row names nothing but what is in it.
        let is_telling = |other: &&Analysed| !table::is_row(source.text(other.span));
        let telling: Vec<&Analysed> = neighbours.into_iter().filter(is_telling).collect();
        let named_by = wanted.named_by(sentence, &telling, [&heading, &titles[sentence.source]]);
        let limited_by = source.limit_of(sentence.span);
        let Analysed { source, sentence, span, .. } = *sentence;
        candidates.push(Candidate {
            source,
            sentence,
            span,
            answer: None,
            is_row,
            named_by,
            limited_by,
            columns,
            signals,
        });
    }
    leave_other_rows(&mut candidates, sources);
    candidates
}

/// Says whether a sentence is what a table stands under: it comes before the first row and does not end.
fn is_caption(at: usize, sentences: &[Analysed], sources: &[Source]) -> bool {
    let sentence = &sentences[at];
    let source = &sources[sentence.source];
    let text = source.text(sentence.span).trim_end();
    let row = sentences.get(at + 1).filter(|next| next.source == sentence.source);
    !table::is_row(text) && !text.ends_with(['.', '!', '?']) && row.is_some_and(|row| source.as_first_row(row.span).0)
}

/// The words of all rows of the tables of each document, names of columns left out.
fn words_of_rows(sentences: &[Analysed], sources: &[Source]) -> HashMap<DocumentId, HashSet<String>> {
    let mut rows: HashMap<DocumentId, HashSet<String>> = HashMap::new();
    for sentence in sentences {
        let source = &sources[sentence.source];
        let words = rows.entry(source.passage.hit.document_id).or_default();
        if table::is_row(source.text(sentence.span)) && !source.as_first_row(sentence.span).1 {
            words.extend(sentence.stems.iter().cloned());
        }
    }
    rows
}

/// Marks the rows of tables that hold less of the question than another row of the same document, or whose columns do.
fn leave_other_rows(candidates: &mut [Candidate], sources: &[Source]) {
    let document = |row: &Candidate| sources[row.source].passage.hit.document_id;
    let mut most: HashMap<DocumentId, (f32, f32)> = HashMap::new();
    for row in candidates.iter().filter(|candidate| candidate.is_row) {
        let best = most.entry(document(row)).or_default();
        *best = (best.0.max(row.signals.row), best.1.max(row.columns.unwrap_or_default()));
    }
    for row in candidates.iter_mut().filter(|candidate| candidate.is_row) {
        let (best, columns) = most[&document(row)];
        if row.signals.row < best || row.columns.is_some_and(|own| own < columns) {
            row.signals.astray = row.signals.astray.max(ABSENT);
        }
    }
}

/// Adds what a reader finds in each candidate, spans of the stored text; candidates that it did not reach count as the
/// least likely.
pub(crate) fn add_findings(candidates: &mut [Candidate], findings: &[Option<Finding>]) {
    let scale = |finding: &Option<Finding>| finding.map_or(-1.0, |finding| (finding.score / LOG_ODDS).clamp(-1.0, 1.5));
    let scores: Vec<f32> = findings.iter().map(scale).collect();
    let mut tops: HashMap<usize, f32> = HashMap::new();
    for (candidate, score) in candidates.iter().zip(&scores) {
        let top = tops.entry(candidate.source).or_insert(-1.0);
        *top = top.max(*score);
    }
    for ((candidate, score), finding) in candidates.iter_mut().zip(scores).zip(findings) {
        candidate.answer = finding.map(|finding| finding.span);
        let others = tops.iter().filter(|(source, _)| **source != candidate.source).map(|(_, top)| *top);
        candidate.signals.answer = score;
        candidate.signals.apart = (score - others.fold(-1.0, f32::max)).clamp(-1.0, 1.0);
    }
}

fn signals(
    wanted: &Wanted,
    source: &Source,
    passages: &[f32],
    sentence: &Analysed,
    (neighbours, heading): (&[&Analysed], &HashSet<String>),
) -> Signals {
    let mut around = sentence.stems.clone();
    neighbours.iter().for_each(|other| around.extend(other.stems.iter().cloned()));
    around.extend(heading.iter().cloned());
    let others = passages.iter().enumerate().filter(|(other, _)| *other != sentence.source);
    let passage = passages[sentence.source];
    let text = source.text(sentence.span);
    let holds = match source.table_head(sentence.span).filter(|_| wanted.kind.is_strict()) {
        // The unit may be in the name of the column; that it is all about prices, in the heading.
        Some(head) => {
            let heading = if wanted.kind == Asked::Price { source.heading_of(sentence.span) } else { String::new() };
            let text = format!("{heading}\n{}\n{text}", source.text(head));
            wanted.kind.is_in(&text, source.language(), &words(&text), &wanted.stems)
        }
        None => wanted.kind.is_in(text, source.language(), &sentence.words, &wanted.stems),
    };
    Signals {
        sentence: sentence.coverage,
        beside: best(neighbours.iter().map(|other| other.coverage)),
        around: wanted.coverage(&around),
        passage,
        ahead: passage - best(others.map(|(_, coverage)| *coverage)),
        rank: 1.0 / (1.0 + sentence.source as f32),
        dense: source.passage.hit.scores.dense.map_or(0.0, scaled),
        lacking: flag(holds == Some(false)),
        across: flag(source.language() != wanted.language && wanted.language != Language::Undetermined),
        ..Signals::default()
    }
}

fn flag(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

/// A passage with title and headings, each on a line.
fn with_frame(source: &Source) -> String {
    let hit = &source.passage.hit;
    format!("{}\n{}\n{}", source.summary.title, hit.headings.join("\n"), hit.text)
}

fn best(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, f32::max)
}

fn analysed(sources: &[Source]) -> Vec<Analysed> {
    let mut sentences = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        for (sentence, &span) in source.sentences.iter().enumerate() {
            if source.is_running_text(span) {
                let words = words(source.text(span));
                let stems = stems(&words);
                sentences.push(Analysed { source: number, sentence, span, words, stems, coverage: 0.0 });
            }
        }
    }
    sentences
}

fn stems(words: &[Word]) -> HashSet<String> {
    words.iter().filter(|word| word.content).map(|word| word.stem.clone()).collect()
}

impl Wanted {
    fn of(question: &str, language: Language, sentences: &[Analysed]) -> Self {
        let words = words(question);
        let stems = stems(&words);
        let names = names(&words).concat();
        let is_thing = |word: &&Word| {
            let letter = !word.stem.starts_with(|c: char| c.is_ascii_digit());
            word.content && letter && word.capital && unit(&[raw(question, word)]).is_none()
        };
        // A follow-up that begins with one joins nothing.
        let opens = |word: &Word| matches!(question[..word.start].trim_end().chars().next_back(), None | Some(':'));
        let joins = |word: &Word| AND.contains(&raw(question, word).to_lowercase().as_str()) && !opens(word);
        let several = words.iter().any(joins);
        let things = words.iter().skip(1).filter(is_thing).filter(|_| !several).map(|word| word.stem.clone()).collect();
        let total = sentences.len() as f32;
        let weigh = |stem: &String| {
            let with = sentences.iter().filter(|sentence| found(stem, &sentence.stems) > 0.0).count() as f32;
            (stem.clone(), (1.0 + (total - with + 0.5) / (with + 0.5)).ln())
        };
        let weights = stems.iter().map(weigh).collect();
        let (facts, anchors) = (Facts::of(question, language), Anchors::of(question, language));
        Self { weights, names, kind: asked(question), facts, anchors, stems, things, language }
    }

    /// The neighbour that has most of the names that neither a sentence nor its `frame` has; where both have as many, the one before.
    fn named_by(&self, sentence: &Analysed, neighbours: &[&Analysed], frame: [&HashSet<String>; 2]) -> Option<Span> {
        let is_in = |name: &&String, stems: &HashSet<String>| found(name, stems) > 0.0;
        let lacks = |name: &&String| !is_in(name, &sentence.stems) && !frame.iter().any(|stems| is_in(name, stems));
        let lacking: Vec<&String> = self.names.iter().filter(lacks).collect();
        let has = |other: &Analysed| lacking.iter().filter(|name| is_in(name, &other.stems)).count();
        let best = neighbours.iter().rev().max_by_key(|other| has(other)).filter(|other| has(other) > 0);
        best.map(|other| other.span)
    }

    /// Says whether something that is asked for is in the `rows` of a document, but neither in this one nor in its `frame`.
    fn lacks_of(&self, rows: &HashSet<String>, frame: &[&HashSet<String>]) -> bool {
        let is_here = |thing: &String| frame.iter().any(|stems| found(thing, stems) > 0.0);
        self.things.iter().any(|thing| rows.contains(thing) && !is_here(thing))
    }

    /// The share of the question's weight in a row and the names of its columns; these alone choose no row.
    fn coverage_of_row(&self, row: &HashSet<String>, names: &HashSet<String>) -> f32 {
        let own = self.coverage(row);
        if own > 0.0 { self.coverage(&row.union(names).cloned().collect()) } else { own }
    }

    /// The share of the question's weight that `stems` hold.
    fn coverage(&self, stems: &HashSet<String>) -> f32 {
        // Sorted, so that rounding does not depend on the order of a hash map.
        let sum = |mut parts: Vec<f32>| {
            parts.sort_by(f32::total_cmp);
            parts.iter().sum::<f32>()
        };
        let total = sum(self.weights.values().copied().collect());
        let have = sum(self.weights.iter().map(|(stem, weight)| weight * found(stem, stems)).collect());
        if total > 0.0 { have / total } else { 0.0 }
    }
}

/// Says whether a text states something: a few words, or a figure with its name; and no question itself.
fn is_statement(text: &str) -> bool {
    let words = text.split_whitespace().count();
    let figure = text.chars().any(|c| c.is_ascii_digit());
    !text.trim_end().ends_with('?') && (words >= 4 || words >= 2 && figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answerer::tests::{FRIST, RAT, archive, staff},
        source::sources,
    };

    fn of(question: &str) -> Vec<Candidate> {
        let (ledger, passages) = archive(&[FRIST, RAT]);
        let sources = sources(passages, ledger.as_ref(), &staff()).unwrap();
        candidates(question, Language::detect(question), &sources)
    }

    #[test]
    fn the_sentence_with_the_words_and_the_figure_stands_out() {
        let all = of("Innert wie vielen Tagen ist die Beschwerde einzureichen?");
        assert_eq!(all.len(), 6);
        let first = &all[0].signals;
        assert!(all[1..].iter().all(|other| other.signals.sentence < first.sentence), "{all:?}");
        assert_eq!((first.lacking, first.rank, first.across), (0.0, 1.0, 0.0));
        assert!(first.around >= first.sentence && first.passage >= first.around && first.ahead > 0.0);
        let last = &all[5].signals;
        assert_eq!((last.lacking, last.rank), (1.0, 0.5));
        assert!(last.ahead < 0.0);
    }

    #[test]
    fn the_neighbour_that_names_what_is_asked_for_is_told() {
        let text =
            "Die Parzelle Haldenrain wird umgestellt. Die Umstellung dauert bis Ende 2026. Danach gilt das Label.";
        let (ledger, passages) = archive(&[text]);
        let sources = sources(passages, ledger.as_ref(), &staff()).unwrap();
        let named_by = |question: &str| {
            let candidates = candidates(question, Language::German, &sources);
            let second = candidates.iter().find(|candidate| candidate.sentence == 1).unwrap();
            second.named_by.map(|span| span.of(text).unwrap())
        };
        let first = "Die Parzelle Haldenrain wird umgestellt.";
        assert_eq!(named_by("Bis wann dauert die Umstellung in Haldenrain?"), Some(first));
        assert_eq!(named_by("Bis wann dauert die Umstellung?"), None, "the sentence names all of it");
        assert_eq!(named_by("Bis wann dauert die Umstellung in Oberberg?"), None, "nobody names it");
    }

    #[test]
    fn every_signal_is_about_a_share() {
        for question in ["Frist?", "???", "Quelle est la capitale du Pérou ?", FRIST] {
            for candidate in of(question) {
                let signals = candidate.signals.with_similarity(0.9, 0.8);
                assert!(signals.values().iter().all(|value| (-1.0..=1.5).contains(value)), "{question}: {signals:?}");
            }
        }
    }

    #[test]
    fn headings_and_questions_state_nothing_and_figures_do() {
        for text in ["Was gilt hier im Streit?", "Art", "Erste Fragen dazu"] {
            assert!(!is_statement(text), "{text}");
        }
        for text in ["Menu 14 Franken", "Der Rat hat Mitglieder."] {
            assert!(is_statement(text), "{text}");
        }
    }
}
