//! Decomposition: a text that asks several things becomes the questions in it, by rule.
//!
//! People ask two things at once, and one vector stands for neither. A text is taken apart where a new question sentence
//! begins, and where clauses are joined of which each asks for itself: `Wie lange gilt die Bewilligung | und was kostet sie?`
//! A part that leans on an earlier one ("was kostet sie") gets the words of that one in front.
//!
//! **Why by rule.** The words that ask are closed classes (`grammar`), so a rule sees most of what there is to see in
//! microseconds, and the same text always gives the same parts. In doubt a text stays whole: it is searched as a whole in any
//! case, so what is not taken apart loses nothing.

use crate::grammar::{GRAMMARS, Grammar, WEAK};

/// Longest text that is looked at, in bytes: what is longer is a document, and asks nothing.
const MAX_BYTES: usize = 2_000;

/// Most parts of a text: each costs a search.
const MAX_PARTS: usize = 4;

/// A part with a pronoun and fewer words of its own than this leans on what was asked before.
const FEW: usize = 3;

/// Most words that a part takes from the one it leans on.
const BORROWED: usize = 12;

/// Most words that may stand before the one that asks: "à partir de quand".
const LEAD: usize = 3;

/// Marks that quote; what stands between two of them is not looked at.
const QUOTES: [char; 6] = ['"', '„', '“', '”', '«', '»'];

/// A word of a text.
#[derive(Clone, Copy)]
struct Word<'t> {
    raw: &'t str,
    lower: &'t str,
    start: usize,
    /// Whether a comma, colon or semicolon stands before it.
    comma: bool,
    /// Whether it stands between quotation marks.
    quoted: bool,
}

/// The questions in `text`, in their order, at most four, each so that it can be searched for by itself; none when the text
/// does not clearly hold more than one.
pub fn parts(text: &str) -> Vec<String> {
    if text.len() > MAX_BYTES {
        return Vec::new();
    }
    // Of the same length, so that places are the same in both.
    let lower: String = text.chars().map(lower_case).collect();
    let mut found = Vec::new();
    for (start, end) in sentences(text, &lower) {
        let words = words(text, &lower, start, end);
        let taken_apart = GRAMMARS.iter().map(|grammar| clauses(&words, grammar)).find(|clauses| clauses.len() > 1);
        found.extend(taken_apart.unwrap_or_else(|| vec![words]));
    }
    // What is too much stays with the last part, so that none of it is lost.
    let rest: Vec<Word<'_>> = found.drain(MAX_PARTS.min(found.len())..).flatten().collect();
    if let Some(last) = found.last_mut() {
        last.extend(rest);
    }
    if found.len() < 2 {
        return Vec::new();
    }
    let parts: Vec<String> = (0..found.len()).filter_map(|at| standing_alone(text, &found, at)).collect();
    if parts.len() < 2 { Vec::new() } else { parts }
}

/// The lower case of a letter, unless it is longer or shorter.
fn lower_case(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) if lower.len_utf8() == c.len_utf8() => lower,
        _ => c,
    }
}

/// Says whether a place lies between quotation marks.
fn is_quoted(text: &str, at: usize) -> bool {
    text[..at].matches(QUOTES).count() % 2 == 1
}

/// The sentences that ask: what ends with a question mark, and what stands behind the last one if it asks all the same. A text
/// without a question mark is one sentence.
fn sentences(text: &str, lower: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, mark) in text.match_indices(['?', '.', '!', '\n']) {
        let end = at + mark.len();
        let (before, after) = (&text[..at], text[end..].chars().next());
        let ends = match mark {
            "?" => after.is_none_or(char::is_whitespace),
            "\n" => true,
            // An abbreviation ends nothing: a sentence ends with a word, and another begins with a capital letter.
            _ => {
                let word = before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
                let next = text[end..].trim_start().chars().next();
                word.chars().count() > 3 && after.is_none_or(char::is_whitespace) && next.is_none_or(char::is_uppercase)
            }
        };
        if ends && !is_quoted(text, at) {
            if mark == "?" {
                found.push((start, at));
            }
            start = end;
        }
    }
    if found.is_empty() {
        return vec![(0, text.len())];
    }
    let rest = words(text, lower, start, text.len());
    if GRAMMARS.iter().any(|grammar| asks(&rest, grammar).is_some()) {
        found.push((start, text.len()));
    }
    found.retain(|&(start, end)| text[start..end].chars().any(char::is_alphanumeric));
    found
}

