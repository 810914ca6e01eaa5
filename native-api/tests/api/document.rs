//! The OpenAPI document.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::Server;

const CALLS: &[(&str, &[&str])] = &[
    ("/v1/admin/whoami", &["get"]),
    ("/v1/admin/can", &["get"]),
    ("/v1/admin/spaces", &["get"]),
    ("/v1/admin/spaces/{namespace}/{tenant}", &["get"]),
    ("/v1/admin/spaces/{namespace}/{tenant}/{setting}", &["put", "delete"]),
    ("/v1/admin/buckets", &["get", "post"]),
    ("/v1/admin/buckets/{bucket}", &["get", "delete"]),
    ("/v1/admin/credentials", &["get", "post"]),
    ("/v1/admin/credentials/{credential}", &["get", "delete"]),
    ("/v1/admin/credentials/{credential}/rotate", &["post"]),
    ("/v1/admin/limits", &["get"]),
    ("/v1/admin/limits/{tenant}", &["get", "put"]),
    ("/v1/admin/usage", &["get"]),
    ("/v1/admin/replicas", &["get"]),
    ("/v1/admin/workers", &["get"]),
    ("/v1/admin/workers/{worker}/run", &["post"]),
    ("/v1/admin/scrub", &["get"]),
    ("/v1/admin/stuck", &["get"]),
    ("/v1/admin/stuck/retry", &["post"]),
    ("/v1/admin/stuck/kept", &["get"]),
    ("/v1/admin/stuck/give-up", &["post"]),
    ("/v1/admin/backups", &["get", "post"]),
    ("/v1/admin/backups/{backup}", &["delete"]),
    ("/v1/admin/garbage", &["get"]),
    ("/v1/admin/traffic", &["get"]),
    ("/v1/admin/events", &["get"]),
    ("/v1/admin/upstreams", &["get"]),
    ("/v1/admin/upstreams/{namespace}/{tenant}", &["get", "put", "delete"]),
    ("/v1/admin/upstreams/{namespace}/{tenant}/{work}", &["post"]),
    ("/v1/admin/upstreams/{namespace}/{tenant}/clients", &["get"]),
    ("/v1/admin/upstreams/{namespace}/{tenant}/report", &["get"]),
    ("/v1/admin/upstreams/{namespace}/{tenant}/report.html", &["get"]),
    ("/v1/admin/report-keys", &["get"]),
    ("/v1/admin/targets", &["get"]),
    ("/v1/admin/targets/{target}", &["get", "put", "delete"]),
    ("/v1/admin/targets/{target}/test", &["post"]),
    ("/v1/admin/targets/{target}/replay", &["post"]),
    ("/v1/objects", &["get", "post"]),
    ("/v1/objects/{id}", &["get", "head", "delete", "patch"]),
    ("/v1/objects/{id}/lock", &["get", "put"]),
    ("/v1/objects/by-key/{namespace}/{tenant}/{key}", &["get", "head", "put", "delete"]),
    ("/v1/presign", &["post"]),
    ("/v1/objects/copy", &["post"]),
    ("/v1/objects/delete", &["post"]),
    ("/v1/objects/move", &["post"]),
    ("/v1/objects/{id}/tags", &["get", "put", "delete"]),
    ("/v1/uploads", &["get", "post"]),
    ("/v1/uploads/{id}", &["get", "delete"]),
    ("/v1/uploads/{id}/parts/{number}", &["put"]),
    ("/v1/uploads/{id}/complete", &["post"]),
    ("/v1/usage", &["get"]),
    ("/health", &["get"]),
    ("/ready", &["get"]),
    ("/metrics", &["get"]),
    ("/v1/openapi.json", &["get"]),
    ("/v1/openapi-3.0.json", &["get"]),
];

/// The calls that need no credentials.
const OPEN: [&str; 4] = ["/health", "/ready", "/v1/openapi.json", "/v1/openapi-3.0.json"];

