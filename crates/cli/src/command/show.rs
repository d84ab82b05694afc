//! `fontes show`: a document's stored text and metadata.

use fontes_core::{Error, Ledger as _};
use serde_json::json;

use crate::{
    args,
    config::Config,
    output::{Outcome, Voice},
    wiring,
};

/// Runs the command.
pub fn run(config: &Config, voice: Voice, arguments: &args::Show) -> anyhow::Result<Outcome> {
    let scope = config.access.scope(arguments.principal.as_deref())?;
    let ledger = wiring::ledger(config)?;
    let (summary, document) = match arguments.as_of {
        None => ledger.document(arguments.document, &scope)?,
        Some(at) => ledger.document_as_of(arguments.document, at, &scope)?,
    };
    let pages: Vec<_> = document
        .pages
        .iter()
        .filter(|page| arguments.page.is_none_or(|number| number == page.number))
        .map(|page| (page, page.span.of(&document.text).unwrap_or_default()))
        .collect();
    if pages.is_empty() {
        let advice = format!("it has pages 1 to {}", document.pages.len());
        return Err(Error::not_found("the document has no such page").advise(advice).into());
    }
    if voice.json {
        let pages: Vec<_> = pages
            .iter()
            .map(|(page, text)| {
                json!({ "number": page.number, "span": page.span, "size": page.size, "method": page.method, "text": text })
            })
            .collect();
        voice.object(&json!({ "document": summary, "metadata": document.metadata, "pages": pages }))?;
        return Ok(Outcome::Done);
    }
    voice.line(&voice.style("1", &summary.title))?;
    let facts = format!(
        "{} · {} · {} · {} pages · revision {}",
        summary.path, summary.media_type, summary.language, summary.pages, summary.revision
    );
    voice.line(&voice.style("2", &facts))?;
    for (page, text) in pages {
        voice.line(&voice.style("2", &format!("\n— page {} —", page.number)))?;
        voice.text(text)?;
    }
    Ok(Outcome::Done)
}
