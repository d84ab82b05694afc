//! Decides what a file is: content first (magic bytes, members of a container), name second.

use std::io::{Cursor, Read as _};

use crate::{ExtractError, encoding};

/// Kinds of files that have a parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the common name of its format")]
pub enum MediaType {
    Pdf,
    Doc,
    Docx,
    Xlsx,
    Xlsb,
    Xls,
    Pptx,
    Ppt,
    Odt,
    Ods,
    Odp,
    Rtf,
    Html,
    Epub,
    Markdown,
    Text,
    Csv,
    Tsv,
    Json,
    Fhir,
    Hl7,
    Xml,
    Email,
    Mbox,
    OutlookMessage,
    Png,
    Jpeg,
    Tiff,
    Zip,
    SevenZip,
    Tar,
    Gzip,
}

impl MediaType {
    /// Says whether documents of the type with this name may be about a patient, or hold such documents.
    pub fn may_hold_records(name: &str) -> bool {
        use MediaType::{Email, Fhir, Gzip, Hl7, Mbox, OutlookMessage, SevenZip, Tar, Xml, Zip};
        [Fhir, Hl7, Xml, Email, Mbox, OutlookMessage, Zip, SevenZip, Tar, Gzip].iter().any(|kind| kind.name() == name)
    }

    /// The media type name (RFC 6838), as stored with the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Doc => "application/msword",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Xlsb => "application/vnd.ms-excel.sheet.binary.macroenabled.12",
            Self::Xls => "application/vnd.ms-excel",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Ppt => "application/vnd.ms-powerpoint",
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Odp => "application/vnd.oasis.opendocument.presentation",
            Self::Rtf => "application/rtf",
            Self::Html => "text/html",
            Self::Epub => "application/epub+zip",
            Self::Markdown => "text/markdown",
            Self::Text => "text/plain",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Json => "application/json",
            Self::Fhir => "application/fhir+json",
            Self::Hl7 => "x-application/hl7-v2+er7",
            Self::Xml => "application/xml",
            Self::Email => "message/rfc822",
            Self::Mbox => "application/mbox",
            Self::OutlookMessage => "application/vnd.ms-outlook",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Tiff => "image/tiff",
            Self::Zip => "application/zip",
            Self::SevenZip => "application/x-7z-compressed",
            Self::Tar => "application/x-tar",
            Self::Gzip => "application/gzip",
        }
    }

    /// Tells what `bytes` are; `file_name` decides only between kinds of text.
    ///
    /// # Errors
    /// [`ExtractError::Unsupported`] naming the kind, [`ExtractError::Encrypted`] for Office files whose
    /// container is an encryption envelope, [`ExtractError::Corrupted`] for broken containers.
    pub fn detect(bytes: &[u8], file_name: &str) -> Result<Self, ExtractError> {
        let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        let extension = extension.as_deref().unwrap_or("");
        // The PDF header may stand anywhere in the first kilobyte (ISO 32000-2, annex I).
        let head = &bytes[..bytes.len().min(1024)];
        if contains(head, b"%PDF-") && !head.starts_with(b"From ") && !head.starts_with(b"PK") {
            return Ok(Self::Pdf);
        }
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            return zip_member_type(bytes);
        }
        if bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
            return ole_type(bytes);
        }
        let pictures: [(&[u8], Self); 4] = [
            (b"\x89PNG\r\n\x1A\n", Self::Png),
            (b"\xFF\xD8\xFF", Self::Jpeg),
            (b"II*\0", Self::Tiff),
            (b"MM\0*", Self::Tiff),
        ];
        if let Some((_, media)) = pictures.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Ok(*media);
        }
        if let Some(name) = unsupported_magic(bytes) {
            return Err(unsupported(name));
        }
        if bytes.starts_with(b"7z\xBC\xAF\x27\x1C") {
            return Ok(Self::SevenZip);
        }
        if bytes.starts_with(b"\x1F\x8B") {
            return Ok(Self::Gzip);
        }
        if bytes.len() > 262 && &bytes[257..262] == b"ustar" {
            return Ok(Self::Tar);
        }
        if bytes.starts_with(b"{\\rtf") {
            return Ok(Self::Rtf);
        }
        if encoding::looks_binary(bytes) {
            return match extension {
                "pdf" => Err(ExtractError::corrupted("no PDF header in the first kilobyte")),
                "docx" | "xlsx" | "pptx" | "odt" | "ods" | "odp" | "epub" | "zip" => {
                    Err(ExtractError::corrupted("no ZIP signature at the start"))
                }
                _ => Err(unsupported("application/octet-stream")),
            };
        }
        Ok(text_type(bytes, extension))
    }
}

