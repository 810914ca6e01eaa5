//! What every promise needs: a writer, a space of its own, content that pretends to be staged.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::application::ports::metadata::{
    CompleteUpload, DeleteObject, Found, ListQuery, MetadataStore, MoveObject, Mutation, MutationOutcome,
    NewContent, ObjectAddress, PutObject, Refusal, SpaceRef, StagedLeaf, VersionRef, WriterId,
};
use crate::application::ports::segments::SegmentKind;
use crate::domain::address::{BucketName, Key, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{Hash, Location, SegmentId};
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::event::Cause;
use crate::domain::multipart::{PartClaim, UploadId};
use crate::domain::object::{Attributes, Listed, Object, ObjectId};
use crate::domain::precondition::{EtagCondition, Preconditions};
use crate::domain::space::{DedupDomain, DedupScope, Space, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// A writer at work in a space of its own.
pub struct Bench<'s> {
    /// The store under test.
    pub store: &'s dyn MetadataStore,
    /// Who commits.
    pub writer: WriterId,
    /// Where, unless said otherwise.
    pub space: SpaceAddress,
    /// In which identical content is stored once.
    pub domain: DedupDomain,
    clock: AtomicI64,
    packs: Mutex<BTreeMap<StorageClass, SegmentId>>,
    offset: AtomicU64,
}

/// A key that a test writes down.
pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// The tag that [`Bench::put`] gives to these bytes.
pub fn etag(body: &[u8]) -> Etag {
    Etag::md5(&md5(body))
}

/// Sixteen bytes that depend on the body: the store never looks whether they are its MD5.
pub fn md5(body: &[u8]) -> Md5Digest {
    Hash::of(body).0[..16].try_into().unwrap()
}

/// `If-None-Match: *`.
pub fn absent() -> Preconditions {
    Preconditions { if_none_match: Some(EtagCondition::Any), ..Preconditions::default() }
}

/// `If-Match` with the tag of these bytes.
pub fn matching(body: &[u8]) -> Preconditions {
    Preconditions { if_match: Some(EtagCondition::Of(vec![etag(body)])), ..Preconditions::default() }
}

/// The object of an outcome that must be one.
pub fn object(outcome: Result<MutationOutcome, Refusal>) -> Object {
    match outcome {
        Ok(MutationOutcome::Object { object, .. }) => *object,
        other => panic!("not an object: {other:?}"),
    }
}

/// The refusal of an outcome that must be one.
pub fn refusal(outcome: Result<MutationOutcome, Refusal>) -> Refusal {
    match outcome {
        Err(refusal) => refusal,
        Ok(outcome) => panic!("not refused: {outcome:?}"),
    }
}

impl<'s> Bench<'s> {
    /// A live writer with an open pack on each tier, and an unused address. What earlier promises
    /// left to GC is gone.
    pub async fn new(store: &'s dyn MetadataStore) -> Self {
        let bench = Self::uncounted(store).await;
        store.count_commits(bench.writer).await.unwrap();
        bench.collect().await;
        bench
    }

    /// The same beside others, without the count of commits that every server asks for.
    pub async fn uncounted(store: &'s dyn MetadataStore) -> Self {
        let tag = Uuid::new_v4().simple().to_string();
        let space = SpaceAddress::new(
            Namespace::new(&format!("n{}", &tag[..12])).unwrap(),
            Tenant::new(&format!("t{}", &tag[12..24])).unwrap(),
        );
        let bench = Self {
            store,
            writer: WriterId(Uuid::new_v4()),
            domain: DedupScope::Tenant.domain(&space),
            space,
            clock: AtomicI64::new(1_700_000_000_000),
            packs: Mutex::default(),
            offset: AtomicU64::new(0),
        };
        store.heartbeat(bench.writer, bench.later(3600)).await.unwrap();
        for tier in StorageClass::ALL {
            bench.new_pack(tier).await;
        }
        bench
    }

    /// Another writer in the same space.
    pub async fn another_writer(&self) -> Bench<'s> {
        let other = Self::uncounted(self.store).await;
        self.store.count_commits(other.writer).await.unwrap();
        Bench { space: self.space.clone(), domain: self.domain.clone(), ..other }
    }

    /// Opens the pack that content of a tier is staged in from now on.
    pub async fn new_pack(&self, tier: StorageClass) -> SegmentId {
        let id = self.open(SegmentKind::Pack, tier).await;
        self.packs.lock().unwrap().insert(tier, id);
        id
    }

    /// Opens a segment.
    pub async fn open(&self, kind: SegmentKind, tier: StorageClass) -> SegmentId {
        let id = SegmentId::fresh();
        self.store.open_segment(self.writer, id, tier, kind, self.now()).await.unwrap();
        id
    }

    /// The pack of a tier.
    pub fn pack(&self, tier: StorageClass) -> SegmentId {
        self.packs.lock().unwrap()[&tier]
    }

    /// A moment later than every one before.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// The moment so many seconds from now.
    pub fn later(&self, seconds: u64) -> Timestamp {
        self.now().plus(Duration::from_secs(seconds))
    }

    /// Sets the clock back by an hour.
    pub fn set_clock_back(&self) {
        self.clock.fetch_sub(3_600_000, Ordering::Relaxed);
    }

    /// Content of `size` bytes with this hash, staged in the pack of a tier.
    pub fn staged_as(&self, hash: Hash, size: u64, tier: StorageClass) -> StagedLeaf {
        self.staged_in(self.pack(tier), SegmentKind::Pack, tier, hash, size)
    }

    /// Content staged in a certain segment.
    pub fn staged_in(
        &self,
        segment: SegmentId,
        kind: SegmentKind,
        tier: StorageClass,
        hash: Hash,
        size: u64,
    ) -> StagedLeaf {
        let offset = self.offset.fetch_add(size + 128, Ordering::Relaxed) + 64;
        let location = Location { tier, segment, offset, length: size };
        StagedLeaf { hash, location, kind, segment_size: offset + size + 64 }
    }

    /// A body, staged in the hot pack.
    pub fn staged(&self, body: &[u8]) -> NewContent {
        NewContent::Staged(self.staged_as(Hash::of(body), body.len() as u64, StorageClass::Hot))
    }

    /// A put of a body that is staged in the hot pack.
    pub fn put(&self, name: &str, body: &[u8]) -> PutObject {
        self.put_content(name, self.staged(body), etag(body))
    }

    /// A put of any content.
    pub fn put_content(&self, name: &str, content: NewContent, etag: Etag) -> PutObject {
        PutObject {
            space: self.space.clone(),
            bucket: None,
            key: (!name.is_empty()).then(|| key(name)),
            id: ObjectId::fresh(self.now()),
            domain: self.domain.clone(),
            content,
            etag,
            attributes: Attributes::default(),
            checksum: None,
            preconditions: Preconditions::default(),
            quota: None,
            announced: None,
            once: None,
            cause: Cause::default(),
            pulled: None,
        }
    }

    /// A delete of a key's latest version.
    pub fn delete(&self, name: &str) -> DeleteObject {
        self.delete_target(ObjectAddress::Latest(self.space.clone(), key(name)))
    }

    /// A delete of a target.
    pub fn delete_target(&self, target: ObjectAddress) -> DeleteObject {
        let marker_id = ObjectId::fresh(self.now());
        let preconditions = Preconditions::default();
        DeleteObject {
            target,
            bucket: None,
            marker_id,
            preconditions,
            bypass_governance: false,
            quota: None,
            cause: Cause::default(),
            let_go: false,
        }
    }

    /// A move of a version of the key `from`, or of an object without one, to the key `to`.
    pub fn rename(&self, source: ObjectId, from: &str, to: &str) -> MoveObject {
        MoveObject {
            source,
            from: self.space.clone(),
            from_key: (!from.is_empty()).then(|| key(from)),
            source_preconditions: Preconditions::default(),
            marker_id: ObjectId::fresh(self.now()),
            space: self.space.clone(),
            key: key(to),
            id: ObjectId::fresh(self.now()),
            domain: self.domain.clone(),
            preconditions: Preconditions::default(),
            quota: None,
            cause: Cause::default(),
        }
    }

    /// Commits a move, which must succeed: the object as it is now, and the marker at its source.
    pub async fn has_moved(&self, change: MoveObject) -> (Object, Option<ObjectId>) {
        match self.one(Mutation::Move(Box::new(change))).await {
            Ok(MutationOutcome::Moved { object, marker, .. }) => (*object, marker),
            other => panic!("not moved: {other:?}"),
        }
    }

    /// A completion of an upload of these parts, which are read now.
    pub async fn complete(&self, upload: UploadId, claims: Vec<PartClaim>) -> CompleteUpload {
        let read = self.store.upload_parts(upload).await.unwrap().unwrap_or_default();
        CompleteUpload {
            upload,
            target: None,
            bucket: None,
            claims: Some(claims.into()),
            read: read.into(),
            draft: None,
            id: ObjectId::fresh(self.now()),
            domain: self.domain.clone(),
            expected: None,
            expected_size: None,
            expected_kind: None,
            preconditions: Preconditions::default(),
            quota: None,
            cause: Cause::default(),
        }
    }

    /// Commits a batch.
    pub async fn commit(&self, batch: Vec<Mutation>) -> Vec<Result<MutationOutcome, Refusal>> {
        self.store.commit(self.writer, batch, self.now()).await.unwrap()
    }

    /// Commits one change.
    pub async fn one(&self, mutation: Mutation) -> Result<MutationOutcome, Refusal> {
        let mut outcomes = self.commit(vec![mutation]).await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// Commits a put.
    pub async fn try_put(&self, put: PutObject) -> Result<MutationOutcome, Refusal> {
        self.one(Mutation::Put(Box::new(put))).await
    }

    /// Commits a put of a body, which must succeed.
    pub async fn has_put(&self, name: &str, body: &[u8]) -> Object {
        object(self.try_put(self.put(name, body)).await)
    }

    /// Commits a delete, which must succeed: what it removed or made, and whether that is a marker.
    pub async fn has_deleted(&self, delete: DeleteObject) -> (Option<Object>, bool) {
        match self.one(Mutation::Delete(Box::new(delete))).await {
            Ok(MutationOutcome::Deleted { object, marker_made }) => {
                (object.map(|object| *object), marker_made)
            }
            other => panic!("not deleted: {other:?}"),
        }
    }

    /// The latest version of a key.
    pub async fn find(&self, name: &str) -> Option<Found> {
        self.store.find(&ObjectAddress::Latest(self.space.clone(), key(name))).await.unwrap()
    }

    /// One version of a key.
    pub async fn find_version(&self, name: &str, version: VersionRef) -> Option<Found> {
        self.store.find(&ObjectAddress::Version(self.space.clone(), key(name), version)).await.unwrap()
    }

    /// The tag of the latest version of a key, `None` if there is none or a marker.
    pub async fn tag(&self, name: &str) -> Option<Etag> {
        self.find(name).await.filter(|found| !found.object.is_delete_marker()).map(|found| found.object.etag)
    }

    /// Asserts what the latest version of a key is.
    pub async fn assert_latest(&self, name: &str, body: Option<&[u8]>) {
        assert_eq!(self.tag(name).await, body.map(etag), "latest version of {name}");
    }

    /// The space, which must exist.
    pub async fn space(&self) -> Space {
        self.store.space(&SpaceRef::Space(self.space.clone())).await.unwrap().unwrap()
    }

    /// Sets the space's versioning.
    pub async fn set_versioning(&self, versioning: Versioning) {
        let space = self.store.set_versioning(&self.space, versioning, self.now()).await.unwrap().unwrap();
        assert_eq!(space.versioning, versioning);
    }

    /// A bucket of its own that names the space.
    pub async fn bucket(&self) -> BucketName {
        let name = BucketName::new(&format!("b{}", &Uuid::new_v4().simple().to_string()[..16])).unwrap();
        self.store.create_bucket(&name, &self.space, false, self.now()).await.unwrap().unwrap();
        name
    }

    /// A query of everything in the space, for a test to narrow.
    pub async fn everything(&self) -> ListQuery {
        let space = self.store.space(&SpaceRef::Space(self.space.clone())).await.unwrap();
        ListQuery {
            space: space.as_ref().map_or(SpaceId(-1), |space| space.id),
            prefix: String::new(),
            from: Bound::Unbounded,
            from_version: None,
            versions: false,
            versioned: space.is_some_and(|space| space.versioning != Versioning::Off),
            keyless: false,
            limit: 1000,
        }
    }

    /// The keys of a page, in which both ways to list agree.
    pub async fn names(&self, query: &ListQuery) -> Vec<String> {
        let page = self.store.list(query).await.unwrap();
        if !query.versions && !query.keyless {
            let shown = |object: &Object| Listed {
                key: object.key.clone().unwrap(),
                size: object.size(),
                etag: object.etag.clone(),
                class: object.class,
                class_name: object.class_name,
                checksum: object.checksum.clone(),
                created_at: object.created_at,
            };
            let latest = self.store.list_latest(query).await.unwrap();
            assert_eq!(latest, page.iter().map(shown).collect::<Vec<_>>());
        }
        page.iter().map(|object| object.key.as_ref().map(Key::to_string).unwrap_or_default()).collect()
    }

    /// Lets GC do all there is to do. How many blobs went.
    pub async fn collect(&self) -> u64 {
        let mut blobs = 0;
        loop {
            let purged = self.store.purge_deleting(7).await.unwrap();
            let swept = self.store.sweep(7, self.now()).await.unwrap();
            blobs += swept.blobs;
            if purged == 0 && swept.examined == 0 {
                return blobs;
            }
        }
    }

    /// As [`Self::collect`], after a look at what would go, which must be what goes.
    pub async fn collect_as_told(&self) -> u64 {
        let told = self.store.garbage(100_000).await.unwrap();
        let (mut objects, mut blobs, mut bytes) = (0, 0, 0);
        loop {
            let purged = self.store.purge_deleting(7).await.unwrap();
            let swept = self.store.sweep(7, self.now()).await.unwrap();
            (objects, blobs, bytes) = (objects + purged, blobs + swept.blobs, bytes + swept.bytes);
            if purged == 0 && swept.examined == 0 {
                break;
            }
        }
        assert_eq!((told.objects, told.blobs, told.bytes), (objects, blobs, bytes), "{told:?}");
        let nothing = self.store.garbage(100_000).await.unwrap();
        assert_eq!((nothing.examined, nothing.blobs, nothing.bytes), (0, 0, 0));
        blobs
    }

    /// Every promise ends here: the store agrees with itself.
    pub async fn finish(&self) {
        assert_eq!(self.store.inconsistencies().await.unwrap(), []);
    }
}
