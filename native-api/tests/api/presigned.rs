//! Signed URLs: they need no header, do one thing on one object, and end with what they were made with.

use axum::body::Body;
use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use crate::support::{Answer, Server, bare};

const KEY: &str = "dir/a b+c%d/ü?#.txt";

async fn sign(server: &Server, token: Option<&str>, body: &Value) -> Answer {
    let mut request =
        bare("POST", "/v1/presign").header("Content-Type", "application/json").header("Host", "x.test:80");
    if let Some(token) = token {
        request = request.header("X-Api-Key", token);
    }
    server.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn by_key(method: &str) -> Value {
    json!({ "method": method, "namespace": "models", "tenant": "acme", "key": KEY })
}

/// The path of a fresh URL.
async fn path(server: &Server, token: &str, body: &Value) -> String {
    let signed = sign(server, Some(token), body).await.json(201);
    let path = signed["path"].as_str().unwrap().to_owned();
    server.watch.made(path.split_once("js-signature=").unwrap().1);
    assert_eq!(signed["url"], format!("http://x.test:80{path}"));
    assert_eq!(signed["method"], body["method"]);
    assert!(signed["expires_at"].as_str().unwrap().ends_with('Z'));
    path
}

async fn plain(server: &Server, method: &str, path: &str, body: &'static str) -> Answer {
    server.send(bare(method, path).body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_url_does_what_it_was_made_for_and_nothing_else() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,write,delete", None).await;
    let put = path(&server, &token, &by_key("PUT")).await;
    let written = plain(&server, "PUT", &put, "bytes").await.json(201);
    assert_eq!((written["key"].as_str(), written["tenant_id"].as_str()), (Some(KEY), Some("acme")));

    let get = path(&server, &token, &by_key("GET")).await;
    assert_eq!(plain(&server, "GET", &get, "").await.is(200).body, "bytes");
    plain(&server, "HEAD", &get, "").await.is(200);
    for (method, path) in [("PUT", &get), ("DELETE", &get), ("GET", &put), ("DELETE", &put)] {
        plain(&server, method, path, "").await.refused(401, "unauthenticated", None);
    }

    let id = written["id"].as_str().unwrap();
    let by_id = path(&server, &token, &json!({ "method": "GET", "id": id })).await;
    assert_eq!(plain(&server, "GET", &by_id, "").await.is(200).body, "bytes");
    let delete = path(&server, &token, &json!({ "method": "DELETE", "id": id, "expires_in": 1 })).await;
    plain(&server, "DELETE", &delete, "").await.is(204);
    plain(&server, "GET", &by_id, "").await.refused(404, "object_not_found", None);
}

#[tokio::test]
async fn a_url_that_was_tampered_with_is_refused() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,write,delete", None).await;
    let put = path(&server, &token, &by_key("PUT")).await;
    let id = plain(&server, "PUT", &put, "bytes").await.json(201)["id"].as_str().unwrap().to_owned();
    let get = path(&server, &token, &by_key("GET")).await;
    let by_id = path(&server, &token, &json!({ "method": "GET", "id": id })).await;
    let (object, query) = get.split_once('?').unwrap();
    let signature = query.split_once("js-signature=").unwrap().1;
    let mut tampered = vec![
        get.replace("/acme/", "/evil/"),
        get.replace("/models/", "/other/"),
        get.replace("txt?", "tx?"),
        get.replace("js-expires=1", "js-expires=2"),
        get.replace("js-maker=k", "js-maker=n"),
        get.replace("js-maker=k", "js-maker=j"),
        get.replace("js-expires=", "js-expires=-"),
        get.replace("js-maker=", "js-maker=x"),
        format!("{get}&js-expires=9999999999"),
        format!("{get}x"),
        format!("{object}?js-signature={signature}"),
        format!("{object}?js-signature="),
        get.replace(signature, &"A".repeat(signature.len())),
        get.replace(signature, "!!"),
        by_id.replace("acme", "evil"),
        by_id.replace("models", "other"),
        by_id.replace("js-space", "js-spice"),
        by_id.replace(&id, "018bcfe5-687b-7fff-bfff-ffffffffffff"),
    ];
    for at in 0..signature.len() {
        let mut changed = signature.as_bytes().to_vec();
        // Not by the lowest bits, which the last character of base64 does not use.
        changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
        tampered.push(get.replace(signature, std::str::from_utf8(&changed).unwrap()));
    }
    for path in tampered {
        plain(&server, "GET", &path, "").await.refused(401, "unauthenticated", None);
    }
    for path in ["/v1/usage?".to_owned() + query, format!("/v1/objects?{query}&namespace=models&tenant=acme")]
    {
        plain(&server, "GET", &path, "").await.refused(400, "invalid_query", None);
    }
    let both = bare("GET", &get).header("X-Api-Key", &token).body(Body::empty()).unwrap();
    server.send(both).await.refused(401, "unauthenticated", None);
    plain(&server, "GET", &get, "").await.is(200);
}

#[tokio::test]
async fn only_who_has_the_right_signs() {
    let server = Server::with(AuthMode::Required).await;
    let reader = server.token("acme", "read", None).await;
    let elsewhere = server.token("acme", "read,write,delete", Some(&["team-*"])).await;
    let stranger = server.token("evil", "read,write,delete,admin", None).await;
    sign(&server, None, &by_key("GET")).await.refused(401, "unauthenticated", None);
    sign(&server, Some(&reader), &by_key("PUT")).await.refused(403, "forbidden", None);
    sign(&server, Some(&reader), &by_key("DELETE")).await.refused(403, "forbidden", None);
    sign(&server, Some(&elsewhere), &by_key("GET")).await.refused(404, "object_not_found", None);
    sign(&server, Some(&stranger), &by_key("GET")).await.refused(404, "object_not_found", None);
    let id = json!({ "method": "GET", "id": "018bcfe5-687b-7fff-bfff-ffffffffffff" });
    sign(&server, Some(&reader), &id).await.refused(404, "object_not_found", None);
    for (change, field) in [
        (json!({ "method": "POST" }), "method"),
        (json!({ "method": "HEAD" }), "method"),
        (json!({ "method": "GET", "expires_in": 0 }), "expires_in"),
        (json!({ "method": "GET", "expires_in": 604_801 }), "expires_in"),
        (json!({ "method": "GET", "id": "018bcfe5-687b-7fff-bfff-ffffffffffff" }), "target"),
    ] {
        let mut body = by_key("GET");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        sign(&server, Some(&reader), &body).await.refused(400, &format!("invalid_{field}"), Some(field));
    }
}

#[tokio::test]
async fn a_url_ends_with_the_key_it_was_made_with() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,write", None).await;
    let put = path(&server, &token, &by_key("PUT")).await;
    plain(&server, "PUT", &put, "bytes").await.is(201);
    let key = server.access.list_keys(None).await.unwrap().remove(0);
    server.access.revoke_key(key.id).await.unwrap();
    plain(&server, "PUT", &put, "bytes").await.refused(401, "unauthenticated", None);
}

