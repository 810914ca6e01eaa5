//! The store over tiers in a bucket that loses answers, holds requests back, refuses, and is slow: batches are on their way
//! together and count in order, nothing that was acknowledged is lost, nothing stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Buckets, Running, noise, object, place, put_request, root, space};
use juststorage_core::application::error::{Error, Result};
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::objects::rename::MoveRequest;
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::domain::address::Key;
use juststorage_core::domain::merging::SMALL_PACKS_MAX;
use juststorage_core::domain::multipart::PartNumber;
use juststorage_core::domain::object::{Attributes, Object};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::testing::bucket::{Fault, FaultyBucket, Request};
use juststorage_core::testing::disk::Dice;
use juststorage_core::testing::postgres;
use tempfile::TempDir;
use tokio::task::JoinHandle;

struct Scene {
    running: Arc<Running>,
    buckets: Buckets,
    folder: TempDir,
}

impl Scene {
    async fn on(buckets: Buckets) -> Self {
        let folder = TempDir::new().unwrap();
        let running = Arc::new(Running::open_on(&buckets, folder.path()).await);
        Self { running, buckets, folder }
    }

    fn hot(&self) -> &Arc<FaultyBucket> {
        self.buckets.hot.as_ref().unwrap()
    }

    fn cold(&self) -> &Arc<FaultyBucket> {
        self.buckets.cold.as_ref().unwrap()
    }

    fn put(&self, key: &str, bytes: Bytes, class: StorageClass) -> JoinHandle<Result<Object>> {
        let (running, mut request) = (self.running.clone(), put_request(key));
        request.attributes.class = Some(class);
        tokio::spawn(async move { running.store.put(&root(), request, Body::of_bytes(bytes)).await })
    }

    /// An upload whose parts have arrived.
    async fn upload(&self, key: &str, bytes: Bytes) -> UploadRef {
        let request = UploadRequest {
            place: place(),
            key: Some(Key::new(key).unwrap()),
            attributes: Attributes::default(),
            checksum: None,
        };
        let store = &self.running.store;
        let upload = UploadRef { id: store.create_upload(&root(), request).await.unwrap().id, at: None };
        let number = PartNumber::new(1).unwrap();
        let body = Body::of_bytes(bytes);
        store.put_part(&root(), &upload, number, EtagStyle::Content, None, body).await.unwrap();
        upload
    }

    async fn restarted(self) -> Self {
        let Self { running, buckets, folder } = self;
        Arc::into_inner(running).unwrap().close().await;
        let running = Arc::new(Running::open_on(&buckets, folder.path()).await);
        Self { running, buckets, folder }
    }

    /// Everything goes, and nothing is left in the buckets.
    async fn emptied(self, keys: &[&str]) {
        for key in keys {
            self.running.delete(key).await;
        }
        let scene = self.restarted().await;
        // Later than anything that was ever put off, whichever life's clock it was put off by.
        scene.running.clock.advance(100 * 24 * 60 * 60 * 1000);
        scene.running.collect().await;
        assert_eq!(scene.buckets.segments().await, [] as [String; 0]);
        assert_eq!(scene.running.findings().await, []);
    }
}

/// Waits for what another task is about to do.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}: never");
}

/// Of two batches of one key the first one counts first, whichever is written first: a client that gave up its write and
/// wrote another one finds the other one.
#[tokio::test(flavor = "multi_thread")]
async fn batches_count_in_order() {
    let scene = Scene::on(Buckets::both()).await;
    let hot = scene.hot().clone();
    hot.hold_puts();
    let first = scene.put("k", noise(1, 5000), StorageClass::Hot);
    until("the first batch is on its way", || hot.waiting() == 1).await;
    let second = scene.put("k", noise(2, 5000), StorageClass::Hot);
    until("the second one is on its way meanwhile", || hot.waiting() == 2).await;
    hot.let_go(1);
    // What has nothing to wait for gets through, again and again; what is behind the first batch does not.
    for round in 0..5 {
        scene.put(&format!("cold{round}"), noise(3, 100), StorageClass::Cold).await.unwrap().unwrap();
    }
    assert!(!second.is_finished(), "the second batch overtook the first");
    assert!(matches!(scene.running.read("k").await, Err(Error::NoSuchObject)));
    hot.let_all_go();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(scene.running.read("k").await.unwrap(), noise(2, 5000));
    scene.emptied(&["k", "cold0", "cold1", "cold2", "cold3", "cold4"]).await;
}

