//! Hits and answers as a person reads them on a terminal.

use fontes_core::{Answer, Citation, Hit, Sentence, Support};

use crate::output::Voice;

/// SGR parameters: bold, dim, and the colour of markers.
const BOLD: &str = "1";
const DIM: &str = "2";
const MARKER: &str = "36";

/// Columns of running text: comfortable to read, fits a default terminal.
const WIDTH: usize = 96;

/// Lines of a passage shown in a list of hits.
const PASSAGE_LINES: usize = 4;

/// One hit of a search; with `explain`, why it is there.
pub fn hit(voice: Voice, hit: &Hit, explain: bool) -> String {
    let title = voice.style(BOLD, &format!("{:>2}  {}", hit.rank, hit.title));
    let mut text = format!("{title}\n    {}\n", voice.style(DIM, &place(&hit.path, &hit.pages, &hit.headings)));
    let lines = wrap(&hit.text, WIDTH - 4);
    for line in lines.iter().take(PASSAGE_LINES) {
        text.push_str(&format!("    {line}\n"));
    }
    if lines.len() > PASSAGE_LINES {
        text.push_str("    …\n");
    }
    if explain {
        let score = |name: &str, score: Option<f32>| score.map(|score| format!("{name} {score:.4}"));
        let scores = &hit.scores;
        let parts = [
            score("dense", scores.dense),
            score("lexical", scores.lexical),
            score("fused", scores.fused),
            score("rerank", scores.rerank),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let span = format!("span {}..{}, chunk {}", hit.span.start, hit.span.end, hit.chunk_id);
        text.push_str(&format!("    {}\n", voice.style(DIM, &format!("{} · {span}", parts.join(" · ")))));
    }
    text
}

/// A whole answer: sentences with markers, then the cited places, then the record.
pub fn answer(voice: Voice, answer: &Answer) -> String {
    let mut text = String::new();
    if answer.abstained {
        text.push_str(&format!("{}\n", answer.answer));
    } else {
        let sentences: Vec<String> = answer.sentences.iter().map(|sentence| marked(voice, sentence)).collect();
        for line in wrap(&sentences.join(" "), WIDTH) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push_str(&sources(voice, answer));
    text
}

/// The cited places and the record of how the answer came about; what follows a streamed answer.
pub fn sources(voice: Voice, answer: &Answer) -> String {
    let mut text = String::new();
    let mut cited: Vec<&Citation> = answer.sentences.iter().flat_map(|sentence| &sentence.citations).collect();
    cited.sort_by_key(|citation| (citation.marker, citation.span));
    cited.dedup_by_key(|citation| (citation.marker, citation.span));
    if answer.abstained {
        for passage in answer.passages.iter().take(3) {
            let place = place(&passage.hit.path, &passage.hit.pages, &passage.hit.headings);
            text.push_str(&format!("\n  {} {}\n", voice.style(MARKER, "closest"), place));
        }
    }
    for citation in cited {
        let marker = voice.style(MARKER, &format!("[{}]", citation.marker));
        text.push_str(&format!("\n  {marker} {}\n", voice.style(BOLD, &citation.title)));
        text.push_str(&format!("      {}\n", voice.style(DIM, &place(&citation.path, &citation.pages, &[]))));
        for line in wrap(&format!("“{}”", citation.quote.trim()), WIDTH - 6).iter().take(PASSAGE_LINES) {
            text.push_str(&format!("      {line}\n"));
        }
    }
    let times = &answer.timings_ms;
    let how = if answer.extractive {
        "quoted from the sources, no language model".to_owned()
    } else {
        answer.model.name.clone()
    };
    let record = format!(
        "{how} · retrieval {:.0} ms · first token {:.1} s · total {:.1} s · {} + {} tokens · index {}",
        times.retrieval,
        times.first_token / 1000.0,
        times.total / 1000.0,
        answer.tokens.prompt,
        answer.tokens.generated,
        answer.index_snapshot.0
    );
    text.push_str(&format!("\n  {}\n", voice.style(DIM, &record)));
    text
}

/// A sentence with its markers, and a remark when the sources do not carry it.
pub fn marked(voice: Voice, sentence: &Sentence) -> String {
    let mut text = sentence.text.trim().to_owned();
    let mut markers: Vec<u32> = sentence.citations.iter().map(|citation| citation.marker).collect();
    markers.dedup();
    for marker in markers {
        text.push_str(&format!(" {}", voice.style(MARKER, &format!("[{marker}]"))));
    }
    if sentence.support == Support::Unsupported {
        text.push_str(" (not supported by the sources)");
    }
    text
}

/// Path, pages and headings on one line.
fn place(path: &str, pages: &[u32], headings: &[String]) -> String {
    let pages = match pages {
        [] => String::new(),
        [page] => format!(", page {page}"),
        [first, .., last] => format!(", pages {first}–{last}"),
    };
    let headings = if headings.is_empty() { String::new() } else { format!(" · {}", headings.join(" › ")) };
    format!("{path}{pages}{headings}")
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
        assert_eq!(place("a.pdf", &[3], &[]), "a.pdf, page 3");
        assert_eq!(place("a.pdf", &[3, 4, 5], &["Art. 5".into()]), "a.pdf, pages 3–5 · Art. 5");
    }
}
