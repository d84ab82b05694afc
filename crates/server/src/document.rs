//! `GET /v1/documents/{id}?page=N`: stored text and metadata, the shape of `fontes show --json`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use fontes_core::{Document, DocumentId, DocumentSummary, Error, Page, Span};
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, site::Site};

/// Which part is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    page: Option<u32>,
}

/// A page with its text.
#[derive(Serialize)]
pub struct PageText {
    number: u32,
    span: Span,
    text: String,
}

impl PageText {
    fn of(page: &Page, document: &Document) -> Self {
        let text = page.span.of(&document.text).unwrap_or_default().to_owned();
        Self { number: page.number, span: page.span, text }
    }
}

/// The reply.
#[derive(Serialize)]
pub struct DocumentReply {
    document: DocumentSummary,
    pages: Vec<PageText>,
}

/// Gives a document as the default principal may see it. A malformed id is as unknown as an unknown one.
pub async fn document(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<DocumentReply>, Failure> {
    let id: DocumentId = id.parse().map_err(|_malformed| Error::not_found("no such document"))?;
    let (summary, document) = site.work(move |site| site.ledger().document(id, &site.scope()?)).await?;
    let pages: Vec<PageText> = document
        .pages
        .iter()
        .filter(|page| wanted.page.is_none_or(|number| number == page.number))
        .map(|page| PageText::of(page, &document))
        .collect();
    if pages.is_empty() {
        let advice = format!("it has pages 1 to {}", document.pages.len());
        return Err(Error::not_found("the document has no such page").advise(advice).into());
    }
    Ok(Json(DocumentReply { document: summary, pages }))
}
