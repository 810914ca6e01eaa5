//! Every call of administration, by every kind of caller. A call of the OpenAPI document that has no row here fails the
//! test.

use std::collections::BTreeSet;

use juststorage_core::application::access::AuthMode;
use juststorage_core::application::ports::metadata::Stuck;
use juststorage_core::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use super::request;
use crate::support::Server;

/// What a call is tried on, fresh for every try: a bucket and a credential of `models/acme`.
struct Fixture {
    bucket: String,
    credential: String,
    /// A namespace with a space of the tenant.
    namespace: &'static str,
    /// A bucket that is not there yet.
    fresh: String,
}

/// Who calls; the columns of the table.
const CALLERS: [&str; 8] = [
    "no credential",
    "an administrator of another tenant",
    "an administrator of another namespace",
    "a reader",
    "one who may measure",
    "an administrator of the namespace",
    "an administrator of the tenant",
    "an operator of another tenant",
];

struct Row {
    operation: &'static str,
    method: &'static str,
    path: fn(&Fixture) -> String,
    body: Option<fn(&Fixture) -> Value>,
    /// The status for each of [`CALLERS`].
    answers: [u16; 8],
    /// The code of a 404.
    hidden: &'static str,
}

const STORE: [u16; 8] = [401, 403, 403, 403, 403, 403, 403, 200];

