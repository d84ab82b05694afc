//! Function words of the four working languages: indexed, so that phrases hold, but not searched for by
//! themselves. They are the longest postings and say the least.

/// Says whether a lower-case word is a function word in any of the working languages. One list for all: a query
/// of three words rarely tells its language. Words that mean something in another of the four are left out
/// ("die" is one in German and a verb in English, and nobody misses the verb; "man", "war", "come" stay).
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// Articles, pronouns, prepositions, conjunctions, auxiliaries, question words.
const STOP_WORDS: &[&str] = &[
    // German
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "einer", "eines", "einem", "einen", "und", "oder", "aber",
    "nicht", "ist", "sind", "wird", "werden", "wurde", "wurden", "hat", "haben", "hatte", "sein", "seine", "seiner",
    "ihr", "ihre", "ihrer", "er", "sie", "es", "wir", "ich", "sich", "mit", "von", "vom", "zu", "zum", "zur", "im",
    "in", "am", "an", "auf", "aus", "bei", "beim", "bis", "durch", "für", "fuer", "gegen", "nach", "ohne", "über",
    "ueber", "um", "unter", "vor", "als", "auch", "dass", "daß", "wenn", "wie", "was", "wer", "wen", "wem", "wo",
    "wann", "warum", "welche", "welcher", "welches", "welchem", "welchen", "wieviel", "kann", "können", "muss",
    "müssen", "darf", "soll", "so", "nur", "noch", "diese", "dieser", "dieses", "diesem", "diesen",
    // French
    "le", "la", "les", "un", "une", "du", "de", "au", "aux", "et", "ou", "est", "sont", "était", "être", "été", "a",
    "ont", "avait", "avoir", "il", "elle", "ils", "elles", "on", "nous", "vous", "je", "ce", "cet", "cette", "ces",
    "son", "sa", "ses", "leur", "leurs", "qui", "que", "quoi", "dont", "où", "quel", "quelle", "quels", "quelles",
    "quand", "comment", "pourquoi", "combien", "dans", "par", "pour", "sur", "sous", "avec", "sans", "en", "y", "ne",
    "pas", "se", "si", "lui", "aussi", // Italian
    "il", "lo", "gli", "i", "una", "uno", "di", "del", "dello", "della", "dei", "degli", "delle", "al", "allo", "alla",
    "ai", "agli", "alle", "da", "dal", "dalla", "nel", "nella", "nei", "nelle", "sul", "sulla", "con", "per", "tra",
    "fra", "e", "ed", "o", "è", "era", "essere", "ha", "hanno", "aveva", "che", "chi", "cui", "quale", "quali",
    "quanto", "quanti", "quante", "dove", "quando", "perché", "cosa", "non", "si", "suo", "sua", "suoi", "questo",
    "questa", "questi", "queste", // English
    "the", "an", "and", "or", "but", "not", "is", "are", "was", "were", "be", "been", "has", "have", "had", "do",
    "does", "did", "of", "to", "in", "on", "at", "by", "for", "from", "with", "as", "that", "this", "these", "those",
    "it", "its", "he", "she", "they", "we", "you", "his", "her", "their", "which", "who", "whom", "whose", "what",
    "when", "where", "why", "how", "can", "could", "would", "should", "may", "must", "than", "then", "there", "if",
    "into", "about",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexical::analysis::words;

    #[test]
    fn a_question_keeps_what_it_is_about() {
        let cases = [
            ("Wie lange ist die Kündigungsfrist?", vec!["lange", "kündigungsfrist"]),
            ("Combien de membres compte le Conseil fédéral ?", vec!["membres", "compte", "conseil", "fédéral"]),
            ("Quanti membri ha il Consiglio federale?", vec!["membri", "consiglio", "federale"]),
            ("What is the notice period?", vec!["notice", "period"]),
        ];
        for (question, expected) in cases {
            let left: Vec<String> =
                words(question).into_iter().map(|word| word.text).filter(|word| !is_stop_word(word)).collect();
            assert_eq!(left, expected);
        }
    }
}
