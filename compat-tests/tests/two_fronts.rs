//! The same object through both fronts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use bytes::Bytes;
use juststorage_compat_tests::content::{assert_same, md5, multipart_etag, sha256};
use juststorage_compat_tests::native::{Native, json};
use juststorage_compat_tests::{Content, Database, Server, on_both_databases, s3};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json as value};

on_both_databases!(
    what_s3_wrote_the_native_api_reads,
    what_the_native_api_wrote_s3_reads,
    either_front_deletes_and_overwrites,
    uploads_end_in_the_same_object,
    a_bucket_names_a_space_that_exists,
    identical_content_is_stored_once,
    a_class_changed_natively_is_seen_by_s3,
    what_a_policy_denies_is_denied_on_both_fronts,
);

/// The bucket of every case. `CreateBucket` makes the namespace of the same name, of the caller's tenant.
const BUCKET: &str = "bucket";

async fn start(database: Database) -> (Server, aws_sdk_s3::Client, Native) {
    let server = Server::start(database).await;
    let (s3, native) = (server.s3(), server.native());
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    (server, s3, native)
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn what_s3_wrote_the_native_api_reads(database: Database) {
    let (_server, s3, native) = start(database).await;
    for (key, length) in [("small ü+", 1000), ("a/large one", (3 << 20) + 1), ("empty", 0)] {
        let bytes = Content::new(1, length).bytes();
        let put = s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from(bytes.clone()));
        let put = put.content_type("x/from-s3").metadata("Who", "s3").storage_class(StorageClass::StandardIa);
        let etag = put.cache_control("no-cache").send().await.unwrap().e_tag.unwrap();

        let answer = native.get(BUCKET, key).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "content-type"), "x/from-s3");
        assert_eq!(header(&answer, "cache-control"), "no-cache");
        assert_eq!(header(&answer, "x-meta-who"), "s3");
        assert_eq!(header(&answer, "x-storage-class"), "cold");
        assert_eq!(header(&answer, "etag"), etag);
        assert_eq!(header(&answer, "x-content-hash"), format!("sha256:{}", sha256(&bytes)));
        assert_same(key, &answer.bytes().await.unwrap(), &bytes);

        let listed = native.list(BUCKET, key, 10).await;
        let [object] = &listed[..] else { panic!("{listed:?}") };
        assert_eq!(object["key"], key);
        assert_eq!(object["size_bytes"], length);
        assert_eq!(object["storage_class"], "cold");
        let by_id = format!("/v1/objects/{}", object["id"].as_str().unwrap());
        let answer = native.request(Method::GET, &by_id).header("Range", "bytes=0-9").send().await.unwrap();
        if length > 0 {
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
            assert_same("a range by id", &answer.bytes().await.unwrap(), &bytes[..10]);
        }
    }
}

async fn what_the_native_api_wrote_s3_reads(database: Database) {
    let (_server, s3, native) = start(database).await;
    for (key, length) in [("small ü+", 1000), ("a/large one", (3 << 20) + 1), ("empty", 0)] {
        let bytes = Content::new(2, length).bytes();
        let made = native
            .post(BUCKET, key)
            .header("Content-Type", "x/from-native")
            .header("X-Meta-Who", "native")
            .header("X-Storage-Class", "cold")
            .body(bytes.clone())
            .send()
            .await
            .unwrap();
        let made = json(made, StatusCode::CREATED).await;
        assert_eq!(made["key"], key);
        assert_eq!(made["content_hash"], format!("sha256:{}", sha256(&bytes)));

        let get = s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(get.content_type(), Some("x/from-native"));
        assert_eq!(get.metadata().unwrap()["who"], "native");
        assert_eq!(get.storage_class(), Some(&StorageClass::StandardIa));
        let etag = get.e_tag().unwrap().to_owned();
        // No SDK may take it for an MD5 of the body.
        assert!(etag.ends_with("-1\"") && etag != format!("\"{}\"", md5(&bytes)), "{etag}");
        assert_eq!(header(&native.get(BUCKET, key).await, "etag"), etag);
        assert_same(key, &s3::body(get).await, &bytes);
        let listed = s3.list_objects_v2().bucket(BUCKET).prefix(key).send().await.unwrap();
        assert_eq!(listed.contents()[0].e_tag(), Some(etag.as_str()));
    }
    assert_eq!(s3::keys(&s3, BUCKET, "").await, ["a/large one", "empty", "small ü+"]);
}

