//! Moving objects.

use http::Request;
use juststorage_core::application::access::AuthMode;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::on_both;
use crate::support::{Answer, Server, call};

const PATH: &str = "/v1/objects/move";

fn key(name: &str) -> Value {
    json!({ "namespace": "models", "tenant": "acme", "key": name })
}

async fn rename(server: &Server, source: &Value, destination: &Value) -> Answer {
    server.json("POST", PATH, &json!({ "source": source, "destination": destination })).await
}

async fn read(server: &Server, name: &str) -> Answer {
    server.get(&format!("/v1/objects/by-key/models/acme/{name}")).await
}

/// The object keeps bytes, tag and all that it carries; its id is a new one, and the old one names nothing.
async fn a_move_renames(server: Server) {
    let put = crate::support::post().header("X-Key", "a").header("Content-Type", "text/plain");
    let put = put.header("X-Meta-Owner", "me").header("X-Storage-Class", "cold");
    let first = server.send(put.body("bytes".into()).unwrap()).await.json(201);
    let answer = rename(&server, &key("a"), &key("b/c")).await;
    let moved = answer.json(201);
    assert_eq!(answer.header("location"), format!("/v1/objects/{}", moved["id"].as_str().unwrap()));
    assert_ne!(moved["id"], first["id"]);
    for member in ["content_hash", "etag", "size_bytes", "content_type", "metadata", "storage_class"] {
        assert_eq!(moved[member], first[member], "{member}");
    }
    assert_eq!(read(&server, "b/c").await.is(200).body, "bytes");
    read(&server, "a").await.refused(404, "object_not_found", None);
    let by_id = format!("/v1/objects/{}", first["id"].as_str().unwrap());
    server.get(&by_id).await.refused(404, "object_not_found", None);
    rename(&server, &key("a"), &key("d")).await.refused(404, "object_not_found", None);

    // By id; to another namespace.
    let there = json!({ "namespace": "other", "tenant": "acme", "key": "a" });
    let away = rename(&server, &json!({ "id": moved["id"] }), &there).await.json(201);
    assert_eq!((&away["namespace"], &away["key"]), (&json!("other"), &json!("a")));
    read(&server, "b/c").await.is(404);
    // What had no key has one then.
    let keyless = server.send(crate::support::post().body("k".into()).unwrap()).await.json(201);
    rename(&server, &json!({ "id": keyless["id"] }), &key("k")).await.is(201);
    assert_eq!(read(&server, "k").await.is(200).body, "k");
}
on_both!(a_move_renames);

async fn conditions_hold_on_both_ends(server: Server) {
    let first = server.put("a", "1").await.json(201);
    let second = server.put("b", "2").await.json(201);
    let body = json!({ "source": key("a"), "destination": key("b") }).to_string();
    let over = async |name: &str, value: &str| {
        let request = call("POST", PATH).header("Content-Type", "application/json").header(name, value);
        server.send(request.body(body.clone().into()).unwrap()).await
    };
    over("If-None-Match", "*").await.refused(412, "precondition_failed", None);
    over("If-Match", first["etag"].as_str().unwrap()).await.refused(412, "precondition_failed", None);
    let source = |tag: &Value| {
        let mut source = key("a");
        source["if_match"] = tag.clone();
        source
    };
    let other = source(&second["etag"]);
    rename(&server, &other, &key("b")).await.refused(412, "precondition_failed", None);
    assert_eq!(read(&server, "a").await.is(200).body, "1");
    assert_eq!(read(&server, "b").await.is(200).body, "2");
    rename(&server, &source(&first["etag"]), &key("b")).await.is(201);
    assert_eq!(read(&server, "b").await.is(200).body, "1");
}
on_both!(conditions_hold_on_both_ends);

