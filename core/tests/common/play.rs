//! The real store beside a map: operations are done to both and compared, on a disk whose power can be cut.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use juststorage_core::application::error::{Error, Result};
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::copy::CopyRequest;
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::objects::rename::MoveRequest;
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::{OutboxTarget, SpaceRef, WriterId};
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::application::workers::TakeOver;
use juststorage_core::application::workers::worker::LEASE;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::Key;
use juststorage_core::domain::event::{
    EventName, NotificationRule, Notifications, Overflow, TargetKind, TargetName,
};
use juststorage_core::domain::multipart::{PART_BYTES_MIN, PartClaim, PartNumber};
use juststorage_core::domain::object::Attributes;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::testing::disk::{Dice, Disk, Watch};
use juststorage_core::testing::postgres;
use juststorage_core::testing::upstream::FakeUpstream;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::common::{Buckets, Running, WRITER, noise, object, place, put_request, root, segment_files};

pub const KEYS: [&str; 3] = ["a", "b/1", "b/2"];

/// Two that go into packs, one that does not, one that is empty.
pub const SIZES: [usize; 4] = [0, 300, 70_000, 1_100_000];

/// What can be done to a store.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    Put {
        key: usize,
        content: usize,
        cold: bool,
    },
    Delete {
        key: usize,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Move {
        key: usize,
        cold: bool,
    },
    /// To another key.
    Rename {
        from: usize,
        to: usize,
    },
    Upload {
        key: usize,
        last: usize,
    },
    /// An upload whose client gives up.
    Abandon {
        key: usize,
        content: usize,
    },
    Collect,
    /// The process is killed.
    Crash,
    /// The process ends well, and starts again.
    Restart,
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let (key, content) = (0..KEYS.len(), 0..SIZES.len());
    prop_oneof![
        6 => (key.clone(), content.clone(), any::<bool>())
            .prop_map(|(key, content, cold)| Operation::Put { key, content, cold }),
        4 => key.clone().prop_map(|key| Operation::Delete { key }),
        3 => (key.clone(), key.clone()).prop_map(|(from, to)| Operation::Copy { from, to }),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, cold)| Operation::Move { key, cold }),
        3 => (key.clone(), 1..KEYS.len())
            .prop_map(|(from, on)| Operation::Rename { from, to: (from + on) % KEYS.len() }),
        1 => (key.clone(), content.clone()).prop_map(|(key, last)| Operation::Upload { key, last }),
        1 => (key, content).prop_map(|(key, content)| Operation::Abandon { key, content }),
        3 => Just(Operation::Collect),
        2 => Just(Operation::Crash),
        1 => Just(Operation::Restart),
    ]
}

pub fn content(index: usize) -> Bytes {
    // Made once: unoptimised that takes longer than most of what is done with it.
    static CONTENTS: LazyLock<[Bytes; SIZES.len()]> =
        LazyLock::new(|| std::array::from_fn(|index| noise(index as u64, SIZES[index])));
    CONTENTS[index].clone()
}

fn class(cold: bool) -> StorageClass {
    if cold { StorageClass::Cold } else { StorageClass::Hot }
}

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// One life of a process: what it was doing ends with its threads.
struct Life {
    runtime: Runtime,
    running: Running,
    watch: Watch,
}

impl Life {
    fn begin(
        disk: &Arc<Disk>,
        buckets: &Buckets,
        folder: &Path,
        url: &str,
        upstream: Option<&FakeUpstream>,
        writer: WriterId,
    ) -> std::result::Result<Self, String> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let watch = {
            let _inside = runtime.enter();
            Watch::begin(disk.clone())
        };
        let opened = Running::try_open_on(buckets, writer, folder, url, DedupScope::Tenant);
        match runtime.block_on(opened) {
            Ok(mut running) => {
                if let Some(upstream) = upstream {
                    running.reach(upstream);
                }
                Ok(Self { runtime, running, watch })
            }
            Err(error) => {
                over(runtime, watch);
                Err(error.to_string())
            }
        }
    }

    /// Its tasks stop where they are, its threads with the call they are in.
    fn kill(self) {
        self.runtime.block_on(self.running.crash());
        over(self.runtime, self.watch);
    }

    fn close(self) {
        self.runtime.block_on(self.running.close());
        over(self.runtime, self.watch);
    }
}

/// The disk is watched until the last thread is gone.
fn over(runtime: Runtime, watch: Watch) {
    runtime.shutdown_timeout(Duration::from_secs(30));
    drop(watch);
}

