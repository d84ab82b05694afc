//! From text to words: what counts as one word, and which spellings are the same.
//!
//! One analysis serves every language; only stems depend on it ([`super::stem`]). A word is a run of letters
//! and digits. Then, in this order: compatibility characters are unified (NFKC, so that a PDF's "ﬁ" is "fi"),
//! case is dropped, elided articles go (`l'État`, `dell'articolo`), numbers stay whole whatever their
//! punctuation ("123.45", "10'000", "2024-123"), a unit written onto its number is cut off ("500mg"), and
//! accents are folded (ß is ss; ä is both ae and a, as both are typed). The parts of a law citation are one word
//! in every language and at every length: "Artikel 5 Absatz 2", "art. 5 al. 2", "Art. 5 cpv. 2".

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark, is_nfkc};

/// Words longer than this many bytes are not words: base64, hexadecimal dumps, runs of underlines.
const MAX_WORD_BYTES: usize = 80;

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Place in the text, counted in words from 0. Parts of a number share the place of the number.
    pub position: usize,
    /// The word in lower case, accents kept.
    pub text: String,
    /// Whether it holds a digit.
    pub number: bool,
    /// Whether it is only a part of the number before it.
    pub part: bool,
    /// Whether a `*` follows: in a query, what the words wanted begin with.
    pub prefix: bool,
    /// What it is called as part of a citation, whatever its language.
    pub citation: Option<&'static str>,
}

impl Word {
    fn new(position: usize, text: &str, number: bool) -> Self {
        Self { position, text: text.to_owned(), number, part: false, prefix: false, citation: None }
    }

    /// A word that was not cut from a text: part of a compound, or a correction.
    pub(crate) fn of(text: &str) -> Self {
        Self::new(0, text, text.contains(char::is_numeric))
    }

    /// Every folded spelling under which the word is indexed, [`Word::plain`] first.
    pub(crate) fn folded(&self) -> Vec<String> {
        let mut folded = vec![self.plain().into_owned()];
        for other in [fold(&self.text, Umlauts::Spread), fold(&self.text, Umlauts::Bare)] {
            if folded.iter().all(|known| *known != other) {
                folded.push(other.into_owned());
            }
        }
        folded
    }

    /// The plain spelling: lower case, no accents, umlauts as two letters; in a citation, its one name.
    pub(crate) fn plain(&self) -> Cow<'_, str> {
        match self.citation {
            Some(name) => Cow::Borrowed(name),
            None => fold(&self.text, Umlauts::Spread),
        }
    }
}

/// How ä, ö and ü are folded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Umlauts {
    /// To ae, oe and ue, as German writes them without the letters.
    Spread,
    /// To a, o and u, as others do.
    Bare,
}

/// Cuts `text` into words.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let unified: Cow<'_, str> = if is_nfkc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfkc().collect()) };
    let mut cutter = Cutter { words: Vec::new(), next: 0 };
    let mut rest: &str = &unified;
    while let Some(start) = rest.find(begins_word) {
        rest = &rest[start..];
        let end = word_end(rest);
        cutter.take(&rest[..end]);
        rest = &rest[end..];
        if rest.starts_with('*')
            && let Some(last) = cutter.words.last_mut()
        {
            last.prefix = true;
        }
    }
    name_citations(&mut cutter.words);
    cutter.words
}

/// Parts of a law citation: German, French, Italian and English names of what Swiss law cites in three languages
/// and others in theirs. Those marked are other words too, unless they stand between numbers.
const CITATIONS: &[(&str, &str, bool)] = &[
    ("art", "art", false),
    ("artikel", "art", false),
    ("article", "art", false),
    ("articles", "art", false),
    ("articolo", "art", false),
    ("articoli", "art", false),
    ("abs", "abs", false),
    ("absatz", "abs", false),
    ("alinéa", "abs", false),
    ("cpv", "abs", false),
    ("capoverso", "abs", false),
    ("al", "abs", true),
    ("para", "abs", true),
    ("paragraph", "abs", true),
    ("lit", "lit", false),
    ("buchstabe", "lit", false),
    ("lettera", "lit", true),
    ("lettre", "lit", true),
    ("lett", "lit", true),
    ("let", "lit", true),
    ("bst", "lit", true),
    ("ziff", "ziff", false),
    ("ziffer", "ziff", false),
    ("chiffre", "ziff", true),
    ("ch", "ziff", true),
    ("n", "ziff", true),
];

/// Gives the parts of citations their name: words of the list that a number or a single letter follows.
fn name_citations(words: &mut [Word]) {
    let label = |word: &Word| word.number || word.text.chars().count() == 1;
    let mut counted = false;
    for at in 0..words.len() {
        let followed = words[at + 1..].iter().find(|word| !word.part).is_some_and(label);
        if followed && !words[at].number {
            let known = CITATIONS.iter().find(|(text, _, between)| words[at].text == *text && (counted || !between));
            words[at].citation = known.map(|(_, name, _)| *name);
        }
        counted = label(&words[at]);
    }
}

