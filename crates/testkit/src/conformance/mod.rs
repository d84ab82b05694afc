//! The contracts of the index seams, written as checks that panic. Run each on every implementation.

mod lexical;
mod tokens;
mod vector;

use fontes_core::{AccessScope, ChunkId, Classification, Filter, Language};

use crate::{Specimen, scope};

pub use lexical::lexical_index;
pub use tokens::token_store;
pub use vector::{recall_at_10, vector_index};

fn staff() -> AccessScope {
    scope(&["staff"], Classification::Internal)
}

fn sorted<'s>(specimens: impl IntoIterator<Item = &'s Specimen>) -> Vec<ChunkId> {
    let mut ids: Vec<ChunkId> = specimens.into_iter().map(Specimen::id).collect();
    ids.sort();
    ids
}

fn filter(conditions: &[&str]) -> Filter {
    let mut filter = Filter::default();
    for condition in conditions {
        filter.add(condition).expect("the condition is well formed");
    }
    filter
}

/// Gives six chunks the labels that [`filters_are_kept`] tells apart; the last is of another document.
fn variously_labelled(own: [Specimen; 5], other: Specimen) -> [Specimen; 6] {
    let mail = |specimen: Specimen| specimen.source("mails").media_type("message/rfc822");
    let [plain, french, mailed, french_mail, board] = own;
    [
        plain,
        french.language(Language::French),
        mail(mailed),
        mail(french_mail).language(Language::French),
        mail(board).language(Language::Italian).groups(&["board"]),
        other
            .language(Language::French)
            .written("Anna Muster", "2024-05-17T08:30:00Z")
            .patient(&["Eva Beispiel", "P-4711"])
            .groups(&["board", "staff"]),
    ]
}

/// Checks what each filter lets through of [`variously_labelled`] chunks, for staff; `found` searches for all of them.
fn filters_are_kept(specimens: &[Specimen; 6], found: impl Fn(&Filter) -> Vec<ChunkId>) {
    let document = format!("document_id={}", specimens[5].document.id);
    let cases: [(&[&str], &[usize]); 25] = [
        (&[], &[0, 1, 2, 3, 5]),
        (&["language=fr"], &[1, 3, 5]),
        (&["language=fr", "language=de"], &[0, 1, 2, 3, 5]),
        (&["language=it"], &[]),
        (&["source=mails"], &[2, 3]),
        (&["source=mails", "language=fr"], &[3]),
        (&["media_type=message/rfc822"], &[2, 3]),
        (&[&document], &[5]),
        (&["source=mail"], &[]),
        (&["author=anna muster"], &[5]),
        (&["author=Anna"], &[]),
        (&["patient=eva  BEISPIEL"], &[5]),
        (&["patient=p-4711", "patient=unknown"], &[5]),
        (&["patient=Beispiel"], &[]),
        (&["date=2024-05"], &[5]),
        (&["date=2023", "date=2024-05-17..2024-05-18"], &[5]),
        (&["date=..2024-05-16"], &[]),
        // What has no date was there all along.
        (&["as_of=2024-05-16"], &[0, 1, 2, 3]),
        (&["as_of=2024-05-17"], &[0, 1, 2, 3, 5]),
        (&["as_of=2023", "source=mails"], &[2, 3]),
        (&["group=staff"], &[0, 1, 2, 3, 5]),
        // The asker is not of the board, and is not told who is.
        (&["group=board"], &[]),
        (&["classification=internal", "language=fr"], &[1, 3, 5]),
        (&["classification=public"], &[]),
        (&["classification=secret"], &[]),
    ];
    for (conditions, expected) in cases {
        let mut found = found(&filter(conditions));
        found.sort();
        assert_eq!(found, sorted(expected.iter().map(|&at| &specimens[at])), "{conditions:?}");
    }
}