async fn versions_stay_behind_a_marker(server: Server) {
    let space = SpaceAddress::new(Namespace::new("models").unwrap(), Tenant::new("acme").unwrap());
    let set = server.metadata.set_versioning(&space, Versioning::Enabled, Timestamp(1)).await;
    set.unwrap().unwrap();
    let first = server.put("a", "1").await.json(201)["id"].clone();
    let second = server.put("a", "2").await.json(201)["id"].clone();
    rename(&server, &json!({ "id": first }), &key("b")).await.refused(400, "invalid_source", Some("source"));
    let moved = rename(&server, &json!({ "id": second }), &key("b")).await;
    moved.is(201);
    let marker = moved.header("x-source-delete-marker").to_owned();
    read(&server, "a").await.refused(404, "object_deleted", None);
    let listed = server.get("/v1/objects?namespace=models&versions=true&prefix=a").await.json(200);
    let ids: Vec<_> = listed["objects"].as_array().unwrap().iter().map(|object| &object["id"]).collect();
    assert_eq!(ids, [&json!(marker), &second, &first]);
}
on_both!(versions_stay_behind_a_marker);

#[tokio::test]
async fn what_cannot_be_moved_is_refused() {
    let server = Server::open().await;
    server.put("a", "x").await.is(201);
    let id = "018bcfe5-687b-7fff-bfff-ffffffffffff";
    for (source, destination, code) in [
        (key("a"), key("a"), "invalid_destination"),
        (key("a"), key(""), "invalid_key"),
        (key("a"), key(&"k".repeat(1025)), "invalid_key"),
        (key(&"k".repeat(1025)), key("b"), "invalid_key"),
        (json!({ "namespace": "models", "tenant": "acme" }), key("b"), "invalid_source"),
        (json!({ "id": id, "namespace": "models", "key": "a" }), key("b"), "invalid_source"),
        (json!({ "id": "no" }), key("b"), "invalid_id"),
        (json!({ "id": id, "if_match": "no quotes" }), key("b"), "invalid_if_match"),
        (key("a"), json!({ "namespace": "models", "tenant": "acme" }), "invalid_json"),
        (json!({ "id": id, "version": "x" }), key("b"), "invalid_json"),
        (key("a"), json!({ "namespace": "No", "tenant": "acme", "key": "b" }), "invalid_namespace"),
    ] {
        let answer = rename(&server, &source, &destination).await;
        let field = code.strip_prefix("invalid_").filter(|field| *field != "json");
        answer.refused(400, code, field);
    }
    rename(&server, &json!({ "id": id }), &key("b")).await.refused(404, "object_not_found", None);
    let foreign = json!({ "namespace": "models", "tenant": "evil", "key": "a" });
    rename(&server, &key("a"), &foreign).await.refused(400, "tenant_mismatch", Some("X-Tenant"));
    rename(&server, &foreign, &key("b")).await.refused(404, "object_not_found", None);
    assert_eq!(read(&server, "a").await.is(200).body, "x");
}

/// Both ends are walls: a namespace that the credentials do not cover is neither a source nor a target.
#[tokio::test]
async fn a_move_stays_inside_the_walls() {
    let server = Server::with(AuthMode::Required).await;
    let owner = server.token("acme", "read,write,delete", None).await;
    let bound = server.token("acme", "read,write,delete", Some(&["models"])).await;
    let send = async |token: &str, source: Value, destination: Value| {
        let body = json!({ "source": source, "destination": destination }).to_string();
        let request = Request::builder().method("POST").uri(PATH).header("X-Api-Key", token);
        server.send(request.header("Content-Type", "application/json").body(body.into()).unwrap()).await
    };
    let put = Request::builder().method("PUT").uri("/v1/objects/by-key/models/acme/a");
    server.send(put.header("X-Api-Key", &owner).body("x".into()).unwrap()).await.is(201);
    let other = json!({ "namespace": "other", "key": "a" });
    let own = json!({ "namespace": "models", "key": "a" });
    send(&bound, own.clone(), other.clone()).await.refused(404, "object_not_found", None);
    send(&owner, own.clone(), other.clone()).await.is(201);
    send(&bound, other.clone(), own.clone()).await.refused(404, "object_not_found", None);
    let stranger = server.token("evil", "read,write,delete,admin", None).await;
    let named = json!({ "namespace": "other", "tenant": "acme", "key": "a" });
    send(&stranger, named, own.clone()).await.refused(404, "object_not_found", None);
    for rights in ["read,write", "read,delete", "write,delete"] {
        let token = server.token("acme", rights, None).await;
        send(&token, other.clone(), own.clone()).await.refused(403, "forbidden", None);
    }
    send(&owner, other, own).await.is(201);
}
