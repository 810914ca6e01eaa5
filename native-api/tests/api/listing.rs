//! Listing and usage.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::Server;

const LIST: &str = "/v1/objects?namespace=models&tenant=acme";

fn keys(page: &Value) -> Vec<String> {
    let objects = page["objects"].as_array().unwrap();
    objects.iter().map(|object| object["key"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn keys_come_in_byte_order_and_roll_up() {
    let server = Server::open().await;
    assert_eq!(server.get(LIST).await.json(200), json!({"objects": [], "prefixes": [], "next_cursor": null}));
    for key in ["b", "a/1", "a/2", "B", "a-b", "é"] {
        server.put(key, "x").await.is(201);
    }
    assert_eq!(keys(&server.get(LIST).await.json(200)), ["B", "a-b", "a/1", "a/2", "b", "é"]);
    assert_eq!(keys(&server.get(&format!("{LIST}&prefix=a/")).await.json(200)), ["a/1", "a/2"]);
    let rolled = server.get(&format!("{LIST}&delimiter=/")).await.json(200);
    assert_eq!(keys(&rolled), ["B", "a-b", "b", "é"]);
    assert_eq!(rolled["prefixes"], json!(["a/"]));
    let versions = server.get(&format!("{LIST}&versions=true&prefix=b")).await.json(200);
    assert_eq!(keys(&versions), ["b"]);
}

/// Every key that is there from the beginning to the end is listed exactly once, whatever is written and
/// deleted around it between two pages.
#[tokio::test]
async fn pages_survive_concurrent_writes() {
    let server = Server::open().await;
    for number in 0..60 {
        server.put(&format!("stay-{number:03}"), "x").await.is(201);
        server.put(&format!("stay-{number:03}-go"), "x").await.is(201);
    }
    let mut seen = Vec::new();
    let mut path = format!("{LIST}&limit=7");
    for round in 0.. {
        let page = server.get(&path).await.json(200);
        assert!(keys(&page).len() <= 7);
        seen.extend(keys(&page).into_iter().filter(|key| !key.ends_with("go")));
        // The line that the cursor names goes, others come before and behind it.
        for key in keys(&page).iter().filter(|key| key.ends_with("go")) {
            let delete = crate::support::call("DELETE", &format!("/v1/objects/by-key/models/acme/{key}"));
            server.send(delete.body(axum::body::Body::empty()).unwrap()).await.is(204);
        }
        server.put(&format!("stay-{:03}-{round}-go", round * 3), "x").await.is(201);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{LIST}&limit=7&cursor={cursor}");
    }
    let expected: Vec<_> = (0..60).map(|number| format!("stay-{number:03}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn keyless_objects_page_too() {
    let server = Server::open().await;
    let mut ids = BTreeSet::new();
    for _ in 0..5 {
        let request = crate::support::post().body(axum::body::Body::from("x")).unwrap();
        ids.insert(server.send(request).await.json(201)["id"].as_str().unwrap().to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut path = format!("{LIST}&limit=2");
    loop {
        let page = server.get(&path).await.json(200);
        for object in page["objects"].as_array().unwrap() {
            assert!(seen.insert(object["id"].as_str().unwrap().to_owned()), "listed twice");
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{LIST}&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn bad_listings_are_told_why() {
    let server = Server::open().await;
    for (query, code, field) in [
        ("&cursor=nonsense", "invalid_cursor", Some("cursor")),
        ("&limit=0", "invalid_limit", Some("limit")),
        ("&limit=1001", "invalid_limit", Some("limit")),
        ("&limit=many", "invalid_query", None),
        ("&prefx=a", "invalid_query", None),
    ] {
        server.get(&format!("{LIST}{query}")).await.refused(400, code, field);
    }
    server.get("/v1/objects?tenant=acme").await.refused(400, "invalid_query", None);
    let bad = server.get("/v1/objects?tenant=acme&namespace=No").await;
    bad.refused(400, "invalid_namespace", Some("namespace"));
}

/// Every list of the document takes as many entries as it says, and refuses more by name.
#[tokio::test]
async fn no_list_cuts_what_was_asked_for() {
    let server = Server::open().await;
    let [document, _] = juststorage_native_api::openapi();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item["get"]["parameters"].as_array() else { continue };
        let Some(limit) = parameters.iter().find(|one| one["name"] == "limit" && one["in"] == "query") else {
            continue;
        };
        let most = limit["schema"]["maximum"].as_u64().unwrap();
        assert_eq!(limit["schema"]["minimum"], 1, "{path}");
        let place = if path.contains("/admin/") || path.contains('{') { "" } else { "&namespace=models" };
        let path = path.replace("{id}", "018bcfe5-687b-7fff-bfff-ffffffffffff");
        for refused in [0, most + 1] {
            let answer = server.get(&format!("{path}?limit={refused}{place}")).await;
            answer.refused(400, "invalid_limit", Some("limit"));
        }
        let taken = server.get(&format!("{path}?limit={most}{place}")).await;
        assert!(
            taken.status == 200 || taken.json(404)["code"] == "upload_not_found",
            "{path}: {:?}",
            taken.body
        );
        lists += 1;
    }
    assert!(lists >= 10, "{lists} lists");
}

#[tokio::test]
async fn usage_shows_what_deduplication_saves() {
    let server = Server::open().await;
    let body = crate::support::noise(1, 2 << 20);
    for key in ["a", "b", "c"] {
        server.put(key, body.clone()).await.is(201);
    }
    let usage = server.get("/v1/usage?namespace=models").await.json(200);
    let space = &usage["spaces"][0];
    assert_eq!((&space["namespace"], &space["tenant_id"]), (&json!("models"), &json!("acme")));
    assert_eq!(space["objects"], 3);
    assert_eq!(space["logical_bytes"], 3 * (2 << 20));
    assert_eq!(usage["total"]["logical_bytes"], 3 * (2 << 20));
    let physical = usage["total"]["physical_bytes"].as_u64().unwrap();
    assert!((2 << 20..3 << 20).contains(&physical), "{physical}");
    assert_eq!(server.get("/v1/usage?namespace=other").await.json(200)["spaces"], json!([]));
    server.get("/v1/usage?tenant=other").await.refused(400, "tenant_mismatch", Some("X-Tenant"));
}