/// The store, and the map that it should be.
pub struct Play {
    folder: TempDir,
    url: String,
    pub disk: Arc<Disk>,
    pub buckets: Buckets,
    /// The upstream that its spaces may be bound to.
    upstream: Option<FakeUpstream>,
    /// Under which name it writes.
    pub writer: WriterId,
    life: Option<Life>,
    pub model: BTreeMap<&'static str, Bytes>,
    /// What the last operation was about to do to keys when it failed.
    pending: Vec<(&'static str, Option<Bytes>)>,
}

/// In memory if there is such a file system: what a power cut takes is not left to the machine's disk.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

impl Play {
    pub fn new(engine: Engine) -> Self {
        Self::new_on(engine, Buckets::default())
    }

    /// As [`Self::new`], with tiers in buckets.
    pub fn new_on(engine: Engine, buckets: Buckets) -> Self {
        let play = Self::begin(engine, buckets, None);
        play.with(begin_to_tell);
        play
    }

    /// A store whose spaces may be bound to this upstream. Nothing in it is told.
    pub fn beside(engine: Engine, upstream: FakeUpstream) -> Self {
        Self::begin(engine, Buckets::default(), Some(upstream))
    }

    fn begin(engine: Engine, buckets: Buckets, upstream: Option<FakeUpstream>) -> Self {
        let folder = folder();
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}", folder.path().join("metadata.db").display()),
            Engine::Postgres => postgres::shared().create_database(),
        };
        let disk = Disk::new(folder.path());
        let (model, pending) = (BTreeMap::new(), Vec::new());
        let mut play =
            Self { folder, url, disk, buckets, upstream, writer: WRITER, life: None, model, pending };
        play.start().unwrap();
        play
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    fn start(&mut self) -> std::result::Result<(), String> {
        let (upstream, folder) = (self.upstream.as_ref(), self.folder.path());
        self.life = Some(Life::begin(&self.disk, &self.buckets, folder, &self.url, upstream, self.writer)?);
        Ok(())
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("the process lives")
    }