/// Collects the words of a text.
struct Cutter {
    words: Vec<Word>,
    next: usize,
}

impl Cutter {
    /// Takes one run of word characters and inner punctuation.
    fn take(&mut self, run: &str) {
        if run.len() > MAX_WORD_BYTES {
            // It keeps its place, so that a phrase does not close over it.
            self.next += 1;
            return;
        }
        let lower = run.to_lowercase();
        if lower.starts_with(|c: char| c.is_numeric()) {
            self.take_number(&lower);
        } else {
            for word in lower.split(is_apostrophe).filter(|word| !is_elision(word)) {
                self.push(word, word.contains(char::is_numeric));
            }
        }
    }

    /// Takes a run that begins with a digit: a number whole and in parts, then a unit written onto it.
    fn take_number(&mut self, run: &str) {
        let letters = run.find(char::is_alphabetic).unwrap_or(run.len());
        let (digits, unit) = run.split_at(letters);
        // "5a" and "2b" are articles and house numbers, one word; "500mg" and "12kg" are two.
        if unit.is_empty() || unit.chars().count() == 1 || digits.ends_with(joins_number) {
            self.push_number(run);
        } else {
            self.push_number(digits);
            self.push(unit, unit.contains(char::is_numeric));
        }
    }

    fn push_number(&mut self, number: &str) {
        // 10'000 is ten thousand, and a decimal comma is a point.
        let whole: String =
            number.chars().filter(|c| !is_apostrophe(*c)).map(|c| if c == ',' { '.' } else { c }).collect();
        let position = self.next;
        self.push(&whole, true);
        let parts: Vec<&str> = whole.split(joins_number).filter(|part| !part.is_empty()).collect();
        if parts.len() > 1 {
            self.words.extend(parts.into_iter().map(|part| Word { part: true, ..Word::new(position, part, true) }));
        }
    }

    fn push(&mut self, word: &str, number: bool) {
        if !word.is_empty() {
            self.words.push(Word::new(self.next, word, number));
            self.next += 1;
        }
    }
}

/// The end of the run that `text` begins with.
fn word_end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    let Some((_, first)) = chars.next() else { return 0 };
    if stands_alone(first) {
        return first.len_utf8();
    }
    let mut before = first;
    let mut digits_only = first.is_numeric();
    while let Some((at, c)) = chars.next() {
        let inside = if is_word_char(c) {
            !stands_alone(c)
        } else {
            // Punctuation belongs to the run when it stands between digits, or is an apostrophe between letters.
            chars.peek().is_some_and(|&(_, after)| {
                (digits_only && before.is_numeric() && after.is_numeric() && (joins_number(c) || is_apostrophe(c)))
                    || (before.is_alphabetic() && after.is_alphabetic() && is_apostrophe(c))
            })
        };
        if !inside {
            return at;
        }
        digits_only &= !c.is_alphabetic();
        before = c;
    }
    text.len()
}

