//! Clinical documents (HL7 CDA R2, C-CDA): the narrative blocks of the sections, which are what a clinician
//! signed; the coded entries beside them say the same for programs.

use fontes_core::BlockKind;
use roxmltree::{Document, Node};

use super::patient::{INSURANCE, Patient, Patients};
use crate::{builder::Builder, clean::collapse, time, xml::NodeExt as _};

/// Appends the blocks of a clinical document; gives `false` when `tree` is none.
pub(crate) fn blocks(builder: &mut Builder, tree: &Document<'_>) -> bool {
    let root = tree.root_element();
    if root.name() != "ClinicalDocument" {
        return false;
    }
    builder.metadata.title = root.child("title").map(|title| collapse(&title.all_text()));
    // HL7 times are written as in PDF: YYYYMMDDHHMMSS+ZZZZ.
    builder.metadata.created = root.child("effectiveTime").and_then(|time| time.attr("value")).and_then(time::from_pdf);
    let name = |role: &str| {
        let role = root.children().find(|child| child.name() == role)?;
        let name = role.descendants().find(|node| node.name() == "name")?;
        let words: Vec<String> =
            name.descendants().filter(Node::is_text).map(|word| collapse(word.text().unwrap_or(""))).collect();
        Some(collapse(&words.join(" "))).filter(|name| !name.is_empty())
    };
    builder.metadata.author = name("author");
    let mut patients = Patients::default();
    for target in root.children().filter(|child| child.name() == "recordTarget") {
        patients.add(patient(target));
    }
    builder.metadata.patient = patients.label();
    if let Some(patient) = name("recordTarget") {
        builder.block(BlockKind::Paragraph, &format!("Patient: {patient}"));
    }
    for section in root.descendants().filter(|node| node.name() == "section") {
        let depth = section.ancestors().filter(|above| above.name() == "section").count();
        for child in section.children() {
            match child.name() {
                "title" => builder.block(BlockKind::Heading(u8::try_from(depth + 1).unwrap_or(6)), &child.all_text()),
                "text" => narrative(builder, child),
                _ => {}
            }
        }
    }
    true
}

/// Whom a record target identifies, by the number that the institution gave.
fn patient(target: Node<'_, '_>) -> Patient {
    let role = target.child("patientRole");
    let mut ids = role.into_iter().flat_map(|role| role.children()).filter(|child| child.name() == "id");
    let own = ids.find(|id| !id.attr("root").is_some_and(|root| INSURANCE.contains(&root)));
    let attribute = |name: &str| own.and_then(|id| id.attr(name)).unwrap_or_default().to_owned();
    let name = role.and_then(|role| role.child("patient")).and_then(|patient| patient.child("name"));
    let words = name.into_iter().flat_map(|name| name.descendants()).filter(Node::is_text);
    let words: Vec<&str> = words.filter_map(|word| word.text()).collect();
    Patient { authority: attribute("root"), number: attribute("extension"), name: words.join(" ") }
}

/// Reads a narrative block: paragraphs, lists, tables, and text between them.
fn narrative(builder: &mut Builder, parent: Node<'_, '_>) {
    let mut loose = String::new();
    for node in parent.children() {
        if node.is_text() {
            loose.push_str(node.text().unwrap_or(""));
            continue;
        }
        match node.name() {
            "paragraph" | "list" | "table" => {
                builder.block(BlockKind::Paragraph, &collapse(&std::mem::take(&mut loose)));
                block(builder, node);
            }
            "br" => loose.push('\n'),
            _ => loose.push_str(&node.all_text()),
        }
    }
    builder.block(BlockKind::Paragraph, &loose);
}

fn block(builder: &mut Builder, node: Node<'_, '_>) {
    match node.name() {
        "list" => {
            for item in node.children().filter(|child| child.name() == "item") {
                builder.block(BlockKind::ListItem, &format!("- {}", collapse(&item.all_text())));
            }
        }
        "table" => {
            let rows = node.descendants().filter(|row| row.name() == "tr").map(|row| {
                let cells = row.children().filter(|cell| matches!(cell.name(), "td" | "th"));
                cells.map(|cell| cell.all_text()).collect()
            });
            builder.table(&rows.collect::<Vec<Vec<String>>>());
        }
        _ => builder.block(BlockKind::Paragraph, &collapse(&node.all_text())),
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::PatientLabel;

    use crate::ParseLimits;

    #[test]
    fn sections_and_their_narrative_are_read() {
        let xml = br#"<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><title>Brief</title><effectiveTime value="20240102"/>
            <recordTarget><patientRole><id root="1.2" extension="4711"/><patient><name><given>Eva</given><family>Muster</family></name></patient></patientRole></recordTarget>
            <component><structuredBody><component><section><title>Allergien</title><text>Keine<br/>bekannt
              <list><item>Penicillin</item></list><table><tbody><tr><th>A</th></tr><tr><td>1</td></tr></tbody></table></text>
              <entry><observation><text>coded</text></observation></entry></section></component></structuredBody></component></ClinicalDocument>"#;
        let document = crate::parse(xml, "x.xml", &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Patient: Eva Muster\n\nAllergien\n\nKeine bekannt\n\n- Penicillin\n\nA\n1\n");
        assert_eq!(document.metadata.title.as_deref(), Some("Brief"));
        assert_eq!(document.metadata.patient, PatientLabel::One(vec!["4711".into(), "Eva Muster".into()]));
        let second = "<recordTarget><patientRole><id root=\"1.3\"/></patientRole></recordTarget><component>";
        let two = String::from_utf8_lossy(xml).replacen("<component>", second, 1);
        let two = crate::parse(two.as_bytes(), "x.xml", &ParseLimits::default()).unwrap().document;
        assert_eq!(two.metadata.patient, PatientLabel::Several);
        assert_eq!(document.metadata.created.as_deref(), Some("2024-01-02T00:00:00Z"));
    }
}
