//! Lifecycle rules applied to a whole store, with a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Running, root};
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::ports::metadata::{ListQuery, SpaceRef, WriterId};
use juststorage_core::application::spaces::NewBucket;
use juststorage_core::application::uploads::{UploadRef, UploadRequest};
use juststorage_core::application::workers::worker::run_dry;
use juststorage_core::application::workers::{LifecycleWorker, Worker as _};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{BucketName, Key};
use juststorage_core::domain::event::How;
use juststorage_core::domain::lifecycle::{
    Day, Due, Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule, Transition,
};
use juststorage_core::domain::object::{Attributes, Object, Tags};
use juststorage_core::domain::object_lock::{LockMode, ObjectLock, Retention};
use juststorage_core::domain::patch::AttributesPatch;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::storage_class::StorageClass;
use uuid::Uuid;

const DAY_MILLIS: i64 = 86_400_000;

struct Bench {
    running: Running,
    bucket: BucketName,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let running = Running::open(directory.path()).await;
        let bucket = BucketName::new("rules").unwrap();
        running.store.create_bucket(&root(), &bucket, NewBucket::default()).await.unwrap();
        Self { running, bucket, _directory: directory }
    }

    fn place(&self) -> SpaceRef {
        SpaceRef::Bucket(self.bucket.clone())
    }

    async fn rules(&self, rules: impl IntoIterator<Item = Rule>) {
        let rules = (0..).zip(rules).map(|(n, rule)| Rule { id: format!("r{n}"), enabled: true, ..rule });
        let setting = Setting::Lifecycle(Lifecycle { rules: rules.collect(), small_objects_move: true });
        self.running.store.put_setting(&root(), &self.bucket, setting).await.unwrap();
    }

    async fn put(&self, key: &str, body: &str, attributes: Attributes) -> Object {
        let request = PutRequest {
            place: self.place(),
            key: Some(Key::new(key).unwrap()),
            attributes,
            preconditions: Preconditions::default(),
            etag: EtagStyle::Md5,
            checksum: None,
            how: How::Plain,
        };
        let body = Body::of_bytes(body.to_owned().into());
        self.running.store.put(&root(), request, body).await.unwrap()
    }

    async fn has(&self, key: &str, body: &str) -> Object {
        self.put(key, body, Attributes::default()).await
    }

    async fn delete(&self, key: &str) {
        let object = ObjectRef::latest(self.place(), Key::new(key).unwrap());
        self.running.store.delete(&root(), &object, Preconditions::default()).await.unwrap();
    }

    fn worker(&self, day: Day) -> LifecycleWorker {
        let (metadata, clock) = (self.running.metadata.clone(), self.running.clock.clone());
        LifecycleWorker::new(metadata, clock, WriterId(Uuid::new_v4()), day)
    }

    /// Moves the clock, then lets the worker do all that is due.
    async fn after(&self, days: i64) -> u64 {
        self.running.clock.advance(days * DAY_MILLIS);
        run_dry(&self.worker(Day::REAL)).await.unwrap()
    }

    async fn all(&self) -> Vec<Object> {
        let space = self.running.metadata.space(&self.place()).await.unwrap().unwrap();
        let query = ListQuery {
            space: space.id,
            prefix: String::new(),
            from: std::ops::Bound::Unbounded,
            from_version: None,
            versions: true,
            versioned: true,
            keyless: true,
            limit: 10_000,
        };
        self.running.metadata.list(&query).await.unwrap()
    }

    /// Every version as `key=size`, markers as `key-`, newest first within a key.
    async fn versions(&self) -> Vec<String> {
        let shown = |object: &Object| {
            let key = object.key.as_ref().map_or("", Key::as_str);
            if object.is_delete_marker() { format!("{key}-") } else { format!("{key}={}", object.size()) }
        };
        self.all().await.iter().map(shown).collect()
    }

    async fn end(self) {
        assert_eq!(self.running.metadata.inconsistencies().await.unwrap(), []);
        self.running.close().await;
    }
}

fn expiring(days: u32, prefix: &str) -> Rule {
    let filter = Filter { prefix: Some(prefix.to_owned()), ..Filter::default() };
    Rule { expiration: Some(Expiration::Days(days)), filter, ..Rule::default() }
}

