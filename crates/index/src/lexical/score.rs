//! Ranking: BM25F over the forms and fields of each word, best chunks first.
//!
//! A word of a query leaves traces in several fields: its spelling, its stem, the title. They are one piece of
//! evidence, not several, so their frequencies are added up before they saturate (Robertson, Zaragoza and Taylor,
//! "Simple BM25 extension to multiple weighted fields", CIKM 2004): a chunk that holds one word in every form does
//! not outrank one that holds two words. Within the text each occurrence counts once, by the closest form in
//! which it matches. Postings are walked chunk by chunk, and words that could not lift a chunk into the best any
//! more are only looked up (MaxScore: Turtle and Flood, 1995).

use tantivy::{
    DocAddress, DocId, DocSet, Searcher, SegmentReader, TERMINATED,
    fieldnorm::FieldNormReader,
    postings::{Postings, SegmentPostings},
    query::{EnableScoring, Query, Scorer},
    schema::{Field, IndexRecordOption},
};

use super::{
    plan::{Evidence, Phrase, Place, Plan, PlannedWord},
    schema::Fields,
    top::Top,
};
use crate::recipe::LexicalRecipe;

/// A chunk with the whole of a compound and its parts as well is worth this much more of the lesser evidence.
const TIE: f32 = 0.1;

/// Bounds are compared with sums of rounded numbers.
const SLACK: f32 = 1.0001;

/// The `limit` best chunks of `plan` among those that `filter` lets through.
pub(super) fn best(
    searcher: &Searcher,
    fields: &Fields,
    recipe: &LexicalRecipe,
    plan: &Plan,
    filter: &dyn Query,
    limit: usize,
) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let formula = Formula::new(searcher, fields, recipe)?;
    let filter = filter.weight(EnableScoring::disabled_from_searcher(searcher))?;
    let mut top = Top::new(limit);
    for (ordinal, segment) in (0..).zip(searcher.segment_readers()) {
        let mut walk = Walk::open(searcher, segment, fields, plan, &formula)?;
        let threshold = top.threshold();
        walk.run(&formula, segment, &mut *filter.scorer(segment, 1.0)?, threshold, &mut |doc, score| {
            top.offer(score, DocAddress::new(ordinal, doc))
        });
    }
    Ok(top.into_sorted())
}

/// Says whether `filter` lets any chunk through that holds a word of `plan`.
pub(super) fn any(
    searcher: &Searcher,
    fields: &Fields,
    recipe: &LexicalRecipe,
    plan: &Plan,
    filter: &dyn Query,
) -> tantivy::Result<bool> {
    let formula = Formula::new(searcher, fields, recipe)?;
    let filter = filter.weight(EnableScoring::disabled_from_searcher(searcher))?;
    let mut found = false;
    for segment in searcher.segment_readers() {
        let mut walk = Walk::open(searcher, segment, fields, plan, &formula)?;
        // After the first one, no other can be better.
        walk.run(&formula, segment, &mut *filter.scorer(segment, 1.0)?, f32::NEG_INFINITY, &mut |_, _| {
            found = true;
            f32::INFINITY
        });
        if found {
            break;
        }
    }
    Ok(found)
}

/// What the words and phrases of a plan, by their numbers, add to the score of a chunk.
pub(super) struct Contributions {
    pub words: Vec<(usize, f32)>,
    pub phrases: Vec<(usize, f32)>,
}

/// What each word and phrase of `plan` adds to the score of one chunk.
pub(super) fn contributions(
    searcher: &Searcher,
    fields: &Fields,
    recipe: &LexicalRecipe,
    plan: &Plan,
    address: DocAddress,
) -> tantivy::Result<Contributions> {
    let formula = Formula::new(searcher, fields, recipe)?;
    let segment = searcher.segment_reader(address.segment_ord);
    let Walk { words, phrases, norms } = Walk::open(searcher, segment, fields, plan, &formula)?;
    let added = |mut word: WordCursor| {
        word.seek(address.doc_id);
        (word.doc == address.doc_id).then(|| (word.at, word.score(&formula, &norms)))
    };
    let words = words.into_iter().filter_map(added).collect();
    let added = |mut phrase: PhraseCursor| {
        let bonus = phrase.bonus(address.doc_id);
        (bonus > 0.0).then_some((phrase.at, bonus))
    };
    Ok(Contributions { words, phrases: phrases.into_iter().filter_map(added).collect() })
}

