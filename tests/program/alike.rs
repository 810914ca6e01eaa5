//! What belongs to somebody else, and what does not exist, take the same way through the program: the statements
//! that a request costs are the same in kind and number, so that a stranger learns nothing from its time either.

use std::collections::HashMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::Place;

/// How often each request is sent: background work adds its own statements to some, and what is remembered for a
/// moment (keys, limits) costs one only now and then.
const TIMES: usize = 9;

/// The statements that the server has logged from a place in its log on.
fn statements(place: &Place, from: usize) -> Vec<String> {
    let log = std::fs::read(place.file("server.log")).unwrap();
    let lines = String::from_utf8_lossy(&log[from..]).into_owned();
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let statements = events.filter(|event| event["target"] == "sqlx::query");
    statements.map(|event| format!("{} {}", event["summary"], event["db.statement"])).collect()
}

/// What a request costs most of the times that it is sent.
async fn cost<T: PartialEq + std::fmt::Debug>(place: &Place, send: impl AsyncFn() -> T) -> (T, Vec<String>) {
    let mut seen: HashMap<Vec<String>, usize> = HashMap::new();
    let mut told = None;
    for _ in 0..TIMES {
        let from = std::fs::metadata(place.file("server.log")).unwrap().len();
        let answer = send().await;
        assert!(told.as_ref().is_none_or(|told| *told == answer), "{told:?}, then {answer:?}");
        told = Some(answer);
        *seen.entry(statements(place, usize::try_from(from).unwrap())).or_default() += 1;
    }
    let (most, times) = seen.into_iter().max_by_key(|(_, times)| *times).unwrap();
    assert!(times > TIMES / 3, "no two of them cost the same");
    (told.unwrap(), most)
}

