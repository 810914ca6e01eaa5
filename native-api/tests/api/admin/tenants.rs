//! Buckets, limits and figures of tenants.

use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use super::{ask, get};
use crate::support::Server;

#[tokio::test]
async fn buckets_come_and_go() {
    let server = Server::open().await;
    let path = "/v1/admin/buckets";
    for name in ["a", "b", "c"].map(|name| format!("bucket-{name}")) {
        let made = server.json("POST", path, &json!({ "name": name, "namespace": "models" })).await;
        assert_eq!(made.header("location"), format!("{path}/{name}"));
        let made = made.json(201);
        assert_eq!((&made["namespace"], &made["tenant"]), (&json!("models"), &json!("acme")));
        assert_eq!(server.get(&format!("{path}/{name}")).await.json(200), made);
    }
    let first = server.get(&format!("{path}?limit=2&prefix=bucket-")).await.json(200);
    assert_eq!(first["next_cursor"], "bucket-b");
    let rest = server.get(&format!("{path}?limit=2&cursor=bucket-b")).await.json(200);
    assert_eq!((&rest["buckets"][0]["name"], &rest["next_cursor"]), (&json!("bucket-c"), &Value::Null));
    assert_eq!(server.get(&format!("{path}?tenant=acme&prefix=x")).await.json(200)["buckets"], json!([]));

    server.json("POST", path, &json!({ "name": "bucket-a" })).await.refused(409, "bucket_exists", None);
    server.json("POST", path, &json!({ "name": "Up" })).await.refused(400, "invalid_bucket", Some("bucket"));
    server.put("k", "bytes").await.is(201);
    let delete = async |name: &str| server.json("DELETE", &format!("{path}/{name}"), &json!({})).await;
    delete("bucket-a").await.refused(409, "bucket_not_empty", None);
    let object = crate::support::call("DELETE", "/v1/objects/by-key/models/acme/k");
    server.send(object.body(axum::body::Body::empty()).unwrap()).await.is(204);
    delete("bucket-a").await.is(204);
    delete("bucket-a").await.refused(404, "bucket_not_found", None);
    server.get(&format!("{path}/bucket-a")).await.refused(404, "bucket_not_found", None);
}

#[tokio::test]
async fn limits_are_set_one_by_one() {
    let server = Server::with(AuthMode::Required).await;
    let (admin, operator) =
        (server.token("acme", "read,write,admin", None).await, server.token("ops", "operator", None).await);
    let put = http::Request::put("/v1/objects/by-key/models/acme/k").header("X-Api-Key", &admin);
    server.send(put.body(axum::body::Body::from("bytes")).unwrap()).await.is(201);
    let path = "/v1/admin/limits/acme";
    let set = |body: Value| {
        let (server, operator) = (&server, &operator);
        async move { ask(server, operator, "PUT", path, Some(&body)).await }
    };
    let now = set(json!({ "quota_bytes": 100, "requests_per_second": "unlimited" })).await.json(200);
    assert_eq!((&now["quota_bytes"], &now["requests_per_second"]), (&json!(100), &json!("unlimited")));
    assert_eq!(now["use"], json!({ "bytes": 5, "objects": 1 }));
    assert_eq!(
        (&now["effective"]["quota_bytes"], &now["effective"]["requests_per_second"]),
        (&json!(100), &Value::Null)
    );
    // What is not named stays; null is the default again.
    let now = set(json!({ "quota_objects": 7, "requests_per_second": null })).await.json(200);
    assert_eq!(now["quota_bytes"], 100);
    assert_eq!((&now["quota_objects"], &now["requests_per_second"]), (&json!(7), &Value::Null));
    assert_eq!(get(&server, &admin, path).await.json(200), now);
    let listed = get(&server, &admin, "/v1/admin/limits").await.json(200);
    assert_eq!((&listed["limits"], &listed["next_cursor"]), (&json!([now]), &Value::Null));
    assert_eq!(listed["defaults"]["quota_bytes"], Value::Null);
    // An operator sees every tenant that stores something, has limits or has a credential.
    let all = get(&server, &operator, "/v1/admin/limits?limit=1").await.json(200);
    assert_eq!((&all["limits"][0]["tenant"], &all["next_cursor"]), (&json!("acme"), &json!("acme")));
    let rest = get(&server, &operator, "/v1/admin/limits?cursor=acme").await.json(200);
    assert_eq!(rest["limits"][0]["tenant"], "ops");

    for (body, code) in [
        (json!({ "requests_per_second": 0 }), "invalid_requests_per_second"),
        (json!({ "quota_bytes": "much" }), "invalid_quota_bytes"),
        (json!({ "upload_bytes_per_second": 1 }), "invalid_upload_bytes_per_second"),
    ] {
        set(body).await.refused(400, code, code.strip_prefix("invalid_"));
    }
    set(json!({ "quota": 1 })).await.refused(400, "invalid_json", None);
    set(json!({ "quota_bytes": -1 })).await.refused(400, "invalid_json", None);
}

#[tokio::test]
async fn figures_show_what_deduplication_saves() {
    let server = Server::with(AuthMode::Required).await;
    let (reader, operator) =
        (server.token("acme", "read,write", None).await, server.token("ops", "operator", None).await);
    for key in ["a", "b"] {
        let put =
            http::Request::put(format!("/v1/objects/by-key/models/acme/{key}")).header("X-Api-Key", &reader);
        server.send(put.body(axum::body::Body::from("the same bytes")).unwrap()).await.is(201);
    }
    let own = get(&server, &reader, "/v1/admin/usage").await.json(200);
    assert_eq!((&own["total"]["logical_bytes"], &own["total"]["saved_bytes"]), (&json!(28), &json!(14)));
    assert_eq!((&own["volumes"], &own["retained"]), (&Value::Null, &Value::Null));
    assert_eq!(
        own["spaces"],
        json!([{
            "namespace": "models", "tenant": "acme", "storage_class": "hot", "objects": 2, "logical_bytes": 28,
            "physical_bytes": 14, "saved_bytes": 14, "upload_bytes": 0, "delete_markers": 0,
        }])
    );
    // An operator reads no object, and sees every figure.
    let all = get(&server, &operator, "/v1/admin/usage?tenant=acme&namespace=models").await.json(200);
    assert_eq!(all["total"], own["total"]);
    assert_eq!(all["retained"], json!({ "segments": 0, "bytes": 0 }));
    assert!(all["volumes"].is_array());
    get(&server, &operator, "/v1/objects/by-key/models/acme/a").await.is(404);
}
