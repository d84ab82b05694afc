//! Recognising talk about the answer behind the answer.
//!
//! "Note: the answer is based on the provided context…" and its sisters in four languages. Only whole sentences
//! that open in a known way are looked at, and a note must speak of the answer *and* of its basis: "Note: the
//! dose is halved for children" is content.

/// What a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Part of the answer.
    Content,
    /// Too early to say.
    Open,
    /// Commentary.
    Commentary,
}

/// A note that has said nothing about its basis within this many bytes is content.
const MAX_NOTE: usize = 240;

/// Openings that are commentary whatever follows.
const STATEMENTS: [&str; 21] = [
    "this answer is based",
    "the answer is based",
    "this response is based",
    "the above answer is based",
    "the answer above is based",
    "this information is based on the provided",
    "i hope this helps",
    "diese antwort basiert",
    "die antwort basiert",
    "diese antwort beruht",
    "die antwort beruht",
    "ich hoffe, das hilft",
    "cette réponse est basée",
    "cette réponse se base",
    "cette réponse s'appuie",
    "la réponse est basée",
    "j'espère que cela",
    "questa risposta si basa",
    "questa risposta è basata",
    "la risposta si basa",
    "spero che questo",
];

/// Openings of notes, which are commentary when they go on about the answer and its basis.
const NOTES: [&str; 15] = [
    "note:",
    "note :",
    "note that",
    "please note",
    "disclaimer:",
    "hinweis:",
    "anmerkung:",
    "bitte beachten",
    "bitte beachte",
    "beachten sie",
    "remarque:",
    "remarque :",
    "notez que",
    "nota:",
    "si noti",
];

const SUBJECTS: [&str; 10] = [
    "answer",
    "response",
    "information",
    "antwort",
    "angaben",
    "réponse",
    "risposta",
    "informazioni",
    "renseignements",
    "auskunft",
];

const BASES: [&str; 22] = [
    "based on",
    "provided",
    "given context",
    "given passages",
    "context",
    "passages",
    "excerpts",
    "sources",
    "basier",
    "beruh",
    "bereitgestellt",
    "kontext",
    "auszüg",
    "quellen",
    "basé",
    "fourni",
    "contexte",
    "extraits",
    "basat",
    "si basa",
    "fornit",
    "contesto",
];

/// Judges the text from the start of a sentence on; `ended` says that no more will come.
pub(super) fn judge(text: &str, ended: bool) -> Verdict {
    let decoration = |c: char| matches!(c, '(' | '[' | '*' | '_' | '>' | '-' | '#' | ' ');
    let bare = text.trim_start_matches(decoration);
    let window = bare.char_indices().map(|(at, _)| at).find(|&at| at >= MAX_NOTE).map_or(bare, |end| &bare[..end]);
    let lower = window.to_lowercase().replace('’', "'").replace("**", "").replace('\u{a0}', " ");
    let opens = |openings: &[&str]| openings.iter().any(|opening| lower.starts_with(opening));
    if opens(&STATEMENTS) {
        return Verdict::Commentary;
    }
    if opens(&NOTES) {
        let paragraph = lower.split('\n').next().unwrap_or_default();
        let says = |words: &[&str]| words.iter().any(|word| paragraph.contains(word));
        if says(&SUBJECTS) && says(&BASES) {
            return Verdict::Commentary;
        }
        let closed = ended || lower.contains('\n') || bare.len() >= MAX_NOTE;
        return if closed { Verdict::Content } else { Verdict::Open };
    }
    let may_become = |opening: &&str| opening.starts_with(&lower);
    if !ended && STATEMENTS.iter().chain(&NOTES).any(may_become) {
        return Verdict::Open;
    }
    Verdict::Content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commentary_is_recognised_in_four_languages() {
        for text in [
            "Note: The answer is based on the provided context and",
            "(Note: this response uses only the given passages.)",
            "**Note:** The information above is based on passage 1.",
            "Please note that this answer is limited to the provided documents",
            "This answer is based on",
            "Hinweis: Die Antwort basiert auf dem bereitgestellten Kontext",
            "Diese Antwort beruht auf",
            "Remarque : cette réponse repose sur les extraits fournis",
            "Cette réponse s’appuie sur",
            "Nota: la risposta si basa sul contesto fornito",
            "Questa risposta si basa",
        ] {
            assert_eq!(judge(text, false), Verdict::Commentary, "{text}");
        }
    }

    #[test]
    fn notes_about_the_matter_are_content() {
        for text in [
            "Note: the dose is halved for children under six.\n",
            "Hinweis: Die Frist beginnt mit der Zustellung.\nWeiter",
            "Nothing else is known.",
            "The answer lies in article 3.",
        ] {
            assert_eq!(judge(text, false), Verdict::Content, "{text}");
        }
        assert_eq!(judge("Note: the dose is halved", true), Verdict::Content);
        assert_eq!(judge(&format!("Note: {}", "x ".repeat(200)), false), Verdict::Content);
    }

    #[test]
    fn judgement_waits_for_enough() {
        for text in ["", "N", "(No", "**Note", "Note: the answer", "Diese Ant", "Please"] {
            assert_eq!(judge(text, false), Verdict::Open, "{text:?}");
        }
    }
}
