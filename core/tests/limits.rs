//! Limits over a whole store: quotas against many uploads at once, rates, and changes without a restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Running, object, place, put_request, root, space};
use futures::TryStreamExt as _;
use futures::future::join_all;
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::limits::TenantLimits;
use juststorage_core::application::live::LiveReplicas;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::request::RequestNotes;
use juststorage_core::application::store::Store;
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::application::workers::{Heartbeat, Worker as _};
use juststorage_core::domain::incarnation::{Incarnation, Whereabouts};
use juststorage_core::domain::limits::{Holdings, LimitSetting, Limits, Overrides, Quota, QuotaPart};
use juststorage_core::domain::multipart::PartNumber;
use juststorage_core::domain::object::Attributes;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::timestamp::Timestamp;
use tempfile::TempDir;

fn limited(running: &Running, limits: Limits) -> Store {
    limited_by(running, limits).0
}

fn limited_by(running: &Running, limits: Limits) -> (Store, TenantLimits) {
    let limits = TenantLimits::new(running.metadata.clone(), limits, 128);
    (running.store.clone().with_limits(limits.clone()), limits)
}

async fn put(store: &Store, key: &str, bytes: usize) -> Result<(), Error> {
    let body = Body::of_bytes(vec![7; bytes].into());
    store.put(&root(), put_request(key), body).await.map(drop)
}

/// A hundred uploads at once against room for ten: some small, for packs, some in segments of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_never_overshot() {
    for size in [1000, (1 << 20) + 1000] {
        let folder = TempDir::new().unwrap();
        let running = Running::open(folder.path()).await;
        let quota = Quota { bytes: Some(10 * size as u64 + 1), objects: None };
        let store = limited(&running, Limits { quota, ..Limits::default() });
        let uploads = (0..100).map(|at| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, &format!("k{at}"), size).await })
        });
        let outcomes: Vec<_> = join_all(uploads).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
        for outcome in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(outcome, Error::QuotaExceeded(QuotaPart::Bytes)), "{outcome:?}");
        }
        let held = running.metadata.holdings(&space().tenant).await.unwrap();
        assert_eq!(held, Holdings { bytes: 10 * size as u64, objects: 10 });
        // What was refused left nothing behind.
        running.collect().await;
        let findings = running.findings().await;
        assert!(findings.is_empty(), "{findings:?}");
        // What is deleted may be written again.
        for at in 0..100 {
            running.delete(&format!("k{at}")).await;
        }
        put(&store, "again", size).await.unwrap();
        running.close().await;
    }
}

/// Told before the body is read, unless what it replaces makes room.
#[tokio::test]
async fn what_cannot_fit_is_refused_before_it_is_sent() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let store = limited(
        &running,
        Limits { quota: Quota { bytes: Some(100), objects: Some(1) }, ..Limits::default() },
    );
    let unread = || {
        let stream = futures::stream::poll_fn(|_| panic!("the body was asked for"));
        Body { length: Some(101), ..Body::new(Box::pin(stream)) }
    };
    let refused = store.put(&root(), put_request("k"), unread()).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded(QuotaPart::Bytes))));
    put(&store, "k", 100).await.unwrap();
    assert!(matches!(put(&store, "other", 0).await, Err(Error::QuotaExceeded(QuotaPart::Objects))));
    put(&store, "k", 99).await.unwrap();
    running.close().await;
}

