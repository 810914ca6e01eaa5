//! Uploads in parts.

use axum::body::Body;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::on_both;
use crate::support::{Answer, Server, call, noise};

const MIN: usize = 5 << 20;

async fn begin(server: &Server, key: &str) -> String {
    let request = call("POST", "/v1/uploads")
        .header("X-Namespace", "models")
        .header("X-Key", key)
        .header("Content-Type", "text/plain")
        .header("X-Meta-Owner", "me")
        .body(Body::empty())
        .unwrap();
    let answer = server.send(request).await;
    let upload = answer.json(201);
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), path);
    assert_eq!(upload["key"], key);
    path
}

async fn part(server: &Server, path: &str, number: u32, bytes: Bytes) -> Answer {
    let request = call("PUT", &format!("{path}/parts/{number}"));
    server.send(request.body(Body::from(bytes)).unwrap()).await
}

async fn complete(server: &Server, path: &str, parts: Option<Value>) -> Answer {
    let path = format!("{path}/complete");
    match parts {
        Some(parts) => server.json("POST", &path, &json!({ "parts": parts })).await,
        None => server.send(call("POST", &path).body(Body::empty()).unwrap()).await,
    }
}

#[tokio::test]
async fn parts_in_any_order_become_one_object() {
    let server = Server::open().await;
    let path = begin(&server, "whole").await;
    let (first, last) = (noise(1, MIN + 3), noise(2, 100));
    let sent = part(&server, &path, 7, last.clone()).await;
    assert_eq!(sent.json(200)["part_number"], 7);
    assert_eq!(sent.header("etag"), sent.json(200)["etag"].as_str().unwrap());
    part(&server, &path, 2, noise(9, 10)).await.is(200);
    part(&server, &path, 2, first.clone()).await.is(200);

    let page = server.get(&format!("{path}?limit=1")).await.json(200);
    assert_eq!(page["parts"][0]["part_number"], 2);
    assert_eq!(page["parts"][0]["size_bytes"], first.len());
    assert_eq!(page["metadata"], json!({"owner": "me"}));
    let next = page["next_cursor"].as_str().unwrap();
    let page = server.get(&format!("{path}?limit=1&cursor={next}")).await.json(200);
    assert_eq!(page["parts"][0]["part_number"], 7);
    assert_eq!(page["next_cursor"], json!(null));

    let answer = complete(&server, &path, None).await;
    let object = answer.json(201);
    assert_eq!(answer.header("location"), format!("/v1/objects/{}", object["id"].as_str().unwrap()));
    assert_eq!(object["key"], "whole");
    assert_eq!(object["content_type"], "text/plain");
    assert!(object["content_hash"].as_str().unwrap().ends_with("-2"));
    let read = server.get("/v1/objects/by-key/models/acme/whole").await;
    assert_eq!(read.is(200).body, [first, last].concat());
    assert_eq!(read.header("x-meta-owner"), "me");

    // A client whose answer was lost asks again.
    assert_eq!(complete(&server, &path, None).await.json(201)["id"], object["id"]);
    let n = |number: i64| json!({"part_number": number});
    assert_eq!(complete(&server, &path, Some(json!([n(2), n(7)]))).await.json(201)["id"], object["id"]);
    // One that asks for something else is refused, as it would have been before.
    complete(&server, &path, Some(json!([]))).await.refused(400, "no_parts", None);
    complete(&server, &path, Some(json!([n(7), n(2)]))).await.refused(400, "invalid_part_order", None);
    for other in
        [json!([n(2)]), json!([n(2), n(3), n(7)]), json!([n(2), {"part_number": 7, "etag": "\"x\""}])]
    {
        complete(&server, &path, Some(other)).await.refused(400, "invalid_part", None);
    }
    part(&server, &path, 1, noise(1, 1)).await.refused(404, "upload_not_found", None);
}

#[tokio::test]
async fn the_named_parts_are_checked() {
    let server = Server::open().await;
    let path = begin(&server, "k").await;
    complete(&server, &path, None).await.refused(400, "no_parts", None);
    complete(&server, &path, Some(json!([]))).await.refused(400, "no_parts", None);
    let one = part(&server, &path, 1, noise(1, 10)).await.json(200);
    part(&server, &path, 2, noise(2, 10)).await.is(200);
    let n = |number: i64| json!({"part_number": number});
    complete(&server, &path, Some(json!([n(2), n(1)]))).await.refused(400, "invalid_part_order", None);
    complete(&server, &path, Some(json!([n(1), n(2)]))).await.refused(400, "part_too_small", None);
    complete(&server, &path, Some(json!([n(1), n(3)]))).await.refused(400, "invalid_part", None);
    complete(&server, &path, Some(json!([n(3)]))).await.refused(400, "invalid_part", None);
    let number = Some("part_number");
    complete(&server, &path, Some(json!([n(0)]))).await.refused(400, "invalid_part_number", number);
    let wrong = json!([{"part_number": 1, "etag": "\"other\""}]);
    complete(&server, &path, Some(wrong)).await.refused(400, "invalid_part", None);
    let right = json!([{"part_number": 1, "etag": one["etag"]}]);
    assert_eq!(complete(&server, &path, Some(right)).await.json(201)["size_bytes"], 10);
}

