//! Health, readiness, metrics and labels.

use axum::body::Body;
use juststorage_core::application::metrics::NamespaceLabel;
use serde_json::json;

use crate::support::{Server, call, post};

#[tokio::test]
async fn readiness_names_the_part_that_fails() {
    let server = Server::open().await;
    assert_eq!(server.get("/health").await.json(200), json!({"status": "ok"}));
    let checks = json!({"database": "ok", "hot": "ok", "cold": "ok"});
    assert_eq!(server.get("/ready").await.json(200), json!({"status": "ready", "checks": checks}));
    server.metadata.close().await;
    let ready = server.get("/ready").await.json(503);
    assert_eq!(ready["status"], "unavailable");
    assert_ne!(ready["checks"]["database"], "ok");
    assert_eq!(ready["checks"]["hot"], "ok");
    server.get("/health").await.is(200);
    server.get("/metrics").await.is(200);
    let refused = server.get("/v1/objects/by-key/models/acme/a").await;
    refused.refused(503, "unavailable", None);
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn metrics_are_text() {
    let server = Server::open().await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.is(200).body, "activestorage_test 1\n");
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
}

/// A label for every namespace in a request would let a client make as many labels as it likes.
#[tokio::test]
async fn only_namespaces_that_exist_become_labels() {
    let server = Server::open().await;
    let label = |request: http::request::Builder| {
        let sent = server.raw(request.body(Body::from("x")).unwrap());
        async { sent.await.extensions().get::<NamespaceLabel>().map(|label| label.0.to_string()) }
    };
    let missing = "/v1/objects/by-key/nowhere/acme/a";
    assert_eq!(label(call("GET", missing)).await, None);
    assert_eq!(label(call("GET", "/v1/objects?namespace=nowhere&tenant=acme")).await, None);
    let models = Some("models".to_owned());
    assert_eq!(label(post().header("X-Key", "a")).await, models);
    assert_eq!(label(call("GET", "/v1/objects/by-key/models/acme/a")).await, models);
    assert_eq!(label(call("GET", "/v1/objects?namespace=models&tenant=acme")).await, models);
    assert_eq!(label(post().header("X-Key", "a").header("If-None-Match", "*")).await, models);
    let range = call("GET", "/v1/objects/by-key/models/acme/a").header("Range", "bytes=9-");
    assert_eq!(label(range).await, models);
    let huge =
        call("POST", "/v1/objects").header("X-Namespace", "nowhere").header("Content-Length", 6_u64 << 30);
    assert_eq!(label(huge).await, None);
    assert_eq!(label(call("DELETE", "/v1/objects/by-key/models/acme/a")).await, models);
}