/// The bytes of parts count from the moment they land: a quota bounds what is stored, whatever it is called.
#[tokio::test]
async fn parts_count_as_soon_as_they_land() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let store =
        limited(&running, Limits { quota: Quota { bytes: Some(100), objects: None }, ..Limits::default() });
    let begin = async |key: &str| {
        let request = UploadRequest {
            place: place(),
            key: put_request(key).key,
            attributes: Attributes::default(),
            checksum: None,
        };
        UploadRef { id: store.create_upload(&root(), request).await.unwrap().id, at: None }
    };
    let part = async |upload: &UploadRef, number: i64, size: usize| {
        let (number, body) = (PartNumber::new(number).unwrap(), Body::of_bytes(vec![1; size].into()));
        store.put_part(&root(), upload, number, EtagStyle::Content, None, body).await
    };
    let over = |refused: Result<(), Error>| {
        assert!(matches!(refused, Err(Error::QuotaExceeded(QuotaPart::Bytes))), "{refused:?}");
    };
    let upload = begin("k").await;
    part(&upload, 1, 80).await.unwrap();
    over(put(&store, "other", 21).await.map(drop));
    over(part(&upload, 2, 21).await.map(drop));
    over(part(&begin("k2").await, 1, 21).await.map(drop));
    // A part in the place of another needs room only for what it is larger.
    part(&upload, 1, 100).await.unwrap();
    over(part(&upload, 1, 101).await.map(drop));
    part(&upload, 1, 60).await.unwrap();
    part(&upload, 2, 40).await.unwrap();
    // Completing frees the part that is left out.
    let number = PartNumber::new(2).unwrap();
    let claim = juststorage_core::domain::multipart::PartClaim { number, etag: None, checksum: None };
    let claims = Some([claim].into());
    store.complete_upload(&root(), &upload, Completion { claims, ..Completion::default() }).await.unwrap();
    let held = running.metadata.holdings(&space().tenant).await.unwrap();
    assert_eq!(held, Holdings { bytes: 40, objects: 1 });
    let aborted = begin("aborted").await;
    part(&aborted, 1, 60).await.unwrap();
    over(put(&store, "other", 1).await.map(drop));
    store.abort_upload(&root(), &aborted).await.unwrap();
    put(&store, "other", 60).await.unwrap();
    assert_eq!(running.findings().await, []);
    running.close().await;
}

/// A delete marker counts as an object. What can be deleted is deleted although the quota is used up; a marker that
/// hides nothing is not made then.
#[tokio::test]
async fn delete_markers_count_and_never_keep_anybody_from_deleting() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let store =
        limited(&running, Limits { quota: Quota { bytes: None, objects: Some(3) }, ..Limits::default() });
    put(&store, "a", 1).await.unwrap();
    running.metadata.set_versioning(&space(), Versioning::Enabled, Timestamp(0)).await.unwrap().unwrap();
    put(&store, "b", 1).await.unwrap();
    let delete = async |key: &str| {
        store.delete(&root(), &object(key), Preconditions::default()).await.map(|deletion| deletion.object)
    };
    let over = |refused: Result<(), Error>| {
        assert!(matches!(refused, Err(Error::QuotaExceeded(QuotaPart::Objects))), "{refused:?}");
    };
    let first = delete("missing").await.unwrap().unwrap();
    over(put(&store, "c", 1).await.map(drop));
    over(delete("missing").await.map(drop));
    over(delete("never").await.map(drop));
    for key in ["a", "b"] {
        assert!(delete(key).await.unwrap().unwrap().is_delete_marker(), "{key}");
        over(delete(key).await.map(drop));
    }
    assert_eq!(running.metadata.holdings(&space().tenant).await.unwrap(), Holdings { bytes: 2, objects: 5 });
    store.delete(&root(), &ObjectRef::Id(first.id), Preconditions::default()).await.unwrap();
    assert_eq!(running.metadata.holdings(&space().tenant).await.unwrap(), Holdings { bytes: 2, objects: 4 });
    assert_eq!(running.findings().await, []);
    running.close().await;
}

async fn admitted(store: &Store) -> Result<Arc<RequestNotes>, Error> {
    let notes = Arc::new(RequestNotes::default());
    notes.clone().of(store.admit(&root())).await.map(|()| notes)
}

/// A guard, so that a test which waits in vain ends. It says nothing about how fast something should be.
const HANGS: Duration = Duration::from_secs(60);

