//! Credentials that are bound to prefixes of keys.

use http::Request;
use juststorage_core::application::access::AuthMode;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const RIGHTS: &str = "read,write,delete";

/// A server, and a credential that is bound to `reports/` beside one that is bound to nothing.
struct Story {
    server: Server,
    bound: String,
    owner: String,
}

async fn story(server: Server) -> Story {
    let owner = server.token("acme", RIGHTS, None).await;
    let bound = server.bound("acme", RIGHTS, &["reports/"]).await;
    let story = Story { server, bound, owner };
    for key in ["reports/a", "reports/b", "other/a"] {
        story.put(&story.owner, key).await.is(201);
    }
    story
}

impl Story {
    async fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("X-Api-Key", token);
        let request = match body {
            Some(json) => request.header("Content-Type", "application/json").body(json.to_string().into()),
            None => request.body(axum::body::Body::empty()),
        };
        self.server.send(request.unwrap()).await
    }

    async fn put(&self, token: &str, key: &str) -> Answer {
        let put = Request::builder().method("PUT").uri(by_key(key)).header("X-Api-Key", token);
        self.server.send(put.body("bytes".into()).unwrap()).await
    }

    async fn refused(&self, method: &str, path: &str, body: Option<&Value>) {
        self.ask(&self.bound, method, path, body).await.refused(403, "outside_prefixes", None);
    }
}

fn by_key(key: &str) -> String {
    format!("/v1/objects/by-key/models/acme/{key}")
}

fn at(key: &str) -> Value {
    json!({ "namespace": "models", "tenant": "acme", "key": key })
}

fn list(prefix: &str) -> String {
    format!("/v1/objects?namespace=models&tenant=acme&prefix={prefix}")
}

/// Inside it reads, writes, lists and deletes; outside, what is there and what is not are refused alike.
async fn it_keeps_to_its_prefix(server: Server) {
    let story = story(server).await;
    let bound = &story.bound;
    story.put(bound, "reports/new").await.is(201);
    assert_eq!(story.ask(bound, "GET", &by_key("reports/a"), None).await.is(200).body, "bytes");
    story.ask(bound, "GET", &by_key("reports/none"), None).await.refused(404, "object_not_found", None);
    story.ask(bound, "DELETE", &by_key("reports/new"), None).await.is(204);
    for key in ["other/a", "other/none", "reports", "Reports/a"] {
        story.refused("GET", &by_key(key), None).await;
        story.refused("DELETE", &by_key(key), None).await;
    }
    // A key is bytes: `..` leads nowhere.
    story.ask(bound, "GET", &by_key("reports%2F../other/a"), None).await.refused(
        404,
        "object_not_found",
        None,
    );
    story.put(bound, "other/new").await.refused(403, "outside_prefixes", None);
    // By id, with and without a key.
    let found = story.ask(&story.owner, "GET", &list("other/"), None).await.json(200);
    let outside = found["objects"][0]["id"].as_str().unwrap().to_owned();
    story.refused("GET", &format!("/v1/objects/{outside}"), None).await;
    story.refused("DELETE", &format!("/v1/objects/{outside}"), None).await;
    story
        .refused("PUT", &format!("/v1/objects/{outside}/tags"), Some(&json!({ "tags": { "a": "b" } })))
        .await;
    let keyless = Request::builder().method("POST").uri("/v1/objects").header("X-Api-Key", bound);
    let keyless = keyless.header("X-Namespace", "models").header("X-Tenant", "acme");
    story.server.send(keyless.body("x".into()).unwrap()).await.refused(403, "outside_prefixes", None);

    let listed = story.ask(bound, "GET", &list("reports/"), None).await.json(200);
    assert_eq!(listed["objects"].as_array().unwrap().len(), 2, "{listed}");
    for prefix in ["", "r", "reports", "other/"] {
        story.refused("GET", &list(prefix), None).await;
        story.refused("GET", &format!("{}&delimiter=/", list(prefix)), None).await;
        story.refused("GET", &format!("{}&versions=true", list(prefix)), None).await;
        story.refused("GET", &format!("{}&tag=a=b", list(prefix)), None).await;
        story
            .refused("GET", &format!("/v1/uploads?namespace=models&tenant=acme&prefix={prefix}"), None)
            .await;
        let delete = json!({ "namespace": "models", "tenant": "acme", "prefix": prefix, "dry_run": true });
        if !prefix.is_empty() {
            story.refused("POST", "/v1/objects/delete", Some(&delete)).await;
        }
    }
    story.refused("GET", "/v1/usage", None).await;
    story.refused("GET", "/v1/admin/spaces", None).await;
    story.refused("GET", "/v1/admin/usage", None).await;
    story.ask(&story.owner, "GET", &by_key("other/a"), None).await.is(200);
}

