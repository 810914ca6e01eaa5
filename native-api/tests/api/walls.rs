//! Every operation of the native API, by every kind of caller. An operation of the OpenAPI document that has
//! no row here fails the test.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use juststorage_core::application::access::{AuthMode, NewKeyRequest};
use juststorage_core::application::ports::metadata::CredentialKind;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Rights;
use juststorage_core::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::{Answer, Server, bare};

/// What an operation is tried on: an object and an upload with one part, fresh for every try.
struct Fixture {
    key: String,
    id: String,
    upload: String,
    etag: String,
}

/// How one operation is called on a fixture.
type Call = fn(&Fixture) -> Request<Body>;

/// Which right an operation takes, or that it takes none.
enum Takes {
    /// Open to everybody.
    Nothing,
    /// All of these.
    Rights(&'static [&'static str]),
}

struct Row {
    operation: &'static str,
    takes: Takes,
    call: Call,
    /// The status when it succeeds.
    success: u16,
    /// What a caller is told for whom the object or upload does not exist; `None` where there is no object to
    /// hide and the answer is merely empty.
    hidden: Option<&'static str>,
}

const READ: Takes = Takes::Rights(&["read"]);
const WRITE: Takes = Takes::Rights(&["write"]);
const DELETE: Takes = Takes::Rights(&["delete"]);

fn empty(method: &str, path: &str) -> Request<Body> {
    bare(method, path).body(Body::empty()).unwrap()
}

fn json_of(method: &str, path: &str, body: &Value) -> Request<Body> {
    bare(method, path).header("Content-Type", "application/json").body(Body::from(body.to_string())).unwrap()
}

fn by_key(fixture: &Fixture) -> String {
    format!("/v1/objects/by-key/models/acme/{}", fixture.key)
}

fn by_id(fixture: &Fixture) -> String {
    format!("/v1/objects/{}", fixture.id)
}

fn upload(fixture: &Fixture) -> String {
    format!("/v1/uploads/{}", fixture.upload)
}

fn row(operation: &'static str, takes: Takes, call: Call, success: u16, hidden: Option<&'static str>) -> Row {
    Row { operation, takes, call, success, hidden }
}

fn rows() -> Vec<Row> {
    let mut rows = rows_of_objects();
    rows.extend(rows_of_uploads());
    rows
}

fn rows_of_objects() -> Vec<Row> {
    let object = Some("object_not_found");
    vec![
        row("health", Takes::Nothing, |_| empty("GET", "/health"), 200, None),
        row("ready", Takes::Nothing, |_| empty("GET", "/ready"), 200, None),
        row("openapi", Takes::Nothing, |_| empty("GET", "/v1/openapi.json"), 200, None),
        row("openapi_3_0", Takes::Nothing, |_| empty("GET", "/v1/openapi-3.0.json"), 200, None),
        row(
            "create_object",
            WRITE,
            |f| {
                let post =
                    bare("POST", "/v1/objects").header("X-Namespace", "models").header("X-Tenant", "acme");
                post.header("X-Key", &f.key).body(Body::from("new")).unwrap()
            },
            201,
            object,
        ),
        row("list_objects", READ, |_| empty("GET", "/v1/objects?namespace=models&tenant=acme"), 200, object),
        row("get_object", READ, |f| empty("GET", &by_id(f)), 200, object),
        row("head_object", READ, |f| empty("HEAD", &by_id(f)), 200, object),
        row("delete_object", DELETE, |f| empty("DELETE", &by_id(f)), 204, object),
        row(
            "patch_object",
            // What is left out stays, and the answer shows it.
            Takes::Rights(&["read", "write"]),
            |f| json_of("PATCH", &by_id(f), &json!({ "metadata": { "a": "b" } })),
            200,
            object,
        ),
        row("get_object_lock", READ, |f| empty("GET", &format!("{}/lock", by_id(f))), 200, object),
        // Its space has no locks: who may write is told so.
        row(
            "set_object_lock",
            WRITE,
            |f| json_of("PUT", &format!("{}/lock", by_id(f)), &json!({ "legal_hold": true })),
            400,
            object,
        ),
        row("get_object_by_key", READ, |f| empty("GET", &by_key(f)), 200, object),
        row("head_object_by_key", READ, |f| empty("HEAD", &by_key(f)), 200, object),
        row(
            "put_object_by_key",
            WRITE,
            |f| bare("PUT", &by_key(f)).body(Body::from("new")).unwrap(),
            201,
            object,
        ),
        row("delete_object_by_key", DELETE, |f| empty("DELETE", &by_key(f)), 204, object),
        row(
            "copy_object",
            Takes::Rights(&["read", "write"]),
            |f| {
                let target = json!({ "namespace": "models", "tenant": "acme", "key": "copied" });
                json_of(
                    "POST",
                    "/v1/objects/copy",
                    &json!({ "source": { "id": f.id }, "destination": target }),
                )
            },
            201,
            object,
        ),
        row(
            "delete_objects",
            DELETE,
            |f| {
                let keys = json!({ "namespace": "models", "tenant": "acme", "keys": [f.key] });
                json_of("POST", "/v1/objects/delete", &keys)
            },
            200,
            object,
        ),
        row(
            "move_object",
            Takes::Rights(&["read", "write", "delete"]),
            |f| {
                let source = json!({ "namespace": "models", "tenant": "acme", "key": f.key });
                let target =
                    json!({ "namespace": "models", "tenant": "acme", "key": format!("{}-moved", f.key) });
                json_of("POST", "/v1/objects/move", &json!({ "source": source, "destination": target }))
            },
            201,
            object,
        ),
    ]
}