/// The words of a part of the text. What an apostrophe or a hyphen joins is two words.
fn words<'t>(text: &'t str, lower: &'t str, start: usize, end: usize) -> Vec<Word<'t>> {
    let mut words: Vec<Word<'t>> = Vec::new();
    let mut before = start;
    let joins_none = |c: char| !c.is_alphanumeric();
    let mut next = start;
    for piece in text[start..end].split_inclusive(joins_none) {
        let (at, raw) = (next, piece.trim_end_matches(joins_none));
        next += piece.len();
        if !raw.is_empty() {
            let comma = text[before..at].contains([',', ';', ':', '–']);
            before = at + raw.len();
            words.push(Word { raw, lower: &lower[at..before], start: at, comma, quoted: is_quoted(text, at) });
        }
    }
    words
}

/// Takes a sentence apart between clauses of which each asks; one clause when there is no such place.
fn clauses<'t>(words: &[Word<'t>], grammar: &Grammar) -> Vec<Vec<Word<'t>>> {
    let whole = || vec![words.to_vec()];
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    for at in 1..words.len() {
        let joint = grammar.joints.iter().find_map(|joint| {
            let length = joint.split(' ').count();
            let stands = words.get(at..at + length)?.iter().map(|word| word.lower).eq(joint.split(' '));
            stands.then_some(length)
        });
        if let Some(length) = joint
            && !words[at].quoted
            && part_here(&words[start..at], &words[at + length..], words[0].start, grammar)
        {
            cuts.push((at, at + length));
            start = at + length;
        }
    }
    let Some(&(first, _)) = cuts.first() else { return whole() };
    // What is joined at the end may be a list: "wann, wo und wie".
    for at in (1..first).rev() {
        let (before, behind) = (&words[..at], &words[at..cuts[0].0]);
        let relative = asking_at(behind, grammar).is_some_and(|at| grammar.relative.contains(&behind[at].lower));
        let listed = words[at].comma && !relative && !leads(before, grammar);
        if listed && part_here(before, behind, words[0].start, grammar) {
            cuts.insert(0, (at, at));
        }
    }
    let ends = cuts.iter().map(|cut| cut.0).chain([words.len()]);
    let starts = [0].into_iter().chain(cuts.iter().map(|cut| cut.1));
    starts
        .zip(ends)
        .map(|(start, end)| {
            let clause = &words[start..end];
            // What introduces an indirect question ("können Sie mir sagen, …") asks nothing.
            clause[asks(clause, grammar).map_or(0, |from| from)..].to_vec()
        })
        .collect()
}

/// Says whether the sentence that begins at `sentence` is taken apart between `before` and `behind`.
fn part_here(before: &[Word<'_>], behind: &[Word<'_>], sentence: usize, grammar: &Grammar) -> bool {
    // A sentence may begin with the verb, whatever its subject.
    let opens = before.len() > 2 && before[0].start == sentence && leads(before, grammar);
    let (Some(from), Some(_)) = (asks(before, grammar).or(opens.then_some(0)), asks(behind, grammar)) else {
        return false;
    };
    let asking = asking_at(behind, grammar).map(|at| behind[at].lower);
    // The same word within the clause before begins a clause inside it, and what follows goes on with that: "the man who
    // came and who saw".
    let inside = asking_at(&before[from..], grammar).map_or(0, |at| at + 1);
    !before[from + inside..].iter().any(|word| Some(word.lower) == asking)
}

