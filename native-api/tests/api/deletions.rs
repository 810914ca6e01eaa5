//! Deleting many objects in one request.

use http::Request;
use juststorage_core::application::access::AuthMode;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::on_both;
use crate::support::{Answer, Server, bare};

const PATH: &str = "/v1/objects/delete";
const LIST: &str = "/v1/objects?namespace=models&tenant=acme";

async fn delete(server: &Server, body: &Value) -> Answer {
    server.json("POST", PATH, body).await
}

/// What to delete of `models/acme`.
fn of_acme(more: &Value) -> Value {
    let mut body = json!({ "namespace": "models", "tenant": "acme" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn keys_left(server: &Server) -> Vec<String> {
    let page = server.get(LIST).await.json(200);
    let objects = page["objects"].as_array().unwrap();
    objects.iter().map(|object| object["key"].as_str().unwrap_or("(none)").to_owned()).collect()
}

async fn enable_versioning(server: &Server) {
    let space = SpaceAddress::new(Namespace::new("models").unwrap(), Tenant::new("acme").unwrap());
    let set = server.metadata.set_versioning(&space, Versioning::Enabled, Timestamp(1)).await;
    set.unwrap().unwrap();
}

fn outcomes(body: &Value) -> Vec<&str> {
    body["results"].as_array().unwrap().iter().map(|entry| entry["outcome"].as_str().unwrap()).collect()
}

/// A thousand keys, of which some are not there: an answer for each, in the order of the request.
async fn every_key_is_answered(server: Server) {
    for key in ["a", "b", "c/ü"] {
        server.put(key, "x").await.is(201);
    }
    let mut keys: Vec<_> = (0..997).map(|number| format!("no-{number}")).collect();
    keys.splice(1..1, ["a".to_owned(), "c/ü".to_owned(), "a".to_owned()]);
    let answer = delete(&server, &of_acme(&json!({ "keys": keys }))).await.json(200);
    let shown: Vec<_> = answer["results"].as_array().unwrap().iter().map(|entry| &entry["key"]).collect();
    assert_eq!(shown, keys.iter().collect::<Vec<_>>());
    assert_eq!(outcomes(&answer)[..4], ["not_found", "deleted", "deleted", "not_found"]);
    let counts = (&answer["deleted"], &answer["not_found"], &answer["refused"], &answer["more"]);
    assert_eq!(counts, (&json!(2), &json!(998), &json!(0), &json!(false)));
    assert_eq!(keys_left(&server).await, ["b"]);
}
on_both!(every_key_is_answered);

/// An id names one version, also where versions are kept; a foreign tenant's looks absent.
async fn ids_are_versions_of_the_callers_tenant(server: Server) {
    enable_versioning(&server).await;
    let first = server.put("a", "1").await.json(201)["id"].as_str().unwrap().to_owned();
    let second = server.put("a", "2").await.json(201)["id"].as_str().unwrap().to_owned();
    let foreign = bare("POST", PATH).header("X-Tenant", "evil").header("Content-Type", "application/json");
    let body = json!({ "ids": [first, second] }).to_string();
    let foreign = server.send(foreign.body(body.into()).unwrap()).await.json(200);
    assert_eq!(outcomes(&foreign), ["not_found", "not_found"]);
    let nothing = "018bcfe5-687b-7fff-bfff-ffffffffffff";
    let answer = delete(&server, &json!({ "ids": [second, nothing] })).await.json(200);
    assert_eq!(outcomes(&answer), ["deleted", "not_found"]);
    assert_eq!(answer["delete_markers"], 0);
    let left = server.get("/v1/objects/by-key/models/acme/a").await;
    assert_eq!((left.is(200).body.as_ref(), left.header("x-object-id")), (&b"1"[..], first.as_str()));
}
on_both!(ids_are_versions_of_the_callers_tenant);

/// A call deletes so many keys at most, and the next one goes on behind them; a dry run changes nothing.
async fn a_prefix_is_deleted_call_by_call(server: Server) {
    for number in 0..7 {
        server.put(&format!("docs/{number}"), "four").await.is(201);
    }
    server.put("docs", "beside").await.is(201);
    server.put("other", "beside").await.is(201);
    let keyless = server.send(crate::support::post().body("no key".into()).unwrap()).await;
    keyless.is(201);
    let dry = of_acme(&json!({ "prefix": "docs/", "dry_run": true }));
    let preview = delete(&server, &dry).await.json(200);
    let counted = (&preview["deleted"], &preview["bytes"], &preview["dry_run"], &preview["more"]);
    assert_eq!(counted, (&json!(7), &json!(28), &json!(true), &json!(false)));
    let small = delete(&server, &of_acme(&json!({ "prefix": "docs/", "dry_run": true, "max": 3 }))).await;
    assert_eq!((&small.json(200)["deleted"], &small.json(200)["more"]), (&json!(3), &json!(true)));
    assert_eq!(keys_left(&server).await.len(), 10);

    let (mut calls, mut deleted, mut body) = (0, 0, of_acme(&json!({ "prefix": "docs/", "max": 3 })));
    loop {
        let answer = delete(&server, &body).await.json(200);
        (calls, deleted) = (calls + 1, deleted + answer["deleted"].as_u64().unwrap());
        assert!(answer["deleted"].as_u64().unwrap() <= 3 && answer["results"] == json!([]), "{answer}");
        assert_eq!(answer["more"].as_bool().unwrap(), answer["next"].is_string());
        let Some(next) = answer["next"].as_str() else { break };
        body["cursor"] = json!(next);
    }
    assert_eq!((calls, deleted), (3, 7));
    assert_eq!(keys_left(&server).await, ["(none)", "docs", "other"]);
    let whole = delete(&server, &of_acme(&json!({ "prefix": "" }))).await.json(200);
    assert_eq!(whole["deleted"], 2);
    assert_eq!(keys_left(&server).await, ["(none)"], "it has no key that could begin with anything");
}
on_both!(a_prefix_is_deleted_call_by_call);

/// Where versions are kept a prefix gets delete markers, once: what is hidden is not deleted again.
async fn a_prefix_is_hidden_where_versions_are_kept(server: Server) {
    enable_versioning(&server).await;
    for key in ["d/1", "d/2"] {
        server.put(key, "four").await.is(201);
    }
    for (dry_run, expected) in [(true, 2), (false, 2), (false, 0)] {
        let body = of_acme(&json!({ "prefix": "d/", "dry_run": dry_run }));
        let answer = delete(&server, &body).await.json(200);
        let counted = (&answer["deleted"], &answer["delete_markers"], &answer["bytes"]);
        assert_eq!(counted, (&json!(expected), &json!(expected), &json!(4 * expected)));
    }
    let versions = server.get(&format!("{LIST}&versions=true")).await.json(200);
    assert_eq!(versions["objects"].as_array().unwrap().len(), 4);
}
on_both!(a_prefix_is_hidden_where_versions_are_kept);

#[tokio::test]
async fn what_does_not_say_what_to_delete_is_refused() {
    let server = Server::open().await;
    server.put("a", "x").await.is(201);
    let many: Vec<_> = (0..1001).map(|number| number.to_string()).collect();
    let id = "018bcfe5-687b-7fff-bfff-ffffffffffff";
    for (body, code) in [
        (json!({}), "invalid_target"),
        (of_acme(&json!({})), "invalid_target"),
        (of_acme(&json!({ "keys": ["a"], "prefix": "a" })), "invalid_target"),
        (json!({ "ids": [id], "keys": ["a"] }), "invalid_target"),
        (json!({ "ids": [id], "prefix": "" }), "invalid_target"),
        (of_acme(&json!({ "ids": [id] })), "invalid_target"),
        (of_acme(&json!({ "keys": [] })), "invalid_keys"),
        (of_acme(&json!({ "keys": many })), "invalid_keys"),
        (of_acme(&json!({ "keys": ["a", ""] })), "invalid_keys"),
        (of_acme(&json!({ "keys": ["a", "k".repeat(1025)] })), "invalid_keys"),
        (json!({ "ids": [] }), "invalid_ids"),
        (json!({ "ids": vec![id; 1001] }), "invalid_ids"),
        (json!({ "ids": [id, "no"] }), "invalid_ids"),
        (of_acme(&json!({ "keys": ["a"], "dry_run": true })), "invalid_prefix"),
        (of_acme(&json!({ "keys": ["a"], "max": 1 })), "invalid_prefix"),
        (of_acme(&json!({ "prefix": "p".repeat(1025) })), "invalid_prefix"),
        (of_acme(&json!({ "prefix": "", "max": 0 })), "invalid_max"),
        (of_acme(&json!({ "prefix": "", "max": 1001 })), "invalid_max"),
        (of_acme(&json!({ "prefix": "", "max": 10_001, "dry_run": true })), "invalid_max"),
        (of_acme(&json!({ "prefix": "", "cursor": "no" })), "invalid_cursor"),
        (json!({ "tenant": "acme", "prefix": "" }), "invalid_namespace"),
        (json!({ "namespace": "models", "tenant": "No", "prefix": "" }), "invalid_tenant"),
        (of_acme(&json!({ "keys": ["a"], "key": "a" })), "invalid_json"),
        (of_acme(&json!({ "keys": "a" })), "invalid_json"),
        (of_acme(&json!({ "keys": [1] })), "invalid_json"),
    ] {
        let answer = delete(&server, &body).await;
        let field = code.strip_prefix("invalid_").filter(|field| *field != "json");
        answer.refused(400, code, field);
    }
    let untyped = bare("POST", PATH).header("X-Tenant", "acme").body("{}".into()).unwrap();
    server.send(untyped).await.refused(415, "unsupported_media_type", None);
    let huge = of_acme(&json!({ "keys": ["k".repeat(2 << 20)] }));
    delete(&server, &huge).await.refused(413, "body_too_large", None);
    assert_eq!(keys_left(&server).await, ["a"]);
}

/// A prefix is listed, so it takes the right to list; and what a policy keeps does not keep the others.
#[tokio::test]
async fn a_prefix_takes_the_right_to_list_and_to_delete() {
    let server = Server::with(AuthMode::Required).await;
    let owner = server.token("acme", "read,write,delete", None).await;
    let put = bare("PUT", "/v1/objects/by-key/models/acme/a").header("X-Api-Key", &owner);
    server.send(put.body("x".into()).unwrap()).await.is(201);
    let body = of_acme(&json!({ "prefix": "" }));
    let as_of = async |token: &str, body: &Value| {
        let request = Request::builder().method("POST").uri(PATH).header("X-Api-Key", token);
        let request = request.header("Content-Type", "application/json");
        server.send(request.body(body.to_string().into()).unwrap()).await
    };
    for rights in ["read", "delete", "write", "admin"] {
        let token = server.token("acme", rights, None).await;
        as_of(&token, &body).await.refused(403, "forbidden", None);
    }
    let stranger = server.token("evil", "read,write,delete,admin", None).await;
    as_of(&stranger, &body).await.refused(404, "object_not_found", None);
    as_of(&stranger, &of_acme(&json!({ "keys": ["a"] }))).await.refused(404, "object_not_found", None);
    // The tenant follows from the credentials.
    let body = json!({ "namespace": "models", "prefix": "" });
    assert_eq!(as_of(&owner, &body).await.json(200)["deleted"], 1);
    assert_eq!(as_of(&stranger, &body).await.json(200)["deleted"], 0);
}
