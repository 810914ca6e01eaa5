//! Credentials, from their making to their end.

use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use super::{ask, get};
use crate::support::Server;

const PATH: &str = "/v1/admin/credentials";

#[tokio::test]
async fn a_secret_is_shown_once_and_opens_what_it_was_made_for() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "admin", None).await;
    let new = json!({
        "kind": "api", "rights": ["read"], "namespaces": ["models"], "prefixes": ["reports/", "tmp/"],
        "description": "for a hub",
    });
    let made = ask(&server, &admin, "POST", PATH, Some(&new)).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json(201);
    let token = made["token"].as_str().unwrap();
    server.watch.made(token);
    assert_eq!((&made["tenant"], &made["kind"]), (&json!("acme"), &json!("api")));
    assert!(made.get("secret_key").is_none() && made.get("replaces").is_none(), "{made}");
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let shown = get(&server, &admin, &path).await.json(200);
    assert_eq!(
        shown,
        json!({
            "id": made["id"], "kind": "api", "tenant": "acme", "namespaces": ["models"],
            "prefixes": ["reports/", "tmp/"], "rights": ["read"], "description": "for a hub", "created_at": made["created_at"], "expires_at": null, "revoked_at": null,
        })
    );
    let me = get(&server, token, "/v1/admin/whoami").await.json(200);
    assert_eq!((&me["credential_id"], &me["rights"]), (&made["id"], &json!(["read"])));
    assert_eq!(me["prefixes"], json!(["reports/", "tmp/"]));
    let allowed = async |resource: &str| {
        let can = format!("/v1/admin/can?action=GetObject&resource=models/acme/{resource}");
        let said = get(&server, token, &can).await.json(200);
        (said["allowed"].clone(), said["because"].clone())
    };
    assert_eq!(allowed("reports/a").await, (json!(true), json!(null)));
    assert_eq!(allowed("other").await, (json!(false), json!("prefix")));

    // An S3 credential has a public part, which the listing shows.
    let made = ask(&server, &admin, "POST", PATH, Some(&json!({ "kind": "s3" }))).await.json(201);
    server.watch.made(made["secret_key"].as_str().unwrap());
    assert!(made["access_key"].is_string() && made.get("token").is_none(), "{made}");
    assert_eq!(made["rights"], json!(["read", "write", "delete"]));
    let listed = get(&server, &admin, PATH).await.json(200);
    let listed = listed["credentials"].as_array().unwrap();
    assert!(listed.iter().any(|one| one["access_key"] == made["access_key"]));
    assert!(listed.iter().all(|one| one.get("secret_key").is_none() && one.get("token").is_none()));
}

/// What is bound to prefixes has no right over a space as a whole, and says which rule it broke.
#[tokio::test]
async fn a_bound_credential_reads_writes_and_deletes_and_nothing_else() {
    let server = Server::with(AuthMode::Required).await;
    let operator = server.token("acme", "admin,operator", None).await;
    for (new, code) in [
        (json!({ "kind": "api", "prefixes": ["a/"], "rights": ["read", "admin"] }), "rights"),
        (json!({ "kind": "api", "prefixes": ["a/"], "rights": ["operator"] }), "rights"),
        (json!({ "kind": "api", "prefixes": ["a/"], "rights": ["metrics"] }), "rights"),
        (json!({ "kind": "api", "prefixes": [] }), "prefixes"),
        (json!({ "kind": "api", "prefixes": [""] }), "prefixes"),
        (json!({ "kind": "api", "prefixes": ["a\u{0}"] }), "prefixes"),
        (json!({ "kind": "api", "prefixes": vec!["a"; 17] }), "prefixes"),
    ] {
        let answer = ask(&server, &operator, "POST", PATH, Some(&new)).await;
        answer.refused(400, &format!("invalid_{code}"), Some(code));
    }
    let new = json!({ "kind": "s3", "prefixes": vec!["a"; 16] });
    let made = ask(&server, &operator, "POST", PATH, Some(&new)).await.json(201);
    server.watch.made(made["secret_key"].as_str().unwrap());
    let rotate = format!("{PATH}/{}/rotate", made["id"].as_str().unwrap());
    let renewed = ask(&server, &operator, "POST", &rotate, None).await.json(201);
    server.watch.made(renewed["secret_key"].as_str().unwrap());
    assert_eq!(renewed["prefixes"], made["prefixes"]);
}

