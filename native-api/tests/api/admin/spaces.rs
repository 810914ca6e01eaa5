//! Spaces, and what is set on them with a bucket and without one.

use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use super::{ask, get};
use crate::support::Server;

const SPACE: &str = "/v1/admin/spaces/models/acme";

#[tokio::test]
async fn a_space_is_set_up_without_a_bucket() {
    let server = Server::open().await;
    server.get(SPACE).await.refused(404, "space_not_found", None);
    let set = |setting: &'static str, body: Value| {
        let server = &server;
        async move { server.json("PUT", &format!("{SPACE}/{setting}"), &body).await }
    };
    set("versioning", json!({ "status": "enabled" })).await.is(200);
    set("default-class", json!({ "class": "cold" })).await.is(200);
    let lifecycle = json!({
        "rules": [{
            "id": "old", "enabled": true,
            "filter": { "prefix": "logs/", "tags": { "a": "b" }, "larger_than": 1 },
            "expiration": { "date": "2027-01-01T00:00:00Z" },
            "noncurrent_expiration": { "days": 70, "keep_newest": 3 },
            "transitions": [{ "days": 30, "s3_class": "STANDARD_IA" }, { "days": 60 }],
            "noncurrent_transitions": [{ "days": 2 }, { "days": 30, "s3_class": "STANDARD_IA" }],
        }, {
            "id": "old-form", "enabled": true, "filter": { "prefix": "tmp/", "old_form": true },
            "abort_uploads_days": 7,
        }, {
            "id": "uploads", "enabled": false, "filter": {}, "abort_uploads_days": 7,
        }],
        "small_objects_move": true,
    });
    set("lifecycle", lifecycle.clone()).await.is(200);
    let cors = json!({ "rules": [{
        "id": null, "origins": ["https://a.example"], "methods": ["GET"], "headers": ["*"], "expose": ["ETag"],
        "max_age_seconds": 300,
    }] });
    set("cors", cors.clone()).await.is(200);
    set("tags", json!({ "team": "a" })).await.is(200);
    let access = json!({
        "block_public_acls": true, "ignore_public_acls": true, "block_public_policy": true,
        "restrict_public_buckets": false,
    });
    set("public-access", access.clone()).await.is(200);
    let lock = json!({ "default": { "mode": "governance", "days": 30 } });
    let answered = set("object-lock", lock.clone()).await.json(200);

    let space = server.get(SPACE).await.json(200);
    assert_eq!(space, answered);
    assert_eq!(
        space["settings"],
        json!({
            "versioning": { "status": "enabled" }, "default_class": { "class": "cold" }, "lifecycle": lifecycle,
            "cors": cors, "tags": { "team": "a" }, "object_lock": lock, "policy": null, "public_access": access,
            "notifications": null,
        })
    );
    assert_eq!(
        (&space["object_lock"], &space["versioning"], &space["buckets"]),
        (&json!(true), &json!("enabled"), &json!([]))
    );
    // An object whose writer names no class goes where the space says.
    assert_eq!(server.put("k", "bytes").await.json(201)["storage_class"], "cold");
    // With locks, versioning stays.
    set("versioning", json!({ "status": "suspended" })).await.refused(409, "wrong_versioning", None);
    for setting in ["lifecycle", "cors", "tags", "public-access", "policy"] {
        server.json("DELETE", &format!("{SPACE}/{setting}"), &json!({})).await.is(200);
    }
    let space = server.get(SPACE).await.json(200);
    for setting in ["lifecycle", "cors", "tags", "public_access", "policy"] {
        assert_eq!(space["settings"][setting], Value::Null, "{setting}");
    }
    server.json("DELETE", &format!("{SPACE}/versioning"), &json!({})).await.refused(
        405,
        "method_not_allowed",
        None,
    );
    server.json("DELETE", &format!("{SPACE}/colour"), &json!({})).await.refused(404, "path_not_found", None);
    set("colour", json!({})).await.refused(404, "path_not_found", None);
}

#[tokio::test]
async fn what_breaks_a_rule_is_named_and_changes_nothing() {
    let server = Server::open().await;
    for (setting, body, code) in [
        ("versioning", json!({ "status": "on" }), "invalid_status"),
        ("versioning", json!({ "state": "enabled" }), "invalid_json"),
        ("default-class", json!({ "class": "warm" }), "invalid_class"),
        ("lifecycle", json!({ "rules": [{ "id": "r" }] }), "invalid_lifecycle_rule"),
        ("lifecycle", json!({ "rules": [{ "id": "r", "expiration": { "days": 0 } }] }), "invalid_lifecycle"),
        (
            "lifecycle",
            json!({ "rules": [{ "id": "r", "expiration": { "date": "soon" } }] }),
            "invalid_lifecycle",
        ),
        ("lifecycle", json!({ "rules": [{ "id": "r", "colour": 1 }] }), "invalid_json"),
        ("lifecycle", json!({ "rules": [{ "id": "r", "transitions": [{}] }] }), "invalid_lifecycle"),
        (
            "lifecycle",
            json!({ "rules": [{ "id": "r", "transitions": [{ "days": 1, "s3_class": "GLACIER" }] }] }),
            "invalid_s3_class",
        ),
        ("cors", json!({ "rules": [] }), "invalid_cors"),
        ("tags", json!({ "aws:x": "y" }), "invalid_tags"),
        ("object-lock", json!({ "default": { "mode": "mild", "days": 1 } }), "invalid_mode"),
        (
            "object-lock",
            json!({ "default": { "mode": "governance", "days": 0 } }),
            "invalid_retention_period",
        ),
        ("object-lock", json!({ "default": { "mode": "governance" } }), "invalid_days"),
        ("policy", json!({ "Statement": [] }), "invalid_policy"),
    ] {
        let answer = server.json("PUT", &format!("{SPACE}/{setting}"), &body).await.json(400);
        assert_eq!(answer["code"], code, "{setting} {body}: {answer}");
    }
    server.json("PUT", &format!("{SPACE}/object-lock"), &json!({})).await.refused(
        409,
        "wrong_versioning",
        None,
    );
    let space = server.get(SPACE).await;
    if space.status.as_u16() == 200 {
        let settings = &space.json(200)["settings"];
        assert_eq!((&settings["versioning"]["status"], &settings["tags"]), (&json!("off"), &Value::Null));
    }
}