fn begins_word(c: char) -> bool {
    c.is_alphanumeric() || c == '§'
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Characters that are words of their own: the section sign, and scripts written without spaces.
fn stands_alone(c: char) -> bool {
    matches!(c, '§' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

fn joins_number(c: char) -> bool {
    matches!(c, '.' | ',' | '-' | '/' | ':' | '\u{2010}' | '\u{2011}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2018}' | '\u{02bc}')
}

/// Words that French and Italian elide before a vowel, and what English leaves behind an apostrophe.
fn is_elision(word: &str) -> bool {
    const ELIDED: &[&str] = &[
        "l", "d", "j", "m", "n", "s", "t", "c", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "quelqu", "un", "dell",
        "all", "dall", "nell", "sull", "coll", "gl", "quell", "quest", "bell", "sant", "dov", "cos", "com", "ll", "re",
        "ve",
    ];
    // Alone, "un" and "com" are words; here they are split off by an apostrophe or are too common to matter.
    ELIDED.contains(&word)
}

/// Removes accents from a lower-case word.
fn fold(word: &str, umlauts: Umlauts) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let mut folded = String::with_capacity(word.len() + 2);
    for c in word.chars() {
        match (c, umlauts) {
            ('ä', Umlauts::Spread) => folded.push_str("ae"),
            ('ö', Umlauts::Spread) => folded.push_str("oe"),
            ('ü', Umlauts::Spread) => folded.push_str("ue"),
            ('ß', _) => folded.push_str("ss"),
            ('æ', _) => folded.push_str("ae"),
            ('œ', _) => folded.push_str("oe"),
            ('ø', _) => folded.push('o'),
            ('ł', _) => folded.push('l'),
            ('đ', _) => folded.push('d'),
            ('ı', _) => folded.push('i'),
            _ if c.is_ascii() => folded.push(c),
            _ if is_latin(c) => folded.extend(std::iter::once(c).nfd().filter(|c| !is_combining_mark(*c))),
            // Marks are letters elsewhere: Arabic, Tamil and the like keep theirs.
            _ => folded.push(c),
        }
    }
    Cow::Owned(folded)
}

fn is_latin(c: char) -> bool {
    matches!(c, '\u{00c0}'..='\u{024f}' | '\u{0300}'..='\u{036f}' | '\u{1e00}'..='\u{1eff}')
}

/// Folds what a stemmer leaves, so that accents typed or not give one stem.
pub(super) fn fold_stem(stem: &str) -> Cow<'_, str> {
    fold(stem, Umlauts::Bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_cut_where_readers_cut_them() {
        let cases: [(&str, &[&str]); 16] = [
            ("Die Frist beträgt 30 Tage.", &["die", "frist", "beträgt", "30", "tage"]),
            ("l'État, dell’articolo; qu'il", &["état", "articolo", "il"]),
            ("the patient's right", &["the", "patient", "right"]),
            ("Art. 5 Abs. 2 lit. a DSG", &["art", "5", "abs", "2", "lit", "a", "dsg"]),
            ("§ 823 BGB, §5a", &["§", "823", "bgb", "§", "5a"]),
            ("GZ 2024-123.45", &["gz", "2024-123.45", "2024", "123", "45"]),
            ("500 mg, 500mg", &["500", "mg", "500", "mg"]),
            ("CHF 10'000.50 oder 3,5 %", &["chf", "10000.50", "10000", "50", "oder", "3.5", "3", "5"]),
            ("am 12.05.2024.", &["am", "12.05.2024", "12", "05", "2024"]),
            ("COVID-19 und B12", &["covid", "19", "und", "b12"]),
            ("ﬁnal Ｆｕｌｌ", &["final", "full"]),
            ("e\u{301}tat", &["état"]),
            ("日本語 text", &["日", "本", "語", "text"]),
            ("Nr.\u{a0}7", &["nr", "7"]),
            ("' \" -- ... '' §", &["§"]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn spellings_meet() {
        let folded = |text: &str| words(text)[0].folded();
        assert_eq!(folded("Häuser"), ["haeuser", "hauser"]);
        assert_eq!(folded("Haeuser"), ["haeuser"]);
        assert_eq!(folded("Straße"), ["strasse"]);
        assert_eq!(folded("côté"), ["cote"]);
        assert_eq!(folded("Œuvre"), ["oeuvre"]);
        assert_eq!(folded("ДОМ"), ["дом"]);
    }

    #[test]
    fn citations_are_one_in_every_language() {
        let plain = |text: &str| words(text).iter().map(|word| word.plain().into_owned()).collect::<Vec<_>>().join(" ");
        for text in
            ["Artikel 5 Absatz 2 Buchstabe a", "art. 5 al. 2 let. a", "Art. 5 cpv. 2 lett. a", "Art.5 Abs.2 lit.a"]
        {
            assert_eq!(plain(text), "art 5 abs 2 lit a", "{text}");
        }
        assert_eq!(plain("eine Art von Artikel"), "eine art von artikel", "no number follows");
        assert_eq!(plain("pane al 5 per cento"), "pane al 5 per cento", "no number stands before it");
        assert_eq!(words("Artikel 5")[0].folded(), ["art", "artikel"]);
    }

    #[test]
    fn a_star_asks_for_beginnings() {
        let prefixes: Vec<bool> = words("Bundes* Gericht * x").iter().map(|word| word.prefix).collect();
        assert_eq!(prefixes, [true, false, false]);
    }

    #[test]
    fn parts_share_the_place_of_their_number() {
        let positions: Vec<usize> = words("GZ 2024-123 x").iter().map(|word| word.position).collect();
        assert_eq!(positions, [0, 1, 1, 1, 2]);
    }

    #[test]
    fn a_run_that_is_no_word_keeps_its_place() {
        let text = format!("vor {} nach", "x".repeat(1_000));
        let found: Vec<(usize, String)> = words(&text).into_iter().map(|word| (word.position, word.text)).collect();
        assert_eq!(found, [(0, "vor".to_owned()), (2, "nach".to_owned())]);
    }

    #[test]
    fn any_text_is_cut_without_loss_of_place() {
        // Characters that interact in the cutter, in every combination of four.
        let alphabet = ['a', '5', '\'', '.', '-', ' ', '§', 'é', '\u{301}', '語', '²', 'ß'];
        for code in 0..alphabet.len().pow(4) {
            let text: String = (0..4).map(|at| alphabet[code / alphabet.len().pow(at) % alphabet.len()]).collect();
            let words = words(&text);
            assert!(words.iter().all(|word| !word.text.is_empty()), "{text:?}");
            assert!(words.windows(2).all(|pair| pair[0].position <= pair[1].position), "{text:?}");
        }
    }
}
