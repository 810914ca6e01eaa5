//! The metadata store: the one place that knows which objects exist and where their bytes lie.
//!
//! Every method is one whole promise; its transaction stays behind it. Every write is durable when its
//! method returns. Times are passed in. Every implementation passes `testing::metadata`.

use std::fmt;
use std::ops::Bound;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::address::{BucketName, Key, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Extent, Hash, Location, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm};
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::limits::{Holdings, Overrides, Quota, QuotaPart};
use crate::domain::multipart::{CompleteRefusal, Part, PartClaim, PartNumber, Upload, UploadId};
use crate::domain::object::{Attributes, Listed, Object, ObjectId, Tags};
use crate::domain::object_lock::{LockChange, LockConfig};
use crate::domain::precondition::Preconditions;
use crate::domain::principal::{NamespacePattern, Rights};
use crate::domain::range::Span;
use crate::domain::settings::{Setting, SettingKind, SettingsRevision, SpaceSettings};
use crate::domain::space::{Bucket, DedupDomain, Space, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

use super::segments::SegmentKind;

/// Why the metadata store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MetadataError {
    /// It cannot be reached, or is shutting down: try again later. Whether a write that got this answer
    /// took place is unknown; it was not acknowledged.
    #[error("the metadata store is unavailable: {0}")]
    Unavailable(String),
    /// Concurrent transactions kept colliding: try again.
    #[error("the transaction kept colliding with others: {0}")]
    Contended(String),
    /// The disk under it is full.
    #[error("the metadata store has no room: {0}")]
    Full(String),
    /// A row holds what no version of this program wrote.
    #[error("unreadable {table}.{column} in row {row}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Which row, as its key.
        row: String,
    },
    /// The schema is newer than this program.
    #[error("the database has schema version {found}, newer than {known}, the newest this binary knows")]
    NewerSchema {
        /// As found.
        found: i64,
        /// As known.
        known: i64,
    },
    /// Anything else: a bug, or a database that breaks its word.
    #[error("the metadata store failed: {0}")]
    Failed(String),
}

/// A server process (or a long command) that stages bytes. What a dead writer left behind is reclaimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriterId(pub Uuid);

/// A place that a client names: a space by its address, or by its bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A space, which its first write creates.
    Space(SpaceAddress),
    /// A bucket, which must exist.
    Bucket(BucketName),
}

/// Which version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRef {
    /// The version with this id.
    Id(ObjectId),
    /// The version S3 calls `null`.
    Null,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The latest version of a key.
    Latest(SpaceAddress, Key),
    /// One version of a key.
    Version(SpaceAddress, Key, VersionRef),
    /// The object with this id, whatever its key.
    Id(ObjectId),
}

/// A visible object, and where its bytes lie if it is a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object.
    pub object: Object,
    /// The whole of its leaf; `None` for a composite (ask [`MetadataStore::extents`]) and for markers.
    pub leaf: Option<Extent>,
}

/// Bytes that this writer staged and made durable, not yet referred to by anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedLeaf {
    /// Their SHA-256.
    pub hash: Hash,
    /// Where they lie.
    pub location: Location,
    /// What they lie in: a single is sealed by the commit, a pack grows with it.
    pub kind: SegmentKind,
    /// The segment's size in bytes, the leaf and its framing included, from which nothing is cut.
    pub segment_size: u64,
}

/// Where the bytes of a new object or part come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewContent {
    /// Bytes that were just staged. If the domain holds the same bytes already, the staged ones are
    /// dropped and the outcome says so; if what it holds is quarantined, these take its place.
    Staged(StagedLeaf),
    /// A blob of the same domain: a copy. Refused with [`Refusal::SourceGone`] if GC took it meanwhile.
    Existing(BlobId),
    /// A stretch of a blob of the same domain: a part copied by range. Becomes a composite whose content
    /// hash derives from the blob's hash and the span.
    Slice(BlobId, Span),
}