fn unsupported(name: &str) -> ExtractError {
    ExtractError::Unsupported { media_type: name.to_owned() }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Formats that are recognised so that the report can name them.
fn unsupported_magic(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"!BDN", "application/vnd.ms-outlook-pst"),
        (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"),
        (b"Rar!\x1A\x07", "application/vnd.rar"),
        (b"BZh", "application/x-bzip2"),
        (b"\xFD7zXZ\0", "application/x-xz"),
        (b"\x28\xB5\x2F\xFD", "application/zstd"),
        (b"\x7FELF", "application/x-executable"),
        (b"MZ", "application/vnd.microsoft.portable-executable"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
        (b"OggS", "audio/ogg"),
        (b"ID3", "audio/mpeg"),
        (b"%!PS", "application/postscript"),
    ];
    let name = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| *name);
    let riff = bytes.len() > 12 && bytes.starts_with(b"RIFF");
    let video = bytes.len() > 12 && &bytes[4..8] == b"ftyp";
    // Two-letter magics also begin words: they count only before binary content.
    match name {
        Some("image/bmp" | "application/vnd.microsoft.portable-executable" | "audio/mpeg")
            if !encoding::looks_binary(bytes) =>
        {
            None
        }
        None if riff => Some(if &bytes[8..12] == b"WEBP" { "image/webp" } else { "audio/vnd.wave" }),
        None if video => Some("video/mp4"),
        name => name,
    }
}

/// Tells Office, OpenDocument and EPUB packages from plain archives by their members.
fn zip_member_type(bytes: &[u8]) -> Result<MediaType, ExtractError> {
    let archive = zip::ZipArchive::new(Cursor::new(bytes));
    let mut archive = archive.map_err(|error| ExtractError::corrupted(format!("ZIP directory: {error}")))?;
    if let Ok(mut entry) = archive.by_name("mimetype") {
        let mut name = String::new();
        let read = entry.by_ref().take(100).read_to_string(&mut name);
        if read.is_ok() {
            let name = name.trim().trim_end_matches("-template");
            let known = [MediaType::Odt, MediaType::Ods, MediaType::Odp, MediaType::Epub];
            if let Some(media) = known.into_iter().find(|media| media.name() == name) {
                return Ok(media);
            }
            if name.starts_with("application/vnd.oasis.opendocument") || name.starts_with("application/vnd.sun.xml") {
                return Err(unsupported(name));
            }
        }
    }
    let names: Vec<_> = archive.file_names().filter_map(Result::ok).collect();
    let has = |name: &str| names.iter().any(|member| member == name);
    let under = |folder: &str| names.iter().any(|member| member.starts_with(folder));
    if has("[Content_Types].xml") || has("_rels/.rels") {
        return Ok(match () {
            () if under("word/") => MediaType::Docx,
            () if has("xl/workbook.bin") => MediaType::Xlsb,
            () if under("xl/") => MediaType::Xlsx,
            () if under("ppt/") => MediaType::Pptx,
            () => MediaType::Zip,
        });
    }
    if has("META-INF/container.xml") && names.iter().any(|member| member.ends_with(".opf")) {
        return Ok(MediaType::Epub);
    }
    Ok(MediaType::Zip)
}

/// Tells OLE2 compound files apart by the streams at their root: what is embedded has streams of its own further down.
/// Of a damaged file the names count wherever they stand; the directory holds them in UTF-16.
fn ole_type(bytes: &[u8]) -> Result<MediaType, ExtractError> {
    let file = cfb::CompoundFile::open(Cursor::new(bytes)).ok();
    let has = |name: &str| match &file {
        Some(file) => file.exists(format!("/{name}")),
        None => {
            let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            contains(bytes, &wide)
        }
    };
    match () {
        () if has("EncryptedPackage") || has("EncryptionInfo") => {
            Err(ExtractError::Encrypted { what: "the Office file".into() })
        }
        () if has("__properties_version1.0") => Ok(MediaType::OutlookMessage),
        () if has("WordDocument") => Ok(MediaType::Doc),
        () if has("PowerPoint Document") => Ok(MediaType::Ppt),
        () if has("Workbook") || has("Book") => Ok(MediaType::Xls),
        () => Err(unsupported("application/x-ole-storage")),
    }
}