fn rows_of_uploads() -> Vec<Row> {
    let object = Some("object_not_found");
    let part = Some("upload_not_found");
    vec![
        row(
            "create_upload",
            WRITE,
            |f| {
                let new = json!({ "namespace": "models", "tenant": "acme", "key": f.key });
                json_of("POST", "/v1/uploads", &new)
            },
            201,
            object,
        ),
        row(
            "put_part",
            WRITE,
            |f| bare("PUT", &format!("{}/parts/2", upload(f))).body(Body::from("part")).unwrap(),
            200,
            part,
        ),
        row("list_uploads", READ, |_| empty("GET", "/v1/uploads?namespace=models&tenant=acme"), 200, object),
        row("get_tags", READ, |f| empty("GET", &format!("{}/tags", by_id(f))), 200, object),
        row(
            "put_tags",
            WRITE,
            |f| json_of("PUT", &format!("{}/tags", by_id(f)), &json!({ "tags": { "a": "b" } })),
            200,
            object,
        ),
        row("delete_tags", WRITE, |f| empty("DELETE", &format!("{}/tags", by_id(f))), 204, object),
        row("get_upload", READ, |f| empty("GET", &upload(f)), 200, part),
        row(
            "complete_upload",
            WRITE,
            |f| {
                let parts = json!({ "parts": [{ "part_number": 1, "etag": f.etag }] });
                json_of("POST", &format!("{}/complete", upload(f)), &parts)
            },
            201,
            part,
        ),
        row("abort_upload", DELETE, |f| empty("DELETE", &upload(f)), 204, part),
        row(
            "presign",
            READ,
            |f| json_of("POST", "/v1/presign", &json!({ "method": "GET", "id": f.id })),
            201,
            object,
        ),
        row("get_usage", READ, |_| empty("GET", "/v1/usage"), 200, None),
    ]
}

/// Who calls, with which token, and with which rights it stands inside the wall, if it does.
#[allow(clippy::option_option, reason = "three cases, each said below")]
struct Caller {
    name: &'static str,
    token: Option<String>,
    /// `None`: its token does not hold. `Some(None)`: it stands outside.
    inside: Option<Option<&'static str>>,
    /// Whether it is bound to prefixes of keys, and then whether those of the table are among them.
    bound: Option<bool>,
}

/// Operations on a space as a whole, which no caller that is bound to prefixes may do.
const OF_SPACES: &[&str] = &["list_objects", "list_uploads", "get_usage"];

async fn key(server: &Server, rights: &str, expires_at: Option<Timestamp>) -> String {
    let request = NewKeyRequest {
        kind: CredentialKind::Api,
        tenant: Tenant::new("acme").unwrap(),
        namespaces: None,
        prefixes: None,
        rights: Rights::parse(rights).unwrap(),
        description: String::new(),
        expires_at,
    };
    server.key(request).await
}

const ALL: &str = "read,write,delete,admin";

async fn callers(server: &Server) -> Vec<Caller> {
    let admin = server.token("acme", ALL, None).await;
    let expired = key(server, ALL, Some(Timestamp(1))).await;
    let revoked = key(server, ALL, None).await;
    let last = server.access.list_keys(None).await.unwrap().pop().unwrap();
    server.access.revoke_key(last.id).await.unwrap();
    let mut tampered = admin.clone();
    tampered.replace_range(40..41, if &tampered[40..41] == "A" { "B" } else { "A" });
    server.watch.made(&tampered);
    let caller = |name, token, inside| Caller { name, token, inside, bound: None };
    let bound = async |name, prefixes: &[&str], own| {
        let token = server.bound("acme", "read,write,delete", prefixes).await;
        Caller { bound: Some(own), ..caller(name, Some(token), Some(Some("read,write,delete"))) }
    };
    vec![
        caller("no credential", None, None),
        caller("wrong signature", Some(tampered), None),
        caller("expired", Some(expired), None),
        caller("revoked", Some(revoked), None),
        caller("other tenant", Some(server.token("evil", ALL, None).await), Some(None)),
        caller(
            "other namespace",
            Some(server.token("acme", ALL, Some(&["model", "other*"])).await),
            Some(None),
        ),
        caller("read-only", Some(server.token("acme", "read", None).await), Some(Some("read"))),
        caller("write-only", Some(server.token("acme", "write", None).await), Some(Some("write"))),
        caller("delete-only", Some(server.token("acme", "delete", None).await), Some(Some("delete"))),
        bound("bound to these keys", &["k", "u", "copied"], true).await,
        bound("bound to other keys", &["kk", "other/"], false).await,
        caller("admin alone", Some(server.token("acme", "admin", None).await), Some(Some("admin"))),
        caller("admin", Some(admin), Some(Some(ALL))),
    ]
}

