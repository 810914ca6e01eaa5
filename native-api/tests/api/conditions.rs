//! Conditional requests and ranges.

use axum::body::Body;

use crate::support::{Answer, Server, call, post};

const PATH: &str = "/v1/objects/by-key/models/acme/a";

async fn get_with(server: &Server, headers: &[(&str, &str)]) -> Answer {
    let mut request = call("GET", PATH);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(Body::empty()).unwrap()).await
}

async fn put_with(server: &Server, name: &str, value: &str) -> Answer {
    server.send(post().header("X-Key", "a").header(name, value).body(Body::from("new")).unwrap()).await
}

#[tokio::test]
async fn a_client_with_the_current_copy_gets_304_and_no_body() {
    let server = Server::open().await;
    let etag = server.put("a", "hello").await.header("etag").to_owned();
    for (name, value) in [
        ("If-None-Match", etag.as_str()),
        ("If-None-Match", "*"),
        ("If-None-Match", &format!("\"other\", W/{etag}")),
        ("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ] {
        let answer = get_with(&server, &[(name, value)]).await;
        assert!(answer.is(304).body.is_empty(), "{name}: {value}");
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.header("last-modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(answer.header("content-type"), "");
    }
    get_with(&server, &[("If-None-Match", "\"other\"")]).await.is(200);
    get_with(&server, &[("If-Modified-Since", "Tue, 14 Nov 2023 22:13:19 GMT")]).await.is(200);
    get_with(&server, &[("If-Modified-Since", "some day")]).await.is(200);
}

#[tokio::test]
async fn a_condition_that_fails_is_412() {
    let server = Server::open().await;
    let etag = server.put("a", "hello").await.header("etag").to_owned();
    get_with(&server, &[("If-Match", &etag)]).await.is(200);
    get_with(&server, &[("If-Match", "\"other\"")]).await.refused(412, "precondition_failed", None);
    let early = "Tue, 14 Nov 2023 22:13:19 GMT";
    get_with(&server, &[("If-Unmodified-Since", early)]).await.refused(412, "precondition_failed", None);
    get_with(&server, &[("If-Match", "no tag")]).await.refused(400, "invalid_if_match", Some("If-Match"));
}

#[tokio::test]
async fn writes_and_deletes_obey_conditions() {
    let server = Server::open().await;
    put_with(&server, "If-Match", "\"any\"").await.refused(404, "object_not_found", None);
    let etag = put_with(&server, "If-None-Match", "*").await.is(201).header("etag").to_owned();
    put_with(&server, "If-None-Match", "*").await.refused(412, "precondition_failed", None);
    put_with(&server, "If-Match", "\"other\"").await.refused(412, "precondition_failed", None);
    put_with(&server, "If-Match", &etag).await.is(201);
    let delete =
        |tag: &str| server.send(call("DELETE", PATH).header("If-Match", tag).body(Body::empty()).unwrap());
    delete("\"other\"").await.refused(412, "precondition_failed", None);
    delete(&etag).await.is(204);
}

/// A condition that is present and says nothing lets no write through; `""` is a tag that no object has.
#[tokio::test]
async fn an_empty_condition_never_overwrites() {
    let server = Server::open().await;
    server.put("a", "old").await.is(201);
    for (name, code) in [("If-Match", "invalid_if_match"), ("If-None-Match", "invalid_if_none_match")] {
        put_with(&server, name, "").await.refused(400, code, Some(name));
        let delete = call("DELETE", PATH).header(name, "").body(Body::empty()).unwrap();
        server.send(delete).await.refused(400, code, Some(name));
    }
    for tag in ["\"\"", "W/\"\""] {
        put_with(&server, "If-Match", tag).await.refused(412, "precondition_failed", None);
    }
    assert_eq!(get_with(&server, &[]).await.is(200).body, "old");
}

#[tokio::test]
async fn a_suffix_of_nothing_is_nothing() {
    let server = Server::open().await;
    server.put("a", "").await.is(201);
    let answer = get_with(&server, &[("Range", "bytes=-5")]).await;
    assert_eq!(answer.is(200).body, "");
    assert_eq!(answer.header("content-length"), "0");
    get_with(&server, &[("Range", "bytes=0-")]).await.refused(416, "range_not_satisfiable", None);
}

#[tokio::test]
async fn ranges_answer_206_with_exactly_their_bytes() {
    let server = Server::open().await;
    let etag = server.put("a", "0123456789").await.header("etag").to_owned();
    for (range, body, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=5-999", "56789", "bytes 5-9/10"),
    ] {
        let answer = get_with(&server, &[("Range", range)]).await;
        assert_eq!(answer.is(206).body, body, "{range}");
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.header("content-length"), body.len().to_string());
        let head = call("HEAD", PATH).header("Range", range).body(Body::empty()).unwrap();
        assert_eq!(server.send(head).await.is(206).headers, answer.headers);
    }
    for range in ["bytes=10-", "bytes=-0"] {
        let answer = get_with(&server, &[("Range", range)]).await;
        answer.refused(416, "range_not_satisfiable", None);
        assert_eq!(answer.header("content-range"), "bytes */10");
    }
    for ignored in ["bytes=0-1,3-4", "lines=0-1", "bytes=5-2"] {
        assert_eq!(get_with(&server, &[("Range", ignored)]).await.is(200).body, "0123456789");
    }
    let range = ("Range", "bytes=1-2");
    get_with(&server, &[range, ("If-Range", &etag)]).await.is(206);
    get_with(&server, &[range, ("If-Range", "\"other\"")]).await.is(200);
    get_with(&server, &[range, ("If-Range", "Tue, 14 Nov 2023 22:13:20 GMT")]).await.is(200);
}