/// Says whether a clause opens with a verb, as in "können Sie mir sagen".
fn leads(words: &[Word<'_>], grammar: &Grammar) -> bool {
    words.first().is_some_and(|first| grammar.opening.contains(&first.lower))
}

/// Place of the word that asks, if a clause begins with one, prepositions aside.
fn asking_at(words: &[Word<'_>], grammar: &Grammar) -> Option<usize> {
    let is = |list: &[&str], word: &Word<'_>| list.contains(&word.lower);
    let lead = words.iter().take(LEAD).take_while(|word| is(grammar.before, word)).count();
    words.get(lead).filter(|word| is(grammar.asking, word) || is(grammar.choosing, word)).map(|_| lead)
}

/// Says where a clause that asks begins within `words`; `None` when they ask nothing, or only lack the verb that stands in the
/// next clause ("wann und wo wurde …").
fn asks(words: &[Word<'_>], grammar: &Grammar) -> Option<usize> {
    if words.len() < grammar.fewest {
        return None;
    }
    if let Some(at) = asking_at(words, grammar) {
        let rest = &words[at + 1..];
        let own = rest.iter().filter(|word| !WEAK.contains(&word.lower)).count();
        let verb = rest.iter().any(|word| grammar.verbs.contains(&word.lower));
        let choosing = grammar.choosing.contains(&words[at].lower);
        let whole = match (choosing, verb) {
            (_, true) => own > 0 || rest.len() > 1,
            (true, false) => own > 2,
            (false, false) if grammar.verb_needed => own > 2,
            (false, false) => own > 0,
        };
        return whole.then_some(0);
    }
    // An indirect question asks by itself.
    let inside = |at: &usize| {
        let rest = &words[*at..];
        words[*at].comma && asking_at(rest, grammar).is_some() && asks(rest, grammar).is_some()
    };
    let opens = grammar.opening.contains(&words[0].lower) && grammar.subjects.contains(&words.get(1)?.lower);
    (1..words.len()).find(inside).or((opens && words.len() > 2).then_some(0))
}

/// A part as it can be searched for by itself; `None` for one that says nothing.
fn standing_alone(text: &str, found: &[Vec<Word<'_>>], at: usize) -> Option<String> {
    let words = &found[at];
    let (first, last) = (words.first()?, words.last()?);
    let end = last.start + last.raw.len();
    let mut part = format!("{}?", text[first.start..end].trim());
    if content(words).next().is_none() && at == 0 {
        return None;
    }
    if let Some(nearest) = found[..at].last()
        && leans(words)
    {
        let own: Vec<&str> = words.iter().map(|word| word.lower).collect();
        let subject = found[..at].iter().rev().find(|earlier| !leans(earlier)).unwrap_or(nearest);
        let borrowed = content(subject).filter(|word| !own.contains(&word.lower)).map(|word| word.raw);
        let borrowed: Vec<&str> = borrowed.take(BORROWED).collect();
        // With nothing to lean on it asks for nothing.
        if borrowed.is_empty() {
            return content(words).next().map(|_| part);
        }
        part = format!("{}: {part}", borrowed.join(" "));
    }
    Some(part)
}

/// The words that say something.
fn content<'w, 't>(words: &'w [Word<'t>]) -> impl Iterator<Item = &'w Word<'t>> {
    let asking = |word: &Word<'_>| {
        GRAMMARS.iter().any(|grammar| grammar.asking.contains(&word.lower) || grammar.choosing.contains(&word.lower))
    };
    words.iter().filter(move |word| !WEAK.contains(&word.lower) && !asking(word))
}

/// Says whether a part is understood only together with what was asked before it.
fn leans(words: &[Word<'_>]) -> bool {
    let grammar = GRAMMARS.iter().find(|grammar| asks(words, grammar).is_some());
    let points = |word: &Word<'_>| grammar.is_some_and(|grammar| grammar.pointing.contains(&word.lower));
    let own: Vec<&Word<'_>> = content(words).filter(|word| !points(word)).collect();
    match own[..] {
        [] => true,
        // A name stands alone. Where every noun has a capital letter, only one of capitals is known to be one.
        [one] => {
            let capitals = if grammar.is_some_and(|grammar| grammar.capital_nouns) { usize::MAX } else { 1 };
            let upper = one.raw.chars().take_while(|c| c.is_uppercase() || c.is_ascii_digit()).count();
            upper < capitals.min(one.raw.chars().count())
        }
        _ => own.len() < FEW && words.iter().any(points),
    }
}

#[cfg(test)]
#[path = "decompose_tests.rs"]
mod tests;