/// The constants of a search: weights, and lengths of fields relative to their average.
struct Formula<'r> {
    recipe: &'r LexicalRecipe,
    body: Lengths,
    title: Lengths,
    headings: Lengths,
}

impl<'r> Formula<'r> {
    fn new(searcher: &Searcher, fields: &Fields, recipe: &'r LexicalRecipe) -> tantivy::Result<Self> {
        let lengths = |field, b| Lengths::new(searcher, field, b);
        Ok(Self {
            recipe,
            body: lengths(fields.stem, recipe.b)?,
            title: lengths(fields.title, recipe.b_short)?,
            headings: lengths(fields.headings, recipe.b_short)?,
        })
    }

    /// Saturation: from 0 to `k1 + 1`, 1 for a frequency of 1.
    fn saturate(&self, frequency: f32) -> f32 {
        frequency * (self.recipe.k1 + 1.0) / (frequency + self.recipe.k1)
    }

    /// The most a word can add, as a multiple of its rarity.
    fn bound(&self) -> f32 {
        (self.recipe.k1 + 1.0 + TIE + self.recipe.weights.spelling) * SLACK
    }
}

/// By the code of a length, 1 over the length relative to the average, softened by `b`.
struct Lengths([f32; 256]);

impl Lengths {
    fn new(searcher: &Searcher, field: Field, b: f32) -> tantivy::Result<Self> {
        let (mut tokens, mut documents) = (0, 0);
        for segment in searcher.segment_readers() {
            tokens += segment.inverted_index(field)?.total_num_tokens();
            documents += u64::from(segment.max_doc());
        }
        let average = (tokens as f32 / documents.max(1) as f32).max(1.0);
        let factor = |code| 1.0 / (1.0 - b + b * FieldNormReader::id_to_fieldnorm(code) as f32 / average);
        Ok(Self(std::array::from_fn(|code| factor(u8::try_from(code).unwrap_or(u8::MAX)))))
    }
}

/// The lengths of the fields of every chunk of a segment.
struct Norms {
    body: FieldNormReader,
    title: FieldNormReader,
    headings: FieldNormReader,
}

impl Norms {
    fn open(segment: &SegmentReader, fields: &Fields) -> tantivy::Result<Self> {
        Ok(Self {
            body: segment.get_fieldnorms_reader(fields.stem)?,
            title: segment.get_fieldnorms_reader(fields.title)?,
            headings: segment.get_fieldnorms_reader(fields.headings)?,
        })
    }
}

/// The postings of one segment.
struct Walk {
    /// Ascending by what they can add at most.
    words: Vec<WordCursor>,
    phrases: Vec<PhraseCursor>,
    norms: Norms,
}

impl Walk {
    fn open(
        searcher: &Searcher,
        segment: &SegmentReader,
        fields: &Fields,
        plan: &Plan,
        formula: &Formula<'_>,
    ) -> tantivy::Result<Self> {
        let mut words = Vec::with_capacity(plan.words.len());
        for (at, word) in plan.words.iter().enumerate() {
            words.extend(WordCursor::open(at, word, segment, formula)?);
        }
        words.sort_by(|a, b| a.bound.total_cmp(&b.bound));
        let mut phrases = Vec::with_capacity(plan.phrases.len());
        for (at, phrase) in plan.phrases.iter().enumerate() {
            phrases.push(PhraseCursor::open(at, phrase, searcher, segment)?);
        }
        Ok(Self { words, phrases, norms: Norms::open(segment, fields)? })
    }

