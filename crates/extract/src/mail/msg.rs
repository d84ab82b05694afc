//! Outlook messages ([MS-OXMSG]): properties as streams of a compound file.

use std::io::{Cursor, Read as _};

use cfb::CompoundFile;

use super::Message;
use crate::{ExtractError, Extraction, MediaType, ParseLimits, encoding};

/// The date of 1601-01-01 in seconds before 1970: the epoch of FILETIME.
const FILETIME_EPOCH: i64 = 11_644_473_600;

/// How deep messages in messages are followed; they become children as mails.
const DEPTH: usize = 3;

/// Parses one Outlook message.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let file = CompoundFile::open(Cursor::new(bytes));
    let file = file.map_err(|error| ExtractError::corrupted(format!("compound file: {error}")))?;
    let mut store = Store { file, left: limits.inflated_bytes };
    let message = store.message("/", DEPTH)?;
    message.write(MediaType::OutlookMessage, limits)
}

/// An open compound file that counts what is read from it.
struct Store<'a> {
    file: CompoundFile<Cursor<&'a [u8]>>,
    left: u64,
}

impl Store<'_> {
    /// Reads the message in a storage. Property numbers are those of [MS-OXPROPS].
    fn message(&mut self, storage: &str, depth: usize) -> Result<Message, ExtractError> {
        let sender = [self.text(storage, "0C1A"), self.text(storage, "5D01").or_else(|| self.text(storage, "0C1F"))];
        let from = match sender {
            [Some(name), Some(address)] if address.contains('@') && name != address => {
                Some(format!("{name} <{address}>"))
            }
            [name, address] => name.or(address),
        };
        let html = match self.text(storage, "1013") {
            Some(html) => Some(html),
            None => self.stream(&format!("{storage}__substg1.0_10130102")).map(|html| encoding::decode(&html, None)),
        };
        let mut message = Message {
            subject: self.text(storage, "0037"),
            from,
            to: self.text(storage, "0E04"),
            cc: self.text(storage, "0E03"),
            date: self.date(storage),
            text: self.text(storage, "1000"),
            html,
            attachments: Vec::new(),
        };
        for name in self.attachment_storages(storage) {
            message.attachments.extend(self.attachment(&format!("{storage}{name}/"), depth)?);
        }
        Ok(message)
    }

    fn attachment_storages(&self, storage: &str) -> Vec<String> {
        let Ok(entries) = self.file.read_storage(storage) else { return Vec::new() };
        let storages = entries.filter(|entry| entry.is_storage() && entry.name().starts_with("__attach"));
        storages.map(|entry| entry.name().to_owned()).collect()
    }

    /// An attached file, or an attached message written as a mail.
    fn attachment(&mut self, storage: &str, depth: usize) -> Result<Option<(String, Vec<u8>)>, ExtractError> {
        let embedded = format!("{storage}__substg1.0_3701000D/");
        if depth > 0 && self.file.is_storage(&embedded) {
            let inner = self.message(&embedded, depth - 1)?;
            let name = format!("{}.eml", inner.subject.as_deref().unwrap_or("message").replace(['/', '\\'], "_"));
            return Ok(Some((name, as_mail(&inner).into_bytes())));
        }
        let name =
            self.text(storage, "3707").or_else(|| self.text(storage, "3704")).or_else(|| self.text(storage, "3001"));
        let data = self.stream(&format!("{storage}__substg1.0_37010102"));
        Ok(data.map(|data| (name.unwrap_or_else(|| "attachment.bin".into()).replace(['/', '\\'], "_"), data)))
    }

    /// A text property: UTF-16, else 8-bit in a code page that statistics find.
    fn text(&mut self, storage: &str, property: &str) -> Option<String> {
        let wide = self.stream(&format!("{storage}__substg1.0_{property}001F"));
        let text = match wide {
            Some(wide) => encoding_rs::UTF_16LE.decode_without_bom_handling(&wide).0.into_owned(),
            None => encoding::decode(&self.stream(&format!("{storage}__substg1.0_{property}001E"))?, None),
        };
        let text = text.trim_end_matches('\0').to_owned();
        (!text.trim().is_empty()).then_some(text)
    }

    /// The time of sending, else of delivery, from the fixed-size properties.
    fn date(&mut self, storage: &str) -> Option<String> {
        let properties = self.stream(&format!("{storage}__properties_version1.0"))?;
        let header = if storage == "/" { 32 } else { 24 };
        let value = |tag: u32| {
            let entry = properties.get(header..)?.chunks_exact(16).find(|entry| entry[..4] == tag.to_le_bytes())?;
            entry[8..16].try_into().ok().map(u64::from_le_bytes)
        };
        let ticks = value(0x0039_0040).or_else(|| value(0x0E06_0040)).filter(|ticks| *ticks > 0)?;
        let seconds = i64::try_from(ticks / 10_000_000).ok()? - FILETIME_EPOCH;
        Some(mail_parser::DateTime::from_timestamp(seconds).to_rfc3339())
    }

    fn stream(&mut self, path: &str) -> Option<Vec<u8>> {
        let stream = self.file.open_stream(path).ok()?;
        let mut bytes = Vec::new();
        stream.take(self.left).read_to_end(&mut bytes).ok()?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Some(bytes)
    }
}