#[tokio::test]
async fn every_call_is_in_the_document_and_nothing_else() {
    let document = Server::open().await.get("/v1/openapi.json").await.json(200);
    assert_eq!(document["openapi"], "3.1.0");
    let [newer, older] = juststorage_native_api::openapi();
    assert_eq!(document, newer);
    assert_eq!(Server::open().await.get("/v1/openapi-3.0.json").await.json(200), older);
    assert_eq!(older["openapi"], "3.0.3");
    let of = |document: &Value| document["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(of(&newer), of(&older));
    let mut expected: Vec<_> = CALLS.iter().collect();
    expected.sort();
    let paths = document["paths"].as_object().unwrap();
    let mut found: Vec<_> = paths.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    for (path, methods) in expected {
        let mut found: Vec<_> = paths[*path].as_object().unwrap().keys().map(String::as_str).collect();
        let mut methods = methods.to_vec();
        found.sort_unstable();
        methods.sort_unstable();
        assert_eq!(found, methods, "{path}");
    }
}

#[tokio::test]
async fn the_document_holds_together() {
    let document = Server::open().await.get("/v1/openapi.json").await.json(200);
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named: Vec<_> =
                parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].clone()).collect();
            let in_path =
                path.split('{').skip(1).map(|piece| piece.split('}').next().unwrap()).collect::<Vec<_>>();
            assert_eq!(named, in_path, "{method} {path}");
            let security = operation["security"].as_array().unwrap().len();
            if OPEN.contains(&path.as_str()) {
                assert_eq!(security, 0, "{method} {path}");
            } else {
                assert_eq!(security, 3, "{method} {path}");
                for status in ["401", "403", "429", "500", "503"] {
                    assert!(operation["responses"].get(status).is_some(), "{method} {path} {status}");
                }
            }
        }
    }
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "operation ids are unique");
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let problem = &document["components"]["responses"]["Problem"]["content"];
    assert_eq!(problem["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
    assert_eq!(document["info"]["license"], json!({ "name": "MIT", "identifier": "MIT" }));
    assert_eq!(document["servers"][0]["url"], "/");
    for scheme in ["bearer", "api_key"] {
        assert!(document["components"]["securitySchemes"].get(scheme).is_some());
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("$ref", Value::String(reference)) => references.push(reference.clone()),
                    _ => collect(value, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// What no client can be generated from, or only one that fails: bytes as a list of numbers, errors of a form of their own,
/// a parameter whose name is a pattern, `null` for what is absent, a type's name out of Rust's library.
#[test]
fn every_call_has_the_forms_that_generators_need() {
    for document in juststorage_native_api::openapi() {
        let mut findings = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let mut found = |what: String| findings.push(format!("{method} {path}: {what}"));
                let id = operation["operationId"].as_str().unwrap();
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                if !id.chars().all(plain) {
                    found(format!("the operation id {id}"));
                }
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    let token = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
                    // OpenAPI says of these that they are ignored.
                    let ignored = ["Accept", "Content-Type", "Authorization"].contains(&name);
                    if !token || ignored || parameter["schema"]["type"].is_array() {
                        found(format!("the parameter {parameter}"));
                    }
                }
                let body = &operation["requestBody"];
                media(body, &mut found);
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let refuses = status.as_str() >= "400" && path != "/ready";
                    if refuses && *response != json!({ "$ref": "#/components/responses/Problem" }) {
                        found(format!("{status} is {response}, not the problem that all share"));
                    }
                    media(response, &mut found);
                    let headers = response["headers"].as_object();
                    for name in headers.into_iter().flat_map(serde_json::Map::keys) {
                        if name.contains('*') {
                            found(format!("the header {name}"));
                        }
                    }
                }
            }
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            // In Go the constructor of `XBody` is `NewXBody`.
            if !(name.ends_with("Body") && !name.starts_with("New") || OTHER_NAMES.contains(&name.as_str())) {
                findings.push(format!("{name} is no name of ours for a schema: see value_type of utoipa"));
            }
        }
        assert_eq!(findings, Vec::<String>::new());
    }
}

/// Names of schemas that are part of a body.
const OTHER_NAMES: [&str; 6] =
    ["Problem", "UsageTotal", "CopySource", "CopyDestination", "MoveSource", "MoveDestination"];

fn media(holder: &Value, found: &mut impl FnMut(String)) {
    for (kind, media) in holder["content"].as_object().into_iter().flatten() {
        let schema = &media["schema"];
        let fits = match kind.as_str() {
            "application/json" | "application/problem+json" => schema["oneOf"].is_null(),
            "application/octet-stream" => *schema == json!({ "type": "string", "format": "binary" }),
            _ => *schema == json!({ "type": "string" }),
        };
        if !fits {
            found(format!("a body of {kind} is {schema}"));
        }
    }
}

/// A name of a schema that two types share would give one of them the form of the other.
#[test]
fn no_two_types_share_a_name() {
    let mut names = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(&entry).unwrap();
            for derived in text.split("ToSchema)]").skip(1) {
                let mut words =
                    derived.split_whitespace().skip_while(|word| !["struct", "enum"].contains(word));
                names.push(words.nth(1).unwrap().trim_end_matches('{').to_owned());
            }
        }
    }
    assert!(names.len() > 60, "{}", names.len());
    names.sort_unstable();
    let shared: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

/// 3.0.3 has no list of types, no `null`, and nothing beside a reference.
#[test]
fn the_older_document_has_no_newer_word() {
    fn look(value: &Value, place: &str) {
        match value {
            Value::Object(members) => {
                assert!(
                    !members.get("type").is_some_and(|kind| kind.is_array() || kind == "null"),
                    "{place}"
                );
                assert!(!members.get("$ref").is_some_and(Value::is_string) || members.len() == 1, "{place}");
                for word in ["propertyNames", "const", "prefixItems", "contentMediaType", "identifier"] {
                    assert!(!members.contains_key(word), "{place}: {word}");
                }
                members.iter().for_each(|(name, value)| look(value, &format!("{place}/{name}")));
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, place)),
            _ => {}
        }
    }
    let [_, older] = juststorage_native_api::openapi();
    look(&older, "");
}

/// The codes of the document are those of the table in `docs/api.md`.
#[test]
fn every_code_is_listed_and_explained() {
    let [document, _] = juststorage_native_api::openapi();
    let code = &document["components"]["schemas"]["Problem"]["properties"]["code"];
    let listed: BTreeSet<_> =
        code["x-extensible-enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    let page = include_str!("../../../docs/api.md").split("## Errors").nth(1).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5"));
    let explained: BTreeSet<_> = rows
        .flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2))
        .filter(|code| *code != "invalid_<field>")
        .collect();
    assert_eq!(listed, explained);
    assert!(listed.iter().all(|code| juststorage_native_api::problem::is_known(code)));
    assert!(juststorage_native_api::problem::is_known("invalid_key"));
    assert!(!juststorage_native_api::problem::is_known("made_up"));
}