#[allow(clippy::too_many_lines)] // a table
fn rows() -> Vec<Row> {
    type Path = fn(&Fixture) -> String;
    let row = |operation, method, path: Path, answers, hidden| Row {
        operation,
        method,
        path,
        body: None,
        answers,
        hidden,
    };
    let with = |row: Row, body: fn(&Fixture) -> Value| Row { body: Some(body), ..row };
    let instead = |mut answers: [u16; 8], last: u16| {
        answers[7] = last;
        answers
    };
    let credential: Path = |f| format!("/v1/admin/credentials/{}", f.credential);
    vec![
        row("metrics", "GET", |_| "/metrics".into(), [401, 403, 403, 403, 200, 403, 403, 200], ""),
        row(
            "admin_whoami",
            "GET",
            |_| "/v1/admin/whoami".into(),
            [401, 200, 200, 200, 200, 200, 200, 200],
            "",
        ),
        row(
            "admin_can",
            "GET",
            |_| "/v1/admin/can?action=GetObject&resource=models/acme/k".into(),
            [401, 200, 200, 200, 200, 200, 200, 200],
            "",
        ),
        row(
            "admin_can",
            "GET",
            |f| format!("/v1/admin/can?action=GetObject&resource=models/acme/k&principal={}", f.credential),
            [401, 404, 404, 403, 403, 200, 200, 200],
            "space_not_found",
        ),
        row(
            "admin_can",
            "GET",
            |f| {
                format!(
                    "/v1/admin/can?action=ListBucket&resource=arn:aws:s3:::{}&principal=anonymous",
                    f.bucket
                )
            },
            [401, 404, 404, 403, 403, 200, 200, 200],
            "bucket_not_found",
        ),
        row(
            "admin_list_spaces",
            "GET",
            |_| "/v1/admin/spaces?tenant=acme".into(),
            [401, 200, 200, 200, 403, 200, 200, 200],
            "",
        ),
        row(
            "admin_get_space",
            "GET",
            |f| format!("/v1/admin/spaces/{}/acme", f.namespace),
            [401, 404, 404, 403, 403, 200, 200, 200],
            "space_not_found",
        ),
        with(
            row(
                "admin_set_space_setting",
                "PUT",
                |f| format!("/v1/admin/spaces/{}/acme/tags", f.namespace),
                [401, 404, 404, 403, 403, 200, 200, 200],
                "space_not_found",
            ),
            |_| json!({ "a": "b" }),
        ),
        row(
            "admin_remove_space_setting",
            "DELETE",
            |f| format!("/v1/admin/spaces/{}/acme/lifecycle", f.namespace),
            [401, 404, 404, 403, 403, 200, 200, 200],
            "space_not_found",
        ),
        row(
            "admin_list_buckets",
            "GET",
            |_| "/v1/admin/buckets?tenant=acme".into(),
            [401, 200, 200, 200, 403, 200, 200, 200],
            "",
        ),
        with(
            row(
                "admin_create_bucket",
                "POST",
                |_| "/v1/admin/buckets".into(),
                [401, 403, 403, 403, 403, 201, 201, 201],
                "",
            ),
            |f| json!({ "name": f.fresh, "namespace": "models", "tenant": "acme" }),
        ),
        row(
            "admin_get_bucket",
            "GET",
            |f| format!("/v1/admin/buckets/{}", f.bucket),
            [401, 404, 404, 200, 403, 200, 200, 200],
            "bucket_not_found",
        ),
        row(
            "admin_delete_bucket",
            "DELETE",
            |f| format!("/v1/admin/buckets/{}", f.bucket),
            [401, 404, 404, 403, 403, 204, 204, 204],
            "bucket_not_found",
        ),
        row(
            "admin_list_credentials",
            "GET",
            |_| "/v1/admin/credentials?tenant=acme".into(),
            [401, 200, 200, 403, 403, 200, 200, 200],
            "",
        ),
        with(
            row(
                "admin_create_credential",
                "POST",
                |_| "/v1/admin/credentials".into(),
                [401, 403, 403, 403, 403, 201, 201, 201],
                "",
            ),
            |_| json!({ "kind": "api", "tenant": "acme", "namespaces": ["models"], "rights": ["read", "admin"] }),
        ),
        with(
            row(
                "admin_create_credential",
                "POST",
                |_| "/v1/admin/credentials".into(),
                [401, 403, 403, 403, 403, 403, 201, 201],
                "",
            ),
            |_| json!({ "kind": "s3", "tenant": "acme" }),
        ),
        with(
            row(
                "admin_create_credential",
                "POST",
                |_| "/v1/admin/credentials".into(),
                [401, 403, 403, 403, 403, 403, 403, 201],
                "",
            ),
            |_| json!({ "kind": "api", "tenant": "acme", "namespaces": ["models"], "rights": ["metrics"] }),
        ),
        row(
            "admin_get_credential",
            "GET",
            credential,
            [401, 404, 404, 403, 403, 200, 200, 200],
            "credential_not_found",
        ),
        row(
            "admin_rotate_credential",
            "POST",
            |f| format!("/v1/admin/credentials/{}/rotate", f.credential),
            [401, 404, 404, 403, 403, 201, 201, 201],
            "credential_not_found",
        ),
        row(
            "admin_revoke_credential",
            "DELETE",
            credential,
            [401, 404, 404, 403, 403, 204, 204, 204],
            "credential_not_found",
        ),
        row(
            "admin_list_limits",
            "GET",
            |_| "/v1/admin/limits?tenant=acme".into(),
            [401, 403, 403, 403, 403, 403, 200, 200],
            "",
        ),
        row(
            "admin_get_limits",
            "GET",
            |_| "/v1/admin/limits/acme".into(),
            [401, 403, 403, 403, 403, 403, 200, 200],
            "",
        ),
        with(
            row("admin_set_limits", "PUT", |_| "/v1/admin/limits/acme".into(), STORE, ""),
            |_| json!({ "quota_objects": 1_000_000 }),
        ),
        row(
            "admin_get_usage",
            "GET",
            |_| "/v1/admin/usage?tenant=acme".into(),
            [401, 200, 200, 200, 403, 200, 200, 200],
            "",
        ),
        row("admin_list_replicas", "GET", |_| "/v1/admin/replicas".into(), STORE, ""),
        row("admin_list_workers", "GET", |_| "/v1/admin/workers".into(), STORE, ""),
        row("admin_run_worker", "POST", |_| "/v1/admin/workers/gc/run".into(), instead(STORE, 202), ""),
        row("admin_get_scrub", "GET", |_| "/v1/admin/scrub".into(), STORE, ""),
        row("admin_list_stuck", "GET", |_| "/v1/admin/stuck".into(), STORE, ""),
        with(
            row("admin_retry_stuck", "POST", |_| "/v1/admin/stuck/retry".into(), STORE, ""),
            |_| json!({ "all": true }),
        ),
        row("admin_list_kept", "GET", |_| "/v1/admin/stuck/kept".into(), STORE, ""),
        // Nothing is kept.
        with(
            row(
                "admin_give_up_kept",
                "POST",
                |_| "/v1/admin/stuck/give-up".into(),
                instead(STORE, 404),
                "segment_not_found",
            ),
            |_| json!({ "all": true }),
        ),
        row("admin_list_backups", "GET", |_| "/v1/admin/backups".into(), STORE, ""),
        with(
            row("admin_begin_backup", "POST", |_| "/v1/admin/backups".into(), instead(STORE, 201), ""),
            |_| json!({ "hold_seconds": 60 }),
        ),
        // There is none of this id.
        row(
            "admin_end_backup",
            "DELETE",
            |_| format!("/v1/admin/backups/{}", uuid::Uuid::nil()),
            instead(STORE, 404),
            "backup_not_found",
        ),
        row("admin_get_garbage", "GET", |_| "/v1/admin/garbage".into(), STORE, ""),
        row("admin_list_targets", "GET", |_| "/v1/admin/targets".into(), STORE, ""),
        // This server delivers to no kind of target.
        with(
            row("admin_put_target", "PUT", |_| "/v1/admin/targets/hooks".into(), instead(STORE, 400), ""),
            |_| json!({ "kind": "webhook", "url": "https://hooks.example/" }),
        ),
        row(
            "admin_get_target",
            "GET",
            |_| "/v1/admin/targets/hooks".into(),
            instead(STORE, 404),
            "target_not_found",
        ),
        row(
            "admin_remove_target",
            "DELETE",
            |_| "/v1/admin/targets/hooks".into(),
            instead(STORE, 404),
            "target_not_found",
        ),
        row(
            "admin_test_target",
            "POST",
            |_| "/v1/admin/targets/hooks/test".into(),
            instead(STORE, 404),
            "target_not_found",
        ),
        with(
            row(
                "admin_replay_target",
                "POST",
                |_| "/v1/admin/targets/hooks/replay".into(),
                instead(STORE, 404),
                "target_not_found",
            ),
            |_| json!({ "from_sequencer": "1" }),
        ),
        row("admin_get_traffic", "GET", |_| "/v1/admin/traffic".into(), STORE, ""),
        row("admin_list_upstreams", "GET", |_| "/v1/admin/upstreams".into(), STORE, ""),
        // The space is bound to none, and nothing is said of one.
        row(
            "admin_get_upstream",
            "GET",
            |_| "/v1/admin/upstreams/models/acme".into(),
            instead(STORE, 404),
            "upstream_not_found",
        ),
        with(
            row(
                "admin_set_upstream",
                "PUT",
                |_| "/v1/admin/upstreams/models/acme".into(),
                instead(STORE, 400),
                "",
            ),
            |_| json!({ "mode": "observe" }),
        ),
        row(
            "admin_forget_upstream",
            "DELETE",
            |_| "/v1/admin/upstreams/models/acme".into(),
            instead(STORE, 404),
            "upstream_not_found",
        ),
        row(
            "admin_work_on_upstream",
            "POST",
            |_| "/v1/admin/upstreams/models/acme/verify".into(),
            instead(STORE, 404),
            "upstream_not_found",
        ),
        row(
            "admin_list_upstream_clients",
            "GET",
            |_| "/v1/admin/upstreams/models/acme/clients".into(),
            instead(STORE, 404),
            "upstream_not_found",
        ),
        row(
            "admin_get_upstream_report",
            "GET",
            |_| "/v1/admin/upstreams/models/acme/report".into(),
            instead(STORE, 404),
            "upstream_not_found",
        ),
        row(
            "admin_get_upstream_report_page",
            "GET",
            |_| "/v1/admin/upstreams/models/acme/report.html".into(),
            instead(STORE, 404),
            "upstream_not_found",
        ),
        row("admin_list_report_keys", "GET", |_| "/v1/admin/report-keys".into(), STORE, ""),
        row(
            "admin_list_events",
            "GET",
            |_| "/v1/admin/events?tenant=acme".into(),
            [401, 403, 403, 403, 403, 403, 200, 200],
            "",
        ),
    ]
}