#[tokio::test]
async fn objects_go_when_their_time_has_come_and_not_before() {
    let bench = Bench::new().await;
    for key in ["a/1", "a/2", "b/1", "c/1"] {
        bench.has(key, "x").await;
    }
    bench.rules([expiring(1, "a/"), expiring(3, "b/")]).await;
    assert_eq!(bench.after(0).await, 0);
    assert_eq!(bench.after(2).await, 2);
    assert_eq!(bench.versions().await, ["b/1=1", "c/1=1"]);
    bench.has("a/3", "x").await;
    assert_eq!(bench.after(2).await, 2);
    assert_eq!(bench.versions().await, ["c/1=1"]);
    bench.end().await;
}

/// More than a page, in several keys: a pass goes on where it was, in another process too.
#[tokio::test]
async fn a_pass_survives_its_process_and_misses_nothing() {
    let bench = Bench::new().await;
    bench.running.store.set_versioning(&root(), &bench.bucket, Versioning::Enabled).await.unwrap();
    for n in 0..300 {
        bench.has("many", &"x".repeat(n % 7 + 1)).await;
        bench.has(&format!("key{n:03}"), "x").await;
    }
    let expiration = NoncurrentExpiration { days: 1, keep_newest: Some(3) };
    bench.rules([Rule { noncurrent_expiration: Some(expiration), ..Rule::default() }]).await;
    bench.running.clock.advance(2 * DAY_MILLIS);
    let mut steps = 0;
    // Each step by a worker that knows nothing of the one before.
    while !matches!(
        bench.worker(Day::REAL).step().await.unwrap(),
        juststorage_core::application::workers::WorkDone::Idle
    ) {
        steps += 1;
    }
    assert!(steps >= 3, "600 versions are more than two pages: {steps}");
    let left = bench.versions().await;
    assert_eq!(left.iter().filter(|version| version.starts_with("many")).count(), 4);
    assert_eq!(left.len(), 304);
    bench.end().await;
}

#[tokio::test]
async fn tags_sizes_and_locks_are_heeded() {
    let bench = Bench::new().await;
    let tags: Tags = [("keep".to_owned(), "no".to_owned())].into();
    bench.put("tagged", "x", Attributes { tags: tags.clone(), ..Attributes::default() }).await;
    bench.has("plain", "x").await;
    bench.has("large", "0123456789").await;
    bench
        .rules([
            Rule { filter: Filter { tags, ..Filter::default() }, ..expiring(1, "") },
            Rule { filter: Filter { larger_than: Some(9), ..Filter::default() }, ..expiring(1, "") },
        ])
        .await;
    // The filters above replace the helper's prefix.
    assert_eq!(bench.after(2).await, 2);
    assert_eq!(bench.versions().await, ["plain=1"]);
    bench.end().await;

    let bench = Bench::new().await;
    let locking = BucketName::new("locking").unwrap();
    bench
        .running
        .store
        .create_bucket(&root(), &locking, NewBucket { locking: true, ..NewBucket::default() })
        .await
        .unwrap();
    let bench = Bench { bucket: locking, ..bench };
    let until = juststorage_core::domain::timestamp::Timestamp(1_700_000_000_000 + 10 * DAY_MILLIS);
    let lock =
        ObjectLock { retention: Some(Retention { mode: LockMode::Compliance, until }), legal_hold: None };
    bench.put("held", "x", Attributes { lock, ..Attributes::default() }).await;
    let expiration = NoncurrentExpiration { days: 1, keep_newest: None };
    bench.rules([Rule { noncurrent_expiration: Some(expiration), ..expiring(1, "") }]).await;
    bench.after(2).await;
    assert_eq!(bench.versions().await, ["held-", "held=1"], "hidden by a marker");
    bench.after(4).await;
    assert_eq!(bench.versions().await, ["held-", "held=1"], "held against the rule");
    bench.after(10).await;
    assert_eq!(bench.versions().await, Vec::<String>::new(), "then version and marker go, in one pass");
    bench.end().await;
}

#[tokio::test]
async fn versions_and_markers_go_in_their_order() {
    let bench = Bench::new().await;
    bench.running.store.set_versioning(&root(), &bench.bucket, Versioning::Enabled).await.unwrap();
    bench.has("k", "1").await;
    bench.has("k", "22").await;
    bench.delete("k").await;
    bench.has("current", "1").await;
    let noncurrent = NoncurrentExpiration { days: 2, keep_newest: None };
    bench
        .rules([Rule {
            noncurrent_expiration: Some(noncurrent),
            expiration: Some(Expiration::DeleteMarkers(true)),
            ..Rule::default()
        }])
        .await;
    bench.after(1).await;
    assert_eq!(bench.versions().await, ["current=1", "k-", "k=2", "k=1"]);
    bench.after(2).await;
    assert_eq!(bench.versions().await, ["current=1"]);
    bench.end().await;
}