    /// Does something to the running store.
    pub fn with<'a, F: Future + 'a>(&'a self, work: impl FnOnce(&'a Running) -> F) -> F::Output {
        let Life { runtime, running, .. } = self.life();
        runtime.block_on(async {
            // Every failure is answered: no client waits for ever.
            tokio::time::timeout(Duration::from_secs(60), work(running))
                .await
                .expect("an answer within a minute")
        })
    }

    /// Kills the process, if it lives.
    pub fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.kill();
        }
    }

    /// Cuts the power and starts again; the power may go again while what it left is mended.
    pub fn cut_power(&mut self, dice: &mut Dice) {
        self.disk.die();
        self.kill();
        self.disk.cut(dice);
        loop {
            if dice.percent(20) {
                self.disk.die_after(dice.roll(20));
            }
            let started = self.start();
            if !self.disk.is_dead() {
                started.unwrap();
                break;
            }
            self.kill();
            self.disk.cut(dice);
        }
        self.disk.die_after(u64::MAX >> 2);
    }

    /// Starts again after [`Self::kill`] on a disk that lost nothing.
    pub fn resume(&mut self) {
        self.start().unwrap();
    }

    /// Another server goes on in place of the one that was killed, once its leases have run out.
    pub fn take_over(&mut self) {
        let dead = std::mem::replace(&mut self.writer, WriterId(Uuid::new_v4()));
        self.start().unwrap();
        self.with(|running| async move {
            running.clock.advance(i64::try_from(2 * LEASE.as_millis()).unwrap());
            // Those of deliveries are taken by the database's clock.
            for target in running.metadata.outbox_targets().await.unwrap() {
                running.metadata.release_lease(&format!("outbox:{}", target.name), dead.0).await.unwrap();
            }
            let (metadata, tiers) = (running.metadata.clone(), running.tiers.clone());
            TakeOver::new(metadata, tiers, running.clock.clone()).from(dead).await.unwrap();
        });
    }

    /// What an operation makes of keys, if it is done.
    fn effect(&self, operation: &Operation) -> Vec<(&'static str, Option<Bytes>)> {
        match *operation {
            Operation::Put { key, content: index, .. } => vec![(KEYS[key], Some(content(index)))],
            Operation::Delete { key } => vec![(KEYS[key], None)],
            Operation::Copy { from, to } => {
                let found = self.model.get(KEYS[from]);
                found.map(|bytes| (KEYS[to], Some(bytes.clone()))).into_iter().collect()
            }
            Operation::Rename { from, to } => match self.model.get(KEYS[from]) {
                Some(bytes) => vec![(KEYS[from], None), (KEYS[to], Some(bytes.clone()))],
                None => Vec::new(),
            },
            Operation::Upload { key, last } => vec![(KEYS[key], Some(parts(last).concat().into()))],
            _ => Vec::new(),
        }
    }

    /// Does an operation to both. If the disk failed it, one of two states is right, which [`Self::compare`]
    /// finds out.
    pub fn attempt(&mut self, operation: &Operation) -> Result<()> {
        let effect = self.effect(operation);
        let done = match operation {
            Operation::Crash => {
                self.kill();
                self.resume();
                Ok(())
            }
            Operation::Restart => {
                self.life.take().unwrap().close();
                if !self.disk.is_dead() {
                    let _ = self.start();
                }
                // It acknowledged nothing.
                return if self.disk.is_dead() { Err(Error::Unavailable) } else { Ok(()) };
            }
            operation => self.with(|running| apply(running, operation)),
        };
        match &done {
            // A copy of what is not there is refused, a change of it too.
            Ok(()) | Err(Error::NoSuchObject | Error::BodyTooShort { .. }) => {
                let is_rename = matches!(operation, Operation::Rename { .. });
                assert!(!is_rename || done.is_ok() != effect.is_empty(), "{operation:?}: {done:?}");
                for (key, state) in effect {
                    self.learn(key, state);
                }
                match (operation, &done) {
                    (Operation::Copy { from, .. }, _) => {
                        assert_eq!(done.is_ok(), self.model.contains_key(KEYS[*from]));
                    }
                    (Operation::Move { key, .. }, _) => {
                        assert_eq!(done.is_ok(), self.model.contains_key(KEYS[*key]));
                    }
                    (Operation::Rename { .. }, _)
                    | (Operation::Abandon { .. }, Err(Error::BodyTooShort { .. }))
                    | (_, Ok(())) => {}
                    (operation, done) => panic!("{operation:?}: {done:?}"),
                }
                Ok(())
            }
            Err(error) => {
                self.pending = effect;
                Err(error.clone())
            }
        }
    }

    fn learn(&mut self, key: &'static str, state: Option<Bytes>) {
        match state {
            Some(bytes) => self.model.insert(key, bytes),
            None => self.model.remove(key),
        };
    }

    /// Every key holds what was acknowledged last; what was under way when something failed, all of it or none.
    pub fn compare(&mut self, after: &dyn std::fmt::Debug) {
        // Of several keys all or none have changed.
        let pending = std::mem::take(&mut self.pending);
        if pending.iter().all(|(key, state)| self.read(key, after) == *state) {
            for (key, state) in pending {
                self.learn(key, state);
            }
        }
        for key in KEYS {
            let found = self.read(key, after);
            let expected = self.model.get(key);
            assert!(
                found.as_ref() == expected,
                "{key} holds {:?} bytes instead of {:?} after {after:?}",
                found.map(|bytes| bytes.len()),
                expected.map(Bytes::len)
            );
            self.compare_told(key, after);
        }
    }

    /// A change and the row that tells of it are there both or neither: the last row of a key is about the version that is
    /// there, or says that it went.
    fn compare_told(&self, key: &'static str, after: &dyn std::fmt::Debug) {
        let (there, rows) = self.with(|running| async move {
            let found = running.metadata.latest(&place(), &Key::new(key).unwrap()).await.unwrap();
            let rows = running.metadata.outbox_page(&target(), 0, u32::MAX >> 1).await.unwrap();
            (found.map(|found| found.object.id.to_string()), rows)
        });
        let last = rows.into_iter().rfind(|row| row.key == key).map(|row| row.event.unwrap());
        let told = last.filter(|(kind, _)| !kind.is_removal()).and_then(|(_, facts)| facts.object_id);
        assert_eq!(told, there, "what is told of {key} is not what is there after {after:?}");
    }

    fn read(&self, key: &str, after: &dyn std::fmt::Debug) -> Option<Bytes> {
        match self.with(|running| running.read(key)) {
            Ok(bytes) => Some(bytes),
            Err(Error::NoSuchObject) => None,
            Err(error) => panic!("{key}: {error} after {after:?}"),
        }
    }

    pub fn assert_valid(&self, after: &dyn std::fmt::Debug) {
        let findings = self.with(Running::findings);
        assert!(findings.is_empty(), "{findings:?} after {after:?}");
    }

    /// Removes everything: then nothing is left, not a file.
    pub fn empty(&mut self, after: &dyn std::fmt::Debug) {
        for key in KEYS {
            self.with(|running| running.delete(key));
        }
        self.model.clear();
        // A restart seals the open packs, so that even the last of them can go.
        self.attempt(&Operation::Restart).unwrap();
        self.with(Running::expire_uploads);
        self.with(Running::collect);
        let mut left: Vec<_> =
            segment_files(self.root()).iter().map(|path| path.display().to_string()).collect();
        left.extend(self.with(|_| self.buckets.segments()));
        let rows = self.with(Running::segments);
        assert!(left.is_empty(), "{left:?} is left after {after:?}, with the rows {rows:?}");
        self.with(forget_told);
        self.assert_valid(after);
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        self.kill();
    }
}

fn target() -> TargetName {
    TargetName::new("told").unwrap()
}