/// Tells kinds of text apart.
fn text_type(bytes: &[u8], extension: &str) -> MediaType {
    let head = encoding::decode(&bytes[..bytes.len().min(4096)], None);
    let head = head.trim_start();
    let lower = head.get(..head.floor_char_boundary(1024)).unwrap_or(head).to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return MediaType::Html;
    }
    if lower.starts_with("<?xml") {
        return if lower.contains("<html") || lower.contains("<!doctype html") {
            MediaType::Html
        } else {
            MediaType::Xml
        };
    }
    if head.starts_with("MSH|^~\\&") {
        return MediaType::Hl7;
    }
    if head.starts_with("From ") && header_lines(head.split_once('\n').map_or("", |(_, rest)| rest)) >= 1 {
        return MediaType::Mbox;
    }
    match extension {
        "md" | "markdown" | "mkd" => MediaType::Markdown,
        "html" | "htm" | "xhtml" => MediaType::Html,
        "csv" => MediaType::Csv,
        "tsv" | "tab" => MediaType::Tsv,
        "json" | "jsonl" | "ndjson" => MediaType::Json,
        "xml" => MediaType::Xml,
        "eml" if header_lines(head) >= 1 => MediaType::Email,
        "txt" | "text" | "log" => MediaType::Text,
        _ if header_lines(head) >= 3 => MediaType::Email,
        _ if lower.contains("<body") && lower.starts_with('<') => MediaType::Html,
        _ => MediaType::Text,
    }
}

/// Counts the mail header fields (RFC 5322) of well-known names in the first header block.
fn header_lines(head: &str) -> usize {
    const FIELDS: &[&str] = &[
        "from",
        "to",
        "date",
        "subject",
        "received",
        "message-id",
        "mime-version",
        "return-path",
        "content-type",
        "delivered-to",
        "x-mailer",
        "reply-to",
        "cc",
        "dkim-signature",
    ];
    let mut count = 0;
    for line in head.lines() {
        if line.trim().is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((field, _)) = line.split_once(':') else { break };
        count += usize::from(FIELDS.contains(&field.to_ascii_lowercase().as_str()));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_before_the_name() {
        let cases: [(&[u8], &str, MediaType); 10] = [
            (b"junk %PDF-1.4", "a.txt", MediaType::Pdf),
            (b"{\\rtf1 hi}", "a.doc", MediaType::Rtf),
            (b" <!DOCTYPE html><p>", "a", MediaType::Html),
            (b"<?xml version='1.0'?><html/>", "a.xml", MediaType::Html),
            (b"<?xml version='1.0'?><a/>", "a", MediaType::Xml),
            (b"From a@b Mon\nFrom: a@b\n\nhi", "mails", MediaType::Mbox),
            (b"Received: x\nFrom: a\nTo: b\nSubject: c\n\nhi", "mail", MediaType::Email),
            (b"Dear all: hello", "x.eml", MediaType::Text),
            (b"a;b\n", "x.CSV", MediaType::Csv),
            (b"BMW builds cars", "x.txt", MediaType::Text),
        ];
        for (bytes, name, media) in cases {
            assert_eq!(MediaType::detect(bytes, name).unwrap(), media, "{name}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (bytes, media_type) in [
            (&b"GIF89a\0\0\0\0"[..], "image/gif"),
            (b"!BDN\0\0\0\0", "application/vnd.ms-outlook-pst"),
            (b"\0\x01\x02\x03\xFF\xFE\0\0\0\0", "application/octet-stream"),
        ] {
            let expected = ExtractError::Unsupported { media_type: media_type.into() };
            assert_eq!(MediaType::detect(bytes, "x").unwrap_err(), expected);
        }
        assert_eq!(MediaType::detect(b"\0\x01\x02\x03\0\0\0\0\0\0", "x.pdf").unwrap_err().code(), "corrupted");
    }
}
