//! Standing: whether a document says of itself that it no longer holds.
//!
//! An old regulation answers as readily as the one that replaced it. Only the first lines are looked at, where title, version and
//! status stand, and only what they say of the document itself: that something in it was replaced tells nothing.

use crate::words::{has_any, spaced};

/// Whether a document still holds, by what it says of itself. What replaced another comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It says that it took another one's place.
    Replaces,
    /// It says nothing.
    #[default]
    Silent,
    /// It says that it was replaced or is no longer in force.
    Replaced,
}

/// How much of a document is looked at, in bytes.
const HEAD: usize = 600;

/// Most words between what is replaced and that it is.
const NEAR: usize = 10;

/// That something holds no more, as written in four languages, in lower case and without punctuation.
const NO_LONGER: &str = "ersetzt durch|abgelöst durch|überholt durch|durch die fassung vom|aufgehoben durch|aufgehoben per|aufgehoben am|\
     nicht mehr gültig|nicht mehr in kraft|ausser kraft|außer kraft|ungültig seit|\
     remplacé par|remplacée par|abrogé par|abrogée par|abrogé le|abrogée le|plus en vigueur|n est plus valable|\
     sostituito da|sostituita da|sostituito dal|sostituita dal|sostituito dalla|sostituita dalla|abrogato dal|abrogata dal|\
     abrogato il|abrogata il|più in vigore|non è più valido|non è più valida|\
     superseded by|replaced by|repealed by|withdrawn on|no longer in force|no longer valid";

/// Words that point at the document they stand in.
const THIS: &str = "dies|diese|dieser|dieses|vorliegend|vorliegende|vorliegender|vorliegendes|présent|présente|ce|cette|questo|questa|\
     presente|this";

/// Nouns for documents; compounds end with them.
const DOCUMENTS: &str = "fassung|version|ausgabe|dokument|reglement|weisung|richtlinie|verordnung|merkblatt|anleitung|vertrag|police|\
     leitfaden|liste|plan|tarif|formular|document|règlement|directive|ordonnance|notice|instruction|contrat|convention|procédure|\
     guide|édition|versione|documento|regolamento|direttiva|ordinanza|istruzione|contratto|convenzione|tariffa|procedura|guida|\
     edizione|regulation|regulations|policy|guideline|guidelines|procedure|contract|agreement|tariff|edition|manual";

/// Before such a noun these make it another document.
const THE: &str = "der|die|das|den|dem|des|le|la|les|l|du|il|lo|gli|i|del|della|the|of";

/// Words for another document of the kind.
const FORMER: &str = "bisherige|bisherigen|alte|alten|frühere|früheren|ancien|ancienne|précédent|précédente|vecchio|vecchia|\
     precedente|previous|former|old";

/// Words that begin a line about validity.
const VALID: &str = "gültig|gilt|valable|valide|valido|valida|valid";

/// Words that announce a status.
const STATUS: &str = "status|stand|hinweis|achtung|wichtig|statut|état|remarque|attention|important|stato|nota|avviso|attenzione|note|notice|warning";

/// That a document took another one's place.
const REPLACES: &str = "ersetzt version|ersetzt die version|ersetzt die fassung|ersetzt die ausgabe|ersetzt das reglement|\
     ersetzt die weisung|ersetzt die richtlinie|ersetzt jene vom|ersetzt jenes vom|remplace la version|remplace le règlement|\
     remplace la directive|remplace celle du|remplace celui du|annule et remplace|sostituisce la versione|sostituisce il regolamento|\
     sostituisce la direttiva|sostituisce quella del|sostituisce quello del|replaces version|replaces the version|supersedes version|\
     supersedes the";

/// The last word in the name of a file that no longer holds.
const STALE: &str = "alt|old|vecchia|vecchio|veraltet|ungültig|ungueltig|aufgehoben|périmé|perime|obsolète|obsolete|abrogé|abroge|abrogato|\
     superato|scaduto|superseded|withdrawn";

/// What a document says of itself in its first lines and in the name of its file.
pub(crate) fn standing(path: &str, text: &str) -> Standing {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let mut lines = text[..text.floor_char_boundary(HEAD)].lines();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let last = stem.split(|c: char| !c.is_alphanumeric()).next_back().unwrap_or_default().to_lowercase();
    if is(&last, STALE) || lines.clone().any(says_so) {
        Standing::Replaced
    } else if lines.any(|line| has_any(&spaced(line), REPLACES)) {
        Standing::Replaces
    } else {
        Standing::Silent
    }
}