    /// Offers every allowed chunk that may still be among the best; `offer` gives the score to beat.
    fn run(
        &mut self,
        formula: &Formula<'_>,
        segment: &SegmentReader,
        filter: &mut dyn Scorer,
        mut threshold: f32,
        offer: &mut dyn FnMut(DocId, f32) -> f32,
    ) {
        let bonus: f32 = self.phrases.iter().map(|phrase| phrase.weight).sum();
        // ceilings[n]: the most that the first n words, which are the weakest, and all phrases can add.
        let mut ceilings = vec![bonus];
        for word in &self.words {
            ceilings.push(ceilings[ceilings.len() - 1] + word.bound);
        }
        let alive = segment.alive_bitset();
        let mut weak = 0;
        loop {
            while weak < self.words.len() && ceilings[weak + 1] <= threshold {
                weak += 1;
            }
            let Some(doc) = self.words[weak..].iter().map(|word| word.doc).min() else { return };
            if doc == TERMINATED {
                return;
            }
            let allowed = if filter.doc() < doc { filter.seek(doc) } else { filter.doc() };
            if allowed == doc
                && alive.is_none_or(|alive| alive.is_alive(doc))
                && let Some(score) = self.score(formula, doc, weak, &ceilings, threshold)
                && score > threshold
            {
                threshold = offer(doc, score);
            }
            let next = allowed.max(doc + 1);
            for word in &mut self.words[weak..] {
                word.seek(next);
            }
        }
    }

    /// The score of a chunk, or nothing as soon as it cannot beat `threshold`.
    fn score(
        &mut self,
        formula: &Formula<'_>,
        doc: DocId,
        weak: usize,
        ceilings: &[f32],
        threshold: f32,
    ) -> Option<f32> {
        let mut score = 0.0;
        for (at, word) in self.words.iter_mut().enumerate().rev() {
            if at < weak {
                if score + ceilings[at + 1] <= threshold {
                    return None;
                }
                word.seek(doc);
            }
            if word.doc == doc {
                score += word.score(formula, &self.norms);
            }
        }
        Some(score + self.phrases.iter_mut().map(|phrase| phrase.bonus(doc)).sum::<f32>())
    }
}

/// A word in the postings of a segment.
struct WordCursor {
    /// Which word of the plan.
    at: usize,
    idf: f32,
    bound: f32,
    whole: EvidenceCursor,
    /// Parts of a compound, with their shares of its rarity.
    parts: Vec<(f32, EvidenceCursor)>,
    /// The next chunk with any trace of the word.
    doc: DocId,
}

impl WordCursor {
    fn open(
        at: usize,
        word: &PlannedWord,
        segment: &SegmentReader,
        formula: &Formula<'_>,
    ) -> tantivy::Result<Option<Self>> {
        let whole = EvidenceCursor::open(&word.whole, segment)?;
        let mut parts = Vec::with_capacity(word.parts.len());
        for part in &word.parts {
            parts.push((part.share, EvidenceCursor::open(&part.evidence, segment)?));
        }
        let bound = word.idf * formula.bound();
        let mut cursor = Self { at, idf: word.idf, bound, whole, parts, doc: 0 };
        cursor.settle();
        Ok((cursor.doc != TERMINATED).then_some(cursor))
    }

    fn settle(&mut self) {
        self.doc = self.parts.iter().map(|(_, part)| part.doc).fold(self.whole.doc, DocId::min);
    }

    fn seek(&mut self, target: DocId) {
        if self.doc < target {
            self.whole.seek(target);
            for (_, part) in &mut self.parts {
                part.seek(target);
            }
            self.settle();
        }
    }

    /// What the word adds to the score of the present chunk.
    fn score(&self, formula: &Formula<'_>, norms: &Norms) -> f32 {
        let doc = self.doc;
        let (frequency, spelled) = self.whole.frequency(doc, formula, norms);
        let whole = formula.saturate(frequency);
        // Parts never add up to more than the whole once.
        let share = |(share, part): &(f32, EvidenceCursor)| {
            let (frequency, _) = part.frequency(doc, formula, norms);
            *share * formula.saturate(frequency).min(1.0)
        };
        let parts = formula.recipe.weights.compound * self.parts.iter().map(share).sum::<f32>();
        let spelling = if spelled { formula.recipe.weights.spelling } else { 0.0 };
        self.idf * (whole.max(parts) + TIE * whole.min(parts).min(1.0) + spelling)
    }
}

