//! Whom FHIR resources are about: the one Patient among them, and every reference to patients.
//!
//! Patients stand in a bundle, inside other resources, or elsewhere; they are referred to by relative and absolute
//! addresses, by the address of a bundle's entry, by fragment, by a search, or by identifier alone
//! (<https://hl7.org/fhir/R4/references.html>). All of them must mean the same patient.

use std::collections::BTreeSet;

use fontes_core::{PatientLabel, folded};
use serde_json::Value;

use super::{
    fhir::person,
    patient::{INSURANCE, label},
};

/// Fields that say whom a resource is about, wherever they point.
const ABOUT: [&str; 4] = ["subject", "patient", "for", "beneficiary"];

/// A Patient resource.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Known<'a> {
    id: &'a str,
    /// The address of its entry.
    address: &'a str,
    identifiers: BTreeSet<&'a str>,
    /// Record numbers among the identifiers: those of social insurance, for example, have no business in an index.
    records: Vec<&'a str>,
    name: Option<String>,
}

/// What the resources say of patients.
#[derive(Default)]
struct Found<'a> {
    patients: BTreeSet<Known<'a>>,
    /// Addresses of entries that are something else.
    others: BTreeSet<&'a str>,
    /// Of references to patients: the address, and the name shown beside it.
    references: BTreeSet<(&'a str, Option<&'a str>)>,
    /// Identifiers that stand for a reference: who gives them, and the value.
    logical: BTreeSet<(&'a str, &'a str)>,
    /// Names that stand for one.
    shown: BTreeSet<&'a str>,
}

/// The label of a resource or bundle.
pub(super) fn patient(root: &Value) -> PatientLabel {
    let mut found = Found::default();
    found.visit(root, "", "");
    let Found { patients, others, references, logical, shown } = found;
    let references: Vec<_> = references.into_iter().filter(|(address, _)| !others.contains(address)).collect();
    let mut known = patients.into_iter();
    match (known.next(), known.next()) {
        (Some(_), Some(_)) => PatientLabel::Several,
        (Some(one), None) => {
            let all = references.iter().all(|(address, _)| one.is_meant_by(address))
                && logical.iter().all(|(_, value)| one.identifiers.contains(value))
                && shown.iter().all(|name| one.name.as_deref().is_some_and(|own| folded(own) == folded(name)));
            if !all {
                return PatientLabel::Several;
            }
            let names = std::iter::once(one.id).chain(one.records.iter().copied()).map(str::to_owned);
            label(names.chain(one.name))
        }
        (None, _) => {
            let places: BTreeSet<&str> = references.iter().map(|(address, _)| *address).collect();
            let named = || references.iter().filter_map(|(_, name)| *name);
            if !shown.iter().all(|name| named().any(|other| folded(other) == folded(name)))
                && places.len() + logical.len() > 0
            {
                return PatientLabel::Several;
            }
            let place = match (places.first(), logical.first()) {
                (Some(place), None) if places.len() == 1 => place,
                (None, Some((system, value))) if logical.len() == 1 => {
                    if INSURANCE.iter().any(|insurance| system.contains(insurance)) {
                        return PatientLabel::Unsaid;
                    }
                    value
                }
                (None, None) => return PatientLabel::Unsaid,
                _ => return PatientLabel::Several,
            };
            let number = place.rsplit(['/', ':']).next().unwrap_or_default();
            label(std::iter::once(number).chain(named()).map(str::to_owned))
        }
    }
}

impl Known<'_> {
    fn is_meant_by(&self, reference: &str) -> bool {
        if reference == self.address {
            return true;
        }
        match reference.rsplit_once('/') {
            // An absolute address must be that of the entry, where that has one.
            Some((kind, id)) => id == self.id && (kind == "Patient" || !self.address.contains('/')),
            None => reference.strip_prefix('#').is_some_and(|id| id == self.id),
        }
    }
}

