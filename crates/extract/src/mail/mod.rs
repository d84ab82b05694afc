//! Mail: header fields as a first block, the best body, attachments as children.

mod eml;
mod mbox;
mod msg;
mod quote;

use fontes_core::BlockKind;

use crate::{ExtractError, Extraction, MediaType, ParseLimits, archive::push_child, builder::Builder, html};

pub(crate) use eml::parse as parse_eml;
pub(crate) use mbox::parse as parse_mbox;
pub(crate) use msg::parse as parse_msg;

/// A message, in whatever format it came.
#[derive(Debug, Default)]
struct Message {
    subject: Option<String>,
    from: Option<String>,
    to: Option<String>,
    cc: Option<String>,
    /// RFC 3339.
    date: Option<String>,
    text: Option<String>,
    html: Option<String>,
    attachments: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// Writes the message as a document.
    ///
    /// The plain body is preferred unless it only stands in for the HTML one ("your program cannot show
    /// this mail"): then it is much shorter.
    fn write(self, media: MediaType, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
        let mut builder = Builder::new(limits);
        let fields = [
            ("From", &self.from),
            ("To", &self.to),
            ("Cc", &self.cc),
            ("Date", &self.date),
            ("Subject", &self.subject),
        ];
        let head: Vec<String> = fields
            .into_iter()
            .filter_map(|(name, value)| {
                Some(format!("{name}: {}", value.as_deref().filter(|value| !value.is_empty())?))
            })
            .collect();
        builder.block(BlockKind::Paragraph, &head.join("\n"));
        let text = self.text.filter(|text| !text.trim().is_empty());
        let markup = self.html.filter(|markup| !markup.trim().is_empty());
        match (text, markup) {
            (Some(text), Some(markup)) if text.len() * 20 >= markup.len() || text.len() > 2000 => {
                quote::body(&mut builder, &text);
            }
            (_, Some(markup)) => html::page(&mut builder, &markup)?,
            (Some(text), None) => quote::body(&mut builder, &text),
            (None, None) => {}
        }
        builder.metadata.title = self.subject;
        builder.metadata.author = self.from;
        builder.metadata.created = self.date;
        let mut total = 0_u64;
        for (name, bytes) in self.attachments {
            total += bytes.len() as u64;
            if builder.children.len() as u64 >= limits.children || total > limits.inflated_bytes {
                return Err(ExtractError::limit("attachments", limits.children));
            }
            push_child(&mut builder.children, &name, bytes);
        }
        if builder.is_empty() && builder.children.is_empty() {
            return Err(ExtractError::Empty);
        }
        builder.finish(media)
    }
}
