//! Clinical exchange formats: FHIR R4 (JSON), C-CDA (XML), HL7 version 2 (pipes).
//!
//! They hold coded data around little prose. What is stored is what a clinician would read: who, what,
//! when, the values, and every note; codes, identifiers and billing stay out.

mod ccda;
mod fhir;
mod hl7;

pub(crate) use ccda::blocks as ccda_blocks;
pub(crate) use fhir::parse as parse_fhir;
pub(crate) use hl7::parse as parse_hl7;

use std::collections::BTreeSet;

/// The patients that a file speaks of.
#[derive(Default)]
struct Patients {
    seen: BTreeSet<String>,
    names: Vec<String>,
}

impl Patients {
    /// Takes one by the number that tells it from others, which may be missing, and its other numbers and names.
    fn add(&mut self, number: &str, names: impl IntoIterator<Item = String>) {
        let all = std::iter::once(number.to_owned()).chain(names);
        let all: Vec<String> = all.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if let Some(first) = all.first() {
            self.seen.insert(first.clone());
            self.names.extend(all.into_iter().filter(|name| !self.names.contains(name)).collect::<Vec<_>>());
        }
    }

    /// Numbers and names of the only one; nothing where there are several.
    fn only(self) -> Vec<String> {
        if self.seen.len() == 1 { self.names } else { Vec::new() }
    }
}
