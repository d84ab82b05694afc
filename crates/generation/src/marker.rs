//! Citation markers: `[1]`, `[1, 2]`, `[1][2]` in, numbers out. Nothing else is a marker.

use std::collections::BTreeSet;

/// The markers that a text may use: numbers of the passages that were given.
pub(crate) type Markers = BTreeSet<u32>;

/// A sentence taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marked {
    /// The text without markers.
    pub(crate) text: String,
    /// The known markers in order of appearance, each once.
    pub(crate) markers: Vec<u32>,
    /// Markers that name nothing that was given.
    pub(crate) forged: usize,
}

/// Takes the markers out of `text`. Brackets that hold anything but numbers stay as they are.
pub(crate) fn take_markers(text: &str, known: &Markers) -> Marked {
    let mut marked = Marked::default();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, bracket) = rest.split_at(open);
        let inner = bracket[1..].split_once(']').map(|(inner, _)| inner);
        match inner.and_then(|inner| numbers(inner).map(|numbers| (inner.len() + 2, numbers))) {
            Some((length, numbers)) => {
                marked.text.push_str(before);
                for number in numbers {
                    match known.get(&number) {
                        Some(_) if marked.markers.contains(&number) => {}
                        Some(_) => marked.markers.push(number),
                        None => marked.forged += 1,
                    }
                }
                rest = &bracket[length..];
                // The space before a marker goes when punctuation or nothing follows it.
                if !rest.starts_with(|c: char| c.is_alphanumeric()) {
                    marked.text.truncate(marked.text.trim_end().len());
                }
            }
            None => {
                marked.text.push_str(&rest[..=open]);
                rest = &bracket[1..];
            }
        }
    }
    marked.text.push_str(rest);
    marked.text = marked.text.trim().to_owned();
    marked
}

/// The numbers between brackets when there is nothing but numbers, commas, semicolons and spaces, perhaps
/// after one word such as `Quelle`. A number too large to be a passage counts as an unknown one.
fn numbers(inner: &str) -> Option<Vec<u32>> {
    let inner = inner.trim().trim_start_matches(char::is_alphabetic).trim();
    let parts: Vec<&str> = inner.split([',', ';', ' ']).filter(|part| !part.is_empty()).collect();
    let well_formed = !parts.is_empty() && parts.iter().all(|part| part.chars().all(|c| c.is_ascii_digit()));
    well_formed.then(|| parts.iter().map(|part| part.parse().unwrap_or(u32::MAX)).collect())
}

/// Writes markers the way answers show them: `[1][2]`.
pub(crate) fn write_markers(markers: impl IntoIterator<Item = u32>) -> String {
    markers.into_iter().map(|marker| format!("[{marker}]")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, Vec<u32>, usize) {
        let marked = take_markers(text, &Markers::from([1, 2, 3]));
        (marked.text, marked.markers, marked.forged)
    }

    #[test]
    fn every_written_form_is_read() {
        assert_eq!(taken("Es gilt [1]."), ("Es gilt.".into(), vec![1], 0));
        assert_eq!(taken("Es gilt.[2] [1]"), ("Es gilt.".into(), vec![2, 1], 0));
        assert_eq!(taken("Es [1, 2; 3] gilt [1]."), ("Es gilt.".into(), vec![1, 2, 3], 0));
        assert_eq!(taken("Es gilt [Quelle 2]."), ("Es gilt.".into(), vec![2], 0));
    }

    #[test]
    fn unknown_numbers_are_forged_and_gone() {
        assert_eq!(taken("Es gilt [9][99999999999999999999]."), ("Es gilt.".into(), vec![], 2));
        assert_eq!(taken("[1][7]"), (String::new(), vec![1], 1));
    }

    #[test]
    fn other_brackets_stay() {
        for text in ["sagte [sic] er", "a[", "[]", "[1", "]1["] {
            assert_eq!(taken(text), (text.into(), vec![], 0));
        }
    }
}