/// A copy and a move are judged at both ends, and so are parts that are copied.
async fn both_ends_of_a_copy_count(server: Server) {
    let story = story(server).await;
    for (from, to, allowed) in [
        ("other/a", "reports/c", false),
        ("reports/a", "other/c", false),
        ("other/a", "other/c", false),
        ("reports/a", "reports/c", true),
    ] {
        let body = json!({ "source": at(from), "destination": at(to) });
        for path in ["/v1/objects/copy", "/v1/objects/move"] {
            let answer = story.ask(&story.bound, "POST", path, Some(&body)).await;
            if allowed {
                answer.is(201);
            } else {
                answer.refused(403, "outside_prefixes", None);
            }
        }
    }
    let begun = story.ask(&story.bound, "POST", "/v1/uploads", Some(&at("other/u"))).await;
    begun.refused(403, "outside_prefixes", None);
    let foreign = story.ask(&story.owner, "POST", "/v1/uploads", Some(&at("other/u"))).await.json(201);
    let foreign = format!("/v1/uploads/{}", foreign["id"].as_str().unwrap());
    story.refused("GET", &foreign, None).await;
    story.refused("DELETE", &foreign, None).await;
    story.refused("POST", &format!("{foreign}/complete"), Some(&json!({ "parts": [] }))).await;
    story.ask(&story.bound, "POST", "/v1/uploads", Some(&at("reports/u"))).await.is(201);
}

/// A signed URL opens no more than its maker, also once the maker was bound elsewhere.
async fn a_url_is_bound_as_its_maker(server: Server) {
    let story = story(server).await;
    for (key, allowed) in [("reports/a", true), ("other/a", false)] {
        for method in ["GET", "PUT", "DELETE"] {
            let mut body = at(key);
            body["method"] = json!(method);
            let answer = story.ask(&story.bound, "POST", "/v1/presign", Some(&body)).await;
            if allowed {
                answer.is(201);
            } else {
                answer.refused(403, "outside_prefixes", None);
            }
        }
        let listed = story.ask(&story.owner, "GET", &list(key), None).await.json(200);
        let body = json!({ "method": "GET", "id": listed["objects"][0]["id"] });
        let answer = story.ask(&story.bound, "POST", "/v1/presign", Some(&body)).await;
        if allowed {
            answer.is(201);
        } else {
            answer.refused(403, "outside_prefixes", None);
        }
    }
    let mut body = at("reports/a");
    body["method"] = json!("GET");
    let signed = story.ask(&story.bound, "POST", "/v1/presign", Some(&body)).await.json(201);
    let path = signed["path"].as_str().unwrap();
    story.server.watch.made(path.split_once("js-signature=").unwrap().1);
    let get = async || story.server.send(crate::support::bare("GET", path).body("".into()).unwrap()).await;
    assert_eq!(get().await.is(200).body, "bytes");
    story.server.bind(&story.bound, &["elsewhere/"]).await;
    get().await.refused(403, "outside_prefixes", None);
}

macro_rules! on_both_with_credentials {
    ($story:ident) => {
        mod $story {
            use super::*;

            #[tokio::test]
            async fn on_sqlite() {
                super::$story(Server::with(AuthMode::Required).await).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$story(Server::on_postgres_with(AuthMode::Required).await).await;
            }
        }
    };
}

on_both_with_credentials!(it_keeps_to_its_prefix);
on_both_with_credentials!(both_ends_of_a_copy_count);
on_both_with_credentials!(a_url_is_bound_as_its_maker);
