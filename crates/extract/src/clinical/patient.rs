//! Whom a file is about. A search for one patient must never bring another's record, so whatever cannot be told apart makes
//! the file one of several, which is found for none.

use fontes_core::{PatientLabel, folded};

use crate::clean::{Hidden, clean, collapse};

/// Most names and numbers of a patient; each is copied to every chunk of the record.
const MOST_NAMES: usize = 8;

/// Most characters of one of them.
const LONGEST_NAME: usize = 120;

/// Who gives numbers that have no business in an index: the social insurances of the USA and of Switzerland.
pub(super) const INSURANCE: [&str; 3] = ["2.16.840.1.113883.4.1", "2.16.756.5.32", "us-ssn"];

/// A patient as messages and documents name one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patient {
    /// Who gave the number.
    pub(super) authority: String,
    pub(super) number: String,
    pub(super) name: String,
}

/// Collects the patients of a file.
#[derive(Debug, Default)]
pub(super) struct Patients {
    only: Option<Patient>,
    mixed: bool,
    nameless: bool,
}

impl Patients {
    /// Takes one. Another number, another authority or another name is another patient, and so is, without a number, one of
    /// the same name.
    pub(super) fn add(&mut self, patient: Patient) {
        let [authority, number, name] = [&patient.authority, &patient.number, &patient.name].map(|text| tidy(text));
        if number.is_empty() && name.is_empty() {
            self.nameless = true;
            return;
        }
        let patient = Patient { authority, number, name };
        match &self.only {
            None => self.only = Some(patient),
            Some(only) => {
                let same = !only.number.is_empty()
                    && only.authority == patient.authority
                    && only.number == patient.number
                    && folded(&only.name) == folded(&patient.name);
                self.mixed |= !same;
            }
        }
    }

    /// Takes something said of nobody who is named.
    pub(super) fn add_nameless(&mut self) {
        self.nameless = true;
    }

    /// What the file is labelled with.
    pub(super) fn label(self) -> PatientLabel {
        match self.only {
            None => PatientLabel::Unsaid,
            Some(_) if self.mixed || self.nameless => PatientLabel::Several,
            Some(only) => label([only.number, only.name]),
        }
    }
}

/// The label of one patient with these names and numbers; nothing is said when all are empty.
pub(super) fn label(names: impl IntoIterator<Item = String>) -> PatientLabel {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        let name = tidy(&name);
        if !name.is_empty() && !kept.contains(&name) && kept.len() < MOST_NAMES {
            kept.push(name);
        }
    }
    if kept.is_empty() { PatientLabel::Unsaid } else { PatientLabel::One(kept) }
}

/// A name without what cannot be seen or typed; `""` is how HL7 version 2 writes nothing.
fn tidy(name: &str) -> String {
    let text = collapse(&clean(name, &mut Hidden::default()));
    if text == "\"\"" { String::new() } else { text.chars().take(LONGEST_NAME).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patients: &[[&str; 3]]) -> PatientLabel {
        let mut all = Patients::default();
        for [authority, number, name] in patients.iter().map(|patient| patient.map(str::to_owned)) {
            all.add(Patient { authority, number, name });
        }
        all.label()
    }

    #[test]
    fn what_cannot_be_told_apart_is_of_several() {
        let eva = PatientLabel::One(vec!["42".into(), "Eva Muster".into()]);
        assert_eq!(of(&[["A", "42", "Eva Muster"], ["A", "42", "EVA  Muster"]]), eva);
        for second in [["B", "42", "Eva Muster"], ["A", "42", "Ida Muster"], ["A", "43", "Eva Muster"], ["A", "", ""]] {
            assert_eq!(of(&[["A", "42", "Eva Muster"], second]), PatientLabel::Several, "{second:?}");
        }
        assert_eq!(of(&[["A", "", "Eva Muster"], ["A", "", "Eva Muster"]]), PatientLabel::Several);
        assert_eq!(of(&[["A", "\"\"", ""]]), PatientLabel::Unsaid);
        assert_eq!(of(&[["", "", "E\u{200b}va\nMuster"]]), PatientLabel::One(vec!["Eva Muster".into()]));
    }
}