impl<'a> Found<'a> {
    /// Looks at a value under the field `field`, in an entry with the address `address`, and at everything inside it.
    fn visit(&mut self, value: &'a Value, field: &str, address: &'a str) {
        let Value::Object(fields) = value else {
            value.as_array().into_iter().flatten().for_each(|item| self.visit(item, field, address));
            return;
        };
        let address = value["fullUrl"].as_str().unwrap_or(address);
        match value["resourceType"].as_str() {
            Some("Patient") => self.add(value, address),
            // What is contained has the address of what contains it, which is something else.
            Some(kind) if kind != "Bundle" && field == "resource" => _ = self.others.insert(address),
            _ => {}
        }
        let about = ABOUT.contains(&field) || value["type"] == "Patient";
        if let Some(reference) = value["reference"].as_str() {
            self.refer(reference, value["display"].as_str(), about);
        } else if about {
            let identifier = &value["identifier"];
            match (identifier["value"].as_str(), value["display"].as_str()) {
                (Some(number), _) => {
                    _ = self.logical.insert((identifier["system"].as_str().unwrap_or_default(), number))
                }
                (None, Some(name)) => _ = self.shown.insert(name),
                (None, None) => {}
            }
        }
        for (name, inner) in fields {
            let address = if field == "resource" && name == "contained" { "" } else { address };
            self.visit(inner, name, address);
        }
    }

    fn add(&mut self, patient: &'a Value, address: &'a str) {
        let is_record = |identifier: &Value| {
            identifier["type"]["coding"].as_array().into_iter().flatten().any(|coding| coding["code"] == "MR")
        };
        let identifiers = || patient["identifier"].as_array().into_iter().flatten();
        let values = identifiers().filter_map(|identifier| identifier["value"].as_str()).collect();
        let records = identifiers().filter(|identifier| is_record(identifier));
        self.patients.insert(Known {
            id: patient["id"].as_str().unwrap_or_default(),
            address,
            identifiers: values,
            records: records.filter_map(|identifier| identifier["value"].as_str()).collect(),
            name: person(patient),
        });
    }

