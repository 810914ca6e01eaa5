//! A whole store in a temporary directory: SQLite and two local tiers, and a clock that tests move.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use juststorage_core::application::access::{Access, AuthMode, MasterKey};
use juststorage_core::application::admin::Admin;
use juststorage_core::application::commit::{Committer, CommitterTasks};
use juststorage_core::application::error::Result;
use juststorage_core::application::ingest::{Body, Ingest};
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::copy::CopyRequest;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::pools::Pools;
use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{
    ListQuery, MetadataStore, SegmentRecord, SpaceRef, WriterId,
};
use juststorage_core::application::ports::segments::{SegmentError, SegmentStore};
use juststorage_core::application::store::Store;
use juststorage_core::application::tiers::Tiers;
use juststorage_core::application::upstream::UpstreamSetup;
use juststorage_core::application::validate::{Finding, Validator};
use juststorage_core::application::workers::worker::run_dry;
use juststorage_core::application::workers::{Collection, TakeOver, UploadExpiry};
use juststorage_core::domain::acl::CannedAcl;
use juststorage_core::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::event::How;
use juststorage_core::domain::identity::StoreId;
use juststorage_core::domain::object::{Attributes, Object, ObjectId};
use juststorage_core::domain::object_lock::ObjectLock;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::testing::bucket::FaultyBucket;
use juststorage_core::testing::upstream::FakeUpstream;
use uuid::Uuid;

/// A clock that stands still until it is told to move.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Where the tiers are: each in a directory, or in a bucket that outlives the process.
#[derive(Clone, Default)]
pub struct Buckets {
    pub hot: Option<Arc<FaultyBucket>>,
    pub cold: Option<Arc<FaultyBucket>>,
}

impl Buckets {
    /// Both tiers in buckets.
    pub fn both() -> Self {
        Self { hot: Some(Arc::default()), cold: Some(Arc::default()) }
    }

    /// What is left in them of segments.
    pub async fn segments(&self) -> Vec<String> {
        let mut left = Vec::new();
        for bucket in [&self.hot, &self.cold].into_iter().flatten() {
            left.extend(bucket.segments().await);
        }
        left
    }

    fn tiers(&self, root: &Path) -> std::result::Result<Tiers, Box<dyn std::error::Error>> {
        let tier =
            |bucket: &Option<Arc<FaultyBucket>>, name| -> std::result::Result<Arc<dyn SegmentStore>, _> {
                Ok(match bucket {
                    Some(bucket) => Arc::new(bucket.tier(name, root.join("spool"))),
                    None => Arc::new(LocalSegments::open(root.join(name), name)?),
                })
            };
        let tiers = (tier(&self.hot, "hot"), tier(&self.cold, "cold"));
        let (hot, cold): (std::result::Result<_, SegmentError>, std::result::Result<_, SegmentError>) = tiers;
        Ok(Tiers { hot: hot?, cold: cold? })
    }
}

/// A running store. Dropping it without [`Self::close`] is a crash: nothing is sealed, no lease is given back.
pub struct Running {
    pub store: Store,
    pub metadata: Arc<dyn MetadataStore>,
    pub tiers: Tiers,
    pub clock: Arc<ManualClock>,
    tasks: CommitterTasks,
    writer: WriterId,
}

/// The writer's name outlives a crash, as a data directory's does.
pub const WRITER: WriterId = WriterId(Uuid::from_u128(7));

impl Running {
    /// Opens, or reopens after a crash, the store in `root`.
    pub async fn open(root: &Path) -> Self {
        Self::open_with(root, DedupScope::Tenant).await
    }

    /// As [`Self::open`], as on a machine with few descriptors.
    pub async fn open_narrow(root: &Path) -> Self {
        let url = format!("sqlite://{}", root.join("metadata.db").display());
        let metadata = SqlMetadata::connect(&url).await.unwrap();
        metadata.migrate().await.unwrap();
        let tiers = Buckets::default().tiers(root).unwrap();
        Self::start(WRITER, tiers, Arc::new(metadata), DedupScope::Tenant, Pools::new(64)).await.unwrap()
    }