/// A page warns of what ends soon, and not of what was made to end.
#[tokio::test]
async fn those_that_end_soon_are_listed() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "admin", None).await;
    let mut made = Vec::new();
    for seconds in [86_400, 86_401, 14 * 86_400, 14 * 86_400 + 1] {
        let new = json!({ "kind": "api", "rights": ["read"], "expires_in_seconds": seconds });
        let one = ask(&server, &admin, "POST", PATH, Some(&new)).await.json(201);
        server.watch.made(one["token"].as_str().unwrap());
        made.push(one["id"].clone());
    }
    let ending = async || {
        let listed = get(&server, &admin, &format!("{PATH}?ending=true")).await.json(200);
        let listed = listed["credentials"].as_array().unwrap().iter();
        listed.map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    let ids = |which: &[usize]| which.iter().map(|at| made[*at].clone()).collect::<Vec<_>>();
    let (found, both) = (ending().await, ids(&[1, 2]));
    assert!(found.len() == 2 && both.iter().all(|id| found.contains(id)), "{found:?}");
    let path = format!("{PATH}/{}", made[1].as_str().unwrap());
    ask(&server, &admin, "DELETE", &path, None).await.is(204);
    assert_eq!(ending().await, ids(&[2]));
}

#[tokio::test]
async fn a_replaced_credential_ends_at_once_or_after_its_grace() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "admin", None).await;
    let new = json!({ "kind": "api", "rights": ["read"], "expires_in_seconds": 3600 });
    let first = ask(&server, &admin, "POST", PATH, Some(&new)).await.json(201);
    assert_eq!(first["expires_at"], "2023-11-14T23:13:20Z");
    let token = |made: &Value| {
        server.watch.made(made["token"].as_str().unwrap());
        made["token"].as_str().unwrap().to_owned()
    };
    let path = |made: &Value| format!("{PATH}/{}", made["id"].as_str().unwrap());
    let (old, rotate) = (token(&first), format!("{}/rotate", path(&first)));
    let grace = json!({ "grace_seconds": 60 });
    let second = ask(&server, &admin, "POST", &rotate, Some(&grace)).await.json(201);
    assert_eq!((&second["replaces"], &second["rights"]), (&first["id"], &json!(["read"])));
    assert_eq!(second["expires_at"], first["expires_at"]);
    get(&server, &old, "/v1/admin/whoami").await.is(200);
    let ends = get(&server, &admin, &path(&first)).await.json(200);
    assert_eq!(ends["expires_at"], "2023-11-14T22:14:20Z");
    let (middle, rotate) = (token(&second), format!("{}/rotate", path(&second)));
    let third = ask(&server, &admin, "POST", &rotate, None).await.json(201);
    get(&server, &middle, "/v1/admin/whoami").await.refused(401, "unauthenticated", None);
    let last = token(&third);
    get(&server, &last, "/v1/admin/whoami").await.is(200);
    // What is revoked is revoked, also by itself, and not twice.
    ask(&server, &admin, "DELETE", &path(&third), None).await.is(204);
    get(&server, &last, "/v1/admin/whoami").await.refused(401, "unauthenticated", None);
    ask(&server, &admin, "DELETE", &path(&third), None).await.refused(404, "credential_not_found", None);
    let listed = get(&server, &admin, &format!("{PATH}?state=revoked")).await.json(200);
    assert_eq!(listed["credentials"].as_array().unwrap().len(), 2, "{listed}");
    let long = json!({ "grace_seconds": 31_536_001 });
    let rotate = format!("{}/rotate", path(&first));
    ask(&server, &admin, "POST", &rotate, Some(&long)).await.refused(
        400,
        "invalid_grace_seconds",
        Some("grace_seconds"),
    );
}