fn says_so(line: &str) -> bool {
    // A full stop may follow an ordinal. What stands behind a line's first clause is said of the document if that is about validity.
    let valid = line.split_whitespace().next().is_some_and(|first| is(&first.to_lowercase(), VALID));
    clause_says_so(line) || valid && line.split(". ").any(clause_says_so)
}

fn clause_says_so(clause: &str) -> bool {
    let line = spaced(clause);
    NO_LONGER.split('|').any(|phrase| {
        // Pumps are replaced, too; only documents are superseded.
        let by = ["ersetzt", "remplacé", "sostituit", "replaced"].iter().any(|begin| phrase.starts_with(begin));
        line.split_once(&format!(" {phrase} "))
            .is_some_and(|(before, after)| is_itself(before, after, by) && !after.split(' ').any(|word| is(word, THIS)))
    })
}

/// Says whether the words before point at the document; where there are none, or only a status, those after must name one if they
/// name anything.
fn is_itself(before: &str, after: &str, by: bool) -> bool {
    let words: Vec<&str> = before.split_whitespace().collect();
    let near = words.len().saturating_sub(NEAR);
    let document = |word: &&str| DOCUMENTS.split('|').any(|noun| word.ends_with(noun));
    let this = |at: usize| is(words[at], THIS) && words[at + 1..].iter().take(2).any(document);
    let other = |at: usize| words[at.saturating_sub(2)..at].iter().any(|word| is(word, THE) || is(word, FORMER));
    let own = |at: usize| document(&words[at]) && !other(at);
    let status = words.iter().all(|word| is(word, STATUS));
    status && (!by || after.split_whitespace().take(4).any(|word| document(&word)))
        || (near..words.len()).any(|at| this(at) || own(at))
}

fn is(word: &str, list: &str) -> bool {
    list.split('|').any(|one| one == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_replaced(text: &str) -> bool {
        standing("weisung.txt", text) == Standing::Replaced
    }

    #[test]
    fn the_one_that_replaces_and_the_stale_name_are_known() {
        assert_eq!(standing("a/protocole_2022_perime.md", "Protocole"), Standing::Replaced);
        assert_eq!(standing("Weisung_Fassung2_alt.txt", "Weisung"), Standing::Replaced);
        assert_eq!(standing("obsolete_medikamente_entsorgen.pdf", "Anleitung"), Standing::Silent);
        assert_eq!(standing("alt_bau.txt", "Weisung"), Standing::Silent);
        assert_eq!(standing("perime/protocole.md", "Protocole"), Standing::Silent);
        for text in ["Weisung\nVersion 5, ersetzt Version 4 vom Mai", "Directive\nAnnule et remplace la précédente"] {
            assert_eq!(standing("a.txt", text), Standing::Replaces, "{text}");
        }
        assert!(Standing::Replaces < Standing::Silent && Standing::Silent < Standing::Replaced);
    }

    #[test]
    fn a_document_may_say_that_it_was_replaced() {
        for text in [
            "# Personalreglement\n\nFassung vom 1. Januar 2021 (ersetzt durch die Fassung vom 1. Juli 2024)\n\n## Art. 7",
            "Diese Weisung ist seit dem 1. Mai 2023 ausser Kraft.",
            "ACHTUNG: nicht mehr gültig\nArbeitsanweisung AA-17",
            "Directive 12, version 3, remplacée par la version 4",
            "Le présent règlement n'est plus en vigueur.",
            "Procedura P-4 — sostituita dalla P-9",
            "Status: superseded by SOP-22",
            "Gültig bis 14. Dezember 2024. Ersetzt durch den Fahrplan 2025.",
            "Aufgehoben per 31. Oktober 2024, ersetzt durch Fassung 3.",
        ] {
            assert!(is_replaced(text), "{text}");
        }
    }

    #[test]
    fn what_it_says_of_others_does_not_count() {
        for text in [
            "Dieses Reglement ersetzt das Reglement vom 1. Mai 2019.",
            "Das Reglement von 2019 wird ersetzt durch das vorliegende.",
            "Protokoll\nDie Weisung über die Lager wird aufgehoben per Ende Jahr.",
            "Das Ventil wurde ersetzt durch ein neues Modell.",
            "Filter verstopft. Ersetzt durch neues Modell.",
            "Ersetzt durch ein neues Ventil",
            "Diese Pumpe wurde ersetzt durch ein neues Modell.",
            "Das bisherige Reglement wird aufgehoben per 1. Juli.",
            "The pump was replaced by the technician.",
            "La presente direttiva abroga quella del 2018.",
        ] {
            assert!(!is_replaced(text), "{text}");
        }
        let late = format!("{}\nDiese Fassung wurde ersetzt durch eine andere.", "Text. ".repeat(200));
        assert!(!is_replaced(&late), "only the first lines");
    }
}
