//! A service that never pauses leaves its store, goes back to it, and leaves it for good: the SDK as the service, the commands as the
//! operator, `SeaweedFS` as the old store; `MinIO` too where it is there. An oracle knows what every answer must be.
//!
//! `make leaving` tells the same story at length, over boto3.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use bytes::Bytes;
use juststorage_compat_tests::both::{BUCKET, Both, all};
use juststorage_compat_tests::content::Content;
use juststorage_compat_tests::other_store::{Kind, OtherStore, Setup};
use juststorage_compat_tests::service::{Known, Offers, Place, Service};
use juststorage_compat_tests::{Database, Options, Server, s3};

const OLD: Setup =
    Setup { access_key: "oldaccess", secret_key: "the-secret-of-the-old-store", bucket: "old" };

/// Requests of the service at a time.
const WORKERS: u64 = 4;

/// Objects that the service never touches.
const QUIET: u64 = 60;

async fn fill(place: &Place) -> BTreeMap<String, Bytes> {
    let mut objects = BTreeMap::new();
    for number in 0..QUIET {
        let (key, bytes) = (format!("quiet/{number:04}"), Content::new(number, 3000).bytes());
        s3::put(&place.client, &place.bucket, &key, bytes.clone()).await;
        objects.insert(key, bytes);
    }
    let parts: Vec<Bytes> = [5 << 20, 6 << 20, 100].map(|size| Content::new(7, size).bytes()).into();
    s3::put_in_parts(&place.client, &place.bucket, "quiet/parts", &parts).await;
    objects.insert("quiet/parts".to_owned(), parts.concat().into());
    objects
}

/// What the service knows is there, and nothing else of it.
async fn assert_known(place: &Place, known: &BTreeMap<String, Known>, quiet: &BTreeMap<String, Bytes>) {
    let there = all(place, false).await;
    for (key, known) in known {
        let seen = there.get(key).unwrap_or_else(|| panic!("{key} is lost"));
        assert!(seen.bytes == known.bytes() && seen.etag == known.etag, "{key}: {}", seen.etag);
    }
    for (key, bytes) in quiet {
        assert!(there.get(key).is_some_and(|seen| seen.bytes == *bytes), "{key} is lost");
    }
    let more: Vec<_> =
        there.keys().filter(|key| !known.contains_key(*key) && !quiet.contains_key(*key)).collect();
    assert!(more.is_empty(), "{more:?} came back");
}

/// The whole story. Nothing of what the service is answered may be wrong, and nothing may fail.
async fn a_service_leaves(old: OtherStore, database: Database) {
    let there = Place { store: old.name, client: old.client.clone(), bucket: OLD.bucket.to_owned() };
    let offers = Offers::of(&there).await;
    let quiet = fill(&there).await;
    let service = Service::start(there, WORKERS, offers);
    let new = Server::start_with(database, Options::terse()).await;
    let mut both = Both { old, new, tags: offers.tags };
    service.runs(100).await;

    // There.
    let here = both.here();
    here.client.create_bucket().bucket(BUCKET).send().await.unwrap();
    both.bind("read-through");
    service.switch(here.clone()).await;
    service.runs(100).await;
    both.mode("mirror");
    both.backfill();
    service.runs(100).await;
    let compared = || async {
        both.sent().await;
        both.verify();
        None
    };
    service.held(compared).await;

    // The old store is off, and comes back.
    service.old_store_is_away(true);
    both.old.kill();
    service.runs(100).await;
    assert!(both.run(&["status"])["mirror"]["waiting"].as_u64().unwrap() > 0);
    both.old.resume().await;
    let waited = || async {
        both.are_equal().await;
        None
    };
    service.held(waited).await;
    service.old_store_is_away(false);
    service.runs(50).await;

    // Back: the old store has everything, and is what is written to.
    let back = || async {
        both.sent().await;
        both.mode("observe");
        Some(both.there())
    };
    service.held(back).await;
    service.runs(100).await;

    // There again. What is here is older than what is there: it goes first.
    s3::empty(&here.client, BUCKET).await;
    both.run(&["detach", "--forget"]);
    both.bind("read-through");
    service.switch(here.clone()).await;
    service.runs(100).await;
    both.mode("mirror");
    both.backfill();
    service.runs(100).await;
    let left = || async {
        both.are_equal().await;
        both.mode("read-through");
        both.verify();
        both.run(&["detach"]);
        None
    };
    service.held(left).await;
    both.old.kill();
    service.runs(100).await;
    let (tally, known) = service.stop().await;
    assert!(tally.wrong.is_empty() && tally.failed.is_empty(), "{:#?}{:#?}", tally.wrong, tally.failed);
    assert_known(&here, &known, &quiet).await;
    eprintln!("{} excused while the old store was off; {:?}", tally.excused, tally.right);
    both.new.stop().await;
    both.new.assert_valid();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leaves_seaweedfs_while_it_runs() {
    let what = "a service that leaves SeaweedFS";
    let Some(old) = OtherStore::start(Kind::Seaweedfs, what, OLD).await else { return };
    a_service_leaves(old, Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leaves_minio_while_it_runs() {
    let Some(old) = OtherStore::start(Kind::Minio, "a service that leaves MinIO", OLD).await else { return };
    a_service_leaves(old, Database::Postgres).await;
}
