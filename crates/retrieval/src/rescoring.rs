//! Reading the best candidates again, with the question beside them.
//!
//! A **reranker**, a cross-encoder that a site installs, decides alone: it has seen more than both legs. Without one, the
//! embedder compares question and passages token by token (**late interaction**); that sees more than one vector per
//! chunk does and less than the legs do together, so its score is added to that of fusion. It is for hybrid searches: the
//! legs alone stay what they are.

use std::{collections::HashMap, ops::Range};

use fontes_core::{
    ChunkId, Embedder, Error, Hit, LexicalIndex, MatchPassage, QueryToken, Reranker, Result, TokenStore,
};

use crate::LegShares;

/// How many fused candidates are read at most: cross-encoders cost tens of milliseconds each on a CPU.
pub(crate) const RERANK_DEPTH: usize = 50;

/// What late interaction weighs against fusion. Mean nDCG@10 over the tuning halves of five sets with 4 / 8 / 16: see
/// "Reading candidates again" in `docs/benchmarks.md`; there is no peak, only a plateau.
pub(crate) const WEIGHT: f32 = 8.0;

/// To what power the rarity of a token's word counts.
const RARE: f32 = 1.5;

/// What a token counts at least: punctuation, and words that all chunks have.
const LEAST: f32 = 0.1;

/// Combining diacritical marks (Unicode block).
const MARKS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{36f}';

/// Longest title and headings that are read before a passage, in bytes: as many tokens as the default profile embeds.
const CONTEXT_BYTES: usize = 200;

/// Puts candidates into the order in which `reranker` sees them. What its budget did not reach stays behind, in the order of
/// fusion.
///
/// # Errors
/// Whatever the reranker gives; an internal error when it gives another number of scores.
pub(crate) fn decide(reranker: &dyn Reranker, question: &str, candidates: &mut [(Hit, LegShares)]) -> Result<()> {
    let head = candidates.len().min(RERANK_DEPTH);
    let texts: Vec<String> = candidates[..head].iter().map(|(hit, _)| text(hit)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = reranker.score(question, &texts)?;
    if scores.len() != head {
        return Err(Error::internal(format!("reranker gave {} scores for {head} passages", scores.len())));
    }
    for ((hit, _), score) in candidates.iter_mut().zip(scores) {
        (hit.scores.rerank, hit.score) = (Some(score), score);
    }
    // Stable: equal scores keep the order of fusion; what was not reranked stays behind what was.
    candidates[..head].sort_by(|(a, _), (b, _)| {
        let key = |hit: &Hit| hit.scores.rerank.filter(|score| !score.is_nan()).unwrap_or(f32::MIN);
        key(b).total_cmp(&key(a))
    });
    Ok(())
}

/// The comparison of one question with passages, token by token. Each passage is compared once, however often it is a
/// candidate, and what is not kept is read within one budget.
pub(crate) struct Late<'a> {
    embedder: &'a dyn Embedder,
    kept: Option<&'a dyn TokenStore>,
    query: Vec<QueryToken>,
    /// Tokens that may be read, in the one comparison that meets passages of which nothing is kept.
    budget: usize,
    /// Whether there was one.
    has_read: bool,
    known: HashMap<ChunkId, Option<f32>>,
}

impl<'a> Late<'a> {
    /// `query` as the embedder gave it for `text`. Its tokens count by how rare their words are in the archive, where the lexical
    /// index knows.
    ///
    /// # Errors
    /// Whatever the lexical index gives.
    pub(crate) fn new(
        embedder: &'a dyn Embedder,
        kept: Option<&'a dyn TokenStore>,
        (text, query): (&str, &[QueryToken]),
        lexical: &dyn LexicalIndex,
        budget: usize,
    ) -> Result<Self> {
        let mut query = query.to_vec();
        // What the embedder cut off has no token to weigh.
        let end = query.last().map_or(0, |token| token.span.end).min(text.len());
        let words = words(&text[..text.floor_char_boundary(end)]);
        let rarities = lexical.rarities(&words.iter().map(|word| &text[word.clone()]).collect::<Vec<_>>())?;
        if rarities.len() == words.len() {
            weigh(&mut query, &words, &rarities);
        }
        Ok(Self { embedder, kept, query, budget, has_read: false, known: HashMap::new() })
    }