#[tokio::test]
async fn a_stranger_cannot_tell_what_exists() {
    let place = Place::new();
    let mut command = place.program(&["--auth", "required"]);
    command.env("JUSTSTORAGE_LOG_FORMAT", "json");
    command.env("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", "root");
    command.env("JUSTSTORAGE_S3_ROOT_SECRET_KEY", "a-secret-of-this-test");
    let server = place.start(command);
    let key = |kind: &str, tenant: &str| {
        let rights = ["--rights", "read,write,delete,admin"];
        place.json(&[&["key", "create", "--kind", kind, "--tenant", tenant], &rights[..]].concat())
    };
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let (owner, stranger) = (text(&key("api", "acme"), "token"), text(&key("api", "other"), "token"));
    let s3 =
        |key: &Value| server.s3_as(key["access_key"].as_str().unwrap(), key["secret_key"].as_str().unwrap());
    let (owner_s3, stranger_s3) = (s3(&key("s3", "acme")), s3(&key("s3", "other")));

    // What there is to find: an object, its versions, an upload under way.
    let http = reqwest::Client::new();
    let call = async |token: &str, method: &str, path: &str, body: Option<&Value>| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = http.request(method, format!("{}{path}", server.native)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json::<Value>().await.unwrap_or_default())
    };
    owner_s3.create_bucket().bucket("theirs").send().await.unwrap();
    stranger_s3.create_bucket().bucket("mine").send().await.unwrap();
    owner_s3.put_object().bucket("theirs").key("k").body(vec![1; 100].into()).send().await.unwrap();
    let listed = call(&owner, "GET", "/v1/objects?namespace=theirs&tenant=acme", None).await.1;
    let id = text(&listed["objects"][0], "id");
    let begun = json!({ "namespace": "theirs", "tenant": "acme", "key": "u" });
    let upload = text(&call(&owner, "POST", "/v1/uploads", Some(&begun)).await.1, "id");
    let multipart = owner_s3.create_multipart_upload().bucket("theirs").key("u").send().await.unwrap();
    let multipart = multipart.upload_id.unwrap();
    let (no_id, no_upload) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());

    // Over the native API: somebody else's, and what nobody has.
    let by_key = |tenant: &str, key: &str| format!("/v1/objects/by-key/theirs/{tenant}/{key}");
    let by_id = |id: &str| format!("/v1/objects/{id}");
    let copy =
        |source: Value| json!({ "source": source, "namespace": "n", "tenant": "other", "key": "copy" });
    let copy_of = |tenant: &str| copy(json!({ "namespace": "theirs", "tenant": tenant, "key": "k" }));
    let uploads = |id: &str, rest: &str| format!("/v1/uploads/{id}{rest}");
    let parts = json!({ "parts": [{ "part_number": 1, "etag": "\"0\"" }] });
    let change = json!({ "storage_class": "cold" });
    let listing = |tenant: &str| format!("/v1/objects?namespace=theirs&tenant={tenant}");
    let mut pairs: Vec<(&str, String, String, Option<(Value, Value)>)> = Vec::new();
    for method in ["GET", "HEAD", "DELETE"] {
        pairs.push((method, by_key("acme", "k"), by_key("nobody", "k"), None));
        pairs.push((method, by_key("acme", "k"), by_key("acme", "missing"), None));
        pairs.push((method, by_id(&id), by_id(&no_id), None));
    }
    pairs.push(("PATCH", by_id(&id), by_id(&no_id), Some((change.clone(), change))));
    let path = || "/v1/objects/copy".to_owned();
    pairs.push(("POST", path(), path(), Some((copy(json!({ "id": id })), copy(json!({ "id": no_id }))))));
    pairs.push(("POST", path(), path(), Some((copy_of("acme"), copy_of("nobody")))));
    for method in ["GET", "DELETE"] {
        pairs.push((method, uploads(&upload, ""), uploads(&no_upload, ""), None));
    }
    pairs.push(("PUT", uploads(&upload, "/parts/1"), uploads(&no_upload, "/parts/1"), None));
    let both = Some((parts.clone(), parts));
    pairs.push(("POST", uploads(&upload, "/complete"), uploads(&no_upload, "/complete"), both));
    pairs.push(("GET", listing("acme"), listing("nobody"), None));
    let mut wrong = Vec::new();
    for (method, foreign, missing, bodies) in pairs {
        let (first, second) = bodies.as_ref().map_or((None, None), |(a, b)| (Some(a), Some(b)));
        let told = async |path: &str, body| call(&stranger, method, path, body).await.0;
        let foreign_cost = cost(&place, async || told(&foreign, first).await).await;
        let missing_cost = cost(&place, async || told(&missing, second).await).await;
        assert_eq!(foreign_cost.0, StatusCode::NOT_FOUND, "{method} {foreign}");
        if foreign_cost != missing_cost {
            wrong.push(format!("{method} {foreign}: {foreign_cost:#?}, but {missing}: {missing_cost:#?}"));
        }
    }

    // Over S3.
    let code = |error: Option<&str>| error.unwrap_or("none").to_owned();
    macro_rules! told {
        ($call:expr) => {
            code(
                $call
                    .send()
                    .await
                    .err()
                    .and_then(|error| {
                        use aws_sdk_s3::error::ProvideErrorMetadata as _;
                        error.into_service_error().code().map(str::to_owned)
                    })
                    .as_deref(),
            )
        };
    }
    let s3 = &stranger_s3;
    macro_rules! alike {
        ($what:literal, |$bucket:ident, $source:ident, $version:ident, $upload:ident| $call:expr) => {
            let send = async |$bucket: &str, $source: &str, $version: &str, $upload: &str| told!($call);
            let foreign = cost(&place, async || send("theirs", "theirs/k", &id, &multipart).await).await;
            let missing = cost(&place, async || send("missing", "missing/k", &no_id, &no_upload).await).await;
            if foreign != missing {
                wrong.push(format!("{}: {foreign:#?}, but missing: {missing:#?}", $what));
            }
        };
    }
    alike!("GetObject", |bucket, _s, _v, _u| s3.get_object().bucket(bucket).key("k"));
    alike!("HeadObject", |bucket, _s, _v, _u| s3.head_object().bucket(bucket).key("k"));
    alike!("DeleteObject", |bucket, _s, _v, _u| s3.delete_object().bucket(bucket).key("k"));
    alike!("ListObjectsV2", |bucket, _s, _v, _u| s3.list_objects_v2().bucket(bucket));
    alike!("version", |_b, _s, version, _u| s3.get_object().bucket("mine").key("k").version_id(version));
    alike!("version to delete", |_b, _s, version, _u| s3
        .delete_object()
        .bucket("mine")
        .key("k")
        .version_id(version));
    alike!("copy source", |_b, source, _v, _u| s3.copy_object().bucket("mine").key("c").copy_source(source));
    alike!("upload", |_b, _s, _v, upload| s3.list_parts().bucket("mine").key("u").upload_id(upload));
    alike!("part", |_b, _s, _v, upload| s3
        .upload_part()
        .bucket("mine")
        .key("u")
        .part_number(1)
        .upload_id(upload)
        .body(vec![1; 10].into()));
    alike!("end of an upload", |_b, _s, _v, upload| s3
        .abort_multipart_upload()
        .bucket("mine")
        .key("u")
        .upload_id(upload));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    // The owner's own way costs more, or the statements were not seen at all.
    let own = cost(&place, async || call(&owner, "GET", &by_id(&id), None).await.0).await;
    assert!(own.0 == StatusCode::OK && !own.1.is_empty(), "{own:?}");
    server.stop();
}
