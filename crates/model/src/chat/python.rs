//! The bits of Python that chat templates expect: string and mapping methods, dates, JSON.
//!
//! Templates are written for Jinja2 as transformers sets it up. What is here covers the published templates;
//! an unknown method is an error that names it.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    value::{Kwargs, Rest, ValueKind, from_args},
};
use serde::Serialize as _;

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(method);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_filter("tojson", tojson);
}

/// JSON as Python's `json.dumps` writes it, without HTML escapes.
fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let broken = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let spaces = vec![b' '; width.min(16)];
            let format = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format)).map_err(broken)?;
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)).map_err(broken)?,
    }
    String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// A space after each comma and colon.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

fn method(_: &State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::new(ErrorKind::UnknownMethod, format!("method {name} of {}", value.kind()));
    match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or_default(), name, arguments)?.ok_or_else(unknown),
        ValueKind::Map => mapping_method(value, name, arguments)?.ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

fn string_method(text: &str, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let trimmed = |start: bool, end: bool| -> Result<Value, Error> {
        let (set,): (Option<&str>,) = from_args(arguments)?;
        let strip = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
        let text = if start { text.trim_start_matches(strip) } else { text };
        Ok(Value::from(if end { text.trim_end_matches(strip) } else { text }))
    };
    let any_of = |test: &dyn Fn(&str) -> bool| -> Result<Value, Error> {
        let (wanted, _): (Value, Rest<Value>) = from_args(arguments)?;
        if let Some(one) = wanted.as_str() {
            return Ok(Value::from(test(one)));
        }
        Ok(Value::from(wanted.try_iter()?.any(|one| one.as_str().is_some_and(test))))
    };
    Ok(Some(match name {
        "strip" => trimmed(true, true)?,
        "lstrip" => trimmed(true, false)?,
        "rstrip" => trimmed(false, true)?,
        "startswith" => any_of(&|prefix| text.starts_with(prefix))?,
        "endswith" => any_of(&|suffix| text.ends_with(suffix))?,
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "title" => Value::from(capitalised(text, true)),
        "capitalize" => Value::from(capitalised(text, false)),
        "replace" => {
            let (old, new, count): (&str, &str, Option<usize>) = from_args(arguments)?;
            Value::from(text.replacen(old, new, count.unwrap_or(usize::MAX)))
        }
        "find" => {
            let (wanted,): (&str,) = from_args(arguments)?;
            let found = text.find(wanted).map(|at| text[..at].chars().count());
            Value::from(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
        }
        "count" => {
            let (wanted,): (&str,) = from_args(arguments)?;
            Value::from(text.matches(wanted).count())
        }
        "split" | "rsplit" => Value::from(split(text, name == "rsplit", arguments)?),
        "splitlines" => Value::from(text.lines().map(str::to_owned).collect::<Vec<_>>()),
        "join" => {
            let (parts,): (Value,) = from_args(arguments)?;
            let parts: Vec<String> = parts.try_iter()?.map(|part| part.to_string()).collect();
            Value::from(parts.join(text))
        }
        _ => return Ok(None),
    }))
}

fn split(text: &str, from_end: bool, arguments: &[Value]) -> Result<Vec<String>, Error> {
    let (separator, limit): (Option<&str>, Option<usize>) = from_args(arguments)?;
    let pieces = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
    let owned = |part: &str| part.to_owned();
    Ok(match separator {
        None => text.split_whitespace().map(owned).collect(),
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(separator) if from_end => {
            let mut parts: Vec<String> = text.rsplitn(pieces, separator).map(owned).collect();
            parts.reverse();
            parts
        }
        Some(separator) => text.splitn(pieces, separator).map(owned).collect(),
    })
}

/// Capital first letters, of each word or of the text; the rest small.
fn capitalised(text: &str, each_word: bool) -> String {
    let mut start = true;
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        if start && character.is_alphabetic() {
            result.extend(character.to_uppercase());
        } else {
            result.extend(character.to_lowercase());
        }
        start = each_word && !character.is_alphabetic();
    }
    result
}

fn mapping_method(value: &Value, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(arguments)?;
            let found = value.get_item(&key)?;
            if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found }
        }
        "keys" => Value::from(value.try_iter()?.collect::<Vec<_>>()),
        "values" => {
            let values: Result<Vec<Value>, Error> = value.try_iter()?.map(|key| value.get_item(&key)).collect();
            Value::from(values?)
        }
        "items" => {
            let pair = |key: Value| Ok(Value::from(vec![key.clone(), value.get_item(&key)?]));
            let items: Result<Vec<Value>, Error> = value.try_iter()?.map(pair).collect();
            Value::from(items?)
        }
        _ => return Ok(None),
    }))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Writes a UTC date by the common directives of `strftime`; an unknown directive stays as it is.
pub(super) fn strftime(now: SystemTime, format: &str) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let month_name = MONTHS[(month - 1) as usize];
    let day_name = DAYS[(days % 7) as usize];
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('Y') => text += &year.to_string(),
            Some('y') => text += &format!("{:02}", year % 100),
            Some('m') => text += &format!("{month:02}"),
            Some('d') => text += &format!("{day:02}"),
            Some('B') => text += month_name,
            Some('b') => text += &month_name[..3],
            Some('A') => text += day_name,
            Some('a') => text += &day_name[..3],
            Some('H') => text += &format!("{:02}", clock / 3600),
            Some('M') => text += &format!("{:02}", clock / 60 % 60),
            Some('S') => text += &format!("{:02}", clock % 60),
            Some('%') | None => text.push('%'),
            Some(other) => text.extend(['%', other]),
        }
    }
    text
}

/// Year, month and day of a day number since 1970-01-01 (Gregorian; the year is counted from March, so that
/// the leap day is its last).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
