//! Hits and answers as a person reads them on a terminal.

use fontes_core::{Answer, Citation, Duplicate, Hit, Language, Remark, Sentence, Subquery, SubqueryKind, Support};
use fontes_retrieval::{Explanation, LegShares};

use crate::{
    output::{Voice, printable},
    phrases::{Phrases, phrases},
};

/// SGR parameters: bold, dim, and the colour of markers.
const BOLD: &str = "1";
const DIM: &str = "2";
const MARKER: &str = "36";

/// Columns of running text: comfortable to read, fits a default terminal.
const WIDTH: usize = 96;

/// Lines of a passage shown in a list of hits.
const PASSAGE_LINES: usize = 4;

/// Other places of a passage that are named; the rest are counted.
const OTHER_PLACES: usize = 3;

/// One hit of a search, and why it is there when that was asked for.
pub fn hit(voice: Voice, hit: &Hit, explanation: Option<&Explanation>) -> String {
    let title = voice.style(BOLD, &format!("{:>2}  {}", hit.rank, printable(&hit.title)));
    let words = phrases(Language::English);
    let places = [place(words, &hit.path, &hit.pages, &hit.headings)];
    let mut text = format!("{title}\n");
    for line in places.into_iter().chain(others(words, &hit.also_in)) {
        text.push_str(&format!("    {}\n", voice.style(DIM, &line)));
    }
    let lines = wrap(&hit.text, WIDTH - 4);
    for line in lines.iter().take(PASSAGE_LINES) {
        text.push_str(&format!("    {line}\n"));
    }
    if lines.len() > PASSAGE_LINES {
        text.push_str("    …\n");
    }
    for line in explanation.iter().flat_map(|explanation| reasons(hit, explanation)) {
        text.push_str(&format!("    {}\n", voice.style(DIM, &line)));
    }
    text
}

/// The lines that say why a hit is there.
fn reasons(hit: &Hit, explanation: &Explanation) -> Vec<String> {
    let score = |name: &str, score: Option<f32>| score.map(|score| format!("{name} {score:.4}"));
    let scores = [
        score("similarity", explanation.similarity),
        score("with the best passages", explanation.feedback),
        score("words", hit.scores.lexical),
        score("fused", hit.scores.fused),
        score("rerank", hit.scores.rerank),
    ];
    let scores: Vec<String> = scores.into_iter().flatten().collect();
    let span = format!("span {}..{}, chunk {}", hit.span.start, hit.span.end, hit.chunk_id);
    let mut lines = vec![format!("{} · {span}", scores.join(" · "))];
    if hit.scores.fused.is_some() {
        let LegShares { dense, lexical, document } = explanation.fusion;
        let document = if document == 0.0 { String::new() } else { format!(", {document:+.4} by its document") };
        lines.push(format!("fused of {dense:.4} by similarity and {lexical:.4} by words{document}"));
    }
    if hit.scores.rerank.is_some() {
        lines.push(format!("ranked by {:.4} after being read again", hit.score));
    }
    lines.extend(explanation.terms.iter().map(|term| {
        format!("{:.4}  {} (rarity {:.2}): {}", term.weight, term.term, term.rarity, term.found.join("; "))
    }));
    lines.extend(explanation.found_by.iter().map(|by| format!("number {} for {:?}", by.rank, by.subquery.text)));
    lines.extend(explanation.boosts.iter().cloned());
    if !explanation.filters.is_empty() {
        lines.push(format!("within {}", explanation.filters.join(", ")));
    }
    lines
}

