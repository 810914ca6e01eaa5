//! What holds one version, and who may change it.

use axum::body::Body;
use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use crate::support::{Answer, Server, bare};

async fn send(server: &Server, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let request = bare(method, path).header("Authorization", format!("Bearer {token}"));
    let request = match body {
        Some(body) => {
            request.header("Content-Type", "application/json").body(Body::from(body.to_string())).unwrap()
        }
        None => request.body(Body::empty()).unwrap(),
    };
    server.send(request).await
}

/// A retention holds the version against its removal, can be extended by who may write, and shortened only by who may
/// bypass governance. A legal hold holds beside it.
#[tokio::test]
async fn a_version_is_held_and_let_go() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "read,write,delete,admin", None).await;
    let writer = server.token("acme", "read,write,delete", None).await;
    let space = "/v1/admin/spaces/models/acme";
    let on = json!({ "status": "enabled" });
    send(&server, &admin, "PUT", &format!("{space}/versioning"), Some(&on)).await.is(200);
    let put =
        bare("PUT", "/v1/objects/by-key/models/acme/k").header("Authorization", format!("Bearer {writer}"));
    let made = server.send(put.body(Body::from("text")).unwrap()).await.json(201);
    let id = format!("/v1/objects/{}", made["id"].as_str().unwrap());
    let lock = format!("{id}/lock");
    let nothing = json!({ "retention": null, "legal_hold": false });
    assert_eq!(send(&server, &writer, "GET", &lock, None).await.json(200), nothing);

    let set = async |token: &str, change: Value| send(&server, token, "PUT", &lock, Some(&change)).await;
    let until = |mode: &str, until: &str| json!({ "retention": { "mode": mode, "until": until } });
    set(&writer, json!({ "legal_hold": true })).await.refused(400, "object_lock_not_enabled", None);
    send(&server, &admin, "PUT", &format!("{space}/object-lock"), Some(&json!({}))).await.is(200);
    for (wrong, field) in [
        (json!({}), "lock"),
        (json!({ "legal_hold": true, "retention": null }), "lock"),
        (json!({ "legal_hold": true, "bypass_governance": true }), "lock"),
        (until("mild", "2030-01-01T00:00:00Z"), "mode"),
        (until("governance", "tomorrow"), "until"),
        (until("governance", "2001-01-01T00:00:00Z"), "retain_until_date"),
    ] {
        set(&writer, wrong).await.refused(400, &format!("invalid_{field}"), Some(field));
    }

    let held = set(&writer, until("governance", "2030-01-01T00:00:00Z")).await.json(200);
    assert_eq!(
        held,
        json!({ "retention": { "mode": "governance", "until": "2030-01-01T00:00:00Z" }, "legal_hold": false })
    );
    set(&writer, until("governance", "2031-01-01T00:00:00Z")).await.is(200);
    send(&server, &admin, "DELETE", &id, None).await.refused(403, "object_locked", None);
    set(&admin, json!({ "retention": null })).await.refused(403, "object_locked", None);
    // Asking for a bypass gives none to who may not.
    let let_go = json!({ "retention": null, "bypass_governance": true });
    set(&writer, let_go.clone()).await.refused(403, "object_locked", None);
    assert_eq!(set(&admin, let_go).await.json(200), nothing);

    set(&writer, json!({ "legal_hold": true })).await.is(200);
    send(&server, &admin, "DELETE", &id, None).await.refused(403, "object_locked", None);
    set(&writer, json!({ "legal_hold": false })).await.is(200);
    set(&writer, until("compliance", "2030-01-01T00:00:00Z")).await.is(200);
    let let_go = json!({ "retention": null, "bypass_governance": true });
    set(&admin, let_go).await.refused(403, "object_locked", None);
}
