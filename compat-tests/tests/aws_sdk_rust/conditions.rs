//! Conditional reads and writes.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::Bytes;
use futures::future::join_all;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::{Database, on_both_databases, s3};

use super::{BUCKET, Fixture};

on_both_databases!(
    reads_heed_conditions,
    writes_heed_conditions,
    racing_creators_have_one_winner,
    racing_swaps_lose_nothing
);

async fn reads_heed_conditions(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let etag = s3::put(&client, BUCKET, "object", Bytes::from_static(b"x")).await;
    let get = || client.get_object().bucket(BUCKET).key("object");
    let head = || client.head_object().bucket(BUCKET).key("object");
    get().if_match(&etag).send().await.expect("it matches");
    get().if_none_match("\"other\"").send().await.expect("it is another");
    assert_eq!(s3::refusal("if-none-match", get().if_none_match(&etag).send().await).0, 304);
    assert_eq!(s3::refusal("if-none-match", head().if_none_match(&etag).send().await).0, 304);
    let failed = s3::refusal("if-match", get().if_match("\"other\"").send().await);
    assert_eq!(failed, (412, "PreconditionFailed".to_owned()));
    let past = DateTime::from_secs(1_000_000_000);
    let future = DateTime::from_secs(4_000_000_000);
    get().if_modified_since(past).send().await.expect("it was");
    // A date that lies ahead says nothing (RFC 9110 section 13.1.3), so the object's own is used.
    let own = *head().send().await.unwrap().last_modified().unwrap();
    assert_eq!(s3::refusal("not since", get().if_modified_since(own).send().await).0, 304);
    assert_eq!(s3::refusal("changed", get().if_unmodified_since(past).send().await).0, 412);
    get().if_unmodified_since(future).send().await.expect("it was not");
}

async fn writes_heed_conditions(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let put = |text: &'static str| {
        client.put_object().bucket(BUCKET).key("object").body(ByteStream::from_static(text.as_bytes()))
    };
    let failed = (412, "PreconditionFailed".to_owned());
    let missing = put("x").if_match("\"00000000000000000000000000000000\"").send().await;
    assert_eq!(s3::refusal("if-match of nothing", missing), (404, "NoSuchKey".to_owned()));
    let first = put("first").if_none_match("*").send().await.unwrap();
    assert_eq!(s3::refusal("again", put("second").if_none_match("*").send().await), failed);
    assert_same("object", &s3::get(&client, BUCKET, "object").await, b"first");
    let second = put("second").if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(s3::refusal("stale", put("third").if_match(first.e_tag().unwrap()).send().await), failed);
    assert_same("object", &s3::get(&client, BUCKET, "object").await, b"second");

    let upload = s3::begin(&client, BUCKET, "object").await;
    let part = s3::part(&client, BUCKET, "object", &upload, 1, Bytes::from_static(b"parts")).await;
    let complete = || {
        let request = client.complete_multipart_upload().bucket(BUCKET).key("object").upload_id(&upload);
        request.multipart_upload(s3::completed([part.clone()]))
    };
    assert_eq!(s3::refusal("complete", complete().if_none_match("*").send().await), failed);
    complete().if_match(second.e_tag().unwrap()).send().await.unwrap();
    assert_same("object", &s3::get(&client, BUCKET, "object").await, b"parts");

    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source("bucket/object");
    let copy = copy.copy_source_if_match(first.e_tag().unwrap()).send().await;
    assert_eq!(s3::refusal("copy of a stale source", copy), failed);

    let delete = || client.delete_object().bucket(BUCKET).key("object");
    assert_eq!(s3::refusal("delete", delete().if_match(first.e_tag().unwrap()).send().await), failed);
    assert_same("object", &s3::get(&client, BUCKET, "object").await, b"parts");
    let now = client.head_object().bucket(BUCKET).key("object").send().await.unwrap();
    delete().if_match(now.e_tag().unwrap()).send().await.unwrap();
    assert!(s3::keys(&client, BUCKET, "").await.is_empty());
}

/// A lock made with `If-None-Match: *` is held by one of many.
async fn racing_creators_have_one_winner(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    for round in 0..5 {
        let key = format!("lock {round}");
        let racers = (0..16).map(|racer| {
            let request = client.put_object().bucket(BUCKET).key(&key).if_none_match("*");
            request.body(ByteStream::from(format!("{racer}").into_bytes())).send()
        });
        let outcomes = join_all(racers).await;
        let winners: Vec<_> =
            (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
        let [winner] = winners[..] else { panic!("winners of one lock: {winners:?}") };
        assert_same("the lock", &s3::get(&client, BUCKET, &key).await, format!("{winner}").as_bytes());
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            let (status, code) = s3::refusal("loser", outcome);
            assert!(matches!(status, 409 | 412), "{status} {code}");
        }
    }
}

/// A counter raised by compare-and-swap from many sides ends at the number of swaps that succeeded.
async fn racing_swaps_lose_nothing(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    s3::put(&client, BUCKET, "counter", Bytes::from_static(b"0")).await;
    let raisers = (0..4).map(|_| async {
        let mut raised = 0;
        while raised < 10 {
            let read = client.get_object().bucket(BUCKET).key("counter").send().await.unwrap();
            let etag = read.e_tag().unwrap().to_owned();
            let count: u32 = String::from_utf8(s3::body(read).await.to_vec()).unwrap().parse().unwrap();
            let put = client.put_object().bucket(BUCKET).key("counter").if_match(etag);
            match put.body(ByteStream::from(format!("{}", count + 1).into_bytes())).send().await {
                Ok(_) => raised += 1,
                refused => {
                    let (status, code) = s3::refusal("swap", refused);
                    assert!(matches!(status, 409 | 412), "{status} {code}");
                }
            }
        }
    });
    join_all(raisers).await;
    assert_same("the counter", &s3::get(&client, BUCKET, "counter").await, b"40");
}