async fn callers(server: &Server) -> Vec<Option<String>> {
    vec![
        None,
        Some(server.token("evil", "read,write,delete,admin", None).await),
        Some(server.token("acme", "read,write,delete,admin", Some(&["docs", "other*"])).await),
        Some(server.token("acme", "read", None).await),
        Some(server.token("acme", "metrics", None).await),
        Some(server.token("acme", "admin", Some(&["model*"])).await),
        Some(server.token("acme", "admin", None).await),
        Some(server.token("ops", "operator", None).await),
    ]
}

async fn fixture(server: &Server, operator: &str, number: usize) -> Fixture {
    let bucket = format!("bucket-{number}");
    let new = json!({ "name": bucket, "namespace": "models", "tenant": "acme" });
    server.send(request(Some(operator), "POST", "/v1/admin/buckets", Some(&new))).await.is(201);
    let new = json!({ "kind": "api", "tenant": "acme", "namespaces": ["models"], "rights": ["read"] });
    let made =
        server.send(request(Some(operator), "POST", "/v1/admin/credentials", Some(&new))).await.json(201);
    server.watch.made(made["token"].as_str().unwrap());
    let item = Stuck {
        worker: "gc".into(),
        item: format!("segment:{number}"),
        error: "no".into(),
        failures: 1,
        since: Timestamp(1),
        next_at: Timestamp(i64::MAX),
    };
    server.metadata.put_aside(&item).await.unwrap();
    let credential = made["id"].as_str().unwrap().to_owned();
    Fixture { bucket, credential, namespace: "models", fresh: format!("fresh-{number}") }
}

