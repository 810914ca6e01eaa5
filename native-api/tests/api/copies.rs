//! Copying.

use axum::body::Body;
use serde_json::json;

use crate::support::{Server, call, post};

#[tokio::test]
async fn a_copy_carries_what_its_source_carries_unless_told_otherwise() {
    let server = Server::open().await;
    let request = post()
        .header("X-Key", "a")
        .header("Content-Type", "text/plain")
        .header("X-Meta-Owner", "me")
        .body(Body::from("hello"))
        .unwrap();
    let source = server.send(request).await.json(201);
    let by_id = json!({"source": {"id": source["id"]}, "destination": {"namespace": "other", "tenant": "acme", "key": "b"}});
    let answer = server.json("POST", "/v1/objects/copy", &by_id).await;
    let copy = answer.json(201);
    assert_eq!(answer.header("location"), format!("/v1/objects/{}", copy["id"].as_str().unwrap()));
    assert_ne!(copy["id"], source["id"]);
    for field in ["content_hash", "size_bytes", "etag", "content_type", "metadata"] {
        assert_eq!(copy[field], source[field], "{field}");
    }
    assert_eq!(server.get("/v1/objects/by-key/other/acme/b").await.is(200).body, "hello");

    let by_key = json!({
        "source": {"namespace": "models", "tenant": "acme", "key": "a"},
        "destination": {"namespace": "models", "tenant_id": "acme"},
        "storage_class": "cold",
        "metadata": {"new": "1"},
    });
    let copy = server.json("POST", "/v1/objects/copy", &by_key).await.json(201);
    assert_eq!(copy["key"], json!(null));
    assert_eq!(copy["storage_class"], "cold");
    assert_eq!(copy["metadata"], json!({"new": "1"}));
    assert_eq!(copy["content_type"], "text/plain");

    let guarded = call("POST", "/v1/objects/copy")
        .header("Content-Type", "application/json")
        .header("If-None-Match", "*")
        .body(Body::from(by_id.to_string()))
        .unwrap();
    server.send(guarded).await.refused(412, "precondition_failed", None);
}

#[tokio::test]
async fn what_cannot_be_copied_is_named() {
    let server = Server::open().await;
    server.put("a", "x").await.is(201);
    let to = json!({"namespace": "models", "tenant": "acme", "key": "b"});
    let copy = |source: serde_json::Value| {
        let (server, body) = (&server, json!({"source": source, "destination": to}));
        async move { server.json("POST", "/v1/objects/copy", &body).await }
    };
    copy(json!({})).await.refused(400, "invalid_source", Some("source"));
    copy(json!({"id": "x"})).await.refused(400, "invalid_id", Some("id"));
    let missing = json!({"namespace": "models", "tenant": "acme", "key": "none"});
    copy(missing).await.refused(404, "object_not_found", None);
    // Another tenant's object is as good as none, also where authentication is disabled.
    let foreign = post_as("evil", &server).await;
    copy(json!({"id": foreign})).await.refused(404, "object_not_found", None);
    let body = json!({"source": {"id": foreign}, "destination": {"namespace": "models", "tenant": "evil"}});
    server.json("POST", "/v1/objects/copy", &body).await.refused(400, "tenant_mismatch", Some("X-Tenant"));
}

async fn post_as(tenant: &str, server: &Server) -> String {
    let request = crate::support::bare("POST", "/v1/objects")
        .header("X-Tenant", tenant)
        .header("X-Namespace", "models")
        .header("X-Key", "a")
        .body(Body::from("secret"))
        .unwrap();
    server.send(request).await.json(201)["id"].as_str().unwrap().to_owned()
}
