//! The OpenAPI document.

use serde_json::Value;

use crate::support::Server;

const CALLS: [(&str, &[&str]); 38] = [
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
    ("/v1/admin/workers", &["get"]),
    ("/v1/admin/workers/{worker}/run", &["post"]),
    ("/v1/admin/scrub", &["get"]),
    ("/v1/admin/stuck", &["get"]),
    ("/v1/admin/stuck/retry", &["post"]),
    ("/v1/admin/stuck/kept", &["get"]),
    ("/v1/admin/stuck/give-up", &["post"]),
    ("/v1/admin/events", &["get"]),
    ("/v1/objects", &["get", "post"]),
    ("/v1/objects/{id}", &["get", "head", "delete", "patch"]),
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
];

#[tokio::test]
async fn every_call_is_in_the_document_and_nothing_else() {
    let document = Server::open().await.get("/v1/openapi.json").await.json(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document, serde_json::to_value(juststorage_native_api::openapi()).unwrap());
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
            if path.starts_with("/v1/") && path != "/v1/openapi.json" {
                for status in ["400", "401", "403", "429", "500", "503"] {
                    assert!(operation["responses"].get(status).is_some(), "{method} {path} {status}");
                }
                assert_eq!(operation["security"].as_array().unwrap().len(), 3);
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
    let problem = &document["components"]["responses"]["ProblemBody"]["content"];
    assert!(problem.get("application/problem+json").is_some(), "{problem}");
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
