//! The last gate between generated and given-out text.
//!
//! What has been streamed cannot be taken back. An [`Outlet`] therefore keeps back exactly what may yet have to
//! go: the beginning of a stop string, a sentence that may turn out to be commentary or the second round of a
//! circle, white space that may turn out to be the end. What it gives out, put together, is the final text.

use super::commentary::{self, Verdict};

/// Text on its way out.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    stops: &'a [String],
    text: String,
    /// Bytes of leading white space, which is never given out.
    lead: usize,
    /// End of what was given out, at least `lead`.
    given: usize,
    /// Where sentences and lines begin, the first excepted.
    starts: Vec<usize>,
    /// Sentences before this one are known to be content.
    judged: usize,
    /// Start of the sentence that so far repeats an earlier one.
    echo: Option<usize>,
    /// A sentence or line ended; the next visible character starts one.
    between: bool,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(stops: &'a [String]) -> Self {
        Self {
            stops,
            text: String::new(),
            lead: 0,
            given: 0,
            starts: Vec::new(),
            judged: 0,
            echo: None,
            between: false,
        }
    }

    /// Everything so far, complete characters only.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Bytes at the start of [`Outlet::text`] that are not part of the final text.
    pub(crate) fn lead(&self) -> usize {
        self.lead
    }

    /// Adds text. Returns true when it ended: by a stop string, or because commentary began.
    pub(crate) fn push(&mut self, piece: &str) -> bool {
        let before = self.text.len();
        self.text.push_str(piece);
        if self.given <= self.lead {
            self.lead = self.text.len() - self.text.trim_start().len();
            self.given = self.lead;
        }
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = before.saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        let found = self.stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| self.text[from..].find(stop));
        if let Some(at) = found.min() {
            self.cut(from + at);
            return true;
        }
        self.find_starts(before);
        self.watch_echo();
        self.find_commentary(false)
    }

    /// What may be given out now.
    pub(crate) fn release(&mut self) -> &str {
        let open_sentence = self.starts.get(self.judged).copied();
        let held = [open_sentence, self.echo, self.partial_stop()];
        let limit = held.into_iter().flatten().min().unwrap_or(self.text.len());
        self.release_to(limit)
    }

    /// The rest, when the text has ended.
    pub(crate) fn finish(&mut self) -> &str {
        self.find_commentary(true);
        self.release_to(self.text.len())
    }

    /// Drops everything from `at` on that was not given out yet, and an echo with it.
    pub(crate) fn cut_before_circle(&mut self, at: usize) {
        self.cut(self.echo.map_or(at, |echo| echo.min(at)));
    }

    /// The text given out.
    pub(crate) fn into_text(mut self) -> String {
        self.text.truncate(self.given);
        self.text.drain(..self.lead.min(self.given));
        self.text
    }

    fn release_to(&mut self, limit: usize) -> &str {
        let end = self.text[..limit].trim_end().len();
        let start = self.given;
        self.given = end.max(start);
        &self.text[start..self.given]
    }

    fn cut(&mut self, at: usize) {
        self.text.truncate(at.max(self.given));
        self.starts.retain(|&start| start < self.text.len());
        self.echo = None;
    }

    /// The longest end of the text that begins a stop string.
    fn partial_stop(&self) -> Option<usize> {
        let begins = |stop: &String| {
            let most = (stop.len().saturating_sub(1)).min(self.text.len());
            (1..=most)
                .rev()
                .map(|length| self.text.len() - length)
                .find(|&at| self.text.is_char_boundary(at) && stop.starts_with(&self.text[at..]))
        };
        self.stops.iter().filter_map(begins).min()
    }

    fn find_starts(&mut self, from: usize) {
        let mut previous = self.text[..from].chars().next_back();
        for (at, character) in self.text[from..].char_indices() {
            if character == '\n' || (character.is_whitespace() && previous.is_some_and(ends_sentence)) {
                self.between = true;
            } else if self.between && !character.is_whitespace() {
                self.between = false;
                if from + at > self.lead {
                    self.starts.push(from + at);
                }
            }
            previous = Some(character);
        }
    }

    /// Keeps back a sentence for as long as it repeats an earlier one letter by letter.
    fn watch_echo(&mut self) {
        let first = self.lead;
        let repeats = |start: usize| {
            let tail = &self.text[start..];
            let earlier = std::iter::once(first).chain(self.starts.iter().copied()).take_while(|&b| b < start);
            !tail.is_empty() && earlier.into_iter().any(|begin| self.text[begin..].starts_with(tail))
        };
        let candidate = self.echo.or_else(|| self.starts.last().copied().filter(|&start| start >= self.given));
        self.echo = candidate.filter(|&start| repeats(start));
        if self.echo.is_none() {
            self.echo = self.starts.last().copied().filter(|&start| start >= self.given && repeats(start));
        }
    }

    fn find_commentary(&mut self, ended: bool) -> bool {
        while let Some(&start) = self.starts.get(self.judged) {
            match commentary::judge(&self.text[start..], ended) {
                Verdict::Content => self.judged += 1,
                Verdict::Open => return false,
                Verdict::Commentary => {
                    self.cut(start);
                    return true;
                }
            }
        }
        false
    }
}

