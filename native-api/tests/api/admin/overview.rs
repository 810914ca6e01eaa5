//! Who is calling, what they may, and what the store is doing.

use juststorage_core::application::access::AuthMode;
use juststorage_core::application::admin::{Event, EventResult};
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_native_api::Surface;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{ask, get, request};
use crate::support::Server;

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_what_it_may() {
    let open = Server::open().await;
    let me = open.get("/v1/admin/whoami").await.json(200);
    assert_eq!(
        (&me["principal"], &me["proof"], &me["authentication"]),
        (&json!("anonymous"), &json!("none"), &json!("disabled"))
    );
    assert_eq!(me["rights"], json!(["read", "write", "delete", "admin", "metrics", "operator"]));
    assert_eq!(me["may"]["operate"], true);
    assert_eq!(me["server"], json!({ "version": "1.2.3", "commit": "abc", "date": null }));
    assert_eq!(me["s3"], json!({ "url": null, "port": 9000, "tls": false, "region": "us-east-1" }));

    let server = Server::with(AuthMode::Required).await;
    let yes_no = |may: &Value| {
        ["read", "write", "delete", "administer", "events", "limits", "operate"].map(|what| may[what] == true)
    };
    for (rights, namespaces, expected) in [
        ("read", None, [true, false, false, false, false, false, false]),
        ("write,delete", None, [false, true, true, false, false, false, false]),
        ("read,admin", None, [true, false, false, true, true, true, false]),
        ("admin", Some(&["models", "team-*"][..]), [false, false, false, true, false, false, false]),
        ("metrics", None, [false; 7]),
        ("operator", None, [false, false, false, true, true, true, true]),
    ] {
        let token = server.token("acme", rights, namespaces).await;
        let me = get(&server, &token, "/v1/admin/whoami").await.json(200);
        assert_eq!(yes_no(&me["may"]), expected, "{rights}");
        assert_eq!(
            (&me["proof"], &me["tenant"], &me["tenants"]),
            (&json!("credential"), &json!("acme"), &json!(["acme"]))
        );
        assert_eq!(me["namespaces"], namespaces.map_or(Value::Null, |names| json!(names)));
        assert_eq!(me["principal"], me["credential_id"]);
    }
}

#[tokio::test]
async fn a_decision_is_explained() {
    let server = Server::with(AuthMode::Required).await;
    let operator = server.token("ops", "operator", None).await;
    let new = json!({ "name": "demo", "namespace": "models", "tenant": "acme" });
    ask(&server, &operator, "POST", "/v1/admin/buckets", Some(&new)).await.is(201);
    let make = |tenant: &'static str, rights: &'static str| {
        let (server, operator) = (&server, &operator);
        async move {
            let new =
                json!({ "kind": "api", "tenant": tenant, "rights": rights.split(',').collect::<Vec<_>>() });
            let made = ask(server, operator, "POST", "/v1/admin/credentials", Some(&new)).await.json(201);
            server.watch.made(made["token"].as_str().unwrap());
            made["id"].as_str().unwrap().to_owned()
        }
    };
    let (reader, writer, stranger) =
        (make("acme", "read").await, make("acme", "write").await, make("evil", "read").await);
    let revoked = make("acme", "read").await;
    ask(&server, &operator, "DELETE", &format!("/v1/admin/credentials/{revoked}"), None).await.is(204);
    let can = |principal: String, action: &'static str, resource: &'static str| {
        let (server, operator) = (&server, &operator);
        let path = format!("/v1/admin/can?principal={principal}&action={action}&resource={resource}");
        async move { get(server, operator, &path).await }
    };
    for (principal, action, resource, by, because, right) in [
        (&reader, "s3:GetObject", "arn:aws:s3:::demo/a/b.txt", Some("rights"), None, "read"),
        (&reader, "GetObject", "models/acme/a/b.txt", Some("rights"), None, "read"),
        (&reader, "s3:PutObject", "arn:aws:s3:::demo/a", None, Some("right"), "write"),
        (&writer, "s3:PutObject", "arn:aws:s3:::demo/a", Some("rights"), None, "write"),
        (&writer, "s3:ListBucket", "arn:aws:s3:::demo", None, Some("right"), "read"),
        (&reader, "s3:PutBucketPolicy", "arn:aws:s3:::demo/", None, Some("right"), "admin"),
        (&stranger, "s3:GetObject", "arn:aws:s3:::demo/a", None, Some("out_of_sight"), "read"),
        (&revoked, "s3:GetObject", "arn:aws:s3:::demo/a", None, Some("revoked"), "read"),
        (&"anonymous".to_owned(), "s3:GetObject", "arn:aws:s3:::demo/a", None, Some("right"), "read"),
    ] {
        let found = can(principal.clone(), action, resource).await.json(200);
        let context = format!("{action} on {resource}: {found}");
        assert_eq!(found["allowed"], by.is_some(), "{context}");
        assert_eq!((found["by"].as_str(), found["because"].as_str()), (by, because), "{context}");
        assert_eq!((&found["right"], &found["principal"]), (&json!(right), &json!(principal)), "{context}");
        assert_eq!(found["space"], json!({ "namespace": "models", "tenant": "acme" }));
        assert!(
            found["action"].as_str().unwrap().starts_with("s3:") && found["text"].is_string(),
            "{context}"
        );
    }
    for (action, resource, code) in [
        ("s3:Fly", "arn:aws:s3:::demo/a", "invalid_action"),
        ("s3:GetObject", "arn:aws:s3:::demo", "invalid_resource"),
        ("s3:ListBucket", "arn:aws:s3:::demo/a", "invalid_resource"),
        ("s3:GetObject", "demo", "invalid_resource"),
        ("s3:GetObject", "arn:aws:s3:::/a", "invalid_resource"),
    ] {
        let field = code.strip_prefix("invalid_");
        can(reader.clone(), action, resource).await.refused(400, code, field);
    }
    can(reader.clone(), "s3:GetObject", "arn:aws:s3:::nowhere/a").await.refused(
        404,
        "bucket_not_found",
        None,
    );
    can("me".into(), "s3:GetObject", "models/acme/k").await.is(200);
    can("nobody".into(), "s3:GetObject", "models/acme/k").await.refused(
        400,
        "invalid_principal",
        Some("principal"),
    );
}