/// A new version of a key, or a keyless object.
#[derive(Clone, Debug)]
pub struct PutObject {
    /// Its space, made if it does not exist.
    pub space: SpaceAddress,
    /// The bucket it came through: must still name `space`, or [`Refusal::NoSuchBucket`].
    pub bucket: Option<BucketName>,
    /// Its key.
    pub key: Option<Key>,
    /// Its id, if it is larger than the current version's; otherwise the next larger one is taken.
    pub id: ObjectId,
    /// Where identical content is stored once.
    pub domain: DedupDomain,
    /// Its bytes.
    pub content: NewContent,
    /// Its tag.
    pub etag: Etag,
    /// What it carries.
    pub attributes: Attributes,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// What must hold of the current version, decided inside the transaction.
    pub preconditions: Preconditions,
    /// What the space's tenant may keep, decided inside the transaction; `None` if it is not limited.
    pub quota: Option<Quota>,
    /// The WRITING row that announced it, which becomes COMMITTED.
    pub announced: Option<ObjectId>,
}

/// Removes a key's latest version (or makes a delete marker, by the space's versioning), or one version.
#[derive(Clone, Debug)]
pub struct DeleteObject {
    /// Which.
    pub target: Target,
    /// The bucket it came through: must still name the target's space.
    pub bucket: Option<BucketName>,
    /// The id of a delete marker, if one must be made.
    pub marker_id: ObjectId,
    /// What must hold of the target.
    pub preconditions: Preconditions,
    /// Whether a governance retention is bypassed; the right to do so was checked.
    pub bypass_governance: bool,
}

/// Carries out a verdict of a lifecycle rule, unless what it was passed on has changed since.
#[derive(Clone, Debug)]
pub struct ExpireObject {
    /// The version that was judged.
    pub id: ObjectId,
    /// Its tags then.
    pub tags: Tags,
    /// What is to be done.
    pub expiry: Expiry,
    /// The id of a delete marker, if one must be made.
    pub marker_id: ObjectId,
}

/// What is to be done with a version whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Delete its key, as a client would, if it still is the latest version.
    Current,
    /// Remove it, if another version still is the latest.
    Noncurrent,
    /// Remove it, a delete marker, if it is all there is of its key.
    LoneMarker,
}

/// Changes what an object carries, in place.
#[derive(Clone, Debug)]
pub struct UpdateObject {
    /// Which.
    pub id: ObjectId,
    /// The new class; its blob's move is queued when that changes the tier it should lie on.
    pub class: Option<StorageClass>,
    /// The new headers, metadata and tags, whole; the class and the lock in it are ignored. Of a version that
    /// is held, only the tags may change.
    pub attributes: Option<Attributes>,
    /// A change of what holds the version; only in a space where versions can be locked.
    pub lock: Option<LockChange>,
    /// What must hold of the object.
    pub preconditions: Preconditions,
}

/// Adds or replaces a part.
#[derive(Clone, Debug)]
pub struct PutPart {
    /// Of this upload.
    pub upload: UploadId,
    /// Its number.
    pub number: PartNumber,
    /// Where identical content is stored once.
    pub domain: DedupDomain,
    /// Its bytes.
    pub content: NewContent,
    /// Its tag.
    pub etag: Etag,
    /// The MD5 behind the tag.
    pub md5: Option<Md5Digest>,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// The WRITING row that announced it, which goes away.
    pub announced: Option<ObjectId>,
}

/// Makes an object of an upload's parts, and ends the upload.
#[derive(Clone, Debug)]
pub struct CompleteUpload {
    /// The upload.
    pub upload: UploadId,
    /// The bucket it came through: must still name the upload's space.
    pub bucket: Option<BucketName>,
    /// The parts it consists of.
    pub claims: Vec<PartClaim>,
    /// The new object's id, as in [`PutObject::id`].
    pub id: ObjectId,
    /// Where identical content is stored once.
    pub domain: DedupDomain,
    /// The whole object's checksum as the client expects it.
    pub expected: Option<Checksum>,
    /// What must hold of the current version.
    pub preconditions: Preconditions,
    /// The upload's tenant and what it may keep, as in [`PutObject::quota`].
    pub quota: Option<(Tenant, Quota)>,
}