#[tokio::test]
async fn bad_parts_are_refused_and_leave_nothing() {
    let server = Server::open().await;
    let path = begin(&server, "k").await;
    for number in ["0", "10001", "x", "-1"] {
        let request = call("PUT", &format!("{path}/parts/{number}")).body(Body::from("x")).unwrap();
        server.send(request).await.refused(400, "invalid_part_number", Some("part_number"));
    }
    let wrong = call("PUT", &format!("{path}/parts/1")).header("X-Content-SHA256", "00".repeat(32));
    let answer = server.send(wrong.body(Body::from("x")).unwrap()).await;
    assert_eq!(answer.json(400)["code"], "digest_mismatch");
    assert_eq!(server.get(&path).await.json(200)["parts"], json!([]));
    let cursor = server.get(&format!("{path}?cursor=zzz")).await;
    cursor.refused(400, "invalid_cursor", Some("cursor"));
}

#[tokio::test]
async fn an_unknown_or_aborted_upload_is_not_found() {
    let server = Server::open().await;
    let path = begin(&server, "k").await;
    part(&server, &path, 1, noise(1, 10)).await.is(200);
    let abort = |path: &str| server.send(call("DELETE", path).body(Body::empty()).unwrap());
    assert!(abort(&path).await.is(204).body.is_empty());
    for path in [path.as_str(), "/v1/uploads/00000000-0000-7000-8000-000000000000"] {
        abort(path).await.refused(404, "upload_not_found", None);
        server.get(path).await.refused(404, "upload_not_found", None);
        part(&server, path, 1, noise(1, 1)).await.refused(404, "upload_not_found", None);
        complete(&server, path, Some(json!([{"part_number": 1}]))).await.refused(
            404,
            "upload_not_found",
            None,
        );
        complete(&server, path, None).await.refused(404, "upload_not_found", None);
    }
    server.get("/v1/uploads/nonsense").await.refused(400, "invalid_id", Some("id"));
    server.get("/v1/objects/by-key/models/acme/k").await.refused(404, "object_not_found", None);
}

#[tokio::test]
async fn an_upload_may_be_described_in_json() {
    let server = Server::open().await;
    let body = json!({"namespace": "models", "tenant": "acme", "key": " edge\n", "storage_class": "cold", "metadata": {"a": "b"}});
    let upload = server.json("POST", "/v1/uploads", &body).await.json(201);
    assert_eq!(upload["storage_class"], "cold");
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    part(&server, &path, 1, Bytes::from_static(b"x")).await.is(200);
    let object = complete(&server, &path, None).await.json(201);
    assert_eq!((&object["key"], &object["metadata"]), (&json!(" edge\n"), &json!({"a": "b"})));
    assert_eq!(server.get("/v1/objects/by-key/models/acme/%20edge%0A").await.is(200).body, "x");
}

#[tokio::test]
async fn completion_obeys_conditions_and_tenants() {
    let server = Server::open().await;
    server.put("k", "taken").await.is(201);
    let path = begin(&server, "k").await;
    part(&server, &path, 1, noise(1, 10)).await.is(200);
    let guarded = call("POST", &format!("{path}/complete")).header("If-None-Match", "*");
    server.send(guarded.body(Body::empty()).unwrap()).await.refused(412, "precondition_failed", None);
    let foreign = crate::support::bare("GET", &path).header("X-Tenant", "evil").body(Body::empty()).unwrap();
    server.send(foreign).await.refused(404, "upload_not_found", None);
    complete(&server, &path, None).await.is(201);
}

/// Uploads under way by key, with what has arrived of them; those that ended are not among them.
async fn uploads_under_way_are_listed(server: Server) {
    let begin = async |key: &str| {
        let body = json!({ "namespace": "models", "tenant": "acme", "key": key });
        server.json("POST", "/v1/uploads", &body).await.json(201)["id"].as_str().unwrap().to_owned()
    };
    let send = async |id: &str, number: u32, bytes: &'static str| {
        let part = call("PUT", &format!("/v1/uploads/{id}/parts/{number}"));
        server.send(part.body(Body::from(bytes)).unwrap()).await.is(200);
    };
    let (first, second, ended) = (begin("b/1").await, begin("a").await, begin("b/2").await);
    send(&first, 1, "four").await;
    send(&first, 2, "three").await;
    send(&first, 2, "two").await;
    let abort = call("DELETE", &format!("/v1/uploads/{ended}"));
    server.send(abort.body(Body::empty()).unwrap()).await.is(204);
    let list = "/v1/uploads?namespace=models&tenant=acme";
    let page = server.get(list).await.json(200);
    let shown: Vec<_> = page["uploads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upload| {
            (upload["id"].as_str().unwrap(), upload["size_bytes"].as_u64(), upload["age_seconds"].as_u64())
        })
        .collect();
    assert_eq!(shown, [(second.as_str(), Some(0), Some(0)), (first.as_str(), Some(7), Some(0))]);
    assert_eq!(page["next_cursor"], json!(null));
    let one = server.get(&format!("{list}&limit=1")).await.json(200);
    let rest = format!("{list}&limit=1&cursor={}", one["next_cursor"].as_str().unwrap());
    assert_eq!(server.get(&rest).await.json(200)["uploads"][0]["id"], first.as_str());
    let under = server.get(&format!("{list}&prefix=b/")).await.json(200);
    assert_eq!(under["uploads"].as_array().unwrap().len(), 1);
    let elsewhere = server.get("/v1/uploads?namespace=other&tenant=acme").await.json(200);
    assert_eq!(elsewhere, json!({ "uploads": [], "next_cursor": null }));
    server.get("/v1/uploads?namespace=models&limit=0").await.refused(400, "invalid_limit", Some("limit"));
    server.get("/v1/uploads?namespace=models&cursor=x").await.refused(400, "invalid_cursor", Some("cursor"));
    server.get("/v1/uploads?namespace=models&delimiter=x").await.refused(400, "invalid_query", None);
    server.get("/v1/uploads").await.refused(400, "invalid_query", None);
}
on_both!(uploads_under_way_are_listed);
