//! Every worker does each item by itself: where item 1 of 3 always fails, items 2 and 3 are done, and where one tier is
//! away, work on the other goes on. A worker without a row here fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Buckets, Running, noise, place, space};
use juststorage_core::application::live::LiveReplicas;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::{
    LeafRecord, Mutation, ObjectAddress, Stuck, UpdateObject, WriterId,
};
use juststorage_core::application::ports::segments::SegmentKind;
use juststorage_core::application::tiers::Tiers;
use juststorage_core::application::workers::{Deliveries, NAMES, Sinks, WorkDone, Worker, WorkerSetup};
use juststorage_core::domain::address::{BucketName, Key, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::domain::event::Cause;
use juststorage_core::domain::lifecycle::{Day, Expiration, Filter, Lifecycle, Rule};
use juststorage_core::domain::multipart::UploadId;
use juststorage_core::domain::object::{Attributes, ObjectId};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::testing::faulty::{Fault, Faults, FaultySegments, Operation};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WRITER: WriterId = WriterId(Uuid::from_u128(7));
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A store in which single items can be made to fail.
struct Bad {
    folder: TempDir,
    running: Running,
    upkeep: WorkerSetup,
    hot: Arc<Faults>,
    cold: Arc<Faults>,
}

impl Bad {
    async fn new() -> Self {
        Self::over(TempDir::new().unwrap()).await
    }

    async fn over(folder: TempDir) -> Self {
        Self::on(&Buckets::default(), folder).await
    }

    async fn on(buckets: &Buckets, folder: TempDir) -> Self {
        let running = Running::open_on(buckets, folder.path()).await;
        let hot = FaultySegments::new(running.tiers.hot.clone());
        let cold = FaultySegments::new(running.tiers.cold.clone());
        let faults = (hot.faults(), cold.faults());
        let upkeep = WorkerSetup {
            metadata: running.metadata.clone(),
            tiers: Tiers { hot: Arc::new(hot), cold: Arc::new(cold) },
            clock: running.clock.clone(),
            writer: WRITER,
            superseded: CancellationToken::new(),
            others: LiveReplicas::default(),
            retention: Duration::ZERO,
            upload_expiry: Duration::ZERO,
            day: Day::REAL,
            scrub_every: Duration::from_nanos(1),
            sinks: Sinks::default(),
            deliveries: Deliveries::default(),
        };
        Self { folder, running, upkeep, hot: faults.0, cold: faults.1 }
    }

    fn worker(&self, name: &str) -> Arc<dyn Worker> {
        self.upkeep.workers().into_iter().find(|worker| worker.name() == name).expect("such a worker")
    }

    /// Steps until there is nothing to do but what was put aside. A tier that is away ends it too.
    async fn run(&self, name: &str) {
        let worker = self.worker(name);
        let (metadata, now) = (&self.running.metadata, self.now());
        assert!(
            metadata.acquire_lease(name, WRITER.0, now, now.plus(Duration::from_hours(24))).await.unwrap()
        );
        // A writer that is found to be silent has a last chance, of which this worker knows.
        let mut chance = name == "take-over";
        for _ in 0..50 {
            match worker.step().await {
                Ok(WorkDone::Idle) if std::mem::take(&mut chance) => self.running.clock.advance(5_000),
                Ok(WorkDone::Idle) | Err(_) => return,
                Ok(_) => {}
            }
        }
        panic!("{name} spins on an item that fails");
    }

    async fn stuck(&self, worker: &str) -> Vec<(String, u64)> {
        let stuck = self.running.metadata.stuck(Some(worker), 10).await.unwrap();
        assert!(stuck.iter().all(|stuck| !stuck.error.is_empty() && stuck.next_at > self.now()), "{stuck:?}");
        stuck.into_iter().map(|Stuck { item, failures, .. }| (item, failures)).collect()
    }

    fn now(&self) -> Timestamp {
        self.running.clock.now()
    }

    /// `item` is stuck and tried no more often than it should be; once it is mended, its row goes.
    async fn is_stuck_until_mended(&self, worker: &str, item: String) {
        assert_eq!(self.stuck(worker).await, [(item.clone(), 1)]);
        self.run(worker).await;
        assert_eq!(self.stuck(worker).await, [(item.clone(), 1)], "{worker} does not leave it alone");
        self.running.clock.advance(31_000);
        self.run(worker).await;
        assert_eq!(self.stuck(worker).await, [(item, 2)], "{worker} does not try again");
        self.mend().await;
        self.running.clock.advance(DAY_MILLIS);
        self.run(worker).await;
        assert_eq!(self.stuck(worker).await, [], "{worker} keeps a row of what it has done");
    }

    async fn sql(&self, statement: String) {
        let url = format!("sqlite://{}/metadata.db", self.folder.path().display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// `event` on one row of `table` always fails.
    async fn fails(&self, event: &str, table: &str, id: Uuid) {
        let id = id.simple();
        let body = "BEGIN SELECT RAISE(ABORT, 'injected'); END";
        self.sql(format!("CREATE TRIGGER bad BEFORE {event} ON {table} WHEN OLD.id = x'{id}' {body}")).await;
    }

    async fn mend(&self) {
        self.sql("DROP TRIGGER IF EXISTS bad".to_owned()).await;
        self.hot.heal();
        self.cold.heal();
    }

    /// Three objects that share nothing; with their leaves.
    async fn three(&self, length: usize) -> Vec<(ObjectId, LeafRecord)> {
        let mut three = Vec::new();
        for (seed, key) in (1..).zip(["a", "b", "c"]) {
            // Ids ascend with the clock: the first is the first in every queue.
            self.running.clock.advance(1);
            let object = self.running.put(key, noise(seed, length)).await.unwrap();
            let blob = object.content.unwrap().blob;
            three.push((object.id, self.running.metadata.find_leaf(blob).await.unwrap().unwrap()));
        }
        three
    }

    async fn delete_three(&self) {
        for key in ["a", "b", "c"] {
            self.running.delete(key).await;
        }
    }

    async fn cool(&self, id: ObjectId) {
        self.reclass(id, StorageClass::Cold).await;
    }

    async fn reclass(&self, id: ObjectId, class: StorageClass) {
        let preconditions = Preconditions::default();
        let update = UpdateObject {
            id,
            class: Some(class),
            attributes: None,
            lock: None,
            preconditions,
            cause: Cause::default(),
        };
        let update = vec![Mutation::Update(Box::new(update))];
        self.running.metadata.commit(WRITER, update, self.now()).await.unwrap().remove(0).unwrap();
    }

    async fn tier_of(&self, leaf: &LeafRecord) -> StorageClass {
        self.running.metadata.find_leaf(leaf.id).await.unwrap().unwrap().location.tier
    }

    async fn leaves(&self) -> usize {
        self.running.metadata.scan_leaves(None, 100).await.unwrap().len()
    }
}

/// Small enough for a pack, large enough for a segment of its own.
const SMALL: usize = 1000;
const LARGE: usize = 2 << 20;

#[tokio::test]
async fn one_item_that_fails_does_not_stop_the_others_of_any_worker() {
    let bad = Bad::new().await;
    let running: Vec<_> = bad.upkeep.workers().iter().map(|worker| worker.name()).collect();
    // What needs the whole store stands behind those of the setup.
    let (of_setup, of_store) = NAMES.split_at(running.len());
    assert_eq!(
        (running.as_slice(), of_store),
        (of_setup, &["upstream", "clients"][..]),
        "every worker has a name"
    );
    for name in NAMES {
        match name {
            // One statement about itself, and a look at the others' notes: they have no items.
            // The items of the outbox are events, which are delivered beside its steps: `outbox.rs`,
            // `an_event_that_is_refused_holds_its_key_alone`. An object that cannot be fetched from an upstream is a finding of its
            // pass (`upstream.rs`).
            "heartbeat" | "neighbours" | "outbox" | "upstream" | "clients" => {}
            "take-over" => {
                dead_writers().await;
                segments_of_dead_writers().await;
            }
            "gc" => {
                deleted_rows().await;
                candidates().await;
                condemned_files().await;
            }
            "mover" => {
                moves(SMALL).await;
                moves(LARGE).await;
            }
            "compaction" => leaves_of_packs().await,
            "upload-expiry" => uploads().await,
            "lifecycle" => {
                spaces_with_rules().await;
                objects_under_rules().await;
            }
            "scrub" => leaves_to_read().await,
            other => panic!("{other} has no row: which item of its work may fail, and are the others done?"),
        }
    }
}

async fn dead_writers() {
    let bad = Bad::new().await;
    let writers = [1, 2, 3].map(|n| WriterId(Uuid::from_u128(n)));
    for writer in writers {
        bad.running.metadata.heartbeat(writer, Timestamp(0)).await.unwrap();
    }
    bad.fails("DELETE", "writers", writers[0].0).await;
    bad.run("take-over").await;
    assert_eq!(bad.running.metadata.dead_writers(bad.now()).await.unwrap(), writers[..1]);
    bad.is_stuck_until_mended("take-over", format!("writer:{}", writers[0].0)).await;
}

async fn segments_of_dead_writers() {
    let bad = Bad::new().await;
    let (metadata, dead) = (&bad.running.metadata, WriterId(Uuid::from_u128(1)));
    let segments = [1, 2, 3].map(|n| SegmentId(Uuid::from_u128(n)));
    for id in segments {
        metadata.open_segment(dead, id, StorageClass::Hot, SegmentKind::Pack, bad.now()).await.unwrap();
    }
    let body = "WHEN OLD.id = x'00000000000000000000000000000001' AND NEW.state = 3 \
                BEGIN SELECT RAISE(ABORT, 'injected'); END";
    bad.sql(format!("CREATE TRIGGER bad BEFORE UPDATE ON segments {body}")).await;
    bad.run("take-over").await;
    let condemned = metadata.condemned(Timestamp(0), bad.now(), 10).await.unwrap();
    let condemned: Vec<_> = condemned.into_iter().map(|segment| segment.id).collect();
    assert_eq!(condemned, segments[1..]);
    bad.is_stuck_until_mended("take-over", format!("segment:{}", segments[0])).await;
}

async fn deleted_rows() {
    let bad = Bad::new().await;
    let three = bad.three(SMALL).await;
    bad.delete_three().await;
    bad.fails("DELETE", "objects", three[0].0.0).await;
    bad.run("gc").await;
    assert_eq!(bad.running.metadata.deleting(10).await.unwrap(), [three[0].0]);
    assert_eq!(bad.leaves().await, 1, "the blobs of the others are collected");
    bad.is_stuck_until_mended("gc", format!("object:{}", three[0].0)).await;
    assert_eq!(bad.leaves().await, 0);
}

async fn candidates() {
    let bad = Bad::new().await;
    let three = bad.three(SMALL).await;
    bad.delete_three().await;
    bad.fails("DELETE", "blobs", three[0].1.id.0).await;
    bad.run("gc").await;
    assert_eq!(bad.running.metadata.candidates(10).await.unwrap(), [three[0].1.id]);
    bad.is_stuck_until_mended("gc", format!("blob:{}", three[0].1.id.0)).await;
    assert_eq!(bad.leaves().await, 0);
}

async fn condemned_files() {
    let bad = Bad::new().await;
    let three = bad.three(LARGE).await;
    bad.delete_three().await;
    let segment = three[0].1.location.segment;
    bad.hot.fail_segment(Operation::Delete, segment, Fault::Io);
    bad.run("gc").await;
    let left: Vec<_> = bad.running.segments().await.into_iter().map(|segment| segment.id).collect();
    assert_eq!(left, [segment]);
    bad.is_stuck_until_mended("gc", format!("segment:{segment}")).await;
    assert_eq!(bad.running.segments().await, []);
}

async fn moves(length: usize) {
    let bad = Bad::new().await;
    let three = bad.three(length).await;
    for (id, _) in &three {
        bad.cool(*id).await;
    }
    bad.fails("UPDATE OF segment_id", "blobs", three[0].1.id.0).await;
    bad.run("mover").await;
    let mut tiers = Vec::new();
    for (_, leaf) in &three {
        tiers.push(bad.tier_of(leaf).await);
    }
    assert_eq!(tiers, [StorageClass::Hot, StorageClass::Cold, StorageClass::Cold]);
    bad.is_stuck_until_mended("mover", format!("blob:{}", three[0].1.id.0)).await;
    assert_eq!(bad.tier_of(&three[0].1).await, StorageClass::Cold);
    assert_eq!(bad.running.metadata.inconsistencies().await.unwrap(), []);
}

/// Three sparse packs with a live leaf each, in the order in which compaction comes to them.
async fn sparse_packs(folder: TempDir) -> (Bad, Vec<LeafRecord>) {
    let mut leaves = Vec::new();
    for pack in 1..=3_u64 {
        let running = Running::open(folder.path()).await;
        let length = 1000 * usize::try_from(pack).unwrap();
        let object = running.put(&format!("keep{pack}"), noise(pack, length)).await.unwrap();
        let blob = object.content.unwrap().blob;
        leaves.push(running.metadata.find_leaf(blob).await.unwrap().unwrap());
        running.put(&format!("drop{pack}"), noise(10 + pack, 50_000)).await.unwrap();
        running.close().await;
    }
    let bad = Bad::over(folder).await;
    for pack in 1..=3 {
        bad.running.delete(&format!("drop{pack}")).await;
    }
    bad.run("gc").await;
    let packs = bad.running.metadata.sparse_packs(10).await.unwrap();
    let packs: Vec<_> = packs.into_iter().map(|pack| pack.id).collect();
    assert_eq!(packs, leaves.iter().map(|leaf| leaf.location.segment).collect::<Vec<_>>());
    (bad, leaves)
}

async fn leaves_of_packs() {
    let (bad, leaves) = sparse_packs(TempDir::new().unwrap()).await;
    bad.fails("UPDATE OF segment_id", "blobs", leaves[0].id.0).await;
    bad.run("compaction").await;
    let packs = bad.running.metadata.sparse_packs(10).await.unwrap();
    assert_eq!(packs.iter().map(|pack| pack.id).collect::<Vec<_>>(), [leaves[0].location.segment]);
    bad.is_stuck_until_mended("compaction", format!("blob:{}", leaves[0].id.0)).await;
    assert_eq!(bad.running.metadata.sparse_packs(10).await.unwrap(), []);
}

/// Small packs in a bucket that are merged: a blob that cannot be copied is tried again after twice as long each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_cannot_be_merged_is_left_alone_longer_and_longer() {
    let bad = Bad::on(&Buckets::both(), TempDir::new().unwrap()).await;
    let put = async |seed: u64| bad.running.put(&format!("k{seed}"), noise(seed, 1000)).await.unwrap();
    let blob = put(0).await.content.unwrap().blob;
    bad.fails("UPDATE OF segment_id", "blobs", blob.0).await;
    let item = format!("blob:{}", blob.0);
    let failures = async || bad.stuck("compaction").await.into_iter().find(|(stuck, _)| *stuck == item);
    for (wait, count) in [(0, 1), (31_000, 2), (61_000, 3), (121_000, 4)] {
        bad.running.clock.advance(wait);
        for seed in 0..20 {
            put(count * 100 + seed).await;
        }
        bad.run("compaction").await;
        assert_eq!(failures().await, Some((item.clone(), count)));
    }
    bad.mend().await;
    bad.running.clock.advance(DAY_MILLIS);
    for seed in 1000..1020 {
        put(seed).await;
    }
    bad.run("compaction").await;
    assert_eq!(bad.stuck("compaction").await, []);
}

/// A damaged blob cannot be copied out of its pack: the pack is named, and the other packs are emptied.
#[tokio::test]
async fn one_quarantined_blob_does_not_stop_compaction() {
    let (bad, leaves) = sparse_packs(TempDir::new().unwrap()).await;
    bad.running.metadata.quarantine(leaves[0].id, leaves[0].location).await.unwrap();
    bad.run("compaction").await;
    let pack = leaves[0].location.segment;
    let packs = bad.running.metadata.sparse_packs(10).await.unwrap();
    assert_eq!(packs.iter().map(|pack| pack.id).collect::<Vec<_>>(), [pack]);
    assert_eq!(bad.stuck("compaction").await, [(format!("segment:{pack}"), 1)]);
    bad.running.metadata.release(leaves[0].id, leaves[0].location).await.unwrap();
    bad.running.clock.advance(DAY_MILLIS);
    bad.run("compaction").await;
    assert_eq!(bad.stuck("compaction").await, []);
    assert_eq!(bad.running.metadata.sparse_packs(10).await.unwrap(), []);
}

async fn uploads() {
    let bad = Bad::new().await;
    let ids = [1, 2, 3].map(|n| UploadId(Uuid::from_u128(n)));
    for (n, id) in (0..).zip(ids) {
        let key = Key::new("k").unwrap();
        let (attributes, begun) = (Attributes::default(), Timestamp(n));
        let metadata = &bad.running.metadata;
        let made = metadata.create_upload(id, &space(), None, Some(&key), &attributes, None, begun).await;
        made.unwrap().unwrap();
    }
    bad.fails("DELETE", "uploads", ids[0].0).await;
    bad.run("upload-expiry").await;
    assert_eq!(bad.running.metadata.stale_uploads(bad.now(), 10).await.unwrap(), ids[..1]);
    bad.is_stuck_until_mended("upload-expiry", format!("upload:{}", ids[0])).await;
}

async fn with_rules(bad: &Bad, name: &str) -> SpaceAddress {
    let address = SpaceAddress::new(Namespace::new(name).unwrap(), Tenant::new("acme").unwrap());
    let bucket = BucketName::new(name).unwrap();
    let metadata = &bad.running.metadata;
    metadata.create_bucket(&bucket, &address, false, bad.now()).await.unwrap().unwrap();
    let filter = Filter { prefix: Some(String::new()), ..Filter::default() };
    let rule = Rule {
        id: "r".to_owned(),
        enabled: true,
        expiration: Some(Expiration::Days(1)),
        filter,
        ..Rule::default()
    };
    let setting = Setting::Lifecycle(Lifecycle { rules: vec![rule], small_objects_move: true });
    metadata.put_setting(&address, Some(&bucket), &setting, None).await.unwrap().unwrap();
    address
}

async fn spaces_with_rules() {
    let bad = Bad::new().await;
    let mut spaces = Vec::new();
    for name in ["first", "second", "third"] {
        spaces.push(with_rules(&bad, name).await);
    }
    let was = "(SELECT document FROM space_settings WHERE space_id = 2)";
    bad.sql("UPDATE space_settings SET document = '{' WHERE space_id = 1".to_owned()).await;
    bad.run("lifecycle").await;
    let due =
        bad.running.metadata.next_lifecycle(bad.now().minus(Duration::from_secs(3600)), 10).await.unwrap();
    assert_eq!(due.into_iter().map(|(space, _)| space).collect::<Vec<_>>(), spaces[..1]);
    let item = format!("space:{}", spaces[0]);
    assert_eq!(bad.stuck("lifecycle").await, [(item, 1)]);
    bad.sql(format!("UPDATE space_settings SET document = {was} WHERE space_id = 1")).await;
    bad.running.clock.advance(DAY_MILLIS);
    bad.run("lifecycle").await;
    assert_eq!(bad.stuck("lifecycle").await, []);
}

async fn objects_under_rules() {
    let bad = Bad::new().await;
    let three = bad.three(SMALL).await;
    let bucket = BucketName::new("models").unwrap();
    let metadata = &bad.running.metadata;
    metadata.create_bucket(&bucket, &space(), false, bad.now()).await.unwrap().unwrap();
    let filter = Filter { prefix: Some(String::new()), ..Filter::default() };
    let rule = Rule {
        id: "r".to_owned(),
        enabled: true,
        expiration: Some(Expiration::Days(1)),
        filter,
        ..Rule::default()
    };
    let setting = Setting::Lifecycle(Lifecycle { rules: vec![rule], small_objects_move: true });
    metadata.put_setting(&space(), Some(&bucket), &setting, None).await.unwrap().unwrap();
    bad.running.clock.advance(3 * DAY_MILLIS);
    bad.fails("UPDATE", "objects", three[0].0.0).await;
    bad.run("lifecycle").await;
    let mut left = Vec::new();
    for key in ["a", "b", "c"] {
        let target = ObjectAddress::Latest(space(), Key::new(key).unwrap());
        left.extend(metadata.find(&target).await.unwrap().map(|found| found.object.id));
    }
    assert_eq!(left, [three[0].0]);
    let item = format!("object:{}", three[0].0);
    assert_eq!(bad.stuck("lifecycle").await, [(item, 1)]);
    bad.mend().await;
    bad.running.clock.advance(DAY_MILLIS);
    bad.run("lifecycle").await;
    assert_eq!(bad.stuck("lifecycle").await, []);
    assert_eq!(bad.running.metadata.latest(&place(), &Key::new("a").unwrap()).await.unwrap(), None);
}

async fn leaves_to_read() {
    let bad = Bad::new().await;
    let three = bad.three(LARGE).await;
    let leaf = &three[0].1;
    bad.hot.fail_segment(Operation::Read, leaf.location.segment, Fault::Io);
    bad.run("scrub").await;
    let pass = bad.running.metadata.scrub_pass().await.unwrap().unwrap();
    assert_eq!((pass.blobs, pass.finished_at.is_some()), (3, true), "the pass comes to its end");
    assert_eq!(bad.stuck("scrub").await, [(format!("blob:{}", leaf.id.0), 1)]);
    assert_eq!(bad.running.metadata.quarantined(None, 10).await.unwrap(), []);
    bad.mend().await;
    bad.running.clock.advance(DAY_MILLIS);
    bad.run("scrub").await;
    assert_eq!(bad.stuck("scrub").await, []);
}

/// Nothing is put aside because of a tier that is away, and nothing on the other tier waits for it.
#[tokio::test]
async fn a_tier_that_is_away_does_not_stop_work_on_the_other() {
    // gc: the files of the tier that is there go.
    let bad = Bad::new().await;
    let three = bad.three(LARGE).await;
    bad.cool(three[2].0).await;
    bad.run("mover").await;
    bad.run("gc").await;
    assert_eq!(bad.tier_of(&three[2].1).await, StorageClass::Cold);
    bad.delete_three().await;
    bad.hot.fail_always(Operation::Delete, Fault::Away);
    bad.run("gc").await;
    let left: BTreeSet<_> = bad.running.segments().await.into_iter().map(|segment| segment.tier).collect();
    assert_eq!(left, BTreeSet::from([StorageClass::Hot]));
    assert_eq!(bad.stuck("gc").await, []);
    bad.mend().await;
    bad.run("gc").await;
    assert_eq!(bad.running.segments().await, []);

    // mover: one object should cool down, another warm up; the cold tier takes nothing just now.
    let bad = Bad::new().await;
    let three = bad.three(SMALL).await;
    bad.cool(three[0].0).await;
    bad.run("mover").await;
    bad.reclass(three[0].0, StorageClass::Hot).await;
    bad.cool(three[1].0).await;
    bad.cold.fail_always(Operation::Create, Fault::Away);
    bad.run("mover").await;
    assert_eq!(bad.tier_of(&three[0].1).await, StorageClass::Hot);
    assert_eq!(bad.tier_of(&three[1].1).await, StorageClass::Hot, "not yet");
    assert_eq!(bad.stuck("mover").await, []);
    bad.mend().await;
    bad.run("mover").await;
    assert_eq!(bad.tier_of(&three[1].1).await, StorageClass::Cold);

    // scrub: damage on the cold tier is found while the pass waits for the hot one.
    let bad = Bad::new().await;
    let three = bad.three(LARGE).await;
    bad.cool(three[2].0).await;
    bad.run("mover").await;
    let moved = bad.running.metadata.find_leaf(three[2].1.id).await.unwrap().unwrap();
    bad.running.tiers.cold.delete(moved.location.segment).await.unwrap();
    bad.hot.fail_always(Operation::Read, Fault::Away);
    bad.run("scrub").await;
    let quarantined = bad.running.metadata.quarantined(None, 10).await.unwrap();
    assert_eq!(quarantined.into_iter().map(|leaf| leaf.id).collect::<Vec<_>>(), [moved.id]);
    let pass = bad.running.metadata.scrub_pass().await.unwrap().unwrap();
    assert_eq!((pass.blobs, pass.finished_at), (0, None), "nothing of the hot tier counts as read");
    assert_eq!(bad.stuck("scrub").await, []);
    bad.mend().await;
    bad.run("scrub").await;
    let pass = bad.running.metadata.scrub_pass().await.unwrap().unwrap();
    assert_eq!((pass.blobs, pass.damaged, pass.finished_at.is_some()), (3, 1, true));
}
