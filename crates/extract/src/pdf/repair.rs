//! Finds the objects of a PDF whose cross-reference table is broken, as every viewer does.
//!
//! The file is searched for `N G obj`; a new table and trailer are written behind a copy of it.

/// Most objects of a repaired file.
const OBJECTS_LIMIT: usize = 2_000_000;

/// A copy of the file with a fresh cross-reference table; `None` when it holds no catalog.
pub(super) fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut objects: Vec<(u32, u16, usize)> = Vec::new();
    let mut root = None;
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], b"obj") {
        let word = at + found;
        at = word + 3;
        let Some((number, generation, start)) = numbers_before(bytes, word) else { continue };
        objects.push((number, generation, start));
        // The dictionary of a catalog is short; what it opens with says what it is.
        let head = &bytes[at..bytes.len().min(at + 600)];
        let head = &head[..find(head, b"endobj").unwrap_or(head.len())];
        if find(head, b"/Catalog").is_some() && find(head, b"/Pages").is_some() {
            root = Some((number, generation));
        }
        if objects.len() > OBJECTS_LIMIT {
            return None;
        }
    }
    let (root, generation) = root?;
    // Later objects replace earlier ones of the same number.
    objects.sort_by_key(|(number, _, start)| (*number, *start));
    objects.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            *kept = *later;
        }
        same
    });
    let mut out = bytes.to_vec();
    for (_, _, start) in &objects {
        correct_length(&mut out, *start);
    }
    out.extend_from_slice(b"\n");
    let table = out.len();
    out.extend_from_slice(b"xref\n0 1\n0000000000 65535 f \n");
    for (number, generation, start) in &objects {
        out.extend(format!("{number} 1\n{start:010} {generation:05} n \n").bytes());
    }
    let size = objects.last().map_or(1, |(number, _, _)| number + 1);
    out.extend(format!("trailer\n<</Size {size}/Root {root} {generation} R").bytes());
    out.extend(encryption(bytes).unwrap_or_default());
    out.extend(format!(">>\nstartxref\n{table}\n%%EOF\n").bytes());
    Some(out)
}

/// Corrects the length of the stream that the object at `start` may be: files whose line ends were changed
/// on the way state lengths that are no longer true. The number keeps its width.
fn correct_length(bytes: &mut [u8], start: usize) -> Option<()> {
    let head = &bytes[start..bytes.len().min(start + 2000)];
    let stream = find(head, b"stream").filter(|at| find(&head[..*at], b"endobj").is_none())?;
    let digits_from = find(&head[..stream], b"/Length ")? + b"/Length ".len();
    let width = head[digits_from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    // An indirect length (`12 0 R`) is left alone.
    let rest = head[digits_from + width..stream].trim_ascii_start();
    if width == 0 || rest.starts_with(b"0 R") {
        return None;
    }
    let mut data = start + stream + b"stream".len();
    data += usize::from(bytes.get(data) == Some(&b'\r'));
    data += usize::from(bytes.get(data) == Some(&b'\n'));
    let stated: usize = std::str::from_utf8(&head[digits_from..digits_from + width]).ok()?.parse().ok()?;
    let after = bytes.get(data.checked_add(stated)?..).unwrap_or(&[]);
    if after[..after.len().min(20)].trim_ascii_start().starts_with(b"endstream") {
        return None;
    }
    let length = find(bytes.get(data..)?, b"endstream")?;
    let written = format!("{length:width$}");
    let place = start + digits_from;
    if written.len() == width {
        bytes[place..place + width].copy_from_slice(written.as_bytes());
    }
    Some(())
}

/// The entries of the old trailer that decryption needs. Without them locked text would pass for damage.
fn encryption(bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(9).rposition(|window| window == b"/Encrypt ")?;
    let rest = &bytes[at..bytes.len().min(at + 40)];
    let end = rest.iter().position(|byte| *byte == b'R')?;
    Some(rest[..=end].to_vec())
}

/// Reads `N G ` backwards from where `obj` stands; gives the numbers and where they begin.
fn numbers_before(bytes: &[u8], word: usize) -> Option<(u32, u16, usize)> {
    let window = &bytes[word.saturating_sub(20)..word];
    let offset = word - window.len();
    let back = |end: usize, accept: fn(&u8) -> bool| -> usize {
        window[..end].iter().rposition(|byte| !accept(byte)).map_or(0, |at| at + 1)
    };
    let generation_end = back(window.len(), u8::is_ascii_whitespace);
    let generation_start = back(generation_end, u8::is_ascii_digit);
    let number_end = back(generation_start, u8::is_ascii_whitespace);
    let number_start = back(number_end, u8::is_ascii_digit);
    if generation_end == window.len() || number_end == generation_start {
        return None;
    }
    let text = |from: usize, to: usize| std::str::from_utf8(&window[from..to]).ok();
    let generation = text(generation_start, generation_end)?.parse().ok()?;
    let number = text(number_start, number_end)?.parse().ok()?;
    Some((number, generation, offset + number_start))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_are_no_longer_true_are_corrected() {
        let mut file = b"5 0 obj <</Length 12>>\nstream\n12345678\nendstream endobj".to_vec();
        correct_length(&mut file, 0);
        assert!(file.starts_with(b"5 0 obj <</Length  9>>"), "{}", String::from_utf8_lossy(&file));
        let mut right = b"5 0 obj <</Length 8>>\nstream\n12345678\nendstream endobj".to_vec();
        assert_eq!(correct_length(&mut right, 0), None);
    }

    #[test]
    fn objects_are_found_and_the_last_of_a_number_counts() {
        let file = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj 2 0 obj x\nendobj\n2 0 obj y\nendobj";
        let repaired = repaired(file).unwrap();
        let text = String::from_utf8(repaired).unwrap();
        assert!(text.contains("1 1\n0000000009 00000 n \n2 1\n0000000071 00000 n \n"), "{text}");
        assert!(text.contains("/Root 1 0 R"));
        assert_eq!(super::repaired(b"%PDF-1.4 3 0 obj <<>> endobj"), None);
    }
}