/// A URL that is bound to a type, a size or a free key holds every upload to it, before a byte of it is read; one that
/// announces no length is cut off.
#[tokio::test]
async fn a_signed_upload_keeps_to_its_bounds() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,write", None).await;
    let bound = |bounds: Value| {
        let mut body = by_key("PUT");
        body.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
        body
    };
    let typed = path(&server, &token, &bound(json!({ "content_type": "image/png", "size_max": 5 }))).await;
    let put = async |path: &str, content_type: Option<&str>, body: Body| {
        let mut request = bare("PUT", path);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        server.send(request.body(body).unwrap()).await
    };
    let unread = || {
        let stream =
            futures::stream::poll_fn(|_| -> std::task::Poll<Option<Result<bytes::Bytes, std::io::Error>>> {
                panic!("the body is read")
            });
        Body::from_stream(stream)
    };
    put(&typed, Some("text/html"), unread()).await.refused(403, "out_of_bounds", Some("Content-Type"));
    let long = bare("PUT", &typed).header("Content-Length", "6").body(unread()).unwrap();
    server.send(long).await.refused(413, "body_too_large", None);
    let chunks = || futures::stream::iter(["123", "456", "789"].map(Ok::<_, std::io::Error>));
    put(&typed, None, Body::from_stream(chunks())).await.refused(413, "body_too_large", None);
    let get = path(&server, &token, &by_key("GET")).await;
    plain(&server, "GET", &get, "").await.refused(404, "object_not_found", None);
    assert_eq!(put(&typed, None, Body::from("12345")).await.json(201)["content_type"], "image/png");
    assert_eq!(put(&typed, Some("image/png"), Body::from("1")).await.json(201)["size_bytes"], 1);

    let fresh = path(&server, &token, &bound(json!({ "if_none_match": true }))).await;
    put(&fresh, None, unread()).await.refused(412, "precondition_failed", None);
    let any = bare("PUT", &fresh).header("If-Match", "*").body(Body::from("x")).unwrap();
    server.send(any).await.refused(412, "precondition_failed", None);

    // What bounds it is signed.
    let whole =
        path(&server, &token, &bound(json!({ "content_type": "a/b", "size_max": 5, "if_none_match": true })))
            .await;
    for (part, other) in [
        ("js-size-max=5", "js-size-max=6"),
        ("js-size-max=5&", ""),
        ("js-content-type=a%2Fb", "js-content-type=a%2Fc"),
        ("js-content-type=a%2Fb&", ""),
        ("js-if-none-match=%2A&", ""),
        ("js-if-none-match=%2A", "js-if-none-match=%2A&js-if-none-match=%2A"),
        ("js-size-max=5", "js-size-max=x"),
    ] {
        assert!(whole.contains(part), "{part}");
        put(&whole.replace(part, other), None, Body::from("1")).await.refused(401, "unauthenticated", None);
    }
    let unbound = path(&server, &token, &by_key("PUT")).await;
    let more = format!("{unbound}&js-size-max=5");
    put(&more, None, Body::from("1")).await.refused(401, "unauthenticated", None);
    for (bounds, field) in [
        (json!({ "method": "GET", "size_max": 5 }), "method"),
        (json!({ "method": "DELETE", "if_none_match": true }), "method"),
        (json!({ "size_max": 5_368_709_121_u64 }), "size_max"),
        (json!({ "content_type": "" }), "content_type"),
        (json!({ "content_type": "a\nb" }), "content_type"),
    ] {
        let token = server.token("acme", "read,write,delete", None).await;
        let refused = sign(&server, Some(&token), &bound(bounds)).await;
        refused.refused(400, &format!("invalid_{field}"), Some(field));
    }
    let unknown = sign(&server, Some(&token), &bound(json!({ "size_min": 5 }))).await;
    unknown.refused(400, "invalid_json", None);
    let negative = sign(&server, Some(&token), &bound(json!({ "size_max": -1 }))).await;
    negative.refused(400, "invalid_json", None);
}
