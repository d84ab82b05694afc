//! Pointing: which part of a quoted sentence is the answer, so that a reader's eye finds it.
//!
//! A reader model tells it of sentences. Of a row of a table the names of the columns tell it better. Better no part than a wrong
//! one: where the question denies something and the sentence does not, what a reader sees is what is not denied.

use std::collections::HashSet;

use fontes_core::{Language, Span};

use crate::{
    asked::{Asked, asked, names_price},
    lexicon,
    source::Source,
    table::cells,
    words::{content_stems, found, raw, words},
};

/// What a cell of the kind that is asked for is worth beside one word of the question in the name of its column.
const KIND: f32 = 0.1;

/// A question, as far as it tells where in a sentence its answer stands.
pub(crate) struct Pointing {
    stems: HashSet<String>,
    kind: Asked,
    denies: bool,
}

impl Pointing {
    /// What `question` tells.
    pub(crate) fn of(question: &str, language: Language) -> Self {
        Self { stems: content_stems(question), kind: asked(question), denies: denies(question, language) }
    }

    /// The part of the sentence `span` that answers; a reader has `seen` it.
    pub(crate) fn at(&self, source: &Source, span: Span, seen: Option<Span>) -> Option<Span> {
        if self.denies && !denies(source.text(span), source.language()) {
            return None;
        }
        let seen = seen.and_then(|seen| source.core_of(seen));
        let Some(head) = source.table_head(span) else { return seen };
        let best = self.best_cells(source.text(head), source.text(span), source.language());
        let mut best = best.into_iter().map(|cell| Span::new(span.start + cell.start, span.start + cell.end));
        match (best.next(), best.next()) {
            (Some(only), None) => Some(only),
            (first, second) => {
                let mut among = [first, second].into_iter().flatten().chain(best);
                seen.filter(|seen| among.any(|cell| cell.start <= seen.start && seen.end <= cell.end))
            }
        }
    }

    /// The cells of `row` whose columns fit the question best. One that holds nothing but words of the question says which row
    /// it is.
    fn best_cells(&self, head: &str, row: &str, language: Language) -> Vec<Span> {
        let fit = |(name, cell): (Span, Span)| {
            let (name, text) = (name.of(head)?, cell.of(row)?);
            let own = content_stems(text);
            let is_key = !own.is_empty() && own.iter().all(|stem| found(stem, &self.stems) > 0.0);
            (!text.is_empty() && !is_key).then(|| (cell, self.fit(name, text, language)))
        };
        let fits: Vec<(Span, f32)> = cells(head).zip(cells(row)).filter_map(fit).collect();
        let best = fits.iter().map(|(_, fit)| *fit).fold(0.0, f32::max);
        fits.into_iter().filter(|(_, fit)| *fit >= best).map(|(cell, _)| cell).collect()
    }

    fn fit(&self, name: &str, cell: &str, language: Language) -> f32 {
        let names = content_stems(name);
        let mut stems: Vec<f32> = self.stems.iter().map(|stem| found(stem, &names)).collect();
        stems.sort_by(f32::total_cmp);
        let of_kind = self.kind.is_in(cell, language, &words(cell), &self.stems) == Some(true);
        let price = self.kind == Asked::Price && names_price(name);
        stems.iter().sum::<f32>() + KIND * f32::from(u8::from(of_kind)) + f32::from(u8::from(price))
    }
}

/// Says whether a text denies something.
fn denies(text: &str, language: Language) -> bool {
    words(text).iter().any(|word| lexicon::is_negation(&raw(text, word).to_lowercase(), language))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'r>(question: &str, head: &str, row: &'r str) -> Vec<&'r str> {
        let language = Language::detect(question);
        let best = Pointing::of(question, language).best_cells(head, row, language);
        best.into_iter().map(|cell| cell.of(row).unwrap()).collect()
    }

    #[test]
    fn the_column_that_is_asked_for_is_pointed_at() {
        let head = "Wirkstoff\tDosis\tIntervall\tInfusionsdauer\tMaximale Tagesdosis";
        let row = "Pipravel\t4,5 g\talle 6 Stunden\t4 Stunden\t18 g";
        assert_eq!(best("In welchem Intervall gibt man Pipravel?", head, row), ["alle 6 Stunden"]);
        assert_eq!(best("Wie hoch ist die maximale Tagesdosis von Pipravel?", head, row), ["18 g"]);
        let head = "Article\tPrix personnel CHF\tPrix visiteurs CHF\tPrix apprentis CHF";
        let row = "Menu du jour\t11.50\t16.80\t8.00";
        assert_eq!(best("Quel est le prix du menu du jour pour les apprentis ?", head, row), ["8.00"]);
        assert_eq!(best("Quel est le prix du menu du jour ?", head, row).len(), 3, "any of them");
        let head = "Artikel\tPackung\tLieferant\tPreis CHF";
        assert_eq!(best("Was kostet die Maske Typ 2?", head, "Maske Typ 2\t50 Stück\tProtecta\t12.60"), ["12.60"]);
    }

    #[test]
    fn a_denial_is_known() {
        assert!(Pointing::of("What must not be used?", Language::English).denies);
        assert!(!Pointing::of("What must be used?", Language::English).denies);
    }
}