/// A cold bucket that hangs stops no write of another tier. A deletion of a key that is on its way there waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_hangs_stops_itself_alone() {
    let scene = Scene::on(Buckets { hot: None, cold: Some(Arc::default()) }).await;
    let cold = scene.cold().clone();
    cold.hold_puts();
    let slow = scene.put("slow", noise(1, 5000), StorageClass::Cold);
    until("a cold batch is on its way", || cold.waiting() == 1).await;
    let running = scene.running.clone();
    let deletion = tokio::spawn(async move {
        running.store.delete(&root(), &object("slow"), Preconditions::default()).await
    });
    for round in 0..5_u64 {
        scene.put("quick", noise(round, 5000), StorageClass::Hot).await.unwrap().unwrap();
        scene.put("large", noise(round, 2 << 20), StorageClass::Hot).await.unwrap().unwrap();
    }
    assert!(!slow.is_finished() && !deletion.is_finished());
    cold.let_all_go();
    slow.await.unwrap().unwrap();
    deletion.await.unwrap().unwrap();
    assert!(matches!(scene.running.read("slow").await, Err(Error::NoSuchObject)), "it came back");
    scene.emptied(&["quick", "large"]).await;
}

/// A write that its client gave up while its pack was on the way counts before what comes after it, whichever way that goes: a
/// put of the same key in the other class, a copy of it by a move, an upload's completion.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_undoes_nothing() {
    for buckets in [Buckets::both(), Buckets { hot: None, cold: Some(Arc::default()) }] {
        let scene = Scene::on(buckets).await;
        let cold = scene.cold().clone();
        let upload = scene.upload("upload", noise(3, 2 << 20)).await;
        scene.put("source", noise(4, 5000), StorageClass::Hot).await.unwrap().unwrap();
        cold.hold_puts();
        for (nth, key) in (1..).zip(["put", "upload", "moved"]) {
            let given_up = scene.put(key, noise(1, 5000), StorageClass::Cold);
            until("a cold batch is on its way", || cold.waiting() == nth).await;
            given_up.abort();
        }
        let put = scene.put("put", noise(2, 5000), StorageClass::Hot);
        let running = scene.running.clone();
        let completion = tokio::spawn(async move {
            running.store.complete_upload(&root(), &upload, Completion::default()).await
        });
        let running = scene.running.clone();
        let request = MoveRequest {
            source: object("source"),
            source_preconditions: Preconditions::default(),
            space: space(),
            key: Key::new("moved").unwrap(),
            preconditions: Preconditions::default(),
        };
        let moved = tokio::spawn(async move { running.store.rename(&root(), &request).await });
        for round in 0..5 {
            scene.put("other", noise(round, 5000), StorageClass::Hot).await.unwrap().unwrap();
        }
        assert!(!put.is_finished() && !completion.is_finished() && !moved.is_finished(), "overtaken");
        // A later one waits behind it, though it goes the way that is taken.
        let last = scene.put("put", noise(5, 5000), StorageClass::Cold);
        cold.let_all_go();
        put.await.unwrap().unwrap();
        last.await.unwrap().unwrap();
        completion.await.unwrap().unwrap();
        moved.await.unwrap().unwrap();
        for (key, bytes) in
            [("put", noise(5, 5000)), ("upload", noise(3, 2 << 20)), ("moved", noise(4, 5000))]
        {
            assert!(scene.running.read(key).await.unwrap() == bytes, "{key} was undone");
        }
        scene.emptied(&["put", "upload", "moved", "other"]).await;
    }
}

/// What waits for a key is done before the store ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_done_at_the_end() {
    let scene = Scene::on(Buckets { hot: None, cold: Some(Arc::default()) }).await;
    let cold = scene.cold().clone();
    cold.hold_puts();
    let first = scene.put("k", noise(1, 5000), StorageClass::Cold);
    until("a cold batch is on its way", || cold.waiting() == 1).await;
    let second = scene.put("k", noise(2, 5000), StorageClass::Hot);
    for round in 0..5 {
        scene.put("other", noise(round, 5000), StorageClass::Hot).await.unwrap().unwrap();
    }
    assert!(!second.is_finished());
    // The requests' own handles go, the mutations stay.
    first.abort();
    second.abort();
    let _ = (first.await, second.await);
    let let_go = async {
        tokio::task::yield_now().await;
        cold.let_all_go();
    };
    let (scene, ()) = tokio::join!(scene.restarted(), let_go);
    assert_eq!(scene.running.read("k").await.unwrap(), noise(2, 5000));
    scene.emptied(&["k", "other"]).await;
}