/// One change of a batch.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// See [`PutObject`].
    Put(Box<PutObject>),
    /// See [`DeleteObject`].
    Delete(Box<DeleteObject>),
    /// See [`ExpireObject`].
    Expire(Box<ExpireObject>),
    /// See [`UpdateObject`].
    Update(Box<UpdateObject>),
    /// See [`PutPart`].
    PutPart(Box<PutPart>),
    /// See [`CompleteUpload`].
    Complete(Box<CompleteUpload>),
    /// This writer's pack is sealed, with its final size in bytes.
    SealPack(SegmentId, u64),
}

/// What a mutation did.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The object as it now is (put, complete, update). `dropped` is this writer's single segment that
    /// turned out to be a duplicate: condemned in the same transaction, GC removes it.
    Object {
        /// The object.
        object: Box<Object>,
        /// The duplicate.
        dropped: Option<SegmentId>,
    },
    /// The part as it now is.
    Part {
        /// The part.
        part: Box<Part>,
        /// The duplicate, as above.
        dropped: Option<SegmentId>,
    },
    /// What a delete left behind.
    Deleted {
        /// What was removed, or the marker that was made; `None` if there was nothing (which S3 calls
        /// success).
        object: Option<Box<Object>>,
        /// Whether `object` is a new delete marker.
        marker_made: bool,
    },
    /// The pack is sealed.
    Sealed,
}

/// Why one mutation of a batch was refused, while the others of the batch stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A condition does not hold.
    #[error("precondition failed")]
    PreconditionFailed,
    /// `If-Match` on a key that does not exist; or an update of an object that does not.
    #[error("no such object")]
    NoSuchObject,
    /// The bucket is gone or names another space.
    #[error("no such bucket")]
    NoSuchBucket,
    /// The upload is gone.
    #[error("no such upload")]
    NoSuchUpload,
    /// A version that would have to go, or whose retention would have to shrink, is held.
    #[error("the object is locked")]
    Locked,
    /// A lock is asked for where versions cannot be locked.
    #[error("object lock is not enabled")]
    NoObjectLock,
    /// The space's versioning is not what the change needs; where versions can be locked it stays enabled.
    #[error("the space is in another state of versioning")]
    WrongVersioning,
    /// What was judged is not there any more, or not as it was.
    #[error("the version changed since it was judged")]
    Changed,
    /// The parts do not add up.
    #[error(transparent)]
    Complete(#[from] CompleteRefusal),
    /// The expected checksum is not that of the parts.
    #[error("checksum mismatch")]
    ChecksumMismatch,
    /// The tenant would keep more than its quota.
    #[error("the quota of {} does not suffice", .0.as_str())]
    QuotaExceeded(QuotaPart),
    /// The blob copied from is gone: read the source again.
    #[error("the source is gone")]
    SourceGone,
    /// The segment is no longer this writer's: it was taken for dead. Stage again.
    #[error("the segment is no longer open")]
    SegmentLost,
    /// This change alone cannot be made, for a reason that is logged and not shown: a bug, or a collision
    /// that did not end. Those that shared its batch were made without it.
    #[error("the change failed: {0}")]
    Failed(String),
}

/// What a listing yields, and from where.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Of this space.
    pub space: SpaceId,
    /// Keys that begin with this; with the empty prefix and `keyless`, keyless objects come first.
    pub prefix: String,
    /// Only keys on this side.
    pub from: Bound<String>,
    /// With `versions`: after this version of the key that `from` excludes, older ones of that key come
    /// first (`from` must be `Excluded` then). For keyless objects: after this id, with `from` excluding "".
    pub from_version: Option<ObjectId>,
    /// All versions and delete markers, newest first within a key; otherwise latest versions only, without
    /// keys whose latest version is a marker.
    pub versions: bool,
    /// Whether old versions and delete markers may lie between what a listing without `versions` shows: the
    /// space has versioning, or had. It changes how they are passed over and nothing of the answer.
    pub versioned: bool,
    /// Keyless objects too.
    pub keyless: bool,
    /// At most this many.
    pub limit: u32,
}