#[tokio::test]
async fn every_call_of_administration_by_every_caller() {
    let server = Server::with(AuthMode::Required).await;
    let rows = rows();
    let [document, _] = juststorage_native_api::openapi();
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .filter(|operation| operation.starts_with("admin_") || operation == "metrics")
        .collect();
    let listed: BTreeSet<_> = rows.iter().map(|row| row.operation.to_owned()).collect();
    assert_eq!(operations, listed, "every call has a row, and every row a call");

    let tokens = callers(&server).await;
    let operator = tokens[7].clone().unwrap();
    let nowhere = Fixture {
        bucket: "nothing-here".into(),
        credential: "018bcfe5-687b-7fff-bfff-ffffffffffff".into(),
        namespace: "nowhere",
        fresh: "x".into(),
    };
    let mut number = 0;
    for row in &rows {
        for (at, token) in tokens.iter().enumerate() {
            number += 1;
            let fixture = fixture(&server, &operator, number).await;
            let call = |fixture: &Fixture| {
                let body = row.body.map(|body| body(fixture));
                request(token.as_deref(), row.method, &(row.path)(fixture), body.as_ref())
            };
            let answer = server.send(call(&fixture)).await;
            let context = format!("{} by {}: {:?}", row.operation, CALLERS[at], answer.body);
            let (status, expected) = (answer.status.as_u16(), row.answers[at]);
            assert_eq!(status, expected, "{context}");
            if let Ok(made) = serde_json::from_slice::<Value>(&answer.body) {
                made["token"].as_str().into_iter().for_each(|token| server.watch.made(token));
                made["secret_key"].as_str().into_iter().for_each(|secret| server.watch.made(secret));
            }
            match expected {
                401 => assert_eq!(answer.json(401)["code"], "unauthenticated", "{context}"),
                403 => assert_eq!(answer.json(403)["code"], "forbidden", "{context}"),
                404 => {
                    assert_eq!(answer.json(404)["code"], row.hidden, "{context}");
                    if at < 7 {
                        let missing = server.send(call(&nowhere)).await;
                        assert_eq!(answer.shape(), missing.shape(), "{context}: not as what does not exist");
                    }
                }
                // Who sees nothing of the tenant is shown nothing of it.
                200 if at <= 2 => {
                    let body = answer.json(200);
                    for list in ["buckets", "spaces"] {
                        assert_eq!(body[list].as_array().map_or(0, Vec::len), 0, "{context}");
                    }
                    // One bound to namespaces sees itself.
                    for shown in body["credentials"].as_array().into_iter().flatten() {
                        assert_eq!(shown["namespaces"], json!(["docs", "other*"]), "{context}");
                    }
                }
                _ => {}
            }
            // A refused request changed nothing.
            if status >= 400 && at < 7 {
                let bucket = format!("/v1/admin/buckets/{}", fixture.bucket);
                server.send(request(Some(&operator), "GET", &bucket, None)).await.is(200);
                let fresh = format!("/v1/admin/buckets/{}", fixture.fresh);
                server.send(request(Some(&operator), "GET", &fresh, None)).await.is(404);
                let credential = format!("/v1/admin/credentials/{}", fixture.credential);
                let kept = server.send(request(Some(&operator), "GET", &credential, None)).await.json(200);
                assert_eq!(kept["revoked_at"], Value::Null, "{context}");
                let limits =
                    server.send(request(Some(&operator), "GET", "/v1/admin/limits/acme", None)).await;
                if row.operation == "admin_set_limits" {
                    assert_eq!(limits.json(200)["quota_objects"], Value::Null, "{context}");
                }
            }
        }
    }
}

/// A signed URL opens an object, and no call of administration.
#[tokio::test]
async fn a_signed_url_administers_nothing() {
    let server = Server::with(AuthMode::Required).await;
    let token = server.token("acme", "read,write,delete,admin,metrics,operator", None).await;
    let put = http::Request::put("/v1/objects/by-key/models/acme/k").header("X-Api-Key", &token);
    server.send(put.body(axum::body::Body::from("x")).unwrap()).await.is(201);
    let wanted = json!({ "method": "GET", "namespace": "models", "tenant": "acme", "key": "k" });
    let signed = server.send(request(Some(&token), "POST", "/v1/presign", Some(&wanted))).await.json(201);
    let path = signed["path"].as_str().unwrap();
    server.send(request(None, "GET", path, None)).await.is(200);
    let query = path.split_once('?').unwrap().1;
    for path in ["/metrics", "/v1/admin/whoami", "/v1/admin/workers", "/v1/admin/limits/acme"] {
        let answer = server.send(request(None, "GET", &format!("{path}?{query}"), None)).await;
        answer.refused(401, "unauthenticated", None);
    }
    // A call with a query of its own has no place for it.
    for path in ["/v1/admin/credentials", "/v1/admin/buckets", "/v1/admin/usage"] {
        let answer = server.send(request(None, "GET", &format!("{path}?{query}"), None)).await;
        answer.refused(400, "invalid_query", None);
    }
}
