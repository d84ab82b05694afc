//! The JSON schema of the configuration file, made from the types that read it.
//!
//! `config/schema.json` is this text: editors check and complete configuration files with it. A key that is left
//! out has its default, so no key is required; unknown keys are refused, so none beyond these is allowed.

use std::collections::BTreeMap;

use schemars::{JsonSchema, r#gen::SchemaSettings};
use serde_json::Value;

use super::{Config, DEFAULTS};

/// `[access]`: who may see what.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes fontes_core::AccessPolicy, which is read instead; core knows no schemas")]
pub struct Access {
    /// Who is asking when nobody is named.
    default_principal: String,
    /// Groups of documents whose source names none.
    default_groups: Vec<String>,
    /// Classification of documents whose source names none.
    default_classification: Classification,
    /// Known principals by name.
    principals: BTreeMap<String, Principal>,
}

/// Someone who asks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes fontes_core::Principal")]
struct Principal {
    /// Groups the principal belongs to.
    groups: Vec<String>,
    /// The highest classification the principal may see.
    clearance: Classification,
}

/// How closely a document is held, lowest first.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes fontes_core::Classification")]
enum Classification {
    /// Anyone may know.
    Public,
    /// For the organisation.
    Internal,
    /// For named groups.
    Confidential,
    /// For few.
    Secret,
}

/// The schema (JSON Schema draft 7) as pretty JSON with a line break at its end.
pub fn text() -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    let mut schema = serde_json::to_value(schema).expect("a schema is JSON");
    let defaults: toml::Table = DEFAULTS.parse().expect("a test reads the defaults");
    let defaults = serde_json::to_value(defaults).expect("settings are JSON");
    complete(&mut schema, &defaults);
    let mut text = serde_json::to_string_pretty(&schema).expect("a value is JSON");
    text.push('\n');
    text
}

/// Notes the default of every key, and that no key has to be there.
fn complete(schema: &mut Value, default: &Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let (Some(Value::Object(properties)), Value::Object(defaults)) = (object.get_mut("properties"), default) {
        for (key, property) in properties {
            complete(property, &defaults[key]);
        }
        object.remove("required");
    } else {
        object.insert("default".into(), default.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_file_in_the_repository_is_what_the_types_say() {
        assert!(
            include_str!("../../../../config/schema.json") == text(),
            "run `fontes config schema > config/schema.json`"
        );
    }

    /// Checks that schema and defaults name the same keys, down to the leaves.
    fn same_keys(schema: &Value, defaults: &Value, at: &str) {
        let (Some(properties), Some(defaults)) = (schema["properties"].as_object(), defaults.as_object()) else {
            return;
        };
        let names = |keys: serde_json::map::Keys<'_>| keys.cloned().collect::<BTreeSet<String>>();
        assert_eq!(names(properties.keys()), names(defaults.keys()), "keys of {at}");
        assert_eq!(schema["additionalProperties"], false, "{at}");
        for (key, property) in properties {
            assert!(property["description"].is_string() || property.get("properties").is_some(), "{at}.{key}");
            same_keys(property, &defaults[key], &format!("{at}.{key}"));
        }
    }

    #[test]
    fn every_key_is_described_and_has_a_default() {
        let schema: Value = serde_json::from_str(&text()).unwrap();
        let defaults = serde_json::to_value(DEFAULTS.parse::<toml::Table>().unwrap()).unwrap();
        same_keys(&schema, &defaults, "configuration");
    }

    #[test]
    fn the_described_access_policy_is_the_one_that_is_read() {
        for classification in ["public", "internal", "confidential", "secret"] {
            let policy = serde_json::json!({
                "default_principal": "a", "default_groups": ["g"], "default_classification": classification,
                "principals": { "a": { "groups": ["g"], "clearance": classification } },
            });
            serde_json::from_value::<fontes_core::AccessPolicy>(policy).unwrap();
        }
        let schema: Value = serde_json::from_str(&text()).unwrap();
        let known = schema["properties"]["access"]["properties"]["default_classification"].to_string();
        assert_eq!(fontes_core::Classification::ALL.len(), known.matches("\"enum\"").count());
    }
}
