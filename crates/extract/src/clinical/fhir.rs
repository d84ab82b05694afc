//! FHIR R4 resources and bundles in JSON (<https://hl7.org/fhir/R4/json.html>).

use std::collections::BTreeMap;

use fontes_core::BlockKind;
use mail_parser::decoders::base64::base64_decode;
use serde_json::Value;

use super::fhir_patient::patient;
use crate::{
    ExtractError, Extraction, MediaType, ParseLimits, archive::push_child, builder::Builder, html, time::rfc3339,
};

/// Kinds of resources about money and machinery, which answer no clinical question.
const LEFT_OUT: &[&str] = &["Claim", "ClaimResponse", "ExplanationOfBenefit", "Provenance", "Coverage", "AuditEvent"];

/// Fields that may state when something was, the most telling first.
const DATES: &[&str] = &[
    "effectiveDateTime",
    "occurrenceDateTime",
    "onsetDateTime",
    "performedDateTime",
    "authoredOn",
    "recordedDate",
    "issued",
    "date",
    "created",
];

/// Parses a resource or a bundle: a heading per kind of resource, a paragraph per resource; attached
/// documents become children.
pub(crate) fn parse(root: &Value, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let entries = root["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let mut resources: Vec<&Value> = entries.iter().map(|entry| &entry["resource"]).collect();
    if root["resourceType"] != "Bundle" {
        resources = vec![root];
    }
    let mut builder = Builder::new(limits);
    let mut kinds: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut left_out = 0;
    builder.metadata.patient = patient(root);
    for resource in resources {
        let Some(kind) = resource["resourceType"].as_str() else { continue };
        if LEFT_OUT.contains(&kind) {
            left_out += 1;
            continue;
        }
        if !groups.contains_key(kind) {
            kinds.push(kind);
        }
        groups.entry(kind).or_default().push(resource);
    }
    // The patient first, whatever the order in the file.
    kinds.sort_by_key(|kind| *kind != "Patient");
    for kind in kinds {
        builder.block(BlockKind::Heading(2), kind);
        for resource in groups.remove(kind).unwrap_or_default() {
            if kind == "Patient" && builder.metadata.title.is_none() {
                builder.metadata.title = person(resource);
            }
            builder.block(BlockKind::Paragraph, &described(resource));
            narrative(&mut builder, resource)?;
            attachments(&mut builder, resource);
        }
    }
    if left_out > 0 {
        builder.warnings.push(format!("left out {left_out} resources about billing and provenance"));
    }
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(MediaType::Fhir)
}

/// One line about a resource, then its notes.
fn described(resource: &Value) -> String {
    let mut parts = Vec::new();
    parts.extend(person(resource));
    for field in ["gender", "birthDate", "deceasedDateTime"] {
        parts.extend(resource[field].as_str().map(|value| format!("{field} {value}")));
    }
    let subjects = [
        "code",
        "vaccineCode",
        "medicationCodeableConcept",
        "type",
        "class",
        "reasonCode",
        "bodySite",
        "category",
        "clinicalStatus",
        "criticality",
        "description",
        "title",
    ];
    let mut named = false;
    for field in subjects {
        // Categories only say something where nothing else does.
        if field == "category" && named {
            continue;
        }
        if let Some(text) = concept(&resource[field]) {
            named = true;
            parts.push(text);
        }
    }
    parts.extend(value_of(resource));
    for component in resource["component"].as_array().into_iter().flatten() {
        let name = concept(&component["code"]).unwrap_or_default();
        parts.extend(value_of(component).map(|value| format!("{name}: {value}")));
    }
    for result in resource["result"].as_array().into_iter().flatten() {
        parts.extend(result["display"].as_str().map(str::to_owned));
    }
    for dosage in resource["dosageInstruction"].as_array().into_iter().flatten() {
        parts.extend(dosage["text"].as_str().map(str::to_owned));
    }
    let period =
        ["period", "performedPeriod", "effectivePeriod"].iter().find_map(|field| resource[*field]["start"].as_str());
    let date = DATES.iter().find_map(|field| resource[*field].as_str()).or(period);
    parts.extend(date.map(|date| rfc3339(date).map_or_else(|| date.to_owned(), |date| date[..10].to_owned())));
    let mut text = parts.join("; ");
    let notes = resource["note"].as_array().into_iter().flatten().filter_map(|note| note["text"].as_str());
    for note in notes.chain(resource["conclusion"].as_str()) {
        text.push('\n');
        text.push_str(note);
    }
    text
}

/// The name of a person or organisation.
pub(super) fn person(resource: &Value) -> Option<String> {
    match &resource["name"] {
        Value::String(name) => Some(name.clone()),
        Value::Array(names) => {
            let name = names.first()?;
            if let Some(text) = name["text"].as_str() {
                return Some(text.to_owned());
            }
            let given = name["given"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let words: Vec<&str> = given.chain(name["family"].as_str()).collect();
            (!words.is_empty()).then(|| words.join(" "))
        }
        _ => None,
    }
}

/// The readable side of a coded value: its text, else the display of its first coding.
fn concept(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => values.first().and_then(concept),
        Value::Object(_) => ["text", "display"]
            .iter()
            .find_map(|field| value[*field].as_str().map(str::to_owned))
            .or_else(|| concept(&value["coding"]))
            .or_else(|| value["code"].as_str().map(str::to_owned)),
        _ => None,
    }
}

/// A measured or stated value with its unit.
fn value_of(resource: &Value) -> Option<String> {
    let quantity = &resource["valueQuantity"];
    if let Some(number) = quantity["value"].as_f64() {
        let rounded = format!("{number:.2}");
        let rounded = rounded.trim_end_matches('0').trim_end_matches('.');
        return Some(format!("{rounded} {}", quantity["unit"].as_str().unwrap_or("")).trim_end().to_owned());
    }
    let stated = ["valueString", "valueDateTime"].iter().find_map(|field| resource[*field].as_str().map(str::to_owned));
    stated
        .or_else(|| concept(&resource["valueCodeableConcept"]))
        .or_else(|| Some(resource["valueInteger"].as_i64()?.to_string()))
}

/// The narrative of a resource and its sections, unless a generator only signs there.
fn narrative(builder: &mut Builder, resource: &Value) -> Result<(), ExtractError> {
    for section in resource["section"].as_array().into_iter().flatten() {
        builder.block(BlockKind::Heading(3), section["title"].as_str().unwrap_or(""));
        narrative(builder, section)?;
    }
    let div = resource["text"]["div"].as_str().unwrap_or("");
    let generated = resource["text"]["status"] == "generated";
    let signed_only = generated && div.contains("Generated by");
    if !div.is_empty() && !signed_only {
        html::page(builder, div)?;
    }
    Ok(())
}

/// Documents carried inside, base64.
fn attachments(builder: &mut Builder, resource: &Value) {
    let contents = resource["content"].as_array().into_iter().flatten().map(|content| &content["attachment"]);
    let forms = resource["presentedForm"].as_array().into_iter().flatten();
    for attachment in contents.chain(forms) {
        let Some(bytes) = attachment["data"].as_str().and_then(|data| base64_decode(data.as_bytes())) else { continue };
        let extension = match attachment["contentType"].as_str().unwrap_or("").split(';').next().unwrap_or("") {
            "text/plain" => "txt",
            "text/html" => "html",
            "application/pdf" => "pdf",
            "text/xml" | "application/xml" => "xml",
            _ => "bin",
        };
        let name = attachment["title"].as_str().or(resource["id"].as_str()).unwrap_or("document");
        push_child(&mut builder.children, &format!("{}.{extension}", name.replace('/', "_")), bytes);
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::PatientLabel;

    use super::*;

    #[test]
    fn a_bundle_reads_like_a_record() {
        let bundle = br#"{"resourceType":"Bundle","entry":[
            {"resource":{"resourceType":"Observation","code":{"text":"Body Height"},"category":[{"text":"vital-signs"}],
              "valueQuantity":{"value":52.6920,"unit":"cm"},"effectiveDateTime":"2020-10-20T19:19:03+00:00","note":[{"text":"Growing."}]}},
            {"resource":{"resourceType":"Patient","name":[{"given":["Eva"],"family":"Muster"}],"gender":"female","birthDate":"2018-02-03",
              "text":{"status":"generated","div":"<div>Generated by a program</div>"}}},
            {"resource":{"resourceType":"Claim","id":"x"}},
            {"resource":{"resourceType":"DocumentReference","id":"d","content":[{"attachment":{"contentType":"text/plain","data":"aGVsbG8="}}]}},
            {"resource":{"resourceType":"Composition","title":"Brief","section":[{"title":"Befund","text":{"div":"<div><p>Ohne Befund.</p></div>"}}]}}]}"#;
        let extraction = crate::parse(bundle, "x.json", &ParseLimits::default()).unwrap();
        let expected = "Patient\n\nEva Muster; gender female; birthDate 2018-02-03\n\nObservation\n\n\
                        Body Height; 52.69 cm; 2020-10-20\nGrowing.\n\nDocumentReference\n\nComposition\n\nBrief\n\nBefund\n\nOhne Befund.\n";
        assert_eq!(extraction.document.text, expected);
        assert_eq!(extraction.document.metadata.title.as_deref(), Some("Eva Muster"));
        assert_eq!(extraction.document.metadata.patient, PatientLabel::One(vec!["Eva Muster".into()]));
        assert_eq!(extraction.document.media_type, "application/fhir+json");
        assert_eq!(
            (extraction.children[0].name.as_str(), extraction.children[0].bytes.as_slice()),
            ("d.txt", b"hello".as_slice())
        );
        assert_eq!(extraction.warnings, ["left out 1 resources about billing and provenance"]);
    }
}
