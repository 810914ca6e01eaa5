//! Who may do what.

use axum::body::Body;
use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use crate::support::{Answer, Server, bare, call};

const PATH: &str = "/v1/objects/by-key/models/acme/a";

async fn with_token(server: &Server, method: &str, path: &str, token: &str) -> Answer {
    let request = bare(method, path)
        .header("Authorization", format!("Bearer {token}"))
        .header("X-Namespace", "models")
        .header("X-Tenant", "acme")
        .header("X-Key", "a");
    server.send(request.body(Body::from("x")).unwrap()).await
}

#[tokio::test]
async fn credentials_are_asked_for() {
    let server = Server::with(AuthMode::Required).await;
    for path in [
        PATH,
        "/v1/objects/00000000-0000-7000-8000-000000000000",
        "/v1/usage",
        "/v1/objects?namespace=models&tenant=acme",
        "/metrics",
        "/v1/admin/whoami",
    ] {
        let answer = server.get(path).await;
        answer.refused(401, "unauthenticated", None);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for path in ["/health", "/ready", "/v1/openapi.json"] {
        server.get(path).await.is(200);
    }
}

#[tokio::test]
async fn a_key_opens_its_own_tenant_and_rights_only() {
    let server = Server::with(AuthMode::Required).await;
    let owner = server.token("acme", "read,write,delete", None).await;
    let written = with_token(&server, "POST", "/v1/objects", &owner).await.json(201);
    let by_id = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    with_token(&server, "GET", PATH, &owner).await.is(200);
    let api_key = bare("GET", &by_id).header("X-Api-Key", &owner).body(Body::empty()).unwrap();
    server.send(api_key).await.is(200);

    let reader = server.token("acme", "read", None).await;
    with_token(&server, "GET", &by_id, &reader).await.is(200);
    with_token(&server, "POST", "/v1/objects", &reader).await.refused(403, "forbidden", None);
    with_token(&server, "DELETE", &by_id, &reader).await.refused(403, "forbidden", None);

    let elsewhere = server.token("acme", "read", Some(&["other"])).await;
    with_token(&server, "GET", &by_id, &elsewhere).await.refused(404, "object_not_found", None);
    let stranger = server.token("evil", "read,write,delete,admin", None).await;
    for path in [by_id.as_str(), PATH] {
        with_token(&server, "GET", path, &stranger).await.refused(404, "object_not_found", None);
        with_token(&server, "DELETE", path, &stranger).await.refused(404, "object_not_found", None);
        let unnamed = bare("GET", path).header("X-Api-Key", &stranger).body(Body::empty()).unwrap();
        server.send(unnamed).await.refused(404, "object_not_found", None);
    }
    // Nor through a door of one's own.
    let own = json!({ "namespace": "models", "tenant": "evil", "key": "copied" });
    let copied = async |source: Value| {
        let body = json!({ "source": source, "destination": own }).to_string();
        let copy = bare("POST", "/v1/objects/copy").header("X-Api-Key", &stranger);
        server.send(copy.header("Content-Type", "application/json").body(Body::from(body)).unwrap()).await
    };
    copied(json!({ "id": written["id"] })).await.refused(404, "object_not_found", None);
    let by_key = json!({ "namespace": written["namespace"], "tenant": "acme", "key": "a" });
    copied(by_key).await.refused(404, "object_not_found", None);
    let usage = bare("GET", "/v1/usage").header("X-Api-Key", &stranger).body(Body::empty()).unwrap();
    assert_eq!(server.send(usage).await.json(200)["total"]["objects"], 0);
}

/// Also where authentication is disabled: a caller that sends a credential must prove it.
#[tokio::test]
async fn wrong_credentials_are_refused_in_every_mode() {
    for mode in [AuthMode::Required, AuthMode::Disabled] {
        let server = Server::with(mode).await;
        let token = server.token("acme", "read", None).await;
        for (name, value) in [
            ("Authorization", "Bearer js_wrong".to_owned()),
            ("Authorization", format!("Bearer {token}x")),
            ("Authorization", "Basic YTpi".to_owned()),
            ("Authorization", token.clone()),
            ("X-Api-Key", String::new()),
        ] {
            let request = call("GET", PATH).header(name, &value).body(Body::empty()).unwrap();
            server.send(request).await.refused(401, "unauthenticated", None);
        }
        let both =
            call("GET", PATH).header("Authorization", format!("Bearer {token}")).header("X-Api-Key", &token);
        server.send(both.body(Body::empty()).unwrap()).await.refused(401, "unauthenticated", None);
    }
}

#[tokio::test]
async fn without_authentication_the_named_tenant_is_a_wall() {
    let server = Server::open().await;
    let written = server.put("a", "x").await.json(201);
    let by_id = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    let unnamed = bare("GET", &by_id).body(Body::empty()).unwrap();
    server.send(unnamed).await.refused(400, "missing_header", Some("X-Tenant"));
    for method in ["GET", "DELETE"] {
        let foreign = bare(method, &by_id).header("X-Tenant", "evil").body(Body::empty()).unwrap();
        server.send(foreign).await.refused(404, "object_not_found", None);
    }
    // By key the path says whose it is; a header that says otherwise is a mistake.
    server.send(bare("GET", PATH).body(Body::empty()).unwrap()).await.is(200);
    let contradicting = bare("GET", PATH).header("X-Tenant", "evil").body(Body::empty()).unwrap();
    server.send(contradicting).await.refused(400, "tenant_mismatch", Some("X-Tenant"));
    server.get(&by_id).await.is(200);
}

/// Where the credentials are of one tenant alone, the address need not name it.
#[tokio::test]
async fn the_tenant_follows_from_credentials_of_one() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,write,delete", None).await;
    let send = async |method: &str, path: &str, body: Value| {
        let request = bare(method, path).header("X-Api-Key", &token).header("X-Namespace", "models");
        let request = request.header("Content-Type", "application/json").header("X-Key", "a");
        server.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let written = send("POST", "/v1/objects", json!(1)).await.json(201);
    assert_eq!((&written["tenant_id"], &written["key"]), (&json!("acme"), &json!("a")));
    let listed = send("GET", "/v1/objects?namespace=models", json!(null)).await.json(200);
    assert_eq!(listed["objects"].as_array().unwrap().len(), 1);
    let (source, destination) =
        (json!({ "namespace": "models", "key": "a" }), json!({ "namespace": "models", "key": "b" }));
    let copy = json!({ "source": source, "destination": destination });
    assert_eq!(send("POST", "/v1/objects/copy", copy).await.json(201)["tenant_id"], "acme");
    let upload = send("POST", "/v1/uploads", json!({ "namespace": "models", "key": "u" })).await;
    assert_eq!(upload.json(201)["tenant_id"], "acme");
    let signed = json!({ "method": "GET", "namespace": "models", "key": "a" });
    let signed = send("POST", "/v1/presign", signed).await.json(201);
    assert!(signed["path"].as_str().unwrap().starts_with("/v1/objects/by-key/models/acme/a?"), "{signed}");

    // Without credentials it follows from nothing.
    let open = Server::open().await;
    let unnamed = bare("POST", "/v1/objects").header("X-Namespace", "models").body(Body::from("x")).unwrap();
    open.send(unnamed).await.refused(400, "missing_header", Some("X-Tenant"));
    let unnamed = bare("GET", "/v1/objects?namespace=models").body(Body::empty()).unwrap();
    open.send(unnamed).await.refused(400, "invalid_tenant", Some("tenant"));
}