/// A policy is the bucket's: its resources name one of this space, and what it denies is denied here too.
#[tokio::test]
async fn a_policy_names_a_bucket_of_the_space_and_binds_administrators() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "admin", None).await;
    let operator = server.token("ops", "operator", None).await;
    let new = json!({ "name": "demo", "namespace": "models" });
    ask(&server, &admin, "POST", "/v1/admin/buckets", Some(&new)).await.is(201);
    let policy = |bucket: &str| {
        let resource = format!("arn:aws:s3:::{bucket}");
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Deny", "Principal": "*", "Action": "s3:PutBucketTagging", "Resource": resource },
        ] })
    };
    let path = format!("{SPACE}/policy");
    ask(&server, &admin, "PUT", &path, Some(&policy("other"))).await.refused(
        400,
        "invalid_policy",
        Some("policy"),
    );
    let set = ask(&server, &admin, "PUT", &path, Some(&policy("demo"))).await.json(200);
    assert_eq!(set["settings"]["policy"], policy("demo"));
    for token in [&admin, &operator] {
        let tags = format!("{SPACE}/tags");
        ask(&server, token, "PUT", &tags, Some(&json!({ "a": "b" }))).await.refused(
            403,
            "denied_by_policy",
            None,
        );
    }
    let can = "/v1/admin/can?action=s3:PutBucketTagging&resource=arn:aws:s3:::demo";
    assert_eq!(get(&server, &admin, can).await.json(200)["because"], "policy");
    ask(&server, &operator, "DELETE", &path, None).await.is(200);
    ask(&server, &admin, "PUT", &format!("{SPACE}/tags"), Some(&json!({ "a": "b" }))).await.is(200);
    // What is open to everybody can be forbidden.
    let access = json!({
        "block_public_acls": true, "ignore_public_acls": true, "block_public_policy": true,
        "restrict_public_buckets": false,
    });
    ask(&server, &admin, "PUT", &format!("{SPACE}/public-access"), Some(&access)).await.is(200);
    let open = json!({ "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::demo/*" },
    ] });
    ask(&server, &admin, "PUT", &path, Some(&open)).await.refused(403, "policy_blocked", None);
}

#[tokio::test]
async fn spaces_are_listed_with_buckets_and_figures() {
    let server = Server::with(AuthMode::Required).await;
    let operator = server.token("ops", "operator", None).await;
    for (namespace, tenant) in [("a", "acme"), ("b", "acme"), ("b", "corp"), ("c", "acme")] {
        let path = format!("/v1/admin/spaces/{namespace}/{tenant}/tags");
        ask(&server, &operator, "PUT", &path, Some(&json!({ "x": "y" }))).await.is(200);
    }
    let new = json!({ "name": "named", "namespace": "b", "tenant": "acme" });
    ask(&server, &operator, "POST", "/v1/admin/buckets", Some(&new)).await.is(201);
    let names = |page: &Value| -> Vec<String> {
        let spaces = page["spaces"].as_array().unwrap().iter();
        spaces
            .map(|one| format!("{}/{}", one["namespace"].as_str().unwrap(), one["tenant"].as_str().unwrap()))
            .collect()
    };
    let mut seen = Vec::new();
    let mut path = "/v1/admin/spaces?limit=3".to_owned();
    loop {
        let page = get(&server, &operator, &path).await.json(200);
        seen.extend(names(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/admin/spaces?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, ["a/acme", "b/acme", "b/corp", "c/acme"]);
    let bound = server.token("acme", "read", Some(&["c", "b*"])).await;
    assert_eq!(names(&get(&server, &bound, "/v1/admin/spaces?limit=1").await.json(200)), ["b/acme"]);
    let own = get(&server, &bound, "/v1/admin/spaces").await.json(200);
    assert_eq!(names(&own), ["b/acme", "c/acme"]);
    assert_eq!((&own["spaces"][0]["buckets"], &own["spaces"][1]["buckets"]), (&json!(["named"]), &json!([])));
    assert_eq!(
        names(&get(&server, &operator, "/v1/admin/spaces?tenant=corp&prefix=b").await.json(200)),
        ["b/corp"]
    );
    let reader = server.token("acme", "read,write", None).await;
    let put = http::Request::put("/v1/objects/by-key/c/acme/k").header("X-Api-Key", &reader);
    server.send(put.body(axum::body::Body::from("bytes")).unwrap()).await.is(201);
    let listed = get(&server, &reader, "/v1/admin/spaces?prefix=c").await.json(200);
    assert_eq!(
        (&listed["spaces"][0]["objects"], &listed["spaces"][0]["logical_bytes"]),
        (&json!(1), &json!(5))
    );
    get(&server, &operator, "/v1/admin/spaces?cursor=x").await.refused(400, "invalid_cursor", Some("cursor"));
}
