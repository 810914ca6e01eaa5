//! Writing, reading, changing and deleting objects.

use axum::body::Body;
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::{Server, call, noise, post};

const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[tokio::test]
async fn an_object_comes_back_as_it_was_written() {
    let server = Server::open().await;
    let request = post()
        .header("X-Key", "docs/größe.txt")
        .header("X-Storage-Class", "cold")
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Content-Language", "de")
        .header("Content-Encoding", "identity")
        .header("Content-Disposition", "attachment; filename=\"a.txt\"")
        .header("Cache-Control", "max-age=60")
        .header("Expires", "Wed, 21 Oct 2026 07:28:00 GMT")
        .header("X-Meta-Owner", "zoë".as_bytes())
        .header("X-Content-SHA256", HELLO_SHA256)
        .body(Body::from("hello"))
        .unwrap();
    let written = server.send(request).await;
    let object = written.json(201);
    let id = object["id"].as_str().unwrap();
    assert_eq!(written.header("location"), format!("/v1/objects/{id}"));
    assert_eq!(written.header("etag"), object["etag"].as_str().unwrap());
    for (field, value) in [
        ("namespace", json!("models")),
        ("tenant_id", json!("acme")),
        ("key", json!("docs/größe.txt")),
        ("content_hash", json!(format!("sha256:{HELLO_SHA256}"))),
        ("size_bytes", json!(5)),
        ("storage_class", json!("cold")),
        ("content_type", json!("text/plain; charset=utf-8")),
        ("metadata", json!({"owner": "zoë"})),
        ("created_at", json!("2023-11-14T22:13:20Z")),
        ("is_latest", json!(true)),
    ] {
        assert_eq!(object[field], value, "{field}");
    }
    for path in
        [format!("/v1/objects/{id}"), "/v1/objects/by-key/models/acme/docs/gr%C3%B6%C3%9Fe.txt".into()]
    {
        let read = server.get(&path).await;
        assert_eq!(read.is(200).body, "hello");
        let head = server.send(call("HEAD", &path).body(Body::empty()).unwrap()).await;
        assert!(head.is(200).body.is_empty());
        assert_eq!(head.headers, read.headers, "HEAD answers what GET does");
        for (name, value) in [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-language", "de"),
            ("content-encoding", "identity"),
            ("content-disposition", "attachment; filename=\"a.txt\""),
            ("cache-control", "max-age=60"),
            ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("content-length", "5"),
            ("accept-ranges", "bytes"),
            ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ("x-storage-class", "cold"),
            ("x-object-id", id),
            ("x-content-hash", &format!("sha256:{HELLO_SHA256}")),
            ("x-meta-owner", "zoë"),
            ("etag", written.header("etag")),
        ] {
            assert_eq!(read.header(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn keys_are_opaque() {
    let server = Server::open().await;
    let keys = [
        "a",
        "a/b",
        "/a",
        "//",
        "a//b/",
        "../../etc/passwd",
        ".",
        "a%2Fb",
        "a+b c",
        "日本",
        "by-key",
        "?#&=",
    ];
    for key in keys {
        server.put(key, key.to_owned()).await.is(201);
    }
    for key in keys {
        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
        let read = server.get(&format!("/v1/objects/by-key/models/acme/{encoded}")).await;
        assert_eq!(read.is(200).body, key, "{key}");
    }
    // Slashes and dots may also stand as they are.
    for key in ["a//b/", "../../etc/passwd", "//", "/a"] {
        let read = server.get(&format!("/v1/objects/by-key/models/acme/{key}")).await;
        assert_eq!(read.is(200).body, key, "{key}");
    }
    let listed = server.get("/v1/objects?namespace=models&tenant=acme").await.json(200);
    assert_eq!(listed["objects"].as_array().unwrap().len(), keys.len());
}

#[tokio::test]
async fn an_object_needs_no_key() {
    let server = Server::open().await;
    let written = server.send(post().body(Body::from("x")).unwrap()).await.json(201);
    assert_eq!(written["key"], json!(null));
    assert_eq!(written["content_type"], "application/octet-stream");
    let path = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.is(200).body, "x");
    let listed = server.get("/v1/objects?namespace=models&tenant=acme").await.json(200);
    assert_eq!(listed["objects"][0]["id"], written["id"]);
}

#[tokio::test]
async fn large_and_empty_bodies_stream_both_ways() {
    let server = Server::open().await;
    for (key, bytes) in [("empty", noise(1, 0)), ("large", noise(2, 3 << 20))] {
        // In frames, and without saying how long it is.
        let frames: Vec<_> = bytes.chunks(100_000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect();
        let body = Body::from_stream(futures::stream::iter(frames));
        let written = server.put(key, body).await.json(201);
        assert_eq!(written["size_bytes"], bytes.len());
        assert_eq!(server.get(&format!("/v1/objects/by-key/models/acme/{key}")).await.is(200).body, bytes);
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let server = Server::open().await;
    let written = server.put("a", "1").await.json(201);
    let by_id = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    let by_key = "/v1/objects/by-key/models/acme/a";
    let delete = |path: &str| server.send(call("DELETE", path).body(Body::empty()).unwrap());
    assert!(delete(&by_id).await.is(204).body.is_empty());
    delete(&by_id).await.refused(404, "object_not_found", None);
    server.get(&by_id).await.refused(404, "object_not_found", None);
    server.get(by_key).await.refused(404, "object_not_found", None);
    server.put("a", "2").await.is(201);
    delete(by_key).await.is(204);
    // By key, deleting is making sure: it may be repeated.
    delete(by_key).await.is(204);
    server.get(by_key).await.refused(404, "object_not_found", None);
}

#[tokio::test]
async fn an_overwritten_object_is_its_new_version() {
    let server = Server::open().await;
    let first = server.put("a", "1").await.json(201);
    let second = server.put("a", "2").await.json(201);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(server.get("/v1/objects/by-key/models/acme/a").await.body, "2");
    let old = format!("/v1/objects/{}", first["id"].as_str().unwrap());
    server.get(&old).await.refused(404, "object_not_found", None);
}

#[tokio::test]
async fn a_patch_merges() {
    let server = Server::open().await;
    let request = post()
        .header("X-Key", "a")
        .header("Content-Type", "text/plain")
        .header("X-Meta-Keep", "1")
        .header("X-Meta-Drop", "2")
        .body(Body::from("x"))
        .unwrap();
    let written = server.send(request).await.json(201);
    let path = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    let patch =
        json!({"storage_class": "cold", "metadata": {"drop": null, "New": "3"}, "cache_control": "no-cache"});
    let patched = server.json("PATCH", &path, &patch).await.json(200);
    assert_eq!(patched["id"], written["id"]);
    assert_eq!(patched["etag"], written["etag"]);
    assert_eq!(patched["storage_class"], "cold");
    assert_eq!(patched["metadata"], json!({"keep": "1", "new": "3"}));
    assert_eq!(patched["content_type"], "text/plain");
    let read = server.get(&path).await;
    assert_eq!(read.is(200).body, "x");
    assert_eq!(read.header("cache-control"), "no-cache");
    assert_eq!(read.header("x-meta-new"), "3");
    assert_eq!(read.header("x-meta-drop"), "");

    let emptied =
        server.json("PATCH", &path, &json!({"metadata": null, "content_type": null})).await.json(200);
    assert_eq!(emptied["metadata"], json!({}));
    assert_eq!(emptied["content_type"], "application/octet-stream");
    assert_eq!(emptied["storage_class"], "cold", "what is absent stays");

    server.json("PATCH", &path, &json!({"storage_class": "warm"})).await.refused(
        400,
        "invalid_storage_class",
        Some("storage_class"),
    );
    server.json("PATCH", &path, &json!({"storageclass": "hot"})).await.refused(400, "invalid_json", None);
    let stale = call("PATCH", &path)
        .header("Content-Type", "application/merge-patch+json")
        .header("If-Match", "\"other\"")
        .body(Body::from("{\"metadata\":{\"a\":\"b\"}}"))
        .unwrap();
    server.send(stale).await.refused(412, "precondition_failed", None);
}

/// Patches at once: each is merged into what the others left.
#[tokio::test(flavor = "multi_thread")]
async fn of_patches_at_once_none_is_lost() {
    let server = Server::open().await;
    let written = server.put("shared", "x").await.json(201);
    let path = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    let mut all = serde_json::Map::new();
    for round in 0..8 {
        let names: Vec<_> = (0..8).map(|n| format!("{n}-{round}")).collect();
        let patches: Vec<_> = names.iter().map(|name| json!({ "metadata": { name: "1" } })).collect();
        let answers = patches.iter().map(|patch| server.json("PATCH", &path, patch));
        for answer in futures::future::join_all(answers).await {
            answer.is(200);
        }
        all.extend(names.into_iter().map(|name| (name, json!("1"))));
    }
    let one = json!({ "metadata": { "long": "x".repeat(1900) } });
    server.json("PATCH", &path, &one).await.refused(400, "invalid_metadata", Some("metadata"));
    let last = server.json("PATCH", &path, &json!({ "metadata": {} })).await.json(200);
    assert_eq!(last["metadata"], Value::Object(all));
}

/// Damage that shows before the first byte is an error; damage behind it breaks the answer off.
#[tokio::test]
async fn damaged_bytes_are_never_served_as_a_whole_answer() {
    let server = Server::open().await;
    let bytes = noise(3, 3 << 20);
    server.put("large", bytes.clone()).await.is(201);
    let file = largest_file(&server.folder.path().join("hot"));
    let mut stored = std::fs::read(&file).unwrap();
    let at = stored.len() - (256 << 10);
    stored[at] ^= 1;
    std::fs::write(&file, stored).unwrap();
    let path = "/v1/objects/by-key/models/acme/large";
    let response = server.raw(call("GET", path).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err(), "the connection breaks");
    let tail = call("GET", path).header("Range", "bytes=-300000").body(Body::empty()).unwrap();
    server.send(tail).await.refused(500, "data_corrupt", None);
}

fn largest_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.metadata().unwrap();
            if kind.is_dir() { folders.push(entry.path()) } else { found.push((kind.len(), entry.path())) }
        }
    }
    found.into_iter().max().unwrap().1
}