/// Which uploads to list: ordered by key, then by age.
#[derive(Clone, Debug)]
pub struct ListUploadsQuery {
    /// Of this space.
    pub space: SpaceId,
    /// Keys that begin with this.
    pub prefix: String,
    /// Only keys on this side.
    pub from: Bound<String>,
    /// Uploads of the key that `from` excludes which come after this one, first.
    pub from_upload: Option<UploadId>,
    /// At most this many.
    pub limit: u32,
}

/// A segment as the metadata store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// Its name.
    pub id: SegmentId,
    /// Where it lies.
    pub tier: StorageClass,
    /// Its shape.
    pub kind: SegmentKind,
    /// Whether it is being written, whole, or about to be removed.
    pub state: SegmentState,
    /// In bytes: of an open pack as far as committed; 0 for an open single.
    pub size: u64,
    /// Payload bytes in it that a blob refers to: maintained, checked by `validate`.
    pub live_bytes: u64,
}

/// `open → sealed → condemned → (row gone)`; an open one may be condemned directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Its writer is at it.
    Open,
    /// Whole; never written again.
    Sealed,
    /// No blob refers to it; its file is to be removed, then its row.
    Condemned,
}

/// A leaf as `validate`, the mover and compaction see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRecord {
    /// Its row.
    pub id: BlobId,
    /// Where it is stored once.
    pub domain: DedupDomain,
    /// Its SHA-256.
    pub hash: Hash,
    /// Where it lies.
    pub location: Location,
    /// Whether its bytes were found damaged.
    pub quarantined: bool,
}

/// For people: what it is, and where.
impl fmt::Display for LeafRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { tier, segment, offset, length } = &self.location;
        let (hash, tier) = (self.hash, tier.as_str());
        write!(
            f,
            "blob sha256:{hash} of {length} bytes in segment {segment} at byte {offset} on the {tier} tier"
        )
    }
}

/// A leaf that should lie on another tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The leaf.
    pub leaf: LeafRecord,
    /// The tier it should lie on.
    pub to: StorageClass,
}

/// A leaf's bytes were copied; its row should follow if it still lies where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The leaf.
    pub blob: BlobId,
    /// Where it must still lie.
    pub from: Location,
    /// Where its bytes now lie too.
    pub to: StagedLeaf,
}

/// What one sweep of GC's candidates did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Candidates looked at: 0 when the queue is empty.
    pub examined: u64,
    /// Blob rows removed.
    pub blobs: u64,
    /// Their bytes (leaves only).
    pub bytes: u64,
}

/// What a dead writer left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its open segments.
    pub segments: Vec<SegmentRecord>,
    /// How many WRITING rows were removed.
    pub writes: u64,
}

/// A space's figures, maintained with every commit and checked by `validate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceUsage {
    /// The space.
    pub address: SpaceAddress,
    /// Which class the figures are of.
    pub class: StorageClass,
    /// COMMITTED objects, versions included, delete markers not.
    pub objects: u64,
    /// Their bytes, as clients count them.
    pub logical_bytes: u64,
    /// Bytes on this class's tier that this space was the first to bring.
    pub physical_bytes: u64,
    /// Objects in state DELETING.
    pub deleting: u64,
}

/// A key's two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A bearer token of the native API.
    Api,
    /// An access key and secret key of the S3 front.
    S3,
}

/// A key as stored: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id, used to revoke it.
    pub id: Uuid,
    /// Its kind.
    pub kind: CredentialKind,
    /// The public part it is found by: an S3 access key, or an API token's prefix. Unique.
    pub lookup: String,
    /// API: the SHA-256 of the token. S3: the secret key, encrypted with the master key.
    pub secret: Vec<u8>,
    /// Whose data.
    pub tenant: Tenant,
    /// The namespaces allowed; `None` for all.
    pub namespaces: Option<Vec<NamespacePattern>>,
    /// What may be done.
    pub rights: Rights,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What came of a bucket's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketDeletion {
    /// It is gone. Its space's settings are back to the defaults if no other bucket names it.
    Deleted,
    /// There was none.
    Missing,
    /// Its space holds objects, versions or markers. (Uploads under way do not count: they are aborted.)
    NotEmpty,
}

