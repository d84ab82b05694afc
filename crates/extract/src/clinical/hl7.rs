//! HL7 version 2 messages: segments of fields between pipes (chapter 2 of the standard).

use fontes_core::BlockKind;

use super::patient::{Patient, Patients};
use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, encoding, time};

/// Parses one or more messages: who and when, then results and notes in their order. Each message begins
/// with a heading.
pub(crate) fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let text = encoding::decode(bytes, None);
    let mut builder = Builder::new(limits);
    let mut patients = Patients::default();
    // Whether the message has said yet whom it is about.
    let mut named = false;
    // Segments end with a carriage return; files made on other systems have line feeds.
    for segment in text.split(['\r', '\n']).filter(|segment| segment.len() > 3) {
        let fields: Vec<&str> = segment.split('|').collect();
        let field = |index: usize| readable(fields.get(index).copied().unwrap_or(""));
        match fields[0] {
            "MSH" => named = false,
            "PID" => named = true,
            // Controls and specimens of unknown people have no patient.
            "OBR" | "OBX" | "NTE" | "TXA" | "DG1" | "AL1" | "RXE" | "RXO" if !named => patients.add_nameless(),
            _ => {}
        }
        match fields[0] {
            // The separator itself counts as the first field of the header.
            "MSH" => {
                let date = time::from_pdf(fields.get(6).copied().unwrap_or(""));
                builder.block(BlockKind::Heading(1), &format!("{} {}", field(8), date.as_deref().unwrap_or("")));
                builder.metadata.created = builder.metadata.created.take().or(date);
            }
            "PID" => {
                builder.block(BlockKind::Paragraph, &format!("Patient: {}; {}; {}", field(5), field(7), field(8)));
                patients.add(patient(&fields));
            }
            "OBR" => builder.block(BlockKind::Heading(2), &field(4)),
            "OBX" => {
                let line = format!("{}: {} {} {}", field(3), field(5), field(6), field(8));
                builder.block(BlockKind::Paragraph, &line);
            }
            "NTE" => builder.block(BlockKind::Paragraph, &field(3)),
            "TXA" => builder.block(BlockKind::Heading(2), &field(2)),
            "DG1" | "AL1" => builder.block(BlockKind::Paragraph, &format!("{}; {}", field(3), field(4))),
            "RXE" | "RXO" => builder.block(BlockKind::Paragraph, &field(2)),
            _ => {}
        }
    }
    if builder.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.metadata.patient = patients.label();
    builder.finish(MediaType::Hl7)
}

/// Whom a PID segment identifies, by the number that the institution gave: those of social insurance, for example, have no
/// business in an index.
fn patient(fields: &[&str]) -> Patient {
    let parts = |index: usize| {
        let repetitions = fields.get(index).copied().unwrap_or("").split('~');
        repetitions.map(|repetition| repetition.split('^').collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let part = |parts: &[&str], index: usize| parts.get(index).copied().unwrap_or("").to_owned();
    let numbers = parts(3);
    // Number, check digit, its scheme, who gave it, kind of number.
    let own = numbers.iter().find(|number| matches!(number.get(4).copied().unwrap_or(""), "" | "MR" | "PI" | "PT"));
    let own = own.map_or(&[][..], Vec::as_slice);
    let name = parts(5).into_iter().next().unwrap_or_default();
    let name = format!("{} {}", part(&name, 1), part(&name, 0));
    Patient { authority: part(own, 3), number: part(own, 0), name }
}

/// A field for readers: of a coded one the text behind the code, repetitions on lines, escapes undone.
fn readable(field: &str) -> String {
    let repetitions = field.split('~').map(|repetition| {
        let parts: Vec<&str> = repetition.split('^').filter(|part| !part.is_empty()).collect();
        let is_code = |part: &str| part.chars().any(|c| c.is_ascii_digit()) && !part.contains(' ');
        match parts[..] {
            // Code, text, coding system: the text.
            [code, text, ..] if is_code(code) && !is_code(text) => text.to_owned(),
            _ => parts.join(" "),
        }
    });
    let text = repetitions.collect::<Vec<_>>().join("\n");
    [("\\.br\\", "\n"), ("\\F\\", "|"), ("\\S\\", "^"), ("\\T\\", "&"), ("\\R\\", "~"), ("\\E\\", "\\")]
        .into_iter()
        .fold(text, |text, (escape, written)| text.replace(escape, written))
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use fontes_core::PatientLabel;

    use super::*;

    #[test]
    fn results_and_notes_are_read() {
        let message = b"MSH|^~\\&|LAB|X|||20240102030405||ORU^R01|1|P|2.5\rPID|1||42||Muster^Eva||19800101|F\r\
            OBR|1|||718-7^Hemoglobin^LN\rOBX|1|NM|718-7^Hemoglobin^LN||13.5|g/dL||N\rNTE|1||Nachkontrolle\\.br\\empfohlen\r";
        assert_eq!(MediaType::detect(message, "x").unwrap(), MediaType::Hl7);
        let document = parse(message, &ParseLimits::default()).unwrap().document;
        let expected = "ORU R01 2024-01-02T03:04:05Z\n\nPatient: Muster Eva; 19800101; F\n\nHemoglobin\n\n\
                        Hemoglobin: 13.5 g/dL N\n\nNachkontrolle\nempfohlen\n";
        assert_eq!(document.text, expected);
        assert_eq!(document.metadata.patient, PatientLabel::One(vec!["42".into(), "Eva Muster".into()]));
        let second = b"\rMSH|^~\\&|LAB|X|||20240102030405||ORU^R01|2|P|2.5\rPID|1||43||Zweite^Ida||19900101|F\r";
        let both = parse(&[&message[..], second].concat(), &ParseLimits::default()).unwrap().document;
        assert_eq!(both.metadata.patient, PatientLabel::Several);
        let control =
            b"\rMSH|^~\\&|LAB|X|||20240102030405||ORU^R01|3|P|2.5\rOBX|1|NM|718-7^Hemoglobin^LN||12.0|g/dL||N\r";
        let both = parse(&[&message[..], control].concat(), &ParseLimits::default()).unwrap().document;
        assert_eq!(both.metadata.patient, PatientLabel::Several);
        let insured = patient(&["PID", "1", "", "756.1^^^AHV^SS~4711^^^HOSP^MR", "", "Muster^Eva"]);
        assert_eq!((insured.number.as_str(), insured.authority.as_str()), ("4711", "HOSP"));
    }
}