/// Writes a message as a mail that [`super::parse_eml`] reads. Its own attachments are named, not carried.
fn as_mail(message: &Message) -> String {
    let mut out = String::new();
    let fields = [
        ("From", &message.from),
        ("To", &message.to),
        ("Cc", &message.cc),
        ("Date", &message.date),
        ("Subject", &message.subject),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            out.push_str(&format!("{name}: {}\r\n", value.replace(['\r', '\n'], " ")));
        }
    }
    let (kind, body) = match (&message.text, &message.html) {
        (Some(text), _) => ("plain", text.as_str()),
        (None, Some(html)) => ("html", html.as_str()),
        (None, None) => ("plain", ""),
    };
    out.push_str(&format!("MIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n{body}\r\n"));
    for (name, _) in &message.attachments {
        out.push_str(&format!("\r\n[{name}]\r\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn message() -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let mut put = |path: &str, bytes: &[u8]| file.create_stream(path).unwrap().write_all(bytes).unwrap();
        put("/__substg1.0_0037001F", &wide("Größe"));
        put("/__substg1.0_0C1A001F", &wide("Eva"));
        put("/__substg1.0_1000001F", &wide("Der Text.\r\n\r\nEnde."));
        let mut properties = vec![0; 32];
        properties.extend(0x0039_0040_u32.to_le_bytes());
        properties.extend([0; 4]);
        properties.extend(133_485_408_000_000_000_u64.to_le_bytes());
        put("/__properties_version1.0", &properties);
        file.create_storage("/__attach_version1.0_#00000000").unwrap();
        let mut put = |path: &str, bytes: &[u8]| file.create_stream(path).unwrap().write_all(bytes).unwrap();
        put("/__attach_version1.0_#00000000/__substg1.0_3707001F", &wide("a.txt"));
        put("/__attach_version1.0_#00000000/__substg1.0_37010102", b"hello");
        file.into_inner().into_inner()
    }

    #[test]
    fn an_outlook_message_is_header_body_and_children() {
        let bytes = message();
        assert_eq!(MediaType::detect(&bytes, "x").unwrap(), MediaType::OutlookMessage);
        let extraction = parse(&bytes, &ParseLimits::default()).unwrap();
        let expected = "From: Eva\nDate: 2024-01-01T00:00:00Z\nSubject: Größe\n\nDer Text.\n\nEnde.\n";
        assert_eq!(extraction.document.text, expected);
        assert_eq!(extraction.children[0].path_inside, "a.txt");
        assert_eq!(extraction.children[0].bytes, b"hello");
    }
}