/// What collection would remove, and the backups that keep it.
#[tokio::test]
async fn garbage_is_counted_and_backups_hold_it() {
    let server = Server::open().await;
    let nothing = json!({ "segments": 0, "bytes": 0 });
    let garbage = async || server.get("/v1/admin/garbage").await.json(200);
    server.put("k", "twelve bytes").await.is(201);
    assert_eq!(
        garbage().await,
        json!({ "objects": 0, "blobs": 0, "bytes": 0, "more": false, "retained": nothing, "holds": 0 })
    );
    let delete = crate::support::call("DELETE", "/v1/objects/by-key/models/acme/k");
    server.send(delete.body(axum::body::Body::empty()).unwrap()).await.is(204);
    let found = garbage().await;
    assert_eq!((&found["objects"], &found["blobs"], &found["bytes"]), (&json!(1), &json!(1), &json!(12)));

    let begin = async |body: Value| server.json("POST", "/v1/admin/backups", &body).await;
    let day = begin(json!({})).await.json(201);
    let minute = begin(json!({ "hold_seconds": 60 })).await.json(201);
    for wrong in [json!({ "hold_seconds": 0 }), json!({ "hold_seconds": 2_592_001 })] {
        begin(wrong).await.refused(400, "invalid_hold_seconds", Some("hold_seconds"));
    }
    assert_eq!(server.get("/v1/admin/backups").await.json(200)["holds"], json!([day, minute]));
    assert_eq!(garbage().await["holds"], 2);
    let end = async |id: &str| {
        let call = crate::support::call("DELETE", &format!("/v1/admin/backups/{id}"));
        server.send(call.body(axum::body::Body::empty()).unwrap()).await
    };
    end(day["id"].as_str().unwrap()).await.is(204);
    end(day["id"].as_str().unwrap()).await.refused(404, "backup_not_found", None);
    end("day").await.refused(400, "invalid_backup", Some("backup"));
    assert_eq!(server.get("/v1/admin/backups").await.json(200)["holds"], json!([minute]));
}