/// A pack whose commit failed is sealed once the database is back, and garbage collection takes what nothing names: not first
/// the next start.
#[tokio::test(flavor = "multi_thread")]
async fn packs_whose_commit_failed_are_sealed() {
    let cluster = postgres::shared();
    let url = cluster.create_database();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let folder = TempDir::new().unwrap();
    let buckets = Buckets::both();
    let running = Running::try_open_on(&buckets, common::WRITER, folder.path(), &url, DedupScope::Tenant)
        .await
        .unwrap();
    let scene = Scene { running: Arc::new(running), buckets, folder };
    scene.put("before", noise(1, 100), StorageClass::Hot).await.unwrap().unwrap();
    // Commits are noted in the hot tier.
    let cold = scene.cold().clone();
    cold.hold_puts();
    let failed = scene.put("k", noise(2, 5000), StorageClass::Cold);
    until("a batch is on its way", || cold.waiting() == 1).await;
    let other = cluster.create_database();
    cluster.sql(&other, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    cluster.sql(
        &other,
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    );
    cold.let_all_go();
    failed.await.unwrap().unwrap_err();
    cluster.sql(&other, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    scene.put("after", noise(3, 100), StorageClass::Cold).await.unwrap().unwrap();
    scene.running.delete("before").await;
    scene.running.delete("after").await;
    scene.running.collect().await;
    assert_eq!(scene.buckets.segments().await, [] as [String; 0], "a pack stayed open");
    Arc::into_inner(scene.running).unwrap().close().await;
}

/// Requests that wait while a batch is under way share the next ones.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_one_pack() {
    let scene = Scene::on(Buckets::both()).await;
    let hot = scene.hot().clone();
    hot.hold_puts();
    let put = |n| scene.put(&format!("k{n}"), noise(n, 3000), StorageClass::Hot);
    // One that is on its way before the others come: together they could all be in one pack.
    let mut puts = vec![put(0)];
    until("a pack is on its way", || hot.waiting() >= 1).await;
    puts.extend((1..100).map(put));
    until("several packs are on their way", || hot.waiting() >= 2).await;
    hot.let_all_go();
    for put in puts {
        put.await.unwrap().unwrap();
    }
    let packs = scene.running.segments().await.iter().filter(|segment| segment.size > 0).count();
    assert!(packs <= 40, "{packs} packs of 100 requests");
    let keys: Vec<_> = (0..100).map(|n| format!("k{n}")).collect();
    scene.emptied(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// A put whose answer was lost, that was done twice, refused once, or held back once, is done, and once.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_answer_does_no_harm() {
    let scene = Scene::on(Buckets::both()).await;
    let faults = [Fault::AnswerLost, Fault::Repeated, Fault::Refused, Fault::HeldBack];
    for (fault, size) in faults.into_iter().flat_map(|fault| [(fault, 3000), (fault, 1_500_000)]) {
        scene.hot().plan(Request::Put, Some(fault));
        let bytes = noise(7, size);
        scene.put("k", bytes.clone(), StorageClass::Hot).await.unwrap().unwrap();
        assert!(scene.running.read("k").await.unwrap() == bytes, "{fault:?}");
        scene.hot().deliver().await;
        assert!(scene.running.read("k").await.unwrap() == bytes, "{fault:?}");
        assert_eq!(scene.running.findings().await, [], "{fault:?}");
        scene.running.delete("k").await;
    }
    scene.emptied(&[]).await;
}

/// What an upload in parts meets: it is stored, or refused and gone.
#[tokio::test(flavor = "multi_thread")]
async fn torn_uploads_leave_nothing() {
    let scene = Scene::on(Buckets::both()).await;
    let bytes = noise(9, 20 << 20);
    for (request, fault, stored) in [
        (Request::Complete, Fault::AnswerLost, true),
        (Request::Complete, Fault::Refused, false),
        (Request::Part, Fault::Refused, false),
        (Request::Part, Fault::AnswerLost, false),
        (Request::Begin, Fault::Refused, false),
    ] {
        scene.hot().plan(request, Some(fault));
        let put = scene.put("large", bytes.clone(), StorageClass::Hot).await.unwrap();
        assert_eq!(put.is_ok(), stored, "{request:?} {fault:?}: {:?}", put.err());
        if stored {
            assert!(scene.running.read("large").await.unwrap() == bytes);
            scene.running.delete("large").await;
        }
        assert!(matches!(scene.running.read("large").await, Err(Error::NoSuchObject)));
    }
    scene.emptied(&[]).await;
}

/// A write that was given up, and was held back on its way until its segment was removed and forgotten, is removed again: no
/// validation finds it, and nothing stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_goes() {
    let scene = Scene::on(Buckets::both()).await;
    for size in [3000, 500 << 10, (1 << 20) - 100_000] {
        scene.hot().always(Request::Put, Some(Fault::HeldBack));
        let failed = scene.put("k", noise(1, size), StorageClass::Hot).await.unwrap();
        assert!(matches!(failed, Err(Error::Unavailable)), "{failed:?}");
        scene.hot().always(Request::Put, None);
    }
    scene.running.collect().await;
    scene.hot().deliver().await;
    // Each was tried under several names.
    let late = scene.buckets.segments().await.len();
    assert!(late > 3, "they came late");
    assert_eq!(scene.running.findings().await, [], "they are known");
    scene.running.collect().await;
    assert_eq!(scene.buckets.segments().await.len(), late, "their time has not come");
    scene.running.clock.advance(25 * 60 * 60 * 1000);
    scene.running.collect().await;
    assert_eq!(scene.buckets.segments().await, [] as [String; 0]);
    assert_eq!(scene.running.findings().await, []);
}

/// However many batches there were, few packs stay, and each batch is read once to be merged.
#[tokio::test(flavor = "multi_thread")]
async fn small_packs_are_merged() {
    let scene = Scene::on(Buckets::both()).await;
    let keys: Vec<_> = (0..120).map(|n| format!("k{n}")).collect();
    for (seed, key) in (0..).zip(&keys) {
        // One after the other: each is a batch.
        scene.put(key, noise(seed, 3000), StorageClass::Hot).await.unwrap().unwrap();
    }
    assert_eq!(scene.buckets.segments().await.len(), keys.len());
    let (read, put) = (scene.hot().asked(Request::Get), scene.hot().asked(Request::Put));
    scene.running.collect().await;
    let packs = scene.buckets.segments().await.len();
    assert!(packs <= SMALL_PACKS_MAX, "{packs} packs");
    let (read, put) = (scene.hot().asked(Request::Get) - read, scene.hot().asked(Request::Put) - put);
    assert!(read <= keys.len() as u64 && put <= 4, "{read} reads and {put} puts");
    for (seed, key) in (0..).zip(&keys) {
        assert_eq!(scene.running.read(key).await.unwrap(), noise(seed, 3000));
    }
    assert_eq!(scene.running.findings().await, []);
    scene.emptied(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// An answer that is too short, wrong or breaks off is asked for again: it is neither served nor taken for damage.
#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_are_no_damage() {
    let scene = Scene::on(Buckets::both()).await;
    for size in [3000, 300_000, 3 << 20] {
        let bytes = noise(5, size);
        scene.put("k", bytes.clone(), StorageClass::Hot).await.unwrap().unwrap();
        for fault in [Fault::Short, Fault::Flipped, Fault::Broken] {
            // Of the answers to the first requests each one in turn.
            for nth in 0..3 {
                for _ in 0..nth {
                    scene.hot().plan(Request::Get, None);
                }
                scene.hot().plan(Request::Get, Some(fault));
                let read = scene.running.read("k").await;
                assert!(read.as_ref().is_ok_and(|read| *read == bytes), "{fault:?} {nth}: {:?}", read.err());
                while scene.hot().forget_plan(Request::Get) {}
            }
        }
    }
    assert_eq!(scene.running.findings().await, []);
    scene.emptied(&["k"]).await;
}

/// What a key may hold: after a write that failed, what was there before or what was written.
type Possible = Vec<Option<Bytes>>;

/// A client with keys of its own that puts, overwrites, reads and deletes. What it knows in the end, and how many of its
/// requests were answered and how many failed.
async fn client(running: Arc<Running>, number: u64, until: Instant) -> (Vec<(String, Possible)>, u64, u64) {
    const SIZES: [usize; 5] = [1, 700, 70_000, 1_100_000, 2_500_000];
    let mut dice = Dice::new(number);
    let mut known: Vec<(String, Possible)> = (0..4).map(|n| (format!("{number}/{n}"), vec![None])).collect();
    let (mut answered, mut failed) = (0, 0);
    while Instant::now() < until {
        let nth = dice.index(known.len());
        let (key, possible) = &mut known[nth];
        let outcome = match dice.roll(10) {
            0..6 => {
                let bytes = noise(dice.roll(50), SIZES[dice.index(SIZES.len())]);
                let mut request = put_request(key);
                let class = if dice.percent(50) { StorageClass::Cold } else { StorageClass::Hot };
                request.attributes.class = Some(class);
                let put = running.store.put(&root(), request, Body::of_bytes(bytes.clone())).await;
                put.map(|_| Some(bytes.clone())).map_err(|error| (error, Some(bytes)))
            }
            6..8 => {
                let deleted = running.store.delete(&root(), &object(key), Preconditions::default()).await;
                deleted.map(|_| None).map_err(|error| (error, None))
            }
            _ => match running.read(key).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(Error::NoSuchObject) => Ok(None),
                Err(error) => {
                    assert!(matches!(error, Error::Unavailable | Error::Busy), "{key}: {error}");
                    failed += 1;
                    continue;
                }
            }
            .inspect(|read| assert!(possible.contains(read), "{key} holds what it cannot")),
        };
        match outcome {
            Ok(state) => {
                *possible = vec![state];
                answered += 1;
            }
            Err((error, state)) => {
                assert!(matches!(error, Error::Unavailable | Error::Busy), "{key}: {error}");
                possible.push(state);
                failed += 1;
            }
        }
    }
    (known, answered, failed)
}

/// Clients write, read and delete for a while, over buckets in which one request of twelve goes wrong, while everything is
/// collected, moved and merged: what was acknowledged reads back, and in the end nothing is lost and nothing is left.
/// `JUSTSTORAGE_SOAK_SECONDS` (5) is how long.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_loses_nothing() {
    let seconds =
        std::env::var("JUSTSTORAGE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let scene = Scene::on(Buckets::both()).await;
    for (seed, bucket) in [(1, scene.hot()), (2, scene.cold())] {
        bucket.storm(8, seed);
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> =
        (0..4).map(|number| tokio::spawn(client(scene.running.clone(), number, until))).collect();
    let (mut rounds, mut broken_off) = (0, 0);
    while Instant::now() < until {
        match scene.running.try_collect().await {
            Ok(()) => rounds += 1,
            Err(Error::Unavailable) => broken_off += 1,
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    let (mut all, mut answered, mut failed) = (Vec::new(), 0, 0);
    for client in clients {
        let (known, done, undone) = client.await.unwrap();
        all.extend(known);
        answered += done;
        failed += undone;
    }
    for bucket in [scene.hot(), scene.cold()] {
        bucket.storm(0, 0);
        bucket.deliver().await;
    }
    let scene = scene.restarted().await;
    scene.running.clock.advance(50 * 24 * 60 * 60 * 1000);
    for (key, possible) in &all {
        let read = match scene.running.read(key).await {
            Ok(bytes) => Some(bytes),
            Err(Error::NoSuchObject) => None,
            Err(error) => panic!("{key} is lost: {error}"),
        };
        assert!(possible.contains(&read), "{key} holds what it cannot");
    }
    scene.running.collect().await;
    assert_eq!(scene.running.findings().await, []);
    println!(
        "figures: storm: {answered} requests answered, {failed} failed, {rounds} rounds of collection, {broken_off} broken \
         off, 0 lost, 0 left"
    );
    assert!(answered > 10 && rounds + broken_off > 0);
    let keys: Vec<_> = all.iter().map(|(key, _)| key.as_str()).collect();
    scene.emptied(&keys).await;
}
