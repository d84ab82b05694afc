//! Internet messages (RFC 5322, MIME), through `mail-parser`.

use mail_parser::{Address, MessageParser, MessagePart, MimeHeaders as _, PartType};

use super::Message;
use crate::{ExtractError, Extraction, MediaType, ParseLimits, encoding};

/// Parses one message.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    match encoding::narrowed(bytes) {
        Some(text) => message(text.as_bytes())?,
        None => message(bytes)?,
    }
    .write(MediaType::Email, limits)
}

/// Reads one message.
pub(super) fn message(bytes: &[u8]) -> Result<Message, ExtractError> {
    let mail = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| ExtractError::corrupted("the message has neither header nor body"))?;
    let enveloped = mail.parts.iter().any(|part| {
        part.content_type().is_some_and(|kind| {
            let subtype = kind.c_subtype.as_deref().unwrap_or("").to_ascii_lowercase();
            subtype == "encrypted"
                || subtype.ends_with("pkcs7-mime") && kind.attribute("smime-type") != Some("signed-data")
        })
    });
    let text = mail.text_body.iter().filter_map(|id| mail.parts.get(*id as usize));
    let text: Vec<&str> =
        text.filter(|part| matches!(part.body, PartType::Text(_))).filter_map(MessagePart::text_contents).collect();
    let html = mail.html_body.iter().filter_map(|id| mail.parts.get(*id as usize));
    let html: Vec<&str> =
        html.filter(|part| matches!(part.body, PartType::Html(_))).filter_map(MessagePart::text_contents).collect();
    let message = Message {
        subject: mail.subject().map(str::to_owned),
        from: mail.from().map(addresses),
        to: mail.to().map(addresses),
        cc: mail.cc().map(addresses),
        date: mail.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_rfc3339),
        text: (!text.is_empty()).then(|| text.join("\n\n")),
        html: (!html.is_empty()).then(|| html.join("\n")),
        attachments: mail.attachments().enumerate().filter_map(|(index, part)| attachment(part, index + 1)).collect(),
    };
    let no_body = message.text.is_none() && message.html.is_none();
    if enveloped && no_body {
        return Err(ExtractError::Encrypted { what: "the body of the message".into() });
    }
    Ok(message)
}

/// `Name <address>` for each, separated by commas.
fn addresses(list: &Address<'_>) -> String {
    let written: Vec<String> = list
        .iter()
        .filter_map(|address| match (address.name(), address.address()) {
            (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        })
        .collect();
    written.join(", ")
}

/// An attachment with a name; pictures that only decorate the HTML body and detached signatures are none.
fn attachment(part: &MessagePart<'_>, number: usize) -> Option<(String, Vec<u8>)> {
    let kind = part.content_type();
    let (main, sub) =
        kind.map_or(("application", ""), |kind| (kind.c_type.as_ref(), kind.c_subtype.as_deref().unwrap_or("")));
    let attached = part.content_disposition().is_some_and(|disposition| disposition.is_attachment());
    let decoration = main.eq_ignore_ascii_case("image") && (part.content_id().is_some() || !attached);
    let signature = sub.to_ascii_lowercase().ends_with("signature");
    if decoration || signature {
        return None;
    }
    let bytes = part.contents().to_vec();
    let extension = match (part.is_message(), sub.to_ascii_lowercase().as_str()) {
        (true, _) => "eml",
        (_, "html") => "html",
        (_, "pdf") => "pdf",
        (_, "plain") => "txt",
        (_, "calendar") => "ics",
        _ => "bin",
    };
    let name = match (part.attachment_name(), &part.body) {
        (Some(name), _) => name.to_owned(),
        (None, PartType::Message(message)) => format!("{}.eml", message.subject().unwrap_or("message")),
        (None, _) => format!("attachment-{number}.{extension}"),
    };
    (!bytes.is_empty()).then(|| (name.replace(['/', '\\'], "_"), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: =?utf-8?q?J=C3=B6rg?= <j@x.ch>\r\nTo: Eva <e@x.ch>, b@x.ch\r\nSubject: Vertrag\r\n\
        Date: Tue, 2 Jan 2024 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe,\r\nJ=C3=B6rg\r\n--c\r\n\
        Content-Type: text/html\r\n\r\n<p>Gr&uuml;&szlig;e</p>\r\n--c--\r\n--b\r\nContent-Type: text/plain\r\n\
        Content-Disposition: attachment; filename=\"a.txt\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nFrom: z@x.ch\r\nSubject: Innen\r\n\r\ninner\r\n--b\r\n\
        Content-Type: image/png; name=logo.png\r\nContent-ID: <l>\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";

    #[test]
    fn a_mail_is_header_body_and_children() {
        let extraction = parse(MAIL.as_bytes(), &ParseLimits::default()).unwrap();
        let document = &extraction.document;
        let expected = "From: Jörg <j@x.ch>\nTo: Eva <e@x.ch>, b@x.ch\nDate: 2024-01-02T10:00:00+01:00\n\
                        Subject: Vertrag\n\nGrüße,\nJörg\n";
        assert_eq!(document.text, expected);
        assert_eq!(document.metadata.title.as_deref(), Some("Vertrag"));
        let children: Vec<_> =
            extraction.children.iter().map(|child| (child.path_inside.as_str(), child.bytes.as_slice())).collect();
        assert_eq!(children[0], ("a.txt", b"hello".as_slice()));
        assert_eq!(children[1].0, "Innen.eml");
        assert_eq!(children.len(), 2, "the logo is decoration");
        let inner = parse(children[1].1, &ParseLimits::default()).unwrap();
        assert!(inner.document.text.ends_with("\n\ninner\n"), "{:?}", inner.document.text);
    }

    #[test]
    fn a_mail_saved_as_wide_text_is_read() {
        let wide: Vec<u8> = MAIL.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let document = parse(&[&b"\xFF\xFE"[..], &wide].concat(), &ParseLimits::default()).unwrap().document;
        assert!(document.text.ends_with("Subject: Vertrag\n\nGrüße,\nJörg\n"), "{:?}", document.text);
        assert_eq!(parse(&wide, &ParseLimits::default()).unwrap().document.text, document.text);
    }

    #[test]
    fn an_html_mail_is_read_as_shown() {
        let mail =
            "From: a@b\r\nSubject: x\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<h1>Hi</h1><p>gr\u{fc}n</p>";
        let bytes: Vec<u8> = mail.chars().map(|c| u8::try_from(c as u32).unwrap()).collect();
        let document = parse(&bytes, &ParseLimits::default()).unwrap().document;
        assert!(document.text.ends_with("Hi\n\ngrün\n"), "{:?}", document.text);
    }

    #[test]
    fn an_enveloped_mail_is_encrypted() {
        let mail = "From: a@b\r\nSubject: x\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n\
                    Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n";
        assert_eq!(parse(mail.as_bytes(), &ParseLimits::default()).unwrap_err().code(), "encrypted");
    }
}