/// The history is that of the process; in this test no layer tells it of requests.
#[tokio::test]
async fn traffic_is_told_minute_by_minute() {
    let server = Server::open().await;
    let shown = server.get("/v1/admin/traffic").await.json(200);
    let minutes = shown["minutes"].as_array().unwrap();
    assert!((1..=2).contains(&minutes.len()), "{shown}");
    assert_eq!((&minutes[0]["requests"], &minutes[0]["median_ms"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn background_work_is_shown_and_called() {
    let server = Server::open().await;
    let shown = server.get("/v1/admin/workers").await.json(200);
    let names: Vec<_> =
        shown["workers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let all = juststorage_core::application::workers::NAMES;
    assert_eq!(names, all);
    let gc = |shown: &Value| {
        shown["workers"].as_array().unwrap().iter().find(|one| one["name"] == "gc").cloned().unwrap()
    };
    assert_eq!(gc(&shown)["backlog"], json!({ "items": 0, "more": false }));
    server.put("k", "bytes").await.is(201);
    let delete = crate::support::call("DELETE", "/v1/objects/by-key/models/acme/k");
    server.send(delete.body(axum::body::Body::empty()).unwrap()).await.is(204);
    let waits = gc(&server.get("/v1/admin/workers").await.json(200));
    assert_eq!(waits["backlog"], json!({ "items": 1, "more": false }));
    let run =
        async |name: &str| server.json("POST", &format!("/v1/admin/workers/{name}/run"), &json!({})).await;
    run("nothing").await.refused(404, "worker_not_found", None);
    // No worker runs here; a pass of the scrubber begins all the same.
    assert_eq!(run("scrub").await.json(202), json!({ "name": "scrub", "woken": false }));
    let pass = server.get("/v1/admin/scrub").await.json(200);
    assert_eq!((&pass["pass"]["number"], &pass["findings"]), (&json!(1), &json!([])));
}

/// Blobs in quarantine are listed, a page at a time.
#[tokio::test]
async fn what_the_scrubber_found_is_listed() {
    let server = Server::open().await;
    for n in 0..3 {
        server.put(&format!("k{n}"), format!("bytes {n}")).await.is(201);
    }
    for leaf in server.metadata.scan_leaves(None, 10).await.unwrap() {
        server.metadata.quarantine(leaf.id, leaf.location).await.unwrap();
    }
    let first = server.get("/v1/admin/scrub?limit=2").await.json(200);
    let rest = server
        .get(&format!("/v1/admin/scrub?limit=2&cursor={}", first["next_cursor"].as_str().unwrap()))
        .await;
    let rest = rest.json(200);
    assert_eq!((first["findings"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &Value::Null));
    let found = &rest["findings"][0];
    assert_eq!((&found["bytes"], &found["tier"]), (&json!(7), &json!("hot")));
    assert_eq!(found["sha256"].as_str().unwrap().len(), 64, "{found}");
}

fn event(who: Option<&str>, tenant: Option<&str>, result: EventResult, path: &str) -> Event {
    Event {
        at: Timestamp(1_700_000_000_000),
        result,
        who: who.map(str::to_owned),
        tenant: tenant.map(str::to_owned),
        from: Some([192, 0, 2, 1].into()),
        front: "native",
        operation: None,
        method: "PUT".into(),
        path: path.into(),
        status: 201,
        denied: None,
        request_id: "r".into(),
    }
}

#[tokio::test]
async fn events_are_their_tenants_and_the_operators() {
    let server = Server::with(AuthMode::Required).await;
    let (admin, operator) =
        (server.token("acme", "admin", None).await, server.token("ops", "operator", None).await);
    for n in 0..5 {
        server.events.record(event(Some("k"), Some("acme"), EventResult::Done, &format!("/own/{n}")));
    }
    server.events.record(event(Some("k"), Some("acme"), EventResult::Denied, "/own/denied"));
    server.events.record(event(Some("e"), Some("evil"), EventResult::Done, "/theirs"));
    server.events.record(event(None, None, EventResult::Denied, "/nobodys"));
    let paths = |page: &Value| -> Vec<String> {
        page["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let own = get(&server, &admin, "/v1/admin/events").await.json(200);
    assert_eq!(paths(&own), ["/own/denied", "/own/4", "/own/3", "/own/2", "/own/1", "/own/0"]);
    assert_eq!(
        own["events"][0],
        json!({
            "at": "2023-11-14T22:13:20Z", "request_id": "r", "result": "denied", "principal": "k",
            "tenant": "acme", "from": "192.0.2.1", "front": "native", "operation": null, "method": "PUT",
            "path": "/own/denied", "status": 201, "denied": null,
        })
    );
    let all = get(&server, &operator, "/v1/admin/events").await.json(200);
    assert_eq!(paths(&all)[..2], ["/nobodys", "/theirs"]);
    let theirs = get(&server, &operator, "/v1/admin/events?tenant=evil").await.json(200);
    assert_eq!(paths(&theirs), ["/theirs"]);
    let denied = get(&server, &admin, "/v1/admin/events?result=denied").await.json(200);
    assert_eq!(paths(&denied), ["/own/denied"]);
    let first = get(&server, &admin, "/v1/admin/events?limit=4").await.json(200);
    let next = format!("/v1/admin/events?limit=4&cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = get(&server, &admin, &next).await.json(200);
    assert_eq!(
        (paths(&rest), &rest["next_cursor"]),
        (vec!["/own/1".to_owned(), "/own/0".to_owned()], &Value::Null)
    );
    get(&server, &admin, "/v1/admin/events?result=lost").await.refused(400, "invalid_result", Some("result"));
}

/// With an address of its own, administration is not on the clients'.
#[tokio::test]
async fn an_address_of_its_own_takes_administration_away() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,operator", None).await;
    let router = |surface| juststorage_native_api::router(server.api.clone(), surface);
    let clients = router(Surface { admin: false, ..Surface::WHOLE });
    let operators = router(Surface { open_metrics: true, ..Surface::WHOLE });
    let status = |router: &axum::Router, token: Option<&str>, path: &str| {
        let mut request = request(token, "GET", path, None);
        request.headers_mut().insert("host", http::HeaderValue::from_static("store.example"));
        let router = router.clone();
        async move { router.oneshot(request).await.unwrap().status().as_u16() }
    };
    for path in ["/metrics", "/v1/admin/whoami", "/v1/admin/credentials", "/v1/admin/workers"] {
        assert_eq!(status(&clients, Some(&token), path).await, 404, "{path}");
        assert_eq!(status(&operators, Some(&token), path).await, 200, "{path}");
    }
    assert_eq!(status(&operators, None, "/metrics").await, 200);
    assert_eq!(status(&operators, None, "/v1/admin/whoami").await, 401);
    for path in ["/v1/objects?namespace=models&tenant=acme", "/health", "/v1/openapi.json"] {
        assert_eq!(status(&clients, Some(&token), path).await, 200, "{path}");
        assert_eq!(status(&operators, Some(&token), path).await, 200, "{path}");
    }
}
