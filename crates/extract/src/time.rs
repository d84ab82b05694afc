//! Times that documents state, as RFC 3339.

/// Normalises an ISO 8601 date or time (as office formats write it) to RFC 3339; `None` when it is no date.
///
/// A date alone becomes midnight, a time without zone is taken as UTC.
pub(crate) fn rfc3339(text: &str) -> Option<String> {
    let text = text.trim();
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let numbers: Vec<u32> = date.split('-').map_while(|part| part.parse().ok()).collect();
    let [year, month, day] = numbers[..] else { return None };
    let rest = rest.strip_prefix(['T', 't', ' ']).unwrap_or("");
    let mut parts = rest.get(..8).unwrap_or("00:00:00").split(':').map_while(|part| part.parse().ok());
    let (hour, minute, second) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let zone = rest.get(8..).unwrap_or("");
    let zone = zone.trim_start_matches(|c: char| c == '.' || c == ',' || c.is_ascii_digit());
    checked(year, month, day, hour, minute, second, zone)
}

/// Reads a PDF date, `D:YYYYMMDDHHmmSSOHH'mm'` (ISO 32000-2, 7.9.4); later parts may be missing.
pub(crate) fn from_pdf(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches("D:");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let part = |from: usize, to: usize, default: u32| match text.get(from..to) {
        Some(part) if to <= digits => part.parse().ok(),
        _ => Some(default),
    };
    let zone = text.get(digits..).unwrap_or("").replace('\'', "");
    let zone = match zone.len() {
        5 => format!("{}:{}", &zone.get(..3)?, &zone.get(3..)?),
        3 => format!("{zone}:00"),
        _ => String::new(),
    };
    if digits < 4 {
        return None;
    }
    checked(part(0, 4, 0)?, part(4, 6, 1)?, part(6, 8, 1)?, part(8, 10, 0)?, part(10, 12, 0)?, part(12, 14, 0)?, &zone)
}

/// Puts the parts together if they can be a moment; any zone but `±hh:mm` becomes `Z`.
fn checked(year: u32, month: u32, day: u32, hour: u32, minute: u32, second: u32, zone: &str) -> Option<String> {
    let last_day = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=last_day).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let bytes = zone.as_bytes();
    let offset = bytes.len() == 6
        && matches!(bytes[0], b'+' | b'-')
        && bytes[3] == b':'
        && [1, 2, 4, 5].into_iter().all(|at| bytes[at].is_ascii_digit());
    let zone = if offset { zone } else { "Z" };
    valid.then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn office_dates_are_normalised() {
        let cases = [
            ("2024-05-01", Some("2024-05-01T00:00:00Z")),
            ("2008-12-13T21:46:02.59", Some("2008-12-13T21:46:02Z")),
            ("2008-12-13T21:46:02+01:00", Some("2008-12-13T21:46:02+01:00")),
            ("2024-13-01", None),
            ("gestern", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(rfc3339(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn pdf_dates_may_be_short() {
        let cases = [
            ("D:20230801120059+02'00'", Some("2023-08-01T12:00:59+02:00")),
            ("D:20230801120059Z", Some("2023-08-01T12:00:59Z")),
            ("D:2023", Some("2023-01-01T00:00:00Z")),
            ("20230231", None),
            ("D:x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(from_pdf(text).as_deref(), expected, "{text}");
        }
    }
}
