//! Bad input: each is told what is wrong, and nothing is stored.

use axum::body::Body;
use serde_json::json;

use crate::support::{Server, bare, call, post};

async fn nothing_is_stored(server: &Server) {
    let listed = server.get("/v1/objects?namespace=models&tenant=acme").await.json(200);
    assert_eq!(listed["objects"], json!([]));
}

/// HTTP/1.1 names its host exactly once (RFC 9112 section 3.2).
#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::open().await;
    for (hosts, status) in [(0, 400), (1, 200), (2, 400)] {
        let mut request = bare("GET", "/v1/openapi.json");
        for host in ["a.localhost", "b.localhost"].iter().take(hosts) {
            request = request.header("Host", *host);
        }
        let answer = server.as_it_stands(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status().as_u16(), status, "{hosts} hosts");
    }
    let old = bare("GET", "/v1/openapi.json").version(http::Version::HTTP_10).body(Body::empty()).unwrap();
    assert_eq!(server.as_it_stands(old).await.status().as_u16(), 200, "HTTP/1.0 need not name one");
}

#[tokio::test]
async fn bad_addresses_name_their_field() {
    let server = Server::open().await;
    let bare_post = || bare("POST", "/v1/objects");
    let send = |request: http::request::Builder| server.send(request.body(Body::from("x")).unwrap());
    send(bare_post().header("X-Tenant", "acme")).await.refused(400, "missing_header", Some("X-Namespace"));
    send(bare_post().header("X-Namespace", "models")).await.refused(400, "missing_header", Some("X-Tenant"));
    let upper = bare_post().header("X-Namespace", "Models").header("X-Tenant", "acme");
    send(upper).await.refused(400, "invalid_namespace", Some("namespace"));
    let dots = bare_post().header("X-Namespace", "models").header("X-Tenant", "../x");
    send(dots).await.refused(400, "invalid_tenant", Some("tenant"));
    send(post().header("X-Key", "k".repeat(1025))).await.refused(400, "invalid_key", Some("key"));
    send(post().header("X-Key", "")).await.refused(400, "invalid_key", Some("key"));
    send(post().header("X-Key", &b"\xff"[..])).await.refused(400, "invalid_key", Some("X-Key"));
    send(post().header("X-Key", "a").header("X-Key", "b")).await.refused(400, "invalid_key", Some("X-Key"));
    for (key, field) in [("a%00b", "key"), ("%ff", "key"), ("", "key")] {
        let path = format!("/v1/objects/by-key/models/acme/{key}");
        server.get(&path).await.refused(400, "invalid_key", Some(field));
    }
    let long = format!("/v1/objects/by-key/models/acme/{}", "k".repeat(1025));
    server.get(&long).await.refused(400, "invalid_key", Some("key"));
    server.get("/v1/objects/by-key/Models/acme/a").await.refused(400, "invalid_namespace", Some("namespace"));
    server.get("/v1/objects/not-a-uuid").await.refused(400, "invalid_id", Some("id"));
    nothing_is_stored(&server).await;
}

#[tokio::test]
async fn bad_attributes_name_their_field() {
    let server = Server::open().await;
    let send = |request: http::request::Builder| server.send(request.body(Body::from("x")).unwrap());
    let class = Some("storage_class");
    send(post().header("X-Storage-Class", "warm")).await.refused(400, "invalid_storage_class", class);
    let much = post().header("X-Meta-A", "v".repeat(2048));
    send(much).await.refused(400, "invalid_metadata", Some("metadata"));
    let binary = post().header("X-Meta-A", &b"\xff\xfe"[..]);
    send(binary).await.refused(400, "invalid_metadata", Some("metadata"));
    let digest = post().header("X-Content-SHA256", "abc");
    send(digest).await.refused(400, "invalid_content_sha256", Some("X-Content-SHA256"));
    nothing_is_stored(&server).await;
}

#[tokio::test]
async fn bodies_that_are_not_what_they_say_are_refused() {
    let server = Server::open().await;
    let wrong = post().header("X-Key", "a").header("X-Content-SHA256", "00".repeat(32));
    let answer = server.send(wrong.body(Body::from("x")).unwrap()).await;
    assert_eq!(answer.json(400)["code"], "digest_mismatch");
    let short = post().header("X-Key", "a").header("Content-Length", "10");
    server.send(short.body(Body::from("x")).unwrap()).await.refused(400, "body_too_short", None);
    let huge = post().header("X-Key", "a").header("Content-Length", (6_u64 << 30).to_string());
    server.send(huge.body(Body::from("x")).unwrap()).await.refused(413, "body_too_large", None);
    let broken = futures::stream::iter([Ok("part"), Err(std::io::Error::other("gone"))]);
    let gone = post().header("X-Key", "a").body(Body::from_stream(broken)).unwrap();
    server.send(gone).await.refused(400, "body_unreadable", None);
    nothing_is_stored(&server).await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let server = Server::open().await;
    for path in ["/console/no-such-file.js", "/v1", "/v2/objects", "/v1/objects/a/b", "/v1/uploads/x/y/z"] {
        server.get(path).await.refused(404, "path_not_found", None);
    }
    for (method, path, allowed) in [
        ("PUT", "/v1/objects", ["POST", "GET"]),
        ("POST", "/v1/objects/by-key/models/acme/a", ["GET", "DELETE"]),
        ("PATCH", "/v1/uploads/x", ["GET", "DELETE"]),
    ] {
        let answer = server.send(call(method, path).body(Body::empty()).unwrap()).await;
        answer.refused(405, "method_not_allowed", None);
        for allowed in allowed {
            assert!(answer.header("allow").contains(allowed), "{method} {path}: {}", answer.header("allow"));
        }
    }
}

#[tokio::test]
async fn json_is_bounded_and_strict() {
    let server = Server::open().await;
    let path = "/v1/objects/copy";
    let send = |kind: &'static str, body: String| {
        server.send(call("POST", path).header("Content-Type", kind).body(Body::from(body)).unwrap())
    };
    send("application/json", "{".into()).await.refused(400, "invalid_json", None);
    send("application/json", String::new()).await.refused(400, "invalid_json", None);
    send("application/json", "{\"source\": 1}".into()).await.refused(400, "invalid_json", None);
    send("text/plain", "{}".into()).await.refused(415, "unsupported_media_type", None);
    let long = format!("\"{}\"", "x".repeat(3 << 20));
    send("application/json", long).await.refused(413, "body_too_large", None);
}

#[tokio::test]
async fn a_problem_carries_the_request_id() {
    let server = Server::open().await;
    let request = call("GET", "/nowhere").header("X-Request-Id", "r-1").body(Body::empty()).unwrap();
    assert_eq!(server.send(request).await.json(404)["request_id"], "r-1");
    assert!(server.get("/nowhere").await.json(404).get("request_id").is_none());
    let head = call("HEAD", "/v1/objects/by-key/models/acme/none").body(Body::empty()).unwrap();
    let answer = server.send(head).await;
    assert!(answer.is(404).body.is_empty(), "HEAD has no body, errors included");
}
