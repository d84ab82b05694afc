//! Clinical exchange formats: FHIR R4 (JSON), C-CDA (XML), HL7 version 2 (pipes).
//!
//! They hold coded data around little prose. What is stored is what a clinician would read: who, what,
//! when, the values, and every note; codes, identifiers and billing stay out.

mod ccda;
mod fhir;
mod fhir_patient;
mod hl7;
mod patient;

pub(crate) use ccda::blocks as ccda_blocks;
pub(crate) use fhir::parse as parse_fhir;
pub(crate) use hl7::parse as parse_hl7;