/// A pass of the lifecycle worker through a space.
#[derive(Clone, Debug, PartialEq)]
pub struct LifecyclePass {
    /// The space.
    pub space: Space,
    /// Its rules.
    pub lifecycle: crate::domain::lifecycle::Lifecycle,
    /// The revision of the settings that the pass applies.
    pub revision: SettingsRevision,
    /// When it began.
    pub begun_at: Timestamp,
    /// Where it goes on, as the worker wrote it down; `None` before its beginning, and to save its end.
    pub place: Option<String>,
}

/// A disagreement that `validate` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inconsistency {
    /// Which rule, in kebab-case: `usage-mismatch`, `live-bytes-mismatch`, `composite-length`, …
    pub code: &'static str,
    /// What exactly, for people.
    pub detail: String,
}

/// A reading of every leaf of the store: how far it is, or what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPass {
    /// Which pass, from 1.
    pub number: u64,
    /// The last leaf that was read, in order of id; `None` before the first.
    pub after: Option<BlobId>,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it had read every leaf; `None` while it is under way.
    pub finished_at: Option<Timestamp>,
    /// Leaves read so far.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that are damaged, the ones that were known to be among them.
    pub damaged: u64,
}

/// The metadata store.
#[async_trait]
pub trait MetadataStore: Send + Sync + 'static {
    // --- objects -----------------------------------------------------------------------------------------

    /// Applies a batch in order, in one durable transaction, for `writer` at `now`. Each mutation is
    /// refused or done on its own; an error means that none was acknowledged.
    async fn commit(
        &self,
        writer: WriterId,
        batch: Vec<Mutation>,
        now: Timestamp,
    ) -> Result<Vec<Result<Outcome, Refusal>>, MetadataError>;

    /// The object, if it is visible. Delete markers are found too.
    async fn find(&self, target: &Target) -> Result<Option<Found>, MetadataError>;

    /// The latest version of a key, a delete marker too. `None` if the key has none, or if there is no such
    /// place.
    async fn latest(&self, place: &Place, key: &Key) -> Result<Option<Found>, MetadataError>;

    /// The extents of a composite that cover `span`, in order, clipped to it.
    async fn extents(&self, blob: BlobId, span: Span) -> Result<Vec<Extent>, MetadataError>;

    /// Where part `number` (from 1) lies in a composite, and how many parts there are.
    async fn part_span(&self, blob: BlobId, number: u32) -> Result<Option<(Span, u32)>, MetadataError>;

    /// The parts of a composite behind number `after`, ascending: number and size in bytes.
    async fn part_sizes(
        &self,
        blob: BlobId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<(u32, u64)>, MetadataError>;

    /// The checksums of a composite's parts in order, as they were when an upload made it; none if none was
    /// made with this algorithm.
    async fn part_checksums(
        &self,
        blob: BlobId,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Vec<Checksum>, MetadataError>;

    /// A page of a space, in byte order of keys. Costs the same wherever in the space it begins.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Object>, MetadataError>;

    /// [`Self::list`] of latest versions that have a key (`query` asks for neither `versions` nor `keyless`), and only
    /// what a listing shows of them, which is all in one place.
    async fn list_latest(&self, query: &ListQuery) -> Result<Vec<Listed>, MetadataError>;

    /// The keys at which the lines of a listing begin that rolls keys up at `delimiter`, which is not empty:
    /// the first key that `query` would list (its `from` must be `Included`, and keyless objects are left
    /// out), and, as long as a key holds the delimiter behind the prefix, the first one behind all that are
    /// rolled up with it. Fewer than `limit` as it likes, but none only if there is none. Costs as much as
    /// it yields, however many keys are rolled up.
    async fn walk(&self, query: &ListQuery, delimiter: &str) -> Result<Vec<String>, MetadataError>;

    // --- spaces and buckets ------------------------------------------------------------------------------

    /// The space at a place, if it exists.
    async fn space(&self, place: &Place) -> Result<Option<Space>, MetadataError>;

    /// Sets whether a space's keys keep versions; the space is made if it does not exist. What was versioned
    /// once can only be suspended: `Off` means [`Versioning::Suspended`] there. Where versions can be locked,
    /// anything but enabled is [`Refusal::WrongVersioning`].
    async fn set_versioning(
        &self,
        space: &SpaceAddress,
        versioning: Versioning,
        now: Timestamp,
    ) -> Result<Result<Space, Refusal>, MetadataError>;

    /// From now on versions in this space can be locked, and new ones get what `config` says; cannot be
    /// undone. [`Refusal::WrongVersioning`] unless versioning is enabled there, [`Refusal::NoSuchBucket`] if
    /// `bucket` does not name the space.
    async fn set_object_lock(
        &self,
        space: &SpaceAddress,
        bucket: &BucketName,
        config: LockConfig,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// Sets a document of a space, in place of the one of its kind. [`Refusal::NoSuchBucket`] if `bucket` does
    /// not name the space.
    async fn put_setting(
        &self,
        space: &SpaceAddress,
        bucket: &BucketName,
        setting: &Setting,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// Removes a document of a space, if there is one; refuses as [`Self::put_setting`].
    async fn delete_setting(
        &self,
        space: &SpaceAddress,
        bucket: &BucketName,
        kind: SettingKind,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// All documents of a space, and the revision that they are of.
    async fn settings(&self, space: SpaceId) -> Result<(SettingsRevision, SpaceSettings), MetadataError>;

    /// The space that the lifecycle worker should turn to, the longest untouched first: one with lifecycle
    /// rules, of which a pass is under way, or whose last pass began before `before` or applied other rules.
    async fn next_lifecycle(&self, before: Timestamp) -> Result<Option<LifecyclePass>, MetadataError>;

    /// Writes down how far a pass has come.
    async fn save_lifecycle(&self, pass: &LifecyclePass, now: Timestamp) -> Result<(), MetadataError>;

    /// Names a space, made if it does not exist; `Err` in the inner result holds the bucket that has the
    /// name already. `locking` makes a space whose versions can be locked, with versioning enabled.
    async fn create_bucket(
        &self,
        name: &BucketName,
        space: &SpaceAddress,
        locking: bool,
        now: Timestamp,
    ) -> Result<Result<Bucket, Bucket>, MetadataError>;

    /// Buckets in order of name; of one tenant, or of all.
    async fn list_buckets(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Bucket>, MetadataError>;

    /// Removes a bucket whose space holds nothing; uploads under way there are aborted.
    async fn delete_bucket(&self, name: &BucketName, now: Timestamp)
    -> Result<BucketDeletion, MetadataError>;

    // --- uploads -----------------------------------------------------------------------------------------

    /// Begins an upload; its space is made if it does not exist.
    /// `Err(Refusal::NoSuchBucket)` if `bucket` no longer names the space.
    async fn create_upload(
        &self,
        id: UploadId,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        key: Option<&Key>,
        attributes: &Attributes,
        checksum: Option<(crate::domain::checksum::ChecksumAlgorithm, crate::domain::checksum::ChecksumKind)>,
        now: Timestamp,
    ) -> Result<Result<Upload, Refusal>, MetadataError>;

    /// The upload, if it is under way.
    async fn find_upload(&self, id: UploadId) -> Result<Option<Upload>, MetadataError>;

    /// The latest object that completed this upload, so that a repeated completion is answered alike.
    async fn completed_by(&self, id: UploadId) -> Result<Option<Object>, MetadataError>;

    /// An upload's parts after a number, ascending.
    async fn list_parts(
        &self,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>, MetadataError>;

    /// A page of the uploads under way in a space.
    async fn list_uploads(&self, query: &ListUploadsQuery) -> Result<Vec<Upload>, MetadataError>;

    /// Ends an upload; its parts' blobs become GC's candidates. Whether there was one.
    async fn abort_upload(&self, id: UploadId) -> Result<bool, MetadataError>;

    /// Uploads begun before a moment, oldest first.
    async fn stale_uploads(&self, before: Timestamp, limit: u32) -> Result<Vec<UploadId>, MetadataError>;

    // --- writers and segments ----------------------------------------------------------------------------

    /// Says that `writer` lives until `until`. To be said before it opens its first segment: one that has open
    /// segments and never said so counts as dead.
    async fn heartbeat(&self, writer: WriterId, until: Timestamp) -> Result<(), MetadataError>;

    /// Writers whose word has run out at `now`.
    async fn dead_writers(&self, now: Timestamp) -> Result<Vec<WriterId>, MetadataError>;

    /// Takes over what a dead writer left: removes its WRITING rows and its registration, keeps its open
    /// segments (now nobody can commit into them) and returns them. They are returned again until each is
    /// [`Self::settle_segment`]d.
    async fn take_over(&self, writer: WriterId) -> Result<Leftover, MetadataError>;

    /// A taken-over segment was mended and sealed at `size` bytes, or, with `None`, is to be removed.
    async fn settle_segment(&self, id: SegmentId, size: Option<u64>) -> Result<(), MetadataError>;

    /// Registers a segment before its file exists, so that no file is ever unaccounted for.
    async fn open_segment(
        &self,
        writer: WriterId,
        id: SegmentId,
        tier: StorageClass,
        kind: SegmentKind,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// Registers a single segment and, with it, the WRITING row that says who is writing what.
    async fn announce(
        &self,
        writer: WriterId,
        id: ObjectId,
        segment: SegmentId,
        tier: StorageClass,
        space: &SpaceAddress,
        key: Option<&Key>,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// The write came to nothing: its WRITING row goes, its segment is condemned.
    async fn abandon(&self, id: ObjectId, segment: SegmentId) -> Result<(), MetadataError>;

    /// Condemned segments, whose files may be removed.
    async fn condemned(&self, limit: u32) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// The files of these condemned segments are gone.
    async fn forget_segments(&self, ids: &[SegmentId]) -> Result<(), MetadataError>;

    // --- garbage, moves, damage --------------------------------------------------------------------------

    /// Removes up to `limit` DELETING rows and makes their blobs candidates. How many.
    async fn purge_deleting(&self, limit: u32) -> Result<u64, MetadataError>;

    /// Looks at up to `limit` candidates: a blob that nothing refers to goes, a composite's children become
    /// candidates, a segment left without blobs is condemned (a pack only once sealed). A blob still
    /// referred to whose tier no longer fits its objects is queued to move.
    async fn sweep(&self, limit: u32) -> Result<Swept, MetadataError>;

    /// Leaves queued to move, that still should.
    async fn moves(&self, limit: u32) -> Result<Vec<Move>, MetadataError>;

    /// Sealed packs in which fewer payload bytes are live than dead, emptiest first. A pack that never lost a
    /// blob is not among them, however much of it is framing.
    async fn sparse_packs(&self, limit: u32) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// The leaves in a segment.
    async fn leaves_in(&self, segment: SegmentId, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// Points leaves at their copies, for `writer`; those that moved or went meanwhile are left alone.
    /// Returns whether each was pointed. Segments left without blobs are condemned.
    async fn relocate(
        &self,
        writer: WriterId,
        relocations: Vec<Relocation>,
    ) -> Result<Vec<bool>, MetadataError>;

    /// A leaf as it is now: whoever misses bytes asks again, since compaction and moves change where they lie.
    async fn find_leaf(&self, blob: BlobId) -> Result<Option<LeafRecord>, MetadataError>;

    /// Marks a leaf as damaged if it still lies at `at`, so that the next upload of the same bytes replaces it.
    /// A leaf that has moved since is not what was found damaged.
    async fn quarantine(&self, blob: BlobId, at: Location) -> Result<(), MetadataError>;

    /// Takes the mark off a leaf that lies at `at`: its bytes were read and are sound after all, restored from a
    /// backup perhaps.
    async fn release(&self, blob: BlobId, at: Location) -> Result<(), MetadataError>;

    /// A page of the leaves marked as damaged, in order of id, after one.
    async fn quarantined(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// The scrub pass under way, or the last one; `None` if there never was one.
    async fn scrub_pass(&self) -> Result<Option<ScrubPass>, MetadataError>;

    /// Begins a scrub pass at `now` unless one is under way; the pass under way either way.
    async fn begin_scrub(&self, now: Timestamp) -> Result<ScrubPass, MetadataError>;

    /// Takes a pass from `from`, as it was read, to `to`. Whether it did: not if somebody else took it on
    /// meanwhile, whose progress then counts.
    async fn advance_scrub(&self, from: &ScrubPass, to: &ScrubPass) -> Result<bool, MetadataError>;

    /// Enters a whole segment that no row names, with an object for each of its leaves: for a store whose
    /// database was lost. All in one transaction, so that the segment is never seen as one that a dead writer
    /// left. Every one of `objects` must bring content staged in this segment. Returns how many objects were
    /// made; `None`, and nothing is changed, if the segment has a row.
    async fn adopt_segment(
        &self,
        segment: SegmentRecord,
        objects: Vec<PutObject>,
        now: Timestamp,
    ) -> Result<Option<u64>, MetadataError>;

    // --- keys --------------------------------------------------------------------------------------------

    /// Stores a key.
    async fn create_credential(&self, credential: &Credential) -> Result<(), MetadataError>;

    /// The key with this public part, revoked and expired ones too.
    async fn find_credential(&self, lookup: &str) -> Result<Option<Credential>, MetadataError>;

    /// All keys, oldest first; of one tenant, or of all.
    async fn list_credentials(&self, tenant: Option<&Tenant>) -> Result<Vec<Credential>, MetadataError>;

    /// Revokes a key. Whether there was one that was not revoked yet.
    async fn revoke_credential(&self, id: Uuid, now: Timestamp) -> Result<bool, MetadataError>;

    /// Stores `new` and ends the key `old` at `ends`, both or neither; a key that ends at `now` is revoked, one
    /// that ends before `ends` anyway stays as it is. Whether `old` was there and not revoked yet.
    async fn rotate_credential(
        &self,
        old: Uuid,
        now: Timestamp,
        ends: Timestamp,
        new: &Credential,
    ) -> Result<bool, MetadataError>;

    /// Puts `sealed` in the place of a key's secret, if that is still `was`. Whether it was.
    async fn reseal_credential(&self, id: Uuid, was: &[u8], sealed: &[u8]) -> Result<bool, MetadataError>;

    // --- limits ------------------------------------------------------------------------------------------

    /// What is said about a tenant's limits, if anything ever was.
    async fn tenant_limits(&self, tenant: &Tenant) -> Result<Option<Overrides>, MetadataError>;

    /// All tenants of whose limits something is said, by name.
    async fn list_tenant_limits(&self) -> Result<Vec<(Tenant, Overrides)>, MetadataError>;

    /// Says this and nothing else about a tenant's limits.
    async fn set_tenant_limits(
        &self,
        tenant: &Tenant,
        overrides: &Overrides,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// What a tenant keeps, from the maintained figures of its spaces.
    async fn holdings(&self, tenant: &Tenant) -> Result<Holdings, MetadataError>;

    // --- the whole store ---------------------------------------------------------------------------------

    /// Takes or renews the lease `name` for `holder` until `until`, unless another holds it at `now`.
    async fn acquire_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, MetadataError>;

    /// Gives the lease back, if `holder` has it.
    async fn release_lease(&self, name: &str, holder: Uuid) -> Result<(), MetadataError>;

    /// The maintained figures, by space and class; of one tenant, one namespace, or all.
    async fn usage(
        &self,
        tenant: Option<&Tenant>,
        namespace: Option<&Namespace>,
    ) -> Result<Vec<SpaceUsage>, MetadataError>;

    /// How many writes are announced and neither committed nor abandoned, by space.
    async fn writing(&self) -> Result<Vec<(SpaceAddress, u64)>, MetadataError>;

    /// Whether the database answers.
    async fn check(&self) -> Result<(), MetadataError>;

    /// A segment's row.
    async fn find_segment(&self, id: SegmentId) -> Result<Option<SegmentRecord>, MetadataError>;

    /// A page of all segments, in order of id, after one.
    async fn scan_segments(
        &self,
        after: Option<SegmentId>,
        limit: u32,
    ) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// A page of all leaves, in order of id, after one.
    async fn scan_leaves(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// Compares maintained figures and redundant columns with what they stand for. Reads everything: for
    /// `validate` only.
    async fn inconsistencies(&self) -> Result<Vec<Inconsistency>, MetadataError>;

    /// Finishes what is under way and closes every connection.
    async fn close(&self);
}