    /// Adds to the score of each candidate how much of the question it holds, token by token. Those whose tokens' signs are kept
    /// cost next to nothing; of the others, the first within the budget are read. The sum is scaled so that what
    /// was between 0 and 1 stays there.
    ///
    /// # Errors
    /// Whatever the embedder gives; an internal error when it gives another number of scores.
    pub(crate) fn add(&mut self, candidates: &mut [(Hit, LegShares)]) -> Result<()> {
        let head = candidates.len().min(RERANK_DEPTH);
        self.compare(&candidates[..head])?;
        let score = |hit: &Hit| self.known.get(&hit.chunk_id).copied().flatten();
        if candidates[..head].iter().all(|(hit, _)| score(hit).is_none()) {
            return Ok(());
        }
        for (at, (hit, _)) in candidates.iter_mut().enumerate() {
            hit.scores.rerank = if at < head { score(hit) } else { None };
            hit.score = (hit.score + WEIGHT * hit.scores.rerank.unwrap_or(0.0)) / (1.0 + WEIGHT);
        }
        candidates.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score));
        Ok(())
    }

    /// Says whether passages had to be read, because nothing is kept of them: then the budget is spent.
    pub(crate) fn has_read(&self) -> bool {
        self.has_read
    }

    /// Makes the scores known that are not yet.
    fn compare(&mut self, candidates: &[(Hit, LegShares)]) -> Result<()> {
        let mut new: Vec<&Hit> = candidates.iter().map(|(hit, _)| hit).collect();
        new.retain(|hit| !self.known.contains_key(&hit.chunk_id));
        let ids: Vec<ChunkId> = new.iter().map(|hit| hit.chunk_id).collect();
        // What cannot be looked up is read.
        let kept = self.kept.and_then(|kept| kept.get(&self.embedder.identity().sha256, &ids).ok());
        let kept = kept.filter(|kept| kept.len() == ids.len()).unwrap_or_else(|| vec![Vec::new(); ids.len()]);
        let new: Vec<(&Hit, Vec<u8>)> = new.into_iter().zip(kept).collect();
        self.has_read |= new.iter().any(|(_, tokens)| tokens.is_empty());
        let texts: Vec<String> = new.iter().map(|(hit, _)| text(hit)).collect();
        let passages: Vec<MatchPassage<'_>> =
            new.iter().zip(&texts).map(|((_, tokens), text)| MatchPassage { text, tokens }).collect();
        let scores = self.embedder.match_tokens(&self.query, &passages, self.budget)?;
        if scores.len() != new.len() {
            return Err(Error::internal(format!("embedder gave {} scores for {} passages", scores.len(), new.len())));
        }
        self.known.extend(new.iter().map(|(hit, _)| hit.chunk_id).zip(scores));
        Ok(())
    }
}

/// Lets each token count by how rare its word is. A word of several tokens has the more the more it has, but not as much as so
/// many words.
fn weigh(query: &mut [QueryToken], words: &[Range<usize>], rarities: &[f32]) {
    // Words are in order and do not overlap.
    let word = |token: &QueryToken| {
        let at = words.partition_point(|word| word.end <= token.span.start);
        words.get(at).is_some_and(|word| word.start < token.span.end).then_some(at)
    };
    let of: Vec<Option<usize>> = query.iter().map(word).collect();
    let mut pieces = vec![0.0_f32; words.len()];
    of.iter().flatten().for_each(|&at| pieces[at] += 1.0);
    for (token, at) in query.iter_mut().zip(of) {
        let weight = at.map_or(0.0, |at| rarities[at].max(0.0).powf(RARE) / pieces[at].sqrt());
        token.weight = weight.max(LEAST);
    }
}

/// Runs of letters and digits, with the marks of letters that are written as two characters.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric() || MARKS.contains(c)) {
        match words.last_mut().filter(|word| word.end == at) {
            Some(word) => word.end += c.len_utf8(),
            None => words.push(at..at + c.len_utf8()),
        }
    }
    words
}

/// A passage as it is read: title and headings, then the text.
fn text(hit: &Hit) -> String {
    let mut context: Vec<&str> = vec![&hit.title];
    context.extend(hit.headings.iter().map(String::as_str));
    // Many documents repeat their title as the first heading.
    context.dedup();
    let context = context.join(" › ");
    format!("{}\n{}", &context[..context.floor_char_boundary(CONTEXT_BYTES)], hit.text)
}

#[cfg(test)]
mod tests {
    use fontes_core::Span;

    use super::*;

    #[test]
    fn tokens_count_by_the_rarity_of_their_words() {
        let text = "Wo ist die Baubewilligung?";
        let words = words(text);
        assert_eq!(
            words.iter().map(|word| &text[word.clone()]).collect::<Vec<_>>(),
            ["Wo", "ist", "die", "Baubewilligung"]
        );
        // The embedder cut the last word into four, and puts spaces to the word behind.
        let spans = [(0, 2), (2, 6), (6, 10), (10, 14), (14, 17), (17, 21), (21, 25), (25, 26)];
        let mut query: Vec<QueryToken> = spans
            .map(|(start, end)| QueryToken { span: Span::new(start, end), weight: 7.0, ..QueryToken::default() })
            .to_vec();
        weigh(&mut query, &words, &[1.0, 0.0, -1.0, 4.0]);
        let weights: Vec<f32> = query.iter().map(|token| token.weight).collect();
        assert_eq!(weights, [1.0, LEAST, LEAST, 4.0, 4.0, 4.0, 4.0, LEAST]);
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(words("§ 5a, l’État "), [3..5, 7..8, 11..16]);
        assert!(words(" – ").is_empty());
        assert_eq!(words("Ero\u{308}ffnung heute"), [0..11, 12..17], "as some systems write ö");
    }
}