async fn send(server: &Server, request: Request<Body>, token: Option<&String>) -> Answer {
    let (mut parts, body) = request.into_parts();
    if let Some(token) = token {
        parts.headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    server.send(Request::from_parts(parts, body)).await
}

async fn fixture(server: &Server, owner: &String, number: usize) -> Fixture {
    let key = format!("k{number}");
    let put =
        bare("PUT", &format!("/v1/objects/by-key/models/acme/{key}")).body(Body::from("bytes")).unwrap();
    let id = send(server, put, Some(owner)).await.json(201)["id"].as_str().unwrap().to_owned();
    let new = json!({ "namespace": "models", "tenant": "acme", "key": format!("u{number}") });
    let begun = send(server, json_of("POST", "/v1/uploads", &new), Some(owner)).await;
    let upload = begun.json(201)["id"].as_str().unwrap().to_owned();
    let part = bare("PUT", &format!("/v1/uploads/{upload}/parts/1")).body(Body::from("part")).unwrap();
    let sent = send(server, part, Some(owner)).await;
    let etag = sent.is(200).header("etag").to_owned();
    Fixture { key, id, upload, etag }
}

#[tokio::test]
async fn every_operation_by_every_caller() {
    let server = Server::with(AuthMode::Required).await;
    let rows = rows();
    let [document, _] = juststorage_native_api::openapi();
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        // Those have walls of their own: `admin::walls`.
        .filter(|operation| !operation.starts_with("admin_") && operation != "metrics")
        .collect();
    let listed: BTreeSet<_> = rows.iter().map(|row| row.operation.to_owned()).collect();
    assert_eq!(operations, listed, "every operation has a row, and every row an operation");

    let callers = callers(&server).await;
    let owner = callers.last().unwrap().token.clone().unwrap();
    let nowhere = Fixture {
        key: "nothing".into(),
        id: "018bcfe5-687b-7fff-bfff-ffffffffffff".into(),
        upload: "018bcfe5-687b-7fff-bfff-ffffffffffff".into(),
        etag: "\"x\"".into(),
    };
    let mut number = 0;
    for row in &rows {
        for caller in &callers {
            number += 1;
            let fixture = fixture(&server, &owner, number).await;
            let answer = send(&server, (row.call)(&fixture), caller.token.as_ref()).await;
            let context = format!("{} by {}: {:?}", row.operation, caller.name, answer.body);
            let status = answer.status.as_u16();
            let takes = match row.takes {
                Takes::Nothing => {
                    assert_eq!(status, row.success, "{context}");
                    continue;
                }
                Takes::Rights(rights) => rights,
            };
            // A HEAD has no body to say more.
            let code = serde_json::from_slice::<Value>(&answer.body)
                .ok()
                .and_then(|body| Some(body.get("code")?.as_str()?.to_owned()));
            let refused = |expected: u16, expected_code: &str| {
                assert_eq!(status, expected, "{context}");
                assert!(code.as_deref().is_none_or(|code| code == expected_code), "{context}");
            };
            match (caller.inside, row.hidden) {
                (None, _) => refused(401, "unauthenticated"),
                (Some(None), Some(hidden)) => {
                    refused(404, hidden);
                    let missing = send(&server, (row.call)(&nowhere), caller.token.as_ref()).await;
                    assert_eq!(answer.shape(), missing.shape(), "{context}: not as what does not exist");
                }
                (Some(None), None) => {
                    assert_eq!(status, 200, "{context}");
                    assert_eq!(answer.json(200)["total"]["objects"], 0, "{context}");
                }
                (Some(Some(_)), _)
                    if caller.bound.is_some_and(|own| !own || OF_SPACES.contains(&row.operation)) =>
                {
                    // Its answer is one for each key.
                    if row.operation == "delete_objects" {
                        assert_eq!(status, 200, "{context}");
                        let said = serde_json::from_slice::<Value>(&answer.body).unwrap();
                        assert!(said.to_string().contains("outside_prefixes"), "{context}");
                    } else {
                        refused(403, "outside_prefixes");
                    }
                }
                (Some(Some(rights)), _) if takes.iter().all(|right| rights.contains(right)) => {
                    assert_eq!(status, row.success, "{context}");
                }
                (Some(Some(_)), _) => refused(403, "forbidden"),
            }
            // A refused request changed nothing.
            if status >= 400 {
                let path = format!("/v1/objects/{}", fixture.id);
                let whole = send(&server, empty("GET", &path), Some(&owner)).await;
                assert_eq!(whole.is(200).body, "bytes", "{context}");
                let path = format!("/v1/uploads/{}", fixture.upload);
                let parts = send(&server, empty("GET", &path), Some(&owner)).await.json(200);
                assert_eq!(parts["parts"].as_array().unwrap().len(), 1, "{context}");
            }
        }
    }
}
