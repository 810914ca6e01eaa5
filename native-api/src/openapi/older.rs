//! OpenAPI 3.0.3 out of 3.1.
//!
//! Only forms that occur in our documents are translated. `compat-tests/tests/openapi.rs` holds the result to the schema of
//! 3.0.3.

use serde_json::{Map, Value, json};

/// The same document as OpenAPI 3.0.3.
pub(super) fn of(mut document: Value) -> Value {
    document["openapi"] = json!("3.0.3");
    if let Some(license) = document.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        license.remove("identifier");
    }
    translate(&mut document);
    document
}

fn translate(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(translate);
            no_null_type(members);
            no_null_choice(members);
            // Keys of JSON are texts anyhow.
            members.remove("propertyNames");
            reference_alone(members);
        }
        Value::Array(items) => items.iter_mut().for_each(translate),
        _ => {}
    }
}

/// `type: [T, null]` is `type: T` and `nullable`.
fn no_null_type(members: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = members.get("type") else { return };
    let other: Vec<_> = types.iter().filter(|kind| *kind != "null").cloned().collect();
    if let [only] = other.as_slice() {
        members.insert("type".to_owned(), only.clone());
        members.insert("nullable".to_owned(), Value::Bool(true));
    }
}

/// `oneOf: [A, null]` is `A` and `nullable`. Its members are translated already.
fn no_null_choice(members: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = members.get("oneOf") else { return };
    let [some, none] = choices.as_slice() else { return };
    if none["type"] != "null" {
        return;
    }
    let some = some.clone();
    members.remove("oneOf");
    if let Value::Object(some) = some {
        for (name, value) in some {
            members.entry(name).or_insert(value);
        }
    }
    members.insert("nullable".to_owned(), Value::Bool(true));
}

/// Members beside a reference are ignored in 3.0: the reference goes into an `allOf`.
fn reference_alone(members: &mut Map<String, Value>) {
    let is_reference = members.get("$ref").is_some_and(Value::is_string);
    if is_reference
        && members.len() > 1
        && let Some(reference) = members.remove("$ref")
    {
        members.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_3_0_has_no_word_for_is_said_otherwise() {
        let newer = json!({
            "openapi": "3.1.0",
            "info": { "license": { "name": "MIT", "identifier": "MIT" } },
            "a": { "type": ["string", "null"], "format": "uuid" },
            "b": { "oneOf": [{ "$ref": "#/a", "description": "one" }, { "type": "null" }] },
            "c": { "$ref": "#/a", "description": "beside" },
            "d": { "$ref": "#/a" },
            "e": { "type": "object", "propertyNames": { "type": "string" }, "additionalProperties": { "type": ["string", "null"] } },
            "f": { "oneOf": [{ "type": "string" }, { "type": "integer" }] },
            // A member may be called as a word of the schema is.
            "properties": { "type": { "type": "string" }, "oneOf": { "type": "array" } },
        });
        assert_eq!(
            of(newer),
            json!({
                "openapi": "3.0.3",
                "info": { "license": { "name": "MIT" } },
                "a": { "type": "string", "nullable": true, "format": "uuid" },
                "b": { "allOf": [{ "$ref": "#/a" }], "description": "one", "nullable": true },
                "c": { "allOf": [{ "$ref": "#/a" }], "description": "beside" },
                "d": { "$ref": "#/a" },
                "e": { "type": "object", "additionalProperties": { "type": "string", "nullable": true } },
                "f": { "oneOf": [{ "type": "string" }, { "type": "integer" }] },
                "properties": { "type": { "type": "string" }, "oneOf": { "type": "array" } },
            })
        );
    }
}
