//! Single objects and buckets.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier, StorageClass};
use bytes::Bytes;
use juststorage_compat_tests::content::{assert_same, md5};
use juststorage_compat_tests::{Content, Database, on_both_databases, s3, wait};

use super::{BUCKET, Fixture};

on_both_databases!(
    every_size_round_trips,
    buckets_come_and_go,
    ranges_cut_exactly,
    metadata_and_class_are_kept,
    copies_refer_to_the_same_content,
    presigned_urls_work_without_a_key,
    unknown_names_have_their_codes,
    many_are_deleted_at_once,
    overwriting_is_seen_at_once,
    strangers_are_kept_out,
);

async fn every_size_round_trips(database: Database) {
    let Fixture { mut server, client } = Fixture::start(database).await;
    for (seed, length) in [(1, 0), (2, 1), (3, 5 << 20), (4, 100 << 20)] {
        let (key, bytes) = (format!("object of {length}"), Content::new(seed, length).bytes());
        let etag = s3::put(&client, BUCKET, &key, bytes.clone()).await;
        assert_eq!(etag, format!("\"{}\"", md5(&bytes)), "{key}: the ETag of a single put is its MD5");
        let head = client.head_object().bucket(BUCKET).key(&key).send().await.unwrap();
        assert_eq!(head.content_length(), Some(i64::try_from(length).unwrap()));
        assert_eq!(head.e_tag(), Some(etag.as_str()));
        assert_same(&key, &s3::get(&client, BUCKET, &key).await, &bytes);
    }
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}

async fn buckets_come_and_go(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    client.head_bucket().bucket(BUCKET).send().await.expect("it is there");
    // In us-east-1 making one's own bucket again is no error.
    client.create_bucket().bucket(BUCKET).send().await.expect("it is one's own");
    let bad = client.create_bucket().bucket("Not_A_Name").send().await;
    assert_eq!(s3::refusal("bad name", bad), (400, "InvalidBucketName".to_owned()));
    client.create_bucket().bucket("another").send().await.unwrap();
    client.get_bucket_location().bucket("another").send().await.unwrap();
    let listed = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["another", BUCKET]);

    s3::put(&client, "another", "key", Bytes::from_static(b"x")).await;
    let full = client.delete_bucket().bucket("another").send().await;
    assert_eq!(s3::refusal("not empty", full), (409, "BucketNotEmpty".to_owned()));
    client.delete_object().bucket("another").key("key").send().await.unwrap();
    client.delete_bucket().bucket("another").send().await.expect("empty now");
    let gone = client.delete_bucket().bucket("another").send().await;
    assert_eq!(s3::refusal("gone", gone), (404, "NoSuchBucket".to_owned()));
}

async fn ranges_cut_exactly(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    // One object in a pack, one in a segment of its own: block boundaries lie every 64 KiB in both.
    for length in [200_000, 3 << 20] {
        let bytes = Content::new(length as u64, length).bytes();
        s3::put(&client, BUCKET, "object", bytes.clone()).await;
        let last = length - 1;
        for (range, from, to) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=65535-65536".to_owned(), 65_535, 65_537),
            ("bytes=131072-131072".to_owned(), 131_072, 131_073),
            (format!("bytes={last}-{last}"), last, length),
            ("bytes=100000-".to_owned(), 100_000, length),
            ("bytes=-1000".to_owned(), length - 1000, length),
            (format!("bytes=-{}", length * 2), 0, length),
            (format!("bytes=5-{}", length * 2), 5, length),
        ] {
            let answer = client.get_object().bucket(BUCKET).key("object").range(&range).send().await;
            let answer = answer.unwrap_or_else(|error| panic!("{range}: {error:?}"));
            let expected = format!("bytes {from}-{}/{length}", to - 1);
            assert_eq!(answer.content_range(), Some(expected.as_str()), "{range}");
            assert_same(&range, &s3::body(answer).await, &bytes[from..to]);
        }
        let beyond = client.get_object().bucket(BUCKET).key("object").range(format!("bytes={length}-"));
        assert_eq!(s3::refusal("beyond", beyond.send().await), (416, "InvalidRange".to_owned()));
    }
    s3::put(&client, BUCKET, "empty", Bytes::new()).await;
    let nothing = client.get_object().bucket(BUCKET).key("empty").range("bytes=0-0").send().await;
    assert_eq!(s3::refusal("a range of nothing", nothing).0, 416);
}

