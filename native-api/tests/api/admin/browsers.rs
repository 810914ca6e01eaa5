//! Pages of other origins, where authentication is disabled.

use axum::body::Body;
use juststorage_core::application::access::AuthMode;
use serde_json::json;

use crate::support::{Server, bare, call};

/// Every call of the document, as a page of another origin would send it: none reaches its handler.
#[tokio::test]
async fn no_call_is_reached_by_a_page_of_another_origin() {
    let server = Server::open().await;
    server.put("k", "bytes").await.is(201);
    let [document, _] = juststorage_native_api::openapi();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, _) in item.as_object().unwrap() {
            let path = path.replace("{namespace}/{tenant}/{key}", "models/acme/k").replace(['{', '}'], "");
            let method = method.to_uppercase();
            let send = |name: &'static str, value: &'static str| {
                let request =
                    call(&method, &path).header("Content-Type", "application/json").header(name, value);
                server.send(request.body(Body::empty()).unwrap())
            };
            for (name, value, status) in [
                ("Host", "evil.example:8080", 421),
                ("Origin", "http://evil.example", 403),
                ("Origin", "null", 403),
                ("Sec-Fetch-Site", "cross-site", 403),
            ] {
                let answer = send(name, value).await;
                assert_eq!(answer.status.as_u16(), status, "{method} {path} with {name}: {value}");
            }
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
    assert_eq!(server.get("/v1/objects/by-key/models/acme/k").await.is(200).body, "bytes");
}

/// What a form or a script sends without asking first.
#[tokio::test]
async fn a_request_that_a_browser_sends_unasked_changes_nothing() {
    let server = Server::open().await;
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data")]
    {
        for path in
            ["/v1/admin/buckets", "/v1/admin/workers/scrub/run", "/v1/admin/stuck/retry", "/v1/uploads"]
        {
            let mut request = bare("POST", path);
            if let Some(content_type) = content_type {
                request = request.header("Content-Type", content_type);
            }
            let body = json!({ "name": "by-a-page", "all": true }).to_string();
            server.send(request.body(Body::from(body)).unwrap()).await.refused(403, "simple_request", None);
        }
    }
    assert_eq!(server.get("/v1/admin/buckets").await.json(200)["buckets"], json!([]));
    assert_eq!(server.get("/v1/admin/workers").await.json(200)["scrub"], json!(null));
    // The same by a program, and by our own page.
    server.json("POST", "/v1/admin/buckets", &json!({ "name": "by-a-program" })).await.is(201);
    let own = call("POST", "/v1/admin/workers/scrub/run").header("Origin", "http://localhost");
    server.send(own.header("Sec-Fetch-Site", "same-origin").body(Body::empty()).unwrap()).await.is(202);
    assert_eq!(server.get("/v1/admin/workers").await.json(200)["scrub"]["number"], 1);
}

/// Where credentials are asked for, a page has none: it may be of any origin, and the server of any name.
#[tokio::test]
async fn where_credentials_are_asked_for_origins_say_nothing() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read", None).await;
    let request = bare("GET", "/v1/admin/whoami").header("Host", "store.example").header("X-Api-Key", &token);
    server
        .send(request.header("Origin", "https://console.example").body(Body::empty()).unwrap())
        .await
        .is(200);
}
