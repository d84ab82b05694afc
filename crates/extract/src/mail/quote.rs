//! What a mail quotes below its own text: each quoted message becomes a section under the line that says whose it is.
//!
//! So a chunk never mixes an answer with what it answers, and what is found in a quotation says so by its heading. Quotations
//! that alternate with the answer stay where they are: there, both belong together.

use fontes_core::BlockKind;

use crate::{builder::Builder, plain};

/// Most messages told apart in one mail. Longer threads keep the rest in the last section.
const QUOTES: usize = 50;

/// Words that begin the header lines of a quoted message: who, and when.
const WHO: &[&str] = &["From:", "Von:", "De :", "De:", "Da:"];
const WHEN: &[&str] = &["Sent:", "Gesendet:", "Envoyé :", "Envoyé:", "Inviato:", "Date:", "Date :", "Datum:", "Data:"];

/// Header lines stand this close together.
const HEADER_LINES: usize = 5;

/// Appends the paragraphs of a body, quoted messages as sections of their own.
pub(super) fn body(builder: &mut Builder, text: &str) {
    let text = text.replace("\r\n", "\n");
    let mut lines: Vec<&str> = text.lines().collect();
    for _ in 0..QUOTES {
        let Some(quote) = Quote::find(&lines) else { break };
        plain::blocks(builder, &lines[..quote.begins].join("\n"));
        builder.block(BlockKind::Heading(2), &quote.attribution);
        lines.drain(..quote.content);
        if quote.is_marked {
            for line in &mut lines {
                let rest = line.trim_start().strip_prefix('>').unwrap_or(line);
                *line = rest.strip_prefix(' ').unwrap_or(rest);
            }
        }
    }
    plain::blocks(builder, &lines.join("\n"));
}

/// A quotation that runs to the end of the mail.
#[derive(Debug, PartialEq)]
struct Quote {
    /// The line that says whose it is, and the first of the quotation.
    begins: usize,
    content: usize,
    attribution: String,
    /// Its lines begin with `>`.
    is_marked: bool,
}

impl Quote {
    fn find(lines: &[&str]) -> Option<Self> {
        let marked = |line: &&str| line.trim_start().starts_with('>');
        let blank = |line: &&str| line.trim().is_empty();
        // From here on everything is quoted.
        let tail = lines.iter().rposition(|line| !blank(line) && !marked(line)).map_or(0, |last| last + 1);
        (0..lines.len()).find_map(|at| {
            let line = lines[at].trim();
            if line.ends_with(':') && at + 1 == tail && lines[tail..].iter().any(marked) {
                // The line is often broken: "On …, Eva <" and "eva@example.org> wrote:".
                let broken = at > 0 && !blank(&lines[at - 1]) && (at == 1 || blank(&lines[at - 2]));
                let begins = at - usize::from(broken);
                return Some(Self {
                    begins,
                    content: tail,
                    attribution: lines[begins..=at].join(" "),
                    is_marked: true,
                });
            }
            let starts = |line: &str, words: &[&str]| words.iter().any(|word| line.trim_start().starts_with(word));
            let near = &lines[at + 1..lines.len().min(at + HEADER_LINES)];
            let is_header = at > 0 && starts(line, WHO) && near.iter().any(|line| starts(line, WHEN));
            // "-----Ursprüngliche Nachricht-----" above it goes with it.
            let ruled = at > 0 && lines[at - 1].starts_with("-----") && lines[at - 1].trim_end().ends_with('-');
            let attribution = line.to_owned();
            is_header.then(|| Self { begins: at - usize::from(ruled), content: at + 1, attribution, is_marked: false })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MediaType, ParseLimits};

    fn blocks(text: &str) -> Vec<(BlockKind, String)> {
        let mut builder = Builder::new(&ParseLimits::default());
        body(&mut builder, text);
        let document = builder.finish(MediaType::Email).unwrap().document;
        document.blocks.iter().map(|block| (block.kind, block.span.of(&document.text).unwrap().to_owned())).collect()
    }

    #[test]
    fn a_thread_below_the_answer_is_told_message_by_message() {
        let found = blocks(
            "Ja, am Montag.\r\n\r\nAm 2.1.2024 um 10:00 schrieb Eva Muster\r\n<eva@example.org>:\r\n\r\n> Wann treffen wir uns?\r\n>\r\n\
             > On Monday, Urs wrote:\r\n>> Let us meet.\r\n",
        );
        let expected = [
            (BlockKind::Paragraph, "Ja, am Montag."),
            (BlockKind::Heading(2), "Am 2.1.2024 um 10:00 schrieb Eva Muster <eva@example.org>:"),
            (BlockKind::Paragraph, "Wann treffen wir uns?"),
            (BlockKind::Heading(2), "On Monday, Urs wrote:"),
            (BlockKind::Paragraph, "Let us meet."),
        ];
        assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn header_lines_of_office_programs_begin_a_quotation() {
        let found = blocks(
            "Einverstanden.\n\n-----Ursprüngliche Nachricht-----\nVon: Eva Muster\nGesendet: Montag, 1. Januar 2024\nAn: Urs\n\nBitte prüfen.\n\n\
             From: Ann\nSent: Sunday\n\nPlease check.",
        );
        let headings: Vec<&str> =
            found.iter().filter(|(kind, _)| *kind == BlockKind::Heading(2)).map(|(_, text)| text.as_str()).collect();
        assert_eq!(headings, ["Von: Eva Muster", "From: Ann"]);
        assert_eq!(found[0].1, "Einverstanden.");
        assert!(found.iter().any(|(_, text)| text == "Bitte prüfen."), "{found:?}");
    }

    #[test]
    fn answers_between_quotations_and_plain_lists_stay_as_they_are() {
        for text in [
            "Eva wrote:\n> When?\nMonday.\n> Where?\nHere.",
            "We need:\n- bread\n- milk",
            "From: the start, all was well.",
        ] {
            assert!(blocks(text).iter().all(|(kind, _)| *kind != BlockKind::Heading(2)), "{text}");
        }
    }
}
