//! Lists of short items: none of them says anything by itself, together they answer "which".

use fontes_core::Span;

use crate::sentence::BULLETS;

/// An item longer than this, in bytes, says something by itself.
const ITEM: usize = 80;

/// Longest list that is quoted as one, in bytes.
const LIST: usize = 600;

/// Joins short items that follow each other into one span each, with the line that leads to them: `sentences` are spans of `text` in
/// order.
pub(crate) fn joined_items(text: &str, sentences: Vec<Span>) -> Vec<Span> {
    let of = |span: &Span| span.of(text).unwrap_or_default();
    let mut joined: Vec<Span> = Vec::with_capacity(sentences.len());
    let mut at = 0;
    while at < sentences.len() {
        let leads = of(&sentences[at]).trim_end().ends_with(':') && !is_item(of(&sentences[at]));
        let first = at + usize::from(leads);
        let fits = |span: &&Span| is_item(of(span)) && span.end - sentences[at].start <= LIST;
        let items = sentences[first.min(sentences.len())..].iter().take_while(fits).count();
        if items >= 2 {
            joined.push(sentences[at].cover(&sentences[first + items - 1]));
            at = first + items;
        } else {
            joined.push(sentences[at]);
            at += 1;
        }
    }
    joined
}

/// Says whether a piece of text is a short item: a bullet or a number in front, and no sentence.
fn is_item(text: &str) -> bool {
    let bullet = text.starts_with(BULLETS);
    let number = text.split_once(['.', ')']).is_some_and(|(number, rest)| {
        (1..=2).contains(&number.len())
            && number.chars().all(|c| c.is_ascii_alphanumeric())
            && rest.starts_with(char::is_whitespace)
    });
    text.len() <= ITEM && (bullet || number) && !text.contains(['\n', '\t']) && !text.ends_with(['.', '?', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::{Lines, sentences};

    fn parts(text: &str) -> Vec<&str> {
        joined_items(text, sentences(text, Lines::Wrapped)).iter().map(|span| span.of(text).unwrap()).collect()
    }

    #[test]
    fn short_items_are_one_with_what_leads_to_them() {
        let list = "Bringen Sie mit:\n- Pass oder Identitätskarte\n- Lebenslauf\n- Zwei Fotos";
        assert_eq!(parts(&format!("{list}\nDie Gebühr beträgt 40 Franken.")), [list, "Die Gebühr beträgt 40 Franken."]);
        assert_eq!(parts("1. Pass\n2. Foto\n3. Formular"), ["1. Pass\n2. Foto\n3. Formular"]);
    }

    #[test]
    fn items_that_are_sentences_stay_alone() {
        let two = ["- Der Rat wählt den Präsidenten.", "- Die Amtszeit beträgt vier Jahre."];
        assert_eq!(parts(&two.join("\n")), two);
        assert_eq!(parts("Es gilt:\n- Nur eines"), ["Es gilt:", "- Nur eines"]);
        let long = format!("- {}", "Wort ".repeat(30).trim());
        assert_eq!(parts(&format!("{long}\n{long}")), [long.as_str(), &long]);
    }
}