    pub async fn open_with(root: &Path, dedup: DedupScope) -> Self {
        let url = format!("sqlite://{}", root.join("metadata.db").display());
        Self::try_open(root, &url, dedup).await.unwrap()
    }

    /// As [`Self::open`], over the database at `url`. Fails where the disk does.
    pub async fn try_open(
        root: &Path,
        url: &str,
        dedup: DedupScope,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        Self::try_open_as(WRITER, root, url, dedup).await
    }

    /// As [`Self::try_open`], as another process that has the same tiers.
    pub async fn try_open_as(
        writer: WriterId,
        root: &Path,
        url: &str,
        dedup: DedupScope,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        Self::try_open_on(&Buckets::default(), writer, root, url, dedup).await
    }

    /// As [`Self::open`], with tiers in buckets.
    pub async fn open_on(buckets: &Buckets, root: &Path) -> Self {
        let url = format!("sqlite://{}", root.join("metadata.db").display());
        Self::try_open_on(buckets, WRITER, root, &url, DedupScope::Tenant).await.unwrap()
    }

    /// As [`Self::try_open_as`], with tiers in buckets.
    pub async fn try_open_on(
        buckets: &Buckets,
        writer: WriterId,
        root: &Path,
        url: &str,
        dedup: DedupScope,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        let metadata = SqlMetadata::connect(url).await?;
        metadata.migrate().await?;
        let metadata: Arc<dyn MetadataStore> = Arc::new(metadata);
        let tiers = buckets.tiers(root)?;
        let result = Self::start(writer, tiers, metadata.clone(), dedup, Pools::default()).await;
        if result.is_err() {
            metadata.close().await;
        }
        result
    }

    async fn start(
        writer: WriterId,
        tiers: Tiers,
        metadata: Arc<dyn MetadataStore>,
        dedup: DedupScope,
        pools: Pools,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        let clock = Arc::new(ManualClock(AtomicI64::new(1_700_000_000_000)));
        metadata.heartbeat(writer, Timestamp(i64::MAX)).await?;
        TakeOver::new(metadata.clone(), tiers.clone(), clock.clone()).from(writer).await?;
        metadata.heartbeat(writer, Timestamp(i64::MAX)).await?;
        let (committer, tasks) = Committer::start(metadata.clone(), tiers.clone(), clock.clone(), writer);
        let ingest = Ingest::new(metadata.clone(), tiers.clone(), clock.clone(), writer).with_pools(pools);
        let store = Store::new(metadata.clone(), tiers.clone(), clock.clone(), committer, ingest, dedup);
        Ok(Self { store, metadata, tiers, clock, tasks, writer })
    }

    /// From now on spaces may be bound to this upstream.
    pub fn reach(&mut self, upstream: &FakeUpstream) {
        let setup = UpstreamSetup {
            connector: Arc::new(upstream.clone()),
            keys: master_key().into(),
            own: StoreId(Uuid::from_u128(1)),
        };
        self.store = self.store.clone().with_upstreams(setup);
    }

    /// What its operators do.
    pub fn admin(&self) -> Admin {
        let home = Tenant::new("default").unwrap();
        let (metadata, clock) = (self.metadata.clone(), self.clock.clone());
        let access = Access::new(metadata, clock, master_key(), AuthMode::Required, None, home);
        Admin::new(self.store.clone(), access)
    }

    /// Ends the store as SIGTERM does.
    pub async fn close(self) {
        self.tasks.shut_down().await;
        self.metadata.close().await;
    }

    /// Ends the store as SIGKILL does, as far as one process can: tasks stop where they are.
    pub async fn crash(self) {
        self.tasks.abort();
        self.metadata.close().await;
    }

    /// Everything that background workers would do, until there is nothing left.
    pub async fn collect(&self) {
        self.try_collect().await.unwrap();
    }

