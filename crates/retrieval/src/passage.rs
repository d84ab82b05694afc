//! Passages, not chunks: neighbours joined, what only repeats a better one named there, numbered for citation.

use std::{collections::HashMap, sync::Arc};

use fontes_core::{AccessScope, Document, DocumentId, Error, ErrorKind, Hit, Ledger, Passage, Result};
use serde::{Deserialize, Serialize};

use crate::{
    diversity::diversified,
    duplicate::{Distinct, Wording},
};

/// How hits become passages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassageOptions {
    /// At most this many passages. A small model is confused by more than a handful.
    pub limit: usize,
    /// Joined neighbours grow at most to this many bytes, so that one document cannot fill a prompt.
    pub max_bytes: usize,
    /// Neighbours whose gap is at most this many bytes are joined, the gap included.
    pub max_gap: usize,
    /// How much a passage that resembles a better one steps back, 0..=1; 0 for not at all.
    pub diversity: f32,
}

impl Default for PassageOptions {
    fn default() -> Self {
        Self { limit: 8, max_bytes: 4_000, max_gap: 4, diversity: 0.0 }
    }
}

/// Makes passages of `hits` (best first): chunks of one document that touch, overlap or almost touch become
/// one, what says nothing more than a better passage is named there, the rest is numbered from 1 in the order of its
/// best hit, or of marginal relevance where diversity is wanted.
///
/// Every passage is an exact span of its document's stored text. A hit whose document has disappeared since
/// the search is not joined with anything.
///
/// # Errors
/// Whatever the ledger gives, except "not found".
pub fn passages(
    hits: &[Hit],
    ledger: &dyn Ledger,
    scope: &AccessScope,
    options: &PassageOptions,
) -> Result<Vec<Passage>> {
    let mut texts = Texts { ledger, scope, documents: HashMap::new() };
    let mut joined: Vec<Hit> = Vec::new();
    for hit in hits {
        absorb(&mut joined, hit.clone(), &mut texts, options)?;
    }
    let mut distinct = Distinct::new();
    let joined = diversified(joined.into_iter().map(|hit| (hit, ())).collect(), options.diversity);
    for (hit, ()) in joined {
        let wording = Wording::of(&hit.text, &hit.headings);
        if let Some(hit) = distinct.fold(hit, &wording)
            && distinct.len() < options.limit
        {
            distinct.keep(hit, wording, ());
        }
    }
    Ok(distinct.into_hits().zip(1..).map(|((hit, ()), marker)| Passage { marker, hit }).collect())
}

/// Joins `hit` with every passage that it, or the union so far, touches.
fn absorb(joined: &mut Vec<Hit>, mut hit: Hit, texts: &mut Texts<'_>, options: &PassageOptions) -> Result<()> {
    while let Some(at) = joined.iter().position(|kept| touches(kept, &hit, options)) {
        let Some(document) = texts.document(hit.document_id)? else { return Ok(()) };
        let union = joined[at].span.cover(&hit.span);
        let Some(text) = union.of(&document.text) else { return Ok(()) };
        let kept = joined.remove(at);
        let (mut better, lesser) = if kept.rank <= hit.rank { (kept, hit) } else { (hit, kept) };
        better.also_in.extend(lesser.also_in);
        hit = Hit { span: union, pages: document.pages_of(&union), text: text.to_owned(), ..better };
    }
    let at = joined.partition_point(|kept| kept.rank < hit.rank);
    joined.insert(at, hit);
    Ok(())
}

fn touches(kept: &Hit, hit: &Hit, options: &PassageOptions) -> bool {
    let union = kept.span.cover(&hit.span);
    let gap = union.len().saturating_sub(kept.span.len() + hit.span.len());
    kept.document_id == hit.document_id && gap <= options.max_gap && union.len() <= options.max_bytes
}

/// Documents read at most once per question.
struct Texts<'a> {
    ledger: &'a dyn Ledger,
    scope: &'a AccessScope,
    documents: HashMap<DocumentId, Option<Arc<Document>>>,
}

impl Texts<'_> {
    fn document(&mut self, id: DocumentId) -> Result<Option<Arc<Document>>> {
        if let Some(known) = self.documents.get(&id) {
            return Ok(known.clone());
        }
        let found = match self.ledger.document(id, self.scope) {
            Ok((_, document)) => Some(Arc::new(document)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err::<_, Error>(error),
        };
        self.documents.insert(id, found.clone());
        Ok(found)
    }
}

#[cfg(test)]
#[path = "passage_tests.rs"]
mod tests;