async fn metadata_and_class_are_kept(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let request = client.put_object().bucket(BUCKET).key("object").body(ByteStream::from_static(b"hello"));
    request
        .content_type("text/plain; charset=utf-8")
        .content_encoding("identity")
        .content_language("de")
        .content_disposition("attachment; filename=\"a b.txt\"")
        .cache_control("max-age=60")
        .metadata("plain", "value with spaces")
        .metadata("Mixed-Case", "kept")
        .storage_class(StorageClass::StandardIa)
        .send()
        .await
        .unwrap();
    let head = client.head_object().bucket(BUCKET).key("object").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(head.content_encoding(), Some("identity"));
    assert_eq!(head.content_language(), Some("de"));
    assert_eq!(head.content_disposition(), Some("attachment; filename=\"a b.txt\""));
    assert_eq!(head.cache_control(), Some("max-age=60"));
    let metadata = head.metadata().unwrap();
    assert_eq!(metadata.get("plain").map(String::as_str), Some("value with spaces"));
    assert_eq!(metadata.get("mixed-case").map(String::as_str), Some("kept"));
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    let read = client.get_object().bucket(BUCKET).key("object");
    let read =
        read.response_content_type("text/html").response_cache_control("no-store").send().await.unwrap();
    assert_eq!((read.content_type(), read.cache_control()), (Some("text/html"), Some("no-store")));
    assert_eq!(s3::body(read).await, Bytes::from_static(b"hello"));

    let plain = s3::put(&client, BUCKET, "plain", Bytes::from_static(b"hello")).await;
    let head = client.head_object().bucket(BUCKET).key("plain").send().await.unwrap();
    assert_eq!(head.storage_class(), None, "S3 does not name STANDARD");
    assert_eq!(head.content_type(), Some("application/octet-stream"), "{plain}");
}

async fn copies_refer_to_the_same_content(database: Database) {
    let Fixture { server, client } = Fixture::start(database).await;
    let bytes = Content::new(7, 6 << 20).bytes();
    let put = client.put_object().bucket(BUCKET).key("from here").body(ByteStream::from(bytes.clone()));
    put.metadata("color", "red").content_type("x/y").send().await.unwrap();
    let before: u64 = server.data_files().iter().map(|(_, size)| size).sum();

    client.create_bucket().bucket("elsewhere").send().await.unwrap();
    let copy = client.copy_object().bucket("elsewhere").key("ö/+").copy_source("bucket/from%20here");
    let copied = copy.send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(format!("\"{}\"", md5(&bytes)).as_str()));
    assert_same("the copy", &s3::get(&client, "elsewhere", "ö/+").await, &bytes);
    let head = client.head_object().bucket("elsewhere").key("ö/+").send().await.unwrap();
    assert_eq!(head.content_type(), Some("x/y"));
    assert_eq!(head.metadata().unwrap()["color"], "red");
    let after: u64 = server.data_files().iter().map(|(_, size)| size).sum();
    assert!(after < before + (1 << 20), "a copy moved bytes: {before} became {after}");

    let replace = client.copy_object().bucket(BUCKET).key("from here").copy_source("bucket/from%20here");
    replace.metadata_directive(MetadataDirective::Replace).metadata("color", "blue").send().await.unwrap();
    let head = client.head_object().bucket(BUCKET).key("from here").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["color"], "blue");

    let pointless = client.copy_object().bucket(BUCKET).key("from here").copy_source("bucket/from%20here");
    assert_eq!(s3::refusal("onto itself", pointless.send().await), (400, "InvalidRequest".to_owned()));
    let nothing = client.copy_object().bucket(BUCKET).key("x").copy_source("bucket/nothing");
    assert_eq!(s3::refusal("of nothing", nothing.send().await), (404, "NoSuchKey".to_owned()));

    // The copy outlives its source.
    client.delete_object().bucket(BUCKET).key("from here").send().await.unwrap();
    server.run_ok(&["gc"]);
    assert_same("the copy", &s3::get(&client, "elsewhere", "ö/+").await, &bytes);
}

