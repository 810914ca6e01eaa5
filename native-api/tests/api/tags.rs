//! Tags of objects, and the listing by them.

use std::collections::BTreeMap;

use axum::body::Body;
use serde_json::{Value, json};

use crate::on_both;
use crate::support::{Server, call};

const LIST: &str = "/v1/objects?namespace=models&tenant=acme";

async fn made(server: &Server, key: &str, tags: &Value) -> String {
    let id = server.put(key, "x").await.json(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/objects/{id}/tags");
    let set = server.json("PUT", &path, &json!({ "tags": tags })).await.json(200);
    assert_eq!(set, json!({ "tags": tags }));
    path
}

fn keys(page: &Value) -> Vec<&str> {
    page["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap()).collect()
}

/// Set as a whole, in place: id and entity tag stay; listings show them.
async fn tags_are_set_and_removed(server: Server) {
    let path = made(&server, "a", &json!({ "team": "search", "größe": "" })).await;
    let object = path.strip_suffix("/tags").unwrap();
    let before = server.get(object).await.header("etag").to_owned();
    server.json("PUT", &path, &json!({ "tags": { "team": "images" } })).await.is(200);
    assert_eq!(server.get(&path).await.json(200), json!({ "tags": { "team": "images" } }));
    assert_eq!(server.get(object).await.is(200).header("etag"), before);
    let listed = server.get(LIST).await.json(200);
    assert_eq!(listed["objects"][0]["tags"], json!({ "team": "images" }));
    let wrong = call("PUT", &path).header("Content-Type", "application/json").header("If-Match", "\"x\"");
    let wrong = server.send(wrong.body(Body::from(r#"{"tags":{}}"#)).unwrap()).await;
    wrong.refused(412, "precondition_failed", None);
    server.send(call("DELETE", &path).body(Body::empty()).unwrap()).await.is(204);
    assert_eq!(server.get(&path).await.json(200), json!({ "tags": {} }));
    let foreign = crate::support::bare("GET", &path).header("X-Tenant", "evil").body(Body::empty()).unwrap();
    server.send(foreign).await.refused(404, "object_not_found", None);
}
on_both!(tags_are_set_and_removed);

#[tokio::test]
async fn tags_are_bounded_as_on_s3() {
    let server = Server::open().await;
    let path = made(&server, "a", &json!({ "a": "b" })).await;
    let many: BTreeMap<_, _> = (0..11).map(|number| (number.to_string(), "v")).collect();
    for tags in
        [json!(many), json!({ "k".repeat(129): "v" }), json!({ "k": "v".repeat(257) }), json!({ "": "v" })]
    {
        let refused = server.json("PUT", &path, &json!({ "tags": tags })).await;
        refused.refused(400, "invalid_tags", Some("tags"));
    }
    for body in
        [json!({}), json!({ "tags": ["a"] }), json!({ "tags": { "a": 1 } }), json!({ "tags": {}, "x": 1 })]
    {
        server.json("PUT", &path, &body).await.refused(400, "invalid_json", None);
    }
    server.json("PUT", &path, &json!({ "tags": { "ü".repeat(128): "ü".repeat(256) } })).await.is(200);
    let nothing = "/v1/objects/018bcfe5-687b-7fff-bfff-ffffffffffff/tags";
    server.get(nothing).await.refused(404, "object_not_found", None);
}

/// All tags of the filter must be there; pages neither repeat nor skip.
async fn a_listing_is_filtered_by_tags(server: Server) {
    for number in 0..9 {
        let team = if number % 2 == 0 { "search" } else { "images" };
        made(&server, &format!("k{number}"), &json!({ "team": team, "a=b": "c&d%" })).await;
    }
    server.put("untagged", "x").await.is(201);
    let filtered = async |query: &str| server.get(&format!("{LIST}&{query}")).await.json(200);
    assert_eq!(keys(&filtered("tag=team=search").await), ["k0", "k2", "k4", "k6", "k8"]);
    assert_eq!(keys(&filtered("tag=team=search%26a%253Db=c%2526d%2525").await).len(), 5);
    assert_eq!(keys(&filtered("tag=team=nobody").await), Vec::<&str>::new());
    assert_eq!(keys(&filtered("tag=team=images&prefix=k3").await), ["k3"]);
    assert_eq!(keys(&filtered("tag=team=images&versions=true").await).len(), 4);
    let (mut seen, mut query) = (Vec::new(), "tag=team=search&limit=2".to_owned());
    loop {
        let page = filtered(&query).await;
        assert!(keys(&page).len() <= 2);
        seen.extend(keys(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("tag=team=search&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["k0", "k2", "k4", "k6", "k8"]);
    for query in ["tag=team", "tag==x", "tag=", "tag=a=1%26a=2", "tag=team=search&delimiter=/"] {
        server.get(&format!("{LIST}&{query}")).await.refused(400, "invalid_tag", Some("tag"));
    }
}
on_both!(a_listing_is_filtered_by_tags);