#[tokio::test]
async fn objects_move_to_the_cold_tier_and_read_as_before() {
    let bench = Bench::new().await;
    bench.has("k", "body").await;
    let transition = Transition { due: Due::Days(1), class_name: "GLACIER_IR".to_owned() };
    bench.rules([Rule { transitions: vec![transition], ..Rule::default() }]).await;
    assert_eq!(bench.after(2).await, 1);
    bench.running.collect().await;
    let object = bench.all().await.remove(0);
    assert_eq!(object.class, StorageClass::Cold);
    let found = bench.running.metadata.find_leaf(object.content.unwrap().blob).await.unwrap().unwrap();
    assert_eq!(found.location.tier, StorageClass::Cold);
    assert_eq!(bench.after(1).await, 0, "what is cold stays");
    bench.end().await;
}

#[tokio::test]
async fn uploads_are_aborted_and_others_are_left() {
    let bench = Bench::new().await;
    let begin = async |key: &str| {
        let request = UploadRequest {
            place: bench.place(),
            key: Some(Key::new(key).unwrap()),
            attributes: Attributes::default(),
            checksum: None,
        };
        bench.running.store.create_upload(&root(), request).await.unwrap().id
    };
    let (old, other) = (begin("a/old").await, begin("b/old").await);
    let filter = Filter { prefix: Some("a/".to_owned()), ..Filter::default() };
    bench.rules([Rule { abort_uploads_days: Some(1), filter, ..Rule::default() }]).await;
    assert_eq!(bench.after(2).await, 1);
    let alive = async |id| {
        let reference = UploadRef { id, at: None };
        bench.running.store.list_parts(&root(), &reference, None, 1).await.is_ok()
    };
    assert!(!alive(old).await && alive(other).await);
    bench.end().await;
}

/// A pass a day; at once when rules change, when the command asks, and with short days.
#[tokio::test]
async fn a_space_is_passed_through_once_a_day() {
    let bench = Bench::new().await;
    bench.has("k", "x").await;
    bench.rules([expiring(100, "")]).await;
    let step = async |worker: LifecycleWorker| {
        matches!(worker.step().await.unwrap(), juststorage_core::application::workers::WorkDone::Did(_))
    };
    assert!(step(bench.worker(Day::REAL)).await);
    assert!(!step(bench.worker(Day::REAL)).await, "done for today");
    bench.rules([expiring(99, "")]).await;
    assert!(step(bench.worker(Day::REAL)).await, "other rules");
    bench.running.clock.advance(1000);
    assert!(step(bench.worker(Day::REAL).at_once()).await, "the command");
    assert!(!step(bench.worker(Day::REAL)).await);
    bench.running.clock.advance(DAY_MILLIS);
    assert!(step(bench.worker(Day::REAL)).await, "another day");
    bench.running.clock.advance(2000);
    let short = Day::of(Duration::from_secs(10));
    assert!(step(bench.worker(short)).await, "short days");
    // By short days a hundred of them have long passed.
    bench.running.clock.advance(2000);
    assert_eq!(bench.versions().await, Vec::<String>::new());
    bench.end().await;
}

/// Re-tagged between judgement and deed is covered by the port's promises; here, that a change of tags by a
/// client takes an object out of a rule's reach.
#[tokio::test]
async fn a_tag_taken_away_saves_an_object() {
    let bench = Bench::new().await;
    let tags: Tags = [("tmp".to_owned(), "1".to_owned())].into();
    let object = bench.put("k", "x", Attributes { tags: tags.clone(), ..Attributes::default() }).await;
    bench.rules([Rule { filter: Filter { tags, ..Filter::default() }, ..expiring(1, "") }]).await;
    assert_eq!(
        bench.running.store.expiry(&object).await.unwrap(),
        None,
        "the object was read before there were rules"
    );
    let read = bench.all().await.remove(0);
    let (at, rule) = bench.running.store.expiry(&read).await.unwrap().unwrap();
    assert!(at > read.created_at && rule == "r0");
    let change = Change { attributes: Some(AttributesPatch::tags(Tags::new())), ..Change::default() };
    bench.running.store.update(&root(), Action::PutObject, &ObjectRef::Id(object.id), change).await.unwrap();
    assert_eq!(bench.after(5).await, 0);
    assert_eq!(bench.versions().await, ["k=1"]);
    bench.end().await;
}