/// A whole answer: sentences with markers, then the cited places, then the record.
pub fn answer(voice: Voice, answer: &Answer) -> String {
    let words = phrases(spoken(answer));
    let mut text = String::new();
    if answer.sentences.is_empty() {
        text.push_str(&format!("{}\n", answer.answer));
    } else if answer.extractive {
        // Quotes of different places do not make one text.
        for sentence in &answer.sentences {
            for line in wrap(&marked(voice, words, sentence), WIDTH) {
                text.push_str(&format!("{line}\n"));
            }
        }
    } else {
        let sentences: Vec<String> = answer.sentences.iter().map(|sentence| marked(voice, words, sentence)).collect();
        for line in wrap(&sentences.join(" "), WIDTH) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push_str(&sources(voice, answer));
    text
}

/// The language of what is said around an answer: that of the question, else of the best passage.
fn spoken(answer: &Answer) -> Language {
    match (Language::detect(&answer.question), answer.passages.first()) {
        (Language::Undetermined, Some(best)) => best.hit.language,
        (language, _) => language,
    }
}

/// Quotes to read while a model is at work.
pub fn preview(voice: Voice, quoted: &[Sentence]) -> String {
    let lines = quoted.iter().flat_map(|sentence| wrap(&format!("“{}” …", sentence.text.trim()), WIDTH));
    lines.map(|line| voice.style(DIM, &line)).collect::<Vec<_>>().join("\n")
}

/// Remarks, the cited places and the record of how the answer came about; what follows a streamed answer.
pub fn sources(voice: Voice, answer: &Answer) -> String {
    let words = phrases(spoken(answer));
    let mut text = remarks(voice, words, answer);
    let mut cited: Vec<&Citation> = answer.sentences.iter().flat_map(|sentence| &sentence.citations).collect();
    cited.sort_by_key(|citation| (citation.marker, citation.span));
    // A quoted sentence is the answer already, so its place is told once.
    cited.dedup_by(|one, before| {
        one.marker == before.marker && (one.span == before.span || answer.extractive && one.pages == before.pages)
    });
    if answer.abstained {
        for passage in answer.passages.iter().take(3) {
            let place = place(words, &passage.hit.path, &passage.hit.pages, &passage.hit.headings);
            text.push_str(&format!("\n  {} {}\n", voice.style(MARKER, words.closest), place));
        }
    }
    for citation in cited {
        let marker = voice.style(MARKER, &format!("[{}]", citation.marker));
        let date = citation.date.as_ref().map_or_else(String::new, |date| format!(" ({date})"));
        text.push_str(&format!("\n  {marker} {}{date}\n", voice.style(BOLD, &printable(&citation.title))));
        let places = [place(words, &citation.path, &citation.pages, &[])];
        for line in places.into_iter().chain(others(words, &citation.also_in)) {
            text.push_str(&format!("      {}\n", voice.style(DIM, &line)));
        }
        if !answer.extractive {
            for line in wrap(&format!("“{}”", citation.quote.trim()), WIDTH - 6).iter().take(PASSAGE_LINES) {
                text.push_str(&format!("      {line}\n"));
            }
        }
    }
    for left_out in &answer.left_out {
        let line = format!("{} [{}]: {}", words.without, left_out.marker, left_out.answer.replace('\n', " "));
        for line in wrap(&line, WIDTH - 2) {
            text.push_str(&format!("  {}\n", voice.style(DIM, &line)));
        }
    }
    text.push_str(&format!("\n  {}\n", voice.style(DIM, &record(words, answer))));
    text
}

/// How the answer came about, on one line.
fn record(words: &Phrases, answer: &Answer) -> String {
    let times = &answer.timings_ms;
    let how = if answer.extractive { words.quoted } else { &answer.model.name };
    let mut parts = vec![how.to_owned(), format!("{} {:.0} %", words.confidence, 100.0 * answer.confidence)];
    if answer.tokens.generated > 0 {
        parts.push(format!("{} + {} {}", answer.tokens.prompt, answer.tokens.generated, words.tokens));
        parts.push(format!("{} {:.1} s", words.first_token, times.first_token / 1000.0));
    }
    parts.push(format!("{:.1} s", times.total / 1000.0));
    parts.push(format!("{} {}", words.index, answer.index_snapshot.0));
    parts.join(" · ")
}

/// What a reader should know, one line each.
fn remarks(voice: Voice, words: &Phrases, answer: &Answer) -> String {
    let markers = |markers: &[u32]| markers.iter().map(|marker| format!("[{marker}]")).collect::<String>();
    let understood = answer.standalone.iter().map(|alone| format!("{} {alone}", words.understood));
    let hiding: Vec<u32> = answer
        .remarks
        .iter()
        .filter_map(|remark| if let Remark::HiddenText { marker } = remark { Some(*marker) } else { None })
        .collect();
    let others = answer.remarks.iter().filter_map(|remark| match remark {
        Remark::QuotedInstead => Some(words.quoted_instead.to_owned()),
        Remark::GeneratorSilent => Some(words.silent.to_owned()),
        Remark::LeftOut { sentences } => Some(format!("{} {sentences}", words.left_out)),
        Remark::Conflict { markers: differing } => Some(format!("{} {}", words.conflict, markers(differing))),
        Remark::Replaced { markers: replaced } => Some(format!("{} {}", words.replaced, markers(replaced))),
        Remark::NotSaid { question } => Some(format!("{} {question}", words.not_said)),
        Remark::NotRewritten => Some(words.not_rewritten.to_owned()),
        Remark::HiddenText { .. } => None,
    });
    let hidden = (!hiding.is_empty()).then(|| format!("{} {}", words.hidden, markers(&hiding)));
    let searched = searched(words, &answer.queries);
    let mut text = String::new();
    for remark in understood.chain(searched).chain(others).chain(hidden) {
        for line in wrap(&remark, WIDTH - 2) {
            text.push_str(&format!("  {}\n", voice.style(DIM, &line)));
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// What was searched for beside the whole question; nothing for a hypothetical passage, which says nothing.
pub fn searched(words: &Phrases, queries: &[Subquery]) -> Option<String> {
    let told = queries.iter().filter(|one| matches!(one.kind, SubqueryKind::Part | SubqueryKind::Rewritten));
    let told: Vec<&str> = told.map(|one| one.text.as_str()).collect();
    (!told.is_empty()).then(|| format!("{} {}", words.searched, told.join(" · ")))
}

/// A sentence with its markers, and a remark when the sources do not carry it.
pub fn marked(voice: Voice, words: &Phrases, sentence: &Sentence) -> String {
    let mut text = pointed(voice, sentence);
    let mut markers: Vec<u32> = sentence.citations.iter().map(|citation| citation.marker).collect();
    markers.dedup();
    for marker in markers {
        text.push_str(&format!(" {}", voice.style(MARKER, &format!("[{marker}]"))));
    }
    if sentence.support == Support::Unsupported {
        text.push_str(&format!(" ({})", words.unsupported));
    }
    text
}

/// The text of a sentence, the answer in it in bold where it is known.
fn pointed(voice: Voice, sentence: &Sentence) -> String {
    let text = sentence.text.trim();
    let answer = sentence.citations.iter().find_map(|citation| {
        let answer = citation.answer?;
        citation.quote.get(answer.start.checked_sub(citation.span.start)?..answer.end.checked_sub(citation.span.start)?)
    });
    match answer.map(|answer| answer.split_whitespace().collect::<Vec<_>>().join(" ")) {
        Some(answer) if !answer.is_empty() => text.replacen(&answer, &voice.style(BOLD, &answer), 1),
        _ => text.to_owned(),
    }
}

/// Path, pages and headings on one line.
fn place(words: &Phrases, path: &str, pages: &[u32], headings: &[String]) -> String {
    let pages = match pages {
        [] => String::new(),
        [page] => format!(", {} {page}", words.page),
        [first, .., last] => format!(", {} {first}–{last}", words.pages),
    };
    let headings = if headings.is_empty() { String::new() } else { format!(" · {}", headings.join(" › ")) };
    printable(&format!("{path}{pages}{headings}")).into_owned()
}

/// The other places that say the same, on one line; nothing when there are none.
fn others(words: &Phrases, also_in: &[Duplicate]) -> Option<String> {
    let named: Vec<String> =
        also_in.iter().take(OTHER_PLACES).map(|other| place(words, &other.path, &other.pages, &[])).collect();
    let rest = also_in.len() - named.len();
    let rest = if rest > 0 { format!("; +{rest}") } else { String::new() };
    (!named.is_empty()).then(|| format!("{} {}{rest}", words.also_in, named.join("; ")))
}

/// Breaks text at white space into lines of at most `width` characters; longer words stand alone. Escape
/// sequences are not counted.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = visible_length(word);
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Characters that take a column: all but those of escape sequences (`ESC [ … m`).
fn visible_length(word: &str) -> usize {
    let mut length = 0;
    let mut escaped = false;
    for character in word.chars() {
        match (escaped, character) {
            (false, '\x1b') => escaped = true,
            (false, _) => length += 1,
            (true, 'm') => escaped = false,
            (true, _) => {}
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_never_count_colours() {
        assert_eq!(wrap("eins zwei  drei\nvier", 9), ["eins zwei", "drei vier"]);
        assert_eq!(wrap("Donaudampfschifffahrt ja", 5), ["Donaudampfschifffahrt", "ja"]);
        assert_eq!(visible_length("\x1b[36m[1]\x1b[0m"), 3);
    }

    #[test]
    fn places_read_well() {
        assert_eq!(place(phrases(Language::English), "a.pdf", &[3], &[]), "a.pdf, page 3");
        let pages = place(phrases(Language::German), "a.pdf", &[3, 4, 5], &["Art. 5".into()]);
        assert_eq!(pages, "a.pdf, Seiten 3–5 · Art. 5");
    }
}
