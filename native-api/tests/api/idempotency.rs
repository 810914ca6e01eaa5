//! Repeated requests that make one object.

use axum::body::Body;
use bytes::Bytes;
use futures::channel::oneshot;

use crate::on_both;
use crate::support::{Answer, Server, bare, call, post};

async fn create(server: &Server, key: &str, body: impl Into<Body>) -> Answer {
    server.send(post().header("Idempotency-Key", key).body(body.into()).unwrap()).await
}

async fn count(server: &Server) -> usize {
    let page = server.get("/v1/objects?namespace=models&tenant=acme").await.json(200);
    page["objects"].as_array().unwrap().len()
}

/// The same key and the same request: the first answer. Another request: 422.
async fn a_repetition_gets_the_first_answer(server: Server) {
    let first = create(&server, "\"k-1\"", "bytes").await.json(201);
    for repeated in ["\"k-1\"", "k-1"] {
        assert_eq!(create(&server, repeated, "bytes").await.json(201), first);
    }
    create(&server, "k-1", "other").await.refused(422, "idempotency_key_reused", None);
    let header = post().header("Idempotency-Key", "k-1").header("X-Meta-Owner", "me");
    let other = server.send(header.body("bytes".into()).unwrap()).await;
    other.refused(422, "idempotency_key_reused", None);
    let elsewhere =
        call("POST", "/v1/objects").header("X-Namespace", "other").header("Idempotency-Key", "k-1");
    let elsewhere = server.send(elsewhere.body("bytes".into()).unwrap()).await;
    elsewhere.refused(422, "idempotency_key_reused", None);
    assert_eq!(count(&server).await, 1);
    // Large bodies take another way.
    let large = || Bytes::from(vec![7; 2 << 20]);
    let second = create(&server, "k-2", large()).await.json(201);
    assert_eq!(create(&server, "k-2", large()).await.json(201)["id"], second["id"]);
    assert_eq!(count(&server).await, 2);
    // Another tenant's keys are its own.
    let foreign = bare("POST", "/v1/objects").header("X-Tenant", "evil").header("X-Namespace", "models");
    let foreign = foreign.header("Idempotency-Key", "k-1").body("theirs".into()).unwrap();
    assert_ne!(server.send(foreign).await.json(201)["id"], first["id"]);
    // An object that is gone is not made again.
    let path = format!("/v1/objects/{}", first["id"].as_str().unwrap());
    server.send(call("DELETE", &path).body(Body::empty()).unwrap()).await.is(204);
    create(&server, "k-1", "bytes").await.refused(404, "object_not_found", None);
    assert_eq!(count(&server).await, 1);
}
on_both!(a_repetition_gets_the_first_answer);

/// The second of two requests is not kept waiting, and its body not read; once the first one is answered, it is repeated.
async fn a_request_under_way_is_not_doubled(server: Server) {
    let (begin, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let body = futures::stream::once(async move {
        begin.send(()).unwrap();
        let _ = ended.await;
        Ok::<_, std::io::Error>(Bytes::from("bytes"))
    });
    let slow = post().header("Host", "localhost").header("Idempotency-Key", "k");
    let slow = slow.body(Body::from_stream(body)).unwrap();
    let slow = tokio::spawn(tower::ServiceExt::oneshot(server.router.clone(), slow));
    begun.await.unwrap();
    let unread = || Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let second = create(&server, "k", unread()).await;
    second.refused(409, "request_in_progress", None);
    assert_eq!(second.header("retry-after"), "1");
    create(&server, "other", "bytes").await.is(201);
    end.send(()).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status(), 201);
    create(&server, "k", "bytes").await.is(201);
    assert_eq!(count(&server).await, 2);
}
on_both!(a_request_under_way_is_not_doubled);

#[tokio::test]
async fn keys_are_for_objects_without_a_key() {
    let server = Server::open().await;
    let field = Some("Idempotency-Key");
    for key in ["", "a b", "\"", &"k".repeat(256)] {
        create(&server, key, "x").await.refused(400, "invalid_idempotency_key", field);
    }
    let keyed = post().header("X-Key", "a").header("Idempotency-Key", "k").body("x".into()).unwrap();
    server.send(keyed).await.refused(400, "invalid_idempotency_key", field);
    let put = call("PUT", "/v1/objects/by-key/models/acme/a").header("Idempotency-Key", "k");
    server.send(put.body("x".into()).unwrap()).await.refused(400, "invalid_idempotency_key", field);
    let twice = post().header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    server.send(twice.body("x".into()).unwrap()).await.is(400);
    assert_eq!(count(&server).await, 0);
}