/// A caller renews and revokes only credentials that it could have handed out.
#[tokio::test]
async fn an_operators_credential_is_an_operators_to_end() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "admin", None).await;
    let operator = server.token("acme", "operator", None).await;
    let me = get(&server, &operator, "/v1/admin/whoami").await.json(200);
    let path = format!("{PATH}/{}", me["credential_id"].as_str().unwrap());
    get(&server, &admin, &path).await.is(200);
    ask(&server, &admin, "DELETE", &path, None).await.refused(403, "forbidden", None);
    ask(&server, &admin, "POST", &format!("{path}/rotate"), None).await.refused(403, "forbidden", None);
    ask(&server, &operator, "DELETE", &path, None).await.is(204);
}

#[tokio::test]
async fn what_breaks_a_rule_is_named() {
    let server = Server::with(AuthMode::Required).await;
    let admin = server.token("acme", "admin", None).await;
    for (body, code, field) in [
        (json!({ "kind": "jwt" }), "invalid_kind", "kind"),
        (json!({ "kind": "api", "rights": ["fly"] }), "invalid_rights", "rights"),
        (json!({ "kind": "api", "rights": [] }), "invalid_rights", "rights"),
        (json!({ "kind": "api", "namespaces": [] }), "invalid_namespaces", "namespaces"),
        (json!({ "kind": "api", "namespaces": ["A"] }), "invalid_namespace", "namespace"),
        (json!({ "kind": "api", "tenant": "../up" }), "invalid_tenant", "tenant"),
        (json!({ "kind": "api", "description": "a\nb" }), "invalid_description", "description"),
        (json!({ "kind": "api", "expires_at": "soon" }), "invalid_expires_at", "expires_at"),
        (json!({ "kind": "api", "expires_at": "2020-01-01T00:00:00Z" }), "invalid_expires_at", "expires_at"),
        (
            json!({ "kind": "api", "expires_at": "2030-01-01T00:00:00Z", "expires_in_seconds": 1 }),
            "invalid_expires_at",
            "expires_at",
        ),
    ] {
        ask(&server, &admin, "POST", PATH, Some(&body)).await.refused(400, code, Some(field));
    }
    let unknown = json!({ "kind": "api", "secret": "mine" });
    ask(&server, &admin, "POST", PATH, Some(&unknown)).await.refused(400, "invalid_json", None);
    get(&server, &admin, &format!("{PATH}?state=lost")).await.refused(400, "invalid_state", Some("state"));
    get(&server, &admin, &format!("{PATH}?cursor=x")).await.refused(400, "invalid_cursor", Some("cursor"));
    get(&server, &admin, &format!("{PATH}/nope")).await.refused(
        400,
        "invalid_credential",
        Some("credential"),
    );
}

#[tokio::test]
async fn pages_meet_without_gap() {
    let server = Server::with(AuthMode::Required).await;
    let operator = server.token("acme", "operator", None).await;
    for n in 0..7 {
        server.token(&format!("t{}", n % 3), "read", None).await;
    }
    let mut seen = Vec::new();
    let mut path = format!("{PATH}?limit=3");
    loop {
        let page = get(&server, &operator, &path).await.json(200);
        let credentials = page["credentials"].as_array().unwrap();
        assert!(credentials.len() <= 3);
        seen.extend(credentials.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{PATH}?limit=3&cursor={cursor}");
    }
    assert_eq!(seen.len(), 8);
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(once, seen);
    let one = get(&server, &operator, &format!("{PATH}?tenant=t0")).await.json(200);
    assert_eq!(one["credentials"].as_array().unwrap().len(), 3);
}
