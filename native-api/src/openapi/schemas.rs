//! Rules that one name has everywhere, and forms that no client can be generated from.

use juststorage_core::domain::address::{KEY_BYTES_MAX, NAME_BYTES_MAX};
use serde_json::{Map, Value, json};

/// Gives every parameter and every member of a schema the rule of its name, and writes optional parameters and bodies
/// as such instead of as `null`.
pub(super) fn settle(document: &mut Value) {
    match document {
        Value::Object(members) => {
            if let Some(body) = members.get_mut("requestBody") {
                optional_body(body);
            }
            if let Some(Value::Array(parameters)) = members.get_mut("parameters") {
                parameters.iter_mut().for_each(parameter);
            }
            if let Some(Value::Object(properties)) = members.get_mut("properties") {
                for (name, schema) in properties {
                    rule(name, schema);
                    no_null_default(schema);
                }
            }
            members.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}

/// A parameter is absent or a text, never `null`.
fn parameter(parameter: &mut Value) {
    let Some(name) = parameter.get("name").and_then(Value::as_str).map(str::to_owned) else { return };
    let Some(schema) = parameter.get_mut("schema") else { return };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    rule(&name, schema);
}

/// A body that may be absent: `null` in its place is refused.
fn optional_body(body: &mut Value) {
    let Some(Value::Object(media)) = body.get_mut("content") else { return };
    let mut optional = false;
    for schema in media.values_mut().filter_map(|media| media.get_mut("schema")) {
        let Some(Value::Array(either)) = schema.get("oneOf") else { continue };
        if let [some, none] = either.as_slice()
            && none["type"] == "null"
        {
            *schema = some.clone();
            optional = true;
        }
    }
    if optional {
        body["required"] = Value::Bool(false);
    }
}

/// In a merge patch an absent member stays and `null` removes it: a client that sends the default would remove it.
fn no_null_default(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut()
        && schema.get("default").is_some_and(Value::is_null)
    {
        schema.remove("default");
    }
}

/// The rule of a name, unless the schema has one of its own.
fn rule(name: &str, schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let is_text = schema.get("type").is_some_and(|kind| match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "string"),
        kind => kind == "string",
    });
    if is_text {
        for (member, value) in of(name) {
            schema.entry(member).or_insert(value);
        }
    }
}

fn of(name: &str) -> Map<String, Value> {
    let rule = match name {
        "namespace" | "tenant" | "tenant_id" | "X-Namespace" | "X-Tenant" => {
            json!({ "pattern": format!("^[a-z0-9][a-z0-9._-]{{0,{}}}$", NAME_BYTES_MAX - 1) })
        }
        // In bytes of UTF-8, of which a character has at least one.
        "key" | "X-Key" => json!({ "minLength": 1, "maxLength": KEY_BYTES_MAX }),
        "If-Match" | "If-None-Match" | "cursor" => json!({ "minLength": 1 }),
        "X-Content-SHA256" => json!({ "pattern": "^[0-9a-fA-F]{64}$" }),
        "X-Storage-Class" => json!({ "pattern": "^(hot|cold)$" }),
        "bucket" => json!({ "pattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$" }),
        _ => return Map::new(),
    };
    match rule {
        Value::Object(rule) => rule,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_rules_and_absent_is_not_null() {
        let text = || json!({ "type": "string" });
        let mut document = json!({
            "parameters": [
                { "name": "X-Tenant", "schema": { "type": ["string", "null"] } },
                { "name": "limit", "schema": { "type": ["integer", "null"], "minimum": 1 } },
                { "$ref": "#/elsewhere" },
            ],
            "requestBody": { "content": { "application/json": {
                "schema": { "oneOf": [{ "$ref": "#/a" }, { "type": "null" }] }
            } } },
            "properties": {
                "key": { "type": ["string", "null"] },
                "tenant": { "type": "string", "pattern": "^own$" },
                "namespace": { "type": "array", "items": text() },
                "other": { "type": "string", "default": null },
                "count": { "type": "integer", "default": 0 },
            },
        });
        settle(&mut document);
        let tenant = "^[a-z0-9][a-z0-9._-]{0,62}$";
        assert_eq!(
            document,
            json!({
                "parameters": [
                    { "name": "X-Tenant", "schema": { "type": "string", "pattern": tenant } },
                    { "name": "limit", "schema": { "type": "integer", "minimum": 1 } },
                    { "$ref": "#/elsewhere" },
                ],
                "requestBody": {
                    "content": { "application/json": { "schema": { "$ref": "#/a" } } },
                    "required": false,
                },
                "properties": {
                    "key": { "type": ["string", "null"], "minLength": 1, "maxLength": 1024 },
                    "tenant": { "type": "string", "pattern": "^own$" },
                    "namespace": { "type": "array", "items": text() },
                    "other": text(),
                    "count": { "type": "integer", "default": 0 },
                },
            })
        );
    }
}