/// Closing brackets and quotes count: a sentence may end in a citation or a quotation.
fn ends_sentence(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | ']' | ')' | '"' | '»' | '”')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes pieces until the outlet says stop: what was given out piece by piece, and the final text.
    fn run(pieces: &[&str], stops: &[&str]) -> (Vec<String>, String) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut outlet = Outlet::new(&stops);
        let mut given = Vec::new();
        for piece in pieces {
            let ended = outlet.push(piece);
            given.push(outlet.release().to_owned());
            if ended {
                break;
            }
        }
        given.push(outlet.finish().to_owned());
        (given, outlet.into_text())
    }

    #[test]
    fn stop_strings_never_show_even_in_part() {
        let (given, text) = run(&["Yes", " <E", "N", "D", "> more"], &["<END>"]);
        assert_eq!(text, "Yes");
        assert_eq!(given.concat(), "Yes");
        let (given, _) = run(&["a <E", "Q>"], &["<END>"]);
        assert_eq!(given, ["a", " <EQ>", ""]);
    }

    #[test]
    fn trailing_commentary_is_never_streamed() {
        let answer = "The council has seven members [1].";
        for tail in ["\n\nNote: The answer is based on the provided context.", " (Note: this answer uses the passages)"]
        {
            let whole = format!("{answer}{tail}");
            let letters: Vec<String> = whole.chars().map(String::from).collect();
            let (given, text) = run(&letters.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
            assert_eq!((given.concat().as_str(), text.as_str()), (answer, answer));
        }
    }

    #[test]
    fn an_opening_note_and_one_about_the_matter_stay() {
        for text in ["Note: the answer is based on art. 3.", "Take two. Note: halve the dose for children. Then rest."]
        {
            let words: Vec<&str> = text.split_inclusive(' ').collect();
            assert_eq!(run(&words, &[]).1, text);
        }
    }

    #[test]
    fn a_repeated_sentence_waits_until_it_goes_its_own_way() {
        let mut outlet = Outlet::new(&[]);
        outlet.push("Bern is the capital. Bern is");
        assert_eq!(outlet.release(), "Bern is the capital.");
        outlet.push(" old.");
        assert_eq!(outlet.release(), " Bern is old.");
    }

    #[test]
    fn white_space_around_is_dropped() {
        let (given, text) = run(&["\n", " a", " b", " \n", "\n"], &[]);
        assert_eq!((given.concat().as_str(), text.as_str()), ("a b", "a b"));
    }

    proptest! {
        #[test]
        fn what_is_given_out_is_the_final_text(
            pieces in proptest::collection::vec("[a-bN. \n\\]é]{0,4}|Note: |the answer |based on |END|E", 0..30),
            stops in proptest::collection::vec("END|ab|é.|\n\n", 0..3),
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let (given, text) = run(&pieces, &stops);
            prop_assert_eq!(given.concat(), text.clone());
            prop_assert_eq!(text.trim(), text.as_str());
            for stop in stops {
                prop_assert!(!text.contains(stop) , "{text:?} contains {stop:?}");
            }
        }
    }
}