    fn refer(&mut self, reference: &'a str, name: Option<&'a str>, about: bool) {
        let plain = reference.split("/_history/").next().unwrap_or_default();
        if let Some((kind, search)) = plain.split_once('?') {
            // A search that names an identifier.
            if kind.ends_with("Patient") {
                self.logical.insert(("", search.rsplit(['|', '=']).next().unwrap_or_default()));
            }
            return;
        }
        let kind = plain.rsplit_once('/').map(|(before, _)| before.rsplit('/').next().unwrap_or_default());
        let to_patient = match kind {
            Some(kind) => kind == "Patient",
            // By fragment or by the address of an entry: what it is, only the field says.
            None => about,
        };
        if to_patient {
            self.references.insert((plain, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVA: &str = r#"{"resourceType":"Patient","id":"p1","name":[{"given":["Eva"],"family":"Muster"}],"identifier":[
        {"type":{"coding":[{"code":"MR"}]},"value":"4711"},{"type":{"coding":[{"code":"SS"}]},"value":"756.1"}]}"#;

    fn seen(fields: Value) -> Value {
        let mut resource = json!({ "resourceType": "Condition", "code": { "text": "Asthma" } });
        resource.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        resource
    }

    /// The label of a bundle of Eva at an address, and others.
    fn beside_eva(address: &str, others: &[Value]) -> PatientLabel {
        let eva: Value = serde_json::from_str(EVA).unwrap();
        let mut entries = vec![json!({ "fullUrl": address, "resource": eva })];
        entries.extend(others.iter().map(|other| json!({ "fullUrl": "urn:uuid:other", "resource": other })));
        patient(&json!({ "resourceType": "Bundle", "entry": entries }))
    }

    fn one(names: &[&str]) -> PatientLabel {
        PatientLabel::One(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn every_way_to_refer_to_the_one_patient_is_understood() {
        for (address, fields) in [
            ("", json!({ "subject": { "reference": "Patient/p1" } })),
            ("", json!({ "subject": { "reference": "Patient/p1/_history/3", "display": "E. Muster" } })),
            ("", json!({ "subject": { "reference": "https://h/fhir/Patient/p1" } })),
            ("https://h/fhir/Patient/p1", json!({ "patient": { "reference": "https://h/fhir/Patient/p1" } })),
            ("urn:uuid:aa", json!({ "subject": { "reference": "urn:uuid:aa" } })),
            ("urn:uuid:aa", json!({ "subject": { "identifier": { "value": "756.1" } } })),
            ("urn:uuid:aa", json!({ "for": { "reference": "Patient?identifier=x|4711" } })),
            (
                "urn:uuid:aa",
                json!({ "recorder": { "reference": "Practitioner/p9" }, "encounter": { "reference": "urn:uuid:nowhere" } }),
            ),
            ("urn:uuid:aa", json!({ "subject": { "reference": "urn:uuid:other" } })),
            ("urn:uuid:aa", json!({ "subject": { "reference": "Group/g" } })),
            ("urn:uuid:aa", json!({ "subject": { "display": "eva muster" } })),
        ] {
            assert_eq!(beside_eva(address, &[seen(fields.clone())]), one(&["p1", "4711", "Eva Muster"]), "{fields}");
        }
        let without_id = json!({ "resourceType": "Bundle", "entry": [
            { "fullUrl": "urn:uuid:aa", "resource": { "resourceType": "Patient", "name": [{ "family": "Muster" }] } },
            { "resource": seen(json!({ "subject": { "reference": "urn:uuid:aa" } })) }] });
        assert_eq!(patient(&without_id), one(&["Muster"]));
    }

    #[test]
    fn another_patient_anywhere_makes_it_nobodys() {
        let ida = json!({ "resourceType": "Patient", "id": "p2", "name": [{ "family": "Zweite" }] });
        for fields in [
            json!({ "subject": { "reference": "Patient/p2" } }),
            json!({ "subject": { "reference": "https://other/fhir/Patient/p1" } }),
            json!({ "subject": { "reference": "urn:uuid:nowhere" } }),
            json!({ "subject": { "reference": "#p2" }, "contained": [ida] }),
            json!({ "contained": [ida] }),
            json!({ "subject": { "identifier": { "value": "4712" } } }),
            json!({ "for": { "reference": "Patient?identifier=x|4712" } }),
            json!({ "subject": { "display": "Ida Zweite" } }),
            json!({ "participant": [{ "actor": { "type": "Patient", "identifier": { "value": "4712" } } }] }),
            json!({ "participant": [{ "actor": { "reference": "Patient/p2" } }] }),
            json!({ "subject": [{ "reference": "Patient/p1" }, { "reference": "Patient/p2" }] }),
            json!({ "member": [{ "entity": { "reference": "Patient/p2" } }] }),
        ] {
            assert_eq!(
                beside_eva("https://h/fhir/Patient/p1", &[seen(fields.clone())]),
                PatientLabel::Several,
                "{fields}"
            );
        }
        assert_eq!(beside_eva("", &[ida]), PatientLabel::Several);
    }

    #[test]
    fn resources_by_themselves_go_by_their_references() {
        let about = |reference: &str| json!({ "subject": { "reference": reference, "display": "Ida Zweite" } });
        assert_eq!(patient(&seen(about("Patient/p2"))), one(&["p2", "Ida Zweite"]));
        assert_eq!(patient(&seen(about("urn:uuid:p2"))), one(&["p2", "Ida Zweite"]));
        assert_eq!(patient(&seen(json!({ "subject": { "identifier": { "value": "4712" } } }))), one(&["4712"]));
        assert_eq!(patient(&seen(about("Group/g"))), PatientLabel::Unsaid);
        let insured = json!({ "subject": { "identifier": { "system": "urn:oid:2.16.756.5.32", "value": "756.1" } } });
        assert_eq!(patient(&seen(insured)), PatientLabel::Unsaid);
        let shown = json!({ "resourceType": "Bundle", "entry": [{ "resource": seen(about("Patient/1")) },
            { "resource": seen(json!({ "subject": { "display": "Eva Muster" } })) }] });
        assert_eq!(patient(&shown), PatientLabel::Several);
        let two = json!({ "resourceType": "Bundle", "entry": [
            { "resource": seen(about("http://a/Patient/1")) }, { "resource": seen(about("http://b/Patient/1")) }] });
        assert_eq!(patient(&two), PatientLabel::Several);
    }
}
