//! What belongs to somebody else is answered as what does not exist: with the same status, headers and body, and after
//! the same statements in the same order, so that a stranger learns nothing from the time that it takes either.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use reqwest::header::HeaderName;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Place, text};

/// How often each request is sent. Background work adds its own statements to some, and what is remembered for a
/// moment (keys, limits) costs one now and then: the fewest are the request's own.
const TIMES: usize = 4;

/// How often two requests that seem to differ are compared again: on a busy machine background work may come between each
/// time. A real difference is there every time.
const COMPARED: usize = 5;

/// A method, the path of somebody else's thing and of one that is missing, and what to send to each.
type Pair = (&'static str, String, String, Option<(Value, Value)>);

/// What a request is answered, as far as it can tell anything, and the statements that it costs.
#[derive(Debug, PartialEq)]
struct Told {
    answer: Value,
    statements: Vec<String>,
}

/// The statements that the server has logged from a place in its log on.
fn statements(place: &Place, from: u64) -> Vec<String> {
    let mut log = File::open(place.file("server.log")).unwrap();
    log.seek(SeekFrom::Start(from)).unwrap();
    let mut lines = Vec::new();
    log.read_to_end(&mut lines).unwrap();
    let lines = text(&lines);
    let of_queries =
        lines.lines().filter_map(|line| line.split_once(" sqlx::query: ")?.1.split_once(" rows_affected="));
    // How many commits there are is noted beside the requests, whenever there is time.
    of_queries
        .map(|(statement, _)| statement.to_owned())
        .filter(|one| !one.contains(" commits FROM commit_counts"))
        .collect()
}

async fn told(place: &Place, send: impl AsyncFn() -> Value) -> Told {
    let mut all = Vec::new();
    for _ in 0..TIMES {
        let from = std::fs::metadata(place.file("server.log")).unwrap().len();
        let answer = send().await;
        all.push(Told { answer, statements: statements(place, from) });
    }
    assert!(all.iter().all(|told| told.answer == all[0].answer), "one request, several answers: {all:#?}");
    all.into_iter().min_by_key(|told| told.statements.len()).unwrap()
}

/// Both requests, compared until they are alike.
async fn compared(
    place: &Place,
    one: impl AsyncFn() -> Value,
    other: impl AsyncFn() -> Value,
) -> (Told, Told) {
    let mut pair = (told(place, &one).await, told(place, &other).await);
    for _ in 1..COMPARED {
        if pair.0 == pair.1 {
            break;
        }
        pair = (told(place, &one).await, told(place, &other).await);
    }
    pair
}

/// The names of the headers of an answer.
fn header_names<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Calls the native API with a token.
struct Native {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Native {
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Vec<String>, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let (status, headers) =
            (answer.status(), header_names(answer.headers().keys().map(HeaderName::as_str)));
        (status, headers, answer.json().await.unwrap_or_default())
    }

    /// As [`Self::call`]: what it tells.
    async fn answer(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, headers, mut body) = self.call(method, path, body).await;
        if let Some(id) = body.get_mut("request_id") {
            *id = Value::Null;
        }
        json!({ "status": status.as_u16(), "headers": headers, "body": body })
    }
}