    /// As [`Self::collect`]. Fails where the disk does.
    pub async fn try_collect(&self) -> Result<()> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let collection = Collection::new(&self.metadata, &self.tiers, &clock, self.writer, Duration::ZERO);
        let [collecting, moving, compacting] = collection.round();
        // What moving and compacting leave is collected at once.
        for work in [&collecting, &moving, &compacting, &collecting] {
            run_dry(work.worker()).await?;
        }
        Ok(())
    }

    /// Removes what abandoned uploads left, however young.
    pub async fn expire_uploads(&self) {
        // Every life of a process begins with the same clock, and earlier ones moved theirs: an upload of such
        // a life is younger than this one's clock, unless that goes on to where no life has been before.
        static FURTHEST: AtomicI64 = AtomicI64::new(1 << 41);
        let furthest = FURTHEST.fetch_add(1 << 30, Ordering::SeqCst);
        self.clock.advance(furthest - self.clock.now().millis());
        let expiry = UploadExpiry::new(self.metadata.clone(), self.clock.clone(), Duration::ZERO);
        run_dry(&expiry).await.unwrap();
    }

    /// The rows of all segments.
    pub async fn segments(&self) -> Vec<SegmentRecord> {
        self.metadata.scan_segments(None, 100).await.unwrap()
    }

    pub async fn findings(&self) -> Vec<Finding> {
        let validator = Validator::new(self.metadata.clone(), self.tiers.clone());
        validator.run(&|_| ()).await.unwrap().findings
    }

    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Object> {
        let body = Body::of_bytes(bytes.into());
        self.store.put(&root(), put_request(key), body).await
    }

    pub async fn read(&self, key: &str) -> Result<Bytes> {
        self.read_with(key, &ReadOptions::default()).await
    }

    pub async fn read_with(&self, key: &str, options: &ReadOptions) -> Result<Bytes> {
        let download = self.store.get(&root(), &object(key), options).await?;
        let chunks: Vec<Bytes> = download.body.try_collect().await?;
        Ok(chunks.concat().into())
    }

    /// The ids of the objects without a key.
    pub async fn keyless(&self) -> Vec<ObjectId> {
        let space = self.metadata.space(&place()).await.unwrap().unwrap();
        let query = ListQuery {
            space: space.id,
            prefix: String::new(),
            from: std::ops::Bound::Unbounded,
            from_version: None,
            versions: false,
            versioned: false,
            keyless: true,
            limit: 1000,
        };
        let page = self.metadata.list(&query).await.unwrap();
        page.iter().filter(|object| object.key.is_none()).map(|object| object.id).collect()
    }

    pub async fn delete(&self, key: &str) {
        self.store.delete(&root(), &object(key), Preconditions::default()).await.unwrap();
    }
}

fn master_key() -> MasterKey {
    MasterKey::from_hex(&"a1".repeat(32)).unwrap()
}

pub fn root() -> Principal {
    Principal::unrestricted("root", Tenant::new("acme").unwrap())
}

pub fn space() -> SpaceAddress {
    SpaceAddress::new(Namespace::new("models").unwrap(), Tenant::new("acme").unwrap())
}

pub fn place() -> SpaceRef {
    SpaceRef::Space(space())
}

pub fn object(key: &str) -> ObjectRef {
    ObjectRef::latest(place(), Key::new(key).unwrap())
}

pub fn put_request(key: &str) -> PutRequest {
    PutRequest {
        place: place(),
        key: Some(Key::new(key).unwrap()),
        attributes: Attributes::default(),
        preconditions: Preconditions::default(),
        etag: EtagStyle::Content,
        checksum: None,
        how: How::Plain,
    }
}

/// A copy of `source` to `key`, which changes nothing.
pub fn copy_to(source: ObjectRef, key: &str) -> CopyRequest {
    CopyRequest {
        source,
        source_preconditions: Preconditions::default(),
        place: place(),
        key: Some(Key::new(key).unwrap()),
        replace: None,
        replace_tags: None,
        lock: ObjectLock::default(),
        class_name: None,
        acl: CannedAcl::Private,
        class: None,
        preconditions: Preconditions::default(),
        checksum: None,
    }
}

/// Bytes that differ by `seed` and do not compress into one another.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// All files below `root`, for tests that ask whether something was left behind.
pub fn segment_files(root: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("hot"), root.join("cold")];
    // A tier in a bucket has none.
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Notes about commits are no data.
            let notes = path.file_name().is_some_and(|name| name == "commits" || name == "servers");
            match path.is_dir() {
                true if notes => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
}
