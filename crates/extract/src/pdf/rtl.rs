//! Right-to-left lines: from the order in which they stand to the order in which they are read.

use super::lines::PlacedWord;

/// Puts the words of a right-to-left line from visual into logical order; phrases in Latin letters, with the
/// numbers and marks inside them, keep theirs.
pub(super) fn logical_order(mut words: Vec<PlacedWord>) -> Vec<PlacedWord> {
    words.reverse();
    let has = |word: &PlacedWord, test: fn(char) -> bool| word.text.chars().any(test);
    let latin = |word: &PlacedWord| has(word, |c| c.is_alphabetic() && !is_rtl(c));
    let rtl = |word: &PlacedWord| has(word, is_rtl);
    let mut at = 0;
    while at < words.len() {
        let run = words[at..].iter().take_while(|word| !rtl(word)).count();
        let phrase = &mut words[at..at + run];
        if let (Some(first), Some(last)) = (phrase.iter().position(latin), phrase.iter().rposition(latin)) {
            phrase[first..=last].reverse();
        }
        at += run.max(1);
    }
    words
}

/// Puts the right-to-left phrases of a left-to-right line from visual into logical order.
pub(super) fn phrases_turned(mut words: Vec<PlacedWord>) -> Vec<PlacedWord> {
    let rtl = |word: &PlacedWord| word.text.chars().any(is_rtl);
    for phrase in words.chunk_by_mut(|a, b| rtl(a) && rtl(b)) {
        for word in phrase.iter_mut().filter(|word| rtl(word)) {
            word.text = turned(&word.text);
        }
        phrase.reverse();
    }
    words
}

/// Turns a word of a right-to-left line from visual to logical order; runs of digits and Latin letters in it
/// keep theirs.
pub(super) fn turned(visual: &str) -> String {
    let mut out = String::with_capacity(visual.len());
    // A run, and a mark that belongs to it if it goes on behind the mark.
    let (mut run, mut mark) = (String::new(), None);
    for c in visual.chars().rev() {
        let ltr = c.is_ascii_alphanumeric() || (c.is_alphabetic() && !is_rtl(c)) || is_arabic_digit(c);
        if ltr {
            run.extend(mark.take());
            run.push(c);
        } else if matches!(c, '.' | ',' | ':' | '/' | '-' | '%') && !run.is_empty() && mark.is_none() {
            mark = Some(c);
        } else {
            out.extend(run.chars().rev());
            run.clear();
            out.extend(mark.take().into_iter().chain([c]).map(mirrored));
        }
    }
    out.extend(run.chars().rev());
    out.extend(mark);
    out
}

/// Numbers run to the right in every script.
fn is_arabic_digit(c: char) -> bool {
    matches!(c, '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}')
}

/// Brackets change sides when a line is turned.
fn mirrored(c: char) -> char {
    match c {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        c => c,
    }
}

/// Hebrew, Arabic, Syriac and their presentation forms.
pub(super) fn is_rtl(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_turn_inside_a_line_of_the_other_direction() {
        let word = |text: &str| PlacedWord { text: text.into(), area: (0.0, 0.0, 1.0, 1.0), confidence: None };
        let visual = ["say", turned("עולם").as_str(), turned("שלום").as_str(), "to", "7", "friends"].map(word).to_vec();
        let logical: Vec<String> = phrases_turned(visual).into_iter().map(|word| word.text).collect();
        assert_eq!(logical, ["say", "שלום", "עולם", "to", "7", "friends"]);
    }

    #[test]
    fn words_turn_and_phrases_in_latin_letters_do_not() {
        let word = |text: &str| PlacedWord { text: text.into(), area: (0.0, 0.0, 1.0, 1.0), confidence: None };
        let visual = ["2", "1", "world", "7", "hello", turned("םולש").as_str()].map(word).to_vec();
        let logical: Vec<String> = logical_order(visual).into_iter().map(|word| word.text).collect();
        assert_eq!(logical, ["שלום", "world", "7", "hello", "1", "2"]);
        assert_eq!(turned("12.5םולש("), ")שלום12.5");
        assert_eq!(turned("١٤٣٤-ليربإ-١٤"), "١٤-إبريل-١٤٣٤");
    }
}