async fn either_front_deletes_and_overwrites(database: Database) {
    let (mut server, s3, native) = start(database).await;
    s3::put(&s3, BUCKET, "first", Bytes::from_static(b"by s3")).await;
    native.put(BUCKET, "second", Bytes::from_static(b"by native")).await;
    native.put(BUCKET, "first", Bytes::from_static(b"over s3's")).await;
    s3::put(&s3, BUCKET, "second", Bytes::from_static(b"over native's")).await;
    assert_same("first", &s3::get(&s3, BUCKET, "first").await, b"over s3's");
    assert_same("second", &native.read(BUCKET, "second").await, b"over native's");
    assert_eq!(native.list(BUCKET, "", 1).await.len(), 2);

    assert_eq!(native.delete(BUCKET, "first").await, StatusCode::NO_CONTENT);
    let gone = s3.get_object().bucket(BUCKET).key("first").send().await;
    assert_eq!(s3::refusal("deleted natively", gone), (404, "NoSuchKey".to_owned()));
    s3.delete_object().bucket(BUCKET).key("second").send().await.unwrap();
    assert_eq!(native.get(BUCKET, "second").await.status(), StatusCode::NOT_FOUND);
    assert!(s3::keys(&s3, BUCKET, "").await.is_empty());
    assert!(native.list(BUCKET, "", 10).await.is_empty());

    // A condition on one front sees what the other wrote.
    let etag = s3::put(&s3, BUCKET, "first", Bytes::from_static(b"again")).await;
    let refused = native.post(BUCKET, "first").header("If-None-Match", "*").body("no").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
    let swapped =
        native.post(BUCKET, "first").header("If-Match", &etag).body("swapped").send().await.unwrap();
    assert_eq!(swapped.status(), StatusCode::CREATED);
    let stale =
        s3.put_object().bucket(BUCKET).key("first").if_match(etag).body(ByteStream::from_static(b"no"));
    assert_eq!(s3::refusal("stale", stale.send().await).0, 412);
    assert_eq!(native.delete(BUCKET, "first").await, StatusCode::NO_CONTENT);
    server.assert_nothing_left().await;
}

