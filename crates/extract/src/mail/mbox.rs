//! Mailboxes (mbox, RFC 4155): every message is a child, the document lists them.

use fontes_core::BlockKind;

use super::eml;
use crate::{ExtractError, Extraction, MediaType, ParseLimits, archive::push_child, builder::Builder};

/// Parses a mailbox. Children are numbered in their order, so that appended mail changes no earlier path.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut builder = Builder::new(limits);
    for (number, message) in (1_u64..).zip(split(bytes)) {
        if number > limits.children {
            return Err(ExtractError::limit("messages of a mailbox", limits.children));
        }
        let message = unescaped(message);
        if let Ok(mail) = eml::message(&message) {
            let about = [mail.date, mail.from, mail.subject].map(Option::unwrap_or_default);
            builder.block(BlockKind::ListItem, &format!("{number}. {}", about.join(" ")));
        }
        push_child(&mut builder.children, &format!("{number:05}.eml"), message);
    }
    if builder.children.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Mbox)
}

/// Splits at `From ` lines that stand at the beginning or after an empty line; the line itself is dropped.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    let mut begun: Option<usize> = None;
    let (mut at, mut after_blank) = (0, true);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if after_blank && line.starts_with(b"From ") {
            messages.extend(begun.map(|begun| &bytes[begun..at]));
            begun = Some(at + line.len());
        }
        after_blank = matches!(line, b"\n" | b"\r\n");
        at += line.len();
    }
    messages.extend(begun.map(|begun| &bytes[begun..]));
    messages.retain(|message| !message.trim_ascii().is_empty());
    messages
}

/// Takes one `>` from lines that begin with `>From `, however deep (mboxrd).
fn unescaped(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let depth = line.iter().take_while(|byte| **byte == b'>').count();
        let quoted = depth > 0 && line[depth..].starts_with(b"From ");
        out.extend_from_slice(&line[usize::from(quoted)..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_and_unescaped() {
        let mbox =
            b"From a Mon\nFrom: a@b\nSubject: eins\n\n>From here\nFrom there\n\nFrom b Tue\nSubject: zwei\n\nx\n";
        let extraction = parse(mbox, &ParseLimits::default()).unwrap();
        let children = &extraction.children;
        assert_eq!(children.len(), 2);
        assert_eq!(children[0].path_inside, "00001.eml");
        assert_eq!(children[0].bytes, b"From: a@b\nSubject: eins\n\nFrom here\nFrom there\n\n");
        assert!(extraction.document.text.contains("2. ") && extraction.document.text.contains("zwei"));
    }
}