/// A change is felt by a store that is not told of it.
#[tokio::test]
async fn limits_change_without_a_restart() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let store = limited(&running, Limits { requests_per_second: Some(3), ..Limits::default() });
    for _ in 0..3 {
        admitted(&store).await.unwrap();
    }
    let Err(Error::Limited { retry_after, .. }) = admitted(&store).await else { panic!("it is the fourth") };
    assert!(retry_after <= Duration::from_millis(334), "{retry_after:?}");

    let set = async |overrides| {
        let tenant = &space().tenant;
        let was = running.metadata.tenant_limits(tenant).await.unwrap().unwrap_or_default();
        assert!(running.metadata.set_tenant_limits(tenant, &was, &overrides, Timestamp(0)).await.unwrap());
    };
    set(Overrides { requests_per_second: LimitSetting::Unlimited, ..Overrides::default() }).await;
    let mut in_a_row = 0;
    let felt = async {
        while in_a_row < 50 {
            in_a_row = if admitted(&store).await.is_ok() { in_a_row + 1 } else { 0 };
        }
    };
    tokio::time::timeout(HANGS, felt).await.expect("the change is never felt");
    set(Overrides { concurrent_requests: LimitSetting::At(2), ..Overrides::default() }).await;
    // Under way until the notes, which the answer's body holds, are dropped.
    let (first, _second) = (admitted(&store).await.unwrap(), admitted(&store).await.unwrap());
    let felt = async { while admitted(&store).await.is_ok() {} };
    tokio::time::timeout(HANGS, felt).await.expect("the change is never felt");
    drop(first);
    let _third = admitted(&store).await.unwrap();
    running.close().await;
}

/// Each server counts the others with its heartbeat, and lets its share pass; one that was told to stop takes none.
#[tokio::test]
async fn servers_that_live_share_a_rate() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let (metadata, now) = (running.metadata.clone(), running.clock.now());
    let servers = [10, 11].map(|id| WriterId(uuid::Uuid::from_u128(id)));
    // The last one entered is the one that this process writes as.
    for writer in servers.into_iter().rev() {
        let start = Incarnation::NONE.next(uuid::Uuid::new_v4());
        assert!(metadata.enter_start(writer, None, start, &Whereabouts::default(), now).await.unwrap());
        metadata.heartbeat(writer, now.plus(Duration::from_secs(15))).await.unwrap();
    }
    let live = LiveReplicas::default();
    let heartbeat =
        Heartbeat::new(metadata.clone(), running.clock.clone(), servers[0]).counting(live.clone());
    let passed = async || {
        let limits = Limits { requests_per_second: Some(10), ..Limits::default() };
        let limits = TenantLimits::among(live.clone(), metadata.clone(), limits, 128);
        let store = running.store.clone().with_limits(limits);
        let mut passed = 0;
        while admitted(&store).await.is_ok() {
            passed += 1;
        }
        passed
    };
    // What passes while this counts is a request or two, on a slow machine.
    assert!((10..15).contains(&passed().await), "alone until it knows");
    heartbeat.step().await.unwrap();
    assert!((5..10).contains(&passed().await), "two servers");
    metadata.drain(servers[1]).await.unwrap();
    heartbeat.step().await.unwrap();
    assert!((10..15).contains(&passed().await), "the other one takes no share any more");
    running.close().await;
}

/// Both directions, each for the whole tenant: every byte is charged, and the transfers end no further ahead of their rate
/// than a quarter of a second. A slow machine is behind it, which is as good.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_keep_to_their_rate() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let rate = Some(2 << 20);
    let limits =
        Limits { upload_bytes_per_second: rate, download_bytes_per_second: rate, ..Limits::default() };
    let (store, limits) = limited_by(&running, limits);
    let charged = || limits.charged(&space().tenant);
    let is_paced = |(bytes, ahead): (u64, Duration)| bytes == 2 << 20 && ahead <= Duration::from_millis(250);
    let chunked = |chunks: usize| {
        let chunks = (0..chunks).map(|_| Ok(vec![1_u8; 64 << 10].into()));
        Body::new(Box::pin(futures::stream::iter(chunks.collect::<Vec<_>>())))
    };
    let puts = (0..2).map(|at| {
        let (store, body) = (store.clone(), chunked(16));
        async move { store.put(&root(), put_request(&format!("k{at}")), body).await.unwrap() }
    });
    join_all(puts).await;
    let [up, down] = charged();
    assert!(is_paced(up) && down.0 == 0, "{up:?} {down:?}");
    let gets = (0..2).map(|at| {
        let store = store.clone();
        async move {
            let reference = common::object(&format!("k{at}"));
            let download = store.get(&root(), &reference, &ReadOptions::default()).await.unwrap();
            let frames: Vec<_> = download.body.try_collect().await.unwrap();
            frames.iter().map(bytes::Bytes::len).sum::<usize>()
        }
    });
    assert_eq!(join_all(gets).await, [1 << 20, 1 << 20]);
    let [up, down] = charged();
    assert!(is_paced(down) && up.0 == 2 << 20, "{up:?} {down:?}");
    running.close().await;
}