/// From now on every change of a key is told.
async fn begin_to_tell(running: &Running) {
    let target = OutboxTarget {
        name: target(),
        kind: TargetKind::Webhook,
        settings: "{}".to_owned(),
        secret: None,
        rows_max: 1_000_000,
        overflow: Overflow::Refuse,
        keep: Duration::ZERO,
        created_at: running.clock.now(),
    };
    assert!(running.metadata.put_outbox_target(&target).await.unwrap());
    let rule = NotificationRule {
        id: "all".to_owned(),
        target: target.name,
        kind: target.kind,
        events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
            .map(|name| EventName::parse(name).unwrap())
            .into(),
        prefix: None,
        suffix: None,
    };
    let SpaceRef::Space(space) = place() else { unreachable!("a place without a bucket") };
    running.metadata.make_space(&space, running.clock.now()).await.unwrap();
    let rules = Setting::Notifications(Notifications { bucket: None, rules: vec![rule] });
    running.metadata.put_setting(&space, None, &rules, None).await.unwrap().unwrap();
}

/// Everything that was told was taken.
async fn forget_told(running: &Running) {
    let (metadata, now) = (&running.metadata, running.clock.now());
    let rows = metadata.outbox_page(&target(), 0, u32::MAX >> 1).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|row| row.seq).collect();
    let epoch = metadata.take_over_outbox(&target()).await.unwrap().unwrap();
    assert!(metadata.acknowledge(&target(), epoch, &rows, now, Duration::ZERO).await.unwrap());
}

fn parts(last: usize) -> [Bytes; 2] {
    static FIRST: LazyLock<Bytes> = LazyLock::new(|| noise(99, usize::try_from(PART_BYTES_MIN).unwrap()));
    [FIRST.clone(), content(last)]
}

/// Does an operation to a store.
pub async fn apply(running: &Running, operation: &Operation) -> Result<()> {
    match *operation {
        Operation::Put { key, content: index, cold } => {
            let mut request = put_request(KEYS[key]);
            request.attributes.class = Some(class(cold));
            running.store.put(&root(), request, Body::of_bytes(content(index))).await.map(drop)
        }
        Operation::Delete { key } => {
            running.store.delete(&root(), &object(KEYS[key]), Preconditions::default()).await.map(drop)
        }
        Operation::Copy { from, to } => {
            let request = CopyRequest {
                source: object(KEYS[from]),
                source_preconditions: Preconditions::default(),
                place: place(),
                key: Some(Key::new(KEYS[to]).unwrap()),
                replace: None,
                replace_tags: None,
                lock: juststorage_core::domain::object_lock::ObjectLock::default(),
                class_name: None,
                acl: juststorage_core::domain::acl::CannedAcl::Private,
                class: None,
                preconditions: Preconditions::default(),
                checksum: None,
            };
            running.store.copy(&root(), request).await.map(drop)
        }
        Operation::Move { key, cold } => {
            let change = Change { class: Some(class(cold)), ..Change::default() };
            running.store.update(&root(), Action::PutObject, &object(KEYS[key]), change).await.map(drop)
        }
        Operation::Rename { from, to } => {
            let SpaceRef::Space(space) = place() else { unreachable!("a place without a bucket") };
            let request = MoveRequest {
                source: object(KEYS[from]),
                source_preconditions: Preconditions::default(),
                space,
                key: Key::new(KEYS[to]).unwrap(),
                preconditions: Preconditions::default(),
            };
            running.store.rename(&root(), &request).await.map(drop)
        }
        Operation::Upload { key, last } => upload(running, KEYS[key], last).await,
        Operation::Abandon { key, content: index } => {
            let length = Some(SIZES[index] as u64 + 1);
            let body = Body { length, ..Body::of_bytes(content(index)) };
            running.store.put(&root(), put_request(KEYS[key]), body).await.map(drop)
        }
        Operation::Collect => running.try_collect().await,
        Operation::Crash | Operation::Restart => unreachable!("not the running store's own doing"),
    }
}

async fn upload(running: &Running, key: &'static str, last: usize) -> Result<()> {
    let store = &running.store;
    let request = UploadRequest {
        place: place(),
        key: Some(Key::new(key).unwrap()),
        attributes: Attributes::default(),
        checksum: None,
    };
    let upload = store.create_upload(&root(), request).await?;
    let reference = UploadRef { id: upload.id, at: None };
    let mut claims = Vec::new();
    for (index, bytes) in (1..).zip(parts(last)) {
        let number = PartNumber::new(index).unwrap();
        let body = Body::of_bytes(bytes);
        store.put_part(&root(), &reference, number, EtagStyle::Content, None, body).await?;
        claims.push(PartClaim { number, etag: None, checksum: None });
    }
    let completion = Completion { claims: Some(claims.into()), ..Completion::default() };
    store.complete_upload(&root(), &reference, completion).await.map(drop)
}
