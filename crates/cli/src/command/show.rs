//! `fontes show`: a document's stored text and metadata, or a picture of a page with a cited place marked.

use std::path::Path;

use fontes_core::{BBox, Cancel, Digest, Document, DocumentSummary, Error, Ledger as _};
use fontes_extract::{ExtractError, Picture, WorkerPool, typeset};
use serde_json::json;

use crate::{
    args,
    config::Config,
    output::{Outcome, Voice, printable},
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
    if let Some(file) = &arguments.png {
        return picture(config, voice, arguments, (&summary, &document), file);
    }
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
    voice.line(&voice.style("1", &printable(&summary.title)))?;
    let facts = format!(
        "{} · {} · {} · {} pages · revision {}",
        summary.path, summary.media_type, summary.language, summary.pages, summary.revision
    );
    voice.line(&voice.style("2", &printable(&facts)))?;
    for (page, text) in pages {
        voice.line(&voice.style("2", &format!("\n— page {} —", page.number)))?;
        voice.text(text)?;
    }
    Ok(Outcome::Done)
}

/// Dots per inch of a page picture: sharp on a screen, a few hundred kilobytes.
const PICTURE_DPI: u32 = 144;

/// Draws one page. The original is drawn if it is still what was read; else the stored text is set in type.
fn picture(
    config: &Config,
    voice: Voice,
    arguments: &args::Show,
    (summary, document): (&DocumentSummary, &Document),
    file: &Path,
) -> anyhow::Result<Outcome> {
    if let Some(span) = arguments.span.filter(|span| span.end > document.text.len()) {
        let what = format!("the stored text has no bytes {}..{}", span.start, span.end);
        return Err(Error::not_found(what).advise(format!("it has {} bytes", document.text.len())).into());
    }
    let cited = arguments.span.map(|span| document.pages_of(&span)).unwrap_or_default();
    let page = arguments.page.or_else(|| cited.first().copied()).unwrap_or(1);
    if let (Some(first), Some(last), false) = (cited.first(), cited.last(), cited.contains(&page)) {
        let advice = format!("it is on pages {first} to {last}; leave --page away");
        return Err(Error::not_found(format!("the span is not on page {page}")).advise(advice).into());
    }
    if page == 0 || page as usize > document.pages.len() {
        let advice = format!("it has pages 1 to {}", document.pages.len());
        return Err(Error::not_found("the document has no such page").advise(advice).into());
    }
    let pool = wiring::workers(config)?;
    let mut marks: Vec<BBox> = arguments.span.map(|span| document.boxes_of(&span)).unwrap_or_default();
    marks.retain(|mark| mark.page == page);
    let original = original(&pool, summary).and_then(|bytes| {
        drawn(&pool, &bytes, page).map_err(|error| match error {
            ExtractError::Unsupported { media_type } => format!("files of type {media_type} are not drawn"),
            error => error.to_string(),
        })
    });
    let (mut picture, source) = match original {
        Ok(picture) => (picture, "original"),
        Err(reason) => {
            voice.remark(&format!("showing the stored text: {reason}"));
            let sheet = typeset(document, page, arguments.span);
            marks = sheet.boxes;
            (drawn(&pool, &sheet.pdf, 1)?, "text")
        }
    };
    picture.mark(&marks);
    std::fs::write(file, picture.png()?).map_err(|error| {
        Error::unavailable(format!("{} cannot be written", file.display()))
            .advise("name a file in a folder that exists and that you may write to")
            .because(error)
    })?;
    if voice.json {
        voice.object(&json!({
            "document": summary, "pages": [{ "number": page, "span": document.pages[page as usize - 1].span }],
            "page": page, "png": file, "width": picture.width, "height": picture.height,
            "dpi": picture.dpi, "source": source, "boxes": marks,
        }))?;
    } else {
        voice.line(&format!("page {page} of {} → {}", summary.title, file.display()))?;
    }
    Ok(Outcome::Done)
}

fn drawn(pool: &WorkerPool, bytes: &[u8], page: u32) -> Result<Picture, ExtractError> {
    let mut pictures = pool.draw(bytes, "", &[page], PICTURE_DPI, &Cancel::default())?;
    pictures.pop().ok_or_else(|| ExtractError::Internal { what: "no picture came back".into() })
}

/// The bytes that the document was read from, if they are still there and the same; else why not.
fn original(pool: &WorkerPool, summary: &DocumentSummary) -> Result<Vec<u8>, String> {
    let (path, inside) = summary.path.split_once("!/").unwrap_or((&summary.path, ""));
    let bytes = std::fs::read(path).map_err(|_| "the original is no longer there")?;
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let found = pool.inside(&bytes, &name, inside, &Cancel::default()).map_err(|error| error.to_string())?;
    let bytes = found.ok_or("the original is no longer in its container")?;
    if Digest::of(&bytes) == summary.sha256 {
        Ok(bytes)
    } else {
        Err("the original has changed since it was read".into())
    }
}
