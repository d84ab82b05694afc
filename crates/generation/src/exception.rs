//! Exceptions: sentences that limit the rule before them. Whoever quotes a rule alone quotes it wrongly.

use crate::words::{has_any, spaced};

/// How many of the sentences after a rule may limit it.
pub(crate) const WITHIN: usize = 2;

/// Words that open an exception, among the first of the sentence.
const OPENING: &str = "ausgenommen|ausnahme|ausnahmen|ausnahmsweise|vorbehalten|sauf|excepté|exceptés|exception|exceptions|salvo|eccetto|\
     eccezione|eccezioni|except|unless";

/// How many words are the first.
const FIRST: usize = 3;

/// That something does not hold for somebody, wherever in the sentence.
const ANYWHERE: &str = "gilt nicht für|gelten nicht für|gilt dies nicht|gilt das nicht|dies gilt nicht|das gilt nicht|ausgenommen sind|\
     ausgenommen ist|ne s applique pas|ne s appliquent pas|font exception|fait exception|sont exceptés|sont exceptées|\
     non si applica|non si applicano|fanno eccezione|fa eccezione|sono esclusi|sono escluse|does not apply|do not apply|\
     is exempt|are exempt|with the exception of|ist ausgeschlossen|sind ausgeschlossen|ist nicht zulässig|sind nicht zulässig|\
     est exclu|est exclue|sont exclus|sont exclues|è escluso|è esclusa|non è ammesso|non è ammessa|is excluded|are excluded";

/// Says whether a sentence limits what stands before it.
pub(crate) fn limits(sentence: &str) -> bool {
    let spaced = spaced(sentence);
    let mut first = spaced.split_whitespace().take(FIRST);
    first.any(|word| OPENING.split('|').any(|one| one == word)) || has_any(&spaced, ANYWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_recognised_in_four_languages() {
        for text in [
            "Ausgenommen ist das Büropersonal.",
            "Diese Regel gilt nicht für Lernende.",
            "Vorbehalten bleiben dringende Fälle.",
            "Cette règle ne s'applique pas aux urgences.",
            "Sauf en cas d'urgence.",
            "Fanno eccezione i reparti notturni.",
            "Exceptions are granted by the head pharmacist.",
            "This does not apply to the night shift.",
            "Eine Kündigung vor dem 30. Juni ist ausgeschlossen.",
        ] {
            assert!(limits(text), "{text}");
        }
        for text in [
            "Der Antrag gilt als bewilligt.",
            "Il regolamento vale per tutti.",
            "La règle s'applique partout.",
            "Nothing else is stated.",
        ] {
            assert!(!limits(text), "{text}");
        }
    }
}