/// What an S3 client is told.
fn s3_answer<T, E>(sent: Result<T, SdkError<E>>) -> Value
where
    SdkError<E>: aws_sdk_s3::error::ProvideErrorMetadata,
{
    let Err(error) = sent else { return json!("nothing is wrong") };
    let response = error.raw_response().expect("an answer");
    let headers = header_names(response.headers().iter().map(|(name, _)| name));
    let status = response.status().as_u16();
    json!({ "status": status, "headers": headers, "code": error.code(), "message": error.message() })
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // one table for each front
async fn a_stranger_cannot_tell_what_exists() {
    let place = Place::new();
    let mut command = place.program(&["--auth", "required"]);
    // Its statements, and not the rest of what it can say: there are hundreds of requests.
    command.env("RUST_LOG", "info,sqlx=debug");
    command.env("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", "root");
    command.env("JUSTSTORAGE_S3_ROOT_SECRET_KEY", "a-secret-of-this-test");
    let server = place.start(command);
    let key = |kind: &str, tenant: &str| {
        let rights = ["--rights", "read,write,delete,admin"];
        place.json(&[&["key", "create", "--kind", kind, "--tenant", tenant], &rights[..]].concat())
    };
    let native = |tenant: &str| Native {
        http: reqwest::Client::new(),
        url: server.native.clone(),
        token: key("api", tenant)["token"].as_str().unwrap().to_owned(),
    };
    let s3 = |tenant: &str| {
        let key = key("s3", tenant);
        server.s3_as(key["access_key"].as_str().unwrap(), key["secret_key"].as_str().unwrap())
    };
    let ((owner, owner_s3), (stranger, stranger_s3)) =
        ((native("acme"), s3("acme")), (native("other"), s3("other")));

    // What there is to find: an object with its versions, an upload under way on either front.
    owner_s3.create_bucket().bucket("theirs").send().await.unwrap();
    owner_s3.create_bucket().bucket("barren").send().await.unwrap();
    stranger_s3.create_bucket().bucket("mine").send().await.unwrap();
    for (s3, bucket) in [(&owner_s3, "theirs"), (&stranger_s3, "mine")] {
        s3.put_object().bucket(bucket).key("k").body(vec![1; 100].into()).send().await.unwrap();
    }
    let listed = owner.call("GET", "/v1/objects?namespace=theirs&tenant=acme", None).await.2;
    let id = listed["objects"][0]["id"].as_str().unwrap().to_owned();
    let begun = json!({ "namespace": "theirs", "tenant": "acme", "key": "u" });
    let upload = owner.call("POST", "/v1/uploads", Some(&begun)).await.2["id"].as_str().unwrap().to_owned();
    let multipart = owner_s3.create_multipart_upload().bucket("theirs").key("u").send().await.unwrap();
    let multipart = multipart.upload_id.unwrap();
    let (no_id, no_upload) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());

    // Natively: another tenant's object, and one that does not exist.
    let by_key = |tenant: &str, key: &str| format!("/v1/objects/by-key/theirs/{tenant}/{key}");
    let by_id = |id: &str| format!("/v1/objects/{id}");
    let to_mine = |source: Value| json!({ "source": source, "destination": { "namespace": "n", "tenant": "other", "key": "c" } });
    let source =
        |tenant: &str, key: &str| to_mine(json!({ "namespace": "theirs", "tenant": tenant, "key": key }));
    let uploads = |id: &str, rest: &str| format!("/v1/uploads/{id}{rest}");
    let listing = |tenant: &str| format!("/v1/objects?namespace=theirs&tenant={tenant}");
    let parts = json!({ "parts": [{ "part_number": 1, "etag": "\"0\"" }] });
    let change = json!({ "storage_class": "cold" });
    let copy = "/v1/objects/copy".to_owned();
    let mut pairs: Vec<Pair> = Vec::new();
    for method in ["GET", "HEAD", "DELETE"] {
        pairs.push((method, by_key("acme", "k"), by_key("nobody", "k"), None));
        pairs.push((method, by_key("acme", "k"), by_key("acme", "missing"), None));
        pairs.push((method, by_id(&id), by_id(&no_id), None));
    }
    pairs.push(("PATCH", by_id(&id), by_id(&no_id), Some((change.clone(), change))));
    let sources = (to_mine(json!({ "id": id })), to_mine(json!({ "id": no_id })));
    pairs.push(("POST", copy.clone(), copy.clone(), Some(sources)));
    for missing in [source("nobody", "k"), source("acme", "missing")] {
        pairs.push(("POST", copy.clone(), copy.clone(), Some((source("acme", "k"), missing))));
    }
    for method in ["GET", "DELETE"] {
        pairs.push((method, uploads(&upload, ""), uploads(&no_upload, ""), None));
        // As an upload of S3 as well: there is one kind.
        pairs.push((method, uploads(&multipart, ""), uploads(&no_upload, ""), None));
    }
    pairs.push(("PUT", uploads(&upload, "/parts/1"), uploads(&no_upload, "/parts/1"), None));
    let both = Some((parts.clone(), parts));
    pairs.push(("POST", uploads(&upload, "/complete"), uploads(&no_upload, "/complete"), both));
    pairs.push(("GET", listing("acme"), listing("nobody"), None));
    let usage = |tenant: &str| format!("/v1/usage?namespace=theirs&tenant={tenant}");
    pairs.push(("GET", usage("acme"), usage("nobody"), None));
    let mut wrong = Vec::new();
    for (method, foreign, missing, bodies) in pairs {
        let (first, second) = bodies.as_ref().map_or((None, None), |(a, b)| (Some(a), Some(b)));
        let (theirs, missing_too) = compared(
            &place,
            async || stranger.answer(method, &foreign, first).await,
            async || stranger.answer(method, &missing, second).await,
        )
        .await;
        // Usage has no object to hide: it is empty.
        let status = if foreign.starts_with("/v1/usage") { 200 } else { 404 };
        if theirs != missing_too || theirs.answer["status"] != status {
            wrong.push(format!(
                "{method} {foreign} {first:?}: {theirs:#?}, but {missing} {second:?}: {missing_too:#?}"
            ));
        }
    }

    // Over S3. That a bucket is there is told to everybody (403), and nothing of what is in it.
    macro_rules! alike {
        ($what:literal, |$bucket:ident, $source:ident, $version:ident, $upload:ident| $call:expr) => {
            let send = async |$bucket: &str, $source: &str, $version: &str, $upload: &str| {
                s3_answer($call.send().await)
            };
            let (theirs, missing_too) = compared(
                &place,
                async || send("theirs", "theirs/k", &id, &multipart).await,
                async || send("barren", "barren/k", &no_id, &no_upload).await,
            )
            .await;
            if theirs != missing_too {
                wrong.push(format!("{}: {theirs:#?}, but of nothing: {missing_too:#?}", $what));
            }
        };
    }
    let s3 = &stranger_s3;
    alike!("HeadBucket", |bucket, _s, _v, _u| s3.head_bucket().bucket(bucket));
    let heard = s3_answer(s3.get_object().bucket("theirs").key("k").send().await);
    assert_eq!((&heard["status"], &heard["code"]), (&json!(403), &json!("AccessDenied")), "{heard}");
    alike!("ListObjectsV2", |bucket, _s, _v, _u| s3.list_objects_v2().bucket(bucket));
    alike!("ListObjectVersions", |bucket, _s, _v, _u| s3.list_object_versions().bucket(bucket));
    alike!("ListMultipartUploads", |bucket, _s, _v, _u| s3.list_multipart_uploads().bucket(bucket));
    alike!("GetObject", |bucket, _s, _v, _u| s3.get_object().bucket(bucket).key("k"));
    alike!("HeadObject", |bucket, _s, _v, _u| s3.head_object().bucket(bucket).key("k"));
    alike!("GetObjectTagging", |bucket, _s, _v, _u| s3.get_object_tagging().bucket(bucket).key("k"));
    alike!("PutObject", |bucket, _s, _v, _u| s3
        .put_object()
        .bucket(bucket)
        .key("k")
        .body(vec![1; 10].into()));
    alike!("DeleteObject", |bucket, _s, _v, _u| s3.delete_object().bucket(bucket).key("k"));
    alike!("GetObject of a version", |_b, _s, version, _u| s3
        .get_object()
        .bucket("mine")
        .key("k")
        .version_id(version));
    alike!("DeleteObject of a version", |_b, _s, version, _u| s3
        .delete_object()
        .bucket("mine")
        .key("k")
        .version_id(version));
    alike!("DeleteObjects", |_b, _s, version, _u| {
        let object = ObjectIdentifier::builder().key("k").version_id(version).build().unwrap();
        s3.delete_objects().bucket("mine").delete(Delete::builder().objects(object).build().unwrap())
    });
    alike!("CopyObject", |_b, source, _v, _u| s3.copy_object().bucket("mine").key("c").copy_source(source));
    alike!("CopyObject of a version", |_b, _s, version, _u| s3
        .copy_object()
        .bucket("mine")
        .key("c")
        .copy_source(format!("mine/k?versionId={version}")));
    alike!("CopyObject into a bucket", |bucket, _s, _v, _u| s3
        .copy_object()
        .bucket(bucket)
        .key("c")
        .copy_source("mine/k"));
    let own = s3.create_multipart_upload().bucket("mine").key("u").send().await.unwrap().upload_id.unwrap();
    alike!("UploadPartCopy", |_b, source, _v, _u| s3
        .upload_part_copy()
        .bucket("mine")
        .key("u")
        .part_number(1)
        .upload_id(&own)
        .copy_source(source));
    alike!("ListParts", |_b, _s, _v, upload| s3.list_parts().bucket("mine").key("u").upload_id(upload));
    alike!("UploadPart", |_b, _s, _v, upload| s3
        .upload_part()
        .bucket("mine")
        .key("u")
        .part_number(1)
        .upload_id(upload)
        .body(vec![1; 10].into()));
    alike!("CompleteMultipartUpload", |_b, _s, _v, upload| {
        let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).e_tag("\"0\"").build();
        let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
        s3.complete_multipart_upload().bucket("mine").key("u").upload_id(upload).multipart_upload(parts)
    });
    alike!("AbortMultipartUpload", |_b, _s, _v, upload| s3
        .abort_multipart_upload()
        .bucket("mine")
        .key("u")
        .upload_id(upload));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    // The owner finds it, and that costs statements: otherwise none of the above would have been seen.
    let own = told(&place, async || owner.answer("GET", &by_id(&id), None).await).await;
    assert!(own.answer["status"] == 200 && !own.statements.is_empty(), "{own:?}");
    server.stop();
}