async fn uploads_end_in_the_same_object(database: Database) {
    let (_server, s3, native) = start(database).await;
    let whole = Content::new(3, (11 << 20) + 5).bytes();
    let mut rest = whole.clone();
    let parts = [rest.split_to((5 << 20) + 1), rest.split_to((5 << 20) + 6), rest];

    let etag = s3::put_in_parts(&s3, BUCKET, "by s3", &parts).await;
    assert_eq!(etag, multipart_etag(&parts));
    let answer = native.get(BUCKET, "by s3").await;
    assert_eq!(header(&answer, "etag"), etag);
    let hash = header(&answer, "x-content-hash").to_owned();
    assert!(hash.starts_with("sha256:") && hash.ends_with("-3"), "{hash}");
    assert_same("by s3", &answer.bytes().await.unwrap(), &whole);

    let begin = native.request(Method::POST, "/v1/uploads").json(&value!({
        "namespace": BUCKET, "tenant": native.tenant, "key": "by native", "content_type": "x/parts",
        "metadata": {"who": "native"}, "storage_class": "cold",
    }));
    let upload = json(begin.send().await.unwrap(), StatusCode::CREATED).await;
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    for (number, bytes) in (1..).zip(&parts) {
        let part = native.request(Method::PUT, &format!("{path}/parts/{number}")).body(bytes.clone());
        let answer = part.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
    let state = json(native.request(Method::GET, &path).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(state["parts"].as_array().map(Vec::len), Some(3), "{state}");
    let numbers: Vec<Value> = (1..=3).map(|number| value!({"part_number": number})).collect();
    let complete =
        native.request(Method::POST, &format!("{path}/complete")).json(&value!({"parts": numbers}));
    let answer = complete.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());

    let get = s3.get_object().bucket(BUCKET).key("by native").send().await.unwrap();
    assert_eq!(get.content_type(), Some("x/parts"));
    assert_eq!(get.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(get.metadata().unwrap()["who"], "native");
    assert!(get.e_tag().unwrap().ends_with("-3\""), "{:?}", get.e_tag());
    assert_same("by native", &s3::body(get).await, &whole);
}

async fn a_bucket_names_a_space_that_exists(database: Database) {
    let (server, s3, _) = start(database).await;
    let native = Native::of(server.native_url(), "default");
    native.put("models", "weights", Bytes::from_static(b"there before the bucket")).await;
    server.run_ok(&["bucket", "create", "my-models", "--namespace", "models", "--tenant", "default"]);
    assert_same("weights", &s3::get(&s3, "my-models", "weights").await, b"there before the bucket");
    s3::put(&s3, "my-models", "more", Bytes::from_static(b"by s3")).await;
    assert_same("more", &native.read("models", "more").await, b"by s3");
    let listed = server.run_ok(&["bucket", "list", "--json"]);
    assert!(listed.contains("my-models"), "{listed}");
    let full = server.run(&["bucket", "delete", "my-models"]);
    assert_eq!(full.status.code(), Some(1), "a bucket that holds objects was deleted");
}

async fn identical_content_is_stored_once(database: Database) {
    let (server, s3, native) = start(database).await;
    let bytes = Content::new(4, 4 << 20).bytes();
    s3::put(&s3, BUCKET, "a", bytes.clone()).await;
    native.put(BUCKET, "b", bytes.clone()).await;
    s3::put(&s3, BUCKET, "c", bytes.clone()).await;
    native.put("another", "d", bytes.clone()).await;
    server.run_ok(&["gc"]);
    let stored: u64 = server.data_files().iter().map(|(_, size)| size).sum();
    assert!(stored < (4 << 20) + (1 << 20), "four times the same 4 MiB take {stored} bytes");
    for key in ["a", "b", "c"] {
        s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    server.run_ok(&["gc"]);
    assert_same("the last one", &native.read("another", "d").await, &bytes);
}

/// The native API has no switch beside it: what a policy denies to everybody is denied there too, from the moment on
/// that it is set, by key and by id.
async fn what_a_policy_denies_is_denied_on_both_fronts(database: Database) {
    let (_server, s3, native) = start(database).await;
    let mut ids = Vec::new();
    for key in ["shut/a", "open/a"] {
        let made = native.put(BUCKET, key, Bytes::from_static(b"bytes")).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let policy = |actions: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Principal":"*","Action":{actions},
            "Resource":["arn:aws:s3:::{BUCKET}","arn:aws:s3:::{BUCKET}/shut/*"]}}}}"#
        )
    };
    let set = async |actions: &str| {
        s3.put_bucket_policy().bucket(BUCKET).policy(policy(actions)).send().await.unwrap();
    };
    set(r#"["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:ListBucket"]"#).await;
    let read = s3.get_object().bucket(BUCKET).key("shut/a").send().await;
    assert_eq!(s3::refusal("a read over S3", read), (403, "AccessDenied".to_owned()));
    assert_eq!(native.get(BUCKET, "shut/a").await.status(), StatusCode::FORBIDDEN);
    let by_id = format!("/v1/objects/{}", ids[0]);
    let problem = json(native.request(Method::GET, &by_id).send().await.unwrap(), StatusCode::FORBIDDEN);
    assert_eq!(problem.await["code"], "denied_by_policy");
    for (method, path) in [(Method::HEAD, &by_id), (Method::DELETE, &by_id)] {
        let answer = native.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} by id");
    }
    let patch = native.request(Method::PATCH, &by_id).json(&value!({"storage_class": "cold"}));
    assert_eq!(patch.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(native.delete(BUCKET, "shut/a").await, StatusCode::FORBIDDEN);
    for class in [None, Some("hot")] {
        let put = native.post(BUCKET, "shut/new").body("new");
        let put = class.into_iter().fold(put, |put, class| put.header("X-Storage-Class", class));
        assert_eq!(put.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{class:?}");
    }
    let begin = native.request(Method::POST, "/v1/uploads").json(&value!({
        "namespace": BUCKET, "tenant": native.tenant, "key": "shut/upload",
    }));
    assert_eq!(begin.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let copy = native.request(Method::POST, "/v1/objects/copy").json(&value!({
        "source": {"id": ids[0]},
        "destination": {"namespace": BUCKET, "tenant": native.tenant, "key": "open/copy"},
    }));
    assert_eq!(copy.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let list = format!("/v1/objects?namespace={BUCKET}&tenant={}", native.tenant);
    assert_eq!(native.request(Method::GET, &list).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    // What it does not speak of stays as it was, other spaces too.
    assert_same("open/a", &native.read(BUCKET, "open/a").await, b"bytes");
    native.put("another", "shut/a", Bytes::from_static(b"elsewhere")).await;

    set(r#"["s3:DeleteObject"]"#).await;
    assert_same("shut/a", &native.read(BUCKET, "shut/a").await, b"bytes");
    assert_eq!(native.delete(BUCKET, "shut/a").await, StatusCode::FORBIDDEN);
    s3.delete_bucket_policy().bucket(BUCKET).send().await.unwrap();
    assert_eq!(native.delete(BUCKET, "shut/a").await, StatusCode::NO_CONTENT);
}

async fn a_class_changed_natively_is_seen_by_s3(database: Database) {
    let (mut server, s3, native) = start(database).await;
    let bytes = Content::new(5, 2 << 20).bytes();
    let made = native.put(BUCKET, "object", bytes.clone()).await;
    let path = format!("/v1/objects/{}", made["id"].as_str().unwrap());
    let patch = native.request(Method::PATCH, &path).json(&value!({"storage_class": "cold"}));
    json(patch.send().await.unwrap(), StatusCode::OK).await;
    let head = s3.head_object().bucket(BUCKET).key("object").send().await.unwrap();
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    // Beside a server `gc` leaves the moving to it; alone it does it at once.
    server.stop().await;
    server.run_ok(&["gc"]);
    server.resume().await;
    assert_same("object", &s3::get(&server.s3(), BUCKET, "object").await, &bytes);
    let large = |tier: &str| {
        let files = juststorage_compat_tests::disk::files(&server.data().join(tier));
        files.iter().filter(|(_, size)| *size > 1 << 20).count()
    };
    assert_eq!((large("hot"), large("cold")), (0, 1), "its bytes moved to the cold tier");
}
