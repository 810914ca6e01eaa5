//! Pages of other origins that the operator lets call: preflights, and what their scripts may read.

use axum::body::Body;
use juststorage_core::application::access::AuthMode;
use juststorage_native_api::Origins;
use serde_json::Value;

use crate::support::{Answer, Server, bare, call};

const APP: &str = "https://app.example.com";

async fn serving(mode: AuthMode, origins: &str) -> Server {
    Server::for_pages(mode, &Origins::parse(origins).unwrap()).await
}

async fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let request = bare("OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "PUT")
        .header("Access-Control-Request-Headers", "x-api-key,x-meta-owner");
    server.send(request.body(Body::empty()).unwrap()).await
}

fn allowed(answer: &Answer) -> &str {
    answer.header("access-control-allow-origin")
}

/// Every call of the document as a browser asks for it: those of clients are allowed to the page that is named and to no
/// other, those of operators to none.
#[tokio::test]
async fn a_named_origin_may_ask_for_every_call_of_clients_and_for_no_other() {
    for mode in [AuthMode::Required, AuthMode::Disabled] {
        let server = serving(mode, APP).await;
        let [document, _] = juststorage_native_api::openapi();
        let mut tried = 0;
        for path in document["paths"].as_object().unwrap().keys().filter(|path| !path.starts_with("/health"))
        {
            let path = path.replace("{key}", "docs/a b").replace(' ', "%20").replace(['{', '}'], "");
            let client = path.starts_with("/v1/") && !path.starts_with("/v1/admin/");
            let answer = preflight(&server, &path, APP).await;
            assert_eq!(allowed(&answer), if client { APP } else { "" }, "{path}");
            if client {
                // Before any credential, which no preflight carries.
                answer.is(200);
                assert_eq!(answer.header("access-control-allow-headers"), "x-api-key,x-meta-owner");
                assert!(answer.header("access-control-allow-methods").contains("PATCH"));
                assert_eq!(answer.header("access-control-max-age"), "7200");
                assert!(answer.header("vary").to_lowercase().contains("origin"));
            }
            for other in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
                assert_eq!(allowed(&preflight(&server, &path, other).await), "", "{path} from {other}");
            }
            assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{path}");
            tried += 1;
        }
        assert!(tried > 30, "{tried}");
    }
}

/// A script sees why it was refused, and every header of an answer.
#[tokio::test]
async fn a_script_reads_answers_and_errors() {
    let server = serving(AuthMode::Required, APP).await;
    let token = server.token("acme", "read,write", None).await;
    let path = "/v1/objects/by-key/models/acme/k";
    let send = |method, path: &str, token: Option<&str>, body: &'static str| {
        let mut request = call(method, path).header("Origin", APP).header("X-Meta-Owner", "me");
        if let Some(token) = token {
            request = request.header("X-Api-Key", token);
        }
        server.send(request.body(Body::from(body)).unwrap())
    };
    for (answer, status) in [
        (send("PUT", path, Some(&token), "bytes").await, 201),
        (send("GET", path, Some(&token), "").await, 200),
        (send("GET", path, None, "").await, 401),
        (send("GET", path, Some("wrong"), "").await, 401),
        (send("DELETE", path, Some(&token), "").await, 403),
        (send("GET", "/v1/objects/by-key/UPPER/acme/k", Some(&token), "").await, 400),
        (send("GET", "/v1/objects/by-key/models/acme/none", Some(&token), "").await, 404),
    ] {
        answer.is(status);
        assert_eq!(allowed(&answer), APP, "{status}");
        let exposed = answer.header("access-control-expose-headers").to_owned();
        for name in ["*", "etag", "x-object-id", "retry-after"] {
            assert!(
                exposed.split(',').any(|exposed| exposed.trim() == name),
                "{status}: {name} in {exposed}"
            );
        }
    }
    let admin = send("GET", "/v1/admin/whoami", Some(&token), "").await;
    admin.is(200);
    assert_eq!(allowed(&admin), "", "administration is for its own pages");
    // A cache must not give one origin the answer to another.
    let without =
        server.send(call("GET", path).header("X-Api-Key", &token).body(Body::empty()).unwrap()).await;
    assert_eq!(allowed(&without), "");
    assert!(without.header("vary").to_lowercase().contains("origin"));
}

#[tokio::test]
async fn every_origin_is_a_star_and_none_is_silence() {
    let server = serving(AuthMode::Required, "*").await;
    assert_eq!(allowed(&preflight(&server, "/v1/objects", "https://anybody.example").await), "*");
    assert_eq!(allowed(&preflight(&server, "/v1/admin/whoami", "https://anybody.example").await), "");
    let server = Server::with(AuthMode::Required).await;
    let answer = preflight(&server, "/v1/objects", APP).await;
    answer.refused(405, "method_not_allowed", None);
    assert_eq!(allowed(&answer), "");
    assert!(!answer.headers.contains_key("vary"));
}

/// A browser that guesses could take an object for a script, or a list of keys for a page.
#[tokio::test]
async fn no_answer_lets_a_browser_guess_what_it_is() {
    let server = Server::open().await;
    server.put("k", "bytes").await.is(201);
    let [document, _] = juststorage_native_api::openapi();
    let mut statuses = std::collections::BTreeSet::new();
    let calls = document["paths"].as_object().unwrap();
    let calls = calls.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        methods.chain(["TRACE".to_owned()]).map(move |method| (method, path.clone()))
    });
    let more = [("GET", "/nowhere"), ("GET", "/console/"), ("GET", "/console/no"), ("GET", "/")]
        .map(|(method, path)| (method.to_owned(), path.to_owned()));
    for (method, path) in calls.chain(more) {
        let path = path.replace("{namespace}/{tenant}/{key}", "models/acme/k").replace(['{', '}'], "");
        let request = call(&method, &path).header("Content-Type", "application/json");
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path} {}", answer.status);
        statuses.insert(answer.status.as_u16());
    }
    for status in [200, 204, 303, 400, 404, 405] {
        assert!(statuses.contains(&status), "{status} is not among {statuses:?}");
    }
    let problem: Value = server.get("/nowhere").await.json(404);
    assert_eq!(problem["code"], "path_not_found");
}