async fn presigned_urls_work_without_a_key(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap();
    let bytes = Content::new(9, 70_000).bytes();
    let anonymous = reqwest::Client::new();

    let put = client.put_object().bucket(BUCKET).key("a key/ü+%").presigned(hour.clone()).await.unwrap();
    let mut request = anonymous.put(put.uri()).body(bytes.clone());
    for (name, value) in put.headers() {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());

    let get = client.get_object().bucket(BUCKET).key("a key/ü+%").presigned(hour.clone()).await.unwrap();
    let answer = anonymous.get(get.uri()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_same("presigned get", &answer.bytes().await.unwrap(), &bytes);

    let (_, signature) = get.uri().split_once("X-Amz-Signature=").unwrap();
    let digit = if signature.starts_with('0') { "1" } else { "0" };
    let forged = get.uri().replace(signature, &format!("{digit}{}", &signature[1..]));
    assert_eq!(anonymous.get(forged).send().await.unwrap().status(), 403);
    // The holder of the URL may not add to what was signed: this header would make it a copy.
    let widened = anonymous.put(put.uri()).header("x-amz-copy-source", "bucket/a").body(bytes.clone());
    assert_eq!(widened.send().await.unwrap().status(), 403);
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    let expired = PresigningConfig::builder().start_time(long_ago).expires_in(Duration::from_secs(60));
    let expired =
        client.get_object().bucket(BUCKET).key("a").presigned(expired.build().unwrap()).await.unwrap();
    assert_eq!(anonymous.get(expired.uri()).send().await.unwrap().status(), 403);
}

async fn unknown_names_have_their_codes(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let no_key = (404, "NoSuchKey".to_owned());
    let no_bucket = (404, "NoSuchBucket".to_owned());
    assert_eq!(s3::refusal("get", client.get_object().bucket(BUCKET).key("x").send().await), no_key);
    assert_eq!(s3::refusal("get", client.get_object().bucket("nowhere").key("x").send().await), no_bucket);
    assert_eq!(s3::refusal("list", client.list_objects_v2().bucket("nowhere").send().await), no_bucket);
    let put = client.put_object().bucket("nowhere").key("x").body(ByteStream::from_static(b"x"));
    assert_eq!(s3::refusal("put", put.send().await), no_bucket);
    assert_eq!(s3::refusal("head", client.head_object().bucket(BUCKET).key("x").send().await).0, 404);
    assert_eq!(s3::refusal("head", client.head_bucket().bucket("nowhere").send().await).0, 404);
    client.delete_object().bucket(BUCKET).key("x").send().await.expect("deleting nothing succeeds");
    let begin = client.create_multipart_upload().bucket("nowhere").key("x").send().await;
    assert_eq!(s3::refusal("begin", begin), no_bucket);
}

async fn many_are_deleted_at_once(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let keys = ["a", "b/ö", "c & d", "<e>"];
    for key in keys {
        s3::put(&client, BUCKET, key, Bytes::from_static(b"x")).await;
    }
    let objects =
        ["a", "b/ö", "c & d", "never there"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((answer.deleted().len(), answer.errors().len()), (4, 0));
    assert_eq!(s3::keys(&client, BUCKET, "").await, ["<e>"]);

    let quiet = ObjectIdentifier::builder().key("<e>").build().unwrap();
    let delete = Delete::builder().objects(quiet).quiet(true).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(answer.deleted().len(), 0);
    assert!(s3::keys(&client, BUCKET, "").await.is_empty());

    let many = (0..1001).map(|n| ObjectIdentifier::builder().key(format!("{n}")).build().unwrap()).collect();
    let delete = Delete::builder().set_objects(Some(many)).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await;
    assert_eq!(s3::refusal("1001 keys", answer), (400, "MalformedXML".to_owned()));
}

async fn overwriting_is_seen_at_once(database: Database) {
    let Fixture { mut server, client } = Fixture::start(database).await;
    for round in 0..20 {
        let bytes = Content::new(round, 1000 + usize::try_from(round).unwrap()).bytes();
        let etag = s3::put(&client, BUCKET, "key", bytes.clone()).await;
        assert_same("read after write", &s3::get(&client, BUCKET, "key").await, &bytes);
        let listed = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        let listed: Vec<_> =
            listed.contents().iter().map(|o| (o.e_tag().unwrap().to_owned(), o.size())).collect();
        assert_eq!(listed, [(etag, Some(i64::try_from(bytes.len()).unwrap()))]);
    }
    client.delete_object().bucket(BUCKET).key("key").send().await.unwrap();
    assert_eq!(s3::refusal("get", client.get_object().bucket(BUCKET).key("key").send().await).0, 404);
    assert!(s3::keys(&client, BUCKET, "").await.is_empty());
    server.assert_nothing_left().await;
}

/// A wrong secret, an unknown key and no signature at all are refused; one tenant's key does not see another's
/// bucket.
async fn strangers_are_kept_out(database: Database) {
    let Fixture { server, client } = Fixture::start(database).await;
    s3::put(&client, BUCKET, "secret", Bytes::from_static(b"x")).await;
    let wrong = s3::client(server.s3_url(), s3::ROOT_KEY, "wrong");
    let answer = wrong.get_object().bucket(BUCKET).key("secret").send().await;
    assert_eq!(s3::refusal("wrong secret", answer), (403, "SignatureDoesNotMatch".to_owned()));
    let unknown = s3::client(server.s3_url(), "nobody", "wrong");
    let answer = unknown.get_object().bucket(BUCKET).key("secret").send().await;
    assert_eq!(s3::refusal("unknown key", answer), (403, "InvalidAccessKeyId".to_owned()));
    let url = format!("{}/{BUCKET}/secret", server.s3_url());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);

    let made = server.run_ok(&["key", "create", "--kind", "s3", "--tenant", "rival", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let (access, secret) = (made["access_key"].as_str().unwrap(), made["secret_key"].as_str().unwrap());
    let rival = s3::client(server.s3_url(), access, secret);
    rival.create_bucket().bucket("rivals-own").send().await.unwrap();
    s3::put(&rival, "rivals-own", "key", Bytes::from_static(b"y")).await;
    let names = rival.list_buckets().send().await.unwrap();
    let names: Vec<_> = names.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["rivals-own"]);
    let (status, _) = s3::refusal("spying", rival.get_object().bucket(BUCKET).key("secret").send().await);
    assert!(status == 403 || status == 404, "{status}");
    let (status, _) = s3::refusal("spying", rival.list_objects_v2().bucket(BUCKET).send().await);
    assert!(status == 403 || status == 404, "{status}");
    let taken = rival.create_bucket().bucket(BUCKET).send().await;
    assert_eq!(s3::refusal("taken", taken), (409, "BucketAlreadyExists".to_owned()));

    server.run_ok(&["key", "revoke", made["id"].as_str().unwrap()]);
    // Every server feels it within a second; this machine may be busy.
    wait::until("the key is revoked", Duration::from_secs(5), async || {
        rival.list_buckets().send().await.is_err().then_some(())
    })
    .await;
    assert_eq!(s3::refusal("revoked", rival.list_buckets().send().await).0, 403);
}
