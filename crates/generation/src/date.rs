//! Dates: the day and month that a text names, however it writes them.

use std::collections::HashSet;

use crate::{
    facts::is_year,
    lexicon,
    words::{Word, raw},
};

/// Day and month.
pub(crate) type Day = (u32, u32);

/// Words before the date of what comes next: minutes name it, and are of another day.
const NEXT: &[&str] =
    &["nächste", "nächster", "nächstes", "nächsten", "prochaine", "prochain", "prossima", "prossimo", "next"];

/// Endings of a day that is written as an ordinal.
const ORDINALS: &[&str] = &["er", "st", "nd", "rd", "th"];

/// Words between such a word and the date, at most.
const NEAR: usize = 8;

/// The date that `words` of `text` begin with: `18. September`, `September 18`, `18.9.2024`, `2024-09-18`.
pub(crate) fn date(text: &str, words: &[Word]) -> Option<Day> {
    let number = |at: usize, most: u32| -> Option<u32> {
        let raw = raw(text, words.get(at)?);
        let digits = ORDINALS.iter().find_map(|ending| raw.strip_suffix(ending)).unwrap_or(raw);
        digits.parse().ok().filter(|number| (1..=most).contains(number))
    };
    let month = |at: usize| lexicon::month(&raw(text, words.get(at)?).to_lowercase());
    let year = |at: usize| words.get(at).is_some_and(|word| is_year(&word.stem));
    match (number(0, 31), month(0)) {
        (Some(day), _) => month(1).or_else(|| number(1, 12).filter(|_| year(2))).map(|month| (day, month)),
        (None, Some(month)) => number(1, 31).map(|day| (day, month)),
        (None, None) => Some((number(2, 31).filter(|_| year(0))?, number(1, 12)?)),
    }
}

/// The dates of a text, but for those of what comes next.
pub(crate) fn dates(text: &str, words: &[Word]) -> HashSet<Day> {
    let is_next = |at: usize| {
        let between = |word: &Word| &text[word.start..words[at].start];
        let near = |word: &Word| !between(word).contains('\n') && !between(word).contains(". ");
        let mut before = words[at.saturating_sub(NEAR)..at].iter();
        before.any(|word| NEXT.contains(&raw(text, word).to_lowercase().as_str()) && near(word))
    };
    let dated = |at: usize| date(text, &words[at..]).filter(|_| !is_next(at));
    (0..words.len()).filter_map(dated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    #[test]
    fn a_day_is_the_same_however_it_is_written() {
        for text in [
            "am 18. September",
            "18.9.2024",
            "le 18 septembre 2024",
            "2024-09-18",
            "September 18, 2024",
            "18.09.2024;Mi",
            "September 18th",
            "Die nächsten Schritte sind klar. Frist: 18. September",
        ] {
            assert_eq!(dates(text, &words(text)), HashSet::from([(18, 9)]), "{text}");
        }
        for text in ["Art. 18 Abs. 9", "18 Tage", "Nächste Sitzung: Mittwoch, 18. September 2024", "3/4"] {
            assert!(dates(text, &words(text)).is_empty(), "{text}");
        }
    }
}