/// Every posting list that bears on one word.
struct EvidenceCursor {
    lists: Vec<(Place, SegmentPostings)>,
    doc: DocId,
}

impl EvidenceCursor {
    fn open(evidence: &Evidence, segment: &SegmentReader) -> tantivy::Result<Self> {
        let mut lists = Vec::with_capacity(evidence.forms.len());
        for form in &evidence.forms {
            let index = segment.inverted_index(form.term.field())?;
            if let Some(postings) = index.read_postings(&form.term, IndexRecordOption::WithFreqs)? {
                lists.push((form.place, postings));
            }
        }
        let mut cursor = Self { lists, doc: 0 };
        cursor.settle();
        Ok(cursor)
    }

    fn settle(&mut self) {
        self.doc = self.lists.iter().map(|(_, postings)| postings.doc()).min().unwrap_or(TERMINATED);
    }

    fn seek(&mut self, target: DocId) {
        if self.doc < target {
            for (_, postings) in &mut self.lists {
                if postings.doc() < target {
                    postings.seek(target);
                }
            }
            self.settle();
        }
    }

    /// The weighted frequency in chunk `doc`, lengths taken into account, and whether the text has the spelling.
    fn frequency(&self, doc: DocId, formula: &Formula<'_>, norms: &Norms) -> (f32, bool) {
        let (mut exact, mut folded, mut stem, mut compound, mut title, mut headings) = (0, 0, 0, 0, 0, 0);
        for (place, postings) in self.lists.iter().filter(|(_, postings)| postings.doc() == doc) {
            let frequency = postings.term_freq();
            match place {
                Place::Exact => exact = exact.max(frequency),
                Place::Folded => folded = folded.max(frequency),
                Place::Stem => stem = stem.max(frequency),
                Place::Compound => compound += frequency,
                Place::Title => title = title.max(frequency),
                Place::Headings => headings = headings.max(frequency),
            }
        }
        let weights = formula.recipe.weights;
        let folded_only = folded.saturating_sub(exact);
        let stem_only = stem.saturating_sub(folded.max(exact));
        let body = exact as f32
            + weights.folded * folded_only as f32
            + weights.stem * stem_only as f32
            + weights.compound * compound as f32;
        let per_length = |frequency: f32, norms: &FieldNormReader, lengths: &Lengths| {
            if frequency > 0.0 { frequency * lengths.0[usize::from(norms.fieldnorm_id(doc))] } else { 0.0 }
        };
        let frequency = per_length(body, &norms.body, &formula.body)
            + weights.title * per_length(title as f32, &norms.title, &formula.title)
            + weights.headings * per_length(headings as f32, &norms.headings, &formula.headings);
        (frequency, exact > 0)
    }
}

/// Words side by side, in any of the fields that keep places.
struct PhraseCursor {
    at: usize,
    weight: f32,
    matches: Vec<Box<dyn Scorer>>,
}

impl PhraseCursor {
    fn open(at: usize, phrase: &Phrase, searcher: &Searcher, segment: &SegmentReader) -> tantivy::Result<Self> {
        let mut matches = Vec::with_capacity(phrase.queries.len());
        for query in &phrase.queries {
            matches.push(query.weight(EnableScoring::disabled_from_searcher(searcher))?.scorer(segment, 1.0)?);
        }
        Ok(Self { at, weight: phrase.weight, matches })
    }

    /// What the phrase adds to the score of chunk `doc`, which must not go backwards.
    fn bonus(&mut self, doc: DocId) -> f32 {
        let found = self.matches.iter_mut().any(|phrase| {
            let at = if phrase.doc() < doc { phrase.seek(doc) } else { phrase.doc() };
            at == doc
        });
        if found { self.weight } else { 0.0 }
    }
}
